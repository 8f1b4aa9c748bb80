//! What a case needs of the machine, and whether it is there.

use std::{
    fs, io,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::{cgroup, command, layout::Layout, namespace::Namespace};

/// Something a machine may lack. Asked of the kernel itself, never of the program under test: where the kernel could
/// and the program does not, the case fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// nftables rules in every family used here.
    Nftables,
    /// The older half of iptables, and its tools.
    LegacyTables,
    /// The newer half of iptables: its tools, and the kernel's side of its matches.
    NftTables,
    /// Breakpoints at functions.
    FunctionHooks,
    /// Devices of type `dummy`.
    Dummy,
    /// Connection tracking.
    Conntrack,
    /// The unified hierarchy of cgroups.
    Cgroups,
    /// Questions to connection tracking.
    ConntrackNetlink,
    /// Rules that hand packets to programs.
    Queue,
    /// Queues at devices that let out so much in a time (`tbf`).
    TokenBucket,
    /// IPVS, with type information of the module, and `ipvsadm`.
    Ipvs,
    /// IPVS and `ipvsadm`, whether its types are described or not.
    Ipvsadm,
    /// IPVS as a module that can be unloaded.
    IpvsUnloadable,
    /// Terminals nobody looks at.
    Terminal,
    /// Wireshark without a window.
    Tshark,
    /// A processor that is not emulated.
    RealProcessor,
    /// SYNs that can be repeated every second (6.5).
    LinearSynTimeouts,
    /// A retransmit tracepoint that tells no failures (before 6.17).
    SilentFailures,
    /// A tracepoint for ICMP errors sent (6.11, and where that was brought to older kernels).
    IcmpTracepoint,
}

impl Need {
    /// Why it is missing here; `None` if it is there. May load kernel modules.
    ///
    /// The kernel is asked once, for a run has two hundred cases and asking takes a second in an emulated guest. IPVS it is
    /// asked for every time, because cases unload it.
    pub fn missing(self) -> Option<String> {
        static ANSWERS: Mutex<Vec<(Need, Option<String>)>> = Mutex::new(Vec::new());
        if matches!(self, Self::Ipvs | Self::Ipvsadm | Self::IpvsUnloadable) {
            return self.ask();
        }
        let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = answers.iter().find(|(need, _)| *need == self) {
            return answer.clone();
        }
        let answer = self.ask();
        answers.push((self, answer.clone()));
        answer
    }

    fn ask(self) -> Option<String> {
        match self {
            Self::Nftables => nftables_missing(),
            Self::LegacyTables => in_namespace("no tables of iptables", |namespace| {
                namespace.run("ip6tables-legacy", "--list")?;
                namespace.run("iptables-legacy", "-A INPUT -m comment --comment probe").map(drop)
            }),
            Self::NftTables => in_namespace("no tables of iptables-nft", |namespace| {
                namespace.run("iptables-nft", "-A INPUT -m comment --comment probe").map(drop)
            }),
            Self::FunctionHooks => (!Path::new("/sys/bus/event_source/devices/kprobe").exists())
                .then(|| "this kernel has no kprobes".to_owned()),
            Self::Dummy => {
                load("dummy");
                in_namespace("no dummy devices", |namespace| {
                    namespace.ip("link add probe type dummy").map(drop)
                })
            }
            Self::Conntrack => conntrack_missing(),
            Self::Cgroups => match cgroup::Cgroup::new("tracer-probe") {
                Ok(_) => None,
                Err(error) => Some(format!("no cgroups: {error:#}")),
            },
            Self::ConntrackNetlink => {
                load("nf_conntrack_netlink");
                in_namespace("conntrack does not answer questions", |namespace| {
                    namespace.run("conntrack", "--count").map(drop)
                })
            }
            Self::Ipvs => ipvsadm_missing().or_else(ipvs_types_missing),
            Self::Ipvsadm => ipvsadm_missing(),
            Self::Queue => queue_missing(),
            Self::TokenBucket => {
                load("sch_tbf");
                in_namespace("no queues of a rate", |namespace| {
                    namespace
                        .run("tc", "qdisc add dev lo root tbf rate 1kbit burst 2000 limit 100000")
                        .map(drop)
                })
            }
            Self::IpvsUnloadable => ipvs_fixed(),
            Self::Terminal => command::run("tmux", "-V").err().map(|error| format!("no tmux: {error:#}")),
            Self::Tshark => {
                command::run("tshark", "--version").err().map(|error| format!("no tshark: {error:#}"))
            }
            Self::RealProcessor => fs::read_to_string("/proc/cpuinfo")
                .is_ok_and(|text| text.contains("QEMU TCG"))
                .then(|| "an emulated processor is too slow".to_owned()),
            Self::LinearSynTimeouts => (!Path::new("/proc/sys/net/ipv4/tcp_syn_linear_timeouts").exists())
                .then(|| "this kernel has no net.ipv4.tcp_syn_linear_timeouts".to_owned()),
            Self::IcmpTracepoint => (!has_tracepoint("icmp_send"))
                .then(|| "this kernel has no tracepoint icmp:icmp_send".to_owned()),
            Self::SilentFailures => failures_told(),
        }
    }
}

