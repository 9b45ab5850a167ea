//! What is listed never changes, numbers only rise, the window only moves
//! forward, and a name keeps its bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::resolve;
use crate::m3u8::{Media, Part, Segment};
use crate::prng::{FNV_START, fnv};

/// See the module's head.
#[derive(Default)]
pub struct Immutable {
    /// Length and hash of every object ever given, by path.
    objects: BTreeMap<String, (usize, u64)>,
    /// What the newest playlists of a shard list, by (shard, playlist).
    listed: BTreeMap<(u16, String), BTreeSet<String>>,
    tracks: BTreeMap<String, TrackModel>,
    /// Target duration and server control by channel.
    constants: BTreeMap<String, (u64, Option<String>)>,
}

#[derive(Default)]
struct TrackModel {
    segments: BTreeMap<u64, Known>,
    /// Parts by (msn, index).
    parts: BTreeMap<(u64, u64), Part>,
    /// The hint that stood behind a part, by the URI of the part.
    hints: BTreeMap<String, String>,
    part_target: Option<Option<u64>>,
    /// How far each shard was.
    shards: BTreeMap<u16, Progress>,
    /// Every URI and where it stands, so that none stands twice.
    places: BTreeMap<String, (u64, Option<u64>)>,
}

/// What only rises in the playlists of one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    media_sequence: u64,
    discontinuity_sequence: u64,
    /// Number of the newest segment; the part index counts what is printed.
    newest: Option<u64>,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    uri: String,
    duration_us: u64,
    wall_us: Option<i64>,
    discontinuity: bool,
    discontinuity_number: Option<u64>,
    gap: bool,
    map: Option<String>,
}

impl Immutable {
    /// An object was given whole.
    pub fn named(&mut self, path: &str, body: &[u8]) -> Result<(), String> {
        let seen = (body.len(), fnv(FNV_START, body));
        let known = *self.objects.entry(path.to_owned()).or_insert(seen);
        if known == seen {
            return Ok(());
        }
        Err(format!(
            "bytes under a name changed: {known:?} and {seen:?}"
        ))
    }

    /// An object was refused. It may have left the list since that was given:
    /// returns the playlist that must not list it now, if one did.
    pub fn missing(&self, shard: u16, path: &str, status: u16) -> Result<Option<&str>, String> {
        if ![404, 410, 425, 503].contains(&status) {
            return Err(format!("status {status} for an object"));
        }
        let mut lists = self.listed.iter().filter(|((at, _), _)| *at == shard);
        let listing = lists.find(|(_, paths)| paths.contains(path));
        Ok(listing.map(|((_, playlist), _)| playlist.as_str()))
    }

    /// Whether the newest playlist of a shard lists an object.
    pub fn lists(&self, shard: u16, playlist: &str, path: &str) -> bool {
        let paths = self.listed.get(&(shard, playlist.to_owned()));
        paths.is_some_and(|paths| paths.contains(path))
    }

    /// A shard gave a playlist.
    pub fn listed(
        &mut self,
        shard: u16,
        channel: &str,
        path: &str,
        media: &Media,
    ) -> Result<(), String> {
        let constants = (media.target_s, media.server_control.clone());
        let known = self
            .constants
            .entry(channel.to_owned())
            .or_insert_with(|| constants.clone());
        if *known != constants {
            return Err(format!(
                "targets of the channel changed: {known:?}, {constants:?}"
            ));
        }
        let uris = media.all().flat_map(|segment| {
            let whole = Some(&segment.uri).filter(|uri| !uri.is_empty() && !segment.gap);
            let parts = segment
                .parts
                .iter()
                .filter(|part| !part.gap)
                .map(|part| &part.uri);
            whole.into_iter().chain(parts).chain(&segment.map)
        });
        let uris = uris.map(|uri| resolve(path, uri)).collect();
        self.listed.insert((shard, path.to_owned()), uris);
        let track = self.tracks.entry(path.to_owned()).or_default();
        track.advance(shard, media)?;
        let mut number = media
            .skipped
            .is_none()
            .then_some(media.discontinuity_sequence);
        for segment in media.all() {
            number = number.map(|number| number + u64::from(segment.discontinuity));
            track.segment(segment, number)?;
        }
        track.hints(media)
    }
}

impl TrackModel {
    fn advance(&mut self, shard: u16, media: &Media) -> Result<(), String> {
        let target = *self.part_target.get_or_insert(media.part_target_us);
        if target != media.part_target_us {
            return Err(format!(
                "part target {target:?} became {:?}",
                media.part_target_us
            ));
        }
        let now = Progress {
            media_sequence: media.media_sequence,
            discontinuity_sequence: media.discontinuity_sequence,
            newest: media.edge().map(|(msn, _)| msn),
            ended: media.ended,
        };
        let then = self.shards.insert(shard, now).unwrap_or_default();
        if now.media_sequence < then.media_sequence
            || now.discontinuity_sequence < then.discontinuity_sequence
            || now.newest < then.newest
            || then.ended && !now.ended
        {
            return Err(format!("went back from {then:?} to {now:?}"));
        }
        match (media.full(), media.open.parts.is_empty()) {
            (Some(full), false) if media.open.msn != full + 1 => {
                Err(format!("{} follows {full}", media.open.msn))
            }
            _ => Ok(()),
        }
    }

