//! A delta update and what it left out are the full playlist.

use crate::m3u8::Media;

/// Compares a delta with the full playlist of the same version.
pub fn compare(full: &Media, delta: &Media) -> Result<(), String> {
    let Some(skipped) = delta.skipped else {
        return if full == delta {
            Ok(())
        } else {
            Err("no SKIP, and not the full one".into())
        };
    };
    let Some(boundary) = full.can_skip_until_us else {
        return Err("a delta that wasn't offered".into());
    };
    let (left_out, kept) = full
        .segments
        .split_at_checked(skipped as usize)
        .ok_or_else(|| format!("{skipped} of {} skipped", full.segments.len()))?;
    if left_out.is_empty() {
        return Err("a delta that skips nothing".into());
    }
    let mut same = kept.len() == delta.segments.len();
    for (kept, sent) in kept
        .iter()
        .chain([&full.open])
        .zip(delta.segments.iter().chain([&delta.open]))
    {
        let map = sent.map.clone().or_else(|| kept.map.clone());
        let sent = crate::m3u8::Segment {
            map,
            ..sent.clone()
        };
        same &= *kept == sent;
    }
    same &= full.media_sequence == delta.media_sequence
        && full.discontinuity_sequence == delta.discontinuity_sequence
        && full.part_hints == delta.part_hints
        && full.date_ranges == delta.date_ranges;
    if !same {
        return Err(format!("delta and full differ: {delta:?}, {full:?}"));
    }
    let open: u64 = full.open.parts.iter().map(|part| part.duration_us).sum();
    let behind = kept.iter().map(|segment| segment.duration_us).sum::<u64>() + open;
    // Nothing inside the boundary is skipped; five decimals a segment.
    if behind + 10 * (kept.len() as u64 + 1) < boundary {
        return Err(format!("only {behind} us are kept of {boundary}"));
    }
    Ok(())
}
