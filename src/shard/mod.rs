//! One core's whole server without a system call.
//!
//! A shard owns the channels whose home it is, mirrors of others that its
//! players watch, the uploads of its encoders and the requests parked on it.
//! The shell feeds [`Input`]s and carries out [`Effect`]s; the boundary is the
//! exchange, one request and its response, so that protocols are added outside.

use std::rc::Rc;
use std::sync::Arc;

use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::media::channel::{Change, Channel};
use crate::metrics::Counters;

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
    Respond {
        /// For which exchange.
        exchange: ExchangeId,
        /// Shared by all exchanges that get the same bytes.
        reply: Rc<Reply>,
    },
    /// Break the connection without a response.
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

/// The closed list of what crosses cores.
#[derive(Clone, Debug)]
pub enum Letter {
    /// Send me the channel and then its changes.
    Subscribe {
        /// By name.
        channel: Arc<str>,
    },
    /// I no longer serve this channel.
    Unsubscribe {
        /// By name.
        channel: Arc<str>,
    },
    /// The channel as it stands, or that there is none by this name.
    Snapshot {
        /// By name.
        channel: Arc<str>,
        /// Everything, sharing memory.
        state: Option<Box<Channel>>,
    },
    /// The next batch of changes of a channel you subscribed to.
    Change {
        /// By name.
        channel: Arc<str>,
        /// Number of the batch, one more than the last.
        seq: u64,
        /// What changed.
        changes: Arc<[Change]>,
    },
    /// Tell me your counters and your channels.
    Gather {
        /// Echoed in the answer.
        ticket: u64,
    },
    /// The answer to `Gather`.
    Gathered {
        /// From the question.
        ticket: u64,
        /// Counters and channels of one shard.
        report: Box<Report>,
    },
    /// Stop: answer what is parked, end uploads, then report `Drained`.
    Drain,
}

/// What one shard knows, for `/metrics` and the control interface.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Whose it is.
    pub shard: u16,
    /// Plain counters.
    pub counters: Counters,
    /// Channels whose home the shard is.
    pub channels: Vec<ChannelReport>,
}

/// One channel in a [`Report`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct ChannelReport {
    /// Its name.
    pub name: String,
    /// Idle, priming, live, stalled or ended.
    pub state: String,
    /// Index of its home shard.
    pub home: u16,
    /// Requests parked on it, on its home shard.
    pub parked: u64,
    /// Uploads open.
    pub uploads: u64,
    /// Media held in memory, in bytes.
    pub bytes: u64,
    /// Its tracks.
    pub tracks: Vec<TrackReport>,
}

/// One track in a [`ChannelReport`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct TrackReport {
    /// Its name.
    pub name: String,
    /// RFC 6381.
    pub codec: String,
    /// Newest whole segment.
    pub msn: Option<u64>,
    /// Whole segments listed.
    pub segments: u64,
    /// Bits a second, measured.
    pub average_bps: u64,
    /// The last thing the encoder did wrong, if anything.
    pub complaint: Option<String>,
}

/// Who a shard is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its index.
    pub id: ShardId,
    /// How many there are.
    pub count: u16,
    /// Differs for every life of the process: goes into names of media.
    pub epoch: u64,
}

/// See the module's head.
#[derive(Debug)]
pub struct Shard {}

impl Shard {
    /// A shard without channels.
    pub fn new(identity: Identity, settings: Arc<crate::config::Settings>) -> Self {
        let _ = (identity, settings);
        todo!()
    }

    /// Takes one input. Effects of the last one must have been taken before.
    pub fn handle(&mut self, now: crate::time::Now, input: Input<'_>) {
        let _ = (now, input);
        todo!()
    }

    /// The next effect, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        todo!()
    }

    /// The earliest moment at which `Tick` has work.
    pub fn next_deadline(&self) -> Option<crate::time::Mono> {
        todo!()
    }

    /// A letter of `Effect::Post` found the mailbox of `to` full.
    pub fn undelivered(&mut self, to: ShardId, letter: Letter) {
        let _ = (to, letter);
        todo!()
    }
}
