//! `cargo xtask test`: every check and test, in order of their cost. What fails stops nothing that can still run.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, FromArgMatches};

use crate::command::{each_line, say};
use crate::failures::Failures;
use crate::tally::Tally;
use crate::{build, dist, findings_table, guest, lint, root, setup, tidy};

/// A guest: the kernel it boots, its part of the cases, and those left out (`^` and the beginning of their names).
type Guest = (&'static str, &'static str, &'static [&'static str]);

/// The first kernel plays nearly everything, in two guests. What depends on records alone, and not on how a kernel tells
/// them, is played there and on this machine only.
const GUESTS: [Guest; 5] = [
    ("6.12", "1/2", &ALIKE_HERE),
    ("6.12", "2/2", &ALIKE_HERE),
    ("6.1", "1/1", &ALIKE_EVERYWHERE),
    ("6.18", "1/1", &ALIKE_EVERYWHERE),
    ("5.10", "1/1", &ALIKE_EVERYWHERE),
];

/// What needs no hook this machine may lack, and takes long: findings, and what is made of records once they are there.
/// They are played here.
const ALIKE_HERE: [&str; 33] = [
    "^export-",
    "^finding-address-flap",
    "^finding-clean-node",
    "^finding-path-outage",
    "^finding-reply-misrouted",
    "^finding-ruleset-",
    "^flight-",
    "^quiet-arp-",
    "^quiet-bridge-",
    "^quiet-container-",
    "^quiet-fragments",
    "^quiet-hairpin",
    "^quiet-impatience",
    "^quiet-new-lease",
    "^quiet-pods-end",
    "^quiet-port-scan",
    "^quiet-private-",
    "^quiet-random-loss",
    "^quiet-restarts",
    "^quiet-rolling-",
    "^quiet-sleeping-",
    "^quiet-slow-",
    "^quiet-trace-route",
    "^quiet-vanished-",
    "^report-",
    "^ruleset-large-",
    "^screen-clipboard-",
    "^screen-flight-key",
    "^screen-hang-up",
    "^screen-hostile-",
    "^screen-leaving",
    "^screen-record-key",
    "^screen-replay",
];

/// Repetitions by ways of attaching that are not the first, tables of 200,000 rules, screens, findings (but for those of
/// the incidents, which are cases of their own), sessions and what is made of them.
const ALIKE_EVERYWHERE: [&str; 10] = [
    "^kprobe-",
    "^raw-",
    "^ruleset-large-",
    "^screen-",
    "^finding-",
    "^quiet-",
    "^record-",
    "^export-",
    "^report-",
    "^flight-",
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
    // Once, before anything runs them: two that build side by side put their copies in each other's place.
    if let Some(programs) = report.made("static programs", Programs::build) {
        report.check("findings of sessions", || findings_table::check(&programs.tracer));
        if !arguments.quick {
            report.check("kernels", || guest::fetch(&GUESTS.map(|(kernel, ..)| kernel)));
        }
        report.steps_side_by_side(plays(&programs, arguments.quick));
    }
    report.print();
    report.sum().into_result()
}

/// A step that counts its own, tells what failed, and may run beside others.
type Step<'a> = (String, Box<dyn FnOnce(&mut Failures) -> Result<Tally> + Send + 'a>);

/// The scenarios here and in guests. They wait far longer than they work: for timeouts, and for findings to close.
fn plays(programs: &Programs, is_quick: bool) -> Vec<Step<'_>> {
    let guests = if is_quick { &[][..] } else { &GUESTS };
    let mut steps: Vec<Step<'_>> =
        vec![("scenarios here".to_owned(), Box::new(|failures| scenarios(programs, failures)))];
    for guest in guests {
        let (kernel, part, _) = guest;
        let name = if *part == "1/1" { format!("guest {kernel}") } else { format!("guest {kernel} {part}") };
        steps.push((name, Box::new(|failures| in_guest(guest, programs, failures))));
    }
    steps
}

/// The programs that scenarios and guests run.
struct Programs {
    tracer: PathBuf,
    scenarios: PathBuf,
}

