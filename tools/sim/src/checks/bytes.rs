//! Bytes out are bytes in: every sample delivered is one that was sent, in
//! order, none twice, none missing but those that a fault excuses.

use std::collections::BTreeMap;

use crate::cmaf::payload::{self, Stamp};
use crate::cmaf::read::{self, Chunk};
use crate::ledger::Ledger;
use crate::m3u8::Segment;
use crate::prng::{FNV_START, fnv};

/// Printed durations are rounded, and media time is cut in ticks.
const DURATION_ROUNDING_US: u64 = 30;
/// The dates of two tracks may differ by their rounding.
const ANCHOR_ROUNDING_US: i64 = 2500;

/// See the module's head.
#[derive(Default)]
pub struct Bytes {
    tracks: BTreeMap<String, TrackModel>,
    /// Wall clock at media time zero, by channel, session and discontinuity.
    anchors: BTreeMap<(u16, u32, u64), i64>,
    /// What is late is left out where a gap is listed in its place.
    pub fills: bool,
}

#[derive(Default)]
struct TrackModel {
    /// Channel and track of its samples.
    whose: Option<(u16, u16)>,
    last: Option<Stamp>,
    next_msn: Option<u64>,
    /// Samples after `last` were not looked at.
    unseen: bool,
    /// A gap is listed after `last`.
    gap: bool,
    segments: u64,
}

/// A segment as the auditor fetched it.
#[derive(Debug)]
pub struct Fetched<'a> {
    /// The playlist it stands in.
    pub playlist: &'a str,
    /// As listed.
    pub segment: &'a Segment,
    /// Its number of discontinuities so far.
    pub discontinuity: u64,
    /// Its bytes.
    pub body: &'a [u8],
    /// The bytes of its listed parts, gaps as nothing.
    pub parts: Vec<Vec<u8>>,
}

impl Bytes {
    /// Segments that were compared, over all tracks.
    pub fn segments(&self) -> u64 {
        self.tracks.values().map(|track| track.segments).sum()
    }

    /// Tracks of which a segment was compared.
    pub fn tracks(&self) -> u64 {
        self.tracks
            .values()
            .filter(|track| track.segments > 0)
            .count() as u64
    }

    /// A gap in place of a segment.
    pub fn gap(&mut self, playlist: &str, msn: u64) {
        let track = self.tracks.entry(playlist.to_owned()).or_default();
        (track.next_msn, track.gap) = (Some(msn + 1), true);
    }

    /// Segments came and went between two looks: what they held is unknown.
    pub fn unseen(&mut self, playlist: &str, next_msn: u64) {
        let track = self.tracks.entry(playlist.to_owned()).or_default();
        track.next_msn = Some(next_msn);
        track.unseen = true;
    }

    /// Judges the next segment of a track.
    pub fn judge(&mut self, ledger: &Ledger, fetched: &Fetched<'_>) -> Result<(), String> {
        let segment = fetched.segment;
        let joined: Vec<u8> = fetched.parts.concat();
        if !segment.parts.is_empty() && joined != fetched.body {
            return Err(format!(
                "the parts are {} bytes, not {}",
                joined.len(),
                fetched.body.len()
            ));
        }
        let chunks = read::chunks(fetched.body)?;
        let track = self.tracks.entry(fetched.playlist.to_owned()).or_default();
        if track.next_msn.is_some_and(|next| next != segment.msn) {
            return Err(format!("{} came after {:?}", segment.msn, track.next_msn));
        }
        track.next_msn = Some(segment.msn + 1);
        track.segments += 1;
        let mut ticks = 0;
        let mut first = None;
        for chunk in &chunks {
            let gap = std::mem::take(&mut track.gap);
            let late = (gap, self.fills);
            let (stamp, into) = track.chunk(ledger, fetched.body, chunk, late)?;
            let mut sent = origin_of(ledger, stamp)?;
            sent.decode_time += into;
            ticks += sent.ticks_of(chunk);
            first.get_or_insert((stamp, sent));
        }
        let Some((stamp, sent)) = first else {
            return Err("a segment without chunks".into());
        };
        let troubled = ledger.is_troubled(usize::from(stamp.channel));
        if !troubled && chunks[0].samples[0].sync == Some(false) {
            return Err("a segment that begins with a sample that isn't sync".into());
        }
        let media_us = (u128::from(ticks) * 1_000_000 / u128::from(sent.timescale)) as u64;
        // A gap part at the end of a segment lasts without having samples.
        let gaps = segment.parts.iter().any(|part| part.gap);
        track.gap = gaps;
        let mut from_gap = segment.parts.iter().skip_while(|part| !part.gap);
        if from_gap.any(|part| !part.gap) {
            return Err("media behind a gap in one segment".into());
        }
        if !troubled && !gaps && media_us.abs_diff(segment.duration_us) > DURATION_ROUNDING_US {
            return Err(format!(
                "{media_us} us of media, {} us listed",
                segment.duration_us
            ));
        }
        for (part, body) in segment
            .parts
            .iter()
            .zip(&fetched.parts)
            .filter(|(part, _)| !part.gap)
        {
            let sync = read::chunks(body)?
                .first()
                .and_then(|chunk| chunk.samples[0].sync);
            if part.independent && sync == Some(false) {
                return Err(format!("{} says INDEPENDENT and isn't", part.uri));
            }
        }
        if !troubled && let Some(wall_us) = segment.wall_us {
            let at = (i128::from(sent.decode_time) * 1_000_000 / i128::from(sent.timescale)) as i64;
            let key = (stamp.channel, stamp.session, fetched.discontinuity);
            let anchor = *self.anchors.entry(key).or_insert(wall_us - at);
            if (wall_us - at - anchor).abs() > ANCHOR_ROUNDING_US {
                return Err(format!(
                    "dated {} us off the other media",
                    wall_us - at - anchor
                ));
            }
        }
        Ok(())
    }
}

