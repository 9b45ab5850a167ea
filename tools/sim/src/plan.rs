//! What a seed draws before a run begins: sizes, rates, and which faults are on
//! at all.

use std::collections::BTreeSet;

use headwater::media::policy::{PartAddressing, Policy};
use headwater::shard::Settings;

use crate::cmaf::{FlagLayout, Kind, Layout, TrackSpec};
use crate::net::Quality;
use crate::prng::Prng;
use crate::world::{MS, SECOND};

/// One run's options.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed they follow from.
    pub seed: u64,
    /// Shards of the origin.
    pub shards: u16,
    /// Settings of the origin.
    pub settings: Settings,
    /// Letters a mailbox holds.
    pub mailbox_letters: usize,
    /// Largest delay of a letter.
    pub mail_delay_us: u64,
    /// Largest lateness of a tick.
    pub tick_late_us: u64,
    /// Whether connections clog.
    pub clogs: bool,
    /// Whether the wall clock is stepped.
    pub wall_steps: bool,
    /// What encoders send.
    pub channels: Vec<ChannelPlan>,
    /// Players of each kind: low latency, plain, and those that leave.
    pub players: [u64; 3],
    /// Whether abusers send odd requests.
    pub abusers: bool,
    /// Whether vandals send odd uploads.
    pub vandals: bool,
    /// Whether channels have operators.
    pub operators: bool,
    /// When faults end, in ns.
    pub safety_ns: u64,
}

/// How an encoder maps its tracks to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One POST a track that never ends.
    Endless,
    /// One PUT a segment, chunks as they are made.
    PerSegment,
    /// One PUT with Content-Length a segment, when it is whole.
    Whole,
    /// One POST of all tracks that never ends.
    Muxed,
}

/// Where decode times start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At zero.
    Zero,
    /// At some value.
    Somewhere,
    /// At the wall clock, on the segment grid.
    Epoch,
    /// Eight seconds before 2^32.
    NearWrap,
}

/// The grid of video frames: everything is cut along it.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Ticks a second.
    pub timescale: u64,
    /// Ticks a frame.
    pub frame_ticks: u64,
    /// Frames of a segment, which is one group of pictures.
    pub segment_frames: u64,
    /// Frames of a chunk.
    pub chunk_frames: u64,
}

impl Grid {
    /// Duration of `frames` in nanoseconds, rounded down.
    pub fn ns(&self, frames: u64) -> u64 {
        (u128::from(frames * self.frame_ticks) * u128::from(SECOND) / u128::from(self.timescale))
            as u64
    }

    /// In which segment, and in which chunk of it, a sample begins.
    pub fn key(&self, spec: &TrackSpec, sample: u64) -> (u64, u64) {
        let at = u128::from(sample * u64::from(spec.sample_ticks)) * u128::from(self.timescale);
        let frame = u128::from(self.frame_ticks) * u128::from(spec.timescale);
        let segment = at / (frame * u128::from(self.segment_frames));
        let within = at - segment * frame * u128::from(self.segment_frames);
        (
            segment as u64,
            (within / (frame * u128::from(self.chunk_frames))) as u64,
        )
    }
}

/// One channel and its encoder.
#[derive(Clone, Debug)]
pub struct ChannelPlan {
    /// In URLs.
    pub name: String,
    /// Whether nothing ever goes wrong with its encoder.
    pub healthy: bool,
    /// Requests.
    pub mode: Mode,
    /// Decode times.
    pub start: Start,
    /// Cuts.
    pub grid: Grid,
    /// Video first, text last.
    pub tracks: Vec<TrackPlan>,
    /// Whether segments begin with a styp, or every chunk does.
    pub styp: Styp,
    /// Whether chunks carry a prft.
    pub prft: bool,
    /// Whether chunks carry boxes nobody knows.
    pub extras: bool,
    /// Whether breaks are announced.
    pub cues: bool,
    /// Path to the origin.
    pub quality: Quality,
    /// What goes wrong, and when, in ns.
    pub faults: Vec<(u64, Fault)>,
}

/// Where styp boxes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Styp {
    /// Nowhere.
    None,
    /// In front of segments.
    Segments,
    /// In front of chunks.
    Chunks,
}

/// One track.
#[derive(Clone, Debug)]
pub struct TrackPlan {
    /// In URLs, unless muxed.
    pub name: String,
    /// In its header.
    pub spec: TrackSpec,
    /// Least and largest payload.
    pub payload: (u64, u64),
}

