//! Many retransmits at once.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Case, Setting, note};
use crate::{
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

/// Thousands of sockets dial an address nobody has, until the kernel has sent that many `segments` again. Truth:
/// `TcpRetransSegs` and `TCPSynRetrans`, read once every socket is closed; and the program's own accounting.
fn storm(setting: &Setting, size: Size, segments: u64) -> Result<()> {
    let mut storm = Storm::prepare(size)?;
    let tracer = setting.trace(&["--only", "retransmit"])?;
    let started = Instant::now();
    storm.begin()?;
    storm.wait_for_segments(segments)?;
    let elapsed = started.elapsed();
    storm.end();
    let segments = storm.segments()?;
    let opening = storm.growth("TcpExtTCPSynRetrans")?;

    let run = tracer.stop()?;
    let told = run.events.of("retransmit", &storm.pair.near).with("kind", "syn");
    told.exactly(opening)?;
    let told_segments = told.sum("segments")?;
    ensure!(told_segments == segments, "told {told_segments} segments, the kernel counted {segments}");
    let accounting = run.events.accounting("retransmit")?;
    accounting.balances()?;
    ensure!(
        accounting.lost == 0 && accounting.suppressed == 0 && accounting.seen >= opening,
        "the kernel counted {opening}, tracer {accounting:?}"
    );
    let rate = u128::from(segments) * 1_000 / elapsed.as_millis().max(1);
    note(&format!("storm: {segments} segments in {:.1} s, {rate} a second", elapsed.as_secs_f64()));
    Ok(())
}
