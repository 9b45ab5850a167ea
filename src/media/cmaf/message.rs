//! Event messages: emsg in front of a chunk (ISO/IEC 23009-1 section
//! 5.10.3.3), and emsg or emib in the samples of a metadata track (ISO/IEC
//! 23001-18 section 6).

use bytes::Bytes;

use super::resolve::{all_inside, media_ranges};
use super::{Event, Kind, Parser, TrackChunk, TrackHeader, moof};
use crate::limits;
use crate::media::bmff::{Child, Error, Reader};

/// One event message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `scheme_id_uri`.
    pub scheme: String,
    /// Ticks a second of `time` and `duration`; never zero.
    pub timescale: u32,
    /// When it applies.
    pub time: MessageTime,
    /// `event_duration`, unless unknown.
    pub duration: Option<u32>,
    /// `message_data`, sharing memory with the chunk.
    pub data: Bytes,
}

/// When a message applies, in ticks of its timescale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTime {
    /// On the presentation timeline of the track.
    Absolute(u64),
    /// After the first presentation time of the segment.
    AfterSegment(u32),
    /// After the first presentation time of the chunk.
    AfterChunk(i64),
}

/// The messages of a chunk, [`limits::CHUNK_MESSAGES_MAX`] at most; what can't
/// be read is said and changes nothing else.
pub fn messages(chunk: &TrackChunk, header: &TrackHeader) -> Vec<Result<Message, Error>> {
    let mut out = Vec::new();
    in_front(chunk, &mut out);
    if header.kind == Kind::Metadata {
        in_samples(chunk, header, &mut out);
    }
    out
}

fn in_front(chunk: &TrackChunk, out: &mut Vec<Result<Message, Error>>) {
    let mut boxes = Reader::new(&chunk.bytes, chunk.at);
    while let Ok(Some(child)) = boxes.child() {
        match &child.name.0 {
            b"moof" => return,
            b"emsg" if out.len() < limits::CHUNK_MESSAGES_MAX => {
                out.push(emsg(chunk, &child).map_err(|error| error.inside(child.name)));
            }
            _ => {}
        }
    }
}

/// Samples of a metadata track hold boxes.
fn in_samples(chunk: &TrackChunk, header: &TrackHeader, out: &mut Vec<Result<Message, Error>>) {
    let mut at = 0;
    let mut media = media(chunk, header);
    for sample in &chunk.samples {
        let len = (sample.size as usize).min(media.len());
        let (own, rest) = media.split_at(len);
        media = rest;
        let mut boxes = Reader::new(own, chunk.at);
        while let Ok(Some(child)) = boxes.child() {
            if out.len() == limits::CHUNK_MESSAGES_MAX {
                return;
            }
            let read = match &child.name.0 {
                b"emsg" => emsg(chunk, &child).map(|message| message.after(at, header)),
                b"emib" => emib(chunk, &child, header).map(|message| message.after(at, header)),
                _ => continue,
            };
            out.push(read.map_err(|error| error.inside(child.name)));
        }
        at += i64::from(sample.duration);
    }
}

/// The samples of a chunk, one behind the other.
fn media<'a>(chunk: &'a TrackChunk, header: &TrackHeader) -> &'a [u8] {
    let Ok(Some(Event::Chunk(source))) = Parser::new().push(&mut &chunk.bytes[..]) else {
        return &[];
    };
    let places = moof::places(&source.fragments, source.moof_at, |at| {
        Some(source.fragments[at].defaults(&header.defaults).size)
    });
    let Some(places) = places.filter(|places| all_inside(&source, places)) else {
        return &[];
    };
    // One run is what every encoder writes for samples this small.
    match &media_ranges(&source, &places[0])[..] {
        [range] => &chunk.bytes[range.clone()],
        _ => &[],
    }
}

fn emsg(chunk: &TrackChunk, child: &Child<'_>) -> Result<Message, Error> {
    let mut body = child.payload;
    let (version, _) = body.version_and_flags()?;
    let mut scheme = &b""[..];
    if version == 0 {
        scheme = body.c_string();
        body.c_string();
    }
    let timescale = body.u32()?.max(1);
    let time = if version == 0 {
        MessageTime::AfterSegment(body.u32()?)
    } else {
        MessageTime::Absolute(body.u64()?)
    };
    let duration = known(body.u32()?);
    body.u32()?;
    if version != 0 {
        scheme = body.c_string();
        body.c_string();
    }
    Ok(Message {
        scheme: String::from_utf8_lossy(scheme).into_owned(),
        timescale,
        time,
        duration,
        data: chunk.bytes.slice_ref(body.rest()),
    })
}

fn emib(chunk: &TrackChunk, child: &Child<'_>, header: &TrackHeader) -> Result<Message, Error> {
    let mut body = child.payload;
    body.version_and_flags()?;
    body.u32()?;
    let delta = body.u64()?.cast_signed();
    let duration = known(body.u32()?);
    body.u32()?;
    let scheme = body.c_string();
    body.c_string();
    Ok(Message {
        scheme: String::from_utf8_lossy(scheme).into_owned(),
        timescale: header.timescale.get(),
        time: MessageTime::AfterChunk(delta),
        duration,
        data: chunk.bytes.slice_ref(body.rest()),
    })
}

