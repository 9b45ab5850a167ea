//! A model of what a publisher may tell: every change is held against what it
//! told before.
// Not every test uses all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater::media::channel::{Change, Channel, Targets};
use headwater::media::event::{EventChange, Statement};
use headwater::media::window::{Part, Segment};

/// Everything that was told of one track.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Every whole segment, those that were dropped included.
    pub(crate) whole: Vec<Arc<Segment>>,
    /// The open one.
    pub(crate) open: Option<Arc<Segment>>,
    /// The hinted part, and where it was to start.
    hint: Option<(u64, i64)>,
    /// The track comes in parts, in a channel that has any.
    in_parts: bool,
    /// The header that was announced.
    next_header: Option<u64>,
}

impl Told {
    /// Every part of every segment.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        let segments = self.whole.iter().chain(&self.open);
        segments.flat_map(|segment| &segment.parts)
    }
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// A mirror.
    pub(crate) channel: Channel,
    /// One entry a track.
    pub(crate) tracks: Vec<Told>,
    /// Batches so far, with the number of segments each of them closed and
    /// opened.
    pub(crate) batches: Vec<(usize, usize)>,
    targets: Option<Targets>,
    /// What was said of each event that has not left, in order.
    pub(crate) events: BTreeMap<String, Vec<Arc<Statement>>>,
    /// Whether durations are held against the targets: sources whose samples
    /// are longer than a part can't keep to them.
    strict: bool,
}

impl Ledger {
    /// Nothing was told.
    pub(crate) fn new(strict: bool) -> Self {
        Self {
            channel: Channel::new("c", "g"),
            tracks: Vec::new(),
            batches: Vec::new(),
            targets: None,
            events: BTreeMap::new(),
            strict,
        }
    }

    /// What is said again is never said otherwise, and only what is there
    /// leaves.
    fn event(&mut self, change: &EventChange) {
        let said = match change {
            EventChange::Told(said) => said,
            EventChange::Left(ids) => {
                for id in ids {
                    let known = self.events.remove(&**id);
                    assert!(known.is_some(), "{id} leaves and was not there");
                }
                return;
            }
            EventChange::Forgotten(_) => return,
        };
        let known = self.events.entry(said.id.to_string()).or_default();
        for before in known.iter() {
            assert_eq!(before.start, said.start, "the start of {}", said.id);
            let again = before.duration.is_some() && said.duration.is_some()
                || before.planned.is_some() && said.planned.is_some()
                || before.end.is_some() && said.end.is_some()
                || before.class.is_some() && said.class.is_some();
            assert!(!again, "{} is told what is known", said.id);
        }
        known.push(Arc::clone(said));
    }

    /// Takes in one version.
    pub(crate) fn take(&mut self, seq: u64, changes: &[Change]) {
        assert!(
            !self.channel.state().is_over(),
            "what has ended changes no more"
        );
        let (mut closed, mut opened) = (0, 0);
        for change in changes {
            match change {
                Change::Targets(targets) => {
                    assert!(self.targets.is_none(), "targets are settled once");
                    self.check_targets(targets);
                    self.targets = Some(*targets);
                }
                Change::Track(info) => self.tracks.push(Told {
                    in_parts: info.in_parts,
                    ..Told::default()
                }),
                Change::Open {
                    track,
                    segment,
                    next_part,
                } => {
                    opened += 1;
                    self.segment(usize::from(track.0), segment, *next_part, false);
                }
                Change::Close {
                    track,
                    segment,
                    next_part,
                } => {
                    closed += 1;
                    self.segment(usize::from(track.0), segment, *next_part, true);
                }
                Change::Header { track, header } => {
                    self.tracks[usize::from(track.0)].next_header = Some(header.id);
                }
                Change::Event(change) => self.event(change),
                Change::Cell(_)
                | Change::Torn { .. }
                | Change::Evict { .. }
                | Change::Rates { .. }
                | Change::FrameRates { .. }
                | Change::Overdue { .. }
                | Change::State(_) => {}
            }
        }
        self.channel.apply(seq, changes);
        self.batches.push((closed, opened));
    }

