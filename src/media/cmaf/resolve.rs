//! From a chunk as it came to one chunk a track, with every default applied.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::moof::{self, Place};
use super::write::NewChunk;
use super::{
    Chunk, DataBase, Fragment, Header, Kind, ProducerTime, Sample, SampleDefaults, TrackChunk,
};
use crate::media::bmff::{Error, ErrorKind, FourCc, Reader};

/// The chunks of the tracks in `chunk`, each with its index in `header.tracks`,
/// in the order of their trafs. A fragment without samples gives no chunk.
///
/// A chunk of one track whose data is addressed from its moof is passed through
/// untouched, sharing memory. Others (muxed tracks, `base_data_offset`, no
/// `default-base-is-moof`) are written anew with a moof and an mdat for each
/// track. styp then goes to every track, prft to the track it names, and the
/// rest of the prefix, emsg first of all, to the video tracks of the chunk or,
/// when there are none, to its first track.
pub fn resolve(
    chunk: &Chunk,
    header: &Header,
) -> Result<SmallVec<[(usize, TrackChunk); 1]>, Error> {
    let indexes = track_indexes(chunk, header)?;
    let defaults = |at: usize| chunk.fragments[at].defaults(&header.tracks[indexes[at]].defaults);
    let places = moof::places(&chunk.fragments, chunk.moof_at, |at| {
        Some(defaults(at).size)
    });
    let places = places
        .filter(|places| all_inside(chunk, places))
        .ok_or_else(|| {
            Error::new(chunk.moof_at, ErrorKind::SamplesOutsideMdat).inside(FourCc(*b"moof"))
        })?;

    let as_it_came = chunk.fragments.len() == 1 && chunk.fragments[0].base == DataBase::Moof;
    let has_video = indexes
        .iter()
        .any(|index| header.tracks[*index].kind == Kind::Video);
    let mut out = SmallVec::new();
    for (at, fragment) in chunk.fragments.iter().enumerate() {
        let samples = samples(fragment, defaults(at));
        if samples.is_empty() {
            continue;
        }
        let mut track = describe(chunk, fragment, samples)?;
        if !as_it_came {
            let is_video = header.tracks[indexes[at]].kind == Kind::Video;
            let takes_events = if has_video { is_video } else { at == 0 };
            track.bytes = rewrite(chunk, fragment, &places[at], takes_events, &track)?;
        }
        out.push((indexes[at], track));
    }
    Ok(out)
}

/// Where the media of each run lies in the bytes of its chunk.
pub(super) fn media_ranges(chunk: &Chunk, places: &[Place]) -> SmallVec<[Range<usize>; 1]> {
    let filled = places.iter().filter(|place| place.len > 0);
    let range = |place: &Place| {
        let from = chunk.prefix_len + place.from as usize;
        from..from + place.len as usize
    };
    filled.map(range).collect()
}

/// Whether all media is in mdat and no byte of it is counted so often that a
/// copy would be larger than its source.
pub(super) fn all_inside(chunk: &Chunk, places: &[SmallVec<[Place; 1]>]) -> bool {
    let first = (chunk.payload_from - chunk.prefix_len) as i64;
    let end = (chunk.bytes.len() - chunk.prefix_len) as i64;
    let mut left = end - first;
    places
        .iter()
        .flatten()
        .filter(|place| place.len > 0)
        .all(|place| {
            left = left.saturating_sub(place.len);
            place.from >= first && place.from.saturating_add(place.len) <= end && left >= 0
        })
}

/// For every fragment the index of its track in the header.
fn track_indexes(chunk: &Chunk, header: &Header) -> Result<SmallVec<[usize; 8]>, Error> {
    let mut indexes: SmallVec<[usize; 8]> = SmallVec::new();
    for fragment in &chunk.fragments {
        let id = fragment.track_id;
        let error = |kind| {
            let error = Error::new(fragment.at, kind);
            error.inside(FourCc(*b"traf")).inside(FourCc(*b"moof"))
        };
        let index = header.tracks.iter().position(|track| track.track_id == id);
        let index = index.ok_or_else(|| error(ErrorKind::UnknownTrack(id)))?;
        if indexes.contains(&index) {
            return Err(error(ErrorKind::TwoFragments(id)));
        }
        indexes.push(index);
    }
    Ok(indexes)
}

