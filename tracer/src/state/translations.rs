//! Which flows are one connection: what is dialled, and what translation makes of it.
//!
//! A connection to a virtual address goes by several names: its client's socket knows the virtual address, its server's
//! socket the real one, and where packets are masqueraded neither knows the address the other sees. Whoever translates
//! knows two of them. Each such [`Mapping`] can be found by any of its tuples, in either direction.

use std::{hash::BuildHasher as _, net::IpAddr};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::event::{
    Conntrack, Endpoint, Endpoints, Ipvs, IpvsForward, IpvsService, Netns, Protocol, Timestamp, Translation,
};

/// Who translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Translator {
    /// IPVS: a virtual service and the real server of the connection.
    Ipvs,
    /// NAT, by its entry in conntrack.
    Conntrack,
}

/// What is learnt of one connection where it is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// Who translates.
    pub by: Translator,
    /// As packets come, from the client.
    pub original: Endpoints,
    /// As they go on.
    pub onward: Endpoints,
    /// Who gets them.
    pub server: Endpoint,
    /// The virtual service, of IPVS.
    pub service: Option<IpvsService>,
}

impl Learnt {
    /// By the two tuples of a conntrack entry.
    pub fn by_conntrack(original: Endpoints, reply: Endpoints) -> Self {
        let onward = reply.reversed();
        Self { by: Translator::Conntrack, original, onward, server: onward.destination, service: None }
    }

    /// By a decision of IPVS; `None` without a real server.
    pub fn by_ipvs(decided: &Ipvs) -> Option<Self> {
        let server = decided.real?;
        let original = Endpoints {
            source: decided.client,
            destination: decided.virtual_service,
            protocol: decided.protocol,
        };
        // Only NAT writes the real server into packets; the other ways leave their addresses alone.
        let onward = match decided.forward {
            Some(IpvsForward::Nat) => Endpoints { destination: server, ..original },
            _ => original,
        };
        let service = IpvsService::of(decided.protocol, decided.virtual_service, decided.firewall_mark);
        Some(Self { by: Translator::Ipvs, original, onward, server, service: Some(service) })
    }

    /// Whether it tells apart no two names.
    fn is_plain(&self) -> bool {
        self.onward == self.original && self.server == self.original.destination
    }
}

/// One connection where it is translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The network namespace it is translated in.
    pub netns: Netns,
    /// What was learnt last.
    pub learnt: Learnt,
    /// How packets went on before, if that was another way.
    pub previous: Option<Endpoints>,
    /// When it was first learnt.
    pub first: Timestamp,
    /// When it was last learnt.
    pub last: Timestamp,
}

impl Mapping {
    /// The tuples it can be found by, each in the direction from client to server.
    pub fn tuples(&self) -> impl Iterator<Item = Endpoints> {
        Part::ALL.into_iter().filter_map(|part| self.tuple(part))
    }

    fn tuple(&self, part: Part) -> Option<Endpoints> {
        match part {
            Part::Original => Some(self.learnt.original),
            Part::Onward => Some(self.learnt.onward).filter(|onward| *onward != self.learnt.original),
            Part::Previous => self.previous,
        }
    }
}

/// The ends of a connection as they are before and after all translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who dials, by the address it has itself.
    pub client: Endpoint,
    /// What it dials.
    pub dialled: Endpoint,
    /// Who answers.
    pub server: Endpoint,
}

impl Ends {
    /// By the mappings of a connection, in the order its packets pass them.
    pub(crate) fn of(mappings: &[&Mapping]) -> Option<Self> {
        let Endpoints { source: client, destination: dialled, .. } = mappings.first()?.learnt.original;
        let servers = mappings.iter().map(|mapping| mapping.learnt.server);
        let server = servers.rev().find(|server| *server != dialled).unwrap_or(dialled);
        Some(Self { client, dialled, server })
    }
}

/// Which of a mapping's tuples; an earlier one tells more surely that a connection is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Original,
    Onward,
    Previous,
}

