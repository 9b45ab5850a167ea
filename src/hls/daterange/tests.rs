use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::hls::gzip::Deflater;
use crate::hls::gzip::tests::unpack;
use crate::hls::media::{MediaPlaylist, Version};
use crate::hls::reload::Skip;
use crate::hls::testing::{EPOCH, Script, golden, reference_state};
use crate::media::channel::TrackIndex;

/// A splice_null with its CRC.
const SECTION: &[u8] = &[
    0xfc, 0x30, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xf0, 0x00, 0x00, 0x00, 0x00,
    0x7a, 0x4f, 0xbf, 0xff,
];

const YES: Option<Skip> = Some(Skip::Segments);
const V2: Option<Skip> = Some(Skip::SegmentsAndDateRanges);

fn at(seconds: i64) -> Wall {
    EPOCH + Micros(seconds * 1_000_000)
}

fn seconds(seconds: i64) -> Option<Micros> {
    Some(Micros(seconds * 1_000_000))
}

fn render(script: &Script, track: u16) -> Version {
    MediaPlaylist::default().render(&script.channel, TrackIndex(track))
}

fn text(version: &Version, skip: Option<Skip>) -> String {
    String::from_utf8(version.plain(skip).to_vec()).unwrap()
}

fn lines_of(text: &str) -> Vec<&str> {
    let tag = "#EXT-X-DATERANGE:";
    text.lines().filter(|line| line.starts_with(tag)).collect()
}

fn out(id: &str, start: Wall) -> Statement {
    Statement {
        planned: seconds(30),
        splice: Some((Role::Out, Bytes::from_static(SECTION))),
        ..Statement::new(id, start)
    }
}

fn back(id: &str, start: Wall) -> Statement {
    Statement {
        duration: Some(Micros(28_400_000)),
        splice: Some((Role::In, Bytes::from_static(SECTION))),
        ..Statement::new(id, start)
    }
}

fn interstitial(id: &str, start: Wall) -> Statement {
    let mut statement = Statement {
        class: Some("com.apple.hls.interstitial".into()),
        ..Statement::new(id, start)
    };
    let list = Value::Text("ads/break1.json".into());
    statement.attributes.insert("X-ASSET-LIST".into(), list);
    let resume = Value::Number(0.0);
    statement
        .attributes
        .insert("X-RESUME-OFFSET".into(), resume);
    let cue = Value::Text("ONCE".into());
    statement.attributes.insert("CUE".into(), cue);
    statement
}

#[test]
fn s4_4_5_1_date_ranges_stand_before_the_segments_of_every_playlist() {
    let mut script = reference_state();
    script.tell(out("splice-7-1", at(215)));
    script.tell(interstitial("ad1", at(260)));
    script.tell(Statement {
        class: Some("programme".into()),
        until_next: true,
        ..Statement::new("news", at(100))
    });
    script.part("v1", 45_000);
    script.tell(back("splice-7-1", at(215)));
    script.tell(Statement {
        end: Some(at(220)),
        ..Statement::new("mark", at(219))
    });
    let (video, audio) = (render(&script, 0), render(&script, 2));
    golden("reference_v1_date_ranges", &text(&video, None));
    let want = text(&video, None);
    assert_eq!(lines_of(&text(&audio, None)), lines_of(&want));
    assert_eq!(lines_of(&text(&video, YES)), lines_of(&want));
    let zipped = video.gzip(None, &mut Deflater::new()).to_vec();
    assert_eq!(unpack(&zipped), want.as_bytes());
}

#[test]
fn s4_4_5_1_dates_are_those_of_the_segments() {
    let mut script = Script::new(2, Some(500_000)).video("v1");
    script.start_at("v1", 100, 30_030);
    for _ in 0..3 {
        script.segment("v1", &[45_000; 4]);
    }
    let begins = script.window("v1").segment(101).unwrap().wall;
    script.tell(Statement::new("a", begins));
    let text = text(&render(&script, 0), None);
    let date = date(begins);
    assert!(begins.0 % 1000 != 0, "a date that is rounded");
    assert!(text.contains(&format!("START-DATE=\"{date}\"")));
    assert!(text.contains(&format!("PROGRAM-DATE-TIME:{date}\n")));
}

