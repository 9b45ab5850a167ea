//! What is sent of an object is the object: all of it, or the range that the
//! answer names, whether it was whole by then or still grew.

use std::collections::BTreeMap;

/// See the module's head.
#[derive(Default)]
pub struct Ranges {
    wholes: BTreeMap<String, Vec<u8>>,
    /// Pieces of what nobody has seen whole yet.
    pieces: BTreeMap<String, Vec<Piece>>,
}

/// Some bytes of an object.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it begins.
    pub from: usize,
    /// Behind its last byte; the object may end before.
    pub to: usize,
    /// What was sent.
    pub body: Vec<u8>,
    /// It broke off: something may be missing at its end.
    pub cut: bool,
}

impl Piece {
    /// Takes the range from an answer's `Content-Range`.
    pub fn of(content_range: &str, body: &[u8]) -> Option<Self> {
        let (range, _) = content_range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some(Self {
            from: first.parse().ok()?,
            to: last.parse::<usize>().ok()?.saturating_add(1),
            body: body.to_vec(),
            cut: false,
        })
    }

    fn fits(&self, whole: &[u8]) -> bool {
        let to = self.to.min(whole.len());
        let Some(want) = whole.get(self.from..to) else {
            return false;
        };
        if self.cut {
            want.starts_with(&self.body)
        } else {
            want == self.body && !want.is_empty()
        }
    }
}

impl Ranges {
    /// An object was given whole.
    pub fn whole(&mut self, path: &str, body: &[u8]) -> Result<(), String> {
        for piece in self.pieces.remove(path).unwrap_or_default() {
            judge(&piece, body)?;
        }
        self.wholes
            .entry(path.to_owned())
            .or_insert_with(|| body.to_vec());
        Ok(())
    }

    /// A piece of an object was given.
    pub fn piece(&mut self, path: &str, piece: Piece) -> Result<(), String> {
        if let Some(whole) = self.wholes.get(path) {
            return judge(&piece, whole);
        }
        let pieces = self.pieces.entry(path.to_owned()).or_default();
        pieces.push(piece);
        Ok(())
    }
}

fn judge(piece: &Piece, whole: &[u8]) -> Result<(), String> {
    if piece.fits(whole) {
        return Ok(());
    }
    let Piece {
        from,
        to,
        body,
        cut,
    } = piece;
    let (sent, len) = (body.len(), whole.len());
    Err(format!(
        "{sent} bytes (cut: {cut}) are not {from}..{to} of an object of {len}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_held_against_the_whole_whenever_that_comes() {
        let piece = |range, body: &[u8]| Piece::of(range, body).expect("a range");
        let good = [
            piece("bytes 0-2/10", b"012"),
            piece("bytes 8-9007199254740991/*", b"89"),
            Piece {
                cut: true,
                ..piece("bytes 2-9/*", b"23")
            },
        ];
        let bad = [
            piece("bytes 0-2/10", b"01"),
            piece("bytes 0-1/10", b"012"),
            piece("bytes 10-12/*", b""),
            Piece {
                cut: true,
                ..piece("bytes 2-9/*", b"24")
            },
        ];
        for (pieces, sound) in [(&good[..], true), (&bad, false)] {
            for piece in pieces {
                let (mut before, mut after) = (Ranges::default(), Ranges::default());
                assert!(before.piece("x", piece.clone()).is_ok());
                assert_eq!(before.whole("x", b"0123456789").is_ok(), sound, "{piece:?}");
                assert!(after.whole("x", b"0123456789").is_ok());
                assert_eq!(after.piece("x", piece.clone()).is_ok(), sound, "{piece:?}");
            }
        }
    }
}
