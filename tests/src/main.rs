//! Runs scenarios: `scenarios [--list] [--keep] [--sessions DIRECTORY] [--part N/M] [--without-first N] [CASE…]
//! [^BEGINNING…]`. A name after `^` leaves out the cases that begin with it; of what is left, a part is every Mth case from
//! the Nth on, for guests that share the work; and of these the first are left out that a guest before this one told. The
//! sessions of all runs are kept in the directory, if one is given.
//!
//! The program under test is `$TRACER_BIN`, or `tracer` beside this one. A line for each case, with its time if that is
//! more than some seconds, then `N passed, N failed, N skipped`; the exit status is 0 if none failed, 1 if one did, 2 for
//! wrong use.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tracer_tests::{
    case::{self, Case, Setting},
    namespace, recorded,
};

const USAGE: &str = "usage: scenarios [--list] [--keep] [--sessions DIRECTORY] [--part N/M] [--without-first N] [CASE…] [^BEGINNING…]";

fn main() -> ExitCode {
    let chosen = match chosen_cases() {
        Ok(Some(chosen)) => chosen,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match program() {
        Ok(program) => run(&program, &chosen),
        Err(error) => {
            println!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// The cases named by the arguments, all without one; `None` if they were only to be listed.
fn chosen_cases() -> Result<Option<Vec<&'static Case>>> {
    let mut chosen = Vec::new();
    let mut left_out = Vec::new();
    let mut list = false;
    let mut part = Part { number: 1, of: 1 };
    let mut told = 0;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--keep" => namespace::keep_all(),
            "--sessions" => {
                let directory = arguments.next().context("--sessions needs a directory")?;
                recorded::keep_in(PathBuf::from(directory))?;
            }
            "--part" => part = Part::parse(&arguments.next().context("--part needs a part")?)?,
            "--without-first" => {
                let number = arguments.next().context("--without-first needs a number")?;
                told = number.parse().with_context(|| format!("no number: {number}"))?;
            }
            option if option.starts_with('-') => bail!("no such option: {option}"),
            without if without.starts_with('^') => left_out.push(without[1..].to_owned()),
            name => chosen.push(
                case::all()
                    .find(|case| case.name == name)
                    .with_context(|| format!("no such case: {name}"))?,
            ),
        }
    }
    if list {
        for case in case::all() {
            println!("{:<28} {}", case.name, case.proves);
        }
        return Ok(None);
    }
    if chosen.is_empty() {
        chosen = case::all().collect();
    }
    chosen.retain(|case| !left_out.iter().any(|beginning| case.name.starts_with(beginning.as_str())));
    Ok(Some(chosen.into_iter().skip(part.number - 1).step_by(part.of).skip(told).collect()))
}

/// Every `of`th case, from the `number`th on.
#[derive(Clone, Copy, Debug)]
struct Part {
    number: usize,
    of: usize,
}

impl Part {
    /// Reads `1/2`.
    fn parse(text: &str) -> Result<Self> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Some(Self { number: number.parse().ok()?, of: of.parse().ok()? }));
        numbers
            .filter(|part| (1..=part.of).contains(&part.number))
            .with_context(|| format!("no part of the cases such as 1/2: {text}"))
    }
}

fn program() -> Result<PathBuf> {
    let program = match env::var_os("TRACER_BIN") {
        Some(path) => PathBuf::from(path),
        None => env::current_exe().context("find this program's own path")?.with_file_name("tracer"),
    };
    program.canonicalize().with_context(|| {
        format!("no program to test at {}: build tracer, or set TRACER_BIN", program.display())
    })
}

fn run(program: &Path, chosen: &[&Case]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in chosen {
        if let Some(missing) = case.needs.iter().find_map(|need| need.missing()) {
            skipped += 1;
            println!("case {} ... skipped: {missing}", case.name);
            continue;
        }
        // A case that panics fails; its namespaces are removed on the way out all the same.
        let setting = Setting::new(program.to_owned(), case.name);
        let begin = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(&setting)));
        match outcome {
            Ok(Ok(())) => {
                passed += 1;
                println!("case {} ... ok{}", case.name, long(begin.elapsed()));
            }
            Ok(Err(error)) => {
                failed += 1;
                println!("case {} ... FAILED: {error:#}", case.name);
            }
            Err(_) => {
                failed += 1;
                println!("case {} ... FAILED: it panicked", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long a case took, if that is what a run of all of them is made of.
fn long(took: Duration) -> String {
    const WORTH_TELLING: Duration = Duration::from_secs(5);
    if took < WORTH_TELLING { String::new() } else { format!(": {:.0} s", took.as_secs_f64()) }
}
