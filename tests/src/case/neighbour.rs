//! Proposals to the neighbour table and what became of them. Truth: hardware addresses of the devices, and what
//! `ip neigh` shows.

use anyhow::{Context, Result, bail, ensure};

use super::{Case, Setting, note};
use crate::{
    expect::{Events, Selection},
    namespace::Namespace,
    topology::{FAR, FAR_DEVICE, Family, NEAR, NEAR_DEVICE, Pair, Segment, UNKNOWN, hardware_address},
    tracer::{Run, Tracer},
    traffic, wait,
    witness::Witness,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "neighbour-learned",
        proves: "the first answer of a neighbour is told as learned, IPv4 and IPv6",
        needs: &[],
        run: |setting| in_both_families(setting, learned),
    },
    Case {
        name: "neighbour-changed",
        proves: "an announced new hardware address is told as changed, with the one before",
        needs: &[],
        run: |setting| in_both_families(setting, changed),
    },
    Case {
        name: "neighbour-confirmed",
        proves: "the same hardware address heard again is told as confirmed",
        needs: &[],
        run: |setting| in_both_families(setting, confirmed),
    },
    Case {
        name: "neighbour-failed",
        proves: "an address nobody answers for is told as failed",
        needs: &[],
        run: |setting| in_both_families(setting, failed),
    },
    Case {
        name: "neighbour-second-answer",
        proves: "of two owners of one address both answers are told, the second as ignored, though the table hides it",
        needs: &[],
        run: second_answer,
    },
];

fn in_both_families(setting: &Setting, case: fn(&Setting, Family) -> Result<()>) -> Result<()> {
    for family in Family::BOTH {
        case(setting, family).with_context(|| format!("over {family}"))?;
    }
    Ok(())
}

/// A port nobody listens at: what is sent there only makes the sender's kernel look for the hardware address.
const PORT: u16 = 9;

fn trace(setting: &Setting) -> Result<Tracer> {
    setting.trace(&["--only", "neighbour"])
}

/// What is told of a host in a namespace, with a verdict.
fn told<'a>(
    events: &'a Events,
    namespace: &Namespace,
    family: Family,
    host: u8,
    verdict: &str,
) -> Selection<'a> {
    events.of("neighbour", namespace).with("address", family.host(host).to_string()).with("verdict", verdict)
}

fn finish(tracer: Tracer) -> Result<Run> {
    let run = tracer.stop()?;
    let accounting = run.events.accounting("neighbour")?;
    accounting.balances()?;
    ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    Ok(run)
}

/// Sends from one end of the pair to the other, and waits until the near end knows the far one.
fn meet(pair: &Pair, tracer: &Tracer, family: Family) -> Result<()> {
    traffic::knock(&pair.near, family.at(NEAR, 0), family.at(FAR, PORT))?;
    tracer.wait_for("the far end to be learned", |events| {
        !told(events, &pair.near, family, FAR, "learned").is_empty()
    })
}

fn learned(setting: &Setting, family: Family) -> Result<()> {
    let pair = Pair::new()?;
    let mac = hardware_address(&pair.far, FAR_DEVICE)?;
    let tracer = trace(setting)?;
    meet(&pair, &tracer, family)?;
    let run = finish(tracer)?;
    told(&run.events, &pair.near, family, FAR, "learned")
        .exactly(1)?
        .all_have("mac", mac.as_str())?
        .all_have("dev", NEAR_DEVICE)?;
    told(&run.events, &pair.near, family, FAR, "learned").without("previous").exactly(1)?;
    told(&run.events, &pair.near, family, FAR, "changed").exactly(0)?;
    ensure!(shown(&pair.near, family)?.contains(&mac), "`ip neigh` does not show {mac}");
    Ok(())
}

/// The far device gets another hardware address, and its kernel announces it: a gratuitous ARP, or an unsolicited
/// advertisement.
fn changed(setting: &Setting, family: Family) -> Result<()> {
    const NEW: &str = "02:77:00:00:00:22";
    let pair = Pair::new()?;
    pair.far.sysctl(&format!("net/ipv4/conf/{FAR_DEVICE}/arp_notify"), "1")?;
    pair.far.sysctl(&format!("net/ipv6/conf/{FAR_DEVICE}/ndisc_notify"), "1")?;
    let old = hardware_address(&pair.far, FAR_DEVICE)?;
    let tracer = trace(setting)?;
    meet(&pair, &tracer, family)?;
    pair.far.ip(&format!("link set {FAR_DEVICE} address {NEW}"))?;
    tracer.wait_for("the change to be told", |events| {
        !told(events, &pair.near, family, FAR, "changed").is_empty()
    })?;
    let run = finish(tracer)?;
    told(&run.events, &pair.near, family, FAR, "changed")
        .exactly(1)?
        .all_have("mac", NEW)?
        .all_have("previous", old.as_str())?
        .all_have("dev", NEAR_DEVICE)?;
    ensure!(shown(&pair.near, family)?.contains(NEW), "`ip neigh` does not show {NEW}");
    Ok(())
}

