//! The schema of MPDs, written down as far as live media uses it: which
//! elements stand where, in which order, with which attributes.
//!
//! It is a reading of ISO/IEC 23009-1 (2022, with the segment sequences of its
//! successor), for the schema file itself may not be passed on. Elements and
//! attributes of other namespaces may stand anywhere, as `xs:any` allows.

use super::value::Kind::{
    self, Date, Duration, Name, Rate, Ratio, Real, Sap, Signed, Text, Truth, Whole, Word,
};
use super::xml::Element;
use crate::limits;

/// An element: its name, its attributes, and what may stand in it, in order.
struct Shape {
    name: &'static str,
    /// A `!` before a name says that it has to be there.
    attributes: &'static [(&'static str, Kind)],
    /// The same of children; a `?` says that there is one at most.
    children: &'static [&'static str],
}

const DESCRIPTOR: &[(&str, Kind)] = &[("!schemeIdUri", Name), ("value", Text), ("id", Text)];
const EVENTS: &[(&str, Kind)] = &[
    ("!schemeIdUri", Name),
    ("value", Text),
    ("timescale", Whole),
    ("presentationTimeOffset", Whole),
    ("xlink:href", Text),
    ("xlink:actuate", Text),
];
/// Attributes of AdaptationSet and Representation alike.
const COMMON: &[(&str, Kind)] = &[
    ("profiles", Text),
    ("width", Whole),
    ("height", Whole),
    ("sar", Ratio),
    ("frameRate", Rate),
    ("audioSamplingRate", Text),
    ("mimeType", Name),
    ("segmentProfiles", Text),
    ("codecs", Text),
    ("containerProfiles", Text),
    ("maximumSAPPeriod", Real),
    ("startWithSAP", Sap),
    ("maxPlayoutRate", Real),
    ("codingDependency", Truth),
    ("scanType", Word(&["progressive", "interlaced", "unknown"])),
    ("selectionPriority", Whole),
    ("tag", Text),
];
/// Children of both.
const COMMON_CHILDREN: &[&str] = &[
    "FramePacking",
    "AudioChannelConfiguration",
    "ContentProtection",
    "?OutputProtection",
    "EssentialProperty",
    "SupplementalProperty",
    "InbandEventStream",
    "Switching",
    "RandomAccess",
    "GroupLabel",
    "Label",
    "ProducerReferenceTime",
    "ContentPopularityRate",
    "Resync",
    "?SegmentSequenceProperties",
];

