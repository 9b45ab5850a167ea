//! However a stream is cut, the same is told.

use headwater::http::connection::Connection;
use proptest::prelude::*;

use crate::log::{Log, pump};

fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec("[a-z\r\n]{0,12}", 0..4);
    (0..9u8, "[a-z/]{0,8}", body, 0..3usize).prop_map(|(kind, path, body, empty)| {
        let mut out = "\r\n".repeat(empty);
        let line = |method: &str| format!("{method} /{path} HTTP/1.1\r\nHost: a\r\n");
        match kind {
            0 | 1 => out += &format!("{}Range: bytes=0-\r\n\r\n", line("GET")),
            2 => out += &format!("{}\r\n", line("HEAD")),
            3 | 4 => {
                let body = body.concat();
                out += &format!(
                    "{}Content-Length: {}\r\n\r\n{body}",
                    line("PUT"),
                    body.len()
                );
            }
            5 | 6 => {
                out += &format!("{}Transfer-Encoding: chunked\r\n\r\n", line("POST"));
                for chunk in body.iter().filter(|chunk| !chunk.is_empty()) {
                    out += &format!("{:x};e\r\n{chunk}\r\n", chunk.len());
                }
                out += "0\r\nA: b\r\n\r\n";
            }
            7 => out += &line("GET").replace("Host", "H\0st"),
            _ => out += &format!("{}Connection: close\r\n\r\n", line("DELETE")),
        }
        out.into_bytes()
    })
}

proptest! {
    /// However a stream of requests is cut, and whenever responses are given,
    /// the same events are told.
    #[test]
    fn cuts_do_not_matter(
        requests in proptest::collection::vec(request(), 1..8),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        mangle in proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut stream = requests.concat();
        if let Some((at, byte)) = mangle {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        for late in [false, true] {
            let mut whole = Log::default();
            pump(&mut Connection::new(), &stream, late, &mut whole);
            let mut pieces = Log::default();
            let mut connection = Connection::new();
            for cut in cuts.windows(2) {
                pump(&mut connection, &stream[cut[0]..cut[1]], late, &mut pieces);
            }
            prop_assert_eq!(&whole.0, &pieces.0, "late: {}", late);
            let mut bytes = Log::default();
            let mut connection = Connection::new();
            for byte in stream.chunks(1) {
                pump(&mut connection, byte, late, &mut bytes);
            }
            prop_assert_eq!(&whole.0, &bytes.0, "late: {}", late);
        }
    }
}
