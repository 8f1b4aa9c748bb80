//! What the path of a cgroup tells: the pod's uid and the container's id, as runtimes and the kubelet write them.
//!
//! With the systemd driver a container is a scope in the slice of its pod, with the cgroupfs driver a directory in that
//! of its pod; both are the same in hierarchies of version 1 and 2:
//!
//! ```text
//! /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
//! /kubepods/burstable/pod<uid>/<id>
//! ```
//!
//! A container may have cgroups of its own below, and containers may hold whole nodes, so names around these count for
//! nothing.

use crate::event::Runtime;

/// Digits of a container's id.
const ID_DIGITS: usize = 64;

/// Prefixes of the ids of containers, and what runs those. Without one, the id may be anybody's.
const PREFIXES: &[(&str, Option<Runtime>)] = &[
    ("cri-containerd-", Some(Runtime::Containerd)),
    ("crio-", Some(Runtime::Crio)),
    ("docker-", Some(Runtime::Docker)),
    ("libpod-", Some(Runtime::Podman)),
    ("nerdctl-", Some(Runtime::Containerd)),
    ("", None),
];

/// Prefixes of the directories of LXC's containers, which have names and no ids.
const LXC: &str = "lxc.payload.";

/// Whose a cgroup is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// The uid of the pod, with dashes where it has any.
    pub(crate) pod_uid: Option<String>,
    /// The id of the container: of its pod, or of its own.
    pub(crate) container: Option<String>,
    /// What runs it, where the path tells.
    pub(crate) runtime: Option<Runtime>,
}

/// Whose the cgroup of that path is; `None` if neither a pod's nor a container's.
pub(crate) fn identity(path: &str) -> Option<Identity> {
    // runc with the cgroupfs driver makes a directory of what was meant for systemd: slice, prefix and id with colons.
    let mut parts = path.split(['/', ':']).filter(|part| !part.is_empty()).peekable();
    let mut found = Identity::default();
    while let Some(part) = parts.next() {
        if let Some(uid) = pod_uid(part) {
            if found.pod_uid.is_some() {
                // A node within a container of a pod: its pods are not this node's.
                break;
            }
            // What was found before is a container this whole node runs in.
            found = Identity { pod_uid: Some(uid), ..Identity::default() };
        } else if found.container.is_none() {
            // `docker/<id>`, and with colons `cri-containerd:<id>`.
            let runtime = parts.peek().filter(|next| is_id(next)).and_then(|_| runtime_of(part));
            if runtime.is_some() {
                (found.container, found.runtime) = (parts.next().map(ToOwned::to_owned), runtime);
            } else if let Some((id, runtime)) = container(part) {
                (found.container, found.runtime) = (Some(id.to_owned()), runtime);
            }
        }
    }
    (found != Identity::default()).then_some(found)
}

/// Whose a process is, by its `/proc/PID/cgroup`: a line for each hierarchy, number, controllers and path. Where
/// hierarchies tell different things, the one that tells most counts.
pub(crate) fn identity_of_process(lines: &str) -> Option<Identity> {
    lines
        .lines()
        .filter_map(|line| identity(line.splitn(3, ':').nth(2)?))
        .max_by_key(|found| (found.pod_uid.is_some(), found.container.is_some()))
}

fn runtime_of(part: &str) -> Option<Runtime> {
    PREFIXES
        .iter()
        .find(|(prefix, _)| prefix.strip_suffix('-') == Some(part))
        .and_then(|(_, runtime)| *runtime)
}

/// The uid in `kubepods-burstable-pod<uid>.slice` or `pod<uid>`. systemd takes dashes for levels, so slices have
/// underscores in their place. The uid of a static pod is a hash without either.
fn pod_uid(part: &str) -> Option<String> {
    const HASH_DIGITS: usize = 32;
    const UID_CHARACTERS: usize = 36;
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let start = if name.starts_with("pod") { 0 } else { name.rfind("-pod")? + 1 };
    let uid = name.get(start + "pod".len()..)?.replace('_', "-");
    let is_hash = uid.len() == HASH_DIGITS && uid.bytes().all(is_digit);
    let is_uid = uid.len() == UID_CHARACTERS
        && uid.bytes().enumerate().all(|(place, byte)| {
            if matches!(place, 8 | 13 | 18 | 23) { byte == b'-' } else { is_digit(byte) }
        });
    (is_hash || is_uid).then_some(uid)
}

/// The id in `cri-containerd-<id>.scope`, `crio-<id>` or `<id>`, or the name of a container of LXC.
fn container(part: &str) -> Option<(&str, Option<Runtime>)> {
    if let Some(name) = part.strip_prefix(LXC).filter(|name| !name.is_empty()) {
        return Some((name, Some(Runtime::Lxc)));
    }
    let name = part.strip_suffix(".scope").unwrap_or(part);
    PREFIXES.iter().find_map(|&(prefix, runtime)| {
        name.strip_prefix(prefix).filter(|id| is_id(id)).map(|id| (id, runtime))
    })
}

