//! I-frame playlists (sections 4.4.3.6 and 6.2.5.2).

use super::*;

fn draw_iframes(script: &Script) -> String {
    let mut playlist = MediaPlaylist::new(List::IFrames);
    let version = playlist.render(&script.channel, script.index("v1"));
    delta::check(&version);
    String::from_utf8(version.plain(None).to_vec()).expect("playlists are UTF-8")
}

fn lines<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let tagged = text.lines().filter(|line| line.starts_with(tag));
    tagged.collect()
}

#[test]
fn s4_4_3_6_the_first_frame_of_every_whole_segment_is_listed() {
    let script = testing::reference_state();
    golden("reference_v1_iframes", &draw_iframes(&script));
}

#[test]
fn s4_4_3_6_frames_have_the_numbers_dates_and_durations_of_their_segments() {
    let mut script = testing::reference_state();
    script.evict("v1", 103, 100);
    let (frames, media) = (draw_iframes(&script), draw(&script, "v1"));
    for tag in ["#EXTINF", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-TARGETDURATION"] {
        assert_eq!(lines(&frames, tag), lines(&media, tag), "{tag}");
    }
    let dates = lines(&media, "#EXT-X-PROGRAM-DATE-TIME");
    assert_eq!(lines(&frames, "#EXT-X-PROGRAM-DATE-TIME"), dates[..7]);
}

#[test]
fn s6_2_4_server_control_is_that_of_the_media_playlists() {
    let script = testing::reference_state();
    let control = |text: &str| lines(text, "#EXT-X-SERVER-CONTROL").join("");
    assert_eq!(
        control(&draw_iframes(&script)),
        control(&draw(&script, "v1"))
    );
}

#[test]
fn s4_4_4_9_frames_have_neither_parts_nor_hints_nor_reports() {
    let mut script = testing::reference_state();
    for ended in [false, true] {
        if ended {
            script.end();
        }
        let text = draw_iframes(&script);
        for tag in ["#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION"] {
            assert_eq!(lines(&text, tag).len(), 0, "{tag}");
        }
        assert_eq!(lines(&text, "#EXT-X-ENDLIST").len(), usize::from(ended));
    }
}

#[test]
fn s4_4_4_7_a_segment_without_a_frame_to_start_from_is_a_gap() {
    let mut script = Script::new(2, Some(1_000_000)).video("v1");
    script.segment("v1", &[90_000; 2]);
    script.gap_segment("v1", 180_000);
    script.gap_part("v1", 90_000);
    script.close("v1", 90_000);
    script.segment("v1", &[90_000; 2]);
    let text = draw_iframes(&script);
    assert_eq!(lines(&text, "#EXTINF").len(), 4);
    assert_eq!(lines(&text, "#EXT-X-GAP").len(), 2);
    assert_eq!(lines(&text, "#EXT-X-BYTERANGE:6@0").len(), 2);
}
