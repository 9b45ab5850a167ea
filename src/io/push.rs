//! A live encoder in small: tracks that are pushed in step with the wall clock,
//! over and over, each on a connection of its own.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::media::cmaf::{self, Event, Header, Parser};
use crate::time::{Micros, Wall};

/// How much media is sent at once at the start, as if the encoder had been
/// running: players need not wait for the first segment.
const HEAD_START_US: i64 = 6_000_000;

/// A track that repeats without a seam.
#[derive(Clone, Debug)]
pub struct LoopedTrack {
    name: String,
    header: Bytes,
    chunks: Vec<LoopedChunk>,
    timescale: u32,
    /// Ticks of all chunks.
    ticks: u64,
}

#[derive(Clone, Debug)]
struct LoopedChunk {
    bytes: Bytes,
    /// Where the 64-bit decode time stands in `bytes`.
    decode_time_at: usize,
    start: u64,
    end: u64,
}

impl LoopedTrack {
    /// A track of one CMAF file: a header, then chunks with 64-bit decode
    /// times, without a hole.
    pub fn parse(name: &str, file: &'static [u8]) -> Result<Self, String> {
        let mut parser = Parser::new();
        let mut input = file;
        let mut header: Option<Header> = None;
        let mut chunks: Vec<LoopedChunk> = Vec::new();
        let say = |what: &str| format!("{name}: {what}");
        while let Some(event) = parser.push(&mut input).map_err(|e| say(&e.to_string()))? {
            match event {
                Event::Header(found) => header = Some(found),
                Event::Chunk(chunk) => {
                    let header = header.as_ref().ok_or_else(|| say("no header"))?;
                    let resolved =
                        cmaf::resolve(&chunk, header).map_err(|e| say(&e.to_string()))?;
                    let (_, track) = resolved.first().ok_or_else(|| say("an empty chunk"))?;
                    let start = chunks.last().map_or(0, |last| last.end);
                    chunks.push(LoopedChunk {
                        decode_time_at: decode_time_at(&chunk.bytes)
                            .ok_or_else(|| say("no 64-bit decode time"))?,
                        bytes: chunk.bytes.clone(),
                        start,
                        end: start + track.duration,
                    });
                }
                Event::End { .. } => {}
            }
        }
        let header = header.ok_or_else(|| say("no header"))?;
        let ticks = chunks.last().ok_or_else(|| say("no media"))?.end;
        let timescale = header.tracks[0].timescale.get();
        Ok(Self {
            name: name.to_owned(),
            header: header.bytes,
            chunks,
            timescale,
            ticks,
        })
    }

    /// How long one turn of the loop is.
    pub fn duration(&self) -> Micros {
        Micros((self.ticks as i128 * 1_000_000 / i128::from(self.timescale)) as i64)
    }

    /// Chunk number `index` since 1970: its bytes and the wall clock after its
    /// last sample.
    fn chunk(&self, index: u64) -> (Vec<u8>, Wall) {
        let count = self.chunks.len() as u64;
        let (turn, chunk) = (index / count, &self.chunks[(index % count) as usize]);
        let time = turn * self.ticks + chunk.start;
        let mut bytes = chunk.bytes.to_vec();
        let at = chunk.decode_time_at;
        bytes[at..at + 8].copy_from_slice(&time.to_be_bytes());
        let end = i128::from(turn * self.ticks + chunk.end);
        (
            bytes,
            Wall((end * 1_000_000 / i128::from(self.timescale)) as i64),
        )
    }

    /// The first chunk that starts at `from` or later.
    fn index_at(&self, from: Wall) -> u64 {
        let ticks = (i128::from(from.0) * i128::from(self.timescale)).div_euclid(1_000_000) as u64;
        let (turn, rest) = (ticks / self.ticks, ticks % self.ticks);
        let within = self.chunks.partition_point(|chunk| chunk.start < rest);
        turn * self.chunks.len() as u64 + within as u64
    }
}

/// Starts a thread for each track that pushes it to a channel until the
/// connection breaks.
pub fn push(to: SocketAddr, channel: &str, tracks: Vec<LoopedTrack>) {
    let turn = tracks
        .iter()
        .map(|track| track.duration().0)
        .max()
        .unwrap_or(1)
        .max(1);
    let now = wall().0;
    // All tracks begin with a segment; segments divide the loop.
    let segment = turn / 8;
    let from = Wall((now - HEAD_START_US).div_euclid(segment) * segment);
    let channel: Arc<str> = channel.into();
    for track in tracks {
        let channel = Arc::clone(&channel);
        std::thread::spawn(move || {
            let track_name = track.name.clone();
            if let Err(error) = push_track(to, &channel, &track, from) {
                tracing::warn!(%channel, track = track_name, %error, "the push ended");
            }
        });
    }
}

fn push_track(
    to: SocketAddr,
    channel: &str,
    track: &LoopedTrack,
    from: Wall,
) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_nodelay(true)?;
    let name = &track.name;
    write!(
        socket,
        "POST /ingest/{channel}/Streams({name}) HTTP/1.1\r\nHost: {to}\r\n\
         User-Agent: headwater-demo\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    write_chunk(&mut socket, &track.header)?;
    for index in track.index_at(from).. {
        let (bytes, end) = track.chunk(index);
        let wait_us = end.0 - wall().0;
        if wait_us > 0 {
            std::thread::sleep(Duration::from_micros(wait_us.unsigned_abs()));
        }
        write_chunk(&mut socket, &bytes)?;
    }
    Ok(())
}

/// One chunk of the chunked transfer coding, in one write.
fn write_chunk(socket: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    socket.write_all(&framed)
}

fn wall() -> Wall {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Wall(since.as_micros() as i64)
}

/// Position of the decode time in the tfdt of a chunk's only traf.
fn decode_time_at(chunk: &[u8]) -> Option<usize> {
    const NAME_AND_VERSION: &[u8] = b"tfdt\x01";
    let at = chunk
        .windows(NAME_AND_VERSION.len())
        .position(|window| window == NAME_AND_VERSION)?;
    Some(at + 8)
}
