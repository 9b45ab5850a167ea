//! MPDs: asks and watches.

mod beside;
mod edge;
mod media;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::media::Brought;
use super::client::Ask;
use super::{Outcome, Progress, Run};
use crate::answer::Answer;
use crate::judge::dash::follow::{Follow, Snapshot};
use crate::judge::dash::{clock, text};
use crate::limits;
use crate::mpd::template::{self, Template};
use crate::mpd::{Asking, CLOCKS, Mpd, Period, Representation};
use crate::rule::{D6, D16, D17, D20, Sheet};
use crate::verdict::Verdicts;

/// What the threads of one run share.
pub(super) struct Shared<'r> {
    run: &'r Run,
    address: String,
    /// How far the clock of the MPD is ahead of ours.
    ahead_us: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    follow: Follow,
    verdicts: Verdicts,
    versions: usize,
}

/// A segment that is to be asked for, with all that it hangs on.
struct View {
    snapshot: Arc<Snapshot>,
    period: usize,
    representation: usize,
}

impl View {
    fn period(&self) -> &Period {
        &self.snapshot.mpd.periods[self.period]
    }

    fn representation(&self) -> &Representation {
        &self.period().representations[self.representation]
    }

    fn template(&self) -> Option<&Template> {
        self.representation().template.as_ref()
    }
}

impl Shared<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, by the clock of the MPD.
    fn wall_us(&self) -> i64 {
        let ahead_us = self.ahead_us.load(Ordering::Relaxed);
        self.run.client.wall_us().saturating_add(ahead_us)
    }

    /// The moment of a date on the clock of the run; the beginning for what was
    /// before it.
    fn moment_us(&self, wall_us: i64) -> u64 {
        let from_now_us = wall_us.saturating_sub(self.wall_us());
        self.run.client.now_us().saturating_add_signed(from_now_us)
    }

    /// A Representation of the Period that goes on, as it is now.
    fn view(&self, id: &str) -> Option<View> {
        let snapshot = self.state().follow.latest()?.clone();
        let period = snapshot.mpd.periods.len().checked_sub(1)?;
        let all = &snapshot.mpd.periods[period].representations;
        let representation = all.iter().position(|of| of.id == id)?;
        Some(View {
            snapshot,
            period,
            representation,
        })
    }

    /// How long it is since the start of the Period.
    fn in_period_us(&self, view: &View) -> Option<i64> {
        let start_us = view.period().wall_us(&view.snapshot.mpd, 0)?;
        Some(self.wall_us().saturating_sub(start_us))
    }

    /// When the media of a segment ends, on the clock of the run.
    fn end_us(&self, view: &View, run: &template::Run) -> Option<u64> {
        let end_us = view.template()?.in_period_us(run.end());
        let wall_us = view.period().wall_us(&view.snapshot.mpd, end_us)?;
        Some(self.moment_us(wall_us))
    }

    /// When a segment is promised, on the clock of the run.
    fn due_us(&self, view: &View, run: &template::Run) -> Option<u64> {
        let template = view.template()?;
        let end_us = template.in_period_us(run.end());
        let in_period_us = end_us.saturating_sub(template.early());
        let wall_us = view.period().wall_us(&view.snapshot.mpd, in_period_us)?;
        Some(self.moment_us(wall_us))
    }
}

/// Checks the MPD that `answer` brought.
pub(super) fn check(
    run: &Run,
    answer: &Answer,
    progress: &mut impl FnMut(Progress),
) -> Result<Outcome, String> {
    let address = answer.answered_by.clone();
    let parsed = answer
        .text()
        .ok_or("no text")
        .map(|text| Mpd::parse(&address, text));
    let mpd = match parsed {
        Ok(Ok(mpd)) if mpd.tree.name == "MPD" => mpd,
        Ok(Ok(mpd)) => {
            return Err(format!(
                "{address}: no playlist and no MPD, but {}",
                mpd.tree.name
            ));
        }
        Ok(Err(why)) => return Err(format!("{address}: no playlist, and no MPD: {why}")),
        Err(why) => return Err(format!("{address}: {why}")),
    };
    let last = mpd
        .last()
        .ok_or_else(|| format!("{address}: an MPD without Period"))?;
    let followed: Vec<String> = last
        .representations
        .iter()
        .filter(|of| !of.is_sequence)
        .take(limits::REPRESENTATIONS_MAX)
        .map(|of| of.id.clone())
        .collect();
    let mut verdicts = Verdicts::new();
    let shared = Shared {
        run,
        address,
        ahead_us: AtomicI64::new(clocks(run, &mpd, &mut verdicts)),
        state: Mutex::default(),
    };
    shared.missing(&mpd, &mut verdicts);
    let end_us = run.client.now_us() + run.watch_us;
    run.end_us.store(end_us, Ordering::Relaxed);
    run.client.end_at(end_us + limits::AFTERWARDS_US_MAX);
    shared.take(answer, mpd);
    let (mut brought, stall_us) = shared.all(&followed, progress);
    for one in brought.values_mut() {
        verdicts.absorb(std::mem::take(&mut one.verdicts));
    }
    beside::compare(&shared, &brought, &mut verdicts);
    verdicts.absorb(std::mem::take(&mut shared.state().verdicts));
    if stall_us > limits::STALL_US {
        verdicts.doubt_times(stall_us);
    }
    Ok(Outcome {
        verdicts,
        renditions: followed,
        sheet: Sheet::Dash,
    })
}

