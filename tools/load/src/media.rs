//! A CMAF track that repeats without a seam, made heavier or slower to order.

use std::path::Path;

/// Bytes of a box header.
const BOX: usize = 8;
/// Segments of the loop: key frames every two seconds in sixteen.
const SEGMENTS: u64 = 8;

/// What is changed about the media in the file.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes of every chunk, as far as it has less: samples are padded.
    pub chunk_bytes: usize,
    /// How many times longer the media lasts.
    pub slower: u32,
}

/// A track of one header and chunks of one moof and one mdat each.
#[derive(Clone, Debug)]
pub struct Track {
    /// ftyp and moov.
    pub header: Vec<u8>,
    chunks: Vec<Chunk>,
    timescale: u64,
    ticks: u64,
}

/// A chunk with its place in time.
#[derive(Clone, Debug)]
pub struct DatedChunk {
    /// moof and mdat.
    pub bytes: Vec<u8>,
    /// What its tfdt says, in ticks since 1970.
    pub decode_time: u64,
}

#[derive(Clone, Debug)]
struct Chunk {
    bytes: Vec<u8>,
    decode_time_at: usize,
    start: u64,
    ticks: u64,
}

impl Track {
    /// Reads a file as `tools/demo-media` writes it.
    pub fn read(path: &Path, shape: Shape) -> Result<Self, String> {
        let say = |what: &str| format!("{}: {what}", path.display());
        let file = std::fs::read(path).map_err(|e| say(&e.to_string()))?;
        Self::parse(&file, shape).ok_or_else(|| say("not a track that this reads"))
    }

    /// Reads the bytes of such a file.
    pub fn parse(file: &[u8], shape: Shape) -> Option<Self> {
        let mut boxes = Vec::new();
        let mut at = 0;
        while at < file.len() {
            let len = word(file, at)? as usize;
            boxes.push((file.get(at + 4..at + BOX)?, file.get(at..at + len)?));
            at += len.max(BOX);
        }
        let media_at = boxes.iter().position(|(name, _)| *name == b"moof")?;
        let mut header: Vec<u8> = boxes[..media_at]
            .iter()
            .flat_map(|b| b.1)
            .copied()
            .collect();
        // Media lasts longer when its clock counts slower.
        let clock_at = find(&header, b"mdhd\0")? + 4 + 12;
        let timescale = word(&header, clock_at)? / shape.slower;
        header[clock_at..clock_at + 4].copy_from_slice(&timescale.to_be_bytes());

        let mut chunks: Vec<Chunk> = Vec::new();
        for pair in boxes[media_at..].chunks(2) {
            let [(_, moof), (b"mdat", mdat)] = pair else {
                return None;
            };
            let start = chunks.last().map_or(0, |last| last.start + last.ticks);
            chunks.push(Chunk::new(moof, mdat, start, shape.chunk_bytes)?);
        }
        let ticks = chunks.last().map(|last| last.start + last.ticks)?;
        Some(Self {
            header,
            chunks,
            timescale: u64::from(timescale),
            ticks,
        })
    }

    /// Chunk `index` since 1970.
    pub fn chunk(&self, index: u64) -> DatedChunk {
        let (chunk, decode_time) = self.at(index);
        let mut bytes = chunk.bytes.clone();
        bytes[chunk.decode_time_at..][..8].copy_from_slice(&decode_time.to_be_bytes());
        DatedChunk { bytes, decode_time }
    }

    /// The wall clock after the last sample of chunk `index`, in microseconds
    /// since 1970.
    pub fn end_us(&self, index: u64) -> u64 {
        let (chunk, decode_time) = self.at(index);
        let end = u128::from(decode_time + chunk.ticks) * 1_000_000;
        (end / u128::from(self.timescale)) as u64
    }

    /// Bytes of chunk `index`.
    pub fn chunk_bytes(&self, index: u64) -> usize {
        self.at(index).0.bytes.len()
    }