    fn check_targets(&self, targets: &Targets) {
        assert!(targets.segment_s > 0);
        if let Some(part_us) = targets.part_us {
            assert!(part_us > 0 && part_us % 10 == 0, "{part_us}");
            assert!(u64::from(part_us) <= u64::from(targets.segment_s) * 1_000_000);
        }
        assert!(targets.window_ms >= 3000 * u64::from(targets.segment_s));
    }

    fn segment(&mut self, track: usize, segment: &Arc<Segment>, next_part: u64, whole: bool) {
        let channel = self.targets.expect("targets come before media");
        let told = &mut self.tracks[track];
        let targets = Targets {
            part_us: channel.part_us.filter(|_| told.in_parts),
            ..channel
        };
        let known = told.open.as_ref().map_or(0, |open| open.parts.len());
        if let Some(open) = &told.open {
            assert_eq!(open.msn, segment.msn, "one segment is open at a time");
            assert_eq!(open.start_ticks, segment.start_ticks);
            assert_eq!(open.wall, segment.wall);
            assert_eq!(open.discontinuity, segment.discontinuity);
            for (before, after) in open.parts.iter().zip(&segment.parts) {
                assert!(Arc::ptr_eq(before, after), "a listed part never changes");
            }
        }
        if let Some(last) = told.whole.last() {
            assert_eq!(
                segment.msn,
                last.msn + 1,
                "media sequence numbers rise by one"
            );
            let (header, before) = (segment.header.id, last.header.id);
            assert!(
                header == before || told.next_header == Some(header),
                "another header is announced before its media comes"
            );
            let step = segment.discontinuity_number - last.discontinuity_number;
            assert_eq!(step, u64::from(segment.discontinuity), "breaks are counted");
            // Steps of less than a sample are rounding and stay.
            let rounding = i64::from(segment.header.track.timescale.get()) / 10 + 2;
            assert!(
                segment.start_ticks + rounding >= last.start_ticks,
                "time goes on"
            );
        }
        assert!(!segment.parts.is_empty());
        assert!(segment.parts.len() > known || whole);
        let sum: u64 = segment.parts.iter().map(|part| part.duration_ticks).sum();
        assert_eq!(sum, segment.duration_ticks, "parts add up");
        let mut last = told.hint;
        for part in &segment.parts[known..] {
            if let Some((hint, at)) = last {
                // A hint is given up only where time jumps.
                let jump = i64::from(segment.header.track.timescale.get()) / 10;
                let honoured = part.number == hint || (part.start_ticks - at).abs() > jump;
                assert!(honoured, "hinted {hint}, got {}", part.number);
                assert!(part.number >= hint);
            }
            last = None;
        }
        for pair in segment.parts.windows(2) {
            assert!(pair[0].number < pair[1].number, "numbers rise");
        }
        let newest = segment.parts.last().expect("not empty").number;
        assert!(next_part > newest, "a hint names what is not there");
        told.hint = Some((next_part, segment.end_ticks()));
        if self.strict {
            check_durations(&targets, segment);
        }
        if whole {
            told.open = None;
            told.whole.push(Arc::clone(segment));
        } else {
            assert!(
                targets.part_us.is_some(),
                "an open segment is listed by its parts"
            );
            told.open = Some(Arc::clone(segment));
        }
    }
}

/// RFC 8216bis sections 4.4.3.1 and 4.4.4.9.
fn check_durations(targets: &Targets, segment: &Segment) {
    let scale = segment.header.track.timescale;
    let seconds = scale.seconds(segment.duration_ticks as i64);
    assert!(
        seconds.round() <= f64::from(targets.segment_s),
        "segment {} of {seconds} s is longer than its target",
        segment.msn
    );
    let Some(part_us) = targets.part_us else {
        return;
    };
    for (index, part) in segment.parts.iter().enumerate() {
        let us = scale.micros(part.duration_ticks as i64).0;
        assert!(
            us <= i64::from(part_us),
            "part {index} of segment {}: {us} us against {part_us}",
            segment.msn
        );
        let next_gap = segment.parts.get(index + 1).is_some_and(|next| next.gap);
        let last = index + 1 == segment.parts.len();
        let excepted = part.independent || part.gap || next_gap || last;
        assert!(
            excepted || us * 100 >= i64::from(part_us) * 85,
            "part {index} of segment {} is too short: {us} us against {part_us}",
            segment.msn
        );
    }
}
