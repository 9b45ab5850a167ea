//! The lines of a media playlist (rfc8216bis section 4.4).

use std::fmt::Write;
use std::sync::Arc;

use crate::hls::uri::{ObjectUri, PlaylistUri, Query};
use crate::hls::variables;
use crate::hls::{HORIZON_TARGETS, List, SKIP_TARGETS, is_listed};
use crate::http::route::ObjectName;
use crate::media::channel::{Channel, State, Targets, Track, TrackIndex};
use crate::media::cmaf::Kind;
use crate::media::event::Events;
use crate::media::policy::PartAddressing;
use crate::media::window::{Part, Segment, Window};
use crate::time::{Wall, rescale_floor};

/// Units of printed durations in a second: five decimals.
pub(super) const GRID: u32 = 100_000;

/// What every line of one playlist depends on.
pub(super) struct Scope<'a> {
    channel: &'a Channel,
    track: &'a Track,
    targets: &'a Targets,
    /// The part target, of a list that has parts.
    part_us: Option<u32>,
    timescale: u32,
    list: List,
}

impl<'a> Scope<'a> {
    pub(super) fn new(channel: &'a Channel, track: &'a Track, list: List) -> Self {
        let targets = channel
            .targets()
            .expect("a channel that is served has settled targets");
        let timescale = track.info.header.timescale.get();
        let in_parts = list == List::Media && track.window.lists_parts();
        Self {
            channel,
            track,
            targets,
            part_us: targets.part_us.filter(|_| in_parts),
            timescale,
            list,
        }
    }

    fn has_ended(&self) -> bool {
        self.channel.state() == State::Ended
    }

