//! Races of equal new entries, made without chance: a queue of the ruleset holds two packets behind the look-up of their
//! entries and before these get into the table, and lets both go on.
//!
//! Older kernels (5.10 and 6.1, not 6.12) look a packet up once more when it leaves the queue, and find the winner. So a
//! rule changes the packet's source port ahead of the queue: the entry keeps the tuple of before, and the look-up finds
//! nothing. The queue stands behind the translation of sources, which would give the second flow a port of its own once
//! the first is in the table.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context, Result, ensure};

use super::{
    Case, Setting,
    conntrack::{finish, grown},
    ipvs::finding::{closed, opened},
};
use crate::{
    counters::Counters,
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    queue::Queue,
    topology::{FAR, Family, NEAR, Pair, repeat_syns},
    tracer::Tracer,
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "conntrack-clash-resolved",
        proves: "two datagrams of one new flow that race are told as clash-resolved, as often as the kernel counts",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| resolved(setting, family)),
    },
    Case {
        name: "conntrack-clash-translated",
        proves: "two datagrams of one new flow translated to different ports are told as clash-resolved",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| translated(setting, family)),
    },
    Case {
        name: "conntrack-insert-failed",
        proves: "the loser of two flows translated to one is told as insert-failed, with its own tuples",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| failed(setting, family)),
    },
    Case {
        name: "conntrack-insert-failed-tcp",
        proves: "the second of two SYNs of one new flow that race is told as insert-failed",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| failed_tcp(setting, family)),
    },
    Case {
        name: "finding-conntrack-insert-failed",
        proves: "flows whose entries clash are named once several are dropped, with where they go, until none is any more",
        needs: NEEDS,
        run: named,
    },
];

const FAILED: &str = "conntrack-insert-failed";

const NEEDS: &[Need] = &[Need::FunctionHooks, Need::Nftables, Need::Conntrack, Need::Queue];

const PORT: u16 = 53;
const OTHER_PORT: u16 = 54;
const NEAR_PORT: u16 = 40_053;
const QUEUE: u16 = 5;
const ZONE: u16 = 7;
const MARK: u32 = 0x2a;

/// Two namespaces, the packets of the far one's `wanted` held in a zone and with a mark.
struct Race {
    pair: Pair,
    queue: Queue,
    tracer: Tracer,
    before: Counters,
}

impl Race {
    /// `translation` is a rule of the chain that translates destinations.
    fn begin(setting: &Setting, protocol: &str, translation: &str) -> Result<Self> {
        Self::begin_with(setting, protocol, translation, &["--only", "conntrack"])
    }

    fn begin_with(setting: &Setting, protocol: &str, translation: &str, arguments: &[&str]) -> Result<Self> {
        let pair = Pair::new()?;
        let queue = Queue::bind(&pair.far, QUEUE)?;
        let only_syns = if protocol == "tcp" { "tcp flags & (syn | ack | rst) == syn" } else { "" };
        pair.far.nft(&format!(
            "table inet race {{ \
             chain zones {{ type filter hook prerouting priority -300; ct zone set {ZONE}; }}; \
             chain translation {{ type nat hook prerouting priority -100; {translation} }}; \
             chain hold {{ type filter hook input priority 200; \
             meta l4proto {protocol} {only_syns} ct mark set {MARK} {protocol} sport set 9 queue num {QUEUE}; }}; }}"
        ))?;
        let tracer = setting.trace(arguments)?;
        let before = Counters::conntrack(&pair.far)?;
        Ok(Self { pair, queue, tracer, before })
    }

    /// Lets both packets go on; fails unless the counter grew by one, and events told each outcome as often as it was
    /// counted.
    fn finish(mut self, counter: &str) -> Result<(Events, Pair)> {
        self.queue.hold(2)?;
        self.queue.release()?;
        let column = if counter == "clash_resolve" { "clashres" } else { counter };
        let growth = Counters::conntrack(&self.pair.far)?.growth(&self.before, column)?;
        ensure!(growth == 1, "{counter} grew by {growth}: there was no race");
        let far = &self.pair.far;
        self.tracer.wait_for("the counters", |events| grown(events, far, counter) == growth)?;
        let after = Counters::conntrack(far)?;
        let events = finish(self.tracer)?;
        for (event, column) in [("clash-resolved", "clashres"), ("insert-failed", "insert_failed")] {
            let growth = after.growth(&self.before, column)?;
            events.of("conntrack", far).with("event", event).exactly(growth)?;
        }
        events.of("conntrack", &self.pair.near).exactly(0)?;
        Ok((events, self.pair))
    }
}

/// A socket at the near end, from which flows of one source begin.
fn sender(near: &Namespace, family: Family) -> Result<UdpSocket> {
    traffic::udp(near, family.at(NEAR, NEAR_PORT))
}

fn send(socket: &UdpSocket, to: SocketAddr) -> Result<()> {
    socket.send_to(b"tracer", to).with_context(|| format!("send to {to}"))?;
    Ok(())
}

