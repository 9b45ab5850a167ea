//! What the operator decides of every channel.

use std::fmt;

/// How manifests say where a part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartAddressing {
    /// By a URL of its own.
    #[default]
    Url,
    /// As a range of bytes of its segment, which grows under its URL.
    ByteRange,
}

/// What a publisher goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Media listed in manifests, in milliseconds.
    pub window_ms: u64,
    /// Shortest segment cut from an endless upload, in milliseconds.
    pub segment_ms: u64,
    /// Part target in milliseconds; learned from the encoder when absent.
    pub part_ms: Option<u64>,
    /// How manifests say where a part is.
    pub part_addressing: PartAddressing,
    /// A channel without media for this long has ended, in milliseconds.
    pub ended_after_ms: u64,
    /// What becomes of such a channel.
    pub after_end: AfterEnd,
    /// Media that does not come is stood in for by gaps, so that the edge of
    /// every playlist goes on.
    pub fill_gaps: bool,
    /// How much later than usual media may be before that, in milliseconds.
    pub fill_patience_ms: u64,
}

/// What becomes of a channel whose encoders were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterEnd {
    /// Its playlists say that they have ended, and stay for a window.
    Endlist,
    /// Its playlists are withdrawn at once; its media stays for a window.
    Gone,
}

impl fmt::Display for AfterEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endlist => "endlist",
            Self::Gone => "gone",
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window_ms: 300_000,
            segment_ms: 2_000,
            part_ms: None,
            part_addressing: PartAddressing::Url,
            ended_after_ms: 60_000,
            after_end: AfterEnd::Endlist,
            fill_gaps: false,
            fill_patience_ms: 500,
        }
    }
}
