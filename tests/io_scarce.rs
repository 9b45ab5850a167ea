//! When buffers, room for completions or descriptors run out, everything is
//! slower and nothing is lost.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, unsafe_code)]

mod io_support;

use std::sync::atomic::Ordering;

use headwater::io::{Buffers, Tuning};
use io_support::{Client, SEED, Stage, checksum, pattern};

#[test]
fn scarcity_loses_nothing() {
    let tuning = Tuning {
        small_buffers: Buffers {
            count: 2,
            bytes: 64,
        },
        large_buffers: Buffers {
            count: 2,
            bytes: 700,
        },
        completions: 8,
        ..Tuning::default()
    };
    let stage = Stage::start(1, tuning);
    everyone_is_served_from_two_buffers(&stage);
    a_large_wake_up_overflows_the_queue_and_reaches_everyone(&stage);
    descriptors_run_out_and_come_back(&stage);
    stage
        .seen
        .wait("all closed", |seen| seen.counter(|c| c.open) == 0);
    let seen = stage.end();
    for (what, count) in [
        ("receives without a buffer", seen.counter(|c| c.enobufs)),
        ("overflows of the queue", seen.counter(|c| c.cq_overflows)),
        (
            "accepts without a descriptor",
            seen.counter(|c| c.accept_pauses),
        ),
    ] {
        assert!(count > 0, "no {what}: this tests nothing");
    }
}

fn everyone_is_served_from_two_buffers(stage: &Stage) {
    let address = stage.address;
    let threads: Vec<_> = (0..16)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                for round in 0..12 {
                    let len = 1 + (thread * 7919 + round * 104_729) % 60_000;
                    let body = pattern(len);
                    let want = format!("{len} {:016x}", checksum(SEED, body));
                    assert_eq!(client.put("/sum", body).body, want.into_bytes());
                    assert!(client.get(&format!("/pieces/{len}")).body == body);
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

fn a_large_wake_up_overflows_the_queue_and_reaches_everyone(stage: &Stage) {
    const PARKED: usize = 600;
    let before = stage.seen.parked.load(Ordering::SeqCst);
    let mut clients: Vec<_> = (0..PARKED).map(|_| stage.connect()).collect();
    for round in 1..=3 {
        clients.iter_mut().for_each(|client| client.ask("/park"));
        stage.seen.wait("all parked", |seen| {
            seen.parked.load(Ordering::SeqCst) == before + (round * PARKED) as u64
        });
        assert_eq!(stage.connect().get("/wake").status, 200);
        for client in &mut clients {
            assert_eq!(client.answer().body.len(), 100);
        }
    }
}

fn descriptors_run_out_and_come_back(stage: &Stage) {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let before = soft_limit(open + 40);
    let mut clients = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(stage.address) {
        clients.push(stream);
    }
    assert!(clients.len() > 10);
    stage.seen.wait("accept without a descriptor", |seen| {
        seen.counter(|c| c.accept_pauses) > 0
    });
    drop(clients);
    soft_limit(before);
    for _ in 0..20 {
        assert_eq!(stage.connect().get("/small").status, 200);
    }
}

/// Sets the soft limit of descriptors and gives back what it was.
fn soft_limit(count: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls take a pointer to a local.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = count;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        before
    }
}
