//! Two nodes, which are two names for this machine. Truth: what each of them told by itself.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::Value;

use super::{told, told_by};
use crate::{
    case::Setting,
    topology::{Family, NEAR, NOBODY, Pair},
    tracer::Tracer,
    traffic,
};

/// The nodes' names, and the numbers that tell their boots apart.
const NODES: [(&str, &str); 2] = [
    ("node-a", "0a0a0a0a-1111-4222-8333-444444444444\n"),
    ("node-b", "0b0b0b0b-1111-4222-8333-444444444444\n"),
];

pub(super) fn merged(setting: &Setting) -> Result<()> {
    let directory = tempfile::tempdir().context("make a directory")?;
    let sessions = record(setting, directory.path())?;
    let files: Vec<&Path> = sessions.iter().map(PathBuf::as_path).collect();
    let alone: Vec<Vec<Value>> =
        files.iter().map(|file| Ok(parse(&told(setting, file)?.0))).collect::<Result<_>>()?;

    let (together, said) = told_by(setting, &files, &[])?;
    let together = parse(&together);
    for (name, _) in NODES {
        ensure!(said.contains(name), "how the clock of {name} stands is not told: {said}");
    }
    for ((name, _), alone) in NODES.iter().zip(&alone) {
        let told = retransmits(&together, Some(name));
        ensure!(!told.is_empty(), "nothing is told of {name}");
        ensure!(told == retransmits(alone, None), "{name} tells other retransmits together than alone");
    }
    let times: Vec<&str> =
        together.iter().filter(|line| line["type"] == "retransmit").filter_map(time).collect();
    ensure!(times.is_sorted(), "the lines are not in the order of time: {times:?}");

    // An hour later, everything of the second node comes behind the first.
    let (shifted, _) = told_by(setting, &files, &["--shift", "node-b=+3600s"])?;
    let shifted = parse(&shifted);
    ensure!(retransmits(&shifted, Some("node-a")) == retransmits(&alone[0], None), "node-a was shifted too");
    let later = retransmits(&shifted, Some("node-b"));
    let before = retransmits(&alone[1], None);
    ensure!(later.len() == before.len(), "{} retransmits of {}", later.len(), before.len());
    for ((later, _), (before, _)) in later.iter().zip(&before) {
        let hours = |time: &str| time.get(11..13).and_then(|hour| hour.parse::<u32>().ok());
        let (Some(was), Some(is)) = (hours(before), hours(later)) else {
            return Err(anyhow!("no times: {before} {later}"));
        };
        ensure!((was + 1) % 24 == is && later.get(13..) == before.get(13..), "{before} became {later}");
    }
    let nodes: Vec<&Value> =
        shifted.iter().filter(|line| line["type"] == "retransmit").map(|line| &line["node"]).collect();
    ensure!(
        nodes.is_sorted_by_key(|node| node.as_str()),
        "the lines are not in the order of time: {nodes:?}"
    );
    Ok(())
}

/// Records on both at the same time, while in a namespace of each SYNs are repeated.
fn record(setting: &Setting, directory: &Path) -> Result<Vec<PathBuf>> {
    const ATTEMPTS: u64 = 2;
    let mut running = Vec::new();
    for node in NODES {
        let pair = Pair::new()?;
        let tracer = on_node(directory, node, || setting.trace(&["--netns", pair.near.name()]))?;
        let dialling = traffic::dial(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?;
        running.push((pair, tracer, dialling));
    }
    let mut sessions = Vec::new();
    for ((name, _), (pair, mut tracer, dialling)) in NODES.into_iter().zip(running) {
        tracer.wait_for("repeated SYNs", |events| events.of("retransmit", &pair.near).count() >= ATTEMPTS)?;
        drop(dialling);
        sessions.push(finish(&mut tracer, &directory.join(name))?);
    }
    Ok(sessions)
}

fn finish(tracer: &mut Tracer, session: &Path) -> Result<PathBuf> {
    tracer.signal(nix::sys::signal::Signal::SIGINT)?;
    let run = tracer.wait()?;
    ensure!(run.status.success(), "{}: {}", run.status, run.stderr);
    fs::copy(tracer.session(), session).context("keep the session")?;
    Ok(session.to_owned())
}

/// Does work, and starts programs, on a thread for which this machine has another name and was booted another time.
fn on_node<T: Send>(
    directory: &Path,
    (name, boot_id): (&str, &str),
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let boot_id_file = directory.join(format!("{name}.boot-id"));
    fs::write(&boot_id_file, boot_id).context("write a boot's number")?;
    let none = None::<&str>;
    thread::scope(|scope| {
        let at_work = scope.spawn(move || {
            unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS)
                .context("make a node's namespaces")?;
            fs::write("/proc/sys/kernel/hostname", name).context("name the node")?;
            // What is mounted here is mounted for nobody else.
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("part the mounts")?;
            mount(Some(&boot_id_file), "/proc/sys/kernel/random/boot_id", none, MsFlags::MS_BIND, none)
                .context("give the node another boot")?;
            work()
        });
        at_work.join().map_err(|_| anyhow!("the work on {name} panicked"))?
    })
}

fn parse(lines: &str) -> Vec<Value> {
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn time(line: &Value) -> Option<&str> {
    line["time"].as_str()
}

/// The retransmits told of a node, or without one: the time of each, and the rest of it.
fn retransmits(lines: &[Value], node: Option<&str>) -> Vec<(String, Value)> {
    let of_node = lines.iter().filter(|line| line["type"] == "retransmit" && line["node"].as_str() == node);
    of_node
        .map(|line| {
            let mut rest = line.clone();
            if let Some(fields) = rest.as_object_mut() {
                fields.remove("time");
                fields.remove("node");
            }
            (time(line).unwrap_or_default().to_owned(), rest)
        })
        .collect()
}
