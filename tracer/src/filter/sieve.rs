//! A filter at work on a stream of events.

use super::Filter;
use crate::{event::Event, state::Names};

/// Says event by event whether to show it, remembering the names that later events are known by.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    filter: Option<Filter>,
    names: Names,
}

impl Sieve {
    /// Lets through what meets the filter; everything if there is none.
    pub fn new(filter: Option<Filter>) -> Self {
        Self { filter, names: Names::default() }
    }

    /// The filter, if there is one.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Lets through what meets the filter, of events that come after others that told these names.
    pub fn with_names(filter: Filter, names: Names) -> Self {
        Self { filter: Some(filter), names }
    }

    /// Whether to show an event. Every event has to pass here, in their order.
    pub fn passes(&mut self, event: &Event) -> bool {
        // Remembered without a filter too: one may come later.
        self.names.take_in(event);
        let Some(filter) = &self.filter else { return true };
        filter.matches_with(event, &self.names.of_event(event))
    }
}
