//! Decisions of connection tracking about SYNs, and about a table that is full. A director translates a virtual address
//! to a server (DNAT), as kube-proxy does.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Case, Setting};
use crate::{
    counters::Counters,
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::{Cluster, FAR, Family, NEAR, Pair, lose},
    tracer::Tracer,
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "conntrack-reopened",
        proves: "a source port reused while its entry rests in TIME_WAIT is told as reopened, with both mappings",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| reopened(setting, family)),
    },
    Case {
        name: "conntrack-reopened-dropped",
        proves: "a reopening whose SYN is dropped on its way is told once, with the old mapping only",
        needs: NEEDS,
        run: reopened_dropped,
    },
    Case {
        name: "conntrack-reused",
        proves: "a new connection that keeps the mapping of a dead one is told as reused, its repeats apart",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| reused(setting, family)),
    },
    Case {
        name: "conntrack-reused-established",
        proves: "a new connection on the entry of an established one is told as reused once, its repeats apart",
        needs: NEEDS,
        run: reused_established,
    },
    Case {
        name: "conntrack-table-full",
        proves: "every packet dropped because the table is full is told with its tuple, in two namespaces",
        needs: NEEDS,
        run: table_full,
    },
    Case {
        name: "conntrack-table-full-tcp",
        proves: "every SYN dropped because the table is full is told with its tuple and zone",
        needs: NEEDS,
        run: table_full_tcp,
    },
];

const NEEDS: &[Need] = &[Need::FunctionHooks, Need::Nftables, Need::Conntrack];

const PORT: u16 = 80;
const CLIENT_PORT: u16 = 41_000;

pub(super) fn client(family: Family) -> SocketAddr {
    SocketAddr::new(Cluster::client_address(family), CLIENT_PORT)
}

pub(super) fn virtual_service(family: Family) -> SocketAddr {
    SocketAddr::new(Cluster::virtual_address(family), PORT)
}

pub(super) fn server(family: Family, number: u8) -> SocketAddr {
    SocketAddr::new(Cluster::server_address(family, number), PORT)
}

/// Sends the virtual address to a server, in place of what was there.
pub(super) fn translate_to(director: &Namespace, server: SocketAddr) -> Result<()> {
    let (family, table) = if server.is_ipv4() { (Family::V4, "ip") } else { (Family::V6, "ip6") };
    let service = virtual_service(family);
    director.nft(&format!(
        "table {table} service {{ }}; delete table {table} service; table {table} service {{ chain in {{ \
         type nat hook prerouting priority -100; {table} daddr {} tcp dport {} dnat to {server}; }}; }}",
        service.ip(),
        service.port()
    ))
}

/// What the director tells of the client's connection to the virtual service.
fn told<'a>(events: &'a Events, director: &Namespace, family: Family, event: &str) -> Selection<'a> {
    let (client, service) = (client(family), virtual_service(family));
    events.of("conntrack", director).with("event", event).filter("of that connection", |event| {
        let original = &event["original"];
        original["src"] == client.ip().to_string()
            && original["sport"] == client.port()
            && original["dst"] == service.ip().to_string()
            && original["dport"] == service.port()
    })
}

/// Fails unless the field, a tuple of replies, says that the server answers.
pub(super) fn answered_by(selection: &Selection<'_>, field: &str, server: SocketAddr) -> Result<()> {
    for event in selection.events() {
        let reply = &event[field];
        ensure!(
            reply["src"] == server.ip().to_string() && reply["sport"] == server.port(),
            "{field} is not translated to {server}: {event}"
        );
    }
    Ok(())
}

/// Ends tracer; fails unless all that was seen was told.
pub(super) fn finish(tracer: Tracer) -> Result<Events> {
    let run = tracer.stop()?;
    let accounting = run.events.accounting("conntrack")?;
    accounting.balances()?;
    ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    Ok(run.events)
}

