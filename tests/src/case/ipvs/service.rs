//! A virtual service with real servers behind it.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Deref,
};

use anyhow::{Context, Result, ensure};

use crate::{
    expect::{Events, Selection},
    topology::{Cluster, Family, lose},
    tracer::Tracer,
    traffic, wait,
};

pub(super) const PORT: u16 = 80;
const FIRST_CLIENT_PORT: u16 = 42_000;

/// What a service is like.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) family: Family,
    /// As `ipvsadm` names it: `tcp`, `udp` or `sctp`.
    pub(super) protocol: &'static str,
    /// Whether IPVS tells conntrack of its connections.
    pub(super) conntrack: bool,
    /// The firewall mark the service is known by, which packets to the virtual address are given.
    pub(super) mark: Option<u32>,
    /// The scheduler.
    pub(super) scheduler: &'static str,
    /// More options of the service.
    pub(super) options: &'static str,
    /// How packets get to the real servers, as an option.
    pub(super) forward: &'static str,
}

impl Plan {
    pub(super) const TCP: Self = Self {
        family: Family::V4,
        protocol: "tcp",
        conntrack: false,
        mark: None,
        scheduler: "rr",
        options: "",
        forward: "--masquerading",
    };
    pub(super) const UDP: Self = Self { protocol: "udp", ..Self::TCP };

    /// Made in a network, round robin, without servers at first.
    pub(super) fn set_up(self, cluster: Cluster) -> Result<Director> {
        if let Some(mark) = self.mark {
            mark_packets(&cluster, mark)?;
        }
        if self.conntrack {
            // A rule about connections switches tracking on.
            cluster.director.nft(
                "table inet track { chain in { type filter hook input priority 0; ct state new counter; }; \
                 chain forward { type filter hook forward priority 0; ct state new counter; }; }",
            )?;
        }
        let director = Director { cluster, plan: self };
        let (service, scheduler, options) = (director.service(), self.scheduler, self.options);
        director.ipvsadm(&format!("--add-service {service} --scheduler {scheduler} {options}"))?;
        director.set("conntrack", i32::from(self.conntrack))?;
        director.set("conn_reuse_mode", 1)?;
        director.set("expire_nodest_conn", 0)?;
        Ok(director)
    }
}

/// From now on packets to the virtual address bear a firewall mark.
pub(super) fn mark_packets(cluster: &Cluster, mark: u32) -> Result<()> {
    let address = Cluster::virtual_address(Family::V4);
    cluster.director.nft(&format!(
        "table ip marks {{ chain in {{ type filter hook prerouting priority mangle; \
         ip daddr {address} meta mark set {mark}; }}; }}"
    ))
}

/// A director with a virtual service.
pub(super) struct Director {
    pub(super) cluster: Cluster,
    plan: Plan,
}

impl Director {
    /// Sets a parameter of `net.ipv4.vs`, which IPv6 shares.
    pub(super) fn set(&self, name: &str, value: i32) -> Result<()> {
        self.cluster.director.sysctl(&format!("net/ipv4/vs/{name}"), &value.to_string())
    }

