//! Deliberately broken playlists and answers: each must be found out for the
//! right reason, and for that alone.

use std::collections::BTreeMap;

use super::testing::*;
use super::together::{Anchor, Member, mapping};
use super::transport::{Handshake, Kind};
use super::{delta, media, multivariant, reload, text, together, transport};
use crate::answer::{Answer, Arrival};
use crate::fmp4::Header;
use crate::judge::media::{Continuity, Hinted};
use crate::playlist::media::Media;
use crate::playlist::multivariant::{Multivariant, Role};
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};
use crate::verdict::Verdicts;

fn of_text(text: &str) -> Vec<Short> {
    judged(|on| text::media(on, &list(text), 0, text::FRAME_US))
}

#[test]
fn good_lists_are_not_blamed() {
    for text in [VIDEO, AUDIO] {
        assert_eq!(of_text(text), []);
    }
    let versions: Vec<String> = (18..60)
        .map(|parts| {
            Live {
                first: (parts / 3u64).saturating_sub(8),
                parts,
            }
            .text()
        })
        .collect();
    assert_eq!(followed(&versions), []);
}

#[test]
fn single_lists_fail_for_the_right_reason() {
    let part = "#EXT-X-PART:DURATION=0.50000,URI=\"v1/golden-p440.m4s\",INDEPENDENT=YES";
    let part = if VIDEO.contains(part) {
        part.to_owned()
    } else {
        first_line(VIDEO, "#EXT-X-PART:")
    };
    let second = nth_line(VIDEO, "#EXT-X-PART:", 1);
    let control = first_line(VIDEO, "#EXT-X-SERVER-CONTROL:");
    let hint = first_line(VIDEO, "#EXT-X-PRELOAD-HINT:");
    let inf = "#EXT-X-PART-INF:PART-TARGET=0.50000\n";
    let date = first_line(VIDEO, "#EXT-X-PROGRAM-DATE-TIME:");
    let long = second.replace("DURATION=0.50000", "DURATION=0.50100");
    let short = second.replace("DURATION=0.50000", "DURATION=0.40000");
    let listed = hint.replace(quoted(&hint), quoted(&part));
    let late_date = format!("{part}\n{date}\n");
    let with_control = |text: &str| format!("#EXT-X-SERVER-CONTROL:{text}");
    let table: Vec<(&str, String, Rule, crate::verdict::Level, &str, &str)> = vec![
        (
            "no PART-INF",
            edited(VIDEO, inf, ""),
            C2,
            Fail,
            "4.4.3.7",
            "without EXT-X-PART-INF",
        ),
        (
            "no blocking",
            edited(VIDEO, "CAN-BLOCK-RELOAD=YES,", ""),
            C2,
            Fail,
            "B.1",
            "without CAN-BLOCK-RELOAD",
        ),
        (
            "no hold-back",
            edited(VIDEO, &control, &with_control("CAN-BLOCK-RELOAD=YES")),
            C2,
            Fail,
            "4.4.3.8",
            "without PART-HOLD-BACK",
        ),
        (
            "hold-back below 2",
            edited(
                VIDEO,
                &control,
                &with_control("CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.99"),
            ),
            C2,
            Fail,
            "4.4.3.8",
            "below twice",
        ),
        (
            "hold-back below 3",
            edited(
                VIDEO,
                &control,
                &with_control("CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.49999"),
            ),
            C2,
            Warn,
            "Apple 14.3",
            "below three times",
        ),
        (
            "HOLD-BACK",
            edited(VIDEO, &control, &format!("{control},HOLD-BACK=5.9")),
            C2,
            Fail,
            "4.4.3.8",
            "HOLD-BACK is below three",
        ),
        (
            "skip until",
            edited(
                VIDEO,
                &control,
                &with_control("CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=11.9"),
            ),
            C2,
            Fail,
            "4.4.3.8",
            "CAN-SKIP-UNTIL is below six",
        ),
        (
            "skip dateranges",
            edited(
                VIDEO,
                &control,
                &with_control("CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-DATERANGES=YES"),
            ),
            C2,
            Fail,
            "4.4.3.8",
            "without CAN-SKIP-UNTIL",
        ),
        (
            "long part",
            edited(VIDEO, &second, &long),
            C4,
            Fail,
            "4.4.4.9",
            "longer than the part target",
        ),
        (
            "short part",
            edited(VIDEO, &second, &short),
            C4,
            Fail,
            "4.4.4.9",
            "shorter than 85 %",
        ),
        (
            "long segment",
            edited(VIDEO, "#EXTINF:2.00000,", "#EXTINF:2.50000,"),
            C5,
            Fail,
            "4.4.3.1",
            "longer than the target duration",
        ),
        (
            "sum",
            edited(VIDEO, &format!("{second}\n"), ""),
            C6,
            Fail,
            "4.4.4.9",
            "do not add up",
        ),
        (
            "no hint",
            edited(VIDEO, &format!("{hint}\n"), ""),
            C7,
            Fail,
            "B.1",
            "no hint",
        ),
        (
            "two hints",
            edited(
                VIDEO,
                &hint,
                &format!("{hint}\n{}", hint.replace(".m4s", "x.m4s")),
            ),
            C7,
            Fail,
            "6.2.6",
            "two hints",
        ),
        (
            "hint of a listed part",
            edited(VIDEO, &hint, &listed),
            C7,
            Fail,
            "4.4.5.3",
            "that is listed",
        ),
        (
            "hint after the end",
            format!("{VIDEO}#EXT-X-ENDLIST\n"),
            C7,
            Fail,
            "4.4.5.3",
            "has ended",
        ),
        (
            "version too low",
            edited(VIDEO, "#EXT-X-VERSION:6", "#EXT-X-VERSION:5"),
            C8,
            Fail,
            "8",
            "below what the content needs",
        ),
        (
            "version too high",
            edited(VIDEO, "#EXT-X-VERSION:6", "#EXT-X-VERSION:10"),
            C8,
            Warn,
            "6.2.1",
            "above what the content needs",
        ),
        (
            "a tag twice",
            edited(VIDEO, inf, &format!("{inf}{inf}")),
            C8,
            Fail,
            "4.4",
            "stands twice",
        ),
        (
            "an attribute twice",
            edited(VIDEO, &second, &format!("{second},DURATION=0.50000")),
            C8,
            Fail,
            "4.2",
            "attribute stands twice",
        ),
        (
            "a date behind a part",
            edited(VIDEO, &format!("{part}\n"), &late_date),
            C8,
            Fail,
            "4.4.4.9",
            "behind its first part",
        ),
        (
            "a URI in no quotes",
            edited(VIDEO, &second, &second.replace('"', "")),
            C8,
            Fail,
            "4.4.4.9",
            "not of its type",
        ),
    ];
    for (case, text, rule, level, clause, what) in table {
        assert_only(&of_text(&text), rule, level, clause, what, case);
    }
}

