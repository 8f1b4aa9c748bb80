//! The program's own behaviour: start, end, wrong use, and what it leaves behind.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{self, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_common::hook::HookId;

use super::{Case, Setting, note};
use crate::{
    counters::Counters,
    topology::{FAR, Family, NEAR, NOBODY, Pair},
    tracer::Tracer,
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "lifecycle-interrupt",
        proves: "`ready` is the first line; SIGINT and SIGTERM end with status 0 and a last `stats`",
        needs: &[],
        run: interrupt,
    },
    Case {
        name: "lifecycle-duration",
        proves: "`--duration` ends the run by itself",
        needs: &[],
        run: duration,
    },
    Case {
        name: "lifecycle-closed-pipe",
        proves: "a closed standard output ends the run quietly",
        needs: &[],
        run: closed_pipe,
    },
    Case {
        name: "lifecycle-nothing-left",
        proves: "no program, map or link stays loaded after SIGINT, nor after SIGKILL",
        needs: &[],
        run: nothing_left,
    },
    Case {
        name: "lifecycle-wrong-use",
        proves: "a wrong option gives status 2 and says which, on standard error only",
        needs: &[],
        run: wrong_use,
    },
    Case {
        name: "lifecycle-not-root",
        proves: "without privileges the message names sudo, and the status is 1",
        needs: &[],
        run: not_root,
    },
    Case {
        name: "lifecycle-doctor",
        proves: "`doctor --json` lists every hook as attached or with the reason why not",
        needs: &[],
        run: doctor,
    },
    Case {
        name: "lifecycle-only",
        proves: "`--only neighbour` tells neighbours and no retransmits, though there are some",
        needs: &[],
        run: only_one_family,
    },
    Case {
        name: "lifecycle-first-event",
        proves: "events arrive while tracer runs, not at its end; the times are printed",
        needs: &[],
        run: first_event,
    },
];

fn interrupt(setting: &Setting) -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut tracer = setting.trace(&[])?;
        tracer.signal(signal)?;
        let run = tracer.wait()?;
        ensure!(run.status.success(), "{signal}: {}: {}", run.status, run.stderr);
        let last = run.events.all().last().context("no lines")?;
        ensure!(last["type"] == "stats", "{signal}: the last line should be `stats`: {last}");
        for kind in ["retransmit", "neighbour", "claim", "conntrack", "ipvs"] {
            run.events.accounting(kind)?.balances()?;
        }
    }
    Ok(())
}

fn duration(setting: &Setting) -> Result<()> {
    let run = setting.trace(&["--duration", "1s"])?.wait()?;
    ensure!(run.status.success(), "{}: {}", run.status, run.stderr);
    let last = run.events.all().last().context("no lines")?;
    ensure!(last["type"] == "stats", "the last line should be `stats`: {last}");
    Ok(())
}

/// The reader goes away after the first line, as `head -1` does. Repeated SYNs give tracer something to write.
fn closed_pipe(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut child = Command::new(&setting.program)
        .args(["events", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start tracer")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut first = String::new();
    BufReader::new(stdout).read_line(&mut first).context("read the first line")?;
    let dialling = traffic::dial(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?;
    let ended = wait::until("tracer to notice the closed pipe", || Ok(child.try_wait()?));
    drop(dialling);
    if ended.is_err() {
        child.kill().context("end tracer")?;
    }
    let output = child.wait_with_output().context("wait for tracer")?;
    ended?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(first.contains("\"ready\""), "the first line is {first}");
    ensure!(output.status.success(), "{}: {stderr}", output.status);
    for loud in ["panicked", "Broken pipe", "os error"] {
        ensure!(!stderr.contains(loud), "it should be quiet: {stderr}");
    }
    Ok(())
}

/// What a process holds of the kernel's BPF objects, by the numbers its file descriptors tell.
#[derive(Debug, Default)]
pub(super) struct Held {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Held {
    pub(super) fn by(process: u32) -> Result<Self> {
        let mut held = Self::default();
        let directory = format!("/proc/{process}/fdinfo");
        for entry in fs::read_dir(&directory).with_context(|| format!("read {directory}"))? {
            // A descriptor may be closed meanwhile.
            let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
            for line in text.lines() {
                let Some((field, number)) = line.split_once(':') else { continue };
                let set = match field {
                    "prog_id" => &mut held.programs,
                    "map_id" => &mut held.maps,
                    "link_id" => &mut held.links,
                    _ => continue,
                };
                set.insert(number.trim().parse().with_context(|| format!("{field} {number}"))?);
            }
        }
        Ok(held)
    }

    /// Those of them that the kernel still has.
    fn still_loaded(&self) -> Result<Self> {
        let programs =
            loaded_programs().map(|program| Ok(program?.id())).collect::<Result<BTreeSet<u32>>>()?;
        let maps = loaded_maps().map(|map| Ok(map?.id())).collect::<Result<BTreeSet<u32>>>()?;
        // Kernels before 5.8 have no list of links; their links are no objects either.
        let links: BTreeSet<u32> = loaded_links().filter_map(|link| Some(link.ok()?.id())).collect();
        let both = |one: &BTreeSet<u32>, other: &BTreeSet<u32>| one.intersection(other).copied().collect();
        Ok(Self {
            programs: both(&self.programs, &programs),
            maps: both(&self.maps, &maps),
            links: both(&self.links, &links),
        })
    }

    /// How many of its programs have a name that begins so.
    pub(super) fn programs_named(&self, beginning: &str) -> Result<usize> {
        let mut found = 0;
        for program in loaded_programs() {
            let program = program.context("list the programs loaded")?;
            let is_named = program.name_as_str().is_some_and(|name| name.starts_with(beginning));
            found += usize::from(is_named && self.programs.contains(&program.id()));
        }
        Ok(found)
    }

    fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.maps.is_empty() && self.links.is_empty()
    }
}

fn nothing_left(setting: &Setting) -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut tracer = setting.trace(&[])?;
        let held = Held::by(tracer.id())?;
        ensure!(
            !held.programs.is_empty() && !held.maps.is_empty(),
            "a running tracer holds nothing: {held:?}"
        );
        let loaded = held.still_loaded()?;
        ensure!(
            loaded.programs == held.programs,
            "the kernel does not list what tracer holds: {held:?}, {loaded:?}"
        );
        tracer.signal(signal)?;
        tracer.wait()?;
        wait::until(&format!("the kernel to free everything after {signal}"), || {
            Ok(held.still_loaded()?.is_empty().then_some(()))
        })
        .with_context(|| format!("left: {:?}", held.still_loaded()))?;
    }
    Ok(())
}

fn wrong_use(setting: &Setting) -> Result<()> {
    for arguments in
        [&["events", "--no-such-option"][..], &["no-such-command"], &["events", "--only", "nonsense"]]
    {
        let output = Command::new(&setting.program).args(arguments).output().context("start tracer")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2), "{arguments:?}: {}: {stderr}", output.status);
        ensure!(output.stdout.is_empty(), "{arguments:?} wrote to standard output");
        let wrong = arguments.last().copied().unwrap_or_default();
        ensure!(stderr.contains(wrong), "{arguments:?}: the message does not name `{wrong}`: {stderr}");
    }
    Ok(())
}

