//! A channel of another core, kept by its changes so that this core's players
//! are answered here.

use crate::media::channel::Channel;
use crate::shard::Deferred;
use crate::shard::reader::Reader;
use crate::time::Mono;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Mirror {
    /// Absent until the first snapshot.
    pub(super) channel: Option<Channel>,
    pub(super) reader: Reader,
    /// Requests that wait for a snapshot, or for something to be served.
    pub(super) early: Vec<Deferred>,
    /// A subscription has been asked for and not been answered.
    pub(super) asked: bool,
    /// Its home sends chunks ahead of their parts.
    pub(super) listening: bool,
    /// When somebody last read a segment as it grew.
    pub(super) read: Mono,
    /// When a player last asked for it.
    pub(super) used: Mono,
    /// When its home was last heard, or asked.
    pub(super) heard: Mono,
}

impl Mirror {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            channel: None,
            reader: Reader::new(),
            early: Vec::new(),
            asked: false,
            listening: false,
            read: now,
            used: now,
            heard: now,
        }
    }
}
