//! MPD patches (section 5.15): from one version of a timeline to another.
//!
//! Both are texts that `Xml` wrote, a tag a line. What players know how to patch
//! is patched: attributes of the MPD, its patch location, periods that come and
//! go, numbers and timelines of segment templates. Of anything else there is no
//! patch, and players take the MPD as a whole.

use std::fmt::Write;

/// The patch from `old` to `new`, if there is one.
pub fn between(old: &str, new: &str) -> Option<String> {
    let (old, new) = (Node::document(old)?, Node::document(new)?);
    let (id, known) = (new.attr("id")?, old.attr("id")?);
    let live = |mpd: &Node<'_>| mpd.attr("type") == Some("dynamic");
    if id != known || !live(&old) || !live(&new) {
        return None;
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (from, to) = (old.attr("publishTime")?, new.attr("publishTime")?);
    line(
        &mut out,
        format_args!(
            "<Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"{id}\" \
             originalPublishTime=\"{from}\" publishTime=\"{to}\">"
        ),
    );
    mpd(&mut out, &old, &new)?;
    out.push_str("</Patch>\n");
    Some(out)
}

/// An element of a document.
#[derive(Debug, PartialEq)]
struct Node<'a> {
    name: &'a str,
    /// Names and values, as they are written.
    attrs: Vec<(&'a str, &'a str)>,
    children: Vec<Self>,
    /// All its lines.
    raw: &'a str,
}

impl<'a> Node<'a> {
    fn document(text: &'a str) -> Option<Self> {
        let (_, body) = text.split_once("?>\n")?;
        let mut rest = body;
        Self::read(body, &mut rest)
    }

    /// Reads one element off `rest`, the end of `all`.
    fn read(all: &'a str, rest: &mut &'a str) -> Option<Self> {
        let from = all.len() - rest.len();
        let (tag, behind) = rest.split_once('\n')?;
        *rest = behind;
        let tag = tag.trim_start().strip_prefix('<')?;
        let end = tag.find('>')?;
        let (head, text) = (&tag[..end], &tag[end + 1..]);
        let (head, empty) = match head.strip_suffix('/') {
            Some(head) => (head, true),
            None => (head, !text.is_empty()),
        };
        let (name, mut attrs_text) = head.split_once(' ').unwrap_or((head, ""));
        let mut attrs = Vec::new();
        while let Some((name, behind)) = attrs_text.split_once("=\"") {
            let (value, behind) = behind.split_once('"')?;
            attrs.push((name.trim_start(), value));
            attrs_text = behind;
        }
        let children = if empty {
            Vec::new()
        } else {
            Self::children(all, rest)?
        };
        Some(Self {
            name,
            attrs,
            children,
            raw: &all[from..all.len() - rest.len()],
        })
    }

    /// Reads what is within an element, and its end tag.
    fn children(all: &'a str, rest: &mut &'a str) -> Option<Vec<Self>> {
        let mut children = Vec::new();
        while !rest.trim_start_matches(' ').starts_with("</") {
            children.push(Self::read(all, rest)?);
        }
        let (_, behind) = rest.split_once('\n')?;
        *rest = behind;
        Some(children)
    }

    fn attr(&self, name: &str) -> Option<&'a str> {
        let mut own = self.attrs.iter();
        own.find(|(own, _)| *own == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.attr(name)?.parse().ok()
    }
}

fn mpd(out: &mut String, old: &Node<'_>, new: &Node<'_>) -> Option<()> {
    attributes(out, "/MPD", old, new);
    let split = |node: &Node<'_>| {
        let is_period = |child: &&Node<'_>| child.name == "Period";
        let periods = node
            .children
            .iter()
            .position(|child| child.name == "Period");
        (periods, node.children.iter().filter(is_period).count())
    };
    let ((old_at, old_count), (new_at, new_count)) = (split(old), split(new));
    let (old_at, new_at) = (old_at?, new_at?);
    let behind = |node: &Node<'_>, at: usize| node.children.len() - at;
    let same_count =
        old_at == new_at && behind(old, old_at + old_count) == behind(new, new_at + new_count);
    if !same_count {
        return None;
    }
    let around_old = old.children[..old_at]
        .iter()
        .chain(&old.children[old_at + old_count..]);
    let around_new = new.children[..new_at]
        .iter()
        .chain(&new.children[new_at + new_count..]);
    for (was, is) in around_old.zip(around_new) {
        match is.name {
            _ if was == is => {}
            "PatchLocation" => {
                line(out, format_args!("<replace sel=\"/MPD/PatchLocation[1]\">"));
                out.push_str(is.raw);
                out.push_str("</replace>\n");
            }
            _ => return None,
        }
    }
    let old_periods = &old.children[old_at..old_at + old_count];
    let new_periods = &new.children[new_at..new_at + new_count];
    periods(out, old_periods, new_periods)
}

