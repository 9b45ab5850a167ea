//! Patches of an MPD: operations of RFC 5261 as ISO/IEC 23009-1 section 5.15
//! takes them over.

use super::xml::Element;

/// Why a patch cannot be applied.
pub type Refused = String;

/// One step of a path: a name, and which of those.
#[derive(Debug, PartialEq, Eq)]
struct Step<'a> {
    name: &'a str,
    which: Which<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Which<'a> {
    /// There may be only one.
    Only,
    /// Counted from 1 among those of its name.
    Nth(usize),
    /// By the value of an attribute.
    With(&'a str, &'a str),
}

/// Applies a patch to a tree, operation by operation.
pub fn apply(tree: &mut Element, patch: &Element) -> Result<(), Refused> {
    if patch.name != "Patch" {
        return Err(format!("the root is {}, no Patch", patch.name));
    }
    for (index, operation) in patch.children.iter().enumerate() {
        let number = index + 1;
        let selector = operation.attribute("sel").unwrap_or("");
        operate(tree, operation, selector)
            .map_err(|why| format!("operation {number}, {} {selector}: {why}", operation.name))?;
    }
    Ok(())
}

fn operate(tree: &mut Element, operation: &Element, selector: &str) -> Result<(), Refused> {
    let (path, attribute) = match selector.rsplit_once("/@") {
        Some((path, name)) => (path, Some(name)),
        None => (selector, None),
    };
    let steps = steps(path)?;
    match (&*operation.name, attribute) {
        ("add", None) => add(tree, &steps, operation),
        ("add", Some(_)) => Err("add names its attribute by type, not by path".to_owned()),
        ("replace", Some(name)) => {
            let target = find(tree, &steps)?;
            if target.attribute(name).is_none() {
                return Err("there is no such attribute".to_owned());
            }
            target.set(name, Some(&operation.text));
            Ok(())
        }
        ("remove", Some(name)) => {
            let target = find(tree, &steps)?;
            if target.attribute(name).is_none() {
                return Err("there is no such attribute".to_owned());
            }
            target.set(name, None);
            Ok(())
        }
        ("replace", None) => match &*operation.children {
            [new] if steps.len() > 1 => {
                let (parent, at) = place(tree, &steps)?;
                parent.children[at] = new.clone();
                Ok(())
            }
            _ => Err("one element is needed to replace one".to_owned()),
        },
        ("remove", None) => {
            let (parent, at) = place(tree, &steps)?;
            parent.children.remove(at);
            Ok(())
        }
        _ => Err("no such operation".to_owned()),
    }
}

