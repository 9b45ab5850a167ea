//! Who may push: one token for all encoders, carried in whichever way an
//! encoder can be told to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What an encoder's credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may push.
    Granted,
    /// It presented nothing: 401, so that those who wait to be asked answer.
    Asked,
    /// It presented something else: 403.
    Denied,
}

/// Judges a request by `Authorization` (a bearer token, or Basic credentials
/// with the token as password, RFC 6750 and RFC 7617) and by `token=` in its
/// query, against the token that is wanted, if any is.
pub fn admit(wanted: Option<&str>, authorization: Option<&str>, query: &str) -> Admission {
    let Some(wanted) = wanted else {
        return Admission::Granted;
    };
    let in_query = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="));
    let presented = match (authorization, in_query) {
        (Some(field), _) => token_of(field),
        (None, Some(token)) => Some(token.to_owned()),
        (None, None) => return Admission::Asked,
    };
    match presented {
        Some(token) if same(token.as_bytes(), wanted.as_bytes()) => Admission::Granted,
        _ => Admission::Denied,
    }
}

/// The secret in an `Authorization` field.
fn token_of(field: &str) -> Option<String> {
    let (scheme, rest) = field.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(password.to_owned())
}

/// Equality in a time that depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_in_every_way_it_can_be_carried() {
        let table = [
            (None, None, "", Admission::Granted),
            (Some("sesame"), None, "", Admission::Asked),
            (Some("sesame"), None, "a=b&token=sesame", Admission::Granted),
            (Some("sesame"), None, "token=sesam", Admission::Denied),
            (
                Some("sesame"),
                Some("Bearer sesame"),
                "",
                Admission::Granted,
            ),
            (
                Some("sesame"),
                Some("bearer  sesame "),
                "",
                Admission::Granted,
            ),
            (Some("sesame"), Some("Bearer Sesame"), "", Admission::Denied),
            // ali:sesame, and without a colon
            (
                Some("sesame"),
                Some("Basic YWxpOnNlc2FtZQ=="),
                "",
                Admission::Granted,
            ),
            (
                Some("sesame"),
                Some("Basic c2VzYW1l"),
                "",
                Admission::Denied,
            ),
            (Some("sesame"), Some("Basic !!"), "", Admission::Denied),
            (Some("sesame"), Some("Digest x"), "", Admission::Denied),
            (
                Some("sesame"),
                Some("Bearer no"),
                "token=sesame",
                Admission::Denied,
            ),
        ];
        for (wanted, field, query, want) in table {
            assert_eq!(
                admit(wanted, field, query),
                want,
                "{wanted:?} {field:?} {query:?}"
            );
        }
    }
}
