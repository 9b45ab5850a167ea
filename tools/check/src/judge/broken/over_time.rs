use crate::judge::testing::*;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

#[test]
fn good_lists_are_not_blamed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden/hls");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).expect("a playlist");
        // A variable of the query has no value here, where there is no URL.
        let asks = text.contains("QUERYPARAM");
        if asks || name.contains("delta") || crate::playlist::is_multivariant(&text) {
            continue;
        }
        let found = followed(&[text]);
        // Lists of tests are drawn from media that comes as the test needs it.
        let bad: Vec<_> = found
            .iter()
            .filter(|(_, level, ..)| *level == Fail)
            .collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
        looked_at += 1;
    }
    assert!(looked_at >= 7, "{looked_at} lists");
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
    let table: Vec<Case<Vec<String>>> = vec![
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
    let risen = of(followed(&rose), C29);
    assert!(
        risen.contains(&"a media sequence number has another URI than before".to_owned()),
        "{risen:?}"
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
        Warn,
        "6.2.1",
        "players run dry",
        "too late for players",
    );
    assert_only(
        &of(&at(3_100_000)),
        C31,
        Fail,
        "6.2.1",
        "parts are further apart than 1.5 target durations",
        "too late for all",
    );
    // A source that broke off shows so.
    let mut broken = at(3_100_000);
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
        "#EXTINF:1.5,\ns2",
        "#EXT-X-DISCONTINUITY\n#EXTINF:1.5,\ns2",
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
