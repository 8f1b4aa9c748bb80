//! Who answered for an address over the session, where several did.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::{Netns, series::Series, steps::Steps};
use crate::event::{Body, Claim, Direction, Event, HardwareAddress, Neighbour, Text, Timestamp, Verdict};

/// Addresses that are followed. Of any more nothing is drawn; the table of neighbours still tells them.
const ADDRESSES_KEPT: usize = 16_384;

/// Addresses with several answerers whose history is kept.
const CONTESTED_KEPT: usize = 256;

/// Hardware addresses kept of one.
const ANSWERERS_KEPT: usize = 8;

/// Buckets of a history.
const BUCKETS: usize = 120;

/// What a hardware address was heard doing, as places in its series.
pub(super) mod heard {
    /// The kernel took or confirmed it.
    pub(in crate::output::report) const TAKEN: usize = 0;
    /// The kernel kept another.
    pub(in crate::output::report) const IGNORED: usize = 1;
    /// It claimed the address in a message.
    pub(in crate::output::report) const CLAIMED: usize = 2;
    /// How many there are.
    pub(in crate::output::report) const SORTS: usize = 3;
}

/// An address behind a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AnsweredKey {
    pub(super) netns: Netns,
    pub(super) device: Text,
    pub(super) address: IpAddr,
}

/// Someone who answered.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) hardware_address: HardwareAddress,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// By [`heard`].
    pub(super) series: Series<{ heard::SORTS }>,
}

/// Everyone who answered for an address.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// In the order they appeared.
    pub(super) answerers: Vec<Heard>,
    /// Whom the kernel kept, from when on.
    pub(super) kept: Steps<Option<HardwareAddress>>,
    /// How often somebody answered who found no place here.
    pub(super) left_out: u64,
}

/// What is known of an address: mostly that one answers.
#[derive(Clone, Debug)]
enum Answered {
    ByOne { hardware_address: HardwareAddress, first: Timestamp, last: Timestamp, heard: [u32; heard::SORTS] },
    BySeveral(Box<History>),
}

/// The addresses of a session, and who answered for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Answering {
    addresses: FxHashMap<AnsweredKey, Answered>,
    contested: usize,
}

impl Answering {
    /// Takes an event in; `origin` is when the session begins.
    pub(super) fn note(&mut self, origin: Timestamp, event: &Event) {
        match &event.body {
            Body::Neighbour(told) => self.proposal(origin, event, told),
            Body::Claim(claim) if claim.direction == Direction::In => self.claim(origin, event, claim),
            _ => {}
        }
    }

    /// Addresses with several answerers, those heard most first.
    pub(super) fn contested(&self) -> Vec<(&AnsweredKey, &History)> {
        let mut contested: Vec<_> = self
            .addresses
            .iter()
            .filter_map(|(key, answered)| match answered {
                Answered::BySeveral(history) => Some((key, &**history)),
                Answered::ByOne { .. } => None,
            })
            .collect();
        contested.sort_by(|(key, history), (other_key, other)| {
            other.trouble().cmp(&history.trouble()).then_with(|| key.cmp(other_key))
        });
        contested
    }

    fn proposal(&mut self, origin: Timestamp, event: &Event, told: &Neighbour) {
        let &Neighbour { address, ref device, proposed, previous, verdict, .. } = told;
        let key = AnsweredKey { netns: event.netns, device: device.clone(), address };
        let kept = match verdict {
            Verdict::Learned | Verdict::Changed => proposed,
            Verdict::Confirmed => proposed.or(previous),
            Verdict::Ignored => previous,
            Verdict::Failed => None,
        };
        // Who was there before is heard now for the first time.
        if let Some(previous) = previous.filter(|previous| Some(*previous) != proposed) {
            self.hear(origin, &key, previous, event.time, None);
        }
        if let Some(proposed) = proposed.filter(|_| verdict != Verdict::Failed) {
            let how = if verdict == Verdict::Ignored { heard::IGNORED } else { heard::TAKEN };
            self.hear(origin, &key, proposed, event.time, Some(how));
        }
        if let Some(Answered::BySeveral(history)) = self.addresses.get_mut(&key) {
            history.kept.set(event.time, kept);
        }
    }

    fn claim(&mut self, origin: Timestamp, event: &Event, claim: &Claim) {
        let Some(hardware) = claim.hardware_address.filter(|_| !claim.address.is_unspecified()) else {
            return;
        };
        let key = AnsweredKey { netns: event.netns, device: claim.device.clone(), address: claim.address };
        self.hear(origin, &key, hardware, event.time, Some(heard::CLAIMED));
    }

