//! Requests that wait for media of one track: a slot in a list each, no buffer
//! and no task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::hls::List;
use crate::hls::reload::{Skip, Want};
use crate::media::window::Window;
use crate::shard::ExchangeId;
use crate::time::Mono;

/// A parked request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) exchange: ExchangeId,
    /// When it is refused.
    pub(super) deadline: Mono,
    /// The playlist it asked for.
    pub(super) list: List,
    /// It takes gzip.
    pub(super) gzip: bool,
    /// It takes a delta update.
    pub(super) skip: Option<Skip>,
}

/// Parked requests of one track, by what they wait for and in order of arrival.
///
/// A peer that leaves is taken off the shard's set of parked exchanges; its
/// slot here is skipped when its turn comes.
#[derive(Debug, Default)]
pub(super) struct Parked {
    playlists: BTreeMap<Want, VecDeque<Waiter>>,
    parts: BTreeMap<u64, VecDeque<Waiter>>,
    slots: usize,
}

impl Parked {
    /// Parks a request for a playlist.
    pub(super) fn playlist(&mut self, until: Want, waiter: Waiter) {
        self.playlists.entry(until).or_default().push_back(waiter);
        self.slots += 1;
    }

    /// Parks a request for a part.
    pub(super) fn part(&mut self, number: u64, waiter: Waiter) {
        self.parts.entry(number).or_default().push_back(waiter);
        self.slots += 1;
    }

    /// Slots in use, those of peers that left included.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Frees the slots of peers that left.
    pub(super) fn compact(&mut self, parked: &BTreeSet<ExchangeId>) {
        let lists = self.playlists.values_mut().chain(self.parts.values_mut());
        for list in lists {
            let before = list.len();
            list.retain(|waiter| parked.contains(&waiter.exchange));
            self.slots -= before - list.len();
        }
        self.playlists.retain(|_, list| !list.is_empty());
        self.parts.retain(|_, list| !list.is_empty());
    }

    /// Takes the requests for playlists that `window` now answers; all of them
    /// when the channel has ended.
    pub(super) fn due_playlists(&mut self, window: &Window, ended: bool) -> Vec<Waiter> {
        // Wants of one kind are in order, so the met ones of a kind stand
        // first; there are few distinct ones.
        let met: Vec<Want> = self
            .playlists
            .keys()
            .filter(|want| ended || want.is_met(window))
            .copied()
            .collect();
        let mut due = Vec::new();
        for want in met {
            due.extend(self.playlists.remove(&want).into_iter().flatten());
        }
        self.slots -= due.len();
        due
    }

    /// Takes the requests for parts that are there or were passed over.
    pub(super) fn due_parts(&mut self, window: &Window, ended: bool) -> Vec<(u64, Waiter)> {
        let waiting = if ended { u64::MAX } else { window.next_part() };
        let later = self.parts.split_off(&waiting);
        let due = std::mem::replace(&mut self.parts, later);
        let due: Vec<_> = due
            .into_iter()
            .flat_map(|(number, list)| list.into_iter().map(move |waiter| (number, waiter)))
            .collect();
        self.slots -= due.len();
        due
    }

    /// Takes the requests whose deadline has come: of playlists, and of parts.
    pub(super) fn expired(&mut self, now: Mono) -> (Vec<Waiter>, Vec<Waiter>) {
        fn take<K>(lists: &mut BTreeMap<K, VecDeque<Waiter>>, now: Mono) -> Vec<Waiter>
        where
            K: Ord,
        {
            let mut due = Vec::new();
            for list in lists.values_mut() {
                while list.front().is_some_and(|waiter| waiter.deadline <= now) {
                    due.extend(list.pop_front());
                }
            }
            lists.retain(|_, list| !list.is_empty());
            due
        }
        let (playlists, parts) = (take(&mut self.playlists, now), take(&mut self.parts, now));
        self.slots -= playlists.len() + parts.len();
        (playlists, parts)
    }

    /// Takes every request.
    pub(super) fn all(&mut self) -> Vec<Waiter> {
        let lists = std::mem::take(&mut self.playlists).into_values();
        let lists = lists.chain(std::mem::take(&mut self.parts).into_values());
        self.slots = 0;
        lists.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_peers_that_left_are_freed_and_the_others_keep_their_order() {
        let waiter = |exchange| Waiter {
            exchange: ExchangeId(exchange),
            deadline: Mono(exchange),
            list: List::Media,
            gzip: false,
            skip: None,
        };
        let mut parked = Parked::default();
        (0..10).for_each(|exchange| parked.part(exchange / 5, waiter(exchange)));
        let stayed: BTreeSet<_> = [6, 8].map(ExchangeId).into();
        parked.compact(&stayed);
        assert_eq!((parked.slots(), parked.parts.len()), (2, 1));
        let left: Vec<_> = parked.all().iter().map(|waiter| waiter.exchange).collect();
        assert_eq!(left, [ExchangeId(6), ExchangeId(8)]);
    }
}
