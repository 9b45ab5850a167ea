//! How long caches may keep each answer (rfc8216bis appendix B.1, and where it
//! would poison a URL, less).
//!
//! A URL that is about to become valid must not be kept as an error for long: a
//! blocking reload that came too early is the URL of an on-time viewer two
//! segments later. Nor may it be `no-store`: a cache that collapses requests then
//! sends all who waited for the one answer to the origin, one after the other or
//! at once. A second, in shared caches alone, is between the two.

use crate::http::reply::Cache;
use crate::media::channel::Targets;

/// What a request named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The multivariant playlist.
    Multivariant,
    /// A media playlist without `_HLS_msn`.
    Playlist,
    /// A media playlist with `_HLS_msn`.
    BlockingPlaylist,
    /// A part.
    Part,
    /// A whole segment.
    Segment,
    /// A CMAF header.
    Header,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200, 206 or 304 while the channel runs.
    Found,
    /// The same once the channel has ended.
    FoundEnded,
    /// 400: a malformed directive, or one too far ahead.
    Refused,
    /// 503: held as long as allowed.
    TimedOut,
    /// 503: too much is asked of this core.
    Busy,
    /// 425: not announced, and not soon.
    Early,
    /// 404: not announced; it may come.
    Unknown,
    /// 404: it never comes, a gap or a hint that was given up.
    Missing,
    /// 410: it was there and is over.
    Gone,
}

/// A playlist that has ended changes no more, but its name may live again.
const ENDED_S: u64 = 3600;
/// What is not there yet may be there at once.
const SOON_S: u64 = 1;

/// The lifetime of an answer; `targets` are those of the channel, once they
/// are settled.
pub fn lifetime(resource: Resource, outcome: Outcome, targets: Option<&Targets>) -> Cache {
    let target_s = targets.map_or(SOON_S, |targets| u64::from(targets.segment_s));
    let window_s = targets.map_or(0, |targets| targets.window_ms / 1000);
    match (outcome, resource) {
        (Outcome::Found, Resource::Multivariant | Resource::Playlist) => {
            Cache::MaxAge((target_s / 2).max(1))
        }
        // Appendix B.1 has six target durations. But video.js asks a second
        // time for the last part of each segment, and plays nothing new until
        // the answer is newer than the first: no viewer's own cache may give
        // it, and a shared one only until the viewers at the edge have asked
        // for the next part.
        (Outcome::Found, Resource::BlockingPlaylist) => Cache::Shared(part_s(targets)),
        (
            Outcome::FoundEnded,
            Resource::Multivariant | Resource::Playlist | Resource::BlockingPlaylist,
        ) => Cache::MaxAge(ENDED_S),
        (
            Outcome::Found | Outcome::FoundEnded,
            Resource::Part | Resource::Segment | Resource::Header,
        ) => Cache::Immutable(window_s.max(6 * target_s)),
        (Outcome::Refused | Outcome::TimedOut, _) => Cache::Shared(SOON_S),
        // A player that is too early is alone with its clock; the one that comes
        // in time must not get its answer.
        (Outcome::Early, _) => Cache::NoStore,
        (Outcome::Busy | Outcome::Unknown, _) => Cache::MaxAge(SOON_S),
        (Outcome::Missing | Outcome::Gone, _) => Cache::MaxAge(target_s),
    }
}

/// `Retry-After` in seconds for 503: about a part, and at least one second,
/// the finest the field can say.
pub fn retry_after_s(targets: Option<&Targets>) -> u64 {
    part_s(targets)
}

/// A part in whole seconds, rounded up.
fn part_s(targets: Option<&Targets>) -> u64 {
    let part_us = targets
        .and_then(|targets| targets.part_us)
        .unwrap_or(1_000_000);
    u64::from(part_us).div_ceil(1_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::policy::PartAddressing;

    /// RFC 9111 section 5.2.2.10: `s-maxage` overrides `max-age` in a shared
    /// cache.
    const HERD: &str = "public, max-age=0, s-maxage=1";

    #[test]
    fn sb_1_lifetimes_follow_the_table() {
        use Outcome::*;
        use Resource::*;
        let live = Targets {
            segment_s: 4,
            part_us: Some(1_000_000),
            window_ms: 300_000,
            part_addressing: PartAddressing::Url,
        };
        let short = Targets {
            segment_s: 1,
            part_us: Some(200_000),
            window_ms: 4_000,
            part_addressing: PartAddressing::Url,
        };
        let table = [
            (
                Multivariant,
                Found,
                "public, max-age=2",
                "public, max-age=1",
            ),
            (Playlist, Found, "public, max-age=2", "public, max-age=1"),
            (
                BlockingPlaylist,
                Found,
                "public, max-age=0, s-maxage=1",
                "public, max-age=0, s-maxage=1",
            ),
            (
                Multivariant,
                FoundEnded,
                "public, max-age=3600",
                "public, max-age=3600",
            ),
            (
                Playlist,
                FoundEnded,
                "public, max-age=3600",
                "public, max-age=3600",
            ),
            (
                BlockingPlaylist,
                FoundEnded,
                "public, max-age=3600",
                "public, max-age=3600",
            ),
            (Playlist, Refused, HERD, HERD),
            (BlockingPlaylist, Refused, HERD, HERD),
            (BlockingPlaylist, TimedOut, HERD, HERD),
            (Part, TimedOut, HERD, HERD),
            (
                BlockingPlaylist,
                Busy,
                "public, max-age=1",
                "public, max-age=1",
            ),
            (Playlist, Unknown, "public, max-age=1", "public, max-age=1"),
            (Playlist, Gone, "public, max-age=4", "public, max-age=1"),
            (
                Part,
                Found,
                "public, max-age=300, immutable",
                "public, max-age=6, immutable",
            ),
            (
                Segment,
                FoundEnded,
                "public, max-age=300, immutable",
                "public, max-age=6, immutable",
            ),
            (
                Header,
                Found,
                "public, max-age=300, immutable",
                "public, max-age=6, immutable",
            ),
            (Segment, Early, "no-store", "no-store"),
            (Part, Unknown, "public, max-age=1", "public, max-age=1"),
            (Part, Missing, "public, max-age=4", "public, max-age=1"),
            (Segment, Gone, "public, max-age=4", "public, max-age=1"),
        ];
        for (resource, outcome, of_live, of_short) in table {
            let value = |targets| lifetime(resource, outcome, Some(targets)).to_string();
            assert_eq!(value(&live), of_live, "{resource:?} {outcome:?}");
            assert_eq!(value(&short), of_short, "{resource:?} {outcome:?}");
        }
        let before_targets = lifetime(Multivariant, Unknown, None);
        assert_eq!(before_targets, Cache::MaxAge(1));
        assert_eq!(
            (
                retry_after_s(Some(&live)),
                retry_after_s(Some(&short)),
                retry_after_s(None)
            ),
            (1, 1, 1)
        );
    }
}
