//! eBPF programs a process holds, and how long they ran.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use aya::programs::loaded_programs;

/// One program.
pub(crate) struct Program {
    pub(crate) id: u32,
    /// Its name, cut by the kernel to 15 bytes.
    pub(crate) name: String,
    /// How often it ran while statistics were on.
    pub(crate) runs: u64,
    /// How long, in nanoseconds. Includes the two looks at the clock around each run.
    pub(crate) ran_ns: u64,
}

/// The programs a process has open.
pub(crate) fn of_process(process_id: u32) -> Result<Vec<Program>> {
    let held = held_by(process_id)?;
    let mut programs = Vec::new();
    for info in loaded_programs() {
        // A program of somebody else's may vanish between being listed and being looked at.
        let Ok(info) = info else { continue };
        if held.contains(&info.id()) {
            let name = info.name_as_str().unwrap_or_default().to_owned();
            let (runs, ran_ns) = (info.run_count(), nanoseconds(info.run_time())?);
            programs.push(Program { id: info.id(), name, runs, ran_ns });
        }
    }
    Ok(programs)
}

fn nanoseconds(duration: std::time::Duration) -> Result<u64> {
    u64::try_from(duration.as_nanos()).context("a program ran for centuries")
}

/// Ids of the programs among its open files: `prog_id` in their descriptions.
fn held_by(process_id: u32) -> Result<BTreeSet<u32>> {
    let path = format!("/proc/{process_id}/fdinfo");
    let files = fs::read_dir(&path).with_context(|| format!("read {path}"))?;
    // A file that is closed meanwhile has no description.
    let texts = files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
    Ok(texts.filter_map(|text| program_id(&text)).collect())
}

fn program_id(description: &str) -> Option<u32> {
    description.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::program_id;

    #[test]
    fn a_programs_file_tells_its_id() {
        assert_eq!(program_id("pos:\t0\nflags:\t02\nprog_type:\t17\nprog_id:\t42\n"), Some(42));
        assert_eq!(program_id("pos:\t0\nflags:\t02\n"), None);
    }
}
