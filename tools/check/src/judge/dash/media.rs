//! Segments, whole and under way: D13 to D15, D17, D19 and D21.

use std::collections::BTreeMap;

use super::dash;
use crate::answer::{Answer, ms};
use crate::fmp4::{Header, Media};
use crate::limits;
use crate::mpd::Representation;
use crate::mpd::template::{Run, Template};
use crate::rule::{D10, D13, D14, D15, D17, D19, D21};
use crate::verdict::Scope;

/// D15 of a header; gives what it says.
pub fn header(on: &mut Scope<'_>, of: &Representation, answer: &Answer) -> Option<Header> {
    let saw = || format!("{}: {}", answer.address, answer.outcome());
    let here = on.must(
        D10,
        dash!("5.3.9.5.3"),
        answer.is_ok(),
        "a header is not there",
        saw,
    );
    if !here {
        return None;
    }
    let read = Header::parse(&answer.body);
    on.must(
        D15,
        dash!("8.4.3"),
        read.is_ok(),
        "a header cannot be read",
        || format!("{}: {read:?}", answer.address),
    );
    let found = read.ok()?;
    let kind = answer.header("content-type").unwrap_or("");
    on.should(
        D15,
        dash!("5.3.7.2"),
        of.mime.as_deref() == kind.split(';').next().map(str::trim),
        "a header is sent as another type than mimeType says",
        || format!("{kind} for {:?}", of.mime),
    );
    on.must(
        D15,
        dash!("7.3.4; DASH-IF low-latency live"),
        found.tracks.len() == 1,
        "a Representation holds more than one track",
        || format!("{}: {} tracks", of.id, found.tracks.len()),
    );
    let track = &found.tracks[0];
    let codec = track.codec();
    let declared = of.codecs.as_deref().unwrap_or("");
    on.must(
        D15,
        "RFC 6381 3.3",
        declared
            .get(..codec.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(&codec)),
        "codecs are not those of the header",
        || format!("{declared} against {codec}"),
    );
    let content = match &track.handler {
        b"vide" => "video",
        b"soun" => "audio",
        b"text" | b"subt" => "text",
        _ => "",
    };
    let said = of.content.as_deref().unwrap_or("");
    on.must(
        D15,
        dash!("5.3.3.2"),
        content.is_empty() || said == content || (content == "text" && said == "application"),
        "contentType is not that of the header",
        || format!("{said} against {content}"),
    );
    Some(found)
}

/// A segment that was asked for when it was promised, and again when it was whole.
#[derive(Clone, Debug)]
pub struct Growing {
    /// Which.
    pub run: Run,
    /// When it was promised, on the clock of the answers.
    pub due_us: u64,
    /// When its media ends, likewise.
    pub end_us: u64,
    /// The first answer.
    pub first: Answer,
    /// The second.
    pub again: Answer,
}

/// D13 and D21 of one.
pub fn growing(on: &mut Scope<'_>, of: &Representation, template: &Template, seen: &Growing) {
    const CLAUSE: &str = dash!("5.3.9.5.3");
    let (first, again) = (&seen.first, &seen.again);
    let saw = || {
        format!(
            "{}: {}, then {}",
            first.address,
            first.outcome(),
            again.outcome()
        )
    };
    let whole = on.must(
        D13,
        "RFC 9112 8",
        first.is_ok(),
        "a segment that was asked for when it was promised does not come whole",
        saw,
    );
    let long_us = u64::try_from(template.us(i128::from(seen.run.duration))).unwrap_or(0);
    if !whole || !again.is_ok() {
        return;
    }
    on.must(
        D13,
        CLAUSE,
        first.body == again.body,
        "a segment under way is other bytes than the whole one",
        saw,
    );
    on.should(
        D13,
        "RFC 9110 8.6",
        again.header("content-length").is_some(),
        "a whole segment has no Content-Length",
        saw,
    );
    let late_us = first.arrivals.first().map_or(0, |arrival| {
        arrival.at_us.saturating_sub(seen.due_us.max(first.sent_us))
    });
    let late = || format!("{}: {} after", first.address, ms(late_us));
    on.should(
        D21,
        dash!("5.3.9.5.3, A.3"),
        late_us <= limits::JITTER_US,
        "the first bytes of a segment come after it is promised",
        late,
    );
    on.timely(
        D21,
        dash!("5.3.9.5.3, A.3"),
        late_us <= limits::JITTER_US + long_us,
        "the first bytes of a segment come more than its duration after it is promised",
        late,
    );
    // One that was whole when it was asked for has nothing to show.
    if template.early_us < limits::JITTER_US || first.sent_us + template.early_us / 2 > seen.end_us
    {
        return on.skip(
            D13,
            "segments are promised when they are whole, or came late",
        );
    }
    flow(on, of, template, seen);
}

