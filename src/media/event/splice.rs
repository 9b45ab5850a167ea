//! From splice sections to events: what leaves and comes back is one event,
//! what is repeated is said once, what is called off leaves.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::limits;
use crate::media::cmaf::Message;
use crate::media::event::scte35::{self, Command, Section};
use crate::media::event::{Event, Events, Role, Statement};
use crate::time::{Micros, Wall, rescale_nearest};

/// A cue that is said again lies this near to where it was; tracks differ by a
/// frame, and the same event id comes again after minutes.
const SAME_CUE: Micros = Micros(500_000);
const BINARY: &str = "urn:scte:scte35:2013:bin";
const XML_AND_BINARY: &str = "urn:scte:scte35:2014:xml+bin";

/// What a message makes of the events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// To be told.
    Say(Statement),
    /// It does not happen, at least not then.
    Cancel(Arc<str>),
}

/// What a message that applies at `at` makes of `events`, while the live edge
/// is at `edge`. Messages of other schemes are for players, who find them in
/// the media.
pub(crate) fn steps(
    message: &Message,
    at: Wall,
    edge: Wall,
    events: &Events,
) -> Result<Vec<Step>, String> {
    let bytes = match &message.scheme[..] {
        BINARY => message.data.clone(),
        XML_AND_BINARY => binary(&message.data).ok_or("an event message without its Binary")?,
        _ => return Ok(Vec::new()),
    };
    let section = scte35::read(&bytes).map_err(|error| error.to_string())?;
    let ahead_s = at.0.saturating_sub(edge.0) / 1_000_000;
    if ahead_s.abs() > limits::EVENT_AHEAD_S_MAX {
        return Err("an event message that is far from its media".to_owned());
    }
    let scene = Scene {
        bytes: bytes.slice(..section.len),
        at,
        edge,
        lasts: message
            .duration
            .filter(|ticks| *ticks > 0)
            .map(|ticks| span(ticks.into(), message.timescale)),
        events,
    };
    Ok(scene.steps(&section))
}

/// The content of the `Binary` element.
fn binary(xml: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(xml).ok()?;
    let (_, rest) = text.split_once("Binary")?;
    let (attributes, rest) = rest.split_once('>')?;
    let (content, _) = rest.split_once('<')?;
    let content: String = content.split_ascii_whitespace().collect();
    let empty = attributes.ends_with('/');
    STANDARD
        .decode(content)
        .ok()
        .filter(|_| !empty)
        .map(Bytes::from)
}

fn span(ticks: u64, timescale: u32) -> Micros {
    let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
    // Printed in milliseconds, so equal spans are equal there.
    Micros(rescale_nearest(ticks, timescale, 1000).saturating_mul(1000))
}

/// One section, and what it is seen against.
struct Scene<'a> {
    bytes: Bytes,
    at: Wall,
    edge: Wall,
    /// The message's own word on how long the event lasts.
    lasts: Option<Micros>,
    events: &'a Events,
}

/// One cue of a section: its kind and event id in the ids of events.
struct Cue {
    name: String,
    /// By an event id; else its name is that of its bytes.
    numbered: bool,
    role: Role,
    cancelled: bool,
    duration: Option<Micros>,
}

