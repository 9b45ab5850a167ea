//! Virtual time, chance and everything that lives in them.
//!
//! One heap of events ordered by (time, sequence) drives the run; nothing in it
//! depends on anything but the seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use headwater::time::{Mono, Now, Wall};

use crate::agents::{Agent, Signal};
use crate::audit::Audit;
use crate::checks::Checks;
use crate::ledger::Ledger;
use crate::net::{ConnId, Item, Net, Quality, Way};
use crate::origin::Origin;
use crate::plan::Plan;
use crate::prng::Prng;
use crate::trace::Trace;

/// Nanoseconds of a millisecond.
pub const MS: u64 = 1_000_000;
/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// The wall clock when a run begins: 2026-01-01T00:00:00Z.
pub const WALL_START_US: i64 = 1_767_225_600_000_000;
/// More events than any sound run has: a loop without progress.
const EVENTS_MAX: u64 = 20_000_000;

/// Something that happens at a moment.
#[derive(Debug)]
pub enum Event {
    /// An agent asked to be woken.
    Wake {
        /// Whom.
        agent: usize,
        /// What for.
        token: u64,
    },
    /// A piece arrives at the origin.
    ToServer(ConnId, Item),
    /// A piece arrives at an agent.
    ToClient(ConnId, Item),
    /// A shard's deadline, or just some time.
    Tick(u16),
    /// The oldest letter of a mailbox arrives.
    Mail {
        /// Who posted it.
        from: u16,
        /// Whose mailbox.
        to: u16,
    },
    /// A moved connection arrives at its new shard.
    Adopt(ConnId),
    /// The shell looks for silent peers, the checkers look around.
    Patrol,
    /// The network clogs somewhere, or the wall clock steps.
    Clog,
}

struct Entry {
    at: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

/// Everything but the agents.
pub struct World {
    /// What this seed drew.
    pub plan: Plan,
    /// Nanoseconds since the run began.
    pub now: u64,
    /// Steps of the wall clock so far, in microseconds.
    pub wall_step_us: i64,
    /// History.
    pub trace: Trace,
    /// Chance for what has no stream of its own.
    pub rng: Prng,
    /// Connections.
    pub net: Net,
    /// What is under test.
    pub origin: Origin,
    /// What encoders sent.
    pub ledger: Ledger,
    /// What is demanded.
    pub checks: Checks,
    /// The first thing that went wrong.
    pub failure: Option<String>,
    /// Whether faults still happen.
    pub faulty: bool,
    /// Whether the origin has been told to stop.
    pub draining: bool,
    /// What the auditor remembers.
    pub audit: Audit,
    heap: BinaryHeap<Reverse<Entry>>,
    seq: u64,
}

impl World {
    /// The world of a plan, at its first moment.
    pub fn new(plan: Plan, rng: &mut Prng, aloud: bool) -> Self {
        let origin = Origin::new(&plan);
        let mut checks = Checks::default();
        checks.reload.strict = plan.settings.strict_part_limit;
        let fills = plan.settings.policy.fill_gaps;
        (checks.reload.fills, checks.bytes.fills) = (fills, fills);
        checks.reload.punctual = plan.punctual();
        checks.date_ranges.window_ns = plan.settings.policy.window_ms * MS;
        let mut world = Self {
            now: 0,
            wall_step_us: 0,
            trace: Trace::new(aloud),
            rng: rng.fork(),
            net: Net::new(rng.fork()),
            origin,
            ledger: Ledger::new(&plan),
            checks,
            failure: None,
            faulty: true,
            draining: false,
            audit: Audit::default(),
            heap: BinaryHeap::new(),
            seq: 0,
            plan,
        };
        world.after(0, Event::Patrol);
        world.after(2 * SECOND, Event::Clog);
        world
    }

    /// Both clocks.
    pub fn clocks(&self) -> Now {
        Now {
            mono: Mono(self.now),
            wall: Wall(self.wall_us()),
        }
    }

    /// The wall clock, in microseconds since 1970.
    pub fn wall_us(&self) -> i64 {
        WALL_START_US + (self.now / 1000) as i64 + self.wall_step_us
    }

    /// Lets `event` happen `ns` from now.
    pub fn after(&mut self, ns: u64, event: Event) {
        self.at(self.now + ns, event);
    }

    /// Lets `event` happen at a moment, at once when that has passed.
    pub fn at(&mut self, at: u64, event: Event) {
        self.seq += 1;
        self.heap.push(Reverse(Entry {
            at: at.max(self.now),
            seq: self.seq,
            event,
        }));
    }

    /// Adds a line to the history.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    /// Ends the run with a failure, unless it has one.
    pub fn fail(&mut self, what: String) {
        self.note(format_args!("FAILURE {what}"));
        self.failure.get_or_insert(what);
    }

    /// Ends the run if a check says so.
    pub fn judge(&mut self, verdict: Result<(), String>) {
        if let Err(what) = verdict {
            self.fail(what);
        }
    }

    /// A connection of `agent` to a shard of chance.
    pub fn connect(&mut self, agent: usize, quality: Quality) -> ConnId {
        let conn = self.net.open(self.now, agent, quality);
        let shard = self.rng.index(self.origin.shards()) as u16;
        self.origin.accept(conn, shard);
        self.note(format_args!(
            "{conn:?} of agent {agent} opens on shard {shard}"
        ));
        conn
    }

