//! The auditor: asks shards directly, fetches everything that is listed, and
//! hands it to the checkers. It has no network, so it sees every moment.

use std::collections::BTreeMap;

use crate::checks::bytes::Fetched;
use crate::checks::{date_ranges, delta, mirror};
use crate::client::resolve;
use crate::m3u8::{self, Media, Segment};
use crate::world::{MS, SECOND, World};

/// A mirror that lost letters agrees again after this.
const MIRROR_HEALS_NS: u64 = 2 * SECOND;

/// What the auditor remembers.
#[derive(Debug, Default)]
pub struct Audit {
    /// Playlists of media, with the channel they belong to.
    playlists: BTreeMap<String, usize>,
    /// The next segment to fetch, by playlist.
    next: BTreeMap<String, u64>,
    /// Newest capture time of an object's samples, by path.
    captured: BTreeMap<String, Option<u64>>,
    /// What a player may have kept, by shard and path.
    copies: BTreeMap<(u16, String), Media>,
    rounds: u64,
}

impl World {
    /// A look around, 40 times a second.
    pub fn patrol(&mut self) {
        self.audit.rounds += 1;
        if self.audit.rounds % 40 == 1 {
            self.sweep();
            self.find_playlists();
        }
        for (shard, path) in self.watched() {
            self.probe_playlist(shard, &path);
        }
        let verdict = self.checks.look_at_parked(self.now, &self.origin.exchanges);
        self.judge(verdict);
        let playlists: Vec<String> = self.audit.playlists.keys().cloned().collect();
        if playlists.is_empty() {
            return;
        }
        let path = &playlists[self.rng.index(playlists.len())];
        match self.audit.rounds % 4 {
            0 => self.compare_shards(path),
            1 => self.compare_delta(path),
            2 => self.compare_date_ranges(path),
            _ => {}
        }
        if self.audit.rounds.is_multiple_of(6) {
            for path in &playlists {
                self.fetch_new(path);
                self.look_at_edge(path);
            }
        }
    }

    /// Whether a playlist goes on, where nothing may stop it.
    fn look_at_edge(&mut self, path: &str) {
        let channel = self.audit.playlists[path];
        let home = self.home_of(&self.plan.channels[channel].name);
        if !self.plan.settings.policy.fill_gaps {
            return;
        }
        if let Some(media) = self.probe_playlist(home, path) {
            let verdict = self.checks.edges.look(self.now, path, &media);
            self.judge(verdict.map_err(|error| format!("{path}: {error}")));
        }
    }

    /// Every playlist says on every shard that it has ended.
    pub fn demand_ends(&mut self) {
        let playlists: Vec<String> = self.audit.playlists.keys().cloned().collect();
        for path in playlists {
            for shard in 0..self.plan.shards {
                let media = self.probe_playlist(shard, &path);
                if media.is_some_and(|media| !media.ended) {
                    self.fail(format!("{path} on shard {shard} goes on after its end"));
                }
            }
        }
    }

    /// The playlist a shard has under a path right now.
    pub fn probe_playlist(&mut self, shard: u16, path: &str) -> Option<Media> {
        let (status, body) = self.probe(shard, path)?;
        if status != 200 {
            return None;
        }
        match std::str::from_utf8(&body)
            .map_err(|error| error.to_string())
            .and_then(m3u8::media)
        {
            Ok(media) => Some(media),
            Err(error) => {
                self.fail(format!("{path} on shard {shard}: {error}"));
                None
            }
        }
    }

    /// Refusals of this moment are sound.
    pub fn settle_doubts(&mut self) {
        for absent in std::mem::take(&mut self.checks.absent) {
            let (shard, playlist, path) = (absent.shard, &absent.playlist, &absent.path);
            self.probe_playlist(shard, playlist);
            if self.checks.immutable.lists(shard, playlist, path) {
                self.fail(format!(
                    "{path} is refused on shard {shard}, {playlist} lists it"
                ));
            }
        }
        for doubt in std::mem::take(&mut self.checks.reload.doubts) {
            let Some(media) = self.probe_playlist(doubt.shard, &doubt.path) else {
                continue;
            };
            if !self.checks.reload.is_too_far(doubt.ask, &media) {
                let (edge, full) = (media.edge(), media.full());
                self.fail(format!("400 for {doubt:?} at {edge:?}, full {full:?}"));
            }
        }
    }

