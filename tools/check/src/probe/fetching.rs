//! Media, fetched as a player would, and a little more closely: C19 to C21,
//! C27, C34, C36, C38, and what C40 needs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Run;
use super::client::Ask;
use super::rendition::Rendition;
use crate::answer::Answer;
use crate::fmp4::Header;
use crate::judge::media::{self, Continuity, Hinted};
use crate::judge::multivariant::Measured;
use crate::judge::transport::{self, Kind};
use crate::limits::{self, JITTER_US};
use crate::playlist::media::{Map, Media, Range, Segment};
use crate::playlist::multivariant::Role;
use crate::rule::{C19, C20, C21, C27, C34, C36, C38, C39, C40};
use crate::uri::resolve;
use crate::verdict::Verdicts;

/// Hinted parts are asked for no more often than this.
const HINT_PAUSE_US: u64 = 1_000_000;
/// Segments of which the parts are fetched too: one in so many.
const PIECES_EVERY: u64 = 4;
/// Headers kept of one rendition.
const HEADERS_MAX: usize = 64;
/// Objects that wait to be asked for again.
const LEFT_MAX: usize = 256;

/// A hint that was asked for, and the position it stood for.
#[derive(Debug)]
pub(super) struct HintSeen {
    /// What came of it.
    pub(super) hinted: Hinted,
    /// Media sequence number and part index.
    pub(super) position: (u64, u64),
}

/// Asks for parts while they are hinted.
pub(super) fn hints(run: &Run, rendition: &Rendition) -> (Verdicts, Vec<HintSeen>) {
    let (mut verdicts, mut out) = (Verdicts::new(), Vec::new());
    let (mut number, mut kept) = (0, 0);
    while let Some(version) = rendition
        .newer(run, number)
        .filter(|_| run.wants(C19) || run.wants(C21))
        .filter(|_| kept < limits::HINTED_BYTES_MAX)
    {
        number = version.number;
        let list = &version.list;
        let Some(hint) = list.hint("PART") else {
            verdicts.of(rendition.name()).skip(C19, "no part is hinted");
            run.client.sleep_us(HINT_PAUSE_US.min(run.left_us()));
            continue;
        };
        let address = resolve(&list.address, &hint.uri);
        let position = list.next();
        if let Some(range) = hint.range {
            open_range(run, rendition, list, &address, range, &mut verdicts);
            verdicts
                .of(rendition.name())
                .skip(C19, "parts are byte ranges");
            continue;
        }
        let answer = run
            .client
            .get(Ask::media(&address, None, 2 * list.target_us() + 3_000_000));
        let listed = listed_later(run, rendition, &hint.uri, list.target_us());
        let listed = listed.then(|| run.client.get(Ask::media(&address, None, 10_000_000)));
        if run.is_over() && listed.is_none() {
            break;
        }
        kept += answer.body.len() + listed.as_ref().map_or(0, |listed| listed.body.len());
        let uri = hint.uri.clone();
        out.push(HintSeen {
            hinted: Hinted {
                uri,
                answer,
                listed,
            },
            position,
        });
        run.client.sleep_us(HINT_PAUSE_US.min(run.left_us()));
    }
    (verdicts, out)
}

/// Whether a part shows up in the list within a target duration. One that
/// turns out to be a gap does not.
fn listed_later(run: &Run, rendition: &Rendition, uri: &str, target_us: u64) -> bool {
    let until_us = run.client.now_us() + target_us + JITTER_US;
    let mut number = 0;
    while let Some(version) = rendition.newer(run, number) {
        number = version.number;
        if version
            .list
            .all()
            .rev()
            .take(4)
            .flat_map(|segment| &segment.parts)
            .any(|part| part.uri == uri && !part.gap)
        {
            return true;
        }
        if run.client.now_us() > until_us {
            return false;
        }
    }
    false
}

/// C21: a range without an end, from a hinted part to the end of its segment.
fn open_range(
    run: &Run,
    rendition: &Rendition,
    list: &Media,
    address: &str,
    range: Range,
    verdicts: &mut Verdicts,
) {
    let msn = list.next().0;
    let spelt = format!("bytes={}-{}", range.start, (1u64 << 53) - 1);
    let answer = run.client.get(Ask::media(
        address,
        Some(&spelt),
        3 * list.target_us() + 3_000_000,
    ));
    let mut number = 0;
    while let Some(version) = rendition.newer(run, number) {
        number = version.number;
        let Some(segment) = version.list.segment(msn) else {
            if version.list.next().0 > msn + 1 {
                return;
            }
            continue;
        };
        let ends = segment.parts.iter().filter_map(|part| {
            let range = part.range?;
            range.start.checked_add(range.len?)
        });
        let edges: Vec<usize> = ends
            .filter(|end| *end > range.start)
            .map(|end| (end - range.start) as usize)
            .collect();
        let part_us = list.part_us().unwrap_or(0);
        media::open_range(&mut verdicts.of(rendition.name()), &answer, &edges, part_us);
        return;
    }
}