#[test]
fn exceptions_to_the_shortest_part_hold() {
    let second = nth_line(VIDEO, "#EXT-X-PART:", 1);
    let short = second.replace("DURATION=0.50000", "DURATION=0.49500");
    let third = nth_line(VIDEO, "#EXT-X-PART:", 2);
    let tiny = second.replace("DURATION=0.50000", "DURATION=0.10000");
    let c4 = |text: &str| {
        of_text(text)
            .into_iter()
            .filter(|(rule, ..)| *rule == C4)
            .count()
    };
    assert_eq!(c4(&edited(VIDEO, &second, &short)), 0);
    assert_eq!(c4(&edited(VIDEO, &second, &tiny)), 1);
    assert_eq!(
        c4(&edited(VIDEO, &second, &format!("{tiny},INDEPENDENT=YES"))),
        0
    );
    assert_eq!(c4(&edited(VIDEO, &second, &format!("{tiny},GAP=YES"))), 0);
    let before_gap = edited(VIDEO, &second, &tiny);
    assert_eq!(
        c4(&edited(&before_gap, &third, &format!("{third},GAP=YES"))),
        0
    );
}

#[test]
fn lists_over_time_fail_for_the_right_reason() {
    let live = |parts| Live { first: 2, parts }.text();
    let good: Vec<String> = (24..34).map(live).collect();
    assert_eq!(followed(&good), []);
    let with = |at: usize, from: &str, to: &str| {
        let mut versions = good.clone();
        versions[at] = edited(&versions[at], from, to);
        versions
    };
    let onward = |at: usize, from: &str, to: &str| {
        let mut versions = good.clone();
        for version in &mut versions[at..] {
            *version = edited(version, from, to);
        }
        versions
    };
    let mut back = good.clone();
    back.insert(6, live(27));
    let mut rose = good.clone();
    rose[9] = edited(
        &rose[9],
        "#EXT-X-MEDIA-SEQUENCE:2",
        "#EXT-X-MEDIA-SEQUENCE:3",
    );
    let renumbered: Vec<String> = good
        .iter()
        .enumerate()
        .map(|(at, text)| match at {
            0..5 => text.clone(),
            _ => edited(text, "#EXT-X-PART:DURATION=0.5,URI=\"p18.m4s\"\n", ""),
        })
        .collect();
    let table: Vec<(&str, Vec<String>, Rule, crate::verdict::Level, &str, &str)> = vec![
        (
            "target duration",
            with(9, "DURATION:2", "DURATION:3"),
            C28,
            Fail,
            "6.2.1",
            "target duration changed",
        ),
        (
            "part target",
            onward(5, "PART-TARGET=0.5", "PART-TARGET=0.49999"),
            C28,
            Fail,
            "4.4.3.7",
            "part target changed",
        ),
        (
            "control",
            onward(5, "PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.6"),
            C28,
            Fail,
            "4.4.3.8",
            "server control changed",
        ),
        (
            "another URI",
            with(9, "\ns7.m4s", "\nx7.m4s"),
            C29,
            Fail,
            "6.2.2",
            "another URI",
        ),
        (
            "another header",
            onward(9, "h.mp4", "i.mp4"),
            C29,
            Fail,
            "6.2.1",
            "another EXT-X-MAP",
        ),
        (
            "a changed part",
            with(9, "URI=\"p25.m4s\"", "URI=\"x25.m4s\""),
            C29,
            Fail,
            "6.2.1",
            "a listed part changed",
        ),
        (
            "discontinuity numbers",
            with(9, "DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"),
            C30,
            Fail,
            "6.2.2",
            "another discontinuity number",
        ),
        (
            "another date",
            with(9, "00:00:04.500Z", "00:00:04.490Z"),
            C33,
            Fail,
            "6.2.1",
            "got, lost or changed its date",
        ),
        (
            "another hint",
            with(4, "TYPE=PART,URI=\"p28.m4s\"", "TYPE=PART,URI=\"p29.m4s\""),
            C7,
            Fail,
            "4.4.5.3",
            "another part came than was hinted",
        ),
        ("back in time", back, C29, Fail, "6.2.1", "went back"),
        (
            "an unasked delta",
            with(
                9,
                "#EXT-X-MAP:",
                "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXT-X-MAP:",
            ),
            C25,
            Fail,
            "6.2.5.1",
            "nobody asked for",
        ),
    ];
    for (case, versions, rule, level, clause, what) in table {
        let found = followed(&versions);
        // An edit may break the neighbouring list rules as well; the first
        // cause must be among what is found, and be there once.
        let first: Vec<Short> = found
            .iter()
            .filter(|(of, ..)| *of == rule)
            .take(1)
            .cloned()
            .collect();
        assert_only(
            &first,
            rule,
            level,
            clause,
            what,
            &format!("{case}: {found:?}"),
        );
    }
    let of = |found: Vec<Short>, rule: Rule| -> Vec<String> {
        found
            .into_iter()
            .filter(|(of, ..)| *of == rule)
            .map(|(.., what)| what)
            .collect()
    };
    assert_eq!(
        of(followed(&rose), C29)[0],
        "a media sequence number has another URI than before"
    );
    assert_eq!(
        of(followed(&renumbered), C34),
        ["only some parts of a segment left, which renumbers the others"]
    );
}

#[test]
fn lateness_is_told_by_how_late() {
    let live = |parts| Live { first: 2, parts }.text();
    let at = |late_us: u64| {
        vec![
            (0, live(24)),
            (500_000, live(25)),
            (1_000_000 + late_us, live(26)),
        ]
    };
    let of = |versions: &[(u64, String)]| found(&follow(V1, versions).1);
    assert_eq!(of(&at(400_000)), []);
    assert_only(
        &of(&at(600_000)),
        C31,
        Warn,
        "6.2.1",
        "further apart than the part target",
        "late",
    );
    assert_only(
        &of(&at(1_600_000)),
        C31,
        Fail,
        "6.2.1",
        "players run dry",
        "too late",
    );
    // A source that broke off shows so.
    let mut broken = at(1_600_000);
    broken[2].1 = edited(
        &broken[2].1,
        "#EXT-X-PART:DURATION=0.5,URI=\"p25.m4s\"",
        "#EXT-X-PART:DURATION=0.5,URI=\"p25.m4s\",GAP=YES",
    );
    let all = of(&broken);
    assert!(
        all.iter()
            .all(|(rule, level, ..)| (*rule, *level) != (C31, Fail)),
        "{all:?}"
    );
    let stopped = vec![(0, live(24)), (500_000, live(25)), (9_000_000, live(25))];
    assert_only(
        &of(&stopped),
        C31,
        Fail,
        "6.2.1",
        "nothing more was published",
        "stopped",
    );
    let slow: Vec<_> = [24, 25, 26]
        .into_iter()
        .map(|parts| (parts * 500_000, live(parts)))
        .chain([(14_500_000, live(26)), (16_600_000, live(27))])
        .collect();
    assert!(
        of(&slow)
            .iter()
            .any(|(rule, level, _, what)| (*rule, *level) == (C31, Fail)
                && what.contains("1.5 target durations"))
    );
}

