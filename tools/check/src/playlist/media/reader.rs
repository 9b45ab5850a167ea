//! Reads a media playlist line by line.

use std::sync::Arc;

use super::{Hint, Map, Media, Part, Range, Segment, Skip};
use crate::limits;
use crate::playlist::attributes::{Attributes, integer};
use crate::playlist::variables::{self, Variables};
use crate::playlist::{At, Printed, date, syntax, tag};

/// Tags that a media playlist has at most once.
const ONCE: &[&str] = &[
    "#EXTM3U",
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-ENDLIST",
    "#EXT-X-PLAYLIST-TYPE",
    "#EXT-X-I-FRAMES-ONLY",
    "#EXT-X-PART-INF",
    "#EXT-X-SERVER-CONTROL",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    "#EXT-X-START",
    "#EXT-X-SKIP",
];

pub(super) struct Reader<'a> {
    out: Media,
    above: &'a Variables,
    variables: Variables,
    once: Vec<&'static str>,
    /// The segment that tags are collected for.
    next: Segment,
    has_duration: bool,
    keys: Vec<String>,
    keys_are_behind_segment: bool,
    /// Where the last byte range of each resource ended.
    range_end: Option<(String, u64)>,
    part_range_end: Option<(String, u64)>,
    discontinuities: u64,
    entries: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(address: &str, above: &'a Variables) -> Self {
        let out = Media {
            address: address.to_owned(),
            ..Media::default()
        };
        Self {
            out,
            above,
            variables: Variables::new(),
            once: Vec::new(),
            next: Segment::default(),
            has_duration: false,
            keys: Vec::new(),
            keys_are_behind_segment: false,
            range_end: None,
            part_range_end: None,
            discontinuities: 0,
            entries: 0,
        }
    }

    fn fault(&mut self, line: usize, clause: &'static str, what: &'static str, text: &str) {
        self.out.faults.add(line, clause, what, text);
    }

    pub(super) fn line(&mut self, line: usize, text: &str) {
        if line == 1 && text != "#EXTM3U" {
            self.fault(
                line,
                "rfc8216bis 4.4.1.1",
                "the first line is not #EXTM3U",
                text,
            );
        }
        if let Some(at) = text.find(|char: char| char.is_control()) {
            self.fault(
                line,
                "rfc8216bis 4.1",
                "a line has a control character",
                &text[at..],
            );
        }
        match tag(text) {
            Some((name, value)) => self.tag(line, name, value),
            None if text.is_empty() || text.starts_with('#') => {}
            None => self.uri(line, text),
        }
    }

    fn tag(&mut self, line: usize, name: &str, value: &str) {
        if let Some(once) = ONCE.iter().find(|once| **once == name) {
            if self.once.contains(once) {
                self.fault(
                    line,
                    "rfc8216bis 4.4",
                    "a tag stands twice that stands once",
                    name,
                );
                return;
            }
            self.once.push(once);
        }
        match name {
            "#EXT-X-VERSION" => {
                let value = self.number(line, "rfc8216bis 4.4.1.2", value);
                self.out.version = Some(At { line, value });
            }
            "#EXT-X-TARGETDURATION" => {
                self.out.target_s = Some(self.number(line, "rfc8216bis 4.4.3.1", value));
            }
            "#EXT-X-MEDIA-SEQUENCE" => {
                self.before_segments(line, "rfc8216bis 4.4.3.2", name);
                self.out.media_sequence = self.number(line, "rfc8216bis 4.4.3.2", value);
                self.next.msn = self.out.media_sequence;
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.before_segments(line, "rfc8216bis 4.4.3.3", name);
                if self.next.starts_discontinuity || self.discontinuities > 0 {
                    let what = "the discontinuity sequence stands behind a discontinuity";
                    self.fault(line, "rfc8216bis 4.4.3.3", what, name);
                }
                let number = self.number(line, "rfc8216bis 4.4.3.3", value);
                self.out.discontinuity_sequence = Some(number);
            }
            "#EXT-X-PLAYLIST-TYPE" => {
                if !matches!(value, "EVENT" | "VOD") {
                    self.fault(
                        line,
                        "rfc8216bis 4.4.3.5",
                        "a playlist type is neither EVENT nor VOD",
                        value,
                    );
                }
                self.out.playlist_type = Some(value.to_owned());
            }
            "#EXT-X-I-FRAMES-ONLY" => {
                self.out.iframes_only = true;
                self.out.needs.at_least(4, "EXT-X-I-FRAMES-ONLY");
            }
            "#EXT-X-ENDLIST" => self.out.ended = true,
            "#EXTINF" => self.extinf(line, value),
            "#EXT-X-BYTERANGE" => {
                self.out.needs.at_least(4, "EXT-X-BYTERANGE");
                self.next.range = self.range(line, "rfc8216bis 4.4.4.2", value, None);
            }
            "#EXT-X-DISCONTINUITY" => {
                self.before_parts(line, name);
                self.next.starts_discontinuity = true;
            }
            "#EXT-X-PROGRAM-DATE-TIME" => self.date(line, name, value),
            "#EXT-X-GAP" => self.next.gap = true,
            "#EXT-X-STREAM-INF" | "#EXT-X-I-FRAME-STREAM-INF" | "#EXT-X-MEDIA" => {
                self.fault(
                    line,
                    "rfc8216bis 4.1",
                    "a tag of multivariant playlists is in a media playlist",
                    name,
                );
            }
            _ => self.listed(line, name, value),
        }
    }

    /// Tags with attribute lists.
    fn listed(&mut self, line: usize, name: &str, value: &str) {
        let known = matches!(
            name,
            "#EXT-X-SERVER-CONTROL"
                | "#EXT-X-PART-INF"
                | "#EXT-X-PART"
                | "#EXT-X-MAP"
                | "#EXT-X-KEY"
                | "#EXT-X-SKIP"
                | "#EXT-X-PRELOAD-HINT"
                | "#EXT-X-RENDITION-REPORT"
                | "#EXT-X-DATERANGE"
                | "#EXT-X-DEFINE"
                | "#EXT-X-START"
        );
        if !known {
            return;
        }
        let faults = &mut self.out.faults;
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
            self.out.needs.at_least(12, "an attribute REQ-");
        }
        match name {
            "#EXT-X-SERVER-CONTROL" => self.out.control = Some(attributes),
            "#EXT-X-PART-INF" => self.out.part_target = attributes.decimal("PART-TARGET"),
            "#EXT-X-PART" => self.part(&attributes),
            "#EXT-X-MAP" => self.map(&attributes),
            "#EXT-X-KEY" => self.key(&attributes, value),
            "#EXT-X-SKIP" => self.skip(&attributes),
            "#EXT-X-PRELOAD-HINT" => self.hint(&attributes),
            "#EXT-X-RENDITION-REPORT" => self.out.reports.push(attributes),
            "#EXT-X-DATERANGE" => self.out.dateranges.push(attributes),
            "#EXT-X-DEFINE" => {
                let by_query = attributes.get("QUERYPARAM").is_some();
                let (version, why) = if by_query {
                    (11, "EXT-X-DEFINE:QUERYPARAM")
                } else {
                    (8, "EXT-X-DEFINE")
                };
                self.out.needs.at_least(version, why);
                let (known, address) = (&mut self.variables, &self.out.address);
                variables::define(
                    known,
                    &attributes,
                    address,
                    self.above,
                    &mut self.out.faults,
                );
            }
            _ => {}
        }
    }

    fn number(&mut self, line: usize, clause: &'static str, text: &str) -> u64 {
        integer(text).unwrap_or_else(|| {
            self.fault(line, clause, "a number is no decimal integer", text);
            0
        })
    }

    /// Tags that head a list stand before its first segment.
    fn before_segments(&mut self, line: usize, clause: &'static str, name: &str) {
        let begun = !self.out.segments.is_empty() || !self.next.parts.is_empty();
        if begun || self.out.skip.is_some() {
            self.fault(
                line,
                clause,
                "a tag stands behind the first segment, part or EXT-X-SKIP",
                name,
            );
        }
    }

    /// Tags of a segment stand before its first part (section 4.4.4.9).
    fn before_parts(&mut self, line: usize, name: &str) {
        if !self.next.parts.is_empty() {
            let what = "a tag of a segment stands behind its first part";
            self.fault(line, "rfc8216bis 4.4.4.9", what, name);
        }
    }

    fn extinf(&mut self, line: usize, value: &str) {
        let (digits, _title) = value.split_once(',').unwrap_or((value, ""));
        if !value.contains(',') {
            self.fault(
                line,
                "rfc8216bis 4.4.4.1",
                "EXTINF has no comma behind its duration",
                value,
            );
        }
        if self.has_duration {
            self.fault(
                line,
                "rfc8216bis 4.4.4.1",
                "a segment has two EXTINF",
                value,
            );
        }
        if digits.contains('.') {
            self.out.needs.at_least(3, "decimal EXTINF");
        }
        self.has_duration = true;
        match Printed::parse(digits) {
            Some(printed) => self.next.duration = printed,
            None => self.fault(line, "rfc8216bis 4.4.4.1", "an EXTINF is no decimal", value),
        }
    }

    fn date(&mut self, line: usize, name: &str, value: &str) {
        self.before_parts(line, name);
        match date::parse(value) {
            None => self.fault(line, "rfc8216bis 4.4.4.6", "a date is not ISO 8601", value),
            Some((wall_us, has_zone)) => {
                if !has_zone {
                    self.fault(
                        line,
                        "rfc8216bis 4.4.4.6",
                        "a date names no time zone",
                        value,
                    );
                }
                self.next.wall_us = Some(wall_us);
            }
        }
    }

    /// `length[@start]`; without a start it goes on where the last one of the
    /// same resource ended.
    fn range(
        &mut self,
        line: usize,
        clause: &'static str,
        text: &str,
        on: Option<u64>,
    ) -> Option<Range> {
        let (len, start) = match text.split_once('@') {
            Some((len, start)) => (integer(len), integer(start)),
            None => (integer(text), on),
        };
        if len.is_none() || (start.is_none() && text.contains('@')) {
            self.fault(line, clause, "a byte range is not length[@start]", text);
            return None;
        }
        // A segment's own range without a start is completed at its URI.
        Some(Range {
            start: start.unwrap_or(u64::MAX),
            len,
        })
    }

    fn part(&mut self, attributes: &Attributes) {
        let line = attributes.line;
        let uri = attributes.owned("URI").unwrap_or_default();
        let on = self
            .part_range_end
            .take()
            .filter(|(of, _)| *of == uri)
            .map(|(_, end)| end);
        let range = attributes.get("BYTERANGE");
        let range =
            range.and_then(|text| self.range(line, "rfc8216bis 4.4.4.9", text, on.or(Some(0))));
        if let Some(Range {
            start,
            len: Some(len),
        }) = range
        {
            self.part_range_end = Some((uri.clone(), start.saturating_add(len)));
        }
        if self.next.parts.is_empty() {
            self.next.line = line;
        }
        for hint in self.out.hints.iter_mut().filter(|hint| hint.kind == "PART") {
            hint.is_before_part = true;
        }
        self.entries += 1;
        if self.entries <= limits::ENTRIES_MAX {
            self.next.parts.push(Part {
                line,
                uri,
                duration: attributes.decimal("DURATION").unwrap_or_default(),
                independent: attributes.yes("INDEPENDENT"),
                gap: attributes.yes("GAP"),
                range,
            });
        }
    }

    fn map(&mut self, attributes: &Attributes) {
        let line = attributes.line;
        self.before_parts(line, "#EXT-X-MAP");
        self.out.needs.at_least(5, "EXT-X-MAP");
        let range = attributes.get("BYTERANGE");
        let range = range.and_then(|text| self.range(line, "rfc8216bis 4.4.4.5", text, Some(0)));
        let uri = attributes.owned("URI").unwrap_or_default();
        self.next.map = Some(Arc::new(Map { uri, range }));
    }

    fn key(&mut self, attributes: &Attributes, text: &str) {
        self.before_parts(attributes.line, "#EXT-X-KEY");
        let names = |name| attributes.get(name).is_some();
        if names("IV") {
            self.out.needs.at_least(2, "IV of EXT-X-KEY");
        }
        if names("KEYFORMAT") || names("KEYFORMATVERSIONS") {
            self.out.needs.at_least(5, "KEYFORMAT of EXT-X-KEY");
        }
        // A group of keys in front of one segment replaces the group before it.
        if std::mem::take(&mut self.keys_are_behind_segment) {
            self.keys.clear();
        }
        if self.keys.len() < limits::FAULTS_MAX {
            self.keys.push(text.to_owned());
        }
        self.next.keys = self.keys.join("\n").into();
    }

    fn skip(&mut self, attributes: &Attributes) {
        if !self.out.segments.is_empty() || !self.next.parts.is_empty() {
            let what = "EXT-X-SKIP stands behind a segment";
            self.fault(attributes.line, "rfc8216bis 4.4.5.2", what, "#EXT-X-SKIP");
        }
        self.out.needs.at_least(9, "EXT-X-SKIP");
        let segments = attributes.integer("SKIPPED-SEGMENTS").unwrap_or(0);
        let removed = attributes.get("RECENTLY-REMOVED-DATERANGES");
        let ids = |text: &str| {
            text.split('\t')
                .filter(|id| !id.is_empty())
                .map(str::to_owned)
                .collect()
        };
        self.out.skip = Some(Skip {
            line: attributes.line,
            segments,
            removed: removed.map(ids),
        });
        self.next.msn = self.out.media_sequence.saturating_add(segments);
    }

    fn hint(&mut self, attributes: &Attributes) {
        let (start, len) = (
            attributes.integer("BYTERANGE-START"),
            attributes.integer("BYTERANGE-LENGTH"),
        );
        let range = (start.is_some() || len.is_some()).then(|| Range {
            start: start.unwrap_or(0),
            len,
        });
        if self.out.hints.len() < limits::FAULTS_MAX {
            self.out.hints.push(Hint {
                line: attributes.line,
                kind: attributes.owned("TYPE").unwrap_or_default(),
                uri: attributes.owned("URI").unwrap_or_default(),
                range,
                is_before_part: false,
            });
        }
    }

    fn uri(&mut self, line: usize, text: &str) {
        if !self.has_duration {
            self.fault(line, "rfc8216bis 4.4.4.1", "a segment has no EXTINF", text);
        }
        self.entries += 1;
        if self.entries > limits::ENTRIES_MAX {
            return;
        }
        let uri = variables::substitute(text, &self.variables, line, &mut self.out.faults);
        let mut segment = self.close();
        segment.line = line;
        if let Some(range) = &mut segment.range {
            if range.start == u64::MAX {
                let on = self.range_end.take().filter(|(of, _)| *of == uri);
                if on.is_none() {
                    let what = "a byte range without a start has none to go on from";
                    self.fault(line, "rfc8216bis 4.4.4.2", what, text);
                }
                range.start = on.map_or(0, |(_, end)| end);
            }
            self.range_end = Some((
                uri.clone(),
                range.start.saturating_add(range.len.unwrap_or(0)),
            ));
        }
        segment.uri = uri;
        self.out.segments.push(segment);
    }

    /// Ends the segment that is collected and begins the next.
    fn close(&mut self) -> Segment {
        if self.next.starts_discontinuity {
            self.discontinuities += 1;
        }
        let base = self.out.discontinuity_sequence.unwrap_or(0);
        self.next.discontinuity = base.saturating_add(self.discontinuities);
        self.has_duration = false;
        self.keys_are_behind_segment = true;
        let next = Segment {
            msn: self.next.msn.saturating_add(1),
            map: self.next.map.clone(),
            keys: self.next.keys.clone(),
            ..Segment::default()
        };
        std::mem::replace(&mut self.next, next)
    }

    pub(super) fn finish(mut self) -> Media {
        if self.has_duration {
            self.fault(
                0,
                "rfc8216bis 4.4.4.1",
                "the last EXTINF has no URI behind it",
                "",
            );
        }
        if self.out.target_s.is_none() {
            self.fault(
                0,
                "rfc8216bis 4.4.3.1",
                "there is no EXT-X-TARGETDURATION",
                "",
            );
        }
        if self.entries > limits::ENTRIES_MAX {
            self.fault(
                0,
                "limits of this reader",
                "there are more entries than are read",
                "",
            );
        }
        let open = self.close();
        self.out.open = open;
        let maps = self.out.all().any(|segment| segment.map.is_some());
        if maps && !self.out.iframes_only {
            self.out
                .needs
                .at_least(6, "EXT-X-MAP without EXT-X-I-FRAMES-ONLY");
        }
        self.out
    }
}
