//! A live encoder: samples at their time, chunks on a grid, requests in one of
//! the usual styles, and what goes wrong with encoders.

mod faults;
mod sending;
mod uplink;

use std::collections::BTreeMap;

use crate::agents::encoder::uplink::{Run, Uplink};
use crate::agents::{Agent, Signal};
use crate::client::Responses;
use crate::cmaf::Kind;
use crate::ledger::Session;
use crate::net::{ConnId, Quality};
use crate::plan::{ChannelPlan, Fault, Mode, Start};
use crate::world::{Event, MS, SECOND, World};

/// What was sent this long before a reset may never have arrived.
const RESET_LOSS_NS: u64 = 3 * SECOND;
/// A healthy encoder's request is answered this long after its end.
const ANSWER_NS_MAX: u64 = 3 * SECOND;
/// Wake tokens: a step of an uplink, or a new session.
const START: u64 = 0;
const STEP: u64 = 1;

/// Requests under way on a connection, oldest first: when they ended.
#[derive(Default)]
struct Answers {
    responses: Responses,
    ended: Vec<u64>,
}

/// See the module's head.
pub struct Encoder {
    me: usize,
    channel: usize,
    plan: ChannelPlan,
    uplinks: Vec<Uplink>,
    answers: BTreeMap<ConnId, Answers>,
    faults: Vec<(u64, Fault)>,
    quality: Quality,
    /// Rises with every start, so that wakes of an earlier life are void.
    life: u64,
    running: bool,
}

impl Encoder {
    /// The encoder of a channel.
    pub fn new(channel: usize, plan: &ChannelPlan) -> Self {
        Self {
            me: 0,
            channel,
            plan: plan.clone(),
            uplinks: Vec::new(),
            answers: BTreeMap::new(),
            faults: plan.faults.clone(),
            quality: plan.quality,
            life: 0,
            running: false,
        }
    }

    /// Begins a session on every track.
    fn start(&mut self, world: &mut World) {
        self.life += 1;
        self.running = true;
        let segment_ns = self.plan.grid.ns(self.plan.grid.segment_frames);
        let segment_ticks = self.plan.grid.segment_frames * self.plan.grid.frame_ticks;
        let wall_ns = world.wall_us() as u64 * 1000;
        // On an epoch timeline the first sample waits for the next segment.
        let (offset_ticks, wait_ns) = match self.plan.start {
            Start::Zero => (0, 0),
            Start::Somewhere => (world.rng.range(1, 1000) * segment_ticks, 0),
            Start::NearWrap => ((1 << 32) - 8 * self.plan.grid.timescale, 0),
            Start::Epoch => {
                let segment = wall_ns / segment_ns + 1;
                let at = segment as u128 * segment_ticks as u128 * u128::from(SECOND)
                    / u128::from(self.plan.grid.timescale);
                (segment * segment_ticks, at as u64 - wall_ns.min(at as u64))
            }
        };
        let start_ns = world.now + wait_ns;
        let mut runs = Vec::new();
        for (index, plan) in self.plan.tracks.iter().enumerate() {
            let spec = plan.spec;
            let scaled = u128::from(offset_ticks) * u128::from(spec.timescale);
            let scaled = (scaled / u128::from(self.plan.grid.timescale)) as u64;
            let base = match self.plan.start {
                // Every track has its own 32 bits to run out of.
                Start::NearWrap => (1u64 << 32) - 8 * u64::from(spec.timescale),
                _ if spec.kind != Kind::Audio => offset_ticks,
                _ => scaled.next_multiple_of(u64::from(spec.sample_ticks)),
            };
            let session = Session {
                sample_ticks: spec.sample_ticks,
                timescale: spec.timescale,
                lasts: spec.kind == Kind::Text,
                start_ns,
                ..Session::default()
            };
            let session = world.ledger.begin(self.channel, index, session);
            let (plan, next, shift) = (plan.clone(), 0, 0);
            runs.push(Run {
                index,
                plan,
                session,
                next,
                base,
                shift,
                start_ns,
            });
        }
        let muxed = self.plan.mode == Mode::Muxed;
        let groups: Vec<Vec<Run>> = if muxed {
            vec![runs]
        } else {
            runs.into_iter().map(|run| vec![run]).collect()
        };
        self.uplinks = groups.into_iter().map(Uplink::new).collect();
        world.note(format_args!(
            "encoder of {} starts, life {}",
            self.plan.name, self.life
        ));
        for uplink in 0..self.uplinks.len() {
            self.arm(world, uplink, 0);
        }
    }