#[test]
fn removal_and_dates_over_time() {
    // Eight seconds of parts too many, and parts that left too early.
    let version = |parts| Live { first: 0, parts }.text();
    let stay: Vec<String> = (36..46).map(|parts| {
        let text = version(parts);
        edited(&text, "#EXTINF:1.5,\ns3.m4s", "#EXT-X-PART:DURATION=0.5,URI=\"p9.m4s\"\n#EXT-X-PART:DURATION=0.5,URI=\"p10.m4s\"\n#EXT-X-PART:DURATION=0.5,URI=\"p11.m4s\"\n#EXTINF:1.5,\ns3.m4s")
    }).collect();
    assert_only(
        &followed(&stay),
        C34,
        Warn,
        "6.2.2",
        "long after they should have left",
        "stay",
    );
    let early = vec![version(24), drop_parts(&version(25), 6)];
    assert_only(
        &followed(&early),
        C34,
        Warn,
        "6.2.1",
        "less than three target durations",
        "early",
    );
    // A window of three segments is under three target durations.
    let narrow: Vec<String> = (24..36)
        .map(|parts| {
            Live {
                first: (parts / 3) - 3,
                parts,
            }
            .text()
        })
        .collect();
    let found = followed(&narrow);
    assert!(
        found
            .iter()
            .any(|(rule, level, ..)| (*rule, *level) == (C35, Fail)),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|(rule, level, ..)| (*rule, *level) == (C35, Warn)),
        "{found:?}"
    );
    // Dates that jump, drift and are missing.
    let jump = edited(&version(24), "T00:00:03.000Z", "T00:00:05.000Z");
    let all = followed(&[jump]);
    assert!(
        all.iter()
            .any(|(rule, level, .., what)| (*rule, *level) == (C33, Fail)
                && what.contains("a second or more"))
    );
    let drift = edited(&version(24), "T00:00:03.000Z", "T00:00:03.060Z");
    assert_only(
        &followed(&[drift]),
        C33,
        Warn,
        "4.4.4.6",
        "more than a frame",
        "drift",
    );
    let missing = edited(
        &version(24),
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:03.000Z\n",
        "",
    );
    assert_only(
        &followed(&[missing]),
        C33,
        Warn,
        "practice",
        "a segment has no date",
        "missing",
    );
    let unnumbered = edited(
        &edited(&version(24), "#EXT-X-DISCONTINUITY-SEQUENCE:0\n", ""),
        "#EXTINF:1.5,\ns3",
        "#EXT-X-DISCONTINUITY\n#EXTINF:1.5,\ns3",
    );
    assert_only(
        &followed(&[unnumbered]),
        C30,
        Warn,
        "Apple 8.17",
        "without EXT-X-DISCONTINUITY-SEQUENCE",
        "unnumbered",
    );
    // A new header that no hint told of.
    let header = vec![
        version(24),
        edited(
            &version(25),
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:12.000Z\n",
            "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:12.000Z\n",
        ),
    ];
    assert_only(
        &followed(&header),
        C7,
        Warn,
        "B.1",
        "without a hint of TYPE=MAP",
        "header",
    );
    let told = vec![
        edited(
            &version(24),
            "#EXT-X-PRELOAD-HINT:",
            "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"i.mp4\"\n#EXT-X-PRELOAD-HINT:",
        ),
        header[1].clone(),
    ];
    assert_eq!(followed(&told), []);
}

#[test]
fn date_ranges_do_not_change() {
    let with = |range: &str| {
        edited(
            VIDEO,
            "#EXT-X-PRELOAD-HINT",
            &format!(
                "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-01-01T00:00:00Z\"{range}\n#EXT-X-PRELOAD-HINT"
            ),
        )
    };
    assert_eq!(followed(&[with(""), with(",DURATION=3")]), []);
    assert_only(
        &followed(&[with(",DURATION=3"), with(",DURATION=4")]),
        C44,
        Fail,
        "4.4.5.1",
        "attribute of a date range changed",
        "changed",
    );
    assert_only(
        &followed(&[with(",SCTE35-OUT=0xFC00")]),
        C44,
        Fail,
        "4.4.5.1.1",
        "does not hold its CRC",
        "crc",
    );
    // The splice_insert of ANSI/SCTE 35 section 14.2.
    let splice = ",SCTE35-OUT=0xFC302F000000000000FFFFF014054800008F7FEFFE7369C02EFE0052CCF500000000000A0008435545490000013562DBA30A";
    assert_eq!(followed(&[with(splice)]), []);
}

#[test]
fn renditions_fail_together_for_the_right_reason() {
    let versions = |name: &str, from: u64, delay: u64| -> Vec<(u64, String)> {
        let other = if name == "a" { "b" } else { "a" };
        (0..24).map(|step| {
            let parts = from + step;
            let (msn, part) = match parts % 3 {
                0 => (parts / 3 - 1, 2),
                index => (parts / 3, index - 1),
            };
            let text = Live { first: 2, parts }.text();
            (step * 500_000 + delay, format!("{text}#EXT-X-RENDITION-REPORT:URI=\"{other}.m3u8\",LAST-MSN={msn},LAST-PART={part}\n"))
        }).collect()
    };
    let judge = |a: &[(u64, String)], b: &[(u64, String)]| {
        let (one, other) = (
            follow("http://h/p/a.m3u8", a).0,
            follow("http://h/p/b.m3u8", b).0,
        );
        let members = [
            Member {
                role: Role::Variant,
                address: "http://h/p/a.m3u8",
                follow: &one,
            },
            Member {
                role: Role::Rendition,
                address: "http://h/p/b.m3u8",
                follow: &other,
            },
        ];
        let mut verdicts = Verdicts::new();
        together::judge(&members, &mut verdicts);
        found(&verdicts)
    };
    let (a, b) = (versions("a", 24, 0), versions("b", 24, 0));
    assert_eq!(judge(&a, &b), []);
    let edit = |list: &[(u64, String)], from: &str, to: &str| -> Vec<(u64, String)> {
        list.iter()
            .map(|(at, text)| (*at, text.replace(from, to)))
            .collect()
    };
    assert_only(
        &judge(&a, &edit(&b, "HOLD-BACK=1.5", "HOLD-BACK=1.6")),
        C3,
        Fail,
        "6.2.4",
        "EXT-X-SERVER-CONTROL differs",
        "control",
    );
    assert_only(
        &judge(&a, &edit(&b, "DURATION:2", "DURATION:3")),
        C3,
        Fail,
        "6.2.4",
        "target durations differ",
        "target",
    );
    let lines = |list: &[(u64, String)]| -> Vec<(u64, String)> {
        list.iter()
            .map(|(at, text)| {
                (
                    *at,
                    text.lines()
                        .filter(|line| !line.contains("RENDITION"))
                        .map(|line| format!("{line}\n"))
                        .collect(),
                )
            })
            .collect()
    };
    assert_only(
        &judge(&lines(&a), &b),
        C26,
        Warn,
        "B.1",
        "no rendition reports",
        "none",
    );
    let absolute = judge(&edit(&a, "URI=\"b.m3u8\"", "URI=\"http://h/p/b.m3u8\""), &b);
    assert_only(&absolute, C26, Fail, "4.4.5.4", "not relative", "absolute");
    let elsewhere = judge(&edit(&a, "URI=\"b.m3u8\"", "URI=\"b.m3u8?x=1\""), &b);
    assert!(
        elsewhere
            .iter()
            .any(|(rule, level, _, what)| (*rule, *level) == (C26, Warn)
                && what.contains("leads to no URI")),
        "{elsewhere:?}"
    );
    assert!(
        elsewhere
            .iter()
            .any(|(rule, level, ..)| (*rule, *level) == (C26, Fail)),
        "{elsewhere:?}"
    );
    // Reports that say what was three seconds ago, or will be.
    let stale: Vec<_> = a
        .iter()
        .enumerate()
        .map(|(at, (us, text))| (*us, swap_report(text, &a[at.saturating_sub(6)].1)))
        .collect();
    assert_only(
        &judge(&stale, &b),
        C26,
        Fail,
        "4.4.5.4",
        "older than its rendition",
        "stale",
    );
    let ahead: Vec<_> = a
        .iter()
        .enumerate()
        .map(|(at, (us, text))| (*us, swap_report(text, &a[(at + 6).min(23)].1)))
        .collect();
    assert_only(
        &judge(&ahead, &b),
        C26,
        Fail,
        "4.4.5.4",
        "ahead of its rendition",
        "ahead",
    );
    // One rendition three parts, then eight behind the other.
    let c32 = |found: Vec<Short>| -> Vec<_> {
        found
            .into_iter()
            .filter(|(rule, ..)| *rule == C32)
            .map(|(_, level, ..)| level)
            .collect()
    };
    assert_eq!(c32(judge(&a, &versions("b", 21, 0))), [Warn]);
    assert_eq!(c32(judge(&a, &versions("b", 16, 0))), [Fail]);
    let broke = judge(
        &a,
        &edit(&b, "DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"),
    );
    assert!(
        broke
            .iter()
            .all(|(rule, level, ..)| (*rule, *level) == (C30, Fail))
            && !broke.is_empty(),
        "{broke:?}"
    );
    let anchor = |offset_us| {
        [Anchor {
            discontinuity: 0,
            offset_us,
            frame_us: 33_334,
        }]
    };
    for (offset_us, expected) in [(30_000, None), (60_000, Some(Warn)), (900_000, Some(Fail))] {
        let mut verdicts = Verdicts::new();
        mapping(
            &[("a", &anchor(0)), ("b", &anchor(offset_us))],
            &mut verdicts,
        );
        assert_eq!(
            found(&verdicts).first().map(|(_, level, ..)| *level),
            expected,
            "{offset_us}"
        );
    }
}

