//! Date ranges that an operator describes: JSON to statements, and events to
//! JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::json;

use crate::hls::daterange::date;
use crate::media::event::{Event, Role, Statement, Value};
use crate::time::{Micros, Wall};

/// What may be said of a date range; whatever is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    class: Option<String>,
    start: Option<String>,
    end: Option<String>,
    duration_s: Option<f64>,
    planned_duration_s: Option<f64>,
    #[serde(default)]
    end_on_next: bool,
    #[serde(default)]
    cue: Vec<String>,
    #[serde(default)]
    attributes: BTreeMap<String, serde_json::Value>,
}

/// Class of interstitials (appendix D).
const INTERSTITIAL: &str = "com.apple.hls.interstitial";
/// Longer spans are slips of the unit.
const SECONDS_MAX: f64 = 31_622_400.0;

/// Reads a description of the event `id`, of which `known` has been said. It
/// begins at `edge`, the present, where nothing else has been said.
pub fn read(id: &str, json: &[u8], known: Option<&Event>, edge: Wall) -> Result<Statement, String> {
    let said: Description = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let start = match &said.start {
        Some(start) => moment("start", start)?,
        // As it is printed, so that the description reads back.
        None => known.map_or_else(|| whole_ms(edge), Event::start),
    };
    let mut statement = Statement {
        class: said.class,
        end: said.end.map(|end| moment("end", &end)).transpose()?,
        duration: span("duration_s", said.duration_s)?,
        planned: span("planned_duration_s", said.planned_duration_s)?,
        until_next: said.end_on_next,
        ..Statement::new(id, start)
    };
    if let Some(class) = &statement.class {
        check_text("class", class)?;
    }
    if !said.cue.is_empty() {
        let cue = cue(&said.cue)?;
        statement.attributes.insert("CUE".to_owned(), cue);
    }
    for (name, value) in said.attributes {
        let value = attribute(&name, value)?;
        statement.attributes.insert(name, value);
    }
    check_interstitial(&statement, known)?;
    Ok(statement)
}

/// All that was said of an event.
pub fn document(event: &Event) -> serde_json::Value {
    let whole = event.whole();
    let seconds = |span: Micros| span.0 as f64 / 1e6;
    let mut out = json!({ "id": &**event.id(), "start": date(whole.start) });
    let mut put = |name: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            out[name] = value;
        }
    };
    put("class", whole.class.map(Into::into));
    put("end", whole.end.map(|end| date(end).into()));
    put(
        "duration_s",
        whole.duration.map(|span| seconds(span).into()),
    );
    let planned = whole.planned.map(|span| seconds(span).into());
    put("planned_duration_s", planned);
    put("end_on_next", whole.until_next.then_some(true.into()));
    let mut attributes = whole.attributes;
    if let Some(Value::Text(cue)) = attributes.remove("CUE") {
        put("cue", Some(cue.split(',').collect()));
    }
    let attributes: serde_json::Map<_, _> = attributes
        .into_iter()
        .map(|(name, value)| match value {
            Value::Text(text) => (name, text.into()),
            Value::Number(number) => (name, number.into()),
        })
        .collect();
    put(
        "attributes",
        (!attributes.is_empty()).then_some(attributes.into()),
    );
    let sections = [
        (Role::Out, "scte35_out"),
        (Role::In, "scte35_in"),
        (Role::Command, "scte35_cmd"),
    ];
    for (role, name) in sections {
        put(name, event.splice(role).map(|bytes| hex(bytes).into()));
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut out, byte| {
        write!(out, "{byte:02X}").expect("a string takes any text");
        out
    })
}

fn moment(name: &str, text: &str) -> Result<Wall, String> {
    let wall = Wall::parse(text);
    let wall =
        wall.ok_or_else(|| format!("{name} is not a date such as 2026-01-01T00:03:20.000Z"))?;
    Ok(whole_ms(wall))
}

/// Lists print milliseconds.
fn whole_ms(wall: Wall) -> Wall {
    Wall(wall.0.div_euclid(1000) * 1000)
}

fn span(name: &str, seconds: Option<f64>) -> Result<Option<Micros>, String> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(format!("{name} is not between 0 and {SECONDS_MAX}"));
    }
    Ok(Some(Micros((seconds * 1000.0).round() as i64 * 1000)))
}

fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.chars().any(|c| c == '"' || c.is_control()) {
        return Err(format!("{name} has a quote or a control character"));
    }
    Ok(())
}

fn cue(words: &[String]) -> Result<Value, String> {
    let known = words
        .iter()
        .all(|word| matches!(&word[..], "PRE" | "POST" | "ONCE"));
    let has = |word: &str| words.iter().filter(|own| *own == word).count();
    if !known || has("ONCE") > 1 || has("PRE") + has("POST") > 1 {
        return Err("cue is one of PRE and POST, with ONCE or without".to_owned());
    }
    Ok(Value::Text(words.join(",")))
}

fn attribute(name: &str, value: serde_json::Value) -> Result<Value, String> {
    let rest = name.strip_prefix("X-").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    if rest.is_empty() || name.len() > 64 || !rest.bytes().all(plain) {
        return Err(format!("attribute {name:?} is not X- and then A-Z 0-9 -"));
    }
    match value {
        serde_json::Value::String(text) => {
            check_text(name, &text)?;
            Ok(Value::Text(text))
        }
        // Lists have no exponents: what is out of this range is written long.
        serde_json::Value::Number(number) => number
            .as_f64()
            .filter(|number| *number == 0.0 || (1e-6..1e15).contains(&number.abs()))
            .map(Value::Number)
            .ok_or_else(|| format!("attribute {name} is out of range")),
        _ => Err(format!("attribute {name} is neither text nor a number")),
    }
}

