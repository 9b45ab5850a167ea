//! A small core to drive the shell with, and a client on blocking sockets.
#![allow(dead_code)]

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use headwater::http::reply::{Cache, Reply, ReplyBuilder};
use headwater::io::{Core, Options, Server, Tuning};
use headwater::media::rope::Rope;
use headwater::metrics::ShellCounters;
use headwater::shard::{Effect, ExchangeId, Identity, Input, Letter, ShardId};
use headwater::time::{Mono, Now, Wall};

/// What the cores of a test have seen, summed over all of them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    pub(crate) ends: AtomicU64,
    pub(crate) gone: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) letters: AtomicU64,
    pub(crate) undelivered: AtomicU64,
    pub(crate) ticks: AtomicU64,
    pub(crate) counters: Mutex<BTreeMap<u16, ShellCounters>>,
}

impl Seen {
    pub(crate) fn counter(&self, of: impl Fn(&ShellCounters) -> u64) -> u64 {
        self.counters.lock().unwrap().values().map(of).sum()
    }

    /// Waits until `is` holds; fails the test when it does not in time.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&Self) -> bool) {
        for _ in 0..5000 {
            if is(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("never came: {what}; {self:?}");
    }
}

/// Answers by path:
/// `/small`, `/size/N` (N bytes of a pattern), `/pieces/N` (in pieces of 5000),
/// `/echo` (the body back), `/sum` (length and checksum of the body),
/// `/park` (until `/wake`), `/wake`, `/timer/MS`, `/abort`,
/// `/stream` (until `/end` or `/break`), `/burst/N` (N bytes to all streams),
/// `/move/CORE/...` (there, then as the rest says), `/post/N` (N letters to
/// every other core and back, answered when all are back).
pub(crate) struct Script {
    identity: Identity,
    seen: Arc<Seen>,
    now: Now,
    effects: VecDeque<Effect>,
    bodies: BTreeMap<ExchangeId, Upload>,
    parked: Vec<ExchangeId>,
    streams: Vec<ExchangeId>,
    timers: BTreeMap<(Mono, ExchangeId), ()>,
    posts: BTreeMap<u64, (ExchangeId, u64)>,
    small: Rc<Reply>,
    draining: bool,
}

struct Upload {
    echo: bool,
    bytes: Vec<u8>,
    len: u64,
    sum: u64,
}

/// FNV-1a, fed byte by byte.
pub(crate) fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// Bytes of the longest pattern.
const PATTERN_BYTES: usize = 32 << 20;

/// The first bytes of the one pattern there is.
pub(crate) fn pattern(len: usize) -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let make = || {
        (0..PATTERN_BYTES)
            .map(|at| (at * 31 + at / 251) as u8)
            .collect()
    };
    &PATTERN.get_or_init(make)[..len]
}

impl Script {
    pub(crate) fn new(identity: Identity, seen: Arc<Seen>) -> Self {
        let small = ReplyBuilder::new(200)
            .cache(Cache::MaxAge(1))
            .body(Rope::from(vec![b'x'; 100]), "text/plain")
            .finish(Wall(0));
        Self {
            identity,
            seen,
            now: Now::default(),
            effects: VecDeque::new(),
            bodies: BTreeMap::new(),
            parked: Vec::new(),
            streams: Vec::new(),
            timers: BTreeMap::new(),
            posts: BTreeMap::new(),
            small: Rc::new(small),
            draining: false,
        }
    }

    fn respond(&mut self, exchange: ExchangeId, body: Rope) {
        let reply = ReplyBuilder::new(200)
            .body(body, "application/octet-stream")
            .finish(Wall(0));
        self.effects.push_back(Effect::Respond {
            exchange,
            reply: Rc::new(reply),
        });
    }

