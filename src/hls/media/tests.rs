//! Golden playlists, a foreign reader as oracle, and a test a clause.

use proptest::prelude::*;

mod delta;
mod iframes;

use super::lines::{GRID, printed_date};
use super::*;
use crate::hls::gzip::tests::unpack;
use crate::hls::multivariant;
use crate::hls::testing::{self, Facts, Script, golden, header};
use crate::media::channel::State;
use crate::media::cmaf::Kind;
use crate::media::policy::PartAddressing;
use crate::media::presentation::{Definition, Presentation};
use crate::media::window::HeaderObject;
use crate::time::{Wall, rescale_floor};

/// The playlist from scratch, checked against the window by the foreign reader.
fn draw(script: &Script, name: &str) -> String {
    let version = MediaPlaylist::new(List::Media).render(&script.channel, script.index(name));
    let text = String::from_utf8(version.plain(None).to_vec()).unwrap();
    assert_eq!(
        unpack(&version.gzip(None, &mut Deflater::new()).to_vec()),
        text.as_bytes()
    );
    agree(script, name, &Facts::read(&text));
    delta::check(&version);
    text
}

/// Compares what the foreign reader saw with the window itself.
fn agree(script: &Script, name: &str, facts: &Facts) {
    let (window, targets) = (script.window(name), script.channel.targets().unwrap());
    let part_us = targets.part_us.filter(|_| window.lists_parts());
    let listed: Vec<_> = window.listed().collect();
    assert_eq!(facts.target, u64::from(targets.segment_s));
    assert_eq!(facts.part_target, part_us.map(|us| f64::from(us) / 1e6));
    assert_eq!(
        facts.part_hold_back,
        targets.part_us.map(|us| 3.0 * f64::from(us) / 1e6)
    );
    assert!(facts.blocks && facts.skips);
    assert_eq!(facts.segments.len(), listed.len());
    if let Some(first) = listed.first() {
        assert_eq!(facts.msn, first.msn);
    }
    let scale = script.channel.track(name).unwrap().1.info.header.timescale;
    let close = |printed: f64, ticks: u64| (printed - scale.seconds(ticks as i64)).abs() < 2e-5;
    let open = window.open().filter(|_| part_us.is_some());
    let told = facts.segments.iter().chain(open.map(|_| &facts.open));
    for (told, segment) in told.zip(listed.iter().copied().chain(open)) {
        if open.is_none_or(|open| open.msn != segment.msn) {
            assert_eq!(told.uri, format!("{name}/e7-s{}.m4s", segment.msn));
            assert!(close(told.duration, segment.duration_ticks), "{told:?}");
        }
        assert_eq!(
            told.map,
            format!("{name}/e7-h{:016x}.mp4", segment.header.id)
        );
        assert_eq!((told.gap, told.dates), (segment.gap, 1));
        assert_eq!(told.discontinuity, segment.discontinuity);
        assert!(told.parts.is_empty() || told.parts.len() == segment.parts.len());
        let mut offset = 0;
        for ((uri, duration, independent, gap), part) in told.parts.iter().zip(&segment.parts) {
            let len = part.body.len();
            let place = match targets.part_addressing {
                PartAddressing::ByteRange if !part.gap => {
                    format!("s{}.m4s#{offset}+{len}", segment.msn)
                }
                _ => format!("p{}.m4s", part.number),
            };
            offset += len;
            assert_eq!(*uri, format!("{name}/e7-{place}"));
            assert_eq!((*independent, *gap), (part.independent, part.gap));
            assert!(close(*duration, part.duration_ticks), "{told:?}");
        }
    }
    let ended = script.channel.state() == State::Ended;
    assert_eq!(facts.ended, ended);
    let hint = match (targets.part_addressing, window.open()) {
        (PartAddressing::Url, _) => format!("p{}.m4s", window.next_part()),
        (PartAddressing::ByteRange, Some(open)) => format!("s{}.m4s#{}", open.msn, open.bytes()),
        (PartAddressing::ByteRange, None) => {
            let next = window.last_whole().map_or(0, |whole| whole.msn + 1);
            format!("s{next}.m4s#0")
        }
    };
    let hint = format!("{name}/e7-{hint}");
    let hinted = !ended && part_us.is_some() && window.edge().is_some();
    assert_eq!(facts.hints, if hinted { vec![hint] } else { vec![] });
    let map_hint = window.next_header().filter(|_| hinted);
    let map_hint = map_hint.map(|header| format!("{name}/e7-h{:016x}.mp4", header.id));
    assert_eq!(facts.map_hints, Vec::from_iter(map_hint));
}

