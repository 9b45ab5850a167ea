//! Configuration: raw as written, then resolved and checked, once, at start.
//!
//! Defaults give way to the file, the file to the environment, that to flags.
//! What a key means stands at its field in [`RawConfig`] and in the sample,
//! `fixtures/config/headwater.toml`, which is the defaults written out; words on
//! channels have an example of their own, `fixtures/config/channels.toml`.

mod channels;
mod raw;

use std::fmt;
use std::net::SocketAddr;

use crate::limits;
use crate::media::policy::{AfterEnd, PartAddressing, Policy};

pub use crate::shard::Settings;
pub use raw::{
    RawCaption, RawChannel, RawConfig, RawDefine, RawIngest, RawLive, RawServer, RawSteering,
    RawTrack,
};

/// Everything that was set, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses to listen on, at least one.
    pub listen: Vec<SocketAddr>,
    /// Processors to run on; all of them when empty.
    pub cores: Vec<usize>,
    /// What the shards need to know.
    pub settings: Settings,
}

/// What is wrong with a configuration: the key, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key as written in the file, step by step: `live`, `window_s`.
    pub path: Vec<String>,
    /// What is wrong and what to set.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.path.iter().enumerate() {
            let bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            f.write_str(if index == 0 { "" } else { "." })?;
            if step.chars().all(bare) {
                f.write_str(step)?;
            } else {
                write!(f, "{step:?}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// The line of a file on which the key stands, from 1; `None` when the
    /// file doesn't set it.
    pub fn line_in(&self, text: &str) -> Option<usize> {
        let document = toml::de::DeTable::parse(text).ok()?;
        let mut table = document.get_ref();
        let mut at = None;
        for step in &self.path {
            let (key, value) = table
                .iter()
                .find(|(key, _)| key.get_ref().as_ref() == step.as_str())?;
            at = Some(key.span().start);
            match value.get_ref() {
                toml::de::DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        Some(text[..at?].matches('\n').count() + 1)
    }
}

impl Config {
    /// Resolves what was written; what was not has its default.
    pub fn resolve(raw: &RawConfig) -> Result<Self, ConfigError> {
        let config = Self {
            listen: listen(raw.server.listen.as_deref().unwrap_or("127.0.0.1:8080"))?,
            cores: cores(raw.server.cores.as_deref().unwrap_or("all"))?,
            settings: settings(raw)?,
        };
        let open = config
            .listen
            .iter()
            .find(|address| !address.ip().is_loopback());
        if let Some(address) = open
            && config.settings.ingest_token.is_none()
            && raw.ingest.open != Some(true)
        {
            return Err(error(
                "ingest.token",
                format!(
                    "{address} can be reached from outside and anyone could push to it: set \
                     ingest.token, or ingest.open = true if something in front keeps them out"
                ),
            ));
        }
        Ok(config)
    }
}

fn settings(raw: &RawConfig) -> Result<Settings, ConfigError> {
    let default = Settings::default();
    let live = &raw.live;
    let window_s = live.window_s.unwrap_or(default.policy.window_ms / 1000);
    let segment_ms = live.segment_ms.unwrap_or(default.policy.segment_ms);
    let ended_after_s = live
        .ended_after_s
        .unwrap_or(default.policy.ended_after_ms / 1000);
    let fill_patience_ms = live
        .fill_patience_ms
        .unwrap_or(default.policy.fill_patience_ms);
    let memory_mb = raw.server.memory_mb.unwrap_or(default.memory_bytes >> 20);
    within("live.window_s", window_s, 10..=7 * 86_400)?;
    within("live.segment_ms", segment_ms, 500..=limits::SEGMENT_MS_MAX)?;
    within("live.ended_after_s", ended_after_s, 5..=86_400)?;
    within("live.fill_patience_ms", fill_patience_ms, 0..=10_000)?;
    within("server.memory_mb", memory_mb, 16..=16 << 20)?;
    // Zero is how the file and the flags say "learn it".
    let part_ms = live.part_ms.filter(|ms| *ms != 0);
    if let Some(part_ms) = part_ms {
        within("live.part_ms", part_ms, 50..=segment_ms)?;
    }
    let part_addressing = match live.part_addressing.as_deref() {
        None => default.policy.part_addressing,
        Some("url") => PartAddressing::Url,
        Some("byterange") => PartAddressing::ByteRange,
        Some(other) => {
            let message = format!("{other:?} is neither \"url\" nor \"byterange\"");
            return Err(error("live.part_addressing", message));
        }
    };
    let token = raw.ingest.token.clone().filter(|token| !token.is_empty());
    if let Some(token) = &token
        && (token.len() < 8 || !token.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        let message = "at least 8 visible ASCII characters".to_owned();
        return Err(error("ingest.token", message));
    }
    Ok(Settings {
        policy: Policy {
            window_ms: window_s * 1000,
            segment_ms,
            part_ms,
            part_addressing,
            ended_after_ms: ended_after_s * 1000,
            after_end: after_end(live.after_end.as_deref(), default.policy.after_end)?,
            fill_gaps: live.fill_gaps.unwrap_or(default.policy.fill_gaps),
            fill_patience_ms,
        },
        memory_bytes: memory_mb << 20,
        strict_part_limit: live.strict_part_limit.unwrap_or(default.strict_part_limit),
        ingest_token: token,
        presentations: channels::resolve(&raw.channels)?,
    })
}

fn after_end(text: Option<&str>, default: AfterEnd) -> Result<AfterEnd, ConfigError> {
    match text {
        None => Ok(default),
        Some("endlist") => Ok(AfterEnd::Endlist),
        Some("gone") => Ok(AfterEnd::Gone),
        Some(other) => {
            let message = format!("{other:?} is neither \"endlist\" nor \"gone\"");
            Err(error("live.after_end", message))
        }
    }
}

fn listen(text: &str) -> Result<Vec<SocketAddr>, ConfigError> {
    let parse = |address: &str| {
        let address = address.trim();
        address.parse().map_err(|_| {
            let message = format!("{address:?} is not an address and port, 127.0.0.1:8080 is");
            error("server.listen", message)
        })
    };
    text.split(',').map(parse).collect()
}

/// `all`, or a list such as `0,2-5`.
fn cores(text: &str) -> Result<Vec<usize>, ConfigError> {
    if text.trim() == "all" {
        return Ok(Vec::new());
    }
    let bad = || {
        error(
            "server.cores",
            format!("{text:?} is neither \"all\" nor a list like 0,2-5"),
        )
    };
    let mut cores = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let first: usize = first.trim().parse().map_err(|_| bad())?;
        let last: usize = last.trim().parse().map_err(|_| bad())?;
        if first > last || last - first >= limits::CORES_MAX {
            return Err(bad());
        }
        cores.extend(first..=last);
    }
    let mut sorted = cores.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != cores.len() || cores.len() > limits::CORES_MAX {
        return Err(bad());
    }
    Ok(cores)
}

fn within(
    key: &'static str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let message = format!("{value} is not within {} to {}", range.start(), range.end());
    Err(error(key, message))
}

fn error(key: &'static str, message: String) -> ConfigError {
    error_at(&key.split('.').collect::<Vec<_>>(), message)
}

fn error_at(path: &[&str], message: String) -> ConfigError {
    ConfigError {
        path: path.iter().map(|step| (*step).to_owned()).collect(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Config, String> {
        let raw = RawConfig::parse(text)?;
        Config::resolve(&raw).map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_is_the_defaults() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/config/headwater.toml"
        );
        let sample = std::fs::read_to_string(path).expect("the sample is there");
        assert_eq!(resolve(&sample), resolve(""));
        let config = resolve("").expect("defaults resolve");
        assert_eq!(config.settings, Settings::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            (
                "[live]\nwindow_s = 5\n",
                "live.window_s: 5 is not within 10 to 604800",
            ),
            ("[live]\nwindow = 5\n", "line 2"),
            ("[live]\nwindow = 5\n", "unknown field `window`"),
            (
                "[server]\nlisten = \"nowhere\"\n",
                "server.listen: \"nowhere\"",
            ),
            ("[server]\ncores = \"3-1\"\n", "server.cores"),
            ("[server]\ncores = \"1,1\"\n", "server.cores"),
            ("[server]\nlisten = \"0.0.0.0:80\"\n", "set ingest.token"),
            ("[ingest]\ntoken = \"short\"\n", "ingest.token: at least 8"),
            (
                "[live]\nafter_end = \"410\"\n",
                "live.after_end: \"410\" is",
            ),
            (
                "[live]\nfill_patience_ms = 10001\n",
                "live.fill_patience_ms: 10001 is not within 0 to 10000",
            ),
            (
                "[live]\npart_ms = 4000\n",
                "live.part_ms: 4000 is not within 50 to 2000",
            ),
            (
                "[live]\npart_addressing = \"path\"\n",
                "live.part_addressing: \"path\" is neither \"url\" nor \"byterange\"",
            ),
        ];
        for (text, want) in table {
            let said = resolve(text).expect_err(text);
            assert!(said.contains(want), "{text:?} gives {said:?}");
        }
    }

    #[test]
    fn the_line_of_a_wrong_key_is_found() {
        let text = "[server]\n[live] # all of them\npart_ms = 100\n window_s = 5\n";
        let raw = RawConfig::parse(text).expect("it is TOML");
        let error = Config::resolve(&raw).expect_err("too short");
        assert_eq!(error.line_in(text), Some(4));
        assert_eq!(error.line_in("[ingest]\nwindow_s = 5\n"), None);
    }

    #[test]
    fn a_listener_for_everyone_needs_a_word_on_ingest() {
        for ingest in ["token = \"not-so-short\"", "open = true"] {
            let text = format!("[server]\nlisten = \"[::]:8080\"\n[ingest]\n{ingest}\n");
            assert!(resolve(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn cores_are_lists_and_ranges() {
        let config = resolve("[server]\ncores = \"0,2-4\"\n").expect("resolves");
        assert_eq!(config.cores, [0, 2, 3, 4]);
    }
}
