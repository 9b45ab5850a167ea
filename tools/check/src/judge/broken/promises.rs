use std::collections::BTreeMap;

use crate::fmp4::Header;
use crate::judge::multivariant;
use crate::judge::testing::*;
use crate::playlist::multivariant::Multivariant;
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

#[test]
fn multivariant_playlists_fail_for_the_right_reason() {
    let good = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",LANGUAGE=\"en\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a1.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",LANGUAGE=\"de\",NAME=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a2.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=900,AVERAGE-BANDWIDTH=800,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=960x540,FRAME-RATE=30.000,AUDIO=\"a\"\nv1.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=500,AVERAGE-BANDWIDTH=400,CODECS=\"avc1.4d4015,mp4a.40.2\",RESOLUTION=480x270,FRAME-RATE=30.000,AUDIO=\"a\"\nv2.m3u8\n";
    let good = good.replace("#EXT-X-VERSION:6\n", "");
    let of = |text: &str| {
        judged(|on| multivariant::text(on, &Multivariant::parse("http://h/p/index.m3u8", text)))
    };
    assert_eq!(of(&good), []);
    let table = [
        (
            "no BANDWIDTH",
            "BANDWIDTH=900,",
            "",
            C8,
            Fail,
            "a required attribute is missing",
        ),
        (
            "no CODECS",
            "CODECS=\"avc1.4d401f,mp4a.40.2\",",
            "",
            C40,
            Warn,
            "no CODECS",
        ),
        (
            "no RESOLUTION",
            "RESOLUTION=960x540,",
            "",
            C40,
            Warn,
            "no RESOLUTION",
        ),
        (
            "no FRAME-RATE",
            "FRAME-RATE=30.000,",
            "",
            C40,
            Warn,
            "no FRAME-RATE",
        ),
        (
            "no mean",
            "AVERAGE-BANDWIDTH=800,",
            "",
            C40,
            Warn,
            "no AVERAGE-BANDWIDTH",
        ),
        (
            "mean above peak",
            "AVERAGE-BANDWIDTH=800",
            "AVERAGE-BANDWIDTH=901",
            C40,
            Fail,
            "above BANDWIDTH",
        ),
        (
            "no group",
            "FRAME-RATE=30.000,AUDIO=\"a\"",
            "FRAME-RATE=30.000,AUDIO=\"b\"",
            C40,
            Fail,
            "a group that is not there",
        ),
        (
            "independent",
            "#EXT-X-INDEPENDENT-SEGMENTS\n",
            "",
            C40,
            Warn,
            "EXT-X-INDEPENDENT-SEGMENTS",
        ),
        (
            "two defaults",
            "DEFAULT=NO",
            "DEFAULT=YES",
            C40,
            Fail,
            "two defaults",
        ),
        (
            "two names",
            "NAME=\"de\"",
            "NAME=\"en\"",
            C40,
            Fail,
            "one NAME",
        ),
        (
            "not selected",
            "DEFAULT=YES,AUTOSELECT=YES",
            "DEFAULT=YES,AUTOSELECT=NO",
            C40,
            Fail,
            "not selected automatically",
        ),
        (
            "no language",
            "LANGUAGE=\"de\",",
            "",
            C40,
            Warn,
            "no LANGUAGE",
        ),
        (
            "no channels",
            ",CHANNELS=\"2\"",
            "",
            C40,
            Warn,
            "no CHANNELS",
        ),
        (
            "score",
            "BANDWIDTH=900",
            "SCORE=1,BANDWIDTH=900",
            C40,
            Warn,
            "SCORE",
        ),
        (
            "captions",
            "BANDWIDTH=900",
            "CLOSED-CAPTIONS=NONE,BANDWIDTH=900",
            C40,
            Fail,
            "CLOSED-CAPTIONS=NONE",
        ),
        (
            "range",
            "BANDWIDTH=900",
            "VIDEO-RANGE=HDR,BANDWIDTH=900",
            C40,
            Fail,
            "VIDEO-RANGE is none of",
        ),
        (
            "other members",
            "#EXT-X-STREAM",
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",LANGUAGE=\"en\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\",URI=\"a3.m3u8\"\n#EXT-X-STREAM",
            C40,
            Fail,
            "different members",
        ),
    ];
    for (case, from, to, rule, level, what) in table {
        let found = of(&edited(&good, from, to));
        assert!(
            !found.is_empty()
                && found.iter().all(|(of, is, _, said)| {
                    (*of, *is) == (rule, level) && said.contains(what)
                }),
            "{case}: {found:#?}"
        );
    }
}

#[test]
fn promises_of_the_multivariant_playlist_are_measured() {
    let header = Header::parse(&demo("video-540p.cmfv")).expect("a header");
    let codec = header.tracks[0].codec();
    let text = |codecs: &str, mean: u64| {
        format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH={mean},CODECS=\"{codecs}\"\nv1.m3u8\n"
        )
    };
    let of = |text: &str, peak_bps, mean_bps| {
        let measured = multivariant::Measured {
            header: Some(header.clone()),
            peak_bps,
            mean_bps,
            segments: 9,
        };
        let all = BTreeMap::from([("http://h/p/v1.m3u8".to_owned(), measured)]);
        judged(|on| {
            multivariant::truth(
                on,
                &Multivariant::parse("http://h/p/index.m3u8", text),
                &all,
            )
        })
    };
    assert_eq!(of(&text(&codec, 900), 1250, 990), []);
    assert_only(
        &of(&text(&codec, 900), 1251, 990),
        C40,
        Warn,
        "Apple 1.28",
        "above 125 %",
        "peak",
    );
    assert_only(
        &of(&text(&codec, 900), 1000, 991),
        C40,
        Warn,
        "Apple 1.29",
        "above 110 %",
        "mean",
    );
    assert_only(
        &of(&text("hvc1.1.6.L93", 900), 1000, 900),
        C40,
        Fail,
        "4.4.6.2",
        "CODECS lacks",
        "codecs",
    );
}
