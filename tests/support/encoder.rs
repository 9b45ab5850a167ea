//! A small encoder: CMAF headers and chunks written by hand.
// Not every test uses all of it.
#![allow(dead_code)]

use headwater::media::cmaf::{Event, Header, Kind, Parser, TrackChunk, resolve};

/// A track to be announced.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// `track_ID`.
    pub(crate) id: u32,
    /// avc1, Opus or wvtt.
    pub(crate) kind: Kind,
    /// Ticks a second.
    pub(crate) timescale: u32,
    /// `media_time` of its edit list, if it has one.
    pub(crate) edit: Option<i32>,
    /// Lines of video; another figure makes another header.
    pub(crate) height: u16,
}

impl Spec {
    /// A video track without an edit list.
    pub(crate) fn video(timescale: u32) -> Self {
        Self {
            id: 1,
            kind: Kind::Video,
            timescale,
            edit: None,
            height: 360,
        }
    }

    /// An audio track without an edit list.
    pub(crate) fn audio(timescale: u32) -> Self {
        Self {
            kind: Kind::Audio,
            ..Self::video(timescale)
        }
    }

    /// A track of WebVTT.
    pub(crate) fn text(timescale: u32) -> Self {
        Self {
            kind: Kind::Text,
            ..Self::video(timescale)
        }
    }

    /// ftyp and moov.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        header_bytes(std::slice::from_ref(self))
    }

    /// The same, read.
    pub(crate) fn header(&self) -> Header {
        match event(&self.bytes()) {
            Some(Event::Header(header)) => header,
            other => panic!("a header, not {other:?}"),
        }
    }

    fn trak(&self) -> Vec<u8> {
        let elst = self.edit.map_or_else(Vec::new, |time| {
            let edit = boxed(
                b"elst",
                &[&words(&[0, 1, 0, time.cast_unsigned(), 0x1_0000])],
            );
            boxed(b"edts", &[&edit])
        });
        let stsd = boxed(b"stsd", &[&words(&[0, 1]), &self.entry()]);
        let handler = match self.kind {
            Kind::Video => b"vide",
            Kind::Audio => b"soun",
            Kind::Text => b"text",
            Kind::Metadata => b"meta",
        };
        let mdia = boxed(
            b"mdia",
            &[
                &boxed(
                    b"mdhd",
                    &[&words(&[0, 0, 0, self.timescale, 0, 0x55c4 << 16])],
                ),
                &boxed(b"hdlr", &[&[0; 8], handler, &[0; 13]]),
                &boxed(b"minf", &[&boxed(b"stbl", &[&stsd])]),
            ],
        );
        let tkhd = boxed(b"tkhd", &[&words(&[3, 0, 0, self.id]), &[0; 68]]);
        boxed(b"trak", &[&tkhd, &elst, &mdia])
    }

    fn entry(&self) -> Vec<u8> {
        if matches!(self.kind, Kind::Text | Kind::Metadata) {
            let config = boxed(b"vttC", &[b"WEBVTT"]);
            return boxed(b"wvtt", &[&[0, 0, 0, 0, 0, 0, 0, 1], &config]);
        }
        if self.kind == Kind::Video {
            let mut fixed = vec![0; 78];
            fixed[24..26].copy_from_slice(&640u16.to_be_bytes());
            fixed[26..28].copy_from_slice(&self.height.to_be_bytes());
            let config = boxed(b"avcC", &[&[1, 0x64, 0, 0x1f, 0xff, 0xe0, 0]]);
            return boxed(b"avc1", &[&fixed, &config]);
        }
        let mut fixed = vec![0; 28];
        (fixed[17], fixed[24], fixed[25]) = (2, 0xbb, 0x80);
        boxed(b"Opus", &[&fixed, &boxed(b"dOps", &[&[0, 2, 0, 0]])])
    }
}

/// ftyp and a moov of all `specs`.
pub(crate) fn header_bytes(specs: &[Spec]) -> Vec<u8> {
    let mvhd = boxed(b"mvhd", &[&words(&[0, 0, 0, 1000]), &[0; 84]]);
    let traks: Vec<u8> = specs.iter().flat_map(Spec::trak).collect();
    let trexs: Vec<u8> = specs
        .iter()
        .flat_map(|spec| boxed(b"trex", &[&words(&[0, spec.id, 1, 0, 0, 0])]))
        .collect();
    let moov = boxed(b"moov", &[&mvhd, &traks, &boxed(b"mvex", &[&trexs])]);
    [boxed(b"ftyp", &[b"cmfc", &words(&[0]), b"iso6"]), moov].concat()
}

/// One sample to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Ticks.
    pub(crate) ticks: u32,
    /// Decoding can start here.
    pub(crate) sync: bool,
    /// Composition offset, in ticks.
    pub(crate) cts: i32,
    /// Bytes of it, all of one value.
    pub(crate) bytes: (u32, u8),
}

