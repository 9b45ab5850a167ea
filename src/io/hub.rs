//! Connections, core and ring of one processor: bytes in, effects out.
//!
//! The core is told one thing at a time and its effects are carried out before
//! the next. Effects on other connections than the one that is being read only
//! queue work, so that nothing here recurses.

use std::collections::VecDeque;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

use bytes::Bytes;

use crate::http::connection::{Connection, Event, Wire, timeout_reply};
use crate::http::reply::Reply;
use crate::io::Core;
use crate::io::backlog::BacklogPool;
use crate::io::mailroom::{Desk, Mail};
use crate::io::process::{Patience, Tuning};
use crate::io::ring::{Op, Ring, Tag};
use crate::io::slots::{Phase, Receive, Slot, Slots, Stage, exchange_id, tenths};
use crate::io::socket;
use crate::limits::{ONE_SEND_BYTES_MAX, TURN_LETTERS_MAX, TURN_SEND_BYTES_MAX, TURN_SENDS_MAX};
use crate::metrics::ShellCounters;
use crate::shard::{Effect, ExchangeId, Input, Letter, ShardId};
use crate::time::Now;

/// Receive buffers of every connection.
pub(crate) const SMALL: u16 = 0;
/// Receive buffers of connections that carry ingest.
pub(crate) const LARGE: u16 = 1;

pub(crate) struct Hub<C> {
    pub(crate) ring: Ring,
    pub(crate) core: C,
    pub(crate) slots: Slots,
    pub(crate) desk: Desk,
    pub(crate) counters: ShellCounters,
    /// Read once a turn.
    pub(crate) now: Now,
    /// The core is told to stop; connections end with their exchange.
    pub(crate) draining: bool,
    /// The core has said all it has to.
    pub(crate) drained: bool,
    connections_max: usize,
    patience: Patience,
    pool: BacklogPool,
    /// Slots with something to send, oldest first, and the life they had.
    ready: VecDeque<(u32, u32)>,
    /// Slots whose exchange was answered from elsewhere: what they kept is to
    /// be looked at.
    pumps: VecDeque<u32>,
    /// The slot whose bytes are being read.
    feeding: Option<u32>,
    mail: Vec<Mail>,
}

impl<C: Core> Hub<C> {
    pub(crate) fn new(ring: Ring, core: C, desk: Desk, now: Now, tuning: &Tuning) -> Self {
        Self {
            ring,
            core,
            slots: Slots::default(),
            desk,
            counters: ShellCounters::default(),
            now,
            draining: false,
            drained: false,
            connections_max: tuning.connections_max,
            patience: tuning.patience.clone(),
            pool: BacklogPool::default(),
            ready: VecDeque::new(),
            pumps: VecDeque::new(),
            feeding: None,
            mail: Vec::new(),
        }
    }

    /// Takes in a connection that was accepted here.
    pub(crate) fn accepted(&mut self, socket: RawFd) {
        self.counters.accepted += 1;
        if let Some(index) = self.admit(socket) {
            self.settle(index);
        }
    }

    /// Takes in a connection from another core.
    fn adopt(&mut self, socket: OwnedFd, unread: &[u8]) {
        self.counters.adopted += 1;
        if let Some(index) = self.admit(socket.into_raw_fd()) {
            self.slots.at(index).ingest = true;
            self.feed(index, unread);
            self.settle(index);
        }
    }

    fn admit(&mut self, socket: RawFd) -> Option<u32> {
        if self.slots.open() >= self.connections_max {
            self.counters.refused += 1;
            self.ring.close(socket);
            return None;
        }
        Some(self.slots.insert(socket, self.now.mono))
    }

    /// A receive completed with `bytes`, or with an error or the end.
    pub(crate) fn received(&mut self, tag: Tag, result: i32, more: bool, bytes: &[u8]) {
        let slot = self.slots.at(tag.slot);
        assert!(
            slot.generation == tag.generation,
            "a slot outlives its requests"
        );
        if !more {
            slot.receive = Receive::Off;
        }
        match -result {
            ..0 => {
                self.counters.recv_bytes += bytes.len() as u64;
                self.feed(tag.slot, bytes);
                let slot = self.slots.at(tag.slot);
                if slot.phase == Phase::Body {
                    slot.since = tenths(self.now.mono);
                }
            }
            0 => slot.ended = true,
            libc::ENOBUFS => self.counters.enobufs += 1,
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            _ => self.lose(tag.slot),
        }
        self.settle(tag.slot);
        self.run_pumps();
    }

