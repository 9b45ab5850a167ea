//! gzip in pieces: text that stays is compressed once and used in every later
//! version.
//!
//! RFC 1952 lets members be concatenated, but some clients stop after the
//! first. So there is one member: each piece is compressed on its own and ends
//! with a full flush, which leaves it on a byte boundary and without references
//! to what came before, and the checksums of the pieces are combined.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::media::rope::Rope;

/// A member without name or time, so that equal texts give equal bytes
/// (RFC 1952 section 2.3).
const MEMBER_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block with fixed codes (RFC 1951 section 3.2.6).
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The compressor, a few hundred KiB of state: one a core.
pub struct Deflater {
    inner: Compress,
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflater {
    /// A compressor that has seen nothing.
    pub fn new() -> Self {
        Self {
            inner: Compress::new(Compression::default(), false),
        }
    }

    /// `text` as blocks of raw deflate that can stand anywhere in a stream.
    fn deflate(&mut self, text: &[u8]) -> Bytes {
        self.inner.reset();
        let mut out = Vec::with_capacity(text.len() / 3 + 64);
        loop {
            let read = self.inner.total_in() as usize;
            let status = self
                .inner
                .compress_vec(&text[read..], &mut out, FlushCompress::Full);
            assert!(
                matches!(status, Ok(Status::Ok | Status::BufError)),
                "deflate takes any bytes"
            );
            if self.inner.total_in() as usize == text.len() && out.len() < out.capacity() {
                return out.into();
            }
            out.reserve(out.capacity());
        }
    }
}

/// Text that never changes, with its compressed form once that was asked for.
#[derive(Debug, Default)]
pub struct Piece {
    text: Bytes,
    /// The pieces it was joined from, which are compressed for it.
    parts: Vec<Rc<Self>>,
    deflated: OnceCell<(Bytes, Rc<Checksum>)>,
}

impl Piece {
    /// A piece that is shared by every version that has it.
    pub fn new(text: impl Into<Bytes>) -> Rc<Self> {
        Rc::new(Self {
            text: text.into(),
            parts: Vec::new(),
            deflated: OnceCell::new(),
        })
    }

    /// One piece for some in a row, and these again, their texts now within the
    /// text of it.
    pub fn join(parts: &[Rc<Self>]) -> (Rc<Self>, Vec<Rc<Self>>) {
        let mut text = Vec::with_capacity(parts.iter().map(|part| part.text.len()).sum());
        for part in parts {
            text.extend_from_slice(&part.text);
        }
        let text = Bytes::from(text);
        let mut at = 0;
        let within = parts.iter().map(|part| {
            let from = at;
            at += part.text.len();
            Rc::new(Self {
                text: text.slice(from..at),
                parts: part.parts.clone(),
                deflated: part.deflated.clone(),
            })
        });
        let within: Vec<_> = within.collect();
        let joined = Rc::new(Self {
            text,
            parts: within.clone(),
            deflated: OnceCell::new(),
        });
        (joined, within)
    }

    /// As it reads.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    fn deflated(&self, deflater: &mut Deflater) -> &(Bytes, Rc<Checksum>) {
        self.deflated.get_or_init(|| {
            if self.parts.is_empty() {
                let sum = Rc::new(Checksum::of(&self.text));
                return (deflater.deflate(&self.text), sum);
            }
            let (mut all, mut sum) = (Vec::new(), Checksum::default());
            for part in &self.parts {
                let (bytes, of_part) = part.deflated(deflater);
                all.extend_from_slice(bytes);
                sum.append(of_part);
            }
            (all.into(), Rc::new(sum))
        })
    }
}

/// Pieces in order that never change; compressed form and checksum of all of
/// them are put together once.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Vec<Rc<Piece>>,
    text: Rope,
    deflated: OnceCell<(Rope, Checksum)>,
}

impl Pieces {
    /// These pieces, in this order.
    pub fn new(pieces: Vec<Rc<Piece>>) -> Rc<Self> {
        let mut text = Rope::new();
        for piece in &pieces {
            text.push(piece.text.clone());
        }
        Rc::new(Self {
            pieces,
            text,
            deflated: OnceCell::new(),
        })
    }

    /// As they read.
    pub fn text(&self) -> &Rope {
        &self.text
    }

    fn deflated(&self, deflater: &mut Deflater) -> &(Rope, Checksum) {
        self.deflated.get_or_init(|| {
            let (mut all, mut sum) = (Rope::new(), Checksum::default());
            for piece in &self.pieces {
                let (bytes, of_piece) = piece.deflated(deflater);
                all.push(bytes.clone());
                sum.append(of_piece);
            }
            (all, sum)
        })
    }
}

