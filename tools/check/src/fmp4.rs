//! As much of fragmented MP4 as says when samples are decoded and what they are.
//!
//! Every length comes from an origin that may be hostile: nothing is indexed
//! without a look, and nothing grows beyond the bytes that were given.

use crate::limits;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Offset in the bytes given.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "byte {}: {}", self.at, self.why)
    }
}

type Result<T> = std::result::Result<T, Broken>;

/// What a header section says of its tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// In order.
    pub tracks: Vec<Track>,
}

/// One track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// `track_ID`.
    pub id: u32,
    /// Ticks in a second.
    pub timescale: u32,
    /// `vide`, `soun`, `text` and so on.
    pub handler: [u8; 4],
    /// Format of its samples; that of the original where it is encrypted.
    pub format: [u8; 4],
    /// Profile bytes of AVC, for its codec string.
    pub avc_profile: Option<[u8; 3]>,
    /// `transfer_characteristics`, where a `colr` box tells.
    pub transfer: Option<u16>,
    /// Media time at which presentation begins.
    pub edit_ticks: i64,
    defaults: Defaults,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

/// What one track has in one movie fragment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment {
    /// `track_ID`.
    pub track: u32,
    /// `baseMediaDecodeTime`; `None` where there is no `tfdt`.
    pub decode_ticks: Option<u64>,
    /// All its samples.
    pub duration_ticks: u64,
    /// Longest of its samples.
    pub longest_ticks: u32,
    /// Earliest presentation, relative to the decode time.
    pub composition_ticks: i64,
    /// How many.
    pub samples: u64,
    /// Whether the first can be decoded by itself.
    pub starts_sync: bool,
    /// Where the first sample ends, in the bytes given.
    pub first_sample_end: Option<u64>,
}

/// Media bytes, looked into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// Types of the boxes on top, in order.
    pub boxes: Vec<[u8; 4]>,
    /// By movie fragment and track.
    pub fragments: Vec<Fragment>,
    /// Where the bytes of each `mdat` lie.
    pub data: Vec<(usize, usize)>,
}

/// Whether bytes look like ISO media at all, by their first box.
pub fn is_iso(bytes: &[u8]) -> bool {
    let kinds: [&[u8]; 8] = [
        b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg", b"prft", b"mdat",
    ];
    bytes.get(4..8).is_some_and(|kind| kinds.contains(&kind))
}

impl Header {
    /// Reads a header section.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut out = Self::default();
        let mut fragment_defaults = Vec::new();
        let mut reader = Boxes::new(bytes);
        reader.each(
            0,
            bytes.len(),
            0,
            &mut |inner, kind, from, to, depth| match kind {
                b"moov" | b"mvex" => inner.descend(from, to, depth),
                b"trak" => {
                    let track = Track::parse(bytes, from, to)?;
                    out.tracks.push(track);
                    Ok(())
                }
                b"trex" => {
                    let id = be32(bytes, from + 4, to)?;
                    fragment_defaults.push((
                        id,
                        Defaults {
                            duration: be32(bytes, from + 12, to)?,
                            size: be32(bytes, from + 16, to)?,
                            flags: be32(bytes, from + 20, to)?,
                        },
                    ));
                    Ok(())
                }
                _ => Ok(()),
            },
        )?;
        for track in &mut out.tracks {
            let found = fragment_defaults.iter().find(|(id, _)| *id == track.id);
            track.defaults = found.map(|(_, defaults)| *defaults).unwrap_or_default();
        }
        match out.tracks.is_empty() {
            true => Err(Broken {
                at: 0,
                why: "no track in it",
            }),
            false => Ok(out),
        }
    }

    /// A track by number.
    pub fn track(&self, id: u32) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }
}

