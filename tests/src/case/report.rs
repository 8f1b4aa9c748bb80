//! What the report of a session says. Truth: what `tracer events --json` prints of it, and who was dialled.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Case, Setting};
use crate::{
    command,
    topology::{Family, NEAR, NOBODY, Pair},
    traffic,
};

pub(super) const CASES: &[Case] = &[Case {
    name: "report-formats",
    proves: "a report counts what `events --json` prints, and its text and its page name who did not answer",
    needs: &[],
    run: formats,
}];

fn formats(setting: &Setting) -> Result<()> {
    const ATTEMPTS: usize = 3;
    let pair = Pair::new()?;
    let mut tracer = setting.trace(&[])?;
    let nobody = Family::BOTH.map(|family| family.at(NOBODY, 80));
    let mut dialling = Vec::new();
    for (family, nobody) in Family::BOTH.into_iter().zip(nobody) {
        dialling.push(traffic::dial(&pair.near, family.at(NEAR, 0), nobody)?);
    }
    tracer.wait_for("repeated SYNs to both addresses", |events| {
        nobody.iter().all(|nobody| {
            let to = events.of("retransmit", &pair.near).with("dst", nobody.ip().to_string());
            to.events().len() >= ATTEMPTS
        })
    })?;
    tracer.signal(Signal::SIGINT)?;
    let run = tracer.wait()?;
    ensure!(run.status.success(), "{}: {}", run.status, run.stderr);

    let ask = |arguments: &[&str]| {
        command::output(Command::new(&setting.program).args(arguments).arg(tracer.session()))
    };
    let printed = ask(&["events", "--json"])?;
    let report: Value =
        serde_json::from_str(&ask(&["report", "--format", "json"])?).context("parse the report")?;
    counts_are_those_printed(&report, &printed)?;
    let texts = [ask(&["report"])?, ask(&["report", "--format", "html"])?];
    for address in nobody.map(|nobody| nobody.ip().to_string()) {
        let is_of_it = |peer: &Value| peer["name"].as_str().is_some_and(|name| name.contains(&address));
        let peers = report["peers"]["rows"].as_array().context("no peers in the report")?;
        ensure!(peers.iter().any(is_of_it), "{address} is no peer in the report: {peers:?}");
        for text in &texts {
            ensure!(text.contains(&address), "{address} is not in the report:\n{text}");
        }
    }
    ensure!(texts[1].contains("<svg"), "the page has no chart");
    Ok(())
}

/// Retransmits counted in the report, in its rates and in its timeline, are those that are printed.
fn counts_are_those_printed(report: &Value, printed: &str) -> Result<()> {
    let mut expected = 0;
    for line in printed.lines() {
        let event: Value = serde_json::from_str(line).context("a line of JSON")?;
        expected += u64::from(event["type"] == "retransmit");
    }
    let sum = |rows: &Value, key: &str, value: &str| {
        let rows = rows.as_array().into_iter().flatten().filter(|row| row[key] == value);
        rows.filter_map(|row| row["events"].as_u64()).sum::<u64>()
    };
    for (what, told) in [
        ("events", sum(&report["events"], "type", "retransmit")),
        ("rates", sum(&report["rates"]["families"], "family", "retransmit")),
        ("timeline", sum(&report["timeline"]["entries"], "type", "retransmit")),
    ] {
        ensure!(told == expected, "{told} retransmits by the report's {what}, {expected} printed");
    }
    Ok(())
}
