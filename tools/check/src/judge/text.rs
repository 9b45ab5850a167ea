//! What one playlist says, by itself: C1, C2, C4 to C8.

use crate::answer::Answer;
use crate::decimal::Decimal;
use crate::limits;
use crate::playlist::media::{Media, Segment};
use crate::rule::{C1, C2, C4, C5, C6, C7, C8};
use crate::verdict::Scope;

/// A frame where nothing else is known: one of 24 in a second.
pub const FRAME_US: u64 = 41_667;

const TYPES: [&str; 2] = ["application/vnd.apple.mpegurl", "audio/mpegurl"];

/// C1 of one answer that holds a playlist.
pub fn typed(on: &mut Scope<'_>, answer: &Answer) {
    let mime = answer.list("content-type");
    let mime = mime.split(';').next().unwrap_or("").trim();
    let path = answer.answered_by.split(['?', '#']).next().unwrap_or("");
    let by_name = path.ends_with(".m3u8") || path.ends_with(".m3u");
    let by_type = TYPES.contains(&mime);
    let saw = || format!("Content-Type: {mime} of {path}");
    on.must(
        C1,
        "rfc8216bis 4",
        by_type || by_name,
        "neither type nor name tell a playlist",
        saw,
    );
    on.should(
        C1,
        "Apple 10.4",
        by_type,
        "the type is not that of a playlist",
        saw,
    );
    let encoding = answer.list("content-encoding");
    let plain = matches!(&*encoding, "" | "identity");
    on.must(
        C1,
        "RFC 9110 12.5.3",
        plain,
        "an encoding came that was not accepted",
        || format!("Content-Encoding: {encoding} for Accept-Encoding: identity"),
    );
    let text = String::from_utf8_lossy(&answer.body);
    let start = text.chars().take(20).collect::<String>();
    on.must(
        C1,
        "rfc8216bis 4",
        answer.text().is_some(),
        "a playlist is not UTF-8",
        || start.clone(),
    );
    on.must(
        C1,
        "rfc8216bis 4",
        !text.starts_with('\u{feff}'),
        "a playlist begins with a byte order mark",
        || start.clone(),
    );
    let begins = text.trim_start_matches('\u{feff}').lines().next() == Some("#EXTM3U");
    on.must(
        C1,
        "rfc8216bis 4.4.1.1",
        begins,
        "a playlist does not begin with #EXTM3U",
        || start.clone(),
    );
}

/// C1 of the same version, asked for with gzip and without.
pub fn compressed(on: &mut Scope<'_>, plain: &Answer, packed: &Answer) {
    let encoding = packed.list("content-encoding");
    let is_gzip = encoding == "gzip";
    on.should(
        C1,
        "Apple 10.1",
        is_gzip,
        "gzip is not offered for playlists",
        || format!("Content-Encoding: {encoding:?} for Accept-Encoding: gzip"),
    );
    if !is_gzip {
        return;
    }
    let vary = packed.list("vary");
    let varies = vary
        .split(',')
        .any(|name| matches!(name.trim(), "accept-encoding" | "*"));
    on.should(
        crate::rule::C38,
        "RFC 9110 12.5.5",
        varies,
        "gzip is served without Vary: Accept-Encoding",
        || format!("Vary: {vary:?}"),
    );
    let text = unpacked(&packed.body);
    on.must(
        C1,
        "rfc8216bis 4",
        text.as_deref() == Some(&plain.body),
        "gzip and plain text differ",
        || match &text {
            None => "the body is no gzip, or too large".to_owned(),
            Some(text) => format!(
                "{} bytes unpacked, {} bytes plain",
                text.len(),
                plain.body.len()
            ),
        },
    );
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    let limit = limits::PLAYLIST_BYTES_MAX as u64 + 1;
    flate2::read::MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut out)
        .ok()?;
    (out.len() < limit as usize).then_some(out)
}

