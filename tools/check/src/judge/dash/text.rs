//! What one MPD says by itself: D1 to D5, and what D18 and D20 have of it.

use std::collections::BTreeSet;

use super::dash;
use crate::answer::Answer;
use crate::mpd::template::Template;
use crate::mpd::{Mpd, Period, Representation, schema, xml};
use crate::rule::{D1, D2, D3, D4, D5, D18, D20};
use crate::uri;
use crate::verdict::Scope;

/// Profiles whose rules are those of live segments by template.
const LIVE_PROFILES: &[&str] = &[
    "urn:mpeg:dash:profile:isoff-live:2011",
    "urn:mpeg:dash:profile:isoff-ext-live:2014",
    "urn:mpeg:dash:profile:cmaf:2019",
    "urn:mpeg:dash:profile:advanced-linear:2025",
];
const LOW_LATENCY: &str = "http://www.dashif.org/guidelines/low-latency-live-v5";
const LATENCY_CLAUSE: &str = "DASH-IF low-latency live";

/// D1 of the answer that carries an MPD, and what pages and caches need of it.
pub fn typed(on: &mut Scope<'_>, answer: &Answer) {
    let kind = answer.header("content-type").unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    on.must(
        D1,
        dash!("C"),
        essence.eq_ignore_ascii_case("application/dash+xml"),
        "an MPD is not sent as application/dash+xml",
        || format!("Content-Type: {kind}"),
    );
    on.must(
        D1,
        dash!("5.2"),
        answer.text().is_some(),
        "an MPD is not UTF-8",
        || format!("{} bytes", answer.body.len()),
    );
    readable(on, answer);
    let age = answer
        .cache_s("s-maxage")
        .or_else(|| answer.cache_s("max-age"));
    let says = age.is_some()
        || answer.header("expires").is_some()
        || answer.cache_says("no-store")
        || answer.cache_says("no-cache");
    on.should(
        D20,
        "RFC 9111 4.2.2",
        says,
        "an MPD does not say for how long it may be kept",
        || format!("Cache-Control: {:?}", answer.list("cache-control")),
    );
}

/// D20 of any answer: pages of other origins may read it and its date.
pub fn readable(on: &mut Scope<'_>, answer: &Answer) {
    let saw = || format!("status {} of {}", answer.status, answer.address);
    on.should(
        D20,
        "Fetch 3.2",
        answer.header("access-control-allow-origin").is_some(),
        "pages of other origins may not read an answer",
        saw,
    );
    on.should(
        D20,
        "RFC 9110 6.6.1",
        answer.header("date").is_some(),
        "an answer has no Date",
        saw,
    );
}

/// D1 to D5 of one MPD.
pub fn mpd(on: &mut Scope<'_>, mpd: &Mpd) {
    on.must(
        D1,
        dash!("5.2"),
        mpd.namespace == xml::MPD,
        "the root is not in the namespace of MPDs",
        || format!("xmlns={:?}", mpd.namespace),
    );
    let faults = schema::faults(&mpd.tree);
    on.must(D1, dash!("5.2, B"), true, "", String::new);
    for fault in faults {
        on.must(D1, dash!("5.2, B"), false, fault.what, || fault.saw);
    }
    live(on, mpd);
    described(on, mpd);
    for period in &mpd.periods {
        for representation in &period.representations {
            timeline(on, representation);
        }
    }
    low_latency(on, mpd);
    event_streams(on, mpd);
}

