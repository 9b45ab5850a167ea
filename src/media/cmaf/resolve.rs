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
        let size = track.samples[0].size as usize;
        // A sample without bytes may be said to lie anywhere.
        track.first_sample_end = match places[at].iter().find(|place| place.len > 0) {
            Some(place) if size > 0 => chunk.prefix_len + place.from as usize + size,
            _ => chunk.payload_from,
        };
        if !as_it_came {
            let is_video = header.tracks[indexes[at]].kind == Kind::Video;
            let takes_events = if has_video { is_video } else { at == 0 };
            track.bytes = rewrite(chunk, fragment, &places[at], takes_events, &track)?;
            track.first_sample_end = first_sample_end(&track.bytes, &track.samples);
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
        first_sample_end: 0,
        styp: chunk.styp,
        last: chunk.last,
        slate: chunk.slate,
        producer_time: producer_time(chunk, fragment.track_id),
    })
}

/// Where the first sample ends in a chunk as [`NewChunk`] writes it: its media
/// comes last and has no hole.
pub(super) fn first_sample_end(bytes: &[u8], samples: &[Sample]) -> usize {
    let later = samples.iter().skip(1).map(|sample| sample.size as usize);
    bytes.len() - later.sum::<usize>()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::testing::{
        TrafBytes, TrakBytes, boxed, chunk, counting, header, header_bytes, moof, trun,
        video_chunk, words,
    };

    fn video() -> Header {
        header(&header_bytes(&[TrakBytes::video(1)]))
    }

    fn muxed() -> Header {
        header(&header_bytes(&[TrakBytes::audio(2), TrakBytes::video(1)]))
    }

    /// A chunk made with a data offset that is known only once it is built.
    fn with_mdat(build: impl Fn(u32) -> Vec<u8>, media: u32) -> Vec<u8> {
        let offset = build(0).len() as u32 + 8;
        [build(offset), boxed(b"mdat", &[&counting(media)])].concat()
    }

    fn flags(tfhd: &[u32], trun_flags: u32, fields: &[u32]) -> Vec<u32> {
        let build = |offset: u32| {
            let fields = [&[offset], fields].concat();
            let mut traf = TrafBytes::new(1, 0, &[&trun(trun_flags | 1, 3, &fields)]);
            traf.tfhd = [&[0x02_0000 | tfhd[0], 1], &tfhd[1..]].concat();
            moof(1, &[traf])
        };
        let tracks = resolve(&chunk(&with_mdat(build, 0)), &video()).unwrap();
        tracks[0]
            .1
            .samples
            .iter()
            .map(|sample| sample.flags)
            .collect()
    }

    #[test]
    fn iso_14496_12_section_8_8_8_flags_come_from_the_nearest_place() {
        assert_eq!(flags(&[0], 0, &[]), [0x0101_0000; 3], "trex");
        assert_eq!(flags(&[0x20, 5], 0, &[]), [5, 5, 5], "tfhd over trex");
        assert_eq!(
            flags(&[0x20, 5], 0x004, &[9]),
            [9, 5, 5],
            "the first sample over tfhd"
        );
        assert_eq!(flags(&[0], 0x004, &[9]), [9, 0x0101_0000, 0x0101_0000]);
        assert_eq!(
            flags(&[0x20, 5], 0x400, &[1, 2, 3]),
            [1, 2, 3],
            "trun over tfhd"
        );
        assert_eq!(
            flags(&[0x20, 5], 0x404, &[9, 1, 2, 3]),
            [1, 2, 3],
            "and over the first"
        );
    }

    #[test]
    fn a_chunk_of_one_track_is_passed_through() {
        let source = chunk(&video_chunk(900, &[4, 5]));
        let tracks = resolve(&source, &video()).unwrap();
        let (index, track) = &tracks[0];
        assert_eq!((tracks.len(), *index), (1, 0));
        assert_eq!(
            track.bytes.as_ptr(),
            source.bytes.as_ptr(),
            "no byte is copied"
        );
        assert_eq!(
            (track.decode_time, track.duration, track.wraps),
            (900, 6000, false)
        );
        let samples = &track.samples;
        assert_eq!(
            samples.iter().map(|sample| sample.size).collect::<Vec<_>>(),
            [4, 5]
        );
        assert!(track.is_independent() && !samples[1].is_sync());
    }

    #[test]
    fn presentation_begins_with_the_least_composition_time() {
        let build = |offset| {
            let fields = [offset, 3600, 7200, 0u32.wrapping_sub(6600)];
            moof(1, &[TrafBytes::new(1, 0, &[&trun(0x801, 3, &fields)])])
        };
        let tracks = resolve(&chunk(&with_mdat(build, 0)), &video()).unwrap();
        assert_eq!(
            tracks[0].1.presentation_shift,
            6000 - 6600,
            "of the third sample"
        );
    }

    /// Video in two runs around the audio, audio without an offset of its own.
    fn muxed_chunk() -> Vec<u8> {
        let prft = |id| boxed(b"prft", &[&words(&[0, id, 1 << 31, 0, 0])]);
        let build = |offset| {
            let runs = [
                trun(0x205, 1, &[offset, 0x0200_0000, 3]),
                trun(0x201, 1, &[offset + 7, 5]),
            ];
            let video = TrafBytes::new(1, 90_000, &[&runs.concat(), &boxed(b"sgpd", &[b"roll"])]);
            let audio = TrafBytes::new(2, 48_000, &[&trun(0x201, 2, &[offset + 3, 1, 3])]);
            moof(9, &[audio, video])
        };
        let styp = boxed(b"styp", &[b"cmfs", &words(&[0])]);
        let emsg = boxed(b"emsg", &[b"event"]);
        let free = boxed(b"free", &[b"pad"]);
        [styp, prft(2), prft(1), emsg, free, with_mdat(build, 12)].concat()
    }

    #[test]
    fn muxed_tracks_come_apart() {
        let tracks = resolve(&chunk(&muxed_chunk()), &muxed()).unwrap();
        let [(0, audio), (1, video)] = &tracks[..] else {
            panic!("{tracks:?}")
        };
        let media = |track: &TrackChunk| {
            let chunk = chunk(&track.bytes);
            chunk.bytes[chunk.payload_from..].to_vec()
        };
        assert_eq!(media(audio), [3, 4, 5, 6]);
        assert_eq!(media(video), [0, 1, 2, 7, 8, 9, 10, 11]);
        let boxes = |track: &TrackChunk| {
            let mut names = Vec::new();
            Reader::new(&track.bytes, 0)
                .each(|child| {
                    names.push(child.name.to_string());
                    Ok(())
                })
                .unwrap();
            names.join(" ")
        };
        assert_eq!(boxes(audio), "styp prft moof mdat");
        assert_eq!(
            boxes(video),
            "styp prft emsg moof mdat",
            "events go with the video"
        );
        assert_eq!(
            chunk(&video.bytes).fragments[0].extras[0].name,
            FourCc(*b"sgpd")
        );
        for track in [audio, video] {
            assert!(track.styp && track.producer_time.is_some());
            let again = chunk(&track.bytes);
            assert_eq!(again.producer_time, track.producer_time);
            let again = &resolve(&again, &muxed()).unwrap()[0].1;
            assert_eq!(
                (&again.samples, again.decode_time),
                (&track.samples, track.decode_time)
            );
        }
    }

    #[test]
    fn data_not_addressed_from_the_moof_is_written_anew() {
        let build = |offset| {
            let mut traf = TrafBytes::new(1, 7, &[&trun(0x201, 2, &[offset, 2, 3])]);
            traf.tfhd = vec![2, 1, 4];
            moof(1, &[traf])
        };
        let source = chunk(&with_mdat(build, 5));
        let track = &resolve(&source, &video()).unwrap()[0].1;
        let again = chunk(&track.bytes);
        assert_eq!(again.fragments[0].base, DataBase::Moof);
        assert_eq!(again.fragments[0].description_index, Some(4));
        assert_eq!(again.bytes[again.payload_from..], counting(5));

        // base_data_offset counts from the start of the body.
        let header = header_bytes(&[TrakBytes::video(1)]);
        let build = |offset| {
            let mut traf = TrafBytes::new(1, 7, &[&trun(0x201, 2, &[offset, 2, 3])]);
            traf.tfhd = vec![1, 1, 0, header.len() as u32];
            moof(1, &[traf])
        };
        let body = [header.clone(), with_mdat(build, 5)].concat();
        let track = &resolve(&chunk(&body), &video()).unwrap()[0].1;
        let again = chunk(&track.bytes);
        assert_eq!(again.fragments[0].base, DataBase::Moof);
        assert_eq!(again.bytes[again.payload_from..], counting(5));
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let failure =
            |body: &[u8], header: &Header| resolve(&chunk(body), header).unwrap_err().to_string();
        let two = [TrafBytes::new(1, 0, &[]), TrafBytes::new(5, 0, &[])];
        let body = [moof(1, &two), boxed(b"mdat", &[])].concat();
        let unknown = "byte 68, moof/traf: track 5 is not in the CMAF header";
        assert_eq!(failure(&body, &video()), unknown);
        let twice = [TrafBytes::new(1, 0, &[]), TrafBytes::new(1, 0, &[])];
        let body = [moof(1, &twice), boxed(b"mdat", &[])].concat();
        assert_eq!(
            failure(&body, &video()),
            "byte 68, moof/traf: a second fragment of track 1"
        );

        // 40 bytes of media by the default of trex, 5 bytes in mdat.
        let mut trak = TrakBytes::video(1);
        trak.trex[1] = 40;
        let header = header(&header_bytes(&[trak]));
        let build = |offset| moof(1, &[TrafBytes::new(1, 0, &[&trun(1, 1, &[offset])])]);
        let told = "byte 0, moof: samples lie outside mdat";
        assert_eq!(failure(&with_mdat(build, 5), &header), told);
        let build = |offset: u32| {
            moof(
                1,
                &[TrafBytes::new(
                    1,
                    0,
                    &[&trun(0x201, 1, &[offset.wrapping_sub(1), 3])],
                )],
            )
        };
        assert_eq!(failure(&with_mdat(build, 5), &header), told);

        let build = |offset| {
            moof(
                1,
                &[TrafBytes::new(1, 0, &[&trun(0x301, 1, &[offset, 0, 3])])],
            )
        };
        let told = "byte 24, moof/traf: samples have no duration";
        assert_eq!(failure(&with_mdat(build, 5), &header), told);
    }

    #[test]
    fn media_counted_twice_cannot_grow() {
        let run = |offset| trun(0x201, 1, &[offset, 5]);
        let build = |offset| {
            let mut traf = TrafBytes::new(1, 0, &[&run(offset).repeat(2)]);
            traf.tfhd = vec![0, 1];
            moof(1, &[traf])
        };
        assert!(resolve(&chunk(&with_mdat(build, 10)), &video()).is_ok());
        let error = resolve(&chunk(&with_mdat(build, 9)), &video()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::SamplesOutsideMdat);
    }

    #[test]
    fn a_fragment_without_samples_gives_no_chunk() {
        let trafs = |offset| {
            let video = TrafBytes::new(1, 0, &[]);
            moof(
                1,
                &[
                    video,
                    TrafBytes::new(2, 0, &[&trun(0x201, 1, &[offset, 5])]),
                ],
            )
        };
        let tracks = resolve(&chunk(&with_mdat(trafs, 5)), &muxed()).unwrap();
        assert_eq!(
            tracks.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
            [0]
        );
    }
}
