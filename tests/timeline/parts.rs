//! Chunks to parts (RFC 8216bis section 4.4.4.9).

use headwater::media::policy::Policy;
use proptest::prelude::*;

use crate::encoder::{Fragment, Frame, Spec};
use crate::script::{Cadence, Script, Source, payload, samples};

/// Cadences of the field: timescale, sample, samples a chunk, samples a group,
/// and the part target that was set, if any.
const CADENCES: [(u32, u32, u64, u64, Option<u64>); 17] = [
    (30_000, 1_001, 15, 60, None),
    (30_000, 1_001, 6, 60, Some(500)),
    (30_000, 1_001, 1, 60, None),
    (30_000, 1_001, 60, 60, Some(500)),
    (60_000, 1_001, 12, 120, None),
    (60_000, 1_001, 1, 120, Some(200)),
    (60_000, 1_001, 120, 120, Some(333)),
    (90_000, 3_600, 5, 50, None),
    (90_000, 3_600, 1, 50, None),
    (90_000, 3_600, 1, 48, Some(200)),
    (90_000, 3_600, 12, 50, Some(1_000)),
    (90_000, 3_600, 50, 50, Some(500)),
    (90_000, 3_600, 13, 50, Some(500)),
    (90_000, 3_600, 250, 250, Some(1_000)),
    (90_000, 3_600, 7, 25, Some(500)),
    (12_800, 512, 25, 50, None),
    (24_000, 1_001, 12, 48, Some(250)),
];

#[test]
fn s4_4_4_9_parts_keep_to_their_target_at_every_cadence() {
    for (timescale, frame, chunk, gop, part_ms) in CADENCES {
        for per_request in [false, true] {
            let policy = Policy {
                part_ms,
                ..Policy::default()
            };
            let mut script = Script::new(policy);
            let cadence = Cadence::new(frame, chunk, gop);
            let mut video = Source::new("v", Spec::video(timescale), cadence);
            let second = u64::from(timescale / frame);
            video.per_request = per_request.then(|| gop * (2 * second).div_ceil(gop));
            script.connect(&mut video);
            // The ledger holds every part against the rule.
            script.run(&mut [&mut video], 41_000);
            let what = format!("{timescale}/{frame} x{chunk} of {gop}, {part_ms:?} {per_request}");
            assert!(script.faults.is_empty(), "{what}");
            let told = script.told("v");
            assert!(told.whole.len() >= 3, "{what}: {}", told.whole.len());
            assert!(
                told.whole
                    .iter()
                    .all(|segment| segment.parts[0].independent),
                "{what}"
            );
            let sent: Vec<u8> = (0..samples(told).len()).map(|at| at as u8).collect();
            assert!(samples(told) == sent, "{what}: every sample once");
        }
    }
}

#[test]
fn s4_4_4_9_audio_parts_keep_to_their_target() {
    for (timescale, chunk, part_ms) in [
        (48_000, 1, None),
        (48_000, 9, None),
        (48_000, 24, None),
        (48_000, 94, Some(500)),
        (44_100, 1, None),
        (44_100, 21, None),
        (44_100, 87, Some(333)),
        (48_000, 10, Some(200)),
    ] {
        let mut script = Script::new(Policy {
            part_ms,
            ..Policy::default()
        });
        let mut audio = Source::new("a", Spec::audio(timescale), Cadence::new(1_024, chunk, 1));
        script.connect(&mut audio);
        script.run(&mut [&mut audio], 30_000);
        assert!(script.faults.is_empty());
        assert!(script.told("a").whole.len() > 10, "{timescale} x{chunk}");
    }
}

/// The target is settled from the tracks that are there, and stays.
#[test]
fn s4_4_4_9_video_that_joins_later_fits_the_target_of_the_others() {
    for (timescale, frame) in CADENCES.map(|cadence| (cadence.0, cadence.1)) {
        for part_ms in [None, Some(200), Some(250), Some(333), Some(1_000)] {
            let mut script = Script::new(Policy {
                part_ms,
                ..Policy::default()
            });
            let mut audio = Source::audio();
            script.connect(&mut audio);
            script.run(&mut [&mut audio], 6_000);
            let second = u64::from(timescale.div_ceil(frame));
            let cadence = Cadence::new(frame, second, 2 * second);
            let mut video = Source::new("v", Spec::video(timescale), cadence);
            script.connect(&mut video);
            // The ledger holds every part against the rule.
            script.run(&mut [&mut audio, &mut video], 10_000);
            assert!(script.faults.is_empty(), "{:?}", script.faults);
            let what = format!("{timescale}/{frame}, {part_ms:?}");
            assert!(script.told("v").whole.len() >= 3, "{what}");
        }
    }
}

