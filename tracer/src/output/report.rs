//! The report of a session: what a colleague reads after the incident.
//!
//! ```text
//! events ─┬─▶ state ─────────────────────────┐
//!         └─▶ what the state does not keep ──┴─▶ gather ─▶ document ─┬─▶ sections ─┬─▶ Markdown
//!             (rates, log, answering,                                │             └─▶ HTML, with charts
//!              servers: each bounded)                                └─▶ JSON
//! ```
//!
//! A state holds what is so at the end, and the last while in detail. A report tells of a whole session, so what went
//! on over time is collected beside it: in bounded memory, the longer the session the coarser.

mod answering;
mod counts;
mod document;
mod gather;
mod html;
mod log;
mod markdown;
mod sections;
mod series;
mod servers;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod topic;

use std::{collections::BTreeMap, fmt};

use self::{answering::Answering, counts::Counts, gather::Told, log::Log, series::Series, servers::Servers};
use crate::{
    block::Block,
    decode::Decoder,
    event::{Body, Event, Netns, Timestamp},
    filter::{Filter, Sieve},
    findings::{Opened, watch::Watching},
    probe::table::Family,
    state::{COUNTED_FAMILIES, State},
};

/// Buckets of the rates of a whole session.
const RATE_BUCKETS: usize = 480;

/// Entries of the timeline that people read in Markdown, and on a page; of events, and as many of findings.
const ENTRIES_PASTED: usize = 60;
const ENTRIES_ON_A_PAGE: usize = 250;

/// What a report tells of the events it was given. It knows no clock and no file: equal events make an equal report.
#[derive(Debug, Default)]
pub struct Report {
    decoder: Decoder,
    sieve: Sieve,
    state: Box<State>,
    /// Changes of findings noted so far.
    told: u64,
    collected: Collected,
    opened: Opened,
    damage: Vec<String>,
    clocks: Vec<String>,
}

/// What the state does not keep of a whole session.
#[derive(Debug, Default)]
struct Collected {
    began: Option<Timestamp>,
    prologues: Prologues,
    /// By its number, what each node told of itself.
    nodes: BTreeMap<u16, Told>,
    rates: Option<Series<{ COUNTED_FAMILIES.len() }>>,
    log: Log,
    answering: Answering,
    servers: Servers,
    counts: Counts,
}

impl Report {
    /// A report of what meets a filter, or of everything.
    pub fn new(filter: Option<Filter>) -> Self {
        Self::judged_in(State::default(), filter)
    }

    /// The same, with a state in which nothing has happened yet.
    pub(crate) fn judged_in(state: State, filter: Option<Filter>) -> Self {
        Self { state: Box::new(state), sieve: Sieve::new(filter), ..Self::default() }
    }

    /// Takes in the next block.
    pub fn take(&mut self, block: &Block) {
        let Self { decoder, sieve, state, told, collected, opened, .. } = self;
        let mut watching = Watching::new(state, told);
        decoder.decode(block, |event| {
            if sieve.passes(&event) {
                collected.note(&event);
                watching.push(event, |_, change| opened.note(change));
            }
        });
        watching.finish();
        state.set_decoded(decoder.counts());
    }

    /// All findings that opened.
    pub(crate) fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.decoder.counts().decoded
    }

    /// Tells what of the session could not be read, a sentence each.
    pub fn note_damage(&mut self, damage: impl IntoIterator<Item = String>) {
        self.damage.extend(damage);
    }

    /// Tells how the clocks of several nodes stand to each other, a sentence each.
    pub fn note_clocks(&mut self, clocks: impl IntoIterator<Item = String>) {
        self.clocks.extend(clocks);
    }

    /// It as Markdown.
    pub fn markdown(&self) -> impl fmt::Display {
        markdown::Markdown(self.document(ENTRIES_PASTED))
    }

    /// It as a page that needs nothing else: no network, no script.
    pub fn html(&self) -> String {
        html::page(&self.document(ENTRIES_ON_A_PAGE))
    }

    /// It as one JSON object, as docs/report.md describes it.
    ///
    /// # Errors
    ///
    /// Never in practice: everything in it can be written as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.document(usize::MAX))
    }
}

impl Collected {
    fn note(&mut self, event: &Event) {
        let began = self.began_by(event);
        self.answering.note(began, event);
        self.servers.note(began, event);
        if self.is_of_node(event) | self.prologues.has(event) {
            return;
        }
        self.counts.note(event);
        if let Some(place) = family(&event.body).and_then(place) {
            self.rates.get_or_insert_with(|| Series::new(began, RATE_BUCKETS)).add(event.time, place, 1);
        }
        self.log.note(event);
    }

    /// When the session began. The first record of a file comes before any that tells the wall clock: until then a wall
    /// time is none.
    fn began_by(&mut self, event: &Event) -> Timestamp {
        let began = self.began.get_or_insert(event.time);
        let is_told = self.nodes.is_empty() && matches!(event.body, Body::Node { .. });
        if is_told {
            let since_ns = event.time.boot_ns.cast_signed().saturating_sub(began.boot_ns.cast_signed());
            began.wall_ns = event.time.wall_ns.saturating_sub(since_ns);
        }
        *began
    }

    /// Takes in what a node tells of itself, and says whether that is all there is to an event.
    fn is_of_node(&mut self, event: &Event) -> bool {
        let number = event.netns.node;
        match &event.body {
            Body::Node { kernel, host } => {
                let told = self.nodes.entry(number).or_default();
                (told.kernel, told.host) = (kernel.clone(), host.clone());
            }
            Body::Ready => self.nodes.entry(number).or_default().is_ready = true,
            Body::Stats(_) => self.nodes.entry(number).or_default().is_accounted = true,
            // Which hooks were attached when it began is told with the node.
            Body::HookStatus(_) => return self.nodes.get(&number).is_none_or(|told| !told.is_ready),
            _ => return false,
        }
        true
    }
}

/// Which events were known when a session file began: they are no part of what happened, as in
/// [`State`](crate::state::State).
#[derive(Clone, Debug, Default)]
struct Prologues {
    /// By node: up to which time since boot, for those that are still going on.
    until_ns: BTreeMap<u16, u64>,
}

impl Prologues {
    /// Whether an event is of a prologue. Every event has to pass here, in their order.
    fn has(&mut self, event: &Event) -> bool {
        let node = event.netns.node;
        match &event.body {
            Body::Session(_) => {
                self.until_ns.insert(node, event.time.boot_ns);
                true
            }
            Body::SessionBegin => {
                self.until_ns.remove(&node);
                true
            }
            // The end of a prologue may be damaged.
            _ if !self.until_ns.is_empty() => {
                let is_prologue =
                    self.until_ns.get(&node).is_some_and(|&until_ns| event.time.boot_ns <= until_ns);
                if !is_prologue {
                    self.until_ns.remove(&node);
                }
                is_prologue
            }
            _ => false,
        }
    }
}

/// The family an event counts for, as in [`State::rates`](crate::state::Rates).
fn family(body: &Body) -> Option<Family> {
    match body {
        Body::Retransmit(_) => Some(Family::Retransmit),
        Body::Neighbour(_) => Some(Family::Neighbour),
        Body::Conntrack(_) => Some(Family::Conntrack),
        Body::Ipvs(_) => Some(Family::Ipvs),
        Body::Icmp(_) | Body::Duplicate(_) | Body::Route(_) | Body::Rule(_) => Some(Family::Path),
        _ => None,
    }
}

fn place(family: Family) -> Option<usize> {
    COUNTED_FAMILIES.iter().position(|&counted| counted == family)
}
