//! What is sent of a segment while it grows: what there is, then every chunk by
//! itself and as soon as it has come; and it breaks off for a reason alone.

use crate::checks::Live;
use crate::cmaf::payload;
use crate::cmaf::read::{self, Chunk};
use crate::origin::Exchange;
use crate::plan::Mode;
use crate::world::{MS, World};

/// What connections and turns may take of the time from an encoder to a reader
/// on the same core, in ns.
const WAY_NS: u64 = 2 * MS;

impl World {
    /// More of a segment was sent by a shard to who reads it as it grows.
    pub fn judge_growth(&mut self, (opened, line): (u64, &str), data: &[u8], first: bool) {
        let verdict = read::chunks(data).and_then(|chunks| match &chunks[..] {
            [] => Err("nothing".to_owned()),
            _ if first => Ok(()),
            [chunk] => self.is_prompt(opened, chunk),
            chunks => Err(format!("{} chunks in one flush", chunks.len())),
        });
        self.judge(verdict.map_err(|error| format!("{line}: {error}")));
    }

    /// A response was broken off.
    pub fn judge_break(&mut self, exchange: &Exchange) {
        let live = exchange.get_target().and_then(Live::of);
        let name = live.map_or("", |live| live.channel);
        if !self.draining && self.checks.reload.punctual.contains(name) {
            self.fail(format!("{} is broken off without need", exchange.line));
        }
    }

    fn is_prompt(&self, opened: u64, chunk: &Chunk) -> Result<(), String> {
        let sample = chunk.samples.first().ok_or("a chunk without samples")?;
        let stamp = payload::read(&sample.payload)?;
        let (channel, track) = (usize::from(stamp.channel), usize::from(stamp.track));
        let plan = &self.plan.channels[channel];
        // A letter that was lost is made good by the part.
        let lost = !self.origin.overflowed.is_empty();
        if lost || plan.mode == Mode::Whole || !self.checks.reload.punctual.contains(&plan.name) {
            return Ok(());
        }
        let session = self.ledger.session(channel, track, stamp.session);
        let mut sent = session.into_iter().flat_map(|session| &session.chunks);
        let sent = sent.rfind(|(first, _)| **first <= stamp.number);
        let (_, sent) = sent.ok_or_else(|| format!("no chunk holds {stamp:?}"))?;
        // The first reader on a core asks for chunks, and then gets those of the
        // part under way: there and back by mail.
        let way_us = plan.quality.delay_us_max + 2 * self.plan.mail_delay_us;
        let way_ns = WAY_NS + way_us * 1000;
        let age_ns = self.now - sent.at.max(opened);
        if age_ns <= way_ns {
            return Ok(());
        }
        Err(format!("{} ms after it was sent: {stamp:?}", age_ns / MS))
    }
}
