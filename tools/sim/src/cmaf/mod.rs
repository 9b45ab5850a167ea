//! A CMAF writer and reader of the simulator's own: what encoders send and what
//! checkers read back. It shares no code with the origin under test.

pub mod payload;
pub mod read;
pub mod write;

/// What a simulated track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// avc1, groups of pictures.
    Video,
    /// mp4a, every sample can be decoded alone.
    Audio,
    /// wvtt, every sample can be decoded alone and may be cut in two that both
    /// have its bytes.
    Text,
}

/// Where the sync flag of a sample is written; all are in use in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagLayout {
    /// tfhd default and `first_sample_flags`.
    FirstSample,
    /// One flags field a sample in trun.
    PerSample,
    /// trex defaults, and `first_sample_flags` where they don't hold.
    Trex,
}

/// How the boxes of a track are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// 64-bit tfdt.
    pub wide_tfdt: bool,
    /// Where sync flags go.
    pub flags: FlagLayout,
    /// Durations in trun rather than in tfhd.
    pub durations_in_trun: bool,
    /// Composition offsets in trun, and in which version of it.
    pub cts: Option<u8>,
    /// A 64-bit size in the mdat header.
    pub large_mdat: bool,
}

/// A track as its CMAF header describes it.
#[derive(Clone, Copy, Debug)]
pub struct TrackSpec {
    /// Audio or video.
    pub kind: Kind,
    /// `track_ID`.
    pub track_id: u32,
    /// Ticks a second.
    pub timescale: u32,
    /// Ticks a sample.
    pub sample_ticks: u32,
    /// Width of video; audio ignores it. A new one makes a new header.
    pub width: u16,
    /// Box layout.
    pub layout: Layout,
}

/// One sample about to be written.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Ticks.
    pub duration: u32,
    /// Whether decoding can start at it.
    pub sync: bool,
    /// Ticks from decode to composition.
    pub cts: i32,
    /// Its bytes.
    pub payload: Vec<u8>,
}
