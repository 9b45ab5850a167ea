//! Letters between shards: who mirrors what, and stopping.

use std::rc::Rc;
use std::sync::Arc;

use crate::http::reply::{Cache, Reply, ReplyBuilder};
use crate::media::channel::{Change, Channel};
use crate::shard::delivery;
use crate::shard::home::Subscription;
use crate::shard::reader::Reader;
use crate::shard::{Effect, Letter, Shard, ShardId};
use crate::time::{Now, Wall};

impl Shard {
    /// A letter of `Effect::Post` found the mailbox of `to` full.
    pub fn undelivered(&mut self, to: ShardId, letter: Letter) {
        self.desk.counters.letters_lost += 1;
        match letter {
            Letter::Snapshot { channel, .. } | Letter::Change { channel, .. } => {
                if let Some(home) = self.homes.get_mut(&channel)
                    && let Some(subscription) = home.subscribers.get_mut(&to)
                {
                    *subscription = Subscription::Stale;
                }
            }
            Letter::Subscribe { channel } => {
                if let Some(mirror) = self.mirrors.get_mut(&channel) {
                    mirror.asked = false;
                }
            }
            // Asked again when the mirror is looked at next.
            Letter::Listen { channel, wanted } => {
                if let Some(mirror) = self.mirrors.get_mut(&channel) {
                    mirror.listening = !wanted;
                }
            }
            Letter::Gather { ticket } => self.missed(ticket),
            // The part that holds them is told of too.
            Letter::Chunks { .. } => {}
            // A change for a mirror that is gone is answered by another of these.
            Letter::Unsubscribe { .. } | Letter::Gathered { .. } | Letter::Drain => {}
        }
    }

    pub(super) fn letter(&mut self, now: Now, from: ShardId, letter: Letter) {
        match letter {
            Letter::Subscribe { channel } => self.subscribe(from, channel),
            Letter::Unsubscribe { channel } => {
                if let Some(home) = self.homes.get_mut(&channel) {
                    home.subscribers.remove(&from);
                    home.listeners.remove(&from);
                }
            }
            Letter::Snapshot { channel, state } => self.snapshot(now, &channel, state),
            Letter::Change {
                channel,
                seq,
                changes,
            } => {
                self.change(now, from, &channel, (seq, &changes));
            }
            Letter::Listen { channel, wanted } => self.listen(from, &channel, wanted),
            Letter::Chunks {
                channel,
                generation,
                ahead,
            } => {
                self.hear_ahead(now, from, &channel, (&generation, &ahead));
            }
            Letter::Gather { ticket } => {
                let report = Box::new(self.report());
                self.desk.post(from, Letter::Gathered { ticket, report });
            }
            Letter::Gathered { ticket, report } => self.gathered(now, ticket, *report),
            Letter::Drain => self.drain(now),
        }
    }

    fn subscribe(&mut self, from: ShardId, channel: Arc<str>) {
        let state = self.homes.get_mut(&channel).map(|home| {
            home.subscribers.insert(from, Subscription::Following);
            Box::new(home.publisher.channel().clone())
        });
        self.desk.post(from, Letter::Snapshot { channel, state });
    }

    fn snapshot(&mut self, now: Now, name: &Arc<str>, state: Option<Box<Channel>>) {
        let Some(mirror) = self.mirrors.get_mut(name) else {
            return;
        };
        (mirror.asked, mirror.heard) = (false, now.mono);
        let Some(state) = state else {
            let reply = Rc::new(delivery::no_channel_reply(name, now));
            if let Some(mut mirror) = self.mirrors.remove(name) {
                mirror.reader.dismiss(&mut self.desk, &reply);
                delivery::dismiss_early(&mut self.desk, mirror.early, &reply);
            }
            return;
        };
        let another_life = mirror
            .channel
            .as_ref()
            .is_some_and(|old| old.generation != state.generation);
        if another_life {
            let reply = Rc::new(delivery::no_channel_reply(name, now));
            mirror.reader.dismiss(&mut self.desk, &reply);
            mirror.reader = Reader::new();
            mirror.listening = false;
        }
        mirror.channel = Some(*state);
        self.mirror_moved(now, name);
    }

    fn change(
        &mut self,
        now: Now,
        from: ShardId,
        name: &Arc<str>,
        (seq, changes): (u64, &[Change]),
    ) {
        let Some(mirror) = self.mirrors.get_mut(name) else {
            let channel = Arc::clone(name);
            return self.desk.post(from, Letter::Unsubscribe { channel });
        };
        mirror.heard = now.mono;
        match &mut mirror.channel {
            Some(channel) if channel.seq + 1 == seq => channel.apply(seq, changes),
            // A snapshot overtook it.
            Some(channel) if channel.seq >= seq => return,
            _ => {
                if !std::mem::replace(&mut mirror.asked, true) {
                    self.desk.post(
                        from,
                        Letter::Subscribe {
                            channel: Arc::clone(name),
                        },
                    );
                }
                return;
            }
        }
        self.mirror_moved(now, name);
    }

    fn mirror_moved(&mut self, now: Now, name: &Arc<str>) {
        let Some(mirror) = self.mirrors.get_mut(name) else {
            return;
        };
        let Some(channel) = &mirror.channel else {
            return;
        };
        mirror.reader.wake(&mut self.desk, now, channel);
        if channel.is_served() && !mirror.early.is_empty() {
            let early = std::mem::take(&mut mirror.early);
            self.take_up(now, early);
        }
    }

    /// Answers all that is parked or under way; nothing new is taken.
    fn drain(&mut self, now: Now) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        let reply = Rc::new(stopping(now.wall));
        for home in self.homes.values_mut() {
            home.reader.dismiss(&mut self.desk, &reply);
            delivery::dismiss_early(&mut self.desk, std::mem::take(&mut home.early), &reply);
            for (exchange, running) in std::mem::take(&mut home.uploads) {
                self.uploads.remove(&exchange);
                if !running.answered {
                    self.desk.respond(exchange, Rc::clone(&reply));
                }
            }
        }
        for mirror in self.mirrors.values_mut() {
            mirror.reader.dismiss(&mut self.desk, &reply);
            delivery::dismiss_early(&mut self.desk, std::mem::take(&mut mirror.early), &reply);
        }
        let orders = std::mem::take(&mut self.orders).into_keys();
        for exchange in std::mem::take(&mut self.sinks).into_iter().chain(orders) {
            self.desk.respond(exchange, Rc::clone(&reply));
        }
        self.abandon_gatherings(&reply);
        self.desk.effects.push_back(Effect::Drained);
    }
}

fn stopping(wall: Wall) -> Reply {
    ReplyBuilder::new(503)
        .cache(Cache::NoStore)
        .field("Retry-After", "1")
        .body(
            "the origin is stopping\n".to_owned().into(),
            "text/plain; charset=utf-8",
        )
        .finish(wall)
}
