//! Thousands of sockets that dial an address nobody has: as many retransmits a second as a node in trouble makes.

use std::{net::TcpStream, time::Duration};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    counters::Counters,
    topology::{Family, NEAR, NOBODY, Pair},
    traffic,
    wait::{self, Pace},
};

/// How big a storm is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Sockets that dial.
    pub sockets: usize,
    /// Time over which they begin to, spread evenly so that their timers are.
    pub dialled_over: Duration,
    /// Whether SYNs repeat every second for good, rather than 1, 2, 4, … s apart. Needs Linux 6.5.
    pub linear: bool,
}

impl Size {
    /// Every socket repeats its SYN once a second: 10,000 a second, for as long as it is let.
    pub const FULL: Self = Self { sockets: 10_000, dialled_over: Duration::from_secs(1), linear: true };

    /// Small enough for an emulated processor.
    pub const SHORT: Self = Self { sockets: 2_000, dialled_over: Duration::from_millis(500), linear: false };
}

/// Sockets dialled at each step of the pace.
const BATCH: usize = 50;

/// Longest wait for the segments asked for.
const DEADLINE: Duration = Duration::from_mins(3);

/// A storm in namespaces of its own.
#[derive(Debug)]
pub struct Storm {
    /// Where it rages.
    pub pair: Pair,
    size: Size,
    before: Counters,
}

impl Storm {
    /// Makes the namespaces. Nothing is dialled yet.
    pub fn prepare(size: Size) -> Result<Self> {
        let pair = Pair::new()?;
        allow_sockets(size.sockets)?;
        if size.linear {
            pair.near.sysctl("net/ipv4/tcp_syn_linear_timeouts", "127")?;
        }
        pair.near.sysctl("net/ipv4/ip_local_port_range", "10000 60999")?;
        let before = Counters::tcp(&pair.near)?;
        Ok(Self { pair, size, before })
    }

    /// Dials with every socket; returns them when the last has begun. Once they are dropped the counters stand still.
    pub fn begin(&self) -> Result<Vec<TcpStream>> {
        let Size { sockets: wanted, dialled_over, linear: _ } = self.size;
        self.pair.near.enter(|| {
            let batches = wanted.div_ceil(BATCH);
            let mut pace = Pace::new(dialled_over / u32::try_from(batches).context("batches")?);
            let mut sockets = Vec::with_capacity(wanted);
            while sockets.len() < wanted {
                for _ in 0..BATCH {
                    sockets.push(traffic::dial_here(Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?);
                }
                pace.step();
            }
            Ok(sockets)
        })
    }

    /// How much a TCP counter of the dialling namespace grew since the storm was prepared.
    pub fn growth(&self, counter: &str) -> Result<u64> {
        Counters::tcp(&self.pair.near)?.growth(&self.before, counter)
    }

    /// Segments sent again so far.
    pub fn segments(&self) -> Result<u64> {
        self.growth("TcpRetransSegs")
    }

    /// Waits until that many segments were sent again.
    pub fn wait_for_segments(&self, wanted: u64) -> Result<()> {
        wait::until_within(DEADLINE, "the storm to blow over", || {
            Ok((self.segments()? >= wanted).then_some(()))
        })
    }
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
