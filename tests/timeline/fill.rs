//! Media that does not come: gaps in its place, where the operator wants them,
//! and what becomes of media that comes after all.

use headwater::media::channel::State;
use headwater::media::policy::{AfterEnd, Policy};
use headwater::media::publisher::Accepted;
use headwater::media::window::{Edge, Segment};

use crate::encoder::{Fragment, Frame, Spec};
use crate::script::{Cadence, EPOCH_S, Script, Source, payload};

fn filling() -> Script {
    Script::new(Policy {
        fill_gaps: true,
        ..Policy::default()
    })
}

/// Lets `ms` pass in which no media comes; returns the longest time, in
/// milliseconds, that the newest part of a track and its newest whole segment
/// were that.
fn silence(script: &mut Script, name: &str, ms: u64) -> (u64, u64) {
    let newest = |script: &Script| {
        let window = script.window(name);
        (window.edge(), window.last_whole().map(|whole| whole.msn))
    };
    let (mut edge, mut whole) = newest(script);
    let (mut still, mut longest) = ((0, 0), (0, 0));
    for _ in 0..ms / 50 {
        script.pass(50);
        still = (still.0 + 50, still.1 + 50);
        longest = (longest.0.max(still.0), longest.1.max(still.1));
        let now = newest(script);
        if now.0 != edge {
            still.0 = 0;
        }
        if now.1 != whole {
            still.1 = 0;
        }
        (edge, whole) = now;
    }
    longest
}

/// Media time of a track goes on without a hole, parts and segments alike.
fn assert_whole(script: &Script, name: &str) {
    let told = script.told(name);
    let mut at = told.whole[0].start_ticks;
    for segment in told.whole.iter().chain(&told.open) {
        if !segment.discontinuity {
            assert_eq!(segment.start_ticks, at, "segment {}", segment.msn);
        }
        at = segment.start_ticks;
        for part in &segment.parts {
            assert_eq!(part.start_ticks, at, "part {}", part.number);
            at += part.duration_ticks as i64;
        }
        assert_eq!(at, segment.end_ticks());
    }
}

fn all_gaps(segment: &Segment) -> bool {
    segment.parts.iter().all(|part| part.gap)
}

#[test]
fn s6_2_1_the_edge_moves_on_through_a_stall() {
    // Samples of a chunk, and the part target that is configured.
    for (chunk, part_ms) in [
        (5, Some(200)),
        (5, Some(500)),
        (10, None),
        (25, None),
        (50, None),
    ] {
        for audio in [false, true] {
            let mut script = Script::new(Policy {
                part_ms,
                fill_gaps: true,
                ..Policy::default()
            });
            let mut source = if audio {
                Source::audio()
            } else {
                Source::video()
            };
            source.cadence.chunk = if audio { chunk * 47 / 25 } else { chunk };
            let name = source.name;
            script.connect(&mut source);
            script.run(&mut [&mut source], 20_700);
            let what = format!("{name}, chunks of {chunk}, {part_ms:?}");
            let told = script.told(name);
            assert!(told.parts().all(|part| !part.gap), "{what}: all on time");
            let seen = told.whole.len();
            let (part_still_ms, whole_still_ms) = silence(&mut script, name, 30_000);
            // What usually comes at once, the patience, and a tick.
            let at_once_ms = (chunk * 40).max(part_ms.unwrap_or(0));
            assert!(part_still_ms <= at_once_ms + 600, "{what}: {part_still_ms}");
            assert!(whole_still_ms <= 3_000, "{what}: {whole_still_ms}");
            assert_whole(&script, name);
            let told = script.told(name);
            assert!(told.whole.len() >= seen + 14, "{what}: on and on");
            for segment in &told.whole {
                assert_eq!(segment.gap, all_gaps(segment), "{what}");
                assert!(!segment.discontinuity);
            }
            assert_eq!(script.state(), State::Stalled, "the operator sees it");
            assert!(!script.window(name).is_overdue());
        }
    }
}

#[test]
fn s4_4_4_9_a_segment_cut_short_by_a_stall_ends_with_gap_parts() {
    let mut script = filling();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 20_800);
    let before = script.told("v").whole.len();
    let had = script
        .told("v")
        .open
        .as_ref()
        .expect("under way")
        .parts
        .len();
    silence(&mut script, "v", 3_000);
    let segment = &script.told("v").whole[before];
    assert!(!segment.gap, "it has media");
    assert!(segment.bytes() > 0);
    assert_eq!(segment.duration_ticks, 180_000, "it ends on its line");
    let gaps = segment.parts.iter().filter(|part| part.gap).count();
    assert!(gaps > 0 && segment.parts.len() - gaps >= had);
    let first = segment.parts.iter().position(|part| part.gap).expect("one");
    assert!(
        segment.parts[first..]
            .iter()
            .all(|part| part.gap && part.body.is_empty())
    );
}