    /// A send completed.
    pub(crate) fn sent(&mut self, tag: Tag, result: i32) {
        let slot = self.slots.at(tag.slot);
        assert!(
            slot.generation == tag.generation,
            "a slot outlives its requests"
        );
        slot.sending = false;
        match -result {
            ..0 => {
                let backlog = slot.backlog.as_mut().expect("a send keeps its backlog");
                backlog.advance(result as usize);
                backlog.unacknowledged = 0;
                slot.since = tenths(self.now.mono);
                self.counters.sent_bytes += result as u64;
                if slot.paused && !slot.is_behind() {
                    self.look_again(tag.slot);
                }
            }
            libc::EINTR | libc::EAGAIN => {}
            _ => self.lose(tag.slot),
        }
        self.settle(tag.slot);
        self.run_pumps();
    }

    /// Tells the core and carries out what it wants.
    pub(crate) fn tell(&mut self, input: Input<'_>) {
        self.core.handle(self.now, input);
        self.carry_out();
    }

    /// The deadline of the core, if it has come.
    pub(crate) fn tick(&mut self) -> bool {
        let due = self
            .core
            .next_deadline()
            .is_some_and(|at| at <= self.now.mono);
        if due {
            self.tell(Input::Tick);
            self.run_pumps();
        }
        due
    }

