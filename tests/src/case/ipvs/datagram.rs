//! Services over UDP, where any datagram without an entry is a first one.

use std::{io::ErrorKind, net::UdpSocket};

use anyhow::{Result, ensure};

use super::service::{Director, Plan, finish};
use crate::{
    case::Setting,
    topology::{Cluster, Family},
    traffic, wait,
};

/// A service over UDP and what hears it.
struct Datagrams {
    director: Director,
    servers: [UdpSocket; 2],
}

impl Datagrams {
    fn like(plan: Plan) -> Result<Self> {
        let director = plan.set_up(Cluster::new()?)?;
        let servers = [0, 1].map(|number: u8| {
            let namespace = &director.cluster.servers[usize::from(number)];
            let socket = traffic::udp(namespace, director.server(number))?;
            socket.set_nonblocking(true)?;
            anyhow::Ok(socket)
        });
        let [one, other] = servers;
        Ok(Self { director, servers: [one?, other?] })
    }

    /// The client's socket of that number, connected to the service.
    fn client(&self, number: u16) -> Result<UdpSocket> {
        let socket = traffic::udp(&self.director.cluster.client, self.director.client(number))?;
        socket.connect(self.director.address())?;
        Ok(socket)
    }

    /// How many datagrams a server got since it was last asked.
    fn heard(&self, number: usize) -> Result<u64> {
        let mut heard = 0;
        loop {
            match self.servers[number].recv(&mut [0; 64]) {
                Ok(_) => heard += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(heard),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until a server got that many datagrams more.
    fn wait_heard(&self, number: usize, expected: u64) -> Result<()> {
        let mut heard = 0;
        wait::until("datagrams at a server", || {
            heard += self.heard(number)?;
            Ok((heard >= expected).then_some(()))
        })?;
        ensure!(heard == expected, "server {number} heard {heard} datagrams instead of {expected}");
        Ok(())
    }
}

/// Each socket's first datagram is scheduled, the others are nothing new. When the server is removed, every datagram
/// is dropped; with `expire_nodest_conn` 1 the next goes to the other server; without servers, a new socket's is
/// refused. Truth: what the servers hear, what was sent, the connections `ipvsadm` counts, and the client's error.
pub(super) fn decisions(setting: &Setting, family: Family) -> Result<()> {
    const SOCKETS: u16 = 5;
    const EACH: u64 = 4;
    let service = Datagrams::like(Plan { family, ..Plan::UDP })?;
    let director = &service.director;
    director.add_server(0, 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let sockets = (0..SOCKETS).map(|number| service.client(number)).collect::<Result<Vec<_>>>()?;
    for socket in &sockets {
        for _ in 0..EACH {
            socket.send(b"ordinary")?;
        }
    }
    service.wait_heard(0, EACH * u64::from(SOCKETS))?;
    director.wait_for_count(0, SOCKETS.into())?;

    director.add_server(1, 1)?;
    director.remove_server(0)?;
    for _ in 0..EACH {
        sockets[0].send(b"to nobody")?;
    }
    director.set("expire_nodest_conn", 1)?;
    sockets[0].send(b"to the other")?;
    service.wait_heard(1, 1)?;
    director.wait_for_count(1, 1)?;

    director.remove_server(1)?;
    let refused = service.client(SOCKETS)?;
    refused.send(b"refused")?;
    let error = wait::until("a refusal", || Ok(refused.take_error()?))?;
    ensure!(error.kind() == ErrorKind::ConnectionRefused, "refused by {error}");

    let events = finish(tracer)?;
    for number in 0..SOCKETS {
        director.told(&events, number, "scheduled").exactly(1)?;
    }
    let scheduled = director.all_told(&events, "scheduled");
    scheduled.exactly(SOCKETS.into())?.all_have("real", director.server(0).to_string())?;
    scheduled.all_have("protocol", "udp")?.all_have("weight", 1)?;
    director
        .told(&events, 0, "dropped")
        .exactly(EACH)?
        .all_have("real", director.server(0).to_string())?
        .all_have("available", false)?;
    let rescheduled = director.told(&events, 0, "rescheduled");
    rescheduled.exactly(1)?.all_have("real", director.server(1).to_string())?;
    director.told(&events, SOCKETS, "refused").without("real").exactly(1)?;
    director.all(&events).exactly(u64::from(SOCKETS) + EACH + 2)?;
    ensure!(service.heard(0)? == 0, "the removed server still hears");
    Ok(())
}

/// One-packet scheduling: every datagram is scheduled, and so told. Truth: the datagrams each server hears, and the
/// connections `ipvsadm` counts.
pub(super) fn one_packet(setting: &Setting) -> Result<()> {
    const DATAGRAMS: u64 = 10;
    let service = Datagrams::like(Plan { options: "--ops", ..Plan::UDP })?;
    let director = &service.director;
    director.add_server(0, 1)?;
    director.add_server(1, 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let socket = service.client(0)?;
    for _ in 0..DATAGRAMS {
        socket.send(b"each by itself")?;
    }
    for server in 0..2 {
        service.wait_heard(server.into(), DATAGRAMS / 2)?;
        director.wait_for_count(server, DATAGRAMS / 2)?;
    }
    let events = finish(tracer)?;
    director.told(&events, 0, "scheduled").exactly(DATAGRAMS)?;
    director.all(&events).exactly(DATAGRAMS)?;
    Ok(())
}

/// The defence against too many entries (`drop_packet`) drops first packets before a scheduler is asked. Truth: what
/// was sent and not heard by the server.
pub(super) fn overloaded(setting: &Setting) -> Result<()> {
    const DROPPED: usize = 5;
    let service = Datagrams::like(Plan::UDP)?;
    let director = &service.director;
    director.add_server(0, 1)?;
    // Always, and every second first packet; it takes the kernel up to a second to begin.
    director.set("am_droprate", 2)?;
    director.set("drop_packet", 3)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let (mut sent, mut heard) = (0, 0);
    wait::until("first packets to be dropped", || {
        service.client(sent)?.send(b"first")?;
        sent += 1;
        // The socket has room for some hundreds.
        heard += service.heard(0)?;
        Ok(tracer.has(|events| director.all_told(events, "dropped").count() >= DROPPED as u64).then_some(()))
    })?;
    let told = |kind: &str| tracer.ask(|events| director.all_told(events, kind).count());
    tracer.wait_for("every first packet", |events| director.all(events).count() >= sent.into())?;
    service.wait_heard(0, told("scheduled") - heard)?;
    let events = finish(tracer)?;
    let dropped = director.all_told(&events, "dropped").without("real");
    let scheduled = director.all_told(&events, "scheduled");
    scheduled.exactly(u64::from(sent) - dropped.count())?;
    director.all(&events).exactly(sent.into())?;
    director.wait_for_count(0, scheduled.count())
}
