//! Decimal numbers exactly as printed.

/// Digits behind the point that are told apart.
const FRACTION_DIGITS: usize = 18;
/// Digits before it: three years in seconds.
const WHOLE_DIGITS: usize = 8;
const ONE: u128 = 10u128.pow(FRACTION_DIGITS as u32);

/// A printed decimal without a sign, exact: 0.501 is above 0.5 by 0.001.
///
/// A product with a factor of up to 100,000 is exact as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u128);

impl Decimal {
    /// Reads digits with at most one point. Neither signs nor exponents are
    /// decimals of a playlist (rfc8216bis section 4.2).
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        if text.ends_with('.') || whole.len() > WHOLE_DIGITS || fraction.len() > FRACTION_DIGITS {
            return None;
        }
        let whole: u128 = whole.parse().ok()?;
        let padded = format!("{fraction:0<FRACTION_DIGITS$}");
        Some(Self(whole * ONE + padded.parse::<u128>().ok()?))
    }

    /// A whole number.
    pub fn whole(value: u64) -> Self {
        Self(u128::from(value) * ONE)
    }

    /// So many times this.
    pub fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(u128::from(factor)))
    }

    /// The sum, which no list of limited length overflows.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// How far apart the two are.
    pub fn distance(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }

    /// The nearest whole number, halves upwards.
    pub fn rounded(self) -> u64 {
        u64::try_from((self.0 + ONE / 2) / ONE).unwrap_or(u64::MAX)
    }

    /// As seconds in microseconds, rounded down.
    pub fn us(self) -> u64 {
        u64::try_from(self.0 / (ONE / 1_000_000)).unwrap_or(u64::MAX)
    }

    /// For arithmetic that needs no exactness.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_decimals_compare_exactly() {
        let of = |text| Decimal::parse(text).expect("a decimal");
        assert!(of("0.501") > of("0.5"));
        assert_eq!(of("0.50000"), of("0.5"));
        assert_eq!(of("1.2").times(3), of("3.6"));
        assert_eq!(of("0.1").plus(of("0.2")), of("0.3"));
        assert_eq!((of("2.5").rounded(), of("2.49999").rounded()), (3, 2));
        assert_eq!(of("0.33334").us(), 333_340);
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0x1",
            "nan",
            "123456789",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