#[test]
fn s4_4_the_reference_state_reads_as_the_reference_says() {
    let script = testing::reference_state();
    golden("reference_v1", &draw(&script, "v1"));
    golden("reference_a1", &draw(&script, "a1"));
}

#[test]
fn s4_4_4_9_parts_are_ranges_of_their_segments_where_that_is_chosen() {
    let mut script = testing::addressed_reference_state(PartAddressing::ByteRange);
    golden("ranges_v1", &draw(&script, "v1"));
    golden("ranges_a1", &draw(&script, "a1"));
    // The last part: the start of the next segment is hinted.
    script.part("v1", 45_000);
    script.close("v1", 45_000);
    let facts = Facts::read(&draw(&script, "v1"));
    assert_eq!(facts.hints, ["v1/e7-s111.m4s#0"]);
    // A gap has no bytes; what follows it begins where it stands.
    script.part("v1", 45_000);
    script.gap_part("v1", 45_000);
    script.part("v1", 45_000);
    let facts = Facts::read(&draw(&script, "v1"));
    let parts: Vec<_> = facts.open.parts.iter().map(|part| &part.0[..]).collect();
    let gap = &script.window("v1").open().unwrap().parts[1];
    let gap = format!("v1/e7-p{}.m4s", gap.number);
    assert_eq!(parts, ["v1/e7-s111.m4s#0+8", &gap, "v1/e7-s111.m4s#8+8"]);
    assert_eq!(facts.hints, ["v1/e7-s111.m4s#16"]);
}

#[test]
fn s4_4_a_channel_of_whole_segments_has_no_parts_to_show() {
    let mut script = Script::new(4, None).video("v1").audio("a1", "en");
    for _ in 0..6 {
        script.segment("v1", &[360_000]);
        script.segment("a1", &[191_488]);
    }
    script.part("v1", 90_000);
    golden("whole_segments", &draw(&script, "v1"));
}

#[test]
fn s4_4_3_an_ended_playlist_says_so() {
    let mut script = testing::reference_state();
    script.close("v1", 45_000);
    script.end();
    golden("ended", &draw(&script, "v1"));
}

#[test]
fn s4_4_an_empty_playlist_is_a_playlist() {
    let script = Script::new(2, Some(500_000)).video("v1");
    let facts = Facts::read(&draw(&script, "v1"));
    assert_eq!(
        (facts.msn, facts.segments.len(), facts.hints.len()),
        (0, 0, 0)
    );
}

#[test]
fn s4_4_4_9_breaks_and_maps_stand_in_front_of_the_first_part() {
    let mut script = Script::new(2, Some(1_000_000)).video("v1");
    for _ in 0..5 {
        script.segment("v1", &[90_000; 2]);
    }
    script.discontinuity("v1", 0xb1);
    script.segment("v1", &[90_000; 2]);
    script.discontinuity("v1", 0xb2);
    script.part("v1", 90_000);
    golden("discontinuities", &draw(&script, "v1"));
}

