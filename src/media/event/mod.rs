//! Events of a channel: what happens at a date or over a span of it, told by
//! its encoders (ad breaks) or by its operator.
//!
//! All is said in statements. Later statements about an event add to it and
//! never change it, and it stays as long as any of it belongs to listed media,
//! because players keep what they were once told. The home of the channel
//! decides; mirrors apply the same [`EventChange`]s.

mod ear;
pub mod scte35;
mod splice;

pub(crate) use crate::media::event::ear::Ear;
pub(crate) use crate::media::event::splice::{Step, steps};

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits;
use crate::time::{Micros, Wall};

/// Something said of an event, at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Which event: the same in every statement about it, and of no other.
    pub id: Arc<str>,
    /// What kind of event, in the operator's words.
    pub class: Option<String>,
    /// When it begins: the same in every statement about it.
    pub start: Wall,
    /// When it ends.
    pub end: Option<Wall>,
    /// How long it lasts.
    pub duration: Option<Micros>,
    /// How long it is expected to last.
    pub planned: Option<Micros>,
    /// It lasts until the next one of its class begins.
    pub until_next: bool,
    /// What an encoder's splice section says of it.
    pub splice: Option<(Role, Bytes)>,
    /// Whatever else, by name, for those who read it.
    pub attributes: BTreeMap<String, Value>,
}

/// What a splice section means for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The feed of the network is left.
    Out,
    /// It is back.
    In,
    /// Anything else.
    Command,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Without quotes and line ends.
    Text(String),
    /// Finite.
    Number(f64),
}

/// A statement in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The first version of the list that it is in.
    pub since: u64,
    /// What was said.
    pub statement: Arc<Statement>,
}

/// One event: all that was said of it, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// At least one.
    pub told: Vec<Told>,
}

/// An event that has left the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// The first version of the list that it is not in.
    pub since: u64,
    /// Which it was.
    pub id: Arc<str>,
}

/// One step of the list.
#[derive(Clone, Debug)]
pub enum EventChange {
    /// Something more is known.
    Told(Arc<Statement>),
    /// Events leave, with all that was said of them.
    Left(Vec<Arc<str>>),
    /// Those that had left by this version of the list are forgotten.
    Forgotten(u64),
}

/// Why a statement is not taken in.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// It contradicts what was said before, in the named respect.
    Contradicts(String),
    /// It contradicts itself or lacks something.
    Unsound(&'static str),
    /// The id belonged to an event that was removed.
    Spent,
    /// All of it lies before the listed media.
    Past,
    /// It begins too far ahead.
    Ahead,
    /// The list is full.
    Full,
    /// The channel is over.
    Ended,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradicts(what) => {
                write!(
                    f,
                    "{what} was said to be different, and what was said stays"
                )
            }
            Self::Unsound(what) => f.write_str(what),
            Self::Spent => f.write_str("an event of this id was removed; use another id"),
            Self::Past => f.write_str("it is over before the listed media begins"),
            Self::Ahead => f.write_str("it begins more than seven days ahead"),
            Self::Full => f.write_str("the list of events is full"),
            Self::Ended => f.write_str("the channel has ended"),
        }
    }
}

/// Removed ids are remembered for this many target durations beyond a window:
/// longer than any reader may rely on what it has of an older list. Time is that
/// of the process, because dates may leap.
pub const REMEMBERED_TARGETS: u64 = 12;
/// Dates are printed in milliseconds and tracks begin within a frame of each
/// other: an event is over when it ended this long before all listed media.
const OVER_MARGIN: Micros = Micros(100_000);

/// The events of a channel, in the order in which they were first told.
#[derive(Clone, Debug, Default)]
pub struct Events {
    list: Vec<Event>,
    removed: VecDeque<Removed>,
    version: u64,
    /// The first version from which all removals are remembered.
    remembers_from: u64,
}

impl Statement {
    /// A statement that says no more than when the event begins.
    pub fn new(id: &str, start: Wall) -> Self {
        Self {
            id: id.into(),
            class: None,
            start,
            end: None,
            duration: None,
            planned: None,
            until_next: false,
            splice: None,
            attributes: BTreeMap::new(),
        }
    }

    /// Bytes it takes in a list, more or less.
    fn weight(&self) -> usize {
        let splice = self.splice.as_ref().map_or(0, |(_, bytes)| 2 * bytes.len());
        let attributes = self.attributes.iter().map(|(name, value)| {
            name.len()
                + match value {
                    Value::Text(text) => text.len(),
                    Value::Number(_) => 24,
                }
        });
        128 + self.id.len()
            + self.class.as_ref().map_or(0, String::len)
            + splice
            + attributes.sum::<usize>()
    }
}

impl Event {
    /// Which event.
    pub fn id(&self) -> &Arc<str> {
        &self.told[0].statement.id
    }

    /// When it begins.
    pub fn start(&self) -> Wall {
        self.told[0].statement.start
    }

