//! Garbage is refused with its place, and harms nobody else.

use headwater::shard::Input;

use crate::encoder::{Fragment, Frame, boxed, words};
use crate::shell::{Answer, Camera, Process, endless, stream};

/// Two channels and two tracks beside the one that garbage comes to; returns
/// what the encoder was answered, and the playlists of the others.
fn beside(
    garbage: impl FnOnce(&mut Process, &mut Camera) -> Option<Answer>,
) -> (Option<Answer>, Vec<String>) {
    let mut process = Process::one();
    let (mut other, mut far) = (Camera::new(), Camera::new());
    let mut camera = Camera::new();
    let other_upload = endless(&mut process, "/ingest/c/other.cmfv", &mut other, 0);
    let far_upload = endless(&mut process, "/ingest/far/v.cmfv", &mut far, 0);
    let header = camera.spec.bytes();
    process.upload("/ingest/c/v/init.mp4", &header);
    let mut answer = None;
    let mut garbage = Some(garbage);
    for step in 0..12 {
        let segment = camera.segment();
        for at in 0..10 {
            process.pass(200);
            process.body(other_upload, &other.chunk());
            process.body(far_upload, &far.chunk());
            if at == 5 && step == 5 {
                let run = garbage.take().expect("once");
                answer = run(&mut process, &mut camera);
            }
        }
        let stored = process.upload(&format!("/ingest/c/v/{step}.m4s"), &segment);
        assert_eq!(stored.expect("stored").status, 200, "good media goes on");
    }
    let own = process.get("/live/c/v.m3u8").text();
    assert_eq!(own.matches("#EXTINF:2.00000").count(), 12, "{own}");
    assert!(
        !own.contains("GAP") && !own.contains("#EXT-X-DISCONTINUITY\n"),
        "{own}"
    );
    let lists = ["/live/c/other.m3u8", "/live/far/v.m3u8"].map(|target| process.get(target).text());
    // Reports in the lists beside it speak of the track itself.
    (answer, lists.to_vec())
}

fn chunk_with(time: u64, ticks: u32) -> Vec<u8> {
    let frame = Frame {
        ticks,
        sync: true,
        cts: 0,
        bytes: (8, 1),
    };
    Fragment {
        time,
        frames: vec![frame],
        ..Fragment::default()
    }
    .bytes(1)
}

#[test]
fn garbage_of_every_kind_is_refused_with_its_place() {
    let (_, clean) = beside(|_, _| None);
    let good = Camera::new().segment();
    let noise: Vec<u8> = (0..5_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut other_track = chunk_with(0, 3_600);
    let tfhd = other_track
        .windows(4)
        .position(|name| name == b"tfhd")
        .expect("a tfhd");
    other_track[tfhd + 11] = 9;
    let mut beyond = chunk_with(0, 3_600);
    let trun = beyond
        .windows(4)
        .position(|name| name == b"trun")
        .expect("a trun");
    beyond[trun + 20] = 0x7f;
    let mut timeless = chunk_with(0, 3_600);
    let tfdt = timeless
        .windows(4)
        .position(|name| name == b"tfdt")
        .expect("a tfdt");
    timeless[tfdt..tfdt + 4].copy_from_slice(b"free");
    let hour = 90_000 * 3_600;
    let table: Vec<(&str, Vec<u8>, u16)> = vec![
        ("random bytes", noise, 400),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("a box cut off", good[..700].to_vec(), 400),
        (
            "an absurd size",
            [words(&[u32::MAX]), b"mdat".to_vec()].concat(),
            400,
        ),
        (
            "a box without an end",
            [words(&[0]), b"mdat".to_vec()].concat(),
            400,
        ),
        (
            "a huge moov",
            [words(&[1 << 30]), b"moov".to_vec()].concat(),
            400,
        ),
        (
            "a moof without a traf",
            boxed(b"moof", &[&boxed(b"mfhd", &[&words(&[0, 1])])]),
            400,
        ),
        ("a moof of an unknown track", other_track, 400),
        ("samples beyond the mdat", beyond, 400),
        ("no tfdt", timeless, 400),
        ("no duration", chunk_with(0, 0), 400),
        ("far ahead", chunk_with(hour, 3_600), 400),
        ("a clock at its end", chunk_with(1 << 62, 3_600), 413),
        ("a clock beyond it", chunk_with(u64::MAX, 3_600), 400),
        (
            "a frame of half a day",
            chunk_with(90_000 * 10, u32::MAX),
            413,
        ),
    ];
    for (what, bytes, status) in table {
        let (answer, lists) = beside(|process, _| process.upload("/ingest/c/v/666.m4s", &bytes));
        let answer = answer.unwrap_or_else(|| panic!("{what} is answered"));
        let text = answer.text();
        assert_eq!(answer.status, status, "{what}: {text}");
        assert!(
            text.starts_with("encoder: channel c: track v: "),
            "{what}: {text}"
        );
        assert!(text.contains("byte "), "{what}: {text}");
        assert_eq!(lists, clean, "{what}: the others don't notice");
    }
}

#[test]
fn t5_t6_an_upload_cut_off_within_a_chunk_is_completed_by_the_next() {
    for sent in [10, 300, 700, 1_500, 2_500] {
        let mut process = Process::one();
        let mut camera = Camera::new();
        let header = camera.spec.bytes();
        process.upload("/ingest/c/v/init.mp4", &header);
        for n in 0..4 {
            process.pass(2_000);
            let segment = camera.segment();
            process.upload(&format!("/ingest/c/v/{n}.m4s"), &segment);
        }
        let segment = camera.segment();
        let exchange = process.put("/ingest/c/v/4.m4s");
        process.pass(1_000);
        process.body(exchange, &segment[..sent]);
        process.input(0, Input::Gone { exchange });
        process.pass(500);
        assert_eq!(
            process
                .upload("/ingest/c/v/4.m4s", &segment)
                .expect("stored")
                .status,
            200
        );
        let text = process.get("/live/c/v.m3u8").text();
        assert_eq!(text.matches("#EXTINF:2.00000").count(), 5, "{sent}: {text}");
        let last = text
            .lines()
            .rfind(|line| !line.starts_with('#'))
            .expect("a segment");
        let served = process.get(&format!("/live/c/{last}"));
        assert_eq!(
            (served.status, served.body == segment),
            (200, true),
            "{sent}"
        );
    }
}

#[test]
fn a_refused_endless_upload_is_answered_and_the_encoder_may_come_back() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    process.body(upload, b"not a box at all");
    assert!(
        process.answer(upload).is_none(),
        "the rest of the body is read first"
    );
    process.pass(2_500);
    assert_eq!(process.answer(upload).expect("refused").status, 400);
    process.body(upload, &camera.segment());
    assert!(process.end(upload).is_none(), "answered once");
    camera.made -= 50;
    let again = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    stream(&mut process, again, &mut camera, 2_000);
    assert!(process.answer(again).is_none(), "it goes on");
    let text = process.get("/live/c/v.m3u8").text();
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
}
