//! Names that conditions of a filter can ask for, from what is shown.

use std::{cmp::Reverse, collections::BTreeSet};

use rustc_hash::FxHashMap;

use crate::{
    event::Netns,
    filter::Named,
    findings::peers::most_resent_to,
    state::{Ownership, State},
};

/// Names offered at most, of each source they come from.
const MOST: usize = 32;

/// What there is to name in a state: of addresses and ports those in trouble first, everything else in its order.
pub(super) fn names(state: &State, named: Named) -> Vec<String> {
    match named {
        Named::Address => {
            let peers = most_resent_to(state).into_iter().take(MOST).map(|peer| peer.address);
            let services = state.ipvs.services.iter().filter_map(|(key, _)| key.service.address());
            let reals = state.ipvs.reals.iter().filter_map(|(key, _)| key.address);
            let neighbours = state.neighbours.iter().map(|(key, _)| key.address);
            let others = services.chain(reals).map(|address| address.ip()).chain(neighbours).take(MOST);
            in_order(peers.chain(others))
        }
        Named::Port => {
            let mut flows: FxHashMap<u16, u32> = FxHashMap::default();
            for (key, _) in state.flows.iter() {
                *flows.entry(key.endpoints.destination.port()).or_default() += 1;
            }
            let mut ports: Vec<(u16, u32)> = flows.into_iter().collect();
            ports.sort_unstable_by_key(|&(port, flows)| (Reverse(flows), port));
            let services = state.ipvs.services.iter().filter_map(|(key, _)| key.service.address());
            let dialled = ports.into_iter().map(|(port, _)| port).take(MOST);
            in_order(dialled.chain(services.map(|address| address.port()).take(MOST)))
        }
        Named::NetworkNamespace => {
            let all = (state.flows.iter().map(|(key, _)| key.netns))
                .chain(state.neighbours.iter().map(|(key, _)| key.netns))
                .chain(state.ipvs.services.iter().map(|(key, _)| key.netns))
                .chain(state.conntrack.entries.iter().map(|(key, _)| key.netns));
            sorted(all.collect::<BTreeSet<Netns>>().into_iter().map(|netns| {
                let namespace = state.names.namespace(netns, state.now());
                let name = namespace.and_then(|namespace| namespace.name.as_ref());
                name.map_or_else(|| netns.to_string(), ToString::to_string)
            }))
        }
        Named::Node => sorted(state.names.nodes().map(|(_, host)| host.as_str())),
        Named::Process => sorted(owners(state).filter_map(|owner| Some(owner.process?.command.as_str()))),
        Named::Container => {
            let labels = owners(state).filter_map(|owner| Some(owner.container?.label()));
            sorted(labels.filter(|label| !label.is_empty()))
        }
        Named::Pod => {
            let pods = owners(state).filter_map(|owner| owner.pod);
            sorted(pods.filter(|pod| pod.is_named()).map(ToString::to_string))
        }
        Named::Device => sorted(
            (state.flows.iter().filter_map(|(_, flow)| flow.device.as_deref()))
                .chain(state.neighbours.iter().map(|(_, neighbour)| &neighbour.device)),
        ),
        Named::HardwareAddress => sorted(
            state
                .neighbours
                .iter()
                .flat_map(|(_, neighbour)| &neighbour.answerers)
                .map(|answerer| answerer.hardware_address.to_string()),
        ),
    }
}

/// Who owns the flows.
fn owners(state: &State) -> impl Iterator<Item = Ownership<'_>> {
    state.flows.iter().map(|(key, flow)| state.ownership_of(key, flow))
}

/// Each name once, the first ones by their order.
fn sorted<T: Ord + ToString>(names: impl Iterator<Item = T>) -> Vec<String> {
    let all: BTreeSet<T> = names.collect();
    all.into_iter().take(MOST).map(|name| name.to_string()).collect()
}

/// Each name once, as they come.
fn in_order<T: ToString>(names: impl Iterator<Item = T>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for name in names {
        let name = name.to_string();
        if !told.contains(&name) {
            told.push(name);
        }
    }
    told
}
