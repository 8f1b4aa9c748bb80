//! Hosts that sleep, come and go, move, and change their addresses.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{PORT, announce, pass, under_traffic};
use crate::{
    case::Setting,
    namespace::Namespace,
    topology::{Family, Segment},
    traffic, wait,
};

const DEVICE: &str = Segment::DEVICE;

/// The node dials two hosts; one of them sleeps for six seconds, twice. The node looks for it every two seconds meanwhile.
pub(super) fn sleeping_neighbour(setting: &Setting) -> Result<()> {
    /// Looked for until then: on a slow machine less often, for a look of three seconds ends in a failure.
    const ASLEEP: Duration = Duration::from_secs(5);
    let segment = Segment::new(&[1, 2, 3])?;
    let hosts = &segment.hosts;
    let (node, sleeper) = (&hosts[0], &hosts[2]);
    let awake = [(1, Family::V4, 2), (1, Family::V6, 2)];
    let dialled = [(0, Family::V4, 2), (0, Family::V6, 2)];
    under_traffic(setting, hosts, (&awake, &dialled), |_| {
        let listener = traffic::listen(sleeper, Family::V4.at(3, PORT))?;
        for _ in 0..2 {
            drop(traffic::connect(node, Family::V4.at(1, 0), Family::V4.at(3, PORT))?);
            sleeper.ip(&format!("link set {DEVICE} down"))?;
            let asleep = Instant::now();
            while asleep.elapsed() < ASLEEP {
                node.ip(&format!("neigh flush dev {DEVICE}"))?;
                let looking = traffic::dial(node, Family::V4.at(1, 0), Family::V4.at(3, PORT))?;
                pass(Duration::from_secs(2))?;
                drop(looking);
            }
            sleeper.ip(&format!("link set {DEVICE} up"))?;
            pass(Duration::from_secs(2))?;
        }
        drop(listener);
        Ok(())
    })
}

/// The node takes a new address every two seconds, checks that nobody has it, and gives an old one up four seconds later.
pub(super) fn private_addresses(setting: &Setting) -> Result<()> {
    let segment = Segment::new(&[1, 2])?;
    let hosts = &segment.hosts;
    let node = &hosts[0];
    for host in hosts {
        for name in ["all", "default", DEVICE] {
            host.sysctl(&format!("net/ipv6/conf/{name}/accept_dad"), "1")?;
        }
        host.sysctl(&format!("net/ipv6/conf/{DEVICE}/ndisc_notify"), "1")?;
    }
    let ends = [(1, Family::V6, 2), (1, Family::V4, 2)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V6, 2), (0, Family::V4, 2)]), |_| {
        let address = |turn: u16| IpAddr::from([0xfd77, 0, 0, 0, 0xa1b2, 0xc3d4, 0xe5f6, turn]);
        for turn in 0..12_u16 {
            node.ip(&format!("address add {}/64 dev {DEVICE}", address(turn)))?;
            if let Some(old) = turn.checked_sub(2) {
                node.ip(&format!("address del {}/64 dev {DEVICE}", address(old)))?;
            }
            pass(Duration::from_secs(2))?;
        }
        Ok(())
    })
}

/// Twenty containers start at once, each with an address that one of the storm before had; each is talked to, and ends.
pub(super) fn container_storm(setting: &Setting) -> Result<()> {
    const CONTAINERS: u8 = 20;
    let segment = Segment::new(&[1, 2])?;
    let hosts = &segment.hosts;
    let node = &hosts[0];
    under_traffic(setting, hosts, (&[(1, Family::V4, 2)], &[(0, Family::V4, 2)]), |_| {
        for storm in 0..4 {
            let start = |number: u8| -> Result<()> {
                let host = 100 + number;
                let container = Namespace::new("storm")?;
                container.sysctl("net/ipv4/conf/default/arp_notify", "1")?;
                segment.plug(&container, &format!("storm{storm}-{number}"), host)?;
                let listener = traffic::listen(&container, Family::V4.at(host, PORT))?;
                announce(&container, Family::V4.host(host))?;
                let connection = traffic::connect(node, Family::V4.at(1, 0), Family::V4.at(host, PORT))?;
                let accepted = traffic::accept(&listener)?;
                // They end as they come, some in the middle of a word.
                container.ip(&format!("link del {DEVICE}"))?;
                if number.is_multiple_of(4) {
                    use std::io::Write as _;
                    let _ = (&connection).write(b"too late");
                }
                drop((accepted, container));
                pass(Duration::from_secs(1))
            };
            thread::scope(|scope| {
                let starting: Vec<_> =
                    (0..CONTAINERS).map(|number| scope.spawn(move || start(number))).collect();
                starting
                    .into_iter()
                    .try_for_each(|one| one.join().map_err(|_| anyhow::anyhow!("a container panicked"))?)
            })?;
            pass(Duration::from_secs(3))?;
        }
        Ok(())
    })
}

