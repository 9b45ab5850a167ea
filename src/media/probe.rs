//! What the CMAF parser sees of a stream, told to people: tracks, codecs,
//! chunks, and what is odd about them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::media::bmff::Error;
use crate::media::cmaf::{
    self, Chunk, DataBase, Event, Header, Kind, Parser, TrackChunk, TrackHeader,
};

/// Reads bodies in the order in which an encoder would push them and takes
/// notes.
#[derive(Debug, Default)]
pub struct Probe {
    parser: Parser,
    header: Option<Header>,
    /// Whether the body under way has had a chunk.
    body_has_chunk: bool,
    last_sequence_number: Option<u32>,
    /// Where each track's media ended, and how long its last sample was.
    ends: BTreeMap<u32, (u64, u32)>,
    report: Report,
}

/// The notes of a [`Probe`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Bodies in order.
    pub bodies: Vec<BodyReport>,
    /// Tracks in order of first appearance.
    pub tracks: Vec<TrackReport>,
}

/// One body.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BodyReport {
    /// As given to [`Probe::begin`].
    pub name: String,
    /// Bytes taken.
    pub bytes: u64,
    /// CMAF headers, chunks, ends and complaints, in the order of the bytes.
    pub notes: Vec<Note>,
    /// Why it was not read to the end.
    pub error: Option<String>,
}

/// Something seen in a body.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A CMAF header.
    Header {
        /// Its digest for each track, dates masked, in hexadecimal.
        digests: Vec<String>,
    },
    /// A chunk of one track.
    Chunk(ChunkReport),
    /// An mfra.
    End,
    /// Something that works but should not be so.
    Complaint(String),
}

/// One track over all bodies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackReport {
    /// `track_ID`.
    pub track_id: u32,
    /// `video`, `audio`, `text` or `metadata`.
    pub kind: &'static str,
    /// RFC 6381 string.
    pub codec: String,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Ticks a second.
    pub timescale: u32,
    /// Video: pixels.
    pub width: u32,
    /// Video: lines.
    pub height: u32,
    /// Audio: samples a second.
    pub sample_rate: u32,
    /// Audio: channels.
    pub channels: u32,
    /// As claimed by btrt.
    pub claimed_bps: Option<u32>,
    /// What the edit list subtracts, in ticks.
    pub edit_shift_ticks: i64,
    /// encv or enca.
    pub encrypted: bool,
    /// Chunks seen.
    pub chunks: u64,
    /// Samples seen.
    pub samples: u64,
    /// Samples seen at which decoding can start.
    pub sync_samples: u64,
    /// Ticks of all samples.
    pub duration_ticks: u64,
    /// Bytes of media, boxes not counted.
    pub media_bytes: u64,
}

/// One chunk of one track.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChunkReport {
    /// Position in the body.
    pub at: u64,
    /// `track_ID`.
    pub track_id: u32,
    /// Bytes of its boxes.
    pub bytes: u64,
    /// `sequence_number` of mfhd.
    pub sequence_number: u32,
    /// Decode time of the first sample, in ticks.
    pub decode_time: u64,
    /// Ticks.
    pub duration: u64,
    /// Least composition time less decode time, in ticks.
    pub presentation_shift: i64,
    /// Samples.
    pub samples: usize,
    /// Indexes of the samples at which decoding can start: all, or these.
    pub sync_samples: SyncSamples,
    /// A styp stands in front.
    pub styp: bool,
    /// Brand `lmsg`.
    pub last: bool,
    /// Brand `slat`.
    pub slate: bool,
    /// Wall clock of prft.
    pub producer_time: Option<String>,
}

/// Where in a chunk decoding can start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncSamples {
    /// Anywhere.
    All,
    /// At these indexes.
    At(Vec<usize>),
}

impl Probe {
    /// A probe that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a body, a file or a request. CMAF headers of earlier ones stay in
    /// force.
    pub fn begin(&mut self, name: &str) {
        self.end_body();
        self.parser = Parser::new();
        self.body_has_chunk = false;
        self.report.bodies.push(BodyReport {
            name: name.into(),
            ..BodyReport::default()
        });
    }

