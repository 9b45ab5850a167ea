//! Request heads: httparse for the grammar, then RFC 9112 where a lenient
//! reading lets two parties see different requests.

use std::mem::MaybeUninit;

use crate::http::request::{BodyLength, Method, Request};
use crate::limits::{REQUEST_FIELDS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_TARGET_BYTES_MAX};

/// Why a peer is refused: the status and a word to its developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

const fn refuse<T>(status: u16, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}

/// A head that passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) request: Request<'a>,
    pub(super) http10: bool,
}

/// Where the head that starts at `bytes` ends, its empty line included; `None`
/// when it is not whole. The first `scanned` bytes were searched before.
///
/// The verdict depends on the bytes of the head alone, not on what follows it or
/// on how it was cut on the way.
pub(super) fn find_end(bytes: &[u8], scanned: usize) -> Result<Option<usize>, Refusal> {
    let window = &bytes[..bytes.len().min(REQUEST_HEAD_BYTES_MAX)];
    for at in memchr::memchr_iter(b'\n', &window[scanned..]) {
        let at = scanned + at;
        if at == 0 || window[at - 1] != b'\r' {
            return refuse(400, "line feed without carriage return");
        }
        if at >= 3 && &window[at - 3..at] == b"\r\n\r" {
            return Ok(Some(at + 1));
        }
    }
    if bytes.len() < REQUEST_HEAD_BYTES_MAX {
        return Ok(None);
    }
    match memchr::memchr(b'\n', window) {
        None => refuse(414, "request line too long"),
        Some(_) => refuse(431, "header section too long"),
    }
}

/// Parses a whole head, empty line included.
pub(super) fn parse(raw: &[u8]) -> Result<Head<'_>, Refusal> {
    let mut fields = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; REQUEST_FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(raw, &mut fields) {
        Ok(httparse::Status::Complete(len)) if len == raw.len() => {}
        Ok(_) => return refuse(400, "head ends early"),
        Err(httparse::Error::TooManyHeaders) => return refuse(431, "too many header fields"),
        Err(httparse::Error::Version) => return Err(version_refusal(raw)),
        Err(_) => return refuse(400, "malformed head"),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return refuse(400, "malformed request line");
    };
    let http10 = minor == 0;
    let method = known_method(method)?;
    let target = origin_form(target, method)?;
    let mut gathered = Gathered::default();
    for field in parsed.headers.iter() {
        gathered.take(field.name, field.value)?;
    }
    let body = gathered.body_length(method, http10)?;
    if gathered.host.is_none() && !http10 {
        return refuse(400, "no Host");
    }
    // RFC 9110 section 10.1.1: an HTTP/1.0 client does not know what 100 means,
    // and without a body there is nothing to continue.
    let expect_continue = gathered.expect_continue && !http10 && body != BodyLength::None;
    let request = Request {
        method,
        target,
        body,
        close: gathered.close || (http10 && !gathered.keep_alive),
        expect_continue,
        accept_gzip: gathered.accept_gzip.unwrap_or(gathered.accept_any),
        if_none_match: gathered.if_none_match.value(),
        range: gathered.range.value(),
        if_range: gathered.if_range.value(),
        content_range: gathered.content_range,
        content_encoding: gathered.content_encoding,
        user_agent: gathered.user_agent,
        authorization: gathered.authorization,
        raw,
    };
    Ok(Head { request, http10 })
}

/// 505 for a version that is one, 400 for what is none.
fn version_refusal(raw: &[u8]) -> Refusal {
    let line = &raw[..memchr::memchr(b'\r', raw).unwrap_or(raw.len())];
    let version = line
        .splitn(3, |&byte| byte == b' ')
        .nth(2)
        .unwrap_or_default();
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Refusal {
            status: 505,
            why: "only HTTP/1.0 and HTTP/1.1 here",
        },
        _ => Refusal {
            status: 400,
            why: "malformed version",
        },
    }
}

fn known_method(method: &str) -> Result<Method, Refusal> {
    Ok(match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        // Known and allowed on no resource: the answer is 405, and it is the
        // resource's to give.
        "PATCH" | "TRACE" => Method::Other,
        _ => return refuse(501, "unknown method"),
    })
}

