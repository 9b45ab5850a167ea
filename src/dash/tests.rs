//! MPDs against files, against a foreign reader, and over the life of channels.

mod patches;

use std::collections::BTreeMap;

use dash_mpd_core::{MPD, SegmentTemplate};
use proptest::prelude::*;

use crate::dash::{Document, is_ready, mpd, stamp};
use crate::media::channel::Track;
use crate::media::cmaf::{Kind, Role};
use crate::media::event::{Role as EventRole, Statement};
use crate::media::presentation::{Caption, Presentation, TrackWords};
use crate::media::testing::{self, Script, header};
use crate::time::Micros;

const BOTH: [Document; 2] = [Document::Number, Document::Timeline];

/// Compares the MPD with a file under `fixtures/golden/dash`, which
/// `UPDATE_GOLDEN=1` writes anew, and has a foreign reader take it.
#[track_caller]
fn golden(name: &str, script: &Script, document: Document) -> MPD {
    let text = mpd::render(&script.channel, document);
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/fixtures/golden/dash/{name}.mpd");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{path}");
    parse(&text)
}

fn parse(text: &str) -> MPD {
    dash_mpd_core::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Segments of a template, as a player expands it: number, start, duration. Of
/// those that are numbered, those that `track` lists.
fn expand(template: &SegmentTemplate, track: &Track) -> Vec<(u64, i64, i64)> {
    let first = template.startNumber.expect("it is stated");
    if let Some(timeline) = &template.SegmentTimeline {
        let (mut out, mut number, mut at) = (Vec::new(), first, 0);
        for s in &timeline.segments {
            assert_eq!(s.n, None, "no player reads it");
            at = s.t.map_or(at, |t| t as i64);
            for _ in 0..=s.r.unwrap_or(0) {
                out.push((number, at, s.d as i64));
                (number, at) = (number + 1, at + s.d as i64);
            }
        }
        return out;
    }
    let duration = template.duration.expect("one or the other") as i64;
    let offset = template.presentationTimeOffset.unwrap_or(0) as i64;
    let listed = track.window.listed().filter(|segment| segment.msn >= first);
    let nominal = listed.map(|segment| {
        let cells = (segment.msn - first) as i64;
        (segment.msn, offset + cells * duration, duration)
    });
    nominal.collect()
}

#[test]
fn s5_3_9_5_3_low_latency_by_number() {
    let script = testing::reference_state();
    let mpd = golden("number", &script, Document::Number);
    assert_eq!(mpd.mpdtype.as_deref(), Some("dynamic"));
    assert_eq!(mpd.periods.len(), 1);
    let sets = &mpd.periods[0].adaptations;
    assert_eq!(sets.len(), 2, "video and sound");
    assert_eq!(sets[0].representations.len(), 2);
    let template = sets[1].representations[0].SegmentTemplate.as_ref();
    let template = template.expect("every representation has one");
    assert_eq!(template.availabilityTimeOffset, Some(1.5));
    assert_eq!(template.availabilityTimeComplete, Some(false));
    assert_eq!(
        (template.startNumber, template.duration),
        (Some(100), Some(96_000.0))
    );
}

#[test]
fn t28_latency_clock_and_reference_times_are_told() {
    let mpd = golden("number", &testing::reference_state(), Document::Number);
    let service = &mpd.ServiceDescription[0];
    let latency = &service.Latency[0];
    assert_eq!(
        (latency.target, latency.min, latency.max),
        (Some(2000.0), Some(1500.0), Some(4000.0))
    );
    assert_eq!(service.PlaybackRate[0].max, Some(1.04));
    let schemes: Vec<_> = mpd
        .UTCTiming
        .iter()
        .map(|clock| &*clock.schemeIdUri)
        .collect();
    assert_eq!(schemes.len(), 3);
    assert!(
        mpd.UTCTiming
            .iter()
            .all(|clock| clock.value.as_deref() == Some("../../time"))
    );
    for set in &mpd.periods[0].adaptations {
        let time = &set.ProducerReferenceTime[0];
        assert_eq!(time.id, latency.referenceId, "ids resolve");
        assert_eq!(time.UTCTiming.as_ref().unwrap().schemeIdUri, schemes[0]);
    }
}

#[test]
fn s5_3_9_6_low_latency_by_timeline_lists_the_open_segment() {
    let script = testing::reference_state();
    let mpd = golden("timeline", &script, Document::Timeline);
    for set in &mpd.periods[0].adaptations {
        for representation in &set.representations {
            let template = representation.SegmentTemplate.as_ref().unwrap();
            let (_, track) = script
                .channel
                .track(representation.id.as_ref().unwrap())
                .unwrap();
            let last = *expand(template, track).last().unwrap();
            let second = i64::from(track.info.header.timescale.get());
            assert_eq!(last, (110, 220 * second, 2 * second));
        }
    }
}

#[test]
fn chunks_are_not_promised_where_media_comes_in_whole_segments() {
    let mut script = Script::new(2, None).video("v1").audio("a1", "en");
    for (name, second) in [("v1", 90_000), ("a1", 48_000)] {
        (0..5).for_each(|_| script.segment(name, &[2 * second]));
    }
    for (name, document) in [("whole-number", BOTH[0]), ("whole-timeline", BOTH[1])] {
        let text = mpd::render(&script.channel, document);
        golden(name, &script, document);
        for word in ["availabilityTime", "Resync", "low-latency", "PlaybackRate"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

#[test]
fn s5_3_2_a_discontinuity_is_a_period() {
    let mut script = testing::reference_state();
    for (name, second) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
        script.close(name, second);
        script.discontinuity(name, 0xb0);
        (0..2).for_each(|_| script.segment(name, &[second / 2; 4]));
    }
    let mpd = golden("discontinuity", &script, Document::Timeline);
    assert_eq!(mpd.periods.len(), 2);
    let text = mpd::render(&script.channel, Document::Number);
    assert!(!text.contains("continuity"), "clocks may have changed");
    assert_eq!(text.matches("b0.mp4").count(), 3);
    assert_eq!(text.matches("a0.mp4").count(), 3);
}

#[test]
fn s5_3_2_4_behind_a_gap_a_period_goes_on() {
    let mut script = testing::reference_state();
    for (name, second) in [("v1", 90_000), ("v2", 90_000)] {
        script.close(name, second);
        script.segment(name, &[second / 2; 4]);
    }
    script.close("a1", 48_000);
    script.gap_segment("a1", 96_000);
    for _ in 0..2 {
        for (name, second) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
            script.segment(name, &[second / 2; 4]);
        }
    }
    let mpd = golden("gap", &script, Document::Timeline);
    assert_eq!(mpd.periods.len(), 2);
    let (_, sound) = script.channel.track("a1").unwrap();
    let numbers = |period: usize| {
        let sets = &mpd.periods[period].adaptations;
        let template = sets[1].representations[0].SegmentTemplate.as_ref().unwrap();
        let numbers = expand(template, sound)
            .into_iter()
            .map(|(number, ..)| number);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(numbers(0), (100..=110).collect::<Vec<_>>());
    assert_eq!(numbers(1), [112, 113], "the hole is not numbered over");
    for set in &mpd.periods[1].adaptations {
        let goes_on = set.supplemental_property.iter().any(|property| {
            property.value == mpd.periods[0].id
                && property.schemeIdUri == "urn:mpeg:dash:period-continuity:2015"
        });
        assert!(goes_on);
    }
}

#[test]
fn s5_3_1_2_at_the_end_the_mpd_is_static() {
    let mut script = testing::reference_state();
    for (name, second) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
        script.close(name, second);
        script.evict(name, 103, 101);
    }
    script.end();
    for (name, document) in [("ended-number", BOTH[0]), ("ended-timeline", BOTH[1])] {
        let mpd = golden(name, &script, document);
        assert_eq!(mpd.mpdtype.as_deref(), Some("static"));
        assert_eq!(
            (mpd.minimumUpdatePeriod, mpd.timeShiftBufferDepth),
            (None, None)
        );
        assert!(mpd.UTCTiming.is_empty() && mpd.availabilityStartTime.is_none());
        assert_eq!(mpd.mediaPresentationDuration.unwrap().as_secs(), 22);
        let start = mpd.periods[0].start.unwrap();
        assert_eq!(start.as_secs(), 6, "what has left is not offered");
    }
}

#[test]
fn s5_3_3_sets_say_what_tracks_are() {
    let words = |name: &str, roles: &[Role]| TrackWords {
        name: Some(name.into()),
        roles: Some(roles.iter().copied().collect()),
        ..TrackWords::default()
    };
    let presentation = Presentation {
        uri_query: Some("a=$1&b=2".into()),
        captions: vec![Caption {
            instream_id: "CC1".into(),
            name: "English".into(),
            language: Some("en".into()),
            default: false,
        }],
        tracks: [
            ("v1".to_owned(), words("Main <1>", &[Role::Main])),
            (
                "ad".to_owned(),
                words("Described", &[Role::Description, Role::Alternate]),
            ),
        ]
        .into(),
        ..Presentation::default()
    };
    let mut text = header(Kind::Text, 1_000, "stpp.ttml.im1t");
    text.language = Some("de".into());
    let mut surround = header(Kind::Audio, 48_000, "ec-3");
    (surround.channels, surround.sample_rate) = (6, 48_000);
    surround.joint_objects = Some(16);
    surround.language = Some("en".into());
    let mut script = Script::presented(2, Some(500_000), presentation)
        .frame_rate(29_970)
        .video("v1")
        .audio("a1", "en")
        .audio("a2", "de")
        .audio("ad", "en")
        .track("a3", surround)
        .whole_segments()
        .track("t1", text);
    for name in ["v1", "a1", "a2", "ad", "a3", "t1"] {
        let second = script
            .channel
            .track(name)
            .unwrap()
            .1
            .info
            .header
            .timescale
            .get();
        script.segment(name, &[u64::from(second) / 2; 4]);
        script.rates(name, 1_000_000, 900_000);
    }
    let mpd = golden("sets", &script, Document::Number);
    assert_eq!(mpd.periods[0].adaptations.len(), 6);
    let text = &mpd.periods[0].adaptations[5];
    assert_eq!(text.mimeType.as_deref(), Some("application/mp4"));
    let template = text.representations[0].SegmentTemplate.as_ref().unwrap();
    assert_eq!(
        template.availabilityTimeOffset, None,
        "it comes in whole segments"
    );
}

#[test]
fn t32_segments_are_sequences_of_the_parts_of_the_playlist() {
    let script = testing::reference_state();
    let mpd = golden("sequence", &script, Document::Sequence);
    let sets = &mpd.periods[0].adaptations;
    assert_eq!(sets.len(), 4, "each twice");
    for (set, parts) in sets[..2].iter().zip(&sets[2..]) {
        let essential = &parts.essential_property[0];
        assert_eq!(essential.schemeIdUri, "urn:mpeg:dash:ssr:2023");
        assert_eq!(essential.value, set.id);
        assert_eq!(parts.representations.len(), set.representations.len());
        assert!(set.essential_property.is_empty());
    }
    let text = mpd::render(&script.channel, Document::Sequence);
    assert_eq!(text.matches(" k=\"4\"").count(), 3);
    assert_eq!(text.matches("/e7-s$Number$-$SubNumber$.m4s\"").count(), 3);
    assert!(text.contains("media=\"v1/e7-s$Number$-$SubNumber$.m4s\""));
}

#[test]
fn segments_that_are_not_divided_alike_are_no_sequences() {
    let mut script = testing::reference_state();
    script.close("a1", 24_000 * 2);
    script.segment("a1", &[16_000; 6]);
    let text = mpd::render(&script.channel, Document::Sequence);
    assert_eq!(text.matches("ssr:2023").count(), 1, "video alone");
}

#[test]
fn s5_10_2_splice_sections_are_events_of_their_period() {
    let mut script = testing::reference_state();
    let at = |ms: i64| testing::EPOCH + Micros(ms * 1_000);
    let mut out = Statement::new("break", at(204_000));
    out.splice = Some((EventRole::Out, vec![0xfc, 0x30].into()));
    out.planned = Some(Micros(30_000_000));
    let before = stamp(&script.channel, Document::Number);
    script.tell(out);
    assert_ne!(stamp(&script.channel, Document::Number), before);
    let mut back = Statement::new("break", at(204_000));
    back.end = Some(at(214_000));
    back.splice = Some((EventRole::In, vec![0xfc, 0x31].into()));
    script.tell(back);
    script.tell(Statement::new("operator", at(206_000)));
    let mpd = golden("events", &script, Document::Number);
    let stream = &mpd.periods[0].event_streams[0];
    assert_eq!(stream.schemeIdUri, "urn:scte:scte35:2014:xml+bin");
    let times: Vec<_> = stream
        .event
        .iter()
        .map(|event| event.presentationTime)
        .collect();
    assert_eq!(times, [Some(4_000), Some(14_000)]);
    assert_eq!(stream.event[0].duration, Some(10_000));
    // In two periods each event is in that which it begins in.
    for (name, second) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
        script.close(name, second);
        script.discontinuity(name, 0xb0);
        script.segment(name, &[second / 2; 4]);
    }
    let mut next = Statement::new("next", at(223_000));
    next.splice = Some((EventRole::Command, vec![0xfc].into()));
    script.tell(next);
    let mpd = parse(&mpd::render(&script.channel, Document::Timeline));
    let counts = mpd
        .periods
        .iter()
        .map(|period| period.event_streams[0].event.len());
    assert_eq!(counts.collect::<Vec<_>>(), [2, 1]);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Part,
    Close,
    Gap,
    Break,
    Evict,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        8 => Just(Step::Part),
        6 => Just(Step::Close),
        1 => Just(Step::Gap),
        1 => Just(Step::Break),
        2 => Just(Step::Evict),
    ];
    proptest::collection::vec((0..2usize, step), 1..80)
}

