//! A line that is being typed.

/// Bytes of a line, at most: more than anybody types, and little to parse at every key.
const LONGEST_BYTES: usize = 4_096;

/// A line and a cursor in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Editor {
    text: String,
    /// In bytes, always between two characters.
    cursor: usize,
}

/// How far the cursor moves, or the text up to where is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A character back.
    Back,
    /// A character on.
    On,
    /// To the start of the word before.
    WordBack,
    /// To the start.
    Start,
    /// To the end.
    End,
}

impl Editor {
    /// A line with the cursor at its end.
    pub(crate) fn new(text: &str) -> Self {
        let mut editor = Self::default();
        editor.insert(text);
        editor
    }

    /// The line.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The part before the cursor.
    pub(crate) fn before_cursor(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// Inserts text at the cursor. What a terminal sends for keys that are no text, and line ends, are left out.
    pub(crate) fn insert(&mut self, text: &str) {
        for character in text.chars() {
            let character = if character == '\n' || character == '\t' { ' ' } else { character };
            if !character.is_control() && self.text.len() + character.len_utf8() <= LONGEST_BYTES {
                self.text.insert(self.cursor, character);
                self.cursor += character.len_utf8();
            }
        }
    }

    /// Moves the cursor.
    pub(crate) fn go(&mut self, reach: Reach) {
        self.cursor = self.place(reach);
    }

    /// Removes what lies between the cursor and a place.
    pub(crate) fn remove(&mut self, reach: Reach) {
        let place = self.place(reach);
        let range = place.min(self.cursor)..place.max(self.cursor);
        self.cursor = range.start;
        self.text.replace_range(range, "");
    }

    /// Replaces what stands between a place, given in bytes, and the cursor.
    pub(crate) fn replace_from(&mut self, start: usize, text: &str) {
        if start <= self.cursor && self.text.is_char_boundary(start) {
            self.text.replace_range(start..self.cursor, "");
            self.cursor = start;
            self.insert(text);
        }
    }

    fn place(&self, reach: Reach) -> usize {
        let before = self.before_cursor();
        match reach {
            Reach::Back => before.char_indices().next_back().map_or(0, |(place, _)| place),
            Reach::On => {
                let next = self.text.get(self.cursor..).and_then(|after| after.chars().next());
                self.cursor + next.map_or(0, char::len_utf8)
            }
            Reach::WordBack => {
                let word = before.trim_end();
                word.rfind(char::is_whitespace).map_or(0, |place| {
                    place + word.get(place..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
                })
            }
            Reach::Start => 0,
            Reach::End => self.text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Editor, Reach};

    const REACHES: [Reach; 5] = [Reach::Back, Reach::On, Reach::WordBack, Reach::Start, Reach::End];

    #[test]
    fn lines_are_edited_at_the_cursor() {
        let mut editor = Editor::new("port 80");
        editor.go(Reach::WordBack);
        editor.insert("src\n");
        assert_eq!((editor.text(), editor.before_cursor()), ("port src 80", "port src "));
        editor.remove(Reach::WordBack);
        editor.go(Reach::On);
        editor.remove(Reach::On);
        assert_eq!(editor.text(), "port 8");
        editor.remove(Reach::Start);
        editor.insert("é\x1b[");
        editor.remove(Reach::Back);
        assert_eq!(editor.text(), "é");
        editor.replace_from(0, "not ");
        assert_eq!(editor.text(), "not ");
    }

    proptest! {
        #[test]
        fn the_cursor_stays_between_characters(
            steps in prop::collection::vec((0_usize..3, 0..REACHES.len(), "\\PC{0,3}| |日本"), 0..40),
        ) {
            let mut editor = Editor::default();
            for (what, reach, text) in steps {
                match what {
                    0 => editor.insert(&text),
                    1 => editor.go(REACHES[reach]),
                    _ => editor.remove(REACHES[reach]),
                }
                prop_assert!(editor.text().starts_with(editor.before_cursor()));
                prop_assert!(editor.text().is_char_boundary(editor.before_cursor().len()));
            }
        }
    }
}
