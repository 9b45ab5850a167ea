//! The push parser: bytes of one body in, headers and chunks out.

use bytes::Bytes;

use super::moof::{self, Moof, SegmentType};
use super::{Chunk, Event, Header, ProducerTime};
use crate::limits;
use crate::media::bmff::{BOX_HEADER_BYTES_MAX, BoxHeader, Error, ErrorKind, FourCc, Reader};

/// Reads one body, in whatever pieces it comes.
///
/// Boxes before a moof that belong to its chunk are styp, prft, emsg and all
/// that are not known here; sidx, ssix and mfra are dropped. A moof is followed
/// by mdat, with nothing but free or skip between; the chunk ends with the
/// first mdat that has all its samples, and it is an error when another box
/// comes before that. Sample sizes that only trex gives are not known here:
/// such a chunk ends with its first mdat.
///
/// A moov without an ftyp in front is a header of the moov alone. Boxes between
/// ftyp and moov belong to the header; whatever else waits for a moof when an
/// ftyp or a moov begins is dropped.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// Bytes taken so far.
    position: u64,
    /// Boxes that wait for their moov or mdat. Its memory is used again for
    /// every chunk.
    lead: Vec<u8>,
    /// Position of the first box in `lead`.
    lead_at: u64,
    /// What the boxes in `lead` say.
    segment_type: Option<SegmentType>,
    producer_time: Option<ProducerTime>,
    /// The chunk whose moof is whole; its `bytes` are empty.
    pending: Option<Box<Chunk>>,
    /// Bytes of that chunk, once its first mdat has begun: one allocation.
    body: Vec<u8>,
    /// Bytes that `body` will have when the mdat under way is whole.
    body_claimed: usize,
    /// Bytes that `body` must have before the chunk is whole.
    body_needed: usize,
    failed: Option<Error>,
}

/// Where in the body the next byte lies.
#[derive(Debug)]
enum State {
    /// In a box header.
    Header {
        bytes: [u8; BOX_HEADER_BYTES_MAX],
        have: usize,
    },
    /// In a box that is kept whole in `lead`.
    Lead {
        name: FourCc,
        from: usize,
        left: u64,
    },
    /// In an mdat.
    Media { left: u64 },
    /// In a box that is dropped.
    Dropped {
        name: FourCc,
        left: u64,
        empty: bool,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Header {
            bytes: [0; BOX_HEADER_BYTES_MAX],
            have: 0,
        }
    }
}

/// Memory for small boxes that an idle parser keeps.
const LEAD_BYTES_KEPT: usize = 8 * 1024;

