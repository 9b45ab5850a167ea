//! GETs of a playlist, of a part and of a segment, headwater and nginx in turn.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_load::media::{Shape, Track};
use headwater_load::push::{Pusher, Upload};

use crate::Options;
use crate::machine;
use crate::servers::{LOAD_CORE, Server, get, pinned};

/// What is asked for, and bytes of the parts of the channel: ten make a segment.
const PHASES: [(&[&str], usize); 2] = [(&["playlist", "part"], 250_000), (&["segment"], 400_000)];
/// Media in the window, in seconds: gives a playlist of about 4 KB.
const WINDOW_S: u32 = 20;
const HEAD_START: Duration = Duration::from_secs(22);
const CONNECTIONS: &str = "64";
/// For the origin to take in what was pushed while it was held.
const SETTLE: Duration = Duration::from_millis(1200);
const HEADWATER_PORT: u16 = 18_080;
const NGINX_PORT: u16 = 18_081;
/// The playlist of an [`Encoder`].
pub(crate) const PLAYLIST: &str = "/live/bench/video.m3u8";

/// One run of wrk.
pub(crate) struct Run {
    pub(crate) what: &'static str,
    pub(crate) pair: usize,
    pub(crate) server: &'static str,
    pub(crate) body_bytes: usize,
    pub(crate) head_bytes: usize,
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    pub(crate) seconds: f64,
    pub(crate) server_cpu_s: f64,
    pub(crate) machine_cpu_s: f64,
    pub(crate) load_cpu_s: f64,
}

impl Run {
    pub(crate) fn requests_per_server_cpu_s(&self) -> f64 {
        self.requests / self.server_cpu_s
    }

    pub(crate) fn requests_per_s(&self) -> f64 {
        self.requests / self.seconds
    }

    pub(crate) fn megabytes_per_machine_cpu_s(&self) -> f64 {
        self.megabytes() / self.machine_cpu_s
    }

    pub(crate) fn megabytes_per_both_cpu_s(&self) -> f64 {
        self.megabytes() / (self.server_cpu_s + self.load_cpu_s)
    }

    pub(crate) fn megabytes_per_server_cpu_s(&self) -> f64 {
        self.megabytes() / self.server_cpu_s
    }

    /// Processors that were busy with neither the server nor the load.
    pub(crate) fn foreign_cores(&self) -> f64 {
        (self.machine_cpu_s - self.server_cpu_s - self.load_cpu_s) / self.seconds
    }

    fn megabytes(&self) -> f64 {
        self.requests * self.body_bytes as f64 / 1e6
    }
}

/// All runs, in the order in which they were made.
pub(crate) fn measure(options: &Options) -> io::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for (kinds, part_bytes) in PHASES {
        runs.extend(phase(options, kinds, part_bytes)?);
    }
    Ok(runs)
}

