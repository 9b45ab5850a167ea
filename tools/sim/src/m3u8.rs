//! A small and strict reader of playlists: what it doesn't know is an error.

use std::collections::BTreeMap;

/// A media playlist as printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// `EXT-X-TARGETDURATION`, seconds.
    pub target_s: u64,
    /// `EXT-X-SERVER-CONTROL`, as printed.
    pub server_control: Option<String>,
    /// `PART-TARGET` in microseconds.
    pub part_target_us: Option<u64>,
    /// `PART-HOLD-BACK` in microseconds.
    pub part_hold_back_us: Option<u64>,
    /// `CAN-SKIP-UNTIL` in microseconds.
    pub can_skip_until_us: Option<u64>,
    /// Whether `CAN-BLOCK-RELOAD=YES`.
    pub can_block: bool,
    /// `EXT-X-MEDIA-SEQUENCE`.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// `SKIPPED-SEGMENTS` of a delta.
    pub skipped: Option<u64>,
    /// Whole segments, the first of number `media_sequence + skipped`.
    pub segments: Vec<Segment>,
    /// What is printed of the segment under way.
    pub open: Segment,
    /// URIs of hints of type PART.
    ///
    /// Behind the URI stands `#OFFSET` of a range.
    pub part_hints: Vec<String>,
    /// URIs of hints of type MAP.
    pub map_hints: Vec<String>,
    /// `EXT-X-DATERANGE`, in order.
    pub date_ranges: Vec<DateRange>,
    /// `RECENTLY-REMOVED-DATERANGES` of a delta.
    pub recently_removed: Option<String>,
    /// `EXT-X-RENDITION-REPORT`: URI, last MSN, last part.
    pub reports: Vec<(String, u64, Option<u64>)>,
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
}

/// An `EXT-X-DATERANGE`: its attributes by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DateRange {
    /// Values without quotes.
    pub attributes: BTreeMap<String, String>,
}

impl DateRange {
    /// Which range it speaks of.
    pub fn id(&self) -> &str {
        self.attributes.get("ID").map_or("", String::as_str)
    }

    /// All of it, in one form.
    pub fn line(&self) -> String {
        format!("{:?}", self.attributes)
    }
}

/// A segment, whole or open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// Empty for the open one.
    pub uri: String,
    /// EXTINF in microseconds; zero for the open one.
    pub duration_us: u64,
    /// `EXT-X-PROGRAM-DATE-TIME` in microseconds since 1970.
    pub wall_us: Option<i64>,
    /// `EXT-X-DISCONTINUITY` in front of it.
    pub discontinuity: bool,
    /// `EXT-X-GAP`.
    pub gap: bool,
    /// URI of the `EXT-X-MAP` in force; `None` when a delta left it out.
    pub map: Option<String>,
    /// Its parts, if still printed.
    pub parts: Vec<Part>,
}

/// An `EXT-X-PART`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Where it is; behind the URI `#OFFSET+LENGTH` of a range.
    pub uri: String,
    /// DURATION in microseconds.
    pub duration_us: u64,
    /// INDEPENDENT=YES.
    pub independent: bool,
    /// GAP=YES.
    pub gap: bool,
}

impl Part {
    /// Where it is, as a hint says it: of a range, only where it begins.
    pub fn place(&self) -> &str {
        self.uri
            .split_once('+')
            .map_or(&self.uri, |(place, _)| place)
    }
}

impl Media {
    /// Number of the newest whole segment.
    pub fn full(&self) -> Option<u64> {
        self.segments.last().map(|segment| segment.msn)
    }

    /// Number and part index of the newest part; a whole segment without
    /// printed parts counts as one part.
    pub fn edge(&self) -> Option<(u64, u64)> {
        if !self.open.parts.is_empty() {
            return Some((self.open.msn, self.open.parts.len() as u64 - 1));
        }
        let last = self.segments.last()?;
        Some((last.msn, (last.parts.len() as u64).max(1) - 1))
    }

    /// Whole segments and the open one, if it is listed by a part.
    pub fn all(&self) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .chain(Some(&self.open).filter(|open| !open.parts.is_empty()))
    }

    /// Duration of the printed whole segments.
    pub fn duration_us(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.duration_us)
            .sum()
    }
}

