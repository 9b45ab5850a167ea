//! `If-None-Match`, RFC 9110 section 13.1.2.

/// Whether one of the tags in the field is that of `etag`, by weak comparison,
/// so that the client's copy is good: 304 to GET and HEAD. This comes before any
/// range (section 13.2.2).
///
/// A field that is malformed ends where it turns bad: at worst the client gets
/// the body once more.
pub fn none_match(field: &str, etag: &str) -> bool {
    if field == "*" {
        return true;
    }
    let wanted = opaque(etag)
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'));
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some(tagged) = opaque(rest).strip_prefix('"') else {
            return false;
        };
        // A tag may hold commas, but no quote.
        let Some((tag, behind)) = tagged.split_once('"') else {
            return false;
        };
        let behind = behind.trim_start_matches([' ', '\t']);
        if !behind.is_empty() && !behind.starts_with(',') {
            return false;
        }
        if wanted == Some(tag) {
            return true;
        }
        rest = behind;
    }
}

/// A tag without the mark of a weak one.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_a_list() {
        // RFC 9110 section 13.1.2; the comparison is that of section 8.8.3.2.
        for field in [
            "*",
            "\"e\"",
            "W/\"e\"",
            "\"a\", \"e\"",
            "\"a\",W/\"b\" ,\t\"e\"",
            ", ,\"e\"",
            "\"a,\\\", \"e\"",
            "\"e\", broken",
        ] {
            assert!(none_match(field, "\"e\""), "{field}");
            assert!(none_match(field, "W/\"e\""), "{field}");
        }
        for field in [
            "",
            "e",
            "\"f\"",
            "\"e",
            "e\"",
            "w/\"e\"",
            "\"ee\"",
            "\"\"",
            "\"a\" \"e\"",
            "\"E\"",
            "broken, \"e\"",
            "\"a, \"e\"",
            ",",
            "**",
            "\"*\"",
            "W/",
            "\"\u{e9}\"",
        ] {
            assert!(!none_match(field, "\"e\""), "{field}");
        }
        assert!(none_match("\"a,b\"", "\"a,b\"") && none_match("\"\"", "\"\""));
    }
}
