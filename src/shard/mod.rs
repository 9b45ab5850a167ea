//! One core's whole server without a system call.
//!
//! A shard owns the channels whose home it is, mirrors of others that its
//! players watch, the uploads of its encoders and the requests parked on it.
//! The shell feeds [`Input`]s and carries out [`Effect`]s; the boundary is the
//! exchange, one request and its response, so that protocols are added outside.

mod ahead;
mod chatter;
mod control;
mod dateranges;
mod delivery;
mod desk;
mod home;
mod letter;
mod mail;
mod mirror;
mod parked;
mod reader;
mod settings;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::http::reply::Reply;
use crate::http::request::{Method, Request};
use crate::http::route::Route;
use crate::media::rope::Rope;
use crate::metrics::ShellCounters;
use crate::shard::chatter::Chatter;
use crate::shard::control::Gathering;
use crate::shard::dateranges::Order;
use crate::shard::delivery::Deferred;
use crate::shard::desk::Desk;
use crate::shard::home::Home;
use crate::shard::mirror::Mirror;
use crate::time::{Mono, Now};

pub use crate::shard::letter::{ChannelReport, Letter, Report, TrackReport};
pub use crate::shard::settings::Settings;

/// Index of a core's shard in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// One request and its response; the shell picks the value and never uses one
/// twice while the exchange is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// What the shell tells a shard.
#[derive(Debug)]
pub enum Input<'a> {
    /// A request head is whole. `Body` and `BodyEnd` follow when it has a body.
    Request {
        /// The exchange it opens.
        exchange: ExchangeId,
        /// The head.
        request: &'a Request<'a>,
    },
    /// Some bytes of the body, transfer coding removed.
    Body {
        /// Of which exchange.
        exchange: ExchangeId,
        /// At least one byte.
        data: &'a [u8],
    },
    /// The body is whole.
    BodyEnd {
        /// Of which exchange.
        exchange: ExchangeId,
    },
    /// The peer is gone, or its body can't be whole any more. No effect for
    /// this exchange is wanted after it.
    Gone {
        /// Which exchange.
        exchange: ExchangeId,
    },
    /// A letter from another shard, in the order in which that shard posted.
    Letter {
        /// Who posted it.
        from: ShardId,
        /// What it says.
        letter: Letter,
    },
    /// The moment of [`Shard::next_deadline`] has come, or some time has
    /// passed.
    ///
    /// [`Shard::next_deadline`]: crate::shard::Shard::next_deadline
    Tick,
}

/// What a shard wants done.
#[derive(Debug)]
pub enum Effect {
    /// Send `100 Continue`.
    Continue {
        /// For which exchange.
        exchange: ExchangeId,
    },
    /// Send this response; the exchange is over once its body has ended too.
    /// Where the response is streamed, `Data` and `End` or `Abort` follow,
    /// unless it answers HEAD.
    Respond {
        /// For which exchange.
        exchange: ExchangeId,
        /// Shared by all exchanges that get the same bytes.
        reply: Rc<Reply>,
    },
    /// Send more of the body of a streamed response.
    Data {
        /// Of which exchange.
        exchange: ExchangeId,
        /// At least one byte; shared by all exchanges that get the same.
        data: Rc<Rope>,
    },
    /// The body of a streamed response is whole.
    End {
        /// Of which exchange.
        exchange: ExchangeId,
    },
    /// Break the connection, without a response or in the midst of one.
    Abort {
        /// Of which exchange.
        exchange: ExchangeId,
    },
    /// Hand the connection to another core and replay the request there. Comes
    /// in answer to `Request` alone; the exchange is void here.
    Move {
        /// Which exchange.
        exchange: ExchangeId,
        /// Where its channel is at home.
        to: ShardId,
    },
    /// Put a letter into another shard's mailbox. The shell answers a full
    /// mailbox by [`Shard::undelivered`].
    ///
    /// [`Shard::undelivered`]: crate::shard::Shard::undelivered
    Post {
        /// To whom.
        to: ShardId,
        /// What it says.
        letter: Letter,
    },
    /// All that must be said before the process ends has been said.
    Drained,
}

/// Who a shard is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Its index.
    pub id: ShardId,
    /// How many there are.
    pub count: u16,
}

/// How often time is let pass for what has no deadline of its own.
const TICK_MS: u64 = 50;

/// See the module's head.
#[derive(Debug)]
pub struct Shard {
    identity: Identity,
    settings: Arc<Settings>,
    desk: Desk,
    chatter: Chatter,
    homes: BTreeMap<Arc<str>, Home>,
    mirrors: BTreeMap<Arc<str>, Mirror>,
    /// The channel of every upload under way.
    uploads: BTreeMap<ExchangeId, Arc<str>>,
    /// Exchanges whose body is read and dropped, then answered with 200.
    sinks: BTreeSet<ExchangeId>,
    /// Descriptions of date ranges that are not whole.
    orders: BTreeMap<ExchangeId, Order>,
    gatherings: BTreeMap<u64, Gathering>,
    next_ticket: u64,
    last_tick: Mono,
    shell: ShellCounters,
    /// Media of all homes, in bytes, as of the last tick.
    memory_held: u64,
    draining: bool,
}

