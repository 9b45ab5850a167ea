//! The MPD of a channel (section 5.3.1).

use crate::dash::segments::{MICROSECONDS, Period, part_us};
use crate::dash::sets::{self, Set};
use crate::dash::xml::{Duration, Xml};
use crate::dash::{Document, PATCH_TTL_S, events, stamp};
use crate::media::channel::{Channel, Track, TrackIndex};
use crate::media::cmaf::Kind;
use crate::media::stretch::{Lane, Stretch};
use crate::time::{Micros, Wall};

/// Live, and where chunks flow, at low latency.
const LIVE_PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
const LOW_LATENCY_PROFILE: &str = "http://www.dashif.org/guidelines/low-latency-live-v5";
const SEQUENCE_PROFILE: &str = "urn:mpeg:dash:profile:advanced-linear:2025";
/// Where players learn the time, seen from an MPD: the schemes differ in what
/// they take an answer for, and all can take this one.
const TIME: &str = "../../time";
const TIME_SCHEMES: [&str; 3] = [
    "urn:mpeg:dash:utc:http-xsdate:2014",
    "urn:mpeg:dash:utc:http-iso:2014",
    "urn:mpeg:dash:utc:http-head:2014",
];
/// The least latency that is aimed at, in milliseconds: what networks and
/// decoders take.
const LATENCY_MS_MIN: i64 = 1_500;
/// Parts that a player is behind the edge, and segments where there are none.
const LATENCY_PARTS: i64 = 4;
const LATENCY_SEGMENTS: i64 = 3;
/// A timeline is asked for no more often than this, in microseconds.
const UPDATE_US_MIN: i64 = 500_000;

/// The MPD as the channel stands. It changes with [`stamp`] and never
/// else.
pub fn render(channel: &Channel, document: Document) -> String {
    let drawn = Drawn::new(channel, document);
    let mut xml = Xml::new();
    xml.begin("MPD")
        .attr("xmlns", "urn:mpeg:dash:schema:mpd:2011");
    drawn.attributes(&mut xml);
    if !drawn.over {
        drawn.patches(&mut xml);
        drawn.service(&mut xml);
    }
    let mut before = None;
    for stretch in drawn.stretches() {
        if drawn.period(&mut xml, stretch, before) {
            before = Some(stretch);
        }
    }
    if !drawn.over {
        for scheme in TIME_SCHEMES {
            sets::descriptor(&mut xml, "UTCTiming", scheme, TIME);
        }
    }
    xml.end();
    xml.finish()
}

/// The id of a period: when it begins, so that no other life of the channel
/// has it.
fn period_id(stretch: &Stretch) -> String {
    format!("P{}", stretch.begins.0.div_euclid(1_000))
}

/// What one MPD is drawn from.
struct Drawn<'a> {
    channel: &'a Channel,
    document: Document,
    sets: Vec<Set<'a>>,
    over: bool,
    /// Length of a cell, in microseconds.
    cell: Micros,
}

impl<'a> Drawn<'a> {
    fn new(channel: &'a Channel, document: Document) -> Self {
        let target_s = channel.targets().map_or(1, |targets| targets.segment_s);
        let cell = channel.stretches().cell();
        Self {
            channel,
            document,
            sets: Set::all(channel),
            over: channel.state().is_over(),
            cell: cell.map_or_else(
                || Micros(i64::from(target_s) * 1_000_000),
                |cell| cell.micros(),
            ),
        }
    }

