//! CMAF as encoders push it: bytes in, headers and chunks out.
//!
//! The grammar of one body is
//! `[ftyp moov]? ( [styp] [sidx]* [prft] [emsg]* [other]* moof mdat+ )* [mfra]`
//! (ISO/IEC 23000-19 section 7.3); a chunk begins with the first box before its
//! moof that belongs to it. HTTP chunk boundaries, file names and content types
//! say nothing here. Payload of mdat is moved, never read.
//!
//! A [`Parser`] turns bytes into [`Event`]s; [`resolve()`] turns a [`Chunk`] and
//! the [`Header`] in force into one [`TrackChunk`] a track; [`cut()`] splits one.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::media::bmff::FourCc;
use crate::time::{Timescale, Wall};

mod codec;
mod colour;
mod cut;
mod header;
mod message;
mod moof;
mod parser;
mod resolve;
mod role;
mod sound;
#[cfg(test)]
mod testing;
mod write;

pub use cut::{cut, cut_text};
pub use message::{Message, MessageTime, messages};
pub use parser::Parser;
pub use resolve::resolve;
pub use role::{Role, Roles};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Handler `vide`.
    Video,
    /// Handler `soun`.
    Audio,
    /// Handlers `text` and `subt`.
    Text,
    /// Handler `meta`.
    Metadata,
}

impl Kind {
    /// As reports say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Text => "text",
            Self::Metadata => "metadata",
        }
    }
}

/// How light becomes a signal (ISO/IEC 23091-2): what tells high dynamic range
/// from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transfer {
    /// Standard dynamic range, by whichever curve.
    Sdr,
    /// Hybrid log-gamma.
    Hlg,
    /// Perceptual quantizer.
    Pq,
}

/// A CMAF header (ftyp and moov) with everything that was learned from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The boxes as they came, ftyp and moov.
    pub bytes: Bytes,
    /// One entry a trak, in order of appearance; at least one.
    pub tracks: Vec<TrackHeader>,
}

/// One track of a CMAF header.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackHeader {
    /// `track_ID` of tkhd.
    pub track_id: u32,
    /// From hdlr.
    pub kind: Kind,
    /// From mdhd.
    pub timescale: Timescale,
    /// RFC 6381 string, `avc1.64001f` for example.
    pub codec: String,
    /// BCP 47 from elng, else from mdhd; `None` for `und`.
    pub language: Option<String>,
    /// Luma samples, from the sample entry; video only.
    pub width: u32,
    /// Luma lines, from the sample entry; video only.
    pub height: u32,
    /// Width and height to show it with, in square pixels: from tkhd, else from
    /// the sample entry and its pixel aspect; video only.
    pub display: (u32, u32),
    /// From colr or the decoder configuration, where either says it.
    pub transfer: Option<Transfer>,
    /// Samples a second, audio only.
    pub sample_rate: u32,
    /// Channels from the decoder configuration, else from the sample entry;
    /// audio only.
    pub channels: u32,
    /// Objects of joint object coding beside the channels (Dolby Atmos).
    pub joint_objects: Option<u8>,
    /// From the kind boxes of udta.
    pub roles: Roles,
    /// `btrt` average or maximum bit rate, where present.
    pub bitrate: Option<u32>,
    /// What the edit list subtracts from composition time, in ticks: the
    /// `media_time` of the first real edit less the duration of empty edits
    /// before it.
    pub edit_shift_ticks: i64,
    /// Defaults of trex.
    pub defaults: SampleDefaults,
    /// Whether the sample entry is encv or enca.
    pub encrypted: bool,
    /// A header of this track alone: the bytes as they came when there is only
    /// one track, else ftyp and a moov with the other tracks left out.
    pub bytes: Bytes,
    /// A hash of `bytes` with creation and modification times masked: equal for
    /// headers that differ in nothing else.
    pub digest: u64,
}

/// Defaults of trex, or of tfhd over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleDefaults {
    /// Ticks.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// As in ISO/IEC 14496-12 section 8.8.3.1.
    pub flags: u32,
}

/// One sample with all defaults applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// As in ISO/IEC 14496-12 section 8.8.3.1.
    pub flags: u32,
    /// Composition time less decode time, in ticks.
    pub cts: i32,
}

impl Sample {
    /// Whether decoding can start here: `sample_is_non_sync_sample` is clear.
    pub fn is_sync(&self) -> bool {
        self.flags & 0x0001_0000 == 0
    }
}

/// A producer reference time (prft) in front of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerTime {
    /// The track it speaks of.
    pub track_id: u32,
    /// Wall clock at the encoder or at capture.
    pub wall: Wall,
    /// The media time that was dated, in ticks of the track: that of the chunk,
    /// give or take its edit list, so that it can lie before zero.
    pub media_time: i64,
}

