//! The segment under way as players of DASH get it: chunk by chunk, each when it
//! comes, and never an end that is not the end of the segment. Requests by number
//! that are early or late. The names of tests give the clauses of low-latency
//! delivery that they stand for.

use headwater::http::request::{BodyLength, Method};
use headwater::media::policy::Policy;
use headwater::shard::{ExchangeId, Letter};

use crate::growing::{Scene, bursts, parked};
use crate::shell::{Camera, Fields, Process, endless, stream, uris};

impl Scene {
    /// Whoever asks on each core for the segment under way.
    fn readers(&mut self, url: &str) -> Vec<ExchangeId> {
        let shards = 0..self.process.shards.len();
        shards.map(|shard| self.get(shard, url, None)).collect()
    }

    /// The newest chunk, as it was sent.
    fn newest(&self) -> Vec<u8> {
        if self.half.is_empty() {
            let part = self.parts.last().expect("a part");
            part[part.len() / 2..].to_vec()
        } else {
            self.half.clone()
        }
    }
}

#[test]
fn d3_t4_chunks_go_out_as_they_come_and_make_up_the_segment() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    scene.chunk();
    // A part and a half are there: all of it goes out at once.
    let backlog = [scene.parts.concat(), scene.half.clone()].concat();
    let got = scene.readers(&url);
    let (_, name) = url.rsplit_once('/').expect("a name");
    for exchange in &got {
        let answer = scene.process.answer(*exchange).expect("its head, at once");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("Content-Length"), None);
        assert_eq!(answer.field("Content-Type"), Some("video/mp4"));
        assert_eq!(answer.field("ETag"), Some(&*format!("\"{name}\"")));
        let cache = answer.field("Cache-Control").expect("a lifetime");
        assert_eq!(cache, "public, max-age=300, immutable");
        let sent = scene.process.streamed(*exchange).bursts.concat();
        assert!(sent == backlog);
    }
    let mut sent = backlog;
    for chunk in 3..10 {
        scene.chunk();
        let newest = scene.newest();
        for exchange in &got {
            let mut body = scene.process.streamed(*exchange);
            assert_eq!(std::mem::replace(&mut body.ended, false), chunk == 9);
            assert_eq!(body, bursts(&[&newest]), "chunk {chunk}");
        }
        sent.extend(newest);
    }
    for shard in 0..2 {
        let whole = scene.get(shard, &url, None);
        let whole = scene.process.answer(whole).expect("it is whole");
        let len = whole.field("Content-Length").map(str::to_owned);
        assert_eq!(len, Some(sent.len().to_string()));
        assert_eq!(whole.field("Accept-Ranges"), Some("bytes"));
        assert_eq!(whole.field("ETag"), Some(&*format!("\"{name}\"")));
        assert!(whole.body == sent);
    }
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn t3_no_byte_of_a_chunk_goes_out_before_its_last() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    let got = scene.readers(&url);
    let first = scene.half.clone();
    for exchange in &got {
        assert_eq!(scene.process.streamed(*exchange), bursts(&[&first]));
    }
    let chunk = scene.camera.chunk();
    for byte in &chunk[..chunk.len() - 1] {
        scene.process.body(scene.upload, &[*byte]);
        for exchange in &got {
            assert_eq!(scene.process.streamed(*exchange), bursts(&[]));
        }
    }
    scene.process.body(scene.upload, &chunk[chunk.len() - 1..]);
    for exchange in &got {
        assert_eq!(scene.process.streamed(*exchange), bursts(&[&chunk]));
    }
}

#[test]
fn d3_chunks_that_come_together_are_a_flush_each() {
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    let got = scene.get(0, &url, None);
    scene.process.streamed(got);
    let chunks: Vec<_> = (0..5).map(|_| scene.camera.chunk()).collect();
    scene.process.body(scene.upload, &chunks.concat());
    let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
    assert_eq!(scene.process.streamed(got), bursts(&chunks));
}

#[test]
fn d3_parts_finer_than_chunks_make_no_difference_to_the_bytes() {
    // Parts of 0.1 s from chunks of 0.2 s: each chunk is cut, and the halves are
    // what the segment is made of.
    let mut process = Process::of(Policy {
        part_ms: Some(100),
        ..Policy::default()
    });
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    let stem = stem_of(&process.get("/live/c/v.m3u8").text());
    let url = format!("/live/c/{}{}.m4s", stem.0, stem.1 + 1);
    let held = process.get_at(0, &url, Fields::default());
    stream(&mut process, upload, &mut camera, 2_200);
    let body = process.streamed(held);
    assert!(body.ended && body.bursts.len() > 10);
    assert!(process.get(&url).body == body.bursts.concat());
}

