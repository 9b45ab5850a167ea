//! The event loop of one thread: its share of the players, their connections
//! and their deadlines.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use headwater_load::push::ntp_us;
use rustix::event::{Timespec, epoll};

use crate::board::{self, Board};
use crate::connection::{Connection, Finished, Progress, Work};
use crate::player::{Answer, Fault, Mode, Player, What};
use crate::reader::{Playlist, Reader};
use crate::tally::Tally;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// Longest wait for events: players that start are looked for this often.
const WAIT_US_MAX: u64 = 50_000;
/// Counts are reported and silent requests given up this often.
const ROUND_US: u64 = 1_000_000;
/// No answer is held this long by anybody: three target durations of ten.
const TIMEOUT_US: u64 = 30_000_000;
/// How long the publication of a part is waited for by those who had it first.
const MATCH_US_MAX: u64 = 5_000_000;
/// What browsers say they take. They differ, and a cache must not mind.
const ENCODINGS: [&str; 2] = ["gzip, deflate, br", "gzip, deflate, br, zstd"];

/// What the players of a thread do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// Connections come from these in turn; from where the kernel likes if there
    /// are none.
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) mode: Mode,
    /// The fleet's numbers of this thread's players.
    pub(crate) players: std::ops::Range<usize>,
    pub(crate) connections: usize,
    /// From one player's start to the next's.
    pub(crate) stagger_us: f64,
    /// Latencies count from here on.
    pub(crate) warm_us: u64,
    pub(crate) end_us: u64,
    pub(crate) publication: Publication,
    /// Whether their latencies belong in the report.
    pub(crate) counts: bool,
}

/// Who says when a part was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publication {
    /// Others.
    Elsewhere,
    /// These players: when the first of them was told.
    Told,
    /// The encoder: the wall clock in its media, less this much, is the fleet's.
    Dated { ahead_us: u64 },
}

/// See the module's head.
pub(crate) struct Fleet {
    plan: Plan,
    clock: Instant,
    epoll: Rc<rustix::fd::OwnedFd>,
    seats: Vec<Seat>,
    connections: Vec<Option<Connection>>,
    /// Rises with every connection, so that an event of an old one is known.
    generation: u32,
    free: Vec<usize>,
    wakes: BTreeSet<(u64, usize)>,
    reader: Reader,
    board: Arc<Board>,
    sightings: Vec<Sighting>,
    tally: Tally,
    buffer: Vec<u8>,
}

/// A player and its connections.
struct Seat {
    player: Player,
    idle: Vec<usize>,
    open: usize,
    wake_at_us: Option<u64>,
}

/// Something that happened to a part, until its publication is known.
struct Sighting {
    part: u64,
    at_us: u64,
    /// Set for the last byte of a part, not for the playlist that names it.
    late_after_us: Option<u64>,
}

