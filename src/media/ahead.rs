//! Media of a segment under way that no part lists yet.
//!
//! A part is listed when it is whole, and is often made of several chunks. Who
//! reads the segment as it grows gets each chunk when it comes. Nothing that a
//! manifest shows follows from it, so it is no [`Change`]: it may be lost on the
//! way to a reader, who then has it with the part.
//!
//! [`Change`]: crate::media::channel::Change

use crate::media::channel::TrackIndex;
use crate::media::rope::Rope;

/// See the module's head.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// Of which track.
    pub track: TrackIndex,
    /// Of which segment.
    pub msn: u64,
    /// Where in the segment it begins, in bytes.
    pub at: u64,
    /// Whole chunks, a piece each.
    pub body: Rope,
}

impl Ahead {
    /// Position in the segment behind its last byte.
    pub fn end(&self) -> u64 {
        self.at + self.body.len()
    }

    /// What of it lies at `at` or behind.
    #[must_use]
    pub fn from(&self, at: u64) -> Self {
        let at = at.clamp(self.at, self.end());
        Self {
            at,
            body: self.body.slice(at - self.at, u64::MAX),
            ..*self
        }
    }

    /// Adds what follows on it; of a later segment, or behind a hole, it takes
    /// its place.
    pub fn join(&mut self, more: &Self) {
        let same = (self.track, self.msn) == (more.track, more.msn);
        if same && (self.at..=self.end()).contains(&more.at) {
            let known = self.end();
            self.body.extend(&more.from(known).body);
        } else if !same || more.at > self.end() {
            *self = more.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(msn: u64, at: u64, text: &str) -> Ahead {
        Ahead {
            track: TrackIndex(0),
            msn,
            at,
            body: text.to_owned().into(),
        }
    }

    #[test]
    fn what_follows_is_added_and_nothing_twice() {
        let mut known = ahead(7, 10, "abc");
        for more in [ahead(7, 13, "d"), ahead(7, 11, "bcde"), ahead(7, 10, "a")] {
            known.join(&more);
        }
        assert_eq!((known.at, known.body.to_vec()), (10, b"abcde".to_vec()));
        known.join(&ahead(7, 5, "before"));
        assert_eq!(known.end(), 15, "what is older says nothing new");
        known.join(&ahead(7, 16, "x"));
        assert_eq!((known.at, known.end()), (16, 17), "behind a hole");
        known.join(&ahead(8, 0, "y"));
        assert_eq!((known.msn, known.at, known.end()), (8, 0, 1));
    }

    #[test]
    fn the_rest_of_it_begins_within_it() {
        let known = ahead(7, 10, "abc");
        for (from, at, text) in [(3, 10, "abc"), (11, 11, "bc"), (13, 13, ""), (99, 13, "")] {
            let rest = known.from(from);
            assert_eq!(
                (rest.at, rest.body.to_vec()),
                (at, text.as_bytes().to_vec())
            );
        }
    }
}
