//! Tracks under way and the connection they share.

use crate::cmaf::payload::{self, Stamp};
use crate::cmaf::write::header;
use crate::cmaf::{Kind, Sample};
use crate::net::ConnId;
use crate::plan::{ChannelPlan, Mode, TrackPlan};
use crate::world::SECOND;

/// One track under way.
pub(super) struct Run {
    pub(super) index: usize,
    pub(super) plan: TrackPlan,
    pub(super) session: u32,
    /// Number of the next sample.
    pub(super) next: u64,
    /// Decode time of sample 0.
    pub(super) base: u64,
    /// What jumps have added.
    pub(super) shift: i64,
    pub(super) start_ns: u64,
}

/// One connection's worth of tracks.
pub(super) struct Uplink {
    pub(super) runs: Vec<Run>,
    pub(super) conn: Option<ConnId>,
    /// Whether a body is under way.
    pub(super) in_body: bool,
    /// Whether this connection has seen a header.
    pub(super) headed: bool,
    /// Body of the segment under way, for what re-sends or sends it whole.
    pub(super) segment: Vec<u8>,
    pub(super) sequence: u32,
    pub(super) lag_ns: u64,
    pub(super) lag_until: u64,
    /// Nothing is sent before this.
    pub(super) silent_until: u64,
    /// A jump waits for this segment.
    pub(super) jump: Option<(u64, i64)>,
    pub(super) armed: bool,
}

impl Mode {
    /// Whether requests never end.
    pub fn is_endless(self) -> bool {
        matches!(self, Self::Endless | Self::Muxed)
    }
}

impl ChannelPlan {
    pub(super) fn media_head(&self, uplink: &Uplink, framing: &str) -> String {
        let name = &self.name;
        let run = &uplink.runs[0];
        let (method, path) = match self.mode {
            Mode::Muxed => ("POST", format!("{name}/muxed.mp4")),
            Mode::Endless => ("POST", format!("{name}/Streams({}.cmfv)", run.plan.name)),
            Mode::PerSegment | Mode::Whole => {
                let segment = self.grid.key(&run.plan.spec, run.next.max(1) - 1).0;
                ("PUT", format!("{name}/{}/{segment}.m4s", run.plan.name))
            }
        };
        format!("{method} /ingest/{path} HTTP/1.1\r\nHost: origin\r\n{framing}\r\n\r\n")
    }
}

impl Uplink {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        Self {
            runs,
            conn: None,
            in_body: false,
            headed: false,
            segment: Vec::new(),
            sequence: 1,
            lag_ns: 0,
            lag_until: 0,
            silent_until: 0,
            jump: None,
            armed: false,
        }
    }

    /// Forgets the connection and what was under way on it.
    pub(super) fn abandon(&mut self) {
        self.conn = None;
        self.in_body = false;
        self.headed = false;
        self.segment.clear();
    }

    pub(super) fn header(&self) -> Vec<u8> {
        let specs: Vec<_> = self.runs.iter().map(|run| run.plan.spec).collect();
        header(&specs)
    }

    pub(super) fn segment_of(&self, plan: &ChannelPlan) -> u64 {
        plan.grid.key(&self.runs[0].plan.spec, self.runs[0].next).0
    }

    /// The end of the next chunk in every run, and its place on the grid.
    pub(super) fn next_chunk(&self, plan: &ChannelPlan) -> (Vec<u64>, (u64, u64)) {
        let key = |run: &Run, sample: u64| plan.grid.key(&run.plan.spec, sample);
        let next = self
            .runs
            .iter()
            .map(|run| key(run, run.next))
            .min()
            .unwrap_or_default();
        let end = |run: &Run| {
            let mut end = run.next;
            while key(run, end) <= next {
                end += 1;
            }
            end
        };
        (self.runs.iter().map(end).collect(), next)
    }
}

impl Run {
    /// When a sample has been captured whole.
    pub(super) fn captured(&self, sample: u64) -> u64 {
        let ticks = u128::from((sample + 1) * u64::from(self.plan.spec.sample_ticks));
        self.start_ns + (ticks * u128::from(SECOND) / u128::from(self.plan.spec.timescale)) as u64
    }

    /// The sample being captured at a moment.
    pub(super) fn reached(&self, at: u64) -> u64 {
        let ns = u128::from(at.saturating_sub(self.start_ns));
        let ticks = ns * u128::from(self.plan.spec.timescale) / u128::from(SECOND);
        (ticks / u128::from(self.plan.spec.sample_ticks)) as u64
    }

    pub(super) fn decode_time(&self, sample: u64) -> u64 {
        let ticks = sample * u64::from(self.plan.spec.sample_ticks);
        (self.base + ticks).saturating_add_signed(self.shift)
    }

    pub(super) fn sample(&self, channel: usize, plan: &ChannelPlan, number: u64) -> Sample {
        let spec = &self.plan.spec;
        let stamp = Stamp {
            channel: channel as u16,
            track: self.index as u16,
            session: self.session,
            number,
        };
        let sync = spec.kind != Kind::Video || number.is_multiple_of(plan.grid.segment_frames);
        let (least, largest) = self.plan.payload;
        let spread = crate::prng::mix(number ^ u64::from(self.session)) % (largest - least + 1);
        let len = least
            + if sync && spec.kind == Kind::Video {
                2 * spread
            } else {
                spread
            };
        let payload = payload::make(stamp, len as usize);
        Sample {
            duration: spec.sample_ticks,
            sync,
            cts: 0,
            payload,
        }
    }
}
