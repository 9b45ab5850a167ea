//! Media playlists (rfc8216bis sections 4.4.1 to 4.4.5).

mod reader;

use std::sync::Arc;

use super::attributes::Attributes;
use super::variables::Variables;
use super::{At, Faults, Printed, lines};
use crate::limits;

/// A media playlist as printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// Where it was fetched.
    pub address: String,
    /// `EXT-X-VERSION`.
    pub version: Option<At<u64>>,
    /// `EXT-X-TARGETDURATION`, seconds.
    pub target_s: Option<u64>,
    /// `EXT-X-SERVER-CONTROL`.
    pub control: Option<Attributes>,
    /// `PART-TARGET`.
    pub part_target: Option<Printed>,
    /// `EXT-X-MEDIA-SEQUENCE`, 0 without.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: Option<u64>,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub playlist_type: Option<String>,
    /// `EXT-X-I-FRAMES-ONLY`.
    pub iframes_only: bool,
    /// `EXT-X-SKIP`.
    pub skip: Option<Skip>,
    /// Whole segments. In a delta the first has number
    /// `media_sequence + skipped`.
    pub segments: Vec<Segment>,
    /// What is printed of the segment under way; its URI is empty.
    pub open: Segment,
    /// `EXT-X-PRELOAD-HINT`.
    pub hints: Vec<Hint>,
    /// `EXT-X-RENDITION-REPORT`.
    pub reports: Vec<Attributes>,
    /// `EXT-X-DATERANGE`.
    pub dateranges: Vec<Attributes>,
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
    /// Lowest version the content needs, and why.
    pub needs: Needs,
    /// What is wrong with the text.
    pub faults: Faults,
}

/// Lowest version that content needs (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The version.
    pub version: u64,
    /// What needs it.
    pub why: &'static str,
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            version: 1,
            why: "nothing in it",
        }
    }
}

impl Needs {
    pub(super) fn at_least(&mut self, version: u64, why: &'static str) {
        if version > self.version {
            *self = Self { version, why };
        }
    }
}

/// What a delta leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Skip {
    /// The line.
    pub line: usize,
    /// `SKIPPED-SEGMENTS`.
    pub segments: u64,
    /// `RECENTLY-REMOVED-DATERANGES`.
    pub removed: Option<Vec<String>>,
}

/// A segment, whole or under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// Line of the URI, or of the first tag.
    pub line: usize,
    /// Empty for the one under way.
    pub uri: String,
    /// `EXTINF`.
    pub duration: Printed,
    /// `EXT-X-PROGRAM-DATE-TIME` in microseconds since 1970.
    pub wall_us: Option<i64>,
    /// `EXT-X-DISCONTINUITY` in front of it.
    pub starts_discontinuity: bool,
    /// Discontinuity sequence number.
    pub discontinuity: u64,
    /// `EXT-X-GAP`.
    pub gap: bool,
    /// `EXT-X-BYTERANGE`.
    pub range: Option<Range>,
    /// `EXT-X-MAP` in force.
    pub map: Option<Arc<Map>>,
    /// `EXT-X-KEY` tags in force, as printed.
    pub keys: Arc<str>,
    /// Its parts, where they are printed.
    pub parts: Vec<Part>,
}

/// An `EXT-X-PART`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// The line.
    pub line: usize,
    /// Where it is.
    pub uri: String,
    /// `DURATION`.
    pub duration: Printed,
    /// `INDEPENDENT=YES`.
    pub independent: bool,
    /// `GAP=YES`.
    pub gap: bool,
    /// `BYTERANGE`.
    pub range: Option<Range>,
}

/// Bytes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// How many; `None` is to the end.
    pub len: Option<u64>,
}

/// An `EXT-X-MAP`.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Where it is.
    pub uri: String,
    /// `BYTERANGE`.
    pub range: Option<Range>,
}

/// An `EXT-X-PRELOAD-HINT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// The line.
    pub line: usize,
    /// `TYPE`.
    pub kind: String,
    /// `URI`.
    pub uri: String,
    /// `BYTERANGE-START` and `-LENGTH`, if either is there.
    pub range: Option<Range>,
    /// Whether a part stands behind it.
    pub is_before_part: bool,
}

impl Media {
    /// Reads a playlist fetched at `address`.
    pub fn parse(address: &str, text: &str) -> Self {
        Self::parse_with(address, text, &Variables::new())
    }

    /// Reads one whose multivariant playlist defined `above`.
    pub fn parse_with(address: &str, text: &str, above: &Variables) -> Self {
        let mut reader = reader::Reader::new(address, above);
        for (line, text) in lines(text) {
            reader.line(line, text);
        }
        reader.finish()
    }

