//! The decision on a blocking reload, and on a request for a hinted part
//! (rfc8216bis section 6.2.5).
//!
//! Everything here is a pure function of the channel and the request, so each
//! URL has the same answer on every core and for every viewer.

use std::fmt;
use std::sync::Arc;

use crate::hls::List;
use crate::media::channel::{Channel, State, Targets};
use crate::media::window::{Edge, Part, Window};

/// The delivery directives of one query (section 6.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn`
    pub msn: Option<u64>,
    /// `_HLS_part`
    pub part: Option<u64>,
    /// `_HLS_skip`
    pub skip: Option<Skip>,
}

/// Values of `_HLS_skip` that the standard defines; others are no directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// `YES`: leave out old segments.
    Segments,
    /// `v2`: leave out old segments and date ranges.
    SegmentsAndDateRanges,
}

/// What is wrong with a query; the answer is 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDirective {
    /// Not a decimal number of 64 bits.
    Number(&'static str),
    /// Given twice with different values.
    Twice(&'static str),
}

impl BadDirective {
    /// A sentence for the body of the answer.
    pub fn message(self) -> &'static str {
        match self {
            Self::Number("_HLS_part") => "_HLS_part is not a decimal number",
            Self::Number(_) => "_HLS_msn is not a decimal number",
            Self::Twice("_HLS_part") => "_HLS_part is given twice with different values",
            Self::Twice("_HLS_skip") => "_HLS_skip is given twice with different values",
            Self::Twice(_) => "_HLS_msn is given twice with different values",
        }
    }
}

impl fmt::Display for BadDirective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for BadDirective {}

impl Directives {
    /// Reads a raw query, without its `?`.
    ///
    /// Order does not matter. Foreign parameters and directives that are not
    /// known here are opaque. Percent-encoding is not undone: no digit needs
    /// it. A directive may be repeated with the same value only, because which
    /// of two values a cache would key on is anyone's guess.
    pub fn parse(query: &str) -> Result<Self, BadDirective> {
        let mut directives = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => set(&mut directives.msn, number("_HLS_msn", value)?, "_HLS_msn")?,
                "_HLS_part" => set(
                    &mut directives.part,
                    number("_HLS_part", value)?,
                    "_HLS_part",
                )?,
                "_HLS_skip" => {
                    let skip = match value {
                        "YES" => Skip::Segments,
                        "v2" => Skip::SegmentsAndDateRanges,
                        _ => continue,
                    };
                    set(&mut directives.skip, skip, "_HLS_skip")?;
                }
                _ => {}
            }
        }
        Ok(directives)
    }
}

/// A position of a playlist that a parked request waits for.
///
/// A list of parked requests may be kept in the order of this key: of each
/// kind, those that [`Want::is_met`] are the first ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// A whole segment with this number or a later one.
    Segment(u64),
    /// This part or a later one.
    Part {
        /// Media sequence number.
        msn: u64,
        /// Index in the segment. Past the end of the segment it means the
        /// first part of the next.
        part: u64,
    },
}

impl Want {
    /// Whether a playlist drawn from `window` lists it.
    ///
    /// The plain order of `(msn, part)` gives the rule for indexes past the end
    /// of a segment as well: a segment that closes with too few parts leaves
    /// the edge below them, and the first part of the next lies above them.
    pub fn is_met(&self, window: &Window) -> bool {
        match *self {
            Self::Segment(msn) => window.last_whole().is_some_and(|newest| newest.msn >= msn),
            Self::Part { msn, part } => {
                window.edge().is_some_and(|edge| edge >= Edge { msn, part })
            }
        }
    }
}

/// What to do with a request for a media playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with the playlist as it stands.
    Ready,
    /// Hold until the window meets this, the channel ends, the track is
    /// overdue ([`OVERDUE`] then) or [`hold_ms`] has passed (503 then).
    Park {
        /// What it waits for.
        until: Want,
    },
    /// Refuse at once.
    Refuse {
        /// Status code.
        status: u16,
        /// A sentence for the body.
        message: &'static str,
    },
}

