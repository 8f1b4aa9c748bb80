//! Flows that retransmit.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    active::Active,
    bounded::{Asked, Bounded},
    outage::{Outage, Outages},
    recent::Recent,
    shared::{Interner, Shared},
};
use crate::event::{
    Endpoints, Failure, Netns, Process, Retransmit, RetransmitKind, TcpState, Text, Timestamp, Undo,
};

/// Seconds of history that are kept of every flow: a minute of whole ones, and the one that runs.
pub const FLOW_HISTORY_SECONDS: usize = 61;

/// For how many seconds after it was last seen a flow is active.
pub const ACTIVE_SECONDS: u32 = 20;

/// The spans over which a flow's rate is told, seconds.
pub const RATE_SPANS_SECONDS: [u64; 3] = [1, 10, 60];

/// What tells one flow from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowKey {
    /// The network namespace of its socket.
    pub netns: Netns,
    /// From this node to the peer.
    pub endpoints: Endpoints,
}

impl Hash for FlowKey {
    /// Few words in the place of the many that its parts would write one by one. Equal flows hash alike.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { netns, endpoints: Endpoints { source, destination, protocol } } = self;
        state.write_u64(source.word() ^ (u64::from(netns.inode) << 32));
        state.write_u64(destination.word());
        let ports =
            (u64::from(netns.node) << 32) | (u64::from(source.port()) << 16) | u64::from(destination.port());
        state.write_u64((ports << 8) | u64::from(protocol.0));
    }
}

/// What became of one flow.
///
/// It begins where a line of the cache does: in a storm of many flows the time goes into the lines that come from memory.
#[repr(align(64))]
#[derive(Clone, Debug)]
pub struct Flow {
    /// When it was first seen here.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// Successful attempts by kind, in the order of [`RetransmitKind::ALL`].
    pub kinds: [u32; RetransmitKind::ALL.len()],
    /// Segments sent again on the wire.
    pub segments: u64,
    /// Attempts that failed within the node.
    pub failed: u32,
    /// Why the last attempt that failed did.
    pub error: Option<Failure>,
    /// Window reductions taken back: needless retransmits.
    pub undone: u32,
    /// The last consecutive attempt, from 1, where the kernel counts them.
    pub attempt: Option<u32>,
    /// The run the last attempt belongs to: consecutive attempts of one segment, failed ones included, up to that one.
    /// Where the kernel counted more than were seen, those.
    pub run: u32,
    /// The longest run.
    pub longest_run: u32,
    /// First sequence number of the last segment.
    sequence: u32,
    outages: Outages,
    /// State of the connection.
    pub tcp_state: TcpState,
    /// The timeout last in force, microseconds.
    pub rto_us: Option<u64>,
    /// Smoothed round-trip time, microseconds.
    pub srtt_us: Option<u32>,
    /// Congestion window in segments.
    pub congestion_window: Option<u32>,
    /// The outgoing device.
    pub device: Option<Arc<Text>>,
    /// The process that opened the socket, where a hook saw it. [`State::process_of`](super::State::process_of) also
    /// knows those found in user space.
    pub process: Option<Arc<Process>>,
    /// Id of the socket's cgroup.
    pub cgroup_id: Option<u64>,
    /// Inode of the socket.
    pub socket_inode: Option<u64>,
    /// Attempts over the last seconds, failed ones included.
    pub recent: Recent,
}

impl Flow {
    fn new(time: Timestamp) -> Self {
        Self {
            first: time,
            last: time,
            kinds: [0; RetransmitKind::ALL.len()],
            segments: 0,
            failed: 0,
            error: None,
            undone: 0,
            attempt: None,
            run: 0,
            longest_run: 0,
            sequence: 0,
            outages: Outages::default(),
            tcp_state: TcpState(0),
            rto_us: None,
            srtt_us: None,
            congestion_window: None,
            device: None,
            process: None,
            cgroup_id: None,
            socket_inode: None,
            recent: Recent::default(),
        }
    }

    /// Attempts in all, failed ones included.
    pub fn attempts(&self) -> u64 {
        self.kinds.iter().map(|&count| u64::from(count)).sum::<u64>() + u64::from(self.failed)
    }

