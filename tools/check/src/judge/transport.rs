//! What carries the playlists: C37 to C39.

use crate::answer::Answer;
use crate::playlist::date;
use crate::rule::{C37, C38, C39};
use crate::verdict::Scope;

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handshake {
    /// The protocol chosen of h2 and http/1.1.
    pub alpn: Option<String>,
    /// Whether it is TLS 1.3.
    pub is_1_3: bool,
    /// Why there is none.
    pub trouble: Option<String>,
}

/// C37.
pub fn tls(on: &mut Scope<'_>, handshake: &Handshake) {
    let saw = || match &handshake.trouble {
        Some(trouble) => trouble.clone(),
        None => format!("ALPN {:?}", handshake.alpn),
    };
    on.must(
        C37,
        "Apple 12.1",
        handshake.trouble.is_none(),
        "no TLS 1.2 or 1.3 handshake succeeds",
        saw,
    );
    if handshake.trouble.is_none() {
        on.must(
            C37,
            "rfc8216bis B.1",
            handshake.alpn.as_deref() == Some("h2"),
            "HTTP/2 is not offered",
            saw,
        );
        on.should(
            C37,
            "rfc8216bis B.1",
            handshake.is_1_3,
            "TLS 1.3 is not offered",
            saw,
        );
    }
}

/// C37 in a response that says how urgent it is (RFC 9218).
pub fn priority(on: &mut Scope<'_>, answer: &Answer, is_playlist: bool) {
    let Some(value) = answer.header("priority") else {
        return;
    };
    let urgency = value
        .split(',')
        .find_map(|part| part.trim().strip_prefix("u=")?.parse::<u8>().ok());
    let fit = match is_playlist {
        true => urgency == Some(1),
        false => urgency.is_some_and(|urgency| (2..=6).contains(&urgency)),
    };
    on.should(
        C37,
        "rfc8216bis B.1",
        fit,
        "urgency is not 1 for playlists and 2 to 6 for media",
        || format!("priority: {value} of {}", answer.address),
    );
}

/// What an answer is, for how long it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The multivariant playlist.
    Multivariant,
    /// A media playlist without a position.
    Plain,
    /// One with a position that is there.
    Blocking,
    /// A refusal, 400 or 503.
    Refused,
    /// A part, segment or header.
    Media,
    /// Media that is not there.
    Missing,
}

/// C38 of one answer that came at `wall_us`; `target_s` is the target duration.
pub fn caching(on: &mut Scope<'_>, kind: Kind, answer: &Answer, target_s: u64, wall_us: i64) {
    const CLAUSE: &str = "rfc8216bis B.1";
    let control = answer.list("cache-control");
    let saw = || {
        format!(
            "status {}, Cache-Control: {control:?} of {}",
            answer.status, answer.address
        )
    };
    let kept_not = answer.cache_says("no-store")
        || answer.cache_says("no-cache")
        || answer.cache_says("private");
    let age_s = if kept_not {
        Some(0)
    } else {
        answer
            .cache_s("s-maxage")
            .or_else(|| answer.cache_s("max-age"))
    };
    match kind {
        Kind::Multivariant => {
            on.should(
                C38,
                CLAUSE,
                age_s.is_some(),
                "the multivariant playlist does not say how long it may be kept",
                saw,
            );
        }
        Kind::Plain => {
            let half_s = target_s.div_ceil(2).max(1);
            on.should(C38, CLAUSE, age_s.is_some_and(|age_s| age_s <= half_s), "a plain playlist may be kept for longer than half a target duration, or says nothing", saw);
        }
        Kind::Blocking => {
            let fit = age_s.is_some_and(|age_s| age_s > 0 && age_s <= 6 * target_s);
            on.should(
                C38,
                CLAUSE,
                fit,
                "an answered reload cannot be kept, or for more than six target durations",
                saw,
            );
        }
        Kind::Refused | Kind::Missing => {
            let short = age_s.is_some_and(|age_s| age_s <= 1);
            let what = match kind {
                Kind::Refused => "a refused reload may be kept beyond a second, or says nothing",
                _ => {
                    "the absence of media may be kept for longer than a target duration, or says nothing"
                }
            };
            let fits =
                short || (kind == Kind::Missing && age_s.is_some_and(|age_s| age_s <= target_s));
            on.should(
                C38,
                "advice: the same URL becomes good soon",
                fits,
                what,
                saw,
            );
        }
        Kind::Media => {
            let long = age_s.is_some_and(|age_s| age_s >= 6 * target_s);
            on.should(
                C38,
                CLAUSE,
                long,
                "media may not be kept for six target durations",
                saw,
            );
        }
    }
    dates(on, kind, answer, target_s, wall_us);
}

