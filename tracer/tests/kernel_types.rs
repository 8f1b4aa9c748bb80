//! What tracer finds in the types of five kernels, saved by `cargo xtask facts`.
//!
//! The numbers were read from the same kernels with another tool, so they check the reader and the saved files both.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tracer::kernel::{
    btf::{FunctionPlace, KernelBtf},
    offsets,
};
use tracer_common::offsets::{Field, Object, Offsets};

const SERIES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];

fn directory(series: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/btf").join(series)
}

fn open(series: &str) -> KernelBtf {
    KernelBtf::open(&directory(series)).unwrap()
}

/// An offset in each of [`SERIES`]; none where the kernel lacks the field or describes no module.
type Expected = [Option<u16>; 5];

const fn same(offset: u16) -> Expected {
    [Some(offset); 5]
}

const fn each(offsets: [u16; 5]) -> Expected {
    [Some(offsets[0]), Some(offsets[1]), Some(offsets[2]), Some(offsets[3]), Some(offsets[4])]
}

/// Of a module: not described in 5.10.
const fn from_6_1(offsets: [u16; 4]) -> Expected {
    [None, Some(offsets[0]), Some(offsets[1]), Some(offsets[2]), Some(offsets[3])]
}

/// One field of [`Offsets`], by name.
fn field(offsets: &Offsets, name: &str) -> Field {
    let index = Offsets::PATHS.iter().position(|path| path.name == name).unwrap();
    let fields: &[Field; Offsets::PATHS.len()] = zerocopy::transmute_ref!(offsets);
    fields[index]
}

const VMLINUX_OFFSETS: &[(&str, Expected)] = &[
    ("sock_destination", same(0)),
    ("sock_source", same(4)),
    ("sock_destination_port", same(12)),
    ("sock_source_port", same(14)),
    ("sock_family", same(16)),
    ("sock_state", same(18)),
    ("sock_net", same(48)),
    ("sock_bound_device", same(20)),
    ("sock_destination_v6", same(56)),
    ("sock_source_v6", same(72)),
    ("sock_protocol", each([540, 516, 574, 532, 540])),
    ("sock_socket", each([640, 624, 288, 288, 288])),
    ("sock_route", each([320, 320, 528, 536, 544])),
    ("sock_mark", each([460, 452, 524, 524, 532])),
    ("sock_cgroup", each([664, 648, 672, 680, 688])),
    ("cgroup_node", each([248, 248, 256, 256, 296])),
    ("cgroup_node_id", each([104, 104, 96, 96, 96])),
    // `vfs_inode` at 128, `i_ino` 64 into it.
    ("socket_inode", same(192)),
    ("connection_congestion_state", each([1232, 1280, 1288, 1248, 1280])),
    ("connection_retransmits", each([1233, 1281, 1289, 1249, 1281])),
    ("connection_pending", each([1234, 1282, 1290, 1250, 1282])),
    ("connection_rto", each([1152, 1216, 1224, 1184, 1216])),
    ("tcp_unacknowledged", each([1468, 1508, 1720, 1664, 1776])),
    ("tcp_send_window", each([1532, 1572, 1492, 1444, 1476])),
    ("tcp_congestion_window", each([1736, 1776, 1500, 1452, 1484])),
    ("tcp_srtt", each([1632, 1672, 1728, 1672, 1784])),
    ("skb_control", same(40)),
    ("skb_head", each([192, 200, 200, 200, 200])),
    ("skb_data", each([200, 208, 208, 208, 208])),
    ("skb_length", same(112)),
    ("skb_paged_length", same(116)),
    ("skb_conntrack", same(104)),
    ("skb_network_header", each([180, 184, 184, 184, 184])),
    ("skb_transport_header", each([178, 182, 182, 182, 182])),
    ("skb_device", same(16)),
    ("skb_tail", each([184, 188, 188, 188, 188])),
    ("skb_protocol", each([176, 180, 180, 180, 180])),
    ("skb_route", same(88)),
    ("sock_write_queue", each([368, 360, 400, 400, 400])),
    ("icmp_message_packet", same(0)),
    ("icmp_message_header", same(16)),
    ("segment_sequence", same(0)),
    ("segment_end_sequence", same(4)),
    ("segment_tcp_flags", same(12)),
    ("segment_sacked", each([13, 13, 13, 14, 14])),
    ("segment_gso_segments", same(8)),
    ("request_retransmits", same(146)),
    ("request_send_sequence", each([276, 284, 284, 284, 284])),
    ("request_mark", each([228, 236, 236, 236, 236])),
    ("route_device", same(0)),
    ("device_index", each([256, 216, 224, 224, 224])),
    ("device_name", each([0, 0, 304, 288, 288])),
    ("device_net", each([1264, 1280, 280, 264, 264])),
    ("device_address_length", each([615, 605, 864, 832, 840])),
    ("net_inode", each([144, 144, 136, 176, 280])),
    ("net_ipvs", each([4488, 4104, 4296, 4552, 4680])),
    ("neighbour_device", each([376, 392, 392, 416, 416])),
    ("neighbour_table", each([8, 8, 8, 32, 32])),
    ("neighbour_hardware_address", each([152, 152, 152, 176, 176])),
    ("neighbour_state", each([133, 132, 132, 156, 156])),
    ("neighbour_dead", each([135, 134, 134, 158, 158])),
    ("neighbour_key", each([384, 400, 400, 424, 424])),
    ("neighbour_table_family", same(0)),
    ("hook_state_net", same(32)),
    ("conntrack_original", same(32)),
    ("conntrack_reply", same(88)),
    ("conntrack_status", same(128)),
    ("conntrack_mark", each([176, 168, 168, 168, 168])),
    ("conntrack_zone", same(12)),
    ("conntrack_net", each([144, 136, 136, 136, 136])),
    ("conntrack_tcp_state", each([232, 224, 224, 224, 224])),
    ("conntrack_tcp_end", each([192, 184, 184, 184, 184])),
    ("tuple_source", same(0)),
    ("tuple_source_port", same(16)),
    ("tuple_family", same(18)),
    ("tuple_destination", same(20)),
    ("tuple_destination_port", same(36)),
    ("tuple_protocol", same(38)),
    ("zone_id", same(0)),
];