/// Reads a media playlist.
pub fn media(text: &str) -> Result<Media, String> {
    let mut reader = Reader::default();
    let mut lines = text.lines();
    if lines.next() != Some("#EXTM3U") {
        return Err("no #EXTM3U".into());
    }
    for line in lines {
        reader
            .line(line)
            .map_err(|error| format!("{error} in line {line:?}"))?;
    }
    if !text.ends_with('\n')
        || reader.playlist.target_s == 0
        || !reader.seen.contains_key("sequence")
    {
        return Err("not a whole media playlist".into());
    }
    let mut playlist = reader.playlist;
    playlist.open = reader.segment;
    playlist.open.msn = reader.next_msn;
    Ok(playlist)
}

/// URIs of all media playlists of a multivariant playlist, in order, each once.
pub fn multivariant(text: &str) -> Result<Vec<String>, String> {
    let mut uris: Vec<String> = Vec::new();
    let mut variant = false;
    for (number, line) in text.lines().enumerate() {
        let mut uri = None;
        if number == 0 && line != "#EXTM3U" {
            return Err("no #EXTM3U".into());
        } else if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
            uri = attributes(list)?.remove("URI");
        } else if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            let attributes = attributes(list)?;
            if !attributes.contains_key("BANDWIDTH") || !attributes.contains_key("CODECS") {
                return Err(format!("no BANDWIDTH or CODECS in {line:?}"));
            }
            variant = true;
        } else if !line.starts_with('#') && !line.is_empty() {
            if !std::mem::take(&mut variant) {
                return Err(format!("URI without EXT-X-STREAM-INF: {line:?}"));
            }
            uri = Some(line.to_owned());
        }
        uris.extend(uri.filter(|uri| !uris.contains(uri)));
    }
    if uris.is_empty() {
        Err("no media playlist".into())
    } else {
        Ok(uris)
    }
}