#[test]
fn reloads_fail_for_the_right_reason() {
    let slow = |mut reload: reload::Reload, us| {
        reload.answer.done_us = reload.answer.sent_us + us;
        reload
    };
    let before = list(VIDEO);
    let (seen, _) = follow(V1, &[(1_000_000, VIDEO.to_owned())]);
    let later = list(VIDEO).next();
    let plain = answer(200, VIDEO.as_bytes());
    let other = answer(200, edited(VIDEO, "p440", "q440").as_bytes());
    let table: Vec<(&str, Vec<Short>, Rule, crate::verdict::Level, &str)> = vec![
        (
            "part alone",
            judged(|on| reload::part_alone(on, &answer(200, b""))),
            C9,
            Fail,
            "not refused with 400",
        ),
        (
            "no number",
            judged(|on| reload::no_number(on, "x", &answer(200, b""))),
            C10,
            Warn,
            "not refused with 400",
        ),
        (
            "no number breaks",
            judged(|on| reload::no_number(on, "x", &answer(500, b""))),
            C10,
            Fail,
            "breaks the server",
        ),
        (
            "far ahead",
            judged(|on| reload::too_far(on, &reload(112, None, 503, ""), 109, 1000)),
            C11,
            Warn,
            "not refused",
        ),
        (
            "far ahead, late",
            judged(|on| reload::too_far(on, &slow(reload(112, None, 400, ""), 900_000), 109, 1000)),
            C11,
            Warn,
            "not at once",
        ),
        (
            "coming, refused",
            judged(|on| reload::coming(on, &reload(110, Some(2), 400, ""), &seen)),
            C12,
            Fail,
            "refused",
        ),
        (
            "coming, late",
            judged(|on| {
                reload::coming(
                    on,
                    &slow(reload(110, Some(1), 200, VIDEO), 1_100_000),
                    &seen,
                )
            }),
            C12,
            Fail,
            "more than a part after",
        ),
        (
            "past the end",
            judged(|on| reload::past_the_end(on, &reload(109, Some(4), 400, ""))),
            C13,
            Fail,
            "past the end",
        ),
        (
            "past, refused",
            judged(|on| reload::past(on, &reload(90, None, 400, ""), &before, 1000)),
            C14,
            Fail,
            "refused",
        ),
        (
            "past, held",
            judged(|on| {
                reload::past(
                    on,
                    &slow(reload(90, None, 200, VIDEO), 2_000_000),
                    &before,
                    1000,
                )
            }),
            C14,
            Fail,
            "held",
        ),
        (
            "past, old list",
            judged(|on| reload::past(on, &reload(90, None, 200, &older(VIDEO)), &before, 1000)),
            C14,
            Fail,
            "old list",
        ),
        (
            "ends with 500",
            judged(|on| reload::whole(on, &reload(110, Some(2), 500, ""))),
            C16,
            Fail,
            "neither 200, 400 nor 503",
        ),
        (
            "ends with 404",
            judged(|on| reload::whole(on, &reload(110, Some(2), 404, ""))),
            C16,
            Warn,
            "404 or 410",
        ),
        (
            "too early",
            judged(|on| reload::whole(on, &reload(110, Some(2), 200, VIDEO))),
            C16,
            Fail,
            "without what it asked for",
        ),
        (
            "ways",
            judged(|on| reload::ways(on, &[plain.clone(), plain.clone(), other.clone()])),
            C17,
            Warn,
            "order of parameters",
        ),
        (
            "twice",
            judged(|on| {
                reload::twice(
                    on,
                    &[plain.clone(), other.clone()],
                    &reload(110, Some(1), 200, VIDEO),
                )
            }),
            C18,
            Fail,
            "two lists",
        ),
        (
            "repeated",
            judged(|on| {
                reload::twice(
                    on,
                    &[plain.clone(), plain.clone()],
                    &reload(110, Some(1), 200, &older(VIDEO)),
                )
            }),
            C18,
            Fail,
            "older list",
        ),
    ];
    assert_eq!(later, (110, 2));
    for (case, found, rule, level, what) in table {
        let clause = found
            .first()
            .map(|(_, _, clause, _)| clause.clone())
            .unwrap_or_default();
        assert_only(&found, rule, level, &clause, what, case);
    }
    // A segment asked for whole and answered with its parts breaks two rules.
    let early = judged(|on| reload::whole_segment(on, &reload(110, None, 200, VIDEO)));
    assert_eq!(
        early
            .iter()
            .map(|(rule, level, ..)| (*rule, *level))
            .collect::<Vec<_>>(),
        [(C15, Fail), (C16, Fail)]
    );
    let well = judged(|on| {
        reload::coming(on, &reload(110, Some(1), 200, VIDEO), &seen);
        reload::past_the_end(on, &reload(109, Some(4), 200, VIDEO));
        reload::past(on, &reload(90, None, 200, VIDEO), &before, 1000);
        reload::whole_segment(on, &reload(109, None, 200, VIDEO));
        reload::twice(
            on,
            &[plain.clone(), plain.clone()],
            &reload(110, Some(1), 200, VIDEO),
        );
    });
    assert_eq!(well, []);
}

