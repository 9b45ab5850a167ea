//! The only source of chance: xoshiro256** seeded by splitmix64.

/// A stream of numbers that is a function of its seed alone.
#[derive(Clone, Debug)]
pub struct Prng {
    state: [u64; 4],
}

impl Prng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut at = seed;
        Self {
            state: std::array::from_fn(|_| splitmix(&mut at)),
        }
    }

    /// A stream of its own, so that draws of one part of the world don't shift
    /// those of another.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let out = self.state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let carry = self.state[1] << 17;
        self.state[2] ^= self.state[0];
        self.state[3] ^= self.state[1];
        self.state[1] ^= self.state[2];
        self.state[0] ^= self.state[3];
        self.state[2] ^= carry;
        self.state[3] = self.state[3].rotate_left(45);
        out
    }

    /// A number of `from..=to`.
    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        assert!(from <= to, "a range has at least one number");
        let span = u128::from(to - from) + 1;
        from + ((u128::from(self.next_u64()) * span) >> 64) as u64
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.range(0, len as u64 - 1) as usize
    }

    /// True in `percent` of 100 draws.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 99) < percent
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }
}

fn splitmix(at: &mut u64) -> u64 {
    *at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*at)
}

/// Spreads a value over 64 bits.
pub fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of `bytes`, continued from `hash`: FNV-1a over words of eight bytes.
pub fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(hash, |hash, word| {
        step(hash, u64::from_le_bytes(*word)).rotate_left(29)
    });
    let tail = rest.iter().fold(bytes.len() as u64, |tail, byte| {
        tail << 8 | u64::from(*byte)
    });
    step(hash, tail)
}

/// Where [`fnv`] starts.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream_and_ranges_hold() {
        let (mut one, mut two) = (Prng::new(7), Prng::new(7));
        for _ in 0..1000 {
            assert_eq!(one.next_u64(), two.next_u64());
            assert!((3..=5).contains(&one.range(3, 5)));
            two.range(3, 5);
        }
        assert_ne!(Prng::new(7).next_u64(), Prng::new(8).next_u64());
        assert_eq!(Prng::new(1).range(9, 9), 9);
        Prng::new(1).range(0, u64::MAX);
    }
}
