//! Values of attributes, as XML Schema writes them.

use crate::decimal::Decimal;
use crate::playlist::date;

/// What an attribute may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Text,
    /// `xs:unsignedInt` or `xs:unsignedLong`.
    Whole,
    /// `xs:integer`.
    Signed,
    /// A decimal, or `INF`.
    Real,
    /// `true`, `false`, `1` or `0`.
    Truth,
    /// `PT2.5S`.
    Duration,
    /// `2026-01-01T00:00:00Z`.
    Date,
    /// `30` or `30000/1001`.
    Rate,
    /// `16:9`.
    Ratio,
    /// A name without space.
    Name,
    /// A whole number of 0 to 6 (`SAPType`).
    Sap,
    /// One of a few words.
    Word(&'static [&'static str]),
}

impl Kind {
    /// Whether a value is of this kind.
    pub fn holds(self, value: &str) -> bool {
        let whole = |text: &str| text.parse::<u64>().is_ok() && !text.starts_with('+');
        match self {
            Self::Text => true,
            Self::Whole => whole(value),
            Self::Signed => value.parse::<i64>().is_ok(),
            Self::Real => value == "INF" || value.parse::<f64>().is_ok_and(f64::is_finite),
            Self::Truth => matches!(value, "true" | "false" | "0" | "1"),
            Self::Duration => duration_us(value).is_some(),
            Self::Date => date::parse(value).is_some(),
            Self::Rate => value.split('/').count() <= 2 && value.split('/').all(whole),
            Self::Ratio => {
                let mut sides = value.split(':');
                sides.clone().count() == 2 && sides.all(whole)
            }
            Self::Name => !value.is_empty() && !value.contains(char::is_whitespace),
            Self::Sap => value.parse::<u8>().is_ok_and(|sap| sap <= 6),
            Self::Word(words) => words.contains(&value),
        }
    }

    /// For a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Whole => "a whole number",
            Self::Signed => "an integer",
            Self::Real => "a number",
            Self::Truth => "true or false",
            Self::Duration => "a duration",
            Self::Date => "a date with time",
            Self::Rate => "a rate",
            Self::Ratio => "a ratio",
            Self::Name => "a name without space",
            Self::Sap => "a SAP type",
            Self::Word(_) => "one of the words of the schema",
        }
    }
}

/// Microseconds of an `xs:duration` of days or less, such as `P1DT2H3M4.5S`.
/// Those of years and months have no fixed length.
pub fn duration_us(text: &str) -> Option<u64> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut us = 0u64;
    let mut left = days;
    left = part(left, 'D', 86_400, &mut us)?;
    if !left.is_empty() {
        return None;
    }
    left = time;
    for (unit, seconds) in [('H', 3600), ('M', 60), ('S', 1)] {
        left = part(left, unit, seconds, &mut us)?;
    }
    left.is_empty().then_some(us)
}

/// Takes `12.5S` off the front, where it is there.
fn part<'a>(text: &'a str, unit: char, seconds: u32, us: &mut u64) -> Option<&'a str> {
    let Some((number, rest)) = text.split_once(unit) else {
        return Some(text);
    };
    if unit != 'S' && number.contains('.') {
        return None;
    }
    let us_of = Decimal::parse(number)?.times(seconds).us();
    *us = us.checked_add(us_of)?;
    Some(rest)
}

/// Microseconds of a number of seconds that is not negative.
pub fn seconds_us(text: &str) -> Option<u64> {
    Decimal::parse(text).map(Decimal::us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let table = [
            ("PT2S", 2_000_000),
            ("PT0.5S", 500_000),
            ("PT1M30.25S", 90_250_000),
            ("PT24H", 86_400_000_000),
            ("P1DT1S", 86_401_000_000),
            ("P0D", 0),
        ];
        for (text, us) in table {
            assert_eq!(duration_us(text), Some(us), "{text}");
        }
        for text in [
            "", "P", "PT", "2S", "PT2", "PT-1S", "PT1.5M", "PT1S1H", "P1Y", "PTS",
        ] {
            assert_eq!(duration_us(text), None, "{text}");
        }
    }

    #[test]
    fn kinds_hold_what_the_schema_allows() {
        let table = [
            (Kind::Whole, "18446744073709551615", "-1"),
            (Kind::Signed, "-1", "1.0"),
            (Kind::Real, "1.5", "x"),
            (Kind::Real, "INF", "NaN"),
            (Kind::Truth, "false", "no"),
            (Kind::Rate, "30000/1001", "29.97"),
            (Kind::Ratio, "16:9", "16/9"),
            (Kind::Name, "v1", "v 1"),
            (Kind::Sap, "1", "7"),
            (Kind::Word(&["static"]), "static", "live"),
            (Kind::Date, "2026-01-01T00:00:00Z", "now"),
        ];
        for (kind, good, bad) in table {
            assert!(kind.holds(good), "{kind:?} {good}");
            assert!(!kind.holds(bad), "{kind:?} {bad}");
        }
    }
}
