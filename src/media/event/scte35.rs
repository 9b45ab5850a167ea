//! Reads splice_info_section (ANSI/SCTE 35 section 9.6): what is cued, for how
//! long, and under which event id.
//!
//! Times inside are on the clock of the transport stream it came from; whoever
//! carries a section says when it applies, so they are passed over here.

use std::fmt;

/// What a section says, as far as a list of events needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The command.
    pub command: Command,
    /// Its segmentation descriptors, in order.
    pub segmentations: Vec<Segmentation>,
    /// Bytes of the section; what follows it is not part of it.
    pub len: usize,
}

/// A splice command (section 9.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `splice_insert()`.
    Insert(Insert),
    /// `time_signal()`: what happens is said by segmentation descriptors.
    TimeSignal,
    /// Null or bandwidth reservation: the line is alive.
    Idle,
    /// Schedule, private, those unknown here, and any in an encrypted section.
    Other,
}

/// What `splice_insert()` says (section 9.7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insert {
    /// `splice_event_id`.
    pub event_id: u32,
    /// The event with this id is off.
    pub cancelled: bool,
    /// Out of the network feed, else back into it.
    pub out: bool,
    /// `break_duration`, in ticks of 90 kHz.
    pub duration: Option<u64>,
}

/// What a segmentation descriptor says (section 10.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// `segmentation_event_id`.
    pub event_id: u32,
    /// The event with this id is off.
    pub cancelled: bool,
    /// `segmentation_type_id`; zero when cancelled.
    pub type_id: u8,
    /// `segmentation_duration`, in ticks of 90 kHz.
    pub duration: Option<u64>,
}

/// Why a section can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin with table_id 0xFC, or is of an unknown protocol.
    NotASection,
    /// It ends before its fields do.
    Short,
    /// Its CRC does not fit.
    Crc,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotASection => "not a splice_info_section",
            Self::Short => "a splice_info_section that ends early",
            Self::Crc => "a splice_info_section whose CRC does not fit",
        })
    }
}

/// Reads the section at the front of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Section, Error> {
    let mut head = Cursor(bytes);
    if head.u8()? != 0xfc {
        return Err(Error::NotASection);
    }
    let len = 3 + usize::from(head.u16()? & 0x0fff);
    let whole = bytes.get(..len).ok_or(Error::Short)?;
    if crc32(whole) != 0 {
        return Err(Error::Crc);
    }
    // The CRC is the last four bytes and has been looked at.
    let mut body = Cursor(&whole[3..len.saturating_sub(4).max(3)]);
    if body.u8()? != 0 {
        return Err(Error::NotASection);
    }
    let encrypted = body.u8()? & 0x80 != 0;
    // The rest of pts_adjustment, and cw_index.
    body.take(5)?;
    // A length of all ones says that none is given: old encoders.
    let command_len = usize::from((body.u24()? & 0x0fff) as u16);
    let command_type = body.u8()?;
    let mut section = Section {
        command: Command::Other,
        segmentations: Vec::new(),
        len,
    };
    if encrypted {
        return Ok(section);
    }
    let mut command = match command_len {
        0x0fff => body,
        given => Cursor(body.take(given)?),
    };
    section.command = match command_type {
        0x05 => Command::Insert(insert(&mut command)?),
        0x06 => {
            command.splice_time()?;
            Command::TimeSignal
        }
        0x00 | 0x07 => Command::Idle,
        _ => Command::Other,
    };
    if command_len == 0x0fff {
        body = command;
    }
    // The private command has no length of its own; nothing behind it is read.
    if section.command != Command::Other {
        section.segmentations = segmentations(&mut body)?;
    }
    Ok(section)
}

fn insert(body: &mut Cursor<'_>) -> Result<Insert, Error> {
    let event_id = body.u32()?;
    let cancelled = body.u8()? & 0x80 != 0;
    let mut insert = Insert {
        event_id,
        cancelled,
        out: false,
        duration: None,
    };
    if cancelled {
        return Ok(insert);
    }
    let flags = body.u8()?;
    let (program, timed, immediate) = (flags & 0x40 != 0, flags & 0x20 != 0, flags & 0x10 != 0);
    insert.out = flags & 0x80 != 0;
    if program {
        if !immediate {
            body.splice_time()?;
        }
    } else {
        for _ in 0..body.u8()? {
            body.u8()?;
            if !immediate {
                body.splice_time()?;
            }
        }
    }
    if timed {
        let high = u64::from(body.u8()? & 1);
        insert.duration = Some(high << 32 | u64::from(body.u32()?));
    }
    Ok(insert)
}

