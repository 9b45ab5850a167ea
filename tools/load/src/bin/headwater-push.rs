//! A fleet of encoders in one thread: channels of the same bundled ladder, each
//! track an endless upload in step with the wall clock.
// This tool is all sockets, clocks and threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use headwater_load::encoders::{self, Counts, Plan};
use headwater_load::limits;

/// A fleet of encoders. Each chunk carries a producer reference time that says
/// when it was written, for headwater-load --publication prft.
#[derive(Debug, Parser)]
#[command(
    name = "headwater-push",
    version,
    after_help = "Examples:\n  \
        headwater-push 127.0.0.1:8080\n  \
        headwater-push 127.0.0.1:8080 --channels 200 --tracks 5 --kbps 5000 --seconds 60"
)]
struct Args {
    /// Address and port of the origin.
    to: String,
    /// Channels, called load0, load1 and so on.
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// What they are called.
    #[arg(long, default_value = "load")]
    prefix: String,
    /// Tracks of each channel: video renditions and one of sound.
    #[arg(long, default_value_t = 5)]
    tracks: usize,
    /// Bit rate of each channel, all tracks together.
    #[arg(long, default_value_t = 5_000)]
    kbps: usize,
    /// How long.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// Media that each encoder sends at once at its start.
    #[arg(long, default_value_t = 6)]
    head_start_s: u64,
    /// Every encoder crashes and comes back this often.
    #[arg(long)]
    restart_s: Option<u64>,
    /// The token of encoders.
    #[arg(long)]
    token: Option<String>,
    /// Where the report goes as JSON, beside the text on standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(errors) => {
            eprintln!("headwater-push: {errors} errors");
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("headwater-push: {message}");
            ExitCode::from(2)
        }
    }
}

/// Pushes, reports, and returns the number of errors.
fn run(args: &Args) -> Result<u64, String> {
    let addresses = args.to.to_socket_addrs();
    let mut addresses = addresses.map_err(|e| format!("{}: {e}", args.to))?;
    let to = addresses
        .next()
        .ok_or_else(|| format!("{}: no address", args.to))?;
    limits::raise_descriptors((args.channels * args.tracks) as u64)?;
    let plan = Plan {
        to,
        prefix: args.prefix.clone(),
        channels: args.channels,
        tracks: args.tracks,
        kbps: args.kbps,
        token: args.token.clone(),
        seconds: args.seconds,
        restart_s: args.restart_s,
        head_start: Duration::from_secs(args.head_start_s),
    };
    let mut chunks = 0;
    let counts = encoders::run(&plan, |counts| {
        eprintln!(
            "{} uploads  {} chunks/s  {:.0} MB  {} restarts  {} errors",
            counts.uploads,
            counts.chunks - chunks,
            counts.bytes as f64 / 1e6,
            counts.restarts,
            counts.errors.values().sum::<u64>()
        );
        chunks = counts.chunks;
    })?;
    let report = report(&counts);
    println!("{report:#}");
    if let Some(file) = &args.json {
        std::fs::write(file, format!("{report:#}\n"))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(counts.errors.values().sum())
}

fn report(counts: &Counts) -> Value {
    let late_ms = |q| counts.late.quantile_us(q).map(|us| us as f64 / 1e3);
    json!({
        "uploads": counts.uploads,
        "chunks": counts.chunks,
        "bytes": counts.bytes,
        "restarts": counts.restarts,
        "errors": counts.errors,
        "late_ms": {
            "p50": late_ms(0.5),
            "p99": late_ms(0.99),
            "max": counts.late.max_us() as f64 / 1e3,
        },
    })
}
