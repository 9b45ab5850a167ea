//! What a version may do to the one before it: C7, C29, C30, C33, C34.

use crate::playlist::media::{Media, Segment};
use crate::rule::{C7, C29, C30, C33, C34};
use crate::verdict::{Level, Scope};

/// Whether hex digits are a `splice_info_section` whose CRC is right.
pub(super) fn is_splice(hex: &str) -> bool {
    let digits = hex.get(2..).unwrap_or("");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    // With its CRC behind it, a section has remainder zero (ISO 13818-1 Annex A).
    let crc = |bytes: &[u8]| {
        bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| {
                (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
            })
        })
    };
    bytes.is_some_and(|bytes| {
        digits.len() % 2 == 0 && bytes.first() == Some(&0xfc) && crc(&bytes) == 0
    })
}

/// C29, C30, C33: what is in both versions is the same in both.
pub(super) fn kept(on: &mut Scope<'_>, old: &Media, list: &Media) {
    let (was, is) = (old.media_sequence, list.media_sequence);
    on.must(
        C29,
        "rfc8216bis 6.2.2",
        is >= was,
        "EXT-X-MEDIA-SEQUENCE went down",
        || format!("from {was} to {is}"),
    );
    on.must(
        C29,
        "rfc8216bis 6.2.1",
        list.next() >= old.next(),
        "the end of the list went back",
        || format!("from {:?} to {:?}", old.newest(), list.newest()),
    );
    on.must(
        C29,
        "rfc8216bis 6.2.1",
        list.ended || !old.ended,
        "EXT-X-ENDLIST was taken back",
        String::new,
    );
    let numbers = (old.discontinuity_sequence, list.discontinuity_sequence);
    on.must(
        C30,
        "rfc8216bis 6.2.2",
        numbers.1 >= numbers.0,
        "EXT-X-DISCONTINUITY-SEQUENCE went down",
        || format!("from {:?} to {:?}", numbers.0, numbers.1),
    );
    for then in old.all() {
        let now = match list.segment(then.msn) {
            Some(now) => now,
            None if list.open.msn == then.msn && !list.open.parts.is_empty() => &list.open,
            None => continue,
        };
        segment_kept(on, then, now);
        parts_kept(on, then, now);
    }
}

/// A segment that is listed in both.
fn segment_kept(on: &mut Scope<'_>, then: &Segment, now: &Segment) {
    let place = || format!("segment {} (line {})", now.msn, now.line);
    if !then.uri.is_empty() {
        let name = now.uri == then.uri && now.range == then.range;
        on.must(
            C29,
            "rfc8216bis 6.2.2, 6.3.4",
            name,
            "a media sequence number has another URI than before",
            || format!("{}: {} was {}", place(), now.uri, then.uri),
        );
        let same = now.duration.value == then.duration.value && now.gap == then.gap;
        on.must(
            C29,
            "rfc8216bis 6.2.1",
            same,
            "a segment has another duration or gap than before",
            || format!("{}: EXTINF:{} was {}", place(), now.duration, then.duration),
        );
    }
    let map = now.map == then.map && now.keys == then.keys;
    on.must(
        C29,
        "rfc8216bis 6.2.1",
        map,
        "a segment has another EXT-X-MAP or EXT-X-KEY than before",
        place,
    );
    let number = now.discontinuity == then.discontinuity;
    on.must(
        C30,
        "rfc8216bis 6.2.2, 6.3.4",
        number,
        "a segment has another discontinuity number than before",
        || {
            format!(
                "{}: {} was {}",
                place(),
                now.discontinuity,
                then.discontinuity
            )
        },
    );
    on.must(
        C33,
        "rfc8216bis 6.2.1",
        now.wall_us == then.wall_us,
        "a listed segment got, lost or changed its date",
        || {
            format!(
                "{}: {:?} us was {:?} us",
                place(),
                now.wall_us,
                then.wall_us
            )
        },
    );
}

/// Parts are only added, and leave together with all of their segment.
fn parts_kept(on: &mut Scope<'_>, then: &Segment, now: &Segment) {
    if now.parts.is_empty() {
        return;
    }
    let place = || {
        format!(
            "segment {} (line {}): {} parts, {} before",
            now.msn,
            now.line,
            now.parts.len(),
            then.parts.len()
        )
    };
    let all = now.parts.len() >= then.parts.len();
    on.must(
        C34,
        "rfc8216bis 3.2, 6.2.2",
        all,
        "only some parts of a segment left, which renumbers the others",
        place,
    );
    if all {
        let plain = |segment: &Segment, index: usize| {
            let part = &segment.parts[index];
            (
                part.uri.clone(),
                part.range,
                part.duration.value,
                part.gap,
                part.independent,
            )
        };
        let other = (0..then.parts.len()).find(|index| plain(then, *index) != plain(now, *index));
        on.must(
            C29,
            "rfc8216bis 6.2.1",
            other.is_none(),
            "a listed part changed",
            || {
                let index = other.unwrap_or(0);
                format!(
                    "{}, index {index}: {:?} was {:?}",
                    place(),
                    plain(now, index),
                    plain(then, index)
                )
            },
        );
    }
}

/// C7 over time: what was hinted is what came.
pub(super) fn hinted(on: &mut Scope<'_>, old: &Media, list: &Media) {
    let (next_msn, next_part) = old.next();
    let coming = list
        .all()
        .filter(|segment| segment.msn >= next_msn)
        .flat_map(|segment| {
            let from = if segment.msn == next_msn {
                next_part as usize
            } else {
                0
            };
            segment
                .parts
                .iter()
                .skip(from)
                .map(move |part| (segment, part))
        });
    let Some((segment, part)) = coming.into_iter().next() else {
        return;
    };
    let known = old
        .open
        .discontinuity
        .max(old.segments.last().map_or(0, |last| last.discontinuity));
    let broke = segment.discontinuity > known || part.gap;
    if let Some(hint) = old.hint("PART") {
        let level = if broke { Level::Warn } else { Level::Fail };
        let range = hint
            .range
            .is_none_or(|range| part.range.is_some_and(|part| part.start == range.start));
        let saw = || {
            format!(
                "line {}: \"{}\" was hinted, \"{}\" came",
                part.line, hint.uri, part.uri
            )
        };
        on.judge(
            level,
            C7,
            "rfc8216bis 4.4.5.3",
            part.uri == hint.uri && range,
            "another part came than was hinted",
            saw,
        );
    }
    let map_before = old.all().next_back().and_then(|last| last.map.as_ref());
    if let (Some(before), Some(map)) = (map_before, &segment.map) {
        let told = old
            .hints
            .iter()
            .any(|hint| hint.kind == "MAP" && hint.uri == map.uri);
        on.should(
            C7,
            "rfc8216bis B.1",
            before == map || told,
            "a new header came without a hint of TYPE=MAP",
            || {
                format!(
                    "line {}: EXT-X-MAP \"{}\" after \"{}\"",
                    part.line, map.uri, before.uri
                )
            },
        );
    }
}