const IP_VS_OFFSETS: &[(&str, Expected)] = &[
    ("ipvs_connection_family", from_6_1([22, 22, 22, 21])),
    ("ipvs_connection_protocol", from_6_1([76, 76, 76, 150])),
    ("ipvs_connection_client", from_6_1([24, 24, 24, 96])),
    ("ipvs_connection_virtual", from_6_1([40, 40, 40, 112])),
    ("ipvs_connection_real", from_6_1([56, 56, 56, 128])),
    ("ipvs_connection_client_port", from_6_1([16, 16, 16, 22])),
    ("ipvs_connection_virtual_port", from_6_1([20, 20, 20, 148])),
    ("ipvs_connection_real_port", from_6_1([18, 18, 18, 46])),
    ("ipvs_connection_flags", from_6_1([72, 72, 72, 60])),
    ("ipvs_connection_state", from_6_1([148, 148, 148, 90])),
    ("ipvs_connection_destination", from_6_1([184, 184, 184, 48])),
    ("ipvs_connection_real_family", from_6_1([78, 78, 78, 45])),
    ("ipvs_connection_control", from_6_1([168, 168, 168, 64])),
    ("ipvs_destination_weight", from_6_1([60, 60, 60, 60])),
    ("ipvs_destination_flags", from_6_1([52, 52, 52, 52])),
    ("ipvs_destination_configured", [None, Some(64), Some(64), None, Some(64)]),
    ("ipvs_destination_family", from_6_1([32, 32, 32, 32])),
    ("ipvs_destination_address", from_6_1([36, 36, 36, 36])),
    ("ipvs_destination_port", from_6_1([34, 34, 34, 34])),
    ("ipvs_destination_connection_flags", from_6_1([56, 56, 56, 56])),
    ("ipvs_destination_service", from_6_1([408, 416, 400, 416])),
    ("ipvs_wanted_family", from_6_1([36, 36, 36, 36])),
    ("ipvs_wanted_address", from_6_1([0, 0, 0, 0])),
    ("ipvs_wanted_port", from_6_1([16, 16, 16, 16])),
    ("ipvs_wanted_connection_flags", from_6_1([20, 20, 20, 20])),
    ("ipvs_wanted_weight", from_6_1([24, 24, 24, 24])),
    ("ipvs_service_family", from_6_1([36, 36, 36, 20])),
    ("ipvs_service_protocol", from_6_1([38, 38, 38, 22])),
    ("ipvs_service_address", from_6_1([40, 40, 40, 24])),
    ("ipvs_service_port", from_6_1([56, 56, 56, 48])),
    ("ipvs_service_mark", from_6_1([60, 60, 60, 40])),
    ("ipvs_service_namespace", from_6_1([80, 80, 80, 64])),
    ("ipvs_service_scheduler", from_6_1([384, 392, 392, 376])),
    ("ipvs_scheduler_name", from_6_1([16, 16, 16, 16])),
    ("ipvs_destination_mark", from_6_1([436, 444, 428, 444])),
    ("ipvs_service_flags", from_6_1([64, 64, 64, 52])),
    ("ipvs_net", from_6_1([2160, 2024, 2024, 2344])),
    ("ipvs_reuse_mode", from_6_1([1868, 1604, 1604, 1924])),
    ("ipvs_expire_nodest", from_6_1([1824, 1560, 1560, 1880])),
    ("ipvs_header_flags", from_6_1([0, 0, 0, 0])),
    ("ipvs_header_length", from_6_1([8, 8, 8, 8])),
    ("ipvs_header_fragment", from_6_1([12, 12, 12, 12])),
    ("ipvs_header_protocol", from_6_1([14, 14, 14, 14])),
    ("ipvs_header_source", from_6_1([20, 20, 20, 20])),
    ("ipvs_header_destination", from_6_1([36, 36, 36, 36])),
];

