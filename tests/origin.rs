//! A whole origin without its shell: encoders' bytes in, playlists out.

use std::rc::Rc;
use std::sync::Arc;

use headwater::config::Settings;
use headwater::http::reply::Reply;
use headwater::http::request::{BodyLength, Method, Request};
use headwater::shard::{Effect, ExchangeId, Identity, Input, Shard, ShardId};
use headwater::time::{Mono, Now, Wall};

/// One shard and its clock.
struct Origin {
    shard: Shard,
    now: Now,
    next: u64,
    replies: Vec<(ExchangeId, Rc<Reply>)>,
}

impl Origin {
    fn new(settings: Settings) -> Self {
        let identity = Identity {
            id: ShardId(0),
            count: 1,
        };
        Self {
            shard: Shard::new(identity, Arc::new(settings)),
            now: Now {
                mono: Mono::from_ms(1_000),
                wall: Wall(1_767_225_600_000_000),
            },
            next: 0,
            replies: Vec::new(),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input);
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Respond { exchange, reply } => self.replies.push((exchange, reply)),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono.plus_ms(ms);
        self.now.wall.0 += ms as i64 * 1000;
        self.input(Input::Tick);
    }

    fn open(&mut self, method: Method, target: &str, body: BodyLength) -> ExchangeId {
        let exchange = ExchangeId(self.next);
        self.next += 1;
        let request = Request {
            method,
            target,
            body,
            close: false,
            expect_continue: false,
            accept_gzip: false,
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
            exchange,
            request: &request,
        });
        exchange
    }

    /// The reply to an exchange, if it has been given.
    fn reply(&mut self, exchange: ExchangeId) -> Option<Rc<Reply>> {
        let position = self.replies.iter().position(|(of, _)| *of == exchange)?;
        Some(self.replies.swap_remove(position).1)
    }

    fn get(&mut self, target: &str) -> Option<(u16, String)> {
        let exchange = self.open(Method::Get, target, BodyLength::None);
        let reply = self.reply(exchange)?;
        let body = String::from_utf8_lossy(&reply.body().to_vec()).into_owned();
        Some((reply.status, body))
    }

    /// Sends a body in pieces of `step` bytes, `ms` apart.
    fn put(&mut self, target: &str, body: &[u8], step: usize, ms: u64) -> ExchangeId {
        let exchange = self.open(Method::Put, target, BodyLength::Chunked);
        for data in body.chunks(step) {
            self.pass(ms);
            self.input(Input::Body { exchange, data });
        }
        exchange
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn an_endless_upload_becomes_a_live_channel() {
    let mut origin = Origin::new(Settings::default());
    let video = fixture("demo/video-540p.cmfv");
    let audio = fixture("demo/audio.cmfa");
    let v = origin.open(
        Method::Post,
        "/ingest/ch1/Streams(v.cmfv)",
        BodyLength::Chunked,
    );
    let a = origin.open(
        Method::Post,
        "/ingest/ch1/Streams(a.cmfa)",
        BodyLength::Chunked,
    );
    // Both in step with the clock: 16 s of media in 160 pieces.
    for piece in 0..120 {
        origin.pass(100);
        let part = |body: &[u8]| {
            let at = |index: usize| body.len() * index / 160;
            body[at(piece)..at(piece + 1)].to_vec()
        };
        origin.input(Input::Body {
            exchange: v,
            data: &part(&video),
        });
        origin.input(Input::Body {
            exchange: a,
            data: &part(&audio),
        });
    }
    for target in ["index.m3u8", "v.m3u8", "a.m3u8"] {
        let (status, text) = origin.get(&format!("/live/ch1/{target}")).expect("served");
        println!("{text}");
        assert_eq!(status, 200);
    }
    println!("{}", origin.get("/api/v1/channels").expect("answered").1);
    println!("{}", origin.get("/metrics").expect("answered").1);
}

#[test]
fn segments_by_request() {
    let mut origin = Origin::new(Settings::default());
    for (n, name) in ["0-init.mp4", "1.m4s", "2.m4s"].iter().enumerate() {
        for kind in ["video", "audio"] {
            let target = match n {
                0 => format!("/ingest/ch1/init-{kind}.m4s"),
                n => format!("/ingest/ch1/chunk-{kind}-0000{n}.m4s"),
            };
            let body = fixture(&format!("ffmpeg-9.0.2/ldash-{kind}/{name}"));
            let exchange = origin.put(&target, &body, 10_000, 100);
            origin.input(Input::BodyEnd { exchange });
            let reply = origin.reply(exchange).expect("answered");
            println!(
                "{target} {} {}",
                reply.status,
                String::from_utf8_lossy(&reply.body().to_vec())
            );
        }
    }
    for target in ["index.m3u8", "video.m3u8", "audio.m3u8"] {
        let (status, text) = origin.get(&format!("/live/ch1/{target}")).expect("served");
        println!("{text}");
        assert_eq!(status, 200);
    }
}
