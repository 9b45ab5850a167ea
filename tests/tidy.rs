//! The rules of the source tree, as tests: who may use whom, how long a file
//! may get, and what may not stand in it.

#![allow(clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the crate a module's files may name by `crate::`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("time", &[]),
    ("hash", &[]),
    ("page", &[]),
    ("media", &["hash", "limits", "time"]),
    ("http", &["limits", "media", "page", "time"]),
    ("hls", &["http", "limits", "media", "time"]),
    ("dash", &["hash", "http", "limits", "media", "time"]),
    ("ingest", &["limits", "media", "time"]),
    ("metrics", &["shard"]),
    (
        "shard",
        &[
            "dash", "hash", "hls", "http", "ingest", "limits", "media", "metrics", "page", "time",
        ],
    ),
    ("config", &["limits", "media", "shard"]),
    (
        "io",
        &["http", "limits", "media", "metrics", "shard", "time"],
    ),
    ("cli", &["config", "io", "media", "shard"]),
];

const LINES_MAX: usize = 800;

#[test]
fn modules_use_only_what_lies_below_them() {
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut faults = Vec::new();
    for file in sources("src") {
        let module = module_of(&file);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            faults.push(format!(
                "{}: module {module} is not in the table",
                file.display()
            ));
            continue;
        };
        for (number, line) in code(&file) {
            for used in line.split("crate::").skip(1) {
                let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let used = &used[..end.unwrap_or(used.len())];
                if used != module && !may.contains(&used) {
                    let place = format!("{}:{number}", file.display());
                    faults.push(format!("{place}: {module} may not use {used}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn words_of_a_manifest_stay_in_its_module() {
    // `http` names the files of HLS because it routes to them; the shard and
    // the shell may speak of both.
    let foreign = ["media", "ingest", "limits", "time"];
    let words = [
        "m3u8",
        "EXT-X",
        "EXTINF",
        "SegmentTemplate",
        "AdaptationSet",
    ];
    let mut faults = Vec::new();
    for file in sources("src") {
        let module = module_of(&file);
        if !foreign.contains(&module.as_str()) || file.ends_with("ingest/name.rs") {
            continue;
        }
        for (number, line) in code(&file) {
            if words.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{number}: {line}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_finished() {
    // Spelled so that this file does not find itself.
    let unfinished = [
        ["to", "do!("],
        ["unimple", "mented!("],
        ["FIX", "ME"],
        ["#[ig", "nore"],
    ]
    .map(|halves| halves.concat());
    let mut faults = Vec::new();
    for root in ["src", "tests", "tools"] {
        for file in sources(root) {
            let text = fs::read_to_string(&file).expect("a source file is text");
            let lines = text.lines().count();
            if lines > LINES_MAX {
                faults.push(format!(
                    "{}: {lines} lines, {LINES_MAX} at most",
                    file.display()
                ));
            }
            for (number, line) in (1..).zip(text.lines()) {
                if unfinished.iter().any(|mark| line.contains(mark.as_str())) {
                    faults.push(format!("{}:{number}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_dependency_has_its_reason() {
    let mut faults = Vec::new();
    let mut in_dependencies = false;
    let mut explained = false;
    let manifest = root().join("Cargo.toml");
    for line in fs::read_to_string(&manifest).expect("a manifest").lines() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && line.starts_with('#') {
            explained = true;
        } else if in_dependencies && line.contains('=') {
            if !explained {
                faults.push(line.to_owned());
            }
            explained = false;
        }
    }
    assert!(faults.is_empty(), "no reason beside: {}", faults.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the repository.
fn sources(folder: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry"))
        {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != "node_modules" {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join(folder), &mut out);
    assert!(!out.is_empty(), "{folder} has sources");
    out.sort();
    out
}

/// The top-level module a file of `src` belongs to.
fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).expect("below src");
    let first = relative.components().next().expect("a name");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

/// Lines of a file that are neither comments nor behind its tests, numbered.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).expect("a source file is text");
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number, line.to_owned()))
        .collect()
}

/// The tables of clauses and players name tests that exist.
#[test]
fn tables_name_tests_that_exist() {
    let functions: Vec<String> = ["src", "tests", "tools"]
        .iter()
        .flat_map(|folder| sources(folder))
        .flat_map(|file| {
            let text = fs::read_to_string(&file).expect("a source");
            let names = text.lines().filter_map(|line| {
                let (_, rest) = line.trim_start().split_once("fn ")?;
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
                Some(rest[..end].to_owned())
            });
            names.collect::<Vec<_>>()
        })
        .collect();
    let mut named = 0;
    for table in [
        "src/hls/clauses.md",
        "src/hls/players.md",
        "src/ingest/clauses.md",
        "src/dash/clauses.md",
    ] {
        let text = fs::read_to_string(root().join(table)).expect("a table");
        let quoted = text.split('`').skip(1).step_by(2);
        let words = quoted.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
        for test in words.filter(|word| word.matches('_').count() >= 3) {
            let known = functions.iter().any(|name| name.ends_with(test));
            assert!(known, "{table} names {test}, which is not there");
            named += 1;
        }
    }
    assert!(named > 80, "{named}");
}
