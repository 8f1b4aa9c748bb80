//! Findings for tests of what shows them: causes with what they explain, one that is over, one that was.

use super::{About, Affects, Certainty, Finding, Findings, Severity};
use crate::{
    event::{RulesetBackend, RulesetFamily, Text, Timestamp},
    state::{
        FlowKey, NetworkKey, RealKey, ServiceKey, Span, State, Subject, TableKey,
        fixture::{NETNS, endpoints, tcp_service},
        story::{CLIENT, CLIENT_POD, REAL, VIRTUAL, story},
    },
};

impl Findings {
    /// Takes these for what was found at a time.
    pub(crate) fn put(&mut self, now: Timestamp, mut found: Vec<Finding>) {
        found.sort_by_key(|finding| finding.severity);
        let (open, past): (Vec<Finding>, Vec<Finding>) =
            found.into_iter().partition(|finding| finding.is_open);
        self.log.compare(now, &self.open, &open);
        (self.open, self.past) = (open, past);
    }
}

fn about(id: &'static str, subject: Subject, severity: Severity, who: &str, what: &str) -> Finding {
    let finding = Finding::new(id, About::Subject(subject), severity, who.to_owned(), what.to_owned());
    Finding { subject: Some(subject), ..finding }
}

fn texts<const COUNT: usize>(texts: [&str; COUNT]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// The real server that is drained and still dialled.
pub(crate) fn drained() -> Subject {
    let service = ServiceKey { netns: NETNS, service: tcp_service(VIRTUAL) };
    Subject::Real(RealKey { service, address: Some(REAL.parse().unwrap()) })
}

/// A client's flow that was sent to it.
pub(crate) fn client() -> Subject {
    Subject::Flow(FlowKey { netns: CLIENT_POD, endpoints: endpoints(CLIENT, VIRTUAL) })
}

fn cause(span: Span) -> Finding {
    let who = format!("{VIRTUAL} → {REAL}");
    let what = "new connections reach a drained server: conn_reuse_mode 0 keeps the old decision for a client that \
                comes again from the same port";
    let stale = Finding {
        certainty: Certainty::Likely,
        span: Some(span),
        ..about(
            "conntrack-stale-mapping",
            client(),
            Severity::Warning,
            &format!("{CLIENT} → {VIRTUAL}"),
            "a new connection kept an old mapping",
        )
    };
    let address = REAL.split(':').next().unwrap().parse().unwrap();
    let outage = Finding {
        certainty: Certainty::Possible,
        ..about(
            "path-outage",
            Subject::Network(NetworkKey::host(NETNS, address)),
            Severity::Critical,
            "10.42.2.17",
            "nothing was answered for 13 s",
        )
    };
    Finding {
        evidence: texts([
            "12 new connections were given to it since its weight became 0 at 00:01:20",
            "all of them by an entry in TIME_WAIT",
            "net.ipv4.vs.conn_reuse_mode is 0, net.ipv4.vs.expire_nodest_conn is 0",
        ]),
        affects: Affects {
            flows: 12,
            retransmits: 35,
            connections: 12,
            owners: texts(["default/web-7d9f", "default/cron-1"]),
        },
        advice: texts([
            "`sysctl -w net.ipv4.vs.conn_reuse_mode=1`",
            "or remove the server from the service when it has drained: ipvsadm -d -t 10.96.0.10:443 -r 10.42.2.17:8443",
            "to confirm: ipvsadm -Lnc | grep 10.42.2.17",
        ]),
        span: Some(span),
        symptoms: vec![stale, outage],
        ..about("ipvs-reuse-drained", drained(), Severity::Critical, &who, what)
    }
}

fn bloat(span: Span) -> Finding {
    let table = TableKey {
        netns: NETNS,
        backend: RulesetBackend::Nft,
        family: RulesetFamily(2),
        table: Text::new("filter"),
    };
    let who = "ip filter (nft)".to_owned();
    let what = "180,000 rules, 179,700 of them there more than once".to_owned();
    let finding = Finding::new("ruleset-bloat", About::Table(table), Severity::Warning, who, what);
    Finding {
        certainty: Certainty::Likely,
        subject: Some(Subject::Namespace(NETNS)),
        evidence: texts(["it grew by 12,000 rules within 10 minutes"]),
        span: Some(span),
        ..finding
    }
}

fn gone(id: &'static str, who: &str) -> Finding {
    let subject = Subject::Network(NetworkKey::host(NETNS, "10.42.7.7".parse().unwrap()));
    about(id, subject, Severity::Warning, who, "packets to it come again with a lower TTL")
}

/// The story of a client that dials a drained server, as rules might tell it.
pub(crate) fn told() -> State {
    let mut state = story();
    let now = state.now();
    let before = |seconds: u64| now.earlier_by_ns(seconds * 1_000_000_000);
    let span = Span { first: before(14), last: before(2) };
    let over = Finding {
        is_open: false,
        span: Some(Span { first: before(40), last: before(33) }),
        ..about(
            "neighbour-unreachable",
            Subject::Network(NetworkKey::host(NETNS, "192.168.100.9".parse().unwrap())),
            Severity::Critical,
            "192.168.100.9 on eth0",
            "the next hop of 3 flows did not answer",
        )
    };
    let symptom = cause(span).symptoms[0].clone();
    state.findings.put(before(30), vec![gone("routing-loop", "10.42.7.7")]);
    state.findings.put(before(20), vec![bloat(span)]);
    state.findings.put(before(14), vec![bloat(span), symptom]);
    state.findings.put(before(12), vec![bloat(span), cause(span), over]);
    state
}
