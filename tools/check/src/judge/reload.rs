//! Blocking reloads: C9 to C18.

use super::follow::Follow;
use crate::answer::{Answer, ms};
use crate::limits::{AT_ONCE_US, JITTER_US};
use crate::playlist::media::Media;
use crate::rule::{C9, C10, C11, C12, C13, C14, C15, C16, C17, C18, Rule};
use crate::verdict::Scope;

const CLAUSE: &str = "rfc8216bis 6.2.5.2";

/// A blocking reload and what came of it.
#[derive(Clone, Debug)]
pub struct Reload {
    /// `_HLS_msn`.
    pub msn: u64,
    /// `_HLS_part`.
    pub part: Option<u64>,
    /// What came.
    pub answer: Answer,
    /// The list in it, if there is one.
    pub list: Option<Media>,
}

impl Reload {
    fn place(&self) -> String {
        match self.part {
            Some(part) => format!("_HLS_msn={}&_HLS_part={part}", self.msn),
            None => format!("_HLS_msn={}", self.msn),
        }
    }

    fn saw(&self) -> String {
        let newest = self.list.as_ref().and_then(Media::newest);
        let list = newest.map_or(String::new(), |newest| format!(", newest {newest:?}"));
        format!(
            "{}: {} after {}{list}",
            self.place(),
            self.answer.outcome(),
            ms(self.answer.took_us())
        )
    }

    fn holds(&self) -> bool {
        self.list
            .as_ref()
            .is_some_and(|list| list.ended || list.holds(self.msn, self.part))
    }
}

/// C9: `_HLS_part` alone.
pub fn part_alone(on: &mut Scope<'_>, answer: &Answer) {
    on.must(
        C9,
        CLAUSE,
        answer.status == 400,
        "_HLS_part without _HLS_msn is not refused with 400",
        || format!("_HLS_part=0: {}", answer.outcome()),
    );
}

/// C10: what is no decimal integer.
pub fn no_number(on: &mut Scope<'_>, value: &str, answer: &Answer) {
    let saw = || {
        format!(
            "_HLS_msn={value}: {} after {}",
            answer.outcome(),
            ms(answer.took_us())
        )
    };
    let broke = answer.status >= 500 || answer.trouble.is_some();
    on.must(
        C10,
        "rfc8216bis 6.2.5",
        !broke,
        "a directive that is no number breaks the server or holds it up",
        saw,
    );
    on.should(
        C10,
        "rfc8216bis 6.2.5",
        broke || answer.status == 400,
        "a directive that is no number is not refused with 400",
        saw,
    );
}

/// C11: far ahead of `full`, the newest whole segment.
pub fn too_far(on: &mut Scope<'_>, reload: &Reload, full: u64, round_trip_us: u64) {
    let saw = || format!("newest whole segment {full}, {}", reload.saw());
    let refused = reload.answer.status == 400;
    on.should(
        C11,
        CLAUSE,
        refused,
        "a reload more than two segments ahead is not refused with 400",
        saw,
    );
    let late_us = round_trip_us + AT_ONCE_US;
    let at_once = !refused || reload.answer.took_us() <= late_us;
    on.should(
        C11,
        CLAUSE,
        at_once,
        "a reload too far ahead is refused, but not at once",
        saw,
    );
    whole(on, reload);
}

/// C12: a reload for a part that was to come, against the same part's
/// publication as another connection saw it.
pub fn coming(on: &mut Scope<'_>, reload: &Reload, follow: &Follow) {
    let due = reload.answer.status == 503 || reload.answer.is_ok();
    on.must(
        C12,
        CLAUSE,
        due,
        "a reload for a coming part is refused",
        || reload.saw(),
    );
    whole(on, reload);
    let part_us = follow
        .latest
        .as_ref()
        .and_then(|list| list.part_us())
        .unwrap_or(0);
    // With an index behind the last one of its segment, the next one's first
    // part answers; that is when the list holds it, not before.
    let listed = follow.log.iter().find(|seen| {
        let part = reload.part.unwrap_or(0);
        seen.next > (reload.msn + 1, 0) || (seen.next.0 == reload.msn && seen.next.1 > part)
    });
    if let (Some(listed), true) = (listed, reload.answer.is_ok()) {
        let since_us = listed.at_us.max(reload.answer.sent_us);
        let late_us = reload.answer.done_us.saturating_sub(since_us);
        on.timely(
            C12,
            CLAUSE,
            late_us <= part_us + JITTER_US,
            "an answer comes more than a part after what it waited for",
            || format!("{} late: {}", ms(late_us), reload.saw()),
        );
    }
}

/// C13: one past the last part of a closed segment.
pub fn past_the_end(on: &mut Scope<'_>, reload: &Reload) {
    let well = reload.answer.is_ok() && reload.holds();
    on.must(
        C13,
        CLAUSE,
        well,
        "a part index past the end of a segment is not the next one's first part",
        || reload.saw(),
    );
}

