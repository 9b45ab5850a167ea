//! Chunks ahead of their parts: from a channel's home to those who read segments
//! as they grow, here and on cores that listen.
//!
//! A core listens while somebody there reads so, and some seconds longer; where
//! nobody does, no letter is sent. Letters of chunks are outside the sequence of
//! changes: a lost one is made good by the part that holds its chunk.

use std::sync::Arc;

use crate::media::ahead::Ahead;
use crate::media::channel::TrackIndex;
use crate::shard::{Letter, Shard, ShardId};
use crate::time::Now;

/// A core goes on listening for this long after the last reader of a growing
/// segment left, in milliseconds: players ask for one after the other.
const LISTEN_MS: u64 = 10_000;

impl Shard {
    /// Tells of chunks that came since the last time.
    pub(super) fn tell_ahead(&mut self, now: Now, name: &Arc<str>) {
        let home = self.homes.get_mut(name).expect("a home publishes");
        for track in home.publisher.take_grown() {
            let Some(ahead) = home.publisher.ahead(track) else {
                continue;
            };
            let channel = home.publisher.channel();
            let told = home.reader.ahead_end(&ahead);
            let news = ahead.from(told);
            home.reader.ahead(&mut self.desk, now, channel, &ahead);
            if news.body.is_empty() {
                continue;
            }
            for to in &home.listeners {
                let letter = chunks(name, &channel.generation, news.clone());
                self.desk.post(*to, letter);
            }
        }
    }

    /// A core begins or ceases to listen.
    pub(super) fn listen(&mut self, from: ShardId, name: &Arc<str>, wanted: bool) {
        let Some(home) = self.homes.get_mut(name) else {
            return;
        };
        if !wanted {
            home.listeners.remove(&from);
            return;
        }
        home.listeners.insert(from);
        let channel = home.publisher.channel();
        for index in 0..channel.tracks().len() {
            let track = TrackIndex(index as u16);
            if let Some(ahead) = home.publisher.ahead(track) {
                let letter = chunks(name, &channel.generation, ahead);
                self.desk.post(from, letter);
            }
        }
    }

    /// Chunks of a channel that is mirrored here.
    pub(super) fn hear_ahead(
        &mut self,
        now: Now,
        from: ShardId,
        name: &Arc<str>,
        (generation, ahead): (&str, &Ahead),
    ) {
        let Some(mirror) = self.mirrors.get_mut(name) else {
            let channel = Arc::clone(name);
            return self.desk.post(from, Letter::Unsubscribe { channel });
        };
        let Some(channel) = &mirror.channel else {
            return;
        };
        if &*channel.generation == generation {
            mirror.reader.ahead(&mut self.desk, now, channel, ahead);
        }
        self.keep_listening(now, name);
    }

    /// Begins or ceases to listen to the home of a mirrored channel, as its
    /// readers ask for.
    pub(super) fn keep_listening(&mut self, now: Now, name: &Arc<str>) {
        let home = self.home_of(name);
        let Some(mirror) = self.mirrors.get_mut(name) else {
            return;
        };
        let reads = mirror.channel.is_some() && mirror.reader.reads_chunks();
        if reads {
            mirror.read = now.mono;
        }
        let lately = now.mono.ms_since(mirror.read) < LISTEN_MS;
        let wanted = reads || mirror.listening && lately;
        if std::mem::replace(&mut mirror.listening, wanted) != wanted {
            let channel = Arc::clone(name);
            self.desk.post(home, Letter::Listen { channel, wanted });
        }
    }
}

fn chunks(channel: &Arc<str>, generation: &Arc<str>, ahead: Ahead) -> Letter {
    Letter::Chunks {
        channel: Arc::clone(channel),
        generation: Arc::clone(generation),
        ahead,
    }
}