fn demo(name: &str) -> Vec<u8> {
    let path = format!("{}/../../fixtures/demo/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a fixture")
}

/// The demo's sound as header and fragments.
fn fragments() -> (Header, Vec<Vec<u8>>) {
    let bytes = demo("audio.cmfa");
    let header = Header::parse(&bytes).expect("a header");
    let (mut at, mut starts) = (0, Vec::new());
    while at < bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
        if &bytes[at + 4..at + 8] == b"moof" {
            starts.push(at);
        }
        at += len;
    }
    starts.push(bytes.len());
    (
        header,
        starts
            .windows(2)
            .map(|pair| bytes[pair[0]..pair[1]].to_vec())
            .collect(),
    )
}

#[test]
fn media_fails_for_the_right_reason() {
    let (header, pieces) = fragments();
    let whole: Vec<u8> = pieces[..3].concat();
    let hinted = |hint: Answer, listed: &[u8]| Hinted {
        uri: "p".to_owned(),
        answer: hint,
        listed: Some(answer(200, listed)),
    };
    let body = &pieces[0];
    let mut dripping = answer(200, body);
    dripping.arrivals = vec![
        Arrival {
            at_us: 0,
            bytes: 10,
        },
        Arrival {
            at_us: 400_000,
            bytes: body.len(),
        },
    ];
    let segment = Live {
        first: 2,
        parts: 24,
    }
    .text();
    let segment = list(&segment).segments.last().expect("a segment").clone();
    let parts = |bodies: &[&[u8]]| {
        bodies
            .iter()
            .map(|body| answer(200, body))
            .collect::<Vec<_>>()
    };
    let good: Vec<&[u8]> = pieces[..3].iter().map(|piece| &piece[..]).collect();
    let mut partial = answer(206, &whole);
    partial.arrivals = vec![
        Arrival {
            at_us: 0,
            bytes: 100,
        },
        Arrival {
            at_us: 500_000,
            bytes: whole.len(),
        },
    ];
    let edges = [
        pieces[0].len(),
        pieces[0].len() + pieces[1].len(),
        whole.len(),
    ];
    let judge = |parts: &[Answer]| {
        judged(|on| media::pieces(on, &segment, parts, &answer(200, &whole), Some(&header)))
    };
    let table: Vec<(&str, Vec<Short>, Rule, crate::verdict::Level, &str)> = vec![
        (
            "hint refused",
            judged(|on| media::hinted(on, &hinted(answer(404, b""), body), 500_000, 0)),
            C19,
            Fail,
            "refused or cut",
        ),
        (
            "hint differs",
            judged(|on| media::hinted(on, &hinted(answer(200, body), &pieces[1]), 500_000, 0)),
            C19,
            Fail,
            "other bytes",
        ),
        (
            "hint drips",
            judged(|on| media::hinted(on, &hinted(dripping.clone(), body), 500_000, 100_000_000)),
            C19,
            Fail,
            "before the whole of it",
        ),
        (
            "part gone",
            judge(&[answer(200, good[0]), answer(404, b""), answer(200, good[2])]),
            C20,
            Fail,
            "cannot be fetched",
        ),
        (
            "other samples",
            judge(&parts(&[good[0], good[1], &pieces[3]])),
            C20,
            Fail,
            "the same samples",
        ),
        (
            "range of parts",
            judged(|on| media::open_range(on, &answer(200, &whole), &edges, 500_000)),
            C21,
            Fail,
            "not answered with 206",
        ),
        (
            "range pauses",
            judged(|on| media::open_range(on, &partial, &edges, 500_000)),
            C21,
            Fail,
            "pauses in the middle",
        ),
        (
            "range ends",
            judged(|on| media::open_range(on, &answer(206, &whole[..edges[1]]), &edges, 500_000)),
            C21,
            Fail,
            "does not end with its segment",
        ),
        (
            "empty",
            judged(|on| media::unknown(on, &answer(200, b""))),
            C22,
            Fail,
            "empty body",
        ),
        (
            "something",
            judged(|on| media::unknown(on, &answer(200, b"x"))),
            C22,
            Warn,
            "not refused with 404",
        ),
        (
            "I-frame cut",
            judged(|on| {
                media::i_frame(
                    on,
                    &segment,
                    &answer(206, &body[..body.len() - body.len() / 2]),
                    Some(&header),
                )
            }),
            C27,
            Warn,
            "no movie fragment",
        ),
        (
            "I-frame list",
            judged(|on| media::i_frame_list(on, &list(VIDEO), None)),
            C27,
            Warn,
            "lists parts",
        ),
        (
            "part gone early",
            judged(|on| {
                media::still_there(on, "p", &answer(404, b""), 0, true);
            }),
            C34,
            Fail,
            "a part is gone",
        ),
        (
            "segment gone early",
            judged(|on| {
                media::still_there(on, "s", &answer(404, b""), 0, false);
            }),
            C34,
            Fail,
            "a segment is gone",
        ),
    ];
    for (case, found, rule, level, what) in table {
        // An I-frame playlist that does not say so is found as well.
        let first = &found[found.len().saturating_sub(1)..];
        let clause = first
            .first()
            .map(|(_, _, clause, _)| clause.clone())
            .unwrap_or_default();
        assert_only(
            first,
            rule,
            level,
            &clause,
            what,
            &format!("{case}: {found:?}"),
        );
    }
    assert_eq!(judge(&parts(&good)), []);
    assert_eq!(
        judged(|on| media::hinted(on, &hinted(answer(200, body), body), 500_000, 0)),
        []
    );
    let mut streamed = answer(206, &whole);
    streamed.arrivals = edges
        .iter()
        .zip(0..)
        .map(|(bytes, at)| Arrival {
            at_us: at * 500_000,
            bytes: *bytes,
        })
        .collect();
    assert_eq!(
        judged(|on| media::open_range(on, &streamed, &edges, 500_000)),
        []
    );
}

#[test]
fn decode_times_that_step_are_found() {
    let (header, pieces) = fragments();
    let text = Live {
        first: 2,
        parts: 30,
    }
    .text();
    let segments = list(&text).segments;
    let see = |order: &[usize], broke: bool| {
        judged(|on| {
            let mut continuity = Continuity::default();
            for (index, piece) in order.iter().enumerate() {
                let mut segment = segments[index].clone();
                segment.starts_discontinuity = broke && index == 1;
                continuity.see(on, &segment, &pieces[*piece], &header);
            }
            assert_eq!(continuity.anchors.len(), 1);
            assert!((10_000..50_000).contains(&continuity.frame_us));
        })
    };
    assert_eq!(see(&[0, 1, 2], false), []);
    assert_only(
        &see(&[0, 2, 3], false),
        C36,
        Fail,
        "4.4.4.3",
        "step without a discontinuity",
        "a hole",
    );
    assert_only(
        &see(&[1, 0, 1], false),
        C36,
        Fail,
        "4.4.4.3",
        "step without a discontinuity",
        "back",
    );
    assert_eq!(see(&[0, 2, 3], true), []);
}

