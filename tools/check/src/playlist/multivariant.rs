//! Multivariant playlists (rfc8216bis section 4.4.6).

use super::attributes::{Attributes, integer};
use super::media::Needs;
use super::variables::{self, Variables};
use super::{At, Faults, lines, syntax, tag};
use crate::limits;
use crate::uri::resolve;

/// A multivariant playlist as printed.
#[derive(Clone, Debug, Default)]
pub struct Multivariant {
    /// Where it was fetched.
    pub address: String,
    /// `EXT-X-VERSION`.
    pub version: Option<At<u64>>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-STREAM-INF`.
    pub variants: Vec<Variant>,
    /// `EXT-X-I-FRAME-STREAM-INF`.
    pub iframes: Vec<Attributes>,
    /// `EXT-X-MEDIA`.
    pub media: Vec<Attributes>,
    /// `EXT-X-DEFINE`.
    pub variables: Variables,
    /// Lowest version the content needs, and why.
    pub needs: Needs,
    /// What is wrong with the text.
    pub faults: Faults,
}

/// An `EXT-X-STREAM-INF` and its URI.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// What is said of it.
    pub attributes: Attributes,
    /// As printed.
    pub uri: String,
}

/// What a media playlist is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A variant stream.
    Variant,
    /// An audio, video or subtitle rendition.
    Rendition,
    /// An I-frame playlist.
    IFrames,
}

/// A media playlist of the presentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What it is for.
    pub role: Role,
    /// As printed.
    pub uri: String,
    /// Where it is.
    pub address: String,
}

impl Multivariant {
    /// Reads a playlist fetched at `address`.
    pub fn parse(address: &str, text: &str) -> Self {
        let mut out = Self {
            address: address.to_owned(),
            ..Self::default()
        };
        let mut faults = Faults::default();
        let mut pending: Option<Attributes> = None;
        let mut seen: Vec<&str> = Vec::new();
        for (line, text) in lines(text) {
            if line == 1 && text != "#EXTM3U" {
                faults.add(
                    line,
                    "rfc8216bis 4.4.1.1",
                    "the first line is not #EXTM3U",
                    text,
                );
            }
            if text.chars().any(char::is_control) {
                faults.add(
                    line,
                    "rfc8216bis 4.1",
                    "a line has a control character",
                    text,
                );
            }
            let Some((name, value)) = tag(text) else {
                if !text.is_empty() && !text.starts_with('#') {
                    let uri = variables::substitute(text, &out.variables, line, &mut faults);
                    match pending.take() {
                        Some(attributes) if out.variants.len() < limits::FAULTS_MAX => {
                            out.variants.push(Variant { attributes, uri });
                        }
                        Some(_) => {}
                        None => faults.add(
                            line,
                            "rfc8216bis 4.4.6.2",
                            "a URI has no EXT-X-STREAM-INF",
                            text,
                        ),
                    }
                }
                continue;
            };
            if matches!(
                name,
                "#EXTINF" | "#EXT-X-TARGETDURATION" | "#EXT-X-PART" | "#EXT-X-MEDIA-SEQUENCE"
            ) {
                faults.add(
                    line,
                    "rfc8216bis 4.1",
                    "a tag of media playlists is in a multivariant playlist",
                    name,
                );
            }
            let once = matches!(
                name,
                "#EXTM3U"
                    | "#EXT-X-VERSION"
                    | "#EXT-X-INDEPENDENT-SEGMENTS"
                    | "#EXT-X-START"
                    | "#EXT-X-CONTENT-STEERING"
            );
            if once && seen.contains(&name) {
                faults.add(
                    line,
                    "rfc8216bis 4.4",
                    "a tag stands twice that stands once",
                    name,
                );
            } else if once {
                seen.push(name);
            }
            match name {
                "#EXT-X-VERSION" => {
                    let value = integer(value).unwrap_or(0);
                    out.version = Some(At { line, value });
                }
                "#EXT-X-INDEPENDENT-SEGMENTS" => out.independent_segments = true,
                "#EXT-X-STREAM-INF"
                | "#EXT-X-I-FRAME-STREAM-INF"
                | "#EXT-X-MEDIA"
                | "#EXT-X-DEFINE"
                | "#EXT-X-CONTENT-STEERING" => {
                    if pending.is_some() {
                        faults.add(
                            line,
                            "rfc8216bis 4.4.6.2",
                            "no URI follows an EXT-X-STREAM-INF",
                            text,
                        );
                    }
                    out.listed(line, name, value, &mut pending, &mut faults);
                }
                _ => {}
            }
        }
        if let Some(attributes) = pending {
            faults.add(
                attributes.line,
                "rfc8216bis 4.4.6.2",
                "no URI follows an EXT-X-STREAM-INF",
                "",
            );
        }
        out.faults = faults;
        out
    }

    fn listed(
        &mut self,
        line: usize,
        name: &str,
        value: &str,
        pending: &mut Option<Attributes>,
        faults: &mut Faults,
    ) {
        let mut attributes = Attributes::parse(line, value, faults);
        for attribute in attributes
            .iter_mut()
            .filter(|a| a.is_quoted && a.value.contains("{$"))
        {
            attribute.value =
                variables::substitute(&attribute.value, &self.variables, line, faults);
        }
        syntax::check(name, &attributes, faults);
        if attributes
            .iter()
            .any(|attribute| attribute.name.starts_with("REQ-"))
        {
            self.needs.at_least(12, "an attribute REQ-");
        }
        match name {
            "#EXT-X-STREAM-INF" => *pending = Some(attributes),
            "#EXT-X-I-FRAME-STREAM-INF" if self.iframes.len() < limits::FAULTS_MAX => {
                self.iframes.push(attributes)
            }
            "#EXT-X-MEDIA" if self.media.len() < limits::FAULTS_MAX => {
                if let Some(id) = attributes.get("INSTREAM-ID") {
                    let captions = attributes.get("TYPE") == Some("CLOSED-CAPTIONS");
                    if !captions {
                        self.needs
                            .at_least(13, "INSTREAM-ID outside CLOSED-CAPTIONS");
                    } else if id.starts_with("SERVICE") {
                        self.needs.at_least(7, "a SERVICE of INSTREAM-ID");
                    }
                }
                self.media.push(attributes);
            }
            "#EXT-X-DEFINE" => {
                let by_query = attributes.get("QUERYPARAM").is_some();
                let (version, why) = if by_query {
                    (11, "EXT-X-DEFINE:QUERYPARAM")
                } else {
                    (8, "EXT-X-DEFINE")
                };
                self.needs.at_least(version, why);
                let above = Variables::new();
                variables::define(
                    &mut self.variables,
                    &attributes,
                    &self.address,
                    &above,
                    faults,
                );
            }
            _ => {}
        }
    }

    /// Every media playlist once, in order of appearance.
    pub fn playlists(&self) -> Vec<Listed> {
        let variants = self
            .variants
            .iter()
            .map(|variant| (Role::Variant, variant.uri.clone()));
        let uri = |attributes: &Attributes| attributes.owned("URI");
        let renditions = self
            .media
            .iter()
            .filter_map(uri)
            .map(|uri| (Role::Rendition, uri));
        let iframes = self
            .iframes
            .iter()
            .filter_map(uri)
            .map(|uri| (Role::IFrames, uri));
        let mut out: Vec<Listed> = Vec::new();
        for (role, uri) in variants.chain(renditions).chain(iframes) {
            let address = resolve(&self.address, &uri);
            if !out.iter().any(|known| known.address == address) {
                out.push(Listed { role, uri, address });
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_playlist_is_found_once() {
        let text = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"d\",VALUE=\"x\"\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",URI=\"{$d}/a.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nv1.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"b\"\nv1.m3u8\n\
            #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n";
        let read = Multivariant::parse("http://h/p/index.m3u8", text);
        assert_eq!(read.faults.iter().count(), 0);
        let listed: Vec<_> = read
            .playlists()
            .into_iter()
            .map(|l| (l.role, l.address))
            .collect();
        assert_eq!(
            listed,
            [
                (Role::Variant, "http://h/p/v1.m3u8".to_owned()),
                (Role::Rendition, "http://h/p/x/a.m3u8".to_owned()),
                (Role::IFrames, "http://h/p/i.m3u8".to_owned()),
            ]
        );
        assert_eq!(read.needs.version, 8);
    }

    #[test]
    fn slips_have_line_and_clause() {
        let table = [
            (
                "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
                "no URI follows an EXT-X-STREAM-INF",
            ),
            ("#EXTM3U\nv.m3u8\n", "a URI has no EXT-X-STREAM-INF"),
            (
                "#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"x\"\nv\n",
                "a required attribute is missing",
            ),
            (
                "#EXTM3U\n#EXTINF:1,\n",
                "a tag of media playlists is in a multivariant playlist",
            ),
            ("v\u{7}\n", "the first line is not #EXTM3U"),
        ];
        for (text, what) in table {
            let read = Multivariant::parse("http://h/", text);
            assert_eq!(
                read.faults.iter().next().map(|fault| fault.what),
                Some(what),
                "{text}"
            );
        }
    }
}
