//! Where this kernel keeps what the witness reads, by the kernel's own type information.

use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use btf_rs::{Btf, BtfType, Struct, Type};

/// Distances in bytes, and what the retransmit tracepoint tells.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// From a socket to the pointer to its network namespace.
    pub socket_namespace: i32,
    /// From a network namespace to its inode number, 4 bytes.
    pub namespace_inode: i32,
    /// From a packet of TCP to its number of segments, 2 bytes.
    pub segments: i32,
    /// From a packet of TCP to its flags, 1 byte.
    pub flags: i32,
    /// From a neighbour to the pointer to its device.
    pub neighbour_device: i32,
    /// From a neighbour to its state, 1 byte.
    pub neighbour_state: i32,
    /// From a device to the pointer to its network namespace.
    pub device_namespace: i32,
    /// Whether `tcp:tcp_retransmit_skb` fires for failed attempts too: it has a third argument then, the error (6.17).
    pub tells_errors: bool,
}

impl Layout {
    /// That of the running kernel, read once. Fails where the kernel has no type information.
    pub fn of_this_kernel() -> Result<&'static Self> {
        static LAYOUT: OnceLock<Result<Layout, String>> = OnceLock::new();
        LAYOUT
            .get_or_init(|| Self::read().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    fn read() -> Result<Self> {
        const TYPES: &str = "/sys/kernel/btf/vmlinux";
        let btf = Btf::from_file(TYPES).with_context(|| format!("read {TYPES}"))?;
        // `TCP_SKB_CB`: TCP keeps its own notes in a packet's control block.
        let control = distance(&btf, "sk_buff", &["cb"])?;
        Ok(Self {
            socket_namespace: distance(&btf, "sock", &["__sk_common", "skc_net", "net"])?,
            namespace_inode: distance(&btf, "net", &["ns", "inum"])?,
            segments: control + distance(&btf, "tcp_skb_cb", &["tcp_gso_segs"])?,
            // Its low byte, where the field has two.
            flags: control + distance(&btf, "tcp_skb_cb", &["tcp_flags"])?,
            neighbour_device: distance(&btf, "neighbour", &["dev"])?,
            neighbour_state: distance(&btf, "neighbour", &["nud_state"])?,
            device_namespace: distance(&btf, "net_device", &["nd_net", "net"])?,
            tells_errors: tells_errors(&btf)?,
        })
    }
}

/// Bytes from the begin of a struct to a member of a member of … it.
fn distance(btf: &Btf, name: &str, path: &[&str]) -> Result<i32> {
    const BITS_A_BYTE: u32 = 8;
    let whole = || format!("{name}.{}", path.join("."));
    let mut structure = btf.resolve_types_by_name(name)?.into_iter().find_map(members_of);
    let mut bits = 0;
    for &step in path {
        let inside = structure.with_context(|| format!("no struct on the way to {}", whole()))?;
        let (at, next) =
            find(btf, &inside, step).with_context(|| format!("the kernel has no {}", whole()))?;
        bits += at;
        structure = next;
    }
    i32::try_from(bits / BITS_A_BYTE).with_context(whole)
}

/// A member of a struct, or of the nameless structs in it: bits from its begin, and its own members if it has any.
fn find(btf: &Btf, structure: &Struct, name: &str) -> Option<(u32, Option<Struct>)> {
    structure.members.iter().find_map(|member| {
        let inside = || {
            btf.chained_type_iter(member)
                .take_while(|found| !matches!(found, Type::Ptr(_)))
                .find_map(members_of)
        };
        match btf.resolve_name(member).ok()?.as_str() {
            found if found == name => Some((member.bit_offset(), inside())),
            "" => {
                let (bits, next) = find(btf, &inside()?, name)?;
                Some((member.bit_offset() + bits, next))
            }
            _ => None,
        }
    })
}

fn members_of(found: Type) -> Option<Struct> {
    match found {
        Type::Struct(structure) | Type::Union(structure) => Some(structure),
        _ => None,
    }
}

fn tells_errors(btf: &Btf) -> Result<bool> {
    const NAME: &str = "btf_trace_tcp_retransmit_skb";
    const WITH_ERROR: usize = 4; // The tracepoint's private data comes first.
    let types = btf.resolve_types_by_name(NAME)?;
    let pointer = types
        .iter()
        .filter_map(|found| found.as_btf_type())
        .find_map(|typedef| match btf.resolve_chained_type::<dyn BtfType>(typedef).ok()? {
            Type::Ptr(pointer) => Some(pointer),
            _ => None,
        })
        .with_context(|| format!("{NAME} is no pointer"))?;
    let Type::FuncProto(prototype) = btf.resolve_chained_type(&pointer)? else {
        bail!("{NAME} is no pointer to a function");
    };
    Ok(prototype.parameters.len() == WITH_ERROR)
}
