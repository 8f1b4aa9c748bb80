//! What a report says, before it is Markdown, HTML or JSON. As JSON it is a contract: docs/report.md describes it.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::event::Timestamp;

/// The version of the shape; it changes when a field goes or means something else, not when one is added.
pub(super) const SHAPE: u32 = 2;

/// A point in time: as JSON the node's wall clock in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0.wall_ns)).unwrap_or_default();
        serializer.collect_str(&format_args!("{time:.9}"))
    }
}

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    /// [`SHAPE`].
    pub(super) report: u32,
    /// The first sentences, for those who read no further.
    pub(super) summary: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) span: Option<Extent>,
    pub(super) nodes: Vec<Node>,
    /// How the clocks of several nodes stand to each other, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) clocks: Vec<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) rates: Rates,
    pub(super) timeline: Timeline,
    pub(super) peers: Ranking<Peer>,
    pub(super) flows: Ranking<Flow>,
    pub(super) neighbours: Ranking<Neighbour>,
    pub(super) servers: Ranking<Server>,
    pub(super) conntrack: Vec<Conntrack>,
    pub(super) icmp: Ranking<Icmp>,
    pub(super) rulesets: Ranking<Ruleset>,
    pub(super) events: Vec<EventCount>,
    pub(super) gaps: Gaps,
}

/// Where something was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    /// The node's host name, if the report is of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<String>,
    /// The network namespace, by name where it has one; empty for the whole node.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) netns: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) if self.netns.is_empty() => formatter.write_str(node),
            Some(node) => write!(formatter, "{node} {}", self.netns),
            None => formatter.write_str(&self.netns),
        }
    }
}

/// From when to when.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Extent {
    pub(super) first: Moment,
    pub(super) last: Moment,
}

impl Extent {
    /// How long, nanoseconds.
    pub(super) fn duration_ns(self) -> u64 {
        self.last.0.boot_ns.saturating_sub(self.first.0.boot_ns)
    }
}

/// The first rows of something, and how many more there are.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ranking<T> {
    pub(super) rows: Vec<T>,
    pub(super) more: u64,
}

impl<T> Ranking<T> {
    pub(super) fn new(rows: Vec<T>, all: usize) -> Self {
        let more = all.saturating_sub(rows.len()) as u64;
        Self { rows, more }
    }
}

/// A node, and what of it could be seen.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Node {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) host: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kernel: String,
    /// What else is known of it: name and value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) facts: Vec<Fact>,
    pub(super) hooks_attached: u64,
    pub(super) hooks_missing: Vec<MissingHook>,
    /// Whether it told what became of its events.
    pub(super) is_accounted: bool,
    pub(super) accounting: Vec<Account>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) settings: Vec<Fact>,
}

/// Something known by a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) value: String,
}

/// A hook that could not be attached.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MissingHook {
    pub(super) hook: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) tells: &'static str,
    pub(super) reason: String,
}

/// What became of the events of one kind.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Account {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) seen: u64,
    pub(super) delivered: u64,
    pub(super) suppressed: u64,
    pub(super) lost: u64,
}

/// Something that stands out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) id: &'static str,
    pub(super) severity: &'static str,
    /// A mark for the severity where a word finds no room.
    #[serde(skip)]
    pub(super) mark: &'static str,
    /// How sure it is: its name, and what that means. Not told of what tracer itself lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certainty: Option<Certainty>,
    /// Whether it went on when the session ended.
    pub(super) status: &'static str,
    /// The node, if the report is of several and it is not of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<String>,
    pub(super) who: String,
    pub(super) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) span: Option<Extent>,
    /// Numbers and facts that show it, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) evidence: Vec<String>,
    #[serde(skip_serializing_if = "Affects::is_nobody")]
    pub(super) affects: Affects,
    /// What to do about it, a step each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) advice: Vec<String>,
    /// Findings that are there because of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) symptoms: Vec<Finding>,
    /// The one because of which it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) explained_by: Option<Cause>,
    /// Events that concern it, the first and the last of those that are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<Told>,
    /// How many more such events are kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_events: u64,
}

/// How sure a finding is; as JSON its name.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Certainty {
    pub(super) name: &'static str,
    #[serde(skip)]
    pub(super) meaning: &'static str,
}

/// Who is affected, as far as the node saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Affects {
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) flows: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) retransmits: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) connections: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) owners: Vec<String>,
}