#[test]
fn deltas_fail_for_the_right_reason() {
    let control = first_line(VIDEO, "#EXT-X-SERVER-CONTROL:");
    let control = if control.contains("CAN-SKIP-UNTIL") {
        control.clone()
    } else {
        format!("{control},CAN-SKIP-UNTIL=12.00000")
    };
    let full = edited(
        VIDEO,
        &first_line(VIDEO, "#EXT-X-SERVER-CONTROL:"),
        &control,
    );
    let skipping = |count: usize| {
        let end = full
            .match_indices(".m4s\n")
            .nth(count - 1)
            .expect("segments")
            .0
            + 5;
        let start = full.find("#EXT-X-MAP").expect("a header");
        let text = format!(
            "{}#EXT-X-SKIP:SKIPPED-SEGMENTS={count}\n{}",
            &full[..start],
            &full[end..]
        );
        edited(&text, "#EXT-X-VERSION:6", "#EXT-X-VERSION:9")
    };
    let judge = |text: &str| judged(|on| delta::delta(on, &list(&full), &list(text)));
    let good = skipping(3);
    assert_eq!(judge(&good), []);
    assert_eq!(
        judge(&skipping(4)).len(),
        1,
        "on the boundary by its parts only"
    );
    let table = [
        ("too much", skipping(5), Fail, "inside the skip boundary"),
        (
            "wrong count",
            edited(&good, "SEGMENTS=3", "SEGMENTS=2"),
            Fail,
            "not as many",
        ),
        (
            "nothing",
            edited(&good, "SEGMENTS=3", "SEGMENTS=0"),
            Fail,
            "not as many",
        ),
        (
            "media sequence",
            edited(
                &edited(&good, "SEQUENCE:100", "SEQUENCE:103"),
                "SEGMENTS=3",
                "SEGMENTS=0",
            ),
            Fail,
            "another media sequence",
        ),
        (
            "discontinuity",
            edited(&good, "DISCONTINUITY-SEQUENCE:", "DISCONTINUITY-SEQUENCE:1"),
            Fail,
            "another discontinuity sequence",
        ),
        (
            "hint",
            edited(
                &good,
                "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"",
                "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x",
            ),
            Fail,
            "hints otherwise",
        ),
        (
            "segment",
            edited(&good, "#EXTINF:2.00000,", "#EXTINF:1.90000,"),
            Fail,
            "differs from the full list",
        ),
    ];
    for (case, text, level, what) in table {
        let found = judge(&text);
        assert!(
            found
                .iter()
                .any(|(rule, of, _, said)| (*rule, *of) == (C23, level) && said.contains(what)),
            "{case}: {found:?}"
        );
    }
    let long = format!("{}{}", full, "");
    let old = edited(&long, "CAN-SKIP-UNTIL=12.00000", "CAN-SKIP-UNTIL=1.00000");
    let whole = judged(|on| delta::delta(on, &list(&old), &list(&old)));
    assert_only(
        &whole,
        C23,
        Fail,
        "6.2.5.1",
        "the full list came",
        "no delta",
    );
    let refused = judged(|on| {
        delta::ignored(
            on,
            "_HLS_skip=YES",
            &answer(200, good.as_bytes()),
            Some(&list(&good)),
        )
    });
    assert_only(&refused, C24, Fail, "6.2.5.1", "not ignored", "not offered");
    let parked = |text: &str, expects| {
        judged(|on| delta::blocking(on, &reload(110, Some(1), 200, text), expects))
    };
    assert_eq!(parked(&good, true), []);
    assert_only(
        &parked(&full, true),
        C25,
        Fail,
        "6.2.5.1",
        "gets the full list",
        "no skip",
    );
    assert_only(
        &judged(|on| delta::blocking(on, &reload(110, Some(3), 200, &good), true)),
        C25,
        Fail,
        "6.2.5",
        "does not wait",
        "too early",
    );
}

#[test]
fn deltas_with_date_ranges_fail_for_the_right_reason() {
    let range =
        |id: &str| format!("#EXT-X-DATERANGE:ID=\"{id}\",START-DATE=\"2026-01-01T00:00:00Z\"\n");
    let hint = "#EXT-X-PRELOAD-HINT";
    let control = first_line(VIDEO, "#EXT-X-SERVER-CONTROL:");
    let skips = if control.contains("CAN-SKIP-UNTIL") {
        control.clone()
    } else {
        format!("{control},CAN-SKIP-UNTIL=12.0")
    };
    let base = edited(VIDEO, &control, &skips);
    let full = edited(
        &base,
        hint,
        &format!("{}{}{hint}", range("old"), range("new")),
    );
    let delta = |removed: &str, ranges: &str, version: u64| {
        let text = edited(
            &base,
            "#EXT-X-MAP",
            &format!("#EXT-X-SKIP:SKIPPED-SEGMENTS=3{removed}\n#EXT-X-MAP"),
        );
        let text = edited(&text, hint, &format!("{ranges}{hint}"));
        edited(
            &text,
            "#EXT-X-VERSION:6",
            &format!("#EXT-X-VERSION:{version}"),
        )
    };
    // Seen from 1 s on were "old" and "gone"; "new" from 20 s; "gone" left at 21 s.
    let with = |ids: &[&str]| {
        edited(
            &base,
            hint,
            &format!(
                "{}{hint}",
                ids.iter().map(|id| range(id)).collect::<String>()
            ),
        )
    };
    let versions = [
        (500_000, base.clone()),
        (1_000_000, with(&["old", "gone"])),
        (20_000_000, with(&["old", "gone", "new"])),
        (21_000_000, with(&["old", "new"])),
    ];
    let (seen, _) = follow(V1, &versions);
    let judge = |text: &str| {
        judged(|on| delta::second(on, &list(&full), &list(text), &seen.dateranges, 22_000_000))
    };
    let gone = ",RECENTLY-REMOVED-DATERANGES=\"gone\"";
    assert_eq!(judge(&delta(gone, &range("new"), 10)), []);
    let table = [
        (
            "no attribute",
            delta("", &range("new"), 10),
            Fail,
            "has no RECENTLY-REMOVED-DATERANGES",
        ),
        (
            "not told",
            delta(",RECENTLY-REMOVED-DATERANGES=\"\"", &range("new"), 10),
            Fail,
            "not among RECENTLY-REMOVED-DATERANGES",
        ),
        (
            "new one hidden",
            delta(gone, "", 10),
            Fail,
            "leaves out a date range that is new",
        ),
        (
            "old one there",
            delta(gone, &format!("{}{}", range("old"), range("new")), 10),
            Warn,
            "repeats an old date range",
        ),
        (
            "version",
            delta(gone, &range("new"), 9),
            Fail,
            "a version below 10",
        ),
    ];
    for (case, text, level, what) in table {
        let found = judge(&text);
        assert!(
            found
                .iter()
                .any(|(rule, of, _, said)| (*rule, *of) == (C24, level) && said.contains(what)),
            "{case}: {found:?}"
        );
    }
}

