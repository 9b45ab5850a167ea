//! Golden playlists, a foreign reader, and a test a clause.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::hls::testing::{self, Script, golden, header};
use crate::media::cmaf::{Role, TrackHeader};
use crate::media::presentation::{Caption, Definition, Presentation, Steering, TrackWords};

/// Three renditions, two languages, subtitles.
fn ladder(presentation: Presentation) -> Script {
    let mut script = Script::presented(2, Some(500_000), presentation)
        .frame_rate(29_970)
        .video("v1");
    for (name, codec, width, height) in [
        ("v2", "avc1.4d401f", 640, 360),
        ("v3", "avc1.4d401e", 426, 240),
    ] {
        let mut small = header(Kind::Video, 90_000, codec);
        (small.width, small.height) = (width, height);
        script = script.frame_rate(29_970).track(name, small);
    }
    script = script.audio("a1", "en").audio("a2", "de");
    let mut text = header(Kind::Text, 1000, "wvtt");
    text.language = Some("en".into());
    script = script.whole_segments().track("t1", text);
    for (name, peak, average) in [
        ("v1", 5_200_000, 4_000_000),
        ("v2", 1_100_000, 900_000),
        ("v3", 400_000, 350_000),
        ("a1", 130_000, 128_000),
        ("a2", 140_000, 127_000),
        ("t1", 2_000, 1_000),
    ] {
        script.rates(name, peak, average);
    }
    for name in ["v1", "v2", "v3"] {
        script.frame_rates(name, 200_000, 150_000);
    }
    script
}

#[test]
fn s4_4_6_3_every_video_track_with_frames_has_its_list_of_them() {
    let mut script = Script::new(2, Some(500_000)).video("v1").audio("a1", "en");
    let tag = "#EXT-X-I-FRAME-STREAM-INF:";
    assert_eq!(attributes(&render(&script.channel), tag).len(), 0);
    script.frame_rates("v1", 200_000, 150_000);
    let text = render(&script.channel);
    let lists = attributes(&text, tag);
    assert_eq!(lists.len(), 1);
    let names: Vec<_> = lists[0].keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "AVERAGE-BANDWIDTH",
            "BANDWIDTH",
            "CODECS",
            "RESOLUTION",
            "URI"
        ]
    );
    assert!(
        text.ends_with("RESOLUTION=1280x720,URI=\"v1/iframes.m3u8\"\n"),
        "{text}"
    );
}

fn sound(codec: &str, channels: u32, language: &str) -> TrackHeader {
    let mut header = header(Kind::Audio, 48_000, codec);
    (header.channels, header.sample_rate) = (channels, 48_000);
    header.language = Some(language.into());
    header
}

fn words(name: &str, words: TrackWords) -> Presentation {
    Presentation {
        tracks: [(name.to_owned(), words)].into(),
        ..Presentation::default()
    }
}

/// The attributes of every line of a tag.
fn attributes(text: &str, tag: &str) -> Vec<BTreeMap<String, String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(tag));
    lines.map(attribute_list).collect()
}

fn attribute_list(mut rest: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').expect("quotes close");
                (value, after.strip_prefix(',').unwrap_or(after))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        assert!(
            out.insert(name.to_owned(), value.to_owned()).is_none(),
            "{name} twice"
        );
        rest = after;
    }
    assert!(rest.is_empty(), "{rest:?} is no attribute");
    out
}

fn variants_of(text: &str) -> Vec<BTreeMap<String, String>> {
    attributes(text, "#EXT-X-STREAM-INF:")
}

fn media_of(text: &str) -> Vec<BTreeMap<String, String>> {
    attributes(text, "#EXT-X-MEDIA:")
}

