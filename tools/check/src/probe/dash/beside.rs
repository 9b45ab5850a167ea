//! The playlist beside an MPD: both name the same bytes.

use std::collections::BTreeMap;

use super::Shared;
use super::media::Brought;
use crate::fmp4;
use crate::judge::dash::media;
use crate::playlist::is_multivariant;
use crate::playlist::media::Media;
use crate::playlist::multivariant::Multivariant;
use crate::probe::client::Ask;
use crate::rule::D19;
use crate::uri::resolve;
use crate::verdict::Verdicts;

/// Segments of each playlist that are compared.
const SEGMENTS: usize = 3;
const PATIENCE_US: u64 = 10_000_000;

/// Compares what was fetched by the MPD with what the playlist beside it names.
pub(super) fn compare(
    shared: &Shared<'_>,
    brought: &BTreeMap<String, Brought>,
    verdicts: &mut Verdicts,
) {
    if !shared.run.wants(D19) {
        return;
    }
    let client = &shared.run.client;
    let address = resolve(&shared.address, "index.m3u8");
    let answer = client.get(Ask::playlist(&address, PATIENCE_US));
    let body = answer
        .text()
        .filter(|text| answer.is_ok() && is_multivariant(text));
    let Some(body) = body else {
        return verdicts
            .of("")
            .skip(D19, "there is no index.m3u8 beside the MPD");
    };
    let list = Multivariant::parse(&address, body);
    for listed in list.playlists() {
        let answer = client.get(Ask::playlist(&listed.address, PATIENCE_US));
        let Some(body) = answer.text().filter(|_| answer.is_ok()) else {
            continue;
        };
        let list = Media::parse(&listed.address, body);
        one(shared, &list, brought, verdicts);
    }
}

/// One media playlist against the Representation that has its header.
fn one(
    shared: &Shared<'_>,
    list: &Media,
    brought: &BTreeMap<String, Brought>,
    verdicts: &mut Verdicts,
) {
    let client = &shared.run.client;
    let whole = list.segments.iter().rev().filter(|segment| !segment.gap);
    for segment in whole.take(SEGMENTS) {
        let Some(map) = segment.map.as_ref().filter(|_| segment.range.is_none()) else {
            continue;
        };
        let map = client.get(Ask::media(
            &resolve(&list.address, &map.uri),
            None,
            PATIENCE_US,
        ));
        let twin = brought.values().find_map(|one| {
            let (header, read) = one.header.as_ref()?;
            (header.body == map.body).then_some((one, read))
        });
        let Some((one, header)) = twin else { continue };
        let Some(of) = &one.representation else {
            continue;
        };
        let address = resolve(&list.address, &segment.uri);
        let theirs = client.get(Ask::media(&address, None, PATIENCE_US));
        let read = fmp4::Media::parse(&theirs.body, header);
        let decode = read
            .ok()
            .and_then(|read| read.fragments.first()?.decode_ticks);
        if let Some((decode, ours)) = decode.and_then(|at| Some((at, one.fetched.whole.get(&at)?)))
        {
            media::same(&mut verdicts.of(&of.id), of, decode, ours, &theirs);
        }
    }
}
