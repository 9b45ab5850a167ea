//! The MPD itself, again and again, with its patches.

use std::sync::Arc;

use super::Shared;
use crate::answer::Answer;
use crate::judge::dash::follow::Snapshot;
use crate::judge::dash::patch::{self, Told};
use crate::mpd::Mpd;
use crate::probe::client::Ask;
use crate::rule::{D1, D16};

/// Every so many looks the MPD is asked for whole, whatever its ETag.
const WHOLE_EVERY: usize = 4;
/// Versions that a patch may lead past before it is given up.
const PATIENCE: usize = 4;
const TIMEOUT_US: u64 = 10_000_000;

/// A patch that leads to a version that was not seen yet.
struct Open {
    before: Arc<Snapshot>,
    answer: Answer,
    tries: usize,
}

impl Shared<'_> {
    /// Looks at the MPD until the watch is over.
    pub(super) fn watch(&self) {
        let mut open: Vec<Open> = Vec::new();
        let mut oldest: Option<(u64, Arc<Snapshot>)> = None;
        let mut failures = 0;
        for look in 1.. {
            let Some(before) = self.state().follow.latest().cloned() else {
                return;
            };
            self.run
                .client
                .sleep_us(pause_us(&before.mpd).min(self.run.left_us()));
            if self.run.is_over() || !before.mpd.is_dynamic || failures > 20 {
                return;
            }
            match self.look(&before, look % WHOLE_EVERY == 0) {
                Some(false) => failures = 0,
                Some(true) => {
                    failures = 0;
                    self.patched(&before, &mut open);
                }
                None => failures += 1,
            }
            self.stale(&before, &mut oldest);
        }
    }

    /// Whether the MPD is a new one; `None` where there is none.
    fn look(&self, before: &Snapshot, whole: bool) -> Option<bool> {
        let etag = before.etag.as_deref().filter(|_| !whole);
        let answer = self.run.client.get(Ask {
            etag,
            ..Ask::playlist(&self.address, TIMEOUT_US)
        });
        if answer.status == 304 && etag.is_some() {
            let now_us = self.wall_us();
            let mut guard = self.state();
            let state = &mut *guard;
            state.follow.same(&mut state.verdicts.of("MPD"), now_us);
            return Some(false);
        }
        let mpd = answer.text().filter(|_| answer.is_ok());
        let mpd = mpd.map(|text| Mpd::parse(&self.address, text));
        match mpd {
            Some(Ok(mpd)) => Some(self.take(&answer, mpd)),
            other => {
                let why = match other {
                    Some(Err(why)) => why,
                    _ => answer.outcome(),
                };
                let mut guard = self.state();
                guard.verdicts.of("MPD").must(
                    D1,
                    "ISO/IEC 23009-1 5.2, 5.4",
                    false,
                    "the MPD cannot be fetched and read again",
                    || why,
                );
                None
            }
        }
    }

    /// Asks for the patch of `before`, which is not the newest any more, and for
    /// that of the newest, which cannot be there.
    fn patched(&self, before: &Arc<Snapshot>, open: &mut Vec<Open>) {
        if !self.run.wants(D16) {
            return;
        }
        let fetch = |of: &Snapshot| {
            let place = of.mpd.patch.as_ref()?;
            Some(
                self.run
                    .client
                    .get(Ask::playlist(&place.address, TIMEOUT_US)),
            )
        };
        if let Some(answer) = fetch(before) {
            open.push(Open {
                before: before.clone(),
                answer,
                tries: 0,
            });
        }
        let latest = self.state().follow.latest().cloned();
        let newest = latest.as_deref().and_then(fetch);
        let mut guard = self.state();
        let state = &mut *guard;
        let mut on = state.verdicts.of("patch");
        if let Some(answer) = newest {
            patch::none_yet(&mut on, &answer);
        }
        open.retain_mut(|one| {
            one.tries += 1;
            let known = state.follow.versions.iter().map(|known| &**known);
            // What has been judged is judged again for the version it leads to.
            let told = patch::leads(&mut on, &one.before, &one.answer, known);
            told == Told::Elsewhere && one.tries < PATIENCE
        });
    }

    /// Asks for a patch whose time was over ten seconds ago.
    fn stale(&self, before: &Arc<Snapshot>, oldest: &mut Option<(u64, Arc<Snapshot>)>) {
        const MARGIN_US: u64 = 15_000_000;
        let now_us = self.run.client.now_us();
        let (since_us, first) = oldest.get_or_insert_with(|| (now_us, before.clone()));
        let Some(place) = first.mpd.patch.as_ref().filter(|_| self.run.wants(D16)) else {
            return;
        };
        let Some(ttl_us) = place.ttl_us else { return };
        if now_us < since_us.saturating_add(ttl_us).saturating_add(MARGIN_US) {
            return;
        }
        let answer = self
            .run
            .client
            .get(Ask::playlist(&place.address, TIMEOUT_US));
        patch::stale(&mut self.state().verdicts.of("patch"), &answer);
        *oldest = None;
    }
}

/// How long to the next look: more often than the MPD asks for, so that a change
/// is seen soon.
fn pause_us(mpd: &Mpd) -> u64 {
    let update_us = mpd.update_us.unwrap_or(1_000_000);
    (update_us / 2).clamp(200_000, 1_000_000)
}
