//! The writer of one channel: uploads of its tracks in, changes out.
//!
//! Until every announced track has shown a whole segment the channel is
//! priming: media is held, nothing is served. Then the targets are settled,
//! everything held goes onto the timelines, and the channel is live.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits;
use crate::media::channel::{Change, Channel, State, Targets, TrackIndex, TrackInfo};
use crate::media::clock::{Clock, Grid};
use crate::media::cmaf::{self, Kind, TrackChunk, TrackHeader};
use crate::media::event::Ear;
use crate::media::fault::{Fault, FaultKind};
use crate::media::policy::{AfterEnd, Policy};
use crate::media::presentation::Presentation;
use crate::media::rates::Rates;
use crate::media::stretch::Cell;
use crate::media::targets::{self, Early, Priming};
use crate::media::timeline::{self, Incoming, Output, Session, Still, Timeline};
use crate::media::window::{HeaderObject, Segment};
use crate::time::{Micros, Mono, Now, Wall, rescale_floor};

mod events;
mod growing;

pub use crate::media::timeline::Accepted;

/// A track of a publisher, as uploads name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackKey(usize);

/// How a chunk was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The request brings one segment.
    pub one_segment: bool,
    /// This is its first chunk of the track.
    pub begins_segment: bool,
    /// From [`Publisher::session`] when the upload began.
    pub session: u64,
}

#[derive(Debug)]
struct Slot {
    name: String,
    header: Arc<HeaderObject>,
    session: u64,
    phase: Phase,
    rates: Rates,
    frame_rates: Rates,
    ear: Ear,
    complaint: Option<String>,
    /// When its edge last moved, and when a segment last became whole.
    moved: Mono,
    whole: Mono,
    /// Its encoder has said that nothing more comes.
    over: bool,
    /// When media of another encoder than the one at work last came.
    rival: Option<Mono>,
}

#[derive(Debug)]
enum Phase {
    Priming(Priming),
    Live(TrackIndex, Box<Timeline>),
}

/// A track whose media has begun is waited for this long after another is
/// ready: the longest segment in use, so that the targets fit it.
const UNDER_WAY_MS_MAX: u64 = 12_000;
/// An encoder that has brought media of a track within so many target durations
/// is at work on it.
const RIVAL_TARGETS: u64 = 2;

/// See the module's head.
#[derive(Debug)]
pub struct Publisher {
    policy: Policy,
    channel: Channel,
    clock: Clock,
    grid: Option<Grid>,
    slots: Vec<Slot>,
    changes: Vec<Change>,
    /// Tracks that have media more than at the last look.
    grown: Vec<TrackIndex>,
    window_limit_ms: u64,
    /// Since when a track is ready, and whether one of sound or pictures is: text
    /// alone says little of a channel.
    ready_since: Option<(bool, Mono)>,
    last_media: Mono,
    /// The newest moment it was told of.
    now: Mono,
    /// Events that ended before this date have been dropped.
    forgotten_before: Option<Wall>,
    /// When events left that are remembered, and the version without them.
    removals: VecDeque<(Mono, u64)>,
    chunks: u64,
    parts: u64,
}

impl Publisher {
    /// The writer of a channel without media.
    pub fn new(name: &str, generation: &str, policy: Policy, now: Now) -> Self {
        Self {
            policy,
            channel: Channel::new(name, generation),
            clock: Clock::default(),
            grid: None,
            slots: Vec::new(),
            changes: Vec::new(),
            grown: Vec::new(),
            window_limit_ms: u64::MAX,
            ready_since: None,
            last_media: now.mono,
            now: now.mono,
            forgotten_before: None,
            removals: VecDeque::new(),
            chunks: 0,
            parts: 0,
        }
    }

    /// The same with the operator's words on the channel.
    #[must_use]
    pub fn presented(self, presentation: Arc<Presentation>) -> Self {
        Self {
            channel: self.channel.presented(presentation),
            ..self
        }
    }

    /// The channel as readers see it, up to the last commit.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Chunks taken in and parts made.
    pub fn counts(&self) -> (u64, u64) {
        (self.chunks, self.parts)
    }

    /// A track by name.
    pub fn key(&self, name: &str) -> Option<TrackKey> {
        self.slots
            .iter()
            .position(|slot| slot.name == name)
            .map(TrackKey)
    }

