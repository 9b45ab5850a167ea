//! Writes CMAF headers and chunks.

use crate::cmaf::{FlagLayout, Kind, Sample, TrackSpec};

const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;

/// One track's share of a chunk.
#[derive(Debug)]
pub struct Fragment<'a> {
    /// Whose it is.
    pub spec: &'a TrackSpec,
    /// Decode time of the first sample, in ticks; cut to 32 bits when the
    /// layout says so.
    pub decode_time: u64,
    /// Its samples.
    pub samples: &'a [Sample],
}

/// What stands in front of a moof.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefix {
    /// A styp with these brands.
    pub styp: Option<&'static [&'static [u8; 4]]>,
    /// A prft: NTP time in microseconds since 1970 and the track's media time.
    pub prft_us: Option<i64>,
    /// An emsg and an unknown box, to be carried along.
    pub extras: bool,
    /// A splice that is announced.
    pub cue: Option<Cue>,
}

/// A splice that is announced, in ticks of the first track.
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// Its presentation time.
    pub at: u64,
    /// Its event id.
    pub event_id: u32,
    /// Out, else back in.
    pub out: bool,
}

/// ftyp and moov of `tracks`.
pub fn header(tracks: &[TrackSpec]) -> Vec<u8> {
    let mut out = Vec::new();
    boxed(&mut out, b"ftyp", |out| {
        out.extend_from_slice(b"cmf2\0\0\0\0iso6cmfccmf2");
    });
    boxed(&mut out, b"moov", |out| {
        full(out, b"mvhd", 0, 0, |out| {
            words(out, &[0, 0, 1000, 0, 0x0001_0000, 0x0100_0000, 0, 0]);
            matrix(out);
            words(out, &[0, 0, 0, 0, 0, 0, 1 + tracks.len() as u32]);
        });
        for track in tracks {
            trak(out, track);
        }
        boxed(out, b"mvex", |out| {
            for track in tracks {
                full(out, b"trex", 0, 0, |out| {
                    words(out, &[track.track_id, 1, 0, 0, trex_flags(track)]);
                });
            }
        });
    });
    out
}

