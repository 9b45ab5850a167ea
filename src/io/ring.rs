//! One core's socket ring: a thin typed wrapper over io_uring.
//!
//! Requests are named by a [`Tag`] that comes back with each completion. The
//! unsafe code here and in `buffers` rests on three promises, kept by `hub`:
//! memory handed to a send stays alive and in place until its completion;
//! a descriptor is closed only when none of its requests is in flight; the ring
//! is quiet before its buffers are unmapped.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use bytes::Bytes;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, TimeoutFlags, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, cqueue, opcode, squeue};

use crate::io::error::Error;
use crate::time::Mono;

/// Pieces of one send that go to the kernel together.
pub(crate) const SEND_PIECES_MAX: usize = 32;
/// Sends of several pieces between two submissions.
const MESSAGES_MAX: usize = 256;
/// Entries of the submission queue; a full one is submitted at once, so that
/// this bounds latency and memory only.
const SUBMISSIONS: u32 = 1024;

/// What a request was for; packed into its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Op {
    /// Multishot accept; the slot is the index of the listener.
    Accept = 1,
    /// Multishot receive of a connection into small buffers.
    RecvSmall,
    /// Multishot receive of a connection into large buffers.
    RecvLarge,
    /// Send of a connection.
    Send,
    /// Another core, or the process, rang.
    Doorbell,
    /// The wake-up for the next deadline.
    Timer,
    /// Its completion says nothing: cancel, close, ring.
    Silent,
}

/// The name of a request: what, of which slot, in which life of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) op: Op,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Tag {
    const SLOT_BITS: u32 = 24;

    pub(crate) const fn of(op: Op) -> Self {
        Self {
            op,
            slot: 0,
            generation: 0,
        }
    }

    pub(crate) const fn pack(self) -> u64 {
        assert!(
            self.slot < 1 << Self::SLOT_BITS,
            "slots are bounded by CORE_CONNECTIONS_MAX"
        );
        (self.op as u64) << 56 | (self.slot as u64) << 32 | self.generation as u64
    }

    /// `None` for what this driver never packed.
    pub(crate) const fn unpack(word: u64) -> Option<Self> {
        let op = match (word >> 56) as u8 {
            1 => Op::Accept,
            2 => Op::RecvSmall,
            3 => Op::RecvLarge,
            4 => Op::Send,
            5 => Op::Doorbell,
            6 => Op::Timer,
            7 => Op::Silent,
            _ => return None,
        };
        let slot = (word >> 32) as u32 & ((1 << Self::SLOT_BITS) - 1);
        Some(Self {
            op,
            slot,
            generation: word as u32,
        })
    }
}

const _: () = assert!(crate::limits::CORE_CONNECTIONS_MAX <= 1 << Tag::SLOT_BITS);

/// One completion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) tag: Tag,
    /// The result, or a negated errno.
    pub(crate) result: i32,
    /// Whether the request goes on and completes again.
    pub(crate) more: bool,
    /// The provided buffer that was filled.
    pub(crate) buffer: Option<u16>,
}

/// What the kernel reads of a send of several pieces. It is read while the
/// request is submitted (`IORING_FEAT_SUBMIT_STABLE`), so that these are reused
/// after every submission.
#[derive(Clone, Copy)]
struct Message {
    header: libc::msghdr,
    pieces: [libc::iovec; SEND_PIECES_MAX],
}

pub(crate) struct Ring {
    ring: IoUring,
    /// Never longer than its capacity: entries of the queue point into it.
    messages: Vec<Message>,
    /// Same promise, for the one timer of a submission.
    timer: Box<Timespec>,
    wake: OwnedFd,
    overflows: u64,
}

