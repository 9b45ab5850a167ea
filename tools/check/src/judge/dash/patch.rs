//! Patches against the versions they lead to: D16.

use super::dash;
use crate::answer::Answer;
use crate::judge::dash::follow::Snapshot;
use crate::mpd::patch::apply;
use crate::mpd::xml::{Element, PATCH};
use crate::rule::D16;
use crate::verdict::Scope;

const CLAUSE: &str = dash!("5.15");

/// What came of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It leads to a version that is known, and was judged.
    Judged,
    /// It leads to a version that is not known (yet).
    Elsewhere,
    /// It is no patch.
    Refused,
}

/// Judges the patch of `before` by the version of `known` that it leads to.
pub fn leads<'s>(
    on: &mut Scope<'_>,
    before: &Snapshot,
    answer: &Answer,
    mut known: impl Iterator<Item = &'s Snapshot>,
) -> Told {
    let saw = || format!("{}: {}", answer.address, answer.outcome());
    if !on.must(
        D16,
        CLAUSE,
        answer.is_ok(),
        "a patch is not there though the MPD has changed",
        saw,
    ) {
        return Told::Refused;
    }
    let kind = answer.header("content-type").unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    on.must(
        D16,
        CLAUSE,
        essence == "application/dash-patch+xml",
        "a patch is not sent as application/dash-patch+xml",
        || kind.to_owned(),
    );
    let read = answer.text().map(Element::parse);
    let Some(Ok((patch, namespace))) = read else {
        on.must(D16, CLAUSE, false, "a patch cannot be read", || {
            format!("{read:?}")
        });
        return Told::Refused;
    };
    on.must(
        D16,
        CLAUSE,
        namespace == PATCH,
        "a patch is not in its namespace",
        || namespace.clone(),
    );
    let of = |name: &str| before.mpd.tree.attribute(name);
    let said = |name: &str| patch.attribute(name);
    for (what, said, was) in [
        ("mpdId is not the id of the MPD", said("mpdId"), of("id")),
        (
            "originalPublishTime is not that of the MPD",
            said("originalPublishTime"),
            of("publishTime"),
        ),
    ] {
        on.must(D16, CLAUSE, said == was, what, || {
            format!("{said:?} against {was:?}")
        });
    }
    let mut tree = before.mpd.tree.clone();
    let done = apply(&mut tree, &patch);
    if !on.must(
        D16,
        "RFC 5261",
        done.is_ok(),
        "a patch cannot be applied",
        || done.clone().err().unwrap_or_default(),
    ) {
        return Told::Refused;
    }
    let to = said("publishTime");
    on.must(
        D16,
        CLAUSE,
        to == tree.attribute("publishTime"),
        "a patch leads to another publishTime than it says",
        || format!("{to:?} against {:?}", tree.attribute("publishTime")),
    );
    let after = known.find(|known| known.mpd.tree.attribute("publishTime") == to);
    let Some(after) = after else {
        return Told::Elsewhere;
    };
    let differs = tree.difference(&after.mpd.tree);
    on.must(
        D16,
        CLAUSE,
        differs.is_none(),
        "a patched MPD is not the version that it leads to",
        || differs.clone().unwrap_or_default(),
    );
    Told::Judged
}

/// Judges the patch of the newest version, which is not there yet.
pub fn none_yet(on: &mut Scope<'_>, answer: &Answer) {
    on.must(
        D16,
        CLAUSE,
        matches!(answer.status, 200 | 204 | 404 | 410 | 425),
        "a patch that is not there yet is refused otherwise than with 425",
        || format!("{}: {}", answer.address, answer.outcome()),
    );
    on.should(
        D16,
        "RFC 8470 5.2",
        !matches!(answer.status, 404 | 410),
        "a patch that is not there yet looks as if it never came",
        || format!("{}: {}", answer.address, answer.outcome()),
    );
}

/// Judges the patch of a version whose time is long over.
pub fn stale(on: &mut Scope<'_>, answer: &Answer) {
    on.must(
        D16,
        CLAUSE,
        matches!(answer.status, 404 | 410) || answer.is_ok(),
        "a patch that is too old is neither gone nor whole",
        || format!("{}: {}", answer.address, answer.outcome()),
    );
}
