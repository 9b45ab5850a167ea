//! Elements and attributes as text.

use std::fmt::{self, Display, Write};

use crate::time::Micros;

/// A document under construction. Elements end in the reverse order in which
/// they began.
#[derive(Debug)]
pub(super) struct Xml {
    out: String,
    open: Vec<&'static str>,
    /// The start tag of the newest element is not closed yet.
    in_tag: bool,
}

impl Xml {
    /// A document without elements.
    pub(super) fn new() -> Self {
        let mut out = String::with_capacity(4096);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        Self {
            out,
            open: Vec::new(),
            in_tag: false,
        }
    }

    /// Begins an element.
    pub(super) fn begin(&mut self, name: &'static str) -> &mut Self {
        self.end_tag();
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// An attribute of the element that just began.
    pub(super) fn attr(&mut self, name: &str, value: impl Display) -> &mut Self {
        assert!(self.in_tag, "attributes come before content");
        write!(self.out, " {name}=\"").expect("a string takes any text");
        write!(Escape(&mut self.out), "{value}").expect("a string takes any text");
        self.out.push('"');
        self
    }

    /// The same where there is a value.
    pub(super) fn some(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Text in the element that just began, and its end.
    pub(super) fn text(&mut self, text: impl Display) {
        assert!(std::mem::take(&mut self.in_tag), "text is all there is");
        self.out.push('>');
        write!(Escape(&mut self.out), "{text}").expect("a string takes any text");
        let name = self.open.pop().expect("an element is open");
        writeln!(self.out, "</{name}>").expect("a string takes any text");
    }

    /// Ends the newest element.
    pub(super) fn end(&mut self) {
        let name = self.open.pop().expect("an element is open");
        if std::mem::take(&mut self.in_tag) {
            self.out.push_str("/>\n");
        } else {
            self.indent();
            writeln!(self.out, "</{name}>").expect("a string takes any text");
        }
    }

    /// The text of the whole document.
    pub(super) fn finish(self) -> String {
        assert!(self.open.is_empty(), "all elements have ended");
        self.out
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.out.push_str(">\n");
        }
    }

    fn indent(&mut self) {
        self.out.extend(self.open.iter().map(|_| ' '));
    }
}

/// Takes text in as it stands in attributes and elements: what markup is made
/// of is escaped, and what no document may have is left out.
struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\u{fffe}' | '\u{ffff}' => {}
                c if c.is_control() => {}
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// A span as `xs:duration` in seconds, exact to the microsecond.
pub(super) struct Duration(pub(super) Micros);

impl Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PT{}S", Seconds(self.0))
    }
}

/// A span in seconds, without zeros behind it.
pub(super) struct Seconds(pub(super) Micros);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.0.max(0);
        write!(f, "{}", us / 1_000_000)?;
        if us % 1_000_000 != 0 {
            let fraction = format!("{:06}", us % 1_000_000);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_markup_is_made_of_is_escaped() {
        let mut xml = Xml::new();
        xml.begin("A").attr("b", "<\"&\n\u{7f}>");
        xml.begin("C").text("x & y");
        xml.begin("D")
            .some("e", None::<u8>)
            .some("f", Some(1))
            .end();
        xml.end();
        let want = "<A b=\"&lt;&quot;&amp;&gt;\">\n <C>x &amp; y</C>\n <D f=\"1\"/>\n</A>\n";
        assert!(xml.finish().ends_with(want));
    }

    #[test]
    fn durations_have_no_more_digits_than_they_need() {
        let text = |us| Duration(Micros(us)).to_string();
        assert_eq!(text(0), "PT0S");
        assert_eq!(text(1_500_000), "PT1.5S");
        assert_eq!(text(2_000_001), "PT2.000001S");
        assert_eq!(text(-5), "PT0S");
    }
}
