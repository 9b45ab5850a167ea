//! What a publisher does about events: those that encoders send along with
//! their media, and those of the operator.

use std::sync::Arc;

use super::{Phase, Publisher, TrackKey};
use crate::media::bmff::Error;
use crate::media::channel::Change;
use crate::media::cmaf::Message;
use crate::media::event::{
    EventChange, Events, REMEMBERED_TARGETS, Refusal, Statement, Step, steps,
};
use crate::time::{Mono, Now, Wall};

impl Publisher {
    /// Takes in the event messages of a chunk that was just placed.
    pub(super) fn hear(
        &mut self,
        now: Now,
        key: TrackKey,
        duration: u64,
        messages: Vec<Result<Message, Error>>,
    ) {
        for message in messages {
            let heard = message
                .map_err(|error| error.to_string())
                .and_then(|message| self.steps_of(now, key, duration, &message))
                .and_then(|steps| {
                    steps
                        .into_iter()
                        .try_for_each(|step| self.follow(now, step))
                        .map_err(|refusal| format!("an event is left out: {refusal}"))
                });
            if let Err(complaint) = heard {
                self.slots[key.0].complaint = Some(complaint);
            }
        }
    }

    fn steps_of(
        &self,
        now: Now,
        key: TrackKey,
        duration: u64,
        message: &Message,
    ) -> Result<Vec<Step>, String> {
        let slot = &self.slots[key.0];
        let Phase::Live(_, timeline) = &slot.phase else {
            return Ok(Vec::new());
        };
        let start = timeline.newest_start(duration);
        let scale = slot.header.track.timescale;
        let decode_time = slot.ear.decode_time(message, start, scale);
        let at = self.clock.wall(timeline.channel_time(decode_time));
        steps(message, at, self.edge_date(now), self.channel.events())
    }

    fn follow(&mut self, now: Now, step: Step) -> Result<(), Refusal> {
        match step {
            Step::Say(statement) => self.tell(now, &statement).map(drop),
            Step::Cancel(id) => {
                self.remove(now, vec![id]);
                Ok(())
            }
        }
    }

    /// Date of the live edge; without media it is the present.
    pub fn edge_date(&self, now: Now) -> Wall {
        self.channel.edge_date().unwrap_or(now.wall)
    }

    /// Puts a statement into the list of events, as far as it says anything
    /// new; `Ok(false)` where it does not.
    pub fn tell(&mut self, now: Now, statement: &Statement) -> Result<bool, Refusal> {
        if self.channel.state().is_over() {
            return Err(Refusal::Ended);
        }
        let (edge, oldest) = (self.edge_date(now), self.oldest_date(now));
        let more = self.channel.events().weigh(statement, edge, oldest)?;
        let Some(more) = more else { return Ok(false) };
        self.emit(Change::Event(EventChange::Told(Arc::new(more))));
        Ok(true)
    }

    /// Calls an event off. One that nothing listed belongs to leaves at once
    /// (`Some(true)`); one under way ends here and leaves with its media;
    /// `None` where there is none.
    pub fn withdraw(&mut self, now: Now, id: &str) -> Option<Result<bool, Refusal>> {
        let event = self.channel.events().get(id)?;
        if self.channel.state().is_over() {
            return Some(Err(Refusal::Ended));
        }
        let edge = self.edge_date(now);
        let listed = self.channel.edge_date().is_some();
        if event.start() > edge || !listed {
            let id = Arc::clone(event.id());
            self.remove(now, vec![id]);
            return Some(Ok(true));
        }
        if event.end().is_none() && !event.whole().until_next {
            let mut over = Statement::new(id, event.start());
            over.end = Some(edge);
            return Some(self.tell(now, &over).map(|_| false));
        }
        Some(Ok(false))
    }

    /// Takes over what the operator said in another life of the channel and is
    /// not over.
    pub fn carry_over(&mut self, now: Now, events: &Events) {
        for statement in events.standing(now.wall) {
            // The last life may have had another idea of the date; what this
            // one has no place for stays behind.
            let _ = self.tell(now, &statement);
        }
    }

    fn remove(&mut self, now: Now, ids: Vec<Arc<str>>) {
        self.emit(Change::Event(EventChange::Left(ids)));
        let version = self.channel.events().version();
        self.removals.push_back((now.mono, version));
    }

    /// How long an event that left is remembered: the copy of a player may be
    /// of a track that lags by a window and be older than its newest media.
    fn removals_matter_ms(&self) -> u64 {
        let targets = self.channel.targets();
        targets.map_or(self.policy.window_ms, |targets| {
            targets.window_ms + REMEMBERED_TARGETS * 1000 * u64::from(targets.segment_s)
        })
    }

    /// Date of the oldest listed media. A track that has stood still for a whole
    /// window holds no event.
    fn oldest_date(&self, now: Now) -> Option<Wall> {
        let window_ms = self.channel.targets()?.window_ms;
        let live = self.slots.iter().filter_map(|slot| match &slot.phase {
            // One that gaps are filled in for moves on and is listed like any.
            Phase::Live(track, _) if now.mono.ms_since(slot.moved) <= window_ms => Some(*track),
            _ => None,
        });
        let oldest = live.filter_map(|track| {
            let window = &self.channel.track_at(track).window;
            window.listed().next().or_else(|| window.open())
        });
        oldest.map(|segment| segment.wall).min()
    }

    /// Drops the events that no listed media belongs to any more, and the memory
    /// of those that left long ago.
    pub(super) fn forget_events(&mut self, now: Now) {
        let matter_ms = self.removals_matter_ms();
        let old = |(at, _): &mut (Mono, u64)| now.mono.ms_since(*at) > matter_ms;
        let mut forgotten = None;
        while let Some((_, version)) = self.removals.pop_front_if(old) {
            forgotten = Some(version);
        }
        if let Some(version) = forgotten {
            self.emit(Change::Event(EventChange::Forgotten(version)));
        }
        let oldest = self.oldest_date(now);
        if oldest == self.forgotten_before {
            return;
        }
        self.forgotten_before = oldest;
        let over = oldest.map(|oldest| self.channel.events().over(oldest));
        let over = over.unwrap_or_default();
        if !over.is_empty() {
            self.remove(now, over);
        }
    }
}
