//! Retransmits, reconciled with the kernel's counters to the exact count.

mod established;
mod failed;
mod opening;

use std::fs;

use anyhow::{Context, Result};

use super::Case;
use crate::{
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::Family,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "retransmit-syn",
        proves: "every repeated SYN is told, with attempt, device and process",
        needs: &[],
        run: |setting| opening::syn(setting, Family::V4),
    },
    Case {
        name: "retransmit-syn-v6",
        proves: "every repeated SYN is told over IPv6",
        needs: &[],
        run: |setting| opening::syn(setting, Family::V6),
    },
    Case {
        name: "retransmit-syn-ack",
        proves: "every repeated SYN-ACK is told at the server, beside the client's SYNs",
        needs: &[Need::Nftables],
        run: |setting| opening::syn_ack(setting, Family::V4),
    },
    Case {
        name: "retransmit-syn-ack-v6",
        proves: "every repeated SYN-ACK is told over IPv6",
        needs: &[Need::Nftables],
        run: |setting| opening::syn_ack(setting, Family::V6),
    },
    Case {
        name: "retransmit-rto",
        proves: "a loss probe, then timeouts with counted attempts, where the path goes dead",
        needs: &[Need::Nftables],
        run: |setting| established::timeouts(setting, Family::V4),
    },
    Case {
        name: "retransmit-rto-v6",
        proves: "loss probe and timeouts over IPv6",
        needs: &[Need::Nftables],
        run: |setting| established::timeouts(setting, Family::V6),
    },
    Case {
        name: "retransmit-loss",
        proves: "under random loss every segment is told once, by kind as the kernel counts kinds",
        needs: &[Need::Nftables],
        run: |setting| established::random_loss(setting, Family::V4),
    },
    Case {
        name: "retransmit-loss-v6",
        proves: "the same over IPv6",
        needs: &[Need::Nftables],
        run: |setting| established::random_loss(setting, Family::V6),
    },
    Case {
        name: "retransmit-failed",
        proves: "attempts a local rule forbids are told as failed, and only where the kernel tells them",
        needs: &[Need::Nftables],
        run: failed::forbidden,
    },
    Case {
        name: "retransmit-held",
        proves: "attempts to send what still waits in the host's own queues are told as failed, and never as sent",
        needs: &[Need::TokenBucket],
        run: failed::held,
    },
    Case {
        name: "retransmit-old-socket",
        proves: "the owner of a socket that was opened before tracer started is named",
        needs: &[Need::Nftables],
        run: established::old_socket,
    },
];

/// The name under which this process opens its sockets.
fn process_name() -> Result<String> {
    let name = fs::read_to_string("/proc/self/comm").context("read this process's name")?;
    Ok(name.trim_end().to_owned())
}

/// The retransmits that went out.
fn sent<'a>(events: &'a Events, namespace: &Namespace) -> Selection<'a> {
    events.of("retransmit", namespace).without("error")
}

/// Those of one kind.
fn of_kind<'a>(events: &'a Events, namespace: &Namespace, kind: &str) -> Selection<'a> {
    sent(events, namespace).with("kind", kind)
}
