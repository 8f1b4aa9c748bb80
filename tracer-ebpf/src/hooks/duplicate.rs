//! Packets that come again with a lower TTL.
//!
//! The hook sees every packet the node receives, so it is attached only while a flow is under suspicion, and leaves
//! packets of all other flows after one look into the watch list.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map, raw_tracepoint},
    maps::{HashMap, LruHashMap},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use tracer_common::{
    hook::HookId,
    record::{DuplicateRecord, Flow},
    watched::{RECORDS_PER_SECOND, WATCHED_FLOWS, Watched},
};

use crate::{
    emit::{count_suppressed, emit, is_wanted},
    kernel::{
        Access, Pointer, Probed,
        ip::{self, Header, Version},
        offset,
        packet::{self, Bytes},
        read,
    },
};

/// Flows under suspicion; the program fills it.
#[map]
static WATCHED: HashMap<Flow, Watched> = HashMap::with_max_entries(WATCHED_FLOWS, 0);

/// What one packet has in common wherever on its way it is seen.
#[repr(C)]
#[derive(Clone, Copy)]
struct Identity {
    source: [u8; 16],
    destination: [u8; 16],
    payload: [u32; 2],
    netns: u32,
    identification: u32,
    protocol: u64,
}

/// Where a packet was seen last.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sighting {
    time_ns: u64,
    times: u32,
    first_ttl: u8,
    ttl: u8,
    reserved: u16,
}

/// Packets of watched flows.
#[map]
static SIGHTINGS: LruHashMap<Identity, Sighting> = LruHashMap::with_max_entries(8192, 0);

/// `netif_receive_skb(struct sk_buff *)`.
#[btf_tracepoint(function = "netif_receive_skb")]
fn received_btf(context: BtfTracePointContext) -> i32 {
    look_at::<crate::kernel::Direct>(context.arg(0));
    0
}

#[raw_tracepoint(tracepoint = "netif_receive_skb")]
fn received_raw(context: RawTracePointContext) -> i32 {
    look_at::<Probed>(context.arg(0));
    0
}

/// The data begins with the network header. A packet under a VLAN tag that the device left in it is not looked at here;
/// it comes by again without the tag if it is for this node's IP.
#[inline(always)]
fn look_at<A: Access>(skb: Pointer) {
    const ETH_P_IP: u16 = 0x0800;
    const ETH_P_IPV6: u16 = 0x86dd;
    let version = match u16::from_be(read::<A, u16>(skb, offset!(skb_protocol))) {
        ETH_P_IP => Version::V4,
        ETH_P_IPV6 => Version::V6,
        _ => return,
    };
    let bytes = Bytes::of_data::<A>(skb);
    let mut flow = Flow::EMPTY;
    let header = match version {
        Version::V4 => ip::header(Version::V4, &bytes, &mut flow),
        Version::V6 => ip::header(Version::V6, &bytes, &mut flow),
    };
    let Some(header) = header else { return };
    let Some(watched) = WATCHED.get_ptr_mut(&flow) else { return };
    // SAFETY: points to the flow's value, which stays readable while this program runs.
    sight(skb, version, &flow, &header, unsafe { &mut *watched });
}

/// Notes a packet of a watched flow, and tells if it was here before with a higher TTL.
#[inline(always)]
fn sight(skb: Pointer, version: Version, flow: &Flow, header: &Header, watched: &mut Watched) {
    let Some(payload) = header.payload else { return };
    let device = packet::device(skb);
    let netns = device.netns::<Probed>();
    if !is_wanted(netns) {
        return;
    }
    let identity = Identity {
        source: flow.source,
        destination: flow.destination,
        payload,
        netns,
        identification: header.identification,
        protocol: u64::from(flow.protocol),
    };
    // SAFETY: the helper has no preconditions.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let Some(sighting) = SIGHTINGS.get_ptr_mut(&identity) else {
        let sighting = Sighting { time_ns, times: 1, first_ttl: header.ttl, ttl: header.ttl, reserved: 0 };
        // A full table gives up its oldest; what cannot be kept is a loop noticed one round later.
        let _ = SIGHTINGS.insert(&identity, &sighting, 0);
        return;
    };
    // SAFETY: points to the packet's value, which stays readable while this program runs.
    let sighting = unsafe { &mut *sighting };
    let previous_ttl = sighting.ttl;
    let is_fresh = time_ns.wrapping_sub(sighting.time_ns) < repeat_window_ns(version, header);
    sighting.time_ns = time_ns;
    sighting.ttl = header.ttl;
    if !is_fresh || header.ttl > previous_ttl {
        // Another packet that looks the same: a retransmission, or one of the next connection.
        sighting.times = 1;
        sighting.first_ttl = header.ttl;
        return;
    }
    if header.ttl == previous_ttl {
        // Seen again on another layer of this node: a bridge and its port, a bond and its member.
        return;
    }
    let (times, first_ttl) = (sighting.times + 1, sighting.first_ttl);
    sighting.times = times;
    if !(times - 1).is_power_of_two() {
        return;
    }
    if !watched.budget.take(time_ns, RECORDS_PER_SECOND) {
        count_suppressed::<DuplicateRecord>();
        return;
    }
    emit(HookId::PacketReceive, netns, |record: &mut DuplicateRecord| {
        record.flow = *flow;
        record.device = device.name::<Probed>();
        record.interface_index = device.index::<Probed>();
        record.times = times;
        record.ip_id = if version == Version::V4 { header.identification as u16 } else { 0 };
        record.ttl = header.ttl;
        record.previous_ttl = previous_ttl;
        record.first_ttl = first_ttl;
    });
}

/// How long after its last sighting a packet that looks the same is taken for the same. Without an IP id a
/// retransmission looks the same too, but comes no sooner than TCP's least timeout, 200 ms.
#[inline(always)]
fn repeat_window_ns(version: Version, header: &Header) -> u64 {
    const WITH_ID_NS: u64 = 1_000_000_000;
    const WITHOUT_ID_NS: u64 = 150_000_000;
    if version == Version::V4 && header.identification != 0 { WITH_ID_NS } else { WITHOUT_ID_NS }
}
