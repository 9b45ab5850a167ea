//! What broken and hostile encoders send: refused or borne, and bounded.

use headwater::limits;
use headwater::media::fault::FaultKind;
use headwater::media::policy::Policy;

use crate::encoder::{Fragment, Frame, Spec};
use crate::ledger::Ledger;
use crate::script::{Cadence, Script, Source, segments_held};

fn frames(ticks: &[u32]) -> Vec<Frame> {
    let frame = |(at, ticks): (usize, &u32)| Frame {
        ticks: *ticks,
        sync: at == 0,
        cts: 0,
        bytes: (3, 0),
    };
    ticks.iter().enumerate().map(frame).collect()
}

fn running() -> (Script, Source) {
    let mut script = Script::live();
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 12_000);
    (script, video)
}

#[test]
fn times_beyond_any_clock_are_refused_at_their_bound() {
    for live in [false, true] {
        let (mut script, mut video) = if live {
            running()
        } else {
            (Script::live(), Source::video())
        };
        if !live {
            script.connect(&mut video);
        }
        let at = |time| Fragment {
            time,
            frames: frames(&[3_600]),
            ..Fragment::default()
        };
        let seconds = limits::DECODE_SECONDS_MAX;
        for time in [seconds * 90_000, limits::DECODE_TICKS_MAX] {
            assert_eq!(
                script.chunk(&video, at(time).read(&video.header), false),
                None
            );
            let fault = script.faults.pop().expect("told");
            assert_eq!(fault.kind, FaultKind::Limit("seconds of decode time"));
            assert_eq!(fault.track.as_deref(), Some("v"));
        }
        let long = Fragment {
            time: video.time(),
            frames: frames(&[u32::MAX; 9]),
            ..Fragment::default()
        };
        assert_eq!(script.chunk(&video, long.read(&video.header), false), None);
        let fault = script.faults.pop().expect("told");
        assert_eq!(fault.kind, FaultKind::Limit("seconds in one chunk"));
        script.run(&mut [&mut video], 10_000);
        assert!(script.faults.is_empty(), "the channel goes on");
        assert!(script.told("v").whole.iter().all(|segment| !segment.gap));
    }
}

#[test]
fn a_jump_back_or_far_ahead_is_refused_and_media_goes_on() {
    let (mut script, mut video) = running();
    let good = video.made;
    for made in [good - 100, good + 25 * 61, 0] {
        video.made = made;
        assert_eq!(script.send(&mut video), None, "{made}");
    }
    let told: Vec<String> = script
        .faults
        .drain(..)
        .map(|fault| fault.to_string())
        .collect();
    assert!(told[0].contains("jumps back by 4000 ms"), "{}", told[0]);
    assert!(told[1].contains("jumps ahead by 61000 ms"), "{}", told[1]);
    assert!(
        told.iter()
            .all(|text| text.starts_with("track v: byte 0: ")),
        "{told:?}"
    );
    video.made = good;
    script.run(&mut [&mut video], 10_000);
    assert!(script.faults.is_empty());
    let told = script.told("v");
    assert!(
        told.whole
            .iter()
            .all(|segment| !segment.gap && !segment.discontinuity)
    );
}

#[test]
fn a_clock_that_goes_on_where_it_jumped_to_is_believed() {
    let (mut script, mut video) = running();
    video.made += 25 * 600;
    assert_eq!(script.send(&mut video), None);
    video.made = video.made.next_multiple_of(50) - 5;
    script.send(&mut video);
    script.faults.clear();
    script.run(&mut [&mut video], 10_000);
    assert!(script.faults.is_empty());
    assert_eq!(
        script
            .told("v")
            .whole
            .last()
            .expect("media")
            .discontinuity_number,
        1
    );
}

#[test]
fn gaps_are_bounded_whatever_jumps() {
    let policy = Policy {
        window_ms: 20_000,
        ..Policy::default()
    };
    let mut script = Script::new(policy);
    script.ledger = Ledger::new(false);
    let mut video = Source::new("v", Spec::video(90_000), Cadence::new(1, 1, 1));
    video.per_request = Some(1);
    script.connect(&mut video);
    // Segments of one tick, then steps of 59 s, again and again.
    for _ in 0..10 {
        script.pass(20);
        script.send(&mut video);
    }
    for _ in 0..300 {
        script.pass(20);
        video.made += 59 * 90_000;
        let seq = script.ledger.channel.seq;
        script.send(&mut video);
        assert!(script.ledger.channel.seq <= seq + 2);
        let (closed, _) = script.ledger.batches.last().expect("a batch");
        let most = (60_000 / limits::GRID_CELL_MS_MIN) as usize + 2;
        assert!(*closed <= most, "{closed} segments for one chunk");
    }
    assert!(
        segments_held(script.window("v")) <= 150,
        "the window stays bounded"
    );
}

