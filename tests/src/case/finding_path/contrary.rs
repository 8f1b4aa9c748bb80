//! What looks like a loop or an outage and is none.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use super::{PORT, only_findings, trace_in};
use crate::{
    case::{Case, Setting, note},
    need::Need,
    topology::{FAR, Family, NEAR, Pair, Routers, Segment},
    traffic, wait,
};

pub(in super::super) const CASES: &[Case] = &[
    Case {
        name: "quiet-random-loss",
        proves: "1 % random loss under short connections and a long transfer is no finding",
        needs: &[Need::Nftables],
        run: random_loss,
    },
    Case {
        name: "quiet-port-scan",
        proves: "500 filtered ports and 200 absent addresses that are dialled once each are no finding",
        needs: &[Need::Nftables],
        run: scan,
    },
    Case {
        name: "quiet-trace-route",
        proves: "probes whose TTL is meant to run out, by UDP and TCP, are no finding",
        needs: &[],
        run: trace_route,
    },
    Case {
        name: "quiet-pods-end",
        proves: "hosts that end under their connections are no finding",
        needs: &[],
        run: pods_end,
    },
];

/// Several connect, say a word, hear one and close, over and over; two more keep sending.
fn random_loss(setting: &Setting) -> Result<()> {
    const LASTS: Duration = Duration::from_mins(1);
    const DIALLERS: usize = 12;
    const BULK: u16 = PORT + 1;
    let pair = Pair::new()?;
    let Pair { near, far } = &pair;
    pair.lose_at_far("numgen random mod 100 < 1")?;
    pair.lose_at_near("numgen random mod 100 < 1")?;
    let (short, bulk) = (Family::V4.at(FAR, PORT), Family::V6.at(FAR, BULK));
    let listeners = [traffic::listen(far, short)?, traffic::listen(far, bulk)?];
    let tracer = setting.trace(&[])?;
    let (done, connections) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| -> Result<()> {
        let (done, connections) = (&done, &connections);
        for listener in &listeners {
            for _ in 0..4 {
                scope.spawn(move || serve(listener, done));
            }
        }
        for dialler in 0..DIALLERS {
            let to = if dialler < 2 { bulk } else { short };
            scope.spawn(move || near.enter(|| dial_on(to, dialler < 2, connections, done)));
        }
        let began = Instant::now();
        let lasted =
            wait::until_within(
                LASTS * 2,
                "a minute of loss",
                || Ok((began.elapsed() >= LASTS).then_some(())),
            );
        done.store(true, Ordering::Relaxed);
        lasted
    })?;
    let made = connections.into_inner();
    note(&format!("{}: {made} connections in {} s", setting.case, LASTS.as_secs()));
    let run = tracer.stop()?;
    ensure!(made > 1_000, "only {made} connections were made");
    ensure!(!run.events.of("retransmit", near).is_empty(), "nothing was lost");
    only_findings(&run, &[near, far], &[])
}

/// Answers whoever comes, one at a time, until it is done.
fn serve(listener: &TcpListener, done: &AtomicBool) -> Result<()> {
    const WAITS: TimeVal = TimeVal::new(1, 0);
    listener.set_nonblocking(false)?;
    setsockopt(listener, sockopt::ReceiveTimeout, &WAITS).context("set SO_RCVTIMEO")?;
    let mut heard = vec![0; 65_536];
    while !done.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else { continue };
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        while let Ok(length @ 1..) = stream.read(&mut heard) {
            if length == 1 && stream.write_all(b"!").is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Dials until it is done, and sends a word or as much as it can.
fn dial_on(to: SocketAddr, is_bulk: bool, connections: &AtomicU64, done: &AtomicBool) -> Result<()> {
    let payload = vec![0; 65_536];
    while !done.load(Ordering::Relaxed) {
        let mut stream = match TcpStream::connect(to) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::TimedOut => continue,
            Err(error) => return Err(error).with_context(|| format!("connect to {to}")),
        };
        connections.fetch_add(1, Ordering::Relaxed);
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        if is_bulk {
            while !done.load(Ordering::Relaxed) && stream.write_all(&payload).is_ok() {}
        } else if stream.write_all(b"?").is_ok() {
            // Whether the answer was lost is nobody's business here.
            let _ = stream.read(&mut [0]);
        }
    }
    Ok(())
}

/// Each dial waits for ten seconds, as a patient scanner does.
fn scan(setting: &Setting) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const QUIET: Duration = Duration::from_secs(5);
    let pair = Pair::new()?;
    let near = &pair.near;
    pair.lose_at_far("tcp dport 10000-10499")?;
    // A router takes what is for them and says nothing.
    let absent = |host: u8| IpAddr::from(Ipv4Addr::new(10, 88, 0, host));
    near.ip("route add 10.88.0.0/24 via 10.77.0.2")?;
    pair.lose_at_far("ip daddr 10.88.0.0/24")?;
    let tracer = trace_in(setting, near)?;
    let mut dials = Vec::new();
    let mut pace = wait::Pace::new(Duration::from_millis(10));
    near.enter(|| {
        for port in 10_000..10_500 {
            dials.push(traffic::dial_here(Family::V4.at(NEAR, 0), Family::V4.at(FAR, port))?);
            pace.step();
        }
        for host in 1..=200 {
            dials.push(traffic::dial_here(Family::V4.at(NEAR, 0), (absent(host), PORT).into())?);
            pace.step();
        }
        Ok(())
    })?;
    let dialled = Instant::now();
    wait::until("the scanner to lose patience", || Ok((dialled.elapsed() >= PATIENCE).then_some(())))?;
    drop(dials);
    wait::until("a while", || Ok((dialled.elapsed() >= PATIENCE + QUIET).then_some(())))?;
    let run = tracer.stop()?;
    ensure!(
        run.events.of("retransmit", near).with("kind", "syn").count() > 700,
        "the SYNs were not repeated"
    );
    run.only_findings(&[])
}