impl Programs {
    fn build() -> Result<Self> {
        Ok(Self {
            tracer: dist::build_static("tracer", "tracer")?,
            scenarios: dist::build_static("tracer-tests", "scenarios")?,
        })
    }
}

/// What each step came to.
#[derive(Default)]
struct Report {
    steps: Vec<Ended>,
}

/// A step that has run.
struct Ended {
    name: String,
    tally: Tally,
    failures: Failures,
    took: Duration,
}

impl Report {
    /// A step that counts as one test.
    fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.made(name, work);
    }

    /// A step that counts as one test and makes what later steps need; nothing if it fails.
    fn made<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        let mut made = None;
        self.step(name, |_| {
            made = Some(work()?);
            Ok(Tally::one(true))
        });
        made
    }

    /// A step that counts its own; if it breaks off, that is one failure.
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Failures) -> Result<Tally>) {
        say(&format!("\n== {name}"));
        let begin = Instant::now();
        let mut failures = Failures::default();
        let tally = work(&mut failures).unwrap_or_else(|error| {
            let reason = format!("error: {error:#}");
            say(&reason);
            failures.tell(&reason);
            Tally::one(false)
        });
        self.steps.push(Ended { name: name.to_owned(), tally, failures, took: begin.elapsed() });
    }

    /// Steps of which one more run at once than the machine has processors: an emulated machine waits as often as it
    /// works. They are reported in their order, however they end.
    fn steps_side_by_side(
        &mut self,
        steps: Vec<(String, impl FnOnce(&mut Failures) -> Result<Tally> + Send)>,
    ) {
        let at_once = thread::available_parallelism().map_or(1, NonZero::get) + 1;
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
        for step in &self.steps {
            sum += step.tally;
        }
        sum
    }

    /// What failed, once more; what each step came to; and the sum.
    fn print(&self) {
        for Ended { name, failures, .. } in &self.steps {
            failures.lines().for_each(|line| println!("{name}: {line}"));
        }
        println!();
        for Ended { name, tally, took, .. } in &self.steps {
            let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
            println!("{name:<20} {verdict:<6} {:>7.1} s  {tally}", took.as_secs_f64());
        }
        // The sum counts no skipped cases: the lines above do.
        let Tally { passed, failed, .. } = self.sum();
        println!("{passed} passed, {failed} failed");
    }
}

