//! The multivariant playlist: C40, and C8 of its syntax.

use std::collections::{BTreeMap, BTreeSet};

use crate::fmp4::Header;
use crate::playlist::attributes::Attributes;
use crate::playlist::multivariant::Multivariant;
use crate::rule::{C8, C40};
use crate::uri::resolve;
use crate::verdict::Scope;

/// What was measured of one media playlist, by its address.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Its header section.
    pub header: Option<Header>,
    /// Highest rate of a segment, bits in a second.
    pub peak_bps: u64,
    /// Rate of all segments.
    pub mean_bps: u64,
    /// How many were measured.
    pub segments: u64,
}

/// C8 and C40 of the text alone.
pub fn text(on: &mut Scope<'_>, list: &Multivariant) {
    for fault in list.faults.iter() {
        on.must(C8, fault.clause, false, fault.what, || fault.to_string());
    }
    let said = list.version.as_ref().map_or(1, |version| version.value);
    let needs = list.needs;
    on.must(
        C8,
        "rfc8216bis 8",
        said >= needs.version,
        "the version is below what the content needs",
        || {
            format!(
                "EXT-X-VERSION {said}, {} needs {}",
                needs.why, needs.version
            )
        },
    );
    on.should(
        C40,
        "rfc8216bis 4.4.2.1; Apple 9.11",
        list.independent_segments,
        "EXT-X-INDEPENDENT-SEGMENTS is missing",
        String::new,
    );
    variants(on, list);
    groups(on, list);
}

fn has_video(codecs: &str) -> bool {
    const VIDEO: [&str; 10] = [
        "avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "vp08", "vp09", "av01", "mp4v",
    ];
    codecs
        .split(',')
        .any(|codec| VIDEO.iter().any(|video| codec.trim().starts_with(video)))
}

fn variants(on: &mut Scope<'_>, list: &Multivariant) {
    on.must(
        C40,
        "rfc8216bis 4.4.6.2",
        !list.variants.is_empty(),
        "there is no variant stream",
        String::new,
    );
    let all: Vec<&Attributes> = list
        .variants
        .iter()
        .map(|variant| &variant.attributes)
        .collect();
    for stream in &all {
        variant(on, list, stream);
    }
    let count = |name: &str| {
        all.iter()
            .filter(|variant| variant.get(name).is_some())
            .count()
    };
    let (scores, none) = (
        count("SCORE"),
        all.iter()
            .filter(|v| v.get("CLOSED-CAPTIONS") == Some("NONE"))
            .count(),
    );
    on.should(
        C40,
        "Apple 9.19",
        scores == 0 || scores == all.len(),
        "SCORE is on some variants only",
        || format!("{scores} of {}", all.len()),
    );
    on.must(
        C40,
        "rfc8216bis 4.4.6.2",
        none == 0 || none == all.len(),
        "CLOSED-CAPTIONS=NONE is on some variants only",
        || format!("{none} of {}", all.len()),
    );
    for range in all.iter().filter_map(|variant| variant.get("VIDEO-RANGE")) {
        on.must(
            C40,
            "rfc8216bis 4.4.6.2",
            matches!(range, "SDR" | "HLG" | "PQ"),
            "VIDEO-RANGE is none of SDR, HLG and PQ",
            || range.to_owned(),
        );
    }
}

