//! Names: network namespaces, containers and pods. Truth: what this process made, and the ids the kernel gave it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
};

use anyhow::{Context, Result};

use super::{Case, Setting};
use crate::{
    cgroup::Cgroup,
    namespace::Namespace,
    need::Need,
    topology::{Family, NEAR, NOBODY, Pair},
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "names-container",
        proves: "a socket made in a pod's cgroup is told with container and pod, one made outside is not; filters know",
        needs: &[Need::Cgroups],
        run: container,
    },
    Case {
        name: "names-namespace",
        proves: "namespaces are told by name and by their pod, also those that appear later",
        needs: &[Need::Cgroups],
        run: namespace,
    },
];

/// A file, and the directories made for it; all removed when dropped.
struct Placed {
    path: PathBuf,
    /// The deepest first.
    made: Vec<PathBuf>,
}

impl Placed {
    fn new(path: &str, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<Self> {
        let path = PathBuf::from(path);
        let missing =
            path.ancestors().skip(1).take_while(|directory| !directory.exists()).map(Path::to_owned);
        let placed = Self { made: missing.collect(), path };
        if let Some(directory) = placed.path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        }
        make(&placed.path).with_context(|| format!("make {}", placed.path.display()))?;
        Ok(placed)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        for directory in &self.made {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// A container of a pod, as the kubelet and containerd leave it behind.
struct Pod {
    uid: String,
    /// Namespace and name.
    name: String,
    id: String,
    cgroup: Cgroup,
    _files: Vec<Placed>,
}

/// Who tells the names of a container.
#[derive(Clone, Copy)]
enum Source {
    Runtime,
    Kubelet,
}

impl Pod {
    fn new(name: &str, number: u32, source: Source) -> Result<Self> {
        let own = process::id();
        let uid = format!("{own:08x}-0000-4000-8000-{number:012x}");
        let id = format!("{own:032x}{number:032x}");
        let slice = format!("kubepods-besteffort-pod{}.slice", uid.replace('-', "_"));
        let cgroup = Cgroup::new(&format!(
            "kubepods.slice/kubepods-besteffort.slice/{slice}/cri-containerd-{id}.scope"
        ))?;
        let bundle = format!(
            r#"{{"ociVersion":"1.1.0","annotations":{{
                "io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"web",
                "io.kubernetes.cri.sandbox-name":"{name}","io.kubernetes.cri.sandbox-namespace":"shop",
                "io.kubernetes.cri.sandbox-uid":"{uid}"}}}}"#
        );
        let logs = format!("/var/log/pods/shop_{name}_{uid}/web/0.log");
        let files = match source {
            Source::Runtime => vec![Placed::new(
                &format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
                |path| fs::write(path, &bundle),
            )?],
            Source::Kubelet => vec![
                Placed::new(&logs, |path| fs::write(path, ""))?,
                Placed::new(&format!("/var/log/containers/{name}_shop_web-{id}.log"), |path| {
                    symlink(&logs, path)
                })?,
            ],
        };
        Ok(Self { uid, name: format!("shop/{name}"), id, cgroup, _files: files })
    }
}

fn container(setting: &Setting) -> Result<()> {
    const OUTSIDE: u16 = 41_000;
    let pair = Pair::new()?;
    let pods = [Pod::new("runtime-1", 1, Source::Runtime)?, Pod::new("kubelet-1", 2, Source::Kubelet)?];
    let tracer = setting.trace(&[])?;
    let filtered = setting.trace(&["--filter", "pod shop/kube* and container web"])?;
    let dial = |port| traffic::dial(&pair.near, Family::V4.at(NEAR, port), Family::V4.at(NOBODY, 80));
    let outside = dial(OUTSIDE)?;
    let mut dialling = vec![outside];
    for (pod, port) in pods.iter().zip(OUTSIDE + 1..) {
        dialling.push(pod.cgroup.within(|| dial(port))?);
    }
    for running in [&tracer, &filtered] {
        running.wait_for("SYNs repeated twice", |events| {
            events.of("retransmit", &pair.near).with("sport", OUTSIDE + 2).count() >= 2
        })?;
    }
    tracer.wait_for("SYNs from outside", |events| {
        events.of("retransmit", &pair.near).with("sport", OUTSIDE).count() >= 1
    })?;
    drop(dialling);
    let (run, only) = (tracer.stop()?, filtered.stop()?);

    for (pod, port) in pods.iter().zip(OUTSIDE + 1..) {
        run.events
            .of("retransmit", &pair.near)
            .with("sport", port)
            .at_least(1)?
            .all_have("cgroup", pod.cgroup.id()?)?
            .all_have("container", "web")?
            .all_have("container_id", pod.id.as_str())?
            .all_have("pod", pod.name.as_str())?
            .all_have("pod_uid", pod.uid.as_str())?
            .all_have("pid", process::id())?;
    }
    let outside = run.events.of("retransmit", &pair.near).with("sport", OUTSIDE);
    for field in ["container", "container_id", "pod", "pod_uid"] {
        outside.at_least(1)?.none_have(field)?;
    }
    only.events.of("retransmit", &pair.near).all_have("pod", pods[1].name.as_str())?;
    Ok(())
}

fn namespace(setting: &Setting) -> Result<()> {
    let early = Pair::new()?;
    let tracer = setting.trace(&[])?;
    let late = Pair::new()?;
    let pod = Pod::new("late-1", 3, Source::Kubelet)?;
    let _pause = Pause::start(&late.near, &pod)?;
    let mut dialling = Vec::new();
    for near in [&early.near, &late.near] {
        dialling.push(traffic::dial(near, Family::V4.at(NEAR, 41_010), Family::V4.at(NOBODY, 80))?);
    }
    // The namespace's owner is known once the processes were asked for their namespaces.
    tracer.wait_for("the pod of the namespace", |events| {
        !events.of("retransmit", &late.near).with("pod", pod.name.as_str()).is_empty()
            && !events.of("retransmit", &early.near).is_empty()
    })?;
    drop(dialling);
    let run = tracer.stop()?;
    let in_early = run.events.of("retransmit", &early.near);
    in_early.at_least(1)?.all_have("netns_name", early.near.name())?.none_have("pod")?;
    let named = run.events.of("retransmit", &late.near).with("pod", pod.name.as_str());
    // The socket is not the container's: this process made it.
    named
        .all_have("netns_name", late.near.name())?
        .all_have("pod_uid", pod.uid.as_str())?
        .none_have("container")?;
    Ok(())
}

/// A process of a pod in a network namespace, until it is dropped.
struct Pause(Child);

impl Pause {
    fn start(namespace: &Namespace, pod: &Pod) -> Result<Self> {
        let child = namespace
            .enter(|| Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().context("start sleep"))?;
        let pause = Self(child);
        pod.cgroup.take(pause.0.id())?;
        Ok(pause)
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