    /// What a player received under a path: the same bytes as everybody, and
    /// when its newest sample was captured.
    pub fn received(&mut self, path: &str, body: &[u8]) -> Option<u64> {
        let verdict = self.checks.immutable.named(path, body);
        self.judge(verdict.map_err(|error| format!("{path} at a player: {error}")));
        if let Some(known) = self.audit.captured.get(path) {
            return *known;
        }
        let newest = self.newest_capture(body);
        self.audit.captured.insert(path.to_owned(), newest);
        newest
    }

    fn newest_capture(&mut self, body: &[u8]) -> Option<u64> {
        if crate::cmaf::read::is_header(body) {
            return None;
        }
        let read = crate::cmaf::read::chunks(body).and_then(|chunks| {
            let last = chunks.last().and_then(|chunk| chunk.samples.last());
            crate::cmaf::payload::read(&last.ok_or("no sample")?.payload)
        });
        match read {
            Ok(stamp) => {
                let (channel, track) = (usize::from(stamp.channel), usize::from(stamp.track));
                let session = self.ledger.session(channel, track, stamp.session)?;
                Some(session.captured(stamp.number))
            }
            Err(error) => {
                self.fail(format!("media of a player: {error}"));
                None
            }
        }
    }

    /// Playlists on which somebody waits, some of them each time.
    fn watched(&mut self) -> Vec<(u16, String)> {
        let mut out = Vec::new();
        for exchange in self
            .origin
            .exchanges
            .values()
            .filter(|exchange| !exchange.answered)
        {
            let Some((path, _)) = exchange.get_target().and_then(|t| t.split_once("?_HLS_")) else {
                continue;
            };
            let key = (exchange.shard, path.to_owned());
            if !out.contains(&key) && self.checks.newest(exchange.shard, path).is_some() {
                out.push(key);
            }
        }
        out.retain(|_| self.rng.percent(60));
        out
    }

    fn find_playlists(&mut self) {
        for channel in 0..self.plan.channels.len() {
            let name = &self.plan.channels[channel].name;
            let path = format!("/live/{name}/index.m3u8");
            let shard = self.rng.index(self.origin.shards()) as u16;
            let Some((200, body)) = self.probe(shard, &path) else {
                continue;
            };
            let text = String::from_utf8_lossy(&body).into_owned();
            match m3u8::multivariant(&text) {
                Ok(uris) => {
                    for uri in uris {
                        self.audit.playlists.insert(resolve(&path, &uri), channel);
                    }
                }
                Err(error) => self.fail(format!("{path}: {error}\n{text}")),
            }
        }
    }

    fn compare_shards(&mut self, path: &str) {
        let now = self.now;
        let recent = |at: &u64| at + MIRROR_HEALS_NS > now;
        if !self.origin.is_quiet() || self.origin.overflowed.values().any(recent) {
            return;
        }
        let mut answers = Vec::new();
        for shard in 0..self.plan.shards {
            if let Some((status, body)) = self.probe(shard, path) {
                answers.push((shard, status, body));
            }
        }
        let verdict = mirror::compare(path, &answers);
        self.judge(verdict);
    }

    fn compare_delta(&mut self, path: &str) {
        let shard = self.rng.index(self.origin.shards()) as u16;
        let Some(full) = self.probe_playlist(shard, path) else {
            return;
        };
        let Some(changed) = self.probe_playlist(shard, &format!("{path}?_HLS_skip=YES")) else {
            return self.fail(format!("{path} on shard {shard} has no answer to a delta"));
        };
        let verdict = delta::compare(&full, &changed);
        self.judge(verdict.map_err(|error| format!("{path} on shard {shard}: {error}")));
    }

