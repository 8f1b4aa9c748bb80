//! Retransmits, reconciled with the kernel's counters to the exact count.

mod established;
mod failed;
mod opening;

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::{Case, Setting};
use crate::{
    counters::Counters,
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::Family,
    tracer::{Run, Tracer},
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

/// A tracer, and what the kernel had counted in some namespaces when it was ready.
struct Observed<'a> {
    tracer: Tracer,
    before: Vec<(&'a Namespace, Counters)>,
}

impl<'a> Observed<'a> {
    fn start(setting: &Setting, namespaces: &[&'a Namespace]) -> Result<Self> {
        let tracer = setting.trace(&["--only", "retransmit"])?;
        let before = namespaces
            .iter()
            .map(|&namespace| Ok((namespace, Counters::tcp(namespace)?)))
            .collect::<Result<_>>()?;
        Ok(Self { tracer, before })
    }

    /// Ends the run and compares every namespace with its counters. To be called when nothing can be sent any more.
    fn reconcile(self) -> Result<Reconciled> {
        let grown: Vec<(&Namespace, Grown)> = self
            .before
            .iter()
            .map(|(namespace, before)| Ok((*namespace, Grown::since(namespace, before)?)))
            .collect::<Result<_>>()?;
        let run = self.tracer.stop()?;
        for (namespace, grown) in &grown {
            grown.compare(&run.events, namespace)?;
        }
        let accounting = run.events.accounting("retransmit")?;
        accounting.balances()?;
        ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
        Ok(Reconciled { run, grown: grown.into_iter().map(|(_, grown)| grown).collect() })
    }
}

/// A run that agrees with the kernel.
struct Reconciled {
    run: Run,
    /// By namespace, in the order given at the start.
    grown: Vec<Grown>,
}

/// What the kernel counted in one namespace.
#[derive(Clone, Copy, Debug)]
struct Grown {
    /// Segments sent again, or tried to and refused below TCP (`TcpRetransSegs` counts both).
    segments: u64,
    /// Segments of those that were refused.
    refused: u64,
    /// SYNs and SYN-ACKs among them, in packets.
    opening: u64,
    /// Timeouts of the retransmission timer.
    timeouts: u64,
    /// Loss probes, whether with new data or old.
    loss_probes: u64,
    /// Segments sent again in recovery.
    fast: u64,
    /// Segments sent again by acknowledgements after a timeout.
    slow_start: u64,
}

impl Grown {
    fn since(namespace: &Namespace, before: &Counters) -> Result<Self> {
        let now = Counters::tcp(namespace)?;
        let grown = |name| now.growth(before, name);
        Ok(Self {
            segments: grown("TcpRetransSegs")?,
            refused: grown("TcpExtTCPRetransFail")?,
            opening: grown("TcpExtTCPSynRetrans")?,
            timeouts: grown("TcpExtTCPTimeouts")?,
            loss_probes: grown("TcpExtTCPLossProbes")?,
            fast: grown("TcpExtTCPFastRetrans")?,
            slow_start: grown("TcpExtTCPSlowStartRetrans")?,
        })
    }

    /// The sums every case has to meet. Failed attempts are told by some kernels only, so the successful ones are
    /// compared with what the kernel counted less what it counted as refused.
    fn compare(&self, events: &Events, namespace: &Namespace) -> Result<()> {
        let sent = sent(events, namespace);
        let told = sent.sum("segments")?;
        if told + self.refused != self.segments {
            bail!("{}: told {told} segments, the kernel counted {self:?}", namespace.name());
        }
        let opening =
            sent.filter("syn or syn-ack", |event| event["kind"] == "syn" || event["kind"] == "syn-ack");
        let refused_opening = self.opening.saturating_sub(opening.count());
        if opening.count() > self.opening || refused_opening > self.refused {
            bail!(
                "{}: told {} SYNs and SYN-ACKs, the kernel counted {self:?}",
                namespace.name(),
                opening.count()
            );
        }
        Ok(())
    }
}

/// The retransmits that went out.
fn sent<'a>(events: &'a Events, namespace: &Namespace) -> Selection<'a> {
    events.of("retransmit", namespace).without("error")
}

/// Those of one kind.
fn of_kind<'a>(events: &'a Events, namespace: &Namespace, kind: &str) -> Selection<'a> {
    sent(events, namespace).with("kind", kind)
}
