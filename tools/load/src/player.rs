//! One player as a state machine: answers go in, requests come out. It knows
//! no socket and no clock.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::playlist::{MediaPlaylist, Multivariant, Position, Segment};

/// How a player follows a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Blocking reloads and parts, as hls.js in low-latency mode.
    LowLatency,
    /// A poll each target duration and whole segments.
    Plain,
}

/// What is asked for. `track` counts the media playlists a player follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Multivariant,
    /// A media playlist as it is.
    Playlist {
        track: usize,
    },
    /// A media playlist once it reaches a place.
    Reload {
        track: usize,
        until: Position,
    },
    Header {
        track: usize,
    },
    Part {
        track: usize,
    },
    Segment {
        track: usize,
    },
}

/// A GET, and when its answer is late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) what: What,
    pub(crate) target: Rc<str>,
    /// For a reload, how long hls.js waits for it; for a part, how long after
    /// its publication the buffer would run dry.
    pub(crate) late_after_us: Option<u64>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer<'a> {
    Multivariant(&'a Multivariant),
    Media(&'a Rc<MediaPlaylist>),
    /// Media, which nobody looks at.
    Bytes,
    /// An error of any kind.
    Failed,
}

/// What a server did wrong in an answer that is otherwise in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A reload was answered before its place was reached.
    Unripe,
    /// Media left the playlist before the player could learn of it.
    LeftBehind,
}

/// A player waits this long after an error, as hls.js does.
const RETRY_US: u64 = 1_000_000;
const SECOND_US: f64 = 1e6;
/// Media that a player has still to load; one that is further behind starts
/// anew at the edge.
const QUEUED_MAX: usize = 10_000;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Player {
    mode: Mode,
    start: Rc<str>,
    tracks: Vec<Track>,
    requests: VecDeque<Request>,
    /// When the start is tried again.
    retry_at_us: Option<u64>,
    learnt: Vec<Rc<str>>,
}

#[derive(Debug)]
struct Track {
    playlist: Rc<str>,
    /// The first medium not yet queued, once a start was chosen.
    next: Option<Position>,
    edge: Position,
    /// What to load, in order; one at a time.
    media: VecDeque<Request>,
    is_loading: bool,
    header: Option<Rc<str>>,
    /// When the playlist is asked for again.
    reload_at_us: Option<u64>,
}

impl Player {
    /// A player of a multivariant playlist, or of the media playlist alone
    /// that `start` names.
    pub(crate) fn new(mode: Mode, start: Rc<str>) -> Self {
        let mut player = Self {
            mode,
            start,
            tracks: Vec::new(),
            requests: VecDeque::new(),
            retry_at_us: None,
            learnt: Vec::new(),
        };
        player.ask_start();
        player
    }

    /// The next request to send. All may be under way at once.
    pub(crate) fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// Targets of the parts that reloads have named for the first time since
    /// the last call.
    pub(crate) fn take_learnt(&mut self) -> Vec<Rc<str>> {
        std::mem::take(&mut self.learnt)
    }

    /// When [`Self::wake`] is due.
    pub(crate) fn wake_at_us(&self) -> Option<u64> {
        let tracks = self.tracks.iter().filter_map(|track| track.reload_at_us);
        tracks.chain(self.retry_at_us).min()
    }

    /// Asks for what is due by now.
    pub(crate) fn wake(&mut self, now_us: u64) {
        let is_due = |at: &mut u64| *at <= now_us;
        if self.retry_at_us.take_if(is_due).is_some() {
            self.ask_start();
        }
        for index in 0..self.tracks.len() {
            if self.tracks[index].reload_at_us.take_if(is_due).is_some() {
                self.ask_playlist(index);
            }
        }
    }