    /// The open segment, where it is listed at all: by its parts.
    pub(super) fn open<'w>(&self, window: &'w Window) -> Option<&'w Arc<Segment>> {
        window.open().filter(|_| self.part_us.is_some())
    }

    /// The oldest listed segment that still lists its parts: it ends less than
    /// three target durations from the end of the list (section 6.2.2). Parts
    /// leave parent by parent, because a part's index is its place in the
    /// parent.
    pub(super) fn live_from(&self, window: &Window) -> Option<u64> {
        if self.list == List::IFrames {
            return window.last_whole().map(|newest| newest.msn + 1);
        }
        let open = self.open(window);
        let horizon = HORIZON_TARGETS * u64::from(self.targets.segment_s);
        let horizon = u128::from(horizon) * u128::from(self.timescale);
        let mut live_from = open.map(|open| open.msn);
        let mut behind = open.map_or(0, |open| u128::from(open.duration_ticks));
        for segment in window.listed().rev() {
            if behind >= horizon {
                break;
            }
            live_from = Some(segment.msn);
            behind += u128::from(segment.duration_ticks);
        }
        live_from
    }

    /// The first segment that a delta update lists; `None` when no listed one
    /// may be left out. Those may that end further from the end of the last
    /// segment than the skip boundary (section 4.4.5.2).
    pub(super) fn kept_from(&self, window: &Window) -> Option<u64> {
        if self.has_ended() {
            return None;
        }
        let boundary = SKIP_TARGETS * u64::from(self.targets.segment_s);
        let boundary = u128::from(boundary) * u128::from(self.timescale);
        let mut behind = 0;
        for segment in window.listed().rev() {
            if behind > boundary {
                return Some(segment.msn + 1);
            }
            behind += u128::from(segment.duration_ticks);
        }
        None
    }

    pub(super) fn head(&self, window: &Window, first: Option<&Arc<Segment>>) -> String {
        // EXT-X-MAP needs 5 beside I-FRAMES-ONLY, else 6 (section 8).
        let version = match self.list {
            List::Media => 6,
            List::IFrames => 5,
        };
        let mut out = self.preamble(version, window);
        if let Some(first) = first {
            self.lead(&mut out, first, None);
        }
        out
    }

    /// The head of a delta update whose first segment is `kept_msn`. The map in
    /// force is left out with the segment that brought it (section 4.4.5.2).
    /// Where date ranges are left out too, it says which ones are `gone`.
    pub(super) fn delta_head(&self, window: &Window, kept_msn: u64, gone: Option<&str>) -> String {
        // EXT-X-SKIP needs 9, and 10 where it hides date ranges (section 8).
        let version = if gone.is_some() { 10 } else { 9 };
        let mut out = self.preamble(version, window);
        let skipped = kept_msn - window.listed_msn();
        push(
            &mut out,
            format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"),
        );
        if let Some(gone) = gone {
            push(
                &mut out,
                format_args!(",RECENTLY-REMOVED-DATERANGES=\"{gone}\""),
            );
        }
        out.push('\n');
        out
    }

    /// The events of the channel.
    pub(super) fn events(&self) -> &'a Events {
        self.channel.events()
    }

    /// What stands in front of all segments and holds for all of them.
    fn preamble(&self, version: u32, window: &Window) -> String {
        let mut out = String::with_capacity(512);
        let seconds = self.targets.segment_s;
        let definitions = &self.channel.presentation.definitions;
        let version = version.max(variables::version(definitions));
        push(
            &mut out,
            format_args!("#EXTM3U\n#EXT-X-VERSION:{version}\n"),
        );
        variables::define(&mut out, definitions);
        push(&mut out, format_args!("#EXT-X-TARGETDURATION:{seconds}\n"));
        out.push_str("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES");
        if let Some(part_us) = self.targets.part_us {
            let hold_back = Decimal(3 * u64::from(part_us).div_ceil(10));
            push(&mut out, format_args!(",PART-HOLD-BACK={hold_back}"));
        }
        let boundary_s = SKIP_TARGETS * u64::from(seconds);
        push(
            &mut out,
            format_args!(",CAN-SKIP-UNTIL={boundary_s}.00000,CAN-SKIP-DATERANGES=YES\n"),
        );
        if self.list == List::IFrames {
            out.push_str("#EXT-X-I-FRAMES-ONLY\n");
        }
        if self.part_us.is_some() {
            let target = Decimal(self.part_target_units());
            push(
                &mut out,
                format_args!("#EXT-X-PART-INF:PART-TARGET={target}\n"),
            );
        }
        let (msn, breaks) = (window.listed_msn(), window.discontinuity_base());
        push(&mut out, format_args!("#EXT-X-MEDIA-SEQUENCE:{msn}\n"));
        push(
            &mut out,
            format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}\n"),
        );
        out
    }

    /// The tags that only a change in front of the segment needs.
    pub(super) fn lead(
        &self,
        out: &mut String,
        segment: &Segment,
        previous: Option<&Arc<Segment>>,
    ) {
        if segment.discontinuity {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if previous.is_none_or(|previous| previous.header.id != segment.header.id) {
            let generation = &*self.channel.generation;
            let uri = self.uri(ObjectName::Header {
                generation,
                id: segment.header.id,
            });
            push(out, format_args!("#EXT-X-MAP:URI=\"{uri}\"\n"));
        }
    }

    pub(super) fn whole(&self, out: &mut String, segment: &Segment, with_parts: bool) {
        self.date_and_parts(out, segment, with_parts);
        let frame = segment
            .parts
            .first()
            .filter(|part| part.independent && !part.gap);
        if segment.gap || (self.list == List::IFrames && frame.is_none()) {
            out.push_str("#EXT-X-GAP\n");
        }
        let duration = self.printed(segment.start_ticks, segment.duration_ticks);
        let generation = &*self.channel.generation;
        let uri = self.uri(ObjectName::Segment {
            generation,
            msn: segment.msn,
        });
        push(out, format_args!("#EXTINF:{},\n", Decimal(duration)));
        if let (List::IFrames, Some(frame)) = (self.list, frame) {
            let bytes = frame.first_sample_end;
            push(out, format_args!("#EXT-X-BYTERANGE:{bytes}@0\n"));
        }
        push(out, format_args!("{uri}\n"));
    }

    pub(super) fn date_and_parts(&self, out: &mut String, segment: &Segment, with_parts: bool) {
        let date = printed_date(segment);
        push(
            out,
            format_args!("#EXT-X-PROGRAM-DATE-TIME:{}\n", date.rfc3339()),
        );
        if with_parts && self.part_us.is_some() {
            let mut offset = 0;
            for part in &segment.parts {
                self.part(out, segment.msn, part, offset);
                offset += part.body.len();
            }
        }
    }

    /// `offset` is where the part begins in its segment, in bytes.
    fn part(&self, out: &mut String, msn: u64, part: &Part, offset: u64) {
        // Players drop the whole list for one part that prints above the
        // target, so no fault further up may show here (section 4.4.4.9).
        let duration = self.printed(part.start_ticks, part.duration_ticks);
        let duration = Decimal(duration.min(self.part_target_units()));
        // A gap has no bytes in its segment; its own name is as good as any.
        let ranged = self.has_ranges() && !part.gap;
        let uri = self.part_uri(ranged, msn, part.number);
        push(
            out,
            format_args!("#EXT-X-PART:DURATION={duration},URI=\"{uri}\""),
        );
        if ranged {
            let len = part.body.len();
            push(out, format_args!(",BYTERANGE=\"{len}@{offset}\""));
        }
        if part.independent {
            out.push_str(",INDEPENDENT=YES");
        }
        if part.gap {
            out.push_str(",GAP=YES");
        }
        out.push('\n');
    }

    /// What follows the segments: the hint, the reports, the end.
    pub(super) fn foot(&self, out: &mut String, window: &Window, index: TrackIndex) {
        if self.has_ended() {
            out.push_str("#EXT-X-ENDLIST\n");
            return;
        }
        // Lists of I-frames are exempt from reports (appendix B.1).
        if self.list == List::IFrames {
            return;
        }
        if self.part_us.is_some() && window.edge().is_some() {
            self.part_hint(out, window);
            let generation = &*self.channel.generation;
            if let Some(header) = window.next_header() {
                let id = header.id;
                let uri = self.uri(ObjectName::Header { generation, id });
                push(
                    out,
                    format_args!("#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"{uri}\"\n"),
                );
            }
        }
        for (other, track) in self.channel.tracks().iter().enumerate() {
            if other != usize::from(index.0) && is_listed(track) {
                self.report(out, track);
            }
        }
    }

    /// Names the part that is expected next (section 4.4.5.3). By range it is
    /// what follows in the open segment, or the start of the next one: numbers
    /// of segments rise by one whatever happens. Where the open one ends without
    /// another part, the range is given up.
    fn part_hint(&self, out: &mut String, window: &Window) {
        let open = window.open().map(|open| (open.msn, open.bytes()));
        let next = || window.last_whole().map_or(0, |whole| whole.msn + 1);
        let (msn, start) = open.unwrap_or_else(|| (next(), 0));
        let uri = self.part_uri(self.has_ranges(), msn, window.next_part());
        push(
            out,
            format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\""),
        );
        if self.has_ranges() {
            push(out, format_args!(",BYTERANGE-START={start}"));
        }
        out.push('\n');
    }

    /// Parts are ranges of their segments.
    fn has_ranges(&self) -> bool {
        self.targets.part_addressing == PartAddressing::ByteRange
    }

    /// The object that holds a part: its segment, or one of its own.
    fn part_uri(&self, ranged: bool, msn: u64, number: u64) -> ObjectUri<'a> {
        let generation = &*self.channel.generation;
        self.uri(if ranged {
            ObjectName::Segment { generation, msn }
        } else {
            ObjectName::Part { generation, number }
        })
    }

    /// Says how far another track is (section 4.4.5.4).
    fn report(&self, out: &mut String, track: &Track) {
        let uri = PlaylistUri::new(self.channel, track);
        if self.targets.part_us.is_some() && track.window.lists_parts() {
            let Some(edge) = track.window.edge() else {
                return;
            };
            let (msn, part) = (edge.msn, edge.part);
            let report = format_args!("URI=\"{uri}\",LAST-MSN={msn},LAST-PART={part}\n");
            push(out, format_args!("#EXT-X-RENDITION-REPORT:{report}"));
        } else if let Some(whole) = track.window.last_whole() {
            let msn = whole.msn;
            push(
                out,
                format_args!("#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={msn}\n"),
            );
        }
    }

    /// A duration on the printed grid, as the difference of its two ends. Sums
    /// of what is printed then equal what is printed of the sum, to the last
    /// digit; and because the part target lies on the grid, what does not
    /// exceed it does not print above it.
    fn printed(&self, start_ticks: i64, duration_ticks: u64) -> u64 {
        let end_ticks = start_ticks.saturating_add_unsigned(duration_ticks);
        let on_grid = |ticks| rescale_floor(ticks, self.timescale, GRID);
        on_grid(end_ticks)
            .saturating_sub(on_grid(start_ticks))
            .unsigned_abs()
    }

    fn part_target_units(&self) -> u64 {
        u64::from(self.part_us.unwrap_or_default()).div_ceil(10)
    }

    fn uri(&self, object: ObjectName<'a>) -> ObjectUri<'a> {
        ObjectUri {
            track: &self.track.info.name,
            list: self.list,
            object,
            query: Query::of(self.channel),
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes any text");
}

/// A number of grid units as seconds with five decimals.
struct Decimal(u64);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{:05}",
            self.0 / u64::from(GRID),
            self.0 % u64::from(GRID)
        )
    }
}

/// The date of a segment as it is printed, a whole millisecond.
///
/// Players align tracks by these dates. Video rounds up and everything else
/// down to the millisecond below, so that no track seems later against the
/// video than it is: hls.js takes a segment for loaded when less than 0.2 s of
/// it is missing and its own sum lies beyond the buffer, and so never asks for
/// a short last part.
pub(super) fn printed_date(segment: &Segment) -> Wall {
    let us = segment.wall.0;
    let ms = match segment.header.track.kind {
        Kind::Video => (us + 999).div_euclid(1000),
        Kind::Audio | Kind::Text | Kind::Metadata => (us - 1).div_euclid(1000),
    };
    Wall(ms * 1000)
}
