//! Responses whose body comes piece by piece.

use headwater::http::connection::{Connection, Event};
use headwater::http::reply::{Reply, ReplyBuilder};
use headwater::limits::{PIPELINED_BYTES_MAX, PIPELINED_OVERRUN_BYTES_MAX};
use headwater::media::rope::Rope;

use crate::log::{GET, Log, WALL, pump};

fn streamed() -> Reply {
    ReplyBuilder::streamed(200, "video/mp4").finish(WALL)
}

/// A connection that has told one request, and the head of its response.
fn open(request: &str) -> (Connection, String) {
    let mut connection = Connection::new();
    let mut input = request.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
    let wire = connection.respond(&streamed());
    assert!(!wire.close || connection.must_close());
    let head = wire.pieces.concat();
    (connection, String::from_utf8(head).unwrap())
}

fn data(connection: &mut Connection, pieces: &[&str]) -> String {
    let mut rope = Rope::new();
    for piece in pieces {
        rope.push(piece.as_bytes().to_vec().into());
    }
    let wire = connection.data(&rope);
    assert!(!wire.close);
    String::from_utf8(wire.pieces.concat()).unwrap()
}

fn end(connection: &mut Connection) -> (String, bool) {
    let wire = connection.end();
    let text = String::from_utf8(wire.pieces.concat()).unwrap();
    (text, wire.close)
}

#[test]
fn each_piece_is_a_chunk() {
    // RFC 9112 section 7.1.
    let (mut connection, head) = open(GET);
    let plain = String::from_utf8(streamed().first.to_vec()).unwrap();
    let want = plain.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(head, want);
    assert!(connection.is_open() && connection.is_streaming());
    assert!(!connection.owes_response());
    assert_eq!(data(&mut connection, &["ab", "c"]), "3\r\nabc\r\n");
    // One without bytes would end the body.
    assert_eq!(data(&mut connection, &[]), "");
    let long = "x".repeat(300);
    let want = format!("12c\r\n{long}\r\n");
    assert_eq!(data(&mut connection, &[&long]), want);
    assert_eq!(end(&mut connection), ("0\r\n\r\n".to_owned(), false));
    assert!(!connection.is_open() && !connection.must_close());
    let mut input = GET.as_bytes();
    assert!(connection.poll(&mut input, WALL).is_some());
}

#[test]
fn media_is_shared_and_not_copied() {
    let (mut connection, _) = open(GET);
    let media = Rope::from(vec![7; 100_000]);
    let wire = connection.data(&media);
    assert_eq!(wire.pieces[1].as_ptr(), media.pieces()[0].as_ptr());
}

#[test]
fn http10_gets_it_as_it_is_until_the_end_of_the_connection() {
    // RFC 9112 sections 6.1 and 6.3.
    for keep in ["", "Connection: keep-alive\r\n"] {
        let (mut connection, head) = open(&format!("GET / HTTP/1.0\r\n{keep}\r\n"));
        assert!(!head.contains("Transfer-Encoding"), "{head}");
        assert!(head.ends_with("\r\nConnection: close\r\n\r\n"), "{head}");
        assert!(!connection.must_close());
        assert_eq!(data(&mut connection, &["ab", "c"]), "abc");
        assert_eq!(end(&mut connection), (String::new(), true));
        assert!(connection.must_close());
    }
}

#[test]
fn a_last_response_closes_after_its_end() {
    let (mut connection, head) = open("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let fields = "\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    assert!(head.ends_with(fields), "{head}");
    assert!(!connection.must_close());
    data(&mut connection, &["a"]);
    assert_eq!(end(&mut connection), ("0\r\n\r\n".to_owned(), true));
}

#[test]
fn head_is_over_with_the_head() {
    // RFC 9110 section 9.3.2.
    for version in ["1.1\r\nHost: a", "1.0\r\nConnection: keep-alive"] {
        let (connection, head) = open(&format!("HEAD / HTTP/{version}\r\n\r\n"));
        assert!(
            head.ends_with("\r\n\r\n") && !head.contains("Length: "),
            "{head}"
        );
        assert!(!connection.is_open() && !connection.must_close());
    }
}

#[test]
fn pipelined_requests_wait_for_the_end() {
    let (mut connection, _) = open(GET);
    for byte in GET.repeat(2).as_bytes().chunks(1) {
        let mut input = byte;
        assert!(connection.poll(&mut input, WALL).is_none());
        assert!(input.is_empty() && connection.wants_bytes());
    }
    data(&mut connection, &["a"]);
    assert!(connection.poll(&mut &b""[..], WALL).is_none());
    end(&mut connection);
    let mut log = Log::default();
    pump(&mut connection, b"", false, &mut log);
    assert_eq!(log.0, ["Get / None (false, false)"; 2]);
}

#[test]
fn waiting_for_the_next_piece_keeps_nothing() {
    // A body that the request brings is read meanwhile.
    let request = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let (mut connection, _) = open(request);
    let mut log = Log::default();
    pump(&mut connection, b"he", true, &mut log);
    data(&mut connection, &["a"]);
    pump(&mut connection, b"llo", true, &mut log);
    assert_eq!(log.0, ["body hello", "end"]);
    assert!(connection.is_streaming());
    assert_eq!(end(&mut connection), ("0\r\n\r\n".to_owned(), false));
    assert!(!connection.is_open());
}

#[test]
fn a_peer_that_breaks_the_rules_meanwhile_is_cut_off() {
    // Nothing can be said within the body of another response.
    let (mut connection, _) = open(GET);
    let flood = vec![b'x'; PIPELINED_BYTES_MAX + PIPELINED_OVERRUN_BYTES_MAX + 1];
    let mut input = &flood[..];
    assert!(matches!(
        connection.poll(&mut input, WALL),
        Some(Event::Break)
    ));
    assert!(connection.must_close() && !connection.is_open());

    let chunked = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut connection, _) = open(chunked);
    let mut input = &b"not a length\r\n"[..];
    assert!(matches!(
        connection.poll(&mut input, WALL),
        Some(Event::Break)
    ));
    assert!(connection.must_close());
}
