//! A virtual service with real servers behind it.

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};

use crate::{
    expect::{Events, Selection},
    topology::{Cluster, Family, lose},
    tracer::Tracer,
    traffic,
};

const PORT: u16 = 80;
const FIRST_CLIENT_PORT: u16 = 42_000;

/// The director's service, round robin and masquerading, without servers at first; and what listens on both servers.
pub(super) struct Service {
    pub(super) cluster: Cluster,
    family: Family,
    listeners: [TcpListener; 2],
}

impl Service {
    /// Makes the network and the service; `conntrack` says whether IPVS tells conntrack of its connections.
    pub(super) fn new(family: Family, conntrack: bool) -> Result<Self> {
        let cluster = Cluster::new()?;
        if conntrack {
            // A rule about connections switches tracking on.
            cluster.director.nft(
                "table inet track { chain in { type filter hook input priority 0; ct state new counter; }; \
                 chain forward { type filter hook forward priority 0; ct state new counter; }; }",
            )?;
        }
        let at = |server| SocketAddr::new(Cluster::server_address(family, server), PORT);
        let listeners =
            [traffic::listen(&cluster.servers[0], at(0))?, traffic::listen(&cluster.servers[1], at(1))?];
        let service = Self { cluster, family, listeners };
        service.add_to_director()?;
        service.set("conntrack", i32::from(conntrack))?;
        service.set("conn_reuse_mode", 1)?;
        service.set("expire_nodest_conn", 0)?;
        Ok(service)
    }

    fn add_to_director(&self) -> Result<()> {
        self.ipvsadm(&format!("--add-service --tcp-service {} --scheduler rr", self.address()))?;
        Ok(())
    }

    /// Sets a parameter of `net.ipv4.vs`, which IPv6 shares.
    pub(super) fn set(&self, name: &str, value: i32) -> Result<()> {
        self.cluster.director.sysctl(&format!("net/ipv4/vs/{name}"), &value.to_string())
    }

    /// The virtual address and port.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(Cluster::virtual_address(self.family), PORT)
    }

    /// A server's address and port.
    pub(super) fn server(&self, number: u8) -> SocketAddr {
        SocketAddr::new(Cluster::server_address(self.family, number), PORT)
    }

    /// The address and port of the client's connection of that number.
    pub(super) fn client(&self, number: u16) -> SocketAddr {
        SocketAddr::new(Cluster::client_address(self.family), FIRST_CLIENT_PORT + number)
    }

    pub(super) fn add_server(&self, number: u8, weight: u32) -> Result<()> {
        self.server_command("--add-server", number, &format!("--masquerading --weight {weight}"))
    }

    pub(super) fn set_weight(&self, number: u8, weight: u32) -> Result<()> {
        self.server_command("--edit-server", number, &format!("--masquerading --weight {weight}"))
    }

    pub(super) fn remove_server(&self, number: u8) -> Result<()> {
        self.server_command("--delete-server", number, "")
    }

    fn server_command(&self, command: &str, number: u8, options: &str) -> Result<()> {
        let (service, server) = (self.address(), self.server(number));
        self.ipvsadm(&format!("{command} --tcp-service {service} --real-server {server} {options}"))?;
        Ok(())
    }

    fn ipvsadm(&self, arguments: &str) -> Result<String> {
        self.cluster.director.run("ipvsadm", arguments)
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

    /// Accepts a connection at whichever server it reached, and closes it as
    /// [`connect_and_close`](Self::connect_and_close) does.
    pub(super) fn close(&self, connection: TcpStream) -> Result<()> {
        let [one, other] = &self.listeners;
        drop(traffic::accept_any(&[one, other])?);
        traffic::wait_closed(connection)?;
        traffic::settle(&self.cluster.client)?;
        for server in &self.cluster.servers {
            traffic::settle(server)?;
        }
        Ok(())
    }

    /// What the director tells of all connections to the service, with a decision.
    pub(super) fn all_told<'a>(&self, events: &'a Events, decision: &str) -> Selection<'a> {
        events
            .of("ipvs", &self.cluster.director)
            .with("virtual", self.address().to_string())
            .with("decision", decision)
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