#[test]
fn s6_2_5_1_old_date_ranges_are_left_out_and_recent_removals_named() {
    let mut script = reference_state();
    script.tell(out("old", at(215)));
    script.tell(interstitial("called-off", at(300)));
    script.tell(interstitial("soon-forgotten", at(300)));
    script.leave("soon-forgotten");
    for _ in 0..5 {
        script.segment("v1", &[45_000; 2]);
        script.segment("v1", &[45_000; 4]);
    }
    script.leave("called-off");
    script.tell(back("old", at(215)));
    script.tell(interstitial("new", at(400)));
    let version = render(&script, 0);
    let delta = text(&version, V2);
    golden("reference_v1_delta_v2", &delta);
    assert!(delta.contains("#EXT-X-VERSION:10\n"));
    assert!(delta.contains(",RECENTLY-REMOVED-DATERANGES=\"called-off\"\n"));
    assert_eq!(lines_of(&delta).len(), 2, "{delta}");
    let v1 = text(&version, YES);
    assert!(v1.contains("#EXT-X-VERSION:9\n") && !v1.contains("REMOVED"));
    assert_eq!(lines_of(&v1), lines_of(&text(&version, None)));
    let zipped = version.gzip(V2, &mut Deflater::new()).to_vec();
    assert_eq!(unpack(&zipped), delta.as_bytes());
}

#[test]
fn s4_4_5_2_the_list_of_removals_may_be_empty_and_is_there() {
    let delta = text(&render(&reference_state(), 0), V2);
    assert!(delta.contains(",RECENTLY-REMOVED-DATERANGES=\"\"\n"));
    assert!(delta.contains("#EXT-X-VERSION:10\n"));
    assert!(delta.contains("CAN-SKIP-DATERANGES=YES\n"));
}

#[test]
fn s6_2_5_1_after_the_end_all_date_ranges_are_there() {
    let mut script = reference_state();
    script.tell(out("old", at(215)));
    (0..10).for_each(|_| script.segment("v1", &[45_000; 4]));
    script.end();
    let version = render(&script, 0);
    assert_eq!(text(&version, V2), text(&version, None));
    assert_eq!(lines_of(&text(&version, V2)).len(), 1);
}

#[test]
fn lines_are_written_once_a_change_of_the_list() {
    let mut script = reference_state();
    for number in 0..200 {
        script.tell(out(&format!("e{number}"), at(215)));
    }
    let mut ranges = DateRanges::default();
    let first = ranges.piece(script.channel.events());
    script.part("v1", 45_000);
    let again = ranges.piece(script.channel.events());
    assert!(Rc::ptr_eq(&first, &again), "media does not draw them anew");
    script.leave("e7");
    let other = ranges.piece(script.channel.events());
    assert_eq!(
        lines_of(std::str::from_utf8(other.text()).unwrap()).len(),
        199
    );
}

#[test]
fn s6_2_5_1_a_leap_of_dates_leaves_out_nothing_that_a_copy_lacks() {
    let mut script = Script::new(1, Some(500_000)).video("v1");
    script.start_at("v1", 0, 0);
    (0..10).for_each(|_| script.segment("v1", &[45_000; 2]));
    let known = copy(&text(&render(&script, 0), None));
    script.tell(out("within-the-leap", at(9)));
    script.start_at("v1", 10, 60 * 90_000);
    (0..7).for_each(|_| script.segment("v1", &[45_000; 2]));
    let version = render(&script, 0);
    let delta = text(&version, V2);
    assert_eq!(bounds(&delta).1, 10, "it joins what there was before");
    let whole = copy(&text(&version, None));
    assert_eq!(merged(known, &delta), whole);
    assert_eq!(whole.len(), 1);
}

