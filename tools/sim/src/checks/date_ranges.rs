//! Date ranges: the same everywhere, never changed, and there as long as any of
//! their media is.

use std::collections::{BTreeMap, BTreeSet};

use crate::m3u8::{DateRange, Media, wall};
use crate::world::SECOND;

/// What is promised to an operator is in every playlist after this: letters
/// that were lost are made up for.
const SHOWN_NS: u64 = 4 * SECOND;
/// Dates are printed in milliseconds, and tracks begin within a frame.
const ROUNDING_US: i64 = 50_000;
/// An id may come again after a window and so many target durations.
const FORGOTTEN_TARGETS: u64 = 12;
/// A range that is given no end is over after a day.
const OPEN_US: i64 = 86_400_000_000;

/// See the module's head.
#[derive(Debug, Default)]
pub struct DateRanges {
    /// Attributes by channel and id, whoever showed them.
    said: BTreeMap<(String, String), BTreeMap<String, String>>,
    /// When they were shown last.
    last: BTreeMap<(String, String), u64>,
    /// The newest whole playlist by shard and path.
    shown: BTreeMap<(u16, String), Shown>,
    /// What operators were told is taken in, by channel and id, and when.
    promised: BTreeMap<(String, String), u64>,
    /// A track that stands still for as long holds no ranges, unless six target
    /// durations are longer.
    pub window_ns: u64,
}

#[derive(Debug, Default)]
struct Shown {
    ids: BTreeSet<String>,
    /// The live edge, and when it was seen first.
    edge: i64,
    since: u64,
}

impl DateRanges {
    /// An operator was told that a range is taken in.
    pub fn promise(&mut self, now: u64, channel: &str, id: &str) {
        let key = (channel.to_owned(), id.to_owned());
        self.promised.entry(key).or_insert(now);
    }

    /// An operator takes a range back.
    pub fn withdraw(&mut self, channel: &str, id: &str) {
        self.promised.remove(&(channel.to_owned(), id.to_owned()));
    }

    /// Whether a splice out of a channel has been shown.
    pub fn has_break(&self, channel: &str) -> bool {
        let of = |((name, _), said): (&(String, String), &BTreeMap<String, String>)| {
            name == channel && said.contains_key("SCTE35-OUT")
        };
        self.said.iter().any(of)
    }

    /// A shard shows a playlist.
    pub fn listed(
        &mut self,
        now: u64,
        (shard, channel, path): (u16, &str, &str),
        media: &Media,
    ) -> Result<(), String> {
        let forgotten_ns = self.window_ns + FORGOTTEN_TARGETS * media.target_s * SECOND;
        for range in &media.date_ranges {
            let key = (channel.to_owned(), range.id().to_owned());
            let last = self.last.insert(key.clone(), now);
            if last.is_some_and(|last| last + forgotten_ns <= now) {
                self.said.remove(&key);
            }
            self.learn(channel, range)?;
        }
        if media.recently_removed.is_some() {
            return Ok(());
        }
        let ids: BTreeSet<_> = media.date_ranges.iter().map(DateRange::id).collect();
        let ids: BTreeSet<String> = ids.into_iter().map(str::to_owned).collect();
        let Some(edge) = edge(media) else {
            return Ok(());
        };
        let key = (shard, path.to_owned());
        let before = self.shown.remove(&key).unwrap_or_default();
        let since = if before.edge == edge {
            before.since
        } else {
            now
        };
        let shown = Shown {
            ids: ids.clone(),
            edge,
            since,
        };
        self.shown.insert(key, shown);
        let window_ns = self.window_ns.max(6 * media.target_s * SECOND);
        let stood = before.since + window_ns < now + SHOWN_NS;
        let skipped = media.skipped.is_some();
        for id in before.ids.difference(&ids) {
            let (start, end) = self.span(channel, id);
            // A delta does not say where the list begins.
            let over = skipped || oldest(media).is_some_and(|oldest| end <= oldest + ROUNDING_US);
            if !over && !stood && start < before.edge {
                return Err(format!("{id} left with media from {start} to {end} listed"));
            }
        }
        self.promised.retain(|(_, id), _| !ids.contains(id));
        let late =
            |((of, _), at): &(&(String, String), &u64)| of == channel && **at + SHOWN_NS < now;
        match self.promised.iter().find(late) {
            Some(((_, id), _)) => Err(format!("{id} was taken in and is not shown")),
            None => Ok(()),
        }
    }

