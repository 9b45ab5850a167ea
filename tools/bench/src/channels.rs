//! From one channel to two hundred, each a ladder of five tracks at 5 Mbit/s.

use std::io;
use std::time::Duration;

use headwater_load::encoders::{self, Plan};
use headwater_load::limits;

use crate::Options;
use crate::machine;
use crate::record::{Figure, Record, Sample};
use crate::servers::Server;

const STEPS: [usize; 6] = [1, 10, 25, 50, 100, 200];
const TRACKS: usize = 5;
const KBPS: usize = 5_000;
const WINDOW_S: u32 = 20;
/// For all uploads to begin and the window to fill.
const WARM_UP_S: u64 = WINDOW_S as u64 + 4;
const PORT: u16 = 18_086;

const FIGURES: [Figure; 7] = [
    figure("server CPU, % of a core", "server_cpu_percent", 1, ""),
    figure("the same a channel", "percent_per_channel", 3, ""),
    figure("MB a second in", "mb_per_s", 1, ""),
    figure("RSS, MiB", "rss_mib", 0, ""),
    figure(
        "RSS a channel and minute of window, MiB",
        "mib_per_channel_minute",
        1,
        "",
    ),
    figure("chunk written late, p99 ms", "late_p99_ms", 2, ""),
    figure("uploads that broke", "errors", 0, "0"),
];

const fn figure(
    title: &'static str,
    name: &'static str,
    digits: usize,
    target: &'static str,
) -> Figure {
    Figure {
        title,
        name,
        digits,
        target,
    }
}

/// Measures and writes the report.
pub(crate) fn measure(options: &Options) -> io::Result<()> {
    let load_before = machine::load_average();
    let mut samples = Vec::new();
    for pair in 0..options.pairs {
        for channels in STEPS.into_iter().filter(|&step| step <= options.channels) {
            let sample = run(options, pair, channels)?;
            eprintln!(
                "{pair}: {channels} channels: {:.1} % of a core, {:.0} MiB, p99 {:.2} ms late",
                sample.get("server_cpu_percent"),
                sample.get("rss_mib"),
                sample.get("late_p99_ms")
            );
            samples.push(sample);
        }
    }
    let record = Record {
        name: "channels",
        title: "Channels on a core",
        command: "benches/channels.sh",
        intro: format!(
            "Encoders push channels of {TRACKS} tracks at {KBPS} kbit/s in chunks of 0.2 s, a \
             connection a track; window of {WINDOW_S} s, full when the measure begins; \
             {} s each. Nobody plays.",
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

fn run(options: &Options, pair: usize, channels: usize) -> io::Result<Sample> {
    limits::raise_descriptors((channels * TRACKS) as u64).map_err(io::Error::other)?;
    let server = Server::headwater(&options.headwater, PORT, WINDOW_S)?;
    let idle_bytes = machine::resident_bytes(server.pid);
    let plan = Plan {
        to: server.address,
        prefix: "c".to_owned(),
        channels,
        tracks: TRACKS,
        kbps: KBPS,
        token: None,
        seconds: WARM_UP_S + options.seconds as u64 + 1,
        restart_s: None,
        head_start: Duration::from_secs(2),
    };
    let encoders = std::thread::spawn(move || encoders::run(&plan, |_| {}));
    std::thread::sleep(Duration::from_secs(WARM_UP_S));
    let before_s = machine::process_cpu_s(server.pid);
    let start = std::time::Instant::now();
    std::thread::sleep(Duration::from_secs(options.seconds as u64));
    let cpu_s = machine::process_cpu_s(server.pid) - before_s;
    let seconds = start.elapsed().as_secs_f64();
    let resident = machine::resident_bytes(server.pid);
    let counts = encoders
        .join()
        .map_err(|_| io::Error::other("the encoders failed"))?
        .map_err(io::Error::other)?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let percent = cpu_s / seconds * 100.0;
    let held = mib(resident.saturating_sub(idle_bytes));
    let late_ms = |q| {
        counts
            .late
            .quantile_us(q)
            .map_or(f64::NAN, |us| us as f64 / 1e3)
    };
    Ok(Sample {
        what: format!("{channels} channels"),
        pair,
        server: "headwater",
        values: vec![
            ("server_cpu_percent", percent),
            ("percent_per_channel", percent / channels as f64),
            ("mb_per_s", (channels * KBPS) as f64 / 8e3),
            ("rss_mib", mib(resident)),
            (
                "mib_per_channel_minute",
                held / channels as f64 * 60.0 / f64::from(WINDOW_S),
            ),
            ("late_p99_ms", late_ms(0.99)),
            ("errors", counts.errors.values().sum::<u64>() as f64),
        ],
    })
}