/// What holds of every multivariant playlist.
#[track_caller]
fn check(text: &str) {
    let mut groups: BTreeMap<(String, String), Vec<BTreeMap<String, String>>> = BTreeMap::new();
    for media in media_of(text) {
        let group = (media["TYPE"].clone(), media["GROUP-ID"].clone());
        groups.entry(group).or_default().push(media);
    }
    let mut members: BTreeMap<&str, Vec<BTreeMap<String, String>>> = BTreeMap::new();
    for ((kind, _), group) in &groups {
        let names: BTreeSet<_> = group.iter().map(|media| &media["NAME"]).collect();
        assert_eq!(names.len(), group.len(), "names differ: {text}");
        let defaults = group.iter().filter(|media| media["DEFAULT"] == "YES");
        assert!(defaults.clone().count() <= 1, "{text}");
        assert!(
            defaults
                .into_iter()
                .all(|media| media["AUTOSELECT"] == "YES"),
            "{text}"
        );
        let mut told = group.clone();
        for media in &mut told {
            for own in ["URI", "CHANNELS", "STABLE-RENDITION-ID", "GROUP-ID"] {
                media.remove(own);
            }
        }
        let same = members.entry(kind).or_insert_with(|| told.clone());
        assert_eq!(*same, told, "groups of a type have the same members");
    }
    let variants = variants_of(text);
    let mut used = BTreeSet::new();
    for variant in &variants {
        for (attribute, kind) in [("AUDIO", "AUDIO"), ("SUBTITLES", "SUBTITLES")] {
            if let Some(id) = variant.get(attribute) {
                let group = (kind.to_owned(), id.clone());
                assert!(groups.contains_key(&group), "{id} exists: {text}");
                used.insert(group);
            }
        }
        let peak: u64 = variant["BANDWIDTH"].parse().expect("a number");
        let average = variant.get("AVERAGE-BANDWIDTH");
        let average = average.map_or(0, |average| average.parse().expect("a number"));
        assert!(average <= peak || peak == 1, "{text}");
    }
    if !variants.is_empty() {
        let groups = groups.keys().filter(|(kind, _)| kind != "CLOSED-CAPTIONS");
        assert!(
            groups.into_iter().all(|group| used.contains(group)),
            "{text}"
        );
    }
    for all_or_none in ["SCORE", "VIDEO-RANGE", "CLOSED-CAPTIONS", "PATHWAY-ID"] {
        let with = variants.iter().filter(|one| one.contains_key(all_or_none));
        let with = with.count();
        assert!(with == 0 || with == variants.len(), "{all_or_none}: {text}");
    }
    for line in testing::lines(text) {
        assert!(!line.starts_with("Unknown"), "{line}");
    }
}

fn draw(script: &Script) -> String {
    let text = render(&script.channel);
    check(&text);
    text
}

#[test]
fn s4_4_6_2_a_ladder_with_two_languages_and_subtitles() {
    golden(
        "multivariant_ladder",
        &draw(&ladder(Presentation::default())),
    );
}

#[test]
fn s4_4_6_an_operator_says_more() {
    let track = |score| TrackWords {
        score: Some(score),
        ..TrackWords::default()
    };
    let named = |name: &str, roles: &[Role]| TrackWords {
        name: Some(name.into()),
        roles: Some(roles.iter().copied().collect()),
        ..TrackWords::default()
    };
    let presentation = Presentation {
        definitions: vec![Definition::Query {
            name: "token".into(),
        }],
        uri_query: Some("token={$token}".into()),
        steering: Some(Steering {
            server_uri: "https://steer.example/news".into(),
            pathway_id: "east".into(),
        }),
        captions: vec![Caption {
            instream_id: "CC1".into(),
            name: "English CC".into(),
            language: Some("en".into()),
            default: false,
        }],
        tracks: [
            ("v1".to_owned(), track(3.0)),
            ("v2".to_owned(), track(2.0)),
            ("v3".to_owned(), track(1.5)),
            ("a2".to_owned(), named("Tonspur", &[Role::Dub])),
            ("t1".to_owned(), named("For the deaf", &[Role::Caption])),
        ]
        .into(),
        ..Presentation::default()
    };
    golden("multivariant_operator", &draw(&ladder(presentation)));
}

#[test]
fn s4_4_6_1_1_encodings_of_sound_are_groups_with_the_same_members() {
    let mut joint = sound("ec-3", 6, "en");
    joint.joint_objects = Some(16);
    let mut script = Script::new(2, Some(500_000))
        .video("v1")
        .track("ac3", sound("ac-3", 6, "en"))
        .track("aac-en", sound("mp4a.40.2", 2, "en"))
        .track("aac-de", sound("mp4a.40.2", 2, "de"))
        .track("atmos", joint);
    script.rates("v1", 2_000_000, 1_900_000);
    script.rates("ac3", 448_000, 448_000);
    golden("multivariant_encodings", &draw(&script));
}

