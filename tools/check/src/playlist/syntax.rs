//! Which attributes each tag takes, and of which type.

use super::attributes::{Attributes, integer};
use super::{Faults, Printed};

/// Types of attribute values (rfc8216bis section 4.2).
#[derive(Clone, Copy)]
enum Kind {
    Quoted,
    Decimal,
    Signed,
    Integer,
    Bool,
    Word,
    Hex,
    Resolution,
}

use Kind::{Bool, Decimal, Hex, Integer, Quoted, Resolution, Signed, Word};

struct Tag {
    name: &'static str,
    clause: &'static str,
    required: &'static [(&'static str, Kind)],
    optional: &'static [(&'static str, Kind)],
}

const VARIANT: &[(&str, Kind)] = &[
    ("AVERAGE-BANDWIDTH", Integer),
    ("SCORE", Decimal),
    ("CODECS", Quoted),
    ("SUPPLEMENTAL-CODECS", Quoted),
    ("RESOLUTION", Resolution),
    ("FRAME-RATE", Decimal),
    ("HDCP-LEVEL", Word),
    ("ALLOWED-CPC", Quoted),
    ("VIDEO-RANGE", Word),
    ("REQ-VIDEO-LAYOUT", Quoted),
    ("STABLE-VARIANT-ID", Quoted),
    ("AUDIO", Quoted),
    ("VIDEO", Quoted),
    ("SUBTITLES", Quoted),
    ("PATHWAY-ID", Quoted),
];

const TAGS: &[Tag] = &[
    Tag {
        name: "#EXT-X-SERVER-CONTROL",
        clause: "rfc8216bis 4.4.3.8",
        required: &[],
        optional: &[
            ("CAN-SKIP-UNTIL", Decimal),
            ("CAN-SKIP-DATERANGES", Bool),
            ("HOLD-BACK", Decimal),
            ("PART-HOLD-BACK", Decimal),
            ("CAN-BLOCK-RELOAD", Bool),
        ],
    },
    Tag {
        name: "#EXT-X-PART-INF",
        clause: "rfc8216bis 4.4.3.7",
        required: &[("PART-TARGET", Decimal)],
        optional: &[],
    },
    Tag {
        name: "#EXT-X-PART",
        clause: "rfc8216bis 4.4.4.9",
        required: &[("URI", Quoted), ("DURATION", Decimal)],
        optional: &[("INDEPENDENT", Bool), ("BYTERANGE", Quoted), ("GAP", Bool)],
    },
    Tag {
        name: "#EXT-X-MAP",
        clause: "rfc8216bis 4.4.4.5",
        required: &[("URI", Quoted)],
        optional: &[("BYTERANGE", Quoted)],
    },
    Tag {
        name: "#EXT-X-KEY",
        clause: "rfc8216bis 4.4.4.4",
        required: &[("METHOD", Word)],
        optional: &[
            ("URI", Quoted),
            ("IV", Hex),
            ("KEYFORMAT", Quoted),
            ("KEYFORMATVERSIONS", Quoted),
        ],
    },
    Tag {
        name: "#EXT-X-SKIP",
        clause: "rfc8216bis 4.4.5.2",
        required: &[("SKIPPED-SEGMENTS", Integer)],
        optional: &[("RECENTLY-REMOVED-DATERANGES", Quoted)],
    },
    Tag {
        name: "#EXT-X-PRELOAD-HINT",
        clause: "rfc8216bis 4.4.5.3",
        required: &[("TYPE", Word), ("URI", Quoted)],
        optional: &[("BYTERANGE-START", Integer), ("BYTERANGE-LENGTH", Integer)],
    },
    Tag {
        name: "#EXT-X-RENDITION-REPORT",
        clause: "rfc8216bis 4.4.5.4",
        required: &[("URI", Quoted)],
        optional: &[("LAST-MSN", Integer), ("LAST-PART", Integer)],
    },
    Tag {
        name: "#EXT-X-DATERANGE",
        clause: "rfc8216bis 4.4.5.1",
        required: &[("ID", Quoted), ("START-DATE", Quoted)],
        optional: &[
            ("CLASS", Quoted),
            ("CUE", Quoted),
            ("END-DATE", Quoted),
            ("DURATION", Decimal),
            ("PLANNED-DURATION", Decimal),
            ("SCTE35-CMD", Hex),
            ("SCTE35-OUT", Hex),
            ("SCTE35-IN", Hex),
            ("END-ON-NEXT", Bool),
        ],
    },
    Tag {
        name: "#EXT-X-DEFINE",
        clause: "rfc8216bis 4.4.2.3",
        required: &[],
        optional: &[
            ("NAME", Quoted),
            ("VALUE", Quoted),
            ("IMPORT", Quoted),
            ("QUERYPARAM", Quoted),
        ],
    },
    Tag {
        name: "#EXT-X-START",
        clause: "rfc8216bis 4.4.2.2",
        required: &[("TIME-OFFSET", Signed)],
        optional: &[("PRECISE", Bool)],
    },
    Tag {
        name: "#EXT-X-STREAM-INF",
        clause: "rfc8216bis 4.4.6.2",
        required: &[("BANDWIDTH", Integer)],
        optional: VARIANT,
    },
    Tag {
        name: "#EXT-X-I-FRAME-STREAM-INF",
        clause: "rfc8216bis 4.4.6.3",
        required: &[("BANDWIDTH", Integer), ("URI", Quoted)],
        optional: VARIANT,
    },
    Tag {
        name: "#EXT-X-MEDIA",
        clause: "rfc8216bis 4.4.6.1",
        required: &[("TYPE", Word), ("GROUP-ID", Quoted), ("NAME", Quoted)],
        optional: &[
            ("URI", Quoted),
            ("LANGUAGE", Quoted),
            ("ASSOC-LANGUAGE", Quoted),
            ("STABLE-RENDITION-ID", Quoted),
            ("DEFAULT", Bool),
            ("AUTOSELECT", Bool),
            ("FORCED", Bool),
            ("INSTREAM-ID", Quoted),
            ("BIT-DEPTH", Integer),
            ("SAMPLE-RATE", Integer),
            ("CHARACTERISTICS", Quoted),
            ("CHANNELS", Quoted),
        ],
    },
    Tag {
        name: "#EXT-X-CONTENT-STEERING",
        clause: "rfc8216bis 4.4.6.6",
        required: &[("SERVER-URI", Quoted)],
        optional: &[("PATHWAY-ID", Quoted)],
    },
];