/// C2, C4 to C8: what stands in the head and at the end of a list, and its
/// segments from number `from` on. `frame_us` is what sums may be off by.
pub fn media(on: &mut Scope<'_>, list: &Media, from: u64, frame_us: u64) {
    server_control(on, list);
    hints(on, list);
    syntax(on, list);
    let Some(target_s) = list.target_s else {
        return;
    };
    for segment in list.segments.iter().filter(|segment| segment.msn >= from) {
        let (line, duration) = (segment.line, &segment.duration);
        on.must(C5, "rfc8216bis 4.4.3.1", duration.value.rounded() <= target_s, "a segment is longer than the target duration", || {
            format!("line {line}: EXTINF:{duration} is {} when rounded, EXT-X-TARGETDURATION:{target_s}", duration.value.rounded())
        });
        parts(on, list, segment);
        sum(on, segment, frame_us);
    }
    parts(on, list, &list.open);
}

/// C2: what must be said beside parts.
fn server_control(on: &mut Scope<'_>, list: &Media) {
    let line = list.control.as_ref().map_or(0, |control| control.line);
    if list.has_parts() {
        on.must(
            C2,
            "rfc8216bis 4.4.3.7",
            list.part_target.is_some(),
            "parts are listed without EXT-X-PART-INF",
            || "EXT-X-PART, but no EXT-X-PART-INF:PART-TARGET".to_owned(),
        );
        if !list.ended {
            on.must(
                C2,
                "rfc8216bis B.1",
                list.can_block(),
                "parts are listed without CAN-BLOCK-RELOAD=YES",
                || format!("line {line}: clients can learn of parts by polling only"),
            );
        }
    }
    hold_backs(on, list);
}

/// C2: hold-backs and the skip boundary against the targets.
fn hold_backs(on: &mut Scope<'_>, list: &Media) {
    let control = list.control.as_ref();
    let decimal = |name| control.and_then(|control| control.decimal(name));
    let line = control.map_or(0, |control| control.line);
    if let Some(part) = &list.part_target {
        let back = decimal("PART-HOLD-BACK");
        let saw = || {
            let back = back
                .as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string);
            format!("line {line}: PART-HOLD-BACK {back}, PART-TARGET={part}")
        };
        let least = |times| {
            back.as_ref()
                .is_some_and(|back| back.value >= part.value.times(times))
        };
        on.must(
            C2,
            "rfc8216bis 4.4.3.8",
            back.is_some(),
            "EXT-X-PART-INF comes without PART-HOLD-BACK",
            saw,
        );
        if back.is_some()
            && on.must(
                C2,
                "rfc8216bis 4.4.3.8",
                least(2),
                "PART-HOLD-BACK is below twice the part target",
                saw,
            )
        {
            on.should(
                C2,
                "rfc8216bis 4.4.3.8; Apple 14.3",
                least(3),
                "PART-HOLD-BACK is below three times the part target",
                saw,
            );
        }
        on.must(
            C2,
            "rfc8216bis 4.4.3.7",
            part.value > Decimal::default(),
            "the part target is zero",
            saw,
        );
    }
    let Some(target_s) = list.target_s else {
        return;
    };
    for (name, times, what) in [
        ("HOLD-BACK", 3, "HOLD-BACK is below three target durations"),
        (
            "CAN-SKIP-UNTIL",
            6,
            "CAN-SKIP-UNTIL is below six target durations",
        ),
    ] {
        if let Some(value) = decimal(name) {
            let enough = value.value >= Decimal::whole(target_s).times(times);
            on.must(C2, "rfc8216bis 4.4.3.8", enough, what, || {
                format!("line {line}: {name}={value}, EXT-X-TARGETDURATION:{target_s}")
            });
        }
    }
    if let Some(control) = list
        .control
        .as_ref()
        .filter(|control| control.yes("CAN-SKIP-DATERANGES"))
    {
        let can = control.get("CAN-SKIP-UNTIL").is_some();
        on.must(
            C2,
            "rfc8216bis 4.4.3.8",
            can,
            "CAN-SKIP-DATERANGES comes without CAN-SKIP-UNTIL",
            || format!("line {line}"),
        );
    }
}

