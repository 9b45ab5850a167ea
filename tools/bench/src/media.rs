//! A CMAF track that repeats without a seam, made heavier or slower to order.

use std::path::Path;

/// Bytes of a box header.
const BOX: usize = 8;

/// What is changed about the media in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Bytes of every chunk, as far as it has less: samples are padded.
    pub(crate) chunk_bytes: usize,
    /// How many times longer the media lasts.
    pub(crate) slower: u32,
}

/// A track of one header and chunks of one moof and one mdat each.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) header: Vec<u8>,
    chunks: Vec<Chunk>,
    timescale: u64,
    ticks: u64,
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
    pub(crate) fn read(path: &Path, shape: Shape) -> Result<Self, String> {
        let say = |what: &str| format!("{}: {what}", path.display());
        let file = std::fs::read(path).map_err(|e| say(&e.to_string()))?;
        Self::parse(&file, shape).ok_or_else(|| say("not a track that this reads"))
    }

    fn parse(file: &[u8], shape: Shape) -> Option<Self> {
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

    /// Chunk `index` since 1970, and the wall clock after its last sample in
    /// microseconds.
    pub(crate) fn chunk(&self, index: u64) -> (Vec<u8>, u64) {
        let count = self.chunks.len() as u64;
        let (turn, chunk) = (index / count, &self.chunks[(index % count) as usize]);
        let time = turn * self.ticks + chunk.start;
        let mut bytes = chunk.bytes.clone();
        bytes[chunk.decode_time_at..][..8].copy_from_slice(&time.to_be_bytes());
        let end = u128::from(time + chunk.ticks) * 1_000_000 / u128::from(self.timescale);
        (bytes, end as u64)
    }

    /// The first chunk of the turn of the loop that is under way at a wall
    /// clock in microseconds.
    pub(crate) fn turn_at(&self, wall_us: u64) -> u64 {
        let ticks = u128::from(wall_us) * u128::from(self.timescale) / 1_000_000;
        (ticks / u128::from(self.ticks)) as u64 * self.chunks.len() as u64
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
        let (first, first_end_us) = track.chunk(0);
        let (second, second_end_us) = track.chunk(1);
        assert_eq!((first.len(), second.len()), (250_000, 250_000));
        assert_eq!((first_end_us, second_end_us), (1_000_000, 2_000_000));
    }

    #[test]
    fn decode_times_go_on_over_the_seam() {
        let shape = Shape {
            chunk_bytes: 0,
            slower: 1,
        };
        let track = Track::parse(FILE, shape).unwrap();
        assert_eq!(track.turn_at(33_000_000), 160);
        let (bytes, end_us) = track.chunk(160);
        assert_eq!(end_us, 2 * 16_000_000 + 200_000);
        let at = find(&bytes, b"tfdt\x01").unwrap() + 8;
        assert_eq!(&bytes[at..at + 8], &(2 * 16 * 90_000u64).to_be_bytes());
    }
}
