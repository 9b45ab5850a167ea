//! Requests that are made to see how an origin takes them: C9 to C18, C22 to
//! C25, C38, C39.

use std::sync::Arc;

use super::Run;
use super::client::Ask;
use super::rendition::{Rendition, Version};
use crate::answer::Answer;
use crate::judge::reload::{self, Reload};
use crate::judge::transport::{self, Kind};
use crate::judge::{delta, media, text};
use crate::playlist::media::Media;
use crate::playlist::multivariant::Role;
use crate::rule::{
    C1, C8, C9, C10, C11, C12, C13, C14, C15, C17, C18, C21, C22, C23, C24, C25, C27, C38, C39,
};
use crate::uri::resolve;
use crate::verdict::Verdicts;

/// How often what depends on the moment is tried again.
const TRIES: usize = 5;
/// Rounds of reloads for coming parts.
const ROUNDS: usize = 4;

/// What remains to be judged when the watch is over.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What was found at once.
    pub(super) verdicts: Verdicts,
    /// Reloads for parts that were to come.
    pub(super) coming: Vec<Reload>,
}

/// Asks everything of one rendition.
pub(super) fn ask(run: &Run, rendition: &Rendition) -> Asked {
    let mut asked = Asked::default();
    let Some(first) = rendition.newer(run, 0) else {
        return asked;
    };
    let mut asking = Asking {
        run,
        rendition,
        out: &mut asked,
        round_trip_us: 0,
    };
    asking.plain(&first.list);
    if rendition.listed.role == Role::IFrames {
        asking.i_frames(&first.list);
    } else {
        asking.unknown(&first.list);
    }
    if first.list.can_block() && !first.list.ended {
        asking.refused(&first.list);
        asking.past();
        if first.list.has_parts() {
            asking.parts();
        }
        asking.whole_segment();
    } else {
        for rule in reload::BLOCKING {
            let mut on = asking.out.verdicts.of(rendition.name());
            on.skip(
                *rule,
                "blocking reload is not offered, or the list has ended",
            );
        }
    }
    asking.deltas();
    asked
}

struct Asking<'a> {
    run: &'a Run,
    rendition: &'a Rendition,
    out: &'a mut Asked,
    round_trip_us: u64,
}

