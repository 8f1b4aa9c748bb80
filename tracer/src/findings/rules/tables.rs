//! What the rules about tables of conntrack have in common.

use std::net::IpAddr;

use super::services::foreign_place;
use crate::{
    event::Netns,
    state::{Failed, State},
    words::{exact, time_of_day_milliseconds},
};

/// How often connections were dropped, whose and to where, a line each.
pub(super) fn evidence(failed: &Failed) -> Vec<String> {
    let spell = failed.spell();
    let mut lines = vec![format!(
        "{} dropped, at most {} within 10 s, the last one at {} UTC",
        exact(spell.count),
        exact(failed.densest()),
        time_of_day_milliseconds(failed.last())
    )];
    let source = failed.sources.most();
    lines.extend(
        source
            .first()
            .map(|(address, count)| format!("most often from {address}, at least {} of them", exact(*count))),
    );
    let server = failed.servers.most();
    lines.extend(server.first().map(|((protocol, server), count)| {
        format!("most often to {protocol} {server}, at least {} of them", exact(*count))
    }));
    lines
}

/// The source of most of them.
pub(super) fn first_source(failed: &Failed) -> Option<IpAddr> {
    failed.sources.most().first().map(|(address, _)| *address)
}

/// Which namespace it is, if it is known not to be the node's own.
pub(super) fn place(state: &State, netns: Netns) -> Option<String> {
    foreign_place(state, netns, state.now())
}

/// A setting and its value, if that was read: `net.netfilter.nf_conntrack_buckets (now 65536)`.
pub(super) fn setting(state: &State, netns: Netns, name: &str) -> Option<String> {
    state.routes.sysctl(netns, name).map(|value| format!("{name} (now {value})"))
}
