//! One JSON object an event. Field names and words are a contract with those who parse them.

use std::{fmt, io};

use serde::{Serialize, Serializer, ser::SerializeMap};
use tracer_common::record::RecordKind;

use super::context::{Context, Shown};
use crate::{
    event::{
        Body, Claim, Conntrack, Endpoints, Event, Failure, FailureName, HookStatus, Ipvs, Neighbour, Process,
        Retransmit, Timestamp, Undo,
    },
    probe::table,
};

/// Appends what there is to print of an event, each object with a line feed.
pub(super) fn append(buffer: &mut Vec<u8>, context: &Context, event: &Event, shown: Shown) -> io::Result<()> {
    match shown {
        Shown::Nothing => Ok(()),
        Shown::Ready => object(buffer, event, "ready", ReadyObject::new(context)),
        Shown::Stats => object(buffer, event, "stats", StatsObject(context)),
        Shown::Event => append_event(buffer, context, event),
    }
}

fn append_event(buffer: &mut Vec<u8>, context: &Context, event: &Event) -> io::Result<()> {
    let name = event.body.kind().name();
    match &event.body {
        Body::Retransmit(body) => {
            let process = context.process(body.process.as_ref(), body.socket_inode);
            object(buffer, event, name, RetransmitObject::new(body, process))
        }
        Body::Undo(body) => object(buffer, event, name, UndoObject::from(body)),
        Body::Neighbour(body) => object(buffer, event, name, NeighbourObject::from(body)),
        Body::Claim(body) => object(buffer, event, name, ClaimObject::from(body)),
        Body::Conntrack(body) => object(buffer, event, name, ConntrackObject::from(body)),
        Body::Ipvs(body) => object(buffer, event, name, IpvsObject::from(body)),
        Body::HookStatus(body) => object(buffer, event, "hook", HookObject::from(body)),
        Body::Stats(_) | Body::Owner(_) | Body::Node { .. } | Body::Ready => Ok(()),
    }
}

fn object(buffer: &mut Vec<u8>, event: &Event, name: &'static str, body: impl Serialize) -> io::Result<()> {
    let whole = Whole { name, time: Time(event.time), netns: event.netns, body };
    serde_json::to_writer(&mut *buffer, &whole)?;
    buffer.push(b'\n');
    Ok(())
}

/// What every object starts with, and its own fields.
#[derive(Serialize)]
struct Whole<T> {
    #[serde(rename = "type")]
    name: &'static str,
    time: Time,
    #[serde(skip_serializing_if = "is_zero")]
    netns: u32,
    #[serde(flatten)]
    body: T,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Wall-clock time as RFC 3339 with nanoseconds, in UTC.
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0.wall_ns));
        serializer.collect_str(&format_args!("{:.9}", time.unwrap_or_default()))
    }
}

/// A value printed as its text.
struct AsText<T>(T);

impl<T: fmt::Display> Serialize for AsText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Two ends, with the protocol where the type of the event does not tell it.
#[derive(Serialize)]
struct TupleObject {
    src: AsText<std::net::IpAddr>,
    sport: u16,
    dst: AsText<std::net::IpAddr>,
    dport: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<AsText<crate::event::Protocol>>,
}

impl TupleObject {
    fn of_tcp(ends: &Endpoints) -> Self {
        Self { protocol: None, ..Self::with_protocol(ends) }
    }

    fn with_protocol(ends: &Endpoints) -> Self {
        Self {
            src: AsText(ends.source.ip()),
            sport: ends.source.port(),
            dst: AsText(ends.destination.ip()),
            dport: ends.destination.port(),
            protocol: Some(AsText(ends.protocol)),
        }
    }
}

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
struct RetransmitObject<'a> {
    kind: &'static str,
    #[serde(flatten)]
    flow: TupleObject,
    state: AsText<crate::event::TcpState>,
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
}

impl<'a> RetransmitObject<'a> {
    fn new(body: &'a Retransmit, process: Option<&'a Process>) -> Self {
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
            dev: body.device.as_ref().map(crate::event::Text::as_str),
            process: process.map(|process| process.command.as_str()),
            pid: process.map(|process| process.id),
            cgroup: body.cgroup_id,
        }
    }
}

