//! DASH-IF live media ingest, interface 1: how segments and tracks begin and
//! end.

use headwater::media::policy::Policy;
use headwater::shard::{Input, Settings};

use crate::shell::{Camera, Fields, Process, endless, stream};

/// A segment type box of one brand.
fn styp(brand: &[u8; 4]) -> Vec<u8> {
    [&16u32.to_be_bytes()[..], b"styp", brand, &[0; 4]].concat()
}

const EMPTY_MFRA: [u8; 8] = *b"\0\0\0\x08mfra";
/// As ffmpeg ends a fragmented file: an index with its size at the end.
const FULL_MFRA: [u8; 24] = *b"\0\0\0\x18mfra\0\0\0\x10mfro\0\0\0\0\0\0\0\x18";

fn playlist(process: &mut Process, track: &str) -> String {
    process.get(&format!("/live/c/{track}.m3u8")).text()
}

fn ended(process: &mut Process, track: &str) -> bool {
    playlist(process, track).contains("#EXT-X-ENDLIST")
}

/// A channel of a track `v` with four segments, one a request.
fn by_segments() -> (Process, Camera) {
    let mut process = Process::one();
    let mut camera = Camera::new();
    process.upload("/ingest/c/v/init.mp4", &camera.spec.bytes());
    for n in 0..4 {
        process.pass(2_000);
        let segment = camera.segment();
        process.upload(&format!("/ingest/c/v/{n}.m4s"), &segment);
    }
    (process, camera)
}

#[test]
fn t1_put_and_post_store_the_same_bytes() {
    let (mut process, mut camera) = by_segments();
    let mut posted = camera.clone();
    process.pass(2_000);
    let put = process.upload("/ingest/c/v/4.m4s", &camera.segment());
    assert_eq!(put.expect("answered").status, 200);
    let text = playlist(&mut process, "v");
    let (mut other, _) = by_segments();
    other.pass(2_000);
    let exchange = other.open_post("/ingest/c/v/4.m4s");
    other.body(exchange, &posted.segment());
    assert_eq!(other.end(exchange).expect("answered").status, 200);
    assert_eq!(playlist(&mut other, "v"), text);
    let last = text.lines().rfind(|line| !line.starts_with('#'));
    let target = format!("/live/c/{}", last.expect("a segment"));
    assert_eq!(process.get(&target).body, other.get(&target).body);
}

#[test]
fn t21_two_segments_in_one_body_are_two_segments() {
    for brand in [None, Some(b"cmfs"), Some(b"msdh")] {
        let mut process = Process::one();
        let mut camera = Camera::new();
        let upload = process.put("/ingest/c/v.cmfv");
        process.body(upload, &camera.spec.bytes());
        for _ in 0..5 {
            process.pass(2_000);
            let body = [brand.map(styp).unwrap_or_default(), camera.segment()].concat();
            process.body(upload, &body);
        }
        process.end(upload);
        let text = playlist(&mut process, "v");
        assert_eq!(
            text.matches("#EXTINF:2.00000").count(),
            5,
            "{brand:?}: {text}"
        );
    }
}

#[test]
fn t22_lmsg_in_the_last_segment_ends_the_channel() {
    let (mut process, mut camera) = by_segments();
    process.pass(2_000);
    let last = [styp(b"lmsg"), camera.segment()].concat();
    let upload = process.put("/ingest/c/v/4.m4s");
    process.body(upload, &last);
    assert!(!ended(&mut process, "v"), "its segment is under way");
    assert_eq!(process.end(upload).expect("answered").status, 200);
    assert!(ended(&mut process, "v"));
    let text = playlist(&mut process, "v");
    assert_eq!(text.matches("#EXTINF:2.00000").count(), 5, "{text}");
}

#[test]
fn t22_a_last_segment_that_is_cut_off_ends_nothing() {
    let (mut process, mut camera) = by_segments();
    process.pass(2_000);
    let last = [styp(b"lmsg"), camera.segment()].concat();
    let exchange = process.put("/ingest/c/v/4.m4s");
    process.body(exchange, &last[..last.len() - 1]);
    process.input(0, Input::Gone { exchange });
    assert!(!ended(&mut process, "v"));
    // It is sent again, as the protocol wants it.
    process.upload("/ingest/c/v/4.m4s", &last);
    assert!(ended(&mut process, "v"));
}

