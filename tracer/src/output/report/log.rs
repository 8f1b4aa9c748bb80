//! What happened in a session of any length, in bounded memory: equal things in a row are one entry.

use std::{cmp::Reverse, collections::VecDeque, mem};

use rustc_hash::{FxHashMap, FxHashSet};

use super::topic::{Importance, Topic};
use crate::event::{Body, Event, Retransmit, RetransmitKind, Timestamp};

/// Entries kept; beyond them, gaps between entries of one topic are closed, and then the least telling given up.
const ENTRIES_KEPT: usize = 4_096;

/// Several events of one topic, with no long pause between them.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What they have in common.
    pub(super) topic: Topic,
    /// How many events.
    pub(super) events: u64,
    /// When the first was.
    pub(super) first: Timestamp,
    /// When the last was.
    pub(super) last: Timestamp,
    /// The first of them.
    pub(super) example: Event,
    /// The last of them, if there were several; not kept of retransmits, which are too many.
    pub(super) newest: Option<Box<Event>>,
    /// Of retransmits: successful attempts by kind, in the order of [`RetransmitKind::ALL`], and failed ones.
    pub(super) attempts: ([u64; RetransmitKind::ALL.len()], u64),
}

impl Entry {
    fn new(topic: Topic, event: &Event) -> Self {
        let mut entry = Self {
            topic,
            events: 0,
            first: event.time,
            last: event.time,
            example: event.clone(),
            newest: None,
            attempts: ([0; RetransmitKind::ALL.len()], 0),
        };
        entry.extend(event);
        entry
    }

    fn extend(&mut self, event: &Event) {
        self.events += 1;
        self.first = self.first.min(event.time);
        self.last = self.last.max(event.time);
        match &event.body {
            Body::Retransmit(Retransmit { kind, error: None, .. }) => self.attempts.0[*kind as usize] += 1,
            Body::Retransmit(_) => self.attempts.1 += 1,
            _ if self.events > 1 => self.newest = Some(Box::new(event.clone())),
            _ => {}
        }
    }

    fn join(&mut self, later: Self) {
        self.events += later.events;
        self.first = self.first.min(later.first);
        self.last = self.last.max(later.last);
        let (kinds, failed) = &mut self.attempts;
        for (sum, count) in kinds.iter_mut().zip(later.attempts.0) {
            *sum += count;
        }
        *failed += later.attempts.1;
        if !matches!(later.example.body, Body::Retransmit(_)) {
            self.newest = later.newest.or_else(|| Some(Box::new(later.example)));
        }
    }

    fn importance(&self) -> Importance {
        self.topic.importance()
    }
}

/// Entries in the order of their first events.
#[derive(Clone, Debug)]
pub(super) struct Log {
    entries: Vec<Entry>,
    /// Where the newest entry of a topic is.
    newest: FxHashMap<Topic, usize>,
    /// By importance: pauses that end an entry are so many times as long as usual.
    patience: [u64; Importance::ALL.len()],
    /// By importance: when there was last no room. For a while then, what is new is told together.
    crowded: [Option<Timestamp>; Importance::ALL.len()],
    /// Entries given up.
    left_out: u64,
    limit: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self::new(ENTRIES_KEPT)
    }
}