/// What goes wrong with an encoder.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing is sent for a while; then all of it, or only what is new.
    Pause {
        /// How long.
        ms: u64,
        /// Whether what was made in the meantime is sent.
        burst: bool,
    },
    /// A connection breaks and is made again.
    Reconnect {
        /// In the middle of a box.
        mid_box: bool,
        /// By a reset rather than by an orderly end of the stream.
        reset: bool,
    },
    /// A request body ends in the middle of a box.
    Truncate,
    /// A body never ends; the next one comes on another connection.
    NeverEnd,
    /// A chunk or a segment is sent twice.
    Duplicate,
    /// A segment is left out.
    Skip,
    /// Decode times jump, on one track or on all.
    Jump {
        /// By how much.
        ms: i64,
        /// On all tracks at the same sample.
        all: bool,
    },
    /// A new CMAF header.
    NewHeader,
    /// One track is late for a while.
    Lag {
        /// By how much.
        ms: u64,
    },
    /// Nothing is sent on any track for a while; clocks stand still, or go on.
    Stall {
        /// How long.
        ms: u64,
        /// Whether what was captured in the meantime is lost.
        lost: bool,
    },
    /// One track dies and does not come back.
    Die,
    /// The encoder starts anew.
    Restart {
        /// After how long.
        ms: u64,
    },
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64, rng: &mut Prng) -> Self {
        let safety_ns = rng.range(15, 30) * SECOND;
        let count = rng.range(1, 3);
        let any_fault = rng.percent(85);
        let faults = |rng: &mut Prng| any_fault && rng.percent(60);
        let channels: Vec<_> = (0..count)
            .map(|index| ChannelPlan::draw(index, safety_ns, any_fault, rng))
            .collect();
        let policy = Policy {
            window_ms: rng.range(8, 30) * 1000,
            segment_ms: rng.pick(&[1000, 2000, 2000]),
            part_ms: rng.pick(&[None, None, Some(200), Some(500), Some(1000)]),
            // Not drawn, so that seeds keep their histories.
            part_addressing: if seed.is_multiple_of(3) {
                PartAddressing::ByteRange
            } else {
                PartAddressing::Url
            },
            fill_gaps: rng.percent(50),
            fill_patience_ms: rng.pick(&[100, 500, 500, 1000]),
            ..Policy::default()
        };
        let settings = Settings {
            policy,
            strict_part_limit: rng.percent(20),
            ..Settings::default()
        };
        Self {
            seed,
            shards: rng.range(1, 4) as u16,
            settings,
            mailbox_letters: if faults(rng) {
                rng.range(4, 40) as usize
            } else {
                4096
            },
            mail_delay_us: rng.pick(&[5, 200, 5000, 30_000]),
            tick_late_us: rng.pick(&[0, 100, 2000, 5000]),
            clogs: faults(rng),
            wall_steps: faults(rng) && rng.percent(30),
            channels,
            players: [rng.range(1, 4), rng.range(0, 2), rng.range(0, 3)],
            abusers: rng.percent(60),
            vandals: faults(rng),
            operators: rng.percent(50),
            safety_ns,
        }
    }

    /// Channels whose encoders nothing ever makes late.
    pub fn punctual(&self) -> BTreeSet<String> {
        let channels = self.channels.iter();
        let punctual = channels.filter(|channel| channel.healthy && !self.clogs && !self.vandals);
        punctual.map(|channel| channel.name.clone()).collect()
    }

    /// Longest segment of any encoder, in ns.
    pub fn segment_ns_max(&self) -> u64 {
        let of = |channel: &ChannelPlan| channel.grid.ns(channel.grid.segment_frames);
        let longest = self.channels.iter().map(of).max().unwrap_or(0);
        longest.max(self.settings.policy.segment_ms * MS) + longest
    }
}

impl ChannelPlan {
    fn draw(index: u64, safety_ns: u64, any_fault: bool, rng: &mut Prng) -> Self {
        let healthy = !any_fault || index == 0 && rng.percent(50);
        let mode = rng.pick(&[Mode::Endless, Mode::PerSegment, Mode::Whole, Mode::Muxed]);
        let start = rng.pick(&[Start::Zero, Start::Somewhere, Start::Epoch, Start::NearWrap]);
        let grid = draw_grid(mode, rng);
        let layout = draw_layout(start, rng);
        let mut tracks = Vec::new();
        let videos = if mode == Mode::Muxed {
            1
        } else {
            rng.range(1, 2)
        };
        let audios = rng.range(if mode == Mode::Muxed { 1 } else { 0 }, 1);
        for number in 0..videos + audios {
            tracks.push(draw_track(number, videos, mode, &grid, layout, rng));
        }
        if rng.percent(30) {
            tracks.push(draw_text(tracks.len() as u32, mode, &grid, layout, rng));
        }
        let quality = if healthy && rng.percent(50) {
            Quality::PERFECT
        } else {
            Quality::draw(rng)
        };
        let mut faults: Vec<_> = if healthy { 0..0 } else { 0..rng.range(0, 5) }
            .map(|_| (rng.range(3 * SECOND, safety_ns), draw_fault(rng)))
            .collect();
        faults.sort_by_key(|(at, _)| *at);
        let styp = rng.pick(&[Styp::None, Styp::Segments, Styp::Chunks]);
        let (prft, extras) = (rng.percent(20), rng.percent(20));
        let cues = rng.percent(40);
        let name = format!("ch{index}");
        Self {
            name,
            healthy,
            mode,
            start,
            grid,
            tracks,
            styp,
            prft,
            extras,
            cues,
            quality,
            faults,
        }
    }
}

