//! Routes: their changes, how peers of retransmitting flows are reached, and what there was at the start. Truth: what
//! `ip` did, shows and answers.

mod change;
mod hold;
mod lookup;
mod snapshot;

use super::Case;
use crate::need::Need;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "route-change",
        proves: "routes added, replaced, withdrawn and restored are told in order, with their times, IPv4 and IPv6",
        needs: &[],
        run: change::each_kind,
    },
    Case {
        name: "route-link-down",
        proves: "a device that goes down is told, and so are the IPv4 routes the kernel drops without a word",
        needs: &[],
        run: change::silent_removal,
    },
    Case {
        name: "route-rule-address",
        proves: "rules and addresses added and removed are told",
        needs: &[],
        run: change::rules_and_addresses,
    },
    Case {
        name: "route-flood",
        proves: "of 20,000 routes loaded at once each is told, suppressed or lost by count, and what follows is told",
        needs: &[],
        run: change::flood,
    },
    Case {
        name: "route-reply-local",
        proves: "a client's address made local at the server: the SYN-ACK's look-up says local, dev lo",
        needs: &[Need::Nftables],
        run: lookup::reply_to_own_address,
    },
    Case {
        name: "route-lookup",
        proves: "look-ups say device, next hop and its neighbour entry, as `ip route get` and `ip neigh` do",
        needs: &[],
        run: lookup::as_ip_route_get,
    },
    Case {
        name: "route-refused",
        proves: "look-ups tell a blackhole, an unreachable, a prohibited and a missing route apart",
        needs: &[],
        run: lookup::refusals,
    },
    Case {
        name: "route-mark",
        proves: "a socket's mark leads its look-up to the table of the rule for it",
        needs: &[],
        run: lookup::by_mark,
    },
    Case {
        name: "route-snapshot",
        proves: "addresses, devices, neighbours and settings of the start are those `ip` and /proc/sys show",
        needs: &[],
        run: snapshot::equals_truth,
    },
    Case {
        name: "route-sysctl-change",
        proves: "a setting that is changed is told with the value before",
        needs: &[],
        run: snapshot::changed_setting,
    },
    Case {
        name: "route-namespaces",
        proves: "namespaces that come and go under look-ups are let go of, and leave no descriptor open",
        needs: &[],
        run: hold::come_and_go,
    },
];