impl Part {
    const ALL: [Self; 3] = [Self::Original, Self::Onward, Self::Previous];
}

/// One tuple of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    position: u32,
    part: Part,
}

/// A tuple without its direction.
pub(super) type Unordered = (Endpoint, Endpoint, Protocol);

/// A tuple without its direction.
pub(super) fn unordered(tuple: &Endpoints) -> Unordered {
    let Endpoints { source, destination, protocol } = *tuple;
    (source.min(destination), source.max(destination), protocol)
}

fn hash(tuple: &Endpoints) -> u64 {
    FxBuildHasher.hash_one(unordered(tuple))
}

/// The mappings of at most `limit` connections. In a full table a new one takes the place of the one that was learnt first;
/// such evictions are counted.
#[derive(Clone, Debug)]
pub struct Translations {
    mappings: Vec<Mapping>,
    /// By the hash of the tuple.
    names: HashTable<Name>,
    /// The position to give up next.
    oldest: usize,
    limit: usize,
    evicted: u64,
}

/// Mappings that one connection is followed through at most.
const MOST_MAPPINGS: usize = 8;

impl Translations {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            mappings: Vec::new(),
            names: HashTable::new(),
            oldest: 0,
            limit: limit.clamp(1, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// Takes in how a connection is translated in a namespace; whether that is news. What is not translated is not
    /// kept.
    pub fn learn(&mut self, netns: Netns, time: Timestamp, learnt: &Learnt) -> bool {
        match self.position_of(netns, learnt) {
            // Events of different CPUs may come a little out of order.
            Some(position) if time < self.mappings[position as usize].last => false,
            Some(position) => self.learn_again(position, time, learnt),
            None if learnt.is_plain() => false,
            None => {
                self.insert(Mapping { netns, learnt: *learnt, previous: None, first: time, last: time });
                true
            }
        }
    }

    /// Takes in a decision of conntrack: the mapping it made or kept, and the one it gave up.
    pub(super) fn conntrack(&mut self, netns: Netns, time: Timestamp, decision: &Conntrack) {
        let Some(original) = decision.original else { return };
        for reply in [decision.previous_reply, decision.reply].into_iter().flatten() {
            self.learn(netns, time, &Learnt::by_conntrack(original, reply));
        }
    }

    /// Takes in what conntrack answered about a flow; whether that is news.
    pub(super) fn looked_up(&mut self, netns: Netns, time: Timestamp, found: &Translation) -> bool {
        self.learn(netns, time, &Learnt::by_conntrack(found.original, found.reply))
    }

    /// Takes in a decision of IPVS.
    pub(super) fn ipvs(&mut self, netns: Netns, time: Timestamp, decided: &Ipvs) {
        if let Some(learnt) = Learnt::by_ipvs(decided) {
            self.learn(netns, time, &learnt);
        }
    }

    /// The mappings of the connection that has this tuple in this namespace, in the order packets pass them. The same
    /// tuple in another namespace is taken for the same connection, for packets pass several; not so loopback and
    /// link-local addresses, which every namespace or link has for itself.
    pub fn of(&self, netns: Netns, tuple: &Endpoints) -> Vec<&Mapping> {
        let mut found: Vec<&Mapping> = Vec::new();
        let mut asked = vec![*tuple];
        let mut next = 0;
        while let Some(tuple) = asked.get(next).copied() {
            next += 1;
            for mapping in self.named(netns, &tuple) {
                // A connection is translated once by each in each namespace: another mapping with such a tuple is of an
                // earlier connection.
                let is_other = found
                    .iter()
                    .any(|known| known.netns == mapping.netns && known.learnt.by == mapping.learnt.by);
                if is_other || found.len() == MOST_MAPPINGS {
                    continue;
                }
                found.push(mapping);
                for tuple in mapping.tuples() {
                    if !asked.iter().any(|known| unordered(known) == unordered(&tuple)) {
                        asked.push(tuple);
                    }
                }
            }
        }
        let follows_one = |mapping: &&Mapping| {
            found.iter().any(|other| {
                other.learnt.onward == mapping.learnt.original && other.learnt.onward != other.learnt.original
            })
        };
        let mut ordered: Vec<(bool, &Mapping)> =
            found.iter().map(|mapping| (follows_one(mapping), *mapping)).collect();
        ordered.sort_by_key(|(follows, mapping)| (*follows, mapping.first, mapping.learnt.by));
        ordered.into_iter().map(|(_, mapping)| mapping).collect()
    }

    /// The ends of the connection that has this tuple in this namespace; `None` if nobody is known to translate it.
    pub fn ends(&self, netns: Netns, tuple: &Endpoints) -> Option<Ends> {
        Ends::of(&self.of(netns, tuple))
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }

    /// All mappings, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Mapping> {
        self.mappings.iter()
    }

