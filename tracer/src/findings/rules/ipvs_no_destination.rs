//! A service refuses new connections: it has no real server for them.

use serde::{Deserialize, Serialize};

use super::{
    MOST_OF_A_RULE, Rule, View,
    services::{self, Hit, Told, how_drained, reals_of, told},
    tell_left_out,
};
use crate::{
    event::{Endpoint, IpvsForward},
    findings::{Finding, Severity},
    state::{MishapKind, Mishaps, Real, RealKey, State},
    words::{counted, exact},
};

/// A service refuses new connections: it has no real server for them.
///
/// A service that never had one is dialled by whoever scans ports, so it has to refuse more of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IpvsNoDestination {
    /// New connections refused within 10 s from which on it is told of a service that has or had real servers.
    pub connections: u64,
    /// The same of a service that is not known to have had any.
    pub unserved_connections: u64,
    /// Seconds from the first refusal to the last from which on it is critical.
    pub critical_seconds: u64,
    /// Refused connections from which on it is critical, however short.
    pub critical_connections: u64,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for IpvsNoDestination {
    fn default() -> Self {
        Self {
            connections: 3,
            unserved_connections: 10,
            critical_seconds: 5,
            critical_connections: 50,
            quiet_seconds: 20,
        }
    }
}

impl Rule for IpvsNoDestination {
    const ID: &'static str = "ipvs-no-destination";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let rows = view.state.ipvs.mishaps.iter();
        let refusing = rows
            .filter(|(key, mishaps)| {
                key.kind == MishapKind::Refused && mishaps.spell.densest >= self.connections
            })
            .map(|(key, _)| key.real.service);
        let reals = reals_of(view.state, refusing);
        if reals.is_empty() {
            return;
        }
        let of = |key: &RealKey| reals.get(&key.service).map(Vec::as_slice).unwrap_or_default();
        let refused =
            told(view, MishapKind::Refused, |key, mishaps| self.is_open(view, key, mishaps, of(key)));
        let hit = Hit::of(view, &refused);
        for told in refused.iter().take(MOST_OF_A_RULE) {
            found.push(self.finding(view.state, told, of(told.real), &hit));
        }
        let open = refused.iter().filter(|told| told.is_open).count();
        let words = ("services", "refuse new connections: they have no real server");
        tell_left_out(found, Self::ID, open, Severity::Critical, words);
    }
}

impl IpvsNoDestination {
    fn is_open(
        &self,
        view: &View<'_>,
        key: &RealKey,
        mishaps: &Mishaps,
        reals: &[(Endpoint, &Real)],
    ) -> Option<bool> {
        let enough = if reals.is_empty() { self.unserved_connections } else { self.connections };
        let is_told = mishaps.spell.densest >= enough || view.was_open(Self::ID, &services::about(key));
        let service = view.state.ipvs.services.get(&key.service);
        let is_removed = service.is_some_and(|service| service.removed.is_some());
        is_told.then(|| view.is_within(mishaps.spell.span.last, self.quiet_seconds) && !is_removed)
    }

    fn severity(&self, mishaps: &Mishaps) -> Severity {
        const SECOND_NS: u64 = 1_000_000_000;
        let span = mishaps.spell.span;
        let lasted_ns = span.last.boot_ns.saturating_sub(span.first.boot_ns);
        if lasted_ns >= self.critical_seconds * SECOND_NS || mishaps.connections >= self.critical_connections
        {
            Severity::Critical
        } else {
            Severity::Warning
        }
    }

    fn finding(&self, state: &State, told: &Told<'_>, reals: &[(Endpoint, &Real)], hit: &Hit<'_>) -> Finding {
        let mishaps = told.mishaps;
        let what = format!(
            "{} refused: {}",
            counted(mishaps.connections, "new connection"),
            why(state, told, reals)
        );
        let mut evidence = vec![format!(
            "{} refused, at most {} within 10 s, {}",
            told.packets(mishaps.spell.count),
            exact(mishaps.spell.densest),
            told.last()
        )];
        evidence.extend(servers(reals));
        evidence.extend(told.clients());
        evidence.extend(told.place(state));
        Finding {
            subject: Some(told.subject()),
            evidence,
            advice: advice(state, told, reals),
            affects: hit.affects(state, told.real, mishaps.connections),
            span: Some(mishaps.spell.span),
            is_open: told.is_open,
            ..Finding::new(Self::ID, told.about(), self.severity(mishaps), told.who(), what)
        }
    }
}

fn is_drained(real: &Real) -> bool {
    real.available && real.weight == Some(0)
}