impl Log {
    fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            newest: FxHashMap::default(),
            patience: [1; Importance::ALL.len()],
            crowded: [None; Importance::ALL.len()],
            left_out: 0,
            limit,
        }
    }

    /// Takes an event in, if it tells what happened.
    pub(super) fn note(&mut self, event: &Event) {
        let Some(topic) = Topic::of(event) else { return };
        let importance = topic.importance() as usize;
        if self.goes_on(&topic, event) {
            return;
        }
        let topic = if self.is_crowded(importance, event.time) { topic.of_others() } else { topic };
        if topic.is_of_others() && self.goes_on(&topic, event) {
            return;
        }
        self.newest.insert(topic.clone(), self.entries.len());
        self.entries.push(Entry::new(topic, event));
        if self.entries.len() > self.limit {
            self.condense(event.time);
        }
    }

    /// Adds an event to the newest entry of a topic, if that is not over.
    fn goes_on(&mut self, topic: &Topic, event: &Event) -> bool {
        let patience = self.patience[topic.importance() as usize];
        let entry = self.newest.get(topic).and_then(|&place| self.entries.get_mut(place));
        let entry = entry.filter(|entry| !entry.is_over(event.time, patience));
        entry.map(|entry| entry.extend(event)).is_some()
    }

    fn is_crowded(&self, importance: usize, now: Timestamp) -> bool {
        const WHILE_NS: u64 = 60_000_000_000;
        self.crowded[importance].is_some_and(|then| now.boot_ns.saturating_sub(then.boot_ns) < WHILE_NS)
    }

    /// The entries, oldest first.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many entries were given up.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Makes room where most of it is taken: joins entries of one topic across longer pauses, or, where that does not
    /// help, gives up the smallest.
    fn condense(&mut self, now: Timestamp) {
        let wanted = self.limit / 4 * 3;
        while self.entries.len() > wanted {
            let excess = self.entries.len() - wanted;
            let mut sizes = [0_usize; Importance::ALL.len()];
            for entry in &self.entries {
                sizes[entry.importance() as usize] += 1;
            }
            let largest = Importance::ALL.into_iter().max_by_key(|&importance| sizes[importance as usize]);
            let Some(importance) = largest else { return };
            let size = sizes[importance as usize];
            if let Some(patience) = self.helpful_patience(importance, size.div_ceil(2)) {
                self.patience[importance as usize] = patience;
                self.entries = joined(mem::take(&mut self.entries), importance, patience);
            } else {
                self.crowded[importance as usize] = Some(now);
                self.give_up_smallest(importance, excess.min(size));
            }
        }
        self.newest =
            self.entries.iter().enumerate().map(|(place, entry)| (entry.topic.clone(), place)).collect();
    }

    /// The least patience by which at most so many entries of an importance are left, if there is one.
    fn helpful_patience(&self, importance: Importance, wanted: usize) -> Option<u64> {
        /// The pause is then longer than a year.
        const TRIES: u32 = 12;
        let present = self.patience[importance as usize];
        (1..=TRIES).map(|attempt| present.saturating_mul(1 << (2 * attempt))).find(|&patience| {
            let mut last: FxHashMap<&Topic, Timestamp> = FxHashMap::default();
            let of_importance = self.entries.iter().filter(|entry| entry.importance() == importance);
            let left = of_importance.filter(|entry| {
                let before = last.insert(&entry.topic, entry.last);
                before.is_none_or(|before| is_after_pause(&entry.topic, before, entry.first, patience))
            });
            left.count() <= wanted
        })
    }

    fn give_up_smallest(&mut self, importance: Importance, count: usize) {
        let of_importance = self.entries.iter().enumerate();
        let mut sizes: Vec<(u64, usize)> = of_importance
            .filter(|(_, entry)| entry.importance() == importance)
            .map(|(place, entry)| (entry.events, place))
            .collect();
        sizes.sort_unstable();
        let given_up: FxHashSet<usize> = sizes.into_iter().take(count).map(|(_, place)| place).collect();
        self.left_out += given_up.len() as u64;
        let mut place = 0;
        self.entries.retain(|_| {
            place += 1;
            !given_up.contains(&(place - 1))
        });
    }
}

/// The same entries, those of an importance joined across pauses.
fn joined(entries: Vec<Entry>, importance: Importance, patience: u64) -> Vec<Entry> {
    let mut joined: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut newest: FxHashMap<Topic, usize> = FxHashMap::default();
    for entry in entries {
        match newest.get(&entry.topic).and_then(|&place| joined.get_mut(place)) {
            Some(before) if entry.importance() == importance && !before.is_over(entry.first, patience) => {
                before.join(entry);
            }
            _ => {
                newest.insert(entry.topic.clone(), joined.len());
                joined.push(entry);
            }
        }
    }
    joined
}

impl Entry {
    /// Whether an event at a time is too late to belong here.
    fn is_over(&self, time: Timestamp, patience: u64) -> bool {
        is_after_pause(&self.topic, self.last, time, patience)
    }
}

/// Whether the pause between two events of a topic is too long for one entry.
fn is_after_pause(topic: &Topic, before: Timestamp, after: Timestamp, patience: u64) -> bool {
    let pause_ns = after.boot_ns.saturating_sub(before.boot_ns);
    topic.pause_ns().is_none_or(|longest_ns| pause_ns > longest_ns.saturating_mul(patience))
}

