//! The shell that waits: sockets, clocks, threads and signals, and nothing of
//! the product.
//!
//! Each processor runs one pinned glommio executor; all sockets of the
//! processor belong to one task on it, the driver, which owns an io_uring of
//! its own. The driver turns completions into [`Input`]s of its [`Core`] and
//! the core's effects into sends.
//!
//! | file | owns |
//! |---|---|
//! | `ring` | one io_uring, typed |
//! | `buffers` | receive buffers the kernel picks from |
//! | `slots`, `backlog` | one connection, parked and busy |
//! | `hub` | connections, core and ring: bytes in, effects out |
//! | `driver` | the turn loop and the waiting |
//! | `listener`, `socket` | system calls on sockets |
//! | `mailroom` | queues and doorbells between cores |
//! | `process` | executors, limits, signals, the stop |
//! | `watch` | heartbeats, and the end of parks that should not be |
//! | `push` | a small live encoder, for the demo |
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod backlog;
mod buffers;
mod clock;
mod driver;
mod error;
mod hub;
mod listener;
mod mailroom;
mod process;
pub mod push;
mod ring;
mod slots;
mod socket;
mod watch;

pub use clock::Clock;
pub use error::Error;
pub use process::{Buffers, Options, Patience, Server, Tuning, processors, run};

use crate::metrics::ShellCounters;
use crate::shard::{Effect, Input, Letter, Shard, ShardId};
use crate::time::{Mono, Now};

/// What the shell drives: [`Shard`] in the product, something smaller in tests.
///
/// The shell tells one input, takes effects until there is none, and tells the
/// next.
pub trait Core: 'static {
    /// Takes one input.
    fn handle(&mut self, now: Now, input: Input<'_>);
    /// The next effect, in order.
    fn poll_effect(&mut self) -> Option<Effect>;
    /// The earliest moment at which `Tick` has work.
    fn next_deadline(&self) -> Option<Mono>;
    /// A posted letter found the mailbox of `to` full. Comes while effects are
    /// taken.
    fn undelivered(&mut self, to: ShardId, letter: Letter);
    /// The shell's own counters, about ten times a second.
    fn note_shell(&mut self, counters: &ShellCounters);
}

impl Core for Shard {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        Self::handle(self, now, input);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        Self::poll_effect(self)
    }

    fn next_deadline(&self) -> Option<Mono> {
        Self::next_deadline(self)
    }

    fn undelivered(&mut self, to: ShardId, letter: Letter) {
        Self::undelivered(self, to, letter);
    }

    fn note_shell(&mut self, counters: &ShellCounters) {
        Self::note_shell(self, counters);
    }
}
