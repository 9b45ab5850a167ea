//! The clock of a channel: one timeline for all its tracks.
//!
//! Channel time is decode time in the first era, in microseconds. An era ends
//! where the clock of the encoder is reset or a header changes; in the next one
//! decode time is shifted so that channel time goes on with the wall clock.
//! The wall clock of any media is `wall_base + channel time`, for every track.

use crate::media::cmaf::ProducerTime;
use crate::time::{Micros, Now, Timescale, Wall, rescale_floor};

/// A stretch of media time without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era {
    /// Breaks before it; what readers call the discontinuity number.
    pub(crate) number: u64,
    /// Added to decode time to get channel time.
    pub(crate) shift: Micros,
    /// Channel time at which it began.
    pub(crate) begins: Micros,
}

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    anchored: Option<Anchored>,
}

#[derive(Clone, Copy, Debug)]
struct Anchored {
    wall_base: Wall,
    epoch: bool,
    era: Era,
    /// A new header opened the era, and no media has come under it.
    provisional: bool,
}

/// How far a chunk may lie from where an era puts the present for its track to
/// be of that era.
const ERA_TOLERANCE: Micros = Micros(10_000_000);
/// How far a chunk of an era may lie before the end of its track: what was
/// under way when the clock was reset.
const OVERLAP_TOLERANCE: Micros = Micros(1_000_000);
/// Decode times this near to the wall clock are an epoch timeline.
const EPOCH_TOLERANCE_S: i64 = 86_400;
/// A producer's clock that is off by more is wrong, and arrival tells better.
const PRODUCER_TOLERANCE: Micros = Micros(86_400_000_000);

/// What anchors a chunk: its decode time span and its arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Decode time of its first sample.
    pub(crate) start: Micros,
    /// Decode time after its last sample.
    pub(crate) end: Micros,
    /// Wall clock of its first sample, from a prft.
    pub(crate) produced: Option<Wall>,
    /// When it was whole.
    pub(crate) now: Now,
}

impl Arrival {
    /// The wall clock of decode time zero, by the best evidence there is.
    fn wall_of_zero(&self) -> Wall {
        let arrived = Wall(self.now.wall.0 - self.end.0);
        match self.produced {
            Some(wall) if (wall.0 - self.now.wall.0).abs() <= PRODUCER_TOLERANCE.0 => {
                Wall(wall.0 - self.start.0)
            }
            _ if self.is_epoch() => Wall(0),
            _ => arrived,
        }
    }

    fn is_epoch(&self) -> bool {
        let apart = self.start.0 / 1_000_000 - self.now.wall.seconds();
        self.start.0 > 1_000_000_000_000_000 && apart.abs() < EPOCH_TOLERANCE_S
    }
}

/// The wall clock of the sample a prft speaks of, carried to `start`.
pub(crate) fn produced_wall(prft: &ProducerTime, scale: Timescale, start: u64) -> Wall {
    let lead = i128::from(start) - i128::from(prft.media_time);
    let lead = lead.clamp(-i128::from(u32::MAX), i128::from(u32::MAX)) as i64;
    Wall(prft.wall.0.saturating_add(scale.micros(lead).0))
}

impl Clock {
    /// The current era, opened by the first chunk of any track.
    pub(crate) fn era(&mut self, arrival: &Arrival) -> Era {
        self.anchored
            .get_or_insert_with(|| Anchored {
                wall_base: arrival.wall_of_zero(),
                epoch: arrival.is_epoch(),
                era: Era {
                    number: 0,
                    shift: Micros(0),
                    begins: arrival.start,
                },
                provisional: false,
            })
            .era
    }

    /// The current era, if any media has come.
    pub(crate) fn current(&self) -> Option<Era> {
        self.anchored.map(|anchored| anchored.era)
    }

    /// Whether decode times count from 1970, so that numbers can be a function
    /// of them alone.
    pub(crate) fn is_epoch(&self) -> bool {
        self.anchored.is_some_and(|anchored| anchored.epoch)
    }

