//! Splice sections, and the event messages that carry them.

use std::sync::Arc;

use headwater::media::cmaf::{Event, messages, resolve};
use headwater::media::event::scte35;

use crate::bmff_cmaf::parse;

/// `data` as a section, as it is and with a CRC that fits, and as a body whose
/// chunks may carry messages.
pub fn scte35(data: &[u8]) {
    if let Ok(section) = scte35::read(data) {
        assert!(section.len <= data.len());
        let alone = scte35::read(&data[..section.len]);
        assert_eq!(alone, Ok(section), "what follows does not matter");
    }
    let _ = scte35::read(&sealed(data));
    let mut header = None;
    for event in parse([data].into_iter()).events {
        match event {
            Event::Header(new) => header = Some(Arc::new(new)),
            Event::Chunk(chunk) => {
                let Some(header) = &header else { continue };
                for (index, chunk) in resolve(&chunk, header).into_iter().flatten() {
                    let found = messages(&chunk, &header.tracks[index]);
                    assert!(found.len() <= headwater::limits::CHUNK_MESSAGES_MAX);
                    for message in found.into_iter().flatten() {
                        assert!(message.timescale > 0);
                        assert!(message.data.len() < chunk.bytes.len());
                    }
                }
            }
            Event::End { .. } => {}
        }
    }
}

/// The bytes as a section: length and CRC made right.
fn sealed(data: &[u8]) -> Vec<u8> {
    let body = &data[..data.len().min(4000)];
    let len = body.len() + 4;
    let mut out = vec![0xfc, 0x30 | (len >> 8) as u8, len as u8];
    out.extend_from_slice(body);
    let crc = out.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    out.extend(crc.to_be_bytes());
    out
}
