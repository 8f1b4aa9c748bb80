//! How many rules a table has.

use std::fmt;

use tracer_common::record::{RulesetRecord, ruleset_backend, ruleset_flag};

use super::Text;

/// A table of iptables or nftables, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// Where the table is.
    pub backend: RulesetBackend,
    /// What packets it is for.
    pub family: RulesetFamily,
    /// Its name.
    pub table: Text,
    /// What became of it.
    pub change: RulesetChange,
    /// Rules of all chains, without policies and what sets hold.
    pub entries: u32,
    /// Rules as told last; 0 for a table made since then.
    pub previous: Option<u32>,
    /// Rules that were looked at; the others are known by number only.
    pub examined: u32,
    /// Those of them that are equal to an earlier one of their chain.
    pub duplicates: u32,
    /// Chains, with and without rules.
    pub chains: u32,
    /// The chains with the most rules, the longest first.
    pub largest: Vec<ChainEntries>,
    /// A rule that is there more than once.
    pub repeated: Option<RepeatedRule>,
    /// How long ago the change was noticed, in milliseconds.
    pub changed_ms_ago: Option<u32>,
    /// How long counting took, in microseconds.
    pub took_us: u32,
    /// How exact the numbers are.
    pub exactness: RulesetExactness,
}

/// A chain and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEntries {
    /// Its name.
    pub chain: Text,
    /// How many rules it has.
    pub entries: u32,
}

/// A rule, and how often it is in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedRule {
    /// As its tool lists it; `…` stands for what is not decoded.
    pub rule: Text,
    /// How often it is there.
    pub count: u32,
}

/// Which half of the kernel a table is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RulesetBackend {
    /// `ip_tables` and its siblings: what `iptables-legacy` shows.
    Legacy,
    /// nftables: what `nft` shows, and `iptables-nft` of its own tables.
    Nft,
}

impl RulesetBackend {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Nft => "nft",
        }
    }
}

/// What packets a table is for: an `NFPROTO_*` number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RulesetFamily(pub u8);

impl fmt::Display for RulesetFamily {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "inet",
            2 => "ip",
            3 => "arp",
            5 => "netdev",
            7 => "bridge",
            10 => "ip6",
            other => return write!(formatter, "family-{other}"),
        };
        formatter.pad(name)
    }
}

/// How exact the numbers of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesetExactness {
    /// The table at one moment.
    Exact,
    /// The table at one moment; what was not looked at may hold a few that are no rules: jumps to long chains, heads
    /// and ends of chains.
    AtMost,
    /// A table that kept changing while it was counted.
    Moving,
    /// There are more rules than those counted.
    AtLeast,
}

impl RulesetExactness {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AtMost => "at-most",
            Self::Moving => "moving",
            Self::AtLeast => "at-least",
        }
    }
}

/// What became of a table since it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesetChange {
    /// It is told for the first time, and was there when tracer came.
    Found,
    /// It has more rules.
    Grown,
    /// It has fewer rules.
    Shrunk,
    /// It has as many, but other ones.
    Changed,
    /// It is gone.
    Removed,
}

impl RulesetChange {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Grown => "grown",
            Self::Shrunk => "shrunk",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

impl Ruleset {
    /// The table of a record and the text behind it.
    pub fn from_record(record: &RulesetRecord, text: &[u8]) -> Self {
        let has = |flag: u16| record.flags & flag != 0;
        let previous = has(ruleset_flag::HAS_PREVIOUS).then_some(record.previous);
        let mut names = text.split(|&byte| byte == b'\n').map(Text::from_bytes);
        let table = names.next().unwrap_or_default();
        let largest = record.largest.iter().zip(names).take_while(|(entries, _)| **entries > 0);
        Self {
            backend: match record.backend {
                ruleset_backend::LEGACY => RulesetBackend::Legacy,
                _ => RulesetBackend::Nft,
            },
            family: RulesetFamily(record.family),
            table,
            change: match previous {
                _ if has(ruleset_flag::REMOVED) => RulesetChange::Removed,
                None => RulesetChange::Found,
                Some(previous) if record.entries > previous => RulesetChange::Grown,
                Some(previous) if record.entries < previous => RulesetChange::Shrunk,
                Some(_) => RulesetChange::Changed,
            },
            entries: record.entries,
            previous,
            examined: record.examined,
            duplicates: record.duplicates,
            chains: record.chains,
            largest: largest.map(|(&entries, chain)| ChainEntries { chain, entries }).collect(),
            repeated: repeated(text),
            changed_ms_ago: previous.map(|_| record.changed_ms_ago),
            took_us: record.took_us,
            exactness: if has(ruleset_flag::PARTIAL) {
                RulesetExactness::AtLeast
            } else if has(ruleset_flag::MOVING) {
                RulesetExactness::Moving
            } else if has(ruleset_flag::AT_MOST) {
                RulesetExactness::AtMost
            } else {
                RulesetExactness::Exact
            },
        }
    }