fn add(tree: &mut Element, steps: &[Step<'_>], operation: &Element) -> Result<(), Refused> {
    if let Some(name) = operation.attribute("type") {
        let name = name
            .strip_prefix('@')
            .ok_or("only attributes are added by type")?;
        find(tree, steps)?.set(name, Some(&operation.text));
        return Ok(());
    }
    let new = operation.children.iter().cloned();
    match operation.attribute("pos") {
        None => find(tree, steps)?.children.extend(new),
        Some("prepend") => drop(find(tree, steps)?.children.splice(0..0, new)),
        Some(side @ ("before" | "after")) => {
            let (parent, at) = place(tree, steps)?;
            let at = at + usize::from(side == "after");
            parent.children.splice(at..at, new);
        }
        Some(_) => return Err("pos is none of before, after and prepend".to_owned()),
    }
    Ok(())
}

/// The element that a path names.
fn find<'t>(tree: &'t mut Element, steps: &[Step<'_>]) -> Result<&'t mut Element, Refused> {
    let (root, rest) = steps.split_first().ok_or("the path is empty")?;
    if root.name != tree.name || !matches!(root.which, Which::Only | Which::Nth(1)) {
        return Err("the path does not begin at the root".to_owned());
    }
    let mut at = tree;
    for step in rest {
        let index = index(at, step)?;
        at = &mut at.children[index];
    }
    Ok(at)
}

/// The parent of what a path names, and where in it that is.
fn place<'t>(
    tree: &'t mut Element,
    steps: &[Step<'_>],
) -> Result<(&'t mut Element, usize), Refused> {
    let (last, above) = steps.split_last().ok_or("the path is empty")?;
    let parent = find(tree, above)?;
    let at = index(parent, last)?;
    Ok((parent, at))
}

fn index(parent: &Element, step: &Step<'_>) -> Result<usize, Refused> {
    let mut found = parent.children.iter().enumerate().filter(|(_, child)| {
        let named = step.name == child.name;
        match step.which {
            Which::With(name, value) => named && child.attribute(name) == Some(value),
            _ => named,
        }
    });
    let nth = match step.which {
        Which::Nth(nth) => nth,
        _ => 1,
    };
    let (at, _) = found
        .nth(nth - 1)
        .ok_or_else(|| format!("there is no {} there", step.name))?;
    if !matches!(step.which, Which::Nth(_)) && found.next().is_some() {
        return Err(format!("more than one {} is meant", step.name));
    }
    Ok(at)
}

fn steps(path: &str) -> Result<Vec<Step<'_>>, Refused> {
    let mut rest = path;
    let mut out = Vec::new();
    while !rest.is_empty() {
        rest = rest
            .strip_prefix('/')
            .ok_or("a path is absolute, step by step")?;
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let mut which = Which::Only;
        if let Some(inner) = after.strip_prefix('[') {
            // A quoted value may hold any of the signs of a path.
            let close = match inner.find(['"', '\'', ']']) {
                Some(at) if !inner[at..].starts_with(']') => {
                    let quote = &inner[at..=at];
                    let end = inner[at + 1..].find(quote).ok_or("a quote is open")?;
                    let after = at + 1 + end;
                    after + inner[after..].find(']').ok_or("a bracket is open")?
                }
                Some(at) => at,
                None => return Err("a bracket is open".to_owned()),
            };
            which = condition(&inner[..close])?;
            rest = &inner[close + 1..];
        }
        // A prefix stands for the namespace of the MPD.
        let name = name.rsplit(':').next().unwrap_or(name);
        out.push(Step { name, which });
    }
    Ok(out)
}

fn condition(text: &str) -> Result<Which<'_>, Refused> {
    if let Ok(nth) = text.parse::<usize>() {
        return match nth {
            0 => Err("elements are counted from 1".to_owned()),
            nth => Ok(Which::Nth(nth)),
        };
    }
    let (name, value) = text
        .strip_prefix('@')
        .and_then(|text| text.split_once('='))
        .ok_or("a condition is neither a number nor an attribute")?;
    let quote = value
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''));
    let value = quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Ok(Which::With(name, value.ok_or("a value is not quoted")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "<MPD id=\"c\" publishTime=\"1\"><Period id=\"p/1\"><AdaptationSet id=\"1\"><SegmentTimeline><S t=\"0\" d=\"2\" r=\"1\"/><S d=\"3\"/></SegmentTimeline></AdaptationSet><AdaptationSet id=\"2\"/></Period></MPD>";

    fn tree(text: &str) -> Element {
        Element::parse(text).expect("XML").0
    }

    fn patched(operations: &str) -> Result<Element, Refused> {
        let patch = format!(
            "<Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"c\">{operations}</Patch>"
        );
        let mut out = tree(BEFORE);
        apply(&mut out, &tree(&patch)).map(|()| out)
    }

    #[test]
    fn every_operation_does_what_rfc_5261_says() {
        let timeline = "/MPD/Period[@id='p/1']/AdaptationSet[@id='1']/SegmentTimeline";
        let table = [
            (
                "<replace sel=\"/MPD/@publishTime\">2</replace>".to_owned(),
                ("publishTime=\"1\"", "publishTime=\"2\""),
            ),
            (
                format!("<replace sel=\"{timeline}/S[1]/@r\">4</replace>"),
                ("r=\"1\"", "r=\"4\""),
            ),
            (
                format!("<remove sel=\"{timeline}/S[1]/@r\"/>"),
                (" r=\"1\"", ""),
            ),
            (
                format!("<remove sel=\"{timeline}/S[2]\"/>"),
                ("<S d=\"3\"/>", ""),
            ),
            (
                format!("<add sel=\"{timeline}\"><S d=\"5\"/></add>"),
                ("<S d=\"3\"/>", "<S d=\"3\"/><S d=\"5\"/>"),
            ),
            (
                format!("<add sel=\"{timeline}\" pos=\"prepend\"><S d=\"5\"/></add>"),
                ("<S t", "<S d=\"5\"/><S t"),
            ),
            (
                format!("<add sel=\"{timeline}/S[1]\" pos=\"after\"><S d=\"5\"/></add>"),
                ("<S d=\"3\"/>", "<S d=\"5\"/><S d=\"3\"/>"),
            ),
            (
                format!("<add sel=\"{timeline}/S[2]\" type=\"@r\">7</add>"),
                ("<S d=\"3\"/>", "<S d=\"3\" r=\"7\"/>"),
            ),
            (
                format!("<replace sel=\"{timeline}/S[2]\"><S d=\"9\"/></replace>"),
                ("<S d=\"3\"/>", "<S d=\"9\"/>"),
            ),
            (
                "<add sel=\"/MPD\"><Period id=\"q\"/></add>".to_owned(),
                ("</Period>", "</Period><Period id=\"q\"/>"),
            ),
        ];
        for (operation, (from, to)) in table {
            assert_eq!(
                patched(&operation).expect("a patch"),
                tree(&BEFORE.replacen(from, to, 1)),
                "{operation}"
            );
        }
    }

    #[test]
    fn paths_that_miss_are_refused_with_the_operation() {
        let table = [
            ("<remove sel=\"/MPD/Period[0]\"/>", "counted from 1"),
            ("<remove sel=\"/MPD/Period[2]\"/>", "no Period"),
            (
                "<remove sel=\"/MPD/Period[1]/AdaptationSet\"/>",
                "more than one",
            ),
            (
                "<replace sel=\"/MPD/@type\">x</replace>",
                "no such attribute",
            ),
            ("<remove sel=\"/X/Period\"/>", "begin at the root"),
            ("<remove sel=\"MPD\"/>", "absolute"),
            ("<remove sel=\"/MPD/Period[@id='x\"/>", "open"),
            ("<move sel=\"/MPD\"/>", "no such operation"),
            ("<replace sel=\"/MPD\"><MPD/></replace>", "one element"),
            ("<add sel=\"/MPD/Period\" pos=\"over\"/>", "pos is none"),
        ];
        for (operation, why) in table {
            let refused = patched(operation).expect_err(operation);
            assert!(
                refused.contains("operation 1") && refused.contains(why),
                "{operation}: {refused}"
            );
        }
    }
}
