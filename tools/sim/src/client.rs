//! The client side of HTTP/1.1: request text, and a reader of responses that
//! takes bytes as they come.

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Field names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether the server ends the connection after it.
    pub close: bool,
}

impl Response {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.body).map_err(|error| error.to_string())
    }
}

/// Takes bytes, gives responses.
#[derive(Debug, Default)]
pub struct Responses {
    kept: Vec<u8>,
    /// The response under way, and how its body goes on.
    head: Option<(Response, Rest)>,
}

/// How a body goes on.
#[derive(Debug)]
enum Rest {
    /// So many bytes more.
    Bytes(usize),
    /// In HTTP chunks.
    Chunks,
}

impl Responses {
    /// Adds received bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// Takes the next whole response off.
    pub fn take(&mut self) -> Result<Option<Response>, String> {
        if self.head.is_none() {
            let Some(end) = self.kept.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(None);
            };
            let text = std::str::from_utf8(&self.kept[..end]).map_err(|error| error.to_string())?;
            let response = parse_head(text)?;
            let len = response.field("content-length");
            let rest = match (len, response.field("transfer-encoding")) {
                _ if response.status == 304 => Rest::Bytes(0),
                (Some(text), None) => {
                    let len = text.parse();
                    Rest::Bytes(len.map_err(|_| format!("content-length {text:?}"))?)
                }
                (None, Some("chunked")) => Rest::Chunks,
                (None, None) if response.status < 200 || response.status == 204 => Rest::Bytes(0),
                _ => return Err(format!("{} without one length", response.status)),
            };
            self.kept.drain(..end + 4);
            self.head = Some((response, rest));
        }
        let (response, rest) = self.head.as_mut().expect("read above");
        let whole = match rest {
            Rest::Bytes(len) if self.kept.len() < *len => false,
            Rest::Bytes(len) => {
                response.body = self.kept.drain(..*len).collect();
                true
            }
            Rest::Chunks => unchunk(&mut self.kept, &mut response.body)?,
        };
        Ok(self.head.take_if(|_| whole).map(|(response, _)| response))
    }

    /// Whether nothing is kept of a response that isn't whole.
    pub fn is_idle(&self) -> bool {
        self.kept.is_empty() && self.head.is_none()
    }
}

/// Takes whole HTTP chunks; `true` after the last one.
fn unchunk(kept: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool, String> {
    loop {
        let Some(line) = kept.windows(2).position(|two| two == b"\r\n") else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&kept[..line]).into_owned();
        let len = usize::from_str_radix(&text, 16).map_err(|_| format!("chunk of {text:?}"))?;
        let (begin, end) = (line + 2, line + 2 + len);
        if kept.len() < end + 2 {
            return Ok(false);
        }
        if kept[end..end + 2] != *b"\r\n" {
            return Err("a chunk without its end".into());
        }
        body.extend_from_slice(&kept[begin..end]);
        kept.drain(..end + 2);
        if len == 0 {
            return Ok(true);
        }
    }
}

fn parse_head(text: &str) -> Result<Response, String> {
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| format!("status line {line:?}"))?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("field {line:?}"))?;
        let name = name.to_ascii_lowercase();
        if name == "content-length" && fields.iter().any(|(field, _)| *field == name) {
            return Err("two content-length".into());
        }
        fields.push((name, value.trim().to_owned()));
    }
    let close = fields
        .iter()
        .any(|(name, value)| name == "connection" && value.contains("close"));
    Ok(Response {
        status,
        fields,
        body: Vec::new(),
        close,
    })
}

/// A GET with further field lines, each ended by CRLF.
pub fn get(target: &str, more: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: origin\r\n{more}\r\n").into_bytes()
}

/// A GET of what a playlist lists or hints: `#OFFSET+LENGTH` or `#OFFSET` behind
/// a target stands for a range.
pub fn get_listed(uri: &str) -> Vec<u8> {
    match range_of(uri) {
        (target, Some(range)) => get(target, &format!("Range: {range}\r\n")),
        (target, None) => get(target, ""),
    }
}

/// A target, and the `Range` field that asks for what stands behind it.
pub fn range_of(uri: &str) -> (&str, Option<String>) {
    let Some((target, place)) = uri.split_once('#') else {
        return (uri, None);
    };
    let (offset, len) = place.split_once('+').unwrap_or((place, ""));
    let number = |digits: &str| digits.parse::<u64>().ok();
    let (from, len) = (number(offset).unwrap_or(0), number(len));
    let last = len.map_or((1 << 53) - 1, |len| from + len - 1);
    (target, Some(format!("bytes={from}-{last}")))
}

/// The first byte of a `Range` field and the one behind its last.
pub fn place(range: &str) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((
        first.parse().ok()?,
        last.parse::<u64>().ok()?.checked_add(1)?,
    ))
}

/// One HTTP chunk around `data`; none around nothing, which would end the body.
pub fn http_chunk(data: &[u8]) -> Vec<u8> {
    if data.is_empty() {
        return Vec::new();
    }
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out
}

/// `reference` seen from the document at `base`; both are absolute paths or
/// relative references without `..`.
pub fn resolve(base: &str, reference: &str) -> String {
    if reference.starts_with('/') {
        return reference.to_owned();
    }
    let folder = base
        .split('?')
        .next()
        .unwrap_or(base)
        .rfind('/')
        .map_or(0, |slash| slash + 1);
    format!("{}{reference}", &base[..folder])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_come_out_whole_whatever_the_cuts() {
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\
            \r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\
            Connection: close\r\n\r\nabc";
        for cut in 0..wire.len() {
            let mut responses = Responses::default();
            let mut got = Vec::new();
            for piece in [&wire[..cut], &wire[cut..]] {
                responses.feed(piece);
                while let Some(response) = responses.take().expect("good bytes") {
                    got.push((response.status, response.body, response.close));
                }
            }
            let want = [
                (100, vec![], false),
                (206, b"def".to_vec(), false),
                (200, b"abc".to_vec(), true),
            ];
            assert_eq!(got, want);
            assert!(responses.is_idle());
        }
        assert_eq!(
            resolve("/live/a/v.m3u8?x=/y", "v/p1.m4s"),
            "/live/a/v/p1.m4s"
        );
    }
}
