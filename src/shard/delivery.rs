//! GETs of playlists and media: answered from the home or a mirror, or kept
//! until there is something to serve.

use std::rc::Rc;
use std::sync::Arc;

use crate::dash;
use crate::hls::List;
use crate::http::reply::Reply;
use crate::http::request::{Method, Request};
use crate::http::route::{ObjectName, Route};
use crate::limits;
use crate::media::channel::{Channel, State};
use crate::media::cmaf::Kind;
use crate::shard::dateranges;
use crate::shard::desk::Desk;
use crate::shard::mirror::Mirror;
use crate::shard::reader::{Answered, Ask, Reader};
use crate::shard::{ExchangeId, Letter, Shard};
use crate::time::{Mono, Now};

/// How long a request waits for a channel that is not served yet, in
/// milliseconds.
const EARLY_HOLD_MS: u64 = 8_000;
/// A home that says nothing for this long, in milliseconds, is asked anew: its
/// channel may have ended, and the letter that said so been lost.
const MIRROR_QUIET_MS: u64 = 10_000;
/// How long a mirror waits for something that it does not know and its home may
/// have just told a player of, in milliseconds.
const BEHIND_HOLD_MS: u64 = 1_000;
/// A mirror that nobody has asked for is given up after this, in milliseconds.
const MIRROR_IDLE_MS: u64 = 60_000;

/// A request that waits until its channel is served here.
#[derive(Debug)]
pub(super) struct Deferred {
    exchange: ExchangeId,
    deadline: Mono,
    target: Box<str>,
    head: bool,
    gzip: bool,
    if_none_match: Option<Box<str>>,
    range: Option<Box<str>>,
    if_range: Option<Box<str>>,
}

/// What a reader needs to know of a request.
pub(super) fn ask<'a>(exchange: ExchangeId, request: &Request<'a>) -> Asked<'a> {
    let ask = Ask {
        exchange,
        head: request.method == Method::Head,
        gzip: request.accept_gzip,
        if_none_match: request.if_none_match,
        range: request.range,
        if_range: request.if_range,
    };
    Asked {
        ask,
        target: request.target,
        deadline: None,
    }
}

/// A request with its target, from which it can be taken up again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    ask: Ask<'a>,
    target: &'a str,
    /// When it is refused, if it was kept before.
    deadline: Option<Mono>,
}

impl Deferred {
    fn new(asked: &Asked<'_>, deadline: Mono) -> Self {
        let own = |field: Option<&str>| field.map(Box::from);
        Self {
            exchange: asked.ask.exchange,
            deadline,
            target: asked.target.into(),
            head: asked.ask.head,
            gzip: asked.ask.gzip,
            if_none_match: own(asked.ask.if_none_match),
            range: own(asked.ask.range),
            if_range: own(asked.ask.if_range),
        }
    }

    fn asked(&self) -> Asked<'_> {
        let ask = Ask {
            exchange: self.exchange,
            head: self.head,
            gzip: self.gzip,
            if_none_match: self.if_none_match.as_deref(),
            range: self.range.as_deref(),
            if_range: self.if_range.as_deref(),
        };
        Asked {
            ask,
            target: &self.target,
            deadline: Some(self.deadline),
        }
    }
}

