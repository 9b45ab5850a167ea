//! Encoders that start again: one discontinuity in all tracks.

use headwater::media::channel::State;
use headwater::media::policy::Policy;

use crate::script::{Script, Source};

/// Discontinuity number of the newest segment, and of how many the track told.
fn breaks(script: &Script, name: &str) -> (u64, usize) {
    let told = script.told(name);
    let marked = told
        .whole
        .iter()
        .filter(|segment| segment.discontinuity)
        .count();
    let newest = told.whole.last().expect("media came").discontinuity_number;
    (newest, marked)
}

/// How far audio and video that were sent together are apart on the wall clock.
fn off_ms(script: &Script, video: &Source, audio: &Source) -> i64 {
    let wall_us = |source: &Source| {
        let told = script.told(source.name);
        let segment = told.whole.last().expect("media came");
        let scale = segment.header.track.timescale;
        let end = segment.wall.0 + scale.micros(segment.duration_ticks as i64).0;
        let left = source.time() as i64 * 1_000_000 / i64::from(source.spec.timescale);
        let open = told
            .open
            .as_ref()
            .map_or(0, |open| scale.micros(open.duration_ticks as i64).0);
        end + open - left
    };
    (wall_us(video) - wall_us(audio)) / 1000
}

fn restart(script: &mut Script, source: &mut Source, height: u16) {
    source.spec.height = height;
    source.header = source.spec.header();
    source.made = 0;
    script.connect(source);
}

#[test]
fn t12_a_restart_is_one_break_in_every_track() {
    for height in [360, 720] {
        for pause_ms in [1_500, 10_000, 55_000] {
            let mut script = Script::live();
            let (mut video, mut audio) = (Source::video(), Source::audio());
            script.connect(&mut video);
            script.connect(&mut audio);
            script.run(&mut [&mut video, &mut audio], 21_000);
            script.pass(pause_ms);
            restart(&mut script, &mut video, height);
            restart(&mut script, &mut audio, height);
            script.run(&mut [&mut video, &mut audio], 20_000);
            let what = format!("{height} after {pause_ms} ms");
            assert!(script.faults.is_empty(), "{what}: {:?}", script.faults);
            assert_eq!(breaks(&script, "v"), (1, 1), "{what}");
            assert_eq!(breaks(&script, "a"), (1, 1), "{what}");
            assert!(off_ms(&script, &video, &audio).abs() < 250, "{what}");
            let (edge, now) = (
                script.told("v").whole.last().expect("media").wall,
                script.now.wall,
            );
            assert!(
                (now.0 - edge.0) < 6_000_000,
                "{what}: dates go on with the clock"
            );
        }
    }
}

#[test]
fn a_restart_soon_after_the_start_is_a_break_too() {
    for before_ms in [1_000, 2_500, 5_000, 9_000] {
        let mut script = Script::live();
        let (mut video, mut audio) = (Source::video(), Source::audio());
        script.connect(&mut video);
        script.connect(&mut audio);
        script.run(&mut [&mut video, &mut audio], before_ms);
        script.pass(1_500);
        restart(&mut script, &mut video, 360);
        restart(&mut script, &mut audio, 360);
        script.run(&mut [&mut video, &mut audio], 20_000);
        assert!(script.faults.is_empty());
        let (video_breaks, audio_breaks) = (breaks(&script, "v"), breaks(&script, "a"));
        assert_eq!(video_breaks.0, audio_breaks.0, "after {before_ms} ms");
        assert!(video_breaks.0 <= 1, "after {before_ms} ms");
        assert!(
            script.told("v").whole.len() >= 8,
            "after {before_ms} ms: media goes on"
        );
        assert!(
            script.told("a").whole.len() >= 8,
            "after {before_ms} ms: media goes on"
        );
    }
}

#[test]
fn one_track_that_restarts_breaks_them_all() {
    for height in [360, 720] {
        let mut script = Script::live();
        let (mut video, mut audio) = (Source::video(), Source::audio());
        script.connect(&mut video);
        script.connect(&mut audio);
        script.run(&mut [&mut video, &mut audio], 21_000);
        script.run(&mut [&mut audio], 3_000);
        restart(&mut script, &mut video, height);
        script.run(&mut [&mut video, &mut audio], 20_000);
        assert!(script.faults.is_empty());
        assert_eq!(breaks(&script, "v"), (1, 1), "{height}");
        assert_eq!(breaks(&script, "a"), (1, 1), "{height}");
    }
}