/// The schedulers that choose by the client, and take no other server where that one is drained, unless a flag of the
/// service says so; with the flag, if they have one.
///
/// Source: `ip_vs_sh_schedule`, `ip_vs_mh_schedule` and `ip_vs_dh_schedule`, v6.18.
const HASHING: [(&str, Option<&str>); 3] =
    [("sh", Some("sh-fallback")), ("mh", Some("mh-fallback")), ("dh", None)];

/// The scheduler that gives clients drained servers and no others, though there are some, and the flag against that.
fn hashing(
    state: &State,
    told: &Told<'_>,
    reals: &[(Endpoint, &Real)],
) -> Option<(&'static str, Option<&'static str>)> {
    let takes = |real: &Real| real.available && real.weight.is_some_and(|weight| weight > 0);
    let is_mixed =
        reals.iter().any(|(_, real)| takes(real)) && reals.iter().any(|(_, real)| is_drained(real));
    let scheduler = state.ipvs.services.get(&told.real.service)?.scheduler.as_ref()?;
    HASHING.into_iter().find(|(name, _)| is_mixed && *name == scheduler.as_str())
}

/// Why there is no server to choose.
fn why(state: &State, told: &Told<'_>, reals: &[(Endpoint, &Real)]) -> String {
    let configured = reals.iter().filter(|(_, real)| real.available).count();
    let drained = reals.iter().filter(|(_, real)| is_drained(real)).count();
    match (reals.len(), configured) {
        (0, _) => "the service has no real server".to_owned(),
        (_, 0) => "all real servers were removed".to_owned(),
        (_, configured) if drained == configured => {
            format!("all real servers are drained (weight 0 of {})", exact(configured as u64))
        }
        _ => match hashing(state, told, reals) {
            Some((scheduler, _)) => format!(
                "the scheduler {scheduler} keeps giving these clients a drained server, and no other (drained: {} of {})",
                exact(drained as u64),
                exact(configured as u64)
            ),
            None => "no real server takes more connections".to_owned(),
        },
    }
}

/// The servers there are or were, and since when they take no connections.
fn servers(reals: &[(Endpoint, &Real)]) -> Option<String> {
    let mut newest: Vec<_> = reals.iter().collect();
    newest.sort_by_key(|(_, real)| {
        std::cmp::Reverse(real.removed.max(real.weight_changed.map(|(time, _)| time)))
    });
    let listed: Vec<String> = newest
        .iter()
        .take(services::LISTED)
        .map(|(address, real)| {
            let weight = || format!("weight {}", real.weight.unwrap_or_default());
            format!("{address} ({})", how_drained(Some(*real)).unwrap_or_else(weight))
        })
        .collect();
    (!listed.is_empty())
        .then(|| format!("real servers: {}{}", listed.join(", "), services::and_more(reals.len())))
}

fn advice(state: &State, told: &Told<'_>, reals: &[(Endpoint, &Real)]) -> Vec<String> {
    if let Some((scheduler, flag)) = hashing(state, told, reals) {
        return hashing_advice(state, told, scheduler, flag);
    }
    let service = services::ipvsadm_service(told.service());
    let drained = reals.iter().find(|(_, real)| is_drained(real));
    let back = drained.and_then(|(address, real)| {
        let forward = match real.forwarding? {
            IpvsForward::Nat => "-m",
            IpvsForward::Tunnel => "-i",
            IpvsForward::Direct => "-g",
            IpvsForward::Local | IpvsForward::Bypass => return None,
        };
        Some(format!(
            "`ipvsadm -e {service} -r {address} {forward} -w 1` gives a drained server its weight back"
        ))
    });
    let mut lines = Vec::from_iter(back);
    lines.push(
        "find out why no server is ready: on Kubernetes `kubectl get endpointslices` of the service, and the readiness of \
         its pods"
            .to_owned(),
    );
    lines.push(format!("confirm: `ipvsadm -Ln {service}` lists a real server with a weight above 0"));
    lines
}

/// What gives the clients of drained servers another one.
fn hashing_advice(
    state: &State,
    told: &Told<'_>,
    scheduler: &'static str,
    flag: Option<&'static str>,
) -> Vec<String> {
    let service = services::ipvsadm_service(told.service());
    let kept = state.ipvs.services.get(&told.real.service).and_then(|service| service.persistence_s);
    let kept = kept.map(|seconds| format!(" -p {seconds}")).unwrap_or_default();
    vec![
        match flag {
            Some(flag) => format!(
                "`ipvsadm -E {service} -s {scheduler} -b {flag}{kept}` lets clients of a drained server have another one"
            ),
            None => format!(
                "`ipvsadm -E {service} -s wrr{kept}`: {scheduler} has no other server for clients of a drained one"
            ),
        },
        "or remove the drained server: its clients are then given others".to_owned(),
        format!("confirm: `ipvsadm -Ln {service} --stats` counts new connections of all clients again"),
    ]
}
