//! Producer reference times among the boxes of a part.

/// Bytes of a box header with a 64-bit size.
const HEADER_MAX: usize = 16;
/// Bytes of a prft up to the end of its NTP time.
const PRFT_BYTES: usize = 24;

/// Reads the top boxes of a body, in whatever pieces it comes; keeps nothing
/// but the newest time.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    /// The first bytes of the box under way.
    front: [u8; PRFT_BYTES],
    have: usize,
    /// Bytes of the box under way that are passed over.
    left: u64,
    newest: Option<u64>,
}

impl Dates {
    /// The NTP time of the last prft seen.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len() as u64);
                self.left -= count;
                bytes = &bytes[count as usize..];
                continue;
            }
            self.front[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            self.step();
        }
    }

    /// Looks at the box under way once enough of it is there.
    fn step(&mut self) {
        let size = u64::from(u32::from_be_bytes(word(&self.front, 0)));
        let header = if size == 1 { HEADER_MAX } else { 8 };
        if self.have < header {
            return;
        }
        let size = match size {
            // To the end of the body.
            0 => u64::MAX,
            1 => u64::from_be_bytes(word(&self.front, 8)),
            size => size,
        };
        let is_prft = &self.front[4..8] == b"prft" && size >= PRFT_BYTES as u64;
        if is_prft && self.have < PRFT_BYTES {
            return;
        }
        if is_prft {
            self.newest = Some(u64::from_be_bytes(word(&self.front, 16)));
        }
        self.left = size.saturating_sub(self.have as u64);
        self.have = 0;
    }
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("so many bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = 8 + content.len() as u32;
        [&size.to_be_bytes(), &name[..], content].concat()
    }

    fn prft(ntp: u64) -> Vec<u8> {
        boxed(
            b"prft",
            &[&[1, 0, 0, 4, 0, 0, 0, 1], &ntp.to_be_bytes()[..], &[0; 8]].concat(),
        )
    }

    #[test]
    fn the_newest_time_is_found_in_every_split() {
        let part = [
            boxed(b"styp", b"cmfs"),
            prft(7),
            boxed(b"moof", &[0; 40]),
            // A payload that looks like a box.
            boxed(b"mdat", &prft(99)),
            prft(8),
            boxed(b"moof", b""),
            [&[0, 0, 0, 1][..], b"mdat", &20u64.to_be_bytes(), b"long"].concat(),
        ]
        .concat();
        for piece in 1..=part.len() {
            let mut dates = Dates::default();
            part.chunks(piece).for_each(|bytes| dates.take(bytes));
            assert_eq!(dates.newest(), Some(8), "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_media_has_no_date() {
        for bytes in [&b"<html>"[..], &[0; 64], &[0xff; 64], &prft(1)[..20]] {
            let mut dates = Dates::default();
            dates.take(bytes);
            assert_eq!(dates.newest(), None);
        }
    }
}