#[test]
fn sb_1_a_header_that_the_next_part_needs_is_hinted_and_there() {
    let mut script = testing::reference_state();
    let hints = |script: &Script| Facts::read(&draw(script, "v1")).map_hints;
    assert_eq!(hints(&script), Vec::<String>::new());
    script.expect_header("v1", 0xb1);
    assert_eq!(hints(&script), ["v1/e7-h00000000000000b1.mp4"]);
    assert!(
        script.window("v1").header(0xb1).is_some(),
        "it can be fetched"
    );
    assert!(script.window("v1").header(0xa0).is_some());
    script.close("v1", 45_000);
    assert_eq!(
        hints(&script).len(),
        1,
        "the segment under way needs the old one"
    );
    script.discontinuity("v1", 0xb1);
    script.part("v1", 45_000);
    assert_eq!(hints(&script), Vec::<String>::new());
    // An encoder that returns to the header in force needs no hint.
    script.expect_header("v1", 0xb2);
    script.expect_header("v1", 0xb1);
    assert_eq!(hints(&script), Vec::<String>::new());
}

#[test]
fn s6_2_2_discontinuities_that_leave_are_counted() {
    let mut script = Script::new(1, Some(500_000)).video("v1");
    let mut playlist = MediaPlaylist::new(List::Media);
    let mut numbers = Vec::new();
    for turn in 0..12u64 {
        if turn % 3 == 2 {
            script.discontinuity("v1", turn);
        }
        script.segment("v1", &[45_000; 2]);
        script.evict("v1", turn.saturating_sub(5), turn.saturating_sub(7));
        let text = playlist
            .render(&script.channel, script.index("v1"))
            .plain(None)
            .to_vec();
        let facts = Facts::read(std::str::from_utf8(&text).unwrap());
        agree(&script, "v1", &facts);
        let base = script.window("v1").discontinuity_base();
        assert_eq!(facts.discontinuity_sequence, base);
        numbers.push(base);
    }
    assert_eq!(numbers, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2]);
}

#[test]
fn s4_4_3_8_server_control_is_the_same_in_all_playlists() {
    let script = testing::reference_state();
    let control = |name| {
        let text = draw(&script, name);
        let line = text
            .lines()
            .find(|line| line.starts_with("#EXT-X-SERVER-CONTROL"));
        line.unwrap().to_owned()
    };
    let want = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.50000,\
                CAN-SKIP-UNTIL=12.00000,CAN-SKIP-DATERANGES=YES";
    assert_eq!(["v1", "v2", "a1"].map(control), [want; 3]);
    let script = with_text();
    let control = |name| {
        let text = draw(&script, name);
        let line = text
            .lines()
            .find(|line| line.starts_with("#EXT-X-SERVER-CONTROL"));
        line.unwrap().to_owned()
    };
    assert_eq!(control("t1"), control("v1"), "without parts too");
}

/// The reference state with text in whole segments, one behind.
fn with_text() -> Script {
    let mut text = header(Kind::Text, 1000, "wvtt");
    text.language = Some("en".into());
    let mut script = testing::reference_state()
        .whole_segments()
        .track("t1", text);
    script.start_at("t1", 100, 200_000);
    script.discontinuities_before("t1", 3);
    (0..10).for_each(|_| script.segment("t1", &[2_000]));
    script
}

#[test]
fn s4_4_3_7_a_track_of_whole_segments_has_no_parts_beside_those_that_do() {
    let script = with_text();
    golden("reference_t1", &draw(&script, "t1"));
    let reports = |name: &str, of: &str| {
        let facts = Facts::read(&draw(&script, name));
        let report = facts.reports.into_iter().find(|(uri, ..)| uri == of);
        report.expect("every list reports of all others")
    };
    assert_eq!(reports("v1", "t1.m3u8"), ("t1.m3u8".into(), 109, None));
    assert_eq!(reports("t1", "a1.m3u8"), ("a1.m3u8".into(), 110, Some(1)));
}

