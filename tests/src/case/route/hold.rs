//! What tracer holds of namespaces.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    case::{Setting, note},
    namespace::Namespace,
    topology::{Family, NEAR, NOBODY, Pair},
    traffic, wait,
};

/// Rounds of namespaces made and removed, each with look-ups inside.
const ROUNDS: usize = 4;
/// Namespaces of a round, in pairs.
const PAIRS: usize = 4;
/// Flows that retransmit in each.
const FLOWS: usize = 8;

/// What the descriptors of a process lead to, without numbers.
fn descriptors(process: u32) -> Result<Vec<String>> {
    let directory = format!("/proc/{process}/fd");
    let entries = fs::read_dir(&directory).with_context(|| format!("read {directory}"))?;
    // A descriptor may be closed meanwhile.
    Ok(entries
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .collect())
}

/// Every round makes namespaces, lets flows retransmit in them, and removes them while tracer runs. A wire goes when one
/// of its ends does: it outlives its namespace only if somebody holds that.
pub(super) fn come_and_go(setting: &Setting) -> Result<()> {
    let outside = Namespace::new("outside")?;
    let tracer = setting.trace(&["--only", "path,retransmit"])?;
    let settled = descriptors(tracer.id())?.len();
    let mut looked_up = 0;
    let mut most = settled;
    for round in 0..ROUNDS {
        let mut pairs = Vec::new();
        let mut dialling = Vec::new();
        for index in 0..PAIRS {
            let pair = Pair::new()?;
            outside.ip(&format!(
                "link add w{round}{index} type veth peer name inside netns {}",
                pair.near.name()
            ))?;
            for _ in 0..FLOWS {
                dialling.push(traffic::dial(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?);
            }
            pairs.push(pair);
        }
        for pair in &pairs {
            tracer.wait_for("look-ups of a namespace", |events| {
                events
                    .of("route", &pair.near)
                    .filter("a look-up", |event| event.get("peer").is_some())
                    .count()
                    >= FLOWS as u64
            })?;
        }
        looked_up += PAIRS * FLOWS;
        most = most.max(descriptors(tracer.id())?.len());
        drop(dialling);
        drop(pairs);
        wait::until("the wires of removed namespaces to go", || {
            let left = outside.ip("-brief link show type veth")?;
            Ok(left.trim().is_empty().then_some(()))
        })?;
    }
    wait::until("the descriptors to be closed", || {
        Ok((descriptors(tracer.id())?.len() <= settled).then_some(()))
    })
    .with_context(|| format!("at first {settled}, now {:?}", descriptors(tracer.id())))?;
    // Every thread is where it began.
    let namespaces: BTreeSet<_> =
        fs::read_dir(Path::new("/proc").join(tracer.id().to_string()).join("task"))?
            .filter_map(|task| fs::read_link(task.ok()?.path().join("ns/net")).ok())
            .collect();
    ensure!(namespaces.len() == 1, "its threads are in {namespaces:?}");
    note(&format!(
        "{looked_up} look-ups in {} namespaces; descriptors {settled}, at most {most}",
        ROUNDS * PAIRS * 2
    ));
    tracer.stop()?;
    Ok(())
}
