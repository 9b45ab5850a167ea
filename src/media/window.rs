//! One track as readers see it: the segments that can be fetched, the parts of
//! the open one, and the live edge.
//!
//! A window never decides anything: it applies what the timeline of the track
//! decided, so every copy that applies the same steps is equal.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::cmaf::TrackHeader;
use crate::media::rope::Rope;
use crate::time::Wall;

/// A CMAF header as it is served: one name, one content.
#[derive(Clone, Debug)]
pub struct HeaderObject {
    /// Part of the name: a digest of the content.
    pub id: u64,
    /// What was learned from it, with the bytes.
    pub track: TrackHeader,
}

/// A part: one or more whole chunks of one segment (an LL-HLS partial segment).
#[derive(Clone, Debug)]
pub struct Part {
    /// Running number of the track: rises with media time, never used twice.
    pub number: u64,
    /// Decode time on the timeline of the channel, in ticks of the track.
    pub start_ticks: i64,
    /// Ticks of the track.
    pub duration_ticks: u64,
    /// Starts with a sync sample.
    pub independent: bool,
    /// Stands for media that never came; has no bytes.
    pub gap: bool,
    /// Bytes from its start to the end of its first sample.
    pub first_sample_end: u64,
    /// The chunks.
    pub body: Rope,
}

/// A segment, whole or open: its identity and what is known of it.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Media sequence number: rises by one, never used twice.
    pub msn: u64,
    /// Decode time on the timeline of the channel, in ticks of the track.
    pub start_ticks: i64,
    /// Presentation time of its first sample on the clock that its bytes are
    /// on, in ticks of the track.
    pub presented_ticks: i64,
    /// Sum over `parts`.
    pub duration_ticks: u64,
    /// Wall clock of its first sample.
    pub wall: Wall,
    /// Media time, header or encoding breaks in front of this segment.
    pub discontinuity: bool,
    /// Number of discontinuities before it since the channel began, its own
    /// included: equal for matching media of all tracks.
    pub discontinuity_number: u64,
    /// The CMAF header in force.
    pub header: Arc<HeaderObject>,
    /// Stands for media that never came; its parts are gaps or absent.
    pub gap: bool,
    /// In order; only the last may be shorter than the rule asks.
    pub parts: Vec<Arc<Part>>,
}

impl Segment {
    /// Bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.body.len()).sum()
    }

    /// The whole segment, sharing memory with its parts.
    pub fn body(&self) -> Rope {
        let mut body = Rope::new();
        for part in &self.parts {
            body.extend(&part.body);
        }
        body
    }

    fn header_bytes(&self) -> u64 {
        self.header.track.bytes.len() as u64
    }

    fn shares_header(&self, other: &Self) -> bool {
        self.header.id == other.header.id
    }

    /// Media time after its last sample, in ticks of the track.
    pub fn end_ticks(&self) -> i64 {
        self.start_ticks + self.duration_ticks as i64
    }

    /// Duration of all parts, in microseconds.
    pub fn duration_us(&self) -> u64 {
        let scale = self.header.track.timescale;
        scale.micros(self.duration_ticks as i64).0.unsigned_abs()
    }

    /// Wall clock after its last sample.
    pub fn end_date(&self) -> Wall {
        let scale = self.header.track.timescale;
        self.wall + scale.micros(self.duration_ticks as i64)
    }
}

/// The newest listed part: `(msn, part)` where `part` is an index in its
/// segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Media sequence number of the segment that holds the newest part.
    pub msn: u64,
    /// Index of the newest part in it.
    pub part: u64,
}

/// More segments than a manifest lists parts of.
const RECENT_SEGMENTS: usize = 32;

/// The readers' view of one track.
#[derive(Clone, Debug)]
pub struct Window {
    /// Whether manifests list its parts.
    lists_parts: bool,
    /// Whole segments, oldest first, without a hole in `msn`.
    segments: VecDeque<Arc<Segment>>,
    /// Segments at the front that manifests no longer list but that can still
    /// be fetched.
    retired: usize,
    /// The segment under way, with at least one part.
    open: Option<Arc<Segment>>,
    /// Number of the part that is expected next.
    next_part: u64,
    /// The header that the next media comes with, where it is another one.
    next_header: Option<Arc<HeaderObject>>,
    /// The newest part or segment has been the newest for too long.
    overdue: bool,
    /// How often an upload broke off.
    tears: u64,
    /// Rises by one with every change that a manifest shows.
    version: u64,
    /// Total ticks of the listed whole segments.
    listed_ticks: u64,
    /// Bytes of all whole segments, and of the headers they came with: an
    /// encoder may send another one with each.
    whole_bytes: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// A window without media.
    pub fn new() -> Self {
        Self {
            lists_parts: true,
            segments: VecDeque::new(),
            retired: 0,
            open: None,
            next_part: 0,
            next_header: None,
            overdue: false,
            tears: 0,
            version: 0,
            listed_ticks: 0,
            whole_bytes: 0,
        }
    }