impl Shard {
    /// Answers, parks or keeps a request for something of `channel`.
    pub(super) fn deliver(&mut self, now: Now, name: &str, route: Route<'_>, asked: &Asked<'_>) {
        let exchange = asked.ask.exchange;
        let (desk, strict) = (&mut self.desk, self.settings.strict_part_limit);
        if let Some(home) = self.homes.get_mut(name) {
            let channel = home.publisher.channel();
            if !is_served(channel, &route) {
                return defer(desk, now, &mut home.early, asked, EARLY_HOLD_MS);
            }
            let reader = &mut home.reader;
            return match answer(desk, now, channel, reader, (route, strict), asked) {
                Answered::Yes => {}
                Answered::Unknown => unknown(desk, now, channel, asked),
            };
        }
        let home = self.home_of(name);
        if home == self.identity.id {
            return no_channel(&mut self.desk, now, exchange, name);
        }
        let key: Arc<str> = name.into();
        let mirror = self
            .mirrors
            .entry(Arc::clone(&key))
            .or_insert_with(|| Mirror::new(now.mono));
        mirror.used = now.mono;
        let is_segment = is_segment(&route);
        let desk = &mut self.desk;
        let hold_ms = match &mirror.channel {
            Some(channel) if is_served(channel, &route) => {
                let reader = &mut mirror.reader;
                match answer(desk, now, channel, reader, (route, strict), asked) {
                    Answered::Yes if is_segment => return self.keep_listening(now, &key),
                    Answered::Yes => return,
                    // A player may have it from a core that is ahead of this.
                    Answered::Unknown => BEHIND_HOLD_MS,
                }
            }
            _ => EARLY_HOLD_MS,
        };
        defer(desk, now, &mut mirror.early, asked, hold_ms);
        if mirror.channel.is_none() && !mirror.asked {
            mirror.asked = true;
            desk.post(home, Letter::Subscribe { channel: key });
        }
    }

    /// Takes up requests that were kept, now that their channel is served.
    pub(super) fn take_up(&mut self, now: Now, early: Vec<Deferred>) {
        for deferred in early {
            if !self.desk.parked.remove(&deferred.exchange) {
                continue;
            }
            let asked = deferred.asked();
            let route = Route::parse(asked.target);
            if let Route::Multivariant { channel }
            | Route::Mpd { channel, .. }
            | Route::Patch { channel, .. }
            | Route::MediaPlaylist { channel, .. }
            | Route::IFramePlaylist { channel, .. }
            | Route::DateRanges { channel, .. }
            | Route::Object { channel, .. } = route
            {
                self.deliver(now, channel, route, &asked);
            }
        }
    }

    pub(super) fn tick_mirrors(&mut self, now: Now) {
        let names: Vec<_> = self.mirrors.keys().map(Arc::clone).collect();
        for name in &names {
            self.keep_listening(now, name);
        }
        let desk = &mut self.desk;
        let count = u64::from(self.identity.count);
        self.mirrors.retain(|name, mirror| {
            expire_early(desk, now, &mut mirror.early, name);
            if let Some(channel) = &mirror.channel {
                mirror.reader.expire(desk, now, channel);
            }
            let home = crate::shard::ShardId((crate::hash::fnv1a(name.as_bytes()) % count) as u16);
            let waits = mirror.channel.is_none() && !mirror.asked && !mirror.early.is_empty();
            let quiet = now.mono.ms_since(mirror.heard) > MIRROR_QUIET_MS;
            if waits || quiet {
                (mirror.asked, mirror.heard) = (true, now.mono);
                desk.post(
                    home,
                    Letter::Subscribe {
                        channel: Arc::clone(name),
                    },
                );
            }
            let busy = mirror.reader.slots() > 0 || !mirror.early.is_empty();
            let idle = now.mono.ms_since(mirror.used) > MIRROR_IDLE_MS;
            if idle && !busy {
                desk.post(
                    home,
                    Letter::Unsubscribe {
                        channel: Arc::clone(name),
                    },
                );
            }
            busy || !idle
        });
    }
}

/// Whether a route names a segment: it may be read while it grows.
fn is_segment(route: &Route<'_>) -> bool {
    let Route::Object { object, .. } = route else {
        return false;
    };
    matches!(object, ObjectName::Segment { .. })
}

/// Refuses requests that were kept too long.
pub(super) fn expire_early(desk: &mut Desk, now: Now, early: &mut Vec<Deferred>, name: &str) {
    early.retain(|deferred| {
        let late = deferred.deadline <= now.mono;
        if late {
            desk.expire(deferred.exchange, &Rc::new(not_yet(name, now)));
        }
        !late && desk.parked.contains(&deferred.exchange)
    });
}

