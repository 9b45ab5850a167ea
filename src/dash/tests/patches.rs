//! Patches, applied by a reader of their own.

use std::collections::BTreeMap;

use crate::dash::{Document, mpd, patch, stamp};
use crate::media::testing::{self, Script};

/// An element as any reader of XML sees it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tree {
    name: String,
    attrs: BTreeMap<String, String>,
    text: String,
    children: Vec<Self>,
}

impl Tree {
    fn parse(xml: &str) -> Self {
        let mut rest = xml.split_once("?>").expect("a declaration").1.trim();
        Self::element(&mut rest)
    }

    fn element(rest: &mut &str) -> Self {
        let (tag, behind) = rest.strip_prefix('<').unwrap().split_once('>').unwrap();
        *rest = behind;
        let (tag, empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let (name, mut attrs) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut tree = Self {
            name: name.into(),
            ..Self::default()
        };
        while let Some((name, behind)) = attrs.split_once("=\"") {
            let (value, behind) = behind.split_once('"').unwrap();
            tree.attrs.insert(name.trim().into(), value.into());
            attrs = behind;
        }
        if !empty {
            tree.content(rest);
        }
        tree
    }

    fn content(&mut self, rest: &mut &str) {
        loop {
            let (text, _) = rest.split_once('<').unwrap();
            self.text.push_str(text.trim());
            *rest = &rest[text.len()..];
            if rest.starts_with("</") {
                *rest = rest.split_once('>').unwrap().1;
                return;
            }
            self.children.push(Self::element(rest));
        }
    }

    /// The child that a step such as `S[2]` or `Period[@id='P0']` means.
    fn find(&self, step: &str) -> usize {
        let (name, condition) = step.split_once('[').unwrap_or((step, "1]"));
        let condition = condition.strip_suffix(']').unwrap();
        let named = self.children.iter().enumerate();
        let mut named = named.filter(|(_, child)| child.name == name);
        let found = match condition.strip_prefix("@id='") {
            Some(id) => named.find(|(_, child)| child.attrs["id"] == id.trim_end_matches('\'')),
            None => named.nth(condition.parse::<usize>().unwrap() - 1),
        };
        found.unwrap_or_else(|| panic!("no {step}")).0
    }

    /// RFC 5261, as far as patches go.
    fn apply(&mut self, patch: &Self) {
        assert_eq!(patch.attrs["mpdId"], self.attrs["id"]);
        assert_eq!(
            patch.attrs["originalPublishTime"],
            self.attrs["publishTime"]
        );
        for step in &patch.children {
            let selector = step.attrs["sel"].strip_prefix("/MPD").unwrap();
            let mut steps: Vec<&str> = selector.split('/').skip(1).collect();
            let attr = steps.pop_if(|last| last.starts_with('@'));
            let around = step.attrs.contains_key("pos");
            let whole = attr.is_none() && (step.name != "add" || around);
            let last = whole.then(|| steps.pop().expect("not the MPD itself"));
            let mut at = &mut *self;
            for step in steps {
                let place = at.find(step);
                at = &mut at.children[place];
            }
            match (&*step.name, attr, last) {
                ("replace", Some(attr), _) => {
                    let known = at.attrs.insert(attr[1..].into(), step.text.clone());
                    assert!(known.is_some(), "{attr} was there");
                }
                ("remove", Some(attr), _) => {
                    at.attrs.remove(&attr[1..]).expect("it was there");
                }
                ("remove", None, Some(last)) => {
                    at.children.remove(at.find(last));
                }
                ("replace", None, Some(last)) => {
                    let place = at.find(last);
                    at.children[place] = step.children[0].clone();
                }
                ("add", _, Some(last)) => {
                    let place = at.find(last) + 1;
                    at.children.splice(place..place, step.children.clone());
                }
                ("add", _, None) => match step.attrs.get("type") {
                    Some(attr) => {
                        at.attrs.insert(attr[1..].into(), step.text.clone());
                    }
                    None => at.children.extend(step.children.clone()),
                },
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Whether there is a patch; if so, it makes the one of the other.
#[track_caller]
pub(super) fn check(old: &str, new: &str) -> bool {
    let Some(patch) = patch::between(old, new) else {
        return false;
    };
    let mut patched = Tree::parse(old);
    patched.apply(&Tree::parse(&patch));
    assert_eq!(patched, Tree::parse(new), "{patch}");
    true
}

fn timeline(script: &Script) -> String {
    mpd::render(&script.channel, Document::Patched)
}

fn advance(script: &mut Script, rounds: u64) {
    for _ in 0..rounds {
        for (name, second) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
            script.close(name, second);
            (0..3).for_each(|_| script.part(name, second / 2));
        }
    }
}

#[test]
fn t31_a_patch_makes_the_next_version_of_the_last() {
    let mut script = testing::reference_state();
    let before = timeline(&script);
    let version = stamp(&script.channel, Document::Patched).version;
    assert!(before.contains(&format!(">e7-timeline-{version}.mpp</PatchLocation>")));
    assert!(before.contains("<PatchLocation ttl=\"60\">"));
    advance(&mut script, 1);
    let after = timeline(&script);
    assert!(check(&before, &after));
    for name in ["v1", "v2", "a1"] {
        script.evict(name, 103, 101);
    }
    advance(&mut script, 2);
    let later = timeline(&script);
    assert!(check(&before, &later) && check(&after, &later));
    let patch = patch::between(&before, &later).expect("checked");
    assert!(patch.contains("xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\""));
    assert!(patch.contains("/S[1]\""), "positions count from one");
    assert!(patch.len() < later.len() / 2 + 1_000, "it is worth it");
}

#[test]
fn t31_periods_that_come_and_go_are_patched() {
    let mut script = testing::reference_state();
    let before = timeline(&script);
    for (name, second) in [("v1", 90_000), ("v2", 90_000), ("a1", 48_000)] {
        script.close(name, second);
        script.discontinuity(name, 0xb0);
        (0..4).for_each(|_| script.part(name, second / 2));
    }
    let second = timeline(&script);
    assert!(check(&before, &second));
    assert_eq!(second.matches("<Period ").count(), 2);
    advance(&mut script, 3);
    for name in ["v1", "v2", "a1"] {
        script.evict(name, 112, 110);
    }
    let third = timeline(&script);
    assert_eq!(third.matches("<Period ").count(), 1);
    assert!(check(&before, &third) || check(&second, &third));
    assert!(check(&second, &third));
}

#[test]
fn t31_what_players_cannot_patch_has_no_patch() {
    let mut script = testing::reference_state();
    let before = timeline(&script);
    script.rates("v1", 1_000_000, 900_000);
    let rated = timeline(&script);
    assert!(!check(&before, &rated), "no player patches a bandwidth");
    script.end();
    assert!(
        !check(&rated, &timeline(&script)),
        "what ends is read as a whole"
    );
    assert!(patch::between("", &before).is_none());
    assert!(patch::between("<?xml?>\n<MPD>\n", &before).is_none());
}
