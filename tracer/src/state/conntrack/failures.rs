//! New connections that conntrack dropped, by namespace.

use std::net::IpAddr;

use crate::{
    event::{
        Conntrack as ConntrackDecision, ConntrackCounter, ConntrackCounters, ConntrackEvent, Endpoint, Netns,
        Protocol, Timestamp,
    },
    state::{
        bounded::Bounded,
        spell::{Frequent, Spell},
    },
};

/// From this share of a table on, in thousandths, it was full when packets are counted as dropped: the counter does not
/// say why.
const FULL_PERMILLE: u64 = 950;

/// The ways in which it drops new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The table is full.
    TableFull,
    /// The new entry could not be put into the table.
    InsertFailed,
}

/// What it dropped in one way, from one long pause to the next.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Packets by the hooks, one event each.
    pub seen: Spell,
    /// Packets by the kernel's counters: all there is where nothing can be hooked.
    pub counted: Spell,
    /// Of those counted, packets whose chain was too long.
    pub chain_too_long: u64,
    /// Sources of the packets seen that come most often.
    pub sources: Frequent<IpAddr>,
    /// Where the packets seen go most often.
    pub servers: Frequent<(Protocol, Endpoint)>,
}

impl Failed {
    fn new(time: Timestamp) -> Self {
        Self {
            seen: Spell::new(time),
            counted: Spell::new(time),
            chain_too_long: 0,
            sources: Frequent::default(),
            servers: Frequent::default(),
        }
    }

    /// Begins anew after a long pause.
    fn begin_if_over(&mut self, time: Timestamp) {
        if self.seen.is_over_at(time) && self.counted.is_over_at(time) {
            *self = Self::new(time);
        }
    }

    /// The one that tells more: of few packets the hooks see each at once, of very many they leave some out.
    pub fn spell(&self) -> &Spell {
        if self.counted.count > self.seen.count { &self.counted } else { &self.seen }
    }

    /// How often at most within [`DENSE_SECONDS`](crate::state::DENSE_SECONDS).
    pub fn densest(&self) -> u64 {
        self.seen.densest.max(self.counted.densest)
    }

    /// The last time.
    pub fn last(&self) -> Timestamp {
        self.seen.span.last.max(self.counted.span.last)
    }
}

/// By namespace and way.
pub type Failures = Bounded<(Netns, Failure), Failed>;

/// Takes in a decision that dropped a packet.
pub(super) fn decision(failures: &mut Failures, netns: Netns, time: Timestamp, decision: &ConntrackDecision) {
    let failure = match decision.event {
        ConntrackEvent::TableFull => Failure::TableFull,
        ConntrackEvent::InsertFailed => Failure::InsertFailed,
        _ => return,
    };
    let row = failures.touch((netns, failure), || Failed::new(time));
    row.begin_if_over(time);
    row.seen.add(time, 1);
    if let Some(original) = decision.original {
        row.sources.add(original.source.ip());
        row.servers.add((original.protocol, original.destination));
    }
}

/// Takes in how the counters of a table have grown that is so full, in thousandths.
pub(super) fn counters(
    failures: &mut Failures,
    netns: Netns,
    time: Timestamp,
    counters: &ConntrackCounters,
    fill_permille: Option<u64>,
) {
    let growth = |counter| counters.count(counter).map_or(0, |count| count.growth);
    let insert_failed = growth(ConntrackCounter::InsertFailed);
    let mut add = |failure, count: u64| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count > 0 {
            let row = failures.touch((netns, failure), || Failed::new(time));
            row.begin_if_over(time);
            row.counted.add(time, count);
            row.chain_too_long += match failure {
                Failure::InsertFailed => growth(ConntrackCounter::ChainTooLong),
                Failure::TableFull => 0,
            };
        }
    };
    add(Failure::InsertFailed, insert_failed);
    if fill_permille.is_some_and(|permille| permille >= FULL_PERMILLE) {
        // A race that is lost counts as both (`nf_ct_resolve_clash`, v6.12).
        add(Failure::TableFull, growth(ConntrackCounter::Drop).saturating_sub(insert_failed));
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use crate::{
        event::ConntrackEvent,
        state::fixture::{NETNS, all, conntrack, conntrack_counters},
    };

    #[test]
    fn events_and_counters_tell_the_same_failures_and_are_not_added_up() {
        let failed = |port| {
            conntrack(ConntrackEvent::InsertFailed, &format!("10.0.0.7:{port}"), "10.0.0.1:53", "10.0.0.2:53")
        };
        let state = all([
            (1_000, failed(1)),
            (1_500, failed(2)),
            // Both were counted as dropped as well; and the table is not full.
            (2_000, conntrack_counters(100, 1_000, 2, 2)),
            (3_000, conntrack(ConntrackEvent::Reopened, "10.0.0.7:1", "10.0.0.1:53", "10.0.0.2:53")),
            (4_000, conntrack_counters(990, 1_000, 7, 0)),
        ]);
        let row = |failure| state.conntrack.failures.get(&(NETNS, failure));
        let insert = row(Failure::InsertFailed).unwrap();
        assert_eq!(
            (insert.seen.count, insert.counted.count, insert.spell().count, insert.densest()),
            (2, 2, 2, 2)
        );
        assert_eq!(insert.sources.most()[0].1, 2);
        let full = row(Failure::TableFull).unwrap();
        assert_eq!((full.seen.count, full.counted.count, full.spell().count), (0, 7, 7));
    }

    #[test]
    fn drops_of_a_table_that_is_not_full_have_other_causes() {
        let state = all([(1_000, conntrack_counters(900, 1_000, 7, 0))]);
        assert!(state.conntrack.failures.is_empty());
    }
}
