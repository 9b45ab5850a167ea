//! The multivariant playlist of a channel (rfc8216bis section 4.4.6).

use std::fmt::Write;

use crate::hls::uri::{PlaylistUri, Quoted};
use crate::media::channel::{Channel, Track, TrackIndex};
use crate::media::cmaf::Kind;

/// Every audio track is in this group.
const AUDIO_GROUP: &str = "audio";

/// The playlist as the channel stands. It changes with
/// [`Channel::presentation_version`] and never else.
pub fn render(channel: &Channel) -> String {
    let (video, audio) = (of_kind(channel, Kind::Video), of_kind(channel, Kind::Audio));
    let mut out = String::with_capacity(1024);
    out.push_str("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    if video.is_empty() {
        for (index, track) in &audio {
            stream(&mut out, (*index, track), &[]);
        }
        return out;
    }
    let names = names(&audio);
    for (position, ((_, track), name)) in audio.iter().zip(names).enumerate() {
        let language = &track.info.header.language;
        let earlier = &audio[..position];
        let chosen = !earlier
            .iter()
            .any(|(_, other)| other.info.header.language == *language);
        rendition(&mut out, track, name, position == 0, chosen);
    }
    for (index, track) in &video {
        stream(&mut out, (*index, track), &audio);
    }
    out
}

type Indexed<'a> = (TrackIndex, &'a Track);

fn of_kind(channel: &Channel, kind: Kind) -> Vec<Indexed<'_>> {
    let tracks = channel.tracks().iter().enumerate();
    let indexed = tracks.map(|(index, track)| (TrackIndex(index as u16), track));
    indexed
        .filter(|(_, track)| track.info.header.kind == kind)
        .collect()
}

/// Names of a group's members, all different (section 4.4.6.1.1): the language
/// where that tells them apart, else the name of the track.
fn names<'a>(audio: &[Indexed<'a>]) -> Vec<&'a str> {
    let of_track = |track: &'a Track| &*track.info.name;
    let of_language = |track: &'a Track| {
        track
            .info
            .header
            .language
            .as_deref()
            .unwrap_or_else(|| of_track(track))
    };
    let by_language: Vec<_> = audio.iter().map(|(_, track)| of_language(track)).collect();
    let mut sorted = by_language.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return audio.iter().map(|(_, track)| of_track(track)).collect();
    }
    by_language
}

/// One member of the audio group. Only one of those that share a language may
/// be chosen automatically.
fn rendition(out: &mut String, track: &Track, name: &str, default: bool, chosen: bool) {
    let header = &track.info.header;
    let yes_no = |flag| if flag { "YES" } else { "NO" };
    write(
        out,
        format_args!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\""),
    );
    if let Some(language) = &header.language {
        write(out, format_args!(",LANGUAGE={}", Quoted(language)));
    }
    write(
        out,
        format_args!(",NAME={},DEFAULT={}", Quoted(name), yes_no(default)),
    );
    write(
        out,
        format_args!(",AUTOSELECT={}", yes_no(default || chosen)),
    );
    if header.channels > 0 {
        write(out, format_args!(",CHANNELS=\"{}\"", header.channels));
    }
    write(
        out,
        format_args!(",URI=\"{}\"\n", PlaylistUri(&track.info.name)),
    );
}

/// One variant: a track, and any one member of the audio group.
fn stream(out: &mut String, (_, track): Indexed<'_>, audio: &[Indexed<'_>]) {
    let header = &track.info.header;
    let largest = |rate: fn(&Track) -> u64| {
        rate(track)
            + audio
                .iter()
                .map(|(_, audio)| rate(audio))
                .max()
                .unwrap_or(0)
    };
    write(
        out,
        format_args!("#EXT-X-STREAM-INF:BANDWIDTH={}", largest(peak_bps).max(1)),
    );
    let average = largest(|track| track.average_bps);
    if average > 0 {
        write(out, format_args!(",AVERAGE-BANDWIDTH={average}"));
    }
    write(
        out,
        format_args!(",CODECS={}", Quoted(&codecs(track, audio))),
    );
    if header.width > 0 && header.height > 0 {
        write(
            out,
            format_args!(",RESOLUTION={}x{}", header.width, header.height),
        );
    }
    if let Some(rate) = track.info.frame_rate {
        write(
            out,
            format_args!(",FRAME-RATE={}.{:03}", rate / 1000, rate % 1000),
        );
    }
    if !audio.is_empty() {
        write(out, format_args!(",AUDIO=\"{AUDIO_GROUP}\""));
    }
    write(out, format_args!("\n{}\n", PlaylistUri(&track.info.name)));
}