/// What the names of segments begin with, and the number of the newest.
fn stem_of(text: &str) -> (String, u64) {
    let newest = text.lines().rfind(|line| !line.starts_with('#'));
    let newest = newest.expect("a segment").trim_end_matches(".m4s");
    let (stem, msn) = newest.rsplit_once("-s").expect("a segment");
    (format!("{stem}-s"), msn.parse().expect("a number"))
}

#[test]
fn d2_t27_in_the_window_200_soon_held_early_425_late_410_never_404() {
    let mut process = Process::of(Policy {
        window_ms: 6_000,
        ..Policy::default()
    });
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 30_000);
    let (stem, newest) = stem_of(&process.get("/live/c/v.m3u8").text());
    let url = |msn: u64| format!("/live/c/{stem}{msn}.m4s");
    let answers = [
        (newest - 1, 200, "public, max-age=12, immutable"),
        (newest, 200, "public, max-age=12, immutable"),
        (newest + 3, 425, "no-store"),
        (newest + 4, 425, "no-store"),
        (newest + 100_000, 404, "public, max-age=1"),
        (newest - 12, 410, "public, max-age=2"),
        (0, 410, "public, max-age=2"),
    ];
    for (msn, status, cache) in answers {
        let answer = process.get(&url(msn));
        let at = msn as i64 - newest as i64;
        assert_eq!(answer.status, status, "{at}: {}", answer.text());
        assert_eq!(answer.field("Cache-Control"), Some(cache), "{at}");
        // T34.
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(answer.field("Timing-Allow-Origin"), Some("*"));
        assert!(answer.field("Date").is_some(), "{at}");
    }
    for unknown in ["v/x-s1.m4s", "w/x-s1.m4s", "v/g.m4s"] {
        assert_eq!(process.get(&format!("/live/c/{unknown}")).status, 404);
    }
    // The next is held until its first chunk.
    let held = process.get_at(0, &url(newest + 1), Fields::default());
    assert!(process.answer(held).is_none());
    stream(&mut process, upload, &mut camera, 200);
    assert_eq!(process.answer(held).expect("at once").status, 200);
    // Once it is over nothing is early.
    process.post("/api/v1/channels/c/end", Fields::default());
    assert_eq!(process.get(&url(newest + 3)).status, 404);
}

#[test]
fn d2_what_would_be_held_too_long_is_too_early() {
    // Segments of 6 s: the one after the one under way is held within 3 s of
    // its beginning.
    let mut process = Process::of(Policy {
        segment_ms: 6_000,
        ..Policy::default()
    });
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 24_000);
    let (stem, newest) = stem_of(&process.get("/live/c/v.m3u8").text());
    let url = format!("/live/c/{stem}{}.m4s", newest + 2);
    // The newest whole segment ended with the last chunk, so the next begins
    // now, and the one behind it 6 s from now.
    let mut early = 0;
    let held = loop {
        stream(&mut process, upload, &mut camera, 200);
        let exchange = process.get_at(0, &url, Fields::default());
        match process.answer(exchange) {
            Some(answer) => assert_eq!(answer.status, 425),
            None => break exchange,
        }
        early += 1;
    };
    assert!((12..17).contains(&early), "{early} chunks");
    stream(&mut process, upload, &mut camera, 3_200);
    assert_eq!(process.answer(held).expect("it has begun").status, 200);
}

#[test]
fn d2_what_is_held_and_does_not_come_is_refused_in_time() {
    let mut scene = Scene::new(2);
    let url = scene.url(2);
    let held = scene.readers(&url);
    scene.process.pass(3_050);
    for exchange in held {
        assert_eq!(scene.answered(exchange, "ETag"), (404, None));
    }
    assert_eq!(parked(&scene.process), 0);
}

/// The upload dies in the midst of an mdat.
fn kill(scene: &mut Scene) -> Vec<u8> {
    let chunk = scene.camera.chunk();
    let upload = scene.upload;
    scene.process.body(upload, &chunk[..chunk.len() - 20]);
    scene.process.leave(0, upload);
    chunk
}

