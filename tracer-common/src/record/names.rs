//! Names found in user space: of network namespaces, containers and pods.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{COMMAND_NAME_BYTES, RecordHeader};

/// What is known of a network namespace, the header's. The name it was given as a file (`ip netns`) and the namespace,
/// name and uid of the pod whose it is follow as UTF-8 text, separated by line feeds, to the end of the record, padded
/// with zeros; what is not known is empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NamespaceRecord {
    /// Kind [`Namespace`](super::RecordKind::Namespace).
    pub header: RecordHeader,
    /// A process in it, of its pod where it has one; 0 if none was found.
    pub process_id: u32,
    /// One of [`change`](super::change); its inode number may come back as another namespace once it is removed.
    pub change: u8,
    /// 1 for the namespace of the node's first process.
    pub is_of_node: u8,
    /// Zero, for later.
    pub reserved: [u8; 2],
    /// That process's command name.
    pub command: [u8; COMMAND_NAME_BYTES],
}

const _: () = assert!(size_of::<NamespaceRecord>() == 48);

/// The container and pod a cgroup belongs to, or where no cgroup tells, a process. The container's id and name, and the
/// pod's namespace, name and uid follow as UTF-8 text, separated by line feeds, to the end of the record, padded with
/// zeros; what is not known is empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ContainerRecord {
    /// Kind [`Container`](super::RecordKind::Container).
    pub header: RecordHeader,
    /// Id of the cgroup in the unified hierarchy; 0 if it is known by its process.
    pub cgroup_id: u64,
    /// The process, where `cgroup_id` is 0.
    pub process_id: u32,
    /// One of [`container_runtime`].
    pub runtime: u8,
    /// Zero, for later.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<ContainerRecord>() == 40);

/// What runs containers.
pub mod container_runtime {
    /// Not known.
    pub const UNKNOWN: u8 = 0;
    /// containerd.
    pub const CONTAINERD: u8 = 1;
    /// CRI-O.
    pub const CRIO: u8 = 2;
    /// Docker.
    pub const DOCKER: u8 = 3;
    /// Podman.
    pub const PODMAN: u8 = 4;
    /// LXC.
    pub const LXC: u8 = 5;
}
