//! Hints, parts, segments and what is in them: C19 to C22, C27, C34, C36.

use super::follow::Follow;
use super::together::Anchor;
use crate::answer::{Answer, ms};
use crate::fmp4::{self, Fragment, Header};
use crate::limits::JITTER_US;
use crate::playlist::media::{Media, Segment};
use crate::rule::{C19, C20, C21, C22, C27, C34, C36};
use crate::verdict::{Level, Scope};

/// A part asked for while it was only hinted.
#[derive(Clone, Debug)]
pub struct Hinted {
    /// As printed.
    pub uri: String,
    /// What came.
    pub answer: Answer,
    /// The same, asked for again when it was listed; `None` if it never was.
    pub listed: Option<Answer>,
}

/// C19. `bytes_per_s` is what a finished segment was sent at; 0 if unknown.
pub fn hinted(on: &mut Scope<'_>, hinted: &Hinted, part_us: u64, bytes_per_s: u64) {
    let answer = &hinted.answer;
    let saw = || {
        format!(
            "\"{}\": {} after {}",
            hinted.uri,
            answer.outcome(),
            ms(answer.took_us())
        )
    };
    let Some(listed) = &hinted.listed else {
        // A hint may be given up, and must then be refused rather than faked.
        let sane = !answer.is_ok() || !answer.body.is_empty();
        on.must(
            C19,
            "rfc8216bis 6.2.6",
            sane,
            "a hint that was given up is answered with an empty body",
            saw,
        );
        return;
    };
    // An origin may give up a part that is overdue rather than hold its players.
    let overdue = answer.took_us() > 2 * part_us;
    let (level, what) = match overdue {
        true => (
            Level::Warn,
            "an overdue hint was given up, and listed all the same",
        ),
        false => (
            Level::Fail,
            "a hinted part was refused or cut, and listed all the same",
        ),
    };
    let ok = answer.is_ok() || (answer.status == 206 && answer.trouble.is_none());
    if !on.judge(level, C19, "rfc8216bis 6.2.6", ok, what, saw) {
        return;
    }
    on.must(
        C19,
        "rfc8216bis 6.2.6",
        !answer.body.is_empty(),
        "a hinted part is empty",
        saw,
    );
    on.must(
        C19,
        "rfc8216bis 4.4.5.3",
        listed.body == answer.body,
        "a part has other bytes as a hint than when listed",
        || {
            format!(
                "\"{}\": {} bytes hinted, {} listed ({})",
                hinted.uri,
                answer.body.len(),
                listed.body.len(),
                listed.outcome()
            )
        },
    );
    let (Some(first), Some(last)) = (answer.arrivals.first(), answer.arrivals.last()) else {
        return;
    };
    let spread_us = last.at_us - first.at_us;
    let at_speed_us = (answer.body.len() as u64 * 1_000_000)
        .checked_div(bytes_per_s)
        .unwrap_or(0);
    let bound_us = (2 * at_speed_us + 150_000).max(part_us / 4);
    on.timely(
        C19,
        "rfc8216bis 6.2.6",
        spread_us <= bound_us,
        "bytes of a part come before the whole of it can",
        || {
            format!(
                "\"{}\": {} between the first and the last of {} bytes",
                hinted.uri,
                ms(spread_us),
                answer.body.len()
            )
        },
    );
}

