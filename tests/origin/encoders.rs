//! Bytes of real encoders through a whole origin.

use headwater::media::policy::Policy;

use crate::shell::Process;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares with a file under `fixtures/golden/origin`, which `UPDATE_GOLDEN=1`
/// writes anew.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = format!(
        "{}/fixtures/golden/origin/{name}.m3u8",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{path}"
    );
}

fn playlists(process: &mut Process, what: &str, tracks: &[&str]) {
    for track in ["index"].iter().chain(tracks) {
        let answer = process.get(&format!("/live/c/{track}.m3u8"));
        assert_eq!(answer.status, 200, "{what} {track}");
        golden(&format!("{what}-{track}"), &answer.text());
    }
}

#[test]
fn segments_by_request() {
    for (encoder, pair) in [
        ("ffmpeg-9.0.2", "ldash"),
        ("shaka-3.8.0", "ldash"),
        ("shaka-3.8.0", "hls-dash"),
        ("shaka-3.8.0", "cbcs"),
    ] {
        let mut process = Process::one();
        for (n, name) in ["0-init.mp4", "1.m4s", "2.m4s"].iter().enumerate() {
            process.pass(if n == 0 { 50 } else { 2_000 });
            for kind in ["video", "audio"] {
                let target = match n {
                    0 => format!("/ingest/c/{kind}/init.mp4"),
                    n => format!("/ingest/c/{kind}/{n}.m4s"),
                };
                let body = fixture(&format!("{encoder}/{pair}-{kind}/{name}"));
                let answer = process.upload(&target, &body).expect("answered");
                assert_eq!(answer.status, 200, "{encoder} {target}: {}", answer.text());
            }
        }
        playlists(
            &mut process,
            &format!("{encoder}-{pair}"),
            &["video", "audio"],
        );
    }
}

#[test]
fn text_in_whole_segments_beside_parts() {
    let mut process = Process::of(Policy {
        part_ms: Some(500),
        ..Policy::default()
    });
    for name in ["0-init.mp4", "1.m4s", "2.m4s", "3.m4s", "4.m4s"] {
        for kind in ["video", "wvtt", "stpp"] {
            let target = match name {
                "0-init.mp4" => format!("/ingest/c/{kind}/init.mp4"),
                segment => format!("/ingest/c/{kind}/{segment}"),
            };
            let body = fixture(&format!("shaka-3.8.0/text-{kind}/{name}"));
            let answer = process.upload(&target, &body).expect("answered");
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        }
        process.pass(2_000);
    }
    playlists(&mut process, "shaka-3.8.0-text", &["video", "wvtt", "stpp"]);
    let list = process.get("/live/c/wvtt.m3u8").text();
    let segments: Vec<_> = list.lines().filter(|line| line.ends_with(".m4s")).collect();
    for (number, uri) in (1..).zip(&segments) {
        let sent = fixture(&format!("shaka-3.8.0/text-wvtt/{number}.m4s"));
        let served = process.get(&format!("/live/c/{uri}")).body;
        let chunk = |body: &[u8]| {
            let moof = body.windows(4).position(|name| name == b"moof");
            body[moof.expect("a chunk")..].to_vec()
        };
        assert_eq!(chunk(&served), chunk(&sent), "{uri}");
    }
    assert_eq!(segments.len(), 4, "{list}");
}

#[test]
fn endless_uploads() {
    for (what, file, target, tracks) in [
        (
            "gstreamer",
            "gstreamer-1.22/curlhttp/0.cmfv",
            "v.cmfv",
            &["v"][..],
        ),
        (
            "ffmpeg-audio",
            "ffmpeg-9.0.2/cmaf-post-audio/0.cmfa",
            "Streams(a.cmfa)",
            &["a"],
        ),
    ] {
        let mut process = Process::one();
        let upload = process.put(&format!("/ingest/c/{target}"));
        let body = fixture(file);
        for piece in body.chunks(body.len() / 100 + 1) {
            process.pass(50);
            process.body(upload, piece);
        }
        assert!(process.answer(upload).is_none(), "{what}: it goes on");
        process.pass(3_000);
        let list = process.get("/live/c/index.m3u8");
        assert_eq!(list.status, 200, "{what}: {}", list.text());
        playlists(&mut process, what, tracks);
    }
}

#[test]
fn a_live_ladder_from_endless_uploads() {
    let mut process = Process::one();
    let (video, audio) = (fixture("demo/video-540p.cmfv"), fixture("demo/audio.cmfa"));
    let v = process.put("/ingest/c/Streams(v.cmfv)");
    let a = process.put("/ingest/c/Streams(a.cmfa)");
    // Both in step with the clock: 16 s of media in 160 pieces.
    for piece in 0..120 {
        process.pass(100);
        for (upload, body) in [(v, &video), (a, &audio)] {
            let at = |index: usize| body.len() * index / 160;
            process.body(upload, &body[at(piece)..at(piece + 1)]);
        }
    }
    playlists(&mut process, "demo", &["v", "a"]);
    let metrics = process.get("/metrics");
    assert_eq!(metrics.status, 200);
    let api = process.get("/api/v1/channels/c").text();
    assert!(api.contains("\"state\":\"live\""), "{api}");
}
