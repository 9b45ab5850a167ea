//! A response ready to be sent, shared by every exchange that gets it.

use std::fmt::Write as _;

use std::fmt;

use bytes::Bytes;

use crate::limits::ONE_SEND_BYTES_MAX;
use crate::media::rope::Rope;
use crate::time::Wall;

/// A whole response, or the head of one whose body is not known yet. The head
/// has no field of the connection (`Connection`, `Transfer-Encoding`); the
/// connection adds those where it must.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// The head, `HTTP/1.1 ` to the empty line, and behind it the body when it
    /// is small enough to go out in the same send.
    pub first: Bytes,
    /// Bytes of `first` that are head.
    pub head_len: usize,
    /// The rest of the body.
    pub rest: Rope,
    /// The body comes later, piece by piece, and has no length until it ends.
    pub streamed: bool,
}

impl Reply {
    /// The head alone.
    pub fn head(&self) -> Bytes {
        self.first.slice(..self.head_len)
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> u64 {
        (self.first.len() - self.head_len) as u64 + self.rest.len()
    }

    /// The body, sharing memory.
    pub fn body(&self) -> Rope {
        let mut body = Rope::from(self.first.slice(self.head_len..));
        body.extend(&self.rest);
        body
    }

    /// The same response with a new `Date`. The body is shared where it is not
    /// in one buffer with the head.
    #[must_use]
    pub fn refreshed(&self, wall: Wall) -> Self {
        let mut first = self.first.to_vec();
        let date_at = date_at(&first);
        first[date_at..date_at + DATE_BYTES].copy_from_slice(http_date(wall).as_bytes());
        Self {
            first: first.into(),
            rest: self.rest.clone(),
            ..*self
        }
    }

    /// The same response with more fields, for this connection alone.
    #[must_use]
    pub fn with_fields(&self, fields: &[(&str, &str)]) -> Self {
        let (head, body) = self.first.split_at(self.head_len);
        let lens = fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let mut first = Vec::with_capacity(self.first.len() + lens.sum::<usize>());
        first.extend_from_slice(&head[..head.len() - 2]);
        for (name, value) in fields {
            for piece in [name, ": ", value, "\r\n"] {
                first.extend_from_slice(piece.as_bytes());
            }
        }
        first.extend_from_slice(b"\r\n");
        let head_len = first.len();
        first.extend_from_slice(body);
        Self {
            status: self.status,
            first: first.into(),
            head_len,
            rest: self.rest.clone(),
            streamed: self.streamed,
        }
    }

    /// A short message in plain text that no cache keeps: the form of all
    /// errors.
    pub fn text(status: u16, message: &str, wall: Wall) -> Self {
        ReplyBuilder::new(status)
            .cache(Cache::NoStore)
            .body(format!("{message}\n").into(), "text/plain; charset=utf-8")
            .finish(wall)
    }

    /// A JSON document that no cache keeps.
    pub fn json(status: u16, document: String, wall: Wall) -> Self {
        ReplyBuilder::new(status)
            .cache(Cache::NoStore)
            .body(document.into(), "application/json")
            .finish(wall)
    }

    /// 304 for a copy that is still good. RFC 9110 section 15.4.5 wants the
    /// `ETag` and `Cache-Control` that the 200 would have had.
    pub fn not_modified(etag: &str, cache: Cache, wall: Wall) -> Self {
        ReplyBuilder::new(304)
            .field("ETag", etag)
            .cache(cache)
            .finish(wall)
    }

    /// 416: no byte of the range exists in a body of `len` bytes, or will soon
    /// in one that still grows. The length of such a body can't be told (RFC
    /// 9110 section 14.4).
    pub fn range_not_satisfiable(len: Option<u64>, wall: Wall) -> Self {
        let mut builder = ReplyBuilder::new(416);
        if let Some(len) = len {
            builder = builder.field("Content-Range", &format!("bytes */{len}"));
        }
        builder
            .cache(Cache::NoStore)
            .body(
                "no such range\n".to_owned().into(),
                "text/plain; charset=utf-8",
            )
            .finish(wall)
    }

    /// The answer to OPTIONS, a CORS preflight above all.
    pub fn options(wall: Wall) -> Self {
        ReplyBuilder::new(204)
            .field("Allow", ALLOWED_METHODS)
            .field("Access-Control-Allow-Methods", ALLOWED_METHODS)
            .field("Access-Control-Allow-Headers", ALLOWED_FIELDS)
            .field("Access-Control-Max-Age", "86400")
            .finish(wall)
    }

    /// 405 with what is allowed instead.
    pub fn method_not_allowed(allow: &str, wall: Wall) -> Self {
        ReplyBuilder::new(405)
            .field("Allow", allow)
            .cache(Cache::NoStore)
            .body(
                "method not allowed\n".to_owned().into(),
                "text/plain; charset=utf-8",
            )
            .finish(wall)
    }
}

/// How long caches keep a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Not at all.
    NoStore,
    /// This many seconds.
    MaxAge(u64),
    /// This many seconds, and it never changes: clients need not revalidate.
    Immutable(u64),
    /// This many seconds in caches that serve many, not at all in a player's
    /// own: a herd that was held together is answered by one request.
    Shared(u64),
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore => f.write_str("no-store"),
            Self::MaxAge(seconds) => write!(f, "public, max-age={seconds}"),
            Self::Immutable(seconds) => write!(f, "public, max-age={seconds}, immutable"),
            Self::Shared(seconds) => write!(f, "public, max-age=0, s-maxage={seconds}"),
        }
    }
}

