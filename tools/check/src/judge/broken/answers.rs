use crate::answer::Answer;
use crate::judge::testing::*;
use crate::judge::transport::{self, Handshake, Kind};
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

#[test]
fn transport_fails_for_the_right_reason() {
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let wall_us = 1_767_225_600_000_000;
    let base = |control: &str| {
        with_header(
            with_header(answer(200, b""), "date", date),
            "cache-control",
            control,
        )
    };
    let caching =
        |kind, answer: Answer| judged(|on| transport::caching(on, kind, &answer, 2, wall_us));
    for (kind, control) in [
        (Kind::Plain, "max-age=1"),
        (Kind::Blocking, "public, max-age=12"),
        (Kind::Refused, "no-store"),
        (Kind::Media, "max-age=31536000, immutable"),
        (Kind::Missing, "max-age=1"),
        (Kind::Multivariant, "max-age=2"),
    ] {
        assert_eq!(caching(kind, base(control)), [], "{kind:?}");
    }
    let table = [
        (
            "plain",
            Kind::Plain,
            base("max-age=4"),
            "half a target duration",
        ),
        ("silent", Kind::Plain, base(""), "half a target duration"),
        (
            "blocking",
            Kind::Blocking,
            base("no-store"),
            "cannot be kept",
        ),
        (
            "blocking too long",
            Kind::Blocking,
            base("max-age=60"),
            "cannot be kept",
        ),
        (
            "refused",
            Kind::Refused,
            base("max-age=8"),
            "kept beyond a second",
        ),
        (
            "media",
            Kind::Media,
            base("max-age=1"),
            "six target durations",
        ),
        (
            "missing",
            Kind::Missing,
            base("max-age=10"),
            "absence of media",
        ),
        (
            "no date",
            Kind::Plain,
            with_header(base("max-age=1"), "date", ""),
            "no Date",
        ),
        (
            "wrong date",
            Kind::Plain,
            with_header(base("max-age=1"), "date", "Thu, 01 Jan 2026 00:01:00 GMT"),
            "ten seconds",
        ),
        (
            "age",
            Kind::Plain,
            with_header(base("max-age=1"), "age", "3"),
            "Age comes with nothing",
        ),
        (
            "modified",
            Kind::Plain,
            with_header(
                base("max-age=1"),
                "last-modified",
                "Wed, 31 Dec 2025 23:59:50 GMT",
            ),
            "Last-Modified",
        ),
    ];
    for (case, kind, answer, what) in table {
        let found = caching(kind, answer);
        let clause = found
            .first()
            .map(|(_, _, clause, _)| clause.clone())
            .unwrap_or_default();
        assert_only(&found, C38, Warn, &clause, what, case);
    }
    let tls = |alpn: Option<&str>, is_1_3| {
        judged(|on| {
            transport::tls(
                on,
                &Handshake {
                    alpn: alpn.map(str::to_owned),
                    is_1_3,
                    trouble: None,
                },
            )
        })
    };
    assert_eq!(tls(Some("h2"), true), []);
    assert_only(
        &tls(Some("http/1.1"), true),
        C37,
        Fail,
        "B.1",
        "HTTP/2 is not offered",
        "h1",
    );
    assert_only(&tls(Some("h2"), false), C37, Warn, "B.1", "TLS 1.3", "1.2");
    let urgent = |value| {
        judged(|on| {
            transport::priority(on, &with_header(answer(200, b""), "priority", value), false)
        })
    };
    assert_eq!(urgent("u=4, i"), []);
    assert_only(&urgent("u=1"), C37, Warn, "B.1", "urgency", "priority");
    let open = with_header(
        with_header(answer(200, b""), "access-control-allow-origin", "*"),
        "access-control-expose-headers",
        "Age, Date",
    );
    assert_eq!(judged(|on| transport::shared(on, &open)), []);
    assert_eq!(
        judged(|on| transport::shared(on, &answer(200, b""))).len(),
        2
    );
    let allowed = with_header(open, "access-control-allow-headers", "Range");
    assert_eq!(judged(|on| transport::preflight(on, &allowed)), []);
    assert_only(
        &judged(|on| transport::preflight(on, &answer(405, b""))),
        C39,
        Warn,
        "Fetch",
        "preflight request is refused",
        "preflight",
    );
}
