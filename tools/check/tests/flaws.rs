//! The whole checker against an origin that does one thing wrong over real
//! sockets: it must say which.

mod fake;

use fake::dash::{self, Wrong};
use fake::{Flaw, start};
use headwater_check::probe::Run;
use headwater_check::rule::*;
use headwater_check::verdict::{Finding, Level};

/// Long enough for parts to leave the list and be asked for again.
const SECONDS: u64 = 9;

fn checked(flaw: Flaw) -> Vec<Finding> {
    let outcome = Run::new(SECONDS, Vec::new())
        .check(&start(flaw), |_| {})
        .expect("a playlist");
    outcome.verdicts.findings(|_| true)
}

fn failed(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| finding.level == Level::Fail)
        .map(|finding| &*finding.rule)
        .collect()
}

#[test]
fn a_good_origin_passes_and_each_flaw_is_named() {
    // What depends on a machine's pace is told apart from what is wrong.
    let paced = [C12, C31].map(|rule| rule.to_string());
    let table: &[(Flaw, &[Rule], &str)] = &[
        (Flaw::Nothing, &[], ""),
        (
            Flaw::WholeIsPartZero,
            &[C15, C16],
            "answered before its segment is whole",
        ),
        (
            Flaw::PastRefused,
            &[C14],
            "a reload for the past is refused",
        ),
        (Flaw::PartAlone, &[C9], "is not refused with 400"),
        (
            Flaw::NeverBlocks,
            &[C13, C15, C16, C18],
            "without what it asked for",
        ),
        (Flaw::NoRollOver, &[C13], "a part index past the end"),
        (Flaw::HintsRefused, &[C19], "refused or cut"),
        (Flaw::HintsDrip, &[C19], "before the whole of it"),
        (Flaw::PartsForgotten, &[C34], "a part is gone"),
        (Flaw::OtherSegments, &[C20, C36], "the same samples"),
        (Flaw::OtherNames, &[C7], "another part came than was hinted"),
        (Flaw::UnofferedDelta, &[C24], "where deltas are not offered"),
        (Flaw::EmptyMedia, &[C22], "an empty body"),
    ];
    std::thread::scope(|scope| {
        let runs: Vec<_> = table
            .iter()
            .map(|case| (case, scope.spawn(move || checked(case.0))))
            .collect();
        for ((flaw, rules, what), run) in runs {
            let findings = run.join().expect("a run");
            let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
            let bad: Vec<_> = findings
                .iter()
                .filter(|finding| finding.level == Level::Fail)
                .collect();
            let strange: Vec<_> = bad
                .iter()
                .filter(|finding| !rules.contains(&finding.rule) && !paced.contains(&finding.rule))
                .collect();
            assert!(strange.is_empty(), "{flaw:?}: {strange:#?}");
            let told = what.is_empty() || bad.iter().any(|finding| finding.what.contains(what));
            assert!(told, "{flaw:?}: {:?}", failed(&findings));
        }
    });
}

#[test]
fn a_good_origin_of_dash_passes_and_each_flaw_is_named() {
    let paced = [D9, D21].map(|rule| rule.to_string());
    let table: &[(Wrong, &[Rule], &str)] = &[
        (Wrong::Nothing, &[], ""),
        (Wrong::Whole, &[D13, D21], "somebody waited for its end"),
        (Wrong::Torn, &[D13], "other bytes than the whole one"),
        (Wrong::Empty, &[D11, D12], "holds no media"),
        (Wrong::Forgetful, &[D10], "within the window"),
        (Wrong::OffGrid, &[D14], "off its grid"),
        (Wrong::Unpublished, &[D7], "publishTime does not rise"),
        (Wrong::Moving, &[D7, D8], "availabilityStartTime changes"),
        (Wrong::Anything, &[D12], "never said is not refused"),
    ];
    std::thread::scope(|scope| {
        let runs: Vec<_> = table
            .iter()
            .map(|case| {
                let run = move || {
                    let outcome = Run::new(14, Vec::new())
                        .check(&dash::start(case.0), |_| {})
                        .expect("an MPD");
                    outcome
                        .verdicts
                        .findings(|rule| rule.sheet() == outcome.sheet)
                };
                (case, scope.spawn(run))
            })
            .collect();
        for ((wrong, rules, what), run) in runs {
            let findings = run.join().expect("a run");
            let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
            let bad = findings.iter().filter(|of| of.level == Level::Fail);
            let (due, strange): (Vec<_>, Vec<_>) = bad
                .filter(|of| rules.contains(&of.rule) || !paced.contains(&of.rule))
                .partition(|of| rules.contains(&of.rule));
            assert!(strange.is_empty(), "{wrong:?}: {strange:#?}");
            let told = what.is_empty() || due.iter().any(|of| of.what.contains(what));
            assert!(told, "{wrong:?}: {:#?}", failed(&findings));
        }
    });
}

#[test]
fn what_is_no_playlist_is_said() {
    let address = start(Flaw::Nothing);
    let media = address.replace("list.m3u8", "header.mp4");
    let missing = address.replace("list.m3u8", "nothing");
    for (address, why) in [
        (&*media, "status 200"),
        (&missing, "status 404"),
        ("http://127.0.0.1:9/", "http"),
    ] {
        let refused = Run::new(1, Vec::new())
            .check(address, |_| {})
            .expect_err("no playlist");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn only_what_is_wanted_is_judged() {
    let run = Run::new(1, vec![C9]);
    let outcome = run
        .check(&start(Flaw::PartAlone), |_| {})
        .expect("a playlist");
    let findings = outcome.verdicts.findings(|rule| run.wants(rule));
    assert_eq!(failed(&findings), ["C9"]);
    assert_eq!(findings.len(), 1);
}
