//! Encoders and players of this package against a real origin.
// Sockets, clocks and processes.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use headwater::io::{Options, Server, Tuning, processors};
use headwater::shard::{Settings, Shard};
use serde_json::Value;

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn origin() -> Server {
    let options = Options {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        cores: processors(),
        tuning: Tuning::default(),
    };
    let settings = Arc::new(Settings::default());
    Server::start(options, move |identity| {
        Shard::new(identity, Arc::clone(&settings))
    })
    .expect("the origin starts")
}

/// Plays with these flags; whether all went well, and the report.
fn play(url: &str, name: &str, flags: &[&str]) -> (bool, Value) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let status = Command::new(env!("CARGO_BIN_EXE_headwater-load"))
        .args([url, "--seconds", "3", "--warm-up-s", "1", "--json"])
        .arg(&file)
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the fleet runs");
    let text = std::fs::read_to_string(&file).expect("a report");
    (status.success(), serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn a_crowd_plays_what_encoders_push_and_tells_how_old_parts_are() {
    let server = origin();
    let address = server.addresses[0];
    let encoders = Command::new(env!("CARGO_BIN_EXE_headwater-push"))
        .arg(address.to_string())
        .args(["--channels", "2", "--tracks", "3", "--kbps", "600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let encoders = Ended(encoders.expect("the encoders start"));
    std::thread::sleep(Duration::from_secs(2));
    let url = format!("http://{address}/live/load1/index.m3u8");

    let prft = ["--publication", "prft", "--players", "30"];
    let (is_well, report) = play(&url, "ll", &prft);
    assert!(is_well, "{report:#}");
    let part_age = &report["publication_to_last_byte_ms"];
    assert!(part_age["count"].as_u64() > Some(30 * 5), "{report:#}");
    // Every part carries its date, and nobody has it before it was written.
    assert_eq!(report["publication_unseen"], 0, "{report:#}");
    assert_eq!(report["ahead_of_publication"], 0, "{report:#}");
    assert!(part_age["p50"].as_f64() > Some(0.0), "{report:#}");
    assert!(
        report["publication_to_playlist_ms"]["count"].as_u64() > Some(30 * 5),
        "{report:#}"
    );

    let (is_well, report) = play(&url, "plain", &["--mode", "plain", "--players", "10"]);
    assert!(is_well, "{report:#}");
    assert!(report["kinds"]["segment"]["requests"].as_u64() > Some(0));
    assert_eq!(report["kinds"]["part"]["requests"], 0);

    drop(encoders);
    server.stop_now();
    server.join().expect("the origin ends");
}

#[test]
fn a_crowd_beyond_the_limits_hears_which() {
    let output = Command::new(env!("CARGO_BIN_EXE_headwater-load"))
        .args(["http://192.0.2.1/live/a/v.m3u8", "--players", "4000000"])
        .output()
        .expect("the fleet runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("ulimit -n") || said.contains("--sources"),
        "{said}"
    );
}
