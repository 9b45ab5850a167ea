//! `headwater-check`: does a low-latency origin keep the standards of HLS
//! and DASH?
//!
//! It looks at an origin from the outside alone, with the eyes of a player and
//! of a cache, and shares no code with any origin. [`probe`] asks and watches,
//! and hands what it saw, with times, to [`judge`]: functions of observations
//! without a clock or a socket, so that every rule is tested with texts. What
//! they find is folded in [`verdict`] and printed by [`report`].

#![warn(missing_docs)]

pub mod answer;
pub mod cli;
pub mod decimal;
pub mod fmp4;
pub mod judge;
pub mod limits;
pub mod mpd;
pub mod playlist;
pub mod probe;
pub mod report;
pub mod rule;
pub mod uri;
pub mod verdict;
