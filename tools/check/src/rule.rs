//! What is asserted, by number.

/// What an assertion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sheet {
    /// Playlists: C1 and on.
    Hls,
    /// MPDs: D1 and on.
    Dash,
}

/// One assertion, `C1` to `C45` or `D1` to `D23`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    sheet: Sheet,
    number: u8,
}

/// When an assertion can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From the text of a playlist alone.
    Text,
    /// By requests made for it.
    Asked,
    /// From what is seen over time.
    Watched,
    /// Not by anybody who has no hand on the encoder or the process.
    Inside,
}

/// What stands behind a number.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The assertion.
    pub rule: Rule,
    /// When it can be judged.
    pub reach: Reach,
    /// Where it is demanded; a finding names its own clause.
    pub clause: &'static str,
    /// What it demands, in one line.
    pub title: &'static str,
}

macro_rules! rules {
    ($list:ident $sheet:ident $($name:ident $number:literal $reach:ident $clause:literal $title:literal)*) => {
        $(#[doc = $title] pub const $name: Rule = Rule { sheet: Sheet::$sheet, number: $number };)*
        const $list: &[About] = &[$(About {
            rule: $name, reach: Reach::$reach, clause: $clause, title: $title,
        }),*];
    };
}

/// Every assertion, in order.
pub fn all() -> impl Iterator<Item = &'static About> {
    HLS.iter().chain(DASH)
}