const SHAPES: &[Shape] = &[
    Shape {
        name: "MPD",
        attributes: &[
            ("id", Text),
            ("!profiles", Text),
            ("type", Word(&["static", "dynamic"])),
            ("availabilityStartTime", Date),
            ("availabilityEndTime", Date),
            ("publishTime", Date),
            ("mediaPresentationDuration", Duration),
            ("minimumUpdatePeriod", Duration),
            ("!minBufferTime", Duration),
            ("timeShiftBufferDepth", Duration),
            ("suggestedPresentationDelay", Duration),
            ("maxSegmentDuration", Duration),
            ("maxSubsegmentDuration", Duration),
        ],
        children: &[
            "ProgramInformation",
            "BaseURL",
            "Location",
            "PatchLocation",
            "ServiceDescription",
            "InitializationSet",
            "InitializationGroup",
            "InitializationPresentation",
            "ContentProtection",
            "!Period",
            "Metrics",
            "EssentialProperty",
            "SupplementalProperty",
            "UTCTiming",
            "?LeapSecondInformation",
        ],
    },
    Shape {
        name: "Period",
        attributes: &[
            ("id", Name),
            ("start", Duration),
            ("duration", Duration),
            ("bitstreamSwitching", Truth),
            ("xlink:href", Text),
            ("xlink:actuate", Text),
        ],
        children: &[
            "BaseURL",
            "?SegmentBase",
            "?SegmentList",
            "?SegmentTemplate",
            "?AssetIdentifier",
            "EventStream",
            "ServiceDescription",
            "ContentProtection",
            "AdaptationSet",
            "Subset",
            "SupplementalProperty",
            "EmptyAdaptationSet",
            "GroupLabel",
            "Preselection",
        ],
    },
    Shape {
        name: "AdaptationSet",
        attributes: &[
            ("id", Whole),
            ("group", Whole),
            ("lang", Name),
            (
                "contentType",
                Word(&["text", "image", "audio", "video", "application", "font"]),
            ),
            ("par", Ratio),
            ("minBandwidth", Whole),
            ("maxBandwidth", Whole),
            ("minWidth", Whole),
            ("maxWidth", Whole),
            ("minHeight", Whole),
            ("maxHeight", Whole),
            ("minFrameRate", Rate),
            ("maxFrameRate", Rate),
            ("segmentAlignment", Truth),
            ("subsegmentAlignment", Truth),
            ("subsegmentStartsWithSAP", Sap),
            ("bitstreamSwitching", Truth),
            ("initializationSetRef", Text),
            ("initializationPrincipal", Text),
            ("xlink:href", Text),
            ("xlink:actuate", Text),
        ],
        children: &[
            "Accessibility",
            "Role",
            "Rating",
            "Viewpoint",
            "ContentComponent",
            "BaseURL",
            "?SegmentBase",
            "?SegmentList",
            "?SegmentTemplate",
            "Representation",
        ],
    },
    Shape {
        name: "Representation",
        attributes: &[
            ("!id", Name),
            ("!bandwidth", Whole),
            ("qualityRanking", Whole),
            ("dependencyId", Text),
            ("associationId", Text),
            ("associationType", Text),
            ("mediaStreamStructureId", Text),
        ],
        children: &[
            "BaseURL",
            "ExtendedBandwidth",
            "SubRepresentation",
            "?SegmentBase",
            "?SegmentList",
            "?SegmentTemplate",
        ],
    },
    Shape {
        name: "SegmentTemplate",
        attributes: &[
            ("timescale", Whole),
            ("presentationTimeOffset", Whole),
            ("presentationDuration", Whole),
            ("eptDelta", Signed),
            ("pdDelta", Signed),
            ("timeShiftBufferDepth", Duration),
            ("indexRange", Text),
            ("indexRangeExact", Truth),
            ("availabilityTimeOffset", Real),
            ("availabilityTimeComplete", Truth),
            ("duration", Whole),
            ("startNumber", Whole),
            ("endNumber", Whole),
            ("media", Text),
            ("index", Text),
            ("initialization", Text),
            ("bitstreamSwitching", Text),
            ("k", Whole),
        ],
        children: &[
            "?Initialization",
            "?RepresentationIndex",
            "?FailoverContent",
            "?SegmentTimeline",
            "?BitstreamSwitching",
        ],
    },
    Shape {
        name: "SegmentTimeline",
        attributes: &[],
        children: &["Pattern", "!S"],
    },
    Shape {
        name: "S",
        attributes: &[
            ("t", Whole),
            ("n", Whole),
            ("!d", Whole),
            ("r", Signed),
            ("k", Whole),
            ("p", Whole),
            ("pE", Whole),
        ],
        children: &[],
    },
    Shape {
        name: "ServiceDescription",
        attributes: &[("id", Whole)],
        children: &[
            "Scope",
            "Latency",
            "PlaybackRate",
            "OperatingQuality",
            "OperatingBandwidth",
        ],
    },
    Shape {
        name: "Latency",
        attributes: &[
            ("referenceId", Whole),
            ("target", Whole),
            ("max", Whole),
            ("min", Whole),
        ],
        children: &["QualityLatency"],
    },
    Shape {
        name: "PlaybackRate",
        attributes: &[("max", Real), ("min", Real)],
        children: &[],
    },
    Shape {
        name: "ProducerReferenceTime",
        attributes: &[
            ("!id", Whole),
            ("inband", Truth),
            ("type", Word(&["encoder", "captured", "application"])),
            ("applicationScheme", Text),
            ("!wallClockTime", Text),
            ("!presentationTime", Whole),
        ],
        children: &["?UTCTiming"],
    },
    Shape {
        name: "Resync",
        attributes: &[
            ("type", Whole),
            ("dT", Whole),
            ("dImax", Real),
            ("dImin", Real),
            ("marker", Truth),
        ],
        children: &[],
    },
    Shape {
        name: "SegmentSequenceProperties",
        attributes: &[
            ("sapType", Whole),
            ("cadence", Whole),
            ("event", Truth),
            ("alignment", Text),
        ],
        children: &["SAP", "Event"],
    },
    Shape {
        name: "EventStream",
        attributes: EVENTS,
        children: &["Event"],
    },
    Shape {
        name: "InbandEventStream",
        attributes: EVENTS,
        children: &["Event"],
    },
    Shape {
        name: "Event",
        attributes: &[
            ("presentationTime", Whole),
            ("duration", Whole),
            ("id", Whole),
            ("contentEncoding", Word(&["base64"])),
            ("messageData", Text),
        ],
        children: &["?Selection"],
    },
    Shape {
        name: "PatchLocation",
        attributes: &[("ttl", Real)],
        children: &[],
    },
    Shape {
        name: "BaseURL",
        attributes: &[
            ("serviceLocation", Text),
            ("byteRange", Text),
            ("availabilityTimeOffset", Real),
            ("availabilityTimeComplete", Truth),
            ("timeShiftBufferDepth", Duration),
            ("rangeAccess", Truth),
        ],
        children: &[],
    },
    Shape {
        name: "Label",
        attributes: &[("id", Whole), ("lang", Name)],
        children: &[],
    },
];