#[derive(Default)]
struct Reader {
    playlist: Media,
    /// The segment under way.
    segment: Segment,
    next_msn: u64,
    map: Option<String>,
    extinf: bool,
    seen: BTreeMap<&'static str, ()>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some(tag) = line.strip_prefix('#') else {
            return self.uri(line);
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-VERSION" => self.once("version"),
            "EXT-X-INDEPENDENT-SEGMENTS" => self.once("independent"),
            "EXT-X-TARGETDURATION" => {
                self.playlist.target_s = number(value)?;
                self.once("target")
            }
            "EXT-X-SERVER-CONTROL" => self.server_control(value),
            "EXT-X-PART-INF" => {
                let target = attributes(value)?
                    .remove("PART-TARGET")
                    .ok_or("no PART-TARGET")?;
                self.playlist.part_target_us = Some(micros(&target)?);
                self.once("part-inf")
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                self.before_segments()?;
                self.playlist.media_sequence = number(value)?;
                self.next_msn = self.playlist.media_sequence;
                self.once("sequence")
            }
            "EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.before_segments()?;
                self.playlist.discontinuity_sequence = number(value)?;
                self.once("discontinuity-sequence")
            }
            "EXT-X-SKIP" => {
                self.before_segments()?;
                let mut list = attributes(value)?;
                let count = list.remove("SKIPPED-SEGMENTS").ok_or("no count")?;
                self.playlist.recently_removed = list.remove("RECENTLY-REMOVED-DATERANGES");
                self.playlist.skipped = Some(number(&count)?);
                self.next_msn = self.playlist.media_sequence + number(&count)?;
                self.once("skip")
            }
            "EXT-X-DATERANGE" => {
                self.before_parts()?;
                let attributes = attributes(value)?;
                if attributes.get("ID").is_none_or(String::is_empty) {
                    return Err("a date range without an id".into());
                }
                self.playlist.date_ranges.push(DateRange { attributes });
                Ok(())
            }
            "EXT-X-ENDLIST" => {
                self.playlist.ended = true;
                self.once("endlist")
            }
            "EXT-X-PRELOAD-HINT" => self.hint(value),
            "EXT-X-RENDITION-REPORT" => self.report(value),
            _ => self.segment_tag(name, value),
        }
    }

    fn segment_tag(&mut self, name: &str, value: &str) -> Result<(), String> {
        if self.playlist.ended || !self.playlist.part_hints.is_empty() {
            return Err("segment tag after the end".into());
        }
        // What describes the parent comes before its first part.
        let headed = self.segment.parts.is_empty() && !self.extinf;
        match name {
            "EXT-X-MAP" if headed => {
                self.map = Some(attributes(value)?.remove("URI").ok_or("no URI")?);
            }
            "EXT-X-DISCONTINUITY" if headed => self.segment.discontinuity = true,
            "EXT-X-PROGRAM-DATE-TIME" if headed => self.segment.wall_us = Some(wall(value)?),
            "EXT-X-GAP" => self.segment.gap = true,
            "EXT-X-PART" if !self.extinf => {
                let mut part = attributes(value)?;
                self.segment.map.clone_from(&self.map);
                let mut uri = part.remove("URI").ok_or("no URI")?;
                if let Some(range) = part.remove("BYTERANGE") {
                    let (len, offset) = range.split_once('@').ok_or("no offset")?;
                    let (offset, len) = (number(offset)?, number(len)?);
                    uri = format!("{uri}#{offset}+{len}");
                }
                self.segment.parts.push(Part {
                    uri,
                    duration_us: micros(&part.remove("DURATION").ok_or("no DURATION")?)?,
                    independent: part.remove("INDEPENDENT").is_some_and(|yes| yes == "YES"),
                    gap: part.remove("GAP").is_some_and(|yes| yes == "YES"),
                });
            }
            "EXTINF" if !self.extinf => {
                self.segment.duration_us = micros(value.strip_suffix(',').ok_or("no comma")?)?;
                self.extinf = true;
            }
            _ => return Err("unknown or misplaced tag".into()),
        }
        Ok(())
    }

    fn uri(&mut self, line: &str) -> Result<(), String> {
        if !std::mem::take(&mut self.extinf) || line.is_empty() {
            return Err("URI without EXTINF".into());
        }
        let mut segment = std::mem::take(&mut self.segment);
        segment.uri = line.to_owned();
        segment.msn = self.next_msn;
        segment.map.clone_from(&self.map);
        self.next_msn += 1;
        self.playlist.segments.push(segment);
        Ok(())
    }

    fn server_control(&mut self, value: &str) -> Result<(), String> {
        let list = attributes(value)?;
        let time = |name: &str| list.get(name).map(|value| micros(value)).transpose();
        self.playlist.part_hold_back_us = time("PART-HOLD-BACK")?;
        self.playlist.can_skip_until_us = time("CAN-SKIP-UNTIL")?;
        self.playlist.can_block = list.get("CAN-BLOCK-RELOAD").is_some_and(|yes| yes == "YES");
        self.playlist.server_control = Some(value.to_owned());
        self.once("server-control")
    }

    fn hint(&mut self, value: &str) -> Result<(), String> {
        let mut list = attributes(value)?;
        let mut uri = list.remove("URI").ok_or("no URI")?;
        if let Some(start) = list.remove("BYTERANGE-START") {
            uri = format!("{uri}#{}", number(&start)?);
        }
        match list.remove("TYPE").as_deref() {
            Some("PART") => self.playlist.part_hints.push(uri),
            Some("MAP") => self.playlist.map_hints.push(uri),
            _ => return Err("hint of unknown type".into()),
        }
        Ok(())
    }

    fn report(&mut self, value: &str) -> Result<(), String> {
        let mut list = attributes(value)?;
        let part = list
            .remove("LAST-PART")
            .map(|part| number(&part))
            .transpose()?;
        let msn = number(&list.remove("LAST-MSN").ok_or("no LAST-MSN")?)?;
        self.playlist
            .reports
            .push((list.remove("URI").ok_or("no URI")?, msn, part));
        Ok(())
    }

    /// A discontinuity of the first segment may stand in front.
    fn before_parts(&self) -> Result<(), String> {
        let none = self.playlist.segments.is_empty() && self.segment.wall_us.is_none();
        none.then_some(())
            .ok_or_else(|| "tag belongs before the segments".into())
    }

    fn before_segments(&self) -> Result<(), String> {
        let none = self.playlist.segments.is_empty() && self.segment == Segment::default();
        if none {
            Ok(())
        } else {
            Err("tag belongs before the segments".into())
        }
    }

    fn once(&mut self, name: &'static str) -> Result<(), String> {
        match self.seen.insert(name, ()) {
            None => Ok(()),
            Some(()) => Err(format!("{name} twice")),
        }
    }
}

