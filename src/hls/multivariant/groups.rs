//! Groups of renditions: the same members in each, in another encoding (rfc8216bis
//! section 4.4.6.1.1).
//!
//! What a track is follows from its language and roles: tracks that agree in
//! both are one member in several encodings, each of which has a group. A group
//! that lacks an encoding of a member has it in that of another group.

use std::fmt::Write;

use super::names;
use crate::hls::uri::{PlaylistUri, Quoted};
use crate::media::channel::{Channel, Track};
use crate::media::cmaf::{Kind, Role, Roles};

/// Encodings of one kind that have a group of their own; members of further
/// ones are in the first group, so that variants stay few.
const GROUPS_MAX: usize = 4;

/// Sound that is not the programme itself: chosen by people alone.
const BESIDE: [Role; 5] = [
    Role::Commentary,
    Role::Description,
    Role::Supplementary,
    Role::Karaoke,
    Role::ClearSpeech,
];

/// Renditions of one kind in one encoding.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// In playlists.
    pub(super) id: String,
    /// One for every member.
    pub(super) tracks: Vec<&'a Track>,
    /// Which of the bit rates of its format it has, from the lowest.
    pub(super) tier: usize,
    /// How many its format has.
    pub(super) tiers: usize,
}

/// All renditions of one kind.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    kind: Kind,
    pub(super) all: Vec<Group<'a>>,
    members: Vec<Member>,
}

/// What a member of every group is called and when it is chosen.
#[derive(Debug)]
struct Member {
    name: String,
    language: Option<String>,
    characteristics: String,
    default: bool,
    autoselect: bool,
    forced: bool,
}

/// A track and where it belongs.
struct Placed<'a> {
    track: &'a Track,
    class: usize,
    member: usize,
}

/// What several encodings of one member have in common; the number tells apart
/// what nothing else does.
type Identity<'a> = (Option<&'a str>, Roles, Option<&'a str>, usize);

impl<'a> Groups<'a> {
    /// The groups of all tracks of a kind.
    pub(super) fn of(channel: &'a Channel, kind: Kind) -> Self {
        let tracks: Vec<&Track> = channel
            .tracks()
            .iter()
            .filter(|track| track.info.header.kind == kind)
            .collect();
        let mut classes: Vec<(String, usize)> = Vec::new();
        let mut identities: Vec<Identity<'_>> = Vec::new();
        let mut placed: Vec<Placed<'_>> = Vec::new();
        for track in &tracks {
            let class = (format(track), tier(track, &tracks));
            let class = place(&mut classes, class, GROUPS_MAX);
            let (language, roles, name) = identity(track);
            let taken = |member: usize| {
                let mut others = placed.iter();
                others.any(|other| other.class == class && other.member == member)
            };
            let free = (0..).find(|number| {
                let known = (language, roles, name, *number);
                let member = identities.iter().position(|other| *other == known);
                member.is_none_or(|member| !taken(member))
            });
            let own = (language, roles, name, free.expect("numbers do not end"));
            let member = place(&mut identities, own, usize::MAX);
            placed.push(Placed {
                track,
                class,
                member,
            });
        }
        let members = members(kind, identities.len(), &placed);
        let all = groups(&classes, identities.len(), &placed);
        Self { kind, all, members }
    }

    /// Whether there is a choice within a group.
    pub(super) fn has_choice(&self) -> bool {
        self.members.len() > 1
    }

