//! What one core keeps of a channel to answer players: rendered playlists,
//! replies of the newest objects, and the requests parked on it.
//!
//! Everything is made once a version and shared by all who ask.

mod growing;
mod mpd;
mod sequence;
mod stand;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::hls::List;
use crate::hls::cache::{self, Outcome, Resource, retry_after_s};
use crate::hls::media::{MediaPlaylist, Version};
use crate::hls::reload::{self, Decision, PartDecision, Refusal, Skip};
use crate::hls::{gzip, multivariant};
use crate::http::conditional;
use crate::http::range::{Selection, Span};
use crate::http::reply::{Cache, Reply, ReplyBuilder};
use crate::http::route::ObjectName;
use crate::limits;
use crate::media::channel::{Channel, State, TrackIndex};
use crate::media::cmaf::Kind;
use crate::media::rope::Rope;
use crate::shard::ExchangeId;
use crate::shard::desk::Desk;
use crate::shard::parked::{Parked, Waiter};
use crate::shard::reader::growing::Growing;
use crate::shard::reader::mpd::Mpds;
use crate::time::{Now, Wall};

/// Media that is hinted is held this long, in milliseconds: AVPlayer gives a
/// request up after about 3.5 s without a header.
const PART_HOLD_MS: u64 = 3_000;
/// Replies of media objects that are kept for those who ask next.
const RECENT_OBJECTS: usize = 4;
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

/// A GET or HEAD, as far as a reader needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) exchange: ExchangeId,
    /// Of the answer, the head is wanted alone.
    pub(super) head: bool,
    pub(super) gzip: bool,
    pub(super) if_none_match: Option<&'a str>,
    pub(super) range: Option<&'a str>,
    pub(super) if_range: Option<&'a str>,
}

/// Whether a request was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Answered, streamed or parked.
    Yes,
    /// Nothing here has this name.
    Unknown,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tracks: Vec<TrackReader>,
    multivariant: [Option<(u64, Dated)>; 2],
    pub(super) mpds: Mpds,
}

#[derive(Debug)]
struct TrackReader {
    /// By [`List`].
    lists: [ListReader; 2],
    /// By tag.
    recent: VecDeque<(String, Dated)>,
    parked: Parked,
    growing: Growing,
}

impl Default for TrackReader {
    fn default() -> Self {
        let list = |list| ListReader {
            playlist: MediaPlaylist::new(list),
            version: None,
            replies: Default::default(),
        };
        Self {
            lists: [list(List::Media), list(List::IFrames)],
            recent: VecDeque::new(),
            parked: Parked::default(),
            growing: Growing::default(),
        }
    }
}

/// One playlist of a track.
#[derive(Debug)]
struct ListReader {
    playlist: MediaPlaylist,
    /// The newest version and the batch of changes it shows.
    version: Option<(u64, Version)>,
    /// Its replies, by [`Variant::slot`].
    replies: [Option<Dated>; Variant::SLOTS],
}

/// In which form a media playlist is asked for.
#[derive(Clone, Copy, Debug)]
struct Variant {
    list: List,
    /// The URL names a position, and may be kept for long.
    blocking: bool,
    skip: Option<Skip>,
    gzip: bool,
}

impl Variant {
    const SLOTS: usize = 12;

    fn slot(self, version: &Version) -> usize {
        let left_out = match version.applied(self.skip) {
            None => 0,
            Some(Skip::Segments) => 1,
            Some(Skip::SegmentsAndDateRanges) => 2,
        };
        usize::from(self.blocking) * 6 + left_out * 2 + usize::from(self.gzip)
    }

    /// The tag of the representation; lifetimes are not part of it.
    fn etag(self, channel: &Channel, version: &Version) -> String {
        let delta = match version.applied(self.skip) {
            None => "",
            Some(Skip::Segments) => "-d",
            Some(Skip::SegmentsAndDateRanges) => "-d2",
        };
        playlist_etag(channel, (channel.seq, delta), self.gzip)
    }
}

/// A reply that is made anew when the second of its `Date` has passed.
#[derive(Clone, Debug)]
struct Dated {
    reply: Rc<Reply>,
    second: i64,
}

impl Dated {
    fn new(reply: Reply, wall: Wall) -> Self {
        Self {
            reply: Rc::new(reply),
            second: wall.seconds(),
        }
    }

    fn get(&mut self, wall: Wall) -> Rc<Reply> {
        if self.second != wall.seconds() {
            *self = Self::new(self.reply.refreshed(wall), wall);
        }
        Rc::clone(&self.reply)
    }
}

