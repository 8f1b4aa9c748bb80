//! Proposals to the neighbour table and what became of them.

use std::{fmt, net::IpAddr};

use tracer_common::record::{HARDWARE_ADDRESS_BYTES, NeighbourRecord, neighbour_source};

use super::{Text, address};

/// A proposal to the neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The neighbour's address.
    pub address: IpAddr,
    /// The device it is reached by.
    pub device: Text,
    /// Index of that device.
    pub interface_index: u32,
    /// Hardware address proposed, if one was.
    pub proposed: Option<HardwareAddress>,
    /// Hardware address the entry held, if it was valid.
    pub previous: Option<HardwareAddress>,
    /// What the kernel makes of it.
    pub verdict: Verdict,
    /// State the entry was in.
    pub old_state: NeighbourState,
    /// State proposed, or for a failure the one reached.
    pub new_state: NeighbourState,
    /// Whether an administrator or a daemon asked for it over netlink, rather than the network stack.
    pub by_netlink: bool,
}

impl From<&NeighbourRecord> for Neighbour {
    fn from(record: &NeighbourRecord) -> Self {
        let hardware = |bytes| HardwareAddress::new(bytes, record.hardware_address_length);
        let old_state = NeighbourState(record.old_state);
        Self {
            address: address(record.address),
            device: Text::from_bytes(&record.device),
            interface_index: record.interface_index,
            proposed: (record.has_proposed != 0).then(|| hardware(record.proposed)),
            previous: old_state.is_valid().then(|| hardware(record.current)),
            verdict: Verdict::of(record),
            old_state,
            new_state: NeighbourState(record.new_state),
            by_netlink: record.netlink_port != 0,
        }
    }
}

