//! A channel at its home: its writer, its uploads, and who mirrors it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ingest::upload::{Headers, Upload};
use crate::media::channel::{Channel, State};
use crate::media::publisher::{Publisher, TrackKey};
use crate::shard::desk::Desk;
use crate::shard::reader::Reader;
use crate::shard::{ChannelReport, ExchangeId, Letter, Settings, ShardId, TrackReport};
use crate::time::{Mono, Now};

/// See the module's head.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) publisher: Publisher,
    pub(super) reader: Reader,
    pub(super) headers: Headers,
    pub(super) uploads: BTreeMap<ExchangeId, Running>,
    pub(super) subscribers: BTreeMap<ShardId, Subscription>,
    /// Cores where segments are read as they grow.
    pub(super) listeners: BTreeSet<ShardId>,
    /// Requests that came before there was anything to serve.
    pub(super) early: Vec<super::Deferred>,
    opened: Mono,
    ended: Option<Mono>,
}

/// A channel that never had a header is forgotten after this, in milliseconds.
const IDLE_MS: u64 = 10_000;

/// An upload that is under way or waits for its answer.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) upload: Upload,
    /// Its body is whole; media waits for a header.
    pub(super) ended: bool,
    /// Its refusal has been sent; what still comes is not looked at.
    pub(super) answered: bool,
    /// When it was found at fault.
    pub(super) faulted: Option<Mono>,
    /// Those who read what it brought were told that it broke off.
    torn: bool,
}

impl Running {
    pub(super) fn new(upload: Upload) -> Self {
        Self {
            upload,
            ended: false,
            answered: false,
            faulted: None,
            torn: false,
        }
    }

    /// Tracks that it leaves in the midst of a segment, once, when it has been
    /// found at fault.
    pub(super) fn torn(&mut self) -> Vec<(TrackKey, u64)> {
        if self.upload.fault().is_none() || std::mem::replace(&mut self.torn, true) {
            return Vec::new();
        }
        self.upload.begun()
    }
}

/// How far a mirror is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    /// It gets every change.
    Following,
    /// A letter to it was lost: it gets a snapshot when there is room.
    Stale,
}

impl Home {
    pub(super) fn new(name: &str, generation: &str, settings: &Settings, now: Now) -> Self {
        let publisher = Publisher::new(name, generation, settings.policy, now);
        Self {
            publisher: publisher.presented(settings.presentations.of(name)),
            reader: Reader::new(),
            headers: Headers::new(),
            uploads: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            listeners: BTreeSet::new(),
            early: Vec::new(),
            opened: now.mono,
            ended: None,
        }
    }

    /// Sends a snapshot to mirrors that lost a letter.
    pub(super) fn refresh_stale(&mut self, desk: &mut Desk, name: &Arc<str>) {
        for (to, subscription) in &mut self.subscribers {
            if *subscription == Subscription::Stale {
                *subscription = Subscription::Following;
                let state = Some(Box::new(self.publisher.channel().clone()));
                desk.post(
                    *to,
                    Letter::Snapshot {
                        channel: Arc::clone(name),
                        state,
                    },
                );
            }
        }
    }

    /// An upload broke off in the midst of segments of these tracks. Where
    /// another brings the same track, nothing is lost yet.
    pub(super) fn tear(&mut self, tracks: &[(TrackKey, u64)]) {
        for (key, session) in tracks {
            let sound = |running: &&Running| running.upload.fault().is_none();
            let mut others = self.uploads.values().filter(sound);
            if !others.any(|other| other.upload.begun().iter().any(|(of, _)| of == key)) {
                self.publisher.tear(*key, *session);
            }
        }
    }

    /// Whether nothing holds it any more: it ended a window ago, or it never
    /// had enough media to be served, and nobody uploads.
    pub(super) fn is_over(&mut self, now: Now, window_ms: u64) -> bool {
        let since = match self.channel().state() {
            State::Ended | State::Gone => {
                now.mono.ms_since(*self.ended.get_or_insert(now.mono)) > window_ms
            }
            State::Idle => now.mono.ms_since(self.opened) > IDLE_MS,
            State::Priming => self.publisher.silent_ms(now) > window_ms,
            State::Live | State::Stalled => false,
        };
        since && self.uploads.is_empty()
    }

    /// Bytes of media held, in uploads too.
    pub(super) fn bytes(&self) -> u64 {
        let uploads = self.uploads.values();
        let held: u64 = uploads.map(|running| running.upload.held_bytes()).sum();
        self.publisher.bytes() + held
    }

    pub(super) fn channel(&self) -> &Channel {
        self.publisher.channel()
    }

    pub(super) fn report(&self, home: ShardId) -> ChannelReport {
        let channel = self.channel();
        let complaints: BTreeMap<_, _> = self.publisher.complaints().collect();
        let tracks = channel.tracks().iter().map(|track| TrackReport {
            name: track.info.name.clone(),
            kind: track.info.header.kind.as_str(),
            codec: track.info.header.codec.clone(),
            language: track.language().map(str::to_owned),
            roles: track.roles().iter().map(|role| role.to_string()).collect(),
            msn: track.window.last_whole().map(|segment| segment.msn),
            segments: track.window.listed().len() as u64,
            peak_bps: track.peak_bps,
            average_bps: track.average_bps,
            complaint: complaints
                .get(track.info.name.as_str())
                .copied()
                .flatten()
                .map(str::to_owned),
        });
        ChannelReport {
            name: channel.name.to_string(),
            state: channel.state().to_string(),
            home: home.0,
            parked: self.reader.slots() as u64,
            uploads: self.uploads.len() as u64,
            bytes: self.bytes(),
            tracks: tracks.collect(),
        }
    }
}
