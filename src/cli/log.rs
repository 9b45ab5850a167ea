//! Where log lines go: standard error, as text or JSON.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Flags of the log.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Which lines: error, warn, info, debug, trace, or a tracing filter.
    #[arg(long, env = "HEADWATER_LOG", default_value = "info")]
    log: String,
    /// How they look.
    #[arg(long, env = "HEADWATER_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl LogArgs {
    /// Starts logging.
    pub(super) fn start(&self) -> Result<(), String> {
        let filter = EnvFilter::try_new(&self.log).map_err(|error| format!("--log: {error}"))?;
        let lines = tracing_subscriber::fmt()
            .with_ansi(std::io::stderr().is_terminal())
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        match self.log_format {
            Format::Text => lines.init(),
            Format::Json => lines.json().init(),
        }
        Ok(())
    }
}
