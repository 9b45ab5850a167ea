//! One HTTP/1.1 connection as a state machine: bytes in, events out; replies
//! in, wire bytes out.
//!
//! One exchange is open at a time. Bytes that arrive while its response is
//! still owed are kept (up to a bound) and parsed after
//! [`Connection::respond`], or after [`Connection::end`] where the response is
//! streamed. A connection that waits, for a request or for a response, owns no
//! heap memory unless such bytes are kept.
//!
//! **A streamed response** goes out with the chunked coding, one HTTP chunk for
//! each [`Connection::data`]; to HTTP/1.0 as it is, ended by the connection's
//! end. One that breaks off is never ended: the owner breaks the connection, so
//! that nobody takes the half for the whole (RFC 9112 section 8).
//!
//! The owner polls until `None`, hands each event on and gives the response as
//! soon as there is one, also between two polls of the same input. After `None`
//! it looks at [`Connection::must_close`] and [`Connection::wants_bytes`].
//!
//! **Answers before the body has ended.** The body goes on to be read, and its
//! events go on to be told, until it ends or
//! [`REFUSED_BODY_BYTES_MAX`] have passed; then [`Connection::must_close`]. An
//! answer to `Expect: 100-continue` without a 100 before it closes at once: the
//! client may or may not send the body (RFC 9110 section 10.1.1), so what
//! follows on the connection can't be told apart.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::http::body::{Body, Step};
use crate::http::head::{self, Head, Refusal};
use crate::http::reply::Reply;
use crate::http::request::{Method, Request};
use crate::limits::{
    LEADING_EMPTY_LINES_MAX, PIPELINED_BYTES_MAX, PIPELINED_OVERRUN_BYTES_MAX,
    REFUSED_BODY_BYTES_MAX, REQUEST_HEAD_BYTES_MAX,
};
use crate::media::rope::Rope;
use crate::time::Wall;

