//! Queries of a blocking reload against windows of many shapes.

use std::sync::Arc;

use headwater::hls::List;
use headwater::hls::media::MediaPlaylist;
use headwater::hls::reload::{self, Decision, Directives, PartDecision};
use headwater::media::channel::{Change, Channel, State, Targets, TrackIndex, TrackInfo};
use headwater::media::cmaf::{Kind, Roles, SampleDefaults, TrackHeader};
use headwater::media::policy::PartAddressing;
use headwater::media::rope::Rope;
use headwater::media::window::{HeaderObject, Part, Segment};
use headwater::time::{Timescale, Wall};

const PART_TICKS: u64 = 18_000;
const TRACK: TrackIndex = TrackIndex(0);

/// The first bytes shape the channel, the rest is the query.
pub fn hls_reload(data: &[u8]) {
    let Some((&[flags, whole, open, part_10ms], query)) = data.split_first_chunk() else {
        return;
    };
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    let list = if flags & 4 != 0 {
        List::IFrames
    } else {
        List::Media
    };
    let (ended, strict) = (flags & 1 != 0, flags & 2 != 0);
    let channel = channel(u64::from(whole % 16), open % 8, part_10ms, ended);
    let window = &channel.track_at(TRACK).window;

    let (decision, obeyed) = reload::decide_query(&channel, window, list, query, strict);
    let skip = obeyed.skip;
    match Directives::parse(query) {
        _ if ended => assert_eq!(decision, Decision::Ready),
        Err(_) => assert!(matches!(decision, Decision::Refuse { status: 400, .. })),
        Ok(directives) => {
            assert_eq!(
                decision,
                reload::decide(&channel, window, list, &directives, strict)
            );
            let number = directives.msn.unwrap_or_default();
            let part = reload::decide_part(&channel, window, number);
            assert_eq!(
                matches!(part, PartDecision::Ready(_)),
                window.part(number).is_some()
            );
        }
    }
    if let Decision::Park { until } = decision {
        assert!(!until.is_met(window), "what is there is not waited for");
    }
    let version = MediaPlaylist::new(list).render(&channel, TRACK);
    assert!(!version.plain(skip).is_empty());
    assert!(!(ended && version.applied(skip).is_some()));
}

/// A channel of one track: `whole` segments of four parts, and `open` parts.
fn channel(whole: u64, open: u8, part_10ms: u8, ended: bool) -> Channel {
    let part_us = (part_10ms > 0).then_some(u32::from(part_10ms) * 10_000);
    let targets = Targets {
        segment_s: 1,
        part_us,
        window_ms: 60_000,
        part_addressing: PartAddressing::Url,
    };
    let header = HeaderObject {
        id: 1,
        track: header(),
    };
    let info = TrackInfo {
        name: "v".into(),
        header: header.track.clone(),
        frame_rate: None,
        in_parts: true,
    };
    let mut changes = vec![Change::Targets(targets), Change::Track(Arc::new(info))];
    let header = Arc::new(header);
    for msn in 0..whole {
        let next_part = (msn + 1) * 800;
        changes.push(Change::Close {
            track: TRACK,
            segment: segment(msn, 4, &header),
            next_part,
        });
    }
    if open > 0 {
        let next_part = whole * 800 + u64::from(open) * 200;
        changes.push(Change::Open {
            track: TRACK,
            segment: segment(whole, open, &header),
            next_part,
        });
    }
    changes.push(Change::State(if ended {
        State::Ended
    } else {
        State::Live
    }));
    let mut channel = Channel::new("c", "g");
    channel.apply(1, &changes);
    channel
}

fn segment(msn: u64, parts: u8, header: &Arc<HeaderObject>) -> Arc<Segment> {
    let start_ticks = msn * 4 * PART_TICKS;
    let part = |index: u64| Part {
        number: msn * 800 + index * 200,
        start_ticks: (start_ticks + index * PART_TICKS) as i64,
        duration_ticks: PART_TICKS,
        independent: index == 0,
        gap: false,
        first_sample_end: 0,
        body: Rope::from(b"moof".to_vec()),
    };
    Arc::new(Segment {
        msn,
        start_ticks: start_ticks as i64,
        presented_ticks: start_ticks as i64,
        duration_ticks: u64::from(parts) * PART_TICKS,
        wall: Wall::default(),
        discontinuity: false,
        discontinuity_number: 0,
        header: Arc::clone(header),
        gap: false,
        parts: (0..u64::from(parts))
            .map(|index| Arc::new(part(index)))
            .collect(),
    })
}

fn header() -> TrackHeader {
    TrackHeader {
        track_id: 1,
        kind: Kind::Video,
        timescale: Timescale::new(90_000).expect("not zero"),
        codec: "avc1.64001f".into(),
        language: None,
        width: 1280,
        height: 720,
        display: (0, 0),
        transfer: None,
        sample_rate: 0,
        channels: 0,
        joint_objects: None,
        roles: Roles::default(),
        bitrate: None,
        edit_shift_ticks: 0,
        defaults: SampleDefaults::default(),
        encrypted: false,
        bytes: Default::default(),
        digest: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::hls_reload;

    #[test]
    fn the_corpus_passes() {
        let root = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/corpus/hls_reload"
        );
        let mut seen = 0;
        for entry in std::fs::read_dir(root).unwrap() {
            hls_reload(&std::fs::read(entry.unwrap().path()).unwrap());
            seen += 1;
        }
        assert!(seen > 0);
    }
}
