//! Which hooks are attached.

use std::collections::BTreeMap;

use tracer_common::hook::HookId;

use crate::{
    event::{HookState, HookStatus},
    probe::table::{Family, HOOKS},
};

/// The latest status of every hook that was tried.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    tried: BTreeMap<HookId, HookStatus>,
    /// Whether every hook has been tried.
    pub ready: bool,
}

impl Hooks {
    /// The status of a hook; `None` while it has not been tried.
    pub fn status(&self, hook: HookId) -> Option<&HookStatus> {
        self.tried.get(&hook)
    }

    /// How many have been tried.
    pub fn tried(&self) -> usize {
        self.tried.len()
    }

    /// How many are attached.
    pub fn attached(&self) -> usize {
        self.tried.values().filter(|status| matches!(status.state(), HookState::Attached(_))).count()
    }

    /// How many are needed and could not be attached.
    pub fn missing(&self) -> usize {
        self.tried.values().filter(|status| status.state() == HookState::Missing).count()
    }

    /// Whether nothing of a family can be seen: every hook of it was tried, and none is attached.
    pub fn is_blind(&self, family: Family) -> bool {
        self.ready
            && HOOKS
                .iter()
                .filter(|hook| hook.family == family)
                .all(|hook| self.status(hook.id).is_none_or(|status| status.attached.is_none()))
    }

    pub(crate) fn status_of(&mut self, status: &HookStatus) {
        if let Some(hook) = status.hook {
            self.tried.insert(hook, status.clone());
        }
    }
}
