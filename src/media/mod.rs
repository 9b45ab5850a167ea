//! Media: boxes to chunks, chunks to parts, parts to segments, segments to a
//! window, and the channel that both kinds of manifest are drawn from.
//!
//! Bytes and time are arguments; nothing here knows HTTP, HLS or DASH.

pub mod ahead;
pub mod bmff;
pub mod channel;
mod clock;
pub mod cmaf;
pub mod event;
pub mod fault;
mod pace;
pub mod policy;
pub mod presentation;
pub mod probe;
pub mod publisher;
mod rates;
pub mod rope;
pub mod stretch;
mod targets;
#[cfg(test)]
pub(crate) mod testing;
mod timeline;
pub mod window;