/// prefix, moof and mdat of one chunk.
pub fn chunk(sequence: u32, prefix: Prefix, fragments: &[Fragment<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(brands) = prefix.styp {
        boxed(&mut out, b"styp", |out| {
            out.extend_from_slice(brands[0]);
            words(out, &[0]);
            brands
                .iter()
                .for_each(|brand| out.extend_from_slice(*brand));
        });
    }
    if let Some(wall_us) = prefix.prft_us {
        full(&mut out, b"prft", 1, 0, |out| {
            let ntp_s = (wall_us.div_euclid(1_000_000) + 2_208_988_800) as u32;
            let fraction = ((wall_us.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
            words(out, &[fragments[0].spec.track_id, ntp_s, fraction as u32]);
            out.extend_from_slice(&fragments[0].decode_time.to_be_bytes());
        });
    }
    if prefix.extras {
        full(&mut out, b"emsg", 1, 0, |out| {
            words(out, &[1000, 0, 0, 0xffff_ffff, sequence]);
            out.extend_from_slice(b"urn:example:sim\0v\0payload");
        });
        boxed(&mut out, b"skip", |out| out.extend_from_slice(&[0xaa; 5]));
    }
    if let Some(cue) = prefix.cue {
        full(&mut out, b"emsg", 1, 0, |out| {
            words(out, &[fragments[0].spec.timescale]);
            out.extend_from_slice(&cue.at.to_be_bytes());
            words(out, &[0xffff_ffff, sequence]);
            out.extend_from_slice(b"urn:scte:scte35:2013:bin\0v\0");
            out.extend(splice_insert(cue));
        });
    }
    // trun offsets depend on the size of moof, which doesn't depend on them.
    let moof_len = moof(sequence, fragments, 0).len();
    out.extend(moof(sequence, fragments, moof_len));
    let payload: usize = fragments.iter().map(payload_len).sum();
    if fragments[0].spec.layout.large_mdat {
        words(&mut out, &[1, u32::from_be_bytes(*b"mdat")]);
        out.extend_from_slice(&(payload as u64 + 16).to_be_bytes());
    } else {
        words(
            &mut out,
            &[payload as u32 + 8, u32::from_be_bytes(*b"mdat")],
        );
    }
    for sample in fragments.iter().flat_map(|fragment| fragment.samples) {
        out.extend_from_slice(&sample.payload);
    }
    out
}

/// `splice_insert()` of a whole program, at once, in its section.
fn splice_insert(cue: Cue) -> Vec<u8> {
    let mut out = vec![0xfc, 0x30, 27, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 10, 5];
    words(&mut out, &[cue.event_id]);
    out.extend([0x7f, if cue.out { 0xdf } else { 0x5f }, 0, 0, 0, 0, 0, 0]);
    let crc = out.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    words(&mut out, &[crc]);
    out
}

fn payload_len(fragment: &Fragment<'_>) -> usize {
    fragment
        .samples
        .iter()
        .map(|sample| sample.payload.len())
        .sum()
}

fn moof(sequence: u32, fragments: &[Fragment<'_>], moof_len: usize) -> Vec<u8> {
    let mdat_head = if fragments[0].spec.layout.large_mdat {
        16
    } else {
        8
    };
    let mut out = Vec::new();
    boxed(&mut out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| words(out, &[sequence]));
        let mut offset = moof_len + mdat_head;
        for fragment in fragments {
            boxed(out, b"traf", |out| traf(out, fragment, offset as u32));
            offset += payload_len(fragment);
        }
    });
    out
}

fn traf(out: &mut Vec<u8>, fragment: &Fragment<'_>, data_offset: u32) {
    let spec = fragment.spec;
    let layout = spec.layout;
    let flags: Vec<u32> = fragment
        .samples
        .iter()
        .map(|sample| if sample.sync { SYNC } else { NOT_SYNC })
        .collect();
    let tfhd_flags = (layout.flags == FlagLayout::FirstSample).then(|| *flags.last().unwrap_or(&0));
    let default_flags = tfhd_flags.unwrap_or_else(|| trex_flags(spec));
    // Layouts with defaults need flags a sample when more than the first one
    // differs from the default.
    let per_sample = layout.flags == FlagLayout::PerSample
        || flags.iter().skip(1).any(|flag| *flag != default_flags);
    let first = !per_sample && flags[0] != default_flags;

    let duration = (!layout.durations_in_trun).then_some(spec.sample_ticks);
    let tfhd = 0x02_0000
        | if duration.is_some() { 0x08 } else { 0 }
        | if tfhd_flags.is_some() { 0x20 } else { 0 };
    full(out, b"tfhd", 0, tfhd, |out| {
        words(out, &[spec.track_id]);
        words(out, duration.as_slice());
        words(out, tfhd_flags.as_slice());
    });
    full(out, b"tfdt", u8::from(layout.wide_tfdt), 0, |out| {
        if layout.wide_tfdt {
            out.extend_from_slice(&fragment.decode_time.to_be_bytes());
        } else {
            words(out, &[fragment.decode_time as u32]);
        }
    });
    let trun = 0x01
        | if first { 0x04 } else { 0 }
        | if layout.durations_in_trun { 0x100 } else { 0 }
        | 0x200
        | if per_sample { 0x400 } else { 0 }
        | if layout.cts.is_some() { 0x800 } else { 0 };
    full(out, b"trun", layout.cts.unwrap_or(0), trun, |out| {
        words(out, &[fragment.samples.len() as u32, data_offset]);
        if first {
            words(out, &[flags[0]]);
        }
        for (sample, flag) in fragment.samples.iter().zip(&flags) {
            if layout.durations_in_trun {
                words(out, &[sample.duration]);
            }
            words(out, &[sample.payload.len() as u32]);
            if per_sample {
                words(out, &[*flag]);
            }
            if layout.cts.is_some() {
                words(out, &[sample.cts as u32]);
            }
        }
    });
}

fn trex_flags(track: &TrackSpec) -> u32 {
    match (track.layout.flags, track.kind) {
        (FlagLayout::Trex, Kind::Video) => NOT_SYNC,
        (FlagLayout::Trex, Kind::Audio | Kind::Text) => SYNC,
        _ => 0,
    }
}

fn trak(out: &mut Vec<u8>, track: &TrackSpec) {
    let video = track.kind == Kind::Video;
    let (width, height) = if video {
        (track.width, track.width / 16 * 9)
    } else {
        (0, 0)
    };
    boxed(out, b"trak", |out| {
        full(out, b"tkhd", 0, 7, |out| {
            words(out, &[0, 0, track.track_id, 0, 0, 0, 0, 0]);
            let sound = track.kind == Kind::Audio;
            words(out, &[if sound { 0x0100_0000 } else { 0 }]);
            matrix(out);
            words(out, &[u32::from(width) << 16, u32::from(height) << 16]);
        });
        boxed(out, b"mdia", |out| {
            full(out, b"mdhd", 0, 0, |out| {
                words(out, &[0, 0, track.timescale, 0, 0x55c4_0000])
            });
            full(out, b"hdlr", 0, 0, |out| {
                words(out, &[0]);
                out.extend_from_slice(match track.kind {
                    Kind::Video => b"vide",
                    Kind::Audio => b"soun",
                    Kind::Text => b"text",
                });
                words(out, &[0, 0, 0]);
                out.push(0);
            });
            boxed(out, b"minf", |out| {
                match track.kind {
                    Kind::Video => full(out, b"vmhd", 0, 1, |out| words(out, &[0, 0])),
                    Kind::Audio => full(out, b"smhd", 0, 0, |out| words(out, &[0])),
                    Kind::Text => full(out, b"nmhd", 0, 0, |_| {}),
                }
                boxed(out, b"dinf", |out| {
                    full(out, b"dref", 0, 0, |out| {
                        words(out, &[1]);
                        full(out, b"url ", 0, 1, |_| {});
                    });
                });
                boxed(out, b"stbl", |out| {
                    full(out, b"stsd", 0, 0, |out| {
                        words(out, &[1]);
                        match track.kind {
                            Kind::Video => avc1(out, width, height),
                            Kind::Audio => mp4a(out, track.timescale),
                            Kind::Text => wvtt(out),
                        }
                    });
                    for name in [b"stts", b"stsc", b"stco"] {
                        full(out, name, 0, 0, |out| words(out, &[0]));
                    }
                    full(out, b"stsz", 0, 0, |out| words(out, &[0, 0]));
                });
            });
        });
    });
}

fn avc1(out: &mut Vec<u8>, width: u16, height: u16) {
    boxed(out, b"avc1", |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&width.to_be_bytes());
        out.extend_from_slice(&height.to_be_bytes());
        words(out, &[0x0048_0000, 0x0048_0000, 0]);
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&[0; 32]);
        out.extend_from_slice(&[0, 0x18, 0xff, 0xff]);
        boxed(out, b"avcC", |out| {
            // Baseline 3.0 with one SPS and one PPS; nobody decodes them here.
            out.extend_from_slice(&[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1]);
            out.extend_from_slice(&[0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0, 0xa0, 0x47, 0xfe]);
            out.extend_from_slice(&[1, 0, 4, 0x68, 0xcb, 0x83, 0xcb]);
        });
    });
}

