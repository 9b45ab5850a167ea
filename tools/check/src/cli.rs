//! The command line.

// Waiting for output and a clock for progress lines belong to the shell.
#![allow(clippy::disallowed_methods)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::probe::{Progress, Run};
use crate::report::{self, Report};
use crate::rule::Rule;

const AFTER: &str = "\
EXIT STATUS
  0  no assertion failed
  1  an assertion failed
  2  nothing could be checked

EXAMPLES
  headwater-check http://127.0.0.1:8080/live/test/index.m3u8
  headwater-check --seconds 30 --only C12,C19 https://example.com/live/video.m3u8
  headwater-check http://127.0.0.1:8080/live/test/manifest.mpd
  headwater-check --json URL | jq '.findings[] | select(.level == \"FAIL\")'

C1 to C45 are about playlists, D1 to D23 about MPDs. FAIL is a requirement of the
HLS draft (rfc8216bis) or of DASH (ISO/IEC 23009-1) that is broken, WARN a
recommendation, a rule of Apple's or what players are known to need. Rules about
time allow half a second for clocks, networks and schedulers. C41 to C45, D22 and
D23 need a hand on the encoder or the process and cannot be judged from outside.";

/// Checks a low-latency HLS or DASH origin from the outside, clause by clause.
#[derive(Debug, Parser)]
#[command(name = "headwater-check", version, after_help = AFTER)]
struct Args {
    /// A multivariant playlist, a media playlist or an MPD, http or https.
    #[arg(required_unless_present = "list")]
    url: Option<String>,
    /// How long to watch. Rules about removal need a few windows.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The report as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Judge these only, such as C12,C19 or D10.
    #[arg(long, value_delimiter = ',', value_parser = rule)]
    only: Vec<Rule>,
    /// List the assertions and end.
    #[arg(long)]
    list: bool,
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::parse(text).ok_or_else(|| "no assertion: they are C1 to C45 and D1 to D23".to_owned())
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let Some(url) = args.url.filter(|_| !args.list) else {
        return print(&report::list(), ExitCode::SUCCESS);
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        eprintln!("headwater-check: {url}: an address begins with http:// or https://");
        return ExitCode::from(2);
    }
    let run = Run::new(args.seconds, args.only);
    let mut line = Line::default();
    let outcome = run.check(&url, |progress| line.show(progress));
    line.clear();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(why) => {
            eprintln!("headwater-check: {}", crate::verdict::printable(&why));
            return ExitCode::from(2);
        }
    };
    let findings = outcome
        .verdicts
        .findings(|rule| rule.sheet() == outcome.sheet && run.wants(rule));
    let report = Report::new(
        &url,
        args.seconds,
        outcome.sheet,
        outcome.renditions,
        findings,
    );
    let code = if report.fails > 0 {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    };
    print(
        &if args.json {
            report.json()
        } else {
            report.text()
        },
        code,
    )
}

/// A reader that has gone away, such as `head`, is no error of ours.
fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("headwater-check: standard output: {error}");
            ExitCode::from(2)
        }
        _ => code,
    }
}

/// What is shown while the watch lasts: one line that is renewed on a terminal,
/// else a line every ten seconds.
#[derive(Default)]
struct Line {
    told_at_s: Option<u64>,
}

impl Line {
    fn show(&mut self, progress: Progress) {
        let Progress {
            renditions,
            versions,
            left_s,
            sheet,
        } = progress;
        let what = sheet.noun();
        let text = format!("{renditions} {what}, {versions} versions, {left_s} s to go");
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{text}");
            return;
        }
        let due = self
            .told_at_s
            .is_none_or(|told_at_s| left_s + 10 <= told_at_s);
        if due {
            self.told_at_s = Some(left_s);
            eprintln!("headwater-check: {text}");
        }
    }

    fn clear(&self) {
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{C12, C19};
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["headwater-check", "--only", "C12,19", "http://h/"]);
        assert_eq!(args.expect("good arguments").only, [C12, C19]);
        for bad in [
            &["headwater-check"][..],
            &["headwater-check", "--only", "C46", "http://h/"],
        ] {
            assert!(Args::try_parse_from(bad).is_err());
        }
    }
}
