//! Encoders that stall, leave and end, as players see it.

use headwater::http::request::{BodyLength, Method};
use headwater::media::policy::{AfterEnd, Policy};
use headwater::shard::{ExchangeId, Input, Settings};

use crate::shell::{Camera, Fields, Process, endless, stream, uris};

/// A process whose channel `c` has ten seconds of media, and its upload.
fn live(policy: Policy) -> (Process, Camera, ExchangeId) {
    let settings = Settings {
        policy,
        ..Settings::default()
    };
    let mut process = Process::new(1, settings);
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_400);
    (process, camera, upload)
}

/// Number of the open segment of a playlist, and how many parts it lists.
fn open(text: &str) -> (u64, usize) {
    let first: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))
        .and_then(|number| number.parse().ok())
        .expect("a number");
    let behind = text.rsplit("#EXTINF").next().expect("a tail");
    let parts = behind.matches("#EXT-X-PART:").count();
    (first + text.matches("#EXTINF").count() as u64, parts)
}

/// The reload that waits for the next part.
fn next(text: &str) -> String {
    let (msn, part) = open(text);
    format!("/live/c/v.m3u8?_HLS_msn={msn}&_HLS_part={part}")
}

fn last_segment(text: &str) -> String {
    let line = text.lines().rfind(|line| !line.starts_with('#'));
    format!("/live/c/{}", line.expect("a segment"))
}

#[test]
fn s6_2_5_2_nobody_is_held_for_a_track_that_is_overdue() {
    let (mut process, mut camera, upload) = live(Policy::default());
    let text = process.get("/live/c/v.m3u8").text();
    let parked = process.get_at(0, &next(&text), Fields::default());
    process.pass(2_500);
    assert!(process.answer(parked).is_none(), "its part may still come");
    process.pass(600);
    let late = process.answer(parked).expect("one and a half targets");
    assert_eq!((late.status, late.field("Retry-After")), (503, Some("1")));
    let herd = "public, max-age=0, s-maxage=1";
    assert_eq!(late.field("Cache-Control"), Some(herd));
    // Others aren't even parked: a player that waits may fetch no media.
    let (msn, _) = open(&text);
    for ahead in [next(&text), format!("/live/c/v.m3u8?_HLS_msn={msn}")] {
        assert_eq!(process.get(&ahead).status, 503, "{ahead}");
    }
    // Everything that is there can be had all the while.
    for behind in [
        "/live/c/v.m3u8".to_owned(),
        format!("/live/c/v.m3u8?_HLS_msn={}", msn - 1),
        "/live/c/index.m3u8".to_owned(),
        last_segment(&text),
    ] {
        let answer = process.get(&behind);
        assert_eq!(answer.status, 200, "{behind}");
    }
    let unchanged = process.get("/live/c/v.m3u8").text();
    assert_eq!(unchanged, text, "nothing came, nothing is listed");
    process.pass(7_000);
    assert_eq!(process.get(&next(&text)).status, 503);
    stream(&mut process, upload, &mut camera, 400);
    let text = process.get("/live/c/v.m3u8").text();
    let parked = process.get_at(0, &next(&text), Fields::default());
    assert!(
        process.answer(parked).is_none(),
        "it is worth waiting again"
    );
    stream(&mut process, upload, &mut camera, 400);
    assert_eq!(process.answer(parked).expect("released").status, 200);
}

