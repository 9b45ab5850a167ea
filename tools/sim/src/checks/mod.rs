//! What is demanded of the origin, always on. Each checker keeps a model of its
//! own and sees only what goes in and what comes out.

pub mod bytes;
pub mod delta;
pub mod immutable;
pub mod mirror;
pub mod parked;
pub mod reload;
pub mod shape;

use std::collections::BTreeMap;
use std::rc::Rc;

use headwater::http::reply::Reply;

use crate::m3u8::{self, Media};
use crate::origin::Exchange;
use crate::prng::{FNV_START, fnv};

/// All checkers.
#[derive(Default)]
pub struct Checks {
    /// Bytes out are bytes in.
    pub bytes: bytes::Bytes,
    /// What is listed or named never changes.
    pub immutable: immutable::Immutable,
    /// Blocking reloads are answered in time and truthfully.
    pub reload: reload::Reload,
    /// Nobody waits for what is there, nor for too long.
    pub parked: parked::Parked,
    /// The newest playlist of each (shard, path), by hash of its text.
    newest: BTreeMap<(u16, String), (u64, Rc<Media>)>,
    /// Target durations by channel.
    targets: BTreeMap<String, u64>,
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
        self.targets.get(channel).copied()
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
            200 => self.immutable.named(path, body),
            206 | 304 | 416 => Ok(()),
            503 if self.reload.draining => Ok(()),
            status => self.immutable.missing(exchange.shard, path, status),
        }
        .map_err(context)
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
        if reply.status != 200 {
            let target_s = self.target_s(live.channel);
            let known = self.newest(shard, &path).cloned();
            return self.reload.refused(
                now,
                exchange,
                &path,
                reply.status,
                known.as_deref(),
                target_s,
            );
        }
        let head = reply.head().to_ascii_lowercase();
        let coded = b"content-encoding: gzip";
        if head.windows(coded.len()).any(|window| window == coded) {
            return Ok(());
        }
        let hash = fnv(FNV_START, body);
        let key = (shard, path.clone());
        let media = match self.newest.get(&key) {
            Some((same, media)) if *same == hash => Rc::clone(media),
            _ => {
                let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
                let media = Rc::new(m3u8::media(text)?);
                self.learn(shard, live.channel, &path, &media)
                    .map_err(|error| format!("{error}\n{text}"))?;
                media
            }
        };
        self.newest.insert(key, (hash, Rc::clone(&media)));
        self.reload.granted(now, exchange, live.query, &media)
    }

    fn learn(
        &mut self,
        shard: u16,
        channel: &str,
        path: &str,
        media: &Media,
    ) -> Result<(), String> {
        self.targets.insert(channel.to_owned(), media.target_s);
        shape::check(media)?;
        self.immutable.listed(shard, channel, path, media)
    }
}
