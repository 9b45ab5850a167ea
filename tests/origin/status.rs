//! What an encoder is answered.

use headwater::http::request::{BodyLength, Method};
use headwater::shard::{Input, Settings};

use crate::shell::{Camera, Fields, Process};

fn once(process: &mut Process, method: Method, target: &str, fields: Fields<'_>) -> (u16, String) {
    let exchange = process.open_at(0, method, target, BodyLength::Fixed(0), fields);
    if let Some(answer) = process.answer(exchange) {
        return (answer.status, answer.text());
    }
    let answer = process
        .end(exchange)
        .expect("answered with the end of its body");
    (answer.status, answer.text())
}

#[test]
fn every_request_without_media_has_its_status() {
    let none = Fields::default();
    let ranged = Fields {
        content_range: true,
        ..none
    };
    let packed = Fields {
        content_encoding: Some("gzip"),
        ..none
    };
    let table = [
        (Method::Put, "/ingest/c/", none, 200),
        (Method::Post, "/ingest/c", none, 200),
        (Method::Put, "/ingest/c/x.mpd", none, 200),
        (Method::Put, "/ingest/c/a/x.m3u8", none, 200),
        (Method::Delete, "/ingest/c/v/1.m4s", none, 200),
        (Method::Delete, "/ingest/c/v/1.m4s", none, 200),
        (Method::Put, "/ingest/c/v.cmfv", none, 200),
        (Method::Get, "/ingest/c/v.cmfv", none, 405),
        (Method::Put, "/ingest/c/v.cmfv", ranged, 400),
        (Method::Put, "/ingest/c/v.cmfv", packed, 415),
        (Method::Put, "/ingest/c/../v.cmfv", none, 403),
        (Method::Put, "/ingest/c/%2e%2e/v.cmfv", none, 403),
        (Method::Put, "/ingest/c/a%00.cmfv", none, 403),
        (Method::Put, "/ingest/c/Streams(v.cmfv", none, 400),
        (Method::Put, "/ingest/c%20d/v.cmfv", none, 400),
        (Method::Put, "/ingest/", none, 400),
        (Method::Put, "/nowhere", none, 404),
        (Method::Put, "/live/c/v.m3u8", none, 405),
        (Method::Get, "/live/c/index.m3u8", none, 404),
    ];
    for (method, target, fields, status) in table {
        let mut process = Process::one();
        let (got, text) = once(&mut process, method, target, fields);
        assert_eq!(got, status, "{method:?} {target}: {text}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let mut process = Process::one();
    let exchange = process.get_at(0, "/ingest/c/v.cmfv", Fields::default());
    let answer = process.answer(exchange).expect("refused");
    assert_eq!(answer.field("Allow"), Some("PUT, POST, DELETE, OPTIONS"));
}

#[test]
fn a_delete_with_an_empty_chunked_body_is_answered_at_its_end() {
    let mut process = Process::one();
    for _ in 0..2 {
        let none = Fields::default();
        let target = "/ingest/c/v/1.m4s";
        let exchange = process.open_at(0, Method::Delete, target, BodyLength::Chunked, none);
        assert!(process.answer(exchange).is_none());
        assert_eq!(process.end(exchange).expect("answered").status, 200);
    }
}

#[test]
fn credentials_are_asked_for_and_judged() {
    let settings = Settings {
        ingest_token: Some("sesame-open".to_owned()),
        ..Settings::default()
    };
    let mut process = Process::new(1, settings);
    let with = |authorization| Fields {
        authorization,
        expect_continue: true,
        ..Fields::default()
    };
    let table = [
        (None, "/ingest/c/v.cmfv", 401),
        (Some("Bearer wrong"), "/ingest/c/v.cmfv", 403),
        (None, "/ingest/c/v.cmfv?token=wrong", 403),
        (Some("Bearer sesame-open"), "/ingest/c/v.cmfv", 200),
        (None, "/ingest/c/v.cmfv?token=sesame-open", 200),
        (None, "/ingest/c/x.mpd", 401),
    ];
    for (authorization, target, status) in table {
        let fields = with(authorization);
        let exchange = process.open_at(0, Method::Put, target, BodyLength::Chunked, fields);
        let admitted = process.continued.contains(&exchange);
        assert_eq!(
            admitted,
            status == 200,
            "{target}: 100 only for what is taken"
        );
        let answer = match process.answer(exchange) {
            Some(answer) => answer,
            None => process.end(exchange).expect("answered"),
        };
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.field("WWW-Authenticate").is_some(), status == 401);
    }
}

#[test]
fn t7_media_without_its_header_waits_and_is_published_when_it_comes() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let waiting: Vec<_> = (0..3)
        .map(|n| {
            let exchange = process.put(&format!("/ingest/c/v/{n}.m4s"));
            let segment = camera.segment();
            process.body(exchange, &segment);
            assert!(process.end(exchange).is_none(), "it waits for its header");
            process.pass(1_000);
            exchange
        })
        .collect();
    let header = camera.spec.bytes();
    assert_eq!(
        process
            .upload("/ingest/c/v/init.mp4", &header)
            .expect("stored")
            .status,
        200
    );
    for exchange in waiting {
        assert_eq!(process.answer(exchange).expect("it goes on").status, 200);
    }
    let text = process.get("/live/c/v.m3u8").text();
    assert_eq!(text.matches("#EXTINF:2.00000").count(), 3, "{text}");
}

