//! Segments sent again, and retransmits found needless.

use std::fmt::Write as _;

use super::{Arrow, Columns, Facts, Weight, ends};
use crate::{
    event::{Container, Process, Retransmit, Undo},
    state::Ownership,
};

pub(super) fn segment(body: &Retransmit, whose: &Ownership<'_>, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    if let Some(error) = body.error {
        facts.add(format_args!("FAILED {error}"));
    }
    facts.add(format_args!("{}", body.tcp_state));
    if let Some(attempt) = body.attempt {
        facts.add(format_args!("attempt {attempt}"));
    }
    if body.segments > 1 {
        facts.add(format_args!("{} segments", body.segments));
    }
    if let Some(rto_us) = body.rto_us {
        facts.add(format_args!("rto {} ms", rto_us / 1_000));
    }
    if let Some(srtt_us) = body.srtt_us {
        facts.add(format_args!("srtt {}.{:03} ms", srtt_us / 1_000, srtt_us % 1_000));
    }
    if let Some(window) = body.congestion_window {
        facts.add(format_args!("cwnd {window}"));
    }
    let mut place = body.device.as_ref().map_or_else(String::new, |device| format!(" dev {device}"));
    if let Some(Process { id, command }) = whose.process {
        let _ = write!(place, " process {command}[{id}]");
    }
    if let Some(container) = whose.container.map(Container::label).filter(|label| !label.is_empty()) {
        let _ = write!(place, " container {container}");
    }
    let weight = if body.error.is_some() { Weight::Trouble } else { Weight::Usual };
    Columns { kind: body.kind.name(), weight, subject: ends(&body.flow, arrow), facts: facts.0, place }
}

pub(super) fn undo(body: &Undo, arrow: Arrow) -> Columns {
    let cause = if body.after_timeout { "timeout" } else { "fast retransmit" };
    let facts = format!("{}, needless {cause}, cwnd {}", body.tcp_state, body.congestion_window);
    Columns { kind: "undo", subject: ends(&body.flow, arrow), facts, ..Columns::default() }
}
