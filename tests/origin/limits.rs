//! Bounds of `limits`, at them and beyond.

use headwater::http::request::{BodyLength, Method};
use headwater::limits;
use headwater::media::policy::Policy;
use headwater::shard::{ExchangeId, Input, Letter, Settings};

use crate::shell::{Camera, Fields, Process, endless, stream};

#[test]
fn uploads_of_a_channel_are_bounded() {
    let mut process = Process::one();
    let open: Vec<ExchangeId> = (0..limits::CHANNEL_UPLOADS_MAX)
        .map(|n| process.put(&format!("/ingest/c/v{n}.cmfv")))
        .collect();
    assert!(
        open.iter()
            .all(|exchange| process.answer(*exchange).is_none())
    );
    let further = process.put("/ingest/c/more.cmfv");
    let answer = process.answer(further).expect("refused");
    assert_eq!(answer.status, 413);
    assert!(
        answer.text().contains("uploads of one channel"),
        "{}",
        answer.text()
    );
    let elsewhere = process.put("/ingest/d/v.cmfv");
    assert!(
        process.answer(elsewhere).is_none(),
        "another channel has its own"
    );
    process.input(0, Input::Gone { exchange: open[0] });
    let again = process.put("/ingest/c/more.cmfv");
    assert!(process.answer(again).is_none(), "a place was given back");
}

#[test]
fn questions_about_all_cores_are_bounded() {
    let mut process = Process::new(2, Settings::default());
    // The other core's answers stay out until their second is over.
    process.lose = |letter| matches!(letter, Letter::Gathered { .. });
    let ask = |process: &mut Process| process.get_at(0, "/metrics", Fields::default());
    let open: Vec<ExchangeId> = (0..limits::CORE_QUESTIONS_MAX)
        .map(|_| ask(&mut process))
        .collect();
    let further = ask(&mut process);
    assert_eq!(process.answer(further).expect("refused").status, 503);
    process.leave(0, open[0]);
    let again = ask(&mut process);
    assert!(process.answer(again).is_none(), "a place was given back");
    process.pass(1_100);
    assert!(
        process.answer(open[0]).is_none(),
        "nobody is there to hear it"
    );
    for exchange in open[1..].iter().chain([&again]) {
        assert_eq!(process.answer(*exchange).expect("told").status, 200);
    }
}

#[test]
fn tracks_of_a_channel_are_bounded() {
    let mut process = Process::one();
    let header = Camera::new().spec.bytes();
    for n in 0..limits::CHANNEL_TRACKS_MAX {
        let answer = process.upload(&format!("/ingest/c/v{n}/init.mp4"), &header);
        assert_eq!(answer.expect("stored").status, 200);
    }
    let answer = process
        .upload("/ingest/c/more/init.mp4", &header)
        .expect("refused");
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("track more"), "{}", answer.text());
}

#[test]
fn media_without_a_header_is_bounded() {
    let mut process = Process::one();
    let exchange = process.put("/ingest/c/v/1.m4s");
    let mut camera = Camera::new();
    let mut sent = 0;
    while process.answer(exchange).is_none() {
        let segment = camera.segment();
        sent += segment.len() as u64;
        process.body(exchange, &segment);
        let most = limits::HEADERLESS_BYTES_MAX + limits::REFUSED_BODY_BYTES_MAX;
        assert!(sent < most + 100_000, "it is refused before");
    }
    assert!(sent > limits::HEADERLESS_BYTES_MAX);
    let held: serde_json::Value =
        serde_json::from_str(&process.get("/api/v1/channels").text()).expect("JSON");
    assert_eq!(held["channels"][0]["bytes"], 0, "nothing of it is kept");
}

#[test]
fn channels_are_bounded_and_given_back() {
    let mut process = Process::one();
    let header = Camera::new().spec.bytes();
    for n in 0..limits::CHANNELS_MAX {
        let answer = process.upload(&format!("/ingest/c{n}/v/init.mp4"), &header);
        assert_eq!(answer.expect("stored").status, 200);
    }
    let answer = process
        .upload("/ingest/more/v/init.mp4", &header)
        .expect("refused");
    assert_eq!(answer.status, 503);
    assert!(answer.text().starts_with("origin: "), "{}", answer.text());
    // Headers alone hold no place for ever.
    let window_ms = Policy::default().window_ms;
    process.now.mono = process.now.mono.plus_ms(window_ms + 1_000);
    process.pass(50);
    let answer = process
        .upload("/ingest/more/v/init.mp4", &header)
        .expect("stored");
    assert_eq!(answer.status, 200);
}

#[test]
fn requests_that_come_early_are_bounded() {
    let mut process = Process::one();
    let header = Camera::new().spec.bytes();
    process.upload("/ingest/c/v/init.mp4", &header);
    let early: Vec<ExchangeId> = (0..limits::CHANNEL_EARLY_MAX)
        .map(|_| process.get_at(0, "/live/c/index.m3u8", Fields::default()))
        .collect();
    let further = process.get("/live/c/index.m3u8");
    assert_eq!(further.status, 503);
    process.input(0, Input::Gone { exchange: early[0] });
    process.pass(8_100);
    assert!(process.answer(early[0]).is_none());
    assert_eq!(process.answer(early[1]).expect("refused").status, 404);
}

#[test]
fn memory_is_bounded_and_new_uploads_are_refused_beyond() {
    let policy = Policy {
        window_ms: 300_000,
        ..Policy::default()
    };
    let settings = Settings {
        policy,
        memory_bytes: 200_000,
        ..Settings::default()
    };
    let mut process = Process::new(1, settings);
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    for _ in 0..20 {
        stream(&mut process, upload, &mut camera, 10_000);
        let held: serde_json::Value =
            serde_json::from_str(&process.get("/api/v1/channels").text()).expect("JSON");
        let bytes = held["channels"][0]["bytes"].as_u64().expect("a number");
        assert!(bytes < 250_000, "{bytes}");
    }
    // A chunk that never ends is memory too.
    let hog = process.put("/ingest/d/v.cmfv");
    process.body(hog, &camera.spec.bytes());
    let mut chunk = camera.segment();
    let mdat = chunk
        .windows(4)
        .position(|name| name == b"mdat")
        .expect("an mdat");
    chunk.truncate(mdat + 4);
    chunk[mdat - 4..mdat].copy_from_slice(&600_000u32.to_be_bytes());
    process.body(hog, &chunk);
    for _ in 0..50 {
        process.body(hog, &[0; 10_000]);
    }
    process.pass(100);
    let none = Fields::default();
    let refused = process.open_at(
        0,
        Method::Put,
        "/ingest/e/v.cmfv",
        BodyLength::Chunked,
        none,
    );
    let answer = process.answer(refused).expect("refused");
    assert_eq!(answer.status, 503);
    process.input(0, Input::Gone { exchange: hog });
    process.pass(100);
    let taken = process.put("/ingest/e/v.cmfv");
    assert!(process.answer(taken).is_none(), "there is room again");
}
