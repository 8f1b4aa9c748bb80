//! What the kubelet's directories of logs tell. Their names are made of names of Kubernetes, none of which has an
//! underscore.
//!
//! A pod's own directory below `/var/lib/kubelet/pods` is not asked: its name is the uid, and nothing in it is sure to
//! hold the pod's name.

use super::{Names, root::Root};

/// A directory for each pod, `<namespace>_<pod>_<uid>` (`BuildPodLogsDirectory`), there before its sandbox is.
const PODS: &str = "/var/log/pods";

/// A link for each container, `<pod>_<namespace>_<container>-<id>.log` (`logSymlink`), there once it runs. Longer names
/// are cut at their end, the id first.
const CONTAINERS: &str = "/var/log/containers";

/// Namespace and name of the pod with that uid.
pub(super) fn pod(root: &Root, uid: &str) -> Option<Names> {
    let name = root.names(PODS).find(|name| name.rsplit('_').next() == Some(uid))?;
    let [namespace, pod, uid] = three(&name)?;
    Some(Names {
        pod_namespace: namespace.to_owned(),
        pod_name: pod.to_owned(),
        pod_uid: uid.to_owned(),
        ..Names::default()
    })
}

/// Names of the container with that id, and of its pod.
pub(super) fn container(root: &Root, id: &str) -> Option<Names> {
    let end = format!("-{id}.log");
    let name = root.names(CONTAINERS).find(|name| name.ends_with(&end))?;
    let [pod, namespace, container] = three(name.strip_suffix(&end)?)?;
    Some(Names {
        pod_namespace: namespace.to_owned(),
        pod_name: pod.to_owned(),
        container: container.to_owned(),
        ..Names::default()
    })
}

/// Three parts separated by underscores, none empty.
fn three(name: &str) -> Option<[&str; 3]> {
    let mut parts = name.split('_').filter(|part| !part.is_empty());
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}
