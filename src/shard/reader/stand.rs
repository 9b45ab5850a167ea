//! How a segment that is asked for by its number stands against the window: the
//! answers of availability by time (ISO/IEC 23009-1 section 5.3.9.5) from what
//! there is, not from a clock.

use std::sync::Arc;

use crate::hls::cache::Outcome;
use crate::media::ahead::Ahead;
use crate::media::channel::Channel;
use crate::media::rope::Rope;
use crate::media::window::{Part, Segment, Window};
use crate::shard::reader::PART_HOLD_MS;

/// See the module's head.
#[derive(Debug)]
pub(super) enum Stand<'a> {
    Whole(&'a Arc<Segment>),
    Open(Open<'a>),
    /// Not begun, but near: it is the next, or so near that a player may know it
    /// from a core that is ahead.
    Soon,
    /// It comes, but not before a request for it would have to be refused.
    Early,
    /// It has left memory.
    Gone,
    /// It never came.
    Missing,
    Unknown,
}

/// The segment under way: whole parts, and whole chunks behind them.
#[derive(Debug)]
pub(super) struct Open<'a> {
    pub(super) msn: u64,
    parts: Option<&'a Arc<Segment>>,
    listed: u64,
    /// It begins within the parts, or at their end.
    ahead: Option<Ahead>,
}

impl<'a> Open<'a> {
    /// Its parts.
    pub(super) fn parts(&self) -> &'a [Arc<Part>] {
        self.parts.map_or(&[], |segment| &segment.parts)
    }

    /// Bytes of its parts.
    pub(super) fn listed(&self) -> u64 {
        self.listed
    }

    /// All its bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.ahead
            .as_ref()
            .map_or(self.listed, |ahead| ahead.end().max(self.listed))
    }

    /// The bytes `from..to`, as far as they are there.
    pub(super) fn slice(&self, from: u64, to: u64) -> Rope {
        let mut body = self.parts.map_or_else(Rope::new, |parts| parts.body());
        if let Some(ahead) = &self.ahead {
            body.extend(&ahead.from(self.listed).body);
        }
        body.slice(from, to)
    }
}

impl Stand<'_> {
    /// Status, reason and outcome of a refusal.
    pub(super) fn refusal(&self) -> (u16, &'static str, Outcome) {
        match self {
            Self::Early => (425, "it is too early for it", Outcome::Early),
            Self::Gone => (410, "it has left the window", Outcome::Gone),
            Self::Missing => (404, "it never came", Outcome::Missing),
            _ => (404, "nothing announces it", Outcome::Unknown),
        }
    }
}

/// How segment `msn` stands; `ahead` are the chunks of the track that no part
/// lists yet.
pub(super) fn stand<'a>(
    channel: &Channel,
    window: &'a Window,
    ahead: Option<&Ahead>,
    msn: u64,
) -> Stand<'a> {
    let parts = window.open().filter(|open| open.msn == msn);
    match (window.segment(msn), parts) {
        (Some(segment), _) | (_, Some(segment)) if segment.gap => return Stand::Missing,
        (Some(segment), _) => return Stand::Whole(segment),
        _ => {}
    }
    let listed = parts.map_or(0, |parts| parts.bytes());
    let follows = |ahead: &&Ahead| ahead.msn == msn && ahead.at <= listed && ahead.end() > listed;
    let ahead = ahead.filter(follows);
    if parts.is_some() || ahead.is_some() {
        return Stand::Open(Open {
            msn,
            parts,
            listed,
            ahead: ahead.cloned(),
        });
    }
    if window.first_msn().is_some_and(|first| msn < first) {
        return Stand::Gone;
    }
    match starts_in(window, msn) {
        _ if channel.state().is_over() => Stand::Unknown,
        Some((0, _)) => Stand::Soon,
        Some((1, ms)) => to_come(channel, window, ms),
        Some((_, ms)) => to_come(channel, window, ms.max(PART_HOLD_MS)),
        None => Stand::Unknown,
    }
}

/// How something stands that begins in `ms` of media: a request for it is held
/// if its first part can come before it would be refused.
pub(super) fn to_come<'a>(channel: &Channel, window: &Window, ms: u64) -> Stand<'a> {
    let targets = channel.targets();
    let part_us = targets.and_then(|targets| targets.part_us);
    let whole = || window.last_whole().map_or(0, |whole| whole.duration_us());
    let first_us = part_us.map_or_else(whole, u64::from);
    // Nobody has reason to ask for what is further off than all that can be had.
    let window_ms = targets.map_or(0, |targets| targets.window_ms);
    match ms.saturating_add(first_us / 1000) {
        ready_ms if ready_ms < PART_HOLD_MS => Stand::Soon,
        _ if ms <= window_ms => Stand::Early,
        _ => Stand::Unknown,
    }
}

/// How many segments there are between the newest whole one and segment `msn`,
/// and how much media, in milliseconds, is yet to come before it begins, if all
/// of them are as long as that one.
pub(super) fn starts_in(window: &Window, msn: u64) -> Option<(u64, u64)> {
    let whole = window.last_whole()?;
    let between = msn.checked_sub(whole.msn + 1)?;
    let begun = window.end_ticks()?.saturating_sub(whole.end_ticks());
    let begun_us = whole.header.track.timescale.micros(begun).0.unsigned_abs();
    let us = between.saturating_mul(whole.duration_us());
    Some((between, us.saturating_sub(begun_us) / 1000))
}
