//! One rendition over time: C7, C25, C28 to C31, C33 to C35.
//!
//! Versions go in one after the other. Two are kept; of the others remains
//! what rules over several renditions need.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{change, text};
use crate::answer::ms;
use crate::limits::{self, JITTER_US};
use crate::playlist::attributes::Attributes;
use crate::playlist::media::{Media, Segment};
use crate::rule::{C25, C28, C29, C30, C31, C33, C34, C35, C44};
use crate::uri::resolve;
use crate::verdict::{Level, Scope, Verdicts};

/// What is remembered of one rendition.
#[derive(Debug, Default)]
pub struct Follow {
    /// How it is called in findings.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Each time something was added to the list.
    pub log: Vec<Published>,
    /// Each rendition report that was new.
    pub reports: Vec<Reported>,
    /// Every segment seen, by number.
    pub timeline: BTreeMap<u64, Span>,
    /// Every date range seen, by ID.
    pub dateranges: BTreeMap<String, Ranged>,
    /// The newest version.
    pub latest: Option<Arc<Media>>,
    /// Duration of a frame.
    pub frame_us: u64,
    first: Option<Fixed>,
    first_us: u64,
    segment_us: u64,
    new_from: u64,
    removed: bool,
    part_bound: Option<u64>,
}

/// The list was longer than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// When it was seen.
    pub at_us: u64,
    /// What comes next, see [`Media::next`].
    pub next: (u64, u64),
    /// Newest part, see [`Media::newest`].
    pub newest: (u64, Option<u64>),
    /// Wall-clock end of the newest part.
    pub wall_us: Option<i64>,
}

/// What a rendition report said.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    /// When the list that carries it came.
    pub at_us: u64,
    /// Line in the list.
    pub line: usize,
    /// As printed.
    pub uri: String,
    /// What it means.
    pub address: String,
    /// `LAST-MSN`, or that of the carrying list.
    pub msn: u64,
    /// `LAST-PART`, if it is there.
    pub part: Option<u64>,
    /// That of the carrying list, which is meant where the rendition has parts
    /// and the report leaves it out.
    pub own_part: Option<u64>,
}

/// Where a segment is on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// By its date, or by that of one before it.
    pub wall_us: Option<i64>,
    /// `EXTINF`.
    pub duration_us: u64,
    /// Discontinuity sequence number.
    pub discontinuity: u64,
}

/// When a date range was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranged {
    /// When it was seen first; 0 if it was there from the first look.
    pub first_us: u64,
    /// When it was gone.
    pub gone_us: Option<u64>,
    attributes: Attributes,
}

/// What never changes.
#[derive(Clone, Debug, PartialEq)]
struct Fixed {
    target_s: Option<u64>,
    part_target: Option<String>,
    control: String,
}

impl Fixed {
    fn of(list: &Media) -> Self {
        let text = |attributes: &Attributes| attributes.to_string();
        Self {
            target_s: list.target_s,
            part_target: list.part_target.as_ref().map(|target| target.text.clone()),
            control: list.control.as_ref().map(text).unwrap_or_default(),
        }
    }
}

impl Follow {
    /// Nothing seen yet.
    pub fn new(name: &str, address: &str) -> Self {
        let (name, address) = (name.to_owned(), address.to_owned());
        Self {
            name,
            address,
            frame_us: text::FRAME_US,
            ..Self::default()
        }
    }

    /// Takes in a version that was whole at `at_us`. `poll_us` is how
    /// far apart looks are without blocking reload.
    pub fn see(&mut self, at_us: u64, list: Media, poll_us: u64, verdicts: &mut Verdicts) {
        let name = self.name.clone();
        let mut on = verdicts.of(&name);
        let unasked = list.skip.is_some();
        on.must(
            C25,
            "rfc8216bis 6.2.5.1",
            !unasked,
            "a delta came that nobody asked for",
            || format!("line {}", list.skip.as_ref().map_or(0, |skip| skip.line)),
        );
        if unasked {
            return;
        }
        text::media(&mut on, &list, self.new_from, self.frame_us);
        self.dates(&mut on, &list);
        if list.discontinuity_sequence.is_none() {
            let first = list.all().find(|segment| segment.starts_discontinuity);
            on.should(
                C30,
                "Apple 8.17",
                first.is_none(),
                "a discontinuity is listed without EXT-X-DISCONTINUITY-SEQUENCE",
                || format!("line {}", first.map_or(0, |segment| segment.line)),
            );
        }
        self.ranges(&mut on, at_us, &list);
        match self.latest.take() {
            None => {
                self.first = Some(Fixed::of(&list));
                (self.first_us, self.segment_us) = (at_us, at_us);
                self.publish(at_us, &list);
            }
            Some(old) => {
                self.fixed(&mut on, &list);
                change::kept(&mut on, &old, &list);
                self.removal(&mut on, &old, &list);
                if list.next() > old.next() {
                    change::hinted(&mut on, &old, &list);
                    self.pace(&mut on, at_us, &old, &list, poll_us);
                    self.publish(at_us, &list);
                }
            }
        }
        self.note(at_us, &list);
        self.new_from = self.new_from.max(list.next().0);
        self.latest = Some(Arc::new(list));
    }

