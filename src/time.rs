//! Three clocks, kept apart by type: monotonic, wall and media time.
//!
//! Nothing here reads a clock. [`Mono`] orders events and deadlines, [`Wall`]
//! dates media, and media time is ticks of a [`Timescale`]. Conversions are
//! exact rational arithmetic in 128 bits with a stated rounding.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::{Add, Sub};

/// A moment of the monotonic clock, in nanoseconds since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// A moment `ms` milliseconds after the start of the process.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Whole milliseconds since the start of the process.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This moment and `ms` milliseconds.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// Milliseconds since `earlier`; zero when that lies ahead.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

/// A moment of the wall clock, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall(pub i64);

impl Wall {
    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The date as `EXT-X-PROGRAM-DATE-TIME` and `xs:dateTime` want it:
    /// `2026-01-01T00:03:20.000Z`, rounded down to the millisecond.
    pub fn rfc3339(self) -> String {
        let civil = Civil::of(self.seconds());
        let ms = self.0.rem_euclid(1_000_000) / 1000;
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{ms:03}Z",
            civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
        )
    }

    /// Reads a date of RFC 3339 with at most microseconds, in any zone.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let (time, rest) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                let end = rest.find(|c: char| !c.is_ascii_digit())?;
                rest.split_at(end)
            }
            None => ("0", rest),
        };
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
        let zone_s = match zone {
            "Z" | "z" => 0,
            _ => {
                let sign = if zone.starts_with('-') { -1 } else { 1 };
                let [hours, minutes] = fields(zone.strip_prefix(['+', '-'])?, ':', [2, 2])?;
                (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)?
            }
        };
        if fraction.is_empty() || fraction.len() > 6 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let us: i64 = format!("{fraction:0<6}").parse().ok()?;
        let days = days_of(year, month, day)?;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - zone_s;
        // The zone may move it out of the years that can be written.
        let writable = (0..=9999).contains(&Civil::of(seconds).year);
        writable.then_some(Self(seconds * 1_000_000 + us))
    }

    /// The date as an HTTP `Date` field wants it (RFC 9110 section 5.6.7).
    pub fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let civil = Civil::of(self.seconds());
        let weekday = DAYS[self.seconds().div_euclid(86_400).rem_euclid(7) as usize];
        let month = MONTHS[(civil.month - 1) as usize];
        format!(
            "{weekday}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
            civil.day, civil.year, civil.hour, civil.minute, civil.second
        )
    }
}

impl Add<Micros> for Wall {
    type Output = Self;
    fn add(self, span: Micros) -> Self {
        Self(self.0 + span.0)
    }
}

impl Sub for Wall {
    type Output = Micros;
    fn sub(self, earlier: Self) -> Micros {
        Micros(self.0 - earlier.0)
    }
}

/// A signed span of microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i64);

/// Both clocks, read together once a turn and passed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For order and deadlines.
    pub mono: Mono,
    /// For dates.
    pub wall: Wall,
}

/// Ticks a second of a track's media time; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// A timescale, or `None` for zero.
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(ticks_per_second) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// Ticks a second.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// `ticks` of this scale as microseconds, rounded down.
    pub fn micros(self, ticks: i64) -> Micros {
        Micros(rescale_floor(ticks, self.get(), 1_000_000))
    }

    /// `micros` as ticks of this scale, rounded to the nearest.
    pub fn ticks(self, micros: Micros) -> i64 {
        rescale_nearest(micros.0, 1_000_000, self.get())
    }

    /// `ticks` as seconds, for text that is read by people or printed with a
    /// fixed number of decimals.
    pub fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 / f64::from(self.get())
    }
}

impl fmt::Display for Timescale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

/// `value / from * to`, rounded towards minus infinity. Saturates at the range
/// of `i64`.
pub fn rescale_floor(value: i64, from: u32, to: u32) -> i64 {
    assert!(from > 0, "a timescale is never zero");
    saturate((i128::from(value) * i128::from(to)).div_euclid(i128::from(from)))
}