/// A response under construction.
#[derive(Debug)]
pub struct ReplyBuilder {
    status: u16,
    fields: String,
    body: Option<Rope>,
    streamed: bool,
}

impl ReplyBuilder {
    /// A response without body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            fields: String::with_capacity(256),
            body: None,
            streamed: false,
        }
    }

    /// 206 with the bytes `from..to` of `whole`, which must be there.
    pub fn partial(whole: &Rope, content_type: &str, from: u64, to: u64) -> Self {
        let len = whole.len();
        assert!(
            from < to && to <= len,
            "range {from}..{to} lies in a body of {len}"
        );
        Self::new(206)
            .field("Content-Range", &format!("bytes {from}-{}/{len}", to - 1))
            .body(whole.slice(from, to), content_type)
    }

    /// 206 with the bytes `from..to`, `body`, of something that still grows: its
    /// length is not known.
    pub fn partial_of_growing(body: Rope, content_type: &str, from: u64) -> Self {
        assert!(!body.is_empty(), "a range has at least one byte");
        let last = from + body.len() - 1;
        Self::new(206)
            .field("Content-Range", &format!("bytes {from}-{last}/*"))
            .body(body, content_type)
    }

    /// The head of a response whose body comes later, piece by piece.
    pub fn streamed(status: u16, content_type: &str) -> Self {
        let mut builder = Self::new(status).field("Content-Type", content_type);
        builder.streamed = true;
        builder
    }

    /// Adds a header field. Both come from the origin itself, so a line break in
    /// them is a bug here.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        assert!(
            !name.is_empty() && is_line(name) && is_line(value),
            "field {name:?}: {value:?}"
        );
        self.push(name, value);
        self
    }

    /// Sets `Cache-Control`.
    #[must_use]
    pub fn cache(self, cache: Cache) -> Self {
        self.field("Cache-Control", &cache.to_string())
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Rope, content_type: &str) -> Self {
        self = self.field("Content-Type", content_type);
        self.body = Some(body);
        self
    }

    /// The response, dated. It has a `Content-Length` unless its body is
    /// streamed or its status rules one out (RFC 9110 section 8.6).
    pub fn finish(self, wall: Wall) -> Reply {
        let bodiless = matches!(self.status, 204 | 304);
        let body = self.body.unwrap_or_default();
        assert!(
            !bodiless || body.is_empty(),
            "status {} has no body",
            self.status
        );
        let reason = reason(self.status);
        let mut head = String::with_capacity(384 + self.fields.len());
        let _ = write!(
            head,
            "HTTP/1.1 {} {reason}\r\nDate: {}\r\n",
            self.status,
            http_date(wall)
        );
        head.push_str(COMMON_FIELDS);
        head.push_str(&self.fields);
        if !bodiless && !self.streamed {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let head_len = head.len();
        let mut first = head.into_bytes();
        let one_send = first.len() as u64 + body.len() <= ONE_SEND_BYTES_MAX as u64;
        let rest = if one_send {
            first.reserve_exact(body.len() as usize);
            body.pieces()
                .iter()
                .for_each(|piece| first.extend_from_slice(piece));
            Rope::new()
        } else {
            body
        };
        Reply {
            status: self.status,
            first: first.into(),
            head_len,
            rest,
            streamed: self.streamed,
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        for piece in [name, ": ", value, "\r\n"] {
            self.fields.push_str(piece);
        }
    }
}

/// The reason phrase of a status code.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // RFC 9112 section 4: the phrase may be empty, clients ignore it.
        _ => "",
    }
}

