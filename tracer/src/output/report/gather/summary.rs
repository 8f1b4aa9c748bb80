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
    let rulesets = document.events.iter().filter(|counted| counted.name == "ruleset");
    let rulesets: u64 = rulesets.map(|counted| counted.events).sum();
    if rulesets > 0 {
        told.push(counted(rulesets, "change") + " of tables of rules");
    }
    if told.is_empty() {
        told.push("no event of any family".to_owned());
    }
    format!("Seen: {}.", joined(&told))
}

fn findings(findings: &[Finding]) -> String {
    let (gone, there): (Vec<&Finding>, Vec<&Finding>) = findings
        .iter()
        .filter(|finding| finding.severity != "notice")
        .partition(|finding| finding.status == "closed");
    let worst = |of: &[&Finding]| {
        let told = of.iter().take(WORST).map(|finding| format!("{}: {}", finding.who, finding.what));
        let introduction = if of.len() > WORST { "The worst: " } else { "" };
        format!("{introduction}{}.", told.collect::<Vec<_>>().join("; "))
    };
    let number = |of: &[&Finding]| counted(of.len() as u64, "finding");
    match (there.is_empty(), gone.is_empty()) {
        (true, true) => "Nothing stands out.".to_owned(),
        (true, false) => {
            format!("Nothing stands out at the end, but {} came and went. {}", number(&gone), worst(&gone))
        }
        (false, _) => {
            let critical = there.iter().filter(|finding| finding.severity == "critical").count() as u64;
            let stands = if there.len() == 1 { "stands" } else { "stand" };
            let more = if gone.is_empty() {
                String::new()
            } else {
                format!(" {} more came and went.", number(&gone))
            };
            format!("{} {stands} out, {} critical. {}{more}", number(&there), exact(critical), worst(&there))
        }
    }
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
