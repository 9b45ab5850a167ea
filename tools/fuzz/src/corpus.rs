//! The inputs that mutation starts from.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where the corpus of a target lies.
pub fn dir(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/corpus")
        .join(target)
}

/// All inputs of a target with their names, in order of the names; an empty one
/// is always among them.
pub fn load(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut out = vec![("(empty)".to_owned(), Vec::new())];
    for entry in fs::read_dir(dir(target))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        out.push((name, fs::read(&path)?));
    }
    out.sort();
    Ok(out)
}
