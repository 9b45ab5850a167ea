//! Request bodies: bytes of the wire to bytes of the body.

use crate::http::head::Refusal;
use crate::http::request::BodyLength;
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// Where a body stands.
#[derive(Debug, Default)]
pub(super) enum Body {
    /// There is none, or it has ended.
    #[default]
    Over,
    /// So many bytes are to come.
    Fixed(u64),
    /// Chunks are to come.
    Chunked(Chunked),
}

/// What some bytes of the wire brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Framing at most; all bytes are used.
    More,
    /// The last so many of the bytes used are of the body; at least one.
    Data(usize),
    /// The body is whole.
    End,
}

impl Body {
    pub(super) fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::None => Self::Over,
            BodyLength::Fixed(left) => Self::Fixed(left),
            BodyLength::Chunked => Self::Chunked(Chunked::default()),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Reads on to the next step and says how many bytes it used.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<(usize, Step), Refusal> {
        let (used, step) = match self {
            Self::Over => (0, Step::More),
            Self::Fixed(0) => (0, Step::End),
            Self::Fixed(left) => {
                let used = clip(bytes.len(), *left);
                *left -= used as u64;
                (
                    used,
                    if used == 0 {
                        Step::More
                    } else {
                        Step::Data(used)
                    },
                )
            }
            Self::Chunked(chunked) => chunked.step(bytes)?,
        };
        if step == Step::End {
            *self = Self::Over;
        }
        Ok((used, step))
    }
}

/// The chunked coding, RFC 9112 section 7.1, read strictly: a peer in front of
/// us may frame a lax body in another way.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    /// Bytes of this chunk that are to come, or its size as far as it is read.
    left: u64,
    /// Bytes of the size line or of the trailer section so far.
    line: u16,
    at: At,
}

const _: () = assert!(CHUNK_LINE_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(TRAILER_BYTES_MAX < u16::MAX as usize);

/// What is expected next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    /// White space after the size, where only an extension may follow.
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer line, or the end.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
}

impl Chunked {
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, Step), Refusal> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.at == At::Data {
                let data = clip(bytes.len() - at, self.left);
                self.left -= data as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                return Ok((at + data, Step::Data(data)));
            }
            if self.at == At::LastLf && byte == b'\n' {
                return Ok((at + 1, Step::End));
            }
            self.at = self.framing(byte)?;
        }
        Ok((bytes.len(), Step::More))
    }

    fn framing(&mut self, byte: u8) -> Result<At, Refusal> {
        let next = match (self.at, byte) {
            (At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.size_digit(byte)?;
                At::Size
            }
            (At::Size | At::SizeSpace, b' ' | b'\t') if self.line > 0 => At::SizeSpace,
            (At::Size | At::SizeSpace, b';') if self.line > 0 => At::Extension,
            (At::Size, b'\r') if self.line > 0 => At::SizeLf,
            (At::Extension, b'\r') => At::SizeLf,
            (At::Extension, byte) if is_text(byte) => At::Extension,
            (At::SizeLf, b'\n') => {
                self.line = 0;
                return Ok(if self.left == 0 {
                    At::Trailer
                } else {
                    At::Data
                });
            }
            (At::DataCr, b'\r') => return Ok(At::DataLf),
            (At::DataLf, b'\n') => return Ok(At::Size),
            (At::Trailer, b'\r') => At::LastLf,
            (At::Trailer | At::TrailerName, byte) if is_token(byte) => At::TrailerName,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerValue, b'\r') => At::TrailerLf,
            (At::TrailerValue, byte) if is_text(byte) => At::TrailerValue,
            (At::TrailerLf, b'\n') => At::Trailer,
            _ => {
                return Err(Refusal {
                    status: 400,
                    why: "malformed chunk",
                });
            }
        };
        self.count(next)?;
        Ok(next)
    }

    /// Counts a byte of a size line (its CR and LF do not count) or of the
    /// trailer section (where they do).
    fn count(&mut self, next: At) -> Result<(), Refusal> {
        let max = match next {
            At::SizeLf => return Ok(()),
            At::Size | At::SizeSpace | At::Extension => CHUNK_LINE_BYTES_MAX,
            // The two bytes of the last line are not held against it.
            At::LastLf => return Ok(()),
            _ => TRAILER_BYTES_MAX,
        };
        self.line += 1;
        if usize::from(self.line) > max {
            return Err(Refusal {
                status: 400,
                why: "chunk line or trailer too long",
            });
        }
        Ok(())
    }

    fn size_digit(&mut self, digit: u8) -> Result<(), Refusal> {
        let value = (digit as char).to_digit(16).map_or(0, u64::from);
        if self.left >> 60 != 0 {
            return Err(Refusal {
                status: 400,
                why: "chunk size overflows",
            });
        }
        self.left = self.left << 4 | value;
        Ok(())
    }
}

fn clip(len: usize, left: u64) -> usize {
    usize::try_from(left).map_or(len, |left| len.min(left))
}

/// Visible characters, space, tab and what is beyond ASCII.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
