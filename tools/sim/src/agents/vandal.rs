//! Uploads that no encoder should make, beside the tracks of others: whatever
//! they contain, nobody else may suffer.

use crate::agents::{Agent, Signal};
use crate::client::http_chunk;
use crate::cmaf::write::{Fragment, Prefix, chunk, header};
use crate::cmaf::{Sample, TrackSpec};
use crate::net::{ConnId, Quality};
use crate::world::{Event, MS, World};

/// See the module's head.
pub struct Vandal {
    channel: String,
    /// A header that is sound as such.
    spec: TrackSpec,
    conns: Vec<ConnId>,
    over: bool,
}

impl Vandal {
    /// A vandal beside a channel.
    pub fn new(channel: &str, spec: TrackSpec) -> Self {
        Self {
            channel: channel.to_owned(),
            spec,
            conns: Vec::new(),
            over: false,
        }
    }

    fn act(&mut self, me: usize, world: &mut World) {
        // What looks like a track could become one, so that goes elsewhere.
        let sound = world.rng.percent(40);
        let channel = if sound {
            "vandalised"
        } else {
            self.channel.as_str()
        };
        let mut body = if sound {
            self.sound_body(world)
        } else {
            Vec::new()
        };
        body.extend(garbage(world));
        let quality = Quality::draw(&mut world.rng);
        let conn = world.connect(me, quality);
        let number = world.rng.range(0, 3);
        let path = format!("/ingest/{channel}/junk{number}/{number}.m4s");
        let method = world.rng.pick(&["PUT", "POST", "PUT", "DELETE", "PATCH"]);
        let head = |framing: &str| format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n");
        match world.rng.range(0, 4) {
            0 => {
                world.send(conn, head("Transfer-Encoding: chunked\r\n").as_bytes());
                world.send(conn, &http_chunk(&body));
                world.send(conn, b"0\r\n\r\n");
            }
            1 => {
                // Never ends.
                world.send(conn, head("Transfer-Encoding: chunked\r\n").as_bytes());
                world.send(conn, &http_chunk(&body));
            }
            2 => {
                world.send(
                    conn,
                    head(&format!("Content-Length: {}\r\n", body.len())).as_bytes(),
                );
                world.send(conn, &body);
            }
            3 => {
                world.send(
                    conn,
                    head("Content-Length: 18446744073709551615\r\n").as_bytes(),
                );
                world.send(conn, &body);
            }
            _ => {
                // No framing, and bytes that are no request.
                world.send(conn, head("").as_bytes());
                world.send(conn, &body);
            }
        }
        self.conns.push(conn);
        if self.conns.len() > 6 {
            let conn = self.conns.remove(0);
            world.reset(conn);
        }
    }

    /// A header, perhaps with a chunk that lies.
    fn sound_body(&self, world: &mut World) -> Vec<u8> {
        let mut out = header(&[self.spec]);
        let duration = world.rng.pick(&[0, 1, 3000, u32::MAX]);
        let samples = [Sample {
            duration,
            sync: true,
            cts: i32::MIN,
            payload: vec![7; 9],
        }];
        let decode_time = world.rng.pick(&[0, 1, u64::from(u32::MAX), u64::MAX]);
        let fragment = Fragment {
            spec: &self.spec,
            decode_time,
            samples: &samples,
        };
        out.extend(chunk(1, Prefix::default(), &[fragment]));
        out
    }
}

fn garbage(world: &mut World) -> Vec<u8> {
    let boxed = |size: u32, name: &[u8; 4]| [&size.to_be_bytes()[..], name, &[0xa5; 40]].concat();
    match world.rng.range(0, 6) {
        0 => (0..world.rng.range(1, 3000))
            .map(|_| world.rng.next_u64() as u8)
            .collect(),
        1 => boxed(0, b"mdat"),
        2 => boxed(u32::MAX, b"moov"),
        3 => boxed(7, b"moof"),
        4 => [boxed(1, b"mdat"), vec![0xff; 64]].concat(),
        5 => boxed(48, b"moov"),
        _ => boxed(48, b"mfra"),
    }
}

impl Agent for Vandal {
    fn on(&mut self, me: usize, world: &mut World, signal: Signal<'_>) {
        match signal {
            Signal::Wake(_) if !self.over => {
                self.act(me, world);
                let pause = world.rng.range(100, 2500) * MS;
                world.after(
                    pause,
                    Event::Wake {
                        agent: me,
                        token: 0,
                    },
                );
            }
            Signal::Wake(_) | Signal::Bytes(..) => {}
            Signal::Closed(conn) => self.conns.retain(|own| *own != conn),
            Signal::Heal | Signal::Over | Signal::Leave => {
                self.over = true;
                world
                    .net
                    .open_of(me)
                    .into_iter()
                    .for_each(|conn| world.close(conn));
                self.conns.clear();
            }
        }
    }
}