    /// Takes bytes of the body under way. After an error the rest of the body
    /// is passed over.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.report.bodies.is_empty() {
            self.begin("");
        }
        while self.body().error.is_none() {
            match self.parser.push(&mut bytes) {
                Ok(Some(event)) => self.note(event),
                Ok(None) => break,
                Err(error) => self.fail(&error),
            }
        }
        self.body().bytes = self.parser.position();
    }

    /// What was seen.
    pub fn finish(mut self) -> Report {
        self.end_body();
        self.report
    }

    fn end_body(&mut self) {
        if !self.report.bodies.is_empty()
            && self.body().error.is_none()
            && let Err(error) = self.parser.finish()
        {
            self.fail(&error);
        }
    }

    fn body(&mut self) -> &mut BodyReport {
        self.report
            .bodies
            .last_mut()
            .expect("push and begin open a body")
    }

    fn fail(&mut self, error: &Error) {
        self.body().error = Some(error.to_string());
    }

    fn complain(&mut self, at: u64, what: fmt::Arguments<'_>) {
        let complaint = Note::Complaint(format!("byte {at}: {what}"));
        self.body().notes.push(complaint);
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Header(header) => self.note_header(header),
            Event::Chunk(chunk) => {
                self.note_chunk(&chunk);
                self.body_has_chunk = true;
            }
            Event::End { .. } => self.body().notes.push(Note::End),
        }
    }

    fn note_header(&mut self, header: Header) {
        let at = self.parser.position() - header.bytes.len() as u64;
        let digests = header.tracks.iter().map(|track| track.digest);
        self.body().notes.push(Note::Header {
            digests: digests.map(|digest| format!("{digest:016x}")).collect(),
        });
        if let Some(before) = &self.header {
            let (before, now) = (before.tracks.iter(), header.tracks.iter());
            let same = before
                .map(|track| track.digest)
                .eq(now.map(|track| track.digest));
            let what = if same {
                "the same header again"
            } else {
                "another header"
            };
            self.complain(at, format_args!("{what}"));
        }
        for track in &header.tracks {
            let id = track.track_id;
            if track.codec.starts_with("hev1") {
                self.complain(
                    at,
                    format_args!("track {id}: Apple devices want hvc1, not hev1"),
                );
            }
            if track.bitrate.is_none() && matches!(track.kind, Kind::Video | Kind::Audio) {
                self.complain(at, format_args!("track {id}: no btrt"));
            }
            if !self.report.tracks.iter().any(|known| known.track_id == id) {
                self.report.tracks.push(TrackReport::new(track));
            }
        }
        self.header = Some(header);
    }

    fn note_chunk(&mut self, chunk: &Chunk) {
        let Some(header) = self.header.take() else {
            return self.complain(chunk.at, format_args!("a chunk without a CMAF header"));
        };
        match cmaf::resolve(chunk, &header) {
            Ok(tracks) => {
                self.complain_of_chunk(chunk);
                for (index, track) in tracks {
                    self.note_track(chunk, &header.tracks[index], &track);
                }
            }
            Err(error) => self.complain(chunk.at, format_args!("not usable, {error}")),
        }
        self.header = Some(header);
    }

    fn complain_of_chunk(&mut self, chunk: &Chunk) {
        let number = chunk.sequence_number;
        if let Some(last) = self.last_sequence_number.replace(number)
            && number != last.wrapping_add(1)
        {
            self.complain(chunk.at, format_args!("mfhd {number} comes after {last}"));
        }
        if !self.body_has_chunk && !chunk.styp {
            self.complain(
                chunk.at,
                format_args!("no styp in front of the first chunk"),
            );
        }
        if !self.body_has_chunk && chunk.producer_time.is_none() {
            self.complain(
                chunk.at,
                format_args!("no prft in front of the first chunk"),
            );
        }
        let to_payload = (chunk.payload_from - chunk.prefix_len) as i64;
        let first_run = chunk
            .fragments
            .first()
            .and_then(|fragment| fragment.runs.first());
        if let Some(offset) = first_run.and_then(|run| run.data_offset)
            && !matches!(chunk.fragments[0].base, DataBase::File(_))
            && i64::from(offset) != to_payload
        {
            self.complain(
                chunk.at,
                format_args!("data offset {offset}, but the media begins at {to_payload}"),
            );
        }
    }

    fn note_track(&mut self, chunk: &Chunk, header: &TrackHeader, track: &TrackChunk) {
        let id = header.track_id;
        let starts_segment = track.styp || !self.body_has_chunk;
        if starts_segment && header.kind == Kind::Video && !track.is_independent() {
            let what = format_args!("track {id}: a segment begins without a sync sample");
            self.complain(chunk.at, what);
        }
        let sync: Vec<usize> = (0..track.samples.len())
            .filter(|index| track.samples[*index].is_sync())
            .collect();
        if let Some(known) = self
            .report
            .tracks
            .iter_mut()
            .find(|known| known.track_id == id)
        {
            known.chunks += 1;
            known.samples += track.samples.len() as u64;
            known.sync_samples += sync.len() as u64;
            known.duration_ticks += track.duration;
            known.media_bytes += track
                .samples
                .iter()
                .map(|sample| u64::from(sample.size))
                .sum::<u64>();
        }
        self.complain_of_time(chunk.at, header, track);
        let all = sync.len() == track.samples.len();
        let sync_samples = if all {
            SyncSamples::All
        } else {
            SyncSamples::At(sync)
        };
        self.body().notes.push(Note::Chunk(ChunkReport {
            at: chunk.at,
            track_id: id,
            bytes: track.bytes.len() as u64,
            sequence_number: chunk.sequence_number,
            decode_time: track.decode_time,
            duration: track.duration,
            presentation_shift: track.presentation_shift,
            samples: track.samples.len(),
            sync_samples,
            styp: track.styp,
            last: track.last,
            slate: track.slate,
            producer_time: track.producer_time.map(|time| time.wall.rfc3339()),
        }));
    }

    fn complain_of_time(&mut self, at: u64, header: &TrackHeader, track: &TrackChunk) {
        let id = header.track_id;
        let last_sample = track.samples.last().map_or(0, |sample| sample.duration);
        let end = track.decode_time.wrapping_add(track.duration);
        let Some((expected, sample)) = self.ends.insert(id, (end, last_sample)) else {
            return;
        };
        let time = track.decode_time;
        let off = i128::from(time) - i128::from(expected);
        if off == 0 {
            return;
        }
        let size = off.unsigned_abs();
        let seconds = size as f64 / f64::from(header.timescale.get());
        let what = match off > 0 {
            true if size < u128::from(sample) => "a gap of less than a sample",
            true => "a gap",
            false if end <= expected => "media time goes back",
            false => "an overlap",
        };
        self.complain(
            at,
            format_args!("track {id}: {what}, {size} ticks ({seconds:.3} s) before {time}"),
        );
    }
}