impl Parser {
    /// A parser at the first byte of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` up to the end of the next event.
    /// `Ok(None)` means that all of `input` was taken. After an error every
    /// further call gives the same error.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.step(input);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    /// Says whether the body may end here: not inside a box, and not between a
    /// moof and the last byte of its media. Boxes that wait for a moof are not
    /// missed.
    pub fn finish(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let between_boxes = matches!(self.state, State::Header { have: 0, .. });
        if between_boxes && self.pending.is_none() {
            return Ok(());
        }
        let mut error = Error::new(self.position, ErrorKind::Truncated);
        match self.state {
            State::Lead { name, .. } | State::Dropped { name, .. } => error = error.inside(name),
            State::Media { .. } => error = error.inside(FourCc(*b"mdat")),
            State::Header { .. } => {}
        }
        self.failed = Some(error.clone());
        Err(error)
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the next chunk has a styp in front: the source has begun a new
    /// segment, so that the chunk before was the last of its own.
    pub fn segment_begun(&self) -> bool {
        self.segment_type.is_some() || self.pending.as_ref().is_some_and(|chunk| chunk.styp)
    }

    /// The next chunk when its moof is whole and its mdat is still under way;
    /// its `bytes` are empty as yet.
    pub fn moof_pending(&self) -> Option<&Chunk> {
        self.pending.as_deref()
    }

    /// Bytes held for what is not whole yet.
    pub fn held_bytes(&self) -> usize {
        self.lead.len() + self.body.len()
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        while !input.is_empty() || self.box_is_whole() {
            let event = match self.state {
                State::Header { .. } => {
                    self.take_header(input)?;
                    None
                }
                State::Lead { name, from, left } => {
                    let taken = self.take(input, left);
                    self.lead.extend_from_slice(taken);
                    let left = left - taken.len() as u64;
                    self.state = State::Lead { name, from, left };
                    if left == 0 {
                        self.end_lead(name, from)?
                    } else {
                        None
                    }
                }
                State::Media { left } => {
                    let taken = self.take(input, left);
                    self.extend_body(taken);
                    let left = left - taken.len() as u64;
                    self.state = State::Media { left };
                    if left == 0 { self.end_media() } else { None }
                }
                State::Dropped { name, left, empty } => {
                    let left = left - self.take(input, left).len() as u64;
                    self.state = State::Dropped { name, left, empty };
                    if left == 0 {
                        self.end_dropped(name, empty)
                    } else {
                        None
                    }
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Whether the box under way has no byte left to wait for.
    fn box_is_whole(&self) -> bool {
        match self.state {
            State::Header { .. } => false,
            State::Lead { left, .. } | State::Media { left } | State::Dropped { left, .. } => {
                left == 0
            }
        }
    }

    fn take<'a>(&mut self, input: &mut &'a [u8], most: u64) -> &'a [u8] {
        let len = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
        let (taken, rest) = input.split_at(len);
        *input = rest;
        self.position += len as u64;
        taken
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        while let Some((byte, rest)) = input.split_first() {
            let State::Header { bytes, have } = &mut self.state else {
                unreachable!("headers are read in their own state")
            };
            bytes[*have] = *byte;
            *have += 1;
            *input = rest;
            self.position += 1;
            let at = self.position - *have as u64;
            let raw = *bytes;
            let header = BoxHeader::read(&raw[..*have]).map_err(|kind| Error::new(at, kind))?;
            if let Some(header) = header {
                return self.begin(header, &raw[..header.len], at);
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: BoxHeader, raw: &[u8], at: u64) -> Result<(), Error> {
        let (name, left) = (header.name, header.payload());
        if self.pending.is_some() && name != *b"mdat" {
            if !self.body.is_empty() {
                return Err(Error::new(at, ErrorKind::SamplesOutsideMdat));
            }
            if name != *b"free" && name != *b"skip" {
                return Err(Error::new(at, ErrorKind::MoofWithoutMdat { found: name }));
            }
        }
        match &name.0 {
            b"mdat" => return self.begin_media(header, raw, at),
            b"sidx" | b"ssix" | b"mfra" => {
                let empty = left == 0;
                self.state = State::Dropped { name, left, empty };
                return Ok(());
            }
            b"ftyp" => self.drop_lead(),
            b"moov" if !self.lead_is_ftyp() => self.drop_lead(),
            _ => {}
        }
        let waiting = self.lead.len() as u64;
        let total = header.size.saturating_add(waiting);
        let (size, max) = match &name.0 {
            b"moof" | b"moov" => (header.size, limits::BOX_BYTES_MAX),
            _ => (total, limits::CHUNK_PREFIX_BYTES_MAX),
        };
        if size > max {
            return Err(Error::new(at, ErrorKind::TooLarge { name, size, max }));
        }
        if self.lead.is_empty() {
            self.lead_at = at;
        }
        let from = self.lead.len();
        self.lead.extend_from_slice(raw);
        self.state = State::Lead { name, from, left };
        Ok(())
    }

    fn begin_media(&mut self, header: BoxHeader, raw: &[u8], at: u64) -> Result<(), Error> {
        let Some(pending) = &mut self.pending else {
            return Err(Error::new(at, ErrorKind::MdatWithoutMoof));
        };
        let before = self.lead.len() + self.body.len();
        let size = header.size.saturating_add(before as u64);
        let max = limits::CHUNK_BYTES_MAX;
        if size > max {
            return Err(Error::new(
                at,
                ErrorKind::TooLarge {
                    name: header.name,
                    size,
                    max,
                },
            ));
        }
        self.body_claimed = size as usize;
        if self.body.is_empty() {
            pending.payload_from = before + raw.len();
            let first = self
                .body_claimed
                .min(limits::CHUNK_RESERVE_BYTES_MAX)
                .max(before);
            self.body = Vec::with_capacity(first);
            self.body.extend_from_slice(&self.lead);
            self.lead.clear();
            self.lead.shrink_to(LEAD_BYTES_KEPT);
        }
        self.extend_body(raw);
        self.state = State::Media {
            left: header.payload(),
        };
        Ok(())
    }

    /// Appends media. Memory doubles, but never beyond what the mdat claims, so
    /// that a whole chunk has no slack.
    fn extend_body(&mut self, bytes: &[u8]) {
        let need = self.body.len() + bytes.len();
        if need > self.body.capacity() {
            let grown = (self.body.capacity() * 2).min(self.body_claimed).max(need);
            self.body.reserve_exact(grown - self.body.len());
        }
        self.body.extend_from_slice(bytes);
    }

    fn end_lead(&mut self, name: FourCc, from: usize) -> Result<Option<Event>, Error> {
        self.state = State::default();
        let bytes = &self.lead[from..];
        let at = self.position - bytes.len() as u64;
        let inside = |error: Error| error.inside(name);
        let child = Reader::new(bytes, at)
            .child()?
            .expect("a box that was kept whole");
        match &name.0 {
            b"styp" => {
                self.segment_type = Some(SegmentType::read(child.payload).map_err(inside)?);
            }
            b"prft" if self.producer_time.is_none() => {
                self.producer_time = Some(ProducerTime::read(child.payload).map_err(inside)?);
            }
            b"moof" => {
                let moof = Moof::read(&child).map_err(inside)?;
                self.end_moof(moof, from, at);
            }
            b"moov" => {
                let header = Header::read(&child, Bytes::copy_from_slice(&self.lead));
                let header = header.map_err(inside)?;
                self.drop_lead();
                return Ok(Some(Event::Header(header)));
            }
            _ => {}
        }
        Ok(None)
    }

    fn end_moof(&mut self, moof: Moof, prefix_len: usize, moof_at: u64) {
        let segment_type = self.segment_type.take();
        let chunk = Chunk {
            bytes: Bytes::new(),
            at: self.lead_at,
            moof_at,
            styp: segment_type.is_some(),
            last: segment_type.is_some_and(|styp| styp.last),
            slate: segment_type.is_some_and(|styp| styp.slate),
            producer_time: self.producer_time.take(),
            prefix_len,
            payload_from: 0,
            sequence_number: moof.sequence_number,
            fragments: moof.fragments,
        };
        self.body_needed = needed_bytes(&chunk);
        self.pending = Some(Box::new(chunk));
    }

    fn end_media(&mut self) -> Option<Event> {
        self.state = State::default();
        if self.body.len() < self.body_needed {
            return None;
        }
        let mut chunk = self.pending.take().expect("an mdat has its moof");
        chunk.bytes = Bytes::from(std::mem::take(&mut self.body));
        Some(Event::Chunk(chunk))
    }

    fn end_dropped(&mut self, name: FourCc, empty: bool) -> Option<Event> {
        self.state = State::default();
        (name == *b"mfra").then_some(Event::End { over: empty })
    }

    fn lead_is_ftyp(&self) -> bool {
        self.lead.get(4..8) == Some(b"ftyp")
    }

    fn drop_lead(&mut self) {
        self.lead.clear();
        self.lead.shrink_to(LEAD_BYTES_KEPT);
        self.segment_type = None;
        self.producer_time = None;
    }
}

/// Bytes from the start of a chunk to the end of its last sample, as far as
/// they can be known without the header's defaults. Offsets that no chunk can
/// have are left for [`super::resolve()`] to refuse.
fn needed_bytes(chunk: &Chunk) -> usize {
    let places = moof::places(&chunk.fragments, chunk.moof_at, |index| {
        chunk.fragments[index].size
    });
    let places = places.unwrap_or_default();
    let filled = places.iter().flatten().filter(|place| place.len > 0);
    let ends = filled.map(|place| place.from.saturating_add(place.len));
    let from_moof = usize::try_from(ends.max().unwrap_or(0)).unwrap_or(0);
    chunk.prefix_len.saturating_add(from_moof)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::cmaf::testing::{
        TrafBytes, TrakBytes, boxed, chunk as chunk_of, counting, events, header_bytes, moof, trun,
        video_chunk, words,
    };

    fn styp(brand: &[u8; 4]) -> Vec<u8> {
        boxed(b"styp", &[b"msdh", &words(&[0]), b"msix", brand])
    }

    fn prft(track_id: u32) -> Vec<u8> {
        boxed(
            b"prft",
            &[&words(&[
                1 << 24 | 24,
                track_id,
                3_976_214_400,
                1 << 31,
                0,
                9,
            ])],
        )
    }

    /// Every kind of box in one body.
    fn stream() -> Vec<u8> {
        [
            header_bytes(&[TrakBytes::video(1)]),
            styp(b"cmfs"),
            boxed(b"sidx", &[&[0; 24]]),
            prft(1),
            boxed(b"emsg", &[b"event"]),
            video_chunk(0, &[5, 6]),
            boxed(b"free", &[]),
            boxed(b"uuid", &[&[7; 20]]),
            video_chunk(6000, &[300]),
            styp(b"lmsg"),
            video_chunk(9000, &[1]),
            boxed(b"mfra", &[&[0; 16]]),
            boxed(b"mfra", &[]),
        ]
        .concat()
    }

    fn failure(body: &[u8]) -> String {
        events(body).unwrap_err().to_string()
    }

    #[test]
    fn iso_23000_19_section_7_3_boxes_make_headers_and_chunks() {
        let body = stream();
        let seen = events(&body).unwrap();
        let [
            Event::Header(header),
            Event::Chunk(first),
            Event::Chunk(second),
            last,
            index,
            end,
        ] = &seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!(header.bytes, body[..header.bytes.len()]);

        assert_eq!(first.at, header.bytes.len() as u64);
        assert_eq!((first.styp, first.last, first.slate), (true, false, false));
        assert_eq!(
            first.producer_time.unwrap().wall.rfc3339(),
            "2026-01-01T00:00:00.500Z"
        );
        let kept = [
            styp(b"cmfs"),
            prft(1),
            boxed(b"emsg", &[b"event"]),
            video_chunk(0, &[5, 6]),
        ];
        assert_eq!(first.bytes, kept.concat(), "sidx is left out");
        assert_eq!(first.moof_at, first.at + first.prefix_len as u64 + 32);
        assert_eq!(first.bytes[first.payload_from..], counting(11));

        assert_eq!((second.styp, second.producer_time), (false, None));
        assert_eq!(&second.bytes[4..8], b"free");
        assert_eq!(second.fragments[0].decode_time, 6000);
        let Event::Chunk(last) = last else {
            panic!("{last:?}")
        };
        assert!(last.styp && last.last);
        let ends = [false, true].map(|over| Event::End { over });
        assert_eq!([index, end], [&ends[0], &ends[1]]);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(mut cuts in proptest::collection::vec(0usize..2000, 0..40)) {
            let body = stream();
            cuts.push(body.len());
            cuts.sort_unstable();
            let (mut parser, mut seen, mut from) = (Parser::new(), Vec::new(), 0);
            for cut in cuts {
                let mut piece = &body[from..cut.min(body.len()).max(from)];
                from += piece.len();
                while let Some(event) = parser.push(&mut piece).unwrap() {
                    seen.push(event);
                }
                prop_assert!(piece.is_empty());
                prop_assert_eq!(parser.position(), from as u64);
            }
            prop_assert_eq!(parser.finish(), Ok(()));
            prop_assert_eq!(seen, events(&body).unwrap());
        }
    }

    #[test]
    fn a_body_may_end_between_boxes_only() {
        let body = stream();
        let mut whole = vec![0];
        let mut reader = Reader::new(&body, 0);
        while let Some(child) = reader.child().unwrap() {
            let end = (child.at + child.bytes.len() as u64) as usize;
            if child.name != *b"moof" {
                whole.push(end);
            }
        }
        for cut in 0..=body.len() {
            let ended = events(&body[..cut]);
            assert_eq!(
                ended.is_ok(),
                whole.contains(&cut),
                "cut at {cut}: {ended:?}"
            );
        }
        assert_eq!(
            failure(&body[..19]),
            "byte 19, ftyp: the body ends in the middle of media"
        );
    }

    #[test]
    fn a_header_may_come_again_and_without_ftyp() {
        let header = header_bytes(&[TrakBytes::video(1)]);
        let moov = &header[20..];
        let chunk = video_chunk(0, &[4]);
        let body = [&header, &chunk, &styp(b"cmfs"), &header, &chunk, moov].concat();
        let seen = events(&body).unwrap();
        let [
            Event::Header(first),
            Event::Chunk(_),
            Event::Header(second),
            Event::Chunk(after),
            Event::Header(bare),
        ] = &seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!(first, second);
        assert!(
            !after.styp,
            "what waits for a moof when a header begins is dropped"
        );
        assert_eq!(bare.bytes, moov);
    }

    #[test]
    fn the_next_chunk_is_known_before_its_media() {
        let body = [styp(b"slat"), video_chunk(90_000, &[50])].concat();
        let mut parser = Parser::new();
        assert!(!parser.segment_begun());
        parser.push(&mut &body[..40]).unwrap();
        assert!(parser.segment_begun() && parser.moof_pending().is_none());
        parser.push(&mut &body[40..body.len() - 1]).unwrap();
        let pending = parser.moof_pending().unwrap();
        assert!(pending.styp && pending.slate && pending.bytes.is_empty());
        assert_eq!(pending.fragments[0].decode_time, 90_000);
        assert!(parser.segment_begun());
        let event = parser.push(&mut &body[body.len() - 1..]).unwrap();
        assert!(matches!(event, Some(Event::Chunk(_))));
        assert!(!parser.segment_begun() && parser.moof_pending().is_none());
        assert_eq!(parser.held_bytes(), 0);
    }

    #[test]
    fn a_chunk_lies_in_one_allocation_without_slack() {
        for len in [10, limits::CHUNK_RESERVE_BYTES_MAX as u32 * 3 + 77] {
            let body = video_chunk(0, &[len]);
            let mut parser = Parser::new();
            let mut seen = None;
            for mut piece in body.chunks(1000) {
                let held = parser.body.capacity();
                assert!(
                    held <= body.len()
                        && held <= limits::CHUNK_RESERVE_BYTES_MAX.max(2 * parser.body.len())
                );
                if let Some(event) = parser.push(&mut piece).unwrap() {
                    seen = Some(event);
                }
            }
            let Some(Event::Chunk(chunk)) = seen else {
                panic!("a chunk")
            };
            assert_eq!(chunk.bytes, body);
        }
    }

    #[test]
    fn memory_is_not_reserved_on_a_claim() {
        let mut body = video_chunk(0, &[1]);
        let mdat = body.len() - 9;
        body.truncate(mdat);
        body.extend((limits::CHUNK_BYTES_MAX as u32 - mdat as u32).to_be_bytes());
        body.extend(b"mdat");
        let mut parser = Parser::new();
        parser.push(&mut &body[..]).unwrap();
        assert_eq!(parser.body.capacity(), limits::CHUNK_RESERVE_BYTES_MAX);
        let over = u32::from_be_bytes(body[mdat..mdat + 4].try_into().unwrap()) + 1;
        body[mdat..mdat + 4].copy_from_slice(&over.to_be_bytes());
        let max = limits::CHUNK_BYTES_MAX;
        let told = format!("byte {mdat}: box mdat makes {} bytes, above {max}", max + 1);
        assert_eq!(failure(&body), told);
    }

    #[test]
    fn boxes_are_bounded_when_they_are_claimed() {
        let claim = |name: &[u8; 4], size: u64| [&(size as u32).to_be_bytes()[..], name].concat();
        for (name, max) in [
            (b"moof", limits::BOX_BYTES_MAX),
            (b"moov", limits::BOX_BYTES_MAX),
            (b"styp", limits::CHUNK_PREFIX_BYTES_MAX),
            (b"what", limits::CHUNK_PREFIX_BYTES_MAX),
        ] {
            assert!(failure(&claim(name, max)).contains("ends in the middle"));
            assert!(failure(&claim(name, max + 1)).contains(&format!("above {max}")));
        }
        let mut prefix = boxed(
            b"free",
            &[&vec![0; limits::CHUNK_PREFIX_BYTES_MAX as usize - 28]],
        );
        prefix.extend(claim(b"emsg", 20));
        assert!(failure(&prefix).contains("ends in the middle"));
        let at = prefix.len() - 5;
        prefix[at] += 1;
        assert!(failure(&prefix).contains("box emsg makes 262145 bytes, above 262144"));
    }

    #[test]
    fn boxes_out_of_order_are_refused() {
        let mdat = boxed(b"mdat", &[b"x"]);
        assert_eq!(failure(&mdat), "byte 0: an mdat without a moof");
        let chunk = video_chunk(0, &[4]);
        let moof = &chunk[..chunk.len() - 12];
        let told = format!(
            "byte {}: styp where the mdat of the moof should be",
            moof.len()
        );
        assert_eq!(failure(&[moof, &styp(b"cmfs")].concat()), told);
        let free = boxed(b"free", &[b"pad"]);
        let shifted = [moof, &free, &chunk[moof.len()..]].concat();
        // The data offset of the moof now points into free.
        assert!(
            super::super::resolve(
                &super::super::testing::chunk(&shifted),
                &super::super::testing::header(&header_bytes(&[TrakBytes::video(1)]))
            )
            .is_err()
        );
        assert_eq!(
            failure(&[&chunk[..], &mdat].concat()),
            format!("byte {}: an mdat without a moof", chunk.len())
        );
    }

    #[test]
    fn a_chunk_waits_for_the_mdat_with_its_last_sample() {
        let build = |offset: u32| {
            moof(
                1,
                &[TrafBytes::new(
                    1,
                    0,
                    &[
                        &trun(0x201, 1, &[offset, 4]),
                        &trun(0x201, 1, &[offset + 12, 6]),
                    ],
                )],
            )
        };
        let moof = build(build(0).len() as u32 + 8);
        let (one, two) = (boxed(b"mdat", &[b"abcd"]), boxed(b"mdat", &[b"efghij"]));
        let body = [&moof[..], &one, &two].concat();
        assert_eq!(chunk_of(&body).bytes, body);
        let told = format!("byte {}: samples lie outside mdat", moof.len() + one.len());
        assert_eq!(failure(&[&moof[..], &one, &styp(b"cmfs")].concat()), told);
        let cut = failure(&[&moof[..], &one].concat());
        assert!(
            cut.ends_with("the body ends in the middle of media"),
            "{cut}"
        );
    }

    #[test]
    fn an_error_stays() {
        let mut parser = Parser::new();
        let error = parser.push(&mut &b"\0\0\0\0mdat"[..]).unwrap_err();
        assert_eq!(error.to_string(), "byte 0: box mdat has no end (size 0)");
        assert_eq!(
            parser.push(&mut &video_chunk(0, &[1])[..]).unwrap_err(),
            error
        );
        assert_eq!(parser.finish().unwrap_err(), error);
    }
}
