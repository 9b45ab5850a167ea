//! Runs one fuzz target for a while.

// A tool that times and measures what it runs.
#![allow(clippy::disallowed_methods)]

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use headwater_fuzz::mutate::{Chance, mutate};
use headwater_fuzz::{TARGETS, Target, corpus, target};

mod memory;

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting::new();

/// A run that takes longer is a finding.
const RUN_MAX: Duration = Duration::from_secs(2);
/// A run that takes even longer is given up, and the process with it.
const HANG: Duration = Duration::from_secs(20);
/// A run that holds more bytes at once is a finding.
const RUN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Findings after which a target is given up.
const FINDINGS_MAX: usize = 10;

const USAGE: &str = "usage: headwater-fuzz list | <target> [--seconds N] [--seed N] [FILE...]";

/// Runs begun, those of the corpus included.
static BEGUN: AtomicU64 = AtomicU64::new(0);

struct Arguments {
    target: &'static Target,
    seconds: u64,
    seed: u64,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if words == ["list"] {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments(&words) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    watch();
    let findings = if arguments.files.is_empty() {
        fuzz(&arguments)
    } else {
        replay(&arguments)
    };
    match findings {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn arguments(words: &[String]) -> Result<Arguments, String> {
    let name = words.first().ok_or("no target named")?;
    let target = target(name).ok_or_else(|| format!("no target {name}"))?;
    let mut out = Arguments {
        target,
        seconds: 60,
        seed: 1,
        files: Vec::new(),
    };
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let mut number = || {
            let value = rest
                .next()
                .ok_or_else(|| format!("{word} wants a number"))?;
            value
                .parse()
                .map_err(|_| format!("{value} is not a number"))
        };
        match word.as_str() {
            "--seconds" => out.seconds = number()?,
            "--seed" => out.seed = number()?,
            flag if flag.starts_with('-') => return Err(format!("no flag {flag}")),
            file => out.files.push(file.into()),
        }
    }
    Ok(out)
}

fn replay(arguments: &Arguments) -> std::io::Result<usize> {
    let mut findings = 0;
    for file in &arguments.files {
        if let Some(what) = finding(arguments.target, &fs::read(file)?) {
            println!("{}: {what}", file.display());
            findings += 1;
        }
    }
    Ok(findings)
}

fn fuzz(arguments: &Arguments) -> std::io::Result<usize> {
    let Arguments {
        target,
        seconds,
        seed,
        ..
    } = arguments;
    let corpus = corpus::load(target.name)?;
    let mut findings = 0;
    for (name, data) in &corpus {
        if let Some(what) = finding(target, data) {
            println!("corpus {name}: {what}");
            findings += 1;
        }
    }
    let mut chance = Chance::new(*seed);
    let began = Instant::now();
    let mut runs = 0u64;
    while began.elapsed() < Duration::from_secs(*seconds) && findings < FINDINGS_MAX {
        let data = mutate(&corpus, &mut chance);
        runs += 1;
        if let Some(what) = finding(target, &data) {
            findings += 1;
            let file = keep(target, &data, runs)?;
            println!("run {runs}: {what}\n  kept as {}", file.display());
        }
    }
    println!(
        "{}: {runs} runs, seed {seed}, {findings} findings",
        target.name
    );
    Ok(findings)
}

/// Ends the process when one run does not end: the same arguments come to the
/// same run again.
fn watch() {
    thread::spawn(|| {
        loop {
            let before = BEGUN.load(Relaxed);
            thread::sleep(HANG);
            if before > 0 && BEGUN.load(Relaxed) == before {
                eprintln!("run {before}, counted with the corpus, hangs");
                process::exit(1);
            }
        }
    });
}

/// What is wrong with a run, if anything is.
fn finding(target: &Target, data: &[u8]) -> Option<String> {
    BEGUN.fetch_add(1, Relaxed);
    let held = MEMORY.restart();
    let run = || {
        let began = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(data)));
        (outcome, began.elapsed())
    };
    let (outcome, mut took) = run();
    if took > RUN_MAX {
        // The machine may have had other work; the input is slow if it always is.
        took = took.min(run().1).min(run().1);
    }
    let peak = MEMORY.peak().saturating_sub(held);
    if outcome.is_err() {
        Some("it panicked".into())
    } else if took > RUN_MAX {
        Some(format!("it took {took:?}"))
    } else if peak > RUN_BYTES_MAX {
        Some(format!("it held {peak} bytes"))
    } else {
        None
    }
}

fn keep(target: &Target, data: &[u8], run: u64) -> std::io::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    fs::create_dir_all(&dir)?;
    let file = dir.join(format!("{}-{run}", target.name));
    fs::write(&file, data)?;
    Ok(file)
}
