//! Packets that came again.

use tracer_common::record::DuplicateRecord;

use super::{Endpoints, Text};

/// A packet was received again in the same network namespace, with a lower TTL: it goes round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The packet's flow.
    pub flow: Endpoints,
    /// TTL or hop limit now.
    pub ttl: u8,
    /// When it came before. The difference is how many routers a round passes.
    pub previous_ttl: u8,
    /// When it first came.
    pub first_ttl: u8,
    /// How often it came, this time included.
    pub times: u32,
    /// Its IP id; `None` for IPv6.
    pub ip_id: Option<u16>,
    /// The device it came in by this time.
    pub device: Text,
    /// Index of that device.
    pub interface_index: u32,
}

impl From<&DuplicateRecord> for Duplicate {
    fn from(record: &DuplicateRecord) -> Self {
        let flow = Endpoints::from(&record.flow);
        Self {
            flow,
            ttl: record.ttl,
            previous_ttl: record.previous_ttl,
            first_ttl: record.first_ttl,
            times: record.times,
            ip_id: flow.source.is_ipv4().then_some(record.ip_id),
            device: Text::from_bytes(&record.device),
            interface_index: record.interface_index,
        }
    }
}
