//! From when to when something happened.

use crate::event::Timestamp;

/// The first and the last time of something that happened at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

impl Span {
    /// Takes another time in; events of different CPUs may come a little out of order.
    pub(super) fn extend(span: &mut Option<Self>, time: Timestamp) {
        let span = span.get_or_insert(Self { first: time, last: time });
        span.first = span.first.min(time);
        span.last = span.last.max(time);
    }

    /// The span of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;
    use crate::state::fixture::at;

    #[test]
    fn it_takes_times_in_any_order() {
        let mut span = None;
        for time in [20, 10, 30, 15] {
            Span::extend(&mut span, at(time));
        }
        assert_eq!(span, Some(Span { first: at(10), last: at(30) }));
    }
}
