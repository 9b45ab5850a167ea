//! Many channels at once: encoders in one thread, each in step with the wall
//! clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::media::{Shape, Track};
use crate::push::{Pusher, Upload, wall_us};

const VIDEO: &[u8] = include_bytes!("../../../fixtures/demo/video-270p.cmfv");
const SOUND: &[u8] = include_bytes!("../../../fixtures/demo/audio.cmfa");
/// Chunks of a second, of the video.
const CHUNKS_A_SECOND: usize = 5;
/// What the sound takes of a ladder's bit rate.
const SOUND_KBPS: usize = 70;
/// An encoder that lost its origin, or is restarted, comes back after this.
const AWAY_US: u64 = 1_000_000;
/// For what was late because all began at once.
const SETTLE_US: u64 = 1_000_000;

/// What encoders do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The origin.
    pub to: SocketAddr,
    /// Channels are called this and a number.
    pub prefix: String,
    /// How many.
    pub channels: usize,
    /// Tracks of each: video renditions and a sound track.
    pub tracks: usize,
    /// Bit rate of each channel, all tracks together.
    pub kbps: usize,
    /// The token of encoders, if the origin wants one.
    pub token: Option<String>,
    /// How long.
    pub seconds: u64,
    /// Each encoder is torn down and started again this often.
    pub restart_s: Option<u64>,
    /// Media that is sent at once when an encoder starts for the first time.
    pub head_start: Duration,
}

/// What encoders have done.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Uploads under way.
    pub uploads: usize,
    /// Chunks written.
    pub chunks: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Encoders torn down and started again.
    pub restarts: u64,
    /// Uploads that broke, by what went wrong.
    pub errors: BTreeMap<String, u64>,
    /// From when a chunk was due to when it was written, once all uploads have
    /// begun.
    pub late: Histogram,
    /// When lateness counts from, in microseconds since 1970.
    settled_us: Option<u64>,
}

/// One track of one channel.
struct Encoder {
    upload: Upload,
    pusher: Option<Pusher>,
    /// When its channel is restarted next.
    restart_us: u64,
}

/// Pushes until the plan ends; tells what was done so far once a second.
pub fn run(plan: &Plan, mut report: impl FnMut(&Counts)) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let start_us = wall_us();
    let end_us = start_us + plan.seconds * 1_000_000;
    let mut encoders = encoders(plan, start_us)?;
    let mut due: BinaryHeap<_> = (0..encoders.len())
        .map(|index| Reverse((start_us, index)))
        .collect();
    let mut report_us = start_us + 1_000_000;
    while let Some(Reverse((at_us, index))) = due.pop() {
        let now_us = wall_us();
        if now_us >= end_us {
            break;
        }
        if now_us >= report_us {
            report(&counts);
            report_us = now_us + 1_000_000;
        }
        if at_us > now_us {
            std::thread::sleep(Duration::from_micros(at_us - now_us));
        }
        let next_us = match encoders[index].turn(&mut counts, at_us, plan.restart_s) {
            Ok(next_us) => next_us,
            Err(e) => {
                if encoders[index].pusher.take().is_some() {
                    counts.uploads -= 1;
                }
                *counts.errors.entry(e.kind().to_string()).or_default() += 1;
                wall_us() + AWAY_US
            }
        };
        if counts.uploads == encoders.len() && counts.settled_us.is_none() {
            counts.settled_us = Some(wall_us() + SETTLE_US);
        }
        due.push(Reverse((next_us, index)));
    }
    for encoder in encoders {
        if let Some(Err(e)) = encoder.pusher.map(Pusher::finish) {
            *counts.errors.entry(e.kind().to_string()).or_default() += 1;
        }
    }
    Ok(counts)
}

impl Encoder {
    /// Does what is due at `at_us`; when it is to be called again.
    fn turn(&mut self, counts: &mut Counts, at_us: u64, restart_s: Option<u64>) -> io::Result<u64> {
        let Some(pusher) = &mut self.pusher else {
            let pusher = Pusher::start(self.upload.clone())?;
            // What comes later is live.
            self.upload.head_start = Duration::ZERO;
            counts.uploads += 1;
            let next_us = pusher.due_us();
            self.pusher = Some(pusher);
            return Ok(next_us);
        };
        if let Some(every_s) = restart_s
            && at_us >= self.restart_us
        {
            // Encoders crash more often than they say goodbye.
            self.pusher = None;
            self.restart_us = at_us + every_s * 1_000_000;
            counts.uploads -= 1;
            counts.restarts += 1;
            return Ok(at_us + AWAY_US);
        }
        let bytes = pusher.next_bytes();
        pusher.push()?;
        counts.chunks += 1;
        counts.bytes += bytes as u64;
        if counts
            .settled_us
            .is_some_and(|settled_us| at_us >= settled_us)
        {
            counts.late.add(wall_us().saturating_sub(at_us));
        }
        Ok(pusher.due_us())
    }
}

