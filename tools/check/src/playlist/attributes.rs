//! Attribute lists (rfc8216bis section 4.2).

use super::{Faults, Printed};
use crate::limits;

/// The attributes of one tag, as printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// The line they stand on.
    pub line: usize,
    list: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Before the equals sign.
    pub name: String,
    /// Behind it, without quotes.
    pub value: String,
    /// Whether it was quoted.
    pub is_quoted: bool,
}

impl Attributes {
    /// Reads what follows the colon of a tag.
    pub fn parse(line: usize, text: &str, faults: &mut Faults) -> Self {
        const CLAUSE: &str = "rfc8216bis 4.2";
        let mut list: Vec<Attribute> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some((name, behind)) = rest.split_once('=') else {
                faults.add(line, CLAUSE, "an attribute has no value", rest);
                break;
            };
            let (value, is_quoted, behind) = match behind.strip_prefix('"') {
                Some(quoted) => match quoted.split_once('"') {
                    Some((value, behind)) => (value, true, behind),
                    None => {
                        faults.add(line, CLAUSE, "a quote is not closed", rest);
                        (quoted, true, "")
                    }
                },
                None => {
                    let end = behind.find(',').unwrap_or(behind.len());
                    (&behind[..end], false, &behind[end..])
                }
            };
            if !is_name(name) {
                faults.add(
                    line,
                    CLAUSE,
                    "a name of an attribute has other characters than A-Z, 0-9 and -",
                    name,
                );
            }
            if !is_quoted && (value.is_empty() || value.contains(['"', ' ', '\t'])) {
                faults.add(
                    line,
                    CLAUSE,
                    "a value of an attribute is empty or has blanks",
                    rest,
                );
            }
            let name = name.trim();
            if list.iter().any(|known| known.name == name) {
                faults.add(line, CLAUSE, "an attribute stands twice in a list", name);
            } else {
                let (name, value) = (name.to_owned(), value.to_owned());
                list.push(Attribute {
                    name,
                    value,
                    is_quoted,
                });
            }
            rest = match behind.strip_prefix(',') {
                Some("") => {
                    faults.add(line, CLAUSE, "an attribute list ends in a comma", text);
                    ""
                }
                Some(rest) => rest,
                None => {
                    if !behind.is_empty() {
                        faults.add(
                            line,
                            CLAUSE,
                            "no comma stands behind a quoted value",
                            behind,
                        );
                    }
                    ""
                }
            };
        }
        Self { line, list }
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.list.iter()
    }

    /// All, to change their values.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Attribute> {
        self.list.iter_mut()
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.list.iter().find(|attribute| attribute.name == name)?;
        Some(&found.value)
    }

    /// One by name, to own.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Whether it is `YES`.
    pub fn yes(&self, name: &str) -> bool {
        self.get(name) == Some("YES")
    }

    /// As a decimal.
    pub fn decimal(&self, name: &str) -> Option<Printed> {
        self.get(name).and_then(Printed::parse)
    }

    /// As a decimal integer.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(integer)
    }
}

/// Names and values by name, whatever their order.
impl std::fmt::Display for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut pairs: Vec<_> = self
            .list
            .iter()
            .map(|a| format!("{}={}", a.name, a.value))
            .collect();
        pairs.sort_unstable();
        f.write_str(&pairs.join(","))
    }
}

fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(legal)
}

/// A decimal integer of up to 20 digits that can be reckoned with.
pub fn integer(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = (plain && (1..=20).contains(&text.len())).then(|| text.parse().ok())?;
    number.filter(|number| *number <= limits::NUMBER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Attributes, Vec<&'static str>) {
        let mut faults = Faults::default();
        let attributes = Attributes::parse(7, text, &mut faults);
        let whats = faults.iter().map(|fault| fault.what).collect();
        (attributes, whats)
    }

    #[test]
    fn commas_inside_quotes_do_not_part() {
        let (read, faults) = read("A-1=5,B=\"x,y=z\",C=YES,D=0.50000");
        assert_eq!(faults, [""; 0]);
        assert_eq!(
            (read.integer("A-1"), read.get("B"), read.yes("C")),
            (Some(5), Some("x,y=z"), true)
        );
        assert_eq!(
            read.decimal("D").map(|printed| printed.text),
            Some("0.50000".to_owned())
        );
        assert_eq!(read.to_string(), "A-1=5,B=x,y=z,C=YES,D=0.50000");
    }

    #[test]
    fn each_slip_is_told() {
        let table = [
            ("A=1,A=2", "an attribute stands twice in a list"),
            (
                "A=1, B=2",
                "a name of an attribute has other characters than A-Z, 0-9 and -",
            ),
            (
                "a=1",
                "a name of an attribute has other characters than A-Z, 0-9 and -",
            ),
            ("A", "an attribute has no value"),
            ("A=", "a value of an attribute is empty or has blanks"),
            ("A=\"x", "a quote is not closed"),
            ("A=\"x\"y,B=1", "no comma stands behind a quoted value"),
            ("A=1,", "an attribute list ends in a comma"),
        ];
        for (text, what) in table {
            assert_eq!(read(text).1, [what], "{text}");
        }
    }
}
