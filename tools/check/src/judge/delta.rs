//! Delta updates: C23 to C25.

use std::collections::BTreeMap;

use super::follow::Ranged;
use super::reload::Reload;
use crate::answer::ms;
use crate::decimal::Decimal;
use crate::limits::JITTER_US;
use crate::playlist::media::{Media, Segment};
use crate::rule::{C8, C23, C24, C25};
use crate::verdict::Scope;

const CLAUSE: &str = "rfc8216bis 4.4.5.2, 6.2.5.1";

/// C23: a delta against the full list of the same version.
pub fn delta(on: &mut Scope<'_>, full: &Media, delta: &Media) {
    for fault in delta
        .faults
        .iter()
        .filter(|fault| fault.clause != "rfc8216bis 4.4.3.1")
    {
        on.must(C8, fault.clause, false, fault.what, || fault.to_string());
    }
    let Some(until) = full.can_skip_until() else {
        return;
    };
    let Some(skip) = &delta.skip else {
        // Servers keep a margin; two target durations and a segment are enough.
        let margin = Decimal::whole(full.target_s.unwrap_or(0)).times(3);
        let old = old_segments(full, until.value.plus(margin));
        on.must(
            C23,
            CLAUSE,
            full.ended || old == 0,
            "a delta was asked for and the full list came",
            || format!("{old} segments are older than CAN-SKIP-UNTIL={until} and a margin"),
        );
        return;
    };
    let line = skip.line;
    on.must(
        C23,
        "rfc8216bis 6.2.5.1",
        !full.ended,
        "a delta came of a list that has ended",
        || format!("line {line}"),
    );
    on.should(
        C23,
        "practice: hls.js loads nothing after it",
        skip.segments > 0,
        "a delta skips nothing",
        || format!("line {line}: SKIPPED-SEGMENTS=0"),
    );
    on.must(
        C23,
        CLAUSE,
        delta.media_sequence == full.media_sequence,
        "a delta has another media sequence than the full list",
        || {
            format!(
                "{} in the delta, {} in full",
                delta.media_sequence, full.media_sequence
            )
        },
    );
    on.must(
        C23,
        CLAUSE,
        delta.discontinuity_sequence == full.discontinuity_sequence,
        "a delta has another discontinuity sequence than the full list",
        || {
            format!(
                "{:?} in the delta, {:?} in full",
                delta.discontinuity_sequence, full.discontinuity_sequence
            )
        },
    );
    let counts = (delta.count(), full.count());
    if !on.must(
        C23,
        CLAUSE,
        counts.0 == counts.1,
        "skipped and listed segments are not as many as the full list's",
        || {
            format!(
                "line {line}: {} skipped and {} listed, {} in full",
                skip.segments,
                delta.segments.len(),
                counts.1
            )
        },
    ) {
        return;
    }
    boundary(on, full, skip.segments, until.value, line);
    head(on, full, delta);
    body(on, full, delta);
}

/// Segments that end further from the end of the list than `boundary`.
fn old_segments(full: &Media, boundary: Decimal) -> usize {
    let mut behind = Decimal::default();
    let mut kept = 0;
    for segment in full.segments.iter().rev() {
        if behind > boundary {
            break;
        }
        behind = behind.plus(segment.duration.value);
        kept += 1;
    }
    full.segments.len() - kept
}

/// Nothing is skipped that ends inside the boundary. Whether the end of the list
/// is that of its last segment or of its last part is read both ways.
fn boundary(on: &mut Scope<'_>, full: &Media, skipped: u64, until: Decimal, line: usize) {
    let Some(last) = usize::try_from(skipped)
        .ok()
        .and_then(|count| count.checked_sub(1))
    else {
        return;
    };
    let Some(segment) = full.segments.get(last) else {
        return;
    };
    let whole_us: u64 = full.segments[last + 1..]
        .iter()
        .map(|segment| segment.duration.value.us())
        .sum();
    let to_the_end_us = whole_us + full.open.parts_us();
    let until_us = until.us();
    let saw = || {
        format!(
            "line {line}: segment {} ends {} from the end, CAN-SKIP-UNTIL is {}",
            segment.msn,
            ms(to_the_end_us),
            ms(until_us)
        )
    };
    // A millisecond is what rounding of printed durations may add up to.
    let outside = on.must(
        C23,
        CLAUSE,
        to_the_end_us + 1000 >= until_us,
        "a segment inside the skip boundary is skipped",
        saw,
    );
    on.should(
        C23,
        CLAUSE,
        !outside || whole_us + 1000 >= until_us,
        "a segment is skipped that is outside the boundary by its parts only",
        saw,
    );
}

fn head(on: &mut Scope<'_>, full: &Media, delta: &Media) {
    let same = delta.target_s == full.target_s
        && delta.part_target == full.part_target
        && delta.control.as_ref().map(ToString::to_string)
            == full.control.as_ref().map(ToString::to_string);
    on.must(
        C23,
        CLAUSE,
        same,
        "the head of a delta is not that of the full list",
        || format!("target {:?} and {:?}", delta.target_s, full.target_s),
    );
    let hints = |list: &Media| {
        list.hints
            .iter()
            .map(|hint| (hint.kind.clone(), hint.uri.clone(), hint.range))
            .collect::<Vec<_>>()
    };
    on.must(
        C23,
        CLAUSE,
        hints(delta) == hints(full),
        "a delta hints otherwise than the full list",
        || format!("{:?} in the delta, {:?} in full", hints(delta), hints(full)),
    );
}

