//! Relative URIs in playlists, and strings that are safe between quotes.

use std::fmt;

use crate::hls::List;
use crate::http::route::ObjectName;
use crate::media::channel::{Channel, Track};

/// The query of every URI of a channel, as the operator has it.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a>(Option<&'a str>);

impl<'a> Query<'a> {
    pub(crate) fn of(channel: &'a Channel) -> Self {
        Self(channel.presentation.uri_query.as_deref())
    }
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

/// `{track}.m3u8`, the same text in the multivariant playlist and in rendition
/// reports: players look reports up by it (section 4.4.5.4).
pub(crate) struct PlaylistUri<'a> {
    track: &'a str,
    list: List,
    query: Query<'a>,
}

impl<'a> PlaylistUri<'a> {
    pub(crate) fn new(channel: &'a Channel, track: &'a Track) -> Self {
        Self {
            track: &track.info.name,
            list: List::Media,
            query: Query::of(channel),
        }
    }

    /// `{track}/iframes.m3u8`
    pub(crate) fn iframes(channel: &'a Channel, track: &'a Track) -> Self {
        Self {
            list: List::IFrames,
            ..Self::new(channel, track)
        }
    }
}

impl fmt::Display for PlaylistUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            List::Media => write!(f, "{}.m3u8{}", self.track, self.query),
            List::IFrames => write!(f, "{}/iframes.m3u8{}", self.track, self.query),
        }
    }
}

/// `{track}/{object}`, seen from the media playlist; the list of I-frames has
/// its objects beside it.
pub(crate) struct ObjectUri<'a> {
    pub(crate) track: &'a str,
    pub(crate) list: List,
    pub(crate) object: ObjectName<'a>,
    pub(crate) query: Query<'a>,
}

impl fmt::Display for ObjectUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            List::Media => write!(f, "{}/{}{}", self.track, self.object, self.query),
            List::IFrames => write!(f, "{}{}", self.object, self.query),
        }
    }
}

/// Text of an encoder between quotes: without the characters that a
/// quoted-string cannot hold (section 4.2), and without the brace that would
/// begin a variable (section 4.3).
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self
            .0
            .chars()
            .filter(|c| !matches!(c, '"' | '{') && !c.is_control())
        {
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_2_a_quoted_string_holds_neither_quotes_nor_line_ends() {
        assert_eq!(
            Quoted("de\"\r\n#EXT-X-ENDLIST\u{7f}").to_string(),
            "\"de#EXT-X-ENDLIST\""
        );
        assert_eq!(Quoted("{$x}").to_string(), "\"$x}\"");
    }

    #[test]
    fn object_names_carry_generation_and_number() {
        let uri = |object| {
            ObjectUri {
                track: "v1",
                list: List::Media,
                object,
                query: Query(None),
            }
            .to_string()
        };
        let generation = "e7";
        assert_eq!(
            uri(ObjectName::Header {
                generation,
                id: 0xa0
            }),
            "v1/e7-h00000000000000a0.mp4"
        );
        assert_eq!(
            uri(ObjectName::Segment {
                generation,
                msn: 100
            }),
            "v1/e7-s100.m4s"
        );
        assert_eq!(
            uri(ObjectName::Part {
                generation,
                number: 428
            }),
            "v1/e7-p428.m4s"
        );
        let playlist = |query| {
            let (track, query) = ("v1", Query(query));
            PlaylistUri {
                track,
                list: List::Media,
                query,
            }
            .to_string()
        };
        assert_eq!(playlist(None), "v1.m3u8");
        assert_eq!(playlist(Some("t={$t}")), "v1.m3u8?t={$t}");
    }
}
