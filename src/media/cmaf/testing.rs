//! Boxes for tests, written by hand.

use super::{Chunk, Event, Header, Parser};
use crate::media::bmff::Error;

/// A box with `content` after its header.
pub(super) fn boxed(name: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let len = 8 + content.iter().map(|piece| piece.len()).sum::<usize>();
    let mut out = (len as u32).to_be_bytes().to_vec();
    out.extend_from_slice(name);
    content
        .iter()
        .for_each(|piece| out.extend_from_slice(piece));
    out
}

/// Words of 32 bits.
pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A trak to be written.
pub(super) struct TrakBytes {
    pub(super) id: u32,
    pub(super) handler: [u8; 4],
    pub(super) timescale: u32,
    /// `(segment_duration, media_time)` of elst.
    pub(super) edits: Vec<(u32, i32)>,
    pub(super) language: [u8; 3],
    /// Boxes of mdia besides those that must be there.
    pub(super) media_extra: Vec<u8>,
    /// Boxes of trak besides those that must be there.
    pub(super) extra: Vec<u8>,
    /// Width and height in tkhd.
    pub(super) size: (u16, u16),
    pub(super) entry: Vec<u8>,
    /// Duration, size, flags.
    pub(super) trex: [u32; 3],
    /// Creation time, everywhere.
    pub(super) created: u32,
}

impl TrakBytes {
    pub(super) fn video(id: u32) -> Self {
        let mut fixed = vec![0; 78];
        (fixed[24], fixed[25], fixed[26], fixed[27]) = (2, 128, 1, 104);
        Self {
            id,
            handler: *b"vide",
            timescale: 90_000,
            edits: vec![],
            language: *b"und",
            media_extra: vec![],
            extra: vec![],
            size: (0, 0),
            entry: boxed(
                b"avc1",
                &[
                    &fixed,
                    &boxed(b"avcC", &[&[1, 0x64, 0, 0x1f, 0xff, 0xe0, 0]]),
                ],
            ),
            trex: [3000, 0, 0x0101_0000],
            created: 0,
        }
    }

