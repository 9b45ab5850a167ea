//! Players: low-latency ones that reload as hls.js does, plain ones that poll,
//! and restless ones that leave while they are held.

use std::collections::VecDeque;

use crate::agents::{Agent, Signal};
use crate::checks::ranges::Piece;
use crate::client::{Response, Responses, get_listed, range_of, resolve};
use crate::m3u8::{self, Media};
use crate::net::{ConnId, Quality};
use crate::world::{Event, MS, SECOND, World};

/// How a player behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Blocking reloads, parts, sometimes hints and deltas.
    LowLatency,
    /// Plain reloads, whole segments.
    Plain,
    /// Low latency, but leaves while it is held.
    Restless,
}

/// See the module's head.
pub struct Player {
    me: usize,
    channel: usize,
    name: String,
    style: Style,
    quality: Quality,
    hints: bool,
    deltas: bool,
    lanes: Vec<Lane>,
    /// Hinted parts asked for ahead of time.
    ahead: Vec<(ConnId, Responses, String)>,
    left: bool,
}

/// One connection that follows one playlist.
struct Lane {
    playlist: String,
    conn: Option<ConnId>,
    responses: Responses,
    pending: Option<Asked>,
    /// Counts requests, so that impatience about an answered one is void.
    asked: u64,
    media: Option<Media>,
    queue: VecDeque<String>,
    /// The position to fetch next.
    at: Option<(u64, u64)>,
    /// When the newest sample it has was captured.
    newest: Option<u64>,
    headers: Vec<String>,
    /// Its newest playlist has ended.
    ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Multivariant,
    Playlist,
    Media(String),
}

/// Wake tokens carry the lane, what for, and the request they speak of.
const GO: u64 = 0;
const TIRED: u64 = 1;

impl Player {
    /// A player of a channel.
    pub fn new(channel: usize, name: &str, style: Style, world: &mut World) -> Self {
        let quality = match world.faulty {
            true => Quality::draw(&mut world.rng),
            false => Quality::PERFECT,
        };
        Self {
            me: 0,
            channel,
            name: name.to_owned(),
            style,
            quality,
            hints: world.rng.percent(50),
            deltas: world.rng.percent(50),
            lanes: Vec::new(),
            ahead: Vec::new(),
            left: false,
        }
    }

    fn go(&mut self, world: &mut World, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.pending.is_some() || self.left {
            return;
        }
        let conn = match lane.conn {
            Some(conn) => conn,
            None => world.connect(self.me, self.quality),
        };
        lane.conn = Some(conn);
        let (asked, target) = if index == 0 {
            (
                Asked::Multivariant,
                format!("/live/{}/index.m3u8", self.name),
            )
        } else if let Some(uri) = lane.queue.pop_front() {
            (Asked::Media(uri.clone()), uri)
        } else {
            let blocking = self.style != Style::Plain;
            let query = lane
                .media
                .as_ref()
                .filter(|_| blocking)
                .and_then(directives);
            let skip = self.deltas
                && lane
                    .media
                    .as_ref()
                    .is_some_and(|media| media.can_skip_until_us.is_some());
            let target = match (query, skip) {
                (Some(query), true) => {
                    let how = world.rng.pick(&["YES", "v2"]);
                    format!("{}?{query}&_HLS_skip={how}", lane.playlist)
                }
                (Some(query), false) => format!("{}?{query}", lane.playlist),
                (None, _) => lane.playlist.clone(),
            };
            (Asked::Playlist, target)
        };
        if asked == Asked::Playlist && self.style == Style::Restless && world.faulty {
            let token = lane.asked << 32 | (index as u64) << 8 | TIRED;
            let patience = world.rng.range(5, 900) * MS;
            world.after(
                patience,
                Event::Wake {
                    agent: self.me,
                    token,
                },
            );
        }
        lane.pending = Some(asked);
        world.send(conn, &get_listed(&target));
    }

    fn go_in(&self, world: &mut World, index: usize, ns: u64) {
        world.after(
            ns,
            Event::Wake {
                agent: self.me,
                token: (index as u64) << 8 | GO,
            },
        );
    }

    /// Leaves while held, in one of three ways, and comes back.
    fn tire(&mut self, world: &mut World, index: usize, asked: u64) {
        let lane = &mut self.lanes[index];
        if lane.asked != asked || lane.pending.is_none() || !world.faulty {
            return;
        }
        let Some(conn) = lane.conn else { return };
        match world.rng.range(0, 2) {
            0 => world.reset(conn),
            1 => world.close(conn),
            _ => {
                world.half_close(conn);
                world.close(conn);
            }
        }
        lane.forget();
        let pause = world.rng.range(0, 300) * MS;
        self.go_in(world, index, pause);
    }

