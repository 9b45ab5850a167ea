//! A channel as readers see it: the truth that every manifest is drawn from.
//!
//! The home of a channel decides; it and every mirror apply the same
//! [`Change`]s in the same order and so hold equal channels.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::media::cmaf::{Kind, Roles, TrackHeader};
use crate::media::event::{EventChange, Events};
use crate::media::policy::PartAddressing;
use crate::media::presentation::{Presentation, TrackWords};
use crate::media::stretch::{Cell, Stretches};
use crate::media::window::{HeaderObject, Segment, Window};
use crate::time::Wall;

/// How a channel is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Known by name; no media yet.
    Idle,
    /// Media arrives; targets are not settled, nothing is served yet.
    Priming,
    /// Manifests are served and the edge moves.
    Live,
    /// No media for longer than the cadence allows.
    Stalled,
    /// Over; manifests say so and stay.
    Ended,
    /// Over and withdrawn: manifests are gone, media stays for those who have
    /// been told of it.
    Gone,
}

impl State {
    /// Whether nothing changes any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Gone)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Priming => "priming",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Ended => "ended",
            Self::Gone => "gone",
        })
    }
}

/// What is settled before the first manifest and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Upper bound of a segment's rounded duration, in whole seconds.
    pub segment_s: u32,
    /// Upper bound of a part's duration in microseconds, a multiple of 10 so
    /// that it prints exactly with five decimals; `None` when media comes in
    /// whole segments and there are no parts.
    pub part_us: Option<u32>,
    /// How much media manifests list, in milliseconds.
    pub window_ms: u64,
    /// How manifests say where a part is.
    pub part_addressing: PartAddressing,
}

/// A track in the channel's list.
#[derive(Clone, Debug)]
pub struct TrackInfo {
    /// In URLs.
    pub name: String,
    /// The header it came with first.
    pub header: TrackHeader,
    /// Frames a second in thousandths, from the first media of a video track.
    pub frame_rate: Option<u32>,
    /// Whether it comes in parts, in a channel that has any; text may come in
    /// whole segments beside them.
    pub in_parts: bool,
}

/// Index of a track in [`Channel::tracks`]; tracks are never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackIndex(pub u16);

/// A track: what it is and its window.
#[derive(Clone, Debug)]
pub struct Track {
    /// Name and first header.
    pub info: Arc<TrackInfo>,
    /// What the operator says of it.
    pub words: TrackWords,
    /// Its media.
    pub window: Window,
    /// The version of the list of events as segments became whole: the first
    /// segment of each version, oldest first.
    events_at: VecDeque<(u64, u64)>,
    /// Bits a second that its segments keep to, give or take a quarter; zero
    /// before the first whole one.
    pub peak_bps: u64,
    /// Bits a second over an hour, give or take a tenth.
    pub average_bps: u64,
    /// The same two of a video track's first frames alone, each for the length
    /// of its segment.
    pub frames_bps: (u64, u64),
}

impl Track {
    /// BCP 47, as the operator says, else as its header does.
    pub fn language(&self) -> Option<&str> {
        let own = self.info.header.language.as_deref();
        self.words.language.as_deref().or(own)
    }

    /// What it is for, as the operator says, else as its header does.
    pub fn roles(&self) -> Roles {
        self.words.roles.unwrap_or(self.info.header.roles)
    }

    /// The version of the list of events when a listed segment became whole:
    /// whoever was shown that segment so was shown this version or a later one.
    pub fn events_at(&self, msn: u64) -> u64 {
        let after = self.events_at.partition_point(|(from, _)| *from <= msn);
        let at = after.checked_sub(1).and_then(|at| self.events_at.get(at));
        at.map_or(0, |(_, version)| *version)
    }

    fn close(&mut self, segment: &Arc<Segment>, next_part: u64, events: u64) {
        if self
            .events_at
            .back()
            .is_none_or(|(_, last)| *last != events)
        {
            self.events_at.push_back((segment.msn, events));
        }
        self.window.close(Arc::clone(segment), next_part);
    }

    fn evict(&mut self, listed_from: u64, kept_from: u64) {
        while self
            .events_at
            .get(1)
            .is_some_and(|(next, _)| *next <= listed_from)
        {
            self.events_at.pop_front();
        }
        self.window.evict(listed_from, kept_from);
    }

