//! Segments sent again, and retransmits found needless.

use serde::Serialize;

use super::{AsText, TupleObject};
use crate::{
    event::{Failure, FailureName, Retransmit, TcpState, Text, Undo},
    state::Ownership,
};

/// Milliseconds, with decimals only where there are any.
#[derive(Serialize)]
#[serde(untagged)]
enum Milliseconds {
    Whole(u64),
    Fractional(f64),
}

impl Milliseconds {
    fn from_us(microseconds: u64) -> Self {
        if microseconds.is_multiple_of(1_000) {
            return Self::Whole(microseconds / 1_000);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "timeouts are minutes at most, far below 2^53 microseconds"
        )]
        let exact = microseconds as f64;
        Self::Fractional(exact / 1_000.0)
    }
}

#[derive(Serialize)]
pub(super) struct RetransmitObject<'a> {
    kind: &'static str,
    #[serde(flatten)]
    flow: TupleObject,
    state: AsText<TcpState>,
    segments: u32,
    sequence: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rto_ms: Option<Milliseconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    srtt_us: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwnd: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_name: Option<AsText<FailureName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
}

impl<'a> RetransmitObject<'a> {
    pub(super) fn new(body: &'a Retransmit, whose: &Ownership<'a>) -> Self {
        let &Ownership { process, container, .. } = whose;
        Self {
            kind: body.kind.name(),
            flow: TupleObject::of_tcp(&body.flow),
            state: AsText(body.tcp_state),
            segments: body.segments,
            sequence: body.sequence,
            attempt: body.attempt,
            rto_ms: body.rto_us.map(Milliseconds::from_us),
            srtt_us: body.srtt_us,
            cwnd: body.congestion_window,
            error: body.error.map(Failure::code),
            error_name: body.error.and_then(Failure::name).map(AsText),
            dev: body.device.as_ref().map(Text::as_str),
            process: process.map(|process| process.command.as_str()),
            pid: process.map(|process| process.id),
            cgroup: body.cgroup_id,
            container: container.map(|container| container.name.as_str()).filter(|name| !name.is_empty()),
            container_id: container.map(|container| container.id.as_str()).filter(|id| !id.is_empty()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct UndoObject {
    #[serde(flatten)]
    flow: TupleObject,
    state: AsText<TcpState>,
    after: &'static str,
    cwnd: u32,
}

impl From<&Undo> for UndoObject {
    fn from(body: &Undo) -> Self {
        Self {
            flow: TupleObject::of_tcp(&body.flow),
            state: AsText(body.tcp_state),
            after: if body.after_timeout { "timeout" } else { "fast" },
            cwnd: body.congestion_window,
        }
    }
}