#[test]
fn s4_4_6_1_1_low_rates_of_sound_go_with_low_ones_of_video() {
    let rate = |codec, bps| {
        let mut header = sound(codec, 2, "en");
        header.bitrate = Some(bps);
        header
    };
    let mut small = header(Kind::Video, 90_000, "avc1.4d401f");
    (small.width, small.height) = (640, 360);
    let script = Script::new(2, None)
        .video("large")
        .track("small", small)
        .track("hi", rate("mp4a.40.2", 128_000))
        .track("lo", rate("mp4a.40.5", 64_000));
    let text = draw(&script);
    let pairs: Vec<_> = variants_of(&text)
        .iter()
        .map(|variant| variant["AUDIO"].clone())
        .collect();
    assert_eq!(pairs.len(), 2, "{text}");
    let media = media_of(&text);
    let uri = |group: &String| {
        let of_group = media.iter().find(|media| media["GROUP-ID"] == *group);
        of_group.expect("it is there")["URI"].clone()
    };
    let lines: Vec<_> = text.lines().collect();
    for (variant, sound) in [("large.m3u8", "hi.m3u8"), ("small.m3u8", "lo.m3u8")] {
        let at = lines
            .iter()
            .position(|line| *line == variant)
            .expect("a variant");
        let stream = lines[at - 1].strip_prefix("#EXT-X-STREAM-INF:").unwrap();
        assert_eq!(uri(&attribute_list(stream)["AUDIO"]), sound, "{text}");
    }
}

