//! The kernel's own counters: the truth events are compared with.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::namespace::Namespace;

/// Counters of one network namespace by name, as `nstat` names them (`TcpRetransSegs`, `TcpExtTCPSynRetrans`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Reads the TCP counters of a namespace from `/proc/net/snmp` and `/proc/net/netstat`.
    pub fn tcp(namespace: &Namespace) -> Result<Self> {
        let mut counters = parse_pairs(&namespace.proc_net("snmp")?)?;
        counters.extend(parse_pairs(&namespace.proc_net("netstat")?)?);
        Ok(Self(counters))
    }

    /// Reads the conntrack counters of a namespace, summed over its CPUs, from `/proc/net/stat/nf_conntrack`.
    pub fn conntrack(namespace: &Namespace) -> Result<Self> {
        Ok(Self(parse_per_cpu(&namespace.proc_net("stat/nf_conntrack")?)?))
    }

    /// Reads the ICMP and ICMPv6 counters of a namespace from `/proc/net/snmp` and `/proc/net/snmp6`. Those of single
    /// types (`IcmpMsgOutType11`, `Icmp6OutType3`) are there only once they counted something.
    pub fn icmp(namespace: &Namespace) -> Result<Self> {
        let mut counters = parse_pairs(&namespace.proc_net("snmp")?)?;
        counters.extend(parse_singles(&namespace.proc_net("snmp6")?)?);
        Ok(Self(counters))
    }

    /// How much a counter that is there only once it counted something grew since `before`.
    pub fn growth_from_nothing(&self, before: &Self, name: &str) -> Result<u64> {
        let value = |counters: &Self| counters.0.get(name).copied().unwrap_or_default();
        u64::try_from(value(self) - value(before)).with_context(|| format!("{name} went back"))
    }

    /// One counter's value.
    pub fn value(&self, name: &str) -> Result<u64> {
        let value = self.0.get(name).with_context(|| format!("the kernel has no counter {name}"))?;
        u64::try_from(*value).with_context(|| format!("{name} is negative"))
    }

    /// How much one counter grew since `before`.
    pub fn growth(&self, before: &Self, name: &str) -> Result<u64> {
        let value = |counters: &Self| {
            counters.0.get(name).copied().with_context(|| format!("the kernel has no counter {name}"))
        };
        u64::try_from(value(self)? - value(before)?).with_context(|| format!("{name} went back"))
    }
}

/// Lines in pairs: `Tcp: name name …`, `Tcp: value value …`.
fn parse_pairs(text: &str) -> Result<BTreeMap<String, i64>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut counters = BTreeMap::new();
    for pair in lines.chunks_exact(2) {
        let (Some((prefix, names)), Some((same, values))) =
            (pair[0].split_once(':'), pair[1].split_once(':'))
        else {
            bail!("neither names nor values: {pair:?}");
        };
        if prefix != same || names.split_whitespace().count() != values.split_whitespace().count() {
            bail!("names and values do not match: {pair:?}");
        }
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            counters
                .insert(format!("{prefix}{name}"), value.parse().with_context(|| format!("{prefix}{name}"))?);
        }
    }
    Ok(counters)
}

/// A name and a value a line.
fn parse_singles(text: &str) -> Result<BTreeMap<String, i64>> {
    let mut counters = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(char::is_whitespace).context("neither name nor value")?;
        counters.insert(name.to_owned(), value.trim().parse().with_context(|| name.to_owned())?);
    }
    Ok(counters)
}

/// A line of names, then a line of hexadecimal values for each CPU.
fn parse_per_cpu(text: &str) -> Result<BTreeMap<String, i64>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().context("no names")?.split_whitespace().collect();
    let mut counters = BTreeMap::new();
    for line in lines {
        for (name, value) in names.iter().zip(line.split_whitespace()) {
            *counters.entry((*name).to_owned()).or_default() +=
                i64::from_str_radix(value, 16).with_context(|| format!("{name} {value}"))?;
        }
    }
    Ok(counters)
}

#[cfg(test)]
mod tests {
    use super::{Counters, parse_pairs, parse_per_cpu, parse_singles};

    #[test]
    fn pairs_of_lines_become_counters() {
        let counters =
            parse_pairs("Tcp: MaxConn RetransSegs\nTcp: -1 7\nTcpExt: TCPSynRetrans\nTcpExt: 3\n").unwrap();
        assert_eq!(counters["TcpRetransSegs"], 7);
        assert_eq!(counters["TcpMaxConn"], -1);
        assert_eq!(counters["TcpExtTCPSynRetrans"], 3);
        assert!(parse_pairs("Tcp: One Two\nTcp: 1\n").is_err());
        assert!(parse_pairs("Tcp: One\nUdp: 1\n").is_err());
    }

    #[test]
    fn single_lines_become_counters() {
        let counters = parse_singles("Ip6InReceives   \t7\nIcmp6OutType3\t\t5\n").unwrap();
        assert_eq!((counters["Ip6InReceives"], counters["Icmp6OutType3"]), (7, 5));
        assert!(parse_singles("Ip6InReceives\n").is_err() && parse_singles("Ip6InReceives x\n").is_err());
    }

    #[test]
    fn a_counter_that_is_not_there_yet_counted_nothing() {
        let counters = |pairs: &[(&str, i64)]| {
            Counters(pairs.iter().map(|&(name, value)| (name.to_owned(), value)).collect())
        };
        let (before, after) = (counters(&[("a", 2)]), counters(&[("a", 3), ("b", 4)]));
        for (name, grown) in [("a", 1), ("b", 4), ("c", 0)] {
            assert_eq!(after.growth_from_nothing(&before, name).unwrap(), grown, "{name}");
        }
    }

    #[test]
    fn rows_of_cpus_are_summed() {
        let counters = parse_per_cpu("entries drop early_drop\n0a 01 00\n0a 0f 02\n").unwrap();
        assert_eq!((counters["drop"], counters["early_drop"]), (16, 2));
    }

    #[test]
    fn growth_needs_the_counter_and_never_goes_back() {
        let with = |value| Counters([("drop".to_owned(), value)].into());
        assert_eq!(with(5).growth(&with(3), "drop").unwrap(), 2);
        assert!(with(3).growth(&with(5), "drop").is_err());
        assert!(with(3).growth(&with(1), "absent").is_err());
    }
}
