//! From what was collected to what the report says.

mod findings;
mod node;
mod subjects;
mod summary;
mod timeline;

pub(super) use self::node::Told;
use super::{
    Netns, Report,
    document::{Conntrack, Document, Extent, Forgotten, Gaps, Moment, Place, Rate, Rates, SHAPE},
    series::Series,
};
use crate::{
    event::{ConntrackEvent, Timestamp},
    state::{COUNTED_FAMILIES, Span, State},
    words::owner::netns_name,
};

/// Rows of a ranking.
const ROWS: usize = 20;

impl Report {
    /// What it says of everything so far, with so many entries of the timeline at most, of events and of findings each.
    pub(super) fn document(&self, entries: usize) -> Document {
        let state = &*self.state;
        let span = self.collected.began.map(|began| extent(began, state.now().max(began)));
        let mut document = Document {
            report: SHAPE,
            summary: Vec::new(),
            span,
            nodes: node::nodes(state, &self.collected.nodes),
            clocks: self.clocks.clone(),
            findings: findings::findings(state),
            rates: rates(self.collected.began, self.collected.rates.as_ref()),
            timeline: timeline::timeline(state, &self.collected.log, entries),
            peers: subjects::peers(state),
            flows: subjects::flows(state),
            neighbours: subjects::neighbours(state, &self.collected.answering),
            servers: subjects::servers(state, &self.collected.servers),
            conntrack: conntrack(state),
            icmp: subjects::icmp(state),
            rulesets: subjects::rulesets(state),
            events: self.collected.counts.rows(),
            gaps: self.gaps(),
        };
        document.summary = summary::sentences(state, &document);
        document
    }

    fn gaps(&self) -> Gaps {
        let decoded = self.decoder.counts();
        let forgotten = self.state.evictions().filter(|&(_, rows)| rows > 0);
        let mut forgotten: Vec<Forgotten> = forgotten.map(|(what, rows)| Forgotten { what, rows }).collect();
        let left_out = self.collected.log.left_out();
        if left_out > 0 {
            forgotten.push(Forgotten { what: "entries of the timeline", rows: left_out });
        }
        Gaps {
            damage: self.damage.clone(),
            forgotten,
            unknown_records: decoded.unknown,
            malformed_records: decoded.malformed,
        }
    }
}

fn extent(first: Timestamp, last: Timestamp) -> Extent {
    Extent { first: Moment(first), last: Moment(last) }
}

fn extent_of(span: Span) -> Extent {
    extent(span.first, span.last)
}

/// Where something was, by the names known then.
fn place(state: &State, netns: Netns, then: Timestamp) -> Place {
    let name = if netns.inode == 0 { String::new() } else { netns_name(state, netns, then) };
    Place { node: node_name(state, netns), netns: name }
}

/// The node something was on, if there are several.
fn node_name(state: &State, netns: Netns) -> Option<String> {
    state.names.one_of_several(netns.node).map(ToString::to_string)
}

fn rates(begin: Option<Timestamp>, series: Option<&Series<{ COUNTED_FAMILIES.len() }>>) -> Rates {
    let Some(series) = series else { return Rates { begin: None, bucket_ns: 0, families: Vec::new() } };
    let families = COUNTED_FAMILIES.into_iter().enumerate().map(|(place, family)| Rate {
        family: family.name(),
        events: series.total(place),
        peak: series.of(place).max().unwrap_or_default(),
        counts: series.of(place).collect(),
    });
    Rates { begin: begin.map(Moment), bucket_ns: series.width_ns(), families: families.collect() }
}

fn conntrack(state: &State) -> Vec<Conntrack> {
    let told = ConntrackEvent::ALL.into_iter().filter(|&event| event != ConntrackEvent::SynRepeated);
    let counted = told.filter(|&event| state.conntrack.count(event) > 0);
    counted
        .map(|event| Conntrack {
            event: event.name(),
            times: state.conntrack.count(event),
            span: state.conntrack.span(event).map(extent_of),
        })
        .collect()
}
