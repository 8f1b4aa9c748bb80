//! What stood out: a table of it, and of each finding how that is known and what to do about it.

use super::{Card, Section, Table, section, table, words};
use crate::{
    output::report::{
        document::{Affects, Document, Finding},
        text::Times,
    },
    words::counted,
};

pub(super) fn section_of(document: &Document) -> Section {
    let times = Times::of(document);
    let columns = [
        words("severity"),
        words("sure"),
        words("node"),
        words("finding"),
        words("who"),
        words("what"),
        words("seen (UTC)"),
        words("at the end"),
    ];
    let rows = document.findings.iter().flat_map(|finding| {
        let symptoms = finding.symptoms.iter().map(|symptom| row(times, symptom, "└ "));
        [row(times, finding, "")].into_iter().chain(symptoms)
    });
    let mut section = section("findings", "What stands out", vec![table(&columns, rows.collect(), 0)]);
    section.cards = document.findings.iter().filter_map(|finding| card(times, finding)).collect();
    if document.findings.is_empty() && document.span.is_some() {
        section.sentences.push("Nothing.".to_owned());
    }
    section
}

fn row(times: Times, finding: &Finding, branch: &str) -> Vec<String> {
    vec![
        format!("{}\u{a0}{}", finding.mark, finding.severity),
        finding.certainty.map(|certainty| certainty.name.to_owned()).unwrap_or_default(),
        finding.node.clone().unwrap_or_default(),
        format!("{branch}{}", finding.id),
        finding.who.clone(),
        finding.what.clone(),
        finding.span.map(|span| times.span(span)).unwrap_or_default(),
        // What tracer itself lacks it lacks throughout.
        finding.certainty.map(|_| at_the_end(finding).to_owned()).unwrap_or_default(),
    ]
}

/// How it was when the session ended.
fn at_the_end(finding: &Finding) -> &'static str {
    if finding.status == "open" { "goes on" } else { "over" }
}

/// What the table has no room for, if that is anything.
fn card(times: Times, finding: &Finding) -> Option<Card> {
    let sure = finding.certainty.map(|certainty| format!("{} ({})", certainty.name, certainty.meaning));
    let cause = finding.explained_by.as_ref().map(|cause| format!("{} {}", cause.id, cause.who));
    let symptoms = finding.symptoms.iter();
    let symptoms = symptoms.map(|one| format!("{} {}: {}", one.id, one.who, one.what)).collect();
    let seen = finding.span.map(|span| format!("{} UTC, {}", times.span(span), at_the_end(finding)));
    let mut parts = vec![
        ("What", vec![finding.what.clone()]),
        ("Seen", seen.into_iter().collect()),
        ("How sure", sure.into_iter().collect()),
        ("Evidence", finding.evidence.clone()),
        ("Affected", affected(&finding.affects)),
        ("What to do", finding.advice.clone()),
        ("Explains", symptoms),
        ("Explained by", cause.into_iter().collect()),
    ];
    parts.retain(|(_, said)| !said.is_empty());
    let table = (!finding.events.is_empty()).then(|| events(times, finding));
    // Of what tracer itself lacks, the table says it all.
    let is_known = table.is_some() || finding.certainty.is_some() || parts.len() > 1;
    let title = format!("{} {} {}", finding.mark, finding.id, finding.who);
    is_known.then_some(Card { title, parts, table })
}

fn affected(affects: &Affects) -> Vec<String> {
    let counts = [
        (affects.connections, "new connection"),
        (affects.flows, "flow"),
        (affects.retransmits, "retransmit"),
    ];
    let counts = counts.into_iter().filter(|&(count, _)| count > 0).map(|(count, what)| counted(count, what));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let owners = affects.owners.join(", ");
    [counts, owners].into_iter().filter(|told| !told.is_empty()).collect()
}

fn events(times: Times, finding: &Finding) -> Table {
    let columns = [words("time (UTC)"), words("type"), words("event")];
    let rows = finding
        .events
        .iter()
        .map(|one| vec![times.exact(one.time), one.kind.to_owned(), one.text.clone()])
        .collect();
    let caption = Some("Events".to_owned());
    Table { caption, ..table(&columns, rows, finding.more_events) }
}
