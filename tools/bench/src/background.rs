//! Requests at a steady rate from one thread, whatever the answers: what keeps a
//! server as busy as it is to be.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::net::RecvFlags;

const CONNECTIONS: usize = 64;
const EVENTS: usize = CONNECTIONS;
/// Requests go out in step with a clock of this fineness.
const BEAT: Duration = Duration::from_micros(500);
/// Bytes of a body that are let go at once.
const GULP_BYTES: usize = 1 << 20;
/// More than any head has.
const HEAD_BYTES: usize = 2048;
/// A thread that gives way to those who measure.
const NICE: i32 = 10;

/// See the module's head. Ends when it is dropped.
pub(crate) struct Background {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    per_s: AtomicU64,
    answered: AtomicU64,
    stop: AtomicBool,
}

struct Peer {
    socket: TcpStream,
    /// Bytes of the answer still to come; `None` before its head.
    left: Option<u64>,
}

impl Background {
    /// Asks for these targets in turn, at no rate yet.
    pub(crate) fn start(to: SocketAddr, targets: Vec<String>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(to, &targets, &told));
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Requests a second from now on.
    pub(crate) fn set_rate(&self, per_s: u64) {
        self.shared.per_s.store(per_s, Ordering::Relaxed);
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Ends it; what went wrong meanwhile.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            _ => Err(io::Error::other("the background failed")),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn run(to: SocketAddr, targets: &[String], shared: &Shared) -> io::Result<()> {
    // Linux takes the identity of a thread here.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    let requests: Vec<String> = targets
        .iter()
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: {to}\r\n\r\n"))
        .collect();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut peers = Vec::new();
    for index in 0..CONNECTIONS {
        let socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
        peers.push(Peer { socket, left: None });
    }
    let mut idle: Vec<usize> = (0..CONNECTIONS).collect();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
    let mut bin = vec![0; GULP_BYTES];
    let (mut turn, mut due, mut last) = (0, 0.0, Instant::now());
    while !shared.stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        due += shared.per_s.load(Ordering::Relaxed) as f64 * (now - last).as_secs_f64();
        // What could not be sent in time is not made up for.
        due = f64::min(due, CONNECTIONS as f64);
        last = now;
        while due >= 1.0
            && let Some(index) = idle.pop()
        {
            let request = requests[turn % requests.len()].as_bytes();
            peers[index].socket.write_all(request)?;
            (turn, due) = (turn + 1, due - 1.0);
        }
        events.clear();
        let wait = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(BEAT.subsec_nanos()),
        };
        let room = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&epoll, room, Some(&wait))?;
        for event in &events {
            let index = event.data.u64() as usize;
            if peers[index].read(&mut bin)? {
                shared.answered.fetch_add(1, Ordering::Relaxed);
                idle.push(index);
            }
        }
    }
    Ok(())
}

impl Peer {
    /// Takes what has come. Whether that ends the answer.
    fn read(&mut self, bin: &mut [u8]) -> io::Result<bool> {
        let left = match self.left {
            Some(left) => left,
            None => match self.head(bin)? {
                Some(left) => left,
                None => return Ok(false),
            },
        };
        // The kernel lets the bytes go without a copy: the load is to be cheap.
        let most = (left as usize).min(bin.len());
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        let count = match left {
            0 => 0,
            _ => match rustix::net::recv(&self.socket, &mut bin[..most], flags) {
                Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((_, count)) => count as u64,
                Err(rustix::io::Errno::AGAIN) => 0,
                Err(e) => return Err(e.into()),
            },
        };
        self.left = Some(left - count).filter(|left| *left > 0);
        Ok(self.left.is_none())
    }

    /// Reads the head, and leaves the body. Bytes of the body, once it is there.
    fn head(&self, bin: &mut [u8]) -> io::Result<Option<u64>> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let count = match rustix::net::recv(&self.socket, &mut bin[..HEAD_BYTES], flags) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, count)) => count,
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let text = String::from_utf8_lossy(&bin[..count.min(HEAD_BYTES)]).into_owned();
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            return Ok(None);
        };
        let length = crate::players::content_length(head);
        let length = length.filter(|_| head.starts_with("HTTP/1.1 200 "));
        let length = length.ok_or_else(|| {
            let line = head.lines().next().unwrap_or_default();
            io::Error::other(format!("the background got: {line}"))
        })?;
        rustix::net::recv(&self.socket, &mut bin[..head.len() + 4], RecvFlags::empty())?;
        Ok(Some(length as u64))
    }
}