/// Elements that are no more than a scheme and a value.
const DESCRIPTORS: &[&str] = &[
    "UTCTiming",
    "EssentialProperty",
    "SupplementalProperty",
    "Role",
    "Accessibility",
    "Rating",
    "Viewpoint",
    "AudioChannelConfiguration",
    "FramePacking",
    "AssetIdentifier",
    "Scope",
    "Reporting",
];

/// One thing that the schema forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The same words whatever was seen.
    pub what: &'static str,
    /// Where, and what stands there.
    pub saw: String,
}

/// Everything in a tree that the schema forbids, up to a limit.
pub fn faults(root: &Element) -> Vec<Fault> {
    let mut out = Vec::new();
    if root.name != "MPD" {
        fault(&mut out, "the root is no MPD", || root.name.clone());
        return out;
    }
    look(root, "MPD", &mut out);
    out
}

fn fault(out: &mut Vec<Fault>, what: &'static str, saw: impl FnOnce() -> String) {
    if out.len() < limits::FAULTS_MAX {
        out.push(Fault { what, saw: saw() });
    }
}

fn look(element: &Element, path: &str, out: &mut Vec<Fault>) {
    let known = SHAPES.iter().find(|shape| shape.name == element.name);
    if let Some(shape) = known {
        let common = matches!(shape.name, "AdaptationSet" | "Representation");
        let extra = if common { COMMON } else { &[] };
        attributes(element, path, &[shape.attributes, extra], out);
        let before = if common { COMMON_CHILDREN } else { &[] };
        children(element, path, &[before, shape.children], out);
    } else if DESCRIPTORS.contains(&&*element.name) {
        attributes(element, path, &[DESCRIPTOR], out);
    }
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for child in &element.children {
        let nth = match seen.iter_mut().find(|(name, _)| *name == child.name) {
            Some((_, nth)) => {
                *nth += 1;
                *nth
            }
            None => {
                seen.push((&child.name, 1));
                1
            }
        };
        look(child, &format!("{path}/{}[{nth}]", child.name), out);
    }
}

