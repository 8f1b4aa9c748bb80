//! Findings that decide when tracer ends, and how. Truth: whether there was a fault.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Case, Setting};
use crate::{
    namespace::Namespace,
    topology::{FAR, Family, NEAR, Segment},
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "until-finding",
        proves: "tracer ends when the finding opens that is waited for, its last line; --fail-on fails for it",
        needs: &[],
        run: until_finding,
    },
    Case {
        name: "until-nothing",
        proves: "without the finding that is waited for tracer ends as it was asked to, and fails",
        needs: &[],
        run: until_nothing,
    },
];

/// A port nobody listens at: what is sent there only makes the sender's kernel look for the hardware address.
const PORT: u16 = 9;
const FAMILY: Family = Family::V4;

/// Two hosts answer for one address.
fn until_finding(setting: &Setting) -> Result<()> {
    let segment = Segment::new(&[NEAR, FAR, FAR])?;
    let asker = &segment.hosts[0];
    let address = FAMILY.host(FAR).to_string();
    let filter = format!("host {address}");
    let mut tracer = setting.trace(&["--until", "finding:duplicate-address", "--filter", &filter])?;
    let run = loop {
        knock(asker)?;
        if tracer.ended_within_a_second()? {
            break tracer.wait()?;
        }
    };
    ensure!(run.status.success(), "{}: {}", run.status, run.stderr);
    let last = run.events.all().last();
    ensure!(
        last.is_some_and(|line| line["id"] == "duplicate-address" && line["status"] == "open"),
        "the last line is {last:?}"
    );
    run.only_findings(&[("duplicate-address", &address)])?;

    let session = tracer.session();
    let status = |arguments: &[&str]| {
        let output = Command::new(&setting.program).args(arguments).arg(&session).output()?;
        Ok::<_, anyhow::Error>((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    for (arguments, expected) in [
        (&["events", "--fail-on", "notice"][..], Some(1)),
        (&["report", "--fail-on", "notice"], Some(1)),
        (&["report"], Some(0)),
        (&["events", "--fail-on", "notice", "--filter", "host 192.0.2.200"], Some(0)),
        (&["events", "--until", "finding:duplicate-address"], Some(0)),
        (&["events", "--until", "finding:ruleset-bloat"], Some(1)),
    ] {
        let (code, stderr) = status(arguments)?;
        ensure!(code == expected, "{arguments:?} ended with {code:?}: {stderr}");
    }
    Ok(())
}

/// Makes a host ask for the hardware address anew.
fn knock(asker: &Namespace) -> Result<()> {
    // There is none the first time.
    let _ = asker.ip(&format!("neigh del {} dev {}", FAMILY.host(FAR), Segment::DEVICE));
    traffic::knock(asker, FAMILY.at(NEAR, 0), FAMILY.at(FAR, PORT))
}

fn until_nothing(setting: &Setting) -> Result<()> {
    let segment = Segment::new(&[NEAR, FAR])?;
    let mut tracer =
        setting.trace(&["--until", "finding:duplicate-address,finding:ruleset-bloat", "--duration", "2s"])?;
    knock(&segment.hosts[0])?;
    let run = tracer.wait()?;
    ensure!(run.status.code() == Some(1), "{}: {}", run.status, run.stderr);
    let reason = "no finding opened before the end that was waited for: duplicate-address, ruleset-bloat";
    ensure!(run.stderr.contains(reason), "stderr has {:?}", run.stderr);
    run.only_findings(&[])
}
