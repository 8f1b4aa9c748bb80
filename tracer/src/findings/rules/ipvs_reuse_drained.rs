//! New connections reach a drained real server, because an old decision is used again.

use serde::{Deserialize, Serialize};

use super::{
    MOST_OF_A_RULE, Rule, View,
    services::{self, Hit, Told, how_drained, reals_of, told},
    tell_left_out,
};
use crate::{
    event::{Endpoint, IpvsDecision},
    findings::{Finding, Severity},
    state::{MishapKind, Mishaps, Real, RealKey, State},
    words::{counted, duration, exact, settings},
};

/// New connections reach a drained real server, because an old decision is used again.
///
/// IPVS keeps an entry of every connection, some minutes beyond its end, and for persistent services one of every client.
/// A new connection that meets such an entry goes where that points, whatever the weight of the real server is by now.
/// Whether the entry gives way is up to `net.ipv4.vs.conn_reuse_mode` and `expire_nodest_conn`, and for persistent
/// services to `expire_quiescent_template`. Each such connection is a decision that the kernel told with the entry's
/// state, the weight and the settings of that moment, so there is nothing to guess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IpvsReuseDrained {
    /// New connections from which on it is told. The first one is as wrong as the others.
    pub connections: u64,
    /// New connections from which on it is critical, even where nothing tells that they fail.
    pub critical_connections: u64,
    /// SYNs within 10 s that came again for the second time or more often, of handshakes that were under way when the
    /// server was drained, from which on these are told by themselves: the server is dead as well.
    pub handshakes: u64,
    /// How many more than that they have to be, in thousandths of the service's new connections.
    pub handshakes_permille: u64,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for IpvsReuseDrained {
    fn default() -> Self {
        Self {
            connections: 1,
            critical_connections: 10,
            handshakes: 3,
            handshakes_permille: 10,
            quiet_seconds: 20,
        }
    }
}

impl Rule for IpvsReuseDrained {
    const ID: &'static str = "ipvs-reuse-drained";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let mut drained =
            told(view, MishapKind::OntoDrained, |real, mishaps| self.is_open(view, real, mishaps));
        let dead = told(view, MishapKind::Unanswered, |real, mishaps| self.is_dead(view, real, mishaps));
        drained.retain(|one| one.is_open || !dead.iter().any(|other| other.real == one.real));
        let is_news = |one: &Told<'_>| !drained.iter().any(|other| other.real == one.real);
        let dead: Vec<Told<'_>> = dead.into_iter().filter(is_news).collect();
        drained.extend(dead);
        if drained.is_empty() {
            return;
        }
        let hit = Hit::of(view, &drained);
        let others = reals_of(view.state, drained.iter().map(|told| told.real.service));
        for told in drained.iter().take(MOST_OF_A_RULE) {
            let others = others.get(&told.real.service).map(Vec::as_slice).unwrap_or_default();
            found.push(self.finding(view.state, told, others, &hit));
        }
        let open = drained.iter().filter(|told| told.is_open).count();
        let words = ("drained real servers", "new connections reach them all the same");
        tell_left_out(found, Self::ID, open, Severity::Warning, words);
    }
}

impl IpvsReuseDrained {
    /// Whether it goes on; `None` if it is not worth a word, or the server is gone, which is another matter.
    fn is_open(&self, view: &View<'_>, key: &RealKey, mishaps: &Mishaps) -> Option<bool> {
        if mishaps.spell.count < self.connections {
            return None;
        }
        let real = view.state.ipvs.reals.get(key);
        let is_gone = real.is_some_and(|real| !real.available) && mishaps.newest.available;
        if is_gone {
            return None;
        }
        Some(view.is_within(mishaps.last, self.quiet_seconds) && !is_mended(view.state, key, mishaps))
    }

    /// The same of handshakes that were under way when the server was drained. No mode of reuse gives these up.
    fn is_dead(&self, view: &View<'_>, key: &RealKey, mishaps: &Mishaps) -> Option<bool> {
        let is_told = mishaps.spell.densest >= self.handshakes
            && services::is_share(view, key.service, mishaps, self.handshakes_permille);
        is_told.then(|| {
            view.is_within(mishaps.last, self.quiet_seconds)
                && !is_back_or_settled(view.state, key, mishaps)
                && view.state.ipvs.reals.get(key).is_none_or(|real| real.available)
        })
    }

