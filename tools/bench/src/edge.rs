//! The live edge on a server that is idle and on one whose core is 80 % busy:
//! from a chunk's last byte in to the last byte out, and the first byte of a
//! part that is there.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use headwater_load::media::{Shape, Track};
use headwater_load::push::{Pusher, Upload};

use crate::Options;
use crate::background::Background;
use crate::gets::{Encoder, PLAYLIST};
use crate::machine;
use crate::players::{content_length, next_part};
use crate::record::{Figure, Record, Sample};
use crate::servers::{Server, get};
use crate::stats::quantile;

/// Channels whose edge is watched, each for one of these in turn.
const PROBES: usize = 8;
const KINDS: [&str; 2] = ["part", "playlist"];
const PART_BYTES: usize = 100_000;
/// Asked for in the background, in turn with a playlist.
const BACKGROUND_PART_BYTES: usize = 250_000;
/// The window outlives a run, so that what the background asks for stays.
const WINDOW_S: u32 = 300;
const HEAD_START: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(10);
const PORT: u16 = 18_087;
/// How busy the server's core is to be.
const BUSY: f64 = 0.8;
/// Requests a second that the search for it begins with.
const RATE_FIRST: f64 = 1_000.0;
const RATE_STEPS: usize = 8;
const RATE_STEP: Duration = Duration::from_millis(700);

const FIGURES: [Figure; 6] = [
    figure("p50, us", "p50_us", ""),
    figure("p99, us", "p99_us", "2000, busy"),
    figure("max, us", "max_us", ""),
    figure("samples", "samples", ""),
    figure("server CPU, % of its core", "busy_percent", ""),
    figure("background requests a second", "background_per_s", ""),
];

const fn figure(title: &'static str, name: &'static str, target: &'static str) -> Figure {
    Figure {
        title,
        name,
        digits: 0,
        target,
    }
}

/// One latency of one kind, in microseconds.
type Latency = (&'static str, f64);

/// Measures and writes the report.
pub(crate) fn measure(options: &Options) -> io::Result<()> {
    let load_before = machine::load_average();
    let mut samples = Vec::new();
    for pair in 0..options.pairs {
        for is_busy in [false, true] {
            samples.extend(run(options, pair, is_busy)?);
        }
    }
    let record = Record {
        name: "edge",
        title: "The edge under load",
        command: "benches/edge.sh",
        intro: format!(
            "{PROBES} channels with parts of 0.2 s and {PART_BYTES} bytes. Chunk in: before the \
             write of a chunk's last byte; out: the last byte of a hinted part, or of a blocking \
             reload, that had been asked for before. First byte: of the newest part, a request \
             every 20 ms. Busy: GETs of a playlist and of a part of {BACKGROUND_PART_BYTES} bytes \
             at the rate that makes the server's core {:.0} % busy. {} s each, idle and busy in \
             turn.",
            BUSY * 100.0,
            options.seconds
        ),
        remark: &options.remark,
        load_before,
        servers: ("headwater", None),
        figures: &FIGURES,
        samples: &samples,
    };
    record.write(&options.out)?;
    Ok(())
}

fn run(options: &Options, pair: usize, is_busy: bool) -> io::Result<Vec<Sample>> {
    let server = Server::headwater(&options.headwater, PORT, WINDOW_S)?;
    let encoder = Encoder::start(&server, options, BACKGROUND_PART_BYTES)?;
    let part = newest_part(&mut Client::connect(server.address)?)?;
    let targets = vec![PLAYLIST.to_owned(), part];
    let background = Background::start(server.address, targets)?;
    let rate = if is_busy {
        settle(&background, server.pid)
    } else {
        0.0
    };
    let end = Instant::now() + Duration::from_secs(options.seconds as u64);
    let (sender, latencies) = mpsc::channel();
    let mut probes = Vec::new();
    let (before_s, start) = (machine::process_cpu_s(server.pid), Instant::now());
    let answered = background.answered();
    for index in 0..PROBES {
        let (sender, address) = (sender.clone(), server.address);
        let track = track(options, PART_BYTES)?;
        probes.push(std::thread::spawn(move || {
            watch_edge(address, index, track, end, &sender)
        }));
    }
    let address = server.address;
    probes.push(std::thread::spawn(move || {
        first_bytes(address, end, &sender)
    }));
    for probe in probes {
        let ended = probe.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("a probe failed")))?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let busy = (machine::process_cpu_s(server.pid) - before_s) / seconds;
    let per_s = (background.answered() - answered) as f64 / seconds;
    background.stop()?;
    encoder.stop()?;
    let all: Vec<Latency> = latencies.into_iter().collect();
    let load = if is_busy { "busy" } else { "idle" };
    eprintln!(
        "{pair} {load}: {:.0} % busy, {per_s:.0} of {rate:.0} requests/s",
        busy * 100.0
    );
    let titles = [
        ("part", "chunk in to part out"),
        ("playlist", "chunk in to playlist out"),
        ("first byte", "first byte of a part"),
    ];
    Ok(titles
        .iter()
        .map(|(kind, title)| {
            let of_kind = all.iter().filter(|(of, _)| of == kind);
            let us: Vec<f64> = of_kind.map(|(_, us)| *us).collect();
            eprintln!(
                "  {title}: p50 {:.0}, p99 {:.0} us",
                quantile(&us, 0.5),
                quantile(&us, 0.99)
            );
            Sample {
                what: format!("{title}, {load}"),
                pair,
                server: "headwater",
                values: vec![
                    ("p50_us", quantile(&us, 0.5)),
                    ("p99_us", quantile(&us, 0.99)),
                    ("max_us", quantile(&us, 1.0)),
                    ("samples", us.len() as f64),
                    ("busy_percent", busy * 100.0),
                    ("background_per_s", per_s),
                ],
            }
        })
        .collect())
}

