//! GETs of parts by segment and place: the segment sequences of DASH. A name
//! only: the object is the part that LL-HLS knows by its number.

use std::rc::Rc;
use std::sync::Arc;

use crate::hls::cache::Resource;
use crate::http::range::Span;
use crate::http::route::ObjectName;
use crate::media::channel::{Channel, TrackIndex};
use crate::media::window::{Part, Window};
use crate::shard::desk::Desk;
use crate::shard::reader::growing::Wanted;
use crate::shard::reader::stand::{Stand, stand, starts_in, to_come};
use crate::shard::reader::{Answered, Ask, Reader, object_etag, refusal};
use crate::time::Now;

impl Reader {
    /// A part by its place in segment `msn`: answered or held.
    pub(super) fn segment_part(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, msn, part): (TrackIndex, u64, u64),
        ask: &Ask<'_>,
    ) -> Answered {
        let window = &channel.track_at(index).window;
        if matches!(find(channel, window, msn, part), Found::Not(Stand::Unknown)) {
            return Answered::Unknown;
        }
        if !self.try_segment_part(desk, now, channel, (index, msn, part), ask) {
            let what = (index, msn, Wanted::Part(part));
            self.hold(desk, now, channel, what, ask);
        }
        Answered::Yes
    }

    /// Answers a request for a part by its place; `false` when it has to wait.
    pub(super) fn try_segment_part(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, msn, part): (TrackIndex, u64, u64),
        ask: &Ask<'_>,
    ) -> bool {
        let window = &channel.track_at(index).window;
        match find(channel, window, msn, part) {
            Found::Part(part) => {
                let (generation, number) = (&*channel.generation, part.number);
                let object = ObjectName::Part { generation, number };
                let span = Span::parse(ask.range, ask.if_range, &object_etag(object));
                let what = (index, object, Resource::Part);
                self.serve(desk, now, channel, what, (part.body.clone(), span), ask);
                true
            }
            Found::Not(Stand::Soon) => false,
            Found::Not(stand) => {
                let (status, message, outcome) = stand.refusal();
                let reply = refusal(channel, index, status, (message, outcome), now.wall);
                desk.respond(ask.exchange, Rc::new(reply));
                true
            }
        }
    }
}

enum Found<'a> {
    Part(&'a Arc<Part>),
    /// It is none of those that are there.
    Not(Stand<'a>),
}

/// The part at place `index` of segment `msn`.
fn find<'a>(channel: &Channel, window: &'a Window, msn: u64, index: u64) -> Found<'a> {
    let part_us = channel.targets().and_then(|targets| targets.part_us);
    let Some(part_us) = part_us.filter(|_| window.lists_parts()) else {
        return Found::Not(Stand::Unknown);
    };
    let at = |parts: &'a [Arc<Part>]| usize::try_from(index).ok().and_then(|at| parts.get(at));
    let (there, wait_ms) = match stand(channel, window, None, msn) {
        Stand::Whole(segment) => {
            let part = at(&segment.parts).filter(|part| !part.gap);
            return part.map_or(Found::Not(Stand::Missing), Found::Part);
        }
        Stand::Open(open) => {
            let parts = open.parts();
            match at(parts) {
                Some(part) if part.gap => return Found::Not(Stand::Missing),
                Some(part) => return Found::Part(part),
                None if channel.state().is_over() => return Found::Not(Stand::Unknown),
                None => (parts.len() as u64, 0),
            }
        }
        Stand::Soon => (0, starts_in(window, msn).map_or(0, |(_, ms)| ms)),
        other => return Found::Not(other),
    };
    let before_ms = (index - there).saturating_mul(u64::from(part_us)) / 1000;
    let ms = wait_ms.saturating_add(before_ms);
    Found::Not(to_come(channel, window, ms))
}
