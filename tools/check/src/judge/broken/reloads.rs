use crate::judge::reload;
use crate::judge::testing::*;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

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

/// The same list with its last part and hint taken back.
fn older(text: &str) -> String {
    let last = text
        .lines()
        .rfind(|line| line.starts_with("#EXT-X-PART:"))
        .expect("a part");
    edited(text, &format!("{last}\n"), "")
}
