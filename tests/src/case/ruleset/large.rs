//! 200,000 leaked rules.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::unistd::{SysconfVar, sysconf};
use serde_json::Value;

use super::super::{Setting, note};
use crate::{expect::Events, namespace::Namespace, need::Need, tracer::Tracer, wait};

const RULES: u64 = 200_000;

/// How long the first count and its report may take, and how much memory counting.
const FIRST_REPORT: Duration = Duration::from_secs(10);
const EXTRA_KIB: u64 = 64 << 10;

/// Loading is the tools' work and slow in an emulated guest.
const LOADED: Duration = Duration::from_mins(10);

/// Samples of the accounting, a second apart, that make up a quiet stretch.
const QUIET_SAMPLES: usize = 5;

/// Rules that one of iptables' tools loads: each second one with a comment, all of it in memory 440 bytes long.
pub(super) fn legacy(setting: &Setting) -> Result<()> {
    for (with_comments, what) in [(false, "plain rules"), (true, "rules with comments")] {
        let mut rules = "*filter\n:leaked - [0:0]\n".to_owned();
        for number in 0..RULES {
            let comment = if with_comments { "-m comment --comment \"leaked by a controller\" " } else { "" };
            writeln!(rules, "-A leaked -s {}/32 {comment}-j RETURN", address(number))?;
        }
        rules += "COMMIT\n";
        let leak = Leak { what, backend: "legacy", table: "filter", duplicates: RULES / 2 };
        leak.run(setting, |namespace| namespace.feed(&["iptables-legacy-restore"], &rules))?;
    }
    Ok(())
}

/// Rules in a chain that others jump to: its number of uses is not that of its rules.
pub(super) fn nft(setting: &Setting) -> Result<()> {
    let mut rules = "table ip leak {\nchain leaked {\n".to_owned();
    for number in 0..RULES {
        writeln!(rules, "ip saddr {} counter return", address(number))?;
    }
    rules += "}\nchain in { type filter hook input priority 0; udp dport 1 jump leaked; udp dport 2 jump leaked; }\n}\n";
    let leak = Leak { what: "rules", backend: "nft", table: "leak", duplicates: RULES / 2 };
    leak.run(setting, |namespace| namespace.nft(&rules))
}

/// Each address comes twice in a row.
fn address(number: u64) -> String {
    let [.., b, c, d] = (number / 2).to_be_bytes();
    format!("10.{b}.{c}.{d}")
}

struct Leak {
    what: &'static str,
    backend: &'static str,
    table: &'static str,
    duplicates: u64,
}

impl Leak {
    fn run(&self, setting: &Setting, load: impl Fn(&Namespace) -> Result<()>) -> Result<()> {
        let namespace = Namespace::new("leak")?;
        let tracer = setting.trace(&["--only", "ruleset", "--netns", namespace.name()])?;
        // The peak of attaching is not that of counting.
        fs::write(format!("/proc/{}/clear_refs", tracer.id()), "5").context("forget the peak")?;
        let before = peak_kib(&tracer)?;
        let started = Instant::now();
        load(&namespace)?;
        let loaded = started.elapsed();
        wait::until_within(LOADED, "the rules to be told", || {
            Ok(tracer.has(|events| self.last(events, &namespace).is_some()).then_some(()))
        })?;
        let told = tracer.ask(|events| self.last(events, &namespace).cloned()).context("a report")?;
        self.check(&told)?;
        let extra_kib = peak_kib(&tracer)?.saturating_sub(before);
        if let Some(examined) = told["examined"].as_u64() {
            self.wait_for_rest(&tracer, &namespace, examined)?;
        }
        let quiet = Self::quiet_share(&tracer)?;
        tracer.stop()?;

        // And by one that comes later.
        let started = Instant::now();
        let tracer = setting.trace(&["--only", "ruleset", "--netns", namespace.name()])?;
        tracer.wait_for("the rules to be told at the start", |events| {
            self.last(events, &namespace).is_some()
        })?;
        let first = started.elapsed();
        let after_ready = first.saturating_sub(tracer.attach_time);
        let told_first = tracer.ask(|events| self.last(events, &namespace).cloned()).context("a report")?;
        self.check(&told_first)?;
        tracer.stop()?;

        note(&format!(
            "{RULES} {} of {}: loaded in {:.1} s, told {} ms after the change was noticed, counted in {} ms, \
             {} duplicates among {} looked at; {extra_kib} KiB more memory, {:.1} % of a processor while quiet; \
             told {:.1} s after a start, {:.1} s after ready, counted in {} ms",
            self.what,
            self.backend,
            loaded.as_secs_f64(),
            told["changed_ms_ago"],
            told["took_ms"],
            told["duplicates"],
            if told["examined"].is_null() { &told["entries"] } else { &told["examined"] },
            quiet * 100.0,
            first.as_secs_f64(),
            after_ready.as_secs_f64(),
            told_first["took_ms"],
        ));
        ensure!(extra_kib < EXTRA_KIB, "counting took {extra_kib} KiB more");
        ensure!(after_ready < FIRST_REPORT, "the first report took {after_ready:?} once ready");
        let counting = Duration::from_secs_f64(told_first["took_ms"].as_f64().unwrap_or_default() / 1_000.0);
        ensure!(counting < FIRST_REPORT, "the first count took {counting:?}");
        // An emulated processor takes many times as long for everything.
        let most = if Need::RealProcessor.missing().is_some() { 0.25 } else { 0.05 };
        ensure!(quiet < most, "{:.1} % of a processor while nothing changes", quiet * 100.0);
        Ok(())
    }

