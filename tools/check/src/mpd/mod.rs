//! MPDs, read for what a player does with them: which segments there are, when
//! they can be had, and under which addresses.

pub mod patch;
pub mod schema;
pub mod template;
pub mod value;
pub mod xml;

use self::template::{Run, Template};
use self::value::{duration_us, seconds_us};
use self::xml::Element;
use crate::limits;
use crate::playlist::date;
use crate::uri::resolve;

/// An MPD.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mpd {
    /// All that it says.
    pub tree: Element,
    /// Namespace of its root.
    pub namespace: String,
    /// Whether more is to come.
    pub is_dynamic: bool,
    /// `availabilityStartTime`, in microseconds since 1970.
    pub start_us: Option<i64>,
    /// `publishTime`, likewise.
    pub published_us: Option<i64>,
    /// `minimumUpdatePeriod`.
    pub update_us: Option<u64>,
    /// `timeShiftBufferDepth`.
    pub window_us: Option<u64>,
    /// Where a patch of it is to be had.
    pub patch: Option<Patch>,
    /// In the order of preference.
    pub clocks: Vec<Scheme>,
    /// In order.
    pub periods: Vec<Period>,
}

/// `PatchLocation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The whole address.
    pub address: String,
    /// For how long it is offered.
    pub ttl_us: Option<u64>,
}

/// A scheme and a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scheme {
    /// `schemeIdUri`.
    pub id: String,
    /// `value`; an address is whole where the scheme is one of addresses.
    pub value: String,
}

/// One Period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// `id`, else its place from 1.
    pub id: String,
    /// `start`, said or from the Period before.
    pub start_us: Option<u64>,
    /// Up to its own duration or the next start.
    pub end_us: Option<u64>,
    /// Of all its sets.
    pub representations: Vec<Representation>,
}

/// One Representation with what it has from its set and its Period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Representation {
    /// `id`.
    pub id: String,
    /// `id` of its set, else its place from 1.
    pub set: String,
    /// Whether each of its segments is a sequence with addresses of their own.
    pub is_sequence: bool,
    /// `bandwidth`.
    pub bandwidth: u64,
    /// `mimeType`.
    pub mime: Option<String>,
    /// `codecs`.
    pub codecs: Option<String>,
    /// `contentType` of its set, else the first half of its media type.
    pub content: Option<String>,
    /// Declared events in its segments.
    pub inband: Vec<Scheme>,
    /// How its segments are called.
    pub template: Option<Template>,
    /// What relative addresses begin at.
    pub base: String,
}

/// Schemes of the clock whose value is an address.
pub const CLOCKS: &[(&str, Asking)] = &[
    ("urn:mpeg:dash:utc:http-xsdate:2014", Asking::Date),
    ("urn:mpeg:dash:utc:http-iso:2014", Asking::Date),
    ("urn:mpeg:dash:utc:http-head:2014", Asking::Head),
];

/// How a clock is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The body is a date.
    Date,
    /// The header Date is.
    Head,
}

impl Mpd {
    /// Reads the MPD that came from `address`. What is missing is left out here,
    /// and for [`schema::faults`] and the judges to say.
    pub fn parse(address: &str, text: &str) -> Result<Self, String> {
        let (tree, namespace) = Element::parse(text)?;
        let mut out = Self::read(address, tree);
        out.namespace = namespace;
        Ok(out)
    }

    /// Reads a tree, such as one that was patched.
    pub fn read(address: &str, tree: Element) -> Self {
        let date_of = |name| {
            let found = tree.attribute(name).and_then(date::parse);
            found.map(|(us, _)| us)
        };
        let duration_of = |name| tree.attribute(name).and_then(duration_us);
        let base = base(address, &tree);
        let patch = tree.first("PatchLocation").map(|found| Patch {
            address: resolve(address, &found.text),
            ttl_us: found.attribute("ttl").and_then(seconds_us),
        });
        let clocks = tree.all("UTCTiming").map(|found| {
            let mut scheme = Scheme::of(found);
            if CLOCKS.iter().any(|(known, _)| *known == scheme.id) {
                // Several addresses may stand there; the first is preferred.
                let first = scheme.value.split_whitespace().next().unwrap_or("");
                scheme.value = resolve(address, first);
            }
            scheme
        });
        let is_dynamic = tree.attribute("type") == Some("dynamic");
        let total_us = duration_of("mediaPresentationDuration");
        Self {
            is_dynamic,
            start_us: date_of("availabilityStartTime"),
            published_us: date_of("publishTime"),
            update_us: duration_of("minimumUpdatePeriod"),
            window_us: duration_of("timeShiftBufferDepth"),
            patch,
            clocks: clocks.collect(),
            periods: periods(&tree, &base, total_us),
            namespace: String::new(),
            tree,
        }
    }

    /// Names of its profiles.
    pub fn profiles(&self) -> Vec<&str> {
        let list = self.tree.attribute("profiles").unwrap_or("");
        list.split(',').map(str::trim).collect()
    }

    /// Whether segments are promised before they are whole.
    pub fn is_low_latency(&self) -> bool {
        let mut all = self.periods.iter().flat_map(|of| &of.representations);
        all.any(|of| of.template.as_ref().is_some_and(|of| of.early_us > 0))
    }

