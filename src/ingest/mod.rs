//! Uploads: what encoders send, adapted onto the publisher of a channel.
//!
//! Names give grouping and say whether a request brings one segment; headers,
//! media and their order come from the boxes alone. What is done of the ingest
//! protocol stands in [`clauses`].

#[doc = include_str!("clauses.md")]
pub mod clauses {}

pub mod auth;
pub mod name;
pub mod upload;
