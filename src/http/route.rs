//! Request targets to what they name, and names to targets.

use std::fmt;

use crate::limits::NAME_BYTES_MAX;
use crate::page;

/// What a target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/live/{channel}/index.m3u8`
    Multivariant {
        /// Name of the channel.
        channel: &'a str,
    },
    /// `/live/{channel}/manifest.mpd` and the other MPDs.
    Mpd {
        /// Name of the channel.
        channel: &'a str,
        /// Which one.
        document: Document,
    },
    /// `/live/{channel}/{generation}-timeline-{version}.mpp`: what has changed
    /// since that version.
    Patch {
        /// Name of the channel.
        channel: &'a str,
        /// Generation of the channel.
        generation: &'a str,
        /// Version of `patched.mpd`.
        version: u64,
    },
    /// `/live/{channel}/{track}.m3u8` with its delivery directives.
    MediaPlaylist {
        /// Name of the channel.
        channel: &'a str,
        /// Name of the track.
        track: &'a str,
        /// The query, raw and without `?`; `hls::reload` reads it.
        query: &'a str,
    },
    /// `/live/{channel}/{track}/iframes.m3u8`, likewise.
    IFramePlaylist {
        /// Name of the channel.
        channel: &'a str,
        /// Name of the track.
        track: &'a str,
        /// The query, raw and without `?`.
        query: &'a str,
    },
    /// `/live/{channel}/{track}/{object}`
    Object {
        /// Name of the channel.
        channel: &'a str,
        /// Name of the track.
        track: &'a str,
        /// Which object of the track.
        object: ObjectName<'a>,
    },
    /// `/ingest/{channel}/{path}`; the path is percent-decoded by `ingest`.
    Ingest {
        /// Name of the channel.
        channel: &'a str,
        /// What follows it, raw, without the leading slash; may be empty.
        path: &'a str,
        /// The query, raw.
        query: &'a str,
    },
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/time`
    Time,
    /// `/api/v1/channels`
    Channels,
    /// `/api/v1/channels/{channel}`
    Channel {
        /// Name of the channel.
        channel: &'a str,
    },
    /// `/api/v1/channels/{channel}/end`
    EndChannel {
        /// Name of the channel.
        channel: &'a str,
        /// The query, raw: a token may stand in it.
        query: &'a str,
    },
    /// `/api/v1/channels/{channel}/dateranges` and one of them below it.
    DateRanges {
        /// Name of the channel.
        channel: &'a str,
        /// Which one; all of them when absent.
        id: Option<&'a str>,
        /// The query, raw.
        query: &'a str,
    },
    /// `/` and the other files that the binary carries, by path.
    Page {
        /// `/`, `/player.js` and so on.
        path: &'a str,
    },
    /// `/ingest/` with what can't be the name of a channel.
    BadChannelName,
    /// Nothing here.
    Unknown,
    /// A path that tries to leave its root, or has bytes no name can have.
    Forbidden,
}

impl<'a> Route<'a> {
    /// Reads a request target in origin-form.
    ///
    /// Nothing is percent-decoded: the origin writes its names without escapes,
    /// so an escaped name on delivery is not one of its own.
    pub fn parse(target: &'a str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(rest) = path.strip_prefix('/') else {
            return Self::Unknown;
        };
        if is_forbidden(path) {
            return Self::Forbidden;
        }
        if let Some(rest) = rest.strip_prefix("live/") {
            return Self::delivery(rest, query).unwrap_or(Self::Unknown);
        }
        if let Some(rest) = rest.strip_prefix("ingest/") {
            let (channel, path) = rest.split_once('/').unwrap_or((rest, ""));
            return if is_name(channel) {
                Self::Ingest {
                    channel,
                    path,
                    query,
                }
            } else {
                Self::BadChannelName
            };
        }
        match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/time" => Self::Time,
            "/api/v1/channels" => Self::Channels,
            _ if page::file(path).is_some() => Self::Page { path },
            _ => match rest.strip_prefix("api/v1/channels/") {
                Some(rest) => Self::of_channel(rest, query),
                None => Self::Unknown,
            },
        }
    }

    /// What lies below `/api/v1/channels/`.
    fn of_channel(rest: &'a str, query: &'a str) -> Self {
        let (channel, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_name(channel) {
            return Self::Unknown;
        }
        let id = rest.strip_prefix("dateranges/");
        match rest {
            "" => Self::Channel { channel },
            "end" => Self::EndChannel { channel, query },
            _ if rest == "dateranges" || id.is_some_and(is_name) => {
                Self::DateRanges { channel, id, query }
            }
            _ => Self::Unknown,
        }
    }

    fn delivery(rest: &'a str, query: &'a str) -> Option<Self> {
        let (channel, rest) = rest.split_once('/')?;
        if !is_name(channel) {
            return None;
        }
        if let Some((track, object)) = rest.split_once('/') {
            if !is_track_name(track) {
                return None;
            }
            if object == "iframes.m3u8" {
                return Some(Self::IFramePlaylist {
                    channel,
                    track,
                    query,
                });
            }
            let object = ObjectName::parse(object)?;
            return Some(Self::Object {
                channel,
                track,
                object,
            });
        }
        if let Some(document) = Document::named(rest) {
            return Some(Self::Mpd { channel, document });
        }
        if let Some(name) = rest.strip_suffix(".mpp") {
            let (name, version) = name.rsplit_once('-')?;
            let generation = name
                .strip_suffix("-timeline")
                .filter(|name| is_name(name))?;
            let version = decimal(version)?;
            return Some(Self::Patch {
                channel,
                generation,
                version,
            });
        }
        match rest.strip_suffix(".m3u8")? {
            "index" => Some(Self::Multivariant { channel }),
            track if is_name(track) => Some(Self::MediaPlaylist {
                channel,
                track,
                query,
            }),
            _ => None,
        }
    }
}

/// Which MPD of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `manifest.mpd` and `number.mpd`: segments follow from their duration
    /// and number wherever all of a period lie on one grid.
    Number,
    /// `timeline.mpd`: every segment is listed.
    Timeline,
    /// `patched.mpd`: likewise, and patches of it can be had.
    Patched,
    /// `sequence.mpd`: the first, and beside it segments as sequences of parts.
    Sequence,
}

impl Document {
    /// How many there are.
    pub const COUNT: usize = 4;

    fn named(name: &str) -> Option<Self> {
        match name {
            "manifest.mpd" | "number.mpd" => Some(Self::Number),
            "timeline.mpd" => Some(Self::Timeline),
            "patched.mpd" => Some(Self::Patched),
            "sequence.mpd" => Some(Self::Sequence),
            _ => None,
        }
    }
}

/// An object of a track. Its name is what `Display` writes, and only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectName<'a> {
    /// `{generation}-h{id:016x}.mp4`
    Header {
        /// Generation of the channel.
        generation: &'a str,
        /// Digest of the header.
        id: u64,
    },
    /// `{generation}-s{msn}.m4s`
    Segment {
        /// Generation of the channel.
        generation: &'a str,
        /// Media sequence number.
        msn: u64,
    },
    /// `{generation}-p{number}.m4s`
    Part {
        /// Generation of the channel.
        generation: &'a str,
        /// Running number of the part.
        number: u64,
    },
    /// `{generation}-s{msn}-{index}.m4s`: a part by its place, another name of
    /// the same object.
    SegmentPart {
        /// Generation of the channel.
        generation: &'a str,
        /// Media sequence number of its segment.
        msn: u64,
        /// Which part of it, from zero.
        index: u64,
    },
}

impl<'a> ObjectName<'a> {
    /// Reads a name; `None` for anything that `Display` would not write. The
    /// generation is what lies before the last `-`, or before the last but one
    /// where a number alone follows the last.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (generation, rest) = name.rsplit_once('-')?;
        let index = rest.strip_suffix(".m4s").and_then(decimal);
        if let Some(index) = index {
            let (generation, rest) = generation.rsplit_once('-')?;
            let msn = decimal(rest.strip_prefix('s')?)?;
            return is_name(generation).then_some(Self::SegmentPart {
                generation,
                msn,
                index,
            });
        }
        if !is_name(generation) {
            return None;
        }
        if let Some(rest) = rest.strip_suffix(".m4s") {
            return match rest.split_at_checked(1)? {
                ("s", digits) => Some(Self::Segment {
                    generation,
                    msn: decimal(digits)?,
                }),
                ("p", digits) => Some(Self::Part {
                    generation,
                    number: decimal(digits)?,
                }),
                _ => None,
            };
        }
        let digits = rest.strip_suffix(".mp4")?.strip_prefix('h')?;
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 16 || !digits.bytes().all(lower_hex) {
            return None;
        }
        Some(Self::Header {
            generation,
            id: u64::from_str_radix(digits, 16).ok()?,
        })
    }
}

impl fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { generation, id } => write!(f, "{generation}-h{id:016x}.mp4"),
            Self::Segment { generation, msn } => write!(f, "{generation}-s{msn}.m4s"),
            Self::Part { generation, number } => write!(f, "{generation}-p{number}.m4s"),
            Self::SegmentPart {
                generation,
                msn,
                index,
            } => write!(f, "{generation}-s{msn}-{index}.m4s"),
        }
    }
}

/// Whether this can be the name of a channel or a generation: 1 to
/// [`NAME_BYTES_MAX`] unreserved characters of RFC 3986, and not a dot segment.
/// A track's name must not be `index` besides, see [`is_track_name`].
pub fn is_name(name: &str) -> bool {
    let unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(unreserved)
}

/// Whether this can be the name of a track: `index.m3u8` is the multivariant
/// playlist.
pub fn is_track_name(name: &str) -> bool {
    is_name(name) && name != "index"
}

/// A number as the origin writes it: no sign, no leading zero.
fn decimal(digits: &str) -> Option<u64> {
    let canonical = match digits.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { digits.parse().ok() } else { None }
}

/// Whether a path tries to leave its root or hides a separator: dot segments,
/// escaped or not, escaped slashes and backslashes, backslashes, NUL.
fn is_forbidden(path: &str) -> bool {
    let bytes = path.as_bytes();
    // Names of media have dots within but none behind a slash, and no escapes:
    // for them this is the whole cost.
    if !bytes.iter().any(|&byte| matches!(byte, b'%' | b'\\' | 0)) && !path.contains("/.") {
        return false;
    }
    if bytes.iter().any(|&byte| matches!(byte, b'\\' | 0)) {
        return true;
    }
    let escaped = |code: [u8; 2]| {
        bytes
            .windows(3)
            .any(|w| w[0] == b'%' && w[1..].eq_ignore_ascii_case(&code))
    };
    escaped(*b"2f") || escaped(*b"5c") || escaped(*b"00") || path.split('/').any(is_dot_segment)
}

/// Whether a path segment is `..` when its escaped dots are read as dots.
fn is_dot_segment(mut segment: &str) -> bool {
    for _ in 0..2 {
        let escaped = segment
            .get(..3)
            .is_some_and(|head| head.eq_ignore_ascii_case("%2e"));
        let dot = if escaped { 3 } else { 1 };
        if !escaped && !segment.starts_with('.') {
            return false;
        }
        segment = &segment[dot..];
    }
    segment.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(target: &str, want: Route<'_>) {
        assert_eq!(Route::parse(target), want, "{target}");
    }

    #[test]
    fn delivery() {
        check(
            "/live/news/index.m3u8",
            Route::Multivariant { channel: "news" },
        );
        for (name, document) in [
            ("manifest", Document::Number),
            ("number", Document::Number),
            ("timeline", Document::Timeline),
            ("patched", Document::Patched),
            ("sequence", Document::Sequence),
        ] {
            let mpd = Route::Mpd {
                channel: "news",
                document,
            };
            check(&format!("/live/news/{name}.mpd?a=b"), mpd);
        }
        let patch = Route::Patch {
            channel: "news",
            generation: "a-b",
            version: 12,
        };
        check("/live/news/a-b-timeline-12.mpp", patch);
        for unknown in ["a-timeline-012", "-timeline-1", "a-number-1", "a-timeline-"] {
            check(&format!("/live/news/{unknown}.mpp"), Route::Unknown);
        }
        check("/live/news/other.mpd", Route::Unknown);
        check(
            "/live/news/index.m3u8?a=b",
            Route::Multivariant { channel: "news" },
        );
        check(
            "/live/news/v0.m3u8?_HLS_msn=5&_HLS_part=2",
            Route::MediaPlaylist {
                channel: "news",
                track: "v0",
                query: "_HLS_msn=5&_HLS_part=2",
            },
        );
        check(
            "/live/news/v0.m3u8?a?b",
            Route::MediaPlaylist {
                channel: "news",
                track: "v0",
                query: "a?b",
            },
        );
        check(
            "/live/n/v/7f3a-s12.m4s?x",
            Route::Object {
                channel: "n",
                track: "v",
                object: ObjectName::Segment {
                    generation: "7f3a",
                    msn: 12,
                },
            },
        );
        check(
            "/live/news/v0/iframes.m3u8?_HLS_msn=5",
            Route::IFramePlaylist {
                channel: "news",
                track: "v0",
                query: "_HLS_msn=5",
            },
        );
        for unknown in [
            "/live",
            "/live/",
            "/live/n",
            "/live/n/",
            "/live/n/v",
            "/live/n/.m3u8",
            "/live//v.m3u8",
            "/live/n/v.m3u8/",
            "/live/n/v/",
            "/live/n/v/x/g-s1.m4s",
            "/live/n/v.M3U8",
            "/live/n%61/v.m3u8",
            "/live/n/v%31.m3u8",
            "/live/n/v(1).m3u8",
            "/LIVE/n/index.m3u8",
            "live/n/index.m3u8",
            "",
            "*",
            "//live/n/index.m3u8",
            "/live/n;a/v.m3u8",
        ] {
            check(unknown, Route::Unknown);
        }
    }

    #[test]
    fn names_end_at_their_limit() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        let target = format!("/live/{longest}/index.m3u8");
        check(&target, Route::Multivariant { channel: &longest });
        check(&format!("/live/{longest}n/index.m3u8"), Route::Unknown);
        assert!(is_track_name("index.") && !is_track_name("index"));
        assert!(!is_name("") && !is_name(".") && !is_name("..") && is_name("..."));
    }

    #[test]
    fn object_names_have_one_form() {
        let header = ObjectName::Header {
            generation: "a-b",
            id: 0xfe,
        };
        assert_eq!(header.to_string(), "a-b-h00000000000000fe.mp4");
        assert_eq!(ObjectName::parse("a-b-h00000000000000fe.mp4"), Some(header));
        assert_eq!(
            ObjectName::parse("g-p18446744073709551615.m4s"),
            Some(ObjectName::Part {
                generation: "g",
                number: u64::MAX
            })
        );
        assert_eq!(
            ObjectName::parse("a-s7-s12-0.m4s"),
            Some(ObjectName::SegmentPart {
                generation: "a-s7",
                msn: 12,
                index: 0
            })
        );
        for wrong in [
            "g-s1-01.m4s",
            "g-s01-1.m4s",
            "g-s1-.m4s",
            "g-p1-1.m4s",
            "g-1-1.m4s",
            "-s1-1.m4s",
            "s1-1.m4s",
            "g-s1-1-1.m4s",
            "g-s1-1.mp4",
            "g-s01.m4s",
            "g-s+1.m4s",
            "g-s.m4s",
            "g-s-1.m4s",
            "g-s1.mp4",
            "g-S1.m4s",
            "s1.m4s",
            "-s1.m4s",
            "g-p18446744073709551616.m4s",
            "g-hfe.mp4",
            "g-h00000000000000FE.mp4",
            "g-h00000000000000fe.m4s",
            "g-s1.m4s.m4s",
            "g-.m4s",
            "g-\u{e9}1.m4s",
            "g-s 1.m4s",
        ] {
            assert_eq!(ObjectName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ingest_keeps_its_path_raw() {
        let ingest = |channel, path, query| Route::Ingest {
            channel,
            path,
            query,
        };
        check("/ingest/news", ingest("news", "", ""));
        check("/ingest/news/", ingest("news", "", ""));
        check("/ingest/news/a/b.m4s?t=1", ingest("news", "a/b.m4s", "t=1"));
        check(
            "/ingest/news//Streams(v.cmfv)",
            ingest("news", "/Streams(v.cmfv)", ""),
        );
        check(
            "/ingest/news/Streams%28v%29",
            ingest("news", "Streams%28v%29", ""),
        );
        check("/ingest/news/-1024.m4s", ingest("news", "-1024.m4s", ""));
        check("/ingest/", Route::BadChannelName);
        check("/ingest//a", Route::BadChannelName);
        check("/ingest/a%20b/v.cmfv", Route::BadChannelName);
    }

    #[test]
    fn control_and_page() {
        check("/healthz", Route::Health);
        check("/readyz?verbose", Route::Ready);
        check("/metrics", Route::Metrics);
        check("/time", Route::Time);
        check("/api/v1/channels", Route::Channels);
        check("/api/v1/channels/news", Route::Channel { channel: "news" });
        let (channel, query) = ("news", "token=t");
        check(
            "/api/v1/channels/news/end?token=t",
            Route::EndChannel { channel, query },
        );
        check("/api/v1/channels/", Route::Unknown);
        check("/api/v1/channels//end", Route::Unknown);
        check("/api/v1/channels/news/begin", Route::Unknown);
        let date_ranges = |id, query| Route::DateRanges {
            channel: "news",
            id,
            query,
        };
        let all = "/api/v1/channels/news/dateranges";
        check(all, date_ranges(None, ""));
        check(&format!("{all}?a"), date_ranges(None, "a"));
        check(&format!("{all}/ad-1?t=1"), date_ranges(Some("ad-1"), "t=1"));
        for unknown in ["/", "s", "/a/b", "/a%20b", "//a"] {
            check(&format!("{all}{unknown}"), Route::Unknown);
        }
        for path in ["/", "/player.js", "/session.js", "/page.css"] {
            check(path, Route::Page { path });
        }
        check("/?channel=news", Route::Page { path: "/" });
        check("/player.js/", Route::Unknown);
        check("/page.rs", Route::Unknown);
    }

    #[test]
    fn ways_out_are_forbidden() {
        for target in [
            "/..",
            "/../etc",
            "/live/../x",
            "/live/n/..",
            "/ingest/n/../../x",
            "/ingest/n/%2e%2e/x",
            "/ingest/n/.%2E/x",
            "/ingest/n/%2e./x",
            "/ingest/n/a%2fb",
            "/ingest/n/a%2Fb",
            "/ingest/n/a%5cb",
            "/ingest/n/a\\b",
            "/ingest/n/%00",
            "/live/n%2f..%2f/index.m3u8",
        ] {
            check(target, Route::Forbidden);
        }
        // What only looks like one.
        check(
            "/ingest/n/..a",
            Route::Ingest {
                channel: "n",
                path: "..a",
                query: "",
            },
        );
        check(
            "/ingest/n/...",
            Route::Ingest {
                channel: "n",
                path: "...",
                query: "",
            },
        );
        check(
            "/ingest/n/a?p=../..",
            Route::Ingest {
                channel: "n",
                path: "a",
                query: "p=../..",
            },
        );
    }

    proptest! {
        #[test]
        fn an_object_name_reads_back(
            generation in "[A-Za-z0-9._~-]{1,16}", number: u64, index: u64, kind in 0..4u8,
        ) {
            prop_assume!(is_name(&generation));
            let generation = generation.as_str();
            let object = match kind {
                0 => ObjectName::Header { generation, id: number },
                1 => ObjectName::Segment { generation, msn: number },
                2 => ObjectName::SegmentPart { generation, msn: number, index },
                _ => ObjectName::Part { generation, number },
            };
            let name = object.to_string();
            prop_assert_eq!(ObjectName::parse(&name), Some(object));
        }

        #[test]
        fn what_parses_as_an_object_name_is_its_only_spelling(
            name in "[a-c.-]{0,3}-[hsp+]?[0-9a-f]{0,17}(-[0-9]{0,3})?\\.(m4s|mp4)",
        ) {
            if let Some(object) = ObjectName::parse(&name) {
                prop_assert_eq!(object.to_string(), name);
            }
        }

        #[test]
        fn any_target_is_routed(target in "[ -~]{0,40}|/(live|ingest)/[ -~]{0,40}") {
            let _ = Route::parse(&target);
        }
    }
}
