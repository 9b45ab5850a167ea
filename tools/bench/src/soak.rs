//! Hours in small: encoders that crash and come back, players that come and go,
//! and the memory and descriptors of the server all along.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use headwater_load::encoders::{self, Counts, Plan};
use headwater_load::limits;

use crate::Options;
use crate::machine;
use crate::report;
use crate::servers::{LOAD_CORE, Server, get, pinned};
use crate::stats::{max, median};

const PORT: u16 = 18_088;
const TRACKS: usize = 5;
const KBPS: usize = 1_000;
/// A fleet of players plays this long and leaves all at once; another has come
/// meanwhile.
const VISIT: Duration = Duration::from_secs(10);
const FLEETS: usize = 2;
const BEAT: Duration = Duration::from_secs(1);
/// Memory may be this much more in the last third than in the one before: what
/// an allocator keeps moves by so much.
const GROWTH_MAX: f64 = 1.05;
/// Descriptors that may be open beyond what was open before.
const DESCRIPTORS_MORE: f64 = 64.0;
/// The runtime tells of its own stalls by this counter.
const STALLS: &str = "headwater_rescues_total";
/// How late its heartbeat came at worst, which a busy machine makes late too.
const LATE: &str = "headwater_heartbeat_late_us_max";

/// The server at one moment.
struct Moment {
    at_s: f64,
    resident: f64,
    descriptors: f64,
    stalls: f64,
    late_us: f64,
}

/// Runs, judges and writes the report; an error where something was not flat.
pub(crate) fn measure(options: &Options) -> io::Result<()> {
    let load_before = machine::load_average();
    let seconds = options.seconds as u64;
    let window_s = u32::try_from(seconds / 6).unwrap_or(u32::MAX).clamp(10, 60);
    limits::raise_descriptors((options.channels * TRACKS) as u64).map_err(io::Error::other)?;
    let server = Server::headwater(&options.headwater, PORT, window_s)?;
    let plan = Plan {
        to: server.address,
        prefix: "soak".to_owned(),
        channels: options.channels,
        tracks: TRACKS,
        kbps: KBPS,
        token: None,
        seconds: seconds + 2,
        restart_s: Some((seconds / 3).clamp(15, 120)),
        head_start: Duration::from_secs(6),
    };
    let encoders = std::thread::spawn(move || encoders::run(&plan, |_| {}));
    let visits = Visits::new(options, server.address);
    let (moments, visits) = watch(&server, visits, Duration::from_secs(seconds))?;
    let counts = encoders
        .join()
        .map_err(|_| io::Error::other("the encoders failed"))?
        .map_err(io::Error::other)?;
    drop(server);
    let verdict = judge(&moments);
    let folder = report::folder(&options.out)?;
    fs::write(folder.join("soak.csv"), csv(&moments))?;
    let mut text = report::circumstances("Soak", "benches/soak.sh", &options.remark, load_before);
    let _ = write!(text, "{}", summary(options, &moments, &visits, &counts));
    text += &match &verdict {
        Ok(()) => "\nMemory and descriptors are flat, nothing stalled.\n".to_owned(),
        Err(why) => format!("\nNOT flat: {why}\n"),
    };
    fs::write(folder.join("soak.md"), &text)?;
    print!("{text}");
    verdict.map_err(io::Error::other)
}

/// Players that come and go.
struct Visits<'a> {
    options: &'a Options,
    to: SocketAddr,
    fleets: Vec<Child>,
    begun: usize,
    broken: usize,
}

impl<'a> Visits<'a> {
    fn new(options: &'a Options, to: SocketAddr) -> Self {
        Self {
            options,
            to,
            fleets: Vec::new(),
            begun: 0,
            broken: 0,
        }
    }

