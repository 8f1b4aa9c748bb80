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

/// What stands out, when and where, what happened, and whether that is all.
pub(super) fn sentences(state: &State, document: &Document) -> Vec<String> {
    let mut sentences = Vec::new();
    if document.span.is_some() {
        sentences.extend(findings(&document.findings));
    }
    sentences.push(where_and_when(document));
    if document.span.is_some() {
        sentences.push(what(state, document));
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

/// How many there are, and the worst of them, by the names of their rules. What tracer itself lacks is told elsewhere.
fn findings(findings: &[Finding]) -> Vec<String> {
    let is_told = |finding: &&Finding| {
        finding.certainty.is_some() && finding.severity != "notice" && finding.explained_by.is_none()
    };
    let told: Vec<&Finding> = findings.iter().filter(is_told).collect();
    let named = |finding: &Finding| format!("{} {}: {}.", finding.id, finding.who, finding.what);
    let count = |what: fn(&Finding) -> bool| told.iter().filter(|finding| what(finding)).count();
    let over = match count(|finding| finding.status == "closed") {
        0 => None,
        1 if told.len() == 1 => Some("over at the end".to_owned()),
        over if over == told.len() => Some("all over at the end".to_owned()),
        over => Some(format!("{} over at the end", exact(over as u64))),
    };
    match told.as_slice() {
        [] => vec!["Nothing stands out.".to_owned()],
        [one] => {
            let how = [Some(one.severity.to_owned()), over].into_iter().flatten().collect::<Vec<_>>();
            vec![format!("1 finding ({}): {}", how.join(", "), named(one))]
        }
        several => {
            let critical = count(|finding| finding.severity == "critical");
            let critical = (critical > 0).then(|| format!("{} critical", exact(critical as u64)));
            let how = [critical, over].into_iter().flatten().collect::<Vec<_>>().join(", ");
            let how = if how.is_empty() { how } else { format!(" ({how})") };
            let worst = if several.len() > WORST { ", of which the worst" } else { "" };
            let number = counted(several.len() as u64, "finding");
            let each = several.iter().take(WORST);
            let each = each.map(|finding| format!("{}: {}", finding.severity, named(finding)));
            std::iter::once(format!("{number}{how}{worst}:")).chain(each).collect()
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
