//! Nobody waits for what is already there, nor beyond the bound.

use std::collections::BTreeMap;

use headwater::shard::ExchangeId;

use crate::checks::reload::Ask;
use crate::checks::{Checks, Live};
use crate::origin::Exchange;
use crate::world::MS;

/// A due request is answered within this: the shard may need a turn more.
const DUE_NS_MAX: u64 = 20 * MS;

/// See the module's head.
#[derive(Default)]
pub struct Parked {
    due_since: BTreeMap<ExchangeId, u64>,
}

impl Checks {
    /// Whether the newest playlist of a shard lists a segment.
    fn is_whole(&self, shard: u16, path: &str) -> bool {
        let playlist = path.rsplit_once('/').map(|(track, _)| track);
        let playlist = playlist.map(|track| format!("{track}.m3u8"));
        playlist.is_some_and(|playlist| self.immutable.lists(shard, &playlist, path))
    }

    /// Looks at every open exchange.
    pub fn look_at_parked(
        &mut self,
        now: u64,
        exchanges: &BTreeMap<ExchangeId, Exchange>,
    ) -> Result<(), String> {
        let due_since = std::mem::take(&mut self.parked.due_since);
        for (id, exchange) in exchanges {
            let Some(target) = exchange.get_target() else {
                continue;
            };
            if exchange.streamed.is_some() && self.is_whole(exchange.shard, target) {
                let since = due_since.get(id).copied().unwrap_or(now);
                if now - since > DUE_NS_MAX {
                    return Err(format!("{target} is listed whole and its stream goes on"));
                }
                self.parked.due_since.insert(*id, since);
            }
            if exchange.answered {
                continue;
            }
            let live = Live::of(target);
            let channel = live.map_or("", |live| live.channel);
            let held = now - exchange.opened;
            if held > self.hold_ns_max(channel, exchange.opened) {
                let (shard, ms) = (exchange.shard, held / MS);
                return Err(format!("{target} is held on shard {shard} for {ms} ms"));
            }
            let Some(live) = live.filter(Live::is_media_playlist) else {
                continue;
            };
            let path = target.split('?').next().unwrap_or(target);
            let Some(media) = self.newest(exchange.shard, path) else {
                continue;
            };
            let Some(ask) = Ask::of(live.query) else {
                continue;
            };
            if let Ask::At { msn, .. } = ask
                && let Some(full) = media.full()
                && msn > full.saturating_add(3)
            {
                return Err(format!(
                    "{target} is held though {full} is the newest whole segment"
                ));
            }
            if !ask.is_met(media) {
                continue;
            }
            let since = due_since.get(id).copied().unwrap_or(now);
            if now - since > DUE_NS_MAX {
                let (shard, edge) = (exchange.shard, media.edge());
                return Err(format!(
                    "{target} is held on shard {shard} though {edge:?} is listed"
                ));
            }
            self.parked.due_since.insert(*id, since);
        }
        Ok(())
    }
}
