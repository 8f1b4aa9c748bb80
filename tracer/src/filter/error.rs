//! What is wrong with a filter, and where.

use std::{fmt, ops::Range};

use crate::event::Text;

/// A filter that cannot be read. Printed, it shows the place under the expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    expression: String,
    span: Range<usize>,
    message: String,
}

impl ParseError {
    pub(crate) fn new(expression: &str, span: Range<usize>, message: String) -> Self {
        Self { expression: expression.to_owned(), span, message }
    }

    /// The place in the expression, in bytes; empty where something is missing.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What was expected there.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let characters =
            |range: Range<usize>| self.expression.get(range).map_or(0, |part| part.chars().count());
        let before = characters(0..self.span.start);
        let marked = characters(self.span.clone()).max(1);
        // Replacing what a terminal would obey keeps the number of characters, so the carets stay in place.
        let (message, expression) = (Text::new(&self.message), Text::new(&self.expression));
        write!(formatter, "{message}\n  {expression}\n  {:before$}{}", "", "^".repeat(marked))
    }
}
