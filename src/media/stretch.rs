//! Stretches of a channel: times in which the media of every track goes on
//! without a break, and runs of equally long segments in them.
//!
//! A stretch begins with the first media of the channel, behind a
//! discontinuity, behind a gap of any track, where the clock in the bytes of a
//! track turns over, and when a track joins late. It is settled once where it
//! begins, which time in the bytes of each track that is, and which number the
//! segment has that begins there; none of that follows from what a window
//! still lists, so it is kept as media passes by.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::channel::{Track, TrackIndex};
use crate::media::cmaf::Kind;
use crate::media::window::{HeaderObject, Segment, Window};
use crate::time::{Micros, Timescale, Wall};

/// How long the segments of a channel are meant to be: all tracks are cut on
/// one grid of such cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Ticks of `scale`.
    pub ticks: u64,
    /// Ticks a second of `ticks`.
    pub scale: Timescale,
}

impl Cell {
    /// The cell in microseconds, rounded down.
    pub fn micros(self) -> Micros {
        self.scale
            .micros(i64::try_from(self.ticks).unwrap_or(i64::MAX))
    }

    /// `cells` cells in ticks of a track, rounded to the nearest.
    pub fn ticks_of(self, cells: i64, scale: Timescale) -> i64 {
        let (num, den) = self.ratio(scale);
        let doubled = 2 * i128::from(cells) * num + den;
        clamp(doubled.div_euclid(2 * den))
    }

    /// How many cells lie nearest to so many ticks of a track.
    pub fn nearest(self, ticks: i64, scale: Timescale) -> i64 {
        let (num, den) = self.ratio(scale);
        let doubled = 2 * i128::from(ticks) * den + num;
        clamp(doubled.div_euclid(2 * num))
    }

    /// Ticks of a track a cell, as a fraction.
    fn ratio(self, scale: Timescale) -> (i128, i128) {
        let ticks = i128::from(self.ticks.max(1)) * i128::from(scale.get());
        (ticks, i128::from(self.scale.get()))
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Segments of one track that follow on each other and are equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the first.
    pub msn: u64,
    /// Presentation time of the first on the clock of its bytes.
    pub start_ticks: i64,
    /// Of each of them.
    pub duration_ticks: u64,
    /// How many there are.
    pub count: u64,
}

impl Run {
    /// Presentation time after the last.
    pub fn end_ticks(&self) -> i64 {
        self.start_ticks + (self.duration_ticks * self.count) as i64
    }
}

/// One track in a stretch.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its first segment of the stretch, listed or not.
    pub first_msn: u64,
    /// Time in its bytes where the stretch begins.
    pub offset_ticks: u64,
    /// Number that a segment would have that begins there, where segments lie
    /// on the grid; it may lie before the first by as much as one likes.
    pub number: i64,
    /// What its media needs to be decoded.
    pub header: Arc<HeaderObject>,
    /// Parts of each of its segments, where all but the first have as many.
    pub parts: Option<u32>,
    /// Listed whole segments, oldest first, without a hole in their numbers.
    pub runs: VecDeque<Run>,
}

/// See the module's head.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Rises by one.
    pub number: u64,
    /// Discontinuities before it, its own included.
    pub discontinuity_number: u64,
    /// When it begins.
    pub begins: Wall,
    /// When the first media began that was known of it.
    media_begins: Wall,
    /// Its clocks are those of the stretch before.
    pub continues: bool,
    /// All its segments lie on the grid.
    pub even: bool,
    /// All tracks have entered that are expected to, so that manifests may show
    /// it.
    pub settled: bool,
    lanes: Vec<Option<Lane>>,
}

impl Stretch {
    /// A track in it, if it has any media there.
    pub fn lane(&self, track: TrackIndex) -> Option<&Lane> {
        self.lanes.get(usize::from(track.0))?.as_ref()
    }

    /// All tracks in it.
    pub fn lanes(&self) -> impl Iterator<Item = (TrackIndex, &Lane)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter_map(|(index, lane)| Some((TrackIndex(index as u16), lane.as_ref()?)))
    }

    fn lane_mut(&mut self, track: TrackIndex) -> Option<&mut Lane> {
        self.lanes.get_mut(usize::from(track.0))?.as_mut()
    }
}

/// A version of something that is drawn from a channel, and its date: that of
/// the newest media when it came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Rises by one.
    pub version: u64,
    /// Rises by a millisecond at least.
    pub at: Wall,
}

impl Stamp {
    fn next(&mut self, edge: Wall) {
        self.version += 1;
        self.at = edge.max(self.at + Micros(1_000));
    }
}

