//! The multivariant playlist of a channel (rfc8216bis section 4.4.6).
//!
//! Every track of video is a variant with each group of sound and of text that
//! goes with it.

mod groups;
mod names;

use std::fmt::Write;

use self::groups::{Group, Groups};
use crate::hls::uri::{PlaylistUri, Quoted};
use crate::hls::variables;
use crate::media::channel::{Channel, Track};
use crate::media::cmaf::{Kind, Transfer};

/// Players start with the first variant: the best one of up to this many bits a
/// second. Apple's authoring specification advises 2 Mbit/s.
const START_BPS_MAX: u64 = 2_500_000;
/// The group of captions within the video.
const CAPTIONS_GROUP: &str = "captions";

/// The playlist as the channel stands. It changes with
/// [`Channel::presentation_version`] and never else.
pub fn render(channel: &Channel) -> String {
    let mut out = String::with_capacity(2048);
    head(&mut out, channel);
    let sound = Groups::of(channel, Kind::Audio);
    let text = Groups::of(channel, Kind::Text);
    let has_video = channel.has(Kind::Video);
    if has_video || sound.has_choice() {
        sound.write(&mut out, channel);
    }
    text.write(&mut out, channel);
    if has_video {
        captions(&mut out, channel);
    }
    let mut variants = variants(channel, &sound, &text);
    start_first(&mut variants);
    let all = Common::of(channel);
    for variant in &variants {
        all.line(&mut out, variant)
            .expect("a string takes any text");
    }
    for (_, track) in ladder(channel) {
        all.iframes(&mut out, track)
            .expect("a string takes any text");
    }
    out
}

/// A track with what is played beside it.
struct Variant<'a> {
    track: &'a Track,
    sound: Option<&'a Group<'a>>,
    text: Option<&'a Group<'a>>,
    /// Whether the groups are the ones most players should take.
    usual: bool,
}

impl Variant<'_> {
    /// The largest sum of a rate over the renditions that may play together
    /// (section 4.4.6.2).
    fn largest(&self, rate: fn(&Track) -> u64) -> u64 {
        let of_group = |group: Option<&Group<'_>>| {
            let tracks = group.iter().flat_map(|group| &group.tracks);
            tracks.map(|track| rate(track)).max().unwrap_or(0)
        };
        let beside = of_group(self.sound).saturating_add(of_group(self.text));
        // A track that stands for its own group of sound is no sum.
        let own = match self.sound {
            Some(_) if self.track.info.header.kind == Kind::Audio => 0,
            _ => rate(self.track),
        };
        own.saturating_add(beside)
    }

    fn bandwidth(&self) -> u64 {
        self.largest(peak_bps).max(1)
    }

    /// Every format of any rendition the variant may use (section 4.4.6.2).
    fn codecs(&self) -> String {
        let groups = self.sound.iter().chain(&self.text);
        let beside = groups.flat_map(|group| &group.tracks);
        let mut all: Vec<&str> = Vec::new();
        for track in std::iter::once(&self.track).chain(beside) {
            if !all.contains(&&*track.info.header.codec) {
                all.push(&track.info.header.codec);
            }
        }
        all.join(",")
    }
}

/// The head: nothing in it or behind it needs more than version 1, which goes
/// without saying, but for variables (section 8).
fn head(out: &mut String, channel: &Channel) {
    let presentation = &channel.presentation;
    out.push_str("#EXTM3U\n");
    let version = variables::version(&presentation.definitions);
    if version > 1 {
        write(out, format_args!("#EXT-X-VERSION:{version}\n"));
    }
    variables::define(out, &presentation.definitions);
    out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    if let Some(steering) = &presentation.steering {
        let (uri, pathway) = (&steering.server_uri, &steering.pathway_id);
        write(
            out,
            format_args!("#EXT-X-CONTENT-STEERING:SERVER-URI=\"{uri}\",PATHWAY-ID=\"{pathway}\"\n"),
        );
    }
}