/// On every response. Players read `Age` to find the live edge behind a cache;
/// a browser shows them nothing that is not exposed.
const COMMON_FIELDS: &str = "Server: headwater\r\n\
    Access-Control-Allow-Origin: *\r\n\
    Access-Control-Expose-Headers: Age, Date, ETag, Content-Length, Content-Range\r\n\
    Timing-Allow-Origin: *\r\n";

const ALLOWED_METHODS: &str = "GET, HEAD, OPTIONS, PUT, POST, DELETE";

/// What a page may send cross-origin; the CMCD fields come from its players.
const ALLOWED_FIELDS: &str =
    "Range, If-None-Match, If-Range, CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status";

/// Bytes of an IMF-fixdate, `Thu, 01 Jan 1970 00:00:00 GMT`.
const DATE_BYTES: usize = 29;

/// The date, of fixed width: years beyond four digits are a broken clock.
fn http_date(wall: Wall) -> String {
    let date = wall.http_date();
    assert_eq!(date.len(), DATE_BYTES, "date of fixed width: {date}");
    date
}

/// Where the date begins: `Date` is the first field of every head.
fn date_at(head: &[u8]) -> usize {
    let line_end = memchr::memchr(b'\n', head).expect("a reply starts with a status line");
    assert!(
        head[line_end + 1..].starts_with(b"Date: "),
        "Date is the first field"
    );
    line_end + 1 + "Date: ".len()
}

