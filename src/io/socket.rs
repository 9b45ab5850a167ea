//! System calls on one socket that the ring has no part in.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Owns a descriptor that its slot or the kernel has just given up.
pub(crate) fn own(socket: RawFd) -> OwnedFd {
    assert!(socket >= 0, "a descriptor");
    // SAFETY: callers pass a descriptor that they owned and no longer use.
    unsafe { OwnedFd::from_raw_fd(socket) }
}

/// Tells the peer that nothing more comes, after what is sent already.
pub(crate) fn shutdown_send(socket: RawFd) {
    // SAFETY: no memory is involved; a failure means the peer is gone, which
    // its receive reports.
    unsafe {
        libc::shutdown(socket, libc::SHUT_WR);
    }
}

/// Ends both directions: every request on the socket completes.
pub(crate) fn shutdown_both(socket: RawFd) {
    // SAFETY: as above.
    unsafe {
        libc::shutdown(socket, libc::SHUT_RDWR);
    }
}

/// Makes the coming close a reset.
pub(crate) fn reset_on_close(socket: RawFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the pointer and the length are those of `linger`.
    unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

/// Bytes handed to the kernel that the peer has not acknowledged.
pub(crate) fn unacknowledged(socket: RawFd) -> u32 {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the value of TIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut count) };
    if result < 0 { 0 } else { count.max(0) as u32 }
}
