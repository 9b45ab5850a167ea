//! Parts to segments: where a segment ends, its number and its date.

mod gaps;
mod growing;

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;

use crate::media::channel::{Change, Targets};
use crate::media::clock::{Clock, Grid};
use crate::media::cmaf::{Kind, TrackHeader};
use crate::media::timeline::Output;
use crate::media::timeline::parts::{Cut, PartBuilder, Placed};
use crate::media::window::{HeaderObject, Part, Segment};
use crate::time::{Timescale, rescale_floor};

/// Segments may be this share shorter than was asked for: groups of pictures
/// rarely fit exactly.
pub(crate) const SHORTER_BY: i64 = 20;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Segmenter {
    scale: Timescale,
    kind: Kind,
    targets: Targets,
    grid: Grid,
    /// Shortest segment cut where the uploads don't say, in ticks.
    shortest: i64,
    parts: PartBuilder,
    open: Option<Segment>,
    /// Last part of the open segment, kept back until it is known whether the
    /// segment ends with it: both are published as one version.
    held: Option<Arc<Part>>,
    next_msn: Option<u64>,
    /// Presentation less decode time at the start of the newest segment.
    shift: i64,
    /// Decode time as the newest bytes have it less that on the timeline of the
    /// channel.
    offset: i64,
    /// Discontinuities so far.
    breaks: u64,
    /// The next segment begins after this many, if more than `breaks`.
    pending_break: Option<u64>,
    /// Duration of the newest segment, and whether the one before was equal:
    /// then the end of the next one is foreseen.
    last_ticks: Option<u64>,
    regular: bool,
    /// The newest segment was closed before the next had begun.
    foreseen: bool,
    /// Such a foresight was wrong once; ends are waited for since.
    misled: bool,
    /// The upload that brought the open segment broke off, and nothing has
    /// followed on it since.
    torn: bool,
}

impl Segmenter {
    pub(super) fn new(track: &TrackHeader, targets: &Targets, grid: Grid, segment_ms: u64) -> Self {
        let scale = track.timescale;
        Self {
            scale,
            kind: track.kind,
            targets: *targets,
            grid,
            shortest: rescale_floor(segment_ms as i64, 1000, scale.get()),
            parts: PartBuilder::new(targets.part_us, scale),
            open: None,
            held: None,
            next_msn: None,
            shift: 0,
            offset: 0,
            breaks: 0,
            pending_break: None,
            last_ticks: None,
            regular: false,
            foreseen: false,
            misled: false,
            torn: false,
        }
    }

    pub(super) fn target_s(&self) -> u32 {
        self.targets.segment_s
    }

    pub(super) fn window_ms(&self) -> u64 {
        self.targets.window_ms
    }

    /// Discontinuities so far.
    pub(super) fn breaks(&self) -> u64 {
        self.pending_break.unwrap_or(self.breaks)
    }

    /// Longest part in ticks, if there are parts.
    pub(super) fn part_ticks(&self) -> Option<i64> {
        let part_us = self.targets.part_us?;
        Some(rescale_floor(part_us.into(), 1_000_000, self.scale.get()).max(1))
    }

    /// Whether the next segment stands behind a discontinuity.
    pub(super) fn is_broken(&self) -> bool {
        self.pending_break.is_some() && self.open.is_none()
    }

    /// The next segment carries discontinuity number `number`.
    pub(super) fn set_break(&mut self, number: u64) {
        assert!(number > self.breaks, "discontinuities only rise");
        self.pending_break = Some(number);
        self.regular = false;
    }

    /// The first segment of this track is of the era `number`.
    pub(super) fn set_first_break(&mut self, number: u64) {
        if number > 0 {
            self.pending_break = Some(number);
        }
    }

    /// Adds a chunk that follows on the last, or on a gap or break.
    /// `explicit` is set where an upload brings one segment, and says whether
    /// this chunk is its first.
    pub(super) fn push(
        &mut self,
        clock: &Clock,
        header: &Arc<HeaderObject>,
        chunk: Placed,
        explicit: Option<bool>,
        out: &mut Output,
    ) {
        let mut rest = Some(chunk);
        while let Some(chunk) = rest.take() {
            if self.begins_segment(&chunk, explicit) {
                self.close(out);
            }
            let head = match self.inner_cut(&chunk, explicit) {
                Some(at) => match chunk.cut(&header.track, at) {
                    Ok((head, tail)) => {
                        rest = Some(tail);
                        head
                    }
                    Err(error) => {
                        out.complaints.push(error.to_string());
                        chunk
                    }
                },
                None => chunk,
            };
            self.append(clock, header, head, explicit, out);
            if rest.is_some() {
                self.close(out);
            }
        }
    }