#[test]
fn d4_t5_an_upload_that_dies_in_mid_mdat_breaks_every_response() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    scene.chunk();
    let there = [scene.parts.concat(), scene.half.clone()].concat();
    let mut got = scene.readers(&url);
    got.push(scene.get(0, &url, Some("bytes=0-")));
    kill(&mut scene);
    got.sort();
    scene.process.aborted.sort();
    assert_eq!(scene.process.aborted, got);
    for exchange in &got[..2] {
        let body = scene.process.streamed(*exchange);
        assert!(!body.ended && body.bursts.concat() == there);
    }
    // Who asks now gets what there is, but no end.
    let again = scene.readers(&url);
    for exchange in &again {
        let answer = scene.process.answer(*exchange).expect("its head");
        assert_eq!((answer.status, answer.field("Content-Length")), (200, None));
    }
    scene.process.pass(5_000);
    for exchange in again {
        let body = scene.process.streamed(exchange);
        assert!(!body.ended && body.bursts.concat() == there);
    }
}

#[test]
fn d4_t5_a_segment_that_is_given_up_is_never_completed() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    scene.chunk();
    kill(&mut scene);
    let got = scene.readers(&url);
    // The encoder goes on two segments later.
    let again = scene.process.put(&format!("/ingest/{}/v.cmfv", scene.name));
    scene.camera.made = (scene.camera.made / 50 + 2) * 50;
    for _ in 0..3 {
        let chunk = scene.camera.chunk();
        scene.process.pass(200);
        scene.process.body(again, &chunk);
    }
    assert_eq!(scene.process.aborted, got);
    for exchange in got {
        assert!(!scene.process.streamed(exchange).ended);
    }
    // What manifests list since is what is there: whole chunks, and a gap.
    let whole = scene.process.get(&url);
    let there = [scene.parts.concat(), scene.half.clone()].concat();
    assert!(whole.status == 200 && whole.body == there);
    assert!(scene.text().contains(",GAP=YES"));
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn d4_the_end_of_a_channel_does_not_complete_what_was_torn() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    kill(&mut scene);
    let got = scene.readers(&url);
    scene.process.pass(21_000);
    assert_eq!(scene.process.aborted, got);
}

/// A channel of uploads of one segment each, with `count` of them.
fn by_segment(process: &mut Process, camera: &mut Camera, count: u64) {
    process.upload("/ingest/c/v/init.mp4", &camera.spec.bytes());
    for _ in 0..count {
        process.pass(2_000);
        let body = camera.segment();
        let target = format!("/ingest/c/v/{}.m4s", camera.made);
        let answer = process.upload(&target, &body).expect("answered");
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn t6_a_segment_that_is_sent_again_is_completed_for_those_who_ask_again() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    by_segment(&mut process, &mut camera, 4);
    let (stem, newest) = stem_of(&process.get("/live/c/v.m3u8").text());
    let url = format!("/live/c/{stem}{}.m4s", newest + 1);
    let segment = camera.segment();
    // It dies in mid-mdat, then with its last chunk but without its end.
    for there in [segment.len() / 2, segment.len()] {
        let put = process.put("/ingest/c/v/5.m4s");
        process.body(put, &segment[..there]);
        let broken = process.get_at(0, &url, Fields::default());
        process.leave(0, put);
        assert_eq!(process.aborted.pop(), Some(broken));
        process.streamed(broken);
    }
    let asked = process.get_at(0, &url, Fields::default());
    let stored = process.upload("/ingest/c/v/5.m4s", &segment);
    assert_eq!(stored.expect("answered").status, 200);
    let body = process.streamed(asked);
    assert!(body.ended && body.bursts.concat() == segment);
    assert!(process.get(&url).body == segment);
    let text = process.get("/live/c/v.m3u8").text();
    let listed = text.lines().filter(|line| url.ends_with(line));
    assert_eq!(listed.count(), 1);
    assert!(process.aborted.is_empty());
}

#[test]
fn t11_another_encoder_of_the_track_goes_on_and_nobody_notices() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    by_segment(&mut process, &mut camera, 4);
    let (stem, newest) = stem_of(&process.get("/live/c/v.m3u8").text());
    let url = format!("/live/c/{stem}{}.m4s", newest + 1);
    let segment = camera.segment();
    let half = segment.len() / 2;
    let puts = [0, 1].map(|_| process.put("/ingest/c/v/5.m4s"));
    for put in puts {
        process.body(put, &segment[..half]);
    }
    let asked = process.get_at(0, &url, Fields::default());
    process.leave(0, puts[0]);
    process.body(puts[1], &segment[half..]);
    process.end(puts[1]);
    let body = process.streamed(asked);
    assert!(body.ended && body.bursts.concat() == segment);
    assert!(process.aborted.is_empty());
}

