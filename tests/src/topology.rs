//! Networks cases are played in.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::Result;

use crate::{namespace::Namespace, wait};

/// The address family a case is played in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Host `host` of the one subnet of [`Pair`] and [`Segment`].
    pub fn host(self, host: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 77, 0, host).into(),
            Self::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, host.into()).into(),
        }
    }

    /// Host and port.
    pub fn at(self, host: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.host(host), port)
    }

    /// Its name below `/proc/sys/net`.
    pub fn directory(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Host number of the near namespace of a [`Pair`].
pub const NEAR: u8 = 1;
/// Host number of the far namespace.
pub const FAR: u8 = 2;
/// Host number nobody has; the near namespace has a permanent neighbour entry for it, so frames to it leave and
/// nobody takes them.
pub const NOBODY: u8 = 99;
/// Host number nobody has and nobody knows.
pub const UNKNOWN: u8 = 98;
/// The near namespace's device in a [`Pair`].
pub const NEAR_DEVICE: &str = "near0";
/// The far namespace's device in a [`Pair`].
pub const FAR_DEVICE: &str = "far0";

/// Two namespaces on one wire, with IPv4 and IPv6 addresses: `near0` with 10.77.0.1 and
/// `fd77::1`, `far0` with 10.77.0.2 and `fd77::2`.
#[derive(Debug)]
pub struct Pair {
    /// Where connections begin.
    pub near: Namespace,
    /// Where they go.
    pub far: Namespace,
}

impl Pair {
    /// Makes both and the wire between them.
    pub fn new() -> Result<Self> {
        let pair = Self { near: Namespace::new("near")?, far: Namespace::new("far")? };
        wire(&pair.near, NEAR_DEVICE, &pair.far, FAR_DEVICE)?;
        join(&pair.near, NEAR_DEVICE, NEAR)?;
        join(&pair.far, FAR_DEVICE, FAR)?;
        for family in Family::BOTH {
            let nobody = family.host(NOBODY);
            pair.near.ip(&format!(
                "neigh replace {nobody} lladdr 02:00:00:00:00:99 nud permanent dev {NEAR_DEVICE}"
            ))?;
        }
        Ok(pair)
    }

    /// From now on the far namespace drops what matches `rule` (nftables) before its stack sees it. The sender cannot
    /// tell it from a lossy wire.
    pub fn lose_at_far(&self, rule: &str) -> Result<()> {
        lose(&self.far, FAR_DEVICE, rule)
    }

    /// As [`lose_at_far`](Self::lose_at_far), in the other direction.
    pub fn lose_at_near(&self, rule: &str) -> Result<()> {
        lose(&self.near, NEAR_DEVICE, rule)
    }
}

/// Drops what matches `rule` as it comes in by `device`.
pub fn lose(namespace: &Namespace, device: &str, rule: &str) -> Result<()> {
    namespace.nft(&format!(
        "table netdev loss {{ chain ingress {{ type filter hook ingress device {device} priority 0; {rule} drop; }}; }}"
    ))
}

/// Ends every loss [`lose`] began in the namespace.
pub fn heal(namespace: &Namespace) -> Result<()> {
    namespace.nft("delete table netdev loss")
}

/// Several namespaces on one bridge, each with a device `host0`, a hardware address of its own, and addresses.
#[derive(Debug)]
pub struct Segment {
    /// The namespaces, in the order of the hosts asked for.
    pub hosts: Vec<Namespace>,
    switch: Namespace,
}

impl Segment {
    /// The device in every namespace.
    pub const DEVICE: &'static str = "host0";

    /// A namespace for each of `hosts`: its host number. The same number twice makes two owners of one address.
    pub fn new(hosts: &[u8]) -> Result<Self> {
        let switch = Namespace::new("switch")?;
        switch.ip("link add bridge0 type bridge")?;
        switch.ip("link set bridge0 up")?;
        let mut segment = Self { hosts: Vec::new(), switch };
        for (index, &host) in hosts.iter().enumerate() {
            let namespace = Namespace::new(&format!("host{index}"))?;
            segment.plug(&namespace, &format!("port{index}"), host)?;
            segment.hosts.push(namespace);
        }
        Ok(segment)
    }

    /// Wires one more namespace to the bridge, by the port of that name, and gives it the addresses of a host number.
    pub fn plug(&self, namespace: &Namespace, port: &str, host: u8) -> Result<()> {
        wire(namespace, Self::DEVICE, &self.switch, port)?;
        self.switch.ip(&format!("link set {port} master bridge0"))?;
        join(namespace, Self::DEVICE, host)
    }
}

/// A client, a director that owns a virtual address, and two servers behind it which reply through it.
#[derive(Debug)]
pub struct Cluster {
    /// Who dials.
    pub client: Namespace,
    /// The node in the middle: the one traced.
    pub director: Namespace,
    /// The real servers.
    pub servers: [Namespace; 2],
}

impl Cluster {
    /// The virtual address.
    pub fn virtual_address(family: Family) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::new(10, 9, 9, 9).into(),
            Family::V6 => Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 9).into(),
        }
    }

    /// The client's address.
    pub fn client_address(family: Family) -> IpAddr {
        subnet_host(family, 0, 2)
    }

    /// The address of server 0 or 1.
    pub fn server_address(family: Family, server: u8) -> IpAddr {
        subnet_host(family, server + 1, 2)
    }

    /// Makes all four. The virtual addresses live on the director's `lo`.
    pub fn new() -> Result<Self> {
        let cluster = Self {
            client: Namespace::new("client")?,
            director: Namespace::new("director")?,
            servers: [Namespace::new("server0")?, Namespace::new("server1")?],
        };
        let director = &cluster.director;
        director.sysctl("net/ipv4/ip_forward", "1")?;
        director.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        for family in Family::BOTH {
            let (address, bits) = (Self::virtual_address(family), host_bits(family));
            give(director, "lo", address, bits)?;
        }
        for (subnet, member) in (0_u8..).zip([&cluster.client, &cluster.servers[0], &cluster.servers[1]]) {
            let device = format!("member{subnet}");
            wire(member, "member0", director, &device)?;
            for family in Family::BOTH {
                let bits = host_bits(family) - 8;
                let (gateway, address) = (subnet_host(family, subnet, 1), subnet_host(family, subnet, 2));
                give(director, &device, gateway, bits)?;
                give(member, "member0", address, bits)?;
                member.ip(&format!("route add default via {gateway}"))?;
            }
        }
        Ok(cluster)
    }

    /// Gives the servers the virtual address and a wire to the client, by which they reply past the director (IPv4).
    pub fn reply_past_director(&self) -> Result<()> {
        let Self { client, director: _, servers } = self;
        let family = Family::V4;
        let (address, client_address) = (Self::virtual_address(family), Self::client_address(family));
        for (number, server) in servers.iter().enumerate() {
            wire(server, "past0", client, &format!("past{number}"))?;
            server.ip(&format!("address add {address}/32 dev lo"))?;
            server.ip(&format!("route add {client_address}/32 dev past0"))?;
        }
        for namespace in [client, &servers[0], &servers[1]] {
            take_from_anywhere(namespace, "member0")?;
        }
        for number in 0..servers.len() {
            take_from_anywhere(client, &format!("past{number}"))?;
        }
        Ok(())
    }
}

