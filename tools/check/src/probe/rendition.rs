//! One media playlist that is followed, and what others wait for in it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::Run;
use super::client::Ask;
use crate::answer::Answer;
use crate::judge::follow::Follow;
use crate::judge::reload::{self, Reload};
use crate::judge::text;
use crate::playlist::media::Media;
use crate::playlist::multivariant::Listed;
use crate::playlist::variables::Variables;
use crate::rule::C1;
use crate::uri::with_query;
use crate::verdict::Verdicts;

/// A media playlist of the presentation.
#[derive(Debug)]
pub(super) struct Rendition {
    /// What the multivariant playlist says of it.
    pub(super) listed: Listed,
    /// Variables that its playlist may import.
    variables: Variables,
    state: Mutex<State>,
    changed: Condvar,
}

/// What the follower knows.
#[derive(Debug, Default)]
pub(super) struct State {
    /// All versions so far.
    pub(super) follow: Follow,
    /// What was found in them.
    pub(super) verdicts: Verdicts,
    /// Rises with each version.
    versions: u64,
    has_stopped: bool,
}

/// A version and its number.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// Rises with each version.
    pub(super) number: u64,
    /// The list.
    pub(super) list: Arc<Media>,
}

impl Rendition {
    /// One that nobody follows yet.
    pub(super) fn new(listed: Listed, variables: Variables) -> Self {
        let state = State {
            follow: Follow::new(&listed.uri, &listed.address),
            ..State::default()
        };
        Self {
            listed,
            variables,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// As it is called in findings.
    pub(super) fn name(&self) -> &str {
        &self.listed.uri
    }

    /// What the follower knows now.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A follower that panicked has already ended the run.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Everything that was learnt, when nobody follows any more.
    pub(super) fn into_state(self) -> State {
        self.state
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for a version newer than `number`; `None` at the end of the watch.
    pub(super) fn newer(&self, run: &Run, number: u64) -> Option<Version> {
        let mut state = self.state();
        loop {
            if let Some(list) = state
                .follow
                .latest
                .clone()
                .filter(|_| state.versions > number)
            {
                return Some(Version {
                    number: state.versions,
                    list,
                });
            }
            if state.has_stopped || run.is_over() {
                return None;
            }
            let wait = self.changed.wait_timeout(state, Duration::from_millis(250));
            state = wait.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }

    /// Reads a playlist that came from here.
    pub(super) fn read(&self, answer: &Answer) -> Option<Media> {
        let text = answer.text().filter(|_| answer.is_ok())?;
        text.starts_with("#EXTM3U")
            .then(|| Media::parse_with(&answer.answered_by, text, &self.variables))
    }

    /// Sends a blocking reload, with further parameters behind it.
    pub(super) fn reload(&self, run: &Run, msn: u64, part: Option<u64>, further: &str) -> Reload {
        let mut query = format!("_HLS_msn={msn}");
        if let Some(part) = part {
            query.push_str(&format!("&_HLS_part={part}"));
        }
        query.push_str(further);
        let answer = self.ask(run, &query);
        let list = self.read(&answer);
        Reload {
            msn,
            part,
            answer,
            list,
        }
    }

    /// Asks for the playlist with a query.
    pub(super) fn ask(&self, run: &Run, query: &str) -> Answer {
        let address = with_query(&self.listed.address, query);
        run.client.get(Ask::playlist(&address, self.patience_us()))
    }

    /// Longer than an origin may hold a request: three target durations.
    fn patience_us(&self) -> u64 {
        let target_us = self
            .state()
            .follow
            .latest
            .as_ref()
            .map_or(4_000_000, |list| list.target_us());
        (3 * target_us + 3_000_000).clamp(5_000_000, 60_000_000)
    }

    /// Follows the playlist until the watch is over.
    pub(super) fn watch(&self, run: &Run) {
        let mut failures = 0u32;
        let mut plainly = true;
        while !run.is_over() {
            let latest = self.state().follow.latest.clone();
            let position = latest
                .as_ref()
                .filter(|list| list.can_block() && !plainly)
                .map(|list| {
                    let (msn, part) = list.next();
                    (
                        msn,
                        (list.has_parts() || list.part_target.is_some()).then_some(part),
                    )
                });
            let asked_us = run.client.now_us();
            let (answer, list) = match position {
                Some((msn, part)) => {
                    let reload = self.reload(run, msn, part, "");
                    reload::whole(&mut self.state().verdicts.of(self.name()), &reload);
                    (reload.answer, reload.list)
                }
                None => {
                    let answer = self.ask(run, "");
                    let list = self.read(&answer);
                    (answer, list)
                }
            };
            plainly = list.is_none();
            failures = if list.is_none() { failures + 1 } else { 0 };
            let poll_us = poll_us(latest.as_deref());
            let moved = self.take(&answer, list, if position.is_some() { 0 } else { poll_us });
            if self
                .state()
                .follow
                .latest
                .as_ref()
                .is_some_and(|list| list.ended)
                || failures > 20
            {
                break;
            }
            let blocks = self
                .state()
                .follow
                .latest
                .as_ref()
                .is_some_and(|list| list.can_block());
            // Nobody is asked in a tight loop, whatever the answers are.
            let pause_us = if !blocks || failures > 0 {
                poll_us
            } else if moved {
                0
            } else {
                50_000
            };
            let spent_us = run.client.now_us().saturating_sub(asked_us);
            run.client
                .sleep_us(pause_us.saturating_sub(spent_us).min(run.left_us()));
        }
        self.state().has_stopped = true;
        self.changed.notify_all();
    }

    /// Takes in an answer; says whether the list went on.
    fn take(&self, answer: &Answer, list: Option<Media>, poll_us: u64) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut on = state.verdicts.of(self.name());
        if answer.is_ok() {
            text::typed(&mut on, answer);
        } else if !answer.address.contains("_HLS_") {
            on.must(
                C1,
                "rfc8216bis 6.2.1",
                false,
                "a media playlist cannot be fetched",
                || answer.outcome(),
            );
        }
        let Some(list) = list else { return false };
        let before = state.follow.latest.as_ref().map(|list| list.next());
        let next = list.next();
        state
            .follow
            .see(answer.done_us, list, poll_us, &mut state.verdicts);
        state.versions += 1;
        drop(guard);
        self.changed.notify_all();
        before.is_none_or(|before| next > before)
    }
}

/// How often a list is looked at that cannot be waited for.
fn poll_us(list: Option<&Media>) -> u64 {
    let us = list.map(|list| match list.part_us() {
        Some(part_us) if list.has_parts() => part_us / 2,
        _ => list.target_us() / 2,
    });
    us.unwrap_or(500_000).clamp(100_000, 5_000_000)
}
