//! The table of conntrack is full, or nearly.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    MOST_OF_A_RULE, Rule, View,
    tables::{self, first_source},
    tell_left_out,
};
use crate::{
    event::{ConntrackCounter, Netns},
    findings::{About, Affects, Finding, Severity},
    state::{ConntrackFailure, ConntrackTable, Failed, Span, State, Subject},
    words::{counted, exact, owner::netns_column, settings, short, time_of_day},
};

/// The table of conntrack is full, or nearly.
///
/// In a full table an entry that was never answered makes room for a new one; where there is none, the first packet of a
/// connection is dropped. Every such packet is an event of the kernel, or where nothing can be hooked, a count. The limit
/// is one for all namespaces, and each namespace has a table of its own below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConntrackTableFull {
    /// Packets dropped within 10 s from which on it is told.
    pub drops: u64,
    /// The share of the table, in thousandths, from which on it is told as nearly full.
    pub nearly_full_permille: u64,
    /// The share below which it is not nearly full any more.
    pub relaxed_permille: u64,
    /// Seconds without a drop after which it is not full any more.
    pub quiet_seconds: u32,
}

impl Default for ConntrackTableFull {
    fn default() -> Self {
        Self { drops: 1, nearly_full_permille: 900, relaxed_permille: 800, quiet_seconds: 20 }
    }
}

/// What is known of one namespace.
struct Known<'a> {
    netns: Netns,
    table: Option<&'a ConntrackTable>,
    failed: Option<&'a Failed>,
    is_full: bool,
    is_nearly: bool,
}

impl Rule for ConntrackTableFull {
    const ID: &'static str = "conntrack-table-full";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let conntrack = &view.state.conntrack;
        let failures = conntrack.failures.iter();
        let dropping = failures
            .filter(|((_, failure), row)| {
                *failure == ConntrackFailure::TableFull && row.densest() >= self.drops
            })
            .map(|((netns, _), _)| *netns);
        let filled =
            conntrack.tables.iter().filter(|(_, table)| self.is_filled(table)).map(|(netns, _)| *netns);
        let all: BTreeSet<Netns> = dropping.chain(filled).collect();
        let mut known: Vec<Known<'_>> =
            all.into_iter().map(|netns| self.known(view, netns)).filter(Known::is_worth_a_word).collect();
        known.sort_by_key(|known| (!known.is_open(), !known.is_full, known.netns));
        found.extend(known.iter().take(MOST_OF_A_RULE).map(|known| finding(view.state, known)));
        let open = known.iter().filter(|known| known.is_open()).count();
        tell_left_out(found, Self::ID, open, Severity::Critical, ("tables of conntrack", "full, or nearly"));
    }
}

impl ConntrackTableFull {
    fn is_filled(&self, table: &ConntrackTable) -> bool {
        table.fill_permille().is_some_and(|permille| permille >= self.relaxed_permille)
    }

    fn known<'a>(&self, view: &View<'a>, netns: Netns) -> Known<'a> {
        let table = view.state.conntrack.tables.get(&netns);
        let failed = view.state.conntrack.failures.get(&(netns, ConntrackFailure::TableFull));
        let failed = failed.filter(|failed| failed.densest() >= self.drops);
        let permille = table.and_then(ConntrackTable::fill_permille).unwrap_or_default();
        let enough = if view.was_open(Self::ID, &about(netns)) {
            self.relaxed_permille
        } else {
            self.nearly_full_permille
        };
        Known {
            netns,
            table,
            failed,
            is_full: failed.is_some_and(|failed| view.is_within(failed.last(), self.quiet_seconds)),
            is_nearly: permille >= enough,
        }
    }
}

impl Known<'_> {
    fn is_open(&self) -> bool {
        self.is_full || self.is_nearly
    }

    fn is_worth_a_word(&self) -> bool {
        self.is_open() || self.failed.is_some()
    }
}

fn about(netns: Netns) -> About {
    About::Subject(Subject::Namespace(netns))
}