    /// Takes the answer to a request.
    pub(crate) fn on_answer(
        &mut self,
        now_us: u64,
        what: What,
        answer: Answer<'_>,
    ) -> Result<(), Fault> {
        match (what, answer) {
            (What::Multivariant, Answer::Multivariant(found)) => {
                self.tracks = found.playlists.iter().map(Track::new).collect();
                (0..self.tracks.len()).for_each(|index| self.ask_playlist(index));
                Ok(())
            }
            // The start was a media playlist.
            (What::Multivariant, Answer::Media(list)) => {
                self.tracks = vec![Track::new(&self.start)];
                self.on_playlist(now_us, 0, list, None)
            }
            (What::Multivariant, _) => {
                self.retry_at_us = Some(now_us + RETRY_US);
                Ok(())
            }
            (What::Playlist { track }, Answer::Media(list)) => {
                self.on_playlist(now_us, track, list, None)
            }
            (What::Reload { track, until }, Answer::Media(list)) => {
                self.on_playlist(now_us, track, list, Some(until))
            }
            (What::Playlist { track } | What::Reload { track, .. }, _) => {
                self.tracks[track].reload_at_us = Some(now_us + RETRY_US);
                Ok(())
            }
            (What::Header { track } | What::Part { track } | What::Segment { track }, _) => {
                self.tracks[track].is_loading = false;
                self.load(track);
                Ok(())
            }
        }
    }

    fn on_playlist(
        &mut self,
        now_us: u64,
        index: usize,
        list: &MediaPlaylist,
        until: Option<Position>,
    ) -> Result<(), Fault> {
        let track = &mut self.tracks[index];
        let edge = list.edge().unwrap_or((0, 0));
        let is_news = edge > track.edge;
        track.edge = track.edge.max(edge);
        let mut outcome = Ok(());
        if until.is_some_and(|until| edge <= until && !list.ended) {
            outcome = Err(Fault::Unripe);
        }
        let from = match track.next {
            Some(next) => next,
            None => start_of(self.mode, list),
        };
        let first = list.segments.first().map_or(from.0, |segment| segment.msn);
        if first > from.0 {
            outcome = Err(Fault::LeftBehind);
        }
        let learns = until.is_some();
        let learnt = &mut self.learnt;
        let next = track.queue(index, self.mode, list, from, |part| {
            if learns {
                learnt.push(Rc::clone(part));
            }
        });
        track.next = Some(next);
        if track.media.len() > QUEUED_MAX {
            track.media.clear();
            outcome = Err(Fault::LeftBehind);
        }
        if !list.ended {
            let target_us = (list.target_s * SECOND_US) as u64;
            match self.mode {
                Mode::LowLatency if list.can_block && outcome != Err(Fault::Unripe) => {
                    self.ask_reload(index, list);
                }
                // RFC 8216 section 6.3.4: half as long when nothing was new.
                _ => {
                    let wait_us = if is_news { target_us } else { target_us / 2 };
                    track.reload_at_us = Some(now_us + wait_us);
                }
            }
        }
        self.load(index);
        outcome
    }

    fn ask_start(&mut self) {
        self.requests.push_back(Request {
            what: What::Multivariant,
            target: Rc::clone(&self.start),
            late_after_us: None,
        });
    }

    fn ask_playlist(&mut self, track: usize) {
        self.requests.push_back(Request {
            what: What::Playlist { track },
            target: Rc::clone(&self.tracks[track].playlist),
            late_after_us: None,
        });
    }

    /// Asks for the version behind `list`, with the directives of hls.js.
    fn ask_reload(&mut self, track: usize, list: &MediaPlaylist) {
        let until = list.edge().unwrap_or((0, 0));
        let playlist = &self.tracks[track].playlist;
        let mark = if playlist.contains('?') { '&' } else { '?' };
        let mut target = format!("{playlist}{mark}_HLS_msn={}", until.0);
        if list.part_target_s.is_some() {
            target.push_str(&format!("&_HLS_part={}", until.1));
        }
        if let Some(skip) = list.skip {
            target.push_str(&format!("&_HLS_skip={skip}"));
        }
        let patience_s = (3.0 * list.part_target_s.unwrap_or(0.0)).max(0.8 * list.target_s);
        // A whole segment takes as long as it lasts.
        let patience_s = match list.part_target_s {
            Some(_) => patience_s,
            None => 3.0 * list.target_s,
        };
        self.requests.push_back(Request {
            what: What::Reload { track, until },
            target: target.into(),
            late_after_us: Some((patience_s * SECOND_US) as u64),
        });
    }

