//! `Range` and `If-Range`, RFC 9110 section 14, against a body of known length
//! or one that still grows (RFC 8673).

/// Which bytes of a body to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, with 200: no range, one that is malformed, or several, which a
    /// server may ignore (section 14.2).
    Whole,
    /// The bytes `from..to`, with 206; at least one.
    Part {
        /// First byte.
        from: u64,
        /// Behind the last byte.
        to: u64,
    },
    /// None of the bytes exists: 416.
    Unsatisfiable,
}

/// One range of bytes, as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// From `first` to `last`, both included; to the end of the body where
    /// `last` is beyond it or absent.
    From {
        /// First byte.
        first: u64,
        /// Last byte.
        last: Option<u64>,
    },
    /// So many bytes at the end.
    Suffix(u64),
}

impl Span {
    /// Reads the fields of a GET (a range means nothing to other methods) for
    /// the body under the strong `etag`. `None` where all of it is to be sent:
    /// no range, one that is malformed, or several.
    ///
    /// `If-Range` takes strong tags alone: with a weak one, another one or a
    /// date the client gets the whole body (section 13.1.5).
    pub fn parse(range: Option<&str>, if_range: Option<&str>, etag: &str) -> Option<Self> {
        let same = if_range.is_none_or(|tag| tag == etag && tag.starts_with('"'));
        parse(range.filter(|_| same)?)
    }

    /// The bytes it selects of a body of `len` bytes.
    pub fn within(self, len: u64) -> Selection {
        let (from, to) = match self {
            Self::Suffix(count) => (len.saturating_sub(count), len),
            Self::From { first, last } => {
                let last = last.unwrap_or(u64::MAX);
                (first, last.saturating_add(1).min(len))
            }
        };
        if from < to {
            Selection::Part { from, to }
        } else {
            Selection::Unsatisfiable
        }
    }
}

/// The bytes that a GET selects of a body of `len` bytes under `etag`.
pub fn select(range: Option<&str>, if_range: Option<&str>, etag: &str, len: u64) -> Selection {
    Span::parse(range, if_range, etag).map_or(Selection::Whole, |span| span.within(len))
}

/// One range of bytes; `None` when it is malformed or not alone.
fn parse(range: &str) -> Option<Span> {
    let (unit, spec) = range.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim_matches([' ', '\t']).split_once('-')?;
    if first.is_empty() {
        return Some(Span::Suffix(number(last)?));
    }
    let first = number(first)?;
    let last = match last {
        "" => None,
        digits => Some(number(digits)?),
    };
    if last.is_some_and(|last| last < first) {
        return None;
    }
    Some(Span::From { first, last })
}

/// `1*DIGIT`; what does not fit is more than any body has.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn part(from: u64, to: u64) -> Selection {
        Selection::Part { from, to }
    }

    #[test]
    fn ranges_of_ten_bytes() {
        // RFC 9110 section 14.1.2.
        let table = [
            ("bytes=0-", part(0, 10)),
            ("bytes=0-0", part(0, 1)),
            ("Bytes=9-9", part(9, 10)),
            ("bytes= 2-4 ", part(2, 5)),
            ("bytes=3-99", part(3, 10)),
            ("bytes=007-8", part(7, 9)),
            // How a part under way is asked for by range.
            ("bytes=4-9007199254740991", part(4, 10)),
            ("bytes=4-18446744073709551615", part(4, 10)),
            ("bytes=4-99999999999999999999", part(4, 10)),
            ("bytes=-1", part(9, 10)),
            ("bytes=-10", part(0, 10)),
            ("bytes=-11", part(0, 10)),
            ("bytes=-99999999999999999999", part(0, 10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=10-10", Selection::Unsatisfiable),
            ("bytes=99999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=4-3", Selection::Whole),
            ("bytes=0-1,3-4", Selection::Whole),
            ("bytes=0-1,", Selection::Whole),
            ("bytes=", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=--1", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("bytes=1 -2", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes 0-1", Selection::Whole),
            ("seconds=0-1", Selection::Whole),
            ("", Selection::Whole),
        ];
        for (range, want) in table {
            assert_eq!(select(Some(range), None, "\"e\"", 10), want, "{range}");
        }
        assert_eq!(select(None, None, "\"e\"", 10), Selection::Whole);
    }

    #[test]
    fn nothing_of_an_empty_body_exists() {
        for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(
                select(Some(range), None, "\"e\"", 0),
                Selection::Unsatisfiable,
                "{range}"
            );
        }
    }

    #[test]
    fn if_range_compares_strongly() {
        // RFC 9110 section 13.1.5.
        let with = |if_range, etag| select(Some("bytes=0-0"), Some(if_range), etag, 10);
        assert_eq!(with("\"e\"", "\"e\""), part(0, 1));
        for (if_range, etag) in [
            ("\"f\"", "\"e\""),
            ("W/\"e\"", "\"e\""),
            ("W/\"e\"", "W/\"e\""),
            ("e", "\"e\""),
            ("", "\"e\""),
            ("Thu, 01 Jan 2026 00:03:20 GMT", "\"e\""),
        ] {
            assert_eq!(with(if_range, etag), Selection::Whole, "{if_range} {etag}");
        }
    }
}
