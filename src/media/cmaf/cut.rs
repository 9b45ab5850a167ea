//! Splits a chunk of one track between two samples.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::moof;
use super::resolve::{all_inside, extent, first_sample_end, media_ranges};
use super::write::NewChunk;
use super::{Chunk, Event, Parser, Sample, TrackChunk, TrackHeader};
use crate::limits;
use crate::media::bmff::{Error, ErrorKind, FourCc};

/// The chunk before sample `at`, and the chunk from it on. Both are written
/// anew; styp, prft and the rest of the prefix stay with the first. Decode times
/// go on from that of `chunk`, which may have been unwrapped since it came; in
/// the bytes a time of 32 bits stays one.
///
/// Refused when the traf holds boxes whose content depends on the positions of
/// samples, as encrypted media does. Panics unless `0 < at < samples.len()`.
pub fn cut(
    chunk: &TrackChunk,
    header: &TrackHeader,
    at: usize,
) -> Result<(TrackChunk, TrackChunk), Error> {
    assert!(
        0 < at && at < chunk.samples.len(),
        "a cut lies between two samples"
    );
    let (before, after) = chunk.samples.split_at(at);
    divide(chunk, header, before, after, 0)
}

/// The chunk up to `ticks` after its start, and the chunk from there on. A
/// sample that lasts across the cut stands in both: text may, because a sample
/// of it says what is shown while it lasts (ISO/IEC 14496-30 sections 5 and 6).
///
/// Refused like [`cut`], and when that sample is large. Panics unless `0 < ticks
/// < duration`.
pub fn cut_text(
    chunk: &TrackChunk,
    header: &TrackHeader,
    ticks: u64,
) -> Result<(TrackChunk, TrackChunk), Error> {
    assert!(0 < ticks && ticks < chunk.duration, "a cut lies inside");
    let mut begins = 0;
    let across = chunk.samples.iter().position(|sample| {
        begins += u64::from(sample.duration);
        begins > ticks
    });
    let at = across.expect("the samples last as long as the chunk");
    let sample = chunk.samples[at];
    begins -= u64::from(sample.duration);
    if begins == ticks {
        return cut(chunk, header, at);
    }
    if sample.size > limits::TEXT_SAMPLE_BYTES_MAX {
        let kind = ErrorKind::Invalid("a sample of text too large to stand twice");
        return Err(Error::new(chunk.at, kind));
    }
    let (mut before, mut after) = (chunk.samples[..=at].to_vec(), chunk.samples[at..].to_vec());
    before[at].duration = (ticks - begins) as u32;
    after[0].duration = sample.duration - before[at].duration;
    divide(chunk, header, &before, &after, sample.size)
}

/// Writes both halves; the last `shared` bytes of the first are the first ones
/// of the second too.
fn divide(
    chunk: &TrackChunk,
    header: &TrackHeader,
    before: &[Sample],
    after: &[Sample],
    shared: u32,
) -> Result<(TrackChunk, TrackChunk), Error> {
    let elsewhere = |mut error: Error| {
        error.at = error.at.saturating_add(chunk.at);
        error
    };
    let source = parse(chunk).map_err(elsewhere)?;
    let media = media_of(&source, header).map_err(elsewhere)?;
    let bytes: u64 = before.iter().map(|sample| u64::from(sample.size)).sum();
    let (media_before, _) = split_ranges(&media, bytes as usize);
    let (_, media_after) = split_ranges(&media, (bytes - u64::from(shared)) as usize);

    let prefix = &source.bytes[..source.prefix_len];
    let (duration, presentation_shift) = extent(before);
    let (rest, rest_shift) = extent(after);
    if duration == 0 || rest == 0 {
        return Err(Error::new(chunk.at, ErrorKind::NoDuration));
    }
    let decode_time = chunk.decode_time.saturating_add(duration);
    if decode_time > limits::DECODE_TICKS_MAX {
        let kind = ErrorKind::Invalid("a decode time that no clock reaches");
        return Err(Error::new(chunk.at, kind));
    }
    let bytes = write(&source, prefix, chunk.decode_time, before, &media_before);
    let first = TrackChunk {
        first_sample_end: first_sample_end(&bytes, before),
        bytes,
        duration,
        presentation_shift,
        samples: before.to_vec(),
        ..chunk.clone()
    };
    let bytes = write(&source, &[], decode_time, after, &media_after);
    let second = TrackChunk {
        first_sample_end: first_sample_end(&bytes, after),
        bytes,
        decode_time,
        duration: rest,
        presentation_shift: rest_shift,
        samples: after.to_vec(),
        styp: false,
        producer_time: None,
        ..chunk.clone()
    };
    Ok((first, second))
}