/// One EXT-X-STREAM-INF.
fn variant(on: &mut Scope<'_>, list: &Multivariant, variant: &Attributes) {
    let line = variant.line;
    for (name, what) in [
        ("CODECS", "a variant has no CODECS"),
        ("AVERAGE-BANDWIDTH", "a variant has no AVERAGE-BANDWIDTH"),
    ] {
        on.should(
            C40,
            "rfc8216bis 4.4.6.2; Apple 9.1, 9.14",
            variant.get(name).is_some(),
            what,
            || format!("line {line}"),
        );
    }
    // Without CODECS, a resolution tells that there is a picture.
    if variant.get("CODECS").is_none_or(has_video) {
        for (name, what) in [
            ("RESOLUTION", "a variant with video has no RESOLUTION"),
            ("FRAME-RATE", "a variant with video has no FRAME-RATE"),
        ] {
            on.should(
                C40,
                "rfc8216bis 4.4.6.2; Apple 9.2, 9.15",
                variant.get(name).is_some(),
                what,
                || format!("line {line}"),
            );
        }
    }
    let (mean, peak) = (
        variant.integer("AVERAGE-BANDWIDTH"),
        variant.integer("BANDWIDTH"),
    );
    on.must(
        C40,
        "rfc8216bis 4.4.6.2",
        mean.zip(peak).is_none_or(|(mean, peak)| mean <= peak),
        "AVERAGE-BANDWIDTH is above BANDWIDTH",
        || format!("line {line}: {mean:?} and {peak:?}"),
    );
    for (kind, name) in [
        ("AUDIO", "AUDIO"),
        ("VIDEO", "VIDEO"),
        ("SUBTITLES", "SUBTITLES"),
        ("CLOSED-CAPTIONS", "CLOSED-CAPTIONS"),
    ] {
        let Some(group) = variant.get(name).filter(|group| *group != "NONE") else {
            continue;
        };
        let found = list
            .media
            .iter()
            .any(|media| media.get("TYPE") == Some(kind) && media.get("GROUP-ID") == Some(group));
        on.must(
            C40,
            "rfc8216bis 4.4.6.2",
            found,
            "a variant names a group that is not there",
            || format!("line {line}: {name}=\"{group}\""),
        );
    }
}

fn groups(on: &mut Scope<'_>, list: &Multivariant) {
    let mut groups: BTreeMap<(&str, &str), Vec<&Attributes>> = BTreeMap::new();
    for media in &list.media {
        let (kind, group) = (
            media.get("TYPE").unwrap_or(""),
            media.get("GROUP-ID").unwrap_or(""),
        );
        groups.entry((kind, group)).or_default().push(media);
        member(on, kind, media);
    }
    for ((kind, group), members) in &groups {
        let named = || format!("TYPE={kind}, GROUP-ID=\"{group}\"");
        let defaults = members
            .iter()
            .filter(|member| member.yes("DEFAULT"))
            .count();
        on.must(
            C40,
            "rfc8216bis 4.4.6.1.1",
            defaults <= 1,
            "a group has two defaults",
            named,
        );
        let names: BTreeSet<_> = members.iter().map(|member| member.get("NAME")).collect();
        on.must(
            C40,
            "rfc8216bis 4.4.6.1.1",
            names.len() == members.len(),
            "two members of a group have one NAME",
            named,
        );
        // Members of a type are the same in all its groups, save for their form.
        let same = |members: &[&Attributes]| -> BTreeSet<_> {
            let key = |m: &Attributes| {
                ["NAME", "LANGUAGE", "DEFAULT", "AUTOSELECT"].map(|name| m.owned(name))
            };
            members.iter().map(|member| key(member)).collect()
        };
        let others = groups.iter().filter(|((other, _), _)| other == kind);
        let differs = others
            .map(|(_, others)| same(others))
            .any(|others| others != same(members));
        on.must(
            C40,
            "rfc8216bis 4.4.6.1.1",
            !differs,
            "groups of one type have different members",
            named,
        );
    }
}

fn member(on: &mut Scope<'_>, kind: &str, media: &Attributes) {
    let line = || {
        format!(
            "line {}: NAME=\"{}\"",
            media.line,
            media.get("NAME").unwrap_or("")
        )
    };
    let known = matches!(kind, "AUDIO" | "VIDEO" | "SUBTITLES" | "CLOSED-CAPTIONS");
    on.must(
        C40,
        "rfc8216bis 4.4.6.1",
        known,
        "a rendition has an unknown TYPE",
        line,
    );
    let explicit_no = media.get("AUTOSELECT") == Some("NO");
    on.must(
        C40,
        "rfc8216bis 4.4.6.1",
        !(media.yes("DEFAULT") && explicit_no),
        "a default is not selected automatically",
        line,
    );
    let implied = !media.yes("DEFAULT") || media.get("AUTOSELECT").is_some();
    on.should(
        C40,
        "Apple 8.10",
        implied,
        "a default does not say AUTOSELECT=YES",
        line,
    );
    match kind {
        "SUBTITLES" => on.must(
            C40,
            "rfc8216bis 4.4.6.1",
            media.get("URI").is_some(),
            "subtitles have no URI",
            line,
        ),
        "CLOSED-CAPTIONS" => {
            on.must(
                C40,
                "rfc8216bis 4.4.6.1",
                media.get("URI").is_none(),
                "closed captions have a URI",
                line,
            );
            on.must(
                C40,
                "rfc8216bis 4.4.6.1",
                media.get("INSTREAM-ID").is_some(),
                "closed captions have no INSTREAM-ID",
                line,
            )
        }
        "AUDIO" => on.should(
            C40,
            "rfc8216bis 4.4.6.1; Apple 8.10",
            media.get("CHANNELS").is_some(),
            "audio has no CHANNELS",
            line,
        ),
        _ => true,
    };
    if kind != "VIDEO" {
        on.should(
            C40,
            "Apple 8.10",
            media.get("LANGUAGE").is_some(),
            "a rendition has no LANGUAGE",
            line,
        );
    }
}

