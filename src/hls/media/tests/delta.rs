//! Delta updates (sections 4.4.5.2 and 6.2.5.1).

use super::*;
use crate::hls::reload::Skip;

const YES: Option<Skip> = Some(Skip::Segments);

fn text(rope: Rope) -> String {
    String::from_utf8(rope.to_vec()).expect("playlists are UTF-8")
}

fn delta_of(version: &Version) -> Option<String> {
    version.applied(YES).map(|_| text(version.plain(YES)))
}

fn render(script: &Script) -> Version {
    MediaPlaylist::new(List::Media).render(&script.channel, TrackIndex(0))
}

/// The lines of a playlist up to its first segment, which begins with one of
/// the tags that apply to it.
fn preamble(text: &str) -> Vec<&str> {
    let of_segment = |line: &&str| {
        let tags = ["#EXT-X-MAP", "#EXT-X-DISCONTINUITY\n", "#EXT-X-PROGRAM"];
        tags.iter().any(|tag| format!("{line}\n").starts_with(tag))
    };
    text.lines().take_while(|line| !of_segment(line)).collect()
}

/// Durations of all whole segments, in seconds.
fn durations(text: &str) -> Vec<f64> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:"));
    lines
        .map(|line| line.trim_end_matches(',').parse().expect("a duration"))
        .collect()
}

/// What a delta update and its version must be to each other.
#[track_caller]
pub(super) fn check(version: &Version) {
    let full = text(version.plain(None));
    let Some(delta) = delta_of(version) else {
        assert_eq!(
            text(version.plain(YES)),
            full,
            "without a delta all is sent"
        );
        return;
    };
    let zipped = version.gzip(YES, &mut Deflater::new()).to_vec();
    assert_eq!(unpack(&zipped), delta.as_bytes());
    assert!(!full.contains("#EXT-X-ENDLIST"));

    let (head, skip) = (preamble(&full), preamble(&delta));
    let (skip, own) = skip.split_last().expect("a head");
    assert_eq!(own[1], "#EXT-X-VERSION:9");
    assert_eq!((own[0], &own[2..]), (head[0], &head[2..]));
    let skipped = skip.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=");
    let skipped: usize = skipped
        .and_then(|count| count.parse().ok())
        .expect("a SKIP");
    assert!(skipped > 0);

    let (_, kept) = delta.split_once(skip).expect("just seen");
    assert!(
        full.ends_with(&kept[1..]),
        "kept segments are the same text"
    );
    let (all, left) = (durations(&full), durations(&delta));
    assert_eq!(all.len() - skipped, left.len());
    let boundary = own[3]
        .split_once("CAN-SKIP-UNTIL=")
        .expect("it is offered")
        .1
        .trim_end_matches(",CAN-SKIP-DATERANGES=YES");
    let boundary: f64 = boundary.parse().expect("seconds");
    let slack = 1e-5 * left.len() as f64;
    assert!(
        left.iter().sum::<f64>() > boundary - slack,
        "nothing inside is skipped"
    );
    let inner: f64 = left.iter().skip(1).sum();
    assert!(inner <= boundary + slack, "all outside is skipped");
}

/// However long the list, a delta update of it is short.
pub(super) fn check_size(version: &Version) {
    if let Some(delta) = delta_of(version) {
        assert!(delta.len() < 6000, "{}", delta.len());
    }
}

#[test]
fn s4_4_5_2_the_reference_state_skips_what_lies_behind_the_boundary() {
    let version = render(&testing::reference_state());
    golden("reference_v1_delta", &delta_of(&version).expect("a delta"));
}

#[test]
fn s6_2_5_1_nothing_old_enough_is_a_whole_playlist() {
    let mut script = Script::new(1, Some(500_000)).video("v1");
    for whole in 0..10 {
        assert_eq!(
            delta_of(&render(&script)).is_some(),
            whole > 7,
            "{whole} whole"
        );
        script.segment("v1", &[45_000; 2]);
    }
}

#[test]
fn s6_2_5_1_after_the_end_the_directive_is_ignored() {
    let mut script = testing::reference_state();
    script.end();
    let version = render(&script);
    assert_eq!(delta_of(&version), None);
    assert_eq!(text(version.plain(YES)), draw(&script, "v1"));
}

#[test]
fn s4_4_5_2_a_break_in_front_of_the_first_kept_segment_is_kept() {
    let mut script = Script::new(1, Some(500_000)).video("v1");
    for msn in 0..20 {
        if msn == 13 {
            script.discontinuity("v1", 0xb1);
        }
        script.segment("v1", &[45_000; 2]);
    }
    let delta = delta_of(&render(&script)).expect("a delta");
    let after = delta
        .split_once("SKIPPED-SEGMENTS=13\n")
        .expect("13 are skipped")
        .1;
    assert!(
        after.starts_with("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:"),
        "{after}"
    );
}

#[test]
fn s6_2_5_1_a_delta_of_a_day_is_as_short_as_one_of_a_minute() {
    let mut script = Script::new(2, Some(500_000)).video("v1");
    let mut playlist = MediaPlaylist::new(List::Media);
    let mut sizes = Vec::new();
    for turn in 0..43_200 {
        script.segment("v1", &[45_000; 4]);
        if turn % 10_800 == 100 {
            let version = playlist.render(&script.channel, TrackIndex(0));
            sizes.push(delta_of(&version).expect("a delta").len());
        }
    }
    let digits = 8;
    let names = 40;
    assert!(
        sizes
            .iter()
            .all(|size| size.abs_diff(sizes[0]) < digits * names),
        "{sizes:?}"
    );
}
