//! A deterministic simulator of headwater.
//!
//! One seed is one world: virtual time, a network that cuts, delays and breaks,
//! encoders, players, abusers and vandals around the real shards and HTTP
//! connections. First faults happen while checkers watch; then everything heals,
//! and every player must reach the live edge. The same seed gives the same
//! history, byte by byte.

pub mod agents;
pub mod audit;
pub mod checks;
pub mod client;
pub mod cmaf;
pub mod ledger;
pub mod m3u8;
pub mod net;
pub mod origin;
pub mod plan;
pub mod prng;
pub mod trace;
pub mod world;

use crate::agents::Signal;
use crate::agents::abuser::Abuser;
use crate::agents::encoder::Encoder;
use crate::agents::operator::Operator;
use crate::agents::player::{Player, Style};
use crate::agents::vandal::Vandal;
use crate::checks::{HOLD_TARGETS, SLACK_NS};
use crate::plan::Plan;
use crate::prng::Prng;
use crate::world::{MS, SECOND, Sim, World};

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the seed drew.
    pub plan: Plan,
    /// Equal for equal histories.
    pub hash: u64,
    /// Lines of history.
    pub lines: u64,
    /// Whole segments whose every byte was compared.
    pub segments: u64,
    /// What went wrong, with the last lines of history.
    pub failure: Option<(String, Vec<String>)>,
}

/// Lines of history shown with a failure.
const LINES_SHOWN: usize = 120;

/// Runs one seed; `aloud` prints its history as it comes.
pub fn run(seed: u64, aloud: bool) -> Outcome {
    let mut rng = Prng::new(seed);
    let plan = Plan::draw(seed, &mut rng);
    let mut sim = Sim {
        world: World::new(plan.clone(), &mut rng, aloud),
        agents: Vec::new(),
    };
    populate(&mut sim);
    sim.run(plan.safety_ns);
    if sim.world.failure.is_none() {
        heal(&mut sim);
    }
    if sim.world.failure.is_none() && plan.seed % 3 == 1 {
        end(&mut sim);
    }
    if sim.world.failure.is_none() {
        finish(&mut sim);
    }
    if sim.world.failure.is_some() {
        note_complaints(&mut sim.world);
    }
    let world = &sim.world;
    let failure = world
        .failure
        .clone()
        .map(|what| (what, world.trace.last(LINES_SHOWN)));
    let (hash, lines) = (world.trace.hash(), world.trace.count());
    Outcome {
        plan,
        hash,
        lines,
        segments: world.checks.bytes.segments(),
        failure,
    }
}

/// What the origin has to say about the encoders, to be read with a failure.
fn note_complaints(world: &mut World) {
    let reports = world.gather();
    for channel in reports.values().flat_map(|report| &report.channels) {
        for track in &channel.tracks {
            let (name, state) = (&channel.name, &channel.state);
            world.note(format_args!("{name} is {state}: {track:?}"));
        }
    }
}

fn populate(sim: &mut Sim) {
    let plan = sim.world.plan.clone();
    for (index, channel) in plan.channels.iter().enumerate() {
        let delay = sim.world.rng.range(0, 1500) * MS;
        sim.add(Box::new(Encoder::new(index, channel)), delay);
        let styles = [Style::LowLatency, Style::Plain, Style::Restless];
        for (style, count) in styles.into_iter().zip(plan.players) {
            for _ in 0..count {
                let player = Player::new(index, &channel.name, style, &mut sim.world);
                let late = sim.world.rng.range(0, plan.safety_ns * 2 / 3);
                sim.add(Box::new(player), late);
            }
        }
        if plan.operators {
            sim.add(Box::new(Operator::new(&channel.name)), SECOND);
        }
        if plan.vandals {
            let vandal = Vandal::new(&channel.name, channel.tracks[0].spec);
            sim.add(Box::new(vandal), SECOND);
        }
    }
    if plan.abusers {
        let names = plan
            .channels
            .iter()
            .map(|channel| channel.name.clone())
            .collect();
        sim.add(Box::new(Abuser::new(names)), SECOND);
    }
}

