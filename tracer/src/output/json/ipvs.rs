//! Decisions of IPVS.

use std::net::SocketAddr;

use serde::Serialize;

use super::AsText;
use crate::event::{Ipvs, Protocol};

#[derive(Serialize)]
pub(super) struct IpvsObject {
    decision: &'static str,
    client: AsText<SocketAddr>,
    #[serde(rename = "virtual")]
    virtual_service: AsText<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<AsText<SocketAddr>>,
    protocol: AsText<Protocol>,
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
