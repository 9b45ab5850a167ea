//! CMAF headers: from moov to tracks.

use bytes::Bytes;

use super::codec::SampleEntry;
use super::write;
use super::{Header, Kind, Roles, SampleDefaults, TrackHeader};
use crate::limits;
use crate::media::bmff::{Child, Error, ErrorKind, FourCc, Reader};
use crate::time::{Timescale, rescale_nearest};

impl Header {
    /// Reads a whole moov box; `bytes` are the boxes of the header, which end
    /// with it.
    pub(super) fn read(moov: &Child<'_>, bytes: Bytes) -> Result<Self, Error> {
        let mut movie_timescale = None;
        let mut traks: Vec<Trak> = Vec::new();
        let mut defaults = Vec::new();
        moov.payload.each(|child| {
            match &child.name.0 {
                b"mvhd" => movie_timescale = Some(timed_header(child.payload)?.1),
                b"trak" => {
                    let (count, max) = (traks.len() as u64 + 1, limits::HEADER_TRACKS_MAX as u64);
                    if count > max {
                        let kind = ErrorKind::TooMany {
                            what: "track count",
                            count,
                            max,
                        };
                        return Err(Error::new(child.at, kind));
                    }
                    traks.push(Trak::read(&child)?);
                }
                b"mvex" => child.payload.each(|child| {
                    if child.name == *b"trex" && defaults.len() < limits::HEADER_TRACKS_MAX {
                        defaults.push(read_trex(child.payload)?);
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        let missing = |name: &[u8; 4]| Error::new(moov.at, ErrorKind::Missing(FourCc(*name)));
        let movie_timescale = movie_timescale.ok_or_else(|| missing(b"mvhd"))?;
        if traks.is_empty() {
            return Err(missing(b"trak"));
        }
        let alone = traks.len() == 1;
        let mut tracks: Vec<TrackHeader> = Vec::with_capacity(traks.len());
        for trak in traks {
            if tracks.iter().any(|track| track.track_id == trak.track_id) {
                let error = Error::new(trak.at, ErrorKind::Invalid("a second track of this id"));
                return Err(error.inside(FourCc(*b"trak")));
            }
            let own = if alone {
                bytes.clone()
            } else {
                header_of(moov, &bytes, trak.track_id)?
            };
            let found = defaults.iter().find(|(id, _)| *id == trak.track_id);
            let defaults = found.map_or_else(SampleDefaults::default, |(_, defaults)| *defaults);
            tracks.push(trak.finish(movie_timescale, defaults, own)?);
        }
        Ok(Self { bytes, tracks })
    }
}

/// What a trak says.
struct Trak {
    at: u64,
    track_id: u32,
    kind: Kind,
    timescale: Timescale,
    language: Option<String>,
    edits: Edits,
    roles: Roles,
    /// Width and height of tkhd.
    size: (u32, u32),
    entry: SampleEntry,
}

/// The edit list as far as it shifts the presentation: empty edits, in ticks
/// of the movie, and where the first real one begins, in ticks of the track.
#[derive(Clone, Copy, Default)]
struct Edits {
    empty: u64,
    media_time: i64,
}

/// The boxes of mdia that are read.
#[derive(Default)]
struct Media<'a> {
    timescale: Option<u32>,
    language: Option<String>,
    extended_language: Option<String>,
    handler: Option<FourCc>,
    entry: Option<Child<'a>>,
}

impl Trak {
    fn read(trak: &Child<'_>) -> Result<Self, Error> {
        let mut track_id = None;
        let mut edits = Edits::default();
        let (mut size, mut roles) = ((0, 0), Roles::default());
        let mut media = None;
        trak.payload.each(|child| {
            match &child.name.0 {
                b"tkhd" => {
                    let (rest, id) = timed_header(child.payload)?;
                    (track_id, size) = (Some(id), picture_size(rest));
                }
                b"udta" => roles = Roles::read(child.payload)?,
                b"edts" => child.payload.each(|child| {
                    if child.name == *b"elst" {
                        edits = read_elst(child.payload)?;
                    }
                    Ok(())
                })?,
                b"mdia" => media = Some((child.at, Media::read(child.payload)?)),
                _ => {}
            }
            Ok(())
        })?;
        let missing = |at, name: &[u8; 4]| Error::new(at, ErrorKind::Missing(FourCc(*name)));
        let track_id = track_id.ok_or_else(|| missing(trak.at, b"tkhd"))?;
        let (media_at, media) = media.ok_or_else(|| missing(trak.at, b"mdia"))?;
        let in_media = |error: Error| error.inside(FourCc(*b"mdia"));
        let missing = |name: &[u8; 4]| in_media(missing(media_at, name));
        let timescale = media.timescale.ok_or_else(|| missing(b"mdhd"))?;
        let timescale = Timescale::new(timescale).ok_or_else(|| {
            in_media(Error::new(
                media_at,
                ErrorKind::Invalid("a timescale of zero"),
            ))
        })?;
        let handler = media.handler.ok_or_else(|| missing(b"hdlr"))?;
        let kind = kind_of(handler)
            .ok_or_else(|| in_media(Error::new(media_at, ErrorKind::Handler(handler))))?;
        let entry = media.entry.ok_or_else(|| missing(b"stsd"))?;
        let entry = SampleEntry::read(&entry, kind).map_err(|error| {
            let error = error.inside(entry.name).inside(FourCc(*b"stsd"));
            in_media(error.inside(FourCc(*b"stbl")).inside(FourCc(*b"minf")))
        })?;
        let language = media.extended_language.or(media.language);
        Ok(Self {
            at: trak.at,
            track_id,
            kind,
            timescale,
            language,
            edits,
            roles,
            size,
            entry,
        })
    }

    /// Width and height to show video with.
    fn display(&self) -> (u32, u32) {
        let coded = (self.entry.width, self.entry.height);
        if self.kind != Kind::Video {
            (0, 0)
        } else if self.size.0 > 0 && self.size.1 > 0 {
            self.size
        } else if let Some((width, height)) = self.entry.aspect {
            let wide = u64::from(coded.0) * u64::from(width) / u64::from(height);
            (u32::try_from(wide).unwrap_or(coded.0), coded.1)
        } else {
            coded
        }
    }

    fn finish(
        self,
        movie_timescale: u32,
        defaults: SampleDefaults,
        bytes: Bytes,
    ) -> Result<TrackHeader, Error> {
        let empty = i64::try_from(self.edits.empty).unwrap_or(i64::MAX);
        let empty = rescale_nearest(empty, movie_timescale.max(1), self.timescale.get());
        let edit_shift_ticks = self.edits.media_time.saturating_sub(empty);
        if edit_shift_ticks.unsigned_abs() > limits::EDIT_TICKS_MAX {
            let kind = ErrorKind::Invalid("an edit list that shifts beyond reason");
            return Err(Error::new(self.at, kind).inside(FourCc(*b"trak")));
        }
        let display = self.display();
        Ok(TrackHeader {
            track_id: self.track_id,
            kind: self.kind,
            timescale: self.timescale,
            codec: self.entry.codec,
            language: self.language,
            width: self.entry.width,
            height: self.entry.height,
            display,
            transfer: self.entry.transfer,
            sample_rate: self.entry.sample_rate,
            channels: self.entry.channels,
            joint_objects: self.entry.joint_objects,
            roles: self.roles,
            bitrate: self.entry.bitrate,
            edit_shift_ticks,
            defaults,
            encrypted: self.entry.encrypted,
            digest: digest(&bytes),
            bytes,
        })
    }
}

impl<'a> Media<'a> {
    fn read(mdia: Reader<'a>) -> Result<Self, Error> {
        let mut out = Self::default();
        mdia.each(|child| {
            let mut payload = child.payload;
            match &child.name.0 {
                b"mdhd" => {
                    let (rest, timescale) = timed_header(payload)?;
                    out.timescale = Some(timescale);
                    out.language = read_language(rest, payload.rest().first() == Some(&0))?;
                }
                b"elng" => {
                    payload.version_and_flags()?;
                    out.extended_language = language_tag(payload.c_string());
                }
                b"hdlr" => {
                    payload.take(8)?; // version, flags, pre_defined
                    out.handler = Some(payload.four_cc()?);
                }
                b"minf" => payload.each(|child| match &child.name.0 {
                    b"stbl" => child.payload.each(|child| {
                        if child.name == *b"stsd" {
                            let mut payload = child.payload;
                            payload.take(8)?; // version, flags, entry_count
                            out.entry = payload.child()?;
                        }
                        Ok(())
                    }),
                    _ => Ok(()),
                })?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// mvhd, tkhd and mdhd begin alike: two dates, then the timescale or, in tkhd,
/// the track id. Gives that field and what follows it.
fn timed_header(mut payload: Reader<'_>) -> Result<(Reader<'_>, u32), Error> {
    let (version, _) = payload.version_and_flags()?;
    payload.u32_or_u64(version)?; // creation_time
    payload.u32_or_u64(version)?; // modification_time
    let field = payload.u32()?;
    Ok((payload, field))
}

/// Width and height at the end of tkhd, whole pixels of 16.16; what can't be
/// read is no size.
fn picture_size(rest: Reader<'_>) -> (u32, u32) {
    let Some((_, tail)) = rest.rest().split_last_chunk::<8>() else {
        return (0, 0);
    };
    let [a, b, _, _, c, d, _, _] = *tail;
    (
        u16::from_be_bytes([a, b]).into(),
        u16::from_be_bytes([c, d]).into(),
    )
}

/// The language of mdhd, from after its timescale: three letters of five bits.
fn read_language(mut rest: Reader<'_>, short: bool) -> Result<Option<String>, Error> {
    rest.u32_or_u64(u8::from(!short))?; // duration
    let packed = rest.u16()?;
    let letters = [10, 5, 0].map(|shift| (packed >> shift & 0x1f) as u8 + 0x60);
    Ok(language_tag(&letters))
}

/// mdhd has the codes of ISO 639-2; BCP 47 wants the one of two letters where
/// there is one. Both codes of a language that has two are listed; a language
/// that is not here keeps its three letters, which players take too.
#[rustfmt::skip]
const SHORT_TAGS: [(&str, &str); 58] = [
    ("ara", "ar"), ("bul", "bg"), ("cat", "ca"), ("ces", "cs"), ("chi", "zh"), ("cym", "cy"),
    ("cze", "cs"), ("dan", "da"), ("deu", "de"), ("dut", "nl"), ("ell", "el"), ("eng", "en"),
    ("est", "et"), ("eus", "eu"), ("fas", "fa"), ("fin", "fi"), ("fra", "fr"), ("fre", "fr"),
    ("ger", "de"), ("gle", "ga"), ("glg", "gl"), ("gre", "el"), ("heb", "he"), ("hin", "hi"),
    ("hrv", "hr"), ("hun", "hu"), ("ice", "is"), ("ind", "id"), ("isl", "is"), ("ita", "it"),
    ("jpn", "ja"), ("kor", "ko"), ("lav", "lv"), ("lit", "lt"), ("may", "ms"), ("msa", "ms"),
    ("nld", "nl"), ("nno", "nn"), ("nob", "nb"), ("nor", "no"), ("per", "fa"), ("pol", "pl"),
    ("por", "pt"), ("ron", "ro"), ("rum", "ro"), ("rus", "ru"), ("slk", "sk"), ("slo", "sk"),
    ("slv", "sl"), ("spa", "es"), ("srp", "sr"), ("swe", "sv"), ("tha", "th"), ("tur", "tr"),
    ("ukr", "uk"), ("urd", "ur"), ("vie", "vi"), ("zho", "zh"),
];

/// A BCP 47 tag, unless it says "undetermined" or is no tag at all.
fn language_tag(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let sound = (2..=35).contains(&text.len()) && text.chars().all(plain);
    let (first, rest) = text.split_at(text.find('-').unwrap_or(text.len()));
    if !sound || first == "und" {
        return None;
    }
    let short = SHORT_TAGS.iter().find(|(long, _)| *long == first);
    Some(format!("{}{rest}", short.map_or(first, |(_, short)| short)))
}

fn kind_of(handler: FourCc) -> Option<Kind> {
    match &handler.0 {
        b"vide" => Some(Kind::Video),
        b"soun" => Some(Kind::Audio),
        b"text" | b"subt" => Some(Kind::Text),
        b"meta" => Some(Kind::Metadata),
        _ => None,
    }
}

/// elst (ISO/IEC 14496-12 section 8.6.6): empty edits up to the first real one.
fn read_elst(mut payload: Reader<'_>) -> Result<Edits, Error> {
    let (version, _) = payload.version_and_flags()?;
    let count = payload.u32()?;
    let mut edits = Edits::default();
    for _ in 0..count {
        let duration = payload.u32_or_u64(version)?;
        let media_time = if version == 0 {
            i64::from(payload.i32()?)
        } else {
            payload.u64()?.cast_signed()
        };
        payload.u32()?; // media_rate
        if media_time >= 0 {
            edits.media_time = media_time;
            break;
        }
        edits.empty = edits.empty.saturating_add(duration);
    }
    Ok(edits)
}

fn read_trex(mut payload: Reader<'_>) -> Result<(u32, SampleDefaults), Error> {
    payload.version_and_flags()?;
    let track_id = payload.u32()?;
    payload.u32()?; // default_sample_description_index
    let (duration, size, flags) = (payload.u32()?, payload.u32()?, payload.u32()?);
    Ok((
        track_id,
        SampleDefaults {
            duration,
            size,
            flags,
        },
    ))
}

/// The header of one track of several: other traks, their trex and mehd, which
/// speaks of all of them, are left out.
fn header_of(moov: &Child<'_>, bytes: &Bytes, track_id: u32) -> Result<Bytes, Error> {
    let mut content = Vec::with_capacity(moov.bytes.len());
    moov.payload.each(|child| {
        match &child.name.0 {
            b"trak" => {
                let mut id = None;
                child.payload.each(|child| {
                    if child.name == *b"tkhd" {
                        id = Some(timed_header(child.payload)?.1);
                    }
                    Ok(())
                })?;
                if id == Some(track_id) {
                    content.extend_from_slice(child.bytes);
                }
            }
            b"mvex" => {
                let mut kept = Vec::new();
                child.payload.each(|child| {
                    let keep = match &child.name.0 {
                        b"trex" => read_trex(child.payload)?.0 == track_id,
                        b"mehd" => false,
                        _ => true,
                    };
                    if keep {
                        kept.extend_from_slice(child.bytes);
                    }
                    Ok(())
                })?;
                write::header(&mut content, 8 + kept.len(), b"mvex");
                content.extend_from_slice(&kept);
            }
            _ => content.extend_from_slice(child.bytes),
        }
        Ok(())
    })?;
    let before = bytes.len() - moov.bytes.len();
    let mut out = Vec::with_capacity(before + 8 + content.len());
    out.extend_from_slice(&bytes[..before]);
    write::header(&mut out, 8 + content.len(), b"moov");
    out.extend_from_slice(&content);
    Ok(Bytes::from(out))
}

/// FNV-1a over the header with the dates of mvhd, tkhd and mdhd as zeros, so
/// that an encoder that was started again is known by its header.
fn digest(bytes: &[u8]) -> u64 {
    let mut masked = bytes.to_vec();
    mask_dates(
        &mut masked,
        Reader::new(bytes, 0),
        &[b"moov", b"trak", b"mdia"],
    );
    masked.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Zeros the dates in `boxes` and in those of the first of `containers`, which
/// hold the others in turn.
fn mask_dates(masked: &mut [u8], boxes: Reader<'_>, containers: &[&[u8; 4]]) {
    // The header was read before; what cannot be read now is not masked.
    let _ = boxes.each(|child| {
        match (&child.name.0, containers.split_first()) {
            (name, Some((container, inner))) if name == *container => {
                mask_dates(masked, child.payload, inner);
            }
            (b"mvhd" | b"tkhd" | b"mdhd", _) => {
                let mut payload = child.payload;
                let (version, _) = payload.version_and_flags()?;
                let len = if version == 0 { 8 } else { 16 };
                let from = payload.at() as usize;
                payload.take(len)?;
                masked[from..from + len].fill(0);
            }
            _ => {}
        }
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::Role;
    use crate::media::cmaf::testing::{TrakBytes, boxed, events, header, header_bytes};

    fn failure(traks: &[TrakBytes]) -> String {
        events(&header_bytes(traks)).unwrap_err().to_string()
    }

    #[test]
    fn a_header_says_what_its_tracks_are() {
        let bytes = header_bytes(&[TrakBytes::video(1)]);
        let header = header(&bytes);
        let [track] = &header.tracks[..] else {
            panic!("one track")
        };
        assert_eq!(
            (track.track_id, track.kind, track.timescale.get()),
            (1, Kind::Video, 90_000)
        );
        assert_eq!(
            (track.codec.as_str(), track.width, track.height),
            ("avc1.64001f", 640, 360)
        );
        let trex = SampleDefaults {
            duration: 3000,
            size: 0,
            flags: 0x0101_0000,
        };
        assert_eq!((track.defaults, track.language.as_deref()), (trex, None));
        assert_eq!(track.bytes, bytes);
    }

    #[test]
    fn iso_14496_12_section_8_6_6_edits_shift_the_presentation() {
        let shift = |edits: &[(u32, i32)]| {
            let mut trak = TrakBytes::video(1);
            trak.edits = edits.to_vec();
            header(&header_bytes(&[trak])).tracks[0].edit_shift_ticks
        };
        assert_eq!(shift(&[]), 0);
        assert_eq!(shift(&[(0, 2002)]), 2002);
        assert_eq!(
            shift(&[(21, -1), (0, 0)]),
            -1890,
            "21 ms before the first sample"
        );
        assert_eq!(shift(&[(21, -1), (100, 1024), (7, 9)]), 1024 - 1890);

        let mut trak = TrakBytes::video(1);
        trak.timescale = u32::MAX;
        trak.edits = vec![(256_000, -1), (0, 0)]; // 256 s
        assert!(header(&header_bytes(&[trak])).tracks[0].edit_shift_ticks < -(1 << 39));
        let mut trak = TrakBytes::video(1);
        trak.timescale = u32::MAX;
        trak.edits = vec![(257_000, -1), (0, 0)];
        let told = failure(&[trak]);
        assert!(
            told.ends_with("moov/trak: an edit list that shifts beyond reason"),
            "{told}"
        );
    }

    #[test]
    fn language_of_elng_wins_over_mdhd() {
        let language = |mdhd: [u8; 3], elng: Option<&[u8]>| {
            let mut trak = TrakBytes::audio(1);
            trak.language = mdhd;
            trak.media_extra = elng.map_or(vec![], |tag| boxed(b"elng", &[&[0; 4], tag]));
            header(&header_bytes(&[trak])).tracks.remove(0).language
        };
        assert_eq!(language(*b"und", None), None);
        assert_eq!(language(*b"deu", None).as_deref(), Some("de"));
        assert_eq!(language(*b"ger", None).as_deref(), Some("de"));
        assert_eq!(language(*b"gsw", None).as_deref(), Some("gsw"));
        assert_eq!(
            language(*b"und", Some(b"pt-BR\0")).as_deref(),
            Some("pt-BR")
        );
        assert_eq!(
            language(*b"eng", Some(b"no tag\"\0")).as_deref(),
            Some("en")
        );
        assert_eq!(
            language(*b"und", Some(b"fre-CA\0")).as_deref(),
            Some("fr-CA")
        );
        assert_eq!(language(*b"swe", Some(b"und\0")).as_deref(), Some("sv"));
    }

    #[test]
    fn pictures_are_shown_as_tkhd_or_their_pixels_say() {
        let display = |size: (u16, u16), aspect: Option<[u8; 2]>| {
            let mut trak = TrakBytes::video(1);
            trak.size = size;
            if let Some([wide, high]) = aspect {
                let pasp = boxed(b"pasp", &[&[0, 0, 0, wide, 0, 0, 0, high]]);
                trak.add_to_entry(&pasp);
            }
            header(&header_bytes(&[trak])).tracks.remove(0).display
        };
        assert_eq!(display((0, 0), None), (640, 360));
        assert_eq!(display((854, 480), Some([4, 3])), (854, 480));
        assert_eq!(display((0, 0), Some([4, 3])), (853, 360));
    }

    #[test]
    fn iso_14496_12_section_8_10_4_kind_boxes_are_read_from_udta() {
        let mut trak = TrakBytes::audio(1);
        let kind = boxed(
            b"kind",
            &[&[0; 4], b"urn:mpeg:dash:role:2011\0commentary\0"],
        );
        trak.extra = boxed(b"udta", &[&boxed(b"name", &[b"x"]), &kind]);
        let roles = header(&header_bytes(&[trak])).tracks.remove(0).roles;
        assert_eq!(roles, [Role::Commentary].into_iter().collect());
    }

    #[test]
    fn dates_do_not_change_the_digest_and_all_else_does() {
        let digest = |change: fn(&mut TrakBytes)| {
            let mut trak = TrakBytes::video(1);
            change(&mut trak);
            header(&header_bytes(&[trak])).tracks[0].digest
        };
        let plain = digest(|_| {});
        assert_eq!(digest(|trak| trak.created = 3_000_000_000), plain);
        assert_ne!(digest(|trak| trak.timescale = 90_001), plain);
        assert_ne!(digest(|trak| trak.language = *b"eng"), plain);
        assert_ne!(digest(|trak| trak.trex[0] = 1), plain);
    }

    #[test]
    fn tracks_of_one_header_get_headers_of_their_own() {
        let both = header(&header_bytes(&[TrakBytes::video(1), TrakBytes::audio(7)]));
        assert_eq!(both.tracks.len(), 2);
        for track in &both.tracks {
            let own = header(&track.bytes);
            assert_eq!(own.tracks, std::slice::from_ref(track));
            assert!(!track.bytes.windows(4).any(|name| name == b"mehd"));
        }
        assert_eq!(both.tracks[1].defaults.duration, 960);
    }

    #[test]
    fn tracks_are_bounded_and_their_ids_differ() {
        let traks = |count| (1..=count).map(TrakBytes::video).collect::<Vec<_>>();
        let max = limits::HEADER_TRACKS_MAX as u32;
        assert_eq!(
            header(&header_bytes(&traks(max))).tracks.len(),
            max as usize
        );
        assert!(failure(&traks(max + 1)).ends_with("moov/trak: track count 9 is above 8"));
        let twice = failure(&[TrakBytes::video(1), TrakBytes::audio(1)]);
        assert!(
            twice.ends_with("moov/trak: a second track of this id"),
            "{twice}"
        );
    }

    #[test]
    fn a_header_that_cannot_be_used_says_why() {
        assert_eq!(failure(&[]), "byte 20, moov: no trak");
        let with = |change: fn(&mut TrakBytes)| {
            let mut trak = TrakBytes::video(1);
            change(&mut trak);
            failure(&[trak])
        };
        let zero = with(|trak| trak.timescale = 0);
        assert!(
            zero.ends_with("moov/trak/mdia: a timescale of zero"),
            "{zero}"
        );
        let hint = with(|trak| trak.handler = *b"hint");
        assert!(hint.ends_with("moov/trak/mdia: handler hint is no kind of media known here"));
        let bare = with(|trak| trak.entry = boxed(b"avc1", &[&[0; 78]]));
        assert!(
            bare.ends_with("moov/trak/mdia/minf/stbl/stsd/avc1: no avcC"),
            "{bare}"
        );
        let none = with(|trak| trak.entry = vec![]);
        assert!(none.ends_with("moov/trak/mdia: no stsd"), "{none}");
    }
}
