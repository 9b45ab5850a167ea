//! What stands in front of the media: styp, prft and moof.

use smallvec::SmallVec;

use super::{DataBase, Extra, Fragment, ProducerTime, Run, Sample, SampleDefaults};
use crate::limits;
use crate::media::bmff::{Child, Error, ErrorKind, FourCc, Reader};
use crate::time::Wall;

/// tfhd: `base_data_offset` is present.
const TFHD_BASE: u32 = 0x01;
/// tfhd: `sample_description_index` is present.
const TFHD_DESCRIPTION: u32 = 0x02;
/// tfhd: `default_sample_duration` is present.
const TFHD_DURATION: u32 = 0x08;
/// tfhd: `default_sample_size` is present.
const TFHD_SIZE: u32 = 0x10;
/// tfhd: `default_sample_flags` is present.
const TFHD_FLAGS: u32 = 0x20;
/// tfhd: data offsets count from the moof.
pub(super) const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;

/// trun: `data_offset` is present.
pub(super) const TRUN_DATA_OFFSET: u32 = 0x001;
/// trun: `first_sample_flags` is present.
const TRUN_FIRST_FLAGS: u32 = 0x004;
/// trun: samples have durations.
pub(super) const TRUN_DURATION: u32 = 0x100;
/// trun: samples have sizes.
pub(super) const TRUN_SIZE: u32 = 0x200;
/// trun: samples have flags.
pub(super) const TRUN_FLAGS: u32 = 0x400;
/// trun: samples have composition time offsets.
pub(super) const TRUN_CTS: u32 = 0x800;

/// Seconds from 1900-01-01 to 1970-01-01.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// What a moof says.
#[derive(Debug)]
pub(super) struct Moof {
    pub(super) sequence_number: u32,
    pub(super) fragments: SmallVec<[Fragment; 1]>,
}

/// What the brands of a styp say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentType {
    /// `lmsg`: the last segment.
    pub(super) last: bool,
    /// `slat`: filler.
    pub(super) slate: bool,
}

impl SegmentType {
    /// Reads the payload of a styp (ISO/IEC 14496-12 section 8.16.2).
    pub(super) fn read(mut payload: Reader<'_>) -> Result<Self, Error> {
        let major = payload.four_cc()?;
        let _minor_version = payload.u32()?;
        let mut out = Self::default();
        let mut brand = Some(major);
        while let Some(name) = brand {
            out.last |= name == *b"lmsg";
            out.slate |= name == *b"slat";
            brand = if payload.is_empty() {
                None
            } else {
                Some(payload.four_cc()?)
            };
        }
        Ok(out)
    }
}

impl ProducerTime {
    /// Reads the payload of a prft (ISO/IEC 14496-12 section 8.16.5).
    pub(super) fn read(mut payload: Reader<'_>) -> Result<Self, Error> {
        let (version, _) = payload.version_and_flags()?;
        let track_id = payload.u32()?;
        let (seconds, fraction) = (payload.u32()?, payload.u32()?);
        let media_time = payload.u32_or_u64(version)?.cast_signed();
        // RFC 2030 section 3: with the top bit clear the time is past 2036.
        let era = if seconds & 0x8000_0000 == 0 {
            1i64 << 32
        } else {
            0
        };
        let unix_s = i64::from(seconds) + era - NTP_TO_UNIX_S;
        let micros = (u64::from(fraction) * 1_000_000) >> 32;
        Ok(Self {
            track_id,
            wall: Wall(unix_s * 1_000_000 + micros as i64),
            media_time,
        })
    }
}

impl Moof {
    /// Reads a whole moof box.
    pub(super) fn read(moof: &Child<'_>) -> Result<Self, Error> {
        let mut sequence_number = None;
        let mut fragments = SmallVec::new();
        moof.payload.each(|child| {
            match &child.name.0 {
                b"mfhd" => {
                    let mut payload = child.payload;
                    payload.version_and_flags()?;
                    sequence_number = Some(payload.u32()?);
                }
                b"traf" => {
                    let count = fragments.len() as u64 + 1;
                    let max = limits::HEADER_TRACKS_MAX as u64;
                    if count > max {
                        let kind = ErrorKind::TooMany {
                            what: "traf count",
                            count,
                            max,
                        };
                        return Err(Error::new(child.at, kind));
                    }
                    fragments.push(Fragment::read(&child, moof.at)?);
                }
                _ => {}
            }
            Ok(())
        })?;
        let missing = |name: &[u8; 4]| Error::new(moof.at, ErrorKind::Missing(FourCc(*name)));
        let sequence_number = sequence_number.ok_or_else(|| missing(b"mfhd"))?;
        if fragments.is_empty() {
            return Err(missing(b"traf"));
        }
        Ok(Self {
            sequence_number,
            fragments,
        })
    }
}