/// D2.
fn live(on: &mut Scope<'_>, mpd: &Mpd) {
    const CLAUSE: &str = dash!("5.3.1.2");
    let profiles = mpd.profiles();
    on.must(
        D2,
        dash!("8.4"),
        profiles.iter().any(|found| LIVE_PROFILES.contains(found)),
        "no profile of live segments is named",
        || profiles.join(","),
    );
    let attribute = |name: &str| format!("@{name}={:?}", mpd.tree.attribute(name));
    if !mpd.is_dynamic {
        let ends = mpd.periods.last().is_some_and(|last| last.end_us.is_some());
        on.must(
            D2,
            CLAUSE,
            ends,
            "a static MPD does not say how long it lasts",
            || attribute("mediaPresentationDuration"),
        );
        on.must(
            D2,
            CLAUSE,
            mpd.update_us.is_none(),
            "a static MPD has minimumUpdatePeriod",
            || attribute("minimumUpdatePeriod"),
        );
        return;
    }
    for (what, name) in [
        (
            "a dynamic MPD has no availabilityStartTime",
            "availabilityStartTime",
        ),
        ("a dynamic MPD has no publishTime", "publishTime"),
    ] {
        let value = mpd.tree.attribute(name);
        on.must(D2, CLAUSE, value.is_some(), what, || attribute(name));
        on.should(
            D2,
            "practice: Shaka Player takes a date without zone for local time",
            value.is_none_or(|value| value.ends_with('Z')),
            "a date is not in UTC with Z",
            || attribute(name),
        );
    }
    on.should(
        D2,
        CLAUSE,
        mpd.update_us.is_some(),
        "a dynamic MPD has no minimumUpdatePeriod: its end can never be told",
        || attribute("minimumUpdatePeriod"),
    );
    on.should(
        D2,
        CLAUSE,
        mpd.window_us.is_some(),
        "without timeShiftBufferDepth every segment has to stay for ever",
        || attribute("timeShiftBufferDepth"),
    );
    on.should(
        D2,
        CLAUSE,
        mpd.clocks.iter().any(|clock| !clock.id.is_empty()),
        "no UTCTiming: players go by their own clocks",
        || "no UTCTiming".to_owned(),
    );
    let longest_us = crate::mpd::value::duration_us;
    let said_us = mpd
        .tree
        .attribute("maxSegmentDuration")
        .and_then(longest_us);
    let longest = longest(mpd);
    if let (Some(said_us), Some((name, us))) = (said_us, longest) {
        // Media is cut at samples; half of them belongs to either side.
        on.must(
            D2,
            CLAUSE,
            us <= said_us.saturating_add(50_000),
            "a segment is longer than maxSegmentDuration",
            || format!("{name}: {us} us, {}", attribute("maxSegmentDuration")),
        );
    }
}

fn longest(mpd: &Mpd) -> Option<(&str, u64)> {
    let all = mpd
        .periods
        .iter()
        .flat_map(|period| &period.representations);
    let of = all.filter_map(|found| {
        let template = found.template.as_ref()?;
        let runs = template.timeline.as_ref().map(|timeline| &timeline.runs);
        let ticks = match runs {
            Some(runs) => runs.iter().map(|run| run.duration).max()?,
            None => template.duration?,
        };
        let us = template.us(i128::from(ticks));
        Some((&*found.id, u64::try_from(us).unwrap_or(0)))
    });
    of.max_by_key(|(_, us)| *us)
}

/// D4.
fn described(on: &mut Scope<'_>, mpd: &Mpd) {
    let elements: Vec<_> = mpd.tree.all("Period").collect();
    let mut known = BTreeSet::new();
    for (element, period) in elements.iter().zip(&mpd.periods) {
        if mpd.is_dynamic {
            on.must(
                D4,
                dash!("5.3.2.2"),
                element.attribute("id").is_some(),
                "a Period of a dynamic MPD has no id",
                || format!("start {:?}", element.attribute("start")),
            );
        }
        on.must(
            D4,
            dash!("5.3.2.2"),
            known.insert(period.id.clone()),
            "two Periods have one id",
            || period.id.clone(),
        );
        on.must(
            D4,
            dash!("5.3.2.1"),
            period.start_us.is_some(),
            "nothing says when a Period starts",
            || period.id.clone(),
        );
        for set in element.all("AdaptationSet") {
            on.should(
                D4,
                dash!("5.3.3.2, 5.15"),
                set.attribute("id").is_some(),
                "an AdaptationSet has no id: patches and players cannot name it",
                || format!("Period {}", period.id),
            );
        }
        described_in(on, period);
    }
    for pair in mpd.periods.windows(2) {
        let rises = pair[0].start_us < pair[1].start_us;
        on.must(
            D4,
            dash!("5.3.2.1"),
            rises,
            "a Period does not start after the one before it",
            || format!("{:?} after {:?}", pair[1].start_us, pair[0].start_us),
        );
    }
}

