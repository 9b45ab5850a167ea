//! Renditions beside each other: C3, C26, C30, C32, C33.

use super::follow::{Follow, Published, Reported, Span};
use crate::answer::ms;
use crate::limits::JITTER_US;
use crate::playlist::multivariant::Role;
use crate::rule::{C3, C26, C30, C32, C33};
use crate::uri::is_absolute;
use crate::verdict::{Scope, Verdicts};

/// A rendition and what it is for.
#[derive(Debug)]
pub struct Member<'a> {
    /// What it is for; a playlist that was given by itself is a variant.
    pub role: Role,
    /// Address as the multivariant playlist gives it.
    pub address: &'a str,
    /// What was seen of it.
    pub follow: &'a Follow,
}

/// Judges all that needs more than one rendition.
pub fn judge(members: &[Member<'_>], verdicts: &mut Verdicts) {
    if members.len() < 2 {
        for rule in [C3, C26, C32] {
            verdicts.of("").skip(rule, "there is one media playlist");
        }
        return;
    }
    let (first, others) = members.split_first().expect("two or more");
    for other in others {
        equal_head(first, other, verdicts);
    }
    for member in members {
        reports(member, members, verdicts);
        for other in members {
            let frames = member.role == Role::IFrames || other.role == Role::IFrames;
            if !std::ptr::eq(member, other) && !frames {
                in_step(member, other, verdicts);
                same_breaks(member, other, verdicts);
            }
        }
    }
}

/// C3.
fn equal_head(first: &Member<'_>, other: &Member<'_>, verdicts: &mut Verdicts) {
    let (Some(a), Some(b)) = (&first.follow.latest, &other.follow.latest) else {
        return;
    };
    let text = |list: &crate::playlist::media::Media| {
        list.control
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    let mut on = verdicts.of(&other.follow.name);
    on.must(
        C3,
        "rfc8216bis 6.2.4",
        text(a) == text(b),
        "EXT-X-SERVER-CONTROL differs between media playlists",
        || format!("{} here, {} in {}", text(b), text(a), first.follow.name),
    );
    on.must(
        C3,
        "rfc8216bis 6.2.4",
        a.target_s == b.target_s,
        "target durations differ between media playlists",
        || {
            format!(
                "{:?} here, {:?} in {}",
                b.target_s, a.target_s, first.follow.name
            )
        },
    );
}

/// C26.
fn reports(carrier: &Member<'_>, members: &[Member<'_>], verdicts: &mut Verdicts) {
    let Some(list) = &carrier.follow.latest else {
        return;
    };
    let mut on = verdicts.of(&carrier.follow.name);
    if carrier.role == Role::IFrames || list.ended || !list.can_block() {
        return on.skip(
            C26,
            "an I-frame playlist, one that has ended, or one without blocking reload",
        );
    }
    let expected = members
        .iter()
        .filter(|other| other.role != Role::IFrames && !std::ptr::eq(*other, carrier));
    let missing: Vec<_> = expected
        .filter(|other| {
            let mut newest = carrier.follow.reports.iter().rev().take(2 * members.len());
            !newest.any(|report| report.address == other.address)
        })
        .map(|other| other.address)
        .collect();
    let none = list.reports.is_empty();
    on.should(
        C26,
        "rfc8216bis B.1",
        !none,
        "there are no rendition reports",
        || "no EXT-X-RENDITION-REPORT".to_owned(),
    );
    on.must(
        C26,
        "rfc8216bis 4.4.5.4, B.1",
        none || missing.is_empty(),
        "a rendition has no report where others have",
        || missing.join(", "),
    );
    for report in &carrier.follow.reports {
        let saw = || format!("line {}: URI=\"{}\"", report.line, report.uri);
        on.must(
            C26,
            "rfc8216bis 4.4.5.4",
            !is_absolute(&report.uri),
            "the URI of a report is not relative",
            saw,
        );
        let other = members.iter().find(|other| other.address == report.address);
        on.should(
            C26,
            "practice: players look reports up by URI",
            other.is_some(),
            "a report leads to no URI of the multivariant playlist",
            || {
                format!(
                    "line {}: \"{}\" means {}",
                    report.line, report.uri, report.address
                )
            },
        );
        if let Some(other) = other {
            on.should(
                C26,
                "rfc8216bis 4.4.5.4",
                !std::ptr::eq(other, carrier),
                "a report is about the list that carries it",
                saw,
            );
            current(&mut on, report, other.follow);
        }
    }
}

/// A report against what its rendition published around that moment.
fn current(on: &mut Scope<'_>, report: &Reported, other: &Follow) {
    let target_us = other.latest.as_ref().and_then(|list| list.part_us());
    let part_us = target_us.unwrap_or(0);
    // A rendition of whole segments has no last part that could be left out.
    let left_out = report.own_part.filter(|_| target_us.is_some());
    let says = (report.msn, report.part.or(left_out));
    // Before the first look at the other list nothing is known of it.
    let known = other
        .log
        .get(1)
        .is_some_and(|second| report.at_us > second.at_us + JITTER_US + part_us);
    if !known {
        return;
    }
    let saw = |what: &Published| {
        format!(
            "line {}: {} says {:?}, that list had {:?}",
            report.line, report.uri, says, what.newest
        )
    };
    let before = report.at_us.saturating_sub(part_us + JITTER_US);
    if let Some(then) = other.at(before) {
        let fresh = newer_or_same(says, then.newest);
        on.timely(
            C26,
            "rfc8216bis 4.4.5.4",
            fresh,
            "a report is older than its rendition by more than a part",
            || saw(then),
        );
    }
    let later = report.at_us + part_us + JITTER_US;
    // What comes after the end of the watch is not known.
    if let Some(then) = other
        .at(later)
        .filter(|_| other.log.last().is_some_and(|last| last.at_us >= later))
    {
        let there = newer_or_same(then.newest, says);
        on.timely(
            C26,
            "rfc8216bis 4.4.5.4",
            there,
            "a report is ahead of its rendition",
            || saw(then),
        );
    }
}

fn newer_or_same(a: (u64, Option<u64>), b: (u64, Option<u64>)) -> bool {
    // A segment without parts listed is newer than each of its parts.
    let rank = |part: Option<u64>| part.unwrap_or(u64::MAX);
    a.0 > b.0 || (a.0 == b.0 && (rank(a.1) >= rank(b.1) || a.1.is_none()))
}

/// C32: when one rendition has reached a moment, another is no more than a part
/// behind it.
fn in_step(ahead: &Member<'_>, behind: &Member<'_>, verdicts: &mut Verdicts) {
    let part_us = |member: &Member<'_>| {
        member
            .follow
            .latest
            .as_ref()
            .and_then(|list| list.part_us())
    };
    let Some(part_us) = part_us(ahead).max(part_us(behind)) else {
        return;
    };
    let target_us = ahead
        .follow
        .latest
        .as_ref()
        .map_or(0, |list| list.target_us());
    let mut on = verdicts.of(&behind.follow.name);
    for published in ahead.follow.log.iter().skip(1) {
        let until_us = published.at_us + JITTER_US;
        let known = behind
            .follow
            .log
            .last()
            .is_some_and(|last| last.at_us >= until_us);
        let then = behind
            .follow
            .at(until_us)
            .filter(|_| known)
            .and_then(|then| then.wall_us);
        let (Some(edge_us), Some(then_us)) = (published.wall_us, then) else {
            continue;
        };
        let lag_us = u64::try_from(edge_us - then_us).unwrap_or(0);
        let saw = || {
            let (name, part) = (&ahead.follow.name, ms(part_us));
            format!(
                "{} behind {name} at {:?}, part target {part}",
                ms(lag_us),
                published.newest
            )
        };
        let far = lag_us > part_us + target_us;
        on.timely(
            C32,
            "rfc8216bis B.1",
            !far,
            "a rendition is more than a target duration behind another",
            saw,
        );
        let close = far || lag_us <= part_us;
        on.should(
            C32,
            "rfc8216bis B.1",
            close,
            "a rendition is more than a part behind another for half a second",
            saw,
        );
    }
}