/// Looks at types and presence of what a tag must and may have. Attributes that
/// are not in the table are for clients that know them (section 4.2).
pub(super) fn check(name: &str, attributes: &Attributes, faults: &mut Faults) {
    let Some(tag) = TAGS.iter().find(|tag| tag.name == name) else {
        return;
    };
    let line = attributes.line;
    for (required, _) in tag.required {
        if attributes.get(required).is_none() {
            let text = format!("{name} has no {required}");
            faults.add(line, tag.clause, "a required attribute is missing", &text);
        }
    }
    for attribute in attributes.iter() {
        let mut known = tag.required.iter().chain(tag.optional);
        let Some((_, kind)) = known.find(|(name, _)| *name == attribute.name) else {
            continue;
        };
        if !fits(*kind, &attribute.value, attribute.is_quoted) {
            let quote = if attribute.is_quoted { "\"" } else { "" };
            let text = format!(
                "{name}: {}={quote}{}{quote}",
                attribute.name, attribute.value
            );
            faults.add(line, tag.clause, "an attribute is not of its type", &text);
        }
    }
}

fn fits(kind: Kind, value: &str, is_quoted: bool) -> bool {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match kind {
        Quoted => is_quoted,
        _ if is_quoted => false,
        Decimal => Printed::parse(value).is_some(),
        Signed => Printed::parse(value.strip_prefix('-').unwrap_or(value)).is_some(),
        Integer => integer(value).is_some(),
        Bool => matches!(value, "YES" | "NO"),
        Word => !value.is_empty() && !value.contains(['"', ',', ' ']),
        Hex => value
            .strip_prefix("0x")
            .or_else(|| value.strip_prefix("0X"))
            .is_some_and(hex),
        Resolution => value
            .split_once('x')
            .is_some_and(|(width, height)| integer(width).is_some() && integer(height).is_some()),
    }
}
