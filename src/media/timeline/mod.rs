//! One track, written: chunks to parts, parts to segments, with numbers, gaps
//! and discontinuities.
//!
//! A timeline decides and tells; the window of the track applies what it told.
//! Segment boundaries come from the uploads where each brings one segment, else
//! from sync samples and the segment target, for tracks without them from the
//! grid.

mod late;
mod parts;
mod segmenter;

use std::sync::Arc;

use crate::limits;
use crate::media::ahead::Ahead;
use crate::media::channel::{Change, Targets, TrackIndex};
use crate::media::clock::{Arrival, Clock, Era, Grid, produced_wall};
use crate::media::cmaf::{Kind, TrackChunk};
use crate::media::fault::{Fault, FaultKind};
use crate::media::pace::Pace;
use crate::media::timeline::late::Late;
use crate::media::timeline::parts::{Cut, Placed};
use crate::media::timeline::segmenter::Segmenter;
use crate::media::window::HeaderObject;
use crate::time::{Micros, Mono, Now, Timescale, rescale_floor};

/// A hole up to this long is a gap; a longer one is a clock that was reset.
const GAP_MS_MAX: u64 = 60_000;
/// A step in decode time below this, and below a sample, is rounding.
const ROUNDING_MS_MAX: i64 = 100;
/// A source that has brought nothing for this long gives way to another whose
/// clock does not fit.
pub(crate) const SOURCE_SILENT_MS: u64 = 1_000;

pub(crate) use crate::media::timeline::late::Still;
pub(crate) use crate::media::timeline::parts::PART_SHARE_MIN;
pub(crate) use crate::media::timeline::segmenter::SHORTER_BY;

/// Which session of an encoder a chunk belongs to: rises with every header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Session(pub(crate) u64);

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is on the timeline.
    Placed,
    /// Its time has been published; it is ignored.
    Duplicate,
    /// It can't be decoded before the next sync sample and is left out.
    NotDecodable,
    /// Another source of the track is at work and this one's clock does not
    /// fit; it is ignored until that source is silent.
    Standby,
}

/// How a chunk lies against the end of the timeline.
enum Lie {
    /// Behind it, or behind a hole that becomes a gap.
    Next,
    /// Across it, where it was filled: to be cut here.
    Across(Cut),
    Ignored(Accepted),
    Reset,
    Refused(FaultKind),
}

/// One chunk with what its upload says of it.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) chunk: TrackChunk,
    /// The upload brings one segment, and this is the first chunk of it.
    pub(crate) begins_segment: bool,
    /// The upload brings one segment.
    pub(crate) one_segment: bool,
    pub(crate) session: Session,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Timeline {
    header: Arc<HeaderObject>,
    segmenter: Segmenter,
    era: Option<Era>,
    /// End of accepted media, and of gaps in its place, in channel ticks.
    end: Option<i64>,
    /// Decode time after the last accepted chunk, as sent.
    raw_end: u64,
    /// Newest session that media was accepted of.
    session: Session,
    /// Session of the newest accepted chunk.
    source: Session,
    last_accepted: Mono,
    /// Number of the era of the newest accepted chunk.
    placed: u64,
    /// The session that reset the clock, while nothing of it was accepted.
    entering: Option<Session>,
    /// The header changed, and nothing has been accepted since.
    reconfigured: bool,
    /// Decode time after a chunk that was refused for its time: if the next
    /// one goes on there, the clock really was reset.
    refused_end: Option<u64>,
    /// Nothing is taken in before the next sync sample.
    wants_sync: bool,
    /// The newest chunk came in an upload of one segment.
    one_segment: bool,
    /// How late media usually comes.
    pace: Pace,
    /// Where media ended that `end` has been moved on from by gaps.
    filled_from: Option<i64>,
    /// The source that brings media too late for where it belongs.
    late: Option<Late>,
    /// When media last came that could not follow on a gap.
    heard: Option<Mono>,
}

impl Timeline {
    /// A timeline without media.
    pub(crate) fn new(
        header: Arc<HeaderObject>,
        targets: &Targets,
        grid: Grid,
        segment_ms: u64,
    ) -> Self {
        let segmenter = Segmenter::new(&header.track, targets, grid, segment_ms);
        Self {
            header,
            segmenter,
            era: None,
            end: None,
            raw_end: 0,
            session: Session::default(),
            source: Session::default(),
            last_accepted: Mono::default(),
            placed: 0,
            entering: None,
            reconfigured: false,
            refused_end: None,
            wants_sync: true,
            one_segment: false,
            pace: Pace::new(),
            filled_from: None,
            late: None,
            heard: None,
        }
    }

    /// End of accepted media, and of gaps in its place, in channel time.
    pub(crate) fn end(&self) -> Option<Micros> {
        self.end.map(|end| self.scale().micros(end))
    }

