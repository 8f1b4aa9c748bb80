//! A network of hosts on one switch, whose devices come and go.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

use crate::{
    expect::Events,
    namespace::Namespace,
    need,
    topology::{self, Family, hardware_address, wire},
    tracer::Tracer,
    wait,
};

/// The first device of every host.
pub(super) const DEVICE: &str = "host0";

/// The switch.
pub(super) struct Lan {
    switch: Namespace,
    ports: AtomicU32,
}

impl Lan {
    pub(super) fn new() -> Result<Self> {
        let switch = Namespace::new("switch")?;
        switch.ip("link add bridge0 type bridge")?;
        switch.ip("link set bridge0 up")?;
        Ok(Self { switch, ports: AtomicU32::new(0) })
    }

    /// A host with [`DEVICE`] and both addresses of that number.
    pub(super) fn host(&self, number: u8) -> Result<Namespace> {
        let host = Namespace::new(&format!("host{number}"))?;
        self.plug(&host, DEVICE)?;
        for family in Family::BOTH {
            give(&host, DEVICE, family.host(number))?;
        }
        Ok(host)
    }

    /// Gives a host one more device on the switch, which is up, and returns the switch's port.
    pub(super) fn plug(&self, host: &Namespace, device: &str) -> Result<String> {
        let port = format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed));
        wire(host, device, &self.switch, &port)?;
        self.switch.ip(&format!("link set {port} master bridge0"))?;
        Ok(port)
    }

    /// The namespace of the switch.
    pub(super) fn switch(&self) -> &Namespace {
        &self.switch
    }
}

/// An address as part of the network.
pub(super) fn give(host: &Namespace, device: &str, address: IpAddr) -> Result<()> {
    topology::give(host, device, address, if address.is_ipv4() { 24 } else { 64 })
}

/// An address alone, on a device that is on no wire: `kube-ipvs0` as kube-proxy makes it, or where the kernel has no such
/// devices, a bridge without ports.
pub(super) fn give_off_the_wire(host: &Namespace, address: IpAddr) -> Result<()> {
    need::load("dummy");
    if host.ip(&format!("link add {OFF_THE_WIRE} type dummy")).is_err() {
        host.ip(&format!("link add {OFF_THE_WIRE} type bridge"))?;
    }
    for scope in ["all", DEVICE] {
        host.sysctl(&format!("net/ipv4/conf/{scope}/arp_ignore"), "0")?;
    }
    host.ip(&format!("address add {address}/32 dev {OFF_THE_WIRE}")).map(drop)
}

/// The device of [`give_off_the_wire`].
pub(super) const OFF_THE_WIRE: &str = "kube-ipvs0";

/// The hardware addresses of the first devices of hosts.
pub(super) fn macs(hosts: &[&Namespace]) -> Result<Vec<String>> {
    hosts.iter().map(|host| hardware_address(host, DEVICE)).collect()
}

/// Gives a host an entry of another's address that it never asks about: by its own question one that hears nothing would be
/// known again, before those who ask it in vain give up.
pub(super) fn know_for_good(host: &Namespace, other: &Namespace, address: IpAddr) -> Result<()> {
    let mac = hardware_address(other, DEVICE)?;
    host.ip(&format!("neigh replace {address} lladdr {mac} dev {DEVICE} nud permanent")).map(drop)
}

/// Whom a host believes to have an address: the place in a list of hardware addresses.
pub(super) fn believed(host: &Namespace, address: IpAddr, macs: &[String]) -> Result<usize> {
    wait::until("an entry with a hardware address", || {
        let table = host.ip(&format!("neigh show {address}"))?;
        Ok(macs.iter().position(|mac| table.contains(mac.as_str())))
    })
    .with_context(|| format!("{address}, one of {macs:?}"))
}

/// Waits until tracer has looked in so many more seconds: what is found by then is found.
pub(super) fn let_pass(tracer: &Tracer, seconds: usize) -> Result<()> {
    const SECOND: std::ops::Range<usize> = 0.."2026-01-01T00:00:00".len();
    let sampled = |events: &Events| {
        let samples = events.all().iter().filter(|line| line["type"] == "stats");
        let seconds: BTreeSet<&str> = samples.filter_map(|line| line["time"].as_str()?.get(SECOND)).collect();
        seconds.len()
    };
    let before = tracer.ask(sampled);
    tracer.wait_for("the next seconds", |events| sampled(events) >= before + seconds)
}