rules! {
    HLS Hls
    C1 1 Asked "rfc8216bis 4, 4.1; Apple 10.1" "playlists are typed, UTF-8, the same text with gzip and without"
    C2 2 Text "rfc8216bis 4.4.3.7, 4.4.3.8, B.1; Apple 14.3" "parts come with PART-INF, blocking reload and hold-backs large enough"
    C3 3 Text "rfc8216bis 6.2.4" "server control and target duration are equal in all media playlists"
    C4 4 Text "rfc8216bis 4.4.4.9" "printed part durations are within 85 and 100 % of the printed part target"
    C5 5 Text "rfc8216bis 4.4.3.1; Apple 7.7" "no segment exceeds the target duration"
    C6 6 Text "rfc8216bis 4.4.4.9; Apple 8.1" "the parts of a closed segment last as long as it"
    C7 7 Text "rfc8216bis 4.4.5.3, 6.2.6, B.1" "one hint names the part to come"
    C8 8 Text "rfc8216bis 4.1, 4.2, 4.4, 8" "syntax, order of tags, and the version the content needs"
    C9 9 Asked "rfc8216bis 6.2.5.2" "_HLS_part without _HLS_msn is refused"
    C10 10 Asked "rfc8216bis 6.2.5" "directives that are no numbers are refused"
    C11 11 Asked "rfc8216bis 6.2.5.2" "a media sequence number too far ahead is refused at once"
    C12 12 Watched "rfc8216bis 6.2.5.2" "a reload for a coming part is answered when that part is published"
    C13 13 Asked "rfc8216bis 6.2.5.2" "a part index past the end of a segment means the next segment"
    C14 14 Asked "rfc8216bis 6.2.5.2" "a reload for the past is answered at once with the current list"
    C15 15 Asked "rfc8216bis 6.2.5.2" "a reload without part waits for the whole segment"
    C16 16 Watched "rfc8216bis 6.2.5.2" "no answer to a blocking reload lacks what was asked for"
    C17 17 Asked "rfc8216bis 6.2.5, 6.3.2" "the order of parameters and foreign ones change nothing"
    C18 18 Asked "rfc8216bis B.1" "the same request twice gives the same list"
    C19 19 Asked "rfc8216bis 4.4.5.3, 6.2.6" "a hinted part can be asked for at once and comes whole, at link speed"
    C20 20 Asked "rfc8216bis 3.2, 4.4.4.9" "the parts of a segment are its bytes"
    C21 21 Asked "rfc8216bis 6.2.6; RFC 8673" "an open-ended range streams part by part until the segment ends"
    C22 22 Asked "rfc8216bis 6.2.6" "what is neither listed nor hinted is not there"
    C23 23 Asked "rfc8216bis 4.4.5.2, 6.2.5.1" "a delta update is the full list with old segments left out"
    C24 24 Asked "rfc8216bis 4.4.5.2, 6.2.5.1" "a second-version delta leaves out old date ranges too"
    C25 25 Watched "rfc8216bis 6.2.5.1" "deltas block like full lists, and come only when asked for"
    C26 26 Watched "rfc8216bis 4.4.5.4, B.1" "rendition reports are complete, exact and current"
    C27 27 Asked "rfc8216bis 4.4.4.9, 6.2.5.2; Apple 6.10" "I-frame playlists block, have no parts, and give whole frames"
    C28 28 Watched "rfc8216bis 6.2.1" "targets, hold-backs and abilities never change"
    C29 29 Watched "rfc8216bis 6.2.1, 6.2.2" "numbers and names stay with their segments, removal is in order"
    C30 30 Watched "rfc8216bis 4.4.3.3, 6.2.2, 6.2.4" "discontinuity numbers stay, and agree between renditions"
    C31 31 Watched "rfc8216bis 6.2.1" "parts and segments are published in time"
    C32 32 Watched "rfc8216bis B.1" "renditions advance in step"
    C33 33 Watched "rfc8216bis 4.4.4.6, 6.2.1, 6.2.4; Apple 8.4" "wall-clock dates are there, continuous, and one mapping for all"
    C34 34 Watched "rfc8216bis 6.2.2" "parts leave the list in time and stay fetchable, segments too"
    C35 35 Watched "rfc8216bis 6.2.2; Apple 8.11" "the list keeps three target durations and six segments"
    C36 36 Watched "rfc8216bis 3, 4.4.4.3" "decode times go on without a step unless a discontinuity is marked"
    C37 37 Asked "rfc8216bis B.1; Apple 12.1" "HTTP/2 and a current TLS are offered"
    C38 38 Asked "rfc8216bis B.1" "answers can be cached, for as long as they hold"
    C39 39 Asked "Fetch standard, practice of web players" "pages of other origins may read everything they need"
    C40 40 Watched "rfc8216bis 4.4.6; Apple 1.28, 8.10, 9" "the multivariant playlist tells the truth about its renditions"
    C41 41 Inside "rfc8216bis 6.2.1, 6.2.5.2" "a stalled encoder leads to gaps or failover, then 503"
    C42 42 Inside "rfc8216bis 6.2.2, 6.2.5.2" "the end releases waiters and keeps the media"
    C43 43 Inside "rfc8216bis 4.4.4.3, 6.2.2" "a restarted encoder leads to a discontinuity, numbers go on"
    C44 44 Inside "rfc8216bis 4.4.5.1" "splice events become date ranges before their segment"
    C45 45 Inside "practice" "requests of clients that left cost nothing"
}