/// One connection is closed in order by the server; the client dials again from the same port, when the service has
/// moved to the other server. Truth: the kernel's rule that a SYN on an entry in TIME_WAIT deletes it; the first
/// connection reaches the one server and the second the other.
fn reopened(setting: &Setting, family: Family) -> Result<()> {
    let cluster = Cluster::new()?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    for number in [0, 1] {
        converse(&cluster, family, number)?;
    }
    tracer.wait_for("the reopening", |events| {
        !told(events, &cluster.director, family, "reopened").is_empty()
    })?;
    let events = finish(tracer)?;
    let reopened = told(&events, &cluster.director, family, "reopened");
    has_ended(reopened.exactly(1)?)?;
    answered_by(&reopened, "previous_reply", server(family, 0))?;
    answered_by(&reopened, "reply", server(family, 1))?;
    told(&events, &cluster.director, family, "reused").exactly(0)?;
    Ok(())
}

/// Fails unless the entries were of connections that had ended: in order, or with the reset by which a client that closes
/// late answers the last segment.
fn has_ended(reopened: &Selection<'_>) -> Result<()> {
    reopened.all_have_one_of("tcp_state", &["TIME_WAIT", "CLOSE"].map(Value::from)).map(drop)
}

/// A connection to the service, which the server closes.
pub(super) fn converse(cluster: &Cluster, family: Family, number: u8) -> Result<()> {
    let answering = &cluster.servers[usize::from(number)];
    translate_to(&cluster.director, server(family, number))?;
    let listener = traffic::listen(answering, server(family, number))?;
    let connection = traffic::connect(&cluster.client, client(family), virtual_service(family))?;
    traffic::close_at(&listener, connection)?;
    traffic::settle(&cluster.client)?;
    traffic::settle(answering)
}

/// As above, but the director's own rules drop the second SYN behind the translation. Truth: the SYN is repeated, which
/// means that nobody answered, and the second SYN of it meets no entry.
fn reopened_dropped(setting: &Setting) -> Result<()> {
    const FAMILY: Family = Family::V4;
    let cluster = Cluster::new()?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    converse(&cluster, FAMILY, 0)?;
    cluster.director.nft(
        "table ip firewall { chain through { type filter hook forward priority 0; \
         tcp flags & (syn | ack) == syn drop; }; }",
    )?;
    let before = Counters::tcp(&cluster.client)?;
    let second = traffic::dial(&cluster.client, client(FAMILY), virtual_service(FAMILY))?;
    until_repeated(&cluster.client, &before, 1)?;
    drop(second);
    tracer.wait_for("the reopening", |events| {
        !told(events, &cluster.director, FAMILY, "reopened").is_empty()
    })?;
    let events = finish(tracer)?;
    let reopened = told(&events, &cluster.director, FAMILY, "reopened");
    has_ended(reopened.exactly(1)?)?;
    answered_by(&reopened, "previous_reply", server(FAMILY, 0))?;
    reopened.without("reply").exactly(1)?;
    Ok(())
}

/// A client dials a server that does not answer, gives up, and dials again from the same port when the rules name
/// another server: the old entry is kept, and with it the dead server. Truth: the dead server's own count of SYNs that
/// arrived, and the client's `TCPSynRetrans`.
fn reused(setting: &Setting, family: Family) -> Result<()> {
    let cluster = Cluster::new()?;
    translate_to(&cluster.director, server(family, 0))?;
    lose(&cluster.servers[0], "member0", "meta l4proto tcp")?;
    let listener = traffic::listen(&cluster.servers[1], server(family, 1))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    let before = Counters::tcp(&cluster.client)?;
    let first = traffic::dial(&cluster.client, client(family), virtual_service(family))?;
    until_repeated(&cluster.client, &before, 1)?;
    drop(first);
    translate_to(&cluster.director, server(family, 1))?;
    let second = traffic::dial(&cluster.client, client(family), virtual_service(family))?;
    until_repeated(&cluster.client, &before, 3)?;
    drop(second);
    drop(listener);
    let repeats = Counters::tcp(&cluster.client)?.growth(&before, "TcpExtTCPSynRetrans")?;
    let events = finish(tracer)?;
    let reused = told(&events, &cluster.director, family, "reused");
    reused.exactly(1)?.all_have("tcp_state", "SYN_SENT")?;
    answered_by(&reused, "reply", server(family, 0))?;
    // The repeats, three at least, are seen and counted, and no events of their own.
    let accounting = events.accounting("conntrack")?;
    ensure!(
        accounting.seen == 1 + repeats,
        "not a SYN that was reused and {repeats} repeats: {accounting:?}"
    );
    Ok(())
}