impl Reader {
    /// Requests parked here and responses under way, those of peers that left
    /// included.
    pub(super) fn slots(&self) -> usize {
        let tracks = self.tracks.iter();
        tracks
            .map(|track| track.parked.slots() + track.growing.slots())
            .sum()
    }

    /// A reader of `channel`.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The multivariant playlist.
    pub(super) fn multivariant(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        ask: &Ask<'_>,
    ) {
        if channel.state() == State::Gone {
            let Refusal { status, message } = reload::WITHDRAWN;
            let reply = refuse(channel, None, status, (message, Outcome::Gone), now.wall);
            return desk.respond(ask.exchange, Rc::new(reply));
        }
        let version = channel.presentation_version();
        let kept = &mut self.multivariant[usize::from(ask.gzip)];
        if kept.as_ref().is_none_or(|(of, _)| *of != version) {
            desk.counters.renders += 1;
            let text = multivariant::render(channel);
            let body = if ask.gzip {
                gzip::whole(&mut desk.deflater, text.as_bytes())
            } else {
                Rope::from(text)
            };
            let etag = playlist_etag(channel, (version, ""), ask.gzip);
            let cache = lifetime(channel, Resource::Multivariant);
            let form = (PLAYLIST_TYPE, ask.gzip);
            let reply = manifest_reply(body, form, &etag, cache, now.wall);
            *kept = Some((version, Dated::new(reply, now.wall)));
        }
        let (_, dated) = kept.as_mut().expect("made above");
        let reply = dated.get(now.wall);
        let etag = || playlist_etag(channel, (version, ""), ask.gzip);
        let cache = lifetime(channel, Resource::Multivariant);
        answer(desk, now, ask, reply, etag, cache);
    }

