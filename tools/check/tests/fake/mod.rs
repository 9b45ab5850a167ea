//! A small origin that publishes a part every 200 ms, and can be told to do one
//! thing wrong. It keeps the rules by computing everything from the clock.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod dash;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    /// A reload without part is taken for part 0.
    WholeIsPartZero,
    /// A stale number is refused.
    PastRefused,
    /// `_HLS_part` alone is taken.
    PartAlone,
    /// A reload is answered at once, whatever it asks for.
    NeverBlocks,
    /// A part past the end of its segment is refused.
    NoRollOver,
    /// A hinted part is not there until it is listed.
    HintsRefused,
    /// A hinted part is sent in halves as it is made.
    HintsDrip,
    /// Parts go as soon as they leave the list.
    PartsForgotten,
    /// Segments are other bytes than their parts.
    OtherSegments,
    /// Every second part is called otherwise than it was hinted.
    OtherNames,
    /// Any directive for a delta is answered with one.
    UnofferedDelta,
    /// A name of media that is not there gets an empty body.
    EmptyMedia,
}

const PART_MS: u64 = 200;
const PARTS: u64 = 5;
const WINDOW: u64 = 8;

/// Serves until the process ends; the address of its playlist.
pub(crate) fn start(flaw: Flaw) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let origin = Origin {
        flaw,
        began: Instant::now(),
        began_wall: SystemTime::now(),
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(origin.serve(&stream)));
        }
    });
    format!("http://{address}/list.m3u8")
}

#[derive(Clone, Copy)]
struct Origin {
    flaw: Flaw,
    began: Instant,
    began_wall: SystemTime,
}

impl Origin {
    /// Parts there are now; a hundred segments were made before it began.
    fn parts(self) -> u64 {
        100 * PARTS + self.began.elapsed().as_millis() as u64 / PART_MS
    }

    fn serve(self, stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        loop {
            let Some(request) = lines.next().transpose()? else {
                return Ok(());
            };
            for line in lines.by_ref() {
                if line?.is_empty() {
                    break;
                }
            }
            let target = request.split(' ').nth(1).unwrap_or("").to_owned();
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            match path {
                "/list.m3u8" => self.list(stream, query)?,
                _ => self.media(stream, path)?,
            }
        }
    }

    fn list(self, stream: &TcpStream, query: &str) -> std::io::Result<()> {
        let find = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let number = |text: Option<&str>| text.map(str::parse::<u64>).transpose();
        let (Ok(msn), Ok(part)) = (number(find("_HLS_msn")), number(find("_HLS_part"))) else {
            return reply(stream, 400, "no-store", b"");
        };
        let now = self.parts();
        if msn.is_none() && part.is_some() && self.flaw != Flaw::PartAlone {
            return reply(stream, 400, "no-store", b"");
        }
        if let Some(msn) = msn {
            let full = now / PARTS - 1;
            if msn > full + 2 || (self.flaw == Flaw::PastRefused && msn + WINDOW < full) {
                return reply(stream, 400, "no-store", b"");
            }
            // The number of parts there have to be.
            let wanted = match part {
                None if self.flaw == Flaw::WholeIsPartZero => msn * PARTS + 1,
                None => (msn + 1) * PARTS,
                Some(part) if part >= PARTS && self.flaw == Flaw::NoRollOver => {
                    return reply(stream, 404, "no-store", b"");
                }
                Some(part) => msn * PARTS + part.min(PARTS) + 1,
            };
            while self.parts() < wanted && self.flaw != Flaw::NeverBlocks {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let mut text = self.text();
        if self.flaw == Flaw::UnofferedDelta && find("_HLS_skip").is_some() {
            text = text.replace("#EXT-X-MAP", "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXT-X-MAP");
        }
        reply(
            stream,
            200,
            if msn.is_some() {
                "max-age=6"
            } else {
                "max-age=1"
            },
            text.as_bytes(),
        )
    }

    fn text(self) -> String {
        let parts = self.parts();
        let open = parts / PARTS;
        let first = open - WINDOW;
        let mut out = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6\n\
             #EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP:URI=\"header.mp4\"\n"
        );
        for msn in first..=open {
            let listed = if msn == open { parts % PARTS } else { PARTS };
            if msn < open || listed > 0 {
                out.push_str(&format!("#EXT-X-PROGRAM-DATE-TIME:{}\n", self.date(msn)));
            }
            // Parts leave when their segment ends more than three targets from the end.
            let behind_ms = parts.saturating_sub((msn + 1) * PARTS) * PART_MS;
            for part in msn * PARTS..msn * PARTS + if behind_ms <= 3000 { listed } else { 0 } {
                out.push_str(&format!(
                    "#EXT-X-PART:DURATION=0.2,URI=\"{}\"\n",
                    self.name(part)
                ));
            }
            if msn < open {
                out.push_str(&format!("#EXTINF:1.0,\ns{msn}.m4s\n"));
            }
        }
        out + &format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p{parts}.m4s\"\n")
    }

