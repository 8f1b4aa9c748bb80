//! What runtimes keep of each container in files of their own.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};

use super::{Names, root::Root};
use crate::event::Runtime;

/// Where containerd keeps its tasks: itself, and as a part of k3s and rke2, k0s and `MicroK8s`, or of Docker. Below
/// are its namespaces (`k8s.io`, `moby`, …), below these the containers by id.
const TASKS: [&str; 6] = [
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/k3s/containerd/io.containerd.runtime.v2.task",
    "/run/k0s/containerd/io.containerd.runtime.v2.task",
    "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task",
    "/run/containerd/io.containerd.runtime.v1.linux",
];

/// Where CRI-O and Podman keep containers, by id: those that run, and all.
const STORAGES: [&str; 2] =
    ["/run/containers/storage/overlay-containers", "/var/lib/containers/storage/overlay-containers"];

/// Where Docker keeps containers, by id.
const DOCKER: [&str; 2] = ["/var/lib/docker", "/var/snap/docker/common/var-lib-docker"];

/// What a runtime's files tell of the container with that id.
pub(super) fn container(root: &Root, id: &str) -> Option<Names> {
    task(root, id).or_else(|| storage(root, id)).or_else(|| docker(root, id))
}

/// A container as runtimes hand it to runc; only what is read of it.
#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

fn task(root: &Root, id: &str) -> Option<Names> {
    TASKS.into_iter().find_map(|tasks| {
        root.names(tasks).find_map(|namespace| {
            let bundle: Bundle = json(root, &format!("{tasks}/{namespace}/{id}/config.json"))?;
            let mut names = labelled(&bundle.annotations);
            // Docker has names of its own for its containers.
            if namespace == "moby" {
                names = docker(root, id).unwrap_or_default();
            }
            names.runtime = names.runtime.or(Some(Runtime::Containerd));
            Some(names)
        })
    })
}

fn storage(root: &Root, id: &str) -> Option<Names> {
    /// A row of Podman's list of containers.
    #[derive(Deserialize)]
    struct Stored {
        id: String,
        #[serde(default)]
        names: Vec<String>,
    }

    let read = |storage| json::<Bundle>(root, &format!("{storage}/{id}/userdata/config.json"));
    let (storage, bundle) = STORAGES.into_iter().find_map(|storage| Some((storage, read(storage)?)))?;
    let mut names = labelled(&bundle.annotations);
    names.runtime = match bundle.annotations.get("io.container.manager").map(String::as_str) {
        Some("cri-o") => Some(Runtime::Crio),
        Some("libpod") => Some(Runtime::Podman),
        _ => None,
    };
    if names.runtime == Some(Runtime::Podman) && names.container.is_empty() {
        let lists = [storage, STORAGES[1]].map(|storage| format!("{storage}/containers.json"));
        let mut stored = lists.iter().filter_map(|list| json::<Vec<Stored>>(root, list)).flatten();
        let name = stored.find(|stored| stored.id == id).and_then(|stored| stored.names.into_iter().next());
        names.container = name.unwrap_or_default();
    }
    Some(names)
}

fn docker(root: &Root, id: &str) -> Option<Names> {
    /// Docker's file about a container; only what is read of it.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Stored {
        name: String,
        config: Config,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        labels: Option<HashMap<String, String>>,
    }
    /// Docker's settings.
    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "data-root")]
        data_root: Option<String>,
    }

    let settings: Option<Settings> = json(root, "/etc/docker/daemon.json");
    let moved = settings.and_then(|settings| settings.data_root);
    let stored = moved
        .as_deref()
        .into_iter()
        .chain(DOCKER)
        .find_map(|data| json::<Stored>(root, &format!("{data}/containers/{id}/config.v2.json")))?;
    let mut names = labelled(&stored.config.labels.unwrap_or_default());
    names.runtime = Some(Runtime::Docker);
    // In a pod, the name is made of what the labels say.
    if names.pod_name.is_empty() {
        stored.name.trim_start_matches('/').clone_into(&mut names.container);
    }
    Some(names)
}

/// Names by annotations of containerd, of CRI-O and of nerdctl, or by the kubelet's labels.
fn labelled(labels: &HashMap<String, String>) -> Names {
    let first = |keys: &[&str]| keys.iter().find_map(|key| labels.get(*key)).cloned().unwrap_or_default();
    let mut names = Names {
        container: first(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "nerdctl/name",
        ]),
        pod_namespace: first(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
        pod_name: first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        pod_uid: first(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
        runtime: None,
    };
    let kind = first(&[
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri-o.ContainerType",
        "io.kubernetes.docker.type",
    ]);
    // What holds the pod's namespaces is in no pod's specification and has no name there.
    if matches!(kind.as_str(), "sandbox" | "podsandbox") {
        names.container.clear();
    }
    names
}

/// A file's contents; `None` if it cannot be read, or is not what it should be.
fn json<T: DeserializeOwned>(root: &Root, path: &str) -> Option<T> {
    serde_json::from_str(&root.text(path)?).ok()
}
