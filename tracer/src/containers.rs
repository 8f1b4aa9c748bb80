//! Whose a cgroup or a process is: container and pod, from files of this node alone.
//!
//! The path of a cgroup tells the ids; names are in the files of the runtime and of the kubelet. Only files are read:
//! no runtime and no API server is asked.

mod cgroup;
mod handle;
mod kubelet;
mod root;
mod runtimes;
#[cfg(test)]
pub(crate) mod tests;

use std::{fs, path::PathBuf};

use rustc_hash::FxHashMap;

pub(crate) use self::cgroup::Identity;
use self::{
    handle::Handles,
    root::{Hierarchies, Root},
};
use crate::event::{Container, Pod, Runtime, Text};

/// Finds whose cgroups and processes are.
#[derive(Debug)]
pub(crate) struct Finder {
    proc: PathBuf,
    root: Root,
    hierarchies: Hierarchies,
    handles: Option<Handles>,
}

/// What became of a question after one cgroup.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is a pod's or a container's.
    Found(Identity),
    /// It is neither's, or gone.
    Nobody,
    /// Only a walk through all cgroups can tell.
    Unanswered,
}

/// Names as one source tells them; empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    container: String,
    pod_namespace: String,
    pod_name: String,
    pod_uid: String,
    runtime: Option<Runtime>,
}

impl Finder {
    /// Of the node whose `/proc` this is.
    pub(crate) fn new(proc: PathBuf) -> Self {
        let (root, hierarchies) = (Root::new(&proc), Hierarchies::find(&proc));
        let unified = hierarchies.unified.as_ref();
        let handles = unified.and_then(|mount_point| Handles::open(&root.path(mount_point)));
        Self { proc, root, hierarchies, handles }
    }

    /// Whether a process may tell what its cgroup in the unified hierarchy does not.
    pub(crate) fn has_separate_hierarchies(&self) -> bool {
        self.hierarchies.has_separate
    }

    /// Whose the cgroup with that id is, at the cost of a system call or two.
    pub(crate) fn cgroup(&self, id: u64) -> Asked {
        match self.handles.as_ref().map(|handles| handles.path(id)) {
            Some(Ok(path)) => path.as_deref().and_then(cgroup::identity).map_or(Asked::Nobody, Asked::Found),
            Some(Err(_)) | None => Asked::Unanswered,
        }
    }

    /// All cgroups of the unified hierarchy that are a pod's or a container's, by their ids.
    pub(crate) fn cgroups(&self) -> FxHashMap<u64, Identity> {
        let mut found = FxHashMap::default();
        if let Some(mount_point) = &self.hierarchies.unified {
            self.root.visit_cgroups(mount_point, |id, path| {
                found.extend(cgroup::identity(path).map(|identity| (id, identity)));
            });
        }
        found
    }

    /// Whose a process is; `None` if neither a pod's nor a container's, or if it is gone.
    pub(crate) fn process(&self, process_id: u32) -> Option<Identity> {
        let lines = fs::read_to_string(self.proc.join(process_id.to_string()).join("cgroup")).ok()?;
        cgroup::identity_of_process(&lines)
    }

    /// What names the files of this node have for it; ids stay where there are none.
    pub(crate) fn describe(&self, identity: &Identity) -> Container {
        let Identity { pod_uid, container, runtime } = identity;
        let mut names =
            Names { pod_uid: pod_uid.clone().unwrap_or_default(), runtime: *runtime, ..Names::default() };
        if let Some(id) = container.as_deref().filter(|id| cgroup::is_id(id)) {
            names.add(runtimes::container(&self.root, id));
            if names.container.is_empty() {
                names.add(kubelet::container(&self.root, id));
            }
        }
        if names.pod_name.is_empty() && !names.pod_uid.is_empty() {
            names.add(kubelet::pod(&self.root, &names.pod_uid));
        }
        let Names { container: name, pod_namespace, pod_name, pod_uid, runtime } = names;
        let pod = Pod {
            namespace: Text::new(&pod_namespace),
            name: Text::new(&pod_name),
            uid: Text::new(&pod_uid),
        };
        Container {
            cgroup_id: None,
            process_id: None,
            runtime,
            id: Text::new(container.as_deref().unwrap_or_default()),
            name: Text::new(&name),
            pod: (pod != Pod::default()).then_some(pod),
        }
    }
}

impl Names {
    /// Takes from another source what is not known yet.
    fn add(&mut self, other: Option<Self>) {
        let Some(Self { container, pod_namespace, pod_name, pod_uid, runtime }) = other else { return };
        for (known, told) in [
            (&mut self.container, container),
            (&mut self.pod_namespace, pod_namespace),
            (&mut self.pod_name, pod_name),
            (&mut self.pod_uid, pod_uid),
        ] {
            if known.is_empty() {
                *known = told;
            }
        }
        self.runtime = self.runtime.or(runtime);
    }
}
