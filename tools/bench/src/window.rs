//! What publishing a part costs in a window of a day beside one of a minute:
//! a shard without a system call, with requests parked on it.

use rustix::time::{ClockId, clock_gettime};

use crate::origin::Origin;
use crate::stats::{max, median, min};

/// Which requests wait for every part.
pub(crate) const CROWDS: [(&str, &[(&str, bool)]); 4] = [
    ("nobody waits", &[]),
    ("deltas, gzip", &[("&_HLS_skip=YES", true)]),
    ("whole playlist, gzip", &[("", true)]),
    (
        "whole playlist and delta, both codings",
        &[
            ("", false),
            ("", true),
            ("&_HLS_skip=YES", false),
            ("&_HLS_skip=YES", true),
        ],
    ),
];

/// Seconds a part takes with this crowd, over some whole segments.
fn part(origin: &mut Origin, crowd: &[(&str, bool)], parts: u64) -> f64 {
    let mut seconds = 0.0;
    let before = origin.answered();
    for _ in 0..parts {
        origin.park(crowd);
        let chunk = origin.make();
        let start = cpu_seconds();
        origin.take(&chunk);
        seconds += cpu_seconds() - start;
    }
    let missing = crowd.len() as u64 * parts - (origin.answered() - before);
    assert!(
        missing <= 2 * crowd.len() as u64,
        "{missing} were not answered"
    );
    seconds / parts as f64
}

/// CPU time of this thread: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Prints the table.
pub(crate) fn measure(rounds: usize) {
    const PARTS: u64 = 400;
    println!("filling a window of a minute and one of a day");
    let (mut minute, mut day) = (Origin::new(60), Origin::new(86_400));
    println!("\n| a part with | 1 min, us | 24 h, us | ratio | target |\n|---|---|---|---|---|");
    for (name, crowd) in CROWDS {
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let (short, long) = (
                part(&mut minute, crowd, PARTS),
                part(&mut day, crowd, PARTS),
            );
            for (list, value) in figures
                .iter_mut()
                .zip([short * 1e6, long * 1e6, long / short])
            {
                list.push(value);
            }
        }
        let [short, long, ratio] = &figures;
        println!(
            "| {name} | {:.1} | {:.1} | {:.2} [{:.2} to {:.2}] | 1.1 |",
            median(short),
            median(long),
            median(ratio),
            min(ratio),
            max(ratio)
        );
    }
}
