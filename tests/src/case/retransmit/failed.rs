//! Attempts that fail.

use std::{io::Write, path::Path};

use anyhow::{Context, Result, ensure};

use super::{established::Connection, sent};
use crate::{
    case::{Setting, reconcile::Observed},
    counters::Counters,
    layout::Layout,
    retransmits::HELD,
    topology::{Family, NEAR, NEAR_DEVICE, NOBODY, Pair},
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
    failed
        .exactly_but(if failures_are_told()? { grown.refused } else { 0 }, grown.hidden)?
        .counts_up_but("attempt", grown.hidden)?
        .all_have("kind", "syn")?
        .all_have("error", EPERM)?;
    Ok(())
}

/// A queue on the way out lets a segment wait for longer than its timer, which finds it there every time and sends nothing.
/// Such an attempt is told as failed and never as sent. Truth: `TCPSpuriousRtxHostQueues`, which counts a loss probe that was
/// not tried for the same reason too, and `TcpRetransSegs`, which counts none of them.
pub(super) fn held(setting: &Setting) -> Result<()> {
    const ATTEMPTS: u64 = 3;
    const WRITE: [u8; 1400] = [0x5a; 1400];
    let pair = Pair::new()?;
    let observed = Observed::start(setting, &[&pair.near])?;
    let before = Counters::tcp(&pair.near)?;
    let mut connection = Connection::open(&pair, Family::V4)?;
    // The first write takes most of what may go out at once; the second waits seven seconds for the rest of its own.
    pair.near
        .run("tc", &format!("qdisc add dev {NEAR_DEVICE} root tbf rate 1kbit burst 2000 limit 100000"))?;
    for _ in 0..2 {
        connection.client.write_all(&WRITE).context("write")?;
    }
    wait::until("attempts that were held back", || {
        let held = Counters::tcp(&pair.near)?.growth(&before, "TcpExtTCPSpuriousRtxHostQueues")?;
        Ok((held > ATTEMPTS).then_some(()))
    })?;
    connection.abort()?;

    let reconciled = observed.reconcile()?;
    let grown = reconciled.grown[0];
    ensure!(grown.segments == 0 && grown.held > ATTEMPTS, "attempts should have been held back: {grown:?}");
    sent(&reconciled.run.events, &pair.near).exactly(0)?;
    let told = reconciled.run.events.of("retransmit", &pair.near);
    told.all_have("error", HELD)?.all_have("kind", "rto")?.counts_up_but("attempt", grown.hidden)?;
    let (fewest, most) = if failures_are_told()? { (grown.held - 1, grown.held) } else { (0, 0) };
    ensure!(
        (fewest..=most).contains(&told.count()),
        "told {} of attempts held back: {grown:?}",
        told.count()
    );
    Ok(())
}

/// Whether tracer can see attempts that fail: by the tracepoint, or at functions.
fn failures_are_told() -> Result<bool> {
    Ok(Layout::of_this_kernel()?.tells_errors || Path::new("/sys/bus/event_source/devices/kprobe").exists())
}
