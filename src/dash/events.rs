//! Events of the channel as event streams of its periods (section 5.10.2):
//! what encoders say in SCTE-35, from the store that date ranges are drawn from.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dash::xml::Xml;
use crate::hash::fnv1a;
use crate::media::event::{Event, Events, Role};
use crate::time::{Micros, Wall};

/// Splice sections in XML (SCTE 214-1 section 6.7.3).
const SCHEME: &str = "urn:scte:scte35:2014:xml+bin";
const NAMESPACE: &str = "http://www.scte.org/schemas/35/2016";
/// Ticks a second of the times of events.
const TIMESCALE: i64 = 1_000;

/// One splice section of an event and when it holds.
struct Splice<'a> {
    at: Wall,
    lasts: Option<Micros>,
    id: u32,
    section: &'a [u8],
}

/// Writes what happens from `from` to `to`, the span of a period; of the first
/// one also what began before.
pub(super) fn stream(xml: &mut Xml, events: &Events, (from, to): (Wall, Wall), first: bool) {
    let all = events.iter().flat_map(splices);
    let own = all.filter(|splice| {
        let under_way = splice.lasts.is_some_and(|lasts| splice.at + lasts > from);
        splice.at < to && (splice.at >= from || (first && under_way))
    });
    let mut own: Vec<_> = own.collect();
    if own.is_empty() {
        return;
    }
    own.sort_by_key(|splice| (splice.at, splice.id));
    xml.begin("EventStream").attr("schemeIdUri", SCHEME);
    xml.attr("timescale", TIMESCALE);
    for splice in own {
        let at = splice.at.max(from);
        let lasts = splice.lasts.map(|lasts| splice.at + lasts - at);
        xml.begin("Event").attr("presentationTime", ms(at - from));
        xml.some("duration", lasts.map(ms)).attr("id", splice.id);
        xml.begin("Signal").attr("xmlns", NAMESPACE);
        xml.begin("Binary").text(STANDARD.encode(splice.section));
        xml.end();
        xml.end();
    }
    xml.end();
}

/// The sections of an event: out at its start, in at its end.
fn splices(event: &Event) -> impl Iterator<Item = Splice<'_>> {
    let (start, end) = (event.start(), event.end());
    let planned = event.whole().planned;
    [Role::Out, Role::In, Role::Command]
        .into_iter()
        .filter_map(move |role| {
            let section = event.splice(role)?;
            let (at, lasts) = match role {
                Role::In => (end?, None),
                Role::Out => (start, end.map(|end| end - start).or(planned)),
                Role::Command => (start, end.map(|end| end - start)),
            };
            let name = format!("{}/{role:?}", event.id());
            Some(Splice {
                at,
                lasts,
                // Ids are numbers here, the same on every core and for good.
                id: fnv1a(name.as_bytes()) as u32,
                section,
            })
        })
}

fn ms(span: Micros) -> i64 {
    span.0.max(0) * TIMESCALE / 1_000_000
}
