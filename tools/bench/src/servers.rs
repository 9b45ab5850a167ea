//! The servers that are measured, each pinned to one processor and ended with
//! its guard.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::machine;

/// Processor of every server; the load has [`LOAD_CORE`].
pub(crate) const SERVER_CORE: &str = "0";
pub(crate) const LOAD_CORE: &str = "1";
/// How long a server may take to answer for the first time.
const START: Duration = Duration::from_secs(10);

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The process that does the work.
    pub(crate) pid: u32,
}

impl Server {
    /// The origin.
    pub(crate) fn headwater(binary: &Path, port: u16, window_s: u32) -> io::Result<Self> {
        let address = local(port);
        let mut command = pinned(SERVER_CORE, binary);
        command
            .arg("serve")
            .args(["--listen", &address.to_string()])
            .args(["--cores", SERVER_CORE])
            .args(["--window-s", &window_s.to_string()]);
        Self::start(command, address, "/healthz")
    }

    /// nginx with one worker; it serves `files` below `prefix`.
    pub(crate) fn nginx(config: &Path, prefix: &Path, port: u16) -> io::Result<Self> {
        let mut command = pinned(SERVER_CORE, Path::new("nginx"));
        command.arg("-p").arg(prefix).arg("-c").arg(config);
        let mut server = Self::start(command, local(port), "/ready")?;
        server.pid = machine::children(server.pid)
            .first()
            .copied()
            .ok_or_else(|| io::Error::other("nginx has no worker"))?;
        Ok(server)
    }

    /// The bare loop of this program.
    pub(crate) fn floor(reply: &Path, port: u16) -> io::Result<Self> {
        let address = local(port);
        let mut command = pinned(SERVER_CORE, &std::env::current_exe()?);
        command.arg("floor").arg(address.to_string()).arg(reply);
        Self::start(command, address, "")
    }

    fn start(mut command: Command, address: SocketAddr, target: &str) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let pid = child.id();
        let server = Self {
            child,
            address,
            pid,
        };
        let deadline = Instant::now() + START;
        loop {
            let ready = match target {
                "" => TcpStream::connect(address).is_ok(),
                target => get(address, target).is_ok(),
            };
            if ready {
                return Ok(server);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("{address} does not answer")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes the processor away from it, or gives it back.
    pub(crate) fn hold(&self, held: bool) -> io::Result<()> {
        let signal = if held { Signal::STOP } else { Signal::CONT };
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A held process does not hear of its end before it runs again.
        let _ = self.hold(false);
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command on one processor that ends when this program does.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "taskset", "-c", core])
        .arg(program);
    command
}

/// The head and the body of one GET that must be answered with 200.
pub(crate) fn get(from: SocketAddr, target: &str) -> io::Result<(String, Vec<u8>)> {
    let mut socket = TcpStream::connect(from)?;
    socket.set_read_timeout(Some(START))?;
    write!(
        socket,
        "GET {target} HTTP/1.1\r\nHost: {from}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply)?;
    let head_len = reply
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| io::Error::other(format!("{target}: no head")))?;
    let body = reply.split_off(head_len + 4);
    let head = String::from_utf8_lossy(&reply).into_owned();
    if !head.starts_with("HTTP/1.1 200 ") {
        let line = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("{target}: {line}")));
    }
    Ok((head, body))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
