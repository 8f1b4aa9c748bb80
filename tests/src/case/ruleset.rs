//! Rules of iptables and nftables, counted, against what their own tools list.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use self::truth::{Told, listed, told};
use super::{Case, Setting};
use crate::{expect::Events, namespace::Namespace, need::Need};

mod large;
mod truth;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "ruleset-counts",
        proves: "every table of iptables and nftables has the rules, chains and duplicates that its own tool lists",
        needs: &[Need::LegacyTables, Need::Nftables],
        run: counts,
    },
    Case {
        name: "ruleset-growth",
        proves: "a thousand rules added piece by piece are few reports; made and removed tables are told",
        needs: &[Need::LegacyTables, Need::Nftables],
        run: growth,
    },
    Case {
        name: "ruleset-nothing-made",
        proves: "counting makes no table and loads no module",
        needs: &[Need::LegacyTables],
        run: nothing_made,
    },
    Case {
        name: "ruleset-large-legacy",
        proves: "200,000 leaked rules of iptables are counted right, within 10 s and 64 MiB; figures are printed",
        needs: &[Need::LegacyTables],
        run: large::legacy,
    },
    Case {
        name: "ruleset-large-nft",
        proves: "200,000 leaked rules of nftables are counted right, within 10 s and 64 MiB; figures are printed",
        needs: &[Need::Nftables],
        run: large::nft,
    },
];

/// Rules of a node with leftovers: users' chains, comments, counters, equal rules, rules without target.
const FILTER: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:leaked - [0:0]
:empty - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
[5:300] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment \"another\" -j ACCEPT
-A INPUT -p udp
-A INPUT -p udp
-A INPUT -j leaked
-A FORWARD -m limit --limit 5/sec -j leaked
-A FORWARD -m limit --limit 5/sec -j leaked
-A leaked -i eth+ -j RETURN
-A leaked -i eth+ -j RETURN
-A leaked -i eth+ -j RETURN
COMMIT
";

/// More tables of the same kind.
const NAT: &str = "*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o eth0 -m comment --comment \"the same\" -j ACCEPT
-A POSTROUTING -o eth0 -m comment --comment \"the same\" -j ACCEPT
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
";

/// Tables of nftables, with a chain that a map leads to, an empty table, and equal rules but for their counters.
const NFTABLES: &str = "
table inet first {
    map ways { type inet_service : verdict; elements = { 80 : jump web, 81 : jump web } }
    chain web { counter accept; counter accept; drop; }
    chain in {
        type filter hook input priority 0;
        tcp dport vmap @ways
        ip saddr 10.0.0.1 counter packets 5 bytes 500 jump web
        ip saddr 10.0.0.1 counter packets 7 bytes 700 jump web
        ip saddr 10.0.0.1 counter jump web comment \"another\"
        ip6 saddr fd00::1 accept
    }
    chain none { }
}
table ip first { chain only { drop; }; }
table ip6 second { chain only { drop; drop; }; }
table bridge third { chain only { accept; }; }
table netdev fourth { chain in { type filter hook ingress device lo priority 0; accept; }; }
table arp fifth { }
";

/// Loads rules by a tool of the iptables family, keeping those that are there.
fn restore(namespace: &Namespace, tool: &str, rules: &str) -> Result<()> {
    namespace.feed(&[tool, "--noflush", "--counters"], rules)
}

fn counts(setting: &Setting) -> Result<()> {
    let [both, other, empty] = ["both", "other", "empty"].map(Namespace::new);
    let (both, other, empty) = (both?, other?, empty?);
    restore(&both, "iptables-legacy-restore", FILTER)?;
    restore(&both, "iptables-legacy-restore", NAT)?;
    restore(&both, "ip6tables-legacy-restore", FILTER)?;
    both.nft(NFTABLES)?;
    restore(&other, "iptables-legacy-restore", NAT)?;
    other.run("iptables-nft", "-A INPUT -p tcp --dport 22 -j ACCEPT")?;
    other.run("iptables-nft", "-A INPUT -p tcp --dport 22 -j ACCEPT")?;
    other.run("ip6tables-nft", "-t nat -N users")?;

    let tracer = setting.trace(&["--only", "ruleset"])?;
    for namespace in [&both, &other] {
        let listed = listed(namespace)?;
        tracer.wait_for("every table to be told", |events| told(events, namespace).len() >= listed.len())?;
        let told = tracer.ask(|events| told(events, namespace));
        ensure!(told == listed, "told {told:#?}, listed {listed:#?}");
    }
    let run = tracer.stop()?;
    ensure!(told(&run.events, &empty).is_empty(), "a namespace without tables has some told");
    Ok(())
}

