//! Any bytes as an HTTP/1.1 connection.

use headwater::http::connection::{Connection, Event};
use headwater::http::reply::{Reply, ReplyBuilder};
use headwater::http::request::BodyLength;
use headwater::limits::{PIPELINED_BYTES_MAX, REQUEST_HEAD_BYTES_MAX};
use headwater::time::Wall;

/// An event without its borrows; neighbouring pieces of a body are joined.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Request {
        target: String,
        body: BodyLength,
        close: bool,
    },
    Body(Vec<u8>),
    BodyEnd,
    Refuse {
        status: u16,
        in_body: bool,
    },
    Break,
    Closes,
}

/// The first byte steers how the rest is cut. However that is, the same must be
/// told, and what is told must be in order.
pub fn http_connection(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else {
        return;
    };
    if stream.len() > PIPELINED_BYTES_MAX {
        return;
    }
    let (late, streamed) = (seed & 1 == 1, seed & 2 == 2);
    let whole = listen([stream].into_iter(), late, streamed);
    in_order(&whole);
    let stride = usize::from(seed >> 2) + 1;
    assert_eq!(
        listen(stream.chunks(stride), late, streamed),
        whole,
        "cut every {stride} bytes"
    );
}

fn listen<'a>(pieces: impl Iterator<Item = &'a [u8]>, late: bool, streamed: bool) -> Vec<Told> {
    let reply = if streamed {
        ReplyBuilder::streamed(200, "video/mp4").finish(Wall(0))
    } else {
        ReplyBuilder::new(200)
            .body(vec![b'x'; 3].into(), "text/plain")
            .finish(Wall(0))
    };
    let mut connection = Connection::new();
    let mut told = Vec::new();
    for mut input in pieces {
        loop {
            let goes_on = connection.is_streaming();
            let answers =
                |connection: &Connection| connection.owes_response() || connection.is_streaming();
            if let Some(event) = connection.poll(&mut input, Wall(0)) {
                note(&event, &mut told);
                if late || !answers(&connection) {
                    continue;
                }
            } else {
                assert!(input.is_empty(), "all input is consumed or kept");
                if !late || !answers(&connection) || connection.in_body() {
                    break;
                }
            }
            if connection.owes_response() {
                respond(&mut connection, &reply, &mut told);
            }
            // Late, and within a body, something comes before the rest.
            if connection.is_streaming() && !(late || connection.in_body()) || goes_on {
                stream_on(&mut connection, &mut told);
            }
        }
    }
    assert!(!connection.must_close() || !connection.is_open());
    told
}

fn respond(connection: &mut Connection, reply: &Reply, told: &mut Vec<Told>) {
    let wire = connection.respond(reply);
    assert!(wire.pieces[0].starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(wire.close, connection.must_close());
    if wire.close {
        told.push(Told::Closes);
    }
}

fn stream_on(connection: &mut Connection, told: &mut Vec<Told>) {
    let data = connection.data(&vec![b'x'; 20].into()).pieces.concat();
    assert!(data == b"14\r\nxxxxxxxxxxxxxxxxxxxx\r\n" || data == [b'x'; 20]);
    let wire = connection.end();
    assert_eq!(wire.close, connection.must_close());
    if wire.close {
        told.push(Told::Closes);
    }
}

fn note(event: &Event<'_>, told: &mut Vec<Told>) {
    match event {
        Event::Request(request) => {
            assert!(request.target.starts_with('/') || request.target == "*");
            assert!(request.raw.len() <= REQUEST_HEAD_BYTES_MAX);
            assert!(request.raw.ends_with(b"\r\n\r\n"));
            told.push(Told::Request {
                target: request.target.to_owned(),
                body: request.body,
                // An answer before the body closes only where the client waits.
                close: request.close,
            });
        }
        Event::Body(data) => {
            assert!(!data.is_empty());
            match told.last_mut() {
                Some(Told::Body(body)) => body.extend_from_slice(data),
                _ => told.push(Told::Body(data.to_vec())),
            }
        }
        Event::BodyEnd => told.push(Told::BodyEnd),
        Event::Refuse { reply, in_body } => {
            told.push(Told::Refuse {
                status: reply.status,
                in_body: *in_body,
            });
        }
        Event::Break => told.push(Told::Break),
    }
}

/// Bodies follow requests that declare one and have the length they declare;
/// nothing follows a refusal.
fn in_order(told: &[Told]) {
    let mut left = None;
    for (at, event) in told.iter().enumerate() {
        match event {
            Told::Request { body, .. } => {
                left = match body {
                    BodyLength::None => None,
                    BodyLength::Fixed(len) => Some(*len),
                    BodyLength::Chunked => Some(u64::MAX),
                };
            }
            Told::Body(data) => {
                let body = left.as_mut().expect("bytes of a body that was declared");
                *body = body
                    .checked_sub(data.len() as u64)
                    .expect("no longer than declared");
            }
            Told::BodyEnd => {
                let body = left.take().expect("the end of a body that was declared");
                assert!(body == 0 || body > u64::MAX / 2, "no shorter than declared");
            }
            Told::Refuse { status, .. } => {
                assert!((400..600).contains(status) && at + 1 == told.len());
            }
            Told::Break => assert!(at + 1 == told.len()),
            Told::Closes => {}
        }
    }
}