/// The client's host forgets an established connection without a word, as one does that is restarted, and dials again
/// from the same port when the service has moved. Truth: the old server gets the SYNs, for it answers each with the
/// number it expects (a challenge ACK, RFC 5961), and the client repeats the SYN.
fn reused_established(setting: &Setting) -> Result<()> {
    const FAMILY: Family = Family::V4;
    let cluster = Cluster::new()?;
    translate_to(&cluster.director, server(FAMILY, 0))?;
    let listener = traffic::listen(&cluster.servers[0], server(FAMILY, 0))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    let connection = traffic::connect(&cluster.client, client(FAMILY), virtual_service(FAMILY))?;
    let accepted = traffic::accept(&listener)?;
    cluster.client.nft("table ip silence { chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }; }")?;
    traffic::abort(connection)?;
    translate_to(&cluster.director, server(FAMILY, 1))?;
    let before = Counters::tcp(&cluster.client)?;
    let challenges = Counters::tcp(&cluster.servers[0])?;
    let second = traffic::dial(&cluster.client, client(FAMILY), virtual_service(FAMILY))?;
    until_repeated(&cluster.client, &before, 2)?;
    let asked = Counters::tcp(&cluster.servers[0])?.growth(&challenges, "TcpExtTCPSYNChallenge")?;
    drop((second, accepted));
    ensure!(asked > 0, "the old server was not asked again");
    let events = finish(tracer)?;
    let reused = told(&events, &cluster.director, FAMILY, "reused");
    reused.exactly(1)?.all_have("tcp_state", "ESTABLISHED")?;
    answered_by(&reused, "reply", server(FAMILY, 0))?;
    told(&events, &cluster.director, FAMILY, "reopened").exactly(0)?;
    Ok(())
}

/// Waits until the client has repeated so many SYNs since `before`.
pub(super) fn until_repeated(client: &Namespace, before: &Counters, repeats: u64) -> Result<()> {
    wait::until("a repeated SYN", || {
        let repeated = Counters::tcp(client)?.growth(before, "TcpExtTCPSynRetrans")?;
        Ok((repeated >= repeats).then_some(()))
    })
}

/// A rule about connections switches tracking on.
pub(super) const TRACK: &str =
    "table inet track { chain in { type filter hook input priority 0; ct state new counter; }; }";

/// Thousands of datagrams of as many flows meet two full tables. Truth: each namespace's count of packets conntrack
/// dropped.
fn table_full(setting: &Setting) -> Result<()> {
    const SPARE_ENTRIES: u64 = 100;
    const FLOWS: u16 = 2_000;
    const FIRST_PORT: u16 = 20_000;
    let pairs = [Pair::new()?, Pair::new()?];
    let mut receivers = Vec::new();
    for (pair, family) in pairs.iter().zip(Family::BOTH) {
        pair.far.nft(TRACK)?;
        receivers.push(traffic::udp(&pair.far, family.at(FAR, PORT))?);
    }
    let tracer = setting.trace(&["--only", "conntrack"])?;
    let before = pairs.iter().map(|pair| Counters::conntrack(&pair.far)).collect::<Result<Vec<_>>>()?;
    let limit = TableLimit::leave(SPARE_ENTRIES)?;
    for (pair, family) in pairs.iter().zip(Family::BOTH) {
        let ports = FIRST_PORT..FIRST_PORT + FLOWS;
        traffic::knock_from(&pair.near, family.host(NEAR), ports, family.at(FAR, PORT))?;
    }
    drop(limit);
    let mut dropped = Vec::new();
    for (pair, before) in pairs.iter().zip(&before) {
        dropped.push(Counters::conntrack(&pair.far)?.growth(before, "drop")?);
    }
    drop(receivers);
    tracer.wait_for("the counters", |events| {
        pairs.iter().zip(&dropped).all(|(pair, dropped)| grown(events, &pair.far, "drop") == *dropped)
    })?;
    let events = finish(tracer)?;
    for ((pair, family), dropped) in pairs.iter().zip(Family::BOTH).zip(dropped) {
        ensure!(dropped > 0, "the kernel dropped nothing: the table was never full");
        super::note(&format!("{family}: {dropped} of {FLOWS} dropped"));
        let full = events.of("conntrack", &pair.far).with("event", "table-full");
        full.exactly(dropped)?;
        of_that_many_flows(&full, family, "udp", dropped)?;
        events.of("conntrack", &pair.near).exactly(0)?;
    }
    Ok(())
}

