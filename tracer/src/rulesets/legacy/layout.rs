//! What the kernel's three kinds of tables look like (`include/uapi/linux/netfilter_ipv4/ip_tables.h`, its siblings of
//! IPv6 and ARP, and `include/uapi/linux/netfilter/x_tables.h`). All are part of the kernel's stable interface.

use std::{
    fmt,
    mem::{offset_of, size_of},
};

use nix::sys::socket::AddressFamily;

use super::Info;

/// Length of a table's name, the closing zero included (`XT_TABLE_MAXNAMELEN`).
pub(super) const NAME_BYTES: usize = 32;

/// Length of the longest of the kernel's answers to a question for a table's numbers.
pub(super) const INFO_BYTES: usize = size_of::<GetInfo<5>>();

/// Length of what stands before the entries in the question for them: name, size, alignment.
pub(super) const ENTRIES_HEADER_BYTES: usize = 40;

/// Length of a target's or match's head: its length, name and revision (`xt_entry_target`).
pub(super) const EXTENSION_HEAD_BYTES: usize = 32;

/// Where the name stands in such a head, the closing zero included.
pub(super) const EXTENSION_NAME: std::ops::Range<usize> = 2..31;

#[repr(C)]
struct GetInfo<const HOOKS: usize> {
    name: [u8; NAME_BYTES],
    valid_hooks: u32,
    hook_entry: [u32; HOOKS],
    underflow: [u32; HOOKS],
    num_entries: u32,
    size: u32,
}

/// Every entry: what packets it is for, bookkeeping, then its matches and its target. The kernel aligns counters to 8
/// bytes on every architecture that tracer runs on.
#[repr(C)]
struct Entry<Selector> {
    selector: Selector,
    target_offset: u16,
    next_offset: u16,
    comefrom: u32,
    counters: [u64; 2],
}

/// `ipt_ip` and `ip6t_ip6`, with the `nfcache` that follows in their entries.
#[repr(C)]
struct Selector<Addresses, Rest> {
    addresses: Addresses,
    devices: [[u8; 16]; 4],
    rest: Rest,
    nfcache: u32,
}

type IpEntry = Entry<Selector<[u32; 4], (u16, [u8; 2])>>;
type Ip6Entry = Entry<Selector<[[u32; 4]; 4], [u32; 2]>>;

/// `arpt_arp`.
#[repr(C)]
struct ArpSelector {
    addresses: [u32; 4],
    hardware_lengths: [u8; 2],
    hardware_addresses: [[u8; 32]; 2],
    kinds: [u16; 6],
    devices: [[u8; 16]; 4],
    flags: u8,
    inverted: u16,
}

const _: () = {
    assert!(size_of::<GetInfo<5>>() == 84 && size_of::<GetInfo<3>>() == 68);
    assert!(size_of::<IpEntry>() == 112 && offset_of!(IpEntry, next_offset) == 90);
    assert!(size_of::<Ip6Entry>() == 168 && offset_of!(Ip6Entry, next_offset) == 142);
    assert!(size_of::<Entry<ArpSelector>>() == 192 && offset_of!(Entry<ArpSelector>, next_offset) == 166);
};

/// A kind of tables.
pub(crate) struct Kind {
    /// What people call them.
    pub(crate) tables: &'static str,
    /// Its `NFPROTO_*` number.
    pub(crate) family: u8,
    /// The file below `/proc/net` that lists the namespace's tables.
    pub(super) names: &'static str,
    pub(super) domain: AddressFamily,
    pub(super) level: i32,
    pub(super) get_info: i32,
    pub(super) get_entries: i32,
    pub(super) info_bytes: usize,
    /// The built-in chains, by hook number.
    pub(super) hooks: &'static [&'static str],
    /// Length of what says which packets an entry is for.
    pub(super) selector_bytes: usize,
    pub(super) target_offset_at: usize,
    pub(super) next_offset_at: usize,
    /// Length of an entry without matches and target.
    pub(super) entry_bytes: usize,
}