    /// All playlists of a channel have the same date ranges, and a delta that
    /// leaves some out is the whole with any copy that it joins.
    fn compare_date_ranges(&mut self, path: &str) {
        let shard = self.rng.index(self.origin.shards()) as u16;
        let channel = self.audit.playlists.get(path).copied();
        let of = |(path, of): (&String, &usize)| (Some(*of) == channel).then(|| path.clone());
        let paths: Vec<_> = self.audit.playlists.iter().filter_map(of).collect();
        let mut seen = Vec::new();
        for other in paths {
            seen.extend(
                self.probe_playlist(shard, &other)
                    .map(|media| (other, media)),
            );
        }
        self.judge(date_ranges::same(&seen));
        let Some((_, full)) = seen.into_iter().find(|(own, _)| own == path) else {
            return;
        };
        let Some(delta) = self.probe_playlist(shard, &format!("{path}?_HLS_skip=v2")) else {
            return;
        };
        let key = (shard, path.to_owned());
        if let Some(copy) = self.audit.copies.get(&key) {
            let verdict = date_ranges::merge(copy, &delta, &full);
            self.judge(verdict.map_err(|error| format!("{path} on shard {shard}: {error}")));
        }
        if self.rng.percent(30) {
            self.audit.copies.insert(key, full);
        }
    }

    /// Fetches and judges every whole segment that is new, and the open parts.
    fn fetch_new(&mut self, path: &str) {
        let shard = self.rng.index(self.origin.shards()) as u16;
        let Some(media) = self.probe_playlist(shard, path) else {
            return;
        };
        let next = *self.audit.next.entry(path.to_owned()).or_insert(0);
        if next > 0 && media.media_sequence > next {
            // A leap of media time fills a window with gaps at once.
            self.checks.bytes.unseen(path, media.media_sequence);
        }
        let mut discontinuity = media.discontinuity_sequence;
        for segment in &media.segments {
            discontinuity += u64::from(segment.discontinuity);
            if segment.msn < next || self.failure.is_some() {
                continue;
            }
            self.audit.next.insert(path.to_owned(), segment.msn + 1);
            let gaps = segment.gap || segment.parts.iter().any(|part| part.gap);
            let name = &self.plan.channels[self.audit.playlists[path]].name;
            if gaps && self.checks.reload.punctual.contains(name) {
                let msn = segment.msn;
                self.fail(format!("{path} has a gap in {msn}, and nothing was late"));
            }
            if segment.gap {
                self.checks.bytes.gap(path, segment.msn);
                continue;
            }
            self.judge_segment(shard, path, segment, discontinuity);
        }
        let open = media.open.parts.last().filter(|part| !part.gap);
        if let Some(part) = open {
            self.fetch(shard, path, &part.uri.clone());
        }
    }

    fn judge_segment(&mut self, shard: u16, path: &str, segment: &Segment, discontinuity: u64) {
        let Some(body) = self.fetch(shard, path, &segment.uri) else {
            return;
        };
        let mut parts = Vec::new();
        for part in &segment.parts {
            let bytes = if part.gap {
                Some(Vec::new())
            } else {
                self.fetch(shard, path, &part.uri)
            };
            let Some(bytes) = bytes else { return };
            parts.push(bytes);
        }
        if let Some(map) = &segment.map
            && let Some(header) = self.fetch(shard, path, map)
            && !crate::cmaf::read::is_header(&header)
        {
            self.fail(format!("{map} is no header"));
        }
        let fetched = Fetched {
            playlist: path,
            segment,
            discontinuity,
            body: &body,
            parts,
        };
        let verdict = self.checks.bytes.judge(&self.ledger, &fetched);
        let msn = segment.msn;
        self.judge(
            verdict.map_err(|error| format!("segment {msn} of {path}: {error}\n{segment:?}")),
        );
    }

    fn fetch(&mut self, shard: u16, base: &str, uri: &str) -> Option<Vec<u8>> {
        let path = resolve(base, uri);
        match self.probe(shard, &path) {
            Some((200 | 206, body)) => Some(body),
            other => {
                let other = other.map(|(status, _)| status);
                self.fail(format!(
                    "{path}, which is listed, gets {other:?} on shard {shard}"
                ));
                None
            }
        }
    }

    /// Whether every channel's every track is known to the auditor.
    pub fn unheard(&self) -> Option<String> {
        let of = |channel: usize| {
            self.audit
                .playlists
                .values()
                .filter(|c| **c == channel)
                .count()
        };
        let missing = (0..self.plan.channels.len()).find(|c| of(*c) < self.ledger.tracks(*c));
        let _ = MS;
        missing.map(|channel| {
            let (known, sent) = (of(channel), self.ledger.tracks(channel));
            format!("channel {channel} lists {known} tracks, {sent} were sent")
        })
    }
}
