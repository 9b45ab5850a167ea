//! Load for a live origin: encoders that push in step with the wall clock. The
//! fleet of players is a program of this package, `headwater-load`.
// This tool is all sockets, clocks and threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod encoders;
pub mod histogram;
pub mod limits;
pub mod media;
pub mod push;
