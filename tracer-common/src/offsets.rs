//! Where the running kernel keeps what tracer reads.
//!
//! The program finds each field in the kernel's BTF and freezes the result into the kernel side's read-only data, so
//! that the verifier sees constants and prunes the branches of absent fields.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of a field this kernel does not have.
pub const ABSENT: u16 = u16::MAX;

/// One field's place in its struct.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Field {
    /// Byte offset of the field, or of the byte a bitfield starts in; [`ABSENT`] if this kernel lacks it.
    pub offset: u16,
    /// First bit of a bitfield within that byte, else 0.
    pub bit_shift: u8,
    /// Width of a bitfield in bits, else 0.
    pub bit_width: u8,
}

impl Field {
    /// A field this kernel does not have.
    pub const ABSENT: Self = Self { offset: ABSENT, bit_shift: 0, bit_width: 0 };

    /// Whether this kernel has it.
    pub fn is_present(self) -> bool {
        self.offset != ABSENT
    }
}

/// Whose BTF describes a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// The kernel image.
    Vmlinux,
    /// The module `ip_vs`.
    IpVs,
}

impl Object {
    /// Its name under `/sys/kernel/btf`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vmlinux => "vmlinux",
            Self::IpVs => "ip_vs",
        }
    }
}

/// How to find a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// Its name in [`Offsets`].
    pub name: &'static str,
    /// Whose BTF to look in.
    pub object: Object,
    /// The struct the offset counts from.
    pub structure: &'static str,
    /// The members to follow from there, dot-separated; `[N]` picks an array's element. Anonymous members are
    /// looked through.
    pub path: &'static str,
}

