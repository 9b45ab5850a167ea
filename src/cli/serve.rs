//! `headwater serve`

use std::path::Path;
use std::sync::Arc;

use crate::cli::ServeArgs;
use crate::config::{Config, RawConfig};
use crate::io;

pub(super) fn run(args: &ServeArgs) -> Result<(), String> {
    args.log.start()?;
    let file = match &args.config {
        Some(path) => read(path)?,
        None => RawConfig::default(),
    };
    let config = Config::resolve(&file.overlaid(args.raw())).map_err(|error| error.to_string())?;
    let options = io::Options {
        listen: config.listen,
        cores: if config.cores.is_empty() {
            io::processors()
        } else {
            config.cores
        },
        tuning: io::Tuning::default(),
    };
    let settings = Arc::new(config.settings);
    io::run(options, &settings, |addresses| {
        for address in addresses {
            println!("headwater serves http://{address}/");
        }
    })
    .map_err(|error| error.to_string())
}

/// A configuration file, as written.
pub(super) fn read(path: &Path) -> Result<RawConfig, String> {
    let say = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| say(error.to_string()))?;
    RawConfig::parse(&text).map_err(say)
}
