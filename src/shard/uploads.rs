//! Requests of encoders: at the home of their channel, onto its publisher.

use std::rc::Rc;
use std::sync::Arc;

use crate::http::reply::{Cache, Reply, ReplyBuilder};
use crate::http::request::{BodyLength, Method, Request};
use crate::ingest::auth::{self, Admission};
use crate::ingest::name::UploadName;
use crate::ingest::upload::{self, Outcome, Upload};
use crate::limits;
use crate::media::fault::{Fault, FaultKind};
use crate::shard::home::{Home, Running, Subscription};
use crate::shard::{Effect, ExchangeId, Letter, Shard, delivery};
use crate::time::{Now, Wall};

/// A refused upload without an end in sight is answered after this, in
/// milliseconds.
const REFUSED_ANSWER_MS: u64 = 2_000;

impl Shard {
    /// A request on `/ingest/{channel}/{path}`.
    pub(super) fn ingest(
        &mut self,
        now: Now,
        exchange: ExchangeId,
        request: &Request<'_>,
        (name, path, query): (&str, &str, &str),
    ) {
        let methods = [Method::Put, Method::Post, Method::Delete];
        let allow = (&methods[..], "PUT, POST, DELETE, OPTIONS");
        if !self.is_admitted(now, exchange, request, (query, allow)) || self.moves(exchange, name) {
            return;
        }
        if request.method == Method::Delete {
            return self.sink(now, exchange, request);
        }
        if request.content_range {
            let message = "Content-Range: appending to an object is not supported";
            return self.desk.text(exchange, 400, message, now.wall);
        }
        if request.content_encoding.is_some() {
            let message = "media with a content coding is not supported";
            return self.desk.text(exchange, 415, message, now.wall);
        }
        let empty = matches!(request.body, BodyLength::None | BodyLength::Fixed(0));
        match UploadName::parse(path) {
            UploadName::Forbidden => {
                self.desk.text(
                    exchange,
                    403,
                    "the path leaves the publishing point",
                    now.wall,
                );
            }
            UploadName::Malformed(why) => self.desk.text(exchange, 400, why, now.wall),
            UploadName::Manifest => self.sink(now, exchange, request),
            UploadName::Root if empty => self.sink(now, exchange, request),
            UploadName::Root => self.upload(now, exchange, request, (name, "main", false)),
            UploadName::Media { track, one_segment } => {
                self.upload(now, exchange, request, (name, &track, one_segment));
            }
        }
    }

    /// POST on `/api/v1/channels/{channel}/end`: its playlists end and what is
    /// pushed to it is cut off. A later push begins a new life of the channel.
    pub(super) fn end_channel(
        &mut self,
        now: Now,
        exchange: ExchangeId,
        request: &Request<'_>,
        (name, query): (&str, &str),
    ) {
        let allow = (&[Method::Post][..], "POST, OPTIONS");
        if !self.is_admitted(now, exchange, request, (query, allow)) || self.moves(exchange, name) {
            return;
        }
        let name: Arc<str> = name.into();
        let home = self.homes.get_mut(&name);
        if !home.is_some_and(|home| home.publisher.end()) {
            let reply = delivery::no_channel_reply(&name, now);
            return self.desk.respond(exchange, Rc::new(reply));
        }
        if self.chatter.may_say(now.mono) {
            tracing::info!(channel = &*name, "channel ended on request");
        }
        self.publish(now, &name);
        let home = self.homes.get_mut(&name).expect("it was just ended");
        let over = Fault::new(None, 0, FaultKind::Ended);
        let reply = Rc::new(fault_reply(&name, &over, now.wall));
        for (upload, running) in std::mem::take(&mut home.uploads) {
            self.uploads.remove(&upload);
            if !running.answered {
                self.desk.respond(upload, Rc::clone(&reply));
            }
        }
        let message = "the channel has ended";
        self.desk.text(exchange, 200, message, now.wall);
    }

    /// Whether a request may change a channel; if not, it is answered.
    pub(super) fn is_admitted(
        &mut self,
        now: Now,
        exchange: ExchangeId,
        request: &Request<'_>,
        (query, (methods, allow)): (&str, (&[Method], &str)),
    ) -> bool {
        let wanted = self.settings.ingest_token.as_deref();
        let reply = match auth::admit(wanted, request.authorization, query) {
            Admission::Asked => ask_for_token(now.wall),
            Admission::Denied => Reply::text(403, "these credentials may not push", now.wall),
            Admission::Granted if !methods.contains(&request.method) => {
                Reply::method_not_allowed(allow, now.wall)
            }
            Admission::Granted => return true,
        };
        self.desk.respond(exchange, Rc::new(reply));
        false
    }

