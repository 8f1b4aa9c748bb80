//! Writing HTML and SVG in which text from outside can only be text.
//!
//! Names of elements and attributes are constants of the program; values and text go through [`push_escaped`], and an
//! element is closed by whoever opened it. So whatever a process or a pod is called, the page stays the page, and is
//! well-formed as XML, too.

/// A page being written.
pub(super) struct Markup(String);

impl Markup {
    /// An empty HTML document.
    pub(super) fn document() -> Self {
        Self("<!DOCTYPE html>\n".to_owned())
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        self.0.push('\n');
        self.0
    }

    /// An element and what is inside.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        if is_on_a_line_of_its_own(name) && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
        self.open(name, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element that can have nothing inside.
    pub(super) fn void(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.open(name, attributes);
        self.0.push_str(" />");
    }

    /// Text, from wherever.
    pub(super) fn text(&mut self, text: &str) {
        push_escaped(&mut self.0, text);
    }

    /// A part of the page that is a part of the program: its style.
    pub(super) fn constant(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    fn open(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            push_escaped(&mut self.0, value);
            self.0.push('"');
        }
    }
}

fn is_on_a_line_of_its_own(name: &str) -> bool {
    !matches!(name, "a" | "code" | "td" | "th" | "title" | "caption" | "text" | "desc")
}

/// Appends text with everything replaced that HTML or XML would not take for text.
fn push_escaped(markup: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            // XML has no way to write these, nor HTML a use.
            '\u{fffe}' | '\u{ffff}' => markup.push('\u{fffd}'),
            character if character.is_control() => markup.push('\u{fffd}'),
            character => markup.push(character),
        }
    }
}
