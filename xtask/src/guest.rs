//! `cargo xtask guest`: boots Debian kernels in QEMU and runs the scenarios inside.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{dist, failures::Failures, tally::Tally};

mod apt;
mod command;
mod cpio;
mod emulator;
mod initramfs;
mod kernel;
mod machine;
mod modules;
mod part;
pub(crate) mod report;
mod tools;
mod version;

use self::{
    initramfs::Content,
    kernel::Kernel,
    machine::{Ended, Limits, Machine},
    part::Part,
    version::Series,
};

/// Until a guest's first process runs. It takes 5 to 10 s; an emulator that stalled before the kernel said anything never
/// gets there, and is started a second time.
const BOOT_LIMIT: Duration = Duration::from_mins(2);

/// How often the cases of a kernel go on in a new guest after the emulator broke one.
const RESUMPTIONS: u32 = 2;

/// Boot Debian kernels in QEMU and run the scenarios inside.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Series to boot, such as 5.10, 6.1, 6.12, 6.18 or 7.2; several separated by commas.
    #[arg(long = "kernel", value_name = "SERIES", required = true, value_delimiter = ',')]
    kernels: Vec<Series>,

    /// Wait at a shell in the guest instead of running cases.
    #[arg(long, conflicts_with = "cases")]
    shell: bool,

    /// The tracer to test; built when not given.
    #[arg(long, value_name = "PATH")]
    tracer: Option<PathBuf>,

    /// The scenarios to run; built when not given.
    #[arg(long, value_name = "PATH")]
    scenarios: Option<PathBuf>,

    /// Memory of the guest in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 3072)]
    memory: u32,

    /// Stop a guest after this many minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    timeout: u64,

    /// A directory of this machine that the guest can write to at /host; the sessions of all cases are kept in its
    /// `sessions`.
    #[arg(long, value_name = "DIRECTORY")]
    share: Option<PathBuf>,

    /// Ask the mirrors for a newer kernel even if one is in the cache.
    #[arg(long)]
    refresh: bool,

    /// Use KVM instead of emulation.
    #[arg(long)]
    kvm: bool,

    /// Run every Mth case only, from the Nth on; several guests can share the work.
    #[arg(long, value_name = "N/M", conflicts_with = "shell")]
    part: Option<Part>,

    /// Cases to run, all when none is named; `^` before the beginning of names leaves those out.
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
}

/// Makes sure that the newest kernels of those series are in the cache, or some at least.
pub(crate) fn fetch(series: &[&str]) -> Result<()> {
    for series in series {
        let series: Series = series.parse()?;
        Kernel::obtain(series, false).with_context(|| format!("obtain a kernel of the series {series}"))?;
    }
    Ok(())
}

/// Boots every kernel asked for, one after the other, and returns what all their cases came to.
///
/// A kernel that cannot be fetched, and a machine that cannot be started, is an error; a guest that dies, hangs or does
/// not report counts as one failure more. What failed is told to `failures` too.
pub(crate) fn run(arguments: &Arguments, failures: &mut Failures) -> Result<Tally> {
    ensure!(!arguments.shell || arguments.kernels.len() == 1, "a shell needs one kernel, not several");
    let built = |given: &Option<PathBuf>, package: &str, binary: &str| match given {
        Some(path) => Ok(path.clone()),
        None => dist::build_static(package, binary),
    };
    let tracer = built(&arguments.tracer, "tracer", "tracer")?;
    let scenarios = built(&arguments.scenarios, "tracer-tests", "scenarios")?;
    for path in [&tracer, &scenarios] {
        ensure!(path.is_file(), "there is no file {}", path.display());
    }
    let output = output_directory()?;
    // Every kernel is there before the first one boots: a mirror that fails is known at once.
    let kernels = arguments.kernels.iter().map(|series| {
        Kernel::obtain(*series, arguments.refresh)
            .with_context(|| format!("obtain a kernel of the series {series}"))
    });
    let mut tally = Tally::default();
    for kernel in kernels.collect::<Result<Vec<_>>>()? {
        let modules =
            modules::stage(&kernel).with_context(|| format!("pack the modules of {}", kernel.release))?;
        let content = Content {
            modules: &modules,
            tracer: &tracer,
            scenarios: &scenarios,
            cases: &arguments.cases,
            part: arguments.part.as_ref(),
            told: 0,
            shell: arguments.shell,
            share: arguments.share.is_some(),
        };
        tally += Guest { arguments, kernel: &kernel, content, output: &output }.run(failures)?;
    }
    Ok(tally)
}