#[test]
fn d4_what_is_no_media_any_more_breaks_the_response_too() {
    // A body that ends within a chunk, and boxes that can't be.
    let breaks: [fn(&mut Process, ExchangeId, &[u8]); 2] = [
        |process, put, chunk| {
            process.body(put, &chunk[..chunk.len() - 20]);
            assert_eq!(process.end(put).expect("answered").status, 400);
        },
        |process, put, _| process.body(put, &[0, 0, 0, 4, b'm', b'o', b'o', b'f']),
    ];
    for breaks in breaks {
        let mut process = Process::one();
        let mut camera = Camera::new();
        by_segment(&mut process, &mut camera, 4);
        let (stem, newest) = stem_of(&process.get("/live/c/v.m3u8").text());
        let url = format!("/live/c/{stem}{}.m4s", newest + 1);
        let put = process.put("/ingest/c/v/5.m4s");
        process.body(put, &camera.chunk());
        let asked = process.get_at(0, &url, Fields::default());
        let chunk = camera.chunk();
        breaks(&mut process, put, &chunk);
        assert_eq!(process.aborted, [asked]);
        process.leave(0, put);
        assert_eq!(process.aborted, [asked], "told once");
    }
}

#[test]
fn head_of_what_grows_has_no_length_and_waits_for_nothing() {
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    let fields = Fields::default();
    let head = scene
        .process
        .open_at(0, Method::Head, &url, BodyLength::None, fields);
    let answer = scene.process.answer(head).expect("at once");
    assert_eq!((answer.status, answer.field("Content-Length")), (200, None));
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn chunks_cross_cores_only_where_somebody_reads() {
    let mut scene = Scene::new(2);
    scene.process.lose = |letter| {
        assert!(!matches!(letter, Letter::Chunks { .. }), "nobody reads");
        false
    };
    for _ in 0..20 {
        scene.chunk();
    }
    let url = scene.url(1);
    // At the channel's home, or part by part, is nothing to send either.
    let home = scene.get(0, &url, None);
    let in_parts = scene.get(1, &url, Some("bytes=0-"));
    scene.chunk();
    scene.chunk();
    assert!(!scene.process.streamed(home).bursts.is_empty());
    scene.process.leave(1, in_parts);
    scene.process.lose = |_| false;
    let reader = scene.get(1, &url, None);
    scene.chunk();
    let newest = scene.newest();
    let body = scene.process.streamed(reader);
    assert_eq!(body.bursts.last(), Some(&newest));
    scene.process.leave(1, reader);
    // It listens on for a while, then no more.
    for _ in 0..60 {
        scene.chunk();
    }
    scene.process.lose = |letter| {
        assert!(!matches!(letter, Letter::Chunks { .. }), "nobody reads");
        false
    };
    for _ in 0..20 {
        scene.chunk();
    }
}

#[test]
fn chunks_that_are_lost_on_the_way_come_with_their_part() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    let reader = scene.get(1, &url, None);
    scene.chunk();
    let first = scene.process.streamed(reader).bursts.concat();
    assert!(first == scene.parts[0]);
    scene.process.lose = |letter| matches!(letter, Letter::Chunks { .. });
    scene.chunk();
    assert_eq!(scene.process.streamed(reader), bursts(&[]));
    scene.process.lose = |_| false;
    scene.chunk();
    let (one, two) = scene.parts[1].split_at(scene.parts[1].len() / 2);
    assert_eq!(scene.process.streamed(reader), bursts(&[one, two]));
    // And from then on again as they come.
    scene.chunk();
    let newest = scene.newest();
    assert_eq!(scene.process.streamed(reader), bursts(&[&newest]));
    // So is the wish to hear of them.
    scene.process.leave(1, reader);
    for _ in 0..60 {
        scene.chunk();
    }
    let url = scene.url(1);
    scene.process.lose = |letter| matches!(letter, Letter::Listen { .. });
    let reader = scene.get(1, &url, None);
    scene.process.lose = |_| false;
    scene.process.pass(100);
    scene.chunk();
    let newest = scene.newest();
    let body = scene.process.streamed(reader);
    assert_eq!(body.bursts.last(), Some(&newest));
}

