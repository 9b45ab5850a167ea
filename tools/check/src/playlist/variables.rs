//! Variable substitution (rfc8216bis sections 4.3 and 4.4.2.3).

use std::collections::BTreeMap;

use super::Faults;
use super::attributes::Attributes;
use crate::uri;

/// Names and values.
pub type Variables = BTreeMap<String, String>;

const CLAUSE: &str = "rfc8216bis 4.4.2.3";

/// Takes in one EXT-X-DEFINE of a document at `address`; `above` are the
/// variables of the multivariant playlist.
pub(super) fn define(
    known: &mut Variables,
    attributes: &Attributes,
    address: &str,
    above: &Variables,
    faults: &mut Faults,
) {
    let line = attributes.line;
    let named = ["NAME", "IMPORT", "QUERYPARAM"].map(|kind| attributes.get(kind));
    let (name, value) = match named {
        [Some(name), None, None] => (name, attributes.owned("VALUE")),
        [None, Some(name), None] => (name, above.get(name).cloned()),
        [None, None, Some(name)] => (name, uri::parameter(address, name).map(str::to_owned)),
        _ => {
            faults.add(
                line,
                CLAUSE,
                "a definition has not exactly one of NAME, IMPORT and QUERYPARAM",
                "",
            );
            return;
        }
    };
    match value {
        None => faults.add(line, CLAUSE, "a variable has no value to be found", name),
        Some(_) if known.contains_key(name) => {
            faults.add(line, CLAUSE, "a variable is defined twice", name);
        }
        Some(value) => {
            known.insert(name.to_owned(), value);
        }
    }
}

/// The text with every `{$name}` replaced.
pub(super) fn substitute(
    text: &str,
    known: &Variables,
    line: usize,
    faults: &mut Faults,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{$") {
        out.push_str(before);
        let Some((name, behind)) = behind.split_once('}') else {
            out.push_str("{$");
            rest = behind;
            continue;
        };
        match known.get(name) {
            Some(value) => out.push_str(value),
            None => faults.add(
                line,
                "rfc8216bis 4.3",
                "a variable is used that is not defined",
                name,
            ),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}