    /// Successful attempts of a kind.
    pub fn of_kind(&self, kind: RetransmitKind) -> u32 {
        self.kinds[kind as usize]
    }

    /// Attempts a second over the last whole `seconds` (60 at most) before `now`, or since the flow was first seen.
    pub fn per_second(&self, now: Timestamp, seconds: u64) -> f64 {
        self.recent.per_second(self.first, now, seconds)
    }

    /// The longest time in which nothing new was acknowledged.
    pub fn longest_outage(&self) -> Option<Outage> {
        self.outages.longest(self.last)
    }

    /// The time in which nothing new was acknowledged, if it goes on: `None` once the next attempt is overdue.
    pub fn outage_at(&self, now: Timestamp) -> Option<Outage> {
        self.outages.at(now)
    }

    /// For how long nothing got through at most, nanoseconds, an outage that goes on included.
    pub fn longest_outage_ns(&self, now: Timestamp) -> u64 {
        let longest_ns = self.longest_outage().map_or(0, |outage| outage.duration_ns());
        let since_ns =
            self.outage_at(now).map_or(0, |outage| now.boot_ns.saturating_sub(outage.began.boot_ns));
        longest_ns.max(since_ns)
    }

    fn retransmit(&mut self, shared: &mut Shared, time: Timestamp, retransmit: &Retransmit) {
        self.outages.attempt(time, retransmit);
        // Destructured, so that a new fact has to be considered here.
        let Retransmit {
            kind,
            flow: _,
            tcp_state,
            segments,
            sequence,
            end_sequence: _,
            unacknowledged: _,
            attempt,
            rto_us,
            srtt_us,
            congestion_window,
            error,
            device,
            process,
            cgroup_id,
            socket_inode,
        } = retransmit;
        self.last = self.last.max(time);
        self.recent.count(time);
        if error.is_none() {
            self.kinds[*kind as usize] += 1;
            self.segments += u64::from(*segments);
        } else {
            self.failed += 1;
            self.error = *error;
        }
        self.tcp_state = *tcp_state;
        self.attempt = *attempt;
        let seen = if self.run != 0 && self.sequence == *sequence { self.run.saturating_add(1) } else { 1 };
        self.run = seen.max(attempt.unwrap_or_default());
        self.sequence = *sequence;
        self.longest_run = self.longest_run.max(self.run);
        keep_newest(&mut self.rto_us, rto_us.as_ref());
        keep_newest(&mut self.srtt_us, srtt_us.as_ref());
        keep_newest(&mut self.congestion_window, congestion_window.as_ref());
        keep_shared(&mut self.device, device.as_ref(), &mut shared.texts);
        keep_shared(&mut self.process, process.as_ref(), &mut shared.processes);
        keep_newest(&mut self.cgroup_id, cgroup_id.as_ref());
        keep_newest(&mut self.socket_inode, socket_inode.as_ref());
    }

    fn undo(&mut self, time: Timestamp, undo: &Undo) {
        let Undo { flow: _, tcp_state, after_timeout: _, congestion_window, socket_inode } = undo;
        self.last = self.last.max(time);
        self.undone += 1;
        self.tcp_state = *tcp_state;
        self.congestion_window = Some(*congestion_window);
        keep_newest(&mut self.socket_inode, socket_inode.as_ref());
    }
}

/// A fact that a record leaves out stays what it was.
fn keep_newest<T: Copy>(kept: &mut Option<T>, told: Option<&T>) {
    *kept = told.copied().or(*kept);
}

/// The same for a fact that many flows have in common.
fn keep_shared<T: Clone + Eq + Hash>(kept: &mut Option<Arc<T>>, told: Option<&T>, shared: &mut Interner<T>) {
    if let Some(told) = told
        && kept.as_deref() != Some(told)
    {
        *kept = Some(shared.share(told));
    }
}

/// The table of flows.
#[derive(Clone, Debug)]
pub struct Flows {
    rows: Bounded<FlowKey, Flow>,
    active: Active,
}

