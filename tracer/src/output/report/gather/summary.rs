//! The first sentences, for those who read no further.

use crate::{
    output::report::{
        document::{Document, Finding},
        text::{joined, time},
    },
    state::State,
    words::{counted, duration, exact},
};

/// Findings told in the summary.
const WORST: usize = 3;

/// When and where, what happened, what stands out, and whether that is all.
pub(super) fn sentences(state: &State, document: &Document) -> Vec<String> {
    let mut sentences = vec![where_and_when(document)];
    if document.span.is_some() {
        sentences.push(what(state, document));
        sentences.push(findings(&document.findings));
    }
    sentences.push(completeness(document));
    sentences
}

fn where_and_when(document: &Document) -> String {
    let node = |host: &str, kernel: &str| match (host, kernel) {
        ("", "") => "an unknown node".to_owned(),
        (host, "") => host.to_owned(),
        ("", kernel) => format!("a node with Linux {kernel}"),
        (host, kernel) => format!("{host} (Linux {kernel})"),
    };
    let nodes: Vec<String> = document.nodes.iter().map(|told| node(&told.host, &told.kernel)).collect();
    let nodes = joined(&nodes);
    match document.span {
        Some(span) => {
            let length = duration(span.duration_ns());
            format!("Recorded on {nodes}: {length}, from {} to {} UTC.", time(span.first), time(span.last))
        }
        None => format!("Recorded on {nodes}: no events."),
    }
}

fn what(state: &State, document: &Document) -> String {
    let families = document.rates.families.iter().filter(|rate| rate.events > 0);
    let mut told: Vec<String> = families
        .map(|rate| match rate.family {
            "retransmit" => format!(
                "{} on {}",
                counted(rate.events, "retransmit"),
                counted(state.flows.len() as u64, "flow")
            ),
            "neighbour" => counted(rate.events, "neighbour proposal"),
            "conntrack" => counted(rate.events, "conntrack decision"),
            "ipvs" => counted(rate.events, "IPVS decision"),
            "path" => format!("{} on the path of packets", counted(rate.events, "event")),
            family => counted(rate.events, &format!("{family} event")),
        })
        .collect();
    if told.is_empty() {
        told.push("no event of any family".to_owned());
    }
    format!("Seen: {}.", joined(&told))
}

fn findings(findings: &[Finding]) -> String {
    let of = |severity: &str| findings.iter().filter(|one| one.severity == severity).count() as u64;
    let (critical, warnings) = (of("critical"), of("warning"));
    if critical + warnings == 0 {
        return "Nothing stands out.".to_owned();
    }
    let worst = findings.iter().filter(|finding| finding.severity != "notice").take(WORST);
    let worst: Vec<String> = worst.map(|finding| format!("{}: {}", finding.who, finding.what)).collect();
    let introduction = if worst.len() as u64 == critical + warnings { "" } else { "The worst: " };
    let stands = if critical + warnings == 1 { "finding stands" } else { "findings stand" };
    format!(
        "{} {stands} out, {} critical. {introduction}{}.",
        exact(critical + warnings),
        exact(critical),
        worst.join("; ")
    )
}

fn completeness(document: &Document) -> String {
    let accounts = || document.nodes.iter().flat_map(|node| &node.accounting);
    let seen: u64 = accounts().map(|account| account.seen).sum();
    let lost: u64 = accounts().map(|account| account.lost).sum();
    let suppressed: u64 = accounts().map(|account| account.suppressed).sum();
    let mut missing = Vec::new();
    if lost + suppressed > 0 {
        let (lost, suppressed) = (exact(lost), exact(suppressed));
        missing.push(format!("of {}, {lost} were lost and {suppressed} suppressed", counted(seen, "event")));
    }
    let hooks: usize = document.nodes.iter().map(|node| node.hooks_missing.len()).sum();
    if hooks > 0 {
        let were = if hooks == 1 { "was" } else { "were" };
        missing.push(format!("{} {were} not attached", counted(hooks as u64, "hook")));
    }
    if !document.gaps.damage.is_empty() {
        missing.push("parts of the session could not be read".to_owned());
    }
    if document.nodes.iter().all(|node| node.hooks_attached == 0 && node.hooks_missing.is_empty()) {
        missing.push("the session does not say which hooks were attached".to_owned());
    }
    if missing.is_empty() {
        "Every hook was attached and every event delivered.".to_owned()
    } else {
        format!("Not all of it is here: {}.", missing.join("; "))
    }
}
