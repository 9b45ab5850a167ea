//! Several sources of one track: one timeline.

use headwater::media::publisher::Accepted;

use crate::script::{Script, Source, samples};

#[test]
fn t10_two_encoders_give_what_one_gives() {
    let alone = {
        let mut script = Script::live();
        let mut video = Source::video();
        script.connect(&mut video);
        script.run(&mut [&mut video], 40_000);
        samples(script.told("v"))
    };
    // The second one is behind by so many chunks of 0.2 s, and joins so late.
    for (behind, join_ms) in [
        (0u64, 0),
        (1, 0),
        (3, 0),
        (12, 1_000),
        (1, 9_000),
        (40, 9_000),
    ] {
        let mut script = Script::live();
        let mut first = Source::video();
        let mut second = Source::video();
        script.connect(&mut first);
        let mut connected = false;
        for step in 0..200u64 {
            script.pass(200);
            script.send(&mut first);
            if step * 200 >= join_ms && step >= behind {
                if !std::mem::replace(&mut connected, true) {
                    script.connect(&mut second);
                }
                second.made = (step - behind) * 5;
                script.send(&mut second);
            }
        }
        let what = format!("{behind} behind, joins at {join_ms} ms");
        assert!(script.faults.is_empty(), "{what}: {:?}", script.faults);
        let told = script.told("v");
        assert!(
            told.whole
                .iter()
                .all(|segment| !segment.gap && !segment.discontinuity),
            "{what}"
        );
        let got = samples(told);
        assert!(
            got.len() + 55 >= alone.len() && alone.starts_with(&got[..got.len().min(alone.len())]),
            "{what}"
        );
    }
}

#[test]
fn t11_the_other_encoder_goes_on_where_one_dies() {
    let mut script = Script::live();
    let (mut first, mut second) = (Source::video(), Source::video());
    script.connect(&mut first);
    script.connect(&mut second);
    for step in 0..150 {
        script.pass(200);
        if step < 73 {
            script.send(&mut first);
        }
        script.send(&mut second);
    }
    assert!(script.faults.is_empty());
    let told = script.told("v");
    assert!(told.whole.len() >= 14);
    assert!(
        told.whole
            .iter()
            .all(|segment| !segment.gap && !segment.discontinuity)
    );
}

#[test]
fn a_source_that_is_ahead_waits_for_the_one_at_work() {
    let mut script = Script::live();
    let (mut first, mut ahead) = (Source::video(), Source::video());
    script.connect(&mut first);
    script.run(&mut [&mut first], 12_000);
    script.connect(&mut ahead);
    ahead.made = first.made + 100;
    for _ in 0..50 {
        script.pass(200);
        script.send(&mut first);
        assert_eq!(script.send(&mut ahead), Some(Accepted::Standby));
    }
    assert!(script.told("v").whole.iter().all(|segment| !segment.gap));
    // The one at work dies; what it still owed is a gap.
    script.run(&mut [&mut ahead], 10_000);
    let told = script.told("v");
    assert!(told.whole.iter().any(|segment| segment.gap));
    assert!(
        told.whole
            .last()
            .is_some_and(|segment| !segment.gap && !segment.discontinuity)
    );
}

#[test]
fn an_encoder_that_starts_anew_beside_another_is_left_out() {
    let mut script = Script::live();
    let (mut first, mut other) = (Source::video(), Source::video());
    script.connect(&mut first);
    script.run(&mut [&mut first], 400_000);
    script.connect(&mut other);
    for _ in 0..50 {
        script.pass(200);
        script.send(&mut first);
        assert_eq!(script.send(&mut other), Some(Accepted::Duplicate));
    }
    assert!(
        script
            .told("v")
            .whole
            .iter()
            .all(|segment| !segment.gap && !segment.discontinuity)
    );
}

#[test]
fn t6_a_segment_sent_again_completes_what_was_cut_off() {
    let mut script = Script::live();
    let mut video = Source::video();
    video.per_request = Some(50);
    script.connect(&mut video);
    for _ in 0..60 {
        script.pass(200);
        script.send(&mut video);
    }
    // Three of ten chunks come, then the connection breaks; the encoder sends
    // the whole segment again.
    for _ in 0..3 {
        script.pass(200);
        script.send(&mut video);
    }
    video.made -= 15;
    for index in 0..10 {
        script.pass(50);
        let taken = script.send(&mut video);
        let want = if index < 3 {
            Accepted::Duplicate
        } else {
            Accepted::Placed
        };
        assert_eq!(taken, Some(want), "chunk {index}");
    }
    // A late repetition of an old one is nothing new.
    video.made -= 200;
    for _ in 0..10 {
        assert_eq!(script.send(&mut video), Some(Accepted::Duplicate));
    }
    video.made += 150;
    for _ in 0..30 {
        script.pass(200);
        script.send(&mut video);
    }
    assert!(script.faults.is_empty());
    let told = script.told("v");
    assert!(
        told.whole
            .iter()
            .all(|segment| segment.duration_ticks == 180_000 && !segment.gap)
    );
    let sent: Vec<u8> = (0..samples(told).len()).map(|at| at as u8).collect();
    assert_eq!(samples(told), sent);
}

#[test]
fn an_encoder_that_connects_again_may_repeat_its_last_segment() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 21_000);
    script.pass(1_500);
    video.made = video.made / 50 * 50;
    script.connect(&mut video);
    script.run(&mut [&mut video], 20_000);
    assert!(script.faults.is_empty());
    assert!(
        script
            .told("v")
            .whole
            .iter()
            .all(|segment| !segment.discontinuity && !segment.gap)
    );
}

#[test]
fn a_track_may_join_late_and_may_die() {
    let mut script = Script::live();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.run(&mut [&mut video], 21_000);
    audio.made = video.time() * 48_000 / 90_000 / 1_024;
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 20_000);
    let (first, twin) = (&script.told("a").whole[1], script.told("v"));
    let same = twin
        .whole
        .iter()
        .find(|segment| segment.msn == first.msn)
        .expect("one grid");
    assert!(
        (first.wall.0 - same.wall.0).abs() < 250_000,
        "matching media has one number"
    );
    // Audio dies; video goes on without it.
    script.run(&mut [&mut video], 60_000);
    assert!(script.faults.is_empty());
    assert_eq!(script.state(), headwater::media::channel::State::Live);
    assert!(script.told("v").whole.len() >= 48);
}

#[test]
fn a_track_that_never_comes_is_not_waited_for_longer_than_a_segment() {
    let mut script = Script::live();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video], 5_000);
    assert_eq!(script.state(), headwater::media::channel::State::Live);
    assert_eq!(script.ledger.tracks.len(), 1);
}
