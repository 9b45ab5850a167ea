//! The shell carries requests and responses whole.
#![cfg(feature = "io")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod io_support;

use headwater::io::Tuning;
use io_support::{SEED, Stage, checksum, pattern};

#[test]
fn one_shell_answers_all_there_is() {
    let stage = Stage::start(1, Tuning::default());
    let mut client = stage.connect();
    for _ in 0..1000 {
        let answer = client.get("/small");
        assert_eq!(
            (answer.status, answer.body.len(), answer.close),
            (200, 100, false)
        );
    }
    for len in [0, 1, 15_000, 17_000, 300_000, 5_000_000] {
        assert!(
            client.get(&format!("/size/{len}")).body == pattern(len),
            "{len} bytes"
        );
        assert!(
            client.get(&format!("/pieces/{len}")).body == pattern(len),
            "{len} in pieces"
        );
    }
    for len in [0, 1, 1023, 1024, 1025, 100_000, 5_000_000] {
        let body = pattern(len);
        assert!(client.put("/echo", &body).body == body, "{len} bytes back");
        let want = format!("{len} {:016x}", checksum(SEED, &body));
        assert_eq!(client.put("/sum", &body).body, want.into_bytes());
    }
    assert_eq!(client.get("/nothing").status, 404);
    drop(client);
    let seen = stage.end();
    assert_eq!(seen.counter(|c| c.accepted), 1);
}
