//! New connections that IPVS led astray, held up or turned away.
//!
//! Most real servers never see one, so these rows are apart: whoever looks for trouble looks at nothing else.

use std::{collections::VecDeque, net::IpAddr};

use super::{RealKey, is_onto_drained};
use crate::{
    event::{Endpoint, Ipvs as IpvsDecided, IpvsDecision, Timestamp},
    state::{
        bounded::Bounded,
        spell::{Frequent, Spell},
    },
};

/// Rows that are kept at most.
const MOST_ROWS: usize = 4_096;

/// Clients of a row that are known again when they try once more.
const KNOWN_CLIENTS: usize = 64;

/// What may go wrong with a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MishapKind {
    /// It went on to a real server of weight 0, or one that is no longer configured, because of what IPVS kept of an
    /// earlier connection or of the client.
    OntoDrained,
    /// Its handshake was under way when its real server was drained, and its SYNs go on there without an answer.
    Unanswered,
    /// Its first packet was dropped to get rid of an old entry; the next one is scheduled.
    Delayed,
    /// Its first packets are dropped: the real server of its entry was removed.
    Dropped,
    /// There is no real server to choose.
    Refused,
}

impl MishapKind {
    /// What a decision is; `None` if nothing went wrong, or it had nothing to do with a real server.
    fn of(decided: &IpvsDecided) -> Option<Self> {
        match decided.decision {
            // The scheduler itself chooses no server of weight 0: one that has it was drained in that moment.
            IpvsDecision::Reused | IpvsDecision::Scheduled | IpvsDecision::Rescheduled => {
                let is_kept = decided.decision == IpvsDecision::Reused || decided.persistent;
                (is_kept && is_onto_drained(decided)).then_some(Self::OntoDrained)
            }
            IpvsDecision::Delayed => Some(Self::Delayed),
            // Without a real server it was overload (`drop_packet`, `drop_entry`).
            IpvsDecision::Dropped => (decided.real.is_some() && !decided.available).then_some(Self::Dropped),
            IpvsDecision::Refused => Some(Self::Refused),
        }
    }

    /// Whether it is about a real server, and not about the service.
    fn is_of_real(self) -> bool {
        matches!(self, Self::OntoDrained | Self::Unanswered | Self::Dropped)
    }

    /// Whether a client that it happens to goes on with the same connection, and it happens again.
    fn lasts(self) -> bool {
        matches!(self, Self::Unanswered | Self::Dropped | Self::Refused)
    }
}

/// What tells one row from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MishapKey {
    /// The real server; without address where it is about the service.
    pub real: RealKey,
    /// What went wrong.
    pub kind: MishapKind,
}

/// The same mishap of the same server or service, from one long pause to the next.
#[derive(Clone, Debug)]
pub struct Mishaps {
    /// First packets that it happened to.
    pub spell: Spell,
    /// Those of them that met the entry of an earlier connection, and not one that waits for its handshake.
    pub reuses: Spell,
    /// Connections, as far as their first packets can be told apart.
    pub connections: u64,
    /// SYNs of these connections that came again afterwards: the real server had not answered.
    pub repeated: u64,
    /// The last time it happened or such a SYN came again: of a server that is dead, clients that dial from the same
    /// ports meet entries that wait for the handshake, which nothing tells from repeats.
    pub last: Timestamp,
    /// The addresses of the clients that come most often.
    pub clients: Frequent<IpAddr>,
    /// The real servers that it is about most often.
    pub reals: Frequent<Endpoint>,
    /// The newest decision.
    pub newest: IpvsDecided,
    /// The clients that came last.
    known: VecDeque<Endpoint>,
    /// Clients whose SYN came again once: it may have been lost, or its answer.
    patient: VecDeque<Endpoint>,
}

/// The rows.
pub type AllMishaps = Bounded<MishapKey, Mishaps>;

pub(super) fn new() -> AllMishaps {
    Bounded::new(MOST_ROWS)
}