/// Asks every clock that an MPD names; how far ahead of ours the best of them is.
fn clocks(run: &Run, mpd: &Mpd, verdicts: &mut Verdicts) -> i64 {
    const PATIENCE_US: u64 = 5_000_000;
    let mut on = verdicts.of("UTCTiming");
    let mut reads = Vec::new();
    for scheme in &mpd.clocks {
        let known = CLOCKS.iter().find(|(id, _)| *id == scheme.id);
        let Some((_, asking)) = known else {
            on.skip(D6, "the clock is of a scheme that is not asked by HTTP");
            continue;
        };
        // The first exchange may have a connection to open.
        for _ in 0..2 {
            let wall_us = run.client.wall_us();
            let answer = match asking {
                Asking::Head => run.client.head(&scheme.value, PATIENCE_US),
                Asking::Date => run.client.get(Ask::playlist(&scheme.value, PATIENCE_US)),
            };
            reads.extend(clock::answered(&mut on, *asking, &answer, wall_us));
        }
    }
    clock::agree(&mut on, &reads);
    let best = reads.iter().min_by_key(|read| read.doubt_us);
    best.map_or(0, |read| read.ahead_us())
}

impl Shared<'_> {
    /// What cannot be looked at, and what is looked at once.
    fn missing(&self, mpd: &Mpd, verdicts: &mut Verdicts) {
        let mut on = verdicts.of("");
        if mpd.patch.is_none() {
            on.skip(D16, "no PatchLocation: patches are not offered");
        }
        let mut all = mpd
            .periods
            .iter()
            .flat_map(|period| &period.representations);
        if !all.any(|of| of.is_sequence) {
            on.skip(D17, "there are no segment sequences");
        }
        if self.run.wants(D20) {
            let preflight = self.run.client.preflight(&self.address);
            let allowed = (200..300).contains(&preflight.status)
                && preflight.header("access-control-allow-origin").is_some();
            on.should(
                D20,
                "Fetch 4.8",
                allowed,
                "a preflight request is refused",
                || preflight.outcome(),
            );
        }
    }

    /// Takes in an MPD that came; says whether it is a new version.
    fn take(&self, answer: &Answer, mpd: Mpd) -> bool {
        let seen_us = self.wall_us();
        let mut guard = self.state();
        let state = &mut *guard;
        let mut on = state.verdicts.of("MPD");
        text::typed(&mut on, answer);
        let snapshot = Snapshot {
            seen_us,
            mpd,
            body: answer.body.clone(),
            etag: answer.header("etag").map(str::to_owned),
        };
        let fresh = state.follow.see(&mut on, snapshot);
        if let Some(latest) = state.follow.latest().filter(|_| fresh) {
            text::mpd(&mut on, &latest.mpd);
        }
        state.versions += usize::from(fresh);
        fresh
    }

    /// Every thread until the watch is over; what those of media brought, and
    /// how long this machine stood still.
    fn all(
        &self,
        followed: &[String],
        progress: &mut impl FnMut(Progress),
    ) -> (BTreeMap<String, Brought>, u64) {
        std::thread::scope(|scope| {
            let pulse = scope.spawn(|| self.run.pulse_us());
            let watch = scope.spawn(|| self.watch());
            let started: Vec<_> = followed
                .iter()
                .map(|id| {
                    let media = scope.spawn(move || self.media(id));
                    let edges = scope.spawn(move || self.edges(id));
                    (id, media, edges)
                })
                .collect();
            while !watch.is_finished() {
                self.run.client.sleep_us(100_000);
                progress(Progress {
                    renditions: followed.len(),
                    versions: self.state().versions,
                    left_s: self.run.left_us().div_ceil(1_000_000),
                    sheet: Sheet::Dash,
                });
            }
            watch.join().expect("a thread that watches does not panic");
            let brought = started.into_iter().map(|(id, media, edges)| {
                let mut brought = media.join().expect("a thread that fetches does not panic");
                let edges = edges.join().expect("a thread that asks does not panic");
                brought.verdicts.absorb(edges);
                (id.clone(), brought)
            });
            let brought = brought.collect();
            (brought, pulse.join().expect("a pulse does not panic"))
        })
    }
}