#[test]
fn samples_without_duration_are_carried() {
    let (mut script, mut video) = running();
    for ticks in [[18_000u32, 0, 0], [0, 0, 18_000], [9_000, 0, 9_000]] {
        let fragment = Fragment {
            time: video.time(),
            frames: frames(&ticks),
            ..Fragment::default()
        };
        script.pass(200);
        assert!(
            script
                .chunk(&video, fragment.read(&video.header), false)
                .is_some()
        );
        video.made += 5;
    }
    assert!(script.faults.is_empty());
}

#[test]
fn every_timescale_works() {
    for timescale in [1, 2, 25, 1_000, 600_000, limits::TIMESCALE_MAX] {
        let frame = timescale.div_ceil(25);
        let per_second = u64::from(timescale / frame).max(1);
        let mut script = Script::live();
        script.ledger = Ledger::new(timescale >= 25);
        let spec = Spec::video(timescale);
        let mut video = Source::new("v", spec, Cadence::new(frame, 1, 2 * per_second));
        script.connect(&mut video);
        script.run(&mut [&mut video], 30_000);
        assert!(script.faults.is_empty());
        let told = script.told("v");
        assert!(told.whole.len() >= 10, "{timescale}: {}", told.whole.len());
        assert!(told.whole.iter().all(|segment| !segment.gap));
    }
}

#[test]
fn a_source_that_keeps_resetting_its_clock_costs_what_it_sends() {
    let (mut script, mut video) = running();
    let mut audio = Source::audio();
    audio.made = video.time() * 48_000 / 90_000 / 1_024;
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 10_000);
    for _ in 0..60 {
        script.pass(1_200);
        video.made = 0;
        script.connect(&mut video);
        script.run(&mut [&mut video], 2_000);
    }
    let breaks = script
        .told("v")
        .whole
        .last()
        .expect("media")
        .discontinuity_number;
    assert!(breaks > 50, "{breaks}");
    // Audio takes them over with its next segment, and its window is bounded.
    audio.made += 192 * 48_000 / 1_024;
    script.faults.clear();
    script.connect(&mut audio);
    script.run(&mut [&mut audio], 10_000);
    let newest = script.told("a").whole.last().expect("media");
    assert!((breaks..=breaks + 2).contains(&newest.discontinuity_number));
}

#[test]
fn tracks_of_a_channel_are_bounded() {
    let mut script = Script::live();
    let track = Source::video().header.tracks[0].clone();
    for index in 0..limits::CHANNEL_TRACKS_MAX {
        script
            .publisher
            .header(&format!("v{index}"), track.clone())
            .expect("it fits");
    }
    let fault = script
        .publisher
        .header("one-more", track.clone())
        .expect_err("it does not");
    assert_eq!(fault.kind, FaultKind::Limit("tracks of one channel"));
    script
        .publisher
        .header("v0", track)
        .expect("a known one is no further one");
}

#[test]
fn media_held_before_the_start_is_bounded() {
    let mut script = Script::live();
    // One keyframe and never another: nothing says where a segment ends.
    let spec = Spec::video(90_000);
    let mut video = Source::new("v", spec, Cadence::new(3_600, 1, u64::MAX));
    script.connect(&mut video);
    let mut held = 0;
    while script.faults.is_empty() {
        let mut fragment = video.fragment();
        fragment.frames[0].bytes = (4 << 20, 0);
        held = script.publisher.bytes();
        script.chunk(&video, fragment.read(&video.header), false);
    }
    assert_eq!(
        script.faults[0].kind,
        FaultKind::Limit("media before the first whole segment")
    );
    assert!(held <= limits::PRIMING_BYTES_MAX);
    assert!(held + (5 << 20) > limits::PRIMING_BYTES_MAX);
}
