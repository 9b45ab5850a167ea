//! A live encoder: samples at their time, chunks on a grid, requests in one of
//! the usual styles, and what goes wrong with encoders.

use std::collections::BTreeMap;

use crate::agents::{Agent, Signal};
use crate::client::{Responses, http_chunk};
use crate::cmaf::payload::{self, Stamp};
use crate::cmaf::write::{Fragment, Prefix, chunk, header};
use crate::cmaf::{Kind, Sample};
use crate::ledger::Session;
use crate::net::{ConnId, Quality};
use crate::plan::{ChannelPlan, Fault, Mode, Start, Styp, TrackPlan};
use crate::world::{Event, MS, SECOND, World};

/// What was sent this long before a reset may never have arrived.
const RESET_LOSS_NS: u64 = 3 * SECOND;
/// A healthy encoder's request is answered this long after its end.
const ANSWER_NS_MAX: u64 = 3 * SECOND;
/// Wake tokens: a step of an uplink, or a new session.
const START: u64 = 0;
const STEP: u64 = 1;

/// One track under way.
struct Run {
    index: usize,
    plan: TrackPlan,
    session: u32,
    /// Number of the next sample.
    next: u64,
    /// Decode time of sample 0.
    base: u64,
    /// What jumps have added.
    shift: i64,
    start_ns: u64,
}