#[test]
fn s6_2_1_gaps_answer_who_waits_for_a_silent_encoder() {
    let (mut process, mut camera, upload) = live(Policy {
        fill_gaps: true,
        ..Policy::default()
    });
    let mut text = process.get("/live/c/v.m3u8").text();
    for _ in 0..40 {
        let hint = uris(&text, "#EXT-X-PRELOAD-HINT").pop().expect("a hint");
        let part = process.get_at(0, &format!("/live/c/{hint}"), Fields::default());
        let parked = process.get_at(0, &next(&text), Fields::default());
        let mut waited_ms = 0;
        let answer = loop {
            process.pass(50);
            waited_ms += 50;
            assert!(waited_ms <= 1_000, "the edge stands still");
            if let Some(answer) = process.answer(parked) {
                break answer;
            }
        };
        assert_eq!(answer.status, 200);
        text = answer.text();
        let gaps = text.lines().filter(|line| line.ends_with(",GAP=YES"));
        assert!(gaps.clone().count() > 0);
        let held = process.answer(part).expect("its time was filled");
        assert_eq!(held.status, 404, "a gap has no bytes");
        for gap in uris(&gaps.collect::<Vec<_>>().join("\n"), "#EXT-X-PART:") {
            assert_eq!(process.get(&format!("/live/c/{gap}")).status, 404);
        }
    }
    assert!(text.contains("#EXT-X-GAP\n"));
    let gap = last_segment(&text);
    assert_eq!(process.get(&gap).status, 404, "{gap}");
    // The encoder's clock went on with the gaps.
    camera.made += 10 * 5 * 4;
    stream(&mut process, upload, &mut camera, 4_000);
    let text = process.get("/live/c/v.m3u8").text();
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"));
    assert_eq!(process.get(&last_segment(&text)).status, 200);
}

#[test]
fn an_end_on_request_releases_everyone_and_is_final() {
    let policy = Policy {
        window_ms: 20_000,
        ..Policy::default()
    };
    let (mut process, mut camera, upload) = live(policy);
    let text = process.get("/live/c/v.m3u8").text();
    let (msn, part) = open(&text);
    let hint = uris(&text, "#EXT-X-PRELOAD-HINT").pop().expect("a hint");
    let ahead = [
        next(&text),
        format!("/live/c/v.m3u8?_HLS_msn={msn}&_HLS_part={}", part + 3),
        format!("/live/c/v.m3u8?_HLS_msn={}", msn + 1),
    ];
    let parked = ahead
        .clone()
        .map(|target| process.get_at(0, &target, Fields::default()));
    let held = process.get_at(0, &format!("/live/c/{hint}"), Fields::default());
    let answer = process.post("/api/v1/channels/c/end", Fields::default());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ended = process.get("/live/c/v.m3u8").text();
    assert!(ended.ends_with("#EXT-X-ENDLIST\n") && !ended.contains("PRELOAD-HINT"));
    for exchange in parked {
        let released = process.answer(exchange).expect("in the same moment");
        assert_eq!((released.status, released.text()), (200, ended.clone()));
    }
    // What was under way ends with what it had; the hint comes true with it, or
    // is given up.
    let held = process.answer(held).expect("in the same moment");
    let listed = uris(&ended, "#EXT-X-PART:").contains(&hint);
    assert_eq!(held.status, if listed { 200 } else { 404 });
    let cut = process.answer(upload).expect("the encoder is told");
    assert_eq!(cut.status, 409, "{}", cut.text());
    process.body(upload, &camera.chunk());
    for late in ahead {
        assert_eq!(process.get(&late).text(), ended, "directives are ignored");
    }
    process.pass(15_000);
    assert_eq!(
        process.get("/live/c/v.m3u8").text(),
        ended,
        "nothing changes"
    );
    assert_eq!(process.get(&last_segment(&ended)).status, 200);
    let again = process.post("/api/v1/channels/c/end", Fields::default());
    assert_eq!(again.status, 200, "ending twice is ending");
    process.pass(6_000);
    assert_eq!(process.get("/live/c/v.m3u8").status, 404);
    let again = process.post("/api/v1/channels/c/end", Fields::default());
    assert_eq!(again.status, 404, "there is nothing left to end");
}

#[test]
fn a_push_after_an_end_begins_a_new_life() {
    let (mut process, mut camera, _) = live(Policy::default());
    let ended = process.get("/live/c/v.m3u8").text();
    process.post("/api/v1/channels/c/end", Fields::default());
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 6_000);
    let text = process.get("/live/c/v.m3u8").text();
    assert!(!text.contains("#EXT-X-ENDLIST"));
    let names = |text: &str| uris(text, "#EXT-X-MAP");
    assert_ne!(
        names(&text),
        names(&ended),
        "no name of the old life is used again"
    );
}