    fn severity(&self, mishaps: &Mishaps, is_resent: bool) -> Severity {
        let is_unanswered = mishaps.repeated > 0 || is_resent || is_of_handshakes(mishaps);
        if is_unanswered || !mishaps.newest.available || mishaps.connections >= self.critical_connections {
            Severity::Critical
        } else {
            Severity::Warning
        }
    }

    fn finding(&self, state: &State, told: &Told<'_>, reals: &[(Endpoint, &Real)], hit: &Hit<'_>) -> Finding {
        let Told { real: key, mishaps, is_open } = told;
        let affects = hit.affects(state, key, mishaps.connections);
        let severity = self.severity(mishaps, hit.is_opening(key));
        let real = state.ipvs.reals.get(key);
        let finding = Finding::new(Self::ID, told.about(), severity, told.who(), what(state, told, real));
        Finding {
            subject: Some(told.subject()),
            evidence: evidence(state, told, real, reals),
            advice: advice(state, told),
            affects,
            span: Some(mishaps.spell.span),
            is_open: *is_open,
            ..finding
        }
    }
}

/// Whether it cannot happen any more, by what is known of the server and of the settings since.
fn is_mended(state: &State, key: &RealKey, mishaps: &Mishaps) -> bool {
    let service = state.ipvs.services.get(&key.service);
    let mode = service.and_then(|service| service.reuse_mode);
    is_back_or_settled(state, key, mishaps) || mode.is_some_and(|mode| mode != mishaps.newest.reuse_mode)
}

/// The same by all but the mode of reuse.
fn is_back_or_settled(state: &State, key: &RealKey, mishaps: &Mishaps) -> bool {
    let is_back = |real: &Real| real.available && real.weight.is_some_and(|weight| weight > 0);
    let service = state.ipvs.services.get(&key.service);
    state.ipvs.reals.get(key).is_some_and(is_back)
        || service.is_some_and(|service| {
            service.removed.is_some()
                || service.expire_nodest.is_some_and(|expire| expire != mishaps.newest.expire_nodest)
        })
}

/// Whether the connections are older than the drain, and their handshakes go on.
fn is_of_handshakes(mishaps: &Mishaps) -> bool {
    mishaps.newest.is_repeated()
}

const TEMPLATE_SETTING: &str = "net.ipv4.vs.expire_quiescent_template";

/// Whether the client's persistence led there, and no entry of an earlier connection.
fn is_by_template(mishaps: &Mishaps) -> bool {
    mishaps.newest.decision != IpvsDecision::Reused
}

fn what(state: &State, told: &Told<'_>, real: Option<&Real>) -> String {
    const FINISHED: [&str; 2] = ["TIME_WAIT", "CLOSE"];
    let mishaps = told.mishaps;
    let newest = &mishaps.newest;
    let condition = if newest.available { "drained (weight 0)" } else { "removed" };
    let since = how_drained(real).map(|since| format!("; {since}")).unwrap_or_default();
    if is_of_handshakes(mishaps) {
        return format!(
            "{condition}, yet {} go on to it without an answer: net.ipv4.vs.expire_nodest_conn={} keeps their entries{since}",
            counted(mishaps.connections, "handshake"),
            newest.expire_nodest
        );
    }
    let reached = counted(mishaps.connections, "new connection");
    let setting = if is_by_template(mishaps) {
        let value = state.routes.sysctl(told.real.service.netns, TEMPLATE_SETTING);
        let value = value.map(|value| format!(", {TEMPLATE_SETTING}={value}")).unwrap_or_default();
        format!("sent by what is kept of persistent clients{value}")
    } else {
        let mode = newest.reuse_mode;
        let entry = newest.connection_state.filter(|state| mode != 0 && !FINISHED.contains(state));
        let entry = entry.map(|state| format!(" (an entry in {state})")).unwrap_or_default();
        format!("old decisions used again{entry}, net.ipv4.vs.conn_reuse_mode={mode}")
    };
    format!("{condition}, yet reached by {reached}: {setting}{since}")
}

