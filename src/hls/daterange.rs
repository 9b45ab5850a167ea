//! Events of a channel as `EXT-X-DATERANGE` (rfc8216bis section 4.4.5.1): the
//! same lines in every media playlist of the channel.
//!
//! How old a line is, for delta updates, is told by the media: it is left out
//! together with a segment that became whole after it was there. That is the
//! same on every core and for every request, as wall-clock time is not, and does
//! not rest on dates, which may leap. Whatever copy of the playlist the kept
//! segments join has the last segment that is left out, and so the lines.

use std::fmt::Write;
use std::rc::Rc;

use crate::hls::gzip::Piece;
use crate::hls::uri::Quoted;
use crate::media::event::{Events, Role, Statement, Value};
use crate::time::{Micros, Wall};

/// The lines of all events; written when the list changes, not when media does.
#[derive(Debug, Default)]
pub(crate) struct DateRanges {
    drawn: Option<(u64, Rc<Piece>)>,
}

impl DateRanges {
    /// All lines.
    pub(crate) fn piece(&mut self, events: &Events) -> Rc<Piece> {
        let version = events.version();
        let drawn = self.drawn.take().filter(|(of, _)| *of == version);
        let drawn = drawn.unwrap_or_else(|| (version, Piece::new(lines(events, 0))));
        Rc::clone(&self.drawn.insert(drawn).1)
    }
}

/// The lines that joined after `version` of the list.
pub(crate) fn lines(events: &Events, version: u64) -> String {
    let mut out = String::new();
    let told = events.iter().flat_map(|event| &event.told);
    for told in told.filter(|told| told.since > version) {
        line(&mut out, &told.statement).expect("a string takes any text");
    }
    out
}

/// Ids of the events that left after `version` of the list, as a delta update
/// lists them (section 4.4.5.2); `None` where some of them are forgotten.
pub(crate) fn removed(events: &Events, version: u64) -> Option<String> {
    let recent = events.removed().filter(|removed| removed.since > version);
    let ids: Vec<&str> = recent.map(|removed| &*removed.id).collect();
    events.remembers(version).then(|| ids.join("\t"))
}

fn line(out: &mut String, said: &Statement) -> std::fmt::Result {
    write!(out, "#EXT-X-DATERANGE:ID={}", Quoted(&said.id))?;
    if let Some(class) = &said.class {
        write!(out, ",CLASS={}", Quoted(class))?;
    }
    write!(out, ",START-DATE=\"{}\"", date(said.start))?;
    if let Some(end) = said.end {
        write!(out, ",END-DATE=\"{}\"", date(end))?;
    }
    if let Some(duration) = said.duration {
        write!(out, ",DURATION={}", seconds(duration))?;
    }
    if let Some(planned) = said.planned {
        write!(out, ",PLANNED-DURATION={}", seconds(planned))?;
    }
    for (name, value) in &said.attributes {
        match value {
            Value::Text(text) => write!(out, ",{name}={}", Quoted(text))?,
            Value::Number(number) => write!(out, ",{name}={number}")?,
        }
    }
    if let Some((role, section)) = &said.splice {
        let name = match role {
            Role::Out => "OUT",
            Role::In => "IN",
            Role::Command => "CMD",
        };
        write!(out, ",SCTE35-{name}=0x")?;
        section
            .iter()
            .try_for_each(|byte| write!(out, "{byte:02X}"))?;
    }
    if said.until_next {
        out.push_str(",END-ON-NEXT=YES");
    }
    writeln!(out)
}

/// A date as the segment of video that begins then prints it.
pub(crate) fn date(wall: Wall) -> String {
    Wall((wall.0.saturating_add(999)).div_euclid(1000) * 1000).rfc3339()
}

fn seconds(span: Micros) -> String {
    let ms = span.0.max(0) / 1000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests;
