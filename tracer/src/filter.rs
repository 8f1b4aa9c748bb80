//! The filter language, one for all commands and screens: `host 10.0.0.5 and port 80 and kind syn-ack`.
//!
//! ```text
//! expression  = conjunction { "or" conjunction }
//! conjunction = negation { "and" negation }
//! negation    = "not" negation | "(" expression ")" | condition
//! condition   = [ "src" | "dst" ] ( "host" ADDRESS[/LENGTH] | "net" ADDRESS/LENGTH | "port" N[-M] )
//!             | "kind" WORD | "family" WORD | "netns" N | "process" NAME | "dev" NAME | "mac" ADDRESS
//!             | "verdict" WORD | "decision" WORD | "event" WORD | "state" WORD | "weight" [ "<" ] N | "failed"
//!             | "retransmit" | "retransmit-undo" | "neighbour" | "claim" | "conntrack" | "ipvs"
//! ```
//!
//! A name with spaces, brackets, quotes or `<` stands in double quotes, where `\` takes the next character as it is.

mod error;
mod lexer;
mod matching;
mod parser;
mod syntax;
#[cfg(test)]
mod tests;
mod words;

use std::{fmt, str::FromStr};

pub use self::error::ParseError;
use self::syntax::Expression;
use crate::event::{Event, Process};

/// A condition on events. Printed, it reads back as an equal filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expression);

impl Filter {
    /// Whether to show an event, by what the event itself says.
    ///
    /// What is about tracer and the node as a whole (statistics, hooks, names, owners) matches every filter.
    pub fn matches(&self, event: &Event) -> bool {
        self.matches_with_process(event, None)
    }

    /// The same, with the process found for the event's socket where the event does not name one.
    pub fn matches_with_process(&self, event: &Event, process: Option<&Process>) -> bool {
        matching::is_about_tracer(event) || matching::evaluate(&self.0, event, process)
    }
}

/// Reads a filter. The error says what was expected, and where.
pub fn parse(text: &str) -> Result<Filter, ParseError> {
    parser::parse(text).map(Filter)
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
