//! ICMP errors, and packets that go round.

use super::{Arrow, Columns, Facts, Weight, ends};
use crate::event::{Direction, Duplicate, Icmp, IcmpClass, Quoted};

pub(super) fn error(body: &Icmp, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    match (body.direction, body.sender) {
        (Direction::Out, _) => facts.add(format_args!("sent")),
        (Direction::In, Some(sender)) => facts.add(format_args!("from {sender}")),
        (Direction::In, None) => facts.add(format_args!("received")),
    }
    if let Some(about) = &body.about {
        facts.add(format_args!("ttl {}", about.ttl));
    }
    if let Some(mtu_bytes) = body.mtu_bytes {
        facts.add(format_args!("mtu {mtu_bytes}"));
    }
    facts.add(format_args!("{} type {} code {}", body.protocol, body.icmp_type, body.icmp_code));
    Columns {
        kind: body.meaning(),
        weight: match body.class() {
            IcmpClass::TimeExceeded => Weight::Trouble,
            IcmpClass::Unreachable | IcmpClass::TooBig | IcmpClass::Other => Weight::Notable,
        },
        subject: body
            .about
            .as_ref()
            .map_or_else(|| "a packet cut short".to_owned(), |about| quoted(about, arrow)),
        facts: facts.0,
        place: body.device.as_ref().map_or_else(String::new, |device| format!(" dev {device}")),
    }
}

fn quoted(about: &Quoted, arrow: Arrow) -> String {
    let Quoted { flow, has_ports, .. } = about;
    if *has_ports {
        return format!("{} {}", ends(flow, arrow), flow.protocol);
    }
    format!("{} {arrow} {} {}", flow.source.ip(), flow.destination.ip(), flow.protocol)
}

pub(super) fn duplicate(body: &Duplicate, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    facts.add(format_args!("ttl {}, before {}, first {}", body.ttl, body.previous_ttl, body.first_ttl));
    facts.add(format_args!("{} times", body.times));
    if let Some(ip_id) = body.ip_id {
        facts.add(format_args!("id {ip_id}"));
    }
    Columns {
        kind: "goes-round",
        weight: Weight::Trouble,
        subject: format!("{} {}", ends(&body.flow, arrow), body.flow.protocol),
        facts: facts.0,
        place: format!(" dev {}", body.device),
    }
}