    /// The track of a group that is played unless something else is chosen.
    pub(super) fn default_of(&self, group: &Group<'a>) -> &'a Track {
        let default = self.members.iter().position(|member| member.default);
        group.tracks[default.unwrap_or(0)]
    }

    /// Writes a line for every member of every group.
    pub(super) fn write(&self, out: &mut String, channel: &Channel) {
        for group in &self.all {
            for (member, track) in self.members.iter().zip(&group.tracks) {
                self.line(out, channel, (group, member), track)
                    .expect("a string takes any text");
            }
        }
    }

    fn line(
        &self,
        out: &mut String,
        channel: &Channel,
        (group, member): (&Group<'_>, &Member),
        track: &Track,
    ) -> std::fmt::Result {
        let yes_no = |flag| if flag { "YES" } else { "NO" };
        let kind = match self.kind {
            Kind::Audio => "AUDIO",
            _ => "SUBTITLES",
        };
        write!(out, "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{}\"", group.id)?;
        if let Some(language) = &member.language {
            write!(out, ",LANGUAGE={}", Quoted(language))?;
        }
        write!(out, ",NAME=\"{}\"", member.name)?;
        write!(out, ",DEFAULT={}", yes_no(member.default))?;
        write!(out, ",AUTOSELECT={}", yes_no(member.autoselect))?;
        if self.kind == Kind::Text {
            write!(out, ",FORCED={}", yes_no(member.forced))?;
        }
        if !member.characteristics.is_empty() {
            write!(out, ",CHARACTERISTICS=\"{}\"", member.characteristics)?;
        }
        if let Some(channels) = channels(track) {
            write!(out, ",CHANNELS=\"{channels}\"")?;
        }
        if channel.presentation.steering.is_some() {
            let id = super::stable_id(&[&track.info.name]);
            write!(out, ",STABLE-RENDITION-ID=\"{id}\"")?;
        }
        writeln!(out, ",URI=\"{}\"", PlaylistUri::new(channel, track))
    }
}

/// Where `item` stands in `list`, to which it is added; the first place when
/// the list is full.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T, max: usize) -> usize {
    if let Some(index) = list.iter().position(|other| *other == item) {
        return index;
    }
    if list.len() >= max {
        return 0;
    }
    list.push(item);
    list.len() - 1
}

fn identity(track: &Track) -> (Option<&str>, Roles, Option<&str>) {
    (track.language(), track.roles(), track.words.name.as_deref())
}

/// Codec family and channels, as the id of a group: players choose a group by
/// what they can play.
fn format(track: &Track) -> String {
    let codec = &track.info.header.codec;
    let family = if codec.starts_with("mp4a.40.") {
        "aac"
    } else {
        codec.split('.').next().unwrap_or_default()
    };
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let mut id: String = family.chars().filter(plain).collect();
    id.make_ascii_lowercase();
    if id.is_empty() {
        id.push_str("other");
    }
    if let Some(channels) = channels(track) {
        id.push('-');
        id.extend(channels.replace('/', "-").chars().filter(plain));
    }
    id
}

/// CHANNELS (section 4.4.6.1), of sound whose channels are known.
fn channels(track: &Track) -> Option<String> {
    let header = &track.info.header;
    if header.kind != Kind::Audio {
        return None;
    }
    let known = |count: u32| (count > 0).then(|| count.to_string());
    track
        .words
        .channels
        .clone()
        .or_else(|| match header.joint_objects {
            Some(objects) => Some(format!("{objects}/JOC")),
            None => known(header.channels),
        })
}

/// Tracks of the same member and format that are certainly of a lower bit rate.
fn tier(track: &Track, all: &[&Track]) -> usize {
    let alike =
        |other: &&&Track| identity(other) == identity(track) && format(other) == format(track);
    let lower = |other: &&&Track| {
        let (own, other) = (&track.info.header, &other.info.header);
        match (other.bitrate, own.bitrate) {
            (Some(other), Some(own)) if u64::from(other) * 5 <= u64::from(own) * 4 => true,
            (Some(other), Some(own)) if u64::from(own) * 5 <= u64::from(other) * 4 => false,
            _ => thrift(&other.codec) < thrift(&own.codec),
        }
    };
    all.iter().filter(alike).filter(lower).count()
}

/// Codecs made for low rates come first.
fn thrift(codec: &str) -> u8 {
    match codec {
        "mp4a.40.42" | "mp4a.40.29" => 0,
        "mp4a.40.5" => 1,
        _ => 2,
    }
}

fn groups<'a>(
    classes: &[(String, usize)],
    members: usize,
    placed: &[Placed<'a>],
) -> Vec<Group<'a>> {
    let own = |class: usize| placed.iter().filter(move |one| one.class == class);
    let base = (0..classes.len())
        .rev()
        .max_by_key(|class| own(*class).count());
    let mut all: Vec<_> = (0..classes.len()).collect();
    // What most members have is what a player should find first.
    all.sort_by_key(|class| Some(*class) != base);
    let group = |class: usize| {
        let find = |member: usize| {
            let encodings = placed.iter().filter(|one| one.member == member);
            let best = encodings.min_by_key(|one| (one.class != class, Some(one.class) != base));
            best.expect("a member has a track").track
        };
        let (format, tier) = &classes[class];
        let id = match tier {
            0 => format.clone(),
            _ => format!("{format}.{tier}"),
        };
        let tiers = || classes.iter().filter(|(other, _)| other == format);
        Group {
            id,
            tracks: (0..members).map(find).collect(),
            tier: tiers().filter(|(_, other)| other < tier).count(),
            tiers: tiers().count(),
        }
    };
    all.into_iter().map(group).collect()
}

