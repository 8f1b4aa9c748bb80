//! Changes of the configuration, and listings of it.
//!
//! A listing is as old as the question it answers, and may come after a change that is newer. So each row keeps the time
//! of the newest word on it, and what is older changes nothing.

use super::{Connections, Ipvs, RECENT_CHANGES, Real, RealKey, RecentChange, Service, ServiceKey};
use crate::event::{
    IpvsChange, IpvsChangeKind, ListedDestination, ListedService, ListedWhy, Netns, Timestamp,
};

impl Ipvs {
    /// A service or a real server was added or removed, or a weight changed.
    pub(in crate::state) fn change(&mut self, netns: Netns, time: Timestamp, change: &IpvsChange) {
        let key = ServiceKey { netns, service: change.service };
        // A change of a real server makes its service known as well.
        let service = self.services.touch(key, || Service::new(time));
        if let Some(real) = change.real {
            let key = RealKey { service: key, address: Some(real) };
            self.reals.touch(key, || Real::new(time, true)).change(time, change);
        } else {
            service.change(time, change);
        }
        if self.changes.len() == RECENT_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(RecentChange { time, netns, change: change.clone() });
    }

    /// A service as it was when the kernel was asked.
    pub(in crate::state) fn listed_service(&mut self, netns: Netns, time: Timestamp, listed: &ListedService) {
        let key = ServiceKey { netns, service: listed.service };
        if listed.why == ListedWhy::Gone && self.services.get(&key).is_none() {
            return;
        }
        let service = self.services.touch(key, || Service::new(time));
        if time < service.known_at {
            return;
        }
        service.known_at = time;
        if listed.why == ListedWhy::Gone {
            service.removed.get_or_insert(time);
            return;
        }
        service.removed = None;
        service.scheduler.clone_from(&listed.scheduler);
        service.persistence_s = listed.persistence_s;
    }

    /// A real server as it was when the kernel was asked.
    pub(in crate::state) fn listed_destination(
        &mut self,
        netns: Netns,
        time: Timestamp,
        listed: &ListedDestination,
    ) {
        let key =
            RealKey { service: ServiceKey { netns, service: listed.service }, address: Some(listed.real) };
        if listed.why == ListedWhy::Gone && self.reals.get(&key).is_none() {
            return;
        }
        self.reals.touch(key, || Real::new(time, true)).listed(time, listed);
    }
}

impl Service {
    fn change(&mut self, time: Timestamp, change: &IpvsChange) {
        self.last = self.last.max(time);
        if time < self.known_at {
            return;
        }
        self.known_at = time;
        self.removed = (change.change == IpvsChangeKind::Removed).then_some(time);
        if change.change == IpvsChangeKind::Added {
            self.scheduler.clone_from(&change.scheduler);
        }
    }
}

impl Real {
    fn change(&mut self, time: Timestamp, change: &IpvsChange) {
        self.last = self.last.max(time);
        if time < self.known_at {
            return;
        }
        self.known_at = time;
        // What is known of a server first by its change, was before what that says.
        if self.weight.is_none() {
            self.weight = change.from;
        }
        if let Some(weight) = change.to {
            self.set_weight(time, weight);
        }
        self.forwarding = change.forwarding.or(self.forwarding);
        self.available = change.change != IpvsChangeKind::Removed;
        self.removed = (!self.available).then_some(time);
    }

    fn listed(&mut self, time: Timestamp, listed: &ListedDestination) {
        if time < self.known_at {
            return;
        }
        self.known_at = time;
        if listed.why == ListedWhy::Gone {
            self.available = false;
            self.removed.get_or_insert(time);
            return;
        }
        self.set_weight(time, listed.weight);
        self.forwarding = listed.forwarding;
        self.available = true;
        self.removed = None;
        self.connections = Some(Connections {
            active: listed.active_connections,
            inactive: listed.inactive_connections,
            persistent: listed.persistent_connections,
        });
    }
}
