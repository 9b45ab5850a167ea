//! The turn loop of one core: take completions, tell the core, queue sends,
//! enter the kernel once; and when nothing happens, wait through the executor.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use glommio::io::PollableFd;

use crate::io::Core;
use crate::io::buffers::BufferGroup;
use crate::io::clock::Clock;
use crate::io::error::Error;
use crate::io::hub::{Hub, LARGE, SMALL};
use crate::io::listener::Listener;
use crate::io::mailroom::{Desk, Stop};
use crate::io::process::Tuning;
use crate::io::ring::{Completion, Op, Ring, until};
use crate::io::watch::Pulse;
use crate::limits::{DRAIN_GRACE_MS, DRAIN_MS_MAX, TURN_COMPLETIONS_MAX};
use crate::time::Mono;

/// How often something is done for slots whether or not anything happens.
const SWEEP_MS: u64 = 100;
/// Sweeps in which every slot has had its turn.
const SWEEPS: usize = 10;

/// One core's driver.
pub(crate) struct Driver<C> {
    hub: Hub<C>,
    small: BufferGroup,
    large: BufferGroup,
    listeners: Vec<Listener>,
    clock: Clock,
    completions: Vec<Completion>,
    /// The most a turn waits in the kernel before it lets the executor have
    /// the processor.
    wait: Duration,
    pulse: Arc<Pulse>,
    next_sweep: Mono,
    swept: usize,
    /// The earliest timer in the ring.
    timer: Option<Mono>,
    stop: Stop,
    drain_started: Mono,
}

impl<C: Core> Driver<C> {
    /// A driver for the calling thread.
    pub(crate) fn new(
        ring: Ring,
        core: C,
        desk: Desk,
        listeners: Vec<OwnedFd>,
        tuning: &Tuning,
        clock: Clock,
        pulse: Arc<Pulse>,
    ) -> Result<Self, Error> {
        let small = &tuning.small_buffers;
        let small = BufferGroup::new(ring.uring(), SMALL, small.count, small.bytes)?;
        let large = &tuning.large_buffers;
        let large = BufferGroup::new(ring.uring(), LARGE, large.count, large.bytes)?;
        let now = clock.now();
        let listeners = listeners
            .into_iter()
            .enumerate()
            .map(|(index, socket)| Listener::new(index as u32, socket))
            .collect();
        Ok(Self {
            hub: Hub::new(ring, core, desk, now, tuning),
            small,
            large,
            listeners,
            clock,
            completions: Vec::with_capacity(TURN_COMPLETIONS_MAX),
            wait: Duration::from_micros(tuning.wait_us),
            pulse,
            next_sweep: now.mono,
            swept: 0,
            timer: None,
            stop: Stop::Not,
            drain_started: Mono(0),
        })
    }