fn attributes(
    element: &Element,
    path: &str,
    shapes: &[&[(&'static str, Kind)]],
    out: &mut Vec<Fault>,
) {
    let all = || shapes.iter().copied().flatten();
    for (name, value) in &element.attributes {
        if name.starts_with('{') || name.starts_with("xsi:") {
            continue;
        }
        let known = all().find(|(known, _)| known.trim_start_matches('!') == name);
        match known {
            None => fault(out, "an attribute is not of the schema", || {
                format!("{path}/@{name}")
            }),
            Some((_, kind)) if !kind.holds(value) => {
                fault(out, "the value of an attribute is not of its type", || {
                    format!("{path}/@{name}={value:?} is not {}", kind.word())
                });
            }
            Some(_) => {}
        }
    }
    for (name, _) in all() {
        if let Some(name) = name.strip_prefix('!')
            && element.attribute(name).is_none()
        {
            fault(
                out,
                "an attribute is missing that the schema demands",
                || format!("{path}/@{name}"),
            );
        }
    }
}

fn children(element: &Element, path: &str, shapes: &[&[&'static str]], out: &mut Vec<Fault>) {
    let order: Vec<&str> = shapes.iter().copied().flatten().copied().collect();
    let plain = |name: &'static str| name.trim_start_matches(['!', '?']);
    let order: Vec<(&str, bool, bool)> = order
        .into_iter()
        .map(|name| (plain(name), name.starts_with('!'), name.starts_with('?')))
        .collect();
    let mut reached = 0;
    for child in &element.children {
        // Where it stands is not known of those that came later.
        if child.name.starts_with('{') || child.name == "ContentSteering" {
            continue;
        }
        let Some(place) = order.iter().position(|(name, ..)| *name == child.name) else {
            fault(out, "an element stands where the schema has none", || {
                format!("{path}/{}", child.name)
            });
            continue;
        };
        if place < reached {
            fault(
                out,
                "elements stand in another order than in the schema",
                || format!("{path}: {} after {}", child.name, order[reached].0),
            );
        }
        reached = reached.max(place);
    }
    for (name, needed, once) in order {
        let count = element.all(name).count();
        if needed && count == 0 {
            fault(out, "an element is missing that the schema demands", || {
                format!("{path}/{name}")
            });
        }
        if once && count > 1 {
            fault(
                out,
                "an element is there more often than the schema allows",
                || format!("{path}/{name}: {count}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Fault {
        let (tree, _) = Element::parse(text).expect("XML");
        let found = faults(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn each_kind_of_fault_is_named_with_its_place() {
        let mpd = |inside: &str| {
            format!("<MPD profiles=\"p\" minBufferTime=\"PT1S\"><Period>{inside}</Period></MPD>")
        };
        let table = [
            ("<X/>".to_owned(), "the root is no MPD", "X"),
            (
                "<MPD profiles=\"p\"><Period/></MPD>".to_owned(),
                "an attribute is missing",
                "MPD/@minBufferTime",
            ),
            (
                "<MPD profiles=\"p\" minBufferTime=\"1\"><Period/></MPD>".to_owned(),
                "not of its type",
                "MPD/@minBufferTime=\"1\" is not a duration",
            ),
            (
                "<MPD profiles=\"p\" minBufferTime=\"PT1S\"/>".to_owned(),
                "an element is missing",
                "MPD/Period",
            ),
            (
                mpd("<AdaptationSet/><EventStream schemeIdUri=\"u\"/>"),
                "another order",
                "MPD/Period[1]: EventStream after AdaptationSet",
            ),
            (
                mpd("<Role schemeIdUri=\"u\"/>"),
                "schema has none",
                "MPD/Period[1]/Role",
            ),
            (
                mpd("<SegmentTemplate/><SegmentTemplate/>"),
                "more often",
                "MPD/Period[1]/SegmentTemplate: 2",
            ),
            (
                mpd("<AdaptationSet/><AdaptationSet bandwidth=\"1\"/>"),
                "not of the schema",
                "MPD/Period[1]/AdaptationSet[2]/@bandwidth",
            ),
            (
                mpd("<AdaptationSet><Role value=\"main\"/></AdaptationSet>"),
                "an attribute is missing",
                "AdaptationSet[1]/Role[1]/@schemeIdUri",
            ),
        ];
        for (text, what, saw) in table {
            let fault = only(&text);
            assert!(fault.what.contains(what), "{text}: {fault:?}");
            assert!(fault.saw.ends_with(saw), "{text}: {fault:?}");
        }
    }

    #[test]
    fn other_namespaces_may_stand_anywhere() {
        let text = "<MPD xmlns:o=\"urn:o\" profiles=\"p\" minBufferTime=\"PT1S\" o:a=\"1\"><o:X/><Period/></MPD>";
        let (tree, _) = Element::parse(text).expect("XML");
        assert_eq!(faults(&tree), []);
    }
}