/// The `most` entries that tell most, in their order: of each rank the largest in turn, so that a flood of one rank
/// leaves room for the others.
pub(super) fn telling(entries: &[Entry], most: usize) -> Vec<&Entry> {
    if entries.len() <= most {
        return entries.iter().collect();
    }
    let mut ranks: Vec<VecDeque<usize>> = Vec::new();
    for importance in Importance::ALL {
        let mut places: Vec<usize> =
            (0..entries.len()).filter(|&place| entries[place].importance() == importance).collect();
        places.sort_by_key(|&place| (Reverse(entries[place].events), place));
        ranks.push(places.into());
    }
    let mut chosen: Vec<usize> = Vec::with_capacity(most);
    while chosen.len() < most {
        let left = most - chosen.len();
        let round: Vec<usize> = ranks.iter_mut().filter_map(VecDeque::pop_front).take(left).collect();
        if round.is_empty() {
            break;
        }
        chosen.extend(round);
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|place| &entries[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Log, telling};
    use crate::{
        event::{Body, Event, IpvsChangeKind, RetransmitKind, Text, Verdict},
        state::fixture::{event, ipvs_change, mac, proposal, retransmit},
    };

    fn syn(milliseconds: u64, peer: u8) -> Event {
        let told = retransmit(RetransmitKind::Syn, "10.0.0.1:4242", &format!("10.0.1.{peer}:80"));
        event(milliseconds, Body::Retransmit(told))
    }

    fn moved(milliseconds: u64, address: u32) -> Event {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + address).to_string();
        event(milliseconds, proposal(&address, Verdict::Changed, Some(mac(1)), Some(mac(2))))
    }

    fn told(log: &Log) -> Vec<(u64, u64, u64)> {
        let second = |time: crate::event::Timestamp| time.boot_ns / 1_000_000_000;
        log.entries().iter().map(|entry| (entry.events, second(entry.first), second(entry.last))).collect()
    }

    #[test]
    fn equal_things_in_a_row_are_one_entry_and_a_long_pause_ends_it() {
        let mut log = Log::default();
        for event in [syn(1_000, 1), syn(2_000, 2), syn(3_000, 1), syn(31_000, 1), syn(120_000, 1)] {
            log.note(&event);
        }
        assert_eq!(told(&log), [(3, 1, 31), (1, 2, 2), (1, 120, 120)]);
        assert_eq!(log.entries()[0].attempts.0[RetransmitKind::Syn as usize], 3);
        assert_eq!(log.left_out(), 0);
    }

    #[test]
    fn what_a_user_marked_or_nothing_happened_in_stays_apart() {
        let mut log = Log::default();
        for body in [
            Body::Marker(Text::new("one")),
            Body::Marker(Text::new("two")),
            Body::Ready,
            proposal("10.0.0.1", Verdict::Confirmed, Some(mac(1)), Some(mac(1))),
        ] {
            log.note(&event(5_000, body));
        }
        assert_eq!(told(&log), [(1, 5, 5), (1, 5, 5)]);
    }

    #[test]
    fn a_flood_is_condensed_and_what_is_given_up_is_counted() {
        let mut log = Log::new(16);
        // One address that moves every minute fits by longer and longer pauses.
        for turn in 0..100 {
            log.note(&moved(turn * 60_000, 1));
        }
        assert_eq!(log.entries().iter().map(|entry| entry.events).sum::<u64>(), 100);
        assert!(log.entries().len() <= 16 && log.left_out() == 0, "{:?}", told(&log));
        // A thousand addresses do not, but the rarer change is still there.
        log.note(&event(
            6_100_000,
            ipvs_change(IpvsChangeKind::Weight, "10.9.9.9:80", Some("10.0.0.1:80"), Some(1), Some(0)),
        ));
        for turn in 0..1_000_u32 {
            log.note(&moved(6_200_000 + u64::from(turn) * 1_000, 10 + turn));
        }
        assert!(log.entries().len() <= 16);
        assert!(log.left_out() > 0, "{:?}", told(&log));
        // Those of one event are given up first.
        let events: u64 = log.entries().iter().map(|entry| entry.events).sum();
        assert_eq!(events + log.left_out(), 1_101, "{:?}", told(&log));
        assert!(log.entries().iter().any(|entry| matches!(entry.example.body, Body::IpvsChange(_))));
        let times: Vec<_> = log.entries().iter().map(|entry| entry.first).collect();
        assert!(times.is_sorted(), "{times:?}");
    }

    #[test]
    fn a_choice_has_something_of_every_rank_in_order() {
        let mut log = Log::default();
        for turn in 0..50 {
            log.note(&moved(turn * 1_000, u32::try_from(turn).unwrap()));
        }
        log.note(&event(20_000, Body::Marker(Text::new("now"))));
        log.note(&syn(60_000, 1));
        let chosen = telling(log.entries(), 6);
        assert_eq!(chosen.len(), 6);
        assert!(chosen.iter().any(|entry| matches!(entry.example.body, Body::Marker(_))));
        assert!(matches!(chosen[5].example.body, Body::Retransmit(_)));
    }
}
