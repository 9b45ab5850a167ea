//! Listening sockets: one a core and address, all of one SO_REUSEPORT group.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::io::error::Error;
use crate::io::ring::{Op, Ring, Tag};
use crate::io::socket;
use crate::limits::SOCKET_UNSENT_BYTES_MAX;
use crate::time::Mono;

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;
/// How long accept rests when there is no descriptor to be had.
const PAUSE_MS: u64 = 10;

/// Opens `count` listeners on one address, for as many cores. The port may be
/// zero: all get the one that the first is given.
pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Vec<OwnedFd>, Error> {
    let fail = |source| Error::Listen { address, source };
    // The members of a group share the port silently, those of another process
    // too. A plain socket that is bound first finds out.
    drop(bind(address, false).map_err(fail)?);
    let mut sockets: Vec<OwnedFd> = Vec::with_capacity(count);
    for _ in 0..count {
        let at = match sockets.first() {
            Some(first) => local_address(first).map_err(fail)?,
            None => address,
        };
        let socket = bind(at, true).map_err(fail)?;
        socket.listen(BACKLOG).map_err(fail)?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

/// The address a socket is bound to.
pub(crate) fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    socket2::SockRef::from(socket)
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("an IP address"))
}

/// A blocking socket: the ring waits for it, and O_NONBLOCK would make accept
/// fail instead.
fn bind(address: SocketAddr, group: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(group)?;
    // Connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(SOCKET_UNSENT_BYTES_MAX)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One core's listener for one address.
pub(crate) struct Listener {
    socket: Option<OwnedFd>,
    index: u32,
    armed: bool,
    /// Not to be armed before.
    resume: Mono,
    /// Given up for a moment when the process has run out of descriptors, to
    /// turn a caller away instead of leaving it in the queue.
    reserve: Option<OwnedFd>,
}

impl Listener {
    pub(crate) fn new(index: u32, socket: OwnedFd) -> Self {
        let reserve = socket.try_clone().ok();
        Self {
            socket: Some(socket),
            index,
            armed: false,
            resume: Mono(0),
            reserve,
        }
    }

    /// Arms accept if it rests and may go on.
    pub(crate) fn arm(&mut self, ring: &mut Ring, now: Mono) {
        if let Some(socket) = &self.socket
            && !self.armed
            && now >= self.resume
        {
            self.armed = true;
            ring.accept(socket.as_raw_fd(), self.tag());
        }
    }

    /// When it wants to be armed, if it rests.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        (!self.armed && self.socket.is_some()).then_some(self.resume)
    }

    /// Accept has ended and is to be armed again.
    pub(crate) fn disarmed(&mut self) {
        self.armed = false;
    }

    /// Accept found no descriptor: turns one caller away and rests.
    pub(crate) fn exhausted(&mut self, now: Mono) {
        self.resume = now.plus_ms(PAUSE_MS);
        let Some(listener) = &self.socket else { return };
        drop(self.reserve.take());
        drop(accept_now(listener.as_raw_fd()));
        self.reserve = listener.try_clone().ok();
    }

    /// Stops listening: `accept` gets what is in the queue, the rest of the
    /// world a refusal. Call it when accept is not armed.
    pub(crate) fn close(&mut self, mut accept: impl FnMut(OwnedFd)) {
        let Some(listener) = self.socket.take() else {
            return;
        };
        assert!(!self.armed, "the ring holds the socket of an armed accept");
        while let Some(connection) = accept_now(listener.as_raw_fd()) {
            accept(connection);
        }
        self.reserve = None;
    }

    /// Ends accept, so that it completes for the last time.
    pub(crate) fn cancel(&self, ring: &mut Ring) {
        if self.armed {
            ring.cancel(self.tag());
        }
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed
    }

    fn tag(&self) -> Tag {
        Tag {
            op: Op::Accept,
            slot: self.index,
            generation: 0,
        }
    }
}

/// Takes one connection from the queue without waiting.
fn accept_now(listener: RawFd) -> Option<OwnedFd> {
    let borrowed = |on: libc::c_int| {
        // SAFETY: FIONBIO reads one int.
        unsafe { libc::ioctl(listener, libc::FIONBIO, &raw const on) }
    };
    borrowed(1);
    // SAFETY: no address is asked for.
    let fd = unsafe {
        libc::accept4(
            listener,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_CLOEXEC,
        )
    };
    borrowed(0);
    (fd >= 0).then(|| socket::own(fd))
}
