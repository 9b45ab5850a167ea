//! What every answer of a shard passes over: effects, counters and the set of
//! exchanges that are parked.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use crate::hls::gzip::Deflater;
use crate::http::reply::Reply;
use crate::media::rope::Rope;
use crate::metrics::Counters;
use crate::shard::{Effect, ExchangeId, Letter, ShardId};
use crate::time::Wall;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) effects: VecDeque<Effect>,
    pub(super) counters: Counters,
    /// Those that wait for media: held requests and streamed responses.
    pub(super) parked: BTreeSet<ExchangeId>,
    pub(super) deflater: Deflater,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            effects: VecDeque::new(),
            counters: Counters::default(),
            parked: BTreeSet::new(),
            deflater: Deflater::new(),
        }
    }

    /// Answers an exchange.
    pub(super) fn respond(&mut self, exchange: ExchangeId, reply: Rc<Reply>) {
        let class = usize::from(reply.status / 100).clamp(1, 5) - 1;
        self.counters.responses[class] += 1;
        self.counters.sent_bytes += reply.head_len as u64 + reply.body_len();
        self.effects.push_back(Effect::Respond { exchange, reply });
    }

    /// Answers with a line of text that nobody keeps.
    pub(super) fn text(&mut self, exchange: ExchangeId, status: u16, message: &str, wall: Wall) {
        self.respond(exchange, Rc::new(Reply::text(status, message, wall)));
    }

    /// Answers an exchange that was parked, unless its peer has left.
    pub(super) fn release(&mut self, exchange: ExchangeId, reply: &Rc<Reply>) {
        if self.parked.remove(&exchange) {
            self.counters.released += 1;
            self.respond(exchange, Rc::clone(reply));
        }
    }

    /// Refuses an exchange whose deadline came while it was parked.
    pub(super) fn expire(&mut self, exchange: ExchangeId, reply: &Rc<Reply>) {
        if self.parked.remove(&exchange) {
            self.counters.expired += 1;
            self.respond(exchange, Rc::clone(reply));
        }
    }

    /// Sends more of a streamed response.
    pub(super) fn data(&mut self, exchange: ExchangeId, data: Rc<Rope>) {
        self.counters.sent_bytes += data.len();
        self.effects.push_back(Effect::Data { exchange, data });
    }

    /// Ends a streamed response, unless its peer has left.
    pub(super) fn end(&mut self, exchange: ExchangeId) {
        if self.parked.remove(&exchange) {
            self.effects.push_back(Effect::End { exchange });
        }
    }

    /// Breaks a streamed response off, unless its peer has left.
    pub(super) fn abort(&mut self, exchange: ExchangeId) {
        if self.parked.remove(&exchange) {
            self.effects.push_back(Effect::Abort { exchange });
        }
    }

    pub(super) fn post(&mut self, to: ShardId, letter: Letter) {
        self.effects.push_back(Effect::Post { to, letter });
    }
}
