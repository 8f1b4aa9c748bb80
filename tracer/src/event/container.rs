//! Containers and pods.

use std::fmt;

use tracer_common::record::{ContainerRecord, container_runtime};

use super::Text;

/// Characters of a container's id that people use; the whole has 64.
const SHORT_ID: usize = 12;

/// A pod. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pod {
    /// The namespace of Kubernetes it is in.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Its uid; of a static pod the hash of its manifest.
    pub uid: Text,
}

impl Pod {
    /// By the three lines that records have of it; `None` if all are empty.
    pub(super) fn from_lines(mut line: impl FnMut() -> Text) -> Option<Self> {
        let pod = Self { namespace: line(), name: line(), uid: line() };
        (pod != Self::default()).then_some(pod)
    }

    /// Whether it is known by name, and not by its uid alone.
    pub fn is_named(&self) -> bool {
        !self.name.is_empty()
    }
}

impl fmt::Display for Pod {
    /// `kube-system/coredns-7f`, or its uid where no name is known.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, uid } = self;
        match (name.is_empty(), namespace.is_empty()) {
            (true, _) => formatter.pad(uid.as_str()),
            (false, true) => formatter.pad(name.as_str()),
            (false, false) => formatter.pad(&format!("{namespace}/{name}")),
        }
    }
}

/// What runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// containerd.
    Containerd,
    /// CRI-O.
    Crio,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// LXC.
    Lxc,
}

impl Runtime {
    /// All of them, each with its number in records.
    const NUMBERS: [(Self, u8); 5] = [
        (Self::Containerd, container_runtime::CONTAINERD),
        (Self::Crio, container_runtime::CRIO),
        (Self::Docker, container_runtime::DOCKER),
        (Self::Podman, container_runtime::PODMAN),
        (Self::Lxc, container_runtime::LXC),
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::NUMBERS.into_iter().find(|&(_, known)| known == number).map(|(runtime, _)| runtime)
    }

    /// Its number in records.
    pub(crate) fn number(runtime: Option<Self>) -> u8 {
        Self::NUMBERS
            .into_iter()
            .find(|&(known, _)| Some(known) == runtime)
            .map_or(container_runtime::UNKNOWN, |(_, number)| number)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
        }
    }
}

/// Found in user space: the container and pod that a cgroup, or a process, belongs to. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Id of the cgroup, where a cgroup told.
    pub cgroup_id: Option<u64>,
    /// The process, where a process told.
    pub process_id: Option<u32>,
    /// What runs it.
    pub runtime: Option<Runtime>,
    /// Its id. Empty for a cgroup of a pod that is no container's.
    pub id: Text,
    /// Its name: in a pod the one of the pod's specification.
    pub name: Text,
    /// The pod it is part of.
    pub pod: Option<Pod>,
}

impl Container {
    /// From the record and the text behind it.
    pub(crate) fn from_record(record: &ContainerRecord, text: &[u8]) -> Self {
        let mut lines = text.split(|&byte| byte == b'\n').map(Text::from_bytes);
        let mut line = || lines.next().unwrap_or_default();
        Self {
            cgroup_id: (record.cgroup_id != 0).then_some(record.cgroup_id),
            process_id: (record.process_id != 0).then_some(record.process_id),
            runtime: Runtime::from_number(record.runtime),
            id: line(),
            name: line(),
            pod: Pod::from_lines(line),
        }
    }

    /// What people call it: its name, or the beginning of its id. Empty for a cgroup that is no container's.
    pub fn label(&self) -> &str {
        let id = self.id.as_str();
        if self.name.is_empty() { id.get(..SHORT_ID).unwrap_or(id) } else { self.name.as_str() }
    }
}
