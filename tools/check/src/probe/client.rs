//! Requests, each with the moments at which something came.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ureq::tls::TlsConfig;
use ureq::{Agent, Body, Error, ResponseExt, http};

use crate::answer::Answer;
use crate::limits;

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Where.
    pub address: &'a str,
    /// `Accept-Encoding`.
    pub encoding: &'a str,
    /// `Range`, as it is sent.
    pub range: Option<&'a str>,
    /// `If-None-Match`.
    pub etag: Option<&'a str>,
    /// Bytes of body that are taken.
    pub bytes_max: usize,
    /// How long the whole may take.
    pub patience_us: u64,
}

impl<'a> Ask<'a> {
    /// A playlist, in plain text.
    pub fn playlist(address: &'a str, patience_us: u64) -> Self {
        let bytes_max = limits::PLAYLIST_BYTES_MAX;
        Self {
            address,
            encoding: "identity",
            range: None,
            etag: None,
            bytes_max,
            patience_us,
        }
    }

    /// A part, segment or header.
    pub fn media(address: &'a str, range: Option<&'a str>, patience_us: u64) -> Self {
        let bytes_max = limits::OBJECT_BYTES_MAX;
        Self {
            address,
            encoding: "identity",
            range,
            etag: None,
            bytes_max,
            patience_us,
        }
    }
}

/// Connections to origins, and the clock of the run.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    began: Instant,
    /// When the last answer must be there.
    end_us: AtomicU64,
}

impl Client {
    /// Begins a run.
    pub fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(limits::REDIRECTS_MAX)
            .max_response_header_size(limits::HEAD_BYTES_MAX)
            .max_idle_connections(256)
            .max_idle_connections_per_host(256)
            .timeout_connect(Some(Duration::from_secs(10)))
            .tls_config(TlsConfig::default())
            .user_agent(concat!("headwater-check/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .build();
        Self {
            agent: config.new_agent(),
            began: Instant::now(),
            end_us: AtomicU64::new(u64::MAX),
        }
    }

    /// Waits for no answer beyond this moment of the run.
    pub fn end_at(&self, us: u64) {
        self.end_us.store(us, Ordering::Relaxed);
    }

    /// Microseconds since the run began.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Microseconds since 1970.
    pub fn wall_us(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    /// Waits.
    pub fn sleep_us(&self, us: u64) {
        std::thread::sleep(Duration::from_micros(us));
    }

    /// Asks for something.
    pub fn get(&self, ask: Ask<'_>) -> Answer {
        let mut request = self
            .agent
            .get(ask.address)
            .header("accept-encoding", ask.encoding)
            .header("origin", "https://player.invalid");
        if let Some(range) = ask.range {
            request = request.header("range", range);
        }
        if let Some(etag) = ask.etag {
            request = request.header("if-none-match", etag);
        }
        let sent_us = self.now_us();
        let left_us = self.end_us.load(Ordering::Relaxed).saturating_sub(sent_us);
        let patience_us = ask.patience_us.min(limits::PATIENCE_US_MAX).min(left_us);
        let patience = Some(Duration::from_micros(patience_us));
        let came = request.config().timeout_global(patience).build().call();
        self.take(ask, sent_us, came)
    }

    /// Asks for a head alone.
    pub fn head(&self, address: &str, patience_us: u64) -> Answer {
        let sent_us = self.now_us();
        let came = self
            .agent
            .head(address)
            .header("origin", "https://player.invalid")
            .config()
            .timeout_global(Some(Duration::from_micros(patience_us)))
            .build()
            .call();
        self.take(Ask::playlist(address, patience_us), sent_us, came)
    }

    /// Asks whether a page of another origin may send a GET with a range.
    pub fn preflight(&self, address: &str) -> Answer {
        let patience_us = 5_000_000;
        let sent_us = self.now_us();
        let came = self
            .agent
            .options(address)
            .header("origin", "https://player.invalid")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "range")
            .config()
            .timeout_global(Some(Duration::from_micros(patience_us)))
            .build()
            .call();
        self.take(Ask::playlist(address, patience_us), sent_us, came)
    }

    fn take(
        &self,
        ask: Ask<'_>,
        sent_us: u64,
        came: Result<http::Response<Body>, Error>,
    ) -> Answer {
        let head_us = self.now_us();
        let mut answer = Answer {
            address: ask.address.to_owned(),
            answered_by: ask.address.to_owned(),
            sent_us,
            head_us,
            done_us: head_us,
            ..Answer::default()
        };
        let mut response = match came {
            Ok(response) => response,
            Err(error) => {
                answer.trouble = Some(error.to_string());
                return answer;
            }
        };
        answer.status = response.status().as_u16();
        answer.answered_by = response.get_uri().to_string();
        answer.headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let limit = ask.bytes_max as u64 + 1;
        let mut body = response.body_mut().with_config().limit(limit).reader();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => answer.take(self.now_us(), &buffer[..len]),
                Err(error) => {
                    answer.trouble = Some(error.to_string());
                    break;
                }
            }
            if answer.body.len() > ask.bytes_max {
                answer.trouble = Some(format!("more than {} bytes", ask.bytes_max));
                break;
            }
        }
        answer.done_us = self.now_us();
        answer
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
