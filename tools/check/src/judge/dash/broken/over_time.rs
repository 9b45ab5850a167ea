use crate::judge::dash::follow::Snapshot;
use crate::judge::dash::patch::{self, Told};
use crate::judge::dash::testing::*;
use crate::judge::testing::{answer, assert_only, edited, with_header};
use crate::rule::*;
use crate::verdict::Level::{self, Fail, Warn};

/// Versions of a timeline, each looked at when it was due.
fn two() -> [String; 2] {
    [timeline(3, 9), timeline(4, 10)]
}

fn at(to: u64, text: &str) -> Snapshot {
    snapshot(text, promised_s(to))
}

#[test]
fn a_timeline_that_moves_on_has_no_finding() {
    let versions: Vec<_> = (9..20).map(|to| at(to, &timeline(to - 6, to))).collect();
    assert_eq!(followed(&versions), []);
    let same = [at(9, &timeline(3, 9)), at(9, &timeline(3, 9))];
    assert_eq!(followed(&same), []);
}

#[test]
fn updates_fail_for_the_right_reason() {
    let [first, second] = two();
    let edit = |from: &str, to: &str| edited(&second, from, to);
    let also = |first: &str, second: &str| [at(9, first), at(10, second)];
    let of = |text: String| also(&first, &text);
    let published = "publishTime=\"1970-01-01T00:16:59Z\"";
    let before = "publishTime=\"1970-01-01T00:16:57Z\"";
    let period = "<Period id=\"p1\" start=\"PT1000S\">";
    let both = |from: &str, to: &str| also(&edited(&first, from, to), &edit(from, to));
    let ended = edited(
        &first,
        period,
        "<Period id=\"p0\" start=\"PT900S\"/><Period id=\"p1\" start=\"PT1000S\">",
    );
    type Row<'a> = (&'a str, [Snapshot; 2], Rule, Level, &'a str);
    let table: Vec<Row<'_>> = vec![
        (
            "unpublished",
            of(edit(published, before)),
            D7,
            Fail,
            "publishTime does not rise",
        ),
        (
            "published only",
            also(&first, &first.replace(":57Z", ":58Z")),
            D7,
            Fail,
            "nothing else does",
        ),
        (
            "written otherwise",
            also(&first, &first.replace("></", "> </")),
            D7,
            Warn,
            "written otherwise",
        ),
        (
            "future",
            of(edit(published, "publishTime=\"1970-01-01T00:17:59Z\"")),
            D7,
            Fail,
            "in the future",
        ),
        (
            "id",
            of(edit(" id=\"c\"", " id=\"d\"")),
            D8,
            Fail,
            "id of the MPD changes",
        ),
        (
            "start",
            of(edit(
                "StartTime=\"1970-01-01T00:00:00Z\"",
                "StartTime=\"1970-01-01T00:00:00.001Z\"",
            )),
            D8,
            Fail,
            "availabilityStartTime changes",
        ),
        (
            "Period start",
            of(edit("start=\"PT1000S\"", "start=\"PT1000.001S\"")),
            D8,
            Fail,
            "start of a Period moves",
        ),
        (
            "Period gone",
            of(edit("Period id=\"p1\"", "Period id=\"p2\"")),
            D8,
            Fail,
            "no Period stays",
        ),
        (
            "Period inserted",
            of(edit(
                period,
                "<Period id=\"p0\" start=\"PT900S\"/><Period id=\"p1\" start=\"PT1000S\">",
            )),
            D8,
            Fail,
            "appears before one",
        ),
        (
            "Period ended",
            also(
                &ended,
                &edit(
                    period,
                    "<Period id=\"p0\" start=\"PT900S\" duration=\"PT90S\"/><Period id=\"p1\" start=\"PT1000S\">",
                ),
            ),
            D8,
            Fail,
            "end of a Period moves",
        ),
        (
            "codecs",
            of(edit("avc1.42c01e", "avc1.42c01f")),
            D8,
            Fail,
            "codecs of a Representation change",
        ),
        (
            "header",
            of(edit("/h.mp4", "/i.mp4")),
            D8,
            Fail,
            "header of a Representation changes",
        ),
        (
            "bandwidth",
            of(edit("800000", "800001")),
            D8,
            Warn,
            "bandwidth",
        ),
        (
            "vanished",
            of(edit("Representation id=\"v1\"", "Representation id=\"v2\"")
                .replace("\"$Rep", "\"v1$Rep")),
            D8,
            Fail,
            "vanishes from its Period",
        ),
        (
            "offset",
            of(edit(
                "timescale=\"1000\" start",
                "timescale=\"1000\" presentationTimeOffset=\"1\" start",
            )),
            D8,
            Fail,
            "presentationTimeOffset changes",
        ),
        (
            "names",
            of(edit("$Number$.m4s", "$Number$.mp4")),
            D8,
            Fail,
            "called otherwise",
        ),
        (
            "renumbered",
            of(edit("startNumber=\"5\"", "startNumber=\"1\"")),
            D8,
            Fail,
            "changes its number",
        ),
        (
            "hole",
            of(edit(
                "<S t=\"8000\" d=\"2000\" r=\"5\"/>",
                "<S t=\"8000\" d=\"2000\"/><S t=\"12000\" n=\"7\" d=\"2000\" r=\"3\"/>",
            )),
            D8,
            Fail,
            "vanishes from within",
        ),
        (
            "longer",
            of(edit(
                "<S t=\"8000\" d=\"2000\" r=\"5\"/>",
                "<S t=\"8000\" d=\"1999\"/><S t=\"10000\" d=\"2000\" r=\"4\"/>",
            )),
            D8,
            Fail,
            "changes its duration",
        ),
        (
            "the newest longer",
            of(edit(
                "<S t=\"8000\" d=\"2000\" r=\"5\"/>",
                "<S t=\"8000\" d=\"2000\" r=\"3\"/><S d=\"1990\"/><S t=\"18000\" d=\"2000\"/>",
            )),
            D8,
            Warn,
            "the newest segment lasts",
        ),
        (
            "window",
            both(
                "timeShiftBufferDepth=\"PT8S\"",
                "timeShiftBufferDepth=\"PT30S\"",
            ),
            D9,
            Fail,
            "while it is in the window",
        ),
    ];
    for (name, versions, rule, level, what) in table {
        assert_only(&followed(&versions), rule, level, "", what, name);
    }
}

