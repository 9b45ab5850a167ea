//! Bit rates of a track as measured from its whole segments, and as they are
//! published: ahead of what was measured, so that they rarely change and what
//! plays keeps to them.
//!
//! Apple's authoring rules 1.28 and 1.29 for live streams: the measured peak
//! stays below 125 % of BANDWIDTH, and the average of an hour below 110 % of
//! AVERAGE-BANDWIDTH. A sum over tracks keeps to what each of its terms keeps.

use std::collections::VecDeque;

use crate::media::window::Segment;

/// What is published lies so far above what was measured, in percent.
const PEAK_HEADROOM: u128 = 10;
const AVERAGE_HEADROOM: u128 = 4;
/// What is published is renewed when the measured rate exceeds it by this, in
/// percent; well within 25 and 10.
const PEAK_EXCESS: u128 = 15;
const AVERAGE_EXCESS: u128 = 5;
/// And when it would be renewed to less than this share, in percent: then only
/// as a span of time ends, because a low is no news.
const STALE_SHARE: u128 = 70;
/// Rates are forgotten a span of media time at a time: twelve of five minutes.
const SPAN_MICROS: u128 = 300_000_000;
const SPANS: usize = 12;
/// Segments of one window of the peak. Real windows have one to three.
const WINDOW_SEGMENTS_MAX: usize = 64;

/// Peak and average, in bits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) peak_bps: u64,
    pub(crate) average_bps: u64,
}

/// Bits and microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    bits: u128,
    micros: u128,
}

impl Amount {
    fn add(&mut self, more: Self) {
        self.bits += more.bits;
        self.micros += more.micros;
    }

    /// Bits a second, rounded up.
    fn bps(self) -> u64 {
        let bps = (self.bits * 1_000_000).div_ceil(self.micros.max(1));
        u64::try_from(bps).unwrap_or(u64::MAX)
    }
}

/// What was measured within one span of time.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    total: Amount,
    peak_bps: u64,
}

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    /// The newest segments, as many as a window of the peak may have.
    recent: VecDeque<Amount>,
    /// The last hour, newest span last.
    spans: VecDeque<Span>,
    published: Option<Pair>,
}

impl Rates {
    /// Takes in a whole segment of a channel with this target duration; returns
    /// what is to be published from now on, when that is something new.
    pub(crate) fn note(&mut self, segment: &Segment, target_s: u32) -> Option<Pair> {
        let scale = segment.header.track.timescale;
        let micros = scale.micros(segment.duration_ticks as i64).0.max(0) as u128;
        if segment.gap || micros == 0 {
            self.recent.clear();
            return None;
        }
        let bits = u128::from(segment.bytes()) * 8;
        self.add(Amount { bits, micros }, u128::from(target_s) * 1_000_000)
    }

    /// The same of the frame a segment begins with, as a list of I-frames has
    /// it: for the length of the segment.
    pub(crate) fn note_frame(&mut self, segment: &Segment, target_s: u32) -> Option<Pair> {
        let frame = segment.parts.first().filter(|part| part.independent)?;
        let scale = segment.header.track.timescale;
        let micros = scale.micros(segment.duration_ticks as i64).0.max(0) as u128;
        if segment.gap || frame.gap || micros == 0 {
            return None;
        }
        let bits = u128::from(frame.first_sample_end) * 8;
        self.add(Amount { bits, micros }, u128::from(target_s) * 1_000_000)
    }

    fn add(&mut self, segment: Amount, target_micros: u128) -> Option<Pair> {
        let turned = self
            .spans
            .back()
            .is_none_or(|span| span.total.micros >= SPAN_MICROS);
        if turned {
            self.spans.push_back(Span::default());
            if self.spans.len() > SPANS {
                self.spans.pop_front();
            }
        }
        let peak_bps = self.window_peak(segment, target_micros);
        let span = self.spans.back_mut().expect("just made");
        span.total.add(segment);
        span.peak_bps = span.peak_bps.max(peak_bps);
        let measured = self.measured();
        let stays = self
            .published
            .is_some_and(|published| !is_off(published, measured, turned));
        if stays {
            return None;
        }
        let above = |bps: u64, percent: u128| {
            u64::try_from(u128::from(bps) * (100 + percent) / 100).unwrap_or(u64::MAX)
        };
        let peak_bps = above(measured.peak_bps, PEAK_HEADROOM);
        let average_bps = above(measured.average_bps, AVERAGE_HEADROOM).min(peak_bps);
        self.published = Some(Pair {
            peak_bps,
            average_bps,
        });
        self.published
    }

