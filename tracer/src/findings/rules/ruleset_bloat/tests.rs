//! When a table is one, and what is said of it.

use std::sync::Arc;

use crate::{
    event::{
        Body, ChainEntries, Change, Facts, Namespace, Process, RepeatedRule, Ruleset, RulesetBackend,
        RulesetChange, RulesetFamily, Text,
    },
    findings::{Certainty, Finding, FindingStatus, Severity},
    state::{
        State,
        fixture::{event, ruleset},
    },
};

/// A count of the table `filter`.
fn count(entries: u32, duplicates: u32) -> Ruleset {
    Ruleset { entries, examined: entries, duplicates, ..ruleset("filter") }
}

fn told_again(previous: u32, now: Ruleset) -> Ruleset {
    Ruleset { previous: Some(previous), changed_ms_ago: Some(0), change: RulesetChange::Grown, ..now }
}

/// Takes counts in, looking after each; seconds, rules, duplicates.
fn counted(counts: &[(u32, u32, u32)]) -> State {
    let mut state = State::default();
    let mut previous = None;
    for &(second, entries, duplicates) in counts {
        let now = count(entries, duplicates);
        let now = previous.map_or_else(|| now.clone(), |previous| told_again(previous, now.clone()));
        previous = Some(entries);
        state.apply(&event(u64::from(second) * 1_000, Body::Ruleset(now)));
        state.look();
    }
    state
}

fn open(state: &State) -> Vec<(Severity, Certainty, &str, &str)> {
    let of = |finding: &'_ Finding| finding.id == "ruleset-bloat";
    let open = state.findings.open().iter().filter(|finding| of(finding));
    open.map(|found| (found.severity, found.certainty, found.who.as_str(), found.what.as_str())).collect()
}

#[test]
fn repeated_rules_open_it_and_their_end_closes_it() {
    use FindingStatus::{Closed, Open, Update};
    let state = counted(&[
        (0, 200, 0),
        (5, 299, 99),
        (10, 300, 100),
        // Fewer, but not gone.
        (15, 260, 60),
        (20, 180_000, 179_800),
        (25, 200, 0),
    ]);
    let log: Vec<_> = state
        .findings
        .log()
        .iter()
        .map(|change| (change.time.boot_ns / 1_000_000_000, change.status))
        .collect();
    assert_eq!(log, [(10, Open), (20, Update), (25, Closed)]);
    assert_eq!(open(&state), []);
    let worst = &state.findings.log()[1].finding;
    assert_eq!(worst.severity, Severity::Critical);
    assert_eq!(
        (worst.who.as_str(), worst.what.as_str()),
        (
            "legacy ip filter",
            "rules are added again and again: 179,800 of 180,000 repeat another of their chain"
        )
    );
    let span = worst.span.expect("known");
    assert_eq!((span.first.boot_ns, span.last.boot_ns), (5_000_000_000, 20_000_000_000));
}

#[test]
fn what_only_looks_like_it_is_none() {
    let minutes = |minute: u32| minute * 60;
    // A cluster that is large, or fills.
    let large: Vec<(u32, u32, u32)> = vec![(0, 20_000, 3)];
    let filling: Vec<(u32, u32, u32)> = (0..60).map(|second| (second, 500 * second, 0)).collect();
    // The same rules flushed and loaded again and again.
    let reloaded: Vec<(u32, u32, u32)> =
        (0..200).map(|step| (10 * step, if step % 2 == 0 { 20_000 } else { 0 }, 0)).collect();
    // Services come and go, for an hour, and are more in the end.
    let rolling: Vec<(u32, u32, u32)> =
        (0..60).map(|minute| (minutes(minute), 1_000 + 50 * minute - 90 * (minute % 2), 0)).collect();
    // It grew for a while, and has not since.
    let grown: Vec<(u32, u32, u32)> = (0..15)
        .map(|minute| (minutes(minute), 100 + 100 * minute, 0))
        .chain([(minutes(90), 1_500, 0)])
        .collect();
    // A few rollouts a day, each of which leaves more.
    let rollouts: Vec<(u32, u32, u32)> = (0..20).map(|hour| (hour * 3_600, 1_000 + 400 * hour, 0)).collect();
    for counts in [large, filling, reloaded, rolling, grown, rollouts] {
        let state = counted(&counts);
        assert!(state.findings.log().is_empty(), "{counts:?}: {:?}", state.findings.log());
    }
}

#[test]
fn a_table_that_only_grows_may_leak() {
    let counts: Vec<(u32, u32, u32)> = (0..=15).map(|minute| (minute * 60, 200 + 100 * minute, 0)).collect();
    assert_eq!(open(&counted(&counts[..15])), []);
    let state = counted(&counts);
    assert_eq!(
        open(&state),
        [(
            Severity::Warning,
            Certainty::Possible,
            "legacy ip filter",
            "grows without an end: 1,700 rules, 1,500 more in 15 minutes and none less"
        )]
    );
}

#[test]
fn many_different_rules_are_told_as_that() {
    assert_eq!(open(&counted(&[(0, 49_999, 99)])), []);
    let many = counted(&[(0, 50_000, 99)]);
    assert_eq!(open(&many)[0].0, Severity::Notice);
}

/// A table as it was found, on a node with these programs.
fn found(table: &Ruleset, others: &[Ruleset], programs: &[(&str, &str)]) -> Finding {
    let mut state = State::default();
    let facts = programs.iter().map(|(name, value)| (Text::new(name), Text::new(value))).collect();
    state.apply(&event(0, Body::Facts(Arc::new(Facts(facts)))));
    for told in others.iter().chain([table]) {
        state.apply(&event(1_000, Body::Ruleset(told.clone())));
    }
    state.look();
    state.findings.open().iter().find(|finding| finding.id == "ruleset-bloat").expect("one").clone()
}

