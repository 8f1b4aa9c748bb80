//! Servers that restart, are replaced and vanish, and clients that do not wait.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};

use super::{PORT, announce, pass, under_traffic};
use crate::{
    case::Setting,
    namespace::Namespace,
    topology::{Family, Segment, forward, lose, wire},
    traffic, wait,
};

const DEVICE: &str = Segment::DEVICE;

/// A node with three pods and a service that is translated to one of them, whoever dials.
pub(super) fn hairpin(setting: &Setting) -> Result<()> {
    const SERVICE: &str = "10.96.0.10";
    let node = Namespace::new("node")?;
    forward(&node)?;
    node.ip("link add cni0 type bridge")?;
    node.ip("address add 10.42.0.1/24 dev cni0")?;
    node.ip("link set cni0 up")?;
    node.nft(&format!(
        "table ip service {{
            chain prerouting {{ type nat hook prerouting priority -100;
                ip daddr {SERVICE} tcp dport 80 dnat to numgen inc mod 3 map {{ 0 : 10.42.0.10, 1 : 10.42.0.11, 2 : 10.42.0.12 }}:{PORT}; }}
            chain postrouting {{ type nat hook postrouting priority 100; ct status dnat masquerade; }}
        }}"
    ))?;
    let mut hosts = vec![node];
    for number in 0..3 {
        let pod = Namespace::new("pod")?;
        let port = format!("veth{number}");
        wire(&pod, "eth0", &hosts[0], &port)?;
        hosts[0].ip(&format!("link set {port} master cni0"))?;
        hosts[0].ip(&format!("link set {port} type bridge_slave hairpin on"))?;
        pod.ip(&format!("address add 10.42.0.1{number}/24 dev eth0"))?;
        pod.ip("route add default via 10.42.0.1")?;
        hosts.push(pod);
    }
    under_traffic(setting, &hosts, (&[], &[]), |crowd| {
        thread::scope(|scope| -> Result<()> {
            let play = || -> Result<()> {
                for (number, pod) in hosts[1..].iter().enumerate() {
                    let at = format!("10.42.0.1{number}:{PORT}").parse()?;
                    crowd.serve(scope, pod, at, 2)?;
                    crowd.call(scope, pod, format!("{SERVICE}:80").parse()?, 3);
                }
                pass(Duration::from_secs(20))
            };
            let played = play();
            crowd.end();
            played
        })
    })
}

/// Clients of a slow server that reset after 20 ms, or dial and go; a check of a closed port every second, and one of a port
/// that a filter hides, which waits for 900 ms.
pub(super) fn impatience(setting: &Setting) -> Result<()> {
    const CLOSED: u16 = 9;
    const HIDDEN: u16 = 10;
    let segment = Segment::new(&[1, 2])?;
    let hosts = &segment.hosts;
    let node = &hosts[0];
    // The third handshake packet of every fourth is lost too: the server repeats its SYN-ACK to somebody who is gone.
    lose(
        &hosts[1],
        DEVICE,
        &format!("tcp dport {HIDDEN} drop; tcp dport {} numgen inc mod 4 == 0", PORT + 1),
    )?;
    let _slow = traffic::listen(&hosts[1], Family::V4.at(2, PORT + 1))?;
    let ends = [(1, Family::V4, 2)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V4, 2)]), |_| {
        let from = Family::V4.at(1, 0);
        let mut pace = wait::Pace::new(Duration::from_millis(20));
        let mut checks = Vec::new();
        for turn in 0..25 * 50 {
            let dialling = traffic::dial(node, from, Family::V4.at(2, PORT + 1))?;
            if turn % 50 == 0 {
                checks.push(traffic::dial(node, from, Family::V4.at(2, CLOSED))?);
                checks.push(traffic::dial(node, from, Family::V4.at(2, HIDDEN))?);
            } else if turn % 50 == 45 {
                checks.clear();
            }
            pace.step();
            let _ = (&dialling).write(b"hurry");
            if turn % 3 == 0 { traffic::abort(dialling)? } else { drop(dialling) }
        }
        Ok(())
    })
}

