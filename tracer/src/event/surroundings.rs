//! What routing depends on: addresses, devices, rules, neighbours known, settings.

use std::net::IpAddr;

use tracer_common::record::{AddressRecord, LinkRecord, NeighbourEntryRecord, RuleRecord, SysctlRecord};

use super::{
    Change, HardwareAddress, NeighbourState, Prefix, RouteProtocol, RouteTable, Text, address,
    route::{present_address, present_name},
};

/// An address of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What became of it.
    pub change: Change,
    /// The address.
    pub address: IpAddr,
    /// Length of its network.
    pub prefix_bits: u8,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// The device, if its name is known.
    pub device: Option<Text>,
    /// Index of the device.
    pub interface_index: u32,
    /// `IFA_F_*`.
    pub flags: u32,
    /// `RT_SCOPE_*`.
    pub scope: u8,
    /// Whether it was found by comparing after changes were missed.
    pub is_found_later: bool,
}

impl Address {
    /// The names of its flags that say something went wrong or will change, as `ip address` writes them.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        const NAMES: [(u32, &str); 6] = [
            (0x01, "secondary"),
            (0x04, "optimistic"),
            (0x08, "dadfailed"),
            (0x20, "deprecated"),
            (0x40, "tentative"),
            (0x100, "mngtmpaddr"),
        ];
        let flags = self.flags;
        NAMES.into_iter().filter(move |(bit, _)| flags & bit != 0).map(|(_, name)| name)
    }

    /// How far it is valid, as `ip address` writes it; `None` for one without a name.
    pub fn scope_name(&self) -> Option<&'static str> {
        Some(match self.scope {
            0 => "global",
            200 => "site",
            253 => "link",
            254 => "host",
            255 => "nowhere",
            _ => return None,
        })
    }
}

impl From<&AddressRecord> for Address {
    fn from(record: &AddressRecord) -> Self {
        Self {
            change: Change::from_number(record.change),
            address: address(record.address),
            prefix_bits: record.prefix_bits,
            peer: present_address(record.peer),
            device: present_name(&record.device),
            interface_index: record.interface_index,
            flags: record.flags,
            scope: record.scope,
            is_found_later: record.is_found_later != 0,
        }
    }
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What became of it.
    pub change: Change,
    /// Its name.
    pub device: Text,
    /// Its index.
    pub interface_index: u32,
    /// The name of its type; none for hardware.
    pub link_type: Option<Text>,
    /// Its hardware address.
    pub hardware_address: Option<HardwareAddress>,
    /// Largest packet in bytes.
    pub mtu_bytes: u32,
    /// Index of the bridge, bond or VRF it belongs to.
    pub master_index: Option<u32>,
    /// `IFF_*`.
    pub flags: u32,
    /// State by RFC 2863.
    pub operational_state: u8,
    /// Whether it was found by comparing after changes were missed.
    pub is_found_later: bool,
}

impl Link {
    /// Whether it is switched on (`IFF_UP`).
    pub fn is_up(&self) -> bool {
        self.flags & 0x1 != 0
    }

    /// Whether it has no use for neighbours' hardware addresses (`IFF_NOARP`).
    pub fn is_without_arp(&self) -> bool {
        self.flags & 0x80 != 0
    }

    /// Its state, as `ip link` writes it.
    pub fn state_name(&self) -> &'static str {
        match self.operational_state {
            1 => "NOTPRESENT",
            2 => "DOWN",
            3 => "LOWERLAYERDOWN",
            4 => "TESTING",
            5 => "DORMANT",
            6 => "UP",
            _ => "UNKNOWN",
        }
    }
}

impl From<&LinkRecord> for Link {
    fn from(record: &LinkRecord) -> Self {
        let length = record.hardware_address_length;
        Self {
            change: Change::from_number(record.change),
            device: Text::from_bytes(&record.device),
            interface_index: record.interface_index,
            link_type: present_name(&record.link_type),
            hardware_address: (length != 0).then(|| HardwareAddress::new(record.hardware_address, length)),
            mtu_bytes: record.mtu_bytes,
            master_index: (record.master_index != 0).then_some(record.master_index),
            flags: record.flags,
            operational_state: record.operational_state,
            is_found_later: record.is_found_later != 0,
        }
    }
}

