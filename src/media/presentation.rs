//! What the operator says of channels and tracks, over what their media says.
//!
//! It is settled before a channel opens and is part of it from then on, so that
//! every mirror draws the same manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::media::cmaf::Roles;

/// Words on every channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presentations {
    /// Of channels that have none of their own.
    pub others: Arc<Presentation>,
    /// By the name of the channel.
    pub named: BTreeMap<String, Arc<Presentation>>,
}

impl Presentations {
    /// Those on the channel `name`.
    pub fn of(&self, name: &str) -> Arc<Presentation> {
        Arc::clone(self.named.get(name).unwrap_or(&self.others))
    }
}

/// Words on one channel. Every text is safe between quotes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presentation {
    /// Variables that manifests define, in order.
    pub definitions: Vec<Definition>,
    /// Query of every URI in manifests; it may name variables.
    pub uri_query: Option<String>,
    /// Who tells players which way to take.
    pub steering: Option<Steering>,
    /// Captions within the video.
    pub captions: Vec<Caption>,
    /// Of tracks that have none of their own.
    pub others: TrackWords,
    /// By the name of the track.
    pub tracks: BTreeMap<String, TrackWords>,
}

impl Presentation {
    /// Those on the track `name`.
    pub fn track(&self, name: &str) -> TrackWords {
        let own = self.tracks.get(name).cloned().unwrap_or_default();
        own.or(&self.others)
    }
}

/// A variable in manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// It has this value.
    Value {
        /// Of the variable.
        name: String,
        /// As it is written.
        value: String,
    },
    /// It has the value that the query of the manifest's own URL gives it.
    Query {
        /// Of the variable and of the parameter.
        name: String,
    },
}

impl Definition {
    /// Of the variable.
    pub fn name(&self) -> &str {
        match self {
            Self::Value { name, .. } | Self::Query { name } => name,
        }
    }
}

/// A steering service, and which of its ways this origin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steering {
    /// Where players ask.
    pub server_uri: String,
    /// The way that leads here.
    pub pathway_id: String,
}

/// Captions in the video stream itself, CEA-608 or 708.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// `CC1` to `CC4`, `SERVICE1` to `SERVICE63`.
    pub instream_id: String,
    /// For people.
    pub name: String,
    /// BCP 47.
    pub language: Option<String>,
    /// Shown unless the viewer decides otherwise.
    pub default: bool,
}

/// Words on one track; what is absent is left to its header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackWords {
    /// BCP 47.
    pub language: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// What it is for.
    pub roles: Option<Roles>,
    /// Uniform type identifiers beside those that roles stand for.
    pub characteristics: Option<Vec<String>>,
    /// Played unless the viewer decides otherwise.
    pub default: Option<bool>,
    /// May be chosen by the viewer's preferences alone.
    pub autoselect: Option<bool>,
    /// Shown whatever the viewer has chosen.
    pub forced: Option<bool>,
    /// Channels of sound as manifests say them, `16/JOC` for example.
    pub channels: Option<String>,
    /// How good a variant with this track is; all or none have one.
    pub score: Option<f64>,
}

impl TrackWords {
    /// These, and from `others` what is absent here.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        let others = others.clone();
        Self {
            language: self.language.or(others.language),
            name: self.name.or(others.name),
            roles: self.roles.or(others.roles),
            characteristics: self.characteristics.or(others.characteristics),
            default: self.default.or(others.default),
            autoselect: self.autoselect.or(others.autoselect),
            forced: self.forced.or(others.forced),
            channels: self.channels.or(others.channels),
            score: self.score.or(others.score),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_on_a_track_go_before_words_on_all() {
        let words = |language: &str, score| TrackWords {
            language: Some(language.into()),
            score,
            ..TrackWords::default()
        };
        let presentation = Presentation {
            others: words("de", Some(1.0)),
            tracks: [("a".to_owned(), words("en", None))].into(),
            ..Presentation::default()
        };
        assert_eq!(presentation.track("a"), words("en", Some(1.0)));
        assert_eq!(presentation.track("b"), words("de", Some(1.0)));
    }

    #[test]
    fn a_channel_without_words_of_its_own_has_those_on_all() {
        let named = Presentation {
            uri_query: Some("a=1".into()),
            ..Presentation::default()
        };
        let all = Presentations {
            named: [("news".to_owned(), Arc::new(named))].into(),
            ..Presentations::default()
        };
        assert_eq!(all.of("news").uri_query.as_deref(), Some("a=1"));
        assert_eq!(*all.of("sport"), Presentation::default());
    }
}