/// What of an MPD never changes while it is there.
#[derive(Debug, Default)]
struct Settled {
    starts: BTreeMap<String, u128>,
    offsets: BTreeMap<(String, String), u64>,
    headers: BTreeMap<(String, String), String>,
}

impl Settled {
    fn check(&mut self, mpd: &MPD) {
        let mut last = 0;
        for period in &mpd.periods {
            let id = period.id.clone().expect("every period has an id");
            let start = period.start.expect("and a start").as_micros();
            assert!(start >= last, "periods follow on each other");
            last = start;
            assert_eq!(*self.starts.entry(id.clone()).or_insert(start), start);
            for set in &period.adaptations {
                for representation in &set.representations {
                    let key = (id.clone(), representation.id.clone().unwrap());
                    let template = representation.SegmentTemplate.as_ref().unwrap();
                    let offset = template.presentationTimeOffset.unwrap();
                    assert_eq!(*self.offsets.entry(key.clone()).or_insert(offset), offset);
                    let header = template.initialization.clone().unwrap();
                    let known = self.headers.entry(key).or_insert_with(|| header.clone());
                    assert_eq!(*known, header, "one header a period");
                }
            }
        }
    }
}

/// Every listed segment with media stands in the timeline at its own time, and
/// nothing else does but the open one.
fn check_segments(script: &Script, mpd: &MPD) {
    for track in script.channel.tracks() {
        let mut told = BTreeMap::new();
        for period in &mpd.periods {
            let sets = period
                .adaptations
                .iter()
                .flat_map(|set| &set.representations);
            for one in sets.filter(|one| one.id.as_ref() == Some(&track.info.name)) {
                let template = one.SegmentTemplate.as_ref().unwrap();
                for (number, start, duration) in expand(template, track) {
                    told.insert(number, (start, duration));
                }
            }
        }
        for segment in track.window.listed() {
            let want = (segment.presented_ticks, segment.duration_ticks as i64);
            let found = told.remove(&segment.msn);
            if found.is_none() && is_unsettled(script, track, segment.msn) {
                continue;
            }
            assert_eq!(found, (!segment.gap).then_some(want), "{}", segment.msn);
        }
        let open = track.window.open().map(|open| open.msn);
        assert!(told.keys().all(|number| Some(*number) == open), "{told:?}");
    }
}

