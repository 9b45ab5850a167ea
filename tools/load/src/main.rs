//! A fleet of HLS players on a few threads. It follows a channel as players do
//! and reports what they saw: latencies, errors, and with `--direct` what a
//! cache before the origin adds.
// This tool is all sockets, clocks and threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod board;
mod connection;
mod fleet;
mod histogram;
mod player;
mod playlist;
mod reader;
mod response;
mod tally;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use board::Board;
use fleet::{Fleet, Plan};
use player::Mode;
use tally::Tally;

/// A fleet of HLS players on a few threads.
#[derive(Debug, Parser)]
#[command(
    name = "headwater-load",
    version,
    after_help = "Examples:\n  \
        headwater-load http://127.0.0.1:8080/live/test/index.m3u8 --players 300 --seconds 30\n  \
        headwater-load http://cache:80/live/test/index.m3u8 --direct http://origin:8080/live/test/index.m3u8\n  \
        headwater-load http://127.0.0.1:8080/live/test/video.m3u8 --players 19000 --connections 1"
)]
struct Args {
    /// A multivariant or a media playlist, by http.
    url: String,
    /// How players follow it.
    #[arg(long, value_enum, default_value_t = As::Ll)]
    mode: As,
    /// Players at once.
    #[arg(long, default_value_t = 100)]
    players: usize,
    /// How long latencies are measured, after the ramp and the warm-up.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The time over which players start.
    #[arg(long, default_value_t = 1000)]
    ramp_ms: u64,
    /// How long they play before latencies count. Errors always do.
    #[arg(long, default_value_t = 5)]
    warm_up_s: u64,
    /// Connections of a player; one does for a single media playlist.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Threads that carry the players.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The same playlist at the origin itself: one more player follows it and
    /// says when each part was published. Without it the first of the fleet does.
    #[arg(long)]
    direct: Option<String>,
    /// Where the report goes as JSON, beside the text on standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum As {
    /// Blocking reloads and parts, as hls.js in low-latency mode.
    Ll,
    /// A poll each target duration and whole segments.
    Plain,
}

/// Descriptors that are not connections.
const DESCRIPTORS_RESERVED: u64 = 64;
/// The probe's thread has an event loop of its own, so that it is not late
/// when the fleet is busy.
const PROBE_CONNECTIONS: usize = 4;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(errors) => {
            eprintln!("headwater-load: {errors} errors");
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("headwater-load: {message}");
            ExitCode::from(2)
        }
    }
}

