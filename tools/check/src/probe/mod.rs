//! Asks and watches; everything that waits, and every clock and socket.

// The judges are pure; here is the shell around them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod asking;
pub mod client;
mod dash;
mod fetching;
mod rendition;
mod tls;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use self::asking::Asked;
use self::client::{Ask, Client};
use self::fetching::{Fetched, HintSeen};
use self::rendition::{Rendition, State};
use crate::judge::multivariant::{self, Measured};
use crate::judge::together::{self, Member};
use crate::judge::transport::{self, Kind};
use crate::judge::{media, reload, text};
use crate::limits;
use crate::playlist::multivariant::{Listed, Multivariant, Role};
use crate::playlist::{is_multivariant, variables::Variables};
use crate::rule::{C27, C37, C40, Rule, Sheet};
use crate::verdict::Verdicts;

/// One run of the checker.
#[derive(Debug)]
pub struct Run {
    client: Client,
    rules: Vec<Rule>,
    watch_us: u64,
    end_us: AtomicU64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Media playlists that are followed.
    pub renditions: usize,
    /// Versions of them that were seen.
    pub versions: usize,
    /// Seconds still to come.
    pub left_s: u64,
    /// Whether these are of playlists or of an MPD.
    pub sheet: Sheet,
}

/// What was checked.
#[derive(Debug)]
pub struct Outcome {
    /// Everything that was found.
    pub verdicts: Verdicts,
    /// Addresses of the media playlists, or names of the Representations.
    pub renditions: Vec<String>,
    /// Whether this is about playlists or an MPD.
    pub sheet: Sheet,
}

