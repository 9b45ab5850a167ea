//! Samples of a bench to files: every row, and a table with medians and ratios.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::report;

/// What one run of one server gave.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Which of the bench's measures.
    pub(crate) what: String,
    pub(crate) pair: usize,
    pub(crate) server: &'static str,
    pub(crate) values: Vec<(&'static str, f64)>,
}

impl Sample {
    /// The value of that name; not a number if there is none.
    pub(crate) fn get(&self, name: &str) -> f64 {
        let mut values = self.values.iter();
        let found = values.find(|(of, _)| *of == name);
        found.map_or(f64::NAN, |(_, value)| *value)
    }
}

/// A column of the samples as a row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) title: &'static str,
    pub(crate) name: &'static str,
    pub(crate) digits: usize,
    /// The target of the ratio, or of the figure where there is no peer.
    pub(crate) target: &'static str,
}

/// A bench and what it gave.
pub(crate) struct Record<'a> {
    /// Of the files.
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) command: &'a str,
    /// What was done, for the reader of the table.
    pub(crate) intro: String,
    pub(crate) remark: &'a str,
    pub(crate) load_before: f64,
    /// The one whose ratio to the other is taken, and the other if there is one.
    pub(crate) servers: (&'static str, Option<&'static str>),
    pub(crate) figures: &'a [Figure],
    pub(crate) samples: &'a [Sample],
}

impl Record<'_> {
    /// Writes both files and prints the report.
    pub(crate) fn write(&self, out: &Path) -> io::Result<PathBuf> {
        let folder = report::folder(out)?;
        fs::write(folder.join(format!("{}.csv", self.name)), self.csv())?;
        let mut text =
            report::circumstances(self.title, self.command, self.remark, self.load_before);
        let _ = write!(text, "{}\n\n{}", self.intro, self.table());
        fs::write(folder.join(format!("{}.md", self.name)), &text)?;
        print!("{text}");
        Ok(folder)
    }

    fn csv(&self) -> String {
        let names: BTreeSet<&str> = self
            .samples
            .iter()
            .flat_map(|sample| sample.values.iter().map(|(name, _)| *name))
            .collect();
        let mut text = String::from("what,pair,server");
        names.iter().for_each(|name| text += &format!(",{name}"));
        text.push('\n');
        for sample in self.samples {
            let _ = write!(text, "{},{},{}", sample.what, sample.pair, sample.server);
            for name in &names {
                match sample.get(name) {
                    value if value.is_nan() => text.push(','),
                    value => {
                        let _ = write!(text, ",{value:.4}");
                    }
                }
            }
            text.push('\n');
        }
        text
    }

    /// The ratio is that of the two runs of each pair.
    fn table(&self) -> String {
        let (ours, theirs) = self.servers;
        let mut text = match theirs {
            Some(theirs) => format!(
                "| measure | figure | {ours} | {theirs} | ratio | target |\n|---|---|---|---|---|---|\n"
            ),
            None => format!("| measure | figure | {ours} | target |\n|---|---|---|---|\n"),
        };
        let mut whats: Vec<&str> = Vec::new();
        for sample in self.samples {
            if !whats.contains(&sample.what.as_str()) {
                whats.push(&sample.what);
            }
        }
        for what in whats {
            for figure in self.figures {
                let of = |server: &str| -> Vec<f64> {
                    let samples = self.samples.iter();
                    samples
                        .filter(|sample| sample.what == what && sample.server == server)
                        .map(|sample| sample.get(figure.name))
                        .filter(|value| !value.is_nan())
                        .collect()
                };
                let values = of(ours);
                if values.is_empty() {
                    continue;
                }
                let _ = write!(
                    text,
                    "| {what} | {} | {} ",
                    figure.title,
                    report::spread(&values, figure.digits)
                );
                if let Some(theirs) = theirs {
                    let others = of(theirs);
                    let ratios: Vec<f64> = values.iter().zip(&others).map(|(a, b)| a / b).collect();
                    let _ = write!(
                        text,
                        "| {} | {} ",
                        report::spread(&others, figure.digits),
                        report::spread(&ratios, 2)
                    );
                }
                let _ = writeln!(text, "| {} |", figure.target);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_pairs() {
        let sample = |pair, server, value| Sample {
            what: "put".to_owned(),
            pair,
            server,
            values: vec![("cpu", value)],
        };
        let samples = [
            sample(0, "a", 1.0),
            sample(0, "b", 2.0),
            sample(1, "a", 10.0),
            sample(1, "b", 10.0),
        ];
        let record = Record {
            name: "x",
            title: "X",
            command: "x",
            intro: String::new(),
            remark: "",
            load_before: 0.0,
            servers: ("a", Some("b")),
            figures: &[Figure {
                title: "CPU",
                name: "cpu",
                digits: 1,
                target: "0.5",
            }],
            samples: &samples,
        };
        let row = record.table().lines().last().unwrap().to_owned();
        assert_eq!(
            row,
            "| put | CPU | 5.5 [1.0 to 10.0] | 6.0 [2.0 to 10.0] | 0.75 [0.50 to 1.00] | 0.5 |"
        );
        assert!(record.csv().ends_with("put,1,b,10.0000\n"));
    }
}
