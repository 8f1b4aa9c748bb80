//! What to set on a node, in the sentences that findings and `tracer doctor` share.

/// Have IPVS schedule a connection anew that uses a source port again.
pub(crate) fn reuse_mode() -> String {
    "`sysctl -w net.ipv4.vs.conn_reuse_mode=1` (now 0): a SYN on a finished entry is scheduled anew; before Linux 5.9 that \
     costs the client a second where net.ipv4.vs.conntrack is 1"
        .to_owned()
}

/// Have IPVS give up entries of removed real servers.
pub(crate) fn expire_entries_of_removed() -> String {
    "`sysctl -w net.ipv4.vs.expire_nodest_conn=1` (now 0): the next packet that meets such an entry makes it give way"
        .to_owned()
}

/// Have IPVS leave the connections of services alone.
///
/// `now`: its value, as in ` (now 1)`, or nothing.
pub(crate) fn ipvs_without_conntrack(now: &str) -> String {
    format!(
        "`sysctl -w net.ipv4.vs.conntrack=0`{now}, if no rule of this node wants the connections of services translated or \
         tracked (kube-proxy's do)"
    )
}

/// Have the node answer for, and announce, only the addresses of the device itself.
///
/// `ignore`, `announce`: the values of `net.ipv4.conf.all` now.
pub(crate) fn strict_arp(ignore: &str, announce: &str) -> String {
    format!(
        "`sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2` (now {ignore} and {announce}); on a \
         node of Kubernetes set ipvs.strictARP: true in kube-proxy's configuration, which does it"
    )
}

/// Make room for more connections.
///
/// `limit`: how many there may be now.
pub(crate) fn more_connections(limit: Option<u64>) -> String {
    const LIMIT: &str = "net.netfilter.nf_conntrack_max";
    match limit {
        Some(limit) => format!(
            "`sysctl -w {LIMIT}={}` (now {limit}) in the node's own network namespace; it holds for all",
            limit.saturating_mul(2)
        ),
        None => format!("raise {LIMIT} in the node's own network namespace; it holds for all"),
    }
}

/// That both halves of iptables have rules.
///
/// `other`: the other half and its tables.
pub(crate) fn both_back_ends(other: &str) -> String {
    format!("iptables is in use by both back ends, each blind to the other's rules: {other}")
}

/// What to do about that.
pub(crate) fn one_back_end() -> String {
    "have every program on this node use the same back end (`update-alternatives --config iptables`; containers bring \
     their own)"
        .to_owned()
}