    /// Judges what only the end of the watch tells.
    pub fn finish(&self, end_us: u64, verdicts: &mut Verdicts) {
        let Some(list) = self.latest.as_ref().filter(|list| !list.ended) else {
            return;
        };
        let mut on = verdicts.of(&self.name);
        let last_us = self.log.last().map_or(end_us, |last| last.at_us);
        // As while it is watched: parts may be late, but the list may not stand
        // still for longer than a segment may take.
        let bound_us = list.target_us() * 3 / 2 + JITTER_US;
        let gap_us = end_us.saturating_sub(last_us);
        on.timely(
            C31,
            "rfc8216bis 6.2.1",
            gap_us <= bound_us,
            "nothing more was published until the end of the watch",
            || format!("{} after {:?}", ms(gap_us), list.newest()),
        );
        let watched_us = end_us.saturating_sub(self.first_us);
        if watched_us > 6 * list.target_us() || self.removed {
            on.should(
                C35,
                "Apple 8.11",
                list.segments.len() >= 6,
                "fewer than six segments are listed",
                || format!("{} segments", list.segments.len()),
            );
        }
        let never = list.part_target.is_some() && !list.has_parts() && !list.iframes_only;
        on.should(
            crate::rule::C2,
            "practice: reloads run into their timeouts",
            !never,
            "EXT-X-PART-INF stands in a list without parts",
            || "no EXT-X-PART at the end of the watch".to_owned(),
        );
    }

    /// The newest position that was listed at a moment, by what was seen.
    pub fn at(&self, at_us: u64) -> Option<&Published> {
        let seen = self
            .log
            .partition_point(|published| published.at_us <= at_us);
        self.log[..seen].last()
    }

    /// When a position was first seen listed.
    pub fn listed_us(&self, msn: u64, part: Option<u64>) -> Option<u64> {
        let wanted = part.map_or((msn + 1, 0), |part| (msn, part + 1));
        let at = self
            .log
            .partition_point(|published| published.next < wanted);
        self.log.get(at).map(|published| published.at_us)
    }

    fn publish(&mut self, at_us: u64, list: &Media) {
        let Some(newest) = list.newest() else { return };
        if self.log.len() < limits::PUBLICATIONS_MAX {
            let (next, wall_us) = (list.next(), list.edge_wall_us());
            self.log.push(Published {
                at_us,
                next,
                newest,
                wall_us,
            });
        }
    }

    /// C28.
    fn fixed(&mut self, on: &mut Scope<'_>, list: &Media) {
        let (Some(first), now) = (&self.first, Fixed::of(list)) else {
            return;
        };
        let saw = || format!("at first {first:?}, now {now:?}");
        let target = now.target_s == first.target_s;
        on.must(
            C28,
            "rfc8216bis 6.2.1",
            target,
            "the target duration changed",
            saw,
        );
        let level = if list.ended { Level::Warn } else { Level::Fail };
        let part = now.part_target == first.part_target;
        on.judge(
            level,
            C28,
            "rfc8216bis 6.2.1, 4.4.3.7",
            part,
            "the part target changed",
            saw,
        );
        let control = now.control == first.control;
        on.judge(
            level,
            C28,
            "rfc8216bis 6.2.1, 4.4.3.8",
            control,
            "server control changed",
            saw,
        );
    }

