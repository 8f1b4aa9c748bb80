//! Decisions of connection tracking. A director translates a virtual address to a server (DNAT), as kube-proxy does.

use std::{fs, net::SocketAddr};

use anyhow::{Context, Result, ensure};

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
        proves: "a source port reused while its entry rests in TIME_WAIT is told as reopened",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: reopened,
    },
    Case {
        name: "conntrack-reused",
        proves: "a new connection that keeps the mapping of a dead one is told as reused, its repeats apart",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: reused,
    },
    Case {
        name: "conntrack-table-full",
        proves: "every packet dropped because the table is full is told",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: table_full,
    },
];

const PORT: u16 = 80;
const CLIENT_PORT: u16 = 41_000;

fn client() -> SocketAddr {
    SocketAddr::new(Cluster::client_address(Family::V4), CLIENT_PORT)
}

fn virtual_service() -> SocketAddr {
    SocketAddr::new(Cluster::virtual_address(Family::V4), PORT)
}

fn server(number: u8) -> SocketAddr {
    SocketAddr::new(Cluster::server_address(Family::V4, number), PORT)
}

/// Sends the virtual address to a server, in place of what was there.
fn translate_to(director: &Namespace, server: SocketAddr) -> Result<()> {
    let service = virtual_service();
    director.nft(&format!(
        "table ip service {{ }}; delete table ip service; table ip service {{ chain in {{ \
         type nat hook prerouting priority -100; ip daddr {} tcp dport {} dnat to {server}; }}; }}",
        service.ip(),
        service.port()
    ))
}

/// What the director tells of the client's connection to the virtual service.
fn told<'a>(events: &'a Events, director: &Namespace, event: &str) -> Selection<'a> {
    let (client, service) = (client(), virtual_service());
    events.of("conntrack", director).with("event", event).filter("of that connection", |event| {
        let original = &event["original"];
        original["src"] == client.ip().to_string()
            && original["sport"] == client.port()
            && original["dst"] == service.ip().to_string()
            && original["dport"] == service.port()
    })
}

/// Fails unless the entries translate to that server.
fn translated_to(selection: &Selection<'_>, server: SocketAddr) -> Result<()> {
    for event in selection.events() {
        let reply = &event["reply"];
        ensure!(
            reply["src"] == server.ip().to_string() && reply["sport"] == server.port(),
            "not translated to {server}: {event}"
        );
    }
    Ok(())
}

fn finish(tracer: Tracer) -> Result<Events> {
    let run = tracer.stop()?;
    let accounting = run.events.accounting("conntrack")?;
    accounting.balances()?;
    ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    Ok(run.events)
}

/// One connection is closed in order by the server; the client dials again from the same port. Truth: the kernel's
/// rule that a SYN on an entry in TIME_WAIT deletes it; both connections work.
fn reopened(setting: &Setting) -> Result<()> {
    let cluster = Cluster::new()?;
    translate_to(&cluster.director, server(0))?;
    let listener = traffic::listen(&cluster.servers[0], server(0))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    for _ in 0..2 {
        let connection = traffic::connect(&cluster.client, client(), virtual_service())?;
        drop(traffic::accept(&listener)?);
        traffic::wait_closed(connection)?;
        traffic::settle(&cluster.client)?;
        traffic::settle(&cluster.servers[0])?;
    }
    tracer.wait_for("the reopening", |events| !told(events, &cluster.director, "reopened").is_empty())?;
    let events = finish(tracer)?;
    let reopened = told(&events, &cluster.director, "reopened");
    reopened.exactly(1)?.all_have("tcp_state", "TIME_WAIT")?;
    translated_to(&reopened, server(0))?;
    told(&events, &cluster.director, "reused").exactly(0)?;
    Ok(())
}

/// A client dials a server that does not answer, gives up, and dials again from the same port when the rules name
/// another server: the old entry is kept, and with it the dead server. Truth: the dead server's own count of SYNs that
/// arrived, and the client's `TCPSynRetrans`.
fn reused(setting: &Setting) -> Result<()> {
    let cluster = Cluster::new()?;
    translate_to(&cluster.director, server(0))?;
    lose(&cluster.servers[0], "member0", "meta l4proto tcp")?;
    let listener = traffic::listen(&cluster.servers[1], server(1))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    let before = Counters::tcp(&cluster.client)?;
    let first = traffic::dial(&cluster.client, client(), virtual_service())?;
    until_repeated(&cluster.client, &before, 1)?;
    drop(first);
    translate_to(&cluster.director, server(1))?;
    let second = traffic::dial(&cluster.client, client(), virtual_service())?;
    until_repeated(&cluster.client, &before, 3)?;
    drop(second);
    drop(listener);
    let events = finish(tracer)?;
    let reused = told(&events, &cluster.director, "reused");
    reused.exactly(1)?.all_have("tcp_state", "SYN_SENT")?;
    translated_to(&reused, server(0))?;
    // The repeats are seen and counted, and no events of their own.
    let accounting = events.accounting("conntrack")?;
    accounting.balances()?;
    ensure!(accounting.seen > 1, "the repeated SYNs were not seen: {accounting:?}");
    Ok(())
}

/// Waits until the client has repeated so many SYNs since `before`.
fn until_repeated(client: &Namespace, before: &Counters, repeats: u64) -> Result<()> {
    wait::until("a repeated SYN", || {
        let repeated = Counters::tcp(client)?.growth(before, "TcpExtTCPSynRetrans")?;
        Ok((repeated >= repeats).then_some(()))
    })
}

/// Many datagrams of as many flows meet a full table. Truth: the namespace's count of packets conntrack dropped.
fn table_full(setting: &Setting) -> Result<()> {
    const SPARE_ENTRIES: u64 = 100;
    const FLOWS: u16 = 600;
    const FIRST_PORT: u16 = 20_000;
    let pair = Pair::new()?;
    // A rule about connections switches tracking on.
    pair.far
        .nft("table inet track { chain in { type filter hook input priority 0; ct state new counter; }; }")?;
    let receiver = traffic::udp(&pair.far, Family::V4.at(FAR, PORT))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    let before = Counters::conntrack(&pair.far)?;
    let limit = TableLimit::leave(SPARE_ENTRIES)?;
    for port in FIRST_PORT..FIRST_PORT + FLOWS {
        traffic::knock(&pair.near, Family::V4.at(NEAR, port), Family::V4.at(FAR, PORT))?;
    }
    drop(limit);
    let after = Counters::conntrack(&pair.far)?;
    drop(receiver);
    let dropped = after.growth(&before, "drop")?;
    ensure!(dropped > 0, "the kernel dropped nothing: the table was never full");
    let events = finish(tracer)?;
    events.of("conntrack", &pair.far).with("event", "table-full").exactly(dropped)?;
    Ok(())
}

/// The kernel's limit of entries, which all namespaces share, lowered for a moment.
struct TableLimit {
    original: String,
}

impl TableLimit {
    const PATH: &'static str = "/proc/sys/net/netfilter/nf_conntrack_max";

    /// Leaves room for so many entries more than this machine's first namespace has.
    fn leave(spare: u64) -> Result<Self> {
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
