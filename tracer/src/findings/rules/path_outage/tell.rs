//! An outage in words.

use std::net::IpAddr;

use super::PathOutage;
use crate::{
    event::{IcmpClass, Netns, Prefix, Timestamp},
    findings::{
        About, Affects, Certainty, Finding, Severity,
        beside::{Way, changes, neighbour_move},
        rules::{Rule as _, View},
        silence::{Silent, Waits},
    },
    state::{IcmpKey, Reached, Span, Subject},
    words::{counted, describe::flow_name, duration, time_of_day},
};

/// Addresses that do not answer, and the flows that show it.
#[derive(Clone, Debug)]
pub(super) struct Out<'a> {
    /// The network namespace of the flows.
    pub(super) netns: Netns,
    /// The addresses: one, or those of a group, in order.
    pub(super) peers: Vec<IpAddr>,
    /// The next hop of all of a group, where they have one.
    pub(super) gateway: Option<IpAddr>,
    /// What tells it from others.
    pub(super) about: About,
    /// How bad it is.
    pub(super) severity: Severity,
    /// Since when the first flow waits.
    pub(super) began: Timestamp,
    /// The last attempt.
    pub(super) last: Timestamp,
    /// The flows without an answer.
    pub(super) flows: Vec<Silent<'a>>,
    /// Of a group: what tells each of them from others.
    pub(super) members: Vec<About>,
}

impl<'a> Out<'a> {
    /// Several told as one; `None` of none.
    pub(super) fn merged(about: About, gateway: Option<IpAddr>, members: Vec<Self>) -> Option<Self> {
        let mut members = members.into_iter();
        let first = members.next()?;
        let mut all = Self { about, gateway, members: vec![first.about.clone()], ..first };
        for member in members {
            all.peers.extend(member.peers);
            all.severity = all.severity.min(member.severity);
            all.began = all.began.min(member.began);
            all.last = all.last.max(member.last);
            all.flows.extend(member.flows);
            all.members.push(member.about);
        }
        Some(all)
    }

    /// Whether it was told before.
    pub(super) fn was_open(&self, view: &View<'_>) -> bool {
        view.was_open(PathOutage::ID, &self.about)
    }

    /// The flow that waits longest.
    fn worst(&self) -> Option<&Silent<'a>> {
        self.flows.iter().max_by_key(|silent| (silent.proven_ns(), std::cmp::Reverse(silent.key)))
    }

    /// The port all of them dial.
    fn port(&self) -> Option<u16> {
        let mut ports = self.flows.iter().map(|silent| {
            let is_dialling = silent.waits == Waits::SynAck;
            is_dialling.then_some(silent.key.endpoints.destination.port())
        });
        let port = ports.next()??;
        ports.all(|other| other == Some(port)).then_some(port)
    }

    fn who(&self) -> String {
        match self.peers.as_slice() {
            [peer] => peer.to_string(),
            peers => {
                let place = common(peers).map(|prefix| prefix.to_string()).unwrap_or_default();
                let via = self.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
                format!("{place}{via}")
            }
        }
    }
}

/// The smallest network that has all these addresses.
fn common(addresses: &[IpAddr]) -> Option<Prefix> {
    let mut common = Prefix::host(*addresses.first()?);
    for &address in addresses {
        while !common.contains(address) {
            common.bits = common.bits.checked_sub(1)?;
        }
    }
    Some(Prefix { address: masked(common), ..common })
}