fn not_root(setting: &Setting) -> Result<()> {
    const NOBODY_ID: u32 = 65_534;
    let directory = std::env::temp_dir().join(format!("tracer-scenarios-{}", process::id()));
    fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
    let result = (|| {
        // The program's own directory may be closed to others.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        let copy = directory.join("tracer");
        fs::copy(&setting.program, &copy).context("copy tracer")?;
        let output = Command::new(&copy)
            .args(["events", "--json"])
            .uid(NOBODY_ID)
            .gid(NOBODY_ID)
            .output()
            .context("start tracer as nobody")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{}: {stderr}", output.status);
        ensure!(stderr.contains("sudo"), "the message does not name sudo: {stderr}");
        ensure!(output.stdout.is_empty(), "it wrote to standard output");
        Ok(())
    })();
    fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
    result
}

fn doctor(setting: &Setting) -> Result<()> {
    let output =
        Command::new(&setting.program).args(["doctor", "--json"]).output().context("start tracer")?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).context("parse the report")?;
    let hooks = report["hooks"].as_array().context("no list of hooks in the report")?;
    ensure!(hooks.len() == HookId::ALL.len(), "{} hooks of {}", hooks.len(), HookId::ALL.len());
    for hook in hooks {
        ensure!(
            hook["hook"].is_string() && hook["family"].is_string(),
            "a hook without a name or a family: {hook}"
        );
        match hook["state"].as_str() {
            Some("attached" | "standby") => ensure!(hook["way"].is_string(), "attached by no way: {hook}"),
            Some("missing" | "not-needed") => {
                ensure!(hook["reason"].is_string(), "missing for no reason: {hook}");
            }
            _ => bail!("neither attached nor missing: {hook}"),
        }
    }
    let tracepoint = hooks.iter().find(|hook| hook["hook"] == "tcp:tcp_retransmit_skb");
    ensure!(
        tracepoint.is_some_and(|hook| hook["state"] == "attached"),
        "every kernel tested has this tracepoint: {tracepoint:?}"
    );
    Ok(())
}

fn only_one_family(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let tracer = setting.trace(&["--only", "neighbour"])?;
    let before = Counters::tcp(&pair.near)?;
    let dialling = traffic::dial(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?;
    wait::until("a retransmit", || {
        let segments = Counters::tcp(&pair.near)?.growth(&before, "TcpRetransSegs")?;
        Ok((segments > 0).then_some(()))
    })?;
    drop(dialling);
    traffic::knock(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(FAR, 9))?;
    tracer.wait_for("a neighbour", |events| !events.of("neighbour", &pair.near).is_empty())?;
    let run = tracer.stop()?;
    for line in run.events.all() {
        let kind = line["type"].as_str().unwrap_or_default();
        ensure!(
            ["ready", "neighbour", "neighbour-entry", "sysctl", "claim", "hook", "stats"].contains(&kind),
            "not of that family: {line}"
        );
    }
    Ok(())
}

/// The first event has to arrive while the fault lasts. How long attaching and telling take is printed, not judged.
fn first_event(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let tracer: Tracer = setting.trace(&[])?;
    let knocked = Instant::now();
    traffic::knock(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(FAR, 9))?;
    tracer.wait_for("a neighbour", |events| !events.of("neighbour", &pair.near).is_empty())?;
    note(&format!(
        "attached {} ms after the start; first event {} ms after its cause",
        tracer.attach_time.as_millis(),
        knocked.elapsed().as_millis()
    ));
    tracer.stop()?;
    Ok(())
}
