//! `SegmentTemplate`: the segments it stands for (ISO/IEC 23009-1 section
//! 5.3.9.4 and 5.3.9.6).

use super::xml::Element;
use crate::decimal::Decimal;
use crate::limits;

/// A template with what it has from the levels above.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// Ticks in a second; 1 where it is not said, never 0.
    pub timescale: u64,
    /// `presentationTimeOffset`.
    pub offset: u64,
    /// `duration`, where there is no timeline.
    pub duration: Option<u64>,
    /// `startNumber`.
    pub first: u64,
    /// `endNumber`.
    pub last: Option<u64>,
    /// `availabilityTimeOffset`.
    pub early_us: u64,
    /// Whether that is without end.
    pub is_early_for_ever: bool,
    /// `availabilityTimeComplete`; true where it is not said.
    pub is_complete: bool,
    /// `initialization`.
    pub initialization: Option<String>,
    /// `media`.
    pub media: String,
    /// Segments of `SegmentTimeline`.
    pub timeline: Option<Timeline>,
    /// `k`: parts of a segment of a sequence.
    pub parts: Option<u64>,
}

/// `SegmentTimeline`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Its `S` in order.
    pub runs: Vec<Run>,
    /// What does not go on from what stands before it.
    pub faults: Vec<(&'static str, String)>,
}

/// Segments of one duration, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Number of the first.
    pub number: u64,
    /// Media time of the first, in ticks.
    pub time: u64,
    /// Of each, in ticks; never 0.
    pub duration: u64,
    /// How many there are.
    pub count: u64,
    /// Whether they go on until something ends them.
    pub is_open: bool,
    /// `k`.
    pub parts: Option<u64>,
}

impl Run {
    /// Media time at its end.
    pub fn end(&self) -> u64 {
        self.time
            .saturating_add(self.duration.saturating_mul(self.count))
    }

    /// One of its segments.
    pub fn nth(&self, index: u64) -> Self {
        Self {
            number: self.number.saturating_add(index),
            time: self
                .time
                .saturating_add(self.duration.saturating_mul(index)),
            count: 1,
            is_open: false,
            ..self.clone()
        }
    }
}

impl Template {
    /// From the outermost element to the innermost.
    pub(super) fn read(levels: &[&Element]) -> Option<Self> {
        let of = |name: &str| levels.iter().rev().find_map(|level| level.attribute(name));
        let whole = |name: &str| of(name).and_then(|value| value.parse::<u64>().ok());
        let innermost = levels.last()?;
        let timeline = levels
            .iter()
            .rev()
            .find_map(|level| level.first("SegmentTimeline"));
        let first = whole("startNumber").unwrap_or(1);
        let early = of("availabilityTimeOffset");
        let parts = whole("k");
        debug_assert_eq!(innermost.name, "SegmentTemplate");
        Some(Self {
            timescale: whole("timescale").unwrap_or(1).max(1),
            offset: whole("presentationTimeOffset").unwrap_or(0),
            duration: whole("duration").filter(|duration| *duration > 0),
            first,
            last: whole("endNumber"),
            early_us: early.and_then(Decimal::parse).map_or(0, Decimal::us),
            is_early_for_ever: early == Some("INF"),
            is_complete: !matches!(of("availabilityTimeComplete"), Some("false" | "0")),
            initialization: of("initialization").map(str::to_owned),
            media: of("media").unwrap_or("").to_owned(),
            timeline: timeline.map(|timeline| Timeline::read(timeline, first)),
            parts,
        })
    }

    /// Microseconds of ticks.
    pub fn us(&self, ticks: i128) -> i64 {
        let us = ticks * 1_000_000 / i128::from(self.timescale);
        i64::try_from(us).unwrap_or(if us > 0 { i64::MAX } else { i64::MIN })
    }

    /// Microseconds of a media time after the start of the Period.
    pub fn in_period_us(&self, time: u64) -> i64 {
        self.us(i128::from(time) - i128::from(self.offset))
    }

    /// How long before its end a segment is promised.
    pub fn early(&self) -> i64 {
        i64::try_from(self.early_us).unwrap_or(i64::MAX)
    }

    /// Segment `index` of a template without timeline.
    pub fn by_number(&self, index: u64) -> Option<Run> {
        let duration = self.duration?;
        let number = self.first.checked_add(index)?;
        if self.timeline.is_some() || self.last.is_some_and(|last| number > last) {
            return None;
        }
        Some(Run {
            number,
            time: self.offset.checked_add(duration.checked_mul(index)?)?,
            duration,
            count: 1,
            is_open: false,
            parts: self.parts,
        })
    }

