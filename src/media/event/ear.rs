//! When an event message of a track applies, on the decode timeline that dates
//! its segments.

use crate::media::cmaf::{Message, MessageTime, TrackChunk};
use crate::time::{Micros, Timescale, rescale_floor};

/// What is known of a track beside the chunk that carries a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ear {
    /// Ticks of the segment under way before the newest chunk.
    before: u64,
    /// Ticks of the newest chunk.
    newest: u64,
    /// First presentation time less decode time of the newest chunk that
    /// decoding can start at: the date of a segment is that of what is shown
    /// first.
    shift: i64,
    /// Decode times wrap at 2^32.
    wraps: bool,
}

impl Ear {
    /// Takes note of the next chunk.
    pub(crate) fn note(&mut self, chunk: &TrackChunk, begins_segment: bool, edit_shift: i64) {
        self.before = if begins_segment {
            0
        } else {
            self.before.saturating_add(self.newest)
        };
        self.newest = chunk.duration;
        self.wraps = chunk.wraps;
        if chunk.is_independent() {
            self.shift = chunk.presentation_shift.saturating_sub(edit_shift);
        }
    }

    /// Decode time at which `message` of the newest chunk applies; the chunk
    /// itself begins at `start`, in ticks of the track.
    pub(crate) fn decode_time(&self, message: &Message, start: i64, scale: Timescale) -> Micros {
        let us = |ticks: i64| rescale_floor(ticks, message.timescale, 1_000_000);
        let at = match message.time {
            MessageTime::Absolute(time) => {
                let time = us(i64::try_from(time).unwrap_or(i64::MAX));
                let time = time.saturating_sub(scale.micros(self.shift).0);
                self.unwrapped(time, start, scale)
            }
            MessageTime::AfterSegment(delta) => {
                let segment = start.saturating_sub_unsigned(self.before);
                scale.micros(segment).0.saturating_add(us(delta.into()))
            }
            MessageTime::AfterChunk(delta) => scale.micros(start).0.saturating_add(us(delta)),
        };
        Micros(at)
    }

    /// Where decode times wrap, a message may say the same time in more than
    /// one way: the one nearest to its chunk.
    fn unwrapped(&self, time: i64, start: i64, scale: Timescale) -> i64 {
        if !self.wraps {
            return time;
        }
        let turn = scale.micros(1 << 32).0;
        let turns = (scale
            .micros(start)
            .0
            .saturating_sub(time)
            .saturating_add(turn / 2))
        .div_euclid(turn);
        time.saturating_add(turns.saturating_mul(turn))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::cmaf::Sample;

    fn chunk(independent: bool, wraps: bool, presentation_shift: i64) -> TrackChunk {
        let flags = if independent { 0 } else { 0x0001_0000 };
        TrackChunk {
            bytes: Bytes::new(),
            at: 0,
            decode_time: 0,
            wraps,
            duration: 45_000,
            first_sample_end: 0,
            presentation_shift,
            samples: vec![Sample {
                duration: 45_000,
                size: 1,
                flags,
                cts: 0,
            }],
            styp: false,
            last: false,
            slate: false,
            producer_time: None,
        }
    }

    fn message(timescale: u32, time: MessageTime) -> Message {
        Message {
            scheme: String::new(),
            timescale,
            time,
            duration: None,
            data: Bytes::new(),
        }
    }

    const SCALE: Timescale = Timescale::new(90_000).unwrap();

    #[test]
    fn iso23009_s5_10_3_3_version_0_counts_from_the_segment() {
        let mut ear = Ear::default();
        ear.note(&chunk(true, false, 6000), true, 0);
        ear.note(&chunk(false, false, 9000), false, 0);
        // Half a second into a segment that begins at 10 s.
        let start = 10 * 90_000 + 45_000;
        let half = message(1000, MessageTime::AfterSegment(500));
        assert_eq!(ear.decode_time(&half, start, SCALE), Micros(10_500_000));
        let after = message(1000, MessageTime::AfterChunk(-100));
        assert_eq!(ear.decode_time(&after, start, SCALE), Micros(10_400_000));
    }

    #[test]
    fn iso23009_s5_10_3_3_version_1_is_dated_by_what_is_shown_first() {
        let mut ear = Ear::default();
        // 8 ticks of reordering, of which the edit list takes 3 back.
        ear.note(&chunk(true, false, 8 * 900), true, 3 * 900);
        let shown = message(100, MessageTime::Absolute(1000 + 5));
        let start = 10 * 90_000;
        assert_eq!(ear.decode_time(&shown, start, SCALE), Micros(10_000_000));
        let absurd = message(1, MessageTime::Absolute(u64::MAX));
        assert_eq!(ear.decode_time(&absurd, start, SCALE).0, i64::MAX - 50_000);
    }

    #[test]
    fn a_time_said_before_or_after_the_wrap_is_the_same() {
        let mut ear = Ear::default();
        ear.note(&chunk(true, true, 0), true, 0);
        let start = (1i64 << 32) + 90_000;
        let wrapped = message(90_000, MessageTime::Absolute(180_000));
        let grown = message(90_000, MessageTime::Absolute((1 << 32) + 180_000));
        let want = SCALE.micros((1 << 32) + 180_000);
        for said in [wrapped, grown] {
            let got = ear.decode_time(&said, start, SCALE);
            assert!((got.0 - want.0).abs() <= 1, "{got:?} {want:?}");
        }
    }
}