/// A rule that chooses a routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What became of it.
    pub change: Change,
    /// 4 or 6.
    pub ip_version: u8,
    /// Its place: lower ones are asked first.
    pub priority: u32,
    /// Whether it holds for what does not match.
    pub is_inverted: bool,
    /// Where packets come from; none for anywhere.
    pub source: Option<Prefix>,
    /// Where they go; none for anywhere.
    pub destination: Option<Prefix>,
    /// The mark they have and the bits of it that count.
    pub mark: Option<(u32, u32)>,
    /// The device they come in by.
    pub input_device: Option<Text>,
    /// The device their socket is bound to.
    pub output_device: Option<Text>,
    /// What it does, as `ip rule` writes it.
    pub action: &'static str,
    /// The table it sends to.
    pub table: Option<RouteTable>,
    /// The rule it jumps to.
    pub goto_priority: Option<u32>,
    /// Routes no longer than this do not count.
    pub suppress_prefix_bits: Option<u32>,
    /// Who made it, where told.
    pub protocol: Option<RouteProtocol>,
    /// Whether it was found by comparing after changes were missed.
    pub is_found_later: bool,
}

impl From<&RuleRecord> for Rule {
    fn from(record: &RuleRecord) -> Self {
        let network = |bytes, bits| (bits != 0).then(|| Prefix { address: address(bytes), bits });
        Self {
            change: Change::from_number(record.change),
            ip_version: record.ip_version,
            priority: record.priority,
            is_inverted: record.is_inverted != 0,
            source: network(record.source, record.source_bits),
            destination: network(record.destination, record.destination_bits),
            mark: (record.mark_mask != 0).then_some((record.mark, record.mark_mask)),
            input_device: present_name(&record.input_device),
            output_device: present_name(&record.output_device),
            action: match record.action {
                1 => "lookup",
                2 => "goto",
                3 => "nop",
                6 => "blackhole",
                7 => "unreachable",
                8 => "prohibit",
                _ => "unknown",
            },
            table: (record.table != 0).then_some(RouteTable(record.table)),
            goto_priority: (record.goto_priority != 0).then_some(record.goto_priority),
            suppress_prefix_bits: u32::try_from(record.suppress_prefix_bits).ok(),
            protocol: (record.protocol != 0).then_some(RouteProtocol(record.protocol)),
            is_found_later: record.is_found_later != 0,
        }
    }
}

/// An entry of a neighbour table, found by looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourEntry {
    /// The neighbour's address.
    pub address: IpAddr,
    /// The device it is reached by, if its name is known.
    pub device: Option<Text>,
    /// Index of that device.
    pub interface_index: u32,
    /// The hardware address it holds.
    pub hardware_address: Option<HardwareAddress>,
    /// Its state.
    pub state: NeighbourState,
}

impl From<&NeighbourEntryRecord> for NeighbourEntry {
    fn from(record: &NeighbourEntryRecord) -> Self {
        let length = record.hardware_address_length;
        Self {
            address: address(record.address),
            device: present_name(&record.device),
            interface_index: record.interface_index,
            hardware_address: (length != 0).then(|| HardwareAddress::new(record.hardware_address, length)),
            state: NeighbourState(record.state),
        }
    }
}

/// A setting of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// What became of it.
    pub change: Change,
    /// Its name, as sysctl(8) writes it.
    pub name: Text,
    /// Its value.
    pub value: Text,
    /// The value before, where it changed.
    pub previous: Option<Text>,
}

impl Sysctl {
    /// From the record and the text behind it.
    pub(crate) fn from_record(record: &SysctlRecord, text: &[u8]) -> Self {
        let mut lines = text.split(|&byte| byte == b'\n').map(Text::from_bytes);
        let mut line = || lines.next();
        Self {
            change: Change::from_number(record.change),
            name: line().unwrap_or_default(),
            value: line().unwrap_or_default(),
            previous: line(),
        }
    }
}
