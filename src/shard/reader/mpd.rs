//! MPDs and their patches: drawn once a version, and remembered for as long as
//! players may patch them.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::dash::{self, Document, mpd, patch};
use crate::hls::cache::Outcome;
use crate::hls::gzip;
use crate::hls::reload::{self, Refusal};
use crate::media::channel::{Channel, State};
use crate::media::rope::Rope;
use crate::shard::desk::Desk;
use crate::shard::reader::{Ask, Dated, answer, manifest_reply, playlist_etag, refuse};
use crate::time::{Mono, Now};

const MPD_TYPE: &str = "application/dash+xml";
const PATCH_TYPE: &str = "application/dash-patch+xml";
/// Versions of a timeline that can be patched, beside how old they may be.
const PAST_MAX: usize = 128;
/// How long a version is remembered beyond its time to live, in milliseconds.
const PAST_GRACE_MS: u64 = 10_000;

/// All MPDs of a channel.
#[derive(Debug, Default)]
pub(in crate::shard) struct Mpds {
    /// By [`Document`] and compression, with the version each shows.
    kept: [[Option<(u64, Dated)>; 2]; Document::COUNT],
    /// Timelines that were drawn, oldest first, and since when each is out.
    past: VecDeque<Past>,
    /// When a timeline was last asked for.
    asked: Option<Mono>,
    /// Patches to the newest version, by version and compression.
    patches: Vec<(u64, bool, Dated)>,
}

#[derive(Debug)]
struct Past {
    version: u64,
    since: Mono,
    text: Rc<str>,
}

impl Mpds {
    /// Answers with the MPD of a channel that has media.
    pub(in crate::shard) fn mpd(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        document: Document,
        ask: &Ask<'_>,
    ) {
        if is_withdrawn(desk, now, channel, ask) {
            return;
        }
        if document == Document::Patched {
            self.asked = Some(now.mono);
        }
        let version = dash::stamp(channel, document).version;
        let form = match document {
            Document::Number => "-number",
            Document::Timeline => "-timeline",
            Document::Patched => "-patched",
            Document::Sequence => "-sequence",
        };
        let etag = || playlist_etag(channel, (version, form), ask.gzip);
        let cache = dash::lifetime(channel);
        let kept = &self.kept[document as usize][usize::from(ask.gzip)];
        if kept.as_ref().is_none_or(|(of, _)| *of != version) {
            let text = match document {
                Document::Patched => self.timeline(desk, now, channel),
                _ => {
                    desk.counters.renders += 1;
                    mpd::render(channel, document).into()
                }
            };
            let body = body(desk, &text, ask.gzip);
            let reply = manifest_reply(body, (MPD_TYPE, ask.gzip), &etag(), cache, now.wall);
            let dated = Dated::new(reply, now.wall);
            self.kept[document as usize][usize::from(ask.gzip)] = Some((version, dated));
        }
        let kept = &mut self.kept[document as usize][usize::from(ask.gzip)];
        let (_, dated) = kept.as_mut().expect("made above");
        let reply = dated.get(now.wall);
        answer(desk, now, ask, reply, etag, cache);
    }

    /// Answers with what has changed since a version of the timeline, which is
    /// too early while that is nothing and too late when it is forgotten.
    pub(in crate::shard) fn patch(
        &mut self,
        desk: &mut Desk,
        now: Now,
        channel: &Channel,
        (generation, version): (&str, u64),
        ask: &Ask<'_>,
    ) {
        if is_withdrawn(desk, now, channel, ask) {
            return;
        }
        self.asked = Some(now.mono);
        let newest = dash::stamp(channel, Document::Patched).version;
        let own = generation == &*channel.generation;
        if own && version == newest && !channel.state().is_over() {
            let why = "nothing has changed yet";
            return desk.text(ask.exchange, 425, why, now.wall);
        }
        let form = format!("-patch-{version}");
        let etag = || playlist_etag(channel, (newest, &form), ask.gzip);
        let cache = dash::lifetime(channel);
        let text = self.timeline(desk, now, channel);
        let known = |(of, gzip, _): &&mut (u64, bool, Dated)| (*of, *gzip) == (version, ask.gzip);
        if let Some((_, _, dated)) = self.patches.iter_mut().find(known) {
            let reply = dated.get(now.wall);
            return answer(desk, now, ask, reply, etag, cache);
        }
        let past = self.past.iter().find(|past| own && past.version == version);
        let patch = past.and_then(|past| patch::between(&past.text, &text));
        let Some(patch) = patch else {
            let why = ("there is no patch of that MPD", Outcome::Refused);
            let reply = refuse(channel, None, 410, why, now.wall);
            return desk.respond(ask.exchange, Rc::new(reply));
        };
        desk.counters.renders += 1;
        let body = body(desk, &patch, ask.gzip);
        let reply = manifest_reply(body, (PATCH_TYPE, ask.gzip), &etag(), cache, now.wall);
        let mut dated = Dated::new(reply, now.wall);
        let reply = dated.get(now.wall);
        self.patches.push((version, ask.gzip, dated));
        answer(desk, now, ask, reply, etag, cache);
    }

    /// Draws the timeline ahead of requests while players patch it: whichever
    /// core one of them asks next knows the version it has.
    pub(super) fn follow(&mut self, desk: &mut Desk, now: Now, channel: &Channel) {
        let lives_ms = dash::PATCH_TTL_S * 1_000;
        let asked = |at: Mono| now.mono.ms_since(at) < lives_ms;
        if self.asked.is_some_and(asked) && dash::is_ready(channel) {
            self.timeline(desk, now, channel);
        }
    }

    /// The newest timeline.
    fn timeline(&mut self, desk: &mut Desk, now: Now, channel: &Channel) -> Rc<str> {
        let version = dash::stamp(channel, Document::Patched).version;
        if let Some(newest) = self.past.back().filter(|past| past.version == version) {
            return Rc::clone(&newest.text);
        }
        desk.counters.renders += 1;
        let text: Rc<str> = mpd::render(channel, Document::Patched).into();
        self.patches.clear();
        self.past.push_back(Past {
            version,
            since: now.mono,
            text: Rc::clone(&text),
        });
        // A version is out until the next one comes.
        let lives_ms = dash::PATCH_TTL_S * 1_000 + PAST_GRACE_MS;
        let is_old = |next: &Past| now.mono.ms_since(next.since) > lives_ms;
        while self.past.len() > PAST_MAX || self.past.get(1).is_some_and(is_old) {
            self.past.pop_front();
        }
        text
    }
}

fn body(desk: &mut Desk, text: &str, gzip: bool) -> Rope {
    if gzip {
        gzip::whole(&mut desk.deflater, text.as_bytes())
    } else {
        Rope::from(text.to_owned())
    }
}

/// Answers if the channel is withdrawn.
fn is_withdrawn(desk: &mut Desk, now: Now, channel: &Channel, ask: &Ask<'_>) -> bool {
    let gone = channel.state() == State::Gone;
    if gone {
        let Refusal { status, message } = reload::WITHDRAWN;
        let reply = refuse(channel, None, status, (message, Outcome::Gone), now.wall);
        desk.respond(ask.exchange, Rc::new(reply));
    }
    gone
}