impl Ring {
    /// A ring for the calling thread, which alone may use it.
    pub(crate) fn new(completions: u32) -> Result<Self, Error> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_clamp()
            .setup_cqsize(completions)
            .build(SUBMISSIONS.min(completions))
            .map_err(|e| Error::kernel("io_uring with DEFER_TASKRUN (Linux 6.1 or newer)", e))?;
        require(&ring)?;
        // SAFETY: no pointers; the result is checked before it is owned.
        let wake = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if wake < 0 {
            return Err(Error::kernel("eventfd", io::Error::last_os_error()));
        }
        // SAFETY: a fresh descriptor that nobody else has.
        let wake = unsafe { OwnedFd::from_raw_fd(wake) };
        ring.submitter()
            .register_eventfd(wake.as_raw_fd())
            .map_err(|e| Error::kernel("an eventfd on a ring", e))?;
        let mut ring = Self {
            ring,
            messages: Vec::with_capacity(MESSAGES_MAX),
            timer: Box::new(Timespec::new()),
            wake,
            overflows: 0,
        };
        ring.ring.completion().disable_eventfd();
        Ok(ring)
    }

    /// The descriptor that becomes readable when something completes between
    /// [`Ring::sleep`] and [`Ring::awake`].
    pub(crate) fn wake(&self) -> &OwnedFd {
        &self.wake
    }

    /// Another handle on the ring, to ring it from elsewhere.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        // SAFETY: borrows the ring's descriptor for one duplication.
        let fd = unsafe { libc::fcntl(self.ring.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else has.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(crate) fn uring(&self) -> &IoUring {
        &self.ring
    }

    /// How often the completion queue was found overflown. Nothing is lost
    /// then: the kernel keeps what does not fit.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows
    }

    pub(crate) fn accept(&mut self, listener: RawFd, tag: Tag) {
        let entry = opcode::AcceptMulti::new(Fd(listener))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(entry, tag);
    }

    pub(crate) fn recv(&mut self, socket: RawFd, group: u16, tag: Tag) {
        self.push(opcode::RecvMulti::new(Fd(socket), group).build(), tag);
    }

    /// Sends what `pieces` yields, in order, and says how many bytes that is.
    /// The pieces must stay until the completion.
    pub(crate) fn send<'a>(
        &mut self,
        socket: RawFd,
        pieces: impl Iterator<Item = &'a [u8]>,
        tag: Tag,
    ) -> usize {
        let mut iovecs = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; SEND_PIECES_MAX];
        let (mut count, mut bytes) = (0, 0);
        for piece in pieces.take(SEND_PIECES_MAX) {
            iovecs[count] = libc::iovec {
                iov_base: piece.as_ptr().cast_mut().cast(),
                iov_len: piece.len(),
            };
            count += 1;
            bytes += piece.len();
        }
        assert!(bytes > 0, "an empty send would look like a closed peer");
        let flags = libc::MSG_NOSIGNAL;
        if count == 1 {
            let (start, len) = (iovecs[0].iov_base.cast_const().cast(), bytes as u32);
            self.push(
                opcode::Send::new(Fd(socket), start, len)
                    .flags(flags)
                    .build(),
                tag,
            );
            return bytes;
        }
        // A submission forgets the messages: it must not come between this one
        // and its request.
        if self.messages.len() == MESSAGES_MAX || self.ring.submission().is_full() {
            self.submit();
        }
        // SAFETY: all zeroes is a valid msghdr: no address, no control data.
        let header = unsafe { std::mem::zeroed() };
        self.messages.push(Message {
            header,
            pieces: iovecs,
        });
        let message = self.messages.last_mut().expect("just pushed");
        message.header.msg_iov = message.pieces.as_mut_ptr();
        message.header.msg_iovlen = count;
        let header = &raw const message.header;
        self.push(
            opcode::SendMsg::new(Fd(socket), header)
                .flags(flags as u32)
                .build(),
            tag,
        );
        bytes
    }

    /// Cancels every request on a descriptor; they complete all the same.
    pub(crate) fn cancel_all(&mut self, socket: RawFd) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::fd(Fd(socket)).all()).build();
        self.push(entry, Tag::of(Op::Silent));
    }

    /// Cancels one request; it completes all the same.
    pub(crate) fn cancel(&mut self, target: Tag) {
        let entry = opcode::AsyncCancel::new(target.pack()).build();
        self.push(entry, Tag::of(Op::Silent));
    }

    /// Closes a descriptor that no request uses.
    pub(crate) fn close(&mut self, socket: RawFd) {
        self.push(opcode::Close::new(Fd(socket)).build(), Tag::of(Op::Silent));
    }

    /// Rings the doorbell of another ring.
    pub(crate) fn ring(&mut self, other: RawFd) {
        self.push(doorbell(other), Tag::of(Op::Silent));
    }

    /// Completes `Timer` once `at` has come.
    pub(crate) fn timer(&mut self, wait: Duration) {
        // The last timer of the queue must have been read before its memory is
        // used again.
        self.submit();
        *self.timer = Timespec::from(wait);
        let at: *const Timespec = &raw const *self.timer;
        // A pure timeout: only expiry completes it.
        let entry = opcode::Timeout::new(at)
            .count(0)
            .flags(TimeoutFlags::empty())
            .build();
        self.push(entry, Tag::of(Op::Timer));
    }

    /// Whether requests wait to be submitted.
    pub(crate) fn has_unsubmitted(&mut self) -> bool {
        !self.ring.submission().is_empty()
    }

    /// Submits everything, runs the kernel's deferred work and waits up to
    /// `wait` for a completion when there is none.
    pub(crate) fn enter(&mut self, wait: Duration) -> io::Result<()> {
        if self.ring.submission().cq_overflow() {
            self.overflows += 1;
        }
        let has_completions = !self.ring.completion().is_empty();
        let result = if wait.is_zero() || has_completions {
            let len = self.ring.submission().len() as u32;
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: the flags take no argument.
            unsafe {
                self.ring
                    .submitter()
                    .enter::<libc::sigset_t>(len, 0, flags, None)
            }
        } else {
            let span = Timespec::from(wait);
            let args = SubmitArgs::new().timespec(&span);
            self.ring.submitter().submit_with_args(1, &args)
        };
        if self.ring.submission().is_empty() {
            self.messages.clear();
        }
        match result {
            Ok(_) => Ok(()),
            // Nothing came in time; a signal; no memory or no room for
            // completions right now: taking completions and coming back cures
            // each of them.
            Err(e) => match e.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(e),
            },
        }
    }

    /// Moves completions into `into`, at most as many as it has room for.
    pub(crate) fn take(&mut self, into: &mut Vec<Completion>) {
        let room = into.capacity() - into.len();
        for entry in self.ring.completion().take(room) {
            let Some(tag) = Tag::unpack(entry.user_data()) else {
                continue;
            };
            into.push(Completion {
                tag,
                result: entry.result(),
                more: cqueue::more(entry.flags()),
                buffer: cqueue::buffer_select(entry.flags()),
            });
        }
    }

    /// Makes the next completion signal the wake descriptor, then looks whether
    /// one has come already: `false` means do not wait.
    pub(crate) fn sleep(&mut self) -> bool {
        self.ring.completion().enable_eventfd();
        // The kernel queues work, then looks whether signals are on. Here they
        // are turned on, then the queues are looked at. Between the two of each
        // a full barrier, so that at least one sees the other.
        fence(Ordering::SeqCst);
        let quiet = self.ring.completion().is_empty()
            && !self.ring.submission().taskrun()
            && !self.ring.submission().cq_overflow();
        if !quiet {
            self.awake();
        }
        quiet
    }

    /// Ends what [`Ring::sleep`] began.
    pub(crate) fn awake(&mut self) {
        self.ring.completion().disable_eventfd();
        let mut count = 0u64;
        // SAFETY: reads eight bytes into eight bytes. An empty eventfd gives
        // EAGAIN, which is as good.
        unsafe {
            libc::read(
                self.wake.as_raw_fd(),
                (&raw mut count).cast(),
                size_of::<u64>(),
            );
        }
    }

    /// Cancels whatever is in flight and waits for it, before memory that the
    /// kernel may still use is given up.
    pub(crate) fn quiesce(&mut self) {
        let timeout = Timespec::new().sec(1);
        // Fails when nothing was in flight, which is what is wanted.
        let _ = self
            .ring
            .submitter()
            .register_sync_cancel(Some(timeout), CancelBuilder::any());
    }

    fn push(&mut self, entry: squeue::Entry, tag: Tag) {
        let entry = entry.user_data(tag.pack());
        loop {
            // SAFETY: sockets and memory outlive their requests: the promises
            // at the head of this file.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            self.submit();
        }
    }

    /// Submits what is queued, without looking at completions.
    fn submit(&mut self) {
        loop {
            let len = self.ring.submission().len() as u32;
            if len == 0 {
                self.messages.clear();
                return;
            }
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: the flags take no argument.
            let result = unsafe {
                self.ring
                    .submitter()
                    .enter::<libc::sigset_t>(len, 0, flags, None)
            };
            if let Err(e) = result {
                assert!(
                    matches!(
                        e.raw_os_error(),
                        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
                    ),
                    "the kernel refused a ring that it had accepted: {e}"
                );
            }
        }
    }
}