/// Probes with a TTL of 1 and 2, again and again: the second router has no route onward but back.
fn trace_route(setting: &Setting) -> Result<()> {
    const ROUNDS: u16 = 30;
    const PROBES: u16 = 3;
    let routers = Routers::new()?;
    let family = Family::V4;
    routers.repair(family)?;
    let tracer = setting.trace(&[])?;
    let to = Routers::beyond(family);
    let mut pace = wait::Pace::new(Duration::from_millis(300));
    routers.client.enter(|| {
        for round in 0..ROUNDS {
            for probe in 0..PROBES {
                let port = 33_434 + round * PROBES + probe;
                let socket = UdpSocket::bind((Routers::client_address(family), 0))?;
                socket.set_ttl(1)?;
                socket.send_to(b"probe", (to, port))?;
                let dialling = traffic::prepare_here((Routers::client_address(family), 0).into())?;
                setsockopt(&dialling, sockopt::Ipv4Ttl, &1).context("set IP_TTL")?;
                traffic::connect_prepared(std::os::fd::AsRawFd::as_raw_fd(&dialling), (to, 80).into())?;
            }
            pace.step();
        }
        Ok(())
    })?;
    let run = tracer.stop()?;
    ensure!(!run.events.of("icmp", &routers.near).is_empty(), "no probe died");
    only_findings(&run, &[&routers.client, &routers.near, &routers.far], &[])
}

/// One after the other, each with a connection that has something to say; another dials it when it is gone.
fn pods_end(setting: &Setting) -> Result<()> {
    const PODS: usize = 4;
    const QUIET: Duration = Duration::from_secs(12);
    // Nobody else has these: an address that another has is not gone.
    let hosts: Vec<u8> = (141..=145).collect();
    let mut segment = Segment::new(&hosts)?;
    let tracer = setting.trace(&[])?;
    let mut connections = Vec::new();
    for pod in (1..=PODS).rev() {
        let to = Family::V4.at(hosts[pod], PORT);
        let client = &segment.hosts[0];
        let listener = traffic::listen(&segment.hosts[pod], to)?;
        let mut connection = traffic::connect(client, Family::V4.at(hosts[0], 0), to)?;
        let accepted = traffic::accept(&listener)?;
        // Its device goes first, as it does when a runtime takes the network away.
        segment.hosts[pod].ip(&format!("link del {}", Segment::DEVICE))?;
        connection.write_all(b"too late")?;
        let late = traffic::dial(&segment.hosts[0], Family::V4.at(hosts[0], 0), to)?;
        drop((listener, accepted));
        drop(segment.hosts.pop());
        connections.push((connection, late));
    }
    let ended = Instant::now();
    wait::until("a while", || Ok((ended.elapsed() >= QUIET).then_some(())))?;
    let run = tracer.stop()?;
    ensure!(!run.events.of("retransmit", &segment.hosts[0]).is_empty(), "nothing was repeated");
    only_findings(&run, &segment.hosts.iter().collect::<Vec<_>>(), &[])
}
