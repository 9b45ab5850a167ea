use crate::answer::{Answer, Arrival};
use crate::fmp4::{Header, Media};
use crate::judge::dash::events::Known;
use crate::judge::dash::media::{self, Fetched, Growing};
use crate::judge::dash::testing::{by_number, judged, mpd};
use crate::judge::testing::{Short, answer, assert_only, demo, with_header};
use crate::mpd::template::{Run, Template, Timeline};
use crate::mpd::{Representation, Scheme};
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

/// A Representation of the demo's video, on a grid or on a timeline.
struct Demo {
    header: Header,
    of: Representation,
    template: Template,
    segments: Vec<(Run, Vec<u8>)>,
}

fn setup(on_timeline: bool) -> Demo {
    let bytes = demo("video-540p.cmfv");
    let header = Header::parse(&bytes).expect("a header");
    let read = Media::parse(&bytes, &header).expect("media");
    let track = header.tracks[0].clone();
    let ends: Vec<usize> = read.data.iter().map(|(_, to)| *to).collect();
    let first_moof = read.data[0].0 - 8 - 124;
    let mut segments = Vec::new();
    let fragments = (0..).zip(&read.fragments);
    let syncs = fragments.filter(|(_, one)| one.starts_sync);
    let starts: Vec<usize> = syncs.map(|(index, _)| index).collect();
    for (number, at) in (1..=3).zip(starts.windows(2)) {
        let (at, end) = (at[0], at[1]);
        let from = if at == 0 { first_moof } else { ends[at - 1] };
        let of = &read.fragments[at..end];
        let run = Run {
            number,
            time: of[0].decode_ticks.expect("a time"),
            duration: of.iter().map(|one| one.duration_ticks).sum(),
            count: 1,
            ..Run::default()
        };
        segments.push((run, bytes[from..ends[end - 1]].to_vec()));
    }
    let said = mpd(&by_number());
    let mut of = said.periods[0].representations[0].clone();
    of.codecs = Some(track.codec());
    let mut template = of.template.clone().expect("a template");
    template.timescale = u64::from(track.timescale);
    template.offset = segments[0].0.time;
    template.duration = Some(segments[0].0.duration);
    let long_us = template.us(i128::from(segments[0].0.duration)) as u64;
    template.early_us = long_us / 4 * 3;
    if on_timeline {
        template.timeline = Some(Timeline::default());
    }
    Demo {
        header,
        of,
        template,
        segments,
    }
}

impl Demo {
    fn see(&self, runs: &[(Run, Vec<u8>)]) -> Vec<Short> {
        judged(|on| {
            let mut fetched = Fetched::default();
            for (run, bytes) in runs {
                fetched.see(on, (&self.of, &self.template), &self.header, run, bytes);
            }
        })
    }

    /// The first segment as it comes chunk by chunk.
    fn growing(&self) -> Growing {
        let (run, bytes) = self.segments[0].clone();
        let due_us = 1_000_000;
        let chunk_us = self.template.early_us / 3;
        let ends = Media::parse(&bytes, &self.header).expect("media").data;
        let plain = Answer {
            sent_us: due_us,
            head_us: due_us + 1_000,
            ..answer(200, &bytes)
        };
        let first = Answer {
            arrivals: (0..)
                .zip(&ends)
                .map(|(index, (_, to))| Arrival {
                    at_us: due_us + 1_000 + index * chunk_us,
                    bytes: *to,
                })
                .collect(),
            ..plain.clone()
        };
        let again = with_header(plain, "content-length", &bytes.len().to_string());
        Growing {
            run,
            due_us,
            end_us: due_us + self.template.early_us,
            first,
            again,
        }
    }
}

#[test]
fn media_agrees_with_the_mpd_or_is_named() {
    for on_timeline in [false, true] {
        let demo = setup(on_timeline);
        assert_eq!(demo.see(&demo.segments), [], "timeline: {on_timeline}");
    }
    let exact = setup(true);
    let grid = setup(false);
    let (run, bytes) = &exact.segments[0];
    let with = |time: u64, duration: u64| {
        [(
            Run {
                time,
                duration,
                ..run.clone()
            },
            bytes.clone(),
        )]
    };
    let late = with(run.time + 2, run.duration);
    assert_only(
        &exact.see(&late),
        D14,
        Fail,
        "5.3.9.2",
        "another time than the timeline",
        "late",
    );
    let short = with(run.time, run.duration - 2);
    assert_only(
        &exact.see(&short),
        D14,
        Fail,
        "5.3.9.2",
        "lasts otherwise",
        "short",
    );
    let off = with(run.time + run.duration / 2 + 1, run.duration);
    assert_only(&grid.see(&off), D14, Fail, "5.3.9.2", "off its grid", "off");
    let long = with(run.time, run.duration * 3);
    assert_only(
        &grid.see(&long),
        D14,
        Fail,
        "5.3.9.2",
        "half as long again",
        "long",
    );
    let skips = [exact.segments[0].clone(), exact.segments[2].clone()].map(|(mut run, bytes)| {
        run.number = run.number.min(2);
        (run, bytes)
    });
    assert_only(
        &exact.see(&skips),
        D14,
        Fail,
        "7.2.1",
        "where the one before it ends",
        "skips",
    );
    let cut = [(run.clone(), bytes[..bytes.len() - 1].to_vec())];
    assert_only(
        &exact.see(&cut),
        D14,
        Fail,
        "6.3.4",
        "cannot be read",
        "cut",
    );
    let mut eager = setup(true);
    // A promise for when not a quarter of the first chunk is there.
    eager.template.early_us += 1_200_000;
    assert_only(
        &eager.see(&eager.segments[..1]),
        D13,
        Warn,
        "5.3.9.5.3",
        "long after its segment",
        "eager",
    );
}