#[test]
fn every_field_has_a_row_of_expected_offsets() {
    let rows: BTreeSet<&str> = VMLINUX_OFFSETS.iter().chain(IP_VS_OFFSETS).map(|&(name, _)| name).collect();
    let fields: BTreeSet<&str> = Offsets::PATHS.iter().map(|path| path.name).collect();
    assert_eq!(rows, fields);
}

#[test]
fn fields_lie_where_another_tool_found_them() {
    for (column, series) in SERIES.into_iter().enumerate() {
        let resolved = offsets::resolve(&open(series));
        for (name, expected) in VMLINUX_OFFSETS.iter().chain(IP_VS_OFFSETS) {
            let found = field(&resolved.offsets, name);
            assert_eq!(found.is_present().then_some(found.offset), expected[column], "{name} in {series}");
        }
    }
}

#[test]
fn only_bitfields_have_bits() {
    for series in SERIES {
        let offsets = offsets::resolve(&open(series)).offsets;
        for path in Offsets::PATHS {
            let found = field(&offsets, path.name);
            let expected = if path.name == "connection_congestion_state" { (0, 5) } else { (0, 0) };
            assert_eq!((found.bit_shift, found.bit_width), expected, "{} in {series}", path.name);
        }
    }
}

#[test]
fn bitfields_are_found_by_byte_shift_and_width() {
    let cases = [
        ("tcp_sock", "tlp_retrans", [(1579, 2, 1), (1619, 2, 1), (1929, 2, 1), (1905, 2, 1), (1985, 2, 1)]),
        ("tcp_sock", "frto", [(1597, 7, 1), (1637, 7, 1), (1930, 5, 1), (1906, 4, 1), (1986, 4, 1)]),
        ("request_sock", "num_timeout", [(147, 1, 7); 5]),
        ("sk_buff", "pkt_type", [(128, 0, 3); 5]),
    ];
    for (structure, path, expected) in cases {
        let found = SERIES.map(|series| open(series).field(Object::Vmlinux, structure, path));
        let expected =
            expected.map(|(offset, bit_shift, bit_width)| Some(Field { offset, bit_shift, bit_width }));
        assert_eq!(found, expected, "{structure}.{path}");
    }
}

#[test]
fn every_path_is_found_except_the_known_ones() {
    for series in SERIES {
        let resolved = offsets::resolve(&open(series));
        let missing: Vec<_> = resolved.missing.iter().map(|path| path.name).collect();
        let expected: Vec<_> = match series {
            "5.10" => Offsets::PATHS
                .iter()
                .filter(|path| path.object == Object::IpVs)
                .map(|path| path.name)
                .collect(),
            "6.18" => vec!["ipvs_destination_configured"],
            _ => vec![],
        };
        assert_eq!(missing, expected, "{series}");
        for name in missing {
            assert_eq!(field(&resolved.offsets, name), Field::ABSENT, "{name} in {series}");
        }
    }
}

