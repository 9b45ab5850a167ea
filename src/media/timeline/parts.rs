//! Chunks to parts: merged up to the part target, cut where they would cross it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::bmff::Error;
use crate::media::cmaf::{self, Kind, TrackChunk, TrackHeader};
use crate::media::rope::Rope;
use crate::media::window::Part;
use crate::time::{Timescale, rescale_floor};

/// Parts of this share of the target or more are long enough, in percent
/// (RFC 8216bis section 4.4.4.9).
pub(crate) const PART_SHARE_MIN: u64 = 85;

/// A chunk and where it lies on the timeline of the channel.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The chunk.
    pub(super) chunk: TrackChunk,
    /// Channel time of its first sample, in ticks of the track.
    pub(super) start: i64,
}

impl Placed {
    /// Channel time after its last sample, in ticks.
    pub(super) fn end(&self) -> i64 {
        self.start + self.chunk.duration as i64
    }

    /// Decode time as its bytes have it less that on the timeline of the
    /// channel.
    pub(super) fn offset(&self) -> i64 {
        let decode_time = match self.chunk.wraps {
            true => self.chunk.decode_time & u64::from(u32::MAX),
            false => self.chunk.decode_time,
        };
        i64::try_from(decode_time)
            .unwrap_or(i64::MAX)
            .saturating_sub(self.start)
    }

    /// Cuts it.
    pub(super) fn cut(&self, header: &TrackHeader, at: Cut) -> Result<(Self, Self), Error> {
        let (head, tail) = match at {
            Cut::Before(sample) => cmaf::cut(&self.chunk, header, sample)?,
            Cut::After(ticks) => cmaf::cut_text(&self.chunk, header, ticks)?,
        };
        let tail = Self {
            start: self.start + head.duration as i64,
            chunk: tail,
        };
        Ok((
            Self {
                start: self.start,
                chunk: head,
            },
            tail,
        ))
    }
}

/// Where a chunk is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before the sample of this index.
    Before(usize),
    /// After so many ticks, in the middle of a sample of text if need be.
    After(u64),
}

/// The part under way.
#[derive(Debug)]
pub(super) struct PartBuilder {
    /// Longest part, in ticks; `None` when every segment is one part.
    target: Option<u64>,
    scale: Timescale,
    body: Rope,
    start: i64,
    ticks: u64,
    independent: bool,
    first_sample_end: u64,
    /// Number of the next part: fixed when the last one ended, because a hint
    /// names it from then on. Unknown before the first.
    next_number: Option<u64>,
}

impl PartBuilder {
    /// A builder for parts of at most `target_us` microseconds.
    pub(super) fn new(target_us: Option<u32>, scale: Timescale) -> Self {
        let target =
            target_us.map(|us| rescale_floor(i64::from(us), 1_000_000, scale.get()).max(1) as u64);
        Self {
            target,
            scale,
            body: Rope::new(),
            start: 0,
            ticks: 0,
            independent: false,
            first_sample_end: 0,
            next_number: None,
        }
    }

    /// Number of the next part, which starts at channel time `start` unless
    /// time jumps: what a hint names. Milliseconds, so that it follows from
    /// media time alone, but never one used before.
    pub(super) fn number_at(&self, start: i64) -> u64 {
        self.next_number.unwrap_or_else(|| self.ms(start))
    }

    fn ms(&self, at: i64) -> u64 {
        rescale_floor(at, self.scale.get(), 1000).max(0) as u64
    }

    /// Takes the number of a part from `start` to `end`.
    fn take_number(&mut self, start: i64, end: i64) -> u64 {
        let number = self.number_at(start);
        self.next_number = Some(self.ms(end).max(number + 1));
        number
    }