/// What came of the segments of one rendition.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// What was found.
    pub(super) verdicts: Verdicts,
    /// Decode times, and where they lie on the wall clock.
    pub(super) continuity: Continuity,
    /// Rates.
    pub(super) measured: Measured,
    /// Highest rate at which a segment came; 0 if unknown.
    pub(super) bytes_per_s: u64,
}

/// Fetches every segment that is closed while the watch lasts.
pub(super) fn segments(run: &Run, rendition: &Rendition) -> Fetched {
    let mut fetching = Fetching {
        run,
        rendition,
        out: Fetched::default(),
        headers: BTreeMap::new(),
        bytes: 0,
        rate_bits: 0,
        rate_us: 0,
        left: VecDeque::new(),
        before: None,
    };
    let mut number = 0;
    let mut next_msn = None;
    while let Some(version) = rendition.newer(run, number) {
        number = version.number;
        let list = &version.list;
        fetching.leavers(list);
        // Two segments that are there already make for a quick start.
        let from = next_msn.unwrap_or_else(|| list.next().0.saturating_sub(2));
        for segment in list.segments.iter().filter(|segment| segment.msn >= from) {
            fetching.segment(list, segment);
        }
        next_msn = Some(list.next().0.max(from));
        fetching.revisit();
    }
    fetching.out
}

/// Something that left the list and must still be there for a while.
struct Left {
    due_us: u64,
    left_us: u64,
    address: String,
    range: Option<Range>,
    is_part: bool,
}

struct Fetching<'a> {
    run: &'a Run,
    rendition: &'a Rendition,
    out: Fetched,
    headers: BTreeMap<String, Option<Arc<Header>>>,
    bytes: u64,
    rate_bits: u64,
    rate_us: u64,
    left: VecDeque<Left>,
    before: Option<Arc<Media>>,
}

