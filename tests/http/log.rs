//! What a connection tells, as text.

use headwater::http::connection::{Connection, Event};
use headwater::http::reply::{Reply, ReplyBuilder};
use headwater::time::Wall;

pub(crate) const WALL: Wall = Wall(1_767_225_800_000_000);

/// Events as text, neighbouring pieces of a body joined.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Vec<String>);

impl Log {
    pub(crate) fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Request(r) => {
                let flags = (r.close, r.expect_continue);
                self.0.push(format!(
                    "{:?} {} {:?} {flags:?}",
                    r.method, r.target, r.body
                ));
            }
            Event::Body(data) => {
                assert!(!data.is_empty());
                let text = String::from_utf8_lossy(data);
                match self.0.last_mut() {
                    Some(last) if last.starts_with("body ") => last.push_str(&text),
                    _ => self.0.push(format!("body {text}")),
                }
            }
            Event::BodyEnd => self.0.push("end".to_owned()),
            Event::Refuse { reply, in_body } => {
                self.0.push(format!("refuse {} {in_body}", reply.status));
            }
            Event::Break => self.0.push("break".to_owned()),
        }
    }
}

/// Polls until nothing is told any more; answers at once or when nothing more
/// can be told.
pub(crate) fn pump(connection: &mut Connection, mut input: &[u8], late: bool, log: &mut Log) {
    loop {
        match connection.poll(&mut input, WALL) {
            Some(event) => log.note(&event),
            None => {
                assert!(input.is_empty(), "all input is taken");
                if !late || !connection.owes_response() || connection.in_body() {
                    return;
                }
                answer(connection, log);
                continue;
            }
        }
        if !late && connection.owes_response() {
            answer(connection, log);
        }
    }
}

pub(crate) fn answer(connection: &mut Connection, log: &mut Log) {
    let wire = connection.respond(&ok());
    if wire.close {
        log.0.push("closes".to_owned());
    }
}

pub(crate) fn ok() -> Reply {
    ReplyBuilder::new(200)
        .body("hi".to_owned().into(), "text/plain")
        .finish(WALL)
}

pub(crate) fn events(input: &[u8]) -> Vec<String> {
    let mut log = Log::default();
    pump(&mut Connection::new(), input, true, &mut log);
    log.0
}

/// The status a stream is refused with, or 0; the same however it is cut.
pub(crate) fn refusal(stream: &[u8]) -> u16 {
    let status = refusal_of(std::iter::once(stream));
    for stride in [1, 2, 7, 1000] {
        assert_eq!(
            refusal_of(stream.chunks(stride)),
            status,
            "cut every {stride} bytes"
        );
    }
    status
}

fn refusal_of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> u16 {
    let mut connection = Connection::new();
    for mut input in pieces {
        while let Some(event) = connection.poll(&mut input, WALL) {
            let Event::Refuse { reply, .. } = event else {
                continue;
            };
            let head = String::from_utf8(reply.head().to_vec()).unwrap();
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
            assert!(connection.must_close() && !connection.wants_bytes());
            let mut more = GET.as_bytes();
            assert!(connection.poll(&mut more, WALL).is_none() && more.is_empty());
            return reply.status;
        }
    }
    0
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