/// Whether a segment belongs to a stretch that is not shown yet.
fn is_unsettled(script: &Script, track: &Track, msn: u64) -> bool {
    let (index, _) = script.channel.track(&track.info.name).unwrap();
    let newest = script.channel.stretches().all().next_back().unwrap();
    let lane = newest.lane(index);
    !newest.settled && lane.is_some_and(|lane| lane.first_msn <= msn)
}

/// How many stretches have left the grid.
fn uneven(script: &Script) -> usize {
    let stretches = script.channel.stretches().all();
    stretches.filter(|stretch| !stretch.even).count()
}

/// An MPD but for what says which version it is.
fn content(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains("<PatchLocation"));
    let lines = lines.map(|line| match line.split_once(" publishTime=\"") {
        Some((before, rest)) => format!("{before}{}", rest.split_once('"').unwrap().1),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn d7_a_version_changes_with_its_content_and_periods_stay(steps in steps()) {
        check_versions(steps)?;
    }
}

/// A stretch that another cuts short before all tracks are in it is shown from
/// then on, which is another version.
#[test]
fn d7_a_stretch_that_is_cut_short_is_shown() {
    let mut steps = vec![(0, Step::Part); 7];
    steps.extend([
        (0, Step::Close),
        (0, Step::Gap),
        (1, Step::Close),
        (1, Step::Break),
        (1, Step::Gap),
        (1, Step::Part),
        (0, Step::Part),
    ]);
    check_versions(steps).expect("versions follow what is shown");
}

fn check_versions(steps: Vec<(usize, Step)>) -> Result<(), TestCaseError> {
    let mut script = Script::new(2, Some(500_000)).video("v").audio("a", "en");
    let tracks = [("v", 45_000), ("a", 24_000)];
    let mut settled = [Settled::default(), Settled::default()];
    let mut seen: [Option<(crate::media::stretch::Stamp, String)>; 2] = [None, None];
    let mut breaks = [0u64; 2];
    let mut timelines: Vec<String> = Vec::new();
    for (name, part) in tracks {
        script.segment(name, &[part; 4]);
    }
    for (which, step) in steps {
        let grid = uneven(&script);
        let (name, part) = tracks[which];
        let open = script.window(name).open().is_some();
        match step {
            Step::Part => script.part(name, part),
            Step::Close => script.close(name, part),
            Step::Gap if !open => script.gap_segment(name, 4 * part),
            // The tracks break in turn, as timelines make them do.
            Step::Break if !open && breaks[which] <= breaks[1 - which] => {
                breaks[which] += 1;
                script.discontinuity(name, 0xb0 + breaks[which]);
                script.segment(name, &[part; 4]);
            }
            Step::Evict => {
                let window = script.window(name);
                let first = window.listed_msn();
                if window.listed().len() > 2 {
                    script.evict(name, first + 1, first);
                }
            }
            Step::Gap | Step::Break => continue,
        }
        if !is_ready(&script.channel) {
            continue;
        }
        for (at, document) in BOTH.into_iter().enumerate() {
            let text = mpd::render(&script.channel, document);
            let stamp = stamp(&script.channel, document);
            if let Some((before, known)) = &seen[at] {
                prop_assert!(stamp.version >= before.version && stamp.at >= before.at);
                prop_assert_eq!(stamp.version == before.version, stamp.at == before.at);
                prop_assert_eq!(stamp.version == before.version, known == &text);
                // Once a stretch, when it leaves the grid, all are drawn anew.
                let same_grid = grid == uneven(&script);
                if stamp.version != before.version && document == Document::Timeline && same_grid {
                    prop_assert_ne!(content(known), content(&text), "{:?} {:?}", step, document);
                }
            }
            let mpd = parse(&text);
            settled[at].check(&mpd);
            if document == Document::Timeline {
                check_segments(&script, &mpd);
                for earlier in timelines.iter().rev().take(3) {
                    patches::check(earlier, &text);
                }
                timelines.push(text.clone());
            }
            seen[at] = Some((stamp, text));
        }
    }
    Ok(())
}