    /// Sends the next request for media of a track when none is under way.
    fn load(&mut self, index: usize) {
        let track = &mut self.tracks[index];
        if !track.is_loading
            && let Some(request) = track.media.pop_front()
        {
            track.is_loading = true;
            // Before a reload that may take its time: one connection carries both.
            self.requests.push_front(request);
        }
    }
}

impl Track {
    fn new(playlist: &Rc<str>) -> Self {
        Self {
            playlist: Rc::clone(playlist),
            next: None,
            edge: (0, 0),
            media: VecDeque::new(),
            is_loading: false,
            header: None,
            reload_at_us: None,
        }
    }

    /// Queues what a playlist lists from a place on, and returns the place
    /// behind it. `on_part` hears of each part.
    fn queue(
        &mut self,
        index: usize,
        mode: Mode,
        list: &MediaPlaylist,
        from: Position,
        mut on_part: impl FnMut(&Rc<str>),
    ) -> Position {
        let late_after_us = Some((list.part_hold_back_s * SECOND_US) as u64);
        let mut next = from;
        for segment in list.segments.iter().filter(|of| of.msn >= from.0) {
            let taken = if segment.msn == next.0 { next.1 } else { 0 };
            if mode == Mode::LowLatency && !segment.parts.is_empty() {
                for part in segment.parts.iter().skip(taken) {
                    on_part(&part.target);
                    if !part.is_gap {
                        self.queue_header(index, segment);
                        self.media.push_back(Request {
                            what: What::Part { track: index },
                            target: Rc::clone(&part.target),
                            late_after_us,
                        });
                    }
                }
                next = (segment.msn, segment.parts.len().max(taken));
            } else if let Some(target) = &segment.target
                && !segment.is_gap
            {
                self.queue_header(index, segment);
                self.media.push_back(Request {
                    what: What::Segment { track: index },
                    target: Rc::clone(target),
                    late_after_us: None,
                });
            }
            if segment.target.is_some() {
                next = (segment.msn + 1, 0);
            }
        }
        next
    }

    fn queue_header(&mut self, index: usize, segment: &Segment) {
        if let Some(target) = &segment.header
            && self.header.as_ref() != Some(target)
        {
            self.header = Some(Rc::clone(target));
            self.media.push_back(Request {
                what: What::Header { track: index },
                target: Rc::clone(target),
                late_after_us: None,
            });
        }
    }
}