fn nftables_missing() -> Option<String> {
    load("nft_numgen");
    load("nft_ct");
    in_namespace("no nftables", |namespace| {
        namespace.nft(
            "table netdev probe { chain in { type filter hook ingress device lo priority 0; \
             meta l4proto tcp numgen random mod 100 < 1 drop; }; }",
        )
    })
}

fn conntrack_missing() -> Option<String> {
    load("nf_conntrack");
    load("nft_ct");
    load("nft_chain_nat");
    in_namespace("no connection tracking", |namespace| namespace.proc_net("stat/nf_conntrack").map(drop))
}

fn queue_missing() -> Option<String> {
    load("nfnetlink_queue");
    load("nft_queue");
    in_namespace("no rules that queue", |namespace| {
        namespace.nft("table inet probe { chain in { type filter hook input priority 0; queue num 0; }; }")
    })
}

fn failures_told() -> Option<String> {
    match Layout::of_this_kernel() {
        Ok(layout) => layout
            .tells_errors
            .then(|| "this kernel's retransmit tracepoint tells failures itself".to_owned()),
        Err(error) => Some(format!("what the retransmit tracepoint tells is not known: {error:#}")),
    }
}

/// Whether the kernel's types name a tracepoint.
fn has_tracepoint(event: &str) -> bool {
    let name = format!("\0btf_trace_{event}\0");
    fs::read("/sys/kernel/btf/vmlinux")
        .is_ok_and(|types| types.windows(name.len()).any(|window| window == name.as_bytes()))
}

/// Tries something in a namespace of its own; `what` says what is missing if that fails.
fn in_namespace(what: &str, probe: impl FnOnce(&Namespace) -> anyhow::Result<()>) -> Option<String> {
    let probed = Namespace::new("probe").and_then(|namespace| probe(&namespace));
    probed.err().map(|error| format!("{what}: {error:#}"))
}

/// Loads a module. What is built in or absent is told apart by using it.
pub fn load(module: &str) {
    let _ = command::run("modprobe", &format!("--quiet {module}"));
}

fn ipvsadm_missing() -> Option<String> {
    load("ip_vs");
    load("ip_vs_rr");
    if !Path::new("/proc/net/ip_vs").exists() {
        return Some("this kernel has no IPVS".to_owned());
    }
    match Command::new("ipvsadm").arg("--version").output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("no ipvsadm".to_owned()),
        _ => None,
    }
}

fn ipvs_types_missing() -> Option<String> {
    (!Path::new("/sys/kernel/btf/ip_vs").exists())
        .then(|| "this kernel has no type information of the module ip_vs".to_owned())
}

fn ipvs_fixed() -> Option<String> {
    let loaded = || Path::new("/sys/module/ip_vs").exists();
    if !loaded() {
        return None;
    }
    unload_ipvs();
    loaded().then(|| "ip_vs is loaded and cannot be unloaded".to_owned())
}

/// Unloads IPVS where it is a module nobody uses. Namespaces that were just removed may hold it for a moment.
pub fn unload_ipvs() {
    // Failure is told by the module being there still.
    let _ = crate::wait::until_within(std::time::Duration::from_secs(5), "ip_vs to be unloaded", || {
        for module in ["ip_vs_rr", "ip_vs"] {
            let _ = command::run("modprobe", &format!("--quiet --remove {module}"));
        }
        Ok((!Path::new("/sys/module/ip_vs").exists()).then_some(()))
    });
}