/// C20. Parts in order with their bytes, and those of their segment.
pub fn pieces(
    on: &mut Scope<'_>,
    segment: &Segment,
    parts: &[Answer],
    whole: &Answer,
    header: Option<&Header>,
) {
    let place = format!("segment {}", segment.msn);
    for (part, answer) in segment
        .parts
        .iter()
        .zip(parts)
        .filter(|(part, _)| !part.gap)
    {
        on.must(
            C20,
            "rfc8216bis 6.2.1",
            matches!(answer.status, 200 | 206) && answer.trouble.is_none(),
            "a listed part cannot be fetched",
            || format!("{place}, {}: {}", part.uri, answer.outcome()),
        );
    }
    let gaps = segment.gap || segment.parts.iter().any(|part| part.gap);
    if gaps
        || parts
            .iter()
            .any(|answer| !matches!(answer.status, 200 | 206))
    {
        return;
    }
    let (Some(header), true) = (header, fmp4::is_iso(&whole.body)) else {
        return on.skip(C20, "the media is no fragmented MP4");
    };
    for (part, answer) in segment.parts.iter().zip(parts) {
        starts(on, &part.uri, &answer.body, header);
    }
    let joined = parts.iter().flat_map(|answer| &answer.body);
    if joined.eq(&whole.body) {
        on.must(C20, "rfc8216bis 3.2", true, "", String::new);
        return;
    }
    let samples = |body: &[u8]| {
        fmp4::Media::parse(body, header).ok().map(|media| {
            let data: Vec<u8> = media
                .data
                .iter()
                .flat_map(|(from, to)| &body[*from..*to])
                .copied()
                .collect();
            let count: u64 = media
                .fragments
                .iter()
                .map(|fragment| fragment.samples)
                .sum();
            let decode = media
                .fragments
                .first()
                .map(|fragment| fragment.decode_ticks);
            (data, count, decode)
        })
    };
    let joined: Vec<u8> = parts
        .iter()
        .flat_map(|answer| answer.body.clone())
        .collect();
    let same = samples(&joined).is_some_and(|joined| samples(&whole.body) == Some(joined));
    on.must(
        C20,
        "rfc8216bis 3.2, 4.4.4.9",
        same,
        "parts and their segment do not hold the same samples",
        || {
            format!(
                "{place}: {} bytes in {} parts, {} in the segment",
                joined.len(),
                parts.len(),
                whole.body.len()
            )
        },
    );
}

