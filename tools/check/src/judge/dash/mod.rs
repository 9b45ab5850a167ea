//! The same of MPDs.

pub mod clock;
pub mod edge;
pub mod events;
pub mod follow;
pub mod media;
pub mod patch;
pub mod text;

#[cfg(test)]
mod broken;
#[cfg(test)]
mod testing;

/// The standard, as findings cite it.
macro_rules! dash {
    ($clause:literal) => {
        concat!("ISO/IEC 23009-1 ", $clause)
    };
}
use dash;
