//! The same as DASH: segments of a second in five chunks, by number.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{PART_MS, PARTS, civil, fragment, header};

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    /// The segment under way is sent when it is whole.
    Whole,
    /// The segment under way is other bytes than it becomes.
    Torn,
    /// A segment that is early gets an empty body.
    Empty,
    /// Segments leave before the window has.
    Forgetful,
    /// Media is decoded at other times than the grid says.
    OffGrid,
    /// The MPD changes and does not say so.
    Unpublished,
    /// The epoch moves.
    Moving,
    /// A name that was never said is taken for a segment.
    Anything,
}

const SEGMENT_MS: u64 = PART_MS * PARTS;
const WINDOW_MS: u64 = 6_000;
const BEFORE: u64 = 100;

#[derive(Clone, Copy)]
struct Origin {
    wrong: Wrong,
    began: Instant,
    epoch_ms: u64,
}

/// Serves until the process ends; the address of its MPD.
pub(crate) fn start(wrong: Wrong) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.expect("a clock").as_millis() as u64;
    let origin = Origin {
        wrong,
        began: Instant::now(),
        epoch_ms: now_ms - BEFORE * SEGMENT_MS,
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(origin.serve(&stream)));
        }
    });
    format!("http://{address}/live.mpd")
}

/// `2026-01-01T00:00:00.000Z`.
fn date(ms: u64) -> String {
    let (year, month, day) = civil((ms / 86_400_000) as i64);
    let of_day = ms % 86_400_000;
    format!(
        "{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1000 % 60,
        of_day % 1000
    )
}

impl Origin {
    /// Milliseconds of media there are.
    fn now_ms(self) -> u64 {
        BEFORE * SEGMENT_MS + self.began.elapsed().as_millis() as u64
    }

    fn wait(self, until_ms: u64) {
        let wait_ms = until_ms.saturating_sub(self.now_ms());
        std::thread::sleep(Duration::from_millis(wait_ms));
    }

    fn serve(self, stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        loop {
            let Some(request) = lines.next().transpose()? else {
                return Ok(());
            };
            let mut tag = None;
            for line in lines.by_ref() {
                let line = line?.to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                tag = tag.or_else(|| line.strip_prefix("if-none-match: ").map(str::to_owned));
            }
            let path = request.split(' ').nth(1).unwrap_or("").to_owned();
            match &*path {
                "/live.mpd" => self.mpd(stream, tag)?,
                "/time" => {
                    let now = date(self.epoch_ms + self.now_ms());
                    self.reply(stream, 200, now.as_bytes(), "")?;
                }
                "/h.mp4" => self.reply(stream, 200, &header(), "")?,
                _ => self.segment(stream, &path)?,
            }
        }
    }

    fn mpd(self, stream: &TcpStream, tag: Option<String>) -> std::io::Result<()> {
        let step = self.began.elapsed().as_millis() as u64 / 1500;
        let rate = match self.wrong {
            Wrong::Unpublished => 50_000 + step,
            _ => 50_000,
        };
        let epoch_ms = match self.wrong {
            Wrong::Moving => self.epoch_ms + step,
            _ => self.epoch_ms,
        };
        let published_ms = match self.wrong {
            Wrong::Moving => self.epoch_ms + step * 1500,
            _ => self.epoch_ms,
        };
        let text = format!(
            r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" id="c" type="dynamic" profiles="urn:mpeg:dash:profile:isoff-live:2011,http://www.dashif.org/guidelines/low-latency-live-v5" availabilityStartTime="{}" publishTime="{}" minimumUpdatePeriod="PT1S" timeShiftBufferDepth="PT{}S" minBufferTime="PT0.2S" maxSegmentDuration="PT1S">
<ServiceDescription id="0"><Latency referenceId="0" target="1000"/><PlaybackRate min="0.96" max="1.04"/></ServiceDescription>
<Period id="p" start="PT0S"><AdaptationSet id="1" contentType="audio" mimeType="audio/mp4">
<ProducerReferenceTime id="0" wallClockTime="{}" presentationTime="0"/>
<SegmentTemplate timescale="1000" duration="{SEGMENT_MS}" startNumber="0" availabilityTimeOffset="0.8" availabilityTimeComplete="false" initialization="h.mp4" media="$Number$.m4s"/>
<Representation id="a" bandwidth="{rate}" codecs="mp4a.40.2"/></AdaptationSet></Period>
<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="/time"/></MPD>"#,
            date(epoch_ms),
            date(published_ms),
            WINDOW_MS / 1000,
            date(epoch_ms),
        );
        let etag = format!("\"{rate}-{epoch_ms}\"");
        match tag {
            Some(tag) if tag == etag => self.reply(stream, 304, b"", ""),
            _ => self.reply(stream, 200, text.as_bytes(), &format!("ETag: {etag}\r\n")),
        }
    }

    /// A chunk of a segment.
    fn chunk(self, number: u64, index: u64) -> Vec<u8> {
        let shift = match self.wrong {
            Wrong::OffGrid => 3,
            _ => 0,
        };
        fragment(number * PARTS + index + shift)
    }

    fn segment(self, stream: &TcpStream, path: &str) -> std::io::Result<()> {
        let name = path.trim_start_matches('/').trim_end_matches(".m4s");
        let number = match (name.parse::<u64>(), self.wrong) {
            (Ok(number), _) => number,
            (_, Wrong::Anything) => BEFORE,
            _ => return self.reply(stream, 404, b"", ""),
        };
        let (from_ms, now_ms) = (number * SEGMENT_MS, self.now_ms());
        let end_ms = from_ms + SEGMENT_MS;
        let kept_ms = match self.wrong {
            Wrong::Forgetful => 2_000,
            _ => WINDOW_MS + 10_000,
        };
        if end_ms + kept_ms < now_ms {
            return self.reply(stream, 410, b"", "");
        }
        if now_ms + 500 < from_ms + PART_MS {
            let status = if self.wrong == Wrong::Empty { 200 } else { 425 };
            return self.reply(stream, status, b"", "");
        }
        let chunks = (0..PARTS).map(|index| self.chunk(number, index));
        if now_ms >= end_ms || self.wrong == Wrong::Whole {
            self.wait(end_ms);
            let whole: Vec<u8> = chunks.flatten().collect();
            return self.reply(stream, 200, &whole, "");
        }
        self.wait(from_ms + PART_MS);
        let head = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nContent-Type: audio/mp4\r\n";
        (&*stream).write_all(format!("{head}{}\r\n", Self::fields()).as_bytes())?;
        for (index, mut chunk) in (1..).zip(chunks) {
            self.wait(from_ms + index * PART_MS);
            if self.wrong == Wrong::Torn {
                *chunk.last_mut().expect("bytes") ^= 1;
            }
            let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
            (&*stream).write_all(&framed)?;
        }
        (&*stream).write_all(b"0\r\n\r\n")
    }

    fn fields() -> &'static str {
        "Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    }

    fn reply(
        self,
        stream: &TcpStream,
        status: u16,
        body: &[u8],
        more: &str,
    ) -> std::io::Result<()> {
        let kind = match body.first() {
            Some(b'<') => "application/dash+xml",
            _ => "audio/mp4",
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nContent-Type: {kind}\r\n{more}{}\r\n",
            body.len(),
            Self::fields()
        );
        (&*stream).write_all(head.as_bytes())?;
        (&*stream).write_all(body)
    }
}