/// One connection's worth of tracks.
struct Uplink {
    runs: Vec<Run>,
    conn: Option<ConnId>,
    /// Whether a body is under way.
    in_body: bool,
    /// Whether this connection has seen a header.
    headed: bool,
    /// Body of the segment under way, for what re-sends or sends it whole.
    segment: Vec<u8>,
    sequence: u32,
    lag_ns: u64,
    lag_until: u64,
    /// A jump waits for this segment.
    jump: Option<(u64, i64)>,
    armed: bool,
}

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
                _ if spec.kind == Kind::Video => offset_ticks,
                _ => scaled.next_multiple_of(u64::from(spec.sample_ticks)),
            };
            let session = Session {
                sample_ticks: spec.sample_ticks,
                timescale: spec.timescale,
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

    fn due_fault(&mut self, world: &World, index: usize) -> Option<Fault> {
        let (at, fault) = *self.faults.first()?;
        // Spreads faults over uplinks: each is due on one of them.
        let due = at <= world.now && at as usize % self.uplinks.len() == index && world.faulty;
        due.then(|| self.faults.remove(0)).map(|_| fault)
    }

    /// Carries a fault out; false when the uplink takes no step now.
    fn suffer(&mut self, world: &mut World, index: usize, fault: Fault) -> bool {
        match fault {
            Fault::Pause { ms, burst } => {
                if !burst {
                    self.skip_to(world, index, world.now + ms * MS);
                }
                self.arm(world, index, ms * MS);
                return false;
            }
            Fault::Reconnect { mid_box, reset } => self.reconnect(world, index, mid_box, reset),
            Fault::Truncate => self.truncate(world, index),
            Fault::NeverEnd => {
                // The connection stays open and silent; a new one takes over.
                self.excuse_around(world, index, 0);
                self.uplinks[index].abandon();
            }
            Fault::Duplicate => self.duplicate(world, index),
            Fault::Skip => {
                let segment_ns = self.plan.grid.ns(self.plan.grid.segment_frames);
                self.skip_to(world, index, world.now + segment_ns);
            }
            Fault::Jump { ms, all } => {
                let segment = self
                    .uplinks
                    .iter()
                    .map(|up| up.segment_of(&self.plan))
                    .max();
                let jump = Some((segment.unwrap_or(0) + 1, ms));
                let jumps = |(at, _): &(usize, _)| all || *at == index;
                let uplinks = self.uplinks.iter_mut().enumerate().filter(jumps);
                uplinks.for_each(|(_, uplink)| uplink.jump = jump);
            }
            Fault::NewHeader => self.new_header(world, index),
            Fault::Lag { ms } => {
                self.uplinks[index].lag_ns = ms * MS;
                self.uplinks[index].lag_until = world.now + 2 * ms * MS;
            }
            Fault::Restart { ms } => {
                self.stop(world);
                let token = self.life << 32 | START;
                world.after(
                    ms * MS,
                    Event::Wake {
                        agent: self.me,
                        token,
                    },
                );
                return false;
            }
        }
        true
    }

    /// Ends all connections, each in a way of its own.
    fn stop(&mut self, world: &mut World) {
        self.running = false;
        for index in 0..self.uplinks.len() {
            self.excuse_around(world, index, RESET_LOSS_NS);
            let uplink = &mut self.uplinks[index];
            for run in &uplink.runs {
                world
                    .ledger
                    .excuse(self.channel, run.index, run.next, u64::MAX);
            }
            let Some(conn) = uplink.conn.take() else {
                continue;
            };
            self.answers.remove(&conn);
            match world.rng.range(0, 2) {
                0 => world.reset(conn),
                1 => world.close(conn),
                _ => {
                    if uplink.in_body && self.plan.mode != Mode::Whole {
                        world.send(conn, b"0\r\n\r\n");
                    }
                    world.close(conn);
                }
            }
        }
    }

    /// Excuses what was sent in the last `back_ns`, the group of pictures that
    /// began before it, and what comes up to the end of the next one.
    fn excuse_around(&mut self, world: &mut World, index: usize, back_ns: u64) {
        let segment_ns = self.plan.grid.ns(self.plan.grid.segment_frames);
        for run in &self.uplinks[index].runs {
            let sample_ns = run.captured(0) - run.start_ns;
            let segment = segment_ns / sample_ns.max(1) + 2;
            let back = back_ns / sample_ns.max(1) + segment;
            let from = run.next.saturating_sub(back);
            world
                .ledger
                .excuse(self.channel, run.index, from, run.next + 2 * segment);
        }
    }

    /// Leaves out all samples captured before a moment, up to a chunk's start.
    fn skip_to(&mut self, world: &mut World, index: usize, until: u64) {
        self.excuse_around(world, index, 0);
        let to_segment = world.rng.percent(50) || self.plan.mode != Mode::Endless;
        let grid = self.plan.grid;
        let uplink = &mut self.uplinks[index];
        let key = |run: &Run, sample: u64| {
            let (segment, chunk) = grid.key(&run.plan.spec, sample);
            (segment, if to_segment { 0 } else { chunk })
        };
        let reached = uplink.runs[0].reached(until);
        let goal = key(&uplink.runs[0], reached);
        for run in &mut uplink.runs {
            let from = run.next;
            run.next = run.reached(until).saturating_sub(64).max(run.next);
            while key(run, run.next) <= goal {
                run.next += 1;
            }
            world.ledger.excuse(self.channel, run.index, from, run.next);
        }
        self.end_body(world, index);
        self.excuse_around(world, index, 0);
    }

    fn reconnect(&mut self, world: &mut World, index: usize, mid_box: bool, reset: bool) {
        self.excuse_around(world, index, RESET_LOSS_NS);
        if mid_box {
            let bytes = self.peek_chunk(index);
            let cut = world.rng.range(1, bytes.len() as u64 - 1) as usize;
            self.send_media(world, index, &bytes[..cut]);
        }
        let uplink = &mut self.uplinks[index];
        let Some(conn) = uplink.conn else { return };
        self.answers.remove(&conn);
        if reset {
            world.reset(conn)
        } else {
            world.close(conn)
        }
        uplink.abandon();
    }

    fn truncate(&mut self, world: &mut World, index: usize) {
        self.excuse_around(world, index, 0);
        let bytes = self.peek_chunk(index);
        let cut = world.rng.range(1, bytes.len() as u64 - 1) as usize;
        self.send_media(world, index, &bytes[..cut]);
        let uplink = &mut self.uplinks[index];
        uplink.segment.extend(&bytes[..cut]);
        self.end_body(world, index);
        self.skip_to(world, index, world.now);
    }

    fn duplicate(&mut self, world: &mut World, index: usize) {
        let bytes = match self.plan.mode {
            Mode::Endless | Mode::Muxed => self.peek_chunk(index),
            Mode::PerSegment | Mode::Whole => self.uplinks[index].segment.clone(),
        };
        if bytes.is_empty() || self.plan.mode == Mode::Whole {
            return;
        }
        // The chunk itself follows: once here, once in its turn.
        self.send_media(world, index, &bytes);
        if self.plan.mode == Mode::PerSegment {
            self.end_body(world, index);
        }
    }

    fn new_header(&mut self, world: &mut World, index: usize) {
        self.end_body(world, index);
        self.excuse_around(world, index, 0);
        let uplink = &mut self.uplinks[index];
        for run in &mut uplink.runs {
            run.plan.spec.width += 16;
        }
        if let Some(conn) = uplink.conn
            && self.plan.mode.is_endless()
        {
            world.close(conn);
            self.answers.remove(&conn);
        }
        uplink.headed = false;
        if self.plan.mode.is_endless() {
            uplink.abandon();
        }
    }

    fn jump_if_due(&mut self, world: &mut World, index: usize) {
        let uplink = &mut self.uplinks[index];
        let Some((segment, ms)) = uplink.jump else {
            return;
        };
        if uplink.segment_of(&self.plan) < segment {
            return;
        }
        uplink.jump = None;
        for run in &mut uplink.runs {
            let timescale = i64::from(run.plan.spec.timescale);
            run.shift += ms * timescale / 1000;
            if run.base as i64 + run.shift < 0 {
                run.shift = -(run.base as i64);
            }
        }
        world.note(format_args!(
            "{} uplink {index} jumps by {ms} ms",
            self.plan.name
        ));
        // Until the old end is reached again, it is late media or a new
        // timeline; both are sound readings.
        let until = world.now + if ms < 0 { ms.unsigned_abs() * MS } else { 0 };
        for run in &self.uplinks[index].runs {
            let to = run.reached(until).max(run.next);
            world.ledger.excuse(self.channel, run.index, run.next, to);
        }
        self.excuse_around(world, index, 0);
        for run in &self.uplinks[index].runs {
            let to = run.reached(until + 3 * SECOND).max(run.next);
            world.ledger.excuse(self.channel, run.index, run.next, to);
        }
    }

    /// The next chunk without taking it.
    fn peek_chunk(&self, index: usize) -> Vec<u8> {
        let uplink = &self.uplinks[index];
        let (ends, key) = uplink.next_chunk(&self.plan);
        let fresh = uplink.runs[0].next == 0
            || self
                .plan
                .grid
                .key(&uplink.runs[0].plan.spec, uplink.runs[0].next - 1)
                .0
                != key.0;
        let samples: Vec<Vec<Sample>> = uplink
            .runs
            .iter()
            .zip(&ends)
            .map(|(run, end)| {
                (run.next..*end)
                    .map(|n| run.sample(self.channel, &self.plan, n))
                    .collect()
            })
            .collect();
        let fragments: Vec<_> = uplink
            .runs
            .iter()
            .zip(&samples)
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(run, samples)| Fragment {
                spec: &run.plan.spec,
                decode_time: run.decode_time(run.next),
                samples,
            })
            .collect();
        let styp = match self.plan.styp {
            Styp::Chunks => Some(if fresh { SEGMENT_BRANDS } else { CHUNK_BRANDS }),
            Styp::Segments if fresh => Some(SEGMENT_BRANDS),
            _ => None,
        };
        let run = &uplink.runs[0];
        let prft_us = self
            .plan
            .prft
            .then(|| crate::world::WALL_START_US + (run.captured(run.next) / 1000) as i64);
        chunk(
            uplink.sequence,
            Prefix {
                styp,
                prft_us,
                extras: self.plan.extras,
            },
            &fragments,
        )
    }

    /// Takes the next chunk and records it.
    fn make_chunk(&mut self, world: &mut World, index: usize) -> Vec<u8> {
        let bytes = self.peek_chunk(index);
        let muxed = self.plan.mode == Mode::Muxed;
        let uplink = &mut self.uplinks[index];
        let (ends, _) = uplink.next_chunk(&self.plan);
        uplink.sequence += 1;
        for (run, end) in uplink.runs.iter_mut().zip(ends) {
            if end > run.next {
                let (count, time) = (end - run.next, run.decode_time(run.next));
                let whole = (!muxed).then_some(bytes.as_slice());
                world
                    .ledger
                    .sent(self.channel, run.index, run.next, count, time, whole);
                run.next = end;
            }
        }
        bytes
    }

    /// Sends a chunk that has been taken; ends the segment with its last one.
    fn send_chunk(&mut self, world: &mut World, index: usize, bytes: &[u8]) {
        self.send_media(world, index, bytes);
        let uplink = &mut self.uplinks[index];
        uplink.segment.extend_from_slice(bytes);
        let run = &uplink.runs[0];
        let key = |n: u64| self.plan.grid.key(&run.plan.spec, n).0;
        if key(run.next) != key(run.next - 1) {
            if self.plan.mode.is_endless() {
                uplink.segment.clear();
            } else {
                self.end_body(world, index);
            }
        }
    }

    /// Sends media bytes in the body of the right request.
    fn send_media(&mut self, world: &mut World, index: usize, bytes: &[u8]) {
        let conn = self.ready(world, index);
        if self.plan.mode == Mode::Whole {
            return;
        }
        let uplink = &mut self.uplinks[index];
        if !std::mem::replace(&mut uplink.in_body, true) {
            let head = self.plan.media_head(uplink, "Transfer-Encoding: chunked");
            world.send(conn, head.as_bytes());
            if self.plan.mode.is_endless() {
                let header = uplink.header();
                world.send(conn, &http_chunk(&header));
            }
        }
        let mut wire = Vec::new();
        let size = world.rng.pick(&[usize::MAX, 32_768, 700, 64]);
        for piece in bytes.chunks(size) {
            wire.extend(http_chunk(piece));
        }
        world.send(conn, &wire);
    }

    /// Ends the body under way, if any.
    fn end_body(&mut self, world: &mut World, index: usize) {
        let conn = self.ready(world, index);
        let uplink = &mut self.uplinks[index];
        let segment = std::mem::take(&mut uplink.segment);
        if self.plan.mode == Mode::Whole {
            if segment.is_empty() {
                return;
            }
            let length = format!("Content-Length: {}", segment.len());
            let head = self.plan.media_head(uplink, &length);
            world.send(conn, head.as_bytes());
            world.send(conn, &segment);
        } else if std::mem::take(&mut uplink.in_body) {
            world.send(conn, b"0\r\n\r\n");
        } else {
            return;
        }
        self.answers.entry(conn).or_default().ended.push(world.now);
    }

    /// A connection of the uplink that has been sent the header.
    fn ready(&mut self, world: &mut World, index: usize) -> ConnId {
        let conn = match self.uplinks[index].conn {
            Some(conn) => conn,
            None => world.connect(self.me, self.quality),
        };
        let uplink = &mut self.uplinks[index];
        uplink.conn = Some(conn);
        if !std::mem::replace(&mut uplink.headed, true) && !self.plan.mode.is_endless() {
            let header = uplink.header();
            let path = format!("{}/{}/init.mp4", self.plan.name, uplink.runs[0].plan.name);
            let head = format!(
                "PUT /ingest/{path} HTTP/1.1\r\nHost: origin\r\nContent-Length: {}\r\n\r\n",
                header.len()
            );
            world.send(conn, head.as_bytes());
            world.send(conn, &header);
            self.answers.entry(conn).or_default().ended.push(world.now);
        }
        conn
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
            Signal::Leave => {
                self.life += 1;
                self.running = false;
                for conn in world.net.open_of(me) {
                    world.close(conn);
                }
            }
        }
    }
}