impl Fragment {
    fn read(traf: &Child<'_>, moof_at: u64) -> Result<Self, Error> {
        let mut out = None;
        let mut time = None;
        let mut runs = SmallVec::new();
        let mut extras = SmallVec::new();
        let (mut boxes, mut samples) = (0u64, 0u64);
        traf.payload.each(|child| {
            boxes += 1;
            let max = limits::FRAGMENT_BOXES_MAX as u64;
            if boxes > max {
                let kind = ErrorKind::TooMany {
                    what: "box count of a traf",
                    count: boxes,
                    max,
                };
                return Err(Error::new(child.at, kind));
            }
            let repeated = || Err(Error::new(child.at, ErrorKind::Repeated(child.name)));
            match &child.name.0 {
                b"tfhd" if out.is_some() => return repeated(),
                b"tfhd" => out = Some(Self::read_tfhd(child.payload, traf.at)?),
                b"tfdt" if time.is_some() => return repeated(),
                b"tfdt" => {
                    let mut payload = child.payload;
                    let (version, _) = payload.version_and_flags()?;
                    time = Some((decode_time(&mut payload, version)?, version == 0));
                }
                b"trun" => runs.push(Run::read(child.payload, &mut samples)?),
                _ => extras.push(Extra {
                    name: child.name,
                    from: (child.at - moof_at) as usize,
                    len: child.bytes.len(),
                }),
            }
            Ok(())
        })?;
        let missing = |name: &[u8; 4]| Error::new(traf.at, ErrorKind::Missing(FourCc(*name)));
        let mut out = out.ok_or_else(|| missing(b"tfhd"))?;
        (out.decode_time, out.wraps) = time.ok_or_else(|| missing(b"tfdt"))?;
        (out.runs, out.extras) = (runs, extras);
        Ok(out)
    }

    /// Reads tfhd (ISO/IEC 14496-12 section 8.8.7); the other fields are empty.
    fn read_tfhd(mut payload: Reader<'_>, at: u64) -> Result<Self, Error> {
        let (_, flags) = payload.version_and_flags()?;
        let track_id = payload.u32()?;
        let base = if flags & TFHD_BASE != 0 {
            DataBase::File(payload.u64()?)
        } else if flags & TFHD_BASE_IS_MOOF != 0 {
            DataBase::Moof
        } else {
            DataBase::Previous
        };
        let mut field = |present: u32| -> Result<Option<u32>, Error> {
            if flags & present == 0 {
                Ok(None)
            } else {
                payload.u32().map(Some)
            }
        };
        Ok(Self {
            track_id,
            at,
            decode_time: 0,
            wraps: false,
            base,
            description_index: field(TFHD_DESCRIPTION)?,
            duration: field(TFHD_DURATION)?,
            size: field(TFHD_SIZE)?,
            flags: field(TFHD_FLAGS)?,
            runs: SmallVec::new(),
            extras: SmallVec::new(),
        })
    }

    /// The defaults for this fragment: those of tfhd over those of trex.
    pub(super) fn defaults(&self, trex: &SampleDefaults) -> SampleDefaults {
        SampleDefaults {
            duration: self.duration.unwrap_or(trex.duration),
            size: self.size.unwrap_or(trex.size),
            flags: self.flags.unwrap_or(trex.flags),
        }
    }
}

impl Run {
    /// Reads trun (ISO/IEC 14496-12 section 8.8.8). `samples_before` counts the
    /// samples of the whole traf.
    fn read(mut payload: Reader<'_>, samples_before: &mut u64) -> Result<Self, Error> {
        let (_, flags) = payload.version_and_flags()?;
        let count_at = payload;
        let count = payload.u32()?;
        *samples_before += u64::from(count);
        let max = limits::CHUNK_SAMPLES_MAX as u64;
        if *samples_before > max {
            let kind = ErrorKind::TooMany {
                what: "sample count",
                count: *samples_before,
                max,
            };
            return Err(count_at.error(kind));
        }
        let data_offset = if flags & TRUN_DATA_OFFSET == 0 {
            None
        } else {
            Some(payload.i32()?)
        };
        let first_flags = if flags & TRUN_FIRST_FLAGS == 0 {
            None
        } else {
            Some(payload.u32()?)
        };
        let (has_durations, has_sizes) = (flags & TRUN_DURATION != 0, flags & TRUN_SIZE != 0);
        let (has_flags, has_cts) = (flags & TRUN_FLAGS != 0, flags & TRUN_CTS != 0);
        let mut samples = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let mut field = |present: bool| {
                if present {
                    payload.u32()
                } else {
                    Ok::<u32, Error>(0)
                }
            };
            let (duration, size) = (field(has_durations)?, field(has_sizes)?);
            let flags = field(has_flags)?;
            // Signed in version 1. In version 0 no true offset needs the top
            // bit, but some muxers write negative ones.
            let cts = field(has_cts)? as i32;
            samples.push(Sample {
                duration,
                size,
                flags,
                cts,
            });
        }
        Ok(Self {
            data_offset,
            first_flags,
            has_durations,
            has_sizes,
            has_flags,
            samples,
        })
    }
}

