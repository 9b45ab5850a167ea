//! A fleet of players that all wait for the next part of one track, in one
//! thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
const READ_BYTES: usize = 256 * 1024;

pub(crate) struct Fleet {
    epoll: rustix::fd::OwnedFd,
    players: Vec<Player>,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
}

struct Player {
    socket: TcpStream,
    /// Bytes of the reply that are still to come; `None` before its head.
    left: Option<usize>,
    done: bool,
}

/// How one round of replies went.
pub(crate) struct Round {
    /// From the start to the last byte of each player's reply, in microseconds.
    pub(crate) latency_us: Vec<f64>,
    /// The first player's whole reply.
    pub(crate) reply: Vec<u8>,
}

impl Fleet {
    /// Opens connections, a batch at a time so that no listener's queue
    /// overflows.
    pub(crate) fn connect(to: SocketAddr, count: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut players = Vec::with_capacity(count);
        for index in 0..count {
            let socket = TcpStream::connect(to)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
            players.push(Player {
                socket,
                left: None,
                done: true,
            });
            if index % 256 == 255 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(Self {
            epoll,
            players,
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Sends the same request from every player.
    pub(crate) fn ask(&mut self, target: &str) -> io::Result<()> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        for player in &mut self.players {
            player.socket.write_all(request.as_bytes())?;
            (player.left, player.done) = (None, false);
        }
        Ok(())
    }

    /// Whether a reply has come although none is due.
    pub(crate) fn has_early_reply(&mut self) -> io::Result<bool> {
        Ok(self.wait(Duration::ZERO)? > 0)
    }

    /// Takes replies until every player has its own or the deadline has come.
    pub(crate) fn collect(&mut self, start: Instant, deadline: Instant) -> io::Result<Round> {
        let mut round = Round {
            latency_us: Vec::with_capacity(self.players.len()),
            reply: Vec::new(),
        };
        while round.latency_us.len() < self.players.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let count = self.wait(left)?;
            for event in 0..count {
                let index = self.events[event].data.u64() as usize;
                if self.read(index, &mut round.reply)? {
                    round
                        .latency_us
                        .push(start.elapsed().as_nanos() as f64 / 1e3);
                }
            }
        }
        Ok(round)
    }

    fn wait(&mut self, most: Duration) -> io::Result<usize> {
        let most = rustix::event::Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: i64::from(most.subsec_nanos()),
        };
        self.events.clear();
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        Ok(epoll::wait(&self.epoll, buffer, Some(&most))?)
    }

    /// Reads what one player was sent. Whether that ends its reply.
    fn read(&mut self, index: usize, first_reply: &mut Vec<u8>) -> io::Result<bool> {
        let player = &mut self.players[index];
        let count = match player.socket.read(&mut self.buffer) {
            Ok(0) => return Err(io::Error::other("the server closed a connection")),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e),
        };
        if player.done {
            return Err(io::Error::other("a reply that nobody asked for"));
        }
        let bytes = &self.buffer[..count];
        if index == 0 {
            first_reply.extend_from_slice(bytes);
        }
        let len = match player.left {
            Some(left) => left,
            None => reply_len(bytes)?,
        };
        let left = len.checked_sub(count);
        player.left = Some(left.ok_or_else(|| io::Error::other("more than one reply"))?);
        player.done = player.left == Some(0);
        Ok(player.done)
    }
}

/// Bytes of the reply that begins here. Its head is in the first packet.
fn reply_len(bytes: &[u8]) -> io::Result<usize> {
    let bad = |what: &str| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        io::Error::other(format!("{what}: {start}"))
    };
    let text = String::from_utf8_lossy(bytes);
    let (head, _) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| bad("no whole head"))?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(bad("not 200"));
    }
    content_length(head)
        .map(|length| head.len() + 4 + length)
        .ok_or_else(|| bad("no Content-Length"))
}

/// What a head says of its body.
pub(crate) fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}

/// Media sequence number and part index that come after the last ones of a
/// media playlist.
pub(crate) fn next_part(playlist: &str) -> Option<(u64, usize)> {
    let (mut msn, mut parts) = (None, 0);
    for line in playlist.lines() {
        if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            msn = first.parse::<u64>().ok();
        } else if line.starts_with("#EXTINF:") {
            msn = msn.map(|msn| msn + 1);
            parts = 0;
        } else if line.starts_with("#EXT-X-PART:") {
            parts += 1;
        } else if let Some(skipped) = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
            msn = Some(msn? + skipped.parse::<u64>().ok()?);
        }
    }
    msn.map(|msn| (msn, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_part_follows_the_last() {
        let open = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-PART:A\n#EXTINF:2,\ns7\n\
                    #EXT-X-PART:B\n#EXT-X-PART:C\n#EXT-X-PRELOAD-HINT:D\n";
        assert_eq!(next_part(open), Some((8, 2)));
        let closed = "#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-PART:A\n#EXTINF:2,\ns7\n";
        assert_eq!(next_part(closed), Some((8, 0)));
        assert_eq!(next_part("#EXTM3U\n"), None);
    }

    #[test]
    fn replies_are_as_long_as_their_head_says() {
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nbody";
        assert_eq!(reply_len(reply).unwrap(), reply.len() + 8);
        assert!(reply_len(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(reply_len(b"HTTP/1.1 200 OK\r\nCont").is_err());
    }
}