/// Fails unless the events are about as many flows to the far end, each from a port of its own.
fn of_that_many_flows(selection: &Selection<'_>, family: Family, protocol: &str, flows: u64) -> Result<()> {
    let far = family.at(FAR, PORT);
    let mut ports = BTreeSet::new();
    for event in selection.events() {
        let original = &event["original"];
        ensure!(
            original["src"] == family.host(NEAR).to_string()
                && original["dst"] == far.ip().to_string()
                && original["dport"] == far.port()
                && original["protocol"] == protocol,
            "not a flow to {far}: {event}"
        );
        ports.insert(original["sport"].as_u64());
    }
    ensure!(ports.len() as u64 == flows, "{} flows in the place of {flows}", ports.len());
    Ok(())
}

/// As much as the counters' events say that one grew.
pub(super) fn grown(events: &Events, namespace: &Namespace, counter: &str) -> u64 {
    let told = events.of("conntrack-counters", namespace);
    told.events().iter().filter_map(|event| event["grown"][counter].as_u64()).sum()
}

/// Connections that are dialled while a table is full, in a zone of their own. Truth: the count of packets dropped.
fn table_full_tcp(setting: &Setting) -> Result<()> {
    const FLOWS: u16 = 40;
    const FIRST_PORT: u16 = 30_000;
    const FAMILY: Family = Family::V4;
    let pair = Pair::new()?;
    pair.far.nft(TRACK)?;
    pair.far.nft(
        "table inet zones { \
         chain arriving { type filter hook prerouting priority -300; ct zone set 7; }; \
         chain leaving { type filter hook output priority -300; ct zone set 7; }; }",
    )?;
    let listener = traffic::listen(&pair.far, FAMILY.at(FAR, PORT))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    let before = Counters::conntrack(&pair.far)?;
    let limit = TableLimit::leave(1)?;
    let dialling = (FIRST_PORT..FIRST_PORT + FLOWS)
        .map(|port| traffic::dial(&pair.near, FAMILY.at(NEAR, port), FAMILY.at(FAR, PORT)))
        .collect::<Result<Vec<_>>>()?;
    drop(dialling);
    drop(limit);
    let dropped = Counters::conntrack(&pair.far)?.growth(&before, "drop")?;
    drop(listener);
    ensure!(dropped > 0, "the kernel dropped nothing: the table was never full");
    let events = finish(tracer)?;
    let full = events.of("conntrack", &pair.far).with("event", "table-full");
    full.exactly(dropped)?.all_have("zone", 7)?;
    for event in full.events() {
        ensure!(event["original"]["protocol"] == "tcp", "not a TCP flow: {event}");
    }
    Ok(())
}

/// The kernel's limit of entries, which all namespaces share, lowered for a moment.
pub(super) struct TableLimit {
    original: String,
}

impl TableLimit {
    const PATH: &'static str = "/proc/sys/net/netfilter/nf_conntrack_max";

    /// Leaves room for so many entries more than this machine's first namespace has.
    pub(super) fn leave(spare: u64) -> Result<Self> {
        let count: u64 = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count")
            .context("read the count of entries")?
            .trim()
            .parse()
            .context("the count of entries")?;
        let original = fs::read_to_string(Self::PATH).context("read the limit of entries")?;
        let limit = Self { original };
        fs::write(Self::PATH, (count + spare).to_string()).context("lower the limit of entries")?;
        Ok(limit)
    }
}

impl Drop for TableLimit {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = fs::write(Self::PATH, self.original.trim());
    }
}