    fn request(&mut self, exchange: ExchangeId, target: &str, has_body: bool, expects: bool) {
        let parts: Vec<&str> = target.trim_start_matches('/').split('/').collect();
        if expects {
            self.effects.push_back(Effect::Continue { exchange });
        }
        match parts[..] {
            ["move", core, ref rest @ ..] => {
                let to = ShardId(core.parse().expect("a core"));
                if to == self.identity.id {
                    let rest = format!("/{}", rest.join("/"));
                    self.request(exchange, &rest, has_body, false);
                } else {
                    self.effects.push_back(Effect::Move { exchange, to });
                }
            }
            ["small"] => {
                let reply = self.small.clone();
                self.effects.push_back(Effect::Respond { exchange, reply });
            }
            ["size", len] => {
                let body = pattern(len.parse().expect("a length"));
                self.respond(exchange, bytes::Bytes::from_static(body).into());
            }
            ["pieces", len] => {
                let body = bytes::Bytes::from_static(pattern(len.parse().expect("a length")));
                let mut rope = Rope::new();
                for at in (0..body.len()).step_by(5000) {
                    rope.push(body.slice(at..body.len().min(at + 5000)));
                }
                self.respond(exchange, rope);
            }
            ["park"] => {
                self.parked.push(exchange);
                self.seen.parked.fetch_add(1, Ordering::SeqCst);
            }
            ["wake"] => {
                for parked in std::mem::take(&mut self.parked) {
                    let reply = self.small.clone();
                    self.effects.push_back(Effect::Respond {
                        exchange: parked,
                        reply,
                    });
                }
                self.respond(exchange, Rope::new());
            }
            ["timer", ms] => {
                let at = self.now.mono.plus_ms(ms.parse().expect("a span"));
                self.timers.insert((at, exchange), ());
            }
            ["stream"] => {
                let head = ReplyBuilder::streamed(200, "video/mp4").finish(Wall(0));
                let reply = Rc::new(head);
                self.effects.push_back(Effect::Respond { exchange, reply });
                self.streams.push(exchange);
                self.seen.parked.fetch_add(1, Ordering::SeqCst);
            }
            ["burst", len] => {
                let burst = pattern(len.parse().expect("a length"));
                let data = Rc::new(Rope::from(bytes::Bytes::from_static(burst)));
                for exchange in self.streams.clone() {
                    let data = Rc::clone(&data);
                    self.effects.push_back(Effect::Data { exchange, data });
                }
                self.respond(exchange, Rope::new());
            }
            [how @ ("end" | "break")] => {
                for exchange in std::mem::take(&mut self.streams) {
                    self.effects.push_back(match how {
                        "end" => Effect::End { exchange },
                        _ => Effect::Abort { exchange },
                    });
                }
                self.respond(exchange, Rope::new());
            }
            ["abort"] => self.effects.push_back(Effect::Abort { exchange }),
            ["post", count] => {
                let count: u64 = count.parse().expect("a count");
                self.posts.insert(exchange.0, (exchange, count));
                for _ in 0..count {
                    let to = ShardId((self.identity.id.0 + 1) % self.identity.count);
                    let letter = Letter::Gather { ticket: exchange.0 };
                    self.effects.push_back(Effect::Post { to, letter });
                }
            }
            [kind @ ("echo" | "sum")] if has_body => {
                let echo = kind == "echo";
                let upload = Upload {
                    echo,
                    bytes: Vec::new(),
                    len: 0,
                    sum: SEED,
                };
                self.bodies.insert(exchange, upload);
            }
            _ => {
                let reply = Rc::new(Reply::text(404, "no such script", Wall(0)));
                self.effects.push_back(Effect::Respond { exchange, reply });
            }
        }
    }

