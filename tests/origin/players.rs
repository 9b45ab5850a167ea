//! What players are known to trip over, as the lists and answers they see.

use std::collections::BTreeMap;

use headwater::shard::{ExchangeId, Input, Settings};

use crate::encoder::{Fragment, Frame, Spec};
use crate::mirrors::at_home;
use crate::shell::{Camera, Fields, Process, endless, stream, uris};

/// Of a media playlist, what players keep from one version to the next.
#[derive(Debug, Default)]
struct List {
    /// Tags that hold for the whole list.
    targets: Vec<String>,
    /// URI and discontinuity number of each whole segment, by its number.
    segments: BTreeMap<u64, (String, u64)>,
    /// Parts of the open segment.
    open_parts: u64,
    gaps: usize,
    has_breaks_numbered: bool,
}

impl List {
    fn read(text: &str) -> Self {
        let (mut list, mut msn, mut breaks) = (Self::default(), 0, 0);
        let number = |value: &str| value.parse::<u64>().expect("a number");
        for line in text.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" | "#EXT-X-SERVER-CONTROL" | "#EXT-X-PART-INF" => {
                    list.targets.push(line.to_owned());
                }
                "#EXT-X-MEDIA-SEQUENCE" => msn = number(value),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                    breaks = number(value);
                    list.has_breaks_numbered = true;
                }
                "#EXT-X-DISCONTINUITY" => breaks += 1,
                "#EXT-X-PART" => list.open_parts += 1,
                "#EXT-X-GAP" => list.gaps += 1,
                _ if line.starts_with('#') => {}
                _ => {
                    list.segments.insert(msn, (line.to_owned(), breaks));
                    list.open_parts = 0;
                    msn += 1;
                }
            }
        }
        list
    }

    fn get(process: &mut Process, name: &str) -> Self {
        Self::read(&process.get(&format!("/live/c/{name}.m3u8")).text())
    }

    /// Number of the segment that is open, or the next to be.
    fn open(&self) -> u64 {
        1 + *self.segments.keys().next_back().expect("a whole segment")
    }

    /// Whether it has part `part` of segment `msn`, or anything later.
    fn has(&self, msn: u64, part: u64) -> bool {
        self.open() > msn || (self.open() == msn && self.open_parts > part)
    }
}

/// Asks as a player does that holds a list.
fn reload(process: &mut Process, msn: u64, part: u64) -> ExchangeId {
    let target = format!("/live/c/v.m3u8?_HLS_msn={msn}&_HLS_part={part}");
    process.get_at(0, &target, Fields::default())
}

/// Chunks of sound of `frames` of 40 ms.
fn sound(spec: &Spec, made: &mut u64, frames: u64) -> Vec<u8> {
    let frame = Frame {
        ticks: 3_600,
        sync: true,
        cts: 0,
        bytes: (20, 7),
    };
    let fragment = Fragment {
        time: *made * 3_600,
        frames: vec![frame; frames as usize],
        ..Fragment::default()
    };
    *made += frames;
    fragment.bytes(spec.id)
}

/// P2, P3: AVPlayer stops for good when a target or a hold-back changes.
#[test]
fn s6_2_1_targets_outlive_whatever_the_encoder_does() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 6_000);
    let first = List::get(&mut process, "v").targets;
    assert_eq!(first.len(), 3, "{first:?}");
    let same = |process: &mut Process, when: &str| {
        assert_eq!(List::get(process, "v").targets, first, "{when}");
    };
    // Chunks four times as long, then a jitter of one and two.
    for chunks in [4, 4, 4, 1, 2, 1, 2, 1, 4] {
        let long: Vec<u8> = (0..chunks).flat_map(|_| camera.chunk()).collect();
        process.pass(200 * chunks);
        process.body(upload, &long);
        same(&mut process, "chunks of another length");
    }
    process.pass(5_000);
    same(&mut process, "a stall");
    let mut other = Camera::new();
    other.spec.height = 720;
    let again = endless(&mut process, "/ingest/c/v.cmfv", &mut other, 8_000);
    same(&mut process, "another encoder with another header");
    stream(&mut process, again, &mut other, 400_000);
    same(&mut process, "nothing is left of what was there first");
}

