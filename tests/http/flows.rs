//! Requests in, responses out.

use headwater::http::connection::{Connection, Event, timeout_reply};
use headwater::http::reply::{Cache, Reply, ReplyBuilder};
use headwater::http::request::BodyLength;
use headwater::limits::REFUSED_BODY_BYTES_MAX;

use crate::log::{GET, Log, WALL, events, ok};

#[track_caller]
fn check(input: &str, want: &[&str]) {
    assert_eq!(events(input.as_bytes()), want, "{input:?}");
}

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

/// Heads as encoders send them.
#[test]
fn encoders() {
    // ffmpeg pipelines: the next request comes before the answer to the last.
    let ffmpeg = "Transfer-Encoding: chunked\r\nUser-Agent: Lavf/62.3.100\r\nAccept: */*\r\n\
                  Connection: keep-alive\r\nHost: 127.0.0.1:19051\r\nIcy-MetaData: 1\r\n\r\n";
    check(
        &format!(
            "PUT /live/init-stream0.m4s HTTP/1.1\r\n{ffmpeg}4\r\nmoov\r\n0\r\n\r\n\
             PUT /live/-1024.m4s HTTP/1.1\r\n{ffmpeg}"
        ),
        &[
            "Put /live/init-stream0.m4s Chunked (false, false)",
            "body moov",
            "end",
            "Put /live/-1024.m4s Chunked (false, false)",
        ],
    );
    // GStreamer by libcurl asks before a chunked body.
    check(
        "POST /live//Streams(v.cmfv) HTTP/1.1\r\nHost: o\r\nUser-Agent: GStreamer curlhttpsink\r\n\
         Accept: */*\r\nTransfer-Encoding: chunked\r\nContent-Type: video/quicktime\r\n\
         Expect: 100-continue\r\n\r\n",
        &["Post /live//Streams(v.cmfv) Chunked (false, true)"],
    );
    // GStreamer by libsoup appends.
    let mut input: &[u8] = b"PUT /a.mp4 HTTP/1.1\r\nHost: o\r\nContent-Range: bytes 891-892/*\r\n\
                             Content-Length: 2\r\n\r\nmd";
    let mut connection = Connection::new();
    let Some(Event::Request(request)) = connection.poll(&mut input, WALL) else {
        panic!("a request");
    };
    assert!(request.content_range && request.body == BodyLength::Fixed(2));
}
