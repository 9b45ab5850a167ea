//! GETs of segments, above all of the one under way: a growing object.
//!
//! Its parts go out as they come to exist, each whole and never a byte of an
//! unfinished one, and the response ends with the segment. What breaks off, because
//! the channel goes away, is aborted, so that no cache keeps half a segment.
//!
//! A response under way is a slot in a list; its data is shared by all who get
//! the same bytes. So is a request that waits for its first byte: one for the
//! next segment, or for a range that begins where the next part will.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crate::hls::cache::{Outcome, Resource};
use crate::http::conditional;
use crate::http::range::Span;
use crate::http::reply::{Reply, ReplyBuilder};
use crate::http::route::ObjectName;
use crate::media::channel::{Channel, TrackIndex};
use crate::media::rope::Rope;
use crate::media::window::{Segment, Window};
use crate::shard::ExchangeId;
use crate::shard::desk::Desk;
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
    /// How the newest stream began: those who waited for the same begin alike.
    beginning: Option<Beginning>,
    /// Version of the window that was last looked at, and whether it had ended.
    seen: (u64, bool),
}

/// A request that waits for its first byte.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    exchange: ExchangeId,
    /// When it is refused.
    deadline: Mono,
    msn: u64,
    span: Option<Span>,
    head: bool,
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
}

#[derive(Debug)]
struct Beginning {
    /// Version of the window, second of the `Date`, segment and range.
    of: (u64, i64, u64, Option<Span>),
    head: Rc<Reply>,
    data: Rc<Rope>,
}