/// Captions that the operator knows to be in the video.
fn captions(out: &mut String, channel: &Channel) {
    for caption in &channel.presentation.captions {
        write(
            out,
            format_args!("#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"{CAPTIONS_GROUP}\""),
        );
        if let Some(language) = &caption.language {
            write(out, format_args!(",LANGUAGE=\"{language}\""));
        }
        let default = if caption.default { "YES" } else { "NO" };
        let (name, id) = (&caption.name, &caption.instream_id);
        write(
            out,
            format_args!(
                ",NAME=\"{name}\",DEFAULT={default},AUTOSELECT=YES,INSTREAM-ID=\"{id}\"\n"
            ),
        );
    }
}

/// Every track of video with the groups beside it; of sound alone, every group.
fn variants<'a>(
    channel: &'a Channel,
    sound: &'a Groups<'a>,
    text: &'a Groups<'a>,
) -> Vec<Variant<'a>> {
    let mut out = Vec::new();
    let mut add = |track: &'a Track, group: Option<(usize, &'a Group<'a>)>| {
        let first = group.is_none_or(|(index, _)| index == 0);
        let sound = group.map(|(_, group)| group);
        for (index, text) in or_none(&text.all) {
            let usual = first && index == 0;
            out.push(Variant {
                track,
                sound,
                text,
                usual,
            });
        }
    };
    if !channel.has(Kind::Video) {
        for (index, group) in sound.all.iter().enumerate() {
            let own = sound.has_choice().then_some((index, group));
            add(sound.default_of(group), own);
        }
        return out;
    }
    let videos = ladder(channel);
    for (place, track) in &videos {
        for (index, group) in or_none(&sound.all) {
            // Low bit rates of sound go with low ones of video, each with some.
            let fits = |group: &Group<'_>| {
                let from = place * group.tiers / videos.len();
                let to = (place + 1) * group.tiers / videos.len();
                group.tier >= from && group.tier < to.max(from + 1)
            };
            if group.is_none_or(fits) {
                add(track, group.map(|group| (index, group)));
            }
        }
    }
    out
}

/// Each group with its index, or none once.
fn or_none<'a>(groups: &'a [Group<'a>]) -> impl Iterator<Item = (usize, Option<&'a Group<'a>>)> {
    let none = groups.is_empty().then_some((0, None));
    none.into_iter().chain(groups.iter().map(Some).enumerate())
}

/// Tracks of video as they joined, with their place in the order of size: what
/// was measured would move them about.
fn ladder(channel: &Channel) -> Vec<(usize, &Track)> {
    let tracks = channel.tracks().iter();
    let videos: Vec<&Track> = tracks
        .filter(|track| track.info.header.kind == Kind::Video)
        .collect();
    let size = |index: usize| {
        let header = &videos[index].info.header;
        let pixels = u64::from(header.width) * u64::from(header.height);
        (pixels, header.bitrate, index)
    };
    let place = |index: usize| {
        (0..videos.len())
            .filter(|other| size(*other) < size(index))
            .count()
    };
    let places = (0..videos.len()).map(place);
    places.zip(videos.iter().copied()).collect()
}

/// Puts the variant that players should start with in front of the others.
fn start_first(variants: &mut [Variant<'_>]) {
    let bandwidths = variants.iter().enumerate().filter(|(_, one)| one.usual);
    let bandwidths: Vec<_> = bandwidths
        .map(|(index, one)| (index, one.bandwidth()))
        .collect();
    let within = bandwidths.iter().filter(|(_, bps)| *bps <= START_BPS_MAX);
    let best = within
        .rev()
        .max_by_key(|(_, bps)| bps)
        .or_else(|| bandwidths.iter().min_by_key(|(_, bps)| bps));
    if let Some((index, _)) = best {
        variants[..=*index].rotate_right(1);
    }
}

/// What all variants say or none does.
struct Common<'a> {
    channel: &'a Channel,
    range: bool,
    score: bool,
}

impl<'a> Common<'a> {
    fn of(channel: &'a Channel) -> Self {
        let videos = || {
            let tracks = channel.tracks().iter();
            tracks.filter(|track| track.info.header.kind == Kind::Video)
        };
        Self {
            channel,
            range: videos().any(|track| track.info.header.transfer.is_some()),
            score: videos().all(|track| track.words.score.is_some()),
        }
    }

