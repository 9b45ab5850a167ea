//! The origin under test: shards and connections, driven as the real shell
//! drives them, with mailboxes between shards that are slow and small.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headwater::http::connection::{Connection, Event as Heard, Wire};
use headwater::http::reply::Reply;
use headwater::http::request::{BodyLength, Method, Request};
use headwater::limits;
use headwater::media::rope::Rope;
use headwater::shard::{Effect, ExchangeId, Identity, Input, Letter, Report, Shard, ShardId};

use crate::client::range_of;
use crate::net::{ConnId, Item};
use crate::plan::Plan;
use crate::world::{Event, MS, World};

/// Probes use exchanges from here on, connections those below.
const PROBE_EXCHANGES: u64 = 1 << 48;
/// Tickets of the simulator's own `Gather` letters.
const GATHER_TICKET: u64 = u64::MAX - 7;

/// An exchange as the shell knows it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its connection; none for a probe.
    pub conn: Option<ConnId>,
    /// On which shard.
    pub shard: u16,
    /// When its head was whole.
    pub opened: u64,
    /// When the last byte of its body came.
    pub heard: u64,
    /// Method and target.
    pub line: String,
    /// Its `Range`.
    pub range: Option<String>,
    /// Whether its body still runs.
    pub in_body: bool,
    /// Whether its response has been given, the head of a streamed one.
    pub answered: bool,
    /// Head and body so far of a response that is streamed.
    pub streamed: Option<Box<(Reply, Vec<u8>)>>,
}

impl Exchange {
    /// The target, if the method is GET.
    pub fn get_target(&self) -> Option<&str> {
        self.line.strip_prefix("Get ")
    }
}

/// A request without a connection, and what came of it.
struct Probe {
    exchange: ExchangeId,
    answer: Option<(u16, Vec<u8>)>,
}

struct ServerConn {
    shard: u16,
    /// Taken out while it is on its way to another shard.
    connection: Option<Connection>,
    exchange: Option<ExchangeId>,
    /// Received and not yet taken by the connection.
    held: Vec<u8>,
    head_since: Option<u64>,
    eof: bool,
}

/// Shards, their connections and what travels between them.
pub struct Origin {
    shards: Vec<Shard>,
    conns: BTreeMap<ConnId, ServerConn>,
    /// Open exchanges.
    pub exchanges: BTreeMap<ExchangeId, Exchange>,
    mailboxes: BTreeMap<(u16, u16), VecDeque<Letter>>,
    /// When a mailbox was last found full, by (from, to).
    pub overflowed: BTreeMap<(u16, u16), u64>,
    armed: Vec<u64>,
    unpumped: VecDeque<ConnId>,
    probe: Option<Probe>,
    reports: BTreeMap<u16, Report>,
    drained: Vec<bool>,
    next_exchange: u64,
    next_probe: u64,
}

impl Origin {
    /// Shards without a connection.
    pub fn new(plan: &Plan) -> Self {
        let settings = Arc::new(plan.settings.clone());
        let shard = |id: u16| {
            let identity = Identity {
                id: ShardId(id),
                count: plan.shards,
            };
            Shard::new(identity, Arc::clone(&settings))
        };
        Self {
            shards: (0..plan.shards).map(shard).collect(),
            conns: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            overflowed: BTreeMap::new(),
            armed: vec![u64::MAX; usize::from(plan.shards)],
            unpumped: VecDeque::new(),
            probe: None,
            reports: BTreeMap::new(),
            drained: vec![false; usize::from(plan.shards)],
            next_exchange: 1,
            next_probe: PROBE_EXCHANGES,
        }
    }

    /// How many shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// A new connection on a shard.
    pub fn accept(&mut self, conn: ConnId, shard: u16) {
        let connection = Some(Connection::new());
        let (exchange, head_since, eof) = (None, None, false);
        let held = Vec::new();
        self.conns.insert(
            conn,
            ServerConn {
                shard,
                connection,
                exchange,
                held,
                head_since,
                eof,
            },
        );
    }

    /// Whether no letter is on its way.
    pub fn is_quiet(&self) -> bool {
        self.mailboxes.values().all(VecDeque::is_empty)
    }

    /// Which shards have said that they are drained.
    pub fn drained(&self) -> &[bool] {
        &self.drained
    }

    /// Connections the shell still holds.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }
}

