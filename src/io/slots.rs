//! The connections of one core, by index, in pages that never move.

use std::os::fd::RawFd;

use crate::http::connection::Connection;
use crate::io::backlog::Backlog;
use crate::io::socket;
use crate::limits::SEND_BURST_BYTES_MAX;
use crate::shard::ExchangeId;
use crate::time::Mono;

/// Slots of one page: memory grows by this many connections at a time.
const PAGE: usize = 1024;

/// How far the life of a connection is; it only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Requests and responses.
    Open,
    /// Everything is sent and the peer was told; what it still sends is thrown
    /// away, so that it reads the response instead of a reset.
    Lingering,
    /// On the way to another core: bytes are kept for it.
    Moving,
    /// Nothing but completions is waited for.
    Closing,
    /// Nobody's.
    Free,
}

/// What a connection is waiting for, for its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first byte of a head.
    Idle,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// The core: it has deadlines of its own.
    Core,
    /// The peer's taking what is sent.
    Send,
}

/// Whether a multishot receive is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receive {
    /// None is.
    Off,
    /// Into small buffers.
    Small,
    /// Into large buffers.
    Large,
    /// One is, and has been cancelled.
    Ending,
}

/// One connection. A million of them are held, so that its size matters.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) http: Connection,
    pub(crate) backlog: Option<Box<Backlog>>,
    pub(crate) socket: RawFd,
    /// Counts the lives of the slot, so that a late completion is known as one.
    pub(crate) generation: u32,
    /// Counts the exchanges of the slot, over all its lives.
    pub(crate) exchange: u32,
    /// When the phase began or last moved, in tenths of a second.
    pub(crate) since: u32,
    pub(crate) stage: Stage,
    pub(crate) phase: Phase,
    pub(crate) receive: Receive,
    pub(crate) sending: bool,
    /// Waits in the hub's queue of sends.
    pub(crate) queued: bool,
    /// Not read on purpose: too much is kept already.
    pub(crate) paused: bool,
    /// The peer has ended its side.
    pub(crate) ended: bool,
    /// The connection ends when everything is sent.
    pub(crate) last: bool,
    /// Has had no request yet.
    pub(crate) fresh: bool,
    /// Carries ingest: patient limits, big receive buffers.
    pub(crate) ingest: bool,
}

const _: () = assert!(
    size_of::<Slot>() <= 200,
    "a parked player is to cost little"
);

impl Slot {
    fn free(generation: u32, exchange: u32) -> Self {
        Self {
            http: Connection::new(),
            backlog: None,
            socket: -1,
            generation,
            exchange,
            since: 0,
            stage: Stage::Free,
            phase: Phase::Idle,
            receive: Receive::Off,
            sending: false,
            queued: false,
            paused: false,
            ended: false,
            last: false,
            fresh: true,
            ingest: false,
        }
    }

    /// Bytes that are to be sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unsent())
    }

    /// Whether so much is to be sent that no further request is looked at.
    pub(crate) fn is_behind(&self) -> bool {
        self.unsent() > SEND_BURST_BYTES_MAX as u64
    }

    /// Whether the kernel still works for it.
    pub(crate) fn in_flight(&self) -> bool {
        self.receive != Receive::Off || self.sending
    }

    /// Whether more bytes are welcome.
    pub(crate) fn wants_recv(&self) -> bool {
        match self.stage {
            Stage::Open => !self.ended && !self.paused,
            Stage::Lingering => !self.ended,
            Stage::Moving | Stage::Closing | Stage::Free => false,
        }
    }

    /// What it waits for now.
    pub(crate) fn current_phase(&self) -> Phase {
        if self.unsent() > 0 {
            Phase::Send
        } else if self.http.in_body() {
            Phase::Body
        } else if self.http.is_open() {
            Phase::Core
        } else if self.http.in_head() {
            Phase::Head
        } else {
            Phase::Idle
        }
    }
}

/// A moment as slots keep it.
pub(crate) fn tenths(mono: Mono) -> u32 {
    (mono.as_ms() / 100) as u32
}

/// All slots of a core.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pages: Vec<Box<[Slot]>>,
    free: Vec<u32>,
    open: usize,
}

impl Slots {
    /// Connections in any stage but free.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Bound of the indexes that are or were in use.
    pub(crate) fn len(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// A slot for a connection.
    pub(crate) fn insert(&mut self, socket: RawFd, now: Mono) -> u32 {
        if self.free.is_empty() {
            let start = self.len() as u32;
            self.pages
                .push((0..PAGE).map(|_| Slot::free(0, 0)).collect());
            self.free.extend((start..start + PAGE as u32).rev());
        }
        let index = self.free.pop().expect("a page was just added");
        self.open += 1;
        let slot = self.at(index);
        assert!(slot.stage == Stage::Free, "the free list holds free slots");
        *slot = Slot {
            socket,
            since: tenths(now),
            stage: Stage::Open,
            ..Slot::free(slot.generation, slot.exchange)
        };
        index
    }

    /// Ends the life of a slot; the descriptor is the caller's.
    pub(crate) fn remove(&mut self, index: u32) -> RawFd {
        let slot = self.at(index);
        assert!(slot.stage != Stage::Free, "freed once");
        assert!(!slot.in_flight(), "a descriptor goes after its requests");
        let socket = slot.socket;
        *slot = Slot::free(slot.generation.wrapping_add(1), slot.exchange);
        self.free.push(index);
        self.open -= 1;
        socket
    }

    /// Gives up every descriptor, once the ring is quiet.
    pub(crate) fn close_all(self) {
        for slot in self.pages.into_iter().flatten() {
            if slot.stage != Stage::Free {
                drop(socket::own(slot.socket));
            }
        }
    }

    /// The slot at an index that is or was in use.
    pub(crate) fn at(&mut self, index: u32) -> &mut Slot {
        &mut self.pages[index as usize / PAGE][index as usize % PAGE]
    }

    /// The connection of an exchange that is open, if it still is.
    pub(crate) fn by_exchange(&mut self, exchange: ExchangeId) -> Option<u32> {
        let (index, number) = (exchange.0 as u32, (exchange.0 >> 32) as u32);
        if index as usize >= self.len() {
            return None;
        }
        let slot = self.at(index);
        let live = slot.stage == Stage::Open && slot.exchange == number && slot.http.is_open();
        live.then_some(index)
    }
}

/// Names an exchange: the slot and the count of exchanges it has had.
pub(crate) fn exchange_id(index: u32, slot: &Slot) -> ExchangeId {
    ExchangeId(u64::from(slot.exchange) << 32 | u64::from(index))
}
