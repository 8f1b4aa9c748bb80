//! `cargo xtask facts`: saves what tracer's tests need to know of a kernel's types.
//!
//! A kernel's own description is some five megabytes; reduced to the types tracer reads it is some ten kilobytes, so
//! that the tests can hold several kernels.

mod btf;
mod extract;
mod reduce;

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use tracer_common::offsets::{Object, Offsets};

use reduce::{Kernel, Roots};

/// The modules tracer reads types of.
const MODULES: [&str; 2] = ["ip_vs", "nf_conntrack"];

/// The tracepoints tracer hooks, or asks about.
const TRACEPOINTS: [&str; 8] = [
    "icmp_send",
    "inet_sock_set_state",
    "kfree_skb",
    "neigh_timer_handler",
    "neigh_update",
    "netif_receive_skb",
    "tcp_retransmit_skb",
    "tcp_retransmit_synack",
];

/// The functions tracer hooks, and two with too many arguments for older kernels' trampolines.
const FUNCTIONS: [&str; 26] = [
    "__ip_vs_del_dest",
    "__ip_vs_del_service",
    "__ip_vs_update_dest",
    "__nf_conntrack_alloc",
    "__nf_conntrack_confirm",
    "arp_process",
    "arp_send_dst",
    "arp_xmit",
    "early_drop",
    "icmp_push_reply",
    "icmp_unreach",
    "icmpv6_notify",
    "icmpv6_push_pending_frames",
    "ip_vs_add_service",
    "ip_vs_conn_expire_now",
    "ip_vs_conn_in_get_proto",
    "ip_vs_conn_new",
    "ip_vs_in_hook",
    "ip_vs_schedule",
    "ip_vs_unlink_service",
    "ndisc_recv_na",
    "ndisc_send_skb",
    "nf_conntrack_tcp_packet",
    "nf_ct_resolve_clash",
    "tcp_retransmit_skb",
    "tcp_undo_cwnd_reduction",
];

/// The structs every TCP socket is, one inside the other: tests check that they begin at the same address.
const SOCKETS: [&str; 3] = ["inet_sock", "inet_request_sock", "rtable"];

/// The enumerations whose values differ from kernel to kernel.
const ENUMERATIONS: [&str; 1] = ["skb_drop_reason"];

/// Saves the types of one kernel.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Name of the saved kernel: its series, such as 6.12.
    #[arg(long)]
    series: String,
    /// Where to write: below it a directory is made, or renewed, that is named after the series.
    #[arg(long, default_value = "tracer/testdata/btf")]
    output: PathBuf,
    /// The kernel's packages (.deb), or directories like /sys/kernel/btf.
    #[arg(required = true)]
    sources: Vec<PathBuf>,
}

/// Reads the kernel's types from the sources, reduces them and writes them.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut found = extract::Found::default();
    for source in &arguments.sources {
        found.merge(extract::read(source, &MODULES)?);
    }
    let reduced = reduce::reduce(&found.into_kernel()?, &roots())?;
    write(&reduced, &arguments.output.join(&arguments.series))
}

fn roots() -> Roots {
    let structures_of =
        |object| Offsets::PATHS.iter().filter(move |path| path.object == object).map(|path| path.structure);
    let steps = Offsets::PATHS.iter().flat_map(|path| path.path.split('.'));
    Roots {
        structures: structures_of(Object::Vmlinux).chain(SOCKETS).collect(),
        module_structures: structures_of(Object::IpVs).collect(),
        members: steps.filter_map(|step| step.split('[').next()).collect(),
        enumerations: ENUMERATIONS.into(),
        tracepoints: TRACEPOINTS.into(),
        functions: FUNCTIONS.into(),
    }
}

fn write(kernel: &Kernel, directory: &std::path::Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let files = std::iter::once(("vmlinux", &kernel.vmlinux))
        .chain(kernel.modules.iter().map(|(name, description)| (name.as_str(), description)));
    for (name, description) in files {
        let path = directory.join(name);
        fs::write(&path, description.to_bytes()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {} types", path.display(), description.types.len());
    }
    Ok(())
}
