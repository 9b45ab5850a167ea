//! An MPD over time: D7 to D9.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dash;
use crate::limits;
use crate::mpd::template::{Run, Template};
use crate::mpd::xml::Element;
use crate::mpd::{Mpd, Period, Representation};
use crate::rule::{D7, D8, D9};
use crate::verdict::Scope;

const UPDATE: &str = dash!("5.4");

/// One version as it came.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// By the clock of the MPD, in microseconds since 1970.
    pub seen_us: i64,
    /// What came.
    pub mpd: Mpd,
    /// The same as text.
    pub body: Vec<u8>,
    /// `ETag`.
    pub etag: Option<String>,
}

/// Versions in the order in which they came.
#[derive(Debug, Default)]
pub struct Follow {
    /// Those that differ, the newest last.
    pub versions: Vec<Arc<Snapshot>>,
    /// When the MPD was looked at last.
    looked_us: i64,
}

impl Follow {
    /// The newest.
    pub fn latest(&self) -> Option<&Arc<Snapshot>> {
        self.versions.last()
    }

    /// Takes a version in; says whether it is a new one.
    pub fn see(&mut self, on: &mut Scope<'_>, now: Snapshot) -> bool {
        published(on, &now);
        let looked_us = std::mem::replace(&mut self.looked_us, now.seen_us);
        if let Some(before) = self.versions.last() {
            if !moved(on, before, &now) {
                return false;
            }
            kept(on, &before.mpd, &now.mpd);
            for period in &now.mpd.periods {
                let was = before.mpd.periods.iter().find(|was| was.id == period.id);
                window(on, &before.mpd, &now, was, period);
                let since_us = now.seen_us.saturating_sub(looked_us);
                in_time(on, &now, was, period, since_us);
            }
        }
        self.versions.push(Arc::new(now));
        if self.versions.len() > limits::MPD_VERSIONS_MAX {
            self.versions.remove(0);
        }
        true
    }

    /// Judges an answer of 304 to a request with the newest ETag.
    pub fn same(&mut self, on: &mut Scope<'_>, now_us: i64) {
        on.must(D7, "RFC 9110 13.1.2", true, "", String::new);
        self.looked_us = now_us;
    }
}

fn published(on: &mut Scope<'_>, now: &Snapshot) {
    if let Some(published_us) = now.mpd.published_us.filter(|_| now.mpd.is_dynamic) {
        let ahead_us = published_us.saturating_sub(now.seen_us);
        on.timely(
            D7,
            dash!("5.3.1.2"),
            ahead_us <= limits::JITTER_US as i64,
            "publishTime is in the future",
            || format!("by {ahead_us} us"),
        );
    }
}

/// All but what names the version itself.
fn content(mpd: &Mpd) -> Element {
    let mut tree = mpd.tree.clone();
    tree.set("publishTime", None);
    tree.children.retain(|child| child.name != "PatchLocation");
    tree
}

/// D7: whether `now` is another version than `before`.
fn moved(on: &mut Scope<'_>, before: &Snapshot, now: &Snapshot) -> bool {
    const CLAUSE: &str = dash!("5.3.1.2");
    let times = || {
        format!(
            "publishTime {:?}, then {:?}",
            before.mpd.tree.attribute("publishTime"),
            now.mpd.tree.attribute("publishTime")
        )
    };
    if before.body == now.body {
        on.must(
            D7,
            "RFC 9110 8.8.3",
            before.etag == now.etag,
            "the ETag changes, the MPD does not",
            || format!("{:?}, then {:?}", before.etag, now.etag),
        );
        return false;
    }
    on.must(
        D7,
        "RFC 9110 8.8.3",
        before.etag.is_none() || before.etag != now.etag,
        "the MPD changes, its ETag does not",
        || format!("{:?}", now.etag),
    );
    on.should(
        D7,
        "RFC 9110 8.8.3",
        now.etag.is_some(),
        "an MPD has no ETag: it is sent whole however often it is looked at",
        String::new,
    );
    let (was, is) = (before.mpd.published_us, now.mpd.published_us);
    if before.mpd.tree == now.mpd.tree {
        on.should(
            D7,
            CLAUSE,
            false,
            "an MPD that says the same is written otherwise",
            times,
        );
        return false;
    }
    let differs = content(&before.mpd).difference(&content(&now.mpd));
    match differs {
        None => {
            on.must(
                D7,
                CLAUSE,
                false,
                "publishTime moves and nothing else does",
                times,
            );
        }
        Some(at) => {
            on.must(
                D7,
                CLAUSE,
                was < is,
                "the MPD changes and publishTime does not rise",
                || format!("{}; {at}", times()),
            );
        }
    }
    true
}

