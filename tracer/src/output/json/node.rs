//! The tracer itself: hooks, readiness, accounting.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use tracer_common::{counters::KindCounters, record::RecordKind};

use super::AsText;
use crate::{
    decode::DecodeCounts,
    event::{Clock, Event, Gap, HookStatus},
    output::context::Context,
    probe::table,
};

#[derive(Serialize)]
pub(super) struct HookObject<'a> {
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

#[derive(Default, Serialize)]
pub(super) struct ReadyObject<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kernel: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    hooks: Vec<HookObject<'a>>,
}

impl<'a> ReadyObject<'a> {
    pub(super) fn new(context: &'a Context, event: &Event) -> Self {
        let Some(node) = context.nodes.get(&event.netns.node) else { return Self::default() };
        Self {
            kernel: node.kernel.as_str(),
            host: node.host.as_str(),
            hooks: node.hooks.iter().map(HookObject::from).collect(),
        }
    }
}

/// The accounting by the kinds' names, and what could not be read.
pub(super) struct StatsObject<'a> {
    stats: &'a [(RecordKind, KindCounters)],
    unread: DecodeCounts,
}

impl<'a> StatsObject<'a> {
    pub(super) fn new(context: &'a Context, event: &Event) -> Self {
        let node = context.nodes.get(&event.netns.node);
        Self { stats: node.map(|node| &*node.stats).unwrap_or_default(), unread: context.unread }
    }
}

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
        for &(kind, counters) in self.stats {
            let counted = Counted {
                seen: counters.seen,
                delivered: counters.delivered,
                suppressed: counters.suppressed,
                lost: counters.lost,
            };
            map.serialize_entry(RecordKind::name(kind), &counted)?;
        }
        let (unknown, malformed) = (self.unread.unknown, self.unread.malformed);
        if unknown != 0 || malformed != 0 {
            map.serialize_entry("unread", &Unread { unknown, malformed })?;
        }
        map.end()
    }
}

/// A moment the user marked.
#[derive(Serialize)]
pub(super) struct MarkerObject<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) text: &'a str,
}

/// What became of the node's clocks.
#[derive(Serialize)]
pub(super) struct ClockObject {
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synchronised: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    largest_error_us: Option<u32>,
}

impl From<&Clock> for ClockObject {
    fn from(clock: &Clock) -> Self {
        Self {
            change: clock.change.name(),
            step_ns: (clock.step_ns != 0).then_some(clock.step_ns),
            suspended_ns: (clock.suspended_ns != 0).then_some(clock.suspended_ns),
            synchronised: clock.is_synchronised,
            largest_error_us: clock.largest_error_us,
        }
    }
}

/// Records that could not be recorded.
#[derive(Serialize)]
pub(super) struct GapObject {
    records: u64,
    duration_ns: u64,
}

impl From<&Gap> for GapObject {
    fn from(&Gap { records, duration_ns }: &Gap) -> Self {
        Self { records, duration_ns }
    }
}
