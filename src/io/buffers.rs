//! Receive buffers that the kernel picks from: one provided-buffer ring a group.
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::io::error::Error;

/// Buffers of one size, shared by all connections of the core. The kernel fills
/// one for each receive; it is given back as soon as its bytes were handled.
pub(crate) struct BufferGroup {
    id: u16,
    count: u16,
    size: usize,
    tail: u16,
    entries: Mapping,
    memory: Mapping,
}

impl BufferGroup {
    /// `count` buffers, a power of two, of `size` bytes, known to `ring` as
    /// group `id`.
    pub(crate) fn new(ring: &IoUring, id: u16, count: u16, size: usize) -> Result<Self, Error> {
        assert!(
            count.is_power_of_two() && count <= 1 << 15,
            "a bound of the kernel"
        );
        let lack = |e| Error::kernel("memory for receive buffers", e);
        let entries = Mapping::new(usize::from(count) * size_of::<BufRingEntry>()).map_err(lack)?;
        let memory = Mapping::new(usize::from(count) * size).map_err(lack)?;
        // SAFETY: the mapping is page aligned, holds `count` entries and lives
        // until `release`, which unregisters it first.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(entries.start() as u64, count, id, 0)
        }
        .map_err(|e| Error::kernel("rings of provided buffers (Linux 5.19 or newer)", e))?;
        let mut group = Self {
            id,
            count,
            size,
            tail: 0,
            entries,
            memory,
        };
        for buffer in 0..count {
            group.give_back(buffer);
        }
        Ok(group)
    }

    /// The bytes the kernel wrote into a buffer it named in a completion.
    pub(crate) fn filled(&self, buffer: u16, len: usize) -> &[u8] {
        assert!(
            buffer < self.count && len <= self.size,
            "the kernel keeps to its buffers"
        );
        // SAFETY: within the mapping, checked above; the kernel does not touch a
        // buffer between its completion and `give_back`, which takes `&mut`.
        unsafe {
            let start = self.memory.start().add(usize::from(buffer) * self.size);
            std::slice::from_raw_parts(start, len)
        }
    }

    /// Lets the kernel use a buffer again.
    pub(crate) fn give_back(&mut self, buffer: u16) {
        assert!(buffer < self.count, "only what the kernel named comes back");
        let base = self.entries.start().cast::<BufRingEntry>();
        let index = usize::from(self.tail & (self.count - 1));
        // SAFETY: the index is masked into the ring. A ring of `count` entries
        // never has more than `count` buffers in it, so that the kernel has
        // consumed this entry. The tail shares the first entry's reserved field
        // and is read by the kernel, hence the atomic store with release.
        unsafe {
            let entry = &mut *base.add(index);
            entry.set_addr(self.memory.start().add(usize::from(buffer) * self.size) as u64);
            entry.set_len(self.size as u32);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(base).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }

    /// Takes the group away from the ring; the memory may then go.
    pub(crate) fn release(self, ring: &IoUring) {
        if ring.submitter().unregister_buf_ring(self.id).is_err() {
            // The kernel may still write there: better to leak it.
            std::mem::forget(self);
        }
    }
}

/// Zeroed, page-aligned memory outside the heap.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address the kernel picks.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, len })
    }

    fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; nothing borrows it any more.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.len);
        }
    }
}