#[test]
fn transport_fails_for_the_right_reason() {
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let wall_us = 1_767_225_600_000_000;
    let base = |control: &str| {
        with_header(
            with_header(answer(200, b""), "date", date),
            "cache-control",
            control,
        )
    };
    let caching =
        |kind, answer: Answer| judged(|on| transport::caching(on, kind, &answer, 2, wall_us));
    for (kind, control) in [
        (Kind::Plain, "max-age=1"),
        (Kind::Blocking, "public, max-age=12"),
        (Kind::Refused, "no-store"),
        (Kind::Media, "max-age=31536000, immutable"),
        (Kind::Missing, "max-age=1"),
        (Kind::Multivariant, "max-age=2"),
    ] {
        assert_eq!(caching(kind, base(control)), [], "{kind:?}");
    }
    let table = [
        (
            "plain",
            Kind::Plain,
            base("max-age=4"),
            "half a target duration",
        ),
        ("silent", Kind::Plain, base(""), "half a target duration"),
        (
            "blocking",
            Kind::Blocking,
            base("no-store"),
            "cannot be kept",
        ),
        (
            "blocking too long",
            Kind::Blocking,
            base("max-age=60"),
            "cannot be kept",
        ),
        (
            "refused",
            Kind::Refused,
            base("max-age=8"),
            "kept beyond a second",
        ),
        (
            "media",
            Kind::Media,
            base("max-age=1"),
            "six target durations",
        ),
        (
            "missing",
            Kind::Missing,
            base("max-age=10"),
            "absence of media",
        ),
        (
            "no date",
            Kind::Plain,
            with_header(base("max-age=1"), "date", ""),
            "no Date",
        ),
        (
            "wrong date",
            Kind::Plain,
            with_header(base("max-age=1"), "date", "Thu, 01 Jan 2026 00:01:00 GMT"),
            "ten seconds",
        ),
        (
            "age",
            Kind::Plain,
            with_header(base("max-age=1"), "age", "3"),
            "Age comes with nothing",
        ),
        (
            "modified",
            Kind::Plain,
            with_header(
                base("max-age=1"),
                "last-modified",
                "Wed, 31 Dec 2025 23:59:50 GMT",
            ),
            "Last-Modified",
        ),
    ];
    for (case, kind, answer, what) in table {
        let found = caching(kind, answer);
        let clause = found
            .first()
            .map(|(_, _, clause, _)| clause.clone())
            .unwrap_or_default();
        assert_only(&found, C38, Warn, &clause, what, case);
    }
    let tls = |alpn: Option<&str>, is_1_3| {
        judged(|on| {
            transport::tls(
                on,
                &Handshake {
                    alpn: alpn.map(str::to_owned),
                    is_1_3,
                    trouble: None,
                },
            )
        })
    };
    assert_eq!(tls(Some("h2"), true), []);
    assert_only(
        &tls(Some("http/1.1"), true),
        C37,
        Fail,
        "B.1",
        "HTTP/2 is not offered",
        "h1",
    );
    assert_only(&tls(Some("h2"), false), C37, Warn, "B.1", "TLS 1.3", "1.2");
    let urgent = |value| {
        judged(|on| {
            transport::priority(on, &with_header(answer(200, b""), "priority", value), false)
        })
    };
    assert_eq!(urgent("u=4, i"), []);
    assert_only(&urgent("u=1"), C37, Warn, "B.1", "urgency", "priority");
    let open = with_header(
        with_header(answer(200, b""), "access-control-allow-origin", "*"),
        "access-control-expose-headers",
        "Age, Date",
    );
    assert_eq!(judged(|on| transport::shared(on, &open)), []);
    assert_eq!(
        judged(|on| transport::shared(on, &answer(200, b""))).len(),
        2
    );
    let allowed = with_header(open, "access-control-allow-headers", "Range");
    assert_eq!(judged(|on| transport::preflight(on, &allowed)), []);
    assert_only(
        &judged(|on| transport::preflight(on, &answer(405, b""))),
        C39,
        Warn,
        "Fetch",
        "preflight request is refused",
        "preflight",
    );
}

#[test]
fn playlists_that_are_no_text_are_found() {
    let ok = with_header(
        answer(200, VIDEO.as_bytes()),
        "content-type",
        "application/vnd.apple.mpegurl",
    );
    assert_eq!(judged(|on| text::typed(on, &ok)), []);
    let body = |bytes: &[u8]| Answer {
        body: bytes.to_vec(),
        ..ok.clone()
    };
    let unnamed = Answer {
        answered_by: "http://h/list".to_owned(),
        ..with_header(ok.clone(), "content-type", "text/plain")
    };
    assert_eq!(
        judged(|on| text::typed(on, &unnamed))
            .iter()
            .map(|(_, level, ..)| *level)
            .collect::<Vec<_>>(),
        [Fail, Warn]
    );
    assert_only(
        &judged(|on| text::typed(on, &with_header(ok.clone(), "content-type", "text/plain"))),
        C1,
        Warn,
        "Apple",
        "not that of a playlist",
        "type",
    );
    assert_only(
        &judged(|on| text::typed(on, &body("\u{feff}#EXTM3U\n".as_bytes()))),
        C1,
        Fail,
        "4",
        "byte order mark",
        "bom",
    );
    assert_only(
        &judged(|on| text::typed(on, &body(b"#EXTM3U\n\xff"))),
        C1,
        Fail,
        "4",
        "not UTF-8",
        "utf-8",
    );
    assert_only(
        &judged(|on| text::typed(on, &body(b"\n#EXTM3U\n"))),
        C1,
        Fail,
        "4.4.1.1",
        "does not begin",
        "first line",
    );
    assert_only(
        &judged(|on| text::typed(on, &with_header(ok.clone(), "content-encoding", "gzip"))),
        C1,
        Fail,
        "9110",
        "not accepted",
        "encoding",
    );
    assert_only(
        &judged(|on| text::compressed(on, &ok, &ok)),
        C1,
        Warn,
        "Apple 10.1",
        "gzip is not offered",
        "no gzip",
    );
    let packed = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut out, text.as_bytes()).expect("memory takes it");
        let answer = Answer {
            body: out.finish().expect("memory takes it"),
            ..ok.clone()
        };
        with_header(
            with_header(answer, "content-encoding", "gzip"),
            "vary",
            "Accept-Encoding",
        )
    };
    assert_eq!(judged(|on| text::compressed(on, &ok, &packed(VIDEO))), []);
    assert_only(
        &judged(|on| text::compressed(on, &ok, &packed(AUDIO))),
        C1,
        Fail,
        "4",
        "differ",
        "other text",
    );
    assert_only(
        &judged(|on| text::compressed(on, &ok, &with_header(packed(VIDEO), "vary", ""))),
        C38,
        Warn,
        "9110",
        "Vary",
        "vary",
    );
}

