//! Instructions of the pure paths, counted by callgrind and held against bounds.
//!
//! Counts depend on the compiler and a little on the processor, but not on what
//! else the machine does.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use headwater::http::connection::{Connection, Event};
use headwater::http::reply::Reply;
use headwater::http::route::Route;
use headwater::media::cmaf;
use headwater::media::policy::Policy;
use headwater::media::publisher::{Manner, Publisher};
use headwater::time::{Mono, Now, Wall};
use headwater_load::media::{Shape, Track};

use crate::encoder::{Fragment, Frame, Spec};
use crate::origin::Origin;
use crate::window::CROWDS;

/// What was counted and may be exceeded by [`MARGIN`].
const BOUNDS: &str = "benches/counts.txt";
/// Room for other processors and small detours.
const MARGIN: f64 = 1.10;
/// A part in a window of a day beside one of a minute.
const DAY_RATIO_MAX: f64 = 1.10;
/// Bytes that a receive brings at most.
const PIECE_BYTES: usize = 16 * 1024;
const PARTS: u64 = 40;
const PARKED: usize = 10_000;
const WALL: Wall = Wall(1_767_225_600_000_000);

/// What a browser asks with hls.js.
const HEAD: &[u8] = b"GET /live/news/v.m3u8?_HLS_msn=883612845&_HLS_part=3&_HLS_skip=YES HTTP/1.1\r\n\
    Host: origin.example:8080\r\nConnection: keep-alive\r\nsec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\nsec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\nAccept: */*\r\nOrigin: https://player.example\r\n\
    Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
    Referer: https://player.example/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\r\n";

/// Callgrind counts while this runs.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    // Not a jump into the work: callgrind would miss the end.
    black_box(());
}

/// Callgrind writes down what it has counted after this, and begins anew.
#[inline(never)]
fn written(title: &str, units: f64) {
    println!("{units} {title}");
}

/// Counts `work`, which does something `units` times. The parent reads the line.
fn count(title: &str, units: f64, mut work: impl FnMut()) {
    measured(&mut work);
    written(title, units);
}

/// Does all that is counted, once. It is run by callgrind.
pub(crate) fn work() -> Result<(), String> {
    parser()?;
    timeline();
    requests();
    parked();
    for (name, window_s) in [("a minute", 60), ("a day", 86_400)] {
        let mut origin = Origin::new(window_s);
        for (crowd, kinds) in CROWDS {
            // Text of old segments is made once, here.
            publish(&mut origin, kinds, 8);
            publish_counted(&mut origin, &format!("a part in {name}: {crowd}"), kinds);
        }
    }
    Ok(())
}

fn parser() -> Result<(), String> {
    for (title, chunk_bytes) in [
        ("a MB through the box parser, chunks of 10 KB", 10_000),
        ("a MB through the box parser, chunks of 250 KB", 250_000),
    ] {
        let shape = Shape {
            chunk_bytes,
            slower: 1,
        };
        let track = Track::read(Path::new("fixtures/demo/video-270p.cmfv"), shape)?;
        let mut media = track.header.clone();
        let mut index = 0;
        while media.len() < 2_000_000 {
            media.extend(track.chunk(index).bytes);
            index += 1;
        }
        count(title, media.len() as f64 / 1e6, || {
            let mut parser = cmaf::Parser::new();
            for mut piece in media.chunks(PIECE_BYTES) {
                while let Some(event) = parser.push(&mut piece).expect("sound media") {
                    black_box(event);
                }
            }
        });
    }
    Ok(())
}