/// Parses the bytes of the chunk again; a cut is too rare to keep what was
/// learned the first time.
fn parse(chunk: &TrackChunk) -> Result<Box<Chunk>, Error> {
    let mut parser = Parser::new();
    match parser.push(&mut &chunk.bytes[..])? {
        Some(Event::Chunk(source)) => Ok(source),
        _ => Err(Error::new(parser.position(), ErrorKind::Truncated)),
    }
}

/// Where the media lies, if it may be moved.
fn media_of(source: &Chunk, header: &TrackHeader) -> Result<SmallVec<[Range<usize>; 1]>, Error> {
    let fragment = &source.fragments[0];
    let error = |kind| {
        let error = Error::new(fragment.at, kind);
        error.inside(FourCc(*b"traf")).inside(FourCc(*b"moof"))
    };
    let fixed = fragment
        .extras
        .iter()
        .find(|extra| !matches!(&extra.name.0, b"free" | b"skip"));
    if let Some(extra) = fixed {
        return Err(error(ErrorKind::Unsplittable(extra.name)));
    }
    let size = fragment.defaults(&header.defaults).size;
    let places = moof::places(&source.fragments, source.moof_at, |_| Some(size));
    let places = places.filter(|places| source.fragments.len() == 1 && all_inside(source, places));
    let places = places.ok_or_else(|| error(ErrorKind::SamplesOutsideMdat))?;
    Ok(media_ranges(source, &places[0]))
}

type Ranges = SmallVec<[Range<usize>; 1]>;

/// The first `bytes` of the ranges, and the rest of them.
fn split_ranges(ranges: &[Range<usize>], bytes: usize) -> (Ranges, Ranges) {
    let (mut before, mut after) = (Ranges::new(), Ranges::new());
    let mut left = bytes;
    for range in ranges {
        let middle = range.start + left.min(range.len());
        left -= middle - range.start;
        before.extend((range.start < middle).then_some(range.start..middle));
        after.extend((middle < range.end).then_some(middle..range.end));
    }
    (before, after)
}

