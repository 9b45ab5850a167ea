//! What the operator decides of every channel.

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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window_ms: 300_000,
            segment_ms: 2_000,
            part_ms: None,
            part_addressing: PartAddressing::Url,
            ended_after_ms: 60_000,
        }
    }
}