#[test]
fn rates_are_measured() {
    let demo = setup(true);
    let judge = |bandwidth| {
        judged(|on| {
            let mut fetched = Fetched::default();
            let of = Representation {
                bandwidth,
                ..demo.of.clone()
            };
            let long = 8_000_000 / demo.template.us(i128::from(demo.segments[0].0.duration)) + 1;
            for _ in 0..long {
                let mut quiet = crate::verdict::Verdicts::new();
                let (run, bytes) = &demo.segments[0];
                fetched.see(
                    &mut quiet.of(""),
                    (&of, &demo.template),
                    &demo.header,
                    run,
                    bytes,
                );
            }
            fetched.finish(on, &of);
        })
    };
    assert_only(
        &judge(1_000),
        D15,
        Warn,
        "5.3.5.2",
        "a tenth above bandwidth",
        "low",
    );
    assert_only(
        &judge(1_000_000_000),
        D15,
        Warn,
        "5.3.5.2",
        "a third of bandwidth",
        "high",
    );
}

#[test]
fn a_segment_under_way_comes_as_it_is_made() {
    let demo = setup(false);
    let judge = |change: &dyn Fn(&mut Growing)| {
        let mut seen = demo.growing();
        change(&mut seen);
        judged(|on| media::growing(on, &demo.of, &demo.template, &seen))
    };
    assert_eq!(judge(&|_| {}), []);
    let length = |seen: &mut Growing| {
        seen.first = with_header(seen.first.clone(), "content-length", "5");
    };
    assert_only(
        &judge(&length),
        D13,
        Fail,
        "9112",
        "somebody waited",
        "length",
    );
    let broken = |seen: &mut Growing| seen.first.trouble = Some("reset".to_owned());
    assert_only(
        &judge(&broken),
        D13,
        Fail,
        "9112",
        "does not come whole",
        "broken",
    );
    let other = |seen: &mut Growing| seen.again.body[100] ^= 1;
    assert_only(
        &judge(&other),
        D13,
        Fail,
        "5.3.9.5.3",
        "other bytes than the whole",
        "other",
    );
    let fast = |seen: &mut Growing| {
        for (index, arrival) in seen.first.arrivals.iter_mut().enumerate() {
            arrival.at_us = 1_001_000 + 2_000 * index as u64;
        }
    };
    assert_only(
        &judge(&fast),
        D13,
        Warn,
        "low-latency",
        "faster than it is made",
        "fast",
    );
    let cut = |seen: &mut Growing| {
        for arrival in &mut seen.first.arrivals {
            arrival.bytes -= 1;
        }
    };
    assert_only(
        &judge(&cut),
        D13,
        Warn,
        "whole chunks",
        "where chunks do",
        "cut",
    );
    let late = |by_us: u64| {
        judge(&|seen: &mut Growing| {
            for arrival in &mut seen.first.arrivals {
                arrival.at_us += by_us;
            }
        })
    };
    assert_only(
        &late(600_000),
        D21,
        Warn,
        "A.3",
        "come after it is promised",
        "late",
    );
    assert!(
        late(9_000_000)
            .iter()
            .any(|(rule, level, ..)| (*rule, *level) == (D21, Fail))
    );
    let burst = judge(&|seen: &mut Growing| {
        let last = *seen.first.arrivals.last().expect("one");
        seen.first.arrivals = vec![Arrival {
            at_us: 1_001_000,
            ..last
        }];
    });
    assert!(
        burst
            .iter()
            .any(|(_, level, _, what)| *level == Fail && what.contains("all at once"))
    );
    let unsized_whole = |seen: &mut Growing| {
        seen.again = with_header(seen.again.clone(), "content-length", "");
    };
    assert_only(
        &judge(&unsized_whole),
        D13,
        Warn,
        "8.6",
        "no Content-Length",
        "unsized",
    );
}

