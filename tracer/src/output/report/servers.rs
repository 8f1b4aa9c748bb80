//! Weights and new connections of real servers over the session.

use rustc_hash::FxHashMap;

use super::{Netns, series::Series, steps::Steps};
use crate::{
    event::{Body, Endpoint, Event, IpvsChangeKind, IpvsDecision, IpvsService, ListedWhy, Timestamp},
    state::is_onto_drained,
};

/// Real servers that are followed. Of any more nothing is drawn; the table of servers still tells them.
const SERVERS_KEPT: usize = 2_048;

/// Buckets of a server's history.
const BUCKETS: usize = 120;

/// What new connections came to, as places in a server's series.
pub(super) mod dialled {
    /// They reached a server that may have them.
    pub(in crate::output::report) const WELL: usize = 0;
    /// They reached one that was drained or removed.
    pub(in crate::output::report) const DRAINED: usize = 1;
    /// They were dropped, delayed or refused.
    pub(in crate::output::report) const TURNED_AWAY: usize = 2;
    /// How many there are.
    pub(in crate::output::report) const SORTS: usize = 3;
}

/// A real server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ServerKey {
    pub(super) netns: Netns,
    pub(super) service: IpvsService,
    /// `None` gathers what reached no server.
    pub(super) real: Option<Endpoint>,
}

/// What became of one.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Its weight, `None` while it is not configured.
    pub(super) weight: Steps<Option<i32>>,
    /// New connections by [`dialled`].
    pub(super) series: Series<{ dialled::SORTS }>,
}

impl Server {
    /// New connections in all.
    pub(super) fn connections(&self) -> u64 {
        (0..dialled::SORTS).map(|sort| self.series.total(sort)).sum()
    }

    /// Whether there is anything to draw but a weight that never changed.
    pub(super) fn tells(&self) -> bool {
        self.weight.changes() > 0 || self.connections() > 0
    }
}

/// The real servers of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    servers: FxHashMap<ServerKey, Server>,
}

impl Servers {
    /// Takes an event in; `origin` is when the session begins.
    pub(super) fn note(&mut self, origin: Timestamp, event: &Event) {
        let (netns, time) = (event.netns, event.time);
        match &event.body {
            Body::Ipvs(decided) => {
                let service =
                    IpvsService::of(decided.protocol, decided.virtual_service, decided.firewall_mark);
                let key = ServerKey { netns, service, real: decided.real };
                let Some(server) = self.server(origin, key) else { return };
                let weight = decided.weight.filter(|_| decided.available);
                if decided.real.is_some() {
                    server.weight.set(time, weight);
                }
                if decided.is_repeated() && decided.decision == IpvsDecision::Reused {
                    return;
                }
                let sort = match decided.decision {
                    _ if is_onto_drained(decided) => dialled::DRAINED,
                    decision if decision.is_accepted() => dialled::WELL,
                    _ => dialled::TURNED_AWAY,
                };
                server.series.add(time, sort, 1);
            }
            Body::IpvsChange(change) if change.real.is_some() => {
                let key = ServerKey { netns, service: change.service, real: change.real };
                let Some(server) = self.server(origin, key) else { return };
                // What is known of a server first by its change, was before what that says.
                if let Some(from) = change.from.filter(|_| server.weight.iter().next().is_none()) {
                    server.weight.set(origin.min(time), Some(from));
                }
                let removed = change.change == IpvsChangeKind::Removed;
                server.weight.set(time, change.to.filter(|_| !removed));
            }
            Body::IpvsDestination(listed) => {
                let key = ServerKey { netns, service: listed.service, real: Some(listed.real) };
                let Some(server) = self.server(origin, key) else { return };
                let is_gone = listed.why == ListedWhy::Gone;
                server.weight.set(time, (!is_gone).then_some(listed.weight));
            }
            _ => {}
        }
    }

    fn server(&mut self, origin: Timestamp, key: ServerKey) -> Option<&mut Server> {
        if self.servers.len() == SERVERS_KEPT && !self.servers.contains_key(&key) {
            return None;
        }
        let new = || Server { weight: Steps::default(), series: Series::new(origin, BUCKETS) };
        Some(self.servers.entry(key).or_insert_with(new))
    }

    /// The servers there is something to tell of, by service and address.
    pub(super) fn telling(&self) -> Vec<(&ServerKey, &Server)> {
        let mut telling: Vec<_> = self.servers.iter().filter(|(_, server)| server.tells()).collect();
        telling.sort_by_key(|(key, _)| **key);
        telling
    }
}

#[cfg(test)]
mod tests {
    use super::{Servers, dialled};
    use crate::{
        event::{IpvsChangeKind, IpvsDecision, ListedWhy},
        state::fixture::{at, event, ipvs, ipvs_change, listed},
    };

    #[test]
    fn weights_and_new_connections_are_told_from_all_words_on_a_server() {
        let (service, real, idle) = ("10.9.9.9:80", "10.2.1.2:8080", "10.2.1.9:8080");
        let mut servers = Servers::default();
        let change = |from, to| ipvs_change(IpvsChangeKind::Weight, service, Some(real), from, to);
        for (time, body) in [
            (1_000, listed(ListedWhy::News, service, idle, 1)),
            (2_000, ipvs(IpvsDecision::Scheduled, "10.0.0.1:1", service, Some(real), 5)),
            (3_000, change(Some(5), Some(0))),
            (4_000, ipvs(IpvsDecision::Reused, "10.0.0.1:1", service, Some(real), 0)),
            (5_000, ipvs(IpvsDecision::Refused, "10.0.0.1:2", service, None, 0)),
            (6_000, ipvs_change(IpvsChangeKind::Removed, service, Some(real), Some(0), None)),
        ] {
            servers.note(at(0), &event(time, body));
        }
        let told: Vec<_> = servers
            .telling()
            .into_iter()
            .map(|(key, server)| {
                let sorts = [dialled::WELL, dialled::DRAINED, dialled::TURNED_AWAY];
                (key.real.map(|real| real.to_string()), sorts.map(|sort| server.series.total(sort)))
            })
            .collect();
        assert_eq!(told, [(None, [0, 0, 1]), (Some(real.to_owned()), [1, 1, 0])]);
        let (_, server) = servers.telling()[1];
        let weights: Vec<_> = server.weight.iter().collect();
        assert_eq!(weights, [(at(2_000), Some(5)), (at(3_000), Some(0)), (at(6_000), None)]);
    }
}