    /// What kind of event.
    pub fn class(&self) -> Option<&str> {
        self.find(|said| said.class.as_deref())
    }

    /// When it ends, where that has been said.
    pub fn end(&self) -> Option<Wall> {
        let lasts = || self.find(|said| said.duration);
        self.find(|said| said.end)
            .or_else(|| lasts().map(|span| self.start() + span))
    }

    /// The section that was said to have this meaning.
    pub fn splice(&self, role: Role) -> Option<&Bytes> {
        self.find(|said| match &said.splice {
            Some((of, bytes)) if *of == role => Some(bytes),
            _ => None,
        })
    }

    /// All that was said, in one statement but for splice sections.
    pub fn whole(&self) -> Statement {
        let mut whole = Statement::new(self.id(), self.start());
        for said in self.statements() {
            whole.class = whole.class.or_else(|| said.class.clone());
            whole.end = whole.end.or(said.end);
            whole.duration = whole.duration.or(said.duration);
            whole.planned = whole.planned.or(said.planned);
            whole.until_next |= said.until_next;
            whole.attributes.extend(said.attributes.clone());
        }
        whole
    }

    fn statements(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.told.iter().map(|told| &told.statement)
    }

    fn find<'a, T>(&'a self, pick: impl Fn(&'a Statement) -> Option<T>) -> Option<T> {
        self.told.iter().find_map(|told| pick(&told.statement))
    }

    /// What `statement` adds to what is known, if anything.
    fn added(&self, statement: &Statement) -> Result<Option<Statement>, Refusal> {
        let whole = self.whole();
        if statement.start != whole.start {
            return Err(Refusal::Contradicts("the start".into()));
        }
        let more = Statement {
            id: Arc::clone(self.id()),
            class: new("the class", whole.class.as_ref(), statement.class.as_ref())?,
            start: whole.start,
            end: new("the end", whole.end.as_ref(), statement.end.as_ref())?,
            duration: new(
                "the duration",
                whole.duration.as_ref(),
                statement.duration.as_ref(),
            )?,
            planned: new(
                "the planned duration",
                whole.planned.as_ref(),
                statement.planned.as_ref(),
            )?,
            until_next: statement.until_next && !whole.until_next,
            splice: match &statement.splice {
                Some((role, bytes)) => {
                    let known = self.splice(*role);
                    new("the splice", known, Some(bytes))?.map(|bytes| (*role, bytes))
                }
                None => None,
            },
            attributes: BTreeMap::new(),
        };
        let mut more = more;
        for (name, value) in &statement.attributes {
            let value = new(name, whole.attributes.get(name), Some(value))?;
            more.attributes
                .extend(value.map(|value| (name.clone(), value)));
        }
        let nothing = Statement::new(self.id(), whole.start);
        if more == nothing {
            return Ok(None);
        }
        let mut told = self.clone();
        let statement = Arc::new(more.clone());
        told.told.push(Told {
            since: u64::MAX,
            statement,
        });
        told.whole().check()?;
        Ok(Some(more))
    }
}

/// What is said beyond what is known, which it may repeat and not change.
fn new<T: Clone + PartialEq>(
    what: &str,
    known: Option<&T>,
    said: Option<&T>,
) -> Result<Option<T>, Refusal> {
    match (known, said) {
        (Some(known), Some(said)) if known != said => Err(Refusal::Contradicts(what.to_owned())),
        (Some(_), _) => Ok(None),
        (None, said) => Ok(said.cloned()),
    }
}

impl Statement {
    /// Whether it makes sense by itself.
    fn check(&self) -> Result<(), Refusal> {
        let unsound = |what| Err(Refusal::Unsound(what));
        let negative = |span: Option<Micros>| span.is_some_and(|span| span.0 < 0);
        if negative(self.duration) || negative(self.planned) {
            return unsound("a duration below zero");
        }
        if self.end.is_some_and(|end| end < self.start) {
            return unsound("it ends before it begins");
        }
        if let (Some(end), Some(duration)) = (self.end, self.duration)
            && end != self.start + duration
        {
            return unsound("start and duration do not make the end");
        }
        if self.until_next && self.class.is_none() {
            return unsound("only an event of a class lasts until the next one");
        }
        if self.until_next && (self.end.is_some() || self.duration.is_some()) {
            return unsound("an event that lasts until the next one has no end of its own");
        }
        Ok(())
    }
}