/// Every format of any rendition the variant may use (section 4.4.6.2).
fn codecs(track: &Track, audio: &[Indexed<'_>]) -> String {
    let mut all = vec![&*track.info.header.codec];
    for (_, audio) in audio {
        if !all.contains(&&*audio.info.header.codec) {
            all.push(&audio.info.header.codec);
        }
    }
    all.join(",")
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
mod tests {
    use super::*;
    use crate::hls::testing::{self, Script, golden, header};

    fn ladder() -> Script {
        let mut script = Script::new(2, Some(500_000)).frame_rate(29_970).video("v1");
        let mut small = header(Kind::Video, 90_000, "avc1.4d401f");
        (small.width, small.height) = (640, 360);
        script = script
            .track("v2", small)
            .audio("a1", "en")
            .audio("a2", "de");
        script = script.track("t1", header(Kind::Text, 1000, "wvtt"));
        for (name, peak, average) in [
            ("v1", 5_200_000, 4_000_000),
            ("v2", 1_100_000, 900_000),
            ("a1", 130_000, 128_000),
            ("a2", 140_000, 127_000),
        ] {
            script.rates(name, peak, average);
        }
        script
    }

    #[test]
    fn s4_4_6_2_every_video_track_is_a_variant_with_the_audio_group() {
        let script = ladder();
        golden("multivariant_ladder", &render(&script.channel));
    }

    #[test]
    fn s4_4_6_2_audio_alone_makes_a_variant_a_track() {
        let mut script = Script::new(2, Some(500_000))
            .audio("a1", "en")
            .audio("a2", "de");
        script.rates("a1", 130_000, 128_000);
        golden("multivariant_audio", &render(&script.channel));
    }

    #[test]
    fn s4_4_6_1_1_names_differ_and_one_a_language_is_chosen_automatically() {
        let script = Script::new(2, None)
            .video("v")
            .audio("lo", "en")
            .audio("hi", "en");
        let text = render(&script.channel);
        assert!(
            text.contains("LANGUAGE=\"en\",NAME=\"lo\",DEFAULT=YES,AUTOSELECT=YES"),
            "{text}"
        );
        assert!(
            text.contains("LANGUAGE=\"en\",NAME=\"hi\",DEFAULT=NO,AUTOSELECT=NO"),
            "{text}"
        );
    }

    #[test]
    fn s4_4_6_2_bandwidth_is_there_before_anything_was_measured() {
        let mut claimed = header(Kind::Video, 90_000, "avc1.64001f");
        claimed.bitrate = Some(700_000);
        let script = Script::new(2, None).track("v", claimed).video("w");
        let text = render(&script.channel);
        assert!(
            text.contains(":BANDWIDTH=700000,CODECS=\"avc1.64001f\"\nv.m3u8\n"),
            "{text}"
        );
        assert!(text.contains(":BANDWIDTH=1,CODECS="), "{text}");
    }

    #[test]
    fn s4_2_an_encoders_text_cannot_leave_its_quotes() {
        let mut hostile = header(Kind::Audio, 48_000, "mp4a\"\n#EXT-X-ENDLIST");
        hostile.language = Some("x\",URI=\"http://evil/\r\n".into());
        let script = Script::new(2, None).video("v").track("a", hostile);
        let text = render(&script.channel);
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(
            testing::lines(&text)
                .iter()
                .all(|line| !line.starts_with("Unknown")),
            "{text}"
        );
    }
}