    /// The largest rate of the windows that end with `segment`: sets of
    /// neighbours that last between 0.5 and 1.5 target durations (RFC 8216bis
    /// section 4.1). A segment that is longer is a window by itself, so that it
    /// counts at all.
    fn window_peak(&mut self, segment: Amount, target_micros: u128) -> u64 {
        self.recent.push_back(segment);
        let longest = target_micros * 3 / 2;
        let (mut window, mut used, mut peak_bps) = (Amount::default(), 0, 0);
        for earlier in self.recent.iter().rev().take(WINDOW_SEGMENTS_MAX) {
            if used > 0 && window.micros + earlier.micros > longest {
                break;
            }
            window.add(*earlier);
            used += 1;
            if window.micros >= target_micros / 2 {
                peak_bps = peak_bps.max(window.bps());
            }
        }
        self.recent.drain(..self.recent.len() - used);
        peak_bps
    }

    /// The last hour.
    fn measured(&self) -> Pair {
        let mut total = Amount::default();
        self.spans.iter().for_each(|span| total.add(span.total));
        let peak = self.spans.iter().map(|span| span.peak_bps).max();
        let average_bps = total.bps();
        Pair {
            // Segments too short for a window leave the average alone to say.
            peak_bps: peak.unwrap_or(0).max(average_bps),
            average_bps,
        }
    }
}

