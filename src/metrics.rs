//! Plain counters of one shard, summed when somebody asks.

use std::fmt::Write;

use crate::shard::{ChannelReport, Report};

/// Counters of one shard. Only that shard writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Request heads taken in.
    pub requests: u64,
    /// Responses by class, 1xx to 5xx.
    pub responses: [u64; 5],
    /// Requests parked now.
    pub parked: u64,
    /// Requests that were parked and answered in time.
    pub released: u64,
    /// Requests that ran into their deadline while parked.
    pub expired: u64,
    /// Bytes of upload bodies.
    pub ingest_bytes: u64,
    /// Chunks accepted.
    pub chunks: u64,
    /// Parts published.
    pub parts: u64,
    /// Uploads refused or broken.
    pub upload_faults: u64,
    /// Playlist bodies rendered.
    pub renders: u64,
    /// Letters that found a mailbox full.
    pub letters_lost: u64,
    /// Bytes of responses, heads included, whether or not a peer took them all.
    pub sent_bytes: u64,
}

/// What one core's shell has done. Only its driver writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShellCounters {
    /// Connections taken in by accept.
    pub accepted: u64,
    /// Connections taken in from another core.
    pub adopted: u64,
    /// Connections handed to another core.
    pub moved: u64,
    /// Connections closed at once because the core was full.
    pub refused: u64,
    /// Connections now.
    pub open: u64,
    /// Bytes received.
    pub recv_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Receives that found no buffer and were armed again.
    pub enobufs: u64,
    /// Accepts that failed, for want of a descriptor as a rule, and paused.
    pub accept_pauses: u64,
    /// Times the completion queue was found overflown.
    pub cq_overflows: u64,
    /// Turns of the driver.
    pub turns: u64,
    /// Times the driver waited through the executor.
    pub parks: u64,
    /// Answers made by connections themselves, by class: broken framing, heads
    /// that never became whole.
    pub refusals: [u64; 5],
    /// Connections dropped because the peer was too slow or silent.
    pub timed_out: u64,
    /// The latest a heartbeat came, in microseconds.
    pub heartbeat_late_us_max: u64,
    /// Times the executor was found not to run its tasks and was interrupted.
    pub rescues: u64,
}

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The Prometheus text form of all shards' reports.
pub fn text(reports: &[Report]) -> String {
    let mut out = String::with_capacity(8192);
    rows(&mut out, reports, &COUNTERS, |report| &report.counters);
    responses(&mut out, reports);
    rows(&mut out, reports, &SHELL, |report| &report.shell);
    channels(&mut out, reports);
    out
}

/// One figure a shard, for every row of a table.
fn rows<T>(out: &mut String, reports: &[Report], table: &[Row<T>], of: fn(&Report) -> &T) {
    for (name, kind, help, value) in table {
        let _ = writeln!(
            out,
            "# HELP headwater_{name} {help}\n# TYPE headwater_{name} {kind}"
        );
        for report in reports {
            let (shard, value) = (report.shard, value(of(report)));
            let _ = writeln!(out, "headwater_{name}{{shard=\"{shard}\"}} {value}");
        }
    }
}

fn responses(out: &mut String, reports: &[Report]) {
    let _ = writeln!(out, "# HELP headwater_responses_total Responses by class.");
    let _ = writeln!(out, "# TYPE headwater_responses_total counter");
    for report in reports {
        let refusals = report.shell.refusals;
        let both = report.counters.responses.iter().zip(refusals);
        for (class, count) in (1..).zip(both.map(|(core, shell)| core + shell)) {
            let labels = format!("shard=\"{}\",class=\"{class}xx\"", report.shard);
            let _ = writeln!(out, "headwater_responses_total{{{labels}}} {count}");
        }
    }
}

/// Name, kind, help and value of a figure of one shard.
type Row<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

const COUNTERS: [Row<Counters>; 11] = [
    (
        "requests_total",
        "counter",
        "Request heads taken in.",
        |c| c.requests,
    ),
    ("parked", "gauge", "Requests parked now.", |c| c.parked),
    (
        "released_total",
        "counter",
        "Parked requests answered in time.",
        |c| c.released,
    ),
    (
        "expired_total",
        "counter",
        "Parked requests that met their deadline.",
        |c| c.expired,
    ),
    (
        "ingest_bytes_total",
        "counter",
        "Bytes of upload bodies.",
        |c| c.ingest_bytes,
    ),
    ("chunks_total", "counter", "Chunks accepted.", |c| c.chunks),
    ("parts_total", "counter", "Parts published.", |c| c.parts),
    ("upload_faults_total", "counter", "Uploads refused.", |c| {
        c.upload_faults
    }),
    (
        "renders_total",
        "counter",
        "Playlist bodies rendered.",
        |c| c.renders,
    ),
    (
        "letters_lost_total",
        "counter",
        "Letters that found a mailbox full.",
        |c| c.letters_lost,
    ),
    (
        "response_bytes_total",
        "counter",
        "Bytes of responses handed to connections.",
        |c| c.sent_bytes,
    ),
];

const SHELL: [Row<ShellCounters>; 11] = [
    ("connections", "gauge", "Connections now.", |c| c.open),
    (
        "connections_accepted_total",
        "counter",
        "Connections accepted.",
        |c| c.accepted,
    ),
    (
        "connections_moved_total",
        "counter",
        "Connections handed to another core.",
        |c| c.moved,
    ),
    (
        "connections_refused_total",
        "counter",
        "Connections closed for want of room.",
        |c| c.refused,
    ),
    (
        "connections_timed_out_total",
        "counter",
        "Connections dropped as too slow.",
        |c| c.timed_out,
    ),
    ("received_bytes_total", "counter", "Bytes received.", |c| {
        c.recv_bytes
    }),
    ("sent_bytes_total", "counter", "Bytes sent.", |c| {
        c.sent_bytes
    }),
    (
        "receive_buffers_dry_total",
        "counter",
        "Receives without a buffer.",
        |c| c.enobufs,
    ),
    (
        "completion_overflows_total",
        "counter",
        "Completion queue overflows.",
        |c| c.cq_overflows,
    ),
    (
        "heartbeat_late_us_max",
        "gauge",
        "The latest a heartbeat came.",
        |c| c.heartbeat_late_us_max,
    ),
    (
        "rescues_total",
        "counter",
        "Times a stuck executor was interrupted.",
        |c| c.rescues,
    ),
];

/// Name, help and value of a figure of one channel.
type Gauge = (&'static str, &'static str, fn(&ChannelReport) -> u64);

fn channels(out: &mut String, reports: &[Report]) {
    let rows: [Gauge; 3] = [
        ("channel_bytes", "Media held in memory.", |channel| {
            channel.bytes
        }),
        ("channel_uploads", "Uploads open.", |channel| {
            channel.uploads
        }),
        ("channel_live", "1 while the channel is live.", |channel| {
            u64::from(channel.state == "live")
        }),
    ];
    for (name, help, value) in rows {
        let _ = writeln!(
            out,
            "# HELP headwater_{name} {help}\n# TYPE headwater_{name} gauge"
        );
        for channel in reports.iter().flat_map(|report| &report.channels) {
            // Channel names hold no character that a label must escape.
            let labels = format!("channel=\"{}\"", channel.name);
            let _ = writeln!(out, "headwater_{name}{{{labels}}} {}", value(channel));
        }
    }
}
