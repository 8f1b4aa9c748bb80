//! The two that watch the storm, each a process with programs in the kernel.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::{
        resource::{RLIM_INFINITY, Resource, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tracer_tests::wait;

use crate::{
    process::{self, cpu_ns, peak_resident_bytes},
    programs::{self, Program},
};

/// Prints of each retransmit what bcc's `tcpretrans` prints: time, process, IP version, both ends, state.
const ONE_LINER: &str = r#"tracepoint:tcp:tcp_retransmit_skb {
    printf("%llu %d %d %s:%d > %s:%d %d\n", nsecs, pid, args->family, ntop(args->saddr), args->sport,
        ntop(args->daddr), args->dport, args->state);
}"#;

/// A process that watches.
pub(crate) struct Observer {
    child: Child,
    /// The program, for errors.
    name: String,
    /// What its programs that count retransmits are called.
    counting: &'static [&'static str],
    stderr: tempfile::NamedTempFile,
}

/// What an observer took so far, or over some time.
pub(crate) struct Reading {
    programs: Vec<Program>,
    counting: &'static [&'static str],
    cpu_ns: u64,
    peak_resident_bytes: u64,
}

impl Observer {
    /// `tracer events --json`, its output thrown away.
    pub(crate) fn tracer(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["events", "--json", "--only", "retransmit"]);
        Self::start(command, &["segment_btf", "segment_raw"])
    }

    /// bpftrace with the one-liner, its output thrown away.
    pub(crate) fn bpftrace() -> Result<Self> {
        // Kernels before 5.11 count maps against this limit. Where it may not be lifted and matters, bpftrace says so.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        let mut command = Command::new("bpftrace");
        command.args(["-e", ONE_LINER]);
        Self::start(command, &["tcp_retransmit_", "tcp_retransmit_skb"])
    }

    /// Starts it and waits until its programs are in the kernel.
    fn start(mut command: Command, counting: &'static [&'static str]) -> Result<Self> {
        let stderr = tempfile::NamedTempFile::new().context("make a file for messages")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create("/dev/null").context("open /dev/null")?)
            .stderr(stderr.reopen().context("open the file for messages")?)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let name = command.get_program().display().to_string();
        let mut observer = Self { child, name, counting, stderr };
        wait::until("programs in the kernel", || {
            if let Some(status) = observer.child.try_wait()? {
                bail!("it ended at once: {status}");
            }
            Ok((!observer.read()?.counters().is_empty()).then_some(()))
        })
        .with_context(|| format!("{} does not watch; it said: {}", observer.name, observer.said()))?;
        Ok(observer)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.stderr.path()).unwrap_or_default().trim().to_owned()
    }

    /// Whether its programs have run.
    pub(crate) fn sees(&self) -> Result<bool> {
        Ok(self.read()?.counters().iter().any(|program| program.runs > 0))
    }

    /// What it took so far; fails if it ended meanwhile.
    pub(crate) fn read_running(&mut self) -> Result<Reading> {
        let reading = self.read();
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended during the storm: {status}; it said: {}", self.name, self.said());
        }
        reading
    }

    /// What it took so far.
    fn read(&self) -> Result<Reading> {
        let id = self.child.id();
        Ok(Reading {
            programs: programs::of_process(id)?,
            counting: self.counting,
            cpu_ns: cpu_ns(id)?,
            peak_resident_bytes: peak_resident_bytes(id)?,
        })
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("a process id")?;
        kill(Pid::from_raw(id), Signal::SIGINT).context("interrupt an observer")?;
        wait::until("an observer to end", || Ok(self.child.try_wait()?))?;
        Ok(())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // After `stop` it is gone and both calls do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reading {
    /// What was taken after `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for program in &mut self.programs {
            if let Some(earlier) = before.programs.iter().find(|earlier| earlier.id == program.id) {
                program.runs -= earlier.runs;
                program.ran_ns -= earlier.ran_ns;
            }
        }
        self.cpu_ns -= before.cpu_ns;
        self
    }

    fn counters(&self) -> Vec<&Program> {
        self.programs.iter().filter(|program| self.counting.contains(&program.name.as_str())).collect()
    }

    fn events(&self) -> u64 {
        self.counters().iter().map(|program| program.runs).sum()
    }

    /// Kernel time of an event, in the programs that count them.
    pub(crate) fn kernel_ns(&self) -> f64 {
        per(self.counters().iter().map(|program| program.ran_ns).sum(), self.events())
    }

    /// A line for each program that ran; the process's own figures stand beside the one that counts events.
    pub(crate) fn print(&self, name: &str) {
        for program in self.programs.iter().filter(|program| program.runs > 0) {
            let kernel_ns = per(program.ran_ns, program.runs);
            print!("{name:<10} {:<20} {:>9} {kernel_ns:>10.0}", program.name, program.runs);
            if self.counting.contains(&program.name.as_str()) {
                let own_ns = per(self.cpu_ns, self.events());
                let resident = process::mebibytes(self.peak_resident_bytes);
                print!(" {own_ns:>16.0} {resident:>6.1} MiB");
            }
            println!();
        }
    }
}

fn per(sum: u64, count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds and events of minutes are far below 2^52")]
    let quotient = sum as f64 / count.max(1) as f64;
    quotient
}