    /// A media playlist: answered, parked or refused.
    pub(super) fn media_playlist(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, list): (TrackIndex, List),
        (query, strict): (&str, bool),
        ask: &Ask<'_>,
    ) {
        let window = &channel.track_at(index).window;
        let (decision, directives) = reload::decide_query(channel, window, list, query, strict);
        let skip = directives.skip;
        match decision {
            Decision::Ready => {
                let variant = Variant {
                    list,
                    blocking: directives.msn.is_some(),
                    skip,
                    gzip: ask.gzip,
                };
                let reply = self.playlist_reply(desk, now, channel, index, variant);
                let cache = lifetime(channel, playlist_resource(variant.blocking));
                let version = self.newest(desk, channel, (index, list));
                answer(
                    desk,
                    now,
                    ask,
                    reply,
                    || variant.etag(channel, version),
                    cache,
                );
            }
            Decision::Park { until } => {
                let targets = channel.targets().expect("a listed track has targets");
                let waiter = Waiter {
                    exchange: ask.exchange,
                    deadline: now.mono.plus_ms(reload::hold_ms(targets)),
                    list,
                    gzip: ask.gzip,
                    skip,
                };
                if self.has_room(desk, (channel, index), now, ask) {
                    self.track(index).parked.playlist(until, waiter);
                    desk.parked.insert(ask.exchange);
                }
            }
            Decision::Refuse { status, message } => {
                let outcome = match status {
                    410 => Outcome::Gone,
                    503 => Outcome::TimedOut,
                    _ => Outcome::Refused,
                };
                let reply = refusal(channel, index, status, (message, outcome), now.wall);
                desk.respond(ask.exchange, Rc::new(reply));
            }
        }
    }

    /// A CMAF header, a segment or a part.
    pub(super) fn object(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, object): (TrackIndex, ObjectName<'_>),
        ask: &Ask<'_>,
    ) -> Answered {
        let window = &channel.track_at(index).window;
        let (generation, resource) = match object {
            ObjectName::Header { generation, .. } => (generation, Resource::Header),
            ObjectName::Segment { generation, .. } => (generation, Resource::Segment),
            ObjectName::Part { generation, .. } => (generation, Resource::Part),
            ObjectName::SegmentPart { generation, .. } => (generation, Resource::Part),
        };
        let refuse = |desk: &mut Desk, outcome: Outcome| {
            let (status, message) = match outcome {
                Outcome::Gone => (410, "it has left the window"),
                _ => (404, "it never came"),
            };
            let reply = refusal(channel, index, status, (message, outcome), now.wall);
            desk.respond(ask.exchange, Rc::new(reply));
            Answered::Yes
        };
        if generation != &*channel.generation {
            return Answered::Unknown;
        }
        let body = match object {
            ObjectName::Header { id, .. } => window
                .header(id)
                .map(|header| Rope::from(header.track.bytes.clone())),
            ObjectName::Segment { msn, .. } => {
                return self.segment(desk, now, channel, (index, msn), ask);
            }
            ObjectName::SegmentPart {
                msn, index: part, ..
            } => {
                return self.segment_part(desk, now, channel, (index, msn, part), ask);
            }
            ObjectName::Part { number, .. } => match reload::decide_part(channel, window, number) {
                PartDecision::Ready(part) => Some(part.body.clone()),
                PartDecision::Gone => return refuse(desk, Outcome::Gone),
                PartDecision::Missing => return refuse(desk, Outcome::Missing),
                PartDecision::Unknown => None,
                PartDecision::Park => {
                    self.park_part(desk, now, channel, (index, number), ask);
                    return Answered::Yes;
                }
            },
        };
        let Some(body) = body else {
            return Answered::Unknown;
        };
        let span = Span::parse(ask.range, ask.if_range, &object_etag(object));
        let what = (index, object, resource);
        self.serve(desk, now, channel, what, (body, span), ask);
        Answered::Yes
    }

    /// Answers the requests that the newest batch of changes has made due.
    pub(super) fn wake(&mut self, desk: &mut Desk, now: Now, channel: &Channel) {
        // The simulator must notice a wake-up that never comes.
        if cfg!(feature = "canary") && channel.seq % 64 == 63 {
            return;
        }
        self.mpds.follow(desk, now, channel);
        let over = channel.state().is_over();
        for position in 0..self.tracks.len() {
            let index = TrackIndex(position as u16);
            let window = &channel.track_at(index).window;
            self.wake_segments(desk, now, channel, index);
            let parked = &mut self.tracks[position].parked;
            if parked.slots() == 0 {
                continue;
            }
            let gone = channel.state() == State::Gone;
            let playlists = if gone {
                Vec::new()
            } else {
                parked.due_playlists(window, over)
            };
            // Only 400 and 503 make every player ask again without directives,
            // so that is how a request ends that was held for what is gone.
            let refused = if gone || window.is_overdue() {
                parked.due_playlists(window, true)
            } else {
                Vec::new()
            };
            let parts = parked.due_parts(window, over);
            if !refused.is_empty() {
                let Refusal { status, message } = reload::OVERDUE;
                let outcome = Outcome::TimedOut;
                let reply = refusal(channel, index, status, (message, outcome), now.wall);
                let reply = Rc::new(reply);
                for waiter in refused {
                    desk.expire(waiter.exchange, &reply);
                }
            }
            for waiter in playlists {
                if desk.parked.contains(&waiter.exchange) {
                    let variant = Variant {
                        list: waiter.list,
                        blocking: true,
                        skip: waiter.skip,
                        gzip: waiter.gzip,
                    };
                    let reply = self.playlist_reply(desk, now, channel, index, variant);
                    desk.release(waiter.exchange, &reply);
                }
            }
            for (number, waiter) in parts {
                self.release_part(desk, now, channel, (index, number), waiter);
            }
        }
    }

    /// Refuses the requests whose deadline has come.
    pub(super) fn expire(&mut self, desk: &mut Desk, now: Now, channel: &Channel) {
        for (position, track) in self.tracks.iter_mut().enumerate() {
            let index = TrackIndex(position as u16);
            let (playlists, parts) = track.parked.expired(now.mono);
            let media = parts.into_iter().map(|waiter| waiter.exchange);
            let media: Vec<_> = media.chain(track.growing.expired(now.mono)).collect();
            if !playlists.is_empty() {
                let late = "no new media within three target durations";
                let reply = Rc::new(refusal(
                    channel,
                    index,
                    503,
                    (late, Outcome::TimedOut),
                    now.wall,
                ));
                for waiter in playlists {
                    desk.expire(waiter.exchange, &reply);
                }
            }
            if !media.is_empty() {
                let late = "the media did not come";
                let reply = Rc::new(refusal(
                    channel,
                    index,
                    404,
                    (late, Outcome::Unknown),
                    now.wall,
                ));
                for exchange in media {
                    desk.expire(exchange, &reply);
                }
            }
        }
    }

    /// Refuses every parked request and breaks off every response under way: the
    /// channel or the process goes away.
    pub(super) fn dismiss(&mut self, desk: &mut Desk, reply: &Rc<Reply>) {
        for track in &mut self.tracks {
            for waiter in track.parked.all() {
                desk.expire(waiter.exchange, reply);
            }
            track.growing.dismiss(desk, reply);
        }
    }

    fn track(&mut self, index: TrackIndex) -> &mut TrackReader {
        let position = usize::from(index.0);
        if self.tracks.len() <= position {
            self.tracks.resize_with(position + 1, TrackReader::default);
        }
        &mut self.tracks[position]
    }

    fn has_room(
        &mut self,
        desk: &mut Desk,
        (channel, index): (&Channel, TrackIndex),
        now: Now,
        ask: &Ask<'_>,
    ) -> bool {
        // Peers that left keep their slots until then. Once they have more than
        // those who wait, the search pays for itself.
        let slots_worth_keeping = 2 * desk.parked.len() + limits::CHANNEL_LEFT_MAX;
        if self.slots() >= limits::CHANNEL_PARKED_MAX.min(slots_worth_keeping) {
            for track in &mut self.tracks {
                track.parked.compact(&desk.parked);
                track.growing.compact(&desk.parked);
            }
        }
        let full = self.slots() >= limits::CHANNEL_PARKED_MAX
            || desk.parked.len() >= limits::CORE_PARKED_MAX;
        if full {
            let message = "too many requests are held";
            let reply = refusal(channel, index, 503, (message, Outcome::Busy), now.wall);
            desk.respond(ask.exchange, Rc::new(reply));
        }
        !full
    }

    fn park_part(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, number): (TrackIndex, u64),
        ask: &Ask<'_>,
    ) {
        if self.has_room(desk, (channel, index), now, ask) {
            let deadline = now.mono.plus_ms(PART_HOLD_MS);
            let waiter = Waiter {
                exchange: ask.exchange,
                deadline,
                list: List::Media,
                gzip: false,
                skip: None,
            };
            self.track(index).parked.part(number, waiter);
            desk.parked.insert(ask.exchange);
        }
    }

    fn release_part(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, number): (TrackIndex, u64),
        waiter: Waiter,
    ) {
        if !desk.parked.remove(&waiter.exchange) {
            return;
        }
        desk.counters.released += 1;
        let generation = &*channel.generation;
        let ask = Ask {
            exchange: waiter.exchange,
            head: false,
            gzip: false,
            if_none_match: None,
            range: None,
            if_range: None,
        };
        let object = ObjectName::Part { generation, number };
        if self.object(desk, now, channel, (index, object), &ask) != Answered::Yes {
            let passed = "the part was passed over";
            let reply = refusal(channel, index, 404, (passed, Outcome::Missing), now.wall);
            desk.respond(ask.exchange, Rc::new(reply));
        }
    }

    /// The newest version of a media playlist.
    fn newest(
        &mut self,
        desk: &mut Desk,
        channel: &Channel,
        (index, list): (TrackIndex, List),
    ) -> &Version {
        let reader = self.list(index, list);
        if !matches!(&reader.version, Some((seq, _)) if *seq == channel.seq) {
            desk.counters.renders += 1;
            reader.version = Some((channel.seq, reader.playlist.render(channel, index)));
            reader.replies = Default::default();
        }
        let (_, version) = reader.version.as_ref().expect("rendered above");
        version
    }

    fn list(&mut self, index: TrackIndex, list: List) -> &mut ListReader {
        &mut self.track(index).lists[list as usize]
    }

    /// The reply with the newest version of a media playlist.
    fn playlist_reply(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        index: TrackIndex,
        variant: Variant,
    ) -> Rc<Reply> {
        let slot = variant.slot(self.newest(desk, channel, (index, variant.list)));
        let ListReader {
            version, replies, ..
        } = self.list(index, variant.list);
        let (_, version) = version.as_ref().expect("rendered above");
        let dated = replies[slot].get_or_insert_with(|| {
            let body = if variant.gzip {
                version.gzip(variant.skip, &mut desk.deflater)
            } else {
                version.plain(variant.skip)
            };
            let etag = variant.etag(channel, version);
            let cache = lifetime(channel, playlist_resource(variant.blocking));
            let form = (PLAYLIST_TYPE, variant.gzip);
            let reply = manifest_reply(body, form, &etag, cache, now.wall);
            Dated::new(reply, now.wall)
        });
        dated.get(now.wall)
    }

    /// Answers with a media object.
    fn serve(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (index, object, resource): (TrackIndex, ObjectName<'_>, Resource),
        (body, span): (Rope, Option<Span>),
        ask: &Ask<'_>,
    ) {
        let cache = lifetime(channel, resource);
        let content_type = content_type(channel, index);
        let etag = object_etag(object);
        match span.map_or(Selection::Whole, |span| span.within(body.len())) {
            Selection::Whole => {}
            Selection::Part { from, to } => {
                let part = ReplyBuilder::partial(&body, content_type, from, to);
                let reply = part.field("ETag", &etag).cache(cache).finish(now.wall);
                return desk.respond(ask.exchange, Rc::new(reply));
            }
            Selection::Unsatisfiable => {
                let reply = Reply::range_not_satisfiable(Some(body.len()), now.wall);
                return desk.respond(ask.exchange, Rc::new(reply));
            }
        }
        let recent = &mut self.track(index).recent;
        let position = recent
            .iter()
            .position(|(of, _)| *of == etag)
            .unwrap_or_else(|| {
                let reply = ReplyBuilder::new(200)
                    .field("ETag", &etag)
                    .field("Accept-Ranges", "bytes")
                    .cache(cache)
                    .body(body, content_type)
                    .finish(now.wall);
                if recent.len() == RECENT_OBJECTS {
                    recent.pop_front();
                }
                recent.push_back((etag.clone(), Dated::new(reply, now.wall)));
                recent.len() - 1
            });
        let reply = recent[position].1.get(now.wall);
        answer(desk, now, ask, reply, || etag, cache);
    }
}

