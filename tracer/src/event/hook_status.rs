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
    /// The way it is attached by, if it is, or by which it can be at any time.
    pub attached: Option<Way>,
    /// Whether it would tell anything here and now that no other hook tells.
    pub is_needed: bool,
    /// Why not, or what to know about it; may be empty.
    pub reason: Text,
}

/// In which of four states a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookState {
    /// Attached by this way.
    Attached(Way),
    /// It is attached by this way when there is something to look for, and is not now.
    Standby(Way),
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
            Self::Standby(_) => "standby",
            Self::NotNeeded => "not-needed",
            Self::Missing => "missing",
        }
    }
}

/// What a record says of an attached hook.
pub(crate) const ATTACHED: u8 = 1;
/// What a record says of a hook that is not needed.
pub(crate) const NOT_NEEDED: u8 = 2;
/// What a record says of a hook that stands by.
pub(crate) const STANDBY: u8 = 3;

impl HookStatus {
    /// In which state it is.
    pub fn state(&self) -> HookState {
        match self.attached {
            Some(way) if self.is_needed => HookState::Attached(way),
            Some(way) => HookState::Standby(way),
            None if self.is_needed => HookState::Missing,
            None => HookState::NotNeeded,
        }
    }

    /// The status of a record and the text behind it.
    pub fn from_record(record: &HookStatusRecord, text: &[u8]) -> Self {
        Self {
            hook: HookId::from_number(record.hook),
            attached: matches!(record.attached, ATTACHED | STANDBY)
                .then(|| Way::from_number(record.way))
                .flatten(),
            is_needed: !matches!(record.attached, NOT_NEEDED | STANDBY),
            reason: Text::from_bytes(text),
        }
    }
}
