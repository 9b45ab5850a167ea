//! Where gaps are filled, no edge stands still, whatever the encoder does
//! (rfc8216bis section 6.2.1).
//!
//! A new whole segment is listed within one and a half target durations of the
//! last, or of one part more where an encoder that is used to bringing a whole
//! segment at once stops in the middle of one: its rest may still come.

use std::collections::BTreeMap;

use crate::m3u8::Media;
use crate::world::{MS, SECOND};

/// Between two looks, and for a tick that is late.
const SLACK_NS: u64 = 500 * MS;

/// See the module's head.
#[derive(Default)]
pub struct Edges {
    /// The newest whole segment of each playlist, and when it was first seen.
    newest: BTreeMap<String, (Option<u64>, u64)>,
}

impl Edges {
    /// A look at a playlist on the home of its channel.
    pub fn look(&mut self, now: u64, path: &str, media: &Media) -> Result<(), String> {
        let full = media.full();
        let seen = self.newest.entry(path.to_owned()).or_insert((full, now));
        if seen.0 != full {
            *seen = (full, now);
        }
        let still = now - seen.1;
        let allowed = media.target_s * SECOND * 9 / 4 + SLACK_NS;
        if media.ended || still <= allowed {
            return Ok(());
        }
        let ms = still / MS;
        Err(format!("{full:?} is the newest segment for {ms} ms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::m3u8::Segment;

    #[test]
    fn an_edge_that_stands_still_is_seen() {
        let mut edges = Edges::default();
        let mut media = Media {
            target_s: 2,
            segments: vec![Segment::default()],
            ..Media::default()
        };
        assert_eq!(edges.look(0, "v", &media), Ok(()));
        assert_eq!(edges.look(4 * SECOND, "v", &media), Ok(()));
        assert!(edges.look(6 * SECOND, "v", &media).is_err());
        media.segments[0].msn += 1;
        assert_eq!(edges.look(6 * SECOND, "v", &media), Ok(()));
        media.ended = true;
        assert_eq!(edges.look(9 * SECOND, "v", &media), Ok(()));
    }
}
