//! The shell carries requests and responses whole, in order, both ways.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater::io::Tuning;
use headwater::limits::SOCKET_UNSENT_BYTES_MAX;
use io_support::{Client, SEED, Stage, checksum, pattern};

#[test]
fn one_shell_carries_all_there_is() {
    let stage = Stage::start(1, Tuning::default());
    sizes_both_ways(&stage);
    pipelined_answers_are_in_order(&stage);
    a_client_that_does_not_read_is_not_read_either(&stage);
    requests_behind_a_parked_one_wait_for_it(&stage);
    a_slow_reader_gets_every_byte(&stage);
    an_upload_is_continued_when_it_asks(&stage);
    a_client_may_end_its_side_and_still_be_answered(&stage);
    broken_requests_are_refused_and_the_refusal_is_read(&stage);
    an_abort_is_a_reset(&stage);
    deadlines_of_the_core_are_kept(&stage);
    let seen = stage.end();
    assert_eq!(seen.counter(|c| c.open), 0, "no connection is left");
}

fn sizes_both_ways(stage: &Stage) {
    let mut client = stage.connect();
    for _ in 0..1000 {
        let answer = client.get("/small");
        assert_eq!(
            (answer.status, answer.body.len(), answer.close),
            (200, 100, false)
        );
    }
    for len in [0, 1, 15_000, 17_000, 300_000, 2_000_000] {
        assert!(
            client.get(&format!("/size/{len}")).body == pattern(len),
            "{len} bytes"
        );
        assert!(
            client.get(&format!("/pieces/{len}")).body == pattern(len),
            "{len} in pieces"
        );
    }
    for len in [0, 1, 1023, 1024, 1025, 100_000, 2_000_000] {
        let body = pattern(len);
        assert!(client.put("/echo", body).body == body, "{len} bytes back");
        let want = format!("{len} {:016x}", checksum(SEED, body));
        assert_eq!(client.put("/sum", body).body, want.into_bytes());
    }
    assert_eq!(client.get("/nothing").status, 404);
}

fn pipelined_answers_are_in_order(stage: &Stage) {
    let mut client = stage.connect();
    let asked: String = (0..2000)
        .map(|len| format!("GET /size/{len} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(asked.as_bytes());
    for len in 0..2000 {
        assert_eq!(client.answer().body, pattern(len), "answer {len}");
    }
}

fn a_client_that_does_not_read_is_not_read_either(stage: &Stage) {
    const REQUESTS: u64 = 1500;
    let before = stage.seen.requests.load(Ordering::SeqCst);
    let mut client = stage.connect();
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        for _ in 0..REQUESTS {
            writer
                .write_all(b"GET /size/20000 HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(300));
    let handled = stage.seen.requests.load(Ordering::SeqCst) - before;
    assert!(handled < REQUESTS, "the answers nobody reads are bounded");
    for _ in 0..REQUESTS {
        assert_eq!(client.answer().body.len(), 20_000);
    }
    writing.join().unwrap();
}

fn requests_behind_a_parked_one_wait_for_it(stage: &Stage) {
    const BEHIND: usize = 4000;
    let mut client = stage.connect();
    client.ask("/park");
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        for len in 0..BEHIND {
            let target = len % 100;
            write!(writer, "GET /size/{target} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
    });
    stage.seen.wait("a parked request", |seen| {
        seen.parked.load(Ordering::SeqCst) >= 1
    });
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(stage.connect().get("/wake").status, 200);
    assert_eq!(client.answer().body.len(), 100);
    for len in 0..BEHIND {
        assert_eq!(client.answer().body, pattern(len % 100), "answer {len}");
    }
    writing.join().unwrap();
}

fn a_slow_reader_gets_every_byte(stage: &Stage) {
    const LEN: usize = 12_000_000;
    let mut client = stage.connect();
    client.ask(&format!("/pieces/{LEN}"));
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        client.fill();
    }
    // What it does not take stays where all peers share it. The kernel looks at
    // the bound before it takes a piece, which may be as long.
    let kept = kept_for(&client);
    let bound = 2 * u64::from(SOCKET_UNSENT_BYTES_MAX);
    assert!(0 < kept && kept <= bound, "{kept} bytes are in the kernel");
    assert!(client.answer().body == pattern(LEN));
}

/// Bytes that the server's kernel holds for a client, once that stands still:
/// the send queue of its end of the connection (proc(5), /proc/net/tcp).
fn kept_for(client: &Client) -> u64 {
    let hex = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else {
            panic!("the tests connect by IPv4");
        };
        let ip = u32::from_ne_bytes(address.ip().octets());
        format!("{ip:08X}:{:04X}", address.port())
    };
    let ours = hex(client.stream.local_addr().unwrap());
    let theirs = hex(client.stream.peer_addr().unwrap());
    let read = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let row = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|row| row[1] == theirs && row[2] == ours);
        let queues = row.expect("it is connected")[4];
        u64::from_str_radix(queues.split(':').next().unwrap(), 16).unwrap()
    };
    let mut last = read();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = read();
        if now == last {
            return now;
        }
        last = now;
    }
}

fn an_upload_is_continued_when_it_asks(stage: &Stage) {
    let mut client = stage.connect();
    client.send(b"PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n");
    client.send(b"Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert_eq!(client.answer().body, b"hello world");
}

fn a_client_may_end_its_side_and_still_be_answered(stage: &Stage) {
    let mut client = stage.connect();
    client.ask("/pieces/8000000");
    client.ask("/size/50000");
    client.ask("/small");
    client.stream.shutdown(Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(client.answer().body == pattern(8_000_000));
    assert!(client.answer().body == pattern(50_000));
    assert_eq!(client.answer().body.len(), 100);
    assert!(client.is_ended());
}

fn broken_requests_are_refused_and_the_refusal_is_read(stage: &Stage) {
    for _ in 0..50 {
        let mut client = stage.connect();
        // More than is ever read of it: the refusal must not drown in a reset.
        let mut bytes = b"GET / HTTP/1.1\r\nbroken\r\n\r\n".to_vec();
        bytes.resize(100_000, b'z');
        client.send(&bytes);
        let answer = client.answer();
        assert_eq!((answer.status, answer.close), (400, true));
        assert!(client.is_ended());
    }
    let mut client = stage.connect();
    client.send(b"GET /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(client.answer().close && client.is_ended());
}

fn an_abort_is_a_reset(stage: &Stage) {
    use std::io::Read;
    let mut client = stage.connect();
    client.ask("/abort");
    let error = client
        .stream
        .read(&mut [0; 16])
        .expect_err("no orderly end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

fn deadlines_of_the_core_are_kept(stage: &Stage) {
    let mut client = stage.connect();
    for ms in [0, 1, 5, 20, 150, 350] {
        let began = std::time::Instant::now();
        assert_eq!(client.get(&format!("/timer/{ms}")).status, 200);
        let took = began.elapsed().as_millis() as u64;
        assert!(took >= ms && took < ms + 500, "{ms} ms took {took} ms");
    }
}