const SEGMENT_BRANDS: &[&[u8; 4]] = &[b"cmfs", b"msdh"];
const CHUNK_BRANDS: &[&[u8; 4]] = &[b"cmfl"];

impl Mode {
    /// Whether requests never end.
    pub fn is_endless(self) -> bool {
        matches!(self, Self::Endless | Self::Muxed)
    }
}

impl ChannelPlan {
    fn media_head(&self, uplink: &Uplink, framing: &str) -> String {
        let name = &self.name;
        let run = &uplink.runs[0];
        let (method, path) = match self.mode {
            Mode::Muxed => ("POST", format!("{name}/muxed.mp4")),
            Mode::Endless => ("POST", format!("{name}/Streams({}.cmfv)", run.plan.name)),
            Mode::PerSegment | Mode::Whole => {
                let segment = self.grid.key(&run.plan.spec, run.next.max(1) - 1).0;
                ("PUT", format!("{name}/{}/{segment}.m4s", run.plan.name))
            }
        };
        format!("{method} /ingest/{path} HTTP/1.1\r\nHost: origin\r\n{framing}\r\n\r\n")
    }
}

impl Uplink {
    fn new(runs: Vec<Run>) -> Self {
        Self {
            runs,
            conn: None,
            in_body: false,
            headed: false,
            segment: Vec::new(),
            sequence: 1,
            lag_ns: 0,
            lag_until: 0,
            jump: None,
            armed: false,
        }
    }

