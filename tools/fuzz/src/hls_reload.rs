//! Queries of a blocking reload against windows of any shape.

use headwater::hls::media::MediaPlaylist;
use headwater::hls::reload::{self, Decision, Directives, PartDecision};
use headwater::media::channel::{Change, Channel, State, Targets, TrackIndex};

/// The first bytes shape the channel, the rest is the query.
pub fn hls_reload(data: &[u8]) {
    let Some((&[flags, segment_s, part_10ms], query)) = data.split_first_chunk() else { return };
    let Ok(query) = std::str::from_utf8(query) else { return };
    let part_us = (part_10ms > 0).then_some(u32::from(part_10ms) * 10_000);
    let targets = Targets { segment_s: u32::from(segment_s), part_us, window_ms: 60_000 };
    let state = if flags & 1 == 0 { State::Live } else { State::Ended };
    let channel = channel(targets, state);
    let (index, strict) = (TrackIndex(0), flags & 2 != 0);
    let window = &channel.track_at(index).window;
    let decision = reload::decide_query(&channel, window, query, strict);
    match (state, Directives::parse(query)) {
        (State::Ended, _) => assert_eq!(decision, Decision::Ready),
        (_, Err(_)) => assert!(matches!(decision, Decision::Refuse { status: 400, .. })),
        (_, Ok(directives)) => {
            assert_eq!(decision, reload::decide(&channel, window, &directives, strict));
            let number = directives.msn.unwrap_or_default();
            let part = reload::decide_part(&channel, window, number);
            assert!(!matches!(part, PartDecision::Ready(_)), "there is no media");
        }
    }
    if let Decision::Park { until } = decision {
        assert!(!until.is_met(window), "what is there is not waited for");
    }
    MediaPlaylist::new().render(&channel, index);
}
