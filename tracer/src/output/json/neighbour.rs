//! Proposals to the neighbour table, and claims of addresses.

use std::net::IpAddr;

use serde::Serialize;

use super::AsText;
use crate::event::{Claim, Direction, HardwareAddress, Neighbour, NeighbourState};

#[derive(Serialize)]
pub(super) struct NeighbourObject<'a> {
    address: AsText<IpAddr>,
    dev: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<AsText<HardwareAddress>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<AsText<HardwareAddress>>,
    verdict: &'static str,
    state: AsText<NeighbourState>,
    new_state: AsText<NeighbourState>,
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
pub(super) struct ClaimObject<'a> {
    address: AsText<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<AsText<HardwareAddress>>,
    dev: &'a str,
    direction: AsText<Direction>,
    operation: &'static str,
    target: AsText<IpAddr>,
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