/// All samples of a fragment. Flags of a sample come from the trun itself, else
/// for the first sample from its `first_sample_flags`, else from the defaults
/// (ISO/IEC 14496-12 section 8.8.8).
fn samples(fragment: &Fragment, defaults: SampleDefaults) -> Vec<Sample> {
    let count = fragment.runs.iter().map(|run| run.samples.len()).sum();
    let mut out = Vec::with_capacity(count);
    for run in &fragment.runs {
        for (at, sample) in run.samples.iter().enumerate() {
            let first_flags = if at == 0 { run.first_flags } else { None };
            out.push(Sample {
                duration: if run.has_durations {
                    sample.duration
                } else {
                    defaults.duration
                },
                size: if run.has_sizes {
                    sample.size
                } else {
                    defaults.size
                },
                flags: if run.has_flags {
                    sample.flags
                } else {
                    first_flags.unwrap_or(defaults.flags)
                },
                cts: sample.cts,
            });
        }
    }
    out
}

fn describe(chunk: &Chunk, fragment: &Fragment, samples: Vec<Sample>) -> Result<TrackChunk, Error> {
    let (duration, presentation_shift) = extent(&samples);
    if duration == 0 {
        let error = Error::new(fragment.at, ErrorKind::NoDuration);
        return Err(error.inside(FourCc(*b"traf")).inside(FourCc(*b"moof")));
    }
    Ok(TrackChunk {
        bytes: chunk.bytes.clone(),
        at: chunk.at,
        decode_time: fragment.decode_time,
        wraps: fragment.wraps,
        duration,
        presentation_shift,
        samples,
        styp: chunk.styp,
        last: chunk.last,
        slate: chunk.slate,
        producer_time: producer_time(chunk, fragment.track_id),
    })
}

/// The sum of the durations, and the least composition time counted from the
/// decode time of the first sample.
pub(super) fn extent(samples: &[Sample]) -> (u64, i64) {
    let mut decode = 0u64;
    let mut least = i64::MAX;
    for sample in samples {
        least = least.min(decode as i64 + i64::from(sample.cts));
        decode += u64::from(sample.duration);
    }
    (decode, least)
}

/// The first prft that names the track.
fn producer_time(chunk: &Chunk, track_id: u32) -> Option<ProducerTime> {
    let first = chunk.producer_time?;
    if first.track_id == track_id {
        return Some(first);
    }
    let mut found = None;
    let _ = prefix(chunk).each(|child| {
        if child.name == *b"prft" && found.is_none() {
            found = ProducerTime::read(child.payload)
                .ok()
                .filter(|time| time.track_id == track_id);
        }
        Ok(())
    });
    found
}

fn prefix(chunk: &Chunk) -> Reader<'_> {
    Reader::new(&chunk.bytes[..chunk.prefix_len], chunk.at)
}

/// The chunk of one track alone.
fn rewrite(
    chunk: &Chunk,
    fragment: &Fragment,
    places: &[Place],
    takes_events: bool,
    track: &TrackChunk,
) -> Result<Bytes, Error> {
    let mut own_prefix = Vec::new();
    prefix(chunk).each(|child| {
        let keep = match &child.name.0 {
            b"styp" => true,
            b"prft" => ProducerTime::read(child.payload)?.track_id == fragment.track_id,
            b"free" | b"skip" => false,
            _ => takes_events,
        };
        if keep {
            own_prefix.extend_from_slice(child.bytes);
        }
        Ok(())
    })?;
    let mut extras: SmallVec<[&[u8]; 4]> = SmallVec::new();
    for extra in &fragment.extras {
        if extra.name == *b"saio" {
            // Its offsets point into the file as it was.
            let error = Error::new(fragment.at, ErrorKind::Unsplittable(extra.name));
            return Err(error.inside(FourCc(*b"traf")).inside(FourCc(*b"moof")));
        }
        let from = chunk.prefix_len + extra.from;
        extras.push(&chunk.bytes[from..from + extra.len]);
    }
    let new = NewChunk {
        prefix: &own_prefix,
        sequence_number: chunk.sequence_number,
        track_id: fragment.track_id,
        description_index: fragment.description_index,
        decode_time: fragment.decode_time,
        wraps: fragment.wraps,
        samples: &track.samples,
        extras: &extras,
        media: &media_ranges(chunk, places),
        source: &chunk.bytes,
    };
    Ok(new.write())
}
