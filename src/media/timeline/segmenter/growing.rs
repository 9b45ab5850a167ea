//! The open segment as those see it who read it while it grows: chunk by chunk,
//! and broken off where its upload was.

use crate::media::ahead::Ahead;
use crate::media::channel::{Change, TrackIndex};
use crate::media::rope::Rope;
use crate::media::timeline::Output;
use crate::media::timeline::segmenter::Segmenter;

impl Segmenter {
    /// Media of the open segment that readers have not been told of as parts.
    ///
    /// All of it stays in this segment, whatever comes next: where a chunk is
    /// the first of another, that is decided before it is taken in.
    pub(in crate::media::timeline) fn ahead(&self, track: TrackIndex) -> Option<Ahead> {
        let open = self.open.as_ref()?;
        let mut body = Rope::new();
        let at = if self.targets.part_us.is_some() {
            open.bytes()
        } else {
            body = open.body();
            0
        };
        if let Some(held) = &self.held {
            body.extend(&held.body);
        }
        body.extend(self.parts.body());
        (!body.is_empty()).then_some(Ahead {
            track,
            msn: open.msn,
            at,
            body,
        })
    }

    /// The upload that brought the open segment broke off. It may be sent again
    /// or go on from elsewhere; who was reading it is told at once.
    pub(in crate::media::timeline) fn tear(&mut self, out: &mut Output) {
        if self.open.is_some() {
            self.torn = true;
            let track = out.track;
            out.changes.push(Change::Torn { track });
        }
    }

    /// Media has followed on what was torn, or an upload brought all of it.
    pub(in crate::media::timeline) fn mend(&mut self) {
        self.torn = false;
    }

    /// The open segment ends or goes on without the media it was torn in: who
    /// began to read it since did not get all that its name stood for.
    pub(super) fn give_up(&mut self, out: &mut Output) {
        if std::mem::take(&mut self.torn) {
            let track = out.track;
            out.changes.push(Change::Torn { track });
        }
    }
}
