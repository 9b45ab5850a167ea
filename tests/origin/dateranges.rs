//! Date ranges: from encoders' cues and an operator's word to every playlist,
//! and off them again (rfc8216bis sections 4.4.5.1 and 6.2.5.1).

use headwater::http::request::{BodyLength, Method};
use headwater::limits;
use headwater::media::policy::{AfterEnd, Policy};
use headwater::shard::{Input, Settings, ShardId};

use crate::encoder::{Fragment, Frame, Message, Spec, boxed, splice_insert, words};
use crate::shell::{Answer, Camera, Fields, Process, endless, stream};

const SCTE35: &str = "urn:scte:scte35:2013:bin";
const RANGES: &str = "/api/v1/channels/c/dateranges";

fn date_ranges(text: &str) -> Vec<String> {
    let tag = "#EXT-X-DATERANGE:";
    let lines = text.lines().filter_map(|line| line.strip_prefix(tag));
    lines.map(str::to_owned).collect()
}

fn attribute(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!("{name}=")).expect(name);
    let end = rest.find(',').unwrap_or(rest.len());
    rest[..end].trim_matches('"').to_owned()
}

/// A cue at `ms` of media time.
fn cue(ms: u64, event_id: u32, out: bool, seconds: Option<u32>) -> Message {
    Message {
        scheme: SCTE35,
        timescale: 1000,
        time: Ok(ms),
        data: splice_insert(event_id, out, seconds),
    }
}

fn order(process: &mut Process, id: &str, json: &str) -> Answer {
    let target = format!("{RANGES}/{id}");
    let none = Fields::default();
    let exchange = process.open_at(0, Method::Put, &target, BodyLength::Chunked, none);
    if let Some(answer) = process.answer(exchange) {
        return answer;
    }
    process.body(exchange, json.as_bytes());
    process.end(exchange).expect("answered")
}

fn delete(process: &mut Process, id: &str) -> Answer {
    let target = format!("{RANGES}/{id}");
    let none = Fields::default();
    let exchange = process.open_at(0, Method::Delete, &target, BodyLength::None, none);
    process.answer(exchange).expect("answered")
}

/// A window of 20 s, so that what is over leaves soon.
fn short() -> Process {
    let policy = Policy {
        window_ms: 20_000,
        ..Policy::default()
    };
    let settings = Settings {
        policy,
        ..Settings::default()
    };
    Process::new(1, settings)
}

/// The date of the segment that begins `ms` after the first listed one.
fn dates(text: &str) -> Vec<String> {
    let tag = "#EXT-X-PROGRAM-DATE-TIME:";
    let lines = text.lines().filter_map(|line| line.strip_prefix(tag));
    lines.map(str::to_owned).collect()
}

#[test]
fn s4_4_5_1_1_a_break_of_an_encoder_is_in_every_playlist() {
    let mut process = Process::one();
    let (mut video, mut other) = (Camera::new(), Camera::new());
    let first = endless(&mut process, "/ingest/c/v.cmfv", &mut video, 0);
    let second = endless(&mut process, "/ingest/c/w.cmfv", &mut other, 0);
    let step = |process: &mut Process, video: &mut Camera, other: &mut Camera| {
        process.pass(200);
        process.body(first, &video.chunk());
        process.body(second, &other.chunk());
    };
    for chunk in 0..60 {
        // 10 s, told 4 s before, twice and by both tracks.
        if chunk == 30 || chunk == 40 {
            video.messages.push(cue(10_000, 7, true, Some(8)));
            other.messages.push(cue(10_000, 7, true, Some(8)));
        }
        step(&mut process, &mut video, &mut other);
    }
    let text = process.get("/live/c/v.m3u8").text();
    let lines = date_ranges(&text);
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!(attribute(&lines[0], "START-DATE"), dates(&text)[5]);
    assert_eq!(attribute(&lines[0], "PLANNED-DURATION"), "8.000");
    let section = splice_insert(7, true, Some(8));
    let hex: String = section.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(attribute(&lines[0], "SCTE35-OUT"), format!("0x{hex}"));

    // Back half a second late, counted from its segment.
    for chunk in 60..100 {
        if chunk == 90 {
            video.messages.push(Message {
                time: Err(500),
                ..cue(0, 7, false, None)
            });
        }
        step(&mut process, &mut video, &mut other);
    }
    let text = process.get("/live/c/w.m3u8").text();
    let lines = date_ranges(&text);
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(attribute(&lines[0], "ID"), attribute(&lines[1], "ID"));
    assert_eq!(attribute(&lines[1], "DURATION"), "8.500");
    assert!(lines[1].contains("SCTE35-IN=0xFC"), "{}", lines[1]);
    assert_eq!(date_ranges(&process.get("/live/c/v.m3u8").text()), lines);
    let frames = process.get("/live/c/v/iframes.m3u8");
    assert_eq!(date_ranges(&frames.text()), lines);
}

