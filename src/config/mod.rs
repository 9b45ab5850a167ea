//! Configuration: raw as written, then resolved and checked, once, at start.

/// What a shard needs to know, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Media listed in manifests, in milliseconds.
    pub window_ms: u64,
    /// Shortest segment cut from an endless upload, in milliseconds.
    pub segment_ms: u64,
    /// Part target in milliseconds; learned from the encoder when absent.
    pub part_ms: Option<u64>,
    /// A channel without media for this long counts as ended, in milliseconds.
    pub ended_after_ms: u64,
    /// Media of all channels of one shard, in bytes.
    pub memory_bytes: u64,
    /// Refuse part directives beyond the Advance Part Limit, as the letter of
    /// the HLS draft has it, instead of holding them.
    pub strict_part_limit: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_ms: 300_000,
            segment_ms: 2_000,
            part_ms: None,
            ended_after_ms: 60_000,
            memory_bytes: 4 << 30,
            strict_part_limit: false,
        }
    }
}