/// An interstitial names one asset or one list of them (appendix D); either may
/// be relative, but then not to a folder, because I-frame playlists lie deeper.
fn check_interstitial(statement: &Statement, known: Option<&Event>) -> Result<(), String> {
    let whole = known.map(Event::whole);
    let class = statement.class.as_deref();
    let class = class.or_else(|| known.and_then(Event::class));
    if class != Some(INTERSTITIAL) {
        return Ok(());
    }
    let said = |name: &str| {
        let known = whole.as_ref().and_then(|whole| whole.attributes.get(name));
        statement.attributes.get(name).or(known)
    };
    match (said("X-ASSET-URI"), said("X-ASSET-LIST")) {
        (Some(Value::Text(_)), None) | (None, Some(Value::Text(_))) => Ok(()),
        _ => Err("an interstitial has one of X-ASSET-URI and X-ASSET-LIST".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::event::Told;

    const EDGE: Wall = Wall(1_767_225_800_250_999);

    fn said(json: &str) -> Result<Statement, String> {
        read("a", json.as_bytes(), None, EDGE)
    }

    fn event(statement: Statement) -> Event {
        let told = vec![Told {
            since: 1,
            statement: statement.into(),
        }];
        Event { told }
    }

    #[test]
    fn a_description_reads_back_as_it_was_written() {
        let json = r#"{"class": "a.b", "start": "2026-01-01T01:03:20+01:00", "duration_s": 30.25,
            "planned_duration_s": 30, "cue": ["PRE", "ONCE"],
            "attributes": {"X-URI": "../a?b=c", "X-N": -0.5}}"#;
        let statement = said(json).unwrap();
        assert_eq!(statement.start.rfc3339(), "2026-01-01T00:03:20.000Z");
        assert_eq!(statement.duration, Some(Micros(30_250_000)));
        let document = document(&event(statement.clone())).to_string();
        let want = r#"{"attributes":{"X-N":-0.5,"X-URI":"../a?b=c"},"class":"a.b","cue":["PRE","ONCE"],"duration_s":30.25,"id":"a","planned_duration_s":30.0,"start":"2026-01-01T00:03:20.000Z"}"#;
        assert_eq!(document, want);
        let again = document.replace(r#""id":"a","#, "");
        assert_eq!(said(&again), Ok(statement));
    }

    #[test]
    fn without_a_start_it_begins_now_and_later_where_it_began() {
        let first = said("{}").unwrap();
        assert_eq!(first.start.rfc3339(), "2026-01-01T00:03:20.250Z");
        let known = event(first.clone());
        let later = Wall(EDGE.0 + 9_000_000);
        let more = read("a", br#"{"duration_s": 9}"#, Some(&known), later).unwrap();
        assert_eq!(more.start, first.start);
    }

    #[test]
    fn s4_4_5_1_what_a_date_range_cannot_hold_is_refused() {
        let wrong = [
            ("", "EOF"),
            ("[]", "expected struct"),
            (r#"{"clas": "a"}"#, "unknown field `clas`"),
            (r#"{"class": "a\"b"}"#, "quote"),
            (r#"{"class": "a\nb"}"#, "control character"),
            (r#"{"start": "now"}"#, "start is not a date"),
            (r#"{"end": "2026-01-01"}"#, "end is not a date"),
            (r#"{"duration_s": -1}"#, "duration_s"),
            (r#"{"planned_duration_s": 1e12}"#, "planned_duration_s"),
            (r#"{"cue": ["PRE", "POST"]}"#, "cue"),
            (r#"{"cue": ["pre"]}"#, "cue"),
            (r#"{"attributes": {"Y": 1}}"#, "X-"),
            (r#"{"attributes": {"X-": 1}}"#, "X-"),
            (r#"{"attributes": {"X-a": 1}}"#, "X-"),
            (r#"{"attributes": {"X-A": "\u0000"}}"#, "control character"),
            (
                r#"{"attributes": {"X-A": [1]}}"#,
                "neither text nor a number",
            ),
            (r#"{"attributes": {"X-A": 1e300}}"#, "out of range"),
            (r#"{"attributes": {"X-A": 1e-300}}"#, "out of range"),
            (
                r#"{"end": "9999-12-31T23:59:59-01:00"}"#,
                "end is not a date",
            ),
        ];
        for (json, part) in wrong {
            let error = said(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn sd_interstitials_name_one_asset_or_list() {
        let class = r#""class": "com.apple.hls.interstitial""#;
        let with =
            |attributes: &str| said(&format!("{{{class}, \"attributes\": {{{attributes}}}}}"));
        let (uri, list) = (
            r#""X-ASSET-URI": "https://a/b.m3u8""#,
            r#""X-ASSET-LIST": "ads.json""#,
        );
        let statement = with(uri).unwrap();
        assert!(with(list).is_ok(), "a list may be relative");
        assert!(with("").is_err() && with(r#""X-ASSET-URI": 1"#).is_err());
        assert!(with(&format!("{uri}, {list}")).is_err());
        let known = event(statement);
        let more = |json: &str| read("a", json.as_bytes(), Some(&known), EDGE);
        assert!(more(r#"{"attributes": {"X-RESTRICT": "SKIP,JUMP"}}"#).is_ok());
        assert!(more(&format!("{{\"attributes\": {{{list}}}}}")).is_err());
    }
}
