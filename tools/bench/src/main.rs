//! Measures headwater beside its peers: `benches/README.md` says what and how.
// This tool is all sockets, clocks and processes.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod background;
mod channels;
mod counts;
mod edge;
mod floor;
mod gets;
mod ingest;
mod machine;
mod origin;
mod parked;
mod players;
mod record;
mod report;
mod servers;
mod soak;
mod stats;
mod window;

#[path = "../../../tests/support/encoder.rs"]
mod encoder;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Results;

const USAGE: &str = "usage:
  headwater-bench first --headwater BINARY [--only gets|parked] [--pairs 5]
      [--seconds 4] [--parked-pairs 3] [--parts 10] [--players 10000]
      [--remark TEXT] [--out DIR]
  headwater-bench ingest --headwater BINARY [--pairs 5] [--megabytes 4000] ...
  headwater-bench edge --headwater BINARY [--pairs 5] [--seconds 10] ...
  headwater-bench channels --headwater BINARY [--pairs 1] [--seconds 10]
      [--channels 200] ...
  headwater-bench soak --headwater BINARY [--seconds 1800] [--channels 20]
      [--players 100] ...
  headwater-bench floor ADDRESS REPLY-FILE
  headwater-bench window [ROUNDS]
  headwater-bench counts [--update]
run it from the root of the repository, through benches/first.sh";

/// What is measured and how long.
pub(crate) struct Options {
    pub(crate) headwater: PathBuf,
    pub(crate) media: PathBuf,
    pub(crate) nginx_config: PathBuf,
    pub(crate) wrk_script: PathBuf,
    /// A folder for files of this run, removed afterwards.
    pub(crate) scratch: PathBuf,
    pub(crate) out: PathBuf,
    only: Option<String>,
    pub(crate) pairs: usize,
    pub(crate) seconds: usize,
    pub(crate) parked_pairs: usize,
    pub(crate) parts: usize,
    pub(crate) players: usize,
    pub(crate) channels: usize,
    pub(crate) megabytes: usize,
    /// What the reader must know of the circumstances.
    pub(crate) remark: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match &words[..] {
        ["first", rest @ ..] => first(rest),
        ["ingest", rest @ ..] => bench(rest, &[], ingest::measure),
        ["edge", rest @ ..] => bench(rest, &["--seconds", "10"], edge::measure),
        ["channels", rest @ ..] => bench(
            rest,
            &["--seconds", "10", "--pairs", "1", "--channels", "200"],
            channels::measure,
        ),
        ["soak", rest @ ..] => bench(
            rest,
            &["--seconds", "1800", "--channels", "20", "--players", "100"],
            soak::measure,
        ),
        ["floor", address, file] => run_floor(address, Path::new(file)),
        ["window"] => window(15),
        ["window", rounds] => rounds
            .parse()
            .map_err(|_| USAGE.to_owned())
            .and_then(window),
        ["counts"] => counts::check(&scratch(), false),
        ["counts", "--update"] => counts::check(&scratch(), true),
        ["counts", "work"] => counts::work(),
        _ => Err(USAGE.to_owned()),
    };
    // What a bench leaves behind is of no use to the next.
    let _ = std::fs::remove_dir_all(scratch());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("headwater-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A folder for the files of this process.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("headwater-bench-{}", std::process::id()))
}

fn first(words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    raise_descriptor_limit();
    let wants = |what: &str| options.only.as_deref().is_none_or(|only| only == what);
    let say = |e: io::Error| e.to_string();
    let mut results = Results {
        load_before: machine::load_average(),
        ..Results::default()
    };
    std::fs::create_dir_all(&options.scratch).map_err(say)?;
    if wants("gets") {
        results.runs = gets::measure(&options).map_err(say)?;
    }
    if wants("parked") {
        (results.parts, results.memory) = parked::measure(&options).map_err(say)?;
    }
    let folder = report::write(&options, &results).map_err(say)?;
    eprintln!("written to {}", folder.display());
    Ok(())
}

/// Runs a bench with what was asked for, over its own defaults.
fn bench(
    words: &[&str],
    defaults: &[&str],
    measure: fn(&Options) -> io::Result<()>,
) -> Result<(), String> {
    let options = Options::parse(&[defaults, words].concat())?;
    raise_descriptor_limit();
    measure(&options).map_err(|e| e.to_string())
}

fn window(rounds: usize) -> Result<(), String> {
    window::measure(rounds.max(1));
    Ok(())
}

fn run_floor(address: &str, file: &Path) -> Result<(), String> {
    raise_descriptor_limit();
    let address = address.parse().map_err(|_| USAGE.to_owned())?;
    let reply = std::fs::read(file).map_err(|e| e.to_string())?;
    floor::serve(address, &reply).map_err(|e| e.to_string())
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let config = |name: &str| {
            let file = Path::new("benches").join(name);
            file.canonicalize()
                .map_err(|e| format!("{}: {e}; {USAGE}", file.display()))
        };
        let mut options = Self {
            headwater: PathBuf::new(),
            media: PathBuf::from("fixtures/demo/video-270p.cmfv"),
            nginx_config: config("nginx.conf")?,
            wrk_script: config("wrk.lua")?,
            scratch: scratch(),
            out: report::default_folder().to_owned(),
            only: None,
            pairs: 5,
            seconds: 4,
            parked_pairs: 3,
            parts: 10,
            players: 10_000,
            channels: 20,
            megabytes: 4000,
            remark: "no remark on what else was running".to_owned(),
        };
        for pair in words.chunks(2) {
            let [flag, value] = pair else {
                return Err(USAGE.to_owned());
            };
            let count = || {
                value
                    .parse::<usize>()
                    .map_err(|_| format!("{flag}: {USAGE}"))
            };
            match *flag {
                "--headwater" => options.headwater = PathBuf::from(value),
                "--only" => options.only = Some((*value).to_owned()),
                "--out" => options.out = PathBuf::from(value),
                "--remark" => options.remark = (*value).to_owned(),
                "--pairs" => options.pairs = count()?,
                "--seconds" => options.seconds = count()?,
                "--parked-pairs" => options.parked_pairs = count()?,
                "--parts" => options.parts = count()?,
                "--channels" => options.channels = count()?,
                "--megabytes" => options.megabytes = count()?,
                "--players" => options.players = count()?,
                _ => return Err(USAGE.to_owned()),
            }
        }
        if options.headwater.as_os_str().is_empty() {
            return Err(USAGE.to_owned());
        }
        Ok(options)
    }
}

/// A fleet needs a descriptor a player.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it fails, connecting says so.
    let _ = setrlimit(Resource::Nofile, limit);
}
