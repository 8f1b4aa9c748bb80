//! One axis of time for several nodes.
//!
//! Every node has a boot clock of its own, and records are in its time. On the axis each boot clock is shifted by a
//! constant, so that the nodes' wall clocks agree as they were when recording began. A wall clock that is set later
//! shows in the times of that node's records and moves none of them.

use tracer_common::record::{ClockRecord, NodeRecord, RecordHeader, RecordKind};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{Shift, TapeError, track::Track};
use crate::{decode::records, event::Text};

/// Nodes in one tape. A frame of each is in memory.
pub(super) const NODES_AT_MOST: u16 = 256;

/// How a node's records are placed on the axis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    /// Its number.
    pub(super) node: u16,
    /// Its name: the host's, with a number behind it if several have it.
    pub(super) name: Text,
    /// Whether the name is not the host's own.
    pub(super) is_renamed: bool,
    /// Added to times since boot, in nanoseconds.
    pub(super) later_by_ns: u64,
    /// Added to the difference of the wall clock to that time.
    wall_by_ns: i128,
    /// What was asked for, in nanoseconds.
    pub(super) shift_ns: i64,
    /// Whether the node's clocks are known.
    pub(super) is_known: bool,
}

/// The placement of each track. Tracks of one boot of one node have the same.
pub(super) fn placements(tracks: &[Track], shifts: &[Shift]) -> Result<Vec<Placement>, TapeError> {
    let mut placements: Vec<Placement> = Vec::new();
    let mut anchors: Vec<Option<i128>> = Vec::new();
    let mut numbers = 0;
    for (place, track) in tracks.iter().enumerate() {
        let opening = track.opening();
        let same = tracks.iter().take(place).position(|before| is_same_node(track, before));
        let (placement, anchor) = if let Some(same) = same {
            (placements[same].clone(), anchors[same])
        } else {
            if numbers == NODES_AT_MOST {
                return Err(TapeError::TooMany);
            }
            let node = numbers;
            numbers += 1;
            let (name, is_renamed) = name_apart(&opening.host, &placements);
            let shift_ns = shift_of(shifts, &name, &opening.host);
            let placement = Placement { node, name, is_renamed, shift_ns, ..Placement::default() };
            (placement, opening.wall_minus_boot_ns.map(|anchor| i128::from(anchor) + i128::from(shift_ns)))
        };
        placements.push(placement);
        anchors.push(anchor);
    }
    if let Some(shift) = shifts.iter().find(|shift| !is_used(shift, tracks, &placements)) {
        let nodes = placements.iter().map(|placement| placement.name.as_str()).collect::<Vec<_>>();
        return Err(TapeError::NoSuchNode { name: shift.node.clone(), nodes: nodes.join(", ") });
    }
    // The axis begins where the first of the nodes was booted: so no time is before it.
    let base = anchors.iter().flatten().min().copied().unwrap_or_default();
    for (placement, anchor) in placements.iter_mut().zip(&anchors) {
        let later_by_ns = anchor.map_or(0, |anchor| anchor - base);
        placement.is_known = anchor.is_some();
        placement.later_by_ns = u64::try_from(later_by_ns).unwrap_or(u64::MAX);
        placement.wall_by_ns = i128::from(placement.shift_ns) - i128::from(placement.later_by_ns);
    }
    Ok(placements)
}

/// Whether two tracks are of one boot of one node, with one boot clock and one set of numbers.
fn is_same_node(track: &Track, before: &Track) -> bool {
    let (one, other) = (track.opening(), before.opening());
    one.boot_id.is_some() && one.boot_id == other.boot_id
}

/// The host's name, with a number behind it if another node has it already.
fn name_apart(host: &Text, placements: &[Placement]) -> (Text, bool) {
    let is_taken = |name: &Text| placements.iter().any(|placement| placement.name == *name);
    if !is_taken(host) {
        return (host.clone(), false);
    }
    let names = (2_u32..).map(|number| Text::new(&format!("{host}/{number}")));
    (names.into_iter().find(|name| !is_taken(name)).unwrap_or_default(), true)
}

/// What was asked for a node: by its name, or by its host's for all of that host.
fn shift_of(shifts: &[Shift], name: &Text, host: &Text) -> i64 {
    let named = |wanted: &Text| shifts.iter().rev().find(|shift| shift.node == wanted.as_str());
    named(name).or_else(|| named(host)).map_or(0, |shift| shift.nanoseconds)
}

