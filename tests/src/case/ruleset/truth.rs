//! What iptables and nft list, and what tracer tells of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{expect::Events, namespace::Namespace};

/// Where a table is: backend, family, name.
pub(super) type Place = (String, String, String);

/// What is told of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) entries: u64,
    pub(super) duplicates: u64,
    pub(super) chains: u64,
    /// The chains with rules, and how many.
    pub(super) chain_entries: BTreeMap<String, u64>,
}

/// The tables of a namespace as last told, without those that are gone.
pub(super) fn told(events: &Events, namespace: &Namespace) -> BTreeMap<Place, Told> {
    let mut tables = BTreeMap::new();
    for event in events.of("ruleset", namespace).events() {
        let word = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let count = |field: &str| event[field].as_u64().unwrap_or_default();
        let place = (word("backend"), word("family"), word("table"));
        if event["change"] == "removed" {
            tables.remove(&place);
            continue;
        }
        let largest = event["largest"].as_array().into_iter().flatten();
        let told = Told {
            entries: count("entries"),
            duplicates: count("duplicates"),
            chains: count("chains"),
            chain_entries: largest
                .filter_map(|chain| Some((chain["chain"].as_str()?.to_owned(), chain["entries"].as_u64()?)))
                .collect(),
        };
        tables.insert(place, told);
    }
    tables
}

/// The tables of a namespace as their own tools list them.
pub(super) fn listed(namespace: &Namespace) -> Result<BTreeMap<Place, Told>> {
    let mut tables = BTreeMap::new();
    for (family, file, tool) in [
        ("ip", "ip_tables_names", "iptables-legacy-save"),
        ("ip6", "ip6_tables_names", "ip6tables-legacy-save"),
    ] {
        for table in namespace.proc_net(file).unwrap_or_default().lines() {
            let saved = namespace.run(tool, &format!("-t {table}"))?;
            let place = ("legacy".to_owned(), family.to_owned(), table.to_owned());
            tables.insert(place, of_saved(&saved));
        }
    }
    let ruleset = namespace.run("nft", "-j list ruleset")?;
    let ruleset: Value = serde_json::from_str(&ruleset).context("what nft lists")?;
    tables.extend(of_nft(&ruleset));
    Ok(tables)
}

/// Chains and the texts of their rules.
type Chains = BTreeMap<String, Vec<String>>;

fn summary(chains: &Chains) -> Told {
    let rules = |chain: &Vec<String>| chain.len() as u64;
    let repeated = |chain: &Vec<String>| rules(chain) - chain.iter().collect::<BTreeSet<_>>().len() as u64;
    Told {
        entries: chains.values().map(rules).sum(),
        duplicates: chains.values().map(repeated).sum(),
        chains: chains.len() as u64,
        chain_entries: chains
            .iter()
            .filter(|(_, chain)| !chain.is_empty())
            .map(|(name, chain)| (name.clone(), rules(chain)))
            .collect(),
    }
}

/// What `iptables-save` prints of one table.
fn of_saved(saved: &str) -> Told {
    let mut chains = Chains::new();
    for line in saved.lines() {
        if let Some(chain) = line.strip_prefix(':') {
            chains.entry(chain.split(' ').next().unwrap_or_default().to_owned()).or_default();
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (chain, rule) = rule.split_once(' ').unwrap_or((rule, ""));
            chains.entry(chain.to_owned()).or_default().push(rule.to_owned());
        }
    }
    summary(&chains)
}

/// What `nft -j list ruleset` prints.
fn of_nft(ruleset: &Value) -> BTreeMap<Place, Told> {
    let mut tables: BTreeMap<Place, Chains> = BTreeMap::new();
    for object in ruleset["nftables"].as_array().into_iter().flatten() {
        let word = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let place =
            |object: &Value, table: &str| ("nft".to_owned(), word(object, "family"), word(object, table));
        if let Some(table) = object.get("table") {
            tables.entry(place(table, "name")).or_default();
        } else if let Some(chain) = object.get("chain") {
            tables.entry(place(chain, "table")).or_default().entry(word(chain, "name")).or_default();
        } else if let Some(rule) = object.get("rule") {
            let mut expressions = rule["expr"].clone();
            for expression in expressions.as_array_mut().into_iter().flatten() {
                if let Some(counter) = expression.get_mut("counter") {
                    *counter = Value::Null;
                }
            }
            let text = format!("{expressions} {}", rule["comment"]);
            let chains = tables.entry(place(rule, "table")).or_default();
            chains.entry(word(rule, "chain")).or_default().push(text);
        }
    }
    tables.iter().map(|(place, chains)| (place.clone(), summary(chains))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_rules_are_counted() {
        let told = of_saved(
            "*filter\n:INPUT ACCEPT [0:0]\n:x - [0:0]\n-A x -j ACCEPT\n-A x -j ACCEPT\n-A x\nCOMMIT\n",
        );
        assert_eq!((told.entries, told.duplicates, told.chains), (3, 1, 2));
        assert_eq!(told.chain_entries, BTreeMap::from([("x".to_owned(), 3)]));
    }

    #[test]
    fn listed_rules_are_equal_but_for_their_counters() {
        let rule = |packets: u64, comment: &str| {
            serde_json::json!({"rule": {"family": "ip", "table": "t", "chain": "c", "handle": packets,
                "expr": [{"counter": {"packets": packets}}, {"drop": null}], "comment": comment}})
        };
        let ruleset = serde_json::json!({"nftables": [
            {"table": {"family": "ip", "name": "t"}}, {"chain": {"family": "ip", "table": "t", "name": "c"}},
            rule(1, "a"), rule(2, "a"), rule(3, "b"),
        ]});
        let told = of_nft(&ruleset);
        let place = ("nft".to_owned(), "ip".to_owned(), "t".to_owned());
        assert_eq!((told[&place].entries, told[&place].duplicates, told[&place].chains), (3, 1, 1));
    }
}
