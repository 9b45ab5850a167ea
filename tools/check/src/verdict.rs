//! Findings, folded: the same thing seen a hundred times is one finding.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::limits;
use crate::rule::{self, Reach, Rule};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A requirement of the standard is broken.
    Fail,
    /// A recommendation, a rule of Apple's, or what players are known to need.
    Warn,
    /// Looked at, and nothing was wrong.
    Pass,
    /// Could not be looked at.
    Skip,
}

impl Level {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Pass => "PASS",
            Self::Skip => "SKIP",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `C1` to `C45`, or `D1` to `D23`.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// Where it is demanded.
    pub clause: String,
    /// Which playlist or Representation it is about; empty for all.
    pub rendition: String,
    /// What is the matter, in words that do not vary with what was seen.
    pub what: String,
    /// What was seen the first time: line and values.
    pub saw: String,
    /// How often it was seen; for PASS, how often it was looked at.
    pub times: u64,
}

/// Marks findings about time on a machine that was too busy to tell.
const DOUBT: &str = "the checker's own machine may be why";

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Verdicts {
    found: BTreeMap<(Rule, Level, String, &'static str), Finding>,
    looks: BTreeMap<Rule, u64>,
    skips: BTreeMap<Rule, BTreeMap<&'static str, BTreeSet<String>>>,
    /// Sentences that are about when something came.
    timed: BTreeSet<&'static str>,
}

impl Verdicts {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks of one rendition from here on.
    pub fn of<'v>(&'v mut self, rendition: &'v str) -> Scope<'v> {
        Scope {
            verdicts: self,
            rendition,
        }
    }

    /// Takes over what another has seen.
    pub fn absorb(&mut self, other: Self) {
        for (key, finding) in other.found {
            let entry = self.found.entry(key);
            entry
                .and_modify(|known| known.times += finding.times)
                .or_insert(finding);
        }
        self.timed.extend(other.timed);
        for (rule, looks) in other.looks {
            *self.looks.entry(rule).or_default() += looks;
        }
        for (rule, reasons) in other.skips {
            let known = self.skips.entry(rule).or_default();
            for (why, renditions) in reasons {
                known.entry(why).or_default().extend(renditions);
            }
        }
    }

    /// A checker that stood still itself for `stall_us` cannot fail anybody for
    /// being late: such findings become warnings that say so.
    pub fn doubt_times(&mut self, stall_us: u64) {
        let found = std::mem::take(&mut self.found);
        for ((rule, mut level, rendition, what), mut finding) in found {
            if level == Level::Fail && self.timed.contains(what) {
                level = Level::Warn;
                finding.level = level;
                finding.saw.push_str(&format!(
                    "; {DOUBT}, it stood still for {} ms",
                    stall_us / 1000
                ));
            }
            self.found.insert((rule, level, rendition, what), finding);
        }
    }

    /// Every finding, by rule and then by how bad it is. A rule that was looked
    /// at without a finding has passed; one never looked at says why.
    pub fn findings(&self, wanted: impl Fn(Rule) -> bool) -> Vec<Finding> {
        let mut out = Vec::new();
        for about in rule::all().filter(|about| wanted(about.rule)) {
            let rule = about.rule;
            let of_rule = self.found.iter().filter(|((of, ..), _)| *of == rule);
            let from = out.len();
            out.extend(of_rule.map(|(_, finding)| finding.clone()));
            let line = |level, what: &str, saw: String, times| Finding {
                rule: rule.to_string(),
                level,
                clause: about.clause.to_owned(),
                rendition: String::new(),
                what: what.to_owned(),
                saw,
                times,
            };
            let looks = self.looks.get(&rule).copied().unwrap_or(0);
            if out.len() == from && looks > 0 {
                out.push(line(Level::Pass, about.title, String::new(), looks));
            } else if out.len() == from {
                let mut reasons: Vec<_> = self.skips.get(&rule).into_iter().flatten().collect();
                reasons.sort_by_key(|(_, renditions)| std::cmp::Reverse(renditions.len()));
                let why = match (about.reach, reasons.first()) {
                    (Reach::Inside, _) => "not from outside: needs a hand on encoder or process",
                    (_, Some((why, _))) => why,
                    (_, None) => "nothing was seen that it applies to",
                };
                out.push(line(Level::Skip, about.title, why.to_owned(), 0));
            }
        }
        out
    }
}

/// The findings of one rendition.
#[derive(Debug)]
pub struct Scope<'v> {
    verdicts: &'v mut Verdicts,
    rendition: &'v str,
}

