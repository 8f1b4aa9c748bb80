//! Who is who: processes, containers, pods and network namespaces by the numbers events have of them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{bounded::Bounded, flows::Flow};
use crate::event::{
    Address, Body, Change, Container, Event, Namespace, Netns, Pod, Process, Retransmit, Text, Timestamp,
};

/// How many of each are remembered, if nothing else is asked for.
const SOCKETS: usize = 65_536;
const CONTAINERS: usize = 16_384;
const NAMESPACES: usize = 4_096;

/// Namespaces remembered of one address. Where more have it, it is nobody's in particular.
const HOLDERS: usize = 4;

/// What was told of names so far. Bounded: what was not heard of for longest goes first.
#[derive(Clone, Debug)]
pub struct Names {
    /// Host names by the node's number; few.
    nodes: BTreeMap<u16, Text>,
    /// Processes by the node and inode of their socket.
    processes: Bounded<(u16, u64), Process>,
    /// By node and the id of a cgroup.
    containers: Bounded<(u16, u64), Arc<Container>>,
    /// By node and process id, where no cgroup told.
    containers_of_processes: Bounded<(u16, u32), Arc<Container>>,
    namespaces: Bounded<Netns, Told>,
    /// Network namespaces that have or had an address.
    holders: Bounded<IpAddr, Vec<Netns>>,
}

/// What was told last of a network namespace of one inode number.
#[derive(Clone, Debug)]
struct Told {
    namespace: Arc<Namespace>,
    /// Before this the number was another's.
    since: Option<Timestamp>,
    /// From then on the number may be another's.
    until: Option<Timestamp>,
}

/// Who is behind a socket or an event, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ownership<'a> {
    /// The process that opened the socket, or holds it.
    pub process: Option<&'a Process>,
    /// The container the socket or its process belongs to.
    pub container: Option<&'a Container>,
    /// The pod of that container, or of the network namespace.
    pub pod: Option<&'a Pod>,
    /// Names of the network namespace.
    pub namespace: Option<&'a Namespace>,
    /// The host's name.
    pub node: Option<&'a Text>,
}

/// What a socket says about its owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Socket<'a> {
    /// The process a hook saw open it.
    pub process: Option<&'a Process>,
    /// Id of the cgroup it was made in.
    pub cgroup_id: Option<u64>,
    /// Its inode.
    pub inode: Option<u64>,
}

impl<'a> From<&'a Retransmit> for Socket<'a> {
    fn from(retransmit: &'a Retransmit) -> Self {
        let Retransmit { process, cgroup_id, socket_inode, .. } = retransmit;
        Self { process: process.as_ref(), cgroup_id: *cgroup_id, inode: *socket_inode }
    }
}

impl<'a> From<&'a Flow> for Socket<'a> {
    fn from(flow: &'a Flow) -> Self {
        let Flow { process, cgroup_id, socket_inode, .. } = flow;
        Self { process: process.as_deref(), cgroup_id: *cgroup_id, inode: *socket_inode }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new(SOCKETS, CONTAINERS, NAMESPACES)
    }
}

impl Names {
    /// At most that many sockets, containers, and network namespaces.
    pub fn new(sockets: usize, containers: usize, namespaces: usize) -> Self {
        Self {
            nodes: BTreeMap::new(),
            processes: Bounded::new(sockets),
            containers: Bounded::new(containers),
            containers_of_processes: Bounded::new(containers),
            namespaces: Bounded::new(namespaces),
            holders: Bounded::new(namespaces.saturating_mul(4)),
        }
    }

    /// Remembers what an event tells of names, if it does.
    pub fn take_in(&mut self, event: &Event) {
        match &event.body {
            Body::Node { host, .. } => {
                self.nodes.insert(event.netns.node, host.clone());
            }
            Body::Owner(owner) => {
                let socket = (event.netns.node, owner.socket_inode);
                *self.processes.touch(socket, || owner.process.clone()) = owner.process.clone();
            }
            Body::Container(container) => self.container(event.netns.node, container),
            Body::Namespace(namespace) => self.namespace_told(event.netns, event.time, namespace),
            Body::Address(address) => self.address(event.netns, address),
            _ => {}
        }
    }

