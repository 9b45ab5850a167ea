//! What a publisher tells of segments under way besides their parts.

use super::{Phase, Publisher, TrackKey};
use crate::media::ahead::Ahead;
use crate::media::channel::TrackIndex;
use crate::media::timeline::{Output, Session};

impl Publisher {
    /// Tracks that took media in since this was last asked.
    pub fn take_grown(&mut self) -> Vec<TrackIndex> {
        std::mem::take(&mut self.grown)
    }

    /// Media of a track's segment under way that no part lists yet.
    pub fn ahead(&self, track: TrackIndex) -> Option<Ahead> {
        let mut timelines = self.slots.iter().filter_map(|slot| match &slot.phase {
            Phase::Live(index, timeline) => Some((*index, timeline)),
            Phase::Priming(_) => None,
        });
        let (_, timeline) = timelines.find(|(index, _)| *index == track)?;
        timeline.ahead(track)
    }

    /// An upload of a track broke off, and no other brings it.
    pub fn tear(&mut self, key: TrackKey, session: u64) {
        if let Phase::Live(track, timeline) = &mut self.slots[key.0].phase {
            let mut out = Output::new(*track);
            timeline.tear(Session(session), &mut out);
            self.absorb(key, out);
        }
    }
}