/// P3, P8: a list without what was asked for makes AVPlayer stop and Media3
/// ask again at once, so no answer is better than that.
#[test]
fn s6_2_5_2_no_reload_is_answered_without_what_it_asks_for() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    for _ in 0..40 {
        let list = List::get(&mut process, "v");
        let (msn, part) = (list.open(), list.open_parts);
        let held = reload(&mut process, msn, part);
        for chunk in 0.. {
            assert!(chunk < 6, "{msn}, {part} never came");
            if let Some(answer) = process.answer(held) {
                assert!(chunk > 0, "{msn}, {part} is not there yet");
                assert_eq!(answer.status, 200);
                assert!(List::read(&answer.text()).has(msn, part), "{msn}, {part}");
                break;
            }
            assert!(!List::get(&mut process, "v").has(msn, part));
            stream(&mut process, upload, &mut camera, 200);
        }
    }
    let list = List::get(&mut process, "v");
    let held = reload(&mut process, list.open(), list.open_parts);
    process.pass(6_100);
    assert_eq!(process.answer(held).expect("refused").status, 503);
}

/// P4: while its reload is held, a player that is behind fetches what it lacks.
#[test]
fn a_held_reload_starves_nobody() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 31_000);
    let text = process.get("/live/c/v.m3u8").text();
    let list = List::read(&text);
    let held = reload(&mut process, list.open(), list.open_parts);
    process.pass(2_000);
    let segments = list.segments.values().map(|(uri, _)| uri.clone());
    for uri in segments.chain(uris(&text, "#EXT-X-PART:")) {
        assert_eq!(process.get(&format!("/live/c/{uri}")).status, 200, "{uri}");
    }
    assert_eq!(List::get(&mut process, "v").segments, list.segments);
    assert!(process.answer(held).is_none());
    // AVPlayer fetches nothing beside a held reload: it is let go once there
    // is nothing to be expected soon.
    process.pass(1_100);
    assert_eq!(process.answer(held).expect("let go").status, 503);
}

/// P5: AVPlayer counts a request without a header for about 3.5 s as failed,
/// and gives up at the third.
#[test]
fn s6_2_6_a_hint_that_does_not_come_is_answered_in_time() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    let text = process.get("/live/c/v.m3u8").text();
    let hint = uris(&text, "#EXT-X-PRELOAD-HINT").pop().expect("a hint");
    let target = format!("/live/c/{hint}");
    let held = process.get_at(0, &target, Fields::default());
    process.pass(2_900);
    assert!(process.answer(held).is_none());
    process.pass(200);
    let late = process.answer(held).expect("answered");
    assert_eq!(late.status, 404);
    assert_eq!(late.field("Cache-Control"), Some("public, max-age=1"));
    // The name is good again as soon as there is media.
    stream(&mut process, upload, &mut camera, 1_000);
    assert_eq!(process.get(&target).status, 200);
}

/// P9: Media3 hangs at gaps in front of the first media.
#[test]
fn a_channel_begins_with_media() {
    let mut process = Process::one();
    let (mut camera, spec) = (Camera::new(), Spec::audio(90_000));
    // It comes in the middle of a group, and its sound two seconds late.
    camera.made = 15;
    let video = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 2_000);
    let audio = process.put("/ingest/c/a.cmfa");
    process.body(audio, &spec.bytes());
    let mut made = camera.made;
    for _ in 0..40 {
        process.body(audio, &sound(&spec, &mut made, 5));
        stream(&mut process, video, &mut camera, 200);
    }
    for name in ["v", "a"] {
        let list = List::get(&mut process, name);
        assert!(list.segments.len() >= 2, "{name}: {list:?}");
        assert_eq!(list.gaps, 0, "{name}");
    }
}

/// P6, P10, P22: hls.js fails when a number changes its URI or its
/// discontinuity, Media3 when numbers fall, AVPlayer when discontinuities are
/// not numbered from the first list on.
#[test]
fn s6_2_2_a_number_means_one_thing_through_restarts_of_the_encoder() {
    let mut process = Process::one();
    let mut known = BTreeMap::new();
    let mut last = 0;
    for life in 0..4 {
        let mut camera = Camera::new();
        camera.spec.height += 16 * (life % 2);
        let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 4_000);
        for _ in 0..20 {
            stream(&mut process, upload, &mut camera, 200);
            let list = List::get(&mut process, "v");
            assert!(list.has_breaks_numbered);
            assert!(list.open() >= last, "{} after {last}", list.open());
            last = list.open();
            for (msn, segment) in list.segments {
                let of = known.entry(msn).or_insert_with(|| segment.clone());
                assert_eq!(*of, segment, "{msn} in life {life}");
            }
        }
        process.input(0, Input::Gone { exchange: upload });
        process.pass(1_500);
    }
    let breaks = known.values().map(|(_, breaks)| *breaks).max();
    assert_eq!(breaks, Some(3));
}

