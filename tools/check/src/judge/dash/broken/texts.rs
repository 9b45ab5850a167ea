use crate::judge::dash::testing::*;
use crate::judge::dash::text;
use crate::judge::testing::{Case, answer, assert_only, edited, with_header};
use crate::rule::*;
use crate::verdict::Level::{Fail, Warn};

#[test]
fn good_mpds_have_no_finding() {
    for text in [by_number(), timeline(3, 9)] {
        let found = judged(|on| text::mpd(on, &mpd(&text)));
        assert_eq!(found, [], "{text}");
    }
}

#[test]
fn single_mpds_fail_for_the_right_reason() {
    let numbers = by_number();
    let times = timeline(3, 9);
    let edit = |from: &str, to: &str| edited(&numbers, from, to);
    let of_timeline = |from: &str, to: &str| edited(&times, from, to);
    let representation = "<Representation id=\"v1\"";
    let table: Vec<Case<String>> = vec![
        (
            "namespace",
            edit("schema:mpd:2011", "schema:mpd:2012"),
            D1,
            Fail,
            "5.2",
            "the root is",
        ),
        (
            "no bandwidth",
            edit(" minBufferTime=\"PT0.5S\"", ""),
            D1,
            Fail,
            "B",
            "an attribute is missing",
        ),
        (
            "type",
            edit("startWithSAP=\"1\"", "startWithSAP=\"9\""),
            D1,
            Fail,
            "B",
            "not of its type",
        ),
        (
            "order",
            edit(
                "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-xsdate:2014\" value=\"/time\"/>\n</MPD>",
                "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-xsdate:2014\" value=\"/time\"/><SupplementalProperty schemeIdUri=\"u\"/>\n</MPD>",
            ),
            D1,
            Fail,
            "B",
            "another order",
        ),
        (
            "profile",
            edit("urn:mpeg:dash:profile:isoff-live:2011,", ""),
            D2,
            Fail,
            "8.4",
            "no profile of live",
        ),
        (
            "start time",
            edit(" availabilityStartTime=\"1970-01-01T00:00:00Z\"", ""),
            D2,
            Fail,
            "5.3.1.2",
            "no availabilityStartTime",
        ),
        (
            "publish time",
            edit(" publishTime=\"1970-01-01T00:16:40Z\"", ""),
            D2,
            Fail,
            "5.3.1.2",
            "no publishTime",
        ),
        (
            "zone",
            edit(
                "availabilityStartTime=\"1970-01-01T00:00:00Z\"",
                "availabilityStartTime=\"1970-01-01T00:00:00\"",
            ),
            D2,
            Warn,
            "Shaka",
            "not in UTC",
        ),
        (
            "no update",
            edit(" minimumUpdatePeriod=\"PT2S\"", ""),
            D2,
            Warn,
            "5.3.1.2",
            "no minimumUpdatePeriod",
        ),
        (
            "no window",
            edit(" timeShiftBufferDepth=\"PT8S\"", ""),
            D2,
            Warn,
            "5.3.1.2",
            "stay for ever",
        ),
        (
            "long segments",
            edit("maxSegmentDuration=\"PT2S\"", "maxSegmentDuration=\"PT1S\""),
            D2,
            Fail,
            "5.3.1.2",
            "longer than maxSegmentDuration",
        ),
        (
            "LL profile",
            edit(",http://www.dashif.org/guidelines/low-latency-live-v5", ""),
            D3,
            Warn,
            "low-latency",
            "profile of low latency",
        ),
        (
            "no target",
            edit(" target=\"2000\"", ""),
            D3,
            Fail,
            "K.4",
            "without ServiceDescription/Latency@target",
        ),
        (
            "min above target",
            edit("min=\"1500\"", "min=\"2500\""),
            D3,
            Fail,
            "K.4",
            "in order",
        ),
        (
            "rates",
            edit("min=\"0.96\"", "min=\"1.01\""),
            D3,
            Warn,
            "low-latency",
            "span 1",
        ),
        (
            "no reference",
            edit("referenceId=\"0\"", "referenceId=\"7\""),
            D3,
            Fail,
            "K.4",
            "names no ProducerReferenceTime",
        ),
        (
            "other clock",
            edit(
                "presentationTime=\"0\"><UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-xsdate",
                "presentationTime=\"0\"><UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso",
            ),
            D3,
            Fail,
            "5.12",
            "none of the MPD",
        ),
        (
            "complete",
            edit(" availabilityTimeComplete=\"false\"", ""),
            D3,
            Fail,
            "5.3.9.5.3",
            "availabilityTimeComplete is not false",
        ),
        (
            "too early",
            edit(
                "availabilityTimeOffset=\"1.5\"",
                "availabilityTimeOffset=\"2\"",
            ),
            D3,
            Fail,
            "5.3.9.5.3",
            "not below the duration",
        ),
        (
            "large buffer",
            edit("minBufferTime=\"PT0.5S\"", "minBufferTime=\"PT3S\""),
            D3,
            Warn,
            "ExoPlayer",
            "minBufferTime is above",
        ),
        (
            "Period id",
            edit("<Period id=\"p1\"", "<Period"),
            D4,
            Fail,
            "5.3.2.2",
            "no id",
        ),
        (
            "set id",
            edit("<AdaptationSet id=\"1\"", "<AdaptationSet"),
            D4,
            Warn,
            "5.3.3.2",
            "no id",
        ),
        (
            "mime",
            edit(" mimeType=\"video/mp4\"", ""),
            D4,
            Fail,
            "5.3.7.2",
            "no mimeType",
        ),
        (
            "codecs",
            edit(" codecs=\"avc1.42c01e\"", ""),
            D4,
            Fail,
            "5.3.7.2",
            "no codecs",
        ),
        (
            "twice",
            edit(
                representation,
                &format!("{representation} bandwidth=\"1\" codecs=\"avc1\"/>{representation}"),
            ),
            D4,
            Fail,
            "5.3.5.2",
            "have one id",
        ),
        (
            "neither",
            edit("$Number$", "x"),
            D4,
            Fail,
            "5.3.9.4",
            "neither $Number$ nor $Time$",
        ),
        (
            "header",
            edit(" initialization=\"$RepresentationID$/h.mp4\"", ""),
            D4,
            Fail,
            "5.3.9.4",
            "nothing names the header",
        ),
        (
            "no duration",
            edit(" duration=\"2000\"", ""),
            D4,
            Fail,
            "5.3.9.4",
            "neither a duration nor a timeline",
        ),
        (
            "both",
            of_timeline(" startNumber=\"4\"", " startNumber=\"4\" duration=\"2000\""),
            D4,
            Fail,
            "5.3.9.4",
            "both a duration and a timeline",
        ),
        (
            "parts",
            edit("$Number$", "$Number$_$SubNumber$"),
            D4,
            Fail,
            "sequences",
            "do not come together",
        ),
        (
            "overlap",
            of_timeline("r=\"5\"/>", "r=\"5\"/><S t=\"17999\" d=\"2000\"/>"),
            D5,
            Fail,
            "5.3.9.6",
            "before the one before it ends",
        ),
        (
            "before its Period",
            of_timeline(
                "startNumber=\"4\"",
                "startNumber=\"4\" presentationTimeOffset=\"18000\"",
            ),
            D5,
            Warn,
            "5.3.9.2",
            "before its Period",
        ),
        (
            "absolute",
            edit("media=\"$Rep", "media=\"http://h/$Rep"),
            D20,
            Warn,
            "practice",
            "absolute addresses",
        ),
        (
            "one id twice",
            edit("id=\"2\">", "id=\"1\">"),
            D18,
            Fail,
            "5.10.2",
            "two events",
        ),
        (
            "events back",
            edit("presentationTime=\"9\"", "presentationTime=\"4\""),
            D18,
            Fail,
            "5.10.2",
            "order of time",
        ),
        (
            "empty event",
            edit(">AAAA<", "><"),
            D18,
            Warn,
            "Shaka",
            "no message",
        ),
    ];
    for (name, text, rule, level, clause, what) in table {
        let found = judged(|on| text::mpd(on, &mpd(&text)));
        assert_only(&found, rule, level, clause, what, name);
    }
}

#[test]
fn answers_with_an_mpd_are_typed() {
    let good = [
        ("content-type", "application/dash+xml; charset=utf-8"),
        ("access-control-allow-origin", "*"),
        ("date", "Thu, 01 Jan 1970 00:16:40 GMT"),
        ("cache-control", "max-age=1"),
    ];
    let all = || {
        let plain = answer(200, by_number().as_bytes());
        good.iter().fold(plain, |answer, (name, value)| {
            with_header(answer, name, value)
        })
    };
    assert_eq!(judged(|on| text::typed(on, &all())), []);
    let table = [
        (
            "content-type",
            "text/xml",
            D1,
            Fail,
            "not sent as application/dash+xml",
        ),
        (
            "access-control-allow-origin",
            "",
            D20,
            Warn,
            "other origins",
        ),
        ("date", "", D20, Warn, "no Date"),
        ("cache-control", "", D20, Warn, "how long it may be kept"),
    ];
    for (name, value, rule, level, what) in table {
        let found = judged(|on| text::typed(on, &with_header(all(), name, value)));
        assert_only(&found, rule, level, "", what, name);
    }
}
