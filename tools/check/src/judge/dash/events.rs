//! Events within segments: D18.

use std::collections::BTreeMap;

use super::dash;
use crate::limits;
use crate::mpd::{Representation, Scheme};
use crate::rule::D18;
use crate::verdict::Scope;

/// One `emsg` box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Scheme and value.
    pub scheme: Scheme,
    /// `id`.
    pub id: u32,
    /// When, as the box has it.
    pub at: u64,
    /// Whether that counts from the start of the segment.
    pub is_relative: bool,
    /// `message_data`.
    pub message: Vec<u8>,
    /// Whether a fragment stands before it.
    pub is_late: bool,
}

/// Every event on top of a segment, and those boxes that cannot be read.
pub fn events(bytes: &[u8]) -> (Vec<Event>, usize) {
    let (mut out, mut broken) = (Vec::new(), 0);
    let (mut rest, mut late) = (bytes, false);
    while let Some((kind, body, after)) = next(rest) {
        late |= kind == b"moof";
        if kind == b"emsg" && out.len() < limits::FAULTS_MAX {
            match event(body) {
                Some(event) => out.push(Event {
                    is_late: late,
                    ..event
                }),
                None => broken += 1,
            }
        }
        rest = after;
    }
    (out, broken)
}

/// Type and body of the first box, and what follows it.
fn next(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = bytes.get(4..8)?;
    let (head, size) = match size {
        0 => (8, bytes.len()),
        1 => {
            let long = u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?);
            (16, usize::try_from(long).ok()?)
        }
        size => (8, size as usize),
    };
    Some((kind, bytes.get(head..size)?, bytes.get(size..)?))
}

fn event(body: &[u8]) -> Option<Event> {
    let mut rest = body.get(4..)?;
    let number = |rest: &mut &[u8], len: usize| {
        let (bytes, after) = rest.split_at_checked(len)?;
        *rest = after;
        Some(
            bytes
                .iter()
                .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let text = |rest: &mut &[u8]| {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8(rest[..end].to_vec()).ok()?;
        *rest = &rest[end + 1..];
        Some(text)
    };
    let (scheme, at, id, is_relative);
    match body.first()? {
        0 => {
            scheme = Scheme {
                id: text(&mut rest)?,
                value: text(&mut rest)?,
            };
            let _timescale = number(&mut rest, 4)?;
            at = number(&mut rest, 4)?;
            let _duration = number(&mut rest, 4)?;
            id = number(&mut rest, 4)?;
            is_relative = true;
        }
        1 => {
            let _timescale = number(&mut rest, 4)?;
            at = number(&mut rest, 8)?;
            let _duration = number(&mut rest, 4)?;
            id = number(&mut rest, 4)?;
            scheme = Scheme {
                id: text(&mut rest)?,
                value: text(&mut rest)?,
            };
            is_relative = false;
        }
        _ => return None,
    }
    Some(Event {
        scheme,
        id: u32::try_from(id).ok()?,
        at,
        is_relative,
        message: rest.to_vec(),
        is_late: false,
    })
}

/// Events of one Representation over time.
#[derive(Debug, Default)]
pub struct Known {
    by_id: BTreeMap<(Scheme, u32), Event>,
}

impl Known {
    /// D18 of a segment.
    pub fn see(&mut self, on: &mut Scope<'_>, of: &Representation, bytes: &[u8]) {
        let (found, broken) = events(bytes);
        if found.is_empty() && broken == 0 {
            return on.skip(D18, "no segment has an event, and no MPD");
        }
        on.must(
            D18,
            dash!("5.10.3.3"),
            broken == 0,
            "an event cannot be read",
            || format!("{}: {broken} boxes", of.id),
        );
        for event in found {
            self.one(on, of, event);
        }
    }

    fn one(&mut self, on: &mut Scope<'_>, of: &Representation, event: Event) {
        let saw = || {
            let Scheme { id, value } = &event.scheme;
            format!(
                "{}: {id} {value:?} event {} at {}",
                of.id, event.id, event.at
            )
        };
        let declared = of.inband.iter().any(|known| {
            known.id == event.scheme.id
                && (known.value.is_empty() || known.value == event.scheme.value)
        });
        on.must(
            D18,
            dash!("5.10.3.2"),
            declared,
            "an event in a segment is not declared: players drop it",
            saw,
        );
        on.should(
            D18,
            dash!("5.10.3.3"),
            !event.is_late,
            "an event stands behind the first fragment of its segment",
            saw,
        );
        on.should(
            D18,
            "practice: Shaka Player takes an event without message for an error",
            !event.message.is_empty(),
            "an event in a segment has no message",
            saw,
        );
        let key = (event.scheme.clone(), event.id);
        if let Some(known) = self.by_id.get(&key) {
            let same = known.message == event.message
                && (event.is_relative || known.is_relative || known.at == event.at);
            on.must(
                D18,
                dash!("5.10.3.3"),
                same,
                "two events have one scheme, value and id",
                saw,
            );
        } else if self.by_id.len() < limits::ENTRIES_MAX {
            self.by_id.insert(key, event);
        }
    }
}