    /// Decode time of the newest accepted chunk, which lasts `duration` ticks,
    /// as sent but unwrapped.
    pub(crate) fn newest_start(&self, duration: u64) -> i64 {
        i64::try_from(self.raw_end.saturating_sub(duration)).unwrap_or(i64::MAX)
    }

    /// Channel time of a decode time near the newest accepted chunk.
    pub(crate) fn channel_time(&self, decode_time: Micros) -> Micros {
        let raw_end = i64::try_from(self.raw_end).unwrap_or(i64::MAX);
        let end = self.scale().micros(self.end.unwrap_or_default());
        let ahead = decode_time.0.saturating_sub(self.scale().micros(raw_end).0);
        Micros(end.0.saturating_add(ahead))
    }

    /// The session that the newest accepted media is of.
    pub(crate) fn source(&self) -> Session {
        self.source
    }

    /// When media was last accepted.
    pub(crate) fn last_accepted(&self) -> Mono {
        self.last_accepted
    }

    /// Media of the segment under way that no part lists yet.
    pub(crate) fn ahead(&self, track: TrackIndex) -> Option<Ahead> {
        self.segmenter.ahead(track)
    }

    /// An upload of this session broke off.
    pub(crate) fn tear(&mut self, session: Session, out: &mut Output) {
        if session == self.source {
            self.segmenter.tear(out);
        }
    }

    /// Takes in one chunk. `published_end` is the end of all tracks' media.
    pub(crate) fn chunk(
        &mut self,
        now: Now,
        clock: &mut Clock,
        published_end: Micros,
        incoming: Incoming,
        out: &mut Output,
    ) -> Result<Accepted, Fault> {
        let mut incoming = incoming;
        incoming.chunk.decode_time = self.unwrapped(&incoming.chunk);
        let arrival = arrival(self.scale(), now, &incoming.chunk);
        let era = match self.era {
            Some(era) => era,
            None => clock.era(&arrival),
        };
        let mut era = era;
        let mut start = self.place(era, incoming.chunk.decode_time);
        let mut lie = self.lie(now, start, published_end, &incoming);
        if matches!(lie, Lie::Reset) {
            let own_end = self.end().unwrap_or_default();
            era = clock.reset(self.placed, &arrival, own_end, published_end);
            self.break_into(era, out);
            (self.entering, self.late) = (Some(incoming.session), None);
            start = self.place(era, incoming.chunk.decode_time);
            lie = self.lie(now, start, published_end, &incoming);
        }
        let sent = start;
        match lie {
            Lie::Next | Lie::Reset => self.follow(clock, era, start),
            Lie::Ignored(how) => return Ok(how),
            Lie::Across(at) => {
                let chunk = incoming.chunk;
                let Ok((_, tail)) = (Placed { start, chunk }).cut(&self.header.track, at) else {
                    self.heard = Some(now.mono);
                    return Ok(Accepted::Duplicate);
                };
                self.follow(clock, era, tail.start);
                incoming.chunk = tail.chunk;
            }
            Lie::Refused(kind) => {
                self.refused_end = Some(incoming.chunk.decode_time + incoming.chunk.duration);
                return Err(Fault::new(None, incoming.chunk.at, kind));
            }
        }
        if self.wants_sync && !incoming.chunk.is_independent() {
            self.heard = Some(now.mono);
            return Ok(Accepted::NotDecodable);
        }
        let era = self.era.expect("entered above");
        let start = self.place(era, incoming.chunk.decode_time);
        if let Some(end) = self.end
            && start > end
            && !self.segmenter.is_broken()
            && (self.filled_from.is_some() || !self.absorbs(end, start, &incoming.chunk))
        {
            if !incoming.chunk.is_independent() {
                self.wants_sync = true;
                return Ok(Accepted::NotDecodable);
            }
            self.segmenter.gap(clock, &self.header, (end, start), out);
        }
        self.segmenter.end_gap(out);
        self.segmenter.mend();
        self.accept(now, clock, era, (sent, start), &incoming);
        let placed = Placed {
            start,
            chunk: incoming.chunk,
        };
        let explicit = incoming.one_segment.then_some(incoming.begins_segment);
        let explicit = explicit.filter(|_| self.follows_uploads());
        self.segmenter
            .push(clock, &self.header, placed, explicit, out);
        Ok(Accepted::Placed)
    }

    /// The upload of one segment ended whole, or a track ended.
    pub(crate) fn end_segment(&mut self, out: &mut Output) {
        // What is open since a gap is not what the upload brought.
        let own = self.filled_from.is_none();
        if own {
            self.segmenter.mend();
        }
        if own && (!self.one_segment || self.follows_uploads()) {
            self.segmenter.close(out);
        }
    }