impl Decision {
    fn bad_request(message: &'static str) -> Self {
        Self::Refuse {
            status: 400,
            message,
        }
    }
}

/// A refusal with one reason, [`OVERDUE`] or [`WITHDRAWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// A sentence for the body.
    pub message: &'static str,
}

/// A blocking request for a track whose edge has stood still for too long.
///
/// It could be held for up to three target durations (section 6.2.5.2), but
/// AVPlayer fetches no media while a reload of its is held: a viewer in the
/// past would starve beside the media that it could have. So nobody is held any
/// more once a track has missed its cadence. The answer can't be 200, since the
/// asked position is not there, nor anything but 503, which players answer by
/// asking without directives; those requests go on getting the newest version.
pub const OVERDUE: Refusal = Refusal {
    status: 503,
    message: "the encoder is late; ask without _HLS_msn",
};

/// A request for a playlist of a channel that was withdrawn (section 6.2.1).
pub const WITHDRAWN: Refusal = Refusal {
    status: 410,
    message: "the channel is over",
};

impl From<Refusal> for Decision {
    fn from(Refusal { status, message }: Refusal) -> Self {
        Self::Refuse { status, message }
    }
}

/// Decides on a request with a raw query, and says which directives it obeys.
///
/// An ended playlist ignores its directives (section 6.2.5.2), malformed ones
/// too, which is why the query is read here and not before.
pub fn decide_query(
    channel: &Channel,
    window: &Window,
    list: List,
    query: &str,
    strict_part_limit: bool,
) -> (Decision, Directives) {
    let none = Directives::default();
    match Directives::parse(query) {
        _ if channel.state().is_over() => (over(channel), none),
        Ok(directives) => (
            decide(channel, window, list, &directives, strict_part_limit),
            directives,
        ),
        Err(bad) => (Decision::bad_request(bad.message()), none),
    }
}

/// The answer to every request once nothing changes any more.
fn over(channel: &Channel) -> Decision {
    match channel.state() {
        State::Gone => WITHDRAWN.into(),
        _ => Decision::Ready,
    }
}

/// Decides on a request whose query was well formed.
///
/// A request without directives is answered at once, but for the first segment
/// of a track: a list without one is legal and useless.
///
/// `strict_part_limit` refuses part indexes past the Advance Part Limit. The
/// standard says SHOULD, but hls.js without its low-latency mode asks for the
/// last index of the next segment and trips over it.
pub fn decide(
    channel: &Channel,
    window: &Window,
    list: List,
    directives: &Directives,
    strict_part_limit: bool,
) -> Decision {
    if channel.state().is_over() {
        return over(channel);
    }
    let until = match (directives.msn, directives.part) {
        (None, None) => Want::Segment(0),
        (None, Some(_)) => return Decision::bad_request("_HLS_part needs _HLS_msn"),
        (Some(msn), Some(part)) if lists_parts(channel, window, list) => Want::Part { msn, part },
        (Some(msn), _) => Want::Segment(msn),
    };
    let msn = directives.msn.unwrap_or_default();
    if furthest_msn(window).is_some_and(|furthest| msn > furthest) {
        return Decision::bad_request("_HLS_msn is too far ahead");
    }
    if strict_part_limit
        && let Want::Part { msn, part } = until
        && is_past_part_limit(channel, window, msn, part)
    {
        return Decision::bad_request("_HLS_part is too far ahead");
    }
    if until.is_met(window) {
        Decision::Ready
    } else if window.is_overdue() {
        OVERDUE.into()
    } else {
        Decision::Park { until }
    }
}

/// How long a request is held before it is refused with 503: three target
/// durations (section 6.2.5.2).
pub fn hold_ms(targets: &Targets) -> u64 {
    3 * u64::from(targets.segment_s) * 1000
}

/// The Advance Part Limit in parts (section 6.2.5.2); `None` without parts. A
/// fraction is rounded up, in favour of the player.
pub fn advance_part_limit(targets: &Targets) -> Option<u64> {
    let part_us = u64::from(targets.part_us?);
    Some(if part_us > 0 && part_us < 1_000_000 {
        3_000_000u64.div_ceil(part_us)
    } else {
        3
    })
}

