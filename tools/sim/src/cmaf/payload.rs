//! Sample payloads that say whose they are: a stamp and bytes that follow from
//! it, so that a checker can tell every sample from any other.

use crate::prng::mix;

/// Bytes of a stamp, the smallest payload.
pub const STAMP_BYTES: usize = 24;
const MAGIC: u32 = 0x6877_7331;

/// Which sample of the world a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Index of the channel.
    pub channel: u16,
    /// Index of the track in the channel.
    pub track: u16,
    /// Which life of the encoder; rises with every restart.
    pub session: u32,
    /// Number of the sample in its session.
    pub number: u64,
}

/// The payload of a sample, `len` bytes.
pub fn make(stamp: Stamp, len: usize) -> Vec<u8> {
    assert!(len >= STAMP_BYTES, "a payload holds its stamp");
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&stamp.channel.to_be_bytes());
    out.extend_from_slice(&stamp.track.to_be_bytes());
    out.extend_from_slice(&stamp.session.to_be_bytes());
    out.extend_from_slice(&(len as u32).to_be_bytes());
    out.extend_from_slice(&stamp.number.to_be_bytes());
    let seed = seed_of(stamp);
    out.extend((STAMP_BYTES..len).map(|at| filler(seed, at)));
    out
}

/// Reads a payload back; an error says what is wrong with it.
pub fn read(payload: &[u8]) -> Result<Stamp, String> {
    let field = |at: usize, len: usize| -> u64 {
        payload[at..at + len]
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    if payload.len() < STAMP_BYTES || field(0, 4) != u64::from(MAGIC) {
        return Err(format!(
            "payload of {} bytes carries no stamp",
            payload.len()
        ));
    }
    let stamp = Stamp {
        channel: field(4, 2) as u16,
        track: field(6, 2) as u16,
        session: field(8, 4) as u32,
        number: field(16, 8),
    };
    if field(12, 4) != payload.len() as u64 {
        return Err(format!(
            "{stamp:?} has {} bytes, not {}",
            payload.len(),
            field(12, 4)
        ));
    }
    let seed = seed_of(stamp);
    match (STAMP_BYTES..payload.len()).find(|at| payload[*at] != filler(seed, *at)) {
        Some(at) => Err(format!(
            "{stamp:?} differs at byte {at} of {}",
            payload.len()
        )),
        None => Ok(stamp),
    }
}

fn seed_of(stamp: Stamp) -> u64 {
    let place = u64::from(stamp.channel) << 48 | u64::from(stamp.track) << 32;
    mix(place | u64::from(stamp.session)) ^ stamp.number
}

fn filler(seed: u64, at: usize) -> u8 {
    (mix(seed.wrapping_add((at / 8) as u64)) >> (at % 8 * 8)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_told_apart_and_damage_is_seen() {
        let stamp = Stamp {
            channel: 1,
            track: 2,
            session: 3,
            number: 4,
        };
        let good = make(stamp, 77);
        assert_eq!(read(&good), Ok(stamp));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_ne!(read(&bad), Ok(stamp), "byte {at}");
        }
        assert!(read(&good[..76]).is_err());
        assert!(read(&[]).is_err());
    }
}
