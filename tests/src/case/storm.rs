//! Many retransmits at once.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Case, Setting, note, reconcile::Observed};
use crate::{
    counters::Counters,
    expect::Events,
    need::Need,
    topology::{Family, NEAR, NOBODY, Pair},
    traffic,
    wait::{self, Pace},
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "storm-short",
        proves: "thousands of retransmits in a few seconds: all told, none lost or suppressed",
        needs: &[],
        run: |setting| storm(setting, &SHORT),
    },
    Case {
        name: "storm",
        proves: "10,000 retransmits a second for 30 s: all told, none lost or suppressed",
        needs: &[Need::RealProcessor, Need::LinearSynTimeouts],
        run: |setting| storm(setting, &FULL),
    },
];

/// How big a storm is.
struct Size {
    /// Sockets that dial the blackhole.
    sockets: usize,
    /// Time over which they begin to, spread evenly so that their timers are.
    dialled_over: Duration,
    /// Whether SYNs repeat every second for good, rather than 1, 2, 4, … s apart.
    linear: bool,
    /// Segments the kernel has to have sent again before the storm ends.
    segments: u64,
}

/// Every socket repeats its SYN once a second: 10,000 a second, for 30 s.
const FULL: Size =
    Size { sockets: 10_000, dialled_over: Duration::from_secs(1), linear: true, segments: 300_000 };

/// Small enough for an emulated processor: two SYNs of each socket.
const SHORT: Size =
    Size { sockets: 2_000, dialled_over: Duration::from_millis(500), linear: false, segments: 4_000 };

/// Sockets dialled at each step of the pace.
const BATCH: usize = 50;

/// Events kept for a look; all are counted.
const KEPT: u64 = 3;

/// Thousands of sockets dial an address nobody has. Truth: `TcpRetransSegs` and `TCPSynRetrans`, read once every socket
/// is closed; and the program's own accounting.
fn storm(setting: &Setting, size: &Size) -> Result<()> {
    const DEADLINE: Duration = Duration::from_mins(2);
    let pair = Pair::new()?;
    allow_sockets(size.sockets)?;
    if size.linear {
        pair.near.sysctl("net/ipv4/tcp_syn_linear_timeouts", "127")?;
    }
    pair.near.sysctl("net/ipv4/ip_local_port_range", "10000 60999")?;
    let observed = Observed::start_with(setting, &[&pair.near], Events::keeping(KEPT))?;
    let before = Counters::tcp(&pair.near)?;
    let started = Instant::now();
    let sockets = dial_many(&pair, size)?;
    wait::until_within(DEADLINE, "the storm to blow over", || {
        let segments = Counters::tcp(&pair.near)?.growth(&before, "TcpRetransSegs")?;
        Ok((segments >= size.segments).then_some(()))
    })?;
    let elapsed = started.elapsed();
    drop(sockets);

    let reconciled = observed.reconcile()?;
    let (run, grown) = (&reconciled.run, reconciled.grown[0]);
    let told = run.events.retransmits(&pair.near);
    ensure!(
        grown.opening == grown.segments && told.sent.opening == told.sent.hits,
        "nothing but SYNs should have been sent again: told {told:?}, the kernel counted {grown:?}"
    );
    ensure!(grown.hidden <= grown.segments / 10, "the kernel hid too much to prove anything: {grown:?}");
    run.events.of("retransmit", &pair.near).exactly(KEPT)?.all_have("kind", "syn")?;
    let accounting = run.events.accounting("retransmit")?;
    ensure!(accounting.seen >= told.sent.hits, "told {told:?}, and accounted for {accounting:?}");
    let segments = grown.segments;
    let rate = u128::from(segments) * 1_000 / elapsed.as_millis().max(1);
    note(&format!("storm: {segments} segments in {:.1} s, {rate} a second", elapsed.as_secs_f64()));
    Ok(())
}

fn dial_many(pair: &Pair, size: &Size) -> Result<Vec<TcpStream>> {
    pair.near.enter(|| {
        let batches = size.sockets.div_ceil(BATCH);
        let mut pace = Pace::new(size.dialled_over / u32::try_from(batches).context("batches")?);
        let mut sockets = Vec::with_capacity(size.sockets);
        while sockets.len() < size.sockets {
            for _ in 0..BATCH {
                sockets.push(traffic::dial_here(Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?);
            }
            pace.step();
        }
        Ok(sockets)
    })
}

/// Raises this process's limit of open files.
fn allow_sockets(sockets: usize) -> Result<()> {
    const OTHER_FILES: u64 = 100;
    let wanted = sockets as u64 + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("read the limit of open files")?;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
            .context("raise the limit of open files")?;
    }
    Ok(())
}