/// A client behind two routers in a row, and an address behind the second that no host has. The second router sends
/// what is for it back to the first: a loop, until [`repair`](Self::repair).
#[derive(Debug)]
pub struct Routers {
    /// Who dials.
    pub client: Namespace,
    /// The client's router.
    pub near: Namespace,
    /// The router behind that.
    pub far: Namespace,
}

impl Routers {
    /// The near router's device towards the client.
    pub const NORTH: &'static str = "north0";
    /// The near router's device towards the far one.
    pub const EAST: &'static str = "east0";
    /// The far router's device towards the near one.
    pub const WEST: &'static str = "west0";

    /// The client's address.
    pub fn client_address(family: Family) -> IpAddr {
        subnet_host(family, 4, 2)
    }

    /// The near router's address towards the client.
    pub fn near_address(family: Family) -> IpAddr {
        subnet_host(family, 4, 1)
    }

    /// The far router's address.
    pub fn far_address(family: Family) -> IpAddr {
        subnet_host(family, 5, 2)
    }

    /// The address behind the far router.
    pub fn beyond(family: Family) -> IpAddr {
        subnet_host(family, 6, 9)
    }

    /// Makes all three.
    pub fn new() -> Result<Self> {
        let routers = Self {
            client: Namespace::new("client")?,
            near: Namespace::new("near")?,
            far: Namespace::new("far")?,
        };
        let Self { client, near, far } = &routers;
        for router in [near, far] {
            forward(router)?;
        }
        wire(client, "client0", near, Self::NORTH)?;
        wire(near, Self::EAST, far, Self::WEST)?;
        for family in Family::BOTH {
            let bits = host_bits(family) - 8;
            let across = subnet_host(family, 5, 1);
            give(client, "client0", Self::client_address(family), bits)?;
            give(near, Self::NORTH, Self::near_address(family), bits)?;
            give(near, Self::EAST, across, bits)?;
            give(far, Self::WEST, Self::far_address(family), bits)?;
            client.ip(&format!("route add default via {}", Self::near_address(family)))?;
            near.ip(&format!(
                "route add {}/{} via {}",
                Self::beyond(family),
                host_bits(family),
                Self::far_address(family)
            ))?;
            far.ip(&format!("route add default via {across}"))?;
        }
        Ok(routers)
    }

