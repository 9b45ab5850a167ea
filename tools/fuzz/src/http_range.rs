//! Any text as the fields of a conditional or ranged GET.

use headwater::http::conditional::none_match;
use headwater::http::range::{Selection, Span, select};

/// Three lines: `If-None-Match`, `Range`, `If-Range`.
pub fn http_range(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let tags = lines.next().unwrap_or_default();
    let (range, if_range) = (lines.next(), lines.next());
    for etag in ["\"e\"", "W/\"e\"", "\"\""] {
        if none_match(tags, etag) {
            assert!(
                tags == "*" || tags.contains(etag.trim_start_matches("W/")),
                "{tags}"
            );
        }
        // A range is read alike whether the length is known or not yet.
        let span = Span::parse(range, if_range, etag);
        if let Some(Span::From { first, last }) = span {
            assert!(last.is_none_or(|last| first <= last), "{first} to {last:?}");
        }
        for len in [0, 1, 10, u64::MAX] {
            let within = span.map_or(Selection::Whole, |span| span.within(len));
            assert_eq!(within, select(range, if_range, etag, len));
            match select(range, if_range, etag, len) {
                Selection::Part { from, to } => {
                    assert!(from < to && to <= len, "{from}..{to} of {len}");
                    assert!(if_range.is_none_or(|tag| tag == etag));
                }
                Selection::Unsatisfiable => assert!(range.is_some()),
                Selection::Whole => {}
            }
        }
    }
}