/// Media begins a segment this near to where a stretch begins, and is of it.
const SLACK: Micros = Micros(100_000);
/// A track that joins so long after a stretch began has a new one begin.
const JOIN: Micros = Micros(5_000_000);
/// Steps in media time up to this are rounding, in milliseconds.
const ROUNDING_MS_MAX: u64 = 100;
/// A segment lies on the grid that begins within this share of a cell of its
/// line. That of video begins within `SLACK` too; others end with a part.
const OFF_GRID_SHARE: i64 = 6;
/// A timeline that began this near to 1970 counts from there.
const EPOCH_TOLERANCE: i64 = 86_400_000_000;

/// All stretches of a channel that its windows still reach into.
#[derive(Clone, Debug, Default)]
pub struct Stretches {
    cell: Option<Cell>,
    /// Oldest first; the newest stays whatever leaves.
    list: VecDeque<Stretch>,
    begun: u64,
    /// What the timeline of stretches counts from.
    origin: Wall,
    edge: Wall,
    /// The longest whole segment of any track ever, in microseconds.
    longest: Micros,
    layout: Stamp,
    division: Stamp,
    segments: Stamp,
}

impl Stretches {
    /// How long segments are meant to be, once that is settled.
    pub fn cell(&self) -> Option<Cell> {
        self.cell
    }

    /// Those that are settled, oldest first.
    pub fn settled(&self) -> impl DoubleEndedIterator<Item = &Stretch> {
        self.list.iter().filter(|stretch| stretch.settled)
    }

