//! Scripted channels, and what a foreign reader sees in their playlists.

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::{PreloadHintType, Tag};
use quick_m3u8::{HlsLine, Reader};

pub(crate) use crate::media::testing::{
    EPOCH, Script, addressed_reference_state, header, reference_state, sparse_numbers,
};

/// Compares `text` with a file under `fixtures/golden/hls`, which
/// `UPDATE_GOLDEN=1` writes anew, and has a foreign reader take it.
#[track_caller]
pub(crate) fn golden(name: &str, text: &str) {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/fixtures/golden/hls/{name}.m3u8");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{path}"
    );
    for line in lines(text) {
        let taken = line.starts_with("KnownTag") || line.starts_with("Uri");
        assert!(
            taken,
            "a line that the foreign reader does not know: {line}"
        );
    }
}

/// Every line as the foreign reader sees it.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    each_line(text, |line| lines.push(format!("{line:?}")));
    lines
}

fn each_line(text: &str, mut see: impl FnMut(HlsLine<'_>)) {
    let options = ParsingOptionsBuilder::new()
        .with_parsing_for_all_tags()
        .build();
    let mut reader = Reader::from_str(text, options);
    while let Some(line) = reader
        .read_line()
        .expect("the foreign reader takes every line")
    {
        see(line);
    }
}

/// A segment or the parts behind the last one, as the foreign reader sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SegmentFacts {
    pub(crate) uri: String,
    pub(crate) duration: f64,
    pub(crate) gap: bool,
    pub(crate) discontinuity: bool,
    /// The map in force.
    pub(crate) map: String,
    pub(crate) dates: usize,
    /// URI, behind it `#OFFSET+LENGTH` of a range, duration, independent, gap.
    pub(crate) parts: Vec<(String, f64, bool, bool)>,
}

/// A media playlist as the foreign reader sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) target: u64,
    pub(crate) msn: u64,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) part_target: Option<f64>,
    pub(crate) part_hold_back: Option<f64>,
    pub(crate) blocks: bool,
    pub(crate) skips: bool,
    pub(crate) segments: Vec<SegmentFacts>,
    pub(crate) open: SegmentFacts,
    /// URI, behind it `#OFFSET` of a range.
    pub(crate) hints: Vec<String>,
    pub(crate) map_hints: Vec<String>,
    pub(crate) reports: Vec<(String, u64, Option<u64>)>,
    pub(crate) ended: bool,
}

impl Facts {
    pub(crate) fn read(text: &str) -> Self {
        let mut facts = Self::default();
        each_line(text, |line| match line {
            HlsLine::Uri(uri) => {
                let next = SegmentFacts {
                    map: facts.open.map.clone(),
                    ..Default::default()
                };
                let mut whole = std::mem::replace(&mut facts.open, next);
                whole.uri = uri.into();
                facts.segments.push(whole);
            }
            HlsLine::KnownTag(KnownTag::Hls(tag)) => facts.take(&tag),
            other => panic!("unexpected line {other:?}"),
        });
        facts
    }

    fn take(&mut self, tag: &Tag<'_>) {
        let open = &mut self.open;
        match tag {
            Tag::Targetduration(tag) => self.target = tag.target_duration(),
            Tag::MediaSequence(tag) => self.msn = tag.media_sequence(),
            Tag::DiscontinuitySequence(tag) => {
                self.discontinuity_sequence = tag.discontinuity_sequence();
            }
            Tag::PartInf(tag) => self.part_target = Some(tag.part_target()),
            Tag::ServerControl(tag) => {
                self.part_hold_back = tag.part_hold_back();
                self.blocks = tag.can_block_reload();
                self.skips = tag.can_skip_until().is_some();
            }
            Tag::Discontinuity(_) => {
                assert!(
                    open.parts.is_empty(),
                    "a break stands in front of the parts"
                );
                open.discontinuity = true;
            }
            Tag::Map(tag) => {
                assert!(open.parts.is_empty(), "a map stands in front of the parts");
                open.map = tag.uri().into();
            }
            Tag::ProgramDateTime(_) => {
                assert!(open.parts.is_empty(), "a date stands in front of the parts");
                open.dates += 1;
            }
            Tag::Part(tag) => {
                let range = tag.byterange().map(|range| {
                    let offset = range.offset.expect("it says where it begins");
                    format!("#{offset}+{}", range.length)
                });
                let part = (
                    format!("{}{}", tag.uri(), range.unwrap_or_default()),
                    tag.duration(),
                    tag.independent(),
                    tag.gap(),
                );
                open.parts.push(part);
            }
            Tag::Gap(_) => open.gap = true,
            Tag::Inf(tag) => open.duration = tag.duration(),
            Tag::PreloadHint(tag) => match tag.hint_type().known() {
                Some(PreloadHintType::Part) => {
                    assert_eq!(tag.byterange_length(), None, "nobody knows it");
                    let uri = tag.uri();
                    // Absent and zero look alike; a part of its own has neither.
                    let hint = match tag.byterange_start() {
                        0 if uri.contains("-p") => uri.into(),
                        start => format!("{uri}#{start}"),
                    };
                    self.hints.push(hint);
                }
                Some(PreloadHintType::Map) => self.map_hints.push(tag.uri().into()),
                None => panic!("a hint of no known type"),
            },
            Tag::RenditionReport(tag) => {
                self.reports
                    .push((tag.uri().into(), tag.last_msn(), tag.last_part()));
            }
            Tag::Endlist(_) => self.ended = true,
            Tag::M3u(_) | Tag::Version(_) => {}
            other => panic!("unexpected tag {other:?}"),
        }
    }
}
