//! An encoder's upload of one track: endless, in step with the wall clock.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::media::Track;

/// A write that takes longer means that the origin takes nothing in any more.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// From 1900, where NTP counts from, to 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// What is pushed where.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The origin.
    pub to: SocketAddr,
    /// Name of the channel.
    pub channel: String,
    /// Name of the track's file, `video.cmfv` say.
    pub file: String,
    /// The token of encoders, if the origin wants one.
    pub token: Option<String>,
    /// The media.
    pub track: Arc<Track>,
    /// How much media is sent at once at the start, as if the encoder had been
    /// running.
    pub head_start: Duration,
    /// How much later than its clock says every chunk goes out, so that not all
    /// channels send at once.
    pub phase_us: u64,
    /// Whether a producer reference time before each chunk says when it was
    /// written, by this machine's clock.
    pub dated: bool,
}

impl Upload {
    /// An upload without a token, a phase and dates.
    pub fn new(
        to: SocketAddr,
        channel: &str,
        file: &str,
        track: Track,
        head_start: Duration,
    ) -> Self {
        Self {
            to,
            channel: channel.to_owned(),
            file: file.to_owned(),
            token: None,
            track: Arc::new(track),
            head_start,
            phase_us: 0,
            dated: false,
        }
    }
}

/// One upload under way.
#[derive(Debug)]
pub struct Pusher {
    socket: TcpStream,
    upload: Upload,
    next: u64,
}

impl Pusher {
    /// Begins an upload, and sends the head start.
    pub fn start(upload: Upload) -> io::Result<Self> {
        let mut socket = TcpStream::connect(upload.to)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(WRITE_PATIENCE))?;
        let token = upload.token.as_ref().map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        write!(
            socket,
            "POST /ingest/{}/Streams({}) HTTP/1.1\r\nHost: {}\r\n\
             User-Agent: headwater-push\r\n{token}Transfer-Encoding: chunked\r\n\r\n",
            upload.channel, upload.file, upload.to
        )?;
        write_chunk(&mut socket, &upload.track.header)?;
        let now_us = wall_us().saturating_sub(upload.phase_us);
        let next = upload
            .track
            .segment_at(now_us.saturating_sub(upload.head_start.as_micros() as u64));
        let mut pusher = Self {
            socket,
            upload,
            next,
        };
        while pusher.wait_us() == 0 {
            pusher.push()?;
        }
        Ok(pusher)
    }

    /// Waits until the next chunk is due and sends it. The moment before its
    /// last byte was written.
    pub fn push(&mut self) -> io::Result<Instant> {
        std::thread::sleep(Duration::from_micros(self.wait_us()));
        let chunk = self.upload.track.chunk(self.next);
        self.next += 1;
        if !self.upload.dated {
            return write_chunk(&mut self.socket, &chunk.bytes);
        }
        let mut dated = producer_time(wall_us(), chunk.decode_time).to_vec();
        dated.extend_from_slice(&chunk.bytes);
        write_chunk(&mut self.socket, &dated)
    }

    /// When the next chunk is due, in microseconds since 1970.
    pub fn due_us(&self) -> u64 {
        self.upload.track.end_us(self.next) + self.upload.phase_us
    }

    /// Microseconds until the next chunk is due.
    pub fn wait_us(&self) -> u64 {
        self.due_us().saturating_sub(wall_us())
    }

    /// Bytes of media in the next chunk.
    pub fn next_bytes(&self) -> usize {
        self.upload.track.chunk_bytes(self.next)
    }

    /// Ends the upload as an encoder does that is told to stop.
    pub fn finish(mut self) -> io::Result<()> {
        self.socket.write_all(b"0\r\n\r\n")
    }
}

/// A prft box (ISO/IEC 14496-12 section 8.16.5) of version 1: the moof behind
/// it was written at this time.
fn producer_time(wall_us: u64, decode_time: u64) -> [u8; 32] {
    /// "The time at which the MovieFragmentBox was written to file."
    const WRITTEN: u32 = 4;
    const TRACK_ID: u32 = 1;
    let seconds = wall_us / 1_000_000 + NTP_OFFSET_S;
    let fraction = (u128::from(wall_us % 1_000_000) << 32).div_ceil(1_000_000) as u64;
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&32u32.to_be_bytes());
    bytes[4..8].copy_from_slice(b"prft");
    bytes[8..12].copy_from_slice(&(1 << 24 | WRITTEN).to_be_bytes());
    bytes[12..16].copy_from_slice(&TRACK_ID.to_be_bytes());
    bytes[16..24].copy_from_slice(&(seconds << 32 | fraction).to_be_bytes());
    bytes[24..].copy_from_slice(&decode_time.to_be_bytes());
    bytes
}

/// The microseconds since 1970 that a 64-bit NTP time means.
pub fn ntp_us(ntp: u64) -> u64 {
    let fraction_us = (u128::from(ntp as u32) * 1_000_000) >> 32;
    (ntp >> 32).saturating_sub(NTP_OFFSET_S) * 1_000_000 + fraction_us as u64
}

/// One chunk of the chunked transfer coding: all but the last byte of the data,
/// then the rest, so that the moment between them is known.
fn write_chunk(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<Instant> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    let last = framed.len() - 3;
    socket.write_all(&framed[..last])?;
    let before = Instant::now();
    socket.write_all(&framed[last..])?;
    Ok(before)
}

/// The wall clock.
pub fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_time_comes_back_to_the_microsecond() {
        for wall_us in [1_767_225_600_000_000, 1_767_225_600_999_999, 1] {
            let bytes = producer_time(wall_us, 7);
            let ntp = u64::from_be_bytes(bytes[16..24].try_into().unwrap());
            assert_eq!(ntp_us(ntp), wall_us);
            assert_eq!(bytes[24..], 7u64.to_be_bytes());
        }
    }
}