    fn address(&mut self, netns: Netns, told: &Address) {
        if !leads_to_one(told.address) {
            return;
        }
        let holders = self.holders.touch(told.address, Vec::new);
        holders.retain(|&holder| holder != netns);
        if told.change != Change::Removed {
            holders.truncate(HOLDERS - 1);
            holders.insert(0, netns);
        }
    }

    fn container(&mut self, node: u16, container: &Arc<Container>) {
        let clone = || Arc::clone(container);
        if let Some(id) = container.cgroup_id {
            *self.containers.touch((node, id), clone) = clone();
        } else if let Some(id) = container.process_id {
            *self.containers_of_processes.touch((node, id), clone) = clone();
        }
    }

    fn namespace_told(&mut self, netns: Netns, time: Timestamp, namespace: &Arc<Namespace>) {
        let first = || Told { namespace: Arc::clone(namespace), since: None, until: None };
        let told = self.namespaces.touch(netns, first);
        if namespace.change == Change::Removed {
            // Its names stay true of what happened before.
            told.until = Some(time);
            return;
        }
        if told.until.is_some() {
            (told.since, told.until) = (Some(time), None);
        }
        told.namespace = Arc::clone(namespace);
    }

    /// The host's name of a node.
    pub fn node(&self, node: u16) -> Option<&Text> {
        self.nodes.get(&node).filter(|host| !host.is_empty())
    }

    /// The same, but only where there are several nodes to tell apart.
    pub fn one_of_several(&self, node: u16) -> Option<&Text> {
        self.node(node).filter(|_| self.nodes.len() > 1)
    }

    /// All nodes that told their names, by their numbers.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (u16, &Text)> {
        self.nodes.iter().map(|(&node, host)| (node, host))
    }

    /// Names of the network namespace that had that inode number then.
    pub fn namespace(&self, netns: Netns, then: Timestamp) -> Option<&Namespace> {
        let Told { namespace, since, until } = self.namespaces.get(&netns)?;
        let is_meant = since.is_none_or(|since| then >= since) && until.is_none_or(|until| then <= until);
        is_meant.then_some(&**namespace)
    }

    /// The process that opened a socket of a node, where a hook saw it, or the one that was found to hold it.
    pub fn process_of<'a>(&'a self, node: u16, socket: Socket<'a>) -> Option<&'a Process> {
        socket.process.or_else(|| self.processes.get(&(node, socket.inode?)))
    }

    /// Who is behind a socket in a network namespace, at some time.
    pub fn of_socket<'a>(&'a self, netns: Netns, then: Timestamp, socket: Socket<'a>) -> Ownership<'a> {
        let node = netns.node;
        let process = self.process_of(node, socket);
        let container = socket
            .cgroup_id
            .and_then(|id| self.containers.get(&(node, id)))
            .or_else(|| self.containers_of_processes.get(&(node, process?.id)))
            .map(|container| &**container);
        let namespace = self.namespace(netns, then);
        let pod = container
            .and_then(|container| container.pod.as_ref())
            .or_else(|| namespace.and_then(|namespace| namespace.pod.as_ref()));
        Ownership { process, container, pod, namespace, node: self.node(node) }
    }

    /// The pod that has an address at some time; `None` too if several have it, on networks of their own.
    pub fn pod_at(&self, address: IpAddr, then: Timestamp) -> Option<&Pod> {
        let holders = self.holders.get(&address)?.iter();
        let mut pods = holders.filter_map(|&netns| self.namespace(netns, then)?.pod.as_ref());
        let first = pods.next()?;
        pods.all(|other| other == first).then_some(first)
    }

    /// The namespaces that have an address, the one that got it last first.
    pub fn holders_of(&self, address: IpAddr) -> &[Netns] {
        self.holders.get(&address).map(Vec::as_slice).unwrap_or_default()
    }

    /// Since when the number of a namespace may be another's, if it was told to have ended.
    pub(super) fn ended_at(&self, netns: Netns) -> Option<Timestamp> {
        self.namespaces.get(&netns)?.until
    }

    /// Whether anything was told of a namespace of that number.
    pub(super) fn knows(&self, netns: Netns) -> bool {
        self.namespaces.get(&netns).is_some()
    }

    /// Whether a namespace was told to have ended.
    pub fn has_ended(&self, netns: Netns) -> bool {
        self.namespaces.get(&netns).is_some_and(|told| told.until.is_some())
    }

    /// Who is behind an event.
    pub fn of_event<'a>(&'a self, event: &'a Event) -> Ownership<'a> {
        let socket = match &event.body {
            Body::Retransmit(retransmit) => Socket::from(retransmit),
            Body::Undo(undo) => Socket { inode: undo.socket_inode, ..Socket::default() },
            _ => Socket::default(),
        };
        self.of_socket(event.netns, event.time, socket)
    }

    /// Bytes of the entries.
    pub(super) fn memory_bytes(&self) -> usize {
        self.processes.memory_bytes()
            + self.containers.memory_bytes()
            + self.containers_of_processes.memory_bytes()
            + self.namespaces.memory_bytes()
            + self.holders.memory_bytes()
    }

    /// Entries given up for newer ones.
    pub fn evicted(&self) -> u64 {
        self.processes.evicted()
            + self.containers.evicted()
            + self.containers_of_processes.evicted()
            + self.namespaces.evicted()
            + self.holders.evicted()
    }
}

