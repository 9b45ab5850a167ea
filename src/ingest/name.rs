//! What the path of an upload says: which track, and whether the request brings
//! one segment.
//!
//! | form | sent by |
//! |---|---|
//! | `{track}.cmfv`, `{track}.mp4` | one endless request, or one a segment |
//! | `Streams({track}.cmfv)` | DASH-IF ingest interface 1, Smooth encoders |
//! | `{track}/{n}.m4s`, `{track}/init.mp4` | Shaka Packager, livesim2 |
//! | `chunk-{track}-{n}.m4s`, `init-{track}.m4s` | ffmpeg's dash muxer |
//! | `{name}.mpd`, `{name}.m3u8` | any of them, beside the media |

use crate::limits;

/// The name of a track whose upload has no name of its own.
const UNNAMED: &str = "main";

/// Characters of a name that an upload may give its track: a muxed one adds to
/// it.
const TRACK_CHARS_MAX: usize = limits::NAME_BYTES_MAX - 8;

/// What a path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadName {
    /// Media of this track, or of tracks whose names begin with it.
    Media {
        /// Usable in URLs as it is.
        track: String,
        /// A number in the name says that the request brings one segment.
        one_segment: bool,
    },
    /// A manifest of the encoder's own. Read by nobody yet: what is served is
    /// always drawn from the media.
    Manifest,
    /// The publishing point itself: a legal probe.
    Root,
    /// A path that tries to leave the publishing point.
    Forbidden,
    /// What can't be a name, and why.
    Malformed(&'static str),
}

impl UploadName {
    /// Reads what stands behind `/ingest/{channel}/`, raw.
    pub fn parse(path: &str) -> Self {
        let Some(path) = decode(path) else {
            return Self::Forbidden;
        };
        let mut steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        if steps.iter().any(|step| matches!(*step, "." | "..")) {
            return Self::Forbidden;
        }
        match streams(&steps) {
            Some(Ok(name)) => return Self::media(stem(name).0, false),
            Some(Err(why)) => return Self::Malformed(why),
            None => {}
        }
        let Some(file) = steps.pop() else {
            return Self::Root;
        };
        let (stem, extension) = stem(file);
        if matches!(extension, "mpd" | "m3u8") {
            return Self::Manifest;
        }
        let is_cmaf = matches!(extension, "cmfv" | "cmfa" | "cmft" | "cmfm");
        if steps.is_empty() && (is_cmaf || matches!(extension, "mp4" | "m4v" | "m4a" | "fmp4")) {
            return Self::media(without_init(stem).unwrap_or(stem), false);
        }
        let directory = steps.join("-");
        let (own, one_segment) = match (without_init(stem), without_number(stem)) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (without_media_word(rest), true),
            (None, None) => (stem, false),
        };
        let track = match (directory.is_empty(), own.is_empty()) {
            (false, _) if one_segment || own.is_empty() => directory,
            (false, _) => format!("{directory}-{own}"),
            (true, _) => own.to_owned(),
        };
        Self::media(&track, one_segment)
    }

    fn media(wanted: &str, one_segment: bool) -> Self {
        if wanted.chars().count() > TRACK_CHARS_MAX {
            // Cut short, two names could become one.
            return Self::Malformed("the name of the track has more than 56 characters");
        }
        Self::Media {
            track: track_name(wanted),
            one_segment,
        }
    }
}

/// Removes percent encoding; `None` for what could hide a way out.
fn decode(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                let value = u8::try_from(value).ok()?;
                if matches!(value, b'/' | b'\\' | b'%') {
                    return None;
                }
                value
            }
            b'\\' => return None,
            byte => byte,
        };
        if byte < 0x20 || byte == 0x7f {
            return None;
        }
        out.push(byte);
    }
    String::from_utf8(out).ok()
}

/// The name inside `Streams(...)`, which is the last step.
fn streams<'a>(steps: &[&'a str]) -> Option<Result<&'a str, &'static str>> {
    let name = steps.last()?.strip_prefix("Streams(")?;
    Some(match name.strip_suffix(')') {
        None => Err("Streams( has no closing bracket"),
        Some("") => Err("Streams() names no track"),
        Some(name) => Ok(name),
    })
}

