//! A filter at work on a stream of events.

use super::Filter;
use crate::{event::Event, state::Names};

/// Says event by event whether to show it, remembering the names that later events are known by.
#[derive(Debug, Default)]
pub struct Sieve {
    filter: Option<Filter>,
    names: Names,
}

impl Sieve {
    /// Lets through what meets the filter; everything if there is none.
    pub fn new(filter: Option<Filter>) -> Self {
        Self { filter, names: Names::default() }
    }

    /// Whether to show an event. Every event has to pass here, in their order.
    pub fn passes(&mut self, event: &Event) -> bool {
        let Some(filter) = &self.filter else { return true };
        self.names.take_in(event);
        filter.matches_with(event, &self.names.of_event(event))
    }
}