/// Unit, snapshot and property tests of everything that runs on this machine.
fn unit_tests(failures: &mut Failures) -> Result<Tally> {
    let mut command = build::cargo();
    command.args(["test", "--locked", "--workspace", "--exclude", "tracer-ebpf", "--no-fail-fast"]);
    // A new snapshot is a failure to look at, never a file left behind.
    command.env("INSTA_UPDATE", "no");
    let mut tally = Tally::default();
    let success = each_line(&mut command, |line| {
        println!("{line}");
        failures.hear(line);
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
fn scenarios(programs: &Programs, failures: &mut Failures) -> Result<Tally> {
    let (tracer, scenarios) = (programs.tracer.to_string_lossy(), programs.scenarios.to_string_lossy());
    let command = root::as_root(&scenarios, &[("TRACER_BIN", &tracer)]);
    counted(&mut command.context("scenarios need root and there is no sudo here")?, failures)
}

/// Runs a program that closes with its tally.
fn counted(command: &mut Command, failures: &mut Failures) -> Result<Tally> {
    let mut last = String::new();
    let success = each_line(command, |line| {
        println!("here: {line}");
        failures.hear(line);
        if !line.is_empty() {
            line.clone_into(&mut last);
        }
    })?;
    let tally = Tally::from_line(&last).context("it did not close with `N passed, N failed`")?;
    ensure!(success || tally.failed > 0, "it failed although it counted no failure ({tally})");
    Ok(tally)
}

/// Cases in a guest, as `cargo xtask guest --kernel KERNEL --part N/M --tracer … --scenarios … CASE…` runs them.
fn in_guest(guest: &Guest, programs: &Programs, failures: &mut Failures) -> Result<Tally> {
    guest::run(&guest_arguments(guest, programs)?, failures)
}

fn guest_arguments(&(kernel, part, cases): &Guest, programs: &Programs) -> Result<guest::Arguments> {
    let command = guest::Arguments::augment_args(clap::Command::new("guest").no_binary_name(true));
    let mut line: Vec<OsString> = ["--kernel", kernel].map(OsString::from).into();
    if part != "1/1" {
        line.extend(["--part", part].map(OsString::from));
    }
    for (option, program) in [("--tracer", &programs.tracer), ("--scenarios", &programs.scenarios)] {
        line.extend([option.into(), program.into()]);
    }
    line.extend(cases.iter().map(OsString::from));
    let matches = command.try_get_matches_from(line)?;
    Ok(guest::Arguments::from_arg_matches(&matches)?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use anyhow::{bail, ensure};

    use super::{Failures, GUESTS, Programs, Report, Tally, counted, guest_arguments};

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
            assert_eq!(counted(&mut shell(script), &mut Failures::default()).ok(), expected, "{script}");
        }
    }

    #[test]
    fn steps_side_by_side_are_reported_in_their_order() {
        let mut report = Report::default();
        let steps = (0..5_u64).map(|passed| {
            let work = move |_: &mut Failures| {
                ensure!(passed != 3, "broken");
                Ok(Tally { passed, ..Tally::default() })
            };
            (format!("step {passed}"), work)
        });
        report.steps_side_by_side(steps.collect());
        let names: Vec<&str> = report.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["step 0", "step 1", "step 2", "step 3", "step 4"]);
        let told: Vec<&str> = report.steps.iter().flat_map(|step| step.failures.lines()).collect();
        assert_eq!(told, ["error: broken"]);
        assert_eq!(report.sum(), Tally { passed: 7, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_step_that_breaks_off_is_one_failure_and_stops_nothing() {
        let mut report = Report::default();
        report.check("breaks", || bail!("broken"));
        report.check("holds", || Ok(()));
        report.step("counts", |_| Ok(Tally { passed: 3, failed: 1, skipped: 2 }));
        assert_eq!(report.sum(), Tally { passed: 4, failed: 2, skipped: 2 });
        assert!(report.sum().into_result().is_err());
    }

    #[test]
    fn what_a_step_makes_is_there_only_if_it_worked() {
        let mut report = Report::default();
        assert_eq!(report.made("works", || Ok(7)), Some(7));
        assert_eq!(report.made("breaks", || bail!("broken")), None::<u8>);
        assert_eq!(report.sum(), Tally { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn the_guests_of_a_kernel_play_each_case_once() {
        for (kernel, part, cases) in GUESTS {
            let (number, of): (usize, usize) = part
                .split_once('/')
                .map(|(number, of)| (number.parse().unwrap(), of.parse().unwrap()))
                .unwrap();
            let parts: Vec<_> = GUESTS.iter().filter(|(other, ..)| *other == kernel).collect();
            assert_eq!(parts.len(), of, "{kernel}");
            assert_eq!(parts[number - 1].1, part, "{kernel}: in their order");
            assert!(parts.iter().all(|(_, _, others)| *others == cases), "{kernel}");
        }
    }

    #[test]
    fn every_guest_runs_the_programs_that_were_built() {
        let programs = Programs { tracer: "/dist/tracer".into(), scenarios: "/dist/sce narios".into() };
        for guest in GUESTS {
            let arguments = guest_arguments(&guest, &programs).unwrap();
            let arguments = format!("{arguments:?}");
            let (kernel, _, cases) = guest;
            let (major, minor) = kernel.split_once('.').unwrap();
            for expected in [
                format!("kernels: [Series {{ major: {major}, minor: {minor} }}]"),
                r#"tracer: Some("/dist/tracer"), scenarios: Some("/dist/sce narios")"#.to_owned(),
                format!("cases: {cases:?}"),
            ] {
                assert!(arguments.contains(&expected), "{expected} in {arguments}");
            }
        }
    }
}
