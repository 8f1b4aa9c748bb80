//! The columns of the table: which field of which JSON object goes where.
//!
//! A column is called as its field; fields of an object within the object, `original` of a conntrack event for one, are
//! columns `original_src`, `original_sport`, …. Where two types of event use one name for different things, one of them
//! has another name here. Lists are text: JSON.

use std::borrow::Cow;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nanoseconds since 1970, UTC; in every row.
    Time,
    /// Text; in every row.
    Name,
    /// Text.
    Text,
    /// A list or an object, as JSON.
    Json,
    /// A whole number.
    Integer,
    /// A number that may have decimals.
    Number,
    /// True or false.
    Truth,
}

impl Kind {
    /// Whether every row has it.
    pub(super) fn is_required(self) -> bool {
        matches!(self, Self::Time | Self::Name)
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
}

/// Declares the columns, a kind of value a line.
macro_rules! columns {
    ($($kind:ident: $($name:literal)*;)*) => {
        /// Every column, in the order of the file.
        pub(super) const COLUMNS: &[Column] =
            &[$($(Column { name: $name, kind: Kind::$kind },)*)*];
    };
}

columns! {
    Time: "time";
    Name: "type";
    // Every event.
    Text: "node";
    Integer: "netns";
    Text: "netns_name" "pod" "pod_uid";
    // Ends of a flow.
    Text: "src"; Integer: "sport"; Text: "dst"; Integer: "dport"; Text: "protocol";
    // Retransmits and those taken back.
    Text: "kind" "state";
    Integer: "segments" "sequence" "attempt";
    Number: "rto_ms";
    Integer: "srtt_us" "cwnd" "error";
    Text: "error_name" "dev" "process";
    Integer: "pid" "cgroup";
    Text: "container" "container_id" "after";
    // Neighbours and claims.
    Text: "address" "mac" "previous" "verdict" "new_state" "direction" "operation" "target";
    // Connection tracking, and translations looked up.
    Text: "event";
    Text: "original_src"; Integer: "original_sport"; Text: "original_dst"; Integer: "original_dport";
    Text: "original_protocol";
    Text: "reply_src"; Integer: "reply_sport"; Text: "reply_dst"; Integer: "reply_dport"; Text: "reply_protocol";
    Text: "previous_reply_src"; Integer: "previous_reply_sport";
    Text: "previous_reply_dst"; Integer: "previous_reply_dport"; Text: "previous_reply_protocol";
    Text: "tcp_state";
    Integer: "mark" "zone";
    Text: "translated" "flow";
    Integer: "flow_netns";
    Truth: "answered";
    Integer: "expires_s";
    Integer: "conntrack_count" "conntrack_max" "conntrack_found" "conntrack_invalid" "conntrack_insert"
        "conntrack_insert_failed" "conntrack_drop" "conntrack_early_drop" "conntrack_error"
        "conntrack_search_restart" "conntrack_clash_resolve" "conntrack_chaintoolong"
        "conntrack_grown_found" "conntrack_grown_invalid" "conntrack_grown_insert"
        "conntrack_grown_insert_failed" "conntrack_grown_drop" "conntrack_grown_early_drop"
        "conntrack_grown_error" "conntrack_grown_search_restart" "conntrack_grown_clash_resolve"
        "conntrack_grown_chaintoolong";
    // IPVS: decisions, changes, listings.
    Text: "decision" "client" "virtual" "real";
    Integer: "weight";
    Truth: "available";
    Text: "forward";
    Truth: "persistent";
    Integer: "fwmark";
    Text: "conn_state";
    Integer: "reuse_mode" "expire_nodest";
    Text: "service" "change";
    Integer: "weight_before" "weight_after";
    Text: "scheduler";
    Truth: "namespace_ends" "by_comparison" "one_packet" "gone";
    Integer: "persistence_s" "connections" "packets_in" "packets_out" "bytes_in" "bytes_out" "active" "inactive"
        "persistent_connections";
    // ICMP errors and packets that go round.
    Integer: "icmp_type" "icmp_code";
    Text: "meaning";
    Text: "about_src"; Integer: "about_sport"; Text: "about_dst"; Integer: "about_dport"; Text: "about_protocol";
    Integer: "ttl" "previous_ttl" "first_ttl" "times" "ip_id" "mtu";
    Text: "from";
    // Routes, rules, and what routing depends on.
    Text: "prefix" "family" "via";
    Json: "nexthops";
    Integer: "nexthops_left_out";
    Text: "route_type" "table";
    Integer: "metric";
    Text: "prefsrc";
    Integer: "nhid";
    Truth: "found_later";
    Text: "peer" "result" "source" "neighbour_state" "neighbour_mac";
    Integer: "prefix_length";
    Text: "scope";
    Json: "flags";
    Integer: "index";
    Text: "link_type";
    Integer: "master_index";
    Truth: "up" "noarp";
    Integer: "priority";
    Text: "action" "to";
    Truth: "not";
    Integer: "mark_mask";
    Text: "iif" "oif";
    Integer: "goto" "suppress_prefix_length";
    Text: "name" "value";
    // Rulesets.
    Text: "backend";
    Integer: "entries" "previous_entries" "growth" "duplicates" "examined" "chains";
    Json: "largest";
    Text: "example";
    Integer: "example_count" "changed_ms_ago";
    Number: "took_ms";
    Text: "exactness";
    // Findings.
    Text: "id" "status" "severity" "certainty" "subject" "title";
    Json: "evidence" "advice" "symptoms";
    Integer: "affects_flows" "affects_retransmits" "affects_connections";
    Json: "affects_owners";
    Text: "explained_by_id" "explained_by_subject" "first" "last";
    // The tracer and its node.
    Text: "hook" "way" "reason" "kernel" "host";
    Json: "hooks";
    Text: "text";
    Integer: "step_ns" "suspended_ns";
    Truth: "synchronised";
    Integer: "largest_error_us" "records" "duration_ns";
    Json: "accounting" "rest";
}

/// Where fields go that have no column of their own: the accounting of `stats`, which has a field a kind, and otherwise
/// what a newer version tells.
pub(super) fn remainder_of(of: &str) -> &'static str {
    if of == "stats" { "accounting" } else { "rest" }
}

/// The column of a field of a type of event, if it has one; `field` is its name, joined by `_` to that of the object it
/// stands in.
pub(super) fn name_of<'a>(of: &str, field: &'a str) -> Cow<'a, str> {
    Cow::Borrowed(match (of, field) {
        (_, "time" | "type" | "node" | "netns" | "netns_name" | "pod" | "pod_uid") => field,
        // Its fields are named by kinds of record.
        ("stats", _) => "",
        ("conntrack-counters", _) => return Cow::Owned(format!("conntrack_{field}")),
        ("ipvs-change", "from") => "weight_before",
        ("ipvs-change", "to") => "weight_after",
        ("ipvs-destination", "persistent") => "persistent_connections",
        // A text, where a retransmit has its number beside it.
        ("route", "error") => "error_name",
        ("ruleset", "previous") => "previous_entries",
        _ => field,
    })
}