/// Takes a decision in.
pub(super) fn note(mishaps: &mut AllMishaps, real: RealKey, time: Timestamp, decided: &IpvsDecided) {
    if let Some(kind) = MishapKind::of(decided) {
        let address = real.address.filter(|_| kind.is_of_real());
        let key = MishapKey { real: RealKey { address, ..real }, kind };
        mishaps.touch(key, || Mishaps::new(time, decided)).add(time, decided, kind);
    } else if decided.is_repeated() && decided.weight == Some(0) {
        let key = MishapKey { real, kind: MishapKind::OntoDrained };
        if mishaps.get(&key).is_some_and(|row| row.known.contains(&decided.client)) {
            let row = mishaps.touch(key, || Mishaps::new(time, decided));
            row.repeated += 1;
            row.last = row.last.max(time);
        } else if decided.available {
            let kind = MishapKind::Unanswered;
            let row = mishaps.touch(MishapKey { real, kind }, || Mishaps::new(time, decided));
            row.came_again(time, decided, kind);
        }
    }
}

impl Mishaps {
    fn new(time: Timestamp, decided: &IpvsDecided) -> Self {
        Self {
            spell: Spell::new(time),
            reuses: Spell::new(time),
            connections: 0,
            repeated: 0,
            last: time,
            clients: Frequent::default(),
            reals: Frequent::default(),
            newest: decided.clone(),
            known: VecDeque::new(),
            patient: VecDeque::new(),
        }
    }

    /// Takes in a SYN that came again, which counts from the second time on.
    fn came_again(&mut self, time: Timestamp, decided: &IpvsDecided, kind: MishapKind) {
        if self.known.contains(&decided.client) || self.patient.contains(&decided.client) {
            self.patient.retain(|client| *client != decided.client);
            self.add(time, decided, kind);
        } else {
            remember(&mut self.patient, decided.client);
        }
    }

    fn add(&mut self, time: Timestamp, decided: &IpvsDecided, kind: MishapKind) {
        if self.spell.is_over_at(time) {
            *self = Self::new(time, decided);
        }
        self.spell.add(time, 1);
        self.last = self.last.max(time);
        if !decided.meets_opening() {
            self.reuses.add(time, 1);
        }
        let is_known = self.known.contains(&decided.client);
        if !is_known {
            remember(&mut self.known, decided.client);
        }
        if !is_known || !kind.lasts() {
            self.connections += 1;
            self.clients.add(decided.client.ip());
            if let Some(real) = decided.real {
                self.reals.add(real);
            }
        }
        if time >= self.spell.span.last {
            self.newest = decided.clone();
        }
    }
}

/// Adds one client to those that came last.
fn remember(clients: &mut VecDeque<Endpoint>, client: Endpoint) {
    if clients.len() == KNOWN_CLIENTS {
        clients.pop_front();
    }
    clients.push_back(client);
}

#[cfg(test)]
mod tests {
    use super::{KNOWN_CLIENTS, MishapKind, Mishaps};
    use crate::{
        event::{Body, Ipvs, IpvsDecision},
        state::{
            State,
            fixture::{event, ipvs},
        },
    };

    const SERVICE: &str = "10.9.9.9:80";
    const REAL: &str = "10.2.1.2:8080";

    fn decided(decision: IpvsDecision, client: u16, weight: i32, change: impl Fn(&mut Ipvs)) -> Body {
        let client = format!("10.0.0.7:{client}");
        let Body::Ipvs(mut decided) = ipvs(decision, &client, SERVICE, Some(REAL), weight) else {
            unreachable!("it makes nothing else")
        };
        change(&mut decided);
        Body::Ipvs(decided)
    }

    fn rows(events: impl IntoIterator<Item = (u64, Body)>) -> Vec<(MishapKind, bool, Mishaps)> {
        let mut state = State::default();
        for (milliseconds, body) in events {
            state.apply(&event(milliseconds, body));
        }
        let mut rows: Vec<_> = state.ipvs.mishaps.iter().map(|(key, row)| (*key, row.clone())).collect();
        rows.sort_by_key(|(key, _)| *key);
        rows.into_iter().map(|(key, row)| (key.kind, key.real.address.is_some(), row)).collect()
    }

