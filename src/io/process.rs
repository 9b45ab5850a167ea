//! The process: one executor a processor, limits, signals, the stop.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use io_uring::IoUring;

use crate::io::Core;
use crate::io::clock::Clock;
use crate::io::driver::Driver;
use crate::io::error::Error;
use crate::io::listener;
use crate::io::mailroom::{Desk, Mailroom, Stop};
use crate::io::ring::{Ring, doorbell};
use crate::io::watch::{LOOK, Pulse, interrupt_all, watch};
use crate::limits::{
    CORE_CONNECTIONS_MAX, CORES_MAX, DESCRIPTORS_RESERVED, IDLE_ENCODER_MS_MAX, IDLE_PLAYER_MS_MAX,
    LINGER_MS_MAX, REQUEST_HEAD_MS_MAX, SEND_STALL_MS_MAX, UPLOAD_SILENT_MS_MAX,
};
use crate::shard::{Identity, Settings, Shard, ShardId};

/// Executors look at foreign wake-ups and at their own timers this often while
/// a task is always runnable.
const PREEMPT: Duration = Duration::from_millis(1);

/// How the shell is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses to listen on; port zero picks one.
    pub listen: Vec<SocketAddr>,
    /// Processors to run on, one shard each.
    pub cores: Vec<usize>,
    /// Sizes that only tests and measurements change.
    pub tuning: Tuning,
}

/// Sizes of one core's shell.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Receive buffers of every connection.
    pub small_buffers: Buffers,
    /// Receive buffers of connections that carry ingest.
    pub large_buffers: Buffers,
    /// Entries of the completion queue.
    pub completions: u32,
    /// The most a turn waits in the kernel, in microseconds.
    pub wait_us: u64,
    /// Connections of one core; the descriptor limit may allow fewer.
    pub connections_max: usize,
    /// How long peers are waited for.
    pub patience: Patience,
}

/// How long peers are waited for, in milliseconds. The bounds are those of
/// [`limits`](crate::limits).
#[derive(Clone, Debug)]
pub struct Patience {
    /// From the first byte of a head to its last.
    pub head_ms: u64,
    /// For the next request of a player.
    pub idle_player_ms: u64,
    /// For the next request of an encoder.
    pub idle_encoder_ms: u64,
    /// For a peer to take a byte of a response.
    pub send_stall_ms: u64,
    /// For the next byte of an upload.
    pub upload_silent_ms: u64,
    /// For a peer to read its last response.
    pub linger_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head_ms: REQUEST_HEAD_MS_MAX,
            idle_player_ms: IDLE_PLAYER_MS_MAX,
            idle_encoder_ms: IDLE_ENCODER_MS_MAX,
            send_stall_ms: SEND_STALL_MS_MAX,
            upload_silent_ms: UPLOAD_SILENT_MS_MAX,
            linger_ms: LINGER_MS_MAX,
        }
    }
}

/// A group of receive buffers.
#[derive(Clone, Debug)]
pub struct Buffers {
    /// How many, a power of two.
    pub count: u16,
    /// Bytes of each.
    pub bytes: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            small_buffers: Buffers {
                count: 4096,
                bytes: 1024,
            },
            large_buffers: Buffers {
                count: 128,
                bytes: 64 * 1024,
            },
            completions: 32 * 1024,
            wait_us: 100,
            connections_max: CORE_CONNECTIONS_MAX,
            patience: Patience::default(),
        }
    }
}

/// Serves until SIGTERM or SIGINT. The first lets everything end that is owed;
/// a second one ends at once. `started` hears the addresses that are served.
pub fn run(
    options: Options,
    settings: &Arc<Settings>,
    started: impl FnOnce(&[SocketAddr]),
) -> Result<(), Error> {
    let signals = Signals::block();
    let settings = Arc::clone(settings);
    let server = Server::start(options, move |identity| {
        Shard::new(identity, settings.clone())
    })?;
    for address in &server.addresses {
        tracing::info!(%address, "listening");
    }
    started(&server.addresses);
    let bell = server.bell.clone();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for stop in [Stop::Drain, Stop::Now] {
                signals.wait();
                bell.ring(stop);
            }
        })
        .map_err(|source| Error::kernel("a thread", source))?;
    server.join()
}

/// The processors this process may run on.
pub fn processors() -> Vec<usize> {
    // SAFETY: an all-zero set is a valid one, and the call fills it.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return vec![0];
        }
        set
    };
    // SAFETY: the index is below the size of the set.
    (0..libc::CPU_SETSIZE as usize)
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect()
}

