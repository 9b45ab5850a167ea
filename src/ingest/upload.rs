//! One request that brings media: its bytes through the box parser onto the
//! publisher of the channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ingest::name::track_name;
use crate::limits;
use crate::media::bmff::Error;
use crate::media::cmaf::{self, Chunk, Event, Header, Kind, Parser};
use crate::media::fault::{Fault, FaultKind};
use crate::media::publisher::{Manner, Publisher, TrackKey};
use crate::time::{Mono, Now};

/// The newest CMAF header that came under each upload name, with the tracks it
/// opened.
pub type Headers = BTreeMap<String, Arc<Known>>;

/// A header and its tracks, in the order of the header.
#[derive(Debug)]
pub struct Known {
    header: Header,
    tracks: Vec<(TrackKey, u64)>,
}

/// How an upload ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Everything is on the timelines.
    Stored,
    /// Media waits for its header.
    Waiting,
    /// Nothing more is taken from it.
    Refused(Fault),
}

/// See the module's head.
#[derive(Debug)]
pub struct Upload {
    name: String,
    one_segment: bool,
    parser: Parser,
    /// The header in force for this upload.
    known: Option<Arc<Known>>,
    /// Tracks of the header that have had a chunk in this upload.
    begun: Vec<bool>,
    /// Chunks whose header has not come.
    held: Vec<Chunk>,
    held_bytes: u64,
    held_since: Option<Mono>,
    fault: Option<Fault>,
    /// The last chunk that was left out for its decode time.
    mistimed: Option<Fault>,
    /// Whether any chunk was taken in.
    placed: bool,
    /// The last segment of its tracks is in it, as its encoder says.
    last: bool,
    discarded: u64,
}

