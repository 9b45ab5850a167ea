//! MPDs for tests, good until they are edited.

use crate::judge::dash::follow::{Follow, Snapshot};
use crate::judge::testing::{Short, found};
use crate::mpd::Mpd;
use crate::verdict::{Scope, Verdicts};

pub(super) const ADDRESS: &str = "http://h/live/c/manifest.mpd";
/// Seconds at which the Period of these MPDs starts.
pub(super) const START_S: i64 = 1000;

const HEAD: &str = r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" id="c" type="dynamic" profiles="urn:mpeg:dash:profile:isoff-live:2011,http://www.dashif.org/guidelines/low-latency-live-v5" availabilityStartTime="1970-01-01T00:00:00Z" publishTime="PUBLISHED" minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT8S" minBufferTime="PT0.5S" maxSegmentDuration="PT2S">
<PatchLocation ttl="60">patch.mpp?publishTime=PUBLISHED</PatchLocation>
<ServiceDescription id="0"><Latency referenceId="0" target="2000" min="1500" max="4000"/><PlaybackRate min="0.96" max="1.04"/></ServiceDescription>
<Period id="p1" start="PT1000S">
<EventStream schemeIdUri="urn:scte:scte35:2014:xml+bin" timescale="1000"><Event presentationTime="5" id="1">AAAA</Event><Event presentationTime="9" id="2">AAAA</Event></EventStream>
<AdaptationSet id="1" contentType="video" mimeType="video/mp4" startWithSAP="1" segmentAlignment="true">
<InbandEventStream schemeIdUri="urn:x" value="1"/>
<Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
PRT
TEMPLATE
<Representation id="v1" bandwidth="800000" codecs="avc1.42c01e" width="640" height="360" frameRate="30"/>
</AdaptationSet>
</Period>
<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="/time"/>
</MPD>"#;
const REFERENCE: &str = r#"<ProducerReferenceTime id="0" inband="true" type="encoder" wallClockTime="1970-01-01T00:16:40Z" presentationTime="0"><UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="/time"/></ProducerReferenceTime>"#;

/// A date so many seconds after 1970, within a day.
fn date(s: i64) -> String {
    format!(
        "1970-01-01T{:02}:{:02}:{:02}Z",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

fn with(template: &str, published_s: i64) -> String {
    // The schema has references before templates, and roles between.
    let text = HEAD.replace("PUBLISHED", &date(published_s));
    let text = text.replace("PRT\n", "").replace("TEMPLATE", template);
    text.replace("<Role ", &format!("{REFERENCE}\n<Role "))
}

/// Segments of 2 s by number, promised 1.5 s before their end.
pub(super) fn by_number() -> String {
    with(
        r#"<SegmentTemplate timescale="1000" duration="2000" startNumber="1" availabilityTimeOffset="1.5" availabilityTimeComplete="false" initialization="$RepresentationID$/h.mp4" media="$RepresentationID$/$Number$.m4s"/>"#,
        START_S,
    )
}

/// A timeline of which segments `from..to` of 2 s are left, published when the
/// last of them was promised.
pub(super) fn timeline(from: u64, to: u64) -> String {
    let runs = format!(r#"<S t="{}" d="2000" r="{}"/>"#, from * 2000, to - from - 1);
    let template = format!(
        r#"<SegmentTemplate timescale="1000" startNumber="{}" availabilityTimeOffset="1.5" availabilityTimeComplete="false" initialization="$RepresentationID$/h.mp4" media="$RepresentationID$/$Number$.m4s"><SegmentTimeline>{runs}</SegmentTimeline></SegmentTemplate>"#,
        from + 1
    );
    with(&template, promised_s(to))
}

/// Seconds since 1970 at which a timeline that ends with a segment is due.
pub(super) fn promised_s(to: u64) -> i64 {
    START_S + 2 * to as i64 - 1
}

pub(super) fn mpd(text: &str) -> Mpd {
    Mpd::parse(ADDRESS, text).expect("XML")
}

pub(super) fn snapshot(text: &str, seen_s: i64) -> Snapshot {
    Snapshot {
        seen_us: seen_s * 1_000_000,
        mpd: mpd(text),
        body: text.as_bytes().to_vec(),
        etag: Some(format!("\"{}\"", text.len() as i64 * 1000 + seen_s)),
    }
}

/// What is found in versions that come one after another.
pub(super) fn followed(versions: &[Snapshot]) -> Vec<Short> {
    let mut verdicts = Verdicts::new();
    let mut follow = Follow::default();
    for version in versions {
        follow.see(&mut verdicts.of("MPD"), version.clone());
    }
    found(&verdicts)
}

/// What one judge finds of one MPD.
pub(super) fn judged(judge: impl FnOnce(&mut Scope<'_>)) -> Vec<Short> {
    let mut verdicts = Verdicts::new();
    judge(&mut verdicts.of("v1"));
    found(&verdicts)
}