    /// The Period that goes on.
    pub fn last(&self) -> Option<&Period> {
        self.periods.last()
    }
}

impl Scheme {
    fn of(element: &Element) -> Self {
        let text = |name| element.attribute(name).unwrap_or("").to_owned();
        Self {
            id: text("schemeIdUri"),
            value: text("value"),
        }
    }
}

impl Period {
    /// One of its Representations.
    pub fn representation(&self, id: &str) -> Option<&Representation> {
        self.representations.iter().find(|known| known.id == id)
    }

    /// Microseconds since 1970 at which a time in it is.
    pub fn wall_us(&self, mpd: &Mpd, in_period_us: i64) -> Option<i64> {
        let start_us = i64::try_from(self.start_us?).ok()?;
        mpd.start_us?
            .checked_add(start_us)?
            .checked_add(in_period_us)
    }
}

fn base(address: &str, element: &Element) -> String {
    match element.first("BaseURL") {
        Some(base) => resolve(address, &base.text),
        None => address.to_owned(),
    }
}

fn periods(tree: &Element, above: &str, total_us: Option<u64>) -> Vec<Period> {
    let mut out: Vec<Period> = Vec::new();
    for (index, element) in tree.all("Period").enumerate() {
        let of = |name| element.attribute(name).and_then(duration_us);
        let before = out.last();
        let follows_us = before.map_or(Some(0), |before| before.end_us);
        let start_us = of("start").or(follows_us);
        let last = out.len().checked_sub(1).map(|last| &mut out[last]);
        if let Some(last) = last {
            last.end_us = last.end_us.or(start_us);
        }
        let ended_us = start_us
            .zip(of("duration"))
            .map(|(from, long)| from.saturating_add(long));
        let mut period = Period {
            id: element
                .attribute("id")
                .map_or_else(|| (index + 1).to_string(), str::to_owned),
            start_us,
            end_us: ended_us,
            representations: Vec::new(),
        };
        let base_of_period = base(above, element);
        for (index, set) in element.all("AdaptationSet").enumerate() {
            let left = limits::ENTRIES_MAX.saturating_sub(period.representations.len());
            let all = set.all("Representation").take(left);
            period.representations.extend(all.map(|own| {
                let base = base(&base(&base_of_period, set), own);
                representation(element, set, index, own, base)
            }));
        }
        out.push(period);
    }
    if let Some(last) = out.last_mut() {
        last.end_us = last.end_us.or(total_us);
    }
    out
}

fn representation(
    period: &Element,
    set: &Element,
    index: usize,
    own: &Element,
    base: String,
) -> Representation {
    let either = |name: &str| own.attribute(name).or_else(|| set.attribute(name));
    let text = |name: &str| either(name).map(str::to_owned);
    let templates = [period, set, own].map(|level| level.first("SegmentTemplate"));
    let templates: Vec<&Element> = templates.into_iter().flatten().collect();
    let both = || set.children.iter().chain(&own.children);
    let inband = both().filter(|found| found.name == "InbandEventStream");
    let mime = text("mimeType");
    let kind = mime.as_deref().and_then(|mime| mime.split('/').next());
    Representation {
        id: own.attribute("id").unwrap_or("").to_owned(),
        set: set
            .attribute("id")
            .map_or_else(|| (index + 1).to_string(), str::to_owned),
        is_sequence: both().any(|found| {
            found.name == "EssentialProperty"
                && found.attribute("schemeIdUri") == Some("urn:mpeg:dash:ssr:2023")
        }),
        bandwidth: own
            .attribute("bandwidth")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0),
        codecs: text("codecs"),
        content: set.attribute("contentType").or(kind).map(str::to_owned),
        mime: mime.clone(),
        inband: inband.map(Scheme::of).collect(),
        template: Template::read(&templates),
        base,
    }
}

impl Representation {
    /// The address of its header.
    pub fn header(&self) -> Option<String> {
        let pattern = self.template.as_ref()?.initialization.as_deref()?;
        Some(self.address(pattern, 0, 0, 0))
    }

    /// The address of a segment.
    pub fn segment(&self, run: &Run) -> Option<String> {
        let pattern = &self.template.as_ref()?.media;
        Some(self.address(pattern, run.number, run.time, 0))
    }

    /// The address of a part of a segment.
    pub fn part(&self, run: &Run, part: u64) -> Option<String> {
        let pattern = &self.template.as_ref()?.media;
        Some(self.address(pattern, run.number, run.time, part))
    }

    fn address(&self, pattern: &str, number: u64, time: u64, part: u64) -> String {
        let filled = template::fill(pattern, |name| match name {
            "RepresentationID" => Some(template::Value::Text(&self.id)),
            "Bandwidth" => Some(template::Value::Number(self.bandwidth)),
            "Number" => Some(template::Value::Number(number)),
            "Time" => Some(template::Value::Number(time)),
            "SubNumber" => Some(template::Value::Number(part)),
            _ => None,
        });
        resolve(&self.base, &filled.unwrap_or_else(|| pattern.to_owned()))
    }
}