impl Track {
    fn parse(bytes: &[u8], from: usize, to: usize) -> Result<Self> {
        let mut out = Self::default();
        Boxes::new(bytes).each(from, to, 2, &mut |inner, kind, from, to, depth| {
            match kind {
                b"mdia" | b"minf" | b"stbl" | b"edts" => return inner.descend(from, to, depth),
                b"tkhd" => {
                    let long = version(bytes, from, to)? == 1;
                    out.id = be32(bytes, from + if long { 20 } else { 12 }, to)?;
                }
                b"mdhd" => {
                    let long = version(bytes, from, to)? == 1;
                    out.timescale = be32(bytes, from + if long { 20 } else { 12 }, to)?;
                }
                b"hdlr" => out.handler = four(bytes, from + 8, to)?,
                b"elst" => out.edit_ticks = edit(bytes, from, to)?,
                b"stsd" => out.entry(bytes, from + 8, to, depth)?,
                _ => {}
            }
            Ok(())
        })?;
        if out.timescale == 0 {
            return Err(Broken {
                at: from,
                why: "a track without a time scale",
            });
        }
        Ok(out)
    }

    /// The first sample entry.
    fn entry(&mut self, bytes: &[u8], from: usize, to: usize, depth: usize) -> Result<()> {
        let mut first = true;
        Boxes::new(bytes).each(from, to, depth, &mut |inner, kind, from, to, depth| {
            if std::mem::take(&mut first) {
                self.format = *kind;
                // What stands in front of the boxes of an entry.
                let fixed = match &self.handler {
                    b"vide" => 78,
                    b"soun" => 28,
                    _ => return Ok(()),
                };
                return match from.checked_add(fixed) {
                    Some(from) if from <= to => inner.descend(from, to, depth),
                    _ => Ok(()),
                };
            }
            match kind {
                b"sinf" => return inner.descend(from, to, depth),
                b"frma" => self.format = four(bytes, from, to)?,
                b"avcC" => {
                    let [_, profile, compatible, level] = four(bytes, from, to)?;
                    self.avc_profile = Some([profile, compatible, level]);
                }
                b"colr" if four(bytes, from, to)? == *b"nclx" => {
                    self.transfer = Some(be16(bytes, from + 6, to)?);
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// Its format as codec strings begin with it.
    pub fn codec(&self) -> String {
        let format = String::from_utf8_lossy(&self.format).into_owned();
        match self.avc_profile {
            Some([profile, compatible, level]) if matches!(&self.format, b"avc1" | b"avc3") => {
                format!("{format}.{profile:02x}{compatible:02x}{level:02x}")
            }
            _ => format,
        }
    }
}

impl Media {
    /// Reads parts or segments behind their header.
    pub fn parse(bytes: &[u8], header: &Header) -> Result<Self> {
        let mut out = Self::default();
        Boxes::new(bytes).each(0, bytes.len(), 0, &mut |inner, kind, from, to, depth| {
            out.boxes.push(*kind);
            match kind {
                b"moof" => {
                    let whole = (inner.start, from, to);
                    out.fragments
                        .append(&mut movie_fragment(bytes, whole, depth, header)?);
                }
                b"mdat" => out.data.push((from, to)),
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

fn movie_fragment(
    bytes: &[u8],
    (start, from, to): (usize, usize, usize),
    depth: usize,
    header: &Header,
) -> Result<Vec<Fragment>> {
    let mut out = Vec::new();
    Boxes::new(bytes).each(from, to, depth + 1, &mut |_, kind, from, to, depth| {
        if kind == b"traf" {
            out.push(track_fragment(bytes, (start, from, to), depth, header)?);
        }
        Ok(())
    })?;
    Ok(out)
}

fn track_fragment(
    bytes: &[u8],
    (start, from, to): (usize, usize, usize),
    depth: usize,
    header: &Header,
) -> Result<Fragment> {
    let mut out = Fragment::default();
    let mut defaults = Defaults::default();
    let mut base = start as u64;
    Boxes::new(bytes).each(from, to, depth + 1, &mut |_, kind, from, to, _| {
        match kind {
            b"tfhd" => {
                let flags = be32(bytes, from, to)? & 0xff_ffff;
                out.track = be32(bytes, from + 4, to)?;
                let track = header.track(out.track);
                defaults = track.map(|track| track.defaults).unwrap_or_default();
                let mut at = from + 8;
                if flags & 0x1 != 0 {
                    base = be64(bytes, at, to)?;
                    at += 8;
                }
                if flags & 0x2 != 0 {
                    at += 4;
                }
                let fields = [
                    (0x8, &mut defaults.duration),
                    (0x10, &mut defaults.size),
                    (0x20, &mut defaults.flags),
                ];
                for (flag, field) in fields {
                    if flags & flag != 0 {
                        *field = be32(bytes, at, to)?;
                        at += 4;
                    }
                }
            }
            b"tfdt" => {
                out.decode_ticks = Some(match version(bytes, from, to)? {
                    1 => be64(bytes, from + 4, to)?,
                    _ => u64::from(be32(bytes, from + 4, to)?),
                });
            }
            b"trun" => run(bytes, from, to, base, &defaults, &mut out)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(out)
}

fn run(
    bytes: &[u8],
    from: usize,
    to: usize,
    base: u64,
    defaults: &Defaults,
    out: &mut Fragment,
) -> Result<()> {
    let flags = be32(bytes, from, to)?;
    let (signed, flags) = (flags >> 24 == 1, flags & 0xff_ffff);
    let count = be32(bytes, from + 4, to)?;
    if count > limits::RUN_SAMPLES_MAX {
        return Err(Broken {
            at: from,
            why: "more samples in a run than in a segment of live media",
        });
    }
    let mut at = from + 8;
    let mut optional = |flag: u32| -> Result<Option<u32>> {
        if flags & flag == 0 {
            return Ok(None);
        }
        let value = be32(bytes, at, to)?;
        at += 4;
        Ok(Some(value))
    };
    let data_offset = optional(0x1)?.map(|offset| offset as i32);
    let first_flags = optional(0x4)?;
    let before = out.duration_ticks;
    for _ in 0..count {
        let duration = optional(0x100)?.unwrap_or(defaults.duration);
        let size = optional(0x200)?.unwrap_or(defaults.size);
        let own_flags = optional(0x400)?;
        let composition = optional(0x800)?.unwrap_or(0);
        let composition = if signed {
            i64::from(composition as i32)
        } else {
            i64::from(composition)
        };
        // Both sums stay small: counts are limited and fields have 32 bits.
        let presented = (out.duration_ticks - before) as i64 + composition;
        if out.samples == 0 {
            let flags = own_flags.or(first_flags).unwrap_or(defaults.flags);
            out.starts_sync = flags & 0x1_0000 == 0;
            out.composition_ticks = presented;
            let offset = data_offset.map(|offset| base.saturating_add_signed(i64::from(offset)));
            out.first_sample_end = offset.map(|offset| offset.saturating_add(u64::from(size)));
        }
        let earlier = before as i64 + presented;
        out.composition_ticks = out.composition_ticks.min(earlier);
        out.longest_ticks = out.longest_ticks.max(duration);
        out.duration_ticks += u64::from(duration);
        out.samples += 1;
    }
    Ok(())
}

/// Media time of the edit that is presented.
fn edit(bytes: &[u8], from: usize, to: usize) -> Result<i64> {
    let long = version(bytes, from, to)? == 1;
    let count = be32(bytes, from + 4, to)?.min(16) as usize;
    let step = if long { 20 } else { 12 };
    for index in 0..count {
        let at = from + 8 + index * step;
        let media = match long {
            true => be64(bytes, at + 8, to)? as i64,
            false => i64::from(be32(bytes, at + 4, to)? as i32),
        };
        // An empty edit (-1) is one to skip.
        if media >= 0 {
            return Ok(media);
        }
    }
    Ok(0)
}

type Visit<'v> = dyn FnMut(&mut Descent, &[u8; 4], usize, usize, usize) -> Result<()> + 'v;

/// The box that is visited, and where to go on inside it.
struct Descent {
    start: usize,
    into: Option<(usize, usize, usize)>,
}

impl Descent {
    fn descend(&mut self, from: usize, to: usize, depth: usize) -> Result<()> {
        self.into = Some((from, to, depth + 1));
        Ok(())
    }
}

struct Boxes<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Boxes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            left: limits::BOXES_MAX,
        }
    }

    /// Calls `visit` with type, first and last byte and depth of each box.
    fn each(&mut self, from: usize, to: usize, depth: usize, visit: &mut Visit<'_>) -> Result<()> {
        if depth > limits::BOX_DEPTH_MAX {
            return Err(Broken {
                at: from,
                why: "boxes are nested too deeply",
            });
        }
        let mut at = from;
        while at < to {
            self.left = self.left.checked_sub(1).ok_or(Broken {
                at,
                why: "too many boxes",
            })?;
            let kind = four(self.bytes, at + 4, to)?;
            let (head, len) = match be32(self.bytes, at, to)? {
                0 => (8, (to - at) as u64),
                1 => (16, be64(self.bytes, at + 8, to)?),
                len => (8, u64::from(len)),
            };
            if len < head || len > (to - at) as u64 {
                return Err(Broken {
                    at,
                    why: "a box is longer than what holds it, or shorter than its head",
                });
            }
            let end = at + len as usize;
            let mut descent = Descent {
                start: at,
                into: None,
            };
            visit(&mut descent, &kind, at + head as usize, end, depth)?;
            if let Some((from, to, depth)) = descent.into {
                self.each(from, to, depth, visit)?;
            }
            at = end;
        }
        Ok(())
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize, to: usize) -> Result<[u8; N]> {
    let end = at.checked_add(N).filter(|end| *end <= to);
    let found = end
        .and_then(|end| bytes.get(at..end))
        .and_then(|bytes| bytes.try_into().ok());
    found.ok_or(Broken {
        at,
        why: "a box ends in the middle of a field",
    })
}

fn four(bytes: &[u8], at: usize, to: usize) -> Result<[u8; 4]> {
    take(bytes, at, to)
}

fn be16(bytes: &[u8], at: usize, to: usize) -> Result<u16> {
    take(bytes, at, to).map(u16::from_be_bytes)
}

fn be32(bytes: &[u8], at: usize, to: usize) -> Result<u32> {
    take(bytes, at, to).map(u32::from_be_bytes)
}

fn be64(bytes: &[u8], at: usize, to: usize) -> Result<u64> {
    take(bytes, at, to).map(u64::from_be_bytes)
}

fn version(bytes: &[u8], at: usize, to: usize) -> Result<u8> {
    take(bytes, at, to).map(|[version]: [u8; 1]| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(name: &str) -> Vec<u8> {
        let path = format!("{}/../../fixtures/demo/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).expect("a fixture")
    }

    #[test]
    fn a_real_track_is_read_whole() {
        for (name, timescale, codec, handler) in [
            ("video-540p.cmfv", 90_000, "avc1.", b"vide"),
            ("audio.cmfa", 48_000, "mp4a", b"soun"),
        ] {
            let bytes = demo(name);
            let header = Header::parse(&bytes).expect("a header");
            let [track] = &header.tracks[..] else {
                panic!("one track")
            };
            assert_eq!((track.timescale, &track.handler), (timescale, handler));
            assert!(track.codec().starts_with(codec), "{}", track.codec());
            let media = Media::parse(&bytes, &header).expect("media");
            let mut next = 0;
            for fragment in &media.fragments {
                assert_eq!(
                    (fragment.track, fragment.decode_ticks),
                    (track.id, Some(next))
                );
                next += fragment.duration_ticks;
            }
            assert!(next > 0 && media.fragments[0].starts_sync);
            let first = media.fragments[0].first_sample_end.expect("an offset") as usize;
            assert!(media.data[0].0 < first && first <= media.data[0].1);
        }
    }

    #[test]
    fn cut_or_damaged_bytes_never_harm() {
        let whole = demo("audio.cmfa");
        let header = Header::parse(&whole).expect("a header");
        let start = &whole[..whole.len().min(4096)];
        for len in 0..start.len() {
            let _ = Header::parse(&start[..len]);
            let _ = Media::parse(&start[..len], &header);
        }
        let mut seed = 7u32;
        for _ in 0..20_000 {
            let mut bytes = start.to_vec();
            for _ in 0..4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            let _ = Header::parse(&bytes);
            let _ = Media::parse(&bytes, &header);
        }
    }

    #[test]
    fn a_run_cannot_claim_more_samples_than_a_segment_has() {
        // Default sizes make a run of four billion samples a dozen bytes long.
        let trun = [
            0, 0, 0, 16, b't', b'r', b'u', b'n', 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
        ];
        let traf = [&[0, 0, 0, 24, b't', b'r', b'a', b'f'], &trun[..]].concat();
        let moof = [&[0, 0, 0, 32, b'm', b'o', b'o', b'f'], &traf[..]].concat();
        let broken = Media::parse(&moof, &Header::default()).expect_err("too many");
        assert_eq!(
            broken.why,
            "more samples in a run than in a segment of live media"
        );
    }
}
