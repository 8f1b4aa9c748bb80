//! A state and its place in the records.

use super::records::{Place, Records};
use crate::{
    block::Block,
    decode::Decoder,
    filter::{Filter, Sieve},
    state::{Batch, State},
};

/// What all records up to a place amount to, of what meets a filter.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    decoder: Decoder,
    sieve: Sieve,
    pub(super) state: Box<State>,
    pub(super) place: Place,
}

impl Cursor {
    /// A state that begins at a place.
    pub(super) fn new(state: State, filter: Option<Filter>, place: Place) -> Self {
        Self { decoder: Decoder::default(), sieve: Sieve::new(filter), state: Box::new(state), place }
    }

    /// At the same place, with what is known of the clocks and of names, but with another filter and another state.
    pub(super) fn with(&self, filter: Filter, state: State) -> Self {
        Self {
            decoder: self.decoder.clone(),
            sieve: Sieve::with_names(filter, self.state.names.clone()),
            state: Box::new(state),
            place: self.place,
        }
    }

    /// What it lets through.
    pub(super) fn filter(&self) -> Option<&Filter> {
        self.sieve.filter()
    }

    /// Takes in a block that begins at its place and ends at `behind`.
    pub(super) fn apply(&mut self, block: &Block, behind: Place) {
        let Self { decoder, sieve, state, place } = self;
        let mut batch = Batch::new(state);
        decoder.decode(block, |event| {
            if sieve.passes(&event) {
                batch.push(event);
            }
        });
        batch.finish();
        state.set_decoded(decoder.counts());
        *place = behind;
    }

    /// Goes on towards a place, at most to the end of a chapter.
    pub(super) fn advance(&mut self, along: &impl Records, goal: Place) {
        let (records, behind) = along.records(self.place, goal);
        self.apply(&Block(records), behind);
    }
}
