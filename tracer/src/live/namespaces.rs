//! What the network namespaces in use are called, and whose they are.

use std::{collections::BTreeMap, path::PathBuf};

use tracer_common::record::{COMMAND_NAME_BYTES, NamespaceRecord, change};

use super::{
    containers::pod_lines,
    owners::command_name,
    watch::{Records, Watch},
};
use crate::{
    containers::Finder,
    event::{Pod, Text},
    namespaces::{Door, EnterError, Namespace},
};

/// Rounds after which a pod is looked for again while its name is missing, and how often.
const RETRY_ROUNDS: u8 = 2;
const RETRIES: u8 = 5;

/// Tells names of namespaces when they appear and when these change.
pub(super) struct NamespaceWatch {
    proc: PathBuf,
    finder: Finder,
    known: BTreeMap<u32, Known>,
    /// Whether the first round is over: what appears from then on is new.
    has_begun: bool,
}

/// A namespace as looked at last.
struct Known {
    name: Option<String>,
    processes: Vec<u32>,
    names: Names,
    rounds_to_retry: u8,
    retries: u8,
}

/// What is told of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    is_of_node: bool,
    name: Text,
    process_id: u32,
    command: [u8; COMMAND_NAME_BYTES],
    pod: Option<Pod>,
}

impl Names {
    /// Whether two namespaces have these names. One gets names and loses them, but does not change them for others.
    fn are_of_another_than(&self, other: &Self) -> bool {
        let differ = |one: &Text, other: &Text| !one.is_empty() && !other.is_empty() && one != other;
        let uid = |names: &Self| names.pod.as_ref().map(|pod| pod.uid.clone()).unwrap_or_default();
        differ(&self.name, &other.name) || differ(&uid(self), &uid(other))
    }
}

impl NamespaceWatch {
    pub(super) fn new(proc: PathBuf) -> Self {
        Self { finder: Finder::new(proc.clone()), proc, known: BTreeMap::new(), has_begun: false }
    }

    /// Finds the names. Of its processes the one that is a pod's counts, for others may have come in from outside; no pod
    /// owns the node's own namespace, though pods may use it.
    fn names(&self, namespace: &Namespace) -> Names {
        let is_of_node = namespace.is_of_node;
        let of_pod = (!is_of_node).then(|| {
            namespace.processes.iter().find_map(|&process_id| {
                let identity = self.finder.process(process_id)?;
                identity.pod_uid.is_some().then_some((process_id, identity))
            })
        });
        let of_pod = of_pod.flatten();
        let process_id = of_pod.as_ref().map(|(process_id, _)| process_id).or(namespace.processes.first());
        let process_id = process_id.copied().unwrap_or_default();
        Names {
            is_of_node,
            name: Text::new(namespace.name.as_deref().unwrap_or_default()),
            process_id,
            command: if process_id == 0 {
                Default::default()
            } else {
                command_name(&self.proc.join(process_id.to_string()))
            },
            pod: of_pod.and_then(|(_, identity)| self.finder.describe(&identity).pod),
        }
    }

    /// What is to be told of a namespace, in this order.
    fn look(&mut self, namespace: &Namespace) -> Vec<(u8, Names)> {
        let names = self.names(namespace);
        let before = self.known.get(&namespace.inode);
        let retries = before.map_or(RETRIES, |known| known.retries);
        let told = match before.map(|known| &known.names) {
            Some(before) if *before == names => vec![],
            // The kernel gave the number on within a round.
            Some(before) if before.are_of_another_than(&names) => {
                vec![(change::REMOVED, before.clone()), (change::ADDED, names.clone())]
            }
            Some(_) => vec![(change::REPLACED, names.clone())],
            None if self.has_begun => vec![(change::ADDED, names.clone())],
            None => vec![(change::PRESENT, names.clone())],
        };
        let known = Known {
            name: namespace.name.clone(),
            processes: namespace.processes.clone(),
            names,
            rounds_to_retry: RETRY_ROUNDS,
            retries,
        };
        self.known.insert(namespace.inode, known);
        told
    }

    fn tell(&mut self, namespace: &Namespace, records: &mut Records) {
        for (change, names) in self.look(namespace) {
            append(namespace.inode, change, &names, records);
        }
    }

