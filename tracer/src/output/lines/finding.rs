//! What is wrong and why, in one line: what opened, whom it is about, what it says and what mends it.

use std::io::{self, Write as _};

use super::{Arrow, Columns, Lines, Weight, append_netns};
use crate::{
    findings::{Affects, Certainty, FindingChange, FindingStatus, Severity},
    output::context::Context,
    words::counted,
};

impl Lines {
    /// Appends the line of a change.
    pub(in crate::output) fn append_finding(
        &mut self,
        buffer: &mut Vec<u8>,
        context: &Context,
        change: &FindingChange,
    ) -> io::Result<()> {
        self.count("finding");
        let columns = columns(change, self.style.arrow);
        self.append_columns(buffer, change.time, "finding", &columns);
        if let Some(netns) = change.finding.netns() {
            append_netns(buffer, context, netns, context.names.namespace(netns, change.time))?;
        }
        writeln!(buffer)
    }
}

fn columns(change: &FindingChange, arrow: Arrow) -> Columns {
    let FindingChange { status, finding, explained_by, .. } = change;
    let mut told = vec![format!("{}: {}", finding.id, finding.what)];
    if finding.certainty != Certainty::Certain {
        told.push(finding.certainty.name().to_owned());
    }
    match explained_by {
        Some((id, subject)) => told.push(format!("explained by {id} of {subject}")),
        None if *status != FindingStatus::Closed => {
            told.extend(affected(&finding.affects));
            let symptoms = finding.symptoms.iter();
            told.extend(symptoms.map(|symptom| format!("explains {} of {}", symptom.id, symptom.who)));
            told.extend(finding.advice.first().map(|advice| format!("to do: {advice}")));
        }
        None => {}
    }
    let drawn = |text: String| match arrow {
        Arrow::Unicode => text,
        Arrow::Ascii => text.replace('→', "->"),
    };
    Columns {
        kind: kind(*status, finding.severity),
        weight: weight(*status, finding.severity),
        subject: drawn(finding.who.clone()),
        // A title is a sentence with commas of its own.
        facts: drawn(told.join("; ")),
        place: String::new(),
    }
}

fn kind(status: FindingStatus, severity: Severity) -> &'static str {
    use FindingStatus::{Closed, Open, Update};
    use Severity::{Critical, Notice, Warning};
    match (status, severity) {
        (Open, Critical) => "open critical",
        (Open, Warning) => "open warning",
        (Open, Notice) => "open notice",
        (Update, Critical) => "update critical",
        (Update, Warning) => "update warning",
        (Update, Notice) => "update notice",
        (Closed, Critical) => "closed critical",
        (Closed, Warning) => "closed warning",
        (Closed, Notice) => "closed notice",
    }
}

fn weight(status: FindingStatus, severity: Severity) -> Weight {
    match (status, severity) {
        (FindingStatus::Closed, _) | (_, Severity::Notice) => Weight::Usual,
        (_, Severity::Warning) => Weight::Notable,
        (_, Severity::Critical) => Weight::Trouble,
    }
}

/// `affects 2 flows, 14 retransmits of shop/web-1`.
fn affected(affects: &Affects) -> Option<String> {
    let Affects { flows, retransmits, connections, owners } = affects;
    let counts = [(flows, "flow"), (retransmits, "retransmit"), (connections, "connection")];
    let counts = counts.into_iter().filter(|&(&count, _)| count > 0);
    let counts: Vec<String> = counts.map(|(&count, what)| counted(count, what)).collect();
    let owners = (!owners.is_empty()).then(|| owners.join(", "));
    match (counts.is_empty(), owners) {
        (true, None) => None,
        (true, Some(owners)) => Some(format!("affects {owners}")),
        (false, None) => Some(format!("affects {}", counts.join(", "))),
        (false, Some(owners)) => Some(format!("affects {} of {owners}", counts.join(", "))),
    }
}