/// What the ledger says of the sample a chunk begins with.
struct Origin {
    /// Its decode time.
    decode_time: u64,
    /// Samples, length and hash of the sent chunk, if the sample began one.
    whole: Option<(u64, usize, u64)>,
    sample_ticks: u64,
    timescale: u32,
    lasts: bool,
}

impl Origin {
    /// How long a chunk of such samples lasts.
    fn ticks_of(&self, chunk: &Chunk) -> u64 {
        let own = chunk.samples.iter().map(|sample| match sample.duration {
            Some(ticks) if self.lasts => u64::from(ticks),
            _ => self.sample_ticks,
        });
        own.sum()
    }
}

fn origin_of(ledger: &Ledger, stamp: Stamp) -> Result<Origin, String> {
    let (channel, track) = (usize::from(stamp.channel), usize::from(stamp.track));
    let session = ledger.session(channel, track, stamp.session);
    let session = session.ok_or_else(|| format!("{stamp:?} is of no session"))?;
    let sent = session.chunks.range(..=stamp.number).next_back();
    let (first, sent) = sent
        .filter(|(first, sent)| stamp.number < *first + sent.count)
        .ok_or_else(|| format!("no chunk that was sent holds {stamp:?}"))?;
    let sample_ticks = u64::from(session.sample_ticks);
    let begins = *first == stamp.number;
    Ok(Origin {
        decode_time: sent.decode_time + (stamp.number - first) * sample_ticks,
        whole: sent
            .bytes
            .filter(|_| begins)
            .map(|(len, hash)| (sent.count, len, hash)),
        sample_ticks,
        timescale: session.timescale,
        lasts: session.lasts,
    })
}

impl TrackModel {
    /// Judges the next chunk; returns the stamp of its first sample, and how far
    /// into that sample it begins. Where a gap is listed before it and gaps are
    /// filled, as they always are for text, what was late is left out.
    fn chunk(
        &mut self,
        ledger: &Ledger,
        body: &[u8],
        chunk: &Chunk,
        (gap, fills): (bool, bool),
    ) -> Result<(Stamp, u64), String> {
        let stamps: Result<Vec<Stamp>, String> = chunk
            .samples
            .iter()
            .map(|sample| payload::read(&sample.payload))
            .collect();
        let stamps = stamps?;
        let first = *stamps.first().ok_or("a chunk without samples")?;
        let origin = origin_of(ledger, first)?;
        // A chunk that was cut to fit a part has other boxes around its samples.
        if let Some((count, len, hash)) = origin.whole
            && count == stamps.len() as u64
            && origin.ticks_of(chunk) == count * origin.sample_ticks
        {
            let own = &body[chunk.at..chunk.at + chunk.len];
            if (own.len(), fnv(FNV_START, own)) != (len, hash) {
                return Err(format!(
                    "the chunk of {first:?} isn't the {len} bytes that were sent"
                ));
            }
        }
        let decode_time = origin.decode_time;
        let into = chunk.decode_time.wrapping_sub(decode_time) & 0xffff_ffff;
        let latest = if origin.lasts { origin.sample_ticks } else { 1 };
        let wide = chunk.decode_time >> 32;
        if into >= latest || wide != 0 && wide != (decode_time + into) >> 32 {
            return Err(format!(
                "{first:?} is at {}, not {decode_time}",
                chunk.decode_time
            ));
        }
        for (index, stamp) in stamps.into_iter().enumerate() {
            let late = gap && (fills || origin.lasts);
            self.sample(ledger, stamp, late && index == 0)?;
        }
        Ok((first, into))
    }

    fn sample(&mut self, ledger: &Ledger, stamp: Stamp, late: bool) -> Result<(), String> {
        let whose = (stamp.channel, stamp.track);
        if *self.whose.get_or_insert(whose) != whose {
            return Err(format!("{stamp:?} in the track of {:?}", self.whose));
        }
        let Some(last) = self.last.replace(stamp) else {
            return Ok(());
        };
        let (channel, track) = (usize::from(stamp.channel), usize::from(stamp.track));
        let session = ledger.session(channel, track, stamp.session);
        if stamp == last && session.is_some_and(|session| session.lasts) {
            return Ok(());
        }
        let end_of = |number: u32| {
            let session = ledger.session(channel, track, number)?;
            Some((session, session.newest.map_or(0, |(newest, _)| newest + 1)))
        };
        let (from, to) = match stamp.session.cmp(&last.session) {
            std::cmp::Ordering::Less => return Err(format!("{stamp:?} after {last:?}")),
            std::cmp::Ordering::Equal => (last.number + 1, stamp.number),
            std::cmp::Ordering::Greater => (
                last.number + 1,
                end_of(last.session).map_or(0, |(_, end)| end),
            ),
        };
        if std::mem::take(&mut self.unseen) && from <= to {
            return Ok(());
        }
        if from > to && stamp.session == last.session {
            return Err(format!("{stamp:?} after {last:?}"));
        }
        match end_of(last.session) {
            Some((session, _)) if late || session.excuses(from, to) => Ok(()),
            _ => Err(format!(
                "samples {from}..{to} of {last:?} are missing before {stamp:?}"
            )),
        }
    }
}
