//! Variables that the operator has playlists define (rfc8216bis section
//! 4.4.2.3).

use std::fmt::Write;

use crate::media::presentation::Definition;

/// The version that a playlist with these needs at least (section 8).
pub(crate) fn version(definitions: &[Definition]) -> u32 {
    let needs = definitions.iter().map(|definition| match definition {
        Definition::Value { .. } => 8,
        Definition::Query { .. } => 11,
    });
    needs.max().unwrap_or(1)
}

/// Writes a line for each.
pub(crate) fn define(out: &mut String, definitions: &[Definition]) {
    for definition in definitions {
        let written = match definition {
            Definition::Value { name, value } => {
                writeln!(out, "#EXT-X-DEFINE:NAME=\"{name}\",VALUE=\"{value}\"")
            }
            Definition::Query { name } => writeln!(out, "#EXT-X-DEFINE:QUERYPARAM=\"{name}\""),
        };
        written.expect("a string takes any text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_variables_need_version_8_and_those_of_a_query_11() {
        let value = Definition::Value {
            name: "cdn".into(),
            value: "https://a.example".into(),
        };
        let query = Definition::Query {
            name: "token".into(),
        };
        assert_eq!(version(&[]), 1);
        assert_eq!(version(std::slice::from_ref(&value)), 8);
        assert_eq!(version(&[query.clone(), value.clone()]), 11);
        let mut out = String::new();
        define(&mut out, &[query, value]);
        assert_eq!(
            out,
            "#EXT-X-DEFINE:QUERYPARAM=\"token\"\n\
             #EXT-X-DEFINE:NAME=\"cdn\",VALUE=\"https://a.example\"\n"
        );
    }
}
