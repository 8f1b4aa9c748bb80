//! Tables of nftables, told by the kernel over netlink (`net/netfilter/nf_tables_api.c`), and made by `nft` or by
//! `iptables-nft`.
//!
//! Only rules are counted, not what sets and maps hold. A kernel without nftables must not be asked: it would load it.

mod message;
mod netlink;
mod rule;

use std::hash::RandomState;

use anyhow::Context as _;

use self::{
    message::{big_endian, name},
    netlink::{Answer, Netlink},
    rule::hash,
};
use super::{ATTEMPTS, Deadline, Exactness, TABLES, TableCount, Tally};

/// Kinds of messages (`enum nf_tables_msg_types`).
mod kind {
    pub(super) const GET_TABLE: u8 = 1;
    pub(super) const GET_CHAIN: u8 = 4;
    pub(super) const GET_RULE: u8 = 7;
    pub(super) const GET_GENERATION: u8 = 16;
}

/// Attributes (`enum nft_table_attributes` and its siblings).
mod attribute {
    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const GENERATION_ID: u16 = 1;
}

/// Every family of tables (`NFPROTO_UNSPEC`).
const ALL_FAMILIES: u8 = 0;

/// A table, and how many chains it has.
struct Table {
    family: u8,
    name: Vec<u8>,
    chains: u32,
}

/// A socket to ask for tables, in the namespace it was made in.
pub(crate) struct Tables(Netlink);

impl Tables {
    /// For the calling thread's namespace.
    pub(crate) fn open() -> anyhow::Result<Self> {
        Ok(Self(Netlink::open().context("cannot open a socket to ask for nftables")?))
    }

    /// The number of the ruleset: another after each change, those of sets included.
    pub(crate) fn generation(&mut self) -> anyhow::Result<u32> {
        let mut generation = None;
        self.0
            .get(kind::GET_GENERATION, |message| {
                generation = message.attribute(attribute::GENERATION_ID).and_then(big_endian);
            })
            .context("the kernel does not tell the generation of nftables")?;
        generation.context("the generation of nftables has no number")
    }

    /// Counts every table, at most [`TABLES`]. Uses the socket up.
    pub(crate) fn count(mut self, deadline: Deadline) -> anyhow::Result<Vec<TableCount>> {
        let mut attempt = 1;
        loop {
            let generation = self.generation()?;
            let (mut counts, answer) = self.count_once(deadline)?;
            let is_moving =
                answer == Answer::Interrupted || answer == Answer::Whole && self.generation()? != generation;
            if is_moving && attempt < ATTEMPTS && !deadline.is_over() {
                attempt += 1;
                continue;
            }
            if is_moving {
                counts.iter_mut().for_each(|count| count.exactness = Exactness::Moving);
            }
            return Ok(counts);
        }
    }

    fn count_once(&mut self, deadline: Deadline) -> anyhow::Result<(Vec<TableCount>, Answer)> {
        let (tables, mut all) = self.tables(deadline)?;
        let hashing = RandomState::new();
        let mut counts = Vec::with_capacity(tables.len());
        for Table { family, name: table, chains } in tables {
            let mut tally = Tally::new();
            let answer = self
                .0
                .dump(kind::GET_RULE, family, Some((attribute::RULE_TABLE, &table)), deadline, |message| {
                    let chain = name(message.attribute(attribute::RULE_CHAIN));
                    if !tally.is_in(chain) {
                        tally.enter(chain);
                    }
                    tally.rule(hash(&hashing, message));
                })
                .with_context(|| format!("cannot list the rules of {}", String::from_utf8_lossy(&table)))?;
            all = all.max(answer);
            let is_partial = answer == Answer::GivenUp;
            let exactness = if is_partial { Exactness::Partial } else { Exactness::Exact };
            counts.push(tally.finish(family, table, Some(chains), exactness));
            if is_partial {
                break;
            }
        }
        Ok((counts, all))
    }

    /// The tables, at most [`TABLES`], each with the number of its chains.
    fn tables(&mut self, deadline: Deadline) -> anyhow::Result<(Vec<Table>, Answer)> {
        let mut tables: Vec<Table> = Vec::new();
        let first = self
            .0
            .dump(kind::GET_TABLE, ALL_FAMILIES, None, deadline, |message| {
                if tables.len() < TABLES {
                    let name = name(message.attribute(attribute::TABLE_NAME)).to_vec();
                    tables.push(Table { family: message.family, name, chains: 0 });
                }
            })
            .context("cannot list the tables of nftables")?;
        let mut last = 0;
        let second = self
            .0
            .dump(kind::GET_CHAIN, ALL_FAMILIES, None, deadline, |message| {
                // Chains come table by table.
                let table = name(message.attribute(attribute::CHAIN_TABLE));
                let is_of = |known: &Table| known.family == message.family && known.name == table;
                if !tables.get(last).is_some_and(is_of) {
                    last = tables.iter().position(is_of).unwrap_or(usize::MAX);
                }
                if let Some(table) = tables.get_mut(last) {
                    table.chains = table.chains.saturating_add(1);
                }
            })
            .context("cannot list the chains of nftables")?;
        Ok((tables, first.max(second)))
    }
}

#[cfg(test)]
mod tests;