    /// Date after its newest media.
    pub fn edge_date(&self) -> Option<Wall> {
        let window = &self.window;
        let newest = window.open().or_else(|| window.last_whole())?;
        Some(newest.end_date())
    }
}

/// One step of a channel; see [`Channel::apply`].
#[derive(Clone, Debug)]
pub enum Change {
    /// The state moved.
    State(State),
    /// Targets are settled; comes once, before any media.
    Targets(Targets),
    /// How long segments are meant to be; comes once, with the targets.
    Cell(Cell),
    /// A track joins at the end of the list.
    Track(Arc<TrackInfo>),
    /// The open segment of a track has one part more.
    Open {
        /// Which track.
        track: TrackIndex,
        /// The open segment with all its parts so far.
        segment: Arc<Segment>,
        /// The part that is expected next.
        next_part: u64,
    },
    /// A segment is whole; its last part and its end are one step.
    Close {
        /// Which track.
        track: TrackIndex,
        /// The segment with all its parts.
        segment: Arc<Segment>,
        /// The part that is expected next.
        next_part: u64,
    },
    /// The upload of a track's segment under way broke off, or the segment is
    /// given up after that: what was read of it so far is not to be completed.
    Torn {
        /// Which track.
        track: TrackIndex,
    },
    /// The next media of a track comes with this header, which is another one.
    Header {
        /// Which track.
        track: TrackIndex,
        /// What its next media needs to be decoded.
        header: Arc<HeaderObject>,
    },
    /// The window of a track moves on.
    Evict {
        /// Which track.
        track: TrackIndex,
        /// Manifests list from this segment on.
        listed_from: u64,
        /// Segments from here on can be fetched.
        kept_from: u64,
    },
    /// A track has missed its cadence; the next part or segment of it makes
    /// that good.
    Overdue {
        /// Which track.
        track: TrackIndex,
    },
    /// Other bit rates are published from now on.
    Rates {
        /// Which track.
        track: TrackIndex,
        /// As in [`Track::peak_bps`].
        peak_bps: u64,
        /// As in [`Track::average_bps`].
        average_bps: u64,
    },
    /// Other bit rates of its first frames are published from now on.
    FrameRates {
        /// Which track.
        track: TrackIndex,
        /// As in [`Track::frames_bps`].
        frames_bps: (u64, u64),
    },
    /// The list of events moves on.
    Event(EventChange),
}

/// The readers' view of one channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// In URLs.
    pub name: Arc<str>,
    /// In the names of media objects: differs for every life of the channel, so
    /// that a name never gets other bytes.
    pub generation: Arc<str>,
    /// What the operator says of it; the same for all of its life.
    pub presentation: Arc<Presentation>,
    state: State,
    targets: Option<Targets>,
    tracks: Vec<Track>,
    events: Events,
    stretches: Stretches,
    /// Rises by one with every applied batch of changes.
    pub seq: u64,
    /// Rises when the list of tracks, the state or the rates change.
    presentation_version: u64,
}

impl Channel {
    /// An idle channel.
    pub fn new(name: &str, generation: &str) -> Self {
        Self {
            name: name.into(),
            generation: generation.into(),
            presentation: Arc::default(),
            state: State::Idle,
            targets: None,
            tracks: Vec::new(),
            events: Events::default(),
            stretches: Stretches::default(),
            seq: 0,
            presentation_version: 0,
        }
    }

    /// The same with the operator's words; before its first change.
    #[must_use]
    pub fn presented(self, presentation: Arc<Presentation>) -> Self {
        assert!(
            self.seq == 0 && self.tracks.is_empty(),
            "words come before tracks"
        );
        Self {
            presentation,
            ..self
        }
    }

    /// How it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// What is settled; present from the first media on.
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    /// All tracks, in the order in which they joined.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Its events: one list, shown with every track.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Times without a break, and their segments.
    pub fn stretches(&self) -> &Stretches {
        &self.stretches
    }

    /// Date of the live edge: of the newest media of any track.
    pub fn edge_date(&self) -> Option<Wall> {
        self.tracks.iter().filter_map(Track::edge_date).max()
    }