    /// Ends the open segment with all media it has.
    pub(super) fn close(&mut self, out: &mut Output) {
        self.give_up(out);
        out.parts += self.list_all();
        self.close_listed(None, out);
    }

    /// Adds all media there is to the open segment; returns how many parts that
    /// made.
    fn list_all(&mut self) -> u64 {
        let last = self.parts.close();
        let held = self.held.take();
        let made = u64::from(last.is_some());
        if self.open.is_some() {
            self.add(held.into_iter().chain(last).collect());
        } else {
            assert!(
                last.is_none() && held.is_none(),
                "parts belong to an open segment"
            );
        }
        made
    }

    /// Ends the open segment with the parts it has; the part under way belongs
    /// to the next, and so does the one numbered `following`, if it is made.
    fn close_listed(&mut self, following: Option<u64>, out: &mut Output) {
        let Some(segment) = self.open.take() else {
            return;
        };
        if segment.parts.is_empty() {
            self.next_msn = Some(segment.msn);
            return;
        }
        if !segment.gap {
            self.regular = self.last_ticks == Some(segment.duration_ticks);
            self.last_ticks = Some(segment.duration_ticks);
        }
        let next_part = following.unwrap_or_else(|| self.parts.number_at(segment.end_ticks()));
        let segment = Arc::new(segment);
        out.changes.push(Change::Close {
            track: out.track,
            segment,
            next_part,
        });
    }

    /// A keyframe this long into a segment begins the next.
    fn due(&self) -> i64 {
        self.shortest - self.shortest / SHORTER_BY
    }

    /// Longest segment whose rounded duration is within the target.
    fn longest(&self) -> i64 {
        let second = i64::from(self.scale.get());
        i64::from(self.targets.segment_s) * second + (second - 1) / 2
    }

    /// Media of the open segment: what it will be listed with. Decode times may
    /// say a little less or more, where they are rounded.
    fn media_ticks(&self) -> i64 {
        let open = self.open.as_ref().map_or(0, |open| open.duration_ticks);
        let held = self.held.as_ref().map_or(0, |part| part.duration_ticks);
        (open + held + self.parts.ticks()) as i64
    }

    /// Whether the open segment ends in front of `chunk`.
    fn begins_segment(&self, chunk: &Placed, explicit: Option<bool>) -> bool {
        let Some(open) = &self.open else { return false };
        let elapsed = chunk.start - open.start_ticks;
        if elapsed <= 0 || self.ends_with_parts(explicit) {
            return false;
        }
        if self.media_ticks() + chunk.chunk.duration as i64 > self.longest() {
            return true;
        }
        match explicit {
            Some(first) => first,
            None if self.kind == Kind::Video => {
                chunk.chunk.is_independent() && elapsed >= self.due()
            }
            None => chunk.start + chunk.chunk.duration as i64 / 2 >= self.line(open),
        }
    }

    /// Where inside `chunk` a new segment begins: at a sync sample where one is
    /// due, for encoders whose chunks run across their keyframes, or at the one
    /// that would make the segment too long. Text is cut on the grid.
    fn inner_cut(&self, chunk: &Placed, explicit: Option<bool>) -> Option<Cut> {
        if self.kind == Kind::Text {
            return self.text_cut(chunk);
        }
        let at_sync = explicit.is_none() && self.kind == Kind::Video;
        let begins = self
            .open
            .as_ref()
            .map_or(chunk.start, |open| open.start_ticks);
        let due = self.due();
        let mut length = self.media_ticks();
        let mut at = chunk.start;
        for (index, sample) in chunk.chunk.samples.iter().enumerate() {
            let is_due = at_sync && sample.is_sync() && at - begins >= due;
            length += i64::from(sample.duration);
            if index > 0 && (is_due || length > self.longest()) {
                return Some(Cut::Before(index));
            }
            at += i64::from(sample.duration);
        }
        None
    }

    /// The line of the grid at which text that lasts too long is cut; no sliver
    /// is left behind it.
    fn text_cut(&self, chunk: &Placed) -> Option<Cut> {
        let lasts = chunk.chunk.duration as i64;
        if self.media_ticks() + lasts <= self.longest() {
            return None;
        }
        let room = self.longest() - self.media_ticks();
        let line = self.grid.next_line(chunk.start, self.scale) - chunk.start;
        let at = if lasts - line < line / SHORTER_BY {
            lasts / 2
        } else {
            line
        };
        let at = at.min(room).max(1);
        (at < lasts).then_some(Cut::After(at as u64))
    }

