//! What a track is for, as its kind boxes say (ISO/IEC 14496-12 section 8.10.4).

use std::fmt;
use std::str::FromStr;

use crate::limits;
use crate::media::bmff::{Error, Reader};

/// One purpose of a track: the values of `urn:mpeg:dash:role:2011`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The programme itself.
    Main,
    /// Another version of the programme.
    Alternate,
    /// Something beside the programme.
    Supplementary,
    /// Somebody speaks about the programme.
    Commentary,
    /// Sound in another language than the original.
    Dub,
    /// Text of all that is heard.
    Caption,
    /// Text of what is said.
    Subtitle,
    /// What is seen, told or written.
    Description,
    /// Text that is shown whatever the viewer has chosen.
    ForcedSubtitle,
    /// Text in simple words.
    EasyReader,
    /// Sound in which speech stands out.
    ClearSpeech,
    /// A picture with sign language.
    Sign,
    /// Sound without the singing.
    Karaoke,
}

/// Every role, with its value in a kind box and in configuration.
const ROLES: [(Role, &str); 13] = [
    (Role::Main, "main"),
    (Role::Alternate, "alternate"),
    (Role::Supplementary, "supplementary"),
    (Role::Commentary, "commentary"),
    (Role::Dub, "dub"),
    (Role::Caption, "caption"),
    (Role::Subtitle, "subtitle"),
    (Role::Description, "description"),
    (Role::ForcedSubtitle, "forced-subtitle"),
    (Role::EasyReader, "easyreader"),
    (Role::ClearSpeech, "enhanced-audio-intelligibility"),
    (Role::Sign, "sign"),
    (Role::Karaoke, "karaoke"),
];

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, value) = ROLES[*self as usize];
        f.write_str(value)
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = ROLES.iter().find(|(_, value)| *value == text);
        found.map(|(role, _)| *role).ok_or_else(|| {
            let all: Vec<_> = ROLES.iter().map(|(_, value)| *value).collect();
            format!("{text:?} is no role; these are: {}", all.join(", "))
        })
    }
}

/// The roles of one track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roles(u16);

impl Roles {
    /// Whether the track has this one.
    pub fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u16 != 0
    }

    /// Whether it has any of these.
    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// All of them, in the order of [`Role`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        let all = ROLES.iter().map(|(role, _)| *role);
        all.filter(move |role| self.has(*role))
    }

    /// Reads the kind boxes of a udta.
    pub(super) fn read(udta: Reader<'_>) -> Result<Self, Error> {
        let mut roles = Self::default();
        let mut seen = 0;
        udta.each(|child| {
            if child.name == *b"kind" && seen < limits::TRACK_KINDS_MAX {
                seen += 1;
                let mut payload = child.payload;
                payload.version_and_flags()?;
                let (scheme, value) = (payload.c_string(), payload.c_string());
                roles.0 |= Self::of_kind(scheme, value).0;
            }
            Ok(())
        })?;
        Ok(roles)
    }

    /// Schemes and values that are not known here say nothing.
    fn of_kind(scheme: &[u8], value: &[u8]) -> Self {
        let value = std::str::from_utf8(value).unwrap_or("");
        let role = match scheme {
            b"urn:mpeg:dash:role:2011" => match value {
                "forced_subtitle" => Some(Role::ForcedSubtitle),
                other => other.parse().ok(),
            },
            // WHATWG HTML, the kinds of audio, video and text tracks.
            b"about:html-kind" => match value {
                "alternative" => Some(Role::Alternate),
                "captions" => Some(Role::Caption),
                "descriptions" | "main-desc" => Some(Role::Description),
                "subtitles" => Some(Role::Subtitle),
                "translation" => Some(Role::Dub),
                "main" | "commentary" | "sign" => value.parse().ok(),
                _ => None,
            },
            // ETSI TS 102 822-3-1 annex A.13.
            b"urn:tva:metadata:cs:AudioPurposeCS:2007" => match value {
                "1" => Some(Role::Description),
                "2" => Some(Role::ClearSpeech),
                "3" => Some(Role::Supplementary),
                "4" => Some(Role::Commentary),
                "6" => Some(Role::Main),
                _ => None,
            },
            _ => None,
        };
        role.into_iter().collect()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(
            roles
                .into_iter()
                .fold(0, |all, role| all | 1 << role as u16),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::cmaf::testing::boxed;

    fn read(kinds: &[(&str, &str)]) -> Vec<String> {
        let boxes: Vec<u8> = kinds
            .iter()
            .flat_map(|(scheme, value)| {
                let content = [scheme.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat();
                boxed(b"kind", &[&[0; 4], &content])
            })
            .collect();
        let roles = Roles::read(Reader::new(&boxes, 0)).expect("whole boxes");
        roles.iter().map(|role| role.to_string()).collect()
    }

    #[test]
    fn iso_14496_12_section_8_10_4_kinds_are_roles() {
        const ROLE: &str = "urn:mpeg:dash:role:2011";
        assert_eq!(read(&[(ROLE, "dub"), (ROLE, "main")]), ["main", "dub"]);
        assert_eq!(read(&[(ROLE, "forced_subtitle")]), ["forced-subtitle"]);
        assert_eq!(read(&[("about:html-kind", "main-desc")]), ["description"]);
        let tva = "urn:tva:metadata:cs:AudioPurposeCS:2007";
        assert_eq!(read(&[(tva, "6"), (ROLE, "nonsense")]), ["main"]);
        assert!(read(&[("urn:x", "main"), ("", "")]).is_empty());
    }

    #[test]
    fn kinds_beyond_the_limit_are_not_read() {
        let filler = vec![("urn:x", "y"); limits::TRACK_KINDS_MAX];
        let with = |count: usize| {
            let mut kinds = filler[..count].to_vec();
            kinds.push(("urn:mpeg:dash:role:2011", "main"));
            read(&kinds)
        };
        assert_eq!(with(limits::TRACK_KINDS_MAX - 1), ["main"]);
        assert!(with(limits::TRACK_KINDS_MAX).is_empty());
    }

    #[test]
    fn every_role_is_known_by_its_name() {
        for (index, (role, value)) in ROLES.iter().enumerate() {
            assert_eq!(*role as usize, index);
            assert_eq!(
                (value.parse(), role.to_string()),
                (Ok(*role), (*value).to_owned())
            );
        }
        assert!(
            "chief"
                .parse::<Role>()
                .unwrap_err()
                .contains("these are: main, ")
        );
    }
}
