//! Plain counters of one shard, summed when somebody asks.

/// Counters of one shard. Only that shard writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Request heads taken in.
    pub requests: u64,
    /// Responses by class, 1xx to 5xx.
    pub responses: [u64; 5],
    /// Requests parked now.
    pub parked: u64,
    /// Requests that were parked and answered in time.
    pub released: u64,
    /// Requests that ran into their deadline while parked.
    pub expired: u64,
    /// Bytes of upload bodies.
    pub ingest_bytes: u64,
    /// Chunks accepted.
    pub chunks: u64,
    /// Parts published.
    pub parts: u64,
    /// Segments published.
    pub segments: u64,
    /// Uploads refused or broken.
    pub upload_faults: u64,
    /// Playlist bodies rendered.
    pub renders: u64,
    /// Letters that found a mailbox full.
    pub letters_lost: u64,
}
