use crate::judge::delta;
use crate::judge::testing::*;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

#[test]
fn a_good_delta_is_not_blamed() {
    let golden = include_str!("../../../../../fixtures/golden/hls/reference_v1_delta.m3u8");
    let found = judged(|on| delta::delta(on, &list(VIDEO), &list(golden)));
    assert_eq!(found, []);
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
    assert_eq!(judge(&skipping(4)), [], "ends on the boundary");
    let further = edited(&full, "CAN-SKIP-UNTIL=12.00000", "CAN-SKIP-UNTIL=12.50000");
    let delta = edited(
        &skipping(4),
        "CAN-SKIP-UNTIL=12.00000",
        "CAN-SKIP-UNTIL=12.50000",
    );
    let by_parts = judged(|on| delta::delta(on, &list(&further), &list(&delta)));
    assert_only(
        &by_parts,
        C23,
        Warn,
        "6.2.5.1",
        "by its parts only",
        "boundary",
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
