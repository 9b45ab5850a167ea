//! Sample entries and the codec strings of RFC 6381.
//!
//! Only the few bytes that a codec string needs are read; what a decoder makes
//! of the rest is its own affair.

use std::fmt::Write as _;

use super::colour;
use super::sound::{self, Channels};
use crate::media::bmff::{Child, Error, ErrorKind, FourCc, Reader};
use crate::media::cmaf::{Kind, Transfer};

/// What the first sample entry of a track says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SampleEntry {
    pub(super) codec: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sample_rate: u32,
    pub(super) channels: u32,
    pub(super) joint_objects: Option<u8>,
    pub(super) transfer: Option<Transfer>,
    /// Width and height of a pixel.
    pub(super) aspect: Option<(u32, u32)>,
    pub(super) bitrate: Option<u32>,
    pub(super) encrypted: bool,
}

/// The boxes of a sample entry that are read.
#[derive(Default)]
struct Parts<'a> {
    format: Option<FourCc>,
    config: Option<Child<'a>>,
    mime: Option<&'a [u8]>,
    bitrate: Option<u32>,
    transfer: Option<Transfer>,
    aspect: Option<(u32, u32)>,
}

impl SampleEntry {
    /// Reads one box of stsd (ISO/IEC 14496-12 section 8.5.2).
    pub(super) fn read(entry: &Child<'_>, kind: Kind) -> Result<Self, Error> {
        let mut out = Self::default();
        let mut payload = entry.payload;
        payload.take(8)?; // reserved, data_reference_index
        let mut text = Vec::new();
        match kind {
            Kind::Video => {
                payload.take(16)?;
                (out.width, out.height) = (payload.u16()?.into(), payload.u16()?.into());
                payload.take(50)?;
            }
            Kind::Audio => {
                payload.take(8)?;
                out.channels = payload.u16()?.into();
                payload.take(6)?;
                out.sample_rate = payload.u32()? >> 16;
            }
            Kind::Text if entry.name == *b"stpp" => {
                for _ in 0..3 {
                    text.push(payload.c_string()); // namespace, schema_location, mime types
                }
            }
            // Others begin with strings or boxes that no codec string needs.
            Kind::Text | Kind::Metadata => payload.take(payload.rest().len()).map(drop)?,
        }
        let mut parts = Parts::default();
        payload.each(|child| parts.visit(child))?;
        out.encrypted = entry.name == *b"encv" || entry.name == *b"enca";
        out.bitrate = parts.bitrate;
        let format = if out.encrypted {
            let missing = Error::new(entry.at, ErrorKind::Missing(FourCc(*b"frma")));
            parts.format.ok_or(missing)?
        } else {
            entry.name
        };
        if format == *b"stpp" {
            out.codec = timed_text(&text, parts.mime);
            return Ok(out);
        }
        out.codec = codec_string(format, parts.config, entry.at)?;
        if let Some(config) = &parts.config {
            out.transfer = parts.transfer.or_else(|| colour::of_config(config));
            if let Some(channels) = channels(config)? {
                (out.channels, out.joint_objects) = (channels.count, channels.joint_objects);
            }
        }
        out.aspect = parts.aspect;
        Ok(out)
    }
}

