//! How many rules every table has, in the calling thread's network namespace.
//!
//! Two kinds of tables exist side by side: those of iptables' older half ([`legacy`]), copied whole by the kernel, and
//! those of nftables ([`nft`]), told rule by rule; `iptables-nft` makes the latter. Both are read in pieces of a fixed
//! size of which only counts and hashes stay, so memory is bounded whatever a table's size. Nothing is asked for that
//! is not there already: asking could load a module or make a table.

mod duplicates;
mod extension;
pub(crate) mod iptables;
mod legacy;
mod nft;
mod pace;
mod tally;
mod thorough;
mod writing;

use std::time::Instant;

use self::tally::Tally;
pub(crate) use self::{
    legacy::{Info as LegacyInfo, KINDS, Kind as LegacyKind, Tables as LegacyTables, names as legacy_names},
    nft::Tables as NftTables,
    pace::Pace,
    tally::LARGEST,
    thorough::Thorough,
};

/// Tables told of each kind in one namespace, at most.
pub(crate) const TABLES: usize = 512;

/// One table, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableCount {
    /// An `NFPROTO_*` number.
    pub(crate) family: u8,
    /// The table's name, as the kernel has it.
    pub(crate) table: Vec<u8>,
    /// Rules of all chains. Policies, and the heads and ends of chains, are none.
    pub(crate) entries: u32,
    /// Rules that were looked at.
    pub(crate) examined: u32,
    /// Those of them that are equal to an earlier one of their chain.
    pub(crate) duplicates: u32,
    /// Chains, with and without rules.
    pub(crate) chains: u32,
    /// The chains with the most rules, the longest first, at most [`LARGEST`].
    pub(crate) largest: Vec<(Vec<u8>, u32)>,
    /// A rule that is there more than once: the one there is most of, as far as that is known.
    pub(crate) repeated: Option<RepeatedRule>,
    /// Whether these are the numbers of one moment.
    pub(crate) exactness: Exactness,
}

impl TableCount {
    /// Whether there are rules that were not looked at.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.examined < self.entries
    }
}

/// A rule, and how often it is in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepeatedRule {
    /// As its tool writes it.
    pub(crate) text: String,
    /// How often it is there.
    pub(crate) count: u32,
}

/// What the numbers of a table stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exactness {
    /// The table at one moment.
    Exact,
    /// The table at one moment; what was not looked at counts, and may hold a few that are no rules: jumps to long
    /// chains, heads and ends of chains.
    AtMost,
    /// A table that kept changing while it was counted.
    Moving,
    /// What was counted when time was up: there are more.
    Partial,
}

/// How often a count begins again because the table changed meanwhile.
const ATTEMPTS: u32 = 3;

/// How far a count goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What listing makes slow is left out: the numbers are to be known soon.
    Quick,
    /// As far as time allows, unless the rules change meanwhile.
    Thorough,
}

/// When a count that takes too long is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    instant: Instant,
    ends_with_change: bool,
}

impl Deadline {
    pub(crate) fn at(instant: Instant) -> Self {
        Self { instant, ends_with_change: false }
    }

    /// The same, which comes as soon as a change shows.
    fn or_change(self) -> Self {
        Self { ends_with_change: true, ..self }
    }

    /// This or an earlier instant.
    fn sooner(self, instant: Instant) -> Self {
        Self { instant: self.instant.min(instant), ..self }
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.instant
    }

    /// Whether a list is to be read on.
    fn goes_on(self, has_changed: bool) -> bool {
        !(self.is_over() || has_changed && self.ends_with_change)
    }
}
