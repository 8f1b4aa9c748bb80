//! Who is behind a flow, in words.

use std::net::IpAddr;

use crate::{
    event::{Container, Namespace, Netns, Process, Timestamp},
    state::{Flow, FlowKey, Ownership, State},
};

/// In a column: the pod where there is one, else the container, else the process with its id.
pub(crate) fn owner_column(state: &State, key: &FlowKey, flow: &Flow) -> Option<String> {
    let Ownership { process, container, pod, .. } = state.ownership_of(key, flow);
    let container = || container.map(Container::label).filter(|label| !label.is_empty()).map(str::to_owned);
    let process = || process.map(|process| format!("{}/{}", process.command, process.id));
    pod.filter(|pod| pod.is_named()).map(|pod| pod.name.to_string()).or_else(container).or_else(process)
}

/// All that is known, the nearest first: process, container, pod, cgroup, socket, network namespace.
pub(crate) fn owner_words(state: &State, key: &FlowKey, flow: &Flow) -> Vec<String> {
    let Ownership { process, container, pod, .. } = state.ownership_of(key, flow);
    let mut words = Vec::new();
    words.extend(process.map(|process| format!("{} (pid {})", process.command, process.id)));
    words.extend(container.filter(|container| !container.id.is_empty()).map(container_words));
    words.extend(pod.map(|pod| format!("pod {pod}")));
    words.extend(flow.cgroup_id.map(|id| format!("cgroup {id}")));
    words.extend(flow.socket_inode.map(|inode| format!("socket {inode}")));
    words.push(format!("netns {}", netns_words(state, key.netns, flow.last)));
    words
}

/// The pod of this node that an address is of.
pub(crate) fn pod_words(state: &State, address: IpAddr, then: Timestamp) -> Option<String> {
    state.names.pod_at(address, then).map(|pod| format!("pod {pod}"))
}

/// `container nginx`, and by what it is run.
fn container_words(container: &Container) -> String {
    let runtime = container.runtime.map(|runtime| format!(" ({})", runtime.name())).unwrap_or_default();
    format!("container {}{runtime}", container.label())
}

/// A network namespace by its inode number and, where known, the name it had then.
pub(crate) fn netns_words(state: &State, netns: Netns, then: Timestamp) -> String {
    let names = state.names.namespace(netns, then).and_then(names_of);
    let words = names.map_or_else(|| netns.to_string(), |names| format!("{netns} ({names})"));
    match state.names.one_of_several(netns.node) {
        Some(node) => format!("{words} of {node}"),
        None => words,
    }
}

/// All names of a network namespace.
pub(crate) fn namespace_words(state: &State, netns: Netns, then: Timestamp) -> Vec<String> {
    let Some(namespace) = state.names.namespace(netns, then) else { return Vec::new() };
    let Namespace { is_of_node, name, process, pod, change: _ } = namespace;
    let mut words = Vec::new();
    words.extend(is_of_node.then(|| "the node's own".to_owned()));
    words.extend(name.as_ref().map(|name| format!("named {name}")));
    words.extend(pod.as_ref().map(|pod| format!("of pod {pod}")));
    let inside = |process: &Process| format!("{} (pid {}) is in it", process.command, process.id);
    words.extend(process.as_ref().map(inside));
    words
}

/// A network namespace without its node: its name or whose it is, the number where neither is known.
pub(crate) fn netns_name(state: &State, netns: Netns, then: Timestamp) -> String {
    state.names.namespace(netns, then).and_then(names_of).unwrap_or_else(|| netns.to_string())
}

/// The same in a column. Where there are several nodes, the node's name stands before it, or alone for the node itself.
pub(crate) fn netns_column(state: &State, netns: Netns, then: Timestamp) -> String {
    let namespace = state.names.namespace(netns, then);
    let words = netns_name(state, netns, then);
    match state.names.one_of_several(netns.node) {
        Some(node) if netns.inode == 0 || namespace.is_some_and(|namespace| namespace.is_of_node) => {
            node.to_string()
        }
        Some(node) => format!("{node}: {words}"),
        None => words,
    }
}