impl Scene<'_> {
    fn steps(&self, section: &Section) -> Vec<Step> {
        let mut cues = Vec::new();
        match section.command {
            Command::Insert(insert) => cues.push(Cue {
                name: format!("splice-{}", insert.event_id),
                numbered: true,
                role: if insert.out { Role::Out } else { Role::In },
                cancelled: insert.cancelled,
                duration: insert.duration.map(|ticks| span(ticks, 90_000)),
            }),
            Command::TimeSignal => cues.extend(section.segmentations.iter().map(|cue| {
                let (role, pair) = segmentation(cue.type_id);
                Cue {
                    name: match cue.cancelled {
                        true => format!("segment-{}-", cue.event_id),
                        false => format!("segment-{}-{pair:02x}", cue.event_id),
                    },
                    numbered: true,
                    role,
                    cancelled: cue.cancelled,
                    duration: cue.duration.map(|ticks| span(ticks, 90_000)),
                }
            })),
            Command::Idle | Command::Other => {}
        }
        if cues.is_empty() {
            let crc = self.bytes.iter().rev().take(4).rev();
            let mut name = String::from("scte35-");
            crc.for_each(|byte| write!(name, "{byte:02x}").expect("a string takes any text"));
            cues.push(Cue {
                name,
                numbered: false,
                role: Role::Command,
                cancelled: false,
                duration: None,
            });
        }
        // Some encoders say every few seconds that there is nothing to say.
        let idle = section.command == Command::Idle;
        if idle && self.events_of(&cues[0].name).next().is_some() {
            return Vec::new();
        }
        // Cues of one section may call the same event off.
        let mut steps = Vec::new();
        for step in cues.iter().flat_map(|cue| self.cue(cue)) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps
    }

    fn cue(&self, cue: &Cue) -> Vec<Step> {
        if cue.cancelled {
            return self.pending(cue);
        }
        match cue.role {
            Role::In => self.back(cue).into_iter().collect(),
            Role::Out | Role::Command => self.begin(cue),
        }
    }

    /// Calls off the events of this cue that nothing listed belongs to yet.
    fn pending(&self, cue: &Cue) -> Vec<Step> {
        self.events_of(&cue.name)
            .filter(|event| event.start() > self.edge)
            .map(|event| Step::Cancel(Arc::clone(event.id())))
            .collect()
    }

    fn begin(&self, cue: &Cue) -> Vec<Step> {
        let again = |event: &Event| (event.start() - self.at).0.abs() <= SAME_CUE.0;
        if self.events_of(&cue.name).any(again) {
            return Vec::new();
        }
        // The same cue for another time, before its time has come, moves it.
        let mut steps = match cue.numbered {
            true => self.pending(cue),
            false => Vec::new(),
        };
        steps.push(Step::Say(Statement {
            planned: cue.duration.or(self.lasts),
            splice: Some((cue.role, self.bytes.clone())),
            ..Statement::new(&self.id(cue), self.at)
        }));
        steps
    }

    /// Back from an event that has begun, or from one nobody told of.
    fn back(&self, cue: &Cue) -> Option<Step> {
        let mut events: Vec<_> = self.events_of(&cue.name).collect();
        events.sort_by_key(|event| event.start());
        let near = |end: Wall| (end - self.at).0.abs() <= SAME_CUE.0;
        let again =
            |event: &&Event| event.splice(Role::In).is_some() && event.end().is_some_and(near);
        if events.iter().any(again) {
            return None;
        }
        let open = events.iter().rev().find(|event| {
            event.splice(Role::Out).is_some() && event.end().is_none() && event.start() < self.at
        });
        let splice = Some((Role::In, self.bytes.clone()));
        let (id, start) = match open {
            Some(out) => (out.id().to_string(), out.start()),
            None => (self.id(cue), self.at),
        };
        let ms = (self.at - start).0 / 1000;
        Some(Step::Say(Statement {
            duration: Some(Micros(ms * 1000)),
            splice,
            ..Statement::new(&id, start)
        }))
    }

    /// Event ids come again; with the date they are distinct, and the same from
    /// every encoder and on every origin.
    fn id(&self, cue: &Cue) -> String {
        format!("{}-{}", cue.name, self.at.0.div_euclid(1000))
    }

    fn events_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Event> {
        let of = move |event: &&Event| {
            let rest = event.id().strip_prefix(name);
            rest.is_some_and(|rest| name.ends_with('-') || rest.starts_with('-'))
        };
        let cued = |event: &&Event| event.told[0].statement.splice.is_some();
        self.events.iter().filter(of).filter(cued)
    }
}