fn encoders(plan: &Plan, start_us: u64) -> Result<Vec<Encoder>, String> {
    let ladder = ladder(plan.tracks, plan.kbps)?;
    let spread_us = 1_000_000 / CHUNKS_A_SECOND as u64;
    let mut encoders = Vec::new();
    for channel in 0..plan.channels {
        let share = |of_us: u64| of_us * channel as u64 / plan.channels as u64;
        let every_us = plan.restart_s.unwrap_or(0) * 1_000_000;
        for (file, track) in &ladder {
            encoders.push(Encoder {
                upload: Upload {
                    to: plan.to,
                    channel: format!("{}{channel}", plan.prefix),
                    file: file.clone(),
                    token: plan.token.clone(),
                    track: Arc::clone(track),
                    head_start: plan.head_start,
                    phase_us: share(spread_us),
                    dated: true,
                },
                pusher: None,
                restart_us: start_us + every_us / 2 + share(every_us),
            });
        }
    }
    Ok(encoders)
}

/// The tracks of a channel and the names of their files. Each video rendition
/// has half the bit rate of the one before.
pub fn ladder(tracks: usize, kbps: usize) -> Result<Vec<(String, Arc<Track>)>, String> {
    if !(1..=8).contains(&tracks) {
        return Err("a channel has one to eight tracks".to_owned());
    }
    let videos = (tracks - 1).max(1);
    let video_kbps = kbps.saturating_sub(if tracks > 1 { SOUND_KBPS } else { 0 });
    let shares = (1usize << videos) - 1;
    let mut ladder = Vec::new();
    for index in 0..videos {
        let kbps = (video_kbps << (videos - 1 - index)) / shares;
        let shape = Shape {
            chunk_bytes: kbps * 1000 / 8 / CHUNKS_A_SECOND,
            slower: 1,
        };
        let track = Track::parse(VIDEO, shape).ok_or("the bundled video is broken")?;
        ladder.push((format!("v{index}.cmfv"), Arc::new(track)));
    }
    if tracks > 1 {
        let shape = Shape {
            chunk_bytes: 0,
            slower: 1,
        };
        let track = Track::parse(SOUND, shape).ok_or("the bundled sound is broken")?;
        ladder.push(("a.cmfa".to_owned(), Arc::new(track)));
    }
    Ok(ladder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_has_the_bit_rate_asked_for() {
        let ladder = ladder(5, 5_000).unwrap();
        let names: Vec<&str> = ladder.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["v0.cmfv", "v1.cmfv", "v2.cmfv", "v3.cmfv", "a.cmfa"]
        );
        let of_second = |track: &Track| -> f64 {
            let bytes: usize = (0..80).map(|index| track.chunk_bytes(index)).sum();
            bytes as f64 * 8.0 / track.end_us(79) as f64 * 1000.0
        };
        let all: f64 = ladder.iter().map(|(_, track)| of_second(track)).sum();
        assert!((4_900.0..5_100.0).contains(&all), "{all} kbit/s");
        assert!(super::ladder(0, 1).is_err() && super::ladder(9, 1).is_err());
    }

    #[test]
    fn channels_neither_push_nor_restart_at_once() {
        let plan = Plan {
            to: SocketAddr::from(([127, 0, 0, 1], 1)),
            prefix: "c".to_owned(),
            channels: 4,
            tracks: 2,
            kbps: 500,
            token: None,
            seconds: 1,
            restart_s: Some(60),
            head_start: Duration::ZERO,
        };
        let all = encoders(&plan, 0).unwrap();
        let phases: Vec<u64> = all.iter().map(|one| one.upload.phase_us).collect();
        assert_eq!(
            phases,
            [0, 0, 50_000, 50_000, 100_000, 100_000, 150_000, 150_000]
        );
        let restarts: Vec<u64> = all.iter().map(|one| one.restart_us / 1_000_000).collect();
        assert_eq!(restarts, [30, 30, 45, 45, 60, 60, 75, 75]);
    }
}