    /// The decision, the weight, what else is different, and the mishap with whether it is of a real server.
    type Case = (IpvsDecision, i32, fn(&mut Ipvs), Option<(MishapKind, bool)>);

    #[test]
    fn each_decision_is_a_mishap_or_none() {
        use IpvsDecision::{Delayed, Dropped, Refused, Rescheduled, Reused, Scheduled};
        let none = |_: &mut Ipvs| {};
        let persistent = |decided: &mut Ipvs| decided.persistent = true;
        let gone = |decided: &mut Ipvs| decided.available = false;
        let opening = |decided: &mut Ipvs| decided.connection_state = Some("SYN_RECV");
        let nowhere =
            |decided: &mut Ipvs| (decided.real, decided.weight, decided.available) = (None, None, false);
        let cases: [Case; 13] = [
            (Scheduled, 1, none, None),
            (Scheduled, 0, none, None),
            (Scheduled, 0, persistent, Some((MishapKind::OntoDrained, true))),
            (Rescheduled, 1, none, None),
            (Rescheduled, 0, persistent, Some((MishapKind::OntoDrained, true))),
            (Reused, 1, none, None),
            (Reused, 0, none, Some((MishapKind::OntoDrained, true))),
            (Reused, 0, opening, Some((MishapKind::Unanswered, true))),
            (Reused, 1, gone, Some((MishapKind::OntoDrained, true))),
            (Delayed, 0, none, Some((MishapKind::Delayed, false))),
            (Dropped, 1, gone, Some((MishapKind::Dropped, true))),
            (Dropped, 1, nowhere, None),
            (Refused, 0, nowhere, Some((MishapKind::Refused, false))),
        ];
        for (decision, weight, change, expected) in cases {
            let told = rows([(1_000, decided(decision, 1, weight, change))]);
            let told: Vec<_> = told.iter().map(|&(kind, is_of_real, _)| (kind, is_of_real)).collect();
            assert_eq!(told, Vec::from_iter(expected), "{decision} at weight {weight}");
        }
    }

    #[test]
    fn connections_and_their_repeats_are_told_apart() {
        let opening = |decided: &mut Ipvs| decided.connection_state = Some("SYN_RECV");
        let gone = |decided: &mut Ipvs| decided.available = false;
        let told = rows([
            // One port twice is two connections; its SYN again is none, nor is that of another client.
            (1_000, decided(IpvsDecision::Reused, 1, 0, |_| ())),
            (2_000, decided(IpvsDecision::Reused, 1, 0, |_| ())),
            (3_000, decided(IpvsDecision::Reused, 1, 0, opening)),
            (3_500, decided(IpvsDecision::Reused, 9, 0, opening)),
            // The same packet of one client and that of another.
            (4_000, decided(IpvsDecision::Dropped, 1, 1, gone)),
            (5_000, decided(IpvsDecision::Dropped, 1, 1, gone)),
            (5_500, decided(IpvsDecision::Dropped, 2, 1, gone)),
        ]);
        let counts: Vec<_> =
            told.iter().map(|(_, _, row)| (row.spell.count, row.connections, row.repeated)).collect();
        assert_eq!(counts, [(2, 2, 1), (0, 0, 0), (3, 2, 0)]);
    }

    #[test]
    fn of_a_crowd_only_the_last_clients_are_known_and_a_pause_begins_anew() {
        let gone = |decided: &mut Ipvs| decided.available = false;
        let clients = u16::try_from(2 * KNOWN_CLIENTS).unwrap();
        let crowd = (0..clients)
            .map(|client| (1_000 + u64::from(client), decided(IpvsDecision::Dropped, client, 1, gone)));
        let told = rows(crowd.clone());
        assert_eq!((told[0].2.connections, told[0].2.known.len()), (u64::from(clients), KNOWN_CLIENTS));
        let told = rows(crowd.chain([(90_000, decided(IpvsDecision::Dropped, 1, 1, gone))]));
        assert_eq!((told[0].2.connections, told[0].2.spell.count, told[0].2.known.len()), (1, 1, 1));
    }
}
