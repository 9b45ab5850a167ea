//! Figures to files: raw rows and a summary a reader can judge.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Options;
use crate::gets::Run;
use crate::machine;
use crate::parked::{Memory, Part};
use crate::stats::{max, median, min, quantile};

/// What was measured, whatever of it was asked for.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) runs: Vec<Run>,
    pub(crate) parts: Vec<Part>,
    pub(crate) memory: Vec<Memory>,
    /// Load average before anything began.
    pub(crate) load_before: f64,
}

/// Writes `raw.csv` and `summary.md` to a folder named by day and processor.
pub(crate) fn write(options: &Options, results: &Results) -> io::Result<PathBuf> {
    let folder = folder(&options.out)?;
    fs::write(folder.join("raw.csv"), raw(results))?;
    let summary = summary(options, results);
    fs::write(folder.join("summary.md"), &summary)?;
    print!("{summary}");
    Ok(folder)
}

fn raw(results: &Results) -> String {
    let mut out = String::from(
        "kind,pair,server,number,body_or_reply_bytes,head_bytes,requests,errors,seconds,\
         server_cpu_s,machine_cpu_s,load_cpu_s,first_us,median_us,p99_us,last_us,\
         server_cpu_us_per_player,rss_cold,rss_idle,rss_connected,rss_parked,rss_parked_last\n",
    );
    for run in &results.runs {
        let _ = writeln!(
            out,
            "{},{},{},,{},{},{},{},{:.3},{:.4},{:.2},{:.2},,,,,,,,,,",
            run.what,
            run.pair,
            run.server,
            run.body_bytes,
            run.head_bytes,
            run.requests,
            run.errors,
            run.seconds,
            run.server_cpu_s,
            run.machine_cpu_s,
            run.load_cpu_s
        );
    }
    for part in &results.parts {
        let _ = writeln!(
            out,
            "parked,{},{},{},{},,,,,,,,{:.1},{:.1},{:.1},{:.1},{:.2},,,,,",
            part.pair,
            part.server,
            part.number,
            part.reply_bytes,
            part.first_us,
            part.median_us,
            part.p99_us,
            part.last_us,
            part.server_cpu_us
        );
    }
    for memory in &results.memory {
        let _ = writeln!(
            out,
            "memory,{},headwater,,,,,,,,,,,,,,,{},{},{},{},{}",
            memory.pair,
            memory.cold,
            memory.idle,
            memory.connected,
            memory.parked,
            memory.parked_last
        );
    }
    out
}

