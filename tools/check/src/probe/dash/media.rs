//! Segments of one Representation, each from the moment at which it is promised.

use super::{Shared, View};
use crate::answer::Answer;
use crate::fmp4::Header;
use crate::judge::dash::edge::{self, Asked, Wanted};
use crate::judge::dash::events::Known;
use crate::judge::dash::media::{self, Fetched, Growing};
use crate::mpd::Representation;
use crate::mpd::template::Run;
use crate::probe::client::Ask;
use crate::rule::{D13, D17};
use crate::verdict::Verdicts;

/// How long after its time a segment is asked for: what two clocks differ by.
const AFTER_US: i64 = 20_000;
/// Every so many segments the parts of a sequence are fetched too.
const SEQUENCE_EVERY: u64 = 3;
const PATIENCE_US: u64 = 30_000_000;

/// What a thread saw of one Representation.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) verdicts: Verdicts,
    /// Of its newest Period.
    pub(super) header: Option<(Answer, Header)>,
    pub(super) fetched: Fetched,
    pub(super) representation: Option<Representation>,
}

impl Shared<'_> {
    /// Follows the live edge of one Representation until the watch is over.
    pub(super) fn media(&self, id: &str) -> Brought {
        let mut out = Brought::default();
        let mut known = Known::default();
        let mut last: Option<(String, u64)> = None;
        let mut spent = 0;
        while !self.run.is_over() && spent < crate::limits::MEDIA_BYTES_MAX {
            let Some((view, run)) = self.newest(id) else {
                self.run.client.sleep_us(50_000);
                continue;
            };
            let at = (view.period().id.clone(), run.time);
            if last.as_ref() == Some(&at) {
                self.run.client.sleep_us(10_000);
                continue;
            }
            let other = last.as_ref().is_none_or(|(period, _)| *period != at.0);
            last = Some(at);
            if other && !self.begin(&view, &mut out) {
                self.run.client.sleep_us(500_000);
                continue;
            }
            spent += self.segment(&view, &run, &mut out, &mut known);
        }
        if let Some(of) = &out.representation {
            out.fetched.finish(&mut out.verdicts.of(id), of);
        }
        out
    }

    /// The segment that was promised last.
    fn newest(&self, id: &str) -> Option<(View, Run)> {
        let view = self.view(id)?;
        let in_period_us = self.in_period_us(&view)?.saturating_sub(AFTER_US);
        let run = view.template()?.newest(in_period_us)?;
        Some((view, run))
    }

    /// Fetches the header of a Period.
    fn begin(&self, view: &View, out: &mut Brought) -> bool {
        let of = view.representation();
        let Some(address) = of.header() else {
            return false;
        };
        let answer = self.run.client.get(Ask::media(&address, None, PATIENCE_US));
        let mut on = out.verdicts.of(&of.id);
        let header = media::header(&mut on, of, &answer);
        if let Some(before) = out.representation.replace(of.clone()) {
            std::mem::take(&mut out.fetched).finish(&mut on, &before);
        }
        out.header = header.map(|header| (answer, header));
        out.header.is_some()
    }

    /// Fetches a segment while it is made and again when it is whole; how many
    /// bytes that were.
    fn segment(&self, view: &View, run: &Run, out: &mut Brought, known: &mut Known) -> u64 {
        let of = view.representation();
        let (Some(address), Some(template), Some(due_us)) =
            (of.segment(run), view.template(), self.due_us(view, run))
        else {
            return 0;
        };
        let fetch = || self.run.client.get(Ask::media(&address, None, PATIENCE_US));
        let (first, again) = (fetch(), fetch());
        let spent = first.body.len() + again.body.len();
        let mut on = out.verdicts.of(&of.id);
        let asked = Asked {
            wanted: Wanted::Newest,
            due_us,
            answer: first.clone(),
        };
        edge::judge(&mut on, &asked);
        if template.early_us == 0 {
            on.skip(D13, "segments are promised when they are whole");
        }
        if let Some((_, header)) = out.header.as_ref().filter(|_| again.is_ok()) {
            let with = (of, template);
            out.fetched.see(&mut on, with, header, run, &again.body);
            known.see(&mut on, of, &again.body);
        }
        let seen = Growing {
            run: run.clone(),
            due_us,
            end_us: self.end_us(view, run).unwrap_or(due_us),
            first,
            again,
        };
        media::growing(&mut on, of, template, &seen);
        if run.number.is_multiple_of(SEQUENCE_EVERY) && seen.again.is_ok() && self.run.wants(D17) {
            self.sequence(view, run, out, &seen.again.body);
        }
        spent as u64
    }

    /// The parts of a segment in the set of sequences that has the same header.
    fn sequence(&self, view: &View, run: &Run, out: &mut Brought, whole: &[u8]) {
        let all = &view.period().representations;
        let header = view.representation().header();
        let twin = all
            .iter()
            .find(|of| of.is_sequence && of.header() == header);
        let Some((of, template)) = twin.and_then(|of| Some((of, of.template.as_ref()?))) else {
            return;
        };
        let count = run.parts.or(template.parts).unwrap_or(1);
        let same_grid = template.timeline.is_some()
            || template
                .by_number(run.number.saturating_sub(template.first))
                .is_some_and(|twin| twin.time == run.time);
        if !same_grid || count > 1_000 {
            return;
        }
        let parts: Vec<Answer> = (0..count)
            .filter_map(|part| of.part(run, part))
            .map(|address| self.run.client.get(Ask::media(&address, None, PATIENCE_US)))
            .collect();
        media::sequence(&mut out.verdicts.of(&of.id), of, &parts, whole);
    }
}
