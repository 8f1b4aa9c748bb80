//! Decisions of connection tracking.

use serde::Serialize;

use super::{TupleObject, is_zero};
use crate::event::Conntrack;

#[derive(Serialize)]
pub(super) struct ConntrackObject {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<TupleObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<TupleObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_state: Option<&'static str>,
    #[serde(skip_serializing_if = "is_zero")]
    mark: u32,
    #[serde(skip_serializing_if = "is_zero")]
    zone: u32,
}

impl From<&Conntrack> for ConntrackObject {
    fn from(body: &Conntrack) -> Self {
        Self {
            event: body.event.name(),
            original: body.original.as_ref().map(TupleObject::with_protocol),
            reply: body.reply.as_ref().map(TupleObject::with_protocol),
            tcp_state: body.tcp_state,
            mark: body.mark,
            zone: u32::from(body.zone),
        }
    }
}