    /// The virtual address and port.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(Cluster::virtual_address(self.plan.family), PORT)
    }

    /// A server's address and port.
    pub(super) fn server(&self, number: u8) -> SocketAddr {
        SocketAddr::new(Cluster::server_address(self.plan.family, number), PORT)
    }

    /// The address and port of the client's connection of that number.
    pub(super) fn client(&self, number: u16) -> SocketAddr {
        SocketAddr::new(Cluster::client_address(self.plan.family), FIRST_CLIENT_PORT + number)
    }

    /// The service as `ipvsadm` is told of it.
    fn service(&self) -> String {
        let Plan { mark, protocol, .. } = self.plan;
        mark.map_or_else(
            || format!("--{protocol}-service {}", self.address()),
            |mark| format!("--fwmark-service {mark}"),
        )
    }

    pub(super) fn add_server(&self, number: u8, weight: u32) -> Result<()> {
        self.server_command("--add-server", number, &format!("{} --weight {weight}", self.plan.forward))
    }

    pub(super) fn set_weight(&self, number: u8, weight: u32) -> Result<()> {
        self.server_command("--edit-server", number, &format!("{} --weight {weight}", self.plan.forward))
    }

    pub(super) fn remove_server(&self, number: u8) -> Result<()> {
        self.server_command("--delete-server", number, "")
    }

    fn server_command(&self, command: &str, number: u8, options: &str) -> Result<()> {
        let server = match self.plan.mark {
            // A service known by a mark has no port of its own: the one that was dialled is kept.
            Some(_) => SocketAddr::new(self.server(number).ip(), 0),
            None => self.server(number),
        };
        self.ipvsadm(&format!("{command} {} --real-server {server} {options}", self.service()))?;
        Ok(())
    }

    /// Runs `ipvsadm` on the director.
    pub(super) fn ipvsadm(&self, arguments: &str) -> Result<String> {
        self.cluster.director.run("ipvsadm", arguments)
    }

    /// What the director tells of all connections to the service.
    pub(super) fn all<'a>(&self, events: &'a Events) -> Selection<'a> {
        events.of("ipvs", &self.cluster.director).with("virtual", self.address().to_string())
    }

    /// What it tells of them with a decision.
    pub(super) fn all_told<'a>(&self, events: &'a Events, decision: &str) -> Selection<'a> {
        self.all(events).with("decision", decision)
    }

    /// What it tells of the client's connection of that number.
    pub(super) fn told<'a>(&self, events: &'a Events, number: u16, decision: &str) -> Selection<'a> {
        self.all_told(events, decision).with("client", self.client(number).to_string())
    }

    /// How many connections IPVS itself counted for a server. Its counters lag by a second or two.
    pub(super) fn connections_counted(&self, number: u8) -> Result<u64> {
        let table = self.ipvsadm("--list --numeric --stats --exact")?;
        connections(&table, self.server(number))
    }

    /// Waits until IPVS has counted that many connections for a server.
    pub(super) fn wait_for_count(&self, number: u8, expected: u64) -> Result<()> {
        let mut counted = 0;
        wait::until("ipvsadm to count the connections", || {
            counted = self.connections_counted(number)?;
            Ok((counted == expected).then_some(()))
        })
        .with_context(|| format!("counted {counted} for server {number}, expected {expected}"))
    }
}

/// A service over TCP, and what listens on both servers.
pub(super) struct Service {
    director: Director,
    listeners: [TcpListener; 2],
}

impl Deref for Service {
    type Target = Director;

    fn deref(&self) -> &Director {
        &self.director
    }
}

impl Service {
    /// Makes the network and the service; `conntrack` says whether IPVS tells conntrack of its connections.
    pub(super) fn new(family: Family, conntrack: bool) -> Result<Self> {
        Self::like(Plan { family, conntrack, ..Plan::TCP })
    }

    /// Makes the network and the service.
    pub(super) fn like(plan: Plan) -> Result<Self> {
        let director = plan.set_up(Cluster::new()?)?;
        let servers = &director.cluster.servers;
        let listeners = [
            traffic::listen(&servers[0], director.server(0))?,
            traffic::listen(&servers[1], director.server(1))?,
        ];
        Ok(Self { director, listeners })
    }

    /// The same where servers reply past the director, which only sees what the client sends.
    pub(super) fn direct() -> Result<Self> {
        let cluster = Cluster::new()?;
        cluster.reply_past_director()?;
        let director = Plan { forward: "--gatewaying", ..Plan::TCP }.set_up(cluster)?;
        let servers = &director.cluster.servers;
        let listeners = [
            traffic::listen(&servers[0], director.address())?,
            traffic::listen(&servers[1], director.address())?,
        ];
        Ok(Self { director, listeners })
    }