/// What is kept equals the full list; a header that stands in the skipped part
/// carries over.
fn body(on: &mut Scope<'_>, full: &Media, delta: &Media) {
    let plain = |segment: &Segment| {
        let parts: Vec<_> = segment
            .parts
            .iter()
            .map(|part| {
                (
                    part.uri.clone(),
                    part.range,
                    part.duration.value,
                    part.gap,
                    part.independent,
                )
            })
            .collect();
        (
            segment.uri.clone(),
            segment.range,
            segment.duration.value,
            segment.wall_us,
            segment.gap,
            segment.starts_discontinuity,
            parts,
        )
    };
    let pairs = delta.segments.iter().chain([&delta.open]).map(|kept| {
        let found = if kept.uri.is_empty() {
            Some(&full.open)
        } else {
            full.segment(kept.msn)
        };
        (kept, found)
    });
    for (kept, found) in pairs {
        let same = found.is_some_and(|found| plain(found) == plain(kept));
        on.must(
            C23,
            CLAUSE,
            same,
            "a kept segment differs from the full list's",
            || {
                format!(
                    "segment {} (line {}): \"{}\"",
                    kept.msn, kept.line, kept.uri
                )
            },
        );
        let map = kept.map.is_none() || found.is_some_and(|found| found.map == kept.map);
        on.must(
            C23,
            CLAUSE,
            map,
            "a delta leads to another header than the full list",
            || format!("segment {} (line {})", kept.msn, kept.line),
        );
    }
}

/// C24: a second-version delta, with what was seen of date ranges before.
pub fn second(
    on: &mut Scope<'_>,
    full: &Media,
    delta: &Media,
    seen: &BTreeMap<String, Ranged>,
    now_us: u64,
) {
    let (Some(skip), Some(until)) = (&delta.skip, full.can_skip_until()) else {
        return;
    };
    let until_us = until.value.us();
    on.must(
        C24,
        CLAUSE,
        skip.removed.is_some(),
        "a second-version delta has no RECENTLY-REMOVED-DATERANGES",
        || format!("line {}", skip.line),
    );
    let there =
        |list: &Media, id: &str| list.dateranges.iter().any(|tag| tag.get("ID") == Some(id));
    let mut hides = false;
    for (id, range) in seen {
        let age_us = now_us.saturating_sub(range.first_us);
        let in_full = there(full, id);
        if in_full && !there(delta, id) {
            hides = true;
            let old = range.first_us == 0 || age_us + JITTER_US >= until_us;
            on.must(
                C24,
                CLAUSE,
                old,
                "a second-version delta leaves out a date range that is new",
                || {
                    format!(
                        "ID=\"{id}\" was added {} before, CAN-SKIP-UNTIL is {}",
                        ms(age_us),
                        ms(until_us)
                    )
                },
            );
        } else if in_full {
            let young = range.first_us == 0 || age_us <= until_us + JITTER_US;
            on.should(
                C24,
                CLAUSE,
                young,
                "a second-version delta repeats an old date range",
                || format!("ID=\"{id}\" was added {} before", ms(age_us)),
            );
        }
        let recently = range
            .gone_us
            .is_some_and(|gone_us| now_us.saturating_sub(gone_us) + JITTER_US < until_us);
        if recently && !in_full {
            let told = skip.removed.iter().flatten().any(|removed| removed == id);
            on.must(
                C24,
                CLAUSE,
                told,
                "a date range that was removed is not among RECENTLY-REMOVED-DATERANGES",
                || format!("ID=\"{id}\""),
            );
        }
    }
    let version = delta.version.as_ref().map_or(1, |version| version.value);
    on.must(
        C24,
        "rfc8216bis 8",
        !hides || version >= 10,
        "a delta that hides date ranges has a version below 10",
        || format!("EXT-X-VERSION:{version}"),
    );
}

/// C24: the directive where nothing was offered, or after the end.
pub fn ignored(
    on: &mut Scope<'_>,
    directive: &'static str,
    answer: &crate::answer::Answer,
    list: Option<&Media>,
) {
    let full = answer.is_ok() && list.is_some_and(|list| list.skip.is_none());
    on.must(
        C24,
        "rfc8216bis 6.2.5.1",
        full,
        "a delta directive is not ignored where deltas are not offered",
        || format!("{directive}: {}", answer.outcome()),
    );
}

/// C25: a delta and a blocking reload in one.
pub fn blocking(on: &mut Scope<'_>, reload: &Reload, expects_skip: bool) {
    let saw = || {
        format!(
            "_HLS_msn={}&_HLS_part={:?}&_HLS_skip=YES: {} after {}",
            reload.msn,
            reload.part,
            reload.answer.outcome(),
            ms(reload.answer.took_us())
        )
    };
    let holds = reload
        .list
        .as_ref()
        .is_some_and(|list| list.ended || list.holds(reload.msn, reload.part));
    let answered = reload.answer.status == 503 || (reload.answer.is_ok() && holds);
    on.must(
        C25,
        "rfc8216bis 6.2.5",
        answered,
        "a delta does not wait for what a reload asks for",
        saw,
    );
    let skips = reload
        .list
        .as_ref()
        .is_none_or(|list| list.ended || list.skip.is_some());
    on.must(
        C25,
        "rfc8216bis 6.2.5.1",
        !expects_skip || skips,
        "a blocking reload for a delta gets the full list",
        saw,
    );
}