/// Periods leave at the front and join at the end.
fn periods(out: &mut String, old: &[Node<'_>], new: &[Node<'_>]) -> Option<()> {
    let first = new.first()?.attr("id")?;
    let gone = old
        .iter()
        .position(|period| period.attr("id") == Some(first))?;
    let (gone, kept) = old.split_at(gone);
    let (still, added) = new.split_at_checked(kept.len())?;
    let path = |period: &Node<'_>| Some(format!("/MPD/Period[@id='{}']", period.attr("id")?));
    for period in gone {
        line(out, format_args!("<remove sel=\"{}\"/>", path(period)?));
    }
    for (was, is) in kept.iter().zip(still) {
        within(out, &path(is)?, was, is)?;
    }
    if !added.is_empty() {
        let last = path(still.last()?)?;
        line(out, format_args!("<add sel=\"{last}\" pos=\"after\">"));
        added.iter().for_each(|period| out.push_str(period.raw));
        out.push_str("</add>\n");
    }
    Some(())
}

/// What may change within a period, a set or a representation.
fn within(out: &mut String, path: &str, old: &Node<'_>, new: &Node<'_>) -> Option<()> {
    if old == new {
        return Some(());
    }
    let same = old.attrs == new.attrs && old.children.len() == new.children.len();
    if !same {
        return None;
    }
    for (was, is) in old.children.iter().zip(&new.children) {
        match is.name {
            _ if was == is => {}
            "AdaptationSet" | "Representation" if was.attr("id") == is.attr("id") => {
                let path = format!("{path}/{}[@id='{}']", is.name, is.attr("id")?);
                within(out, &path, was, is)?;
            }
            "SegmentTemplate" if was.name == is.name => {
                let path = format!("{path}/SegmentTemplate");
                attributes(out, &path, was, is);
                let (was, is) = (was.children.first()?, is.children.first()?);
                timeline(out, &format!("{path}/SegmentTimeline"), was, is)?;
            }
            _ => return None,
        }
    }
    Some(())
}

fn attributes(out: &mut String, path: &str, old: &Node<'_>, new: &Node<'_>) {
    for (name, value) in &new.attrs {
        match old.attr(name) {
            Some(known) if known == *value => {}
            Some(_) => line(
                out,
                format_args!("<replace sel=\"{path}/@{name}\">{value}</replace>"),
            ),
            None => line(
                out,
                format_args!("<add sel=\"{path}\" type=\"@{name}\">{value}</add>"),
            ),
        }
    }
    for (name, _) in old
        .attrs
        .iter()
        .filter(|(name, _)| new.attr(name).is_none())
    {
        line(out, format_args!("<remove sel=\"{path}/@{name}\"/>"));
    }
}

/// Entries leave at the front; of the others those that changed are replaced,
/// from the first on, and what follows them is added.
fn timeline(out: &mut String, path: &str, old: &Node<'_>, new: &Node<'_>) -> Option<()> {
    let begins = new.children.first()?.number("t")?;
    let (mut gone, mut at) = (0, 0);
    for entry in &old.children {
        at = entry.number("t").unwrap_or(at);
        at += entry.number("d")? * (entry.number("r").unwrap_or(0) + 1);
        if at > begins {
            break;
        }
        line(out, format_args!("<remove sel=\"{path}/S[1]\"/>"));
        gone += 1;
    }
    let kept = &old.children[gone..];
    // Positions count from one, of what is there when their turn comes.
    for place in (new.children.len()..kept.len()).rev() {
        line(
            out,
            format_args!("<remove sel=\"{path}/S[{}]\"/>", place + 1),
        );
    }
    for (place, (was, is)) in (1..).zip(kept.iter().zip(&new.children)) {
        if was.attrs != is.attrs {
            line(out, format_args!("<replace sel=\"{path}/S[{place}]\">"));
            out.push_str(is.raw);
            out.push_str("</replace>\n");
        }
    }
    if new.children.len() > kept.len() {
        line(out, format_args!("<add sel=\"{path}\">"));
        new.children[kept.len()..]
            .iter()
            .for_each(|entry| out.push_str(entry.raw));
        out.push_str("</add>\n");
    }
    Some(())
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes any text");
}
