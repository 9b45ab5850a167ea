//! What is demanded of the origin, always on. Each checker keeps a model of its
//! own and sees only what goes in and what comes out.

pub mod bytes;
pub mod date_ranges;
pub mod delta;
pub mod edges;
pub mod growing;
pub mod immutable;
pub mod mirror;
pub mod parked;
pub mod ranges;
pub mod reload;
pub mod shape;

use std::collections::BTreeMap;
use std::rc::Rc;

use headwater::http::reply::Reply;

use crate::client;
use crate::m3u8::{self, Media};
use crate::origin::Exchange;
use crate::prng::{FNV_START, fnv};
use crate::world::{MS, SECOND};

/// Target durations a request may be held.
pub const HOLD_TARGETS: u64 = 3;
/// Seconds a request may wait for a channel that isn't served yet.
const EARLY_HOLD_S: u64 = 8;
/// What timers and turns may add.
pub const SLACK_NS: u64 = 300 * MS;

/// All checkers.
#[derive(Default)]
pub struct Checks {
    /// Bytes out are bytes in.
    pub bytes: bytes::Bytes,
    /// What is listed or named never changes.
    pub immutable: immutable::Immutable,
    /// Date ranges stay.
    pub date_ranges: date_ranges::DateRanges,
    /// What is sent of an object is the object.
    pub ranges: ranges::Ranges,
    /// Blocking reloads are answered in time and truthfully.
    pub reload: reload::Reload,
    /// Refused objects, to be looked up in the playlist of that moment.
    pub absent: Vec<Absent>,
    /// Edges go on where gaps are filled.
    pub edges: edges::Edges,
    /// Nobody waits for what is there, nor for too long.
    pub parked: parked::Parked,
    /// The newest playlist of each (shard, path), by hash of its text.
    newest: BTreeMap<(u16, String), (u64, Rc<Media>)>,
    /// Target durations by channel, in seconds, and since when they are known.
    targets: BTreeMap<String, (u64, u64)>,
}

/// An object that was listed once and has been refused.
pub struct Absent {
    /// By whom.
    pub shard: u16,
    /// What listed it.
    pub playlist: String,
    /// Where it was asked for.
    pub path: String,
}

/// A path below `/live/`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live<'a> {
    /// Name of the channel.
    pub channel: &'a str,
    /// What follows it, without the query.
    pub rest: &'a str,
    /// Without `?`.
    pub query: &'a str,
}

impl<'a> Live<'a> {
    /// Reads a target.
    pub fn of(target: &'a str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (channel, rest) = path.strip_prefix("/live/")?.split_once('/')?;
        Some(Self {
            channel,
            rest,
            query,
        })
    }

    /// Whether it is a media playlist.
    pub fn is_media_playlist(&self) -> bool {
        self.rest.ends_with(".m3u8") && self.rest != "index.m3u8" && !self.rest.contains('/')
    }
}

impl Checks {
    /// The target duration of a channel by name, once it has been seen.
    pub fn target_s(&self, channel: &str) -> Option<u64> {
        self.targets.get(channel).map(|(target_s, _)| *target_s)
    }

    /// The longest that a request opened at a moment may be held, in ns.
    pub fn hold_ns_max(&self, channel: &str, opened: u64) -> u64 {
        let early_ns = EARLY_HOLD_S * SECOND + SLACK_NS;
        let Some((target_s, since)) = self.targets.get(channel) else {
            return early_ns;
        };
        let hold_ns = HOLD_TARGETS * target_s * SECOND + SLACK_NS;
        if opened < *since {
            early_ns + hold_ns
        } else {
            hold_ns
        }
    }

    /// The newest playlist a shard gave under a path.
    pub fn newest(&self, shard: u16, path: &str) -> Option<&Rc<Media>> {
        self.newest
            .get(&(shard, path.to_owned()))
            .map(|(_, media)| media)
    }

