//! Text of whole segments that no longer changes: rendered once, kept in
//! blocks, shared by every version of the playlist.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::hls::gzip::{Piece, Pieces};

/// Segments of a full block. More make a version's list of pieces shorter,
/// fewer make the block that still grows cheaper to copy, once a segment.
const BLOCK_SEGMENTS: usize = 64;

/// The settled text of one playlist, oldest segment first, without a hole.
///
/// The text of a segment begins with its lead, the tags that only a change
/// needs (discontinuity, map). The oldest listed segment is shown without its
/// lead, because the head of the playlist states what holds there.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    full: VecDeque<Block>,
    growing: Block,
    /// Number of the segment that settles next.
    next_msn: u64,
    /// What `shown` and `kept` gave last, and from where.
    shown: Option<(u64, Rc<Pieces>)>,
    kept: Option<(u64, Rc<Pieces>)>,
}

impl Blocks {
    /// Number of the segment that settles next.
    pub(crate) fn next_msn(&self) -> u64 {
        self.next_msn
    }

    /// Forgets segments before `msn`. When that is ahead of all, the next
    /// segment to settle is `msn`.
    pub(crate) fn forget_before(&mut self, msn: u64) {
        if msn > self.next_msn {
            *self = Self {
                next_msn: msn,
                ..Self::default()
            };
        }
        while self
            .full
            .front()
            .is_some_and(|block| block.end_msn() <= msn)
        {
            self.full.pop_front();
        }
    }

    /// Adds the text of segment `next_msn`, of which the first `lead_len` bytes
    /// are its lead.
    pub(crate) fn settle(&mut self, text: &str, lead_len: usize) {
        if self.growing.marks.is_empty() {
            self.growing.first_msn = self.next_msn;
        }
        let at = self.growing.text.len();
        self.growing.marks.push(Mark {
            lead: at,
            body: at + lead_len,
        });
        self.growing.text.push_str(text);
        self.next_msn += 1;
        (self.shown, self.kept) = (None, None);
        if self.growing.marks.len() == BLOCK_SEGMENTS {
            let mut full = std::mem::take(&mut self.growing);
            full.frozen = Some(Piece::new(std::mem::take(&mut full.text)));
            self.full.push_back(full);
        }
    }

    /// Everything settled from segment `first_msn` on, the first without its
    /// lead. Put together once a segment, not once a part.
    pub(crate) fn shown(&mut self, first_msn: u64) -> Rc<Pieces> {
        let made = self.shown.take().filter(|(from, _)| *from == first_msn);
        let (_, pieces) = self
            .shown
            .insert(made.unwrap_or_else(|| (first_msn, self.pieces(first_msn, Lead::Left))));
        Rc::clone(pieces)
    }

    /// The same with the lead of the first: what a delta update keeps.
    pub(crate) fn kept(&mut self, first_msn: u64) -> Rc<Pieces> {
        let made = self.kept.take().filter(|(from, _)| *from == first_msn);
        let (_, pieces) = self
            .kept
            .insert(made.unwrap_or_else(|| (first_msn, self.pieces(first_msn, Lead::Kept))));
        Rc::clone(pieces)
    }

    fn pieces(&self, first_msn: u64, lead: Lead) -> Rc<Pieces> {
        let blocks = self.full.iter().chain(Some(&self.growing));
        Pieces::new(
            blocks
                .filter_map(|block| block.from(first_msn, lead))
                .collect(),
        )
    }
}

/// Whether the first segment is shown with its lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Kept,
    Left,
}

/// Text of some segments in a row.
#[derive(Debug, Default)]
struct Block {
    first_msn: u64,
    /// Where each segment begins.
    marks: Vec<Mark>,
    /// While the block grows.
    text: String,
    /// Once it is full.
    frozen: Option<Rc<Piece>>,
}

/// Positions in the text of a block, in bytes.
#[derive(Clone, Copy, Debug)]
struct Mark {
    lead: usize,
    body: usize,
}

impl Block {
    fn end_msn(&self) -> u64 {
        self.first_msn + self.marks.len() as u64
    }

    /// The text from segment `msn` on, if any of it is here; all of it when the
    /// block begins later.
    fn from(&self, msn: u64, lead: Lead) -> Option<Rc<Piece>> {
        if msn >= self.end_msn() || self.marks.is_empty() {
            return None;
        }
        let at = match msn.checked_sub(self.first_msn) {
            Some(index) if lead == Lead::Kept => self.marks[index as usize].lead,
            Some(index) => self.marks[index as usize].body,
            None => self.marks[0].lead,
        };
        Some(match &self.frozen {
            Some(piece) if at == 0 => Rc::clone(piece),
            Some(piece) => Piece::new(piece.text().slice(at..)),
            None => Piece::new(self.text[at..].to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(blocks: &mut Blocks, from: u64) -> String {
        String::from_utf8(blocks.shown(from).text().to_vec()).unwrap()
    }

    #[test]
    fn what_is_shown_is_what_settled_without_the_first_lead() {
        let mut blocks = Blocks::default();
        blocks.forget_before(10);
        assert_eq!(
            (blocks.next_msn(), text(&mut blocks, 10)),
            (10, String::new())
        );
        let total = 3 * BLOCK_SEGMENTS as u64 + 5;
        for msn in 10..10 + total {
            blocks.settle(&format!("<{msn}>{msn};"), format!("<{msn}>").len());
        }
        for from in 10..10 + total {
            let rest: String = (from + 1..10 + total)
                .map(|msn| format!("<{msn}>{msn};"))
                .collect();
            blocks.forget_before(from);
            assert_eq!(text(&mut blocks, from), format!("{from};{rest}"));
            let kept = String::from_utf8(blocks.kept(from).text().to_vec()).unwrap();
            assert_eq!(kept, format!("<{from}>{from};{rest}"));
        }
        assert!(
            blocks.full.is_empty(),
            "blocks leave with their last segment"
        );
        blocks.forget_before(1000);
        assert_eq!(
            (blocks.next_msn(), text(&mut blocks, 1000)),
            (1000, String::new())
        );
    }

    #[test]
    fn full_blocks_are_shared_between_versions() {
        let mut blocks = Blocks::default();
        (0..=BLOCK_SEGMENTS).for_each(|_| blocks.settle("text", 0));
        let address = |pieces: &Pieces| pieces.text().pieces()[0].as_ptr();
        let first = address(&blocks.shown(0));
        blocks.settle("text", 0);
        assert_eq!(address(&blocks.shown(0)), first);
        assert_eq!(
            blocks.shown(1).text().pieces()[0].as_ptr(),
            first.wrapping_add(4)
        );
    }
}