    /// Whether it is another than last time, or a name is still to be found.
    fn is_due(&mut self, namespace: &Namespace) -> bool {
        let Some(known) = self.known.get_mut(&namespace.inode) else { return true };
        if known.name != namespace.name || known.processes != namespace.processes {
            known.retries = RETRIES;
            return true;
        }
        let is_missing = known.names.pod.as_ref().is_some_and(|pod| !pod.is_named());
        if !is_missing || known.retries == 0 {
            return false;
        }
        known.rounds_to_retry = known.rounds_to_retry.saturating_sub(1);
        let is_due = known.rounds_to_retry == 0;
        known.retries -= u8::from(is_due);
        is_due
    }
}

impl Watch for NamespaceWatch {
    fn appeared(&mut self, namespace: &Namespace, records: &mut Records) {
        self.tell(namespace, records);
    }

    fn sample(&mut self, namespace: &Namespace, records: &mut Records) {
        if self.is_due(namespace) {
            self.tell(namespace, records);
        }
    }

    fn vanished(&mut self, inode: u32, records: &mut Records) {
        if let Some(known) = self.known.remove(&inode) {
            append(inode, change::REMOVED, &known.names, records);
        }
    }

    fn went_round(&mut self, _door: &Door, _records: &mut Records) -> Result<(), EnterError> {
        self.has_begun = true;
        Ok(())
    }
}

fn append(netns: u32, change: u8, names: &Names, records: &mut Records) {
    let Names { is_of_node, name, process_id, command, pod } = names;
    let record = NamespaceRecord {
        process_id: *process_id,
        change,
        is_of_node: u8::from(*is_of_node),
        command: *command,
        ..NamespaceRecord::default()
    };
    records.append(netns, &record, format!("{name}\n{}", pod_lines(pod.as_ref())).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::NamespaceWatch;
    use crate::{containers::tests::Node, namespaces::Namespace};
    use tracer_common::record::change::{ADDED, PRESENT, REMOVED, REPLACED};

    fn namespace(name: Option<&str>, processes: &[u32]) -> Namespace {
        Namespace {
            inode: 5,
            path: "/nowhere".into(),
            name: name.map(ToOwned::to_owned),
            processes: processes.to_vec(),
            is_of_node: processes.contains(&1),
        }
    }

    /// What is told, as `change name pod`.
    fn told(watch: &mut NamespaceWatch, namespace: &Namespace) -> Vec<(u8, String)> {
        let told = watch.look(namespace).into_iter();
        let text = |pod: Option<crate::event::Pod>| pod.map(|pod| pod.to_string()).unwrap_or_default();
        told.map(|(change, names)| {
            (change, format!("{} {} {}", names.name, names.process_id, text(names.pod)))
        })
        .collect()
    }

    #[test]
    fn names_are_told_when_they_change() {
        let node = Node::lay_out("containerd-systemd-v2");
        let mut watch = NamespaceWatch::new(node.proc());
        let line = |change: u8, text: &str| (change, text.to_owned());
        // The process of a tool that came in before the pod's own does not count.
        let (empty, inhabited) = (namespace(Some("cni-1"), &[]), namespace(Some("cni-1"), &[700, 4_100]));
        assert_eq!(told(&mut watch, &empty), [line(PRESENT, "cni-1 0 ")]);
        assert!(!watch.is_due(&empty) && watch.is_due(&inhabited));
        assert_eq!(told(&mut watch, &inhabited), [line(REPLACED, "cni-1 4100 shop/web-6d4b75cb6d-w4b72")]);
        assert_eq!(told(&mut watch, &inhabited), []);
        let next = namespace(Some("cni-2"), &[]);
        assert_eq!(
            told(&mut watch, &next),
            [line(REMOVED, "cni-1 4100 shop/web-6d4b75cb6d-w4b72"), line(ADDED, "cni-2 0 ")]
        );
    }

    #[test]
    fn the_nodes_own_namespace_is_no_pods() {
        let node = Node::lay_out("containerd-systemd-v2");
        let mut watch = NamespaceWatch::new(node.proc());
        assert_eq!(told(&mut watch, &namespace(None, &[1, 4_100])), [(PRESENT, " 1 ".to_owned())]);
    }

    #[test]
    fn a_pod_without_a_name_is_looked_for_again_some_times() {
        let node = Node::lay_out("containerd-systemd-hybrid");
        let mut watch = NamespaceWatch::new(node.proc());
        let namespace = namespace(Some("cni-1"), &[4_400]);
        assert_eq!(told(&mut watch, &namespace).len(), 1);
        let mut looks = 0;
        for _ in 0..30 {
            if watch.is_due(&namespace) {
                looks += 1;
                assert_eq!(told(&mut watch, &namespace), []);
            }
        }
        assert_eq!(looks, super::RETRIES);
    }
}