/// C30 across renditions: what plays at one moment has one discontinuity number.
fn same_breaks(one: &Member<'_>, other: &Member<'_>, verdicts: &mut Verdicts) {
    let mut on = verdicts.of(&one.follow.name);
    let dated = |follow: &Follow| -> Vec<Span> {
        let spans = follow.timeline.values();
        spans
            .filter(|span| span.wall_us.is_some())
            .copied()
            .collect()
    };
    let mut others = dated(other.follow);
    // Dates may overlap around a break; a moment that two segments claim says nothing.
    others.sort_by_key(|span| span.wall_us);
    for span in dated(one.follow) {
        let middle_us = span.wall_us.unwrap_or(0) + span.duration_us as i64 / 2;
        let holds = |other: &&Span| {
            let from_us = other.wall_us.unwrap_or(0);
            (from_us..from_us + other.duration_us as i64).contains(&middle_us)
        };
        let near = others.partition_point(|other| other.wall_us.unwrap_or(0) <= middle_us);
        let mut claims = others[near.saturating_sub(4)..near].iter().filter(holds);
        let (Some(found), None) = (claims.next(), claims.next()) else {
            continue;
        };
        on.must(
            C30,
            "rfc8216bis 6.2.4",
            found.discontinuity == span.discontinuity,
            "discontinuity numbers differ between renditions",
            || {
                format!(
                    "{} here at {middle_us} us, {} in {}",
                    span.discontinuity, found.discontinuity, other.follow.name
                )
            },
        );
    }
}

/// How media time lies on the wall clock in one rendition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor {
    /// Discontinuity sequence number.
    pub discontinuity: u64,
    /// Wall-clock time less media time.
    pub offset_us: i64,
    /// What it may be off by.
    pub frame_us: u64,
}

/// C33 across renditions: one mapping of media time to the wall clock.
pub fn mapping(renditions: &[(&str, &[Anchor])], verdicts: &mut Verdicts) {
    for (index, (name, anchors)) in renditions.iter().enumerate() {
        for (other, others) in &renditions[..index] {
            for anchor in *anchors {
                let Some(found) = others
                    .iter()
                    .find(|o| o.discontinuity == anchor.discontinuity)
                else {
                    continue;
                };
                let off_us = anchor.offset_us.abs_diff(found.offset_us);
                let frame_us = anchor.frame_us.max(found.frame_us) + 2000;
                let saw = || {
                    format!(
                        "{} apart from {other} in discontinuity {}",
                        ms(off_us),
                        anchor.discontinuity
                    )
                };
                let mut on = verdicts.of(name);
                let far = off_us > 2 * frame_us + 100_000;
                on.must(
                    C33,
                    "rfc8216bis 6.2.4",
                    !far,
                    "dates map media time otherwise than in another rendition",
                    saw,
                );
                on.should(
                    C33,
                    "rfc8216bis 6.2.4",
                    far || off_us <= frame_us,
                    "dates differ from another rendition's by more than a frame",
                    saw,
                );
            }
        }
    }
}