fn is_used(shift: &Shift, tracks: &[Track], placements: &[Placement]) -> bool {
    let is_named = |name: &Text| name.as_str() == shift.node;
    placements.iter().any(|placement| is_named(&placement.name))
        || tracks.iter().any(|track| is_named(&track.opening().host))
}

impl Placement {
    /// Whether records stay as they are.
    pub(super) fn is_identity(&self) -> bool {
        self.node == 0 && self.later_by_ns == 0 && self.wall_by_ns == 0 && !self.is_renamed
    }

    /// A time of the node on the axis.
    pub(super) fn on_axis(&self, boot_ns: u64) -> u64 {
        boot_ns.saturating_add(self.later_by_ns)
    }

    /// The wall clock's difference to times on the axis, from that to the boot clock.
    pub(super) fn wall_minus_axis_ns(&self, wall_minus_boot_ns: i64) -> i64 {
        let moved = i128::from(wall_minus_boot_ns) + self.wall_by_ns;
        i64::try_from(moved).unwrap_or(if moved < 0 { i64::MIN } else { i64::MAX })
    }

    /// Appends a record as it is on the axis.
    pub(super) fn append(&self, buffer: &mut Vec<u8>, header: RecordHeader, record: &[u8]) {
        let header = RecordHeader { time_ns: self.on_axis(header.time_ns), node: self.node, ..header };
        match RecordKind::from_number(header.kind) {
            Some(RecordKind::Node) => {
                if let Ok((node, names)) = NodeRecord::read_from_prefix(record) {
                    return self.append_node(buffer, NodeRecord { header, ..node }, names);
                }
            }
            Some(RecordKind::Clock) => {
                if let Ok((clock, rest)) = ClockRecord::read_from_prefix(record) {
                    let wall_minus_boot_ns = self.wall_minus_axis_ns(clock.wall_minus_boot_ns);
                    let clock = ClockRecord { header, wall_minus_boot_ns, ..clock };
                    buffer.extend_from_slice(clock.as_bytes());
                    buffer.extend_from_slice(rest);
                    return;
                }
            }
            _ => {}
        }
        buffer.extend_from_slice(header.as_bytes());
        buffer.extend_from_slice(record.get(size_of::<RecordHeader>()..).unwrap_or_default());
    }

    /// Appends the record of the node's names, its wall clock told against the axis.
    fn append_node(&self, buffer: &mut Vec<u8>, node: NodeRecord, names: &[u8]) {
        let wall_minus_boot_ns = self.wall_minus_axis_ns(node.wall_minus_boot_ns);
        let mut text = names.to_vec();
        if self.is_renamed {
            let kernel_bytes = names.iter().position(|&byte| byte == b'\n').map_or(0, |place| place + 1);
            text.truncate(kernel_bytes);
            text.extend_from_slice(self.name.as_str().as_bytes());
        }
        text.resize(text.len().next_multiple_of(8), 0);
        let length = size_of::<NodeRecord>() + text.len();
        let Ok(length_bytes) = u16::try_from(length) else { return };
        let header = RecordHeader { length_bytes, ..node.header };
        buffer.extend_from_slice(NodeRecord { header, wall_minus_boot_ns, ..node }.as_bytes());
        buffer.extend_from_slice(&text);
    }

    /// Appends the record of a node's names as of a time on the axis, from what its session begins with.
    pub(super) fn append_names(&self, buffer: &mut Vec<u8>, track: &Track, axis_ns: u64) {
        let opening = track.opening();
        let Some(wall_minus_boot_ns) = opening.wall_minus_boot_ns else { return };
        let header = RecordHeader {
            time_ns: axis_ns,
            kind: RecordKind::Node as u16,
            node: self.node,
            ..RecordHeader::default()
        };
        let node = NodeRecord { header, wall_minus_boot_ns, tick_ns: opening.tick_ns };
        self.append_node(buffer, node, format!("{}\n{}", opening.kernel, self.name).as_bytes());
    }

    /// A run of records as it is on the axis.
    pub(super) fn moved(&self, run: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(run.len());
        for (header, record) in records(run) {
            self.append(&mut buffer, header, record);
        }
        buffer
    }
}