impl Fetching<'_> {
    fn get(&mut self, list: &Media, uri: &str, range: Option<Range>) -> Answer {
        let spelt = range.map(spell);
        let address = resolve(&list.address, uri);
        let answer = self
            .run
            .client
            .get(Ask::media(&address, spelt.as_deref(), 20_000_000));
        self.bytes += answer.body.len() as u64;
        answer
    }

    fn header(&mut self, list: &Media, map: Option<&Arc<Map>>) -> Option<Arc<Header>> {
        let map = map?;
        let key = format!("{} {:?}", map.uri, map.range);
        if let Some(known) = self.headers.get(&key) {
            return known.clone();
        }
        let answer = self.get(list, &map.uri, map.range);
        let mut on = self.out.verdicts.of(self.rendition.name());
        let there = matches!(answer.status, 200 | 206) && answer.trouble.is_none();
        on.must(
            C36,
            "rfc8216bis 4.4.4.5",
            there,
            "a header section cannot be fetched",
            || format!("{}: {}", map.uri, answer.outcome()),
        );
        let header = Header::parse(&answer.body);
        if let (Err(broken), true) = (&header, there && crate::fmp4::is_iso(&answer.body)) {
            on.must(
                C36,
                "rfc8216bis 3.1.2",
                false,
                "a header section cannot be read",
                || format!("{}: {broken}", map.uri),
            );
        }
        let header = header.ok().map(Arc::new);
        if self.headers.len() < HEADERS_MAX {
            self.headers.insert(key, header.clone());
        }
        header
    }

    fn segment(&mut self, list: &Media, segment: &Segment) {
        if segment.gap || self.bytes > limits::MEDIA_BYTES_MAX {
            return self.out.continuity.miss();
        }
        let wants = [C19, C20, C27, C34, C36, C38, C39, C40]
            .into_iter()
            .any(|rule| self.run.wants(rule));
        if !wants {
            return;
        }
        let header = self.header(list, segment.map.as_ref());
        let answer = self.get(list, &segment.uri, segment.range);
        let name = self.rendition.name();
        let mut on = self.out.verdicts.of(name);
        let there = matches!(answer.status, 200 | 206) && answer.trouble.is_none();
        on.must(
            C36,
            "rfc8216bis 6.2.1",
            there,
            "a listed segment cannot be fetched",
            || format!("segment {}: {}", segment.msn, answer.outcome()),
        );
        if self.rendition.listed.role == Role::IFrames {
            media::i_frame(&mut on, segment, &answer, header.as_deref());
            return;
        }
        if !there {
            return self.out.continuity.miss();
        }
        let target_s = list.target_s.unwrap_or(0);
        transport::caching(
            &mut on,
            Kind::Media,
            &answer,
            target_s,
            self.run.client.wall_us(),
        );
        transport::shared(&mut on, &answer);
        transport::priority(&mut on, &answer, false);
        match &header {
            Some(header) => self
                .out
                .continuity
                .see(&mut on, segment, &answer.body, header),
            None => on.skip(C36, "the media is no fragmented MP4"),
        }
        self.measure(list, segment, &answer, header.as_deref());
        if segment.msn.is_multiple_of(PIECES_EVERY)
            && !segment.parts.is_empty()
            && self.run.wants(C20)
        {
            let parts: Vec<Answer> = segment
                .parts
                .iter()
                .map(|part| match part.gap {
                    true => Answer::default(),
                    false => self.get(list, &part.uri, part.range),
                })
                .collect();
            let mut on = self.out.verdicts.of(self.rendition.name());
            media::pieces(&mut on, segment, &parts, &answer, header.as_deref());
        }
    }

    fn measure(
        &mut self,
        list: &Media,
        segment: &Segment,
        answer: &Answer,
        header: Option<&Header>,
    ) {
        let duration_us = segment.duration.value.us();
        let bits = answer.body.len() as u64 * 8;
        let took_us = answer.done_us.saturating_sub(answer.head_us).max(1000);
        self.out.bytes_per_s = self.out.bytes_per_s.max(bits / 8 * 1_000_000 / took_us);
        self.rate_bits += bits;
        self.rate_us += duration_us;
        let measured = &mut self.out.measured;
        measured.segments += 1;
        measured.mean_bps = (self.rate_bits * 1_000_000)
            .checked_div(self.rate_us)
            .unwrap_or(0);
        // A peak is taken over half a target duration at least (section 4.1).
        if 2 * duration_us >= list.target_us() {
            let rate = (bits * 1_000_000).checked_div(duration_us).unwrap_or(0);
            measured.peak_bps = measured.peak_bps.max(rate);
        }
        if measured.header.is_none() {
            measured.header = header.cloned();
        }
        if self.out.continuity.frame_us > 0 {
            self.rendition.state().follow.frame_us = self.out.continuity.frame_us.max(1000);
        }
    }

    /// Notes what went from the list since the version before.
    fn leavers(&mut self, list: &Arc<Media>) {
        let now_us = self.run.client.now_us();
        let Some(before) = self.before.replace(list.clone()) else {
            return;
        };
        for old in before.all() {
            let is = list.segment(old.msn);
            if let (Some(part), Some(true)) = (
                old.parts.first().filter(|part| !part.gap),
                is.map(|is| is.parts.is_empty()),
            ) {
                // As late as the clause allows, and a little earlier.
                let due_us = now_us + (3 * list.target_us()).saturating_sub(2 * JITTER_US);
                self.leave(Left {
                    due_us,
                    left_us: now_us,
                    address: resolve(&list.address, &part.uri),
                    range: part.range,
                    is_part: true,
                });
            }
            let gone = old.msn < list.media_sequence && !old.uri.is_empty() && !old.gap;
            if gone {
                let lasts_us = old.duration.value.us().saturating_sub(2 * JITTER_US);
                let due_us = now_us + lasts_us.min(list.target_us());
                self.leave(Left {
                    due_us,
                    left_us: now_us,
                    address: resolve(&list.address, &old.uri),
                    range: old.range,
                    is_part: false,
                });
            }
        }
    }

    fn leave(&mut self, left: Left) {
        if self.left.len() < LEFT_MAX && self.run.wants(C34) {
            self.left.push_back(left);
        }
    }

    /// Asks again for what should still be there.
    fn revisit(&mut self) {
        let now_us = self.run.client.now_us();
        while let Some(index) = self.left.iter().position(|left| left.due_us <= now_us) {
            let Some(left) = self.left.remove(index) else {
                break;
            };
            // A look that comes too late says nothing.
            if now_us > left.due_us + JITTER_US {
                continue;
            }
            let spelt = left.range.map(spell);
            let answer =
                self.run
                    .client
                    .get(Ask::media(&left.address, spelt.as_deref(), 5_000_000));
            let mut on = self.out.verdicts.of(self.rendition.name());
            media::still_there(&mut on, &left.address, &answer, left.left_us, left.is_part);
        }
    }
}

fn spell(range: Range) -> String {
    match range.len {
        Some(len) => format!(
            "bytes={}-{}",
            range.start,
            range.start.saturating_add(len).saturating_sub(1)
        ),
        None => format!("bytes={}-", range.start),
    }
}