#[test]
fn other_messages_and_broken_ones_leave_media_and_lists_alone() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 6_000);
    let id3 = Message {
        scheme: "https://aomedia.org/emsg/ID3",
        ..cue(7_000, 1, true, None)
    };
    let mut broken = cue(7_000, 1, true, None);
    broken.data[5] ^= 1;
    camera.messages = vec![id3, broken];
    let chunk = camera.chunk();
    process.body(upload, &chunk);
    stream(&mut process, upload, &mut camera, 4_000);
    let text = process.get("/live/c/v.m3u8").text();
    assert!(date_ranges(&text).is_empty(), "{text}");
    let told = process.get("/api/v1/channels/c").text();
    assert!(told.contains("whose CRC does not fit"), "{told}");
    let segment = text.lines().filter(|line| !line.starts_with('#')).nth(3);
    let segment = process.get(&format!("/live/c/{}", segment.expect("a segment")));
    assert_eq!(segment.body[..chunk.len()], chunk, "carried as it came");
}

#[test]
fn iso23001_18_a_metadata_track_tells_of_breaks() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 6_000);
    // A header of sound, made one of events; each sample is a box.
    let mut header = Spec::audio(1000).bytes();
    for (from, to) in [(b"soun", b"meta"), (b"Opus", b"evte")] {
        let at = header.windows(4).position(|four| four == from).unwrap();
        header[at..at + 4].copy_from_slice(to);
    }
    let splice = splice_insert(9, true, Some(2));
    let fixed = [
        &words(&[0, 0])[..],
        &1500i64.to_be_bytes(),
        &words(&[u32::MAX, 3]),
    ]
    .concat();
    let scheme = [SCTE35.as_bytes(), b"\0\0"].concat();
    let emib = boxed(b"emib", &[&fixed, &scheme, &splice]);
    let target = "/ingest/c/events.cmfm";
    let events = process.put(target);
    process.body(events, &header);
    for second in [6, 8, 10u64] {
        let payload = if second == 8 {
            emib.clone()
        } else {
            boxed(b"emeb", &[])
        };
        let frame = Frame {
            ticks: 2000,
            sync: true,
            cts: 0,
            bytes: (payload.len() as u32, 0),
        };
        let fragment = Fragment {
            time: second * 1000,
            frames: vec![frame],
            ..Fragment::default()
        };
        let mut bytes = fragment.bytes(1);
        let at = bytes.len() - payload.len();
        bytes[at..].copy_from_slice(&payload);
        stream(&mut process, upload, &mut camera, 2_000);
        process.body(events, &bytes);
    }
    stream(&mut process, upload, &mut camera, 2_000);
    let text = process.get("/live/c/v.m3u8").text();
    let lines = date_ranges(&text);
    assert_eq!(lines.len(), 1, "{text}");
    // 1.5 s after the sample at 8 s.
    let start = attribute(&lines[0], "START-DATE");
    let (begins, ends) = (&dates(&text)[4], &dates(&text)[5]);
    assert!(*begins < start && start < *ends, "{begins} {start} {ends}");
}

