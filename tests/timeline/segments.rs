//! Where segments end, their numbers and dates.

use headwater::media::policy::Policy;
use headwater::time::Wall;

use crate::encoder::{Fragment, Spec};
use crate::script::{Cadence, EPOCH_S, Script, Source, lengths_ms};

#[test]
fn an_endless_upload_is_cut_at_keyframes() {
    // Timescale, sample, samples a group, and the segments that follow.
    for (timescale, frame, gop, length_ms) in [
        (90_000, 3_600, 25, 2_000),
        (90_000, 3_600, 50, 2_000),
        (30_000, 1_001, 60, 2_002),
        (30_000, 1_001, 30, 2_002),
        (90_000, 3_600, 250, 10_000),
        (90_000, 3_600, 24, 1_920),
    ] {
        let mut script = Script::live();
        let mut video = Source::new("v", Spec::video(timescale), Cadence::new(frame, 6, gop));
        script.connect(&mut video);
        script.run(&mut [&mut video], 62_000);
        let lengths = lengths_ms(script.told("v"));
        assert!(lengths.len() >= 5, "{gop}: {lengths:?}");
        assert!(
            lengths.iter().all(|ms| *ms == length_ms),
            "{gop}: {lengths:?}"
        );
    }
}

#[test]
fn irregular_groups_never_outgrow_the_target() {
    let mut script = Script::live();
    let mut video = Source::new("v", Spec::video(90_000), Cadence::new(3_600, 1, 1_000_000));
    script.connect(&mut video);
    // Groups between 0.4 s and 2 s, in no order.
    let mut next_key = 0;
    let mut chance = 7u64;
    while video.made < 2_500 {
        let mut fragment = video.fragment();
        fragment.frames[0].sync = video.made > next_key;
        if fragment.frames[0].sync {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            next_key = video.made + 9 + (chance >> 40) % 40;
        }
        script.pass(40);
        let chunk = fragment.read(&video.header);
        script.chunk(&video, chunk, false);
    }
    let told = script.told("v");
    assert!(told.whole.len() > 25);
    let starts = told
        .whole
        .iter()
        .filter(|segment| segment.parts[0].independent)
        .count();
    assert!(
        starts * 10 >= told.whole.len() * 9,
        "{starts} of {}",
        told.whole.len()
    );
}

#[test]
fn a_group_that_grows_is_cut_at_the_target() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 10_000);
    assert_eq!(script.targets().segment_s, 2);
    // One chunk of five seconds, and groups of five from then on.
    video.cadence = Cadence::new(3_600, 125, 125);
    script.run(&mut [&mut video], 30_000);
    assert_eq!(script.targets().segment_s, 2, "targets never change");
    assert!(lengths_ms(script.told("v")).iter().all(|ms| *ms < 2_500));
    video.per_request = Some(125);
    script.run(&mut [&mut video], 30_000);
    assert!(lengths_ms(script.told("v")).iter().all(|ms| *ms < 2_500));
}

#[test]
fn media_that_overlaps_by_less_than_a_sample_counts_in_full() {
    let mut script = Script::live();
    let mut video = Source::video().starting_at(900_000);
    script.connect(&mut video);
    script.run(&mut [&mut video], 8_000);
    // Chunks of 200 ms, every tenth 20 ms early, and no keyframe any more.
    video.cadence.gop = u64::MAX;
    for round in 0..100 {
        let early = if round % 10 == 9 { 1_800 } else { 0 };
        video.start -= early;
        script.run(&mut [&mut video], 200);
    }
    assert_eq!(script.targets().segment_s, 2);
    assert!(lengths_ms(script.told("v")).iter().all(|ms| *ms < 2_500));
}

