//! Moments the user marked, the node's clocks, and what a session lacks.

use super::{Columns, Weight};
use crate::event::{Clock, Gap, Text};

pub(super) fn change(body: &Clock) -> Columns {
    let subject = body.to_string();
    Columns { kind: body.change.name(), weight: Weight::Notable, subject, ..Columns::default() }
}

pub(super) fn gap(body: &Gap) -> Columns {
    let subject = body.to_string();
    Columns { kind: "unrecorded", weight: Weight::Trouble, subject, ..Columns::default() }
}

pub(super) fn marker(text: &Text) -> Columns {
    Columns { kind: "user", subject: text.to_string(), ..Columns::default() }
}
