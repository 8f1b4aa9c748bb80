//! Which flows are under suspicion of going round, and for how long their packets are looked at.
//!
//! Looking costs every packet the node receives, so it has to be earned. A packet that died of TTL, here or on its
//! way, and one that came again, are good reasons: the node looks on as long as there are such. A flow that is not
//! answered may have many other reasons and is common on some nodes: for those the node looks ten seconds in a minute.
//! Nothing here has a clock; the caller says what time it is.

use std::mem;

use rustc_hash::{FxHashMap, FxHashSet};
use tracer_common::{
    record::{DuplicateRecord, Flow, IcmpRecord, RecordKind, RetransmitRecord, icmp_part},
    watched::WATCHED_FLOWS,
};
use zerocopy::FromBytes as _;

use crate::decode;

const SECOND_NS: u64 = 1_000_000_000;

/// How long after a good reason packets are looked at.
const LOOK_NS: u64 = 15 * SECOND_NS;

/// How long packets are looked at because flows are not answered, and from when to when that happens at most once.
const WEAK_LOOK_NS: u64 = 10 * SECOND_NS;
const WEAK_INTERVAL_NS: u64 = 60 * SECOND_NS;

/// How long a flow stays under suspicion.
const SUSPECTED_NS: u64 = 30 * SECOND_NS;

/// Consecutive timeouts of a flow that is not answered. The first alone is an everyday thing.
const TIMEOUTS: u8 = 2;

/// The flows under suspicion.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// When each was last suspected.
    flows: FxHashMap<Flow, u64>,
    /// Those to be put on the watch list.
    added: Vec<Flow>,
    look_until_ns: u64,
    weak_until_ns: u64,
    next_weak_ns: u64,
}

/// What is to be done about the watch list, and whether packets are to be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Flows to put on the list.
    pub(super) watch: Vec<Flow>,
    /// Flows to take off it.
    pub(super) forget: Vec<Flow>,
    /// Whether packets are to be looked at now.
    pub(super) is_armed: bool,
    /// How many flows are under suspicion.
    pub(super) flows: usize,
}

impl Suspicion {
    /// Takes in what whole records say.
    pub(super) fn note(&mut self, records: &[u8], now_ns: u64) {
        for (header, record) in decode::records(records) {
            match RecordKind::from_number(header.kind) {
                Some(RecordKind::Icmp) => self.note_icmp(record, now_ns),
                Some(RecordKind::Duplicate) => self.note_duplicate(record, now_ns),
                Some(RecordKind::Retransmit) => self.note_retransmit(record, now_ns),
                _ => {}
            }
        }
    }

    /// A packet died of TTL (ICMP 11/0, ICMPv6 3/0).
    fn note_icmp(&mut self, record: &[u8], now_ns: u64) {
        let Ok((icmp, _)) = IcmpRecord::read_from_prefix(record) else { return };
        let died = matches!((icmp.version, icmp.icmp_type, icmp.icmp_code), (4, 11, 0) | (6, 3, 0));
        if died && icmp.parts & icmp_part::PORTS != 0 {
            self.look_until_ns = now_ns + LOOK_NS;
            self.suspect(icmp.flow, now_ns);
        }
    }

    fn note_duplicate(&mut self, record: &[u8], now_ns: u64) {
        let Ok((duplicate, _)) = DuplicateRecord::read_from_prefix(record) else { return };
        self.look_until_ns = now_ns + LOOK_NS;
        self.suspect(duplicate.flow, now_ns);
    }

    /// A flow is not answered: its packets may go round, or those of the peer.
    fn note_retransmit(&mut self, record: &[u8], now_ns: u64) {
        let Ok((retransmit, _)) = RetransmitRecord::read_from_prefix(record) else { return };
        if retransmit.retransmits < TIMEOUTS || retransmit.error != 0 {
            return;
        }
        if !self.is_looking(now_ns) {
            if now_ns < self.next_weak_ns {
                return;
            }
            self.weak_until_ns = now_ns + WEAK_LOOK_NS;
            self.next_weak_ns = now_ns + WEAK_INTERVAL_NS;
        }
        self.suspect(retransmit.flow, now_ns);
        self.suspect(reversed(retransmit.flow), now_ns);
    }