impl Fleet {
    pub(crate) fn new(plan: Plan, clock: Instant, board: Arc<Board>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            plan,
            clock,
            epoll: Rc::new(epoll),
            seats: Vec::new(),
            connections: Vec::new(),
            generation: 0,
            free: Vec::new(),
            wakes: BTreeSet::new(),
            reader: Reader::default(),
            board,
            sightings: Vec::new(),
            tally: Tally::default(),
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Plays to the end of the plan. Sends the counts so far once a second,
    /// and at the end.
    pub(crate) fn run(mut self, index: usize, reports: &Sender<(usize, Tally)>) -> io::Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let mut round_us = ROUND_US;
        loop {
            let now_us = self.now_us();
            if now_us >= self.plan.end_us {
                break;
            }
            self.start_players(now_us);
            self.wake_players(now_us);
            if now_us >= round_us {
                self.give_up_silent(now_us);
                self.match_sightings(now_us);
                // Nobody listens any more when the program ends early.
                let _ = reports.send((index, self.tally.clone()));
                round_us = now_us + ROUND_US;
            }
            let next_us = self.wakes.first().map_or(u64::MAX, |(at_us, _)| *at_us);
            let wait_us = next_us.saturating_sub(now_us).min(WAIT_US_MAX);
            let wait = Duration::from_micros(wait_us);
            let wait = Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(wait.subsec_nanos()),
            };
            events.clear();
            let room = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&*self.epoll, room, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            for event in &events {
                let data = event.data.u64();
                self.on_event((data >> 32) as u32, data as u32 as usize);
            }
        }
        // What is unmatched only because the probe ended at the same time is no
        // matter.
        self.match_sightings(self.now_us());
        let _ = reports.send((index, self.tally));
        Ok(())
    }

    fn now_us(&self) -> u64 {
        self.clock.elapsed().as_micros() as u64
    }

    fn start_players(&mut self, now_us: u64) {
        while self.seats.len() < self.plan.players.len() {
            let number = self.plan.players.start + self.seats.len();
            if (number as f64 * self.plan.stagger_us) as u64 > now_us {
                break;
            }
            self.seats.push(Seat {
                player: Player::new(self.plan.mode, self.plan.target.as_str().into()),
                idle: Vec::new(),
                open: 0,
                wake_at_us: None,
            });
            self.tally.players += 1;
            self.pump(self.seats.len() - 1);
        }
    }

    fn wake_players(&mut self, now_us: u64) {
        while let Some((_, seat)) = self.wakes.first().copied().filter(|(at, _)| *at <= now_us) {
            self.wakes.pop_first();
            self.seats[seat].wake_at_us = None;
            self.seats[seat].player.wake(now_us);
            self.pump(seat);
        }
    }

    /// Sends what a player asks for while it has connections to spare, and
    /// notes when it wants to be woken.
    fn pump(&mut self, seat_at: usize) {
        loop {
            let seat = &mut self.seats[seat_at];
            if seat.idle.is_empty() && seat.open >= self.plan.connections {
                break;
            }
            let Some(request) = seat.player.poll_request() else {
                break;
            };
            let asked_us = self.clock.elapsed().as_micros() as u64;
            self.tally.kind(request.what).requests += 1;
            let work = Work {
                request,
                asked_us,
                is_retry: false,
            };
            self.send(seat_at, work);
        }
        let seat = &mut self.seats[seat_at];
        let wake_at_us = seat.player.wake_at_us();
        if seat.wake_at_us != wake_at_us {
            if let Some(at_us) = seat.wake_at_us {
                self.wakes.remove(&(at_us, seat_at));
            }
            if let Some(at_us) = wake_at_us {
                self.wakes.insert((at_us, seat_at));
            }
            seat.wake_at_us = wake_at_us;
        }
    }

    /// Sends a request on a connection that is free, or on a new one.
    fn send(&mut self, seat_at: usize, work: Work) {
        let number = self.plan.players.start + seat_at;
        let head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: headwater-load\r\nAccept: */*\r\n\
             Accept-Encoding: {}\r\n\r\n",
            work.request.target,
            self.plan.host,
            ENCODINGS[number % ENCODINGS.len()]
        );
        let at = match self.seats[seat_at].idle.pop() {
            Some(at) => at,
            None => match self.connect(seat_at) {
                Ok(at) => at,
                Err(e) => return self.fail(seat_at, &work, format!("connect: {}", e.kind())),
            },
        };
        let connection = self.connections[at].as_mut().expect("it is open");
        if let Err(e) = connection.ask(work, head.into_bytes()) {
            self.broken(at, e);
        }
    }

    fn connect(&mut self, seat_at: usize) -> io::Result<usize> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.generation = self.generation.wrapping_add(1);
        let token = u64::from(self.generation) << 32 | at as u64;
        let source = match self.plan.sources.len() {
            0 => None,
            count => Some(self.plan.sources[at % count]),
        };
        let addresses = (source, self.plan.address);
        match Connection::open(&self.epoll, addresses, token, seat_at) {
            Ok(connection) => {
                self.connections[at] = Some(connection);
                self.seats[seat_at].open += 1;
                Ok(at)
            }
            Err(e) => {
                self.free.push(at);
                Err(e)
            }
        }
    }

    fn close(&mut self, at: usize) -> Connection {
        let connection = self.connections[at].take().expect("it is open");
        let seat = &mut self.seats[connection.seat];
        seat.open -= 1;
        seat.idle.retain(|idle| *idle != at);
        self.free.push(at);
        connection
    }

    fn on_event(&mut self, generation: u32, at: usize) {
        let Some(connection) = self.connections[at].as_mut() else {
            return;
        };
        if connection.generation() != generation {
            return;
        }
        match connection.advance(&mut self.buffer) {
            Ok(Progress::Pending) => {}
            Ok(Progress::Done) => self.on_response(at),
            // An idle connection that ends is no news to anybody.
            Err(_) if connection.is_idle() => drop(self.close(at)),
            Err(e) => self.broken(at, e),
        }
    }

    /// A connection broke. A request on a kept connection that the server was
    /// just closing is sent once more, as every browser does.
    fn broken(&mut self, at: usize, error: io::Error) {
        let mut connection = self.close(at);
        let seat = connection.seat;
        let was_kept = connection.was_kept();
        let Some(mut work) = connection.take_work() else {
            return;
        };
        if was_kept && !work.is_retry {
            work.is_retry = true;
            self.tally.retries += 1;
            return self.send(seat, work);
        }
        let what = match error.kind() {
            io::ErrorKind::InvalidData => error.to_string(),
            kind => kind.to_string(),
        };
        self.fail(seat, &work, what);
        self.pump(seat);
    }

    fn fail(&mut self, seat: usize, work: &Work, error: String) {
        let now_us = self.now_us();
        self.tally.error(work.request.what, error);
        // A player that hears of a failure has no fault of the server to tell.
        let _ = self.seats[seat]
            .player
            .on_answer(now_us, work.request.what, Answer::Failed);
    }

    fn on_response(&mut self, at: usize) {
        let now_us = self.now_us();
        let connection = self.connections[at].as_mut().expect("it is open");
        let seat_at = connection.seat;
        let work = connection
            .take_work()
            .expect("a response answers a request");
        let response = connection.finish();
        if response.head.closes {
            self.close(at);
        } else {
            self.seats[seat_at].idle.push(at);
        }
        let what = work.request.what;
        let kind = self.tally.kind(what);
        kind.bytes += response.bytes;
        if response.head.status != 200 {
            let status = response.head.status.to_string();
            self.fail(seat_at, &work, status);
            return self.pump(seat_at);
        }
        let latency_us = now_us - work.asked_us;
        if now_us >= self.plan.warm_us && self.plan.counts {
            kind.latency.add(latency_us);
        }
        let reload_limit_us = match what {
            What::Reload { .. } => work.request.late_after_us,
            _ => None,
        };
        kind.late += u64::from(reload_limit_us.is_some_and(|limit| latency_us > limit));
        self.on_body(seat_at, now_us, &work, &response);
        self.pump(seat_at);
    }

    fn on_body(&mut self, seat_at: usize, now_us: u64, work: &Work, response: &Finished) {
        let what = work.request.what;
        let player = &mut self.seats[seat_at].player;
        let outcome = match what {
            What::Multivariant | What::Playlist { .. } | What::Reload { .. } => {
                let is_gzip = response.head.is_gzip;
                let found = self
                    .reader
                    .read(&work.request.target, &response.body, is_gzip);
                match found {
                    Ok(Playlist::Multivariant(found)) => {
                        player.on_answer(now_us, what, Answer::Multivariant(&found))
                    }
                    Ok(Playlist::Media(list)) => {
                        player.on_answer(now_us, what, Answer::Media(&list))
                    }
                    Err(error) => return self.fail(seat_at, work, error.to_owned()),
                }
            }
            What::Part { .. } => {
                let part = board::key(&work.request.target);
                if let Publication::Dated { ahead_us } = self.plan.publication
                    && let Some(ntp) = response.produced_ntp
                {
                    self.board
                        .publish(part, ntp_us(ntp).saturating_sub(ahead_us));
                }
                let late_after_us = work.request.late_after_us;
                self.note(part, now_us, late_after_us);
                let player = &mut self.seats[seat_at].player;
                player.on_answer(now_us, what, Answer::Bytes)
            }
            What::Header { .. } | What::Segment { .. } => {
                player.on_answer(now_us, what, Answer::Bytes)
            }
        };
        if let Err(fault) = outcome {
            self.tally.error(
                what,
                match fault {
                    Fault::Unripe => "answered before its time",
                    Fault::LeftBehind => "media left unseen",
                },
            );
        }
        for part in self.seats[seat_at].player.take_learnt() {
            let part = board::key(&part);
            if self.plan.publication == Publication::Told {
                self.board.publish(part, now_us);
            }
            self.note(part, now_us, None);
        }
    }

    fn note(&mut self, part: u64, at_us: u64, late_after_us: Option<u64>) {
        if self.plan.counts && at_us >= self.plan.warm_us {
            self.sightings.push(Sighting {
                part,
                at_us,
                late_after_us,
            });
        }
    }

    /// Turns sightings into latencies where the publication is known by now.
    fn match_sightings(&mut self, now_us: u64) {
        let (board, tally) = (&self.board, &mut self.tally);
        self.sightings.retain(|sighting| {
            let Some(published_us) = board.published_us(sighting.part) else {
                let is_kept = now_us.saturating_sub(sighting.at_us) < MATCH_US_MAX;
                tally.unmatched += u64::from(!is_kept);
                return is_kept;
            };
            tally.ahead += u64::from(sighting.at_us < published_us);
            let age_us = sighting.at_us.saturating_sub(published_us);
            match sighting.late_after_us {
                None => tally.news_age.add(age_us),
                Some(limit_us) => {
                    tally.part_age.add(age_us);
                    tally.kind(What::Part { track: 0 }).late += u64::from(age_us > limit_us);
                }
            }
            false
        });
    }

    fn give_up_silent(&mut self, now_us: u64) {
        for at in 0..self.connections.len() {
            let is_silent = self.connections[at].as_ref().is_some_and(|connection| {
                let asked_us = connection.asked_us().unwrap_or(now_us);
                now_us.saturating_sub(asked_us) > TIMEOUT_US
            });
            if is_silent {
                let mut connection = self.close(at);
                let work = connection.take_work().expect("it waits for an answer");
                self.fail(connection.seat, &work, "timeout".to_owned());
                self.pump(connection.seat);
            }
        }
    }
}