#[test]
fn t32_parts_by_segment_and_place_are_the_parts_of_hls() {
    let mut scene = Scene::new(2);
    for _ in 0..14 {
        scene.chunk();
    }
    let url = scene.url(0);
    let stem = url.trim_end_matches(".m4s").to_owned();
    let (_, msn) = stem.rsplit_once("-s").expect("a segment");
    let text = scene.text();
    // Parts stand in front of their segment's own line.
    let own: Vec<&str> = text
        .lines()
        .take_while(|line| !line.ends_with(&format!("-s{msn}.m4s")))
        .collect();
    let from = own.iter().rposition(|line| line.contains("-s"));
    let parts = uris(
        &own[from.map_or(0, |at| at + 1)..].join("\n"),
        "#EXT-X-PART:",
    );
    assert_eq!(parts.len(), 5);
    let mut joined = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let part = scene.process.get(&format!("/live/{}/{part}", scene.name));
        for shard in 0..2 {
            let by_place = scene.get(shard, &format!("{stem}-{place}.m4s"), None);
            let by_place = scene.process.answer(by_place).expect("at once");
            assert_eq!((by_place.status, part.status), (200, 200));
            assert_eq!(by_place.head, part.head, "ETag, type and lifetime too");
            assert!(by_place.body == part.body);
        }
        joined.extend(part.body);
    }
    assert!(joined == scene.process.get(&url).body);
    let none = scene.process.get(&format!("{stem}-5.m4s"));
    assert_eq!(none.status, 404, "the segment has no such part");
}

#[test]
fn d1_t27_parts_by_place_are_held_refused_early_and_gone() {
    let mut scene = Scene::new(2);
    let (under_way, next) = (scene.url(1), scene.url(2));
    let name = |url: &str, place: u64| format!("{}-{place}.m4s", url.trim_end_matches(".m4s"));
    // Half a part of the segment is there. A player's first request may be for
    // its last part.
    let held: Vec<_> = [name(&under_way, 0), name(&under_way, 4), name(&next, 0)]
        .iter()
        .flat_map(|url| [0, 1].map(|shard| (shard, url.clone())))
        .map(|(shard, url)| scene.get(shard, &url, None))
        .collect();
    let far = name(&scene.url(3), 0);
    for url in [name(&under_way, 40), name(&next, 4), far] {
        for shard in 0..2 {
            let exchange = scene.get(shard, &url, None);
            let early = scene.answered(exchange, "Cache-Control");
            assert_eq!(early, (425, Some("no-store".to_owned())), "{url}");
        }
    }
    for (at, exchanges) in [(0, 0..2), (4, 2..4), (5, 4..6)] {
        while scene.parts.len() <= at {
            for exchange in &held[exchanges.clone()] {
                assert!(scene.process.answer(*exchange).is_none(), "held for {at}");
            }
            scene.chunk();
        }
        for exchange in &held[exchanges] {
            let answer = scene.process.answer(*exchange).expect("it has come");
            assert!(answer.status == 200 && answer.body == scene.parts[at]);
        }
    }
    assert_eq!(parked(&scene.process), 0);
    let unknown = scene.get(0, &name(&under_way, 1_000_000), None);
    assert_eq!(scene.answered(unknown, "ETag"), (404, None));
}

#[test]
fn a_place_beyond_the_last_part_is_refused_when_the_segment_ends() {
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    for _ in 0..8 {
        scene.chunk();
    }
    let beyond = format!("{}-5.m4s", url.trim_end_matches(".m4s"));
    let held = scene.get(0, &beyond, None);
    assert!(scene.process.answer(held).is_none());
    scene.chunk();
    assert_eq!(scene.answered(held, "ETag"), (404, None));
}

#[test]
fn a_channel_without_parts_has_none_by_place_and_its_segments_grow_all_the_same() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    // Whole segments in one chunk each: there are no parts.
    process.upload("/ingest/c/v/init.mp4", &camera.spec.bytes());
    let whole = |camera: &mut Camera| camera.frames(50);
    for n in 0..4 {
        process.pass(2_000);
        let body = whole(&mut camera);
        process.upload(&format!("/ingest/c/v/{n}.m4s"), &body);
    }
    let text = process.get("/live/c/v.m3u8").text();
    assert!(!text.contains("#EXT-X-PART"), "{text}");
    let (stem, newest) = stem_of(&text);
    let part = format!("/live/c/{stem}{newest}-0.m4s");
    assert_eq!(process.get(&part).status, 404);
    let url = format!("/live/c/{stem}{}.m4s", newest + 1);
    let held = process.get_at(0, &url, Fields::default());
    let put = process.put("/ingest/c/v/4.m4s");
    let body = whole(&mut camera);
    process.body(put, &body);
    assert_eq!(process.streamed(held), bursts(&[&body]));
    process.end(put);
    assert!(process.streamed(held).ended);
    assert!(process.get(&url).body == body);
}