    /// C31.
    fn pace(&mut self, on: &mut Scope<'_>, at_us: u64, old: &Media, list: &Media, poll_us: u64) {
        let slack_us = JITTER_US + poll_us;
        let edge = |list: &Media| {
            list.all()
                .next_back()
                .map_or(0, |segment| segment.discontinuity)
        };
        let fresh = |segment: &&Segment| segment.msn >= old.next().0;
        let gaps = list
            .all()
            .filter(fresh)
            .any(|s| s.gap || s.parts.iter().any(|part| part.gap));
        // A source that broke off shows so in the list; that is no lateness of the origin's.
        let broke = edge(list) > edge(old) || gaps;
        let level = if broke { Level::Warn } else { Level::Fail };
        let last_us = self.log.last().map_or(at_us, |last| last.at_us);
        let gap_us = at_us.saturating_sub(last_us);
        if let Some(part_us) = list.part_us().filter(|_| list.has_parts()) {
            let saw = || {
                let due = ms(part_us);
                format!(
                    "{} between {:?} and {:?}, part target {due}",
                    ms(gap_us),
                    old.newest(),
                    list.newest()
                )
            };
            let control = list.control.as_ref();
            let hold_back = control.and_then(|control| control.decimal("PART-HOLD-BACK"));
            let bound_us = hold_back.map_or(0, |back| back.value.us()).max(part_us);
            self.part_bound = Some(bound_us);
            // How late a part may be is for the source too; that the list stands
            // still for longer than a segment may take is a stall to any player.
            let stall_us = bound_us.max(list.target_us() * 3 / 2) + slack_us;
            let (level, what) = if gap_us <= bound_us + slack_us {
                (
                    Level::Warn,
                    "parts are further apart than the part target and half a second",
                )
            } else if broke {
                (
                    level,
                    "a break of the source kept parts back for longer than PART-HOLD-BACK",
                )
            } else if gap_us <= stall_us {
                (
                    Level::Warn,
                    "parts are further apart than PART-HOLD-BACK and half a second: players run dry",
                )
            } else {
                (
                    level,
                    "parts are further apart than 1.5 target durations and half a second",
                )
            };
            let in_time = gap_us <= part_us + slack_us;
            match level {
                Level::Fail => on.timely(C31, "rfc8216bis 6.2.1", in_time, what, saw),
                _ => on.judge(level, C31, "rfc8216bis 6.2.1", in_time, what, saw),
            };
        }
        if list.full() > old.full() {
            let gap_us = at_us.saturating_sub(self.segment_us);
            let bound_us = list.target_us() * 3 / 2 + slack_us;
            on.judge(
                level,
                C31,
                "rfc8216bis 6.2.1",
                gap_us <= bound_us,
                if broke {
                    "a break of the source kept segments back for longer than 1.5 target durations"
                } else {
                    "segments are further apart than 1.5 target durations and half a second"
                },
                || {
                    format!(
                        "{} until segment {:?}, target duration {}",
                        ms(gap_us),
                        list.full(),
                        ms(list.target_us())
                    )
                },
            );
            self.segment_us = at_us;
        }
    }

    /// C34 and C35: what left the list.
    fn removal(&mut self, on: &mut Scope<'_>, old: &Media, list: &Media) {
        let three_us = 3 * list.target_us();
        let part_us = list.part_us().unwrap_or(0);
        if list.media_sequence > old.media_sequence {
            self.removed = true;
            let typed = list.playlist_type.as_ref();
            on.must(
                C29,
                "rfc8216bis 6.2.1",
                typed.is_none(),
                "segments left a list that has a playlist type",
                || format!("EXT-X-PLAYLIST-TYPE:{}", typed.map_or("", |typed| typed)),
            );
            let lasts_us = list.duration_us();
            on.must(
                C35,
                "rfc8216bis 6.2.2",
                list.ended || lasts_us >= three_us,
                "a removal left less than three target durations",
                || format!("{} in {} segments", ms(lasts_us), list.segments.len()),
            );
        }
        let mut after_us = list.open.parts_us();
        for segment in list.segments.iter().rev() {
            let behind_us = after_us;
            after_us += segment.duration.value.us();
            let aged = behind_us > three_us + part_us;
            if !segment.parts.is_empty() {
                on.should(
                    C34,
                    "rfc8216bis 6.2.2",
                    !aged,
                    "parts are listed long after they should have left",
                    || {
                        format!(
                            "line {}: {} from the end, target duration {}",
                            segment.line,
                            ms(behind_us),
                            ms(list.target_us())
                        )
                    },
                );
                continue;
            }
            let had = old.segment(segment.msn).map_or(0, |old| old.parts.len());
            let early = had > 0 && behind_us + part_us < three_us;
            on.should(
                C34,
                "rfc8216bis 6.2.1, 6.2.2",
                !early,
                "parts left the list less than three target durations from its end",
                || {
                    format!(
                        "segment {} ends {} from the end",
                        segment.msn,
                        ms(behind_us)
                    )
                },
            );
        }
    }

