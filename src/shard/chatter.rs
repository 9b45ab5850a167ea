//! Lines of the log that peers cause: so many a second, because a flood of
//! requests must be no flood of lines. What is left out is counted.

use crate::limits;
use crate::time::Mono;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Chatter {
    /// When the second under way began.
    since: Mono,
    said: u32,
    unsaid: u64,
}

impl Chatter {
    /// Whether one more line may be written.
    pub(super) fn may_say(&mut self, now: Mono) -> bool {
        self.tick(now);
        let may = self.said < limits::LOG_LINES_A_SECOND_MAX;
        if may {
            self.said += 1;
        } else {
            self.unsaid += 1;
        }
        may
    }

    /// Says how much was left out, once the second is over.
    pub(super) fn tick(&mut self, now: Mono) {
        if now.ms_since(self.since) < 1_000 {
            return;
        }
        (self.since, self.said) = (now, 0);
        let unsaid = std::mem::take(&mut self.unsaid);
        if unsaid > 0 {
            tracing::warn!(unsaid, "peers cause too many log lines; some were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_second_end_at_their_limit() {
        let limit = limits::LOG_LINES_A_SECOND_MAX;
        let mut chatter = Chatter::default();
        let mut said = |ms| {
            (0..3 * limit)
                .filter(|_| chatter.may_say(Mono::from_ms(ms)))
                .count()
        };
        assert_eq!(said(5_000), limit as usize);
        assert_eq!(said(5_999), 0);
        assert_eq!(said(6_000), limit as usize, "another second");
        assert_eq!(chatter.unsaid, u64::from(2 * limit));
        chatter.tick(Mono::from_ms(7_000));
        assert_eq!(chatter.unsaid, 0, "told");
    }
}