#[test]
fn an_operators_date_range_is_put_added_to_and_withdrawn() {
    let mut process = Process::one();
    assert_eq!(order(&mut process, "ad", "{}").status, 404, "no channel");
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
    let ad = r#"{"class": "com.apple.hls.interstitial", "start": "2026-01-01T00:00:20Z",
        "attributes": {"X-ASSET-LIST": "ads/1.json", "X-RESUME-OFFSET": 0}}"#;
    let answer = order(&mut process, "ad", ad);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(order(&mut process, "ad", ad).status, 200, "the same again");
    let more = r#"{"planned_duration_s": 15}"#;
    assert_eq!(order(&mut process, "ad", more).status, 200);
    let other = r#"{"planned_duration_s": 16}"#;
    let refused = order(&mut process, "ad", other);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("the planned duration"));
    let lines = date_ranges(&process.get("/live/c/v.m3u8").text());
    let want = [
        "ID=\"ad\",CLASS=\"com.apple.hls.interstitial\",START-DATE=\"2026-01-01T00:00:20.000Z\",X-ASSET-LIST=\"ads/1.json\",X-RESUME-OFFSET=0",
        "ID=\"ad\",START-DATE=\"2026-01-01T00:00:20.000Z\",PLANNED-DURATION=15.000",
    ];
    assert_eq!(lines, want);
    let listed = process.get(RANGES).text();
    let one = process.get(&format!("{RANGES}/ad")).text();
    assert_eq!(listed, format!("{{\"dateranges\":[{one}]}}"));
    assert!(one.contains("\"planned_duration_s\":15.0"), "{one}");

    assert_eq!(delete(&mut process, "ad").status, 204, "it has not begun");
    assert_eq!(delete(&mut process, "ad").status, 404);
    assert_eq!(order(&mut process, "ad", ad).status, 409, "an id is spent");
    // One that goes on ends here, and stays with its media.
    let open = order(&mut process, "open", "{}");
    assert_eq!(open.status, 201, "{}", open.text());
    stream(&mut process, upload, &mut camera, 4_000);
    assert_eq!(delete(&mut process, "open").status, 202);
    let lines = date_ranges(&process.get("/live/c/v.m3u8").text());
    assert_eq!(lines.len(), 2);
    assert!(lines[1].starts_with("ID=\"open\",") && lines[1].contains(",END-DATE=\""));
    assert_eq!(delete(&mut process, "open").status, 202, "as before");
}

#[test]
fn what_cannot_be_a_date_range_is_refused_with_the_reason() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
    let table = [
        ("{", 400, "EOF"),
        (
            r#"{"start": "2025-12-31T00:00:00Z", "duration_s": 1}"#,
            400,
            "over before",
        ),
        (r#"{"start": "2026-01-09T00:00:00Z"}"#, 400, "seven days"),
        (r#"{"end_on_next": true}"#, 400, "class"),
        (r#"{"class": "com.apple.hls.interstitial"}"#, 400, "X-ASSET"),
    ];
    for (json, status, part) in table {
        let answer = order(&mut process, "a", json);
        assert_eq!(
            (answer.status, answer.text().contains(part)),
            (status, true),
            "{json}: {}",
            answer.text()
        );
    }
    let none = Fields::default();
    let packed = Fields {
        content_encoding: Some("gzip"),
        ..none
    };
    let one = &format!("{RANGES}/a")[..];
    let most = BodyLength::Fixed(limits::EVENT_REQUEST_BYTES_MAX as u64 + 1);
    let table = [
        (Method::Put, one, BodyLength::None, none, 400),
        (Method::Put, one, most, none, 413),
        (Method::Put, one, BodyLength::Chunked, packed, 415),
        (Method::Post, one, BodyLength::Chunked, none, 405),
        (Method::Put, RANGES, BodyLength::Chunked, none, 405),
        (Method::Delete, RANGES, BodyLength::None, none, 405),
        (Method::Get, one, BodyLength::None, none, 404),
    ];
    for (method, target, body, fields, status) in table {
        let exchange = process.open_at(0, method, target, body, fields);
        let answer = process.answer(exchange).expect("refused");
        assert_eq!(answer.status, status, "{method:?} {target}");
    }
    // One byte too many on the way.
    let exchange = process.put(one);
    process.body(exchange, &vec![b' '; limits::EVENT_REQUEST_BYTES_MAX]);
    assert!(process.answer(exchange).is_none());
    process.body(exchange, b" ");
    assert_eq!(process.answer(exchange).expect("refused").status, 413);
    assert!(process.end(exchange).is_none());
}

#[test]
fn descriptions_under_way_are_bounded() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 2_000);
    let open: Vec<_> = (0..limits::EVENT_REQUESTS_MAX)
        .map(|n| process.put(&format!("{RANGES}/a{n}")))
        .collect();
    assert!(
        open.iter()
            .all(|exchange| process.answer(*exchange).is_none())
    );
    let further = process.put(&format!("{RANGES}/more"));
    assert_eq!(process.answer(further).expect("refused").status, 503);
    process.input(0, Input::Gone { exchange: open[0] });
    let again = process.put(&format!("{RANGES}/more"));
    assert!(process.answer(again).is_none(), "a place was given back");
}