fn finding(state: &State, known: &Known<'_>) -> Finding {
    let &Known { netns, table, failed, is_full, is_nearly } = known;
    let dropped = failed.map(|failed| failed.spell().count).filter(|_| is_full || !is_nearly);
    let what: Vec<String> =
        [fill(table, is_full), dropped.map(|count| format!("{} dropped", counted(count, "new connection")))]
            .into_iter()
            .flatten()
            .collect();
    let mut evidence = Vec::from_iter(table.and_then(|table| growth(state, table)));
    if let Some(failed) = failed {
        evidence.extend(tables::evidence(failed));
    }
    evidence.extend(table.filter(|_| is_full).and_then(counted_last));
    evidence.extend(table.and_then(evictions));
    evidence.extend(tables::place(state, netns));
    let severity = if is_full { Severity::Critical } else { Severity::Warning };
    let who = format!("conntrack table of {}", netns_column(state, netns, state.now()));
    let filled = |table: &ConntrackTable| Span { first: table.last, last: table.last };
    Finding {
        subject: Some(Subject::Namespace(netns)),
        evidence,
        advice: advice(state, known),
        affects: Affects { connections: dropped.unwrap_or_default(), ..Affects::default() },
        span: failed.map(|failed| failed.spell().span).or(table.map(filled)),
        is_open: known.is_open(),
        ..Finding::new(ConntrackTableFull::ID, about(netns), severity, who, what.join(", "))
    }
}

/// `full: 262,144 of 262,144 entries`, or how full it is in percent.
fn fill(table: Option<&ConntrackTable>, is_full: bool) -> Option<String> {
    const FULL_PERMILLE: u64 = 1_000;
    let numbers = table.and_then(|table| {
        let (entries, limit) = (table.counters.entries, table.counters.limit?);
        Some((table.fill_permille()?, format!("{} of {} entries", exact(entries), exact(limit))))
    });
    match (numbers, is_full) {
        (Some((permille, entries)), _) if permille >= FULL_PERMILLE => Some(format!("full: {entries}")),
        (Some((permille, entries)), false) => Some(format!("{}% full: {entries}", permille / 10)),
        // Numbers of another moment say nothing of the drops.
        (_, true) => Some("full".to_owned()),
        (None, false) => None,
    }
}

/// What it had when it was counted last.
fn counted_last(table: &ConntrackTable) -> Option<String> {
    let (entries, limit) = (table.counters.entries, table.counters.limit?);
    let time = time_of_day(table.last);
    Some(format!("{} of {} entries when it was last counted, at {time} UTC", exact(entries), exact(limit)))
}

/// How fast it fills, and when it will be full.
fn growth(state: &State, table: &ConntrackTable) -> Option<String> {
    const SECONDS: u64 = 10;
    let grown =
        u64::try_from(table.growth_per_second(state.now(), SECONDS)?).ok().filter(|&grown| grown > 0)?;
    let left = table.counters.limit?.saturating_sub(table.counters.entries);
    let until = (left > 0).then(|| format!(", full in {} s", exact(left / grown)));
    Some(format!("growing by {} entries a second{}", short(grown), until.unwrap_or_default()))
}

/// Entries that were given up for new ones.
fn evictions(table: &ConntrackTable) -> Option<String> {
    let evicted = table.growth(ConntrackCounter::EarlyDrop);
    (evicted > 0).then(|| format!("{} entries that had no answer made room (early_drop)", exact(evicted)))
}

fn advice(state: &State, known: &Known<'_>) -> Vec<String> {
    const BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";
    let limit = known.table.and_then(|table| table.counters.limit);
    let mut lines = vec![settings::more_connections(limit)];
    let buckets = state.routes.sysctl(known.netns, BUCKETS).map(|buckets| format!(" (now {buckets})"));
    lines.push(format!("raise {BUCKETS}{} with it, or chains grow long", buckets.unwrap_or_default()));
    let source = known.failed.and_then(first_source);
    lines.push(match source {
        Some(source) => format!("see what opens them: `conntrack -L -s {source} | head -n 50`"),
        None => "see what opens them: `conntrack -L | head -n 1000`, and count the sources".to_owned(),
    });
    let timeout = tables::setting(state, known.netns, "net.netfilter.nf_conntrack_tcp_timeout_established");
    lines.extend(timeout.map(|timeout| format!("shorten {timeout} if most of them are idle")));
    lines.push(
        "confirm: `conntrack -S` counts no more drop, and `sysctl net.netfilter.nf_conntrack_count` falls"
            .to_owned(),
    );
    lines
}
