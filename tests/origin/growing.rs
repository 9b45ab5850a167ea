//! Ranges of the segment under way as players are sent them: part by part, whole
//! parts only, to the end of the segment and no further. Who asks for all of it
//! gets it chunk by chunk, see `progress`.

use headwater::http::request::{BodyLength, Method};
use headwater::media::policy::{PartAddressing, Policy};
use headwater::shard::{ExchangeId, Letter, Settings, ShardId};

use crate::shell::{Body, Camera, Fields, Process, endless, stream, uris};

const RANGE_END: u64 = (1 << 53) - 1;

/// An origin with parts of 0.4 s (two chunks), an encoder, and what it sent of
/// the segment under way.
pub(crate) struct Scene {
    pub(crate) process: Process,
    pub(crate) camera: Camera,
    pub(crate) upload: ExchangeId,
    pub(crate) name: String,
    /// Of the open segment, its parts as far as they are listed.
    pub(crate) parts: Vec<Vec<u8>>,
    /// A chunk that waits for the rest of its part.
    pub(crate) half: Vec<u8>,
}

impl Scene {
    pub(crate) fn new(shards: u16) -> Self {
        let policy = Policy {
            part_ms: Some(400),
            ended_after_ms: 20_000,
            ..Policy::default()
        };
        let settings = Settings {
            policy,
            ..Settings::default()
        };
        let mut process = Process::new(shards, settings);
        let name = if shards == 1 {
            "c".to_owned()
        } else {
            crate::mirrors::at_home()
        };
        let mut camera = Camera::new();
        let target = format!("/ingest/{name}/v.cmfv");
        let upload = endless(&mut process, &target, &mut camera, 10_000);
        let mut scene = Self {
            process,
            camera,
            upload,
            name,
            parts: Vec::new(),
            half: Vec::new(),
        };
        // Mirrors subscribe by being asked.
        for shard in 0..usize::from(shards) {
            let target = format!("/live/{}/v.m3u8", scene.name);
            scene.process.get_at(shard, &target, Fields::default());
        }
        // What was sent last ended a segment.
        scene.chunk();
        scene
    }

    /// One chunk of 0.2 s.
    pub(crate) fn chunk(&mut self) {
        self.process.pass(200);
        let chunk = self.camera.chunk();
        self.process.body(self.upload, &chunk);
        if self.half.is_empty() {
            self.half = chunk;
        } else {
            let part = [std::mem::take(&mut self.half), chunk].concat();
            self.parts.push(part);
        }
    }

    /// The playlist.
    pub(crate) fn text(&mut self) -> String {
        let target = format!("/live/{}/v.m3u8", self.name);
        self.process.get(&target).text()
    }

    /// The URL of the segment `ahead` of the newest whole one.
    pub(crate) fn url(&mut self, ahead: u64) -> String {
        let text = self.text();
        let newest = text.lines().rfind(|line| !line.starts_with('#'));
        let newest = newest.expect("a whole segment").trim_end_matches(".m4s");
        let (stem, msn) = newest.rsplit_once("-s").expect("a segment");
        let msn: u64 = msn.parse().expect("a number");
        format!("/live/{}/{stem}-s{}.m4s", self.name, msn + ahead)
    }

    pub(crate) fn get(&mut self, shard: usize, url: &str, range: Option<&str>) -> ExchangeId {
        let fields = Fields {
            range,
            ..Fields::default()
        };
        self.process.get_at(shard, url, fields)
    }

    /// The status and a field of an answer that has been given.
    #[track_caller]
    pub(crate) fn answered(&mut self, exchange: ExchangeId, field: &str) -> (u16, Option<String>) {
        let answer = self.process.answer(exchange).expect("answered");
        (answer.status, answer.field(field).map(str::to_owned))
    }
}

pub(crate) fn bursts(bursts: &[&[u8]]) -> Body {
    Body {
        bursts: bursts.iter().map(|burst| burst.to_vec()).collect(),
        ended: false,
    }
}