    /// The header in force for a track.
    pub fn header_of(&self, key: TrackKey) -> &TrackHeader {
        &self.slots[key.0].header.track
    }

    /// The session of a track: rises with every header.
    pub fn session(&self, key: TrackKey) -> u64 {
        self.slots[key.0].session
    }

    /// The last thing an encoder did wrong on each track.
    pub fn complaints(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.slots
            .iter()
            .map(|slot| (slot.name.as_str(), slot.complaint.as_deref()))
    }

    /// Media in memory, in bytes.
    pub fn bytes(&self) -> u64 {
        let held = self.slots.iter().map(|slot| match &slot.phase {
            Phase::Priming(seen) => seen.bytes(),
            Phase::Live(..) => 0,
        });
        let listed = self
            .channel
            .tracks()
            .iter()
            .map(|track| track.window.bytes());
        held.chain(listed).sum()
    }

    /// A CMAF header for the track `name`: opens it, begins a new session of
    /// its encoder, or changes its configuration.
    pub fn header(&mut self, name: &str, header: TrackHeader) -> Result<TrackKey, Fault> {
        let refuse = |kind| Fault::new(Some(name), 0, kind);
        let object = Arc::new(HeaderObject {
            id: header.digest,
            track: header,
        });
        if object.track.timescale.get() > limits::TIMESCALE_MAX {
            let what = "more than 1000000000 ticks a second";
            return Err(refuse(FaultKind::Unsupported(what.to_owned())));
        }
        if self.channel.state().is_over() {
            return Err(refuse(FaultKind::Ended));
        }
        let Some(key) = self.key(name) else {
            if self.slots.len() == limits::CHANNEL_TRACKS_MAX {
                return Err(refuse(FaultKind::Limit("tracks of one channel")));
            }
            self.slots.push(Slot {
                name: name.to_owned(),
                header: object,
                session: 1,
                phase: Phase::Priming(Priming::default()),
                rates: Rates::default(),
                frame_rates: Rates::default(),
                ear: Ear::default(),
                complaint: None,
                moved: self.now,
                whole: self.now,
                over: false,
                rival: None,
            });
            if self.channel.state() == State::Idle {
                self.emit(Change::State(State::Priming));
            }
            return Ok(TrackKey(self.slots.len() - 1));
        };
        let published_end = self.published_end();
        let slot = &mut self.slots[key.0];
        let (old, new) = (&slot.header.track, &object.track);
        if (old.kind, old.timescale) != (new.kind, new.timescale) {
            let what = "another kind or timescale under the name of a track; use another name";
            return Err(refuse(FaultKind::Unsupported(what.to_owned())));
        }
        slot.session += 1;
        if slot.header.id != object.id {
            slot.header = Arc::clone(&object);
            match &mut slot.phase {
                Phase::Priming(seen) => *seen = Priming::default(),
                Phase::Live(index, timeline) => {
                    let mut out = Output::new(*index);
                    timeline.set_header(&mut self.clock, published_end, object, &mut out);
                    self.absorb(key, out);
                }
            }
        }
        Ok(key)
    }

    /// A chunk of a track.
    pub fn chunk(
        &mut self,
        now: Now,
        key: TrackKey,
        manner: Manner,
        chunk: TrackChunk,
    ) -> Result<Accepted, Fault> {
        let incoming = Incoming {
            chunk,
            begins_segment: manner.begins_segment,
            one_segment: manner.one_segment,
            session: Session(manner.session),
        };
        let session = incoming.session;
        self.chunks += 1;
        self.now = now.mono;
        let name = self.slots[key.0].name.clone();
        let taken = self.take(now, key, incoming).map_err(|mut fault| {
            fault.track.get_or_insert(name);
            fault
        });
        let slot = &mut self.slots[key.0];
        match &taken {
            Ok(Accepted::Placed) => {
                self.last_media = now.mono;
                slot.over = false;
            }
            Ok(_) if slot.is_of_rival(session) => slot.rival = Some(now.mono),
            Ok(_) => {}
            Err(fault) => slot.complaint = Some(fault.to_string()),
        }
        self.try_go_live(now);
        taken
    }

    /// The upload of one segment of a track ended whole.
    pub fn end_segment(&mut self, now: Now, key: TrackKey) {
        if self.channel.state().is_over() {
            return;
        }
        self.now = now.mono;
        match &mut self.slots[key.0].phase {
            Phase::Priming(seen) => seen.end_segment(),
            Phase::Live(..) => self.close_segment(key),
        }
        self.try_go_live(now);
    }

