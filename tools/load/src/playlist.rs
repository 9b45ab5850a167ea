//! As much of an HLS playlist as a player needs to follow it.

use std::rc::Rc;

/// The first variant of a multivariant playlist and the sound that goes with
/// it: what hls.js starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Multivariant {
    /// Targets of the media playlists to follow, the variant's first.
    pub(crate) playlists: Vec<Rc<str>>,
}

/// A media playlist, whole or a delta.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MediaPlaylist {
    pub(crate) target_s: f64,
    pub(crate) part_target_s: Option<f64>,
    pub(crate) part_hold_back_s: f64,
    pub(crate) can_block: bool,
    /// Value of `_HLS_skip` that the server takes.
    pub(crate) skip: Option<&'static str>,
    pub(crate) ended: bool,
    /// Those listed; the one under way is last and has no target of its own.
    pub(crate) segments: Vec<Segment>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Segment {
    pub(crate) msn: u64,
    pub(crate) duration_s: f64,
    /// Target of the header that applies; a delta may leave it out.
    pub(crate) header: Option<Rc<str>>,
    /// Target of the whole segment, once it is whole.
    pub(crate) target: Option<Rc<str>>,
    pub(crate) is_gap: bool,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) target: Rc<str>,
    pub(crate) duration_s: f64,
    pub(crate) is_independent: bool,
    pub(crate) is_gap: bool,
}

/// A place in a track: media sequence number and part index.
pub(crate) type Position = (u64, usize);

impl MediaPlaylist {
    /// The place behind the last part or segment listed.
    pub(crate) fn edge(&self) -> Option<Position> {
        self.segments.last().map(|last| match last.target {
            Some(_) => (last.msn + 1, 0),
            None => (last.msn, last.parts.len()),
        })
    }
}

/// Reads a multivariant playlist; `None` when it names no media playlist.
pub(crate) fn multivariant(base: &str, text: &str) -> Option<Multivariant> {
    let mut renditions = Vec::new();
    let mut variant: Option<&str> = None;
    for line in text.lines() {
        if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
            renditions.push(list);
        } else if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            variant = Some(list);
        } else if !line.is_empty() && !line.starts_with('#') {
            let Some(variant) = variant else { continue };
            let mut playlists = vec![resolve(base, line)];
            let group = attribute(variant, "AUDIO");
            let of_group = |list: &&&str| {
                attribute(list, "TYPE") == Some("AUDIO") && attribute(list, "GROUP-ID") == group
            };
            let is_default = |list: &&&str| attribute(list, "DEFAULT") == Some("YES");
            let sound = renditions.iter().filter(of_group).find(is_default);
            let sound = sound.or_else(|| renditions.iter().find(of_group));
            // A rendition without URI is muxed into the variant.
            if let Some(uri) = sound.and_then(|list| attribute(list, "URI")) {
                let target = resolve(base, uri);
                if group.is_some() && target != playlists[0] {
                    playlists.push(target);
                }
            }
            return Some(Multivariant { playlists });
        }
    }
    None
}

/// Reads a media playlist; the error says what is wrong with it.
pub(crate) fn media(base: &str, text: &str) -> Result<MediaPlaylist, &'static str> {
    if !text.starts_with("#EXTM3U") {
        return Err("no #EXTM3U");
    }
    let mut list = MediaPlaylist::default();
    let mut msn = 0u64;
    let mut header: Option<Rc<str>> = None;
    let mut segment = Segment::default();
    for line in text.lines() {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-TARGETDURATION" => list.target_s = number(value)?,
            "#EXT-X-MEDIA-SEQUENCE" => msn = value.parse().map_err(|_| "bad media sequence")?,
            "#EXT-X-SERVER-CONTROL" => server_control(&mut list, value)?,
            "#EXT-X-PART-INF" => {
                let target = attribute(value, "PART-TARGET").ok_or("no PART-TARGET")?;
                list.part_target_s = Some(number(target)?);
            }
            "#EXT-X-SKIP" => {
                let skipped = attribute(value, "SKIPPED-SEGMENTS").ok_or("no SKIPPED-SEGMENTS")?;
                let skipped: u64 = skipped.parse().map_err(|_| "bad SKIPPED-SEGMENTS")?;
                msn = msn.checked_add(skipped).ok_or("bad SKIPPED-SEGMENTS")?;
            }
            "#EXT-X-MAP" => {
                header = attribute(value, "URI").map(|uri| resolve(base, uri));
            }
            "#EXT-X-GAP" => segment.is_gap = true,
            "#EXT-X-PART" => segment.parts.push(part(base, value)?),
            "#EXTINF" => {
                segment.duration_s = number(value.split(',').next().unwrap_or_default())?;
            }
            "#EXT-X-ENDLIST" => list.ended = true,
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => {
                segment.msn = msn;
                segment.header.clone_from(&header);
                segment.target = Some(resolve(base, line));
                list.segments.push(std::mem::take(&mut segment));
                msn = msn.checked_add(1).ok_or("bad media sequence")?;
            }
        }
    }
    if !segment.parts.is_empty() {
        segment.msn = msn;
        segment.header = header;
        list.segments.push(segment);
    }
    if list.target_s <= 0.0 {
        return Err("no target duration");
    }
    Ok(list)
}

