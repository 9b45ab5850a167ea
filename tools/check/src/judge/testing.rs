//! Observations for tests, and what the judges said of them.

use crate::answer::{Answer, Arrival};
use crate::judge::follow::Follow;
use crate::judge::reload::Reload;
use crate::playlist::media::Media;
use crate::rule::Rule;
use crate::verdict::{Level, Scope, Verdicts};

pub(super) const VIDEO: &str = include_str!("../../../../fixtures/golden/hls/reference_v1.m3u8");
pub(super) const AUDIO: &str = include_str!("../../../../fixtures/golden/hls/reference_a1.m3u8");
pub(super) const V1: &str = "http://h/p/v1.m3u8";

/// A name, what is judged, and the one finding that is due: rule, level,
/// clause and a piece of its sentence.
pub(super) type Case<T> = (&'static str, T, Rule, Level, &'static str, &'static str);

/// FAIL and WARN, in short: rule, level, clause, what.
pub(super) type Short = (Rule, Level, String, String);

pub(super) fn found(verdicts: &Verdicts) -> Vec<Short> {
    let all = verdicts.findings(|_| true);
    let bad = all
        .into_iter()
        .filter(|finding| matches!(finding.level, Level::Fail | Level::Warn));
    bad.map(|finding| {
        let rule = Rule::parse(&finding.rule).expect("a rule");
        (rule, finding.level, finding.clause, finding.what)
    })
    .collect()
}

/// What one judge finds.
pub(super) fn judged(judge: impl FnOnce(&mut Scope<'_>)) -> Vec<Short> {
    let mut verdicts = Verdicts::new();
    judge(&mut verdicts.of("v1.m3u8"));
    found(&verdicts)
}

pub(super) fn list(text: &str) -> Media {
    Media::parse(V1, text)
}

/// The one finding that is expected, with a piece of its sentence.
pub(super) fn assert_only(
    found: &[Short],
    rule: Rule,
    level: Level,
    clause: &str,
    what: &str,
    case: &str,
) {
    let [(a, b, c, d)] = found else {
        panic!("{case}: one finding expected, {rule} {what}; there are {found:#?}");
    };
    assert!(
        (*a, *b) == (rule, level) && c.contains(clause) && d.contains(what),
        "{case}: expected {rule} {level:?} [{clause}] {what}, found {found:#?}"
    );
}

/// The golden list with one edit, which must be possible.
pub(super) fn edited(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the list");
    text.replacen(from, to, 1)
}

pub(super) fn answer(status: u16, body: &[u8]) -> Answer {
    Answer {
        address: format!("{V1}?q"),
        answered_by: V1.to_owned(),
        sent_us: 1_000_000,
        head_us: 1_001_000,
        done_us: 1_002_000,
        status,
        body: body.to_vec(),
        arrivals: vec![Arrival {
            at_us: 1_002_000,
            bytes: body.len(),
        }],
        ..Answer::default()
    }
}

pub(super) fn with_header(mut answer: Answer, name: &str, value: &str) -> Answer {
    answer.headers.retain(|(known, _)| known != name);
    if !value.is_empty() {
        answer.headers.push((name.to_owned(), value.to_owned()));
    }
    answer
}

pub(super) fn reload(msn: u64, part: Option<u64>, status: u16, text: &str) -> Reload {
    let answer = answer(status, text.as_bytes());
    let list = (status == 200).then(|| list(text));
    Reload {
        msn,
        part,
        answer,
        list,
    }
}

/// A list that grows: three-part segments of 1.5 s, six of them whole, with
/// parts in the last four, at a moment in parts since the beginning.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) first: u64,
    pub(super) parts: u64,
}

impl Live {
    pub(super) fn text(self) -> String {
        let (open, index) = (self.parts / 3, self.parts % 3);
        let mut out = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5\n\
             #EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:{}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP:URI=\"h.mp4\"\n",
            self.first
        );
        for msn in self.first..=open {
            let at = msn * 1500;
            let date = format!(
                "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:{:02}:{:02}.{:03}Z\n",
                at / 60_000,
                at / 1000 % 60,
                at % 1000
            );
            let parts = if msn == open { index } else { 3 };
            // Parts leave when their segment ends more than 6 s from the end.
            let behind = (self.parts - (msn + 1).min(open) * 3) * 500;
            if parts > 0 {
                out.push_str(&date);
            }
            if behind <= 6000 {
                for part in 0..parts {
                    let uri = format!("p{}.m4s", msn * 3 + part);
                    out.push_str(&format!("#EXT-X-PART:DURATION=0.5,URI=\"{uri}\"\n"));
                }
            }
            if msn < open {
                out.push_str(&format!("#EXTINF:1.5,\ns{msn}.m4s\n"));
            }
        }
        out.push_str(&format!(
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p{}.m4s\"\n",
            self.parts
        ));
        out
    }
}

/// Versions in order, seen every half second, judged to the end.
pub(super) fn followed(versions: &[String]) -> Vec<Short> {
    let timed: Vec<(u64, String)> = (0..)
        .map(|at| at * 500_000)
        .zip(versions.iter().cloned())
        .collect();
    found(&follow(V1, &timed).1)
}

pub(super) fn follow(address: &str, versions: &[(u64, String)]) -> (Follow, Verdicts) {
    let mut verdicts = Verdicts::new();
    let mut follow = Follow::new(address.rsplit('/').next().unwrap_or(""), address);
    for (at_us, text) in versions {
        follow.see(*at_us, Media::parse(address, text), 0, &mut verdicts);
    }
    let end_us = versions.last().map_or(0, |(at_us, _)| *at_us);
    follow.finish(end_us, &mut verdicts);
    (follow, verdicts)
}

pub(super) fn demo(name: &str) -> Vec<u8> {
    let path = format!("{}/../../fixtures/demo/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a fixture")
}

/// The list without the parts of one segment.
pub(super) fn drop_parts(text: &str, msn: u64) -> String {
    let of = |line: &str| {
        (0..3).any(|part| line.contains(&format!("\"p{}.m4s\"", msn * 3 + part)))
            && line.starts_with("#EXT-X-PART:")
    };
    text.lines()
        .filter(|line| !of(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

pub(super) fn nth_line(text: &str, start: &str, index: usize) -> String {
    let mut found = text.lines().filter(|line| line.starts_with(start));
    found.nth(index).expect("such a line").to_owned()
}

pub(super) fn first_line(text: &str, start: &str) -> String {
    nth_line(text, start, 0)
}

pub(super) fn quoted(line: &str) -> &str {
    let from = line.find("URI=\"").expect("a URI") + 5;
    &line[from..from + line[from..].find('"').expect("its end")]
}
