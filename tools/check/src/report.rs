//! Findings as text for people and as JSON for programs.

use std::fmt::Write;

use serde::Serialize;

use crate::rule::{self, Reach, Sheet};
use crate::verdict::{Finding, Level};

/// Everything a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was checked.
    pub address: String,
    /// Seconds of watching.
    pub seconds: u64,
    /// What is counted in `renditions`.
    #[serde(skip)]
    pub sheet: Sheet,
    /// Addresses of the media playlists, or names of the Representations, that
    /// were followed.
    pub renditions: Vec<String>,
    /// Findings of level FAIL.
    pub fails: usize,
    /// Findings of level WARN.
    pub warns: usize,
    /// By rule, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Counts what was found.
    pub fn new(
        address: &str,
        seconds: u64,
        sheet: Sheet,
        renditions: Vec<String>,
        findings: Vec<Finding>,
    ) -> Self {
        let count = |level| {
            findings
                .iter()
                .filter(|finding| finding.level == level)
                .count()
        };
        let (fails, warns) = (count(Level::Fail), count(Level::Warn));
        Self {
            address: address.to_owned(),
            seconds,
            sheet,
            renditions,
            fails,
            warns,
            findings,
        }
    }

    /// As JSON, with a line end.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("strings and numbers are JSON");
        text + "\n"
    }

    /// As text, a paragraph a finding.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            out.write_fmt(text).expect("a string takes everything");
            out.push('\n');
        };
        for finding in &self.findings {
            let (rule, level) = (&finding.rule, finding.level.word());
            let place = match &*finding.rendition {
                "" => String::new(),
                rendition => format!("{rendition}: "),
            };
            match finding.level {
                Level::Pass => line(format_args!(
                    "{rule:<4}{level}  {} ({} looks)",
                    finding.what, finding.times
                )),
                Level::Skip => line(format_args!(
                    "{rule:<4}{level}  {}\n          {}",
                    finding.what, finding.saw
                )),
                Level::Fail | Level::Warn => {
                    let times = if finding.times > 1 {
                        format!(" ({} times)", finding.times)
                    } else {
                        String::new()
                    };
                    line(format_args!(
                        "{rule:<4}{level}  {place}{}{times}",
                        finding.what
                    ));
                    if !finding.saw.is_empty() {
                        line(format_args!("          {}", finding.saw));
                    }
                    line(format_args!("          [{}]", finding.clause));
                }
            }
        }
        let rules = |level| {
            let mut of: Vec<_> = self
                .findings
                .iter()
                .filter(|f| f.level == level)
                .map(|f| &f.rule)
                .collect();
            of.dedup();
            of.len()
        };
        line(format_args!(
            "\n{} {} over {} s: {} FAIL, {} WARN, {} assertions passed, {} not made",
            self.renditions.len(),
            self.sheet.noun(),
            self.seconds,
            self.fails,
            self.warns,
            rules(Level::Pass),
            rules(Level::Skip),
        ));
        out
    }
}

/// The table of assertions.
pub fn list() -> String {
    let mut out = String::new();
    for about in rule::all() {
        let reach = match about.reach {
            Reach::Text => "text",
            Reach::Asked => "asked",
            Reach::Watched => "watched",
            Reach::Inside => "inside",
        };
        let rule = about.rule;
        writeln!(
            out,
            "{rule:<4}{reach:<8} {}\n            [{}]",
            about.title, about.clause
        )
        .expect("a string takes everything");
    }
    out.push_str(
        "\ntext: from a playlist or an MPD alone. asked: by requests made for it. watched: over time.\n\
         inside: not from outside, it needs a hand on the encoder or the process; C44 is\n\
         judged as far as lists show date ranges.\n\
         Not looked at: a hundred parked streams on one HTTP/2 connection (C37).\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{C4, C9};
    use crate::verdict::Verdicts;

    #[test]
    fn a_report_says_what_where_and_how_often() {
        let mut verdicts = Verdicts::new();
        for _ in 0..2 {
            verdicts.of("v1.m3u8").must(
                C4,
                "rfc8216bis 4.4.4.9",
                false,
                "a part is too long",
                || "line 7".to_owned(),
            );
        }
        verdicts
            .of("v1.m3u8")
            .must(C9, "rfc8216bis 6.2.5.2", true, "", String::new);
        let findings = verdicts.findings(|rule| [C4, C9].contains(&rule));
        let report = Report::new(
            "http://h/",
            5,
            Sheet::Hls,
            vec!["http://h/v1.m3u8".to_owned()],
            findings,
        );
        assert_eq!(
            report.text(),
            "C4  FAIL  v1.m3u8: a part is too long (2 times)\n          line 7\n          [rfc8216bis 4.4.4.9]\n\
             C9  PASS  _HLS_part without _HLS_msn is refused (1 looks)\n\n\
             1 media playlists over 5 s: 1 FAIL, 0 WARN, 1 assertions passed, 0 not made\n"
        );
        assert!(
            report.json().contains("\"level\": \"FAIL\"") && report.json().contains("\"fails\": 1")
        );
        let count = |letter| {
            list()
                .lines()
                .filter(|line| line.starts_with(letter))
                .count()
        };
        assert_eq!((count('C'), count('D')), (45, 23));
    }
}
