//! Two cores: letters in order, and connections that move under load without
//! losing a byte.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use std::io::Write;
use std::sync::atomic::Ordering;

use headwater::io::Tuning;
use headwater::limits::MAILBOX_LETTERS_MAX;
use io_support::{SEED, Stage, checksum, pattern};

#[test]
fn two_cores_share_the_work() {
    let stage = Stage::start(2, Tuning::default());
    letters_cross_and_come_back(&stage);
    a_full_mailbox_is_told(&stage);
    uploads_move_without_losing_a_byte(&stage);
    a_moved_connection_is_an_ordinary_one(&stage);
    let seen = stage.end();
    assert_eq!(seen.counter(|c| c.moved), seen.counter(|c| c.adopted));
    assert!(
        seen.counter(|c| c.moved) > 50,
        "about half of them had to move"
    );
}

fn letters_cross_and_come_back(stage: &Stage) {
    let mut clients: Vec<_> = (0..8).map(|_| stage.connect()).collect();
    for count in [1, 2, 1, 100, 1, 1000, 1] {
        for _ in 0..20 {
            for client in &mut clients {
                client.ask(&format!("/post/{}", count.min(400)));
            }
            for client in &mut clients {
                assert_eq!(client.answer().status, 200);
            }
        }
    }
    assert_eq!(stage.seen.undelivered.load(Ordering::SeqCst), 0);
}

fn a_full_mailbox_is_told(stage: &Stage) {
    let too_many = MAILBOX_LETTERS_MAX * 3;
    stage.connect().ask(&format!("/post/{too_many}"));
    stage.seen.wait("letters come back", |seen| {
        seen.undelivered.load(Ordering::SeqCst) > 0
    });
}

fn uploads_move_without_losing_a_byte(stage: &Stage) {
    let address = stage.address;
    let uploads: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                for round in 0..25 {
                    let len = [0, 1, 700, 5_000, 70_000, 600_000][(thread + round) % 6];
                    let to = round % 2;
                    upload(address, to, len, round);
                }
            })
        })
        .collect();
    for upload in uploads {
        upload.join().unwrap();
    }
}

/// One upload in writes of odd sizes, and requests before and behind it.
fn upload(address: std::net::SocketAddr, to: usize, len: usize, round: usize) {
    let body = pattern(len);
    let mut client = io_support::Client::connect(address);
    let before = round % 3;
    let mut bytes = Vec::new();
    for _ in 0..before {
        // Large enough that the move has to wait for it.
        bytes.extend_from_slice(b"GET /size/300000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    write!(bytes, "PUT /move/{to}/sum HTTP/1.1\r\nHost: a\r\n").unwrap();
    write!(bytes, "Transfer-Encoding: chunked\r\n\r\n").unwrap();
    for chunk in body.chunks(9_973) {
        write!(bytes, "{:x}\r\n", chunk.len()).unwrap();
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\nGET /size/77 HTTP/1.1\r\nHost: a\r\n\r\n");
    let step = [1 << 20, 1400, 333, 60_000][round % 4];
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for piece in bytes.chunks(step) {
            writer.write_all(piece).expect("the peer reads");
        }
    });
    for _ in 0..before {
        assert_eq!(client.answer().body.len(), 300_000);
    }
    let want = format!("{len} {:016x}", checksum(SEED, body));
    assert_eq!(
        String::from_utf8(client.answer().body).unwrap(),
        want,
        "to {to}, {len} bytes"
    );
    assert_eq!(client.answer().body, pattern(77));
    writing.join().unwrap();
}

fn a_moved_connection_is_an_ordinary_one(stage: &Stage) {
    for to in [0, 1] {
        let mut client = stage.connect();
        for _ in 0..50 {
            assert_eq!(client.put(&format!("/move/{to}/sum"), b"x").status, 200);
            assert_eq!(client.get("/small").status, 200);
            assert!(
                client
                    .put(&format!("/move/{}/echo", 1 - to), pattern(3000))
                    .body
                    == pattern(3000)
            );
        }
    }
}