    fn name(self, part: u64) -> String {
        let other = self.flaw == Flaw::OtherNames && part % 2 == 1;
        format!("{}{part}.m4s", if other { "q" } else { "p" })
    }

    fn date(self, msn: u64) -> String {
        let since = self
            .began_wall
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_millis() as u64;
        let ms = since - since % 1000 + (msn * PARTS * PART_MS);
        let (days, second) = (ms / 86_400_000, ms / 1000 % 86_400);
        let (year, month, day) = civil(days as i64);
        let (hour, minute, second, ms) = (second / 3600, second / 60 % 60, second % 60, ms % 1000);
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }

    fn media(self, stream: &TcpStream, path: &str) -> std::io::Result<()> {
        let stem = path.trim_start_matches('/').trim_end_matches(".m4s");
        if stem == "header.mp4" {
            return reply(stream, 200, "max-age=600", &header());
        }
        let (kind, Ok(number)) = (
            stem.get(..1).unwrap_or(""),
            stem.get(1..).unwrap_or("").parse::<u64>(),
        ) else {
            return reply(stream, 404, "max-age=1", b"");
        };
        let now = self.parts();
        match kind {
            "p" | "q" if number > now => {
                let empty = self.flaw == Flaw::EmptyMedia;
                reply(stream, if empty { 200 } else { 404 }, "max-age=1", b"")
            }
            "p" | "q" => {
                let forgotten = self.flaw == Flaw::PartsForgotten
                    && (number / PARTS + 1) * PARTS * PART_MS + 3000 < now * PART_MS;
                if forgotten || (number == now && self.flaw == Flaw::HintsRefused) {
                    return reply(stream, 404, "max-age=1", b"");
                }
                let body = fragment(number);
                let half = body.len() / 2;
                let drips = number == now && self.flaw == Flaw::HintsDrip;
                if drips {
                    head(stream, 200, "max-age=6", body.len())?;
                    (&*stream).write_all(&body[..half])?;
                    std::thread::sleep(Duration::from_millis(PART_MS + 100));
                }
                while self.parts() <= number {
                    std::thread::sleep(Duration::from_millis(2));
                }
                match drips {
                    true => (&*stream).write_all(&body[half..]),
                    false => reply(stream, 200, "max-age=6", &body),
                }
            }
            "s" if number < now / PARTS => {
                let other = u64::from(self.flaw == Flaw::OtherSegments);
                let body: Vec<u8> = (number * PARTS..(number + 1) * PARTS - other)
                    .flat_map(fragment)
                    .collect();
                reply(stream, 200, "max-age=6", &body)
            }
            _ => reply(stream, 404, "max-age=1", b""),
        }
    }
}

fn reply(stream: &TcpStream, status: u16, control: &str, body: &[u8]) -> std::io::Result<()> {
    head(stream, status, control, body.len())?;
    (&*stream).write_all(body)
}

fn head(mut stream: &TcpStream, status: u16, control: &str, len: usize) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {len}\r\nCache-Control: {control}\r\n\
         Content-Type: application/vnd.apple.mpegurl\r\nAccess-Control-Allow-Origin: *\r\n\
         Access-Control-Expose-Headers: Age\r\nAccess-Control-Allow-Headers: Range\r\n\r\n"
    );
    stream.write_all(head.as_bytes())
}

fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() + 8) as u32;
    [&len.to_be_bytes()[..], kind, payload].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

/// A header of one sound track of a thousand ticks a second.
fn header() -> Vec<u8> {
    let tkhd = boxed(b"tkhd", &words(&[0, 0, 0, 1, 0]));
    let mdhd = boxed(b"mdhd", &words(&[0, 0, 0, 1000, 0, 0]));
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0])[..], b"soun"].concat());
    let entry = boxed(b"mp4a", &[0; 28]);
    let stsd = boxed(b"stsd", &[words(&[0, 1]), entry].concat());
    let minf = boxed(b"minf", &boxed(b"stbl", &stsd));
    let trak = boxed(
        b"trak",
        &[tkhd, boxed(b"mdia", &[mdhd, hdlr, minf].concat())].concat(),
    );
    let trex = boxed(b"trex", &words(&[0, 1, 1, 20, 0, 0]));
    let moov = boxed(b"moov", &[trak, boxed(b"mvex", &trex)].concat());
    [boxed(b"ftyp", b"cmfc\0\0\0\0"), moov].concat()
}

/// Ten samples of twenty ticks.
fn fragment(number: u64) -> Vec<u8> {
    let tfhd = boxed(b"tfhd", &words(&[0x02_0000, 1]));
    let at = number * PART_MS;
    let tfdt = boxed(
        b"tfdt",
        &words(&[0x0100_0000, (at >> 32) as u32, at as u32]),
    );
    let trun = boxed(
        b"trun",
        &words(&[
            0x201, 10, 108, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100,
        ]),
    );
    let moof = boxed(b"moof", &boxed(b"traf", &[tfhd, tfdt, trun].concat()));
    [moof, boxed(b"mdat", &[number as u8; 1000])].concat()
}

/// The date of a day since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}
