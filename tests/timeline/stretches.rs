//! Stretches of media without a break: what manifests reckon with.

use headwater::media::stretch::{Lane, Stretch};
use headwater::media::window::Segment;
use headwater::time::{Micros, Wall};

use crate::script::{EPOCH_S, Script, Source};

/// Decode time of the first chunk of a segment as its bytes say.
fn decode_time(segment: &Segment) -> i64 {
    let bytes = segment.body().to_vec();
    let at = bytes.windows(4).position(|name| name == b"tfdt");
    let field = &bytes[at.expect("a chunk has one") + 4..];
    let wide = u64::from_be_bytes(field[4..12].try_into().expect("eight bytes"));
    (if field[0] == 1 { wide } else { wide >> 32 }) as i64
}

/// What holds of all stretches of a channel; gives how many there are.
#[track_caller]
fn check(script: &Script) -> usize {
    let channel = &script.ledger.channel;
    let stretches: Vec<&Stretch> = channel.stretches().settled().collect();
    assert!(stretches.is_sorted_by(|a, b| a.begins < b.begins && a.number < b.number));
    for track in channel.tracks() {
        let (index, _) = channel.track(&track.info.name).expect("its own");
        let scale = track.info.header.timescale;
        for stretch in &stretches {
            let Some(lane) = stretch.lane(index) else {
                continue;
            };
            for run in &lane.runs {
                for (msn, at) in (0..run.count).map(|n| (run.msn + n, run.duration_ticks * n)) {
                    let segment = track.window.segment(msn).expect("it is listed");
                    let start = run.start_ticks + at as i64;
                    assert_eq!(segment.presented_ticks, start);
                    assert_eq!(segment.duration_ticks, run.duration_ticks);
                    assert_eq!(decode_time(segment), start, "no cts, no edits");
                    let date = stretch.begins + scale.micros(start - lane.offset_ticks as i64);
                    let off = (date - segment.wall).0.abs();
                    assert!(off < 50, "{off} us off its date");
                }
            }
        }
        for segment in track.window.listed().filter(|segment| !segment.gap) {
            let holds = |lane: &Lane| {
                let mut runs = lane.runs.iter();
                runs.any(|run| (run.msn..run.msn + run.count).contains(&segment.msn))
            };
            let lanes = stretches.iter().filter_map(|stretch| stretch.lane(index));
            let count = lanes.filter(|lane| holds(lane)).count();
            assert!((1..=2).contains(&count), "{} in {count}", segment.msn);
        }
    }
    stretches.len()
}

fn both() -> (Script, Source, Source) {
    let mut script = Script::live();
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.connect(&mut audio);
    (script, video, audio)
}

#[test]
fn t30_an_epoch_timeline_counts_from_1970() {
    let mut script = Script::live();
    let mut video = Source::video().starting_at(EPOCH_S * 90_000);
    let mut audio = Source::audio().starting_at(EPOCH_S * 48_000);
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 30_000);
    assert_eq!(check(&script), 1);
    let stretches = script.ledger.channel.stretches();
    let first = stretches.settled().next().expect("one");
    assert_eq!((stretches.origin(), first.begins), (Wall(0), Wall(0)));
    assert!(
        first.even,
        "sound ends its segments within a part of the grid"
    );
    for (_, lane) in first.lanes() {
        assert_eq!((lane.offset_ticks, lane.number), (0, 0));
    }
}

#[test]
fn t30_a_restart_begins_a_stretch_that_does_not_continue() {
    let (mut script, mut video, mut audio) = both();
    script.run(&mut [&mut video, &mut audio], 21_000);
    assert_eq!(check(&script), 1);
    script.pass(5_000);
    for source in [&mut video, &mut audio] {
        source.made = 0;
        script.connect(source);
    }
    script.run(&mut [&mut video, &mut audio], 20_000);
    assert_eq!(check(&script), 2);
    let newest = script.ledger.channel.stretches().settled().next_back();
    let newest = newest.expect("two");
    assert!(!newest.continues && newest.discontinuity_number == 1);
    assert!(newest.lanes().all(|(_, lane)| lane.offset_ticks < 48_000));
}

#[test]
fn t26_a_clock_of_32_bits_that_turns_over_begins_a_stretch() {
    let mut script = Script::live();
    let mut video = Source::video().starting_at((1 << 32) - 90_000 * 20);
    video.wraps = true;
    script.connect(&mut video);
    script.run(&mut [&mut video], 40_000);
    assert_eq!(check(&script), 2);
    let stretches: Vec<_> = script.ledger.channel.stretches().settled().collect();
    assert_eq!(stretches[1].discontinuity_number, 0, "only bytes turn over");
    assert!(!stretches[1].continues);
    let (_, lane) = stretches[1].lanes().next().expect("video");
    assert!(lane.runs[0].start_ticks < 180_000);
}

#[test]
fn d12_behind_a_gap_a_stretch_continues_with_all_tracks() {
    let (mut script, mut video, mut audio) = both();
    script.run(&mut [&mut video, &mut audio], 21_000);
    script.run(&mut [&mut video], 6_000);
    audio.made += 6 * 48_000 / u64::from(audio.cadence.frame);
    script.run(&mut [&mut video, &mut audio], 20_000);
    assert_eq!(check(&script), 2);
    let newest = script.ledger.channel.stretches().settled().next_back();
    let newest = newest.expect("two");
    assert!(newest.continues && newest.lanes().count() == 2);
    assert!(newest.lanes().all(|(_, lane)| !lane.runs.is_empty()));
}

#[test]
fn a_track_that_joins_late_begins_a_stretch_of_all() {
    let (mut script, mut video, mut audio) = both();
    script.run(&mut [&mut video, &mut audio], 31_000);
    let mut late = Source::video().starting_at(video.time());
    late.name = "late";
    late.spec.height += 2;
    late.header = late.spec.header();
    script.connect(&mut late);
    script.run(&mut [&mut video, &mut audio, &mut late], 20_000);
    assert_eq!(check(&script), 2);
    let stretches: Vec<_> = script.ledger.channel.stretches().settled().collect();
    assert_eq!(
        stretches
            .iter()
            .map(|one| one.lanes().count())
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert!(stretches[1].continues);
    let span = stretches[1].begins - stretches[0].begins;
    assert!(span > Micros(25_000_000));
}