#[test]
fn t7_media_whose_header_never_comes_is_412_after_the_grace() {
    for endless in [false, true] {
        let mut process = Process::one();
        let exchange = process.put("/ingest/c/v/1.m4s");
        process.body(exchange, &Camera::new().segment());
        if !endless {
            assert!(process.end(exchange).is_none());
        }
        process.pass(4_900);
        assert!(
            process.answer(exchange).is_none(),
            "not before the grace is over"
        );
        process.pass(2_500);
        let answer = process.answer(exchange).expect("after the grace");
        assert_eq!(answer.status, 412);
        let text = answer.text();
        assert!(
            text.contains("channel c: track v: byte 0: media without a CMAF header"),
            "{text}"
        );
        if endless {
            assert!(process.end(exchange).is_none(), "answered once");
        }
    }
}

#[test]
fn an_encoder_that_leaves_is_forgotten() {
    let mut process = Process::one();
    let exchange = process.put("/ingest/c/v/1.m4s");
    process.body(exchange, &Camera::new().segment());
    process.input(0, Input::Gone { exchange });
    process.pass(15_000);
    assert!(process.answer(exchange).is_none());
    let text = process.get("/api/v1/channels").text();
    assert_eq!(
        text, "{\"channels\":[]}",
        "a channel without a header is dropped"
    );
}

#[test]
fn every_url_style_reaches_its_track() {
    // Header, segments, and the name that the track has then.
    let styles = [
        ("v.cmfv", "v.cmfv", "v"),
        ("Streams(v.cmfv)", "Streams(v.cmfv)", "v"),
        ("/Streams%28v.cmfv%29", "//Streams(v.cmfv)", "v"),
        ("Switching(s)/Streams(v1)", "Switching(s)/Streams(v1)", "v1"),
        ("v/init.mp4", "v/#.m4s", "v"),
        ("v/init.mp4", "v/-#.m4s", "v"),
        ("init-stream0.m4s", "chunk-stream0-0000#.m4s", "stream0"),
        ("video_init.mp4", "video_#.m4s", "video"),
        ("init.mp4", "segment_#.m4s", "main"),
        ("v.header", "v.m4s", "v"),
    ];
    for (header, media, track) in styles {
        let mut process = Process::one();
        let mut camera = Camera::new();
        let answer = process.upload(&format!("/ingest/c/{header}"), &camera.spec.bytes());
        assert_eq!(answer.expect("stored").status, 200, "{header}");
        for n in 1..4 {
            process.pass(2_000);
            let target = format!("/ingest/c/{}", media.replace('#', &n.to_string()));
            let segment = camera.segment();
            let answer = process.upload(&target, &segment).expect("stored");
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        }
        let text = process.get(&format!("/live/c/{track}.m3u8")).text();
        assert!(
            text.matches("#EXTINF:2.00000").count() >= 2,
            "{media}: {text}"
        );
    }
}

#[test]
fn a_channel_that_ended_lives_again_with_its_headers() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let header = camera.spec.bytes();
    process.upload("/ingest/c/init-v.m4s", &header);
    for n in 0..6 {
        process.pass(2_000);
        let segment = camera.segment();
        process.upload(&format!("/ingest/c/chunk-v-{n}.m4s"), &segment);
    }
    // An open PUT of the next segment does not keep the channel alive.
    let opened = process.put("/ingest/c/chunk-v-6.m4s");
    process.pass(65_000);
    let ended = process.get("/live/c/v.m3u8").text();
    assert!(ended.contains("#EXT-X-ENDLIST"), "{ended}");
    camera.made = 0;
    let segment = camera.segment();
    process.body(opened, &segment);
    assert_eq!(process.end(opened).expect("stored").status, 200);
    for n in 7..10 {
        process.pass(2_000);
        let segment = camera.segment();
        let answer = process.upload(&format!("/ingest/c/chunk-v-{n}.m4s"), &segment);
        assert_eq!(answer.expect("stored").status, 200);
    }
    let text = process.get("/live/c/v.m3u8").text();
    assert!(!text.contains("#EXT-X-ENDLIST"), "{text}");
    assert!(text.matches("#EXTINF").count() >= 3, "{text}");
    let name = |text: &str| {
        text.lines()
            .find(|line| line.ends_with(".m4s"))
            .map(str::to_owned)
    };
    assert_ne!(name(&text), name(&ended), "another life has other names");
}