#[test]
fn tracks_that_restart_seconds_apart_count_alike() {
    for apart_ms in [400, 3_000, 8_000] {
        let mut script = Script::live();
        let (mut video, mut audio) = (Source::video(), Source::audio());
        script.connect(&mut video);
        script.connect(&mut audio);
        script.run(&mut [&mut video, &mut audio], 21_000);
        script.pass(1_500);
        restart(&mut script, &mut video, 360);
        script.run(&mut [&mut video], apart_ms);
        restart(&mut script, &mut audio, 360);
        script.run(&mut [&mut video, &mut audio], 30_000);
        assert!(script.faults.is_empty());
        let (video, audio) = (breaks(&script, "v"), breaks(&script, "a"));
        assert_eq!(video.0, audio.0, "{apart_ms} ms apart");
        assert!((1..=2).contains(&video.0), "{apart_ms} ms apart: {video:?}");
        assert_eq!(
            (video.1, audio.1),
            (video.0 as usize, audio.0 as usize),
            "{apart_ms}"
        );
    }
}

#[test]
fn breaks_a_track_had_no_media_for_come_before_its_parts() {
    let mut script = Script::live();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    // Chunks of sound hold several parts, so these are made all at once.
    audio.cadence.chunk = 90;
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 21_000);
    // Twice within one chunk of sound.
    for height in [720, 1080] {
        script.pass(1_500);
        video.made = video.made.next_multiple_of(50);
        video.spec.height = height;
        video.header = video.spec.header();
        script.connect(&mut video);
        script.run(&mut [&mut video], 1_000);
    }
    script.run(&mut [&mut video, &mut audio], 20_000);
    assert_eq!(breaks(&script, "v"), (2, 2));
    assert_eq!(breaks(&script, "a"), (2, 2));
}

#[test]
fn a_restart_that_brings_no_keyframe_leaves_the_next_one_free() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 21_000);
    // The clock is reset in a group of pictures, and then again before a
    // keyframe has come: the second start must not be held against the first.
    script.pass(1_500);
    video.start = 400 * 90_000;
    video.made = 1_001;
    video.cadence.gop = u64::MAX;
    script.connect(&mut video);
    script.run(&mut [&mut video], 1_000);
    script.pass(1_500);
    video.start = 0;
    video.cadence.gop = 50;
    restart(&mut script, &mut video, 360);
    let before = script.told("v").whole.len();
    script.run(&mut [&mut video], 20_000);
    assert!(script.told("v").whole.len() >= before + 8, "media goes on");
}

#[test]
fn a_new_header_without_a_reset_is_one_break() {
    let mut script = Script::live();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 20_000);
    video.made = video.made.next_multiple_of(50);
    video.spec.height = 720;
    video.header = video.spec.header();
    script.connect(&mut video);
    script.run(&mut [&mut video, &mut audio], 20_000);
    assert!(script.faults.is_empty());
    assert_eq!(breaks(&script, "v"), (1, 1));
    assert_eq!(breaks(&script, "a"), (1, 1));
    let ids: std::collections::BTreeSet<u64> = script
        .told("v")
        .whole
        .iter()
        .map(|segment| segment.header.id)
        .collect();
    assert_eq!(ids.len(), 2, "both headers stay under their names");
}

#[test]
fn the_same_header_again_is_nothing_new() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    for _ in 0..10 {
        script.run(&mut [&mut video], 2_000);
        script.connect(&mut video);
    }
    assert!(script.faults.is_empty());
    assert_eq!(breaks(&script, "v"), (0, 0));
    assert!(script.told("v").whole.iter().all(|segment| !segment.gap));
}

#[test]
fn another_timescale_under_a_name_is_refused() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    let mut other = video.header.tracks[0].clone();
    other.timescale = headwater::time::Timescale::new(1_000).expect("not zero");
    let fault = script
        .publisher
        .header("v", other.clone())
        .expect_err("it is refused");
    assert!(fault.to_string().contains("timescale"), "{fault}");
    other.timescale = headwater::time::Timescale::new(1_000_000_001).expect("not zero");
    let fault = script
        .publisher
        .header("new", other)
        .expect_err("it is refused");
    assert!(fault.to_string().contains("1000000000"), "{fault}");
}

#[test]
fn silence_ends_a_channel_and_media_of_it_is_refused_then() {
    let mut script = Script::new(Policy {
        ended_after_ms: 30_000,
        ..Policy::default()
    });
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 11_000);
    assert_eq!(script.state(), State::Live);
    let open = script.told("v").open.is_some();
    script.pass(7_000);
    assert_eq!(script.state(), State::Stalled);
    script.run(&mut [&mut video], 400);
    script.pass(20);
    assert_eq!(script.state(), State::Live, "one that comes back goes on");
    script.pass(31_000);
    assert_eq!(script.state(), State::Ended);
    assert!(
        open && script.told("v").open.is_none(),
        "what was open is closed"
    );
    let seq = script.ledger.channel.seq;
    assert_eq!(script.send(&mut video), None);
    script.end_segment("v");
    let track = video.header.tracks[0].clone();
    script.publisher.header("v", track).expect_err("it is over");
    script.pass(1_000);
    assert_eq!(script.ledger.channel.seq, seq, "an end is the end");
    assert!(
        script.faults[0].to_string().contains("has ended"),
        "{}",
        script.faults[0]
    );
}