#[test]
fn a_channel_that_is_over_takes_nothing_in() {
    for after_end in [AfterEnd::Endlist, AfterEnd::Gone] {
        let policy = Policy {
            after_end,
            ..Policy::default()
        };
        let settings = Settings {
            policy,
            ..Settings::default()
        };
        let mut process = Process::new(1, settings);
        let mut camera = Camera::new();
        endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
        let ahead = r#"{"start": "2026-01-01T00:20:00Z"}"#;
        assert_eq!(order(&mut process, "a", ahead).status, 201);
        process.pass(61_000);
        assert_eq!(order(&mut process, "b", ahead).status, 409, "{after_end}");
        assert_eq!(delete(&mut process, "a").status, 409, "{after_end}");
        let shown = process.get(&format!("{RANGES}/a")).status;
        assert_eq!(shown, 200, "{after_end}");
    }
}

#[test]
fn an_id_may_come_again_once_nobody_can_mistake_it() {
    let mut process = short();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
    let ahead = r#"{"start": "2026-01-01T00:05:00Z"}"#;
    assert_eq!(order(&mut process, "a", ahead).status, 201);
    assert_eq!(delete(&mut process, "a").status, 204);
    // A window of 20 s and 12 targets of 2 s.
    stream(&mut process, upload, &mut camera, 43_000);
    assert_eq!(order(&mut process, "a", ahead).status, 409);
    stream(&mut process, upload, &mut camera, 2_000);
    assert_eq!(order(&mut process, "a", ahead).status, 201);
}

#[test]
fn only_who_may_push_may_say_anything() {
    let settings = Settings {
        ingest_token: Some("sesame-open".to_owned()),
        ..Settings::default()
    };
    let mut process = Process::new(1, settings);
    let mut camera = Camera::new();
    endless(
        &mut process,
        "/ingest/c/v.cmfv?token=sesame-open",
        &mut camera,
        6_000,
    );
    let bearer = |authorization| Fields {
        authorization: Some(authorization),
        ..Fields::default()
    };
    let table = [
        (Fields::default(), 401),
        (bearer("Bearer wrong"), 403),
        (bearer("Bearer sesame-open"), 404),
    ];
    for (fields, status) in table {
        let target = format!("{RANGES}/a");
        let exchange = process.open_at(0, Method::Delete, &target, BodyLength::None, fields);
        assert_eq!(process.answer(exchange).expect("answered").status, status);
    }
    assert_eq!(process.get(RANGES).status, 200, "players are told anyway");
}

#[test]
fn s6_2_1_a_date_range_leaves_after_its_last_media_and_a_delta_says_so() {
    let mut process = short();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 20_000);
    let answer = order(&mut process, "a", r#"{"duration_s": 3}"#);
    assert_eq!(answer.status, 201);
    let (_, rest) = answer
        .text()
        .split_once("\"start\":\"")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let start = rest[..24].to_owned();
    let end = headwater::time::Wall::parse(&start).expect("a date").0 + 3_000_000;
    let mut left = None;
    for turn in 0..200 {
        stream(&mut process, upload, &mut camera, 200);
        let text = process.get("/live/c/v.m3u8").text();
        let oldest = headwater::time::Wall::parse(&dates(&text)[0])
            .expect("a date")
            .0;
        let listed = date_ranges(&text).len() == 1;
        assert!(
            listed || end <= oldest,
            "gone at {turn}, with media until {end}"
        );
        if !listed {
            assert!(oldest < end + 3_000_000, "it leaves with its media");
            left = Some(turn);
            break;
        }
        assert!(!text.contains("REMOVED"));
    }
    assert!(left.is_some(), "it left");
    let delta = process.get("/live/c/v.m3u8?_HLS_skip=v2").text();
    let named = "RECENTLY-REMOVED-DATERANGES=\"a\"\n";
    assert!(delta.contains(named), "{delta}");
}

