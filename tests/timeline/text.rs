//! Text beside sound and pictures: whole segments beside parts, silence, and
//! samples that last.

use headwater::media::channel::State;

use crate::encoder::{Fragment, Frame, Spec};
use crate::script::{Cadence, Script, Source, lengths_ms, payload};

/// WebVTT in chunks of `ms`, each one sample.
fn text(ms: u32) -> Source {
    Source::new("t", Spec::text(1_000), Cadence::new(ms, 1, 1))
}

/// A chunk of one sample that lasts from `at_ms`.
fn cue(at_ms: u64, lasts_ms: u32, value: u8) -> Fragment {
    let frame = Frame {
        ticks: lasts_ms,
        sync: true,
        cts: 0,
        bytes: (3, value),
    };
    Fragment {
        time: at_ms,
        frames: vec![frame],
        ..Fragment::default()
    }
}

#[test]
fn s4_4_3_7_text_in_whole_segments_has_none_beside_parts() {
    let (mut video, mut text) = (Source::video(), text(2_000));
    text.per_request = Some(1);
    let mut script = Script::live();
    script.connect(&mut video);
    script.connect(&mut text);
    script.run(&mut [&mut video, &mut text], 20_000);
    assert!(script.targets().part_us.is_some(), "video has parts");
    assert!(script.window("v").lists_parts());
    assert!(!script.window("t").lists_parts());
    assert!(script.window("t").open().is_none());
    let told = script.told("t");
    assert!(told.whole.len() >= 8, "{}", told.whole.len());
    assert!(told.whole.iter().all(|segment| segment.parts.len() == 1));
    assert!(lengths_ms(told).iter().all(|ms| *ms == 2_000));
    let at = |name: &str, msn| {
        let told = &script.told(name).whole;
        let segment = told.iter().find(|segment| segment.msn == msn);
        segment.expect("it is told").wall
    };
    let msn = told.whole[3].msn;
    assert_eq!(at("t", msn), at("v", msn), "numbers come from time");
}

#[test]
fn text_in_chunks_has_parts_like_all_else() {
    let (mut video, mut text) = (Source::video(), text(200));
    let mut script = Script::live();
    script.connect(&mut video);
    script.connect(&mut text);
    script.run(&mut [&mut video, &mut text], 20_500);
    assert!(script.window("t").lists_parts());
    assert!(script.window("t").open().is_some());
    let parts: Vec<_> = script.told("t").parts().collect();
    assert!(parts.len() > 50);
    assert!(parts.iter().all(|part| part.duration_ticks == 200));
}

#[test]
fn nobody_waits_for_text() {
    // A header alone, and a header with one chunk that says nothing yet.
    for speaks in [false, true] {
        let (mut video, mut text) = (Source::video(), text(500));
        let mut script = Script::live();
        script.connect(&mut text);
        script.connect(&mut video);
        if speaks {
            script.send(&mut text);
        }
        script.run(&mut [&mut video], 6_000);
        assert_eq!(script.state(), State::Live, "speaks: {speaks}");
        let ahead = script.told("v").whole.len();
        script.run(&mut [&mut video], 4_000);
        assert_eq!(script.told("v").whole.len(), ahead + 2, "the edge moves");
    }
}

#[test]
fn text_alone_does_not_open_a_channel_that_others_may_join() {
    let (mut video, mut text) = (Source::video(), text(500));
    let mut script = Script::live();
    script.connect(&mut text);
    script.run(&mut [&mut text], 6_000);
    assert_eq!(script.state(), State::Priming, "there may be more to come");
    script.connect(&mut video);
    script.run(&mut [&mut video, &mut text], 4_000);
    assert_eq!(script.state(), State::Live);
    assert_eq!(
        script.targets().part_us,
        Some(200_000),
        "as the video has it"
    );

    let mut text = Source::new("t", Spec::text(1_000), Cadence::new(500, 1, 1));
    let mut script = Script::live();
    script.connect(&mut text);
    script.run(&mut [&mut text], 16_000);
    assert_eq!(script.state(), State::Live, "nothing else came");
}

#[test]
fn text_has_no_say_in_the_targets() {
    let mut video = Source::video();
    let mut script = Script::live();
    let mut text = text(10_000);
    script.connect(&mut video);
    script.connect(&mut text);
    script.chunk(&text, cue(0, 10_000, 1).read(&text.header), false);
    script.run(&mut [&mut video], 12_000);
    let targets = script.targets();
    assert_eq!((targets.segment_s, targets.part_us), (2, Some(200_000)));
}

