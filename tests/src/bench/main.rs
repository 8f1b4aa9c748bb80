//! Measures what a retransmit costs the kernel: tracer beside a bpftrace one-liner that prints it, on one storm.
//!
//! `kernel-bench TRACER [--rounds N] [--seconds N]`, as root. Every round is a storm of its own with both attached at
//! once; the one attached first meets the sockets cold in the cache, so they take turns.

mod observer;
mod process;
mod programs;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use tracer_tests::{
    storm::{Size, Storm},
    wait,
};

use observer::{Observer, Reading};

const USAGE: &str = "usage: kernel-bench TRACER [--rounds N] [--seconds N]";

/// Segments sent again in a second of [`Size::FULL`].
const SEGMENTS_PER_SECOND: u64 = 10_000;

fn main() -> ExitCode {
    match Arguments::of_this_process().and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    tracer: PathBuf,
    rounds: u32,
    seconds: u64,
}

impl Arguments {
    fn of_this_process() -> Result<Self> {
        let mut given = env::args().skip(1);
        let tracer = given.next().context(USAGE)?.into();
        let mut arguments = Self { tracer, rounds: 2, seconds: 30 };
        while let Some(option) = given.next() {
            let value = given.next().with_context(|| format!("{option} needs a number; {USAGE}"))?;
            let number = || value.parse().with_context(|| format!("{value} is no number; {USAGE}"));
            match option.as_str() {
                "--rounds" => arguments.rounds = number()?,
                "--seconds" => arguments.seconds = u64::from(number()?),
                _ => bail!("no such option: {option}; {USAGE}"),
            }
        }
        if arguments.rounds == 0 || arguments.seconds == 0 {
            bail!("nothing to measure in no time; {USAGE}");
        }
        Ok(arguments)
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    // Statistics are on as long as this is held, and off again however this process ends.
    let _statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime)
        .context("switch the kernel's statistics of eBPF programs on; this needs root and Linux 5.8")?;
    let mut ratios = Vec::new();
    for number in 0..arguments.rounds {
        let tracer_first = number.is_multiple_of(2);
        let Round { tracer, bpftrace } = Round::play(arguments, tracer_first)?;
        let first = if tracer_first { "tracer" } else { "bpftrace" };
        println!("\nround {} of {}, {first} attached first", number + 1, arguments.rounds);
        println!(
            "{:<10} {:<20} {:>9} {:>10} {:>16} {:>10}",
            "", "program", "events", "ns/event", "own CPU ns/event", "peak RSS"
        );
        tracer.print("tracer");
        bpftrace.print("bpftrace");
        let ratio = bpftrace.kernel_ns() / tracer.kernel_ns();
        println!("bpftrace costs the kernel {ratio:.1} times what tracer does");
        ratios.push(ratio);
    }
    println!("\n{}", verdict(&mut ratios));
    Ok(())
}

/// The aim is a fifth of what printing with bpftrace costs.
fn verdict(ratios: &mut [f64]) -> String {
    const AIM: f64 = 5.0;
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    let told = if median >= AIM { "at most a fifth" } else { "MORE than a fifth" };
    format!("kernel time of tracer is {told} of bpftrace's: 1/{median:.1} in the median round")
}

/// What both took for the same events.
struct Round {
    tracer: Reading,
    bpftrace: Reading,
}

impl Round {
    fn play(arguments: &Arguments, tracer_first: bool) -> Result<Self> {
        let storm = Storm::prepare(Size::FULL)?;
        let (mut tracer, mut bpftrace);
        if tracer_first {
            tracer = Observer::tracer(&arguments.tracer)?;
            bpftrace = Observer::bpftrace()?;
        } else {
            bpftrace = Observer::bpftrace()?;
            tracer = Observer::tracer(&arguments.tracer)?;
        }
        let sockets = storm.begin()?;
        // From here on both see every event.
        wait::until("both to see the storm", || Ok((tracer.sees()? && bpftrace.sees()?).then_some(())))?;
        let before = (tracer.read_running()?, bpftrace.read_running()?);
        storm.wait_for_segments(storm.segments()? + arguments.seconds * SEGMENTS_PER_SECOND)?;
        let after = (tracer.read_running()?, bpftrace.read_running()?);
        drop(sockets);
        tracer.stop()?;
        bpftrace.stop()?;
        Ok(Self { tracer: after.0.since(&before.0), bpftrace: after.1.since(&before.1) })
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn the_verdict_is_of_the_median_round() {
        assert!(verdict(&mut [9.0, 1.0, 5.0]).contains("at most a fifth"));
        assert!(verdict(&mut [4.9, 9.0, 1.0]).contains("MORE than a fifth"));
    }
}