fn write(
    source: &Chunk,
    prefix: &[u8],
    decode_time: u64,
    samples: &[Sample],
    media: &[Range<usize>],
) -> Bytes {
    let fragment = &source.fragments[0];
    let new = NewChunk {
        prefix,
        sequence_number: source.sequence_number,
        track_id: fragment.track_id,
        description_index: fragment.description_index,
        decode_time,
        wraps: fragment.wraps,
        samples,
        extras: &[],
        media,
        source: &source.bytes,
    };
    new.write()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::testing::{
        TrafBytes, TrakBytes, boxed, chunk, counting, header, header_bytes, moof, trun,
        video_chunk, words,
    };
    use crate::media::cmaf::{Header, resolve};

    #[test]
    fn iso_14496_30_a_sample_of_text_that_lasts_stands_in_both_halves() {
        let header = video();
        let source = chunk(&video_chunk(9000, &[4, 2, 3]));
        let source = resolve(&source, &header).unwrap().remove(0).1;
        let whole = &source.samples;
        let (first, second) = cut_text(&source, &header.tracks[0], 4000).unwrap();
        assert_eq!((first.duration, second.duration), (4000, 5000));
        assert_eq!(second.decode_time, 13_000);
        let media = |half: &TrackChunk| half.bytes[half.bytes.len() - 5..].to_vec();
        assert_eq!(media(&second), [4, 5, 6, 7, 8]);
        assert!(first.bytes.ends_with(&[0, 1, 2, 3, 4, 5]));
        for half in [&first, &second] {
            let again = resolve(&chunk(&half.bytes), &header).unwrap().remove(0).1;
            assert_eq!(
                (again.duration, &again.samples),
                (half.duration, &half.samples)
            );
        }
        let (before, _) = cut_text(&source, &header.tracks[0], 3000).unwrap();
        assert_eq!(
            before.samples,
            whole[..1],
            "between two samples nothing is doubled"
        );
    }

    #[test]
    fn a_large_sample_of_text_is_not_doubled() {
        let header = video();
        let cut = |size: u32| {
            let source = chunk(&video_chunk(0, &[size]));
            let source = resolve(&source, &header).unwrap().remove(0).1;
            cut_text(&source, &header.tracks[0], 1).is_ok()
        };
        assert!(cut(limits::TEXT_SAMPLE_BYTES_MAX));
        assert!(!cut(limits::TEXT_SAMPLE_BYTES_MAX + 1));
    }

    fn video() -> Header {
        header(&header_bytes(&[TrakBytes::video(1)]))
    }

    fn track(body: &[u8]) -> TrackChunk {
        resolve(&chunk(body), &video()).unwrap().remove(0).1
    }

    fn media(track: &TrackChunk) -> Vec<u8> {
        let chunk = chunk(&track.bytes);
        chunk.bytes[chunk.payload_from..].to_vec()
    }

    #[test]
    fn both_halves_are_the_whole_at_every_sample() {
        let styp = boxed(b"styp", &[b"cmfs", &words(&[0])]);
        let whole = track(&[styp, video_chunk(90_000, &[3, 0, 4, 5])].concat());
        for at in 1..4 {
            let (first, second) = cut(&whole, &video().tracks[0], at).unwrap();
            assert_eq!([media(&first), media(&second)].concat(), counting(12));
            assert_eq!(
                [&first.samples[..], &second.samples[..]].concat(),
                whole.samples
            );
            assert_eq!(first.samples.len(), at);
            assert_eq!(
                (first.decode_time, first.duration),
                (90_000, at as u64 * 3000)
            );
            assert_eq!(second.decode_time, 90_000 + first.duration);
            assert_eq!(first.duration + second.duration, whole.duration);
            assert!(
                first.styp && !second.styp,
                "the prefix stays with the first"
            );
            assert!(first.is_independent() && !second.is_independent());
            for half in [&first, &second] {
                let again = track(&half.bytes);
                assert_eq!(
                    (&again.samples, again.decode_time),
                    (&half.samples, half.decode_time)
                );
                assert_eq!((again.styp, again.duration), (half.styp, half.duration));
            }
        }
    }

    #[test]
    fn a_time_of_32_bits_wraps_within_a_chunk() {
        let build = |offset| {
            let mut traf = TrafBytes::new(1, 0, &[&trun(0x201, 2, &[offset, 1, 1])]);
            traf.tfdt = vec![0, 0xffff_ffff - 999];
            moof(1, &[traf])
        };
        let offset = build(0).len() as u32 + 8;
        let whole = track(&[build(offset), boxed(b"mdat", &[b"ab"])].concat());
        let (first, second) = cut(&whole, &video().tracks[0], 1).unwrap();
        assert!(first.wraps && second.wraps);
        assert_eq!(
            second.decode_time,
            (1 << 32) + 2000,
            "whoever cuts has unwrapped"
        );
        assert_eq!(track(&second.bytes).decode_time, 2000);
    }

    #[test]
    fn data_per_sample_cannot_be_split() {
        for name in [b"senc", b"saiz", b"saio", b"sbgp", b"subs"] {
            let build = |offset| {
                let rest = [trun(0x201, 2, &[offset, 1, 1]), boxed(name, &[&[0; 8]])];
                moof(1, &[TrafBytes::new(1, 0, &[&rest.concat()])])
            };
            let offset = build(0).len() as u32 + 8;
            let whole = track(&[build(offset), boxed(b"mdat", &[b"ab"])].concat());
            let error = cut(&whole, &video().tracks[0], 1).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsplittable(FourCc(*name)));
            assert!(
                error.to_string().starts_with("byte 24, moof/traf: "),
                "{error}"
            );
        }
    }
}