/// D8.
fn kept(on: &mut Scope<'_>, before: &Mpd, now: &Mpd) {
    for (name, what) in [
        ("id", "the id of the MPD changes"),
        ("availabilityStartTime", "availabilityStartTime changes"),
        ("profiles", "the profiles change"),
    ] {
        let [was, is] = [before, now].map(|mpd| mpd.tree.attribute(name));
        on.must(D8, UPDATE, was == is, what, || {
            format!("{was:?}, then {is:?}")
        });
    }
    on.must(
        D8,
        UPDATE,
        before.is_dynamic || !now.is_dynamic,
        "a static MPD becomes dynamic",
        String::new,
    );
    let place = |of: &Mpd, id: &str| of.periods.iter().position(|period| period.id == id);
    let mut last = None;
    for was in &before.periods {
        match place(now, &was.id) {
            None => {
                on.must(
                    D8,
                    UPDATE,
                    last.is_none(),
                    "a Period vanishes behind one that stays",
                    || was.id.clone(),
                );
            }
            Some(at) => {
                on.must(
                    D8,
                    UPDATE,
                    last.is_none_or(|last| last < at),
                    "Periods change places",
                    || was.id.clone(),
                );
                last = Some(at);
                period(on, was, &now.periods[at]);
            }
        }
    }
    on.must(
        D8,
        UPDATE,
        before.periods.is_empty() || last.is_some(),
        "no Period stays: what is played is gone",
        || format!("{} Periods are new", now.periods.len()),
    );
    if let Some(last) = last {
        let between = now.periods[..last]
            .iter()
            .find(|period| place(before, &period.id).is_none());
        on.must(
            D8,
            UPDATE,
            between.is_none(),
            "a Period appears before one that was there",
            || between.map_or(String::new(), |period| period.id.clone()),
        );
    }
}

fn period(on: &mut Scope<'_>, was: &Period, now: &Period) {
    on.must(
        D8,
        UPDATE,
        was.start_us == now.start_us,
        "the start of a Period moves",
        || format!("{}: {:?}, then {:?} us", was.id, was.start_us, now.start_us),
    );
    on.must(
        D8,
        UPDATE,
        was.end_us.is_none() || was.end_us == now.end_us,
        "the end of a Period moves after it was said",
        || format!("{}: {:?}, then {:?} us", was.id, was.end_us, now.end_us),
    );
    for old in &was.representations {
        let Some(new) = now.representation(&old.id) else {
            on.must(
                D8,
                UPDATE,
                false,
                "a Representation vanishes from its Period",
                || format!("{} of {}", old.id, was.id),
            );
            continue;
        };
        same(on, old, new);
        if let (Some(was), Some(is)) = (&old.template, &new.template) {
            addressing(on, &old.id, was, is);
        }
    }
    let mut all = now.representations.iter();
    // One that is called otherwise has vanished.
    let fresh = all
        .find(|new| was.representation(&new.id).is_none())
        .filter(|_| was.representations.len() < now.representations.len());
    on.should(
        D8,
        UPDATE,
        fresh.is_none(),
        "a Representation appears within a Period",
        || fresh.map_or(String::new(), |new| format!("{} of {}", new.id, now.id)),
    );
}

fn same(on: &mut Scope<'_>, old: &Representation, new: &Representation) {
    let pairs = [
        (
            "the codecs of a Representation change",
            &old.codecs,
            &new.codecs,
        ),
        (
            "the mimeType of a Representation changes",
            &old.mime,
            &new.mime,
        ),
    ];
    for (what, was, is) in pairs {
        on.must(D8, UPDATE, was == is, what, || {
            format!("{}: {was:?}, then {is:?}", old.id)
        });
    }
    on.must(
        D8,
        UPDATE,
        old.set == new.set,
        "a Representation changes its set",
        || format!("{}: {}, then {}", old.id, old.set, new.set),
    );
    on.must(
        D8,
        UPDATE,
        old.header() == new.header(),
        "the header of a Representation changes within a Period",
        || format!("{:?}, then {:?}", old.header(), new.header()),
    );
    on.should(
        D8,
        UPDATE,
        old.bandwidth == new.bandwidth,
        "the bandwidth of a Representation changes within a Period",
        || format!("{}: {}, then {}", old.id, old.bandwidth, new.bandwidth),
    );
}

