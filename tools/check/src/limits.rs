//! What a hostile origin can make grow, and how far.

/// Bytes of a playlist or an MPD. A day of 2 s segments with dates is about 6 MiB.
pub const PLAYLIST_BYTES_MAX: usize = 16 << 20;
/// Segments, and parts, of one playlist: a day of segments of a second. So many
/// of the longest durations that are read add up within 64 bits.
pub const ENTRIES_MAX: usize = 100_000;
/// Largest whole number that is read, 2^53-1: small products of it fit 64 bits,
/// and every reader can tell it from the next.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Longest target duration that is reckoned with, in microseconds: a day.
pub const TARGET_US_MAX: u64 = 86_400_000_000;
/// Longest that one answer is waited for, in microseconds: three target
/// durations of 15 s, and some time for a segment.
pub const PATIENCE_US_MAX: u64 = 60_000_000;
/// How long after the watch answers are still waited for, in microseconds.
pub const AFTERWARDS_US_MAX: u64 = 60_000_000;
/// Bytes of hinted parts that are kept until they can be judged.
pub const HINTED_BYTES_MAX: usize = 256 << 20;
/// Things wrong with the syntax of one playlist; further ones are not kept.
pub const FAULTS_MAX: usize = 200;
/// Bytes of one line that a report repeats.
pub const QUOTED_MAX: usize = 240;
/// Media playlists that are watched; each has a few threads.
pub const RENDITIONS_MAX: usize = 24;
/// Bytes of one segment, part or header.
pub const OBJECT_BYTES_MAX: usize = 64 << 20;
/// Bytes of media that are fetched in one run, per rendition.
pub const MEDIA_BYTES_MAX: u64 = 1 << 30;
/// Redirects of one request.
pub const REDIRECTS_MAX: u32 = 5;
/// Bytes of a response head.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Moments at which bytes of one body came, kept apart.
pub const ARRIVALS_MAX: usize = 10_000;
/// Publications remembered of one rendition: a day at four a second is less.
pub const PUBLICATIONS_MAX: usize = 400_000;
/// Depth of boxes within boxes.
pub const BOX_DEPTH_MAX: usize = 8;
/// Boxes of one header or segment.
pub const BOXES_MAX: usize = 100_000;
/// Samples of one run; more is no segment of live media.
pub const RUN_SAMPLES_MAX: u32 = 1 << 20;
/// Elements, texts and comments of one MPD: a day of 2 s segments in four tracks
/// is a third of it.
pub const MPD_NODES_MAX: u32 = 1 << 20;
/// Depth of elements within elements.
pub const MPD_DEPTH_MAX: usize = 32;
/// Versions of an MPD that are kept for patches.
pub const MPD_VERSIONS_MAX: usize = 64;
/// Representations that are watched; each has a few threads.
pub const REPRESENTATIONS_MAX: usize = 24;

/// What clocks, networks and schedulers may add to any moment, in microseconds.
/// Every rule about time allows it on top of what the clause says.
pub const JITTER_US: u64 = 500_000;
/// What an answer that is due at once may take beyond one round trip.
pub const AT_ONCE_US: u64 = 100_000;
/// A checker that stood still for longer than this itself does not trust its
/// own times.
pub const STALL_US: u64 = 150_000;
