//! The writer of a channel under anything that encoders may send, in any order
//! and at any time.

use headwater::media::cmaf::{Header, Kind};
use headwater::media::event::{Event, Statement};
use headwater::media::policy::Policy;
use headwater::media::publisher::{Manner, Publisher, TrackKey};
use headwater::time::{Micros, Mono, Now, Wall};

use crate::encoder::{Fragment, Frame, Message, Spec, splice_insert};
use crate::ledger::Ledger;

/// Changes that one input may make: an hour of gaps in text, and what they drop.
const CHANGES_MAX: usize = 20_000;
const TIMESCALES: [u32; 8] = [
    90_000,
    48_000,
    30_000,
    44_100,
    1_000,
    1,
    10_000_000,
    u32::MAX,
];
const TICKS: [u32; 16] = [
    3_000,
    1_001,
    1_024,
    45_000,
    90_000,
    0,
    1,
    33,
    96_000,
    180_000,
    10,
    333,
    2_000,
    24_000,
    0x7fff_ffff,
    u32::MAX,
];
/// Steps of decode time, in thousandths of a second.
const STEPS_MS: [i64; 16] = [
    0, 0, 0, 1, -1, 20, -20, 500, -500, 2_000, -2_000, 9_000, -9_000, 59_000, 61_000, -3_600_000,
];
const PASS_MS: [u64; 8] = [0, 20, 100, 500, 1_100, 2_000, 7_000, 61_000];

/// Operations from bytes; what is told is held against a model.
pub fn publisher(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let policy = Policy {
        part_ms: [None, Some(500), Some(200), None][usize::from(first % 4)],
        window_ms: if first & 4 == 0 { 12_000 } else { 300_000 },
        fill_gaps: first & 16 != 0,
        fill_patience_ms: if first & 32 == 0 { 500 } else { 0 },
        ..Policy::default()
    };
    let epoch = first & 8 != 0;
    let mut world = World::new(policy, epoch);
    for operation in rest.chunks_exact(4) {
        world.step([operation[0], operation[1], operation[2], operation[3]]);
    }
}

/// Now and then a cue, somewhere near the chunk at `time`.
fn messages(time: u64, timescale: u32, a: u8, c: u8) -> Vec<Message> {
    if c % 8 != 5 {
        return Vec::new();
    }
    let ahead = u64::from(a) * u64::from(timescale) / 16;
    vec![Message {
        scheme: "urn:scte:scte35:2013:bin",
        timescale,
        time: match c & 0x40 {
            0 => Ok(time.wrapping_add(ahead)),
            _ => Err(ahead as u32),
        },
        data: splice_insert(u32::from(a % 3), c & 0x80 != 0, (a & 8 != 0).then_some(4)),
    }]
}

struct Source {
    key: TrackKey,
    name: String,
    spec: Spec,
    header: Header,
    sessions: (u64, u64),
    next: u64,
}

struct World {
    publisher: Publisher,
    ledger: Ledger,
    now: Now,
    epoch: bool,
    sources: Vec<Source>,
}

impl World {
    fn new(policy: Policy, epoch: bool) -> Self {
        let now = Now {
            mono: Mono::from_ms(1_000),
            wall: Wall(1_767_225_600_000_000),
        };
        Self {
            publisher: Publisher::new("c", "g", policy, now),
            ledger: Ledger::new(false),
            now,
            epoch,
            sources: Vec::new(),
        }
    }

    fn step(&mut self, [what, a, b, c]: [u8; 4]) {
        let index = usize::from(what >> 4) % self.sources.len().max(1);
        match what % 16 {
            0 | 1 => self.announce(what >> 4, a, b),
            2 => self.pass(PASS_MS[usize::from(a) % 8]),
            3 if index < self.sources.len() => {
                self.publisher
                    .end_segment(self.now, self.sources[index].key);
            }
            4 => self.publisher.limit_window(u64::from(a) * 100),
            5 if what & 0x80 != 0 => self.operator(a, b, c),
            _ if index < self.sources.len() => self.chunk(index, a, b, c),
            _ => {}
        }
        let before = self.ledger.channel.seq;
        if let Some((seq, changes)) = self.publisher.commit() {
            assert_eq!(seq, before + 1);
            assert!(
                changes.len() <= CHANGES_MAX,
                "{} changes at once",
                changes.len()
            );
            self.ledger.take(seq, &changes);
        }
    }