fn is_line(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Wall = Wall(1_767_225_800_000_000);

    fn head_of(reply: &Reply) -> String {
        String::from_utf8(reply.head().to_vec()).unwrap()
    }

    #[test]
    fn a_small_reply_is_one_buffer_with_all_common_fields() {
        let reply = ReplyBuilder::new(200)
            .field("ETag", "\"a\"")
            .cache(Cache::Immutable(60))
            .body("hello".to_owned().into(), "text/plain")
            .finish(WALL);
        assert_eq!(
            String::from_utf8(reply.first.to_vec()).unwrap(),
            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:03:20 GMT\r\nServer: headwater\r\n\
             Access-Control-Allow-Origin: *\r\n\
             Access-Control-Expose-Headers: Age, Date, ETag, Content-Length, Content-Range\r\n\
             Timing-Allow-Origin: *\r\nETag: \"a\"\r\nCache-Control: public, max-age=60, immutable\r\n\
             Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
        );
        assert!(reply.rest.is_empty());
        assert_eq!(
            (reply.body_len(), reply.body().to_vec()),
            (5, b"hello".to_vec())
        );
    }

    #[test]
    fn one_send_holds_up_to_its_limit_and_not_a_byte_more() {
        let build = |len: usize| {
            ReplyBuilder::new(200)
                .body(vec![7u8; len].into(), "video/mp4")
                .finish(WALL)
        };
        // A body of five digits throughout, so that the head keeps its length.
        let room = ONE_SEND_BYTES_MAX - build(10_000).head_len;
        assert_eq!(build(room).first.len(), ONE_SEND_BYTES_MAX);
        assert!(build(room).rest.is_empty());
        let beyond = build(room + 1);
        assert_eq!(
            (beyond.first.len(), beyond.rest.len()),
            (beyond.head_len, room as u64 + 1)
        );
        assert_eq!(beyond.body_len(), room as u64 + 1);
    }

    #[test]
    fn large_bodies_share_memory() {
        let body = Bytes::from(vec![1u8; ONE_SEND_BYTES_MAX + 1]);
        let reply = ReplyBuilder::new(200)
            .body(body.clone().into(), "video/mp4")
            .finish(WALL);
        assert_eq!(reply.rest.pieces()[0].as_ptr(), body.as_ptr());
        assert_eq!(
            reply.refreshed(WALL).rest.pieces()[0].as_ptr(),
            body.as_ptr()
        );
    }

    #[test]
    fn no_length_where_the_status_rules_out_a_body() {
        // RFC 9110 section 8.6.
        for reply in [
            Reply::options(WALL),
            Reply::not_modified("\"x\"", Cache::MaxAge(1), WALL),
        ] {
            assert!(
                !head_of(&reply).contains("\r\nContent-Length"),
                "{}",
                reply.status
            );
            assert_eq!(reply.body_len(), 0);
        }
        assert!(head_of(&ReplyBuilder::new(200).finish(WALL)).contains("Content-Length: 0\r\n"));
    }

    #[test]
    fn refreshing_changes_the_date_alone() {
        let reply = Reply::text(503, "later", WALL);
        let later = reply.refreshed(Wall(WALL.0 + 61_000_000));
        let want = String::from_utf8(reply.first.to_vec())
            .unwrap()
            .replace("00:03:20", "00:04:21");
        assert_eq!(String::from_utf8(later.first.to_vec()).unwrap(), want);
        assert_eq!((later.status, later.head_len), (503, reply.head_len));
    }

    #[test]
    fn an_added_field_leaves_the_body() {
        let reply = Reply::text(404, "nothing here", WALL).with_fields(&[("Connection", "close")]);
        assert!(head_of(&reply).ends_with("\r\nConnection: close\r\n\r\n"));
        assert_eq!(reply.body().to_vec(), b"nothing here\n");
    }

    #[test]
    fn a_partial_reply_names_its_range() {
        let reply =
            ReplyBuilder::partial(&"0123456789".to_owned().into(), "video/mp4", 2, 5).finish(WALL);
        let head = head_of(&reply);
        assert!(head.starts_with("HTTP/1.1 206 Partial Content\r\n"));
        assert!(head.contains("Content-Range: bytes 2-4/10\r\n"));
        assert!(head.contains("Content-Length: 3\r\n"));
        assert_eq!(reply.body().to_vec(), b"234");
        // RFC 9110 section 15.5.17.
        let none = Reply::range_not_satisfiable(Some(10), WALL);
        assert!(head_of(&none).contains("Content-Range: bytes */10\r\n"));
    }

    #[test]
    fn what_still_grows_has_no_length() {
        // RFC 8673 section 2.2.
        let body = Rope::from("234".to_owned());
        let part = ReplyBuilder::partial_of_growing(body, "video/mp4", 2).finish(WALL);
        assert!(head_of(&part).contains("Content-Range: bytes 2-4/*\r\n"));
        assert!(head_of(&part).contains("Content-Length: 3\r\n"));
        let head = head_of(&ReplyBuilder::streamed(200, "video/mp4").finish(WALL));
        assert!(!head.contains("\r\nContent-Length"), "{head}");
        let none = head_of(&Reply::range_not_satisfiable(None, WALL));
        assert!(!none.contains("\r\nContent-Range"), "{none}");
    }

    #[test]
    fn preflight_allows_what_players_send() {
        let head = head_of(&Reply::options(WALL));
        for name in ["Range", "If-None-Match", "CMCD-Request", "CMCD-Status"] {
            assert!(head.contains(name), "{name}");
        }
        assert!(
            head_of(&Reply::method_not_allowed("GET, HEAD", WALL)).contains("Allow: GET, HEAD")
        );
    }
}
