//! Requests that are too early, too late, or for what never was.

use super::{Shared, View};
use crate::judge::dash::edge::{self, Asked, Wanted};
use crate::mpd::template::Run;
use crate::probe::client::Ask;
use crate::rule::{D10, D11, D12};
use crate::uri::resolve;
use crate::verdict::Verdicts;

const PATIENCE_US: u64 = 30_000_000;
/// What clients and origins may keep beyond the window.
const MARGIN_US: i64 = 10_000_000;
/// A segment so many ahead is far.
const FAR: u64 = 10;
/// Less than this before its time a segment is as good as due.
const EARLY_US: u64 = 100_000;
/// How long to the next round.
const ROUND_US: u64 = 1_700_000;

impl Shared<'_> {
    /// Asks on either side of what is there until the watch is over.
    pub(super) fn edges(&self, id: &str) -> Verdicts {
        let mut out = Verdicts::new();
        let wanted = [D10, D11, D12].iter().any(|rule| self.run.wants(*rule));
        if !wanted {
            return out;
        }
        let kinds = [
            Wanted::Next,
            Wanted::Oldest,
            Wanted::Next,
            Wanted::Far,
            Wanted::Next,
            Wanted::Never,
            Wanted::Past,
        ];
        for kind in kinds.into_iter().cycle() {
            self.run.client.sleep_us(ROUND_US.min(self.run.left_us()));
            if self.run.is_over() {
                return out;
            }
            if let Some(asked) = self.ask(id, kind) {
                edge::judge(&mut out.of(id), &asked);
            }
        }
        out
    }

    fn ask(&self, id: &str, wanted: Wanted) -> Option<Asked> {
        let view = self.view(id)?;
        if !view.snapshot.mpd.is_dynamic {
            return None;
        }
        let (address, due_us) = match wanted {
            Wanted::Newest => return None,
            Wanted::Next => self.ahead(&view, 1)?,
            Wanted::Far => self.ahead(&view, FAR)?,
            Wanted::Oldest => self.oldest(&view)?,
            Wanted::Past => self.past(&view)?,
            Wanted::Never => {
                let header = view.representation().header()?;
                (resolve(&header, "never-was-0.m4s"), 0)
            }
        };
        let answer = self.run.client.get(Ask::media(&address, None, PATIENCE_US));
        Some(Asked {
            wanted,
            due_us,
            answer,
        })
    }

    /// A segment so many after the newest that is promised; only numbers can be
    /// known ahead.
    fn ahead(&self, view: &View, by: u64) -> Option<(String, u64)> {
        let of = view.representation();
        let template = view.template()?;
        if template.media.contains("$Time") {
            return None;
        }
        let newest = template.newest(self.in_period_us(view)?)?;
        let run = Run {
            number: newest.number.checked_add(by)?,
            time: newest.time.checked_add(newest.duration.checked_mul(by)?)?,
            ..newest
        };
        let due_us = self.due_us(view, &run)?;
        let early = due_us > self.run.client.now_us() + EARLY_US;
        early.then(|| Some((of.segment(&run)?, due_us)))?
    }

    fn oldest(&self, view: &View) -> Option<(String, u64)> {
        let window_us = i64::try_from(view.snapshot.mpd.window_us?).ok()?;
        let in_period_us = self.in_period_us(view)?;
        let from_us = in_period_us
            .saturating_sub(window_us)
            .saturating_add(1_000_000);
        let template = view.template()?;
        let run = template.oldest(from_us.max(0))?;
        // Not one that is still to come.
        let newest = template.newest(in_period_us)?;
        let due_us = self.due_us(view, &run)?;
        (run.time <= newest.time).then(|| Some((view.representation().segment(&run)?, due_us)))?
    }

    fn past(&self, view: &View) -> Option<(String, u64)> {
        let window_us = i64::try_from(view.snapshot.mpd.window_us?).ok()?;
        let template = view.template()?;
        let gone_us = window_us.checked_add(MARGIN_US)?;
        let in_period_us = self.in_period_us(view)?.checked_sub(gone_us)?;
        let run = match &template.timeline {
            Some(_) if template.media.contains("$Time") => return None,
            Some(timeline) => {
                let first = timeline.segments().next()?;
                let long_us = template.us(i128::from(first.duration)).max(1);
                let by = u64::try_from(MARGIN_US / long_us).ok()? + 2;
                Run {
                    number: first.number.checked_sub(by)?,
                    ..first
                }
            }
            None => template.newest(in_period_us)?,
        };
        Some((view.representation().segment(&run)?, 0))
    }
}