#[test]
fn t22_an_empty_mfra_ends_an_endless_upload_and_an_index_does_not() {
    for (box_, over) in [(&EMPTY_MFRA[..], true), (&FULL_MFRA[..], false)] {
        let mut process = Process::one();
        let mut camera = Camera::new();
        let upload = endless(
            &mut process,
            "/ingest/c/Streams(v.cmfv)",
            &mut camera,
            9_000,
        );
        process.body(upload, box_);
        assert_eq!(ended(&mut process, "v"), over);
        process.end(upload);
        assert_eq!(ended(&mut process, "v"), over);
        let text = playlist(&mut process, "v");
        assert_eq!(text.matches("#EXTINF:1.00000").count(), 1, "{text}");
    }
}

#[test]
fn t22_a_channel_ends_with_its_last_track() {
    let settings = Settings {
        policy: Policy {
            fill_gaps: true,
            ..Policy::default()
        },
        ..Settings::default()
    };
    let mut process = Process::new(1, settings);
    let mut cameras = [Camera::new(), Camera::new()];
    let uploads = ["v", "w"].map(|name| process.put(&format!("/ingest/c/Streams({name}.cmfv)")));
    let mut both = |process: &mut Process, which: &[usize], ms: u64| {
        for _ in 0..ms / 200 {
            process.pass(200);
            for at in which {
                let chunk = cameras[*at].chunk();
                process.body(uploads[*at], &chunk);
            }
        }
    };
    let header = Camera::new().spec.bytes();
    for upload in uploads {
        process.body(upload, &header);
    }
    both(&mut process, &[0, 1], 8_000);
    process.body(uploads[0], &EMPTY_MFRA);
    both(&mut process, &[1], 4_000);
    assert!(!ended(&mut process, "v") && !ended(&mut process, "w"));
    let text = playlist(&mut process, "v");
    assert!(!text.contains("#EXT-X-GAP"), "nothing is missing: {text}");
    process.body(uploads[1], &EMPTY_MFRA);
    assert!(ended(&mut process, "v") && ended(&mut process, "w"));
}

/// Of two encoders, one is stopped on purpose.
#[test]
fn t22_the_end_of_one_encoder_of_two_ends_nothing() {
    let mut process = Process::one();
    let mut first = Camera::new();
    let upload = endless(&mut process, "/ingest/c/Streams(v.cmfv)", &mut first, 8_000);
    let mut second = first.clone();
    let other = process.put("/ingest/c/Streams(v.cmfv)");
    process.body(other, &second.spec.bytes());
    for _ in 0..20 {
        stream(&mut process, upload, &mut first, 200);
        process.body(other, &second.chunk());
    }
    process.body(upload, &EMPTY_MFRA);
    process.end(upload);
    assert!(!ended(&mut process, "v"));
    stream(&mut process, other, &mut second, 6_000);
    let text = playlist(&mut process, "v");
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    assert_eq!(text.matches("#EXTINF:2.00000").count(), 9, "{text}");
    // The one that is left ends it.
    process.body(other, &EMPTY_MFRA);
    assert!(ended(&mut process, "v"));
}

/// An identical header on the same URL begins again.
#[test]
fn t22_a_channel_that_was_ended_by_its_encoder_lives_again() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(
        &mut process,
        "/ingest/c/Streams(v.cmfv)",
        &mut camera,
        8_000,
    );
    process.body(upload, &EMPTY_MFRA);
    process.end(upload);
    assert!(ended(&mut process, "v"));
    let mut again = Camera::new();
    endless(&mut process, "/ingest/c/Streams(v.cmfv)", &mut again, 8_000);
    assert!(!ended(&mut process, "v"));
    assert_eq!(process.get("/live/c/index.m3u8").status, 200);
    let none = Fields::default();
    let exchange = process.get_at(0, "/live/c/v.m3u8", none);
    assert_eq!(process.answer(exchange).expect("at once").status, 200);
}