    /// No more media comes: the segment under way ends with what it has.
    pub(crate) fn finish(&mut self, out: &mut Output) {
        self.segmenter.close(out);
    }

    /// A new header is in force from the next chunk on; a different one breaks
    /// the timeline.
    pub(crate) fn set_header(
        &mut self,
        clock: &mut Clock,
        published_end: Micros,
        header: Arc<HeaderObject>,
        out: &mut Output,
    ) {
        if header.id == self.header.id {
            return;
        }
        assert_eq!(
            header.track.timescale, self.header.track.timescale,
            "checked by the caller"
        );
        if self.end.is_some() {
            let era = clock.break_at(self.placed, published_end);
            let shift = self.era.map_or(era.shift, |own| own.shift);
            self.break_into(Era { shift, ..era }, out);
            self.reconfigured = true;
        }
        self.header = Arc::clone(&header);
        self.wants_sync = true;
        let track = out.track;
        out.changes.push(Change::Header { track, header });
    }

    /// Whether segments end where uploads of one segment do. Only video needs
    /// its own ends: sound and the like are cut on the grid into parts of one
    /// length, because encoders leave them a last chunk of a few frames, and
    /// hls.js takes a segment for loaded when less than 0.2 s of it is missing.
    fn follows_uploads(&self) -> bool {
        self.header.track.kind == Kind::Video
    }

    /// Moves the end of the timeline behind a chunk that starts at `start`, and
    /// was sent from `sent` on.
    fn accept(
        &mut self,
        now: Now,
        clock: &mut Clock,
        era: Era,
        (sent, start): (i64, i64),
        incoming: &Incoming,
    ) {
        let chunk = &incoming.chunk;
        if std::mem::take(&mut self.reconfigured) {
            clock.confirm(era.number);
        }
        self.wants_sync = false;
        self.entering = None;
        self.refused_end = None;
        self.placed = era.number;
        if std::mem::replace(&mut self.source, incoming.session) != incoming.session {
            self.pace = Pace::new();
        }
        self.session = incoming.session.max(self.session);
        self.one_segment = incoming.one_segment;
        self.last_accepted = now.mono;
        self.raw_end = chunk.decode_time + chunk.duration;
        let (scale, end) = (self.scale(), start + chunk.duration as i64);
        // Gaps say nothing of when media comes.
        let before = self.end.filter(|_| self.filled_from.is_none());
        let before = before.unwrap_or(sent);
        (self.filled_from, self.late, self.heard) = (None, None, None);
        self.pace
            .note(now.mono, scale.micros(before), scale.micros(end));
        self.end = Some(end);
    }

    fn scale(&self) -> Timescale {
        self.header.track.timescale
    }

    /// Channel ticks of a decode time in an era.
    fn place(&self, era: Era, decode_time: u64) -> i64 {
        let shift = rescale_floor(era.shift.0, 1_000_000, self.scale().get());
        i64::try_from(decode_time)
            .unwrap_or(i64::MAX / 2)
            .saturating_add(shift)
    }

    /// Decode times of 32 bits wrap (13 h at 90 kHz): the one nearest to where
    /// the timeline is.
    fn unwrapped(&self, chunk: &TrackChunk) -> u64 {
        const TURN: u64 = 1 << 32;
        if !chunk.wraps || self.end.is_none() {
            return chunk.decode_time;
        }
        let base = self.raw_end & !(TURN - 1);
        let near = base + chunk.decode_time;
        // A step back of more than half a turn is a step ahead.
        if near + TURN / 2 < self.raw_end {
            near + TURN
        } else if near > self.raw_end + TURN / 2 && near >= TURN {
            near - TURN
        } else {
            near
        }
    }

