//! What a connection needs only while it is busy: pieces to send, bytes that
//! must wait. A parked player has none.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::io::ring::{SEND_PIECES_MAX, window};
use crate::limits::SEND_BURST_BYTES_MAX;
use crate::shard::ShardId;

/// Boxes and bytes kept for reuse by a [`BacklogPool`].
const POOL_BOXES_MAX: usize = 1024;
const POOL_PIECES_MAX: usize = 16;

/// Bytes owed in both directions.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// To be sent, in order; the first may be sent in part.
    pieces: VecDeque<Bytes>,
    /// Bytes of the first piece that are sent.
    sent: usize,
    /// Bytes of all pieces that are not sent.
    unsent: u64,
    /// Received, and to be looked at when the connection has caught up or has
    /// moved.
    pub(crate) unread: Vec<u8>,
    /// Where the connection goes once nothing of it is in flight.
    pub(crate) destination: Option<ShardId>,
    /// Bytes the kernel held unacknowledged when the send was last seen
    /// stalled.
    pub(crate) unacknowledged: u32,
}

impl Backlog {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.unsent += piece.len() as u64;
            self.pieces.push_back(piece);
        }
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.unsent
    }

    /// The next burst: the pieces of one send.
    pub(crate) fn burst(&self) -> impl Iterator<Item = &[u8]> {
        let mut room = SEND_BURST_BYTES_MAX;
        let mut from = self.sent;
        self.pieces
            .iter()
            .take(SEND_PIECES_MAX)
            .map_while(move |piece| {
                let bytes = window(piece, from, room);
                from = 0;
                room -= bytes.len();
                (!bytes.is_empty()).then_some(bytes)
            })
    }

    /// Takes note that `count` more bytes were sent and drops what they were.
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(
            count as u64 <= self.unsent,
            "the kernel sends what it is given"
        );
        self.unsent -= count as u64;
        let mut left = count;
        while let Some(first) = self.pieces.front() {
            let rest = first.len() - self.sent;
            if left < rest {
                self.sent += left;
                return;
            }
            left -= rest;
            self.sent = 0;
            self.pieces.pop_front();
        }
        assert!(left == 0, "unsent is the sum of the pieces");
    }

    /// Whether nothing is owed in either direction.
    pub(crate) fn is_idle(&self) -> bool {
        self.pieces.is_empty() && self.unread.is_empty() && self.destination.is_none()
    }
}

/// Empty boxes, so that a busy core does not allocate for each response.
#[derive(Debug, Default)]
pub(crate) struct BacklogPool {
    // Boxes, because slots hold them by a pointer.
    #[allow(clippy::vec_box)]
    boxes: Vec<Box<Backlog>>,
}

impl BacklogPool {
    pub(crate) fn take(&mut self) -> Box<Backlog> {
        self.boxes.pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, mut backlog: Box<Backlog>) {
        if self.boxes.len() == POOL_BOXES_MAX || backlog.pieces.capacity() > POOL_PIECES_MAX {
            return;
        }
        let mut pieces = std::mem::take(&mut backlog.pieces);
        pieces.clear();
        *backlog = Backlog {
            pieces,
            ..Backlog::default()
        };
        self.boxes.push(backlog);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn whatever_the_kernel_takes_the_stream_is_whole(
            lens in prop::collection::vec(0usize..60_000, 0..50),
            takes in prop::collection::vec(1usize..300_000, 1..20),
        ) {
            let mut backlog = Backlog::default();
            let mut want = Vec::new();
            for (index, len) in lens.iter().enumerate() {
                let piece = Bytes::from(vec![index as u8; *len]);
                want.extend_from_slice(&piece);
                backlog.push(piece);
            }
            let (mut got, mut turn) = (Vec::new(), 0);
            while backlog.unsent() > 0 {
                let burst = backlog.burst().collect::<Vec<_>>().concat();
                prop_assert!(!burst.is_empty() && burst.len() <= SEND_BURST_BYTES_MAX);
                let taken = burst.len().min(takes[turn % takes.len()]);
                got.extend_from_slice(&burst[..taken]);
                backlog.advance(taken);
                turn += 1;
            }
            prop_assert!(backlog.is_idle());
            prop_assert_eq!(got, want);
        }
    }
}
