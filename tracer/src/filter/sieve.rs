//! A filter at work on a stream of events.

use super::Filter;
use crate::event::{Body, Event, Owners};

/// Says event by event whether to show it, remembering who owns the sockets that later events name.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    filter: Option<Filter>,
    owners: Owners,
}

impl Sieve {
    /// Lets through what meets the filter; everything if there is none.
    pub fn new(filter: Option<Filter>) -> Self {
        Self { filter, owners: Owners::default() }
    }

    /// The filter, if there is one.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Another filter, with what this one remembers.
    #[must_use]
    pub fn with(&self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self.clone() }
    }

    /// Whether to show an event. Every event has to pass here, in their order.
    pub fn passes(&mut self, event: &Event) -> bool {
        // Remembered without a filter too: one may come later.
        if let Body::Owner(owner) = &event.body {
            self.owners.insert(owner);
        }
        let Some(filter) = &self.filter else { return true };
        let process = match &event.body {
            Body::Retransmit(retransmit) => {
                retransmit.socket_inode.and_then(|inode| self.owners.process(inode))
            }
            _ => None,
        };
        filter.matches_with_process(event, process)
    }
}
