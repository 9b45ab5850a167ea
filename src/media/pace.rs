//! How late the media of one track usually comes, and from that, when more of
//! it is missing than its encoder's habits explain.

use crate::time::{Micros, Mono};

/// Habits are those of one to two stretches of this length, in milliseconds: a
/// few segments.
const STRETCH_MS: u64 = 10_000;

/// So many waits tell an accident from a habit.
const WAITS_MIN: u32 = 16;

/// Lateness is the time of the process less channel time, in microseconds. Only
/// differences of it mean anything.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Least lateness of an end of media, just after it came.
    least: i64,
    /// The two greatest, just before more came. One long wait is an accident,
    /// two are a habit.
    greatest: [i64; 2],
    waits: u32,
}

impl Stretch {
    const EMPTY: Self = Self {
        least: i64::MAX,
        greatest: [i64::MIN; 2],
        waits: 0,
    };

    fn waited(&mut self, lateness: i64) {
        let [first, second] = self.greatest;
        self.greatest = [first.max(lateness), second.max(lateness.min(first))];
    }
}

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The current stretch and the one before.
    stretches: [Stretch; 2],
    began: Mono,
}

/// What is usual for a track, as lateness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usual {
    /// Of the end of its media when it has just come.
    pub(crate) least: i64,
    /// Of the end of its media when more comes.
    pub(crate) most: i64,
}

impl Usual {
    /// What comes at once, in microseconds: a chunk, or a whole segment.
    pub(crate) fn burst(&self) -> i64 {
        self.most - self.least
    }
}

impl Pace {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self {
            stretches: [Stretch::EMPTY; 2],
            began: Mono::default(),
        }
    }

    /// Media that went on at `before` came and ends at `end`.
    pub(crate) fn note(&mut self, now: Mono, before: Micros, end: Micros) {
        if now.ms_since(self.began) >= STRETCH_MS {
            self.stretches = [Stretch::EMPTY, self.stretches[0]];
            self.began = now;
        }
        let current = &mut self.stretches[0];
        current.waited(lateness(now, before));
        current.least = current.least.min(lateness(now, end));
        current.waits = current.waits.saturating_add(1);
    }

    /// What is usual; unknown before media has come. A track that should
    /// bring something at least every `longest_us` is not expected to need more.
    pub(crate) fn usual(&self, longest_us: i64) -> Option<Usual> {
        let [current, before] = self.stretches;
        let mut both = before;
        for lateness in current.greatest {
            both.waited(lateness);
        }
        let least = current.least.min(before.least);
        let few = current.waits.saturating_add(before.waits) < WAITS_MIN;
        let most = both.greatest[usize::from(!few)];
        (most > i64::MIN).then(|| Usual {
            least,
            most: most.clamp(least, least.saturating_add(longest_us)),
        })
    }
}

/// How late media that ends at `end` is at `now`.
pub(crate) fn lateness(now: Mono, end: Micros) -> i64 {
    let now_us = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX / 2);
    now_us.saturating_sub(end.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST_US: i64 = 2_000_000;

    /// Media of `step_ms` comes whenever so much of it is there, `late_ms` late.
    fn steady(pace: &mut Pace, (from_ms, to_ms): (u64, u64), step_ms: u64, late_ms: u64) {
        for end_ms in (from_ms + step_ms..=to_ms).step_by(step_ms as usize) {
            let now = Mono::from_ms(end_ms + late_ms);
            let micros = |ms: u64| Micros(ms as i64 * 1000);
            pace.note(now, micros(end_ms - step_ms), micros(end_ms));
        }
    }

    #[test]
    fn what_is_usual_is_learned_and_forgotten() {
        let mut pace = Pace::new();
        assert_eq!(pace.usual(LONGEST_US), None);
        steady(&mut pace, (0, 20_000), 200, 50);
        let usual = pace.usual(LONGEST_US).expect("known");
        assert_eq!((usual.least, usual.most), (50_000, 250_000));
        assert_eq!(usual.burst(), 200_000);
        // Whole segments from now on; soon that is what is usual.
        steady(&mut pace, (20_000, 60_000), 2_000, 50);
        let usual = pace.usual(LONGEST_US).expect("known");
        assert_eq!((usual.least, usual.most), (50_000, 2_050_000));
        steady(&mut pace, (60_000, 100_000), 200, 50);
        let usual = pace.usual(LONGEST_US).expect("known");
        assert_eq!((usual.least, usual.most), (50_000, 250_000));
    }

    #[test]
    fn one_long_wait_is_no_habit_and_no_wait_is_longer_than_allowed() {
        let mut pace = Pace::new();
        steady(&mut pace, (0, 5_000), 200, 50);
        let late = Mono::from_ms(9_000);
        pace.note(late, Micros(5_000_000), Micros(5_200_000));
        assert_eq!(pace.usual(LONGEST_US).expect("known").most, 250_000);
        pace.note(late, Micros(5_200_000), Micros(5_400_000));
        let usual = pace.usual(LONGEST_US).expect("known");
        assert_eq!(usual.most, usual.least + LONGEST_US);
    }
}
