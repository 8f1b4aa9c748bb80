//! Packets written by hand: SCTP, for which a kernel may have no sockets, and datagrams from ports by the thousand.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::{AsRawFd, OwnedFd},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use super::service::{Director, PORT, Plan, finish};
use crate::{
    case::{Setting, note},
    topology::{Cluster, lose},
    wait,
};

const UDP: u8 = 17;
const SCTP: u8 = 132;
const VIRTUAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 9, 9), PORT);

/// Sends packets with any source.
struct Sender(OwnedFd);

impl Sender {
    /// In the namespace of the calling thread.
    fn new() -> Result<Self> {
        // This protocol means that the IP header comes with the packet.
        let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
            .context("make a raw socket")?;
        Ok(Self(socket))
    }

    /// Sends one packet to the virtual service. `rest` follows the ports.
    fn send(&self, protocol: u8, from: SocketAddrV4, rest: &[u8]) -> Result<()> {
        let to = VIRTUAL;
        // The kernel fills in the length, the identifier and the checksum.
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend(from.ip().octets());
        packet.extend(to.ip().octets());
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend(rest);
        let address = SockaddrIn::from(to);
        sendto(self.0.as_raw_fd(), &packet, &address, MsgFlags::empty()).context("send a packet")?;
        Ok(())
    }
}

/// What follows the ports of a packet with one SCTP chunk: verification tag, checksum, type, flags, length, content.
fn chunk(kind: u8) -> [u8; 28] {
    const CHUNK_BYTES: u8 = 20;
    let mut rest = [0; 28];
    rest[8] = kind;
    rest[11] = CHUNK_BYTES;
    rest
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const SHUTDOWN_COMPLETE: u8 = 14;

/// The first INIT of an association is scheduled; a second from the same port reuses the entry, until it is closed: then
/// it is rescheduled. Once the server is removed, each INIT is dropped. Other chunks are nothing new. Truth: what was
/// sent, and the connections `ipvsadm` counts.
pub(super) fn sctp(setting: &Setting) -> Result<()> {
    const ASSOCIATIONS: u16 = 5;
    let all = u64::from(ASSOCIATIONS);
    let director = Plan { protocol: "sctp", ..Plan::TCP }.set_up(Cluster::new()?)?;
    director.add_server(0, 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let play = |chunks: &[u8]| {
        director.cluster.client.enter(|| {
            let sender = Sender::new()?;
            for number in 0..ASSOCIATIONS {
                for &kind in chunks {
                    sender.send(SCTP, client(&director, number)?, &chunk(kind))?;
                }
            }
            Ok(())
        })
    };
    play(&[INIT, DATA, INIT])?;
    director.wait_for_count(0, all)?;
    play(&[SHUTDOWN_COMPLETE, INIT])?;
    director.wait_for_count(0, 2 * all)?;
    director.remove_server(0)?;
    play(&[DATA, INIT])?;
    tracer.wait_for("the dropped INITs", |events| director.all_told(events, "dropped").count() >= all)?;
    let events = finish(tracer)?;
    let states = [
        ("scheduled", None),
        ("reused", Some("INIT1")),
        ("rescheduled", Some("CLOSED")),
        ("dropped", Some("INIT1")),
    ];
    for (decision, state) in states {
        for number in 0..ASSOCIATIONS {
            let told = director.told(&events, number, decision);
            ensure!(told.exactly(1)?.first()?["conn_state"].as_str() == state, "{}", told.first()?);
        }
    }
    director
        .all(&events)
        .exactly(4 * all)?
        .all_have("protocol", "sctp")?
        .all_have("real", director.server(0).to_string())?;
    Ok(())
}

fn client(director: &Director, number: u16) -> Result<SocketAddrV4> {
    match director.client(number) {
        SocketAddr::V4(client) => Ok(client),
        SocketAddr::V6(client) => bail!("{client} is no IPv4 address"),
    }
}

/// New connections as fast as they can be sent, each from a port of its own. Truth: `ipvsadm` counts as many
/// connections as the program says it saw, and of those it says what became.
pub(super) fn rate(setting: &Setting) -> Result<()> {
    const CLIENTS: u8 = 4;
    const PORTS: u16 = 5_000;
    const ALL: u64 = CLIENTS as u64 * PORTS as u64;
    let director = Plan::UDP.set_up(Cluster::new()?)?;
    for server in 0..2 {
        director.add_server(server, 1)?;
        // Nobody listens, and nobody is to complain.
        lose(&director.cluster.servers[usize::from(server)], "member0", "meta l4proto udp")?;
    }
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let begin = Instant::now();
    director.cluster.client.enter(|| {
        let sender = Sender::new()?;
        // The length of the datagram, and no checksum.
        let rest = [0, 8, 0, 0];
        for host in 0..CLIENTS {
            for port in 0..PORTS {
                let from = SocketAddrV4::new(Ipv4Addr::new(10, 78, 0, 100 + host), 20_000 + port);
                sender.send(UDP, from, &rest)?;
            }
        }
        Ok(())
    })?;
    let took = begin.elapsed();
    let mut last = 0;
    wait::until("ipvsadm to count the connections", || {
        last = director.connections_counted(0)? + director.connections_counted(1)?;
        Ok((last == ALL).then_some(()))
    })
    .with_context(|| format!("counted {last} of {ALL}"))?;
    let run = tracer.stop()?;
    let accounting = run.events.accounting("ipvs")?;
    accounting.balances()?;
    ensure!(accounting.seen == ALL, "ipvsadm counts {ALL} connections: {accounting:?}");
    let scheduled = director.all_told(&run.events, "scheduled");
    scheduled.exactly(accounting.delivered)?;
    let rate = u128::from(ALL) * 1_000 / took.as_millis().max(1);
    note(&format!("ipvs-rate: {ALL} connections, {rate} a second: {accounting:?}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{INIT, chunk};

    #[test]
    fn a_chunk_has_its_type_and_length_where_sctp_has_them() {
        let rest = chunk(INIT);
        // Four bytes of ports come before.
        assert_eq!((rest[12 - 4], rest[13 - 4], rest[14 - 4], rest[15 - 4]), (INIT, 0, 0, 20));
        assert_eq!(rest.len(), 8 + 20);
    }
}