fn track(options: &Options, chunk_bytes: usize) -> io::Result<Track> {
    let shape = Shape {
        chunk_bytes,
        slower: 1,
    };
    Track::read(&options.media, shape).map_err(io::Error::other)
}

/// Raises the rate until the server's core is as busy as it is to be.
fn settle(background: &Background, pid: u32) -> f64 {
    let mut rate = RATE_FIRST;
    for _ in 0..RATE_STEPS {
        background.set_rate(rate as u64);
        std::thread::sleep(RATE_STEP / 4);
        let (before_s, start) = (machine::process_cpu_s(pid), Instant::now());
        std::thread::sleep(RATE_STEP);
        let busy = (machine::process_cpu_s(pid) - before_s) / start.elapsed().as_secs_f64();
        // A step at most doubles it: what is measured first is mostly idling.
        rate *= (BUSY / busy.max(0.01)).clamp(0.5, 2.0);
    }
    background.set_rate(rate as u64);
    rate
}

/// Pushes a channel, and asks for each part, or the playlist with it, ahead.
fn watch_edge(
    to: SocketAddr,
    index: usize,
    track: Track,
    end: Instant,
    latencies: &Sender<Latency>,
) -> io::Result<()> {
    let kind = KINDS[index % KINDS.len()];
    let channel = format!("edge{index}");
    let mut upload = Upload::new(to, &channel, "video.cmfv", track, HEAD_START);
    upload.phase_us = 200_000 * index as u64 / PROBES as u64;
    let mut pusher = Pusher::start(upload)?;
    pusher.push()?;
    let mut client = Client::connect(to)?;
    let playlist = format!("/live/{channel}/video.m3u8");
    // The channel lives once a segment was seen.
    let deadline = Instant::now() + PATIENCE;
    while get(to, &playlist).is_err() && Instant::now() < deadline {
        pusher.push()?;
    }
    let mut text = client.get(&playlist)?;
    while Instant::now() < end {
        let target = match kind {
            "part" => hinted_part(&text, &channel)?,
            _ => {
                let next = next_part(&text).ok_or_else(|| io::Error::other("no playlist"))?;
                format!("{playlist}?_HLS_msn={}&_HLS_part={}", next.0, next.1)
            }
        };
        client.ask(&target)?;
        // The request is there before the part: parts are 200 ms apart.
        std::thread::sleep(Duration::from_millis(20));
        let start = pusher.push()?;
        let (_, body) = client.answer()?;
        // Nobody listens any more when the run is over.
        let _ = latencies.send((kind, start.elapsed().as_nanos() as f64 / 1e3));
        text = match kind {
            "part" => client.get(&playlist)?,
            _ => body,
        };
    }
    pusher.finish()
}