/// Whether it is a container's id, which names files of its runtime.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Identity, identity, identity_of_process};
    use crate::event::Runtime;

    const UID: &str = "3fa0c1d2-7b1e-4c55-9a0e-0d6c5b4a3f21";
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    const HASH: &str = "d1aa5b6e9a7be7f1fbd6ac0b3f0f1c5e";

    /// A path with its short hands written out.
    fn written(path: &str) -> String {
        path.replace("UNDERSCORED", &UID.replace('-', "_"))
            .replace("UID", UID)
            .replace("OTHER", OTHER)
            .replace("ID", ID)
            .replace("HASH", HASH)
    }

    fn found(pod_uid: Option<&str>, container: Option<&str>, runtime: Option<Runtime>) -> Identity {
        let owned = |text: &str| text.to_owned();
        Identity { pod_uid: pod_uid.map(owned), container: container.map(owned), runtime }
    }

    #[test]
    fn paths_tell_pod_and_container() {
        use Runtime::{Containerd, Crio, Docker, Lxc, Podman};
        let pod = |runtime| Some(found(Some(UID), Some(ID), runtime));
        let alone = |runtime| Some(found(None, Some(ID), Some(runtime)));
        let slice = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDERSCORED.slice";
        let table = [
            (format!("{slice}/cri-containerd-ID.scope"), pod(Some(Containerd))),
            (format!("{slice}/crio-ID.scope"), pod(Some(Crio))),
            (format!("{slice}/crio-ID.scope/container"), pod(Some(Crio))),
            (format!("{slice}/docker-ID.scope"), pod(Some(Docker))),
            (format!("{slice}/cri-containerd-ID.scope/system.slice/nginx.service"), pod(Some(Containerd))),
            (format!("{slice}/crio-conmon-ID.scope"), Some(found(Some(UID), None, None))),
            (slice.to_owned(), Some(found(Some(UID), None, None))),
            ("/kubepods.slice/kubepods-podUNDERSCORED.slice/crio-ID.scope".to_owned(), pod(Some(Crio))),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUNDERSCORED.slice/cri-containerd-ID.scope"
                    .to_owned(),
                pod(Some(Containerd)),
            ),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podHASH.slice/cri-containerd-ID.scope"
                    .to_owned(),
                Some(found(Some(HASH), Some(ID), Some(Containerd))),
            ),
            ("/kubepods/burstable/podUID/ID".to_owned(), pod(None)),
            ("/kubepods/podUID/ID".to_owned(), pod(None)),
            ("/kubepods/besteffort/podUID/crio-ID".to_owned(), pod(Some(Crio))),
            ("/kubepods/podHASH/ID".to_owned(), Some(found(Some(HASH), Some(ID), None))),
            ("/system.slice/containerd.service/kubepods-burstable-podUNDERSCORED.slice:cri-containerd:ID".to_owned(),
                pod(Some(Containerd))),
            ("/../../kubepods-burstable-podUNDERSCORED.slice/cri-containerd-ID.scope".to_owned(), pod(Some(Containerd))),
            // A node that runs in a container, as kind's do, seen from outside.
            (
                "/system.slice/docker-OTHER.scope/kubelet/kubepods/burstable/podUID/ID".to_owned(),
                pod(None),
            ),
            // A container within a container of a pod.
            (format!("{slice}/cri-containerd-ID.scope/docker/OTHER"), pod(Some(Containerd))),
            (format!("{slice}/cri-containerd-ID.scope/kubepods/podHASH/OTHER"), pod(Some(Containerd))),
            ("/docker/ID".to_owned(), alone(Docker)),
            ("/system.slice/docker-ID.scope".to_owned(), alone(Docker)),
            ("/machine.slice/libpod-ID.scope/container".to_owned(), alone(Podman)),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope".to_owned(),
                alone(Podman),
            ),
            ("/system.slice/nerdctl-ID.scope".to_owned(), alone(Containerd)),
            ("/default/ID".to_owned(), Some(found(None, Some(ID), None))),
            ("/lxc.payload.web".to_owned(), Some(found(None, Some("web"), Some(Lxc)))),
        ];
        for (path, expected) in table {
            assert_eq!(identity(&written(&path)), expected, "{path}");
        }
    }

    #[test]
    fn other_paths_tell_nothing() {
        for path in [
            "/",
            "",
            "/init.scope",
            "/system.slice/nginx.service",
            "/system.slice/containerd.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/system.slice/docker-abc.scope",
            "/kubepods.slice/kubepods-burstable.slice",
            "/kubepods/podsomething",
            "/kubepods/podUID0",
            "/user.slice/user-1000.slice/session-2.scope",
        ] {
            assert_eq!(identity(&written(path)), None, "{path}");
        }
    }

    #[test]
    fn of_a_process_the_hierarchy_that_tells_most_counts() {
        let pod = Some(found(Some(UID), Some(ID), Some(Runtime::Containerd)));
        let slice = "kubepods-burstable-podUNDERSCORED.slice";
        for (name, lines, expected) in [
            ("version 2", format!("0::/kubepods.slice/{slice}/cri-containerd-ID.scope\n"), pod.clone()),
            (
                "version 1",
                format!(
                    "12:memory:/kubepods.slice/{slice}/cri-containerd-ID.scope\n\
                     1:name=systemd:/kubepods.slice/{slice}/cri-containerd-ID.scope\n"
                ),
                pod.clone(),
            ),
            (
                "both",
                format!("4:cpu,cpuacct:/\n3:pids:/kubepods.slice/{slice}/cri-containerd-ID.scope\n0::/\n"),
                pod,
            ),
            (
                "colons",
                "0::/kubepods-podUNDERSCORED.slice:crio:ID\n".to_owned(),
                Some(found(Some(UID), Some(ID), Some(Runtime::Crio))),
            ),
            ("neither", "0::/system.slice/ssh.service\n".to_owned(), None),
            ("nothing", String::new(), None),
        ] {
            assert_eq!(identity_of_process(&written(&lines)), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_path_tells_can_name_a_file(
            path in prop_oneof![any::<String>(), "(/|:|\\.\\.|pod|-|cri-|[0-9a-f]{32}|[0-9a-f]{64}|\\.slice|\\.scope|lxc\\.payload\\.|\\PC){0,12}"]
        ) {
            let Some(found) = identity(&path) else { return Ok(()) };
            for text in [found.pod_uid, found.container].into_iter().flatten() {
                prop_assert!(!text.is_empty() && !text.contains('/'));
            }
        }
    }
}
