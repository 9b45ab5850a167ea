//! Media that is late: gaps stand in for it, and what comes after that is left
//! out until its source is back in time.

use crate::media::clock::Clock;
use crate::media::cmaf::Kind;
use crate::media::pace::{Pace, lateness};
use crate::media::timeline::parts::Cut;
use crate::media::timeline::{Accepted, Era, Incoming, Lie, Output, Session, Timeline};
use crate::time::{Micros, Mono, rescale_floor};

/// Most media that is filled at once, in milliseconds: what a clock that leaps
/// may cost a tick.
const FILL_MS_MAX: i64 = 60_000;
/// Media this little later than usual is on time, in microseconds.
const JITTER_US: i64 = 150_000;
/// Segments are this much longer than the target where it was rounded down, in
/// microseconds.
const OVER_TARGET_US: i64 = 100_000;
/// A source gains on the gaps if it brings more than this many hundredths of a
/// second more media than real time.
const GAIN_PERCENT_MIN: i64 = 25;

/// For how long, in milliseconds, nothing of a track has been listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Still {
    /// Neither a part nor a segment.
    pub(crate) edge_ms: u64,
    /// No whole segment.
    pub(crate) whole_ms: u64,
}

impl Still {
    /// Whether the edge has stood for so long that players are about to be told
    /// that the track is overdue.
    fn stands(self, target_s: u32) -> bool {
        self.edge_ms >= 1250 * u64::from(target_s)
    }

    /// Whether a segment must become whole now for it to be within one and a
    /// half target durations of the last (RFC 8216bis section 6.2.1).
    fn lacks_whole(self, target_s: u32) -> bool {
        self.whole_ms >= 1400 * u64::from(target_s)
    }
}

/// A source that brings media for time that has been filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late {
    session: Session,
    /// When it was first heard of, and how late it was.
    since: Mono,
    lateness: i64,
    /// Where its media ends by now, in channel ticks.
    end: i64,
}

impl Timeline {
    /// Fills with gaps what should be there by now: media is expected to come
    /// no later than it usually does and `patience_us` on top, and the edge to
    /// move in time whatever is usual. Where there is a `programme` beside it,
    /// gaps stay as much behind the end of that.
    pub(crate) fn fill(
        &mut self,
        now: Mono,
        clock: &Clock,
        (edge, patience_us, programme): (Still, i64, Option<Micros>),
        out: &mut Output,
    ) {
        let target_us = i64::from(self.segmenter.target_s()) * 1_000_000;
        // A target this short leaves less to wait: the segment must be whole
        // before one and a half of it (RFC 8216bis section 6.2.1).
        let patience_us = patience_us.min(target_us * 2 / 5);
        let most = programme.map(|end| Micros(end.0.saturating_sub(patience_us)));
        let longest_us = target_us + OVER_TARGET_US;
        let (Some(end), Some(usual)) = (self.end, self.pace.usual(longest_us)) else {
            return;
        };
        let scale = self.scale();
        let burst = scale.ticks(Micros(usual.burst()));
        let line = self.segmenter.gap_line(end) - end;
        let least = if line > 0 { line } else { burst };
        let least = self.segmenter.part_ticks().unwrap_or(least).max(1);
        // A source that brings something, but nothing yet that can follow on a
        // gap, finds free what it brings on time: nothing is filled that could
        // still come. Else as much is filled at once as usually comes at once,
        // which keeps to the rhythm in which it does.
        let alive = self
            .heard
            .is_some_and(|heard| now.ms_since(heard) as i64 * 1000 <= longest_us + JITTER_US);
        let (step, patience_us) = if alive {
            (least, scale.micros(least).0)
        } else {
            (least.max(burst), patience_us)
        };
        let late_us = lateness(now, scale.micros(end)) - usual.most;
        let over_us = late_us - patience_us;
        // Media that comes on time is never cut into, however seldom a segment
        // of it becomes whole.
        let missing = alive || self.filled_from.is_some() || late_us > JITTER_US;
        let urgent = edge.stands(self.segmenter.target_s())
            || missing && edge.lacks_whole(self.segmenter.target_s());
        if over_us < 0 && !urgent {
            return;
        }
        let over_us = over_us.clamp(0, FILL_MS_MAX * 1000);
        let over = rescale_floor(over_us, 1_000_000, scale.get());
        let to = end + (over / step + 1) * step;
        let to = self.to_line(end, to, (step, urgent));
        let most = most.map_or(to, |most| scale.ticks(most));
        let to = match self.segmenter.part_ticks() {
            Some(part) if to > most => end + (most - end).max(0) / part * part,
            None if to > most => return,
            _ => to,
        };
        if to == end {
            return;
        }
        self.filled_from.get_or_insert(end);
        self.wants_sync = self.header.track.kind == Kind::Video;
        self.follow_gap(clock, end, out);
        self.segmenter.gap(clock, &self.header, (end, to), out);
        self.end = Some(to);
    }