/// D13: bytes come chunk by chunk, over the time that they last.
fn flow(on: &mut Scope<'_>, of: &Representation, template: &Template, seen: &Growing) {
    const CLAUSE: &str = "DASH-IF low-latency live; RFC 9112 7.1";
    let first = &seen.first;
    let bursts = first.arrivals.len();
    let span_us = match &*first.arrivals {
        [start, .., end] => end.at_us - start.at_us,
        _ => 0,
    };
    let saw = || {
        format!(
            "{}: {} bytes in {bursts} bursts over {}",
            first.address,
            first.body.len(),
            ms(span_us)
        )
    };
    on.must(
        D13,
        CLAUSE,
        first.header("content-length").is_none(),
        "a segment under way has a Content-Length: somebody waited for its end",
        saw,
    );
    on.timely(
        D13,
        CLAUSE,
        bursts > 1,
        "a segment under way comes all at once",
        saw,
    );
    on.should(
        D13,
        CLAUSE,
        span_us >= template.early_us / 2,
        "a segment under way comes faster than it is made: it was held back",
        saw,
    );
    let ends = chunk_ends(&first.body);
    let on_end = first
        .arrivals
        .iter()
        .filter(|arrival| ends.contains(&arrival.bytes))
        .count();
    on.should(
        D13,
        "practice: throughput is measured by whole chunks",
        2 * on_end >= bursts,
        "bursts do not end where chunks do",
        || {
            format!(
                "{}; {on_end} end with one of {} chunks of {}",
                saw(),
                ends.len(),
                of.id
            )
        },
    );
}

/// Where each mdat ends.
fn chunk_ends(bytes: &[u8]) -> Vec<usize> {
    let media = Media::parse(bytes, &Header::default());
    media.map_or_else(
        |_| Vec::new(),
        |media| media.data.iter().map(|(_, to)| *to).collect(),
    )
}

/// Segments of one Representation in one Period, as far as they were fetched.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Bytes in all, and how long they last.
    bytes: u64,
    us: u64,
    /// Decode time at the end of each, by number.
    ends: BTreeMap<u64, u64>,
    /// Whole segments by their decode time.
    pub whole: BTreeMap<u64, Vec<u8>>,
}

/// Bytes of whole segments that are kept to be compared.
const KEPT: usize = 12;

impl Fetched {
    /// D14 and D15 of a whole segment.
    pub fn see(
        &mut self,
        on: &mut Scope<'_>,
        (of, template): (&Representation, &Template),
        header: &Header,
        run: &Run,
        bytes: &[u8],
    ) {
        const CLAUSE: &str = dash!("5.3.9.2, 7.2.1");
        let media = Media::parse(bytes, header);
        let read = on.must(
            D14,
            dash!("6.3.4"),
            media.is_ok(),
            "a segment cannot be read",
            || format!("{} at {}: {media:?}", of.id, run.time),
        );
        let Some(media) = media.ok().filter(|_| read) else {
            return;
        };
        let (Some(track), Some(first)) = (header.tracks.first(), media.fragments.first()) else {
            on.must(
                D14,
                dash!("6.3.4"),
                false,
                "a segment has no fragment",
                || format!("{} at {}", of.id, run.time),
            );
            return;
        };
        let Some(decode) = first.decode_ticks else {
            on.must(
                D14,
                dash!("6.3.4"),
                false,
                "a fragment has no decode time",
                || format!("{} at {}", of.id, run.time),
            );
            return;
        };
        let scale = |ticks: i128| {
            let scaled = ticks * i128::from(template.timescale);
            scaled.div_euclid(i128::from(track.timescale))
        };
        let shown =
            i128::from(decode) + i128::from(first.composition_ticks) - i128::from(track.edit_ticks);
        let said = i128::from(run.time);
        let off = (scale(shown) - said)
            .abs()
            .min((scale(i128::from(decode)) - said).abs());
        let long: u64 = media
            .fragments
            .iter()
            .map(|found| found.duration_ticks)
            .sum();
        let longer = (scale(i128::from(long)) - i128::from(run.duration)).abs();
        let saw = || {
            format!(
                "{} segment {}: decoded at {decode}, shown from {shown}, lasts {long} at {} a second; said {} for {} at {}",
                of.id, run.number, track.timescale, run.time, run.duration, template.timescale
            )
        };
        let half = i128::from(run.duration) / 2;
        if template.timeline.is_some() {
            on.must(
                D14,
                CLAUSE,
                off <= 1,
                "media begins at another time than the timeline says",
                saw,
            );
            on.must(
                D14,
                CLAUSE,
                longer <= 1,
                "media lasts otherwise than the timeline says",
                saw,
            );
        } else {
            on.must(
                D14,
                CLAUSE,
                off <= half,
                "media is off its grid by more than half a segment",
                saw,
            );
            on.must(
                D14,
                CLAUSE,
                longer <= half,
                "a segment lasts half as long again as its grid, or half as long",
                saw,
            );
        }
        if &track.handler == b"vide" {
            on.should(
                D14,
                dash!("5.3.7.2, 7.2.1"),
                first.starts_sync,
                "a segment does not begin with a picture that stands alone",
                saw,
            );
        }
        self.goes_on(on, of, run, (decode, long));
        let first_end = scale(shown + i128::from(first.duration_ticks));
        let first_end_us = template.us(first_end - i128::from(template.offset));
        promised(on, template, run, first_end_us, saw);
        self.bytes += bytes.len() as u64;
        self.us += long * 1_000_000 / u64::from(track.timescale).max(1);
        self.whole.insert(decode, bytes.to_vec());
        while self.whole.len() > KEPT {
            self.whole.pop_first();
        }
    }