    /// Sees fleets off that have played, and sends others.
    fn turn(&mut self) -> io::Result<()> {
        let mut playing = Vec::new();
        for mut fleet in std::mem::take(&mut self.fleets) {
            match fleet.try_wait()? {
                Some(status) => self.broken += usize::from(!status.success()),
                None => playing.push(fleet),
            }
        }
        self.fleets = playing;
        while self.fleets.len() < FLEETS {
            // One plays low-latency, the other plain.
            let (channel, mode) = (self.begun % self.options.channels, self.begun % 2);
            let program = sibling("headwater-load")?;
            let fleet = pinned(LOAD_CORE, &program)
                .arg(format!("http://{}/live/soak{channel}/index.m3u8", self.to))
                .args(["--mode", ["ll", "plain"][mode]])
                .args(["--players", &self.options.players.to_string()])
                .args(["--seconds", &VISIT.as_secs().to_string()])
                .args(["--warm-up-s", "0"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            self.fleets.push(fleet);
            self.begun += 1;
        }
        Ok(())
    }
}

impl Drop for Visits<'_> {
    fn drop(&mut self) {
        for fleet in &mut self.fleets {
            let _ = fleet.kill();
            let _ = fleet.wait();
        }
    }
}

/// What was seen of the server, and fleets begun and those that saw errors.
fn watch(
    server: &Server,
    mut visits: Visits<'_>,
    most: Duration,
) -> io::Result<(Vec<Moment>, (usize, usize))> {
    let start = Instant::now();
    let mut moments = Vec::new();
    // Channels begin before anybody plays them.
    std::thread::sleep(Duration::from_secs(3));
    while start.elapsed() < most {
        visits.turn()?;
        let (_, metrics) = get(server.address, "/metrics")?;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        moments.push(Moment {
            at_s: start.elapsed().as_secs_f64(),
            resident: machine::resident_bytes(server.pid) as f64,
            descriptors: machine::descriptors(server.pid) as f64,
            stalls: counter(&metrics, STALLS),
            late_us: counter(&metrics, LATE),
        });
        std::thread::sleep(BEAT);
    }
    Ok((moments, (visits.begun, visits.broken)))
}

/// A counter of all shards together.
fn counter(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Whether the last third is as the one before.
fn judge(moments: &[Moment]) -> Result<(), String> {
    let third = moments.len() / 3;
    let (before, last) = (
        &moments[third..moments.len() - third],
        &moments[moments.len() - third..],
    );
    let of = |moments: &[Moment], of: fn(&Moment) -> f64| -> Vec<f64> {
        moments.iter().map(of).collect()
    };
    let resident = |moments| median(&of(moments, |moment| moment.resident));
    let growth = resident(last) / resident(before);
    let descriptors = |moments| max(&of(moments, |moment| moment.descriptors));
    let more = descriptors(last) - descriptors(before);
    let stalls = of(moments, |moment| moment.stalls);
    let stalled = max(&stalls) - stalls.first().copied().unwrap_or_default();
    if growth.is_nan() || growth > GROWTH_MAX {
        return Err(format!("memory is {growth:.3} of what it was"));
    }
    if more > DESCRIPTORS_MORE {
        return Err(format!("{more:.0} more descriptors"));
    }
    if stalled > 0.0 {
        return Err(format!("{stalled:.0} stalls of the runtime"));
    }
    Ok(())
}

fn csv(moments: &[Moment]) -> String {
    let mut text = String::from("seconds,rss_bytes,descriptors,stalls,heartbeat_late_us\n");
    for moment in moments {
        let _ = writeln!(
            text,
            "{:.1},{},{},{},{}",
            moment.at_s, moment.resident, moment.descriptors, moment.stalls, moment.late_us
        );
    }
    text
}

fn summary(
    options: &Options,
    moments: &[Moment],
    (begun, broken): &(usize, usize),
    counts: &Counts,
) -> String {
    let mut text = format!(
        "{} channels of {TRACKS} tracks at {KBPS} kbit/s for {} s; {} encoders crashed and came \
         back. {begun} fleets of {} players came, played {} s and left, {FLEETS} at once; {broken} \
         of them saw errors.\n\n\
         | part of the run | RSS, MiB, median | RSS, MiB, max | descriptors, max | stalls | latest \
         heartbeat, ms |\n|---|---|---|---|---|---|\n",
        options.channels,
        options.seconds,
        counts.restarts,
        options.players,
        VISIT.as_secs(),
    );
    for tenth in moments.chunks(moments.len().div_ceil(10).max(1)) {
        let mib: Vec<f64> = tenth
            .iter()
            .map(|moment| moment.resident / f64::from(1 << 20))
            .collect();
        let descriptors: Vec<f64> = tenth.iter().map(|moment| moment.descriptors).collect();
        let _ = writeln!(
            text,
            "| to {:.0} s | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} |",
            tenth.last().map_or(0.0, |moment| moment.at_s),
            median(&mib),
            max(&mib),
            max(&descriptors),
            tenth.last().map_or(0.0, |moment| moment.stalls),
            tenth.last().map_or(0.0, |moment| moment.late_us / 1e3)
        );
    }
    text
}

/// A program beside this one.
fn sibling(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(of: impl Fn(usize) -> (f64, f64, f64)) -> Vec<Moment> {
        (0..90)
            .map(|at| {
                let (resident, descriptors, stalls) = of(at);
                Moment {
                    at_s: at as f64,
                    resident,
                    descriptors,
                    stalls,
                    late_us: 0.0,
                }
            })
            .collect()
    }

    #[test]
    fn what_grows_is_not_flat() {
        let wavy = |at: usize| (100.0 + (at % 7) as f64, 50.0 + (at % 5) as f64, 1.0);
        assert_eq!(judge(&moments(wavy)), Ok(()));
        assert!(judge(&moments(|at| (100.0 + at as f64, 50.0, 0.0))).is_err());
        assert!(judge(&moments(|at| (100.0, 10.0 * at as f64, 0.0))).is_err());
        assert!(judge(&moments(|at| (100.0, 50.0, (at / 80) as f64))).is_err());
        assert!(judge(&[]).is_err());
    }

    #[test]
    fn counters_of_all_shards_add_up() {
        let text = "# TYPE a_total counter\na_total{shard=\"0\"} 2\na_total{shard=\"1\"} 3\nb 9\n";
        assert_eq!(counter(text, "a_total"), 5.0);
    }
}