impl Affects {
    fn is_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// A finding that explains another.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cause {
    pub(super) id: &'static str,
    pub(super) who: String,
}

/// One event that concerns a finding.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Told {
    pub(super) time: Moment,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// How often things happened over time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rates {
    /// When the first bucket begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begin: Option<Moment>,
    pub(super) bucket_ns: u64,
    pub(super) families: Vec<Rate>,
}

/// How often something of one family happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rate {
    pub(super) family: &'static str,
    pub(super) events: u64,
    /// The most events in one bucket.
    pub(super) peak: u64,
    /// Events in each bucket, up to the last in which there was one.
    pub(super) counts: Vec<u64>,
}

/// What happened, in order.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timeline {
    pub(super) entries: Vec<Entry>,
    /// Entries of the timeline for which there was no room.
    pub(super) more: u64,
}

/// Several equal events in a row, or a finding that opened, changed or closed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    pub(super) first: Moment,
    pub(super) last: Moment,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) events: u64,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) text: String,
    /// Whether it is marked on the time axes.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) marker: bool,
}

/// An address that segments are sent to again, over all flows.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Peer {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) flows: u64,
    pub(super) attempts: u64,
    pub(super) kinds: String,
    pub(super) longest_run: u32,
    pub(super) longest_outage_ns: u64,
    pub(super) span: Extent,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
}

/// A flow that sends segments again.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Flow {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) attempts: u64,
    pub(super) segments: u64,
    pub(super) failed: u64,
    pub(super) kinds: String,
    pub(super) state: String,
    pub(super) span: Extent,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longest_outage: Option<Extent>,
    pub(super) owner: String,
}

/// An address that several hardware addresses answered for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Neighbour {
    pub(super) address: String,
    pub(super) dev: String,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) answerers: Vec<Answerer>,
    /// Whom the kernel kept, from when on; nobody where the field is absent.
    pub(super) kept: Vec<Kept>,
    /// Changes before those.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) earlier_changes: u64,
    /// Answers by hardware addresses for which there was no room.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) answers_left_out: u64,
}

/// Someone who answered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Answerer {
    pub(super) mac: String,
    pub(super) taken: u64,
    pub(super) ignored: u64,
    pub(super) claims: u64,
    pub(super) span: Extent,
    pub(super) bucket_ns: u64,
    /// In each bucket: taken, ignored, claims.
    pub(super) counts: Vec<[u64; 3]>,
}

/// From when on the kernel kept a hardware address.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Kept {
    pub(super) since: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mac: Option<String>,
}

/// A real server of a virtual service.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Server {
    pub(super) service: String,
    /// Absent where new connections reached none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) real: Option<String>,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) connections: u64,
    pub(super) onto_drained: u64,
    pub(super) turned_away: u64,
    /// Its weights, from when on; not configured where the field is absent.
    pub(super) weights: Vec<Weight>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) earlier_changes: u64,
    pub(super) bucket_ns: u64,
    /// New connections in each bucket: given to it, given to it while drained, turned away.
    pub(super) counts: Vec<[u64; 3]>,
}

/// From when on a real server had a weight.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Weight {
    pub(super) since: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<i32>,
}

/// What conntrack decided.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Conntrack {
    pub(super) event: &'static str,
    pub(super) times: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) span: Option<Extent>,
}

/// ICMP errors about packets to one address.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Icmp {
    pub(super) destination: String,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) direction: &'static str,
    pub(super) meaning: &'static str,
    pub(super) messages: u64,
    pub(super) span: Extent,
}

/// A table of rules.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ruleset {
    pub(super) table: String,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) entries: u32,
    pub(super) most_entries: u32,
    pub(super) duplicates: u32,
}

/// Events of one type and kind.
#[derive(Clone, Debug, Serialize)]
pub(super) struct EventCount {
    #[serde(rename = "type")]
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) kind: &'static str,
    pub(super) events: u64,
}

/// What the report cannot tell.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Gaps {
    /// What of the session could not be read, a sentence each.
    pub(super) damage: Vec<String>,
    /// Rows that were forgotten for newer ones: of what, and how many.
    pub(super) forgotten: Vec<Forgotten>,
    /// Records of kinds this version does not know.
    pub(super) unknown_records: u64,
    /// Records that could not be read.
    pub(super) malformed_records: u64,
}

/// Rows of one sort that were forgotten.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Forgotten {
    pub(super) what: &'static str,
    pub(super) rows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