impl TrackReport {
    fn new(track: &TrackHeader) -> Self {
        Self {
            track_id: track.track_id,
            kind: track.kind.as_str(),
            codec: track.codec.clone(),
            language: track.language.clone(),
            timescale: track.timescale.get(),
            width: track.width,
            height: track.height,
            sample_rate: track.sample_rate,
            channels: track.channels,
            claimed_bps: track.bitrate,
            edit_shift_ticks: track.edit_shift_ticks,
            encrypted: track.encrypted,
            chunks: 0,
            samples: 0,
            sync_samples: 0,
            duration_ticks: 0,
            media_bytes: 0,
        }
    }

    /// Bits a second over all media seen.
    pub fn measured_bps(&self) -> u64 {
        let bits = u128::from(self.media_bytes) * 8 * u128::from(self.timescale);
        bits.checked_div(u128::from(self.duration_ticks))
            .unwrap_or(0) as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for track in &self.tracks {
            writeln!(f, "{track}")?;
        }
        self.bodies.iter().try_for_each(|body| write!(f, "{body}"))
    }
}

impl fmt::Display for TrackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {}: {} {}", self.track_id, self.kind, self.codec)?;
        if self.width > 0 {
            write!(f, ", {}x{}", self.width, self.height)?;
        }
        if self.sample_rate > 0 || self.channels > 0 {
            write!(f, ", {} Hz, {} channels", self.sample_rate, self.channels)?;
        }
        if let Some(language) = &self.language {
            write!(f, ", language {language}")?;
        }
        if self.encrypted {
            f.write_str(", encrypted")?;
        }
        write!(f, ", {} ticks a second", self.timescale)?;
        if self.edit_shift_ticks != 0 {
            write!(f, ", edit list subtracts {}", self.edit_shift_ticks)?;
        }
        if let Some(claimed) = self.claimed_bps {
            write!(f, ", claims {claimed} bit/s")?;
        }
        if self.chunks > 0 {
            let seconds = self.duration_ticks as f64 / f64::from(self.timescale);
            write!(f, "\n  {} chunks, {} samples", self.chunks, self.samples)?;
            write!(f, ", {} sync, {seconds:.3} s", self.sync_samples)?;
            write!(f, ", {} bit/s", self.measured_bps())?;
        }
        Ok(())
    }
}

impl fmt::Display for BodyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} bytes",
            if self.name.is_empty() {
                "body"
            } else {
                &self.name
            },
            self.bytes
        )?;
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        self.error
            .iter()
            .try_for_each(|error| writeln!(f, "  error: {error}"))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { digests } => {
                f.write_str("header")?;
                digests.iter().try_for_each(|digest| write!(f, " {digest}"))
            }
            Self::Chunk(chunk) => write!(f, "{chunk}"),
            Self::End => f.write_str("end of the track (mfra)"),
            Self::Complaint(what) => write!(f, "complaint: {what}"),
        }
    }
}