/// P18: hls.js gives a held reload up and asks anew without directives.
#[test]
fn a_player_that_gives_up_gets_the_list_at_once() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    let list = List::get(&mut process, "v");
    let given_up: Vec<_> = (0..100)
        .map(|_| reload(&mut process, list.open(), list.open_parts))
        .collect();
    for &exchange in &given_up {
        process.input(0, Input::Gone { exchange });
        assert_eq!(process.get("/live/c/v.m3u8").status, 200);
    }
    stream(&mut process, upload, &mut camera, 2_000);
    for exchange in given_up {
        assert!(process.answer(exchange).is_none(), "nobody is there");
    }
}

/// P17, P24: a list that promises parts has them, whatever a track's chunks
/// are; else each reload of it runs into its timeout and the track starves.
#[test]
fn s4_4_3_7_what_promises_parts_lists_parts() {
    for frames in [5, 12, 50] {
        let mut process = Process::one();
        let (mut camera, spec) = (Camera::new(), Spec::audio(90_000));
        let video = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 0);
        let audio = process.put("/ingest/c/a.cmfa");
        process.body(audio, &spec.bytes());
        let mut made = 0;
        for _ in 0..60 {
            stream(&mut process, video, &mut camera, 200);
            if made + frames <= camera.made {
                process.body(audio, &sound(&spec, &mut made, frames));
            }
        }
        for name in ["v", "a"] {
            let text = process.get(&format!("/live/c/{name}.m3u8")).text();
            let promised = text.contains("#EXT-X-PART-INF");
            let listed = !uris(&text, "#EXT-X-PART:").is_empty();
            assert_eq!(promised, listed, "{name}, chunks of {frames}: {text}");
            assert!(text.contains("CAN-BLOCK-RELOAD=YES"), "{name}");
        }
    }
}

/// P23: hls.js loads whole segments in place of parts that stand behind them.
#[test]
fn s4_4_4_9_parts_stand_in_front_of_their_segment() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 13_000);
    let text = process.get("/live/c/v.m3u8").text();
    let (mut parts, mut checked, mut parts_s) = (0, 0, 0.0);
    for line in text.lines() {
        let seconds = |rest: &str| rest.split(',').next()?.parse::<f64>().ok();
        if let Some(rest) = line.strip_prefix("#EXT-X-PART:DURATION=") {
            parts_s += seconds(rest).expect("a duration");
            parts += 1;
        } else if let Some(rest) = line.strip_prefix("#EXTINF:")
            && parts > 0
        {
            let whole_s = seconds(rest).expect("a duration");
            assert!((whole_s - parts_s).abs() < 1e-6, "{line}: {parts_s}");
            (parts, checked, parts_s) = (0, checked + 1, 0.0);
        }
    }
    assert!(checked >= 3 && parts > 0, "{text}");
}

/// P25: AVPlayer gives a list up when a segment on it is refused.
#[test]
fn s6_2_1_what_is_listed_is_there_on_every_core() {
    let mut process = Process::new(2, Settings::default());
    let mut camera = Camera::new();
    let channel = at_home();
    let target = format!("/ingest/{channel}/v.cmfv");
    let upload = endless(&mut process, &target, &mut camera, 5_000);
    for _ in 0..50 {
        stream(&mut process, upload, &mut camera, 200);
        for core in 0..2 {
            let get = |process: &mut Process, name: &str| {
                let target = format!("/live/{channel}/{name}");
                let asked = process.get_at(core, &target, Fields::default());
                process.answer(asked).expect("answered at once")
            };
            let text = get(&mut process, "v.m3u8").text();
            let list = List::read(&text);
            let newest = list.segments.values().rev().take(2);
            let newest = newest.map(|(uri, _)| uri.clone());
            let parts = uris(&text, "#EXT-X-PART:").into_iter().rev().take(3);
            let maps = uris(&text, "#EXT-X-MAP:");
            for uri in newest.chain(parts).chain(maps).collect::<Vec<_>>() {
                assert_eq!(get(&mut process, &uri).status, 200, "{uri}, core {core}");
            }
        }
    }
}

/// P29 and what came of it: video.js asks a second time for the last part of
/// each segment and goes on by what is new in the answer.
#[test]
fn a_reload_asked_for_again_is_answered_anew() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_000);
    let list = List::get(&mut process, "v");
    let (msn, part) = (list.open() - 1, 3);
    let ask = |process: &mut Process| {
        let asked = reload(process, msn, part);
        process.answer(asked).expect("it is there")
    };
    let first = ask(&mut process);
    stream(&mut process, upload, &mut camera, 1_000);
    let second = ask(&mut process);
    assert_ne!(first.text(), second.text());
    assert_eq!(
        second.field("Cache-Control"),
        Some("public, max-age=0, s-maxage=1"),
        "a player's own cache would give the first answer again"
    );
}
