//! Tracks to adaptation sets, and what is said of both.

use crate::dash::xml::Xml;
use crate::media::channel::{Channel, Track, TrackIndex};
use crate::media::cmaf::{Kind, Role, Roles, Transfer};

/// Behind the name of a track, the id of its parts as a representation. Names
/// have no such character.
const PARTS: &str = "+parts";
/// Added to the id of a set, the id of its parts as a set of their own.
pub(super) const PARTS_SET: usize = 1_000;

/// Tracks between which players switch: one content in one format at several
/// bit rates.
#[derive(Debug)]
pub(super) struct Set<'a> {
    /// The place of its first track among all: it stays.
    pub(super) id: usize,
    /// At least one.
    pub(super) tracks: Vec<(TrackIndex, &'a Track)>,
    /// Roles to state: where tracks have none, those that players look for.
    roles: Vec<Role>,
}

/// What tracks of one set have in common.
#[derive(PartialEq)]
struct Identity<'a> {
    kind: Kind,
    family: &'a str,
    language: Option<&'a str>,
    roles: Roles,
    name: Option<&'a str>,
    channels: u32,
    transfer: Option<Transfer>,
}

impl<'a> Set<'a> {
    /// The sets of all tracks of a channel.
    pub(super) fn all(channel: &'a Channel) -> Vec<Self> {
        let mut sets: Vec<Self> = Vec::new();
        for (place, track) in channel.tracks().iter().enumerate() {
            if track.info.header.kind == Kind::Metadata {
                continue;
            }
            let entry = (TrackIndex(place as u16), track);
            let own = identity(track);
            let alike = |set: &&mut Self| identity(set.tracks[0].1) == own;
            match sets.iter_mut().find(alike) {
                Some(set) => set.tracks.push(entry),
                None => sets.push(Self {
                    id: place + 1,
                    tracks: vec![entry],
                    roles: track.roles().iter().collect(),
                }),
            }
        }
        for kind in [Kind::Video, Kind::Audio, Kind::Text] {
            assume_roles(&mut sets, kind);
        }
        sets
    }

    pub(super) fn kind(&self) -> Kind {
        self.first().info.header.kind
    }

    fn first(&self) -> &'a Track {
        self.tracks[0].1
    }

    /// Attributes of the set.
    pub(super) fn attributes(&self, xml: &mut Xml, id: usize) {
        let (content, mime) = match self.kind() {
            Kind::Video => ("video", "video/mp4"),
            Kind::Audio => ("audio", "audio/mp4"),
            Kind::Text | Kind::Metadata => ("text", "application/mp4"),
        };
        xml.attr("id", id).attr("contentType", content);
        xml.some("lang", self.first().language());
        xml.attr("mimeType", mime);
        xml.attr("segmentAlignment", true).attr("startWithSAP", 1);
    }

    /// Elements that say what the format is like.
    pub(super) fn format(&self, xml: &mut Xml) {
        let header = &self.first().info.header;
        if header.kind == Kind::Audio {
            if let Some(value) = channel_configuration(header.channels) {
                let scheme = "urn:mpeg:mpegB:cicp:ChannelConfiguration";
                descriptor(xml, "AudioChannelConfiguration", scheme, value);
            }
            if let Some(objects) = header.joint_objects {
                let name = "SupplementalProperty";
                descriptor(
                    xml,
                    name,
                    "tag:dolby.com,2018:dash:EC3_ExtensionType:2018",
                    "JOC",
                );
                let scheme = "tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018";
                descriptor(xml, name, scheme, objects);
            }
        }
        // ISO/IEC 23091-2 table 3.
        let transfer = match header.transfer {
            Some(Transfer::Pq) => Some(16),
            Some(Transfer::Hlg) => Some(18),
            Some(Transfer::Sdr) | None => None,
        };
        if let Some(transfer) = transfer {
            let scheme = "urn:mpeg:mpegB:cicp:TransferCharacteristics";
            descriptor(xml, "SupplementalProperty", scheme, transfer);
        }
    }

    /// The name that people read.
    pub(super) fn label(&self, xml: &mut Xml) {
        if let Some(name) = &self.first().words.name {
            xml.begin("Label").text(name);
        }
    }

    /// Elements that say what it is for.
    pub(super) fn purpose(&self, xml: &mut Xml, channel: &Channel) {
        if self.kind() == Kind::Video {
            captions(xml, channel);
        }
        // TV-Anytime AudioPurposeCS: for the visually impaired.
        if self.kind() == Kind::Audio && self.roles.contains(&Role::Description) {
            let scheme = "urn:tva:metadata:cs:AudioPurposeCS:2007";
            descriptor(xml, "Accessibility", scheme, 1);
        }
        for role in &self.roles {
            descriptor(xml, "Role", "urn:mpeg:dash:role:2011", role);
        }
    }
}

