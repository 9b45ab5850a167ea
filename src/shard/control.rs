//! Everything that is not media: health, time, metrics, the control interface
//! and the page.

use std::rc::Rc;

use crate::http::reply::{Cache, Reply, ReplyBuilder};
use crate::http::route::Route;
use crate::limits;
use crate::metrics;
use crate::page;
use crate::shard::{ExchangeId, Letter, Report, Shard, ShardId};
use crate::time::{Mono, Now};

/// Answers are given after this with what has come, in milliseconds.
const GATHER_MS: u64 = 1_000;

/// A question to all shards that is being answered.
#[derive(Debug)]
pub(super) struct Gathering {
    exchange: ExchangeId,
    question: Question,
    reports: Vec<Report>,
    missing: u16,
    deadline: Mono,
}

#[derive(Debug)]
enum Question {
    Metrics,
    Channels,
    Channel(String),
}

impl Shard {
    pub(super) fn control(&mut self, now: Now, exchange: ExchangeId, route: Route<'_>) {
        let wall = now.wall;
        match route {
            Route::Health => self.desk.text(exchange, 200, "ok", wall),
            Route::Ready => self.desk.text(exchange, 200, "ready", wall),
            Route::Time => {
                let reply = ReplyBuilder::new(200)
                    .cache(Cache::NoStore)
                    .body(wall.rfc3339().into(), "text/plain; charset=utf-8")
                    .finish(wall);
                self.desk.respond(exchange, Rc::new(reply));
            }
            Route::Metrics => self.gather(now, exchange, Question::Metrics),
            Route::Channels => self.gather(now, exchange, Question::Channels),
            Route::Channel { channel } => {
                self.gather(now, exchange, Question::Channel(channel.to_owned()));
            }
            Route::Page { path } => match page::file(path) {
                Some(file) => {
                    let reply = ReplyBuilder::new(200)
                        .cache(Cache::MaxAge(1))
                        .field("Content-Security-Policy", page::CONTENT_SECURITY_POLICY)
                        .body(
                            bytes::Bytes::from_static(file.body.as_bytes()).into(),
                            file.media_type,
                        )
                        .finish(wall);
                    self.desk.respond(exchange, Rc::new(reply));
                }
                None => self.desk.text(exchange, 404, "no such page", wall),
            },
            Route::Forbidden => self
                .desk
                .text(exchange, 403, "the path leaves its root", wall),
            Route::BadChannelName => {
                let why = "a channel's name is 1 to 64 of A-Z a-z 0-9 . _ ~ -";
                self.desk.text(exchange, 400, why, wall);
            }
            _ => self.desk.text(exchange, 404, "nothing here", wall),
        }
    }

    /// What this shard knows.
    pub(super) fn report(&self) -> Report {
        let mut counters = self.desk.counters;
        counters.parked = self.desk.parked.len() as u64;
        for home in self.homes.values() {
            let (chunks, parts) = home.publisher.counts();
            counters.chunks += chunks;
            counters.parts += parts;
        }
        Report {
            shard: self.identity.id.0,
            counters,
            shell: self.shell,
            channels: self
                .homes
                .values()
                .map(|home| home.report(self.identity.id))
                .collect(),
        }
    }

    pub(super) fn gathered(&mut self, now: Now, ticket: u64, report: Report) {
        if let Some(gathering) = self.gatherings.get_mut(&ticket) {
            gathering.reports.push(report);
        }
        self.missed(ticket);
        self.tick_gatherings(now);
    }

    /// One answer less to wait for.
    pub(super) fn missed(&mut self, ticket: u64) {
        if let Some(gathering) = self.gatherings.get_mut(&ticket) {
            gathering.missing = gathering.missing.saturating_sub(1);
        }
    }

    pub(super) fn tick_gatherings(&mut self, now: Now) {
        let due = |gathering: &Gathering| gathering.missing == 0 || gathering.deadline <= now.mono;
        let tickets: Vec<u64> = self
            .gatherings
            .iter()
            .filter(|(_, gathering)| due(gathering))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in tickets {
            let gathering = self.gatherings.remove(&ticket).expect("just listed");
            let exchange = gathering.exchange;
            let reply = answer(gathering, now);
            self.desk.respond(exchange, Rc::new(reply));
        }
    }

    pub(super) fn abandon_gatherings(&mut self, reply: &Rc<Reply>) {
        for gathering in std::mem::take(&mut self.gatherings).into_values() {
            self.desk.respond(gathering.exchange, Rc::clone(reply));
        }
    }

    /// The peer that asked is gone.
    pub(super) fn leave_gathering(&mut self, exchange: ExchangeId) {
        self.gatherings
            .retain(|_, gathering| gathering.exchange != exchange);
    }

    fn gather(&mut self, now: Now, exchange: ExchangeId, question: Question) {
        if self.gatherings.len() >= limits::CORE_QUESTIONS_MAX {
            let message = "too many ask for metrics or channels";
            return self.desk.text(exchange, 503, message, now.wall);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        for other in (0..self.identity.count)
            .map(ShardId)
            .filter(|id| *id != self.identity.id)
        {
            self.desk.post(other, Letter::Gather { ticket });
        }
        let gathering = Gathering {
            exchange,
            question,
            reports: vec![self.report()],
            missing: self.identity.count - 1,
            deadline: now.mono.plus_ms(GATHER_MS),
        };
        self.gatherings.insert(ticket, gathering);
        self.tick_gatherings(now);
    }
}

fn answer(mut gathering: Gathering, now: Now) -> Reply {
    gathering.reports.sort_by_key(|report| report.shard);
    let mut channels: Vec<_> = gathering
        .reports
        .iter()
        .flat_map(|report| &report.channels)
        .collect();
    channels.sort_by(|a, b| a.name.cmp(&b.name));
    match gathering.question {
        Question::Metrics => ReplyBuilder::new(200)
            .cache(Cache::NoStore)
            .body(
                metrics::text(&gathering.reports).into(),
                metrics::CONTENT_TYPE,
            )
            .finish(now.wall),
        Question::Channels => {
            let document = serde_json::json!({ "channels": channels });
            Reply::json(200, document.to_string(), now.wall)
        }
        Question::Channel(name) => match channels.iter().find(|channel| channel.name == name) {
            Some(channel) => Reply::json(200, serde_json::json!(channel).to_string(), now.wall),
            None => Reply::text(404, &format!("no channel {name}"), now.wall),
        },
    }
}