    pub(super) fn audio(id: u32) -> Self {
        Self {
            handler: *b"soun",
            timescale: 48_000,
            entry: boxed(
                b"Opus",
                &[&audio_fields(), &boxed(b"dOps", &[&[0, 2, 0, 0]])],
            ),
            trex: [960, 0, 0],
            ..Self::video(id)
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let packed = self
            .language
            .iter()
            .fold(0u32, |tag, letter| tag << 5 | u32::from(letter - 0x60));
        let edits = self.edits.iter();
        let edits: Vec<u8> = edits
            .flat_map(|(duration, time)| words(&[*duration, time.cast_unsigned(), 0x1_0000]))
            .collect();
        let elst = boxed(b"elst", &[&words(&[0, self.edits.len() as u32]), &edits]);
        let stsd = boxed(b"stsd", &[&words(&[0, 1]), &self.entry]);
        let mdhd = words(&[0, self.created, 0, self.timescale, 0, packed << 16]);
        let mdia = boxed(
            b"mdia",
            &[
                &boxed(b"mdhd", &[&mdhd]),
                &boxed(b"hdlr", &[&[0; 8], &self.handler, &[0; 13]]),
                &self.media_extra,
                &boxed(b"minf", &[&boxed(b"stbl", &[&stsd])]),
            ],
        );
        let size = [self.size.0, self.size.1].map(|pixels| u32::from(pixels) << 16);
        let tkhd = words(&[3, self.created, 0, self.id]);
        let tkhd = boxed(b"tkhd", &[&tkhd, &[0; 60], &words(&size)]);
        boxed(
            b"trak",
            &[&tkhd, &boxed(b"edts", &[&elst]), &mdia, &self.extra],
        )
    }

    /// Puts a box at the end of the sample entry.
    pub(super) fn add_to_entry(&mut self, extra: &[u8]) {
        self.entry.extend_from_slice(extra);
        let len = self.entry.len() as u32;
        self.entry[..4].copy_from_slice(&len.to_be_bytes());
    }
}

/// The fields of an audio sample entry: 2 channels, 48 kHz.
pub(super) fn audio_fields() -> Vec<u8> {
    let mut fixed = vec![0; 28];
    (fixed[17], fixed[24], fixed[25]) = (2, 0xbb, 0x80);
    fixed
}

/// ftyp and moov; the movie has 1000 ticks a second.
pub(super) fn header_bytes(traks: &[TrakBytes]) -> Vec<u8> {
    let created = traks.first().map_or(0, |trak| trak.created);
    let mvhd = boxed(b"mvhd", &[&words(&[0, created, 0, 1000]), &[0; 84]]);
    let all: Vec<u8> = traks.iter().flat_map(TrakBytes::bytes).collect();
    let trexs = traks
        .iter()
        .flat_map(|trak| boxed(b"trex", &[&words(&[0, trak.id, 1]), &words(&trak.trex)]));
    let mvex = boxed(
        b"mvex",
        &[
            &boxed(b"mehd", &[&words(&[0, 9])]),
            &trexs.collect::<Vec<_>>(),
        ],
    );
    let moov = boxed(b"moov", &[&mvhd, &all, &mvex]);
    [boxed(b"ftyp", &[b"cmfc", &words(&[0]), b"iso6"]), moov].concat()
}

/// A traf to be written.
pub(super) struct TrafBytes {
    pub(super) tfhd: Vec<u32>,
    pub(super) tfdt: Vec<u32>,
    /// Boxes after tfdt; `trun` makes one.
    pub(super) rest: Vec<u8>,
}

impl TrafBytes {
    /// `default-base-is-moof`, a tfdt of version 1.
    pub(super) fn new(id: u32, decode_time: u32, rest: &[&[u8]]) -> Self {
        Self {
            tfhd: vec![0x02_0000, id],
            tfdt: vec![1 << 24, 0, decode_time],
            rest: rest.concat(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let tfhd = boxed(b"tfhd", &[&words(&self.tfhd)]);
        boxed(
            b"traf",
            &[&tfhd, &boxed(b"tfdt", &[&words(&self.tfdt)]), &self.rest],
        )
    }
}

/// A trun of version 1 from its flags and the words after its sample count.
pub(super) fn trun(flags: u32, count: u32, fields: &[u32]) -> Vec<u8> {
    boxed(
        b"trun",
        &[&words(&[1 << 24 | flags, count]), &words(fields)],
    )
}

/// A moof; its length is what the data offset of the first sample needs, plus 8.
pub(super) fn moof(sequence_number: u32, trafs: &[TrafBytes]) -> Vec<u8> {
    let all: Vec<u8> = trafs.iter().flat_map(TrafBytes::bytes).collect();
    boxed(
        b"moof",
        &[&boxed(b"mfhd", &[&words(&[0, sequence_number])]), &all],
    )
}

/// A chunk of video track 1: `sizes` from the trun, durations from trex, the
/// first sample sync. Media bytes count up from 0.
pub(super) fn video_chunk(decode_time: u32, sizes: &[u32]) -> Vec<u8> {
    let build = |offset: u32| {
        let mut fields = vec![offset, 0x0200_0000];
        fields.extend_from_slice(sizes);
        moof(
            7,
            &[TrafBytes::new(
                1,
                decode_time,
                &[&trun(0x205, sizes.len() as u32, &fields)],
            )],
        )
    };
    let offset = build(0).len() as u32 + 8;
    [
        build(offset),
        boxed(b"mdat", &[&counting(sizes.iter().sum())]),
    ]
    .concat()
}

/// `len` bytes that count up.
pub(super) fn counting(len: u32) -> Vec<u8> {
    (0..len).map(|byte| byte as u8).collect()
}

/// All events of a body that comes at once.
pub(super) fn events(body: &[u8]) -> Result<Vec<Event>, Error> {
    let mut parser = Parser::new();
    let mut rest = body;
    let mut out = Vec::new();
    while let Some(event) = parser.push(&mut rest)? {
        out.push(event);
    }
    parser.finish().map(|()| out)
}

/// The header of a body that begins with one.
pub(super) fn header(body: &[u8]) -> Header {
    match events(body).unwrap().swap_remove(0) {
        Event::Header(header) => header,
        other => panic!("a header, not {other:?}"),
    }
}

/// The chunk of a body that is one.
pub(super) fn chunk(body: &[u8]) -> Chunk {
    match events(body).unwrap().pop() {
        Some(Event::Chunk(chunk)) => *chunk,
        other => panic!("a chunk, not {other:?}"),
    }
}