impl Run {
    /// A run of `seconds` that judges only `rules`, or all if there are none.
    pub fn new(seconds: u64, rules: Vec<Rule>) -> Self {
        let watch_us = seconds * 1_000_000;
        Self {
            client: Client::new(),
            rules,
            watch_us,
            end_us: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether a rule is to be judged.
    pub fn wants(&self, rule: Rule) -> bool {
        self.rules.is_empty() || self.rules.contains(&rule)
    }

    fn left_us(&self) -> u64 {
        self.end_us
            .load(Ordering::Relaxed)
            .saturating_sub(self.client.now_us())
    }

    fn is_over(&self) -> bool {
        self.left_us() == 0
    }

    /// Checks what is at `address`; an error says why nothing can be checked.
    pub fn check(
        &self,
        address: &str,
        mut progress: impl FnMut(Progress),
    ) -> Result<Outcome, String> {
        let answer = self.client.get(Ask::playlist(address, 30_000_000));
        let body = answer.text().filter(|_| answer.is_ok());
        let body = body.ok_or_else(|| format!("{address}: {}", answer.outcome()))?;
        let start = body.trim_start_matches('\u{feff}').trim_start();
        if start.starts_with('<') {
            return dash::check(self, &answer, &mut progress);
        }
        if !start.starts_with("#EXTM3U") {
            return Err(format!(
                "{address}: no playlist and no MPD, it begins neither with #EXTM3U nor as XML"
            ));
        }
        let mut verdicts = Verdicts::new();
        let multivariant =
            is_multivariant(body).then(|| Multivariant::parse(&answer.answered_by, body));
        let renditions = self.renditions(address, multivariant.as_ref(), &mut verdicts)?;
        self.transport(address, &mut verdicts);
        if let Some(list) = &multivariant {
            let mut on = verdicts.of("multivariant");
            text::typed(&mut on, &answer);
            multivariant::text(&mut on, list);
            transport::caching(
                &mut on,
                Kind::Multivariant,
                &answer,
                0,
                self.client.wall_us(),
            );
            transport::shared(&mut on, &answer);
        } else {
            verdicts
                .of("")
                .skip(C40, "a media playlist was given by itself");
        }
        let end_us = self.client.now_us() + self.watch_us;
        self.end_us.store(end_us, Ordering::Relaxed);
        self.client.end_at(end_us + limits::AFTERWARDS_US_MAX);
        let (seen, stall_us) = self.watch(&renditions, &mut progress);
        let end_us = self.client.now_us();
        let states = renditions
            .into_iter()
            .map(|rendition| (rendition.listed.clone(), rendition.into_state()));
        let all: Vec<Seen> = states
            .zip(seen)
            .map(|((listed, state), threads)| Seen {
                listed,
                state,
                threads,
            })
            .collect();
        let renditions = all.iter().map(|seen| seen.listed.address.clone()).collect();
        judge(all, multivariant.as_ref(), end_us, &mut verdicts);
        if stall_us > limits::STALL_US {
            verdicts.doubt_times(stall_us);
        }
        Ok(Outcome {
            verdicts,
            renditions,
            sheet: Sheet::Hls,
        })
    }

    fn renditions(
        &self,
        address: &str,
        multivariant: Option<&Multivariant>,
        verdicts: &mut Verdicts,
    ) -> Result<Vec<Rendition>, String> {
        let Some(list) = multivariant else {
            let name = address
                .split(['?', '#'])
                .next()
                .and_then(|path| path.rsplit('/').next());
            let listed = Listed {
                role: Role::Variant,
                uri: name.unwrap_or("").to_owned(),
                address: address.to_owned(),
            };
            return Ok(vec![Rendition::new(listed, Variables::new())]);
        };
        let listed = list.playlists();
        if listed.is_empty() {
            return Err(format!(
                "{address}: a multivariant playlist that lists nothing"
            ));
        }
        if !listed.iter().any(|listed| listed.role == Role::IFrames) {
            verdicts.of("").skip(C27, "there are no I-frame playlists");
        }
        let followed = listed.into_iter().take(limits::RENDITIONS_MAX);
        Ok(followed
            .map(|listed| Rendition::new(listed, list.variables.clone()))
            .collect())
    }

    fn transport(&self, address: &str, verdicts: &mut Verdicts) {
        let mut on = verdicts.of("");
        match address.starts_with("https:") {
            true if self.wants(C37) => transport::tls(&mut on, &tls::handshake(address)),
            true => {}
            false => on.skip(C37, "plain HTTP: there is no handshake to look at"),
        }
    }

    /// Four threads a rendition until the watch is over, and how long this
    /// machine stood still meanwhile.
    fn watch(
        &self,
        renditions: &[Rendition],
        progress: &mut impl FnMut(Progress),
    ) -> (Vec<Threads>, u64) {
        std::thread::scope(|scope| {
            let pulse = scope.spawn(|| self.pulse_us());
            let started: Vec<_> = renditions
                .iter()
                .map(|rendition| {
                    let frames = rendition.listed.role == Role::IFrames;
                    (
                        scope.spawn(move || rendition.watch(self)),
                        scope.spawn(move || asking::ask(self, rendition)),
                        scope.spawn(move || fetching::segments(self, rendition)),
                        (!frames).then(|| scope.spawn(move || fetching::hints(self, rendition))),
                    )
                })
                .collect();
            while started.iter().any(|(watch, ..)| !watch.is_finished()) {
                self.client
                    .sleep_us(250_000.min(self.left_us().max(50_000)));
                progress(Progress {
                    renditions: renditions.len(),
                    versions: renditions
                        .iter()
                        .map(|rendition| rendition.state().follow.log.len())
                        .sum(),
                    left_s: self.left_us().div_ceil(1_000_000),
                    sheet: Sheet::Hls,
                });
            }
            let threads = started
                .into_iter()
                .map(|(_, asked, fetched, hints)| Threads {
                    asked: asked.join().expect("a thread that asks does not panic"),
                    fetched: fetched
                        .join()
                        .expect("a thread that fetches does not panic"),
                    hints: hints
                        .map(|hints| {
                            hints
                                .join()
                                .expect("a thread that asks for hints does not panic")
                        })
                        .unwrap_or_default(),
                })
                .collect();
            (threads, pulse.join().expect("a pulse does not panic"))
        })
    }

    /// Looks at the clock every few milliseconds; the longest that this machine
    /// kept it from doing so.
    fn pulse_us(&self) -> u64 {
        const STEP_US: u64 = 5_000;
        let mut longest_us = 0;
        while !self.is_over() {
            let before_us = self.client.now_us();
            self.client.sleep_us(STEP_US);
            let late_us = (self.client.now_us() - before_us).saturating_sub(STEP_US);
            longest_us = longest_us.max(late_us);
        }
        longest_us
    }
}

/// What the threads of one rendition brought.
struct Threads {
    asked: Asked,
    fetched: Fetched,
    hints: (Verdicts, Vec<HintSeen>),
}

struct Seen {
    listed: Listed,
    state: State,
    threads: Threads,
}

/// Judges what needs the whole watch.
fn judge(all: Vec<Seen>, list: Option<&Multivariant>, end_us: u64, verdicts: &mut Verdicts) {
    let mut measured: BTreeMap<String, Measured> = BTreeMap::new();
    for seen in &all {
        let follow = &seen.state.follow;
        follow.finish(end_us, verdicts);
        let part_us = follow
            .latest
            .as_ref()
            .and_then(|list| list.part_us())
            .unwrap_or(0);
        let mut on = verdicts.of(&follow.name);
        for reload in &seen.threads.asked.coming {
            reload::coming(&mut on, reload, follow);
        }
        let bytes_per_s = seen.threads.fetched.bytes_per_s;
        for hint in &seen.threads.hints.1 {
            media::hinted(&mut on, &hint.hinted, part_us, bytes_per_s);
            media::early(&mut on, &hint.hinted, follow, hint.position);
        }
        measured.insert(
            seen.listed.address.clone(),
            seen.threads.fetched.measured.clone(),
        );
    }
    if let Some(list) = list {
        multivariant::truth(&mut verdicts.of("multivariant"), list, &measured);
    }
    let members: Vec<Member<'_>> = all
        .iter()
        .map(|seen| Member {
            role: seen.listed.role,
            address: &seen.listed.address,
            follow: &seen.state.follow,
        })
        .collect();
    together::judge(&members, verdicts);
    let anchors: Vec<_> = all
        .iter()
        .filter(|seen| seen.listed.role != Role::IFrames)
        .map(|seen| {
            (
                &*seen.state.follow.name,
                &*seen.threads.fetched.continuity.anchors,
            )
        })
        .collect();
    together::mapping(&anchors, verdicts);
    for seen in all {
        verdicts.absorb(seen.state.verdicts);
        verdicts.absorb(seen.threads.asked.verdicts);
        verdicts.absorb(seen.threads.fetched.verdicts);
        verdicts.absorb(seen.threads.hints.0);
    }
}