fn server_control(list: &mut MediaPlaylist, value: &str) -> Result<(), &'static str> {
    list.can_block = attribute(value, "CAN-BLOCK-RELOAD") == Some("YES");
    if let Some(hold_back) = attribute(value, "PART-HOLD-BACK") {
        list.part_hold_back_s = number(hold_back)?;
    }
    if attribute(value, "CAN-SKIP-UNTIL").is_some() {
        let with_ranges = attribute(value, "CAN-SKIP-DATERANGES") == Some("YES");
        list.skip = Some(if with_ranges { "v2" } else { "YES" });
    }
    Ok(())
}

fn part(base: &str, value: &str) -> Result<Part, &'static str> {
    if attribute(value, "BYTERANGE").is_some() {
        return Err("parts as byte ranges are not followed");
    }
    Ok(Part {
        target: resolve(base, attribute(value, "URI").ok_or("a part without URI")?),
        duration_s: number(attribute(value, "DURATION").ok_or("a part without DURATION")?)?,
        is_independent: attribute(value, "INDEPENDENT") == Some("YES"),
        is_gap: attribute(value, "GAP") == Some("YES"),
    })
}

fn number(text: &str) -> Result<f64, &'static str> {
    let number: f64 = text.trim().parse().map_err(|_| "not a number")?;
    let is_sane = number.is_finite() && (0.0..1e6).contains(&number);
    is_sane.then_some(number).ok_or("not a duration")
}

