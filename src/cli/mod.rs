//! The command line.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod check_config;
mod demo;
mod log;
mod probe;
mod serve;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{RawConfig, RawIngest, RawLive, RawServer};

/// A live-media origin: CMAF in by HTTP, low-latency HLS out, on every core.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  headwater demo
  headwater serve --listen 127.0.0.1:8080
  headwater serve --config headwater.toml --cores 0-3
  headwater probe video.cmfv audio.cmfa
  headwater check-config headwater.toml

Push:  ffmpeg ... -f mp4 -movflags cmaf+frag_keyframe -frag_duration 500000 \\
         -method POST 'http://127.0.0.1:8080/ingest/news/Streams(v.cmfv)'
Play:  http://127.0.0.1:8080/live/news/index.m3u8";

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole thing with no set-up: an origin on loopback that plays a
    /// bundled ladder to itself as a live encoder would.
    Demo(DemoArgs),
    /// The origin.
    Serve(Box<ServeArgs>),
    /// Says what is wrong with a configuration file, or prints it resolved.
    CheckConfig {
        /// A TOML file.
        file: PathBuf,
    },
    /// What the CMAF parser sees in files: tracks, codecs, chunks, complaints.
    Probe {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// CMAF or fragmented MP4 files; those of one track in order, header
        /// first.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Address and port; another port is taken when this one is in use.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    #[command(flatten)]
    log: log::LogArgs,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// A TOML file.
    #[arg(long, env = "HEADWATER_CONFIG")]
    config: Option<PathBuf>,
    /// Addresses and ports, separated by commas [default: 127.0.0.1:8080].
    #[arg(long, env = "HEADWATER_LISTEN")]
    listen: Option<String>,
    /// Processors to run on, "all" or a list such as 0,2-5 [default: all].
    #[arg(long, env = "HEADWATER_CORES")]
    cores: Option<String>,
    /// Media in memory per core, in MiB [default: 4096].
    #[arg(long, env = "HEADWATER_MEMORY_MB")]
    memory_mb: Option<u64>,
    /// Media listed in manifests, in seconds [default: 300].
    #[arg(long, env = "HEADWATER_WINDOW_S")]
    window_s: Option<u64>,
    /// Shortest segment cut from an endless upload, in ms [default: 2000].
    #[arg(long, env = "HEADWATER_SEGMENT_MS")]
    segment_ms: Option<u64>,
    /// Part target in ms; 0 learns it from the encoder [default: 0].
    #[arg(long, env = "HEADWATER_PART_MS")]
    part_ms: Option<u64>,
    /// How playlists say where a part is, url or byterange [default: url].
    #[arg(long, env = "HEADWATER_PART_ADDRESSING")]
    part_addressing: Option<String>,
    /// A channel without media for this long has ended, in s [default: 60].
    #[arg(long, env = "HEADWATER_ENDED_AFTER_S")]
    ended_after_s: Option<u64>,
    /// What becomes of it: "endlist", its playlists end, or "gone", they are
    /// withdrawn [default: endlist].
    #[arg(long, env = "HEADWATER_AFTER_END")]
    after_end: Option<String>,
    /// Let gaps stand in for media that does not come.
    #[arg(long, env = "HEADWATER_FILL_GAPS", num_args = 0..=1, default_missing_value = "true")]
    fill_gaps: Option<bool>,
    /// How much later than usual media may be before that, in ms [default: 500].
    #[arg(long, env = "HEADWATER_FILL_PATIENCE_MS")]
    fill_patience_ms: Option<u64>,
    /// Refuse part directives beyond the Advance Part Limit.
    #[arg(long, env = "HEADWATER_STRICT_PART_LIMIT", num_args = 0..=1, default_missing_value = "true")]
    strict_part_limit: Option<bool>,
    /// What encoders must present.
    #[arg(long, env = "HEADWATER_INGEST_TOKEN", hide_env_values = true)]
    ingest_token: Option<String>,
    /// Let anyone push, even from outside.
    #[arg(long, env = "HEADWATER_INGEST_OPEN", num_args = 0..=1, default_missing_value = "true")]
    ingest_open: Option<bool>,
    #[command(flatten)]
    log: log::LogArgs,
}

impl ServeArgs {
    /// What the environment and the flags set.
    fn raw(&self) -> RawConfig {
        RawConfig {
            server: RawServer {
                listen: self.listen.clone(),
                cores: self.cores.clone(),
                memory_mb: self.memory_mb,
            },
            live: RawLive {
                window_s: self.window_s,
                segment_ms: self.segment_ms,
                part_ms: self.part_ms,
                part_addressing: self.part_addressing.clone(),
                ended_after_s: self.ended_after_s,
                after_end: self.after_end.clone(),
                fill_gaps: self.fill_gaps,
                fill_patience_ms: self.fill_patience_ms,
                strict_part_limit: self.strict_part_limit,
            },
            ingest: RawIngest {
                token: self.ingest_token.clone(),
                open: self.ingest_open,
            },
            ..RawConfig::default()
        }
    }
}

/// Prints a result. A reader that has seen enough, `head` for one, is no fault.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Runs the command line; errors are printed, not returned.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::CheckConfig { file } => check_config::run(&file),
        Command::Probe { json, files } => probe::run(json, &files),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("headwater: {message}");
            ExitCode::FAILURE
        }
    }
}