fn dates(on: &mut Scope<'_>, kind: Kind, answer: &Answer, target_s: u64, wall_us: i64) {
    let date = answer.header("date");
    let Some(date_us) = date.and_then(date::http) else {
        on.should(
            C38,
            "RFC 9110 6.6.1",
            false,
            "an answer has no Date, or none that can be read",
            || format!("Date: {date:?}"),
        );
        return;
    };
    let cached = answer.header("age").is_some();
    let off_s = date_us.abs_diff(wall_us) / 1_000_000;
    on.should(
        C38,
        "RFC 9110 6.6.1",
        cached || off_s <= 10,
        "Date is more than ten seconds from this machine's clock",
        || format!("{off_s} s off, Date: {}", date.unwrap_or("")),
    );
    let through = answer.header("via").is_some()
        || answer
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("x-cache"));
    on.should(
        C38,
        "rfc8216bis C",
        !cached || through,
        "Age comes with nothing that speaks of a cache in front",
        || format!("Age: {}", answer.header("age").unwrap_or("")),
    );
    if let (Some(modified), Kind::Plain | Kind::Blocking) = (answer.header("last-modified"), kind) {
        let old_s = date::http(modified).map_or(u64::MAX, |modified_us| {
            (date_us - modified_us).max(0) as u64 / 1_000_000
        });
        on.should(
            C38,
            "Apple 8.24",
            old_s <= 3 * target_s,
            "Last-Modified is older than three target durations",
            || format!("Date: {}, Last-Modified: {modified}", date.unwrap_or("")),
        );
    }
}

/// C39 of an answer to a request with an Origin.
pub fn shared(on: &mut Scope<'_>, answer: &Answer) {
    let allowed = answer.header("access-control-allow-origin");
    on.should(
        C39,
        "Fetch 3.2",
        allowed.is_some(),
        "pages of other origins may not read it",
        || format!("no Access-Control-Allow-Origin for {}", answer.address),
    );
    let exposed = answer.list("access-control-expose-headers");
    let age = exposed
        .split(',')
        .any(|name| matches!(name.trim(), "age" | "*"));
    on.should(
        C39,
        "practice: hls.js reads Age for its start",
        age,
        "Age is not exposed to pages",
        || format!("Access-Control-Expose-Headers: {exposed:?}"),
    );
}

/// C39 of an OPTIONS request for a GET with Range.
pub fn preflight(on: &mut Scope<'_>, answer: &Answer) {
    let saw = || {
        let allowed = answer.list("access-control-allow-headers");
        format!(
            "OPTIONS {}: {}, Access-Control-Allow-Headers: {allowed:?}",
            answer.address,
            answer.outcome()
        )
    };
    let ok = (200..300).contains(&answer.status)
        && answer.header("access-control-allow-origin").is_some();
    on.should(C39, "Fetch 4.8", ok, "a preflight request is refused", saw);
    let allowed = answer.list("access-control-allow-headers");
    let range = allowed
        .split(',')
        .any(|name| matches!(name.trim(), "range" | "*"));
    on.should(
        C39,
        "Fetch 4.8",
        !ok || range,
        "a preflight does not allow Range",
        saw,
    );
}