#[test]
fn etags_go_with_the_text() {
    let [first, second] = two();
    let mut versions = [at(9, &first), at(10, &second)];
    versions[1].etag = versions[0].etag.clone();
    assert_only(
        &followed(&versions),
        D7,
        Fail,
        "8.8.3",
        "its ETag does not",
        "kept",
    );
    let mut versions = [at(9, &first), at(9, &first)];
    versions[1].etag = None;
    assert_only(
        &followed(&versions),
        D7,
        Fail,
        "8.8.3",
        "the MPD does not",
        "lost",
    );
}

#[test]
fn a_segment_listed_late_is_told_from_one_very_late() {
    let [first, second] = two();
    // Looks every 100 ms at what does not change, and then the change.
    let late = |by_ms: i64| {
        let mut all: Vec<Snapshot> = (0..=(1_400 + by_ms) / 100)
            .map(|step| {
                let mut one = at(9, &first);
                one.seen_us += step * 100_000;
                one
            })
            .collect();
        let mut last = at(10, &second);
        // It was promised half a second before a whole one.
        last.seen_us += by_ms * 1000 - 500_000;
        all.push(last);
        followed(&all)
    };
    assert_eq!(late(400), []);
    assert_only(&late(900), D9, Warn, "5.4", "after it should be", "late");
    let very = late(2_900);
    assert!(
        very.iter().any(|(rule, level, _, what)| {
            (*rule, *level) == (D9, Fail) && what.contains("its own duration late")
        }),
        "{very:?}"
    );
}

const PATCH: &str = r#"<Patch xmlns="urn:mpeg:dash:schema:mpd-patch:2020" mpdId="c" originalPublishTime="1970-01-01T00:16:57Z" publishTime="1970-01-01T00:16:59Z">
<replace sel="/MPD/@publishTime">1970-01-01T00:16:59Z</replace>
<replace sel="/MPD/PatchLocation[1]"><PatchLocation ttl="60">patch.mpp?publishTime=1970-01-01T00:16:59Z</PatchLocation></replace>
<replace sel="/MPD/Period[@id='p1']/AdaptationSet[@id='1']/SegmentTemplate/@startNumber">5</replace>
<replace sel="/MPD/Period[@id='p1']/AdaptationSet[@id='1']/SegmentTemplate/SegmentTimeline/S[1]/@t">8000</replace>
</Patch>"#;

#[test]
fn patches_lead_to_the_version_they_name() {
    let [before, after] = two().map(|text| at(9, &text));
    let judge = |text: &str, kind: &str| {
        let answer = with_header(answer(200, text.as_bytes()), "content-type", kind);
        let mut told = Told::Refused;
        let found = judged(|on| told = patch::leads(on, &before, &answer, std::iter::once(&after)));
        (found, told)
    };
    let kind = "application/dash-patch+xml";
    assert_eq!(judge(PATCH, kind), (Vec::new(), Told::Judged));
    let table = [
        (edited(PATCH, "mpdId=\"c\"", "mpdId=\"d\""), "mpdId is not"),
        (
            edited(
                PATCH,
                "originalPublishTime=\"1970-01-01T00:16:57Z\"",
                "originalPublishTime=\"1970-01-01T00:16:56Z\"",
            ),
            "originalPublishTime is not",
        ),
        (
            edited(PATCH, "mpd-patch:2020", "mpd:2011"),
            "not in its namespace",
        ),
        (edited(PATCH, "S[1]", "S[0]"), "cannot be applied"),
        (
            edited(PATCH, "@startNumber\">5", "@startNumber\">6"),
            "not the version that it leads to",
        ),
        (edited(PATCH, "</Patch>", ""), "cannot be read"),
    ];
    for (text, what) in table {
        assert_only(&judge(&text, kind).0, D16, Fail, "", what, what);
    }
    assert_only(
        &judge(PATCH, "text/xml").0,
        D16,
        Fail,
        "5.15",
        "not sent as",
        "type",
    );
    let other = PATCH.replace(":59Z", ":58Z");
    assert_eq!(judge(&other, kind), (Vec::new(), Told::Elsewhere));
    let missing = judged(|on| {
        patch::leads(on, &before, &answer(404, b""), std::iter::once(&after));
    });
    assert_only(&missing, D16, Fail, "5.15", "not there though", "missing");
    assert_eq!(judged(|on| patch::none_yet(on, &answer(425, b""))), []);
    assert_only(
        &judged(|on| patch::none_yet(on, &answer(404, b""))),
        D16,
        Warn,
        "8470",
        "never came",
        "404",
    );
    assert_only(
        &judged(|on| patch::none_yet(on, &answer(500, b""))),
        D16,
        Fail,
        "5.15",
        "otherwise than with 425",
        "500",
    );
    assert_only(
        &judged(|on| patch::stale(on, &answer(500, b""))),
        D16,
        Fail,
        "5.15",
        "too old",
        "stale",
    );
}