/// All ones stand for a duration that is not known.
fn known(duration: u32) -> Option<u32> {
    (duration != u32::MAX).then_some(duration)
}

impl Message {
    /// The same message in a sample that begins `ticks` of the track after its
    /// chunk: times that are not absolute count from there.
    fn after(mut self, ticks: i64, header: &TrackHeader) -> Self {
        let scale = i128::from(header.timescale.get());
        let ticks = (i128::from(ticks) * i128::from(self.timescale) / scale) as i64;
        self.time = match self.time {
            MessageTime::AfterSegment(delta) => {
                MessageTime::AfterChunk(ticks.saturating_add(delta.into()))
            }
            MessageTime::AfterChunk(delta) => MessageTime::AfterChunk(ticks.saturating_add(delta)),
            absolute @ MessageTime::Absolute(_) => absolute,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::resolve;
    use crate::media::cmaf::testing::{
        TrafBytes, TrakBytes, boxed, chunk, header, header_bytes, moof, trun, video_chunk, words,
    };

    fn emsg_v0(scheme: &[u8], delta: u32, duration: u32) -> Vec<u8> {
        let fixed = words(&[1000, delta, duration, 7]);
        boxed(b"emsg", &[&words(&[0]), scheme, b"\0v\0", &fixed, b"data"])
    }

    fn emsg_v1(scheme: &[u8], time: u64) -> Vec<u8> {
        let head = words(&[1 << 24, 48_000]);
        let ids = words(&[u32::MAX, 7]);
        boxed(
            b"emsg",
            &[&head, &time.to_be_bytes(), &ids, scheme, b"\0\0", b"more"],
        )
    }

    fn of(body: &[u8], trak: TrakBytes) -> Vec<Result<Message, Error>> {
        let header = header(&header_bytes(&[trak]));
        let chunk = resolve(&chunk(body), &header).unwrap().remove(0).1;
        messages(&chunk, &header.tracks[0])
    }

    #[test]
    fn iso23009_s5_10_3_3_both_versions_of_emsg_are_read() {
        let body = [
            emsg_v0(b"urn:a", 500, 3000),
            emsg_v1(b"urn:b", 1 << 40),
            video_chunk(90_000, &[3, 4]),
        ];
        let got = of(&body.concat(), TrakBytes::video(1));
        let first = Message {
            scheme: "urn:a".into(),
            timescale: 1000,
            time: MessageTime::AfterSegment(500),
            duration: Some(3000),
            data: Bytes::from_static(b"data"),
        };
        let second = Message {
            scheme: "urn:b".into(),
            timescale: 48_000,
            time: MessageTime::Absolute(1 << 40),
            duration: None,
            data: Bytes::from_static(b"more"),
        };
        assert_eq!(got, [Ok(first), Ok(second)]);
    }

    #[test]
    fn a_message_that_cannot_be_read_is_named() {
        let body = [
            boxed(b"emsg", &[b"event"]),
            emsg_v0(b"urn:a", 0, 0),
            video_chunk(0, &[1]),
        ];
        let got = of(&body.concat(), TrakBytes::video(1));
        assert_eq!(got.len(), 2);
        let error = got[0].as_ref().unwrap_err().to_string();
        assert!(error.contains("emsg"), "{error}");
        assert!(got[1].is_ok());
    }

    #[test]
    fn messages_of_a_chunk_end_at_their_limit() {
        let many = emsg_v0(b"u", 0, 0).repeat(limits::CHUNK_MESSAGES_MAX + 1);
        let body = [many, video_chunk(0, &[1])].concat();
        assert_eq!(
            of(&body, TrakBytes::video(1)).len(),
            limits::CHUNK_MESSAGES_MAX
        );
    }

    #[test]
    fn iso23001_18_s6_instances_count_from_their_sample() {
        let emib = |delta: i64| {
            let fixed = [
                &words(&[0, 0])[..],
                &delta.to_be_bytes(),
                &words(&[9000, 5]),
            ]
            .concat();
            boxed(b"emib", &[&fixed, b"urn:c\0\0", b"x"])
        };
        let samples = [boxed(b"emeb", &[]), [emib(-10), emib(20)].concat()];
        let sizes: Vec<u32> = samples.iter().map(|sample| sample.len() as u32).collect();
        let build = |offset| {
            let run = trun(0x201, 2, &[offset, sizes[0], sizes[1]]);
            moof(1, &[TrafBytes::new(1, 0, &[&run])])
        };
        let offset = build(0).len() as u32 + 8;
        let body = [build(offset), boxed(b"mdat", &[&samples.concat()])].concat();
        let trak = || TrakBytes {
            handler: *b"meta",
            entry: boxed(b"evte", &[&[0; 8]]),
            ..TrakBytes::video(1)
        };
        let got = of(&body, trak());
        let times: Vec<_> = got.iter().map(|one| one.as_ref().unwrap().time).collect();
        // The first sample lasts 3000 ticks, by trex.
        let after = MessageTime::AfterChunk;
        assert_eq!(times, [after(2990), after(3020)]);
        let one = got[0].as_ref().unwrap();
        assert_eq!((&one.scheme[..], one.timescale), ("urn:c", 90_000));
        assert_eq!((one.duration, &one.data[..]), (Some(9000), &b"x"[..]));
        let video = of(&body, TrakBytes::video(1));
        assert!(video.is_empty(), "only metadata is looked into");
    }
}
