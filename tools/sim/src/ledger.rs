//! What encoders sent, and what a fault of theirs excuses: the truth that the
//! checkers hold deliveries against.

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::prng::{FNV_START, fnv};

/// A chunk that went out whole.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When, in ns.
    pub at: u64,
    /// Samples in it.
    pub count: u64,
    /// Its tfdt.
    pub decode_time: u64,
    /// Length and hash of its bytes; `None` in a muxed upload, whose chunks
    /// don't come out as they went in.
    pub bytes: Option<(usize, u64)>,
}

/// One life of an encoder, one track.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Ticks a sample.
    pub sample_ticks: u32,
    /// Ticks a second.
    pub timescale: u32,
    /// A sample may come out as two that follow each other and share its time.
    pub lasts: bool,
    /// Chunks by the number of their first sample.
    pub chunks: BTreeMap<u64, Sent>,
    /// Samples that may be missing, as half-open ranges.
    pub excused: Vec<(u64, u64)>,
    /// Newest sample sent, and when it was captured, in ns.
    pub newest: Option<(u64, u64)>,
    /// When sample 0 was captured, in ns.
    pub start_ns: u64,
}

impl Session {
    /// When a sample was captured whole.
    pub fn captured(&self, sample: u64) -> u64 {
        let ticks = u128::from((sample + 1) * u64::from(self.sample_ticks));
        self.start_ns + (ticks * 1_000_000_000 / u128::from(self.timescale)) as u64
    }

    /// Whether every sample of a half-open range may be missing.
    pub fn excuses(&self, from: u64, to: u64) -> bool {
        let mut at = from;
        while at < to {
            let holds = |range: &&(u64, u64)| range.0 <= at && at < range.1;
            match self.excused.iter().filter(holds).map(|range| range.1).max() {
                Some(end) => at = end,
                None => return false,
            }
        }
        true
    }
}

/// All channels.
#[derive(Debug)]
pub struct Ledger {
    /// Sessions by channel and track.
    sessions: Vec<Vec<Vec<Session>>>,
    /// Whether anything ever went wrong with the encoder of a channel.
    troubled: Vec<bool>,
}

impl Ledger {
    /// Nothing sent yet.
    pub fn new(plan: &Plan) -> Self {
        let sessions = plan
            .channels
            .iter()
            .map(|channel| vec![Vec::new(); channel.tracks.len()]);
        Self {
            sessions: sessions.collect(),
            troubled: vec![false; plan.channels.len()],
        }
    }

    /// A track begins a new session; returns its number.
    pub fn begin(&mut self, channel: usize, track: usize, session: Session) -> u32 {
        let sessions = &mut self.sessions[channel][track];
        sessions.push(session);
        sessions.len() as u32 - 1
    }

    /// A session, if there is one of that number.
    pub fn session(&self, channel: usize, track: usize, session: u32) -> Option<&Session> {
        self.sessions
            .get(channel)?
            .get(track)?
            .get(session as usize)
    }

    /// The newest session of a track.
    pub fn newest(&self, channel: usize, track: usize) -> Option<&Session> {
        self.sessions[channel][track].last()
    }

    /// Records a chunk that went out at `at`.
    pub fn sent(
        &mut self,
        at: u64,
        (channel, track): (usize, usize),
        (first, count): (u64, u64),
        decode_time: u64,
        bytes: Option<&[u8]>,
    ) {
        let session = self.sessions[channel][track]
            .last_mut()
            .expect("a session has begun");
        let bytes = bytes.map(|bytes| (bytes.len(), fnv(FNV_START, bytes)));
        session.chunks.insert(
            first,
            Sent {
                at,
                count,
                decode_time,
                bytes,
            },
        );
        let last = first + count - 1;
        session.newest = Some((last, session.captured(last)));
    }

    /// Samples `from..to` of the newest session may be missing.
    pub fn excuse(&mut self, channel: usize, track: usize, from: u64, to: u64) {
        self.troubled[channel] = true;
        if let Some(session) = self.sessions[channel][track].last_mut() {
            session.excused.push((from, to));
        }
    }

    /// Something went wrong with a channel.
    pub fn trouble(&mut self, channel: usize) {
        self.troubled[channel] = true;
    }

    /// Whether anything ever went wrong with a channel.
    pub fn is_troubled(&self, channel: usize) -> bool {
        self.troubled[channel]
    }

    /// Tracks of a channel.
    pub fn tracks(&self, channel: usize) -> usize {
        self.sessions[channel].len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ranges_cover_together_is_excused() {
        let session = Session {
            excused: vec![(3, 5), (5, 9)],
            ..Session::default()
        };
        assert!(session.excuses(3, 9) && session.excuses(4, 6) && session.excuses(7, 7));
        assert!(!session.excuses(2, 4) && !session.excuses(8, 10));
    }
}