/// Whether what is published no longer says what was measured.
fn is_off(published: Pair, measured: Pair, turned: bool) -> bool {
    let exceeds = |measured: u64, published: u64, percent: u128| {
        u128::from(measured) * 100 > u128::from(published) * (100 + percent)
    };
    let stale = |measured: u64, published: u64, headroom: u128| {
        u128::from(measured) * (100 + headroom) < u128::from(published) * STALE_SHARE
    };
    exceeds(measured.peak_bps, published.peak_bps, PEAK_EXCESS)
        || exceeds(measured.average_bps, published.average_bps, AVERAGE_EXCESS)
        || turned
            && (stale(measured.peak_bps, published.peak_bps, PEAK_HEADROOM)
                || stale(
                    measured.average_bps,
                    published.average_bps,
                    AVERAGE_HEADROOM,
                ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: u128 = 2_000_000;

    fn segment(ms: u64, bps: u64) -> Amount {
        let micros = u128::from(ms) * 1000;
        let bits = u128::from(bps) * micros / 1_000_000;
        Amount { bits, micros }
    }

    /// A checker of its own: every window of every segment so far, by the
    /// letter, and the average of everything.
    #[derive(Default)]
    struct Checker(Vec<Amount>);

    impl Checker {
        fn peak_bps(&self) -> f64 {
            let mut peak = 0f64;
            for from in 0..self.0.len() {
                for to in from..self.0.len() {
                    let micros: u128 = self.0[from..=to].iter().map(|one| one.micros).sum();
                    let bits: u128 = self.0[from..=to].iter().map(|one| one.bits).sum();
                    if micros > TARGET * 3 / 2 {
                        break;
                    }
                    if micros >= TARGET / 2 {
                        peak = peak.max(bits as f64 * 1e6 / micros as f64);
                    }
                }
            }
            peak
        }

        fn average_bps(&self) -> f64 {
            let bits: u128 = self.0.iter().map(|one| one.bits).sum();
            let micros: u128 = self.0.iter().map(|one| one.micros).sum();
            bits as f64 * 1e6 / micros as f64
        }
    }

    /// Feeds segments and holds what is published against the tolerances after
    /// each; gives how often it changed.
    fn play(segments: &[(u64, u64)]) -> usize {
        let (mut rates, mut checker) = (Rates::default(), Checker::default());
        let (mut published, mut renewed) = (Pair::default(), 0);
        for (ms, bps) in segments {
            checker.0.push(segment(*ms, *bps));
            if let Some(new) = rates.add(segment(*ms, *bps), TARGET) {
                assert_ne!(new, published, "only news is told");
                (published, renewed) = (new, renewed + 1);
            }
            let (peak, average) = (checker.peak_bps(), checker.average_bps());
            assert!(
                peak <= 1.25 * published.peak_bps as f64,
                "{peak} of {published:?}"
            );
            assert!(
                average <= 1.10 * published.average_bps as f64,
                "{average} of {published:?}"
            );
            assert!(published.average_bps <= published.peak_bps);
        }
        renewed
    }

    #[test]
    fn auth_1_28_a_steady_stream_is_published_once() {
        let steady: Vec<_> = (0..400)
            .map(|n| (2000, [2_000_000, 2_100_000, 1_950_000][n % 3]))
            .collect();
        assert_eq!(play(&steady), 1);
    }

    #[test]
    fn auth_1_28_a_leap_is_published_with_its_segment() {
        let mut leap = vec![(2000, 1_000_000); 20];
        leap.push((2000, 4_000_000));
        leap.extend([(2000, 1_000_000); 100]);
        assert_eq!(play(&leap), 2);
    }

    #[test]
    fn s4_1_the_peak_is_of_windows_of_half_a_target_or_more() {
        let mut rates = Rates::default();
        // A quarter of a second at 8 Mbit/s is no window; with its neighbour of
        // a second it is one of 2.4 Mbit/s.
        rates.add(segment(1000, 1_000_000), TARGET);
        rates.add(segment(250, 8_000_000), TARGET);
        assert_eq!(rates.measured().peak_bps, 2_400_000);
        rates.add(segment(2000, 1_000_000), TARGET);
        assert_eq!(
            rates.measured().peak_bps,
            2_400_000,
            "1.125 targets: 1.78 Mbit/s"
        );
        rates.add(segment(4000, 3_000_000), TARGET);
        assert_eq!(
            rates.measured().peak_bps,
            3_000_000,
            "a long one counts too"
        );
    }

    #[test]
    fn what_was_an_hour_ago_is_forgotten() {
        let mut rates = Rates::default();
        let mut last = Pair::default();
        let mut renewed = 0;
        let high = (0..300).map(|_| segment(2000, 8_000_000));
        let low = (0..1900).map(|_| segment(2000, 1_000_000));
        for one in high.chain(low) {
            if let Some(new) = rates.add(one, TARGET) {
                (last, renewed) = (new, renewed + 1);
            }
        }
        assert_eq!((last.peak_bps, last.average_bps), (1_100_000, 1_040_000));
        assert!(renewed < 8, "{renewed} times");
    }

    #[test]
    fn short_segments_are_bounded() {
        let mut rates = Rates::default();
        for _ in 0..10_000 {
            rates.add(segment(1, 1_000_000), 3_600_000_000);
        }
        assert!(rates.recent.len() <= WINDOW_SEGMENTS_MAX);
        assert_eq!(rates.measured().peak_bps, 1_000_000);
    }

    proptest! {
        #[test]
        fn auth_1_28_and_1_29_hold_whatever_comes(
            segments in proptest::collection::vec((200u64..3000, 10_000u64..20_000_000), 1..80)
        ) {
            play(&segments);
        }

        #[test]
        fn encoders_that_keep_to_a_rate_are_published_a_few_times(
            rate in 100_000u64..10_000_000,
            shares in proptest::collection::vec(80u64..120, 30..80)
        ) {
            let segments: Vec<_> = shares.iter().map(|share| (2000, rate * share / 100)).collect();
            prop_assert!(play(&segments) <= 4);
        }
    }
}
