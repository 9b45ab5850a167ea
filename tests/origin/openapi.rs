//! The description of the control interface says what is served.

use headwater::http::request::{BodyLength, Method};
use headwater::page::OPENAPI;
use serde_json::Value;

use crate::shell::{Camera, Fields, Process, endless};

const METHODS: [(&str, Method); 3] = [
    ("get", Method::Get),
    ("put", Method::Put),
    ("delete", Method::Delete),
];

fn description() -> Value {
    let answer = Process::one().get(OPENAPI);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    serde_json::from_str(&answer.text()).expect("JSON")
}

/// What `$ref` names, or the value itself.
fn resolved<'a>(all: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(name) => all
            .pointer(name.strip_prefix('#').expect("a local reference"))
            .expect("what is referred to"),
        None => value,
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no such type: {other}"),
    }
}

/// Holds a value to a schema, as far as the description uses schemas.
fn assert_fits(all: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolved(all, schema);
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let fits = |name: &Value| has_type(value, name.as_str().expect("a type"));
    assert!(types.iter().any(fits), "{at}: {value} is not {types:?}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value}");
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        assert_fits(all, &schema["items"], item, &format!("{at}[{index}]"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert!(value.get(name).is_some(), "{at} lacks {name}");
    }
    for (name, item) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name);
        let others = &schema["additionalProperties"];
        let schema = known.or_else(|| others.is_object().then_some(others));
        let schema = schema.unwrap_or_else(|| panic!("{at}: {name} is not described"));
        assert_fits(all, schema, item, &format!("{at}.{name}"));
    }
}

/// A process with a live channel `c` and a date range of it.
fn live() -> Process {
    let mut process = Process::one();
    let mut camera = Camera::new();
    endless(&mut process, "/ingest/c/v.cmfv", &mut camera, 8_000);
    let target = "/api/v1/channels/c/dateranges/ad-1";
    let (status, _) = ask(&mut process, Method::Put, target, RANGE);
    assert_eq!(status, 201);
    process
}

const RANGE: &str = r#"{ "class": "com.example.ad", "planned_duration_s": 30,
    "cue": ["ONCE"], "attributes": { "X-A": "b", "X-N": 1 } }"#;

fn ask(process: &mut Process, method: Method, target: &str, body: &str) -> (u16, String) {
    let len = BodyLength::Fixed(body.len() as u64);
    let exchange = process.open_at(0, method, target, len, Fields::default());
    if let Some(answer) = process.answer(exchange) {
        return (answer.status, answer.text());
    }
    process.body(exchange, body.as_bytes());
    let answer = process.end(exchange).expect("answered");
    (answer.status, answer.text())
}

#[test]
fn every_answer_is_one_that_is_described() {
    let all = description();
    let paths = all["paths"].as_object().expect("paths");
    assert!(!paths.is_empty());
    for (path, item) in paths {
        for channel in ["c", "nobody"] {
            let target = path.replace("{channel}", channel).replace("{id}", "ad-1");
            for (name, method) in METHODS {
                let mut process = live();
                let body = if name == "put" { RANGE } else { "" };
                let (status, text) = ask(&mut process, method, &target, body);
                let what = format!("{name} {target}: {status} {text}");
                let Some(operation) = item.get(name) else {
                    assert_eq!(status, 405, "{what}");
                    continue;
                };
                let described = operation["responses"].get(status.to_string());
                let described = described.unwrap_or_else(|| panic!("{what}"));
                let media = &resolved(&all, described)["content"]["application/json"];
                if media.is_object() {
                    let value = serde_json::from_str(&text).expect("JSON");
                    assert_fits(&all, &media["schema"], &value, &what);
                }
            }
        }
    }
}

#[test]
fn what_may_be_said_of_a_date_range_is_described() {
    let all = description();
    let value: Value = serde_json::from_str(RANGE).expect("JSON");
    let schema = &all["components"]["schemas"]["Description"];
    assert_fits(&all, schema, &value, "a date range");
    // What is read and what is described are the same names.
    for name in schema["properties"].as_object().expect("properties").keys() {
        let body = format!(r#"{{ "{name}": {{}}, "no such": 1 }}"#);
        let target = "/api/v1/channels/c/dateranges/other";
        let (status, text) = ask(&mut live(), Method::Put, target, &body);
        assert_eq!(status, 400);
        assert!(!text.contains(&format!("unknown field `{name}`")), "{text}");
    }
}

#[test]
fn the_end_of_a_channel_is_described() {
    let all = description();
    let described = &all["paths"]["/api/v1/channels/{channel}/end"]["post"]["responses"];
    for channel in ["c", "nobody"] {
        let target = format!("/api/v1/channels/{channel}/end");
        let (status, text) = ask(&mut live(), Method::Post, &target, "");
        assert!(
            described.get(status.to_string()).is_some(),
            "{status} {text}"
        );
    }
}
