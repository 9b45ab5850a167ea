//! One connection of a player: a request out, its response in.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;

use rustix::event::epoll::{self, EventFlags};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::dates::Dates;
use crate::player::{Request, What};
use crate::response::{Head, Response};

/// A playlist longer than this is no playlist.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Reads of one connection before others get their turn.
const READS_MAX: usize = 8;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) request: Request,
    pub(crate) asked_us: u64,
    /// It was sent before, on a connection that turned out to be gone.
    pub(crate) is_retry: bool,
}

/// A response that is whole.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) head: Head,
    /// The body, of playlists alone.
    pub(crate) body: Vec<u8>,
    /// Bytes of any body.
    pub(crate) bytes: u64,
    /// When the newest chunk of a part was written, as an NTP time.
    pub(crate) produced_ntp: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Pending,
    Done,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) seat: usize,
    socket: TcpStream,
    epoll: Rc<OwnedFd>,
    token: u64,
    is_connecting: bool,
    /// Responses received before this one.
    served: u64,
    work: Option<Work>,
    /// What of the request is still to be sent.
    unsent: Vec<u8>,
    response: Response,
    body: Vec<u8>,
    bytes: u64,
    dates: Dates,
}

impl Connection {
    /// Begins to connect. `token` comes back with the connection's events; its
    /// upper half is the generation.
    pub(crate) fn open(
        epoll: &Rc<OwnedFd>,
        (from, to): (Option<IpAddr>, SocketAddr),
        token: u64,
        seat: usize,
    ) -> io::Result<Self> {
        let family = if to.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        if let Some(from) = from {
            rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
        }
        match rustix::net::connect(&socket, &to) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(e) => return Err(e.into()),
        }
        let data = epoll::EventData::new_u64(token);
        epoll::add(&**epoll, &socket, data, EventFlags::IN | EventFlags::OUT)?;
        Ok(Self {
            seat,
            socket: socket.into(),
            epoll: Rc::clone(epoll),
            token,
            is_connecting: true,
            served: 0,
            work: None,
            unsent: Vec::new(),
            response: Response::default(),
            body: Vec::new(),
            bytes: 0,
            dates: Dates::default(),
        })
    }

    pub(crate) fn generation(&self) -> u32 {
        (self.token >> 32) as u32
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.work.is_none()
    }

    /// Whether it has served before and nothing of this response has come: the
    /// server may have closed it without knowing of the request.
    pub(crate) fn was_kept(&self) -> bool {
        self.served > 0 && self.response.is_untouched()
    }

    pub(crate) fn asked_us(&self) -> Option<u64> {
        self.work.as_ref().map(|work| work.asked_us)
    }

    pub(crate) fn take_work(&mut self) -> Option<Work> {
        self.work.take()
    }

    /// Sends a request, now or once connected.
    pub(crate) fn ask(&mut self, work: Work, head: Vec<u8>) -> io::Result<()> {
        assert!(self.work.is_none(), "one request at a time");
        self.work = Some(work);
        self.unsent = head;
        if self.is_connecting {
            Ok(())
        } else {
            self.flush()
        }
    }

    /// Goes on after an event.
    pub(crate) fn advance(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        if self.is_connecting {
            sockopt::socket_error(&self.socket)??;
            // Not yet: an event may come for a socket that is neither.
            if self.socket.peer_addr().is_err() {
                return Ok(Progress::Pending);
            }
            self.is_connecting = false;
            self.watch(EventFlags::IN)?;
        }
        if !self.unsent.is_empty() {
            self.flush()?;
        }
        for _ in 0..READS_MAX {
            let count = match self.socket.read(buffer) {
                Ok(0) if self.response.on_end() => return Ok(Progress::Done),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if self.take(&buffer[..count])? == Progress::Done {
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::Pending)
    }

    /// The response that is whole; the connection is ready for the next.
    pub(crate) fn finish(&mut self) -> Finished {
        self.served += 1;
        let response = std::mem::take(&mut self.response);
        Finished {
            head: response.head().expect("a whole response has a head"),
            body: std::mem::take(&mut self.body),
            bytes: std::mem::take(&mut self.bytes),
            produced_ntp: std::mem::take(&mut self.dates).newest(),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<Progress> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let Some(work) = &self.work else {
            return Err(invalid("an answer nobody asked for"));
        };
        let is_text = matches!(
            work.request.what,
            What::Multivariant | What::Playlist { .. } | What::Reload { .. }
        );
        let is_part = matches!(work.request.what, What::Part { .. });
        let (body, received, dates) = (&mut self.body, &mut self.bytes, &mut self.dates);
        let taken = self.response.take(bytes, |some| {
            *received += some.len() as u64;
            if is_text && body.len() <= BODY_BYTES_MAX {
                body.extend_from_slice(some);
            }
            if is_part {
                dates.take(some);
            }
        });
        let taken = taken.map_err(invalid)?;
        if self.body.len() > BODY_BYTES_MAX {
            return Err(invalid("a playlist too long"));
        }
        if !self.response.is_done() {
            return Ok(Progress::Pending);
        }
        if taken < bytes.len() {
            return Err(invalid("more than one answer"));
        }
        Ok(Progress::Done)
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return self.watch(EventFlags::IN | EventFlags::OUT);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn watch(&self, flags: EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(self.token);
        Ok(epoll::modify(&*self.epoll, &self.socket, data, flags)?)
    }
}
