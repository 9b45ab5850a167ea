//! Blocking reloads: a 200 holds what was asked for, a refusal is one that the
//! table of decisions allows, and neither comes late.

use std::collections::BTreeSet;

use crate::checks::{HOLD_TARGETS, Live, SLACK_NS};
use crate::m3u8::Media;
use crate::origin::Exchange;
use crate::world::{MS, SECOND};

/// What the query of a playlist asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The playlist as it is.
    Plain,
    /// Directives that are refused.
    Bad,
    /// A position.
    At {
        /// `_HLS_msn`.
        msn: u64,
        /// `_HLS_part`.
        part: Option<u64>,
    },
}

impl Ask {
    /// Reads a query; a directive given twice is `None`, as no text says what
    /// it means.
    pub fn of(query: &str) -> Option<Self> {
        let (mut msn, mut part) = (None, None);
        let mut bad = false;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "_HLS_msn" => &mut msn,
                "_HLS_part" => &mut part,
                _ => continue,
            };
            if slot.is_some() {
                return None;
            }
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            *slot = Some(value.parse().ok().filter(|_| digits));
            bad |= *slot == Some(None);
        }
        Some(match (msn.flatten(), part.flatten()) {
            _ if bad => Self::Bad,
            (None, Some(_)) => Self::Bad,
            (None, None) => Self::Plain,
            (Some(msn), part) => Self::At { msn, part },
        })
    }

    /// Whether a playlist holds what is asked for.
    pub fn is_met(self, media: &Media) -> bool {
        match self {
            _ if media.ended => true,
            // A first playlist without a whole segment is of no use.
            Self::Plain => media.full().is_some(),
            Self::Bad => false,
            Self::At { msn, part: None } => media.full().is_some_and(|full| full >= msn),
            Self::At {
                msn,
                part: Some(part),
            } => media.edge().is_some_and(|edge| edge >= (msn, part)),
        }
    }
}

/// A 400 whose grounds are looked at as soon as the shard can be asked.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// Who refused.
    pub shard: u16,
    /// Which playlist.
    pub path: String,
    /// What was asked.
    pub ask: Ask,
}

/// See the module's head.
#[derive(Default)]
pub struct Reload {
    /// Parts beyond the Advance Part Limit are refused too.
    pub strict: bool,
    /// Gaps are filled: no edge ever stands still.
    pub fills: bool,
    /// Channels whose encoders are never late.
    pub punctual: BTreeSet<String>,
    /// The origin has been told to stop: it may refuse everything.
    pub draining: bool,
    /// Refusals to look into.
    pub doubts: Vec<Doubt>,
}

impl Reload {
    /// A shard answers 200.
    pub fn granted(&self, query: &str, media: &Media) -> Result<(), String> {
        match Ask::of(query) {
            Some(ask) if !ask.is_met(media) => {
                let (edge, full) = (media.edge(), media.full());
                Err(format!("200 at {edge:?}, full {full:?}, for {ask:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A shard refuses, after `held` nanoseconds.
    pub fn refused(
        &mut self,
        held: u64,
        exchange: &Exchange,
        path: &str,
        status: u16,
        known: Option<&Media>,
    ) -> Result<(), String> {
        let target = exchange.get_target().unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let Some(known) = known else {
            let sound = [304, 400, 404, 503].contains(&status);
            return if sound {
                Ok(())
            } else {
                Err(format!("{status} for a playlist"))
            };
        };
        let ask = Ask::of(query);
        match (status, ask) {
            (304, _) => Ok(()),
            (400, None | Some(Ask::Bad)) => Ok(()),
            (400, Some(ask @ Ask::At { .. })) => {
                let path = path.to_owned();
                self.doubts.push(Doubt {
                    shard: exchange.shard,
                    path,
                    ask,
                });
                Ok(())
            }
            (503, _) if self.draining => Ok(()),
            (503, _) if held + SLACK_NS >= HOLD_TARGETS * known.target_s * SECOND => Ok(()),
            // Nobody is held for a track whose encoder has missed its cadence.
            (503, Some(Ask::At { .. } | Ask::Plain)) if self.may_be_overdue(path) => Ok(()),
            _ => Err(format!("{status} after {} ms for {ask:?}", held / MS)),
        }
    }

    fn may_be_overdue(&self, path: &str) -> bool {
        let channel = Live::of(path).map_or("", |live| live.channel);
        !self.fills && !self.punctual.contains(channel)
    }

    /// Whether a 400 is sound in view of the playlist at that moment.
    pub fn is_too_far(&self, ask: Ask, media: &Media) -> bool {
        let Ask::At { msn, part } = ask else {
            return true;
        };
        let full = media
            .full()
            .unwrap_or_else(|| media.media_sequence.saturating_sub(1));
        // "The last Media Segment" is read in two ways; one value lies between.
        let too_far = msn > full.saturating_add(2);
        !media.ended && (too_far || self.strict && part_too_far(msn, part, media))
    }
}

/// Whether a part lies beyond the Advance Part Limit.
fn part_too_far(msn: u64, part: Option<u64>, media: &Media) -> bool {
    let target_us = media.part_target_us.unwrap_or(1_000_000);
    let limit = if target_us < 1_000_000 {
        3_000_000 / target_us
    } else {
        3
    };
    let listed = if msn == media.open.msn {
        media.open.parts.len() as u64
    } else {
        0
    };
    part.is_some_and(|part| part + 1 > listed + limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_the_table_says() {
        let at = |msn, part| Some(Ask::At { msn, part });
        for (query, ask) in [
            ("", Some(Ask::Plain)),
            ("_HLS_skip=YES", Some(Ask::Plain)),
            ("x&_HLS_part=2&_HLS_msn=90", at(90, Some(2))),
            ("_HLS_msn=113", at(113, None)),
            ("_HLS_part=2", Some(Ask::Bad)),
            ("_HLS_msn=abc", Some(Ask::Bad)),
            ("_HLS_msn=-1", Some(Ask::Bad)),
            ("_HLS_msn=", Some(Ask::Bad)),
            ("_HLS_msn=+1", Some(Ask::Bad)),
            ("_HLS_msn=18446744073709551616", Some(Ask::Bad)),
            ("_HLS_msn=1&_HLS_msn=1", None),
        ] {
            assert_eq!(Ask::of(query), ask, "{query}");
        }
    }
}