    /// A third router, behind the far one and before the near one: without the address, the three make a ring.
    pub fn ring(&self, family: Family) -> Result<Namespace> {
        let third = Namespace::new("third")?;
        forward(&third)?;
        wire(&self.far, "south0", &third, "from0")?;
        wire(&third, "on0", &self.near, "back0")?;
        let bits = host_bits(family) - 8;
        let prefix = format!("{}/{}", Self::beyond(family), host_bits(family));
        for (subnet, (before, device), (after, other_device)) in
            [(7, (&self.far, "south0"), (&third, "from0")), (8, (&third, "on0"), (&self.near, "back0"))]
        {
            for (router, device, host) in [(before, device, 1), (after, other_device, 2)] {
                give(router, device, subnet_host(family, subnet, host), bits)?;
            }
            before.ip(&format!("route add {prefix} via {}", subnet_host(family, subnet, 2)))?;
        }
        Ok(third)
    }

    /// Gives the far router the address, which ends the loop.
    pub fn repair(&self, family: Family) -> Result<()> {
        give(&self.far, "lo", Self::beyond(family), host_bits(family))
    }
}

/// Makes a namespace forward packets, whichever way it would send to their source, and send no redirects: those share
/// a rate limit with the errors cases count.
pub fn forward(namespace: &Namespace) -> Result<()> {
    namespace.sysctl("net/ipv4/ip_forward", "1")?;
    namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    for scope in ["all", "default"] {
        namespace.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
        namespace.sysctl(&format!("net/ipv4/conf/{scope}/send_redirects"), "0")?;
    }
    Ok(())
}

/// Lets whoever dials from a namespace repeat a SYN so many times and no more: after 1 s, 3 s, 7 s and so on, on kernels that
/// would repeat the first ones every second too.
pub fn repeat_syns(namespace: &Namespace, times: u32) -> Result<()> {
    const LINEAR: &str = "net/ipv4/tcp_syn_linear_timeouts";
    namespace.sysctl("net/ipv4/tcp_syn_retries", &times.to_string())?;
    if namespace.has_sysctl(LINEAR)? {
        namespace.sysctl(LINEAR, "0")?;
    }
    Ok(())
}

/// Makes a namespace take packets from a device whichever way it would send to their source (IPv4).
pub fn take_from_anywhere(namespace: &Namespace, device: &str) -> Result<()> {
    for scope in ["all", device] {
        namespace.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
    }
    Ok(())
}

/// Gives a device that is up an address of a prefix of so many bits. It is usable once this returns: without the search for
/// duplicates, an IPv6 address is still made local in a work queue (`addrconf_dad_work`, 6.18), and until then packets to it
/// are rejected, on a loopback device too.
pub fn give(namespace: &Namespace, device: &str, address: IpAddr, bits: u8) -> Result<()> {
    let nodad = if address.is_ipv4() { "" } else { " nodad" };
    namespace.ip(&format!("address add {address}/{bits} dev {device}{nodad}"))?;
    wait::until("the address to be local", || {
        let route = namespace.ip(&format!("route get {address}"));
        Ok(route.is_ok_and(|route| route.starts_with("local ")).then_some(()))
    })
}

/// Bits of a network that is one address.
pub fn host_bits(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

fn subnet_host(family: Family, subnet: u8, host: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 78, subnet, host).into(),
        Family::V6 => Ipv6Addr::new(0xfd78, subnet.into(), 0, 0, 0, 0, 0, host.into()).into(),
    }
}

/// A veth pair, one end in each namespace, both up.
pub fn wire(one: &Namespace, device: &str, other: &Namespace, other_device: &str) -> Result<()> {
    one.ip(&format!("link add {device} type veth peer name {other_device} netns {}", other.name()))?;
    one.ip(&format!("link set {device} up"))?;
    other.ip(&format!("link set {other_device} up"))?;
    Ok(())
}

/// Gives a device the addresses of a host number.
fn join(namespace: &Namespace, device: &str, host: u8) -> Result<()> {
    give(namespace, device, Family::V4.host(host), 24)?;
    give(namespace, device, Family::V6.host(host), 64)
}

/// The hardware address of a device, as `ip` writes it.
pub fn hardware_address(namespace: &Namespace, device: &str) -> Result<String> {
    let link = namespace.ip(&format!("-oneline link show dev {device}"))?;
    link.split_whitespace()
        .skip_while(|&word| word != "link/ether")
        .nth(1)
        .map(str::to_owned)
        .ok_or_else(|| anyhow::anyhow!("{device} has no hardware address: {link}"))
}