    /// Sends a request to the home of its channel, if that is elsewhere.
    pub(super) fn moves(&mut self, exchange: ExchangeId, name: &str) -> bool {
        let to = self.home_of(name);
        let elsewhere = to != self.identity.id;
        if elsewhere {
            self.desk.effects.push_back(Effect::Move { exchange, to });
        }
        elsewhere
    }

    /// Some bytes of a body.
    pub(super) fn body(&mut self, now: Now, exchange: ExchangeId, data: &[u8]) {
        if self.orders.contains_key(&exchange) {
            return self.order_body(now, exchange, data);
        }
        let Some(name) = self.uploads.get(&exchange).map(Arc::clone) else {
            return;
        };
        self.desk.counters.ingest_bytes += data.len() as u64;
        let over = |home: &Home| home.channel().state().is_over();
        if self.homes.get(&name).is_some_and(over) {
            self.renew_home(now, &name);
        }
        let home = self.homes.get_mut(&name).expect("an upload has its home");
        let Home {
            publisher,
            headers,
            uploads,
            ..
        } = home;
        let running = uploads
            .get_mut(&exchange)
            .expect("an upload runs at its home");
        let sound = running.upload.fault().is_none();
        running.upload.body(now, publisher, headers, data);
        if sound && let Some(fault) = running.upload.fault() {
            self.desk.counters.upload_faults += 1;
            running.faulted = Some(now.mono);
            if self.chatter.may_say(now.mono) {
                let track = running.upload.name();
                tracing::warn!(channel = &*name, track, %fault, "upload refused");
            }
        }
        let cap = running.upload.discarded() > limits::REFUSED_BODY_BYTES_MAX;
        if cap && !running.answered {
            let fault = running.upload.fault().expect("only faults discard").clone();
            running.answered = true;
            self.desk
                .respond(exchange, Rc::new(fault_reply(&name, &fault, now.wall)));
        }
        let torn = running.torn();
        home.tear(&torn);
        self.release_held(now, &name);
        self.publish(now, &name);
    }

    /// A body is whole.
    pub(super) fn body_end(&mut self, now: Now, exchange: ExchangeId) {
        if self.sinks.remove(&exchange) {
            return self.desk.respond(exchange, Rc::new(stored(now.wall)));
        }
        if let Some(order) = self.orders.remove(&exchange) {
            return self.order_end(now, exchange, &order);
        }
        let Some(name) = self.uploads.get(&exchange).map(Arc::clone) else {
            return;
        };
        let home = self.homes.get_mut(&name).expect("an upload has its home");
        let running = home
            .uploads
            .get_mut(&exchange)
            .expect("an upload runs at its home");
        let outcome = running.upload.end(now, &mut home.publisher);
        running.ended = true;
        let answered = running.answered;
        let torn = running.torn();
        home.tear(&torn);
        if outcome != Outcome::Waiting {
            self.finish(now, &name, exchange, (!answered).then_some(outcome));
        }
        self.publish(now, &name);
    }

    /// Puts what has changed in a channel before its readers: here, then on
    /// other cores' way.
    pub(super) fn publish(&mut self, now: Now, name: &Arc<str>) {
        self.publish_changes(now, name);
        self.tell_ahead(now, name);
    }

    fn publish_changes(&mut self, now: Now, name: &Arc<str>) {
        let home = self.homes.get_mut(name).expect("a home publishes");
        let Some((seq, changes)) = home.publisher.commit() else {
            return;
        };
        for (to, subscription) in &home.subscribers {
            if *subscription == Subscription::Following {
                let (channel, changes) = (Arc::clone(name), Arc::clone(&changes));
                self.desk.post(
                    *to,
                    Letter::Change {
                        channel,
                        seq,
                        changes,
                    },
                );
            }
        }
        let channel = home.publisher.channel();
        home.reader.wake(&mut self.desk, now, channel);
        if channel.is_served() && !home.early.is_empty() {
            let early = std::mem::take(&mut home.early);
            self.take_up(now, early);
        }
    }

    pub(super) fn tick_homes(&mut self, now: Now) {
        self.share_memory();
        let names: Vec<_> = self.homes.keys().map(Arc::clone).collect();
        for name in names {
            let home = self.homes.get_mut(&name).expect("just listed");
            home.publisher.tick(now);
            self.publish(now, &name);
            self.tick_uploads(now, &name);
            let home = self.homes.get_mut(&name).expect("still there");
            home.reader
                .expire(&mut self.desk, now, home.publisher.channel());
            delivery::expire_early(&mut self.desk, now, &mut home.early, &name);
            home.refresh_stale(&mut self.desk, &name);
            if home.is_over(now, self.settings.policy.window_ms) {
                self.drop_home(now, &name);
            }
        }
    }