    /// Bytes of the mappings and of what they are found by.
    pub(super) fn memory_bytes(&self) -> usize {
        self.mappings.len() * size_of::<Mapping>() + self.names.len() * size_of::<Name>()
    }

    /// Mappings given up for newer ones.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The mappings with a tuple, seen from a namespace: those of that namespace first, of each the surest and newest
    /// first.
    fn named(&self, netns: Netns, tuple: &Endpoints) -> Vec<&Mapping> {
        let key = unordered(tuple);
        let is_everywhere = !is_local(key.0.ip()) && !is_local(key.1.ip());
        let mut named: Vec<(Part, &Mapping)> = self
            .names
            .iter_hash(hash(tuple))
            .map(|name| (name.part, &self.mappings[name.position as usize]))
            .filter(|(part, mapping)| mapping.tuple(*part).is_some_and(|tuple| unordered(&tuple) == key))
            .filter(|(_, mapping)| is_everywhere || mapping.netns == netns)
            .collect();
        named.sort_by_key(|(part, mapping)| {
            (mapping.netns != netns, mapping.netns, *part, std::cmp::Reverse(mapping.last))
        });
        named.into_iter().map(|(_, mapping)| mapping).collect()
    }

    fn position_of(&self, netns: Netns, learnt: &Learnt) -> Option<u32> {
        let is_it = |name: &Name| {
            let mapping = &self.mappings[name.position as usize];
            name.part == Part::Original
                && mapping.netns == netns
                && mapping.learnt.by == learnt.by
                && mapping.learnt.original == learnt.original
        };
        self.names.find(hash(&learnt.original), is_it).map(|name| name.position)
    }

    fn learn_again(&mut self, position: u32, time: Timestamp, learnt: &Learnt) -> bool {
        let before = self.mappings[position as usize].learnt.onward;
        let is_other = before != learnt.onward;
        if is_other {
            self.forget_name(Name { position, part: Part::Onward });
        }
        let mapping = &mut self.mappings[position as usize];
        (mapping.learnt, mapping.last) = (*learnt, time);
        if is_other {
            self.keep_name(Name { position, part: Part::Onward });
            if before != learnt.original {
                self.set_previous(position, before);
            }
        }
        is_other
    }

    fn set_previous(&mut self, position: u32, previous: Endpoints) {
        let name = Name { position, part: Part::Previous };
        self.forget_name(name);
        self.mappings[position as usize].previous = Some(previous);
        self.keep_name(name);
    }

    fn insert(&mut self, mapping: Mapping) {
        let position = if self.mappings.len() < self.limit {
            self.mappings.push(mapping);
            self.mappings.len() - 1
        } else {
            let position = self.oldest;
            self.oldest = (position + 1) % self.limit;
            self.evicted += 1;
            self.for_names_of(position, Self::forget_name);
            self.mappings[position] = mapping;
            position
        };
        self.for_names_of(position, Self::keep_name);
    }