/// The head of a report: what was measured when, on what.
pub(crate) fn circumstances(title: &str, command: &str, remark: &str, load_before: f64) -> String {
    let facts = machine::facts();
    let version = |program: &str, flag: &str| {
        let text = said(program, &[flag]);
        let line = text.lines().next().unwrap_or_default();
        line.split(" Copyright")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    format!(
        "# {title}\n\n\
         {} ({remark}); commit {}.\n\n\
         - Processor: {}, {} cores; {} GiB; Linux {}.\n\
         - On this machine: {}; {}. Server on core {}, load on core {}.\n\
         - Load average of the machine before the first run: {load_before:.2}.\n\n\
         `{command}` repeats it; `benches/README.md` says what the columns mean.\n\n",
        said("date", &["-u", "+%F %H:%M UTC"]),
        commit(),
        facts.model,
        facts.cores,
        facts.memory_gib,
        facts.kernel,
        version("nginx", "-v").trim_start_matches("nginx version: "),
        version("wrk", "-v"),
        crate::servers::SERVER_CORE,
        crate::servers::LOAD_CORE,
    )
}

/// Where the figures of today on this machine go.
pub(crate) fn folder(out: &Path) -> io::Result<PathBuf> {
    let facts = machine::facts();
    let folder = out.join(format!(
        "{}-{}",
        said("date", &["-u", "+%F"]),
        slug(&facts.model)
    ));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn summary(options: &Options, results: &Results) -> String {
    let mut out = circumstances(
        "First measures",
        "benches/first.sh",
        &options.remark,
        results.load_before,
    );
    if !results.runs.is_empty() {
        gets(&mut out, &results.runs);
    }
    if !results.parts.is_empty() {
        parked(&mut out, options, results);
    }
    out
}

/// One figure of a `T`, and where it is to be as a ratio to the peer's.
struct Figure<T> {
    title: &'static str,
    /// Which rows it is of; all when empty.
    what: &'static str,
    of: fn(&T) -> f64,
    target: &'static str,
}

const GETS: [Figure<Run>; 8] = [
    Figure {
        title: "playlist, requests per server CPU second",
        what: "playlist",
        of: Run::requests_per_server_cpu_s,
        target: "1.4",
    },
    Figure {
        title: "playlist, requests per second",
        what: "playlist",
        of: Run::requests_per_s,
        target: "",
    },
    Figure {
        title: "part, MB per machine CPU second",
        what: "part",
        of: Run::megabytes_per_machine_cpu_s,
        target: "1.15",
    },
    Figure {
        title: "part, MB per CPU second of server and load",
        what: "part",
        of: Run::megabytes_per_both_cpu_s,
        target: "",
    },
    Figure {
        title: "part, MB per server CPU second",
        what: "part",
        of: Run::megabytes_per_server_cpu_s,
        target: "",
    },
    Figure {
        title: "segment, MB per machine CPU second",
        what: "segment",
        of: Run::megabytes_per_machine_cpu_s,
        target: "1.2",
    },
    Figure {
        title: "segment, MB per CPU second of server and load",
        what: "segment",
        of: Run::megabytes_per_both_cpu_s,
        target: "",
    },
    Figure {
        title: "segment, MB per server CPU second",
        what: "segment",
        of: Run::megabytes_per_server_cpu_s,
        target: "",
    },
];

const PARKED: [Figure<Part>; 4] = [
    Figure {
        title: "first player",
        what: "",
        of: |part| part.first_us / 1e3,
        target: "",
    },
    Figure {
        title: "median player",
        what: "",
        of: |part| part.median_us / 1e3,
        target: "",
    },
    Figure {
        title: "last player",
        what: "",
        of: |part| part.last_us / 1e3,
        target: "1.2",
    },
    Figure {
        title: "server CPU us a player, ask to reply",
        what: "",
        of: |part| part.server_cpu_us,
        target: "",
    },
];

fn gets(out: &mut String, runs: &[Run]) {
    let body = |what: &str| {
        let sizes = runs.iter().filter(|run| run.what == what);
        median(&sizes.map(|run| run.body_bytes as f64).collect::<Vec<_>>())
    };
    let pairs = runs.iter().map(|run| run.pair + 1).max().unwrap_or(0);
    let errors: f64 = runs.iter().map(|run| run.errors).sum();
    let foreign: Vec<f64> = runs.iter().map(Run::foreign_cores).collect();
    let _ = writeln!(
        out,
        "## GETs\n\n\
         Playlist of {:.0} bytes, not blocking; part of {:.0} and segment of {:.0} bytes; 64 \
         connections; {pairs} \
         pairs of runs in turn, {:.0} s each; {errors:.0} errors. Median [min to max]; the ratio \
         is that of the two runs of each pair.\n\n\
         | figure | headwater | nginx | ratio | target |\n|---|---|---|---|---|",
        body("playlist"),
        body("part"),
        body("segment"),
        runs.first().map_or(0.0, |run| run.seconds),
    );
    for figure in GETS {
        let of = |server: &str| -> Vec<f64> {
            runs.iter()
                .filter(|run| run.what == figure.what && run.server == server)
                .map(figure.of)
                .collect()
        };
        let (ours, theirs) = (of("headwater"), of("nginx"));
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            figure.title,
            spread(&ours, 0),
            spread(&theirs, 0),
            spread(&ratios, 2),
            figure.target
        );
    }
    let _ = writeln!(
        out,
        "\nWhole-machine CPU that was neither the server's nor wrk's, in cores: {} (interrupt \
         work of the kernel that no process is charged with, and whatever else was running).\n",
        spread(&foreign, 2)
    );
}

fn parked(out: &mut String, options: &Options, results: &Results) {
    let of = |server: &str, figure: fn(&Part) -> f64| -> Vec<f64> {
        results
            .parts
            .iter()
            .filter(|part| part.server == server)
            .map(figure)
            .collect()
    };
    let reply = of("headwater", |part| part.reply_bytes as f64);
    let _ = writeln!(
        out,
        "## {} parked players\n\n\
         All wait for the same part; {} parts in {} runs of each server in turn. Replies of {} \
         bytes; the bare loop sends the last reply of the run before it. Milliseconds from the \
         write of the part's last byte to the last byte of a reply.\n\n\
         | figure | headwater | bare loop | ratio | target |\n|---|---|---|---|---|",
        options.players,
        reply.len(),
        options.parked_pairs,
        spread(&reply, 0),
    );
    for figure in PARKED {
        let (ours, floor) = (of("headwater", figure.of), of("bare loop", figure.of));
        for (name, q) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let (ours, floor) = (quantile(&ours, q), quantile(&floor, q));
            let target = if q == 0.5 { figure.target } else { "" };
            let _ = writeln!(
                out,
                "| {}, {name} of parts | {ours:.1} | {floor:.1} | {:.2} | {target} |",
                figure.title,
                ours / floor
            );
        }
    }
    let each = |from: fn(&Memory) -> u64, to: fn(&Memory) -> u64| -> String {
        let players = options.players as f64;
        let of = |memory: &Memory| (to(memory) as f64 - from(memory) as f64) / players;
        spread(&results.memory.iter().map(of).collect::<Vec<_>>(), 0)
    };
    let mib = |of: fn(&Memory) -> u64| -> String {
        let values = results
            .memory
            .iter()
            .map(|memory| of(memory) as f64 / f64::from(1 << 20));
        spread(&values.collect::<Vec<_>>(), 1)
    };
    let _ = writeln!(
        out,
        "\nThe whole process without a player, in MiB: {} before the first request, {} after \
         10,000 of 100 players (the receive buffers of a core are a fixed pool, touched in turn).",
        mib(|m| m.cold),
        mib(|m| m.idle),
    );
    let _ = writeln!(
        out,
        "\n| RSS over that after the 10,000 requests, bytes a player | median [min to max] | target |\n\
         |---|---|---|\n\
         | connected, nothing asked | {} | |\n\
         | parked | {} | 512 |\n\
         | parked, over before the first request instead | {} | |\n\
         | parked after all parts of the run | {} | |\n",
        each(|m| m.idle, |m| m.connected),
        each(|m| m.idle, |m| m.parked),
        each(|m| m.cold, |m| m.parked),
        each(|m| m.idle, |m| m.parked_last),
    );
}

pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let (middle, low, high) = (median(values), min(values), max(values));
    format!("{middle:.digits$} [{low:.digits$} to {high:.digits$}]")
}

fn commit() -> String {
    let id = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = said(
        "git",
        &["status", "--porcelain", "--", "src", "tools/bench"],
    );
    let mark = if changed.is_empty() {
        ""
    } else {
        " with changes"
    };
    format!("{id}{mark}")
}

/// What a program prints, on either stream.
fn said(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return String::new();
    };
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn slug(text: &str) -> String {
    let words = text.to_ascii_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Where results go unless told otherwise.
pub(crate) fn default_folder() -> &'static Path {
    Path::new("benches/runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_words() {
        assert_eq!(slug("AMD EPYC (family 25)"), "amd-epyc-family-25");
    }

    #[test]
    fn spreads_name_the_median_first() {
        assert_eq!(spread(&[3.0, 1.0, 2.5], 1), "2.5 [1.0 to 3.0]");
    }
}