impl World {
    /// Something arrives on a connection.
    pub fn arrive(&mut self, conn: ConnId, item: Item) {
        let Some(held) = self.origin.conns.get_mut(&conn) else {
            return;
        };
        match item {
            Item::Bytes(bytes) => held.held.extend(bytes),
            Item::Fin => held.eof = true,
            Item::Reset => {
                self.note(format_args!("{conn:?} is reset by its peer"));
                return self.drop_connection(conn, false);
            }
        }
        self.origin.unpumped.push_back(conn);
        self.pump_all();
        self.settle_doubts();
    }

    /// A shard's time has come.
    pub fn tick(&mut self, shard: u16) {
        self.origin.armed[usize::from(shard)] = u64::MAX;
        self.handle(shard, Input::Tick);
        self.pump_all();
    }

    /// A letter arrives.
    pub fn mail(&mut self, from: u16, to: u16) {
        let Some(letter) = self
            .origin
            .mailboxes
            .get_mut(&(from, to))
            .and_then(VecDeque::pop_front)
        else {
            return;
        };
        self.handle(
            to,
            Input::Letter {
                from: ShardId(from),
                letter,
            },
        );
        self.pump_all();
    }

    /// A moved connection arrives.
    pub fn adopt(&mut self, conn: ConnId) {
        let Some(moved) = self.origin.conns.get_mut(&conn) else {
            return;
        };
        moved.connection = Some(Connection::new());
        self.origin.unpumped.push_back(conn);
        self.pump_all();
    }

    /// Asks a shard for `target` without a network. `None` when the answer
    /// isn't there at once; the exchange is given up then.
    pub fn probe(&mut self, shard: u16, target: &str) -> Option<(u16, Vec<u8>)> {
        self.ask(shard, Method::Get, target)
    }

    /// Tells the home of a channel that it is over; returns the status.
    pub fn end_channel(&mut self, name: &str) -> Option<u16> {
        let target = format!("/api/v1/channels/{name}/end");
        let answer = self.ask(self.home_of(name), Method::Post, &target);
        answer.map(|(status, _)| status)
    }

    /// The shard that writes a channel.
    pub fn home_of(&self, name: &str) -> u16 {
        let hash = headwater::hash::fnv1a(name.as_bytes());
        (hash % u64::from(self.plan.shards)) as u16
    }

    fn ask(&mut self, shard: u16, method: Method, target: &str) -> Option<(u16, Vec<u8>)> {
        let exchange = ExchangeId(self.origin.next_probe);
        self.origin.next_probe += 1;
        self.origin.probe = Some(Probe {
            exchange,
            answer: None,
        });
        let (target, range) = range_of(target);
        let asked = (format!("{method:?} {target}"), range.clone());
        self.open_exchange(exchange, None, shard, asked, false);
        let mut request = probe_request(method, target);
        request.range = range.as_deref();
        self.handle(
            shard,
            Input::Request {
                exchange,
                request: &request,
            },
        );
        let answer = self.origin.probe.take().and_then(|probe| probe.answer);
        if self.origin.exchanges.remove(&exchange).is_some() {
            self.handle(shard, Input::Gone { exchange });
        }
        self.pump_all();
        answer
    }

    /// Every shard's report.
    pub fn gather(&mut self) -> BTreeMap<u16, Report> {
        self.origin.reports.clear();
        for shard in 0..self.plan.shards {
            let letter = Letter::Gather {
                ticket: GATHER_TICKET,
            };
            self.handle(
                shard,
                Input::Letter {
                    from: ShardId(shard),
                    letter,
                },
            );
        }
        self.pump_all();
        std::mem::take(&mut self.origin.reports)
    }

    /// Tells every shard to stop.
    pub fn drain(&mut self) {
        for shard in 0..self.plan.shards {
            self.handle(
                shard,
                Input::Letter {
                    from: ShardId(shard),
                    letter: Letter::Drain,
                },
            );
        }
        self.pump_all();
    }

    /// What the shell does once in a while: gives up silent peers.
    pub fn sweep(&mut self) {
        let now = self.now;
        let old = |since: u64, ms: u64| now.saturating_sub(since) > ms * MS;
        let exchanges = &self.origin.exchanges;
        let silent = |held: &ServerConn| {
            let exchange = held.exchange.and_then(|id| exchanges.get(&id));
            exchange.is_some_and(|e| e.in_body && old(e.heard, limits::UPLOAD_SILENT_MS_MAX))
                || held
                    .head_since
                    .is_some_and(|since| old(since, limits::REQUEST_HEAD_MS_MAX))
        };
        let conns = self.origin.conns.iter();
        let given_up: Vec<_> = conns
            .filter(|(_, held)| silent(held))
            .map(|(id, _)| *id)
            .collect();
        for conn in given_up {
            self.note(format_args!("{conn:?} is silent for too long"));
            self.drop_connection(conn, true);
        }
    }

