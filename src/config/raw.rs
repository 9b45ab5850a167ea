//! Configuration as written: everything optional, unknown keys refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// `[server]`
    pub server: RawServer,
    /// `[live]`
    pub live: RawLive,
    /// `[ingest]`
    pub ingest: RawIngest,
    /// `[channels.NAME]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, RawChannel>,
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

/// `[channels.NAME]`: what players are told of a channel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawChannel {
    /// Variables that playlists define.
    pub define: Option<Vec<RawDefine>>,
    /// Query of every URI in playlists.
    pub uri_query: Option<String>,
    /// Content steering.
    pub steering: Option<RawSteering>,
    /// Captions within the video.
    pub captions: Option<Vec<RawCaption>>,
    /// `[channels.NAME.tracks.TRACK]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tracks: BTreeMap<String, RawTrack>,
}

impl RawChannel {
    /// This, and from `others` what is absent here.
    pub(super) fn or(self, others: &Self) -> Self {
        let mut tracks = others.tracks.clone();
        for (name, own) in self.tracks {
            let below = tracks.remove(&name).unwrap_or_default();
            tracks.insert(name, own.or(below));
        }
        let others = others.clone();
        Self {
            define: self.define.or(others.define),
            uri_query: self.uri_query.or(others.uri_query),
            steering: self.steering.or(others.steering),
            captions: self.captions.or(others.captions),
            tracks,
        }
    }
}

/// One entry of `define`: a name with a value, or a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawDefine {
    /// Of the variable.
    pub name: Option<String>,
    /// Of the variable.
    pub value: Option<String>,
    /// Parameter of the playlist's URL that gives the variable its value.
    pub queryparam: Option<String>,
}

/// `steering`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawSteering {
    /// Where players ask.
    pub server_uri: String,
    /// Which of its pathways this origin is; `.` when absent.
    pub pathway_id: Option<String>,
}

/// One entry of `captions`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawCaption {
    /// `CC1` to `CC4`, `SERVICE1` to `SERVICE63`.
    pub instream_id: String,
    /// What people choose by.
    pub name: String,
    /// BCP 47.
    pub language: Option<String>,
    /// Shown unless the viewer decides otherwise.
    pub default: Option<bool>,
}

/// `[channels.NAME.tracks.TRACK]`: what players are told of a track.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTrack {
    /// BCP 47, over the one in the CMAF header.
    pub language: Option<String>,
    /// What people choose by.
    pub name: Option<String>,
    /// What the track is for.
    pub roles: Option<Vec<String>>,
    /// Uniform type identifiers beside those that roles stand for.
    pub characteristics: Option<Vec<String>>,
    /// Played unless the viewer decides otherwise.
    pub default: Option<bool>,
    /// The viewer's preferences alone may choose it.
    pub autoselect: Option<bool>,
    /// Shown whatever the viewer has chosen.
    pub forced: Option<bool>,
    /// Channels of sound, `2` or `16/JOC` for example.
    pub channels: Option<String>,
    /// How good a variant with this video is.
    pub score: Option<f64>,
}

impl RawTrack {
    fn or(self, others: Self) -> Self {
        Self {
            language: self.language.or(others.language),
            name: self.name.or(others.name),
            roles: self.roles.or(others.roles),
            characteristics: self.characteristics.or(others.characteristics),
            default: self.default.or(others.default),
            autoselect: self.autoselect.or(others.autoselect),
            forced: self.forced.or(others.forced),
            channels: self.channels.or(others.channels),
            score: self.score.or(others.score),
        }
    }
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
            // Only files speak of channels.
            channels: if over.channels.is_empty() {
                self.channels
            } else {
                over.channels
            },
        }
    }
}