    fn is_looking(&self, now_ns: u64) -> bool {
        now_ns < self.look_until_ns.max(self.weak_until_ns)
    }

    /// Those that find no room are left out until others have left.
    fn suspect(&mut self, flow: Flow, now_ns: u64) {
        if let Some(last_ns) = self.flows.get_mut(&flow) {
            *last_ns = now_ns;
        } else if self.flows.len() < WATCHED_FLOWS as usize {
            self.flows.insert(flow, now_ns);
            self.added.push(flow);
        }
    }

    /// What is to be done now.
    pub(super) fn plan(&mut self, now_ns: u64) -> Plan {
        let is_looking = self.is_looking(now_ns);
        let mut forget = Vec::new();
        let mut watch = mem::take(&mut self.added);
        let added: FxHashSet<Flow> = watch.iter().copied().collect();
        self.flows.retain(|flow, last_ns| {
            let stays = is_looking && now_ns.saturating_sub(*last_ns) < SUSPECTED_NS;
            // One that came and is left out again was never watched.
            if !stays && !added.contains(flow) {
                forget.push(*flow);
            }
            stays
        });
        watch.retain(|flow| self.flows.contains_key(flow));
        let flows = self.flows.len();
        Plan { watch, forget, is_armed: flows != 0, flows }
    }
}