    fn letter(&mut self, from: ShardId, letter: Letter) {
        self.seen.letters.fetch_add(1, Ordering::SeqCst);
        match letter {
            Letter::Gather { ticket } => {
                let report = Box::default();
                let letter = Letter::Gathered { ticket, report };
                self.effects.push_back(Effect::Post { to: from, letter });
            }
            Letter::Gathered { ticket, .. } => {
                let (exchange, left) = self.posts.get_mut(&ticket).expect("a post is open");
                *left -= 1;
                if *left == 0 {
                    let exchange = *exchange;
                    self.posts.remove(&ticket);
                    self.respond(exchange, Rope::new());
                }
            }
            Letter::Drain => {
                self.draining = true;
                for exchange in std::mem::take(&mut self.parked) {
                    let reply = Rc::new(Reply::text(503, "stopping", Wall(0)));
                    self.effects.push_back(Effect::Respond { exchange, reply });
                }
                for exchange in std::mem::take(&mut self.streams) {
                    self.effects.push_back(Effect::Abort { exchange });
                }
                self.effects.push_back(Effect::Drained);
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Core for Script {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        assert!(
            self.effects.is_empty(),
            "effects are taken before the next input"
        );
        assert!(now.mono >= self.now.mono, "time goes forward");
        self.now = now;
        match input {
            Input::Request { exchange, request } => {
                self.seen.requests.fetch_add(1, Ordering::SeqCst);
                let has_body = request.body != headwater::http::request::BodyLength::None;
                self.request(exchange, request.target, has_body, request.expect_continue);
            }
            Input::Body { exchange, data } => {
                self.seen
                    .body_bytes
                    .fetch_add(data.len() as u64, Ordering::SeqCst);
                if let Some(upload) = self.bodies.get_mut(&exchange) {
                    upload.len += data.len() as u64;
                    upload.sum = checksum(upload.sum, data);
                    if upload.echo {
                        upload.bytes.extend_from_slice(data);
                    }
                }
            }
            Input::BodyEnd { exchange } => {
                self.seen.ends.fetch_add(1, Ordering::SeqCst);
                if let Some(upload) = self.bodies.remove(&exchange) {
                    let body = match upload.echo {
                        true => upload.bytes,
                        false => format!("{} {:016x}", upload.len, upload.sum).into_bytes(),
                    };
                    self.respond(exchange, body.into());
                }
            }
            Input::Gone { exchange } => {
                self.seen.gone.fetch_add(1, Ordering::SeqCst);
                self.bodies.remove(&exchange);
                self.parked.retain(|parked| *parked != exchange);
                self.streams.retain(|stream| *stream != exchange);
                self.timers.retain(|(_, timer), ()| *timer != exchange);
            }
            Input::Letter { from, letter } => self.letter(from, letter),
            Input::Tick => {
                self.seen.ticks.fetch_add(1, Ordering::SeqCst);
                while let Some(entry) = self.timers.first_entry() {
                    let (at, exchange) = *entry.key();
                    if at > now.mono {
                        break;
                    }
                    entry.remove();
                    self.respond(exchange, Rope::new());
                }
            }
        }
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.timers.first_key_value().map(|((at, _), ())| *at)
    }

    fn undelivered(&mut self, _to: ShardId, _letter: Letter) {
        self.seen.undelivered.fetch_add(1, Ordering::SeqCst);
    }

    fn note_shell(&mut self, counters: &ShellCounters) {
        self.seen
            .counters
            .lock()
            .unwrap()
            .insert(self.identity.id.0, *counters);
    }
}

/// A shell on a port of its own, driving scripts.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

impl Stage {
    pub(crate) fn start(cores: usize, tuning: Tuning) -> Self {
        let processors = headwater::io::processors();
        let cores = (0..cores)
            .map(|core| processors[core % processors.len()])
            .collect();
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let seen = Arc::new(Seen::default());
        let theirs = seen.clone();
        let server = Server::start(
            Options {
                listen,
                cores,
                tuning,
            },
            move |identity| Script::new(identity, theirs.clone()),
        )
        .expect("the shell starts");
        let address = server.addresses[0];
        Self {
            server,
            address,
            seen,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn end(self) -> Arc<Seen> {
        let began = std::time::Instant::now();
        self.server.stop();
        self.server.join().expect("the shell ends well");
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "the stop took {:?}",
            began.elapsed()
        );
        self.seen
    }
}

/// One response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) close: bool,
}

/// One connection to the shell.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).unwrap();
        // Nothing here takes this long: a read that does is a hang.
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the peer reads");
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(path);
        self.answer()
    }

    pub(crate) fn ask(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    }

    pub(crate) fn put(&mut self, path: &str, body: &[u8]) -> Answer {
        let len = body.len();
        let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
        self.send(head.as_bytes());
        self.send(body);
        self.answer()
    }

    /// The head of a response; a streamed body is to be read by `burst`.
    #[track_caller]
    pub(crate) fn head(&mut self) -> String {
        let head_len = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill() > 0, "the connection ended before a response");
        };
        String::from_utf8(self.unread.drain(..head_len).collect()).unwrap()
    }

    /// The next HTTP chunk; empty at the end of the body.
    #[track_caller]
    pub(crate) fn burst(&mut self) -> Vec<u8> {
        let line_len = loop {
            if let Some(at) = self.unread.windows(2).position(|two| two == b"\r\n") {
                break at + 2;
            }
            assert!(self.fill() > 0, "the connection ended before a chunk");
        };
        let line: Vec<u8> = self.unread.drain(..line_len).collect();
        let line = std::str::from_utf8(&line[..line_len - 2]).unwrap();
        let len = usize::from_str_radix(line, 16).expect("a chunk's length");
        while self.unread.len() < len + 2 {
            assert!(self.fill() > 0, "the connection ended within a chunk");
        }
        let data: Vec<u8> = self.unread.drain(..len).collect();
        let end: Vec<u8> = self.unread.drain(..2).collect();
        assert_eq!(end, b"\r\n");
        data
    }

    /// Whether nothing comes for a while.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut byte = [0];
        let outcome = self.stream.read(&mut byte);
        self.stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        self.unread.is_empty() && outcome.is_err()
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.head();
        let status = head[9..12].parse().unwrap();
        if status == 100 {
            return Answer {
                status,
                body: Vec::new(),
                close: false,
            };
        }
        Answer {
            status,
            body: self.body(&head),
            close: field(&head, "Connection:") == Some("close"),
        }
    }

    /// The body behind a head that gives its length.
    #[track_caller]
    pub(crate) fn body(&mut self, head: &str) -> Vec<u8> {
        let len: usize = field(head, "Content-Length:").map_or(0, |len| len.parse().unwrap());
        while self.unread.len() < len {
            assert!(self.fill() > 0, "the connection ended within a response");
        }
        self.unread.drain(..len).collect()
    }

    /// Whether the peer has ended the connection in order, with nothing behind.
    pub(crate) fn is_ended(&mut self) -> bool {
        self.unread.is_empty() && self.fill() == 0
    }

    pub(crate) fn fill(&mut self) -> usize {
        let mut bytes = [0; 64 * 1024];
        let len = loop {
            match self.stream.read(&mut bytes) {
                // A timer of the process may strike any thread.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.expect("bytes come in time"),
            }
        };
        self.unread.extend_from_slice(&bytes[..len]);
        len
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines();
    let value = lines.find_map(|line| line.strip_prefix(name))?;
    Some(value.trim())
}