    fn answered(&mut self, world: &mut World, index: usize, response: &Response) {
        let lane = &mut self.lanes[index];
        let Some(asked) = lane.pending.take() else {
            return world.fail(format!("an answer nobody asked for: {}", response.status));
        };
        lane.asked += 1;
        if response.close {
            lane.conn = None;
        }
        let ranged = matches!(&asked, Asked::Media(uri) if uri.contains('#'));
        if response.status != if ranged { 206 } else { 200 } {
            // Start over, without directives and not at once.
            lane.media = None;
            lane.queue.clear();
            return self.go_in(world, index, 300 * MS);
        }
        match asked {
            Asked::Multivariant => return self.multivariant(world, response),
            Asked::Playlist => {
                let read = response.text().and_then(m3u8::media);
                match read {
                    Ok(media) => self.reloaded(world, index, media),
                    Err(error) => world.fail(format!("playlist of a player: {error}")),
                }
            }
            Asked::Media(uri) => {
                let newest = world.received(&uri, &response.body);
                self.lanes[index].newest = self.lanes[index].newest.max(newest);
            }
        }
        // Without a list that goes on there is nothing to wait for.
        let plain = self.style == Style::Plain || self.lanes[index].ended;
        let wait = plain && self.lanes[index].queue.is_empty();
        let target_s = self.lanes[index]
            .media
            .as_ref()
            .map_or(1, |media| media.target_s);
        self.go_in(world, index, if wait { target_s * SECOND / 2 } else { 0 });
    }

    fn multivariant(&mut self, world: &mut World, response: &Response) {
        let base = format!("/live/{}/index.m3u8", self.name);
        let uris = match response.text().and_then(m3u8::multivariant) {
            Ok(uris) => uris,
            Err(error) => return world.fail(format!("multivariant playlist: {error}")),
        };
        for uri in uris {
            let playlist = resolve(&base, &uri);
            if self.lanes.iter().all(|lane| lane.playlist != playlist) {
                self.lanes.push(Lane::new(playlist));
                self.go_in(world, self.lanes.len() - 1, 0);
            }
        }
        // Tracks may join later.
        self.go_in(world, 0, 2 * SECOND);
    }

    fn reloaded(&mut self, world: &mut World, index: usize, media: Media) {
        let low_latency = self.style != Style::Plain;
        let whole = !low_latency || world.rng.percent(10);
        let lane = &mut self.lanes[index];
        lane.follow(&media, whole, low_latency);
        let hint = media
            .part_hints
            .first()
            .filter(|_| self.hints && low_latency);
        let hint = hint.map(|uri| resolve(&lane.playlist, uri));
        // As players of LL-DASH do: the segment under way, from its start.
        let growing = lane.growing(&media).filter(|_| world.rng.percent(10));
        let hint = growing.or(hint);
        lane.ended = media.ended;
        lane.media = (!media.ended).then_some(media);
        if let Some(uri) = hint
            && self.ahead.iter().all(|(_, _, asked)| *asked != uri)
            && self.ahead.len() < 6
        {
            let conn = world.connect(self.me, self.quality);
            world.send(conn, &get_listed(&uri));
            self.ahead.push((conn, Responses::default(), uri));
        }
    }

    fn bytes(&mut self, world: &mut World, conn: ConnId, bytes: &[u8]) {
        if let Some(at) = self.ahead.iter().position(|(ahead, _, _)| *ahead == conn) {
            let (_, responses, uri) = &mut self.ahead[at];
            responses.feed(bytes);
            match responses.take() {
                Ok(Some(response)) => {
                    let (path, range) = range_of(uri);
                    match (range, response.status) {
                        (None, 200) => {
                            world.received(path, &response.body);
                        }
                        (Some(_), 206) => {
                            let range = response.field("content-range").unwrap_or_default();
                            let piece = Piece::of(range, &response.body);
                            let verdict = match piece {
                                Some(piece) => world.checks.ranges.piece(path, piece),
                                None => Err(format!("range {range:?}")),
                            };
                            world.judge(verdict.map_err(|error| format!("{uri}: {error}")));
                        }
                        _ => {}
                    }
                    world.close(conn);
                    self.ahead.remove(at);
                }
                Ok(None) => {}
                Err(error) => world.fail(format!("hinted part: {error}")),
            }
            return;
        }
        let Some(index) = self.lanes.iter().position(|lane| lane.conn == Some(conn)) else {
            return;
        };
        self.lanes[index].responses.feed(bytes);
        match self.lanes[index].responses.take() {
            Ok(Some(response)) => self.answered(world, index, &response),
            Ok(None) => {}
            Err(error) => world.fail(format!("response to a player: {error}")),
        }
    }
}

