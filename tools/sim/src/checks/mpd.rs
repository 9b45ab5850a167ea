//! HLS and DASH of one moment name the same bytes for the same time.

use std::collections::BTreeMap;

use crate::client::resolve;
use crate::m3u8::{Media, wall};

/// Playlists print dates in milliseconds, those of sound rounded down and those
/// of pictures up; decode times may be rounded by as much.
const ROUNDING_US: i64 = 3_000;

/// A segment as an MPD lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Where it is.
    pub path: String,
    /// When it begins, in microseconds since 1970.
    pub wall_us: i64,
    /// How long it is, in microseconds, rounded down.
    pub duration_us: i64,
}

/// The segments of one track in an MPD that lists all of them, by number.
pub fn listed(mpd: &str, base: &str, track: &str) -> Result<BTreeMap<u64, Vec<Listed>>, String> {
    let (mut start_us, mut period_us) = (0, 0);
    let mut own = false;
    let mut template = None;
    let mut next = (0u64, 0i64);
    let mut out: BTreeMap<u64, Vec<Listed>> = BTreeMap::new();
    for tag in mpd.split('<').skip(1) {
        let word = |name: &str| {
            let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
            Some(rest.split_once('"')?.0)
        };
        let number = |name: &str| word(name).and_then(|text| text.parse::<i64>().ok());
        match tag.split([' ', '>', '/']).next().unwrap_or_default() {
            // What has ended has no clock.
            "MPD" if word("type") == Some("static") => return Ok(out),
            "MPD" => start_us = wall(word("availabilityStartTime").ok_or("no start")?)?,
            "Period" => period_us = seconds_us(word("start").ok_or("a period without a start")?)?,
            "Representation" => own = word("id") == Some(track),
            "SegmentTemplate" if own => {
                let media = word("media").ok_or("no template")?;
                let offset = number("presentationTimeOffset").unwrap_or(0);
                let timescale = number("timescale").ok_or("no timescale")?;
                template = Some((media.to_owned(), offset, timescale.max(1)));
                next = (number("startNumber").unwrap_or(1) as u64, 0);
            }
            "S" if own => {
                let (media, offset, timescale) = template.as_ref().ok_or("S without template")?;
                let lasts = number("d").ok_or("S without d")?;
                next.0 = number("n").map_or(next.0, |n| n as u64);
                next.1 = number("t").unwrap_or(next.1);
                for _ in 0..=number("r").unwrap_or(0) {
                    let micros = |ticks: i64| {
                        (i128::from(ticks) * 1_000_000).div_euclid(i128::from(*timescale)) as i64
                    };
                    let path = media
                        .replace("$RepresentationID$", track)
                        .replace("$Number$", &next.0.to_string());
                    out.entry(next.0).or_default().push(Listed {
                        path: resolve(base, &path),
                        wall_us: start_us + period_us + micros(next.1 - offset),
                        duration_us: micros(lasts),
                    });
                    next = (next.0 + 1, next.1 + lasts);
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

/// Holds what an MPD lists of a track to the playlist of the track.
pub fn compare(
    path: &str,
    media: &Media,
    listed: &BTreeMap<u64, Vec<Listed>>,
) -> Result<u64, String> {
    let newest = listed.keys().next_back().copied();
    let mut compared = 0;
    for segment in &media.segments {
        let Some(found) = listed.get(&segment.msn) else {
            // A new period is shown once all tracks have entered it.
            if segment.gap || newest.is_none_or(|newest| newest < segment.msn) {
                continue;
            }
            return Err(format!("segment {} is in no MPD", segment.msn));
        };
        if segment.gap {
            return Err(format!("segment {} is a gap, and in an MPD", segment.msn));
        }
        let wall_us = segment.wall_us.ok_or("no date")?;
        for one in found {
            let late = (one.wall_us - wall_us).abs() > ROUNDING_US;
            let long = (one.duration_us - segment.duration_us as i64).abs() > ROUNDING_US;
            if late || long || one.path != resolve(path, &segment.uri) {
                return Err(format!("{segment:?} is {one:?} in an MPD"));
            }
        }
        compared += 1;
    }
    let whole = media.segments.last().map(|segment| segment.msn);
    let ahead = |msn: &&u64| whole.is_some_and(|whole| **msn > whole + 1);
    match listed.keys().find(ahead) {
        Some(msn) => Err(format!("an MPD lists {msn}, the newest is {whole:?}")),
        None => Ok(compared),
    }
}

/// A span as `PT1.5S`, in microseconds.
fn seconds_us(text: &str) -> Result<i64, String> {
    let digits = text
        .strip_prefix("PT")
        .and_then(|rest| rest.strip_suffix('S'));
    let digits = digits.ok_or_else(|| format!("{text} is not a span in seconds"))?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let micros = format!("{whole}{part:0<6}");
    micros.parse().map_err(|_| format!("{text} is no span"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::m3u8::Segment;

    const MPD: &str = r#"<MPD availabilityStartTime="2026-01-01T00:00:00.000Z"><Period start="PT1.5S">
        <Representation id="v"><SegmentTemplate timescale="1000" startNumber="7"
         presentationTimeOffset="500" media="$RepresentationID$/g-s$Number$.m4s"><SegmentTimeline>
        <S t="500" d="2000" r="1"/><S d="1000"/></SegmentTimeline></SegmentTemplate></Representation>"#;

    fn media(shift_us: i64, uri: &str) -> Media {
        let start = wall("2026-01-01T00:00:01.500Z").unwrap();
        let segment = |msn: u64| Segment {
            msn,
            uri: format!("v/{uri}{msn}.m4s"),
            duration_us: 2_000_000,
            wall_us: Some(start + (msn as i64 - 7) * 2_000_000 + shift_us),
            ..Segment::default()
        };
        Media {
            segments: vec![segment(7), segment(8)],
            ..Media::default()
        }
    }

    #[test]
    fn what_differs_is_found() {
        let listed = listed(MPD, "/live/c/timeline.mpd", "v").unwrap();
        assert_eq!(listed.len(), 3, "{listed:?}");
        let path = "/live/c/v.m3u8";
        assert_eq!(compare(path, &media(0, "g-s"), &listed), Ok(2));
        assert!(
            compare(path, &media(5_000, "g-s"), &listed).is_err(),
            "time"
        );
        assert!(compare(path, &media(0, "h-s"), &listed).is_err(), "name");
        let mut short = media(0, "g-s");
        short.segments.pop();
        assert!(compare(path, &short, &listed).is_err(), "not there yet");
        let mut gap = media(0, "g-s");
        gap.segments[1].gap = true;
        assert!(compare(path, &gap, &listed).is_err(), "a gap");
    }
}
