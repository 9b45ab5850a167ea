//! The clock that an MPD names: D6.

use super::dash;
use crate::answer::Answer;
use crate::limits;
use crate::mpd::Asking;
use crate::playlist::date;
use crate::rule::D6;
use crate::verdict::Scope;

/// What the clock said, and ours in the middle of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The clock, in microseconds since 1970.
    pub at_us: i64,
    /// Ours then.
    pub ours_us: i64,
    /// The most that either may be off by the way there and back.
    pub doubt_us: u64,
}

impl Read {
    /// How far the clock is ahead of ours.
    pub fn ahead_us(self) -> i64 {
        self.at_us.saturating_sub(self.ours_us)
    }
}

/// Judges one answer of a clock that was asked at `wall_us`, by our own.
pub fn answered(on: &mut Scope<'_>, asking: Asking, answer: &Answer, wall_us: i64) -> Option<Read> {
    const CLAUSE: &str = dash!("5.8.5.7");
    let saw = || format!("{}: {}", answer.address, answer.outcome());
    let fine = on.must(
        D6,
        CLAUSE,
        answer.is_ok(),
        "the clock that UTCTiming names does not answer",
        saw,
    );
    if !fine {
        return None;
    }
    on.should(
        D6,
        "RFC 9111 5.2.2.5",
        answer.cache_says("no-store") || answer.cache_s("max-age") == Some(0),
        "the answer of a clock may be kept",
        || format!("Cache-Control: {:?}", answer.list("cache-control")),
    );
    on.must(
        D6,
        "Fetch 3.2",
        answer.header("access-control-allow-origin").is_some(),
        "pages of other origins may not read the clock",
        saw,
    );
    let exposed = answer.list("access-control-expose-headers");
    let by_header = answer.header("date").and_then(date::http);
    let (at_us, doubt_us) = match asking {
        Asking::Head => {
            on.must(
                D6,
                "Fetch 3.2.4",
                exposed
                    .split(',')
                    .any(|name| matches!(name.trim(), "date" | "*")),
                "Date is not exposed to pages that ask for it by HEAD",
                || format!("Access-Control-Expose-Headers: {exposed:?}"),
            );
            let found = by_header;
            on.must(
                D6,
                CLAUSE,
                found.is_some(),
                "the clock sends no Date",
                || format!("{:?}", answer.header("date")),
            );
            // Whole seconds, cut off.
            (found?.saturating_add(500_000), 500_000)
        }
        Asking::Date => {
            let text = answer.text().map(str::trim).unwrap_or("");
            let found = date::parse(text);
            on.must(
                D6,
                CLAUSE,
                found.is_some_and(|(_, zoned)| zoned),
                "the clock says no date with zone",
                || format!("{text:?}"),
            );
            let at_us = found?.0;
            let apart_us =
                by_header.map(|header_us| at_us.abs_diff(header_us.saturating_add(500_000)));
            on.should(
                D6,
                CLAUSE,
                apart_us.is_none_or(|us| us <= 1_500_000),
                "the clock and the Date of its answer differ by more than a second",
                || format!("{text}, Date: {:?}", answer.header("date")),
            );
            (at_us, 0)
        }
    };
    let half_us = answer.took_us() / 2;
    Some(Read {
        at_us,
        ours_us: wall_us.saturating_add(i64::try_from(half_us).unwrap_or(0)),
        doubt_us: doubt_us + half_us,
    })
}

/// All clocks of an MPD tell one time.
pub fn agree(on: &mut Scope<'_>, reads: &[Read]) {
    for pair in reads.windows(2) {
        let apart_us = pair[0].ahead_us().abs_diff(pair[1].ahead_us());
        let doubt_us = pair[0].doubt_us + pair[1].doubt_us + 50_000;
        on.timely(
            D6,
            dash!("5.8.4.11"),
            apart_us <= doubt_us,
            "two clocks of an MPD tell two times",
            || format!("{apart_us} us apart, {doubt_us} us may be the way"),
        );
    }
    for read in reads {
        on.should(
            D6,
            "practice: players without UTCTiming go by their own clock",
            read.ahead_us().unsigned_abs() <= 10_000_000,
            "the clock is more than ten seconds from this machine's",
            || format!("{} us ahead of ours", read.ahead_us()),
        );
        on.timely(
            D6,
            dash!("5.8.4.11"),
            read.doubt_us <= limits::JITTER_US + 500_000,
            "the clock takes so long that it cannot be read",
            || format!("{} us each way", read.doubt_us),
        );
    }
}