/// A chunk to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragment {
    /// Decode time; the low 32 bits of it where `wraps`.
    pub(crate) time: u64,
    /// tfdt of version 0.
    pub(crate) wraps: bool,
    /// styp in front.
    pub(crate) styp: bool,
    /// Wall clock in a prft, in seconds since 1970.
    pub(crate) produced_s: Option<u64>,
    /// Event messages in front of it.
    pub(crate) messages: Vec<Message>,
    /// In order.
    pub(crate) frames: Vec<Frame>,
}

/// An event message to be written.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Scheme.
    pub(crate) scheme: &'static str,
    /// Ticks a second.
    pub(crate) timescale: u32,
    /// Presentation time, for version 1; ticks after the segment, for version 0.
    pub(crate) time: Result<u64, u32>,
    /// What it says.
    pub(crate) data: Vec<u8>,
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        let names = [self.scheme.as_bytes(), b"\0", b"1\0"].concat();
        match self.time {
            Ok(time) => {
                let head = words(&[1 << 24, self.timescale]);
                let tail = words(&[u32::MAX, 7]);
                boxed(
                    b"emsg",
                    &[&head, &time.to_be_bytes(), &tail, &names, &self.data],
                )
            }
            Err(after) => {
                let tail = words(&[self.timescale, after, u32::MAX, 7]);
                boxed(b"emsg", &[&words(&[0]), &names, &tail, &self.data])
            }
        }
    }
}

/// A `splice_insert()` section for a whole program, at once.
pub(crate) fn splice_insert(event_id: u32, out: bool, seconds: Option<u32>) -> Vec<u8> {
    let flags = 0x5f | if out { 0x80 } else { 0 } | if seconds.is_some() { 0x20 } else { 0 };
    let mut command = [&event_id.to_be_bytes()[..], &[0x7f, flags]].concat();
    if let Some(seconds) = seconds {
        command.push(0xfe);
        command.extend((seconds * 90_000).to_be_bytes());
    }
    command.extend([0; 4]);
    let len = command.len() as u8;
    let head = [
        0xfc,
        0x30,
        len + 17,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0xff,
        0xf0,
        len,
        5,
    ];
    let mut section = [&head[..], &command, &[0, 0]].concat();
    let crc = section.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    section.extend(crc.to_be_bytes());
    section
}

impl Fragment {
    /// Its boxes, for track `id`.
    pub(crate) fn bytes(&self, id: u32) -> Vec<u8> {
        let mut prefix = Vec::new();
        if self.styp {
            prefix.extend(boxed(b"styp", &[b"cmfs", &words(&[0])]));
        }
        if let Some(seconds) = self.produced_s {
            // NTP counts from 1900.
            let ntp = words(&[1 << 24, id, (seconds + 2_208_988_800) as u32, 0]);
            prefix.extend(boxed(b"prft", &[&ntp, &self.time.to_be_bytes()]));
        }
        prefix.extend(self.messages.iter().flat_map(Message::bytes));
        let moof_len = self.moof(id, 0).len() as u32;
        let media: Vec<u8> = self
            .frames
            .iter()
            .flat_map(|frame| vec![frame.bytes.1; frame.bytes.0 as usize])
            .collect();
        [
            prefix,
            self.moof(id, moof_len + 8),
            boxed(b"mdat", &[&media]),
        ]
        .concat()
    }

    /// The same, read under `header`.
    pub(crate) fn read(&self, header: &Header) -> TrackChunk {
        let bytes = self.bytes(header.tracks[0].track_id);
        match event(&bytes) {
            Some(Event::Chunk(chunk)) => resolve(&chunk, header).expect("it is sound").remove(0).1,
            other => panic!("a chunk, not {other:?}"),
        }
    }

    /// Ticks of all frames.
    pub(crate) fn ticks(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.ticks)).sum()
    }

    fn moof(&self, id: u32, offset: u32) -> Vec<u8> {
        let tfdt = if self.wraps {
            boxed(b"tfdt", &[&words(&[0, self.time as u32])])
        } else {
            boxed(b"tfdt", &[&words(&[1 << 24]), &self.time.to_be_bytes()])
        };
        let frames = self.frames.iter();
        let fields: Vec<u8> = frames
            .flat_map(|frame| {
                let flags = if frame.sync { 0x0200_0000 } else { 0x0101_0000 };
                words(&[frame.ticks, frame.bytes.0, flags, frame.cts.cast_unsigned()])
            })
            .collect();
        let count = self.frames.len() as u32;
        let trun = boxed(b"trun", &[&words(&[0x0100_0f01, count, offset]), &fields]);
        let tfhd = boxed(b"tfhd", &[&words(&[0x02_0000, id])]);
        let traf = boxed(b"traf", &[&tfhd, &tfdt, &trun]);
        boxed(b"moof", &[&boxed(b"mfhd", &[&words(&[0, 1])]), &traf])
    }
}

/// A box with `content` after its header.
pub(crate) fn boxed(name: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let len = 8 + content.iter().map(|piece| piece.len()).sum::<usize>();
    [&(len as u32).to_be_bytes(), &name[..], &content.concat()].concat()
}

/// Words of 32 bits.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn event(body: &[u8]) -> Option<Event> {
    Parser::new().push(&mut &body[..]).expect("it parses")
}
