//! What is wrong with a box, and where.

use std::fmt;

use smallvec::SmallVec;

use super::FourCc;

/// A body that is refused: the byte, the box and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Position in the body, from 0.
    pub at: u64,
    /// Names of the boxes around that byte, outermost first.
    pub path: SmallVec<[FourCc; 6]>,
    /// The reason.
    pub kind: ErrorKind,
}

/// The reason of an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A box without an end.
    SizeOpen {
        /// Of the box.
        name: FourCc,
    },
    /// A size that does not even cover the header of its box.
    SizeBelowHeader {
        /// Of the box.
        name: FourCc,
        /// As claimed.
        size: u64,
    },
    /// A box, or boxes together, above a bound.
    TooLarge {
        /// Of the box whose size breaks the bound.
        name: FourCc,
        /// As claimed, of all that counts towards the bound.
        size: u64,
        /// The bound in bytes.
        max: u64,
    },
    /// A box that claims more than its parent holds.
    BeyondParent {
        /// Of the inner box.
        name: FourCc,
        /// As claimed.
        size: u64,
        /// Bytes that the parent has left.
        left: u64,
    },
    /// Payload that ends before its last field.
    Short {
        /// Bytes that the field takes.
        need: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// More of something than is taken.
    TooMany {
        /// Of what, as in "samples".
        what: &'static str,
        /// As claimed or counted.
        count: u64,
        /// The bound.
        max: u64,
    },
    /// A box that must be there is not.
    Missing(FourCc),
    /// A box that may stand there once stands there twice.
    Repeated(FourCc),
    /// A field with a value that no reader can make sense of.
    Invalid(&'static str),
    /// A handler that names no kind of media we know.
    Handler(FourCc),
    /// A fragment of a track that the CMAF header does not have.
    UnknownTrack(u32),
    /// Two fragments of one track in one moof.
    TwoFragments(u32),
    /// An mdat that no moof announced.
    MdatWithoutMoof,
    /// A moof that is not followed by its mdat.
    MoofWithoutMdat {
        /// The box found instead.
        found: FourCc,
    },
    /// Samples whose bytes are not in the mdat of their moof.
    SamplesOutsideMdat,
    /// A chunk whose samples last no time at all.
    NoDuration,
    /// A chunk that cannot be written anew, since it has a box whose content
    /// depends on sample positions.
    Unsplittable(FourCc),
    /// The body ended inside a box, or between a moof and its mdat.
    Truncated,
}

impl Error {
    /// An error at `at`, outside all boxes until [`Error::inside`] is called.
    pub fn new(at: u64, kind: ErrorKind) -> Self {
        Self {
            at,
            path: SmallVec::new(),
            kind,
        }
    }

    /// The same error, seen from the parent of the boxes named so far.
    #[must_use]
    pub fn inside(mut self, name: FourCc) -> Self {
        self.path.insert(0, name);
        self
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.at)?;
        for (index, name) in self.path.iter().enumerate() {
            write!(f, "{}{name}", if index == 0 { ", " } else { "/" })?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SizeOpen { name } => write!(f, "box {name} has no end (size 0)"),
            Self::SizeBelowHeader { name, size } => {
                write!(f, "box {name} claims {size} bytes, less than its header")
            }
            Self::TooLarge { name, size, max } => {
                write!(f, "box {name} makes {size} bytes, above {max}")
            }
            Self::BeyondParent { name, size, left } => {
                write!(
                    f,
                    "box {name} claims {size} bytes, its parent has {left} left"
                )
            }
            Self::Short { need, left } => write!(f, "a field of {need} bytes, {left} left"),
            Self::TooMany { what, count, max } => write!(f, "{what} {count} is above {max}"),
            Self::Missing(name) => write!(f, "no {name}"),
            Self::Repeated(name) => write!(f, "a second {name}"),
            Self::Invalid(what) => f.write_str(what),
            Self::Handler(name) => write!(f, "handler {name} is no kind of media known here"),
            Self::UnknownTrack(id) => write!(f, "track {id} is not in the CMAF header"),
            Self::TwoFragments(id) => write!(f, "a second fragment of track {id}"),
            Self::MdatWithoutMoof => f.write_str("an mdat without a moof"),
            Self::MoofWithoutMdat { found } => {
                write!(f, "{found} where the mdat of the moof should be")
            }
            Self::SamplesOutsideMdat => f.write_str("samples lie outside mdat"),
            Self::NoDuration => f.write_str("samples have no duration"),
            Self::Unsplittable(name) => {
                write!(f, "{name} holds per-sample data that cannot be split")
            }
            Self::Truncated => f.write_str("the body ends in the middle of media"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_byte_boxes_and_reason() {
        let kind = ErrorKind::TooMany {
            what: "sample count",
            count: 70_000,
            max: 16_384,
        };
        let error = Error::new(1234, kind)
            .inside(FourCc(*b"trun"))
            .inside(FourCc(*b"traf"))
            .inside(FourCc(*b"moof"));
        assert_eq!(
            error.to_string(),
            "byte 1234, moof/traf/trun: sample count 70000 is above 16384"
        );
        let outside = Error::new(8, ErrorKind::MdatWithoutMoof);
        assert_eq!(outside.to_string(), "byte 8: an mdat without a moof");
    }
}