/// The same flow as its peer sends it.
fn reversed(flow: Flow) -> Flow {
    Flow {
        source: flow.destination,
        destination: flow.source,
        source_port: flow.destination_port,
        destination_port: flow.source_port,
        ..flow
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{
        DuplicateRecord, Flow, IcmpRecord, Record, RecordHeader, RetransmitRecord, icmp_part,
    };
    use zerocopy::IntoBytes as _;

    use super::{SECOND_NS, Suspicion, WATCHED_FLOWS, reversed};

    fn flow(source_port: u16) -> Flow {
        Flow {
            source_port,
            destination_port: 80,
            protocol: 6,
            source: [1; 16],
            destination: [2; 16],
            reserved: [0; 3],
        }
    }

    fn header<R: Record>() -> RecordHeader {
        RecordHeader {
            kind: R::KIND as u16,
            length_bytes: u16::try_from(size_of::<R>()).unwrap(),
            ..RecordHeader::default()
        }
    }

    fn died(flow: Flow, version: u8, icmp_type: u8, icmp_code: u8) -> Vec<u8> {
        let parts = icmp_part::HEADER | icmp_part::PORTS;
        let header = header::<IcmpRecord>();
        IcmpRecord { header, flow, version, icmp_type, icmp_code, parts, ..IcmpRecord::default() }
            .as_bytes()
            .to_vec()
    }

    fn unanswered(flow: Flow, retransmits: u8) -> Vec<u8> {
        let header = header::<RetransmitRecord>();
        RetransmitRecord { header, flow, retransmits, ..RetransmitRecord::default() }.as_bytes().to_vec()
    }

    fn again(flow: Flow) -> Vec<u8> {
        DuplicateRecord { header: header::<DuplicateRecord>(), flow, ..DuplicateRecord::default() }
            .as_bytes()
            .to_vec()
    }

    fn seconds(seconds: u64) -> u64 {
        (1_000 + seconds) * SECOND_NS
    }

    #[test]
    fn only_what_may_go_round_is_suspected() {
        for (name, record, flows) in [
            ("died of TTL", died(flow(1), 4, 11, 0), 1),
            ("died of hop limit", died(flow(1), 6, 3, 0), 1),
            ("came again", again(flow(1)), 1),
            ("second timeout, both directions", unanswered(flow(1), 2), 2),
            ("first timeout", unanswered(flow(1), 1), 0),
            ("fragments did not come", died(flow(1), 4, 11, 1), 0),
            ("unreachable", died(flow(1), 4, 3, 0), 0),
            ("ICMPv6 has other numbers", died(flow(1), 6, 11, 0), 0),
            ("nothing whole", died(flow(1), 4, 11, 0)[..40].to_vec(), 0),
        ] {
            let mut suspicion = Suspicion::default();
            suspicion.note(&record, seconds(0));
            let plan = suspicion.plan(seconds(0));
            assert_eq!((plan.watch.len(), plan.flows, plan.is_armed), (flows, flows, flows != 0), "{name}");
        }
    }

    #[test]
    fn looking_ends_when_nothing_more_happens() {
        let mut suspicion = Suspicion::default();
        suspicion.note(&died(flow(1), 4, 11, 0), seconds(0));
        assert_eq!(suspicion.plan(seconds(0)).watch, [flow(1)]);
        assert!(suspicion.plan(seconds(14)).is_armed);
        suspicion.note(&again(flow(1)), seconds(14));
        let plan = suspicion.plan(seconds(28));
        assert!(plan.is_armed && plan.watch.is_empty() && plan.forget.is_empty());
        let plan = suspicion.plan(seconds(29));
        assert_eq!((plan.is_armed, plan.forget), (false, vec![flow(1)]));
        assert_eq!(suspicion.plan(seconds(30)), super::Plan::default());
    }

    #[test]
    fn a_flow_leaves_while_others_keep_the_node_looking() {
        let mut suspicion = Suspicion::default();
        suspicion.note(&died(flow(1), 4, 11, 0), seconds(0));
        for second in 0..40 {
            suspicion.note(&died(flow(2), 4, 11, 0), seconds(second));
            let plan = suspicion.plan(seconds(second));
            assert_eq!(plan.forget.is_empty(), second != 30, "{second}");
            assert_eq!(plan.flows, if second < 30 { 2 } else { 1 }, "{second}");
        }
    }

    #[test]
    fn unanswered_flows_are_looked_at_ten_seconds_in_a_minute() {
        let mut suspicion = Suspicion::default();
        let mut armed = Vec::new();
        for second in 0..125 {
            suspicion.note(&unanswered(flow(u16::try_from(second).unwrap()), 2), seconds(second));
            if suspicion.plan(seconds(second)).is_armed {
                armed.push(second);
            }
        }
        let expected: Vec<u64> = (0..10).chain(60..70).chain(120..125).collect();
        assert_eq!(armed, expected);
    }

    #[test]
    fn what_was_never_watched_is_not_forgotten() {
        let mut suspicion = Suspicion::default();
        suspicion.note(&unanswered(flow(1), 2), seconds(0));
        // A busy node: the next plan comes when nobody looks any more.
        assert_eq!(suspicion.plan(seconds(40)), super::Plan::default());
        suspicion.note(&died(flow(2), 4, 11, 0), seconds(70));
        assert_eq!(suspicion.plan(seconds(70)).watch, [flow(2)]);
    }

    #[test]
    fn the_list_never_outgrows_its_limit() {
        let mut suspicion = Suspicion::default();
        for port in 0..10_000 {
            suspicion.note(&unanswered(flow(port), 3), seconds(0));
        }
        assert_eq!(suspicion.plan(seconds(0)).watch.len(), WATCHED_FLOWS as usize);
        assert_eq!(suspicion.plan(seconds(20)).forget.len(), WATCHED_FLOWS as usize);
    }

    #[test]
    fn turning_a_flow_round_twice_leaves_it() {
        assert_eq!(reversed(reversed(flow(7))), flow(7));
        assert_eq!(reversed(flow(7)).destination_port, 7);
    }
}
