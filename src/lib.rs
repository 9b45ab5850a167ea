//! headwater, a live-media origin.
//!
//! Encoders push CMAF by HTTP; players and CDNs pull low-latency HLS and
//! DASH made from the one stored copy. Everything but `io` and `cli` is pure: bytes and time
//! come in as arguments, values go out, so that one seed replays a whole
//! origin.
//!
//! | module | owns |
//! |---|---|
//! | [`limits`] | every bound, with unit and reason |
//! | [`time`] | monotonic, wall and media time as distinct types |
//! | [`media`] | boxes, chunks, timelines, windows, channels |
//! | [`dash`] | media presentation descriptions |
//! | [`hls`] | playlists and the decision on a blocking reload |
//! | [`http`] | HTTP/1.1 as state machines, replies, routes |
//! | [`ingest`] | upload names, and uploads onto a publisher |
//! | [`shard`] | one core's whole server without a system call |
//! | [`metrics`] | counters and their text form |
//! | [`page`] | the status page with its player |
//! | [`config`] | what can be set, from text to checked values |
//! | `io` | the shell that waits: sockets, clocks, threads, signals |
//! | `cli` | the command line |

#[cfg(feature = "io")]
pub mod cli;
pub mod config;
pub mod dash;
pub mod hash;
pub mod hls;
pub mod http;
pub mod ingest;
#[cfg(feature = "io")]
pub mod io;
pub mod limits;
pub mod media;
pub mod metrics;
pub mod page;
pub mod shard;
pub mod time;
