//! Media that never came: gap parts and gap segments in its place.

use std::sync::Arc;

use crate::media::clock::Clock;
use crate::media::timeline::Output;
use crate::media::timeline::segmenter::Segmenter;
use crate::media::window::HeaderObject;

impl Segmenter {
    /// Goes on from `from`, where media ended, to `to` with gaps. The segment
    /// under way gets gap parts up to its line, whole gap segments follow; the
    /// last one stays open if `to` lies before its line.
    ///
    /// A segment that has some media is no gap itself: players that take it
    /// whole get what there is of it, and those that take parts skip the ones
    /// that are marked. Ending it on its line keeps the numbers of all that
    /// follows a function of time.
    pub(in crate::media::timeline) fn gap(
        &mut self,
        clock: &Clock,
        header: &Arc<HeaderObject>,
        (from, to): (i64, i64),
        out: &mut Output,
    ) {
        self.give_up(out);
        out.parts += self.list_all();
        let mut at = from;
        while at < to {
            if self.open.is_none() {
                self.begin(clock, header, (at, self.shift), None, out);
                self.open.as_mut().expect("just begun").gap = true;
            }
            let line = self.gap_line(at);
            if line > at {
                let end = line.min(to);
                let parts = self.parts.gap(at, (end - at) as u64, None);
                self.add(parts);
                at = end;
            }
            if line <= at {
                self.close_listed(None, out);
            }
        }
        self.tell(None, out);
        self.regular = false;
    }

    /// Media goes on: a segment that ends with a gap is whole.
    pub(in crate::media::timeline) fn end_gap(&mut self, out: &mut Output) {
        let newest = self.open.as_ref().and_then(|open| open.parts.last());
        if newest.is_some_and(|part| part.gap) {
            self.close_listed(None, out);
        }
    }

    /// Where the segment ends that has a gap from `at` on: on a line of the
    /// grid, unless the grid is coarser than the target.
    pub(in crate::media::timeline) fn gap_line(&self, at: i64) -> i64 {
        let start = self.open.as_ref().map_or(at, |open| open.start_ticks);
        let line = self.grid.next_line(start, self.scale);
        if line - start <= self.longest() {
            return line;
        }
        let before = 2 * line - self.grid.next_line(line, self.scale);
        if before > start && before - start <= self.longest() {
            before
        } else {
            start + self.longest()
        }
    }
}
