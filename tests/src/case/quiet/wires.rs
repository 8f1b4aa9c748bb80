//! Paths that are slow and lossy, that change, and that take small packets only.

use std::{io::Write as _, net::IpAddr, time::Duration};

use anyhow::Result;

use super::{PORT, pass, under_traffic};
use crate::{
    case::Setting,
    namespace::Namespace,
    topology::{FAR, Family, NEAR, Routers, Segment, give},
    traffic, wait,
    weather::{Weather, Wire},
};

/// As over a bad radio link: many short connections and a long transfer.
pub(super) fn slow_path(setting: &Setting) -> Result<()> {
    const DEVICES: [&str; 2] = ["near0", "far0"];
    let hosts = [Namespace::new("near")?, Namespace::new("far")?];
    let weather = Weather { delay: Duration::from_millis(50), lost_permille: 50, late_permille: 100 };
    let _wire = Wire::new((&hosts[0], DEVICES[0]), (&hosts[1], DEVICES[1]), weather)?;
    for (host, device, number) in [(&hosts[0], DEVICES[0], NEAR), (&hosts[1], DEVICES[1], FAR)] {
        give(host, device, Family::V4.host(number), 24)?;
        give(host, device, Family::V6.host(number), 64)?;
    }
    let served = Family::BOTH.map(|family| (1, family, FAR));
    let dialled: Vec<_> =
        std::iter::repeat_n(Family::BOTH, 6).flatten().map(|family| (0, family, FAR)).collect();
    under_traffic(setting, &hosts, (&served, &dialled), |crowd| {
        let to = Family::V4.at(FAR, PORT + 1);
        let listener = traffic::listen(&hosts[1], to)?;
        let mut sender = traffic::connect(&hosts[0], Family::V4.at(NEAR, 0), to)?;
        let mut receiver = traffic::accept(&listener)?;
        std::thread::scope(|scope| {
            scope.spawn(move || std::io::copy(&mut receiver, &mut std::io::sink()));
            let mut pace = wait::Pace::new(Duration::from_millis(100));
            for _ in 0..300 {
                sender.write_all(&[0; 2_000])?;
                pace.step();
            }
            drop(sender);
            anyhow::ensure!(crowd.goes_on(), "it ended by itself");
            Ok(())
        })
    })
}

/// The host's cable is put in another port of the switch, as when a virtual machine moves: hardware address and addresses
/// stay.
pub(super) fn bridge_moves(setting: &Setting) -> Result<()> {
    const HARDWARE: &str = "02:77:00:00:0a:01";
    const DEVICE: &str = Segment::DEVICE;
    let segment = Segment::new(&[1, 2, 3])?;
    let hosts = &segment.hosts;
    let moving = &hosts[2];
    moving.ip(&format!("link set {DEVICE} address {HARDWARE}"))?;
    let ends = Family::BOTH.map(|family| (1, family, 2));
    under_traffic(setting, hosts, (&ends, &[(0, Family::V4, 2), (0, Family::V6, 2)]), |_| {
        let mut pace = wait::Pace::new(Duration::from_millis(250));
        for turn in 0..6 {
            let listener = traffic::listen(moving, Family::V4.at(3, PORT))?;
            let mut dials = Vec::new();
            for _ in 0..12 {
                dials.push(traffic::dial(&hosts[0], Family::V4.at(1, 0), Family::V4.at(3, PORT))?);
                pace.step();
            }
            drop(listener);
            moving.ip(&format!("link del {DEVICE}"))?;
            segment.plug(moving, &format!("moved{turn}"), 3)?;
            moving.ip(&format!("link set {DEVICE} address {HARDWARE}"))?;
        }
        Ok(())
    })
}

/// The second router's way is narrow: it tells who sends large packets, IPv4 and IPv6, again and again, as the clients
/// forget it. Datagrams that may be cut are cut.
pub(super) fn fragments(setting: &Setting) -> Result<()> {
    let routers = Routers::new()?;
    for family in Family::BOTH {
        routers.repair(family)?;
    }
    let narrow = |device: &str, namespace: &Namespace| namespace.ip(&format!("link set {device} mtu 1300"));
    narrow(Routers::EAST, &routers.near)?;
    narrow(Routers::WEST, &routers.far)?;
    let Routers { client, near, far } = routers;
    let hosts = [client, near, far];
    under_traffic(setting, &hosts, (&[], &[]), |_| {
        for _ in 0..4 {
            for family in Family::BOTH {
                let to: IpAddr = Routers::beyond(family);
                let listener = traffic::listen(&hosts[2], (to, PORT).into())?;
                let from = (Routers::client_address(family), 0).into();
                let mut sender = traffic::connect(&hosts[0], from, (to, PORT).into())?;
                let receiver = traffic::accept(&listener)?;
                sender.write_all(&vec![0; 100_000])?;
                drop(sender);
                std::io::copy(&mut &receiver, &mut std::io::sink())?;
                let socket = traffic::udp_to(&hosts[0], from, (to, PORT).into())?;
                for _ in 0..20 {
                    let _ = socket.send(&[0; 1_400]);
                }
            }
            pass(Duration::from_secs(1))?;
            hosts[0].ip("route flush cache")?;
        }
        Ok(())
    })
}
