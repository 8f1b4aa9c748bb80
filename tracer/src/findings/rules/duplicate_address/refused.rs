//! An address of this node that somebody else had first: IPv6 asks before it uses one, and IPv4 does not.

use super::{DuplicateAddress, heard_evidence, own_advice};
use crate::{
    event::{Address, HardwareAddress},
    findings::{
        About, Finding, Severity, own,
        rules::{Rule as _, View},
    },
    state::{NeighbourKey, Span, Subject},
};

/// Whether duplicate address detection failed (`IFA_F_DADFAILED`). A device's own link-local address tells of no rival:
/// a bridge that sends a port its own frames back makes it fail too.
pub(super) fn is_refused(address: &Address) -> bool {
    const DAD_FAILED: u32 = 0x08;
    let is_link_local =
        matches!(address.address, std::net::IpAddr::V6(address) if address.is_unicast_link_local());
    address.flags & DAD_FAILED != 0 && !is_link_local
}

/// That the kernel does not use it; until it is taken away, or taken in anew.
pub(super) fn finding(view: &View<'_>, key: &NeighbourKey, address: &Address) -> Finding {
    let state = view.state;
    let link = own::link(state, key.netns, key.interface_index);
    let device =
        link.map_or_else(|| format!("device {}", key.interface_index), |link| link.device.to_string());
    let rivals: Vec<HardwareAddress> = state
        .neighbours
        .get(key)
        .into_iter()
        .flat_map(|neighbour| &neighbour.answerers)
        .map(|answerer| answerer.hardware_address)
        .filter(|&hardware_address| !own::is_own(state, key.netns, hardware_address))
        .collect();
    let mut evidence = vec![format!(
        "the kernel asked for {} before it used it, and somebody had it: `dadfailed`",
        key.address
    )];
    if let Some(neighbour) = state.neighbours.get(key) {
        evidence.extend(heard_evidence(view, key, neighbour));
    }
    let mut advice = own_advice(key, &device, &rivals);
    let prefix = format!("{}/{} dev {device}", key.address, address.prefix_bits);
    advice
        .push(format!("then have this node try again: `ip address del {prefix}`, `ip address add {prefix}`"));
    advice.push(format!("confirm: `ip address show to {}` says `dadfailed` no more", key.address));
    let settled = state.routes.settled.get(&(key.netns, key.address)).copied();
    Finding {
        subject: Some(Subject::Neighbour(*key)),
        evidence,
        advice,
        span: settled.map(|settled| Span { first: settled, last: settled }),
        ..Finding::new(
            DuplicateAddress::ID,
            About::Subject(Subject::Neighbour(*key)),
            Severity::Warning,
            format!("{} on {device}", key.address),
            "another host had this address already: this node's kernel does not use it".to_owned(),
        )
    }
}