    /// Serves until the process stops.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let wake = PollableFd::new(Borrowed(self.hub.ring.wake().as_raw_fd()))?;
        let executor = glommio::executor();
        while !self.is_finished() {
            let quiet = !self.turn()?;
            if quiet {
                self.arm_timer();
            }
            // An armed timer is submitted by one more turn.
            if !quiet || self.hub.ring.has_unsubmitted() {
                executor.yield_now().await;
            } else if self.hub.ring.sleep() {
                if !self.hub.desk.has_news(self.stop) {
                    self.hub.counters.parks += 1;
                    wake.readable().await?;
                }
                self.hub.ring.awake();
            }
        }
        self.shut();
        Ok(())
    }

    /// One turn. Whether anything happened.
    fn turn(&mut self) -> io::Result<bool> {
        let wait = self.turn_wait();
        self.hub.ring.enter(wait)?;
        self.hub.now = self.clock.now();
        self.hub.counters.turns += 1;
        let mut completions = std::mem::take(&mut self.completions);
        self.hub.ring.take(&mut completions);
        let mut busy = !completions.is_empty();
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        busy |= self.hub.read_mail();
        busy |= self.hub.tick();
        busy |= self.hub.desk.retry();
        self.look_at_stop();
        if self.hub.now.mono >= self.next_sweep {
            self.sweep();
        }
        for listener in &mut self.listeners {
            if self.stop == Stop::Not {
                listener.arm(&mut self.hub.ring, self.hub.now.mono);
            }
        }
        busy |= self.hub.flush();
        let Hub { desk, ring, .. } = &mut self.hub;
        desk.doorbells(|other| ring.ring(other));
        Ok(busy)
    }

    /// How long the kernel may wait for a completion in this turn.
    fn turn_wait(&self) -> Duration {
        if self.hub.has_ready() {
            return Duration::ZERO;
        }
        self.wait.min(until(self.hub.now.mono, self.deadline()))
    }

    fn complete(&mut self, completion: Completion) {
        let Completion {
            tag,
            result,
            more,
            buffer,
        } = completion;
        match tag.op {
            Op::RecvSmall => receive(&mut self.hub, &mut self.small, completion),
            Op::RecvLarge => receive(&mut self.hub, &mut self.large, completion),
            Op::Send => self.hub.sent(tag, result),
            Op::Accept => self.accepted(tag.slot as usize, result, more),
            Op::Timer => self.timer = None,
            Op::Doorbell | Op::Silent => assert!(buffer.is_none(), "no buffer was offered"),
        }
    }

    fn accepted(&mut self, listener: usize, result: i32, more: bool) {
        let listener = &mut self.listeners[listener];
        if !more {
            listener.disarmed();
        }
        match -result {
            ..=0 => self.hub.accepted(result),
            // Cancelled, or the caller gave up before it was accepted.
            libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN => {}
            // No descriptor or no memory, most likely.
            _ => {
                self.hub.counters.accept_pauses += 1;
                listener.exhausted(self.hub.now.mono);
            }
        }
    }

    /// Follows the process's wish to stop: first the listeners, then the core,
    /// then what is left.
    fn look_at_stop(&mut self) {
        let stop = self.hub.desk.stop();
        if self.stop == Stop::Not && stop > Stop::Not {
            self.stop = stop;
            self.drain_started = self.hub.now.mono;
            for listener in &self.listeners {
                listener.cancel(&mut self.hub.ring);
            }
        }
        if self.stop == Stop::Not {
            return;
        }
        self.stop = stop;
        for listener in &mut self.listeners {
            if !listener.is_armed() {
                listener.close(|socket| self.hub.accepted(socket.into_raw_fd()));
            }
        }
        let accepting = self.listeners.iter().any(|listener| listener.is_armed());
        if !accepting && !self.hub.draining {
            self.hub.drain();
        }
        let spent_ms = self.hub.now.mono.ms_since(self.drain_started);
        if self.stop == Stop::Now || spent_ms >= DRAIN_MS_MAX {
            self.hub.abort_all();
        } else if self.hub.drained && spent_ms >= DRAIN_GRACE_MS {
            self.hub.close_quiet();
        }
    }

    /// Whether there is nothing left to wait for after a stop.
    fn is_finished(&self) -> bool {
        let spent_ms = self.hub.now.mono.ms_since(self.drain_started);
        match self.stop {
            Stop::Not => false,
            Stop::Drain | Stop::Now if spent_ms >= DRAIN_MS_MAX + DRAIN_GRACE_MS => true,
            Stop::Drain => self.hub.drained && self.hub.slots.open() == 0,
            Stop::Now => self.hub.slots.open() == 0,
        }
    }

    /// Holds a part of the connections to their time limits and brings the
    /// core's view of the shell up to date.
    fn sweep(&mut self) {
        let len = self.hub.slots.len();
        let from = self.swept * len / SWEEPS;
        self.swept = (self.swept + 1) % SWEEPS;
        let to = if self.swept == 0 {
            len
        } else {
            self.swept * len / SWEEPS
        };
        for index in from..to {
            self.hub.check_time(index as u32);
        }
        self.next_sweep = self.hub.now.mono.plus_ms(SWEEP_MS);
        self.note_counters();
    }

    fn note_counters(&mut self) {
        self.hub.counters.open = self.hub.slots.open() as u64;
        self.hub.counters.cq_overflows = self.hub.ring.overflows();
        self.hub.counters.heartbeat_late_us_max = self.pulse.late_us_max();
        self.hub.counters.rescues = self.pulse.rescues();
        self.hub.core.note_shell(&self.hub.counters);
    }

    /// When something must be done even if nothing happens.
    fn deadline(&self) -> Mono {
        let core = self.hub.core.next_deadline();
        let listeners = self.listeners.iter().filter_map(Listener::deadline);
        let listeners = listeners.filter(|_| self.stop == Stop::Not);
        let drain = (self.stop > Stop::Not).then(|| self.hub.now.mono.plus_ms(10));
        let own = self.next_sweep;
        core.into_iter()
            .chain(listeners)
            .chain(drain)
            .fold(own, Mono::min)
    }

    /// Sees to it that the ring wakes this core at its next deadline.
    fn arm_timer(&mut self) {
        let at = self.deadline();
        if self.timer.is_none_or(|armed| at < armed) {
            self.timer = Some(at);
            self.hub.ring.timer(until(self.hub.now.mono, at));
        }
    }

    /// Gives everything back in the order in which the kernel lets go of it.
    fn shut(mut self) {
        self.note_counters();
        self.hub.ring.quiesce();
        self.small.release(self.hub.ring.uring());
        self.large.release(self.hub.ring.uring());
        self.hub.slots.close_all();
    }
}

/// One receive: the bytes are handled where the kernel put them.
fn receive<C: Core>(hub: &mut Hub<C>, group: &mut BufferGroup, completion: Completion) {
    let Completion {
        tag,
        result,
        more,
        buffer,
    } = completion;
    let bytes = match buffer {
        Some(buffer) => group.filled(buffer, result.max(0) as usize),
        None => &[],
    };
    hub.received(tag, result, more, bytes);
    if let Some(buffer) = buffer {
        group.give_back(buffer);
    }
}

/// The ring's wake descriptor, lent to the executor; the driver keeps the ring
/// for longer than it waits.
struct Borrowed(RawFd);

impl AsRawFd for Borrowed {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}
