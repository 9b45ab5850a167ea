//! The HTTP/1.1 connection from outside: flows, refusals, limits, splits.

use headwater::http::connection::{Connection, Event, timeout_reply};
use headwater::http::reply::{Cache, Reply, ReplyBuilder};
use headwater::http::request::BodyLength;
use headwater::limits::*;
use headwater::time::Wall;
use proptest::prelude::*;

const WALL: Wall = Wall(1_767_225_800_000_000);

/// Events as text, neighbouring pieces of a body joined.
#[derive(Default)]
struct Log(Vec<String>);

impl Log {
    fn note(&mut self, event: &Event<'_>) {
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
        }
    }
}

/// Polls until nothing is told any more; answers at once or when nothing more
/// can be told.
fn pump(connection: &mut Connection, mut input: &[u8], late: bool, log: &mut Log) {
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

fn answer(connection: &mut Connection, log: &mut Log) {
    let wire = connection.respond(&ok());
    if wire.close {
        log.0.push("closes".to_owned());
    }
}

fn ok() -> Reply {
    ReplyBuilder::new(200)
        .body("hi".to_owned().into(), "text/plain")
        .finish(WALL)
}

fn events(input: &[u8]) -> Vec<String> {
    let mut log = Log::default();
    pump(&mut Connection::new(), input, true, &mut log);
    log.0
}

#[track_caller]
fn check(input: &str, want: &[&str]) {
    assert_eq!(events(input.as_bytes()), want, "{input:?}");
}

/// The status a whole head and body are refused with, or 0.
fn refusal(input: &[u8]) -> u16 {
    let mut connection = Connection::new();
    let mut input = input;
    while let Some(event) = connection.poll(&mut input, WALL) {
        if let Event::Refuse { reply, .. } = event {
            let head = String::from_utf8(reply.head().to_vec()).unwrap();
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
            let status = reply.status;
            assert!(connection.must_close() && !connection.wants_bytes());
            let mut more: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            assert!(connection.poll(&mut more, WALL).is_none() && more.is_empty());
            return status;
        }
    }
    0
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn plain_requests() {
    check(GET, &["Get / None (false, false)"]);
    check(
        "\r\n\r\nHEAD /a?b HTTP/1.1\r\nhOST: a:80\r\nConnection: x, CLOSE\r\n\r\n",
        &["Head /a?b None (true, false)", "closes"],
    );
    check(
        "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
        &["Options * None (false, false)"],
    );
    check(
        "GET HTTP://h:1/p?q HTTP/1.1\r\nHost: a\r\n\r\nGET http://h HTTP/1.1\r\nHost: a\r\n\r\n",
        &["Get /p?q None (false, false)", "Get / None (false, false)"],
    );
    check(
        "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        &["Other / None (false, false)"],
    );
}

#[test]
fn http10_closes_unless_asked_not_to() {
    // RFC 9112 section 9.3.
    check(
        "GET / HTTP/1.0\r\n\r\n",
        &["Get / None (true, false)", "closes"],
    );
    check(
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        &["Get / None (false, false)"],
    );
    let mut connection = Connection::new();
    let mut input: &[u8] = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    assert!(connection.poll(&mut input, WALL).is_some());
    let wire = connection.respond(&ok());
    let text = String::from_utf8(wire.pieces.concat()).unwrap();
    assert!(
        text.ends_with("\r\nConnection: keep-alive\r\n\r\nhi"),
        "{text}"
    );
}

#[test]
fn bodies() {
    check(
        "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[
            "Put /a Fixed(3) (false, false)",
            "body abc",
            "end",
            "Get / None (false, false)",
        ],
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        &["Post / Fixed(0) (false, false)", "end"],
    );
    check(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n\
         3\r\nabc\r\n0A;x=\"y z\"\r\n0123456789\r\n00 ;q\r\nTrailer: x\r\n\r\n",
        &["Put / Chunked (false, true)", "body abc0123456789", "end"],
    );
    // ffmpeg deletes with an empty chunked body.
    check(
        "DELETE /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &["Delete /x Chunked (false, false)", "end"],
    );
}

/// Shapes on which two parties may disagree, each with the section that rules.
#[test]
fn smuggling_shapes_are_refused() {
    let put = |fields: &str| format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n");
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let chunked = |body: &str| {
        format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let cl_te = "Content-Length: 5\r\nTransfer-Encoding: chunked";
    let te_cl = "Transfer-Encoding: chunked\r\nContent-Length: 5";
    let shapes: Vec<(&str, u16, String)> = vec![
        ("CL and TE, RFC 9112 6.1", 400, put(cl_te)),
        ("TE and CL, RFC 9112 6.1", 400, put(te_cl)),
        (
            "CL twice, equal, RFC 9112 6.3",
            400,
            put("Content-Length: 5\r\nContent-Length: 5"),
        ),
        (
            "CL twice, RFC 9112 6.3",
            400,
            put("Content-Length: 5\r\nContent-Length: 6"),
        ),
        ("CL list, RFC 9112 6.3", 400, put("Content-Length: 5, 5")),
        ("CL plus, RFC 9110 8.6", 400, put("Content-Length: +5")),
        ("CL minus, RFC 9110 8.6", 400, put("Content-Length: -5")),
        (
            "CL with space, RFC 9110 8.6",
            400,
            put("Content-Length: 5 5"),
        ),
        ("CL empty, RFC 9110 8.6", 400, put("Content-Length:")),
        ("CL hex, RFC 9110 8.6", 400, put("Content-Length: 0x5")),
        (
            "CL overflow, RFC 9110 8.6",
            400,
            put("Content-Length: 18446744073709551616"),
        ),
        (
            "TE unknown, RFC 9112 6.1",
            501,
            put("Transfer-Encoding: xchunked"),
        ),
        (
            "TE identity, RFC 9112 6.1",
            501,
            put("Transfer-Encoding: identity"),
        ),
        (
            "TE gzip first, RFC 9112 6.1",
            501,
            put("Transfer-Encoding: gzip, chunked"),
        ),
        (
            "TE parameter, RFC 9112 7",
            501,
            put("Transfer-Encoding: chunked;q=1"),
        ),
        (
            "TE quoted, RFC 9112 6.1",
            501,
            put("Transfer-Encoding: \"chunked\""),
        ),
        (
            "TE chunked not last, RFC 9112 6.3",
            400,
            put("Transfer-Encoding: chunked, gzip"),
        ),
        (
            "TE chunked twice, RFC 9112 6.1",
            400,
            put("Transfer-Encoding: chunked, chunked"),
        ),
        (
            "TE in two fields, RFC 9112 6.1",
            400,
            put("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        ),
        ("TE empty, RFC 9112 6.1", 400, put("Transfer-Encoding:")),
        (
            "TE empty element, RFC 9112 6.1",
            400,
            put("Transfer-Encoding: ,chunked"),
        ),
        (
            "TE with vertical tab, RFC 9110 5.5",
            400,
            put("Transfer-Encoding: \x0bchunked"),
        ),
        ("TE on GET with CL, RFC 9112 6.1", 400, get(te_cl)),
        (
            "TE in HTTP/1.0, RFC 9112 6.1",
            400,
            "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        ),
        (
            "no length, R13 of the ingest notes, RFC 9110 15.5.12",
            411,
            put("X: y"),
        ),
        (
            "space before colon, RFC 9112 5.1",
            400,
            put("Content-Length : 5"),
        ),
        (
            "tab before colon, RFC 9112 5.1",
            400,
            put("Transfer-Encoding\t: chunked"),
        ),
        ("obs-fold, RFC 9112 5.2", 400, get("X: y\r\n z")),
        (
            "fold of the first field, RFC 9112 2.2",
            400,
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n".into(),
        ),
        ("no field name, RFC 9112 5", 400, get(": x")),
        ("no colon, RFC 9112 5", 400, get("nonsense")),
        ("NUL in value, RFC 9110 5.5", 400, get("X: a\0b")),
        ("NUL in name, RFC 9110 5.1", 400, get("X\0: ab")),
        ("bare CR in value, RFC 9112 2.2", 400, get("X: a\rb")),
        (
            "bare LF ends line, RFC 9112 2.2",
            400,
            "GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned(),
        ),
        ("bare LF ends field, RFC 9112 2.2", 400, get("X: y\nZ: z")),
        (
            "bare LF ends head, RFC 9112 2.2",
            400,
            "GET / HTTP/1.1\r\nHost: a\r\n\n".to_owned(),
        ),
        ("bare LF in front, RFC 9112 2.2", 400, format!("\n{GET}")),
        ("bare CR in front, RFC 9112 2.2", 400, format!("\r{GET}")),
        (
            "no Host, RFC 9112 3.2",
            400,
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
        ),
        ("Host twice, RFC 9112 3.2", 400, get("Host: a")),
        (
            "Host twice in 1.0, RFC 9112 3.2",
            400,
            "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        ),
        (
            "Host with path, RFC 9112 3.2",
            400,
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(),
        ),
        (
            "Host with space, RFC 9112 3.2",
            400,
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
        ),
        (
            "Host with userinfo, RFC 9112 3.2",
            400,
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".into(),
        ),
        (
            "two spaces, RFC 9112 3",
            400,
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "space in target, RFC 9112 3.2",
            400,
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "tab in line, RFC 9112 3",
            400,
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "UTF-8 in target, RFC 3986 2",
            400,
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "relative target, RFC 9112 3.2",
            400,
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "asterisk, RFC 9112 3.2.4",
            400,
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "no authority, RFC 9112 3.2.2",
            400,
            "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        ),
        ("HTTP/0.9, RFC 9112 2.3", 400, "GET /\r\n\r\n".to_owned()),
        (
            "HTTP/2.0, RFC 9110 15.6.6",
            505,
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        (
            "HTTP/1.2, RFC 9110 15.6.6",
            505,
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "lower-case version, RFC 9112 2.3",
            400,
            "GET / http/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "long version, RFC 9112 2.3",
            400,
            "GET / HTTP/1.10\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "unknown method, RFC 9110 9.1",
            501,
            "BREW / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "method case, RFC 9110 9.1",
            501,
            "get / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "CONNECT, RFC 9110 9.3.6",
            501,
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned(),
        ),
        (
            "expectation, RFC 9110 10.1.1",
            417,
            get("Expect: the-unexpected"),
        ),
        ("chunk size 0x, RFC 9112 7.1", 400, chunked("0x10\r\n")),
        ("chunk size plus, RFC 9112 7.1", 400, chunked("+5\r\n")),
        ("chunk size minus, RFC 9112 7.1", 400, chunked("-5\r\n")),
        ("chunk size space, RFC 9112 7.1", 400, chunked(" 5\r\n")),
        (
            "chunk size, space behind, RFC 9112 7.1.1",
            400,
            chunked("5 \r\nabcde\r\n"),
        ),
        ("chunk size in two, RFC 9112 7.1", 400, chunked("5 5\r\n")),
        (
            "chunk size overflow, RFC 9112 7.1",
            400,
            chunked("10000000000000000\r\n"),
        ),
        ("chunk size empty, RFC 9112 7.1", 400, chunked("\r\n")),
        (
            "chunk size empty, extension, RFC 9112 7.1",
            400,
            chunked(";a\r\n"),
        ),
        ("chunk size no hex, RFC 9112 7.1", 400, chunked("g\r\n")),
        (
            "chunk line bare LF, RFC 9112 7.1",
            400,
            chunked("5\nabcde\r\n"),
        ),
        (
            "chunk line bare CR, RFC 9112 7.1",
            400,
            chunked("5\rabcde\r\n"),
        ),
        (
            "chunk extension bare LF, RFC 9112 7.1.1",
            400,
            chunked("5;a\nabcde\r\n"),
        ),
        (
            "chunk extension NUL, RFC 9112 7.1.1",
            400,
            chunked("5;\0\r\nabcde\r\n"),
        ),
        (
            "chunk data too long, RFC 9112 7.1",
            400,
            chunked("5\r\nabcdef\r\n"),
        ),
        (
            "chunk data bare LF, RFC 9112 7.1",
            400,
            chunked("5\r\nabcde\n0\r\n\r\n"),
        ),
        (
            "chunk data no CRLF, RFC 9112 7.1",
            400,
            chunked("5\r\nabcde0\r\n\r\n"),
        ),
        ("trailer bare LF, RFC 9112 7.1.2", 400, chunked("0\r\n\n")),
        (
            "trailer field bare LF, RFC 9112 7.1.2",
            400,
            chunked("0\r\nA: b\n\r\n"),
        ),
        (
            "trailer without colon, RFC 9112 7.1.2",
            400,
            chunked("0\r\nGET / HTTP/1.1\r\n\r\n"),
        ),
        (
            "trailer fold, RFC 9112 5.2",
            400,
            chunked("0\r\n A: b\r\n\r\n"),
        ),
        (
            "trailer space before colon, RFC 9112 5.1",
            400,
            chunked("0\r\nA : b\r\n\r\n"),
        ),
    ];
    for (name, status, input) in shapes {
        assert_eq!(refusal(input.as_bytes()), status, "{name}: {input:?}");
    }
}

#[test]
fn responses_leave_out_what_is_not_due() {
    let reply = ok();
    let respond = |head: &str, reply: &Reply| {
        let mut connection = Connection::new();
        let mut input = head.as_bytes();
        assert!(connection.poll(&mut input, WALL).is_some());
        let wire = connection.respond(reply);
        assert_eq!(connection.must_close(), wire.close);
        (String::from_utf8(wire.pieces.concat()).unwrap(), wire.close)
    };
    let whole = String::from_utf8(reply.first.to_vec()).unwrap();
    assert_eq!(respond(GET, &reply), (whole.clone(), false));
    // RFC 9110 section 9.3.2.
    let (head, close) = respond("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &reply);
    assert_eq!(
        (head.as_str(), close),
        (whole.strip_suffix("hi").unwrap(), false)
    );
    assert!(head.contains("Content-Length: 2\r\n"));
    // RFC 9112 section 9.6.
    let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (text, close) = respond(closing, &reply);
    assert!(
        close && text.ends_with("\r\nConnection: close\r\n\r\nhi"),
        "{text}"
    );
    let large = ReplyBuilder::new(200)
        .body(vec![b'x'; 100_000].into(), "video/mp4")
        .finish(WALL);
    assert_eq!(respond(GET, &large).0.len(), large.head_len + 100_000);
    assert_eq!(
        respond("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &large)
            .0
            .len(),
        large.head_len
    );
    let (text, _) = respond(GET, &Reply::not_modified("\"e\"", Cache::NoStore, WALL));
    assert!(text.starts_with("HTTP/1.1 304 Not Modified\r\n") && text.ends_with("\r\n\r\n"));
    assert_eq!(timeout_reply(WALL).status, 408);
}

#[test]
fn a_reply_is_shared_when_nothing_is_added() {
    let large = ReplyBuilder::new(200)
        .body(vec![b'x'; 100_000].into(), "video/mp4")
        .finish(WALL);
    let mut connection = Connection::new();
    let mut input = GET.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
    let wire = connection.respond(&large);
    assert_eq!(wire.pieces[0].as_ptr(), large.first.as_ptr());
    assert_eq!(wire.pieces[1].as_ptr(), large.rest.pieces()[0].as_ptr());
    assert!(!wire.pieces.spilled());
}

#[test]
fn a_head_is_borrowed_from_the_input_when_whole() {
    let input = format!("{GET}{GET}");
    let mut rest = input.as_bytes();
    let mut connection = Connection::new();
    let Some(Event::Request(request)) = connection.poll(&mut rest, WALL) else {
        panic!("a request");
    };
    assert_eq!(request.raw.as_ptr(), input.as_ptr());
    assert_eq!((request.body, rest), (BodyLength::None, GET.as_bytes()));
}

#[test]
fn an_upload_can_be_moved_with_all_that_came() {
    let head = "PUT /ingest/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    for cut in 0..head.len() {
        let mut connection = Connection::new();
        let mut first = &head.as_bytes()[..cut];
        assert!(connection.poll(&mut first, WALL).is_none());
        let behind = format!("{}body", &head[cut..]);
        let mut second = behind.as_bytes();
        let told = connection.poll(&mut second, WALL);
        assert!(matches!(told, Some(Event::Request(_))));
        let mut unread = connection.into_unread();
        unread.extend_from_slice(second);
        assert_eq!(String::from_utf8(unread).unwrap(), format!("{head}body"));
    }
    // Pipelined behind another request.
    let mut connection = Connection::new();
    let both = format!("{GET}{head}body");
    let mut input = both.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
    assert!(connection.poll(&mut input, WALL).is_none());
    connection.respond(&ok());
    assert!(matches!(
        connection.poll(&mut input, WALL),
        Some(Event::Request(_))
    ));
    assert_eq!(
        String::from_utf8(connection.into_unread()).unwrap(),
        format!("{head}body")
    );
}

#[test]
fn a_refused_body_is_read_to_its_end_or_to_the_limit() {
    let refuse_early = |length: u64| {
        let mut connection = Connection::new();
        let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let mut input = head.as_bytes();
        assert!(connection.poll(&mut input, WALL).is_some());
        let wire = connection.respond(&Reply::text(413, "too large", WALL));
        assert!(!wire.close && connection.in_body());
        (connection, String::from_utf8(wire.pieces.concat()).unwrap())
    };
    let send = |connection: &mut Connection, mut left: u64| {
        let block = vec![0u8; 1 << 20];
        let mut log = Log::default();
        while left > 0 {
            let len = left.min(block.len() as u64);
            let mut input = &block[..len as usize];
            while let Some(event) = connection.poll(&mut input, WALL) {
                if !matches!(event, Event::Body(_)) {
                    log.note(&event);
                }
            }
            left -= len;
        }
        log.0
    };
    let (mut connection, text) = refuse_early(REFUSED_BODY_BYTES_MAX);
    assert!(!text.contains("Connection: close"));
    assert_eq!(send(&mut connection, REFUSED_BODY_BYTES_MAX), ["end"]);
    assert!(!connection.must_close() && !connection.is_open());

    let (mut connection, text) = refuse_early(REFUSED_BODY_BYTES_MAX + 1);
    assert!(text.contains("\r\nConnection: close\r\n"));
    assert!(send(&mut connection, REFUSED_BODY_BYTES_MAX).is_empty());
    assert!(!connection.must_close());
    assert!(send(&mut connection, 1).is_empty());
    assert!(connection.must_close() && !connection.is_open());
}

#[test]
fn an_answer_instead_of_100_closes() {
    // RFC 9110 section 10.1.1: the body may come or not.
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut connection = Connection::new();
    let mut input = head.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
    assert!(connection.respond(&ok()).close && connection.must_close());

    let mut connection = Connection::new();
    let mut input = head.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
    assert_eq!(
        connection.respond_continue(),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    assert!(!connection.respond(&ok()).close && connection.in_body());
    // A client that did not wait is no different.
    let mut connection = Connection::new();
    let mut input = format!("{head}a").into_bytes();
    let mut input = &*std::mem::take(&mut input);
    assert!(connection.poll(&mut input, WALL).is_some());
    assert!(matches!(
        connection.poll(&mut input, WALL),
        Some(Event::Body(b"a"))
    ));
    assert!(!connection.respond(&ok()).close);
}

/// A head of exactly `len` bytes.
fn head_of(len: usize) -> String {
    let bare = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    bare.replace("X: ", &format!("X: {}", "x".repeat(len - bare.len())))
}

#[test]
fn limits_of_a_head() {
    assert_eq!(refusal(head_of(REQUEST_HEAD_BYTES_MAX).as_bytes()), 0);
    assert_eq!(events(head_of(REQUEST_HEAD_BYTES_MAX).as_bytes()).len(), 1);
    assert_eq!(refusal(head_of(REQUEST_HEAD_BYTES_MAX + 1).as_bytes()), 431);

    let target = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(len - 1));
    assert_eq!(events(target(REQUEST_TARGET_BYTES_MAX).as_bytes()).len(), 1);
    assert_eq!(
        refusal(target(REQUEST_TARGET_BYTES_MAX + 1).as_bytes()),
        414
    );
    assert_eq!(refusal(target(REQUEST_HEAD_BYTES_MAX).as_bytes()), 414);

    let fields = |n: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(n - 1)
        )
    };
    assert_eq!(events(fields(REQUEST_FIELDS_MAX).as_bytes()).len(), 1);
    assert_eq!(refusal(fields(REQUEST_FIELDS_MAX + 1).as_bytes()), 431);

    let empty = |n: u8| format!("{}{GET}", "\r\n".repeat(n.into()));
    assert_eq!(events(empty(LEADING_EMPTY_LINES_MAX).as_bytes()).len(), 1);
    assert_eq!(refusal(empty(LEADING_EMPTY_LINES_MAX + 1).as_bytes()), 400);
}

#[test]
fn limits_of_a_chunked_body() {
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = |len: usize| format!("{put}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(len - 2));
    assert_eq!(events(line(CHUNK_LINE_BYTES_MAX).as_bytes()).len(), 3);
    assert_eq!(refusal(line(CHUNK_LINE_BYTES_MAX + 1).as_bytes()), 400);
    let zeros = |len: usize| format!("{put}{}1\r\nx\r\n0\r\n\r\n", "0".repeat(len - 1));
    assert_eq!(events(zeros(CHUNK_LINE_BYTES_MAX).as_bytes()).len(), 3);
    assert_eq!(refusal(zeros(CHUNK_LINE_BYTES_MAX + 1).as_bytes()), 400);
    // Two fields; the empty line behind them does not count.
    let trailer = |len: usize| format!("{put}0\r\nA: b\r\nX:{}\r\n\r\n", "x".repeat(len - 10));
    assert_eq!(events(trailer(TRAILER_BYTES_MAX).as_bytes()).len(), 2);
    assert_eq!(refusal(trailer(TRAILER_BYTES_MAX + 1).as_bytes()), 400);
    let max = format!("{put}ffffffffffffffff\r\nx");
    assert_eq!(refusal(max.as_bytes()), 0);
}

#[test]
fn limits_of_pipelining() {
    let mut connection = Connection::new();
    let mut input = GET.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
    let keep = |connection: &mut Connection, len: usize| {
        let block = vec![b'x'; len];
        let mut input = &block[..];
        let refused = connection.poll(&mut input, WALL).is_some();
        assert!(input.is_empty());
        refused
    };
    assert!(!keep(&mut connection, PIPELINED_BYTES_MAX - 1) && connection.wants_bytes());
    assert!(!keep(&mut connection, 1) && !connection.wants_bytes());
    assert!(!keep(&mut connection, PIPELINED_OVERRUN_BYTES_MAX));
    assert!(keep(&mut connection, 1) && connection.must_close());
}

#[test]
fn states_are_told() {
    let mut connection = Connection::new();
    assert!(!connection.in_head() && !connection.is_open() && connection.wants_bytes());
    let mut input: &[u8] = b"PUT / HT";
    assert!(connection.poll(&mut input, WALL).is_none() && connection.in_head());
    let mut input: &[u8] = b"TP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    assert!(connection.poll(&mut input, WALL).is_some());
    assert!(!connection.in_head() && connection.is_open() && connection.in_body());
    assert!(connection.poll(&mut input, WALL).is_none());
    let mut input: &[u8] = b"x";
    assert!(matches!(
        connection.poll(&mut input, WALL),
        Some(Event::Body(b"x"))
    ));
    assert!(matches!(
        connection.poll(&mut input, WALL),
        Some(Event::BodyEnd)
    ));
    assert!(!connection.in_body() && connection.owes_response());
    assert!(!connection.respond(&ok()).close && !connection.is_open());
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec("[a-z\r\n]{0,12}", 0..4);
    (0..9u8, "[a-z/]{0,8}", body, 0..3usize).prop_map(|(kind, path, body, empty)| {
        let mut out = "\r\n".repeat(empty);
        let line = |method: &str| format!("{method} /{path} HTTP/1.1\r\nHost: a\r\n");
        match kind {
            0 | 1 => out += &format!("{}Range: bytes=0-\r\n\r\n", line("GET")),
            2 => out += &format!("{}\r\n", line("HEAD")),
            3 | 4 => {
                let body = body.concat();
                out += &format!(
                    "{}Content-Length: {}\r\n\r\n{body}",
                    line("PUT"),
                    body.len()
                );
            }
            5 | 6 => {
                out += &format!("{}Transfer-Encoding: chunked\r\n\r\n", line("POST"));
                for chunk in body.iter().filter(|chunk| !chunk.is_empty()) {
                    out += &format!("{:x};e\r\n{chunk}\r\n", chunk.len());
                }
                out += "0\r\nA: b\r\n\r\n";
            }
            7 => out += &line("GET").replace("Host", "H\0st"),
            _ => out += &format!("{}Connection: close\r\n\r\n", line("DELETE")),
        }
        out.into_bytes()
    })
}

proptest! {
    /// However a stream of requests is cut, and whenever responses are given,
    /// the same events are told.
    #[test]
    fn cuts_do_not_matter(
        requests in proptest::collection::vec(request(), 1..8),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        mangle in proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut stream = requests.concat();
        if let Some((at, byte)) = mangle {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        for late in [false, true] {
            let mut whole = Log::default();
            pump(&mut Connection::new(), &stream, late, &mut whole);
            let mut pieces = Log::default();
            let mut connection = Connection::new();
            for cut in cuts.windows(2) {
                pump(&mut connection, &stream[cut[0]..cut[1]], late, &mut pieces);
            }
            prop_assert_eq!(&whole.0, &pieces.0, "late: {}", late);
            let mut bytes = Log::default();
            let mut connection = Connection::new();
            for byte in stream.chunks(1) {
                pump(&mut connection, byte, late, &mut bytes);
            }
            prop_assert_eq!(&whole.0, &bytes.0, "late: {}", late);
        }
    }
}