/// What the kernel makes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The entry had no valid hardware address and takes this one.
    Learned,
    /// The entry had another hardware address and takes this one.
    Changed,
    /// The entry keeps the hardware address it has: a second answerer, or a fixed entry.
    Ignored,
    /// The hardware address is the one the entry has.
    Confirmed,
    /// The neighbour does not answer, or the entry was taken out of use.
    Failed,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Learned, Self::Changed, Self::Ignored, Self::Confirmed, Self::Failed];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Changed => "changed",
            Self::Ignored => "ignored",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
        }
    }

    /// By the rules of `__neigh_update` (5.10 to 7.2), which runs right after the tracepoint.
    fn of(record: &NeighbourRecord) -> Self {
        const FLAG_OVERRIDE: u32 = 1;
        // The administrator's flag moved from bit 31 to bit 7 in 5.16; neither bit meant anything else before or since.
        const FLAG_ADMIN: u32 = 0x8000_0080;

        let old = NeighbourState(record.old_state);
        let new = NeighbourState(record.new_state);
        if record.source == neighbour_source::TIMER {
            return Self::Failed;
        }
        let is_fixed = old.0 & (NeighbourState::NOARP | NeighbourState::PERMANENT) != 0;
        if record.dead != 0 || (is_fixed && record.update_flags & FLAG_ADMIN == 0) {
            return Self::Ignored;
        }
        if !new.is_valid() {
            return Self::Failed;
        }
        if record.has_proposed == 0 {
            // Without an address there is nothing to learn: the state of a valid entry is confirmed.
            return if old.is_valid() { Self::Confirmed } else { Self::Ignored };
        }
        if !old.is_valid() {
            return Self::Learned;
        }
        let compared = usize::from(record.hardware_address_length).min(HARDWARE_ADDRESS_BYTES);
        if record.proposed[..compared] == record.current[..compared] {
            return Self::Confirmed;
        }
        if record.update_flags & FLAG_OVERRIDE != 0 { Self::Changed } else { Self::Ignored }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A set of `NUD_*` bits (`include/uapi/linux/neighbour.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeighbourState(pub u8);

impl NeighbourState {
    const REACHABLE: u8 = 0x02;
    const STALE: u8 = 0x04;
    const DELAY: u8 = 0x08;
    const PROBE: u8 = 0x10;
    const NOARP: u8 = 0x40;
    const PERMANENT: u8 = 0x80;

    /// Whether the entry's hardware address may be used (`NUD_VALID`).
    pub fn is_valid(self) -> bool {
        const VALID: u8 = NeighbourState::PERMANENT
            | NeighbourState::NOARP
            | NeighbourState::REACHABLE
            | NeighbourState::PROBE
            | NeighbourState::STALE
            | NeighbourState::DELAY;
        self.0 & VALID != 0
    }

    /// Whether the neighbour was heard of lately, or needs not be (`NUD_CONNECTED`).
    pub fn is_connected(self) -> bool {
        self.0 & (Self::PERMANENT | Self::NOARP | Self::REACHABLE) != 0
    }

    /// Whether somebody answered for it a moment ago (`NUD_REACHABLE`).
    pub fn is_reachable(self) -> bool {
        self.0 & Self::REACHABLE != 0
    }

    /// Whether the entry's hardware address follows from its address, without anybody having been asked.
    pub fn is_without_arp(self) -> bool {
        self.0 & Self::NOARP != 0
    }
}

impl fmt::Display for NeighbourState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self.0 {
            0 => "NONE",
            0x01 => "INCOMPLETE",
            Self::REACHABLE => "REACHABLE",
            Self::STALE => "STALE",
            Self::DELAY => "DELAY",
            Self::PROBE => "PROBE",
            0x20 => "FAILED",
            Self::NOARP => "NOARP",
            Self::PERMANENT => "PERMANENT",
            several => return formatter.pad(&format!("{several:#04x}")),
        })
    }
}

/// A hardware (MAC) address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HardwareAddress {
    bytes: [u8; HARDWARE_ADDRESS_BYTES],
    length: u8,
}

impl HardwareAddress {
    /// The first `length` bytes of `bytes`; what is longer than a record keeps is cut.
    pub fn new(bytes: [u8; HARDWARE_ADDRESS_BYTES], length: u8) -> Self {
        let length = u8::try_from(usize::from(length).min(HARDWARE_ADDRESS_BYTES)).unwrap_or_default();
        Self { bytes, length }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        formatter.pad(&parts.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{NeighbourRecord, neighbour_source};

    use super::{Neighbour, Verdict};

    const FIRST: [u8; 8] = [2, 0, 0, 0, 0, 1, 0, 0];
    const SECOND: [u8; 8] = [2, 0, 0, 0, 0, 2, 0, 0];
    const REACHABLE: u8 = 2;
    const STALE: u8 = 4;

    /// An entry in `old_state` that holds the first address and is told the second.
    fn second_answer(old_state: u8, new_state: u8, update_flags: u32) -> NeighbourRecord {
        NeighbourRecord {
            old_state,
            new_state,
            update_flags,
            has_proposed: 1,
            proposed: SECOND,
            current: FIRST,
            hardware_address_length: 6,
            ..NeighbourRecord::default()
        }
    }

    #[test]
    fn the_verdict_follows_the_kernels_rules() {
        let table = [
            ("first answer", second_answer(1, REACHABLE, 0), Verdict::Learned),
            ("answer after a failure", second_answer(0x20, REACHABLE, 1), Verdict::Learned),
            ("second answer within locktime", second_answer(REACHABLE, REACHABLE, 0), Verdict::Ignored),
            ("weak override of a connected entry", second_answer(REACHABLE, STALE, 2), Verdict::Ignored),
            ("gratuitous announcement", second_answer(REACHABLE, STALE, 1), Verdict::Changed),
            (
                "same address again",
                NeighbourRecord { proposed: FIRST, ..second_answer(STALE, REACHABLE, 0) },
                Verdict::Confirmed,
            ),
            (
                "state only",
                NeighbourRecord { has_proposed: 0, ..second_answer(STALE, REACHABLE, 0) },
                Verdict::Confirmed,
            ),
            (
                "state only, nothing known",
                NeighbourRecord { has_proposed: 0, ..second_answer(1, REACHABLE, 0) },
                Verdict::Ignored,
            ),
            ("set to failed", second_answer(REACHABLE, 0x20, 0), Verdict::Failed),
            (
                "no answer",
                NeighbourRecord { source: neighbour_source::TIMER, ..second_answer(1, 0x20, 0) },
                Verdict::Failed,
            ),
            ("permanent entry", second_answer(0x80, REACHABLE, 1), Verdict::Ignored),
            (
                "permanent entry, administrator before 5.16",
                second_answer(0x80, 0x80, 0x8000_0001),
                Verdict::Changed,
            ),
            ("permanent entry, administrator since 5.16", second_answer(0x80, 0x80, 0x81), Verdict::Changed),
            (
                "unlinked entry",
                NeighbourRecord { dead: 1, ..second_answer(1, REACHABLE, 0) },
                Verdict::Ignored,
            ),
        ];
        for (name, record, expected) in table {
            assert_eq!(Neighbour::from(&record).verdict, expected, "{name}");
        }
    }

    #[test]
    fn only_a_valid_entry_has_a_previous_address() {
        assert_eq!(Neighbour::from(&second_answer(1, REACHABLE, 0)).previous, None);
        let told = Neighbour::from(&second_answer(REACHABLE, REACHABLE, 0));
        assert_eq!(told.previous.map(|address| address.to_string()).as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(told.proposed.map(|address| address.to_string()).as_deref(), Some("02:00:00:00:00:02"));
    }
}
