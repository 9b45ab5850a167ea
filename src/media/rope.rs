//! Immutable bytes in pieces: what is served without ever being joined.

use bytes::Bytes;
use smallvec::SmallVec;

/// Bytes in order, in one or more immutable pieces. Cloning copies no media.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    pieces: SmallVec<[Bytes; 1]>,
    len: u64,
}

impl Rope {
    /// A rope without bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one piece; an empty one is dropped.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len() as u64;
            self.pieces.push(piece);
        }
    }

    /// Appends all pieces of `other`.
    pub fn extend(&mut self, other: &Self) {
        for piece in &other.pieces {
            self.push(piece.clone());
        }
    }

    /// Bytes in all pieces.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order, none of them empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes `from..to`, sharing memory; clipped to what is there.
    #[must_use]
    pub fn slice(&self, from: u64, to: u64) -> Self {
        let mut out = Self::new();
        let mut at = 0u64;
        for piece in &self.pieces {
            let end = at + piece.len() as u64;
            let (start, stop) = (from.max(at), to.min(end));
            if start < stop {
                out.push(piece.slice((start - at) as usize..(stop - at) as usize));
            }
            at = end;
        }
        out
    }

    /// All bytes joined, for tests and for small things.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len as usize);
        for piece in &self.pieces {
            out.extend_from_slice(piece);
        }
        out
    }
}

impl From<Bytes> for Rope {
    fn from(piece: Bytes) -> Self {
        let mut rope = Self::new();
        rope.push(piece);
        rope
    }
}

impl From<Vec<u8>> for Rope {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Rope {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_a_rope_is_the_slice_of_its_bytes() {
        let mut rope = Rope::new();
        for piece in ["ab", "", "cde", "f"] {
            rope.push(Bytes::from_static(piece.as_bytes()));
        }
        let whole = rope.to_vec();
        assert_eq!((rope.len(), rope.pieces().len()), (6, 3));
        for from in 0..8usize {
            for to in 0..8usize {
                let want = if from < to.min(6) {
                    &whole[from..to.min(6)]
                } else {
                    &[]
                };
                assert_eq!(
                    rope.slice(from as u64, to as u64).to_vec(),
                    want,
                    "{from}..{to}"
                );
            }
        }
    }
}