/// C40 against what the renditions really are.
pub fn truth(on: &mut Scope<'_>, list: &Multivariant, measured: &BTreeMap<String, Measured>) {
    let of = |uri: &str| measured.get(&resolve(&list.address, uri));
    for variant in &list.variants {
        let line = variant.attributes.line;
        let audio: Vec<&Measured> = list
            .media
            .iter()
            .filter(|media| {
                media.get("TYPE") == Some("AUDIO")
                    && media.get("GROUP-ID") == variant.attributes.get("AUDIO")
            })
            .filter_map(|media| of(media.get("URI")?))
            .collect();
        let own = of(&variant.uri);
        let headers = own
            .iter()
            .chain(&audio)
            .filter_map(|found| found.header.as_ref());
        formats(on, &variant.attributes, headers);
        let Some(own) = own.filter(|own| own.segments >= 3) else {
            continue;
        };
        let largest = |rate: fn(&Measured) -> u64| {
            rate(own) + audio.iter().map(|audio| rate(audio)).max().unwrap_or(0)
        };
        let (peak, mean) = (largest(|m| m.peak_bps), largest(|m| m.mean_bps));
        let said = |name| variant.attributes.integer(name);
        if let Some(said) = said("BANDWIDTH") {
            let within = u128::from(peak) * 100 <= u128::from(said) * 125;
            on.should(
                C40,
                "Apple 1.28",
                within,
                "the measured peak is above 125 % of BANDWIDTH",
                || {
                    format!(
                        "line {line}: BANDWIDTH={said}, {peak} measured over {} segments",
                        own.segments
                    )
                },
            );
        }
        if let Some(said) = said("AVERAGE-BANDWIDTH") {
            let within = u128::from(mean) * 100 <= u128::from(said) * 110;
            on.should(
                C40,
                "Apple 1.29",
                within,
                "the measured mean is above 110 % of AVERAGE-BANDWIDTH",
                || {
                    format!(
                        "line {line}: AVERAGE-BANDWIDTH={said}, {mean} measured over {} segments",
                        own.segments
                    )
                },
            );
        }
    }
}

/// CODECS and VIDEO-RANGE of a variant against the headers of what it plays.
fn formats<'a>(
    on: &mut Scope<'_>,
    variant: &Attributes,
    headers: impl Iterator<Item = &'a Header>,
) {
    let line = variant.line;
    let codecs = variant.get("CODECS").unwrap_or("");
    let parts: Vec<&str> = codecs.split(',').map(str::trim).collect();
    for track in headers.flat_map(|header| &header.tracks) {
        if !matches!(&track.handler, b"vide" | b"soun") || codecs.is_empty() {
            continue;
        }
        let codec = track.codec();
        let listed = parts.iter().any(|part| {
            part.to_ascii_lowercase()
                .starts_with(&codec.to_ascii_lowercase())
        });
        on.must(
            C40,
            "rfc8216bis 4.4.6.2",
            listed,
            "CODECS lacks a format that the media has",
            || format!("line {line}: CODECS=\"{codecs}\", the header has {codec}"),
        );
        let range = variant.get("VIDEO-RANGE");
        let due = match track.transfer {
            Some(16) => Some("PQ"),
            Some(18) => Some("HLG"),
            _ => None,
        };
        on.must(
            C40,
            "rfc8216bis 4.4.6.2; Apple 9.16",
            due.is_none() || range == due,
            "VIDEO-RANGE is not that of the media",
            || format!("line {line}: VIDEO-RANGE {range:?}, the header says {due:?}"),
        );
    }
}