fn stem(file: &str) -> (&str, &str) {
    match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (file, ""),
    }
}

/// What is left of the name of a CMAF header: `init-stream0`, `video_init`.
fn without_init(stem: &str) -> Option<&str> {
    const WORDS: [&str; 2] = ["init", "header"];
    WORDS.iter().find_map(|word| {
        let rest = stem
            .strip_prefix(word)
            .or_else(|| stem.strip_suffix(word))?;
        let trimmed = rest.trim_matches(['-', '_', '.']);
        (rest.is_empty() || trimmed.len() < rest.len()).then_some(trimmed)
    })
}

/// What stands in front of a trailing number, which may be negative.
fn without_number(stem: &str) -> Option<&str> {
    let rest = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    (rest.len() < stem.len()).then(|| rest.trim_end_matches(['-', '_', '.']))
}

/// `chunk-stream0` and `seg_video` name the tracks `stream0` and `video`.
fn without_media_word(name: &str) -> &str {
    const WORDS: [&str; 5] = ["chunk", "segment", "seg", "media", "frag"];
    WORDS
        .iter()
        .find_map(|word| {
            let rest = name.strip_prefix(word)?;
            if rest.is_empty() {
                Some(rest)
            } else {
                rest.strip_prefix(['-', '_', '.'])
            }
        })
        .unwrap_or(name)
}

/// A name that can stand in a URL as it is, and that no playlist has.
pub fn track_name(wanted: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    let name: String = wanted
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(TRACK_CHARS_MAX)
        .collect();
    match name.trim_matches('.') {
        "" => UNNAMED.to_owned(),
        "index" => "index-1".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(track: &str, one_segment: bool) -> UploadName {
        UploadName::Media {
            track: track.to_owned(),
            one_segment,
        }
    }

    #[test]
    fn every_url_style_finds_its_track() {
        let table = [
            ("Streams(video.cmfv)", media("video", false)),
            ("Streams(v)", media("v", false)),
            ("/Streams(v.cmfv)", media("v", false)),
            ("Streams%28v.cmfv%29", media("v", false)),
            ("Switching(s1)/Streams(v1.cmfv)", media("v1", false)),
            ("v1.cmfv", media("v1", false)),
            ("mux.mp4", media("mux", false)),
            ("v/init.mp4", media("v", false)),
            ("v/0.m4s", media("v", true)),
            ("v/-1024.m4s", media("v", true)),
            ("v/896605655.cmfv", media("v", true)),
            ("a/b/12.m4s", media("a-b", true)),
            ("v/segment_1001.m4s", media("v", true)),
            ("init-stream0.m4s", media("stream0", false)),
            ("chunk-stream0-00001.m4s", media("stream0", true)),
            ("chunk-stream10-00001.m4s", media("stream10", true)),
            ("video_init.mp4", media("video", false)),
            ("video_17.m4s", media("video", true)),
            ("init.mp4", media("main", false)),
            ("manifest.mpd", UploadName::Manifest),
            ("a/media_0.m3u8", UploadName::Manifest),
            ("", UploadName::Root),
            ("//", UploadName::Root),
        ];
        for (path, want) in table {
            assert_eq!(UploadName::parse(path), want, "{path}");
        }
    }

    #[test]
    fn a_path_stays_inside_its_publishing_point() {
        for path in [
            "../x.mp4", "a/../b", "%2e%2e/x", "a%2fb", "a%00b", "a\\b", "%5c", "%", "%4",
        ] {
            assert_eq!(UploadName::parse(path), UploadName::Forbidden, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = "x".repeat(TRACK_CHARS_MAX + 1);
        for path in ["Streams(", "Streams(v.cmfv", "Streams()", &long] {
            assert!(
                matches!(UploadName::parse(path), UploadName::Malformed(_)),
                "{path}"
            );
        }
        assert_eq!(UploadName::parse(&long[1..]), media(&long[1..], false));
    }

    #[test]
    fn a_track_name_fits_a_url() {
        assert_eq!(track_name("a b/ü"), "a-b--");
        assert_eq!(track_name(".."), "main");
        assert_eq!(track_name("index"), "index-1");
        assert!(track_name(&"x".repeat(500)).len() <= limits::NAME_BYTES_MAX);
    }
}
