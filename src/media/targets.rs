//! What a track shows of its encoder before anything is served: how long its
//! segments and chunks are. The channel's targets are settled from it, once.

use crate::limits;
use crate::media::channel::Targets;
use crate::media::cmaf::{Kind, TrackHeader};
use crate::media::fault::{Fault, FaultKind};
use crate::media::policy::Policy;
use crate::media::timeline::{Incoming, PART_SHARE_MIN, SHORTER_BY, SOURCE_SILENT_MS, Session};
use crate::time::{Mono, Now, Timescale, rescale_floor};

/// Chunks finer than this are merged into parts of [`DEFAULT_PART_US`].
const FINE_CHUNK_US: i64 = 200_000;
/// Part target where the encoder sends finer chunks and nothing is configured:
/// three of them behind the edge are 1.5 s, and a player asks twice a second.
const DEFAULT_PART_US: i64 = 500_000;

/// What came in before the targets were settled, in order.
#[derive(Debug)]
pub(crate) enum Early {
    /// A chunk and when it came.
    Chunk(Now, Box<Incoming>),
    /// The upload of one segment ended whole.
    SegmentEnd,
}

/// How a chunk lies against those that are held.
enum Lie {
    Next,
    /// Held already, or of another source than the one at work.
    Ignored,
    /// The source has started anew.
    Anew,
}

/// A track that is being watched.
#[derive(Debug, Default)]
pub(crate) struct Priming {
    pub(crate) early: Vec<Early>,
    bytes: u64,
    begins: Option<u64>,
    end: u64,
    chunk_ticks_max: u64,
    sample_ticks_max: u32,
    /// Session and arrival of the newest chunk, and decode time of the first.
    newest: Option<(Session, Mono)>,
    first_time: u64,
    /// Whole segments seen, and the longest of them.
    segments: u32,
    segment_ticks: u64,
    epoch: bool,
}

impl Priming {
    /// Takes in a chunk.
    pub(crate) fn chunk(
        &mut self,
        now: Now,
        header: &TrackHeader,
        policy: &Policy,
        incoming: Incoming,
    ) -> Result<(), Fault> {
        match self.lie(now, &incoming) {
            Lie::Next => {}
            Lie::Ignored => return Ok(()),
            Lie::Anew => *self = Self::default(),
        }
        let chunk = &incoming.chunk;
        if self.bytes + chunk.bytes.len() as u64 > limits::PRIMING_BYTES_MAX {
            let kind = FaultKind::Limit("media before the first whole segment");
            return Err(Fault::new(None, chunk.at, kind));
        }
        if self.begins.is_none() && header.kind == Kind::Video && !chunk.is_independent() {
            return Ok(());
        }
        let scale = header.timescale;
        if self.begins.is_none() {
            self.first_time = chunk.decode_time;
        }
        let begins = *self.begins.get_or_insert(chunk.decode_time);
        self.newest = Some((incoming.session, now.mono));
        let elapsed = chunk.decode_time - begins.min(chunk.decode_time);
        let shortest = ticks_of_ms(policy.segment_ms, scale);
        let due = elapsed + shortest / SHORTER_BY as u64 >= shortest;
        let ends = match header.kind {
            _ if incoming.one_segment => incoming.begins_segment && elapsed > 0,
            Kind::Video => due && chunk.is_independent(),
            // One chunk alone may be longer than a segment: it shows nothing
            // before the next.
            _ => elapsed > 0 && elapsed + chunk.duration / 2 >= shortest,
        };
        if ends {
            self.segment(elapsed, chunk.decode_time);
        }
        let wall_s = now.wall.seconds().max(0) as u64;
        self.epoch = (chunk.decode_time / u64::from(scale.get())).abs_diff(wall_s) < 86_400;
        self.end = chunk.decode_time + chunk.duration;
        self.chunk_ticks_max = self.chunk_ticks_max.max(chunk.duration);
        let longest = chunk.samples.iter().map(|sample| sample.duration).max();
        self.sample_ticks_max = self.sample_ticks_max.max(longest.unwrap_or(0));
        self.bytes += chunk.bytes.len() as u64;
        self.early.push(Early::Chunk(now, Box::new(incoming)));
        Ok(())
    }

