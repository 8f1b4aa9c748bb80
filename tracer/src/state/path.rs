//! What happened to packets on their way: ICMP errors, and packets that go round.

use std::{collections::VecDeque, net::IpAddr};

use super::{bounded::Bounded, flows::FlowKey};
use crate::event::{Direction, Duplicate, Endpoints, Icmp, IcmpClass, Netns, Quoted, Text, Timestamp};

/// Deaths of packets that are kept of one address.
pub const DEATHS_KEPT: usize = 16;

/// The ways of packets, as far as something was wrong with them.
#[derive(Clone, Debug)]
pub struct Path {
    /// ICMP errors by the address that was not reached.
    pub icmp: Bounded<IcmpKey, IcmpSubject>,
    /// Flows of which a packet came again with a lower TTL.
    pub loops: Bounded<FlowKey, Loop>,
    counts: [u64; IcmpClass::ALL.len()],
}

/// Whom ICMP errors are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IcmpKey {
    /// The network namespace.
    pub netns: Netns,
    /// Whether this node sent them.
    pub is_sent: bool,
    /// Where the packets were to go; `None` gathers messages too short to say.
    pub destination: Option<IpAddr>,
}

/// ICMP errors about packets to one address.
#[derive(Clone, Debug)]
pub struct IcmpSubject {
    /// When the first came.
    pub first: Timestamp,
    /// When the last came.
    pub last: Timestamp,
    /// How many, in the order of [`IcmpClass::ALL`].
    pub counts: [u64; IcmpClass::ALL.len()],
    /// What the last one said.
    pub meaning: &'static str,
    /// The packet the last one was about.
    pub about: Option<Quoted>,
    /// Who sent the last one that was received.
    pub sender: Option<IpAddr>,
    /// The least size any of them said would fit.
    pub mtu_bytes: Option<u32>,
    /// The last packets of known flows that died of TTL, oldest first.
    pub deaths: VecDeque<Death>,
}

/// A packet that died of TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// When that was told.
    pub time: Timestamp,
    /// The packet's flow.
    pub flow: Endpoints,
    /// Who told it; `None` for this node.
    pub sender: Option<IpAddr>,
}

/// A flow whose packets go round.
#[derive(Clone, Debug)]
pub struct Loop {
    /// When it was first noticed.
    pub first: Timestamp,
    /// When it was last noticed.
    pub last: Timestamp,
    /// Packets that were noticed coming again.
    pub packets: u64,
    /// When a packet last came for the third time or more. One that comes a second time may have been sent through a
    /// router beside the way on purpose.
    pub last_round: Option<Timestamp>,
    /// How often one packet came, at most.
    pub most_times: u32,
    /// By how much the TTL fell from one time to the next, in the last record: how many routers the round passes.
    pub step: u8,
    /// The lowest TTL seen.
    pub lowest_ttl: u8,
    /// The device the last one came in by.
    pub device: Text,
}

impl Path {
    pub(super) fn new(icmp_subjects: usize, loops: usize) -> Self {
        Self {
            icmp: Bounded::new(icmp_subjects),
            loops: Bounded::new(loops),
            counts: [0; IcmpClass::ALL.len()],
        }
    }

    /// How many ICMP errors of a class were sent and received.
    pub fn count(&self, class: IcmpClass) -> u64 {
        self.counts[class as usize]
    }

    pub(super) fn icmp(&mut self, netns: Netns, time: Timestamp, icmp: &Icmp) {
        let class = icmp.class() as usize;
        self.counts[class] += 1;
        let key = IcmpKey {
            netns,
            is_sent: icmp.direction == Direction::Out,
            destination: icmp.about.map(|about| about.flow.destination.ip()),
        };
        let subject = self.icmp.touch(key, || IcmpSubject {
            first: time,
            last: time,
            counts: [0; IcmpClass::ALL.len()],
            meaning: icmp.meaning(),
            about: None,
            sender: None,
            mtu_bytes: None,
            deaths: VecDeque::new(),
        });
        subject.last = subject.last.max(time);
        subject.counts[class] += 1;
        subject.meaning = icmp.meaning();
        subject.about = icmp.about.or(subject.about);
        subject.sender = icmp.sender.or(subject.sender);
        if let Some(about) =
            icmp.about.filter(|about| about.has_ports && icmp.class() == IcmpClass::TimeExceeded)
        {
            if subject.deaths.len() == DEATHS_KEPT {
                subject.deaths.pop_front();
            }
            subject.deaths.push_back(Death { time, flow: about.flow, sender: icmp.sender });
        }
        subject.mtu_bytes = [subject.mtu_bytes, icmp.mtu_bytes].into_iter().flatten().min();
    }

    pub(super) fn duplicate(&mut self, netns: Netns, time: Timestamp, duplicate: &Duplicate) {
        const FIRST_AGAIN: u32 = 2;
        let key = FlowKey { netns, endpoints: duplicate.flow };
        let found = self.loops.touch(key, || Loop {
            first: time,
            last: time,
            packets: 0,
            last_round: None,
            most_times: 0,
            step: 0,
            lowest_ttl: u8::MAX,
            device: duplicate.device.clone(),
        });
        found.last = found.last.max(time);
        found.packets += u64::from(duplicate.times == FIRST_AGAIN);
        if duplicate.times > FIRST_AGAIN {
            found.last_round = found.last_round.max(Some(time));
        }
        found.most_times = found.most_times.max(duplicate.times);
        found.step = duplicate.previous_ttl.saturating_sub(duplicate.ttl);
        found.lowest_ttl = found.lowest_ttl.min(duplicate.ttl);
        if found.device != duplicate.device {
            found.device = duplicate.device.clone();
        }
    }
}
