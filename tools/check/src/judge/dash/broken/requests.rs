use crate::answer::Answer;
use crate::judge::dash::clock::{self, Read};
use crate::judge::dash::edge::{self, Asked, Wanted};
use crate::judge::dash::testing::judged;
use crate::judge::testing::{answer, assert_only, demo, with_header};
use crate::mpd::Asking;
use crate::rule::*;
use crate::verdict::Level::{self, Fail, Warn};

fn fine(status: u16) -> Answer {
    let body = if status == 200 {
        demo("video-540p.cmfv")
    } else {
        Vec::new()
    };
    let plain = answer(status, &body);
    let all = [
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("date", "Thu, 01 Jan 1970 00:00:01 GMT"),
    ];
    all.iter().fold(plain, |answer, (name, value)| {
        with_header(answer, name, value)
    })
}

#[test]
fn each_side_of_the_window_is_judged() {
    let judge = |wanted, due_us, answer: Answer| {
        judged(|on| {
            edge::judge(
                on,
                &Asked {
                    wanted,
                    due_us,
                    answer,
                },
            )
        })
    };
    let early_us = 1_400_000;
    for (wanted, status) in [
        (Wanted::Newest, 200),
        (Wanted::Oldest, 200),
        (Wanted::Next, 200),
        (Wanted::Next, 425),
        (Wanted::Far, 425),
        (Wanted::Past, 410),
        (Wanted::Past, 404),
        (Wanted::Past, 200),
        (Wanted::Never, 404),
    ] {
        assert_eq!(
            judge(wanted, early_us, fine(status)),
            [],
            "{wanted:?} {status}"
        );
    }
    type Row = (Wanted, u16, Rule, Level, &'static str);
    let table: [Row; 9] = [
        (
            Wanted::Newest,
            404,
            D10,
            Fail,
            "newest segment that is promised",
        ),
        (Wanted::Oldest, 410, D10, Fail, "within the window"),
        (Wanted::Next, 404, D11, Warn, "a little early gets 404"),
        (Wanted::Next, 503, D11, Fail, "neither held nor refused"),
        (Wanted::Far, 200, D11, Fail, "far ahead is not refused"),
        (Wanted::Far, 404, D11, Warn, "far ahead gets 404"),
        (Wanted::Past, 500, D12, Fail, "neither gone nor whole"),
        (Wanted::Never, 200, D12, Fail, "never said is not refused"),
        (Wanted::Never, 425, D12, Warn, "otherwise than with 404"),
    ];
    for (wanted, status, rule, level, what) in table {
        let found = judge(wanted, early_us, fine(status));
        let told = found
            .iter()
            .any(|(a, b, _, d)| (*a, *b) == (rule, level) && d.contains(what));
        assert!(told, "{wanted:?} {status}: {found:#?}");
        assert!(found.iter().all(|(known, ..)| *known == rule), "{found:#?}");
    }
    let soon = judge(Wanted::Next, 2_500_000, fine(200));
    assert_only(&soon, D11, Warn, "", "long before it is promised", "soon");
    let mut slow = fine(425);
    slow.done_us = slow.sent_us + 2_000_000;
    assert_only(
        &judge(Wanted::Far, early_us, slow),
        D11,
        Fail,
        "",
        "not refused at once",
        "slow",
    );
    let empty = Answer {
        body: Vec::new(),
        ..fine(200)
    };
    assert_only(
        &judge(Wanted::Newest, early_us, empty),
        D12,
        Fail,
        "",
        "holds no media",
        "empty",
    );
    let kept = with_header(fine(425), "cache-control", "max-age=60");
    assert_only(
        &judge(Wanted::Far, early_us, kept),
        D20,
        Warn,
        "",
        "more than a second",
        "kept",
    );
    let shut = with_header(fine(404), "access-control-allow-origin", "");
    assert_only(
        &judge(Wanted::Never, early_us, shut),
        D20,
        Warn,
        "",
        "other origins",
        "shut",
    );
}

#[test]
fn clocks_are_judged_by_what_they_say() {
    let wall_us = 1_000_000;
    let clock = |body: &str| {
        let plain = Answer {
            body: body.as_bytes().to_vec(),
            ..fine(200)
        };
        with_header(plain, "access-control-expose-headers", "Date")
    };
    let judge = |asking, answer: &Answer| {
        let mut read = None;
        let found = judged(|on| read = clock::answered(on, asking, answer, wall_us));
        (found, read.map(Read::ahead_us))
    };
    let good = clock("1970-01-01T00:00:01.251Z\n");
    assert_eq!(judge(Asking::Date, &good), (Vec::new(), Some(250_000)));
    assert_eq!(judge(Asking::Head, &good), (Vec::new(), Some(499_000)));
    type Row<'a> = (&'a str, Asking, Answer, Level, &'a str);
    let table: [Row<'_>; 7] = [
        ("gone", Asking::Date, fine(404), Fail, "does not answer"),
        (
            "no date",
            Asking::Date,
            clock("soon"),
            Fail,
            "no date with zone",
        ),
        (
            "no zone",
            Asking::Date,
            clock("1970-01-01T00:00:01"),
            Fail,
            "no date with zone",
        ),
        (
            "other Date",
            Asking::Date,
            clock("1970-01-01T00:00:05Z"),
            Warn,
            "differ by more",
        ),
        (
            "kept",
            Asking::Date,
            with_header(good.clone(), "cache-control", "max-age=5"),
            Warn,
            "may be kept",
        ),
        (
            "shut",
            Asking::Date,
            with_header(good.clone(), "access-control-allow-origin", ""),
            Fail,
            "may not read the clock",
        ),
        (
            "hidden",
            Asking::Head,
            with_header(good.clone(), "access-control-expose-headers", ""),
            Fail,
            "not exposed",
        ),
    ];
    for (name, asking, answer, level, what) in table {
        assert_only(&judge(asking, &answer).0, D6, level, "", what, name);
    }
    let read = |at_us| Read {
        at_us,
        ours_us: 0,
        doubt_us: 10_000,
    };
    assert_eq!(judged(|on| clock::agree(on, &[read(0), read(60_000)])), []);
    assert_only(
        &judged(|on| clock::agree(on, &[read(0), read(200_000)])),
        D6,
        Fail,
        "",
        "two times",
        "apart",
    );
    assert_only(
        &judged(|on| clock::agree(on, &[read(20_000_000)])),
        D6,
        Warn,
        "",
        "more than ten seconds",
        "off",
    );
}
