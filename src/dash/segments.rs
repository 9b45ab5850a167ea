//! Segment templates: which segments of a track there are, and where
//! (sections 5.3.9.4 and 5.3.9.6).

use std::fmt;

use crate::dash::xml::{Seconds, Xml};
use crate::http::route::ObjectName;
use crate::media::channel::{Channel, Track, TrackIndex};
use crate::media::stretch::{Cell, Lane, Run, Stretch};
use crate::time::{Micros, Timescale, rescale_nearest};

/// A stretch as a period of one MPD.
pub(super) struct Period<'a> {
    pub(super) channel: &'a Channel,
    pub(super) stretch: &'a Stretch,
    /// How far behind the begin of the stretch it begins: where the past has
    /// left for good, it is cut off.
    pub(super) trimmed: Micros,
    /// Segments follow from their duration and number.
    pub(super) numbered: Option<Cell>,
    /// Nothing joins any more.
    pub(super) over: bool,
}

impl<'a> Period<'a> {
    /// Whether a track has segments in it.
    pub(super) fn shows(&self, track: TrackIndex) -> bool {
        let lane = self.stretch.lane(track);
        lane.is_some_and(|lane| !lane.runs.is_empty() || self.open(track).is_some())
    }

    /// Parts of each segment of a track, where it can be had as a sequence of
    /// them: if all have as many.
    pub(super) fn sequence(&self, index: TrackIndex) -> Option<u32> {
        let track = self.channel.track_at(index);
        let flows = self.ahead(track).is_some() && self.numbered.is_some();
        let lane = self.stretch.lane(index).filter(|_| flows)?;
        lane.parts.filter(|parts| *parts > 1)
    }

    /// The template of a track; of its parts, where segments are sequences of
    /// so many of them.
    pub(super) fn template(
        &self,
        xml: &mut Xml,
        (index, track): (TrackIndex, &Track),
        lane: &Lane,
        sequence: Option<u32>,
    ) {
        let scale = self.scale(lane);
        xml.begin("SegmentTemplate").attr("timescale", scale);
        match self.numbered {
            Some(cell) => {
                let trimmed = cell.nearest(self.trimmed.0, MICROSECONDS);
                let first = lane.number.saturating_add(trimmed).max(0);
                xml.attr("duration", cell.ticks_of(1, scale))
                    .attr("startNumber", first);
                let last = lane.runs.back().map(|run| run.msn + run.count - 1);
                xml.some("endNumber", last.filter(|_| self.over));
            }
            None => {
                let first = lane.runs.front().map(|run| run.msn);
                let open = || self.open(index).map(|open| open.msn);
                xml.some("startNumber", first.or_else(open));
            }
        }
        xml.attr("presentationTimeOffset", self.offset(lane));
        if let Some(ahead) = self.ahead(track) {
            xml.attr("availabilityTimeOffset", Seconds(ahead));
            xml.attr("availabilityTimeComplete", false);
        }
        let query = Query::of(self.channel);
        let generation = &self.channel.generation;
        let id = lane.header.id;
        let header = ObjectName::Header { generation, id };
        xml.some("k", sequence);
        // The representation of parts has an id of its own.
        let (folder, number) = match sequence {
            Some(_) => (&*track.info.name, "$Number$-$SubNumber$"),
            None => ("$RepresentationID$", "$Number$"),
        };
        xml.attr("initialization", format_args!("{folder}/{header}{query}"));
        let media = format_args!("{folder}/{generation}-s{number}.m4s{query}");
        xml.attr("media", media);
        if self.numbered.is_none() {
            self.timeline(xml, index, lane);
        }
        xml.end();
    }

    /// Ticks a second of what is said of a track: its own, or where these can't
    /// say how long a cell is, those that can.
    pub(super) fn scale(&self, lane: &Lane) -> Timescale {
        let own = lane.header.track.timescale;
        match self.numbered {
            Some(cell) => {
                let ticks = u128::from(cell.ticks) * u128::from(own.get());
                let whole = ticks % u128::from(cell.scale.get()) == 0;
                if whole { own } else { cell.scale }
            }
            None => own,
        }
    }

    /// Time in the bytes of a track where the period begins.
    pub(super) fn offset(&self, lane: &Lane) -> i64 {
        let own = lane.header.track.timescale;
        let ticks = lane.offset_ticks as i64 + own.ticks(self.trimmed);
        rescale_nearest(ticks, own.get(), self.scale(lane).get())
    }

    /// How long before its end a segment can be asked for: its first part is
    /// there then (section 5.3.9.5.3).
    fn ahead(&self, track: &Track) -> Option<Micros> {
        let part = Micros(part_us(self.channel)?);
        let cell = self.channel.stretches().cell()?.micros();
        let flows = track.info.in_parts && !self.over && part.0 < cell.0;
        flows.then_some(Micros(cell.0 - part.0))
    }

    fn timeline(&self, xml: &mut Xml, index: TrackIndex, lane: &Lane) {
        xml.begin("SegmentTimeline");
        let open = self.open(index);
        let mut runs: Vec<Run> = lane.runs.iter().copied().collect();
        if let Some(open) = open {
            match runs.last_mut() {
                Some(last) if last.duration_ticks == open.duration_ticks => last.count += 1,
                _ => runs.push(open),
            }
        }
        let mut end = None;
        for run in &runs {
            xml.begin("S");
            if end != Some(run.start_ticks) {
                xml.attr("t", run.start_ticks);
            }
            xml.attr("d", run.duration_ticks);
            xml.some("r", (run.count > 1).then(|| run.count - 1));
            xml.end();
            end = Some(run.end_ticks());
        }
        xml.end();
    }

    /// The segment under way of a track, where it is of this period and players
    /// may ask for it.
    fn open(&self, index: TrackIndex) -> Option<Run> {
        let track = self.channel.track_at(index);
        self.ahead(track)?;
        let open = track.window.open()?;
        let (stretch, run) = self.channel.stretches().foreseen(index, open)?;
        (stretch.number == self.stretch.number).then_some(run)
    }
}

pub(super) const MICROSECONDS: Timescale = match Timescale::new(1_000_000) {
    Some(scale) => scale,
    None => unreachable!(),
};

/// The part target, where there are parts.
pub(super) fn part_us(channel: &Channel) -> Option<i64> {
    channel.targets()?.part_us.map(i64::from)
}

/// The query of every URL of a channel, as the operator has it, in a template.
/// One that names variables is not for these manifests, which have none.
struct Query<'a>(Option<&'a str>);

impl<'a> Query<'a> {
    fn of(channel: &'a Channel) -> Self {
        let query = channel.presentation.uri_query.as_deref();
        Self(query.filter(|query| !query.contains("{$")))
    }
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(query) => write!(f, "?{}", query.replace('$', "$$")),
            None => Ok(()),
        }
    }
}
