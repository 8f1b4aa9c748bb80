//! A loop of three routers, that begins, ends and begins again.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Loop, beyond, filter_errors, only_findings};
use crate::{
    case::{Case, Setting},
    need::Need,
    topology::{Family, Routers},
};

pub(in super::super) const CASES: &[Case] = &[
    Case {
        name: "finding-loop-ring",
        proves: "three routers that loop, stop and loop again are told each time, with the TTL that falls by three",
        needs: &[Need::Nftables],
        run: |setting| ring(setting, Family::V4),
    },
    Case {
        name: "finding-loop-ring-v6",
        proves: "the same of IPv6",
        needs: &[Need::Nftables, Need::FunctionHooks],
        run: |setting| ring(setting, Family::V6),
    },
];

/// How often it begins.
const ROUNDS: usize = 2;

fn ring(setting: &Setting, family: Family) -> Result<()> {
    const LOOP: Loop = Loop { dials: 5, lasts: Duration::from_secs(25) };
    let routers = Routers::new()?;
    let third = routers.ring(family)?;
    filter_errors(&routers.client, family)?;
    let (mut connection, server) = beyond(&routers, family)?;
    let tracer = setting.trace(&[])?;
    for round in 1..=ROUNDS {
        LOOP.play(setting, &tracer, &routers, family, &mut connection)
            .with_context(|| format!("loop {round}"))?;
    }
    drop((connection, server));
    let subject = Routers::beyond(family).to_string();
    let Routers { client, near, far } = &routers;
    let run = tracer.stop()?;
    only_findings(&run, &[client, near, far, &third], &[("routing-loop", &subject)])?;
    let told = run.events.findings("routing-loop");
    told.clone().with("status", "closed").exactly(ROUNDS as u64)?;
    told.says("evidence", "TTL −3 each time")?;
    Ok(())
}