    fn upload(
        &mut self,
        now: Now,
        exchange: ExchangeId,
        request: &Request<'_>,
        (name, track, one_segment): (&str, &str, bool),
    ) {
        let key: Arc<str> = name.into();
        let room = self.homes.contains_key(name)
            || self.homes.len() * usize::from(self.identity.count) < limits::CHANNELS_MAX;
        if !room || self.memory_is_full() {
            let fault = Fault::new(Some(track), 0, FaultKind::Capacity);
            return self
                .desk
                .respond(exchange, Rc::new(fault_reply(name, &fault, now.wall)));
        }
        let home = self.homes.entry(Arc::clone(&key)).or_insert_with(|| {
            if self.chatter.may_say(now.mono) {
                tracing::info!(channel = name, "channel opened");
            }
            Home::new(name, &generation(now), &self.settings, now)
        });
        if home.uploads.len() >= limits::CHANNEL_UPLOADS_MAX {
            let fault = Fault::new(Some(track), 0, FaultKind::Limit("uploads of one channel"));
            return self
                .desk
                .respond(exchange, Rc::new(fault_reply(name, &fault, now.wall)));
        }
        let agent = request.user_agent.unwrap_or("-");
        tracing::debug!(channel = name, track, one_segment, agent, "upload begins");
        home.uploads
            .insert(exchange, Running::new(Upload::new(track, one_segment)));
        self.uploads.insert(exchange, key);
        if request.expect_continue {
            self.desk.effects.push_back(Effect::Continue { exchange });
        }
    }

    /// Reads a body to its end and answers 200.
    fn sink(&mut self, now: Now, exchange: ExchangeId, request: &Request<'_>) {
        if request.body == BodyLength::None {
            return self.desk.respond(exchange, Rc::new(stored(now.wall)));
        }
        self.sinks.insert(exchange);
        if request.expect_continue {
            self.desk.effects.push_back(Effect::Continue { exchange });
        }
    }

    /// Ends an upload and answers it, unless that was done.
    fn finish(
        &mut self,
        now: Now,
        name: &Arc<str>,
        exchange: ExchangeId,
        outcome: Option<Outcome>,
    ) {
        let reply = match outcome {
            Some(Outcome::Refused(fault)) => Some(fault_reply(name, &fault, now.wall)),
            Some(_) => Some(stored(now.wall)),
            None => None,
        };
        if let Some(reply) = reply {
            self.desk.respond(exchange, Rc::new(reply));
        }
        self.uploads.remove(&exchange);
        if let Some(home) = self.homes.get_mut(name) {
            home.uploads.remove(&exchange);
        }
    }

    /// Lets media that waited for a header go on, where the header has come.
    fn release_held(&mut self, now: Now, name: &Arc<str>) {
        let home = self.homes.get_mut(name).expect("an upload has its home");
        let Home {
            publisher,
            headers,
            uploads,
            ..
        } = home;
        let mut over = Vec::new();
        for (exchange, running) in uploads.iter_mut() {
            if running.upload.held_since().is_none() {
                continue;
            }
            let outcome = running.upload.header_came(now, publisher, headers);
            if running.upload.fault().is_some() {
                running.faulted.get_or_insert(now.mono);
            }
            if outcome != Outcome::Waiting && running.ended {
                running.upload.end_segments(now, publisher);
                over.push((*exchange, outcome));
            }
        }
        for (exchange, outcome) in over {
            self.finish(now, name, exchange, Some(outcome));
        }
    }

    /// Answers uploads whose header never came, and endless ones that were
    /// refused.
    fn tick_uploads(&mut self, now: Now, name: &Arc<str>) {
        let home = self.homes.get_mut(name).expect("still there");
        let mut over = Vec::new();
        for (exchange, running) in &mut home.uploads {
            let headerless = running
                .upload
                .held_since()
                .is_some_and(|since| now.mono.ms_since(since) > limits::HEADERLESS_MS_MAX);
            if headerless && running.ended {
                over.push((*exchange, Outcome::Refused(running.upload.no_header())));
            } else if headerless {
                let fault = running.upload.no_header();
                running.upload.refuse(fault);
                running.faulted = Some(now.mono);
            } else if let Some(since) = running.faulted
                && !running.answered
                && now.mono.ms_since(since) > REFUSED_ANSWER_MS
            {
                running.answered = true;
                let fault = running.upload.fault().expect("it is faulted");
                let reply = fault_reply(name, fault, now.wall);
                self.desk.respond(*exchange, Rc::new(reply));
            }
        }
        for (exchange, outcome) in over {
            self.finish(now, name, exchange, Some(outcome));
        }
    }