/// A running shell. Executors are made once a process: start one at a time.
pub struct Server {
    /// What it listens on, in the order of the options.
    pub addresses: Vec<SocketAddr>,
    bell: Arc<Bell>,
    cores: Vec<ExecutorJoinHandle<Result<(), Error>>>,
}

impl Server {
    /// Starts one executor a processor, each with a core that `make` makes on
    /// its thread.
    pub fn start<C, F>(options: Options, make: F) -> Result<Self, Error>
    where
        C: Core,
        F: Fn(Identity) -> C + Clone + Send + 'static,
    {
        check(&options)?;
        let count = options.cores.len();
        let descriptors = raise_descriptor_limit()?;
        let share = descriptors.saturating_sub(DESCRIPTORS_RESERVED) / count;
        let mut tuning = options.tuning.clone();
        tuning.connections_max = tuning.connections_max.min(share.max(1));

        let (addresses, sockets) = listen(&options.listen, count)?;
        let launch = Launch {
            clock: Clock::start(),
            room: Arc::new(Mailroom::new(count)),
            pulses: (0..count).map(|_| Arc::default()).collect(),
            tuning,
        };
        watch(&launch.pulses).map_err(|e| Error::kernel("a thread and a signal", e))?;
        let bell = Arc::new(Bell::new(launch.room.clone())?);
        let mut cores = Vec::new();
        let (report, reports) = mpsc::channel();
        for ((id, cpu), sockets) in options.cores.iter().enumerate().zip(sockets) {
            let id = ShardId(id as u16);
            let (launch, make, report) = (launch.clone(), make.clone(), report.clone());
            let begin = move || core_main(launch, id, sockets, make, report);
            let failed = |e: &dyn std::fmt::Display| Error::Executor {
                cpu: *cpu,
                reason: e.to_string(),
            };
            let placement = if can_pin(*cpu) {
                Placement::Fixed(*cpu)
            } else {
                tracing::warn!(cpu, "cannot be pinned to this processor; running unpinned");
                Placement::Unbound
            };
            let core = LocalExecutorBuilder::new(placement)
                .name("headwater")
                .preempt_timer(PREEMPT)
                .spawn(begin)
                .map_err(|e| failed(&e))?;
            cores.push(core);
        }
        drop(report);
        let server = Self {
            addresses,
            bell,
            cores,
        };
        server.began(&reports)
    }

    /// Waits until all cores have begun; when one has not, stops the others.
    fn began(self, reports: &mpsc::Receiver<Result<(), Error>>) -> Result<Self, Error> {
        let report = || {
            loop {
                match reports.recv_timeout(LOOK) {
                    // It may have parked before its first task.
                    Err(mpsc::RecvTimeoutError::Timeout) => interrupt_all(),
                    other => break other,
                }
            }
        };
        let fault = self.cores.iter().find_map(|_| match report() {
            Ok(report) => report.err(),
            // It ended before it came to report; joining it says why.
            Err(_) => Some(Error::Options("an executor ended before it began")),
        });
        let Some(fault) = fault else { return Ok(self) };
        self.stop_now();
        self.join()?;
        Err(fault)
    }

    /// Asks it to stop when everything that is owed has been said.
    pub fn stop(&self) {
        self.bell.ring(Stop::Drain);
    }

    /// Asks it to stop at once.
    pub fn stop_now(&self) {
        self.bell.ring(Stop::Now);
    }

    /// Waits until all cores have stopped.
    pub fn join(self) -> Result<(), Error> {
        let mut result = Ok(());
        for (cpu, core) in self.cores.into_iter().enumerate() {
            let ended = match core.join() {
                Ok(ended) => ended,
                Err(e) => Err(Error::Executor {
                    cpu,
                    reason: e.to_string(),
                }),
            };
            result = result.and(ended);
        }
        result
    }
}

/// Opens all listeners: the addresses they got, and the sockets of each core.
fn listen(
    addresses: &[SocketAddr],
    count: usize,
) -> Result<(Vec<SocketAddr>, Vec<Vec<OwnedFd>>), Error> {
    let mut bound = Vec::new();
    let mut sockets: Vec<Vec<OwnedFd>> = (0..count).map(|_| Vec::new()).collect();
    for address in addresses {
        let opened = listener::open(*address, count)?;
        let at = listener::local_address(&opened[0]).map_err(|source| Error::Listen {
            address: *address,
            source,
        })?;
        bound.push(at);
        for (core, socket) in sockets.iter_mut().zip(opened) {
            core.push(socket);
        }
    }
    Ok((bound, sockets))
}

/// What all cores are started with.
#[derive(Clone)]
struct Launch {
    clock: Clock,
    room: Arc<Mailroom>,
    pulses: Vec<Arc<Pulse>>,
    tuning: Tuning,
}

