//! HLS: playlists drawn from a channel, and the decision on a blocking reload.
//!
//! Sections are those of draft-pantos-hls-rfc8216bis. Everything here is a pure
//! function of a [`Channel`](crate::media::channel::Channel): mirrors that
//! applied the same changes draw the same bytes.
//!
//! | file | owns |
//! |---|---|
//! | [`reload`] | delivery directives, the decision on a request, hinted parts |
//! | [`media`] | media playlists, version after version |
//! | `block` | text of segments that no longer changes |
//! | `daterange` | events of the channel as date ranges |
//! | [`operator`] | date ranges that an operator describes, in JSON |
//! | [`gzip`] | one gzip member out of pieces that were compressed before |
//! | [`multivariant`] | the multivariant playlist, its groups and names |
//! | `variables` | what the operator has playlists define |
//! | [`cache`] | lifetimes of answers |
//!
//! Which clause is done where and proved by which test, and what is not done,
//! stands in [`clauses`]; what real players trip over in [`players`].

mod block;
pub mod cache;
#[doc = include_str!("clauses.md")]
pub mod clauses {}
mod daterange;
pub mod gzip;
pub mod media;
pub mod multivariant;
pub mod operator;
#[doc = include_str!("players.md")]
pub mod players {}
pub mod reload;
#[cfg(test)]
mod testing;
mod uri;
mod variables;

use crate::media::channel::Track;
use crate::media::cmaf::Kind;

/// Which playlist of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// All its media.
    #[default]
    Media,
    /// The first frame of each segment of a video track (section 4.4.3.6). They
    /// have the numbers of their segments, so that these follow from time too.
    IFrames,
}

/// Parts are listed until they lie this many target durations from the end of
/// the list (section 6.2.2).
const HORIZON_TARGETS: u64 = 3;

/// Delta updates leave out what lies further from the end of the list than this
/// many target durations, the fewest allowed (section 4.4.3.8).
const SKIP_TARGETS: u64 = 6;
const _: () = assert!(SKIP_TARGETS < crate::media::event::REMEMBERED_TARGETS);

/// Whether a track has a media playlist that others name.
fn is_listed(track: &Track) -> bool {
    track.info.header.kind != Kind::Metadata
}
