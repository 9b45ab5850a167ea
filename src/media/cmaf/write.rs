//! Writes a chunk of one track anew: moof and mdat in the one form CMAF allows.

use std::ops::Range;

use bytes::Bytes;

use super::Sample;
use super::moof::{
    TFHD_BASE_IS_MOOF, TRUN_CTS, TRUN_DATA_OFFSET, TRUN_DURATION, TRUN_FLAGS, TRUN_SIZE,
};

/// A chunk to be written.
pub(super) struct NewChunk<'a> {
    /// Boxes in front, copied as they are.
    pub(super) prefix: &'a [u8],
    pub(super) sequence_number: u32,
    pub(super) track_id: u32,
    pub(super) description_index: Option<u32>,
    pub(super) decode_time: u64,
    /// Writes tfdt in version 0.
    pub(super) wraps: bool,
    pub(super) samples: &'a [Sample],
    /// Further boxes of the traf, copied as they are.
    pub(super) extras: &'a [&'a [u8]],
    /// Where the media of the samples lies in `source`, in order.
    pub(super) media: &'a [Range<usize>],
    pub(super) source: &'a [u8],
}

/// Bytes of a box header.
const HEADER: usize = 8;

impl NewChunk<'_> {
    /// The chunk in one allocation: prefix, moof, mdat.
    pub(super) fn write(&self) -> Bytes {
        let media_len: usize = self.media.iter().map(Range::len).sum();
        let extras_len: usize = self.extras.iter().map(|extra| extra.len()).sum();
        let tfhd_len = HEADER
            + 8
            + if self.description_index.is_some() {
                4
            } else {
                0
            };
        let tfdt_len = HEADER + 4 + if self.wraps { 4 } else { 8 };
        let trun_len = HEADER + 12 + 16 * self.samples.len();
        let traf_len = HEADER + tfhd_len + tfdt_len + trun_len + extras_len;
        let mfhd_len = HEADER + 8;
        let moof_len = HEADER + mfhd_len + traf_len;

        let total = self.prefix.len() + moof_len + HEADER + media_len;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(self.prefix);
        header(&mut out, moof_len, b"moof");
        header(&mut out, mfhd_len, b"mfhd");
        words(&mut out, &[0, self.sequence_number]);
        header(&mut out, traf_len, b"traf");
        header(&mut out, tfhd_len, b"tfhd");
        match self.description_index {
            Some(index) => words(&mut out, &[TFHD_BASE_IS_MOOF | 2, self.track_id, index]),
            None => words(&mut out, &[TFHD_BASE_IS_MOOF, self.track_id]),
        }
        header(&mut out, tfdt_len, b"tfdt");
        if self.wraps {
            words(&mut out, &[0, self.decode_time as u32]);
        } else {
            words(
                &mut out,
                &[
                    1 << 24,
                    (self.decode_time >> 32) as u32,
                    self.decode_time as u32,
                ],
            );
        }
        header(&mut out, trun_len, b"trun");
        let fields = TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_CTS;
        let data_offset = moof_len + HEADER;
        words(
            &mut out,
            &[
                1 << 24 | fields,
                self.samples.len() as u32,
                data_offset as u32,
            ],
        );
        for sample in self.samples {
            words(
                &mut out,
                &[
                    sample.duration,
                    sample.size,
                    sample.flags,
                    sample.cts as u32,
                ],
            );
        }
        for extra in self.extras {
            out.extend_from_slice(extra);
        }
        header(&mut out, HEADER + media_len, b"mdat");
        for range in self.media {
            out.extend_from_slice(&self.source[range.clone()]);
        }
        assert_eq!(out.len(), total, "every box has the length it claims");
        Bytes::from(out)
    }
}

/// Appends a box header. Whatever is written here is below
/// [`crate::limits::CHUNK_BYTES_MAX`] and so far below 2^32.
pub(super) fn header(out: &mut Vec<u8>, len: usize, name: &[u8; 4]) {
    let len = u32::try_from(len).expect("a box made of bounded parts fits 32 bits");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name);
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
