//! Requests on either side of what is available: D10 to D12.

use super::dash;
use super::text::readable;
use crate::answer::{Answer, ms};
use crate::fmp4;
use crate::limits;
use crate::rule::{D10, D11, D12, D20};
use crate::verdict::Scope;

const CLAUSE: &str = dash!("5.3.9.5.3");

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest that is promised by now.
    Newest,
    /// The oldest that the window holds.
    Oldest,
    /// The one after the newest, less than a segment early.
    Next,
    /// One that is many segments early.
    Far,
    /// One that the window has left long ago.
    Past,
    /// A name that no MPD ever said.
    Never,
}

/// A request, and when its answer was promised.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What for.
    pub wanted: Wanted,
    /// From when on it can be had, on the clock of the answer; of those that
    /// come.
    pub due_us: u64,
    /// What came.
    pub answer: Answer,
}

/// Judges one.
pub fn judge(on: &mut Scope<'_>, asked: &Asked) {
    let answer = &asked.answer;
    let saw = || format!("{}: {}", answer.address, answer.outcome());
    match asked.wanted {
        Wanted::Newest => {
            on.must(
                D10,
                CLAUSE,
                answer.is_ok(),
                "the newest segment that is promised is not there",
                saw,
            );
        }
        Wanted::Oldest => {
            on.must(
                D10,
                CLAUSE,
                answer.is_ok(),
                "a segment within the window is not there",
                saw,
            );
        }
        Wanted::Next => next(on, asked),
        Wanted::Far => far(on, answer),
        Wanted::Past => {
            let fine = matches!(answer.status, 404 | 410) || answer.is_ok();
            on.must(
                D12,
                "RFC 9110 15.5.11",
                fine,
                "a segment that has left the window is neither gone nor whole",
                saw,
            );
        }
        Wanted::Never => {
            on.must(
                D12,
                "RFC 9110 15.5.5",
                (400..500).contains(&answer.status),
                "a name that was never said is not refused",
                saw,
            );
            on.should(
                D12,
                "RFC 9110 15.5.5",
                matches!(answer.status, 404 | 410),
                "a name that was never said is refused otherwise than with 404",
                saw,
            );
        }
    }
    if answer.is_ok() {
        on.must(
            D12,
            CLAUSE,
            fmp4::is_iso(&answer.body),
            "an answer of 200 holds no media",
            saw,
        );
    } else if answer.status > 0 {
        refused(on, answer);
    }
    readable(on, answer);
}

/// D20: what is refused now may be good soon.
fn refused(on: &mut Scope<'_>, answer: &Answer) {
    let age_s = answer
        .cache_s("s-maxage")
        .or_else(|| answer.cache_s("max-age"));
    on.should(
        D20,
        "RFC 9111 4.2.2",
        answer.cache_says("no-store")
            || age_s.is_some_and(|age_s| age_s <= 1)
            || answer.status == 410,
        "a refusal may be kept for more than a second, or says nothing",
        || {
            format!(
                "status {} of {}, Cache-Control: {:?}",
                answer.status,
                answer.address,
                answer.list("cache-control")
            )
        },
    );
}

fn next(on: &mut Scope<'_>, asked: &Asked) {
    let answer = &asked.answer;
    let early_us = asked.due_us.saturating_sub(answer.sent_us);
    let saw = || {
        format!(
            "{}: {}, {} early",
            answer.address,
            answer.outcome(),
            ms(early_us)
        )
    };
    let held = answer.is_ok();
    on.must(
        D11,
        CLAUSE,
        held || matches!(answer.status, 404 | 425),
        "a segment that is a little early is neither held nor refused with 425 or 404",
        saw,
    );
    on.should(
        D11,
        "RFC 8470 5.2; practice: dash.js and ExoPlayer take a 404 for a loss",
        answer.status != 404,
        "a segment that is a little early gets 404",
        saw,
    );
    let too_soon_us = asked.due_us.saturating_sub(answer.head_us);
    on.should(
        D11,
        CLAUSE,
        !held || too_soon_us <= limits::JITTER_US,
        "a segment is there long before it is promised: availabilityTimeOffset could be larger",
        || format!("{}: {} before", answer.address, ms(too_soon_us)),
    );
}

fn far(on: &mut Scope<'_>, answer: &Answer) {
    let saw = || format!("{}: {}", answer.address, answer.outcome());
    on.must(
        D11,
        CLAUSE,
        matches!(answer.status, 404 | 425),
        "a segment far ahead is not refused with 425 or 404",
        saw,
    );
    on.should(
        D11,
        "RFC 8470 5.2",
        answer.status != 404,
        "a segment far ahead gets 404, as if it never came",
        saw,
    );
    on.timely(
        D11,
        "advice: nobody is held for what is far ahead",
        answer.took_us() <= limits::JITTER_US + limits::AT_ONCE_US,
        "a segment far ahead is not refused at once",
        || format!("{} after {}", saw(), ms(answer.took_us())),
    );
}
