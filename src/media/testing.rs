//! Small scripted channels for tests, built through the public changes.

use std::sync::Arc;

use bytes::Bytes;

use crate::media::channel::{Change, Channel, State, Targets, TrackIndex, TrackInfo};
use crate::media::cmaf::{Kind, Roles, SampleDefaults, TrackHeader};
use crate::media::event::{EventChange, Statement};
use crate::media::policy::PartAddressing;
use crate::media::presentation::Presentation;
use crate::media::rope::Rope;
use crate::media::stretch::Cell;
use crate::media::window::{HeaderObject, Part, Segment, Window};
use crate::time::{Timescale, Wall};

/// 2026-01-01T00:00:00Z, where media time zero lies.
pub(crate) const EPOCH: Wall = Wall(1_767_225_600_000_000);

/// What is known of a track between two changes.
#[derive(Clone)]
struct Cursor {
    msn: u64,
    at: i64,
    discontinuity: bool,
    discontinuity_number: u64,
    header: Arc<HeaderObject>,
    open: Option<Segment>,
}

/// A channel and where each of its tracks stands.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) channel: Channel,
    cursors: Vec<Cursor>,
    /// Milliseconds that one part number spans; one is how timelines number.
    pub(crate) number_ms: i64,
    frame_rate: Option<u32>,
    in_parts: bool,
}

impl Script {
    pub(crate) fn new(segment_s: u32, part_us: Option<u32>) -> Self {
        let presentation = Presentation::default();
        Self::with(segment_s, part_us, PartAddressing::Url, presentation)
    }

    pub(crate) fn addressed(
        segment_s: u32,
        part_us: Option<u32>,
        part_addressing: PartAddressing,
    ) -> Self {
        let presentation = Presentation::default();
        Self::with(segment_s, part_us, part_addressing, presentation)
    }

    /// A channel of which the operator says this.
    pub(crate) fn presented(
        segment_s: u32,
        part_us: Option<u32>,
        presentation: Presentation,
    ) -> Self {
        Self::with(segment_s, part_us, PartAddressing::Url, presentation)
    }

    fn with(
        segment_s: u32,
        part_us: Option<u32>,
        part_addressing: PartAddressing,
        presentation: Presentation,
    ) -> Self {
        let mut channel = Channel::new("c", "e7").presented(Arc::new(presentation));
        let targets = Targets {
            segment_s,
            part_us,
            window_ms: 60_000,
            part_addressing,
        };
        let cell = Cell {
            ticks: segment_s.into(),
            scale: Timescale::new(1).unwrap(),
        };
        let state = Change::State(State::Live);
        channel.apply(1, &[Change::Targets(targets), Change::Cell(cell), state]);
        Self {
            channel,
            cursors: Vec::new(),
            number_ms: 1,
            frame_rate: None,
            in_parts: true,
        }
    }

    pub(crate) fn video(self, name: &str) -> Self {
        let mut header = header(Kind::Video, 90_000, "avc1.64001f");
        (header.width, header.height) = (1280, 720);
        self.track(name, header)
    }

    /// The next track comes in whole segments.
    pub(crate) fn whole_segments(mut self) -> Self {
        self.in_parts = false;
        self
    }

    /// The next track has this many frames a second, in thousandths.
    pub(crate) fn frame_rate(mut self, rate: u32) -> Self {
        self.frame_rate = Some(rate);
        self
    }

    pub(crate) fn audio(self, name: &str, language: &str) -> Self {
        let mut header = header(Kind::Audio, 48_000, "mp4a.40.2");
        (header.channels, header.sample_rate) = (2, 48_000);
        header.language = Some(language.into());
        self.track(name, header)
    }

    pub(crate) fn track(mut self, name: &str, header: TrackHeader) -> Self {
        let info = TrackInfo {
            name: name.into(),
            header: header.clone(),
            frame_rate: self.frame_rate.take(),
            in_parts: std::mem::replace(&mut self.in_parts, true),
        };
        self.apply(&[Change::Track(Arc::new(info))]);
        self.cursors.push(Cursor {
            msn: 0,
            at: 0,
            discontinuity: false,
            discontinuity_number: 0,
            header: Arc::new(HeaderObject {
                id: 0xa0,
                track: header,
            }),
            open: None,
        });
        self
    }

