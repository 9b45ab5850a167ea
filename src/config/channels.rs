//! `[channels.NAME]`: words on channels and their tracks, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ConfigError, RawCaption, RawChannel, RawDefine, RawTrack, error_at};
use crate::limits;
use crate::media::cmaf::Role;
use crate::media::presentation::{
    Caption, Definition, Presentation, Presentations, Steering, TrackWords,
};

/// Every channel, or every track, that has no table of its own.
const OTHERS: &str = "*";

/// Where a key stands.
type Path<'a> = &'a [&'a str];

/// Resolves all tables; what a channel's own does not set is taken from `*`.
pub(super) fn resolve(raw: &BTreeMap<String, RawChannel>) -> Result<Presentations, ConfigError> {
    let default = RawChannel::default();
    let others = raw.get(OTHERS).unwrap_or(&default);
    let mut out = Presentations {
        others: Arc::new(channel(OTHERS, others)?),
        ..Presentations::default()
    };
    for (name, own) in raw.iter().filter(|(name, _)| *name != OTHERS) {
        is_name(&["channels", name], name)?;
        let merged = channel(name, &own.clone().or(others))?;
        out.named.insert(name.clone(), Arc::new(merged));
    }
    Ok(out)
}

fn channel(name: &str, raw: &RawChannel) -> Result<Presentation, ConfigError> {
    let at = ["channels", name];
    let definitions = definitions(&at, raw.define.as_deref().unwrap_or(&[]))?;
    if let Some(query) = &raw.uri_query {
        uri_query(&[at[0], name, "uri_query"], query, &definitions)?;
    }
    let steering = match &raw.steering {
        None => None,
        Some(steering) => {
            let at = [at[0], name, "steering"];
            let pathway = steering.pathway_id.as_deref().unwrap_or(".");
            let uri = [at[0], name, at[2], "server_uri"];
            is_printable(&uri, &steering.server_uri)?;
            uses_defined(&uri, &steering.server_uri, &definitions)?;
            let sound = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            if pathway.is_empty() || !pathway.chars().all(sound) {
                let message = format!("{pathway:?} has other characters than A-Z a-z 0-9 . - _");
                return Err(error_at(&[at[0], name, at[2], "pathway_id"], message));
            }
            Some(Steering {
                server_uri: steering.server_uri.clone(),
                pathway_id: pathway.to_owned(),
            })
        }
    };
    let captions = captions(name, raw.captions.as_deref().unwrap_or(&[]))?;
    let (others, tracks) = tracks(name, &raw.tracks)?;
    Ok(Presentation {
        definitions,
        uri_query: raw.uri_query.clone().filter(|query| !query.is_empty()),
        steering,
        captions,
        others,
        tracks,
    })
}

/// EXT-X-DEFINE lines: a name with a value, or the name of a parameter.
fn definitions(at: Path<'_>, raw: &[RawDefine]) -> Result<Vec<Definition>, ConfigError> {
    let mut names = BTreeSet::new();
    let mut out = Vec::new();
    let at = &[at[0], at[1], "define"];
    for line in raw {
        let definition = match (&line.name, &line.value, &line.queryparam) {
            (Some(name), Some(value), None) => Definition::Value {
                name: name.clone(),
                value: value.clone(),
            },
            (None, None, Some(name)) => Definition::Query { name: name.clone() },
            _ => {
                let message = "each entry is { name, value } or { queryparam }".to_owned();
                return Err(error_at(at, message));
            }
        };
        let name = definition.name();
        let sound = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(sound) {
            let message = format!("{name:?} has other characters than A-Z a-z 0-9 - _");
            return Err(error_at(at, message));
        }
        if let Definition::Value { value, .. } = &definition
            && !value.is_empty()
        {
            is_quotable(at, value)?;
        }
        if !names.insert(name.to_owned()) {
            return Err(error_at(at, format!("{name:?} is defined twice")));
        }
        out.push(definition);
    }
    Ok(out)
}

/// A query for URIs whose variables are all defined.
fn uri_query(at: Path<'_>, query: &str, defined: &[Definition]) -> Result<(), ConfigError> {
    if query.is_empty() {
        return Ok(());
    }
    is_printable(at, query)?;
    let foreign = |c: char| !c.is_ascii_graphic() || "?#<>\\^`|".contains(c);
    if query.contains(foreign) || query.contains("_HLS_") {
        let message = format!("{query:?} is no query that can stand behind the ? of a URI");
        return Err(error_at(at, message));
    }
    uses_defined(at, query, defined)
}

/// Variables that nobody defines make a playlist unreadable (rfc8216bis section
/// 4.3).
fn uses_defined(at: Path<'_>, text: &str, defined: &[Definition]) -> Result<(), ConfigError> {
    for rest in text.split("{$").skip(1) {
        let name = rest.split_once('}').map(|(name, _)| name);
        if !defined.iter().any(|one| Some(one.name()) == name) {
            let message = format!("{text:?} uses a variable that define does not list");
            return Err(error_at(at, message));
        }
    }
    Ok(())
}

fn captions(channel: &str, raw: &[RawCaption]) -> Result<Vec<Caption>, ConfigError> {
    let at = &["channels", channel, "captions"];
    let mut out: Vec<Caption> = Vec::new();
    for caption in raw {
        let id = &caption.instream_id;
        let number = |prefix, max| {
            let digits = id.strip_prefix(prefix)?;
            let number: u8 = digits.parse().ok()?;
            (number.to_string() == digits && (1..=max).contains(&number)).then_some(())
        };
        if number("CC", 4).or_else(|| number("SERVICE", 63)).is_none() {
            let message = format!("{id:?} is neither CC1 to CC4 nor SERVICE1 to SERVICE63");
            return Err(error_at(at, message));
        }
        is_quotable(at, &caption.name)?;
        if let Some(language) = &caption.language {
            is_language(at, language)?;
        }
        let default = caption.default.unwrap_or(false);
        let twice = |other: &Caption| other.instream_id == *id || other.name == caption.name;
        if out.iter().any(twice) {
            let message = format!("{id:?} or {:?} is there twice", caption.name);
            return Err(error_at(at, message));
        }
        if default && out.iter().any(|other| other.default) {
            return Err(error_at(at, "more than one is the default".to_owned()));
        }
        out.push(Caption {
            instream_id: id.clone(),
            name: caption.name.clone(),
            language: caption.language.clone(),
            default,
        });
    }
    Ok(out)
}

fn tracks(
    channel: &str,
    raw: &BTreeMap<String, RawTrack>,
) -> Result<(TrackWords, BTreeMap<String, TrackWords>), ConfigError> {
    let mut others = TrackWords::default();
    let mut out = BTreeMap::new();
    for (name, words) in raw {
        let at = ["channels", channel, "tracks", name];
        let resolved = track(&at, words)?;
        if name == OTHERS {
            let one_only = [
                ("default", words.default == Some(true)),
                ("name", words.name.is_some()),
            ];
            if let Some((key, _)) = one_only.iter().find(|(_, set)| *set) {
                let message = "only one track of a kind can have it; name the track".to_owned();
                return Err(error_at(&[at[0], at[1], at[2], at[3], key], message));
            }
            others = resolved;
        } else {
            is_name(&at, name)?;
            out.insert(name.clone(), resolved);
        }
    }
    // One sound track and one of subtitles.
    let defaults = out.iter().filter(|(_, words)| words.default == Some(true));
    if let Some((name, _)) = defaults.skip(2).last() {
        let message = "a third default: one track of sound and one of text can be".to_owned();
        return Err(error_at(
            &["channels", channel, "tracks", name, "default"],
            message,
        ));
    }
    Ok((others, out))
}

fn track(at: &[&str; 4], raw: &RawTrack) -> Result<TrackWords, ConfigError> {
    let key = |key| [at[0], at[1], at[2], at[3], key];
    if let Some(language) = &raw.language {
        is_language(&key("language"), language)?;
    }
    if let Some(name) = &raw.name {
        is_quotable(&key("name"), name)?;
    }
    let roles = match &raw.roles {
        None => None,
        Some(roles) => {
            let parsed = roles.iter().map(|role| role.parse::<Role>());
            let parsed: Result<_, String> = parsed.collect();
            Some(parsed.map_err(|message| error_at(&key("roles"), message))?)
        }
    };
    for characteristic in raw.characteristics.iter().flatten() {
        let sound = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        if characteristic.is_empty() || !characteristic.chars().all(sound) {
            let message = format!("{characteristic:?} is no uniform type identifier");
            return Err(error_at(&key("characteristics"), message));
        }
    }
    if (raw.default, raw.autoselect) == (Some(true), Some(false)) {
        let message = "a default can always be chosen automatically".to_owned();
        return Err(error_at(&key("autoselect"), message));
    }
    if let Some(channels) = &raw.channels {
        let (count, rest) = channels.split_once('/').unwrap_or((channels, "-"));
        let sound = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || ",-/".contains(c);
        let whole = count
            .parse::<u8>()
            .is_ok_and(|count| count > 0 && count.to_string().len() <= 2);
        if !whole || rest.is_empty() || !rest.chars().all(sound) {
            let message = format!("{channels:?} is no number of channels such as 2, 6 or 16/JOC");
            return Err(error_at(&key("channels"), message));
        }
    }
    if let Some(score) = raw.score
        && !(0.0..=1e6).contains(&score)
    {
        let message = format!("{score} is not within 0 to 1000000");
        return Err(error_at(&key("score"), message));
    }
    Ok(TrackWords {
        language: raw.language.clone(),
        name: raw.name.clone(),
        roles,
        characteristics: raw.characteristics.clone(),
        default: raw.default,
        autoselect: raw.autoselect,
        forced: raw.forced,
        channels: raw.channels.clone(),
        score: raw.score,
    })
}

/// Text that stands between quotes in a manifest as it is.
fn is_quotable(at: Path<'_>, text: &str) -> Result<(), ConfigError> {
    is_printable(at, text)?;
    if text.contains("{$") {
        let message = format!("{text:?} has {{$, which begins a variable");
        return Err(error_at(at, message));
    }
    Ok(())
}

/// Text that can stand between quotes in a manifest, variables included.
fn is_printable(at: Path<'_>, text: &str) -> Result<(), ConfigError> {
    let foreign = |c: char| c == '"' || c.is_control();
    let message = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > limits::WORD_BYTES_MAX {
        format!("is longer than {} bytes", limits::WORD_BYTES_MAX)
    } else if text.contains(foreign) {
        format!("{text:?} has a quote or a control character")
    } else {
        return Ok(());
    };
    Err(error_at(at, message))
}

/// Something of the shape of a BCP 47 tag.
fn is_language(at: Path<'_>, tag: &str) -> Result<(), ConfigError> {
    let sound = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let first = tag.split('-').next().unwrap_or_default();
    let letters = first.len() >= 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    if letters && tag.len() <= 35 && tag.split('-').all(sound) {
        return Ok(());
    }
    let message = format!("{tag:?} is no language tag such as en or pt-BR");
    Err(error_at(at, message))
}

/// A name as it stands in URLs.
fn is_name(at: Path<'_>, name: &str) -> Result<(), ConfigError> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
    if (1..=limits::NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(sound) {
        return Ok(());
    }
    let message = format!("{name:?} is neither \"*\" nor 1 to 64 of A-Z a-z 0-9 . _ ~ -");
    Err(error_at(at, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RawConfig};

    fn presentations(text: &str) -> Result<Presentations, String> {
        let raw = RawConfig::parse(text)?;
        let resolved = Config::resolve(&raw).map(|config| config.settings.presentations);
        resolved.map_err(|error| match error.line_in(text) {
            Some(line) => format!("line {line}: {error}"),
            None => error.to_string(),
        })
    }

    #[test]
    fn the_example_says_what_it_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/config/channels.toml");
        let text = std::fs::read_to_string(path).expect("the example is there");
        let all = presentations(&text).expect("it resolves");
        let news = all.of("news");
        assert_eq!(news.uri_query.as_deref(), Some("token={$token}"));
        assert_eq!(news.track("a-de").language.as_deref(), Some("de"));
        assert_eq!(news.track("a-en").default, Some(true));
        assert_eq!(news.captions[0].instream_id, "CC1");
        assert_eq!(
            news.steering.as_ref().expect("it steers").pathway_id,
            "east"
        );
        assert_eq!(news.definitions[0].name(), "token", "from the table of all");
        assert_eq!(all.of("other").definitions, news.definitions);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let table = [
            (
                "[channels.\"a b\"]\n",
                "line 1: channels.\"a b\": \"a b\" is neither",
            ),
            ("[channels.c]\nlanguage = 1\n", "unknown field `language`"),
            (
                "[channels.c.tracks.t]\nlanguage = 'e\"n'\n",
                "line 2: channels.c.tracks.t.language: ",
            ),
            (
                "[channels.c.tracks.t]\nname = \"a\\nb\"\n",
                "has a quote or a control",
            ),
            ("[channels.c.tracks.t]\nname = ''\n", "name: is empty"),
            (
                "[channels.c.tracks.t]\nroles = ['chief']\n",
                "these are: main",
            ),
            (
                "[channels.c.tracks.t]\ncharacteristics = ['a,b']\n",
                "no uniform type",
            ),
            (
                "[channels.c.tracks.t]\nchannels = '0'\n",
                "no number of channels",
            ),
            (
                "[channels.c.tracks.t]\nchannels = '16/'\n",
                "no number of channels",
            ),
            ("[channels.c.tracks.t]\nscore = -1\n", "-1 is not within"),
            ("[channels.c.tracks.t]\nscore = nan\n", "is not within"),
            (
                "[channels.c.tracks.t]\ndefault = true\nautoselect = false\n",
                "line 3: channels.c.tracks.t.autoselect",
            ),
            (
                "[channels.c.tracks.'*']\ndefault = true\n",
                "name the track",
            ),
            ("[channels.c.tracks.'*']\nname = 'x'\n", "name the track"),
            (
                "[channels.c.tracks]\na.default = true\nb.default = true\nd.default = true\n",
                "line 4: channels.c.tracks.d.default: a third",
            ),
            (
                "[channels.c]\ndefine = [{ name = 'a' }]\n",
                "{ name, value } or",
            ),
            (
                "[channels.c]\ndefine = [{ queryparam = 'a b' }]\n",
                "other characters",
            ),
            (
                "[channels.c]\ndefine = [{ queryparam = 'a' }, { name = 'a', value = '' }]\n",
                "\"a\" is defined twice",
            ),
            (
                "[channels.c]\nuri_query = 'a={$b}'\n",
                "line 2: channels.c.uri_query",
            ),
            ("[channels.c]\nuri_query = 'a b'\n", "no query"),
            ("[channels.c]\nuri_query = '_HLS_msn=1'\n", "no query"),
            (
                "[channels.c]\nsteering = { pathway_id = 'a' }\n",
                "missing field `server_uri`",
            ),
            (
                "[channels.c]\nsteering = { server_uri = 'https://s/', pathway_id = 'a b' }\n",
                "line 2: channels.c.steering.pathway_id",
            ),
            (
                "[channels.c]\nsteering = { server_uri = 'https://s/?t={$t}' }\n",
                "line 2: channels.c.steering.server_uri: \"https://s/?t={$t}\" uses a variable",
            ),
            (
                "[channels.c]\ndefine = [{ name = 'a', value = '{$a}' }]\n",
                "begins a variable",
            ),
            (
                "[channels.c.tracks.t]\nname = '{$x}'\n",
                "line 2: channels.c.tracks.t.name: \"{$x}\" has {$, which",
            ),
            (
                "[channels.c]\ncaptions = [{ instream_id = 'CC5', name = 'x' }]\n",
                "CC1 to CC4",
            ),
            (
                "[channels.c]\ncaptions = [{ instream_id = 'CC1', name = 'x' }, { instream_id = 'CC1', name = 'y' }]\n",
                "is there twice",
            ),
        ];
        for (text, want) in table {
            let said = presentations(text).expect_err(text);
            assert!(said.contains(want), "{text:?} gives {said:?}");
        }
    }

    #[test]
    fn words_have_a_longest() {
        let text = |len: usize| format!("[channels.c.tracks.t]\nname = '{}'\n", "x".repeat(len));
        assert!(presentations(&text(limits::WORD_BYTES_MAX)).is_ok());
        let said = presentations(&text(limits::WORD_BYTES_MAX + 1)).expect_err("too long");
        assert!(said.contains("is longer than 256 bytes"), "{said}");
    }
}