/// Cuts a target down to path and query (RFC 9112 section 3.2).
fn origin_form(target: &str, method: Method) -> Result<&str, Refusal> {
    if target.len() > REQUEST_TARGET_BYTES_MAX {
        return refuse(414, "target too long");
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse(400, "target has bytes that must be escaped");
    }
    if target.starts_with('/') || (target == "*" && method == Method::Options) {
        return Ok(target);
    }
    let after = |scheme: &str| {
        let head = target.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme)
            .then(|| &target[scheme.len()..])
    };
    let Some(rest) = after("http://").or_else(|| after("https://")) else {
        return refuse(400, "malformed target");
    };
    let authority = rest
        .len()
        .min(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority == 0 || !is_host(&rest.as_bytes()[..authority]) {
        return refuse(400, "target without host");
    }
    match rest[authority..].chars().next() {
        None => Ok("/"),
        Some('/') => Ok(&rest[authority..]),
        Some(_) => refuse(400, "target without path"),
    }
}

/// A field that counts only when it comes once: one that is repeated is treated
/// as absent, which is always a right answer for a conditional or a range.
#[derive(Default)]
struct Once<'a> {
    seen: bool,
    value: Option<&'a str>,
}

impl<'a> Once<'a> {
    fn take(&mut self, value: &'a [u8]) {
        self.value = if self.seen {
            None
        } else {
            str::from_utf8(value).ok()
        };
        self.seen = true;
    }

    fn value(&self) -> Option<&'a str> {
        self.value
    }
}

/// What transfer codings a request names, in all its fields.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Absent,
    Chunked,
    /// Something before or instead of `chunked` that is not known here.
    Unknown,
}

/// The fields the origin acts on, as they are met.
#[derive(Default)]
struct Gathered<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<u64>,
    coding: Coding,
    close: bool,
    keep_alive: bool,
    expect_continue: bool,
    accept_gzip: Option<bool>,
    accept_any: bool,
    content_range: bool,
    content_encoding: Option<&'a str>,
    user_agent: Option<&'a str>,
    authorization: Option<&'a str>,
    if_none_match: Once<'a>,
    range: Once<'a>,
    if_range: Once<'a>,
}

impl<'a> Gathered<'a> {
    fn take(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            4 if is("host") => return self.take_host(value),
            5 if is("range") => self.range.take(value),
            6 if is("expect") => return self.take_expect(value),
            8 if is("if-range") => self.if_range.take(value),
            10 if is("connection") => self.take_connection(value),
            10 if is("user-agent") => self.user_agent = str::from_utf8(value).ok(),
            13 if is("if-none-match") => self.if_none_match.take(value),
            13 if is("authorization") => self.authorization = str::from_utf8(value).ok(),
            13 if is("content-range") => self.content_range = true,
            14 if is("content-length") => return self.take_length(value),
            15 if is("accept-encoding") => self.take_accept_encoding(value),
            16 if is("content-encoding") => return self.take_content_encoding(value),
            17 if is("transfer-encoding") => return self.take_coding(value),
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 section 3.2: 400 for more than one and for what is no host.
    fn take_host(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        if self.host.replace(value).is_some() {
            return refuse(400, "more than one Host");
        }
        if is_host(value) {
            Ok(())
        } else {
            refuse(400, "malformed Host")
        }
    }

    fn take_expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return refuse(417, "unknown expectation");
        }
        self.expect_continue = true;
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8]) {
        for option in elements(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9112 section 6.3 lets equal values of a repeated length pass; nobody
    /// who means well sends them.
    fn take_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let Some(length) = decimal(value) else {
            return refuse(400, "malformed Content-Length");
        };
        if self.content_length.replace(length).is_some() {
            return refuse(400, "more than one Content-Length");
        }
        Ok(())
    }

    /// An explicit `gzip` decides, else `*` does (RFC 9110 section 12.5.3).
    fn take_accept_encoding(&mut self, value: &[u8]) {
        for element in elements(value) {
            let mut parameters = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let coding = parameters.next().unwrap_or_default();
            let accepted = !parameters.any(is_zero_weight);
            if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
                self.accept_gzip = Some(accepted);
            } else if coding == b"*" {
                self.accept_any = accepted;
            }
        }
    }

    fn take_content_encoding(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        let Ok(value) = str::from_utf8(value) else {
            return refuse(400, "malformed Content-Encoding");
        };
        if !value.eq_ignore_ascii_case("identity") {
            self.content_encoding = Some(value);
        }
        Ok(())
    }

    /// RFC 9112 section 6.1: `chunked` comes once and last.
    fn take_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if coding.is_empty() {
                return refuse(400, "empty transfer coding");
            }
            self.coding = match (self.coding, coding.eq_ignore_ascii_case(b"chunked")) {
                (Coding::Chunked, _) => return refuse(400, "chunked is not the last coding"),
                (Coding::Absent, true) => Coding::Chunked,
                (Coding::Absent | Coding::Unknown, _) => Coding::Unknown,
            };
        }
        Ok(())
    }

    /// RFC 9112 section 6.3.
    fn body_length(&self, method: Method, http10: bool) -> Result<BodyLength, Refusal> {
        match (self.coding, self.content_length) {
            (Coding::Absent, Some(length)) => Ok(BodyLength::Fixed(length)),
            (Coding::Absent, None) if matches!(method, Method::Put | Method::Post) => {
                refuse(411, "a body needs Content-Length or Transfer-Encoding")
            }
            (Coding::Absent, None) => Ok(BodyLength::None),
            (_, Some(_)) => refuse(400, "both Content-Length and Transfer-Encoding"),
            _ if http10 => refuse(400, "Transfer-Encoding in HTTP/1.0"),
            (Coding::Chunked, None) => Ok(BodyLength::Chunked),
            (Coding::Unknown, None) => refuse(501, "unknown transfer coding"),
        }
    }
}

