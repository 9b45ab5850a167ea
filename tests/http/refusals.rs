//! What is refused: shapes that smuggle, and one beyond each limit.

use headwater::http::connection::Connection;
use headwater::limits::*;

use crate::log::{GET, WALL, events, refusal};

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
        ("no length, RFC 9110 15.5.12", 411, put("X: y")),
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
