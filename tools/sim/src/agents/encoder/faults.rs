//! What goes wrong with an encoder, and what of its media that excuses.

use crate::agents::encoder::uplink::Run;
use crate::agents::encoder::{Encoder, RESET_LOSS_NS, START};
use crate::plan::{Fault, Mode};
use crate::world::{Event, MS, SECOND, World};

/// Two connections of one track count as two encoders until one has been silent
/// for a second; then a keyframe is due.
const BESIDE_NS: u64 = 5 * SECOND;

impl Encoder {
    pub(super) fn due_fault(&mut self, world: &World, index: usize) -> Option<Fault> {
        let (at, fault) = *self.faults.first()?;
        // Spreads faults over uplinks: each is due on one of them.
        let due = at <= world.now && at as usize % self.uplinks.len() == index && world.faulty;
        due.then(|| self.faults.remove(0)).map(|_| fault)
    }

    /// Carries a fault out; false when the uplink takes no step now.
    pub(super) fn suffer(&mut self, world: &mut World, index: usize, fault: Fault) -> bool {
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
                self.excuse_burst(world, index);
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
            Fault::Stall { ms, lost } => {
                for index in 0..self.uplinks.len() {
                    if lost {
                        self.skip_to(world, index, world.now + ms * MS);
                    } else {
                        let runs = self.uplinks[index].runs.iter_mut();
                        runs.for_each(|run| run.start_ns += ms * MS);
                    }
                    self.uplinks[index].silent_until = world.now + ms * MS;
                }
                self.arm(world, index, 0);
                return false;
            }
            Fault::Die => {
                world.note(format_args!("{} uplink {index} dies", self.plan.name));
                self.excuse_around(world, index, RESET_LOSS_NS);
                self.uplinks[index].silent_until = u64::MAX;
                return false;
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
    pub(super) fn stop(&mut self, world: &mut World) {
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
    pub(super) fn excuse_around(&self, world: &mut World, index: usize, back_ns: u64) {
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

    /// Excuses what is made up for at once on a new connection: while the old
    /// one still delivers, the two look like encoders beside each other.
    fn excuse_burst(&self, world: &mut World, index: usize) {
        for run in &self.uplinks[index].runs {
            let to = run.reached(world.now + BESIDE_NS).max(run.next);
            world.ledger.excuse(self.channel, run.index, run.next, to);
        }
        self.excuse_around(world, index, 0);
    }

    /// Leaves out all samples captured before a moment, up to a chunk's start.
    pub(super) fn skip_to(&mut self, world: &mut World, index: usize, until: u64) {
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

    pub(super) fn reconnect(
        &mut self,
        world: &mut World,
        index: usize,
        mid_box: bool,
        reset: bool,
    ) {
        self.excuse_around(world, index, RESET_LOSS_NS);
        self.excuse_burst(world, index);
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

    pub(super) fn truncate(&mut self, world: &mut World, index: usize) {
        self.excuse_around(world, index, 0);
        let bytes = self.peek_chunk(index);
        let cut = world.rng.range(1, bytes.len() as u64 - 1) as usize;
        self.send_media(world, index, &bytes[..cut]);
        let uplink = &mut self.uplinks[index];
        uplink.segment.extend(&bytes[..cut]);
        self.end_body(world, index);
        self.skip_to(world, index, world.now);
    }

    pub(super) fn duplicate(&mut self, world: &mut World, index: usize) {
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

    pub(super) fn new_header(&mut self, world: &mut World, index: usize) {
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

    pub(super) fn jump_if_due(&mut self, world: &mut World, index: usize) {
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
}