    fn hear(
        &mut self,
        origin: Timestamp,
        key: &AnsweredKey,
        hardware: HardwareAddress,
        time: Timestamp,
        how: Option<usize>,
    ) {
        let Some(answered) = self.addresses.get_mut(key) else {
            if self.addresses.len() < ADDRESSES_KEPT {
                let mut heard = [0; heard::SORTS];
                count(&mut heard, how);
                let one = Answered::ByOne { hardware_address: hardware, first: time, last: time, heard };
                self.addresses.insert(key.clone(), one);
            }
            return;
        };
        match answered {
            Answered::ByOne { hardware_address, last, heard, .. } if *hardware_address == hardware => {
                *last = time.max(*last);
                count(heard, how);
            }
            Answered::ByOne { hardware_address, first, last, heard } => {
                if self.contested == CONTESTED_KEPT {
                    return;
                }
                self.contested += 1;
                let mut history = History::default();
                history.begin(origin, *hardware_address, (*first, *last), *heard);
                history.hear(origin, hardware, time, how);
                *answered = Answered::BySeveral(Box::new(history));
            }
            Answered::BySeveral(history) => history.hear(origin, hardware, time, how),
        }
    }
}

fn count(heard: &mut [u32; heard::SORTS], how: Option<usize>) {
    if let Some(number) = how.and_then(|how| heard.get_mut(how)) {
        *number = number.saturating_add(1);
    }
}

impl History {
    /// The one who answered alone until now; when in this time it was heard is not known but for both ends.
    fn begin(
        &mut self,
        origin: Timestamp,
        hardware_address: HardwareAddress,
        (first, last): (Timestamp, Timestamp),
        heard: [u32; heard::SORTS],
    ) {
        let mut series = Series::new(origin, BUCKETS);
        for (how, &number) in heard.iter().enumerate() {
            let at_end = u64::from(number > 1);
            series.add(first, how, u64::from(number) - at_end);
            series.add(last, how, at_end);
        }
        self.answerers.push(Heard { hardware_address, first, last, series });
        if heard[heard::TAKEN] > 0 {
            self.kept.set(first, Some(hardware_address));
        }
    }

    fn hear(&mut self, origin: Timestamp, hardware: HardwareAddress, time: Timestamp, how: Option<usize>) {
        let known = self.answerers.iter_mut().position(|answerer| answerer.hardware_address == hardware);
        let place = match known {
            Some(place) => place,
            None if self.answerers.len() < ANSWERERS_KEPT => {
                let series = Series::new(origin, BUCKETS);
                self.answerers.push(Heard { hardware_address: hardware, first: time, last: time, series });
                self.answerers.len() - 1
            }
            None => {
                self.left_out += 1;
                return;
            }
        };
        if let Some(answerer) = self.answerers.get_mut(place) {
            answerer.last = answerer.last.max(time);
            if let Some(how) = how {
                answerer.series.add(time, how, 1);
            }
        }
    }

    /// How often one of them was ignored, or taken in the place of another.
    fn trouble(&self) -> u64 {
        let ignored: u64 = self.answerers.iter().map(|heard| heard.series.total(heard::IGNORED)).sum();
        ignored + self.kept.changes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answering, heard};
    use crate::{
        event::{Direction, Verdict},
        state::fixture::{at, claim, event, mac, proposal},
    };

    #[test]
    fn an_address_is_contested_from_its_second_answerer_on() {
        let mut answering = Answering::default();
        let mut note = |time, body| answering.note(at(0), &event(time, body));
        note(1_000, proposal("10.0.0.1", Verdict::Learned, Some(mac(1)), None));
        for second in 2..10 {
            note(second * 1_000, proposal("10.0.0.1", Verdict::Confirmed, Some(mac(1)), Some(mac(1))));
        }
        note(1_000, proposal("10.0.0.2", Verdict::Learned, Some(mac(9)), None));
        note(10_000, proposal("10.0.0.1", Verdict::Ignored, Some(mac(2)), Some(mac(1))));
        note(10_001, claim("10.0.0.1", mac(2), Direction::In));
        note(11_000, claim("10.0.0.1", mac(3), Direction::Out));
        note(20_000, proposal("10.0.0.1", Verdict::Changed, Some(mac(2)), Some(mac(1))));
        let contested = answering.contested();
        let [(key, history)] = contested.as_slice() else { panic!("{contested:?}") };
        assert_eq!(key.address.to_string(), "10.0.0.1");
        let told: Vec<_> = history
            .answerers
            .iter()
            .map(|one| {
                let totals = [heard::TAKEN, heard::IGNORED, heard::CLAIMED].map(|how| one.series.total(how));
                (one.hardware_address, one.first, one.last, totals)
            })
            .collect();
        // That the first one holds the address at 20 s is known from what took its place.
        assert_eq!(
            told,
            [(mac(1), at(1_000), at(20_000), [9, 0, 0]), (mac(2), at(10_000), at(20_000), [1, 1, 1])]
        );
        let kept: Vec<_> = history.kept.iter().collect();
        assert_eq!(kept, [(at(1_000), Some(mac(1))), (at(20_000), Some(mac(2)))]);
        assert_eq!(history.left_out, 0);
    }

    #[test]
    fn more_answerers_than_there_is_room_for_are_counted() {
        let mut answering = Answering::default();
        for second in 0..20_u8 {
            let told = claim("10.0.0.1", mac(second), Direction::In);
            answering.note(at(0), &event(u64::from(second) * 1_000, told));
        }
        let contested = answering.contested();
        assert_eq!((contested[0].1.answerers.len(), contested[0].1.left_out), (8, 12));
    }
}