    fn pump_all(&mut self) {
        while let Some(conn) = self.origin.unpumped.pop_front() {
            while self.failure.is_none() && self.pump(conn) {}
        }
    }

    /// Lets a connection say its next event; false when it has none.
    fn pump(&mut self, conn: ConnId) -> bool {
        let (now, wall) = (self.clocks(), self.clocks().wall);
        let Some(held) = self.origin.conns.get_mut(&conn) else {
            return false;
        };
        let Some(mut connection) = held.connection.take() else {
            return false;
        };
        let (shard, open) = (held.shard, held.exchange);
        let bytes = std::mem::take(&mut held.held);
        let mut rest: &[u8] = if connection.wants_bytes() {
            &bytes
        } else {
            &[]
        };
        let offered = rest.len();
        let target = &mut self.origin.shards[usize::from(shard)];
        let mut opened = None;
        let mut refused = None;
        let mut broken = false;
        let mut ended = false;
        let mut heard = true;
        match connection.poll(&mut rest, wall) {
            None => heard = false,
            Some(Heard::Request(request)) => {
                let exchange = ExchangeId(self.origin.next_exchange);
                self.origin.next_exchange += 1;
                let line = format!("{:?} {}", request.method, request.target);
                let range = request.range.map(str::to_owned);
                opened = Some((exchange, (line, range), request.body != BodyLength::None));
                target.handle(
                    now,
                    Input::Request {
                        exchange,
                        request: &request,
                    },
                );
            }
            Some(Heard::Body(data)) => {
                assert!(!data.is_empty(), "a body event has at least one byte");
                if let Some(exchange) = open {
                    target.handle(now, Input::Body { exchange, data });
                }
            }
            Some(Heard::BodyEnd) => {
                ended = true;
                if let Some(exchange) = open {
                    target.handle(now, Input::BodyEnd { exchange });
                }
            }
            Some(Heard::Refuse { reply, in_body }) => refused = Some((reply, in_body)),
            Some(Heard::Break) => broken = true,
        }
        let unread = bytes[offered - rest.len()..].to_vec();
        assert!(
            heard || !connection.wants_bytes() || unread.is_empty(),
            "all is consumed or kept"
        );
        let in_head = connection.in_head();
        let held = self.origin.conns.get_mut(&conn).expect("looked up above");
        held.held = unread;
        held.connection = Some(connection);
        held.head_since = in_head.then(|| held.head_since.unwrap_or(now.mono.0));
        if let Some((exchange, asked, in_body)) = opened {
            assert!(held.exchange.is_none(), "one exchange at a time");
            held.exchange = Some(exchange);
            self.open_exchange(exchange, Some(conn), shard, asked, in_body);
        }
        if let Some(exchange) = open.and_then(|id| self.origin.exchanges.get_mut(&id)) {
            exchange.heard = now.mono.0;
            exchange.in_body &= !ended;
        }
        if let Some((reply, in_body)) = refused {
            self.note(format_args!(
                "{conn:?} is refused with {} ({in_body})",
                reply.status
            ));
            let first = reply.first.clone();
            self.deliver(conn, &first);
            self.deliver(conn, &reply.rest.to_vec());
            self.drop_connection(conn, true);
            return false;
        }
        if broken {
            self.note(format_args!("{conn:?} breaks the rules within a stream"));
            self.drop_connection(conn, true);
            return false;
        }
        if heard {
            self.settle(shard);
            self.finish_exchange(conn);
        } else if self.origin.conns.get(&conn).is_some_and(|held| held.eof) {
            self.drop_connection(conn, true);
        }
        heard
    }

    fn open_exchange(
        &mut self,
        id: ExchangeId,
        conn: Option<ConnId>,
        shard: u16,
        (line, range): (String, Option<String>),
        in_body: bool,
    ) {
        if let Some(conn) = conn {
            self.note(format_args!("{conn:?} {id:?} on {shard}: {line}"));
        }
        let (opened, heard) = (self.now, self.now);
        let answered = false;
        let exchange = Exchange {
            conn,
            shard,
            opened,
            heard,
            line,
            range,
            in_body,
            answered,
            streamed: None,
        };
        self.origin.exchanges.insert(id, exchange);
    }

    /// Forgets the exchange of a connection once it is answered and its body
    /// has ended.
    fn finish_exchange(&mut self, conn: ConnId) {
        let Some(held) = self.origin.conns.get_mut(&conn) else {
            return;
        };
        let Some(id) = held.exchange else { return };
        let over = self
            .origin
            .exchanges
            .get(&id)
            .is_none_or(|e| e.answered && e.streamed.is_none() && !e.in_body);
        if over {
            held.exchange = None;
            self.origin.exchanges.remove(&id);
        }
    }