/// The kernel side reads a socket's outer structs from the same pointer as the socket.
#[test]
fn what_a_socket_is_inside_of_begins_where_the_socket_does() {
    let cases = [
        ("sock", "__sk_common"),
        ("inet_sock", "sk"),
        ("inet_connection_sock", "icsk_inet"),
        ("tcp_sock", "inet_conn"),
        ("request_sock", "__req_common"),
        ("inet_request_sock", "req"),
        ("tcp_request_sock", "req"),
        ("rtable", "dst"),
        ("socket_alloc", "socket"),
        ("nf_conn", "ct_general"),
    ];
    for series in SERIES {
        let btf = open(series);
        for (structure, first) in cases {
            let found = btf.field(Object::Vmlinux, structure, first);
            assert_eq!(found.map(|field| field.offset), Some(0), "{structure}.{first} in {series}");
        }
    }
}

#[test]
fn paths_that_lead_nowhere_are_absent() {
    let cases = [
        ("no_such_struct", "member"),
        ("sock_common", "no_such_member"),
        ("sock_common", "skc_net.no_such_member"),
        // A pointer is not followed, and a number has no members.
        ("sock", "sk_socket.file"),
        ("sock_common", "skc_num.x"),
        // Not an array, past its end, no number, no end.
        ("sock_common", "skc_num[0]"),
        ("nf_conn", "tuplehash[2].tuple"),
        ("nf_conn", "tuplehash[x].tuple"),
        ("nf_conn", "tuplehash[0.tuple"),
        // An anonymous member is looked through, not reached.
        ("sock_common", ""),
        ("sock_common", ".skc_daddr"),
        // An enumeration, not a struct; a module's struct in the image.
        ("skb_drop_reason", "x"),
        ("ip_vs_conn", "af"),
    ];
    let btf = open("6.12");
    for (structure, path) in cases {
        assert_eq!(btf.field(Object::Vmlinux, structure, path), None, "{structure}.{path}");
    }
}

#[test]
fn tracepoints_have_the_arguments_their_kernel_gives_them() {
    let cases = [
        ("tcp_retransmit_skb", [Some(2), Some(2), Some(2), Some(3), Some(3)]),
        ("tcp_retransmit_synack", [Some(2); 5]),
        ("inet_sock_set_state", [Some(3); 5]),
        ("neigh_update", [Some(5); 5]),
        ("neigh_timer_handler", [Some(2); 5]),
        ("kfree_skb", [Some(2), Some(3), Some(4), Some(4), Some(4)]),
        ("icmp_send", [None, Some(3), Some(3), Some(3), Some(3)]),
        ("netif_receive_skb", [Some(1); 5]),
        ("no_such_event", [None; 5]),
    ];
    for (event, expected) in cases {
        assert_eq!(SERIES.map(|series| open(series).tracepoint_arguments(event)), expected, "{event}");
    }
}

#[test]
fn functions_are_found_with_their_module_and_arguments() {
    let cases = [
        ("tcp_retransmit_skb", None, 3),
        ("tcp_undo_cwnd_reduction", None, 2),
        ("arp_process", None, 3),
        ("arp_xmit", None, 1),
        ("arp_send_dst", None, 9),
        ("ndisc_recv_na", None, 1),
        ("ndisc_send_skb", None, 3),
        ("icmp_unreach", None, 1),
        ("icmpv6_notify", None, 4),
        ("icmpv6_push_pending_frames", None, 4),
        ("nf_conntrack_tcp_packet", Some("nf_conntrack"), 5),
        ("nf_ct_resolve_clash", Some("nf_conntrack"), 3),
        ("__nf_conntrack_alloc", Some("nf_conntrack"), 6),
        ("__nf_conntrack_confirm", Some("nf_conntrack"), 1),
        ("ip_vs_conn_in_get_proto", Some("ip_vs"), 4),
        ("ip_vs_conn_expire_now", Some("ip_vs"), 1),
        ("ip_vs_conn_new", Some("ip_vs"), 7),
        ("ip_vs_schedule", Some("ip_vs"), 5),
        ("ip_vs_in_hook", Some("ip_vs"), 3),
        ("__ip_vs_update_dest", Some("ip_vs"), 4),
        ("__ip_vs_del_dest", Some("ip_vs"), 3),
        ("ip_vs_add_service", Some("ip_vs"), 3),
    ];
    for series in SERIES {
        let btf = open(series);
        for (name, module, arguments) in cases {
            let found = btf.function(name, module);
            if series == "5.10" && module.is_some() {
                assert_eq!(found, None, "{name}: modules of 5.10 are not described");
                continue;
            }
            let found = found.unwrap_or_else(|| panic!("{name} in {series}"));
            assert_eq!(found.module.as_deref(), module, "{name} in {series}");
            assert_eq!((found.arguments, found.argument_words), (arguments, arguments), "{name} in {series}");
            assert_eq!(found.fits_every_trampoline(), arguments <= 6, "{name} in {series}");
        }
    }
}