#[test]
fn iso_14496_30_text_that_lasts_is_cut_on_the_grid() {
    let (mut video, mut text) = (Source::video(), text(2_000));
    let mut script = Script::live();
    script.connect(&mut video);
    script.connect(&mut text);
    script.run(&mut [&mut video, &mut text], 8_000);
    let before = script.told("t").whole.len();
    let long = cue(text.time(), 11_000, 7).read(&text.header);
    script.chunk(&text, long, false);
    let next = cue(text.time() + 11_000, 1_000, 8).read(&text.header);
    script.chunk(&text, next, false);
    let told = script.told("t");
    assert_eq!(lengths_ms(told)[before..], [2_000; 6]);
    let media = |index: usize| payload(&told.whole[index].parts[0]);
    for index in before..before + 5 {
        assert_eq!(media(index), [7, 7, 7], "each shows the cue");
    }
    assert_eq!(media(before + 5), [7, 7, 7, 8, 8, 8]);
    assert!(script.faults.is_empty(), "{:?}", script.faults);
}

#[test]
fn s6_2_1_silence_of_text_is_a_gap_however_long_and_breaks_nothing() {
    let (mut video, mut text) = (Source::video(), text(2_000));
    let mut script = Script::live();
    script.connect(&mut video);
    script.connect(&mut text);
    script.run(&mut [&mut video, &mut text], 8_000);
    script.run(&mut [&mut video], 150_000);
    text.made += 75;
    script.run(&mut [&mut video, &mut text], 8_000);
    for name in ["v", "t"] {
        let told = script.told(name);
        assert!(
            told.whole.iter().all(|segment| !segment.discontinuity),
            "{name}"
        );
    }
    let told = script.told("t");
    let gaps = told.whole.iter().filter(|segment| segment.gap).count();
    assert_eq!(gaps, 75);
    assert!(told.whole.last().is_some_and(|newest| !newest.gap));
    assert!(script.faults.is_empty(), "{:?}", script.faults);
}

#[test]
fn s6_2_1_a_list_of_silent_text_goes_on_with_the_programme() {
    for chunk_ms in [2_000, 200] {
        let (mut video, mut text) = (Source::video(), text(chunk_ms));
        let mut script = Script::live();
        script.connect(&mut video);
        script.connect(&mut text);
        script.run(&mut [&mut video, &mut text], 8_000);
        let what = format!("chunks of {chunk_ms} ms");
        let said = script.told("t").whole.len();
        for _ in 0..300 {
            script.run(&mut [&mut video], 200);
            assert!(!script.window("t").is_overdue(), "{what}");
            let end_ms = |name| {
                let window = script.window(name);
                let scale = window.newest_header().expect("media").track.timescale;
                scale.micros(window.end_ticks().expect("media")).0 / 1000
            };
            let behind_ms = end_ms("v") - end_ms("t");
            assert!((0..=5_000).contains(&behind_ms), "{what}: {behind_ms}");
        }
        let told = script.told("t");
        assert!(told.whole.len() >= said + 28, "{what}");
        assert!(told.whole[said + 1..].iter().all(|segment| segment.gap));
        // Somebody speaks again.
        text.made = video.time() / 90 / u64::from(chunk_ms);
        script.run(&mut [&mut video, &mut text], 8_000);
        let told = script.told("t");
        assert!(
            told.whole[told.whole.len() - 2..]
                .iter()
                .all(|segment| !segment.gap)
        );
        assert!(told.whole.iter().all(|segment| !segment.discontinuity));
        assert!(script.faults.is_empty(), "{what}: {:?}", script.faults);
    }
}

#[test]
fn s6_2_1_text_that_is_ahead_is_not_filled_and_not_late() {
    let (mut video, mut text) = (Source::video(), text(2_000));
    let mut script = Script::live();
    script.connect(&mut video);
    script.connect(&mut text);
    script.run(&mut [&mut video, &mut text], 8_000);
    // Told as it begins, and shown for long.
    let long = cue(text.time(), 10_000, 7).read(&text.header);
    script.chunk(&text, long, false);
    for _ in 0..50 {
        script.run(&mut [&mut video], 200);
        assert!(!script.window("t").is_overdue());
    }
    let next = cue(text.time() + 10_000, 2_000, 8).read(&text.header);
    script.chunk(&text, next, false);
    let told = script.told("t");
    assert!(told.whole.iter().all(|segment| !segment.gap));
    assert!(script.faults.is_empty(), "{:?}", script.faults);
}

#[test]
fn s6_2_1_text_does_not_outlive_the_programme() {
    let (mut video, mut text) = (Source::video(), text(2_000));
    let mut script = Script::live();
    script.connect(&mut video);
    script.connect(&mut text);
    script.run(&mut [&mut video, &mut text], 8_000);
    script.pass(10_000);
    assert!(script.told("t").whole.iter().all(|segment| !segment.gap));
    assert!(script.window("t").is_overdue() && script.window("v").is_overdue());
}