    /// All of them, oldest first.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Stretch> {
        self.list.iter()
    }

    /// The open segment of a track as it will be when it is whole, if all goes
    /// on as it did, and the stretch it belongs to. Nothing is foreseen of media
    /// that comes in whole segments.
    pub fn foreseen(&self, index: TrackIndex, open: &Segment) -> Option<(&Stretch, Run)> {
        let mut newest = self.list.iter().rev();
        let stretch = newest.find(|stretch| stretch.lane(index).is_some())?;
        let lane = stretch.lane(index)?;
        let before = lane.runs.back();
        let next = before.map_or(lane.first_msn, |run| run.msn + run.count);
        let own = open.discontinuity_number == stretch.discontinuity_number;
        if !own || open.gap || open.msn != next {
            return None;
        }
        let scale = scale(open);
        let start_ticks = before.map_or_else(|| open.presented_ticks.max(0), Run::end_ticks);
        let cell = self.cell.filter(|_| stretch.even);
        let line = cell.map(|cell| lane.line(cell, open.msn + 1, scale) - start_ticks);
        let part = open.parts.first()?.duration_ticks as i64;
        let lasts = match (line, before) {
            // Segments of sound end with the part that ends nearest to a line.
            (Some(line), _) if open.header.track.kind != Kind::Video && part > 0 => {
                let parts = (2 * line + part - 1).div_euclid(2 * part);
                parts.max(1) * part
            }
            (_, Some(before)) => before.duration_ticks as i64,
            (Some(line), None) => line,
            (None, None) => 0,
        };
        let run = Run {
            msn: open.msn,
            start_ticks,
            duration_ticks: (lasts.max(0) as u64).max(open.duration_ticks),
            count: 1,
        };
        Some((stretch, run))
    }

    /// A moment before all media that is settled with the first: 1970 where
    /// the timeline counts from there.
    pub fn origin(&self) -> Wall {
        self.origin
    }

    /// The longest whole segment of any track so far.
    pub fn longest(&self) -> Micros {
        self.longest
    }

    /// End of the newest media.
    pub fn edge(&self) -> Wall {
        self.edge
    }

    /// Changes when tracks, their rates, or stretches do.
    pub fn layout(&self) -> Stamp {
        self.layout
    }

    /// Changes with the layout, and when it is known of a track how many parts
    /// its segments have.
    pub fn division(&self) -> Stamp {
        self.division
    }

    /// Changes when a segment begins, becomes whole, or leaves, and with the
    /// layout.
    pub fn segments(&self) -> Stamp {
        self.segments
    }

    pub(crate) fn set_cell(&mut self, cell: Cell) {
        self.cell = Some(cell);
    }

    /// Something else has changed that every manifest shows.
    pub(crate) fn redraw(&mut self) {
        self.segments = self.newer();
        (self.layout, self.division) = (self.segments, self.segments);
    }

    /// A stamp behind all others. What a manifest is drawn from may change from
    /// one to another, as a stretch leaves the grid or the list: its own stamps
    /// are to rise then too.
    fn newer(&self) -> Stamp {
        let all = [self.layout, self.division, self.segments];
        let mut newer = Stamp {
            version: all
                .map(|stamp| stamp.version)
                .into_iter()
                .max()
                .unwrap_or(0),
            at: all
                .map(|stamp| stamp.at)
                .into_iter()
                .max()
                .unwrap_or_default(),
        };
        newer.next(self.edge);
        newer
    }

    /// The open segment of a track of these, whose window does not have it yet.
    pub(crate) fn open(&mut self, index: TrackIndex, segment: &Segment, tracks: &[Track]) {
        self.edge = self.edge.max(segment.end_date());
        let known = tracks[usize::from(index.0)].window.open();
        let known = known.filter(|open| open.msn == segment.msn);
        let told = known.and_then(|open| self.told(index, open));
        if known.is_none() {
            self.enter(index, segment, tracks);
        }
        if told != self.told(index, segment) {
            self.segments.next(self.edge);
        }
        self.settle(tracks);
    }

    /// A whole segment of a track of these, whose window does not have it yet.
    pub(crate) fn close(&mut self, index: TrackIndex, segment: &Segment, tracks: &[Track]) {
        self.edge = self.edge.max(segment.end_date());
        let known = tracks[usize::from(index.0)].window.open();
        let known = known.filter(|open| open.msn == segment.msn);
        let told = known.and_then(|open| self.told(index, open));
        if known.is_none() {
            self.enter(index, segment, tracks);
        }
        let listed = match segment.gap {
            true => None,
            false => self.list_whole(index, segment, told.is_some()),
        };
        let longer = !segment.gap && self.longest < length(segment);
        if longer {
            self.longest = length(segment);
        }
        if longer || told != listed {
            self.segments.next(self.edge);
        }
        self.settle(tracks);
    }

    /// How manifests list an open segment, if they do.
    fn told(&self, index: TrackIndex, open: &Segment) -> Option<Run> {
        let (stretch, run) = self.foreseen(index, open)?;
        stretch.settled.then_some(run)
    }

    /// The newest stretch is shown once all have entered that come in time.
    fn settle(&mut self, tracks: &[Track]) {
        let patience = self.cell.map_or(JOIN, Cell::micros);
        let edge = self.edge;
        let Some(newest) = self.list.back_mut().filter(|newest| !newest.settled) else {
            return;
        };
        let late = |(place, track): (usize, &Track)| {
            let expected = matches!(track.info.header.kind, Kind::Video | Kind::Audio);
            expected && newest.lane(TrackIndex(place as u16)).is_none()
        };
        let waited = (edge - newest.media_begins).0 >= patience.0;
        if waited || !tracks.iter().enumerate().any(late) {
            newest.settled = true;
            self.redraw();
        }
    }

    /// Segments of a track before `listed_from` are listed no longer.
    pub(crate) fn evict(&mut self, track: TrackIndex, listed_from: u64) {
        let (mut left, mut emptied) = (false, false);
        for stretch in &mut self.list {
            let Some(lane) = stretch.lane_mut(track) else {
                continue;
            };
            while let Some(run) = lane.runs.front_mut()
                && run.msn < listed_from
            {
                let leave = run.count.min(listed_from - run.msn);
                run.msn += leave;
                run.start_ticks += (run.duration_ticks * leave) as i64;
                run.count -= leave;
                if run.count == 0 {
                    lane.runs.pop_front();
                    emptied |= lane.runs.is_empty();
                }
                left = true;
            }
        }
        let over = |stretch: &Stretch| stretch.lanes().all(|(_, lane)| lane.runs.is_empty());
        while self.list.len() > 1 && self.list.front().is_some_and(over) {
            self.list.pop_front();
            emptied = true;
        }
        if emptied {
            self.layout = self.newer();
            self.division = self.layout;
        }
        if left {
            self.segments.next(self.edge);
        }
    }

    /// Finds the stretch of a segment that begins, or begins one with it.
    fn enter(&mut self, track: TrackIndex, segment: &Segment, tracks: &[Track]) {
        if segment.gap {
            return;
        }
        let window = &tracks[usize::from(track.0)].window;
        let own = (self.list.iter()).rposition(|stretch| stretch.lane(track).is_some());
        let before = window.segment(segment.msn.wrapping_sub(1));
        let follows = own.is_some() && before.is_some_and(|before| follow(before, segment));
        let later = own.map_or(0, |own| own + 1);
        let fits = |stretch: &Stretch| {
            let same = stretch.discontinuity_number == segment.discontinuity_number;
            let begun = stretch.begins.0 - SLACK.0 <= segment.wall.0;
            same && (begun || !follows)
        };
        let found = (later..self.list.len())
            .rev()
            .find(|at| fits(&self.list[*at]));
        let found = found.filter(|at| {
            let late = segment.wall.0 - self.list[*at].media_begins.0 > JOIN.0;
            own.is_some() || !late
        });
        match found {
            Some(at) => self.join(at, track, segment, window),
            None if follows => {}
            None => {
                self.begin(track, segment, window);
                self.join_others(tracks);
            }
        }
    }

    /// Tracks whose newest media lies behind the begin of a new stretch of the
    /// same clocks are of it too.
    fn join_others(&mut self, tracks: &[Track]) {
        let at = self.list.len() - 1;
        for (place, other) in tracks.iter().enumerate() {
            let (index, window) = (TrackIndex(place as u16), &other.window);
            let stretch = &self.list[at];
            let known = self
                .list
                .iter()
                .any(|stretch| stretch.lane(index).is_some());
            if !known || stretch.lane(index).is_some() {
                continue;
            }
            let Some(newest) = window.open().or_else(|| window.last_whole()) else {
                continue;
            };
            let same = newest.discontinuity_number == stretch.discontinuity_number;
            let within = newest.end_date().0 > stretch.begins.0 + SLACK.0;
            if same && within && !newest.gap {
                self.join(at, index, newest, window);
                if window.open().is_none() {
                    self.list_whole(index, newest, false);
                }
            }
        }
    }

    /// A stretch begins with a segment.
    fn begin(&mut self, track: TrackIndex, segment: &Segment, window: &Window) {
        let newest = self.list.back();
        let not_before = newest.map(|newest| newest.begins + Micros(1_000));
        // Time in the bytes is not to be negative anywhere.
        let lead = scale(segment).micros(segment.presented_ticks.saturating_neg());
        let mut begins = segment.wall + Micros(lead.0.max(0));
        if newest.is_none() {
            let zero = segment.wall.0 - scale(segment).micros(segment.presented_ticks).0;
            if zero.abs() < EPOCH_TOLERANCE {
                begins = Wall(zero.max(0));
            } else {
                self.origin = Wall(begins.0.div_euclid(1_000) * 1_000);
            }
        }
        let begins = not_before.map_or(begins, |not_before| begins.max(not_before));
        let discontinuity_number = segment.discontinuity_number;
        let same = newest.filter(|newest| newest.discontinuity_number == discontinuity_number);
        let continues = same.is_some_and(|newest| {
            newest.lane(track).is_none_or(|lane| {
                let span = scale(segment).ticks(begins - newest.begins);
                let offset = offset(segment, begins);
                (offset - lane.offset_ticks as i64 - span).abs() <= rounding(scale(segment))
            })
        });
        if let Some(newest) = self.list.back_mut().filter(|newest| !newest.settled) {
            newest.settled = true;
            self.redraw();
        }
        self.list.push_back(Stretch {
            number: self.begun,
            discontinuity_number,
            begins,
            media_begins: segment.wall,
            continues,
            even: self.cell.is_some(),
            settled: false,
            lanes: Vec::new(),
        });
        self.begun += 1;
        self.join(self.list.len() - 1, track, segment, window);
    }

    /// A track enters a stretch with a segment, and with those before it that
    /// the stretch began within.
    fn join(&mut self, at: usize, track: TrackIndex, segment: &Segment, window: &Window) {
        let stretch = &mut self.list[at];
        let mut first = segment;
        let mut earlier = Vec::new();
        for before in window.listed().rev() {
            if before.msn >= first.msn {
                continue;
            }
            let within = before.end_date().0 > stretch.begins.0 + SLACK.0;
            if !within || before.gap || !follow(before, first) {
                break;
            }
            earlier.push(before);
            first = before;
        }
        let offset = offset(first, stretch.begins).max(0);
        let cells = self.cell.map_or(0, |cell| {
            cell.nearest(first.presented_ticks - offset, scale(first))
        });
        let lane = Lane {
            first_msn: first.msn,
            offset_ticks: offset as u64,
            number: (first.msn as i64).saturating_sub(cells),
            header: Arc::clone(&segment.header),
            parts: None,
            runs: VecDeque::new(),
        };
        let settled = stretch.settled;
        let position = usize::from(track.0);
        if stretch.lanes.len() <= position {
            stretch.lanes.resize_with(position + 1, || None);
        }
        stretch.lanes[position] = Some(lane);
        if settled {
            self.redraw();
        }
        for segment in earlier.iter().rev() {
            self.list_whole(track, segment, false);
        }
    }

    /// Adds a whole segment to the newest stretch of its track; gives how
    /// manifests list it, if they do. Its track may have been shown before, by
    /// the segment when it was open.
    fn list_whole(&mut self, track: TrackIndex, segment: &Segment, shown: bool) -> Option<Run> {
        let cell = self.cell;
        let mut stretches = self.list.iter_mut().rev();
        let stretch = stretches.find(|stretch| stretch.lane(track).is_some())?;
        let (number, even, settled) = (stretch.discontinuity_number, stretch.even, stretch.settled);
        let lane = stretch.lane_mut(track).expect("just found");
        if number != segment.discontinuity_number || segment.msn < lane.first_msn {
            return None;
        }
        let off = segment.msn != lane.first_msn
            && cell.is_none_or(|cell| is_off_grid(cell, lane, segment));
        let first = lane.runs.is_empty() && !shown;
        let divided = lane.divide(segment);
        lane.push(segment);
        let run = lane.runs.back().expect("just pushed");
        let run = Run {
            msn: segment.msn,
            start_ticks: run.end_ticks() - segment.duration_ticks as i64,
            duration_ticks: segment.duration_ticks,
            count: 1,
        };
        stretch.even &= !off;
        if settled && (first || (off && even)) {
            self.redraw();
        } else if settled && divided {
            self.division.next(self.edge);
        }
        settled.then_some(run)
    }
}

