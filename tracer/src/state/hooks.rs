//! Which hooks are attached.

use std::collections::BTreeMap;

use tracer_common::hook::HookId;

use crate::{
    event::{HookState, HookStatus},
    probe::table::{Family, HOOKS},
};

/// The latest status of every hook that was tried, of all nodes together.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    nodes: BTreeMap<u16, NodeHooks>,
    /// Whether every hook has been tried, on any node.
    pub ready: bool,
}

/// The same of one node.
#[derive(Clone, Debug, Default)]
struct NodeHooks {
    tried: BTreeMap<HookId, HookStatus>,
    is_ready: bool,
}

impl Hooks {
    /// The status of a hook, of several nodes that of the first where it is missing; `None` while it has not been tried.
    pub fn status(&self, hook: HookId) -> Option<&HookStatus> {
        let is_missing = |status: &&HookStatus| status.state() == HookState::Missing;
        self.statuses(hook)
            .map(|(_, status)| status)
            .find(is_missing)
            .or_else(|| self.statuses(hook).map(|(_, status)| status).next())
    }

    /// The status of a hook on each node where it was tried, with the node's number.
    pub fn statuses(&self, hook: HookId) -> impl Iterator<Item = (u16, &HookStatus)> {
        self.nodes.iter().filter_map(move |(&node, hooks)| Some((node, hooks.tried.get(&hook)?)))
    }

    fn all(&self) -> impl Iterator<Item = &HookStatus> {
        self.nodes.values().flat_map(|hooks| hooks.tried.values())
    }

    /// How many have been tried, on all nodes together.
    pub fn tried(&self) -> usize {
        self.nodes.values().map(|hooks| hooks.tried.len()).sum()
    }

    /// How many are attached, on all nodes together.
    pub fn attached(&self) -> usize {
        self.all().filter(|status| matches!(status.state(), HookState::Attached(_))).count()
    }

    /// How many are needed and could not be attached, on all nodes together.
    pub fn missing(&self) -> usize {
        self.all().filter(|status| status.state() == HookState::Missing).count()
    }

    /// Whether nothing of a family can be seen on any node: every hook of it was tried, and none is attached.
    pub fn is_blind(&self, family: Family) -> bool {
        self.ready && self.nodes.values().all(|hooks| hooks.is_blind(family))
    }

    pub(crate) fn status_of(&mut self, node: u16, status: &HookStatus) {
        if let Some(hook) = status.hook {
            self.nodes.entry(node).or_default().tried.insert(hook, status.clone());
        }
    }

    pub(crate) fn set_ready(&mut self, node: u16) {
        self.nodes.entry(node).or_default().is_ready = true;
        self.ready = true;
    }
}

impl NodeHooks {
    fn is_blind(&self, family: Family) -> bool {
        self.is_ready
            && HOOKS
                .iter()
                .filter(|hook| hook.family == family)
                .all(|hook| self.tried.get(&hook.id).is_none_or(|status| status.attached.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::hook::{HookId, Way};

    use super::Hooks;
    use crate::{
        event::{Body, HookStatus},
        probe::table::{Family, HOOKS},
        state::fixture::hook_status,
    };

    fn status(hook: HookId, way: Option<Way>) -> HookStatus {
        let Body::HookStatus(status) = hook_status(hook, way, "") else { panic!("a status") };
        status
    }

    #[test]
    fn of_several_nodes_the_one_without_a_hook_stands_for_all() {
        let mut hooks = Hooks::default();
        for entry in HOOKS.iter().filter(|entry| entry.family == Family::Ipvs) {
            hooks.status_of(0, &status(entry.id, Some(Way::Kprobe)));
            hooks.status_of(1, &status(entry.id, None));
        }
        hooks.set_ready(1);
        let hook = HookId::IpvsSchedule;
        assert!(hooks.status(hook).is_some_and(|status| status.attached.is_none()));
        let attached: Vec<_> =
            hooks.statuses(hook).map(|(node, status)| (node, status.attached.is_some())).collect();
        assert_eq!(attached, [(0, true), (1, false)]);
        assert_eq!(hooks.tried(), 2 * hooks.attached());
        // The node that sees it is not ready, so nobody can say that it sees nothing.
        assert!(!hooks.is_blind(Family::Ipvs));
    }
}