/// A decode time that leaves room for sums.
fn decode_time(payload: &mut Reader<'_>, version: u8) -> Result<u64, Error> {
    let field = *payload;
    let ticks = payload.u32_or_u64(version)?;
    if ticks > limits::DECODE_TICKS_MAX {
        return Err(field.error(ErrorKind::Invalid("a decode time that no clock reaches")));
    }
    Ok(ticks)
}

/// Where the bytes of one run lie: from the start of the moof, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) from: i64,
    pub(super) len: i64,
}

/// The places of all runs, fragment by fragment. `default_size` gives, for the
/// fragment of an index, the size of samples without one of their own; `None`
/// where that is not known, or where an offset is absurd.
pub(super) fn places(
    fragments: &[Fragment],
    moof_at: u64,
    default_size: impl Fn(usize) -> Option<u32>,
) -> Option<Vec<SmallVec<[Place; 1]>>> {
    let mut previous_end = 0i64;
    let mut out = Vec::with_capacity(fragments.len());
    for (index, fragment) in fragments.iter().enumerate() {
        let base = match fragment.base {
            DataBase::Moof => 0,
            DataBase::File(offset) => i64::try_from(offset)
                .ok()?
                .checked_sub(i64::try_from(moof_at).ok()?)?,
            DataBase::Previous => previous_end,
        };
        let mut end = base;
        let mut of_fragment = SmallVec::new();
        for run in &fragment.runs {
            let from = run
                .data_offset
                .map_or(Some(end), |offset| base.checked_add(offset.into()))?;
            let len = if run.has_sizes {
                run.samples
                    .iter()
                    .map(|sample| i64::from(sample.size))
                    .sum::<i64>()
            } else {
                i64::from(default_size(index)?) * run.samples.len() as i64
            };
            end = from.checked_add(len)?;
            of_fragment.push(Place { from, len });
        }
        previous_end = end;
        out.push(of_fragment);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::testing::{TrafBytes, boxed, moof, trun, words};

    fn read(bytes: &[u8]) -> Result<Moof, Error> {
        let child = Reader::new(bytes, 100).child().unwrap().unwrap();
        Moof::read(&child).map_err(|error| error.inside(child.name))
    }

    fn failure(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn iso_14496_12_section_8_8_7_tfhd_says_what_it_says() {
        let mut traf = TrafBytes::new(5, 0, &[]);
        traf.tfhd = vec![0x02_003b, 5, 1, 2, 3, 512, 40, 0x0101_0000];
        traf.tfdt = vec![0, 0xffff_fff0];
        let fragment = &read(&moof(3, &[traf])).unwrap().fragments[0];
        assert_eq!(
            fragment.base,
            DataBase::File((1 << 32) + 2),
            "it wins over the moof"
        );
        assert_eq!(fragment.description_index, Some(3));
        let told = (fragment.duration, fragment.size, fragment.flags);
        assert_eq!(told, (Some(512), Some(40), Some(0x0101_0000)));
        assert_eq!((fragment.decode_time, fragment.wraps), (0xffff_fff0, true));

        let mut bare = TrafBytes::new(5, 0, &[]);
        bare.tfhd = vec![0, 5];
        bare.tfdt = vec![1 << 24, 1, 2];
        let fragment = &read(&moof(3, &[bare])).unwrap().fragments[0];
        assert_eq!(fragment.base, DataBase::Previous);
        assert_eq!(
            (fragment.decode_time, fragment.wraps),
            ((1 << 32) + 2, false)
        );
        let trex = SampleDefaults {
            duration: 1,
            size: 2,
            flags: 3,
        };
        assert_eq!(fragment.defaults(&trex), trex);
    }

    #[test]
    fn samples_are_bounded_over_all_runs_of_a_fragment() {
        let max = limits::CHUNK_SAMPLES_MAX as u32;
        let traf = |more: u32| TrafBytes::new(1, 0, &[&trun(0, max - 1, &[]), &trun(0, more, &[])]);
        assert_eq!(
            read(&moof(1, &[traf(1)])).unwrap().fragments[0].runs.len(),
            2
        );
        assert_eq!(
            failure(&moof(1, &[traf(2)])),
            "byte 196, moof/traf/trun: sample count 16385 is above 16384"
        );
        let huge = TrafBytes::new(1, 0, &[&trun(0x100, u32::MAX, &[])]);
        assert!(failure(&moof(1, &[huge])).ends_with("sample count 4294967295 is above 16384"));
    }

    #[test]
    fn times_leave_room_for_sums() {
        let traf = |high: u32, low: u32| {
            let mut traf = TrafBytes::new(1, 0, &[]);
            traf.tfdt = vec![1 << 24, high, low];
            moof(1, &[traf])
        };
        let most = read(&traf(1 << 30, 0)).unwrap().fragments[0].decode_time;
        assert_eq!(most, limits::DECODE_TICKS_MAX);
        assert_eq!(
            failure(&traf(1 << 30, 1)),
            "byte 160, moof/traf/tfdt: a decode time that no clock reaches"
        );
    }

    #[test]
    fn trafs_and_their_boxes_are_bounded() {
        let trafs = |count| {
            (0..count)
                .map(|id| TrafBytes::new(id, 0, &[]))
                .collect::<Vec<_>>()
        };
        let max = limits::HEADER_TRACKS_MAX as u32;
        assert_eq!(
            read(&moof(1, &trafs(max))).unwrap().fragments.len(),
            max as usize
        );
        assert!(failure(&moof(1, &trafs(max + 1))).ends_with("traf count 9 is above 8"));

        let full = |count| TrafBytes::new(1, 0, &[&boxed(b"free", &[]).repeat(count)]);
        let max = limits::FRAGMENT_BOXES_MAX - 2;
        assert_eq!(
            read(&moof(1, &[full(max)])).unwrap().fragments[0]
                .extras
                .len(),
            max
        );
        assert!(failure(&moof(1, &[full(max + 1)])).ends_with("513 is above 512"));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let mfhd = boxed(b"mfhd", &[&words(&[0, 1])]);
        let tfhd = boxed(b"tfhd", &[&words(&[0, 1])]);
        let tfdt = boxed(b"tfdt", &[&words(&[0, 1])]);
        let traf = |boxes: &[&[u8]]| boxed(b"moof", &[&mfhd, &boxed(b"traf", boxes)]);
        assert_eq!(failure(&traf(&[&tfhd])), "byte 124, moof/traf: no tfdt");
        assert_eq!(failure(&traf(&[&tfdt])), "byte 124, moof/traf: no tfhd");
        assert_eq!(
            failure(&traf(&[&tfhd, &tfhd])),
            "byte 148, moof/traf/tfhd: a second tfhd"
        );
        assert_eq!(
            failure(&boxed(b"moof", &[&mfhd])),
            "byte 100, moof: no traf"
        );
        assert_eq!(failure(&boxed(b"moof", &[])), "byte 100, moof: no mfhd");
        let short = TrafBytes::new(1, 0, &[&trun(0x100, 2, &[1])]);
        assert_eq!(
            failure(&moof(1, &[short])),
            "byte 188, moof/traf/trun: a field of 4 bytes, 0 left"
        );
    }

    #[test]
    fn iso_14496_12_section_8_16_5_prft_dates_media() {
        let read = |bytes: &[u8]| ProducerTime::read(Reader::new(bytes, 0)).unwrap();
        let long = read(&words(&[1 << 24 | 24, 2, 3_976_214_400, 0x4000_0000, 1, 5]));
        assert_eq!((long.track_id, long.media_time), (2, (1 << 32) + 5));
        assert_eq!(long.wall.rfc3339(), "2026-01-01T00:00:00.250Z");
        let priming = read(&words(&[
            1 << 24,
            2,
            3_976_214_400,
            0,
            u32::MAX,
            0xffff_fc00,
        ]));
        assert_eq!(
            priming.media_time, -1024,
            "ffmpeg dates the priming of AAC so"
        );
        let short = read(&words(&[0, 2, 3_976_214_400, 0, 7]));
        assert_eq!(short.media_time, 7);
        // RFC 2030 section 3: the 32 bits run over in 2036.
        assert_eq!(
            read(&words(&[0, 2, 0, 0, 7])).wall.rfc3339(),
            "2036-02-07T06:28:16.000Z"
        );
    }

    #[test]
    fn brands_of_styp_end_a_track_or_mark_filler() {
        let read = |bytes: &[u8]| SegmentType::read(Reader::new(bytes, 0));
        let of = |last, slate| Ok(SegmentType { last, slate });
        assert_eq!(read(b"msdh\0\0\0\0msix"), of(false, false));
        assert_eq!(read(b"lmsg\0\0\0\0"), of(true, false));
        assert_eq!(read(b"cmfs\0\0\0\0cmfclmsgslat"), of(true, true));
        assert_eq!(
            read(b"cmfslmsg"),
            of(false, false),
            "the version is no brand"
        );
        assert!(read(b"cmfs\0\0\0\0cmf").is_err());
    }
}