    /// `to`, or the line of the segment if it lies so near that a sliver would
    /// be left, if it is urgent that the segment be whole, or if there are only
    /// whole ones.
    fn to_line(&self, end: i64, to: i64, (step, urgent): (i64, bool)) -> i64 {
        let line = self.segmenter.gap_line(end);
        let near = (line - to).abs() <= step / 4;
        let short = line > to && (urgent || self.segmenter.part_ticks().is_none());
        if line > end && (near || short) {
            line
        } else {
            to
        }
    }

    /// Gaps enter an era that another track began, as media does.
    fn follow_gap(&mut self, clock: &Clock, end: i64, out: &mut Output) {
        let (Some(own), Some(current)) = (self.era, clock.current()) else {
            return;
        };
        if current.number > own.number && self.scale().micros(end) >= current.begins {
            let shift = own.shift;
            self.break_into(Era { shift, ..current }, out);
        }
    }

    /// How a chunk lies that starts before the end of the gaps, if there are
    /// any and it doesn't start before them.
    pub(super) fn lie_late(&mut self, now: Mono, start: i64, incoming: &Incoming) -> Option<Lie> {
        let (end, from) = (self.end?, self.filled_from?);
        let second = i64::from(self.scale().get());
        if start < from - second {
            return None;
        }
        let lasts = incoming.chunk.duration as i64;
        if self.header.track.kind == Kind::Text && start < end && end < start + lasts {
            return Some(Lie::Across(Cut::After((end - start) as u64)));
        }
        let mut at = start;
        for (index, sample) in incoming.chunk.samples.iter().enumerate() {
            if index > 0 && at >= end && (sample.is_sync() || !self.wants_sync) {
                return Some(Lie::Across(Cut::Before(index)));
            }
            at += i64::from(sample.duration);
        }
        let scale = self.scale();
        let lateness = lateness(now, scale.micros(at));
        self.heard = Some(now);
        let known = self.late.filter(|late| late.session == incoming.session);
        let late = known.unwrap_or_else(|| {
            // Its habits count from here on, not those from before the gap.
            self.pace = Pace::new();
            Late {
                session: incoming.session,
                since: now,
                lateness,
                end: start,
            }
        });
        self.pace
            .note(now, scale.micros(late.end), scale.micros(at));
        self.late = Some(Late { end: at, ..late });
        // One that comes in real time never catches up: its clock has stood
        // still while the gaps went on, and so it is a new one. One that is
        // behind by less than half a target duration is given a second segment
        // to follow on.
        let elapsed_ms = now.ms_since(late.since) as i64;
        let watched_ms = elapsed_ms + JITTER_US / 1000;
        let target_ms = i64::from(self.segmenter.target_s()) * 1000;
        let gained_ms = (late.lateness - lateness) / 1000;
        let gains = gained_ms * 100 > elapsed_ms * GAIN_PERCENT_MIN;
        let behind_ms = self.scale().micros(end - at).0 / 1000;
        let near = behind_ms * 2 < target_ms;
        let patience_ms = if near { 2 * target_ms } else { target_ms };
        Some(if watched_ms >= patience_ms && !gains {
            Lie::Reset
        } else {
            Lie::Ignored(Accepted::Duplicate)
        })
    }
}