impl Lane {
    /// Notes how many parts a segment has; whether that says something new of
    /// all.
    fn divide(&mut self, segment: &Segment) -> bool {
        let parts = segment.parts.len() as u32;
        let parts = match self.parts {
            _ if segment.msn == self.first_msn => None,
            None if segment.msn <= self.first_msn + 1 => Some(parts),
            known => known.filter(|known| *known == parts),
        };
        std::mem::replace(&mut self.parts, parts) != parts
    }

    fn push(&mut self, segment: &Segment) {
        let (msn, duration_ticks) = (segment.msn, segment.duration_ticks);
        let mut start_ticks = segment.presented_ticks.max(0);
        if let Some(run) = self.runs.back_mut() {
            let end = run.end_ticks();
            if (start_ticks - end).abs() <= rounding(scale(segment)) {
                start_ticks = end;
                if run.duration_ticks == duration_ticks {
                    run.count += 1;
                    return;
                }
            }
        }
        self.runs.push_back(Run {
            msn,
            start_ticks,
            duration_ticks,
            count: 1,
        });
    }

    /// Where a segment begins by the grid.
    pub fn line(&self, cell: Cell, msn: u64, scale: Timescale) -> i64 {
        let cells = i64::try_from(msn)
            .unwrap_or(i64::MAX)
            .saturating_sub(self.number);
        (self.offset_ticks as i64).saturating_add(cell.ticks_of(cells, scale))
    }
}