/// How a segment stands.
enum Stand<'a> {
    Whole(&'a Arc<Segment>),
    Open(&'a Arc<Segment>),
    /// Not begun. It is the next, or so near that a player may know it from a
    /// core that is ahead.
    Soon,
    /// It has left memory.
    Gone,
    /// It never came.
    Missing,
    Unknown,
}

impl Growing {
    /// Slots in use, those of peers that left included.
    pub(super) fn slots(&self) -> usize {
        self.waiting.len() + self.streams.len()
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

    /// Sends what is new to the responses under way.
    fn advance(&mut self, desk: &mut Desk, channel: &Channel, window: &Window) {
        let ended = channel.state().is_over();
        let mut shared: Option<((u64, u64, u64), Rc<Rope>)> = None;
        self.streams.retain_mut(|stream| {
            if !desk.parked.contains(&stream.exchange) {
                return false;
            }
            let (segment, over) = match stand(channel, window, stream.msn) {
                Stand::Open(segment) => (segment, ended),
                Stand::Whole(segment) => (segment, true),
                _ => {
                    desk.abort(stream.exchange);
                    return false;
                }
            };
            let to = segment.bytes().min(stream.to);
            if stream.at < to {
                let of = (stream.msn, stream.at, to);
                if shared.as_ref().is_none_or(|(known, _)| *known != of) {
                    shared = Some((of, Rc::new(segment.body().slice(stream.at, to))));
                }
                let (_, data) = shared.as_ref().expect("made above");
                desk.data(stream.exchange, Rc::clone(data));
                stream.at = to;
            }
            let over = over || stream.at == stream.to;
            if over {
                desk.end(stream.exchange);
            }
            !over
        });
    }
}

impl Reader {
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
        if matches!(stand(channel, window, msn), Stand::Unknown) {
            return Answered::Unknown;
        }
        let span = Span::parse(ask.range, ask.if_range, &etag(channel, msn));
        let waits = !self.try_segment(desk, now, channel, (index, msn), (span, ask));
        if waits && self.has_room(desk, (channel, index), now, ask) {
            self.track(index).growing.waiting.push_back(Waiting {
                exchange: ask.exchange,
                deadline: now.mono.plus_ms(PART_HOLD_MS),
                msn,
                span,
                head: ask.head,
            });
            desk.parked.insert(ask.exchange);
        }
        Answered::Yes
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
        let seen = (window.version(), channel.state().is_over());
        if std::mem::replace(&mut growing.seen, seen) == seen || growing.slots() == 0 {
            return;
        }
        growing.advance(desk, channel, window);
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
            let of = (index, one.msn);
            let waits = !self.try_segment(desk, now, channel, of, (one.span, &ask));
            if waits {
                desk.parked.insert(one.exchange);
            } else {
                desk.counters.released += 1;
            }
            waits
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
        let (status, message, outcome) = match stand(channel, window, msn) {
            Stand::Soon => return false,
            Stand::Open(segment) => {
                return self.begin(desk, now, channel, (index, segment), (span, ask));
            }
            Stand::Whole(segment) => {
                let generation = &*channel.generation;
                let object = ObjectName::Segment { generation, msn };
                let what = (index, object, Resource::Segment);
                self.serve(desk, now, channel, what, (segment.body(), span), ask);
                return true;
            }
            Stand::Gone => (410, "it has left the window", Outcome::Gone),
            Stand::Missing => (404, "it never came", Outcome::Missing),
            Stand::Unknown => (404, "nothing announces it", Outcome::Unknown),
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
        (index, segment): (TrackIndex, &Arc<Segment>),
        (span, ask): (Option<Span>, &Ask<'_>),
    ) -> bool {
        let window = &channel.track_at(index).window;
        let etag = etag(channel, segment.msn);
        if let Some(list) = ask.if_none_match
            && conditional::none_match(list, &etag)
        {
            let cache = lifetime(channel, Resource::Segment);
            let reply = Reply::not_modified(&etag, cache, now.wall);
            desk.respond(ask.exchange, Rc::new(reply));
            return true;
        }
        let end = segment.bytes();
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
                let body = segment.body().slice(from, to);
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
        let (head, data) = self.beginning(now, channel, (index, segment), span, from);
        desk.respond(ask.exchange, head);
        if !ask.head {
            desk.parked.insert(ask.exchange);
            if !data.is_empty() {
                desk.data(ask.exchange, data);
            }
            self.track(index).growing.streams.push(Stream {
                exchange: ask.exchange,
                msn: segment.msn,
                at: end,
                to,
            });
        }
        true
    }

    /// Head and first bytes of a stream that begins at `from`.
    fn beginning(
        &mut self,
        now: Now,
        channel: &Channel,
        (index, segment): (TrackIndex, &Arc<Segment>),
        span: Option<Span>,
        from: u64,
    ) -> (Rc<Reply>, Rc<Rope>) {
        let version = channel.track_at(index).window.version();
        let of = (version, now.wall.seconds(), segment.msn, span);
        let kept = &mut self.track(index).growing.beginning;
        if kept.as_ref().is_none_or(|kept| kept.of != of) {
            let builder = match span {
                Some(Span::From { first, last }) => {
                    let last = last.unwrap_or_else(|| LAST_BYTE.max(first));
                    let range = format!("bytes {first}-{last}/*");
                    ReplyBuilder::streamed(206, content_type(channel, index))
                        .field("Content-Range", &range)
                }
                _ => ReplyBuilder::streamed(200, content_type(channel, index))
                    .field("Accept-Ranges", "bytes"),
            };
            let head = builder
                .field("ETag", &etag(channel, segment.msn))
                .cache(lifetime(channel, Resource::Segment))
                .finish(now.wall);
            *kept = Some(Beginning {
                of,
                head: Rc::new(head),
                data: Rc::new(segment.body().slice(from, u64::MAX)),
            });
        }
        let kept = kept.as_ref().expect("made above");
        (Rc::clone(&kept.head), Rc::clone(&kept.data))
    }
}

fn stand<'a>(channel: &Channel, window: &'a Window, msn: u64) -> Stand<'a> {
    let open = window.open().filter(|open| open.msn == msn);
    match (window.segment(msn), open) {
        (Some(segment), _) | (_, Some(segment)) if segment.gap => Stand::Missing,
        (Some(segment), _) => Stand::Whole(segment),
        (_, Some(segment)) => Stand::Open(segment),
        _ if window.first_msn().is_some_and(|first| msn < first) => Stand::Gone,
        _ if is_near(window, msn) && !channel.state().is_over() => Stand::Soon,
        _ => Stand::Unknown,
    }
}

/// Whether a segment is the one under way or the next: it will begin soon, and
/// a player may know it from a core that is ahead.
fn is_near(window: &Window, msn: u64) -> bool {
    window
        .last_whole()
        .is_some_and(|whole| (whole.msn + 1..=whole.msn + 2).contains(&msn))
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