    /// A track by its name in URLs.
    pub fn track(&self, name: &str) -> Option<(TrackIndex, &Track)> {
        let index = self
            .tracks
            .iter()
            .position(|track| track.info.name == name)?;
        Some((TrackIndex(index as u16), &self.tracks[index]))
    }

    /// A track by its index.
    pub fn track_at(&self, index: TrackIndex) -> &Track {
        &self.tracks[usize::from(index.0)]
    }

    /// Rises when a list of tracks drawn from this channel would change.
    pub fn presentation_version(&self) -> u64 {
        self.presentation_version
    }

    /// Whether requests for manifests are answered, be it with a refusal.
    pub fn is_served(&self) -> bool {
        !matches!(self.state, State::Idle | State::Priming)
    }

    /// Whether a kind of track is present.
    pub fn has(&self, kind: Kind) -> bool {
        self.tracks
            .iter()
            .any(|track| track.info.header.kind == kind)
    }

    /// Applies one batch; all of it is one version to readers.
    pub fn apply(&mut self, seq: u64, changes: &[Change]) {
        assert_eq!(
            seq,
            self.seq + 1,
            "batches of channel {} come in order",
            self.name
        );
        self.seq = seq;
        for change in changes {
            self.step(change);
        }
    }

    /// Applies one change ahead of its batch; the writer's own copy moves so.
    pub(crate) fn step(&mut self, change: &Change) {
        match change {
            Change::State(state) => {
                let over = self.state.is_over();
                self.state = *state;
                self.presentation_version += 1;
                if over != state.is_over() {
                    self.stretches.redraw();
                }
            }
            Change::Targets(targets) => {
                assert!(self.targets.is_none(), "targets are settled once");
                self.targets = Some(*targets);
            }
            Change::Cell(cell) => self.stretches.set_cell(*cell),
            Change::Track(info) => {
                self.tracks.push(Track {
                    words: self.presentation.track(&info.name),
                    info: Arc::clone(info),
                    window: if info.in_parts {
                        Window::new()
                    } else {
                        Window::of_whole_segments()
                    },
                    events_at: VecDeque::new(),
                    peak_bps: 0,
                    average_bps: 0,
                    frames_bps: (0, 0),
                });
                self.presentation_version += 1;
            }
            Change::Open {
                track,
                segment,
                next_part,
            } => {
                if self.track_at(*track).info.header.kind != Kind::Metadata {
                    self.stretches.open(*track, segment, &self.tracks);
                }
                self.window_mut(*track)
                    .set_open(Arc::clone(segment), *next_part);
            }
            Change::Close {
                track,
                segment,
                next_part,
            } => {
                let events = self.events.version();
                if self.track_at(*track).info.header.kind != Kind::Metadata {
                    self.stretches.close(*track, segment, &self.tracks);
                }
                self.tracks[usize::from(track.0)].close(segment, *next_part, events);
            }
            Change::Torn { track } => self.window_mut(*track).tear(),
            Change::Header { track, header } => {
                self.window_mut(*track).expect_header(Arc::clone(header));
            }
            Change::Evict {
                track,
                listed_from,
                kept_from,
            } => {
                self.stretches.evict(*track, *listed_from);
                self.tracks[usize::from(track.0)].evict(*listed_from, *kept_from);
            }
            Change::Overdue { track } => self.window_mut(*track).set_overdue(),
            Change::Rates {
                track,
                peak_bps,
                average_bps,
            } => {
                let track = &mut self.tracks[usize::from(track.0)];
                (track.peak_bps, track.average_bps) = (*peak_bps, *average_bps);
                self.presentation_version += 1;
                self.stretches.redraw();
            }
            Change::FrameRates { track, frames_bps } => {
                self.tracks[usize::from(track.0)].frames_bps = *frames_bps;
                self.presentation_version += 1;
            }
            Change::Event(change) => {
                self.events.step(change);
                self.stretches.redraw();
            }
        }
    }

    fn window_mut(&mut self, index: TrackIndex) -> &mut Window {
        &mut self.tracks[usize::from(index.0)].window
    }
}
