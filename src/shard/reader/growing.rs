//! GETs of segments, above all of the one under way: a growing object.
//!
//! Who asks for the segment gets its chunks as they come, what there is at once
//! and then a flush for each chunk. Who asks for a range of it gets whole parts:
//! players of HLS measure their path by how fast a part comes
//! (RFC 8216bis section 6.2.6). Never a byte of an unfinished chunk goes out, and
//! the response ends with the segment. What breaks off, because its upload did
//! or the channel goes away, is aborted, so that no cache keeps half a segment.
//!
//! A response under way is a slot in a list; its data is shared by all who get
//! the same bytes. So is a request that waits for its first byte: one for the
//! next segment, or for a range that begins where the next part will.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use crate::hls::cache::Resource;
use crate::http::conditional;
use crate::http::range::Span;
use crate::http::reply::{Reply, ReplyBuilder};
use crate::http::route::ObjectName;
use crate::media::ahead::Ahead;
use crate::media::channel::{Channel, TrackIndex};
use crate::media::rope::Rope;
use crate::media::window::Window;
use crate::shard::ExchangeId;
use crate::shard::desk::Desk;
use crate::shard::reader::stand::{Open, Stand, stand};
use crate::shard::reader::{
    Answered, Ask, PART_HOLD_MS, Reader, content_type, lifetime, object_etag, refusal,
};
use crate::time::{Mono, Now};

/// Last byte of a range without an end, 2^53-1: what RFC 8673 has clients ask
/// for, and the largest number that all of them can read.
const LAST_BYTE: u64 = (1 << 53) - 1;

/// Requests for segments of one track that are held, and responses under way.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// In order of their deadlines.
    waiting: VecDeque<Waiting>,
    streams: Vec<Stream>,
    /// Chunks of the segment under way that no part lists yet.
    ahead: Option<Ahead>,
    /// How the newest stream began: those who waited for the same begin alike.
    beginning: Option<Beginning>,
    /// What was last looked at of the window, and whether it had ended.
    seen: (u64, u64, bool),
}

/// A request that waits for its first byte.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    exchange: ExchangeId,
    /// When it is refused.
    deadline: Mono,
    msn: u64,
    what: Wanted,
    head: bool,
}

/// What of a segment is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it, or a range.
    Bytes(Option<Span>),
    /// The part at this place.
    Part(u64),
}

/// A response under way.
#[derive(Clone, Copy, Debug)]
struct Stream {
    exchange: ExchangeId,
    msn: u64,
    /// Position in the segment of the next byte to send.
    at: u64,
    /// Position behind the last byte to send.
    to: u64,
    /// Only whole parts are sent.
    in_parts: bool,
    /// How often uploads had broken off when it began.
    tears: u64,
}

#[derive(Debug)]
struct Beginning {
    /// Segment, position behind its last byte, second of the `Date`, and range.
    of: (u64, u64, i64, Option<Span>),
    head: Rc<Reply>,
    data: Rc<Rope>,
}

impl Growing {
    /// Slots in use, those of peers that left included.
    pub(super) fn slots(&self) -> usize {
        self.waiting.len() + self.streams.len()
    }

    /// Whether anybody gets chunks, or will.
    fn reads_chunks(&self) -> bool {
        let waits = |one: &Waiting| matches!(one.what, Wanted::Bytes(span) if !in_parts(span));
        self.streams.iter().any(|stream| !stream.in_parts) || self.waiting.iter().any(waits)
    }

    /// Frees the slots of peers that left.
    pub(super) fn compact(&mut self, parked: &BTreeSet<ExchangeId>) {
        self.waiting.retain(|one| parked.contains(&one.exchange));
        self.streams.retain(|one| parked.contains(&one.exchange));
    }

    /// Takes the requests whose deadline has come.
    pub(super) fn expired(&mut self, now: Mono) -> Vec<ExchangeId> {
        let late = self.waiting.iter().take_while(|one| one.deadline <= now);
        let late = late.count();
        self.waiting.drain(..late).map(|one| one.exchange).collect()
    }