#[derive(Serialize)]
struct UndoObject {
    #[serde(flatten)]
    flow: TupleObject,
    state: AsText<crate::event::TcpState>,
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

#[derive(Serialize)]
struct NeighbourObject<'a> {
    address: AsText<std::net::IpAddr>,
    dev: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<AsText<crate::event::HardwareAddress>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<AsText<crate::event::HardwareAddress>>,
    verdict: &'static str,
    state: AsText<crate::event::NeighbourState>,
    new_state: AsText<crate::event::NeighbourState>,
}

impl<'a> From<&'a Neighbour> for NeighbourObject<'a> {
    fn from(body: &'a Neighbour) -> Self {
        Self {
            address: AsText(body.address),
            dev: body.device.as_str(),
            mac: body.proposed.map(AsText),
            previous: body.previous.map(AsText),
            verdict: body.verdict.name(),
            state: AsText(body.old_state),
            new_state: AsText(body.new_state),
        }
    }
}

#[derive(Serialize)]
struct ClaimObject<'a> {
    address: AsText<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<AsText<crate::event::HardwareAddress>>,
    dev: &'a str,
    direction: AsText<crate::event::Direction>,
    operation: &'static str,
    target: AsText<std::net::IpAddr>,
}

impl<'a> From<&'a Claim> for ClaimObject<'a> {
    fn from(body: &'a Claim) -> Self {
        Self {
            address: AsText(body.address),
            mac: body.hardware_address.map(AsText),
            dev: body.device.as_str(),
            direction: AsText(body.direction),
            operation: body.operation.name(),
            target: AsText(body.target),
        }
    }
}

#[derive(Serialize)]
struct ConntrackObject {
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

#[derive(Serialize)]
struct IpvsObject {
    decision: &'static str,
    client: AsText<std::net::SocketAddr>,
    #[serde(rename = "virtual")]
    virtual_service: AsText<std::net::SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<AsText<std::net::SocketAddr>>,
    protocol: AsText<crate::event::Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn_state: Option<&'static str>,
    reuse_mode: i32,
    expire_nodest: i32,
}

impl From<&Ipvs> for IpvsObject {
    fn from(body: &Ipvs) -> Self {
        Self {
            decision: body.decision.name(),
            client: AsText(body.client),
            virtual_service: AsText(body.virtual_service),
            real: body.real.map(AsText),
            protocol: AsText(body.protocol),
            weight: body.weight,
            conn_state: body.connection_state,
            reuse_mode: body.reuse_mode,
            expire_nodest: body.expire_nodest,
        }
    }
}

#[derive(Serialize)]
struct HookObject<'a> {
    hook: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<AsText<table::Family>>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

impl<'a> From<&'a HookStatus> for HookObject<'a> {
    fn from(status: &'a HookStatus) -> Self {
        let hook = status.hook.and_then(table::find);
        Self {
            hook: hook.map_or("unknown", |hook| hook.name),
            family: hook.map(|hook| AsText(hook.family)),
            state: status.state().name(),
            way: status.attached.map(tracer_common::hook::Way::name),
            reason: status.reason.as_str(),
        }
    }
}

#[derive(Serialize)]
struct ReadyObject<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kernel: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    hooks: Vec<HookObject<'a>>,
}

impl<'a> ReadyObject<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            kernel: context.kernel.as_str(),
            host: context.host.as_str(),
            hooks: context.hooks.iter().map(HookObject::from).collect(),
        }
    }
}

/// The accounting by the kinds' names, and what could not be read.
struct StatsObject<'a>(&'a Context);

impl Serialize for StatsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Counted {
            seen: u64,
            delivered: u64,
            suppressed: u64,
            lost: u64,
        }
        #[derive(Serialize)]
        struct Unread {
            unknown: u64,
            malformed: u64,
        }
        let mut map = serializer.serialize_map(None)?;
        for &(kind, counters) in &self.0.stats {
            let counted = Counted {
                seen: counters.seen,
                delivered: counters.delivered,
                suppressed: counters.suppressed,
                lost: counters.lost,
            };
            map.serialize_entry(RecordKind::name(kind), &counted)?;
        }
        let (unknown, malformed) = (self.0.unread.unknown, self.0.unread.malformed);
        if unknown != 0 || malformed != 0 {
            map.serialize_entry("unread", &Unread { unknown, malformed })?;
        }
        map.end()
    }
}