const HOOKS: &[&str] = &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// All kinds.
pub(crate) static KINDS: [Kind; 3] = [
    Kind {
        tables: "the iptables table",
        family: 2,
        names: "ip_tables_names",
        domain: AddressFamily::Inet,
        level: libc::SOL_IP,
        get_info: 64,
        get_entries: 65,
        info_bytes: size_of::<GetInfo<5>>(),
        hooks: HOOKS,
        selector_bytes: offset_of!(IpEntry, target_offset) - size_of::<u32>(),
        target_offset_at: offset_of!(IpEntry, target_offset),
        next_offset_at: offset_of!(IpEntry, next_offset),
        entry_bytes: size_of::<IpEntry>(),
    },
    Kind {
        tables: "the ip6tables table",
        family: 10,
        names: "ip6_tables_names",
        domain: AddressFamily::Inet6,
        level: libc::SOL_IPV6,
        get_info: 64,
        get_entries: 65,
        info_bytes: size_of::<GetInfo<5>>(),
        hooks: HOOKS,
        selector_bytes: offset_of!(Ip6Entry, target_offset) - size_of::<u32>(),
        target_offset_at: offset_of!(Ip6Entry, target_offset),
        next_offset_at: offset_of!(Ip6Entry, next_offset),
        entry_bytes: size_of::<Ip6Entry>(),
    },
    Kind {
        tables: "the arptables table",
        family: 3,
        names: "arp_tables_names",
        domain: AddressFamily::Inet,
        level: libc::SOL_IP,
        get_info: 96,
        get_entries: 97,
        info_bytes: size_of::<GetInfo<3>>(),
        hooks: &["INPUT", "OUTPUT", "FORWARD"],
        selector_bytes: offset_of!(Entry<ArpSelector>, target_offset),
        target_offset_at: offset_of!(Entry<ArpSelector>, target_offset),
        next_offset_at: offset_of!(Entry<ArpSelector>, next_offset),
        entry_bytes: size_of::<Entry<ArpSelector>>(),
    },
];

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.names)
    }
}

impl Kind {
    /// Length of all entries of a table.
    pub(super) fn size(&self, info: &Info) -> usize {
        self.number(info, self.info_bytes - size_of::<u32>()) as usize
    }

    /// How many entries a table has, heads and ends of chains included.
    pub(super) fn entries(&self, info: &Info) -> u32 {
        self.number(info, self.info_bytes - 2 * size_of::<u32>())
    }

    /// The built-in chain whose first entry is at this offset.
    pub(super) fn chain_at(&self, info: &Info, offset: usize) -> Option<&'static str> {
        let valid_hooks = self.number(info, offset_of!(GetInfo<5>, valid_hooks));
        let first = offset_of!(GetInfo<5>, hook_entry);
        let hook = self.hooks.iter().enumerate().find(|(hook, _)| {
            valid_hooks >> hook & 1 == 1
                && self.number(info, first + hook * size_of::<u32>()) as usize == offset
        });
        hook.map(|(_, name)| *name)
    }

    fn number(&self, info: &Info, at: usize) -> u32 {
        u32_at(&info.0[..self.info_bytes], at).unwrap_or_default()
    }

    /// The question for the entries of a table that is as `info` says.
    pub(super) fn entries_header(&self, table: &[u8], info: &Info) -> [u8; ENTRIES_HEADER_BYTES] {
        let mut header = [0; ENTRIES_HEADER_BYTES];
        let length = table.len().min(NAME_BYTES - 1);
        header[..length].copy_from_slice(&table[..length]);
        let size = self.number(info, self.info_bytes - size_of::<u32>());
        header[NAME_BYTES..][..size_of::<u32>()].copy_from_slice(&size.to_ne_bytes());
        header
    }
}

/// The number at an offset, in this machine's byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The number at an offset, in this machine's byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
