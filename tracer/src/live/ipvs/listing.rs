//! What IPVS is configured to do in one network namespace: asking the kernel for it, and telling two answers apart.

use std::collections::BTreeMap;

use tracer_common::record::{
    IpvsChangeRecord, IpvsCounts, IpvsDestinationRecord, IpvsServiceKey, IpvsServiceRecord, ipvs_change_kind,
    ipvs_listed_why,
};

use super::{
    attributes::{SERVICE, destination, service, service_key},
    generic_netlink::{GenericNetlink, Question},
};
use crate::{
    event::{Endpoint, IpvsService, address},
    netlink::Refusal,
};

/// Real servers of a namespace that are listed, at most.
const DESTINATIONS_LISTED: usize = 65_536;

/// Services and real servers. The records have no header yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    services: BTreeMap<IpvsService, IpvsServiceRecord>,
    destinations: BTreeMap<(IpvsService, Endpoint), IpvsDestinationRecord>,
}

/// A row of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Service(IpvsServiceRecord),
    Destination(IpvsDestinationRecord),
}

/// How one listing differs from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Rows that are others than before, and why.
    pub(super) rows: Vec<Row>,
    /// What must have been changed in between, the removals first.
    pub(super) changes: Vec<IpvsChangeRecord>,
}

impl Listing {
    /// Asks the kernel, in the calling thread's namespace. Nothing is listed if IPVS is not there.
    ///
    /// A dump goes on where it stopped by counting, so that one of several messages may miss a row if another goes
    /// meanwhile. What was there `before` counts as gone only if two answers lack it.
    pub(super) fn ask(before: &Self) -> Result<Self, Refusal> {
        let mut netlink = GenericNetlink::open()?;
        let Some(family) = netlink.family("IPVS")? else { return Ok(Self::default()) };
        let mut listing = Self::ask_once(&mut netlink, family)?;
        if before.has_more_than(&listing) {
            listing.add(Self::ask_once(&mut netlink, family)?);
        }
        Ok(listing)
    }

    fn ask_once(netlink: &mut GenericNetlink, family: u16) -> Result<Self, Refusal> {
        const VERSION: u8 = 1;
        const GET_SERVICE: u8 = 4;
        const GET_DESTINATION: u8 = 8;
        let mut listing = Self::default();
        netlink.dump(&Question::new(family, GET_SERVICE, VERSION), |attributes| {
            if let Some(record) = service(attributes) {
                listing.insert_service(record);
            }
        })?;
        let services: Vec<IpvsServiceKey> = listing.services.values().map(|record| record.service).collect();
        for key in services {
            let question = Question::new(family, GET_DESTINATION, VERSION).with(SERVICE, &service_key(&key));
            netlink.dump(&question, |attributes| {
                if let Some(record) = destination(&key, attributes) {
                    listing.insert_destination(record);
                }
            })?;
        }
        Ok(listing)
    }

    fn insert_service(&mut self, record: IpvsServiceRecord) {
        self.services.insert((&record.service).into(), record);
    }

    fn insert_destination(&mut self, record: IpvsDestinationRecord) {
        let real = Endpoint::new(address(record.real), record.real_port);
        if self.destinations.len() < DESTINATIONS_LISTED {
            self.destinations.insert(((&record.service).into(), real), record);
        }
    }

    fn has_more_than(&self, other: &Self) -> bool {
        !self.services.keys().all(|key| other.services.contains_key(key))
            || !self.destinations.keys().all(|key| other.destinations.contains_key(key))
    }

    /// Adds what another answer has and this one lacks; of what both have, the other is newer.
    fn add(&mut self, other: Self) {
        self.services.extend(other.services);
        self.destinations.extend(other.destinations);
    }