impl Upload {
    /// An upload under `name`, which brings one segment or has no end in sight.
    pub fn new(name: &str, one_segment: bool) -> Self {
        Self {
            name: name.to_owned(),
            one_segment,
            parser: Parser::new(),
            known: None,
            begun: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            held_since: None,
            fault: None,
            mistimed: None,
            placed: false,
            last: false,
            discarded: 0,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with it, once something is.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Bytes thrown away after the fault.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Tracks that it has brought media of: where it brings one segment, as long
    /// as that is not whole.
    pub fn begun(&self) -> Vec<(TrackKey, u64)> {
        let tracks = self.known.iter().flat_map(|known| &known.tracks);
        let begun = tracks.zip(&self.begun).filter(|(_, begun)| **begun);
        begun.map(|(track, _)| *track).collect()
    }

    /// When the first chunk began to wait for its header.
    pub fn held_since(&self) -> Option<Mono> {
        self.held_since
    }

    /// Bytes held: media that waits for its header, and a chunk that is not
    /// whole yet.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes + self.parser.held_bytes() as u64
    }

    /// Takes nothing more from it, and keeps nothing.
    pub fn refuse(&mut self, fault: Fault) {
        (self.held, self.parser) = (Vec::new(), Parser::new());
        (self.held_bytes, self.held_since) = (0, None);
        self.fault = Some(fault);
    }

    /// Goes on in another life of its channel.
    pub fn renew(&mut self, headers: &Headers) {
        if self.known.take().is_some()
            && let Some(known) = headers.get(&self.name)
        {
            self.take_header(Arc::clone(known));
        }
    }

    /// Some bytes of the body.
    pub fn body(
        &mut self,
        now: Now,
        publisher: &mut Publisher,
        headers: &mut Headers,
        mut data: &[u8],
    ) {
        while self.fault.is_none() {
            let step = match self.parser.push(&mut data) {
                Ok(Some(event)) => self.event(now, publisher, headers, event),
                Ok(None) => return,
                Err(error) => Err(self.boxes(&error)),
            };
            if let Err(fault) = step {
                self.refuse(fault);
            }
        }
        self.discarded += data.len() as u64;
    }

    /// The body is whole.
    pub fn end(&mut self, now: Now, publisher: &mut Publisher) -> Outcome {
        if self.fault.is_none()
            && let Err(error) = self.parser.finish()
        {
            self.fault = Some(self.boxes(&error));
        }
        if let Some(fault) = &self.fault {
            return Outcome::Refused(fault.clone());
        }
        if !self.held.is_empty() {
            return Outcome::Waiting;
        }
        if let Some(fault) = self.mistimed.as_ref().filter(|_| !self.placed) {
            return Outcome::Refused(fault.clone());
        }
        self.end_segments(now, publisher);
        if self.last {
            self.end_tracks(publisher);
        }
        Outcome::Stored
    }

    /// A header came under this upload's name: what was held goes on. For
    /// uploads that answered [`Outcome::Waiting`], and for those still running.
    pub fn header_came(
        &mut self,
        now: Now,
        publisher: &mut Publisher,
        headers: &Headers,
    ) -> Outcome {
        let Some(known) = headers.get(&self.name) else {
            return Outcome::Waiting;
        };
        self.take_header(Arc::clone(known));
        self.held_bytes = 0;
        self.held_since = None;
        for chunk in std::mem::take(&mut self.held) {
            if let Err(fault) = self.place(now, publisher, &chunk) {
                self.refuse(fault.clone());
                return Outcome::Refused(fault);
            }
        }
        Outcome::Stored
    }

    /// The fault of media whose header never came.
    pub fn no_header(&self) -> Fault {
        let at = self.held.first().map_or(0, |chunk| chunk.at);
        Fault::new(Some(&self.name), at, FaultKind::NoHeader)
    }

    /// The segment of every track that this upload brought media for is whole.
    pub fn end_segments(&mut self, now: Now, publisher: &mut Publisher) {
        let Some(known) = &self.known else { return };
        for ((key, _), begun) in known.tracks.iter().zip(&mut self.begun) {
            if std::mem::take(begun) {
                publisher.end_segment(now, *key);
            }
        }
    }

    /// Its encoder says that its tracks are over (DASH-IF live media ingest,
    /// interface 1: `lmsg`, or an empty mfra).
    fn end_tracks(&self, publisher: &mut Publisher) {
        let Some(known) = &self.known else { return };
        for (key, _) in &known.tracks {
            publisher.end_track(*key);
        }
    }

    fn event(
        &mut self,
        now: Now,
        publisher: &mut Publisher,
        headers: &mut Headers,
        event: Event,
    ) -> Result<(), Fault> {
        match event {
            Event::Header(header) => {
                let known = Arc::new(open_tracks(&self.name, publisher, header)?);
                headers.insert(self.name.clone(), Arc::clone(&known));
                self.take_header(known);
                Ok(())
            }
            Event::Chunk(chunk) => {
                if self.known.is_none() {
                    match headers.get(&self.name) {
                        Some(known) => self.take_header(Arc::clone(known)),
                        None => return self.hold(now, *chunk),
                    }
                }
                self.place(now, publisher, &chunk)
            }
            Event::End { over } => {
                self.end_segments(now, publisher);
                if over {
                    self.end_tracks(publisher);
                }
                Ok(())
            }
        }
    }

    fn take_header(&mut self, known: Arc<Known>) {
        self.begun = vec![false; known.tracks.len()];
        self.known = Some(known);
    }

    fn hold(&mut self, now: Now, chunk: Chunk) -> Result<(), Fault> {
        self.held_since.get_or_insert(now.mono);
        self.held_bytes += chunk.bytes.len() as u64;
        if self.held_bytes > limits::HEADERLESS_BYTES_MAX {
            return Err(self.no_header());
        }
        self.held.push(chunk);
        Ok(())
    }

    fn place(&mut self, now: Now, publisher: &mut Publisher, chunk: &Chunk) -> Result<(), Fault> {
        let known = Arc::clone(self.known.as_ref().expect("media is placed under a header"));
        self.last |= chunk.last;
        let resolved = cmaf::resolve(chunk, &known.header).map_err(|error| self.boxes(&error))?;
        for (index, track_chunk) in resolved {
            let (key, session) = known.tracks[index];
            let manner = Manner {
                one_segment: self.one_segment,
                begins_segment: !self.begun[index],
                session,
            };
            self.begun[index] = true;
            match publisher.chunk(now, key, manner, track_chunk) {
                // One chunk is left out. Most encoders read no response: an
                // upload that was given up would never come back.
                Err(fault) if fault.is_of_time() => self.mistimed = Some(fault),
                Err(fault) => return Err(fault),
                Ok(_) => self.placed = true,
            }
        }
        Ok(())
    }

    fn boxes(&self, error: &Error) -> Fault {
        Fault::new(
            Some(&self.name),
            error.at,
            FaultKind::Boxes(error.to_string()),
        )
    }
}

/// Opens the tracks of a header that came under `name`.
fn open_tracks(name: &str, publisher: &mut Publisher, header: Header) -> Result<Known, Fault> {
    let muxed = header.tracks.len() > 1;
    let mut tracks = Vec::with_capacity(header.tracks.len());
    for track in &header.tracks {
        let track_name = if muxed {
            let kind = match track.kind {
                Kind::Video => 'v',
                Kind::Audio => 'a',
                Kind::Text => 't',
                Kind::Metadata => 'm',
            };
            track_name(&format!("{name}-{kind}{}", track.track_id))
        } else {
            name.to_owned()
        };
        let key = publisher.header(&track_name, track.clone())?;
        tracks.push((key, publisher.session(key)));
    }
    Ok(Known { header, tracks })
}

/// Opens the tracks of known headers in another life of their channel: most
/// encoders send a header once.
pub fn carry_over(headers: &Headers, publisher: &mut Publisher) -> Headers {
    let reopen = |(name, known): (&String, &Arc<Known>)| {
        let known = open_tracks(name, publisher, known.header.clone()).ok()?;
        Some((name.clone(), Arc::new(known)))
    };
    headers.iter().filter_map(reopen).collect()
}