    /// Adds a chunk. Parts that are complete go to `out`, in order. What can't
    /// be cut stays whole, and the text says so.
    pub(super) fn push(
        &mut self,
        header: &TrackHeader,
        chunk: Placed,
        out: &mut Vec<Arc<Part>>,
    ) -> Option<String> {
        let Some(target) = self.target else {
            self.append(chunk);
            return None;
        };
        let mut complaint = None;
        let mut queue = VecDeque::from([chunk]);
        while let Some(next) = queue.pop_front() {
            let fits = self.ticks + next.chunk.duration <= target;
            if !fits && self.ticks * 100 >= target * PART_SHARE_MIN {
                out.extend(self.close());
                queue.push_front(next);
            } else if fits {
                let step = next.chunk.duration;
                self.append(next);
                let full =
                    self.ticks + step > target && self.ticks * 100 >= target * PART_SHARE_MIN;
                if full {
                    out.extend(self.close());
                }
            } else {
                match self.split(header, &next, target) {
                    Ok((head, tail)) => {
                        queue.push_front(tail);
                        queue.push_front(head);
                    }
                    // Not even one sample fits behind what there is.
                    Err(_) if self.ticks > 0 => {
                        out.extend(self.close());
                        queue.push_front(next);
                    }
                    Err(reason) => {
                        self.append(next);
                        out.extend(self.close());
                        complaint = Some(reason);
                    }
                }
            }
        }
        complaint
    }

    /// Ends the part under way, if it has media.
    pub(super) fn close(&mut self) -> Option<Arc<Part>> {
        if self.ticks == 0 {
            return None;
        }
        let part = Part {
            number: self.take_number(self.start, self.start + self.ticks as i64),
            start_ticks: self.start,
            duration_ticks: self.ticks,
            independent: self.independent,
            gap: false,
            first_sample_end: self.first_sample_end,
            body: std::mem::take(&mut self.body),
        };
        self.ticks = 0;
        Some(Arc::new(part))
    }

    /// Where the part under way starts, if there is one.
    pub(super) fn start(&self) -> Option<i64> {
        (self.ticks > 0).then_some(self.start)
    }

    /// The chunks of the part under way.
    pub(super) fn body(&self) -> &Rope {
        &self.body
    }

    /// Media of the part under way.
    pub(super) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Whether no part is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.ticks == 0
    }

    /// No part gets a number below `least` any more.
    pub(super) fn number_from(&mut self, least: u64) {
        self.next_number = self.next_number.max(Some(least));
    }

    /// Parts without media for `start..start + ticks`, none over the target; at
    /// least one, whose number is `number` if that is kept free for it.
    pub(super) fn gap(&mut self, start: i64, ticks: u64, number: Option<u64>) -> Vec<Arc<Part>> {
        assert!(
            self.ticks == 0 || ticks == 0,
            "a gap that lasts follows a closed part"
        );
        let longest = self.target.unwrap_or(ticks).max(1);
        let count = ticks.div_ceil(longest).max(1);
        let parts = (0..count).map(|index| {
            let start = start + (index * longest) as i64;
            let ticks = longest.min(ticks - index * longest);
            Arc::new(Part {
                number: number.unwrap_or_else(|| self.take_number(start, start + ticks as i64)),
                start_ticks: start,
                duration_ticks: ticks,
                independent: false,
                gap: true,
                first_sample_end: 0,
                body: Rope::new(),
            })
        });
        parts.collect()
    }

    fn append(&mut self, chunk: Placed) {
        if self.ticks == 0 {
            self.start = chunk.start;
            self.independent = chunk.chunk.is_independent();
            self.first_sample_end = chunk.chunk.first_sample_end as u64;
        }
        self.ticks += chunk.chunk.duration;
        self.body.push(chunk.chunk.bytes);
    }

    /// Cuts `chunk` before the sample that would cross the target.
    fn split(
        &self,
        header: &TrackHeader,
        chunk: &Placed,
        target: u64,
    ) -> Result<(Placed, Placed), String> {
        let room = target - self.ticks;
        if header.kind == Kind::Text && room > 0 {
            let halves = chunk.cut(header, Cut::After(room));
            return halves.map_err(|error| error.to_string());
        }
        let mut ticks = 0u64;
        let crossing = chunk.chunk.samples.iter().position(|sample| {
            ticks += u64::from(sample.duration);
            ticks > room
        });
        match crossing {
            Some(at) if at > 0 => {
                let halves = chunk.cut(header, Cut::Before(at));
                halves.map_err(|error| error.to_string())
            }
            _ => Err(format!(
                "a sample of {} ticks is longer than the rest of its part, {room}",
                chunk
                    .chunk
                    .samples
                    .first()
                    .map_or(0, |sample| sample.duration)
            )),
        }
    }
}