impl Asking<'_> {
    fn latest(&self) -> Option<Arc<Media>> {
        self.rendition.state().follow.latest.clone()
    }

    fn fetch(&self) -> (Answer, Option<Media>) {
        let answer = self.rendition.ask(self.run, "");
        let list = self.rendition.read(&answer);
        (answer, list)
    }

    /// C1, C38 and C39 of the plain playlist, and how long a round trip takes.
    fn plain(&mut self, list: &Media) {
        let (run, name) = (self.run, self.rendition.name());
        let target_s = list.target_s.unwrap_or(0);
        let address = &self.rendition.listed.address;
        let mut trips: Vec<u64> = Vec::new();
        let mut compared = false;
        for _ in 0..TRIES {
            let (before, _) = self.fetch();
            let packed = run.client.get(Ask {
                encoding: "gzip",
                ..Ask::playlist(address, 10_000_000)
            });
            let (after, _) = self.fetch();
            trips.extend([before.took_us(), after.took_us()]);
            // Only between two equal answers is the third of the same version.
            if before.is_ok() && before.body == after.body {
                let mut on = self.out.verdicts.of(name);
                text::compressed(&mut on, &before, &packed);
                transport::caching(
                    &mut on,
                    Kind::Plain,
                    &before,
                    target_s,
                    run.client.wall_us(),
                );
                transport::shared(&mut on, &before);
                transport::priority(&mut on, &before, true);
                compared = true;
                break;
            }
        }
        trips.sort_unstable();
        self.round_trip_us = trips[trips.len() / 2];
        if run.wants(C39) {
            let preflight = run.client.preflight(address);
            transport::preflight(&mut self.out.verdicts.of(name), &preflight);
        }
        if !compared {
            let mut on = self.out.verdicts.of(name);
            for rule in [C1, C38, C39] {
                on.skip(rule, "the list changes faster than it can be compared");
            }
        }
    }

    /// C9 to C11: what is refused at once.
    fn refused(&mut self, list: &Media) {
        let (run, rendition) = (self.run, self.rendition);
        let target_s = list.target_s.unwrap_or(0);
        let quick = |query: &str| {
            let address = crate::uri::with_query(&rendition.listed.address, query);
            run.client.get(Ask::playlist(&address, 5_000_000))
        };
        let mut on = self.out.verdicts.of(rendition.name());
        if run.wants(C9) {
            reload::part_alone(&mut on, &quick("_HLS_part=0"));
        }
        for value in ["x", "-1", "18446744073709551616"]
            .iter()
            .filter(|_| run.wants(C10))
        {
            let answer = quick(&format!("_HLS_msn={value}"));
            reload::no_number(&mut on, value, &answer);
            if answer.status == 400 && run.wants(C38) {
                transport::caching(
                    &mut on,
                    Kind::Refused,
                    &answer,
                    target_s,
                    run.client.wall_us(),
                );
            }
        }
        for ahead in [3, 100].iter().filter(|_| run.wants(C11)) {
            for _ in 0..TRIES {
                let before = rendition.read(&rendition.ask(run, ""));
                let Some(full) = before.and_then(|list| list.full()) else {
                    break;
                };
                let reload = rendition.reload(run, full + ahead, None, "");
                let after = rendition.read(&rendition.ask(run, ""));
                // If a segment was closed in between, it was less far ahead.
                if reload.answer.status == 400 || after.and_then(|list| list.full()) == Some(full) {
                    reload::too_far(&mut on, &reload, full, self.round_trip_us);
                    break;
                }
            }
        }
    }

    /// C14, and the caching of an answered reload.
    fn past(&mut self) {
        if !self.run.wants(C14) && !self.run.wants(C38) {
            return;
        }
        let (_, before) = self.fetch();
        let Some(before) = before else { return };
        let msn = before.media_sequence.saturating_sub(10);
        let reload = self.rendition.reload(self.run, msn, None, "");
        let mut on = self.out.verdicts.of(self.rendition.name());
        reload::past(&mut on, &reload, &before, self.round_trip_us);
        if reload.answer.is_ok() {
            let target_s = before.target_s.unwrap_or(0);
            transport::caching(
                &mut on,
                Kind::Blocking,
                &reload.answer,
                target_s,
                self.run.client.wall_us(),
            );
        }
    }

    /// C12, C13, C17, C18.
    fn parts(&mut self) {
        let (run, rendition) = (self.run, self.rendition);
        let mut number = 0;
        for _ in 0..ROUNDS {
            let Some(version) = rendition.newer(run, number).filter(|_| run.wants(C12)) else {
                break;
            };
            number = version.number;
            self.coming(&version);
        }
        if run.wants(C13) {
            self.past_the_end();
        }
        if run.wants(C17) {
            self.ways();
        }
        if run.wants(C18) {
            self.twice();
        }
    }

    /// Several coming positions at once, up to the Advance Part Limit.
    fn coming(&mut self, version: &Version) {
        let (run, rendition) = (self.run, self.rendition);
        let (msn, part) = version.list.next();
        let part_us = version.list.part_us().unwrap_or(1_000_000).max(1);
        let limit = if part_us < 1_000_000 {
            3_000_000u64.div_ceil(part_us)
        } else {
            3
        };
        let positions = [
            (msn, part),
            (msn, part + 1),
            (msn, part + limit - 1),
            (msn + 1, 0),
        ];
        let reloads = std::thread::scope(|scope| {
            let threads = positions
                .map(|(msn, part)| scope.spawn(move || rendition.reload(run, msn, Some(part), "")));
            threads.map(|thread| thread.join().ok())
        });
        self.out.coming.extend(reloads.into_iter().flatten());
    }

    fn past_the_end(&mut self) {
        let mut number = 0;
        while let Some(version) = self.rendition.newer(self.run, number) {
            number = version.number;
            let list = &version.list;
            let Some(last) = list.segments.last().filter(|last| !last.parts.is_empty()) else {
                return;
            };
            // Best asked while the next segment has no part yet.
            if list.open.parts.is_empty() || number > 200 {
                let reload =
                    self.rendition
                        .reload(self.run, last.msn, Some(last.parts.len() as u64), "");
                reload::past_the_end(&mut self.out.verdicts.of(self.rendition.name()), &reload);
                return;
            }
        }
    }

    /// Queries sent at once, right after a version came.
    fn at_once<const N: usize>(
        &self,
        number: u64,
        queries: impl Fn(u64, u64) -> [String; N],
    ) -> Option<(Version, [Answer; N])> {
        let (run, rendition) = (self.run, self.rendition);
        let version = rendition.newer(run, number)?;
        let (msn, part) = version.list.next();
        let answers = std::thread::scope(|scope| {
            let threads =
                queries(msn, part).map(|query| scope.spawn(move || rendition.ask(run, &query)));
            threads.map(|thread| thread.join().unwrap_or_default())
        });
        Some((version, answers))
    }

    fn ways(&mut self) {
        let ways = |msn, part| {
            let plain = format!("_HLS_msn={msn}&_HLS_part={part}");
            [
                plain.clone(),
                format!("_HLS_part={part}&_HLS_msn={msn}"),
                format!("aaa=1&{plain}"),
                format!("{plain}&zzz=1"),
            ]
        };
        let number = self
            .rendition
            .newer(self.run, 0)
            .map_or(0, |version| version.number);
        if let Some((_, answers)) = self.at_once(number, ways) {
            reload::ways(&mut self.out.verdicts.of(self.rendition.name()), &answers);
        }
    }

    fn twice(&mut self) {
        let number = self
            .rendition
            .newer(self.run, 0)
            .map_or(0, |version| version.number);
        let pair = |msn, part| {
            let query = format!("_HLS_msn={msn}&_HLS_part={part}");
            [query.clone(), query]
        };
        let Some((version, answers)) = self.at_once(number, pair) else {
            return;
        };
        let (msn, part) = version.list.next();
        let again = self.rendition.reload(self.run, msn, Some(part), "");
        reload::twice(
            &mut self.out.verdicts.of(self.rendition.name()),
            &answers,
            &again,
        );
    }

    /// C15.
    fn whole_segment(&mut self) {
        let Some(list) = self.latest().filter(|_| self.run.wants(C15)) else {
            return;
        };
        let reload = self.rendition.reload(self.run, list.next().0, None, "");
        reload::whole_segment(&mut self.out.verdicts.of(self.rendition.name()), &reload);
    }

    /// C22, and C21 where byte ranges are hinted.
    fn unknown(&mut self, list: &Media) {
        let mut on = self.out.verdicts.of(self.rendition.name());
        let Some(hint) = list.hint("PART") else {
            return on.skip(C22, "no part is hinted");
        };
        if hint.range.is_none() {
            on.skip(C21, "parts have URIs of their own");
            let address = resolve(&list.address, &far_ahead(&hint.uri));
            let answer = self.run.client.get(Ask::media(&address, None, 5_000_000));
            media::unknown(&mut on, &answer);
            if answer.status == 404 {
                let target_s = list.target_s.unwrap_or(0);
                transport::caching(
                    &mut on,
                    Kind::Missing,
                    &answer,
                    target_s,
                    self.run.client.wall_us(),
                );
            }
        }
    }

    /// C27.
    fn i_frames(&mut self, list: &Media) {
        if !self.run.wants(C27) {
            return;
        }
        let reload = (list.can_block() && !list.ended).then(|| {
            let msn = self.latest().map_or(0, |list| list.next().0);
            self.rendition.reload(self.run, msn, None, "")
        });
        media::i_frame_list(
            &mut self.out.verdicts.of(self.rendition.name()),
            list,
            reload.as_ref(),
        );
    }

    /// C23 to C25.
    fn deltas(&mut self) {
        let Some(list) = self.latest() else { return };
        let name = self.rendition.name();
        if list.can_skip_until().is_none() || list.ended {
            for directive in ["_HLS_skip=YES", "_HLS_skip=v2"]
                .iter()
                .filter(|_| self.run.wants(C24))
            {
                let answer = self.rendition.ask(self.run, directive);
                let list = self.rendition.read(&answer);
                delta::ignored(
                    &mut self.out.verdicts.of(name),
                    directive,
                    &answer,
                    list.as_ref(),
                );
            }
            let long = list.duration_us() > 120_000_000;
            let mut on = self.out.verdicts.of(name);
            on.skip(C23, "delta updates are not offered");
            if long && !list.ended {
                on.should(
                    C23,
                    "Apple 14.4",
                    false,
                    "a list of more than two minutes offers no delta updates",
                    || "no CAN-SKIP-UNTIL".to_owned(),
                );
            }
            return;
        }
        if self.run.wants(C23) || self.run.wants(C8) {
            self.delta_of_full("_HLS_skip=YES", false);
        }
        let second = list
            .control
            .as_ref()
            .is_some_and(|control| control.yes("CAN-SKIP-DATERANGES"));
        match second {
            true => self.delta_of_full("_HLS_skip=v2", true),
            false => self
                .out
                .verdicts
                .of(name)
                .skip(C24, "CAN-SKIP-DATERANGES is not offered"),
        }
        if self.run.wants(C25) && list.can_block() {
            let Some(list) = self.latest() else { return };
            let (msn, part) = list.next();
            let skips = self.delta().is_some_and(|delta| delta.skip.is_some());
            let reload = self.rendition.reload(
                self.run,
                msn,
                list.has_parts().then_some(part),
                "&_HLS_skip=YES",
            );
            delta::blocking(&mut self.out.verdicts.of(name), &reload, skips);
        }
    }

    fn delta(&self) -> Option<Media> {
        self.rendition
            .read(&self.rendition.ask(self.run, "_HLS_skip=YES"))
    }

    /// A delta between two full lists that are equal is of the same version.
    fn delta_of_full(&mut self, directive: &str, second: bool) {
        for _ in 0..4 * TRIES {
            let (_, before) = self.fetch();
            let answer = self.rendition.ask(self.run, directive);
            let came = self.rendition.read(&answer);
            let (_, after) = self.fetch();
            let (Some(before), Some(came), Some(after)) = (before, came, after) else {
                continue;
            };
            if before.next() != after.next() || before.media_sequence != after.media_sequence {
                continue;
            }
            let follow = &self.rendition.state().follow;
            let mut on = self.out.verdicts.of(self.rendition.name());
            delta::delta(&mut on, &after, &came);
            if second {
                delta::second(&mut on, &after, &came, &follow.dateranges, answer.done_us);
            }
            return;
        }
    }
}

