//! Events taken in by batches.

use super::{State, bounded::Asked};
use crate::event::Event;

/// Events on their way: enough for the waits for their rows to overlap, and few enough to stay in the nearest cache.
const EVENTS: usize = 32;

/// How many events later a row is asked for, once it is known where that is told.
const LATER: usize = 12;

/// Hands events on to a state in their order, each a little later.
///
/// In a storm of a hundred thousand flows every event waits for its row to come from memory, longer than it takes to
/// decode and count it. So what an event will need is asked for as soon as it is known, first where its row is, then the
/// row; and while it comes, others are decoded and counted.
#[derive(Debug)]
pub struct Batch<'a> {
    state: &'a mut State,
    /// The last events, each in the place of its number.
    events: Vec<Event>,
    rows: [Option<Asked>; EVENTS],
    pushed: usize,
}

impl<'a> Batch<'a> {
    /// For a state, which has the last of the events once the batch is finished.
    pub fn new(state: &'a mut State) -> Self {
        Self { state, events: Vec::with_capacity(EVENTS), rows: [None; EVENTS], pushed: 0 }
    }

    /// Takes an event in, at the latest when the batch is finished.
    pub fn push(&mut self, event: Event) {
        let number = self.pushed;
        let row = self.state.ask(&event);
        if number < EVENTS {
            self.events.push(event);
        } else {
            // Where the event is that came so many before.
            self.hand_on(number);
            self.events[number % EVENTS] = event;
        }
        self.rows[number % EVENTS] = row;
        if let Some(before) = number.checked_sub(LATER) {
            self.ask_row(before);
        }
        self.pushed += 1;
    }

    /// Hands on what is left.
    pub fn finish(mut self) {
        self.catch_up();
    }

    /// Hands on what was pushed so far, and shows what it amounts to.
    pub(crate) fn catch_up(&mut self) -> &State {
        for number in self.pushed.saturating_sub(LATER)..self.pushed {
            self.ask_row(number);
        }
        for number in self.pushed.saturating_sub(EVENTS)..self.pushed {
            self.hand_on(number);
        }
        self.events.clear();
        self.pushed = 0;
        self.state
    }

    fn ask_row(&mut self, number: usize) {
        let place = number % EVENTS;
        if let (Some(row), Some(event)) = (&mut self.rows[place], self.events.get(place)) {
            self.state.ask_entry(event, row);
        }
    }

    fn hand_on(&mut self, number: usize) {
        let place = number % EVENTS;
        self.state.apply_taking(&mut self.events[place], self.rows[place]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, EVENTS};
    use crate::{
        event::{Body, RetransmitKind},
        state::{
            Limits, State,
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

    #[test]
    fn a_batch_that_catches_up_shows_all_of_it_and_goes_on() {
        let mut state = State::default();
        let mut batch = Batch::new(&mut state);
        for time in 1..=100 {
            let told = retransmit(RetransmitKind::Syn, "10.0.0.1:1", "10.0.0.2:80");
            batch.push(event(time, Body::Retransmit(told)));
            if time % 37 == 0 || time == 99 {
                assert_eq!(batch.catch_up().events(), time);
            }
        }
        batch.finish();
        assert_eq!(state.events(), 100);
    }

    /// A row that was asked for may be another's by the time it is needed.
    #[test]
    fn a_batch_arrives_where_one_after_the_other_does_though_rows_are_given_up() {
        let limits = Limits { flows: 5, timeline: 40, ..Limits::default() };
        let (mut one_by_one, mut batched) = (State::new(limits), State::new(limits));
        let mut batch = Batch::new(&mut batched);
        for number in 0..500_u64 {
            // Of a few flows more often than of others.
            let source = format!("10.0.0.1:{}", 1 + number * number % 23 % 11);
            let told = retransmit(RetransmitKind::Syn, &source, "10.0.0.2:80");
            let event = event(number, Body::Retransmit(told));
            one_by_one.apply(&event);
            batch.push(event);
        }
        batch.finish();
        let flows = |state: &State| {
            let mut flows: Vec<_> = state.flows.iter().map(|(key, flow)| (*key, flow.attempts())).collect();
            flows.sort_unstable();
            (flows, state.flows.evicted())
        };
        assert!(one_by_one.flows.evicted() > 100);
        assert_eq!(flows(&batched), flows(&one_by_one));
        assert_eq!(batched.timeline.events(), one_by_one.timeline.events());
    }
}
