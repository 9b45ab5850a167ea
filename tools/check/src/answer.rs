//! What came back for a request, and when.

use crate::limits;

/// An exchange as seen from outside. Times are microseconds since the run began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What was asked for.
    pub address: String,
    /// What answered, redirects followed.
    pub answered_by: String,
    /// When the request began.
    pub sent_us: u64,
    /// When the response head was there.
    pub head_us: u64,
    /// When the body was whole.
    pub done_us: u64,
    /// 0 where no response came.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came, not decoded.
    pub body: Vec<u8>,
    /// When bytes came.
    pub arrivals: Vec<Arrival>,
    /// Why there is no response, or not all of it.
    pub trouble: Option<String>,
}

/// Bytes that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at_us: u64,
    /// How many there were then.
    pub bytes: usize,
}

impl Answer {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| &**value)
    }

    /// All headers of a name, as one list.
    pub fn list(&self, name: &str) -> String {
        let found = self.headers.iter().filter(|(known, _)| known == name);
        found
            .map(|(_, value)| value.to_ascii_lowercase())
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Seconds of a directive of Cache-Control.
    pub fn cache_s(&self, directive: &str) -> Option<u64> {
        let list = self.list("cache-control");
        let mut pairs = list
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == directive)?;
        value.trim_matches('"').parse().ok()
    }

    /// Whether Cache-Control has a directive without a value.
    pub fn cache_says(&self, directive: &str) -> bool {
        self.list("cache-control")
            .split(',')
            .any(|found| found.trim() == directive)
    }

    /// How long it took until the body was whole.
    pub fn took_us(&self) -> u64 {
        self.done_us.saturating_sub(self.sent_us)
    }

    /// Whether a whole body came with status 200.
    pub fn is_ok(&self) -> bool {
        self.status == 200 && self.trouble.is_none()
    }

    /// The body as text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// Status or trouble, for a sentence.
    pub fn outcome(&self) -> String {
        match (&self.trouble, self.status) {
            (Some(trouble), 0) => trouble.clone(),
            (Some(trouble), status) => format!("status {status}, then {trouble}"),
            (None, status) => format!("status {status}, {} bytes", self.body.len()),
        }
    }

    /// Takes in bytes that came.
    pub fn take(&mut self, at_us: u64, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
        let bytes = self.body.len();
        let is_full = self.arrivals.len() >= limits::ARRIVALS_MAX;
        match self.arrivals.last_mut() {
            // One burst is one arrival; so is what comes beyond the limit.
            Some(last) if is_full || at_us.saturating_sub(last.at_us) < 1000 => last.bytes = bytes,
            _ => self.arrivals.push(Arrival { at_us, bytes }),
        }
    }
}

/// Milliseconds for a sentence.
pub fn ms(us: u64) -> String {
    format!("{} ms", us.div_ceil(1000))
}
