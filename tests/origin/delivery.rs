//! What players are answered: parts, segments, refusals and their lifetimes.

use headwater::http::request::{BodyLength, Method};
use headwater::media::policy::Policy;
use headwater::shard::{Input, Settings};

use crate::shell::{Camera, Fields, Process, endless, stream, uris};

/// Refusals are shared by those who were held together, and by nobody later.
const HERD: &str = "public, max-age=0, s-maxage=1";

#[test]
fn s6_2_6_a_hinted_part_is_held_and_gets_exactly_its_bytes() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 11_000);
    for _ in 0..30 {
        let text = process.get("/live/c/v.m3u8").text();
        let hint = uris(&text, "#EXT-X-PRELOAD-HINT").pop().expect("a hint");
        assert!(!uris(&text, "#EXT-X-PART:").contains(&hint));
        let held = process.get_at(0, &format!("/live/c/{hint}"), Fields::default());
        assert!(process.answer(held).is_none(), "{hint} is held");
        let mut sent = 0;
        let answer = loop {
            stream(&mut process, upload, &mut camera, 200);
            sent += 1;
            assert!(sent < 6, "{hint} never came");
            if let Some(answer) = process.answer(held) {
                break answer;
            }
        };
        assert_eq!(answer.status, 200, "{hint}: {}", answer.text());
        let text = process.get("/live/c/v.m3u8").text();
        assert!(
            uris(&text, "#EXT-X-PART:").contains(&hint),
            "{hint} is listed as hinted"
        );
        let again = process.get(&format!("/live/c/{hint}"));
        assert!(again.body == answer.body && !again.body.is_empty());
    }
}

#[test]
fn parts_of_a_segment_are_the_segment() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let mut sent = Vec::new();
    let upload = process.put("/ingest/c/v.cmfv");
    process.body(upload, &camera.spec.bytes());
    for _ in 0..60 {
        let chunk = camera.chunk();
        process.pass(200);
        process.body(upload, &chunk);
        sent.push(chunk);
    }
    let text = process.get("/live/c/v.m3u8").text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 6);
    for (index, line) in lines.iter().enumerate() {
        let segment = process.get(&format!("/live/c/{line}"));
        assert_eq!(segment.status, 200);
        assert!(
            segment.body == sent[index * 10..index * 10 + 10].concat(),
            "bytes out are bytes in"
        );
        assert!(
            segment
                .field("Cache-Control")
                .is_some_and(|of| of.contains("immutable"))
        );
    }
    let whole = process.get(&format!("/live/c/{}", lines[0]));
    let ranged = Fields {
        range: Some("bytes=10-19"),
        ..Fields::default()
    };
    let exchange = process.get_at(0, &format!("/live/c/{}", lines[0]), ranged);
    let part = process.answer(exchange).expect("answered");
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..20]));
    let etag = whole.field("ETag").expect("an ETag");
    let known = Fields {
        if_none_match: Some(etag),
        ..Fields::default()
    };
    let exchange = process.get_at(0, &format!("/live/c/{}", lines[0]), known);
    assert_eq!(process.answer(exchange).expect("answered").status, 304);
    let map = uris(&text, "#EXT-X-MAP").pop().expect("a map");
    assert!(process.get(&format!("/live/c/{map}")).body == camera.spec.bytes());
}

#[test]
fn what_is_not_there_is_refused_with_its_lifetime() {
    let policy = Policy {
        window_ms: 10_000,
        ..Policy::default()
    };
    let mut process = Process::new(
        1,
        Settings {
            policy,
            ..Settings::default()
        },
    );
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 5_000);
    let text = process.get("/live/c/v.m3u8").text();
    let old = text
        .lines()
        .find(|line| !line.starts_with('#'))
        .expect("a segment")
        .to_owned();
    let old_part = uris(&text, "#EXT-X-PART:").remove(0);
    stream(&mut process, upload, &mut camera, 60_000);
    let text = process.get("/live/c/v.m3u8").text();
    let newest = text
        .lines()
        .rfind(|line| !line.starts_with('#'))
        .expect("a segment")
        .to_owned();
    let stem = newest
        .trim_end_matches(".m4s")
        .trim_end_matches(|c: char| c.is_ascii_digit());
    let ahead = format!("{stem}9999999999.m4s");
    let table = [
        (old.as_str(), 410, "max-age=2"),
        (old_part.as_str(), 410, "max-age=2"),
        (ahead.as_str(), 404, "max-age=1"),
        ("w.m3u8", 404, "max-age=1"),
        ("v.m3u8?_HLS_part=1", 400, HERD),
        ("v.m3u8?_HLS_msn=9999999999999", 400, HERD),
    ];
    for (name, status, lifetime) in table {
        let answer = process.get(&format!("/live/c/{name}"));
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        let cache = answer.field("Cache-Control").expect("a lifetime");
        assert!(cache.contains(lifetime), "{name}: {cache}");
    }
}

#[test]
fn a_drain_answers_everything() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    let text = process.get("/live/c/v.m3u8").text();
    let hint = uris(&text, "#EXT-X-PRELOAD-HINT").pop().expect("a hint");
    let part = process.get_at(0, &format!("/live/c/{hint}"), Fields::default());
    let waiting = process.put("/ingest/d/v/1.m4s");
    let early = process.get_at(0, "/live/d/index.m3u8", Fields::default());
    let sink = process.put("/ingest/c/x.mpd");
    let letter = headwater::shard::Letter::Drain;
    process.input(
        0,
        Input::Letter {
            from: headwater::shard::ShardId(0),
            letter,
        },
    );
    for exchange in [upload, part, waiting, early, sink] {
        assert_eq!(process.answer(exchange).expect("answered").status, 503);
    }
    assert_eq!(process.drained, 1);
    let refused = process.open_at(
        0,
        Method::Put,
        "/ingest/c/v.cmfv",
        BodyLength::Chunked,
        Fields::default(),
    );
    assert_eq!(process.answer(refused).expect("answered").status, 503);
    process.body(upload, b"late");
    assert!(process.end(upload).is_none());
}
