//! A request head as the origin sees it, borrowed from the bytes received.

/// Methods that are told apart; whatever else is a token is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 9110 section 9.3.1.
    Get,
    /// RFC 9110 section 9.3.2.
    Head,
    /// RFC 9110 section 9.3.3; the same as `Put` for ingest.
    Post,
    /// RFC 9110 section 9.3.4.
    Put,
    /// RFC 9110 section 9.3.5.
    Delete,
    /// RFC 9110 section 9.3.7; CORS preflight.
    Options,
    /// Anything else: 405 or 501.
    Other,
}

/// How the end of a request body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// Neither Content-Length nor Transfer-Encoding: no body.
    None,
    /// Content-Length.
    Fixed(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// One request head. Only the fields the origin acts on are kept.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Path and query, as sent, origin-form (absolute-form is cut to it).
    pub target: &'a str,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the connection ends after this exchange (`Connection: close`, or
    /// HTTP/1.0 without `keep-alive`).
    pub close: bool,
    /// `Expect: 100-continue`.
    pub expect_continue: bool,
    /// Whether `Accept-Encoding` allows gzip.
    pub accept_gzip: bool,
    /// `If-None-Match`, raw.
    pub if_none_match: Option<&'a str>,
    /// `Range`, raw.
    pub range: Option<&'a str>,
    /// `If-Range`, raw.
    pub if_range: Option<&'a str>,
    /// Whether `Content-Range` is present: an append, which is refused.
    pub content_range: bool,
    /// `Content-Encoding`, raw, unless `identity`.
    pub content_encoding: Option<&'a str>,
    /// `Authorization`, raw.
    pub authorization: Option<&'a str>,
    /// `User-Agent`, for logs.
    pub user_agent: Option<&'a str>,
    /// The bytes of the head as received, so that the request can be replayed
    /// on another core.
    pub raw: &'a [u8],
}
