//! This node answers on one device for an address that lives on another.

use std::net::IpAddr;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::HardwareAddress,
    findings::{
        About, Finding, Severity,
        own::{self, ArpSetting},
    },
    state::{Neighbour, NeighbourKey, OwnAnswers, Subject},
    words::{counted, exact, settings, time_of_day},
};

/// This node answers on one device for an address that lives on another: what `arp_ignore` 0 means. Where another host
/// has that address too, others send this node what is not for it.
///
/// An address that no device has is answered for on purpose (`proxy_arp`), and so is one on a device without addresses of
/// its own, as those of pods often are. IPv6 asks for the address on the device itself (`ndisc_recv_ns`), so there it
/// takes a proxy entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnswersForForeignAddress {
    /// Answers from which on it is told.
    pub answers: u32,
    /// Seconds without an answer after which it is over.
    pub quiet_seconds: u32,
}

impl Default for AnswersForForeignAddress {
    fn default() -> Self {
        Self { answers: 1, quiet_seconds: 20 }
    }
}

/// An answer and where the address lives.
struct Foreign<'a> {
    key: &'a NeighbourKey,
    neighbour: &'a Neighbour,
    answers: OwnAnswers,
    /// The device it lives on.
    home: String,
    /// Whether that is another device in the same network.
    is_same_network: bool,
    ignore: Option<ArpSetting>,
}

impl Rule for AnswersForForeignAddress {
    const ID: &'static str = "answers-for-foreign-address";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let mut foreign = self.foreign(view);
        foreign.sort_unstable_by_key(|one| (std::cmp::Reverse(one.answers.count), *one.key));
        let all = foreign.len();
        found.extend(foreign.into_iter().take(MOST_OF_A_RULE).map(|one| finding(view, &one)));
        let who = ("addresses", "of other devices that this node answers for");
        tell_left_out(found, Self::ID, all, Severity::Warning, who);
    }
}

impl AnswersForForeignAddress {
    fn foreign<'a>(&self, view: &View<'a>) -> Vec<Foreign<'a>> {
        let state = view.state;
        let answering: Vec<_> = state
            .neighbours
            .iter()
            .filter_map(|(key, neighbour)| Some((key, neighbour, neighbour.own_answers?)))
            .filter(|(key, _, answers)| {
                answers.count >= self.answers
                    && !key.address.is_loopback()
                    && view.is_within(answers.span.last, self.quiet_seconds)
            })
            .collect();
        let wanted: FxHashSet<_> = answering.iter().map(|(key, ..)| (key.netns, key.address)).collect();
        let homes = own::homes(state, &wanted);
        let with_address: FxHashSet<_> = if answering.is_empty() {
            FxHashSet::default()
        } else {
            own::addresses(state)
                .filter(|(.., address)| is_of_network(address.address))
                .map(|(netns, interface_index, address)| (netns, interface_index, address.address.is_ipv4()))
                .collect()
        };
        let foreign = |(key, neighbour, answers): (&'a NeighbourKey, &'a Neighbour, OwnAnswers)| {
            let homes = homes.get(&(key.netns, key.address))?;
            if homes.iter().any(|&(home, _)| home == key.interface_index)
                || !with_address.contains(&(key.netns, key.interface_index, key.address.is_ipv4()))
            {
                return None;
            }
            let (home, is_same_network) = home(view, key, homes)?;
            let ignore = own::arp_setting(state, key.netns, neighbour.device.as_str(), "arp_ignore");
            // With these values the kernel does not answer so, so it is mended.
            let is_mended =
                key.address.is_ipv4() && ignore.is_some_and(|ignore| matches!(ignore.effective(), 1 | 2 | 8));
            (!is_mended).then_some(Foreign { key, neighbour, answers, home, is_same_network, ignore })
        };
        answering.into_iter().filter_map(foreign).collect()
    }
}

/// Whether an address says that its device is part of a network.
fn is_of_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

/// Where the address lives, and whether that device has it as part of a network that the asked one is in too.
fn home(view: &View<'_>, key: &NeighbourKey, homes: &[(u32, u8)]) -> Option<(String, bool)> {
    let state = view.state;
    let &(home, prefix_bits) = homes.first()?;
    let device = own::link(state, key.netns, home)?.device.to_string();
    let host_bits = if key.address.is_ipv4() { 32 } else { 128 };
    let is_same_network = prefix_bits < host_bits
        && own::addresses(state).any(|(netns, interface_index, address)| {
            (netns, interface_index) == (key.netns, key.interface_index)
                && address.prefix_bits == prefix_bits
                && network(address.address, prefix_bits) == network(key.address, prefix_bits)
        });
    Some((device, is_same_network))
}