/// The value of an attribute in a list, without its quotes.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.trim_start_matches(','))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim() == name {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// The target a URI means in a playlist at `base`. Another host than the
/// playlist's is not followed: its path is asked for at the same one.
pub(crate) fn resolve(base: &str, uri: &str) -> Rc<str> {
    if let Some((_, rest)) = uri.split_once("://") {
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        return path.into();
    }
    if uri.starts_with('/') {
        return uri.into();
    }
    let path = base.split('?').next().unwrap_or_default();
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    let (uri, query) = match uri.find('?') {
        Some(at) => uri.split_at(at),
        None => (uri, ""),
    };
    for piece in uri.split('/') {
        match piece {
            "." => {}
            ".." if folders.len() > 1 => drop(folders.pop()),
            ".." => {}
            piece => folders.push(piece),
        }
    }
    (folders.join("/") + query).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LIVE: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.50000,CAN-SKIP-UNTIL=12.0\n\
        #EXT-X-PART-INF:PART-TARGET=0.50000\n#EXT-X-MEDIA-SEQUENCE:100\n\
        #EXT-X-MAP:URI=\"v/e-i0.mp4\"\n\
        #EXTINF:2.00000,\nv/e-s100.m4s\n\
        #EXT-X-PART:DURATION=0.50000,URI=\"v/e-p4.m4s\",INDEPENDENT=YES\n\
        #EXT-X-PART:DURATION=0.50000,URI=\"v/e-p5.m4s\"\n\
        #EXT-X-PART:DURATION=0.50000,URI=\"v/e-p6.m4s\"\n\
        #EXT-X-PART:DURATION=0.50000,URI=\"v/e-p7.m4s\"\n\
        #EXTINF:2.00000,\nv/e-s101.m4s\n\
        #EXT-X-PART:DURATION=0.50000,URI=\"v/e-p8.m4s\",INDEPENDENT=YES\n\
        #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"v/e-p9.m4s\"\n";

    #[test]
    fn a_live_playlist_with_a_segment_under_way() {
        let list = media("/live/ch/v.m3u8?_HLS_msn=1", LIVE).unwrap();
        assert_eq!((list.target_s, list.part_target_s), (2.0, Some(0.5)));
        assert_eq!((list.part_hold_back_s, list.can_block), (1.5, true));
        assert_eq!((list.skip, list.ended), (Some("YES"), false));
        let numbers: Vec<u64> = list.segments.iter().map(|segment| segment.msn).collect();
        assert_eq!(numbers, [100, 101, 102]);
        let counts: Vec<usize> = list.segments.iter().map(|s| s.parts.len()).collect();
        assert_eq!(counts, [0, 4, 1]);
        assert_eq!(
            list.segments[1].target.as_deref(),
            Some("/live/ch/v/e-s101.m4s")
        );
        assert_eq!(
            list.segments[2].header.as_deref(),
            Some("/live/ch/v/e-i0.mp4")
        );
        assert_eq!(list.segments[2].target, None);
        assert!(list.segments[1].parts[0].is_independent);
        assert_eq!(list.edge(), Some((102, 1)));
    }

    #[test]
    fn a_delta_counts_what_it_leaves_out() {
        let delta = LIVE.replace(
            "#EXT-X-MAP:URI=\"v/e-i0.mp4\"\n#EXTINF:2.00000,\nv/e-s100.m4s\n",
            "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n",
        );
        let list = media("/live/ch/v.m3u8", &delta).unwrap();
        assert_eq!(list.segments[0].msn, 101);
        assert_eq!(list.segments[0].header, None);
        assert_eq!(list.edge(), Some((102, 1)));
    }

    #[test]
    fn what_is_no_playlist_is_refused() {
        for text in [
            "",
            "<html>",
            "#EXTM3U\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:NaN\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:-1\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART:URI=\"a\"\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\na\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n\
             #EXT-X-SKIP:SKIPPED-SEGMENTS=18446744073709551615\n",
        ] {
            assert!(media("/", text).is_err(), "{text:?}");
        }
        assert_eq!(multivariant("/", "#EXTM3U\n"), None);
    }

    #[test]
    fn the_first_variant_and_its_default_sound() {
        let text = "#EXTM3U\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"hi\",NAME=\"x, y\",URI=\"other.m3u8\"\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"lo\",NAME=\"de\",URI=\"de.m3u8\"\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"lo\",NAME=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\",AUDIO=\"lo\"\nv0.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"hi\"\nv1.m3u8\n";
        let chosen = multivariant("/live/ch/index.m3u8", text).unwrap();
        let playlists: Vec<&str> = chosen.playlists.iter().map(|target| &**target).collect();
        assert_eq!(playlists, ["/live/ch/v0.m3u8", "/live/ch/en.m3u8"]);
    }

    #[test]
    fn sound_alone_is_followed_once() {
        let text = "#EXTM3U\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nen.m3u8\n";
        let chosen = multivariant("/i.m3u8", text).unwrap();
        assert_eq!(chosen.playlists.len(), 1);
    }

    #[test]
    fn uris_are_resolved_against_the_playlist() {
        for (base, uri, target) in [
            ("/live/ch/v.m3u8", "v/p1.m4s", "/live/ch/v/p1.m4s"),
            (
                "/live/ch/v.m3u8?a=/b",
                "p1.m4s?x=../y",
                "/live/ch/p1.m4s?x=../y",
            ),
            ("/live/ch/v.m3u8", "../other/p", "/live/other/p"),
            ("/v.m3u8", "../../p", "/p"),
            ("/live/v.m3u8", "/p", "/p"),
            ("/live/v.m3u8", "http://cdn.test/a/p", "/a/p"),
        ] {
            assert_eq!(&*resolve(base, uri), target);
        }
    }
}
