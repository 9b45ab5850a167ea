//! A strict reader of playlists that keeps line numbers and texts as printed.
//!
//! It never gives up on a playlist: what is wrong becomes a [`Fault`] with its
//! line and clause, and reading goes on behind it.

pub mod attributes;
pub mod date;
pub mod media;
pub mod multivariant;
mod syntax;
pub mod variables;

use crate::decimal::Decimal;
use crate::limits;
use crate::verdict::printable;

/// Something wrong with a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Counted from one; zero is the playlist as a whole.
    pub line: usize,
    /// Where it says so.
    pub clause: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// The line, or the piece of it.
    pub text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// A decimal, and its digits as printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Printed {
    /// The number.
    pub value: Decimal,
    /// The digits.
    pub text: String,
}

impl Printed {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let value = Decimal::parse(text)?;
        Some(Self {
            value,
            text: text.to_owned(),
        })
    }
}

impl std::fmt::Display for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A value and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    /// Counted from one.
    pub line: usize,
    /// What stands there.
    pub value: T,
}

/// Faults, up to a limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// One more.
    pub fn add(&mut self, line: usize, clause: &'static str, what: &'static str, text: &str) {
        if self.0.len() < limits::FAULTS_MAX {
            let text = printable(text);
            self.0.push(Fault {
                line,
                clause,
                what,
                text,
            });
        }
    }

    /// All that were kept.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

/// Lines without their ends, counted from one. LF and CRLF both end a line
/// (rfc8216bis section 4.1).
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    (1..).zip(lines)
}

/// A tag and what follows its colon.
pub fn tag(line: &str) -> Option<(&str, &str)> {
    let body = line.strip_prefix("#EXT")?;
    let end = body.find(':').map_or(line.len(), |at| at + 4);
    Some((&line[..end], line.get(end + 1..).unwrap_or("")))
}

/// Whether a text is a multivariant playlist rather than a media playlist.
pub fn is_multivariant(text: &str) -> bool {
    let mut tags = lines(text).filter_map(|(_, line)| tag(line));
    tags.any(|(name, _)| matches!(name, "#EXT-X-STREAM-INF" | "#EXT-X-MEDIA"))
}
