//! Seeded mutations that know a little of boxes and of text.

/// A small generator of chance (splitmix64): the same seed gives the same run
/// on every machine.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that starts from a hash of `bytes` (FNV-1a).
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when that is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            0
        } else {
            (self.bits() % bound as u64) as usize
        }
    }

    /// One of `choices`, which is not empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Bytes of the largest input that is made.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Values at which parsers break.
const EDGES: [u32; 14] = [
    0,
    1,
    7,
    8,
    9,
    15,
    16,
    0x7f,
    0xff,
    0xffff,
    0x0001_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// An input made from one of `corpus`, sometimes two.
pub fn mutate(corpus: &[(String, Vec<u8>)], chance: &mut Chance) -> Vec<u8> {
    let mut data = chance.pick(corpus).1.clone();
    for _ in 0..=chance.below(6) {
        match chance.below(10) {
            0 => flip_bit(&mut data, chance),
            1 => set_byte(&mut data, chance),
            2 => truncate(&mut data, chance),
            3 => duplicate_range(&mut data, chance),
            4 => delete_range(&mut data, chance),
            5 => splice(&mut data, &chance.pick(corpus).1.clone(), chance),
            6 => set_word(&mut data, chance),
            7 => nudge_word(&mut data, chance),
            8 => change_box(&mut data, chance),
            _ => insert_bytes(&mut data, chance),
        }
    }
    data.truncate(INPUT_BYTES_MAX);
    data
}

fn flip_bit(data: &mut [u8], chance: &mut Chance) {
    if let Some(byte) = data.get_mut(chance.below(data.len())) {
        *byte ^= 1 << chance.below(8);
    }
}

fn set_byte(data: &mut [u8], chance: &mut Chance) {
    let value = *chance.pick(b"\0\x01\x7f\x80\xff\r\n \t:;,/%?&=.0129afAZ\"");
    if let Some(byte) = data.get_mut(chance.below(data.len())) {
        *byte = value;
    }
}

fn truncate(data: &mut Vec<u8>, chance: &mut Chance) {
    data.truncate(chance.below(data.len() + 1));
}

fn range(data: &[u8], chance: &mut Chance) -> std::ops::Range<usize> {
    let from = chance.below(data.len() + 1);
    let most = if chance.below(4) == 0 { data.len() } else { 32 };
    from..data.len().min(from + chance.below(most + 1))
}

fn duplicate_range(data: &mut Vec<u8>, chance: &mut Chance) {
    let copied = data[range(data, chance)].to_vec();
    let at = chance.below(data.len() + 1);
    data.splice(at..at, copied);
}

fn delete_range(data: &mut Vec<u8>, chance: &mut Chance) {
    data.drain(range(data, chance));
}

fn insert_bytes(data: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(data.len() + 1);
    let bytes: Vec<u8> = (0..=chance.below(8)).map(|_| chance.bits() as u8).collect();
    data.splice(at..at, bytes);
}

fn splice(data: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    data.truncate(chance.below(data.len() + 1));
    data.extend_from_slice(&other[chance.below(other.len() + 1)..]);
}

fn word(data: &mut [u8], chance: &mut Chance) -> Option<(usize, u32)> {
    let at = chance.below(data.len().checked_sub(4)? + 1);
    let word = data[at..at + 4].try_into().expect("four bytes");
    Some((at, u32::from_be_bytes(word)))
}

fn set_word(data: &mut [u8], chance: &mut Chance) {
    let value = *chance.pick(&EDGES);
    if let Some((at, _)) = word(data, chance) {
        data[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
}

fn nudge_word(data: &mut [u8], chance: &mut Chance) {
    let by = chance.below(64) as u32;
    if let Some((at, value)) = word(data, chance) {
        let value = if by < 32 {
            value.wrapping_add(by)
        } else {
            value.wrapping_sub(by - 32)
        };
        data[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
}

/// Drops, repeats, renames or resizes something that looks like a box, or sets
/// one of its first fields. Half of the time the boxes around it get the size
/// that its loss or its repetition asks for.
fn change_box(data: &mut Vec<u8>, chance: &mut Chance) {
    let named = |window: &[u8]| window[4..8].iter().all(u8::is_ascii_alphanumeric);
    let starts = data
        .windows(8)
        .enumerate()
        .filter(|(_, window)| named(window));
    let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    if starts.is_empty() {
        return;
    }
    let at = *chance.pick(&starts);
    let size = field(data, at);
    let end = at.saturating_add(size as usize).min(data.len()).max(at + 8);
    let fit = chance.below(2) == 0;
    match chance.below(6) {
        0 => {
            if fit {
                grow_around(data, &starts, at, end, -((end - at) as i64));
            }
            data.drain(at..end);
        }
        1 => {
            if fit {
                grow_around(data, &starts, at, end, (end - at) as i64);
            }
            let copied = data[at..end].to_vec();
            data.splice(end..end, copied);
        }
        2 => {
            let other = *chance.pick(&starts);
            data.copy_within(other + 4..other + 8, at + 4);
        }
        3 => set(
            data,
            at,
            size.wrapping_add(chance.below(17) as u32).wrapping_sub(8),
        ),
        4 => set(data, at + 8 + 4 * chance.below(8), *chance.pick(&EDGES)),
        _ => {
            let flags = field(data, at + 8) ^ 1 << chance.below(24);
            set(data, at + 8, flags);
        }
    }
}

/// The word at `at`, zero where there is none.
fn field(data: &[u8], at: usize) -> u32 {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn set(data: &mut [u8], at: usize, value: u32) {
    if let Some(field) = data.get_mut(at..at.saturating_add(4)) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Adds `by` to the size of every box that begins before `at` and ends at `end`
/// or later.
fn grow_around(data: &mut [u8], starts: &[usize], at: usize, end: usize, by: i64) {
    for start in starts.iter().take_while(|start| **start < at) {
        let size = field(data, *start);
        if start.saturating_add(size as usize) >= end && (size as usize) <= data.len() {
            set(data, *start, (i64::from(size) + by) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let corpus = [
            ("a".to_owned(), b"\0\0\0\x0cmoofabcd".repeat(4)),
            ("b".into(), vec![]),
        ];
        let run = |seed| {
            let mut chance = Chance::new(seed);
            (0..200)
                .map(|_| mutate(&corpus, &mut chance))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let distinct: std::collections::BTreeSet<_> = run(7).into_iter().collect();
        assert!(distinct.len() > 100, "{} different inputs", distinct.len());
    }
}
