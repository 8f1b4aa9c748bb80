//! Proposals to the neighbour table, and claims of addresses.

use super::{Columns, Facts, Weight};
use crate::event::{Claim, Direction, Neighbour, Verdict};

pub(super) fn proposal(body: &Neighbour) -> Columns {
    let mut facts = Facts::default();
    match (body.verdict, body.proposed, body.previous) {
        (Verdict::Changed, Some(new), Some(old)) => facts.add(format_args!("now {new}, was {old}")),
        (Verdict::Ignored, Some(new), Some(old)) => facts.add(format_args!("{new} ignored, keeps {old}")),
        (Verdict::Failed, _, Some(old)) => facts.add(format_args!("gone, was {old}")),
        (Verdict::Failed, ..) => facts.add(format_args!("no answer")),
        (_, Some(new), _) => facts.add(format_args!("at {new}")),
        (_, None, Some(old)) => facts.add(format_args!("at {old}")),
        (_, None, None) => {}
    }
    facts.add(format_args!("{} to {}", body.old_state, body.new_state));
    if body.by_netlink {
        facts.add(format_args!("by netlink"));
    }
    let weight = match body.verdict {
        Verdict::Changed | Verdict::Ignored => Weight::Notable,
        Verdict::Failed => Weight::Trouble,
        Verdict::Learned | Verdict::Confirmed => Weight::Usual,
    };
    Columns {
        kind: body.verdict.name(),
        weight,
        subject: body.address.to_string(),
        facts: facts.0,
        place: format!(" dev {}", body.device),
    }
}

pub(super) fn claim(body: &Claim) -> Columns {
    let subject = match body.hardware_address {
        Some(hardware) => format!("{} at {hardware}", body.address),
        None => body.address.to_string(),
    };
    let facts = match body.direction {
        Direction::In => format!("heard, to {}", body.target),
        Direction::Out => format!("said by this node, to {}", body.target),
    };
    Columns {
        kind: body.operation.name(),
        subject,
        facts,
        place: format!(" dev {}", body.device),
        ..Columns::default()
    }
}
