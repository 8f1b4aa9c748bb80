//! Which findings say something about a subject, and which events about a finding.

use super::{About, Finding, Findings, Sight};
use crate::{
    event::Event,
    state::{NetworkKey, RealKey, Related, ServiceKey, Subject},
};

impl Finding {
    /// Whether an event of its subject is one of its own: all that happens in a namespace concerns that, but a finding
    /// about it is of one family.
    pub fn is_told_by(&self, event: &Event) -> bool {
        let family = |name: &'static str| name.split('-').next();
        !matches!(self.subject, Some(Subject::Namespace(_)))
            || family(event.body.kind().name()) == family(self.id)
    }

    /// What it is about, as far as that can be opened.
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let about = match &self.about {
            About::Subject(subject) => Some(*subject),
            _ => None,
        };
        about.into_iter().chain(self.subject)
    }
}

impl Findings {
    /// Those that concern a subject or what belongs to it, those that go on first. One whose cause is among them is left
    /// to that.
    pub fn concerning<'a>(&'a self, related: &Related<'_>) -> Vec<Sight<'a>> {
        let mut found = Vec::new();
        let concerns = |finding: &Finding| finding.subjects().any(|about| belongs(related, about));
        let open = self.open().iter().map(|finding| (finding, None));
        for (finding, closed) in open.chain(self.over().iter().map(|over| (over.finding, over.closed))) {
            if concerns(finding) {
                found.push(Sight { finding, cause: None, closed });
                continue;
            }
            let symptoms = finding.symptoms.iter().filter(|symptom| concerns(symptom));
            found.extend(symptoms.map(|symptom| Sight { finding: symptom, cause: Some(finding), closed }));
        }
        found
    }
}

/// Whether what a finding is about is the subject, a part of it, or what it is reached by.
fn belongs(related: &Related<'_>, about: Subject) -> bool {
    about == related.subject
        || match about {
            Subject::Flow(flow) => {
                is_of_connection(related) && related.flows.iter().any(|(key, _)| **key == flow)
            }
            Subject::Neighbour(neighbour) => {
                related.neighbours.iter().any(|(key, _)| **key == neighbour)
                    || is_within(related.subject, NetworkKey::host(neighbour.netns, neighbour.address))
            }
            Subject::Network(network) => {
                let is_behind = |address| network.prefix.contains(address);
                related.ways.iter().any(|(key, _)| key.netns == network.netns && is_behind(key.peer))
                    || is_within(related.subject, network)
                    || match related.subject {
                        Subject::Neighbour(key) => key.netns == network.netns && is_behind(key.address),
                        _ => false,
                    }
            }
            Subject::Real(real) => {
                reals(related).any(|known| known == real) || is_of_service(related, real.service)
            }
            Subject::Service(service) => reals(related).any(|known| known.service == service),
            Subject::Namespace(_) | Subject::Hook(_) => false,
        }
        || matches!(related.subject, Subject::Namespace(netns) if about.netns() == Some(netns))
}

/// Whether the subject is a connection, whose flows are parts of it; what flows go by is more than each of them.
fn is_of_connection(related: &Related<'_>) -> bool {
    matches!(related.subject, Subject::Flow(_))
}

fn is_of_service(related: &Related<'_>, service: ServiceKey) -> bool {
    related.subject == Subject::Service(service)
}

/// Whether a subject is a network that has these addresses.
fn is_within(subject: Subject, part: NetworkKey) -> bool {
    matches!(subject, Subject::Network(whole) if whole.netns == part.netns
        && whole.prefix.bits <= part.prefix.bits && whole.prefix.contains(part.prefix.address))
}

/// The real servers that answer the connection, or the one it is about.
fn reals(related: &Related<'_>) -> impl Iterator<Item = RealKey> {
    let of_mappings = related.mappings.iter().filter_map(|mapping| {
        let service = ServiceKey { netns: mapping.netns, service: mapping.learnt.service? };
        Some(RealKey { service, address: Some(mapping.learnt.server) })
    });
    let own = match related.subject {
        Subject::Real(real) => Some(real),
        _ => None,
    };
    own.into_iter().chain(of_mappings)
}

#[cfg(test)]
mod tests {
    use crate::{
        findings::{About, Finding, Severity},
        state::{
            FlowKey, NetworkKey, RealKey, ServiceKey, Subject,
            fixture::{NETNS, endpoints, tcp_service},
            story::{CLIENT, CLIENT_POD, REAL, VIRTUAL, story},
        },
    };

    #[test]
    fn a_connection_has_the_findings_of_its_server_and_of_its_way() {
        let mut state = story();
        let service = ServiceKey { netns: NETNS, service: tcp_service(VIRTUAL) };
        let real = Subject::Real(RealKey { service, address: Some(REAL.parse().unwrap()) });
        let other = Subject::Real(RealKey { service, address: Some("10.42.99.99:1".parse().unwrap()) });
        let flow = Subject::Flow(FlowKey { netns: CLIENT_POD, endpoints: endpoints(CLIENT, VIRTUAL) });
        let related = state.related(flow);
        let hop = Subject::Neighbour(*related.neighbours[0].0);
        let peer = related.ways[0].0;
        let way = Subject::Network(NetworkKey::host(peer.netns, peer.peer));
        let about = |id, subject| {
            let finding =
                Finding::new(id, About::Subject(subject), Severity::Warning, String::new(), String::new());
            Finding { subject: Some(subject), ..finding }
        };
        let below = Finding { symptoms: vec![about("below", way)], ..about("cause", other) };
        let found = vec![about("real", real), about("hop", hop), about("other", other), below];
        let now = state.now();
        state.findings.put(now, found);
        let ids = |subject| {
            let found = state.findings.concerning(&state.related(subject));
            found
                .iter()
                .map(|sight| (sight.finding.id, sight.cause.map(|cause| cause.id)))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(flow), [("real", None), ("hop", None), ("below", Some("cause"))]);
        assert_eq!(ids(Subject::Service(service)), [("real", None), ("other", None), ("cause", None)]);
        assert_eq!(ids(other), [("other", None), ("cause", None)]);
        assert!(ids(hop).contains(&("hop", None)));
    }
}
