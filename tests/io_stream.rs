//! Streamed responses on real sockets: a burst goes out when it exists and not
//! before, to slow readers too, and peers that leave are heard.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater::io::{Patience, Tuning};
use io_support::{Client, Stage, pattern};

const BURST: usize = 300_000;

/// Clients that have the head of a stream each.
fn streams(stage: &Stage, count: usize) -> Vec<Client> {
    let before = stage.seen.parked.load(Ordering::SeqCst);
    let mut clients: Vec<_> = (0..count).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.ask("/stream");
    }
    stage.seen.wait("they are open", |seen| {
        seen.parked.load(Ordering::SeqCst) == before + count as u64
    });
    clients
}

#[test]
fn bursts_come_when_they_exist_and_not_before() {
    let stage = Stage::start(1, Tuning::default());
    let mut clients = streams(&stage, 20);
    let mut encoder = stage.connect();
    for client in &mut clients {
        let head = client.head();
        assert!(
            head.contains("\r\nTransfer-Encoding: chunked\r\n"),
            "{head}"
        );
    }
    assert!(clients[0].is_quiet(), "nothing exists");
    for len in [1, BURST, 17] {
        encoder.get(&format!("/burst/{len}"));
        for client in &mut clients {
            assert!(client.burst() == pattern(len));
        }
        assert!(clients[0].is_quiet(), "nothing more exists");
    }
    // What is pipelined meanwhile is answered behind the end.
    clients[0].ask("/small");
    assert!(clients[0].is_quiet());
    encoder.get("/end");
    for client in &mut clients {
        assert!(client.burst().is_empty());
    }
    assert_eq!(clients[0].answer().status, 200);
    for client in &mut clients {
        assert_eq!(client.get("/small").status, 200, "the connection goes on");
    }
    stage.end();
}

#[test]
fn http10_gets_it_until_the_end_of_the_connection() {
    let stage = Stage::start(1, Tuning::default());
    let mut client = stage.connect();
    client.send(b"GET /stream HTTP/1.0\r\n\r\n");
    let head = client.head();
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    let mut encoder = stage.connect();
    encoder.get(&format!("/burst/{BURST}"));
    encoder.get("/burst/5");
    encoder.get("/end");
    let mut body = Vec::new();
    client
        .stream
        .read_to_end(&mut body)
        .expect("an orderly end");
    assert!(body == [pattern(BURST), pattern(5)].concat());
    stage.end();
}

#[test]
fn what_breaks_off_has_no_end() {
    let stage = Stage::start(1, Tuning::default());
    let mut clients = streams(&stage, 5);
    let mut encoder = stage.connect();
    for client in &mut clients {
        client.head();
    }
    encoder.get("/burst/100");
    for client in &mut clients {
        assert_eq!(client.burst().len(), 100);
    }
    encoder.get("/break");
    for client in &mut clients {
        let error = client.stream.read(&mut [0; 10]).expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    // A stop breaks what is under way as well.
    let mut clients = streams(&stage, 5);
    for client in &mut clients {
        client.head();
    }
    stage.end();
    for client in &mut clients {
        assert!(client.stream.read(&mut [0; 10]).is_err());
    }
}

#[test]
fn a_peer_that_breaks_the_rules_meanwhile_is_cut_off() {
    let stage = Stage::start(1, Tuning::default());
    let mut client = stage.connect();
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head();
    client.send(b"no length\r\n");
    let error = client.stream.read(&mut [0; 10]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    stage.seen.wait("the core hears it", |seen| {
        seen.gone.load(Ordering::SeqCst) == 1 && seen.counter(|counters| counters.open) == 0
    });
    stage.end();
}

#[test]
fn slow_readers_get_all_and_hold_nobody_up() {
    let patience = Patience {
        send_stall_ms: 2_000,
        ..Patience::default()
    };
    let tuning = Tuning {
        patience,
        ..Tuning::default()
    };
    let stage = Stage::start(1, tuning);
    let mut clients = streams(&stage, 3);
    let mut encoder = stage.connect();
    const BURSTS: usize = 60;
    let [quick, slow, stalled] = &mut clients[..] else {
        unreachable!("three were made");
    };
    for client in [&mut *quick, &mut *slow] {
        client.head();
    }
    for _ in 0..BURSTS {
        encoder.get(&format!("/burst/{BURST}"));
        assert!(quick.burst() == pattern(BURST), "it comes at once");
    }
    encoder.get("/end");
    assert!(quick.burst().is_empty());
    for _ in 0..BURSTS {
        assert!(slow.burst() == pattern(BURST));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(slow.burst().is_empty());
    // The one that took nothing is dropped, with all that was queued for it.
    stage.seen.wait("it is dropped", |seen| {
        seen.counter(|counters| counters.timed_out) == 1
    });
    let mut bytes = Vec::new();
    let error = stalled.stream.read_to_end(&mut bytes).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(bytes.len() < BURSTS * BURST);
    stage.end();
}

#[test]
fn peers_that_vanish_within_a_stream_are_heard() {
    let stage = Stage::start(1, Tuning::default());
    let mut encoder = stage.connect();
    for reset in [false, true] {
        for bursts in 0..3 {
            let before = stage.seen.gone.load(Ordering::SeqCst);
            let mut clients = streams(&stage, 20);
            for client in &mut clients {
                client.head();
                if reset {
                    socket2::SockRef::from(&client.stream)
                        .set_linger(Some(Duration::ZERO))
                        .unwrap();
                }
            }
            // The last of them isn't read: it vanishes while it is sent to.
            for burst in 0..bursts {
                encoder.get(&format!("/burst/{BURST}"));
                if burst == 0 {
                    clients.iter_mut().for_each(|client| {
                        client.burst();
                    });
                }
            }
            drop(clients);
            stage.seen.wait("the core hears it", |seen| {
                seen.gone.load(Ordering::SeqCst) == before + 20
            });
            stage.seen.wait("the slots are free", |seen| {
                seen.counter(|counters| counters.open) == 1
            });
            // Nobody is left to get this.
            encoder.get("/burst/10");
        }
    }
    encoder.get("/end");
    stage.end();
}
