//! Claims of addresses: who says, in or out, that an address lives at a hardware address. Truth: the devices' own
//! hardware addresses, and the order of the protocol.

use anyhow::Result;

use super::{Case, Setting};
use crate::{
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::{FAR, FAR_DEVICE, Family, NEAR, NEAR_DEVICE, Pair, hardware_address},
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "claim-arp",
        proves: "an ARP question and its answer are told at both ends, in and out",
        needs: &[Need::FunctionHooks],
        run: question_and_answer,
    },
    Case {
        name: "claim-gratuitous",
        proves: "a gratuitous ARP is told by the node that sends it and by the one that hears it",
        needs: &[Need::FunctionHooks],
        run: gratuitous,
    },
    Case {
        name: "claim-advertisement",
        proves: "an IPv6 neighbour advertisement is told at both ends",
        needs: &[Need::FunctionHooks],
        run: advertisement,
    },
    Case {
        name: "claim-foreign-address",
        proves: "an answer for an address of another device (kube-ipvs0) is told with the device it leaves by",
        needs: &[Need::FunctionHooks, Need::Dummy],
        run: foreign_address,
    },
];

const PORT: u16 = 9;

/// What a namespace tells of an address: direction and message.
fn told<'a>(
    events: &'a Events,
    namespace: &Namespace,
    address: &str,
    direction: &str,
    operation: &str,
) -> Selection<'a> {
    events
        .of("claim", namespace)
        .with("address", address)
        .with("direction", direction)
        .with("operation", operation)
}

fn question_and_answer(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let (near, far) = (Family::V4.host(NEAR).to_string(), Family::V4.host(FAR).to_string());
    let tracer = setting.trace(&["--only", "neighbour"])?;
    traffic::knock(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(FAR, PORT))?;
    tracer.wait_for("the answer", |events| !told(events, &pair.near, &far, "in", "reply").is_empty())?;
    let run = tracer.stop()?;
    let (near_mac, far_mac) =
        (hardware_address(&pair.near, NEAR_DEVICE)?, hardware_address(&pair.far, FAR_DEVICE)?);
    for (namespace, address, direction, operation, mac, device) in [
        (&pair.near, &near, "out", "request", &near_mac, NEAR_DEVICE),
        (&pair.far, &near, "in", "request", &near_mac, FAR_DEVICE),
        (&pair.far, &far, "out", "reply", &far_mac, FAR_DEVICE),
        (&pair.near, &far, "in", "reply", &far_mac, NEAR_DEVICE),
    ] {
        told(&run.events, namespace, address, direction, operation)
            .exactly(1)?
            .all_have("mac", mac.as_str())?
            .all_have("dev", device)?;
    }
    Ok(())
}

fn gratuitous(setting: &Setting) -> Result<()> {
    const NEW: &str = "02:77:00:00:00:22";
    let pair = Pair::new()?;
    pair.far.sysctl(&format!("net/ipv4/conf/{FAR_DEVICE}/arp_notify"), "1")?;
    let far = Family::V4.host(FAR).to_string();
    let tracer = setting.trace(&["--only", "neighbour"])?;
    pair.far.ip(&format!("link set {FAR_DEVICE} address {NEW}"))?;
    tracer.wait_for("the announcement", |events| {
        !told(events, &pair.near, &far, "in", "gratuitous").is_empty()
    })?;
    let run = tracer.stop()?;
    for (namespace, direction, device) in [(&pair.far, "out", FAR_DEVICE), (&pair.near, "in", NEAR_DEVICE)] {
        told(&run.events, namespace, &far, direction, "gratuitous")
            .exactly(1)?
            .all_have("mac", NEW)?
            .all_have("dev", device)?;
    }
    Ok(())
}

fn advertisement(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let far = Family::V6.host(FAR).to_string();
    let mac = hardware_address(&pair.far, FAR_DEVICE)?;
    let tracer = setting.trace(&["--only", "neighbour"])?;
    traffic::knock(&pair.near, Family::V6.at(NEAR, 0), Family::V6.at(FAR, PORT))?;
    tracer.wait_for("the advertisement", |events| {
        !told(events, &pair.near, &far, "in", "advertisement").is_empty()
    })?;
    let run = tracer.stop()?;
    for (namespace, direction, device) in [(&pair.far, "out", FAR_DEVICE), (&pair.near, "in", NEAR_DEVICE)] {
        told(&run.events, namespace, &far, direction, "advertisement")
            .at_least(1)?
            .all_have("mac", mac.as_str())?
            .all_have("dev", device)?;
    }
    Ok(())
}

/// As on a node with kube-ipvs0 and `arp_ignore` 0: the address lives on a dummy device, and the other device answers.
fn foreign_address(setting: &Setting) -> Result<()> {
    const HOST: u8 = 200;
    let pair = Pair::new()?;
    pair.far.ip("link add kube-ipvs0 type dummy")?;
    let address = Family::V4.host(HOST).to_string();
    pair.far.ip(&format!("address add {address}/32 dev kube-ipvs0"))?;
    for device in ["all", FAR_DEVICE] {
        pair.far.sysctl(&format!("net/ipv4/conf/{device}/arp_ignore"), "0")?;
    }
    let mac = hardware_address(&pair.far, FAR_DEVICE)?;
    let tracer = setting.trace(&["--only", "neighbour"])?;
    traffic::knock(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(HOST, PORT))?;
    tracer.wait_for("the answer", |events| !told(events, &pair.near, &address, "in", "reply").is_empty())?;
    let run = tracer.stop()?;
    told(&run.events, &pair.far, &address, "out", "reply")
        .exactly(1)?
        .all_have("mac", mac.as_str())?
        .all_have("dev", FAR_DEVICE)?;
    Ok(())
}