    /// How many rules more there are than told last.
    pub fn growth(&self) -> Option<i64> {
        self.previous.map(|previous| i64::from(self.entries) - i64::from(previous))
    }
}

/// The rule behind the names, if there is one: an empty line, a number, the rule.
fn repeated(text: &[u8]) -> Option<RepeatedRule> {
    let behind = text.windows(2).position(|pair| pair == b"\n\n")? + 2;
    let mut lines = text[behind..].split(|&byte| byte == b'\n');
    let count = std::str::from_utf8(lines.next()?).ok()?.parse().ok()?;
    let rule = Text::from_bytes(lines.next()?);
    (!rule.is_empty()).then_some(RepeatedRule { rule, count })
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{RulesetRecord, ruleset_flag};

    use super::*;

    #[test]
    fn what_became_of_a_table_follows_from_its_numbers() {
        let cases = [
            (0, 5, 9, RulesetChange::Found, None),
            (ruleset_flag::HAS_PREVIOUS, 5, 0, RulesetChange::Grown, Some(5)),
            (ruleset_flag::HAS_PREVIOUS, 5, 9, RulesetChange::Shrunk, Some(-4)),
            (ruleset_flag::HAS_PREVIOUS, 5, 5, RulesetChange::Changed, Some(0)),
            (ruleset_flag::HAS_PREVIOUS | ruleset_flag::REMOVED, 0, 5, RulesetChange::Removed, Some(-5)),
        ];
        for (flags, entries, previous, change, growth) in cases {
            let record = RulesetRecord { flags, entries, previous, ..RulesetRecord::default() };
            let ruleset = Ruleset::from_record(&record, b"filter\n\0\0");
            assert_eq!((ruleset.change, ruleset.growth()), (change, growth), "{flags} {entries} {previous}");
            assert_eq!(ruleset.table.as_str(), "filter");
        }
    }

    #[test]
    fn chains_have_the_name_at_their_place() {
        let record = RulesetRecord { largest: [7, 5, 0, 0, 0, 0, 0, 0], ..RulesetRecord::default() };
        let told = |text: &[u8]| -> Vec<(String, u32)> {
            let largest = Ruleset::from_record(&record, text).largest;
            largest.into_iter().map(|told| (told.chain.to_string(), told.entries)).collect()
        };
        assert_eq!(told(b"nat\nKUBE-SVC\nINPUT\n\0"), [("KUBE-SVC".into(), 7), ("INPUT".into(), 5)]);
        assert_eq!(told(b"nat\nKUBE\x1b[1m\n\0"), [("KUBE\u{fffd}[1m".into(), 7), (String::new(), 5)]);
        assert_eq!(told(b""), []);
    }

    #[test]
    fn a_repeated_rule_stands_behind_the_names() {
        let record = RulesetRecord { largest: [7, 0, 0, 0, 0, 0, 0, 0], ..RulesetRecord::default() };
        for (text, expected) in [
            (&b"nat\nx\n\n7\n-A x -j ACCEPT\n\0"[..], Some((7, "-A x -j ACCEPT"))),
            (b"nat\nx\n\0\0", None),
            (b"nat\nx\n\n7\n", None),
            (b"nat\nx\n\nmany\n-A x\n", None),
            (b"nat\nx\n\n7\n\x1b[1m\n", Some((7, "\u{fffd}[1m"))),
        ] {
            let ruleset = Ruleset::from_record(&record, text);
            let repeated = ruleset.repeated.as_ref().map(|repeated| (repeated.count, repeated.rule.as_str()));
            assert_eq!(repeated, expected, "{text:?}");
            assert_eq!(ruleset.largest.len(), 1);
        }
    }
}
