//! A process without a system call: shards, their mail and their clock.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use headwater::http::reply::Reply;
use headwater::http::request::{BodyLength, Method, Request};
use headwater::media::policy::Policy;
use headwater::shard::{Effect, ExchangeId, Identity, Input, Letter, Settings, Shard, ShardId};
use headwater::time::{Mono, Now, Wall};

use crate::encoder::{Fragment, Frame, Message, Spec};

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        Self {
            status: reply.status,
            head: String::from_utf8_lossy(&reply.head()).into_owned(),
            body: reply.body().to_vec(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        let pairs = lines.by_ref().filter_map(|line| line.split_once(": "));
        let mut found = pairs.filter(|(of, _)| of.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

/// The body of a streamed response so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// Piece by piece.
    pub(crate) bursts: Vec<Vec<u8>>,
    /// It is whole.
    pub(crate) ended: bool,
}

/// Shards with their mail, and one clock.
pub(crate) struct Process {
    pub(crate) shards: Vec<Shard>,
    pub(crate) now: Now,
    next: u64,
    replies: Vec<(ExchangeId, Rc<Reply>)>,
    bodies: BTreeMap<ExchangeId, Body>,
    pub(crate) continued: Vec<ExchangeId>,
    pub(crate) aborted: Vec<ExchangeId>,
    pub(crate) moved: Vec<(ExchangeId, ShardId)>,
    pub(crate) drained: usize,
    mail: VecDeque<(ShardId, ShardId, Letter)>,
    /// Letters to lose, and those posted so far.
    pub(crate) lose: fn(&Letter) -> bool,
}

/// What a request says besides method, target and body.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) authorization: Option<&'a str>,
    pub(crate) range: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
    pub(crate) content_encoding: Option<&'a str>,
    pub(crate) content_range: bool,
    pub(crate) expect_continue: bool,
}

impl Process {
    pub(crate) fn new(count: u16, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let shard = |id| {
            let id = ShardId(id);
            Shard::new(Identity { id, count }, Arc::clone(&settings))
        };
        Self {
            shards: (0..count).map(shard).collect(),
            now: Now {
                mono: Mono::from_ms(1_000),
                wall: Wall(1_767_225_600_000_000),
            },
            next: 0,
            replies: Vec::new(),
            bodies: BTreeMap::new(),
            continued: Vec::new(),
            aborted: Vec::new(),
            moved: Vec::new(),
            drained: 0,
            mail: VecDeque::new(),
            lose: |_| false,
        }
    }

    /// One shard whose channels are of a policy.
    pub(crate) fn of(policy: Policy) -> Self {
        let settings = Settings {
            policy,
            ..Settings::default()
        };
        Self::new(1, settings)
    }

    pub(crate) fn one() -> Self {
        Self::new(1, Settings::default())
    }

    /// Feeds a shard, and then everyone who got mail.
    pub(crate) fn input(&mut self, shard: usize, input: Input<'_>) {
        self.shards[shard].handle(self.now, input);
        self.effects(shard);
        while let Some((from, to, letter)) = self.mail.pop_front() {
            if (self.lose)(&letter) {
                self.shards[usize::from(from.0)].undelivered(to, letter);
                self.effects(usize::from(from.0));
            } else {
                let to = usize::from(to.0);
                self.shards[to].handle(self.now, Input::Letter { from, letter });
                self.effects(to);
            }
        }
    }

    fn effects(&mut self, shard: usize) {
        let from = ShardId(shard as u16);
        while let Some(effect) = self.shards[shard].poll_effect() {
            match effect {
                Effect::Respond { exchange, reply } => {
                    if reply.streamed {
                        let known = self.bodies.insert(exchange, Body::default());
                        assert!(known.is_none(), "one response an exchange");
                    }
                    self.replies.push((exchange, reply));
                }
                Effect::Data { exchange, data } => {
                    let body = self.bodies.get_mut(&exchange).expect("the head goes first");
                    assert!(!data.is_empty() && !body.ended);
                    body.bursts.push(data.to_vec());
                }
                Effect::End { exchange } => {
                    let body = self.bodies.get_mut(&exchange).expect("the head goes first");
                    assert!(!std::mem::replace(&mut body.ended, true), "it ends once");
                }
                Effect::Continue { exchange } => self.continued.push(exchange),
                Effect::Abort { exchange } => self.aborted.push(exchange),
                Effect::Move { exchange, to } => self.moved.push((exchange, to)),
                Effect::Post { to, letter } => self.mail.push_back((from, to, letter)),
                Effect::Drained => self.drained += 1,
            }
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(50) {
            let step = 50.min(ms);
            self.now.mono = self.now.mono.plus_ms(step);
            self.now.wall.0 += step as i64 * 1000;
            for shard in 0..self.shards.len() {
                self.input(shard, Input::Tick);
            }
        }
    }

    pub(crate) fn open_at(
        &mut self,
        shard: usize,
        method: Method,
        target: &str,
        body: BodyLength,
        fields: Fields<'_>,
    ) -> ExchangeId {
        let exchange = ExchangeId(self.next);
        self.next += 1;
        let request = Request {
            method,
            target,
            body,
            close: false,
            expect_continue: fields.expect_continue,
            accept_gzip: false,
            if_none_match: fields.if_none_match,
            range: fields.range,
            if_range: None,
            content_range: fields.content_range,
            content_encoding: fields.content_encoding,
            authorization: fields.authorization,
            user_agent: None,
            raw: &[],
        };
        let input = Input::Request {
            exchange,
            request: &request,
        };
        self.input(shard, input);
        exchange
    }

    /// An upload begins at the first shard.
    pub(crate) fn put(&mut self, target: &str) -> ExchangeId {
        self.open_at(
            0,
            Method::Put,
            target,
            BodyLength::Chunked,
            Fields::default(),
        )
    }

    /// An upload by POST whose body comes in pieces.
    pub(crate) fn open_post(&mut self, target: &str) -> ExchangeId {
        let none = Fields::default();
        self.open_at(0, Method::Post, target, BodyLength::Chunked, none)
    }

    pub(crate) fn body(&mut self, exchange: ExchangeId, data: &[u8]) {
        self.input(0, Input::Body { exchange, data });
    }

    pub(crate) fn end(&mut self, exchange: ExchangeId) -> Option<Answer> {
        self.input(0, Input::BodyEnd { exchange });
        self.answer(exchange)
    }

    /// A whole upload, in pieces of 1000 bytes.
    pub(crate) fn upload(&mut self, target: &str, body: &[u8]) -> Option<Answer> {
        let exchange = self.put(target);
        for piece in body.chunks(1_000) {
            self.body(exchange, piece);
        }
        self.end(exchange)
    }

    pub(crate) fn get_at(&mut self, shard: usize, target: &str, fields: Fields<'_>) -> ExchangeId {
        self.open_at(shard, Method::Get, target, BodyLength::None, fields)
    }

    /// A GET that is answered at once.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        let exchange = self.get_at(0, target, Fields::default());
        self.answer(exchange).expect("answered at once")
    }

    /// A POST without a body that is answered at once.
    #[track_caller]
    pub(crate) fn post(&mut self, target: &str, fields: Fields<'_>) -> Answer {
        let exchange = self.open_at(0, Method::Post, target, BodyLength::None, fields);
        self.answer(exchange).expect("answered at once")
    }

    /// The answer to an exchange, if it has been given; never a second one.
    #[track_caller]
    pub(crate) fn answer(&mut self, exchange: ExchangeId) -> Option<Answer> {
        let mut own = self.replies.iter().filter(|(of, _)| *of == exchange);
        let found = own.next().map(|(_, reply)| Answer::of(reply));
        assert!(own.next().is_none(), "one answer an exchange");
        self.replies.retain(|(of, _)| *of != exchange);
        found
    }
}

impl Process {
    /// What has come of a streamed body since it was last looked at.
    #[track_caller]
    pub(crate) fn streamed(&mut self, exchange: ExchangeId) -> Body {
        let body = self.bodies.get_mut(&exchange).expect("it is streamed");
        let bursts = std::mem::take(&mut body.bursts);
        Body { bursts, ..*body }
    }

    /// The peer leaves.
    pub(crate) fn leave(&mut self, shard: usize, exchange: ExchangeId) {
        self.input(shard, Input::Gone { exchange });
    }
}

/// A source of chunks of 0.2 s with a keyframe every 2 s.
#[derive(Clone)]
pub(crate) struct Camera {
    pub(crate) spec: Spec,
    pub(crate) made: u64,
    /// For the next chunk.
    pub(crate) messages: Vec<Message>,
}

impl Camera {
    pub(crate) fn new() -> Self {
        Self {
            spec: Spec::video(90_000),
            made: 0,
            messages: Vec::new(),
        }
    }

    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        self.frames(5)
    }

    /// A chunk of so many frames, 25 of them a second.
    pub(crate) fn frames(&mut self, count: u64) -> Vec<u8> {
        let frames = (self.made..self.made + count).map(|at| Frame {
            ticks: 3_600,
            sync: at.is_multiple_of(50),
            cts: 0,
            bytes: (40, at as u8),
        });
        let fragment = Fragment {
            time: self.made * 3_600,
            messages: std::mem::take(&mut self.messages),
            frames: frames.collect(),
            ..Fragment::default()
        };
        self.made += count;
        fragment.bytes(self.spec.id)
    }

    /// A whole segment.
    pub(crate) fn segment(&mut self) -> Vec<u8> {
        (0..10).flat_map(|_| self.chunk()).collect()
    }
}

/// An endless upload to `target` that has brought `ms` of media.
pub(crate) fn endless(
    process: &mut Process,
    target: &str,
    camera: &mut Camera,
    ms: u64,
) -> ExchangeId {
    let exchange = process.put(target);
    process.body(exchange, &camera.spec.bytes());
    stream(process, exchange, camera, ms);
    exchange
}

/// Goes on for `ms`.
pub(crate) fn stream(process: &mut Process, exchange: ExchangeId, camera: &mut Camera, ms: u64) {
    for _ in 0..ms / 200 {
        process.pass(200);
        process.body(exchange, &camera.chunk());
    }
}

/// The URIs of a playlist's lines that begin with `tag`.
pub(crate) fn uris(text: &str, tag: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with(tag));
    let uri = |line: &str| {
        let (_, rest) = line.split_once("URI=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    lines.filter_map(uri).collect()
}
