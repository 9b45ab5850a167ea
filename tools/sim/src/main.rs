//! `headwater-sim --seed N | --seeds A..B | --until-failure [--from N] [--aloud]`

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use headwater_sim::{Outcome, run};

const USAGE: &str = "headwater-sim: runs the origin in simulated worlds

  --seed N            one world
  --seeds A..B        worlds A up to, not including, B
  --until-failure     worlds from 0, or from --seed, until one fails
  --aloud             print all history
  --all               go on after a failure, a line for each
";

struct Options {
    from: u64,
    to: u64,
    aloud: bool,
    all: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = parse(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut segments, mut failures) = (0, 0);
    for seed in options.from..options.to {
        match catch_unwind(AssertUnwindSafe(|| run(seed, options.aloud))) {
            Ok(outcome) if outcome.failure.is_none() => {
                segments += outcome.segments;
                let Outcome {
                    hash,
                    lines,
                    segments,
                    ..
                } = outcome;
                println!(
                    "seed {seed}: good, {lines} lines, {segments} segments, trace {hash:016x}"
                );
            }
            Ok(outcome) => {
                failures += 1;
                show(seed, &outcome, options.all);
            }
            Err(_) => {
                failures += 1;
                println!("seed {seed}: PANIC, see above; repeat with --seed {seed} --aloud");
            }
        }
        if failures > 0 && !options.all {
            return ExitCode::FAILURE;
        }
    }
    if failures > 0 {
        println!("{failures} seeds failed");
        return ExitCode::FAILURE;
    }
    println!("all good, {segments} segments compared");
    ExitCode::SUCCESS
}

fn show(seed: u64, outcome: &Outcome, briefly: bool) {
    if briefly {
        let what = outcome.failure.as_ref().map_or("", |(what, _)| what);
        return println!(
            "seed {seed}: FAILED: {}",
            what.lines().next().unwrap_or_default()
        );
    }
    println!("seed {seed}: FAILED\n{:#?}", outcome.plan);
    if let Some((what, lines)) = &outcome.failure {
        lines.iter().for_each(|line| println!("{line}"));
        println!("\nseed {seed}: FAILED: {what}");
    }
}

fn parse(arguments: &[String]) -> Option<Options> {
    let mut options = Options {
        from: 0,
        to: 0,
        aloud: false,
        all: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => {
                options.from = arguments.next()?.parse().ok()?;
                options.to = options.to.max(options.from + 1);
            }
            "--seeds" => {
                let (from, to) = arguments.next()?.split_once("..")?;
                options.from = from.parse().ok()?;
                options.to = to.parse().ok()?;
            }
            "--until-failure" => options.to = u64::MAX,
            "--aloud" => options.aloud = true,
            "--all" => options.all = true,
            _ => return None,
        }
    }
    (options.from < options.to).then_some(options)
}