    /// A shard answers an exchange.
    pub fn answered(
        &mut self,
        now: u64,
        exchange: &Exchange,
        reply: &Reply,
        body: &[u8],
    ) -> Result<(), String> {
        let Some(target) = exchange.get_target() else {
            return Ok(());
        };
        let Some(live) = Live::of(target) else {
            return Ok(());
        };
        let context = |error: String| format!("{target} on shard {}: {error}", exchange.shard);
        if target
            .split('?')
            .next()
            .is_some_and(|path| path.contains('%'))
        {
            // No name has one: any refusal will do.
            let found = reply.status < 400;
            return if found {
                Err(context("found".into()))
            } else {
                Ok(())
            };
        }
        if live.is_media_playlist() {
            return self
                .playlist(now, exchange, live, reply, body)
                .map_err(context);
        }
        let path = target.split('?').next().unwrap_or(target);
        match reply.status {
            200 if live.rest.ends_with(".m3u8") => Ok(()),
            200 if body.is_empty() => Err("an object without bytes".into()),
            200 => {
                let named = self.immutable.named(path, body);
                named.and_then(|()| self.ranges.whole(path, body))
            }
            206 => self.ranged(path, reply, body, false),
            304 => Ok(()),
            416 => self.not_listed(exchange, path),
            503 if self.reload.draining => Ok(()),
            status => {
                let listing = self.immutable.missing(exchange.shard, path, status);
                self.absent
                    .extend(listing.map_err(context)?.map(|playlist| Absent {
                        shard: exchange.shard,
                        playlist: playlist.to_owned(),
                        path: path.to_owned(),
                    }));
                Ok(())
            }
        }
        .map_err(context)
    }

    /// A response was broken off within its body.
    pub fn broken(
        &mut self,
        exchange: &Exchange,
        reply: &Reply,
        body: &[u8],
    ) -> Result<(), String> {
        match exchange.get_target() {
            Some(path) => self.ranged(path, reply, body, true),
            None => Ok(()),
        }
    }

    fn ranged(&mut self, path: &str, reply: &Reply, body: &[u8], cut: bool) -> Result<(), String> {
        let head = String::from_utf8_lossy(&reply.head()).into_owned();
        let field = "Content-Range: ";
        let range = head.lines().find_map(|line| line.strip_prefix(field));
        let range = range.unwrap_or("bytes 0-9007199254740991/*");
        let piece = ranges::Piece::of(range, body).ok_or_else(|| format!("range {range:?}"))?;
        self.ranges.piece(path, ranges::Piece { cut, ..piece })
    }

    /// A range was refused: no playlist of the shard may list it.
    fn not_listed(&self, exchange: &Exchange, path: &str) -> Result<(), String> {
        let range = exchange.range.as_deref().and_then(client::place);
        let Some((from, to)) = range else {
            return Ok(());
        };
        let part = format!("{path}#{from}+{}", to.saturating_sub(from));
        match self.immutable.missing(exchange.shard, &part, 404)? {
            Some(playlist) => Err(format!("{playlist} lists {part}, which is no range")),
            None => Ok(()),
        }
    }

    fn playlist(
        &mut self,
        now: u64,
        exchange: &Exchange,
        live: Live<'_>,
        reply: &Reply,
        body: &[u8],
    ) -> Result<(), String> {
        let path = format!("/live/{}/{}", live.channel, live.rest);
        let shard = exchange.shard;
        let held = now - exchange.opened;
        if held > self.hold_ns_max(live.channel, exchange.opened) {
            return Err(format!("held for {} ms, then {}", held / MS, reply.status));
        }
        if reply.status != 200 {
            let known = self.newest(shard, &path).cloned();
            return self
                .reload
                .refused(held, exchange, &path, reply.status, known.as_deref());
        }
        let head = reply.head().to_ascii_lowercase();
        let coded = b"content-encoding: gzip";
        if head.windows(coded.len()).any(|window| window == coded) {
            return Ok(());
        }
        let hash = fnv(FNV_START, body);
        let key = (shard, path.clone());
        if let Some((before, known)) = self.newest.get(&key)
            && known.ended
            && *before != hash
        {
            return Err("a playlist that had ended changed".into());
        }
        let media = match self.newest.get(&key) {
            Some((same, media)) if *same == hash => Rc::clone(media),
            _ => {
                let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
                let media = Rc::new(m3u8::media(text)?);
                self.learn(now, shard, live.channel, &path, &media)
                    .map_err(|error| format!("{error}\n{text}"))?;
                media
            }
        };
        self.newest.insert(key, (hash, Rc::clone(&media)));
        self.reload.granted(live.query, &media)
    }

    fn learn(
        &mut self,
        now: u64,
        shard: u16,
        channel: &str,
        path: &str,
        media: &Media,
    ) -> Result<(), String> {
        self.targets
            .entry(channel.to_owned())
            .or_insert((media.target_s, now));
        shape::check(media)?;
        self.date_ranges
            .listed(now, (shard, channel, path), media)?;
        self.immutable.listed(shard, channel, path, media)
    }
}
