//! What is said of a table with too many rules.

use super::{super::tables, Bloat, Growth};
use crate::{
    event::{Netns, RulesetBackend, RulesetExactness, RulesetFamily, Text, Timestamp},
    rulesets::iptables::{Program, programs},
    state::{State, Table, TableKey},
    words::{
        counted, exact,
        settings::{both_back_ends, one_back_end},
        time_of_day,
    },
};

/// Chains told by name.
const CHAINS: usize = 3;

/// Versions of `iptables-nft` that do not find rules that are there, and so add them again.
const FAULTY: std::ops::RangeInclusive<[u32; 3]> = [1, 8, 0]..=[1, 8, 4];

pub(super) fn what(table: &Table, growth: Option<Growth>, is_growing: bool, bloat: Bloat) -> String {
    let entries = exact(u64::from(table.entries));
    match bloat {
        Bloat::Repeats => {
            let again =
                if is_growing { "rules are added again and again" } else { "the same rules again and again" };
            let among = if table.examined < table.entries {
                format!("{} looked at, of {entries}", exact(u64::from(table.examined)))
            } else {
                entries
            };
            let duplicates = exact(u64::from(table.duplicates));
            format!("{again}: {duplicates} of {among} repeat another of their chain")
        }
        Bloat::Grows => {
            let more = growth.map_or(0, |growth| u64::from(growth.rules()));
            let minutes = growth.map_or(0, |growth| growth.seconds() / 60);
            format!(
                "grows without an end: {entries} rules, {} more in {minutes} minutes and none less",
                exact(more)
            )
        }
        Bloat::Many => {
            format!("{entries} rules: listing and changing them takes long, and so may each new connection")
        }
    }
}

pub(super) fn evidence(state: &State, key: &TableKey, table: &Table, growth: Option<Growth>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(repeated) = &table.repeated {
        lines.push(format!("{} times: {}", exact(u64::from(repeated.count)), repeated.rule));
    }
    let bound = match table.exactness {
        RulesetExactness::AtLeast => "at least ",
        RulesetExactness::AtMost => "at most ",
        RulesetExactness::Exact | RulesetExactness::Moving => "",
    };
    let counts = [counted(u64::from(table.entries), "rule"), counted(u64::from(table.chains), "chain")];
    lines.push(format!("{bound}{} in {}, {}", counts[0], counts[1], growth_in_words(table, growth)));
    let largest = table.largest.iter().take(CHAINS);
    let largest: Vec<String> =
        largest.map(|told| format!("{} {}", told.chain, exact(u64::from(told.entries)))).collect();
    if !largest.is_empty() {
        lines.push(format!("the longest: {}", largest.join(", ")));
    }
    // A look at one moment, as `tracer doctor` takes it, has no time.
    if let Some(since) = table.duplicated.filter(|since| *since != Timestamp::default()) {
        lines.push(format!("repeated since {} UTC at the latest", time_of_day(since)));
    }
    lines.extend(other_half(state, key).map(|other| both_back_ends(&other)));
    lines.extend(tables::place(state, key.netns));
    let found: Vec<String> = programs(state, key.netns.node).map(|program| program.to_string()).collect();
    if !found.is_empty() {
        lines.push(format!("installed: {}", found.join(", ")));
    }
    lines
}

fn growth_in_words(table: &Table, growth: Option<Growth>) -> String {
    let is_now = |growth: &Growth| growth.last.1 == table.entries;
    let Some(growth) = growth.filter(is_now) else { return "not growing".to_owned() };
    let (since, first) = growth.began;
    let rate = growth.a_minute().map(|rate| format!(", {} a minute", exact(rate))).unwrap_or_default();
    format!("{} more than at {} UTC ({first}){rate}", exact(u64::from(growth.rules())), time_of_day(since))
}

/// Tables of the same family in the kernel's other half, where iptables has rules in both: `legacy has filter 12 too`.
pub(crate) fn other_half(state: &State, key: &TableKey) -> Option<String> {
    is_of_iptables(key).then_some(())?;
    let mut others: Vec<String> = state
        .rulesets
        .iter()
        .filter(|(other, table)| {
            let is_same = (other.netns, other.family) == (key.netns, key.family);
            is_same && other.backend != key.backend && is_of_iptables(other) && table.entries > 0
        })
        .map(|(other, table)| format!("{} {}", other.table, exact(u64::from(table.entries))))
        .collect();
    others.sort_unstable();
    let other = match key.backend {
        RulesetBackend::Legacy => RulesetBackend::Nft,
        RulesetBackend::Nft => RulesetBackend::Legacy,
    };
    (!others.is_empty()).then(|| format!("{} has {} too", other.name(), others.join(", ")))
}

