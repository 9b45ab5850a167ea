//! An encoder: one endless upload of a track, in step with the wall clock.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::media::Track;

/// One upload under way.
pub(crate) struct Pusher {
    socket: TcpStream,
    track: Track,
    next: u64,
}

impl Pusher {
    /// Begins an upload and sends all media of the last `head_start` at once,
    /// as if the encoder had been running.
    pub(crate) fn start(
        to: SocketAddr,
        channel: &str,
        track: Track,
        head_start: Duration,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        write!(
            socket,
            "POST /ingest/{channel}/Streams(video.cmfv) HTTP/1.1\r\nHost: {to}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        )?;
        write_chunk(&mut socket, &track.header)?;
        let from_us = wall_us().saturating_sub(head_start.as_micros() as u64);
        let next = track.turn_at(from_us);
        let mut pusher = Self {
            socket,
            track,
            next,
        };
        while pusher.wait_us() == 0 {
            pusher.push()?;
        }
        Ok(pusher)
    }

    /// Waits until the next chunk is due and sends it. The moment before its
    /// last byte was written.
    pub(crate) fn push(&mut self) -> io::Result<Instant> {
        std::thread::sleep(Duration::from_micros(self.wait_us()));
        let (bytes, _) = self.track.chunk(self.next);
        self.next += 1;
        write_chunk(&mut self.socket, &bytes)
    }

    /// Microseconds until the next chunk is due.
    pub(crate) fn wait_us(&self) -> u64 {
        let (_, end_us) = self.track.chunk(self.next);
        end_us.saturating_sub(wall_us())
    }
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

fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_micros() as u64
}
