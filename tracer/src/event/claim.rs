//! Claims of addresses.

use std::{fmt, net::IpAddr};

use tracer_common::record::{ClaimRecord, claim_direction, claim_source};

use super::{HardwareAddress, Text, address};

/// An ARP or ND message says that an address lives at a hardware address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address claimed.
    pub address: IpAddr,
    /// Whom it is told.
    pub target: IpAddr,
    /// Where it is said to live; `None` if the message does not say.
    pub hardware_address: Option<HardwareAddress>,
    /// The device it came in by or goes out of.
    pub device: Text,
    /// Index of that device.
    pub interface_index: u32,
    /// In or out.
    pub direction: Direction,
    /// By which message.
    pub operation: ClaimOperation,
}

impl From<&ClaimRecord> for Claim {
    fn from(record: &ClaimRecord) -> Self {
        const ETHERNET_ADDRESS_BYTES: u8 = 6;
        const ARP_REPLY: u16 = 2;
        let operation = if record.source == claim_source::ADVERTISEMENT {
            ClaimOperation::Advertisement
        } else if record.address == record.target {
            ClaimOperation::Gratuitous
        } else if record.operation == ARP_REPLY {
            ClaimOperation::Reply
        } else {
            ClaimOperation::Request
        };
        Self {
            address: address(record.address),
            target: address(record.target),
            hardware_address: Some(HardwareAddress::new(record.hardware_address, ETHERNET_ADDRESS_BYTES))
                .filter(|hardware| hardware.as_bytes().iter().any(|&byte| byte != 0)),
            device: Text::from_bytes(&record.device),
            interface_index: record.interface_index,
            direction: if record.direction == claim_direction::OUT { Direction::Out } else { Direction::In },
            operation,
        }
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It came in.
    In,
    /// This node sends it.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// By which message an address is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimOperation {
    /// An ARP request, which tells its sender's address.
    Request,
    /// An ARP reply.
    Reply,
    /// An ARP message about its sender's own address.
    Gratuitous,
    /// An IPv6 neighbour advertisement.
    Advertisement,
}

impl ClaimOperation {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Gratuitous => "gratuitous",
            Self::Advertisement => "advertisement",
        }
    }
}

impl fmt::Display for ClaimOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