    /// How a chunk lies against what is held.
    fn lie(&self, now: Now, incoming: &Incoming) -> Lie {
        let chunk = &incoming.chunk;
        let Some((source, at)) = self.newest else {
            return Lie::Next;
        };
        let other = incoming.session != source;
        let silent = now.mono.ms_since(at) >= SOURCE_SILENT_MS;
        let end = chunk.decode_time + chunk.duration;
        let repeats = chunk.decode_time >= self.first_time && end <= self.end;
        let follows = chunk.decode_time.abs_diff(self.end) <= chunk.duration;
        match (repeats, follows) {
            (true, _) if other && silent => Lie::Anew,
            (true, _) if other || incoming.one_segment => Lie::Ignored,
            (_, false) if other && !silent => Lie::Ignored,
            (_, false) => Lie::Anew,
            _ => Lie::Next,
        }
    }

    /// An upload ended whole. Where it was to bring one segment, this is its
    /// duration; one without an end in sight that ends early shows nothing.
    pub(crate) fn end_segment(&mut self) {
        let Some(begins) = self.begins else { return };
        let one_segment = self.early.iter().rev().find_map(|step| match step {
            Early::Chunk(_, incoming) => Some(incoming.one_segment),
            Early::SegmentEnd => None,
        });
        if self.end > begins {
            if one_segment == Some(true) {
                self.segment(self.end - begins, self.end);
            }
            self.early.push(Early::SegmentEnd);
        }
    }

    fn segment(&mut self, ticks: u64, next: u64) {
        self.segments += 1;
        self.segment_ticks = self.segment_ticks.max(ticks);
        self.begins = Some(next);
    }

    /// Whether enough was seen: a whole segment. Encoders on an epoch timeline
    /// make their first one short to hit the grid; they show a second.
    pub(crate) fn is_ready(&self) -> bool {
        self.segments >= if self.epoch { 2 } else { 1 }
    }

    /// Frames a second in thousandths, of video whose first chunk says so.
    pub(crate) fn frame_rate(&self, header: &TrackHeader) -> Option<u32> {
        let (_, first) = self.first()?;
        let sample = first.chunk.samples.first()?;
        let rate = (u64::from(header.timescale.get()) * 1000)
            .checked_div(u64::from(sample.duration))
            .filter(|_| header.kind == Kind::Video)?;
        u32::try_from(rate).ok()
    }

    /// Whether the track comes in parts of this length, if it is one whose
    /// samples last.
    pub(crate) fn is_in_parts(&self, header: &TrackHeader, part_us: u32) -> bool {
        !is_text(header) || us(self.chunk_ticks_max, header) <= i64::from(part_us)
    }

    /// Whether media has begun: it is worth waiting for the rest of a segment.
    pub(crate) fn has_begun(&self) -> bool {
        self.begins.is_some()
    }