#[test]
fn s4_4_2_3_variables_of_the_operator_are_defined_and_used() {
    let presentation = Presentation {
        definitions: vec![Definition::Query {
            name: "token".into(),
        }],
        uri_query: Some("token={$token}".into()),
        ..Presentation::default()
    };
    let mut script = Script::presented(2, Some(500_000), presentation)
        .video("v1")
        .audio("a1", "en");
    for _ in 0..2 {
        script.segment("v1", &[45_000; 4]);
        script.segment("a1", &[24_000; 4]);
    }
    let version = MediaPlaylist::new(List::Media).render(&script.channel, script.index("v1"));
    let text = String::from_utf8(version.plain(None).to_vec()).unwrap();
    golden("variables", &text);
    let uris = text.matches("URI=\"").count() + text.matches("\nv1/").count();
    assert_eq!(text.matches("?token={$token}").count(), uris);
}

#[test]
fn s4_4_4_6_every_segment_is_dated() {
    let mut script = testing::reference_state();
    let dates = |script: &Script| {
        let text = draw(script, "v1");
        let dates = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
        dates.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = dates(&script);
    assert_eq!(
        (before.len(), &*before[0]),
        (11, "2026-01-01T00:03:20.000Z")
    );
    script.evict("v1", 103, 100);
    assert_eq!(dates(&script), before[3..]);
}

#[test]
fn s4_4_4_7_missing_media_is_listed_as_a_gap() {
    let mut script = Script::new(2, Some(1_000_000)).video("v1");
    script.segment("v1", &[90_000; 2]);
    script.gap_segment("v1", 180_000);
    script.part("v1", 90_000);
    script.gap_part("v1", 90_000);
    golden("gaps", &draw(&script, "v1"));
}

#[test]
fn s4_4_4_9_part_durations_do_not_exceed_the_target() {
    // A target that its parts meet exactly, one between two printed numbers,
    // and a fault further up that must not show.
    for (part_us, ticks) in [
        (333_340, 30_000),
        (333_670, 30_030),
        (200_000, 18_000),
        (100_000, 9001),
    ] {
        let mut script = Script::new(2, Some(part_us)).video("v1");
        for _ in 0..40 {
            script.part("v1", ticks);
        }
        let text = String::from_utf8(
            MediaPlaylist::new(List::Media)
                .render(&script.channel, TrackIndex(0))
                .plain(None)
                .to_vec(),
        );
        let facts = Facts::read(&text.unwrap());
        assert_eq!(facts.open.parts.len(), 40);
        for (_, duration, ..) in facts.open.parts {
            assert!(
                duration <= facts.part_target.unwrap(),
                "{duration} of {part_us} us"
            );
        }
    }
}

#[test]
fn s4_4_4_9_part_durations_add_up_to_their_segment() {
    let mut script = Script::new(2, Some(334_000)).video("v1").audio("a1", "en");
    for _ in 0..4 {
        script.segment("v1", &[30_030, 30_030, 29_999, 30_001, 30_030, 30_000]);
        script.segment("a1", &[15_360, 15_360, 16_000, 15_360, 15_360, 14_336]);
    }
    let in_units = |seconds: f64| (seconds * 1e5).round() as u64;
    for name in ["v1", "a1"] {
        let facts = Facts::read(&draw(&script, name));
        let mut total = 0;
        for segment in &facts.segments {
            let parts: u64 = segment.parts.iter().map(|part| in_units(part.1)).sum();
            assert!(
                segment.parts.is_empty() || parts == in_units(segment.duration),
                "{segment:?}"
            );
            total += in_units(segment.duration);
        }
        let track = script.channel.track(name).unwrap().1;
        let end_ticks = track.window.end_ticks().unwrap();
        let end = rescale_floor(end_ticks, track.info.header.timescale.get(), GRID);
        assert_eq!(total, end as u64, "no drift over a run of segments");
    }
}

#[test]
fn s4_4_5_3_the_hint_names_the_part_that_is_listed_next() {
    let mut script = Script::new(2, Some(500_000)).video("v1");
    script.part("v1", 45_000);
    for turn in 1..20 {
        let hinted = Facts::read(&draw(&script, "v1")).hints;
        if turn % 4 == 3 {
            script.close("v1", 45_000)
        } else {
            script.part("v1", 45_000)
        }
        let facts = Facts::read(&draw(&script, "v1"));
        let mut newest = facts.open.parts;
        if newest.is_empty() {
            newest = facts.segments.last().unwrap().parts.clone();
        }
        assert_eq!(hinted, [newest.last().unwrap().0.clone()]);
    }
    script.end();
    assert_eq!(Facts::read(&draw(&script, "v1")).hints.len(), 0);
}

#[test]
fn s4_4_5_4_reports_name_the_uris_of_the_multivariant_playlist() {
    let mut script = testing::reference_state();
    script.part("a1", 24_000);
    let listed = multivariant::render(&script.channel);
    for name in ["v1", "v2", "a1"] {
        let facts = Facts::read(&draw(&script, name));
        assert_eq!(facts.reports.len(), 2);
        for (uri, msn, part) in facts.reports {
            let part_of_a1 = uri == "a1.m3u8";
            assert_ne!(uri, format!("{name}.m3u8"));
            assert!(
                listed.contains(&format!("\n{uri}\n")) || listed.contains(&format!("\"{uri}\""))
            );
            assert_eq!((msn, part), (110, Some(if part_of_a1 { 2 } else { 1 })));
        }
    }
}

#[test]
fn s6_2_2_parts_leave_parent_by_parent_after_three_targets() {
    let mut script = testing::reference_state();
    let with_parts = |script: &Script| {
        let facts = Facts::read(&draw(script, "v1"));
        let mut with_parts = Vec::new();
        for (msn, segment) in (facts.msn..).zip(&facts.segments) {
            if !segment.parts.is_empty() {
                with_parts.push(msn);
            }
        }
        with_parts
    };
    assert_eq!(with_parts(&script), [107, 108, 109]);
    script.part("v1", 45_000);
    assert_eq!(with_parts(&script), [107, 108, 109]);
    script.close("v1", 45_000);
    assert_eq!(
        with_parts(&script),
        [108, 109, 110],
        "107 ends six seconds from the end"
    );
}

#[test]
fn s6_2_1_a_known_segment_keeps_uri_duration_and_date() {
    let mut script = Script::new(1, Some(334_000)).video("v1");
    let mut known = std::collections::BTreeMap::new();
    for turn in 0..60u64 {
        script.segment("v1", &[30_030, 30_030, 30_001]);
        script.evict("v1", turn.saturating_sub(8), turn.saturating_sub(12));
        let facts = Facts::read(&draw(&script, "v1"));
        for (msn, segment) in (facts.msn..).zip(facts.segments) {
            let fact = (segment.uri, segment.duration.to_bits(), segment.dates);
            assert_eq!(known.entry(msn).or_insert_with(|| fact.clone()), &fact);
        }
    }
}

#[test]
fn a_part_costs_the_same_in_a_window_of_a_day() {
    let mut script = Script::new(2, Some(500_000)).video("v1");
    let mut playlist = MediaPlaylist::new(List::Media);
    let render = |playlist: &mut MediaPlaylist, script: &Script| {
        let before = playlist.segments_rendered();
        let version = playlist.render(&script.channel, TrackIndex(0));
        (playlist.segments_rendered() - before, version)
    };
    let mut most = 0;
    for turn in 0..43_200u64 {
        script.segment("v1", &[45_000; 4]);
        if turn % 1000 == 500 {
            playlist.render(&script.channel, TrackIndex(0));
            script.part("v1", 45_000);
            let (texts, version) = render(&mut playlist, &script);
            most = most.max(texts);
            assert!(version.whole.head.text().len() + version.whole.tail.text().len() < 4096);
            delta::check_size(&version);
            script.segment("v1", &[45_000; 3]);
        }
    }
    assert_eq!(most, 4, "three whole segments with parts and the open one");
    let (_, version) = render(&mut playlist, &script);
    assert!(version.plain(None).pieces().len() < 43_200 / 64 + 8);
    assert_eq!(
        version.plain(None).to_vec(),
        draw(&script, "v1").into_bytes()
    );
}

/// One step of a channel's life, as a generator picks it.
#[derive(Clone, Debug)]
enum Step {
    Part(u64),
    Close(u64),
    GapPart(u64),
    GapSegment,
    Break,
    Evict(u64, u64),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (20_000..45_000u64).prop_map(Step::Part),
        6 => (1..45_000u64).prop_map(Step::Close),
        1 => (20_000..45_000u64).prop_map(Step::GapPart),
        1 => Just(Step::GapSegment),
        1 => Just(Step::Break),
        2 => (1..90u64, 0..9u64).prop_map(|(listed, kept)| Step::Evict(listed, kept)),
        1 => Just(Step::End),
    ]
}

