//! What else tracer must know of the node before it starts.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use nix::time::{ClockId, clock_getres, clock_gettime};

use super::Paths;

/// How often the two clocks are compared; the closest pair of readings counts.
const CLOCK_READINGS: usize = 8;

/// Facts of the node and of this process that do not change while tracer runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The kernel's release, as `uname -r` prints it.
    pub kernel_release: String,
    /// The name of the node.
    pub hostname: String,
    /// The length of a jiffy, in nanoseconds.
    pub tick_ns: u64,
    /// What to add to nanoseconds since boot (suspend included) to get nanoseconds since 1970.
    pub wall_minus_boot_ns: i64,
    /// Whether the kernel can probe functions by name.
    pub has_kprobes: bool,
    /// What this process may do.
    pub privileges: Privileges,
}

impl Facts {
    /// Reads them. Fails if `/proc` does not say what every Linux says, or a clock does not answer.
    pub fn read(paths: &Paths) -> anyhow::Result<Self> {
        Ok(Self {
            kernel_release: read_line(&paths.proc.join("sys/kernel/osrelease"))?,
            hostname: read_line(&paths.proc.join("sys/kernel/hostname"))?,
            tick_ns: tick_ns()?,
            wall_minus_boot_ns: wall_minus_boot_ns()?,
            has_kprobes: paths.sys.join("bus/event_source/devices/kprobe/type").is_file(),
            privileges: Privileges::read(paths)?,
        })
    }
}

/// What this process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Whether its effective user is root.
    pub is_root: bool,
    /// Its effective capabilities, a bit each.
    capabilities: u64,
}

/// A capability tracer uses, by its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Entering network namespaces, asking for routes, neighbours and IPVS services.
    NetAdmin = 12,
    /// Everything below on kernels before 5.8; entering namespaces and reading module BTF by id on all.
    SysAdmin = 21,
    /// Attaching to tracepoints and functions, from 5.8 on.
    Perfmon = 38,
    /// Loading programs and making maps, from 5.8 on.
    Bpf = 39,
}

impl Capability {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

impl Privileges {
    fn read(paths: &Paths) -> anyhow::Result<Self> {
        let path = paths.proc.join("self/status");
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&status).with_context(|| format!("{} has no Uid or no CapEff", path.display()))
    }