    /// The wall clock at a channel time.
    pub(crate) fn wall(&self, at: Micros) -> Wall {
        let base = self.anchored.map_or(Wall(0), |anchored| anchored.wall_base);
        Wall(base.0.saturating_add(at.0))
    }

    /// The era for a track whose newest media is of era `of` and ends at
    /// `own_end`, and whose decode time was reset. It shares the shift of the
    /// current one if the chunk fits there, and the era itself if another track
    /// opened it; else it begins no earlier than `not_before`, the end of all
    /// published media.
    pub(crate) fn reset(
        &mut self,
        of: u64,
        arrival: &Arrival,
        own_end: Micros,
        not_before: Micros,
    ) -> Era {
        let mut anchored = self.anchored.expect("a reset follows media");
        let current = anchored.era;
        let shift = arrival.wall_of_zero().0 - anchored.wall_base.0;
        let near = (current.shift.0 - shift).abs() <= ERA_TOLERANCE.0;
        let ahead = arrival.start.0 + current.shift.0 >= own_end.0 - OVERLAP_TOLERANCE.0;
        let shift = if near && ahead {
            if current.number > of && !anchored.provisional {
                return current;
            }
            current.shift.0
        } else {
            shift.max(not_before.0 - arrival.start.0)
        };
        let opened = current.number > of && anchored.provisional;
        anchored.era = Era {
            number: current.number + u64::from(!opened),
            shift: Micros(shift),
            begins: Micros(arrival.start.0 + shift),
        };
        anchored.provisional = false;
        self.anchored = Some(anchored);
        anchored.era
    }

    /// A break without a reset: the header of a track changed at `begins`.
    pub(crate) fn break_at(&mut self, of: u64, begins: Micros) -> Era {
        let anchored = self.anchored.as_mut().expect("a break follows media");
        if anchored.era.number <= of {
            anchored.era = Era {
                number: anchored.era.number + 1,
                begins,
                ..anchored.era
            };
            anchored.provisional = true;
        }
        anchored.era
    }

    /// The track that opened era `number` goes on in it with its old clock.
    pub(crate) fn confirm(&mut self, number: u64) {
        if let Some(anchored) = &mut self.anchored
            && anchored.era.number == number
        {
            anchored.provisional = false;
        }
    }
}

/// Where segments begin if all of them are equally long, and their numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Exact duration of a segment, in ticks of `scale`.
    pub(crate) ticks: u64,
    /// Ticks a second of `ticks`.
    pub(crate) scale: Timescale,
    /// Channel time at which the segment `base` begins.
    pub(crate) origin: Micros,
    /// Number of that segment.
    pub(crate) base: u64,
}

impl Grid {
    /// The grid on which the segment that begins at `start` has its number from
    /// media time alone (an epoch timeline) or else from the wall clock, so
    /// that numbers go on rising even if nothing of an earlier life is known.
    pub(crate) fn new(clock: &Clock, ticks: u64, scale: Timescale, start: Micros) -> Self {
        assert!(ticks > 0, "a segment has a duration");
        if clock.is_epoch() {
            return Self {
                ticks,
                scale,
                origin: Micros(0),
                base: 0,
            };
        }
        let seconds = i128::from(clock.wall(start).0.max(0)) * i128::from(scale.get());
        let base = (seconds / (i128::from(ticks) * 1_000_000)) as u64;
        Self {
            ticks,
            scale,
            origin: start,
            base,
        }
    }

    /// Number of the segment that begins nearest to channel time `at`, in ticks
    /// of a track.
    pub(crate) fn number(&self, at: i64, scale: Timescale) -> u64 {
        let (cell, _) = self.cell(at, scale);
        (i128::from(self.base) + cell).max(0) as u64
    }

