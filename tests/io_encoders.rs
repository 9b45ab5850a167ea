//! What encoders do on a connection, on the real process.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HEADER: &[u8] = include_bytes!("../fixtures/ffmpeg-9.0.2/ldash-video/0-init.mp4");
const SEGMENT: &[u8] = include_bytes!("../fixtures/ffmpeg-9.0.2/ldash-video/1.m4s");
const TOKEN: &str = "a-long-secret";

/// `headwater serve` with a token, ended when dropped.
struct Origin {
    child: Child,
    address: SocketAddr,
}

impl Origin {
    fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = address.expect("a free port");
        let child = Command::new(env!("CARGO_BIN_EXE_headwater"))
            .args(["serve", "--listen", &address.to_string()])
            .env("HEADWATER_INGEST_TOKEN", TOKEN)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "it never began");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a socket");
        stream
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn put(name: &str, token: &str, rest: &str) -> Vec<u8> {
    format!(
        "PUT /ingest/c/{name}?token={token} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\
         {rest}\r\n\r\n"
    )
    .into_bytes()
}

fn chunked(name: &str, body: &[u8]) -> Vec<u8> {
    let mut request = put(name, TOKEN, "Transfer-Encoding: chunked");
    request.extend(format!("{:x}\r\n", body.len()).bytes());
    request.extend(body);
    request.extend(b"\r\n0\r\n\r\n");
    request
}

/// Reads until `count` heads of responses are there; their bodies are empty.
fn heads(stream: &mut TcpStream, count: usize) -> Vec<String> {
    let mut text = String::new();
    while text.matches("\r\n\r\n").count() < count {
        let mut buffer = [0; 4096];
        let len = stream.read(&mut buffer).expect("an answer");
        assert!(len > 0, "the connection ended after {text}");
        text.push_str(std::str::from_utf8(&buffer[..len]).expect("text"));
    }
    text.split_terminator("\r\n\r\n")
        .map(str::to_owned)
        .collect()
}

#[test]
fn encoders_are_understood_on_their_connections() {
    let origin = Origin::start();
    t13_fifty_uploads_without_a_look_at_the_answers(&origin);
    t16_an_upload_that_asks_is_told_at_once(&origin);
    t17_an_upload_without_a_length_is_the_last(&origin);
}

fn t13_fifty_uploads_without_a_look_at_the_answers(origin: &Origin) {
    let mut stream = origin.connect();
    let mut all = chunked("v/init.mp4", HEADER);
    for n in 1..50 {
        // The same media again and again is ignored, and well received.
        all.extend(chunked(&format!("v/{n}.m4s"), SEGMENT));
    }
    let mut writer = stream.try_clone().expect("a socket");
    let writing = std::thread::spawn(move || writer.write_all(&all));
    let answers = heads(&mut stream, 50);
    writing.join().expect("no panic").expect("it reads");
    assert_eq!(answers.len(), 50);
    for answer in &answers {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 0"), "{answer}");
        assert!(!answer.contains("Connection: close"), "{answer}");
    }
}

fn t16_an_upload_that_asks_is_told_at_once(origin: &Origin) {
    let ask = "Transfer-Encoding: chunked\r\nExpect: 100-continue";
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let mut stream = origin.connect();
        let began = Instant::now();
        stream
            .write_all(&put("v/99.m4s", TOKEN, ask))
            .expect("it reads");
        let answers = heads(&mut stream, 1);
        quickest = quickest.min(began.elapsed());
        assert!(answers[0].starts_with("HTTP/1.1 100 "), "{answers:?}");
        stream.write_all(b"0\r\n\r\n").expect("it reads");
        assert!(heads(&mut stream, 1)[0].starts_with("HTTP/1.1 200 "));
    }
    // Other tests share the processors: the quickest of five counts.
    assert!(quickest < Duration::from_millis(10), "{quickest:?}");
    for (target, token, status) in [("v/99.m4s", "wrong", "403"), ("../v/99.m4s", TOKEN, "403")] {
        let mut stream = origin.connect();
        stream
            .write_all(&put(target, token, ask))
            .expect("it reads");
        let answers = heads(&mut stream, 1);
        let first = &answers[0];
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{first}");
    }
    let mut stream = origin.connect();
    let request = b"PUT /ingest/c/v/99.m4s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(request).expect("it reads");
    let answers = heads(&mut stream, 1);
    assert!(answers[0].starts_with("HTTP/1.1 401 "), "{answers:?}");
}

fn t17_an_upload_without_a_length_is_the_last(origin: &Origin) {
    let mut stream = origin.connect();
    let mut request = put("v/99.m4s", TOKEN, "Accept: */*");
    request.extend(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(&request).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end");
    assert!(text.starts_with("HTTP/1.1 411 "), "{text}");
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
}