fn addressing(on: &mut Scope<'_>, id: &str, was: &Template, is: &Template) {
    let numbers = [
        (
            "the timescale changes within a Period",
            was.timescale,
            is.timescale,
        ),
        (
            "presentationTimeOffset changes within a Period",
            was.offset,
            is.offset,
        ),
    ];
    for (what, was, is) in numbers {
        on.must(D8, UPDATE, was == is, what, || {
            format!("{id}: {was}, then {is}")
        });
    }
    on.must(
        D8,
        UPDATE,
        was.media == is.media,
        "segments are called otherwise than before",
        || format!("{id}: {}, then {}", was.media, is.media),
    );
    let (Some(old), Some(new)) = (&was.timeline, &is.timeline) else {
        let [a, b] = [was, is].map(|of| (of.first, of.duration));
        on.must(
            D8,
            UPDATE,
            a == b,
            "the grid of numbers changes within a Period",
            || format!("{id}: startNumber and duration {a:?}, then {b:?}"),
        );
        return;
    };
    let known: BTreeMap<u64, Run> = new.segments().map(|run| (run.time, run)).collect();
    let (Some((&first, _)), Some((&last, _))) = (known.first_key_value(), known.last_key_value())
    else {
        return;
    };
    let newest = old.segments_backwards().next().map(|run| run.time);
    let mut listed = old
        .segments()
        .filter(|run| (first..=last).contains(&run.time));
    listed.by_ref().for_each(|run| {
        let Some(now) = known.get(&run.time) else {
            on.must(
                D8,
                UPDATE,
                false,
                "a listed segment vanishes from within a timeline",
                || format!("{id}: {} at {}", run.number, run.time),
            );
            return;
        };
        on.must(
            D8,
            UPDATE,
            now.number == run.number,
            "a segment changes its number",
            || format!("{id}: at {}: {}, then {}", run.time, run.number, now.number),
        );
        let saw = || {
            format!(
                "{id}: at {}: {}, then {}",
                run.time, run.duration, now.duration
            )
        };
        // The one under way may be listed before its end is known.
        if Some(run.time) == newest {
            on.should(
                D8,
                UPDATE,
                now.duration == run.duration,
                "the newest segment lasts otherwise than it was listed first",
                saw,
            );
        } else {
            on.must(
                D8,
                UPDATE,
                now.duration == run.duration,
                "a listed segment changes its duration",
                saw,
            );
        }
    });
}

/// D9: what is not listed any more has left the window.
fn window(on: &mut Scope<'_>, before: &Mpd, now: &Snapshot, was: Option<&Period>, period: &Period) {
    let (Some(was), Some(window_us)) = (was, now.mpd.window_us) else {
        return;
    };
    let window_us = i64::try_from(window_us).unwrap_or(i64::MAX);
    for old in &was.representations {
        let new = period
            .representation(&old.id)
            .and_then(|new| new.template.as_ref());
        let (Some(old_of), Some(new_of)) = (&old.template, new) else {
            continue;
        };
        let (Some(listed), Some(left)) = (&old_of.timeline, &new_of.timeline) else {
            continue;
        };
        let Some(first) = left.segments().next() else {
            continue;
        };
        let gone = listed
            .segments()
            .take_while(|run| run.time < first.time)
            .last();
        let Some(end_us) = gone.and_then(|run| was.wall_us(before, old_of.in_period_us(run.end())))
        else {
            continue;
        };
        let ago_us = now.seen_us.saturating_sub(end_us);
        on.must(
            D9,
            dash!("5.3.9.5.3"),
            ago_us.saturating_add(limits::JITTER_US as i64) >= window_us,
            "a segment is taken from the timeline while it is in the window",
            || {
                format!(
                    "{}: it ended {ago_us} us ago, the window is {window_us} us",
                    old.id
                )
            },
        );
    }
}

/// D9: a timeline lists what can be had since it was looked at last.
fn in_time(
    on: &mut Scope<'_>,
    now: &Snapshot,
    was: Option<&Period>,
    period: &Period,
    since_us: i64,
) {
    for new in &period.representations {
        let Some(template) = &new.template else {
            continue;
        };
        let newest = |of: &Template| of.timeline.as_ref()?.segments_backwards().next();
        let old = was
            .and_then(|was| was.representation(&new.id))
            .and_then(|old| newest(old.template.as_ref()?));
        let (Some(old), Some(run)) = (old, newest(template)) else {
            continue;
        };
        if run.time <= old.time {
            continue;
        }
        let due_us = period.wall_us(
            &now.mpd,
            template.in_period_us(run.end()) - template.early(),
        );
        let Some(late_us) = due_us.map(|due_us| now.seen_us.saturating_sub(due_us)) else {
            continue;
        };
        let saw = || {
            format!(
                "{}: {} came {late_us} us after its time",
                new.id, run.number
            )
        };
        let allowed_us = since_us.saturating_add(limits::JITTER_US as i64);
        let long_us = template.us(i128::from(run.duration));
        on.timely(
            D9,
            dash!("5.3.9.5.3, 5.4"),
            late_us <= allowed_us.saturating_add(long_us),
            "a segment is listed more than its own duration late",
            saw,
        );
        on.should(
            D9,
            dash!("5.3.9.5.3, 5.4"),
            late_us <= allowed_us,
            "a segment is listed after it should be available",
            saw,
        );
    }
}