fn members(kind: Kind, count: usize, placed: &[Placed<'_>]) -> Vec<Member> {
    let tracks_of = |member: usize| {
        let own = placed.iter().filter(move |one| one.member == member);
        own.map(|one| one.track)
    };
    let first = |member: usize| tracks_of(member).next().expect("a member has a track");
    let says = |member: usize, word: fn(&Track) -> Option<bool>| tracks_of(member).find_map(word);
    let rank = |member: &usize| {
        let roles = first(*member).roles();
        match says(*member, |track| track.words.default) {
            Some(true) => Some(0),
            Some(false) => None,
            // Text that nobody asked for is in the way.
            None if kind == Kind::Text => None,
            None if roles.has_any(&BESIDE) => Some(3),
            None => Some(if roles.has(Role::Main) { 1 } else { 2 }),
        }
    };
    let ranked = (0..count).filter(|member| rank(member).is_some());
    let default = ranked.min_by_key(rank);
    let mut out: Vec<Member> = Vec::with_capacity(count);
    for member in 0..count {
        let track = first(member);
        let (language, roles, _) = identity(track);
        let forced = track.words.forced;
        out.push(Member {
            name: distinct_name(track, &out),
            language: language.map(str::to_owned),
            characteristics: characteristics(track),
            default: default == Some(member),
            autoselect: false,
            forced: kind == Kind::Text && forced.unwrap_or_else(|| roles.has(Role::ForcedSubtitle)),
        });
    }
    // Of those that preferences cannot tell apart one may be chosen by them,
    // the default before others.
    for member in 0..count {
        let beside = kind == Kind::Audio && first(member).roles().has(Role::Commentary);
        let same = |other: &Member| {
            let own = &out[member];
            let key = |one: &Member| {
                (
                    one.language.clone(),
                    one.characteristics.clone(),
                    one.forced,
                )
            };
            key(other) == key(own)
        };
        let earlier = out[..member]
            .iter()
            .any(|other| other.autoselect && same(other));
        let behind_default = out.iter().any(|other| other.default && same(other));
        let chosen = says(member, |track| track.words.autoselect)
            .unwrap_or(!beside && !earlier && !behind_default);
        out[member].autoselect = chosen || out[member].default;
    }
    out
}

/// The operator's name or one of our own, that nobody of `others` has.
fn distinct_name(track: &Track, others: &[Member]) -> String {
    let base = track.words.name.clone().unwrap_or_else(|| {
        let name = names::of(track.language(), track.roles(), &track.info.name);
        Quoted(&name).to_string().trim_matches('"').to_owned()
    });
    let own = (2..).map(|number| format!("{base} {number}"));
    let named = [base.clone(), format!("{base} ({})", track.info.name)];
    named
        .into_iter()
        .chain(own)
        .find(|name| others.iter().all(|other| other.name != *name))
        .expect("numbers do not end")
}

/// Uniform type identifiers (section 4.4.6.1) that stand for roles, and those of
/// the operator.
fn characteristics(track: &Track) -> String {
    let text = track.info.header.kind == Kind::Text;
    let mut all: Vec<&str> = Vec::new();
    for role in track.roles().iter() {
        match role {
            Role::Description => all.push("public.accessibility.describes-video"),
            Role::Caption if text => {
                all.push("public.accessibility.transcribes-spoken-dialog");
                all.push("public.accessibility.describes-music-and-sound");
            }
            Role::EasyReader if text => all.push("public.easy-to-read"),
            Role::ClearSpeech if !text => {
                all.push("public.accessibility.enhances-speech-intelligibility");
            }
            _ => {}
        }
    }
    for own in track.words.characteristics.iter().flatten() {
        if !all.contains(&own.as_str()) {
            all.push(own);
        }
    }
    all.join(",")
}