#[test]
fn targets_fit_a_track_that_is_still_on_its_way() {
    // On an epoch timeline a track shows two segments; audio has them sooner.
    let mut script = Script::live();
    let mut video = Source::video().starting_at(EPOCH_S * 90_000);
    video.cadence.gop = 100;
    let mut audio = Source::audio().starting_at(EPOCH_S * 48_000);
    script.connect(&mut audio);
    script.connect(&mut video);
    script.run(&mut [&mut audio, &mut video], 20_000);
    assert_eq!(script.targets().segment_s, 4);
    let starts = script
        .told("v")
        .whole
        .iter()
        .map(|segment| segment.parts[0].independent);
    assert!(starts.clone().count() >= 3 && starts.clone().all(|independent| independent));
}

#[test]
fn audio_follows_the_grid_of_video_without_drift() {
    let mut script = Script::new(Policy {
        window_ms: 20_000,
        ..Policy::default()
    });
    let mut video = Source::new("v", Spec::video(30_000), Cadence::new(1_001, 60, 60));
    let mut audio = Source::new("a", Spec::audio(48_000), Cadence::new(1_024, 94, 1));
    (video.per_request, audio.cadence.chunk) = (Some(60), 47);
    script.connect(&mut video);
    script.connect(&mut audio);
    for _ in 0..10_000 {
        script.pass(2_002);
        script.send(&mut video);
        while audio.time() * 30_000 < video.time() * 48_000 {
            script.send(&mut audio);
        }
    }
    let (video, audio) = (script.told("v"), script.told("a"));
    assert!(audio.whole.len() >= 9_990, "{}", audio.whole.len());
    let offset = video.whole[0].msn;
    for segment in &audio.whole {
        let Some(twin) = video.whole.get((segment.msn - offset) as usize) else {
            break;
        };
        let ahead = segment.start_ticks * 30_000 - twin.start_ticks * 48_000;
        let chunk = (47 * 1_024 / 2 + 1_024) * 30_000;
        assert!(
            ahead.abs() <= chunk,
            "segment {} is {ahead} off",
            segment.msn
        );
    }
}

#[test]
fn numbers_of_an_epoch_timeline_follow_from_time_alone() {
    let mut numbers = Vec::new();
    for start in [0u64, 7, 31] {
        let mut script = Script::live();
        script.now.wall = Wall((EPOCH_S + start * 2) as i64 * 1_000_000);
        let epoch = |scale: u64| (EPOCH_S + start * 2) * scale;
        let mut video = Source::video().starting_at(epoch(90_000));
        // Audio frames are counted from 1970 too.
        let mut audio = Source::audio().starting_at(epoch(48_000).div_ceil(1_024) * 1_024);
        script.connect(&mut video);
        script.connect(&mut audio);
        script.run(&mut [&mut video, &mut audio], 100_000 - start * 2_000);
        for name in ["v", "a"] {
            let told = script.told(name);
            assert!(told.whole.len() > 10);
            for segment in &told.whole {
                let scale = segment.header.track.timescale;
                let us = scale.micros(segment.start_ticks).0;
                assert_eq!(segment.msn as i64, (us + 1_000_000) / 2_000_000, "{name}");
                assert_eq!(segment.wall, Wall(us), "an epoch clock is its own date");
            }
        }
        let told = script.told("v");
        let named: Vec<(u64, u64)> = told
            .parts()
            .map(|part| (part.number, part.start_ticks as u64))
            .collect();
        numbers.push(named);
    }
    // Parts of the same time have the same number wherever the encoder started.
    for pair in numbers.windows(2) {
        let known: std::collections::BTreeMap<u64, u64> = pair[0]
            .iter()
            .map(|(number, start)| (*start, *number))
            .collect();
        let shared = pair[1]
            .iter()
            .filter(|(number, start)| known.get(start) == Some(number));
        assert!(shared.count() > 150, "twins name parts alike");
    }
}

