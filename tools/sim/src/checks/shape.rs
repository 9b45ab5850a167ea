//! What every playlist must look like by itself: durations, hints, dates.

use crate::m3u8::{Media, Segment};

/// Durations are printed with five decimals.
const ROUNDING_US: u64 = 10;
/// Dates follow from durations within a frame; what a healthy encoder sent is
/// held to more by the check of bytes.
const DATE_DRIFT_US_MAX: i64 = 43_000;

/// Judges one playlist.
pub fn check(media: &Media) -> Result<(), String> {
    for segment in &media.segments {
        whole_segment(media, segment)?;
    }
    for segment in media.all() {
        parts(media, segment)?;
    }
    dates(media)?;
    control(media)?;
    hints(media)
}

fn whole_segment(media: &Media, segment: &Segment) -> Result<(), String> {
    let msn = segment.msn;
    if (segment.duration_us + 500_000) / 1_000_000 > media.target_s {
        return Err(format!("segment {msn} lasts {} us", segment.duration_us));
    }
    if segment.map.is_none() && media.skipped.is_none() {
        return Err(format!("segment {msn} has no map"));
    }
    if segment.parts.is_empty() {
        return Ok(());
    }
    let sum: u64 = segment.parts.iter().map(|part| part.duration_us).sum();
    if sum.abs_diff(segment.duration_us) > ROUNDING_US * segment.parts.len() as u64 {
        return Err(format!(
            "parts of {msn} last {sum} of {} us",
            segment.duration_us
        ));
    }
    Ok(())
}

fn parts(media: &Media, segment: &Segment) -> Result<(), String> {
    let Some(target) = media.part_target_us else {
        return if segment.parts.is_empty() {
            Ok(())
        } else {
            Err("parts without PART-INF".into())
        };
    };
    for (index, part) in segment.parts.iter().enumerate() {
        if part.duration_us > target {
            return Err(format!(
                "part {index} of {} is over {target}: {part:?}",
                segment.msn
            ));
        }
        // The last one printed of an open segment may be its last one.
        let last = index + 1 == segment.parts.len();
        let before_gap = segment.parts.get(index + 1).is_some_and(|next| next.gap);
        let excepted = part.independent || part.gap || before_gap || last;
        if !excepted && part.duration_us * 100 < target * 85 {
            return Err(format!(
                "part {index} of {} is under {target}: {part:?}",
                segment.msn
            ));
        }
    }
    Ok(())
}

fn dates(media: &Media) -> Result<(), String> {
    let mut last: Option<&Segment> = None;
    for segment in media.all() {
        if let (Some(last), Some(wall)) = (last, segment.wall_us)
            && let Some(before) = last.wall_us
            && !segment.discontinuity
        {
            let drift = wall - before - last.duration_us as i64;
            if drift.abs() > DATE_DRIFT_US_MAX {
                return Err(format!("date of {} drifts by {drift} us", segment.msn));
            }
        }
        if segment.wall_us.is_none() {
            return Err(format!("segment {} has no date", segment.msn));
        }
        last = Some(segment);
    }
    Ok(())
}

fn control(media: &Media) -> Result<(), String> {
    let Some(target) = media.part_target_us else {
        return Ok(());
    };
    if !media.can_block || media.part_hold_back_us.is_none_or(|hold| hold < 3 * target) {
        return Err("PART-INF asks for CAN-BLOCK-RELOAD and a PART-HOLD-BACK of 3 parts".into());
    }
    if media
        .can_skip_until_us
        .is_some_and(|until| until < 6_000_000 * media.target_s)
    {
        return Err("CAN-SKIP-UNTIL is below six target durations".into());
    }
    Ok(())
}

fn hints(media: &Media) -> Result<(), String> {
    let wanted = usize::from(media.part_target_us.is_some() && !media.ended);
    if media.part_hints.len() != wanted || media.map_hints.len() > 1 {
        return Err(format!(
            "hints {:?}, {:?}",
            media.part_hints, media.map_hints
        ));
    }
    let listed = |uri: &String| {
        media
            .all()
            .flat_map(|s| &s.parts)
            .any(|part| part.place() == uri)
    };
    match media.part_hints.iter().find(|uri| listed(uri)) {
        Some(uri) => Err(format!("{uri} is hinted and listed")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::m3u8::Part;

    fn good() -> Media {
        let part = |n: u64, duration_us| Part {
            uri: format!("p{n}"),
            duration_us,
            ..Part::default()
        };
        let segment = |msn: u64| Segment {
            msn,
            uri: format!("s{msn}"),
            duration_us: 1_100_000,
            wall_us: Some(msn as i64 * 1_100_000),
            map: Some("h".into()),
            parts: vec![
                part(3 * msn, 500_000),
                part(3 * msn + 1, 500_000),
                part(3 * msn + 2, 100_000),
            ],
            ..Segment::default()
        };
        Media {
            target_s: 2,
            can_block: true,
            part_target_us: Some(500_000),
            part_hold_back_us: Some(1_500_000),
            segments: vec![segment(1), segment(2)],
            part_hints: vec!["p9".into()],
            ..Media::default()
        }
    }

    #[test]
    fn each_rule_is_seen_broken() {
        assert_eq!(check(&good()), Ok(()));
        let breaks: [fn(&mut Media); 7] = [
            |media| media.segments[0].parts[0].duration_us = 500_010,
            |media| media.segments[0].parts[1].duration_us = 300_000,
            |media| media.segments[1].wall_us = Some(2_300_000),
            |media| media.segments[1].duration_us = 2_500_000,
            |media| media.part_hints.clear(),
            |media| media.part_hold_back_us = Some(1_000_000),
            |media| media.part_hints[0] = "p5".into(),
        ];
        for (number, broken) in breaks.iter().enumerate() {
            let mut media = good();
            broken(&mut media);
            assert!(check(&media).is_err(), "rule {number}");
        }
    }
}
