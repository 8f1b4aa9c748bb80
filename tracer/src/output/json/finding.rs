//! What is wrong and why, as it opens, changes and closes.

use std::io;

use serde::Serialize;

use super::Time;
use crate::{
    event::Text,
    findings::{Affects, Finding, FindingChange},
    output::context::Context,
};

/// Appends a change of a finding, with a line feed.
pub(in crate::output) fn append(
    buffer: &mut Vec<u8>,
    context: &Context,
    change: &FindingChange,
) -> io::Result<()> {
    serde_json::to_writer(&mut *buffer, &FindingObject::new(context, change))?;
    buffer.push(b'\n');
    Ok(())
}

#[derive(Serialize)]
struct FindingObject<'a> {
    #[serde(rename = "type")]
    name: &'static str,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns_name: Option<&'a str>,
    id: &'static str,
    status: &'static str,
    severity: &'static str,
    certainty: &'static str,
    subject: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evidence: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    affects: Option<AffectsObject<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    advice: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    symptoms: Vec<OtherObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explained_by: Option<OtherObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Time>,
}

/// Another finding.
#[derive(Serialize)]
struct OtherObject<'a> {
    id: &'static str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

#[derive(Serialize)]
struct AffectsObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    owners: &'a [String],
}

impl<'a> FindingObject<'a> {
    fn new(context: &'a Context, change: &'a FindingChange) -> Self {
        let FindingChange { time, status, finding, explained_by } = change;
        let netns = finding.netns();
        let namespace = netns.and_then(|netns| context.names.namespace(netns, *time));
        let node = netns.and_then(|netns| context.names.one_of_several(netns.node));
        let symptom = |symptom: &'a Finding| OtherObject {
            id: symptom.id,
            subject: &symptom.who,
            title: Some(&symptom.what),
        };
        let cause = |(id, subject): &'a (&'static str, String)| OtherObject { id, subject, title: None };
        Self {
            name: "finding",
            time: Time(*time),
            node: node.map(Text::as_str),
            netns: netns.map(|netns| netns.inode).filter(|&inode| inode != 0),
            netns_name: namespace.and_then(|namespace| namespace.name.as_ref()).map(Text::as_str),
            id: finding.id,
            status: status.name(),
            severity: finding.severity.names().0,
            certainty: finding.certainty.name(),
            subject: &finding.who,
            title: &finding.what,
            evidence: &finding.evidence,
            affects: (!finding.affects.is_nobody()).then(|| AffectsObject::from(&finding.affects)),
            advice: &finding.advice,
            symptoms: finding.symptoms.iter().map(symptom).collect(),
            explained_by: explained_by.as_ref().map(cause),
            first: finding.span.map(|span| Time(span.first)),
            last: finding.span.map(|span| Time(span.last)),
        }
    }
}

impl<'a> From<&'a Affects> for AffectsObject<'a> {
    fn from(affects: &'a Affects) -> Self {
        let some = |count: u64| (count != 0).then_some(count);
        let Affects { flows, retransmits, connections, ref owners } = *affects;
        Self { flows: some(flows), retransmits: some(retransmits), connections: some(connections), owners }
    }
}
