//! How hooks are attached.

use tracer_common::{
    hook::{HookId, Way},
    record::HookStatusRecord,
};

use super::Text;

/// One hook: attached by a way, or not, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStatus {
    /// Which; `None` for one this version does not know.
    pub hook: Option<HookId>,
    /// The way it is attached by, if it is.
    pub attached: Option<Way>,
    /// Whether it would tell anything here that no other hook tells.
    pub is_needed: bool,
    /// Why not, or what to know about it; may be empty.
    pub reason: Text,
}

/// In which of three states a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookState {
    /// Attached by this way.
    Attached(Way),
    /// Nothing is missed without it.
    NotNeeded,
    /// What it tells cannot be seen here.
    Missing,
}

impl HookState {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attached(_) => "attached",
            Self::NotNeeded => "not-needed",
            Self::Missing => "missing",
        }
    }
}

/// What a record says of an attached hook.
pub(crate) const ATTACHED: u8 = 1;
/// What a record says of a hook that is not needed.
pub(crate) const NOT_NEEDED: u8 = 2;

impl HookStatus {
    /// In which state it is.
    pub fn state(&self) -> HookState {
        match self.attached {
            Some(way) => HookState::Attached(way),
            None if self.is_needed => HookState::Missing,
            None => HookState::NotNeeded,
        }
    }

    /// The status of a record and the text behind it.
    pub fn from_record(record: &HookStatusRecord, text: &[u8]) -> Self {
        Self {
            hook: HookId::from_number(record.hook),
            attached: (record.attached == ATTACHED).then(|| Way::from_number(record.way)).flatten(),
            is_needed: record.attached != NOT_NEEDED,
            reason: Text::from_bytes(text),
        }
    }
}
