//! Lists of I-frames and the bytes they name (rfc8216bis section 4.4.3.6).

use crate::shell::{Camera, Fields, Process, endless, stream, uris};

/// URI and byte range of every frame.
fn frames(text: &str) -> Vec<(String, u64)> {
    let lines: Vec<&str> = text.lines().collect();
    let named = lines.windows(2).filter_map(|pair| {
        let range = pair[0].strip_prefix("#EXT-X-BYTERANGE:")?;
        let bytes = range.strip_suffix("@0").expect("it begins its segment");
        Some((pair[1].to_owned(), bytes.parse().expect("a number")))
    });
    named.collect()
}

#[test]
fn s4_4_3_6_the_range_of_a_frame_ends_with_its_last_byte() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 11_000);
    let answer = process.get("/live/c/v/iframes.m3u8");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let listed = frames(&text);
    assert_eq!(listed.len(), 5, "{text}");
    for (index, (uri, bytes)) in listed.iter().enumerate() {
        let range = format!("bytes=0-{}", bytes - 1);
        let fields = Fields {
            range: Some(&range),
            ..Fields::default()
        };
        let exchange = process.get_at(0, &format!("/live/c/v/{uri}"), fields);
        let answer = process.answer(exchange).expect("answered");
        assert_eq!((answer.status, answer.body.len() as u64), (206, *bytes));
        // The camera fills a frame with the low byte of its number.
        let (head, frame) = answer.body.split_at(answer.body.len() - 40);
        assert_eq!(frame, [(index * 50) as u8; 40]);
        assert_eq!(&head[4..8], b"moof");
        assert_eq!(&head[head.len() - 4..], b"mdat");
    }
    let map = uris(&text, "#EXT-X-MAP").pop().expect("a map");
    let header = process.get(&format!("/live/c/v/{map}"));
    assert!(header.body == camera.spec.bytes());
}

#[test]
fn s6_2_5_2_a_list_of_frames_is_held_for_its_next_frame() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 11_000);
    let text = process.get("/live/c/v/iframes.m3u8").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    let first: u64 = line.expect("a number").parse().expect("a number");
    let at = |query: String| format!("/live/c/v/iframes.m3u8?{query}");
    // It has no parts, so an index in a segment says nothing.
    for query in [String::new(), "&_HLS_part=0".to_owned()] {
        let target = at(format!("_HLS_msn={}{query}", first + 4));
        assert_eq!(process.get(&target).status, 200);
    }
    let held = [String::new(), "&_HLS_part=0".to_owned()].map(|query| {
        let target = at(format!("_HLS_msn={}{query}", first + 5));
        process.get_at(0, &target, Fields::default())
    });
    assert!(held.iter().all(|held| process.answer(*held).is_none()));
    assert_eq!(
        process.get(&at(format!("_HLS_msn={}", first + 8))).status,
        400
    );
    stream(&mut process, upload, &mut camera, 1_400);
    for held in held {
        let answer = process.answer(held).expect("released");
        assert_eq!(answer.status, 200);
        assert_eq!(frames(&answer.text()).len(), 6);
    }
}

#[test]
fn only_video_has_a_list_of_frames() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 5_000);
    assert_eq!(process.get("/live/c/w/iframes.m3u8").status, 404);
    assert_eq!(
        process.get("/live/c/v/iframes.m3u8?_HLS_part=1").status,
        400
    );
}
