//! Configuration as written: everything optional, unknown keys refused.

use serde::{Deserialize, Serialize};

/// A configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// `[server]`
    pub server: RawServer,
    /// `[live]`
    pub live: RawLive,
    /// `[ingest]`
    pub ingest: RawIngest,
}

/// `[server]`: the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawServer {
    /// Addresses and ports, separated by commas.
    pub listen: Option<String>,
    /// `all`, or processors such as `0,2-5`; one shard each.
    pub cores: Option<String>,
    /// Media in memory, per core, in MiB. Beyond it windows get shorter.
    pub memory_mb: Option<u64>,
}

/// `[live]`: every channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLive {
    /// Media listed in manifests, in seconds.
    pub window_s: Option<u64>,
    /// Shortest segment cut from an endless upload, in milliseconds.
    pub segment_ms: Option<u64>,
    /// Part target in milliseconds; 0 learns it from the encoder.
    pub part_ms: Option<u64>,
    /// How playlists say where a part is: `url`, or `byterange` of its segment.
    pub part_addressing: Option<String>,
    /// A channel without media for this long has ended, in seconds.
    pub ended_after_s: Option<u64>,
    /// What becomes of it: `endlist` or `gone`.
    pub after_end: Option<String>,
    /// Gaps stand in for media that does not come.
    pub fill_gaps: Option<bool>,
    /// How much later than usual media may be before that, in milliseconds.
    pub fill_patience_ms: Option<u64>,
    /// Refuse part directives beyond the Advance Part Limit.
    pub strict_part_limit: Option<bool>,
}

/// `[ingest]`: who may push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawIngest {
    /// Encoders present it as a bearer token, as the password of Basic
    /// credentials, or as `?token=` in the URL.
    pub token: Option<String>,
    /// Anyone may push, on listeners that can be reached from outside too.
    pub open: Option<bool>,
}

impl RawConfig {
    /// Reads TOML; the error names line, column and key.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// What `over` sets takes the place of what is set here.
    #[must_use]
    pub fn overlaid(self, over: Self) -> Self {
        Self {
            server: RawServer {
                listen: over.server.listen.or(self.server.listen),
                cores: over.server.cores.or(self.server.cores),
                memory_mb: over.server.memory_mb.or(self.server.memory_mb),
            },
            live: RawLive {
                window_s: over.live.window_s.or(self.live.window_s),
                segment_ms: over.live.segment_ms.or(self.live.segment_ms),
                part_ms: over.live.part_ms.or(self.live.part_ms),
                part_addressing: over.live.part_addressing.or(self.live.part_addressing),
                ended_after_s: over.live.ended_after_s.or(self.live.ended_after_s),
                after_end: over.live.after_end.or(self.live.after_end),
                fill_gaps: over.live.fill_gaps.or(self.live.fill_gaps),
                fill_patience_ms: over.live.fill_patience_ms.or(self.live.fill_patience_ms),
                strict_part_limit: over.live.strict_part_limit.or(self.live.strict_part_limit),
            },
            ingest: RawIngest {
                token: over.ingest.token.or(self.ingest.token),
                open: over.ingest.open.or(self.ingest.open),
            },
        }
    }
}
