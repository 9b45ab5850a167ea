//! Deliberately broken playlists and answers: each must be found out for the
//! right reason, and for that alone.

mod answers;
mod deltas;
mod lists;
mod objects;
mod over_time;
mod promises;
mod reloads;
mod renditions;