/// C4: durations as printed.
fn parts(on: &mut Scope<'_>, list: &Media, segment: &Segment) {
    let Some(target) = &list.part_target else {
        return;
    };
    for (index, part) in segment.parts.iter().enumerate() {
        let (line, duration) = (part.line, &part.duration);
        let saw = || format!("line {line}: DURATION={duration}, PART-TARGET={target}");
        on.must(
            C4,
            "rfc8216bis 4.4.4.9",
            duration.value <= target.value,
            "a part is longer than the part target",
            saw,
        );
        let next = segment.parts.get(index + 1);
        // The last one listed of an open segment may yet be its last one.
        let excepted = part.independent || part.gap || next.is_none_or(|next| next.gap);
        if !excepted {
            let enough = duration.value.times(100) >= target.value.times(85);
            on.must(
                C4,
                "rfc8216bis 4.4.4.9",
                enough,
                "a part is shorter than 85 % of the part target",
                saw,
            );
        }
    }
}

/// C6: a closed segment that lists its parts lists them all.
fn sum(on: &mut Scope<'_>, segment: &Segment, frame_us: u64) {
    if segment.parts.is_empty() {
        return;
    }
    let sum = segment.parts.iter().fold(Decimal::default(), |sum, part| {
        sum.plus(part.duration.value)
    });
    let off = sum.distance(segment.duration.value);
    on.must(
        C6,
        "rfc8216bis 4.4.4.9; Apple 8.1",
        off.us() <= frame_us,
        "parts do not add up to their segment",
        || {
            let (line, count) = (segment.line, segment.parts.len());
            format!(
                "line {line}: {count} parts last {:.5} s, EXTINF:{}",
                sum.seconds(),
                segment.duration
            )
        },
    );
}

/// C7: what is hinted.
fn hints(on: &mut Scope<'_>, list: &Media) {
    if list.ended {
        let line = list.hints.first().map_or(0, |hint| hint.line);
        on.must(
            C7,
            "rfc8216bis 4.4.5.3",
            list.hints.is_empty(),
            "a hint stands in a list that has ended",
            || format!("line {line}"),
        );
        return;
    }
    let of_kind = |kind: &str| list.hints.iter().filter(|hint| hint.kind == kind).count();
    if list.has_parts() {
        on.must(
            C7,
            "rfc8216bis B.1",
            of_kind("PART") > 0,
            "no hint names the part to come",
            || "parts, but no EXT-X-PRELOAD-HINT:TYPE=PART".to_owned(),
        );
    }
    for hint in &list.hints {
        on.must(
            C7,
            "rfc8216bis 6.2.6",
            of_kind(&hint.kind) == 1,
            "there are two hints of one type",
            || {
                format!(
                    "line {}: {} of TYPE={}",
                    hint.line,
                    of_kind(&hint.kind),
                    hint.kind
                )
            },
        );
        if hint.kind != "PART" {
            continue;
        }
        let saw = || format!("line {}: URI=\"{}\"", hint.line, hint.uri);
        on.must(
            C7,
            "rfc8216bis 4.4.5.3",
            !hint.is_before_part,
            "a hint stands before a part",
            saw,
        );
        let start = hint.range.map(|range| range.start);
        let listed = list
            .all()
            .flat_map(|segment| &segment.parts)
            .any(|part| part.uri == hint.uri && part.range.map(|range| range.start) == start);
        on.must(
            C7,
            "rfc8216bis 4.4.5.3",
            !listed,
            "a hint names a part that is listed",
            saw,
        );
    }
}

/// C8: what the reader found wrong, and the version.
fn syntax(on: &mut Scope<'_>, list: &Media) {
    for fault in list.faults.iter() {
        on.must(C8, fault.clause, false, fault.what, || fault.to_string());
    }
    let said = list.version.as_ref().map_or(1, |version| version.value);
    let line = list.version.as_ref().map_or(0, |version| version.line);
    let needs = list.needs;
    // A delta that may hide date ranges may say 10.
    let hides = list
        .skip
        .as_ref()
        .is_some_and(|skip| skip.removed.is_some());
    let most = if hides {
        needs.version.max(10)
    } else {
        needs.version
    };
    let saw = || {
        format!(
            "line {line}: EXT-X-VERSION {said}, {} needs {}",
            needs.why, needs.version
        )
    };
    on.must(
        C8,
        "rfc8216bis 8",
        said >= needs.version,
        "the version is below what the content needs",
        saw,
    );
    on.should(
        C8,
        "rfc8216bis 6.2.1",
        said <= most.max(1),
        "the version is above what the content needs",
        saw,
    );
}
