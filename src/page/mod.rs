//! Files that the binary carries: the status page with its player, and the
//! description of the control interface.

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// For `Content-Type`.
    pub media_type: &'static str,
    /// All of it.
    pub body: &'static str,
}

/// What the page may do, for `Content-Security-Policy`: its own files, its own
/// origin, and media made by script.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; media-src 'self' blob:; \
     img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const JSON: &str = "application/json";

/// Where the description of the control interface is served.
pub const OPENAPI: &str = "/api/v1/openapi.json";

/// Path, media type and body of every file.
const FILES: [(&str, &str, &str); 13] = [
    ("/", HTML, include_str!("index.html")),
    ("/page.css", STYLE, include_str!("page.css")),
    ("/page.js", SCRIPT, include_str!("page.js")),
    ("/player.js", SCRIPT, include_str!("player.js")),
    ("/session.js", SCRIPT, include_str!("session.js")),
    ("/track.js", SCRIPT, include_str!("track.js")),
    ("/timeline.js", SCRIPT, include_str!("timeline.js")),
    ("/http.js", SCRIPT, include_str!("http.js")),
    ("/playlist.js", SCRIPT, include_str!("playlist.js")),
    ("/bmff.js", SCRIPT, include_str!("bmff.js")),
    ("/clock.js", SCRIPT, include_str!("clock.js")),
    ("/graph.js", SCRIPT, include_str!("graph.js")),
    (OPENAPI, JSON, include_str!("openapi.json")),
];

/// The file at a path, or `None` when the page has none by that name.
pub fn file(path: &str) -> Option<File> {
    let found = FILES.iter().find(|(name, ..)| *name == path);
    found.map(|&(_, media_type, body)| File { media_type, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_a_file_names_is_there() {
        for (name, _, body) in FILES {
            let mut named = 0;
            for (before, quote) in [("src=\"", '"'), ("href=\"", '"'), ("from './", '\'')] {
                for rest in body.split(before).skip(1) {
                    let target = rest.split(quote).next().unwrap_or_default();
                    if target.ends_with(".js") || target.ends_with(".css") {
                        assert!(file(&format!("/{target}")).is_some(), "{name}: {target}");
                        named += 1;
                    }
                }
            }
            assert!(
                name != "/" || named == 2,
                "the page loads its style and its script"
            );
        }
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere_and_nothing_is_inline() {
        for (name, _, body) in FILES {
            let body = body.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !body.contains("https://") && !body.contains("http://"),
                "{name}"
            );
            assert!(
                !body.contains(" style=") && !body.contains("<style"),
                "{name}"
            );
            assert!(!body.contains("onclick="), "{name}");
        }
        let page = file("/").expect("the page").body;
        for script in page.split("<script").skip(1) {
            assert!(script.starts_with(" type=\"module\" src="), "{script}");
        }
    }

    #[test]
    fn unknown_paths_have_no_file() {
        assert_eq!(file("/page.rs"), None);
        assert_eq!(file(""), None);
    }
}