/// C14: a segment that has left the list; `before` was fetched just before.
pub fn past(on: &mut Scope<'_>, reload: &Reload, before: &Media, round_trip_us: u64) {
    let ok = on.must(
        C14,
        CLAUSE,
        reload.answer.is_ok(),
        "a reload for the past is refused",
        || reload.saw(),
    );
    if !ok {
        return;
    }
    let current = reload
        .list
        .as_ref()
        .is_some_and(|list| list.next() >= before.next());
    on.must(
        C14,
        CLAUSE,
        current,
        "a reload for the past is answered with an old list",
        || reload.saw(),
    );
    let at_once = reload.answer.took_us() <= round_trip_us + AT_ONCE_US + JITTER_US;
    on.timely(
        C14,
        CLAUSE,
        at_once,
        "a reload for the past is held",
        || reload.saw(),
    );
}

/// C15: the open segment, no part named.
pub fn whole_segment(on: &mut Scope<'_>, reload: &Reload) {
    let ok = reload.answer.is_ok() || reload.answer.status == 503;
    on.must(
        C15,
        CLAUSE,
        ok,
        "a reload for the open segment is refused",
        || reload.saw(),
    );
    on.must(
        C15,
        CLAUSE,
        !reload.answer.is_ok() || reload.holds(),
        "a reload without part is answered before its segment is whole",
        || reload.saw(),
    );
    whole(on, reload);
}

/// C16: every blocking answer.
pub fn whole(on: &mut Scope<'_>, reload: &Reload) {
    if reload.answer.is_ok() {
        on.must(
            C16,
            CLAUSE,
            reload.holds(),
            "a blocking reload is answered without what it asked for",
            || reload.saw(),
        );
        return;
    }
    let fit = matches!(reload.answer.status, 400 | 503) && reload.answer.trouble.is_none();
    let gone = matches!(reload.answer.status, 404 | 410);
    on.should(
        C16,
        "practice: players retry plainly on 400 and 503 alone",
        fit || !gone,
        "a blocking reload ends with 404 or 410",
        || reload.saw(),
    );
    on.must(
        C16,
        CLAUSE,
        fit || gone,
        "a blocking reload ends with neither 200, 400 nor 503",
        || reload.saw(),
    );
}

/// C17: one request written in several ways; the first is the plain one.
pub fn ways(on: &mut Scope<'_>, answers: &[Answer]) {
    let Some((plain, others)) = answers.split_first() else {
        return;
    };
    for other in others {
        let same = match_of(plain, other);
        on.should(
            C17,
            "rfc8216bis 6.2.5, 6.3.2",
            same != Match::Differs,
            "the order of parameters or a foreign one changes the answer",
            || {
                format!(
                    "{}: {}, {}: {}",
                    query(plain),
                    plain.outcome(),
                    query(other),
                    other.outcome()
                )
            },
        );
    }
}

/// C18: two requests at once, and the same later.
pub fn twice(on: &mut Scope<'_>, pair: &[Answer; 2], again: &Reload) {
    let [a, b] = pair;
    let saw = || format!("{}: {} and {}", query(a), a.outcome(), b.outcome());
    let same = match_of(a, b);
    on.must(
        C18,
        "rfc8216bis B.1",
        same != Match::Differs,
        "the same request twice at once gives two lists",
        saw,
    );
    on.should(
        C18,
        "rfc8216bis B.1",
        same != Match::ReportsDiffer,
        "the same request twice at once gives other rendition reports",
        saw,
    );
    let first = a.text().map(|text| Media::parse(&a.address, text));
    let older = match (&first, &again.list) {
        (Some(first), Some(again)) => again.next() < first.next(),
        _ => true,
    };
    on.must(
        C18,
        "rfc8216bis B.1",
        again.answer.is_ok() && !older,
        "a repeated request is refused or gets an older list",
        || again.saw(),
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Match {
    Same,
    ReportsDiffer,
    /// Both hold it, but one was drawn later: not comparable.
    Later,
    Differs,
}

fn match_of(a: &Answer, b: &Answer) -> Match {
    if a.status == b.status && a.body == b.body {
        return Match::Same;
    }
    let (Some(left), Some(right)) = (a.text(), b.text()) else {
        return Match::Differs;
    };
    if !a.is_ok() || !b.is_ok() {
        return Match::Differs;
    }
    let (lists, text) = (
        (Media::parse("", left), Media::parse("", right)),
        |text: &str| {
            let kept = text
                .lines()
                .filter(|line| !line.starts_with("#EXT-X-RENDITION-REPORT"));
            kept.map(str::to_owned).collect::<Vec<_>>()
        },
    );
    match (text(left) == text(right), lists.0.next() == lists.1.next()) {
        (true, _) => Match::ReportsDiffer,
        (false, false) => Match::Later,
        (false, true) => Match::Differs,
    }
}

fn query(answer: &Answer) -> &str {
    answer
        .address
        .split_once('?')
        .map_or("", |(_, query)| query)
}

/// Rules that need blocking reload.
pub const BLOCKING: &[Rule] = &[C9, C10, C11, C12, C13, C14, C15, C16, C17, C18];
