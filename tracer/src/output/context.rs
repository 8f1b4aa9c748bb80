//! What a printer remembers between events: who is who, hooks tried so far, the running batch of statistics.

use std::collections::BTreeMap;

use tracer_common::{counters::KindCounters, record::RecordKind};

use super::is_shown;
use crate::{
    decode::DecodeCounts,
    event::{Body, Event, HookStatus, Stats, Text},
    state::Names,
};

/// Hook statuses held back until every hook has been tried; there are far fewer hooks.
const STATUSES_KEPT: usize = 1_024;

/// What earlier events told.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) names: Names,
    /// By the node's number.
    pub(super) nodes: BTreeMap<u16, NodeContext>,
    /// Records the decoder could not read so far.
    pub(super) unread: DecodeCounts,
}

/// The same of one node.
#[derive(Debug, Default)]
pub(super) struct NodeContext {
    is_ready: bool,
    pub(super) kernel: Text,
    pub(super) host: Text,
    /// Hooks tried before the node was ready.
    pub(super) hooks: Vec<HookStatus>,
    /// The newest accounting of each kind, in the order the kinds appeared.
    pub(super) stats: Vec<(RecordKind, KindCounters)>,
}

/// What there is to print of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing now.
    Nothing,
    /// The event by itself.
    Event,
    /// That every hook has been tried, with [`NodeContext::hooks`].
    Ready,
    /// The whole batch of [`NodeContext::stats`].
    Stats,
}

impl Context {
    /// Takes in what an event tells and says what to print.
    pub(super) fn take_in(&mut self, event: &Event) -> Shown {
        match &event.body {
            Body::Owner(_) | Body::Container(_) | Body::Namespace(_) => self.names.take_in(event),
            Body::Node { kernel, host } => {
                self.names.take_in(event);
                let node = self.node(event);
                (node.kernel, node.host) = (kernel.clone(), host.clone());
            }
            // Another session of the node tells its own hooks.
            Body::Session(_) => {
                let node = self.node(event);
                (node.is_ready, node.hooks) = (false, Vec::new());
            }
            Body::HookStatus(status) => {
                let node = self.node(event);
                if !node.is_ready && node.hooks.len() < STATUSES_KEPT {
                    node.hooks.push(status.clone());
                    return Shown::Nothing;
                }
            }
            Body::Ready => {
                self.node(event).is_ready = true;
                return Shown::Ready;
            }
            Body::Stats(stats) => {
                self.node(event).add_stats(stats);
                return if stats.last_of_batch { Shown::Stats } else { Shown::Nothing };
            }
            _ => {}
        }
        if is_shown(event) { Shown::Event } else { Shown::Nothing }
    }

    fn node(&mut self, event: &Event) -> &mut NodeContext {
        self.nodes.entry(event.netns.node).or_default()
    }
}

impl NodeContext {
    fn add_stats(&mut self, stats: &Stats) {
        let Some(kind) = stats.counted else { return };
        match self.stats.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, counters)) => *counters = stats.counters,
            None => self.stats.push((kind, stats.counters)),
        }
    }
}