/// By their number tracer knows which of them is the message.
#[test]
fn a_socket_became_the_first_argument_of_icmp_push_reply() {
    let arguments = SERIES.map(|series| open(series).function("icmp_push_reply", None).unwrap().arguments);
    assert_eq!(arguments, [4, 5, 5, 5, 5]);
}

/// A kernel with the module built in describes the function in its image.
#[test]
fn a_named_module_without_description_falls_back_to_the_image() {
    let found = open("6.12").function("arp_process", Some("not_loaded"));
    assert!(matches!(found, Some(FunctionPlace { module: None, arguments: 3, .. })), "{found:?}");
}

#[test]
fn a_function_is_not_found_where_it_is_not() {
    let btf = open("6.12");
    assert_eq!(btf.function("ip_vs_schedule", None), None, "of a module nobody named");
    assert_eq!(btf.function("ip_vs_schedule", Some("nf_conntrack")), None, "of another module");
    assert_eq!(btf.function("sock", None), None, "a struct is no function");
}

/// The ids continue the image's: the kernel takes them as they are.
#[test]
fn functions_of_modules_are_numbered_on_from_the_image() {
    for series in ["6.1", "6.12", "6.18", "7.2"] {
        let btf = open(series);
        let in_image = btf.function("tcp_retransmit_skb", None).unwrap().type_id;
        let in_module = btf.function("ip_vs_schedule", Some("ip_vs")).unwrap().type_id;
        let image = btf_rs::Btf::from_file(directory(series).join("vmlinux")).unwrap();
        // The range begins with void, which is 0 and has no description.
        let (_, last) = image.base().type_id_range();
        assert!(in_image <= last && last < in_module, "{in_image} {last} {in_module} in {series}");
    }
}

#[test]
fn drop_reasons_are_numbered_as_their_kernel_numbers_them() {
    let reason = |series, name| open(series).enumeration("skb_drop_reason")?.get(name).copied();
    let cases = [("5.10", None), ("6.1", Some(7)), ("6.12", Some(11)), ("6.18", Some(12)), ("7.2", Some(12))];
    for (series, expected) in cases {
        assert_eq!(reason(series, "SKB_DROP_REASON_NETFILTER_DROP"), expected, "{series}");
    }
    assert_eq!(reason("6.1", "NO_SUCH_REASON"), None);
    assert_eq!(open("5.10").enumeration("skb_drop_reason"), None, "5.10 has no reasons");
    assert_eq!(open("6.1").enumeration("sock"), None, "a struct is no enumeration");
}

#[test]
fn modules_are_there_or_not() {
    let cases = [("5.10", "ip_vs", false), ("6.1", "ip_vs", true), ("6.1", "no_such", false)];
    for (series, module, expected) in cases {
        assert_eq!(open(series).has_module(module), expected, "{module} in {series}");
    }
}

#[test]
fn a_kernel_without_types_is_an_error_that_says_what_to_do() {
    let error = KernelBtf::open(Path::new("/nonexistent")).err().unwrap().to_string();
    assert!(error.contains("/nonexistent/vmlinux") && error.contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
}

/// Not a saved kernel but the one the tests run on, where it describes itself.
#[test]
fn the_running_kernel_has_every_field_of_its_image() {
    let root = Path::new("/sys/kernel/btf");
    if std::fs::File::open(root.join("vmlinux")).is_err() {
        println!("skipped: this kernel shows no types");
        return;
    }
    let resolved = offsets::resolve(&KernelBtf::open(root).unwrap());
    // `net_ipvs` is there where IPVS can be.
    let missing: Vec<_> = resolved
        .missing
        .iter()
        .filter(|path| path.object == Object::Vmlinux && path.name != "net_ipvs")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
