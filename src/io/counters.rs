//! Plain counters of one core's shell.

/// What one core's shell has done. Only its driver writes them; a core gets
/// them through [`Core::note_shell`](crate::io::Core::note_shell).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections taken in by accept.
    pub accepted: u64,
    /// Connections taken in from another core.
    pub adopted: u64,
    /// Connections handed to another core.
    pub moved: u64,
    /// Connections closed at once because the core was full.
    pub refused: u64,
    /// Connections now.
    pub open: u64,
    /// Bytes received.
    pub recv_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Receives that found no buffer and were armed again.
    pub enobufs: u64,
    /// Accepts that failed, for want of a descriptor as a rule, and paused.
    pub accept_pauses: u64,
    /// Times the completion queue was found overflown.
    pub cq_overflows: u64,
    /// Turns of the driver.
    pub turns: u64,
    /// Times the driver waited through the executor.
    pub parks: u64,
    /// Connections dropped because the peer was too slow or silent.
    pub timed_out: u64,
    /// The latest a heartbeat came, in microseconds.
    pub heartbeat_late_us_max: u64,
    /// Times the executor was found not to run its tasks and was interrupted.
    pub rescues: u64,
}
