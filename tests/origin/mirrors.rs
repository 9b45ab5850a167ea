//! Several cores: the same bytes from each, whatever mail is lost.

use headwater::http::request::{BodyLength, Method};
use headwater::media::presentation::{Definition, Presentation, Presentations, TrackWords};
use headwater::shard::{Letter, Settings, ShardId};

use crate::shell::{Camera, Fields, Process, endless, stream, uris};

/// A channel whose home is the first of two shards.
pub(crate) fn at_home() -> String {
    let mut process = Process::new(2, Settings::default());
    (0..)
        .map(|n| format!("c{n}"))
        .find(|name| {
            process.put(&format!("/ingest/{name}/v.cmfv"));
            process.moved.pop().is_none()
        })
        .expect("one of them")
}

#[test]
fn an_upload_is_moved_to_the_home_of_its_channel() {
    let mut process = Process::new(2, Settings::default());
    let exchange = (0..).find_map(|n| {
        process.put(&format!("/ingest/c{n}/v.cmfv"));
        process.moved.pop()
    });
    assert_eq!(exchange.expect("one of them").1, ShardId(1));
}

#[test]
fn what_is_no_upload_stays_on_its_core() {
    // Only the heads of uploads are kept for a replay on another core.
    let mut process = Process::new(2, Settings::default());
    for (n, method) in
        (0..20).flat_map(|n| [(n, Method::Get), (n, Method::Head), (n, Method::Other)])
    {
        let target = format!("/ingest/c{n}/v.cmfv");
        let exchange = process.open_at(0, method, &target, BodyLength::None, Fields::default());
        assert_eq!(process.answer(exchange).expect("answered here").status, 405);
    }
    assert!(process.moved.is_empty());
}

#[track_caller]
fn same(process: &mut Process, name: &str) {
    let manifests = ["index.m3u8", "v.m3u8", "manifest.mpd", "timeline.mpd"];
    for target in manifests {
        let target = format!("/live/{name}/{target}");
        let asked: Vec<_> = (0..2)
            .map(|shard| process.get_at(shard, &target, Fields::default()))
            .collect();
        let told: Vec<_> = asked
            .into_iter()
            .map(|exchange| process.answer(exchange).expect("answered").text())
            .collect();
        assert_eq!(told[0], told[1], "{target}");
        let begins = ["#EXTM3U", "<?xml"]
            .iter()
            .any(|mark| told[0].starts_with(mark));
        assert!(begins, "{}", told[0]);
    }
}

#[test]
fn words_of_the_operator_are_said_by_every_core() {
    let name = at_home();
    let words = TrackWords {
        score: Some(2.5),
        language: Some("fr".into()),
        ..TrackWords::default()
    };
    let presentation = Presentation {
        definitions: vec![Definition::Query {
            name: "token".into(),
        }],
        uri_query: Some("token={$token}".into()),
        tracks: [("v".to_owned(), words)].into(),
        ..Presentation::default()
    };
    let presentations = Presentations {
        named: [(name.clone(), presentation.into())].into(),
        ..Presentations::default()
    };
    let settings = Settings {
        presentations,
        ..Settings::default()
    };
    let mut process = Process::new(2, settings);
    let mut camera = Camera::new();
    let target = format!("/ingest/{name}/v.cmfv");
    let upload = endless(&mut process, &target, &mut camera, 1_000);
    let early = process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
    stream(&mut process, upload, &mut camera, 6_000);
    assert_eq!(process.answer(early).expect("served").status, 200);
    same(&mut process, &name);
    let text = process
        .get(&format!("/live/{name}/index.m3u8?token=x"))
        .text();
    assert!(
        text.contains("#EXT-X-DEFINE:QUERYPARAM=\"token\"\n"),
        "{text}"
    );
    assert!(text.contains(",SCORE=2.5,"), "{text}");
    assert!(text.contains("\nv.m3u8?token={$token}\n"), "{text}");
    assert!(
        text.ends_with("URI=\"v/iframes.m3u8?token={$token}\"\n"),
        "{text}"
    );
    let list = process.get(&format!("/live/{name}/v.m3u8?token=x")).text();
    let segment = list
        .lines()
        .find(|line| line.contains("-s"))
        .expect("a segment");
    let uri = segment.replace("{$token}", "x");
    assert_eq!(
        process.get(&format!("/live/{name}/{uri}")).status,
        200,
        "{uri}"
    );
    let api = process.get(&format!("/api/v1/channels/{name}")).text();
    for said in ["\"kind\":\"video\"", "\"language\":\"fr\"", "\"roles\":[]"] {
        assert!(api.contains(said), "{said} in {api}");
    }
}

