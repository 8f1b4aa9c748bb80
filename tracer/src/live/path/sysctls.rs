//! Settings of the kernel that decide how packets fare.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tracer_common::record::{SysctlRecord, change};

use crate::{live::watch::Records, probe::table::Family};

/// How often settings are read again. The kernel tells changes of a few of them only, so they have to be looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Devices of a namespace whose settings are read.
const DEVICES: usize = 256;

/// Settings below `/proc/sys/net`, and the family that wants them. `*` stands for every device, `all` and `default`, or,
/// at the end, for every setting there. What a kernel or a namespace does not have is left out.
const WATCHED: &[(Family, &str)] = &[
    (Family::Retransmit, "ipv4/ip_local_port_range"),
    (Family::Retransmit, "ipv4/tcp_retries1"),
    (Family::Retransmit, "ipv4/tcp_retries2"),
    (Family::Retransmit, "ipv4/tcp_syn_retries"),
    (Family::Retransmit, "ipv4/tcp_synack_retries"),
    (Family::Retransmit, "ipv4/tcp_tw_reuse"),
    (Family::Neighbour, "ipv4/conf/*/arp_announce"),
    (Family::Neighbour, "ipv4/conf/*/arp_filter"),
    (Family::Neighbour, "ipv4/conf/*/arp_ignore"),
    (Family::Neighbour, "ipv4/conf/*/proxy_arp"),
    (Family::Neighbour, "ipv4/neigh/default/gc_thresh1"),
    (Family::Neighbour, "ipv4/neigh/default/gc_thresh2"),
    (Family::Neighbour, "ipv4/neigh/default/gc_thresh3"),
    (Family::Neighbour, "ipv6/neigh/default/gc_thresh1"),
    (Family::Neighbour, "ipv6/neigh/default/gc_thresh2"),
    (Family::Neighbour, "ipv6/neigh/default/gc_thresh3"),
    (Family::Path, "ipv4/conf/*/rp_filter"),
    (Family::Path, "ipv4/fib_multipath_hash_policy"),
    (Family::Path, "ipv4/ip_forward"),
    (Family::Path, "ipv6/conf/all/forwarding"),
    (Family::Conntrack, "netfilter/nf_conntrack_buckets"),
    (Family::Conntrack, "netfilter/nf_conntrack_generic_timeout"),
    (Family::Conntrack, "netfilter/nf_conntrack_max"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_be_liberal"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_loose"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_timeout_close_wait"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_timeout_established"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_timeout_syn_sent"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_timeout_time_wait"),
    (Family::Conntrack, "netfilter/nf_conntrack_tcp_timeout_unacknowledged"),
    (Family::Conntrack, "netfilter/nf_conntrack_udp_timeout"),
    (Family::Conntrack, "netfilter/nf_conntrack_udp_timeout_stream"),
    (Family::Ipvs, "ipv4/vs/*"),
];

/// Settings by their names as sysctl(8) writes them.
pub(crate) type Settings = BTreeMap<String, String>;

/// The settings of every namespace, as last read.
#[derive(Debug)]
pub(super) struct Sysctls {
    root: PathBuf,
    wanted: Vec<&'static str>,
    namespaces: BTreeMap<u32, Known>,
}

#[derive(Debug)]
struct Known {
    settings: Settings,
    /// When to look again.
    due: Instant,
}

impl Sysctls {
    pub(super) fn new(proc: &Path, families: &BTreeSet<Family>) -> Self {
        Self { root: proc.join("sys"), wanted: wanted(families), namespaces: BTreeMap::new() }
    }