    pub(crate) fn index(&self, name: &str) -> TrackIndex {
        self.channel.track(name).unwrap().0
    }

    pub(crate) fn window(&self, name: &str) -> &Window {
        &self.channel.track(name).unwrap().1.window
    }

    /// Where the first segment of a track begins.
    pub(crate) fn start_at(&mut self, name: &str, msn: u64, ticks: i64) {
        let cursor = self.cursor(name);
        (cursor.msn, cursor.at) = (msn, ticks);
    }

    /// One part more in the open segment.
    pub(crate) fn part(&mut self, name: &str, ticks: u64) {
        self.append(name, ticks, false);
        self.publish(name, false);
    }

    /// The same, without bytes.
    pub(crate) fn gap_part(&mut self, name: &str, ticks: u64) {
        self.append(name, ticks, true);
        self.publish(name, false);
    }

    /// The last part of the segment and its end.
    pub(crate) fn close(&mut self, name: &str, ticks: u64) {
        self.append(name, ticks, false);
        self.publish(name, true);
    }

    /// A whole segment of `parts`.
    pub(crate) fn segment(&mut self, name: &str, parts: &[u64]) {
        let (last, first) = parts.split_last().unwrap();
        first.iter().for_each(|ticks| self.part(name, *ticks));
        self.close(name, *last);
    }

    /// A whole segment that stands for missing media, without parts.
    pub(crate) fn gap_segment(&mut self, name: &str, ticks: u64) {
        self.begin(name);
        let segment = self.cursor(name).open.as_mut().unwrap();
        (segment.gap, segment.duration_ticks) = (true, ticks);
        self.cursor(name).at += ticks as i64;
        self.publish(name, true);
    }

    /// The next segment begins with a discontinuity and another header.
    pub(crate) fn discontinuity(&mut self, name: &str, header_id: u64) {
        let cursor = self.cursor(name);
        cursor.discontinuity = true;
        cursor.discontinuity_number += 1;
        let track = cursor.header.track.clone();
        cursor.header = Arc::new(HeaderObject {
            id: header_id,
            track,
        });
    }

    /// The next media comes with this header.
    pub(crate) fn expect_header(&mut self, name: &str, id: u64) {
        let (track, header) = (self.index(name), self.cursor(name).header.track.clone());
        let header = Arc::new(HeaderObject { id, track: header });
        self.apply(&[Change::Header { track, header }]);
    }

    /// Discontinuities that were before the first segment.
    pub(crate) fn discontinuities_before(&mut self, name: &str, count: u64) {
        self.cursor(name).discontinuity_number = count;
    }

    pub(crate) fn evict(&mut self, name: &str, listed_from: u64, kept_from: u64) {
        let track = self.index(name);
        self.apply(&[Change::Evict {
            track,
            listed_from,
            kept_from,
        }]);
    }

    pub(crate) fn rates(&mut self, name: &str, peak_bps: u64, average_bps: u64) {
        let track = self.index(name);
        self.apply(&[Change::Rates {
            track,
            peak_bps,
            average_bps,
        }]);
    }

    pub(crate) fn frame_rates(&mut self, name: &str, peak_bps: u64, average_bps: u64) {
        let (track, frames_bps) = (self.index(name), (peak_bps, average_bps));
        self.apply(&[Change::FrameRates { track, frames_bps }]);
    }

    pub(crate) fn overdue(&mut self, name: &str) {
        let track = self.index(name);
        self.apply(&[Change::Overdue { track }]);
    }

    /// Something is said of an event.
    pub(crate) fn tell(&mut self, statement: Statement) {
        let told = EventChange::Told(Arc::new(statement));
        self.apply(&[Change::Event(told)]);
    }

    /// An event leaves.
    pub(crate) fn leave(&mut self, id: &str) {
        let left = EventChange::Left(vec![id.into()]);
        self.apply(&[Change::Event(left)]);
    }

    /// What has left by now is forgotten.
    pub(crate) fn forget(&mut self) {
        let version = self.channel.events().version();
        self.apply(&[Change::Event(EventChange::Forgotten(version))]);
    }

    pub(crate) fn end(&mut self) {
        self.become_over(State::Ended);
    }