#[test]
fn multivariant_playlists_fail_for_the_right_reason() {
    let good = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",LANGUAGE=\"en\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a1.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",LANGUAGE=\"de\",NAME=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a2.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=900,AVERAGE-BANDWIDTH=800,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=960x540,FRAME-RATE=30.000,AUDIO=\"a\"\nv1.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=500,AVERAGE-BANDWIDTH=400,CODECS=\"avc1.4d4015,mp4a.40.2\",RESOLUTION=480x270,FRAME-RATE=30.000,AUDIO=\"a\"\nv2.m3u8\n";
    let good = good.replace("#EXT-X-VERSION:6\n", "");
    let of = |text: &str| {
        judged(|on| multivariant::text(on, &Multivariant::parse("http://h/p/index.m3u8", text)))
    };
    assert_eq!(of(&good), []);
    let table = [
        (
            "no BANDWIDTH",
            "BANDWIDTH=900,",
            "",
            C8,
            Fail,
            "a required attribute is missing",
        ),
        (
            "no CODECS",
            "CODECS=\"avc1.4d401f,mp4a.40.2\",",
            "",
            C40,
            Warn,
            "no CODECS",
        ),
        (
            "no RESOLUTION",
            "RESOLUTION=960x540,",
            "",
            C40,
            Warn,
            "no RESOLUTION",
        ),
        (
            "no FRAME-RATE",
            "FRAME-RATE=30.000,",
            "",
            C40,
            Warn,
            "no FRAME-RATE",
        ),
        (
            "no mean",
            "AVERAGE-BANDWIDTH=800,",
            "",
            C40,
            Warn,
            "no AVERAGE-BANDWIDTH",
        ),
        (
            "mean above peak",
            "AVERAGE-BANDWIDTH=800",
            "AVERAGE-BANDWIDTH=901",
            C40,
            Fail,
            "above BANDWIDTH",
        ),
        (
            "no group",
            "FRAME-RATE=30.000,AUDIO=\"a\"",
            "FRAME-RATE=30.000,AUDIO=\"b\"",
            C40,
            Fail,
            "a group that is not there",
        ),
        (
            "independent",
            "#EXT-X-INDEPENDENT-SEGMENTS\n",
            "",
            C40,
            Warn,
            "EXT-X-INDEPENDENT-SEGMENTS",
        ),
        (
            "two defaults",
            "DEFAULT=NO",
            "DEFAULT=YES",
            C40,
            Fail,
            "two defaults",
        ),
        (
            "two names",
            "NAME=\"de\"",
            "NAME=\"en\"",
            C40,
            Fail,
            "one NAME",
        ),
        (
            "not selected",
            "DEFAULT=YES,AUTOSELECT=YES",
            "DEFAULT=YES,AUTOSELECT=NO",
            C40,
            Fail,
            "not selected automatically",
        ),
        (
            "no language",
            "LANGUAGE=\"de\",",
            "",
            C40,
            Warn,
            "no LANGUAGE",
        ),
        (
            "no channels",
            ",CHANNELS=\"2\"",
            "",
            C40,
            Warn,
            "no CHANNELS",
        ),
        (
            "score",
            "BANDWIDTH=900",
            "SCORE=1,BANDWIDTH=900",
            C40,
            Warn,
            "SCORE",
        ),
        (
            "captions",
            "BANDWIDTH=900",
            "CLOSED-CAPTIONS=NONE,BANDWIDTH=900",
            C40,
            Fail,
            "CLOSED-CAPTIONS=NONE",
        ),
        (
            "range",
            "BANDWIDTH=900",
            "VIDEO-RANGE=HDR,BANDWIDTH=900",
            C40,
            Fail,
            "VIDEO-RANGE is none of",
        ),
        (
            "other members",
            "#EXT-X-STREAM",
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",LANGUAGE=\"en\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\",URI=\"a3.m3u8\"\n#EXT-X-STREAM",
            C40,
            Fail,
            "different members",
        ),
    ];
    for (case, from, to, rule, level, what) in table {
        let found = of(&edited(&good, from, to));
        assert!(
            !found.is_empty()
                && found.iter().all(|(of, is, _, said)| {
                    (*of, *is) == (rule, level) && said.contains(what)
                }),
            "{case}: {found:#?}"
        );
    }
}

#[test]
fn promises_of_the_multivariant_playlist_are_measured() {
    let header = Header::parse(&demo("video-540p.cmfv")).expect("a header");
    let codec = header.tracks[0].codec();
    let text = |codecs: &str, mean: u64| {
        format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH={mean},CODECS=\"{codecs}\"\nv1.m3u8\n"
        )
    };
    let of = |text: &str, peak_bps, mean_bps| {
        let measured = multivariant::Measured {
            header: Some(header.clone()),
            peak_bps,
            mean_bps,
            segments: 9,
        };
        let all = BTreeMap::from([("http://h/p/v1.m3u8".to_owned(), measured)]);
        judged(|on| {
            multivariant::truth(
                on,
                &Multivariant::parse("http://h/p/index.m3u8", text),
                &all,
            )
        })
    };
    assert_eq!(of(&text(&codec, 900), 1250, 990), []);
    assert_only(
        &of(&text(&codec, 900), 1251, 990),
        C40,
        Warn,
        "Apple 1.28",
        "above 125 %",
        "peak",
    );
    assert_only(
        &of(&text(&codec, 900), 1000, 991),
        C40,
        Warn,
        "Apple 1.29",
        "above 110 %",
        "mean",
    );
    assert_only(
        &of(&text("hvc1.1.6.L93", 900), 1000, 900),
        C40,
        Fail,
        "4.4.6.2",
        "CODECS lacks",
        "codecs",
    );
    let _: Media = list(VIDEO);
}

/// The same list with its last part and hint taken back.
fn older(text: &str) -> String {
    let last = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-PART:"))
        .next_back()
        .expect("a part");
    edited(text, &format!("{last}\n"), "")
}

/// The list without the parts of one segment.
fn drop_parts(text: &str, msn: u64) -> String {
    let of = |line: &str| {
        (0..3).any(|part| line.contains(&format!("\"p{}.m4s\"", msn * 3 + part)))
            && line.starts_with("#EXT-X-PART:")
    };
    text.lines()
        .filter(|line| !of(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The list with the rendition report of another.
fn swap_report(text: &str, of: &str) -> String {
    let report = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("#EXT-X-RENDITION-REPORT"))
            .expect("a report")
            .to_owned()
    };
    edited(text, &report(text), &report(of))
}

fn nth_line(text: &str, start: &str, index: usize) -> String {
    let mut found = text.lines().filter(|line| line.starts_with(start));
    found.nth(index).expect("such a line").to_owned()
}

fn first_line(text: &str, start: &str) -> String {
    nth_line(text, start, 0)
}

fn quoted(line: &str) -> &str {
    let from = line.find("URI=\"").expect("a URI") + 5;
    &line[from..from + line[from..].find('"').expect("its end")]
}