    /// Whether there is anything to read.
    pub(super) fn has_any(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Tells all of the calling thread's namespace.
    pub(super) fn tell_all(&mut self, inode: u32, records: &mut Records) {
        let settings = read(&self.root, &self.wanted);
        for (name, value) in &settings {
            append(inode, change::PRESENT, &[name, value], records);
        }
        // The first time comes sooner or later, so that the namespaces of the start are not all read at once for ever.
        let wait = Duration::from_secs(1 + u64::from(inode) % INTERVAL.as_secs());
        self.namespaces.insert(inode, Known { settings, due: Instant::now() + wait });
    }

    /// Tells what changed in the calling thread's namespace, if it is time to look again.
    pub(super) fn tell_changes(&mut self, inode: u32, records: &mut Records) {
        let Some(known) = self.namespaces.get_mut(&inode) else { return };
        if Instant::now() < known.due {
            return;
        }
        let settings = read(&self.root, &self.wanted);
        for (name, value) in &settings {
            match known.settings.get(name) {
                None => append(inode, change::PRESENT, &[name, value], records),
                Some(before) if before != value => {
                    append(inode, change::REPLACED, &[name, value, before], records);
                }
                Some(_) => {}
            }
        }
        *known = Known { settings, due: Instant::now() + INTERVAL };
    }

    pub(super) fn forget(&mut self, inode: u32) {
        self.namespaces.remove(&inode);
    }
}

fn append(inode: u32, change: u8, texts: &[&str], records: &mut Records) {
    let record = SysctlRecord { change, ..SysctlRecord::default() };
    records.append(inode, &record, texts.join("\n").as_bytes());
}

fn wanted(families: &BTreeSet<Family>) -> Vec<&'static str> {
    WATCHED.iter().filter(|(family, _)| families.contains(family)).map(|(_, setting)| *setting).collect()
}

/// Every watched setting of the calling thread's namespace, by `proc`.
pub(crate) fn read_all(proc: &Path) -> Settings {
    read(&proc.join("sys"), &wanted(&Family::ALL.into()))
}

/// The settings below `root` (`/proc/sys`) that are there. `/proc/sys/net` shows the namespace of who reads.
fn read(root: &Path, wanted: &[&str]) -> Settings {
    let mut settings = Settings::new();
    let mut add = |path: PathBuf| {
        if let Some((name, value)) = name_of(root, &path).zip(fs::read_to_string(&path).ok()) {
            // Some have several values, set apart by tabs.
            settings.insert(name, value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    };
    let devices = names_in(&root.join("net/ipv4/conf"));
    for setting in wanted {
        let path = root.join("net").join(setting);
        match setting.split_once('*') {
            None => add(path),
            Some((before, "")) => {
                let directory = root.join("net").join(before);
                for name in names_in(&directory) {
                    add(directory.join(name));
                }
            }
            Some((before, after)) => {
                let directory = root.join("net").join(before);
                let after = after.trim_start_matches('/');
                for device in devices.iter().take(DEVICES) {
                    add(directory.join(device).join(after));
                }
            }
        }
    }
    settings
}

/// The names in a directory, in their order; none if it is not there.
fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// A setting's name as sysctl(8) writes it: with dots for slashes, and slashes for the dots in a device's name.
fn name_of(root: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(root).ok()?.to_str()?;
    Some(
        name.chars()
            .map(|character| match character {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{read, read_all};

    #[test]
    fn settings_are_read_by_their_names() {
        let directory = tempfile::tempdir().unwrap();
        for (path, value) in [
            ("net/ipv4/conf/all/rp_filter", "1\n"),
            ("net/ipv4/conf/eth0.7/rp_filter", "2\n"),
            ("net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("net/ipv4/vs/conn_reuse_mode", "1\n"),
            ("net/ipv4/vs/expire_nodest_conn", "0\n"),
        ] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        }
        let wanted = ["ipv4/conf/*/rp_filter", "ipv4/ip_local_port_range", "ipv4/tcp_retries2", "ipv4/vs/*"];
        let settings: Vec<(String, String)> = read(directory.path(), &wanted).into_iter().collect();
        let expected = [
            ("net.ipv4.conf.all.rp_filter", "1"),
            ("net.ipv4.conf.eth0/7.rp_filter", "2"),
            ("net.ipv4.ip_local_port_range", "32768 60999"),
            ("net.ipv4.vs.conn_reuse_mode", "1"),
            ("net.ipv4.vs.expire_nodest_conn", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings, expected);
    }

    #[test]
    fn this_kernel_has_some() {
        assert!(read_all("/proc".as_ref()).contains_key("net.ipv4.ip_forward"));
    }
}