    /// What differs from `before`. Rows of which only connections and totals do, are among it `with_counts`.
    pub(super) fn since(&self, before: &Self, with_counts: bool) -> Difference {
        let mut difference = Difference::default();
        for (key, &record) in &before.destinations {
            if !self.destinations.contains_key(key) {
                let gone = IpvsDestinationRecord { why: ipvs_listed_why::GONE, ..record };
                difference.rows.push(Row::Destination(gone));
                difference.changes.push(removed_destination(&record));
            }
        }
        for (key, &record) in &before.services {
            if !self.services.contains_key(key) {
                let gone = IpvsServiceRecord { why: ipvs_listed_why::GONE, ..record };
                difference.rows.push(Row::Service(gone));
                difference.changes.push(changed_service(&record, ipvs_change_kind::REMOVED));
            }
        }
        for (key, &record) in &self.services {
            let known = before.services.get(key);
            if known.is_none() {
                difference.changes.push(changed_service(&record, ipvs_change_kind::ADDED));
            }
            if let Some(why) = why(known, &record, without_service_counts, with_counts) {
                difference.rows.push(Row::Service(IpvsServiceRecord { why, ..record }));
            }
        }
        for (key, &record) in &self.destinations {
            let known = before.destinations.get(key);
            difference.changes.extend(changed_destination(known, &record));
            if let Some(why) = why(known, &record, without_destination_counts, with_counts) {
                difference.rows.push(Row::Destination(IpvsDestinationRecord { why, ..record }));
            }
        }
        difference
    }
}

/// Why a row is to be told, if it is.
fn why<R: Copy + PartialEq>(
    known: Option<&R>,
    record: &R,
    without_counts: impl Fn(R) -> R,
    with_counts: bool,
) -> Option<u8> {
    match known {
        None => Some(ipvs_listed_why::NEWS),
        Some(known) if known == record => None,
        Some(known) if without_counts(*known) != without_counts(*record) => Some(ipvs_listed_why::NEWS),
        Some(_) => with_counts.then_some(ipvs_listed_why::COUNTS),
    }
}

fn without_service_counts(record: IpvsServiceRecord) -> IpvsServiceRecord {
    IpvsServiceRecord { counts: IpvsCounts::default(), ..record }
}

fn without_destination_counts(record: IpvsDestinationRecord) -> IpvsDestinationRecord {
    IpvsDestinationRecord {
        active_connections: 0,
        inactive_connections: 0,
        persistent_connections: 0,
        counts: IpvsCounts::default(),
        ..record
    }
}

fn changed_service(record: &IpvsServiceRecord, change: u8) -> IpvsChangeRecord {
    IpvsChangeRecord {
        service: record.service,
        scheduler: record.scheduler,
        change,
        ..IpvsChangeRecord::default()
    }
}

fn removed_destination(record: &IpvsDestinationRecord) -> IpvsChangeRecord {
    IpvsChangeRecord { change: ipvs_change_kind::REMOVED, from: record.weight, ..about_destination(record) }
}

fn changed_destination(
    known: Option<&IpvsDestinationRecord>,
    record: &IpvsDestinationRecord,
) -> Option<IpvsChangeRecord> {
    let (change, from) = match known {
        None => (ipvs_change_kind::ADDED, 0),
        Some(known) if known.weight != record.weight => (ipvs_change_kind::WEIGHT, known.weight),
        Some(_) => return None,
    };
    Some(IpvsChangeRecord { change, from, to: record.weight, ..about_destination(record) })
}

