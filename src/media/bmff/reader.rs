//! A cursor over the payload of a box that knows its position in the body.

use super::{BoxHeader, Error, ErrorKind, FourCc};

/// Fields and boxes, read in order; every error names the byte it is about.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: u64,
}

/// One box inside another.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// Type of the box.
    pub name: FourCc,
    /// Position of its first byte in the body.
    pub at: u64,
    /// The whole box, header included.
    pub bytes: &'a [u8],
    /// What follows the header.
    pub payload: Reader<'a>,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, the first of which is byte `at` of the body.
    pub fn new(bytes: &'a [u8], at: u64) -> Self {
        Self { bytes, at }
    }

    /// Position of the next byte in the body.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything that was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// An error about the next byte.
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::new(self.at, kind)
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            let left = self.bytes.len() as u64;
            return Err(self.error(ErrorKind::Short {
                need: len as u64,
                left,
            }));
        };
        self.bytes = rest;
        self.at += len as u64;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take gives what was asked for"))
    }

    /// An unsigned integer of 8 bits.
    pub fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    /// An unsigned integer of 16 bits.
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    /// An unsigned integer of 32 bits.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// A signed integer of 32 bits.
    pub fn i32(&mut self) -> Result<i32, Error> {
        self.array().map(i32::from_be_bytes)
    }

    /// An unsigned integer of 64 bits.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// An unsigned integer of 32 bits in version 0 of a box, of 64 in others.
    pub fn u32_or_u64(&mut self, version: u8) -> Result<u64, Error> {
        if version == 0 {
            self.u32().map(u64::from)
        } else {
            self.u64()
        }
    }

    /// A name.
    pub fn four_cc(&mut self) -> Result<FourCc, Error> {
        self.array().map(FourCc)
    }

    /// Version and flags, the first fields of a FullBox.
    pub fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff))
    }

    /// The bytes before the next zero, which is read too; all that is left when
    /// there is none.
    pub fn c_string(&mut self) -> &'a [u8] {
        let end = self.bytes.iter().position(|byte| *byte == 0);
        let (text, skipped) = end.map_or((self.bytes, self.bytes.len()), |end| {
            (&self.bytes[..end], end + 1)
        });
        self.bytes = &self.bytes[skipped..];
        self.at += skipped as u64;
        text
    }

    /// The next box; `None` at the end.
    pub fn child(&mut self) -> Result<Option<Child<'a>>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let (at, left) = (self.at, self.bytes.len() as u64);
        let header = BoxHeader::read(self.bytes).map_err(|kind| self.error(kind))?;
        let Some(header) = header else {
            return Err(self.error(ErrorKind::Short {
                need: 8.max(left + 1),
                left,
            }));
        };
        let (name, size) = (header.name, header.size);
        if size > left {
            return Err(self.error(ErrorKind::BeyondParent { name, size, left }));
        }
        let bytes = self.take(size as usize)?;
        let payload = Reader::new(&bytes[header.len..], at + header.len as u64);
        Ok(Some(Child {
            name,
            at,
            bytes,
            payload,
        }))
    }

    /// Visits every box to the end; an error from `visit` gets the name of the
    /// box it was about.
    pub fn each(
        mut self,
        mut visit: impl FnMut(Child<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while let Some(child) = self.child()? {
            visit(child).map_err(|error| error.inside(child.name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_the_missing_one_is_named() {
        let bytes = [
            1, 0, 2, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xfe, b'h', b'i', 0, 9,
        ];
        let mut reader = Reader::new(&bytes, 100);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.i32(), Ok(-2));
        assert_eq!(reader.c_string(), b"hi");
        assert_eq!(reader.at(), 114);
        let error = reader.u16().unwrap_err();
        assert_eq!(
            (error.at, error.kind),
            (114, ErrorKind::Short { need: 2, left: 1 })
        );
        assert_eq!(reader.c_string(), [9]);
        assert!(reader.is_empty());
    }

    #[test]
    fn boxes_past_their_parent_are_refused_with_their_path() {
        let inner = [b"\0\0\0\x0atrun".as_slice(), &[7, 7]].concat();
        let mut traf = b"\0\0\0\x12traf".to_vec();
        traf.extend(&inner);
        let mut seen = Vec::new();
        let walk = |bytes: &[u8], seen: &mut Vec<String>| {
            Reader::new(bytes, 50).each(|traf| {
                traf.payload.each(|child| {
                    seen.push(format!("{}@{}", child.name, child.at));
                    Ok(())
                })
            })
        };
        walk(&traf, &mut seen).unwrap();
        assert_eq!(seen, ["trun@58"]);
        traf[11] = 11;
        let error = walk(&traf, &mut seen).unwrap_err();
        assert_eq!(
            error.to_string(),
            "byte 58, traf: box trun claims 11 bytes, its parent has 10 left"
        );
    }
}