    /// A window of a track that comes in whole segments.
    pub fn of_whole_segments() -> Self {
        Self {
            lists_parts: false,
            ..Self::new()
        }
    }

    /// Whether manifests list parts of this track, where the channel has any.
    pub fn lists_parts(&self) -> bool {
        self.lists_parts
    }

    /// Whole segments that manifests list, oldest first.
    pub fn listed(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> + ExactSizeIterator {
        self.segments.range(self.retired..)
    }

    /// The segment under way; it has at least one part.
    pub fn open(&self) -> Option<&Arc<Segment>> {
        self.open.as_ref()
    }

    /// Newest whole segment.
    pub fn last_whole(&self) -> Option<&Arc<Segment>> {
        if self.retired == self.segments.len() {
            None
        } else {
            self.segments.back()
        }
    }

    /// Number of the part that is expected next, the one a hint names.
    pub fn next_part(&self) -> u64 {
        self.next_part
    }

    /// Whether the edge has stood still for longer than the cadence of the
    /// track allows: nobody should wait for it to move.
    pub fn is_overdue(&self) -> bool {
        self.overdue
    }

    /// Discontinuities before the first listed segment, its own left out.
    pub fn discontinuity_base(&self) -> u64 {
        let first = self.listed().next().or(self.open.as_ref());
        first.map_or(0, |segment| {
            segment.discontinuity_number - u64::from(segment.discontinuity)
        })
    }

    /// Rises by one with every change that a manifest shows.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How often an upload of this track broke off within a segment: what was
    /// sent of one that was under way then is not to be taken for a whole.
    pub fn tears(&self) -> u64 {
        self.tears
    }

    /// Ticks of all listed whole segments.
    pub fn listed_ticks(&self) -> u64 {
        self.listed_ticks
    }

    /// Bytes of all segments that can be fetched.
    pub fn bytes(&self) -> u64 {
        self.whole_bytes + self.open.as_ref().map_or(0, |open| open.bytes())
    }

    /// The newest listed part. A segment without parts counts as one part.
    pub fn edge(&self) -> Option<Edge> {
        let newest = self.open.as_ref().or_else(|| self.last_whole())?;
        Some(Edge {
            msn: newest.msn,
            part: (newest.parts.len() as u64).max(1) - 1,
        })
    }

    /// Media time after the newest listed part, in ticks.
    pub fn end_ticks(&self) -> Option<i64> {
        self.open
            .as_ref()
            .or_else(|| self.last_whole())
            .map(|newest| newest.end_ticks())
    }

    /// Number of the first listed segment; of the next one where none is.
    pub fn listed_msn(&self) -> u64 {
        let next = || self.segments.back().map_or(0, |segment| segment.msn + 1);
        self.listed()
            .next()
            .or(self.open.as_ref())
            .map_or_else(next, |segment| segment.msn)
    }

    /// The first segment to list when at least `ticks` of whole segments are
    /// to be listed.
    pub(crate) fn listed_from(&self, ticks: i64) -> u64 {
        let mut left = self.listed_ticks as i64;
        let stays = self.listed().find(|segment| {
            left -= segment.duration_ticks as i64;
            left < ticks
        });
        stays.map_or_else(|| self.listed_msn(), |segment| segment.msn)
    }

    /// The first segment to keep when everything that ends less than `ticks`
    /// before the newest whole segment is to be kept.
    pub(crate) fn kept_from(&self, ticks: i64) -> u64 {
        let Some(end) = self.segments.back().map(|segment| segment.end_ticks()) else {
            return 0;
        };
        let stays = self
            .segments
            .iter()
            .find(|segment| end - segment.end_ticks() < ticks);
        stays.map_or(0, |segment| segment.msn)
    }

    /// Ticks from the start of the oldest whole segment in memory to the end of
    /// the newest.
    pub(crate) fn span_ticks(&self) -> i64 {
        match (self.segments.front(), self.segments.back()) {
            (Some(oldest), Some(newest)) => newest.end_ticks() - oldest.start_ticks,
            _ => 0,
        }
    }

    /// A segment that can be fetched, whole ones only.
    pub fn segment(&self, msn: u64) -> Option<&Arc<Segment>> {
        let first = self.segments.front()?.msn;
        let index = usize::try_from(msn.checked_sub(first)?).ok()?;
        self.segments.get(index)
    }

    /// A part that can be fetched, of whole segments and of the open one.
    ///
    /// Numbers rise from segment to segment, save for an empty gap that stands
    /// for a break and may be numbered ahead of the parts behind it. So the
    /// newest segments, the only ones whose parts are listed, are looked through
    /// one by one, and older ones by bisection.
    pub fn part(&self, number: u64) -> Option<&Arc<Part>> {
        fn find(segment: &Arc<Segment>, number: u64) -> Option<&Arc<Part>> {
            let index = segment
                .parts
                .binary_search_by_key(&number, |part| part.number)
                .ok()?;
            Some(&segment.parts[index])
        }
        let newest = self.open.iter().chain(self.segments.iter().rev());
        let recent = newest
            .take(RECENT_SEGMENTS)
            .find_map(|segment| find(segment, number));
        recent.or_else(|| {
            let after = self.segments.partition_point(|segment| {
                segment
                    .parts
                    .first()
                    .is_none_or(|part| part.number <= number)
            });
            find(self.segments.get(after.checked_sub(1)?)?, number)
        })
    }

    /// Oldest number of a part that can be fetched.
    pub fn first_part(&self) -> Option<u64> {
        let whole = self.segments.iter().chain(self.open.iter());
        whole
            .flat_map(|segment| segment.parts.first())
            .map(|part| part.number)
            .next()
    }

    /// Oldest segment that can be fetched.
    pub fn first_msn(&self) -> Option<u64> {
        self.segments
            .front()
            .or(self.open.as_ref())
            .map(|segment| segment.msn)
    }

    /// A CMAF header that a fetchable segment or the next media uses.
    pub fn header(&self, id: u64) -> Option<&Arc<HeaderObject>> {
        let newest_first = self.open.iter().chain(self.segments.iter().rev());
        let headers = newest_first.map(|segment| &segment.header);
        self.next_header
            .iter()
            .chain(headers)
            .find(|header| header.id == id)
    }

    /// The header that the next media comes with, if it is another than that of
    /// the newest.
    pub fn next_header(&self) -> Option<&Arc<HeaderObject>> {
        self.next_header.as_ref()
    }

    /// The header of the newest media.
    pub fn newest_header(&self) -> Option<&Arc<HeaderObject>> {
        self.open
            .as_ref()
            .or_else(|| self.last_whole())
            .map(|segment| &segment.header)
    }

    /// Replaces the open segment with a state of it that has one part more, or
    /// opens the first part of the next.
    pub(crate) fn set_open(&mut self, segment: Arc<Segment>, next_part: u64) {
        assert!(
            !segment.parts.is_empty(),
            "an open segment is listed by its parts"
        );
        self.check_number(&segment);
        self.meet_header(&segment);
        self.open = Some(segment);
        self.step_part(next_part);
        self.version += 1;
    }

    /// Says which header the next media comes with.
    pub(crate) fn expect_header(&mut self, header: Arc<HeaderObject>) {
        let newest = self.newest_header().map(|newest| newest.id);
        self.next_header = (newest.is_some() && newest != Some(header.id)).then_some(header);
        self.version += 1;
    }

    /// Makes `segment` the newest whole one; it replaces the open one.
    pub(crate) fn close(&mut self, segment: Arc<Segment>, next_part: u64) {
        self.check_number(&segment);
        self.meet_header(&segment);
        self.listed_ticks += segment.duration_ticks;
        self.whole_bytes += segment.bytes();
        if !self
            .segments
            .back()
            .is_some_and(|last| last.shares_header(&segment))
        {
            self.whole_bytes += segment.header_bytes();
        }
        self.segments.push_back(segment);
        self.open = None;
        self.step_part(next_part);
        self.version += 1;
    }

    /// Drops whole segments: those before `listed_from` leave the manifests,
    /// those before `kept_from` leave memory.
    pub(crate) fn evict(&mut self, listed_from: u64, kept_from: u64) {
        assert!(kept_from <= listed_from, "what is listed can be fetched");
        while let Some(oldest) = self.segments.get(self.retired)
            && oldest.msn < listed_from
        {
            self.listed_ticks -= oldest.duration_ticks;
            self.retired += 1;
        }
        while let Some(oldest) = self.segments.front()
            && oldest.msn < kept_from
        {
            assert!(self.retired > 0, "a listed segment is never dropped");
            let next = self.segments.get(1);
            self.whole_bytes -= oldest.bytes();
            if !next.is_some_and(|next| next.shares_header(oldest)) {
                self.whole_bytes -= oldest.header_bytes();
            }
            self.segments.pop_front();
            self.retired -= 1;
        }
    }

    /// The upload of the segment under way broke off.
    pub(crate) fn tear(&mut self) {
        self.tears += 1;
    }

    /// The edge should have moved by now.
    pub(crate) fn set_overdue(&mut self) {
        self.overdue = true;
    }

    fn check_number(&self, segment: &Segment) {
        if let Some(newest) = self.segments.back() {
            assert_eq!(
                segment.msn,
                newest.msn + 1,
                "media sequence numbers rise by one"
            );
        }
    }

    fn meet_header(&mut self, segment: &Segment) {
        self.next_header
            .take_if(|header| header.id == segment.header.id);
    }

    fn step_part(&mut self, next_part: u64) {
        assert!(next_part >= self.next_part, "part numbers only rise");
        self.overdue = false;
        self.next_part = next_part;
    }
}