/// One kernel, and what runs in it.
struct Guest<'a> {
    arguments: &'a Arguments,
    kernel: &'a Kernel,
    content: Content<'a>,
    /// The directory of archives and logs.
    output: &'a Path,
}

impl Guest<'_> {
    /// What its files are called and its lines begin with.
    fn name(&self) -> String {
        let part = self.arguments.part.map(Part::suffix).unwrap_or_default();
        format!("{}{part}", self.kernel.series)
    }

    /// Runs all cases, or the shell. When the emulator breaks the guest, those not told yet run in a new one.
    fn run(&self, failures: &mut Failures) -> Result<Tally> {
        let name = self.name();
        let mut left = Duration::from_mins(self.arguments.timeout);
        let mut told = Tally::default();
        for resumed in 0.. {
            let count = told.passed + told.failed + told.skipped;
            let archive = self.output.join(format!("{name}.cpio"));
            initramfs::write(&Content { told: count, ..self.content }, &archive)?;
            let machine = Machine {
                kernel: &self.kernel.image,
                initramfs: &archive,
                memory_mib: self.arguments.memory,
                kvm: self.arguments.kvm,
                share: self.arguments.share.as_deref(),
            };
            if self.arguments.shell {
                machine.interactive()?;
                break;
            }
            let ended = self.boot(&machine, resumed, left, failures)?;
            let broken = ended.broken_by_emulator().filter(|_| !self.arguments.kvm);
            if let Some(impossible) = broken {
                let fault = ended.fault.as_deref().unwrap_or_default();
                println!("{name}: the emulator broke the guest: {fault}, with {impossible}");
            }
            if broken.is_none() || resumed == RESUMPTIONS {
                told += self.conclude(&ended, failures);
                break;
            }
            told += ended.report.cases();
            left = left.saturating_sub(ended.whole);
        }
        Ok(told)
    }

    /// Boots once, and once more if the emulator stalls before the kernel says anything.
    fn boot(
        &self,
        machine: &Machine<'_>,
        resumed: u32,
        whole: Duration,
        failures: &mut Failures,
    ) -> Result<Ended> {
        let (name, release) = (self.name(), &self.kernel.release);
        let log = match resumed {
            0 => format!("{name}.log"),
            _ => format!("{name}-{}.log", resumed + 1),
        };
        let log = self.output.join(log);
        note(&format!("{release}: booting; everything it says goes to {}", log.display()));
        let limits = Limits { boot: BOOT_LIMIT, whole };
        let mut show = |line: &str| {
            println!("{name}: {line}");
            failures.hear(line);
        };
        let ended = machine.run(&log, &limits, &mut show)?;
        if ended.boot.is_some() || ended.stopped.is_none() || ended.fault.is_some() {
            return Ok(ended);
        }
        note(&format!("{release}: not up after {} s, starting it once more", limits.boot.as_secs()));
        machine.run(&log, &limits, show)
    }

    /// Prints how the run went, and returns its cases and a failure more if it went wrong as a whole.
    fn conclude(&self, ended: &Ended, failures: &mut Failures) -> Tally {
        let (name, release) = (self.name(), &self.kernel.release);
        let (mut tally, _) = ended.report.judge();
        if let Some(boot) = ended.boot {
            let (boot, whole) = (boot.as_secs_f64(), ended.whole.as_secs_f64());
            note(&format!("{release}: up after {boot:.1} s, off after {whole:.1} s"));
        }
        if let Some(problem) = ended.problem() {
            tally.failed += 1;
            println!("{name}: FAILED: {problem}");
            failures.tell(&problem);
            if !ended.report.is_finished() {
                println!("{name}: its last lines:");
                ended.tail.iter().for_each(|line| println!("    {line}"));
            }
        }
        tally
    }
}

/// `target/guest`: archives and logs of the last runs.
fn output_directory() -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let directory = target.join("guest");
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    Ok(directory)
}

/// Tells the user what is going on. Standard output is left to the cases.
fn note(text: &str) {
    // Nobody may be listening, which is no reason to stop.
    let _ = writeln!(io::stderr(), "{text}");
}