#[test]
fn headers_are_as_declared() {
    let demo_of = setup(false);
    let whole = with_header(
        answer(200, &demo("video-540p.cmfv")),
        "content-type",
        "video/mp4",
    );
    let judge =
        |of: &Representation, answer: &Answer| judged(|on| drop(media::header(on, of, answer)));
    let good = &demo_of.of;
    assert_eq!(judge(good, &whole), []);
    let with = |change: &dyn Fn(&mut Representation)| {
        let mut of = good.clone();
        change(&mut of);
        judge(&of, &whole)
    };
    let codecs = with(&|of| of.codecs = Some("avc1.000000".to_owned()));
    assert_only(
        &codecs,
        D15,
        Fail,
        "6381",
        "not those of the header",
        "codecs",
    );
    let content = with(&|of| of.content = Some("audio".to_owned()));
    assert_only(&content, D15, Fail, "5.3.3.2", "contentType", "content");
    let mime = with(&|of| of.mime = Some("audio/mp4".to_owned()));
    assert_only(&mime, D15, Warn, "5.3.7.2", "another type", "mime");
    assert_only(
        &judge(good, &answer(404, b"")),
        D10,
        Fail,
        "5.3.9.5.3",
        "header is not there",
        "404",
    );
    assert_only(
        &judge(
            good,
            &with_header(answer(200, b"x"), "content-type", "video/mp4"),
        ),
        D15,
        Fail,
        "8.4.3",
        "cannot be read",
        "x",
    );
}

#[test]
fn parts_and_playlists_name_the_same_bytes() {
    let demo = setup(false);
    let bytes = &demo.segments[0].1;
    let parts = |split: usize| [&bytes[..split], &bytes[split..]].map(|part| answer(200, part));
    let judge = |parts: &[Answer]| judged(|on| media::sequence(on, &demo.of, parts, bytes));
    assert_eq!(judge(&parts(500)), []);
    assert_only(
        &judge(&parts(500)[..1]),
        D17,
        Fail,
        "sequences",
        "not its bytes",
        "one",
    );
    let mut missing = parts(500);
    missing[1] = answer(404, b"");
    assert_only(
        &judge(&missing),
        D17,
        Fail,
        "sequences",
        "is not there",
        "missing",
    );
    let same =
        |theirs: &[u8]| judged(|on| media::same(on, &demo.of, 0, bytes, &answer(200, theirs)));
    assert_eq!(same(bytes), []);
    assert_only(
        &same(&bytes[1..]),
        D19,
        Fail,
        "23000-19",
        "other bytes",
        "other",
    );
}

/// An `emsg` box of version 1.
fn emsg(scheme: &str, id: u32, message: &[u8]) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0];
    body.extend(1000u32.to_be_bytes());
    body.extend(77u64.to_be_bytes());
    body.extend(0u32.to_be_bytes());
    body.extend(id.to_be_bytes());
    body.extend(scheme.as_bytes());
    body.extend(b"\x001\0");
    body.extend(message);
    let mut out = (8 + body.len() as u32).to_be_bytes().to_vec();
    out.extend(b"emsg");
    out.extend(body);
    out
}

#[test]
fn events_in_segments_are_declared_and_unique() {
    let demo = setup(false);
    let media = &demo.segments[0].1;
    let mut of = demo.of.clone();
    of.inband = vec![Scheme {
        id: "urn:x".to_owned(),
        value: "1".to_owned(),
    }];
    let judge = |segments: &[Vec<u8>]| {
        judged(|on| {
            let mut known = Known::default();
            for bytes in segments {
                known.see(on, &of, bytes);
            }
        })
    };
    let before = |event: Vec<u8>| [event, media.clone()].concat();
    let good = before(emsg("urn:x", 5, b"m"));
    assert_eq!(judge(&[good.clone(), good.clone()]), []);
    let table = [
        (
            vec![before(emsg("urn:y", 5, b"m"))],
            D18,
            Fail,
            "not declared",
        ),
        (
            vec![[media.clone(), emsg("urn:x", 5, b"m")].concat()],
            D18,
            Warn,
            "behind the first fragment",
        ),
        (vec![before(emsg("urn:x", 5, b""))], D18, Warn, "no message"),
        (
            vec![good, before(emsg("urn:x", 5, b"n"))],
            D18,
            Fail,
            "one scheme, value and id",
        ),
        (
            vec![before(b"\0\0\0\x09emsg\x02".to_vec())],
            D18,
            Fail,
            "cannot be read",
        ),
    ];
    for (segments, rule, level, what) in table {
        assert_only(&judge(&segments), rule, level, "", what, what);
    }
}