    /// C33 within the list.
    fn dates(&mut self, on: &mut Scope<'_>, list: &Media) {
        if !list.ended || list.playlist_type.as_deref() != Some("VOD") {
            let any = list.all().any(|segment| segment.wall_us.is_some());
            on.should(
                C33,
                "rfc8216bis B.1; Apple 8.4",
                any || list.segments.is_empty(),
                "no segment has a date",
                || format!("{} segments", list.segments.len()),
            );
        }
        let mut before: Option<&Segment> = None;
        for segment in list.all() {
            let fresh = segment.msn >= self.new_from;
            // A date leads to the next one, but for a discontinuity.
            let due_us = before
                .filter(|_| fresh && !segment.starts_discontinuity)
                .and_then(|before| Some(before.wall_us? + before.duration.value.us() as i64));
            if let (Some(due_us), Some(wall_us)) = (due_us, segment.wall_us) {
                let off_us = wall_us.abs_diff(due_us);
                let saw = || {
                    format!(
                        "segment {} (line {}): {} off",
                        segment.msn,
                        segment.line,
                        ms(off_us)
                    )
                };
                let ambiguous = off_us >= 1_000_000;
                on.must(
                    C33,
                    "rfc8216bis 6.2.1",
                    !ambiguous,
                    "a date is a second or more from where the one before leads",
                    saw,
                );
                let close = ambiguous || off_us <= self.frame_us + 1000;
                on.should(
                    C33,
                    "rfc8216bis 4.4.4.6",
                    close,
                    "a date is more than a frame from where the one before leads",
                    saw,
                );
            }
            if fresh && !segment.uri.is_empty() {
                on.should(
                    C33,
                    "practice: dates may not be added when older segments leave",
                    segment.wall_us.is_some(),
                    "a segment has no date",
                    || format!("segment {} (line {})", segment.msn, segment.line),
                );
            }
            before = Some(segment);
        }
    }

    /// Remembers what comparisons between renditions need.
    fn note(&mut self, at_us: u64, list: &Media) {
        let mut wall_us: Option<i64> = None;
        for segment in &list.segments {
            wall_us = segment.wall_us.or(wall_us);
            let duration_us = segment.duration.value.us();
            if segment.msn >= self.new_from && self.timeline.len() < limits::ENTRIES_MAX {
                let discontinuity = segment.discontinuity;
                self.timeline.insert(
                    segment.msn,
                    Span {
                        wall_us,
                        duration_us,
                        discontinuity,
                    },
                );
            }
            wall_us = wall_us.map(|wall_us| wall_us + duration_us as i64);
        }
        let Some((own_msn, own_part)) = list.newest() else {
            return;
        };
        for report in list.reports.iter().take(limits::RENDITIONS_MAX * 2) {
            let uri = report.owned("URI").unwrap_or_default();
            if self.reports.len() < limits::PUBLICATIONS_MAX {
                self.reports.push(Reported {
                    at_us,
                    line: report.line,
                    address: resolve(&self.address, &uri),
                    uri,
                    msn: report.integer("LAST-MSN").unwrap_or(own_msn),
                    part: report.integer("LAST-PART"),
                    own_part,
                });
            }
        }
    }

    /// C44 as far as a list shows it, and the ages that C24 needs.
    fn ranges(&mut self, on: &mut Scope<'_>, at_us: u64, list: &Media) {
        let is_first = self.latest.is_none();
        for tag in &list.dateranges {
            let Some(id) = tag.get("ID") else { continue };
            if self.dateranges.len() >= limits::ENTRIES_MAX {
                break;
            }
            let known = self
                .dateranges
                .entry(id.to_owned())
                .or_insert_with(|| Ranged {
                    first_us: if is_first { 0 } else { at_us },
                    gone_us: None,
                    attributes: tag.clone(),
                });
            known.gone_us = None;
            let changed = tag.iter().find(|now| {
                known
                    .attributes
                    .get(&now.name)
                    .is_some_and(|before| before != now.value)
            });
            on.must(
                C44,
                "rfc8216bis 4.4.5.1",
                changed.is_none(),
                "an attribute of a date range changed",
                || {
                    format!(
                        "line {}: ID=\"{id}\", {}",
                        tag.line,
                        changed.map_or("", |changed| &changed.name)
                    )
                },
            );
            for name in ["SCTE35-CMD", "SCTE35-OUT", "SCTE35-IN"] {
                if let Some(hex) = tag.get(name) {
                    on.must(
                        C44,
                        "rfc8216bis 4.4.5.1.1",
                        change::is_splice(hex),
                        "a splice_info_section does not hold its CRC",
                        || format!("line {}: {name}={hex}", tag.line),
                    );
                }
            }
        }
        let there = |id: &str| list.dateranges.iter().any(|tag| tag.get("ID") == Some(id));
        for (id, known) in &mut self.dateranges {
            if known.gone_us.is_none() && !there(id) {
                known.gone_us = Some(at_us);
            }
        }
    }
}
