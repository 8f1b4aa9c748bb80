//! Many retransmits at once.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Case, Setting, note, reconcile::Observed};
use crate::{
    expect::Events,
    need::Need,
    storm::{Size, Storm},
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "storm-short",
        proves: "thousands of retransmits in a few seconds: all told, none lost or suppressed",
        needs: &[],
        // Two SYNs of each socket.
        run: |setting| storm(setting, Size::SHORT, 4_000),
    },
    Case {
        name: "storm",
        proves: "10,000 retransmits a second for 30 s: all told, none lost or suppressed",
        needs: &[Need::RealProcessor, Need::LinearSynTimeouts],
        run: |setting| storm(setting, Size::FULL, 300_000),
    },
];

/// Events kept for a look; all are counted.
const KEPT: u64 = 3;

/// Thousands of sockets dial an address nobody has, until the kernel has sent that many `segments` again. Truth:
/// `TcpRetransSegs` and `TCPSynRetrans`, read once every socket is closed; and the program's own accounting.
fn storm(setting: &Setting, size: Size, segments: u64) -> Result<()> {
    let storm = Storm::prepare(size)?;
    let near = &storm.pair.near;
    let observed = Observed::start_with(setting, &[near], Events::keeping(KEPT))?;
    let started = Instant::now();
    let sockets = storm.begin()?;
    storm.wait_for_segments(segments)?;
    let elapsed = started.elapsed();
    drop(sockets);

    let reconciled = observed.reconcile()?;
    let (run, grown) = (&reconciled.run, reconciled.grown[0]);
    let told = run.events.retransmits(near);
    ensure!(
        grown.opening == grown.segments && told.sent.opening == told.sent.hits,
        "nothing but SYNs should have been sent again: told {told:?}, the kernel counted {grown:?}"
    );
    ensure!(grown.hidden <= grown.segments / 10, "the kernel hid too much to prove anything: {grown:?}");
    run.events.of("retransmit", near).exactly(KEPT)?.all_have("kind", "syn")?;
    let accounting = run.events.accounting("retransmit")?;
    ensure!(accounting.seen >= told.sent.hits, "told {told:?}, and accounted for {accounting:?}");
    let segments = grown.segments;
    let rate = u128::from(segments) * 1_000 / elapsed.as_millis().max(1);
    note(&format!("storm: {segments} segments in {:.1} s, {rate} a second", elapsed.as_secs_f64()));
    Ok(())
}
