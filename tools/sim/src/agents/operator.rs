//! An operator who puts date ranges, adds to them and takes them back.

use headwater::time::Wall;

use crate::agents::{Agent, Signal};
use crate::client::Responses;
use crate::net::{ConnId, Quality};
use crate::world::{Event, MS, World};

/// See the module's head.
pub struct Operator {
    channel: String,
    made: u64,
    conn: Option<(ConnId, Responses)>,
    /// The range that the request under way describes; none where it takes one
    /// back.
    pending: Option<Option<String>>,
    over: bool,
}

impl Operator {
    /// An operator of a channel.
    pub fn new(channel: &str) -> Self {
        Self {
            channel: channel.to_owned(),
            made: 0,
            conn: None,
            pending: None,
            over: false,
        }
    }

    fn act(&mut self, me: usize, world: &mut World) {
        if self.pending.is_some() {
            return;
        }
        let again = self.made > 0 && world.rng.percent(40);
        let number = if again {
            world.rng.range(0, self.made - 1)
        } else {
            self.made
        };
        self.made = self.made.max(number + 1);
        let id = format!("mark{number}");
        let path = format!("/api/v1/channels/{}/dateranges/{id}", self.channel);
        let request = if again && world.rng.percent(40) {
            world.checks.date_ranges.withdraw(&self.channel, &id);
            self.pending = Some(None);
            format!("DELETE {path} HTTP/1.1\r\nHost: origin\r\n\r\n")
        } else {
            let body = describe(world, again);
            self.pending = Some(Some(id));
            let len = body.len();
            format!("PUT {path} HTTP/1.1\r\nHost: origin\r\nContent-Length: {len}\r\n\r\n{body}")
        };
        let conn = match &self.conn {
            Some((conn, _)) => *conn,
            None => world.connect(me, Quality::PERFECT),
        };
        self.conn
            .get_or_insert_with(|| (conn, Responses::default()));
        world.send(conn, request.as_bytes());
    }

    fn answered(&mut self, world: &mut World, status: u16, body: &str) {
        let Some(order) = self.pending.take() else {
            return world.fail(format!("an answer no operator asked for: {status}"));
        };
        let allowed: &[u16] = match order {
            Some(_) => &[200, 201, 400, 404, 409, 503],
            None => &[202, 204, 404, 503],
        };
        if !allowed.contains(&status) {
            return world.fail(format!("an operator gets {status} {body:?}"));
        }
        if let (Some(id), 201) = (order, status) {
            let now = world.now;
            world.checks.date_ranges.promise(now, &self.channel, &id);
        }
    }
}

/// One that begins at the edge or later; one that is known gets an end.
fn describe(world: &mut World, again: bool) -> String {
    let seconds = world.rng.range(0, 80) as f64 / 10.0;
    let start = world.wall_us() + world.rng.range(0, 6) as i64 * 1_000_000;
    let start = Wall(start).rfc3339();
    match world.rng.range(0, 4) {
        _ if again => format!(r#"{{"duration_s": {seconds}}}"#),
        0 => "{}".to_owned(),
        1 => format!(r#"{{"duration_s": {seconds}}}"#),
        2 => format!(r#"{{"start": "{start}", "planned_duration_s": {seconds}}}"#),
        3 => format!(r#"{{"start": "{start}", "class": "show", "end_on_next": true}}"#),
        _ => format!(
            r#"{{"start": "{start}", "class": "com.apple.hls.interstitial", "duration_s": {seconds}, "attributes": {{"X-ASSET-LIST": "ads.json"}}}}"#
        ),
    }
}

impl Agent for Operator {
    fn on(&mut self, me: usize, world: &mut World, signal: Signal<'_>) {
        match signal {
            Signal::Wake(_) if !self.over => {
                self.act(me, world);
                let pause = world.rng.range(100, 1500) * MS;
                let token = 0;
                world.after(pause, Event::Wake { agent: me, token });
            }
            Signal::Wake(_) => {}
            Signal::Bytes(conn, bytes) => {
                let own = self.conn.as_mut().filter(|(own, _)| *own == conn);
                let Some((_, responses)) = own else { return };
                responses.feed(bytes);
                match responses.take() {
                    Ok(Some(response)) => {
                        let body = String::from_utf8_lossy(&response.body).into_owned();
                        if response.close {
                            self.conn = None;
                        }
                        self.answered(world, response.status, &body);
                    }
                    Ok(None) => {}
                    Err(error) => world.fail(format!("answer to an operator: {error}")),
                }
            }
            Signal::Closed(conn) => {
                if self.conn.as_ref().is_some_and(|(own, _)| *own == conn) {
                    (self.conn, self.pending) = (None, None);
                }
            }
            Signal::Heal => {}
            Signal::Over => self.over = true,
            Signal::Leave => {
                self.over = true;
                if let Some((conn, _)) = self.conn.take() {
                    world.close(conn);
                }
            }
        }
    }
}
