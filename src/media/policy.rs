//! What the operator decides of every channel.

/// Durations a publisher goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Media listed in manifests, in milliseconds.
    pub window_ms: u64,
    /// Shortest segment cut from an endless upload, in milliseconds.
    pub segment_ms: u64,
    /// Part target in milliseconds; learned from the encoder when absent.
    pub part_ms: Option<u64>,
    /// A channel without media for this long has ended, in milliseconds.
    pub ended_after_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window_ms: 300_000,
            segment_ms: 2_000,
            part_ms: None,
            ended_after_ms: 60_000,
        }
    }
}
