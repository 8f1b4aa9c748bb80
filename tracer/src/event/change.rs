//! What became of a route, an address, a device, a rule or a setting.

use tracer_common::record::change;

/// What became of something that routing depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It was there when looked at first.
    Present,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It took the place of another, or became another.
    Replaced,
    /// A device that works from now on.
    Up,
    /// A device that no longer works.
    Down,
}

impl Change {
    /// By its number in records; one that this version does not know counts as a replacement.
    pub(super) fn from_number(number: u8) -> Self {
        match number {
            change::PRESENT => Self::Present,
            change::ADDED => Self::Added,
            change::REMOVED => Self::Removed,
            change::UP => Self::Up,
            change::DOWN => Self::Down,
            _ => Self::Replaced,
        }
    }

    /// Its name in output. Routes are `replaced`; addresses, devices and settings are `changed`, for they stay the same
    /// ones.
    pub fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The same of what keeps its identity while it changes.
    pub fn name_of_state(self) -> &'static str {
        if self == Self::Replaced { "changed" } else { self.name() }
    }
}