    fn line(&self, open: &Segment) -> i64 {
        self.grid.next_line(open.start_ticks, self.scale)
    }

    fn append(
        &mut self,
        clock: &Clock,
        header: &Arc<HeaderObject>,
        chunk: Placed,
        explicit: Option<bool>,
        out: &mut Output,
    ) {
        self.offset = chunk.offset();
        if self.open.is_none() {
            if self.kind == Kind::Video && !chunk.chunk.is_independent() {
                self.misled |= self.foreseen;
                out.complaints
                    .push("a segment does not begin with a sync sample".to_owned());
            }
            self.foreseen = false;
            self.shift = chunk.chunk.presentation_shift - header.track.edit_shift_ticks;
            self.begin(clock, header, (chunk.start, self.shift), None, out);
        }
        let (end, step) = (chunk.end(), chunk.chunk.duration);
        let mut made = Vec::new();
        out.complaints
            .extend(self.parts.push(&header.track, chunk, &mut made));
        out.parts += made.len() as u64;
        if self.ends_with_parts(explicit) {
            return self.publish_whole_parts(clock, header, made, out);
        }
        let ends = self.ends(end, step, explicit);
        if ends == Ends::Yes {
            let last = self.parts.close();
            out.parts += u64::from(last.is_some());
            made.extend(last);
        }
        self.publish(made, ends, out);
    }

    /// Whether segments end where a part does: of tracks whose every sample is
    /// a sync sample. No part of them is shorter than another for the sake of a
    /// segment's end, and the rest of a chunk goes into the next segment.
    fn ends_with_parts(&self, explicit: Option<bool>) -> bool {
        explicit.is_none() && self.kind != Kind::Video && self.targets.part_us.is_some()
    }

    /// Publishes parts of a track whose segments end with a part: the one whose
    /// end lies nearest to the line of the grid.
    fn publish_whole_parts(
        &mut self,
        clock: &Clock,
        header: &Arc<HeaderObject>,
        made: Vec<Arc<Part>>,
        out: &mut Output,
    ) {
        let mut made = VecDeque::from(made);
        while let Some(mut part) = made.pop_front() {
            if self.open.is_none() {
                let first = part.number;
                self.make_room(iter::once(&mut part).chain(&mut made));
                self.begin(
                    clock,
                    header,
                    (part.start_ticks, self.shift),
                    Some(first),
                    out,
                );
            }
            let following = made.front().map(|part| part.number);
            let end = part.start_ticks + part.duration_ticks as i64;
            let open = self.open.as_ref().expect("just begun");
            let half = part.duration_ticks as i64 / 2;
            let next = end - open.start_ticks + part.duration_ticks as i64;
            let ends = end + half >= self.line(open) || next > self.longest();
            if ends {
                self.add(vec![part]);
                self.close_listed(following, out);
            } else {
                self.list(vec![part], following, out);
            }
        }
        if self.open.is_none()
            && let Some(start) = self.parts.start()
        {
            self.begin(clock, header, (start, self.shift), None, out);
        }
    }

