//! Text of whole segments that no longer changes: rendered once, kept in
//! blocks, shared by every version of the playlist.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::hls::gzip::{Piece, Pieces};

/// Segments of a full block. More make the block that still grows, and the one
/// that the window is leaving, dearer to copy, once a segment.
const BLOCK_SEGMENTS: usize = 32;
/// Full blocks in a row become one of the next size, and so on: a day of short
/// segments is some dozen pieces, not a thousand.
const JOINED_BLOCKS: usize = 4;

/// The settled text of one playlist, oldest segment first, without a hole.
///
/// The text of a segment begins with its lead, the tags that only a change
/// needs (discontinuity, map). The oldest listed segment is shown without its
/// lead, because the head of the playlist states what holds there.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Full blocks and what they were joined to, larger ones first but for what
    /// the window is leaving.
    full: VecDeque<Node>,
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
        while self.full.front().is_some_and(|node| node.end_msn <= msn) {
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
            let full = std::mem::take(&mut self.growing);
            self.full.push_back(Node::leaf(full));
            self.join();
        }
    }

    /// Joins the newest nodes while there are enough of one size.
    fn join(&mut self) {
        loop {
            let size = self.full.back().expect("one was just added").size;
            let alike = self.full.iter().rev().take_while(|node| node.size == size);
            if alike.count() < JOINED_BLOCKS {
                return;
            }
            let nodes = self.full.split_off(self.full.len() - JOINED_BLOCKS);
            self.full.push_back(Node::joined(nodes.into()));
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
        let mut pieces = Vec::new();
        for node in &self.full {
            node.collect(first_msn, lead, &mut pieces);
        }
        pieces.extend(self.growing.at(first_msn, lead).map(|at| {
            let rest = &self.growing.text[at..];
            Piece::new(rest.to_owned())
        }));
        Pieces::new(pieces)
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
    text: String,
}

/// Positions in the text of a block, in bytes.
#[derive(Clone, Copy, Debug)]
struct Mark {
    lead: usize,
    body: usize,
}

impl Block {
    /// Where segment `msn` begins, or all when the block begins later; `None`
    /// when the block ends before it.
    fn at(&self, msn: u64, lead: Lead) -> Option<usize> {
        let index = match msn.checked_sub(self.first_msn) {
            None => return self.marks.first().map(|mark| mark.lead),
            Some(index) => usize::try_from(index).ok()?,
        };
        self.marks.get(index).map(|mark| match lead {
            Lead::Kept => mark.lead,
            Lead::Left => mark.body,
        })
    }
}

/// Text that grows no more: of one block, or of nodes that were joined.
#[derive(Debug)]
struct Node {
    end_msn: u64,
    /// How often its blocks were joined.
    size: u32,
    text: Rc<Piece>,
    of: Of,
}

#[derive(Debug)]
enum Of {
    Block(Block),
    Nodes(Vec<Node>),
}

impl Node {
    fn leaf(mut block: Block) -> Self {
        Self {
            end_msn: block.first_msn + block.marks.len() as u64,
            size: 0,
            text: Piece::new(std::mem::take(&mut block.text)),
            of: Of::Block(block),
        }
    }

    fn joined(mut nodes: Vec<Self>) -> Self {
        let parts: Vec<_> = nodes.iter().map(|node| Rc::clone(&node.text)).collect();
        let (text, within) = Piece::join(&parts);
        for (node, part) in nodes.iter_mut().zip(within) {
            node.text = part;
        }
        let newest = nodes.last().expect("some are joined");
        Self {
            end_msn: newest.end_msn,
            size: newest.size + 1,
            text,
            of: Of::Nodes(nodes),
        }
    }

    fn first_msn(&self) -> u64 {
        match &self.of {
            Of::Block(block) => block.first_msn,
            Of::Nodes(nodes) => nodes[0].first_msn(),
        }
    }

    /// Adds the text from segment `msn` on, in as few pieces as there are.
    fn collect(&self, msn: u64, lead: Lead, out: &mut Vec<Rc<Piece>>) {
        if self.end_msn <= msn {
            return;
        }
        let all = msn < self.first_msn() || (msn == self.first_msn() && lead == Lead::Kept);
        match &self.of {
            _ if all => out.push(Rc::clone(&self.text)),
            Of::Nodes(nodes) => nodes.iter().for_each(|node| node.collect(msn, lead, out)),
            Of::Block(block) => {
                let at = block.at(msn, lead).expect("it ends later");
                out.push(if at == 0 {
                    Rc::clone(&self.text)
                } else {
                    Piece::new(self.text.text().slice(at..))
                });
            }
        }
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
        let total = (JOINED_BLOCKS as u64 + 3) * BLOCK_SEGMENTS as u64 + 5;
        for msn in 10..10 + total {
            blocks.settle(&format!("<{msn}>{msn};"), format!("<{msn}>").len());
        }
        let all: String = (10..10 + total)
            .map(|msn| format!("<{msn}>{msn};"))
            .collect();
        for from in 10..10 + total {
            let rest = &all[all.find(&format!("<{from}>")).expect("it is there")..];
            let rest = rest.split_once(';').expect("it has an end").1;
            blocks.forget_before(from);
            assert_eq!(text(&mut blocks, from), format!("{from};{rest}"));
            let kept = String::from_utf8(blocks.kept(from).text().to_vec()).unwrap();
            assert_eq!(kept, format!("<{from}>{from};{rest}"));
        }
        assert!(
            blocks.full.is_empty(),
            "blocks leave with their last segment"
        );
        blocks.forget_before(5000);
        assert_eq!(
            (blocks.next_msn(), text(&mut blocks, 5000)),
            (5000, String::new())
        );
    }

    #[test]
    fn a_long_text_is_few_pieces_wherever_it_begins() {
        let mut blocks = Blocks::default();
        let day = 43_200;
        (0..day).for_each(|_| blocks.settle("text", 0));
        let most = (0..day).step_by(997).map(|from| {
            let count = blocks.shown(from).text().pieces().len();
            assert_eq!(blocks.shown(from).text().len(), 4 * (day - from));
            count
        });
        assert!(most.max().expect("some") <= 32);
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