/// Fails unless the only event is about the flow from the near socket to a port, answered from another, in the zone and
/// with the mark.
fn is_about(told: &Selection<'_>, family: Family, port: u16, answering_port: u16) -> Result<()> {
    told.exactly(1)?.all_have("zone", ZONE)?.all_have("mark", MARK)?;
    let event = told.first()?;
    let (original, reply) = (&event["original"], &event["reply"]);
    ensure!(
        original["src"] == family.host(NEAR).to_string()
            && original["sport"] == NEAR_PORT
            && original["dst"] == family.host(FAR).to_string()
            && original["dport"] == port
            && reply["sport"] == answering_port,
        "not of port {port} answered from {answering_port}: {event}"
    );
    Ok(())
}

fn resolved(setting: &Setting, family: Family) -> Result<()> {
    let race = Race::begin(setting, "udp", "")?;
    let socket = sender(&race.pair.near, family)?;
    for _ in 0..2 {
        send(&socket, family.at(FAR, PORT))?;
    }
    let (events, pair) = race.finish("clash_resolve")?;
    is_about(&events.of("conntrack", &pair.far), family, PORT, PORT)
}

fn translated(setting: &Setting, family: Family) -> Result<()> {
    const PORTS: [u16; 2] = [1_001, 1_002];
    let translation = format!(
        "udp dport {PORT} redirect to :numgen inc mod 2 map {{ 0 : {}, 1 : {} }};",
        PORTS[0], PORTS[1]
    );
    let race = Race::begin(setting, "udp", &translation)?;
    let socket = sender(&race.pair.near, family)?;
    for _ in 0..2 {
        send(&socket, family.at(FAR, PORT))?;
    }
    let (events, pair) = race.finish("clash_resolve")?;
    let told = events.of("conntrack", &pair.far);
    let answering = u16::try_from(told.first()?["reply"]["sport"].as_u64().context("no port of the reply")?)?;
    ensure!(PORTS.contains(&answering), "answered from {answering}");
    is_about(&told, family, PORT, answering)
}

fn failed(setting: &Setting, family: Family) -> Result<()> {
    let translation = format!("udp dport {OTHER_PORT} redirect to :{PORT};");
    let race = Race::begin(setting, "udp", &translation)?;
    let socket = sender(&race.pair.near, family)?;
    for port in [PORT, OTHER_PORT] {
        send(&socket, family.at(FAR, port))?;
    }
    let (events, pair) = race.finish("insert_failed")?;
    is_about(&events.of("conntrack", &pair.far), family, OTHER_PORT, PORT)
}

fn failed_tcp(setting: &Setting, family: Family) -> Result<()> {
    let race = Race::begin(setting, "tcp", "")?;
    repeat_syns(&race.pair.near, 1)?;
    let dialling = traffic::dial(&race.pair.near, family.at(NEAR, NEAR_PORT), family.at(FAR, PORT))?;
    // The second SYN is the first once more, a second later.
    let (events, pair) = race.finish("insert_failed")?;
    drop(dialling);
    let told = events.of("conntrack", &pair.far).with("event", "insert-failed");
    told.all_have("tcp_state", "SYN_SENT")?;
    is_about(&told, family, PORT, PORT)
}

/// Two flows of one source are translated to one, several times: the later packet of each pair is lost.
fn named(setting: &Setting) -> Result<()> {
    const LOST: u64 = 4;
    const FAMILY: Family = Family::V4;
    let translation = format!("udp dport {OTHER_PORT} redirect to :{PORT};");
    let mut race = Race::begin_with(setting, "udp", &translation, &[])?;
    for number in 0..u16::try_from(LOST)? {
        let socket = traffic::udp(&race.pair.near, FAMILY.at(NEAR, NEAR_PORT + number))?;
        for port in [PORT, OTHER_PORT] {
            send(&socket, FAMILY.at(FAR, port))?;
        }
        race.queue.hold(2)?;
        race.queue.release()?;
    }
    let growth = Counters::conntrack(&race.pair.far)?.growth(&race.before, "insert_failed")?;
    ensure!(growth == LOST, "{growth} were lost in the place of {LOST}");
    let line = opened(&race.tracer, FAILED, "conntrack of")?;
    ensure!(line["netns"] == race.pair.far.inode(), "of another namespace: {line}");
    // It may have been looked at before the last was lost.
    let said = [LOST - 1, LOST].map(|lost| format!("{lost} new connections dropped"));
    let title = line["title"].as_str().context("no title")?;
    ensure!(said.iter().any(|said| title.starts_with(said)), "none of {said:?}: {line}");
    let dialled = FAMILY.at(FAR, OTHER_PORT).to_string();
    ensure!(line.to_string().contains(&dialled), "{dialled} is not told: {line}");
    closed(&race.tracer, FAILED, "conntrack of")?;
    race.tracer.stop()?.events.only_findings(&[(FAILED, "conntrack of")])
}