fn phase(options: &Options, kinds: &[&'static str], part_bytes: usize) -> io::Result<Vec<Run>> {
    let headwater = Server::headwater(&options.headwater, HEADWATER_PORT, WINDOW_S)?;
    let encoder = Encoder::start(&headwater, options, part_bytes)?;
    let files = options.scratch.join("files");
    fs::create_dir_all(&files)?;
    fs::write(files.join("ready"), "ready\n")?;
    let nginx = Server::nginx(&options.nginx_config, &options.scratch, NGINX_PORT)?;

    let mut runs = Vec::new();
    for pair in 0..options.pairs {
        for &what in kinds {
            std::thread::sleep(SETTLE);
            let (_, playlist) = get(headwater.address, PLAYLIST)?;
            let (target, name) = match what {
                "playlist" => (PLAYLIST.to_owned(), format!("{pair}.m3u8")),
                "part" => (newest_part(&playlist)?, format!("{pair}.m4s")),
                _ => (newest_segment(&playlist)?, format!("{pair}-whole.m4s")),
            };
            let (head, body) = get(headwater.address, &target)?;
            fs::write(files.join(&name), &body)?;
            runs.push(run(
                options,
                &headwater,
                what,
                pair,
                &target,
                (&head, &body),
            )?);

            headwater.hold(true)?;
            let target = format!("/{name}");
            let (head, body_there) = get(nginx.address, &target)?;
            assert_eq!(body, body_there, "both serve the same bytes");
            runs.push(run(options, &nginx, what, pair, &target, (&head, &body))?);
            headwater.hold(false)?;
            for run in &runs[runs.len() - 2..] {
                eprintln!(
                    "{what} {pair} {}: {:.0} requests, {:.2} s of the server, {:.2} s of the machine",
                    run.server, run.requests, run.server_cpu_s, run.machine_cpu_s
                );
            }
        }
    }
    encoder.stop()?;
    Ok(runs)
}

fn run(
    options: &Options,
    server: &Server,
    what: &'static str,
    pair: usize,
    target: &str,
    (head, body): (&str, &[u8]),
) -> io::Result<Run> {
    let url = format!("http://{}{target}", server.address);
    let mut wrk = pinned(LOAD_CORE, Path::new("wrk"));
    wrk.args(["-t1", "-c", CONNECTIONS, "--timeout", "10s"])
        .arg(format!("-d{}s", options.seconds))
        .arg("-s")
        .arg(&options.wrk_script)
        .arg(url)
        .stderr(Stdio::inherit());
    let cpu = |pid| {
        (
            machine::process_cpu_s(pid),
            machine::machine_cpu_s(),
            machine::children_cpu_s(),
        )
    };
    let before = cpu(server.pid);
    let output = wrk.output()?;
    let after = cpu(server.pid);
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text
        .lines()
        .find_map(|line| line.strip_prefix("result "))
        .unwrap_or_default()
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [requests, micros, errors] = numbers[..] else {
        return Err(io::Error::other(format!("wrk said: {text}")));
    };
    Ok(Run {
        what,
        pair,
        server: if server.address.port() == NGINX_PORT {
            "nginx"
        } else {
            "headwater"
        },
        body_bytes: body.len(),
        head_bytes: head.len(),
        requests,
        errors,
        seconds: micros / 1e6,
        server_cpu_s: after.0 - before.0,
        machine_cpu_s: after.1 - before.1,
        load_cpu_s: after.2 - before.2,
    })
}

/// The URL of the last part that a playlist lists.
fn newest_part(playlist: &[u8]) -> io::Result<String> {
    let text = String::from_utf8_lossy(playlist);
    text.lines()
        .rev()
        .find(|line| line.starts_with("#EXT-X-PART:"))
        .and_then(|line| line.split("URI=\"").nth(1)?.split('"').next())
        .map(|uri| format!("/live/bench/{uri}"))
        .ok_or_else(|| io::Error::other("no part in the playlist"))
}

/// The URL of the last whole segment that a playlist lists.
fn newest_segment(playlist: &[u8]) -> io::Result<String> {
    let text = String::from_utf8_lossy(playlist);
    text.lines()
        .rev()
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|uri| format!("/live/bench/{uri}"))
        .ok_or_else(|| io::Error::other("no segment in the playlist"))
}

/// A push that goes on beside the measurement.
pub(crate) struct Encoder {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<io::Result<()>>,
}

impl Encoder {
    pub(crate) fn start(to: &Server, options: &Options, chunk_bytes: usize) -> io::Result<Self> {
        let shape = Shape {
            chunk_bytes,
            slower: 1,
        };
        let track = Track::read(&options.media, shape).map_err(io::Error::other)?;
        let mut pusher = Pusher::start(Upload::new(
            to.address,
            "bench",
            "video.cmfv",
            track,
            HEAD_START,
        ))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                pusher.push()?;
            }
            Ok(())
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        while get(to.address, PLAYLIST).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("the channel does not begin"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Self { stop, thread })
    }

    pub(crate) fn stop(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the encoder failed")))
    }
}
