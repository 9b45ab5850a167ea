//! A network of byte streams: what one side writes, the other reads in order,
//! in other pieces and later.

use std::collections::BTreeMap;

use crate::prng::Prng;

/// One connection for the whole run; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// What arrives at an end of a connection.
#[derive(Clone, Debug)]
pub enum Item {
    /// At least one byte.
    Bytes(Vec<u8>),
    /// The peer writes no more.
    Fin,
    /// The peer is gone.
    Reset,
}

/// Into what pieces bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As written.
    Whole,
    /// Up to a few hundred bytes.
    Random,
    /// Up to 16 bytes.
    Small,
    /// One by one, for the first `SINGLE_BYTES_MAX` of a write.
    Single,
}

/// More single bytes a write would only cost time.
const SINGLE_BYTES_MAX: usize = 600;

/// How a connection behaves.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Least delay of a piece.
    pub delay_us_min: u64,
    /// Largest delay of a piece.
    pub delay_us_max: u64,
    /// Pieces.
    pub cut: Cut,
}

impl Quality {
    /// A loopback: nothing is cut or late.
    pub const PERFECT: Self = Self {
        delay_us_min: 20,
        delay_us_max: 60,
        cut: Cut::Whole,
    };

    /// One of the kinds of path that are met in the field.
    pub fn draw(rng: &mut Prng) -> Self {
        let cut = rng.pick(&[
            Cut::Whole,
            Cut::Random,
            Cut::Random,
            Cut::Small,
            Cut::Single,
        ]);
        let delay_us_min = rng.pick(&[20, 1000, 5000, 40_000]);
        Self {
            delay_us_min,
            delay_us_max: delay_us_min * rng.range(1, 3),
            cut,
        }
    }
}

/// A connection as the network sees it.
#[derive(Debug)]
pub struct Wire {
    /// Index of the agent at the client's end.
    pub agent: usize,
    /// Its behaviour.
    pub quality: Quality,
    /// When the last piece towards the server arrives, in ns.
    up_at: u64,
    /// When the last piece towards the client arrives, in ns.
    down_at: u64,
    /// Whether the client still listens.
    pub client_open: bool,
    /// Whether the client may still write.
    pub client_writes: bool,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the origin.
    Up,
    /// To the agent.
    Down,
}

/// All connections.
#[derive(Debug)]
pub struct Net {
    wires: BTreeMap<ConnId, Wire>,
    next: u64,
    rng: Prng,
}

impl Net {
    /// No connection yet.
    pub fn new(rng: Prng) -> Self {
        Self {
            wires: BTreeMap::new(),
            next: 1,
            rng,
        }
    }

    /// Opens a connection of `agent`.
    pub fn open(&mut self, now: u64, agent: usize, quality: Quality) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        let (up_at, down_at) = (now, now);
        let wire = Wire {
            agent,
            quality,
            up_at,
            down_at,
            client_open: true,
            client_writes: true,
        };
        self.wires.insert(id, wire);
        id
    }

    /// A connection, while it is known.
    pub fn wire(&mut self, id: ConnId) -> Option<&mut Wire> {
        self.wires.get_mut(&id)
    }

    /// Forgets a connection.
    pub fn close(&mut self, id: ConnId) {
        self.wires.remove(&id);
    }

    /// Every connection an agent still listens on.
    pub fn open_of(&self, agent: usize) -> Vec<ConnId> {
        let own = |wire: &Wire| wire.agent == agent && wire.client_open;
        self.wires
            .iter()
            .filter(|(_, wire)| own(wire))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Holds everything on one connection back until `until`.
    pub fn clog(&mut self, index: u64, until: u64) -> Option<ConnId> {
        let at = (index % self.wires.len().max(1) as u64) as usize;
        let (id, wire) = self.wires.iter_mut().nth(at)?;
        wire.up_at = wire.up_at.max(until);
        wire.down_at = wire.down_at.max(until);
        Some(*id)
    }

    /// Cuts `bytes` into pieces with their times of arrival.
    pub fn carry(&mut self, now: u64, id: ConnId, way: Way, bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut out = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(quality) = self.wires.get(&id).map(|wire| wire.quality) else {
                break;
            };
            let sent = bytes.len() - rest.len();
            let len = match quality.cut {
                Cut::Whole => rest.len(),
                Cut::Single if sent < SINGLE_BYTES_MAX => 1,
                Cut::Small => self.rng.range(1, 16) as usize + rest.len() / 64,
                Cut::Random | Cut::Single => self.rng.range(1, 700) as usize + rest.len() / 32,
            };
            let (piece, after) = rest.split_at(len.min(rest.len()));
            out.push((self.arrival(now, id, way), piece.to_vec()));
            rest = after;
        }
        out
    }

    /// When something sent now arrives: after all that was sent before.
    pub fn arrival(&mut self, now: u64, id: ConnId, way: Way) -> u64 {
        let Some(wire) = self.wires.get_mut(&id) else {
            return now;
        };
        // A write on its way keeps its pieces close together.
        let last = if way == Way::Up {
            &mut wire.up_at
        } else {
            &mut wire.down_at
        };
        let quality = wire.quality;
        let delay = self.rng.range(quality.delay_us_min, quality.delay_us_max) * 1000;
        *last = (now + delay).max(*last + 1000);
        *last
    }
}
