//! Sends what no player should, and demands that nothing but itself suffers.

use crate::agents::{Agent, Signal};
use crate::client::{Responses, get};
use crate::net::{ConnId, Quality};
use crate::world::{Event, MS, World};

/// See the module's head.
pub struct Abuser {
    channels: Vec<String>,
    conns: Vec<(ConnId, Responses)>,
    over: bool,
}

impl Abuser {
    /// An abuser of these channels.
    pub fn new(channels: Vec<String>) -> Self {
        Self {
            channels,
            conns: Vec::new(),
            over: false,
        }
    }

    fn act(&mut self, me: usize, world: &mut World) {
        let channel = world.rng.index(self.channels.len());
        let channel = self.channels[channel].clone();
        let track = world
            .rng
            .pick(&["video0", "audio", "nothing", "..%2f", "video0%00"]);
        let number = world.rng.pick(&[0, 1, 7, 1 << 31, u64::MAX - 1, u64::MAX]);
        let near = world.rng.range(0, 40);
        let targets = [
            format!("/live/{channel}/{track}.m3u8?_HLS_msn={number}"),
            format!("/live/{channel}/{track}.m3u8?_HLS_msn={near}&_HLS_part={number}"),
            format!("/live/{channel}/{track}.m3u8?_HLS_part=0"),
            format!("/live/{channel}/{track}.m3u8?_HLS_msn=&_HLS_part=1"),
            format!("/live/{channel}/{track}.m3u8?_HLS_msn=-1"),
            format!("/live/{channel}/{track}.m3u8?_HLS_msn=18446744073709551616"),
            format!("/live/{channel}/{track}.m3u8?_HLS_skip=maybe&x=%zz"),
            format!("/live/{channel}/{track}.m3u8?_HLS_msn={near}&_HLS_msn={near}"),
            format!("/live/{channel}/{track}/0-s{number}.m4s"),
            format!("/live/{channel}/{track}/0-p{number}.m4s"),
            format!("/live/nobody/{track}.m3u8?_HLS_msn=3"),
            "/live/nobody/index.m3u8".to_owned(),
            "/live//".to_owned(),
            "/../../etc/passwd".to_owned(),
            format!("/ingest/{channel}/video0"),
        ];
        let fields = world.rng.pick(&[
            "",
            "Range: bytes=5-1\r\n",
            "Range: bytes=-0\r\n",
            "Range: bytes=0-0,5-9\r\n",
            "Range: bytes=99999999999999999999-\r\n",
            "If-None-Match: *\r\n",
            "If-Range: \"x\"\r\nRange: bytes=0-3\r\n",
            "Accept-Encoding: gzip, br;q=0\r\n",
        ]);
        let quality = Quality::draw(&mut world.rng);
        let conn = world.connect(me, quality);
        let count = world.rng.range(1, 6);
        for _ in 0..count {
            let target = &targets[world.rng.index(targets.len())];
            world.send(conn, &get(target, fields));
        }
        if world.rng.percent(20) {
            world.send(
                conn,
                b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            );
        }
        self.conns.push((conn, Responses::default()));
        if self.conns.len() > 8 {
            let (conn, _) = self.conns.remove(0);
            if world.rng.percent(50) {
                world.reset(conn)
            } else {
                world.close(conn)
            }
        }
    }
}

impl Agent for Abuser {
    fn on(&mut self, me: usize, world: &mut World, signal: Signal<'_>) {
        match signal {
            Signal::Wake(_) if !self.over => {
                self.act(me, world);
                let pause = world.rng.range(50, 900) * MS;
                world.after(
                    pause,
                    Event::Wake {
                        agent: me,
                        token: 0,
                    },
                );
            }
            Signal::Wake(_) => {}
            Signal::Bytes(conn, bytes) => {
                let own = self.conns.iter_mut().find(|(own, _)| *own == conn);
                let Some((_, responses)) = own else { return };
                responses.feed(bytes);
                loop {
                    match responses.take() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(error) => return world.fail(format!("answer to an abuser: {error}")),
                    }
                }
            }
            Signal::Closed(conn) => self.conns.retain(|(own, _)| *own != conn),
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