/// What the parser saw, in the order of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// ftyp and moov are whole.
    Header(Header),
    /// A moof and its mdat are whole.
    Chunk(Box<Chunk>),
    /// An mfra: a file ends with it.
    End {
        /// It is empty: the source says that the track is over (DASH-IF live
        /// media ingest, interface 1, its older form).
        over: bool,
    },
}

/// A chunk of one or more tracks, as it came but for sidx, which is left out:
/// its offsets would be wrong once chunks are grouped anew, and no player of
/// live media reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// All its boxes: prefix, moof, mdat.
    pub bytes: Bytes,
    /// Position in the body of the first box of the chunk.
    pub at: u64,
    /// Position in the body of its moof.
    pub moof_at: u64,
    /// Whether a styp stands in front: the source begins a segment here.
    pub styp: bool,
    /// Brand `lmsg` in styp: last segment of the track.
    pub last: bool,
    /// Brand `slat` in styp: filler that gives way to real media.
    pub slate: bool,
    /// prft in front of it; the first one when there are several.
    pub producer_time: Option<ProducerTime>,
    /// Bytes before the moof.
    pub prefix_len: usize,
    /// Bytes before the first byte of media, which follows the header of the
    /// first mdat.
    pub payload_from: usize,
    /// `sequence_number` of mfhd.
    pub sequence_number: u32,
    /// One entry a traf, as parsed, before the defaults of a header are known.
    pub fragments: SmallVec<[Fragment; 1]>,
}

/// One chunk of one track, ready for a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackChunk {
    /// Boxes of this track alone: prefix, moof, mdat.
    pub bytes: Bytes,
    /// Position of its source in the body, for complaints.
    pub at: u64,
    /// Decode time of the first sample, in ticks, as sent (32-bit times are not
    /// unwrapped here).
    pub decode_time: u64,
    /// Whether tfdt was of version 0 and so wraps at 2^32.
    pub wraps: bool,
    /// Sum of the sample durations in ticks; never zero.
    pub duration: u64,
    /// Least composition time less decode time of the first sample, in ticks,
    /// before the edit list.
    pub presentation_shift: i64,
    /// Samples in decode order, at least one.
    pub samples: Vec<Sample>,
    /// Bytes from the start of `bytes` to the end of the first sample: all that
    /// is needed to decode it, if it is independent.
    pub first_sample_end: usize,
    /// Whether a styp stands in front.
    pub styp: bool,
    /// The track ends with this segment.
    pub last: bool,
    /// Filler.
    pub slate: bool,
    /// Wall clock from prft, if it speaks of this track.
    pub producer_time: Option<ProducerTime>,
}

impl TrackChunk {
    /// Whether decoding can start at its first sample.
    pub fn is_independent(&self) -> bool {
        self.samples.first().is_some_and(Sample::is_sync)
    }
}

/// One traf as parsed; defaults of the header are not applied yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// From tfhd.
    pub track_id: u32,
    /// Position of the traf in the body.
    pub at: u64,
    /// From tfdt, as sent.
    pub decode_time: u64,
    /// Whether tfdt was of version 0 and so wraps at 2^32.
    pub wraps: bool,
    /// What data offsets count from.
    pub base: DataBase,
    /// `sample_description_index` of tfhd, where present.
    pub description_index: Option<u32>,
    /// `default_sample_duration` of tfhd, where present.
    pub duration: Option<u32>,
    /// `default_sample_size` of tfhd, where present.
    pub size: Option<u32>,
    /// `default_sample_flags` of tfhd, where present.
    pub flags: Option<u32>,
    /// Its truns in order.
    pub runs: SmallVec<[Run; 1]>,
    /// Its other boxes.
    pub extras: SmallVec<[Extra; 1]>,
}

/// What the data offsets of a fragment count from (ISO/IEC 14496-12 section
/// 8.8.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataBase {
    /// The moof: `default-base-is-moof`, the one form CMAF allows.
    Moof,
    /// A position in the file: `base_data_offset`.
    File(u64),
    /// The end of the fragment before, or the moof for the first one.
    Previous,
}

/// One trun as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Start of its data from the base; absent when it follows the run before.
    pub data_offset: Option<i32>,
    /// Flags of its first sample.
    pub first_flags: Option<u32>,
    /// Whether `samples` hold durations of their own.
    pub has_durations: bool,
    /// Whether `samples` hold sizes of their own.
    pub has_sizes: bool,
    /// Whether `samples` hold flags of their own.
    pub has_flags: bool,
    /// Samples in decode order; fields that the trun does not give are zero.
    pub samples: Vec<Sample>,
}

/// A box of a traf besides tfhd, tfdt and trun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Type of the box.
    pub name: FourCc,
    /// Where it starts, in bytes from the start of the moof.
    pub from: usize,
    /// Bytes of the box.
    pub len: usize,
}