    /// The last report of the leaking table that holds all its rules.
    fn last<'a>(&self, events: &'a Events, namespace: &Namespace) -> Option<&'a Value> {
        let reports = events.of("ruleset", namespace).with("backend", self.backend).with("table", self.table);
        reports.events().iter().copied().rfind(|event| event["entries"].as_u64() >= Some(RULES))
    }

    fn check(&self, told: &Value) -> Result<()> {
        let others = if self.backend == "nft" { 2 } else { 0 };
        ensure!(told["entries"] == RULES + others, "{told}");
        ensure!(told["largest"][0]["chain"] == "leaked" && told["largest"][0]["entries"] == RULES, "{told}");
        ensure!(told["exactness"].is_null(), "{told}");
        // Half of those looked at repeat the one before.
        let examined = told["examined"].as_u64().map_or(RULES, |examined| examined - others);
        let expected = self.duplicates * examined / RULES;
        ensure!(told["duplicates"] == expected, "not {expected} duplicates: {told}");
        Ok(())
    }

    /// Waits for the thorough count: what there was no time for is looked at once the rules have come to rest.
    fn wait_for_rest(&self, tracer: &Tracer, namespace: &Namespace, examined: u64) -> Result<()> {
        let more = |events: &Events| {
            let told = self.last(events, namespace)?;
            (told["examined"].as_u64() != Some(examined)).then(|| told.clone())
        };
        let told = wait::until_within(LOADED, "a thorough count", || Ok(tracer.ask(more)))?;
        let looked_at = told["examined"].as_u64().unwrap_or(RULES);
        ensure!(looked_at > examined, "{looked_at} rules looked at, {examined} before");
        self.check(&told)
    }

    /// The share of a processor that tracer takes, with its children, while nothing changes.
    fn quiet_share(tracer: &Tracer) -> Result<f64> {
        let samples = |events: &Events| events.all().iter().filter(|event| event["type"] == "stats").count();
        let had = tracer.ask(samples);
        tracer.wait_for("a sample", |events| samples(events) > had)?;
        let (began, ticks) = (Instant::now(), ticks(tracer)?);
        tracer.wait_for("a quiet stretch", |events| samples(events) > had + QUIET_SAMPLES)?;
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the length of a tick")?;
        let spent_ms = (self::ticks(tracer)? - ticks) * 1_000 / u64::try_from(per_second)?;
        Ok(Duration::from_millis(spent_ms).as_secs_f64() / began.elapsed().as_secs_f64())
    }
}

/// The most memory it ever had, since it was last forgotten.
fn peak_kib(tracer: &Tracer) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", tracer.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    Ok(peak.context("no VmHWM in /proc/PID/status")?.parse()?)
}

/// Processor time of the process and its ended children, in user space and in the kernel.
fn ticks(tracer: &Tracer) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", tracer.id()))?;
    // What follows the command's name, which may hold spaces.
    let (_, fields) = stat.rsplit_once(") ").context("no command in /proc/PID/stat")?;
    let times: Result<Vec<u64>, _> = fields.split(' ').skip(11).take(4).map(str::parse).collect();
    Ok(times?.iter().sum())
}