    pub(crate) fn become_over(&mut self, state: State) {
        self.apply(&[Change::State(state)]);
    }

    fn apply(&mut self, changes: &[Change]) {
        self.channel.apply(self.channel.seq + 1, changes);
    }

    fn cursor(&mut self, name: &str) -> &mut Cursor {
        let index = self.index(name);
        &mut self.cursors[usize::from(index.0)]
    }

    fn begin(&mut self, name: &str) {
        let cursor = self.cursor(name);
        if cursor.open.is_some() {
            return;
        }
        let span = cursor.header.track.timescale.micros(cursor.at);
        cursor.open = Some(Segment {
            msn: cursor.msn,
            start_ticks: cursor.at,
            presented_ticks: cursor.at,
            duration_ticks: 0,
            wall: EPOCH + span,
            discontinuity: cursor.discontinuity,
            discontinuity_number: cursor.discontinuity_number,
            header: Arc::clone(&cursor.header),
            gap: false,
            parts: Vec::new(),
        });
        cursor.discontinuity = false;
    }

    fn append(&mut self, name: &str, ticks: u64, gap: bool) {
        self.begin(name);
        let number = self.number(name);
        let cursor = self.cursor(name);
        let segment = cursor.open.as_mut().unwrap();
        let body = if gap {
            Rope::new()
        } else {
            Rope::from(Bytes::from_static(b"moofmdat"))
        };
        segment.parts.push(Arc::new(Part {
            number,
            start_ticks: cursor.at,
            duration_ticks: ticks,
            independent: segment.parts.is_empty(),
            gap,
            first_sample_end: 6,
            body,
        }));
        segment.duration_ticks += ticks;
        cursor.at += ticks as i64;
    }

    fn number(&mut self, name: &str) -> u64 {
        let number_ms = self.number_ms;
        let cursor = self.cursor(name);
        (cursor.header.track.timescale.micros(cursor.at).0 / 1000 / number_ms) as u64
    }

    fn publish(&mut self, name: &str, whole: bool) {
        let (track, next_part) = (self.index(name), self.number(name));
        let cursor = self.cursor(name);
        let segment = Arc::new(cursor.open.clone().unwrap());
        let change = if whole {
            cursor.open = None;
            cursor.msn += 1;
            Change::Close {
                track,
                segment,
                next_part,
            }
        } else {
            Change::Open {
                track,
                segment,
                next_part,
            }
        };
        self.apply(&[change]);
    }
}

/// A target duration of 2 s and parts of 0.5 s, four a segment: 100 to 109 are
/// whole, 110 is open with its parts 0 and 1. Tracks v1, v2 and a1.
pub(crate) fn reference_state() -> Script {
    addressed_reference_state(PartAddressing::Url)
}

pub(crate) fn addressed_reference_state(addressing: PartAddressing) -> Script {
    let mut script = Script::addressed(2, Some(500_000), addressing)
        .video("v1")
        .video("v2")
        .audio("a1", "en");
    script.number_ms = 500;
    for (name, scale) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
        script.start_at(name, 100, 200 * scale as i64);
        script.discontinuities_before(name, 3);
        for _ in 0..10 {
            script.segment(name, &[scale / 2; 4]);
        }
        script.part(name, scale / 2);
        script.part(name, scale / 2);
    }
    script
}

/// Two parts whose numbers are half a second of milliseconds apart.
pub(crate) fn sparse_numbers() -> Script {
    let mut script = Script::new(2, Some(500_000)).video("v1");
    script.part("v1", 45_000);
    script.part("v1", 45_000);
    script
}

pub(crate) fn header(kind: Kind, timescale: u32, codec: &str) -> TrackHeader {
    TrackHeader {
        track_id: 1,
        kind,
        timescale: Timescale::new(timescale).unwrap(),
        codec: codec.into(),
        language: None,
        width: 0,
        height: 0,
        display: (0, 0),
        transfer: None,
        sample_rate: 0,
        channels: 0,
        joint_objects: None,
        roles: Roles::default(),
        bitrate: None,
        edit_shift_ticks: 0,
        defaults: SampleDefaults::default(),
        encrypted: false,
        bytes: Bytes::new(),
        digest: 0,
    }
}