/// Whether an address can be one pod's: every namespace has its own loopback and link-local ones.
fn leads_to_one(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Names, Socket};
    use crate::event::{
        Address, Body, Change, Container, Event, Namespace, Netns, Owner, Pod, Process, Text, Timestamp,
    };

    fn at(boot_ns: u64) -> Timestamp {
        Timestamp { boot_ns, wall_ns: 0 }
    }

    fn pod(name: &str) -> Pod {
        Pod { namespace: Text::new("default"), name: Text::new(name), uid: Text::new("u") }
    }

    fn told(names: &mut Names, time: u64, netns: u32, body: Body) {
        names.take_in(&Event { time: at(time), netns: Netns::here(netns), cpu: 0, body });
    }

    fn namespace(change: Change, name: &str) -> Body {
        Body::Namespace(Arc::new(Namespace {
            change,
            is_of_node: false,
            name: Some(Text::new(name)),
            process: None,
            pod: Some(pod(name)),
        }))
    }

    fn container(cgroup_id: Option<u64>, process_id: Option<u32>, name: &str) -> Body {
        Body::Container(Arc::new(Container {
            cgroup_id,
            process_id,
            id: Text::new("0123456789abcdef"),
            name: Text::new(name),
            pod: Some(pod("of-the-container")),
            ..Container::default()
        }))
    }

    #[test]
    fn an_inode_number_that_comes_back_is_another_namespace() {
        let mut names = Names::default();
        told(&mut names, 10, 7, namespace(Change::Present, "old"));
        told(&mut names, 20, 7, namespace(Change::Removed, "old"));
        let name = |names: &Names, time| {
            names
                .namespace(Netns::here(7), at(time))
                .and_then(|found| found.name.clone())
                .map(|name| name.to_string())
        };
        // What happened before it was told counts too.
        assert_eq!([5, 10, 20, 21].map(|time| name(&names, time).is_some()), [true, true, true, false]);
        told(&mut names, 30, 7, namespace(Change::Added, "new"));
        told(&mut names, 40, 7, namespace(Change::Replaced, "renamed"));
        let expected = [None, None, Some("renamed".to_owned()), Some("renamed".to_owned())];
        assert_eq!([10, 25, 30, 50].map(|time| name(&names, time)), expected);
    }

    #[test]
    fn a_pod_is_found_by_an_address_only_it_has() {
        let mut names = Names::default();
        for (netns, name) in [(7, "web"), (8, "db"), (9, "other")] {
            told(&mut names, 1, netns, namespace(Change::Present, name));
        }
        let address = |change, address: &str| {
            Body::Address(Address {
                change,
                address: address.parse().unwrap(),
                prefix_bits: 24,
                peer: None,
                device: None,
                interface_index: 2,
                flags: 0,
                scope: 0,
                is_found_later: false,
            })
        };
        for (netns, of) in [
            (7, "10.244.1.5"),
            (7, "127.0.0.1"),
            (8, "fd00::8"),
            (8, "fe80::1"),
            (9, "10.0.0.9"),
            (8, "10.0.0.9"),
            (6, "10.0.0.6"),
        ] {
            told(&mut names, 2, netns, address(Change::Present, of));
        }
        let found = |names: &Names, of: &str| {
            names.pod_at(of.parse().unwrap(), at(3)).map(|pod| pod.name.to_string())
        };
        for (of, expected) in [
            ("10.244.1.5", Some("web")),
            ("fd00::8", Some("db")),
            ("127.0.0.1", None),
            ("fe80::1", None),
            ("10.0.0.9", None),
            ("10.0.0.6", None),
            ("10.9.9.9", None),
        ] {
            assert_eq!(found(&names, of).as_deref(), expected, "{of}");
        }
        told(&mut names, 3, 9, address(Change::Removed, "10.0.0.9"));
        assert_eq!(found(&names, "10.0.0.9").as_deref(), Some("db"));
        // The address of a pod that is gone is the next one's.
        told(&mut names, 4, 7, namespace(Change::Removed, "web"));
        assert_eq!(names.pod_at("10.244.1.5".parse().unwrap(), at(5)), None);
    }

    #[test]
    fn the_cgroup_tells_before_the_process_and_that_before_the_namespace() {
        let mut names = Names::default();
        told(&mut names, 1, 7, namespace(Change::Present, "of-the-namespace"));
        told(&mut names, 1, 0, container(Some(50), None, "by-cgroup"));
        told(&mut names, 1, 0, container(None, Some(100), "by-process"));
        let process = Process { id: 100, command: Text::new("nginx") };
        told(&mut names, 1, 0, Body::Owner(Owner { socket_inode: 9, process: process.clone() }));
        let seen = Process { id: 200, command: Text::new("curl") };
        let by_cgroup = Socket { cgroup_id: Some(50), inode: Some(9), process: None };
        let by_process = Socket { cgroup_id: Some(51), ..by_cgroup };
        let by_hook = Socket { process: Some(&seen), ..by_process };
        let nobody = Socket::default();
        for (socket, netns, expected) in [
            (by_cgroup, 7, (Some("nginx"), Some("by-cgroup"), Some("of-the-container"))),
            (by_process, 7, (Some("nginx"), Some("by-process"), Some("of-the-container"))),
            (by_hook, 7, (Some("curl"), None, Some("of-the-namespace"))),
            (nobody, 7, (None, None, Some("of-the-namespace"))),
            (nobody, 8, (None, None, None)),
        ] {
            let found = names.of_socket(Netns::here(netns), at(2), socket);
            let texts = (
                found.process.map(|process| process.command.as_str()),
                found.container.map(Container::label),
                found.pod.map(|pod| pod.name.as_str()),
            );
            assert_eq!(texts, expected, "{socket:?}");
        }
    }

    #[test]
    fn equal_numbers_of_two_nodes_are_two() {
        let mut names = Names::default();
        for (node, name) in [(0, "here"), (1, "there")] {
            let process = Process { id: 1, command: Text::new(name) };
            for body in [
                Body::Owner(Owner { socket_inode: 5, process }),
                container(Some(9), None, name),
                namespace(Change::Present, name),
            ] {
                names.take_in(&Event { time: at(1), netns: Netns { node, inode: 7 }, cpu: 0, body });
            }
        }
        let socket = Socket { inode: Some(5), cgroup_id: Some(9), ..Socket::default() };
        for (node, name) in [(0, Some("here")), (1, Some("there")), (2, None)] {
            let found = names.of_socket(Netns { node, inode: 7 }, at(1), socket);
            assert_eq!(found.process.map(|process| process.command.as_str()), name);
            assert_eq!(found.container.map(Container::label), name);
            let namespace = found.namespace.and_then(|namespace| namespace.name.as_ref());
            assert_eq!(namespace.map(Text::as_str), name);
        }
    }

    #[test]
    fn no_table_outgrows_its_limit() {
        let mut names = Names::new(10, 10, 10);
        for number in 1..=30 {
            told(&mut names, 1, number, namespace(Change::Added, "x"));
            told(&mut names, 1, 0, container(Some(number.into()), None, "x"));
            told(&mut names, 1, 0, container(None, Some(number), "x"));
            let process = Process { id: 1, command: Text::new("x") };
            told(&mut names, 1, 0, Body::Owner(Owner { socket_inode: number.into(), process }));
        }
        assert_eq!(names.evicted(), 80);
        assert!(
            names.namespace(Netns::here(20), at(1)).is_none()
                && names.namespace(Netns::here(21), at(1)).is_some()
        );
    }
}