    /// Forgets the connection and what was under way on it.
    fn abandon(&mut self) {
        self.conn = None;
        self.in_body = false;
        self.headed = false;
        self.segment.clear();
    }

    fn header(&self) -> Vec<u8> {
        let specs: Vec<_> = self.runs.iter().map(|run| run.plan.spec).collect();
        header(&specs)
    }

    fn segment_of(&self, plan: &ChannelPlan) -> u64 {
        plan.grid.key(&self.runs[0].plan.spec, self.runs[0].next).0
    }

    /// The end of the next chunk in every run, and its place on the grid.
    fn next_chunk(&self, plan: &ChannelPlan) -> (Vec<u64>, (u64, u64)) {
        let key = |run: &Run, sample: u64| plan.grid.key(&run.plan.spec, sample);
        let next = self
            .runs
            .iter()
            .map(|run| key(run, run.next))
            .min()
            .unwrap_or_default();
        let end = |run: &Run| {
            let mut end = run.next;
            while key(run, end) <= next {
                end += 1;
            }
            end
        };
        (self.runs.iter().map(end).collect(), next)
    }
}

impl Run {
    /// When a sample has been captured whole.
    fn captured(&self, sample: u64) -> u64 {
        let ticks = u128::from((sample + 1) * u64::from(self.plan.spec.sample_ticks));
        self.start_ns + (ticks * u128::from(SECOND) / u128::from(self.plan.spec.timescale)) as u64
    }