fn about_destination(record: &IpvsDestinationRecord) -> IpvsChangeRecord {
    IpvsChangeRecord {
        service: record.service,
        real: record.real,
        real_port: record.real_port,
        has_real: 1,
        connection_flags: record.forwarding,
        ..IpvsChangeRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{
        IpvsCounts, IpvsDestinationRecord, IpvsServiceKey, IpvsServiceRecord, ipvs_change_kind as kind,
        ipvs_listed_why as why,
    };

    use super::{Listing, Row};

    fn key(port: u16) -> IpvsServiceKey {
        IpvsServiceKey { address: [1; 16], port, protocol: 6, is_ipv6: 1, firewall_mark: 0 }
    }

    /// Services by port, each with its real servers by port and weight.
    fn listing(services: &[(u16, &[(u16, i32)])]) -> Listing {
        let mut listing = Listing::default();
        for &(port, reals) in services {
            listing.insert_service(IpvsServiceRecord { service: key(port), ..IpvsServiceRecord::default() });
            for &(real_port, weight) in reals {
                listing.insert_destination(IpvsDestinationRecord {
                    service: key(port),
                    real: [2; 16],
                    real_port,
                    weight,
                    ..IpvsDestinationRecord::default()
                });
            }
        }
        listing
    }

    /// Kind, service's port, real server's port or 0, from, to.
    fn changes(before: &Listing, after: &Listing) -> Vec<(u8, u16, u16, i32, i32)> {
        let told = |change: &tracer_common::record::IpvsChangeRecord| {
            (change.change, change.service.port, change.real_port, change.from, change.to)
        };
        after.since(before, false).changes.iter().map(told).collect()
    }

    #[test]
    fn two_listings_tell_what_was_changed_between_them() {
        let before = listing(&[(80, &[(1, 5), (2, 5)]), (81, &[(3, 1)])]);
        let cases: [(&str, Listing, &[_]); 6] = [
            ("nothing", before.clone(), &[]),
            ("drained", listing(&[(80, &[(1, 0), (2, 5)]), (81, &[(3, 1)])]), &[(kind::WEIGHT, 80, 1, 5, 0)]),
            ("removed", listing(&[(80, &[(2, 5)]), (81, &[(3, 1)])]), &[(kind::REMOVED, 80, 1, 5, 0)]),
            (
                "added",
                listing(&[(80, &[(1, 5), (2, 5), (9, 7)]), (81, &[(3, 1)])]),
                &[(kind::ADDED, 80, 9, 0, 7)],
            ),
            (
                "service removed",
                listing(&[(80, &[(1, 5), (2, 5)])]),
                &[(kind::REMOVED, 81, 3, 1, 0), (kind::REMOVED, 81, 0, 0, 0)],
            ),
            (
                "service added",
                listing(&[(79, &[(4, 0)]), (80, &[(1, 5), (2, 5)]), (81, &[(3, 1)])]),
                &[(kind::ADDED, 79, 0, 0, 0), (kind::ADDED, 79, 4, 0, 0)],
            ),
        ];
        for (name, after, expected) in cases {
            assert_eq!(changes(&before, &after), expected, "{name}");
        }
    }

    #[test]
    fn rows_are_told_with_the_reason() {
        let before = listing(&[(80, &[(1, 5), (2, 5), (3, 5)])]);
        let mut after = listing(&[(80, &[(1, 5), (2, 4)])]);
        let counts = IpvsCounts { connections: 1, ..IpvsCounts::default() };
        for record in after.services.values_mut() {
            record.counts = counts;
        }
        for record in after.destinations.values_mut() {
            record.active_connections = 1;
        }
        let told = |with_counts| -> Vec<(u16, u8)> {
            let rows = after.since(&before, with_counts).rows.into_iter();
            rows.map(|row| match row {
                Row::Service(record) => (0, record.why),
                Row::Destination(record) => (record.real_port, record.why),
            })
            .collect()
        };
        assert_eq!(told(false), [(3, why::GONE), (2, why::NEWS)]);
        assert_eq!(told(true), [(3, why::GONE), (0, why::COUNTS), (1, why::COUNTS), (2, why::NEWS)]);
    }

    #[test]
    fn what_two_answers_have_together_is_there() {
        let before = listing(&[(80, &[(1, 5), (2, 5)])]);
        let mut first = listing(&[(80, &[(1, 5)])]);
        assert!(before.has_more_than(&first) && !first.has_more_than(&before));
        first.add(listing(&[(80, &[(2, 0)])]));
        assert_eq!(changes(&before, &first), [(kind::WEIGHT, 80, 2, 5, 0)]);
    }
}
