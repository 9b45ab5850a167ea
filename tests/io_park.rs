//! No wake-up is lost when a core goes to sleep, on a busy host least of all.
//!
//! Each step of each test waits for an answer: one lost wake-up is a hang, which
//! the client's read timeout turns into a failure.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater::io::Tuning;
use io_support::Stage;

#[test]
fn no_wake_up_is_lost() {
    cores_begin_on_a_busy_host(4);
    // A turn that does not wait in the kernel parks whenever nothing is there.
    for wait_us in [0, 100] {
        let stage = Stage::start(
            2,
            Tuning {
                wait_us,
                ..Tuning::default()
            },
        );
        requests_meet_a_core_at_every_step_into_its_sleep(&stage, 5_000);
        let busy = Burners::start(4);
        requests_meet_a_core_at_every_step_into_its_sleep(&stage, 300);
        letters_wake_the_other_core(&stage, 100);
        drop(busy);
        letters_wake_the_other_core(&stage, 2_000);
        let seen = stage.end();
        assert!(seen.counter(|c| c.parks) > 1_000, "it slept: {seen:?}");
    }
}

/// An executor can park before its first task as well.
fn cores_begin_on_a_busy_host(times: usize) {
    let busy = Burners::start(4);
    for _ in 0..times {
        Stage::start(2, Tuning::default()).end();
    }
    drop(busy);
}

/// A request after each of many pauses, from none to longer than a turn waits.
fn requests_meet_a_core_at_every_step_into_its_sleep(stage: &Stage, rounds: u64) {
    let mut client = stage.connect();
    for round in 0..rounds {
        let pause = Duration::from_micros(round * 7919 % 350);
        let began = Instant::now();
        while began.elapsed() < pause {
            std::hint::spin_loop();
        }
        assert_eq!(client.get("/small").body.len(), 100);
    }
}

/// A letter to the other core and one back, for each answer.
fn letters_wake_the_other_core(stage: &Stage, rounds: u64) {
    let mut client = stage.connect();
    for _ in 0..rounds {
        assert_eq!(client.get("/post/1").status, 200);
    }
}

/// Threads that want the processor all the time, so that an executor loses it at
/// every point.
struct Burners {
    stop: Arc<AtomicBool>,
}

impl Burners {
    fn start(count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..count {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self { stop }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
