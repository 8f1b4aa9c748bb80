//! What an expression says, and how it is written.

use std::{fmt, net::IpAddr};

use tracer_common::record::RecordKind;

use super::lexer;
use crate::{
    event::{ConntrackEvent, HardwareAddress, IpvsDecision, Prefix, RetransmitKind, Verdict},
    probe::table::Family,
};

/// An expression. Lists have two parts or more, so that nesting is as deep as the brackets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Condition(Condition),
}

/// A single condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Host(Side, Network),
    Port(Side, u16, u16),
    Kind(RetransmitKind),
    Family(Family),
    Type(RecordKind),
    Netns(u32),
    NetnsName(Pattern),
    Node(Pattern),
    Process(Pattern),
    Container(Pattern),
    Pod(Pattern),
    Device(String),
    Mac(HardwareAddress),
    Verdict(Verdict),
    Decision(IpvsDecision),
    Event(ConntrackEvent),
    State(&'static str),
    WeightIs(i32),
    WeightBelow(i32),
    Failed,
}

/// A name, in which each `*` stands for any characters or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(pub(super) String);

impl Pattern {
    /// Whether a name fits it.
    pub(super) fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            // The first place leaves the most for the parts to come.
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Either,
    Source,
    Destination,
}

/// An address with the length of its prefix; the bits behind it are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Bits of an address of this family.
    pub(super) fn longest(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }

    /// The network an address lies in; `length` is at most [`longest`](Self::longest).
    pub(super) fn new(address: IpAddr, length: u8) -> Self {
        Self { address: cut(address, length), length }
    }

    /// Whether an address lies in it. Families never match each other.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && cut(address, self.length) == self.address
    }

    /// Whether they have an address in common.
    pub(super) fn meets(self, other: Prefix) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

/// The address with all bits after the first `length` cleared.
fn cut(address: IpAddr, length: u8) -> IpAddr {
    let missing = u32::from(Network::longest(address).saturating_sub(length));
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(missing).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(missing).unwrap_or(0)).into())
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(parts) => join(formatter, parts, " or ", |part| matches!(part, Self::Any(_))),
            Self::All(parts) => {
                join(formatter, parts, " and ", |part| matches!(part, Self::Any(_) | Self::All(_)))
            }
            Self::Not(part) => match **part {
                Self::Any(_) | Self::All(_) => write!(formatter, "not ({part})"),
                Self::Not(_) | Self::Condition(_) => write!(formatter, "not {part}"),
            },
            Self::Condition(condition) => condition.fmt(formatter),
        }
    }
}

fn join(
    formatter: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    word: &str,
    needs_brackets: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index != 0 {
            formatter.write_str(word)?;
        }
        if needs_brackets(part) { write!(formatter, "({part})")? } else { write!(formatter, "{part}")? }
    }
    Ok(())
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(side, network) if network.length == Network::longest(network.address) => {
                write!(formatter, "{side}host {}", network.address)
            }
            Self::Host(side, network) => {
                write!(formatter, "{side}net {}/{}", network.address, network.length)
            }
            Self::Port(side, first, last) if first == last => write!(formatter, "{side}port {first}"),
            Self::Port(side, first, last) => write!(formatter, "{side}port {first}-{last}"),
            Self::Kind(kind) => write!(formatter, "kind {kind}"),
            Self::Family(family) => write!(formatter, "family {family}"),
            Self::Type(kind) => formatter.write_str(kind.name()),
            Self::Netns(inode) => write!(formatter, "netns {inode}"),
            // In quotes, or it would read back as an inode number.
            Self::NetnsName(name) if name.0.parse::<u32>().is_ok() => {
                write!(formatter, "netns \"{}\"", name.0)
            }
            Self::NetnsName(name) => write!(formatter, "netns {}", Name(&name.0)),
            Self::Node(name) => write!(formatter, "node {}", Name(&name.0)),
            Self::Process(name) => write!(formatter, "process {}", Name(&name.0)),
            Self::Container(name) => write!(formatter, "container {}", Name(&name.0)),
            Self::Pod(name) => write!(formatter, "pod {}", Name(&name.0)),
            Self::Device(name) => write!(formatter, "dev {}", Name(name)),
            Self::Mac(address) => write!(formatter, "mac {address}"),
            Self::Verdict(verdict) => write!(formatter, "verdict {verdict}"),
            Self::Decision(decision) => write!(formatter, "decision {decision}"),
            Self::Event(event) => write!(formatter, "event {event}"),
            Self::State(state) => write!(formatter, "state {state}"),
            Self::WeightIs(weight) => write!(formatter, "weight {weight}"),
            Self::WeightBelow(weight) => write!(formatter, "weight <{weight}"),
            Self::Failed => formatter.write_str("failed"),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Either => "",
            Self::Source => "src ",
            Self::Destination => "dst ",
        })
    }
}

/// A name as it is written, quoted where it has to be.
pub(super) fn quoted(name: &str) -> String {
    Name(name).to_string()
}

/// A name, quoted where it has to be.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && !self.0.contains(lexer::ends_word) {
            return formatter.write_str(self.0);
        }
        write!(formatter, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
