//! A fleet of HLS players on a few threads. It follows a channel as players do
//! and reports what they saw: latencies, errors, and with `--direct` what a
//! cache before the origin adds.
// This tool is all sockets, clocks and threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod board;
mod connection;
mod dates;
mod fleet;
mod player;
mod playlist;
mod reader;
mod response;
mod tally;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use headwater_load::limits;
use headwater_load::push::wall_us;

use board::Board;
use fleet::{Fleet, Plan, Publication};
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
    #[arg(long, conflicts_with = "publication")]
    direct: Option<String>,
    /// Who says when a part was published.
    #[arg(long, value_enum, default_value_t = By::Seen)]
    publication: By,
    /// Addresses that connections come from, in turn. On loopback more are taken
    /// of themselves when the ports of one do not suffice.
    #[arg(long, value_delimiter = ',')]
    sources: Vec<IpAddr>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The first player that was told, or the one of --direct.
    Seen,
    /// The encoder: the producer reference time of the part's last chunk. It must
    /// be written when the chunk is, by a clock in step with this machine's, as
    /// headwater-push does.
    Prft,
}

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
    limits::raise_descriptors(connections as u64)?;
    let clock = Instant::now();
    let plans = plans(args, wall_us())?;
    let board = Arc::new(Board::default());
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
/// `start_wall_us` is the wall clock when the fleet's is zero.
fn plans(args: &Args, start_wall_us: u64) -> Result<Vec<Plan>, String> {
    if args.players == 0 || args.connections == 0 || args.threads == 0 {
        return Err("there must be a player, a connection and a thread".to_owned());
    }
    let (address, host, target) = locate(&args.url)?;
    let warm_us = args.ramp_ms * 1000 + args.warm_up_s * 1_000_000;
    let share = args.players.div_ceil(args.threads);
    let connections = args.players.saturating_mul(args.connections);
    let whole = Plan {
        address,
        sources: sources(args, address.ip(), connections as u64)?,
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
        publication: match args.publication {
            By::Prft => Publication::Dated {
                ahead_us: start_wall_us,
            },
            By::Seen if args.direct.is_some() => Publication::Elsewhere,
            By::Seen => Publication::Told,
        },
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
            publication: Publication::Told,
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

/// The addresses that connections come from: those asked for, else on loopback
/// as many as the ports of one do not suffice for.
fn sources(args: &Args, to: IpAddr, connections: u64) -> Result<Vec<IpAddr>, String> {
    let ports = limits::ports();
    let wanted = connections.div_ceil(ports).max(1);
    if !args.sources.is_empty() {
        if (args.sources.len() as u64) < wanted {
            return Err(format!(
                "{connections} connections to one server need {wanted} source addresses: an \
                 address has {ports} ports"
            ));
        }
        return Ok(args.sources.clone());
    }
    match to {
        _ if wanted == 1 => Ok(Vec::new()),
        IpAddr::V4(to) if to.is_loopback() && wanted < 250 => Ok((0..wanted)
            .map(|index| IpAddr::from([127, 0, 1, 1 + index as u8]))
            .collect()),
        _ => Err(format!(
            "{connections} connections to one server need {wanted} source addresses, of {ports} \
             ports each; give them with --sources"
        )),
    }
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
        let shares: Vec<_> = plans(&Args::parse_from(args), 0)
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
        let plans = plans(&Args::parse_from(args), 0).unwrap();
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[0].publication, Publication::Elsewhere);
        assert_eq!(plans[1].publication, Publication::Told);
        assert!(plans[0].counts && !plans[1].counts && plans[1].address.port() == 2);
    }

    #[test]
    fn a_crowd_has_ports_enough_or_hears_of_it() {
        let args = |more: &[&str]| {
            let words = ["headwater-load", "http://127.0.0.1:1/"];
            Args::parse_from(words.iter().chain(more))
        };
        let (loopback, far) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        let ports = limits::ports();
        assert_eq!(sources(&args(&[]), far, ports), Ok(Vec::new()));
        let own = sources(&args(&[]), loopback, ports + 1).unwrap();
        assert_eq!(own.len(), 2);
        assert!(own.iter().all(IpAddr::is_loopback));
        assert!(sources(&args(&[]), far, ports + 1).is_err());
        let named = args(&["--sources", "192.0.2.7,192.0.2.8"]);
        assert_eq!(sources(&named, far, ports + 1).unwrap().len(), 2);
        assert!(sources(&named, far, 2 * ports + 1).is_err());
    }
}