/// Attributes of a representation; what its parts are is one of its own.
pub(super) fn representation(xml: &mut Xml, track: &Track, of_parts: bool) {
    let header = &track.info.header;
    let suffix = if of_parts { PARTS } else { "" };
    xml.attr("id", format_args!("{}{suffix}", track.info.name));
    xml.attr("bandwidth", bandwidth(track));
    xml.attr("codecs", &header.codec);
    if header.kind == Kind::Video {
        if header.width > 0 && header.height > 0 {
            xml.attr("width", header.width)
                .attr("height", header.height);
        }
        xml.some("frameRate", track.info.frame_rate.and_then(frame_rate));
    }
    if header.kind == Kind::Audio && header.sample_rate > 0 {
        xml.attr("audioSamplingRate", header.sample_rate);
    }
}

/// As measured, else as the header claims; never zero.
fn bandwidth(track: &Track) -> u64 {
    let claimed = track.info.header.bitrate.map_or(0, u64::from);
    [track.peak_bps, claimed, track.average_bps]
        .into_iter()
        .find(|bps| *bps > 0)
        .unwrap_or(1)
}

/// `25`, `30000/1001`, `12500/1000`.
fn frame_rate(thousandths: u32) -> Option<String> {
    let rate = u64::from(thousandths);
    // The nearest whole rate of television, 1000/1001 of it.
    let whole = (rate * 1001 + 500_000) / 1_000_000;
    let television = whole * 1_000_000 / 1001;
    match rate {
        0 => None,
        _ if rate % 1000 == 0 => Some((rate / 1000).to_string()),
        _ if rate.abs_diff(television) <= 1 => Some(format!("{}/1001", whole * 1000)),
        _ => Some(format!("{rate}/1000")),
    }
}

/// The configuration of ISO/IEC 23091-3 that so many channels usually are.
fn channel_configuration(channels: u32) -> Option<u32> {
    match channels {
        1..=6 => Some(channels),
        7 => Some(11),
        8 => Some(12),
        12 => Some(19),
        24 => Some(13),
        _ => None,
    }
}

/// Captions that the operator knows to be in the video (SCTE 214-1).
fn captions(xml: &mut Xml, channel: &Channel) {
    let captions = &channel.presentation.captions;
    let value = |of: &str, form: fn(&str, &str) -> String| {
        let own = captions.iter().filter_map(|caption| {
            let number = caption.instream_id.strip_prefix(of)?;
            Some(form(number, caption.language.as_deref().unwrap_or("und")))
        });
        own.collect::<Vec<_>>().join(";")
    };
    let line21 = value("CC", |number, language| format!("CC{number}={language}"));
    let digital = value("SERVICE", |number, language| {
        format!("{number}=lang:{language}")
    });
    for (scheme, value) in [
        ("urn:scte:dash:cc:cea-608:2015", line21),
        ("urn:scte:dash:cc:cea-708:2015", digital),
    ] {
        if !value.is_empty() {
            descriptor(xml, "Accessibility", scheme, value);
        }
    }
}

/// An element that is no more than a scheme and a value in it.
pub(super) fn descriptor(
    xml: &mut Xml,
    name: &'static str,
    scheme: &str,
    value: impl std::fmt::Display,
) {
    xml.begin(name)
        .attr("schemeIdUri", scheme)
        .attr("value", value)
        .end();
}

fn identity(track: &Track) -> Identity<'_> {
    let header = &track.info.header;
    Identity {
        kind: header.kind,
        family: header.codec.split('.').next().unwrap_or_default(),
        language: track.language(),
        roles: track.roles(),
        name: track.words.name.as_deref(),
        channels: if header.kind == Kind::Audio {
            header.channels
        } else {
            0
        },
        transfer: header.transfer,
    }
}

/// Gives the sets of a kind of which no track says what it is for the role
/// that players choose by.
fn assume_roles(sets: &mut [Set<'_>], kind: Kind) {
    let mut own: Vec<_> = sets.iter_mut().filter(|set| set.kind() == kind).collect();
    if own.iter().any(|set| !set.roles.is_empty()) {
        return;
    }
    for set in &mut own {
        set.roles.push(match kind {
            Kind::Text | Kind::Metadata => Role::Subtitle,
            Kind::Video | Kind::Audio => Role::Main,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_are_whole_numbers_or_fractions() {
        let text = |thousandths| frame_rate(thousandths).unwrap_or_default();
        assert_eq!(text(25_000), "25");
        assert_eq!(text(29_970), "30000/1001");
        assert_eq!(text(23_976), "24000/1001");
        assert_eq!(text(59_940), "60000/1001");
        assert_eq!(text(12_500), "12500/1000");
        assert_eq!(text(0), "");
    }
}
