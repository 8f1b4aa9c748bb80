//! Decisions of connection tracking.

use super::{Arrow, Columns, Facts, Weight, ends};
use crate::event::{Conntrack, ConntrackEvent};

pub(super) fn decision(body: &Conntrack, arrow: Arrow) -> Columns {
    let subject = body
        .original
        .map_or_else(|| "no entry".to_owned(), |flow| format!("{} {}", ends(&flow, arrow), flow.protocol));
    let mut facts = Facts::default();
    if let Some(reply) = &body.reply {
        facts.add(format_args!("answered as {}", ends(reply, arrow)));
    }
    if let Some(state) = body.tcp_state {
        facts.add(format_args!("entry in {state}"));
    }
    if body.mark != 0 {
        facts.add(format_args!("mark {:#x}", body.mark));
    }
    if body.zone != 0 {
        facts.add(format_args!("zone {}", body.zone));
    }
    let weight = match body.event {
        ConntrackEvent::TableFull | ConntrackEvent::InsertFailed => Weight::Trouble,
        ConntrackEvent::Reused => Weight::Notable,
        ConntrackEvent::Reopened | ConntrackEvent::SynRepeated | ConntrackEvent::ClashResolved => {
            Weight::Usual
        }
    };
    Columns { kind: body.event.name(), weight, subject, facts: facts.0, ..Columns::default() }
}