fn growth(setting: &Setting) -> Result<()> {
    const LOTS: u32 = 20;
    const LOT: u32 = 50;
    let namespace = Namespace::new("growth")?;
    restore(&namespace, "iptables-legacy-restore", FILTER)?;
    let before = listed(&namespace)?;
    let tracer = setting.trace(&["--only", "ruleset"])?;
    tracer.wait_for("the table that was there", |events| told(events, &namespace) == before)?;

    namespace.nft("table ip leak { chain every { }; }")?;
    let begun = Instant::now();
    for lot in 0..LOTS {
        let rule = |number: u32| format!("10.7.{lot}.{number}");
        let (mut legacy, mut nft) = ("*filter\n".to_owned(), String::new());
        for number in 0..LOT {
            writeln!(legacy, "-A leaked -s {}/32 -j RETURN", rule(number))?;
            writeln!(nft, "add rule ip leak every ip saddr {} return", rule(number))?;
        }
        restore(&namespace, "iptables-legacy-restore", &(legacy + "COMMIT\n"))?;
        namespace.nft(&nft)?;
    }
    let is_quick = begun.elapsed() < Duration::from_secs(LOTS.into());
    let after = listed(&namespace)?;
    tracer.wait_for("all rules to be told", |events| told(events, &namespace) == after)?;
    // Each lot changes the tables, and takes two tools' time; a count waits for rest, five seconds at most. Where the tools
    // take longer than a second, the tables rest between lots.
    tracer.ask(|events| -> Result<()> {
        for (backend, table, added) in [("legacy", "filter", LOTS * LOT), ("nft", "leak", LOTS * LOT)] {
            let reports = events.of("ruleset", &namespace).with("backend", backend).with("table", table);
            let told = reports.clone().with("change", "grown").count();
            ensure!(!is_quick || told <= u64::from(LOTS) / 2, "{told} reports of {table} for {added} rules");
            let grown: i64 = reports.events().iter().filter_map(|event| event["growth"].as_i64()).sum();
            ensure!(grown == i64::from(added), "{table} is told to have grown by {grown}, not {added}");
        }
        Ok(())
    })?;

    namespace.nft("delete table ip leak")?;
    tracer.wait_for("the removed table", |events| {
        events.of("ruleset", &namespace).with("table", "leak").with("change", "removed").count() == 1
    })?;
    tracer.stop()?;
    Ok(())
}

/// The modules that are loaded, and the tables of iptables in some namespaces.
fn what_is_there(namespaces: &[Namespace]) -> (BTreeSet<String>, Vec<String>) {
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    let modules = modules.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    let mut tables = Vec::new();
    for namespace in namespaces {
        for file in ["ip_tables_names", "ip6_tables_names", "arp_tables_names"] {
            // A kernel without that kind has not the file.
            tables.push(namespace.proc_net(file).unwrap_or_default());
        }
    }
    (modules, tables)
}

fn nothing_made(setting: &Setting) -> Result<()> {
    let [one, other] = ["one", "other"].map(Namespace::new);
    let namespaces = [one?, other?];
    restore(&namespaces[0], "iptables-legacy-restore", NAT)?;
    let before = what_is_there(&namespaces);
    let tracer = setting.trace(&[])?;
    tracer.wait_for("the tables of one namespace", |events| told(events, &namespaces[0]).len() >= 2)?;
    let samples = |events: &Events| events.all().iter().filter(|event| event["type"] == "stats").count();
    let had = tracer.ask(samples);
    tracer.wait_for("some more rounds", |events| samples(events) >= had + 3)?;
    let run = tracer.stop()?;
    let after = what_is_there(&namespaces);
    ensure!(before == after, "there was {before:?}, there is {after:?}");
    let tables: BTreeMap<_, Told> = told(&run.events, &namespaces[1]);
    ensure!(tables.is_empty(), "tables of an empty namespace: {tables:?}");
    Ok(())
}
