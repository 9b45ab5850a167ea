//! The segment under way on real sockets: each chunk is out within 5 ms of its
//! last byte, bytes are those of the finished object, and what breaks off is seen
//! to break off.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

#[path = "support/encoder.rs"]
mod encoder;
mod io_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use encoder::{Fragment, Frame, Spec};
use glommio::{LocalExecutorBuilder, Placement};
use headwater::io::{Options, Server, Tuning};
use headwater::media::policy::Policy;
use headwater::shard::{Settings, Shard};
use io_support::Client;

/// Segments of 2 s from chunks of 0.2 s, two of which make a part: what is
/// measured is chunks, not parts.
const SEGMENT_CHUNKS: u64 = 10;
const CHUNK_TICKS: u64 = 18_000;
const PART_MS: u64 = 400;
/// About 20 kB a chunk, 0.8 Mbit/s.
const FRAME_BYTES: u32 = 4_000;

/// An origin and an endless upload to its channel `c`.
struct Scene {
    server: Server,
    address: SocketAddr,
    encoder: TcpStream,
    made: u64,
}

impl Scene {
    fn start(cores: usize) -> Self {
        let processors = headwater::io::processors();
        let options = Options {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            cores: (0..cores)
                .map(|core| processors[core % processors.len()])
                .collect(),
            tuning: Tuning::default(),
        };
        let policy = Policy {
            part_ms: Some(PART_MS),
            ..Policy::default()
        };
        let settings = Arc::new(Settings {
            policy,
            ..Settings::default()
        });
        let server = Server::start(options, move |identity| {
            Shard::new(identity, Arc::clone(&settings))
        });
        let server = server.expect("it starts");
        let address = server.addresses[0];
        let mut encoder = TcpStream::connect(address).expect("it listens");
        encoder.set_nodelay(true).unwrap();
        let head =
            "POST /ingest/c/v.cmfv HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        encoder.write_all(head.as_bytes()).unwrap();
        let header = Spec::video(90_000).bytes();
        encoder.write_all(&wrapped(&header)).unwrap();
        let mut scene = Self {
            server,
            address,
            encoder,
            made: 0,
        };
        for _ in 0..3 * SEGMENT_CHUNKS {
            scene.send();
        }
        scene
    }

    fn next(&mut self) -> Vec<u8> {
        let frames = (0..5).map(|at| Frame {
            ticks: 3_600,
            sync: at == 0 && self.made.is_multiple_of(SEGMENT_CHUNKS),
            cts: 0,
            bytes: (FRAME_BYTES, self.made as u8),
        });
        let fragment = Fragment {
            time: self.made * CHUNK_TICKS,
            frames: frames.collect(),
            ..Fragment::default()
        };
        self.made += 1;
        fragment.bytes(1)
    }

    /// Sends a chunk; returns when.
    fn send(&mut self) -> Instant {
        let chunk = wrapped(&self.next());
        let began = Instant::now();
        self.encoder.write_all(&chunk).expect("it is taken");
        began
    }