    /// Renumbers parts that are made, so that the empty gaps that the next
    /// segment will begin with have numbers before them.
    fn make_room<'a>(&mut self, made: impl Iterator<Item = &'a mut Arc<Part>>) {
        let owed = self
            .pending_break
            .unwrap_or(self.breaks)
            .saturating_sub(self.breaks + 1);
        if owed == 0 || self.next_msn.is_none() {
            return;
        }
        let mut least = 0;
        for part in made {
            let part = Arc::make_mut(part);
            let room = if least == 0 {
                part.number + owed
            } else {
                least
            };
            part.number = part.number.max(room);
            least = part.number + 1;
        }
        self.parts.number_from(least);
    }

    /// What is known, after media up to `end`, of the end of the open segment.
    fn ends(&self, end: i64, step: u64, explicit: Option<bool>) -> Ends {
        let Some(open) = &self.open else {
            return Ends::No;
        };
        let elapsed = (end - open.start_ticks).max(0) as u64;
        let foreseen = self
            .last_ticks
            .is_some_and(|last| elapsed + step / 2 >= last);
        match (explicit, self.kind) {
            // The end of the upload tells, at once.
            (Some(_), _) => {
                if foreseen {
                    Ends::Perhaps
                } else {
                    Ends::No
                }
            }
            (None, Kind::Video) => match self.last_ticks {
                Some(last) if self.regular && !self.misled && elapsed == last => Ends::Yes,
                _ if foreseen => Ends::Perhaps,
                _ => Ends::No,
            },
            (None, _) if end + step as i64 / 2 >= self.line(open) => Ends::Yes,
            // Another chunk like this one would make it too long.
            (None, _) if (elapsed + step) as i64 > self.longest() => Ends::Yes,
            (None, _) => Ends::No,
        }
    }

    fn publish(&mut self, made: Vec<Arc<Part>>, ends: Ends, out: &mut Output) {
        let mut ready: Vec<_> = self.held.take().into_iter().chain(made).collect();
        // What is under way stays so until the end is certain: a part closed on
        // a guess would be too short.
        if ends != Ends::No && self.parts.is_empty() {
            self.held = ready.pop();
        }
        if ends == Ends::Yes {
            self.add(ready);
            self.close(out);
            self.foreseen = true;
        } else {
            // A part that is kept back is the next to be listed.
            let held = self.held.as_ref().map(|part| part.number);
            self.list(ready, held, out);
        }
    }

    /// Adds parts to the open segment.
    fn add(&mut self, parts: Vec<Arc<Part>>) {
        let open = self.open.as_mut().expect("a segment is open");
        for part in parts {
            open.duration_ticks += part.duration_ticks;
            open.parts.push(part);
        }
    }

    /// Adds parts to the open segment and tells of them. The part numbered
    /// `following` comes next, if it is made.
    fn list(&mut self, parts: Vec<Arc<Part>>, following: Option<u64>, out: &mut Output) {
        if !parts.is_empty() {
            self.add(parts);
            self.tell(following, out);
        }
    }

    /// Tells of the open segment as it stands, if it is listed at all.
    fn tell(&mut self, following: Option<u64>, out: &mut Output) {
        if let Some(open) = &self.open
            && self.targets.part_us.is_some()
        {
            let next_part = following.unwrap_or_else(|| self.parts.number_at(open.end_ticks()));
            let segment = Arc::new(open.clone());
            out.changes.push(Change::Open {
                track: out.track,
                segment,
                next_part,
            });
        }
    }

    /// Opens the segment that starts at decode time `start`, shown `shift`
    /// ticks later. Where its parts are made, numbers from `first` on are free
    /// for the breaks before it.
    fn begin(
        &mut self,
        clock: &Clock,
        header: &Arc<HeaderObject>,
        (start, shift): (i64, i64),
        first: Option<u64>,
        out: &mut Output,
    ) {
        assert!(self.open.is_none(), "one segment is open at a time");
        let msn = self
            .next_msn
            .unwrap_or_else(|| self.grid.number(start, self.scale));
        let mut msn = msn;
        let number = self.pending_break.take().unwrap_or(self.breaks);
        // Breaks that this track had no media for still count: one empty gap
        // segment for each keeps the discontinuity numbers of all tracks equal.
        let opening = self.next_msn.is_none();
        let mut first = first;
        while !opening && self.breaks + 1 < number {
            self.breaks += 1;
            let gap = self.segment(clock, header, msn, (start, 0), true);
            let parts = self.parts.gap(start, 0, first);
            first = first.map(|number| number + 1);
            let next_part = first.unwrap_or_else(|| self.parts.number_at(start));
            let segment = Arc::new(Segment {
                gap: true,
                parts,
                ..gap
            });
            out.changes.push(Change::Close {
                track: out.track,
                segment,
                next_part,
            });
            msn += 1;
        }
        let discontinuity = number > self.breaks;
        self.breaks = number;
        self.open = Some(self.segment(
            clock,
            header,
            msn,
            (start, shift),
            discontinuity && !opening,
        ));
        self.next_msn = Some(msn + 1);
    }

    fn segment(
        &self,
        clock: &Clock,
        header: &Arc<HeaderObject>,
        msn: u64,
        (start, shift): (i64, i64),
        discontinuity: bool,
    ) -> Segment {
        let wall = clock.wall(self.scale.micros(start.saturating_add(shift)));
        Segment {
            msn,
            start_ticks: start,
            presented_ticks: start.saturating_add(self.offset).saturating_add(shift),
            duration_ticks: 0,
            wall,
            discontinuity,
            discontinuity_number: self.breaks,
            header: Arc::clone(header),
            gap: false,
            parts: Vec::new(),
        }
    }
}

/// Whether the open segment ends with the media it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    No,
    /// Known with the next chunk, or the end of the upload.
    Perhaps,
    Yes,
}
