//! How many events a second the program takes, and how much memory it needs: `cargo bench --bench throughput`.
//!
//! Blocks of a storm on a busy node, made up but the same in every run, go through what live events go through. Every
//! figure is the median of several rounds, in time of the one core they ran on: what else runs there is left out.

mod mix;

use std::{error::Error, fs, io, time::Duration};

use nix::time::{ClockId, clock_gettime};
use tracer::{
    block::Block,
    decode::Decoder,
    output::{Arrow, LineStyle, Printer},
    state::{Batch, State},
};

/// Flows that retransmit, as many as the state keeps.
const FLOWS: u32 = 100_000;

/// Records of a round.
const RECORDS: u32 = 1_000_000;

/// Rounds of which the median is told.
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --all-targets` runs benchmarks too, and wants only to see them end well.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (flows, records, rounds) = if is_bench { (FLOWS, RECORDS, ROUNDS) } else { (100, 1_000, 1) };
    let blocks = mix::run(flows, 0..records);
    let before_bytes = resident_bytes()?;
    let state = applied(&blocks);
    let state_bytes = resident_bytes()?.saturating_sub(before_bytes);
    println!(
        "{:<28} {:>12}  for {} flows and {} events of the timeline",
        "memory of the state",
        format!("{:.1} MiB", mebibytes(state_bytes)),
        state.flows.len(),
        state.timeline.events().len()
    );
    drop(state);
    println!("\n{:<28} {:>12} {:>12} {:>12}", "one core", "events/s", "ns/event", "slowest");
    measure("decode", records, rounds, || Ok(decoded(&blocks)))?;
    let mut full = applied(&blocks);
    measure("decode, state", records, rounds, || Ok(apply_all(&mut full, &blocks)))?;
    drop(full);
    measure("decode, state, from nothing", records, rounds, || Ok(applied(&blocks).events()))?;
    let few = mix::run(flows.div_ceil(100), 0..records);
    let mut state = applied(&few);
    measure("decode, state, few flows", records, rounds, || Ok(apply_all(&mut state, &few)))?;
    drop((state, few));
    measure("decode, JSON", records, rounds, || printed(&blocks, Printer::json(io::sink(), io::sink())))?;
    let mut full = applied(&blocks);
    measure("decode, state, JSON", records, rounds, || {
        printed_and_judged(&mut full, &blocks, Printer::json(io::sink(), io::sink()))
    })?;
    drop(full);
    measure("decode, text", records, rounds, || {
        printed(&blocks, Printer::lines(io::sink(), io::sink(), style()))
    })?;
    Ok(())
}

/// Time this thread has run so far.
fn cpu_time() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Runs `work` several times and prints the median.
fn measure(
    name: &str,
    records: u32,
    rounds: usize,
    mut work: impl FnMut() -> io::Result<u64>,
) -> io::Result<()> {
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begin = cpu_time()?;
        std::hint::black_box(work()?);
        times.push(cpu_time()?.saturating_sub(begin));
    }
    times.sort_unstable();
    let ns = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64) * 1e9 / f64::from(records);
    let (median, slowest) = (ns(times.get(rounds / 2)), ns(times.last()));
    println!("{name:<28} {:>12.0} {median:>12.0} {slowest:>12.0}", 1e9 / median);
    Ok(())
}

fn decoded(blocks: &[Block]) -> u64 {
    let mut decoder = Decoder::default();
    for block in blocks {
        decoder.decode(block, |event| drop(std::hint::black_box(event)));
    }
    decoder.counts().decoded
}

fn applied(blocks: &[Block]) -> State {
    let mut state = State::default();
    apply_all(&mut state, blocks);
    state
}

fn apply_all(state: &mut State, blocks: &[Block]) -> u64 {
    let mut decoder = Decoder::default();
    for block in blocks {
        let mut batch = Batch::new(state);
        decoder.decode(block, |event| batch.push(event));
        batch.finish();
    }
    state.events()
}

fn printed(blocks: &[Block], mut printer: Printer<io::Sink, io::Sink>) -> io::Result<u64> {
    let mut decoder = Decoder::default();
    let mut result = Ok(());
    for block in blocks {
        decoder.decode(block, |event| {
            if result.is_ok() {
                result = printer.print(&event);
            }
        });
    }
    result?;
    printer.finish()?;
    Ok(decoder.counts().decoded)
}

/// What `tracer events` does: each event is printed, and the state behind the findings has it.
fn printed_and_judged(
    state: &mut State,
    blocks: &[Block],
    mut printer: Printer<io::Sink, io::Sink>,
) -> io::Result<u64> {
    let mut decoder = Decoder::default();
    let mut result = Ok(());
    for block in blocks {
        let mut batch = Batch::new(state);
        decoder.decode(block, |event| {
            if result.is_ok() {
                result = printer.print(&event);
            }
            batch.push(event);
        });
        batch.finish();
    }
    result?;
    printer.finish()?;
    Ok(decoder.counts().decoded)
}

fn style() -> LineStyle {
    LineStyle { arrow: Arrow::Unicode, use_colour: false, time_zone: jiff::tz::TimeZone::UTC }
}

/// Memory this process has in use, in bytes.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

fn mebibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    mebibytes
}