#[test]
fn an_encoder_that_comes_back_goes_on_behind_the_gap() {
    for audio in [false, true] {
        for (stall_ms, rest_ms) in [(1_000, 0), (4_300, 0), (9_000, 100), (30_000, 60)] {
            let mut script = filling();
            let mut source = if audio {
                Source::audio()
            } else {
                Source::video()
            };
            let name = source.name;
            script.connect(&mut source);
            script.run(&mut [&mut source], 20_700);
            silence(&mut script, name, stall_ms);
            // Its clock went on; it sends from now on, not what it owes.
            let frame_ms = u64::from(source.cadence.frame) * 1000;
            let lost = (stall_ms - rest_ms) * u64::from(source.spec.timescale) / frame_ms;
            source.made += lost / source.cadence.chunk * source.cadence.chunk;
            let from = source.time() as i64;
            script.run(&mut [&mut source], 20_000);
            let what = format!("{name}, {stall_ms} ms");
            assert!(script.faults.is_empty(), "{what}: {:?}", script.faults);
            assert_whole(&script, name);
            let told = script.told(name);
            let resumed = told
                .parts()
                .find(|part| !part.gap && part.start_ticks >= from);
            let resumed = resumed.expect("media goes on");
            assert!(resumed.independent, "{what}: decoding begins anew");
            let late = resumed.start_ticks - from;
            let group = i64::from(source.cadence.frame) * source.cadence.gop as i64;
            assert!(
                late <= group + i64::from(source.spec.timescale) / 4,
                "{what}: {late}"
            );
            assert!(
                told.whole.iter().all(|segment| !segment.discontinuity),
                "{what}"
            );
            let newest = told.whole.last().expect("many");
            assert!(
                !newest.gap && newest.parts.iter().all(|part| !part.gap),
                "{what}"
            );
        }
    }
}

#[test]
fn media_whose_time_was_filled_is_left_out_and_catches_up() {
    let mut script = filling();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 20_000);
    silence(&mut script, "v", 6_000);
    // Four times as fast as real time, as after a cut of the uplink.
    let mut ignored = 0;
    for _ in 0..40 {
        script.pass(50);
        ignored += u64::from(script.send(&mut video) == Some(Accepted::Duplicate));
    }
    assert!(ignored > 20, "{ignored}");
    script.run(&mut [&mut video], 20_000);
    assert!(script.faults.is_empty(), "{:?}", script.faults);
    assert_whole(&script, "v");
    let told = script.told("v");
    assert!(told.whole.iter().all(|segment| !segment.discontinuity));
    assert!(!told.whole.last().expect("many").gap);
}

#[test]
fn a_clock_that_stood_still_with_its_encoder_is_a_new_one() {
    for stall_ms in [1_200, 3_000, 8_000, 30_000] {
        let mut script = filling();
        let (mut video, mut audio) = (Source::video(), Source::audio());
        script.connect(&mut video);
        script.connect(&mut audio);
        script.run(&mut [&mut video, &mut audio], 20_000);
        silence(&mut script, "v", stall_ms);
        // It goes on where it stood, at the pace of its media.
        script.run(&mut [&mut video, &mut audio], 30_000);
        assert!(script.faults.is_empty(), "{stall_ms}: {:?}", script.faults);
        for name in ["v", "a"] {
            assert_whole(&script, name);
            let told = script.told(name);
            let breaks = told.whole.iter().filter(|segment| segment.discontinuity);
            assert!(breaks.count() <= 1, "{stall_ms}: one break");
            let newest = told.whole.last().expect("many");
            assert!(!newest.gap, "{stall_ms}: {name} goes on");
            let age_us = script.now.wall.0 - newest.wall.0;
            assert!(age_us < 8_000_000, "{stall_ms}: {name} is {age_us} us old");
        }
        let numbers = ["v", "a"].map(|name| {
            let told = script.told(name);
            told.whole.last().expect("many").discontinuity_number
        });
        assert_eq!(numbers[0], numbers[1], "{stall_ms}");
    }
}

