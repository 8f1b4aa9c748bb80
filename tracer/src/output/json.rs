//! One JSON object an event. Field names and words are a contract with those who parse them.

mod conntrack;
mod finding;
mod icmp;
mod ipvs;
mod ipvs_change;
mod neighbour;
mod node;
mod path;
mod retransmit;
mod ruleset;

use std::{fmt, io, net::IpAddr};

use serde::{Serialize, Serializer};

pub(super) use self::finding::append as append_finding;
use self::{
    conntrack::{ConntrackObject, CountersObject, TranslationObject},
    icmp::{DuplicateObject, IcmpObject},
    ipvs::IpvsObject,
    ipvs_change::{IpvsChangeObject, IpvsDestinationObject, IpvsServiceObject},
    neighbour::{ClaimObject, NeighbourObject},
    node::{ClockObject, GapObject, HookObject, MarkerObject, ReadyObject, StatsObject},
    path::{
        AddressObject, LinkObject, NeighbourEntryObject, RouteLookupObject, RouteObject, RuleObject,
        SysctlObject,
    },
    retransmit::{RetransmitObject, UndoObject},
    ruleset::RulesetObject,
};
use super::context::{Context, Shown};
use crate::{
    event::{Body, Endpoints, Event, Pod, Protocol, Text, Timestamp},
    state::Ownership,
};

/// Appends what there is to print of an event, each object with a line feed.
pub(super) fn append(buffer: &mut Vec<u8>, context: &Context, event: &Event, shown: Shown) -> io::Result<()> {
    match shown {
        Shown::Nothing => Ok(()),
        Shown::Ready => object(buffer, &Told::new(context, event), "ready", ReadyObject::new(context, event)),
        Shown::Stats => object(buffer, &Told::new(context, event), "stats", StatsObject::new(context, event)),
        Shown::Event => append_event(buffer, context, event),
    }
}

fn append_event(buffer: &mut Vec<u8>, context: &Context, event: &Event) -> io::Result<()> {
    let (name, body) = (event.body.kind().name(), &event.body);
    let event = &Told::new(context, event);
    match body {
        Body::Retransmit(body) => object(buffer, event, name, RetransmitObject::new(body, &event.whose)),
        Body::Undo(body) => object(buffer, event, name, UndoObject::from(body)),
        Body::Neighbour(body) => object(buffer, event, name, NeighbourObject::from(body)),
        Body::Claim(body) => object(buffer, event, name, ClaimObject::from(body)),
        Body::Conntrack(body) => object(buffer, event, name, ConntrackObject::from(body)),
        Body::ConntrackCounters(body) => object(buffer, event, name, CountersObject::from(&**body)),
        Body::Translation(body) => {
            object(buffer, event, name, TranslationObject::new(body, event.event.netns.inode))
        }
        Body::Ipvs(body) => object(buffer, event, name, IpvsObject::from(body)),
        Body::IpvsChange(body) => object(buffer, event, name, IpvsChangeObject::from(body)),
        Body::IpvsService(body) => object(buffer, event, name, IpvsServiceObject::from(&**body)),
        Body::IpvsDestination(body) => object(buffer, event, name, IpvsDestinationObject::from(&**body)),
        Body::Ruleset(body) => object(buffer, event, name, RulesetObject::from(body)),
        Body::Icmp(body) => object(buffer, event, name, IcmpObject::from(body)),
        Body::Duplicate(body) => object(buffer, event, name, DuplicateObject::from(body)),
        Body::HookStatus(body) => object(buffer, event, "hook", HookObject::from(body)),
        Body::Route(body) => object(buffer, event, name, RouteObject::from(body)),
        Body::RouteLookup(body) => object(buffer, event, "route", RouteLookupObject::from(body)),
        Body::Address(body) => object(buffer, event, name, AddressObject::from(body)),
        Body::Link(body) => object(buffer, event, name, LinkObject::from(body)),
        Body::Rule(body) => object(buffer, event, name, RuleObject::from(body)),
        Body::NeighbourEntry(body) => object(buffer, event, name, NeighbourEntryObject::from(body)),
        Body::Sysctl(body) => object(buffer, event, name, SysctlObject::from(body)),
        Body::Clock(body) => object(buffer, event, name, ClockObject::from(body)),
        Body::Gap(body) => object(buffer, event, name, GapObject::from(body)),
        Body::Marker(text) => object(buffer, event, name, MarkerObject { text: text.as_str() }),
        Body::Stats(_)
        | Body::Owner(_)
        | Body::Container(_)
        | Body::Namespace(_)
        | Body::Node { .. }
        | Body::Ready
        | Body::Facts(_)
        | Body::Session(_)
        | Body::SessionBegin => Ok(()),
    }
}

/// An event, and who is behind it.
struct Told<'a> {
    event: &'a Event,
    whose: Ownership<'a>,
    /// The host's name, where there are several nodes.
    node: Option<&'a Text>,
}

impl<'a> Told<'a> {
    fn new(context: &'a Context, event: &'a Event) -> Self {
        let node = context.names.one_of_several(event.netns.node);
        Self { event, whose: context.names.of_event(event), node }
    }
}

fn object(buffer: &mut Vec<u8>, told: &Told<'_>, name: &'static str, body: impl Serialize) -> io::Result<()> {
    let Told { event, whose, node } = told;
    let whole = Whole {
        name,
        time: Time(event.time),
        node: node.map(Text::as_str),
        netns: event.netns.inode,
        netns_name: whose.namespace.and_then(|namespace| namespace.name.as_ref()).map(Text::as_str),
        body,
        pod: whose.pod.filter(|pod| pod.is_named()).map(AsText),
        pod_uid: whose.pod.map(|pod| pod.uid.as_str()).filter(|uid| !uid.is_empty()),
    };
    serde_json::to_writer(&mut *buffer, &whole)?;
    buffer.push(b'\n');
    Ok(())
}

/// What every object starts with, its own fields, and whose pod it is about.
#[derive(Serialize)]
struct Whole<'a, T> {
    #[serde(rename = "type")]
    name: &'static str,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    netns: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns_name: Option<&'a str>,
    #[serde(flatten)]
    body: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<AsText<&'a Pod>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_uid: Option<&'a str>,
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
    src: AsText<IpAddr>,
    sport: u16,
    dst: AsText<IpAddr>,
    dport: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<AsText<Protocol>>,
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