/// Plays, reports, and returns the number of errors.
fn run(args: &Args) -> Result<u64, String> {
    let connections = args.players.saturating_mul(args.connections) + PROBE_CONNECTIONS;
    raise_descriptors(connections as u64)?;
    let plans = plans(args)?;
    let board = Arc::new(Board::default());
    let clock = Instant::now();
    let (sender, reports) = mpsc::channel();
    let mut threads = Vec::new();
    for (index, plan) in plans.iter().cloned().enumerate() {
        let (sender, board) = (sender.clone(), Arc::clone(&board));
        threads.push(std::thread::spawn(move || -> io::Result<()> {
            Fleet::new(plan, clock, board)?.run(index, &sender)
        }));
    }
    drop(sender);
    let tallies = follow(&reports, plans.len(), clock);
    for thread in threads {
        let ended = thread.join().map_err(|_| "a thread panicked".to_owned())?;
        ended.map_err(|e| e.to_string())?;
    }
    let mut all = Tally::default();
    let mut direct = Tally::default();
    for (index, tally) in &tallies {
        let into = if plans[*index].counts {
            &mut all
        } else {
            &mut direct
        };
        into.merge(tally);
    }
    print!("{}", all.text());
    println!("{} parts were published", board.len());
    if let Some(file) = &args.json {
        let mut report = all.json();
        report["parts_published"] = board.len().into();
        report["direct"] = direct.json();
        std::fs::write(file, format!("{report:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    // The times since publication are worth as much as the probe's requests.
    Ok(all.errors() + direct.errors())
}

/// Prints a line a second until all threads have ended; returns their last
/// counts.
fn follow(
    reports: &Receiver<(usize, Tally)>,
    threads: usize,
    clock: Instant,
) -> BTreeMap<usize, Tally> {
    let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
    let mut reported = 0;
    let mut requests = 0;
    for (index, tally) in reports {
        tallies.insert(index, tally);
        reported += 1;
        if reported % threads == 0 {
            let mut all = Tally::default();
            tallies.values().for_each(|tally| all.merge(tally));
            eprintln!(
                "{:>5.0} s  {} players  {} requests/s  {:.0} MB  {} errors  {} late",
                clock.elapsed().as_secs_f64(),
                all.players,
                all.requests() - requests,
                all.bytes() as f64 / 1e6,
                all.errors(),
                all.late()
            );
            requests = all.requests();
        }
    }
    tallies
}

/// What each thread does: the players in equal shares, and the probe.
fn plans(args: &Args) -> Result<Vec<Plan>, String> {
    if args.players == 0 || args.connections == 0 || args.threads == 0 {
        return Err("there must be a player, a connection and a thread".to_owned());
    }
    let (address, host, target) = locate(&args.url)?;
    let warm_us = args.ramp_ms * 1000 + args.warm_up_s * 1_000_000;
    let share = args.players.div_ceil(args.threads);
    let whole = Plan {
        address,
        host,
        target,
        mode: match args.mode {
            As::Ll => Mode::LowLatency,
            As::Plain => Mode::Plain,
        },
        players: 0..args.players,
        connections: args.connections,
        stagger_us: args.ramp_ms as f64 * 1000.0 / args.players as f64,
        warm_us,
        end_us: warm_us + args.seconds * 1_000_000,
        publishes: args.direct.is_none(),
        counts: true,
    };
    let mut plans: Vec<Plan> = (0..args.players)
        .step_by(share)
        .map(|first| Plan {
            players: first..(first + share).min(args.players),
            ..whole.clone()
        })
        .collect();
    if let Some(direct) = &args.direct {
        let (address, host, target) = locate(direct)?;
        plans.push(Plan {
            address,
            host,
            target,
            mode: Mode::LowLatency,
            players: 0..1,
            connections: PROBE_CONNECTIONS,
            publishes: true,
            counts: false,
            ..whole
        });
    }
    Ok(plans)
}

/// Address, `Host` and target of a URL.
fn locate(url: &str) -> Result<(SocketAddr, String, String), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("{url}: only http:// is spoken here"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut found = with_port
        .to_socket_addrs()
        .map_err(|e| format!("{host}: {e}"))?;
    let address = found.next().ok_or_else(|| format!("{host}: no address"))?;
    let path = if path.is_empty() { "/" } else { path };
    Ok((address, host.to_owned(), path.to_owned()))
}

/// Raises the limit on descriptors to what is needed.
fn raise_descriptors(connections: u64) -> Result<(), String> {
    let needed = connections + DESCRIPTORS_RESERVED;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(format!(
            "{connections} connections need {needed} descriptors, the limit is {}; \
             see --connections and ulimit -n",
            limit.maximum.unwrap_or(u64::MAX)
        ));
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(|e| format!("descriptors: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let (address, host, target) = locate("http://127.0.0.1:81/a/b?c=d").unwrap();
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 81)));
        assert_eq!(
            (host.as_str(), target.as_str()),
            ("127.0.0.1:81", "/a/b?c=d")
        );
        let (address, _, target) = locate("http://127.0.0.1").unwrap();
        assert_eq!((address.port(), target.as_str()), (80, "/"));
        let (address, ..) = locate("http://[::1]/x").unwrap();
        assert!(address.is_ipv6() && address.port() == 80);
        assert!(locate("https://a/").is_err());
        assert!(locate("127.0.0.1/").is_err());
    }

    #[test]
    fn players_are_shared_out_among_threads() {
        let args = [
            "headwater-load",
            "http://127.0.0.1:1/",
            "--players",
            "10",
            "--threads",
            "3",
        ];
        let shares: Vec<_> = plans(&Args::parse_from(args))
            .unwrap()
            .into_iter()
            .map(|plan| plan.players)
            .collect();
        assert_eq!(shares, [0..4, 4..8, 8..10]);
        let args = [
            "headwater-load",
            "http://127.0.0.1:1/",
            "--direct",
            "http://127.0.0.1:2/",
        ];
        let plans = plans(&Args::parse_from(args)).unwrap();
        assert_eq!(plans.len(), 2);
        assert!(!plans[0].publishes && plans[0].counts);
        assert!(plans[1].publishes && !plans[1].counts && plans[1].address.port() == 2);
    }
}
