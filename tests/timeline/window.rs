//! What stays to be fetched, and what memory is given back.

use headwater::media::policy::Policy;

use crate::script::{Script, Source, segments_held};

#[test]
fn s6_2_2_segments_stay_for_their_length_after_they_left_the_list() {
    let mut script = Script::new(Policy {
        window_ms: 20_000,
        ..Policy::default()
    });
    let mut video = Source::video();
    script.connect(&mut video);
    for _ in 0..60 {
        script.run(&mut [&mut video], 1_000);
        let Some((_, track)) = script.ledger.channel.track("v") else {
            continue;
        };
        let window = &track.window;
        let Some(first_listed) = window.listed().next() else {
            continue;
        };
        let listed_s = window.listed_ticks() / 90_000;
        assert!(listed_s <= 22, "{listed_s} s listed");
        let first = window.first_msn().expect("not empty");
        let whole = window.last_whole().expect("listed").msn + 1 - first;
        if whole > 14 {
            assert!(listed_s >= 20, "{listed_s} s listed");
        }
        if first_listed.msn > script.told("v").whole[0].msn + 4 {
            assert!(
                first_listed.msn - first >= 3,
                "what left the list can be fetched"
            );
        }
        for part in &first_listed.parts {
            assert!(window.part(part.number).is_some());
        }
        assert!(segments_held(window) <= 16);
    }
    let window = script.window("v");
    let oldest = &script.told("v").whole[0];
    assert!(window.segment(oldest.msn).is_none());
    assert!(window.part(oldest.parts[0].number).is_none());
}

#[test]
fn memory_falls_with_its_budget_but_not_below_three_targets() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 100_000);
    let full = script.publisher.bytes();
    script.publisher.limit_window(28_000);
    script.run(&mut [&mut video], 2_000);
    let less = script.publisher.bytes();
    assert!(less * 3 < full, "{less} of {full}");
    script.publisher.limit_window(0);
    script.run(&mut [&mut video], 2_000);
    let ticks = script.window("v").listed_ticks();
    assert!((6 * 90_000..=8 * 90_000).contains(&ticks), "{ticks}");
    script.publisher.limit_window(u64::MAX);
    script.run(&mut [&mut video], 60_000);
    assert!(
        script.window("v").listed_ticks() > 60 * 90_000,
        "it grows again"
    );
}

#[test]
fn headers_that_come_anew_with_each_segment_are_memory_too() {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 10_000);
    let before = script.publisher.bytes();
    for number in 0..6 {
        let track = &mut video.header.tracks[0];
        (track.digest, track.bytes) = (number, vec![0; 100_000].into());
        script.connect(&mut video);
        script.run(&mut [&mut video], 2_000);
    }
    let held = script.publisher.bytes();
    assert!(held > before + 400_000, "{held}, {before}");
    script.publisher.limit_window(0);
    script.run(&mut [&mut video], 20_000);
    let held = script.publisher.bytes();
    assert!((100_000..200_000).contains(&held), "the one in use: {held}");
}