    /// URL of the first segment that is not whole, less its number, and that.
    fn edge(&self) -> (String, u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = Client::connect(self.address).get("/live/c/v.m3u8");
            let text = String::from_utf8(answer.body).unwrap();
            let newest = text.lines().rfind(|line| line.ends_with(".m4s"));
            if let Some((stem, msn)) = newest
                .and_then(|uri| uri.trim_end_matches(".m4s").rsplit_once("-s"))
                .filter(|(stem, _)| !stem.starts_with('#'))
            {
                let msn: u64 = msn.parse().expect("a number");
                return (format!("/live/c/{stem}-s"), msn + 1);
            }
            assert!(Instant::now() < deadline, "nothing is served: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(self) {
        drop(self.encoder);
        self.server.stop();
        self.server.join().expect("it ends well");
    }
}

/// One HTTP chunk.
fn wrapped(data: &[u8]) -> Vec<u8> {
    let line = format!("{:x}\r\n", data.len());
    [line.as_bytes(), data, b"\r\n"].concat()
}

/// Which chunks of the encoder these bytes are, going by their decode times.
fn chunks_in(data: &[u8]) -> Vec<u64> {
    let boxes = data.windows(4).enumerate();
    let tfdt = boxes.filter(|(_, name)| name == b"tfdt");
    let time = |at: usize| u64::from_be_bytes(data[at + 8..at + 16].try_into().unwrap());
    tfdt.map(|(at, _)| time(at) / CHUNK_TICKS).collect()
}

/// Bytes that one reader got at once.
struct Got {
    asked: Instant,
    at: Instant,
    data: Vec<u8>,
}

/// Follows `count` segments from `first` on, each as it grows. What came is looked
/// at later: that takes a processor from others.
fn follow(address: SocketAddr, stem: &str, first: u64, count: u64) -> Vec<Vec<Got>> {
    let mut client = Client::connect(address);
    let segment = |msn| {
        let asked = Instant::now();
        client.ask(&format!("{stem}{msn}.m4s"));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        // A reader that was held up finds it whole.
        let whole = head.contains("\r\nContent-Length:");
        if whole {
            let (data, at) = (client.body(&head), Instant::now());
            return vec![Got { asked, at, data }];
        }
        assert!(
            head.contains("\r\nTransfer-Encoding: chunked\r\n"),
            "{head}"
        );
        let burst = || {
            let data = client.burst();
            let at = Instant::now();
            (!data.is_empty()).then_some(Got { asked, at, data })
        };
        std::iter::from_fn(burst).collect()
    };
    (first..first + count).map(segment).collect()
}

/// What the machine itself takes: a loop that is bound to one processor, as a core
/// of the origin is, passes messages of `len` bytes on to as many sockets.
struct Relay {
    near: TcpStream,
    arrivals: Receiver<Instant>,
}

impl Relay {
    fn start(len: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || {
            let near = TcpStream::connect(address).unwrap();
            let (far, _) = listener.accept().unwrap();
            for socket in [&near, &far] {
                socket.set_nodelay(true).unwrap();
            }
            (near, far)
        };
        let (near, mut from) = connect();
        let (arrived, arrivals) = channel();
        let outs = (0..READERS).map(|_| {
            let (to, mut reader) = connect();
            let arrived = arrived.clone();
            std::thread::spawn(move || {
                let mut message = vec![0; len];
                while reader.read_exact(&mut message).is_ok() {
                    arrived.send(Instant::now()).unwrap();
                }
            });
            to
        });
        let mut outs: Vec<_> = outs.collect();
        let placement = Placement::Fixed(headwater::io::processors()[0]);
        let executor = LocalExecutorBuilder::new(placement);
        let passing = executor.spawn(move || async move {
            let mut message = vec![0; len];
            while from.read_exact(&mut message).is_ok() {
                for to in &mut outs {
                    to.write_all(&message).expect("it is read");
                }
            }
        });
        passing.expect("an executor");
        Self { near, arrivals }
    }