fn is_off_grid(cell: Cell, lane: &Lane, segment: &Segment) -> bool {
    let scale = scale(segment);
    let off = segment.presented_ticks - lane.line(cell, segment.msn, scale);
    let share = cell.ticks_of(1, scale) / OFF_GRID_SHARE;
    let most = match segment.header.track.kind {
        Kind::Video => share.min(scale.ticks(SLACK)),
        _ => share,
    };
    off.abs() > most || lane.number < 0
}

/// Whether the media of `after` goes on where that of `before` ends.
fn follow(before: &Segment, after: &Segment) -> bool {
    let end = before.presented_ticks + before.duration_ticks as i64;
    let step = after.presented_ticks.saturating_sub(end);
    before.msn + 1 == after.msn
        && !before.gap
        && !after.discontinuity
        && step.saturating_abs() <= rounding(scale(after))
}

/// Time in the bytes of a segment's track at a moment of its stretch.
fn offset(segment: &Segment, at: Wall) -> i64 {
    segment.presented_ticks - scale(segment).ticks(segment.wall - at)
}

fn length(segment: &Segment) -> Micros {
    scale(segment).micros(segment.duration_ticks as i64)
}

fn scale(segment: &Segment) -> Timescale {
    segment.header.track.timescale
}

fn rounding(scale: Timescale) -> i64 {
    scale.ticks(Micros(ROUNDING_MS_MAX as i64 * 1_000))
}
