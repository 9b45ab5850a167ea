//! `headwater probe`

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::media::probe::Probe;

pub(super) fn run(json: bool, files: &[PathBuf]) -> Result<(), String> {
    let mut probe = Probe::new();
    for path in files {
        let say = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::open(path).map_err(say)?;
        probe.begin(&path.display().to_string());
        let mut block = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut block).map_err(say)?;
            if read == 0 {
                break;
            }
            probe.push(&block[..read]);
        }
    }
    let report = probe.finish();
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        super::print(&format!("{text}\n"))?;
    } else {
        super::print(&report.to_string())?;
    }
    match report.bodies.iter().find(|body| body.error.is_some()) {
        Some(body) => Err(format!("{} was not read to its end", body.name)),
        None => Ok(()),
    }
}
