use crate::answer::{Answer, Arrival};
use crate::fmp4::Header;
use crate::judge::media::{self, Continuity, Hinted};
use crate::judge::testing::*;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

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
    let moof_len = u32::from_be_bytes(body[..4].try_into().expect("four")) as usize;
    let late = |mut answer: Answer| {
        answer.done_us = answer.sent_us + 1_100_000;
        answer
    };
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
            "hint given up",
            judged(|on| media::hinted(on, &hinted(late(answer(404, b"")), body), 500_000, 0)),
            C19,
            Warn,
            "an overdue hint was given up",
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
            judged(|on| media::i_frame(on, &segment, &answer(206, &body[..20]), Some(&header))),
            C27,
            Warn,
            "no movie fragment",
        ),
        (
            "I-frame ends early",
            judged(|on| {
                media::i_frame(
                    on,
                    &segment,
                    &answer(206, &body[..moof_len + 9]),
                    Some(&header),
                )
            }),
            C27,
            Fail,
            "ends inside it",
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