#[test]
fn s6_2_5_1_a_track_that_lags_behind_what_is_remembered_shows_the_whole() {
    let mut script = Script::new(1, Some(500_000)).video("v1").audio("a1", "en");
    script.tell(out("early", at(2)));
    script.tell(out("late", at(2)));
    for _ in 0..10 {
        script.segment("v1", &[45_000; 2]);
        script.segment("a1", &[24_000; 2]);
    }
    script.leave("early");
    assert!(render(&script, 1).applied(V2).is_some());
    (0..400).for_each(|_| script.segment("v1", &[45_000; 2]));
    script.forget();
    script.leave("late");
    let audio = render(&script, 1);
    assert_eq!((audio.applied(V2), audio.applied(YES)), (None, YES));
    assert_eq!(text(&audio, V2), text(&audio, None));
    let video = text(&render(&script, 0), V2);
    assert!(video.contains("DATERANGES=\"late\""), "{video}");
}

/// What a player knows: the lines of every id, in order.
type Copy = BTreeMap<String, Vec<String>>;

fn copy(text: &str) -> Copy {
    let mut copy = Copy::new();
    for line in lines_of(text) {
        let id = line.split('"').nth(1).unwrap().to_owned();
        copy.entry(id).or_default().push(line.to_owned());
    }
    copy
}

/// Number of the last segment of a playlist, and of the first one that a delta
/// of it lists.
fn bounds(text: &str) -> (u64, u64) {
    let number = |tag: &str| {
        let rest = text.split_once(tag).map_or("0", |(_, rest)| rest);
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let end = end.unwrap_or(rest.len());
        rest[..end].parse::<u64>().unwrap()
    };
    let first = number("MEDIA-SEQUENCE:") + number("SKIPPED-SEGMENTS=");
    let count = text.matches("#EXTINF").count() as u64;
    (first + count, first)
}

/// What a player makes of its copy and a delta update (section 6.3.7).
fn merged(mut known: Copy, delta: &str) -> Copy {
    let removed = delta.split_once("REMOVED-DATERANGES=\"").unwrap().1;
    let removed = removed.split_once('"').unwrap().0;
    for id in removed.split('\t') {
        known.remove(id);
    }
    for (id, lines) in copy(delta) {
        let own = known.entry(id).or_default();
        let new: Vec<_> = lines
            .into_iter()
            .filter(|line| !own.contains(line))
            .collect();
        own.extend(new);
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every copy that a delta update joins becomes the whole playlist by it,
    /// on every track, whichever of them lags.
    #[test]
    fn s6_2_5_1_a_delta_and_any_copy_it_joins_are_the_playlist(
        steps in prop::collection::vec((0..7u8, 0..6u8), 20..120),
    ) {
        let mut script = Script::new(1, Some(500_000)).video("v1").audio("a1", "en");
        let mut playlists: [MediaPlaylist; 2] = Default::default();
        let mut seen: [Vec<(u64, Copy)>; 2] = Default::default();
        let mut next = 0;
        for (what, which) in steps {
            let first = which.saturating_sub(3);
            match what {
                0 => {
                    script.tell(out(&format!("e{next}"), at(next)));
                    next += 1;
                }
                1 if script.channel.events().get(&format!("e{first}")).is_some() => {
                    script.leave(&format!("e{first}"));
                }
                2 => {
                    let id = format!("e{}", next - 1);
                    if let Some(event) = script.channel.events().get(&id)
                        && event.end().is_none()
                    {
                        let start = event.start();
                        script.tell(back(&id, start));
                    }
                }
                3 => script.segment("a1", &[24_000; 2]),
                // Dates leap.
                4 if let Some(last) = script.window("v1").last_whole() => {
                    let leap = i64::from(which) * 5 * 90_000;
                    let (msn, ticks) = (last.msn + 1, last.end_ticks() + leap);
                    script.start_at("v1", msn, ticks);
                }
                _ => script.segment("v1", &[45_000; 2]),
            }
            for (track, seen) in seen.iter_mut().enumerate() {
                let index = TrackIndex(track as u16);
                let version = playlists[track].render(&script.channel, index);
                let full = text(&version, None);
                let whole = copy(&full);
                if version.applied(V2).is_some() {
                    let delta = text(&version, V2);
                    let (_, from) = bounds(&delta);
                    for (end, known) in seen.iter().filter(|(end, _)| *end >= from) {
                        let got = merged(known.clone(), &delta);
                        prop_assert_eq!(&got, &whole, "copy up to {}: {}", end, delta);
                    }
                }
                seen.push((bounds(&full).0, whole));
            }
        }
    }
}