/// The node has an address by DHCP and gets another one, twice. It keeps nothing of what went by the old one, and a server
/// that has something to say to the old one says it in vain.
pub(super) fn new_lease(setting: &Setting) -> Result<()> {
    use std::io::Write as _;
    let segment = Segment::new(&[1, 2])?;
    let hosts = &segment.hosts;
    let (node, server) = (&hosts[0], &hosts[1]);
    let ends = [(1, Family::V6, 2)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V6, 2)]), |_| {
        let listener = traffic::listen(server, Family::V4.at(2, PORT))?;
        let mut kept = Vec::new();
        for (old, new) in [(1, 11), (11, 21), (21, 1)] {
            for _ in 0..10 {
                let connection = traffic::connect(node, Family::V4.at(old, 0), Family::V4.at(2, PORT))?;
                kept.push((connection, traffic::accept(&listener)?));
            }
            node.ip(&format!("address del {}/24 dev {DEVICE}", Family::V4.host(old)))?;
            node.ip(&format!("address add {}/24 dev {DEVICE}", Family::V4.host(new)))?;
            announce(node, Family::V4.host(new))?;
            for (connection, _) in &mut kept {
                let _ = connection.write(b"from an address that is gone");
            }
            pass(Duration::from_secs(8))?;
        }
        Ok(())
    })
}

/// Two hosts with one address between them: the one that takes it over has it before the other knows, and announces it five
/// times. Back and forth twice a minute, and a time in between at which the backup is told to take over and the master comes
/// back at once.
pub(super) fn virtual_router(setting: &Setting) -> Result<()> {
    const SHARED: u8 = 50;
    let segment = Segment::new(&[1, 2, 3])?;
    let hosts = &segment.hosts;
    let address = Family::V4.host(SHARED);
    let on_wire = format!("{address}/32 dev {DEVICE}");
    hosts[1].ip(&format!("address add {on_wire}"))?;
    let any: IpAddr = std::net::Ipv4Addr::UNSPECIFIED.into();
    let _listeners = [1, 2].map(|host| traffic::listen(&hosts[host], (any, PORT).into()));
    let ends = [(1, Family::V6, 2), (2, Family::V6, 3)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V6, 2), (0, Family::V6, 3)]), |crowd| {
        let mut owner = 1;
        for seconds in [9, 2, 14, 9] {
            let next = 3 - owner;
            hosts[next].ip(&format!("address add {on_wire}"))?;
            announce(&hosts[next], address)?;
            // The other hears of it, and goes.
            let mut pace = wait::Pace::new(Duration::from_millis(100));
            pace.step();
            hosts[owner].ip(&format!("address del {on_wire}"))?;
            for _ in 1..5 {
                announce(&hosts[next], address)?;
            }
            owner = next;
            let mut pace = wait::Pace::new(Duration::from_millis(250));
            for turn in 0..seconds * 4 {
                // Clients, that forget it now and then.
                if turn % 4 == 3 {
                    hosts[0].ip(&format!("neigh flush dev {DEVICE}"))?;
                }
                let dialled = traffic::dial(&hosts[0], Family::V4.at(1, 0), (address, PORT).into());
                pace.step();
                drop(dialled);
            }
            if !crowd.goes_on() {
                break;
            }
        }
        Ok(())
    })
}