#[test]
fn t26_decode_times_of_32_bits_wrap_without_a_break() {
    let mut script = Script::live();
    let start = (1u64 << 32) - 90_000 * 10;
    let mut video = Source::video().starting_at(start);
    video.wraps = true;
    script.connect(&mut video);
    script.run(&mut [&mut video], 30_000);
    assert!(script.faults.is_empty());
    let told = script.told("v");
    assert_eq!(lengths_ms(told), vec![2_000; told.whole.len()]);
    assert!(told.whole.len() >= 13);
    let newest = told.whole.last().expect("many");
    assert!(newest.start_ticks > 1 << 32, "channel time does not wrap");
    assert_eq!(newest.discontinuity_number, 0);
}

#[test]
fn t25_presentation_offsets_do_not_part_audio_from_video() {
    // Edit list and composition offset as encoders use them, with the ticks by
    // which the first sample is shown after its decode time.
    for (edit, cts, shift) in [
        (None, 0, 0),
        (Some(7_200), 7_200, 0),
        (Some(7_200), 10_800, 3_600),
        (None, 7_200, 7_200),
        (None, -3_600, -3_600),
    ] {
        let mut script = Script::live();
        let spec = Spec {
            edit,
            ..Spec::video(90_000)
        };
        let mut video = Source::new(
            "v",
            spec,
            Cadence {
                cts,
                ..Cadence::new(3_600, 5, 50)
            },
        );
        let mut audio = Source::audio();
        script.connect(&mut video);
        script.connect(&mut audio);
        script.run(&mut [&mut video, &mut audio], 10_000);
        let first = |name: &str| {
            let segment = &script.told(name).whole[0];
            segment.wall.0 - segment.header.track.timescale.micros(segment.start_ticks).0
        };
        let off_us = first("v") - first("a");
        assert!(
            (off_us - shift * 1_000_000 / 90_000).abs() < 1_000,
            "{edit:?} {cts}: {off_us}"
        );
    }
}

#[test]
fn missing_chunks_become_a_gap_of_their_length() {
    for lost in [5u64, 25, 50, 125, 1_000] {
        let mut script = Script::live();
        let mut video = Source::video();
        script.connect(&mut video);
        script.run(&mut [&mut video], 12_000);
        video.made = video.made.next_multiple_of(50) + lost.next_multiple_of(50);
        script.run(&mut [&mut video], 12_000);
        assert!(script.faults.is_empty());
        let told = script.told("v");
        let mut at = told.whole[0].start_ticks;
        for segment in &told.whole {
            assert_eq!(
                segment.start_ticks, at,
                "no hole after the gap of {lost} frames"
            );
            assert!(!segment.discontinuity);
            at = segment.end_ticks();
        }
        assert!(told.whole.iter().any(|segment| segment.gap));
        assert!(
            told.whole
                .iter()
                .all(|segment| segment.gap == segment.parts[0].gap)
        );
    }
}

#[test]
fn media_after_a_hole_waits_for_its_keyframe() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 12_000);
    video.made += 5;
    script.run(&mut [&mut video], 12_000);
    let told = script.told("v");
    for segment in told.whole.iter().filter(|segment| !segment.gap) {
        assert!(segment.parts[0].independent);
    }
    assert!(told.whole.iter().any(|segment| segment.gap));
}

#[test]
fn a_producers_clock_dates_media_unless_it_is_wrong() {
    for (produced_s, dated_s) in [(EPOCH_S - 3, EPOCH_S - 3), (EPOCH_S / 2, EPOCH_S)] {
        let mut script = Script::live();
        let mut video = Source::video();
        script.connect(&mut video);
        for _ in 0..20 {
            let seconds = video.made / 25;
            let fragment = Fragment {
                produced_s: video
                    .made
                    .is_multiple_of(50)
                    .then_some(produced_s + seconds),
                ..video.fragment()
            };
            script.pass(200);
            let chunk = fragment.read(&video.header);
            script.chunk(&video, chunk, false);
        }
        let wall = script.told("v").whole[0].wall;
        assert_eq!((wall.0 + 100_000) / 1_000_000, dated_s as i64);
    }
}