fn described_in(on: &mut Scope<'_>, period: &Period) {
    let mut known = BTreeSet::new();
    on.must(
        D4,
        dash!("5.3.3"),
        !period.representations.is_empty(),
        "a Period has no Representation",
        || period.id.clone(),
    );
    for found in &period.representations {
        let saw = || format!("{} of Period {}", found.id, period.id);
        on.must(
            D4,
            dash!("5.3.5.2"),
            known.insert(&found.id),
            "two Representations of a Period have one id",
            saw,
        );
        on.must(
            D4,
            dash!("5.3.7.2"),
            found.mime.is_some(),
            "a Representation has no mimeType",
            saw,
        );
        on.must(
            D4,
            dash!("5.3.7.2"),
            found
                .codecs
                .as_deref()
                .is_some_and(|codecs| !codecs.is_empty()),
            "a Representation has no codecs",
            saw,
        );
        on.must(
            D4,
            dash!("5.3.5.2"),
            found.bandwidth > 0,
            "a Representation has no bandwidth",
            saw,
        );
        addressed(on, found);
    }
}

fn addressed(on: &mut Scope<'_>, found: &Representation) {
    const CLAUSE: &str = dash!("5.3.9.4, 8.4.3");
    let Some(template) = &found.template else {
        on.must(
            D4,
            CLAUSE,
            false,
            "a Representation has no SegmentTemplate, as live profiles demand",
            || found.id.clone(),
        );
        return;
    };
    let media = &template.media;
    let named = ["$Number", "$Time"].map(|name| media.contains(name));
    on.must(
        D4,
        CLAUSE,
        named != [true, true] && named != [false, false],
        "the name of segments has neither $Number$ nor $Time$, or both",
        || format!("{}: {media}", found.id),
    );
    let knows = template.timeline.is_some() || template.duration.is_some();
    on.must(
        D4,
        CLAUSE,
        knows,
        "segments have neither a duration nor a timeline",
        || found.id.clone(),
    );
    on.must(
        D4,
        CLAUSE,
        template.timeline.is_none() || template.duration.is_none(),
        "segments have both a duration and a timeline",
        || found.id.clone(),
    );
    on.must(
        D4,
        CLAUSE,
        template.duration.is_none() || !media.contains("$Time"),
        "names by $Time$ need a timeline",
        || format!("{}: {media}", found.id),
    );
    on.must(
        D4,
        CLAUSE,
        found.header().is_some(),
        "nothing names the header of a Representation",
        || found.id.clone(),
    );
    let parts = media.contains("$SubNumber");
    on.must(
        D4,
        dash!("segment sequences"),
        parts == found.is_sequence,
        "names by $SubNumber$ and the property of segment sequences do not come together",
        || format!("{}: {media}", found.id),
    );
    let absolute = uri::is_absolute(media) || media.starts_with('/');
    on.should(
        D20,
        "practice: an MPD with addresses of its own host cannot be put behind another",
        !absolute,
        "segments have absolute addresses",
        || format!("{}: {media}", found.id),
    );
}