    /// The operator says something, true or not, or takes it back.
    fn operator(&mut self, a: u8, b: u8, c: u8) {
        let id = format!("mark{}", a % 8);
        if a & 0x40 != 0 {
            let _ = self.publisher.withdraw(self.now, &id);
            return;
        }
        let edge = self.publisher.edge_date(self.now);
        let known = self.publisher.channel().events().get(&id);
        let start = known.filter(|_| a & 0x20 != 0).map(Event::start);
        let after = Wall(edge.0 + (i64::from(b) - 128) * 500_000);
        let mut statement = Statement::new(&id, start.unwrap_or(after));
        statement.duration = (c & 1 != 0).then_some(Micros(i64::from(c >> 4) * 1_000_000));
        statement.planned = (c & 2 != 0).then_some(Micros(i64::from(c) * 100_000));
        statement.class = (c & 4 != 0).then(|| "mark".to_owned());
        statement.until_next = c & 8 != 0;
        let _ = self.publisher.tell(self.now, &statement);
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono.plus_ms(ms);
        self.now.wall.0 += ms as i64 * 1000;
        self.publisher.tick(self.now);
    }

    fn announce(&mut self, track: u8, a: u8, b: u8) {
        let spec = Spec {
            id: 1,
            kind: match (a & 1, b % 8) {
                (0, _) => Kind::Video,
                (_, 7) => Kind::Text,
                _ => Kind::Audio,
            },
            timescale: TIMESCALES[usize::from(a >> 1) % 8],
            edit: (a & 0x80 != 0).then_some(i32::from(b) * 10),
            height: u16::from(b % 4) * 90,
        };
        let name = format!("t{}", track % 4);
        let header = spec.header();
        let Ok(key) = self.publisher.header(&name, header.tracks[0].clone()) else {
            return;
        };
        let session = self.publisher.session(key);
        let start = if self.epoch {
            (self.now.wall.seconds() as u64).saturating_mul(u64::from(spec.timescale))
        } else {
            0
        };
        match self.sources.iter_mut().find(|source| source.name == name) {
            Some(source) => {
                source.sessions = (source.sessions.1, session);
                (source.spec, source.header) = (spec, header);
                if b & 0x80 == 0 {
                    source.next = start;
                }
            }
            None => self.sources.push(Source {
                key,
                name,
                spec,
                header,
                sessions: (session, session),
                next: start,
            }),
        }
    }

    fn chunk(&mut self, index: usize, a: u8, b: u8, c: u8) {
        let source = &mut self.sources[index];
        let step = i64::from(source.spec.timescale).saturating_mul(STEPS_MS[usize::from(a % 16)]);
        let time = match c % 64 {
            63 => (1 << 62) - u64::from(b),
            62 => (1 << 32) - u64::from(b) * 100,
            _ => source.next.saturating_add_signed(step / 1000).min(1 << 62),
        };
        let ticks = TICKS[usize::from(b % 16)];
        let count = [1, 2, 5, 12][usize::from(b >> 4) % 4];
        let frame = |at: usize| Frame {
            ticks: if c & 0x40 != 0 && at == 1 { 0 } else { ticks },
            sync: at == 0 && a & 0x10 == 0 || c & 0x80 != 0,
            cts: 0,
            bytes: (4, at as u8),
        };
        let fragment = Fragment {
            time,
            wraps: a & 0x20 != 0,
            styp: true,
            produced_s: (c % 64 == 61).then_some(u64::from(b) << 24 | 7),
            messages: messages(time, source.spec.timescale, a, c),
            frames: (0..count).map(frame).collect(),
        };
        if fragment.ticks() == 0 {
            return;
        }
        let chunk = fragment.read(&source.header);
        source.next = time.saturating_add(fragment.ticks());
        let manner = Manner {
            one_segment: a & 0x40 != 0,
            begins_segment: a & 0x80 != 0,
            session: if b & 0x80 == 0 {
                source.sessions.1
            } else {
                source.sessions.0
            },
        };
        let key = source.key;
        // Refusals are answers too.
        let _ = self.publisher.chunk(self.now, key, manner, chunk);
        self.pass(u64::from(c % 4) * 20);
    }
}