/// An encoder of whole segments that stood still is behind the gaps by anything
/// up to a segment; none of that keeps its media out for good.
#[test]
fn whole_segments_behind_by_less_than_one_are_back_soon() {
    for stall_ms in (2_600..7_000).step_by(150) {
        let mut script = filling();
        let mut video = Source::new("v", Spec::video(90_000), Cadence::new(3_600, 50, 50));
        script.connect(&mut video);
        script.run(&mut [&mut video], 20_000);
        silence(&mut script, "v", stall_ms);
        // It connects again, and its clock goes on where it stood.
        script.connect(&mut video);
        let before = script.told("v").whole.len();
        for jitter_ms in [0, 3, 0, 4, 1] {
            script.send(&mut video);
            for _ in 0..200 {
                script.pass(10);
            }
            script.pass(jitter_ms);
        }
        assert_whole(&script, "v");
        let told = script.told("v");
        let media = told.whole[before..].iter().filter(|segment| !segment.gap);
        assert!(media.count() >= 2, "{stall_ms}: media is back");
    }
}

#[test]
fn a_track_that_dies_alone_neither_holds_nor_drags_the_others() {
    let mut script = filling();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 20_000);
    script.run(&mut [&mut video], 60_000);
    assert_eq!(script.state(), State::Live);
    assert!(script.told("v").parts().all(|part| !part.gap));
    assert_whole(&script, "a");
    let edge_us = |script: &Script, name: &str| {
        let segment = script.told(name).whole.last().expect("media").clone();
        segment.wall.0
    };
    let apart = edge_us(&script, "v") - edge_us(&script, "a");
    assert!(apart.abs() < 3_000_000, "they go on side by side: {apart}");
    // It comes back with its clock reset; the others see one break.
    audio.made = 0;
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 20_000);
    assert!(script.faults.is_empty());
    for name in ["v", "a"] {
        let told = script.told(name);
        let marked = told.whole.iter().filter(|segment| segment.discontinuity);
        assert_eq!(marked.count(), 1, "{name}");
        assert!(!told.whole.last().expect("media").gap, "{name}");
    }
}

#[test]
fn a_restart_after_a_filled_stall_is_one_break_in_every_track() {
    for height in [360, 720] {
        for pause_ms in [1_500, 10_000, 55_000] {
            let mut script = filling();
            let (mut video, mut audio) = (Source::video(), Source::audio());
            script.connect(&mut video);
            script.connect(&mut audio);
            script.run(&mut [&mut video, &mut audio], 21_000);
            silence(&mut script, "v", pause_ms);
            for source in [&mut video, &mut audio] {
                source.spec.height = height;
                source.header = source.spec.header();
                source.made = 0;
                script.connect(source);
            }
            script.run(&mut [&mut video, &mut audio], 20_000);
            let what = format!("{height} after {pause_ms} ms");
            assert!(script.faults.is_empty(), "{what}: {:?}", script.faults);
            for name in ["v", "a"] {
                let told = script.told(name);
                let marked = told.whole.iter().filter(|segment| segment.discontinuity);
                assert_eq!(marked.count(), 1, "{what}: {name}");
                let newest = told.whole.last().expect("media");
                assert!(
                    !newest.gap && newest.discontinuity_number == 1,
                    "{what}: {name}"
                );
            }
        }
    }
}

#[test]
fn a_segment_that_was_cut_off_keeps_later_numbers_where_time_has_them() {
    for fill_gaps in [false, true] {
        let mut script = Script::new(Policy {
            fill_gaps,
            ..Policy::default()
        });
        let mut video = Source::video().starting_at(EPOCH_S * 90_000);
        video.per_request = Some(50);
        script.connect(&mut video);
        script.run(&mut [&mut video], 12_600);
        // The rest of the segment under way is lost.
        let rest = 50 - video.made % 50;
        script.pass(rest * 40);
        video.made += rest;
        script.run(&mut [&mut video], 12_000);
        assert!(script.faults.is_empty(), "{:?}", script.faults);
        assert_whole(&script, "v");
        let told = script.told("v");
        for segment in &told.whole {
            let at = segment.start_ticks / 180_000;
            assert_eq!(
                (segment.msn as i64, segment.start_ticks),
                (at, at * 180_000)
            );
            assert_eq!(segment.duration_ticks, 180_000);
            assert!(!segment.gap);
        }
        assert_eq!(
            told.parts().filter(|part| part.gap).count() as u64,
            rest.div_ceil(5)
        );
    }
}

