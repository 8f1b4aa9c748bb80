//! `tracer doctor`: which hooks work on this kernel, and which settings of this node are risky.

mod risks;

use std::{
    fs,
    io::{self, Write as _},
};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use self::risks::Risk;
use super::privileges;
use crate::{
    event::HookStatus,
    kernel::{Paths, machine},
    live::{Surroundings, count_here, read_settings},
    probe::{
        Options, Probes,
        table::{self, Hook},
    },
};

/// `tracer doctor`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Attaches every hook, tells how that went, and detaches them again; then tells what is risky.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let paths = Paths::default();
    let facts = privileges::facts(&paths)?;
    let (kernel, host) = (facts.kernel_release.clone(), facts.hostname.clone());
    let risks = risks::all(&risk_facts(&paths)?);
    let mut probes = Probes::new(paths, facts, Options::default())?;
    probes.attach(|_| {})?;
    let rows: Vec<Row> = probes.statuses().filter_map(Row::of).collect();
    drop(probes);

    let mut output = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer(
            &mut output,
            &Diagnosis { kernel: &kernel, host: &host, hooks: &rows, risks: &risks },
        )
        // As an error of input or output, by which a closed pipe is known.
        .map_err(io::Error::from)?;
        writeln!(output)?;
    } else {
        write!(output, "{}{}", table_of(&kernel, &rows), list_of(&risks))?;
    }
    Ok(())
}

/// What the rules about risky settings look at, of the namespace tracer was started in.
fn risk_facts(paths: &Paths) -> anyhow::Result<risks::Facts> {
    let surroundings = Surroundings::read().context("cannot read the devices and routes of this node")?;
    let count = fs::read_to_string(paths.proc.join("sys/net/netfilter/nf_conntrack_count"));
    let conntrack_entries = count.ok().and_then(|count| count.trim().parse().ok());
    Ok(risks::Facts {
        settings: read_settings(&paths.proc),
        surroundings,
        conntrack_entries,
        rulesets: count_here(paths),
        programs: machine::facts(paths),
    })
}

#[derive(Serialize)]
struct Diagnosis<'a> {
    kernel: &'a str,
    host: &'a str,
    hooks: &'a [Row],
    risks: &'a [Risk],
}

/// One hook of the table, in the words of the `ready` line.
#[derive(Serialize)]
struct Row {
    hook: &'static str,
    family: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    tells: &'static str,
}

impl Row {
    fn of(status: &HookStatus) -> Option<Self> {
        let &Hook { name, family, tells, .. } = table::find(status.hook?)?;
        Some(Self {
            hook: name,
            family: family.name(),
            state: status.state().name(),
            way: status.attached.map(tracer_common::hook::Way::name),
            reason: status.reason.as_str().to_owned(),
            tells,
        })
    }
}

/// The table for people: a line a hook, the reason below it where it is missing.
fn table_of(kernel: &str, rows: &[Row]) -> String {
    let attached = rows.iter().filter(|row| row.state == "attached").count();
    let width = rows.iter().map(|row| row.hook.len()).max().unwrap_or_default();
    let mut lines = vec![format!("kernel {kernel}: {attached} of {} hooks attached", rows.len())];
    let (mut family, mut shared) = ("", None);
    for row in rows {
        if row.family != family {
            family = row.family;
            shared = shared_reason(rows, family);
            let reason = shared.map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.push(format!("\n{family}{reason}"));
        }
        let state = row.way.filter(|_| row.state == "attached").unwrap_or(row.state);
        lines.push(format!("  {:width$}  {state:10}  {}", row.hook, row.tells));
        if !row.reason.is_empty() && shared != Some(row.reason.as_str()) {
            lines.push(format!("  {:width$}              {}", "", row.reason));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Why hooks of a family are not there, if it is the same for several and for all.
fn shared_reason<'a>(rows: &'a [Row], family: &str) -> Option<&'a str> {
    let mut reasons = rows.iter().filter(|row| row.family == family).map(|row| row.reason.as_str());
    let first = reasons.next().filter(|reason| !reason.is_empty())?;
    let mut others = reasons.peekable();
    (others.peek().is_some() && others.all(|other| other == first)).then_some(first)
}

/// The risks for people; nothing if there are none.
fn list_of(risks: &[Risk]) -> String {
    if risks.is_empty() {
        return String::new();
    }
    let mut lines = vec!["\nrisky settings".to_owned()];
    for Risk { id, setting, why, advice } in risks {
        lines.push(format!("  {id}: {setting}"));
        lines.extend(why.lines().chain(advice.lines()).map(|line| format!("    {line}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use tracer_common::hook::{HookId, Way};

    use super::{Row, table_of};
    use crate::event::{HookStatus, Text};

    #[test]
    fn the_table_tells_the_way_or_the_reason() {
        let rows: Vec<Row> = [
            (HookId::RetransmitSegment, Some(Way::TypedTracepoint), ""),
            (HookId::ConntrackConfirm, None, "no function by this name"),
            (HookId::IpvsVerdict, None, "module ip_vs is not loaded"),
            (HookId::IpvsExpireNow, None, "module ip_vs is not loaded"),
        ]
        .into_iter()
        .filter_map(|(hook, attached, reason)| {
            Row::of(&HookStatus { hook: Some(hook), attached, is_needed: true, reason: Text::new(reason) })
        })
        .collect();
        insta::assert_snapshot!(table_of("6.1.0", &rows));
    }
}
