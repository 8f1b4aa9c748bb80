//! Decisions of connection tracking.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{TupleObject, is_zero};
use crate::event::{Conntrack, ConntrackCounters, Translation};

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

/// What is translated, both tuples, and where the flow that was asked for is.
#[derive(Serialize)]
pub(super) struct TranslationObject {
    translated: &'static str,
    original: TupleObject,
    reply: TupleObject,
    flow: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_netns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_state: Option<&'static str>,
    answered: bool,
    expires_s: u32,
    #[serde(skip_serializing_if = "is_zero")]
    mark: u32,
    #[serde(skip_serializing_if = "is_zero")]
    zone: u32,
}

impl TranslationObject {
    pub(super) fn new(body: &Translation, netns: u32) -> Self {
        Self {
            translated: body.name(),
            original: TupleObject::with_protocol(&body.original),
            reply: TupleObject::with_protocol(&body.reply),
            flow: if body.is_of_replies { "reply" } else { "original" },
            flow_netns: (body.flow_netns != netns).then_some(body.flow_netns),
            tcp_state: body.tcp_state,
            answered: body.is_answered(),
            expires_s: body.expires_seconds,
            mark: body.mark,
            zone: body.zone.into(),
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

#[cfg(test)]
mod tests {
    use super::{ConntrackObject, CountersObject};
    use crate::{
        event::{Body, ConntrackEvent},
        state::fixture::{conntrack, conntrack_counters, endpoints},
    };

    fn json(body: &Body) -> String {
        match body {
            Body::Conntrack(body) => serde_json::to_string(&ConntrackObject::from(body)).unwrap(),
            Body::ConntrackCounters(body) => serde_json::to_string(&CountersObject::from(&**body)).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reopening_tells_the_old_mapping_and_the_new_one_if_it_is_known() {
        const CLIENT: &str = "10.0.0.1:40000";
        let mut reopened = conntrack(ConntrackEvent::Reopened, CLIENT, "10.9.9.9:80", "10.42.0.8:8080");
        let Body::Conntrack(body) = &mut reopened else { panic!() };
        body.previous_reply = Some(endpoints("10.42.0.7:8080", CLIENT));
        let original =
            r#""original":{"src":"10.0.0.1","sport":40000,"dst":"10.9.9.9","dport":80,"protocol":"tcp"}"#;
        let reply = |server: &str| {
            format!(r#"{{"src":"{server}","sport":8080,"dst":"10.0.0.1","dport":40000,"protocol":"tcp"}}"#)
        };
        let known = format!(
            r#"{{"event":"reopened",{original},"reply":{},"previous_reply":{},"tcp_state":"TIME_WAIT"}}"#,
            reply("10.42.0.8"),
            reply("10.42.0.7")
        );
        assert_eq!(json(&reopened), known);
        let Body::Conntrack(body) = &mut reopened else { panic!() };
        body.reply = None;
        let unknown = format!(
            r#"{{"event":"reopened",{original},"previous_reply":{},"tcp_state":"TIME_WAIT"}}"#,
            reply("10.42.0.7")
        );
        assert_eq!(json(&reopened), unknown);
    }

    #[test]
    fn counters_the_kernel_lacks_are_left_out_as_is_growth_where_there_is_none() {
        let totals = r#""found":0,"invalid":0,"insert":40090,"insert_failed":FAILED,"drop":DROPPED,"early_drop":0,"error":0,"search_restart":0,"clash_resolve":0"#;
        let with = |failed: &str, dropped: &str| {
            format!(
                r#"{{"count":90,"max":100,{}"#,
                totals.replace("FAILED", failed).replace("DROPPED", dropped)
            )
        };
        assert_eq!(json(&conntrack_counters(90, 100, 0, 0)), with("0", "10") + "}");
        let grown = r#","grown":{"insert_failed":1,"drop":3}}"#;
        assert_eq!(json(&conntrack_counters(90, 100, 3, 1)), with("1", "13") + grown);
    }
}