    /// Refuses what waits and breaks what is under way.
    pub(super) fn dismiss(&mut self, desk: &mut Desk, reply: &Rc<Reply>) {
        for waiting in std::mem::take(&mut self.waiting) {
            desk.expire(waiting.exchange, reply);
        }
        for stream in std::mem::take(&mut self.streams) {
            desk.abort(stream.exchange);
        }
    }

    /// Lets go of chunks that are listed by now.
    fn trim(&mut self, window: &Window) {
        let Some(ahead) = &mut self.ahead else { return };
        let listed = match window.open().filter(|open| open.msn == ahead.msn) {
            Some(open) => open.bytes(),
            None if window.segment(ahead.msn).is_some() => u64::MAX,
            None => 0,
        };
        if listed > ahead.at {
            *ahead = ahead.from(listed);
        }
    }

    /// Sends what is new to the responses under way.
    fn advance(&mut self, desk: &mut Desk, channel: &Channel, window: &Window) {
        let Self { streams, ahead, .. } = self;
        let mut known: Option<(u64, Stand<'_>)> = None;
        let mut shared: Option<Burst> = None;
        streams.retain_mut(|stream| {
            if !desk.parked.contains(&stream.exchange) {
                return false;
            }
            if known.as_ref().is_none_or(|(msn, _)| *msn != stream.msn) {
                let stand = stand(channel, window, ahead.as_ref(), stream.msn);
                known = Some((stream.msn, stand));
            }
            let (_, stand) = known.as_ref().expect("made above");
            let there = match stand {
                _ if stream.tears != window.tears() => None,
                Stand::Open(open) if stream.in_parts => Some(open.listed()),
                Stand::Open(open) => Some(open.bytes()),
                Stand::Whole(segment) => Some(segment.bytes()),
                _ => None,
            };
            let Some(there) = there else {
                desk.abort(stream.exchange);
                return false;
            };
            let to = there.min(stream.to);
            if stream.at < to {
                let of = (stream.msn, stream.at, to, stream.in_parts);
                if shared.as_ref().is_none_or(|burst| burst.of != of) {
                    shared = Some(Burst::new(of, stand));
                }
                let burst = shared.as_ref().expect("made above");
                for data in &burst.flushes {
                    desk.data(stream.exchange, Rc::clone(data));
                }
                stream.at = to;
            }
            let whole = matches!(stand, Stand::Whole(_)) || channel.state().is_over();
            let over = whole || stream.at == stream.to;
            if over {
                desk.end(stream.exchange);
            }
            !over
        });
    }
}

/// What is new to all streams that are equally far.
struct Burst {
    /// Segment, the bytes of it, and whether they are parts.
    of: (u64, u64, u64, bool),
    flushes: Vec<Rc<Rope>>,
}

impl Burst {
    /// A flush for each chunk; one alone where parts are sent.
    fn new(of: (u64, u64, u64, bool), stand: &Stand<'_>) -> Self {
        let (_, from, to, in_parts) = of;
        let data = match stand {
            Stand::Open(open) => open.slice(from, to),
            Stand::Whole(segment) => segment.body().slice(from, to),
            _ => unreachable!("only what grows or is whole is sent"),
        };
        let flushes = if in_parts {
            vec![Rc::new(data)]
        } else {
            let chunks = data.pieces().iter().cloned();
            chunks.map(|chunk| Rc::new(chunk.into())).collect()
        };
        Self { of, flushes }
    }
}

impl Reader {
    /// Whether anybody reads a segment chunk by chunk, or waits to.
    pub(in crate::shard) fn reads_chunks(&self) -> bool {
        self.tracks.iter().any(|track| track.growing.reads_chunks())
    }

    /// Position behind the last byte that is known here of the segment that
    /// `ahead` is of, as far as chunks were told of ahead of their parts.
    pub(in crate::shard) fn ahead_end(&self, ahead: &Ahead) -> u64 {
        let track = self.tracks.get(usize::from(ahead.track.0));
        let known = track.and_then(|track| track.growing.ahead.as_ref());
        known
            .filter(|known| known.msn == ahead.msn)
            .map_or(0, Ahead::end)
    }