/// What to do with a request for a part by its number.
#[derive(Clone, Debug)]
pub enum PartDecision {
    /// Here it is.
    Ready(Arc<Part>),
    /// Hinted, or so near that another origin of the same media may have
    /// hinted it: hold until the window has it or moved past it.
    Park,
    /// 410: it has left memory.
    Gone,
    /// 404 for good: a hint that was given up, or a gap.
    Missing,
    /// 404 for now: nothing announces it.
    Unknown,
}

/// Decides on a request for part `number`.
///
/// Part numbers are milliseconds of media time, so most numbers never exist.
/// Ahead of the hint, numbers within three part targets of it may be what a
/// twin behind the same cache has hinted; a cache that keeps a 404 for them
/// hurts on-time players, so they are held like the hint itself.
pub fn decide_part(channel: &Channel, window: &Window, number: u64) -> PartDecision {
    if let Some(part) = window.part(number) {
        return if part.gap {
            PartDecision::Missing
        } else {
            PartDecision::Ready(Arc::clone(part))
        };
    }
    let (Some(first), Some(part_us)) = (
        window.first_part(),
        channel.targets().and_then(|t| t.part_us),
    ) else {
        return PartDecision::Unknown;
    };
    let hinted = window.next_part();
    if number < first {
        PartDecision::Gone
    } else if number < hinted {
        PartDecision::Missing
    } else if channel.state().is_over() {
        PartDecision::Unknown
    } else if number - hinted <= 3 * u64::from(part_us) / 1000 {
        PartDecision::Park
    } else {
        PartDecision::Unknown
    }
}

/// Without parts an open segment is not listed, so only whole ones count.
fn lists_parts(channel: &Channel, window: &Window, list: List) -> bool {
    let parts = channel.targets().and_then(|targets| targets.part_us);
    parts.is_some() && window.lists_parts() && list == List::Media
}

fn number(name: &'static str, value: &str) -> Result<u64, BadDirective> {
    // `u64::from_str` takes a sign, which is not in the grammar of a
    // decimal-integer (section 4.2).
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if digits { value.parse().ok() } else { None };
    parsed.ok_or(BadDirective::Number(name))
}