#[test]
fn who_may_end_a_channel_and_how() {
    let settings = Settings {
        ingest_token: Some("open-sesame".to_owned()),
        ..Settings::default()
    };
    let mut process = Process::new(1, settings);
    let mut camera = Camera::new();
    endless(
        &mut process,
        "/ingest/c/v.cmfv?token=open-sesame",
        &mut camera,
        5_000,
    );
    process.put("/ingest/empty/v.cmfv?token=open-sesame");
    let bearer = Fields {
        authorization: Some("Bearer open-sesame"),
        ..Fields::default()
    };
    let wrong = Fields {
        authorization: Some("Bearer open-barley"),
        ..Fields::default()
    };
    let none = Fields::default();
    for (target, fields, status) in [
        ("/api/v1/channels/c/end", none, 401),
        ("/api/v1/channels/c/end", wrong, 403),
        ("/api/v1/channels/nobody/end", bearer, 404),
        ("/api/v1/channels/empty/end", bearer, 404),
        ("/api/v1/channels/c/end", bearer, 200),
        ("/api/v1/channels/c/end?token=open-sesame", none, 200),
    ] {
        assert_eq!(process.post(target, fields).status, status, "{target}");
    }
    for method in [Method::Get, Method::Put, Method::Delete] {
        let target = "/api/v1/channels/c/end";
        let exchange = process.open_at(0, method, target, BodyLength::None, bearer);
        let answer = process.answer(exchange).expect("answered");
        assert_eq!(
            (answer.status, answer.field("Allow")),
            (405, Some("POST, OPTIONS"))
        );
    }
}

#[test]
fn s6_2_1_a_lost_channel_ends_or_is_withdrawn_as_the_operator_says() {
    for (after_end, fill_gaps, status) in [
        (AfterEnd::Endlist, false, 200),
        (AfterEnd::Endlist, true, 200),
        (AfterEnd::Gone, false, 410),
        (AfterEnd::Gone, true, 410),
    ] {
        let (mut process, _, upload) = live(Policy {
            window_ms: 40_000,
            ended_after_ms: 20_000,
            after_end,
            fill_gaps,
            ..Policy::default()
        });
        let what = format!("{after_end}, filling {fill_gaps}");
        let before = process.get("/live/c/v.m3u8").text();
        let segment = last_segment(&before);
        process.input(0, Input::Gone { exchange: upload });
        process.pass(19_900);
        let text = process.get("/live/c/v.m3u8").text();
        assert!(!text.contains("#EXT-X-ENDLIST"), "{what}");
        // Where gaps kept the edge moving, somebody waits for it.
        let (msn, _) = open(&text);
        let reload = format!("/live/c/v.m3u8?_HLS_msn={}", msn + 1);
        let parked = process.get_at(0, &reload, Fields::default());
        process.pass(300);
        let answer = process.answer(parked).expect("nobody waits beyond the end");
        let ended = fill_gaps && after_end == AfterEnd::Endlist;
        assert_eq!(answer.status, if ended { 200 } else { 503 }, "{what}");
        for target in ["v.m3u8", "index.m3u8", "v.m3u8?_HLS_msn=1"] {
            let answer = process.get(&format!("/live/c/{target}"));
            assert_eq!(answer.status, status, "{what}: {target}");
            let endlist = answer.text().contains("#EXT-X-ENDLIST");
            assert_eq!(endlist, status == 200 && target != "index.m3u8", "{what}");
        }
        process.pass(30_000);
        let media = process.get(&segment).status;
        assert_eq!(media, 200, "{what}: media stays for one playlist");
        process.pass(12_000);
        assert_eq!(
            process.get(&segment).status,
            404,
            "{what}: then all is gone"
        );
    }
}
