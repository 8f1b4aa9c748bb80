//! The line at the bottom in which the user types: a filter, what a marker says, or a moment.

mod editor;
mod known;

use std::ops::Range;

use self::editor::Editor;
pub use self::editor::Reach;
use super::when::{NoMoment, When};
use crate::{
    filter::{self, Filter, ParseError},
    state::State,
};

/// What the line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// What of the events to show.
    Filter,
    /// What is so at this moment.
    Marker,
    /// The moment to show.
    Moment,
}

/// What a key does to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Moves the cursor.
    Go(Reach),
    /// Removes text.
    Remove(Reach),
    /// Puts the next word that may stand here, or the one before.
    Complete(Turn),
    /// Puts a line that was entered before, or the one after it.
    Recall(Turn),
}

/// Which way through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// To the next.
    Next,
    /// To the one before.
    Previous,
}

/// The line while it is typed.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    editor: Editor,
    error: Option<ParseError>,
    /// Whether the user took the line for finished, as it stands.
    is_entered: bool,
    offered: Offered,
    /// Which of the lines entered before stands here, counted from the newest.
    recalled: Option<usize>,
}

/// Words that may stand at the cursor.
#[derive(Clone, Debug, Default)]
struct Offered {
    /// Where they go, in bytes of the line.
    start: usize,
    words: Vec<String>,
    /// The one put there, while the user goes through them.
    chosen: Option<usize>,
}

impl Prompt {
    /// A line that begins with a text.
    pub(super) fn new(purpose: Purpose, text: &str, state: &State) -> Self {
        let mut prompt = Self {
            purpose,
            editor: Editor::new(text),
            error: None,
            is_entered: false,
            offered: Offered::default(),
            recalled: None,
        };
        // One who edits a filter goes on behind it.
        if !text.is_empty() && purpose == Purpose::Filter {
            prompt.editor.insert(" ");
        }
        prompt.check(state);
        prompt
    }

    /// What has been typed, without spaces around it.
    pub(super) fn text(&self) -> &str {
        self.editor.text().trim()
    }

    /// The whole line as it stands.
    pub(super) fn line(&self) -> &str {
        self.editor.text()
    }

    /// Bytes of the line before the cursor.
    pub(super) fn cursor(&self) -> usize {
        self.editor.before_cursor().len()
    }

    /// Words that may stand at the cursor, and which of them was put there.
    pub(super) fn offered(&self) -> (&[String], Option<usize>) {
        (&self.offered.words, self.offered.chosen)
    }

    /// What is wrong, and where in the line; nothing as long as the line only is not finished.
    pub(super) fn mistake(&self) -> Option<(Range<usize>, &str)> {
        let error = self.error.as_ref().filter(|error| self.is_entered || !self.is_being_typed(error))?;
        Some((error.span(), error.message()))
    }

    /// What has to come next, if something has to.
    pub(super) fn wanted(&self) -> Option<&str> {
        self.error.as_ref().map(ParseError::message)
    }

    /// Whether an error is about nothing but what has not been typed yet, or not to its end.
    fn is_being_typed(&self, error: &ParseError) -> bool {
        let span = error.span();
        let begun = self.line().get(span.start..).unwrap_or_default();
        span.is_empty()
            || (span.end == self.cursor() && span.end == self.line().len() && !begun.contains(' '))
    }

    /// Takes typed or pasted text in.
    pub(super) fn insert(&mut self, text: &str, state: &State) {
        self.editor.insert(text);
        self.check(state);
    }

    /// Changes the line; `past` are the lines entered before, the newest last.
    pub(super) fn edit(&mut self, edit: Edit, past: &[String], state: &State) {
        match edit {
            Edit::Go(reach) => self.editor.go(reach),
            Edit::Remove(reach) => self.editor.remove(reach),
            Edit::Complete(turn) => return self.complete(turn, state),
            Edit::Recall(turn) => self.recall(turn, past),
        }
        self.check(state);
    }

    /// The filter, or `None` for an empty line. Fails if it is none: then the line says where.
    pub(super) fn filter(&mut self) -> Result<Option<Filter>, ()> {
        if self.text().is_empty() {
            return Ok(None);
        }
        match filter::parse(self.line()) {
            Ok(filter) => Ok(Some(filter)),
            Err(error) => {
                self.error = Some(error);
                self.is_entered = true;
                Err(())
            }
        }
    }

    /// The moment. Fails if it is none: then the line says so.
    pub(super) fn when(&mut self) -> Result<When, ()> {
        self.text().parse().map_err(|error: NoMoment| {
            let line = self.line();
            let start = line.len() - line.trim_start().len();
            self.error = Some(ParseError::new(line, start..start + self.text().len(), error.to_string()));
            self.is_entered = true;
        })
    }

    fn check(&mut self, state: &State) {
        self.offered = Offered::default();
        self.error = None;
        self.is_entered = false;
        if self.purpose == Purpose::Filter {
            self.error = if self.text().is_empty() { None } else { filter::parse(self.line()).err() };
            let completion =
                filter::complete(self.editor.before_cursor(), |named| known::names(state, named));
            self.offered = Offered { start: completion.span.start, words: completion.words, chosen: None };
        }
    }

    /// A single word is put with the space behind it; of several first what they have in common, then one after the
    /// other.
    fn complete(&mut self, turn: Turn, state: &State) {
        let Offered { start, words, chosen } = &mut self.offered;
        match (words.as_slice(), *chosen) {
            ([], _) => {}
            ([word], _) => {
                self.editor.replace_from(*start, &format!("{word} "));
                self.check(state);
            }
            (_, chosen_before) => {
                let typed = self.editor.before_cursor().len() - *start;
                let common = common_start(words);
                if chosen_before.is_none() && common.len() > typed {
                    self.editor.replace_from(*start, &common);
                    return self.check(state);
                }
                let next = match (chosen_before, turn) {
                    (None, Turn::Next) => 0,
                    (None, Turn::Previous) => words.len() - 1,
                    (Some(before), Turn::Next) => (before + 1) % words.len(),
                    (Some(before), Turn::Previous) => (before + words.len() - 1) % words.len(),
                };
                self.editor.replace_from(*start, &words[next]);
                *chosen = Some(next);
                self.error = filter::parse(self.line()).err();
            }
        }
    }

    fn recall(&mut self, turn: Turn, past: &[String]) {
        let next = match (self.recalled, turn) {
            (None, Turn::Previous) => Some(0),
            (Some(recalled), Turn::Previous) => Some((recalled + 1).min(past.len().saturating_sub(1))),
            (None | Some(0), Turn::Next) => None,
            (Some(recalled), Turn::Next) => Some(recalled - 1),
        };
        if past.is_empty() || (next.is_none() && self.recalled.is_none()) {
            return;
        }
        self.recalled = next;
        let text = next.and_then(|next| past.iter().rev().nth(next)).map_or("", String::as_str);
        self.editor = Editor::new(text);
    }
}

/// The longest start all words share.
fn common_start(words: &[String]) -> String {
    let Some((first, others)) = words.split_first() else { return String::new() };
    let shared = others.iter().fold(first.chars().count(), |shared, other| {
        first.chars().zip(other.chars()).take(shared).take_while(|(one, two)| one == two).count()
    });
    first.chars().take(shared).collect()
}
