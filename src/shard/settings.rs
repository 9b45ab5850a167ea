//! What a shard needs to know of the configuration, resolved and checked.

use crate::media::policy::Policy;
use crate::media::presentation::Presentations;

/// See the module's head.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For every channel.
    pub policy: Policy,
    /// Media of all channels of one shard, in bytes.
    pub memory_bytes: u64,
    /// Refuse part directives beyond the Advance Part Limit, as the letter of
    /// the HLS draft has it, instead of holding them.
    pub strict_part_limit: bool,
    /// What encoders must present; nobody is asked when absent.
    pub ingest_token: Option<String>,
    /// What players are told of channels beside what their media says.
    pub presentations: Presentations,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            memory_bytes: 4 << 30,
            strict_part_limit: false,
            ingest_token: None,
            presentations: Presentations::default(),
        }
    }
}
