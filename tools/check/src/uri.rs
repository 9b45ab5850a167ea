//! Relative references (RFC 3986 section 5.2).

/// The address a reference means in a document at `base`.
///
/// ```
/// # use headwater_check::uri::resolve;
/// assert_eq!(resolve("http://a/b/c/d;p?q", "../g"), "http://a/b/g");
/// ```
pub fn resolve(base: &str, reference: &str) -> String {
    let base = Split::of(base);
    let given = Split::of(reference);
    let (authority, path, query) = if given.scheme.is_some() || given.authority.is_some() {
        (given.authority, without_dots(given.path), given.query)
    } else if given.path.is_empty() {
        let query = given.query.or(base.query);
        (base.authority, base.path.to_owned(), query)
    } else if given.path.starts_with('/') {
        (base.authority, without_dots(given.path), given.query)
    } else {
        let folder = base.path.rfind('/').map_or("", |end| &base.path[..=end]);
        let folder = if folder.is_empty() && base.authority.is_some() {
            "/"
        } else {
            folder
        };
        let merged = format!("{folder}{}", given.path);
        (base.authority, without_dots(&merged), given.query)
    };
    let mut out = String::new();
    if let Some(scheme) = given.scheme.or(base.scheme) {
        out.push_str(scheme);
        out.push(':');
    }
    if let Some(authority) = authority {
        out.push_str("//");
        out.push_str(authority);
    }
    out.push_str(&path);
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

/// Whether a reference has a scheme of its own.
pub fn is_absolute(reference: &str) -> bool {
    Split::of(reference).scheme.is_some()
}

/// The address with `parameters` added to its query.
pub fn with_query(address: &str, parameters: &str) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    match parameters {
        "" => address.to_owned(),
        _ => format!("{address}{joint}{parameters}"),
    }
}

/// The value of a query parameter, as written.
pub fn parameter<'a>(address: &'a str, name: &str) -> Option<&'a str> {
    let pairs = Split::of(address).query?.split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('='));
    values.find(|(key, _)| *key == name).map(|(_, value)| value)
}

struct Split<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Split<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.split('#').next().unwrap_or("");
        let (text, query) = match text.split_once('?') {
            Some((text, query)) => (text, Some(query)),
            None => (text, None),
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        Self {
            scheme,
            authority,
            path,
            query,
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Takes `.` and `..` out of a path (section 5.2.4).
fn without_dots(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let last = steps.len() - 1;
    for (index, step) in steps.into_iter().enumerate() {
        match step {
            "." | ".." => {
                if step == ".." {
                    kept.pop();
                }
                if index == last {
                    kept.push("");
                }
            }
            _ => kept.push(step),
        }
    }
    format!("{}{}", if rooted { "/" } else { "" }, kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3986 section 5.4, fragments left out.
    #[test]
    fn references_resolve_as_in_the_standard() {
        let table = [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x?y", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
        ];
        for (reference, address) in table {
            assert_eq!(
                resolve("http://a/b/c/d;p?q", reference),
                address,
                "{reference}"
            );
        }
        assert_eq!(resolve("http://a", "g"), "http://a/g");
        assert!(is_absolute("http://a/b") && !is_absolute("a/b:c") && !is_absolute("//a"));
    }

    #[test]
    fn parameters_are_added_and_found() {
        assert_eq!(with_query("http://a/b", "x=1"), "http://a/b?x=1");
        assert_eq!(with_query("http://a/b?y=2", "x=1"), "http://a/b?y=2&x=1");
        assert_eq!(parameter("http://a/b?y=2&x=1", "x"), Some("1"));
        assert_eq!(parameter("http://a/b", "x"), None);
    }
}