    /// The segment that was promised last, `in_period_us` after the start of the
    /// Period: its end, less what it is early by, has passed.
    pub fn newest(&self, in_period_us: i64) -> Option<Run> {
        let reached_us = in_period_us.checked_add(self.early())?;
        if let Some(timeline) = &self.timeline {
            let mut listed = timeline.segments_backwards();
            return listed.find(|run| self.in_period_us(run.end()) <= reached_us);
        }
        let ticks = i128::from(reached_us) * i128::from(self.timescale) / 1_000_000;
        let ended = u64::try_from(ticks).ok()? / self.duration?;
        let index = ended.checked_sub(1)?;
        match self.last {
            Some(last) => self.by_number(index.min(last.checked_sub(self.first)?)),
            None => self.by_number(index),
        }
    }

    /// The oldest segment that begins at `in_period_us` or later.
    pub fn oldest(&self, in_period_us: i64) -> Option<Run> {
        if let Some(timeline) = &self.timeline {
            let mut listed = timeline.segments();
            return listed.find(|run| self.in_period_us(run.time) >= in_period_us);
        }
        let duration = i128::from(self.duration?);
        let ticks = i128::from(in_period_us.max(0)) * i128::from(self.timescale);
        let index = (ticks + 1_000_000 * duration - 1) / (1_000_000 * duration);
        self.by_number(u64::try_from(index).ok()?)
    }
}

impl Timeline {
    fn read(element: &Element, first: u64) -> Self {
        let mut out = Self::default();
        let (mut number, mut time) = (first, 0u64);
        let all: Vec<&Element> = element.all("S").take(limits::ENTRIES_MAX).collect();
        for (index, run) in all.iter().enumerate() {
            let whole = |name: &str| {
                run.attribute(name)
                    .and_then(|value| value.parse::<u64>().ok())
            };
            let at = whole("t").unwrap_or(time);
            let place = || format!("S[{}]", index + 1);
            if index > 0 && at < time {
                let saw = format!("{} begins at {at}, the one before ends at {time}", place());
                out.fault("a segment begins before the one before it ends", saw);
            }
            let Some(duration) = whole("d").filter(|duration| *duration > 0) else {
                out.fault("a segment has no duration", place());
                continue;
            };
            let own = whole("n").unwrap_or(number);
            if own < number {
                out.fault(
                    "the number of a segment goes back",
                    format!("{}: {own} after {number}", place()),
                );
            }
            let repeat = run
                .attribute("r")
                .map_or(Some(0), |value| value.parse::<i64>().ok());
            let is_open = repeat.is_some_and(|repeat| repeat < 0);
            let next = all
                .get(index + 1)
                .and_then(|next| next.attribute("t")?.parse::<u64>().ok());
            let count = match (repeat, next) {
                (Some(repeat), _) if repeat >= 0 => repeat as u64 + 1,
                (_, Some(next)) => next.saturating_sub(at).div_ceil(duration).max(1),
                _ => 1,
            };
            if is_open && index + 1 < all.len() && next.is_none() {
                out.fault(
                    "a run that repeats up to the next has no next with a time",
                    place(),
                );
            }
            let run = Run {
                number: own,
                time: at,
                duration,
                count,
                is_open,
                parts: whole("k"),
            };
            time = run.end();
            number = own.saturating_add(count);
            out.runs.push(run);
        }
        out
    }

    fn fault(&mut self, what: &'static str, saw: String) {
        if self.faults.len() < limits::FAULTS_MAX {
            self.faults.push((what, saw));
        }
    }

    /// Every segment in order, up to a limit.
    pub fn segments(&self) -> impl Iterator<Item = Run> {
        let all = self
            .runs
            .iter()
            .flat_map(|run| (0..run.count).map(|index| run.nth(index)));
        all.take(limits::ENTRIES_MAX)
    }

    /// The newest first.
    pub fn segments_backwards(&self) -> impl Iterator<Item = Run> {
        let all = self
            .runs
            .iter()
            .rev()
            .flat_map(|run| (0..run.count).rev().map(|index| run.nth(index)));
        all.take(limits::ENTRIES_MAX)
    }
}

/// What stands for an identifier of a template.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// As it is.
    Text(&'a str),
    /// With a width where one is given.
    Number(u64),
}