/// Whether `iptables` or one of its siblings lists the table.
fn is_of_iptables(key: &TableKey) -> bool {
    let is_its_own = || matches!(key.table.as_str(), "filter" | "nat" | "mangle" | "raw" | "security");
    tool(key.family).is_some() && (key.backend == RulesetBackend::Legacy || is_its_own())
}

/// The tool for tables of iptables in a family.
fn tool(family: RulesetFamily) -> Option<&'static str> {
    match family.0 {
        2 => Some("iptables"),
        10 => Some("ip6tables"),
        _ => None,
    }
}

pub(super) fn advice(state: &State, key: &TableKey, table: &Table, bloat: Bloat) -> Vec<String> {
    let mut steps = Vec::new();
    if bloat != Bloat::Many {
        steps.extend(faulty(programs(state, key.netns.node), key.backend));
        steps.push(stop(table));
    }
    let (name, family) = (&key.table, key.family);
    if let Some(tool) = tool(family).filter(|_| is_of_iptables(key)) {
        let tool = format!("{}{tool}-{}", inside(state, key.netns), key.backend.name());
        if bloat == Bloat::Repeats {
            steps.push(format!(
                "keep one rule of each ({} back end): `{tool}-save -t {name} | awk '!/^-A/ || !seen[$0]++' | \
                     {tool}-restore -T {name}`",
                key.backend.name()
            ));
        }
        steps.push(format!("confirm: `{tool}-save -t {name} | grep -c ^-A`, and what repeats: `{tool}-save -t {name} | sort | uniq -c | sort -rn | head`"));
    } else {
        let chain = table.largest.first().map(|told| format!(" {}", told.chain)).unwrap_or_default();
        let what = if chain.is_empty() { "table" } else { "chain" };
        steps.push(format!(
                "list them with their handles, and delete the copies by these: `{}nft -a list {what} {family} {name}{chain}`",
                inside(state, key.netns)
            ));
    }
    if other_half(state, key).is_some() {
        steps.push(one_back_end());
    }
    steps
}

/// What a command for another network namespace begins with; nothing for the node's own, or where no way is known.
fn inside(state: &State, netns: Netns) -> String {
    let Some(namespace) = state.names.namespace(netns, state.now()).filter(|namespace| !namespace.is_of_node)
    else {
        return String::new();
    };
    let is_plain = |name: &&Text| {
        name.as_str().chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
    };
    let by_name = namespace.name.as_ref().filter(is_plain).map(|name| format!("ip netns exec {name} "));
    let by_process = || namespace.process.as_ref().map(|process| format!("nsenter -n -t {} ", process.id));
    by_name.or_else(by_process).unwrap_or_default()
}

/// Whom to stop: the rule says whose it is, mostly.
fn stop(table: &Table) -> String {
    const OWNERS: [(&str, &str); 7] = [
        ("KUBE-ROUTER", "kube-router"),
        ("KUBE-POD-FW", "kube-router"),
        ("KUBE-NWPLCY", "kube-router"),
        ("KUBE-", "kube-proxy or kubelet"),
        ("FLANNEL", "flannel"),
        ("CNI-", "the CNI plugins"),
        ("DOCKER", "docker"),
    ];
    let rule = table.repeated.as_ref().map(|repeated| repeated.rule.as_str());
    let chain = table.largest.first().map(|told| told.chain.as_str());
    let owner = rule.or(chain).and_then(|text| OWNERS.iter().find(|(mark, _)| text.contains(mark)));
    match owner {
        Some((_, owner)) => format!(
            "stop what adds them, by its names {owner}, or restart it with a version that finds its own rules"
        ),
        None => "stop what adds them: its name is often in the rule's comment or chain".to_owned(),
    }
}

/// The program whose fault it may be.
fn faulty(programs: impl Iterator<Item = Program>, backend: RulesetBackend) -> Option<String> {
    let is_faulty = |program: &Program| {
        program.is_nft == Some(true) && program.number().is_some_and(|version| FAULTY.contains(&version))
    };
    let program = programs.filter(|_| backend == RulesetBackend::Nft).find(is_faulty)?;
    Some(format!(
        "{program} does not find rules that are there and adds them again: update it to 1.8.5 or later (k3s: \
         --prefer-bundled-bin)"
    ))
}