#[test]
fn chunks_finer_than_a_part_are_merged() {
    let mut script = Script::live();
    let mut video = Source::new("v", Spec::video(90_000), Cadence::new(3_600, 1, 50));
    script.connect(&mut video);
    script.run(&mut [&mut video], 20_000);
    assert_eq!(script.targets().part_us, Some(500_000));
    let told = script.told("v");
    for segment in &told.whole {
        // Twelve frames of 40 ms fit, and two are left at the end.
        let frames: Vec<usize> = segment
            .parts
            .iter()
            .map(|part| payload(part).len() / 3)
            .collect();
        assert_eq!(frames, [12, 12, 12, 12, 2]);
    }
}

#[test]
fn the_last_part_and_its_segment_are_one_version_at_a_regular_cadence() {
    for chunk in [1, 5, 10, 25] {
        for per_request in [false, true] {
            let mut script = Script::live();
            let mut video = Source::new("v", Spec::video(90_000), Cadence::new(3_600, chunk, 50));
            video.per_request = per_request.then_some(50);
            script.connect(&mut video);
            script.run(&mut [&mut video], 10_000);
            let before = script.told("v").whole.len();
            let mut closings = 0;
            for _ in 0..200 / chunk {
                let open = script
                    .told("v")
                    .open
                    .as_ref()
                    .map_or(0, |open| open.parts.len());
                script.send(&mut video);
                let told = script.told("v");
                if told.whole.len() > before + closings {
                    closings += 1;
                    let parts = told.whole.last().expect("just closed").parts.len();
                    assert_eq!(
                        parts,
                        open + 1,
                        "x{chunk} {per_request}: one part with the end"
                    );
                    let at_end = video.made.is_multiple_of(50);
                    assert!(at_end, "x{chunk} {per_request}: closed with its last chunk");
                }
            }
            assert_eq!(closings, 4);
        }
    }
}

#[test]
fn a_hint_is_honoured_across_rounded_times_and_breaks() {
    // Milliseconds don't hold 29.97 frames; the ledger compares every hint.
    let mut script = Script::live();
    let spec = Spec::video(1_000);
    let mut video = Source::new("v", spec, Cadence::new(33, 1, 60));
    script.connect(&mut video);
    for frame in 0..900u64 {
        script.pass(33);
        let fragment = Fragment {
            time: frame * 1001 / 30,
            frames: vec![Frame {
                ticks: 33,
                sync: frame.is_multiple_of(60),
                cts: 0,
                bytes: (3, frame as u8),
            }],
            ..Fragment::default()
        };
        let chunk = fragment.read(&video.header);
        assert!(script.chunk(&video, chunk, false).is_some());
    }
    let told = script.told("v");
    assert!(told.whole.len() >= 13);
    assert!(
        told.whole.iter().all(|segment| !segment.gap),
        "rounding is no hole"
    );
    let last = told.whole.last().expect("many");
    let true_ms = i64::from(u32::try_from(told.whole.len()).expect("few")) * 2002;
    assert!((last.end_ticks() - true_ms).abs() <= 34, "no drift");
}

#[test]
fn a_sample_longer_than_a_part_is_told_and_kept() {
    let mut script = Script::new(Policy {
        part_ms: Some(200),
        ..Policy::default()
    });
    script.ledger = crate::ledger::Ledger::new(false);
    let mut video = Source::new("v", Spec::video(1_000), Cadence::new(250, 3, 8));
    script.connect(&mut video);
    script.run(&mut [&mut video], 12_000);
    let (_, complaint) = script.publisher.complaints().next().expect("one track");
    // The target was raised to whole frames, so there is nothing to tell.
    assert_eq!((complaint, script.targets().part_us), (None, Some(250_000)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However the same samples are divided into chunks, they come out the same.
    #[test]
    fn any_division_into_chunks_gives_the_same_media(
        sizes in prop::collection::vec(1u64..40, 1..80),
        gop in 20u64..60,
    ) {
        let mut script = Script::new(Policy { part_ms: Some(500), ..Policy::default() });
        let mut video = Source::new("v", Spec::video(90_000), Cadence::new(3_600, 1, gop));
        script.connect(&mut video);
        let mut sizes = sizes.iter().cycle();
        while video.made < 600 {
            let next_key = gop - video.made % gop;
            video.cadence.chunk = (*sizes.next().expect("a cycle")).min(next_key);
            script.pass(video.cadence.chunk * 40);
            script.send(&mut video);
        }
        prop_assert!(script.faults.is_empty());
        let told = script.told("v");
        let sent: Vec<u8> = (0..samples(told).len()).map(|at| at as u8).collect();
        prop_assert!(sent.len() > 500);
        prop_assert_eq!(samples(told), sent);
    }
}