#[test]
fn s4_4_6_1_formats_of_text_are_groups() {
    let text = |codec: &str| {
        let mut header = header(Kind::Text, 1000, codec);
        header.language = Some("fr".into());
        header
    };
    let script = Script::new(2, None)
        .video("v")
        .track("w", text("wvtt"))
        .track("i", text("stpp.ttml.im1t"));
    let text = draw(&script);
    let codecs: Vec<_> = variants_of(&text)
        .iter()
        .map(|one| (one["SUBTITLES"].clone(), one["CODECS"].clone()))
        .collect();
    let expected = [
        ("wvtt", "avc1.64001f,wvtt"),
        ("stpp", "avc1.64001f,stpp.ttml.im1t"),
    ];
    assert_eq!(codecs, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn s4_4_6_2_audio_alone_makes_a_variant_a_track() {
    let mut low = sound("mp4a.40.5", 2, "en");
    low.bitrate = Some(48_000);
    let mut script = Script::new(2, Some(500_000))
        .audio("a1", "en")
        .track("a2", low);
    script.rates("a1", 130_000, 128_000);
    golden("multivariant_audio", &draw(&script));
}

#[test]
fn s4_4_6_2_audio_alone_in_two_languages_makes_a_group() {
    let mut script = Script::new(2, Some(500_000))
        .audio("a1", "en")
        .audio("a2", "de");
    script.rates("a1", 130_000, 128_000);
    let text = draw(&script);
    assert_eq!(media_of(&text).len(), 2);
    assert!(
        text.ends_with(
            "#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,\
             CODECS=\"mp4a.40.2\",AUDIO=\"aac-2\"\na1.m3u8\n"
        ),
        "{text}"
    );
}

#[test]
fn s4_4_6_1_1_names_differ_and_one_a_language_is_chosen_automatically() {
    let script = Script::new(2, None)
        .video("v")
        .audio("lo", "en")
        .audio("hi", "en");
    let media = media_of(&draw(&script));
    let of = |index: usize| {
        let media: &BTreeMap<_, _> = &media[index];
        ["LANGUAGE", "NAME", "DEFAULT", "AUTOSELECT"].map(|key| media[key].clone())
    };
    assert_eq!(of(0), ["en", "English", "YES", "YES"]);
    assert_eq!(of(1), ["en", "English (hi)", "NO", "NO"]);
}

#[test]
fn s4_4_6_1_roles_say_what_is_default_and_what_is_chosen() {
    let with = |language: &str, roles: &[Role]| {
        let mut header = sound("mp4a.40.2", 2, language);
        header.roles = roles.iter().copied().collect();
        header
    };
    let script = Script::new(2, None)
        .video("v")
        .track("c", with("en", &[Role::Commentary]))
        .track("d", with("en", &[Role::Main, Role::Description]))
        .track("m", with("en", &[Role::Main]))
        .track("x", with("de", &[Role::Dub]));
    let told: Vec<_> = media_of(&draw(&script))
        .iter()
        .map(|media| {
            let flags = media["DEFAULT"].starts_with('Y') as u8 * 2
                + media["AUTOSELECT"].starts_with('Y') as u8;
            let characteristics = media.get("CHARACTERISTICS").cloned();
            (
                media["NAME"].clone(),
                flags,
                characteristics.unwrap_or_default(),
            )
        })
        .collect();
    let describes = "public.accessibility.describes-video";
    let expected = [
        ("English, commentary", 0, ""),
        ("English, description", 1, describes),
        ("English", 3, ""),
        ("Deutsch", 1, ""),
    ];
    assert_eq!(
        told,
        expected.map(|(a, b, c)| (a.to_owned(), b, c.to_owned()))
    );
}

#[test]
fn s4_4_6_1_subtitles_may_be_forced_and_are_no_default() {
    let mut forced = header(Kind::Text, 1000, "wvtt");
    forced.roles = [Role::ForcedSubtitle].into_iter().collect();
    let script = Script::new(2, None).video("v").track("f", forced);
    let text = draw(&script);
    assert!(
        text.contains("NAME=\"f, forced\",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI="),
        "{text}"
    );
}

#[test]
fn s4_4_6_1_what_an_operator_calls_default_is() {
    let default = TrackWords {
        default: Some(true),
        language: Some("fr".into()),
        channels: Some("16/JOC".into()),
        ..TrackWords::default()
    };
    let script = Script::presented(2, None, words("b", default))
        .video("v")
        .audio("a", "en")
        .audio("b", "en");
    let media = media_of(&draw(&script));
    let b = media
        .iter()
        .find(|media| media["LANGUAGE"] == "fr")
        .expect("it is there");
    assert_eq!(
        (b["DEFAULT"].as_str(), b["NAME"].as_str()),
        ("YES", "Français")
    );
    assert!(
        media
            .iter()
            .any(|media| media.get("CHANNELS").map(String::as_str) == Some("16/JOC"))
    );
}

#[test]
fn s4_4_6_2_a_score_is_on_all_variants_or_none() {
    let words = |tracks: &[&str]| {
        let words = TrackWords {
            score: Some(1.5),
            ..TrackWords::default()
        };
        let tracks = tracks
            .iter()
            .map(|name| ((*name).to_owned(), words.clone()));
        Presentation {
            tracks: tracks.collect(),
            ..Presentation::default()
        }
    };
    let text = |tracks: &[&str]| {
        draw(
            &Script::presented(2, None, words(tracks))
                .video("v")
                .video("w"),
        )
    };
    assert!(!text(&["v"]).contains("SCORE="));
    assert_eq!(text(&["v", "w"]).matches(",SCORE=1.5,").count(), 2);
}

#[test]
fn s4_4_6_2_video_range_and_resolution_are_what_is_shown() {
    let mut pq = header(Kind::Video, 90_000, "hvc1.2.4.L120.B0");
    (pq.width, pq.height, pq.display) = (1440, 1080, (1920, 1080));
    pq.transfer = Some(Transfer::Pq);
    let script = Script::new(2, None).video("v").track("hdr", pq);
    let variants = variants_of(&draw(&script));
    let told = |index: usize| ["RESOLUTION", "VIDEO-RANGE"].map(|key| variants[index][key].clone());
    assert_eq!(told(0), ["1280x720", "SDR"]);
    assert_eq!(told(1), ["1920x1080", "PQ"]);
    let plain = draw(&Script::new(2, None).video("v"));
    assert!(!plain.contains("VIDEO-RANGE"), "nothing is known: {plain}");
}

#[test]
fn s8_the_version_is_no_higher_than_needed() {
    assert!(!draw(&ladder(Presentation::default())).contains("EXT-X-VERSION"));
    let presentation = Presentation {
        definitions: vec![Definition::Value {
            name: "a".into(),
            value: "b".into(),
        }],
        ..Presentation::default()
    };
    let text = draw(&ladder(presentation));
    let head = "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n\
                #EXT-X-INDEPENDENT-SEGMENTS\n";
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn s4_4_6_2_bandwidth_is_there_before_anything_was_measured() {
    let mut claimed = header(Kind::Video, 90_000, "avc1.64001f");
    claimed.bitrate = Some(700_000);
    let script = Script::new(2, None).track("v", claimed).video("w");
    let text = draw(&script);
    assert!(
        text.contains(":BANDWIDTH=700000,CODECS=\"avc1.64001f\""),
        "{text}"
    );
    assert!(text.contains(":BANDWIDTH=1,CODECS="), "{text}");
}

#[test]
fn players_start_with_the_best_variant_of_moderate_rate() {
    let first = |rates: &[u64]| {
        let mut script = Script::new(2, None);
        for index in 0..rates.len() {
            script = script.video(&format!("v{index}"));
        }
        for (index, rate) in rates.iter().enumerate() {
            script.rates(&format!("v{index}"), *rate, *rate);
        }
        let text = draw(&script);
        let uri = text.lines().find(|line| !line.starts_with('#'));
        uri.expect("a variant").to_owned()
    };
    assert_eq!(first(&[5_000_000, 2_400_000, 800_000]), "v1.m3u8");
    assert_eq!(first(&[9_000_000, 5_000_000]), "v1.m3u8");
    assert_eq!(first(&[800_000, 800_000]), "v0.m3u8");
}

#[test]
fn s4_4_6_2_stable_ids_have_their_characters() {
    assert_eq!(stable_id(&["a~b_c.d-e", "audio"]), "a=b_c.d-e+audio");
}

#[test]
fn s4_2_an_encoders_text_cannot_leave_its_quotes() {
    let mut hostile = header(Kind::Audio, 48_000, "mp4a\"\n#EXT-X-ENDLIST");
    hostile.language = Some("x\",URI=\"http://evil/\r\n".into());
    let script = Script::new(2, None).video("v").track("a", hostile);
    let text = draw(&script);
    assert_eq!(text.lines().count(), 5, "{text}");
}

proptest! {
    #[test]
    fn s4_4_6_1_group_rules_hold_for_any_tracks(
        tracks in proptest::collection::vec(
            (0usize..4, 0usize..6, 0usize..4, 0u16..8, proptest::option::of(1u32..9)),
            0..24,
        ),
        chosen in proptest::collection::vec((0usize..24, any::<Option<bool>>()), 0..3),
    ) {
        let mut words = BTreeMap::new();
        for (index, default) in chosen {
            let own = TrackWords { default, autoselect: default, ..TrackWords::default() };
            words.insert(format!("t{index}"), own);
        }
        let presentation = Presentation { tracks: words, ..Presentation::default() };
        let mut script = Script::presented(2, Some(500_000), presentation);
        for (index, (kind, codec, language, roles, bitrate)) in tracks.into_iter().enumerate() {
            let (kind, codecs): (_, [&str; 6]) = match kind {
                0 => (Kind::Video, ["avc1.64001f", "hvc1.2.4.L120", "av01.0.04M.08", "vp09", "x", ""]),
                1 => (Kind::Text, ["wvtt", "stpp.ttml.im1t", "stpp.ttml.im1i", "c608", "{$x}", ""]),
                _ => (Kind::Audio, ["mp4a.40.2", "mp4a.40.5", "ac-3", "ec-3", "opus", "\"\n"]),
            };
            let mut header = header(kind, 48_000, codecs[codec]);
            header.language = [None, Some("en"), Some("de"), Some("x\"")][language].map(str::to_owned);
            header.channels = u32::from(roles % 3);
            header.bitrate = bitrate.map(|rate| rate * 50_000);
            header.roles = [Role::Main, Role::Commentary, Role::Description]
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| roles >> bit & 1 == 1)
                .map(|(_, role)| role)
                .collect();
            script = script.track(&format!("t{index}"), header);
        }
        let text = draw(&script);
        prop_assert!(!text.contains("{$"), "no variable comes from an encoder");
        let again = render(&script.channel.clone());
        prop_assert_eq!(text, again);
    }
}

#[test]
fn words_come_before_tracks() {
    let late = std::panic::catch_unwind(|| {
        let channel = ladder(Presentation::default()).channel;
        channel.presented(Arc::default())
    });
    assert!(late.is_err());
}
