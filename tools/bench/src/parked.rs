//! Players that wait for the next part: headwater and a bare loop in turn.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use headwater_load::media::{Shape, Track};
use headwater_load::push::{Pusher, Upload};

use crate::Options;
use crate::machine;
use crate::players::{Fleet, next_part};
use crate::servers::{Server, get};
use crate::stats::{max, min, quantile};

/// Parts of one second instead of 200 ms: on two cores shared with the players,
/// all of them have asked again well before the next part.
const SLOWER: u32 = 5;
const WINDOW_S: u32 = 60;
const HEAD_START: Duration = Duration::from_secs(60);
/// From the last request to the next part, at least.
const PARKING: Duration = Duration::from_millis(400);
/// A part that has not reached everyone by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);
const PORT: u16 = 18_082;
const PLAYLIST: &str = "/live/bench/video.m3u8";

/// Requests before memory is looked at: receive buffers of a core are a fixed
/// pool that the kernel goes through in turn, whoever asks.
const WARM_UP_ROUNDS: usize = 100;
const WARM_UP_PLAYERS: usize = 100;

/// One part sent to all players.
pub(crate) struct Part {
    pub(crate) pair: usize,
    pub(crate) server: &'static str,
    pub(crate) number: usize,
    pub(crate) reply_bytes: usize,
    pub(crate) first_us: f64,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) last_us: f64,
    /// The server's processor time from these requests to the last reply, a
    /// player.
    pub(crate) server_cpu_us: f64,
}

/// Memory of one run of headwater, in bytes of the process.
pub(crate) struct Memory {
    pub(crate) pair: usize,
    /// Before the first player ever asked.
    pub(crate) cold: u64,
    /// With nobody connected, after 10,000 requests of 100 players.
    pub(crate) idle: u64,
    pub(crate) connected: u64,
    pub(crate) parked: u64,
    /// Parked again, after all parts of the run.
    pub(crate) parked_last: u64,
}

/// All parts and the memory of each run.
pub(crate) fn measure(options: &Options) -> io::Result<(Vec<Part>, Vec<Memory>)> {
    let (mut parts, mut memory) = (Vec::new(), Vec::new());
    for pair in 0..options.parked_pairs {
        let server = Server::headwater(&options.headwater, PORT, WINDOW_S)?;
        let (found, reply) = run(options, pair, &server, Some(&mut memory))?;
        parts.extend(found);
        drop(server);
        let file = options.scratch.join("reply");
        fs::write(&file, reply)?;
        let server = Server::floor(&file, PORT)?;
        let (found, _) = run(options, pair, &server, None)?;
        parts.extend(found);
    }
    Ok((parts, memory))
}

/// One server through all its parts. `memory` is given for headwater alone.
fn run(
    options: &Options,
    pair: usize,
    server: &Server,
    mut memory: Option<&mut Vec<Memory>>,
) -> io::Result<(Vec<Part>, Vec<u8>)> {
    let shape = Shape {
        chunk_bytes: 0,
        slower: SLOWER,
    };
    let track = Track::read(&options.media, shape).map_err(io::Error::other)?;
    let mut pusher = Pusher::start(Upload::new(
        server.address,
        "bench",
        "video.cmfv",
        track,
        HEAD_START,
    ))?;
    let is_floor = memory.is_none();
    for _ in 0..2 {
        pusher.push()?;
    }
    std::thread::sleep(Duration::from_millis(200));
    let resident = || machine::resident_bytes(server.pid);
    let cold = resident();
    if !is_floor {
        warm_up(server)?;
    }
    let idle = resident();
    let mut fleet = Fleet::connect(server.address, options.players)?;
    std::thread::sleep(PARKING);
    let connected = resident();
    // What came due in the meantime goes first, so that the next part is not
    // pushed before everyone has asked for it.
    while pusher.wait_us() == 0 {
        pusher.push()?;
    }
    let mut target = if is_floor {
        PLAYLIST.to_owned()
    } else {
        blocking_target(&get(server.address, PLAYLIST)?.1)?
    };
    let (mut parts, mut reply) = (Vec::new(), Vec::new());
    for number in 0..=options.parts {
        let before_s = machine::process_cpu_s(server.pid);
        fleet.ask(&target)?;
        std::thread::sleep(PARKING);
        if fleet.has_early_reply()? {
            return Err(io::Error::other(format!("{target} was not held")));
        }
        match memory.as_deref_mut() {
            Some(memory) if number == 0 => memory.push(Memory {
                pair,
                cold,
                idle,
                connected,
                parked: resident(),
                parked_last: 0,
            }),
            Some(memory) if number == options.parts => {
                memory.last_mut().expect("pushed first").parked_last = resident();
            }
            _ => {}
        }
        if number == options.parts {
            break;
        }
        let start = pusher.push()?;
        let round = fleet.collect(start, Instant::now() + PATIENCE)?;
        if round.latency_us.len() < options.players {
            return Err(io::Error::other(format!(
                "{target}: {} of {} players were answered",
                round.latency_us.len(),
                options.players
            )));
        }
        let cpu_s = machine::process_cpu_s(server.pid) - before_s;
        let us = &round.latency_us;
        let part = Part {
            pair,
            server: if is_floor { "bare loop" } else { "headwater" },
            number,
            reply_bytes: round.reply.len(),
            first_us: min(us),
            median_us: quantile(us, 0.5),
            p99_us: quantile(us, 0.99),
            last_us: max(us),
            server_cpu_us: cpu_s * 1e6 / options.players as f64,
        };
        eprintln!(
            "parked {pair} {}: {target}: median {:.1} ms, last {:.1} ms",
            part.server,
            part.median_us / 1e3,
            part.last_us / 1e3
        );
        parts.push(part);
        if !is_floor {
            target = blocking_target(&round.reply)?;
        }
        reply = round.reply;
    }
    Ok((parts, reply))
}

fn warm_up(server: &Server) -> io::Result<()> {
    let mut fleet = Fleet::connect(server.address, WARM_UP_PLAYERS)?;
    for _ in 0..WARM_UP_ROUNDS {
        fleet.ask("/healthz")?;
        let now = Instant::now();
        let round = fleet.collect(now, now + PATIENCE)?;
        if round.latency_us.len() < WARM_UP_PLAYERS {
            return Err(io::Error::other("the origin does not answer any more"));
        }
    }
    Ok(())
}

/// What a player asks for that has this playlist.
fn blocking_target(playlist: &[u8]) -> io::Result<String> {
    let (msn, part) = next_part(&String::from_utf8_lossy(playlist))
        .ok_or_else(|| io::Error::other("not a media playlist"))?;
    Ok(format!("{PLAYLIST}?_HLS_msn={msn}&_HLS_part={part}"))
}
