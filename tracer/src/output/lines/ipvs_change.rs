//! Changes of what IPVS is configured to do.

use super::{Arrow, Columns, Facts, Weight};
use crate::event::{IpvsChange, IpvsChangeKind};

pub(super) fn change(body: &IpvsChange, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    match (body.from, body.to) {
        (Some(from), Some(to)) => facts.add(format_args!("from {from} to {to}")),
        (None, Some(weight)) => facts.add(format_args!("weight {weight}")),
        (Some(weight), None) => facts.add(format_args!("had weight {weight}")),
        (None, None) => {}
    }
    if let Some(scheduler) = &body.scheduler {
        facts.add(format_args!("scheduler {scheduler}"));
    }
    if let Some(forwarding) = body.forwarding {
        facts.add(format_args!("{}", forwarding.name()));
    }
    if body.namespace_ends {
        facts.add(format_args!("with its network namespace"));
    }
    if body.by_comparison {
        facts.add(format_args!("found by comparison"));
    }
    let drains = body.to == Some(0) || (body.change == IpvsChangeKind::Removed && body.real.is_some());
    let subject = match body.real {
        Some(real) => format!("{} {arrow} {real}", body.service),
        None => body.service.to_string(),
    };
    Columns {
        kind: body.change.name(),
        weight: if drains { Weight::Notable } else { Weight::Usual },
        subject,
        facts: facts.0,
        ..Columns::default()
    }
}