fn end(last: &[u8]) -> Body {
    Body {
        ended: true,
        ..bursts(&[last])
    }
}

#[test]
fn s6_2_6_the_open_segment_is_sent_part_by_part_on_every_core() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    let first = scene.parts[0].clone();
    let all = Some("bytes=0-");
    let got: Vec<_> = (0..2).map(|shard| scene.get(shard, &url, all)).collect();
    for exchange in &got {
        let answer = scene.process.answer(*exchange).expect("its head, at once");
        assert_eq!(answer.status, 206);
        assert_eq!(answer.field("Content-Length"), None);
        let cache = answer.field("Cache-Control").expect("a lifetime");
        assert!(cache.contains("immutable"), "{cache}");
        let (_, name) = url.rsplit_once('/').expect("a name");
        assert_eq!(answer.field("ETag"), Some(&*format!("\"{name}\"")));
        assert_eq!(scene.process.streamed(*exchange), bursts(&[&first]));
    }
    for part in 1..4 {
        scene.chunk();
        for exchange in &got {
            let nothing = bursts(&[]);
            assert_eq!(scene.process.streamed(*exchange), nothing, "half a part");
        }
        scene.chunk();
        for exchange in &got {
            let want = bursts(&[&scene.parts[part]]);
            assert_eq!(scene.process.streamed(*exchange), want);
        }
    }
    // The last part and the end of the segment are one step.
    scene.chunk();
    scene.chunk();
    let last = scene.parts[4].clone();
    for exchange in &got {
        assert_eq!(scene.process.streamed(*exchange), end(&last));
    }
    let whole = scene.process.get(&url);
    assert_eq!(whole.body, scene.parts[..5].concat());
    assert_eq!(parked(&scene.process), 0);
}

pub(crate) fn parked(process: &Process) -> usize {
    let shards = format!("{:?}", process.shards);
    shards.matches("Stream {").count() + shards.matches("Waiting {").count()
}

#[test]
fn ranges_of_the_open_segment_are_sent_as_far_as_they_exist() {
    // RFC 8673 section 2.
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    for _ in 0..3 {
        scene.chunk();
    }
    let there = scene.parts.concat();
    let len = there.len() as u64;
    let first = scene.parts[0].len() as u64;
    // All of it exists.
    let range = format!("bytes={first}-{}", len - 1);
    let listed = scene.get(0, &url, Some(&range));
    let answer = scene.process.answer(listed).expect("answered at once");
    let want = format!("bytes {first}-{}/*", len - 1);
    assert_eq!(answer.status, 206);
    assert_eq!(answer.field("Content-Range"), Some(&*want));
    assert_eq!(answer.body, scene.parts[1]);
    // Some of it does not: to its last byte, in the midst of a part too.
    let last = len + 99;
    let bounded = scene.get(0, &url, Some(&format!("bytes={}-{last}", len - 10)));
    let endless = scene.get(0, &url, Some(&format!("bytes={first}-{RANGE_END}")));
    let open = scene.get(0, &url, Some("bytes=0-"));
    let suffix = scene.get(0, &url, Some("bytes=-10"));
    let ranges = [
        (bounded, format!("bytes {}-{last}/*", len - 10)),
        (endless, format!("bytes {first}-{RANGE_END}/*")),
        (open, format!("bytes 0-{RANGE_END}/*")),
    ];
    for (exchange, range) in ranges {
        assert_eq!(
            scene.answered(exchange, "Content-Range"),
            (206, Some(range))
        );
    }
    assert_eq!(scene.answered(suffix, "Content-Range"), (200, None));
    for (exchange, from) in [
        (bounded, len - 10),
        (endless, first),
        (open, 0),
        (suffix, 0),
    ] {
        let want = bursts(&[&there[from as usize..]]);
        assert_eq!(scene.process.streamed(exchange), want);
    }
    scene.chunk();
    scene.chunk();
    let next = scene.parts[2].clone();
    assert_eq!(scene.process.streamed(bounded), end(&next[..100]));
    assert_eq!(scene.process.streamed(endless), bursts(&[&next]));
    for _ in 0..4 {
        scene.chunk();
    }
    let rest = bursts(&[&scene.parts[3], &scene.parts[4]]);
    let rest = Body {
        ended: true,
        ..rest
    };
    let all = scene.process.streamed(suffix);
    assert!(all.ended && all.bursts.concat() == scene.parts[2..5].concat());
    for exchange in [endless, open] {
        let mut body = scene.process.streamed(exchange);
        if exchange != endless {
            body.bursts.remove(0);
        }
        assert_eq!(body, rest);
    }
}

