//! Leaks that do not look like the first one: slow ones, beside a second back end, in a table of nft's own; and a
//! service proxy that loads its rules again and again.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Case, Setting, note};
use crate::{
    expect::{CLOSES, OPENS},
    namespace::Namespace,
    need::Need,
    wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "finding-ruleset-one-by-one",
        proves: "a rule that iptables adds one by one is named as iptables-save writes it, with its exact number, and \
                 that both back ends are in use",
        needs: &[Need::LegacyTables, Need::Nftables],
        run: one_by_one,
    },
    Case {
        name: "finding-ruleset-own-table",
        proves: "rules that nft adds twice to a table of its own, with sets and maps, are found and closed with the table",
        needs: &[Need::Nftables],
        run: own_table,
    },
    Case {
        name: "quiet-ruleset-sync",
        proves: "thousands of different rules that are loaded again every two seconds are no finding",
        needs: &[Need::NftTables],
        run: sync,
    },
    Case {
        name: "ruleset-words",
        proves: "repeated rules of many kinds are written as iptables-save writes them, of both back ends",
        needs: &[Need::LegacyTables, Need::Nftables],
        run: words,
    },
];

const ID: &str = "ruleset-bloat";

/// Rules of a chain, all different.
fn different(rules: u32) -> String {
    let mut text = String::new();
    for number in 0..rules {
        let [.., high, low] = number.to_be_bytes();
        // Writing to a string does not fail.
        let _ = writeln!(text, "-A SERVICES -d 10.96.{high}.{low}/32 -p tcp -m tcp --dport 80 -j RETURN");
    }
    text
}

