//! The one place that reads the clocks.

use std::time::{Instant, SystemTime};

use crate::time::{Mono, Now, Wall};

/// Both clocks of the process, against one start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        let wall = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_micros() as i64,
            Err(before) => -(before.duration().as_micros() as i64),
        };
        Now {
            mono: Mono(self.start.elapsed().as_nanos() as u64),
            wall: Wall(wall),
        }
    }
}
