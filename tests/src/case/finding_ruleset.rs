//! A table that leaks the same rules again and again, and tables that are only large or busy.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{Case, Setting, note};
use crate::{expect::CLOSES, namespace::Namespace, need::Need, tracer::Tracer, wait};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "finding-ruleset-legacy",
        proves: "rules of iptables-legacy that leak from 200 to 180,000 are found, named and closed",
        needs: &[Need::LegacyTables],
        run: |setting| LEGACY.run(setting),
    },
    Case {
        name: "finding-ruleset-legacy-ip6",
        proves: "rules of ip6tables-legacy that leak are found, named and closed",
        needs: &[Need::LegacyTables],
        run: |setting| LEGACY_IP6.run(setting),
    },
    Case {
        name: "finding-ruleset-nft",
        proves: "rules of iptables-nft that leak from 200 to 20,000 are found, named and closed",
        needs: &[Need::NftTables],
        run: |setting| NFT.run(setting),
    },
    Case {
        name: "finding-ruleset-healthy",
        proves: "20,000 different rules, loaded again and again or replaced one by one, are no finding",
        needs: &[Need::LegacyTables, Need::Nftables],
        run: healthy,
    },
];

const ID: &str = "ruleset-bloat";

/// Rules that are meant to be there.
const MEANT: u64 = 200;

const LEGACY: Leak =
    Leak { tool: "iptables-legacy", subject: "legacy ip filter", network: "10.42", mask: 32, copies: 900 };
const LEGACY_IP6: Leak =
    Leak { tool: "ip6tables-legacy", subject: "legacy ip6 filter", network: "fd42:", mask: 128, copies: 20 };
const NFT: Leak =
    Leak { tool: "iptables-nft", subject: "nft ip filter", network: "10.42", mask: 32, copies: 100 };

struct Leak {
    tool: &'static str,
    subject: &'static str,
    /// How the addresses begin.
    network: &'static str,
    mask: u8,
    /// How often every rule is there in the end.
    copies: u64,
}

impl Leak {
    fn run(&self, setting: &Setting) -> Result<()> {
        let node = Namespace::new("leak")?;
        self.restore(&node, "", &self.rules(1))?;
        let tracer = setting.trace(&["--only", "ruleset", "--netns", node.name()])?;
        tracer.wait_for("the table as it is meant to be", |events| {
            !events.of("ruleset", &node).with("entries", MEANT + 1).is_empty()
        })?;

        // A controller that does not find its own rules adds them a second time, and so on.
        self.restore(&node, "--noflush", &self.more(1))?;
        // A table that took long to count is let alone for longer.
        tracer.wait_for("the second copy to be counted", |events| {
            !events.of("ruleset", &node).with("entries", 2 * MEANT + 1).is_empty()
        })?;
        let found = tracer.wait_for_finding(ID, self.subject)?;
        note(&format!("{}: found with {}", self.tool, found["title"]));
        self.restore(&node, "--noflush", &self.more(self.copies - 2))?;
        let many = self.copies * MEANT + 1;
        wait::until_within(CLOSES * 2, "all rules to be told", || {
            let told = || tracer.ask(|events| !events.of("ruleset", &node).with("entries", many).is_empty());
            Ok(told().then_some(()))
        })?;
        self.check_texts(&tracer, &node)?;

        self.restore(&node, "", &self.rules(1))?;
        tracer.wait_for_closed(ID, self.subject)?;
        tracer.stop()?.only_findings(&[(ID, self.subject)])
    }

    /// The finding names the rule, the tool that shows it and the version that is installed.
    fn check_texts(&self, tracer: &Tracer, node: &Namespace) -> Result<()> {
        let version = node.run(self.tool, "--version")?;
        let version =
            version.split_whitespace().find_map(|word| word.strip_prefix('v')).context("a version")?;
        tracer.wait_for("the rule and the version in the evidence", |events| {
            let findings = events.findings(ID);
            findings.says("evidence", &format!("times: -A leaked -s {}", self.network)).is_ok()
                && findings.says("evidence", "-m comment --comment \"added by a controller\"").is_ok()
                && findings.says("evidence", version).is_ok()
                && findings.says("advice", &format!("{}-restore -T filter", self.tool)).is_ok()
        })
    }

    /// What the table is meant to hold, each rule of the chain that many times.
    fn rules(&self, copies: u64) -> String {
        let mut rules = "*filter\n:leaked - [0:0]\n-A INPUT -j leaked\n".to_owned();
        self.write_copies(&mut rules, copies);
        rules
    }

    /// Only the rules of the chain.
    fn more(&self, copies: u64) -> String {
        let mut rules = "*filter\n".to_owned();
        self.write_copies(&mut rules, copies);
        rules
    }

    fn write_copies(&self, rules: &mut String, copies: u64) {
        let Self { network, mask, .. } = self;
        let separator = if *mask == 128 { ":" } else { ".0." };
        for number in (0..copies).flat_map(|_| 0..MEANT) {
            // Writing to a string does not fail.
            let _ = writeln!(
                rules,
                "-A leaked -s {network}{separator}{number}/{mask} -m comment --comment \"added by a controller\" -j RETURN"
            );
        }
        rules.push_str("COMMIT\n");
    }

    fn restore(&self, node: &Namespace, how: &str, rules: &str) -> Result<()> {
        let tool = format!("{}-restore", self.tool);
        let program: Vec<&str> = [tool.as_str(), how].into_iter().filter(|word| !word.is_empty()).collect();
        node.feed(&program, rules)
    }
}

/// A chain of that many rules, all different, from a number on.
fn different(first: u64, rules: u64) -> String {
    let mut text = "*filter\n:SERVICES - [0:0]\n-A INPUT -j SERVICES\n".to_owned();
    for number in first..first + rules {
        let [.., b, c, d] = number.to_be_bytes();
        // Writing to a string does not fail.
        let _ = writeln!(text, "-A SERVICES -d 10.{b}.{c}.{d}/32 -p tcp -m tcp --dport 80 -j RETURN");
    }
    text.push_str("COMMIT\n");
    text
}

fn healthy(setting: &Setting) -> Result<()> {
    const RULES: u64 = 20_000;
    const LOADS: u64 = 6;
    let node = Namespace::new("large")?;
    let tracer = setting.trace(&["--only", "ruleset", "--netns", node.name()])?;
    let samples = |tracer: &Tracer| {
        tracer.ask(|events| events.all().iter().filter(|event| event["type"] == "stats").count())
    };
    let pass = |lots: usize| {
        let had = samples(&tracer);
        tracer.wait_for("some more rounds", |events| {
            events.all().iter().filter(|event| event["type"] == "stats").count() >= had + 3 * lots
        })
    };
    for load in 0..LOADS {
        // The same set again; and a rollout, in which the oldest rules give way to new ones.
        let first = load / 2 * RULES / 10;
        node.feed(&["iptables-legacy-restore"], &different(first, RULES))?;
        node.feed(&["iptables-nft-restore"], &different(first, RULES / 10))?;
        pass(2)?;
    }
    for table in ["legacy", "nft"] {
        let told = tracer.ask(|events| events.of("ruleset", &node).with("backend", table).count());
        anyhow::ensure!(told > 0, "no table of {table} was told");
    }
    // Rules that go one by one, while others come.
    for number in 0..50 {
        node.run("iptables-legacy", "-D SERVICES 1")?;
        node.run("iptables-legacy", &format!("-A SERVICES -d 10.200.0.{number}/32 -j RETURN"))?;
    }
    pass(2)?;
    tracer.stop()?.only_findings(&[])
}