/// The elements of a comma-separated list, empty ones left out.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// `q=0`, `q=0.0` and so on.
fn is_zero_weight(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => {
            weight.starts_with(b"0") && weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
        }
        _ => false,
    }
}

/// `1*DIGIT` that fits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Bytes a host and port may have (RFC 3986 section 3.2); an empty host is legal.
fn is_host(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> Request<'static> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        parse(Box::leak(head.into_boxed_str()).as_bytes())
            .unwrap()
            .request
    }

    #[test]
    fn gzip_where_it_is_accepted() {
        // RFC 9110 section 12.5.3.
        for yes in [
            "gzip",
            "deflate, GZIP",
            "x-gzip",
            "*",
            "br;q=0, gzip;q=0.001",
            "gzip ; q=1",
            "*;q=0, gzip",
        ] {
            assert!(
                with(&format!("Accept-Encoding: {yes}")).accept_gzip,
                "{yes}"
            );
        }
        for no in [
            "",
            "br",
            "gzip;q=0",
            "gzip; q=0.000",
            "*, gzip;Q=0",
            "*;q=0",
            "gzipped",
        ] {
            assert!(!with(&format!("Accept-Encoding: {no}")).accept_gzip, "{no}");
        }
        assert!(!with("X: y").accept_gzip);
        assert!(with("Accept-Encoding: br\r\nAccept-Encoding: gzip").accept_gzip);
    }

    #[test]
    fn fields_that_are_acted_on() {
        let request = with(
            "range: bytes=0-1\r\nIF-RANGE:\"e\"\r\nIf-None-Match:  \"a\", \"b\" \r\n\
             Content-Range: x\r\nContent-Encoding: gzip\r\nUser-Agent: u/1",
        );
        assert_eq!(
            (request.range, request.if_range, request.if_none_match),
            (Some("bytes=0-1"), Some("\"e\""), Some("\"a\", \"b\""))
        );
        assert_eq!(
            (request.content_encoding, request.user_agent),
            (Some("gzip"), Some("u/1"))
        );
        assert!(request.content_range && !request.close && !request.expect_continue);
        assert_eq!(with("Content-Encoding: Identity").content_encoding, None);
        assert_eq!(
            with("Range: bytes=0-1\r\nRange: bytes=0-2\r\nRange: x").range,
            None
        );
        assert!(!with("Expect: 100-continue").expect_continue);
        assert!(with("Connection: keep-alive\r\nConnection: x,close").close);
    }

    #[test]
    fn values_that_are_not_utf8() {
        let seen = |field: &[u8]| {
            let head = [b"GET / HTTP/1.1\r\nHost: a\r\n", field, b": \xff\r\n\r\n"].concat();
            parse(&head).map(|head| {
                (
                    head.request.user_agent.is_some(),
                    head.request.range.is_some(),
                )
            })
        };
        assert_eq!(seen(b"User-Agent"), Ok((false, false)));
        assert_eq!(seen(b"Range"), Ok((false, false)));
        assert!(seen(b"Content-Encoding").is_err_and(|refusal| refusal.status == 400));
        assert!(seen(b"Host").is_err_and(|refusal| refusal.status == 400));
    }
}
