//! One HTTP/1.1 connection as a state machine: bytes in, events out; replies
//! in, wire bytes out.
//!
//! One exchange is open at a time. Bytes that arrive while its response is
//! still owed are kept (up to a bound) and parsed after [`Connection::responded`].

use bytes::Bytes;
use smallvec::SmallVec;

use crate::http::reply::Reply;
use crate::http::request::Request;

/// What the bytes of a connection say, in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// A head is whole. The exchange is open until `responded` was called and
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
        /// What to send; empty of body or short.
        reply: Reply,
        /// Whether a request of this connection was open.
        in_body: bool,
    },
}

/// Bytes to send for one response, in order.
#[derive(Debug, Default)]
pub struct Wire {
    /// Each piece is sent as it is.
    pub pieces: SmallVec<[Bytes; 2]>,
    /// The connection ends after the last piece.
    pub close: bool,
}

/// See the module's head.
#[derive(Debug)]
pub struct Connection {}

impl Connection {
    /// A connection that has seen no byte.
    pub fn new() -> Self {
        todo!()
    }

    /// The next event, from bytes kept earlier and then from `input`, which is
    /// advanced past what was consumed or kept. `None` when nothing more can be
    /// told: all of `input` is then consumed or kept.
    ///
    /// `wall` dates the replies of `Refuse`.
    pub fn poll<'a>(
        &'a mut self,
        input: &mut &'a [u8],
        wall: crate::time::Wall,
    ) -> Option<Event<'a>> {
        let _ = (input, wall);
        todo!()
    }

    /// Turns the response of the open exchange into wire bytes: leaves the body
    /// out for HEAD, adds `Connection: close` when the connection ends here.
    /// Call `poll` with an empty input afterwards: a pipelined request may be
    /// waiting.
    pub fn respond(&mut self, reply: &Reply) -> Wire {
        let _ = reply;
        todo!()
    }

    /// Takes the connection apart to move it to another core, in answer to the
    /// `Request` event just returned: the raw head of that request and all that
    /// was kept behind it.
    pub fn into_unread(self) -> Vec<u8> {
        todo!()
    }

    /// Whether an exchange is open (its response is owed or its body runs).
    pub fn is_open(&self) -> bool {
        todo!()
    }

    /// Whether the response of the open exchange is still owed.
    pub fn owes_response(&self) -> bool {
        todo!()
    }

    /// Whether a head has begun and is not whole.
    pub fn in_head(&self) -> bool {
        todo!()
    }

    /// Whether a body is under way.
    pub fn in_body(&self) -> bool {
        todo!()
    }

    /// Whether more bytes are welcome; false when too many pipelined ones are
    /// kept.
    pub fn wants_bytes(&self) -> bool {
        todo!()
    }
}