impl Agent for Player {
    fn on(&mut self, me: usize, world: &mut World, signal: Signal<'_>) {
        self.me = me;
        match signal {
            Signal::Wake(token) => {
                let index = (token >> 8 & 0xff_ffff) as usize;
                if self.lanes.is_empty() {
                    self.lanes.push(Lane::new(String::new()));
                }
                match token & 0xff {
                    TIRED => self.tire(world, index, token >> 32),
                    _ => self.go(world, index),
                }
            }
            Signal::Bytes(conn, bytes) => self.bytes(world, conn, bytes),
            Signal::Closed(conn) => {
                self.ahead.retain(|(ahead, _, _)| *ahead != conn);
                if let Some(index) = self.lanes.iter().position(|lane| lane.conn == Some(conn)) {
                    self.lanes[index].forget();
                    self.go_in(world, index, 100 * MS);
                }
            }
            Signal::Heal => {
                self.quality = Quality::PERFECT;
                for index in 0..self.lanes.len() {
                    if let Some(conn) = self.lanes[index].conn {
                        world.close(conn);
                        self.lanes[index].forget();
                        self.go_in(world, index, MS);
                    }
                }
            }
            Signal::Over => {}
            Signal::Leave => {
                self.left = true;
                world
                    .net
                    .open_of(me)
                    .into_iter()
                    .for_each(|conn| world.close(conn));
            }
        }
    }

    fn complaint(&self, world: &World) -> Option<String> {
        let target = world.checks.target_s(&self.name).unwrap_or(4) * SECOND;
        let bound = if self.style == Style::Plain {
            3 * target
        } else {
            target
        } + SECOND;
        if self.lanes.len() < 2 {
            return Some(format!(
                "player {} of {} never saw a playlist",
                self.me, self.channel
            ));
        }
        let late = |lane: &&Lane| lane.newest.is_none_or(|at| at + bound < world.now);
        self.lanes.iter().skip(1).find(late).map(|lane| {
            let age = lane.newest.map(|at| (world.now - at) / MS);
            let (me, style) = (self.me, self.style);
            format!(
                "{style:?} player {me} is {age:?} ms behind on {}: {:?}",
                lane.playlist, lane.pending
            )
        })
    }
}

impl Lane {
    fn new(playlist: String) -> Self {
        Self {
            playlist,
            conn: None,
            responses: Responses::default(),
            pending: None,
            asked: 0,
            media: None,
            queue: VecDeque::new(),
            at: None,
            newest: None,
            headers: Vec::new(),
            ended: false,
        }
    }

    /// The connection is gone; what was asked on it is asked anew.
    fn forget(&mut self) {
        self.conn = None;
        self.responses = Responses::default();
        if let Some(Asked::Media(uri)) = self.pending.take() {
            self.queue.push_front(uri);
        }
        self.asked += 1;
        self.media = None;
    }

    /// Where the segment under way is, going by the newest whole one.
    fn growing(&self, media: &Media) -> Option<String> {
        let newest = media.segments.last().filter(|_| !media.ended)?;
        let (stem, _) = newest.uri.rsplit_once("-s")?;
        let uri = format!("{stem}-s{}.m4s", newest.msn + 1);
        Some(resolve(&self.playlist, &uri))
    }

    /// Queues what a new playlist offers beyond what was fetched: segments at
    /// once where `whole`, and parts of the open one where `open`.
    fn follow(&mut self, media: &Media, whole: bool, open: bool) {
        let resolved = |uri: &str| resolve(&self.playlist, uri);
        let first = media
            .segments
            .first()
            .map_or(media.open.msn, |segment| segment.msn);
        let start = media
            .full()
            .map_or((media.open.msn, 0), |full| (full.max(first + 1) - 1, 0));
        let mut at = self.at.filter(|at| at.0 >= first).unwrap_or(start);
        for segment in media
            .all()
            .filter(|segment| segment.msn >= self.at.map_or(0, |at| at.0))
        {
            if segment.msn < at.0 {
                continue;
            }
            if let Some(map) = &segment.map
                && !self.headers.contains(map)
            {
                self.headers.push(map.clone());
                self.queue.push_back(resolved(map));
            }
            let closed = !segment.uri.is_empty();
            if closed && at.1 == 0 && (segment.parts.is_empty() || whole) {
                self.queue
                    .extend((!segment.gap).then(|| resolved(&segment.uri)));
            } else if closed || open {
                let fresh = segment
                    .parts
                    .iter()
                    .skip(at.1 as usize)
                    .filter(|part| !part.gap);
                self.queue.extend(fresh.map(|part| resolved(&part.uri)));
            } else {
                break;
            }
            at = if closed {
                (segment.msn + 1, 0)
            } else {
                (segment.msn, segment.parts.len() as u64)
            };
        }
        self.at = Some(at);
    }
}

/// The directives of the next reload.
fn directives(media: &Media) -> Option<String> {
    if !media.can_block {
        return None;
    }
    let next = media.full().map_or(media.media_sequence, |full| full + 1);
    if media.part_target_us.is_none() {
        return Some(format!("_HLS_msn={next}"));
    }
    match media.open.parts.len() {
        0 => Some(format!("_HLS_msn={next}&_HLS_part=0")),
        parts => Some(format!("_HLS_msn={}&_HLS_part={parts}", media.open.msn)),
    }
}
