//! The filter language, one for all commands and screens: `host 10.0.0.5 and port 80 and kind syn-ack`.
//!
//! ```text
//! expression  = conjunction { "or" conjunction }
//! conjunction = negation { "and" negation }
//! negation    = "not" negation | "(" expression ")" | condition
//! condition   = [ "src" | "dst" ] ( "host" ADDRESS[/LENGTH] | "net" ADDRESS/LENGTH | "port" N[-M] )
//!             | "kind" WORD | "family" WORD | "netns" (N | NAME) | "node" NAME | "dev" NAME | "mac" ADDRESS
//!             | "process" NAME | "container" NAME | "pod" [NAMESPACE/]NAME
//!             | "verdict" WORD | "decision" WORD | "event" WORD | "state" WORD | "weight" [ "<" ] N | "failed"
//!             | "retransmit" | "retransmit-undo" | "neighbour" | "claim" | "conntrack" | "ipvs"
//! ```
//!
//! In names of nodes, processes, containers, pods and network namespaces, `*` stands for any characters or none. A name with
//! spaces, brackets, quotes or `<` stands in double quotes, where `\` takes the next character as it is.

mod completion;
mod error;
mod findings;
mod lexer;
mod matching;
mod parser;
mod sieve;
mod syntax;
#[cfg(test)]
mod tests;
mod words;

use std::{fmt, str::FromStr};

use self::syntax::{Condition, Expression, Pattern};
pub(crate) use self::words::family_of;
pub use self::{
    completion::{Completion, Named, complete},
    error::ParseError,
    findings::FindingSieve,
    sieve::Sieve,
};
use crate::{event::Event, probe::table::Family, state::Ownership};

/// A condition on events. Printed, it reads back as an equal filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expression);

impl Filter {
    /// What happened in a network namespace, given by its inode.
    pub fn netns(inode: u32) -> Self {
        Self(Expression::Condition(Condition::Netns(inode)))
    }

    /// What happened in a network namespace of that name.
    pub fn netns_name(name: &str) -> Self {
        Self(Expression::Condition(Condition::NetnsName(Pattern(name.to_owned()))))
    }

    /// What belongs to one of these families; `None` if there are none.
    pub fn families(families: impl IntoIterator<Item = Family>) -> Option<Self> {
        let mut each: Vec<Expression> =
            families.into_iter().map(|family| Expression::Condition(Condition::Family(family))).collect();
        // A list of one is no list: it would not read back as it was printed.
        let last = each.pop()?;
        if each.is_empty() {
            return Some(Self(last));
        }
        each.push(last);
        Some(Self(Expression::Any(each)))
    }

    /// What meets both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Expression::All(vec![self.0, other.0]))
    }

    /// Whether to show an event, by what the event itself says.
    ///
    /// What is about tracer and the node as a whole (statistics, hooks, names, owners) matches every filter.
    pub fn matches(&self, event: &Event) -> bool {
        self.matches_with(event, &Ownership::default())
    }

    /// The same, with what is known of who is behind the event ([`Names::of_event`](crate::state::Names::of_event)).
    pub fn matches_with(&self, event: &Event, whose: &Ownership<'_>) -> bool {
        matching::is_about_tracer(event) || matching::evaluate(&self.0, event, whose)
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