    /// The first grid line after the cell that begins nearest to `start`, in
    /// ticks of a track, rounded down.
    pub(crate) fn next_line(&self, start: i64, scale: Timescale) -> i64 {
        let (cell, per_cell) = self.cell(start, scale);
        let origin = rescale_floor(self.origin.0, 1_000_000, scale.get());
        let offset = ((cell + 1) * per_cell).div_euclid(i128::from(self.scale.get()));
        origin.saturating_add(offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// Index of the nearest cell, and the length of a cell in ticks of the
    /// track times the grid's ticks a second.
    fn cell(&self, at: i64, scale: Timescale) -> (i128, i128) {
        let per_cell = i128::from(self.ticks) * i128::from(scale.get());
        let origin = rescale_floor(self.origin.0, 1_000_000, scale.get());
        let offset = (i128::from(at) - i128::from(origin)) * i128::from(self.scale.get());
        ((2 * offset + per_cell).div_euclid(2 * per_cell), per_cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Mono;

    fn scale(ticks: u32) -> Timescale {
        Timescale::new(ticks).expect("not zero")
    }

    fn arrival(start_s: i64, wall_s: i64) -> Arrival {
        Arrival {
            start: Micros(start_s * 1_000_000),
            end: Micros(start_s * 1_000_000 + 500_000),
            produced: None,
            now: Now {
                mono: Mono(0),
                wall: Wall(wall_s * 1_000_000),
            },
        }
    }

    #[test]
    fn media_without_an_epoch_is_dated_by_its_arrival() {
        let mut clock = Clock::default();
        let era = clock.era(&arrival(0, 1_000));
        assert_eq!((era.number, era.shift), (0, Micros(0)));
        assert_eq!(clock.wall(Micros(0)), Wall(999_500_000));
        assert!(!clock.is_epoch());
    }

    #[test]
    fn an_epoch_timeline_is_its_own_date() {
        let mut clock = Clock::default();
        clock.era(&arrival(1_700_000_000, 1_700_000_003));
        assert!(clock.is_epoch());
        assert_eq!(
            clock.wall(Micros(1_700_000_000_000_000)),
            Wall(1_700_000_000_000_000)
        );
        let grid = Grid::new(&clock, 60_060, scale(30_000), Micros(1_700_000_000_000_000));
        let number = 849_150_849;
        let start = number * 60_060;
        assert_eq!(grid.number(start, scale(30_000)), number as u64);
        assert_eq!(grid.next_line(start, scale(30_000)), start + 60_060);
        // The audio of the same segment starts within a frame of it.
        let audio = rescale_floor(start, 30_000, 48_000) + 700;
        assert_eq!(grid.number(audio, scale(48_000)), number as u64);
    }

    #[test]
    fn a_reset_goes_on_with_the_wall_clock_and_is_shared_by_tracks() {
        let mut clock = Clock::default();
        clock.era(&arrival(0, 1_000));
        let end = Micros(10_000_000);
        let video = clock.reset(0, &arrival(0, 1_030), end, end);
        assert_eq!((video.number, video.shift), (1, Micros(30_000_000)));
        let audio = clock.reset(0, &arrival(0, 1_031), end, end);
        assert_eq!(audio, video);
        // Never into what has been published.
        let end = Micros(90_000_000);
        let again = clock.reset(1, &arrival(0, 1_040), end, end);
        assert_eq!((again.number, again.begins), (2, Micros(90_000_000)));
    }

    #[test]
    fn numbers_without_an_epoch_count_from_the_wall_clock() {
        let mut clock = Clock::default();
        clock.era(&arrival(0, 1_000));
        let grid = Grid::new(&clock, 180_000, scale(90_000), Micros(0));
        assert_eq!(grid.base, 499);
        assert_eq!(grid.number(0, scale(48_000)), 499);
        assert_eq!(grid.number(95_232, scale(48_000)), 500);
        assert_eq!(grid.next_line(95_232, scale(48_000)), 192_000);
    }
}