/// Refuses requests for a channel that does not exist.
pub(super) fn dismiss_early(desk: &mut Desk, early: Vec<Deferred>, reply: &Rc<Reply>) {
    for deferred in early {
        desk.expire(deferred.exchange, reply);
    }
}

pub(super) fn no_channel_reply(name: &str, now: Now) -> Reply {
    early_reply(&format!("no channel {name}"), now)
}

fn not_yet(name: &str, now: Now) -> Reply {
    early_reply(&format!("channel {name} has no such media yet"), now)
}

fn early_reply(message: &str, now: Now) -> Reply {
    use crate::http::reply::{Cache, ReplyBuilder};
    ReplyBuilder::new(404)
        .cache(Cache::MaxAge(1))
        .body(format!("{message}\n").into(), "text/plain; charset=utf-8")
        .finish(now.wall)
}

fn no_channel(desk: &mut Desk, now: Now, exchange: ExchangeId, name: &str) {
    desk.respond(exchange, Rc::new(no_channel_reply(name, now)));
}

/// Keeps a request until its channel moves, for `hold_ms` at most.
fn defer(desk: &mut Desk, now: Now, early: &mut Vec<Deferred>, asked: &Asked<'_>, hold_ms: u64) {
    if early.len() >= limits::CHANNEL_EARLY_MAX {
        let message = "too many requests wait for this channel";
        return desk.text(asked.ask.exchange, 503, message, now.wall);
    }
    desk.parked.insert(asked.ask.exchange);
    // Each time it is taken up, less may be left to wait for, never more.
    let from_now = now.mono.plus_ms(hold_ms);
    let deadline = asked
        .deadline
        .map_or(from_now, |deadline| deadline.min(from_now));
    early.push(Deferred::new(asked, deadline));
}

/// 404 for what the home of a channel does not know.
fn unknown(desk: &mut Desk, now: Now, channel: &Channel, asked: &Asked<'_>) {
    let message = format!("channel {} has nothing by this name", channel.name);
    desk.respond(asked.ask.exchange, Rc::new(early_reply(&message, now)));
}

/// Whether there is anything to answer from yet.
fn is_served(channel: &Channel, route: &Route<'_>) -> bool {
    let waits =
        matches!(route, Route::Mpd { .. } | Route::Patch { .. }) && channel.state() != State::Gone;
    channel.is_served() && (!waits || dash::is_ready(channel))
}

/// Answers from a channel as it is known here.
fn answer(
    desk: &mut Desk,
    now: Now,
    channel: &Channel,
    reader: &mut Reader,
    (route, strict): (Route<'_>, bool),
    asked: &Asked<'_>,
) -> Answered {
    let ask = &asked.ask;
    match route {
        Route::Multivariant { .. } => reader.multivariant(desk, now, channel, ask),
        Route::Mpd { document, .. } => reader.mpds.mpd(desk, now, channel, document, ask),
        Route::Patch {
            generation,
            version,
            ..
        } => {
            let of = (generation, version);
            reader.mpds.patch(desk, now, channel, of, ask);
        }
        Route::MediaPlaylist { track, query, .. } => match channel.track(track) {
            Some((index, _)) => {
                let list = (index, List::Media);
                reader.media_playlist(desk, now, channel, list, (query, strict), ask);
            }
            None => return Answered::Unknown,
        },
        Route::IFramePlaylist { track, query, .. } => match channel.track(track) {
            Some((index, track)) if track.info.header.kind == Kind::Video => {
                let list = (index, List::IFrames);
                reader.media_playlist(desk, now, channel, list, (query, strict), ask);
            }
            _ => return Answered::Unknown,
        },
        Route::Object { track, object, .. } => match channel.track(track) {
            Some((index, _)) => {
                return reader.object(desk, now, channel, (index, object), ask);
            }
            None => return Answered::Unknown,
        },
        Route::DateRanges { id, .. } => dateranges::list(desk, now, ask.exchange, channel, id),
        _ => unreachable!("only channels are delivered here"),
    }
    Answered::Yes
}
