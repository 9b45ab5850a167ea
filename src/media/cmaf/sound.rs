//! How many channels sound has: sample entries say two whatever there is.

use crate::media::bmff::{Error, Reader};

/// Objects that joint object coding has at most (ETSI TS 103 420 annex C.3.2.3).
const JOINT_OBJECTS_MAX: u8 = 16;

/// What a configuration says of the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Channels {
    /// Speakers.
    pub(super) count: u32,
    /// Objects of joint object coding on top of them.
    pub(super) joint_objects: Option<u8>,
}

impl Channels {
    fn plain(count: u32) -> Self {
        Self {
            count,
            joint_objects: None,
        }
    }
}

/// Bits of a configuration that may end early.
struct Fields(u128, u32);

impl Fields {
    /// The first 16 bytes of `bytes`.
    fn new(bytes: &[u8]) -> Self {
        let mut all = [0; 16];
        let len = bytes.len().min(16);
        all[..len].copy_from_slice(&bytes[..len]);
        Self(u128::from_be_bytes(all), 8 * len as u32)
    }

    /// The next `count` bits; `None` past the end.
    fn take(&mut self, count: u32) -> Option<u32> {
        self.1 = self.1.checked_sub(count)?;
        let value = (self.0 >> (128 - count)) as u32;
        self.0 <<= count;
        Some(value)
    }
}

/// The audio object type and the channels of an AudioSpecificConfig (ISO/IEC
/// 14496-3 section 1.6.2.1); channels that a program config element lists are
/// left to the sample entry.
pub(super) fn of_aac(config: &[u8]) -> Option<(u32, Option<Channels>)> {
    let mut fields = Fields::new(config);
    let object_type = match fields.take(5)? {
        31 => 32 + fields.take(6)?,
        plain => plain,
    };
    let channels = |mut fields: Fields| {
        if fields.take(4)? == 15 {
            fields.take(24)?;
        }
        let count = match fields.take(4)? {
            // Parametric stereo makes two of one.
            1 if object_type == 29 => 2,
            count @ 1..=6 => count,
            7 | 12 | 14 => 8,
            11 => 7,
            13 => 24,
            _ => return None,
        };
        Some(Channels::plain(count))
    };
    Some((object_type, channels(fields)))
}

/// Encapsulation of Opus in ISOBMFF section 4.3.2.
pub(super) fn of_opus(mut config: Reader<'_>) -> Result<Channels, Error> {
    config.u8()?; // Version
    Ok(Channels::plain(config.u8()?.into()))
}

/// AC3SpecificBox, ETSI TS 102 366 annex F.4.
pub(super) fn of_ac3(config: Reader<'_>) -> Option<Channels> {
    let mut fields = Fields::new(config.rest());
    fields.take(10)?; // fscod, bsid, bsmod
    speakers(&mut fields).map(Channels::plain)
}

/// EC3SpecificBox, ETSI TS 102 366 annex F.6 and TS 103 420 annex C.3.1: the
/// first independent substream with what depends on it.
pub(super) fn of_eac3(config: Reader<'_>) -> Option<Channels> {
    let mut fields = Fields::new(config.rest());
    fields.take(13)?; // data_rate
    let further = fields.take(3)?;
    let mut count = 0;
    for substream in 0..=further {
        fields.take(12)?; // fscod, bsid, reserved, asvc, bsmod
        let own = speakers(&mut fields)?;
        fields.take(3)?;
        let added = match fields.take(4)? {
            0 => fields.take(1).map(|_| 0)?,
            _ => located(fields.take(9)?),
        };
        if substream == 0 {
            count = own + added;
        }
    }
    let extended = fields.take(8).is_some_and(|bits| bits & 1 == 1);
    let objects = fields.take(8).filter(|_| extended);
    Some(Channels {
        count,
        joint_objects: objects
            .and_then(|objects| u8::try_from(objects).ok())
            .filter(|objects| (1..=JOINT_OBJECTS_MAX).contains(objects)),
    })
}

/// acmod and lfeon.
fn speakers(fields: &mut Fields) -> Option<u32> {
    let full = [2, 1, 2, 3, 3, 4, 4, 5][fields.take(3)? as usize];
    Some(full + fields.take(1)?)
}

/// Speakers of chan_loc, from its lowest bit: pairs but for Cs, Ts, Cvh, LFE2.
fn located(chan_loc: u32) -> u32 {
    [2, 2, 1, 1, 2, 2, 2, 1, 1]
        .iter()
        .enumerate()
        .filter(|(place, _)| chan_loc >> place & 1 == 1)
        .map(|(_, count)| count)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aac(config: &[u8]) -> Option<u32> {
        of_aac(config)?.1.map(|channels| channels.count)
    }

    #[test]
    fn iso_14496_3_section_1_6_2_1_channel_configurations() {
        assert_eq!(aac(&[0x11, 0x90]), Some(2), "LC, 48 kHz, stereo");
        assert_eq!(aac(&[0x11, 0x88]), Some(1));
        assert_eq!(aac(&[0x11, 0xb0]), Some(6), "5.1");
        assert_eq!(aac(&[0x11, 0xb8]), Some(8), "7.1");
        assert_eq!(aac(&[0x11, 0x80]), None, "a program config element");
        assert_eq!(aac(&[0xeb, 0x09, 0x88, 0]), Some(2), "HE-AAC v2");
        let explicit_rate = [0x17, 0x80, 0x5d, 0xc0, 0x10];
        assert_eq!(aac(&explicit_rate), Some(2), "48000 Hz written out");
        assert_eq!(of_aac(&[0xf9, 0x48, 0x40]).map(|(kind, _)| kind), Some(42));
        assert_eq!(of_aac(&[]), None);
        assert_eq!(aac(&[0x11]), None, "cut off");
    }

    #[test]
    fn etsi_ts_102_366_annex_f_speakers() {
        let ac3 = |bytes: &[u8]| of_ac3(Reader::new(bytes, 0)).map(|channels| channels.count);
        assert_eq!(ac3(&[0x10, 0x3d, 0xe0]), Some(6), "3/2 and LFE");
        assert_eq!(ac3(&[0x10, 0x11, 0x40]), Some(2));
        assert_eq!(ac3(&[0x10]), None);
        let eac3 = |bytes: &[u8]| of_eac3(Reader::new(bytes, 0));
        let surround = [0x06, 0x00, 0x20, 0x0f, 0x00];
        assert_eq!(eac3(&surround), Some(Channels::plain(6)));
        let seven = [0x06, 0x00, 0x20, 0x0f, 0x02, 0x02];
        assert_eq!(eac3(&seven), Some(Channels::plain(8)), "Lrs and Rrs");
        let joint = [0x06, 0x00, 0x20, 0x0f, 0x00, 0x01, 16];
        let expected = Channels {
            count: 6,
            joint_objects: Some(16),
        };
        assert_eq!(eac3(&joint), Some(expected));
        assert_eq!(eac3(&[0x06, 0x00, 0x20]), None);
    }
}