fn mp4a(out: &mut Vec<u8>, rate: u32) {
    boxed(out, b"mp4a", |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        words(out, &[0, 0]);
        out.extend_from_slice(&[0, 2, 0, 16, 0, 0, 0, 0]);
        words(out, &[rate.min(48_000) << 16]);
        full(out, b"esds", 0, 0, |out| {
            // ES, decoder configuration (AAC-LC, 48 kHz, stereo), SL.
            out.extend_from_slice(&[0x03, 25, 0, 1, 0, 0x04, 17, 0x40, 0x15, 0, 0, 0]);
            words(out, &[96_000, 96_000]);
            out.extend_from_slice(&[0x05, 2, 0x11, 0x90, 0x06, 1, 2]);
        });
    });
}

fn wvtt(out: &mut Vec<u8>) {
    boxed(out, b"wvtt", |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        boxed(out, b"vttC", |out| out.extend_from_slice(b"WEBVTT"));
    });
}

/// A whole box around what `body` writes.
pub fn boxed(out: &mut Vec<u8>, name: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    words(out, &[0]);
    out.extend_from_slice(name);
    body(out);
    let len = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

fn full(
    out: &mut Vec<u8>,
    name: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, name, |out| {
        words(out, &[u32::from(version) << 24 | flags]);
        body(out);
    });
}

fn words(out: &mut Vec<u8>, values: &[u32]) {
    values
        .iter()
        .for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
}

fn matrix(out: &mut Vec<u8>) {
    words(
        out,
        &[0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000],
    );
}
