//! Decisions of connection tracking.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{TupleObject, is_zero};
use crate::event::{Conntrack, ConntrackCounters};

#[derive(Serialize)]
pub(super) struct ConntrackObject {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<TupleObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<TupleObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_reply: Option<TupleObject>,
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
            previous_reply: body.previous_reply.as_ref().map(TupleObject::with_protocol),
            tcp_state: body.tcp_state,
            mark: body.mark,
            zone: u32::from(body.zone),
        }
    }
}

/// Counters by their names, and what grew of them since the object before about this namespace.
#[derive(Serialize)]
pub(super) struct CountersObject<'a> {
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    #[serde(flatten)]
    totals: Totals<'a>,
    #[serde(skip_serializing_if = "Grown::is_empty")]
    grown: Grown<'a>,
}

struct Totals<'a>(&'a ConntrackCounters);

impl Serialize for Totals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.counts().map(|(counter, count)| (counter.name(), count.total)))
    }
}

struct Grown<'a>(&'a ConntrackCounters);

impl Grown<'_> {
    fn is_empty(&self) -> bool {
        self.0.counts().all(|(_, count)| count.growth == 0)
    }
}

impl Serialize for Grown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (counter, count) in self.0.counts().filter(|(_, count)| count.growth != 0) {
            map.serialize_entry(counter.name(), &count.growth)?;
        }
        map.end()
    }
}

impl<'a> From<&'a ConntrackCounters> for CountersObject<'a> {
    fn from(body: &'a ConntrackCounters) -> Self {
        Self { count: body.entries, max: body.limit, totals: Totals(body), grown: Grown(body) }
    }
}