    fn learn(&mut self, channel: &str, range: &DateRange) -> Result<(), String> {
        let id = range.id();
        let key = (channel.to_owned(), id.to_owned());
        let said = self.said.entry(key).or_default();
        for (name, value) in &range.attributes {
            let known = said.entry(name.clone()).or_insert_with(|| value.clone());
            if known != value {
                return Err(format!("{name} of {id} was {known} and is {value}"));
            }
        }
        if !said.contains_key("START-DATE") {
            return Err(format!("{id} has no start"));
        }
        Ok(())
    }

    /// Where a range begins and ends, as far as it has been said.
    fn span(&self, channel: &str, id: &str) -> (i64, i64) {
        let key = (channel.to_owned(), id.to_owned());
        let none = BTreeMap::new();
        let said = self.said.get(&key).unwrap_or(&none);
        let date = |name: &str| said.get(name).and_then(|text| wall(text).ok());
        let start = date("START-DATE").unwrap_or_default();
        let lasts = |name: &str| {
            let seconds: f64 = said.get(name)?.parse().ok()?;
            Some(start + (seconds * 1e6) as i64)
        };
        let follows = |next: &BTreeMap<String, String>| {
            let begins = next.get("START-DATE").and_then(|text| wall(text).ok())?;
            let same = next.get("CLASS") == said.get("CLASS") && begins > start;
            (same && said.contains_key("END-ON-NEXT")).then_some(begins)
        };
        let next = self.said.iter().filter(|((of, _), _)| of == channel);
        let next = next.filter_map(|(_, next)| follows(next)).min();
        let moment = said.contains_key("SCTE35-CMD").then_some(start);
        let end = date("END-DATE")
            .or_else(|| lasts("DURATION"))
            .or_else(|| lasts("PLANNED-DURATION"))
            .or(next)
            .or(moment);
        (start, end.unwrap_or(start + OPEN_US))
    }
}

/// Playlists of one channel, looked at in one moment, have the same ranges.
pub fn same(playlists: &[(String, Media)]) -> Result<(), String> {
    let Some(((first, one), others)) = playlists.split_first() else {
        return Ok(());
    };
    match others
        .iter()
        .find(|(_, other)| other.date_ranges != one.date_ranges)
    {
        Some((path, other)) => Err(format!(
            "{first} has {:?}, {path} has {:?}",
            one.date_ranges, other.date_ranges
        )),
        None => Ok(()),
    }
}

/// What a player makes of a copy and a delta that joins it is the whole.
pub fn merge(copy: &Media, delta: &Media, full: &Media) -> Result<(), String> {
    let (Some(removed), Some(end)) = (&delta.recently_removed, copy.full()) else {
        return Ok(());
    };
    if end + 1 < delta.media_sequence + delta.skipped.unwrap_or(0) {
        return Ok(());
    }
    let mut known: BTreeSet<_> = copy.date_ranges.iter().map(DateRange::line).collect();
    let gone = |id: &str| removed.split('\t').any(|gone| gone == id);
    for range in copy.date_ranges.iter().filter(|range| gone(range.id())) {
        known.remove(&range.line());
    }
    known.extend(delta.date_ranges.iter().map(DateRange::line));
    let whole: BTreeSet<_> = full.date_ranges.iter().map(DateRange::line).collect();
    if known == whole {
        Ok(())
    } else {
        Err(format!("merged {known:?}, whole {whole:?}"))
    }
}

fn oldest(media: &Media) -> Option<i64> {
    media.all().next()?.wall_us
}

fn edge(media: &Media) -> Option<i64> {
    let last = media.all().last()?;
    let parts: u64 = last.parts.iter().map(|part| part.duration_us).sum();
    Some(last.wall_us? + last.duration_us.max(parts) as i64)
}
