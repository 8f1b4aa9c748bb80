//! Packets are dropped without a word: their real server was removed.

use serde::{Deserialize, Serialize};

use super::{
    MOST_OF_A_RULE, Rule, View,
    services::{self, Hit, Told, how_drained, listed_as, told},
    tell_left_out,
};
use crate::{
    findings::{Finding, Severity},
    state::{MishapKind, Mishaps, RealKey, State},
    words::{counted, settings},
};

/// Packets are dropped without a word: their real server was removed.
///
/// With `net.ipv4.vs.expire_nodest_conn` 0 the entries of a removed real server stay until their time is up, and what
/// meets one is dropped and nobody told. A handshake that was under way when the server went is lost like that too, at any
/// removal: of those alone many are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IpvsDestinationGone {
    /// First packets dropped within 10 s from which on it is told: a SYN and its first repeat.
    pub packets: u64,
    /// Where all of them are handshakes that were under way: how many more than that they have to be, in thousandths of
    /// the service's new connections.
    pub handshakes_permille: u64,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for IpvsDestinationGone {
    fn default() -> Self {
        Self { packets: 2, handshakes_permille: 10, quiet_seconds: 20 }
    }
}

impl Rule for IpvsDestinationGone {
    const ID: &'static str = "ipvs-destination-gone";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let gone = told(view, MishapKind::Dropped, |real, mishaps| self.is_open(view, real, mishaps));
        if gone.is_empty() {
            return;
        }
        let hit = Hit::of(view, &gone);
        found.extend(gone.iter().take(MOST_OF_A_RULE).map(|told| finding(view.state, told, &hit)));
        let open = gone.iter().filter(|told| told.is_open).count();
        let words = ("removed real servers", "packets to them are dropped in silence");
        tell_left_out(found, Self::ID, open, Severity::Critical, words);
    }
}

impl IpvsDestinationGone {
    fn is_open(&self, view: &View<'_>, key: &RealKey, mishaps: &Mishaps) -> Option<bool> {
        let is_told = mishaps.reuses.densest >= self.packets
            || view.was_open(Self::ID, &services::about(key))
            || (mishaps.spell.densest >= self.packets
                && services::is_share(view, key.service, mishaps, self.handshakes_permille));
        let is_back = view.state.ipvs.reals.get(key).is_some_and(|real| real.available);
        let service = view.state.ipvs.services.get(&key.service);
        let is_mended = is_back
            || service.is_some_and(|service| {
                service.removed.is_some()
                    || service.expire_nodest.is_some_and(|expire| expire != mishaps.newest.expire_nodest)
            });
        is_told.then(|| view.is_within(mishaps.spell.span.last, self.quiet_seconds) && !is_mended)
    }
}

fn finding(state: &State, told: &Told<'_>, hit: &Hit<'_>) -> Finding {
    let mishaps = told.mishaps;
    let real = state.ipvs.reals.get(told.real);
    let expire = mishaps.newest.expire_nodest;
    let dropped = told.packets(mishaps.spell.count);
    let what = format!(
        "removed, and {dropped} of {} to it dropped in silence: net.ipv4.vs.expire_nodest_conn={expire} keeps its entries{}",
        counted(mishaps.connections, "connection"),
        how_drained(real).map(|since| format!("; {since}")).unwrap_or_default()
    );
    let mut evidence = vec![
        format!("{dropped} of {} dropped, {}", counted(mishaps.connections, "connection"), told.last()),
        told.settings(),
    ];
    evidence.extend(told.clients());
    evidence.extend(told.place(state));
    Finding {
        subject: Some(told.subject()),
        evidence,
        advice: advice(told),
        affects: hit.affects(state, told.real, mishaps.connections),
        span: Some(mishaps.spell.span),
        is_open: told.is_open,
        ..Finding::new(IpvsDestinationGone::ID, told.about(), Severity::Critical, told.who(), what)
    }
}

fn advice(told: &Told<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend((told.mishaps.newest.expire_nodest == 0).then(settings::expire_entries_of_removed));
    lines.push(
        "drain before you remove: give a real server weight 0 and remove it once `ipvsadm -Ln` shows no connections"
            .to_owned(),
    );
    lines.extend(told.real.address.map(|real| {
        format!("confirm: `ipvsadm -Lnc | grep -F {}` lists no entries any more", listed_as(real))
    }));
    lines
}
