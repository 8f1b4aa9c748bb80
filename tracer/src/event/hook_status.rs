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
    /// Why not, or what to know about it; may be empty.
    pub reason: Text,
}

impl HookStatus {
    /// The status of a record and the text behind it.
    pub fn from_record(record: &HookStatusRecord, text: &[u8]) -> Self {
        Self {
            hook: HookId::from_number(record.hook),
            attached: (record.attached != 0).then(|| Way::from_number(record.way)).flatten(),
            reason: Text::from_bytes(text),
        }
    }
}