    /// Shortens windows where media would outgrow its budget, all alike: what
    /// the budget holds at the rate at which media comes.
    fn share_memory(&mut self) {
        self.memory_held = self.homes.values().map(Home::bytes).sum();
        let budget = self.settings.memory_bytes;
        let publishers = self.homes.values().map(|home| &home.publisher);
        let rates = publishers.map(|publisher| {
            u128::from(publisher.bytes()) * 1000 / u128::from(publisher.span_ms().max(1000))
        });
        let bytes_a_second: u128 = rates.sum();
        let limit_ms = u128::from(budget) * 1000 / bytes_a_second.max(1);
        for home in self.homes.values_mut() {
            let limit_ms = u64::try_from(limit_ms).unwrap_or(u64::MAX);
            home.publisher.limit_window(limit_ms);
        }
    }

    /// Whether media has outgrown its budget by a quarter: no new uploads then.
    fn memory_is_full(&self) -> bool {
        self.memory_held / 5 * 4 > self.settings.memory_bytes
    }

    /// Begins a new life of a channel that had ended, with its headers and the
    /// uploads under way.
    fn renew_home(&mut self, now: Now, name: &Arc<str>) {
        let mut home = self.homes.remove(name).expect("it ended here");
        let over = Rc::new(delivery::no_channel_reply(name, now));
        home.reader.dismiss(&mut self.desk, &over);
        let mut renewed = Home::new(name, &generation(now), &self.settings, now);
        renewed.headers = upload::carry_over(&home.headers, &mut renewed.publisher);
        renewed.publisher.carry_over(now, home.channel().events());
        for running in home.uploads.values_mut() {
            running.upload.renew(&renewed.headers);
        }
        renewed.uploads = home.uploads;
        renewed.subscribers = home
            .subscribers
            .into_keys()
            .map(|shard| (shard, Subscription::Stale))
            .collect();
        if self.chatter.may_say(now.mono) {
            tracing::info!(channel = &**name, "channel opened again");
        }
        self.homes.insert(Arc::clone(name), renewed);
    }

    fn drop_home(&mut self, now: Now, name: &Arc<str>) {
        let Some(mut home) = self.homes.remove(name) else {
            return;
        };
        let over = Rc::new(delivery::no_channel_reply(name, now));
        home.reader.dismiss(&mut self.desk, &over);
        delivery::dismiss_early(&mut self.desk, home.early, &over);
        for to in home.subscribers.keys() {
            let channel = Arc::clone(name);
            self.desk.post(
                *to,
                Letter::Snapshot {
                    channel,
                    state: None,
                },
            );
        }
        if self.chatter.may_say(now.mono) {
            tracing::info!(channel = &**name, "channel closed");
        }
    }
}

/// The name of a channel's life: its first moment, so that no two are equal.
fn generation(now: Now) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut ms = (now.wall.0 / 1000).unsigned_abs();
    let mut text = Vec::new();
    while ms > 0 || text.is_empty() {
        text.push(char::from(DIGITS[(ms % 36) as usize]));
        ms /= 36;
    }
    text.iter().rev().collect()
}

fn ask_for_token(wall: Wall) -> Reply {
    ReplyBuilder::new(401)
        .cache(Cache::NoStore)
        .field(
            "WWW-Authenticate",
            "Basic realm=\"headwater ingest\", charset=\"UTF-8\"",
        )
        .body(
            "encoders present a token\n".to_owned().into(),
            "text/plain; charset=utf-8",
        )
        .finish(wall)
}

fn stored(wall: Wall) -> Reply {
    ReplyBuilder::new(200).finish(wall)
}

/// The answer to a faulty upload: whose fault, which channel and track, which
/// byte.
fn fault_reply(channel: &str, fault: &Fault, wall: Wall) -> Reply {
    let status = match fault.kind {
        FaultKind::Boxes(_) | FaultKind::TimeBack { .. } | FaultKind::TimeAhead { .. } => 400,
        FaultKind::Superseded | FaultKind::Ended => 409,
        FaultKind::NoHeader => 412,
        FaultKind::Limit(_) => 413,
        FaultKind::Unsupported(_) => 415,
        FaultKind::Capacity => 503,
    };
    let whose = if status == 503 { "origin" } else { "encoder" };
    Reply::text(
        status,
        &format!("{whose}: channel {channel}: {fault}"),
        wall,
    )
}