macro_rules! offsets {
    ($($(#[$attribute:meta])* $name:ident: $object:ident $structure:literal $path:literal,)*) => {
        /// The place of every field tracer reads.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct Offsets {
            $($(#[$attribute])* #[doc = concat!("`", $structure, ".", $path, "`")] pub $name: Field,)*
        }

        impl Offsets {
            /// A kernel that has none of them.
            pub const ABSENT: Self = Self { $($name: Field::ABSENT,)* };

            /// How to find each, in the order of the struct's fields.
            pub const PATHS: [FieldPath; size_of::<Offsets>() / size_of::<Field>()] = [
                $(FieldPath { name: stringify!($name), object: Object::$object, structure: $structure, path: $path },)*
            ];
        }
    };
}

offsets! {
    sock_destination: Vmlinux "sock_common" "skc_daddr",
    sock_source: Vmlinux "sock_common" "skc_rcv_saddr",
    sock_destination_port: Vmlinux "sock_common" "skc_dport",
    sock_source_port: Vmlinux "sock_common" "skc_num",
    sock_family: Vmlinux "sock_common" "skc_family",
    sock_state: Vmlinux "sock_common" "skc_state",
    sock_net: Vmlinux "sock_common" "skc_net.net",
    sock_bound_device: Vmlinux "sock_common" "skc_bound_dev_if",
    sock_destination_v6: Vmlinux "sock_common" "skc_v6_daddr",
    sock_source_v6: Vmlinux "sock_common" "skc_v6_rcv_saddr",
    sock_protocol: Vmlinux "sock" "sk_protocol",
    sock_socket: Vmlinux "sock" "sk_socket",
    sock_route: Vmlinux "sock" "sk_dst_cache",
    sock_mark: Vmlinux "sock" "sk_mark",
    sock_cgroup: Vmlinux "sock" "sk_cgrp_data.cgroup",
    cgroup_node: Vmlinux "cgroup" "kn",
    cgroup_node_id: Vmlinux "kernfs_node" "id",
    socket_inode: Vmlinux "socket_alloc" "vfs_inode.i_ino",
    connection_congestion_state: Vmlinux "inet_connection_sock" "icsk_ca_state",
    connection_retransmits: Vmlinux "inet_connection_sock" "icsk_retransmits",
    connection_pending: Vmlinux "inet_connection_sock" "icsk_pending",
    connection_rto: Vmlinux "inet_connection_sock" "icsk_rto",
    tcp_unacknowledged: Vmlinux "tcp_sock" "snd_una",
    tcp_send_window: Vmlinux "tcp_sock" "snd_wnd",
    tcp_congestion_window: Vmlinux "tcp_sock" "snd_cwnd",
    tcp_srtt: Vmlinux "tcp_sock" "srtt_us",
    skb_control: Vmlinux "sk_buff" "cb",
    skb_head: Vmlinux "sk_buff" "head",
    skb_data: Vmlinux "sk_buff" "data",
    skb_length: Vmlinux "sk_buff" "len",
    skb_paged_length: Vmlinux "sk_buff" "data_len",
    skb_conntrack: Vmlinux "sk_buff" "_nfct",
    skb_network_header: Vmlinux "sk_buff" "network_header",
    skb_transport_header: Vmlinux "sk_buff" "transport_header",
    skb_device: Vmlinux "sk_buff" "dev",
    skb_tail: Vmlinux "sk_buff" "tail",
    skb_protocol: Vmlinux "sk_buff" "protocol",
    skb_route: Vmlinux "sk_buff" "_skb_refdst",
    sock_write_queue: Vmlinux "sock" "sk_write_queue.next",
    icmp_message_packet: Vmlinux "icmp_bxm" "skb",
    icmp_message_header: Vmlinux "icmp_bxm" "data.icmph",
    segment_sequence: Vmlinux "tcp_skb_cb" "seq",
    segment_end_sequence: Vmlinux "tcp_skb_cb" "end_seq",
    segment_tcp_flags: Vmlinux "tcp_skb_cb" "tcp_flags",
    segment_sacked: Vmlinux "tcp_skb_cb" "sacked",
    segment_gso_segments: Vmlinux "tcp_skb_cb" "tcp_gso_segs",
    request_retransmits: Vmlinux "request_sock" "num_retrans",
    request_send_sequence: Vmlinux "tcp_request_sock" "snt_isn",
    request_mark: Vmlinux "inet_request_sock" "ir_mark",
    route_device: Vmlinux "dst_entry" "dev",
    device_index: Vmlinux "net_device" "ifindex",
    device_name: Vmlinux "net_device" "name",
    device_net: Vmlinux "net_device" "nd_net.net",
    device_address_length: Vmlinux "net_device" "addr_len",
    net_inode: Vmlinux "net" "ns.inum",
    net_ipvs: Vmlinux "net" "ipvs",
    neighbour_device: Vmlinux "neighbour" "dev",
    neighbour_table: Vmlinux "neighbour" "tbl",
    neighbour_hardware_address: Vmlinux "neighbour" "ha",
    neighbour_state: Vmlinux "neighbour" "nud_state",
    neighbour_dead: Vmlinux "neighbour" "dead",
    neighbour_key: Vmlinux "neighbour" "primary_key",
    neighbour_table_family: Vmlinux "neigh_table" "family",
    hook_state_net: Vmlinux "nf_hook_state" "net",
    conntrack_original: Vmlinux "nf_conn" "tuplehash[0].tuple",
    conntrack_reply: Vmlinux "nf_conn" "tuplehash[1].tuple",
    conntrack_status: Vmlinux "nf_conn" "status",
    conntrack_mark: Vmlinux "nf_conn" "mark",
    conntrack_zone: Vmlinux "nf_conn" "zone.id",
    conntrack_net: Vmlinux "nf_conn" "ct_net.net",
    conntrack_tcp_state: Vmlinux "nf_conn" "proto.tcp.state",
    conntrack_tcp_end: Vmlinux "nf_conn" "proto.tcp.seen[0].td_end",
    tuple_source: Vmlinux "nf_conntrack_tuple" "src.u3",
    tuple_source_port: Vmlinux "nf_conntrack_tuple" "src.u",
    tuple_family: Vmlinux "nf_conntrack_tuple" "src.l3num",
    tuple_destination: Vmlinux "nf_conntrack_tuple" "dst.u3",
    tuple_destination_port: Vmlinux "nf_conntrack_tuple" "dst.u",
    tuple_protocol: Vmlinux "nf_conntrack_tuple" "dst.protonum",
    zone_id: Vmlinux "nf_conntrack_zone" "id",
    ipvs_connection_family: IpVs "ip_vs_conn" "af",
    ipvs_connection_protocol: IpVs "ip_vs_conn" "protocol",
    ipvs_connection_client: IpVs "ip_vs_conn" "caddr",
    ipvs_connection_virtual: IpVs "ip_vs_conn" "vaddr",
    ipvs_connection_real: IpVs "ip_vs_conn" "daddr",
    ipvs_connection_client_port: IpVs "ip_vs_conn" "cport",
    ipvs_connection_virtual_port: IpVs "ip_vs_conn" "vport",
    ipvs_connection_real_port: IpVs "ip_vs_conn" "dport",
    ipvs_connection_flags: IpVs "ip_vs_conn" "flags",
    ipvs_connection_state: IpVs "ip_vs_conn" "state",
    ipvs_connection_destination: IpVs "ip_vs_conn" "dest",
    ipvs_connection_control: IpVs "ip_vs_conn" "control",
    ipvs_connection_real_family: IpVs "ip_vs_conn" "daf",
    ipvs_destination_weight: IpVs "ip_vs_dest" "weight",
    ipvs_destination_flags: IpVs "ip_vs_dest" "flags",
    ipvs_destination_configured: IpVs "ip_vs_dest" "cflags",
    ipvs_destination_family: IpVs "ip_vs_dest" "af",
    ipvs_destination_address: IpVs "ip_vs_dest" "addr",
    ipvs_destination_port: IpVs "ip_vs_dest" "port",
    ipvs_destination_connection_flags: IpVs "ip_vs_dest" "conn_flags",
    ipvs_destination_service: IpVs "ip_vs_dest" "svc",
    ipvs_wanted_family: IpVs "ip_vs_dest_user_kern" "af",
    ipvs_wanted_address: IpVs "ip_vs_dest_user_kern" "addr",
    ipvs_wanted_port: IpVs "ip_vs_dest_user_kern" "port",
    ipvs_wanted_connection_flags: IpVs "ip_vs_dest_user_kern" "conn_flags",
    ipvs_wanted_weight: IpVs "ip_vs_dest_user_kern" "weight",
    ipvs_service_protocol: IpVs "ip_vs_service" "protocol",
    ipvs_service_address: IpVs "ip_vs_service" "addr",
    ipvs_service_port: IpVs "ip_vs_service" "port",
    ipvs_service_scheduler: IpVs "ip_vs_service" "scheduler",
    ipvs_scheduler_name: IpVs "ip_vs_scheduler" "name",
    ipvs_destination_mark: IpVs "ip_vs_dest" "vfwmark",
    ipvs_service_namespace: IpVs "ip_vs_service" "ipvs",
    ipvs_service_family: IpVs "ip_vs_service" "af",
    ipvs_service_flags: IpVs "ip_vs_service" "flags",
    ipvs_service_mark: IpVs "ip_vs_service" "fwmark",
    ipvs_net: IpVs "netns_ipvs" "net",
    ipvs_reuse_mode: IpVs "netns_ipvs" "sysctl_conn_reuse_mode",
    ipvs_expire_nodest: IpVs "netns_ipvs" "sysctl_expire_nodest_conn",
    ipvs_header_flags: IpVs "ip_vs_iphdr" "hdr_flags",
    ipvs_header_length: IpVs "ip_vs_iphdr" "len",
    ipvs_header_fragment: IpVs "ip_vs_iphdr" "fragoffs",
    ipvs_header_protocol: IpVs "ip_vs_iphdr" "protocol",
    ipvs_header_source: IpVs "ip_vs_iphdr" "saddr",
    ipvs_header_destination: IpVs "ip_vs_iphdr" "daddr",
}