/// The rule there is most of in a table, how often, and how many repeat an earlier one.
fn most_repeated(saved: &str) -> Option<(String, u64, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in saved.lines().filter(|line| line.starts_with("-A ")) {
        *counts.entry(line).or_default() += 1;
    }
    let repeated = counts.values().map(|count| count - 1).sum();
    let (rule, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some((rule.to_owned(), count, repeated))
}

fn one_by_one(setting: &Setting) -> Result<()> {
    const SUBJECT: &str = "nft ip filter";
    const AT_A_TIME: usize = 10;
    const MOST: usize = 400;
    let node = Namespace::new("slow")?;
    let chain = ":SERVICES - [0:0]\n-A INPUT -j SERVICES\n";
    node.feed(&["iptables-nft-restore"], &format!("*filter\n{chain}{}COMMIT\n", different(1_000)))?;
    node.run("iptables-legacy", "-A FORWARD -s 10.42.0.0/16 -j ACCEPT")?;
    let tracer = setting.trace(&["--only", "ruleset", "--netns", node.name()])?;
    tracer.wait_for("the table as it is meant to be", |events| {
        !events.of("ruleset", &node).with("entries", 1_001_u64).is_empty()
    })?;

    let leaked = "-A SERVICES -s 10.42.0.0/16 -m comment --comment \"added by a controller\" -j ACCEPT\n";
    let added_until_found = || -> Result<usize> {
        for added in 1..=MOST {
            node.feed(&["iptables-nft-restore", "--noflush"], &format!("*filter\n{leaked}COMMIT\n"))?;
            if added % AT_A_TIME == 0 && tracer.has(|events| events.open_finding(ID, SUBJECT).is_some()) {
                return Ok(added);
            }
        }
        Ok(MOST)
    };
    let added = added_until_found()?;
    // A table that took long to count is let alone for longer.
    tracer.wait_for("the finding", |events| events.open_finding(ID, SUBJECT).is_some())?;
    note(&format!("{added} copies added meanwhile"));
    let saved = node.run("iptables-nft-save", "-t filter")?;
    let (rule, count, repeated) = most_repeated(&saved).context("no rule")?;
    wait::until_within(OPENS * 3, "the exact number", || {
        let is_told = |events: &crate::expect::Events| {
            let reports = events.of("ruleset", &node).with("duplicates", repeated);
            reports.with("example", rule.as_str()).with("example_count", count).count() > 0
        };
        Ok(tracer.has(is_told).then_some(()))
    })?;
    tracer.wait_for("what to know of it", |events| {
        let findings = events.findings(ID);
        findings.says("evidence", &format!("times: {rule}")).is_ok()
            && findings.says("evidence", "both back ends").is_ok()
            && findings.says("evidence", node.name()).is_ok()
            && findings.says("advice", &format!("ip netns exec {} iptables-nft-restore", node.name())).is_ok()
    })?;
    node.run("iptables-nft", "-F SERVICES")?;
    tracer.wait_for_closed(ID, SUBJECT)?;
    tracer.stop()?.only_findings(&[(ID, SUBJECT)])
}

fn own_table(setting: &Setting) -> Result<()> {
    const SUBJECT: &str = "nft inet firewall";
    const COPIES: usize = 120;
    let node = Namespace::new("own")?;
    node.nft(
        "table inet firewall {
            set blocked { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
            map ways { type inet_service : verdict; elements = { 80 : accept } }
            chain in {
                type filter hook input priority 0;
                tcp dport vmap @ways
                ip saddr @blocked counter drop
            }
        }",
    )?;
    let tracer = setting.trace(&["--only", "ruleset", "--netns", node.name()])?;
    tracer.wait_for("the table as it is meant to be", |events| {
        !events.of("ruleset", &node).with("entries", 2_u64).is_empty()
    })?;
    let rules = "add rule inet firewall in tcp dport vmap @ways\n\
                 add rule inet firewall in ip saddr @blocked counter packets 7 bytes 700 drop\n";
    node.nft(&rules.repeat(COPIES))?;
    let repeated = 2 * COPIES as u64;
    tracer.wait_for("the copies to be counted", |events| {
        events.of("ruleset", &node).with("duplicates", repeated).count() > 0
    })?;
    tracer.wait_for_finding(ID, SUBJECT)?;
    tracer.wait_for("both rules to count", |events| {
        events.of("ruleset", &node).with("duplicates", repeated).count() > 0
            && events.findings(ID).says("advice", "nft -a list chain inet firewall in").is_ok()
    })?;
    node.nft("delete table inet firewall")?;
    tracer.wait_for_closed(ID, SUBJECT)?;
    tracer.stop()?.only_findings(&[(ID, SUBJECT)])
}

fn sync(setting: &Setting) -> Result<()> {
    const RULES: u32 = 3_000;
    const LOADS: u32 = 10;
    const EVERY: Duration = Duration::from_secs(2);
    let node = Namespace::new("sync")?;
    let tracer = setting.trace(&["--only", "ruleset", "--netns", node.name()])?;
    let before = processor_time(tracer.id())?;
    let started = Instant::now();
    for load in 0..LOADS {
        // As kube-proxy does: the chain is declared, which empties it, and filled again.
        let text = format!("*filter\n:SERVICES - [0:0]\n{}COMMIT\n", different(RULES + load % 3));
        node.feed(&["iptables-nft-restore", "--noflush"], &text)?;
        wait::until_within(EVERY * 10, "the next load", || {
            Ok((started.elapsed() >= EVERY * (load + 1)).then_some(()))
        })?;
    }
    let share = (processor_time(tracer.id())? - before) / started.elapsed().as_secs_f64();
    note(&format!("{RULES} rules loaded every 2 s: {:.2} % of a processor", share * 100.0));
    tracer.wait_for("the table to be told", |events| events.of("ruleset", &node).count() > 0)?;
    tracer.stop()?.only_findings(&[])
}

/// Seconds of a processor that a process has taken.
fn processor_time(id: u32) -> Result<f64> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).context("list its threads")?;
    let mut nanoseconds = 0.0;
    for thread in threads.flatten() {
        // A thread may end meanwhile.
        let times = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        nanoseconds += times.split(' ').next().and_then(|time| time.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(nanoseconds / 1e9)
}

/// Rules of the kinds that service proxies, network plugins and firewalls make, each with its table.
const KINDS: [(&str, &str); 22] = [
    ("filter", "-s 10.42.0.7/32 -m comment --comment \"rule to accept traffic\" -j ACCEPT"),
    ("filter", "-p udp -m udp --dport 53 -m comment --comment plain -j ACCEPT"),
    ("filter", "-d 10.43.0.10/32 -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable"),
    ("filter", "-p tcp -j REJECT --reject-with tcp-reset"),
    ("filter", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    ("filter", "! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"),
    ("filter", "-m state --state NEW -j RETURN"),
    ("filter", "-m mark --mark 0x4000/0x4000 -j ACCEPT"),
    ("filter", "-i cni0 -o eth+ -j ACCEPT"),
    ("filter", "-p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT"),
    ("filter", "-p icmp -m icmp --icmp-type 8 -j ACCEPT"),
    ("filter", "-m limit --limit 5/sec -j LOG --log-prefix \"x: \""),
    ("filter", "-m limit --limit 10/min --limit-burst 10 -j NFLOG --nflog-group 100"),
    ("filter", "-m physdev --physdev-is-bridged -j ACCEPT"),
    ("nat", "-m statistic --mode random --probability 0.33333333349 -j RETURN"),
    ("nat", "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.42.0.7:8080"),
    ("nat", "-p tcp -m tcp --dport 81 -j REDIRECT --to-ports 8081"),
    ("nat", "-m addrtype --dst-type LOCAL -j RETURN"),
    ("nat", "-j MARK --set-xmark 0x4000/0x0"),
    ("mangle", "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"),
    ("mangle", "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"),
    ("raw", "-p udp -m udp --dport 53 -j CT --notrack"),
];

/// Kinds that a kernel has to have for the case to say something.
const LEAST_KINDS: usize = 8;

fn words(setting: &Setting) -> Result<()> {
    for (backend, tool) in [("legacy", "iptables-legacy"), ("nft", "iptables-nft")] {
        let mut loaded = Vec::new();
        for (table, rule) in KINDS {
            let node = Namespace::new("words")?;
            let text = format!("*{table}\n:X - [0:0]\n{}COMMIT\n", format!("-A X {rule}\n").repeat(3));
            // A kernel need not have every extension.
            if node.feed(&[&format!("{tool}-restore")], &text).is_ok() {
                let saved = node.run(&format!("{tool}-save"), &format!("-t {table}"))?;
                loaded.extend(most_repeated(&saved).map(|(rule, ..)| (node, rule)));
            }
        }
        ensure!(loaded.len() >= LEAST_KINDS, "only {} kinds of rules for {tool}", loaded.len());
        let tracer = setting.trace(&["--only", "ruleset"])?;
        let told = |rule: &str, node: &Namespace| {
            tracer.has(|events| {
                events.of("ruleset", node).with("backend", backend).with("example", rule).count() > 0
            })
        };
        let missing = || loaded.iter().filter(|(node, rule)| !told(rule, node)).map(|(_, rule)| rule);
        let waited = wait::until_within(CLOSES, "every rule to be told", || {
            Ok(missing().next().is_none().then_some(()))
        });
        ensure!(waited.is_ok(), "not told so by {backend}: {:#?}", missing().collect::<Vec<_>>());
        note(&format!("{tool}: {} kinds of rules", loaded.len()));
        tracer.stop()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::most_repeated;

    #[test]
    fn the_rule_there_is_most_of_is_taken() {
        let saved = "*filter\n:X - [0:0]\n-A X -j A\n-A X -j B\n-A X -j B\n-A X -j A\n-A X -j B\nCOMMIT\n";
        assert_eq!(most_repeated(saved), Some(("-A X -j B".to_owned(), 3, 3)));
        assert_eq!(most_repeated("*filter\nCOMMIT\n"), None);
    }
}