    /// Wakes an uplink when its next chunk has been captured.
    fn arm(&mut self, world: &mut World, index: usize, hold_ns: u64) {
        let uplink = &mut self.uplinks[index];
        if std::mem::replace(&mut uplink.armed, true) {
            return;
        }
        let (ends, _) = uplink.next_chunk(&self.plan);
        let of = |(run, end): (&Run, &u64)| run.captured(end.max(&1) - 1);
        let captured = uplink.runs.iter().zip(&ends).map(of).max().unwrap_or(0);
        let jitter = world.rng.range(0, 3) * MS;
        let at = (captured + uplink.lag_ns + jitter).max(world.now + hold_ns);
        let token = self.life << 32 | (index as u64) << 8 | STEP;
        world.at(
            at,
            Event::Wake {
                agent: self.me,
                token,
            },
        );
    }

    /// Sends the next chunk of an uplink, and whatever goes wrong with it.
    fn step(&mut self, world: &mut World, index: usize) {
        let uplink = &mut self.uplinks[index];
        uplink.armed = false;
        if world.now < uplink.silent_until {
            if uplink.silent_until < u64::MAX {
                let hold_ns = uplink.silent_until - world.now;
                self.arm(world, index, hold_ns);
            }
            return;
        }
        if world.now >= uplink.lag_until {
            uplink.lag_ns = 0;
        }
        self.jump_if_due(world, index);
        if let Some(fault) = self.due_fault(world, index) {
            world.note(format_args!("{} uplink {index}: {fault:?}", self.plan.name));
            world.ledger.trouble(self.channel);
            if !self.suffer(world, index, fault) {
                return;
            }
        }
        let bytes = self.make_chunk(world, index);
        self.send_chunk(world, index, &bytes);
        self.arm(world, index, 0);
    }

    fn heard(&mut self, world: &mut World, conn: ConnId, bytes: &[u8]) {
        let name = &self.plan.name;
        let Some(answers) = self.answers.get_mut(&conn) else {
            return;
        };
        answers.responses.feed(bytes);
        loop {
            match answers.responses.take() {
                Ok(None) => return,
                Ok(Some(response)) if response.status == 100 => {}
                Ok(Some(response)) => {
                    let ended = (!answers.ended.is_empty()).then(|| answers.ended.remove(0));
                    let good = (200..300).contains(&response.status);
                    let late = ended.is_some_and(|at| world.now > at + ANSWER_NS_MAX);
                    if self.plan.healthy && !world.draining && (!good || late || ended.is_none()) {
                        let status = response.status;
                        let body = String::from_utf8_lossy(&response.body).into_owned();
                        world.fail(format!("the healthy encoder of {name} gets {status} {body:?}, late {late}, asked {}", ended.is_some()));
                    }
                }
                Err(error) => return world.fail(format!("encoder of {name}: {error}")),
            }
        }
    }

    fn closed(&mut self, world: &mut World, conn: ConnId) {
        self.answers.remove(&conn);
        let Some(index) = self
            .uplinks
            .iter()
            .position(|uplink| uplink.conn == Some(conn))
        else {
            return;
        };
        if self.plan.healthy {
            world.fail(format!(
                "the healthy encoder of {} is cut off",
                self.plan.name
            ));
        }
        self.excuse_around(world, index, RESET_LOSS_NS);
        self.uplinks[index].abandon();
    }
}

impl Agent for Encoder {
    fn on(&mut self, me: usize, world: &mut World, signal: Signal<'_>) {
        self.me = me;
        match signal {
            Signal::Wake(token) if token >> 32 == self.life => {
                if token & 0xff == STEP {
                    if self.running {
                        self.step(world, (token >> 8 & 0xff_ffff) as usize);
                    }
                } else if !self.running {
                    self.start(world);
                }
            }
            Signal::Wake(_) => {}
            Signal::Bytes(conn, bytes) => self.heard(world, conn, bytes),
            Signal::Closed(conn) => self.closed(world, conn),
            Signal::Heal => {
                self.faults.clear();
                if !self.plan.healthy {
                    self.stop(world);
                    self.quality = Quality::PERFECT;
                    let token = self.life << 32 | START;
                    let pause = world.rng.range(200, 1500) * MS;
                    world.after(
                        pause,
                        Event::Wake {
                            agent: self.me,
                            token,
                        },
                    );
                }
            }
            Signal::Leave | Signal::Over => {
                self.life += 1;
                self.running = false;
                for conn in world.net.open_of(me) {
                    world.close(conn);
                }
            }
        }
    }
}
