//! Relative URIs in playlists, and strings that are safe between quotes.

use std::fmt;

use crate::hls::List;
use crate::http::route::ObjectName;

/// `{track}.m3u8`, the same text in the multivariant playlist and in rendition
/// reports: players look reports up by it (section 4.4.5.4).
pub(crate) struct PlaylistUri<'a>(pub(crate) &'a str);

impl fmt::Display for PlaylistUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.m3u8", self.0)
    }
}

/// `{track}/{object}`, seen from the media playlist; the list of I-frames has
/// its objects beside it.
pub(crate) struct ObjectUri<'a> {
    pub(crate) track: &'a str,
    pub(crate) list: List,
    pub(crate) object: ObjectName<'a>,
}

impl fmt::Display for ObjectUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            List::Media => write!(f, "{}/{}", self.track, self.object),
            List::IFrames => self.object.fmt(f),
        }
    }
}

/// Text of an encoder between quotes: without the characters that a
/// quoted-string cannot hold (section 4.2).
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.chars().filter(|c| *c != '"' && !c.is_control()) {
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
    }

    #[test]
    fn object_names_carry_generation_and_number() {
        let uri = |object| {
            ObjectUri {
                track: "v1",
                list: List::Media,
                object,
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
        assert_eq!(PlaylistUri("v1").to_string(), "v1.m3u8");
    }
}
