//! Events taken in by batches.

use super::{State, bounded::Likely};
use crate::event::Event;

/// Events of a batch: enough for the waits for their rows to overlap, and few enough to stay in the nearest cache.
const EVENTS: usize = 32;

/// Hands events on to a state in their order, some at a time.
///
/// In a storm of a hundred thousand flows every event waits for its row to come from memory, longer than it takes to
/// decode and count it. The rows of a batch are all asked for before the first is needed, and come together.
#[derive(Debug)]
pub struct Batch<'a> {
    state: &'a mut State,
    events: Vec<Event>,
    rows: Vec<Likely>,
}

impl<'a> Batch<'a> {
    /// For a state, which has the last of the events once the batch is finished.
    pub fn new(state: &'a mut State) -> Self {
        Self { state, events: Vec::with_capacity(EVENTS), rows: Vec::with_capacity(EVENTS) }
    }

    /// Takes an event in, at the latest when the batch is finished.
    pub fn push(&mut self, event: Event) {
        self.events.push(event);
        if self.events.len() == EVENTS {
            self.hand_on();
        }
    }

    /// Hands on what is left.
    pub fn finish(mut self) {
        self.hand_on();
    }

    fn hand_on(&mut self) {
        let Self { state, events, rows } = self;
        rows.extend(events.iter().map(|event| state.look_ahead(event)));
        for (event, &row) in events.iter_mut().zip(&*rows) {
            state.apply_taking(event, row);
        }
        events.clear();
        rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, EVENTS};
    use crate::{
        event::{Body, RetransmitKind},
        state::{
            State,
            fixture::{event, retransmit},
        },
    };

    #[test]
    fn every_event_arrives_in_order_whatever_the_size_of_the_last_batch() {
        for count in [0, 1, EVENTS - 1, EVENTS, EVENTS + 1, 3 * EVENTS] {
            let mut state = State::default();
            let mut batch = Batch::new(&mut state);
            let times = 1..=u64::try_from(count).unwrap();
            for time in times.clone() {
                let told = retransmit(RetransmitKind::Syn, "10.0.0.1:1", "10.0.0.2:80");
                batch.push(event(time, Body::Retransmit(told)));
            }
            batch.finish();
            let arrived: Vec<u64> =
                state.timeline.events().iter().map(|event| event.time.boot_ns / 1_000_000).collect();
            assert_eq!(arrived, times.collect::<Vec<_>>(), "{count}");
        }
    }
}
