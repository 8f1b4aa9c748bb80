//! The node's clocks.

use super::{Columns, Weight};
use crate::event::Clock;

pub(super) fn change(body: &Clock) -> Columns {
    let subject = body.to_string();
    Columns { kind: body.change.name(), weight: Weight::Notable, subject, ..Columns::default() }
}