    /// Lets time pass: a track that never came is no longer waited for, and
    /// silence is noticed.
    pub fn tick(&mut self, now: Now) {
        self.now = now.mono;
        self.try_go_live(now);
        if !self.channel.state().is_over() {
            self.forget_events(now);
        }
        let Some(targets) = self.channel.targets().copied() else {
            return;
        };
        let silent_ms = self.silent_ms(now);
        let stalled = silent_ms > 3000 * u64::from(targets.segment_s);
        let state = match self.channel.state() {
            State::Live | State::Stalled if silent_ms > self.policy.ended_after_ms => {
                match self.policy.after_end {
                    AfterEnd::Endlist => State::Ended,
                    AfterEnd::Gone => State::Gone,
                }
            }
            State::Live | State::Stalled if stalled => State::Stalled,
            State::Stalled => State::Live,
            other => other,
        };
        self.move_to(state);
        if !state.is_over() {
            self.keep_pace(&targets);
        }
    }

    /// The encoder of a track says that nothing more comes of it. The channel
    /// ends with the last of its tracks; where another encoder of the track is
    /// at work, that one goes on.
    pub fn end_track(&mut self, key: TrackKey) {
        let target_s = self
            .channel
            .targets()
            .map_or(0, |targets| targets.segment_s);
        let slot = &mut self.slots[key.0];
        let shared = |at: Mono| self.now.ms_since(at) <= RIVAL_TARGETS * u64::from(target_s) * 1000;
        if !matches!(slot.phase, Phase::Live(..)) || slot.rival.is_some_and(shared) {
            return;
        }
        slot.over = true;
        let mut live = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.phase, Phase::Live(..)));
        if live.all(|slot| slot.over) {
            self.end();
        }
    }

    /// The encoder or the operator says that it is over: playlists end, and
    /// stay for a window. False where nothing was ever served.
    pub fn end(&mut self) -> bool {
        match self.channel.state() {
            State::Idle | State::Priming => return false,
            State::Live | State::Stalled => self.move_to(State::Ended),
            State::Ended | State::Gone => {}
        }
        true
    }

    /// Milliseconds since media was taken in last, or since the beginning.
    pub fn silent_ms(&self, now: Now) -> u64 {
        now.mono.ms_since(self.last_media)
    }

    /// Milliseconds of media in memory, of the track that has most.
    pub fn span_ms(&self) -> u64 {
        let tracks = self.channel.tracks().iter();
        let spans = tracks.map(|track| {
            let ms = rescale_floor(
                track.window.span_ticks(),
                track.info.header.timescale.get(),
                1000,
            );
            ms.max(0) as u64
        });
        spans.max().unwrap_or(0)
    }

    /// Keeps no more than `window_ms` of media from the next segment on, if
    /// that is less than the targets say: memory is short.
    pub fn limit_window(&mut self, window_ms: u64) {
        self.window_limit_ms = window_ms;
    }

    /// Makes what has changed since the last commit one version: its number
    /// and its changes.
    pub fn commit(&mut self) -> Option<(u64, Arc<[Change]>)> {
        if self.changes.is_empty() {
            return None;
        }
        self.channel.seq += 1;
        Some((self.channel.seq, std::mem::take(&mut self.changes).into()))
    }

    /// Refuses times that no arithmetic here is made for.
    fn check(&self, key: TrackKey, chunk: &TrackChunk) -> Result<(), Fault> {
        let scale = u64::from(self.header_of(key).timescale.get());
        let what = if self.channel.state().is_over() {
            FaultKind::Ended
        } else if chunk.decode_time / scale >= limits::DECODE_SECONDS_MAX {
            FaultKind::Limit("seconds of decode time")
        } else if chunk.duration / scale >= limits::CHUNK_SECONDS_MAX {
            FaultKind::Limit("seconds in one chunk")
        } else {
            return Ok(());
        };
        Err(Fault::new(None, chunk.at, what))
    }

    fn take(&mut self, now: Now, key: TrackKey, incoming: Incoming) -> Result<Accepted, Fault> {
        self.check(key, &incoming.chunk)?;
        let published_end = self.published_end();
        let slot = &mut self.slots[key.0];
        match &mut slot.phase {
            Phase::Priming(seen) => {
                seen.chunk(now, &slot.header.track, &self.policy, incoming)?;
                Ok(Accepted::Placed)
            }
            Phase::Live(index, timeline) => {
                let mut out = Output::new(*index);
                let messages = cmaf::messages(&incoming.chunk, &slot.header.track);
                let duration = incoming.chunk.duration;
                let begins = incoming.begins_segment || !incoming.one_segment;
                let mut ear = slot.ear;
                ear.note(&incoming.chunk, begins, slot.header.track.edit_shift_ticks);
                let taken = timeline.chunk(now, &mut self.clock, published_end, incoming, &mut out);
                if taken == Ok(Accepted::Placed) {
                    slot.ear = ear;
                    let grown = &mut self.grown;
                    if !grown.contains(index) {
                        grown.push(*index);
                    }
                }
                self.absorb(key, out);
                if taken == Ok(Accepted::Placed) && !messages.is_empty() {
                    self.hear(now, key, duration, messages);
                }
                taken
            }
        }
    }

    /// Settles the targets once every track has shown a whole segment, or when
    /// some have and the others were given as long again.
    fn try_go_live(&mut self, now: Now) {
        if self.channel.state().is_over() {
            return;
        }
        let waiting: Vec<bool> = self.slots.iter().filter_map(Slot::is_ready).collect();
        if !waiting.contains(&true) {
            return;
        }
        let settled = self.channel.targets().copied();
        if settled.is_none() && !self.has_waited(now, waiting.contains(&false)) {
            return;
        }
        let targets = settled.unwrap_or_else(|| self.settle());
        for index in 0..self.slots.len() {
            if self.slots[index].is_ready() == Some(true) {
                self.start_track(TrackKey(index), &targets);
            }
        }
        if self.channel.state() == State::Priming {
            self.emit(Change::State(State::Live));
        }
    }

    /// Whether the tracks that are not ready, if there are any, were given their
    /// time. Where only text is ready, others are expected.
    fn has_waited(&mut self, now: Now, for_tracks: bool) -> bool {
        let ready = |slot: &Slot| slot.is_ready() == Some(true);
        let mut ready = self.slots.iter().filter(|slot| ready(slot));
        let says_much = ready.any(|slot| !targets::is_text(&slot.header.track));
        let since = match self.ready_since {
            Some((said_much, since)) if said_much >= says_much => since,
            _ => now.mono,
        };
        self.ready_since = Some((says_much, since));
        let patience_ms = if !says_much || self.slots.iter().any(Slot::is_under_way) {
            UNDER_WAY_MS_MAX
        } else {
            self.policy.segment_ms
        };
        let missing = for_tracks || !says_much;
        !missing || now.mono.ms_since(since) >= patience_ms
    }

    /// Settles targets and grid. The grid is that of the first video track, of
    /// the first other one where there is no video, and of text last.
    fn settle(&mut self) -> Targets {
        let begun = self.slots.iter().filter_map(|slot| match &slot.phase {
            Phase::Priming(seen) if seen.has_begun() => Some((&slot.header.track, seen)),
            _ => None,
        });
        let targets = targets::settle(&self.policy, begun.clone());
        let ready = begun.filter(|(_, seen)| seen.is_ready());
        let (header, seen) = ready
            .min_by_key(|(header, _)| (header.kind != Kind::Video, targets::is_text(header)))
            .expect("a track is ready");
        let (now, first) = seen.first().expect("a ready track has media");
        let arrival = timeline::arrival(header.timescale, now, &first.chunk);
        self.clock.era(&arrival);
        let cell_min = u64::from(header.timescale.get()) * limits::GRID_CELL_MS_MIN / 1000;
        let cell = Cell {
            ticks: seen.segment_ticks().max(cell_min).max(1),
            scale: header.timescale,
        };
        let grid = Grid::new(&self.clock, cell.ticks, cell.scale, arrival.start);
        self.grid = Some(grid);
        self.emit(Change::Targets(targets));
        self.emit(Change::Cell(cell));
        targets
    }

    /// Puts what a track has held onto its timeline.
    fn start_track(&mut self, key: TrackKey, targets: &Targets) {
        let index = TrackIndex(self.channel.tracks().len() as u16);
        let grid = self.grid.expect("settled with the targets");
        let segment_ms = self.policy.segment_ms;
        let slot = &mut self.slots[key.0];
        let Phase::Priming(seen) = &mut slot.phase else {
            return;
        };
        (slot.moved, slot.whole) = (self.now, self.now);
        let frame_rate = seen.frame_rate(&slot.header.track);
        let fits = |part_us: &u32| seen.is_in_parts(&slot.header.track, *part_us);
        let targets = Targets {
            part_us: targets.part_us.filter(fits),
            ..*targets
        };
        let early = std::mem::take(&mut seen.early);
        let timeline = Timeline::new(Arc::clone(&slot.header), &targets, grid, segment_ms);
        slot.phase = Phase::Live(index, Box::new(timeline));
        let info = TrackInfo {
            name: slot.name.clone(),
            header: slot.header.track.clone(),
            frame_rate,
            in_parts: targets.part_us.is_some(),
        };
        self.emit(Change::Track(Arc::new(info)));
        for step in early {
            match step {
                // What was accepted while priming can't be refused any more.
                Early::Chunk(now, incoming) => {
                    if let Err(fault) = self.take(now, key, *incoming) {
                        self.slots[key.0].complaint = Some(fault.to_string());
                    }
                }
                Early::SegmentEnd => self.close_segment(key),
            }
        }
    }

    fn close_segment(&mut self, key: TrackKey) {
        if let Phase::Live(track, timeline) = &mut self.slots[key.0].phase {
            let mut out = Output::new(*track);
            timeline.end_segment(&mut out);
            self.absorb(key, out);
        }
    }

    fn absorb(&mut self, key: TrackKey, out: Output) {
        self.parts += out.parts;
        if let Some(text) = out.complaints.into_iter().next_back() {
            self.slots[key.0].complaint = Some(text);
        }
        for change in out.changes {
            if let Change::Open { .. } | Change::Close { .. } = &change {
                self.slots[key.0].moved = self.now;
            }
            let closed = match &change {
                Change::Close { track, segment, .. } => {
                    self.slots[key.0].whole = self.now;
                    Some((*track, Arc::clone(segment)))
                }
                _ => None,
            };
            self.emit(change);
            if let Some((track, segment)) = closed {
                self.after_segment(key, track, &segment);
            }
        }
    }

    /// Measures the newest segment and moves the window.
    fn after_segment(&mut self, key: TrackKey, track: TrackIndex, segment: &Segment) {
        let targets = *self.channel.targets().expect("segments follow the targets");
        let rates = &mut self.slots[key.0].rates;
        if let Some(rates) = rates.note(segment, targets.segment_s) {
            self.emit(Change::Rates {
                track,
                peak_bps: rates.peak_bps,
                average_bps: rates.average_bps,
            });
        }
        let slot = &mut self.slots[key.0];
        if slot.header.track.kind == Kind::Video
            && let Some(rates) = slot.frame_rates.note_frame(segment, targets.segment_s)
        {
            let frames_bps = (rates.peak_bps, rates.average_bps);
            self.emit(Change::FrameRates { track, frames_bps });
        }
        let window = &self.channel.track_at(track).window;
        let scale = segment.header.track.timescale;
        // Parts stay for as long again after their tags went, and a segment for
        // its own length after it left the list (RFC 8216bis section 6.2.2).
        let kept_longer_ms = 4000 * u64::from(targets.segment_s);
        // A list never gets shorter than three targets (section 6.2.2).
        let shortest_ms = 3000 * u64::from(targets.segment_s);
        let limit_ms = self.window_limit_ms.saturating_sub(kept_longer_ms);
        let listed_ms = targets.window_ms.min(limit_ms).max(shortest_ms);
        let listed_from = window.listed_from(rescale_floor(listed_ms as i64, 1000, scale.get()));
        let kept_ms = listed_ms + kept_longer_ms;
        let kept_from = window.kept_from(rescale_floor(kept_ms as i64, 1000, scale.get()));
        if listed_from > window.listed_msn() {
            let kept_from = kept_from.min(listed_from);
            self.emit(Change::Evict {
                track,
                listed_from,
                kept_from,
            });
        }
    }

    /// Applies a change to the writer's own copy and puts it into the version
    /// under way.
    fn emit(&mut self, change: Change) {
        self.channel.step(&change);
        self.changes.push(change);
    }

    fn published_end(&self) -> Micros {
        let ends = self.slots.iter().filter_map(|slot| match &slot.phase {
            Phase::Live(_, timeline) => timeline.end(),
            Phase::Priming(_) => None,
        });
        ends.max().unwrap_or_default()
    }

    /// End of what is no text and has moved within `longest_ms`, if there is
    /// such.
    fn programme_end(&self, longest_ms: u64) -> Option<Micros> {
        let moves = |slot: &&Slot| self.now.ms_since(slot.moved) <= longest_ms;
        let programme = self.slots.iter().filter(moves);
        let ends = programme.filter_map(|slot| match &slot.phase {
            Phase::Live(_, timeline) if !targets::is_text(&slot.header.track) => timeline.end(),
            _ => None,
        });
        ends.max()
    }

    fn move_to(&mut self, state: State) {
        if state != self.channel.state() {
            if state.is_over() {
                self.end_all();
            }
            self.emit(Change::State(state));
        }
    }

    /// Fills what is late where that is wanted, and says of which tracks the
    /// edge stands still for longer than a playlist may stay as it is: one and
    /// a half target durations (RFC 8216bis section 6.2.1).
    ///
    /// Text may say nothing for long: that is no fault, and its list goes on
    /// behind the programme, if need be by gaps. It may be ahead as well, where
    /// what was said lasts.
    fn keep_pace(&mut self, targets: &Targets) {
        let longest_ms = 1500 * u64::from(targets.segment_s);
        let programme = self.programme_end(longest_ms);
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let Phase::Live(track, timeline) = &mut slot.phase else {
                continue;
            };
            let silent = !self.policy.fill_gaps && targets::is_text(&slot.header.track);
            let programme = programme.filter(|_| silent);
            let behind_ms = programme
                .zip(timeline.end())
                .map_or(u64::MAX, |(end, own)| {
                    let behind = end.0.saturating_sub(own.0).max(0);
                    behind.unsigned_abs() / 1000
                });
            let track = *track;
            // What has come and is held until its end is known moves the edge
            // when more comes; a gap would cut into that.
            let moved = slot.moved.max(timeline.last_accepted());
            if (self.policy.fill_gaps || programme.is_some()) && !slot.over {
                let patience_us = match self.policy.fill_gaps {
                    true => i64::try_from(self.policy.fill_patience_ms).unwrap_or(0) * 1000,
                    // As long as the list may wait.
                    false => i64::MAX,
                };
                let mut out = Output::new(track);
                let edge = Still {
                    edge_ms: self.now.ms_since(moved).min(behind_ms),
                    whole_ms: self.now.ms_since(slot.whole),
                };
                let how = (edge, patience_us, programme);
                timeline.fill(self.now, &self.clock, how, &mut out);
                self.absorb(TrackKey(index), out);
            }
            let still_ms = self.now.ms_since(self.slots[index].moved.max(moved));
            let overdue = still_ms.min(behind_ms) > longest_ms;
            if overdue && !self.channel.track_at(track).window.is_overdue() {
                self.emit(Change::Overdue { track });
            }
        }
    }

    fn end_all(&mut self) {
        for index in 0..self.slots.len() {
            if let Phase::Live(track, timeline) = &mut self.slots[index].phase {
                let mut out = Output::new(*track);
                timeline.finish(&mut out);
                self.absorb(TrackKey(index), out);
            }
        }
    }
}

impl Slot {
    /// Whether a session is not of the encoder whose media the track has.
    fn is_of_rival(&self, session: Session) -> bool {
        match &self.phase {
            Phase::Live(_, timeline) => timeline.source() != session,
            Phase::Priming(_) => false,
        }
    }

    /// Whether a track that is still priming has shown enough; `None` once it
    /// is on its timeline.
    fn is_ready(&self) -> Option<bool> {
        match &self.phase {
            Phase::Priming(seen) => Some(seen.is_ready()),
            Phase::Live(..) => None,
        }
    }

    /// Whether its media has begun and shows no whole segment yet.
    fn is_under_way(&self) -> bool {
        match &self.phase {
            // Nobody waits for text: it may be silent.
            Phase::Priming(_) if targets::is_text(&self.header.track) => false,
            Phase::Priming(seen) => seen.has_begun() && !seen.is_ready(),
            Phase::Live(..) => false,
        }
    }
}