/// Fills `$Number%05d$` and its like in (section 5.3.9.4.4). `None` where a
/// pattern names something else or is not closed.
pub fn fill<'v>(pattern: &str, value: impl Fn(&str) -> Option<Value<'v>>) -> Option<String> {
    const WIDTH_MAX: usize = 20;
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (inside, after) = after.split_once('$')?;
        rest = after;
        if inside.is_empty() {
            out.push('$');
            continue;
        }
        let (name, format) = inside.split_once('%').unwrap_or((inside, ""));
        let width = match format {
            "" => 1,
            _ => format.strip_prefix('0')?.strip_suffix('d')?.parse().ok()?,
        };
        match value(name)? {
            Value::Text(text) if format.is_empty() => out.push_str(text),
            Value::Number(number) if width <= WIDTH_MAX => {
                out.push_str(&format!("{number:0>width$}"));
            }
            _ => return None,
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        let (tree, _) = Element::parse(text).expect("XML");
        Template::read(&[&tree]).expect("a template")
    }

    #[test]
    fn identifiers_are_filled_in() {
        let fill = |pattern| {
            fill(pattern, |name| match name {
                "Number" => Some(Value::Number(7)),
                "RepresentationID" => Some(Value::Text("v1")),
                _ => None,
            })
        };
        let table = [
            ("$RepresentationID$/$Number%05d$.m4s", Some("v1/00007.m4s")),
            ("a$$b-$Number$", Some("a$b-7")),
            ("plain", Some("plain")),
            ("$Number", None),
            ("$Other$", None),
            ("$Number%x$", None),
            ("$RepresentationID%05d$", None),
            ("$Number%099d$", None),
        ];
        for (pattern, filled) in table {
            assert_eq!(fill(pattern).as_deref(), filled, "{pattern}");
        }
    }

    #[test]
    fn numbers_follow_from_time() {
        let of = template(
            "<SegmentTemplate timescale=\"10\" duration=\"20\" startNumber=\"5\" presentationTimeOffset=\"100\" availabilityTimeOffset=\"1.5\" availabilityTimeComplete=\"false\"/>",
        );
        let number = |us| of.newest(us).map(|run| (run.number, run.time));
        assert_eq!(number(400_000), None);
        assert_eq!(number(500_000), Some((5, 100)));
        assert_eq!(number(2_499_999), Some((5, 100)));
        assert_eq!(number(2_500_000), Some((6, 120)));
        assert_eq!(of.in_period_us(120), 2_000_000);
        let oldest = |us| of.oldest(us).map(|run| run.number);
        assert_eq!(
            (oldest(-5), oldest(0), oldest(1), oldest(2_000_000)),
            (Some(5), Some(5), Some(6), Some(6))
        );
        assert!(!of.is_complete);
    }

    #[test]
    fn timelines_are_spelled_out() {
        let of = template(
            "<SegmentTemplate timescale=\"1\" startNumber=\"3\"><SegmentTimeline><S t=\"10\" d=\"2\" r=\"1\"/><S d=\"3\"/><S t=\"20\" d=\"2\" r=\"-1\"/><S t=\"24\" d=\"1\"/></SegmentTimeline></SegmentTemplate>",
        );
        let timeline = of.timeline.as_ref().expect("a timeline");
        let all: Vec<_> = timeline
            .segments()
            .map(|run| (run.number, run.time, run.duration))
            .collect();
        assert_eq!(
            all,
            [
                (3, 10, 2),
                (4, 12, 2),
                (5, 14, 3),
                (6, 20, 2),
                (7, 22, 2),
                (8, 24, 1)
            ]
        );
        let mut backwards: Vec<_> = timeline
            .segments_backwards()
            .map(|run| run.number)
            .collect();
        backwards.reverse();
        assert_eq!(backwards, [3, 4, 5, 6, 7, 8]);
        assert_eq!(timeline.faults, []);
        assert_eq!(of.newest(17_500_000).map(|run| run.number), Some(5));
    }

    #[test]
    fn what_a_timeline_cannot_mean_is_named() {
        let table = [
            (
                "<S t=\"0\" d=\"5\"/><S t=\"4\" d=\"5\"/>",
                "before the one before it ends",
            ),
            ("<S t=\"0\"/>", "no duration"),
            ("<S t=\"0\" d=\"0\"/>", "no duration"),
            (
                "<S t=\"0\" n=\"5\" d=\"1\"/><S n=\"4\" d=\"1\"/>",
                "goes back",
            ),
            (
                "<S t=\"0\" d=\"1\" r=\"-1\"/><S d=\"1\"/>",
                "no next with a time",
            ),
        ];
        for (runs, what) in table {
            let of = template(&format!(
                "<SegmentTemplate><SegmentTimeline>{runs}</SegmentTimeline></SegmentTemplate>"
            ));
            let faults = of.timeline.expect("a timeline").faults;
            assert_eq!(faults.len(), 1, "{runs}: {faults:?}");
            assert!(faults[0].0.contains(what), "{runs}: {faults:?}");
        }
        let huge = template(
            "<SegmentTemplate><SegmentTimeline><S t=\"18446744073709551615\" d=\"9\" r=\"9223372036854775807\"/></SegmentTimeline></SegmentTemplate>",
        );
        assert_eq!(
            huge.timeline.expect("a timeline").segments().count(),
            limits::ENTRIES_MAX
        );
    }
}
