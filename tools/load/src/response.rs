//! A response of HTTP/1.1, taken in as it comes.

use httparse::{EMPTY_HEADER, Status};

const HEAD_BYTES_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 64;

/// What a head says, as far as a player needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) is_gzip: bool,
    /// The connection takes no further request.
    pub(crate) closes: bool,
}

/// A parser for one response.
#[derive(Debug, Default)]
pub(crate) struct Response {
    head_bytes: Vec<u8>,
    head: Option<Head>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Bytes of the body still to come.
    Length(u64),
    /// Until the connection ends.
    Close,
    /// At a chunk's size line: the size so far, and where in the line.
    Size(u64, Line),
    /// Bytes of a chunk still to come.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// Behind the last chunk; whether the line so far is empty.
    Trailer(bool),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    Digits,
    Extension,
}

impl Response {
    /// Whether nothing of it has come yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.head.is_none() && self.head_bytes.is_empty()
    }

    /// The head, once it is whole.
    pub(crate) fn head(&self) -> Option<Head> {
        self.head
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the end of the connection ends the response well.
    pub(crate) fn on_end(&mut self) -> bool {
        if self.state == State::Close {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Takes bytes in; `sink` gets those of the body. Returns how many belong
    /// to this response.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            let rest = &bytes[at..];
            at += match self.state {
                State::Head => self.take_head(rest)?,
                State::Length(left) => {
                    let (count, left) = take_some(rest, left, &mut sink);
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Length(left)
                    };
                    count
                }
                State::Close => {
                    sink(rest);
                    rest.len()
                }
                State::Chunk(left) => {
                    let (count, left) = take_some(rest, left, &mut sink);
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    count
                }
                State::Size(..) | State::ChunkEnd | State::Trailer(_) => {
                    self.state = framing(self.state, rest[0])?;
                    1
                }
                State::Done => unreachable!("checked above"),
            };
        }
        Ok(at)
    }

    /// Takes bytes of the head, and leaves those behind it.
    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let before = self.head_bytes.len();
        let room = HEAD_BYTES_MAX - before;
        self.head_bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut fields);
        let len = match parsed.parse(&self.head_bytes) {
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) if self.head_bytes.len() < HEAD_BYTES_MAX => return Ok(bytes.len()),
            Ok(Status::Partial) => return Err("a head too long"),
            Err(_) => return Err("a broken head"),
        };
        let (head, state) = read_head(&parsed)?;
        self.head_bytes.clear();
        if head.status >= 200 {
            self.head = Some(head);
            self.state = state;
        }
        Ok(len - before)
    }
}

fn read_head(parsed: &httparse::Response<'_, '_>) -> Result<(Head, State), &'static str> {
    let status = parsed.code.ok_or("no status")?;
    let field = |name: &str| {
        let found = parsed
            .headers
            .iter()
            .find(|of| of.name.eq_ignore_ascii_case(name));
        found.map(|of| {
            String::from_utf8_lossy(of.value)
                .trim()
                .to_ascii_lowercase()
        })
    };
    let connection = field("connection").unwrap_or_default();
    let mut head = Head {
        status,
        is_gzip: field("content-encoding").is_some_and(|value| value == "gzip"),
        closes: connection == "close" || (parsed.version == Some(0) && connection != "keep-alive"),
    };
    let state = if matches!(status, 204 | 304) {
        State::Done
    } else if field("transfer-encoding").is_some_and(|value| value == "chunked") {
        State::Size(0, Line::Empty)
    } else if let Some(length) = field("content-length") {
        match length.parse().map_err(|_| "a broken Content-Length")? {
            0 => State::Done,
            length => State::Length(length),
        }
    } else {
        head.closes = true;
        State::Close
    };
    Ok((head, state))
}

fn take_some(bytes: &[u8], left: u64, sink: &mut impl FnMut(&[u8])) -> (usize, u64) {
    let count = left.min(bytes.len() as u64) as usize;
    sink(&bytes[..count]);
    (count, left - count as u64)
}

/// The state behind one byte of chunked framing.
fn framing(state: State, byte: u8) -> Result<State, &'static str> {
    Ok(match (state, byte) {
        (State::Size(_, Line::Empty), b'\n') => return Err("a chunk without size"),
        (State::Size(0, _), b'\n') => State::Trailer(true),
        (State::Size(size, _), b'\n') => State::Chunk(size),
        (State::Size(size, line), b'\r') => State::Size(size, line),
        (State::Size(size, Line::Empty | Line::Digits), digit) if digit.is_ascii_hexdigit() => {
            let digit = (digit as char).to_digit(16).expect("a digit");
            let size = size.checked_mul(16).ok_or("a chunk too large")?;
            State::Size(size + u64::from(digit), Line::Digits)
        }
        (State::Size(size, Line::Digits), b';' | b' ' | b'\t') => {
            State::Size(size, Line::Extension)
        }
        (State::Size(size, Line::Extension), _) => State::Size(size, Line::Extension),
        (State::Size(..), _) => return Err("a broken chunk size"),
        (State::ChunkEnd, b'\r') => State::ChunkEnd,
        (State::ChunkEnd, b'\n') => State::Size(0, Line::Empty),
        (State::ChunkEnd, _) => return Err("a chunk longer than it said"),
        (State::Trailer(true), b'\n') => State::Done,
        (State::Trailer(is_empty), b'\r') => State::Trailer(is_empty),
        (State::Trailer(false), b'\n') => State::Trailer(true),
        (State::Trailer(_), _) => State::Trailer(false),
        (state, _) => state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> Result<(Response, Vec<u8>, usize), &'static str> {
        let (mut response, mut body, mut taken) = (Response::default(), Vec::new(), 0);
        for bytes in bytes.chunks(piece) {
            let count = response.take(bytes, |some| body.extend_from_slice(some))?;
            taken += count;
            if response.is_done() {
                break;
            }
        }
        Ok((response, body, taken))
    }

    #[test]
    fn every_framing_in_every_split() {
        let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            5\r\nhello\r\n06;x=y\r\n world\r\n0\r\nA: b\r\n\r\n";
        let sized: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 200 OK\r\ncontent-length: 11\r\nContent-Encoding: gzip\r\n\r\nhello world";
        for (bytes, is_gzip) in [(chunked, false), (sized, true)] {
            for piece in 1..=bytes.len() {
                let (response, body, taken) = read(bytes, piece).unwrap();
                assert!(response.is_done());
                assert_eq!((body.as_slice(), taken), (&b"hello world"[..], bytes.len()));
                let head = response.head().unwrap();
                assert_eq!(
                    (head.status, head.is_gzip, head.closes),
                    (200, is_gzip, false)
                );
            }
        }
    }

    #[test]
    fn bytes_behind_a_response_are_not_its_own() {
        let bytes = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\nHTTP";
        let (response, body, taken) = read(bytes, bytes.len()).unwrap();
        assert!(response.is_done() && body.is_empty());
        assert_eq!(taken, bytes.len() - 4);
    }

    #[test]
    fn the_end_of_the_connection_ends_what_has_no_length() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nall of it";
        let (mut response, body, _) = read(bytes, 7).unwrap();
        assert!(!response.is_done() && response.head().unwrap().closes);
        assert!(response.on_end());
        assert_eq!(body, b"all of it");
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nall";
        let (mut response, ..) = read(cut, 7).unwrap();
        assert!(!response.on_end());
    }

    #[test]
    fn nonsense_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        for bytes in [
            b"SSH-2.0-nothing\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
            long.as_bytes(),
        ] {
            assert!(
                read(bytes, 64).is_err(),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
