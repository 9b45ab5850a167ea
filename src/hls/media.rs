//! The media playlist of one track (rfc8216bis section 4.4.3).
//!
//! A version is `[head][date ranges][settled segments][tail]`. What lies between
//! head and tail is kept as text that was rendered once; head and tail are short
//! and are written for every version, so that a part costs the same in any
//! window.

mod lines;

use std::rc::Rc;
use std::sync::Arc;

use crate::hls::List;
use crate::hls::block::Blocks;
use crate::hls::daterange::{self, DateRanges};
use crate::hls::gzip::{self, Deflater, Piece, Pieces};
use crate::hls::media::lines::Scope;
use crate::hls::reload::Skip;
use crate::media::channel::{Channel, Track, TrackIndex};
use crate::media::rope::Rope;
use crate::media::window::{Segment, Window};

/// One version of a media playlist, whole or as a delta update, as text or
/// compressed.
#[derive(Clone, Debug)]
pub struct Version {
    whole: Text,
    /// Where some segments are old enough to be left out.
    delta: Option<Delta>,
}

#[derive(Clone, Debug)]
struct Delta {
    without_segments: Text,
    /// Where all that left meanwhile is remembered.
    without_date_ranges: Option<Text>,
}

#[derive(Clone, Debug)]
struct Text {
    head: Rc<Piece>,
    date_ranges: Rc<Piece>,
    middle: Rc<Pieces>,
    tail: Rc<Piece>,
}

impl Version {
    /// What a request with this directive gets left out. Where no segment is old
    /// enough, or the playlist has ended, it gets the whole (section 6.2.5.1).
    pub fn applied(&self, skip: Option<Skip>) -> Option<Skip> {
        let delta = self.delta.as_ref()?;
        skip.filter(|skip| match skip {
            Skip::Segments => true,
            Skip::SegmentsAndDateRanges => delta.without_date_ranges.is_some(),
        })
    }

    /// The text.
    pub fn plain(&self, skip: Option<Skip>) -> Rope {
        let of = self.of(skip);
        let mut text = Rope::from(of.head.text().clone());
        text.push(of.date_ranges.text().clone());
        text.extend(of.middle.text());
        text.push(of.tail.text().clone());
        text
    }

    /// The text as one gzip member; what settled was compressed before.
    pub fn gzip(&self, skip: Option<Skip>, deflater: &mut Deflater) -> Rope {
        let of = self.of(skip);
        gzip::member(deflater, &[&of.head, &of.date_ranges], &of.middle, &of.tail)
    }

    fn of(&self, skip: Option<Skip>) -> &Text {
        match (&self.delta, skip) {
            (Some(delta), Some(Skip::Segments)) => &delta.without_segments,
            (Some(delta), Some(Skip::SegmentsAndDateRanges)) => {
                delta.without_date_ranges.as_ref().unwrap_or(&self.whole)
            }
            _ => &self.whole,
        }
    }
}

/// Draws the media playlist of one track, version after version.
///
/// It must be given the same life of the same channel every time. What it
/// remembers saves work and never shows: a new one draws the same text.
#[derive(Debug, Default)]
pub struct MediaPlaylist {
    list: List,
    settled: Blocks,
    date_ranges: DateRanges,
    segments_rendered: u64,
}

impl MediaPlaylist {
    /// A renderer of this list that has drawn nothing.
    pub fn new(list: List) -> Self {
        Self {
            list,
            ..Self::default()
        }
    }

    /// The playlist as the channel stands. Its targets must be settled, as they
    /// are in every channel that is served.
    ///
    /// Rendition reports show the other tracks as they stand now, so a version
    /// that is drawn later may report more.
    pub fn render(&mut self, channel: &Channel, index: TrackIndex) -> Version {
        let track = channel.track_at(index);
        let (window, scope) = (&track.window, Scope::new(channel, track, self.list));
        let first = window.listed().next().or_else(|| scope.open(window));
        self.settle(&scope, window, first);
        let mut tail = String::with_capacity(4096);
        self.live(&mut tail, &scope, window, first);
        scope.foot(&mut tail, window, index);
        let whole = Text {
            head: Piece::new(scope.head(window, first)),
            date_ranges: self.date_ranges.piece(channel.events()),
            middle: self.settled.shown(first.map_or(0, |first| first.msn)),
            tail: Piece::new(tail),
        };
        let delta = scope
            .kept_from(window)
            .map(|kept_msn| self.delta(&scope, track, kept_msn, &whole));
        Version { whole, delta }
    }

    /// Texts of segments written since the renderer was made.
    pub fn segments_rendered(&self) -> u64 {
        self.segments_rendered
    }

    /// Draws the delta updates of a version, the first segment of which is
    /// `kept_msn`.
    fn delta(&mut self, scope: &Scope<'_>, track: &Track, kept_msn: u64, whole: &Text) -> Delta {
        let window = &track.window;
        // What is kept is twice as long as what still changes, so the cut lies
        // within what has settled.
        assert!(kept_msn <= self.settled.next_msn(), "parts are kept");
        let without_segments = Text {
            head: Piece::new(scope.delta_head(window, kept_msn, None)),
            middle: self.settled.kept(kept_msn),
            ..whole.clone()
        };
        // A copy that this joins was drawn with the last segment that is left
        // out, so it has all that was told before that one became whole.
        let known = track.events_at(kept_msn - 1);
        let events = scope.events();
        let without_date_ranges = daterange::removed(events, known).map(|gone| Text {
            head: Piece::new(scope.delta_head(window, kept_msn, Some(&gone))),
            date_ranges: Piece::new(daterange::lines(events, known)),
            ..without_segments.clone()
        });
        Delta {
            without_segments,
            without_date_ranges,
        }
    }

    /// Writes what has become final and drops what is no longer listed.
    fn settle(&mut self, scope: &Scope<'_>, window: &Window, first: Option<&Arc<Segment>>) {
        let Some(first) = first else { return };
        self.settled.forget_before(first.msn);
        let live_from = scope.live_from(window).unwrap_or(first.msn);
        while self.settled.next_msn() < live_from {
            let msn = self.settled.next_msn();
            let segment = window.segment(msn).expect("listed segments have no hole");
            let mut text = String::with_capacity(160);
            scope.lead(&mut text, segment, before(window, msn));
            let lead_len = text.len();
            scope.whole(&mut text, segment, false);
            self.settled.settle(&text, lead_len);
            self.segments_rendered += 1;
        }
    }

    /// Writes the segments that still change: those that list their parts.
    fn live(
        &mut self,
        out: &mut String,
        scope: &Scope<'_>,
        window: &Window,
        first: Option<&Arc<Segment>>,
    ) {
        let first_msn = first.map_or(0, |first| first.msn);
        let listed = window.listed().rev();
        let unsettled = listed
            .take_while(|segment| segment.msn >= self.settled.next_msn())
            .count();
        for segment in window.listed().rev().take(unsettled).rev() {
            if segment.msn != first_msn {
                scope.lead(out, segment, before(window, segment.msn));
            }
            scope.whole(out, segment, true);
            self.segments_rendered += 1;
        }
        if let Some(open) = scope.open(window) {
            if open.msn != first_msn {
                scope.lead(out, open, before(window, open.msn));
            }
            scope.date_and_parts(out, open, true);
            self.segments_rendered += 1;
        }
    }
}

fn before(window: &Window, msn: u64) -> Option<&Arc<Segment>> {
    msn.checked_sub(1).and_then(|before| window.segment(before))
}

#[cfg(test)]
mod tests;
