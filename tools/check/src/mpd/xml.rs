//! XML as far as MPDs need it: a tree that can be compared and patched.

use roxmltree::{Document, Node, ParsingOptions};

use crate::limits;

/// Namespace of MPDs.
pub const MPD: &str = "urn:mpeg:dash:schema:mpd:2011";
/// Namespace of patches of MPDs.
pub const PATCH: &str = "urn:mpeg:dash:schema:mpd-patch:2020";
const XLINK: &str = "http://www.w3.org/1999/xlink";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An element and all that it holds. Comments, and space between elements, are
/// not kept: they say nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// The plain name in the namespace of the root, of MPDs or of patches, else `{namespace}name`.
    pub name: String,
    /// In order of names; those of namespaces have a prefix that is always the same.
    pub attributes: Vec<(String, String)>,
    /// Elements in it.
    pub children: Vec<Self>,
    /// All text in it, without space at its ends.
    pub text: String,
}

impl Element {
    /// Reads a document; also gives the namespace of its root.
    pub fn parse(text: &str) -> Result<(Self, String), String> {
        let options = ParsingOptions {
            nodes_limit: limits::MPD_NODES_MAX,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
            .map_err(|error| error.to_string())?;
        let root = document.root_element();
        let namespace = root.tag_name().namespace().unwrap_or("").to_owned();
        Ok((Self::of(root, &namespace, 0)?, namespace))
    }

    fn of(node: Node<'_, '_>, plain: &str, depth: usize) -> Result<Self, String> {
        if depth > limits::MPD_DEPTH_MAX {
            return Err(format!(
                "elements are nested more than {} deep",
                limits::MPD_DEPTH_MAX
            ));
        }
        let name = node.tag_name();
        let mut out = Self {
            name: match name.namespace() {
                None | Some("" | MPD | PATCH) => name.name().to_owned(),
                Some(other) if other == plain => name.name().to_owned(),
                Some(other) => format!("{{{other}}}{}", name.name()),
            },
            ..Self::default()
        };
        for attribute in node.attributes() {
            let name = match attribute.namespace() {
                None | Some(MPD | PATCH) => attribute.name().to_owned(),
                Some(XLINK) => format!("xlink:{}", attribute.name()),
                Some(INSTANCE) => format!("xsi:{}", attribute.name()),
                Some(other) => format!("{{{other}}}{}", attribute.name()),
            };
            out.attributes.push((name, attribute.value().to_owned()));
        }
        out.attributes.sort();
        for child in node.children() {
            if child.is_element() {
                out.children.push(Self::of(child, plain, depth + 1)?);
            } else if child.is_text() {
                out.text.push_str(child.text().unwrap_or(""));
            }
        }
        out.text = out.text.trim().to_owned();
        Ok(out)
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| &**value)
    }

    /// Gives an attribute a value, or takes it away.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.attributes.retain(|(known, _)| known != name);
        if let Some(value) = value {
            self.attributes.push((name.to_owned(), value.to_owned()));
            self.attributes.sort();
        }
    }

    /// Children of a name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of a name.
    pub fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Where two trees differ first, as a path with what stands on either side.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.name != other.name {
            return Some(format!("{} against {}", self.name, other.name));
        }
        let here = match self.attribute("id") {
            Some(id) => format!("{}[@id={id:?}]", self.name),
            None => self.name.clone(),
        };
        if let Some(name) = differing(&self.attributes, &other.attributes) {
            let (ours, theirs) = (self.attribute(&name), other.attribute(&name));
            return Some(format!("{here}/@{name}: {ours:?} against {theirs:?}"));
        }
        if self.text != other.text {
            return Some(format!("{here}: {:?} against {:?}", self.text, other.text));
        }
        let inside = self.children.iter().zip(&other.children);
        for (index, (ours, theirs)) in inside.enumerate() {
            if let Some(found) = ours.difference(theirs) {
                return Some(format!("{here}/({}){found}", index + 1));
            }
        }
        let (ours, theirs) = (self.children.len(), other.children.len());
        (ours != theirs).then(|| format!("{here}: {ours} children against {theirs}"))
    }
}

/// The first attribute that only one has, or that has two values.
fn differing(ours: &[(String, String)], theirs: &[(String, String)]) -> Option<String> {
    let only = |from: &[(String, String)], to: &[(String, String)]| {
        let mut found = from.iter().filter(|pair| !to.contains(pair));
        found.next().map(|(name, _)| name.clone())
    };
    only(ours, theirs).or_else(|| only(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Element {
        Element::parse(text).expect("XML").0
    }

    #[test]
    fn space_comments_and_order_of_attributes_say_nothing() {
        let plain = tree("<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" a=\"1\" b=\"2\"><P/></MPD>");
        let other = tree(
            "<?xml version=\"1.0\"?>\n<m:MPD xmlns:m=\"urn:mpeg:dash:schema:mpd:2011\" b=\"2\" a=\"1\">\n <!-- x -->\n <m:P/>\n</m:MPD>",
        );
        assert_eq!(plain, other);
        assert_eq!(plain.difference(&other), None);
        let found = |text| plain.difference(&tree(text)).expect("a difference");
        assert!(found("<MPD a=\"1\" b=\"3\"><P/></MPD>").contains("@b"));
        assert!(found("<MPD a=\"1\" b=\"2\"><P id=\"4\"/></MPD>").contains("MPD/(1)P/@id"));
        assert!(found("<MPD a=\"1\" b=\"2\"/>").contains("1 children against 0"));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        assert!(Element::parse(&deep).expect_err("deep").contains("nested"));
        let wide = format!("<a>{}</a>", "<b/>".repeat(limits::MPD_NODES_MAX as usize));
        assert!(Element::parse(&wide).is_err());
        let laughs = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>";
        assert!(Element::parse(laughs).is_err());
        let very_deep = "<a>".repeat(100_000);
        assert!(Element::parse(&very_deep).is_err());
    }
}