/// The request that rings another ring.
pub(crate) fn doorbell(other: RawFd) -> squeue::Entry {
    let word = Tag::of(Op::Doorbell).pack();
    opcode::MsgRingData::new(Fd(other), 0, word, None).build()
}

/// Says what the kernel lacks.
fn require(ring: &IoUring) -> Result<(), Error> {
    let params = ring.params();
    if !params.is_feature_submit_stable()
        || !params.is_feature_nodrop()
        || !params.is_feature_ext_arg()
    {
        return Err(Error::Kernel {
            what: "io_uring features SUBMIT_STABLE, NODROP and EXT_ARG",
            source: io::Error::from_raw_os_error(libc::ENOSYS),
        });
    }
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|e| Error::kernel("a probe of io_uring operations", e))?;
    let needed = [
        (opcode::AcceptMulti::CODE, "io_uring accept"),
        (opcode::RecvMulti::CODE, "io_uring receive"),
        (opcode::Send::CODE, "io_uring send"),
        (opcode::SendMsg::CODE, "io_uring sendmsg"),
        (opcode::Close::CODE, "io_uring close"),
        (opcode::AsyncCancel2::CODE, "io_uring cancel"),
        (opcode::Timeout::CODE, "io_uring timeout"),
        (opcode::MsgRingData::CODE, "io_uring messages between rings"),
    ];
    for (code, what) in needed {
        if !probe.is_supported(code) {
            let source = io::Error::from_raw_os_error(libc::ENOSYS);
            return Err(Error::Kernel { what, source });
        }
    }
    Ok(())
}

/// The bytes of a piece from `from` on, at most `most`.
pub(crate) fn window(piece: &Bytes, from: usize, most: usize) -> &[u8] {
    let end = piece.len().min(from.saturating_add(most));
    &piece[from..end]
}

/// A span until `at`, for a timer; zero when it has come.
pub(crate) fn until(now: Mono, at: Mono) -> Duration {
    Duration::from_nanos(at.0.saturating_sub(now.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_the_kernel() {
        let ops = [
            Op::Accept,
            Op::RecvSmall,
            Op::RecvLarge,
            Op::Send,
            Op::Doorbell,
            Op::Timer,
            Op::Silent,
        ];
        for op in ops {
            for (slot, generation) in [(0, 0), (1, u32::MAX), ((1 << 24) - 1, 7)] {
                let tag = Tag {
                    op,
                    slot,
                    generation,
                };
                assert_eq!(Tag::unpack(tag.pack()), Some(tag));
            }
        }
        assert_eq!(Tag::unpack(0), None);
        assert_eq!(Tag::unpack(u64::MAX), None);
    }
}
