//! What the kernel says about processes and the machine.

use std::fs;

/// A tick of `/proc/stat` in seconds. USER_HZ is part of the kernel's interface
/// and 100 wherever this runs.
const TICK_S: f64 = 0.01;
/// Bytes of a page in `/proc/PID/statm`.
const PAGE_BYTES: u64 = 4096;

/// Processor seconds all threads of a process have run.
pub(crate) fn process_cpu_s(pid: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return f64::NAN;
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map(|ns| ns as f64 / 1e9)
        .sum()
}

/// Processor seconds of the whole machine that were neither idle nor stolen:
/// user, nice, system, irq and softirq of `/proc/stat`.
pub(crate) fn machine_cpu_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    [0, 1, 2, 5, 6]
        .iter()
        .map(|at| ticks.get(*at).copied().unwrap_or(f64::NAN))
        .sum::<f64>()
        * TICK_S
}

/// Processor seconds of children of this process that have ended.
pub(crate) fn children_cpu_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields behind the name, which ends in the last bracket.
    let fields = text.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(13).take(2);
    ticks
        .filter_map(|word| word.parse::<f64>().ok())
        .sum::<f64>()
        * TICK_S
}

/// Bytes of a process that are in memory.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    pages.unwrap_or(0u64) * PAGE_BYTES
}

/// Descriptors that a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// Facts that belong to every figure.
pub(crate) struct Facts {
    pub(crate) model: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_gib: u64,
}

/// The facts of this machine.
pub(crate) fn facts() -> Facts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split(':').nth(1))
            .map(|value| value.trim().to_owned())
    };
    let processors = read("/proc/cpuinfo");
    let family = value(&processors, "cpu family").unwrap_or_default();
    let number = value(&processors, "model\t").unwrap_or_default();
    let name = value(&processors, "model name").unwrap_or_default();
    let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory_kib: u64 = memory
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    // What follows the version proper names the builder of the kernel.
    let kernel = read("/proc/sys/kernel/osrelease");
    Facts {
        model: format!("{name} (family {family} model {number})"),
        cores: processors.matches("processor\t").count(),
        kernel: kernel
            .trim()
            .split('-')
            .next()
            .unwrap_or_default()
            .to_owned(),
        memory_gib: memory_kib >> 20,
    }
}

/// How many processes wait for a processor, averaged over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(f64::NAN)
}