    /// Bytes from an agent to the origin.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        if self.net.wire(conn).is_none_or(|wire| !wire.client_writes) {
            return;
        }
        for (at, piece) in self.net.carry(self.now, conn, Way::Up, bytes) {
            self.at(at, Event::ToServer(conn, Item::Bytes(piece)));
        }
    }

    /// The agent writes no more but still listens.
    pub fn half_close(&mut self, conn: ConnId) {
        if let Some(wire) = self.net.wire(conn) {
            wire.client_writes = false;
            let at = self.net.arrival(self.now, conn, Way::Up);
            self.at(at, Event::ToServer(conn, Item::Fin));
        }
    }

    /// The agent closes: what it wrote arrives, what it is sent is lost.
    pub fn close(&mut self, conn: ConnId) {
        self.half_close(conn);
        if let Some(wire) = self.net.wire(conn) {
            wire.client_open = false;
        }
    }

    /// The agent vanishes; what is under way to the origin may arrive or not.
    pub fn reset(&mut self, conn: ConnId) {
        let overtakes = self.rng.percent(50);
        if let Some(wire) = self.net.wire(conn) {
            wire.client_open = false;
            wire.client_writes = false;
            let at = self.net.arrival(self.now, conn, Way::Up);
            let at = if overtakes { self.now } else { at };
            self.at(at, Event::ToServer(conn, Item::Reset));
        }
    }

    /// Bytes from the origin to an agent.
    pub fn deliver(&mut self, conn: ConnId, bytes: &[u8]) {
        for (at, piece) in self.net.carry(self.now, conn, Way::Down, bytes) {
            self.at(at, Event::ToClient(conn, Item::Bytes(piece)));
        }
    }

    /// The origin closes.
    pub fn hang_up(&mut self, conn: ConnId, item: Item) {
        let at = self.net.arrival(self.now, conn, Way::Down);
        self.at(at, Event::ToClient(conn, item));
    }

    fn next(&mut self, until: u64) -> Option<Event> {
        if self
            .heap
            .peek()
            .is_none_or(|Reverse(entry)| entry.at > until)
        {
            self.now = until;
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        if self.seq > EVENTS_MAX {
            self.fail("too many events: something spins".into());
        }
        Some(entry.event)
    }
}

/// A world and the agents in it.
pub struct Sim {
    /// The world.
    pub world: World,
    /// Encoders, players, vandals.
    pub agents: Vec<Box<dyn Agent>>,
}

impl Sim {
    /// Adds an agent and wakes it `ns` from now with token 0.
    pub fn add(&mut self, agent: Box<dyn Agent>, ns: u64) -> usize {
        self.agents.push(agent);
        let agent = self.agents.len() - 1;
        self.world.after(ns, Event::Wake { agent, token: 0 });
        agent
    }

    /// Tells every agent.
    pub fn tell(&mut self, signal: impl Fn() -> Signal<'static>) {
        for agent in 0..self.agents.len() {
            self.agents[agent].on(agent, &mut self.world, signal());
        }
    }

    /// Runs until a moment or the first failure.
    pub fn run(&mut self, until: u64) {
        while self.world.failure.is_none()
            && let Some(event) = self.world.next(until)
        {
            self.step(event);
        }
    }

    fn step(&mut self, event: Event) {
        let world = &mut self.world;
        match event {
            Event::Wake { agent, token } => {
                self.agents[agent].on(agent, world, Signal::Wake(token));
            }
            Event::ToServer(conn, item) => world.arrive(conn, item),
            Event::ToClient(conn, item) => {
                let Some(wire) = world.net.wire(conn) else {
                    return;
                };
                let (agent, open) = (wire.agent, wire.client_open);
                let last = !matches!(item, Item::Bytes(_));
                if last {
                    world.net.close(conn);
                }
                if open {
                    let signal = match &item {
                        Item::Bytes(bytes) => Signal::Bytes(conn, bytes),
                        Item::Fin | Item::Reset => Signal::Closed(conn),
                    };
                    self.agents[agent].on(agent, world, signal);
                }
            }
            Event::Tick(shard) => world.tick(shard),
            Event::Mail { from, to } => world.mail(from, to),
            Event::Adopt(conn) => world.adopt(conn),
            Event::Patrol => {
                if !world.draining {
                    world.patrol();
                }
                world.after(25 * MS, Event::Patrol);
            }
            Event::Clog => {
                if world.faulty && world.plan.clogs {
                    let until = world.now + world.rng.range(50, 700) * MS;
                    let index = world.rng.next_u64();
                    let conn = world.net.clog(index, until);
                    world.note(format_args!("clog {conn:?}"));
                }
                if world.faulty && world.plan.wall_steps && world.rng.percent(20) {
                    let step_us = world.rng.range(0, 8_000_000) as i64 - 4_000_000;
                    world.wall_step_us += step_us;
                    world.note(format_args!("the wall clock steps by {step_us} us"));
                }
                let pause = world.rng.range(200, 3000) * MS;
                world.after(pause, Event::Clog);
            }
        }
    }
}
