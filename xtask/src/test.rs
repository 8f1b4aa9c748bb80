//! `cargo xtask test`: every check and test, in order of their cost. What fails stops nothing that can still run.

use std::num::NonZero;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, FromArgMatches};

use crate::command::{each_line, say};
use crate::tally::Tally;
use crate::{build, dist, guest, lint, root, setup, tidy};

/// Kernels that guests boot, and cases left out there (`^` and the beginning of their names): repetitions by ways of
/// attaching that are not the first, tables of 200,000 rules, and screens, which are drawn alike everywhere, are played on
/// one kernel. That one takes longest and begins.
const GUESTS: [(&str, &[&str]); 4] = [
    ("6.12", &[]),
    ("6.1", &["^kprobe-", "^raw-", "^ruleset-large-", "^screen-"]),
    ("6.18", &["^kprobe-", "^raw-", "^ruleset-large-", "^screen-"]),
    ("5.10", &["^raw-", "^ruleset-large-", "^screen-"]),
];

/// What `test` may do and leave out.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
    /// Leave the guests out
    #[arg(long)]
    quick: bool,
}

/// Runs all steps and prints the sum as the last line of stdout. Fails if anything failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::default();
    report.check("setup", || setup::for_tests(arguments.no_install));
    report.check("format", lint::format);
    report.check("clippy", lint::host);
    report.check("clippy, kernel side", lint::kernel_side);
    report.check("tidy", tidy::check);
    report.step("tests", unit_tests);
    report.step("scenarios here", scenarios);
    if !arguments.quick {
        report.check("kernels", || guest::fetch(&GUESTS.map(|(kernel, _)| kernel)));
        let guests =
            GUESTS.map(|(kernel, cases)| (format!("guest {kernel}"), move || in_guest(kernel, cases)));
        report.steps_side_by_side(guests.into());
    }
    report.print();
    report.sum().into_result()
}

/// What each step came to.
#[derive(Default)]
struct Report {
    steps: Vec<(String, Tally, Duration)>,
}

impl Report {
    /// A step that counts as one test.
    fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.step(name, || work().map(|()| Tally::one(true)));
    }

    /// A step that counts its own; if it breaks off, that is one failure.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Tally>) {
        say(&format!("\n== {name}"));
        let begin = Instant::now();
        let tally = work().unwrap_or_else(|error| {
            say(&format!("error: {error:#}"));
            Tally::one(false)
        });
        self.steps.push((name.to_owned(), tally, begin.elapsed()));
    }

    /// Steps of which as many run at once as the machine has processors: an emulated machine waits as often as it
    /// works. They are reported in their order, however they end.
    fn steps_side_by_side(&mut self, steps: Vec<(String, impl FnOnce() -> Result<Tally> + Send)>) {
        let at_once = thread::available_parallelism().map_or(1, NonZero::get);
        let waiting = Mutex::new(steps.into_iter().enumerate());
        let ended = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    // The lock is let go before the step runs.
                    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some((place, (name, work))) = next() {
                        let mut alone = Self::default();
                        alone.step(&name, work);
                        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                        ended.extend(alone.steps.into_iter().map(|step| (place, step)));
                    }
                });
            }
        });
        let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.sort_by_key(|&(place, _)| place);
        self.steps.extend(ended.into_iter().map(|(_, step)| step));
    }

    fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        for (_, tally, _) in &self.steps {
            sum += *tally;
        }
        sum
    }

    fn print(&self) {
        println!();
        for (name, tally, took) in &self.steps {
            let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
            println!("{name:<20} {verdict:<6} {:>7.1} s  {tally}", took.as_secs_f64());
        }
        // The sum counts no skipped cases: the lines above do.
        let Tally { passed, failed, .. } = self.sum();
        println!("{passed} passed, {failed} failed");
    }
}

/// Unit, snapshot and property tests of everything that runs on this machine.
fn unit_tests() -> Result<Tally> {
    let mut command = build::cargo();
    command.args(["test", "--locked", "--workspace", "--exclude", "tracer-ebpf", "--no-fail-fast"]);
    // A new snapshot is a failure to look at, never a file left behind.
    command.env("INSTA_UPDATE", "no");
    let mut tally = Tally::default();
    let success = each_line(&mut command, |line| {
        println!("{line}");
        if let Some(more) = Tally::from_test_result(line) {
            tally += more;
        }
    })?;
    // Without a failed test, something did not compile or a test program died.
    if !success && tally.failed == 0 {
        tally += Tally::one(false);
    }
    ensure!(tally != Tally::default(), "no test was run");
    Ok(tally)
}

/// The scenarios in network namespaces of this machine, with the same static programs as the guests.
fn scenarios() -> Result<Tally> {
    let tracer = dist::build_static("tracer", "tracer")?;
    let scenarios = dist::build_static("tracer-tests", "scenarios")?;
    let (tracer, scenarios) = (tracer.to_string_lossy(), scenarios.to_string_lossy());
    let command = root::as_root(&scenarios, &[("TRACER_BIN", &tracer)]);
    counted(&mut command.context("scenarios need root and there is no sudo here")?)
}

/// Runs a program that closes with its tally.
fn counted(command: &mut Command) -> Result<Tally> {
    let mut last = String::new();
    let success = each_line(command, |line| {
        println!("{line}");
        if !line.is_empty() {
            line.clone_into(&mut last);
        }
    })?;
    let tally = Tally::from_line(&last).context("it did not close with `N passed, N failed`")?;
    ensure!(success || tally.failed > 0, "it failed although it counted no failure ({tally})");
    Ok(tally)
}

/// Cases in a guest, as `cargo xtask guest --kernel KERNEL CASE…` runs them.
fn in_guest(kernel: &str, cases: &[&str]) -> Result<Tally> {
    let command = guest::Arguments::augment_args(clap::Command::new("guest").no_binary_name(true));
    let matches = command.try_get_matches_from(["--kernel", kernel].iter().chain(cases))?;
    guest::run(&guest::Arguments::from_arg_matches(&matches)?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use anyhow::bail;

    use super::{Report, Tally, counted};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_is_believed_only_if_line_and_status_agree() {
        let tally = |passed, failed| Some(Tally { passed, failed, skipped: 0 });
        for (script, expected) in [
            ("echo 2 passed, 0 failed", tally(2, 0)),
            ("echo 2 passed, 1 failed; exit 1", tally(2, 1)),
            ("echo 2 passed, 0 failed; exit 1", None),
            ("echo 2 passed, 0 failed; echo killed", None),
            ("true", None),
        ] {
            assert_eq!(counted(&mut shell(script)).ok(), expected, "{script}");
        }
    }

    #[test]
    fn steps_side_by_side_are_reported_in_their_order() {
        let mut report = Report::default();
        let steps = (0..5_u64).map(|passed| {
            let work =
                move || if passed == 3 { bail!("broken") } else { Ok(Tally { passed, ..Tally::default() }) };
            (format!("step {passed}"), work)
        });
        report.steps_side_by_side(steps.collect());
        let names: Vec<&str> = report.steps.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["step 0", "step 1", "step 2", "step 3", "step 4"]);
        assert_eq!(report.sum(), Tally { passed: 7, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_step_that_breaks_off_is_one_failure_and_stops_nothing() {
        let mut report = Report::default();
        report.check("breaks", || bail!("broken"));
        report.check("holds", || Ok(()));
        report.step("counts", || Ok(Tally { passed: 3, failed: 1, skipped: 2 }));
        assert_eq!(report.sum(), Tally { passed: 4, failed: 2, skipped: 2 });
        assert!(report.sum().into_result().is_err());
    }
}
