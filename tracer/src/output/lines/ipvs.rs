//! Decisions of IPVS.

use super::{Arrow, Columns, Facts, Weight};
use crate::event::{Ipvs, IpvsDecision, IpvsForward};

pub(super) fn decision(body: &Ipvs, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    match (body.real, body.weight) {
        (Some(real), Some(weight)) => facts.add(format_args!("real {real} weight {weight}")),
        (Some(real), None) => facts.add(format_args!("real {real}")),
        (None, _) => facts.add(format_args!("no real server")),
    }
    match body.forward {
        None | Some(IpvsForward::Nat) => {}
        Some(IpvsForward::Local) => facts.add(format_args!("on this node")),
        Some(IpvsForward::Tunnel) => facts.add(format_args!("by tunnel")),
        Some(IpvsForward::Direct) => facts.add(format_args!("routed directly")),
        Some(IpvsForward::Bypass) => facts.add(format_args!("sent on where it was addressed")),
    }
    if body.persistent {
        facts.add(format_args!("persistent"));
    }
    if let Some(mark) = body.firewall_mark {
        facts.add(format_args!("mark {mark}"));
    }
    if body.weight.is_some() && !body.available {
        facts.add(format_args!("server removed"));
    }
    if let Some(state) = body.connection_state {
        facts.add(format_args!("entry in {state}"));
    }
    facts.add(format_args!("reuse_mode {}", body.reuse_mode));
    facts.add(format_args!("expire_nodest {}", body.expire_nodest));
    let weight = match body.decision {
        IpvsDecision::Delayed | IpvsDecision::Dropped | IpvsDecision::Refused => Weight::Trouble,
        IpvsDecision::Reused if body.weight == Some(0) => Weight::Trouble,
        IpvsDecision::Reused | IpvsDecision::Rescheduled => Weight::Notable,
        IpvsDecision::Scheduled => Weight::Usual,
    };
    let subject = format!("{} {arrow} {} {}", body.client, body.virtual_service, body.protocol);
    Columns { kind: body.decision.name(), weight, subject, facts: facts.0, ..Columns::default() }
}
