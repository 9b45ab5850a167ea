//! What people read when they choose: a language by its own name, and what the
//! track is for.

use crate::media::cmaf::{Role, Roles};

/// Languages as they call themselves.
#[rustfmt::skip]
const LANGUAGES: [(&str, &str); 45] = [
    ("ar", "العربية"), ("bg", "Български"), ("ca", "Català"), ("cs", "Čeština"),
    ("cy", "Cymraeg"), ("da", "Dansk"), ("de", "Deutsch"), ("el", "Ελληνικά"),
    ("en", "English"), ("es", "Español"), ("et", "Eesti"), ("eu", "Euskara"),
    ("fa", "فارسی"), ("fi", "Suomi"), ("fr", "Français"), ("ga", "Gaeilge"),
    ("gl", "Galego"), ("he", "עברית"), ("hi", "हिन्दी"), ("hr", "Hrvatski"),
    ("hu", "Magyar"), ("id", "Bahasa Indonesia"), ("is", "Íslenska"), ("it", "Italiano"),
    ("ja", "日本語"), ("ko", "한국어"), ("lt", "Lietuvių"), ("lv", "Latviešu"),
    ("ms", "Bahasa Melayu"), ("nb", "Norsk bokmål"), ("nl", "Nederlands"), ("nn", "Nynorsk"),
    ("no", "Norsk"), ("pl", "Polski"), ("pt", "Português"), ("ro", "Română"),
    ("ru", "Русский"), ("sk", "Slovenčina"), ("sl", "Slovenščina"), ("sr", "Српски"),
    ("sv", "Svenska"), ("th", "ไทย"), ("tr", "Türkçe"), ("uk", "Українська"),
    ("zh", "中文"),
];

/// Roles that tell a track from the programme itself.
const TOLD: [(Role, &str); 9] = [
    (Role::Commentary, "commentary"),
    (Role::Description, "description"),
    (Role::Caption, "captions"),
    (Role::ForcedSubtitle, "forced"),
    (Role::EasyReader, "easy to read"),
    (Role::ClearSpeech, "clear speech"),
    (Role::Karaoke, "karaoke"),
    (Role::Alternate, "alternate"),
    (Role::Supplementary, "supplementary"),
];

/// The name of a track in `language` for `roles`; `track` is its name in URLs.
pub(super) fn of(language: Option<&str>, roles: Roles, track: &str) -> String {
    let mut name = language.map_or_else(|| track.to_owned(), in_itself);
    let told = TOLD.iter().filter(|(role, _)| roles.has(*role));
    for (_, text) in told {
        name.push_str(", ");
        name.push_str(text);
    }
    name
}

/// A language by its own name, with what its tag says beside: `Português (BR)`.
fn in_itself(tag: &str) -> String {
    let (first, rest) = tag.split_once('-').unwrap_or((tag, ""));
    match LANGUAGES.iter().find(|(known, _)| *known == first) {
        Some((_, name)) if rest.is_empty() => (*name).to_owned(),
        Some((_, name)) => format!("{name} ({rest})"),
        None => tag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_and_purposes_are_told() {
        let of = |language, roles: &[Role]| of(language, roles.iter().copied().collect(), "a1");
        assert_eq!(of(Some("de"), &[Role::Main]), "Deutsch");
        assert_eq!(of(Some("pt-BR"), &[]), "Português (BR)");
        assert_eq!(of(Some("gsw"), &[Role::Commentary]), "gsw, commentary");
        assert_eq!(of(None, &[]), "a1");
        assert!(LANGUAGES.is_sorted());
    }
}