#[test]
fn s6_2_5_1_each_directive_has_its_answer_and_its_tag() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
    order(&mut process, "old", r#"{"duration_s": 300}"#);
    stream(&mut process, upload, &mut camera, 32_000);
    order(&mut process, "new", r#"{"duration_s": 300}"#);
    let get = |process: &mut Process, query: &str| process.get(&format!("/live/c/v.m3u8{query}"));
    let full = get(&mut process, "");
    let v1 = get(&mut process, "?_HLS_skip=YES");
    let v2 = get(&mut process, "?_HLS_skip=v2");
    let count = |answer: &Answer| date_ranges(&answer.text()).len();
    assert_eq!((count(&full), count(&v1), count(&v2)), (2, 2, 1));
    assert!(v2.text().contains("ID=\"new\"") && v2.text().contains("#EXT-X-VERSION:10\n"));
    let tags = [&full, &v1, &v2].map(|answer| answer.field("ETag").expect("a tag").to_owned());
    assert!(
        tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2],
        "{tags:?}"
    );
    // However late it is asked for, the answer is that of its version.
    process.now.mono = process.now.mono.plus_ms(5_000);
    process.now.wall.0 += 5_000_000;
    assert!(get(&mut process, "?_HLS_skip=v2").body == v2.body);
}

#[test]
fn a_date_range_is_taken_in_at_home_and_shown_by_every_core() {
    let mut process = Process::new(2, Settings::default());
    let name = (0..)
        .map(|n| format!("c{n}"))
        .find(|name| {
            process.put(&format!("/ingest/{name}/v.cmfv"));
            process.moved.pop().is_none()
        })
        .expect("one of them");
    let mut camera = Camera::new();
    let upload = endless(
        &mut process,
        &format!("/ingest/{name}/v.cmfv"),
        &mut camera,
        8_000,
    );
    let target = format!("/api/v1/channels/{name}/dateranges/a");
    let none = Fields::default();
    let elsewhere = process.open_at(1, Method::Put, &target, BodyLength::Chunked, none);
    assert_eq!(process.moved.pop(), Some((elsewhere, ShardId(0))));
    let playlist = format!("/live/{name}/v.m3u8");
    // The mirror follows from here.
    process.get_at(1, &playlist, none);
    let exchange = process.put(&target);
    process.body(exchange, br#"{"duration_s": 9}"#);
    assert_eq!(process.end(exchange).expect("answered").status, 201);
    for round in 0..2 {
        let told = [0, 1].map(|shard| {
            let list = target.strip_suffix("/a").expect("the list");
            [&playlist[..], &target, list].map(|target| {
                let exchange = process.get_at(shard, target, none);
                process.answer(exchange).expect("answered").text()
            })
        });
        assert_eq!(told[0], told[1], "round {round}");
        assert_eq!(date_ranges(&told[1][0]).len(), 1);
        stream(&mut process, upload, &mut camera, 2_000);
    }
}

#[test]
fn an_operators_schedule_goes_on_in_the_next_life_of_a_channel() {
    let mut process = short();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
    let ad = r#"{"start": "2026-01-01T00:05:00Z", "duration_s": 30}"#;
    assert_eq!(order(&mut process, "ad", ad).status, 201);
    let over = r#"{"duration_s": 5}"#;
    assert_eq!(order(&mut process, "over", over).status, 201);
    process.pass(61_000);
    let ended = process.get("/live/c/v.m3u8").text();
    assert!(ended.contains("#EXT-X-ENDLIST"), "{ended}");
    assert_eq!(order(&mut process, "late", over).status, 409);
    stream(&mut process, upload, &mut camera, 8_000);
    let lines = date_ranges(&process.get("/live/c/v.m3u8").text());
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("ID=\"ad\","), "{}", lines[0]);
}
