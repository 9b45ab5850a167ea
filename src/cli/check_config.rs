//! `headwater check-config`

use std::path::Path;

use crate::cli::serve;
use crate::config::{Config, RawConfig, RawIngest, RawLive, RawServer};
use crate::media::policy::PartAddressing;

pub(super) fn run(path: &Path) -> Result<(), String> {
    let file = serve::File::read(path)?;
    let raw = &file.raw;
    let config = Config::resolve(raw).map_err(|error| file.say(&error))?;
    let text = toml::to_string(&resolved(&config, raw)).map_err(|error| error.to_string())?;
    super::print(&text)
}

/// The configuration with every key written out; a token is not shown.
fn resolved(config: &Config, raw: &RawConfig) -> RawConfig {
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let cores: Vec<String> = config.cores.iter().map(ToString::to_string).collect();
    let settings = &config.settings;
    RawConfig {
        server: RawServer {
            listen: Some(listen.join(",")),
            cores: Some(if cores.is_empty() {
                "all".to_owned()
            } else {
                cores.join(",")
            }),
            memory_mb: Some(settings.memory_bytes >> 20),
        },
        live: RawLive {
            window_s: Some(settings.policy.window_ms / 1000),
            segment_ms: Some(settings.policy.segment_ms),
            part_ms: Some(settings.policy.part_ms.unwrap_or(0)),
            part_addressing: Some(
                match settings.policy.part_addressing {
                    PartAddressing::Url => "url",
                    PartAddressing::ByteRange => "byterange",
                }
                .to_owned(),
            ),
            ended_after_s: Some(settings.policy.ended_after_ms / 1000),
            after_end: Some(settings.policy.after_end.to_string()),
            fill_gaps: Some(settings.policy.fill_gaps),
            fill_patience_ms: Some(settings.policy.fill_patience_ms),
            strict_part_limit: Some(settings.strict_part_limit),
        },
        ingest: RawIngest {
            token: Some(
                settings
                    .ingest_token
                    .as_ref()
                    .map_or("", |_| "(set)")
                    .to_owned(),
            ),
            open: Some(raw.ingest.open.unwrap_or(false)),
        },
        channels: raw.channels.clone(),
    }
}