/// Asks for the newest part of a channel again and again.
fn first_bytes(to: SocketAddr, end: Instant, latencies: &Sender<Latency>) -> io::Result<()> {
    let mut client = Client::connect(to)?;
    let part = newest_part(&mut client)?;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        client.ask(&part)?;
        let (first, _) = client.answer()?;
        let _ = latencies.send(("first byte", (first - start).as_nanos() as f64 / 1e3));
    }
    Ok(())
}

/// A blocking client on a kept connection.
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(to: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            buffer: vec![0; 256 * 1024],
        })
    }

    fn ask(&mut self, target: &str) -> io::Result<()> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        self.socket.write_all(request.as_bytes())
    }

    /// When the answer's first byte came, and its body as text.
    fn answer(&mut self) -> io::Result<(Instant, String)> {
        let mut reply = Vec::new();
        let (mut first, mut whole) = (None, usize::MAX);
        while reply.len() < whole {
            let count = self.socket.read(&mut self.buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            first.get_or_insert_with(Instant::now);
            reply.extend_from_slice(&self.buffer[..count]);
            if whole == usize::MAX
                && let Some(at) = reply.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&reply[..at]).into_owned();
                let length = content_length(&head).filter(|_| head.starts_with("HTTP/1.1 200 "));
                let length = length.ok_or_else(|| {
                    io::Error::other(head.lines().next().unwrap_or_default().to_owned())
                })?;
                whole = at + 4 + length;
            }
        }
        let head = reply.windows(4).position(|four| four == b"\r\n\r\n");
        let body = reply.split_off(head.map_or(0, |at| at + 4));
        let first = first.expect("something was read");
        Ok((first, String::from_utf8_lossy(&body).into_owned()))
    }

    fn get(&mut self, target: &str) -> io::Result<String> {
        self.ask(target)?;
        Ok(self.answer()?.1)
    }
}

/// The newest part of the channel in the background.
fn newest_part(client: &mut Client) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = client.get(PLAYLIST)?;
        if let Some(part) = part_named(&text, "#EXT-X-PART:", "bench") {
            return Ok(part);
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("no part in the playlist"));
        }
    }
}

fn hinted_part(text: &str, channel: &str) -> io::Result<String> {
    part_named(text, "#EXT-X-PRELOAD-HINT:", channel)
        .ok_or_else(|| io::Error::other("no hint in the playlist"))
}

/// The target of the last line that begins so.
fn part_named(text: &str, tag: &str, channel: &str) -> Option<String> {
    let line = text.lines().rev().find(|line| line.starts_with(tag))?;
    let uri = line.split("URI=\"").nth(1)?.split('"').next()?;
    Some(format!("/live/{channel}/{uri}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_hints_are_found() {
        let text = "#EXTM3U\n#EXT-X-PART:DURATION=0.2,URI=\"v/p1.m4s\"\n\
                    #EXT-X-PART:DURATION=0.2,URI=\"v/p2.m4s\"\n\
                    #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"v/p3.m4s\"\n";
        let part = part_named(text, "#EXT-X-PART:", "c");
        assert_eq!(part.as_deref(), Some("/live/c/v/p2.m4s"));
        assert_eq!(hinted_part(text, "c").unwrap(), "/live/c/v/p3.m4s");
        assert!(hinted_part("#EXTM3U\n", "c").is_err());
    }
}
