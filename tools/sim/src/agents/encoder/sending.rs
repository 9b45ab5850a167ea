//! Chunks made and put on the wire in the manner of the encoder.

use crate::agents::encoder::Encoder;
use crate::client::http_chunk;
use crate::cmaf::Sample;
use crate::cmaf::write::{Cue, Fragment, Prefix, chunk};
use crate::net::ConnId;
use crate::plan::{Mode, Styp};
use crate::world::World;

const SEGMENT_BRANDS: &[&[u8; 4]] = &[b"cmfs", b"msdh"];
const CHUNK_BRANDS: &[&[u8; 4]] = &[b"cmfl"];

impl Encoder {
    /// The next chunk without taking it.
    pub(super) fn peek_chunk(&self, index: usize) -> Vec<u8> {
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
                cue: self.cue(index, fresh, key.0),
            },
            &fragments,
        )
    }

    /// What the first chunk of a segment announces for the next one: every
    /// sixth a break, for three.
    fn cue(&self, index: usize, fresh: bool, segment: u64) -> Option<Cue> {
        let run = &self.uplinks[index].runs[0];
        let out = segment % 6 == 1;
        if !self.plan.cues || !fresh || !(out || segment % 6 == 4) {
            return None;
        }
        let grid = &self.plan.grid;
        let ticks = u128::from(grid.segment_frames * grid.frame_ticks);
        let ticks = ticks * u128::from(run.plan.spec.timescale) / u128::from(grid.timescale);
        Some(Cue {
            at: run.decode_time(run.next) + ticks as u64,
            event_id: (segment / 6 % 3) as u32,
            out,
        })
    }

    /// Takes the next chunk and records it.
    pub(super) fn make_chunk(&mut self, world: &mut World, index: usize) -> Vec<u8> {
        let bytes = self.peek_chunk(index);
        let muxed = self.plan.mode == Mode::Muxed;
        let uplink = &mut self.uplinks[index];
        let (ends, _) = uplink.next_chunk(&self.plan);
        uplink.sequence += 1;
        for (run, end) in uplink.runs.iter_mut().zip(ends) {
            if end > run.next {
                let (count, time) = (end - run.next, run.decode_time(run.next));
                let whole = (!muxed).then_some(bytes.as_slice());
                let of = (self.channel, run.index);
                world
                    .ledger
                    .sent(world.now, of, (run.next, count), time, whole);
                run.next = end;
            }
        }
        bytes
    }

    /// Sends a chunk that has been taken; ends the segment with its last one.
    pub(super) fn send_chunk(&mut self, world: &mut World, index: usize, bytes: &[u8]) {
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
    pub(super) fn send_media(&mut self, world: &mut World, index: usize, bytes: &[u8]) {
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
    pub(super) fn end_body(&mut self, world: &mut World, index: usize) {
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
    pub(super) fn ready(&mut self, world: &mut World, index: usize) -> ConnId {
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
}
