//! Runs scenarios: `scenarios [--list] [--keep] [--sessions DIRECTORY] [--without-first N] [CASE…] [^BEGINNING…]`. A name
//! after `^` leaves out the cases that begin with it; of what is left, the first N are left out: a guest that takes over
//! from another has them told. The sessions of all runs are kept in the directory, if one is given.
//!
//! The program under test is `$TRACER_BIN`, or `tracer` beside this one. A line for each case, then
//! `N passed, N failed, N skipped`; the exit status is 0 if none failed, 1 if one did, 2 for wrong use.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use tracer_tests::{
    case::{self, Case, Setting},
    namespace, recorded,
};

const USAGE: &str =
    "usage: scenarios [--list] [--keep] [--sessions DIRECTORY] [--without-first N] [CASE…] [^BEGINNING…]";

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
    chosen.drain(..told.min(chosen.len()));
    Ok(Some(chosen))
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
        let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(&setting)));
        match outcome {
            Ok(Ok(())) => {
                passed += 1;
                println!("case {} ... ok", case.name);
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
