//! When each part was published: as its encoder has written it into the media,
//! or as far as anybody of the fleet saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Parts kept: a few minutes of a channel with several tracks.
const PARTS_MAX: usize = 4096;

/// Shared by the threads of a fleet; one short look a part and player.
#[derive(Debug, Default)]
pub(crate) struct Board {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    at_us: BTreeMap<u64, u64>,
    /// The same by time, to forget the oldest.
    by_time: BTreeSet<(u64, u64)>,
}

impl Board {
    /// Notes that the part with this key was there at that time. The first note
    /// stands.
    pub(crate) fn publish(&self, part: u64, now_us: u64) {
        let mut seen = self.seen.lock().expect("no thread panics in here");
        if seen.at_us.contains_key(&part) {
            return;
        }
        seen.at_us.insert(part, now_us);
        seen.by_time.insert((now_us, part));
        if seen.at_us.len() > PARTS_MAX
            && let Some((_, oldest)) = seen.by_time.pop_first()
        {
            seen.at_us.remove(&oldest);
        }
    }

    /// When a part was published, if anybody saw it.
    pub(crate) fn published_us(&self, part: u64) -> Option<u64> {
        let seen = self.seen.lock().expect("no thread panics in here");
        seen.at_us.get(&part).copied()
    }

    /// Parts whose publication was seen and is remembered.
    pub(crate) fn len(&self) -> usize {
        self.seen
            .lock()
            .expect("no thread panics in here")
            .at_us
            .len()
    }
}

/// The key of a target: FNV-1a.
pub(crate) fn key(target: &str) -> u64 {
    target.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_note_stands_and_the_oldest_is_forgotten() {
        let board = Board::default();
        board.publish(1, 10);
        board.publish(1, 20);
        assert_eq!(board.published_us(1), Some(10));
        assert_eq!(board.published_us(2), None);
        for part in 2..=PARTS_MAX as u64 + 1 {
            board.publish(part, 100);
        }
        assert_eq!(board.published_us(1), None);
        assert_eq!(board.len(), PARTS_MAX);
        assert_ne!(key("/a/1"), key("/a/2"));
    }
}