#[test]
fn segments_that_come_whole_after_a_restart_catch_up_with_the_gaps() {
    for pause_ms in [600, 1_100, 1_600, 2_100] {
        let mut script = filling();
        let mut video = Source::video();
        let mut text = Source::new("t", Spec::text(1_000), Cadence::new(2_000, 1, 1));
        text.per_request = Some(1);
        script.connect(&mut video);
        script.connect(&mut text);
        script.run(&mut [&mut video, &mut text], 20_000);
        silence(&mut script, "t", pause_ms);
        for source in [&mut video, &mut text] {
            source.made = 0;
            script.connect(source);
        }
        // The first segment of text is made while the video comes in chunks.
        script.run(&mut [&mut video], 1_800);
        script.run(&mut [&mut video, &mut text], 20_000);
        assert!(script.faults.is_empty(), "{pause_ms}: {:?}", script.faults);
        for name in ["v", "t"] {
            assert_whole(&script, name);
            let newest = script.told(name).whole.last().expect("many");
            assert!(!newest.gap, "{pause_ms}: {name} goes on");
        }
    }
}

#[test]
fn text_that_lasts_across_the_end_of_a_gap_is_shown_from_there_on() {
    for early_ms in [2, 51, 99, 150, 199] {
        let mut script = filling();
        let mut video = Source::video();
        let mut text = Source::new("t", Spec::text(1_000), Cadence::new(200, 1, 1));
        script.connect(&mut video);
        script.connect(&mut text);
        script.run(&mut [&mut video, &mut text], 20_000);
        let held = script.told("t").parts().count();
        while script.told("t").parts().count() == held {
            script.run(&mut [&mut video], 20);
        }
        let told = script.told("t");
        let end = told
            .parts()
            .map(|part| part.start_ticks + part.duration_ticks as i64);
        let end = end.last().expect("a gap");
        let frame = Frame {
            ticks: 200,
            sync: true,
            cts: 0,
            bytes: (3, 7),
        };
        let cue = Fragment {
            time: (end - early_ms) as u64,
            frames: vec![frame],
            ..Fragment::default()
        };
        let taken = script.chunk(&text, cue.read(&text.header), false);
        assert_eq!(taken, Some(Accepted::Placed), "{early_ms}");
        text.made = 0;
        text.start = (end - early_ms) as u64 + 200;
        script.run(&mut [&mut video, &mut text], 4_000);
        assert_whole(&script, "t");
        let shown = script
            .told("t")
            .parts()
            .find(|part| part.start_ticks >= end);
        let shown = shown.expect("text");
        assert_eq!((shown.start_ticks, shown.gap), (end, false), "{early_ms}");
        assert_eq!(payload(shown)[..3], [7, 7, 7], "{early_ms}");
    }
}

#[test]
fn filling_ends_with_the_channel() {
    for (after_end, state) in [
        (AfterEnd::Endlist, State::Ended),
        (AfterEnd::Gone, State::Gone),
    ] {
        let mut script = Script::new(Policy {
            fill_gaps: true,
            ended_after_ms: 20_000,
            after_end,
            ..Policy::default()
        });
        let mut video = Source::video();
        script.connect(&mut video);
        script.run(&mut [&mut video], 12_000);
        silence(&mut script, "v", 25_000);
        assert_eq!(script.state(), state);
        assert!(script.told("v").open.is_none(), "what was open is closed");
        let seq = script.ledger.channel.seq;
        silence(&mut script, "v", 10_000);
        assert_eq!(script.ledger.channel.seq, seq, "an end is the end");
        assert_eq!(script.send(&mut video), None);
    }
}

#[test]
fn a_leap_of_time_fills_no_more_than_a_minute_at_once() {
    let mut script = Script::new(Policy {
        fill_gaps: true,
        ended_after_ms: 86_400_000,
        ..Policy::default()
    });
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 20_000);
    let before = script.told("v").whole.len();
    script.pass(40_000_000);
    let filled = script.told("v").whole.len() - before;
    assert!((29..=32).contains(&filled), "{filled}");
    script.pass(50);
    assert!(
        script.told("v").whole.len() > before + filled,
        "and goes on"
    );
}

#[test]
fn without_filling_a_track_that_stands_still_says_so() {
    let mut script = Script::live();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 20_000);
    let edge: Option<Edge> = script.window("v").edge();
    script.run(&mut [&mut audio], 2_400);
    assert!(!script.window("v").is_overdue());
    script.run(&mut [&mut audio], 800);
    assert!(script.window("v").is_overdue(), "one and a half targets");
    assert!(!script.window("a").is_overdue());
    assert_eq!(script.window("v").edge(), edge);
    assert_eq!(script.state(), State::Live);
    video.made = video.made.next_multiple_of(50) + 50;
    script.run(&mut [&mut video, &mut audio], 1_000);
    assert!(!script.window("v").is_overdue(), "media makes it good");
}
