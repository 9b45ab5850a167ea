//! A whole origin without its shell: encoders' bytes in, playlists out.

#[path = "../support/encoder.rs"]
mod encoder;

mod dateranges;
mod delivery;
mod deltas;
mod encoders;
mod endings;
mod garbage;
mod growing;
mod iframes;
mod interface1;
mod limits;
mod mirrors;
mod mpd;
mod openapi;
mod players;
mod progress;
mod shell;
mod status;