    fn line(&self, out: &mut String, variant: &Variant<'_>) -> std::fmt::Result {
        let (track, presentation) = (variant.track, &self.channel.presentation);
        write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={}", variant.bandwidth())?;
        let average = variant.largest(|track| track.average_bps);
        if average > 0 {
            write!(out, ",AVERAGE-BANDWIDTH={average}")?;
        }
        if let Some(score) = track.words.score.filter(|_| self.score) {
            write!(out, ",SCORE={score:?}")?;
        }
        write!(out, ",CODECS={}", Quoted(&variant.codecs()))?;
        let header = &track.info.header;
        if header.kind == Kind::Video {
            self.picture(out, track)?;
        }
        if let Some(group) = variant.sound {
            write!(out, ",AUDIO=\"{}\"", group.id)?;
        }
        if let Some(group) = variant.text {
            write!(out, ",SUBTITLES=\"{}\"", group.id)?;
        }
        if header.kind == Kind::Video {
            if presentation.captions.is_empty() {
                write!(out, ",CLOSED-CAPTIONS=NONE")?;
            } else {
                write!(out, ",CLOSED-CAPTIONS=\"{CAPTIONS_GROUP}\"")?;
            }
        }
        if let Some(steering) = &presentation.steering {
            let groups = variant.sound.iter().chain(&variant.text);
            let ids = groups.map(|group| group.id.as_str());
            let ids: Vec<_> = std::iter::once(track.info.name.as_str())
                .chain(ids)
                .collect();
            write!(out, ",STABLE-VARIANT-ID=\"{}\"", stable_id(&ids))?;
            write!(out, ",PATHWAY-ID=\"{}\"", steering.pathway_id)?;
        }
        writeln!(out, "\n{}", PlaylistUri::new(self.channel, track))
    }

    /// The list of I-frames of a video track, once there is one (section
    /// 4.4.6.3).
    fn iframes(&self, out: &mut String, track: &Track) -> std::fmt::Result {
        let (peak, average) = track.frames_bps;
        if peak == 0 {
            return Ok(());
        }
        write!(out, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak}")?;
        write!(out, ",AVERAGE-BANDWIDTH={average}")?;
        write!(out, ",CODECS={}", Quoted(&track.info.header.codec))?;
        self.size_and_range(out, track)?;
        if let Some(steering) = &self.channel.presentation.steering {
            let id = stable_id(&[&track.info.name, "iframes"]);
            let pathway = &steering.pathway_id;
            write!(out, ",STABLE-VARIANT-ID=\"{id}\",PATHWAY-ID=\"{pathway}\"")?;
        }
        let uri = PlaylistUri::iframes(self.channel, track);
        writeln!(out, ",URI=\"{uri}\"")
    }

    fn picture(&self, out: &mut String, track: &Track) -> std::fmt::Result {
        self.size_and_range(out, track)?;
        if let Some(rate) = track.info.frame_rate {
            write!(out, ",FRAME-RATE={}.{:03}", rate / 1000, rate % 1000)?;
        }
        Ok(())
    }

    fn size_and_range(&self, out: &mut String, track: &Track) -> std::fmt::Result {
        let header = &track.info.header;
        let (width, height) = match header.display {
            (0, _) | (_, 0) => (header.width, header.height),
            display => display,
        };
        if width > 0 && height > 0 {
            write!(out, ",RESOLUTION={width}x{height}")?;
        }
        if self.range {
            let range = match header.transfer {
                Some(Transfer::Pq) => "PQ",
                Some(Transfer::Hlg) => "HLG",
                Some(Transfer::Sdr) | None => "SDR",
            };
            write!(out, ",VIDEO-RANGE={range}")?;
        }
        Ok(())
    }
}

/// Names in a row as an id that steering knows a variant by. Of the characters
/// of names it lacks the tilde (section 4.4.6.2).
fn stable_id(names: &[&str]) -> String {
    names.join("+").replace('~', "=")
}

/// As measured, else as the header claims.
fn peak_bps(track: &Track) -> u64 {
    if track.peak_bps > 0 {
        return track.peak_bps;
    }
    track
        .info
        .header
        .bitrate
        .map_or(track.average_bps, u64::from)
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes any text");
}

#[cfg(test)]
mod tests;
