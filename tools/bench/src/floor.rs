//! The least that any origin must do: when a chunk of an upload is whole, send
//! the same bytes to everyone who waits, in a bare loop.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::epoll;

const LISTENER: u64 = 0;
const EVENTS: usize = 1024;
const BACKLOG: i32 = 4096;

struct Peer {
    socket: TcpStream,
    /// An upload, and how it is cut; otherwise a player.
    upload: Option<Chunks>,
}

/// Serves until it is killed.
pub(crate) fn serve(listen: SocketAddr, reply: &[u8]) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let interest = epoll::EventFlags::IN;
    epoll::add(
        &epoll,
        &listener,
        epoll::EventData::new_u64(LISTENER),
        interest,
    )?;
    let mut peers: BTreeMap<u64, Peer> = BTreeMap::new();
    let mut waiting: Vec<u64> = Vec::new();
    let mut next_id = LISTENER + 1;
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    epoll::add(
                        &epoll,
                        &socket,
                        epoll::EventData::new_u64(next_id),
                        interest,
                    )?;
                    let upload = None;
                    peers.insert(next_id, Peer { socket, upload });
                    next_id += 1;
                }
                continue;
            }
            let Some(peer) = peers.get_mut(&id) else {
                continue;
            };
            let count = peer.socket.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                peers.remove(&id);
                continue;
            }
            let mut bytes = &buffer[..count];
            if bytes.starts_with(b"POST ") {
                let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                bytes = &bytes[head.map_or(count, |at| at + 4)..];
                peer.upload = Some(Chunks::default());
            }
            let Some(chunks) = &mut peer.upload else {
                waiting.push(id);
                continue;
            };
            if chunks.take(bytes) {
                for id in waiting.drain(..) {
                    if let Some(peer) = peers.get_mut(&id) {
                        peer.socket.write_all(reply)?;
                    }
                }
            }
        }
    }
}

/// Where the chunks of the chunked transfer coding end.
#[derive(Default)]
struct Chunks {
    line: Vec<u8>,
    /// Bytes of data and line end to come; zero in a size line.
    left: usize,
}

impl Chunks {
    /// Whether a chunk ends in `bytes`.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut whole = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                whole |= self.left == 0;
                bytes = &bytes[count..];
                continue;
            }
            self.line.push(bytes[0]);
            bytes = &bytes[1..];
            if self.line.ends_with(b"\r\n") {
                let text = String::from_utf8_lossy(&self.line);
                self.left = usize::from_str_radix(text.trim(), 16).unwrap_or(0) + 2;
                self.line.clear();
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_end_wherever_the_bytes_are_split() {
        let body = b"3\r\nabc\r\na\r\n0123456789\r\n";
        for split in 0..body.len() {
            let mut chunks = Chunks::default();
            let ends = [&body[..split], &body[split..]].map(|half| chunks.take(half));
            assert!(ends[1], "split at {split}");
            assert_eq!(ends[0], split >= 8, "split at {split}");
        }
    }
}