    /// Starts to stop: the core hears it first.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        let from = self.desk.me();
        self.tell(Input::Letter {
            from,
            letter: Letter::Drain,
        });
        self.run_pumps();
        for index in 0..self.slots.len() as u32 {
            self.settle(index);
        }
        self.run_pumps();
    }

    /// Reads mail, senders in order. Whether there was any.
    pub(crate) fn read_mail(&mut self) -> bool {
        let mut any = false;
        for from in 0..self.desk.senders() {
            let mut mail = std::mem::take(&mut self.mail);
            self.desk.collect(from, TURN_LETTERS_MAX, &mut mail);
            any |= !mail.is_empty();
            for mail in mail.drain(..) {
                match mail {
                    Mail::Letter(letter) => {
                        self.tell(Input::Letter {
                            from: ShardId(from as u16),
                            letter,
                        });
                    }
                    Mail::Adopt { socket, unread } => self.adopt(socket, &unread),
                }
                self.run_pumps();
            }
            self.mail = mail;
        }
        any
    }

    /// Starts queued sends, as many as a turn may. Whether any were started.
    pub(crate) fn flush(&mut self) -> bool {
        let (mut sends, mut bytes) = (0, 0);
        while sends < TURN_SENDS_MAX && bytes < TURN_SEND_BYTES_MAX {
            let Some((index, generation)) = self.ready.pop_front() else {
                break;
            };
            let slot = self.slots.at(index);
            if slot.generation != generation {
                continue;
            }
            slot.queued = false;
            let startable = !slot.sending
                && slot.unsent() > 0
                && matches!(slot.stage, Stage::Open | Stage::Moving);
            if startable {
                bytes += self.start_send(index);
                sends += 1;
            }
        }
        sends > 0
    }

    /// Whether sends wait for their turn.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Gives bytes to the connection and its events to the core.
    fn feed(&mut self, index: u32, bytes: &[u8]) {
        let slot = self.slots.at(index);
        if slot
            .backlog
            .as_ref()
            .is_some_and(|backlog| !backlog.unread.is_empty())
        {
            return self.keep(index, bytes);
        }
        self.feeding = Some(index);
        let mut at = 0;
        while self.feed_event(index, bytes, &mut at) {}
        self.feeding = None;
        let slot = self.slots.at(index);
        slot.last |= slot.http.must_close();
        match slot.stage {
            Stage::Open if slot.last => {}
            Stage::Open => {
                slot.paused = slot.is_behind() || !slot.http.wants_bytes();
                self.keep(index, &bytes[at..]);
            }
            Stage::Moving => self.keep(index, &bytes[at..]),
            Stage::Lingering | Stage::Closing | Stage::Free => {}
        }
    }

    /// One event of the connection. Whether there may be another.
    fn feed_event(&mut self, index: u32, bytes: &[u8], at: &mut usize) -> bool {
        let slot = self.slots.at(index);
        if slot.stage != Stage::Open || slot.last || slot.is_behind() {
            return false;
        }
        let before = exchange_id(index, slot);
        let Slot {
            http,
            exchange,
            phase,
            ingest,
            fresh,
            ..
        } = slot;
        // What it has kept comes first, and must not grow beyond its bound.
        let mut rest = if http.wants_bytes() {
            &bytes[*at..]
        } else {
            &[]
        };
        let offered = rest.len();
        let event = http.poll(&mut rest, self.now.wall);
        *at += offered - rest.len();
        let Some(event) = event else { return false };
        let (mut refusal, mut broken) = (None, false);
        let input = match event {
            Event::Request(ref request) => {
                *exchange = exchange.wrapping_add(1);
                *phase = Phase::Core;
                *fresh = false;
                let exchange = ExchangeId(u64::from(*exchange) << 32 | u64::from(index));
                Some(Input::Request { exchange, request })
            }
            Event::Body(data) => {
                *ingest = true;
                Some(Input::Body {
                    exchange: before,
                    data,
                })
            }
            Event::BodyEnd => Some(Input::BodyEnd { exchange: before }),
            Event::Refuse { reply, in_body } => {
                refusal = Some(reply);
                in_body.then_some(Input::Gone { exchange: before })
            }
            Event::Break => {
                broken = true;
                Some(Input::Gone { exchange: before })
            }
        };
        if let Some(input) = input {
            self.core.handle(self.now, input);
        }
        self.carry_out();
        if let Some(reply) = refusal {
            self.refuse(index, reply);
        }
        if broken {
            socket::reset_on_close(self.slots.at(index).socket);
            self.close(index);
        }
        true
    }

    /// Carries out all effects of the last input.
    fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Continue { exchange } => {
                    if let Some(index) = self.slots.by_exchange(exchange) {
                        let bytes = self.slots.at(index).http.respond_continue();
                        self.owe(index, bytes);
                    }
                }
                Effect::Respond { exchange, reply } => self.respond(exchange, &reply),
                Effect::Data { exchange, data } => {
                    self.stream(exchange, |http| http.data(&data));
                }
                Effect::End { exchange } => self.stream(exchange, Connection::end),
                Effect::Abort { exchange } => {
                    if let Some(index) = self.slots.by_exchange(exchange) {
                        self.abort(index);
                    }
                }
                Effect::Move { exchange, to } => {
                    if let Some(index) = self.slots.by_exchange(exchange) {
                        self.start_move(index, to);
                    }
                }
                Effect::Post { to, letter } => {
                    if let Err(letter) = self.desk.post(to, letter) {
                        self.core.undelivered(to, letter);
                    }
                }
                Effect::Drained => self.drained = true,
            }
        }
    }

    fn respond(&mut self, exchange: ExchangeId, reply: &Reply) {
        let Some(index) = self.slots.by_exchange(exchange) else {
            return;
        };
        let slot = self.slots.at(index);
        if !slot.http.owes_response() {
            return;
        }
        let wire = slot.http.respond(reply);
        self.owe_wire(index, wire);
    }

    /// Sends more of a streamed response, if it is still under way.
    fn stream(&mut self, exchange: ExchangeId, wire: impl FnOnce(&mut Connection) -> Wire) {
        let Some(index) = self.slots.by_exchange(exchange) else {
            return;
        };
        let slot = self.slots.at(index);
        if slot.http.is_streaming() {
            let wire = wire(&mut slot.http);
            self.owe_wire(index, wire);
        }
    }

    fn owe_wire(&mut self, index: u32, wire: Wire) {
        self.slots.at(index).last |= wire.close;
        for piece in wire.pieces {
            self.owe(index, piece);
        }
        self.look_again(index);
    }

    /// Sends what the connection itself answers to a peer that broke the rules,
    /// then ends it.
    fn refuse(&mut self, index: u32, reply: Reply) {
        let slot = self.slots.at(index);
        if slot.stage == Stage::Open {
            slot.last = true;
            self.counters.refusals[usize::from(reply.status / 100 - 1)] += 1;
            self.owe(index, reply.first);
            for piece in reply.rest.pieces() {
                self.owe(index, piece.clone());
            }
        }
    }

    fn owe(&mut self, index: u32, piece: Bytes) {
        let slot = self.slots.at(index);
        slot.backlog
            .get_or_insert_with(|| self.pool.take())
            .push(piece);
        self.look_again(index);
    }

    /// Has a slot settled that is not the one being read.
    fn look_again(&mut self, index: u32) {
        if self.feeding != Some(index) && self.pumps.back() != Some(&index) {
            self.pumps.push_back(index);
        }
    }

    fn keep(&mut self, index: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            let slot = self.slots.at(index);
            let backlog = slot.backlog.get_or_insert_with(|| self.pool.take());
            backlog.unread.extend_from_slice(bytes);
        }
    }

    fn start_move(&mut self, index: u32, to: ShardId) {
        let slot = self.slots.at(index);
        let http = std::mem::replace(&mut slot.http, Connection::new());
        slot.stage = Stage::Moving;
        let backlog = slot.backlog.get_or_insert_with(|| self.pool.take());
        assert!(
            backlog.unread.is_empty(),
            "kept bytes are read before newer ones"
        );
        backlog.unread = http.into_unread();
        backlog.destination = Some(to);
        self.look_again(index);
    }

    /// Reads on where an answer from elsewhere, or a send, made room. Fan-outs
    /// are sent in the order in which they were answered.
    fn run_pumps(&mut self) {
        while let Some(index) = self.pumps.pop_front() {
            let slot = self.slots.at(index);
            if slot.stage == Stage::Open {
                let unread = slot
                    .backlog
                    .as_mut()
                    .map(|b| std::mem::take(&mut b.unread))
                    .unwrap_or_default();
                self.feed(index, &unread);
            }
            self.queue(index);
            self.settle(index);
        }
    }

    /// Decides what is next for a connection after anything has happened to it.
    fn settle(&mut self, index: u32) {
        let slot = self.slots.at(index);
        match slot.stage {
            Stage::Free => return,
            Stage::Open => self.settle_open(index),
            Stage::Lingering if slot.ended => self.close(index),
            Stage::Lingering => {}
            Stage::Moving => self.settle_moving(index),
            Stage::Closing if slot.in_flight() => return,
            Stage::Closing => return self.free(index),
        }
        self.settle_recv(index);
    }

    fn settle_open(&mut self, index: u32) {
        let draining = self.draining;
        let slot = self.slots.at(index);
        let phase = slot.current_phase();
        if phase != slot.phase {
            slot.phase = phase;
            slot.since = tenths(self.now.mono);
        }
        if slot.ended && slot.http.in_body() && slot.http.owes_response() {
            return self.lose(index);
        }
        if slot.unsent() > 0 {
            return self.send_on(index);
        }
        if slot.last {
            return self.finish(index);
        }
        if slot.ended {
            return self.lose(index);
        }
        if draining && !slot.fresh && !slot.http.is_open() {
            return self.finish(index);
        }
        self.tidy(index);
    }

    /// Gives an idle backlog back.
    fn tidy(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if !slot.sending
            && slot
                .backlog
                .as_ref()
                .is_some_and(|backlog| backlog.is_idle())
        {
            let backlog = slot.backlog.take().expect("just seen");
            self.pool.give_back(backlog);
        }
    }

    fn settle_moving(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.unsent() > 0 {
            return self.send_on(index);
        }
        if slot.in_flight() {
            return;
        }
        let mut backlog = slot.backlog.take().expect("a destination is in a backlog");
        let to = backlog.destination.take().expect("it moves somewhere");
        let unread = std::mem::take(&mut backlog.unread);
        self.pool.give_back(backlog);
        let socket = socket::own(self.slots.remove(index));
        self.counters.moved += 1;
        self.desk.hand_over(to, socket, unread);
    }

    /// Arms, ends or changes the receive.
    fn settle_recv(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.stage >= Stage::Closing {
            return;
        }
        let generation = slot.generation;
        let tag = |op| Tag {
            op,
            slot: index,
            generation,
        };
        match (slot.receive, slot.wants_recv()) {
            (Receive::Off, true) if slot.ingest => {
                slot.receive = Receive::Large;
                self.ring.recv(slot.socket, LARGE, tag(Op::RecvLarge));
            }
            (Receive::Off, true) => {
                slot.receive = Receive::Small;
                self.ring.recv(slot.socket, SMALL, tag(Op::RecvSmall));
            }
            (Receive::Small, wanted) if !wanted || slot.ingest => {
                slot.receive = Receive::Ending;
                self.ring.cancel(tag(Op::RecvSmall));
            }
            (Receive::Large, false) => {
                slot.receive = Receive::Ending;
                self.ring.cancel(tag(Op::RecvLarge));
            }
            _ => {}
        }
    }

    /// Sends a small answer now, a large one in its turn.
    fn send_on(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.sending || slot.queued {
            return;
        }
        if slot.unsent() <= ONE_SEND_BYTES_MAX as u64 {
            self.start_send(index);
        } else {
            self.queue(index);
        }
    }

    fn queue(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if !slot.queued && !slot.sending && slot.unsent() > 0 {
            slot.queued = true;
            let generation = slot.generation;
            self.ready.push_back((index, generation));
        }
    }

    fn start_send(&mut self, index: u32) -> usize {
        let slot = self.slots.at(index);
        slot.sending = true;
        let tag = Tag {
            op: Op::Send,
            slot: index,
            generation: slot.generation,
        };
        let backlog = slot.backlog.as_ref().expect("something is to be sent");
        self.ring.send(slot.socket, backlog.burst(), tag)
    }

    /// Everything is sent: ends the connection so that the peer reads it all.
    fn finish(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.ended {
            return self.close(index);
        }
        socket::shutdown_send(slot.socket);
        slot.stage = Stage::Lingering;
        slot.since = tenths(self.now.mono);
        self.tidy(index);
    }

    /// The peer is gone: tells the core if an exchange dies with it.
    fn lose(&mut self, index: u32) {
        let slot = self.slots.at(index);
        let open = slot.stage == Stage::Open && slot.http.is_open();
        let exchange = exchange_id(index, slot);
        self.close(index);
        if open {
            self.tell(Input::Gone { exchange });
        }
    }

    /// Ends a connection in the midst of a response, so that nobody takes the
    /// half of it for the whole.
    fn abort(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.unsent() > 0 || slot.http.is_open() {
            socket::reset_on_close(slot.socket);
        }
        self.close(index);
    }

    /// Ends a connection now; its descriptor goes when nothing is in flight.
    fn close(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.stage >= Stage::Closing {
            return;
        }
        slot.stage = Stage::Closing;
        slot.since = tenths(self.now.mono);
        if slot.in_flight() {
            self.ring.cancel_all(slot.socket);
        } else {
            self.free(index);
        }
    }

    fn free(&mut self, index: u32) {
        if let Some(backlog) = self.slots.at(index).backlog.take() {
            self.pool.give_back(backlog);
        }
        let socket = self.slots.remove(index);
        self.ring.close(socket);
    }

    /// Holds one connection to its time limit.
    pub(crate) fn check_time(&mut self, index: u32) {
        let now = tenths(self.now.mono);
        let slot = self.slots.at(index);
        let age_ms = u64::from(now.saturating_sub(slot.since)) * 100;
        match slot.stage {
            Stage::Free => {}
            Stage::Open => self.check_open(index, age_ms),
            Stage::Lingering if age_ms >= self.patience.linger_ms => self.close(index),
            Stage::Lingering => {}
            Stage::Moving => {
                if self.is_stalled(index, age_ms) {
                    self.abort(index);
                }
            }
            Stage::Closing if age_ms >= 1000 => {
                // A cancellation that missed its request; this can't.
                socket::shutdown_both(slot.socket);
                slot.since = now;
            }
            Stage::Closing => {}
        }
    }

    fn check_open(&mut self, index: u32, age_ms: u64) {
        let Slot { phase, ingest, .. } = *self.slots.at(index);
        let Patience {
            idle_encoder_ms,
            idle_player_ms,
            ..
        } = self.patience;
        let idle_ms_max = if ingest {
            idle_encoder_ms
        } else {
            idle_player_ms
        };
        match phase {
            Phase::Idle if age_ms >= idle_ms_max => self.close(index),
            Phase::Head if age_ms >= self.patience.head_ms => {
                self.refuse(index, timeout_reply(self.now.wall));
            }
            Phase::Body if age_ms >= self.patience.upload_silent_ms => self.lose(index),
            Phase::Send if self.is_stalled(index, age_ms) => {
                socket::reset_on_close(self.slots.at(index).socket);
                self.lose(index);
            }
            _ => return,
        }
        self.run_pumps();
        self.counters.timed_out += 1;
    }

    /// Whether the peer has taken no byte for too long. A send may be in flight
    /// for minutes while a slow peer reads: what it acknowledges counts.
    fn is_stalled(&mut self, index: u32, age_ms: u64) -> bool {
        let now = tenths(self.now.mono);
        let slot = self.slots.at(index);
        if age_ms < 1000 || slot.unsent() == 0 {
            return false;
        }
        let left = socket::unacknowledged(slot.socket).saturating_add(1);
        let Some(backlog) = slot.backlog.as_mut() else {
            return false;
        };
        let before = std::mem::replace(&mut backlog.unacknowledged, left);
        if before != 0 && left < before {
            slot.since = now;
            return false;
        }
        age_ms >= self.patience.send_stall_ms
    }

    /// Closes what only waits for a request, once the core has drained.
    pub(crate) fn close_quiet(&mut self) {
        for index in 0..self.slots.len() as u32 {
            let slot = self.slots.at(index);
            let answers = slot.http.owes_response() || slot.http.is_streaming();
            if slot.stage == Stage::Open && slot.unsent() == 0 && !answers {
                self.finish(index);
                self.settle_recv(index);
            }
        }
    }

    /// Breaks everything that is left.
    pub(crate) fn abort_all(&mut self) {
        for index in 0..self.slots.len() as u32 {
            if self.slots.at(index).stage < Stage::Closing {
                self.abort(index);
            }
        }
    }
}