fn take(script: &mut Script, step: &Step) {
    match *step {
        Step::Part(ticks) => script.part("v1", ticks),
        Step::Close(ticks) => script.close("v1", ticks),
        Step::GapPart(ticks) => script.gap_part("v1", ticks),
        Step::GapSegment if script.window("v1").open().is_none() => {
            script.gap_segment("v1", 90_000);
        }
        Step::Break => script.discontinuity("v1", script.channel.seq),
        Step::Evict(listed, kept) => {
            let Some(newest) = script.window("v1").last_whole() else {
                return;
            };
            let listed_from = (newest.msn + 1).saturating_sub(listed);
            script.evict("v1", listed_from, listed_from.saturating_sub(kept));
        }
        Step::GapSegment | Step::End => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_playlist_drawn_step_by_step_is_the_one_drawn_from_scratch(
        steps in prop::collection::vec(step(), 1..400),
        skip in 1..5usize,
    ) {
        let mut script = Script::new(1, Some(500_000)).video("v1");
        let (mut playlist, mut deflater) = (MediaPlaylist::new(List::Media), Deflater::new());
        for (turn, step) in steps.iter().enumerate() {
            take(&mut script, step);
            if turn % skip == 0 {
                let version = playlist.render(&script.channel, TrackIndex(0));
                let text = version.plain(None).to_vec();
                let scratch = MediaPlaylist::new(List::Media).render(&script.channel, TrackIndex(0));
                prop_assert_eq!(&text, &scratch.plain(None).to_vec());
                prop_assert_eq!(unpack(&version.gzip(None, &mut deflater).to_vec()), text);
                delta::check(&version);
            }
        }
        if matches!(steps.last(), Some(Step::End)) {
            script.end();
        }
        draw(&script, "v1");
    }
}

#[test]
fn s4_4_4_6_no_track_seems_later_against_the_video_than_it_is() {
    let mut video = segment_of(Kind::Video);
    let mut audio = segment_of(Kind::Audio);
    for (us, video_ms, audio_ms) in [
        (0, 0, -1),
        (1, 1, 0),
        (999, 1, 0),
        (1000, 1, 0),
        (1001, 2, 1),
    ] {
        (video.wall, audio.wall) = (Wall(us), Wall(us));
        assert_eq!(printed_date(&video), Wall(video_ms * 1000), "{us} us");
        assert_eq!(printed_date(&audio), Wall(audio_ms * 1000), "{us} us");
    }
}

fn segment_of(kind: Kind) -> Segment {
    Segment {
        msn: 0,
        start_ticks: 0,
        presented_ticks: 0,
        duration_ticks: 1,
        wall: Wall(0),
        discontinuity: false,
        discontinuity_number: 0,
        header: Arc::new(HeaderObject {
            id: 0,
            track: header(kind, 1000, "avc1.64001f"),
        }),
        gap: false,
        parts: Vec::new(),
    }
}
