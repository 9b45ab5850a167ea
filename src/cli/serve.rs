//! `headwater serve`

use std::path::Path;
use std::sync::Arc;

use crate::cli::ServeArgs;
use crate::config::{Config, ConfigError, RawConfig};
use crate::io;

pub(super) fn run(args: &ServeArgs) -> Result<(), String> {
    args.log.start()?;
    let file = args.config.as_deref().map(File::read).transpose()?;
    let written = file.as_ref().map(|file| file.raw.clone());
    let config =
        Config::resolve(&written.unwrap_or_default().overlaid(args.raw())).map_err(|error| {
            match &file {
                Some(file) => file.say(&error),
                None => error.to_string(),
            }
        })?;
    let options = io::Options {
        listen: config.listen,
        cores: processors(config.cores)?,
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

/// The processors that were asked for, which must exist; all when none were.
fn processors(wanted: Vec<usize>) -> Result<Vec<usize>, String> {
    let usable = io::processors();
    if wanted.is_empty() {
        return Ok(usable);
    }
    match wanted.iter().find(|cpu| !usable.contains(cpu)) {
        Some(cpu) => Err(format!(
            "server.cores: this process cannot run on processor {cpu}, only on {usable:?}"
        )),
        None => Ok(wanted),
    }
}

/// A configuration file, as written.
pub(super) struct File<'a> {
    path: &'a Path,
    text: String,
    pub(super) raw: RawConfig,
}

impl<'a> File<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self, String> {
        let say = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| say(error.to_string()))?;
        let raw = RawConfig::parse(&text).map_err(say)?;
        Ok(Self { path, text, raw })
    }

    /// What is wrong, with the line if it stands in this file.
    pub(super) fn say(&self, error: &ConfigError) -> String {
        match error.line_in(&self.text) {
            Some(line) => format!("{}, line {line}: {error}", self.path.display()),
            None => error.to_string(),
        }
    }
}