    /// How many segments there are, skipped ones included.
    pub fn count(&self) -> u64 {
        self.skip.as_ref().map_or(0, |skip| skip.segments) + self.segments.len() as u64
    }

    /// Number and part index of what comes next: the total order of versions.
    pub fn next(&self) -> (u64, u64) {
        let msn = self.media_sequence.saturating_add(self.count());
        (msn, self.open.parts.len() as u64)
    }

    /// Newest whole segment.
    pub fn full(&self) -> Option<u64> {
        self.next().0.checked_sub(1).filter(|_| self.count() > 0)
    }

    /// Number and part index of the newest part; the index is `None` where the
    /// newest is a whole segment without parts.
    pub fn newest(&self) -> Option<(u64, Option<u64>)> {
        if let Some(last) = self.open.parts.len().checked_sub(1) {
            return Some((self.next().0, Some(last as u64)));
        }
        let parts = self
            .segments
            .last()
            .map_or(0, |segment| segment.parts.len() as u64);
        Some((self.full()?, parts.checked_sub(1)))
    }

    /// Whether a blocking reload for this position is satisfied (section
    /// 6.2.5.2). An index behind the last of a whole segment is the first of
    /// the next one.
    pub fn holds(&self, msn: u64, part: Option<u64>) -> bool {
        let (next_msn, next_part) = self.next();
        let Some(part) = part else {
            return next_msn > msn;
        };
        let whole = self.segments.last().filter(|last| last.msn == msn);
        let rolls_over =
            whole.is_some_and(|last| !last.parts.is_empty() && part >= last.parts.len() as u64);
        match rolls_over {
            true => next_part > 0,
            false => next_msn > msn || (next_msn == msn && next_part > part),
        }
    }

    /// A segment by number.
    pub fn segment(&self, msn: u64) -> Option<&Segment> {
        let first = self.segments.first()?.msn;
        self.segments
            .get(usize::try_from(msn.checked_sub(first)?).ok()?)
    }

    /// Whole segments, then what is there of the one under way.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        let open = (!self.open.parts.is_empty()).then_some(&self.open);
        self.segments.iter().chain(open)
    }

    /// Whether it lists any part.
    pub fn has_parts(&self) -> bool {
        self.all().any(|segment| !segment.parts.is_empty())
    }

    /// Media time printed behind the segment at `index`, in microseconds.
    pub fn behind_us(&self, msn: u64) -> u64 {
        let whole = self
            .segments
            .iter()
            .rev()
            .take_while(|segment| segment.msn > msn);
        whole
            .map(|segment| segment.duration.value.us())
            .sum::<u64>()
            + self.open.parts_us()
    }

    /// Printed duration of all whole segments, in microseconds.
    pub fn duration_us(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.duration.value.us())
            .sum()
    }

    /// Wall-clock time at which the newest part ends, by dates and durations.
    pub fn edge_wall_us(&self) -> Option<i64> {
        let mut after_us = self.open.parts_us();
        if let Some(wall_us) = self.open.wall_us {
            return Some(wall_us + after_us as i64);
        }
        for segment in self.segments.iter().rev() {
            after_us += segment.duration.value.us();
            if let Some(wall_us) = segment.wall_us {
                return Some(wall_us + after_us as i64);
            }
        }
        None
    }

    /// Part target in microseconds.
    pub fn part_us(&self) -> Option<u64> {
        self.part_target.as_ref().map(|target| target.value.us())
    }

    /// Target duration in microseconds.
    pub fn target_us(&self) -> u64 {
        let us = self.target_s.unwrap_or(0).saturating_mul(1_000_000);
        us.min(limits::TARGET_US_MAX)
    }

    /// Whether blocking reload is offered.
    pub fn can_block(&self) -> bool {
        self.control
            .as_ref()
            .is_some_and(|control| control.yes("CAN-BLOCK-RELOAD"))
    }

    /// `CAN-SKIP-UNTIL`.
    pub fn can_skip_until(&self) -> Option<Printed> {
        self.control.as_ref()?.decimal("CAN-SKIP-UNTIL")
    }

    /// The hint of a type, if it is the only one.
    pub fn hint(&self, kind: &str) -> Option<&Hint> {
        let mut of_kind = self.hints.iter().filter(|hint| hint.kind == kind);
        of_kind.next().filter(|_| of_kind.next().is_none())
    }
}

impl Segment {
    /// Printed durations of its parts, in microseconds.
    pub fn parts_us(&self) -> u64 {
        self.parts.iter().map(|part| part.duration.value.us()).sum()
    }
}

#[cfg(test)]
mod tests;
