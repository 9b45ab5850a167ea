use crate::answer::Answer;
use crate::judge::testing::*;
use crate::judge::text;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

fn of_text(text: &str) -> Vec<Short> {
    judged(|on| text::media(on, &list(text), 0, 200_000))
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
    let table: Vec<Case<String>> = vec![
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
