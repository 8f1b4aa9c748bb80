//! What IPVS is configured to do, and its changes.

use std::ops::Not;

use serde::Serialize;

use super::AsText;
use crate::event::{
    Endpoint, IpvsChange, IpvsForward, IpvsService, ListedDestination, ListedService, ListedWhy, Protocol,
};

/// A service: `service` is the address dialled, beside its protocol, or `fwmark N`, beside the mark.
#[derive(Serialize)]
struct ServiceFields {
    service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<AsText<Protocol>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fwmark: Option<u32>,
}

impl From<IpvsService> for ServiceFields {
    fn from(service: IpvsService) -> Self {
        Self { service: service.name(), protocol: service.protocol().map(AsText), fwmark: service.mark() }
    }
}

#[derive(Serialize)]
pub(super) struct IpvsChangeObject<'a> {
    change: &'static str,
    #[serde(flatten)]
    service: ServiceFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<AsText<Endpoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<&'a str>,
    #[serde(skip_serializing_if = "Not::not")]
    namespace_ends: bool,
    #[serde(skip_serializing_if = "Not::not")]
    by_comparison: bool,
}

impl<'a> From<&'a IpvsChange> for IpvsChangeObject<'a> {
    fn from(body: &'a IpvsChange) -> Self {
        Self {
            change: body.change.name(),
            service: body.service.into(),
            real: body.real.map(AsText),
            from: body.from,
            to: body.to,
            forward: body.forwarding.map(IpvsForward::name),
            scheduler: body.scheduler.as_ref().map(crate::event::Text::as_str),
            namespace_ends: body.namespace_ends,
            by_comparison: body.by_comparison,
        }
    }
}

/// Totals of a service or a real server.
#[derive(Serialize)]
struct CountFields {
    connections: u64,
    packets_in: u64,
    packets_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl From<tracer_common::record::IpvsCounts> for CountFields {
    fn from(counts: tracer_common::record::IpvsCounts) -> Self {
        Self {
            connections: counts.connections,
            packets_in: counts.packets_in,
            packets_out: counts.packets_out,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
        }
    }
}

#[derive(Serialize)]
pub(super) struct IpvsServiceObject<'a> {
    #[serde(flatten)]
    service: ServiceFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persistence_s: Option<u32>,
    #[serde(skip_serializing_if = "Not::not")]
    one_packet: bool,
    #[serde(skip_serializing_if = "Not::not")]
    gone: bool,
    #[serde(flatten)]
    counts: CountFields,
}

impl<'a> From<&'a ListedService> for IpvsServiceObject<'a> {
    fn from(body: &'a ListedService) -> Self {
        Self {
            service: body.service.into(),
            scheduler: body.scheduler.as_ref().map(crate::event::Text::as_str),
            persistence_s: body.persistence_s.map(std::num::NonZeroU32::get),
            one_packet: body.is_one_packet,
            gone: body.why == ListedWhy::Gone,
            counts: body.counts.into(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct IpvsDestinationObject {
    #[serde(flatten)]
    service: ServiceFields,
    real: AsText<Endpoint>,
    weight: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward: Option<&'static str>,
    active: u32,
    inactive: u32,
    persistent: u32,
    #[serde(skip_serializing_if = "Not::not")]
    gone: bool,
    #[serde(flatten)]
    counts: CountFields,
}

impl From<&ListedDestination> for IpvsDestinationObject {
    fn from(body: &ListedDestination) -> Self {
        Self {
            service: body.service.into(),
            real: AsText(body.real),
            weight: body.weight,
            forward: body.forwarding.map(IpvsForward::name),
            active: body.active_connections,
            inactive: body.inactive_connections,
            persistent: body.persistent_connections,
            gone: body.why == ListedWhy::Gone,
            counts: body.counts.into(),
        }
    }
}
