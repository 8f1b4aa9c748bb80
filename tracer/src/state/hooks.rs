//! Which hooks are attached.

use std::collections::BTreeMap;

use tracer_common::hook::HookId;

use crate::event::HookStatus;

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
        self.tried.values().filter(|status| status.attached.is_some()).count()
    }

    /// How many could not be attached.
    pub fn missing(&self) -> usize {
        self.tried() - self.attached()
    }

    pub(crate) fn status_of(&mut self, status: &HookStatus) {
        if let Some(hook) = status.hook {
            self.tried.insert(hook, status.clone());
        }
    }
}
