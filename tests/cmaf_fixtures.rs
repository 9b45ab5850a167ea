//! What the parser sees of real encoders' bytes, told by the probe and compared
//! with `fixtures/<encoder>/<case>/expect.txt`. `UPDATE_GOLDEN=1` rewrites the
//! expectations.

use std::fs;
use std::path::{Path, PathBuf};

use headwater::media::probe::Probe;

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort();
    entries
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn fixtures_are_seen_as_they_were() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut cases = 0;
    for encoder in entries(&root) {
        if name(&encoder) == "corpus" || !encoder.is_dir() {
            continue;
        }
        for case in entries(&encoder).iter().filter(|case| case.is_dir()) {
            check(case);
            cases += 1;
        }
    }
    assert!(cases >= 10, "{cases} cases found");
}

/// Pieces of a length that divides no box, so that every box is split.
const PIECE_BYTES: usize = 1021;

fn check(case: &Path) {
    let mut probe = Probe::new();
    for body in entries(case) {
        if matches!(
            body.extension().and_then(|ext| ext.to_str()),
            Some("txt" | "md")
        ) {
            continue;
        }
        probe.begin(name(&body));
        fs::read(&body)
            .unwrap()
            .chunks(PIECE_BYTES)
            .for_each(|piece| probe.push(piece));
    }
    let seen = probe.finish().to_string();
    let expected = case.join("expect.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &seen).unwrap();
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(seen, expected, "{}", case.display());
}
