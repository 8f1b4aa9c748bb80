//! Attempts that fail.

use std::path::Path;

use anyhow::{Result, ensure};

use super::sent;
use crate::{
    case::{Setting, reconcile::Observed},
    counters::Counters,
    layout::Layout,
    topology::{Family, NEAR, NOBODY, Pair},
    traffic, wait,
};

/// A rule on the way out forbids every SYN, so each attempt fails with EPERM below TCP. The kernel counts those in
/// `TcpRetransSegs` and `TCPSynRetrans` like any other, and in `TCPRetransFail`. The tracepoint fires for them from 6.17
/// on; before that they are told where functions can be hooked, and nowhere else. Either way none is told as sent.
pub(super) fn forbidden(setting: &Setting) -> Result<()> {
    const ATTEMPTS: u64 = 3;
    const EPERM: u64 = 1;
    let pair = Pair::new()?;
    pair.near
        .nft("table inet forbid { chain out { type filter hook output priority 0; tcp dport 80 drop; }; }")?;
    let observed = Observed::start(setting, &[&pair.near])?;
    let before = Counters::tcp(&pair.near)?;
    let dialling = traffic::dial(&pair.near, Family::V4.at(NEAR, 40_020), Family::V4.at(NOBODY, 80))?;
    wait::until("three failed attempts", || {
        let failures = Counters::tcp(&pair.near)?.growth(&before, "TcpExtTCPRetransFail")?;
        Ok((failures >= ATTEMPTS).then_some(()))
    })?;
    drop(dialling);

    let reconciled = observed.reconcile()?;
    let grown = reconciled.grown[0];
    ensure!(grown.refused == grown.segments, "every attempt should have been refused: {grown:?}");
    sent(&reconciled.run.events, &pair.near).exactly(0)?;
    let failed = reconciled.run.events.of("retransmit", &pair.near);
    let can_tell =
        Layout::of_this_kernel()?.tells_errors || Path::new("/sys/bus/event_source/devices/kprobe").exists();
    failed
        .exactly_but(if can_tell { grown.refused } else { 0 }, grown.hidden)?
        .counts_up_but("attempt", grown.hidden)?
        .all_have("kind", "syn")?
        .all_have("error", EPERM)?;
    Ok(())
}
