//! What a process took, by `/proc`.

use std::fs;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// CPU time of all its threads so far, user and system, in nanoseconds; exact to a tick.
pub(crate) fn cpu_ns(process_id: u32) -> Result<u64> {
    const SECOND_NS: u64 = 1_000_000_000;
    let path = format!("/proc/{process_id}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("{path} has no times"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel does not tell its tick")?;
    Ok(ticks * SECOND_NS / u64::try_from(per_second).context("ticks a second")?)
}

/// `utime` and `stime`, the 14th and 15th field; the second, a name in parentheses, may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The most memory it ever had in use, in bytes.
pub(crate) fn peak_resident_bytes(process_id: u32) -> Result<u64> {
    let path = format!("/proc/{process_id}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // A process that has just ended has no memory.
    Ok(high_water_bytes(&text).unwrap_or_default())
}

fn high_water_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// For people.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    mebibytes
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, high_water_bytes};

    #[test]
    fn times_stand_behind_any_name() {
        let stat = "12 (a) R (b) S 1 2 3 4 5 6 7 8 9 10 100 20 0 0";
        assert_eq!(cpu_ticks(stat), Some(120));
        assert_eq!(cpu_ticks("12 (a) S 1"), None);
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        assert_eq!(high_water_bytes("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(high_water_bytes("Name:\tx\n"), None);
    }
}