/// What a part begins with.
fn starts(on: &mut Scope<'_>, uri: &str, bytes: &[u8], header: &Header) {
    let media = match fmp4::Media::parse(bytes, header) {
        Ok(media) => media,
        Err(broken) => {
            on.must(
                C20,
                "rfc8216bis 3.1.2",
                false,
                "a part is not whole boxes",
                || format!("{uri}: {broken}"),
            );
            return;
        }
    };
    let ahead: [&[u8; 4]; 5] = [b"styp", b"emsg", b"prft", b"sidx", b"uuid"];
    let first = media.boxes.iter().find(|kind| !ahead.contains(kind));
    on.must(
        C20,
        "rfc8216bis 3.1.2",
        first == Some(b"moof"),
        "a part does not begin with a movie fragment",
        || {
            format!(
                "{uri}: {}",
                media
                    .boxes
                    .iter()
                    .map(|kind| String::from_utf8_lossy(kind).into_owned())
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        },
    );
    let timed = !media.fragments.is_empty()
        && media
            .fragments
            .iter()
            .all(|fragment| fragment.decode_ticks.is_some());
    on.must(
        C20,
        "rfc8216bis 3.1.2",
        timed,
        "a part says no decode time",
        || format!("{uri}: no tfdt"),
    );
}

/// C21: an open-ended range from the start of a hinted part. `edges` are the
/// offsets, from the start of the range, at which parts of the segment end.
pub fn open_range(on: &mut Scope<'_>, answer: &Answer, edges: &[usize], part_us: u64) {
    let saw = || {
        format!(
            "{}: {} after {}",
            answer.address,
            answer.outcome(),
            ms(answer.took_us())
        )
    };
    let partial = answer.status == 206 && answer.trouble.is_none();
    if !on.must(
        C21,
        "rfc8216bis 6.2.6; RFC 8673",
        partial,
        "an open-ended range is not answered with 206",
        saw,
    ) {
        return;
    }
    for pair in answer.arrivals.windows(2) {
        let pause_us = pair[1].at_us - pair[0].at_us;
        let at_edge = pause_us < (part_us / 2).max(50_000) || edges.contains(&pair[0].bytes);
        on.must(
            C21,
            "rfc8216bis 6.2.6",
            at_edge,
            "a stream of parts pauses in the middle of one",
            || {
                format!(
                    "{} at byte {}, parts end at {edges:?}",
                    ms(pause_us),
                    pair[0].bytes
                )
            },
        );
    }
    let end = edges.last().copied();
    on.must(
        C21,
        "rfc8216bis 6.2.6",
        end.is_none_or(|end| answer.body.len() == end),
        "a stream of parts does not end with its segment",
        || format!("{} bytes, the segment ends at {end:?}", answer.body.len()),
    );
}

/// C22: a name that was never listed nor hinted.
pub fn unknown(on: &mut Scope<'_>, answer: &Answer) {
    let saw = || {
        format!(
            "{}: {} after {}",
            answer.address,
            answer.outcome(),
            ms(answer.took_us())
        )
    };
    let faked = answer.status == 200 && answer.body.is_empty();
    on.must(
        C22,
        "rfc8216bis 6.2.6",
        !faked,
        "a part that is not there is answered with an empty body",
        saw,
    );
    let refused = matches!(answer.status, 404 | 410 | 425);
    on.should(
        C22,
        "rfc8216bis 6.2.6",
        faked || refused,
        "a part that is not there is not refused with 404",
        saw,
    );
}

/// C27: bytes of one entry of an I-frame playlist.
pub fn i_frame(on: &mut Scope<'_>, segment: &Segment, answer: &Answer, header: Option<&Header>) {
    let saw = |why: String| format!("line {}: {}, {why}", segment.line, segment.uri);
    let ok = matches!(answer.status, 200 | 206) && answer.trouble.is_none();
    on.must(
        C27,
        "rfc8216bis 4.4.3.6",
        ok,
        "an I-frame cannot be fetched",
        || saw(answer.outcome()),
    );
    let Some(header) = header.filter(|_| ok && fmp4::is_iso(&answer.body)) else {
        return on.skip(C27, "the I-frames are no fragmented MP4");
    };
    let fragment = first_fragment(&answer.body, header);
    let Some(fragment) = fragment else {
        on.should(
            C27,
            "Apple 6.10",
            false,
            "the range of an I-frame has no movie fragment",
            || saw(answer.outcome()),
        );
        return;
    };
    on.must(
        C27,
        "rfc8216bis 4.4.3.6",
        fragment.starts_sync,
        "an entry of an I-frame playlist is no I-frame",
        || saw("the first sample depends on others".to_owned()),
    );
    let end = fragment.first_sample_end.unwrap_or(0);
    on.must(
        C27,
        "rfc8216bis 4.4.3.6",
        answer.body.len() as u64 >= end,
        "the range of an I-frame ends inside it",
        || {
            saw(format!(
                "{} bytes, the frame ends at {end}",
                answer.body.len()
            ))
        },
    );
}

/// The fragment at the start of bytes whose last box may be cut: the range of
/// an I-frame ends where the frame does.
fn first_fragment(bytes: &[u8], header: &Header) -> Option<Fragment> {
    let mut at = 0usize;
    loop {
        let head = bytes.get(at..at + 8)?;
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at
            .checked_add(len)
            .filter(|end| len >= 8 && *end <= bytes.len())?;
        if &head[4..] == b"moof" {
            let mut media = fmp4::Media::parse(&bytes[at..end], header).ok()?;
            let mut fragment = media.fragments.drain(..).next()?;
            let base = at as u64;
            fragment.first_sample_end = fragment
                .first_sample_end
                .map(|end| end.saturating_add(base));
            return Some(fragment);
        }
        at = end;
    }
}

/// C27: what an I-frame playlist lists and answers.
pub fn i_frame_list(on: &mut Scope<'_>, list: &Media, blocking: Option<&super::reload::Reload>) {
    on.should(
        C27,
        "rfc8216bis 4.4.4.9",
        !list.has_parts(),
        "an I-frame playlist lists parts",
        || list.address.clone(),
    );
    on.must(
        C27,
        "rfc8216bis 4.4.3.6",
        list.iframes_only,
        "an I-frame playlist does not say so",
        || list.address.clone(),
    );
    if let Some(reload) = blocking {
        let holds = reload
            .list
            .as_ref()
            .is_some_and(|list| list.ended || list.holds(reload.msn, None));
        on.should(
            C27,
            "rfc8216bis 6.2.5.2",
            holds,
            "an I-frame playlist does not hold a blocking reload",
            || {
                format!(
                    "_HLS_msn={}: {} after {}",
                    reload.msn,
                    reload.answer.outcome(),
                    ms(reload.answer.took_us())
                )
            },
        );
    }
}

/// C34: what must still be there. `listed_us` is when it went from the list.
pub fn still_there(on: &mut Scope<'_>, what: &str, answer: &Answer, left_us: u64, is_part: bool) {
    let saw = || {
        format!(
            "{what}: {}, {} after it left",
            answer.outcome(),
            ms(answer.sent_us.saturating_sub(left_us))
        )
    };
    let there = matches!(answer.status, 200 | 206);
    match is_part {
        true => on.must(
            C34,
            "rfc8216bis 6.2.2",
            there,
            "a part is gone less than three target durations after it left the list",
            saw,
        ),
        false => on.must(
            C34,
            "rfc8216bis 6.2.2",
            there,
            "a segment is gone before its time after it left the list",
            saw,
        ),
    };
}

/// C36, segment after segment of one rendition.
#[derive(Debug, Default)]
pub struct Continuity {
    /// By track: where the next fragment has to begin, and in which segment
    /// that was.
    next: Vec<(u32, u64)>,
    last: Option<(u64, u64)>,
    /// Where media time lies on the wall clock.
    pub anchors: Vec<Anchor>,
    /// Longest sample, in microseconds.
    pub frame_us: u64,
}

impl Continuity {
    /// Takes in the segment after the last one, or a later one.
    pub fn see(&mut self, on: &mut Scope<'_>, segment: &Segment, bytes: &[u8], header: &Header) {
        let media = match fmp4::Media::parse(bytes, header) {
            Ok(media) => media,
            Err(broken) => {
                on.must(
                    C36,
                    "rfc8216bis 3.1.2",
                    false,
                    "a segment cannot be read",
                    || format!("segment {}: {broken}", segment.msn),
                );
                return;
            }
        };
        let follows = self.last == Some((segment.msn.wrapping_sub(1), segment.discontinuity))
            && !segment.starts_discontinuity;
        if !follows {
            self.next.clear();
        }
        self.last = Some((segment.msn, segment.discontinuity));
        let mut first = true;
        for fragment in &media.fragments {
            let Some(track) = header.track(fragment.track) else {
                on.must(
                    C36,
                    "rfc8216bis 3.1.2",
                    false,
                    "a fragment is of a track its header has not",
                    || format!("segment {}", segment.msn),
                );
                continue;
            };
            let Some(decode) = fragment.decode_ticks else {
                continue;
            };
            let ms = |ticks: u64| ticks as f64 * 1000.0 / f64::from(track.timescale);
            if let Some((_, due)) = self.next.iter().find(|(id, _)| *id == fragment.track) {
                on.must(
                    C36,
                    "rfc8216bis 4.4.4.3",
                    decode.abs_diff(*due) <= 1,
                    "decode times step without a discontinuity",
                    || {
                        let far = if decode > *due { "late" } else { "early" };
                        format!(
                            "segment {} ({}): {decode}, due {due}: {:.1} ms {far}",
                            segment.msn,
                            segment.uri,
                            ms(decode.abs_diff(*due))
                        )
                    },
                );
            }
            self.next.retain(|(id, _)| *id != fragment.track);
            self.next.push((
                fragment.track,
                decode.saturating_add(fragment.duration_ticks),
            ));
            let us = |ticks: i128| (ticks * 1_000_000 / i128::from(track.timescale)) as i64;
            self.frame_us = self
                .frame_us
                .max(us(i128::from(fragment.longest_ticks)).unsigned_abs());
            if std::mem::take(&mut first) {
                let presented = i128::from(decode) + i128::from(fragment.composition_ticks)
                    - i128::from(track.edit_ticks);
                self.anchor(segment, us(presented));
            }
        }
    }

    /// A gap, a segment that was not fetched, or one without a readable body.
    pub fn miss(&mut self) {
        self.next.clear();
        self.last = None;
    }

    fn anchor(&mut self, segment: &Segment, media_us: i64) {
        let known = self
            .anchors
            .iter()
            .any(|anchor| anchor.discontinuity == segment.discontinuity);
        if let (Some(wall_us), false) = (segment.wall_us, known || self.anchors.len() > 1000) {
            let offset_us = wall_us.saturating_sub(media_us);
            let frame_us = self.frame_us;
            self.anchors.push(Anchor {
                discontinuity: segment.discontinuity,
                offset_us,
                frame_us,
            });
        }
    }
}

/// When a hinted part was listed, for [`hinted`]: not before it was seen.
pub fn early(on: &mut Scope<'_>, hinted: &Hinted, follow: &Follow, position: (u64, u64)) {
    let listed = follow.listed_us(position.0, Some(position.1));
    let (Some(listed_us), Some(first)) = (listed, hinted.answer.arrivals.first()) else {
        return;
    };
    let late_us = first.at_us.saturating_sub(listed_us);
    on.timely(
        C19,
        "rfc8216bis 6.2.6",
        late_us <= JITTER_US,
        "a hinted part comes long after it is listed",
        || {
            format!(
                "\"{}\": first byte {} after the list",
                hinted.uri,
                ms(late_us)
            )
        },
    );
}