rules! {
    DASH Dash
    D1 1 Asked "ISO/IEC 23009-1 5.2, 5.3, C" "the MPD is typed, well-formed and as its schema demands"
    D2 2 Text "ISO/IEC 23009-1 5.3.1.2, 8.4" "a live MPD has its profiles, times and update period"
    D3 3 Text "ISO/IEC 23009-1 5.3.9.5.3, 5.12, K.4; DASH-IF low-latency live" "low latency is described in full"
    D4 4 Text "ISO/IEC 23009-1 5.3.2, 5.3.3, 5.3.5, 5.3.7" "Periods, sets and Representations are identified and described"
    D5 5 Text "ISO/IEC 23009-1 5.3.9.6" "a timeline goes on without overlap"
    D6 6 Asked "ISO/IEC 23009-1 5.8.4.11, 5.8.5.7" "the clock can be asked and is right"
    D7 7 Watched "ISO/IEC 23009-1 5.3.1.2, 5.4; RFC 9110 13.1.2" "publishTime and ETag move with the content and only then"
    D8 8 Watched "ISO/IEC 23009-1 5.4" "an update changes nothing that was said of the past"
    D9 9 Watched "ISO/IEC 23009-1 5.3.9.5.3, 5.4" "updates come in time and take away only what the window has left"
    D10 10 Asked "ISO/IEC 23009-1 5.3.9.5.3, A.3" "every segment that is available is there"
    D11 11 Asked "ISO/IEC 23009-1 5.3.9.5.3; DASH-IF IOP; RFC 8470" "a segment to come is held or told apart from one that is not"
    D12 12 Asked "ISO/IEC 23009-1 5.3.9.5.3; RFC 9110 15.5" "what is past or was never named is not there"
    D13 13 Watched "ISO/IEC 23009-1 5.3.9.5.3; DASH-IF low-latency live; RFC 9112 7.1" "the segment under way comes as it is made, and is what it becomes"
    D14 14 Watched "ISO/IEC 23009-1 5.3.9.2, 5.3.9.6, 7.2.1" "media is decoded when the MPD says"
    D15 15 Asked "ISO/IEC 23009-1 5.3.5.2, 5.3.7.2; RFC 6381" "headers and rates are as declared"
    D16 16 Asked "ISO/IEC 23009-1 5.15; RFC 5261" "a patch makes one version into the next"
    D17 17 Asked "ISO/IEC 23009-1 segment sequences" "the parts of a segment sequence are the segment"
    D18 18 Watched "ISO/IEC 23009-1 5.10" "events are declared, whole and unique"
    D19 19 Asked "ISO/IEC 23000-19" "the playlist beside it names the same bytes"
    D20 20 Asked "Fetch standard; RFC 9111" "pages may read every answer, caches keep it for as long as it holds"
    D21 21 Watched "ISO/IEC 23009-1 5.3.9.5.3, A.3" "the live edge keeps to the clock"
    D22 22 Inside "RFC 9112 8" "an upload that dies never looks like a whole segment"
    D23 23 Inside "ISO/IEC 23009-1 5.3.2" "a restarted encoder leads to a new Period"
}

impl Rule {
    /// What stands behind it.
    pub fn about(self) -> &'static About {
        &self.sheet.rules()[usize::from(self.number) - 1]
    }

    /// Whether it is about playlists or MPDs.
    pub fn sheet(self) -> Sheet {
        self.sheet
    }

    /// From `C12`, `D3` or `12`; without a letter it is about playlists.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sheet, digits) = match text.as_bytes().first()? {
            b'D' | b'd' => (Sheet::Dash, &text[1..]),
            b'C' | b'c' => (Sheet::Hls, &text[1..]),
            _ => (Sheet::Hls, text),
        };
        let number: u8 = digits.parse().ok()?;
        let known = (1..=sheet.rules().len()).contains(&usize::from(number));
        known.then_some(Self { sheet, number })
    }
}

impl Sheet {
    /// What is followed over time.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Hls => "media playlists",
            Self::Dash => "Representations",
        }
    }

    fn rules(self) -> &'static [About] {
        match self {
            Self::Hls => HLS,
            Self::Dash => DASH,
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = match self.sheet {
            Sheet::Hls => 'C',
            Sheet::Dash => 'D',
        };
        f.pad(&format!("{letter}{}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_numbered_in_order() {
        assert_eq!((HLS.len(), DASH.len()), (45, 23));
        for sheet in [Sheet::Hls, Sheet::Dash] {
            for (number, about) in (1..).zip(sheet.rules()) {
                assert_eq!(about.rule, Rule { sheet, number });
                assert_eq!(about.rule.about().title, about.title);
                assert_eq!(Rule::parse(&about.rule.to_string()), Some(about.rule));
            }
        }
        assert_eq!(Rule::parse("12"), Some(C12));
        for text in ["", "C", "C0", "C46", "D0", "D24", "E1", "C1000"] {
            assert_eq!(Rule::parse(text), None, "{text}");
        }
    }
}