#[test]
fn it_names_the_rule_the_back_ends_and_the_version() {
    let leaked = Ruleset {
        backend: RulesetBackend::Nft,
        repeated: Some(RepeatedRule {
            rule: Text::new("-A KUBE-ROUTER-INPUT -s 10.42.0.7/32 -m comment --comment \"x\" -j RETURN"),
            count: 900,
        }),
        largest: vec![ChainEntries { chain: Text::new("KUBE-ROUTER-INPUT"), entries: 900 }],
        ..count(1_000, 899)
    };
    let nat = Ruleset { entries: 12, ..ruleset("nat") };
    let programs = [
        ("iptables /usr/sbin/iptables", "1.8.4 (nf_tables)"),
        ("iptables /usr/sbin/iptables-legacy", "1.8.4 (legacy)"),
    ];
    let finding = found(&leaked, &[nat], &programs);
    assert_eq!(
        finding.evidence,
        [
            "900 times: -A KUBE-ROUTER-INPUT -s 10.42.0.7/32 -m comment --comment \"x\" -j RETURN",
            "1,000 rules in 3 chains, not growing",
            "the longest: KUBE-ROUTER-INPUT 900",
            "repeated since 10:13:21 UTC at the latest",
            "iptables is in use by both back ends, each blind to the other's rules: legacy has nat 12 too",
            "installed: /usr/sbin/iptables 1.8.4 (nf_tables), /usr/sbin/iptables-legacy 1.8.4 (legacy)",
        ]
    );
    assert_eq!(
        finding.advice,
        [
            "/usr/sbin/iptables 1.8.4 (nf_tables) does not find rules that are there and adds them again: update it to \
             1.8.5 or later (k3s: --prefer-bundled-bin)",
            "stop what adds them, by its names kube-router, or restart it with a version that finds its own rules",
            "keep one rule of each (nft back end): `iptables-nft-save -t filter | awk '!/^-A/ || !seen[$0]++' | \
             iptables-nft-restore -T filter`",
            "confirm: `iptables-nft-save -t filter | grep -c ^-A`, and what repeats: `iptables-nft-save -t filter | sort | \
             uniq -c | sort -rn | head`",
            "have every program on this node use the same back end (`update-alternatives --config iptables`; containers \
             bring their own)",
        ]
    );
}

#[test]
fn what_came_to_rest_is_not_said_to_be_added() {
    let what = |counts: &[(u32, u32, u32)]| open(&counted(counts))[0].3.to_owned();
    let title = "150 of 350 repeat another of their chain";
    assert_eq!(what(&[(0, 350, 150)]), format!("the same rules again and again: {title}"));
    assert_eq!(what(&[(0, 200, 0), (5, 350, 150)]), format!("rules are added again and again: {title}"));
    assert_eq!(
        what(&[(0, 200, 0), (5, 350, 150), (120, 350, 150)]),
        format!("the same rules again and again: {title}")
    );
    let some = Ruleset { examined: 300, ..count(20_335, 150) };
    assert_eq!(
        found(&some, &[], &[]).what,
        "the same rules again and again: 150 of 300 looked at, of 20,335 repeat another of their chain"
    );
}

#[test]
fn commands_lead_into_the_namespace_they_are_for() {
    let told = |name: Option<&str>, process: Option<u32>, is_of_node: bool| {
        let mut state = State::default();
        let process = process.map(|id| Process { id, command: Text::new("pause") });
        let namespace =
            Namespace { change: Change::Added, is_of_node, name: name.map(Text::new), process, pod: None };
        state.apply(&event(0, Body::Namespace(Arc::new(namespace))));
        state.apply(&event(1_000, Body::Ruleset(count(350, 150))));
        state.look();
        let finding = state.findings.open()[0].clone();
        let mend = finding.advice.iter().find(|step| step.starts_with("keep one")).expect("a step").clone();
        let mend = mend.split('`').nth(1).map(str::to_owned).expect("a command");
        (mend, finding.evidence.iter().any(|line| line.starts_with("in network namespace")))
    };
    let awk = "awk '!/^-A/ || !seen[$0]++'";
    let expected = |prefix: &str| {
        format!("{prefix}iptables-legacy-save -t filter | {awk} | {prefix}iptables-legacy-restore -T filter")
    };
    assert_eq!(told(None, Some(1), true), (expected(""), false));
    assert_eq!(told(Some("blue"), Some(7), false), (expected("ip netns exec blue "), true));
    assert_eq!(told(None, Some(7), false), (expected("nsenter -n -t 7 "), true));
    assert_eq!(told(Some("a;b"), Some(7), false), (expected("nsenter -n -t 7 "), true));
    assert_eq!(told(None, None, false), (expected(""), true));
}

#[test]
fn tables_of_other_tools_and_families_have_their_own_commands() {
    let v6 = Ruleset { family: RulesetFamily(10), ..count(1_000, 800) };
    let finding = found(&v6, &[], &[]);
    assert_eq!(finding.who, "legacy ip6 filter");
    assert!(finding.advice[1].contains("ip6tables-legacy-save -t filter |"), "{:?}", finding.advice);
    let own = Ruleset {
        backend: RulesetBackend::Nft,
        family: RulesetFamily(1),
        largest: vec![ChainEntries { chain: Text::new("forward"), entries: 900 }],
        ..count(1_000, 800)
    };
    let finding = found(&own, &[], &[]);
    assert_eq!(
        finding.advice.last().map(String::as_str),
        Some(
            "list them with their handles, and delete the copies by these: `nft -a list chain inet filter forward`"
        )
    );
}