/// Bytes under a name never change, so the name says all, and says it before
/// they are whole.
fn object_etag(object: ObjectName<'_>) -> String {
    format!("\"{object}\"")
}

fn content_type(channel: &Channel, index: TrackIndex) -> &'static str {
    match channel.track_at(index).info.header.kind {
        Kind::Video => "video/mp4",
        Kind::Audio => "audio/mp4",
        Kind::Text | Kind::Metadata => "application/mp4",
    }
}

/// Answers with `reply`, or 304 when the peer has it.
fn answer(
    desk: &mut Desk,
    now: Now,
    ask: &Ask<'_>,
    reply: Rc<Reply>,
    etag: impl FnOnce() -> String,
    cache: Cache,
) {
    // Most requests have no condition: the tag is made for those that do.
    if let Some(list) = ask.if_none_match {
        let etag = etag();
        if conditional::none_match(list, &etag) {
            let reply = Reply::not_modified(&etag, cache, now.wall);
            return desk.respond(ask.exchange, Rc::new(reply));
        }
    }
    desk.respond(ask.exchange, reply);
}

fn playlist_resource(blocking: bool) -> Resource {
    if blocking {
        Resource::BlockingPlaylist
    } else {
        Resource::Playlist
    }
}

fn lifetime(channel: &Channel, resource: Resource) -> Cache {
    let outcome = match channel.state() {
        State::Ended | State::Gone => Outcome::FoundEnded,
        _ => Outcome::Found,
    };
    cache::lifetime(resource, outcome, channel.targets())
}