impl Events {
    /// All events, in the order in which they were first told.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.list.iter()
    }

    /// Events that have left, oldest first, for as long as it matters.
    pub fn removed(&self) -> impl ExactSizeIterator<Item = &Removed> {
        self.removed.iter()
    }

    /// An event by its id.
    pub fn get(&self, id: &str) -> Option<&Event> {
        self.list.iter().find(|event| &**event.id() == id)
    }

    /// Whether nothing is listed and nothing remembered.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.removed.is_empty()
    }

    /// Rises with every change of what is listed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether all that left after this version is still among the removed.
    pub fn remembers(&self, version: u64) -> bool {
        version >= self.remembers_from
    }

    /// What of `statement` is to be told, if anything is new. `edge` is the
    /// date of the live edge and `oldest` that of the oldest listed media.
    pub(crate) fn weigh(
        &self,
        statement: &Statement,
        edge: Wall,
        oldest: Option<Wall>,
    ) -> Result<Option<Statement>, Refusal> {
        statement.check()?;
        let more = match self.get(&statement.id) {
            Some(event) => match event.added(statement)? {
                Some(more) => more,
                None => return Ok(None),
            },
            None => {
                self.admits(statement, edge, oldest)?;
                statement.clone()
            }
        };
        let statements = || self.list.iter().flat_map(Event::statements);
        let weight: usize = statements().map(|said| said.weight()).sum();
        let full = statements().count() >= limits::EVENT_STATEMENTS_MAX
            || weight + more.weight() > limits::EVENT_BYTES_MAX
            || self.list.len() + self.removed.len() >= limits::EVENT_IDS_MAX;
        if full {
            Err(Refusal::Full)
        } else {
            Ok(Some(more))
        }
    }

    /// Whether an event that is not listed may join.
    fn admits(
        &self,
        statement: &Statement,
        edge: Wall,
        oldest: Option<Wall>,
    ) -> Result<(), Refusal> {
        if self.removed.iter().any(|gone| gone.id == statement.id) {
            return Err(Refusal::Spent);
        }
        if statement.start.0.saturating_sub(edge.0) / 1_000_000 > limits::EVENT_AHEAD_S_MAX {
            return Err(Refusal::Ahead);
        }
        let told = vec![Told {
            since: u64::MAX,
            statement: Arc::new(statement.clone()),
        }];
        if oldest.is_some_and(|oldest| self.is_over(&Event { told }, oldest)) {
            return Err(Refusal::Past);
        }
        Ok(())
    }

    /// Ids of events of which nothing belongs to media from `oldest` on.
    pub(crate) fn over(&self, oldest: Wall) -> Vec<Arc<str>> {
        let over = self.list.iter().filter(|event| self.is_over(event, oldest));
        over.map(|event| Arc::clone(event.id())).collect()
    }

    fn is_over(&self, event: &Event, oldest: Wall) -> bool {
        let ends = self.ends(event).0.saturating_add(OVER_MARGIN.0);
        event.start() < oldest && ends <= oldest.0
    }

    /// When an event ends, or is taken to.
    fn ends(&self, event: &Event) -> Wall {
        if let Some(end) = event.end() {
            return end;
        }
        let start = event.start();
        let open = start.0.saturating_add(limits::EVENT_OPEN_S_MAX * 1_000_000);
        if event.statements().any(|said| said.until_next) {
            let next = self.list.iter().filter(|next| {
                next.class().is_some() && next.class() == event.class() && next.start() > start
            });
            let next = next.map(|next| next.start().0).min();
            return Wall(next.map_or(open, |next| next.min(open)));
        }
        match event.find(|said| said.planned) {
            Some(planned) => start + planned,
            // A command without a duration is a moment.
            None if event.splice(Role::Command).is_some() => start,
            None => Wall(open),
        }
    }

    /// What an operator said that is not over at `now`, to be told in another
    /// life of the channel.
    pub(crate) fn standing(&self, now: Wall) -> impl Iterator<Item = Statement> {
        let own = self.list.iter().filter(move |event| {
            event.statements().all(|said| said.splice.is_none()) && self.ends(event) > now
        });
        own.map(Event::whole)
    }

    /// Applies one change.
    pub(crate) fn step(&mut self, change: &EventChange) {
        match change {
            EventChange::Told(statement) => {
                self.version += 1;
                self.tell(statement);
            }
            EventChange::Left(ids) => {
                self.version += 1;
                self.list.retain(|event| !ids.contains(event.id()));
                let since = self.version;
                let removed = ids.iter().map(|id| Removed {
                    since,
                    id: Arc::clone(id),
                });
                self.removed.extend(removed);
            }
            EventChange::Forgotten(until) => {
                let old = self.removed.partition_point(|gone| gone.since <= *until);
                self.removed.drain(..old);
                self.remembers_from = *until;
            }
        }
        assert!(
            self.list.len() <= limits::EVENT_STATEMENTS_MAX,
            "a full list takes nothing in"
        );
    }

    fn tell(&mut self, statement: &Arc<Statement>) {
        let told = Told {
            since: self.version,
            statement: Arc::clone(statement),
        };
        let mut list = self.list.iter_mut();
        match list.find(|event| *event.id() == statement.id) {
            Some(event) => event.told.push(told),
            None => self.list.push(Event { told: vec![told] }),
        }
    }
}

#[cfg(test)]
mod tests;