    fn stretches(&self) -> impl DoubleEndedIterator<Item = &'a Stretch> {
        self.channel.stretches().settled()
    }

    fn is_numbered(&self, stretch: &Stretch) -> bool {
        !matches!(self.document, Document::Timeline | Document::Patched) && stretch.even
    }

    fn attributes(&self, xml: &mut Xml) {
        let (channel, stretches) = (self.channel, self.channel.stretches());
        let parts = part_us(channel);
        xml.attr(
            "id",
            format_args!("{}.{}", channel.name, channel.generation),
        );
        match parts {
            Some(_) if self.document == Document::Sequence => xml.attr(
                "profiles",
                format_args!("{LIVE_PROFILE},{LOW_LATENCY_PROFILE},{SEQUENCE_PROFILE}"),
            ),
            Some(_) => xml.attr(
                "profiles",
                format_args!("{LIVE_PROFILE},{LOW_LATENCY_PROFILE}"),
            ),
            None => xml.attr("profiles", LIVE_PROFILE),
        };
        let published = stamp(channel, self.document).at;
        if self.over {
            xml.attr("type", "static");
            let lasts = stretches.edge() - stretches.origin();
            xml.attr("mediaPresentationDuration", Duration(lasts));
        } else {
            let window_ms = channel.targets().map_or(0, |targets| targets.window_ms);
            let window = Micros(i64::try_from(window_ms).map_or(i64::MAX, |ms| ms * 1_000));
            xml.attr("type", "dynamic");
            xml.attr("availabilityStartTime", stretches.origin().rfc3339());
            xml.attr("publishTime", published.rfc3339());
            xml.attr("minimumUpdatePeriod", Duration(self.update()));
            xml.attr("timeShiftBufferDepth", Duration(window));
            // Shaka Player counts it from behind the edge, where the newest
            // segment that can be asked for begins to be there, and is later
            // than that by up to a part: in the middle it is on target. Others
            // go by the service description.
            let latency = self.latency_ms() * 1_000 - parts.map_or(0, |part| part * 3 / 2);
            xml.attr("suggestedPresentationDelay", Duration(Micros(latency)));
        }
        let buffer = match parts {
            Some(_) => Micros(self.latency_ms() * 500),
            None => self.cell,
        };
        xml.attr("minBufferTime", Duration(buffer));
        xml.attr("maxSegmentDuration", Duration(self.longest()));
    }

    /// The longest segment. Numbers say what they are meant to be, which is
    /// what players reckon with.
    fn longest(&self) -> Micros {
        let numbered = self.stretches().all(|stretch| self.is_numbered(stretch));
        let us = if numbered {
            self.cell
        } else {
            self.channel.stretches().longest().max(self.cell)
        };
        Micros((us.0 + 999).div_euclid(1_000) * 1_000)
    }

    /// How often to ask for another version: what is numbered changes with
    /// periods alone, a timeline with every segment.
    fn update(&self) -> Micros {
        let numbered = self
            .stretches()
            .last()
            .is_some_and(|newest| self.is_numbered(newest));
        match part_us(self.channel) {
            _ if numbered => self.cell,
            Some(part) => Micros(part.max(UPDATE_US_MIN)),
            None => Micros((self.cell.0 / 2).max(UPDATE_US_MIN)),
        }
    }

    /// How far behind live players should be.
    fn latency_ms(&self) -> i64 {
        match part_us(self.channel) {
            Some(part) => (LATENCY_PARTS * part / 1_000).max(LATENCY_MS_MIN),
            None => LATENCY_SEGMENTS * self.cell.0 / 1_000,
        }
    }

    /// Where to ask for what has changed (section 5.15). Players take the 425 of
    /// a patch that is not there yet for an error: who wants patches asks for the
    /// document that offers them.
    fn patches(&self, xml: &mut Xml) {
        if self.document == Document::Patched {
            let generation = &self.channel.generation;
            let version = stamp(self.channel, self.document).version;
            xml.begin("PatchLocation").attr("ttl", PATCH_TTL_S);
            xml.text(format_args!("{generation}-timeline-{version}.mpp"));
        }
    }

    /// What latency and what speeds to keep to (annex K.3).
    fn service(&self, xml: &mut Xml) {
        let target = self.latency_ms();
        xml.begin("ServiceDescription").attr("id", 0);
        xml.begin("Latency")
            .attr("referenceId", 0)
            .attr("target", target);
        xml.attr("min", target * 3 / 4)
            .attr("max", target * 2)
            .end();
        if part_us(self.channel).is_some() {
            xml.begin("PlaybackRate")
                .attr("min", "0.96")
                .attr("max", "1.04")
                .end();
        }
        xml.end();
    }

    /// Writes a period, if there is anything in it.
    fn period(&self, xml: &mut Xml, stretch: &'a Stretch, before: Option<&Stretch>) -> bool {
        let cell = self.channel.stretches().cell();
        let mut period = Period {
            channel: self.channel,
            stretch,
            trimmed: Micros(0),
            numbered: cell.filter(|_| self.is_numbered(stretch)),
            over: self.over,
        };
        if self.over {
            period.trimmed = trimmed(&period);
        }
        let shown = self.sets.iter().map(|set| {
            let tracks = set.tracks.iter().filter(|(index, _)| period.shows(*index));
            (set, tracks.collect::<Vec<_>>())
        });
        let shown: Vec<_> = shown.filter(|(_, tracks)| !tracks.is_empty()).collect();
        if shown.is_empty() {
            return false;
        }
        let start = stretch.begins - self.channel.stretches().origin();
        let start = Micros(start.0 + period.trimmed.0);
        xml.begin("Period").attr("id", period_id(stretch));
        xml.attr("start", Duration(start));
        let next = self.stretches().find(|next| next.number > stretch.number);
        let end = next.map_or(Wall(i64::MAX), |next| next.begins);
        let span = (stretch.begins + period.trimmed, end);
        events::stream(xml, self.channel.events(), span, before.is_none());
        for (set, tracks) in &shown {
            self.set(xml, &period, before, set, tracks);
        }
        if self.document == Document::Sequence {
            for (set, tracks) in &shown {
                self.sequences(xml, &period, set, tracks);
            }
        }
        xml.end();
        true
    }

    fn set(
        &self,
        xml: &mut Xml,
        period: &Period<'_>,
        before: Option<&Stretch>,
        set: &Set<'_>,
        tracks: &[&(TrackIndex, &Track)],
    ) {
        let stretch = period.stretch;
        xml.begin("AdaptationSet");
        set.attributes(xml, set.id);
        set.format(xml);
        self.continuity(xml, stretch, before, tracks);
        set.label(xml);
        let (first, _) = tracks[0];
        self.clock(xml, period, stretch.lane(*first).expect("it is shown"));
        set.purpose(xml, self.channel);
        for (index, track) in tracks {
            let lane = stretch.lane(*index).expect("it is shown");
            xml.begin("Representation");
            sets::representation(xml, track, false);
            period.template(xml, (*index, track), lane, None);
            xml.end();
        }
        xml.end();
    }

    /// The same tracks once more, each segment a sequence of parts: a set of
    /// its own, which players leave out that can't read it (section 5.3.9.6.5).
    fn sequences(
        &self,
        xml: &mut Xml,
        period: &Period<'_>,
        set: &Set<'_>,
        tracks: &[&(TrackIndex, &Track)],
    ) {
        let parts = tracks.iter().map(|(index, _)| period.sequence(*index));
        let Some(parts) = parts.collect::<Option<Vec<_>>>() else {
            return;
        };
        if parts.iter().any(|count| *count != parts[0]) {
            return;
        }
        xml.begin("AdaptationSet");
        set.attributes(xml, set.id + sets::PARTS_SET);
        set.format(xml);
        let essential = "urn:mpeg:dash:ssr:2023";
        sets::descriptor(xml, "EssentialProperty", essential, set.id);
        let switching = "urn:mpeg:dash:adaptation-set-switching:2016";
        sets::descriptor(xml, "SupplementalProperty", switching, set.id);
        // Every part of sound can be decoded first, of video that of a segment.
        let cadence = if set.kind() == Kind::Video {
            parts[0]
        } else {
            1
        };
        xml.begin("SegmentSequenceProperties");
        xml.attr("sapType", 1).attr("cadence", cadence).end();
        set.label(xml);
        let (first, _) = tracks[0];
        self.clock(
            xml,
            period,
            period.stretch.lane(*first).expect("it is shown"),
        );
        set.purpose(xml, self.channel);
        for ((index, track), parts) in tracks.iter().zip(parts) {
            let lane = period.stretch.lane(*index).expect("it is shown");
            xml.begin("Representation");
            sets::representation(xml, track, true);
            period.template(xml, (*index, track), lane, Some(parts));
            xml.end();
        }
        xml.end();
    }

    /// That players may go on from the period before as if there were no other
    /// (section 5.3.2.4).
    fn continuity(
        &self,
        xml: &mut Xml,
        stretch: &Stretch,
        before: Option<&Stretch>,
        tracks: &[&(TrackIndex, &Track)],
    ) {
        let Some(before) = before.filter(|_| stretch.continues) else {
            return;
        };
        let adjoins = before.number + 1 == stretch.number;
        let same = tracks
            .iter()
            .all(|(index, _)| before.lane(*index).is_some());
        if adjoins && same {
            let value = period_id(before);
            let scheme = "urn:mpeg:dash:period-continuity:2015";
            sets::descriptor(xml, "SupplementalProperty", scheme, value);
        }
    }

    /// When media was produced (section 5.12), and where decoders can set in
    /// within a segment (section 5.3.13).
    fn clock(&self, xml: &mut Xml, period: &Period<'_>, lane: &Lane) {
        if self.over {
            return;
        }
        let date = period.stretch.begins + period.trimmed;
        xml.begin("ProducerReferenceTime").attr("id", 0);
        xml.attr("type", "encoder").attr("inband", false);
        xml.attr("wallClockTime", date.rfc3339());
        xml.attr("presentationTime", period.offset(lane));
        sets::descriptor(xml, "UTCTiming", TIME_SCHEMES[0], TIME);
        xml.end();
        if let Some(part) = part_us(self.channel) {
            let ticks = period.scale(lane).ticks(Micros(part));
            xml.begin("Resync").attr("type", 0).attr("dT", ticks).end();
        }
    }
}

/// How much of the beginning of a period has left the window of every track.
fn trimmed(period: &Period<'_>) -> Micros {
    let first = period.stretch.lanes().filter_map(|(_, lane)| {
        let run = lane.runs.front()?;
        let scale = lane.header.track.timescale;
        match period.numbered {
            Some(cell) => {
                let cells = (run.msn as i64).saturating_sub(lane.number);
                Some(cell.ticks_of(cells, MICROSECONDS))
            }
            None => Some(scale.micros(run.start_ticks - lane.offset_ticks as i64).0),
        }
    });
    Micros(first.min().unwrap_or(0).max(0) / 1_000 * 1_000)
}