    /// Chunks of a segment under way have come.
    pub(in crate::shard) fn ahead(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        ahead: &Ahead,
    ) {
        // A mirror may not have heard of the track.
        if usize::from(ahead.track.0) >= channel.tracks().len() {
            return;
        }
        let growing = &mut self.track(ahead.track).growing;
        match &mut growing.ahead {
            Some(known) => known.join(ahead),
            unknown => *unknown = Some(ahead.clone()),
        }
        self.go_on(desk, now, channel, ahead.track);
    }

    /// A segment: answered, streamed or held.
    pub(super) fn segment(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, msn): (TrackIndex, u64),
        ask: &Ask<'_>,
    ) -> Answered {
        let window = &channel.track_at(index).window;
        let ahead = self.track(index).growing.ahead.as_ref();
        if matches!(stand(channel, window, ahead, msn), Stand::Unknown) {
            return Answered::Unknown;
        }
        let span = Span::parse(ask.range, ask.if_range, &etag(channel, msn));
        if !self.try_segment(desk, now, channel, (index, msn), (span, ask)) {
            let what = (index, msn, Wanted::Bytes(span));
            self.hold(desk, now, channel, what, ask);
        }
        Answered::Yes
    }

    /// Holds a request for something of a segment that has not begun.
    pub(super) fn hold(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, msn, what): (TrackIndex, u64, Wanted),
        ask: &Ask<'_>,
    ) {
        if self.has_room(desk, (channel, index), now, ask) {
            self.track(index).growing.waiting.push_back(Waiting {
                exchange: ask.exchange,
                deadline: now.mono.plus_ms(PART_HOLD_MS),
                msn,
                what,
                head: ask.head,
            });
            desk.parked.insert(ask.exchange);
        }
    }

    /// Goes on with the segments of a track whose window has moved.
    pub(super) fn wake_segments(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        index: TrackIndex,
    ) {
        let window = &channel.track_at(index).window;
        let growing = &mut self.track(index).growing;
        let seen = (window.version(), window.tears(), channel.state().is_over());
        if std::mem::replace(&mut growing.seen, seen) != seen {
            growing.trim(window);
            self.go_on(desk, now, channel, index);
        }
    }

    /// Sends what is new, and answers those for whom it is the first.
    fn go_on(&mut self, desk: &mut Desk, now: Now, channel: &Channel, index: TrackIndex) {
        let growing = &mut self.track(index).growing;
        if growing.slots() == 0 {
            return;
        }
        growing.advance(desk, channel, &channel.track_at(index).window);
        let mut waiting = std::mem::take(&mut growing.waiting);
        waiting.retain(|one| {
            if !desk.parked.remove(&one.exchange) {
                return false;
            }
            let ask = Ask {
                exchange: one.exchange,
                head: one.head,
                gzip: false,
                if_none_match: None,
                range: None,
                if_range: None,
            };
            let answered = match one.what {
                Wanted::Bytes(span) => {
                    self.try_segment(desk, now, channel, (index, one.msn), (span, &ask))
                }
                Wanted::Part(part) => {
                    self.try_segment_part(desk, now, channel, (index, one.msn, part), &ask)
                }
            };
            if answered {
                desk.counters.released += 1;
            } else {
                desk.parked.insert(one.exchange);
            }
            !answered
        });
        self.track(index).growing.waiting = waiting;
    }

    /// Answers a request for a segment, or begins to; `false` when it has to
    /// wait.
    fn try_segment(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, msn): (TrackIndex, u64),
        (span, ask): (Option<Span>, &Ask<'_>),
    ) -> bool {
        let window = &channel.track_at(index).window;
        let ahead = self.track(index).growing.ahead.as_ref();
        let (status, message, outcome) = match stand(channel, window, ahead, msn) {
            Stand::Soon => return false,
            Stand::Open(open) => {
                return self.begin(desk, now, channel, (index, &open), (span, ask));
            }
            Stand::Whole(segment) => {
                let generation = &*channel.generation;
                let object = ObjectName::Segment { generation, msn };
                let what = (index, object, Resource::Segment);
                self.serve(desk, now, channel, what, (segment.body(), span), ask);
                return true;
            }
            other => other.refusal(),
        };
        let reply = refusal(channel, index, status, (message, outcome), now.wall);
        desk.respond(ask.exchange, Rc::new(reply));
        true
    }

    /// Answers from the open segment: at once where all that is asked for is
    /// there, else by a stream. `false` when there is nothing to begin with.
    fn begin(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, open): (TrackIndex, &Open<'_>),
        (span, ask): (Option<Span>, &Ask<'_>),
    ) -> bool {
        let window = &channel.track_at(index).window;
        let etag = etag(channel, open.msn);
        if let Some(list) = ask.if_none_match
            && conditional::none_match(list, &etag)
        {
            let cache = lifetime(channel, Resource::Segment);
            let reply = Reply::not_modified(&etag, cache, now.wall);
            desk.respond(ask.exchange, Rc::new(reply));
            return true;
        }
        let in_parts = in_parts(span);
        let end = if in_parts {
            open.listed()
        } else {
            open.bytes()
        };
        let (mut from, mut to) = (0, u64::MAX);
        // How far it is from an end that is not known can't be said: such a
        // range is as good as none (RFC 9110 section 14.2).
        if let Some(Span::From { first, last }) = span {
            (from, to) = (first, last.map_or(u64::MAX, |last| last.saturating_add(1)));
            if from > end + reach(window) {
                let reply = Reply::range_not_satisfiable(None, now.wall);
                desk.respond(ask.exchange, Rc::new(reply));
                return true;
            }
            if from >= end {
                return false;
            }
            // HEAD asks how much there is (RFC 8673 section 2.1).
            if to <= end || ask.head {
                let body = open.slice(from, to.min(end));
                let part =
                    ReplyBuilder::partial_of_growing(body, content_type(channel, index), from);
                let cache = lifetime(channel, Resource::Segment);
                let reply = part.field("ETag", &etag).cache(cache).finish(now.wall);
                desk.respond(ask.exchange, Rc::new(reply));
                return true;
            }
        }
        if !self.has_room(desk, (channel, index), now, ask) {
            return true;
        }
        let (head, data) = self.beginning(now, channel, (index, open), span, (from, end));
        desk.respond(ask.exchange, head);
        if !ask.head {
            desk.parked.insert(ask.exchange);
            if !data.is_empty() {
                desk.data(ask.exchange, data);
            }
            self.track(index).growing.streams.push(Stream {
                exchange: ask.exchange,
                msn: open.msn,
                at: end,
                to,
                in_parts,
                tears: window.tears(),
            });
        }
        true
    }

    /// Head and first bytes, `from..end`, of a stream.
    fn beginning(
        &mut self,
        now: Now,
        channel: &Channel,
        (index, open): (TrackIndex, &Open<'_>),
        span: Option<Span>,
        (from, end): (u64, u64),
    ) -> (Rc<Reply>, Rc<Rope>) {
        let of = (open.msn, end, now.wall.seconds(), span);
        let kept = &mut self.track(index).growing.beginning;
        if kept.as_ref().is_none_or(|kept| kept.of != of) {
            let builder = match span {
                Some(Span::From { first, last }) => {
                    let last = last.unwrap_or(LAST_BYTE);
                    let range = format!("bytes {first}-{last}/*");
                    ReplyBuilder::streamed(206, content_type(channel, index))
                        .field("Content-Range", &range)
                }
                _ => ReplyBuilder::streamed(200, content_type(channel, index))
                    .field("Accept-Ranges", "bytes"),
            };
            let head = builder
                .field("ETag", &etag(channel, open.msn))
                .cache(lifetime(channel, Resource::Segment))
                .finish(now.wall);
            *kept = Some(Beginning {
                of,
                head: Rc::new(head),
                data: Rc::new(open.slice(from, end)),
            });
        }
        let kept = kept.as_ref().expect("made above");
        (Rc::clone(&kept.head), Rc::clone(&kept.data))
    }
}

/// Whether whole parts are sent to who asks for this range.
fn in_parts(span: Option<Span>) -> bool {
    matches!(span, Some(Span::From { .. }))
}

/// How far ahead of the open segment's end a range may begin, in bytes: a core
/// that is ahead may have told of parts that are not known here.
fn reach(window: &Window) -> u64 {
    window.last_whole().map_or(0, |whole| whole.bytes())
}

fn etag(channel: &Channel, msn: u64) -> String {
    let generation = &*channel.generation;
    object_etag(ObjectName::Segment { generation, msn })
}
