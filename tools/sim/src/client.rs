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
    /// The head of the response under way, where its body begins, and where it
    /// ends.
    head: Option<(Response, usize, usize)>,
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
            let len: usize = match response.field("content-length") {
                _ if response.status == 304 => 0,
                Some(text) => text
                    .parse()
                    .map_err(|_| format!("content-length {text:?}"))?,
                None if response.status < 200 || response.status == 204 => 0,
                None => return Err(format!("{} without content-length", response.status)),
            };
            self.head = Some((response, end + 4, end + 4 + len));
        }
        let kept = self.kept.len();
        let Some((mut response, begin, end)) = self.head.take_if(|(.., end)| *end <= kept) else {
            return Ok(None);
        };
        response.body = self.kept[begin..end].to_vec();
        self.kept.drain(..end);
        Ok(Some(response))
    }

    /// Whether nothing is kept of a response that isn't whole.
    pub fn is_idle(&self) -> bool {
        self.kept.is_empty()
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
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\
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
            assert_eq!(got, [(100, vec![], false), (200, b"abc".to_vec(), true)]);
            assert!(responses.is_idle());
        }
        assert_eq!(
            resolve("/live/a/v.m3u8?x=/y", "v/p1.m4s"),
            "/live/a/v/p1.m4s"
        );
    }
}