/// D5.
fn timeline(on: &mut Scope<'_>, found: &Representation) {
    let Some(timeline) = found.template.as_ref().and_then(|of| of.timeline.as_ref()) else {
        return;
    };
    on.must(
        D5,
        dash!("5.3.9.6"),
        !timeline.runs.is_empty(),
        "a timeline lists nothing",
        || found.id.clone(),
    );
    for (what, saw) in &timeline.faults {
        on.must(D5, dash!("5.3.9.6"), false, what, || {
            format!("{}: {saw}", found.id)
        });
    }
    let first = timeline.runs.first();
    let offset = found.template.as_ref().map_or(0, |of| of.offset);
    on.should(
        D5,
        dash!("5.3.9.2, 7.2.1"),
        first.is_none_or(|first| first.end() > offset),
        "a timeline begins with media that is before its Period",
        || format!("{}: {:?}, presentationTimeOffset {offset}", found.id, first),
    );
}

/// D3.
fn low_latency(on: &mut Scope<'_>, mpd: &Mpd) {
    if !mpd.is_dynamic || !mpd.is_low_latency() {
        return on.skip(D3, "no availabilityTimeOffset: segments come whole");
    }
    on.should(
        D3,
        LATENCY_CLAUSE,
        mpd.profiles().contains(&LOW_LATENCY),
        "the profile of low latency is not named",
        || mpd.profiles().join(","),
    );
    let description = mpd.tree.first("ServiceDescription");
    let latency = description.and_then(|found| found.first("Latency"));
    let number = |name: &str| latency.and_then(|found| found.attribute(name)?.parse::<u64>().ok());
    let target = number("target");
    on.must(
        D3,
        dash!("K.4"),
        target.is_some(),
        "low latency is offered without ServiceDescription/Latency@target",
        || format!("{latency:?}"),
    );
    let [min, max] = ["min", "max"].map(number);
    let ordered = target.is_none_or(|target| {
        min.is_none_or(|min| min <= target) && max.is_none_or(|max| target <= max)
    });
    on.must(
        D3,
        dash!("K.4.3.2"),
        ordered,
        "Latency is not min, target and max in order",
        || format!("min {min:?}, target {target:?}, max {max:?}"),
    );
    let rate = description.and_then(|found| found.first("PlaybackRate"));
    let rates = ["min", "max"]
        .map(|name| rate.and_then(|found| found.attribute(name)?.parse::<f64>().ok()));
    on.should(
        D3,
        LATENCY_CLAUSE,
        matches!(rates, [Some(min), Some(max)] if 0.0 < min && min <= 1.0 && 1.0 <= max),
        "PlaybackRate does not span 1",
        || format!("{rates:?}"),
    );
    references(
        on,
        mpd,
        latency.and_then(|found| found.attribute("referenceId")),
    );
    for period in &mpd.periods {
        for found in &period.representations {
            if let Some(template) = &found.template {
                offset(on, found, template);
            }
        }
    }
    if let Some(target) = target {
        target_fits(on, mpd, target);
    }
}

/// Every ProducerReferenceTime of a tree of sets.
fn references(on: &mut Scope<'_>, mpd: &Mpd, wanted: Option<&str>) {
    let clocks: Vec<&str> = mpd
        .tree
        .all("UTCTiming")
        .filter_map(|clock| clock.attribute("schemeIdUri"))
        .collect();
    for period in mpd.tree.all("Period") {
        for set in period.all("AdaptationSet") {
            let own = set.all("ProducerReferenceTime");
            let below = set
                .all("Representation")
                .flat_map(|found| found.all("ProducerReferenceTime"));
            let all: Vec<_> = own.chain(below).collect();
            let id = || format!("AdaptationSet {:?}", set.attribute("id"));
            on.should(
                D3,
                dash!("5.12"),
                !all.is_empty(),
                "a set has no ProducerReferenceTime: latency cannot be told from it",
                id,
            );
            if let Some(wanted) = wanted {
                on.must(
                    D3,
                    dash!("K.4.3.2"),
                    all.is_empty() || all.iter().any(|of| of.attribute("id") == Some(wanted)),
                    "Latency@referenceId names no ProducerReferenceTime of a set",
                    || format!("{} of {}", wanted, id()),
                );
            }
            for reference in all {
                let clock = reference.first("UTCTiming");
                let scheme = clock.and_then(|clock| clock.attribute("schemeIdUri"));
                on.must(
                    D3,
                    dash!("5.12.2"),
                    scheme.is_none_or(|scheme| clocks.contains(&scheme)),
                    "the clock of a ProducerReferenceTime is none of the MPD",
                    || format!("{scheme:?}"),
                );
            }
        }
    }
}