impl<'a> Parts<'a> {
    fn visit(&mut self, child: Child<'a>) -> Result<(), Error> {
        let mut payload = child.payload;
        match &child.name.0 {
            b"avcC" | b"hvcC" | b"av1C" | b"vpcC" | b"esds" | b"dOps" | b"dac3" | b"dec3" => {
                self.config = Some(child);
            }
            b"colr" => self.transfer = self.transfer.or_else(|| colour::of_colr(payload)),
            b"pasp" => {
                let aspect = (payload.u32()?, payload.u32()?);
                self.aspect = Some(aspect).filter(|(width, height)| *width > 0 && *height > 0);
            }
            b"mime" => {
                payload.version_and_flags()?;
                self.mime = Some(payload.c_string());
            }
            b"btrt" => {
                payload.u32()?; // bufferSizeDB
                let (peak, average) = (payload.u32()?, payload.u32()?);
                self.bitrate = [average, peak].into_iter().find(|rate| *rate > 0);
            }
            b"sinf" => payload.each(|inner| {
                if inner.name == *b"frma" {
                    let mut payload = inner.payload;
                    self.format = Some(payload.four_cc()?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    }
}

/// The codec string of a sample entry. An entry that is not known here gives
/// its bare name, so that new codecs pass.
fn codec_string(format: FourCc, config: Option<Child<'_>>, at: u64) -> Result<String, Error> {
    let need = |name: &[u8; 4]| {
        let missing = Error::new(at, ErrorKind::Missing(FourCc(*name)));
        config.filter(|config| config.name == *name).ok_or(missing)
    };
    let named = |name: &[u8; 4], read: fn(FourCc, Reader<'_>) -> Result<String, Error>| {
        let config = need(name)?;
        read(format, config.payload).map_err(|error| error.inside(config.name))
    };
    match &format.0 {
        b"avc1" | b"avc3" => named(b"avcC", avc),
        b"hvc1" | b"hev1" => named(b"hvcC", hevc),
        b"av01" => named(b"av1C", av1),
        b"vp09" | b"vp08" => named(b"vpcC", vp9),
        b"mp4a" => named(b"esds", mp4a),
        b"Opus" => Ok("opus".into()),
        other => Ok(other.escape_ascii().to_string().trim_end().to_owned()),
    }
}

/// RFC 6381 section 3.3: profile, constraints and level of the avcC.
fn avc(format: FourCc, mut config: Reader<'_>) -> Result<String, Error> {
    config.u8()?; // configurationVersion
    let [profile, constraints, level] = config.array()?;
    Ok(format!(
        "{format}.{profile:02x}{constraints:02x}{level:02x}"
    ))
}

/// ISO/IEC 14496-15 annex E.3: profile space and profile, compatibility flags
/// in reverse bit order, tier and level, constraints without trailing zeros.
fn hevc(format: FourCc, mut config: Reader<'_>) -> Result<String, Error> {
    config.u8()?; // configurationVersion
    let profile = config.u8()?;
    let compatibility = config.u32()?.reverse_bits();
    let constraints: [u8; 6] = config.array()?;
    let level = config.u8()?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let profile = profile & 0x1f;
    let mut out = format!("{format}.{space}{profile}.{compatibility:X}.{tier}{level}");
    let used = constraints
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        let _ = write!(out, ".{byte:X}");
    }
    Ok(out)
}

/// AV1 in ISOBMFF section 5: profile, level and tier, bit depth.
fn av1(_format: FourCc, mut config: Reader<'_>) -> Result<String, Error> {
    config.u8()?; // marker, version
    let (profile_level, depth) = (config.u8()?, config.u8()?);
    let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
    let tier = if depth & 0x80 == 0 { 'M' } else { 'H' };
    let (high, twelve) = (depth & 0x40 != 0, depth & 0x20 != 0);
    let bits = match (high, twelve) {
        (false, _) => 8,
        (true, true) if profile == 2 => 12,
        (true, _) => 10,
    };
    Ok(format!("av01.{profile}.{level:02}{tier}.{bits:02}"))
}

/// VP Codec ISO Media File Format Binding, "Codecs Parameter String".
fn vp9(format: FourCc, mut config: Reader<'_>) -> Result<String, Error> {
    config.version_and_flags()?;
    let (profile, level, depth) = (config.u8()?, config.u8()?, config.u8()? >> 4);
    Ok(format!("{format}.{profile:02}.{level:02}.{depth:02}"))
}

/// What a configuration says of channels, if it is one of sound.
fn channels(config: &Child<'_>) -> Result<Option<Channels>, Error> {
    let payload = config.payload;
    Ok(match &config.name.0 {
        b"esds" => {
            let (_, specific) = elementary_stream(payload)?;
            specific
                .and_then(sound::of_aac)
                .and_then(|(_, channels)| channels)
        }
        b"dOps" => Some(sound::of_opus(payload)?),
        b"dac3" => sound::of_ac3(payload),
        b"dec3" => sound::of_eac3(payload),
        _ => None,
    })
}

/// RFC 6381 section 3.3: the object type indication in hexadecimal and, for
/// MPEG-4 audio, the audio object type in decimal.
fn mp4a(_format: FourCc, config: Reader<'_>) -> Result<String, Error> {
    let (object_type, specific) = elementary_stream(config)?;
    let Some(specific) = specific else {
        return Ok(format!("mp4a.{object_type:02x}"));
    };
    let lies = || config.error(ErrorKind::Invalid("an audio configuration cut short"));
    let (audio_object_type, _) = sound::of_aac(specific).ok_or_else(lies)?;
    Ok(format!("mp4a.40.{audio_object_type}"))
}

/// The object type indication of an esds and, of MPEG-4 audio, its
/// configuration.
fn elementary_stream(mut config: Reader<'_>) -> Result<(u8, Option<&[u8]>), Error> {
    config.version_and_flags()?;
    let mut es = descriptor(&mut config, 0x03)?;
    es.u16()?; // ES_ID
    let flags = es.u8()?;
    if flags & 0x80 != 0 {
        es.u16()?; // dependsOn_ES_ID
    }
    if flags & 0x40 != 0 {
        let len = es.u8()?;
        es.take(len.into())?; // URL
    }
    if flags & 0x20 != 0 {
        es.u16()?; // OCR_ES_Id
    }
    let mut decoder = descriptor(&mut es, 0x04)?;
    let object_type = decoder.u8()?;
    decoder.take(12)?; // stream type, buffer size, bit rates
    if object_type != 0x40 {
        return Ok((object_type, None));
    }
    let specific = descriptor(&mut decoder, 0x05)?;
    Ok((object_type, Some(specific.rest())))
}

/// The content of the next descriptor, which must have this tag (ISO/IEC
/// 14496-1 section 8.3.3).
fn descriptor<'a>(reader: &mut Reader<'a>, tag: u8) -> Result<Reader<'a>, Error> {
    let at = *reader;
    if reader.u8()? != tag {
        return Err(at.error(ErrorKind::Invalid("a descriptor out of place")));
    }
    let mut len = 0usize;
    for _ in 0..4 {
        let byte = reader.u8()?;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let from = reader.at();
            return Ok(Reader::new(reader.take(len)?, from));
        }
    }
    Err(at.error(ErrorKind::Invalid(
        "a descriptor size of more than four bytes",
    )))
}

/// The codecs parameter that a mime box gives, else IMSC1 text or image as the
/// schema tells.
fn timed_text(text: &[&[u8]], mime: Option<&[u8]>) -> String {
    let mime = mime
        .and_then(|mime| std::str::from_utf8(mime).ok())
        .unwrap_or("");
    if let Some((_, codecs)) = mime.split_once("codecs=") {
        let codecs = codecs.trim_matches('"');
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        if codecs.len() <= 64 && !codecs.is_empty() && codecs.chars().all(plain) {
            let codecs = codecs.strip_prefix("stpp.").unwrap_or(codecs);
            return format!(
                "stpp.ttml.{}",
                codecs.strip_prefix("ttml.").unwrap_or(codecs)
            );
        }
    }
    let names_images = |field: &&[u8]| field.windows(5).any(|word| word == b"image");
    if text.iter().any(names_images) {
        "stpp.ttml.im1i"
    } else {
        "stpp.ttml.im1t"
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::testing::{audio_fields, boxed};

    fn read(kind: Kind, name: &[u8; 4], content: &[&[u8]]) -> Result<SampleEntry, Error> {
        let fixed = match kind {
            Kind::Video => vec![0; 78],
            Kind::Audio => audio_fields(),
            Kind::Text | Kind::Metadata => vec![0; 8],
        };
        let entry = boxed(name, &[&fixed, &content.concat()]);
        SampleEntry::read(&Reader::new(&entry, 0).child().unwrap().unwrap(), kind)
    }

    fn video(name: &[u8; 4], config: &[u8; 4], content: &[u8]) -> String {
        read(Kind::Video, name, &[&boxed(config, &[content])])
            .unwrap()
            .codec
    }

    /// An esds as muxers write it, with long descriptor sizes.
    fn esds(object_type: u8, specific: &[u8]) -> Vec<u8> {
        let specific = [&[5, 0x80, 0x80, 0x80, specific.len() as u8], specific].concat();
        let decoder = [&[object_type], &[0x15; 12][..], &specific].concat();
        let decoder = [&[4, 0x80, 0x80, 0x80, decoder.len() as u8], &decoder[..]].concat();
        let es = [&[0, 1, 0], &decoder[..], &[6, 1, 2]].concat();
        boxed(b"esds", &[&[0; 4], &[3, es.len() as u8], &es])
    }

    fn mp4a(object_type: u8, specific: &[u8]) -> String {
        read(Kind::Audio, b"mp4a", &[&esds(object_type, specific)])
            .unwrap()
            .codec
    }

    #[test]
    fn rfc_6381_section_3_3_avc() {
        let config = [1, 0x64, 0x00, 0x1f, 0xff, 0xe1];
        assert_eq!(video(b"avc1", b"avcC", &config), "avc1.64001f");
        assert_eq!(
            video(b"avc3", b"avcC", &[1, 0x42, 0xc0, 0x0b]),
            "avc3.42c00b"
        );
    }

    #[test]
    fn iso_14496_15_annex_e_3_hevc() {
        let config = |profile, compatibility: u32, constraints: [u8; 6], level| {
            [
                &[1, profile],
                &compatibility.to_be_bytes()[..],
                &constraints,
                &[level],
            ]
            .concat()
        };
        let main = config(0x01, 0x6000_0000, [0x90, 0, 0, 0, 0, 0], 60);
        assert_eq!(video(b"hev1", b"hvcC", &main), "hev1.1.6.L60.90");
        let main10 = config(0x22, 0x2000_0000, [0xb0, 0, 0, 0, 0, 0], 153);
        assert_eq!(video(b"hvc1", b"hvcC", &main10), "hvc1.2.4.H153.B0");
        let odd = config(0x41, 0x8000_0000, [0, 0x23, 0, 0, 0, 0], 93);
        assert_eq!(video(b"hvc1", b"hvcC", &odd), "hvc1.A1.1.L93.0.23");
        let plain = config(0x01, 0x6000_0000, [0; 6], 93);
        assert_eq!(video(b"hvc1", b"hvcC", &plain), "hvc1.1.6.L93");
    }

    #[test]
    fn av1_isobmff_section_5() {
        assert_eq!(
            video(b"av01", b"av1C", &[0x81, 0x00, 0x0c, 0]),
            "av01.0.00M.08"
        );
        assert_eq!(
            video(b"av01", b"av1C", &[0x81, 0x08, 0x4c, 0]),
            "av01.0.08M.10"
        );
        assert_eq!(
            video(b"av01", b"av1C", &[0x81, 0x4d, 0xe0, 0]),
            "av01.2.13H.12"
        );
    }

    #[test]
    fn vp_codec_binding_codecs_parameter() {
        let config = [1, 0, 0, 0, 0, 11, 0x82, 2, 2, 2, 0, 0];
        assert_eq!(video(b"vp09", b"vpcC", &config), "vp09.00.11.08");
        assert_eq!(
            video(b"vp09", b"vpcC", &[1, 0, 0, 0, 2, 51, 0xa4]),
            "vp09.02.51.10"
        );
    }

    #[test]
    fn rfc_6381_section_3_3_mpeg_4_audio() {
        assert_eq!(mp4a(0x40, &[0x11, 0x90]), "mp4a.40.2", "AAC LC");
        assert_eq!(mp4a(0x40, &[0x2b, 0x11, 0x88, 0]), "mp4a.40.5", "HE-AAC");
        assert_eq!(
            mp4a(0x40, &[0xeb, 0x09, 0x88, 0]),
            "mp4a.40.29",
            "HE-AAC v2"
        );
        assert_eq!(
            mp4a(0x40, &[0xf9, 0x48, 0x40]),
            "mp4a.40.42",
            "xHE-AAC, escaped"
        );
        assert_eq!(mp4a(0x6b, &[]), "mp4a.6b", "MP3");
    }

    #[test]
    fn an_esds_that_lies_is_an_error() {
        let whole = esds(0x40, &[0x11, 0x90]);
        assert!(read(Kind::Audio, b"mp4a", &[&whole]).is_ok());
        for cut in 12..whole.len() - 3 {
            let esds = boxed(b"esds", &[&whole[8..cut]]);
            let error = read(Kind::Audio, b"mp4a", &[&esds]).unwrap_err();
            assert_eq!(error.path[0], FourCc(*b"esds"), "{error}");
        }
        let endless = boxed(b"esds", &[&[0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 0x80, 1]]);
        assert!(read(Kind::Audio, b"mp4a", &[&endless]).is_err());
    }

    #[test]
    fn sound_has_the_channels_of_its_configuration() {
        let channels = |name, content: &[u8]| {
            let entry = read(Kind::Audio, name, &[content]).unwrap();
            (entry.channels, entry.joint_objects)
        };
        assert_eq!(channels(b"mp4a", &esds(0x40, &[0x11, 0xb0])), (6, None));
        assert_eq!(
            channels(b"mp4a", &esds(0x6b, &[])),
            (2, None),
            "as the entry says"
        );
        let dec3 = boxed(b"dec3", &[&[6, 0, 0x20, 0x0f, 0, 1, 16]]);
        assert_eq!(channels(b"ec-3", &dec3), (6, Some(16)));
        assert_eq!(
            channels(b"ac-3", &boxed(b"dac3", &[&[0x10, 0x3d, 0xe0]])),
            (6, None)
        );
        assert_eq!(channels(b"ac-3", &boxed(b"dac3", &[&[0x10]])), (2, None));
    }

    #[test]
    fn iso_14496_12_section_12_1_5_colour_and_pixels() {
        let config = boxed(b"avcC", &[&[1, 0x64, 0, 0x1f, 0xff, 0xe0]]);
        let entry = |extra: &[u8]| read(Kind::Video, b"avc1", &[&config, extra]).unwrap();
        let colr =
            |form: &[u8; 4], transfer| boxed(b"colr", &[form, &[0, 9, 0, transfer, 0, 9, 0]]);
        assert_eq!(entry(&colr(b"nclx", 16)).transfer, Some(Transfer::Pq));
        assert_eq!(entry(&colr(b"nclx", 18)).transfer, Some(Transfer::Hlg));
        assert_eq!(entry(&colr(b"nclc", 1)).transfer, Some(Transfer::Sdr));
        assert_eq!(entry(&colr(b"nclx", 2)).transfer, None, "unspecified");
        assert_eq!(entry(&colr(b"prof", 16)).transfer, None);
        assert_eq!(entry(&boxed(b"colr", &[b"nc"])).transfer, None);
        let pasp = |v| boxed(b"pasp", &[&[0, 0, 0, 4, 0, 0, 0, v]]);
        assert_eq!(
            (entry(&pasp(3)).aspect, entry(&pasp(0)).aspect),
            (Some((4, 3)), None)
        );
    }

    #[test]
    fn other_audio_goes_by_the_name_of_its_entry() {
        let codec = |name| read(Kind::Audio, name, &[]).unwrap().codec;
        assert_eq!(codec(b"ac-3"), "ac-3");
        assert_eq!(codec(b"ec-3"), "ec-3");
        assert_eq!(codec(b"fLaC"), "fLaC");
        let opus = read(Kind::Audio, b"Opus", &[&boxed(b"dOps", &[&[0, 6, 1, 56]])]).unwrap();
        assert_eq!(
            (opus.codec.as_str(), opus.channels, opus.sample_rate),
            ("opus", 6, 48_000)
        );
    }

    #[test]
    fn text_and_metadata() {
        let codec = |kind, name, content: &[u8]| read(kind, name, &[content]).unwrap().codec;
        assert_eq!(
            codec(Kind::Text, b"wvtt", &boxed(b"vttC", &[b"WEBVTT"])),
            "wvtt"
        );
        let plain = b"http://www.w3.org/ns/ttml\0\0\0";
        assert_eq!(codec(Kind::Text, b"stpp", plain), "stpp.ttml.im1t");
        let images = b"http://www.w3.org/ns/ttml\0x/imsc1/image\0image/png\0";
        assert_eq!(codec(Kind::Text, b"stpp", images), "stpp.ttml.im1i");
        let mime = boxed(
            b"mime",
            &[&[0; 4], b"application/ttml+xml;codecs=\"etd1\"\0"],
        );
        assert_eq!(
            codec(Kind::Text, b"stpp", &[plain, &mime[..]].concat()),
            "stpp.ttml.etd1"
        );
        assert_eq!(codec(Kind::Metadata, b"evte", b""), "evte");
        assert_eq!(codec(Kind::Metadata, b"urim", b"urn:x"), "urim");
    }

    #[test]
    fn encryption_hides_the_entry_but_not_the_codec() {
        let frma = boxed(b"sinf", &[&boxed(b"frma", &[b"avc1"])]);
        let config = boxed(b"avcC", &[&[1, 0x64, 0, 0x1f]]);
        let entry = read(Kind::Video, b"encv", &[&config, &frma]).unwrap();
        assert_eq!(
            (entry.codec.as_str(), entry.encrypted),
            ("avc1.64001f", true)
        );
        let error = read(Kind::Video, b"encv", &[&config]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Missing(FourCc(*b"frma")));
    }

    #[test]
    fn bit_rates_and_what_is_missing() {
        let btrt = |peak: u8, average: u8| boxed(b"btrt", &[&[0; 7], &[peak, 0, 0, 0, average]]);
        let rate = |btrt: &[u8]| read(Kind::Audio, b"ac-3", &[btrt]).unwrap().bitrate;
        assert_eq!(rate(&btrt(9, 5)), Some(5));
        assert_eq!(rate(&btrt(9, 0)), Some(9));
        assert_eq!(rate(&btrt(0, 0)), None);
        let error = read(Kind::Video, b"hvc1", &[]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Missing(FourCc(*b"hvcC")));
    }
}
