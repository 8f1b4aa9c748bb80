//! Decisions of connection tracking.

use super::{Arrow, Columns, Facts, Weight, ends};
use crate::event::{Conntrack, ConntrackCounters, ConntrackEvent, Translation};

pub(super) fn decision(body: &Conntrack, arrow: Arrow) -> Columns {
    let subject = body
        .original
        .map_or_else(|| "no entry".to_owned(), |flow| format!("{} {}", ends(&flow, arrow), flow.protocol));
    let mut facts = Facts::default();
    if let Some(reply) = &body.reply {
        facts.add(format_args!("answered as {}", ends(reply, arrow)));
    }
    if let Some(previous) = &body.previous_reply {
        facts.add(format_args!("before as {}", ends(previous, arrow)));
    }
    if let Some(state) = body.tcp_state {
        facts.add(format_args!("entry in {state}"));
    }
    if body.mark != 0 {
        facts.add(format_args!("mark {:#x}", body.mark));
    }
    if body.zone != 0 {
        facts.add(format_args!("zone {}", body.zone));
    }
    let weight = match body.event {
        failure if failure.is_failure() => Weight::Trouble,
        ConntrackEvent::Reused => Weight::Notable,
        _ => Weight::Usual,
    };
    Columns { kind: body.event.name(), weight, subject, facts: facts.0, ..Columns::default() }
}

/// What conntrack answered about a flow.
pub(super) fn translation(body: &Translation, netns: u32, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    facts.add(format_args!("answered as {}", ends(&body.reply, arrow)));
    if let Some(state) = body.tcp_state {
        facts.add(format_args!("entry in {state}"));
    }
    if !body.is_answered() {
        facts.add(format_args!("no answer seen"));
    }
    if body.mark != 0 {
        facts.add(format_args!("mark {:#x}", body.mark));
    }
    if body.zone != 0 {
        facts.add(format_args!("zone {}", body.zone));
    }
    if body.flow_netns != netns {
        facts.add(format_args!("for a flow of netns {}", body.flow_netns));
    }
    Columns {
        kind: body.name(),
        subject: format!("{} {}", ends(&body.original, arrow), body.original.protocol),
        facts: facts.0,
        ..Columns::default()
    }
}

/// What failed since the line before, of how many.
pub(super) fn counters(body: &ConntrackCounters) -> Columns {
    let limit = body.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let mut facts = Facts::default();
    for (counter, count) in body.counts().filter(|(counter, count)| counter.is_failure() && count.growth > 0)
    {
        facts.add(format_args!("{counter} {} more, {} in all", count.growth, count.total));
    }
    Columns {
        kind: "counters",
        weight: Weight::Trouble,
        subject: format!("{}{limit} entries", body.entries),
        facts: facts.0,
        ..Columns::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrow, Weight, counters, decision};
    use crate::{
        event::{Body, ConntrackEvent},
        state::fixture::{conntrack, conntrack_counters, endpoints},
    };

    #[test]
    fn a_reopening_tells_both_mappings() {
        const CLIENT: &str = "10.0.0.1:40000";
        let mut reopened = conntrack(ConntrackEvent::Reopened, CLIENT, "10.9.9.9:80", "10.42.0.8:80");
        let Body::Conntrack(body) = &mut reopened else { panic!() };
        body.previous_reply = Some(endpoints("10.42.0.7:80", CLIENT));
        let columns = decision(body, Arrow::Ascii);
        assert_eq!(columns.subject, "10.0.0.1:40000 -> 10.9.9.9:80 tcp");
        assert_eq!(
            columns.facts,
            "answered as 10.42.0.8:80 -> 10.0.0.1:40000, before as 10.42.0.7:80 -> 10.0.0.1:40000, \
             entry in TIME_WAIT"
        );
    }

    #[test]
    fn failures_are_told_with_how_full_the_table_is() {
        let Body::ConntrackCounters(body) = conntrack_counters(90, 100, 3, 0) else { panic!() };
        let columns = counters(&body);
        assert_eq!((columns.subject.as_str(), columns.weight), ("90 of 100 entries", Weight::Trouble));
        assert_eq!(columns.facts, "drop 3 more, 13 in all");
    }
}