fn segmentations(body: &mut Cursor<'_>) -> Result<Vec<Segmentation>, Error> {
    let len = usize::from(body.u16()?);
    let mut loop_ = Cursor(body.take(len)?);
    let mut out = Vec::new();
    while !loop_.0.is_empty() {
        let tag = loop_.u8()?;
        let len = usize::from(loop_.u8()?);
        let mut descriptor = Cursor(loop_.take(len)?);
        if tag == 0x02 && descriptor.u32()? == u32::from_be_bytes(*b"CUEI") {
            out.push(segmentation(&mut descriptor)?);
        }
    }
    Ok(out)
}

fn segmentation(body: &mut Cursor<'_>) -> Result<Segmentation, Error> {
    let event_id = body.u32()?;
    let cancelled = body.u8()? & 0x80 != 0;
    let mut segmentation = Segmentation {
        event_id,
        cancelled,
        type_id: 0,
        duration: None,
    };
    if cancelled {
        return Ok(segmentation);
    }
    let flags = body.u8()?;
    if flags & 0x80 == 0 {
        let components = usize::from(body.u8()?);
        body.take(6 * components)?;
    }
    if flags & 0x40 != 0 {
        let high = u64::from(body.u8()?);
        segmentation.duration = Some(high << 32 | u64::from(body.u32()?));
    }
    body.u8()?;
    let upid = usize::from(body.u8()?);
    body.take(upid)?;
    segmentation.type_id = body.u8()?;
    Ok(segmentation)
}

