//! What publishing a part costs in a window of a day beside one of a minute:
//! a shard without a system call, with requests parked on it.

use std::sync::Arc;

use headwater::http::request::{BodyLength, Method, Request};
use headwater::media::policy::Policy;
use headwater::shard::{Effect, ExchangeId, Identity, Input, Settings, Shard, ShardId};
use headwater::time::{Mono, Now, Wall};
use rustix::time::{ClockId, clock_gettime};

use crate::encoder::{Fragment, Frame, Spec};
use crate::stats::{max, median, min};

/// Frames of 40 ms; parts of half a second have no whole number of them, so
/// chunks of 12 and 13 take turns, 50 frames a segment.
const FRAME_TICKS: u32 = 3_600;
const CHUNKS: [u64; 4] = [13, 12, 13, 12];
const TRACK: &str = "/live/c/v.m3u8";
const START_S: i64 = 1_767_225_600;

/// Which requests wait for every part.
const CROWDS: [(&str, &[(&str, bool)]); 4] = [
    ("nobody waits", &[]),
    ("deltas, gzip", &[("&_HLS_skip=YES", true)]),
    ("whole playlist, gzip", &[("", true)]),
    (
        "whole playlist and delta, both codings",
        &[
            ("", false),
            ("", true),
            ("&_HLS_skip=YES", false),
            ("&_HLS_skip=YES", true),
        ],
    ),
];

/// One origin with its encoder.
struct Origin {
    shard: Shard,
    spec: Spec,
    now: Now,
    made: u64,
    chunks: u64,
    exchange: u64,
    answered: u64,
}

impl Origin {
    /// An origin whose window is full.
    fn new(window_s: u64) -> Self {
        let policy = Policy {
            window_ms: window_s * 1000,
            ..Policy::default()
        };
        let settings = Settings {
            policy,
            memory_bytes: 64 << 30,
            ..Settings::default()
        };
        let identity = Identity {
            id: ShardId(0),
            count: 1,
        };
        let mut origin = Self {
            shard: Shard::new(identity, Arc::new(settings)),
            spec: Spec::video(90_000),
            now: Now {
                mono: Mono::from_ms(1_000),
                wall: Wall(START_S * 1_000_000),
            },
            made: 0,
            chunks: 0,
            exchange: 1,
            answered: 0,
        };
        origin.request(
            0,
            Method::Post,
            "/ingest/c/v.cmfv",
            BodyLength::Chunked,
            false,
        );
        let header = origin.spec.bytes();
        origin.input(Input::Body {
            exchange: ExchangeId(0),
            data: &header,
        });
        while origin.made < (window_s + 30) * 25 {
            origin.chunk();
            if origin.chunks.is_multiple_of(64) {
                origin.input(Input::Tick);
            }
        }
        origin
    }

    fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input);
        while let Some(effect) = self.shard.poll_effect() {
            if let Effect::Respond { reply, .. } = effect {
                assert_eq!(reply.status, 200, "{:?}", reply.first);
                self.answered += 1;
            }
        }
    }

    fn request(&mut self, id: u64, method: Method, target: &str, body: BodyLength, gzip: bool) {
        let request = Request {
            method,
            target,
            body,
            close: false,
            expect_continue: false,
            accept_gzip: gzip,
            if_none_match: None,
            range: None,
            if_range: None,
            content_range: false,
            content_encoding: None,
            authorization: None,
            user_agent: None,
            raw: &[],
        };
        self.input(Input::Request {
            exchange: ExchangeId(id),
            request: &request,
        });
    }

    /// Takes in the next chunk; seconds that took.
    fn chunk(&mut self) -> f64 {
        let count = CHUNKS[(self.chunks % 4) as usize];
        let frames = (self.made..self.made + count).map(|at| Frame {
            ticks: FRAME_TICKS,
            sync: at.is_multiple_of(50),
            cts: 0,
            bytes: (3, at as u8),
        });
        let fragment = Fragment {
            time: self.made * u64::from(FRAME_TICKS),
            frames: frames.collect(),
            ..Fragment::default()
        };
        let bytes = fragment.bytes(self.spec.id);
        self.made += count;
        self.chunks += 1;
        self.now.mono = self.now.mono.plus_ms(count * 40);
        self.now.wall.0 += count as i64 * 40_000;
        let start = cpu_seconds();
        self.input(Input::Body {
            exchange: ExchangeId(0),
            data: &bytes,
        });
        cpu_seconds() - start
    }

    /// Seconds a part takes with this crowd, over some whole segments.
    fn part(&mut self, crowd: &[(&str, bool)], parts: u64) -> f64 {
        let mut seconds = 0.0;
        let before = self.answered;
        for _ in 0..parts {
            let newest = START_S as u64 / 2 + self.chunks / 4;
            let part = self.chunks % 4;
            for (query, gzip) in crowd {
                self.exchange += 1;
                let target = format!("{TRACK}?_HLS_msn={newest}&_HLS_part={part}{query}");
                self.request(self.exchange, Method::Get, &target, BodyLength::None, *gzip);
            }
            seconds += self.chunk();
        }
        let missing = crowd.len() as u64 * parts - (self.answered - before);
        assert!(
            missing <= 2 * crowd.len() as u64,
            "{missing} were not answered"
        );
        seconds / parts as f64
    }
}

/// CPU time of this thread: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Prints the table.
pub(crate) fn measure(rounds: usize) {
    const PARTS: u64 = 400;
    println!("filling a window of a minute and one of a day");
    let (mut minute, mut day) = (Origin::new(60), Origin::new(86_400));
    println!("\n| a part with | 1 min, us | 24 h, us | ratio | target |\n|---|---|---|---|---|");
    for (name, crowd) in CROWDS {
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let (short, long) = (minute.part(crowd, PARTS), day.part(crowd, PARTS));
            for (list, value) in figures
                .iter_mut()
                .zip([short * 1e6, long * 1e6, long / short])
            {
                list.push(value);
            }
        }
        let [short, long, ratio] = &figures;
        println!(
            "| {name} | {:.1} | {:.1} | {:.2} [{:.2} to {:.2}] | 1.1 |",
            median(short),
            median(long),
            median(ratio),
            min(ratio),
            max(ratio)
        );
    }
}
