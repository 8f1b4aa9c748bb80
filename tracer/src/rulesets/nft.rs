//! Tables of nftables, told by the kernel over netlink (`net/netfilter/nf_tables_api.c`), and made by `nft` or by
//! `iptables-nft`.
//!
//! Only rules are counted, not what sets and maps hold. A kernel without nftables must not be asked: it would load it.
//!
//! The kernel lists rules some dozens at a time, and for each lot walks the chain from its beginning
//! (`__nf_tables_dump_rules`): listing a chain costs the square of its length, for 200,000 rules many seconds. But each
//! chain tells how often it is used, which is its rules and the jumps to it. So long chains are listed for as long as
//! there is time, and what is left of their rules is told by that number, without the jumps that were seen elsewhere. Of
//! rules that have come to rest the others are looked at later.

mod message;
mod netlink;
mod rule;
mod text;

use std::{
    hash::RandomState,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use self::{
    message::{Message, big_endian, name},
    netlink::Netlink,
    rule::{hash, jumps},
};
use super::{ATTEMPTS, Deadline, Effort, Exactness, RepeatedRule, TABLES, TableCount, Tally};
use crate::netlink::Listed;

/// Kinds of messages (`enum nf_tables_msg_types`).
mod kind {
    pub(super) const GET_TABLE: u8 = 1;
    pub(super) const GET_CHAIN: u8 = 4;
    pub(super) const GET_RULE: u8 = 7;
    pub(super) const GET_SET: u8 = 10;
    pub(super) const GET_GENERATION: u8 = 16;
}

/// Attributes (`enum nft_table_attributes` and its siblings).
mod attribute {
    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_USE: u16 = 6;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const SET_TABLE: u16 = 1;
    pub(super) const SET_DATA_TYPE: u16 = 6;
    pub(super) const GENERATION_ID: u16 = 1;
}

/// The type of maps that hold verdicts, jumps among them (`NFT_DATA_VERDICT`).
const VERDICTS: u32 = 0xffff_ff00;

/// Every family of tables (`NFPROTO_UNSPEC`).
const ALL_FAMILIES: u8 = 0;

/// Rules that are listed at once, however long it takes: a table's if it has no more, or a chain's.
const SHORT: u32 = 16_384;

/// How long chains that are longer are listed for, in one quick count.
const LISTING: Duration = Duration::from_secs(2);

/// Chains kept while counting, at most, in all tables.
const CHAINS: usize = 65_536;

/// A table, before its rules are counted.
struct Table {
    family: u8,
    name: Vec<u8>,
    /// The chains, as far as kept.
    chains: Vec<Chain>,
    /// Chains that are not kept.
    chains_left_out: u32,
    has_verdict_maps: bool,
}

struct Chain {
    name: Vec<u8>,
    /// Its rules, and the jumps to it.
    uses: u32,
    /// Whether packets begin there. Nothing can jump there then (`nft_verdict_init`).
    is_base: bool,
}

/// A socket to ask for tables, in the namespace it was made in.
pub(crate) struct Tables {
    netlink: Netlink,
    hashing: RandomState,
}

impl Tables {
    /// For the calling thread's namespace.
    pub(crate) fn open() -> anyhow::Result<Self> {
        Ok(Self { netlink: open()?, hashing: RandomState::new() })
    }

    /// The number of the ruleset: another after each change, those of sets included.
    pub(crate) fn generation(&mut self) -> anyhow::Result<u32> {
        let mut generation = None;
        self.netlink
            .get(kind::GET_GENERATION, |message| {
                generation = message.attribute(attribute::GENERATION_ID).and_then(big_endian);
            })
            .context("the kernel does not tell the generation of nftables")?;
        generation.context("the generation of nftables has no number")
    }

    /// Counts every table, at most [`TABLES`], from the namespace that the thread was in at first.
    pub(crate) fn count(&mut self, effort: Effort, deadline: Deadline) -> anyhow::Result<Vec<TableCount>> {
        let (deadline, attempts) = match effort {
            Effort::Quick => (deadline, ATTEMPTS),
            Effort::Thorough => (deadline.or_change(), 1),
        };
        let mut attempt = 1;
        loop {
            let generation = self.generation()?;
            let (tables, answer) = self.tables(deadline)?;
            let listing = match effort {
                Effort::Quick => deadline.sooner(Instant::now() + LISTING),
                Effort::Thorough => deadline,
            };
            let mut is_moving = answer != Listed::Whole;
            let mut counts = Vec::with_capacity(tables.len());
            for table in tables {
                let (count, answer) = self.count_table(table, deadline, listing)?;
                counts.push(count);
                is_moving |= answer == Listed::Interrupted;
            }
            is_moving |= self.generation()? != generation;
            if is_moving && attempt < attempts && !deadline.is_over() {
                attempt += 1;
                continue;
            }
            if is_moving {
                for count in &mut counts {
                    count.exactness = count.exactness.max(Exactness::Moving);
                }
            }
            return Ok(counts);
        }
    }

    /// Counts a table, listing its long chains until `listing` and the others until `deadline`.
    fn count_table(
        &mut self,
        table: Table,
        deadline: Deadline,
        listing: Deadline,
    ) -> anyhow::Result<(TableCount, Listed)> {
        let mut tally = Tally::new();
        let chains =
            u32::try_from(table.chains.len()).unwrap_or(u32::MAX).saturating_add(table.chains_left_out);
        let uses = table.chains.iter().fold(0_u32, |sum, chain| sum.saturating_add(chain.uses));
        let mut exactness = Exactness::Exact;
        let answer = if uses <= SHORT && table.chains_left_out == 0 {
            self.list(&table, None, deadline, &mut tally, |_| {})?
        } else {
            if table.chains_left_out > 0 {
                exactness = Exactness::Partial;
            }
            self.list_chains(&table, deadline, listing, &mut tally, &mut exactness)?
        };
        let repeated = tally.take_most().map(|most| RepeatedRule {
            text: text::of(table.family, &table.name, &most.chain, &most.rule),
            count: most.count,
        });
        let count = tally.finish(table.family, table.name, Some(chains), exactness);
        Ok((TableCount { repeated, ..count }, answer))
    }

    /// Lists chain by chain: the long ones last, for the jumps to them are to be known by then.
    fn list_chains(
        &mut self,
        table: &Table,
        deadline: Deadline,
        listing: Deadline,
        tally: &mut Tally,
        exactness: &mut Exactness,
    ) -> anyhow::Result<Listed> {
        let (long, short): (Vec<_>, Vec<_>) = table.chains.iter().partition(|chain| chain.uses > SHORT);
        let mut seen_jumps = vec![0_u32; long.len()];
        let mut are_jumps_known = !table.has_verdict_maps && long.len() == 1;
        let mut all = Listed::Whole;
        for chain in short.into_iter().filter(|chain| chain.uses > 0) {
            tally.enter(&chain.name);
            if deadline.is_over() {
                tally.unseen(chain.uses);
                are_jumps_known = false;
                *exactness = (*exactness).max(Exactness::AtMost);
                continue;
            }
            let answer = self.list(table, Some(chain), deadline, tally, |jump| {
                if let Some(place) = long.iter().position(|chain| chain.name == jump) {
                    seen_jumps[place] += 1;
                }
            })?;
            all = all.max(answer);
        }
        for (chain, jumps) in long.into_iter().zip(seen_jumps) {
            tally.enter(&chain.name);
            let answer = self.list(table, Some(chain), listing, tally, |_| {})?;
            if answer == Listed::GivenUp {
                tally.unseen(chain.uses.saturating_sub(jumps).saturating_sub(tally.chain_entries()));
                if !chain.is_base && !are_jumps_known {
                    *exactness = (*exactness).max(Exactness::AtMost);
                }
            } else {
                all = all.max(answer);
            }
        }
        Ok(all)
    }

    /// Counts the rules of a table, or of one of its chains, and tells where they jump to.
    fn list(
        &mut self,
        table: &Table,
        chain: Option<&Chain>,
        deadline: Deadline,
        tally: &mut Tally,
        mut jump: impl FnMut(&[u8]),
    ) -> anyhow::Result<Listed> {
        let mut narrowed = vec![(attribute::RULE_TABLE, &table.name[..])];
        narrowed.extend(chain.map(|chain| (attribute::RULE_CHAIN, &chain.name[..])));
        let Self { netlink, hashing } = self;
        let answer = netlink.dump(kind::GET_RULE, table.family, &narrowed, deadline, |message| {
            let chain = name(message.attribute(attribute::RULE_CHAIN));
            if !tally.is_in(chain) {
                tally.enter(chain);
            }
            tally.rule(hash(hashing, message), message.content());
            jumps(message, &mut jump);
        });
        match answer {
            Ok(Listed::GivenUp) => {
                // The rest of the answer goes with the socket.
                *netlink = open()?;
                Ok(Listed::GivenUp)
            }
            // The chain or the table went meanwhile.
            Err(refusal) if refusal.errno() == Some(libc::ENOENT) => Ok(Listed::Interrupted),
            answer => answer.with_context(|| {
                format!("cannot list the rules of {}", String::from_utf8_lossy(&table.name))
            }),
        }
    }

    /// The tables, at most [`TABLES`], with their chains, at most [`CHAINS`].
    fn tables(&mut self, deadline: Deadline) -> anyhow::Result<(Vec<Table>, Listed)> {
        let mut tables: Vec<Table> = Vec::new();
        let first = self
            .netlink
            .dump(kind::GET_TABLE, ALL_FAMILIES, &[], deadline, |message| {
                if tables.len() < TABLES {
                    tables.push(Table::of(message));
                }
            })
            .context("cannot list the tables of nftables")?;
        let (mut last, mut kept) = (0, 0);
        let second = self
            .netlink
            .dump(kind::GET_CHAIN, ALL_FAMILIES, &[], deadline, |message| {
                let of = message.attribute(attribute::CHAIN_TABLE);
                let Some(table) = find(&mut tables, &mut last, message.family, of) else { return };
                if kept < CHAINS {
                    table.chains.push(Chain::of(message));
                    kept += 1;
                } else {
                    table.chains_left_out = table.chains_left_out.saturating_add(1);
                }
            })
            .context("cannot list the chains of nftables")?;
        let third = if tables.iter().any(|table| table.chains.iter().any(|chain| chain.uses > SHORT)) {
            self.netlink
                .dump(kind::GET_SET, ALL_FAMILIES, &[], deadline, |message| {
                    let of = message.attribute(attribute::SET_TABLE);
                    let data_type = message.attribute(attribute::SET_DATA_TYPE).and_then(big_endian);
                    if let Some(table) = find(&mut tables, &mut last, message.family, of) {
                        table.has_verdict_maps |= data_type == Some(VERDICTS);
                    }
                })
                .context("cannot list the sets of nftables")?
        } else {
            Listed::Whole
        };
        Ok((tables, first.max(second).max(third)))
    }
}

fn open() -> anyhow::Result<Netlink> {
    Netlink::open().context("cannot open a socket to ask for nftables")
}

/// The table of that name, beginning to look where the last one was: the kernel lists table by table.
fn find<'a>(
    tables: &'a mut [Table],
    last: &mut usize,
    family: u8,
    of: Option<&[u8]>,
) -> Option<&'a mut Table> {
    let of = name(of);
    let is_it = |known: &Table| known.family == family && known.name == of;
    if !tables.get(*last).is_some_and(is_it) {
        *last = tables.iter().position(is_it)?;
    }
    tables.get_mut(*last)
}

impl Table {
    fn of(message: &Message<'_>) -> Self {
        Self {
            family: message.family,
            name: name(message.attribute(attribute::TABLE_NAME)).to_vec(),
            chains: Vec::new(),
            chains_left_out: 0,
            has_verdict_maps: false,
        }
    }
}

impl Chain {
    fn of(message: &Message<'_>) -> Self {
        Self {
            name: name(message.attribute(attribute::CHAIN_NAME)).to_vec(),
            uses: message.attribute(attribute::CHAIN_USE).and_then(big_endian).unwrap_or_default(),
            is_base: message.attribute(attribute::CHAIN_HOOK).is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
