//! What ends it, and an address that the kernel refuses to use.

use crate::{
    event::{Body, Change, ClaimOperation, Direction, Neighbour, NeighbourState, Text, Verdict},
    findings::Severity,
    state::fixture::{
        mac, retransmit,
        wire::{WIRE, address, claimed, device, looking, open, proposed, told},
    },
};

const ID: &str = "duplicate-address";

type Heard = (u64, Body);

/// One question, two answers, and a caller who waits for ever longer.
fn suffered() -> Vec<Heard> {
    let mut events = vec![
        (5_000, proposed("10.0.0.9", Verdict::Learned, (mac(0xa), None), true)),
        (5_001, proposed("10.0.0.9", Verdict::Ignored, (mac(0xb), Some(mac(0xa))), true)),
    ];
    let mut syn = retransmit(crate::event::RetransmitKind::Syn, "10.0.0.1:40000", "10.0.0.9:443");
    for time in [6_000, 7_000, 9_000, 13_000, 21_000] {
        events.push((time, Body::Retransmit(syn.clone())));
        syn.rto_us = syn.rto_us.map(|rto_us| rto_us * 2);
    }
    events
}

/// Somebody on the node sets whom the kernel is to keep.
fn set(from: u8, previous: u8, state: u8) -> Body {
    Body::Neighbour(Neighbour {
        address: "10.0.0.9".parse().unwrap(),
        device: Text::new("eth0"),
        interface_index: WIRE,
        proposed: Some(mac(from)),
        previous: Some(mac(previous)),
        verdict: Verdict::Changed,
        old_state: NeighbourState(4),
        new_state: NeighbourState(state),
        by_netlink: true,
    })
}

#[test]
fn who_sets_the_right_one_by_hand_mends_it() {
    const PERMANENT: u8 = 0x80;
    let mut events = suffered();
    events.push((22_500, set(0xb, 0xa, PERMANENT)));
    assert_eq!(told(&looking(events.clone(), 60_000), ID), [(6_000, "open"), (25_000, "closed")]);
    // What was set before the last sign was no help.
    events.push((23_000, proposed("10.0.0.9", Verdict::Ignored, (mac(0xa), Some(mac(0xb))), true)));
    events.push((22_999, proposed("10.0.0.9", Verdict::Confirmed, (mac(0xb), Some(mac(0xb))), true)));
    assert_eq!(told(&looking(events, 26_000), ID), [(6_000, "open")]);
}

#[test]
fn flows_that_wait_since_before_the_owner_was_heard_do_not_keep_it() {
    let moved = proposed("10.0.0.9", Verdict::Changed, (mac(0xb), Some(mac(0xa))), false);
    let mut events = suffered();
    assert_eq!(told(&looking(events.clone(), 36_000), ID), [(6_000, "open")]);
    events.push((26_500, moved));
    assert_eq!(told(&looking(events, 60_000), ID), [(6_000, "open"), (27_000, "closed")]);
}

#[test]
fn an_address_that_the_kernel_refuses_to_use_is_found_until_it_is_taken_anew() {
    const TENTATIVE: u32 = 0x40;
    const DAD_FAILED: u32 = 0x08;
    let own = |change, text: &str, flags| {
        let mut body = address(change, text, 64, WIRE);
        if let Body::Address(address) = &mut body {
            address.flags = flags;
        }
        body
    };
    let events = |text: &str| {
        vec![
            (100, device("eth0", WIRE, mac(1))),
            (4_000, own(Change::Added, text, TENTATIVE)),
            (4_500, claimed(text, mac(0xb), Direction::In, ClaimOperation::Advertisement)),
            (4_501, own(Change::Replaced, text, TENTATIVE | DAD_FAILED)),
        ]
    };
    let refused = events("fd00::9");
    let state = looking(refused.clone(), 60_000);
    assert_eq!(told(&state, ID), [(5_000, "open")]);
    let finding = open(&state, ID).unwrap();
    assert_eq!((finding.severity, finding.who.as_str()), (Severity::Warning, "fd00::9 on eth0"));
    assert_eq!(finding.what, "another host had this address already: this node's kernel does not use it");
    assert!(finding.evidence[0].ends_with("`dadfailed`"), "{:?}", finding.evidence);
    assert!(finding.evidence[1].starts_with("02:42:ac:11:00:0b: claimed 1"), "{:?}", finding.evidence);
    assert!(finding.advice[0].contains("02:42:ac:11:00:0b"), "{:?}", finding.advice);
    assert!(finding.advice[1].contains("ip address add fd00::9/64 dev eth0"), "{:?}", finding.advice);
    for mends in
        [own(Change::Removed, "fd00::9", TENTATIVE | DAD_FAILED), own(Change::Replaced, "fd00::9", 0)]
    {
        let mut mended = refused.clone();
        mended.push((9_500, mends));
        assert_eq!(told(&looking(mended, 60_000), ID), [(5_000, "open"), (10_000, "closed")]);
    }
    // A device that hears its own question refuses its own address: that is no rival.
    assert_eq!(told(&looking(events("fe80::9"), 60_000), ID), []);
}
