//! A shard without a system call, an encoder that feeds it, and requests parked
//! on it.

use std::sync::Arc;

use headwater::http::request::{BodyLength, Method, Request};
use headwater::media::policy::Policy;
use headwater::shard::{Effect, ExchangeId, Identity, Input, Settings, Shard, ShardId};
use headwater::time::{Mono, Now, Wall};

use crate::encoder::{Fragment, Frame, Spec};

/// Frames of 40 ms; parts of half a second have no whole number of them, so
/// chunks of 12 and 13 take turns, 50 frames a segment.
const FRAME_TICKS: u32 = 3_600;
const CHUNKS: [u64; 4] = [13, 12, 13, 12];
const TRACK: &str = "/live/c/v.m3u8";
const START_S: i64 = 1_767_225_600;

/// One origin with its encoder.
pub(crate) struct Origin {
    shard: Shard,
    /// The chunks of a segment, which differ by their decode time alone.
    templates: [Vec<u8>; 4],
    decode_time_at: usize,
    now: Now,
    made: u64,
    chunks: u64,
    exchange: u64,
    answered: u64,
}

impl Origin {
    /// An origin whose window is full.
    pub(crate) fn new(window_s: u64) -> Self {
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
        let spec = Spec::video(90_000);
        let templates = [0, 1, 2, 3].map(|turn| template(&spec, turn));
        let mut origin = Self {
            shard: Shard::new(identity, Arc::new(settings)),
            decode_time_at: decode_time_at(&templates[0]),
            templates,
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
        let header = spec.bytes();
        origin.input(Input::Body {
            exchange: ExchangeId(0),
            data: &header,
        });
        while origin.made < (window_s + 30) * 25 {
            let chunk = origin.make();
            origin.take(&chunk);
            if origin.chunks.is_multiple_of(64) {
                origin.input(Input::Tick);
            }
        }
        origin
    }

    /// Tells the shard and counts what it answers.
    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input);
        while let Some(effect) = self.shard.poll_effect() {
            if let Effect::Respond { reply, .. } = effect {
                assert_eq!(reply.status, 200, "{:?}", reply.first);
                self.answered += 1;
            }
        }
    }

    pub(crate) fn request(
        &mut self,
        id: u64,
        method: Method,
        target: &str,
        body: BodyLength,
        gzip: bool,
    ) {
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

    /// The next chunk, for [`Self::take`]. Time passes.
    pub(crate) fn make(&mut self) -> Vec<u8> {
        let turn = (self.chunks % 4) as usize;
        let count = CHUNKS[turn];
        let mut bytes = self.templates[turn].clone();
        let time = self.made * u64::from(FRAME_TICKS);
        bytes[self.decode_time_at..][..8].copy_from_slice(&time.to_be_bytes());
        self.made += count;
        self.chunks += 1;
        self.now.mono = self.now.mono.plus_ms(count * 40);
        self.now.wall.0 += count as i64 * 40_000;
        bytes
    }

    /// Takes in a chunk and answers those who wait for it.
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        self.input(Input::Body {
            exchange: ExchangeId(0),
            data: chunk,
        });
    }

    /// Parks a player of every kind in `crowd` until the next part.
    pub(crate) fn park(&mut self, crowd: &[(&str, bool)]) {
        let newest = START_S as u64 / 2 + self.chunks / 4;
        let part = self.chunks % 4;
        for (query, gzip) in crowd {
            self.exchange += 1;
            let target = format!("{TRACK}?_HLS_msn={newest}&_HLS_part={part}{query}");
            self.request(self.exchange, Method::Get, &target, BodyLength::None, *gzip);
        }
    }

    /// Requests answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }
}

/// Chunk `turn` of a segment.
fn template(spec: &Spec, turn: usize) -> Vec<u8> {
    let frames = (0..CHUNKS[turn]).map(|at| Frame {
        ticks: FRAME_TICKS,
        sync: turn == 0 && at == 0,
        cts: 0,
        bytes: (3, at as u8),
    });
    let fragment = Fragment {
        frames: frames.collect(),
        ..Fragment::default()
    };
    fragment.bytes(spec.id)
}

fn decode_time_at(chunk: &[u8]) -> usize {
    let name = b"tfdt\x01\0\0\0";
    let at = chunk.windows(name.len()).position(|bytes| bytes == name);
    at.expect("a chunk has a decode time") + name.len()
}