/// What the bytes of a connection say, in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// A head is whole. The exchange is open until `respond` was called and
    /// its body, if any, has ended.
    Request(Request<'a>),
    /// Bytes of the body, transfer coding removed; at least one.
    Body(&'a [u8]),
    /// The body is whole. Comes for every request that declared one, an empty
    /// one too.
    BodyEnd,
    /// The peer broke the framing. Send this reply, then close; nothing more
    /// is read from it. `in_body` says whether an open exchange dies with it.
    Refuse {
        /// What to send as it is; short, and it says `Connection: close`.
        reply: Reply,
        /// Whether a request of this connection was open.
        in_body: bool,
    },
    /// The peer broke the framing while its response was streamed. Nothing can
    /// be said to it: the exchange dies, and the connection is to be broken.
    Break,
}

/// Bytes to send for one response, in order.
#[derive(Debug, Default)]
pub struct Wire {
    /// Each piece is sent as it is.
    pub pieces: SmallVec<[Bytes; 4]>,
    /// The connection ends after the last piece.
    pub close: bool,
}

/// See the module's head.
#[derive(Debug, Default)]
pub struct Connection {
    /// Bytes that could not be told yet: a partial head, or pipelined requests.
    /// `kept[..start]` are told.
    kept: Vec<u8>,
    start: u32,
    /// Bytes of a partial head that were searched for its end.
    scanned: u32,
    /// Where in `kept` the head of the `Request` just told begins, if it is
    /// there: in front of `start`, so it is given back by the next `poll`.
    told_head: Option<u32>,
    /// Bytes that may still come of a body whose response is out.
    refused_left: u32,
    body: Body,
    /// Empty lines skipped before the next head.
    empty_lines: u8,
    response: Response,
    head_method: bool,
    http10: bool,
    /// The connection ends after the open exchange.
    close: bool,
    /// The client waits for a 100 before it sends the body.
    expects_continue: bool,
    /// Nothing more is read.
    closed: bool,
}

const _: () = assert!(size_of::<Connection>() <= 96);
const _: () = assert!(REFUSED_BODY_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(PIPELINED_BYTES_MAX + PIPELINED_OVERRUN_BYTES_MAX <= u32::MAX as usize);

/// How far the response of the open exchange is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Response {
    /// It is out, or no exchange is open.
    #[default]
    Out,
    /// It is owed.
    Owed,
    /// Its head is out, its body is streamed.
    Streamed,
}

/// Where a head lies.
enum Found<'a> {
    /// In the bytes that came in.
    Input(&'a [u8]),
    /// In the kept bytes, so many from `start`.
    Kept(usize),
}

impl Connection {
    /// A connection that has seen no byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next event, from bytes kept earlier and then from `input`, which is
    /// advanced past what was consumed or kept. `None` when nothing more can be
    /// told: all of `input` is then consumed or kept.
    ///
    /// `wall` dates the replies of `Refuse`.
    pub fn poll<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], wall: Wall) -> Option<Event<'a>> {
        self.told_head = None;
        self.release();
        if self.closed {
            self.shut();
            *input = &[];
            None
        } else if !self.body.is_over() {
            self.poll_body(input, wall)
        } else if self.response != Response::Out {
            self.keep(input, wall)
        } else {
            self.poll_head(input, wall)
        }
    }

    /// Turns the response of the open exchange into wire bytes: leaves the body
    /// out for HEAD, adds a `Connection` field where one is due. Call `poll`
    /// with an empty input afterwards: a pipelined request may be waiting.
    ///
    /// When the connection ends with this response but the body still runs,
    /// `close` is not set: the end comes by [`Self::must_close`], so that the
    /// response isn't lost to a reset.
    ///
    /// Where the body is streamed, `data` and `end` follow; the answer to HEAD
    /// is over at once.
    pub fn respond(&mut self, reply: &Reply) -> Wire {
        assert!(self.owes_response(), "one response a request");
        if self.expects_continue {
            self.close = true;
            self.body = Body::Over;
        }
        if let Body::Fixed(left) = self.body {
            self.close |= left > REFUSED_BODY_BYTES_MAX;
        }
        let streamed = reply.streamed && !self.head_method;
        if streamed {
            // RFC 9112 section 6.3: only its end ends a body there.
            self.close |= self.http10;
            self.response = Response::Streamed;
        }
        let mut wire = self.wire(reply);
        if !streamed {
            self.response_is_out(&mut wire);
        }
        wire
    }

    /// The wire bytes of one more piece of a streamed response.
    pub fn data(&mut self, data: &Rope) -> Wire {
        assert!(self.is_streaming(), "the head goes first");
        let mut wire = Wire::default();
        // A chunk without bytes would end the body.
        if data.is_empty() {
            return wire;
        }
        if !self.http10 {
            wire.pieces
                .push(format!("{:x}\r\n", data.len()).into_bytes().into());
        }
        wire.pieces.extend(data.pieces().iter().cloned());
        if !self.http10 {
            wire.pieces.push(Bytes::from_static(b"\r\n"));
        }
        wire
    }

    /// Ends a streamed response. Call `poll` afterwards, as after `respond`.
    pub fn end(&mut self) -> Wire {
        assert!(self.is_streaming(), "what is streamed ends once");
        let mut wire = Wire::default();
        if !self.http10 {
            wire.pieces.push(Bytes::from_static(b"0\r\n\r\n"));
        }
        self.response_is_out(&mut wire);
        wire
    }

    /// The bytes of `100 Continue`, for a request that expects it. They must come
    /// from here: an answer that no 100 went before closes the connection.
    pub fn respond_continue(&mut self) -> Bytes {
        self.expects_continue = false;
        Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n")
    }

    /// Takes the connection apart to move it to another core, in answer to the
    /// `Request` event just returned: the raw head of that request and all that
    /// was kept behind it. Only requests that carry uploads are moved; a head
    /// with another method is not kept for this.
    pub fn into_unread(mut self) -> Vec<u8> {
        let head = self
            .told_head
            .expect("a request that carries an upload was just told");
        self.kept.drain(..head as usize);
        self.kept
    }

    /// Whether an exchange is open (its response is owed or streamed, or its
    /// body runs).
    pub fn is_open(&self) -> bool {
        self.response != Response::Out || self.in_body()
    }

    /// Whether the response of the open exchange is still owed.
    pub fn owes_response(&self) -> bool {
        self.response == Response::Owed
    }

    /// Whether the response of the open exchange is under way: its head is out,
    /// its end is not.
    pub fn is_streaming(&self) -> bool {
        self.response == Response::Streamed
    }

    /// Whether a head has begun and is not whole.
    pub fn in_head(&self) -> bool {
        !self.is_open() && !self.closed && self.pending() > 0
    }

    /// Whether a body is under way.
    pub fn in_body(&self) -> bool {
        !self.body.is_over()
    }

    /// Whether more bytes are welcome; false when too many pipelined ones are
    /// kept, and when the connection must close.
    pub fn wants_bytes(&self) -> bool {
        !self.closed && self.pending() < PIPELINED_BYTES_MAX
    }

    /// Whether the connection is over: to be closed once all that was handed
    /// out is sent. It turns true with `Refuse`, with a response that closes,
    /// and, seen after `poll`, where a body ends, breaks off or is too long whose
    /// response is out already.
    pub fn must_close(&self) -> bool {
        self.closed
    }

    fn pending(&self) -> usize {
        self.kept.len() - self.start as usize
    }

    /// Gives memory back that holds nothing any more.
    fn release(&mut self) {
        if self.pending() == 0 && self.kept.capacity() > 0 {
            self.kept = Vec::new();
            self.start = 0;
        }
    }

    /// The last byte of the response is in `wire`.
    fn response_is_out(&mut self, wire: &mut Wire) {
        self.response = Response::Out;
        if self.body.is_over() {
            wire.close = self.close;
            self.end_exchange();
        } else {
            self.refused_left = REFUSED_BODY_BYTES_MAX as u32;
        }
    }

    /// The response has gone out and the body has ended.
    fn end_exchange(&mut self) {
        self.expects_continue = false;
        if self.close {
            self.shut();
        }
    }

    fn shut(&mut self) {
        *self = Self {
            closed: true,
            ..Self::default()
        };
    }

    fn refuse<'a>(&mut self, refusal: Refusal, input: &mut &[u8], wall: Wall) -> Option<Event<'a>> {
        *input = &[];
        let in_body = self.is_open();
        let response = self.response;
        self.shut();
        match response {
            Response::Streamed => return Some(Event::Break),
            // There is no request that this one answers.
            Response::Out if in_body => return None,
            Response::Out | Response::Owed => {}
        }
        Some(Event::Refuse {
            reply: last_reply(refusal.status, refusal.why, wall),
            in_body,
        })
    }

    fn poll_head<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], wall: Wall) -> Option<Event<'a>> {
        let found = match self.find_head(input) {
            Ok(found) => found?,
            Err(refusal) => return self.refuse(refusal, input, wall),
        };
        let (raw, kept_at) = match found {
            // PUT, POST and DELETE may have to move to another core.
            Found::Input(raw) if matches!(raw[0], b'P' | b'D') => {
                self.kept = raw.to_vec();
                self.start = raw.len() as u32;
                (raw, Some(0))
            }
            Found::Input(raw) => (raw, None),
            Found::Kept(len) => {
                let at = self.start;
                self.start += len as u32;
                (&self.kept[at as usize..][..len], Some(at))
            }
        };
        let Head { request, http10 } = match head::parse(raw) {
            Ok(head) => head,
            Err(refusal) => {
                // Not by `refuse`: the head may be borrowed from what it clears.
                *input = &[];
                self.closed = true;
                let reply = last_reply(refusal.status, refusal.why, wall);
                return Some(Event::Refuse {
                    reply,
                    in_body: false,
                });
            }
        };
        self.scanned = 0;
        self.empty_lines = 0;
        self.response = Response::Owed;
        self.http10 = http10;
        self.head_method = request.method == Method::Head;
        self.close = request.close;
        self.expects_continue = request.expect_continue;
        self.body = Body::new(request.body);
        self.told_head = kept_at;
        Some(Event::Request(request))
    }

    /// Finds the next whole head. Without copying when it lies in `input` and
    /// nothing is kept; else the kept bytes are filled up to its end, no further.
    fn find_head<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Found<'a>>, Refusal> {
        let all = *input;
        loop {
            self.skip_kept_empty_lines()?;
            if self.pending() == 0 {
                self.release();
                return self.find_head_in(input);
            }
            let pending = &self.kept[self.start as usize..];
            if let Some(len) = head::find_end(pending, self.scanned as usize)? {
                let taken = all.len() - input.len();
                let behind = taken.min(pending.len() - len);
                self.kept.truncate(self.kept.len() - behind);
                *input = &all[taken - behind..];
                return Ok(Some(Found::Kept(len)));
            }
            self.scanned = pending.len() as u32;
            if input.is_empty() {
                return Ok(None);
            }
            // Without an end it is below the bound, or it had been refused.
            let room = REQUEST_HEAD_BYTES_MAX - pending.len();
            let (new, behind) = input.split_at(room.min(input.len()));
            self.kept.extend_from_slice(new);
            *input = behind;
        }
    }

    fn find_head_in<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Found<'a>>, Refusal> {
        while let Some(behind) = input.strip_prefix(b"\r\n") {
            self.count_empty_line()?;
            *input = behind;
        }
        if let Some(len) = head::find_end(input, 0)? {
            let (raw, behind) = input.split_at(len);
            *input = behind;
            return Ok(Some(Found::Input(raw)));
        }
        self.kept.extend_from_slice(input);
        self.scanned = input.len() as u32;
        *input = &[];
        Ok(None)
    }

    fn skip_kept_empty_lines(&mut self) -> Result<(), Refusal> {
        while self.kept[self.start as usize..].starts_with(b"\r\n") {
            self.count_empty_line()?;
            self.start += 2;
            self.scanned = 0;
        }
        Ok(())
    }

    fn count_empty_line(&mut self) -> Result<(), Refusal> {
        self.empty_lines += 1;
        if self.empty_lines > LEADING_EMPTY_LINES_MAX {
            return Err(Refusal {
                status: 400,
                why: "empty lines without end",
            });
        }
        Ok(())
    }

    fn poll_body<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], wall: Wall) -> Option<Event<'a>> {
        let mut from_kept = self.pending() > 0;
        let all = *input;
        let (used, step) = loop {
            let bytes = if from_kept {
                &self.kept[self.start as usize..]
            } else {
                all
            };
            let (used, step) = match self.body.step(bytes) {
                Ok(outcome) => outcome,
                Err(refusal) => return self.refuse(refusal, input, wall),
            };
            if from_kept {
                self.start += used as u32;
            } else {
                *input = &all[used..];
            }
            if used > 0 {
                self.expects_continue = false;
            }
            if self.response == Response::Out && !self.drain(used) {
                *input = &[];
                return None;
            }
            if step != Step::More || !from_kept {
                break (used, step);
            }
            from_kept = false;
        };
        match step {
            Step::More => None,
            Step::Data(len) if from_kept => {
                let end = self.start as usize;
                Some(Event::Body(&self.kept[end - len..end]))
            }
            Step::Data(len) => Some(Event::Body(&all[used - len..used])),
            Step::End => {
                if self.response == Response::Out {
                    self.end_exchange();
                }
                Some(Event::BodyEnd)
            }
        }
    }

    /// Counts bytes of a body whose response is out; ends the connection and
    /// says `false` when they are too many.
    fn drain(&mut self, used: usize) -> bool {
        match self.refused_left.checked_sub(used as u32) {
            Some(left) => self.refused_left = left,
            None => self.shut(),
        }
        !self.closed
    }

    /// Keeps what comes while a response is owed, unless it is the last one.
    fn keep<'a>(&mut self, input: &mut &[u8], wall: Wall) -> Option<Event<'a>> {
        if self.close {
            *input = &[];
        }
        if input.is_empty() {
            return None;
        }
        if self.pending() + input.len() > PIPELINED_BYTES_MAX + PIPELINED_OVERRUN_BYTES_MAX {
            let refusal = Refusal {
                status: 400,
                why: "too many pipelined bytes",
            };
            return self.refuse(refusal, input, wall);
        }
        self.kept.drain(..self.start as usize);
        self.start = 0;
        self.kept.extend_from_slice(input);
        *input = &[];
        None
    }

    fn wire(&self, reply: &Reply) -> Wire {
        let coded = self.is_streaming() && !self.http10;
        let connection = match (self.close, self.http10) {
            (true, _) => Some("close"),
            // RFC 9112 section 9.3: such a client closes unless told otherwise.
            (false, true) => Some("keep-alive"),
            (false, false) => None,
        };
        let fields = coded.then_some(("Transfer-Encoding", "chunked"));
        let fields = fields.into_iter();
        let fields = fields.chain(connection.map(|value| ("Connection", value)));
        let fields: SmallVec<[_; 2]> = fields.collect();
        let bodiless = self.head_method || matches!(reply.status, 100..=199 | 204 | 304);
        let mut wire = Wire::default();
        let first = if fields.is_empty() {
            reply.first.clone()
        } else {
            reply.with_fields(&fields).first
        };
        if bodiless {
            let body_len = reply.first.len() - reply.head_len;
            wire.pieces.push(first.slice(..first.len() - body_len));
        } else {
            wire.pieces.push(first);
            wire.pieces.extend(reply.rest.pieces().iter().cloned());
        }
        wire
    }
}