/// One gzip member that unpacks to `heads`, `middle` and `tail`.
pub fn member(deflater: &mut Deflater, heads: &[&Piece], middle: &Pieces, tail: &Piece) -> Rope {
    let mut sum = Checksum::default();
    let mut out = Rope::from(Bytes::from_static(&MEMBER_HEAD));
    for head in heads {
        let (bytes, of_head) = head.deflated(deflater);
        out.push(bytes.clone());
        sum.append(of_head);
    }
    let (bytes, of_middle) = middle.deflated(deflater);
    out.extend(bytes);
    sum.append(of_middle);
    let (bytes, of_tail) = tail.deflated(deflater);
    sum.append(of_tail);
    let mut end = Vec::with_capacity(bytes.len() + LAST_BLOCK.len() + 8);
    end.extend_from_slice(bytes);
    end.extend_from_slice(&LAST_BLOCK);
    end.extend_from_slice(&sum.0.sum().to_le_bytes());
    end.extend_from_slice(&sum.0.amount().to_le_bytes());
    out.push(end.into());
    out
}

/// One gzip member that unpacks to `text`.
pub fn whole(deflater: &mut Deflater, text: &[u8]) -> Rope {
    let piece = Piece::new(Bytes::copy_from_slice(text));
    member(deflater, &[&piece], &Pieces::default(), &Piece::default())
}

/// CRC-32 and length of some text (RFC 1952 section 2.3.1).
#[derive(Debug, Default)]
struct Checksum(Crc);

impl Checksum {
    fn of(text: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(text);
        Self(crc)
    }

    fn append(&mut self, next: &Self) {
        self.0.combine(&next.0);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    /// Reads exactly one member, as the strictest of clients does.
    pub(crate) fn unpack(bytes: &[u8]) -> Vec<u8> {
        let (mut text, mut reader) = (Vec::new(), flate2::bufread::GzDecoder::new(bytes));
        reader.read_to_end(&mut text).unwrap();
        assert!(
            reader.into_inner().is_empty(),
            "one member and nothing behind it"
        );
        text
    }

    proptest! {
        #[test]
        fn rfc1952_s2_2_pieces_make_one_member_of_their_texts(
            texts in prop::collection::vec("[a-f:=\\n]{0,900}", 2..12),
            noise in prop::collection::vec(any::<u8>(), 0..5000),
        ) {
            let mut deflater = Deflater::new();
            let pieces: Vec<_> = texts.iter().map(|text| Piece::new(text.clone())).collect();
            let (head, tail) = (Piece::new(noise.clone()), Piece::new(texts[0].clone()));
            let packed = member(&mut deflater, &[&head, &tail], &Pieces::new(pieces), &tail).to_vec();
            let own = texts[0].as_bytes();
            let want = [&noise[..], own, texts.concat().as_bytes(), own].concat();
            prop_assert_eq!(unpack(&packed), want);
            prop_assert_eq!(unpack(&whole(&mut deflater, &noise).to_vec()), noise);
        }
    }

    #[test]
    fn rfc1952_s2_3_equal_texts_give_equal_bytes() {
        let text = "#EXTINF:2.00000,\nv1/e7-s100.m4s\n".repeat(500);
        let mut deflater = Deflater::new();
        let first = whole(&mut deflater, text.as_bytes()).to_vec();
        assert_eq!(whole(&mut deflater, text.as_bytes()).to_vec(), first);
        assert_eq!(whole(&mut Deflater::new(), text.as_bytes()).to_vec(), first);
        assert!(first.len() * 20 < text.len(), "{} bytes", first.len());
        assert_eq!(unpack(&whole(&mut deflater, b"").to_vec()), b"");
    }

    #[test]
    fn a_joined_piece_shares_text_and_work_with_its_parts() {
        let mut deflater = Deflater::new();
        let parts = ["one ", "two ", ""].map(Piece::new);
        let before = parts[0].deflated(&mut deflater).0.clone();
        let (joined, within) = Piece::join(&parts);
        assert_eq!(&joined.text()[..], b"one two ");
        assert_eq!(within[1].text().as_ptr(), joined.text()[4..].as_ptr());
        assert_eq!(
            within[0].deflated(&mut deflater).0.as_ptr(),
            before.as_ptr()
        );
        let packed = member(&mut deflater, &[&joined], &Pieces::default(), &within[1]).to_vec();
        assert_eq!(unpack(&packed), b"one two two ");
    }

    #[test]
    fn a_piece_is_compressed_once() {
        let (mut deflater, piece) = (Deflater::new(), Piece::new("text"));
        let first = piece.deflated(&mut deflater).0.as_ptr();
        assert_eq!(piece.deflated(&mut deflater).0.as_ptr(), first);
    }
}