fn timeline() {
    const FRAMES: u64 = 10;
    const TICKS: u32 = 3_000;
    let spec = Spec::video(90_000);
    let header = spec.header();
    let now = |chunk: u64| Now {
        mono: Mono::from_ms(1_000 + chunk * 1_000 / 3),
        wall: Wall(WALL.0 + (chunk * 1_000_000 / 3) as i64),
    };
    let chunk = |index: u64| {
        let frames = (0..FRAMES).map(|frame| Frame {
            ticks: TICKS,
            sync: frame == 0 && index.is_multiple_of(6),
            cts: 0,
            bytes: (100, 0),
        });
        let fragment = Fragment {
            time: index * FRAMES * u64::from(TICKS),
            frames: frames.collect(),
            ..Fragment::default()
        };
        fragment.read(&header)
    };
    let mut publisher = Publisher::new("c", "g", Policy::default(), now(0));
    let opened = publisher.header("v", header.tracks[0].clone());
    let key = opened.expect("a sound header");
    let manner = Manner {
        one_segment: false,
        begins_segment: false,
        session: publisher.session(key),
    };
    let mut apply = |index: u64, chunk: cmaf::TrackChunk| {
        let placed = publisher.chunk(now(index), key, manner, chunk);
        black_box(placed.expect("sound media"));
        black_box(publisher.commit());
        if index.is_multiple_of(6) {
            publisher.tick(now(index));
        }
    };
    // The window is full and lets go of what is old.
    for index in 0..1_200 {
        apply(index, chunk(index));
    }
    let chunks: Vec<_> = (1_200..1_440).map(|index| (index, chunk(index))).collect();
    let (units, mut chunks) = (chunks.len() as f64, Some(chunks));
    count("a chunk onto the timeline", units, || {
        for (index, chunk) in chunks.take().into_iter().flatten() {
            apply(index, chunk);
        }
    });
}

fn requests() {
    const REQUESTS: usize = 100;
    let reply = Reply::text(200, "as short as can be", WALL);
    let mut connection = Connection::new();
    let mut exchange = || {
        let mut input = HEAD;
        let Some(Event::Request(request)) = connection.poll(&mut input, WALL) else {
            panic!("a whole head");
        };
        let route = Route::parse(request.target);
        assert!(matches!(route, Route::MediaPlaylist { .. }));
        black_box(route);
        black_box(connection.respond(&reply));
    };
    exchange();
    count(
        "a request of a browser, parsed, routed, its reply framed",
        REQUESTS as f64,
        || (0..REQUESTS).for_each(|_| exchange()),
    );
}

fn parked() {
    const CROWD: [(&str, bool); 1] = [("&_HLS_skip=YES", true)];
    let mut origin = Origin::new(60);
    // Lists have their size from here on.
    (0..PARKED).for_each(|_| origin.park(&CROWD));
    let chunk = origin.make();
    origin.take(&chunk);
    let before = origin.answered();
    count("a blocking reload, parked", PARKED as f64, || {
        (0..PARKED).for_each(|_| origin.park(&CROWD));
    });
    let chunk = origin.make();
    count("the wake of one of 10,000 parked", PARKED as f64, || {
        origin.take(&chunk);
    });
    assert_eq!(origin.answered() - before, PARKED as u64);
}

fn publish(origin: &mut Origin, crowd: &[(&str, bool)], parts: u64) {
    for _ in 0..parts {
        origin.park(crowd);
        let chunk = origin.make();
        origin.take(&chunk);
    }
}

/// Every part is counted alone, with those who wait for it already parked.
fn publish_counted(origin: &mut Origin, title: &str, crowd: &[(&str, bool)]) {
    for _ in 0..PARTS {
        origin.park(crowd);
        let chunk = origin.make();
        measured(&mut || origin.take(&chunk));
    }
    written(title, PARTS as f64);
}

/// One figure: instructions a unit.
struct Figure {
    title: String,
    instructions: f64,
}

/// Counts, prints, and says whether all is within bounds. With `update` the
/// counts become the bounds.
pub(crate) fn check(scratch: &Path, update: bool) -> Result<(), String> {
    let figures = counted(scratch)?;
    if update {
        let mut text = String::from(
            "# Instructions of the pure paths, as benches/counts.sh --update has counted them.\n\
             # The gate allows a tenth more.\n",
        );
        for figure in &figures {
            text += &format!("{:.0} {}\n", figure.instructions, figure.title);
        }
        fs::write(BOUNDS, text).map_err(|e| format!("{BOUNDS}: {e}"))?;
    }
    let bounds = fs::read_to_string(BOUNDS).map_err(|e| format!("{BOUNDS}: {e}"))?;
    let complaints = judge(&figures, &bounds);
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\nIf that is meant, benches/counts.sh --update makes it the bound.",
        complaints.join("\n")
    ))
}