fn set<T: PartialEq>(
    slot: &mut Option<T>,
    value: T,
    name: &'static str,
) -> Result<(), BadDirective> {
    match slot {
        Some(earlier) if *earlier != value => Err(BadDirective::Twice(name)),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// The furthest number that is worth waiting for: two past the newest whole
/// segment, which is the wider reading of "the last Media Segment" for a
/// player and the narrower one for us. Unknown before any media.
fn furthest_msn(window: &Window) -> Option<u64> {
    if let Some(whole) = window.last_whole() {
        return Some(whole.msn.saturating_add(2));
    }
    window.open().map(|open| open.msn.saturating_add(1))
}

/// Whether `(msn, part)` lies past the newest part by more than the limit. How
/// many parts an open segment will have is not known, so parts are counted as
/// if every segment up to `msn` closed with what it has: a request is refused
/// only when it is too far under any outcome.
fn is_past_part_limit(channel: &Channel, window: &Window, msn: u64, part: u64) -> bool {
    let (Some(edge), Some(limit)) = (
        window.edge(),
        channel.targets().and_then(advance_part_limit),
    ) else {
        return false;
    };
    let ahead = match msn.checked_sub(edge.msn) {
        None => 0,
        Some(0) => part.saturating_sub(edge.part),
        Some(segments) => part.saturating_add(segments),
    };
    ahead > limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hls::testing::{self, Script};
    use crate::media::policy::PartAddressing;

    const PARK: &str = "park";
    const NOW: &str = "now";
    const BAD: &str = "400";
    const LATE: &str = "503";
    const GONE: &str = "410";

    fn outcome(script: &Script, query: &str, strict: bool) -> &'static str {
        match decide_query(
            &script.channel,
            script.window("v1"),
            List::Media,
            query,
            strict,
        )
        .0
        {
            Decision::Ready => NOW,
            Decision::Park { .. } => PARK,
            Decision::Refuse { status: 400, .. } => BAD,
            Decision::Refuse { status: 410, .. } => GONE,
            Decision::Refuse { status: 503, .. } => LATE,
            Decision::Refuse { .. } => "other",
        }
    }

    #[test]
    fn s6_2_5_2_the_table_of_decisions_row_by_row() {
        let script = testing::reference_state();
        // Query, answer with lenient parts, answer with the strict limit.
        let table = [
            ("", NOW, NOW),
            ("_HLS_msn=90", NOW, NOW),
            ("_HLS_msn=109", NOW, NOW),
            ("_HLS_msn=109&_HLS_part=3", NOW, NOW),
            ("_HLS_msn=109&_HLS_part=4", NOW, NOW),
            ("_HLS_msn=110", PARK, PARK),
            ("_HLS_msn=110&_HLS_part=1", NOW, NOW),
            ("_HLS_msn=110&_HLS_part=2", PARK, PARK),
            ("_HLS_msn=110&_HLS_part=4", PARK, PARK),
            ("_HLS_msn=110&_HLS_part=7", PARK, PARK),
            ("_HLS_msn=110&_HLS_part=8", PARK, BAD),
            ("_HLS_msn=111&_HLS_part=0", PARK, PARK),
            ("_HLS_msn=111&_HLS_part=3", PARK, PARK),
            ("_HLS_msn=111", PARK, PARK),
            ("_HLS_msn=112", BAD, BAD),
            ("_HLS_msn=113", BAD, BAD),
            ("_HLS_part=2", BAD, BAD),
            ("_HLS_msn=abc", BAD, BAD),
            ("_HLS_msn=-1", BAD, BAD),
            ("_HLS_msn=+1", BAD, BAD),
            ("_HLS_msn=", BAD, BAD),
            ("_HLS_msn=18446744073709551616", BAD, BAD),
            ("_HLS_msn=18446744073709551615", BAD, BAD),
            ("_HLS_msn=110&_HLS_part=x", BAD, BAD),
            ("_HLS_msn=110&_HLS_part=18446744073709551615", PARK, BAD),
            ("_HLS_skip=YES", NOW, NOW),
            ("_HLS_msn=110&_HLS_part=2&_HLS_skip=v2", PARK, PARK),
            ("_HLS_skip=maybe", NOW, NOW),
        ];
        for (query, lenient, strict) in table {
            assert_eq!(outcome(&script, query, false), lenient, "{query}");
            assert_eq!(outcome(&script, query, true), strict, "{query}, strict");
        }
        // Once the encoder is late, what would be held is refused and nothing
        // else changes.
        let mut late = script;
        late.overdue("v1");
        for (query, lenient, _) in table {
            let want = if lenient == PARK { LATE } else { lenient };
            assert_eq!(outcome(&late, query, false), want, "{query}, encoder late");
        }
        late.part("v1", 45_000);
        let next = "_HLS_msn=110&_HLS_part=3";
        assert_eq!(outcome(&late, next, false), PARK, "a part makes it good");
        for (state, want) in [(State::Ended, NOW), (State::Gone, GONE)] {
            let mut over = testing::reference_state();
            over.become_over(state);
            for (query, ..) in table {
                assert_eq!(outcome(&over, query, true), want, "{query}, {state}");
            }
        }
    }

    #[test]
    fn s6_2_5_2_a_whole_segment_is_waited_for_when_no_part_is_named() {
        let mut script = testing::reference_state();
        let (whole, part) = (Want::Segment(110), Want::Part { msn: 110, part: 2 });
        let past_the_end = Want::Part { msn: 110, part: 4 };
        let met = |script: &Script| {
            [whole, part, past_the_end].map(|want| want.is_met(script.window("v1")))
        };
        assert_eq!(met(&script), [false, false, false]);
        script.part("v1", 45_000);
        assert_eq!(met(&script), [false, true, false]);
        script.close("v1", 45_000);
        assert_eq!(
            met(&script),
            [true, true, false],
            "four parts: index 4 is the next segment's"
        );
        script.part("v1", 45_000);
        assert_eq!(met(&script), [true, true, true]);
    }

    #[test]
    fn s6_2_5_2_the_first_list_has_a_whole_segment() {
        let mut script = Script::new(2, Some(500_000)).video("v1");
        assert_eq!(
            outcome(&script, "_HLS_msn=5", false),
            PARK,
            "nothing is known to be too far"
        );
        script.start_at("v1", 7, 0);
        script.part("v1", 45_000);
        assert_eq!(outcome(&script, "", false), PARK);
        assert_eq!(outcome(&script, "_HLS_msn=6", false), PARK);
        assert_eq!(outcome(&script, "_HLS_msn=7&_HLS_part=0", false), NOW);
        assert_eq!(outcome(&script, "_HLS_msn=8", false), PARK);
        assert_eq!(outcome(&script, "_HLS_msn=9", false), BAD);
        script.close("v1", 45_000);
        assert_eq!(outcome(&script, "", false), NOW);
        assert_eq!(outcome(&script, "_HLS_msn=6", false), NOW);
    }

    #[test]
    fn parked_requests_are_met_in_the_order_of_their_key() {
        let mut script = testing::reference_state();
        for _ in 0..12 {
            let window = script.window("v1");
            let met = |want: &Want| want.is_met(window);
            let segments: Vec<_> = (98..114).map(Want::Segment).collect();
            let parts = (109..114).flat_map(|msn| (0..7).map(move |part| Want::Part { msn, part }));
            let parts: Vec<_> = parts.collect();
            assert!(segments.is_sorted() && segments.is_sorted_by_key(|want| !met(want)));
            assert!(parts.is_sorted() && parts.is_sorted_by_key(|want| !met(want)));
            let ends = window.open().is_some_and(|open| open.parts.len() == 3);
            if ends {
                script.close("v1", 45_000)
            } else {
                script.part("v1", 45_000)
            }
        }
    }

    #[test]
    fn s6_2_5_2_without_parts_only_whole_segments_answer() {
        let mut script = Script::new(2, None).video("v1");
        script.segment("v1", &[180_000]);
        script.part("v1", 90_000);
        assert_eq!(outcome(&script, "_HLS_msn=0&_HLS_part=0", true), NOW);
        assert_eq!(outcome(&script, "_HLS_msn=1&_HLS_part=0", true), PARK);
        script.close("v1", 90_000);
        assert_eq!(outcome(&script, "_HLS_msn=1&_HLS_part=0", true), NOW);
    }

    #[test]
    fn s6_2_5_directives_are_read_in_any_order_among_foreign_parameters() {
        let want = Directives {
            msn: Some(7),
            part: Some(2),
            skip: Some(Skip::Segments),
        };
        for query in [
            "_HLS_msn=7&_HLS_part=2&_HLS_skip=YES",
            "_HLS_skip=YES&_HLS_part=2&_HLS_msn=7",
            "token=a%3Db&_HLS_part=2&x&_HLS_msn=7&&_HLS_new=1&_HLS_skip=YES&",
            "_HLS_msn=7&_HLS_msn=7&_HLS_part=2&_HLS_skip=YES",
        ] {
            assert_eq!(Directives::parse(query), Ok(want), "{query}");
        }
        assert_eq!(
            Directives::parse("_HLS_msn=%37"),
            Err(BadDirective::Number("_HLS_msn"))
        );
        assert_eq!(
            Directives::parse("_HLS_msn=7&_HLS_msn=8"),
            Err(BadDirective::Twice("_HLS_msn"))
        );
        assert_eq!(
            Directives::parse("_HLS_skip=YES&_HLS_skip=v2"),
            Err(BadDirective::Twice("_HLS_skip"))
        );
        let all = [
            BadDirective::Number("_HLS_part"),
            BadDirective::Twice("_HLS_part"),
        ];
        assert!(
            all.iter()
                .all(|bad| bad.to_string().starts_with("_HLS_part "))
        );
    }

    #[test]
    fn s6_2_5_2_only_what_is_obeyed_makes_a_reload() {
        let obeyed = |script: &Script, query| {
            let window = script.window("v1");
            decide_query(&script.channel, window, List::Media, query, false).1
        };
        let mut script = testing::reference_state();
        assert_eq!(obeyed(&script, "a=1&_HLS_msn=109").msn, Some(109));
        for foreign in ["a_HLS_msn=109", "a=_HLS_msn=109", "%5FHLS_msn=109"] {
            assert_eq!(obeyed(&script, foreign), Directives::default(), "{foreign}");
        }
        script.end();
        assert_eq!(obeyed(&script, "_HLS_msn=109"), Directives::default());
    }

    #[test]
    fn s6_2_5_2_limits_follow_from_the_targets() {
        let targets = |segment_s, part_us| Targets {
            segment_s,
            part_us,
            window_ms: 60_000,
            part_addressing: PartAddressing::Url,
        };
        let limit = |part_us| advance_part_limit(&targets(2, part_us));
        assert_eq!(limit(Some(500_000)), Some(6));
        assert_eq!(limit(Some(333_340)), Some(9));
        assert_eq!(limit(Some(1_000_000)), Some(3));
        assert_eq!(limit(Some(2_000_000)), Some(3));
        assert_eq!(limit(None), None);
        assert_eq!(hold_ms(&targets(6, None)), 18_000);
    }

    #[test]
    fn s6_2_5_2_parts_of_a_track_of_whole_segments_mean_its_segments() {
        let text = testing::header(crate::media::cmaf::Kind::Text, 1000, "wvtt");
        let mut script = testing::reference_state().whole_segments().track("t", text);
        script.start_at("t", 100, 200_000);
        (0..10).for_each(|_| script.segment("t", &[2_000]));
        let window = script.window("t");
        let decide = |query| decide_query(&script.channel, window, List::Media, query, true).0;
        assert_eq!(decide("_HLS_msn=109&_HLS_part=3"), Decision::Ready);
        let until = Want::Segment(110);
        assert_eq!(decide("_HLS_msn=110&_HLS_part=0"), Decision::Park { until });
        assert_eq!(
            decide("_HLS_msn=110&_HLS_part=90"),
            Decision::Park { until }
        );
    }

    #[test]
    fn s6_2_6_parts_are_served_held_or_refused_by_their_number() {
        let mut script = testing::reference_state();
        script.evict("v1", 100, 100);
        let decide = |script: &Script, number| match decide_part(
            &script.channel,
            script.window("v1"),
            number,
        ) {
            PartDecision::Ready(part) => {
                assert_eq!(part.number, number);
                "ready"
            }
            PartDecision::Park => PARK,
            PartDecision::Gone => "410",
            PartDecision::Missing => "404 for good",
            PartDecision::Unknown => "404",
        };
        assert_eq!(decide(&script, 400), "ready");
        assert_eq!(decide(&script, 441), "ready");
        assert_eq!(decide(&script, 442), PARK);
        assert_eq!(
            decide(&script, 442 + 1500),
            PARK,
            "three part targets past the hint"
        );
        assert_eq!(decide(&script, 442 + 1501), "404");
        assert_eq!(decide(&script, u64::MAX), "404");
        assert_eq!(decide(&script, 399), "410");
        script.gap_part("v1", 45_000);
        assert_eq!(decide(&script, 442), "404 for good", "a gap has no bytes");
        script.end();
        assert_eq!(decide(&script, 441), "ready");
        assert_eq!(decide(&script, 443), "404", "no hint outlives the end");

        let sparse = testing::sparse_numbers();
        assert_eq!(
            decide(&sparse, 1),
            "404 for good",
            "between two numbers that exist"
        );
        let empty = Script::new(2, Some(500_000)).video("v1");
        assert_eq!(decide(&empty, 0), "404");
    }
}