impl Shard {
    /// A shard without channels.
    pub fn new(identity: Identity, settings: Arc<Settings>) -> Self {
        assert!(
            identity.id.0 < identity.count,
            "a shard is one of its process"
        );
        Self {
            identity,
            settings,
            desk: Desk::new(),
            chatter: Chatter::default(),
            homes: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            uploads: BTreeMap::new(),
            sinks: BTreeSet::new(),
            orders: BTreeMap::new(),
            gatherings: BTreeMap::new(),
            next_ticket: 0,
            last_tick: Mono::default(),
            shell: ShellCounters::default(),
            memory_held: 0,
            draining: false,
        }
    }

    /// Takes one input. Effects of the last one must have been taken before.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        assert!(
            self.desk.effects.is_empty(),
            "effects are taken before the next input"
        );
        match input {
            Input::Request { exchange, request } => self.request(now, exchange, request),
            Input::Body { exchange, data } => self.body(now, exchange, data),
            Input::BodyEnd { exchange } => self.body_end(now, exchange),
            Input::Gone { exchange } => self.gone(now, exchange),
            Input::Letter { from, letter } => self.letter(now, from, letter),
            Input::Tick => self.tick(now),
        }
    }

    /// The next effect, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.desk.effects.pop_front()
    }

    /// The earliest moment at which `Tick` has work.
    pub fn next_deadline(&self) -> Option<Mono> {
        let busy =
            !(self.homes.is_empty() && self.mirrors.is_empty() && self.gatherings.is_empty());
        busy.then(|| self.last_tick.plus_ms(TICK_MS))
    }

    /// The shell's own counters, for reports.
    pub fn note_shell(&mut self, counters: &ShellCounters) {
        self.shell = *counters;
    }

    fn request(&mut self, now: Now, exchange: ExchangeId, request: &Request<'_>) {
        self.desk.counters.requests += 1;
        if self.draining {
            return self
                .desk
                .text(exchange, 503, "the origin is stopping", now.wall);
        }
        if request.method == Method::Options {
            return self
                .desk
                .respond(exchange, Rc::new(Reply::options(now.wall)));
        }
        let route = Route::parse(request.target);
        if let Route::Ingest {
            channel,
            path,
            query,
        } = route
        {
            return self.ingest(now, exchange, request, (channel, path, query));
        }
        if let Route::EndChannel { channel, query } = route {
            return self.end_channel(now, exchange, request, (channel, query));
        }
        if let Route::DateRanges { channel, id, query } = route {
            return self.date_ranges(now, exchange, request, (channel, id, query));
        }
        let readable = matches!(request.method, Method::Get | Method::Head);
        let nowhere = matches!(
            route,
            Route::Forbidden | Route::Unknown | Route::BadChannelName
        );
        if !readable && !nowhere {
            let allow = "GET, HEAD, OPTIONS";
            let reply = Reply::method_not_allowed(allow, now.wall);
            return self.desk.respond(exchange, Rc::new(reply));
        }
        match route {
            Route::Multivariant { channel }
            | Route::Mpd { channel, .. }
            | Route::Patch { channel, .. }
            | Route::MediaPlaylist { channel, .. }
            | Route::IFramePlaylist { channel, .. }
            | Route::Object { channel, .. } => {
                self.deliver(now, channel, route, &delivery::ask(exchange, request));
            }
            other => self.control(now, exchange, other),
        }
    }

    /// The home of a channel: the same on every core and in every life of the
    /// process with as many cores.
    fn home_of(&self, channel: &str) -> ShardId {
        ShardId((crate::hash::fnv1a(channel.as_bytes()) % u64::from(self.identity.count)) as u16)
    }

    fn gone(&mut self, now: Now, exchange: ExchangeId) {
        self.sinks.remove(&exchange);
        self.leave_gathering(exchange);
        self.orders.remove(&exchange);
        self.desk.parked.remove(&exchange);
        if let Some(name) = self.uploads.remove(&exchange)
            && let Some(home) = self.homes.get_mut(&name)
            && let Some(running) = home.uploads.remove(&exchange)
            && self.chatter.may_say(now.mono)
        {
            let track = running.upload.name();
            tracing::info!(channel = &*name, track, "the encoder left within an upload");
            let torn = running.upload.begun();
            home.tear(&torn);
            self.publish(now, &name);
        }
    }

    fn tick(&mut self, now: Now) {
        self.last_tick = now.mono;
        self.chatter.tick(now.mono);
        self.tick_homes(now);
        self.tick_mirrors(now);
        self.tick_gatherings(now);
    }
}