/// Prints each figure beside its bound; what is beyond one.
fn judge(figures: &[Figure], bounds: &str) -> Vec<String> {
    let bound = |title: &str| {
        let lines = bounds.lines().filter_map(|line| line.split_once(' '));
        let mut of_title = lines.filter(|(_, of)| *of == title);
        of_title.find_map(|(count, _)| count.parse::<f64>().ok())
    };
    let mut complaints = Vec::new();
    for Figure {
        title,
        instructions,
    } in figures
    {
        let Some(bound) = bound(title) else {
            complaints.push(format!("{title}: no bound in {BOUNDS}"));
            continue;
        };
        let share = instructions / bound;
        println!("{instructions:>12.0}  {share:>5.2} of {bound:>10.0}  {title}");
        if share > MARGIN {
            complaints.push(format!(
                "{title}: {instructions:.0} instructions, {share:.2} of its bound"
            ));
        }
    }
    for day in figures {
        let Some(crowd) = day.title.strip_prefix("a part in a day: ") else {
            continue;
        };
        let title = format!("a part in a minute: {crowd}");
        let Some(minute) = figures.iter().find(|figure| figure.title == title) else {
            continue;
        };
        let ratio = day.instructions / minute.instructions;
        println!("{ratio:>12.2}  of {DAY_RATIO_MAX} at most  a day beside a minute: {crowd}");
        if ratio > DAY_RATIO_MAX {
            complaints.push(format!(
                "{crowd}: a part in a day costs {ratio:.2} of a minute's"
            ));
        }
    }
    complaints
}

/// Runs [`work`] in callgrind, which writes a file for every call of
/// [`written`].
fn counted(scratch: &Path) -> Result<Vec<Figure>, String> {
    let say = |e: std::io::Error| format!("valgrind: {e}");
    fs::create_dir_all(scratch).map_err(say)?;
    let stem = scratch.join("count");
    let program = std::env::current_exe().map_err(say)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--quiet"])
        // A copy by one repeated instruction would count as one a byte, and wide
        // registers are not the same everywhere.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-AVX512VL,-AVX2")
        .arg("--toggle-collect=headwater_bench::counts::measured")
        .arg("--dump-after=headwater_bench::counts::written")
        .arg(format!("--callgrind-out-file={}", stem.display()))
        .arg(program)
        .args(["counts", "work"])
        .output()
        .map_err(say)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut figures = Vec::new();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    for (index, line) in lines.lines().enumerate() {
        let (units, title) = line
            .split_once(' ')
            .ok_or("the counted work said no unit")?;
        let units: f64 = units.parse().map_err(|_| "a unit is a number".to_owned())?;
        let file = format!("{}.{}", stem.display(), index + 1);
        let text = fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: f64 = total
            .and_then(|total| total.trim().parse().ok())
            .ok_or_else(|| format!("{file}: no totals"))?;
        figures.push(Figure {
            title: title.to_owned(),
            instructions: total / units,
        });
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(title: &str, instructions: f64) -> Figure {
        Figure {
            title: title.to_owned(),
            instructions,
        }
    }

    #[test]
    fn what_costs_more_than_the_margin_is_named() {
        let bounds = "# words\n100 a thing\n50 another thing\n";
        let within = [figure("a thing", 110.0), figure("another thing", 20.0)];
        assert_eq!(judge(&within, bounds), [""; 0]);
        let beyond = [figure("a thing", 111.0), figure("a new thing", 1.0)];
        assert_eq!(judge(&beyond, bounds).len(), 2);
    }

    #[test]
    fn a_day_may_cost_little_more_than_a_minute() {
        let bounds = "100 a part in a minute: all\n120 a part in a day: all\n";
        let parts = |day| {
            [
                figure("a part in a minute: all", 100.0),
                figure("a part in a day: all", day),
            ]
        };
        assert_eq!(judge(&parts(110.0), bounds), [""; 0]);
        assert_eq!(judge(&parts(112.0), bounds).len(), 1);
    }
}