    /// The first chunk held, and when it came.
    pub(crate) fn first(&self) -> Option<(Now, &Incoming)> {
        self.early.iter().find_map(|step| match step {
            Early::Chunk(now, incoming) => Some((*now, &**incoming)),
            Early::SegmentEnd => None,
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Duration of the longest segment, in ticks: of the whole ones, and of the
    /// one under way as far as it has come.
    pub(crate) fn segment_ticks(&self) -> u64 {
        let under_way = self.end.saturating_sub(self.begins.unwrap_or(self.end));
        let longest = self.segment_ticks.max(1);
        if self.is_ready() {
            longest
        } else {
            longest.max(under_way)
        }
    }
}

/// Whether samples of a track last as long as what they say: no chunk of it
/// tells how an encoder segments, and none need be there at all.
pub(crate) fn is_text(header: &TrackHeader) -> bool {
    matches!(header.kind, Kind::Text | Kind::Metadata)
}

/// Settles the targets of a channel from its tracks; those of text have a say
/// where there are no others.
pub(crate) fn settle<'a>(
    policy: &Policy,
    tracks: impl Iterator<Item = (&'a TrackHeader, &'a Priming)> + Clone,
) -> Targets {
    let only_text = tracks.clone().all(|(header, _)| is_text(header));
    let tracks = tracks.filter(move |(header, _)| only_text || !is_text(header));
    let segment_us = tracks
        .clone()
        .map(|(header, seen)| us(seen.segment_ticks(), header));
    let segment_us = segment_us.max().unwrap_or(1_000_000);
    // Up to a tenth of a second over a whole number is jitter, not a target.
    let segment_s = ((segment_us - 100_000).div_euclid(1_000_000) + 1).clamp(1, 3600);
    let part_us = match policy.part_ms {
        Some(ms) => Some(ms as i64 * 1000),
        None => learn_part_us(tracks.clone()),
    };
    let part_us = part_us.map(|us| whole_frames_us(us, tracks));
    let round = |us: i64| (us.min(i64::from(u32::MAX) - 10) as u32).div_ceil(10) * 10;
    Targets {
        segment_s: segment_s as u32,
        part_us: part_us.map(|us| round(us.min(segment_s * 1_000_000))),
        window_ms: policy.window_ms.max(6000 * segment_s as u64),
        part_addressing: policy.part_addressing,
    }
}

/// The longest chunk of the tracks that come in chunks; none if all come in
/// whole segments.
fn learn_part_us<'a>(tracks: impl Iterator<Item = (&'a TrackHeader, &'a Priming)>) -> Option<i64> {
    let chunked = tracks.filter(|(_, seen)| seen.chunk_ticks_max * 2 <= seen.segment_ticks());
    let longest = chunked
        .map(|(header, seen)| us(seen.chunk_ticks_max, header))
        .max()?;
    Some(if longest < FINE_CHUNK_US {
        DEFAULT_PART_US
    } else {
        longest
    })
}

/// Frame durations in use, in units of 1/120000 s: 23.976 to 120 frames a second.
const FRAMES_IN_USE: [i64; 10] = [5005, 5000, 4800, 4004, 4000, 2400, 2002, 2000, 1001, 1000];
const FRAMES_SCALE: u32 = 120_000;

/// `part_us`, raised to a whole number of frames where the frames that fit are
/// too short a part: 200 ms would hold 5 frames of 33.37 ms, 83 % of it, and
/// 200.2 ms holds 6. Where no video has come yet, it may come with any of the
/// frame rates in use; the target is settled for good.
fn whole_frames_us<'a>(
    part_us: i64,
    tracks: impl Iterator<Item = (&'a TrackHeader, &'a Priming)>,
) -> i64 {
    let seen = tracks.filter_map(|(header, seen)| {
        let frame = i64::from(seen.sample_ticks_max);
        (header.kind == Kind::Video && frame > 0).then_some((frame, header.timescale.get()))
    });
    let mut frames: Vec<_> = seen.collect();
    if frames.is_empty() {
        frames.extend(FRAMES_IN_USE.map(|frame| (frame, FRAMES_SCALE)));
    }
    let mut part_us = part_us;
    // Each step raises it for one frame rate, and may undo it for another.
    for _ in 0..frames.len() {
        let raised = frames.iter().map(|&frame| raised_us(part_us, frame));
        let highest = raised.max().unwrap_or(part_us);
        if highest == part_us {
            break;
        }
        part_us = highest;
    }
    part_us
}

/// `part_us`, or what one frame more takes if those that fit are too few.
fn raised_us(part_us: i64, (frame, scale): (i64, u32)) -> i64 {
    let ticks = rescale_floor(part_us, 1_000_000, scale);
    let fits = ticks / frame * frame;
    if fits * 100 >= ticks * PART_SHARE_MIN as i64 {
        part_us
    } else {
        -rescale_floor(-(fits + frame), scale, 1_000_000)
    }
}

/// Microseconds, rounded up.
fn us(ticks: u64, header: &TrackHeader) -> i64 {
    let ticks = i64::try_from(ticks).unwrap_or(i64::MAX / 2);
    -rescale_floor(-ticks, header.timescale.get(), 1_000_000)
}

fn ticks_of_ms(ms: u64, scale: Timescale) -> u64 {
    rescale_floor(ms as i64, 1000, scale.get()).max(1) as u64
}
