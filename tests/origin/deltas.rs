//! Delta updates as they are asked for and answered (rfc8216bis sections
//! 6.2.5.1 and 6.2.5.2).

use crate::shell::{Camera, Fields, Process, endless, stream};

fn skipped(text: &str) -> Option<usize> {
    text.lines().find_map(|line| {
        let count = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=")?;
        Some(count.parse().expect("a number"))
    })
}

fn segments(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn s6_2_5_1_a_delta_and_what_it_left_out_are_the_playlist() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 40_000);
    let full = process.get("/live/c/v.m3u8");
    let delta = process.get("/live/c/v.m3u8?_HLS_skip=YES");
    assert_eq!((full.status, delta.status), (200, 200));
    let (all, kept) = (full.text(), delta.text());
    let count = skipped(&kept).expect("20 segments of 2 s are more than six targets");
    assert_eq!(segments(&all)[count..], segments(&kept)[..]);
    assert_eq!(skipped(&all), None);
    assert_ne!(full.field("ETag"), delta.field("ETag"));
    assert_eq!(full.field("Cache-Control"), delta.field("Cache-Control"));
    // The same bytes whichever way they are asked for.
    for query in ["x=1&_HLS_skip=YES", "_HLS_skip=YES&_HLS_skip=YES"] {
        let again = process.get(&format!("/live/c/v.m3u8?{query}"));
        assert!(again.body == delta.body, "{query}");
    }
    let unknown = process.get("/live/c/v.m3u8?_HLS_skip=maybe");
    assert!(unknown.body == full.body);
    let known = Fields {
        if_none_match: delta.field("ETag"),
        ..Fields::default()
    };
    for (target, status) in [("", 200), ("?_HLS_skip=YES", 304)] {
        let exchange = process.get_at(0, &format!("/live/c/v.m3u8{target}"), known);
        let answer = process.answer(exchange).expect("answered");
        assert_eq!(answer.status, status, "{target}");
    }
}

#[test]
fn s6_2_5_2_a_held_request_gets_its_delta_and_others_the_whole() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 40_000);
    let first: u64 = {
        let text = process.get("/live/c/v.m3u8").text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        line.expect("a number").parse().expect("a number")
    };
    let open = first + 20;
    let target = format!("/live/c/v.m3u8?_HLS_msn={open}");
    let whole = process.get_at(0, &target, Fields::default());
    let delta = process.get_at(0, &format!("{target}&_HLS_skip=YES"), Fields::default());
    stream(&mut process, upload, &mut camera, 2_200);
    let whole = process.answer(whole).expect("released");
    let delta = process.answer(delta).expect("released");
    let name = format!("-s{open}.m4s");
    assert!(whole.text().contains(&name) && delta.text().contains(&name));
    assert_eq!(skipped(&whole.text()), None);
    let count = skipped(&delta.text()).expect("a delta");
    assert_eq!(
        segments(&whole.text())[count..],
        segments(&delta.text())[..]
    );
}

#[test]
fn s6_2_5_1_a_held_request_gets_the_whole_when_the_channel_ends() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 40_000);
    let text = process.get("/live/c/v.m3u8").text();
    let first = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    let first: u64 = first.expect("a number").parse().expect("a number");
    let next = first + text.matches("#EXTINF").count() as u64 + 1;
    let target = format!("/live/c/v.m3u8?_HLS_skip=YES&_HLS_msn={next}");
    let held = process.get_at(0, &target, Fields::default());
    assert!(process.answer(held).is_none());
    process.post("/api/v1/channels/c/end", Fields::default());
    let answer = process.answer(held).expect("released at the end");
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("#EXT-X-ENDLIST"));
    assert_eq!(skipped(&answer.text()), None);
}
