//! The writer of a channel from outside: chunks in, versions out.

#[path = "../support/encoder.rs"]
mod encoder;
#[path = "../support/ledger.rs"]
mod ledger;

mod breaks;
mod events;
mod fill;
mod hostile;
mod parts;
mod script;
mod segments;
mod sources;
mod stretches;
mod text;
mod window;
