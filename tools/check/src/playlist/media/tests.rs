use super::*;
use crate::limits;

const GOLDEN: &str = include_str!("../../../../../fixtures/golden/hls/reference_v1.m3u8");

fn read(text: &str) -> Media {
    Media::parse("http://h/p/v1.m3u8?t=7", text)
}

fn whats(text: &str) -> Vec<&'static str> {
    read(text).faults.iter().map(|fault| fault.what).collect()
}

#[test]
fn the_golden_playlist_reads_without_a_fault() {
    let list = read(GOLDEN);
    assert_eq!(
        list.faults.iter().collect::<Vec<_>>(),
        [] as [&crate::playlist::Fault; 0]
    );
    assert_eq!(
        (list.media_sequence, list.full(), list.next()),
        (100, Some(109), (110, 2))
    );
    assert_eq!(list.newest(), Some((110, Some(1))));
    assert_eq!(list.needs.version, 6);
    assert_eq!(list.behind_us(107), 5_000_000);
    assert_eq!(
        list.hint("PART").map(|hint| hint.is_before_part),
        Some(false)
    );
    assert_eq!(list.reports.len(), 2);
}

/// The table of section 6.2.5.2: edge (110, 1), four parts a segment.
#[test]
fn positions_are_held_or_not() {
    let list = read(GOLDEN);
    let table = [
        (90, None, true),
        (109, None, true),
        (109, Some(3), true),
        (109, Some(4), true),
        (110, None, false),
        (110, Some(1), true),
        (110, Some(2), false),
        (110, Some(7), false),
        (111, Some(0), false),
    ];
    for (msn, part, holds) in table {
        assert_eq!(list.holds(msn, part), holds, "{msn} {part:?}");
    }
}

#[test]
fn ranges_go_on_where_the_last_one_ended() {
    let list = read(
        "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n#EXT-X-BYTERANGE:10@5\na\n\
         #EXTINF:2,\n#EXT-X-BYTERANGE:7\na\n#EXT-X-PART:DURATION=1,URI=\"b\",BYTERANGE=\"3\"\n\
         #EXT-X-PART:DURATION=1,URI=\"b\",BYTERANGE=\"4\"\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"b\",BYTERANGE-START=7\n",
    );
    let range = |start, len| Some(Range { start, len });
    assert_eq!(list.segments[1].range, range(15, Some(7)));
    assert_eq!(list.open.parts[1].range, range(3, Some(4)));
    assert_eq!(list.hints[0].range, range(7, None));
    assert_eq!(list.faults.iter().count(), 0);
}

#[test]
fn discontinuities_are_counted_from_the_sequence() {
    let list = read(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXTINF:2,\na\n\
         #EXT-X-DISCONTINUITY\n#EXTINF:2,\nb\n#EXT-X-DISCONTINUITY\n\
         #EXT-X-PART:DURATION=1,URI=\"c\"\n",
    );
    let numbers: Vec<_> = list.all().map(|segment| segment.discontinuity).collect();
    assert_eq!(numbers, [3, 4, 5]);
}

#[test]
fn variables_are_replaced() {
    let list = read(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-DEFINE:NAME=\"n\",VALUE=\"x\"\n\
         #EXT-X-DEFINE:QUERYPARAM=\"t\"\n#EXTINF:2,\n{$n}/{$t}.m4s\n",
    );
    assert_eq!(list.segments[0].uri, "x/7.m4s");
    assert_eq!(list.needs.version, 11);
}

#[test]
fn each_slip_is_told_once() {
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n";
    let table = [
        ("#EXTINF:2,\n", "the last EXTINF has no URI behind it"),
        ("a\n", "a segment has no EXTINF"),
        ("#EXTINF:2\na\n", "EXTINF has no comma behind its duration"),
        ("#EXTINF:2e1,\na\n", "an EXTINF is no decimal"),
        (
            "#EXT-X-TARGETDURATION:2\n",
            "a tag stands twice that stands once",
        ),
        (
            "#EXTINF:2,\na\n#EXT-X-MEDIA-SEQUENCE:7\n",
            "a tag stands behind the first segment, part or EXT-X-SKIP",
        ),
        (
            "#EXTINF:2,\na\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n",
            "EXT-X-SKIP stands behind a segment",
        ),
        (
            "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY-SEQUENCE:7\n",
            "the discontinuity sequence stands behind a discontinuity",
        ),
        (
            "#EXT-X-PROGRAM-DATE-TIME:yesterday\n",
            "a date is not ISO 8601",
        ),
        (
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00\n",
            "a date names no time zone",
        ),
        (
            "#EXT-X-PART:DURATION=1,URI=\"a\"\n#EXT-X-MAP:URI=\"m\"\n",
            "a tag of a segment stands behind its first part",
        ),
        (
            "#EXT-X-PART:DURATION=1,URI=\"a\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n",
            "a tag of a segment stands behind its first part",
        ),
        (
            "#EXT-X-PART:DURATION=1\n",
            "a required attribute is missing",
        ),
        (
            "#EXT-X-PART:DURATION=1,URI=a\n",
            "an attribute is not of its type",
        ),
        (
            "#EXT-X-PART:DURATION=-1,URI=\"a\"\n",
            "an attribute is not of its type",
        ),
        (
            "#EXT-X-STREAM-INF:BANDWIDTH=1\n",
            "a tag of multivariant playlists is in a media playlist",
        ),
        (
            "#EXTINF:2,\n{$x}\n",
            "a variable is used that is not defined",
        ),
        (
            "#EXTINF:2,\n#EXT-X-BYTERANGE:7\na\n",
            "a byte range without a start has none to go on from",
        ),
        ("#EXTINF:2,\na\tb\u{1}\n", "a line has a control character"),
    ];
    for (text, what) in table {
        assert_eq!(whats(&format!("{head}{text}")), [what], "{text}");
    }
    assert_eq!(whats("#EXTM3U\n"), ["there is no EXT-X-TARGETDURATION"]);
    assert_eq!(
        whats(&format!("\u{feff}{head}"))[0],
        "the first line is not #EXTM3U"
    );
}

#[test]
fn a_hostile_list_stays_small() {
    let parts = "#EXT-X-PART:X\n".repeat(limits::ENTRIES_MAX + 5);
    let list = read(&format!("#EXTM3U\n{parts}"));
    assert_eq!(list.open.parts.len(), limits::ENTRIES_MAX);
    assert_eq!(list.faults.iter().count(), limits::FAULTS_MAX);
}