fn draw_grid(mode: Mode, rng: &mut Prng) -> Grid {
    let (timescale, frame_ticks, rate) = rng.pick(&[
        (12_800, 512, 25),
        (90_000, 3600, 25),
        (15_360, 512, 30),
        (30_000, 1001, 30),
        (24_000, 1000, 24),
        (90_000, 1800, 50),
    ]);
    let segment_frames = rate * rng.pick(&[1, 2, 2]);
    let chunk_frames = match mode {
        Mode::Whole => rng.pick(&[segment_frames, segment_frames, rate / 2]),
        _ => rng.pick(&[1, 2, rate / 5, rate / 2, rate, segment_frames]),
    };
    Grid {
        timescale,
        frame_ticks,
        segment_frames,
        chunk_frames,
    }
}

fn draw_layout(start: Start, rng: &mut Prng) -> Layout {
    Layout {
        wide_tfdt: match start {
            Start::Epoch => true,
            Start::NearWrap => false,
            _ => rng.percent(50),
        },
        flags: rng.pick(&[
            FlagLayout::FirstSample,
            FlagLayout::PerSample,
            FlagLayout::Trex,
        ]),
        durations_in_trun: rng.percent(50),
        cts: rng.pick(&[None, Some(0), Some(1)]),
        large_mdat: rng.percent(20),
    }
}

fn draw_track(
    number: u64,
    videos: u64,
    mode: Mode,
    grid: &Grid,
    layout: Layout,
    rng: &mut Prng,
) -> TrackPlan {
    let video = number < videos;
    let track_id = if mode == Mode::Muxed {
        1 + number as u32
    } else {
        rng.range(1, 3) as u32
    };
    let spec = TrackSpec {
        kind: if video { Kind::Video } else { Kind::Audio },
        track_id,
        timescale: if video { grid.timescale as u32 } else { 48_000 },
        sample_ticks: if video { grid.frame_ticks as u32 } else { 1024 },
        width: 320 * (1 + number as u16),
        layout,
    };
    let name = if video {
        format!("video{number}")
    } else {
        "audio".to_owned()
    };
    TrackPlan {
        name,
        spec,
        payload: rng.pick(&[(24, 60), (40, 300), (24, 1500)]),
    }
}

/// Text whose samples last a frame, a chunk or a segment.
fn draw_text(number: u32, mode: Mode, grid: &Grid, layout: Layout, rng: &mut Prng) -> TrackPlan {
    let chunk = match grid.segment_frames % grid.chunk_frames {
        0 => grid.chunk_frames,
        _ => 1,
    };
    let frames = rng.pick(&[1, chunk, chunk, grid.segment_frames]);
    let spec = TrackSpec {
        kind: Kind::Text,
        track_id: if mode == Mode::Muxed { 1 + number } else { 1 },
        timescale: grid.timescale as u32,
        sample_ticks: (frames * grid.frame_ticks) as u32,
        width: 0,
        layout,
    };
    TrackPlan {
        name: "text".to_owned(),
        spec,
        payload: (24, 300),
    }
}

fn draw_fault(rng: &mut Prng) -> Fault {
    match rng.range(0, 14) {
        0 | 1 => Fault::Pause {
            ms: rng.range(100, 9000),
            burst: rng.percent(50),
        },
        2 | 3 => Fault::Reconnect {
            mid_box: rng.percent(60),
            reset: rng.percent(50),
        },
        4 => Fault::Truncate,
        5 => Fault::NeverEnd,
        6 => Fault::Duplicate,
        7 => Fault::Skip,
        8 => {
            let ms = rng.range(100, 20_000) as i64;
            Fault::Jump {
                ms: if rng.percent(50) { -ms } else { ms },
                all: rng.percent(70),
            }
        }
        9 => Fault::NewHeader,
        10 => Fault::Lag {
            ms: rng.range(100, 4000),
        },
        11 | 12 => Fault::Stall {
            ms: rng.range(1000, 12_000),
            lost: rng.percent(60),
        },
        13 => Fault::Die,
        _ => Fault::Restart {
            ms: rng.range(10, 6000),
        },
    }
}
