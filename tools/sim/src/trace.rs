//! What happened, as lines: the last ones to read, all of them as a hash.

use std::collections::VecDeque;
use std::fmt;

use crate::prng::{FNV_START, fnv};

/// Lines kept to be shown with a failure.
const LINES_MAX: usize = 400;

/// The history of one run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    count: u64,
    aloud: bool,
}

impl Trace {
    /// An empty history; `aloud` prints every line as it comes.
    pub fn new(aloud: bool) -> Self {
        Self {
            hash: FNV_START,
            lines: VecDeque::new(),
            count: 0,
            aloud,
        }
    }

    /// Adds a line.
    pub fn note(&mut self, now_ns: u64, what: fmt::Arguments<'_>) {
        let line = format!("{:>11.6} {what}", now_ns as f64 / 1e9);
        self.hash = fnv(self.hash, line.as_bytes());
        self.count += 1;
        if self.aloud {
            println!("{line}");
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Equal for equal histories.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Lines so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The newest `count` lines, oldest first.
    pub fn last(&self, count: usize) -> Vec<String> {
        let skip = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(skip).cloned().collect()
    }
}