    fn lie(&mut self, now: Now, start: i64, published_end: Micros, incoming: &Incoming) -> Lie {
        let Some(end) = self.end else {
            return Lie::Next;
        };
        let scale = self.scale();
        let off_ms = scale.micros(start.saturating_sub(end)).0 / 1000;
        if self.absorbs(end, start, &incoming.chunk) {
            return Lie::Next;
        }
        if self
            .entering
            .is_some_and(|entered| incoming.session <= entered)
        {
            // What an era brings before the end of the last one is left out,
            // unless the encoder starts anew before it came to its end. Gaps go
            // on meanwhile, and must let it catch up.
            if start >= end {
                return Lie::Next;
            }
            let late = self.lie_late(now.mono, start, incoming);
            return late.unwrap_or(Lie::Ignored(Accepted::Duplicate));
        }
        let by_ms = off_ms.unsigned_abs();
        let fresh = incoming.session > self.session;
        let other = incoming.session != self.source;
        let silent = now.mono.ms_since(self.last_accepted) >= SOURCE_SILENT_MS;
        let confirmed = self.refused_end == Some(incoming.chunk.decode_time);
        if start > end {
            return match by_ms <= GAP_MS_MAX || self.was_silent(start, by_ms, published_end) {
                // The source at work will bring what is missing.
                true if other && !silent => Lie::Ignored(Accepted::Standby),
                true => Lie::Next,
                false if confirmed || (fresh && silent) => Lie::Reset,
                false if fresh => Lie::Ignored(Accepted::Standby),
                false => Lie::Refused(FaultKind::TimeAhead { by_ms }),
            };
        }
        let target_s = u64::from(self.segmenter.target_s());
        // Gaps are nobody's media: how far a source starts before it is told
        // from where media ended.
        let media_end = self.filled_from.unwrap_or(end);
        let back_ms = scale.micros(media_end.saturating_sub(start)).0 / 1000;
        let far = back_ms > 3000 * target_s as i64;
        // A source that connects again may repeat what it was cut off in; one
        // whose clock stands at its beginning has started anew.
        let started = incoming.chunk.decode_time < target_s * u64::from(scale.get());
        if confirmed || (fresh && silent && (far || started)) {
            return Lie::Reset;
        }
        if let Some(lie) = self.lie_late(now.mono, start, incoming) {
            return lie;
        }
        let repeats = incoming.one_segment || other;
        if fresh || (repeats && by_ms <= self.segmenter.window_ms()) {
            return Lie::Ignored(Accepted::Duplicate);
        }
        Lie::Refused(FaultKind::TimeBack { by_ms })
    }

    /// Whether text goes on at the live edge behind a long hole: it says nothing
    /// of the clock, since nobody may have spoken.
    fn was_silent(&self, start: i64, by_ms: u64, published_end: Micros) -> bool {
        let off_edge = self.scale().micros(start).0.abs_diff(published_end.0) / 1000;
        self.header.track.kind == Kind::Text
            && by_ms <= limits::TEXT_GAP_MS_MAX
            && off_edge <= GAP_MS_MAX
    }

    /// Whether a step from `end` to `start` is rounding, not a hole: less than
    /// one sample, and no long one. Text that overlaps a gap can be cut where
    /// that ends.
    fn absorbs(&self, end: i64, start: i64, chunk: &TrackChunk) -> bool {
        let sample = match chunk.samples.first() {
            Some(_) if self.filled_from.is_some() && self.header.track.kind == Kind::Text => 1,
            Some(sample) => i64::from(sample.duration),
            None => 1,
        };
        let most = rescale_floor(ROUNDING_MS_MAX, 1000, self.scale().get());
        (start - end).abs() < sample.min(most).max(2)
    }

    /// Enters the first era, or a later one that another track began: this
    /// track's own time goes on, and its next segment carries the break.
    fn follow(&mut self, clock: &Clock, own: Era, start: i64) {
        let current = clock.current().unwrap_or(own);
        let due = self.scale().micros(start) >= current.begins;
        match self.era {
            None => self.segmenter.set_first_break(own.number),
            Some(_) if current.number > own.number && due => {
                self.segmenter.set_break(current.number);
                self.era = Some(Era {
                    shift: own.shift,
                    ..current
                });
                return;
            }
            Some(_) => {}
        }
        self.era = Some(own);
    }

    /// Ends the segment under way and goes on in `era`.
    fn break_into(&mut self, era: Era, out: &mut Output) {
        self.segmenter.close(out);
        // Gaps may have entered it before.
        if era.number > self.segmenter.breaks() {
            self.segmenter.set_break(era.number);
        }
        self.era = Some(era);
        self.wants_sync = self.header.track.kind == Kind::Video;
    }
}

/// What anchors `chunk`, which was whole at `now`.
pub(crate) fn arrival(scale: Timescale, now: Now, chunk: &TrackChunk) -> Arrival {
    let micros = |ticks: u64| scale.micros(i64::try_from(ticks).unwrap_or(i64::MAX / 2));
    Arrival {
        start: micros(chunk.decode_time),
        end: micros(chunk.decode_time.saturating_add(chunk.duration)),
        produced: chunk
            .producer_time
            .map(|prft| produced_wall(&prft, scale, chunk.decode_time)),
        now,
    }
}

/// Where a timeline puts what it tells.
#[derive(Debug)]
pub(crate) struct Output {
    /// The track it speaks of.
    pub(crate) track: TrackIndex,
    /// Changes, in order.
    pub(crate) changes: Vec<Change>,
    /// What the encoder should hear of, newest last.
    pub(crate) complaints: Vec<String>,
    /// Parts made.
    pub(crate) parts: u64,
}

impl Output {
    /// Nothing told yet.
    pub(crate) fn new(track: TrackIndex) -> Self {
        Self {
            track,
            changes: Vec::new(),
            complaints: Vec::new(),
            parts: 0,
        }
    }
}