/// Faults end; three target durations later every player is at the live edge.
fn heal(sim: &mut Sim) {
    sim.world.faulty = false;
    sim.world.note(format_args!("heal"));
    sim.tell(|| Signal::Heal);
    let channels = sim.world.plan.channels.clone();
    for (index, channel) in channels.iter().enumerate() {
        let player = Player::new(index, &channel.name, Style::LowLatency, &mut sim.world);
        sim.add(Box::new(player), SECOND);
    }
    let target_ns = |name: &str| sim.world.checks.target_s(name).unwrap_or(4) * SECOND;
    let slowest = channels
        .iter()
        .map(|channel| target_ns(&channel.name))
        .max()
        .unwrap_or(0);
    // An encoder waits up to 1.5 s before it starts and up to a segment for
    // its grid, and what it brings first may repeat up to three target
    // durations that were published ahead of time; then the three run.
    let until = sim.world.now + 6 * slowest + sim.world.plan.segment_ns_max() + 2 * SECOND;
    sim.run(until);
    if sim.world.failure.is_none()
        && let Some(what) = sim
            .agents
            .iter()
            .find_map(|agent| agent.complaint(&sim.world))
    {
        sim.world.fail(format!("no life after healing: {what}"));
    }
    let told = |channel: &plan::ChannelPlan| {
        !(channel.healthy && channel.cues) || sim.world.checks.date_ranges.has_break(&channel.name)
    };
    if sim.world.failure.is_none()
        && let Some(channel) = channels.iter().find(|channel| !told(channel))
    {
        let what = format!("no break of {} was shown", channel.name);
        sim.world.fail(what);
    }
    if sim.world.failure.is_none()
        && let Some(what) = sim.world.unheard()
    {
        sim.world.fail(what);
    }
}

/// The programme of every channel ends: who waits is released, and what is
/// listed stays as it is.
fn end(sim: &mut Sim) {
    sim.tell(|| Signal::Over);
    sim.world.checks.reload.punctual.clear();
    if sim.world.plan.settings.policy.fill_gaps {
        // Until the end is told, gaps follow on the last media; a list without
        // parts doesn't show where in a segment they begin.
        let channels = 0..sim.world.plan.channels.len();
        channels.for_each(|channel| sim.world.ledger.trouble(channel));
    }
    sim.run(sim.world.now + SECOND);
    for channel in sim.world.plan.channels.clone() {
        let status = sim.world.end_channel(&channel.name);
        if status != Some(200) {
            let name = &channel.name;
            sim.world.fail(format!("the end of {name} gets {status:?}"));
        }
    }
    sim.run(sim.world.now + 3 * SECOND);
    sim.world.demand_ends();
}

/// Everybody leaves; nothing may be left of them. Then the origin drains.
fn finish(sim: &mut Sim) {
    let targets = sim.world.plan.channels.iter();
    let slowest = targets
        .filter_map(|channel| sim.world.checks.target_s(&channel.name))
        .max();
    if sim.world.plan.seed.is_multiple_of(2) {
        sim.tell(|| Signal::Leave);
        sim.world.checks.reload.punctual.clear();
        sim.run(sim.world.now + SECOND);
        let parked: u64 = sim
            .world
            .gather()
            .values()
            .map(|report| report.counters.parked)
            .sum();
        if parked != 0 {
            sim.world
                .fail(format!("{parked} requests are parked after all have left"));
        }
    }
    sim.world.draining = true;
    sim.world.checks.reload.draining = true;
    sim.world.drain();
    sim.run(sim.world.now + HOLD_TARGETS * slowest.unwrap_or(4) * SECOND + SLACK_NS);
    let world = &mut sim.world;
    if let Some(shard) = world.origin.drained().iter().position(|drained| !drained) {
        world.fail(format!("shard {shard} isn't drained"));
    }
    let parked: u64 = world
        .gather()
        .values()
        .map(|report| report.counters.parked)
        .sum();
    if parked != 0 {
        world.fail(format!("{parked} requests are parked after the drain"));
    }
}
