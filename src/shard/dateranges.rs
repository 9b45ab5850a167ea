//! Date ranges of the operator: described and withdrawn at the home of their
//! channel, listed anywhere.

use std::rc::Rc;
use std::sync::Arc;

use crate::hls::operator;
use crate::http::reply::{Cache, Reply, ReplyBuilder};
use crate::http::request::{BodyLength, Method, Request};
use crate::http::route::Route;
use crate::limits;
use crate::media::channel::Channel;
use crate::media::event::Refusal;
use crate::shard::desk::Desk;
use crate::shard::{Effect, ExchangeId, Shard, delivery};
use crate::time::Now;

/// A description that is on its way.
#[derive(Debug)]
pub(super) struct Order {
    channel: Arc<str>,
    id: Box<str>,
    body: Vec<u8>,
}

impl Shard {
    /// A request on `/api/v1/channels/{channel}/dateranges` or one of them.
    pub(super) fn date_ranges(
        &mut self,
        now: Now,
        exchange: ExchangeId,
        request: &Request<'_>,
        (name, id, query): (&str, Option<&str>, &str),
    ) {
        let reads = matches!(request.method, Method::Get | Method::Head);
        let allow = match id {
            None => "GET, HEAD, OPTIONS",
            Some(_) => "GET, HEAD, PUT, DELETE, OPTIONS",
        };
        let writes = id.is_some() && matches!(request.method, Method::Put | Method::Delete);
        if !reads && !writes {
            let reply = Reply::method_not_allowed(allow, now.wall);
            return self.desk.respond(exchange, Rc::new(reply));
        }
        if reads {
            return match self.homes.get(name) {
                Some(home) => list(&mut self.desk, now, exchange, home.channel(), id),
                None => {
                    let route = Route::DateRanges {
                        channel: name,
                        id,
                        query,
                    };
                    self.deliver(now, name, route, &delivery::ask(exchange, request));
                }
            };
        }
        let allow = (&[Method::Put, Method::Delete][..], allow);
        if !self.is_admitted(now, exchange, request, (query, allow)) || self.moves(exchange, name) {
            return;
        }
        let Some((channel, _)) = self.homes.get_key_value(name) else {
            let message = format!("no channel {name}");
            return self.desk.text(exchange, 404, &message, now.wall);
        };
        let channel = Arc::clone(channel);
        match id {
            Some(id) if request.method == Method::Put => {
                self.order(now, exchange, request, (channel, id));
            }
            Some(id) => self.withdraw(now, exchange, &channel, id),
            None => unreachable!("the list as a whole is only read"),
        }
    }

    /// Some bytes of a description.
    pub(super) fn order_body(&mut self, now: Now, exchange: ExchangeId, data: &[u8]) {
        let order = self.orders.get_mut(&exchange).expect("looked up before");
        if order.body.len() + data.len() > limits::EVENT_REQUEST_BYTES_MAX {
            self.orders.remove(&exchange);
            return self.too_long(now, exchange);
        }
        order.body.extend_from_slice(data);
    }

    /// A description is whole.
    pub(super) fn order_end(&mut self, now: Now, exchange: ExchangeId, order: &Order) {
        let Some(home) = self.homes.get_mut(&order.channel) else {
            let message = format!("no channel {}", order.channel);
            return self.desk.text(exchange, 404, &message, now.wall);
        };
        let known = home.channel().events().get(&order.id);
        let edge = home.publisher.edge_date(now);
        let statement = match operator::read(&order.id, &order.body, known, edge) {
            Ok(statement) => statement,
            Err(error) => return self.desk.text(exchange, 400, &error, now.wall),
        };
        let status = if known.is_some() { 200 } else { 201 };
        if let Err(refusal) = home.publisher.tell(now, &statement) {
            return self.refuse(now, exchange, &refusal);
        }
        let event = home.channel().events().get(&order.id).expect("just told");
        let document = operator::document(event).to_string();
        self.publish(now, &order.channel);
        let reply = Reply::json(status, document, now.wall);
        self.desk.respond(exchange, Rc::new(reply));
    }

    /// Takes a description in: its body follows.
    fn order(
        &mut self,
        now: Now,
        exchange: ExchangeId,
        request: &Request<'_>,
        (channel, id): (Arc<str>, &str),
    ) {
        let len = match request.body {
            BodyLength::None => {
                let message = "a description in JSON is wanted";
                return self.desk.text(exchange, 400, message, now.wall);
            }
            BodyLength::Fixed(len) => len,
            BodyLength::Chunked => 0,
        };
        if len > limits::EVENT_REQUEST_BYTES_MAX as u64 {
            return self.too_long(now, exchange);
        }
        if request.content_encoding.is_some() {
            let message = "a description with a content coding is not supported";
            return self.desk.text(exchange, 415, message, now.wall);
        }
        if self.orders.len() >= limits::EVENT_REQUESTS_MAX {
            let message = "too many descriptions are under way";
            return self.desk.text(exchange, 503, message, now.wall);
        }
        let order = Order {
            channel,
            id: id.into(),
            body: Vec::new(),
        };
        self.orders.insert(exchange, order);
        if request.expect_continue {
            self.desk.effects.push_back(Effect::Continue { exchange });
        }
    }

    fn withdraw(&mut self, now: Now, exchange: ExchangeId, channel: &Arc<str>, id: &str) {
        let home = self.homes.get_mut(channel).expect("looked up before");
        let reply = match home.publisher.withdraw(now, id) {
            None => return no_date_range(&mut self.desk, now, exchange, id),
            Some(Err(refusal)) => return self.refuse(now, exchange, &refusal),
            Some(Ok(true)) => ReplyBuilder::new(204)
                .cache(Cache::NoStore)
                .finish(now.wall),
            Some(Ok(false)) => {
                let message = "it leaves with the media that it belongs to";
                Reply::text(202, message, now.wall)
            }
        };
        self.publish(now, channel);
        self.desk.respond(exchange, Rc::new(reply));
    }

    fn refuse(&mut self, now: Now, exchange: ExchangeId, refusal: &Refusal) {
        let status = match refusal {
            Refusal::Unsound(_) | Refusal::Past | Refusal::Ahead => 400,
            Refusal::Contradicts(_) | Refusal::Spent | Refusal::Ended => 409,
            Refusal::Full => 503,
        };
        let message = refusal.to_string();
        self.desk.text(exchange, status, &message, now.wall);
    }

    fn too_long(&mut self, now: Now, exchange: ExchangeId) {
        let most = limits::EVENT_REQUEST_BYTES_MAX;
        let message = format!("a description has at most {most} bytes");
        self.desk.text(exchange, 413, &message, now.wall);
    }
}

/// Answers with all date ranges of a channel, or with one.
pub(super) fn list(
    desk: &mut Desk,
    now: Now,
    exchange: ExchangeId,
    channel: &Channel,
    id: Option<&str>,
) {
    let events = channel.events();
    let document = match id {
        None => {
            let all: Vec<_> = events.iter().map(operator::document).collect();
            serde_json::json!({ "dateranges": all })
        }
        Some(id) => match events.get(id) {
            Some(event) => operator::document(event),
            None => return no_date_range(desk, now, exchange, id),
        },
    };
    let reply = Reply::json(200, document.to_string(), now.wall);
    desk.respond(exchange, Rc::new(reply));
}

fn no_date_range(desk: &mut Desk, now: Now, exchange: ExchangeId, id: &str) {
    let message = format!("no date range {id}");
    desk.text(exchange, 404, &message, now.wall);
}