    /// From now on a server hears nothing.
    pub(super) fn silence(&self, number: usize) -> Result<()> {
        lose(&self.cluster.servers[number], "member0", "meta l4proto tcp")
    }

    /// Starts the client's connection of that number.
    pub(super) fn dial(&self, number: u16) -> Result<TcpStream> {
        traffic::dial(&self.cluster.client, self.client(number), self.address())
    }

    /// Plays one connection; the server closes first, so that IPVS keeps the entry in TIME_WAIT and the client's port
    /// is free at once.
    pub(super) fn connect_and_close(&self, number: u16) -> Result<()> {
        let connection = traffic::wait_connected(self.dial(number)?)?;
        self.close(connection)
    }

    /// As [`connect_and_close`](Self::connect_and_close) for the numbers up to `count`, at once. Returns how many each
    /// server accepted.
    pub(super) fn connect_and_close_all(&self, count: u16) -> Result<[u64; 2]> {
        let dialled = (0..count).map(|number| self.dial(number)).collect::<Result<Vec<_>>>()?;
        let connections = dialled.into_iter().map(traffic::wait_connected).collect::<Result<Vec<_>>>()?;
        let mut accepted = [0; 2];
        for _ in &connections {
            accepted[self.accept()?] += 1;
        }
        connections.into_iter().try_for_each(traffic::wait_closed)?;
        self.settle()?;
        Ok(accepted)
    }

    /// Accepts a connection at whichever server it reached, and closes it as
    /// [`connect_and_close`](Self::connect_and_close) does.
    pub(super) fn close(&self, connection: TcpStream) -> Result<()> {
        self.accept()?;
        traffic::wait_closed(connection)?;
        self.settle()
    }

    /// Accepts a connection at whichever server it reached, which is returned, and closes it there.
    fn accept(&self) -> Result<usize> {
        let [one, other] = &self.listeners;
        let accepted = traffic::accept_any(&[one, other])?;
        Ok(usize::from(accepted.local_addr()? != self.server(0)))
    }

    fn settle(&self) -> Result<()> {
        traffic::settle(&self.cluster.client)?;
        for server in &self.cluster.servers {
            traffic::settle(server)?;
        }
        Ok(())
    }
}

/// The `Conns` column of a real server in the output of `ipvsadm --list --stats`.
fn connections(table: &str, server: SocketAddr) -> Result<u64> {
    let server = server.to_string();
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<&str>>())
        .find(|words| words.first() == Some(&"->") && words.get(1) == Some(&server.as_str()))
        .and_then(|words| words.get(2)?.parse().ok())
        .with_context(|| format!("ipvsadm does not count {server}: {table}"))
}

/// Ends the run; every event has to be accounted for and none missing.
pub(super) fn finish(tracer: Tracer) -> Result<Events> {
    let run = tracer.stop()?;
    let accounting = run.events.accounting("ipvs")?;
    accounting.balances()?;
    ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    Ok(run.events)
}

#[cfg(test)]
mod tests {
    use super::connections;

    #[test]
    fn the_connections_of_a_server_are_read_from_ipvsadm() {
        let table = "IP Virtual Server version 1.2.1 (size=4096)\n\
                     Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n\
                     \u{20} -> RemoteAddress:Port\n\
                     TCP  10.9.9.9:80                        10       50       40     2600     2120\n\
                     \u{20} -> 10.78.1.2:80                        6       25       20     1300     1060\n\
                     \u{20} -> [fd78:2::2]:80                      4       25       20     1300     1060\n";
        assert_eq!(connections(table, "10.78.1.2:80".parse().unwrap()).unwrap(), 6);
        assert_eq!(connections(table, "[fd78:2::2]:80".parse().unwrap()).unwrap(), 4);
        assert!(connections(table, "10.78.9.9:80".parse().unwrap()).is_err());
    }
}
