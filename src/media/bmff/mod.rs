//! Boxes of ISO/IEC 14496-12: names, headers, a reader that knows where it is,
//! and errors that say which byte of which box is wrong.
//!
//! Nothing here allocates by what a box claims.

use std::fmt;

mod error;
mod reader;

pub use error::{Error, ErrorKind};
pub use reader::{Child, Reader};

/// The name of a box, a brand or a handler.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq<[u8; 4]> for FourCc {
    fn eq(&self, other: &[u8; 4]) -> bool {
        self.0 == *other
    }
}

/// The first 8 or 16 bytes of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxHeader {
    /// Type of the box.
    pub name: FourCc,
    /// Bytes of the box, this header included.
    pub size: u64,
    /// Bytes of this header: 8, or 16 with a `largesize`.
    pub len: usize,
}

/// Bytes of the longest box header.
pub const BOX_HEADER_BYTES_MAX: usize = 16;

impl BoxHeader {
    /// Reads a header from the front of `bytes` (ISO/IEC 14496-12 section 4.2);
    /// `Ok(None)` when more bytes are needed.
    ///
    /// A size of 0, "to the end of the file", is refused: a pushed stream has
    /// no end that would close the box.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ErrorKind> {
        let Some((size, rest)) = bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let Some((name, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let name = FourCc(*name);
        let (size, len) = match u32::from_be_bytes(*size) {
            0 => return Err(ErrorKind::SizeOpen { name }),
            1 => {
                let Some((large, _)) = rest.split_first_chunk::<8>() else {
                    return Ok(None);
                };
                (u64::from_be_bytes(*large), BOX_HEADER_BYTES_MAX)
            }
            small => (u64::from(small), 8),
        };
        if size < len as u64 {
            return Err(ErrorKind::SizeBelowHeader { name, size });
        }
        Ok(Some(Self { name, size, len }))
    }

    /// Bytes after the header.
    pub fn payload(&self) -> u64 {
        self.size - self.len as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_14496_12_section_4_2_sizes_of_32_and_64_bits() {
        let small = BoxHeader::read(b"\0\0\0\x09moof+").unwrap().unwrap();
        assert_eq!(
            small,
            BoxHeader {
                name: FourCc(*b"moof"),
                size: 9,
                len: 8
            }
        );
        let large = BoxHeader::read(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0")
            .unwrap()
            .unwrap();
        assert_eq!(
            large,
            BoxHeader {
                name: FourCc(*b"mdat"),
                size: 1 << 32,
                len: 16
            }
        );
        assert_eq!(large.payload(), (1 << 32) - 16);
    }

    #[test]
    fn a_header_waits_for_its_last_byte() {
        let large = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x10";
        for cut in 0..large.len() {
            assert_eq!(BoxHeader::read(&large[..cut]), Ok(None), "cut at {cut}");
        }
        assert!(BoxHeader::read(large).unwrap().is_some());
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let name = FourCc(*b"mdat");
        assert_eq!(
            BoxHeader::read(b"\0\0\0\0mdat"),
            Err(ErrorKind::SizeOpen { name })
        );
        assert_eq!(
            BoxHeader::read(b"\0\0\0\x07mdat"),
            Err(ErrorKind::SizeBelowHeader { name, size: 7 })
        );
        assert_eq!(
            BoxHeader::read(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f"),
            Err(ErrorKind::SizeBelowHeader { name, size: 15 })
        );
    }

    #[test]
    fn names_print_whatever_their_bytes() {
        assert_eq!(FourCc(*b"moof").to_string(), "moof");
        assert_eq!(FourCc([0, 0xff, b'a', b'\n']).to_string(), "\\x00\\xffa\\n");
    }
}
