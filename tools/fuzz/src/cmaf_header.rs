//! A CMAF header of several tracks is the sum of its parts.

use headwater::media::cmaf::{Event, Header};

use crate::bmff_cmaf::parse;

/// Parses `data`; every track of every header must give the same again when the
/// header of that track alone is parsed.
pub fn cmaf_header(data: &[u8]) {
    for event in parse([data].into_iter()).events {
        let Event::Header(header) = event else {
            continue;
        };
        check(&header);
    }
}

fn check(header: &Header) {
    assert!(!header.tracks.is_empty());
    for track in &header.tracks {
        assert!(track.codec.len() <= 128, "codec string {}", track.codec);
        let mut again = parse([&track.bytes[..]].into_iter());
        assert_eq!(again.end, Ok(()));
        let Some(Event::Header(again)) = again.events.pop() else {
            panic!("a header")
        };
        assert_eq!(
            again.tracks,
            std::slice::from_ref(track),
            "alone it says the same"
        );
        assert!(
            header.tracks.len() > 1 || track.bytes == header.bytes,
            "one track is the whole"
        );
    }
}