    /// The first chunk of the segment that is under way at a wall clock in
    /// microseconds: the loop has eight of them, of all tracks alike.
    pub fn segment_at(&self, wall_us: u64) -> u64 {
        let ticks = u128::from(wall_us) * u128::from(self.timescale) / 1_000_000;
        let segment = self.ticks / SEGMENTS;
        let start = ticks as u64 / segment * segment;
        let (turn, within) = (start / self.ticks, start % self.ticks);
        let before = self.chunks.partition_point(|chunk| chunk.start < within);
        turn * self.chunks.len() as u64 + before as u64
    }

    fn at(&self, index: u64) -> (&Chunk, u64) {
        let count = self.chunks.len() as u64;
        let chunk = &self.chunks[(index % count) as usize];
        (chunk, index / count * self.ticks + chunk.start)
    }
}

impl Chunk {
    fn new(moof: &[u8], mdat: &[u8], start: u64, least: usize) -> Option<Self> {
        let mut bytes = [moof, mdat].concat();
        let pad = least.saturating_sub(bytes.len());
        let run = find(moof, b"trun")? + 4;
        let count = word(moof, run + 4)?;
        // The last word of a run that ends in sample sizes is the last size.
        let last_size_at = moof.len() - 4;
        let size = word(moof, last_size_at)? + pad as u32;
        bytes[last_size_at..][..4].copy_from_slice(&size.to_be_bytes());
        let mdat_len = (mdat.len() + pad) as u32;
        bytes[moof.len()..][..4].copy_from_slice(&mdat_len.to_be_bytes());
        bytes.resize(bytes.len() + pad, 0xA5);
        // Track, then the default duration, which is the first field there is.
        let duration = word(moof, find(moof, b"tfhd")? + 4 + 8)?;
        Some(Self {
            bytes,
            decode_time_at: find(moof, b"tfdt\x01")? + 8,
            start,
            ticks: u64::from(count) * u64::from(duration),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = include_bytes!("../../../fixtures/demo/video-270p.cmfv");

    #[test]
    fn chunks_are_as_long_and_as_slow_as_asked() {
        let shape = Shape {
            chunk_bytes: 250_000,
            slower: 5,
        };
        let track = Track::parse(FILE, shape).unwrap();
        let lengths = [0, 1].map(|index| track.chunk(index).bytes.len());
        assert_eq!(lengths, [250_000, 250_000]);
        assert_eq!(
            [0, 1].map(|index| track.end_us(index)),
            [1_000_000, 2_000_000]
        );
        assert_eq!(track.chunk_bytes(1), 250_000);
    }

    #[test]
    fn tracks_begin_with_the_same_segment() {
        let shape = Shape {
            chunk_bytes: 0,
            slower: 1,
        };
        let sound = include_bytes!("../../../fixtures/demo/audio.cmfa");
        for second in [0, 2, 16, 17, 31] {
            let starts = [FILE, sound].map(|file| {
                let track = Track::parse(file, shape).unwrap();
                let first = track.segment_at(second * 1_000_000);
                track.chunk(first).decode_time as f64 / track.timescale as f64
            });
            let even = (second / 2 * 2) as f64;
            assert_eq!(starts[0], even);
            assert!((even..even + 0.22).contains(&starts[1]), "{starts:?}");
        }
    }

    #[test]
    fn decode_times_go_on_over_the_seam() {
        let shape = Shape {
            chunk_bytes: 0,
            slower: 1,
        };
        let track = Track::parse(FILE, shape).unwrap();
        assert_eq!(track.segment_at(33_000_000), 160);
        assert_eq!(track.end_us(160), 2 * 16_000_000 + 200_000);
        let bytes = track.chunk(160).bytes;
        let at = find(&bytes, b"tfdt\x01").unwrap() + 8;
        assert_eq!(&bytes[at..at + 8], &(2 * 16 * 90_000u64).to_be_bytes());
    }
}
