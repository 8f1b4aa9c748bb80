//! A misrouted reply in words.

use super::{
    Case,
    way::{Astray, End, LOOPBACK},
};
use crate::{
    event::{Address, Body, Text},
    findings::{
        rules::View,
        silence::{Silent, Waits},
    },
    state::Reached,
    words::{counted, describe::flow_name, owner::netns_name, time_of_day},
};

fn device_of(address: &Address) -> String {
    address.device.as_ref().map_or_else(|| format!("device {}", address.interface_index), Text::to_string)
}

impl Case<'_> {
    /// Whether the replies leave the namespace that sends them, and end in another.
    fn is_onward(&self) -> bool {
        self.astray.netns != self.netns
    }

    /// The namespace where they end, by name.
    fn place(&self, view: &View<'_>) -> String {
        netns_name(view.state, self.astray.netns, view.now())
    }
}

/// The sentence.
pub(super) fn what(view: &View<'_>, case: &Case<'_>) -> String {
    let peer = case.peer;
    let is_onward = case.is_onward();
    let ends = if is_onward { "replies end at the next hop" } else { "replies never leave" };
    let (of, within) = if is_onward {
        let place = case.place(view);
        (place.clone(), format!(" in {place}"))
    } else {
        ("this node".to_owned(), String::new())
    };
    match case.astray.end {
        End::Local(Some(address)) => {
            format!("{ends}: {peer} is an address of {of} too, on {}", device_of(address))
        }
        End::Local(None) if is_onward => format!("{ends}: by the routes {peer} is local{within}"),
        End::Local(None) => format!("{ends}: by the routes {peer} is local here"),
        End::Loopback => format!("{ends}: the route to {peer}{within} is by the loopback device"),
        End::Dropped(device) => {
            format!("{ends}: the route to {peer}{within} is by {device}, a dummy, which drops all packets")
        }
        End::Refused => {
            let result = case.astray.reached.map(|reached| reached.result.name()).unwrap_or_default();
            format!("{ends}: the route to {peer}{within} is {result}")
        }
    }
}

/// What the kernel answered.
fn answer(reached: &Reached) -> String {
    let device = reached.device.as_ref().map(|device| format!(" dev {device}")).unwrap_or_default();
    let error = reached.result.error().map(|error| format!(": {error}")).unwrap_or_default();
    let via = reached.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    format!("{}{via}{device}{error}", reached.result.name())
}

/// What shows it.
pub(super) fn evidence(view: &View<'_>, case: &Case<'_>) -> Vec<String> {
    let (state, peer) = (view.state, case.peer);
    let Astray { netns, reached, end } = case.astray;
    let mut evidence = Vec::new();
    if let Some(first) = state.routes.reached(case.netns, peer) {
        evidence.push(format!("ip route get {peer} answers: {}", answer(first)));
    }
    if let Some(reached) = reached.filter(|_| case.is_onward()) {
        let place = case.place(view);
        evidence.push(format!("ip route get {peer} in {place} answers: {}", answer(reached)));
    }
    evidence.extend(replies(case));
    if let Some(worst) = case.waiting.iter().max_by_key(|silent| (silent.proven_ns(), silent.key)) {
        evidence.push(format!(
            "{} of {peer} waiting for a reply: {}, {} since {} UTC",
            counted(case.waiting.len() as u64, "flow"),
            flow_name(&worst.key.endpoints),
            counted(u64::from(worst.attempts), "attempt"),
            time_of_day(worst.began),
        ));
    }
    if let End::Local(Some(address)) = end {
        let since = state.chronicle.of_routing().rev().find(|event| {
            let is_it =
                |told: &Address| told.address == peer && told.interface_index == address.interface_index;
            event.netns == netns && matches!(&event.body, Body::Address(told) if is_it(told))
        });
        let since = since.map(|event| format!(", since {} UTC", time_of_day(event.time))).unwrap_or_default();
        evidence.push(format!("address {peer}/{} is on {}{since}", address.prefix_bits, device_of(address)));
    }
    let changed = reached.and_then(|reached| reached.changed);
    evidence.extend(changed.map(|time| format!("the answer was another until {} UTC", time_of_day(time))));
    evidence
}

/// The flows that reply.
fn replies<'a>(case: &'a Case<'_>) -> impl Iterator<Item = String> + use<'a> {
    let peer = case.peer;
    let answers = || case.replies.iter().filter(|flow| flow.waits == Waits::ThirdOfHandshake);
    let attempts: u64 = answers().map(|flow: &Silent<'_>| u64::from(flow.attempts)).sum();
    let dialled = (attempts > 0).then(|| {
        let dials = counted(answers().count() as u64, "connection");
        let most = answers().max_by_key(|silent| (silent.attempts, std::cmp::Reverse(silent.key)));
        let most = most.map(|silent| format!(", most often for {}", flow_name(&silent.key.endpoints)));
        format!(
            "{peer} dialled {dials} from elsewhere; the SYN-ACK was sent again {attempts} times{}",
            most.unwrap_or_default()
        )
    });
    let connections = case.replies.iter().filter(|flow| flow.waits == Waits::Acknowledgement).count();
    let connected = (connections > 0)
        .then(|| format!("{} waiting for an acknowledgement", counted(connections as u64, "connection")));
    dialled.into_iter().chain(connected)
}

/// What to do about it.
pub(super) fn advice(view: &View<'_>, case: &Case<'_>) -> Vec<String> {
    let peer = case.peer;
    let namespace = case.place(view);
    let within = if case.is_onward() || case.replies.is_empty() {
        format!(", in network namespace {namespace}")
    } else {
        String::new()
    };
    let mut advice = Vec::new();
    match case.astray.end {
        End::Local(Some(address)) => {
            let device = device_of(address);
            advice.push(format!(
                "take the address away, in network namespace {namespace}: `ip address del {peer}/{} dev {device}`",
                address.prefix_bits
            ));
            if device != LOOPBACK {
                advice.push(format!(
                    "if NetworkManager put it there, keep it off: `nmcli device set {device} managed no`"
                ));
            }
        }
        End::Local(None) => {
            advice.push(format!(
                "find the route{within}: `ip route show table local match {peer}`; then ip route del it"
            ));
        }
        End::Loopback | End::Dropped(_) | End::Refused => {
            advice.push(format!(
                "find the route{within}: `ip route show table all match {peer}`; remove it, or add one that leads to {peer}"
            ));
        }
    }
    let previous = case.astray.reached.and_then(|reached| reached.previous_device.as_ref());
    let leaves = match previous.filter(|device| device.as_str() != LOOPBACK) {
        Some(device) => format!("must answer with dev {device} again"),
        None => "must answer with the device that leads to it".to_owned(),
    };
    advice.push(format!("confirm{within}: `ip route get {peer}` {leaves}"));
    advice
}
