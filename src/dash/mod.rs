//! DASH: media presentation descriptions drawn from a channel.
//!
//! Sections are those of ISO/IEC 23009-1. Everything here is a pure function of
//! a [`Channel`]: mirrors that applied the same changes draw the same bytes.
//! Segments and CMAF headers are the objects that HLS names, under the same
//! URLs.
//!
//! | file | owns |
//! |---|---|
//! | [`mpd`] | the MPD of a channel |
//! | [`patch`] | what has changed from one version to another |
//! | `events` | events of the channel as event streams |
//! | `sets` | tracks to adaptation sets, and what is said of them |
//! | `segments` | segment templates and timelines |
//! | `xml` | elements and attributes as text |
//!
//! Which clause is done where and proved by which test, and what is not done,
//! stands in [`clauses`].
//!
//! MPDs are written by a writer of our own: the model of `dash-mpd-core` has no
//! place for `SegmentTemplate@k` and makes a tree of allocations of every
//! version, and brings sixty crates along. It is the foreign reader of the tests.

#[doc = include_str!("clauses.md")]
pub mod clauses {}
mod events;
pub mod mpd;
pub mod patch;
mod segments;
mod sets;
mod xml;

use crate::http::reply::Cache;
use crate::media::channel::{Channel, State};
use crate::media::stretch::Stamp;

pub use crate::http::route::Document;

/// For how long a patch can be had of a version, in seconds.
pub const PATCH_TTL_S: u64 = 60;

/// What is drawn changes with this and never else.
pub fn stamp(channel: &Channel, document: Document) -> Stamp {
    let stretches = channel.stretches();
    let even = || stretches.settled().all(|stretch| stretch.even);
    if document != Document::Timeline && !channel.state().is_over() && even() {
        stretches.layout()
    } else {
        stretches.segments()
    }
}

/// Whether there is a segment to begin with: MPDs before that are kept waiting.
pub fn is_ready(channel: &Channel) -> bool {
    let stretches = channel.stretches();
    channel.is_served()
        && stretches.cell().is_some()
        && stretches
            .settled()
            .any(|stretch| stretch.lanes().any(|(_, lane)| !lane.runs.is_empty()))
}

/// A presentation that has ended changes no more, but its name may live again.
const ENDED_S: u64 = 3600;

/// How long an MPD may be kept. Clients ask again when they need to know, so
/// no cache of their own may answer; a shared one answers a herd of them.
pub fn lifetime(channel: &Channel) -> Cache {
    match channel.state() {
        State::Ended | State::Gone => Cache::MaxAge(ENDED_S),
        _ => Cache::Shared(1),
    }
}

#[cfg(test)]
mod tests;
