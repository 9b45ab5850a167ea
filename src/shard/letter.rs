//! What crosses cores: the closed list of letters, and the reports they carry.

use std::sync::Arc;

use crate::media::ahead::Ahead;
use crate::media::channel::{Change, Channel};
use crate::metrics::{Counters, ShellCounters};

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
    /// Somebody here reads a segment of this channel while it grows, or nobody
    /// does any more.
    Listen {
        /// By name.
        channel: Arc<str>,
        /// Whether chunks are wanted ahead of their parts.
        wanted: bool,
    },
    /// Chunks of a segment under way, for a core that listens.
    Chunks {
        /// By name.
        channel: Arc<str>,
        /// In which life of the channel.
        generation: Arc<str>,
        /// The chunks.
        ahead: Ahead,
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
    /// Those of its shell, as of the last tenth of a second.
    pub shell: ShellCounters,
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
    /// Video, audio, text or metadata.
    pub kind: &'static str,
    /// RFC 6381.
    pub codec: String,
    /// BCP 47, where it is known.
    pub language: Option<String>,
    /// What it is for, where it is known.
    pub roles: Vec<String>,
    /// Newest whole segment.
    pub msn: Option<u64>,
    /// Whole segments listed.
    pub segments: u64,
    /// Bits a second that no stretch of a target duration exceeds by more than
    /// a quarter, as published.
    pub peak_bps: u64,
    /// Bits a second over an hour, as published.
    pub average_bps: u64,
    /// The last thing the encoder did wrong, if anything.
    pub complaint: Option<String>,
}
