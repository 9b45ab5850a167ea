//! What an encoder did wrong: whose fault, on which track, at which byte.

use std::fmt;

/// A refusal of media, addressed to the encoder that sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Name of the track, where it is known.
    pub track: Option<String>,
    /// Position in the body of the upload.
    pub at: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The boxes don't parse; the text names the box.
    Boxes(String),
    /// Media came and no CMAF header for its track did, in time.
    NoHeader,
    /// The header names a codec or layout that can't be served.
    Unsupported(String),
    /// Decode time lies before media that has been published, by this much.
    TimeBack {
        /// Milliseconds.
        by_ms: u64,
    },
    /// Decode time lies too far ahead to be a gap, by this much.
    TimeAhead {
        /// Milliseconds.
        by_ms: u64,
    },
    /// A bound of `limits` was met; the text names it.
    Limit(&'static str),
    /// There is no room for more media now.
    Capacity,
    /// Another upload of the same track has taken over.
    Superseded,
}

impl Fault {
    /// A fault of the upload at `at`.
    pub fn new(track: Option<&str>, at: u64, kind: FaultKind) -> Self {
        Self {
            track: track.map(str::to_owned),
            at,
            kind,
        }
    }
}

impl Fault {
    /// Whether only the decode time of a chunk is wrong: what follows may be
    /// sound, or show that the clock really was reset.
    pub fn is_of_time(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::TimeBack { .. } | FaultKind::TimeAhead { .. }
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(track) = &self.track {
            write!(f, "track {track}: ")?;
        }
        // The text about boxes names its own byte, deeper in.
        if !matches!(self.kind, FaultKind::Boxes(_)) {
            write!(f, "byte {}: ", self.at)?;
        }
        match &self.kind {
            FaultKind::Boxes(text) => f.write_str(text),
            FaultKind::NoHeader => {
                f.write_str("media without a CMAF header; send the header again")
            }
            FaultKind::Unsupported(what) => write!(f, "not supported: {what}"),
            FaultKind::TimeBack { by_ms } => {
                write!(
                    f,
                    "decode time jumps back by {by_ms} ms; a restart begins with a header"
                )
            }
            FaultKind::TimeAhead { by_ms } => {
                write!(
                    f,
                    "decode time jumps ahead by {by_ms} ms; a restart begins with a header"
                )
            }
            FaultKind::Limit(what) => write!(f, "more than this origin holds: {what}"),
            FaultKind::Capacity => f.write_str("no room for more media now"),
            FaultKind::Superseded => f.write_str("a newer upload of this track has taken over"),
        }
    }
}