#[test]
fn a_range_that_begins_with_the_next_part_is_held_for_it() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    let len = scene.parts[0].len() as u64;
    let hinted = format!("bytes={len}-{RANGE_END}");
    let held: Vec<_> = (0..2)
        .map(|shard| scene.get(shard, &url, Some(&hinted)))
        .collect();
    // A core that is ahead may have told of this one.
    let later = scene.get(0, &url, Some(&format!("bytes={}-", len + 10)));
    let absurd = scene.get(0, &url, Some("bytes=4503599627370496-"));
    assert_eq!(scene.answered(absurd, "Content-Range"), (416, None));
    scene.chunk();
    for exchange in held.iter().chain([&later]) {
        assert!(scene.process.answer(*exchange).is_none(), "held");
    }
    scene.chunk();
    let part = scene.parts[1].clone();
    for exchange in held {
        let want = format!("bytes {len}-{RANGE_END}/*");
        let answer = scene.answered(exchange, "Content-Range");
        assert_eq!(answer, (206, Some(want)));
        assert_eq!(scene.process.streamed(exchange), bursts(&[&part]));
    }
    assert_eq!(scene.process.streamed(later), bursts(&[&part[10..]]));
}

#[test]
fn the_next_segment_is_held_and_then_streamed() {
    let mut scene = Scene::new(2);
    let (url, far) = (scene.url(2), scene.url(3));
    let held: Vec<_> = [(0, None), (1, None), (0, Some("bytes=0-9007199254740991"))]
        .map(|(shard, range)| scene.get(shard, &url, range))
        .into();
    let far = scene.get(0, &far, None);
    assert_eq!(scene.answered(far, "ETag"), (425, None));
    // A chunk of the second segment is there after this.
    for _ in 0..10 {
        for exchange in &held {
            assert!(scene.process.answer(*exchange).is_none(), "held");
        }
        scene.chunk();
    }
    let chunk = scene.half.clone();
    for exchange in &held[..2] {
        assert_eq!(scene.answered(*exchange, "Content-Range"), (200, None));
        assert_eq!(scene.process.streamed(*exchange), bursts(&[&chunk]));
    }
    assert!(scene.process.answer(held[2]).is_none(), "half a part");
    scene.chunk();
    let first = scene.parts[5].clone();
    assert_eq!(scene.answered(held[2], "ETag").0, 206);
    assert_eq!(scene.process.streamed(held[2]), bursts(&[&first]));
}