/// The first address of a network.
fn masked(Prefix { address, bits }: Prefix) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or_default();
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or_default();
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// The finding of an outage.
pub(super) fn tell(view: &View<'_>, id: &'static str, out: &Out<'_>) -> Finding {
    let state = view.state;
    let longest_ns = out.worst().map_or(0, Silent::proven_ns);
    let reached = out.peers.first().and_then(|&peer| state.routes.reached(out.netns, peer));
    let way = Way {
        netns: out.netns,
        peer: out.peers[0],
        gateway: reached.and_then(|reached| reached.gateway),
        device: reached.and_then(|reached| reached.device.as_ref()),
    };
    let mut beside = changes(state, way, out.began);
    beside.extend(neighbour_move(state, way, out.began));
    let flows = counted(out.flows.len() as u64, "flow");
    let of = match (out.port(), out.peers.len()) {
        (Some(port), 1) => format!(" to port {port}"),
        (Some(port), peers) => format!(" to port {port} of {peers} addresses"),
        (None, 1) => String::new(),
        (None, peers) => format!(" to {peers} addresses"),
    };
    let cause = beside.last().map(|change| format!(" · {change}")).unwrap_or_default();
    let what = format!("no answer to {flows}{of} for {}{cause}", duration(longest_ns));
    let mut finding = Finding::new(id, out.about.clone(), out.severity, out.who(), what);
    finding.certainty =
        if out.severity == Severity::Critical { Certainty::Likely } else { Certainty::Possible };
    finding.subject = match (&out.about, out.flows.as_slice()) {
        (_, [one]) if out.peers.len() == 1 => Some(Subject::Flow(*one.key)),
        (About::Subject(subject), _) => Some(*subject),
        _ => None,
    };
    finding.evidence = evidence(view, out, reached, beside);
    finding.affects = Affects::of_flows(state, out.flows.iter().map(|silent| (silent.key, silent.flow)));
    let dials = out.flows.iter().filter(|silent| silent.waits != Waits::Acknowledgement).count();
    finding.affects.connections = dials as u64;
    finding.advice = advice(view, out, reached);
    finding.span = Some(Span { first: out.began, last: out.last });
    // What was told of one of them alone is told by the group now.
    let told = view.open.iter().flat_map(|open| std::iter::once(open).chain(&open.symptoms));
    let is_member =
        |told: &&Finding| told.id == id && told.about != out.about && out.members.contains(&told.about);
    finding.symptoms = told.filter(is_member).cloned().collect();
    finding
}

fn evidence(view: &View<'_>, out: &Out<'_>, reached: Option<&Reached>, beside: Vec<String>) -> Vec<String> {
    let mut evidence = Vec::new();
    for (waits, name) in [
        (Waits::Acknowledgement, "connection whose data is not acknowledged"),
        (Waits::SynAck, "dial whose SYN is not answered"),
        (Waits::ThirdOfHandshake, "dial of the peer whose SYN-ACK is not answered"),
    ] {
        let flows: Vec<_> = out.flows.iter().filter(|silent| silent.waits == waits).collect();
        let Some(worst) = flows.iter().max_by_key(|silent| silent.proven_ns()) else { continue };
        let (one, rest) = name.split_once(' ').unwrap_or((name, ""));
        evidence.push(format!(
            "{} {rest}, for {} at most: {}, {} since {} UTC",
            counted(flows.len() as u64, one),
            duration(worst.proven_ns()),
            flow_name(&worst.key.endpoints),
            counted(u64::from(worst.attempts), "attempt"),
            time_of_day(worst.began),
        ));
    }
    evidence.extend(beside);
    evidence.extend(reached.map(way_text));
    for (class, word) in [(IcmpClass::Unreachable, "unreachable"), (IcmpClass::TimeExceeded, "time exceeded")]
    {
        let about = |peer: &IpAddr| {
            let key = IcmpKey { netns: out.netns, is_sent: false, destination: Some(*peer) };
            let subject = view.state.path.icmp.get(&key).filter(|subject| subject.last >= out.began)?;
            (subject.counts[class as usize] > 0).then_some(subject.sender)
        };
        if let Some(sender) = out.peers.iter().find_map(about) {
            let sender = sender.map(|sender| format!(" from {sender}")).unwrap_or_default();
            evidence.push(format!("ICMP {word} received{sender}"));
        }
    }
    evidence
}

/// How a peer is reached.
fn way_text(reached: &Reached) -> String {
    let via = reached.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let device = reached.device.as_ref().map(|device| format!(" dev {device}")).unwrap_or_default();
    let neighbour = match (reached.neighbour, reached.neighbour_state) {
        (Some(mac), Some(state)) => format!(" · next hop {mac} ({state})"),
        (None, Some(state)) => format!(" · next hop ({state})"),
        _ => String::new(),
    };
    format!("route: {}{via}{device}{neighbour}", reached.result.name())
}

fn advice(view: &View<'_>, out: &Out<'_>, reached: Option<&Reached>) -> Vec<String> {
    let peer = out.peers[0];
    let enter = crate::words::owner::netns_name(view.state, out.netns, view.now());
    let mut advice = vec![format!(
        "find where it ends, in network namespace {enter}: `ip route get {peer}`; `tracepath -n {peer}`"
    )];
    if let Some(device) = reached.and_then(|reached| reached.device.as_ref()) {
        advice.push(format!(
            "see whether it leaves and whether anything comes back: `tcpdump -ni {device} host {peer}`"
        ));
    }
    if let Some(gateway) = reached.and_then(|reached| reached.gateway) {
        advice.push(format!(
            "see whether the next hop is there: `ip neigh show {gateway}`; `ping -c 3 {gateway}`"
        ));
    }
    advice
}
