//! Messages in the kernel's layout: what `ip_vs_genl_fill_service` and `ip_vs_genl_fill_dest` (6.12) write, in their
//! order. What a running kernel sends is compared with `ipvsadm` by the scenario `ipvs-listed`.

use proptest::prelude::*;
use tracer_common::record::{IpvsCounts, IpvsServiceKey};

use super::{SERVICE, destination, service, service_key};
use crate::netlink::append_attribute;

const V6: [u8; 16] = [0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
const V4: [u8; 16] = [10, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const V4_IN_RECORDS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 9, 9];

fn message(kind: u16, inner: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in inner {
        append_attribute(&mut bytes, *kind, value);
    }
    wrapped(kind, &bytes)
}

fn wrapped(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    append_attribute(&mut message, kind, content);
    message
}

/// Totals 1 to 5, rates 6 to 10, each behind its padding as on machines that align to eight bytes.
fn counts() -> Vec<u8> {
    const PADDING: u16 = 11;
    let mut bytes = Vec::new();
    for kind in 1..=10u16 {
        append_attribute(&mut bytes, PADDING, &[]);
        append_attribute(&mut bytes, kind, &u64::from(kind).to_ne_bytes());
    }
    bytes
}

const TOTALS: IpvsCounts =
    IpvsCounts { connections: 1, packets_in: 2, packets_out: 3, bytes_in: 4, bytes_out: 5 };

#[test]
fn services_are_read_by_address_and_by_mark() {
    let flags = [&3u32.to_ne_bytes()[..], &u32::MAX.to_ne_bytes()].concat();
    let rest: [(u16, &[u8]); 6] = [
        (6, b"wlc\0"),
        (7, &flags),
        (8, &600u32.to_ne_bytes()),
        (9, &[0xff; 4]),
        (10, &[0xaa; 8]),
        (12, &counts()),
    ];
    let by_address = |family: u16, address: &[u8]| {
        let family = family.to_ne_bytes();
        let protocol = 17u16.to_ne_bytes();
        let port = 53u16.to_be_bytes();
        let key: [(u16, &[u8]); 4] = [(1, &family), (2, &protocol), (3, address), (4, &port)];
        message(1, &[&key[..], &rest].concat())
    };
    let mark = message(1, &[&[(1, &10u16.to_ne_bytes()[..]), (5, &7u32.to_ne_bytes())], &rest[..]].concat());
    let key =
        |address, is_ipv6| IpvsServiceKey { address, port: 53, protocol: 17, is_ipv6, firewall_mark: 0 };
    let of_mark = IpvsServiceKey { firewall_mark: 7, is_ipv6: 1, ..IpvsServiceKey::default() };
    for (bytes, expected) in
        [(by_address(2, &V4), key(V4_IN_RECORDS, 0)), (by_address(10, &V6), key(V6, 1)), (mark, of_mark)]
    {
        let read = service(&bytes).unwrap();
        assert_eq!(read.service, expected);
        assert_eq!((&read.scheduler[..4], read.flags), (&b"wlc\0"[..], 3));
        assert_eq!((read.persistence_timeout_s, read.counts), (600, TOTALS));
    }
    // Of a family that is none, and without an address.
    assert_eq!(service(&by_address(1, &V4)), None);
    assert_eq!(service(&message(1, &[(1, &2u16.to_ne_bytes())])), None);
}

#[test]
fn a_service_without_a_scheduler_has_none() {
    let key: [(u16, &[u8]); 2] = [(1, &2u16.to_ne_bytes()), (5, &7u32.to_ne_bytes())];
    for (name, expected) in [
        (&b"none\0"[..], *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (b"rr\0", *b"rr\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (b"longer than any name there is\0", *b"longer than any\0"),
    ] {
        let bytes = message(1, &[&key[..], &[(6, name)]].concat());
        assert_eq!(service(&bytes).unwrap().scheduler, expected, "{name:?}");
    }
}

#[test]
fn real_servers_are_read_with_their_own_family() {
    let of = IpvsServiceKey { firewall_mark: 7, is_ipv6: 1, ..IpvsServiceKey::default() };
    let counts = counts();
    let port = 8080u16.to_be_bytes();
    let family = 2u16.to_ne_bytes();
    let numbers: Vec<[u8; 4]> = [2u32, 65_535, 0, 0, 12, 34, 5].map(u32::to_ne_bytes).into();
    let mut inner: Vec<(u16, &[u8])> = vec![(1, &V4), (2, &port)];
    inner.extend((3..=9).zip(numbers.iter().map(|number| &number[..])));
    inner.extend([(11, &family[..]), (10, &[0xaa; 8]), (12, &counts)]);
    let read = destination(&of, &message(2, &inner)).unwrap();
    assert_eq!((read.service, read.real, read.real_port), (of, V4_IN_RECORDS, 8080));
    assert_eq!((read.forwarding, read.weight), (2, 65_535));
    let connections = (read.active_connections, read.inactive_connections, read.persistent_connections);
    assert_eq!((connections, read.counts), ((12, 34, 5), TOTALS));
    // Before 3.18 it was that of the service.
    assert_eq!(destination(&of, &message(2, &[(1, &V6)])).unwrap().real, V6);
    assert_eq!(destination(&of, &message(2, &[(2, &port)])), None);
}

#[test]
fn the_question_names_the_service_as_the_kernel_does() {
    for key in [
        IpvsServiceKey { address: V6, port: 53, protocol: 17, is_ipv6: 1, firewall_mark: 0 },
        IpvsServiceKey { address: V4_IN_RECORDS, port: 80, protocol: 6, is_ipv6: 0, firewall_mark: 0 },
        IpvsServiceKey { firewall_mark: 7, ..IpvsServiceKey::default() },
    ] {
        assert_eq!(service(&wrapped(SERVICE, &service_key(&key))).unwrap().service, key);
    }
}

proptest! {
    #[test]
    fn no_message_makes_it_fail_otherwise_than_by_none(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        for wrapped in [bytes.clone(), message(1, &[(12, &bytes)]), message(2, &[(1, &bytes), (12, &bytes)])] {
            let _ = service(&wrapped);
            let _ = destination(&IpvsServiceKey::default(), &wrapped);
        }
    }
}