    fn for_names_of(&mut self, position: usize, act: impl Fn(&mut Self, Name)) {
        #[expect(clippy::cast_possible_truncation, reason = "the limit fits")]
        let position = position as u32;
        for part in Part::ALL {
            act(self, Name { position, part });
        }
    }

    fn keep_name(&mut self, name: Name) {
        let Self { mappings, names, .. } = self;
        let hash_of =
            |name: &Name| mappings[name.position as usize].tuple(name.part).map(|tuple| hash(&tuple));
        if let Some(own) = hash_of(&name) {
            // Names without a tuple are not in the table.
            names.insert_unique(own, name, |other| hash_of(other).unwrap_or_default());
        }
    }

    fn forget_name(&mut self, name: Name) {
        let Some(tuple) = self.mappings[name.position as usize].tuple(name.part) else { return };
        if let Ok(found) = self.names.find_entry(hash(&tuple), |other| *other == name) {
            found.remove();
        }
    }
}

/// Whether an address means something else in every namespace or on every link.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Learnt, Translations, Translator};
    use crate::{
        event::{Endpoints, IpvsService, Netns, Protocol},
        state::fixture::{at, endpoints},
    };

    const HOST: Netns = Netns::here(1);
    const POD: Netns = Netns::here(2);
    const CLIENT: &str = "10.0.0.1:40000";
    const VIRTUAL: &str = "10.9.9.9:80";
    const REAL: &str = "10.2.1.2:8080";
    const MASQUERADED: &str = "10.0.0.254:61000";

    fn ipvs(original: Endpoints, onward: Endpoints) -> Learnt {
        let service = IpvsService::of(original.protocol, original.destination, None);
        Learnt { by: Translator::Ipvs, original, onward, server: onward.destination, service: Some(service) }
    }

    fn told(translations: &Translations, netns: Netns, source: &str, destination: &str) -> Vec<String> {
        translations
            .of(netns, &endpoints(source, destination))
            .iter()
            .map(|mapping| format!("{:?} in {}: {}", mapping.learnt.by, mapping.netns, mapping.learnt.onward))
            .collect()
    }

    #[test]
    fn every_name_leads_to_the_whole_connection() {
        let mut translations = Translations::new(10);
        let dialled = endpoints(CLIENT, VIRTUAL);
        translations.learn(HOST, at(1), &ipvs(dialled, endpoints(CLIENT, REAL)));
        let reply = endpoints(REAL, MASQUERADED);
        translations.learn(HOST, at(2), &Learnt::by_conntrack(dialled, reply));
        let expected =
            ["Ipvs in 1: 10.0.0.1:40000 → 10.2.1.2:8080", "Conntrack in 1: 10.0.0.254:61000 → 10.2.1.2:8080"];
        let ends = translations.ends(POD, &reply).map(|ends| [ends.client, ends.dialled, ends.server]);
        assert_eq!(ends, Some([CLIENT, VIRTUAL, REAL].map(|address| address.parse().unwrap())));
        for (netns, source, destination) in [
            (HOST, CLIENT, VIRTUAL),
            (POD, CLIENT, VIRTUAL),
            (POD, VIRTUAL, CLIENT),
            (HOST, CLIENT, REAL),
            (POD, REAL, MASQUERADED),
            (HOST, MASQUERADED, REAL),
        ] {
            assert_eq!(
                told(&translations, netns, source, destination),
                expected,
                "{netns} {source} {destination}"
            );
        }
        for (source, destination) in [("10.0.0.1:40001", VIRTUAL), (CLIENT, MASQUERADED), (REAL, VIRTUAL)] {
            assert!(told(&translations, HOST, source, destination).is_empty(), "{source} {destination}");
        }
    }

    #[test]
    fn translations_in_two_namespaces_stand_in_the_order_packets_pass_them() {
        let mut translations = Translations::new(10);
        let (pod, host, real) =
            (endpoints(CLIENT, VIRTUAL), endpoints(MASQUERADED, VIRTUAL), endpoints(MASQUERADED, REAL));
        translations.learn(HOST, at(1), &Learnt::by_conntrack(host, real.reversed()));
        translations.learn(POD, at(2), &Learnt::by_conntrack(pod, host.reversed()));
        let expected = [
            "Conntrack in 2: 10.0.0.254:61000 → 10.9.9.9:80",
            "Conntrack in 1: 10.0.0.254:61000 → 10.2.1.2:8080",
        ];
        assert_eq!(told(&translations, POD, CLIENT, VIRTUAL), expected);
        assert_eq!(told(&translations, Netns::here(3), REAL, MASQUERADED), expected);
    }

    #[test]
    fn the_way_before_still_leads_there() {
        let mut translations = Translations::new(10);
        let dialled = endpoints(CLIENT, VIRTUAL);
        let other = "10.2.1.3:8080";
        translations.learn(HOST, at(1), &ipvs(dialled, endpoints(CLIENT, REAL)));
        translations.learn(HOST, at(3), &ipvs(dialled, endpoints(CLIENT, other)));
        // Older word that comes late changes nothing.
        translations.learn(HOST, at(2), &ipvs(dialled, endpoints(CLIENT, REAL)));
        for server in [REAL, other] {
            let found = translations.of(HOST, &endpoints(server, CLIENT));
            assert_eq!(found.len(), 1, "{server}");
            assert_eq!(found[0].learnt.server, other.parse().unwrap());
            assert_eq!(found[0].previous, Some(endpoints(CLIENT, REAL)));
        }
        // Nobody else's either, once another client got that tuple.
        let (second, masqueraded) = (endpoints("10.0.0.7:7", VIRTUAL), endpoints(CLIENT, REAL));
        translations.learn(HOST, at(4), &ipvs(second, masqueraded));
        let found = translations.of(HOST, &masqueraded.reversed());
        assert_eq!(found[0].learnt.original, second);
        assert_eq!(translations.of(HOST, &dialled)[0].learnt.original, dialled);
    }

    #[test]
    fn what_is_not_translated_is_not_kept_and_local_addresses_do_not_leave_their_namespace() {
        let mut translations = Translations::new(10);
        let plain = endpoints(CLIENT, REAL);
        translations.learn(HOST, at(1), &Learnt::by_conntrack(plain, plain.reversed()));
        assert!(translations.is_empty());
        let (client, dialled, real) = ("127.0.0.1:40000", "127.0.0.1:80", "127.0.0.1:8080");
        translations.learn(HOST, at(1), &ipvs(endpoints(client, dialled), endpoints(client, real)));
        assert_eq!(told(&translations, HOST, real, client).len(), 1);
        assert!(told(&translations, POD, real, client).is_empty());
    }

    proptest! {
        #[test]
        fn a_bounded_index_finds_what_it_keeps_and_nothing_else(
            steps in proptest::collection::vec((0u16..6, 0u16..4, 0u16..4), 1..200),
            limit in 1usize..5,
        ) {
            let tuple = |client: u16, server: u16| Endpoints {
                source: ([10, 0, 0, 1], 1_000 + client).into(),
                destination: ([10, 0, 1, 1], server).into(),
                protocol: Protocol::TCP,
            };
            let mut translations = Translations::new(limit);
            for (time, &(client, service, server)) in steps.iter().enumerate() {
                let learnt = ipvs(tuple(client, 80 + service), tuple(client, 90 + server));
                translations.learn(HOST, at(time as u64), &learnt);
            }
            prop_assert!(translations.len() <= limit);
            let mut names = 0;
            for mapping in translations.iter() {
                for tuple in mapping.tuples() {
                    names += 1;
                    let found = translations.of(HOST, &tuple);
                    prop_assert!(found.iter().all(|found| found.tuples().any(|known| known == tuple)), "{tuple}");
                    prop_assert!(!found.is_empty(), "{tuple}");
                }
            }
            prop_assert_eq!(translations.names.len(), names);
        }
    }
}
