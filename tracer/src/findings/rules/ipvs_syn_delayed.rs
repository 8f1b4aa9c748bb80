//! IPVS drops SYNs on connections it is about to forget: their clients wait for a second or more.

use serde::{Deserialize, Serialize};

use super::{
    MOST_OF_A_RULE, Rule, View,
    services::{self, Hit, Told, told},
    tell_left_out,
};
use crate::{
    findings::{Finding, Severity},
    state::{MishapKind, Mishaps, RealKey, State},
    words::{exact, settings},
};

/// IPVS drops SYNs on connections it is about to forget: their clients wait for a second or more.
///
/// Where an entry has to give way but conntrack still has its connection, IPVS drops the SYN that met it, for the new
/// entry would go by the old translation. The client's next SYN comes a second later. One client that waits is no
/// finding: with `net.ipv4.vs.conntrack` 1 that happens now and then, as when a server is drained while a SYN-ACK of it
/// is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IpvsSynDelayed {
    /// SYNs dropped within 10 s from which on it is told.
    pub syns: u64,
    /// Where all of them are handshakes that were under way: how many more than that they have to be, in thousandths of
    /// the service's new connections.
    pub handshakes_permille: u64,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for IpvsSynDelayed {
    fn default() -> Self {
        Self { syns: 3, handshakes_permille: 10, quiet_seconds: 20 }
    }
}

impl Rule for IpvsSynDelayed {
    const ID: &'static str = "ipvs-syn-delayed";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let delayed = told(view, MishapKind::Delayed, |real, mishaps| self.is_open(view, real, mishaps));
        if delayed.is_empty() {
            return;
        }
        let hit = Hit::of(view, &delayed);
        found.extend(delayed.iter().take(MOST_OF_A_RULE).map(|told| finding(view.state, told, &hit)));
        let open = delayed.iter().filter(|told| told.is_open).count();
        let words = ("services", "SYNs are dropped to get rid of old entries");
        tell_left_out(found, Self::ID, open, Severity::Warning, words);
    }
}

impl IpvsSynDelayed {
    fn is_open(&self, view: &View<'_>, key: &RealKey, mishaps: &Mishaps) -> Option<bool> {
        let is_told = mishaps.reuses.densest >= self.syns
            || view.was_open(Self::ID, &services::about(key))
            || (mishaps.spell.densest >= self.syns
                && services::is_share(view, key.service, mishaps, self.handshakes_permille));
        is_told.then(|| view.is_within(mishaps.spell.span.last, self.quiet_seconds))
    }
}

/// The service, and the real server if it is always the same.
fn who(told: &Told<'_>) -> String {
    match told.mishaps.reals.most()[..] {
        [(real, _)] => services::name(told.real.service, Some(real)),
        _ => told.who(),
    }
}

/// The setting that makes the entry give way.
fn setting(mishaps: &Mishaps) -> String {
    let newest = &mishaps.newest;
    if newest.weight == Some(0) && newest.expire_nodest != 0 {
        "net.ipv4.vs.expire_nodest_conn=1 gives up entries of drained servers".to_owned()
    } else if newest.available {
        format!("net.ipv4.vs.conn_reuse_mode={} gives up finished entries", newest.reuse_mode)
    } else {
        "net.ipv4.vs.expire_nodest_conn=1 gives up entries of removed servers".to_owned()
    }
}

fn finding(state: &State, told: &Told<'_>, hit: &Hit<'_>) -> Finding {
    let mishaps = told.mishaps;
    let dropped = told.packets(mishaps.spell.count);
    let what = format!(
        "{dropped} dropped to get rid of old entries, and each client waits a second or more: {} while conntrack has \
         their connections",
        setting(mishaps)
    );
    let mut evidence = vec![
        format!("{dropped} dropped, at most {} within 10 s, {}", exact(mishaps.spell.densest), told.last()),
        told.settings(),
    ];
    let reals = mishaps.reals.most();
    let listed: Vec<String> = reals
        .iter()
        .take(services::LISTED)
        .map(|(real, count)| format!("{real} ({})", exact(*count)))
        .collect();
    evidence
        .extend((!reals.is_empty()).then(|| {
            format!("the entries were of {}{}", listed.join(", "), services::and_more(reals.len()))
        }));
    evidence.extend(told.clients());
    evidence.extend(told.place(state));
    Finding {
        subject: Some(told.subject()),
        evidence,
        advice: advice(state, told),
        affects: hit.affects(state, told.real, mishaps.connections),
        span: Some(mishaps.spell.span),
        is_open: told.is_open,
        ..Finding::new(IpvsSynDelayed::ID, told.about(), Severity::Warning, who(told), what)
    }
}

fn advice(state: &State, told: &Told<'_>) -> Vec<String> {
    const CONNTRACK: &str = "net.ipv4.vs.conntrack";
    let client = told.mishaps.clients.most().first().map(|(address, _)| format!(" (most often {address})"));
    vec![
        settings::ipvs_without_conntrack(&services::now(state, told.real, CONNTRACK)),
        format!(
            "widen net.ipv4.ip_local_port_range of the clients{}, so that their ports come back later",
            client.unwrap_or_default()
        ),
        "before Linux 5.9 every port that is used again costs a second like this: newer kernels drop only where conntrack \
         keeps the old connection"
            .to_owned(),
        "confirm: `nstat -az TcpExtTCPSynRetrans` on the clients grows no more".to_owned(),
    ]
}
