//! Queues between cores, one a direction, and the doorbells beside them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

use crossbeam::queue::ArrayQueue;

use crate::limits::MAILBOX_LETTERS_MAX;
use crate::shard::{Letter, ShardId};

/// What crosses cores.
#[derive(Debug)]
pub(crate) enum Mail {
    /// For the shard.
    Letter(Letter),
    /// A connection and what it has sent that nobody has read.
    Adopt {
        /// No request of the sender's ring is in flight on it.
        socket: OwnedFd,
        /// Bytes to be read before the socket's.
        unread: Vec<u8>,
    },
}

/// How the process is to stop; it only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stop {
    /// Not at all.
    Not = 0,
    /// When everything that is owed has been said.
    Drain = 1,
    /// At once.
    Now = 2,
}

/// One direction between two cores.
struct Mailbox {
    queue: ArrayQueue<Mail>,
    /// A doorbell is under way for what is in the queue. Cleared by the
    /// receiver before it drains, so that mail is never in a queue of which
    /// nobody will hear.
    rung: AtomicBool,
}

/// All mailboxes of the process.
pub(crate) struct Mailroom {
    count: usize,
    /// Row by sender, column by receiver.
    boxes: Vec<Mailbox>,
    rings: Vec<OnceLock<OwnedFd>>,
    stop: AtomicU8,
}

impl Mailroom {
    pub(crate) fn new(count: usize) -> Self {
        let mailbox = || Mailbox {
            queue: ArrayQueue::new(MAILBOX_LETTERS_MAX),
            rung: AtomicBool::new(false),
        };
        Self {
            count,
            boxes: (0..count * count).map(|_| mailbox()).collect(),
            rings: (0..count).map(|_| OnceLock::new()).collect(),
            stop: AtomicU8::new(Stop::Not as u8),
        }
    }

    /// Makes a core's ring known. The handle stays open as long as the room, so
    /// that a late doorbell never rings a stranger.
    pub(crate) fn register(&self, core: ShardId, ring: OwnedFd) -> io::Result<()> {
        self.rings[usize::from(core.0)]
            .set(ring)
            .map_err(|_| io::Error::other("a core registers one ring"))
    }

    /// The ring of a core, once it has registered it.
    pub(crate) fn ring_of(&self, core: usize) -> Option<RawFd> {
        self.rings[core].get().map(|ring| ring.as_raw_fd())
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn stop(&self) -> Stop {
        match self.stop.load(Ordering::SeqCst) {
            0 => Stop::Not,
            1 => Stop::Drain,
            _ => Stop::Now,
        }
    }

    pub(crate) fn raise_stop(&self, stop: Stop) {
        self.stop.fetch_max(stop as u8, Ordering::SeqCst);
    }

    fn mailbox(&self, from: usize, to: usize) -> &Mailbox {
        &self.boxes[from * self.count + to]
    }
}

/// One core's place in the mailroom.
pub(crate) struct Desk {
    room: std::sync::Arc<Mailroom>,
    me: usize,
    /// Receivers whose doorbell is to be rung this turn.
    unrung: Vec<bool>,
    /// Connections that found a mailbox full; they must not be lost.
    overflow: VecDeque<(ShardId, Mail)>,
}

impl Desk {
    pub(crate) fn new(room: std::sync::Arc<Mailroom>, me: ShardId) -> Self {
        let unrung = vec![false; room.count];
        Self {
            room,
            me: usize::from(me.0),
            unrung,
            overflow: VecDeque::new(),
        }
    }

    pub(crate) fn me(&self) -> ShardId {
        ShardId(self.me as u16)
    }

    pub(crate) fn stop(&self) -> Stop {
        self.room.stop()
    }

    /// Posts a letter, or gives it back when the mailbox is full.
    pub(crate) fn post(&mut self, to: ShardId, letter: Letter) -> Result<(), Letter> {
        match self.put(to, Mail::Letter(letter)) {
            Ok(()) => Ok(()),
            Err(Mail::Letter(letter)) => Err(letter),
            Err(Mail::Adopt { .. }) => unreachable!("what is given back was put in"),
        }
    }

    /// Posts a connection; a full mailbox delays it.
    pub(crate) fn hand_over(&mut self, to: ShardId, socket: OwnedFd, unread: Vec<u8>) {
        let mail = Mail::Adopt { socket, unread };
        if let Err(mail) = self.put(to, mail) {
            self.overflow.push_back((to, mail));
        }
    }

