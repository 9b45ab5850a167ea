//! No sample is lost, moved or changed between what came and what is served.

use headwater::media::cmaf::{self, Chunk, DataBase, Event, Header, Sample, TrackChunk};

use crate::bmff_cmaf::parse;
use crate::mutate::Chance;

/// Samples with their bytes.
type Media = Vec<(Sample, Vec<u8>)>;

/// Cuts tried in one chunk.
const CUTS: usize = 4;

/// In force until `data` brings another: video in track 1, audio in track 2.
const HEADER: &[u8] = include_bytes!("../../../fixtures/corpus/cmaf_header/ffmpeg-cmaf-post-muxed");

/// Parses `data`, resolves every chunk, cuts it, and compares samples and
/// payload at each step with a model of where they lie.
pub fn cmaf_resolve_cut(data: &[u8]) {
    let mut header = header_of(HEADER);
    let mut chance = Chance::of(data);
    for event in parse([data].into_iter()).events {
        match event {
            Event::Header(new) => header = new,
            Event::Chunk(chunk) => check(&chunk, &header, &mut chance),
            Event::End { .. } => {}
        }
    }
}

fn check(chunk: &Chunk, header: &Header, chance: &mut Chance) {
    let Ok(tracks) = cmaf::resolve(chunk, header) else {
        return;
    };
    for (index, track) in &tracks {
        let own = header_of(&header.tracks[*index].bytes);
        let id = header.tracks[*index].track_id;
        let came = model(chunk, header, id);
        assert_eq!(samples(&came), track.samples);
        let (again, served) = again(&track.bytes, &own);
        assert!(came == served, "what is served is what came");
        assert_eq!(
            (again.decode_time, again.wraps),
            (track.decode_time, track.wraps)
        );
        assert_eq!(again.duration, track.duration);
        assert_eq!(again.presentation_shift, track.presentation_shift);
        for _ in 0..CUTS.min(track.samples.len() - 1) {
            let at = 1 + chance.below(track.samples.len() - 1);
            check_cut(track, &own, at, &served);
        }
    }
}

fn check_cut(track: &TrackChunk, header: &Header, at: usize, whole: &Media) {
    let Ok((first, second)) = cmaf::cut(track, &header.tracks[0], at) else {
        return;
    };
    assert_eq!(first.samples.len(), at);
    assert_eq!(first.duration + second.duration, track.duration);
    let (first_again, mut media) = again(&first.bytes, header);
    let (second_again, rest) = again(&second.bytes, header);
    media.extend(rest);
    assert!(media == *whole, "both halves are the whole");
    for (made, read) in [(&first, &first_again), (&second, &second_again)] {
        assert_eq!(made.samples, read.samples);
        assert_eq!(made.first_sample_end, read.first_sample_end);
        let turn = if made.wraps {
            u64::from(u32::MAX)
        } else {
            u64::MAX
        };
        assert_eq!(made.decode_time & turn, read.decode_time);
        assert_eq!(made.wraps, read.wraps);
        assert_eq!(made.duration, read.duration);
        assert_eq!(made.presentation_shift, read.presentation_shift);
        assert_eq!(
            (made.styp, made.last, made.slate),
            (read.styp, track.last, track.slate)
        );
        assert_eq!(made.producer_time, read.producer_time);
    }
    assert_eq!(first.styp, track.styp);
    for made in [&first, &second] {
        let size = made.samples[0].size as usize;
        let at = if std::ptr::eq(made, &first) {
            0
        } else {
            first.samples.len()
        };
        let frame = &made.bytes[made.first_sample_end - size..made.first_sample_end];
        assert_eq!(frame, whole[at].1, "the first frame ends where it says");
    }
}

fn header_of(bytes: &[u8]) -> Header {
    match parse([bytes].into_iter()).events.pop() {
        Some(Event::Header(header)) => header,
        other => panic!("a header of one track: {other:?}"),
    }
}

/// A served chunk, read again.
fn again(bytes: &[u8], header: &Header) -> (TrackChunk, Media) {
    let Some(Event::Chunk(chunk)) = parse([bytes].into_iter()).events.pop() else {
        panic!("a chunk of one track")
    };
    assert_eq!(chunk.bytes, bytes);
    let mut tracks = cmaf::resolve(&chunk, header).expect("what is served can be read");
    assert_eq!(tracks.len(), 1);
    let media = model(&chunk, header, header.tracks[0].track_id);
    (tracks.remove(0).1, media)
}

fn samples(media: &Media) -> Vec<Sample> {
    media.iter().map(|(sample, _)| *sample).collect()
}

/// The samples of one track by a plain reading of the standard.
fn model(chunk: &Chunk, header: &Header, track_id: u32) -> Media {
    let mut out = Media::new();
    let mut previous_end = 0i128;
    for fragment in &chunk.fragments {
        let track = header
            .tracks
            .iter()
            .find(|track| track.track_id == fragment.track_id);
        let trex = track.expect("a known track").defaults;
        let base = match fragment.base {
            DataBase::Moof => 0,
            DataBase::File(offset) => i128::from(offset) - i128::from(chunk.moof_at),
            DataBase::Previous => previous_end,
        };
        let mut at = base;
        for run in &fragment.runs {
            at = run
                .data_offset
                .map_or(at, |offset| base + i128::from(offset));
            for (index, sample) in run.samples.iter().enumerate() {
                let mut sample = *sample;
                if !run.has_durations {
                    sample.duration = fragment.duration.unwrap_or(trex.duration);
                }
                if !run.has_sizes {
                    sample.size = fragment.size.unwrap_or(trex.size);
                }
                if !run.has_flags {
                    let first = run.first_flags.filter(|_| index == 0);
                    sample.flags = first.or(fragment.flags).unwrap_or(trex.flags);
                }
                let from = at + chunk.prefix_len as i128;
                at += i128::from(sample.size);
                if fragment.track_id == track_id {
                    let bytes = if sample.size == 0 {
                        Vec::new()
                    } else {
                        chunk.bytes[from as usize..(at + chunk.prefix_len as i128) as usize]
                            .to_vec()
                    };
                    out.push((sample, bytes));
                }
            }
        }
        previous_end = at;
    }
    out
}
