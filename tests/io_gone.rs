//! Peers that vanish, at every point of an exchange: the core hears it once and
//! nothing is left behind.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater::io::{Patience, Tuning};
use io_support::{Client, Stage};

#[test]
fn whenever_a_peer_vanishes_the_core_hears_it() {
    let patience = Patience {
        head_ms: 1_000,
        idle_player_ms: 1_500,
        idle_encoder_ms: 2_500,
        send_stall_ms: 2_500,
        upload_silent_ms: 1_500,
        linger_ms: 500,
    };
    let stage = Stage::start(
        1,
        Tuning {
            patience,
            ..Tuning::default()
        },
    );
    vanish_before_a_head(&stage);
    vanish_in_a_head(&stage);
    vanish_in_a_body(&stage);
    vanish_parked(&stage);
    vanish_while_it_is_sent_to(&stage);
    patience_ends(&stage);
    stage
        .seen
        .wait("all closed", |seen| seen.counter(|c| c.open) == 0);
    stage.end();
}

/// Runs `play` on connections that then vanish, in order and by a reset, and
/// expects `gone` more exchanges to be reported for each.
#[track_caller]
fn vanish(stage: &Stage, gone: u64, play: impl Fn(&mut Client)) {
    const TIMES: u64 = 20;
    for reset in [false, true] {
        let before = stage.seen.gone.load(Ordering::SeqCst);
        for _ in 0..TIMES {
            let mut client = stage.connect();
            play(&mut client);
            if reset {
                socket2::SockRef::from(&client.stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        }
        stage.seen.wait("the core hears it", |seen| {
            seen.gone.load(Ordering::SeqCst) == before + gone * TIMES
        });
        stage
            .seen
            .wait("the slots are free", |seen| seen.counter(|c| c.open) == 0);
    }
}

fn vanish_before_a_head(stage: &Stage) {
    vanish(stage, 0, |_| ());
    vanish(stage, 0, |client| {
        assert_eq!(client.get("/small").status, 200)
    });
}

fn vanish_in_a_head(stage: &Stage) {
    vanish(stage, 0, |client| client.send(b"GET /small HTT"));
}

#[test]
fn what_a_connection_refuses_itself_is_counted() {
    let stage = Stage::start(1, Tuning::default());
    let refusals = |class: usize| stage.seen.counter(move |c| c.refusals[class]);
    assert_eq!((refusals(3), refusals(4)), (0, 0));
    let mut client = stage.connect();
    client.send(b"GET / HTTP/1.1\r\nno colon\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    let mut client = stage.connect();
    client.send(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer().status, 505);
    stage.seen.wait("both are counted", |seen| {
        seen.counter(|c| c.refusals[3]) == 1 && seen.counter(|c| c.refusals[4]) == 1
    });
    stage.end();
}

fn vanish_in_a_body(stage: &Stage) {
    vanish(stage, 1, |client| {
        client.send(b"PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        client.send(&[7; 5000]);
    });
    vanish(stage, 1, |client| {
        client.send(b"PUT /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(b"5\r\nhello\r\n7\r\nhe");
    });
}

fn vanish_parked(stage: &Stage) {
    let parked = || stage.seen.parked.load(Ordering::SeqCst);
    vanish(stage, 1, |client| {
        let before = parked();
        client.ask("/park");
        stage.seen.wait("it is parked", |_| parked() > before);
    });
    // Pipelined requests behind the parked one die unseen.
    vanish(stage, 1, |client| {
        let before = parked();
        client.ask("/park");
        client.ask("/small");
        stage.seen.wait("it is parked", |_| parked() > before);
    });
}

fn vanish_while_it_is_sent_to(stage: &Stage) {
    // The response is the shell's by then: no exchange is open.
    vanish(stage, 0, |client| {
        client.ask("/size/20000000");
        client.fill();
    });
    vanish(stage, 0, |client| {
        client.ask("/pieces/20000000");
        client.fill();
    });
}

/// Each limit on a peer's time, all at once.
fn patience_ends(stage: &Stage) {
    let before = stage.seen.gone.load(Ordering::SeqCst);
    let mut head = stage.connect();
    head.send(b"GET /sm");
    let mut idle = stage.connect();
    assert_eq!(idle.get("/small").status, 200);
    let mut encoder = stage.connect();
    assert_eq!(encoder.put("/sum", b"media").status, 200);
    let mut upload = stage.connect();
    upload.send(b"PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    let mut stalled = stage.connect();
    stalled.ask("/size/30000000");
    let mut slow = stage.connect();
    slow.ask("/size/30000000");

    let began = std::time::Instant::now();
    let trickle = std::thread::spawn(move || {
        // Never whole, never silent: the limit counts from the first byte.
        for _ in 0..30 {
            std::thread::sleep(Duration::from_millis(100));
            use std::io::Write;
            if head.stream.write_all(b"a").is_err() {
                break;
            }
        }
        head
    });
    // A reader far slower than the stall limit for the whole, but never silent.
    let reading = std::thread::spawn(move || {
        let mut bytes = 0;
        while began.elapsed() < Duration::from_millis(4500) {
            bytes += slow.fill();
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(
            slow.answer().body.len() == 30_000_000,
            "{bytes} bytes slowly, then the rest"
        );
    });
    assert!(idle.is_ended());
    assert!(
        (1400..3500).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    assert!(upload.is_ended());
    assert!(encoder.is_ended());
    assert!(
        (2400..4500).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    let mut head = trickle.join().unwrap();
    assert_eq!(head.answer().status, 408);
    reading.join().unwrap();
    stage.seen.wait("the upload is given up", |seen| {
        seen.gone.load(Ordering::SeqCst) == before + 1
    });
    stage.seen.wait("the stalled one is dropped", |seen| {
        seen.counter(|c| c.open) <= 2
    });
    let error = loop {
        use std::io::Read;
        match stalled.stream.read(&mut [0; 65536]) {
            Ok(0) => panic!("an orderly end of half a response"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(stage.seen.counter(|c| c.timed_out), 5);
}