fn network(address: IpAddr, prefix_bits: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    bits.checked_shr(width - u32::from(prefix_bits).min(width)).unwrap_or_default()
}

fn finding(view: &View<'_>, one: &Foreign<'_>) -> Finding {
    let Foreign { key, neighbour, answers, home, is_same_network, ignore } = one;
    let (address, device) = (key.address, &neighbour.device);
    let rivals: Vec<HardwareAddress> = neighbour
        .answerers
        .iter()
        .map(|answerer| answerer.hardware_address)
        .filter(|&hardware| !own::is_own(view.state, key.netns, hardware))
        .collect();
    let severity = match (rivals.is_empty(), is_same_network) {
        (false, _) => Severity::Critical,
        (true, false) => Severity::Warning,
        (true, true) => Severity::Notice,
    };
    let settings = ignore.map_or(String::new(), |ignore| format!(" (arp_ignore {})", ignore.effective()));
    Finding {
        subject: Some(Subject::Neighbour(**key)),
        evidence: evidence(view, one, &rivals),
        advice: advice(view, one),
        span: Some(answers.span),
        ..Finding::new(
            AnswersForForeignAddress::ID,
            About::Subject(Subject::Neighbour(**key)),
            severity,
            format!("{address} on {device}"),
            format!(
                "this node answers for it on {device}, though it lives on {home}{settings}: {} times, last to {}",
                exact(u64::from(answers.count)),
                answers.asker
            ),
        )
    }
}

fn evidence(view: &View<'_>, one: &Foreign<'_>, rivals: &[HardwareAddress]) -> Vec<String> {
    let Foreign { key, neighbour, answers, home, ignore, .. } = one;
    let device = &neighbour.device;
    let mac = neighbour.own_hardware_address.map(|mac| format!(" with {mac}")).unwrap_or_default();
    let mut evidence = vec![format!(
        "{} by {device}{mac} from {} to {}; {} is on {home}",
        counted(u64::from(answers.count), "answer"),
        time_of_day(answers.span.first),
        time_of_day(answers.span.last),
        key.address,
    )];
    if !rivals.is_empty() {
        let names: Vec<String> =
            rivals.iter().map(|&mac| own::hardware_words(view.state, key.netns, mac)).collect();
        evidence.push(format!("others say it is theirs: {}", names.join(", ")));
    }
    let announce = own::arp_setting(view.state, key.netns, device.as_str(), "arp_announce");
    for (name, setting) in [("arp_ignore", *ignore), ("arp_announce", announce)] {
        evidence.extend(setting.filter(|_| key.address.is_ipv4()).map(|setting| {
            format!("{name} is {} of all devices and {} of {device}", setting.all, setting.device)
        }));
    }
    if neighbour.own_questions > 0 {
        let asked = counted(u64::from(neighbour.own_questions), "question");
        evidence.push(format!("{asked} of this node named it as the sender's, which others learn from"));
    }
    evidence
}

fn advice(view: &View<'_>, one: &Foreign<'_>) -> Vec<String> {
    let Foreign { key, neighbour, home, .. } = one;
    let (address, device) = (key.address, &neighbour.device);
    let show = format!("confirm: `ip address show to {address}` shows it on {home} only");
    if !address.is_ipv4() {
        return vec![
            format!("take the proxy entry away: `ip -6 neigh del proxy {address} dev {device}`"),
            show,
        ];
    }
    let now = |name: &str| {
        own::arp_setting(view.state, key.netns, device.as_str(), name)
            .map_or_else(|| "not known".to_owned(), |setting| setting.all.to_string())
    };
    vec![
        settings::strict_arp(&now("arp_ignore"), &now("arp_announce")),
        format!("or take the address away, if it is not this node's: `ip address del {address} dev {home}`"),
        format!("who believed it has to forget it: `ip neigh del {address} dev DEVICE` there"),
        format!("{show}, and `arping -D -I DEVICE {address}` on another host hears no answer of this node"),
    ]
}

#[cfg(test)]
mod tests {
    use super::AnswersForForeignAddress;
    use crate::{
        event::{Body, Change, ClaimOperation, Direction},
        findings::{Severity, rules::Rule},
        state::fixture::{
            mac,
            wire::{WIRE, address, claimed, device, looking, open, setting, told},
        },
    };

    const ID: &str = AnswersForForeignAddress::ID;
    const HOME: u32 = 7;