/// A server that is away for a second every five: connections to it are refused, those it had are cut. A resolver that is
/// away for three seconds.
pub(super) fn restarts(setting: &Setting) -> Result<()> {
    const RESOLVER: u16 = 53;
    let segment = Segment::new(&[1, 2])?;
    let hosts = &segment.hosts;
    let (node, server) = (&hosts[0], &hosts[1]);
    let ends = [(1, Family::V6, 2)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V6, 2)]), |_| {
        let to = Family::V4.at(2, PORT);
        for _ in 0..4 {
            let listener = traffic::listen(server, to)?;
            let resolver = traffic::udp(server, Family::V4.at(2, RESOLVER))?;
            resolver.set_nonblocking(true)?;
            let mut kept = Vec::new();
            let mut pace = wait::Pace::new(Duration::from_millis(100));
            for _ in 0..40 {
                kept.push(traffic::connect(node, Family::V4.at(1, 0), to)?);
                kept.push(traffic::accept(&listener)?);
                traffic::knock(node, Family::V4.at(1, 0), Family::V4.at(2, RESOLVER))?;
                while resolver.recv(&mut [0; 64]).is_ok() {}
                pace.step();
            }
            drop(listener);
            drop(resolver);
            for turn in 0..30 {
                if turn < 10 {
                    let _ = traffic::dial(node, Family::V4.at(1, 0), to)?;
                }
                if turn == 0 {
                    kept.drain(..).try_for_each(traffic::abort)?;
                }
                traffic::knock(node, Family::V4.at(1, 0), Family::V4.at(2, RESOLVER))?;
                pace.step();
            }
        }
        Ok(())
    })
}

/// Each pod goes, in the middle of what was said to it, and two seconds later another has its address. Clients dial all of
/// them all the time, with a timeout of a second.
pub(super) fn rolling_pods(setting: &Setting) -> Result<()> {
    const PODS: std::ops::Range<u8> = 100..110;
    let segment = Segment::new(&[1, 2])?;
    let hosts = &segment.hosts;
    let node = &hosts[0];
    let start = |host: u8, turn: u8| -> Result<_> {
        let pod = Namespace::new("pod")?;
        pod.sysctl("net/ipv4/conf/default/arp_notify", "1")?;
        segment.plug(&pod, &format!("pod{turn}-{host}"), host)?;
        let listener = traffic::listen(&pod, Family::V4.at(host, PORT))?;
        announce(&pod, Family::V4.host(host))?;
        Ok((pod, listener))
    };
    let mut pods: Vec<_> = PODS.map(|host| start(host, 0)).collect::<Result<_>>()?;
    let ends = [(1, Family::V4, 2)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V4, 2)]), |crowd| {
        thread::scope(|scope| -> Result<()> {
            for host in PODS {
                scope.spawn(move || {
                    node.enter(|| {
                        while crowd.goes_on() {
                            let dialled = TcpStream::connect_timeout(
                                &Family::V4.at(host, PORT),
                                Duration::from_secs(1),
                            );
                            let mut pace = wait::Pace::new(Duration::from_millis(100));
                            if let Ok(mut stream) = dialled {
                                let _ = stream.write_all(b"word");
                                stream.set_read_timeout(Some(Duration::from_millis(300)))?;
                                let _ = stream.read(&mut [0]);
                                let _ = stream.write_all(b"word");
                            }
                            pace.step();
                        }
                        Ok(())
                    })
                });
            }
            let mut roll = || -> Result<()> {
                for (place, host) in PODS.enumerate() {
                    let (pod, listener) = pods.remove(place);
                    pod.ip(&format!("link del {DEVICE}"))?;
                    drop((pod, listener));
                    pass(Duration::from_secs(2))?;
                    pods.insert(place, start(host, 1)?);
                    pass(Duration::from_millis(500))?;
                }
                pass(Duration::from_secs(5))
            };
            let rolled = roll();
            crowd.end();
            rolled
        })
    })
}

/// Nothing was said on them lately. Their host goes without a word, and keepalive asks until it gives up.
pub(super) fn vanished_peers(setting: &Setting) -> Result<()> {
    const CONNECTIONS: usize = 200;
    let mut segment = Segment::new(&[1, 2, 3])?;
    let gone = segment.hosts.pop();
    let hosts = &segment.hosts;
    let node = &hosts[0];
    let ends = [(1, Family::V4, 2)];
    under_traffic(setting, hosts, (&ends, &[(0, Family::V4, 2)]), |_| {
        let Some(gone) = gone else { return Ok(()) };
        let to = Family::V4.at(3, PORT);
        let listener = traffic::listen(&gone, to)?;
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = traffic::connect(node, Family::V4.at(1, 0), to)?;
            setsockopt(&connection, sockopt::KeepAlive, &true)?;
            setsockopt(&connection, sockopt::TcpKeepIdle, &2)?;
            setsockopt(&connection, sockopt::TcpKeepInterval, &2)?;
            setsockopt(&connection, sockopt::TcpKeepCount, &4)?;
            idle.push((connection, traffic::accept(&listener)?));
        }
        gone.ip(&format!("link del {DEVICE}"))?;
        drop((gone, listener));
        let began = Instant::now();
        wait::until("keepalive to give up", || {
            let ended = |connection: &TcpStream| connection.take_error().ok().flatten().is_some();
            let all = idle.iter().all(|(connection, _)| ended(connection) || connection.peer_addr().is_err());
            Ok((all || began.elapsed() > Duration::from_secs(25)).then_some(()))
        })
    })
}