/// `value / from * to`, rounded to the nearest, halves up. Saturates at the
/// range of `i64`.
pub fn rescale_nearest(value: i64, from: u32, to: u32) -> i64 {
    assert!(from > 0, "a timescale is never zero");
    let doubled = i128::from(value) * i128::from(to) * 2 + i128::from(from);
    saturate(doubled.div_euclid(i128::from(from) * 2))
}

fn saturate(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// Numbers of exactly so many digits.
fn fields<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut out = [0; N];
    let mut parts = text.split(between);
    for (field, digits) in out.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let plain = part.bytes().all(|byte| byte.is_ascii_digit());
        *field = part.parse().ok().filter(|_| plain)?;
    }
    parts.next().is_none().then_some(out)
}

/// Days from 1970-01-01 to a date, if there is such a date.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    // Years start in March here, so that the leap day is the last of one.
    let (from_march, year) = ((month + 9) % 12, year - i64::from(month <= 2));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leaps + of_year - 719_468;
    let there = Civil::of(days * 86_400);
    let same = (i64::from(there.month), i64::from(there.day)) == (month, day);
    (1..=12).contains(&month).then_some(days).filter(|_| same)
}

/// A date and time of day in UTC, proleptic Gregorian.
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    fn of(seconds: i64) -> Self {
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years start in March here, so that the leap day is the last of one.
        let from_march = days + 719_468;
        let cycle = from_march.div_euclid(146_097);
        let of_cycle = from_march.rem_euclid(146_097);
        let year_of_cycle =
            (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
        let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
        Self {
            year,
            month: month as u32,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_print_as_the_formats_want_them() {
        let wall = Wall(1_767_225_800_250_999);
        assert_eq!(wall.rfc3339(), "2026-01-01T00:03:20.250Z");
        assert_eq!(wall.http_date(), "Thu, 01 Jan 2026 00:03:20 GMT");
        assert_eq!(
            Wall(784_111_777_000_000).http_date(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(
            Wall(951_782_400_000_000).rfc3339(),
            "2000-02-29T00:00:00.000Z"
        );
        assert_eq!(Wall(-1).rfc3339(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn rfc3339_dates_are_read_in_any_zone() {
        for wall in [0, 951_782_399_999_000, 951_868_800_000_000, -1_000, 1 << 50] {
            let wall = Wall(wall / 1000 * 1000);
            assert_eq!(Wall::parse(&wall.rfc3339()), Some(wall));
        }
        let noon = Wall::parse("2026-01-01T12:00:00Z").unwrap();
        for same in [
            "2026-01-01T14:30:00.000+02:30",
            "2026-01-01T04:00:00-08:00",
            "2026-01-01t12:00:00.0z",
        ] {
            assert_eq!(Wall::parse(same), Some(noon), "{same}");
        }
        let fraction = Wall::parse("2026-01-01T12:00:00.25Z");
        assert_eq!(fraction, Some(noon + Micros(250_000)));
        for wrong in [
            "",
            "2026-01-01",
            "2026-01-01T12:00:00",
            "2026-01-01 12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T12:60:00Z",
            "2026-01-01T12:00:00.Z",
            "2026-01-01T12:00:00.1234567Z",
            "2026-01-01T12:00:00+0200",
            "2026-01-01T12:00:00+24:00",
            "+026-01-01T12:00:00Z",
            "2026-1-01T12:00:00.0Z",
            "2026-01-01T12:00:00Z ",
            "2026-01-01T12:00:0\u{e9}",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(Wall::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rescaling_is_exact_and_says_how_it_rounds() {
        assert_eq!(
            rescale_floor(154_933_457_184_000, 90_000, 1_000_000),
            1_721_482_857_600_000
        );
        assert_eq!(rescale_floor(-1, 48_000, 1_000_000), -21);
        assert_eq!(rescale_nearest(1, 48_000, 1_000_000), 21);
        assert_eq!(rescale_nearest(-1, 2, 1), 0);
        assert_eq!(rescale_floor(i64::MAX, 1, u32::MAX), i64::MAX);
    }
}
