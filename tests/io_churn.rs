//! Short connections, so many that descriptors and slots are used again and
//! again: no answer ever reaches another connection.
//!
//! `HEADWATER_CHURN` says how many; a million is the long form.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use headwater::io::Tuning;
use io_support::{Client, Stage, pattern};

const THREADS: usize = 4;

#[test]
fn short_connections_never_meet() {
    let total: usize = match std::env::var("HEADWATER_CHURN") {
        Ok(total) => total.parse().expect("a count of connections"),
        Err(_) => 20_000,
    };
    let stage = Stage::start(2, Tuning::default());
    let address = stage.address;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            std::thread::spawn(move || {
                for index in 0..total / THREADS {
                    one(address, index * THREADS + thread);
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    stage
        .seen
        .wait("all closed", |seen| seen.counter(|c| c.open) == 0);
    let seen = stage.end();
    assert_eq!(
        seen.counter(|c| c.accepted) as usize,
        total / THREADS * THREADS
    );
}

/// One connection and one of the ways to end it.
fn one(address: SocketAddr, index: usize) {
    let len = index * 37 % 20_011;
    let mut client = Client::connect(address);
    match index % 8 {
        // The client ends it after its answer.
        0..=2 => assert!(client.get(&format!("/size/{len}")).body == pattern(len)),
        // The shell does.
        3 => {
            let head = format!("GET /size/{len} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client.send(head.as_bytes());
            assert!(client.answer().body == pattern(len));
            assert!(client.is_ended());
        }
        // It moves between cores.
        4 => {
            let to = index / 8 % 2;
            let answer = client.put(&format!("/move/{to}/echo"), pattern(len));
            assert!(answer.body == pattern(len));
        }
        // Nobody waits for the answer.
        5 => client.ask(&format!("/size/{}", len * 20)),
        6 => client.send(b"PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Le"),
        _ => {
            client.ask(&format!("/size/{len}"));
            client.stream.shutdown(Shutdown::Write).unwrap();
            assert!(client.answer().body == pattern(len));
            assert!(client.is_ended());
        }
    }
    // A reset, so that ports are free for the next connection.
    socket2::SockRef::from(&client.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}