#[test]
fn a_mirror_says_what_its_home_says() {
    let name = at_home();
    let mut process = Process::new(2, Settings::default());
    let mut camera = Camera::new();
    let target = format!("/ingest/{name}/v.cmfv");
    let early = process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
    assert_eq!(process.answer(early).expect("nothing there").status, 404);
    let upload = endless(&mut process, &target, &mut camera, 1_000);
    let early = process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
    assert!(
        process.answer(early).is_none(),
        "held until there is something"
    );
    stream(&mut process, upload, &mut camera, 6_000);
    assert_eq!(process.answer(early).expect("served").status, 200);
    for _ in 0..100 {
        stream(&mut process, upload, &mut camera, 200);
        same(&mut process, &name);
    }
    let text = process.get(&format!("/live/{name}/v.m3u8")).text();
    let hint = uris(&text, "#EXT-X-PRELOAD-HINT").pop().expect("a hint");
    let held = process.get_at(1, &format!("/live/{name}/{hint}"), Fields::default());
    stream(&mut process, upload, &mut camera, 1_000);
    let answer = process.answer(held).expect("served by the mirror");
    assert!(answer.body == process.get(&format!("/live/{name}/{hint}")).body);
}

#[test]
fn lost_letters_heal() {
    let losses: [fn(&Letter) -> bool; 5] = [
        |letter| matches!(letter, Letter::Change { .. }),
        |letter| matches!(letter, Letter::Snapshot { .. }),
        |letter| matches!(letter, Letter::Subscribe { .. }),
        |letter| matches!(letter, Letter::Unsubscribe { .. }),
        |_| true,
    ];
    for (index, lose) in losses.into_iter().enumerate() {
        let name = at_home();
        let mut process = Process::new(2, Settings::default());
        let mut camera = Camera::new();
        let upload = endless(
            &mut process,
            &format!("/ingest/{name}/v.cmfv"),
            &mut camera,
            5_000,
        );
        for _ in 0..3 {
            process.lose = lose;
            process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
            stream(&mut process, upload, &mut camera, 3_000);
            process.lose = |_| false;
            stream(&mut process, upload, &mut camera, 400);
        }
        process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
        stream(&mut process, upload, &mut camera, 400);
        println!("loss {index}");
        same(&mut process, &name);
    }
}

#[test]
fn a_lost_word_of_the_end_heals() {
    let name = at_home();
    let mut process = Process::new(2, Settings::default());
    let mut camera = Camera::new();
    let target = format!("/ingest/{name}/v.cmfv");
    let upload = endless(&mut process, &target, &mut camera, 10_000);
    same(&mut process, &name);
    process.end(upload);
    // It ends, and is forgotten a window later while the mail is down.
    process.pass(70_000);
    process.lose = |_| true;
    for _ in 0..62 {
        process.pass(5_000);
        process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
    }
    process.lose = |_| false;
    camera.made = 0;
    let upload = endless(&mut process, &target, &mut camera, 11_000);
    stream(&mut process, upload, &mut camera, 10_000);
    process.get_at(1, &format!("/live/{name}/v.m3u8"), Fields::default());
    stream(&mut process, upload, &mut camera, 2_000);
    same(&mut process, &name);
}

#[test]
fn a_mirror_that_nobody_asks_for_unsubscribes() {
    let name = at_home();
    let mut process = Process::new(2, Settings::default());
    let mut camera = Camera::new();
    let upload = endless(
        &mut process,
        &format!("/ingest/{name}/v.cmfv"),
        &mut camera,
        5_000,
    );
    same(&mut process, &name);
    stream(&mut process, upload, &mut camera, 61_000);
    // From here on a change would be mail to nobody.
    process.lose = |letter| {
        assert!(
            !matches!(letter, Letter::Change { .. }),
            "nobody subscribed"
        );
        false
    };
    stream(&mut process, upload, &mut camera, 5_000);
    process.lose = |_| false;
    same(&mut process, &name);
}

#[test]
fn a_mirror_that_lags_holds_what_its_home_lists() {
    let name = at_home();
    let mut process = Process::new(2, Settings::default());
    let mut camera = Camera::new();
    let upload = endless(
        &mut process,
        &format!("/ingest/{name}/v.cmfv"),
        &mut camera,
        10_000,
    );
    same(&mut process, &name);
    // The mail stands still, and the home goes on by a segment.
    process.lose = |_| true;
    stream(&mut process, upload, &mut camera, 2_000);
    let text = process.get(&format!("/live/{name}/v.m3u8")).text();
    let newest = text.lines().rfind(|line| line.ends_with(".m4s"));
    let target = format!("/live/{name}/{}", newest.expect("a segment"));
    let held = process.get_at(1, &target, Fields::default());
    assert!(process.answer(held).is_none(), "not yet known here: held");
    process.lose = |_| false;
    stream(&mut process, upload, &mut camera, 400);
    let answer = process.answer(held).expect("served by the mirror");
    assert_eq!(answer.status, 200);
    assert!(answer.body == process.get(&target).body);
    // What no core knows is refused by the mirror as well, a little later.
    let (track, _) = target.rsplit_once('-').expect("a generation");
    let nothing = format!("{track}-h0123456789abcdef.mp4");
    assert_eq!(process.get(&nothing).status, 404);
    let held = process.get_at(1, &nothing, Fields::default());
    assert!(process.answer(held).is_none());
    process.pass(1_500);
    assert_eq!(process.answer(held).expect("refused").status, 404);
}
