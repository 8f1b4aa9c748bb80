//! The node's clocks, and what a session lacks.

use super::{Columns, Weight};
use crate::event::{Clock, Gap};

pub(super) fn change(body: &Clock) -> Columns {
    let subject = body.to_string();
    Columns { kind: body.change.name(), weight: Weight::Notable, subject, ..Columns::default() }
}

pub(super) fn gap(body: &Gap) -> Columns {
    let subject = body.to_string();
    Columns { kind: "unrecorded", weight: Weight::Trouble, subject, ..Columns::default() }
}