fn evidence(state: &State, told: &Told<'_>, real: Option<&Real>, reals: &[(Endpoint, &Real)]) -> Vec<String> {
    let mishaps = told.mishaps;
    let span = mishaps.spell.span;
    let took_ns = span.last.boot_ns.saturating_sub(span.first.boot_ns);
    let reached = if is_of_handshakes(mishaps) {
        format!("{} that came again and again", told.packets(mishaps.spell.count))
    } else {
        counted(mishaps.connections, "new connection")
    };
    let mut lines = vec![format!("{reached} within {}, {}", duration(took_ns), told.last())];
    lines.push(told.settings());
    lines.extend(told.clients());
    let repeated = mishaps.repeated;
    lines.extend(
        (repeated > 0).then(|| format!("{} came again: the server does not answer", told.packets(repeated))),
    );
    let listed = real.and_then(|real| real.connections).filter(|listed| listed.active + listed.inactive > 0);
    lines.extend(listed.map(|connections| {
        format!(
            "{} active and {} inactive connections when it was last listed",
            exact(connections.active.into()),
            exact(connections.inactive.into())
        )
    }));
    lines.extend(takers(told.real, reals));
    lines.extend(told.place(state));
    lines
}

/// The servers that new connections are meant for.
fn takers(key: &RealKey, reals: &[(Endpoint, &Real)]) -> Option<String> {
    let takers = reals.iter().filter(|(address, real)| {
        Some(*address) != key.address && real.available && real.weight.is_some_and(|weight| weight > 0)
    });
    let all = takers.clone().count();
    let listed: Vec<String> = takers
        .take(services::LISTED)
        .map(|(address, real)| format!("{address} (weight {})", real.weight.unwrap_or_default()))
        .collect();
    (all > 0).then(|| format!("meant for them: {}{}", listed.join(", "), services::and_more(all)))
}

fn advice(state: &State, told: &Told<'_>) -> Vec<String> {
    let mishaps = told.mishaps;
    let newest = &mishaps.newest;
    let mut lines = Vec::new();
    if is_by_template(mishaps) {
        lines.push(format!(
            "`sysctl -w {TEMPLATE_SETTING}=1`{}: what is kept of a client gives way once its server has weight 0",
            services::now(state, told.real, TEMPLATE_SETTING)
        ));
    } else {
        lines.extend((!is_of_handshakes(mishaps)).then(|| reuse_advice(state, told)).flatten());
        lines.extend((newest.expire_nodest == 0).then(|| {
            "`sysctl -w net.ipv4.vs.expire_nodest_conn=1` (now 0): an entry of a server with weight 0 gives way to a new \
             connection, whatever its state (from Linux 5.16 on, and where that was brought to older ones)"
                .to_owned()
        }));
        let client = mishaps.clients.most().first().map(|(address, _)| format!(" (most often {address})"));
        lines.push(format!(
            "widen net.ipv4.ip_local_port_range of the clients{}, so that their ports come back later",
            client.unwrap_or_default()
        ));
    }
    lines.extend(told.real.address.map(|real| {
        format!(
            "confirm: `ipvsadm -Lnc | grep -F {}` shows no new entries, and `ipvsadm -Ln {}` no more connections there",
            services::listed_as(real),
            services::ipvsadm_service(told.service())
        )
    }));
    lines
}