impl fmt::Display for ChunkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chunk at {}, track {}, ", self.at, self.track_id)?;
        write!(f, "mfhd {}: {} bytes, ", self.sequence_number, self.bytes)?;
        write!(f, "time {} +{}", self.decode_time, self.duration)?;
        if self.presentation_shift != 0 {
            write!(f, ", shown {:+}", self.presentation_shift)?;
        }
        write!(f, ", {} samples, ", self.samples)?;
        match &self.sync_samples {
            SyncSamples::All => f.write_str("all sync")?,
            SyncSamples::At(at) if at.is_empty() => f.write_str("none sync")?,
            SyncSamples::At(at) => write!(f, "sync {at:?}")?,
        }
        let marks = [
            (self.styp, "styp"),
            (self.last, "last"),
            (self.slate, "slate"),
        ];
        for (_, mark) in marks.iter().filter(|(set, _)| *set) {
            write!(f, ", {mark}")?;
        }
        self.producer_time
            .iter()
            .try_for_each(|time| write!(f, ", produced {time}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = include_bytes!("../../fixtures/ffmpeg-9.0.2/ldash-video/0-init.mp4");
    /// Ten chunks of 3072 ticks; the second begins at byte 15435, the third at
    /// byte 28304.
    const SEGMENT: &[u8] = include_bytes!("../../fixtures/ffmpeg-9.0.2/ldash-video/1.m4s");
    const NEXT: &[u8] = include_bytes!("../../fixtures/ffmpeg-9.0.2/ldash-video/2.m4s");

    fn report(bodies: &[&[u8]]) -> Report {
        let mut probe = Probe::new();
        for (index, body) in bodies.iter().enumerate() {
            probe.begin(&index.to_string());
            probe.push(body);
        }
        probe.finish()
    }

    fn complaints(bodies: &[&[u8]]) -> Vec<String> {
        let notes = report(bodies)
            .bodies
            .into_iter()
            .flat_map(|body| body.notes);
        let complaint = |note| {
            if let Note::Complaint(what) = note {
                Some(what)
            } else {
                None
            }
        };
        notes.filter_map(complaint).collect()
    }

    #[test]
    fn a_sound_stream_has_no_complaints() {
        let report = report(&[HEADER, SEGMENT, NEXT]);
        assert!(report.bodies.iter().all(|body| body.error.is_none()));
        assert_eq!(complaints(&[HEADER, SEGMENT, NEXT]), [""; 0]);
        let [track] = &report.tracks[..] else {
            panic!("{:?}", report.tracks)
        };
        assert_eq!(
            (track.chunks, track.samples, track.sync_samples),
            (20, 120, 2)
        );
        assert_eq!(track.duration_ticks, 4 * u64::from(track.timescale));
        assert_eq!(track.measured_bps(), track.media_bytes * 8 / 4);
    }

    #[test]
    fn time_that_does_not_go_on_is_told() {
        let lost = [&SEGMENT[..15_435], &SEGMENT[28_304..]].concat();
        assert_eq!(
            complaints(&[HEADER, &lost]),
            [
                "byte 15435: mfhd 3 comes after 1",
                "byte 15435: track 1: a gap, 3072 ticks (0.200 s) before 6144",
            ]
        );
        let back = complaints(&[HEADER, NEXT, SEGMENT]);
        assert_eq!(back[0], "byte 0: mfhd 1 comes after 20");
        assert_eq!(
            back[1],
            "byte 0: track 1: media time goes back, 61440 ticks (4.000 s) before 0"
        );
    }

    #[test]
    fn a_segment_that_begins_badly_is_told() {
        assert_eq!(
            complaints(&[HEADER, &SEGMENT[15_435..]]),
            [
                "byte 0: no styp in front of the first chunk",
                "byte 0: track 1: a segment begins without a sync sample",
            ]
        );
        assert_eq!(
            complaints(&[HEADER, HEADER]),
            ["byte 0: the same header again"]
        );
        let orphan = complaints(&[&SEGMENT[..15_435]]);
        assert_eq!(orphan, ["byte 0: a chunk without a CMAF header"]);
    }

    #[test]
    fn an_error_ends_its_body_and_not_the_next() {
        let report = report(&[HEADER, &SEGMENT[..20_000], NEXT]);
        let error = report.bodies[1].error.as_deref();
        assert_eq!(
            error,
            Some("byte 20000, mdat: the body ends in the middle of media")
        );
        assert_eq!(report.bodies[2].error, None);
        assert_eq!(report.tracks[0].chunks, 1 + 10);
        let text = report.to_string();
        assert!(text.contains("\n1: 20000 bytes\n") && text.contains("\n  error: byte 20000"));
    }

    #[test]
    fn the_report_is_json_too() {
        let json = serde_json::to_value(report(&[HEADER, SEGMENT])).unwrap();
        assert_eq!(json["tracks"][0]["codec"], "avc1.64001e");
        let chunk = &json["bodies"][1]["notes"][0]["chunk"];
        assert_eq!(
            (&chunk["decode_time"], &chunk["styp"]),
            (&0.into(), &true.into())
        );
        assert_eq!(chunk["sync_samples"]["at"][0], 0);
    }
}
