//! Decisions of IPVS. Truth: `ipvsadm`, and the clients' own counters of repeated SYNs.

mod datagram;
pub(super) mod finding;
mod forward;
mod gone;
mod late;
mod nested;
mod raw;
mod reuse;
pub(super) mod rollout;
mod screen;
mod service;
mod sticky;

use anyhow::Result;

pub(super) use self::reuse::drained_and_dialled;
use self::service::Service;
use super::{Case, Setting};
use crate::{need::Need, topology::Family, wait};

pub(super) const NEEDS: &[Need] = &[Need::FunctionHooks, Need::Nftables, Need::Ipvs];

pub(super) const CASES: &[Case] = &[
    // First: it has to unload the module, and namespaces of other cases hold it for a while after they are gone.
    Case {
        name: "ipvs-late-module",
        proves: "IPVS loaded after tracer started is picked up without a restart",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Ipvs, Need::IpvsUnloadable],
        run: late::late_module,
    },
    Case {
        name: "ipvs-scheduled",
        proves: "every new connection is told as scheduled, by real server as often as ipvsadm counts",
        needs: NEEDS,
        run: |setting| scheduled(setting, Family::V4, false),
    },
    Case {
        name: "ipvs-scheduled-conntrack",
        proves: "the same with net.ipv4.vs.conntrack=1",
        needs: NEEDS,
        run: |setting| scheduled(setting, Family::V4, true),
    },
    Case {
        name: "ipvs-scheduled-v6",
        proves: "the same over IPv6",
        needs: NEEDS,
        run: |setting| scheduled(setting, Family::V6, false),
    },
    Case {
        name: "ipvs-reused-drained",
        proves: "with conn_reuse_mode=0 reused source ports reach a drained server, each told as reused at weight 0",
        needs: NEEDS,
        run: |setting| reuse::reused(setting, Family::V4),
    },
    Case {
        name: "ipvs-reused-drained-v6",
        proves: "the same over IPv6",
        needs: NEEDS,
        run: |setting| reuse::reused(setting, Family::V6),
    },
    Case {
        name: "ipvs-screen",
        proves: "the IPVS screen counts the connections that reach a drained server, as the JSON of the same run",
        needs: &[Need::Terminal, Need::FunctionHooks, Need::Nftables, Need::Ipvs],
        run: screen::drained_but_dialled,
    },
    Case {
        name: "ipvs-screen-connection",
        proves: "a repeated SYN of a client on this node, opened, shows the drained server that its port was kept for",
        needs: &[Need::Terminal, Need::FunctionHooks, Need::Nftables, Need::Ipvs],
        run: screen::one_connection,
    },
    Case {
        name: "ipvs-rescheduled",
        proves: "with conn_reuse_mode=1 the same connections are rescheduled, none to the drained server",
        needs: NEEDS,
        run: reuse::rescheduled,
    },
    Case {
        name: "ipvs-delayed",
        proves: "a SYN dropped to get rid of an old entry is told as delayed, the next as scheduled",
        needs: NEEDS,
        run: reuse::delayed,
    },
    Case {
        name: "ipvs-dropped",
        proves: "every SYN towards a removed server is told as dropped",
        needs: NEEDS,
        run: gone::dropped,
    },
    Case {
        name: "ipvs-gone-rescheduled",
        proves: "with expire_nodest_conn=1 the entry of a removed server gives way, told as rescheduled",
        needs: NEEDS,
        run: gone::replaced,
    },
    Case {
        name: "ipvs-refused",
        proves: "a SYN for a service without servers is told as refused",
        needs: NEEDS,
        run: gone::refused,
    },
    Case {
        name: "ipvs-udp",
        proves: "of UDP, first datagrams are told, and those towards a removed server; ordinary ones never",
        needs: NEEDS,
        run: |setting| datagram::decisions(setting, Family::V4),
    },
    Case {
        name: "ipvs-udp-v6",
        proves: "the same over IPv6",
        needs: NEEDS,
        run: |setting| datagram::decisions(setting, Family::V6),
    },
    Case {
        name: "ipvs-udp-one-packet",
        proves: "with one-packet scheduling every datagram is told as scheduled",
        needs: NEEDS,
        run: datagram::one_packet,
    },
    Case {
        name: "ipvs-overloaded",
        proves: "first packets dropped by drop_packet, before any server is chosen, are told as dropped",
        needs: NEEDS,
        run: datagram::overloaded,
    },
    Case {
        name: "ipvs-sctp",
        proves: "of SCTP, INITs are told as scheduled, reused and dropped, and other chunks never",
        needs: NEEDS,
        run: raw::sctp,
    },
    Case {
        name: "ipvs-tunnel",
        proves: "connections to a tunnelled server are told as such",
        needs: NEEDS,
        run: forward::tunnel,
    },
    Case {
        name: "ipvs-direct",
        proves: "connections to a directly routed server are told as such",
        needs: NEEDS,
        run: forward::direct,
    },
    Case {
        name: "ipvs-persistent",
        proves: "connections of a persistent service are told once, with weight 0 once the server is drained",
        needs: NEEDS,
        run: sticky::persistent,
    },
    Case {
        name: "ipvs-fwmark",
        proves: "a service known by a firewall mark is told with its mark and with what was dialled",
        needs: NEEDS,
        run: sticky::marked_service,
    },
    Case {
        name: "ipvs-marked-packets",
        proves: "a mark on packets to a service known by its address is not taken for the service's",
        needs: NEEDS,
        run: sticky::marked_packets,
    },
    Case {
        name: "ipvs-nested",
        proves: "a packet that passes IPVS in two namespaces at once is told once in each",
        needs: NEEDS,
        run: nested::nested,
    },
    Case {
        name: "ipvs-rate",
        proves: "of thousands of new connections a second, as many are seen as ipvsadm counts, and accounted for",
        needs: NEEDS,
        run: raw::rate,
    },
];

/// Connections from fixed source ports to two servers in turn. Truth: the client's own ports, the weights given, and
/// `ipvsadm --stats` for each server.
fn scheduled(setting: &Setting, family: Family, conntrack: bool) -> Result<()> {
    const CONNECTIONS: u16 = 10;
    let service = Service::new(family, conntrack)?;
    service.add_server(0, 1)?;
    service.add_server(1, 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    for number in 0..CONNECTIONS {
        service.connect_and_close(number)?;
    }
    tracer.wait_for("every connection", |events| {
        service.all_told(events, "scheduled").count() >= CONNECTIONS.into()
    })?;
    let events = service::finish(tracer)?;
    for number in 0..CONNECTIONS {
        service.told(&events, number, "scheduled").exactly(1)?.all_have("weight", 1)?;
    }
    let scheduled = service.all_told(&events, "scheduled");
    scheduled.exactly(CONNECTIONS.into())?;
    for server in 0..2 {
        let told =
            service.all_told(&events, "scheduled").with("real", service.server(server).to_string()).count();
        wait::until("ipvsadm to count the connections", || {
            Ok((service.connections_counted(server)? == told).then_some(()))
        })?;
    }
    Ok(())
}