    /// The connection is over: tells the shard if it waits for something, and
    /// the peer if it still listens.
    fn drop_connection(&mut self, conn: ConnId, peer_listens: bool) {
        let Some(held) = self.origin.conns.remove(&conn) else {
            return;
        };
        if peer_listens {
            self.hang_up(conn, Item::Fin);
        } else {
            self.net.close(conn);
        }
        let Some(exchange) = held.exchange else {
            return;
        };
        if self.origin.exchanges.remove(&exchange).is_some() {
            self.handle(held.shard, Input::Gone { exchange });
            self.pump_all();
        }
    }

    fn handle(&mut self, shard: u16, input: Input<'_>) {
        let now = self.clocks();
        self.origin.shards[usize::from(shard)].handle(now, input);
        self.settle(shard);
    }

    /// Carries out all effects of a shard and sets its timer.
    fn settle(&mut self, shard: u16) {
        let mut undelivered = Vec::new();
        loop {
            while let Some(effect) = self.origin.shards[usize::from(shard)].poll_effect() {
                self.carry_out(shard, effect, &mut undelivered);
            }
            let Some((to, letter)) = undelivered.pop() else {
                break;
            };
            self.origin.shards[usize::from(shard)].undelivered(to, letter);
        }
        if let Some(at) = self.origin.shards[usize::from(shard)].next_deadline()
            && at.0 < self.origin.armed[usize::from(shard)]
        {
            self.origin.armed[usize::from(shard)] = at.0;
            let late = self.rng.range(0, self.plan.tick_late_us) * 1000;
            self.at(at.0 + late, Event::Tick(shard));
        }
    }

    fn carry_out(&mut self, shard: u16, effect: Effect, undelivered: &mut Vec<(ShardId, Letter)>) {
        match effect {
            Effect::Continue { exchange } => {
                let Some(conn) = self.conn_of(exchange) else {
                    return;
                };
                let held = self.origin.conns.get_mut(&conn);
                let connection = held.and_then(|held| held.connection.as_mut());
                let bytes = connection.expect("it isn't on its way").respond_continue();
                self.deliver(conn, &bytes);
            }
            Effect::Respond { exchange, reply } => self.respond(shard, exchange, &reply),
            Effect::Data { exchange, data } => self.stream(shard, exchange, Some(&data)),
            Effect::End { exchange } => self.stream(shard, exchange, None),
            Effect::Abort { exchange } => {
                let Some(conn) = self.conn_of(exchange) else {
                    return;
                };
                self.note(format_args!("{conn:?} is aborted"));
                if let Some(mut exchange) = self.origin.exchanges.remove(&exchange)
                    && let Some(streamed) = exchange.streamed.take()
                {
                    let verdict = self.checks.broken(&exchange, &streamed.0, &streamed.1);
                    self.judge(verdict);
                    self.judge_break(&exchange);
                }
                self.origin.conns.remove(&conn);
                self.hang_up(conn, Item::Reset);
            }
            Effect::Move { exchange, to } => self.move_connection(exchange, to),
            Effect::Post { to, letter } => self.post(shard, to, letter, undelivered),
            Effect::Drained => {
                self.note(format_args!("shard {shard} is drained"));
                self.origin.drained[usize::from(shard)] = true;
            }
        }
    }

    fn conn_of(&mut self, exchange: ExchangeId) -> Option<ConnId> {
        self.origin
            .exchanges
            .get(&exchange)
            .and_then(|exchange| exchange.conn)
    }

    fn respond(&mut self, shard: u16, id: ExchangeId, reply: &Reply) {
        let now = self.now;
        let Some(exchange) = self.origin.exchanges.get_mut(&id) else {
            return self.fail(format!("shard {shard} answers {id:?}, which isn't open"));
        };
        if std::mem::replace(&mut exchange.answered, true) || exchange.shard != shard {
            return self.fail(format!("shard {shard} answers {id:?} twice or for another"));
        }
        let body = reply.body().to_vec();
        let streams = reply.streamed && !exchange.line.starts_with("Head");
        if streams {
            exchange.streamed = Some(Box::new((reply.clone(), Vec::new())));
        }
        let exchange = exchange.clone();
        self.trace.note(
            now,
            format_args!("{id:?} on {shard}: {} {}", reply.status, body.len()),
        );
        if !streams {
            let verdict = self.checks.answered(now, &exchange, reply, &body);
            self.judge(verdict);
        }
        let Some(conn) = exchange.conn else {
            self.origin.exchanges.remove(&id);
            if let Some(probe) = &mut self.origin.probe
                && probe.exchange == id
            {
                probe.answer = Some((reply.status, body));
            }
            return;
        };
        let Some(connection) = self
            .origin
            .conns
            .get_mut(&conn)
            .and_then(|held| held.connection.as_mut())
        else {
            return self.fail(format!("{conn:?} of {id:?} has no connection"));
        };
        let wire = connection.respond(reply);
        self.write(conn, wire);
    }