/// CRC-32 of MPEG-2 systems; zero over bytes that end with their own.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            let carry = crc & 0x8000_0000 != 0;
            crc << 1 ^ if carry { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// What is left to be read.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, len: usize) -> Result<u32, Error> {
        let bytes = self.take(len)?.iter();
        Ok(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.number(1).map(|number| number as u8)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        self.number(2).map(|number| number as u16)
    }

    /// Half of it is `tier`, the other the length of the command.
    fn u24(&mut self) -> Result<u32, Error> {
        self.number(3)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.number(4)
    }

    fn splice_time(&mut self) -> Result<(), Error> {
        let specified = self.u8()? & 0x80 != 0;
        self.take(if specified { 4 } else { 0 }).map(drop)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    /// Sample messages of ANSI/SCTE 35 section 14.
    pub(crate) const PLACEMENT_START: &str =
        "/DA0AAAAAAAA///wBQb+cr0AUAAeAhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIAmsnRfg==";
    pub(crate) const PLACEMENT_END: &str =
        "/DAvAAAAAAAA///wBQb+dGKQoAAZAhdDVUVJSAAAjn+fCAgAAAAALKChijUCAKnMZ1g=";
    pub(crate) const INSERT_OUT: &str =
        "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=";
    pub(crate) const PROGRAM_END_AND_START: &str = "/DBIAAAAAAAA///wBQb+ek2ItgAyAhdDVUVJSAAAGH+fCAgAAAAALMvDRBEAAAIXQ1VFSUgAABl/nwgIAAAAACyk26AQAACZcuND";

    pub(crate) fn bytes(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    /// A section around a command, with its lengths and CRC made right.
    pub(crate) fn section(command_type: u8, command: &[u8], descriptors: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0, 0, 0, 0xff];
        body.extend([0xf0 | (command.len() >> 8) as u8, command.len() as u8]);
        body.push(command_type);
        body.extend(command);
        body.extend((descriptors.len() as u16).to_be_bytes());
        body.extend(descriptors);
        let len = body.len() + 4;
        let mut out = vec![0xfc, 0x30 | (len >> 8) as u8, len as u8];
        out.extend(body);
        out.extend(crc32(&out).to_be_bytes());
        out
    }

    /// `splice_insert()` of a whole program, at once.
    pub(crate) fn insert_section(event_id: u32, out: bool, seconds: Option<u32>) -> Vec<u8> {
        let flags = 0x5f | if out { 0x80 } else { 0 } | if seconds.is_some() { 0x20 } else { 0 };
        let mut command = event_id.to_be_bytes().to_vec();
        command.extend([0x7f, flags]);
        if let Some(seconds) = seconds {
            command.push(0xfe);
            command.extend((seconds * 90_000).to_be_bytes());
        }
        command.extend([0; 4]);
        section(5, &command, &[])
    }

    /// `splice_insert()` that calls an event off.
    pub(crate) fn cancel_section(event_id: u32) -> Vec<u8> {
        section(5, &[&event_id.to_be_bytes()[..], &[0xff]].concat(), &[])
    }

    #[test]
    fn scte35_s14_the_samples_of_the_standard_are_read() {
        let placement = read(&bytes(PLACEMENT_START)).unwrap();
        assert_eq!(placement.command, Command::TimeSignal);
        let start = Segmentation {
            event_id: 0x4800_008e,
            cancelled: false,
            type_id: 0x34,
            duration: Some(307 * 90_000),
        };
        assert_eq!(placement.segmentations, [start]);
        let end = Segmentation {
            type_id: 0x35,
            duration: None,
            ..start
        };
        assert_eq!(read(&bytes(PLACEMENT_END)).unwrap().segmentations, [end]);
        let insert = Insert {
            event_id: 0x4800_008f,
            cancelled: false,
            out: true,
            duration: Some(5_426_421),
        };
        let section = read(&bytes(INSERT_OUT)).unwrap();
        assert_eq!(section.command, Command::Insert(insert));
        assert!(section.segmentations.is_empty(), "an avail descriptor");
        let both = read(&bytes(PROGRAM_END_AND_START)).unwrap().segmentations;
        let both: Vec<_> = both.iter().map(|one| (one.event_id, one.type_id)).collect();
        assert_eq!(both, [(0x4800_0018, 0x11), (0x4800_0019, 0x10)]);
    }

    #[test]
    fn scte35_s9_6_what_is_torn_or_bent_is_refused() {
        let whole = bytes(INSERT_OUT);
        for len in 0..whole.len() {
            assert_eq!(
                read(&whole[..len]).unwrap_err(),
                Error::Short,
                "{len} bytes"
            );
        }
        for bit in 0..8 * whole.len() {
            let mut bent = whole.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bent).is_err(), "bit {bit}");
        }
        let padded = [&whole[..], &[0xff; 5]].concat();
        assert_eq!(read(&padded).unwrap().len, whole.len());
        assert_eq!(read(&[0xfc, 0x30, 0]).unwrap_err(), Error::Crc);
    }

    #[test]
    fn scte35_s9_6_encrypted_and_other_commands_say_no_more() {
        let mut sealed = section(5, &[1; 24], &[]);
        sealed[4] |= 0x80;
        let end = sealed.len() - 4;
        let crc = crc32(&sealed[..end]);
        sealed[end..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(read(&sealed).unwrap().command, Command::Other);
        let others = [
            (0x00, Command::Idle),
            (0x07, Command::Idle),
            (0x04, Command::Other),
            (0xff, Command::Other),
        ];
        for (command_type, want) in others {
            let other = read(&section(command_type, &[], &[])).unwrap();
            assert_eq!((other.command, other.segmentations), (want, vec![]));
        }
    }

    #[test]
    fn scte35_s9_6_a_command_without_a_length_ends_where_its_fields_do() {
        let mut old = bytes(PLACEMENT_START);
        (old[11], old[12]) = (old[11] | 0x0f, 0xff);
        let end = old.len() - 4;
        let crc = crc32(&old[..end]);
        old[end..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(
            read(&old).unwrap().segmentations,
            read(&bytes(PLACEMENT_START)).unwrap().segmentations
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            command_type in 0..8u8,
            command in prop::collection::vec(any::<u8>(), 0..40),
            descriptors in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let whole = section(command_type, &command, &descriptors);
            if let Ok(section) = read(&whole) {
                prop_assert_eq!(section.len, whole.len());
            }
        }
    }
}