    fn node(home: &str, foreign: &str, prefix_bits: u8) -> Vec<(u64, Body)> {
        let own = if foreign.contains(':') { "fd00::1" } else { "10.0.0.1" };
        vec![
            (100, device("eth0", WIRE, mac(1))),
            (100, address(Change::Present, own, if foreign.contains(':') { 64 } else { 24 }, WIRE)),
            (100, device(home, HOME, mac(2))),
            (100, address(Change::Present, foreign, prefix_bits, HOME)),
            (100, setting("net.ipv4.conf.all.arp_ignore", "0")),
            (100, setting("net.ipv4.conf.eth0.arp_ignore", "0")),
            (100, setting("net.ipv4.conf.all.arp_announce", "0")),
            (100, setting("net.ipv4.conf.eth0.arp_announce", "0")),
        ]
    }

    fn answers(foreign: &str, times: &[u64]) -> Vec<(u64, Body)> {
        let answer =
            if foreign.contains(':') { ClaimOperation::Advertisement } else { ClaimOperation::Reply };
        times.iter().map(|&time| (time, claimed(foreign, mac(1), Direction::Out, answer))).collect()
    }

    #[test]
    fn an_answer_for_an_address_of_another_device_is_found_and_what_to_set() {
        let mut events = node("kube-ipvs0", "10.0.0.9", 32);
        events.extend(answers("10.0.0.9", &[5_000, 8_500]));
        let state = looking(events.clone(), 10_000);
        let finding = open(&state, ID).unwrap();
        assert_eq!((finding.severity, finding.who.as_str()), (Severity::Warning, "10.0.0.9 on eth0"));
        assert_eq!(
            finding.what,
            "this node answers for it on eth0, though it lives on kube-ipvs0 (arp_ignore 0): 2 times, last to 10.0.0.77"
        );
        assert!(finding.evidence.contains(&"arp_ignore is 0 of all devices and 0 of eth0".to_owned()));
        assert!(
            finding.advice[0]
                .contains("net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2` (now 0 and 0)")
        );
        assert!(finding.advice[0].contains("strictARP"));
        assert_eq!(told(&looking(events.clone(), 40_000), ID), [(5_000, "open"), (29_000, "closed")]);
        for mends in [
            address(Change::Removed, "10.0.0.9", 32, HOME),
            setting("net.ipv4.conf.all.arp_ignore", "1"),
            setting("net.ipv4.conf.eth0.arp_ignore", "1"),
        ] {
            let mut mended = events.clone();
            mended.push((12_500, mends));
            assert_eq!(told(&looking(mended, 20_000), ID), [(5_000, "open"), (13_000, "closed")]);
        }
    }

    #[test]
    fn it_is_critical_where_another_host_says_the_same_and_a_notice_between_devices_of_one_network() {
        let mut rival = node("kube-ipvs0", "10.0.0.9", 32);
        rival.extend(answers("10.0.0.9", &[5_000]));
        rival.push((6_000, claimed("10.0.0.9", mac(0xb), Direction::In, ClaimOperation::Request)));
        let mut flux = node("eth1", "10.0.0.9", 24);
        flux.extend(answers("10.0.0.9", &[5_000]));
        let mut v6 = node("dummy0", "fd00::9", 128);
        v6.extend(answers("fd00::9", &[5_000]));
        for (name, events, severity) in [
            ("rival", rival, Severity::Critical),
            ("flux", flux, Severity::Notice),
            ("IPv6", v6, Severity::Warning),
        ] {
            let state = looking(events, 7_000);
            assert_eq!(open(&state, ID).map(|finding| finding.severity), Some(severity), "{name}");
        }
    }

    #[test]
    fn own_addresses_and_those_of_nobody_here_and_pods_gateways_are_answered_on_purpose() {
        let mut own = node("kube-ipvs0", "10.0.0.9", 32);
        own.extend(answers("10.0.0.1", &[5_000]));
        let mut proxy = node("kube-ipvs0", "10.0.0.9", 32);
        proxy.extend(answers("10.0.0.200", &[5_000]));
        let mut both = node("dummy0", "10.0.0.1", 32);
        both.extend(answers("10.0.0.1", &[5_000]));
        let mut unnumbered = node("kube-ipvs0", "10.0.0.9", 32);
        unnumbered.push((200, address(Change::Removed, "10.0.0.1", 24, WIRE)));
        unnumbered.extend(answers("10.0.0.9", &[5_000]));
        let mut announced = node("lo", "10.0.0.9", 32);
        announced.push((5_000, claimed("10.0.0.9", mac(1), Direction::Out, ClaimOperation::Request)));
        announced.push((5_000, claimed("10.0.0.9", mac(1), Direction::Out, ClaimOperation::Gratuitous)));
        for (name, events) in [
            ("own", own),
            ("proxy", proxy),
            ("both", both),
            ("unnumbered", unnumbered),
            ("announced", announced),
        ] {
            assert_eq!(told(&looking(events, 20_000), ID), [], "{name}");
        }
    }
}
