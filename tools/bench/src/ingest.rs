//! Uploads of CMAF segments by chunked PUT, headwater and nginx's WebDAV in turn.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use headwater_load::media::{Shape, Track};
use headwater_load::push::wall_us;

use crate::Options;
use crate::machine;
use crate::players::content_length;
use crate::record::{Figure, Record, Sample};
use crate::servers::Server;

/// Of every chunk: with ten a segment, 10 Mbit/s.
const CHUNK_BYTES: usize = 250_000;
const CHUNKS_A_SEGMENT: u64 = 10;
const SEGMENT_US: u64 = 2_000_000;
/// Uploads at once, each a channel on a connection of its own.
const UPLOADS: usize = 4;
const WINDOW_S: u32 = 20;
/// Names that nginx is given a track: what the window holds.
const NAMES: u64 = 10;
const HEADWATER_PORT: u16 = 18_085;
const NGINX_PORT: u16 = 18_081;
const NGINX_PUT_PORT: u16 = 18_084;

const FIGURES: [Figure; 4] = [
    Figure {
        title: "server CPU s a GB",
        name: "server_cpu_s_per_gb",
        digits: 3,
        target: "0.5",
    },
    Figure {
        title: "machine CPU s a GB",
        name: "machine_cpu_s_per_gb",
        digits: 3,
        target: "",
    },
    Figure {
        title: "MB a second",
        name: "mb_per_s",
        digits: 0,
        target: "",
    },
    Figure {
        title: "MB pushed",
        name: "mb",
        digits: 0,
        target: "",
    },
];

/// Measures and writes the report.
pub(crate) fn measure(options: &Options) -> io::Result<()> {
    let load_before = machine::load_average();
    let shape = Shape {
        chunk_bytes: CHUNK_BYTES,
        slower: 1,
    };
    let track = Track::read(&options.media, shape).map_err(io::Error::other)?;
    // Where nginx keeps files must cost it as little as memory.
    let scratch = memory_folder();
    let mut samples = Vec::new();
    for pair in 0..options.pairs {
        let server = Server::headwater(&options.headwater, HEADWATER_PORT, WINDOW_S)?;
        samples.push(run(
            options,
            &track,
            pair,
            "headwater",
            &server,
            server.address,
        )?);
        drop(server);
        let files = scratch.join("files");
        for folder in [&scratch, &files, &scratch.join("tmp")] {
            fs::create_dir_all(folder)?;
            // The worker is another user than the master.
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        }
        fs::write(files.join("ready"), "ready\n")?;
        let server = Server::nginx(&options.nginx_config, &scratch, NGINX_PORT)?;
        let to = SocketAddr::from(([127, 0, 0, 1], NGINX_PUT_PORT));
        samples.push(run(options, &track, pair, "nginx", &server, to)?);
        drop(server);
        fs::remove_dir_all(&scratch)?;
    }
    let record = Record {
        name: "ingest",
        title: "Ingest",
        command: "benches/ingest.sh",
        intro: format!(
            "{UPLOADS} uploads at once over kept connections, a PUT a segment of {} bytes in \
             {CHUNKS_A_SEGMENT} chunks of the transfer coding, as fast as they are taken; window \
             of {WINDOW_S} s. nginx writes to memory (tmpfs), and as many files as the window \
             holds.",
            CHUNKS_A_SEGMENT * CHUNK_BYTES as u64
        ),
        remark: &options.remark,
        load_before,
        servers: ("headwater", Some("nginx")),
        figures: &FIGURES,
        samples: &samples,
    };
    record.write(&options.out)?;
    Ok(())
}

fn run(
    options: &Options,
    track: &Track,
    pair: usize,
    name: &'static str,
    server: &Server,
    to: SocketAddr,
) -> io::Result<Sample> {
    let segments = (options.megabytes as u64 * 1_000_000)
        .div_ceil(CHUNKS_A_SEGMENT * CHUNK_BYTES as u64 * UPLOADS as u64);
    // The media ends about now.
    let from_us = wall_us().saturating_sub(segments * SEGMENT_US);
    let first = track.segment_at(from_us) / CHUNKS_A_SEGMENT;
    let mut uploads = Vec::new();
    for index in 0..UPLOADS {
        let mut upload = Upload::connect(to, format!("/ingest/bench{index}/video"))?;
        upload.put("init.mp4", &[track.header.as_slice()])?;
        upload.answered()?;
        uploads.push(upload);
    }
    let cpu = || (machine::process_cpu_s(server.pid), machine::machine_cpu_s());
    let (before, start) = (cpu(), Instant::now());
    let mut bytes = 0;
    for segment in first..first + segments {
        let chunks: Vec<Vec<u8>> = (segment * CHUNKS_A_SEGMENT..(segment + 1) * CHUNKS_A_SEGMENT)
            .map(|index| track.chunk(index).bytes)
            .collect();
        let number = match name {
            "nginx" => segment % NAMES,
            _ => segment,
        };
        for upload in &mut uploads {
            bytes += upload.put(&format!("{number}.m4s"), &chunks)?;
        }
        for upload in &mut uploads {
            upload.answered()?;
        }
    }
    let (seconds, after) = (start.elapsed().as_secs_f64(), cpu());
    let gigabytes = bytes as f64 / 1e9;
    let sample = Sample {
        what: "chunked PUT".to_owned(),
        pair,
        server: name,
        values: vec![
            ("server_cpu_s_per_gb", (after.0 - before.0) / gigabytes),
            ("machine_cpu_s_per_gb", (after.1 - before.1) / gigabytes),
            ("mb_per_s", gigabytes * 1e3 / seconds),
            ("mb", gigabytes * 1e3),
        ],
    };
    eprintln!(
        "ingest {pair} {name}: {:.3} s of the server a GB, {:.0} MB/s",
        sample.get("server_cpu_s_per_gb"),
        sample.get("mb_per_s")
    );
    Ok(sample)
}

/// A kept connection.
struct Upload {
    socket: TcpStream,
    base: String,
    to: SocketAddr,
}

impl Upload {
    fn connect(to: SocketAddr, base: String) -> io::Result<Self> {
        let socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
        Ok(Self { socket, base, to })
    }

    /// Sends a PUT of these chunks; bytes of media in it.
    fn put(&mut self, name: &str, chunks: &[impl AsRef<[u8]>]) -> io::Result<u64> {
        write!(
            self.socket,
            "PUT {}/{name} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            self.base, self.to
        )?;
        let mut bytes = 0;
        for chunk in chunks {
            let chunk = chunk.as_ref();
            write!(self.socket, "{:x}\r\n", chunk.len())?;
            self.socket.write_all(chunk)?;
            self.socket.write_all(b"\r\n")?;
            bytes += chunk.len() as u64;
        }
        self.socket.write_all(b"0\r\n\r\n")?;
        Ok(bytes)
    }

    /// Reads an answer, which must be a 2xx.
    fn answered(&mut self) -> io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.socket.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = content_length(&head).unwrap_or(0) as u64;
        io::copy(&mut (&mut self.socket).take(length), &mut io::sink())?;
        if head.starts_with("HTTP/1.1 2") {
            return Ok(());
        }
        let line = head.lines().next().unwrap_or_default();
        Err(io::Error::other(format!("{}: {line}", self.base)))
    }
}

/// A folder of this process in memory, if the machine has one.
fn memory_folder() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    parent.join(format!("headwater-bench-{}", std::process::id()))
}