#[test]
fn what_does_not_begin_in_time_is_refused() {
    let mut scene = Scene::new(1);
    let url = scene.url(2);
    let held = scene.get(0, &url, None);
    scene.process.pass(2_900);
    assert!(scene.process.answer(held).is_none());
    scene.process.pass(150);
    let (status, cache) = scene.answered(held, "Cache-Control");
    assert_eq!((status, cache.as_deref()), (404, Some("public, max-age=1")));
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn a_hint_that_is_given_up_is_no_range() {
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    scene.chunk();
    let len = scene.parts[0].len() as u64;
    let held = scene.get(0, &url, Some(&format!("bytes={len}-")));
    let under_way = scene.get(0, &url, None);
    // Another header: the segment ends with what it has.
    let mut other = scene.camera.spec.clone();
    other.height = 720;
    scene.process.end(scene.upload);
    let again = scene.process.put(&format!("/ingest/{}/v.cmfv", scene.name));
    scene.process.body(again, &other.bytes());
    scene.camera.made = (scene.camera.made / 50 + 1) * 50;
    for _ in 0..4 {
        scene.process.pass(200);
        let chunk = scene.camera.chunk();
        scene.process.body(again, &chunk);
    }
    let (status, range) = scene.answered(held, "Content-Range");
    assert_eq!((status, range), (416, Some(format!("bytes */{len}"))));
    assert!(scene.process.streamed(under_way).ended);
    assert_eq!(scene.process.get(&url).body, scene.parts[0]);
}

#[test]
fn head_is_told_at_once_and_holds_nothing() {
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    scene.chunk();
    let len = scene.parts[0].len();
    let head = |scene: &mut Scene, range| {
        let fields = Fields {
            range,
            ..Fields::default()
        };
        let exchange = scene
            .process
            .open_at(0, Method::Head, &url, BodyLength::None, fields);
        scene.process.answer(exchange).expect("at once")
    };
    let whole = head(&mut scene, None);
    assert_eq!((whole.status, whole.field("Content-Length")), (200, None));
    // RFC 8673 section 2.1: how much there is.
    let known = head(&mut scene, Some("bytes=0-"));
    let want = format!("bytes 0-{}/*", len - 1);
    assert_eq!(known.status, 206);
    assert_eq!(known.field("Content-Range"), Some(&*want));
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn who_has_it_is_told_so() {
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    scene.chunk();
    let (_, name) = url.rsplit_once('/').expect("a name");
    let etag = format!("\"{name}\"");
    let fields = Fields {
        if_none_match: Some(&etag),
        ..Fields::default()
    };
    let exchange = scene.process.get_at(0, &url, fields);
    assert_eq!(scene.answered(exchange, "ETag"), (304, Some(etag)));
}

#[test]
fn the_end_of_the_channel_ends_the_segment() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    let got: Vec<_> = (0..2).map(|shard| scene.get(shard, &url, None)).collect();
    scene.process.pass(21_000);
    let whole = scene.process.get(&url).body;
    for exchange in got {
        let body = scene.process.streamed(exchange);
        assert!(body.ended && body.bursts.concat() == whole);
    }
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn a_drain_breaks_what_is_under_way() {
    let mut scene = Scene::new(2);
    let (url, next) = (scene.url(1), scene.url(2));
    scene.chunk();
    let got: Vec<_> = (0..2).map(|shard| scene.get(shard, &url, None)).collect();
    let held = scene.get(1, &next, None);
    for shard in 0..2 {
        let letter = Letter::Drain;
        let from = ShardId(shard);
        let input = headwater::shard::Input::Letter { from, letter };
        scene.process.input(usize::from(shard), input);
    }
    assert_eq!(scene.process.aborted, got);
    for exchange in got {
        assert!(!scene.process.streamed(exchange).ended);
    }
    assert_eq!(scene.answered(held, "ETag").0, 503);
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn a_channel_that_begins_anew_breaks_what_mirrors_send_of_the_old() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    let cut_off = scene.get(1, &url, None);
    // The mail stands still while the channel ends and begins anew.
    scene.process.lose = |_| true;
    scene.process.pass(21_000);
    let target = format!("/ingest/{}/v.cmfv", scene.name);
    let mut camera = Camera::new();
    let upload = endless(&mut scene.process, &target, &mut camera, 10_000);
    assert!(!scene.process.streamed(cut_off).ended);
    scene.process.lose = |_| false;
    stream(&mut scene.process, upload, &mut camera, 400);
    assert_eq!(scene.process.aborted, [cut_off]);
    assert!(!scene.process.streamed(cut_off).ended);
    assert_eq!(parked(&scene.process), 0);
}

#[test]
fn a_mirror_that_missed_parts_sends_them_all_the_same() {
    let mut scene = Scene::new(2);
    let url = scene.url(1);
    scene.chunk();
    let exchange = scene.get(1, &url, None);
    scene.process.lose = |_| true;
    for _ in 0..14 {
        scene.chunk();
    }
    scene.process.lose = |_| false;
    scene.chunk();
    let body = scene.process.streamed(exchange);
    assert!(body.ended);
    assert_eq!(body.bursts.concat(), scene.parts[..5].concat());
}

#[test]
fn peers_that_leave_leave_nothing() {
    let mut scene = Scene::new(1);
    let (url, next) = (scene.url(1), scene.url(2));
    scene.chunk();
    let gone: Vec<_> = [url.as_str(), next.as_str()]
        .iter()
        .map(|url| scene.get(0, url, None))
        .collect();
    let stays = scene.get(0, &url, None);
    assert_eq!(parked(&scene.process), 3);
    scene.process.streamed(gone[0]);
    for exchange in &gone {
        scene.process.leave(0, *exchange);
    }
    scene.chunk();
    scene.chunk();
    assert_eq!(scene.process.streamed(gone[0]), bursts(&[]));
    assert_eq!(parked(&scene.process), 1);
    assert_eq!(scene.process.streamed(stays).bursts.len(), 3);
}

#[test]
fn streams_are_bounded_like_parked_requests() {
    // The bound itself is large; that streams count towards it is seen from
    // the report, which counts what the bound is held against.
    let mut scene = Scene::new(1);
    let url = scene.url(1);
    scene.chunk();
    scene.get(0, &url, None);
    let report = scene.process.get("/api/v1/channels/c").text();
    assert!(report.contains("\"parked\":1"), "{report}");
}

#[test]
fn s4_4_5_3_a_hinted_range_gets_what_is_listed_there() {
    let mut process = Process::of(Policy {
        part_addressing: PartAddressing::ByteRange,
        ..Policy::default()
    });
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 11_000);
    let attribute = |line: &str, name: &str| {
        let (_, value) = line.split_once(name).expect("an attribute");
        value.split(['"', ',']).next().expect("a value").to_owned()
    };
    let mut starts = 0;
    for _ in 0..30 {
        let text = process.get("/live/c/v.m3u8").text();
        let line = text.lines().find(|line| line.contains("TYPE=PART"));
        let line = line.expect("a hint");
        let (uri, start) = (attribute(line, "URI=\""), attribute(line, "-START="));
        let url = format!("/live/c/{uri}");
        let fields = Fields {
            range: Some(&format!("bytes={start}-{RANGE_END}")),
            ..Fields::default()
        };
        let held = process.get_at(0, &url, fields);
        let head = loop {
            assert!(text.contains(&uri) || start == "0");
            stream(&mut process, upload, &mut camera, 200);
            if let Some(answer) = process.answer(held) {
                break answer;
            }
        };
        starts += u64::from(start == "0");
        // A part that ends its segment comes with it.
        let got = match head.field("Content-Length") {
            Some(_) => head.body,
            None => process.streamed(held).bursts.concat(),
        };
        let text = process.get("/live/c/v.m3u8").text();
        let listed = format!("@{start}\"");
        let mut parts = text.lines().filter(|line| line.starts_with("#EXT-X-PART:"));
        let part = parts.find(|line| line.contains(&uri) && line.contains(&listed));
        let part = part.expect("the hint is listed");
        let len: usize = attribute(part, "BYTERANGE=\"")
            .split('@')
            .next()
            .and_then(|len| len.parse().ok())
            .expect("a length");
        let first: usize = start.parse().expect("a number");
        let fields = Fields {
            range: Some(&format!("bytes={first}-{}", first + len - 1)),
            ..Fields::default()
        };
        let again = process.get_at(0, &url, fields);
        let again = process.answer(again).expect("it is there");
        assert_eq!((head.status, again.status), (206, 206));
        assert!(again.body == got && again.body.len() == len);
    }
    assert!(starts > 2, "the starts of segments are hinted too");
}

#[test]
fn parts_keep_urls_of_their_own() {
    let mut scene = Scene::new(1);
    scene.chunk();
    let text = scene.text();
    let part = uris(&text, "#EXT-X-PART:").pop().expect("a part");
    let answer = scene.process.get(&format!("/live/c/{part}"));
    assert_eq!(answer.body, scene.parts[0]);
}