fn attributes(list: &str) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("attribute without a value")?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').ok_or("open quote")?;
                (
                    value,
                    after
                        .strip_prefix(',')
                        .or_else(|| after.is_empty().then_some("")),
                )
            }
            None => after
                .split_once(',')
                .map_or((after, Some("")), |(v, a)| (v, Some(a))),
        };
        rest = after.ok_or("no comma after a quoted value")?;
        if out.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{name} twice"));
        }
    }
    Ok(out)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a number: {text:?}"))
}

/// A decimal number of seconds in microseconds.
fn micros(text: &str) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 {
        return Err(format!("more than microseconds: {text:?}"));
    }
    let padded = format!("{fraction:0<6}");
    Ok(number(whole)? * 1_000_000 + number(&padded)?)
}

/// `2026-01-01T00:03:20.000Z` in microseconds since 1970.
pub fn wall(text: &str) -> Result<i64, String> {
    let bad = || format!("not a date: {text:?}");
    let bytes = text.as_bytes();
    if bytes.len() != 24 || bytes[10] != b'T' || bytes[23] != b'Z' || !text.is_ascii() {
        return Err(bad());
    }
    let field = |from: usize, to: usize| text[from..to].parse::<i64>().map_err(|_| bad());
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second, ms) = (
        field(11, 13)?,
        field(14, 16)?,
        field(17, 19)?,
        field(20, 23)?,
    );
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = |year: i64| {
        (1970..year)
            .map(|y| if leap(y) { 366 } else { 365 })
            .sum::<i64>()
    };
    let lengths = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let months: i64 = lengths.iter().take((month - 1) as usize).sum();
    let days = before(year) + months + day - 1;
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + ms * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.50000,CAN-SKIP-UNTIL=12.00000\n\
        #EXT-X-PART-INF:PART-TARGET=0.50000\n#EXT-X-MEDIA-SEQUENCE:100\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n\
        #EXT-X-MAP:URI=\"v/h.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:03:20.000Z\n\
        #EXTINF:2.00000,\nv/s104.m4s\n#EXT-X-DISCONTINUITY\n\
        #EXT-X-PART:DURATION=0.33334,URI=\"v/p9.m4s\",INDEPENDENT=YES\n\
        #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"v/p10.m4s\"\n\
        #EXT-X-RENDITION-REPORT:URI=\"a.m3u8\",LAST-MSN=105,LAST-PART=0\n";

    #[test]
    fn a_delta_is_read() {
        let got = media(TEXT).expect("a good playlist");
        assert_eq!((got.full(), got.edge()), (Some(104), Some((105, 0))));
        assert_eq!(
            (got.segments[0].duration_us, got.open.parts[0].duration_us),
            (2_000_000, 333_340)
        );
        assert_eq!(got.segments[0].wall_us, Some(1_767_225_800_000_000));
        assert!(got.open.discontinuity && got.can_block && !got.ended);
        assert_eq!(got.open.map.as_deref(), Some("v/h.mp4"));
        assert_eq!(got.reports, [("a.m3u8".to_owned(), 105, Some(0))]);
    }

    #[test]
    fn what_is_unknown_misplaced_or_cut_is_an_error() {
        for (from, to) in [
            ("#EXT-X-PART-INF", "#EXT-X-WHAT"),
            ("2.00000,", "2.00000"),
            ("v/s104.m4s\n", ""),
            (
                "CAN-BLOCK-RELOAD=YES,",
                "CAN-BLOCK-RELOAD=YES,CAN-BLOCK-RELOAD=NO,",
            ),
            ("LAST-PART=0\n", "LAST-PART=0"),
            ("#EXTM3U", "EXTM3U"),
        ] {
            assert!(media(&TEXT.replace(from, to)).is_err(), "{from}");
        }
    }
}
