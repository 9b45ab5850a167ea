use crate::judge::testing::*;
use crate::judge::together::{self, Anchor, Member, mapping};
use crate::playlist::multivariant::Role;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};
use crate::verdict::Verdicts;

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
    // Text in whole segments has no last part, and its reports leave none out.
    let whole: Vec<_> = lines(&b)
        .iter()
        .map(|(at, text)| {
            let kept = text.lines().filter(|line| {
                !line.starts_with("#EXT-X-PART") && !line.starts_with("#EXT-X-PRELOAD")
            });
            (*at, kept.map(|line| format!("{line}\n")).collect())
        })
        .collect();
    let beside: Vec<_> = lines(&a)
        .iter()
        .zip(24..)
        .map(|((at, text), parts)| {
            let msn = parts / 3 - 1;
            let report = format!("#EXT-X-RENDITION-REPORT:URI=\"b.m3u8\",LAST-MSN={msn}\n");
            (*at, format!("{text}{report}"))
        })
        .collect();
    let judged = judge(&beside, &whole);
    assert!(
        !judged
            .iter()
            .any(|(rule, level, ..)| (*rule, *level) == (C26, Fail)),
        "{judged:?}"
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
