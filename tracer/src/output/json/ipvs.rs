//! Decisions of IPVS.

use std::ops::Not;

use serde::Serialize;

use super::AsText;
use crate::event::{Endpoint, Ipvs, IpvsForward, Protocol};

#[derive(Serialize)]
pub(super) struct IpvsObject {
    decision: &'static str,
    client: AsText<Endpoint>,
    #[serde(rename = "virtual")]
    virtual_service: AsText<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<AsText<Endpoint>>,
    protocol: AsText<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward: Option<&'static str>,
    #[serde(skip_serializing_if = "Not::not")]
    persistent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fwmark: Option<u32>,
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
            available: body.weight.map(|_| body.available),
            forward: body.forward.map(IpvsForward::name),
            persistent: body.persistent,
            fwmark: body.firewall_mark,
            conn_state: body.connection_state,
            reuse_mode: body.reuse_mode,
            expire_nodest: body.expire_nodest,
        }
    }
}