/// Where to start in a playlist: for low latency the last independent part
/// that is at least a hold-back from the edge, else three segments from it.
fn start_of(mode: Mode, list: &MediaPlaylist) -> Position {
    let mut behind_s = 0.0;
    if mode == Mode::LowLatency && list.part_target_s.is_some() {
        for segment in list.segments.iter().rev() {
            for (index, part) in segment.parts.iter().enumerate().rev() {
                behind_s += part.duration_s;
                if behind_s >= list.part_hold_back_s && part.is_independent {
                    return (segment.msn, index);
                }
            }
        }
    }
    let whole = list.segments.iter().filter(|of| of.target.is_some());
    let third = whole.rev().take(3).last();
    third
        .or_else(|| list.segments.first())
        .map_or((0, 0), |segment| (segment.msn, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::{self, tests::LIVE};

    const BASE: &str = "/live/ch/v.m3u8";

    fn media(text: &str) -> Rc<MediaPlaylist> {
        Rc::new(playlist::media(BASE, text).unwrap())
    }

    fn asked(player: &mut Player) -> Vec<String> {
        std::iter::from_fn(|| player.poll_request())
            .map(|request| request.target.to_string())
            .collect()
    }

    /// A player that has its first playlist.
    fn joined(mode: Mode, text: &str) -> Player {
        let mut player = Player::new(mode, BASE.into());
        assert_eq!(asked(&mut player), [BASE]);
        let list = media(text);
        player
            .on_answer(0, What::Multivariant, Answer::Media(&list))
            .unwrap();
        player
    }

    /// Answers media until nothing more is asked for.
    fn fetch_all(player: &mut Player) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(request) = player.poll_request() {
            all.push(request.target.to_string());
            if !matches!(request.what, What::Reload { .. } | What::Playlist { .. }) {
                player.on_answer(0, request.what, Answer::Bytes).unwrap();
            }
        }
        all
    }

    const RELOAD: What = What::Reload {
        track: 0,
        until: (102, 1),
    };

    #[test]
    fn it_starts_a_hold_back_from_the_edge_and_asks_for_what_comes_next() {
        let mut player = joined(Mode::LowLatency, LIVE);
        // 1.5 s back lies p6; p4 is the last independent one before it. The reload
        // may take its time: on a single connection media go first.
        assert_eq!(
            fetch_all(&mut player),
            [
                "/live/ch/v/e-i0.mp4",
                "/live/ch/v/e-p4.m4s",
                "/live/ch/v/e-p5.m4s",
                "/live/ch/v/e-p6.m4s",
                "/live/ch/v/e-p7.m4s",
                "/live/ch/v/e-p8.m4s",
                "/live/ch/v.m3u8?_HLS_msn=102&_HLS_part=1&_HLS_skip=YES",
            ]
        );
        assert!(player.take_learnt().is_empty(), "the first list is no news");
    }

    #[test]
    fn a_reload_brings_the_next_part_and_the_next_reload() {
        let mut player = joined(Mode::LowLatency, LIVE);
        fetch_all(&mut player);
        let more = LIVE.replace(
            "#EXT-X-PRELOAD",
            "#EXT-X-PART:DURATION=0.5,URI=\"v/e-p9.m4s\"\n#EXT-X-PRELOAD",
        );
        let list = media(&more);
        player.on_answer(0, RELOAD, Answer::Media(&list)).unwrap();
        let part = player.poll_request().unwrap();
        assert_eq!(part.what, What::Part { track: 0 });
        assert_eq!(&*part.target, "/live/ch/v/e-p9.m4s");
        assert_eq!(part.late_after_us, Some(1_500_000));
        let reload = player.poll_request().unwrap();
        assert_eq!(
            &*reload.target,
            "/live/ch/v.m3u8?_HLS_msn=102&_HLS_part=2&_HLS_skip=YES"
        );
        // hls.js gives a reload up after the longer of 3 parts and 0.8 segments.
        assert_eq!(reload.late_after_us, Some(1_600_000));
        assert_eq!(
            player.take_learnt(),
            [Rc::<str>::from("/live/ch/v/e-p9.m4s")]
        );
    }

    #[test]
    fn an_answer_without_what_was_waited_for_is_a_fault() {
        let mut player = joined(Mode::LowLatency, LIVE);
        fetch_all(&mut player);
        let same = media(LIVE);
        let outcome = player.on_answer(0, RELOAD, Answer::Media(&same));
        assert_eq!(outcome, Err(Fault::Unripe));
        // No loop of requests: it waits before it asks again.
        assert!(asked(&mut player).is_empty());
        assert_eq!(player.wake_at_us(), Some(1_000_000));
    }

    #[test]
    fn media_that_left_unseen_is_a_fault_and_playing_goes_on() {
        let mut player = joined(Mode::LowLatency, LIVE);
        fetch_all(&mut player);
        let later = LIVE
            .replace("SEQUENCE:100", "SEQUENCE:200")
            .replace("-p", "-q");
        let list = media(&later);
        let outcome = player.on_answer(0, RELOAD, Answer::Media(&list));
        assert_eq!(outcome, Err(Fault::LeftBehind));
        assert!(fetch_all(&mut player).contains(&"/live/ch/v/e-q8.m4s".to_owned()));
    }

    #[test]
    fn an_error_is_followed_by_a_plain_reload_after_a_second() {
        let mut player = joined(Mode::LowLatency, LIVE);
        fetch_all(&mut player);
        player.on_answer(500, RELOAD, Answer::Failed).unwrap();
        assert_eq!(player.wake_at_us(), Some(1_000_500));
        player.wake(1_000_499);
        assert!(asked(&mut player).is_empty());
        player.wake(1_000_500);
        assert_eq!(asked(&mut player), [BASE]);
        assert_eq!(player.wake_at_us(), None);
    }

    #[test]
    fn a_start_that_fails_is_tried_again() {
        let mut player = Player::new(Mode::Plain, BASE.into());
        asked(&mut player);
        player
            .on_answer(0, What::Multivariant, Answer::Failed)
            .unwrap();
        assert!(asked(&mut player).is_empty());
        player.wake(RETRY_US);
        assert_eq!(asked(&mut player), [BASE]);
    }

    #[test]
    fn plain_players_poll_and_take_whole_segments() {
        let mut player = joined(Mode::Plain, LIVE);
        assert_eq!(
            fetch_all(&mut player),
            [
                "/live/ch/v/e-i0.mp4",
                "/live/ch/v/e-s100.m4s",
                "/live/ch/v/e-s101.m4s"
            ]
        );
        assert_eq!(player.wake_at_us(), Some(2_000_000));
        player.wake(2_000_000);
        assert_eq!(asked(&mut player), [BASE]);
        let list = media(LIVE);
        let what = What::Playlist { track: 0 };
        player
            .on_answer(2_000_000, what, Answer::Media(&list))
            .unwrap();
        assert_eq!(player.wake_at_us(), Some(3_000_000), "nothing was new");
    }

    #[test]
    fn an_ended_playlist_is_played_out_and_left_alone() {
        let ended = LIVE.replace("#EXT-X-PRELOAD-HINT", "#EXT-X-ENDLIST\n#");
        let mut player = joined(Mode::LowLatency, &ended);
        let all = fetch_all(&mut player);
        assert!(all.iter().all(|target| !target.contains("m3u8")), "{all:?}");
        assert_eq!(player.wake_at_us(), None);
    }

    #[test]
    fn gaps_are_passed_over() {
        let text = LIVE
            .replace(
                "#EXTINF:2.00000,\nv/e-s100",
                "#EXT-X-GAP\n#EXTINF:2.00000,\nv/e-s100",
            )
            .replace("URI=\"v/e-p5.m4s\"", "URI=\"v/e-p5.m4s\",GAP=YES");
        let mut player = joined(Mode::LowLatency, &text);
        assert!(!fetch_all(&mut player).contains(&"/live/ch/v/e-p5.m4s".to_owned()));
        let mut player = joined(Mode::Plain, &text);
        assert!(!fetch_all(&mut player).contains(&"/live/ch/v/e-s100.m4s".to_owned()));
    }

    #[test]
    fn every_track_of_a_presentation_is_followed() {
        let mut player = Player::new(Mode::LowLatency, "/live/ch/index.m3u8".into());
        asked(&mut player);
        let chosen = Multivariant {
            playlists: vec!["/live/ch/v.m3u8".into(), "/live/ch/a.m3u8".into()],
        };
        player
            .on_answer(0, What::Multivariant, Answer::Multivariant(&chosen))
            .unwrap();
        assert_eq!(asked(&mut player), ["/live/ch/v.m3u8", "/live/ch/a.m3u8"]);
    }
}