/// 408, for a head that has not become whole in time. The connection closes
/// after it.
pub fn timeout_reply(wall: Wall) -> Reply {
    last_reply(408, "the request took too long", wall)
}

/// A reply after which the connection closes.
fn last_reply(status: u16, why: &str, wall: Wall) -> Reply {
    Reply::text(status, why, wall).with_fields(&[("Connection", "close")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_owns_no_heap() {
        let mut connection = Connection::new();
        let reply = Reply::text(200, "x", Wall(0));
        // Idle, parked on a head that came in two, idle again, with an upload
        // that is open and silent.
        assert_eq!(connection.kept.capacity(), 0);
        for mut input in [&b"GET / HTTP/1.1\r\nHo"[..], b"st: a\r\n\r\n"] {
            while connection.poll(&mut input, Wall(0)).is_some() {}
        }
        assert!(connection.owes_response() && connection.kept.capacity() == 0);
        connection.respond(&reply);
        assert!(connection.poll(&mut &b""[..], Wall(0)).is_none());
        assert_eq!(connection.kept.capacity(), 0);
        let mut input = &b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"[..];
        while connection.poll(&mut input, Wall(0)).is_some() {}
        assert!(connection.in_body() && connection.kept.capacity() == 0);
    }

    #[test]
    fn nothing_is_kept_behind_a_last_request() {
        // RFC 9112 section 9.6.
        let mut connection = Connection::new();
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut input = &head.repeat(2)[..];
        while connection.poll(&mut input, Wall(0)).is_some() {}
        assert!(input.is_empty() && connection.kept.capacity() == 0);
    }
}