    /// The sample being captured at a moment.
    fn reached(&self, at: u64) -> u64 {
        let ns = u128::from(at.saturating_sub(self.start_ns));
        let ticks = ns * u128::from(self.plan.spec.timescale) / u128::from(SECOND);
        (ticks / u128::from(self.plan.spec.sample_ticks)) as u64
    }

    fn decode_time(&self, sample: u64) -> u64 {
        let ticks = sample * u64::from(self.plan.spec.sample_ticks);
        (self.base + ticks).saturating_add_signed(self.shift)
    }

    fn sample(&self, channel: usize, plan: &ChannelPlan, number: u64) -> Sample {
        let spec = &self.plan.spec;
        let stamp = Stamp {
            channel: channel as u16,
            track: self.index as u16,
            session: self.session,
            number,
        };
        let sync = spec.kind == Kind::Audio || number.is_multiple_of(plan.grid.segment_frames);
        let (least, largest) = self.plan.payload;
        let spread = crate::prng::mix(number ^ u64::from(self.session)) % (largest - least + 1);
        let len = least
            + if sync && spec.kind == Kind::Video {
                2 * spread
            } else {
                spread
            };
        let payload = payload::make(stamp, len as usize);
        Sample {
            duration: spec.sample_ticks,
            sync,
            cts: 0,
            payload,
        }
    }
}
