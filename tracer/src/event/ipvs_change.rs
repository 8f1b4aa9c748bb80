//! Changes of what IPVS is configured to do.

use std::fmt;

use tracer_common::record::{IpvsChangeRecord, ipvs_change_kind};

use super::{Endpoint, IpvsForward, IpvsService, Text, address};

/// A service or a real server was added or removed, or a real server's weight changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpvsChange {
    /// The service.
    pub service: IpvsService,
    /// The real server; `None` if it is about the service itself.
    pub real: Option<Endpoint>,
    /// What changed.
    pub change: IpvsChangeKind,
    /// The real server's weight before, unless it was added.
    pub from: Option<i32>,
    /// Its weight after, unless it was removed.
    pub to: Option<i32>,
    /// How packets reach the real server.
    pub forwarding: Option<IpvsForward>,
    /// The service's scheduler, if it is about the service and that has one.
    pub scheduler: Option<Text>,
    /// Whether it goes because its network namespace does.
    pub namespace_ends: bool,
    /// Whether no hook saw it: two listings differ. Changes between them that cancel each other out are not told.
    pub by_comparison: bool,
}

impl IpvsChange {
    /// What a record means; `None` if it is of a newer kind of change.
    pub(crate) fn from_record(record: &IpvsChangeRecord) -> Option<Self> {
        let change = IpvsChangeKind::of(record.change)?;
        let is_real = record.has_real != 0;
        let scheduler = Text::from_bytes(&record.scheduler);
        Some(Self {
            service: (&record.service).into(),
            real: is_real.then(|| Endpoint::new(address(record.real), record.real_port)),
            change,
            from: (is_real && change != IpvsChangeKind::Added).then_some(record.from),
            to: (is_real && change != IpvsChangeKind::Removed).then_some(record.to),
            forwarding: if is_real { IpvsForward::of(record.connection_flags) } else { None },
            scheduler: (!scheduler.is_empty()).then_some(scheduler),
            namespace_ends: record.namespace_ends != 0,
            by_comparison: record.header.hook == 0,
        })
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpvsChangeKind {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
    /// The real server's weight changed.
    Weight,
}

impl IpvsChangeKind {
    fn of(number: u8) -> Option<Self> {
        match number {
            ipvs_change_kind::ADDED => Some(Self::Added),
            ipvs_change_kind::REMOVED => Some(Self::Removed),
            ipvs_change_kind::WEIGHT => Some(Self::Weight),
            _ => None,
        }
    }

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Weight => "weight",
        }
    }
}

impl fmt::Display for IpvsChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{IpvsChangeRecord, ipvs_change_kind};

    use super::{IpvsChange, IpvsChangeKind};

    #[test]
    fn weights_are_told_where_there_are_any() {
        for (change, has_real, expected) in [
            (ipvs_change_kind::ADDED, 1, (IpvsChangeKind::Added, None, Some(2))),
            (ipvs_change_kind::REMOVED, 1, (IpvsChangeKind::Removed, Some(1), None)),
            (ipvs_change_kind::WEIGHT, 1, (IpvsChangeKind::Weight, Some(1), Some(2))),
            (ipvs_change_kind::ADDED, 0, (IpvsChangeKind::Added, None, None)),
            (ipvs_change_kind::REMOVED, 0, (IpvsChangeKind::Removed, None, None)),
        ] {
            let record = IpvsChangeRecord { change, has_real, from: 1, to: 2, ..IpvsChangeRecord::default() };
            let told = IpvsChange::from_record(&record).unwrap();
            assert_eq!((told.change, told.from, told.to), expected);
            assert_eq!((told.real.is_some(), told.forwarding.is_some()), (has_real != 0, has_real != 0));
        }
        let newer = IpvsChangeRecord { change: 9, ..IpvsChangeRecord::default() };
        assert_eq!(IpvsChange::from_record(&newer), None);
    }
}