/// The life of one core, on its thread.
async fn core_main<C: Core, F: Fn(Identity) -> C>(
    launch: Launch,
    id: ShardId,
    sockets: Vec<OwnedFd>,
    make: F,
    report: mpsc::Sender<Result<(), Error>>,
) -> Result<(), Error> {
    // A process that has lost a core serves half of its callers: better to end
    // and be started again.
    let mut fall = Fall(Some(launch.room.clone()));
    let pulse = launch.pulses[usize::from(id.0)].clone();
    pulse.begin();
    let driver = match assemble(&launch, id, sockets, make, pulse.clone()) {
        Ok(driver) => driver,
        Err(error) => {
            let _ = report.send(Err(error));
            return Ok(());
        }
    };
    let _ = report.send(Ok(()));
    drop(report);
    let heartbeat = glommio::spawn_local(pulse.clone().beat());
    let result = driver.run().await;
    pulse.end();
    heartbeat.cancel().await;
    if result.is_ok() {
        fall.0 = None;
    }
    result.map_err(|source| Error::kernel("a working io_uring", source))
}

/// Stops all cores when one ends otherwise than by a stop.
struct Fall(Option<Arc<Mailroom>>);

impl Drop for Fall {
    fn drop(&mut self) {
        if let Some(room) = &self.0 {
            room.raise_stop(Stop::Now);
        }
    }
}

fn assemble<C: Core, F: Fn(Identity) -> C>(
    launch: &Launch,
    id: ShardId,
    sockets: Vec<OwnedFd>,
    make: F,
    pulse: Arc<Pulse>,
) -> Result<Driver<C>, Error> {
    let ring = Ring::new(launch.tuning.completions)?;
    let handle = ring
        .handle()
        .map_err(|e| Error::kernel("a second handle on a ring", e))?;
    launch
        .room
        .register(id, handle)
        .map_err(|e| Error::kernel("a ring a core", e))?;
    let core = make(Identity {
        id,
        count: launch.room.count() as u16,
    });
    let desk = Desk::new(launch.room.clone(), id);
    Driver::new(
        ring,
        core,
        desk,
        sockets,
        &launch.tuning,
        launch.clock,
        pulse,
    )
}

/// Rings all cores from outside of them.
struct Bell {
    room: Arc<Mailroom>,
    ring: Mutex<IoUring>,
}

impl Bell {
    fn new(room: Arc<Mailroom>) -> Result<Self, Error> {
        let ring = IoUring::new(8).map_err(|e| Error::kernel("io_uring", e))?;
        Ok(Self {
            room,
            ring: Mutex::new(ring),
        })
    }

    fn ring(&self, stop: Stop) {
        self.room.raise_stop(stop);
        let mut ring = self
            .ring
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for core in 0..self.room.count() {
            let Some(other) = self.room.ring_of(core) else {
                continue;
            };
            // SAFETY: the request has no memory, and the room keeps the ring's
            // descriptor open.
            let pushed = unsafe { ring.submission().push(&doorbell(other)) };
            assert!(
                pushed.is_ok(),
                "every doorbell is submitted before the next"
            );
            // A core that does not hear it looks by itself within its sweep.
            let _ = ring.submit_and_wait(1);
            ring.completion().for_each(drop);
        }
    }
}

/// SIGTERM and SIGINT, blocked in every thread that is started afterwards.
struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    fn block() -> Self {
        // SAFETY: the set is initialised by `sigemptyset` before it is used.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            Self { set }
        }
    }

    /// Waits for the next of them.
    fn wait(&self) {
        let mut signal = 0;
        // SAFETY: both pointers are to locals.
        unsafe {
            libc::sigwait(&raw const self.set, &raw mut signal);
        }
        tracing::info!(signal, "stopping");
    }
}

fn check(options: &Options) -> Result<(), Error> {
    if options.cores.is_empty() || options.cores.len() > CORES_MAX {
        return Err(Error::Options("between 1 and 128 cores are needed"));
    }
    if options.listen.is_empty() {
        return Err(Error::Options("an address to listen on is needed"));
    }
    Ok(())
}

fn can_pin(cpu: usize) -> bool {
    processors().contains(&cpu)
}

/// Raises the soft limit of descriptors to the hard one, and says what it is.
fn raise_descriptor_limit() -> Result<usize, Error> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls take a pointer to a local.
    let result = unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)
        } else {
            -1
        }
    };
    if result != 0 {
        return Err(Error::kernel(
            "its limit of descriptors",
            io::Error::last_os_error(),
        ));
    }
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}