/// What a segmentation type means, and the type that begins what it ends
/// (ANSI/SCTE 35 section 10.3.3.1, table 23): breaks, advertisements, placement
/// opportunities and promotions leave the feed, all others pass within it.
fn segmentation(type_id: u8) -> (Role, u8) {
    let begins = type_id & !1;
    match begins {
        0x22 | 0x30 | 0x32 | 0x34 | 0x36 | 0x3c | 0x3e | 0x44 | 0x46 if type_id == begins => {
            (Role::Out, begins)
        }
        0x22 | 0x30 | 0x32 | 0x34 | 0x36 | 0x3c | 0x3e | 0x44 | 0x46 => (Role::In, begins),
        _ => (Role::Command, type_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::MessageTime;
    use crate::media::event::EventChange;
    use crate::media::event::scte35::tests::{
        INSERT_OUT, PLACEMENT_END, PLACEMENT_START, PROGRAM_END_AND_START, bytes, cancel_section,
        insert_section, section,
    };

    /// Id, start, end, planned milliseconds, and which sections there are.
    type Fact = (String, Wall, Option<Wall>, Option<i64>, String);

    /// What a player would find in the list, and the list itself.
    #[derive(Default)]
    struct Board {
        events: Events,
        edge: Wall,
    }

    fn at(seconds: i64) -> Wall {
        Wall(1_767_225_600_000_000 + seconds * 1_000_000)
    }

    impl Board {
        fn at(seconds: i64) -> Self {
            Self {
                events: Events::default(),
                edge: at(seconds),
            }
        }

        fn hear_in(&mut self, scheme: &str, data: Vec<u8>, when: Wall) -> Result<(), String> {
            let message = Message {
                scheme: scheme.into(),
                timescale: 1000,
                time: MessageTime::Absolute(0),
                duration: None,
                data: data.into(),
            };
            for step in steps(&message, when, self.edge, &self.events)? {
                let change = match step {
                    Step::Say(statement) => {
                        let told = self.events.weigh(&statement, self.edge, None);
                        let Some(statement) = told.unwrap() else {
                            continue;
                        };
                        EventChange::Told(statement.into())
                    }
                    Step::Cancel(id) => EventChange::Left(vec![id]),
                };
                self.events.step(&change);
            }
            Ok(())
        }

        fn hear(&mut self, data: Vec<u8>, when: Wall) {
            self.hear_in(BINARY, data, when).unwrap();
        }

        fn facts(&self) -> Vec<Fact> {
            let roles = |event: &Event| {
                let roles = [(Role::Out, 'O'), (Role::In, 'I'), (Role::Command, 'C')];
                roles
                    .iter()
                    .filter(|(role, _)| event.splice(*role).is_some())
                    .map(|(_, letter)| *letter)
                    .collect()
            };
            self.events
                .iter()
                .map(|event| {
                    let planned = event.whole().planned.map(|span| span.0 / 1000);
                    let id = event.id().to_string();
                    (id, event.start(), event.end(), planned, roles(event))
                })
                .collect()
        }
    }

    #[test]
    fn s4_4_5_1_1_an_insert_and_its_return_are_one_event() {
        let mut board = Board::at(0);
        board.hear(insert_section(7, true, Some(30)), at(10));
        board.hear(insert_section(7, true, Some(30)), at(10));
        let id = "splice-7-1767225610000".to_owned();
        let out = (id.clone(), at(10), None, Some(30_000), "O".to_owned());
        assert_eq!(board.facts(), [out]);
        board.edge = at(36);
        for near in [Micros(0), Micros(33_000)] {
            board.hear(insert_section(7, false, None), at(38) + near);
        }
        let both = (id, at(10), Some(at(38)), Some(30_000), "OI".to_owned());
        assert_eq!(board.facts(), [both]);
        let told = &board.events.iter().next().unwrap().told;
        assert_eq!(told.len(), 2, "one statement each");
        assert_eq!(told[1].statement.planned, None, "nothing is said twice");
    }

    #[test]
    fn s4_4_5_1_1_an_event_id_that_comes_again_is_another_event() {
        let mut board = Board::at(0);
        for minute in 0..3 {
            board.edge = at(600 * minute);
            board.hear(insert_section(1, true, None), at(600 * minute + 4));
            board.hear(insert_section(1, false, None), at(600 * minute + 34));
        }
        let ends: Vec<_> = board.facts().into_iter().map(|fact| fact.2).collect();
        assert_eq!(ends, [Some(at(34)), Some(at(634)), Some(at(1234))]);
    }

    #[test]
    fn s4_4_5_1_1_what_is_called_off_or_moved_leaves() {
        let mut board = Board::at(0);
        board.hear(insert_section(7, true, Some(30)), at(10));
        board.hear(insert_section(71, true, Some(30)), at(10));
        board.hear(insert_section(7, true, Some(30)), at(12));
        let starts = |board: &Board| board.facts().iter().map(|fact| fact.1).collect::<Vec<_>>();
        assert_eq!(starts(&board), [at(10), at(12)]);
        board.hear(cancel_section(7), at(5));
        assert_eq!(starts(&board), [at(10)], "the other one stays");
        board.edge = at(11);
        board.hear(cancel_section(71), at(11));
        assert_eq!(starts(&board), [at(10)], "it has begun");
    }

    #[test]
    fn s4_4_5_1_1_an_event_is_called_off_once_by_a_section() {
        let mut board = Board::at(0);
        board.hear(bytes(PLACEMENT_START), at(10));
        let cancel = b"\x02\x09CUEI\x48\x00\x00\x8e\xff";
        let data = section(6, &[0x7f], &cancel.repeat(2)).into();
        let message = Message {
            scheme: BINARY.into(),
            timescale: 1000,
            time: MessageTime::Absolute(0),
            duration: None,
            data,
        };
        let got = steps(&message, at(5), board.edge, &board.events).unwrap();
        let id = "segment-1207959694-34-1767225610000".into();
        assert_eq!(got, [Step::Cancel(id)]);
    }

    #[test]
    fn s4_4_5_1_1_segmentation_pairs_by_type() {
        let mut board = Board::at(0);
        board.hear(bytes(PLACEMENT_START), at(10));
        board.edge = at(300);
        board.hear(bytes(PLACEMENT_END), at(317));
        let id = "segment-1207959694-34-1767225610000".to_owned();
        let pair = (id, at(10), Some(at(317)), Some(307_000), "OI".to_owned());
        assert_eq!(board.facts(), [pair]);
    }

    #[test]
    fn s4_4_5_1_1_each_segmentation_of_a_section_is_an_event() {
        let mut board = Board::at(0);
        board.hear(bytes(PROGRAM_END_AND_START), at(10));
        let facts = board.facts();
        let kinds: Vec<_> = facts
            .iter()
            .map(|fact| (&fact.0[..], &fact.4[..]))
            .collect();
        let want = [
            ("segment-1207959576-11-1767225610000", "C"),
            ("segment-1207959577-10-1767225610000", "C"),
        ];
        assert_eq!(kinds, want);
        let sections = board.events.iter().map(|event| event.splice(Role::Command));
        let whole = Bytes::from(bytes(PROGRAM_END_AND_START));
        assert!(sections.flatten().all(|section| *section == whole));
    }

    #[test]
    fn s4_4_5_1_1_other_commands_are_commands() {
        let mut board = Board::at(0);
        let private = section(0xff, b"CUEI", &[]);
        board.hear(private.clone(), at(1));
        board.hear(private.clone(), at(1));
        board.hear(private, at(11));
        board.hear(section(6, &[0x7f], &[]), at(12));
        for second in 20..30 {
            board.hear(section(0, &[], &[]), at(second));
        }
        let facts = board.facts();
        assert_eq!(facts.len(), 4, "a line that is alive says so once");
        assert!(facts.iter().all(|fact| fact.4 == "C" && fact.3.is_none()));
    }

    #[test]
    fn s4_4_5_1_1_a_return_from_nowhere_is_a_moment() {
        let mut board = Board::at(0);
        board.hear(insert_section(7, false, None), at(10));
        board.hear(insert_section(7, false, None), at(10));
        let facts = board.facts();
        let want = (
            "splice-7-1767225610000".to_owned(),
            at(10),
            Some(at(10)),
            None,
            "I".into(),
        );
        assert_eq!(facts, [want]);
    }

    #[test]
    fn xml_with_binary_is_binary() {
        let xml = format!(
            "<Signal xmlns=\"http://www.scte.org/schemas/35/2016\"><Binary signalType=\"a\">\n{INSERT_OUT}\n</Binary></Signal>"
        );
        let mut board = Board::at(0);
        board
            .hear_in(XML_AND_BINARY, xml.into_bytes(), at(1))
            .unwrap();
        assert_eq!(board.facts()[0].3, Some(60_294));
        for wrong in [
            "",
            "<Binary/>x<",
            "<Binary>??</Binary>",
            "Binary",
            "\u{e9}>",
        ] {
            let bad = board.hear_in(XML_AND_BINARY, wrong.into(), at(1));
            assert!(bad.is_err(), "{wrong}");
        }
        let id3 = "https://aomedia.org/emsg/ID3";
        board.hear_in(id3, b"ID3".to_vec(), at(2)).unwrap();
        assert_eq!(board.facts().len(), 1, "other schemes are left to players");
    }

    #[test]
    fn a_message_far_from_its_media_is_refused() {
        let mut board = Board::at(0);
        let limit = at(limits::EVENT_AHEAD_S_MAX);
        board.hear(insert_section(7, true, None), limit);
        for far in [limit + Micros(1_000_000), Wall(i64::MAX), Wall(i64::MIN)] {
            let out = insert_section(8, true, None);
            assert!(board.hear_in(BINARY, out, far).is_err());
        }
        assert_eq!(board.facts().len(), 1);
    }
}
