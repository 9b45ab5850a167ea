//! A scripted channel: encoders that send chunks at the pace of their media.

use headwater::media::channel::{State, Targets};
use headwater::media::cmaf::{Header, TrackChunk};
use headwater::media::fault::Fault;
use headwater::media::policy::Policy;
use headwater::media::publisher::{Accepted, Manner, Publisher, TrackKey};
use headwater::media::window::{Part, Segment, Window};
use headwater::time::{Mono, Now, Wall};

use crate::encoder::{Fragment, Frame, Spec};
use crate::ledger::{Ledger, Told};

/// 2026-01-01T00:00:00Z in seconds.
pub(crate) const EPOCH_S: u64 = 1_767_225_600;

/// How an encoder makes its media.
#[derive(Clone, Debug)]
pub(crate) struct Cadence {
    /// Ticks of a sample.
    pub(crate) frame: u32,
    /// Samples of a chunk.
    pub(crate) chunk: u64,
    /// Samples from one sync sample to the next.
    pub(crate) gop: u64,
    /// Composition offset of every sample.
    pub(crate) cts: i32,
}

impl Cadence {
    /// Chunks of `chunk` samples, a sync sample every `gop`.
    pub(crate) fn new(frame: u32, chunk: u64, gop: u64) -> Self {
        Self {
            frame,
            chunk,
            gop,
            cts: 0,
        }
    }
}

/// One encoder of one track.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) spec: Spec,
    pub(crate) cadence: Cadence,
    pub(crate) header: Header,
    pub(crate) session: u64,
    /// Samples made so far.
    pub(crate) made: u64,
    /// Decode time of the first one.
    pub(crate) start: u64,
    /// Every request brings one segment of so many samples.
    pub(crate) per_request: Option<u64>,
    pub(crate) wraps: bool,
}

impl Source {
    pub(crate) fn new(name: &'static str, spec: Spec, cadence: Cadence) -> Self {
        let header = spec.header();
        Self {
            name,
            spec,
            cadence,
            header,
            session: 0,
            made: 0,
            start: 0,
            per_request: None,
            wraps: false,
        }
    }

    /// Video of 25 frames a second, chunks of 0.2 s, 2 s from key to key.
    pub(crate) fn video() -> Self {
        Self::new("v", Spec::video(90_000), Cadence::new(3_600, 5, 50))
    }

    /// AAC of 48 kHz, chunks of about 0.2 s.
    pub(crate) fn audio() -> Self {
        Self::new("a", Spec::audio(48_000), Cadence::new(1_024, 9, 1))
    }

    pub(crate) fn starting_at(mut self, start: u64) -> Self {
        self.start = start;
        self
    }

    /// Decode time of the next sample.
    pub(crate) fn time(&self) -> u64 {
        self.start + self.made * u64::from(self.cadence.frame)
    }

    /// Milliseconds of media time at the end of the next chunk, from its start.
    fn due_ms(&self) -> u64 {
        let made = self.made + self.cadence.chunk;
        made * u64::from(self.cadence.frame) * 1000 / u64::from(self.spec.timescale)
    }

    /// The next chunk.
    pub(crate) fn fragment(&mut self) -> Fragment {
        let mut count = self.cadence.chunk;
        if let Some(segment) = self.per_request {
            count = count.min(segment - self.made % segment);
        }
        let frames = (self.made..self.made + count).map(|at| Frame {
            ticks: self.cadence.frame,
            sync: at.is_multiple_of(self.cadence.gop),
            cts: self.cadence.cts,
            bytes: (3, at as u8),
        });
        let fragment = Fragment {
            time: self.time(),
            wraps: self.wraps,
            styp: false,
            produced_s: None,
            messages: Vec::new(),
            frames: frames.collect(),
        };
        self.made += count;
        fragment
    }
}

/// A channel, its clock, and all that it told.
pub(crate) struct Script {
    pub(crate) publisher: Publisher,
    pub(crate) ledger: Ledger,
    pub(crate) now: Now,
    /// What the encoders heard.
    pub(crate) faults: Vec<Fault>,
}

impl Script {
    pub(crate) fn new(policy: Policy) -> Self {
        let now = Now {
            mono: Mono::from_ms(1_000),
            wall: Wall(EPOCH_S as i64 * 1_000_000),
        };
        Self {
            publisher: Publisher::new("c", "g", policy, now),
            ledger: Ledger::new(true),
            now,
            faults: Vec::new(),
        }
    }

