//! What a fleet has seen, and its report.

use std::collections::BTreeMap;
use std::fmt::Write;

use headwater_load::histogram::Histogram;
use serde_json::{Value, json};

use crate::player::What;

/// Sorts of requests.
const KINDS: [&str; 6] = [
    "multivariant",
    "playlist",
    "reload",
    "header",
    "part",
    "segment",
];

/// Counts of one sort of request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kind {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// By status, or by what went wrong.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Answers that a player would have given up on, or run dry before.
    pub(crate) late: u64,
    /// From request to last byte; of a reload that includes its wait.
    pub(crate) latency: Histogram,
}

/// Counts of a thread, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    kinds: [Kind; KINDS.len()],
    pub(crate) players: u64,
    /// Requests sent again because a kept connection had just been closed.
    pub(crate) retries: u64,
    /// From a part's publication to its last byte at a player.
    pub(crate) part_age: Histogram,
    /// From a part's publication to the end of the playlist that named it.
    pub(crate) news_age: Histogram,
    /// News a player had before the one who says when it was published.
    pub(crate) ahead: u64,
    /// News of parts whose publication nobody saw.
    pub(crate) unmatched: u64,
}

impl Tally {
    pub(crate) fn kind(&mut self, what: What) -> &mut Kind {
        &mut self.kinds[match what {
            What::Multivariant => 0,
            What::Playlist { .. } => 1,
            What::Reload { .. } => 2,
            What::Header { .. } => 3,
            What::Part { .. } => 4,
            What::Segment { .. } => 5,
        }]
    }

    pub(crate) fn error(&mut self, what: What, error: impl Into<String>) {
        *self.kind(what).errors.entry(error.into()).or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (into, from) in self.kinds.iter_mut().zip(&other.kinds) {
            into.requests += from.requests;
            into.bytes += from.bytes;
            into.late += from.late;
            into.latency.merge(&from.latency);
            for (error, count) in &from.errors {
                *into.errors.entry(error.clone()).or_default() += count;
            }
        }
        self.players += other.players;
        self.retries += other.retries;
        self.ahead += other.ahead;
        self.unmatched += other.unmatched;
        self.part_age.merge(&other.part_age);
        self.news_age.merge(&other.news_age);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.requests).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.bytes).sum()
    }

    pub(crate) fn late(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.late).sum()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.kinds
            .iter()
            .flat_map(|kind| kind.errors.values())
            .sum()
    }

    /// The report for programs. Times are in milliseconds.
    pub(crate) fn json(&self) -> Value {
        let kinds = KINDS.iter().zip(&self.kinds).map(|(name, kind)| {
            let value = json!({
                "requests": kind.requests,
                "bytes": kind.bytes,
                "errors": kind.errors,
                "late": kind.late,
                "latency_ms": spread(&kind.latency),
            });
            ((*name).to_owned(), value)
        });
        json!({
            "players": self.players,
            "requests": self.requests(),
            "bytes": self.bytes(),
            "errors": self.errors(),
            "late": self.late(),
            "retries": self.retries,
            "kinds": kinds.collect::<serde_json::Map<_, _>>(),
            "publication_to_playlist_ms": spread(&self.news_age),
            "publication_to_last_byte_ms": spread(&self.part_age),
            "ahead_of_publication": self.ahead,
            "publication_unseen": self.unmatched,
        })
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<26}{:>10}{:>9}{:>8}{:>6}{:>9}{:>9}{:>9}{:>9}",
            "", "requests", "MB", "errors", "late", "p50 ms", "p95 ms", "p99 ms", "max ms"
        );
        for (name, kind) in KINDS.iter().zip(&self.kinds) {
            if kind.requests > 0 {
                let errors: u64 = kind.errors.values().sum();
                let counts = format!(
                    "{:>10}{:>9.1}{errors:>8}{:>6}",
                    kind.requests,
                    kind.bytes as f64 / 1e6,
                    kind.late
                );
                let _ = writeln!(out, "{name:<26}{counts}{}", columns(&kind.latency));
            }
        }
        for (name, histogram) in [
            ("publication to playlist", &self.news_age),
            ("publication to last byte", &self.part_age),
        ] {
            let count = histogram.count();
            let _ = writeln!(out, "{name:<26}{count:>10}{:>23}{}", "", columns(histogram));
        }
        for (name, kind) in KINDS.iter().zip(&self.kinds) {
            for (error, count) in &kind.errors {
                let _ = writeln!(out, "{count} x {name}: {error}");
            }
        }
        out
    }
}

const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

fn spread(histogram: &Histogram) -> Value {
    let of = |q| histogram.quantile_us(q).map(ms);
    let [p50, p95, p99] = QUANTILES.map(of);
    let max = (histogram.count() > 0).then(|| ms(histogram.max_us()));
    json!({ "count": histogram.count(), "p50": p50, "p95": p95, "p99": p99, "max": max })
}

fn columns(histogram: &Histogram) -> String {
    let of = |q| histogram.quantile_us(q);
    let max = (histogram.count() > 0).then(|| histogram.max_us());
    let all = QUANTILES.map(of).into_iter().chain([max]);
    all.map(|us| us.map_or_else(|| format!("{:>9}", "-"), |us| format!("{:>9.1}", ms(us))))
        .collect()
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_report_what_is_there() {
        let mut one = Tally::default();
        let part = one.kind(What::Part { track: 0 });
        (part.requests, part.bytes) = (2, 100);
        part.latency.add(1500);
        one.error(What::Part { track: 0 }, "503");
        let mut two = one.clone();
        two.players = 3;
        two.merge(&one);
        assert_eq!((two.requests(), two.bytes(), two.errors()), (4, 200, 2));
        let json = two.json();
        assert_eq!(json["kinds"]["part"]["errors"]["503"], 2);
        assert_eq!(json["kinds"]["part"]["latency_ms"]["count"], 2);
        assert_eq!(json["kinds"]["part"]["latency_ms"]["max"], 1.5);
        assert!(json["kinds"]["segment"]["latency_ms"]["p50"].is_null());
        assert!(two.text().contains("2 x part: 503"));
    }
}