    fn goes_on(
        &mut self,
        on: &mut Scope<'_>,
        of: &Representation,
        run: &Run,
        (decode, long): (u64, u64),
    ) {
        let before = run
            .number
            .checked_sub(1)
            .and_then(|before| self.ends.get(&before));
        if let Some(end) = before.copied() {
            on.must(
                D14,
                dash!("7.2.1"),
                end == decode,
                "a segment does not begin where the one before it ends",
                || format!("{} segment {}: {decode} after {end}", of.id, run.number),
            );
        }
        self.ends.insert(run.number, decode.saturating_add(long));
        while self.ends.len() > KEPT {
            self.ends.pop_first();
        }
    }

    /// D15, when the watch is over.
    pub fn finish(&self, on: &mut Scope<'_>, of: &Representation) {
        const LEAST_US: u64 = 6_000_000;
        if self.us < LEAST_US {
            return on.skip(D15, "too little media was fetched to measure it");
        }
        let rate = u64::try_from(u128::from(self.bytes) * 8_000_000 / u128::from(self.us))
            .unwrap_or(u64::MAX);
        let saw = || format!("{}: {rate} bit/s, bandwidth {}", of.id, of.bandwidth);
        on.should(
            D15,
            dash!("5.3.5.2"),
            rate <= of.bandwidth.saturating_add(of.bandwidth / 10),
            "the measured rate is a tenth above bandwidth",
            saw,
        );
        on.should(
            D15,
            dash!("5.3.5.2"),
            rate >= of.bandwidth / 3,
            "the measured rate is a third of bandwidth",
            saw,
        );
    }
}

/// D13: what has to be there when a segment is promised is its first chunk. A
/// request that comes then is held for as long as that is still to come.
fn promised(
    on: &mut Scope<'_>,
    template: &Template,
    run: &Run,
    first_end_us: i64,
    saw: impl FnOnce() -> String,
) {
    if template.is_complete || template.early_us == 0 {
        return;
    }
    let due_us = template
        .in_period_us(run.end())
        .saturating_sub(template.early());
    let held_us = first_end_us.saturating_sub(due_us);
    on.should(
        D13,
        dash!("5.3.9.5.3"),
        held_us <= limits::JITTER_US as i64,
        "the first chunk ends long after its segment is promised",
        || format!("{}; {held_us} us after", saw()),
    );
}

/// D17: the parts of a sequence against the segment itself.
pub fn sequence(on: &mut Scope<'_>, of: &Representation, parts: &[Answer], whole: &[u8]) {
    const CLAUSE: &str = dash!("segment sequences");
    for part in parts {
        on.must(
            D17,
            CLAUSE,
            part.is_ok(),
            "a part of a whole segment is not there",
            || format!("{}: {}", part.address, part.outcome()),
        );
    }
    if parts.iter().all(Answer::is_ok) {
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.body.iter().copied())
            .collect();
        on.must(
            D17,
            CLAUSE,
            bytes == whole,
            "the parts of a segment are not its bytes",
            || {
                format!(
                    "{}: {} parts of {} bytes against {}",
                    of.id,
                    parts.len(),
                    bytes.len(),
                    whole.len()
                )
            },
        );
    }
}

/// D19: a segment of a playlist against the one that the MPD has at its time.
pub fn same(on: &mut Scope<'_>, of: &Representation, decode: u64, ours: &[u8], theirs: &Answer) {
    on.must(
        D19,
        "ISO/IEC 23000-19 7.3",
        ours == theirs.body,
        "the playlist names other bytes for the same time",
        || {
            format!(
                "{} at {decode}: {} bytes, {} has {}",
                of.id,
                ours.len(),
                theirs.address,
                theirs.body.len()
            )
        },
    );
}