impl Scope<'_> {
    /// A requirement: not `holds` is a FAIL.
    pub fn must(
        &mut self,
        rule: Rule,
        clause: &'static str,
        holds: bool,
        what: &'static str,
        saw: impl FnOnce() -> String,
    ) -> bool {
        self.judge(Level::Fail, rule, clause, holds, what, saw)
    }

    /// A requirement about when something came.
    pub fn timely(
        &mut self,
        rule: Rule,
        clause: &'static str,
        holds: bool,
        what: &'static str,
        saw: impl FnOnce() -> String,
    ) -> bool {
        self.verdicts.timed.insert(what);
        self.judge(Level::Fail, rule, clause, holds, what, saw)
    }

    /// A recommendation: not `holds` is a WARN.
    pub fn should(
        &mut self,
        rule: Rule,
        clause: &'static str,
        holds: bool,
        what: &'static str,
        saw: impl FnOnce() -> String,
    ) -> bool {
        self.judge(Level::Warn, rule, clause, holds, what, saw)
    }

    /// Either, by level.
    pub fn judge(
        &mut self,
        level: Level,
        rule: Rule,
        clause: &'static str,
        holds: bool,
        what: &'static str,
        saw: impl FnOnce() -> String,
    ) -> bool {
        *self.verdicts.looks.entry(rule).or_default() += 1;
        if !holds {
            let key = (rule, level, self.rendition.to_owned(), what);
            let rendition = self.rendition;
            let finding = self.verdicts.found.entry(key).or_insert_with(|| Finding {
                rule: rule.to_string(),
                level,
                clause: clause.to_owned(),
                rendition: printable(rendition),
                what: what.to_owned(),
                saw: printable(&saw()),
                times: 0,
            });
            finding.times += 1;
        }
        holds
    }

    /// The rule does not apply here, or could not be judged.
    pub fn skip(&mut self, rule: Rule, why: &'static str) {
        let reasons = self.verdicts.skips.entry(rule).or_default();
        reasons
            .entry(why)
            .or_default()
            .insert(self.rendition.to_owned());
    }
}

/// What an origin sent, fit for a terminal: short and without control bytes.
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if out.len() >= 2 * limits::QUOTED_MAX {
            out.push('…');
            break;
        }
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{C4, C5, C9, C41};

    #[test]
    fn repeats_are_folded_and_the_first_is_kept() {
        let mut verdicts = Verdicts::new();
        for line in 1..=3 {
            verdicts
                .of("v")
                .must(C4, "4", line == 1, "too long", || format!("line {line}"));
        }
        verdicts
            .of("a")
            .must(C4, "4", false, "too long", || "line 9".to_owned());
        verdicts
            .of("a")
            .should(C5, "5", true, "too long", String::new);
        verdicts.of("a").skip(C9, "no server control");
        let all = verdicts.findings(|rule| [C4, C5, C9, C41].contains(&rule));
        let short: Vec<_> = all
            .iter()
            .map(|f| (&*f.rule, f.level, &*f.rendition, &*f.saw, f.times))
            .collect();
        assert_eq!(
            short,
            [
                ("C4", Level::Fail, "a", "line 9", 1),
                ("C4", Level::Fail, "v", "line 2", 2),
                ("C5", Level::Pass, "", "", 1),
                ("C9", Level::Skip, "", "no server control", 0),
                (
                    "C41",
                    Level::Skip,
                    "",
                    "not from outside: needs a hand on encoder or process",
                    0
                ),
            ]
        );
    }

    #[test]
    fn a_busy_machine_fails_nobody_for_lateness() {
        let mut verdicts = Verdicts::new();
        verdicts
            .of("v")
            .timely(C4, "4", false, "late", || "9 ms".to_owned());
        verdicts.of("v").must(C5, "5", false, "wrong", String::new);
        verdicts.doubt_times(300_000);
        let all = verdicts.findings(|rule| [C4, C5].contains(&rule));
        assert_eq!((all[0].level, all[1].level), (Level::Warn, Level::Fail));
        assert!(
            all[0].saw.ends_with("it stood still for 300 ms"),
            "{}",
            all[0].saw
        );
    }

    #[test]
    fn nothing_an_origin_sends_reaches_the_terminal_raw() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert!(printable(&"x".repeat(10_000)).len() < 3 * limits::QUOTED_MAX);
    }
}