fn offset(on: &mut Scope<'_>, found: &Representation, template: &Template) {
    const CLAUSE: &str = dash!("5.3.9.5.3");
    let saw = || format!("{}: {} us early", found.id, template.early_us);
    let shortest = match &template.timeline {
        Some(timeline) => timeline.runs.iter().map(|run| run.duration).max(),
        None => template.duration,
    };
    on.must(
        D3,
        CLAUSE,
        !(template.is_early_for_ever && template.timeline.is_some()),
        "availabilityTimeOffset is INF with a timeline that ends",
        saw,
    );
    let Some(ticks) = shortest.filter(|_| template.early_us > 0) else {
        return;
    };
    on.must(
        D3,
        CLAUSE,
        !template.is_complete,
        "segments are promised early and whole at once: availabilityTimeComplete is not false",
        saw,
    );
    // Whole segments are promised before anything of them can be there.
    let long_us = u64::try_from(template.us(i128::from(ticks))).unwrap_or(0);
    on.must(
        D3,
        CLAUSE,
        template.early_us < long_us,
        "availabilityTimeOffset is not below the duration of a segment",
        || format!("{}, segments of {long_us} us", saw()),
    );
}

/// What players need to get as close as they are asked to.
fn target_fits(on: &mut Scope<'_>, mpd: &Mpd, target_ms: u64) {
    let least_us = mpd
        .tree
        .attribute("minBufferTime")
        .and_then(crate::mpd::value::duration_us);
    on.should(
        D3,
        "practice: ExoPlayer never goes closer to the edge than minBufferTime",
        least_us.is_none_or(|us| us <= target_ms.saturating_mul(1000)),
        "minBufferTime is above the target of latency",
        || format!("{least_us:?} us against {target_ms} ms"),
    );
}

/// D18 of events in the MPD itself.
fn event_streams(on: &mut Scope<'_>, mpd: &Mpd) {
    const CLAUSE: &str = dash!("5.10.2");
    for period in mpd.tree.all("Period") {
        let mut known = BTreeSet::new();
        for stream in period.all("EventStream") {
            let scheme = stream.attribute("schemeIdUri").unwrap_or("");
            let value = stream.attribute("value").unwrap_or("");
            on.must(
                D18,
                CLAUSE,
                known.insert((scheme, value)),
                "two EventStreams of a Period have one scheme and value",
                || format!("{scheme} {value:?}"),
            );
            let mut ids = BTreeSet::new();
            let mut before = 0;
            for event in stream.all("Event") {
                let at = event
                    .attribute("presentationTime")
                    .and_then(|at| at.parse::<u64>().ok())
                    .unwrap_or(0);
                let id = event.attribute("id");
                let saw = || format!("{scheme} {value:?} event {id:?} at {at}");
                on.must(
                    D18,
                    CLAUSE,
                    before <= at,
                    "events are not in order of time",
                    saw,
                );
                before = at;
                on.must(
                    D18,
                    CLAUSE,
                    id.is_none_or(|id| ids.insert(id)),
                    "two events of a stream have one id",
                    saw,
                );
                let is_empty = event.text.is_empty()
                    && event.children.is_empty()
                    && event.attribute("messageData").is_none_or(str::is_empty);
                on.should(
                    D18,
                    "practice: Shaka Player takes an event without message for an error",
                    !is_empty || !scheme.contains("scte35"),
                    "an event has no message",
                    saw,
                );
            }
        }
    }
}
