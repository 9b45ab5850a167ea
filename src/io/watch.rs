//! Ends parks that an executor should not have begun.
//!
//! glommio 0.12 can park although tasks are runnable: when its thread loses the
//! processor between arming the preempt timer and running the first task, it
//! takes the timer's expiry for a lack of work. A timer that is still pending
//! ends such a park; on a starved host all of them may have come due already,
//! their tasks waiting to be run like all others, and then nothing does. So each
//! core has a heartbeat, and a thread outside of the executors that interrupts
//! the system call of a core whose heartbeat has stopped.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(4);
/// Between two looks at them; longer than a few beats, so that a healthy core is
/// left alone.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// Ignored unless handled, and of no other use here.
const SIGNAL: libc::c_int = libc::SIGURG;

/// The heartbeat of one core.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The core's thread; zero when it has none.
    thread: AtomicI32,
    beats: AtomicU64,
    late_us_max: AtomicU64,
    rescues: AtomicU64,
}

impl Pulse {
    /// The calling thread is the core's: it is watched from here on.
    pub(crate) fn begin(&self) {
        // SAFETY: asks for a number.
        self.thread
            .store(unsafe { libc::gettid() }, Ordering::Relaxed);
    }

    /// Beats for ever, on the core's executor.
    pub(crate) async fn beat(self: Arc<Self>) {
        loop {
            let before = Instant::now();
            glommio::timer::sleep(HEARTBEAT).await;
            let late = before.elapsed().saturating_sub(HEARTBEAT);
            self.late_us_max
                .fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            self.beats.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The core ends: it has no pulse from now on, and that is well.
    pub(crate) fn end(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }

    /// The most a beat was late, in microseconds.
    pub(crate) fn late_us_max(&self) -> u64 {
        self.late_us_max.load(Ordering::Relaxed)
    }

    /// How often the core was interrupted.
    pub(crate) fn rescues(&self) -> u64 {
        self.rescues.load(Ordering::Relaxed)
    }

    fn interrupt(&self) {
        let thread = self.thread.load(Ordering::Relaxed);
        if thread != 0 {
            self.rescues.fetch_add(1, Ordering::Relaxed);
            interrupt(thread);
        }
    }
}

/// Interrupts every thread of the process: an executor that parks before its
/// first task has no pulse yet.
pub(crate) fn interrupt_all() {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return;
    };
    for thread in threads.flatten() {
        if let Some(thread) = thread
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            interrupt(thread);
        }
    }
}

/// Ends the system call that a thread of this process waits in.
fn interrupt(thread: i32) {
    // SAFETY: a signal whose handler does nothing; a thread that is gone is an
    // error that changes nothing.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL);
    }
}

/// Watches pulses, on a thread of its own, until all of them are dropped.
pub(crate) fn watch(pulses: &[Arc<Pulse>]) -> io::Result<()> {
    handle_signal()?;
    let mut watched: Vec<(Weak<Pulse>, u64)> = pulses
        .iter()
        .map(|pulse| (Arc::downgrade(pulse), 0))
        .collect();
    std::thread::Builder::new()
        .name("headwater-watch".to_owned())
        .spawn(move || {
            while !watched.is_empty() {
                std::thread::sleep(LOOK);
                watched.retain_mut(|(pulse, seen)| {
                    let Some(pulse) = pulse.upgrade() else {
                        return false;
                    };
                    let beats = pulse.beats.load(Ordering::Relaxed);
                    if beats == *seen {
                        pulse.interrupt();
                    }
                    *seen = beats;
                    true
                });
            }
        })?;
    Ok(())
}

/// Installs a handler that does nothing: what counts is that the system call
/// ends, which is why it does not ask for a restart.
fn handle_signal() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: an all-zero action is valid, the handler is safe in any context,
    // and both pointers are to locals or null.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_without_a_pulse_is_woken_from_its_system_call() {
        let pulse = Arc::new(Pulse::default());
        watch(std::slice::from_ref(&pulse)).expect("a thread");
        pulse.begin();
        let began = Instant::now();
        let mut fd = libc::pollfd {
            fd: -1,
            events: 0,
            revents: 0,
        };
        // SAFETY: one entry, and it is a local.
        let result = unsafe { libc::poll(&raw mut fd, 1, 20_000) };
        assert_eq!(result, -1, "interrupted");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(pulse.rescues() > 0);
        pulse.end();
    }
}