    fn parse(status: &str) -> Option<Self> {
        let value = |name| status.lines().find_map(|line| line.strip_prefix(name));
        // Real, effective, saved and file-system user, in this order.
        let effective_user: u32 = value("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
        let capabilities = u64::from_str_radix(value("CapEff:")?.trim(), 16).ok()?;
        Some(Self { is_root: effective_user == 0, capabilities })
    }

    /// Whether the process has this capability, or the one that contained it before it was split off.
    pub fn has(self, capability: Capability) -> bool {
        let holds = |capability: Capability| self.capabilities & (1 << (capability as u8)) != 0;
        match capability {
            Capability::Bpf | Capability::Perfmon => holds(capability) || holds(Capability::SysAdmin),
            Capability::NetAdmin | Capability::SysAdmin => holds(capability),
        }
    }

    /// The capabilities tracer uses and this process lacks.
    pub fn missing(self) -> Vec<Capability> {
        use Capability::{Bpf, NetAdmin, Perfmon, SysAdmin};
        [Bpf, Perfmon, SysAdmin, NetAdmin].into_iter().filter(|&capability| !self.has(capability)).collect()
    }
}

fn read_line(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

/// The length of a jiffy: coarse clocks move once in each.
fn tick_ns() -> anyhow::Result<u64> {
    let resolution = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)
        .context("cannot ask for the resolution of the coarse clock")?;
    u64::try_from(Duration::from(resolution).as_nanos())
        .context("the coarse clock's resolution makes no sense")
}

/// How far the wall clock is from time since boot now.
pub fn wall_minus_boot_ns() -> anyhow::Result<i64> {
    clock_difference_ns(ClockId::CLOCK_REALTIME, ClockId::CLOCK_BOOTTIME)
}

/// How far one clock is from another now. A pair of readings is off by at most the time between the readings around it,
/// so the closest of a few counts: one may have been interrupted.
pub(crate) fn clock_difference_ns(clock: ClockId, base: ClockId) -> anyhow::Result<i64> {
    let mut best: Option<(i64, i64)> = None;
    for _ in 0..CLOCK_READINGS {
        let before_ns = clock_ns(base)?;
        let read_ns = clock_ns(clock)?;
        let after_ns = clock_ns(base)?;
        let uncertainty_ns = after_ns - before_ns;
        if best.is_none_or(|(least_ns, _)| uncertainty_ns < least_ns) {
            best = Some((uncertainty_ns, read_ns - (before_ns + uncertainty_ns / 2)));
        }
    }
    best.map(|(_, difference_ns)| difference_ns).context("the clocks were not read")
}

fn clock_ns(clock: ClockId) -> anyhow::Result<i64> {
    let now = clock_gettime(clock).with_context(|| format!("cannot read clock {clock}"))?;
    i64::try_from(Duration::from(now).as_nanos())
        .with_context(|| format!("clock {clock} is centuries in the future"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privileges(user: &str, capabilities: &str) -> Option<Privileges> {
        Privileges::parse(&format!("Name:\ttracer\nUid:\t{user}\nCapPrm:\tffff\nCapEff:\t{capabilities}\n"))
    }

    #[test]
    fn the_effective_user_and_capabilities_count() {
        use Capability::{Bpf, NetAdmin, Perfmon, SysAdmin};
        let cases = [
            ("0\t0\t0\t0", "000001ffffffffff", true, vec![]),
            ("1000\t0\t1000\t1000", "0000000000000000", true, vec![Bpf, Perfmon, SysAdmin, NetAdmin]),
            ("0\t1000\t0\t0", "000000c000001000", false, vec![SysAdmin]),
            // Before they were split off, CAP_SYS_ADMIN contained the two; it still does.
            ("1000\t1000\t1000\t1000", "0000000000200000", false, vec![NetAdmin]),
            ("1000\t1000\t1000\t1000", "0000008000000000", false, vec![Perfmon, SysAdmin, NetAdmin]),
        ];
        for (user, capabilities, is_root, missing) in cases {
            let found = privileges(user, capabilities).unwrap();
            assert_eq!((found.is_root, found.missing()), (is_root, missing), "{user} {capabilities}");
        }
    }

    #[test]
    fn a_status_without_them_is_refused() {
        for status in
            ["", "Uid:\t0\t0\t0\t0\n", "CapEff:\tff\n", "Uid:\t0\nCapEff:\tff\n", "Uid:\t0\t0\nCapEff:\tx\n"]
        {
            assert_eq!(Privileges::parse(status), None, "{status:?}");
        }
    }

    #[test]
    fn facts_come_from_the_directories_named() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths { proc: root.path().join("proc"), sys: root.path().join("sys") };
        let write = |path: &Path, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let error = Facts::read(&paths).unwrap_err();
        assert!(error.to_string().contains("osrelease"), "{error}");

        write(&paths.proc.join("sys/kernel/osrelease"), "6.12.117\n");
        write(&paths.proc.join("sys/kernel/hostname"), "node-7\n");
        write(&paths.proc.join("self/status"), "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n");
        let facts = Facts::read(&paths).unwrap();
        assert_eq!((facts.kernel_release.as_str(), facts.hostname.as_str()), ("6.12.117", "node-7"));
        assert!(!facts.has_kprobes && facts.privileges.is_root);

        write(&paths.sys.join("bus/event_source/devices/kprobe/type"), "8\n");
        assert!(Facts::read(&paths).unwrap().has_kprobes);
    }

    /// Linux ticks 100, 250, 300 or 1000 times a second; some kernels of old machines 24 to 1024 times.
    #[test]
    fn a_jiffy_is_between_a_thousandth_and_a_twentieth_of_a_second() {
        let tick_ns = tick_ns().unwrap();
        assert!((900_000..=50_000_000).contains(&tick_ns), "{tick_ns}");
    }

    #[test]
    fn adding_the_difference_to_time_since_boot_gives_the_wall_clock() {
        let difference_ns = wall_minus_boot_ns().unwrap();
        let before_ns = clock_ns(ClockId::CLOCK_BOOTTIME).unwrap();
        let wall_ns = clock_ns(ClockId::CLOCK_REALTIME).unwrap();
        let after_ns = clock_ns(ClockId::CLOCK_BOOTTIME).unwrap();
        // Ten milliseconds for a clock that is being adjusted meanwhile.
        let slack_ns = 10_000_000;
        assert!(wall_ns >= before_ns + difference_ns - slack_ns, "{difference_ns}");
        assert!(wall_ns <= after_ns + difference_ns + slack_ns, "{difference_ns}");
    }
}
