//! MPDs as players and caches get them.

use headwater::http::request::{BodyLength, Method};
use headwater::media::policy::{AfterEnd, Policy};
use headwater::shard::Settings;

use crate::shell::{Camera, Fields, Process, endless, stream};

const ALL: [&str; 3] = ["manifest.mpd", "number.mpd", "timeline.mpd"];

/// The value of the first attribute of this name.
fn attr<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!(" {name}=\""))
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    rest.split_once('"').expect("it ends").0
}

fn target(name: &str) -> String {
    format!("/live/c/{name}")
}

#[test]
fn t29_an_mpd_stays_as_it_is_while_its_content_does() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_400);
    for name in ALL {
        let answer = process.get(&target(name));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("Content-Type"), Some("application/dash+xml"));
        let herd = "public, max-age=0, s-maxage=1";
        assert_eq!(answer.field("Cache-Control"), Some(herd));
        for field in ["Access-Control-Allow-Origin", "Timing-Allow-Origin"] {
            assert_eq!(answer.field(field), Some("*"));
        }
        let tag = answer.field("ETag").expect("a tag").to_owned();
        // A part more of a segment that is told of changes nothing.
        stream(&mut process, upload, &mut camera, 400);
        let again = process.get(&target(name));
        assert_eq!(again.field("ETag"), Some(&*tag));
        assert_eq!(again.body, answer.body);
        let fields = Fields {
            if_none_match: Some(&tag),
            ..Fields::default()
        };
        let exchange = process.get_at(0, &target(name), fields);
        let same = process.answer(exchange).expect("answered");
        assert_eq!((same.status, same.body.len()), (304, 0));
    }
    let before = ALL.map(|name| process.get(&target(name)));
    stream(&mut process, upload, &mut camera, 2_000);
    let after = ALL.map(|name| process.get(&target(name)));
    for at in [0, 1] {
        assert_eq!(before[at].text(), after[at].text(), "numbers say it all");
    }
    assert_ne!(before[2].text(), after[2].text());
    assert_ne!(before[2].field("ETag"), after[2].field("ETag"));
    let published = |answer: &crate::shell::Answer| attr(&answer.text(), "publishTime").to_owned();
    assert!(published(&before[2]) < published(&after[2]));
}

#[test]
fn every_segment_of_an_mpd_is_one_of_the_playlist() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_400);
    let playlist = process.get("/live/c/v.m3u8").text();
    for name in ALL {
        let text = process.get(&target(name)).text();
        let first: u64 = attr(&text, "startNumber").parse().expect("a number");
        let template = attr(&text, "media").replace("$RepresentationID$", "v");
        for number in first..first + 5 {
            let uri = template.replace("$Number$", &number.to_string());
            assert!(playlist.lines().any(|line| line == uri), "{uri}");
            assert_eq!(process.get(&target(&uri)).status, 200);
        }
        let header = attr(&text, "initialization").replace("$RepresentationID$", "v");
        assert!(playlist.contains(&format!("#EXT-X-MAP:URI=\"{header}\"")));
        assert_eq!(process.get(&target(&header)).body, camera.spec.bytes());
    }
}

#[test]
fn an_mpd_waits_for_the_first_segment() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 1_000);
    let early = process.get_at(0, &target("manifest.mpd"), Fields::default());
    assert!(process.answer(early).is_none());
    stream(&mut process, upload, &mut camera, 3_000);
    assert_eq!(process.answer(early).expect("released").status, 200);
    let nobody = process.get("/live/nobody/manifest.mpd");
    assert_eq!(nobody.status, 404);
    let put = process.open_at(
        0,
        Method::Post,
        &target("manifest.mpd"),
        BodyLength::None,
        Fields::default(),
    );
    assert_eq!(process.answer(put).expect("refused").status, 405);
}

#[test]
fn a_channel_that_ended_has_a_static_mpd_or_none() {
    for (after_end, status) in [(AfterEnd::Endlist, 200), (AfterEnd::Gone, 410)] {
        let settings = Settings {
            policy: Policy {
                after_end,
                ..Policy::default()
            },
            ..Settings::default()
        };
        let mut process = Process::new(1, settings);
        let mut camera = Camera::new();
        let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_400);
        process.leave(0, upload);
        process.pass(2_000);
        assert_eq!(
            process.get(&target("manifest.mpd")).status,
            200,
            "it stalls"
        );
        process.pass(Policy::default().ended_after_ms);
        for name in ALL {
            let answer = process.get(&target(name));
            assert_eq!(answer.status, status, "{}", answer.text());
            if status == 200 {
                assert_eq!(attr(&answer.text(), "type"), "static");
                assert_eq!(answer.field("Cache-Control"), Some("public, max-age=3600"));
            }
        }
    }
}

#[test]
fn t31_a_patch_is_early_then_there_then_gone() {
    let mut process = Process::one();
    let mut camera = Camera::new();
    let upload = endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 10_400);
    let text = process.get(&target("patched.mpd")).text();
    let (_, rest) = text.split_once("<PatchLocation ttl=\"60\">").expect("one");
    let patch = target(rest.split_once('<').expect("it ends").0);
    let early = process.get(&patch);
    assert_eq!(
        (early.status, early.field("Cache-Control")),
        (425, Some("no-store"))
    );
    assert_eq!(early.field("Access-Control-Allow-Origin"), Some("*"));
    let published = attr(&text, "publishTime");
    for _ in 0..3 {
        stream(&mut process, upload, &mut camera, 2_000);
        let answer = process.get(&patch);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let media_type = "application/dash-patch+xml";
        assert_eq!(answer.field("Content-Type"), Some(media_type));
        let newest = process.get(&target("patched.mpd")).text();
        let patch = answer.text();
        assert_eq!(attr(&patch, "originalPublishTime"), published);
        assert_eq!(attr(&patch, "publishTime"), attr(&newest, "publishTime"));
        assert_eq!(attr(&patch, "mpdId"), attr(&newest, "id"));
    }
    // Nobody asks for a while, and then for what is no longer known.
    stream(&mut process, upload, &mut camera, 80_000);
    assert_eq!(process.get(&patch).status, 410);
    let other = patch.replace("-timeline-", "x-timeline-");
    assert_eq!(
        process.get(&other).status,
        410,
        "another life of the channel"
    );
    assert_eq!(process.get(&target("patched.mpd")).status, 200);
}

#[test]
fn every_core_draws_the_same_mpds() {
    let name = crate::mirrors::at_home();
    let mut process = Process::new(2, Settings::default());
    let mut camera = Camera::new();
    let upload = endless(
        &mut process,
        &format!("/ingest/{name}/v.cmfv"),
        &mut camera,
        7_000,
    );
    // The other core learns of the channel now, and later.
    for _ in 0..20 {
        stream(&mut process, upload, &mut camera, 600);
        for document in ["number", "timeline", "patched", "sequence"] {
            let target = format!("/live/{name}/{document}.mpd");
            let asked = [0, 1].map(|core| process.get_at(core, &target, Fields::default()));
            let told = asked.map(|exchange| process.answer(exchange).expect("answered"));
            assert_eq!(told[0].text(), told[1].text());
            assert_eq!(told[0].field("ETag"), told[1].field("ETag"));
            assert_eq!(told[0].status, 200);
        }
    }
}