fn playlist_etag(channel: &Channel, (version, form): (u64, &str), gzip: bool) -> String {
    format!(
        "\"{}-{version}{form}{}\"",
        channel.generation,
        if gzip { "-gz" } else { "" }
    )
}

fn manifest_reply(
    body: Rope,
    (content_type, gzip): (&str, bool),
    etag: &str,
    cache: Cache,
    wall: Wall,
) -> Reply {
    let mut builder = ReplyBuilder::new(200)
        .field("ETag", etag)
        .field("Vary", "Accept-Encoding")
        .cache(cache);
    if gzip {
        builder = builder.field("Content-Encoding", "gzip");
    }
    builder.body(body, content_type).finish(wall)
}

/// A refusal of something of a track, cacheable as the table says.
fn refusal(
    channel: &Channel,
    index: TrackIndex,
    status: u16,
    why: (&str, Outcome),
    wall: Wall,
) -> Reply {
    refuse(channel, Some(index), status, why, wall)
}

/// The same of a track or of the whole channel.
fn refuse(
    channel: &Channel,
    index: Option<TrackIndex>,
    status: u16,
    (message, outcome): (&str, Outcome),
    wall: Wall,
) -> Reply {
    let cache = cache::lifetime(Resource::BlockingPlaylist, outcome, channel.targets());
    let mut builder = ReplyBuilder::new(status).cache(cache);
    if status == 503 {
        builder = builder.field("Retry-After", &retry_after_s(channel.targets()).to_string());
    }
    let track = index.map(|index| &channel.track_at(index).info.name);
    let of = track.map_or_else(String::new, |track| format!(", track {track}"));
    let text = format!("channel {}{of}: {message}\n", channel.name);
    builder
        .body(text.into(), "text/plain; charset=utf-8")
        .finish(wall)
}