impl Flows {
    pub(super) fn new(limit: usize) -> Self {
        Self { rows: Bounded::new(limit), active: Active::default() }
    }

    /// The flow, if it is known.
    pub fn get(&self, key: &FlowKey) -> Option<&Flow> {
        self.rows.get(key)
    }

    /// The flow with its key as it is kept.
    pub fn entry(&self, key: &FlowKey) -> Option<(&FlowKey, &Flow)> {
        self.rows.entry(key)
    }

    /// All flows, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&FlowKey, &Flow)> + Clone {
        self.rows.iter()
    }

    /// The flows that were seen within the last [`ACTIVE_SECONDS`], in no particular order. The cost is that of these
    /// flows, however many others there are.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = (&FlowKey, &Flow)> {
        let since_ns = now.boot_ns.saturating_sub(u64::from(ACTIVE_SECONDS) * 1_000_000_000);
        let seen = self.rows.at(self.active.since(since_ns));
        seen.filter(move |(_, flow)| flow.last.boot_ns >= since_ns)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many were given up for newer ones.
    pub fn evicted(&self) -> u64 {
        self.rows.evicted()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.active.memory_bytes()
    }

    pub(super) fn ask(&self, key: &FlowKey) -> Asked {
        self.rows.ask(key)
    }

    pub(super) fn ask_entry(&self, asked: &mut Asked) {
        self.rows.ask_entry(asked);
    }

    pub(super) fn retransmit(
        &mut self,
        shared: &mut Shared,
        row: Option<Asked>,
        netns: Netns,
        time: Timestamp,
        retransmit: &Retransmit,
    ) {
        self.touch(row, (netns, &retransmit.flow), time).retransmit(shared, time, retransmit);
    }

    pub(super) fn undo(&mut self, netns: Netns, time: Timestamp, undo: &Undo) {
        self.touch(None, (netns, &undo.flow), time).undo(time, undo);
    }

    fn touch(
        &mut self,
        row: Option<Asked>,
        (netns, endpoints): (Netns, &Endpoints),
        time: Timestamp,
    ) -> &mut Flow {
        // Compared where it is: a key that was just written costs a wait to be read again.
        let is_meant = |key: &FlowKey| key.netns == netns && key.endpoints == *endpoints;
        let key = || FlowKey { netns, endpoints: *endpoints };
        let (position, flow) = self.rows.touch_asked(row, is_meant, key, || Flow::new(time));
        self.active.mark(position, time.boot_ns);
        flow
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ACTIVE_SECONDS, FlowKey};
    use crate::{
        event::{Body, RetransmitKind},
        state::{
            Limits, State,
            fixture::{at, event, retransmit},
        },
    };

    proptest! {
        /// Whatever the order and the pauses, and though rows are given up: as going through all flows tells.
        #[test]
        fn active_flows_are_those_seen_lately(
            steps in prop::collection::vec((0_u64..9_000, 0_u64..3_000, 0_u16..12, any::<bool>()), 0..60),
            later_ms in 0_u64..40_000,
        ) {
            let mut state = State::new(Limits { flows: 7, ..Limits::default() });
            let mut newest_ms = 100_000;
            for (pause_ms, late_ms, port, is_long) in steps {
                newest_ms += if is_long { 3 * pause_ms } else { pause_ms / 9 };
                let told = retransmit(RetransmitKind::Syn, &format!("10.0.0.1:{}", 1 + port), "10.0.0.2:80");
                state.apply(&event(newest_ms - late_ms, Body::Retransmit(told)));
            }
            let now = at(newest_ms + later_ms);
            let is_active = |last_ns: u64| now.boot_ns - last_ns <= u64::from(ACTIVE_SECONDS) * 1_000_000_000;
            let mut expected: Vec<FlowKey> = (state.flows.iter())
                .filter_map(|(key, flow)| is_active(flow.last.boot_ns).then_some(*key))
                .collect();
            let mut active: Vec<FlowKey> = state.flows.active(now).map(|(key, _)| *key).collect();
            expected.sort_unstable();
            active.sort_unstable();
            prop_assert_eq!(active, expected);
        }
    }
}
