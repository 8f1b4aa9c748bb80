//! ICMP errors, and packets that go round.

use std::net::IpAddr;

use serde::Serialize;

use super::{AsText, TupleObject};
use crate::event::{Direction, Duplicate, Icmp, Protocol, Quoted, Text};

#[derive(Serialize)]
pub(super) struct IcmpObject<'a> {
    direction: AsText<Direction>,
    protocol: AsText<Protocol>,
    icmp_type: u8,
    icmp_code: u8,
    meaning: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<AboutObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
}

/// A flow of which the ports may be unknown.
#[derive(Serialize)]
struct AboutObject {
    src: AsText<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    dst: AsText<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
    protocol: AsText<Protocol>,
}

impl From<&Quoted> for AboutObject {
    fn from(quoted: &Quoted) -> Self {
        let &Quoted { flow, has_ports, .. } = quoted;
        Self {
            src: AsText(flow.source.ip()),
            sport: has_ports.then_some(flow.source.port()),
            dst: AsText(flow.destination.ip()),
            dport: has_ports.then_some(flow.destination.port()),
            protocol: AsText(flow.protocol),
        }
    }
}

impl<'a> From<&'a Icmp> for IcmpObject<'a> {
    fn from(body: &'a Icmp) -> Self {
        Self {
            direction: AsText(body.direction),
            protocol: AsText(body.protocol),
            icmp_type: body.icmp_type,
            icmp_code: body.icmp_code,
            meaning: body.meaning(),
            about: body.about.as_ref().map(AboutObject::from),
            ttl: body.about.map(|about| about.ttl),
            ip_id: body.about.and_then(|about| about.ip_id),
            from: body.sender.map(AsText),
            mtu: body.mtu_bytes,
            dev: body.device.as_ref().map(Text::as_str),
        }
    }
}

#[derive(Serialize)]
pub(super) struct DuplicateObject<'a> {
    #[serde(flatten)]
    flow: TupleObject,
    ttl: u8,
    previous_ttl: u8,
    first_ttl: u8,
    times: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_id: Option<u16>,
    dev: &'a str,
}

impl<'a> From<&'a Duplicate> for DuplicateObject<'a> {
    fn from(body: &'a Duplicate) -> Self {
        Self {
            flow: TupleObject::with_protocol(&body.flow),
            ttl: body.ttl,
            previous_ttl: body.previous_ttl,
            first_ttl: body.first_ttl,
            times: body.times,
            ip_id: body.ip_id,
            dev: body.device.as_str(),
        }
    }
}
