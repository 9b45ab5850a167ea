//! Ten thousand players who wait for the next segment and leave: nothing of
//! them stays with the process.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PLAYERS: usize = 10_000;
/// How long the process has to forget them, on a machine where they all connect
/// in as much; a slower one has as long as connecting took.
const FORGET_MS_MAX: u128 = 1_000;
/// The clock of the audio runs this many times slower, and so its 16 s last for
/// a segment: nobody is held any more once the encoder has been silent for one
/// and a half of those, and that must last for all rounds.
const SLOWER: u32 = 4;
/// What the process may keep of the first round for the next: tables grown to
/// this many connections, and buffers it had not touched before.
const FIRST_ROUND_BYTES_MAX: u64 = 16 << 20;
/// What all further rounds together may add. They find that in place, but the
/// kernel deals the players out to the cores a little otherwise each time.
const FURTHER_BYTES_MAX: u64 = 512 << 10;
/// Enough for a leak of a few words a player to stand out.
const FURTHER_ROUNDS: usize = 3;

#[test]
fn parked_requests_whose_clients_leave_cost_nothing_a_second_later() {
    let needed = PLAYERS as u64 + 200;
    let limit = rlimit::increase_nofile_limit(needed).expect("the limit can be read");
    assert!(
        limit >= needed,
        "{needed} descriptors are needed, the hard limit is {limit}"
    );
    let origin = Origin::start();
    origin.push(
        "/ingest/c/audio.cmfa",
        &slowed(include_bytes!("../fixtures/demo/audio.cmfa")),
    );
    let target = origin.next_segment("/live/c/audio.m3u8");
    let before = origin.settled();
    let mut over_ms = origin.park_and_leave(&target, false, &before);
    let first = origin.settled();
    for round in 0..FURTHER_ROUNDS {
        over_ms = over_ms.min(origin.park_and_leave(&target, round % 2 == 0, &first));
    }
    let last = origin.settled();
    let first_grown = first.resident_bytes.saturating_sub(before.resident_bytes);
    let grown = last.resident_bytes.saturating_sub(first.resident_bytes);
    println!("memory: {first_grown} bytes more after one round, then {grown} more");
    assert!(
        first_grown <= FIRST_ROUND_BYTES_MAX,
        "{first_grown} bytes stay"
    );
    assert!(grown <= FURTHER_BYTES_MAX, "{grown} bytes more stay");
    // Other tests share the processors: the round that had them to itself counts.
    assert!(over_ms == 0, "it took {over_ms} ms too long");
}

/// `headwater serve`, ended when dropped.
struct Origin {
    child: Child,
    address: SocketAddr,
}

/// What a process holds when nobody is connected.
#[derive(Debug)]
struct Footprint {
    descriptors: usize,
    resident_bytes: u64,
}

impl Origin {
    fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = address.expect("a free port");
        let child = Command::new(env!("CARGO_BIN_EXE_headwater"))
            .args([
                "serve",
                "--segment-ms",
                "30000",
                "--listen",
                &address.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let origin = Self { child, address };
        wait("the origin", || {
            TcpStream::connect(address).is_ok()
                && origin.get("/healthz").starts_with("HTTP/1.1 200")
        });
        origin
    }

    /// Uploads a whole file of media.
    fn push(&self, target: &str, media: &[u8]) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let head = format!(
            "PUT {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            media.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        stream.write_all(media).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }

    /// A reload that waits for the next whole segment of a playlist.
    fn next_segment(&self, playlist: &str) -> String {
        let text = self.get(playlist);
        let first: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")?.parse().ok())
            .unwrap_or_else(|| panic!("a playlist, not {text}"));
        let whole = text.matches("#EXTINF").count() as u64;
        assert!(text.contains("#EXT-X-TARGETDURATION:30"), "{text}");
        format!("{playlist}?_HLS_msn={}", first + whole)
    }

    /// Lets all players ask for `target`, sees them parked, and lets them go.
    /// Returns by how many milliseconds it took too long until nothing of them
    /// was left.
    fn park_and_leave(&self, target: &str, by_reset: bool, before: &Footprint) -> u128 {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let began = Instant::now();
        let players: Vec<TcpStream> = (0..PLAYERS)
            .map(|_| {
                let mut player = TcpStream::connect(self.address).expect("it listens");
                player.write_all(request.as_bytes()).expect("it reads");
                player
            })
            .collect();
        wait("all parked", || {
            self.gauge("parked") == PLAYERS && self.gauge("connections") >= PLAYERS
        });
        let parking_ms = began.elapsed().as_millis();
        assert!(self.descriptors() >= before.descriptors + PLAYERS);
        if by_reset {
            for player in &players {
                let socket = socket2::SockRef::from(player);
                socket.set_linger(Some(Duration::ZERO)).expect("a socket");
            }
        }
        drop(players);
        let gone = Instant::now();
        wait("all forgotten", || {
            self.gauge("parked") == 0 && self.is_alone() && self.descriptors() <= before.descriptors
        });
        let took_ms = gone.elapsed().as_millis();
        println!("parked in {parking_ms} ms, forgotten in {took_ms} ms, by reset: {by_reset}");
        took_ms.saturating_sub(FORGET_MS_MAX.max(parking_ms))
    }

    /// The footprint once no connection is left.
    fn settled(&self) -> Footprint {
        let mut last = usize::MAX;
        wait("the connections to close", || {
            let now = self.descriptors();
            std::mem::replace(&mut last, now) == now && self.is_alone()
        });
        wait("the last descriptor to close", || {
            self.descriptors() <= last
        });
        let resident_bytes = self.resident();
        Footprint {
            descriptors: last,
            resident_bytes,
        }
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let resident_kib: u64 = status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .expect("a figure");
        resident_kib * 1024
    }

    fn descriptors(&self) -> usize {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        folder.expect("it runs").count()
    }

    /// Whether no connection is left but the one that asks, which is counted or
    /// not yet.
    fn is_alone(&self) -> bool {
        self.gauge("connections") <= 1
    }

    /// A gauge of the origin, summed over its cores.
    fn gauge(&self, name: &str) -> usize {
        let start = format!("headwater_{name}{{");
        let metrics = self.get("/metrics");
        let values = metrics.lines().filter(|line| line.starts_with(&start));
        values
            .map(|line| {
                line.rsplit(' ')
                    .next()
                    .expect("a value")
                    .parse::<usize>()
                    .expect("a count")
            })
            .sum()
    }

    /// GET on a connection of its own: head and body.
    fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CMAF audio whose ticks last [`SLOWER`] times as long.
fn slowed(media: &[u8]) -> Vec<u8> {
    let mut slowed = media.to_vec();
    let mdhd = media.windows(4).position(|name| name == b"mdhd");
    // Version and flags, two times of 32 bits, timescale (ISO/IEC 14496-12
    // section 8.4.2).
    let at = mdhd.expect("a header of media") + 4;
    assert_eq!(media[at], 0, "times of 32 bits");
    let scale: &mut [u8; 4] = (&mut slowed[at + 12..at + 16]).try_into().expect("four");
    *scale = (u32::from_be_bytes(*scale) / SLOWER).to_be_bytes();
    slowed
}

#[track_caller]
fn wait(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "never came: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