    fn segment(&mut self, segment: &Segment, number: Option<u64>) -> Result<(), String> {
        let msn = segment.msn;
        for (index, part) in segment.parts.iter().enumerate() {
            let at = (msn, index as u64);
            let known = self.parts.entry(at).or_insert_with(|| part.clone());
            if known != part {
                return Err(format!("part {at:?} was {known:?} and is {part:?}"));
            }
            self.place(&part.uri, (msn, Some(index as u64)))?;
        }
        if segment.uri.is_empty() {
            return Ok(());
        }
        self.place(&segment.uri, (msn, None))?;
        let seen = Known {
            uri: segment.uri.clone(),
            duration_us: segment.duration_us,
            wall_us: segment.wall_us,
            discontinuity: segment.discontinuity,
            discontinuity_number: number,
            gap: segment.gap,
            map: segment.map.clone(),
        };
        let known = self.segments.entry(msn).or_insert_with(|| seen.clone());
        // A delta leaves out what stands in the skipped part.
        let map = known.map.clone().or_else(|| seen.map.clone());
        let number = known.discontinuity_number.or(seen.discontinuity_number);
        known.map.clone_from(&map);
        known.discontinuity_number = number;
        let seen = Known {
            map: seen.map.or(map),
            discontinuity_number: seen.discontinuity_number.or(number),
            ..seen
        };
        if *known != seen {
            return Err(format!("segment {msn} was {known:?} and is {seen:?}"));
        }
        if seen.wall_us.is_none() {
            return Err(format!("segment {msn} has no date"));
        }
        Ok(())
    }

    fn place(&mut self, uri: &str, place: (u64, Option<u64>)) -> Result<(), String> {
        let known = *self.places.entry(uri.to_owned()).or_insert(place);
        if known == place {
            return Ok(());
        }
        Err(format!("{uri} stands at {known:?} and at {place:?}"))
    }

    /// A hint is what comes to be listed behind the part it followed.
    fn hints(&mut self, media: &Media) -> Result<(), String> {
        let mut last: Option<&Part> = None;
        for segment in media.all() {
            // Where media is missing or time breaks, the hint is given up.
            if segment.parts.is_empty() || segment.gap || segment.discontinuity {
                last = None;
            }
            for part in &segment.parts {
                let hinted = last.and_then(|last| self.hints.get(&last.uri));
                // A gap has no bytes that a range could name, and a segment may
                // end where more of it was expected.
                let elsewhere = part.gap || part.place().ends_with("#0");
                let given_up = |hinted: &str| elsewhere && hinted.contains('#');
                if let Some(hinted) = hinted
                    && hinted != part.place()
                    && !given_up(hinted)
                {
                    return Err(format!("{hinted} was hinted and {} came", part.uri));
                }
                last = Some(part);
            }
        }
        if let (Some(last), Some(hint)) = (last, media.part_hints.first()) {
            self.hints.insert(last.uri.clone(), hint.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(msn: u64, duration_us: u64) -> Media {
        let segment = Segment {
            msn,
            uri: format!("s{msn}"),
            duration_us,
            wall_us: Some(0),
            ..Segment::default()
        };
        Media {
            media_sequence: msn,
            target_s: 2,
            segments: vec![segment],
            ..Media::default()
        }
    }

    #[test]
    fn changes_steps_back_and_new_bytes_are_seen() {
        let mut check = Immutable::default();
        assert_eq!(
            check.listed(0, "a", "/live/a/v.m3u8", &playlist(5, 7)),
            Ok(())
        );
        let listing = Ok(Some("/live/a/v.m3u8"));
        assert_eq!(check.missing(0, "/live/a/s5", 404), listing);
        assert_eq!(check.missing(0, "/live/a/s6", 404), Ok(None));
        assert!(check.missing(0, "/live/a/s6", 500).is_err());
        assert!(check.lists(0, "/live/a/v.m3u8", "/live/a/s5"));
        assert!(
            check
                .listed(1, "a", "/live/a/v.m3u8", &playlist(5, 8))
                .is_err()
        );
        assert!(
            check
                .listed(0, "a", "/live/a/v.m3u8", &playlist(4, 7))
                .is_err()
        );
        assert_eq!(check.named("x", b"1"), Ok(()));
        assert!(check.named("x", b"2").is_err());
        let moved = Media {
            target_s: 3,
            ..playlist(6, 7)
        };
        assert!(check.listed(0, "a", "/live/a/v.m3u8", &moved).is_err());
    }
}