/// The far end forgets the near one and asks for it: its question tells its own address, which is known already.
fn confirmed(setting: &Setting, family: Family) -> Result<()> {
    let pair = Pair::new()?;
    let mac = hardware_address(&pair.far, FAR_DEVICE)?;
    let tracer = trace(setting)?;
    meet(&pair, &tracer, family)?;
    pair.far.ip(&format!("neigh flush dev {FAR_DEVICE}"))?;
    traffic::knock(&pair.far, family.at(FAR, 0), family.at(NEAR, PORT))?;
    tracer.wait_for("the confirmation to be told", |events| {
        !told(events, &pair.near, family, FAR, "confirmed").with("mac", mac.as_str()).is_empty()
    })?;
    let run = finish(tracer)?;
    told(&run.events, &pair.near, family, FAR, "confirmed")
        .with("mac", mac.as_str())
        .at_least(1)?
        .all_have("previous", mac.as_str())?
        .all_have("dev", NEAR_DEVICE)?;
    told(&run.events, &pair.near, family, FAR, "changed").exactly(0)?;
    Ok(())
}

/// An address nobody has. Truth: `ip neigh`. A failure that a timer of the kernel finds while it keeps hits from BPF
/// programs is seen by nobody, the witness included, and proves nothing; then there is another.
fn failed(setting: &Setting, family: Family) -> Result<()> {
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        let pair = Pair::new()?;
        let tracer = trace(setting)?;
        let witness = Witness::watch(&pair.near)?;
        traffic::knock(&pair.near, family.at(NEAR, 0), family.at(UNKNOWN, PORT))?;
        wait::until("the kernel to give up", || {
            Ok(shown_of(&pair.near, family, UNKNOWN)?.contains("FAILED").then_some(()))
        })?;
        let run = finish(tracer)?;
        told(&run.events, &pair.near, family, UNKNOWN, "learned").exactly(0)?;
        let failures = told(&run.events, &pair.near, family, UNKNOWN, "failed");
        if failures.is_empty() && witness.failed_neighbours()? == 0 {
            note(&format!(
                "{}: this kernel ran no BPF program for 1 of 1 failures (a policy of the host); the witness agrees \
                 with tracer",
                setting.case
            ));
            continue;
        }
        failures.exactly(1)?.all_have("dev", NEAR_DEVICE)?;
        ensure!(witness.failed_neighbours()? == 1, "the witness saw {}", witness.failed_neighbours()?);
        return Ok(());
    }
    bail!("the kernel hid {TRIES} failures of {TRIES}")
}

/// Two namespaces own one IPv4 address, and a third asks for it once. The first answer wins; the second comes within the
/// kernel's lock time of one second and is ignored, and no table shows it.
fn second_answer(setting: &Setting) -> Result<()> {
    let segment = Segment::new(&[NEAR, FAR, FAR])?;
    let (asking, owners) = segment.hosts.split_first().context("three hosts were asked for")?;
    let mut macs = Vec::new();
    for owner in owners {
        macs.push(hardware_address(owner, Segment::DEVICE)?);
    }
    let tracer = trace(setting)?;
    traffic::knock(asking, Family::V4.at(NEAR, 0), Family::V4.at(FAR, PORT))?;
    tracer.wait_for("the second answer to be told", |events| {
        !told(events, asking, Family::V4, FAR, "ignored").is_empty()
    })?;
    let run = finish(tracer)?;

    let table = shown(asking, Family::V4)?;
    let kept =
        macs.iter().position(|mac| table.contains(mac.as_str())).context("`ip neigh` shows neither owner")?;
    let (first, second) = (macs[kept].as_str(), macs[1 - kept].as_str());
    ensure!(!table.contains(second), "`ip neigh` shows both owners: {table}");
    told(&run.events, asking, Family::V4, FAR, "learned").exactly(1)?.all_have("mac", first)?;
    told(&run.events, asking, Family::V4, FAR, "ignored")
        .exactly(1)?
        .all_have("mac", second)?
        .all_have("previous", first)?
        .all_have("dev", Segment::DEVICE)?;
    told(&run.events, asking, Family::V4, FAR, "changed").exactly(0)?;
    Ok(())
}

/// What `ip neigh` shows of the far host.
fn shown(namespace: &Namespace, family: Family) -> Result<String> {
    shown_of(namespace, family, FAR)
}

fn shown_of(namespace: &Namespace, family: Family, host: u8) -> Result<String> {
    let address = family.host(host);
    wait::until("an entry of the neighbour table", || {
        let table = namespace.ip(&format!("neigh show {address}"))?;
        Ok((!table.is_empty()).then_some(table))
    })
}
