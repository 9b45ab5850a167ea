//! The CMAF parser sees the same whatever the cuts.

use headwater::media::bmff::Error;
use headwater::media::cmaf::{DataBase, Event, Parser};

use crate::mutate::Chance;

/// Parses `data` whole and in pieces; a hash of `data` decides where the cuts
/// are. Both must give the same events and the same end.
pub fn bmff_cmaf(data: &[u8]) {
    let whole = parse([data].into_iter());
    let mut chance = Chance::of(data);
    let most = 1 << chance.below(12);
    let mut rest = data;
    let pieces = std::iter::from_fn(|| {
        let (piece, after) = rest.split_at(rest.len().min(1 + chance.below(most)));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    let cut = parse(pieces);
    assert_eq!(whole.end, cut.end, "the end differs");
    assert_eq!(whole.position, cut.position, "the position differs");
    assert!(
        whole.events == cut.events,
        "{:?} {:?}",
        whole.events,
        cut.events
    );
    whole.events.iter().for_each(check);
}

/// What came of a body.
#[derive(Debug)]
pub struct Outcome {
    /// In order.
    pub events: Vec<Event>,
    /// Whether it could end there.
    pub end: Result<(), Error>,
    /// Bytes taken.
    pub position: u64,
}

/// Parses one body that comes in pieces.
pub fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = Parser::new();
    let mut events = Vec::new();
    for mut piece in pieces {
        loop {
            match parser.push(&mut piece) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(parser.finish(), Err(error.clone()), "an error stays");
                    return Outcome {
                        events,
                        end: Err(error),
                        position: parser.position(),
                    };
                }
            }
        }
        assert!(piece.is_empty(), "without an event all bytes are taken");
    }
    let end = parser.finish();
    Outcome {
        events,
        end,
        position: parser.position(),
    }
}

fn check(event: &Event) {
    let Event::Chunk(chunk) = event else { return };
    assert!(chunk.prefix_len < chunk.payload_from, "a moof lies between");
    assert!(
        chunk.payload_from <= chunk.bytes.len(),
        "the first mdat is whole"
    );
    if chunk
        .fragments
        .iter()
        .any(|fragment| matches!(fragment.base, DataBase::File(_)))
    {
        return; // Such a chunk means something only where it stands.
    }
    let again = parse([&chunk.bytes[..]].into_iter());
    let [Event::Chunk(again)] = &again.events[..] else {
        panic!("one chunk: {again:?}")
    };
    assert_eq!(again.bytes, chunk.bytes);
    assert_eq!(again.prefix_len, chunk.prefix_len);
    assert_eq!(again.payload_from, chunk.payload_from);
    assert_eq!(again.fragments.len(), chunk.fragments.len());
    assert_eq!(again.styp, chunk.styp);
    assert_eq!(again.producer_time, chunk.producer_time);
}