    /// More of a streamed response, or its end.
    fn stream(&mut self, shard: u16, id: ExchangeId, data: Option<&Rope>) {
        let now = self.now;
        let known = self.origin.exchanges.get_mut(&id);
        let Some(exchange) = known.filter(|e| e.shard == shard && e.streamed.is_some()) else {
            return self.fail(format!(
                "shard {shard} goes on with {id:?}, which isn't streamed"
            ));
        };
        match data {
            Some(data) => {
                let (reply, body) = &mut **exchange.streamed.as_mut().expect("seen above");
                let (data, first) = (data.to_vec(), body.is_empty());
                body.extend(&data);
                // Ranges get whole parts, which the other checks see.
                if reply.status == 200 {
                    let (opened, line) = (exchange.opened, exchange.line.clone());
                    self.judge_growth((opened, &line), &data, first);
                }
            }
            None => {
                let (reply, body) = *exchange.streamed.take().expect("seen above");
                let exchange = exchange.clone();
                let verdict = self.checks.answered(now, &exchange, &reply, &body);
                self.judge(verdict);
            }
        }
        let len = data.map_or(0, Rope::len);
        self.note(format_args!("{id:?} on {shard}: {len} more"));
        let Some(conn) = self.conn_of(id) else {
            return self.fail(format!("{id:?} is a probe and was not answered at once"));
        };
        let held = self.origin.conns.get_mut(&conn);
        let connection = held.and_then(|held| held.connection.as_mut());
        let connection = connection.expect("it isn't on its way");
        let wire = match data {
            Some(data) => connection.data(data),
            None => connection.end(),
        };
        self.write(conn, wire);
    }

    fn write(&mut self, conn: ConnId, Wire { pieces, close }: Wire) {
        for piece in pieces {
            self.deliver(conn, &piece);
        }
        self.finish_exchange(conn);
        if close {
            self.drop_connection(conn, true);
        } else {
            self.origin.unpumped.push_back(conn);
        }
    }

    fn move_connection(&mut self, exchange: ExchangeId, to: ShardId) {
        let Some(gone) = self.origin.exchanges.remove(&exchange) else {
            return self.fail(format!("{exchange:?} moves but isn't open"));
        };
        let Some(conn) = gone.conn else { return };
        self.note(format_args!(
            "{conn:?} moves from {} to {}",
            gone.shard, to.0
        ));
        let held = self
            .origin
            .conns
            .get_mut(&conn)
            .expect("an open exchange has a connection");
        let connection = held.connection.take().expect("it isn't on its way already");
        let mut unread = connection.into_unread();
        unread.append(&mut held.held);
        held.held = unread;
        held.shard = to.0;
        held.exchange = None;
        let delay = self.rng.range(1, self.plan.mail_delay_us) * 1000;
        self.after(delay, Event::Adopt(conn));
    }

    fn post(
        &mut self,
        from: u16,
        to: ShardId,
        letter: Letter,
        undelivered: &mut Vec<(ShardId, Letter)>,
    ) {
        if let Letter::Gathered {
            ticket: GATHER_TICKET,
            report,
        } = letter
        {
            self.origin.reports.insert(from, *report);
            return;
        }
        assert_ne!(from, to.0, "nobody posts to itself");
        let mailbox = self.origin.mailboxes.entry((from, to.0)).or_default();
        if mailbox.len() >= self.plan.mailbox_letters {
            self.note(format_args!("mailbox of {} is full for {from}", to.0));
            self.origin.overflowed.insert((from, to.0), self.now);
            undelivered.push((to, letter));
            return;
        }
        mailbox.push_back(letter);
        let delay = self.rng.range(1, self.plan.mail_delay_us) * 1000;
        self.after(delay, Event::Mail { from, to: to.0 });
    }
}

fn probe_request(method: Method, target: &str) -> Request<'_> {
    Request {
        method,
        target,
        body: BodyLength::None,
        close: false,
        expect_continue: false,
        accept_gzip: false,
        if_none_match: None,
        range: None,
        if_range: None,
        content_range: false,
        content_encoding: None,
        authorization: None,
        user_agent: None,
        raw: b"",
    }
}