    /// Tries again what found a mailbox full. Whether any is left.
    pub(crate) fn retry(&mut self) -> bool {
        for _ in 0..self.overflow.len() {
            let Some((to, mail)) = self.overflow.pop_front() else {
                break;
            };
            if let Err(mail) = self.put(to, mail) {
                self.overflow.push_back((to, mail));
            }
        }
        !self.overflow.is_empty()
    }

    fn put(&mut self, to: ShardId, mail: Mail) -> Result<(), Mail> {
        let to = usize::from(to.0);
        assert!(to < self.room.count, "shards know how many they are");
        self.room.mailbox(self.me, to).queue.push(mail)?;
        fence(Ordering::SeqCst);
        self.unrung[to] = true;
        Ok(())
    }

    /// The rings to ring for what was posted since the last call. One doorbell
    /// a pair is under way at most.
    pub(crate) fn doorbells(&mut self, mut ring: impl FnMut(RawFd)) {
        for to in 0..self.room.count {
            if !std::mem::take(&mut self.unrung[to]) || to == self.me {
                continue;
            }
            // A core that has not registered reads its mail when it begins.
            if let Some(handle) = self.room.ring_of(to)
                && !self
                    .room
                    .mailbox(self.me, to)
                    .rung
                    .swap(true, Ordering::SeqCst)
            {
                ring(handle);
            }
        }
    }

    /// Takes up to `most` of what one sender has posted, oldest first.
    pub(crate) fn collect(&mut self, from: usize, most: usize, into: &mut Vec<Mail>) {
        let mailbox = self.room.mailbox(from, self.me);
        mailbox.rung.store(false, Ordering::SeqCst);
        // Either this sees what was pushed, or the sender sees the flag down.
        fence(Ordering::SeqCst);
        while into.len() < most {
            let Some(mail) = mailbox.queue.pop() else {
                return;
            };
            into.push(mail);
        }
    }

    pub(crate) fn senders(&self) -> usize {
        self.room.count
    }

    /// Whether mail waits here, or the process is told to stop more urgently
    /// than `known`.
    pub(crate) fn has_news(&self, known: Stop) -> bool {
        self.room.stop() > known
            || (0..self.room.count).any(|from| !self.room.mailbox(from, self.me).queue.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn gather(ticket: u64) -> Letter {
        Letter::Gather { ticket }
    }

    fn tickets(mail: &[Mail]) -> Vec<u64> {
        let ticket = |mail: &Mail| match mail {
            Mail::Letter(Letter::Gather { ticket }) => *ticket,
            other => panic!("{other:?}"),
        };
        mail.iter().map(ticket).collect()
    }

    #[test]
    fn mail_is_in_order_and_a_full_box_gives_it_back() {
        let room = Arc::new(Mailroom::new(2));
        let (mut one, mut two) = (
            Desk::new(room.clone(), ShardId(0)),
            Desk::new(room, ShardId(1)),
        );
        for ticket in 0..MAILBOX_LETTERS_MAX as u64 {
            one.post(ShardId(1), gather(ticket)).expect("there is room");
        }
        let back = one
            .post(ShardId(1), gather(u64::MAX))
            .expect_err("the box is full");
        assert!(matches!(back, Letter::Gather { ticket: u64::MAX }));

        let socket = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
        one.hand_over(ShardId(1), socket(), vec![7]);
        assert!(one.retry(), "a connection waits for room");
        assert!(two.has_news(Stop::Not) && !one.has_news(Stop::Not));

        let mut mail = Vec::new();
        two.collect(0, usize::MAX, &mut mail);
        assert_eq!(
            tickets(&mail),
            (0..MAILBOX_LETTERS_MAX as u64).collect::<Vec<_>>()
        );
        assert!(!one.retry(), "and goes when there is");
        mail.clear();
        two.collect(0, usize::MAX, &mut mail);
        assert!(matches!(&mail[..], [Mail::Adopt { unread, .. }] if unread[..] == [7]));
    }

    #[test]
    fn a_stop_only_gets_more_urgent() {
        let room = Mailroom::new(1);
        room.raise_stop(Stop::Now);
        room.raise_stop(Stop::Drain);
        assert_eq!(room.stop(), Stop::Now);
    }
}