    /// How long a message takes to each reader.
    fn pass(&mut self, message: &[u8]) -> Vec<Duration> {
        let began = Instant::now();
        self.near.write_all(message).unwrap();
        let arrived = |_| self.arrivals.recv().unwrap() - began;
        (0..READERS).map(arrived).collect()
    }
}

/// The 99th percentile of a usual stretch: the median of those of all stretches,
/// so that a moment in which the machine does something else says nothing.
fn p99(samples: &[(usize, Duration)]) -> Duration {
    let mut stretches = vec![Vec::new(); STRETCHES];
    for (chunk, took) in samples {
        stretches[(chunk / STRETCH_CHUNKS).min(STRETCHES - 1)].push(*took);
    }
    let mut worst: Vec<_> = stretches
        .into_iter()
        .filter(|stretch| stretch.len() >= 100)
        .map(|mut stretch| {
            stretch.sort();
            stretch[stretch.len() * 99 / 100]
        })
        .collect();
    assert!(worst.len() > STRETCHES / 2, "most of it is seen");
    worst.sort();
    worst[worst.len() / 2]
}

const READERS: usize = 8;
const SEGMENTS: u64 = 45;
const STRETCHES: usize = 9;
const STRETCH_CHUNKS: usize = SEGMENTS as usize * SEGMENT_CHUNKS as usize / STRETCHES;

/// D3, and the bound of the design on it. What the machine adds where it is busy
/// with other things is seen from a relay, in turn with the chunks.
#[test]
fn a_chunk_is_out_within_5_ms_of_its_last_byte_on_every_core() {
    let mut scene = Scene::start(2);
    let (stem, first) = scene.edge();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (address, stem) = (scene.address, stem.clone());
            std::thread::spawn(move || follow(address, &stem, first, SEGMENTS))
        })
        .collect();
    let message = wrapped(&scene.next());
    scene.made -= 1;
    let mut relay = Relay::start(message.len());
    let (mut sent, mut relayed) = (Vec::new(), Vec::new());
    let begins = scene.made;
    for chunk in 0..(SEGMENTS + 1) * SEGMENT_CHUNKS {
        std::thread::sleep(Duration::from_millis(6));
        sent.push(scene.send());
        std::thread::sleep(Duration::from_millis(6));
        let took = relay.pass(&message);
        relayed.extend(took.into_iter().map(|took| (chunk as usize, took)));
    }
    let mut took = Vec::new();
    let mut client = Client::connect(scene.address);
    for reader in readers {
        let segments = reader.join().expect("it reads on");
        for (msn, bursts) in (first..).zip(segments) {
            let whole = client.get(&format!("{stem}{msn}.m4s"));
            let body: Vec<u8> = bursts.iter().flat_map(|got| got.data.clone()).collect();
            assert!(whole.status == 200 && whole.body == body, "segment {msn}");
            took.extend(bursts.iter().filter_map(|got| {
                let [chunk] = chunks_in(&got.data)[..] else {
                    return None;
                };
                let chunk = usize::try_from(chunk.checked_sub(begins)?).ok()?;
                let sent = *sent.get(chunk)?;
                // Who asked when it was there already got it with the head.
                (got.asked < sent).then(|| (chunk, got.at.saturating_duration_since(sent)))
            }));
        }
    }
    let (took, relayed) = (p99(&took), p99(&relayed));
    println!("p99 from last byte in to last byte out: {took:?}; through a relay: {relayed:?}");
    assert!(
        took <= Duration::from_millis(5) + relayed,
        "p99 {took:?}, where a relay has {relayed:?}"
    );
    scene.end();
}

#[test]
fn d4_a_killed_upload_is_seen_on_the_wire_to_break_off() {
    let mut scene = Scene::start(2);
    let (stem, msn) = scene.edge();
    scene.send();
    let readers = ["HTTP/1.1", "HTTP/1.0"].map(|version| {
        let mut reader = TcpStream::connect(scene.address).unwrap();
        let timeout = Some(Duration::from_secs(20));
        reader.set_read_timeout(timeout).unwrap();
        let request = format!("GET {stem}{msn}.m4s {version}\r\nHost: a\r\n\r\n");
        reader.write_all(request.as_bytes()).unwrap();
        (reader, version)
    });
    let mut waiting = readers.map(|(mut reader, version)| {
        let mut got = vec![0; 100_000];
        let mut len = 0;
        while !got[..len].windows(4).any(|name| name == b"mdat") {
            len += reader.read(&mut got[len..]).expect("it comes");
        }
        got.truncate(len);
        (reader, version, got)
    });
    let chunk = scene.next();
    let half = wrapped(&chunk);
    scene.encoder.write_all(&half[..half.len() / 2]).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    scene.encoder.shutdown(std::net::Shutdown::Both).unwrap();
    for (reader, version, got) in &mut waiting {
        let mut byte = [0; 64 * 1024];
        // An orderly end is the end of the body in HTTP/1.0.
        let error = loop {
            match reader.read(&mut byte) {
                Ok(0) => break None,
                Ok(len) => got.extend(&byte[..len]),
                Err(error) => break Some(error.kind()),
            }
        };
        assert_eq!(error, Some(ErrorKind::ConnectionReset), "{version}");
        assert!(
            !got.ends_with(b"\r\n0\r\n\r\n"),
            "{version}: no final chunk"
        );
    }
    scene.end();
}