/// A name of the same form that is far ahead: its last number a good deal higher.
fn far_ahead(uri: &str) -> String {
    let (path, query) = uri
        .split_once('?')
        .map_or((uri, None), |(path, query)| (path, Some(query)));
    // The digit of an extension such as .mp4 or .m4s is no number of a part.
    let stem = path
        .rfind('.')
        .filter(|dot| path[*dot..].len() <= 5)
        .unwrap_or(path.len());
    let last = path[..stem].rfind(|char: char| char.is_ascii_digit());
    let mut out = match last {
        Some(last) => {
            let from = path[..last]
                .rfind(|char: char| !char.is_ascii_digit())
                .map_or(0, |at| at + 1);
            let number: u128 = path[from..=last].parse().unwrap_or(0);
            format!(
                "{}{}{}",
                &path[..from],
                number.saturating_add(100_000),
                &path[last + 1..]
            )
        }
        None => format!("{}-none{}", &path[..stem], &path[stem..]),
    };
    if let Some(query) = query {
        out = format!("{out}?{query}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_far_ahead_have_the_same_form() {
        assert_eq!(far_ahead("e7/v1-p442.m4s"), "e7/v1-p100442.m4s");
        assert_eq!(far_ahead("a/part.mp4?t=1"), "a/part-none.mp4?t=1");
        assert_eq!(far_ahead("12/x.7.m4s"), "12/x.100007.m4s");
    }
}