    pub(crate) fn live() -> Self {
        Self::new(Policy::default())
    }

    /// Lets time pass without media.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono.plus_ms(ms);
        self.now.wall.0 += ms as i64 * 1000;
        self.publisher.tick(self.now);
        self.commit();
    }

    /// The encoder connects: its header comes.
    pub(crate) fn connect(&mut self, source: &mut Source) -> TrackKey {
        let track = source.header.tracks[0].clone();
        let key = self
            .publisher
            .header(source.name, track)
            .expect("the header is taken");
        source.session = self.publisher.session(key);
        self.commit();
        key
    }

    /// One chunk as it stands.
    pub(crate) fn chunk(
        &mut self,
        source: &Source,
        chunk: TrackChunk,
        first: bool,
    ) -> Option<Accepted> {
        let key = self.publisher.key(source.name).expect("it is connected");
        let manner = Manner {
            one_segment: source.per_request.is_some(),
            begins_segment: first,
            session: source.session,
        };
        let taken = self.publisher.chunk(self.now, key, manner, chunk);
        self.commit();
        taken.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// The next chunk of `source`, and the end of its request where one is.
    pub(crate) fn send(&mut self, source: &mut Source) -> Option<Accepted> {
        let first = source
            .per_request
            .is_some_and(|segment| source.made.is_multiple_of(segment));
        let chunk = source.fragment().read(&source.header);
        let taken = self.chunk(source, chunk, first);
        if source
            .per_request
            .is_some_and(|segment| source.made.is_multiple_of(segment))
        {
            self.end_segment(source.name);
        }
        taken
    }

    pub(crate) fn end_segment(&mut self, name: &str) {
        let key = self.publisher.key(name).expect("it is connected");
        self.publisher.end_segment(self.now, key);
        self.commit();
    }

    /// All `sources` send at the pace of their media for `ms`.
    pub(crate) fn run(&mut self, sources: &mut [&mut Source], ms: u64) {
        let bases: Vec<u64> = sources.iter().map(|source| source.due_ms()).collect();
        for elapsed in (0..ms).step_by(20) {
            self.pass(20);
            for (source, base) in sources.iter_mut().zip(&bases) {
                while source.due_ms() <= base + elapsed {
                    self.send(source);
                }
            }
        }
    }

    pub(crate) fn told(&self, name: &str) -> &Told {
        let (index, _) = self
            .ledger
            .channel
            .track(name)
            .expect("the track is listed");
        &self.ledger.tracks[usize::from(index.0)]
    }

    pub(crate) fn window(&self, name: &str) -> &Window {
        &self
            .ledger
            .channel
            .track(name)
            .expect("the track is listed")
            .1
            .window
    }

    pub(crate) fn targets(&self) -> Targets {
        *self.ledger.channel.targets().expect("targets are settled")
    }

    pub(crate) fn state(&self) -> State {
        self.ledger.channel.state()
    }

    fn commit(&mut self) {
        if let Some((seq, changes)) = self.publisher.commit() {
            self.ledger.take(seq, &changes);
        }
        assert_eq!(self.publisher.channel().seq, self.ledger.channel.seq);
    }
}

/// Whole segments that can be fetched.
pub(crate) fn segments_held(window: &Window) -> u64 {
    match (window.first_msn(), window.last_whole()) {
        (Some(first), Some(last)) => last.msn + 1 - first,
        _ => 0,
    }
}

/// Durations of whole segments in milliseconds, rounded to the nearest.
pub(crate) fn lengths_ms(told: &Told) -> Vec<i64> {
    let ms = |segment: &Segment| {
        let scale = segment.header.track.timescale;
        (scale.micros(segment.duration_ticks as i64).0 + 500) / 1000
    };
    told.whole.iter().map(|segment| ms(segment)).collect()
}

/// Bytes of media, chunk headers left out: the values of the samples in order.
pub(crate) fn payload(part: &Part) -> Vec<u8> {
    let bytes = part.body.to_vec();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("a box")) as usize;
        if &bytes[at + 4..at + 8] == b"mdat" {
            out.extend_from_slice(&bytes[at + 8..at + size]);
        }
        at += size;
    }
    out
}

/// The value of every sample of a track in order, gaps left out.
pub(crate) fn samples(told: &Told) -> Vec<u8> {
    let media: Vec<u8> = told.parts().flat_map(|part| payload(part)).collect();
    media.chunks(3).map(|sample| sample[0]).collect()
}
