//! From observations to findings: no clock, no socket.

mod change;
pub mod dash;
pub mod delta;
pub mod follow;
pub mod media;
pub mod multivariant;
pub mod reload;
pub mod text;
pub mod together;
pub mod transport;

#[cfg(test)]
mod broken;
#[cfg(test)]
mod testing;