/// A pod tells more than the name a network plugin gave its namespace.
fn names_of(namespace: &Namespace) -> Option<String> {
    let Namespace { is_of_node, name, pod, change: _, process: _ } = namespace;
    let pod = pod.as_ref().filter(|pod| pod.is_named()).map(ToString::to_string);
    let name = || name.as_ref().map(ToString::to_string);
    pod.or_else(name).or_else(|| is_of_node.then(|| "node".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{namespace_words, netns_column, netns_words, owner_column, owner_words};
    use crate::{
        event::{
            Body, Change, Container, Event, Namespace, Netns, Pod, Process, RetransmitKind, Runtime, Text,
            Timestamp,
        },
        state::{FlowKey, State, fixture::retransmit},
    };

    fn apply(state: &mut State, netns: u32, body: Body) {
        state.apply(&Event {
            time: Timestamp { boot_ns: 1, wall_ns: 1 },
            netns: Netns::here(netns),
            cpu: 0,
            body,
        });
    }

    fn pod(name: &str) -> Pod {
        let (namespace, uid) = (Text::new(if name.is_empty() { "" } else { "shop" }), Text::new("3fa0"));
        Pod { namespace, name: Text::new(name), uid }
    }

    fn namespace(name: Option<&str>, pod: Option<Pod>, is_of_node: bool) -> Body {
        let name = name.map(Text::new);
        Body::Namespace(Arc::new(Namespace { change: Change::Present, is_of_node, name, process: None, pod }))
    }

    fn flow(state: &mut State, netns: u32, cgroup_id: Option<u64>) -> FlowKey {
        let mut told = retransmit(RetransmitKind::Syn, "10.0.0.1:4242", "10.0.0.2:80");
        told.process = Some(Process { id: 42, command: Text::new("nginx") });
        (told.cgroup_id, told.socket_inode) = (cgroup_id, Some(7));
        let key = FlowKey { netns: Netns::here(netns), endpoints: told.flow };
        apply(state, netns, Body::Retransmit(told));
        key
    }

    #[test]
    fn the_pod_is_told_before_the_container_and_that_before_the_process() {
        let container = |name: &str, pod| {
            Body::Container(Arc::new(Container {
                cgroup_id: Some(9),
                runtime: Some(Runtime::Crio),
                id: Text::new("0123456789abcdef"),
                name: Text::new(name),
                pod,
                ..Container::default()
            }))
        };
        for (told, column, words) in [
            (vec![], "nginx/42", "nginx (pid 42) · cgroup 9 · socket 7 · netns 5"),
            (
                vec![container("web", None)],
                "web",
                "nginx (pid 42) · container web (cri-o) · cgroup 9 · socket 7 · netns 5",
            ),
            (
                vec![container("", Some(pod("")))],
                "0123456789ab",
                "nginx (pid 42) · container 0123456789ab (cri-o) · pod 3fa0 · cgroup 9 · socket 7 · netns 5",
            ),
            (
                vec![
                    container("web", Some(pod("web-1"))),
                    namespace(Some("cni-1"), Some(pod("web-1")), false),
                ],
                "web-1",
                "nginx (pid 42) · container web (cri-o) · pod shop/web-1 · cgroup 9 · socket 7 · netns 5 (shop/web-1)",
            ),
        ] {
            let mut state = State::default();
            let key = flow(&mut state, 5, Some(9));
            for body in told {
                apply(&mut state, 5, body);
            }
            let flow = state.flows.get(&key).unwrap();
            assert_eq!(owner_column(&state, &key, flow).as_deref(), Some(column));
            assert_eq!(owner_words(&state, &key, flow).join(" · "), words);
        }
    }

    #[test]
    fn a_network_namespace_is_told_by_its_best_name() {
        let mut state = State::default();
        apply(&mut state, 1, namespace(None, None, true));
        apply(&mut state, 2, namespace(Some("blue"), None, false));
        apply(&mut state, 3, namespace(Some("cni-1"), Some(pod("web-1")), false));
        apply(&mut state, 4, namespace(None, Some(pod("")), false));
        let now = state.now();
        for (netns, column, words, all) in [
            (1, "node", "1 (node)", "the node's own"),
            (2, "blue", "2 (blue)", "named blue"),
            (3, "shop/web-1", "3 (shop/web-1)", "named cni-1 · of pod shop/web-1"),
            (4, "4", "4", "of pod 3fa0"),
            (5, "5", "5", ""),
        ] {
            let whole = namespace_words(&state, Netns::here(netns), now).join(" · ");
            assert_eq!(whole, all);
            assert_eq!(
                (
                    &*netns_column(&state, Netns::here(netns), now),
                    &*netns_words(&state, Netns::here(netns), now)
                ),
                (column, words)
            );
        }
    }

    #[test]
    fn of_several_nodes_each_is_named() {
        let mut state = State::default();
        for (node, name) in [(0, "edge-1"), (1, "edge-2")] {
            for body in [
                Body::Node { kernel: Text::new("6.12"), host: Text::new(name) },
                namespace(Some("blue"), None, false),
            ] {
                let time = Timestamp { boot_ns: 1, wall_ns: 1 };
                state.apply(&Event { time, netns: Netns { node, inode: 5 }, cpu: 0, body });
            }
            let now = state.now();
            let both = node == 1;
            for (inode, alone, among) in
                [(5, "blue", "edge-2: blue"), (6, "6", "edge-2: 6"), (0, "0", "edge-2")]
            {
                let told = netns_column(&state, Netns { node, inode }, now);
                assert_eq!(told, if both { among } else { alone });
            }
            let words = netns_words(&state, Netns { node, inode: 5 }, now);
            assert_eq!(words, if both { "5 (blue) of edge-2" } else { "5 (blue)" });
        }
    }
}