/// The value of `conn_reuse_mode` that would have made the entry give way.
fn reuse_advice(state: &State, told: &Told<'_>) -> Option<String> {
    /// Also entries in FIN_WAIT, the last state the director sees of connections whose replies do not pass it.
    const DIRECT: i32 = 2;
    let newest = &told.mishaps.newest;
    let mode = newest.reuse_mode;
    if mode & DIRECT == 0 && newest.connection_state == Some("FIN_WAIT") {
        return Some(format!(
            "`sysctl -w net.ipv4.vs.conn_reuse_mode=3` (now {mode}): where replies do not pass this node, a SYN on an entry \
             in FIN_WAIT is scheduled anew only then"
        ));
    }
    (mode == 0).then(|| {
        format!(
            "{}{}",
            settings::reuse_mode(),
            services::now(state, told.real, "net.ipv4.vs.conntrack").replace("now", "here")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{IpvsReuseDrained, Rule as _};
    use crate::{
        event::{Body, Ipvs, IpvsChangeKind, IpvsDecision, ListedWhy, Protocol, RetransmitKind},
        findings::{
            FindingStatus::{Closed, Open},
            Severity,
            rules::play::{only, played, told},
        },
        state::fixture::{ipvs, ipvs_change, listed, retransmit},
    };

    /// What is different about a decision.
    type Change = fn(&mut Ipvs);
    /// What happens besides.
    type More = Vec<(u64, Body)>;

    const ID: &str = IpvsReuseDrained::ID;
    const SERVICE: &str = "10.9.9.9:80";
    const REAL: &str = "10.2.1.2:8080";
    const OTHER: &str = "10.2.1.3:8080";
    const WHO: &str = "10.9.9.9:80 → 10.2.1.2:8080";

    fn reused(port: u16, change: impl Fn(&mut Ipvs)) -> Body {
        let Body::Ipvs(mut decided) =
            ipvs(IpvsDecision::Reused, &format!("10.0.0.7:{port}"), SERVICE, Some(REAL), 0)
        else {
            unreachable!("it makes nothing else")
        };
        change(&mut decided);
        Body::Ipvs(decided)
    }

    fn weight(from: i32, to: i32) -> Body {
        ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(REAL), Some(from), Some(to))
    }

    /// Two servers, of which one is drained at 10 s.
    fn rollout() -> Vec<(u64, Body)> {
        vec![
            (1_000, listed(ListedWhy::News, SERVICE, REAL, 1)),
            (1_000, listed(ListedWhy::News, SERVICE, OTHER, 1)),
            (10_000, weight(1, 0)),
        ]
    }

    #[test]
    fn the_first_connection_opens_it_and_it_says_why_and_what_to_do() {
        let events =
            rollout().into_iter().chain((0..3).map(|index| (20_000 + index * 1_000, reused(41_000, |_| ()))));
        let state = played(events, 60);
        assert_eq!(
            told(&state, ID),
            [(20, Open, Severity::Warning, WHO.to_owned()), (43, Closed, Severity::Warning, WHO.to_owned())]
        );
        let finding = only(&state, ID);
        insta::assert_snapshot!(text(finding), @"
        drained (weight 0), yet reached by 3 new connections: old decisions used again, net.ipv4.vs.conn_reuse_mode=0; weight 1 → 0 at 10:13:30 UTC
        3 new connections within 2.0s, the last one at 10:13:42.000 UTC from 10.0.0.7:41000 on an entry in TIME_WAIT
        net.ipv4.vs.conn_reuse_mode=0, net.ipv4.vs.expire_nodest_conn=0 at that moment
        12 active and 3,400 inactive connections when it was last listed
        meant for them: 10.2.1.3:8080 (weight 1)
        `sysctl -w net.ipv4.vs.conn_reuse_mode=1` (now 0): a SYN on a finished entry is scheduled anew; before Linux 5.9 that costs the client a second where net.ipv4.vs.conntrack is 1
        `sysctl -w net.ipv4.vs.expire_nodest_conn=1` (now 0): an entry of a server with weight 0 gives way to a new connection, whatever its state (from Linux 5.16 on, and where that was brought to older ones)
        widen net.ipv4.ip_local_port_range of the clients (most often 10.0.0.7), so that their ports come back later
        confirm: `ipvsadm -Lnc | grep -F 10.2.1.2:8080` shows no new entries, and `ipvsadm -Ln -t 10.9.9.9:80` no more connections there
        ");
    }

    fn text(finding: &crate::findings::Finding) -> String {
        let lines = [&finding.evidence[..], &finding.advice[..]].concat();
        format!("{}\n{}", finding.what, lines.join("\n"))
    }

    #[test]
    fn it_is_critical_where_connections_fail() {
        let opening = |decided: &mut Ipvs| decided.connection_state = Some("SYN_RECV");
        let syn =
            |destination| Body::Retransmit(retransmit(RetransmitKind::Syn, "10.0.0.7:41000", destination));
        let many: Vec<(u64, Body)> = (0..10).map(|port| (20_500, reused(41_000 + port, |_| ()))).collect();
        let cases: [(&str, More, Severity); 5] = [
            ("nothing else", vec![], Severity::Warning),
            ("its SYN again", vec![(20_500, reused(41_000, opening))], Severity::Critical),
            ("the client's SYN is resent", vec![(20_500, syn(SERVICE))], Severity::Critical),
            ("that of another service is", vec![(20_500, syn("10.9.9.8:80"))], Severity::Warning),
            ("many", many, Severity::Critical),
        ];
        for (case, more, severity) in cases {
            let events = rollout().into_iter().chain([(20_000, reused(41_000, |_| ()))]).chain(more);
            let state = played(events, 22);
            assert_eq!(only(&state, ID).severity, severity, "{case}");
        }
    }

    #[test]
    fn what_looks_like_it_is_told_nowhere() {
        let opening = |decided: &mut Ipvs| decided.connection_state = Some("SYN_RECV");
        let healthy = |decided: &mut Ipvs| decided.weight = Some(1);
        let scheduled = |decided: &mut Ipvs| decided.decision = IpvsDecision::Scheduled;
        let elsewhere = |decided: &mut Ipvs| {
            (decided.decision, decided.real) = (IpvsDecision::Rescheduled, OTHER.parse().ok());
            decided.weight = Some(1);
        };
        let cases: [(&str, Change); 4] = [
            ("a SYN that comes again", opening),
            ("a server with a weight", healthy),
            ("drained while the scheduler chose", scheduled),
            ("the entry gives way", elsewhere),
        ];
        for (case, change) in cases {
            let events = (0..50).map(|port| (20_000 + u64::from(port) * 100, reused(41_000 + port, change)));
            let state = played(rollout().into_iter().chain(events), 40);
            assert!(told(&state, ID).is_empty(), "{case}: {:?}", told(&state, ID));
        }
    }

    #[test]
    fn it_closes_at_once_when_it_cannot_happen_any_more() {
        let scheduled = |mode, expire| {
            let Body::Ipvs(mut decided) =
                ipvs(IpvsDecision::Scheduled, "10.0.0.8:1", SERVICE, Some(OTHER), 1)
            else {
                unreachable!("it makes nothing else")
            };
            (decided.reuse_mode, decided.expire_nodest) = (mode, expire);
            Body::Ipvs(decided)
        };
        let removed = |real| ipvs_change(IpvsChangeKind::Removed, SERVICE, real, Some(0), None);
        let cases: [(&str, Body, u64); 6] = [
            ("nothing", scheduled(0, 0), 41),
            ("conn_reuse_mode", scheduled(1, 0), 25),
            ("expire_nodest_conn", scheduled(0, 1), 25),
            ("its weight", weight(0, 1), 25),
            ("the server", removed(Some(REAL)), 25),
            ("the service", removed(None), 25),
        ];
        for (case, change, closed) in cases {
            let events = rollout().into_iter().chain([(20_000, reused(41_000, |_| ())), (24_500, change)]);
            let state = played(events, 60);
            let seconds: Vec<_> =
                told(&state, ID).iter().map(|&(second, status, ..)| (second, status)).collect();
            assert_eq!(seconds, [(20, Open), (closed, Closed)], "{case}");
        }
    }

    #[test]
    fn persistence_and_direct_routing_are_told_as_such() {
        let persistent = |decided: &mut Ipvs| {
            (decided.decision, decided.persistent) = (IpvsDecision::Scheduled, true);
            decided.connection_state = None;
        };
        let direct = |decided: &mut Ipvs| {
            (decided.reuse_mode, decided.connection_state) = (1, Some("FIN_WAIT"));
        };
        let cases: [(Change, &str, &str); 2] = [
            (
                persistent,
                "drained (weight 0), yet reached by 1 new connection: sent by what is kept of persistent clients; \
                 weight 1 → 0 at 10:13:30 UTC",
                "`sysctl -w net.ipv4.vs.expire_quiescent_template=1`: ",
            ),
            (
                direct,
                "drained (weight 0), yet reached by 1 new connection: old decisions used again (an entry in FIN_WAIT), \
                 net.ipv4.vs.conn_reuse_mode=1; weight 1 → 0 at 10:13:30 UTC",
                "`sysctl -w net.ipv4.vs.conn_reuse_mode=3` (now 1): ",
            ),
        ];
        for (change, what, advice) in cases {
            let events = rollout().into_iter().chain([(20_000, reused(41_000, change))]);
            let state = played(events, 22);
            let finding = only(&state, ID);
            assert_eq!(finding.what, what);
            assert!(finding.advice[0].starts_with(advice), "{:?}", finding.advice);
        }
    }

    #[test]
    fn addresses_of_ipv6_marks_and_protocols_are_told_as_they_are_known() {
        let of = |mark, protocol| {
            let Body::Ipvs(mut decided) =
                ipvs(IpvsDecision::Reused, "[fd00::7]:41000", "[fd09::9]:80", Some("[fd78:1::2]:80"), 0)
            else {
                unreachable!("it makes nothing else")
            };
            (decided.firewall_mark, decided.protocol) = (mark, protocol);
            played([(20_000, Body::Ipvs(decided))], 22)
        };
        let who = |mark, protocol| only(&of(mark, protocol), ID).who.clone();
        assert_eq!(who(None, Protocol::TCP), "[fd09::9]:80 → [fd78:1::2]:80");
        assert_eq!(who(None, Protocol::UDP), "udp [fd09::9]:80 → [fd78:1::2]:80");
        assert_eq!(who(Some(7), Protocol::TCP), "fwmark 7 IPv6 → [fd78:1::2]:80");
    }
}
